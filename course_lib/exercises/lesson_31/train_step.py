"""Exercise 31.2: a training step over micro-batches."""

import torch
from torch import nn
from torch.nn import functional as F

from course_lib.exercises.lesson_31.collate import IGNORE
from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close


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
        torch.tensor([[1, 5, 6, 2, 3], [1, 7, 2, 3, 3]]),
        torch.tensor([[-100, -100, 6, 2, -100], [-100, 7, 2, -100, -100]]),
    ),
    (torch.tensor([[1, 3, 4, 0, 2]]), torch.tensor([[-100, -100, -100, 0, -100]])),
    (torch.tensor([[1, 8, 7, 6, 2], [1, 5, 5, 5, 2]]), torch.tensor([[1, 8, 7, 6, 2], [-100, 5, 5, 5, 2]])),
    (torch.tensor([[1, 4, 3, 3, 3]]), torch.full((1, 5), -100)),
]
"""Four, one, eight and no counted words in micro-batches of other sizes.

The one word is number 0. The first label of the third is set, but no score stands before it, so it does not count.
"""


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
    return all(close(a, b) for a, b in zip(one, other, strict=True))


def step_runs_each_once(train_step):
    got, _, _, _, calls = _step(train_step, 1e9)
    assert got is not None, "nothing came back; return the loss, a float"
    assert isinstance(got, float), "return the loss as a number: a tensor would keep the graph of the step in memory"
    counted = sum((labels[:, 1:] != IGNORE).any().item() for _, labels in _MICRO)  # the others may be skipped
    assert counted <= calls <= len(_MICRO), (
        f"the model ran {calls} times for {len(_MICRO)} micro-batches: once for each that has a counted word, since "
        "together they do not fit into memory, and twice is wasted"
    )


def step_has_the_whole_gradient(train_step):
    _, moved, wanted, _, _ = _step(train_step, 1e9)
    largest = max(m.abs().max().item() for m in moved)
    assert largest > 0, "no weight moved: is optimizer.step() called?"
    ratio = sum((a * b).sum() for a, b in zip(moved, wanted, strict=True)) / sum(b.pow(2).sum() for b in wanted)
    assert _same(moved, wanted) or not _same(moved, [3 * w for w in _means()]), (
        "three times the mean gradient: the losses of three micro-batches were added, and nobody divided"
    )
    assert not _same(moved, _means()), (
        "a mean of means: the one word of micro-batch 2 counts as much as the eight of number 3; divide by all words"
    )
    shares = [sum((labels != IGNORE).sum() for _, labels in _MICRO), sum(labels.numel() for _, labels in _MICRO)]
    assert not _same(moved, [13 / shares[0] * w for w in wanted]), (
        "divided by 14 words: the first label of micro-batch 3 is not -100, but nothing predicts it; count after the "
        "shift"
    )
    assert not _same(moved, [13 / shares[1] * w for w in wanted]), "divided by all places; only 13 words are counted"
    without = _without_number_0()
    assert not _same(moved, without), "label 0 was left out: 0 is a word like any other, -100 alone is ignored"
    assert _same(moved, wanted), (
        f"not the gradient of one batch with all 13 words ({ratio:.2f} of it, its way): shift, -100, one step at "
        "the end"
    )


def _means():
    """Gradient of the mistake that every micro-batch with a counted word weighs the same."""
    model = _Words()
    losses = [F.cross_entropy(model(i)[:, :-1].flatten(0, 1), y[:, 1:].flatten()) for i, y in _MICRO[:3]]
    return torch.autograd.grad(sum(losses) / 3, list(model.parameters()))


def _without_number_0():
    """Gradient of the mistake that label 0 is padding."""
    model = _Words()
    parts = [(model(i)[:, :-1].flatten(0, 1), y[:, 1:].flatten()) for i, y in _MICRO]
    scores, targets = (torch.cat(each) for each in zip(*parts, strict=True))
    return torch.autograd.grad(
        F.cross_entropy(scores, targets.masked_fill(targets == 0, IGNORE)), list(model.parameters())
    )


def step_forgets_the_last(train_step):
    _, moved, wanted, _, _ = _step(train_step, 1e9, stale=True)
    assert _same(moved, wanted), (
        "the gradient of the step before is still in there: zero_grad before the first micro-batch"
    )


def step_clips_the_whole(train_step):
    _, moved, wanted, _, _ = _step(train_step, 0.1)
    size = torch.cat([m.flatten() for m in moved]).norm().item()
    assert size < 0.1 + 1e-4, (
        f"the step is {size:.2f} long although clip_norm is 0.1: clip once, after the last backward"
    )
    assert _same(moved, wanted), (
        "clipped in another direction: clip the norm of the whole gradient, once, not each part"
    )


def step_reports_the_loss(train_step):
    got, _, _, loss, _ = _step(train_step, 0.1)
    assert got == got, "the loss is NaN: micro-batch 4 has no counted word, and a mean over none is 0 / 0; divide once"
    assert close(got, loss), "the loss that comes back is not the mean over all counted words"


def _train_step(*, shift=True, count="shifted", reset=True, clip="end", step="end", number=float, report=None):
    def counted(labels):
        labels = labels[:, 1:] if count == "shifted" else labels
        return labels.numel() if count == "places" else int((labels != IGNORE).sum())

    def train_step(model, micro_batches, optimizer, clip_norm):
        words = sum(counted(labels) for _, labels in micro_batches)
        if reset:
            optimizer.zero_grad()
        total = 0.0
        for ids, labels in micro_batches:
            scores = model(ids)
            scores, targets = (scores[:, :-1], labels[:, 1:]) if shift else (scores, labels)
            loss = F.cross_entropy(scores.flatten(0, 1), targets.flatten(), reduction="sum") / words
            loss.backward()
            if clip == "each":
                nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            total += loss.item()
        if clip == "end":
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        if step == "end":
            optimizer.step()
        return number(total if report is None else report(total))

    return train_step


def _means_of_micro_batches(divide):
    def train_step(model, micro_batches, optimizer, clip_norm):
        optimizer.zero_grad()
        filled = [labels[:, 1:].max() > IGNORE for _, labels in micro_batches]
        total = 0.0
        for (ids, labels), some in zip(micro_batches, filled, strict=True):
            loss = F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
            if some:
                (loss / (sum(filled) if divide else 1)).backward()
                total += loss.item()
        nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        return total

    return train_step


def _without_zero(model, micro_batches, optimizer, clip_norm):
    """Takes label 0 for padding."""
    micro_batches = [(ids, labels.masked_fill(labels == 0, IGNORE)) for ids, labels in micro_batches]
    return _train_step()(model, micro_batches, optimizer, clip_norm)


def _step_of_one_graph(model, micro_batches, optimizer, clip_norm):
    optimizer.zero_grad(set_to_none=False)
    losses = []
    for ids, labels in micro_batches:
        scores = model(ids)[:, :-1].log_softmax(-1)
        chosen = labels[:, 1:] != IGNORE
        losses.append(-scores[chosen].gather(1, labels[:, 1:][chosen][:, None]).flatten())
    loss = torch.cat(losses).mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=clip_norm)
    optimizer.step()
    return loss.item()


def _step_by_grad(model, micro_batches, optimizer, clip_norm):
    weights = list(model.parameters())
    total, count, gradients = 0.0, 0, [torch.zeros_like(w) for w in weights]
    for ids, labels in micro_batches:
        shifted = F.pad(labels[:, 1:], (0, 1), value=IGNORE)
        loss = F.cross_entropy(model(ids).transpose(1, 2), shifted, reduction="sum")
        gradients = [sum(pair) for pair in zip(gradients, torch.autograd.grad(loss, weights), strict=True)]
        total, count = total + loss.detach().item(), count + (shifted != IGNORE).sum().item()
    size = sum((g / count).square().sum() for g in gradients).sqrt().item()
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient / count * (clip_norm / size if size > clip_norm else 1.0)
    optimizer.step()
    return total / count


def _step_of_one_batch(model, micro_batches, optimizer, clip_norm):
    """Pads everything to one batch, which is what micro-batches are there to avoid."""
    longest = max(ids.shape[1] for ids, _ in micro_batches)
    ids, labels = (
        torch.cat([F.pad(pair[k], (0, longest - pair[k].shape[1]), value=fill) for pair in micro_batches])
        for k, fill in ((0, 0), (1, IGNORE))
    )
    return _train_step()(model, [(ids, labels)], optimizer, clip_norm)


def _step_that_skips(model, micro_batches, optimizer, clip_norm):
    """A micro-batch without a counted word has no gradient, so it is left out."""
    filled = [pair for pair in micro_batches if (pair[1][:, 1:] != IGNORE).any()]
    return _train_step()(model, filled, optimizer, clip_norm)


def _step_by_words(model, micro_batches, optimizer, clip_norm):
    optimizer.zero_grad()
    words = []
    for ids, labels in micro_batches:
        scores = model(ids)
        for b, row in enumerate(labels.tolist()):
            words += [scores[b, t - 1].logsumexp(0) - scores[b, t - 1, y] for t, y in enumerate(row) if t and y >= 0]
    mean = sum(words) / len(words)
    mean.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    return float(mean.detach())


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
        "nothing came back": _train_step(number=lambda loss: None),
        "return the loss as a number": _train_step(number=torch.tensor),
        "together they do not fit into memory": _step_of_one_batch,
        "no weight moved": _train_step(step="never"),
        "nobody divided": _means_of_micro_batches(divide=False),
        "a mean of means": _means_of_micro_batches(divide=True),
        "count after the shift": _train_step(count="all"),
        "divided by all places": _train_step(count="places"),
        "0 is a word like any other": _without_zero,
        "not the gradient of one batch": _train_step(shift=False),
        "zero_grad before the first": _train_step(reset=False),
        "clip once, after the last backward": _train_step(clip="never"),
        "clipped in another direction": _train_step(clip="each"),
        "a mean over none is 0 / 0": _train_step(report=lambda total: float("nan")),
        "not the mean over all counted words": _train_step(report=lambda total: total * 3),
    },
    alternatives={
        "one graph, one backward": _step_of_one_graph,
        "gradients by autograd.grad": _step_by_grad,
        "word by word": _step_by_words,
        "micro-batches without a word skipped": _step_that_skips,
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
