"""Exercise 31.2: a training step over micro-batches."""

import torch
from torch import nn
from torch.nn import functional as F

from course_lib.exercises.lesson_31.collate import IGNORE
from course_lib.lesson.exercises import Exercise


class _Words(nn.Module):
    """Scores of the word after each word, from that word alone."""

    def __init__(self, words=9, width=6):
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.embed = nn.Parameter(torch.randn(words, width, generator=draw, dtype=torch.float64))
        self.head = nn.Parameter(torch.randn(width, words, generator=draw, dtype=torch.float64))
        self.calls = 0

    def forward(self, ids):
        self.calls += 1
        return self.embed[ids] @ self.head


_MICRO = [
    (
        torch.tensor([[1, 5, 6, 2, 0], [1, 7, 2, 0, 0]]),
        torch.tensor([[-100, -100, 6, 2, -100], [-100, 7, 2, -100, -100]]),
    ),
    (torch.tensor([[1, 3, 4, 5, 2]]), torch.tensor([[-100, -100, -100, -100, 2]])),
    (torch.tensor([[1, 8, 7, 6, 2], [1, 5, 5, 5, 2]]), torch.tensor([[-100, 8, 7, 6, 2], [-100, 5, 5, 5, 2]])),
]
"""Four, one and eight counted words in micro-batches of other sizes."""


def _whole_batch(model):
    """Loss and gradients of all words at once, by another route."""
    ids, labels = (torch.cat([part[k] for part in _MICRO]) for k in (0, 1))
    scores = model(ids)[:, :-1]
    targets = labels[:, 1:]
    chosen = scores.log_softmax(dim=-1).gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    loss = -chosen[targets != IGNORE].mean()
    return loss.item(), torch.autograd.grad(loss, list(model.parameters()))


def _step(train_step, clip_norm, stale=False):
    """What comes back, what the weights moved by, what they should have moved by, calls of the model."""
    model = _Words()
    loss, gradients = _whole_batch(model)
    size = torch.cat([g.flatten() for g in gradients]).norm().item()
    before = [p.detach().clone() for p in model.parameters()]
    if stale:
        for p in model.parameters():
            p.grad = torch.ones_like(p)
    model.calls = 0
    rule = torch.optim.SGD(model.parameters(), lr=1.0)
    got = train_step(model, _MICRO, rule, clip_norm)
    moved = [old - p.detach() for p, old in zip(model.parameters(), before, strict=True)]
    wanted = [g * min(1.0, clip_norm / size) for g in gradients]
    return got, moved, wanted, loss, model.calls


def _same(one, other):
    return all(torch.allclose(a, b, atol=1e-6) for a, b in zip(one, other, strict=True))


def step_runs_each_once(train_step):
    got, _, _, _, calls = _step(train_step, 1e9)
    assert isinstance(got, float), "return the loss as a number: a tensor would keep the graph of the step in memory"
    assert calls == len(_MICRO), "the model should run once for each micro-batch"


def step_has_the_whole_gradient(train_step):
    _, moved, wanted, _, _ = _step(train_step, 1e9)
    largest = max(m.abs().max().item() for m in moved)
    assert largest > 0, "no weight moved: is optimizer.step() called?"
    ratio = sum((a * b).sum() for a, b in zip(moved, wanted, strict=True)) / sum(b.pow(2).sum() for b in wanted)
    assert _same(moved, wanted) or not _same(moved, [3 * w for w in _means()[1]]), (
        "three times the mean gradient: the losses of three micro-batches were added, and nobody divided"
    )
    assert not _same(moved, _means()[1]), (
        "a mean of means: the one word of micro-batch 2 counts as much as the eight of number 3; divide by all words"
    )
    assert _same(moved, wanted), (
        f"not the gradient of one batch with all 13 words ({ratio:.2f} of it, its way): shift, -100, one step at "
        "the end"
    )


def _means():
    """The mistake: every micro-batch weighs the same."""
    model = _Words()
    losses = [F.cross_entropy(model(i)[:, :-1].flatten(0, 1), y[:, 1:].flatten()) for i, y in _MICRO]
    mean = sum(losses) / len(losses)
    return mean.item(), torch.autograd.grad(mean, list(model.parameters()))


def step_forgets_the_last(train_step):
    _, moved, wanted, _, _ = _step(train_step, 1e9, stale=True)
    assert _same(moved, wanted), (
        "the gradient of the step before is still in there: zero_grad before the first micro-batch"
    )


def step_clips_the_whole(train_step):
    _, moved, wanted, _, _ = _step(train_step, 0.1)
    size = torch.cat([m.flatten() for m in moved]).norm().item()
    assert size < 0.1 + 1e-6, (
        f"the step is {size:.2f} long although clip_norm is 0.1: clip once, after the last backward"
    )
    assert _same(moved, wanted), (
        "clipped in another direction: clip the norm of the whole gradient, once, not each part"
    )


def step_reports_the_loss(train_step):
    got, _, _, loss, _ = _step(train_step, 0.1)
    assert abs(got - loss) < 1e-6, "the loss that comes back is not the mean over all counted words"


def _train_step(
    *, shift=True, weigh=True, add=False, reset=True, clip="end", step="end", number=float, report=None, ignore=IGNORE
):
    def train_step(model, micro_batches, optimizer, clip_norm):
        words = sum(int((labels[:, 1:] != IGNORE).sum()) for _, labels in micro_batches)
        if reset:
            optimizer.zero_grad()
        total = 0.0
        for ids, labels in micro_batches:
            scores = model(ids)
            scores, targets = (scores[:, :-1], labels[:, 1:]) if shift else (scores, labels)
            kind = "sum" if weigh else "mean"
            targets = targets.clamp(min=0) if ignore == 0 else targets
            loss = F.cross_entropy(scores.flatten(0, 1), targets.flatten(), reduction=kind)
            loss = loss / words if weigh else loss / (1 if add else len(micro_batches))
            loss.backward()
            if clip == "each":
                nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            total += loss.item()
            if step == "each":
                optimizer.step()
        if clip == "end":
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        if clip == "value":
            nn.utils.clip_grad_value_(model.parameters(), clip_norm / 100)
        if step == "end":
            optimizer.step()
        return number(total if report is None else report(total))

    return train_step


train_step = Exercise(
    id="31.2 train_step",
    task="Write train_step(model, micro_batches, optimizer, clip_norm): one optimiser step over a list of (ids, "
    "labels), each (b, T). model(ids) scores the next word at every place, (b, T, V); labels are ids or -100 and "
    "stand at their own place. The gradient is that of the mean over all counted words, clipped to the norm "
    "clip_norm. Return that mean, a float.",
    stages=(
        step_runs_each_once,
        step_has_the_whole_gradient,
        step_forgets_the_last,
        step_clips_the_whole,
        step_reports_the_loss,
    ),
    reference=_train_step(),
    mutates=("model", "optimizer"),
    mutants={
        "return the loss as a number": _train_step(number=torch.tensor),
        "no weight moved": _train_step(step="never"),
        "nobody divided": _train_step(weigh=False, add=True),
        "a mean of means": _train_step(weigh=False),
        "not the gradient of one batch": _train_step(shift=False),
        "zero_grad before the first": _train_step(reset=False),
        "clip once, after the last backward": _train_step(clip="never"),
        "clipped in another direction": _train_step(clip="each"),
        "not the mean over all counted words": _train_step(report=lambda total: total * 3),
    },
    hints=(
        "Five lines are always there: zero_grad, forward, backward, clip, step. Which of them stand inside the loop "
        "over micro-batches?",
        "Count the words of all micro-batches: (labels[:, 1:] != -100).sum(). Each loss is a sum divided by that.",
        "F.cross_entropy(scores[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), reduction='sum') / words, backward "
        "in the loop; clip_grad_norm_ and step after it.",
    ),
    difficulty=3,
    minutes=15,
)
