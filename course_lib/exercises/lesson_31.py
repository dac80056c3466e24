"""Exercises of lesson 31: a collate function, a training step, generation with a cache."""

from itertools import zip_longest

import torch
from torch import nn
from torch.nn import functional as F

from course_lib.lesson.exercises import Exercise

IGNORE = -100

# --- 31.1 collate -----------------------------------------------------------------------------------------------------

_BOS, _END = 1, 2
_EXAMPLES = [([7, 8, 9], [5, 6]), ([7, 2], [6, 5, 5, 4]), ([9], [3])]
"""A prompt that holds the number of EOS as an ordinary token, and three lengths."""


def _collated(collate, pad):
    got = collate(_EXAMPLES, _BOS, _END, pad)
    assert isinstance(got, tuple) and len(got) == 3 and all(isinstance(part, torch.Tensor) for part in got), (
        "three tensors should come back: ids, labels, mask"
    )
    return got


def collate_has_shapes(collate):
    ids, labels, mask = _collated(collate, pad=0)
    assert ids.dtype == labels.dtype == torch.int64, (
        "ids and labels are whole numbers: int64, as an embedding takes them"
    )
    assert mask.dtype == torch.bool, "the mask is boolean: True where a token is real"
    assert ids.shape == labels.shape == mask.shape == (3, 8), (
        "the longest example has 8 tokens with BOS and EOS; nothing is cut off, so all three tensors are (3, 8)"
    )


def collate_keeps_the_input(collate):
    ids, _, _ = _collated(collate, pad=0)
    assert ids[:, 0].tolist() == [1, 1, 1], "every row starts with BOS; in training padding stands on the right"
    assert ids[0].tolist() == [1, 7, 8, 9, 5, 6, 2, 0], "a row is BOS, prompt, answer, EOS, then padding"
    other, _, _ = _collated(collate, pad=11)
    assert other[2].tolist() == [1, 9, 3, 2, 11, 11, 11, 11], "padding is the number that `pad` says, not always 0"


def collate_marks_what_is_real(collate):
    for pad in (0, _END):  # many tokenizers have no pad token, and EOS takes its place
        _, _, mask = _collated(collate, pad)
        assert mask.sum(dim=1).tolist() == [7, 8, 4], (
            "with pad = EOS, as many tokenizers have it, real tokens are lost from the mask: go by the lengths, not "
            "by `ids != pad`"
        )


def collate_learns_answers_only(collate):
    for pad in (0, _END):
        ids, labels, _ = _collated(collate, pad)
        counted = labels != IGNORE
        assert not counted[:, :2].any(), "BOS or the prompt is learnt; the model is given those, label -100"
        assert counted.sum(dim=1).tolist() != [2, 4, 1], "EOS is not learnt, so the model will never stop"
        assert counted.sum(dim=1).tolist() == [3, 5, 2], "answer and EOS are learnt, padding is not: label -100 there"
        assert torch.equal(labels[counted], ids[counted]), (
            "a label is the id at its own place; the loss shifts, not you"
        )


def _collate(examples, bos, eos, pad):
    rows = [[bos, *prompt, *answer, eos] for prompt, answer in examples]
    length = torch.tensor([[len(row)] for row in rows])
    ids = torch.tensor(list(zip_longest(*rows, fillvalue=pad))).T
    place = torch.arange(ids.shape[1])
    start = torch.tensor([[1 + len(prompt)] for prompt, _ in examples])
    mask = place < length
    return ids, ids.masked_fill((place < start) | ~mask, IGNORE), mask


def _with(change):
    """The reference with its result changed: change(ids, labels, mask, pad)."""

    def collate(examples, bos, eos, pad):
        return change(*_collate(examples, bos, eos, pad), pad)

    return collate


def _on_the_left(ids, labels, mask, pad):
    order = mask.int().argsort(dim=1, stable=True)
    return tuple(part.gather(1, order) for part in (ids, labels, mask))


def _ignores_by_id(ids, labels, mask, pad):
    return ids, labels.masked_fill(ids == _END, IGNORE), mask


collate = Exercise(
    id="31.1 collate",
    task="Write collate(examples, bos, eos, pad): a list of (prompt ids, answer ids) to ids, labels and mask, each "
    "(B, T). A row is bos, prompt, answer, eos, then pad on the right. Labels are the ids of answer and eos, -100 "
    "elsewhere; mask is True at real tokens. pad may be the same number as eos.",
    stages=(collate_has_shapes, collate_keeps_the_input, collate_marks_what_is_real, collate_learns_answers_only),
    reference=_collate,
    mutants={
        "three tensors should come back": lambda examples, bos, eos, pad: _collate(examples, bos, eos, pad)[:2],
        "int64": _with(lambda ids, labels, mask, pad: (ids.float(), labels.float(), mask)),
        "the mask is boolean": _with(lambda ids, labels, mask, pad: (ids, labels, mask.float())),
        "nothing is cut off": _with(lambda ids, labels, mask, pad: (ids[:, :4], labels[:, :4], mask[:, :4])),
        "padding stands on the right": _with(_on_the_left),
        "not always 0": lambda examples, bos, eos, pad: _collate(examples, bos, eos, 0),
        "go by the lengths": _with(lambda ids, labels, mask, pad: (ids, labels, ids != pad)),
        "BOS or the prompt is learnt": _with(
            lambda ids, labels, mask, pad: (ids, ids.masked_fill(~mask, IGNORE), mask)
        ),
        "EOS is not learnt": _with(_ignores_by_id),
        "padding is not: label -100": _with(lambda ids, labels, mask, pad: (ids, torch.where(mask, labels, ids), mask)),
        "the loss shifts, not you": _with(
            lambda ids, labels, mask, pad: (ids, torch.where(labels != IGNORE, ids.roll(1, dims=1), labels), mask)
        ),
    },
    hints=(
        "Write down the row of the longest example, token by token, and under it the label of each token.",
        "Keep the length of each row before you pad it: mask = arange(T) < length. `ids != pad` would lose EOS.",
        "labels = ids.masked_fill((arange(T) < 1 + len(prompt)) | ~mask, -100), with lengths as columns (B, 1).",
    ),
    difficulty=2,
    minutes=12,
)

# --- 31.2 train_step --------------------------------------------------------------------------------------------------


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

# --- 31.3 generate ----------------------------------------------------------------------------------------------------


class _Script:
    """A model with a plan: the words it will say to each prompt, and a diary of how it was asked."""

    plans = {3: [5, 6, 2, 7, 7, 7], 4: [8, 2, 7, 7, 7, 7], 9: [5, 5, 5, 5, 5, 2]}

    def __init__(self):
        self.starts, self.read = 0, []

    def start(self, image, ids):
        self.starts += 1
        self.image = image
        cache = {"plan": [self.plans[int(row[-1])] for row in ids], "place": 0, "rows": len(ids)}
        return self._scores(cache), cache

    def step(self, words, cache):
        self.read.append(words.tolist())
        cache["place"] += 1
        return self._scores(cache)

    def _scores(self, cache):
        said = torch.tensor([plan[min(cache["place"], 5)] for plan in cache["plan"]])
        return 5.0 * F.one_hot(said, 10).float() - 7.0


_IMAGE, _PROMPTS = torch.zeros(3, 3, 4, 4), torch.tensor([[1, 3], [1, 4], [1, 9]])


def _generated(generate, most):
    model = _Script()
    got = generate(model, _IMAGE, _PROMPTS, most, 2, 0)
    assert isinstance(got, torch.Tensor) and got.ndim == 2 and len(got) == 3, (
        "a tensor (B, N) should come back, one row a prompt"
    )
    return model, got


def generates_one_word_after_the_other(generate):
    _, got = _generated(generate, 2)
    assert got[:, 0].tolist() == [5, 8, 5], (
        "the first word comes from the scores that `start` gives; it must not be lost"
    )
    assert got[2].tolist() != [5, 2], "row 3 was ended when another row said EOS"
    assert got[0].tolist() == [5, 6], "the words are not what the model says next, each time given its own last word"


def generates_through_the_cache(generate):
    model, _ = _generated(generate, 3)
    assert model.starts == 1, (
        "image and prompt are read again for every word: call `start` once, then `step` with the last words"
    )
    assert model.read[0] == [5, 8, 5], "`step` reads the words that were just said"
    assert len(model.read) <= 2, "the last word needs no further step: nobody reads what would follow"


def generates_padding_after_the_end(generate):
    _, got = _generated(generate, 6)
    assert got[1].tolist()[:2] == [8, 2], "EOS itself belongs to the answer"
    assert got[1].tolist()[2:] == [0] * (got.shape[1] - 2), "words after EOS: once a row has ended it gets `pad`"


def generates_until_all_have_ended(generate):
    _, got = _generated(generate, 6)
    assert got[2].tolist() == [5, 5, 5, 5, 5, 2], (
        "the longest answer is cut off: stop when all rows have ended, not the first"
    )
    model = _Script()
    got = generate(model, _IMAGE[:2], _PROMPTS[:2], 6, 2, 0)
    assert got.tolist() == [[5, 6, 2], [8, 2, 0]] and len(model.read) == 2, (
        "all rows have ended after three words, and it goes on to `most`"
    )


def _generate(*, first=True, cached=True, pad_after=True, until=all, reads="words", early=True):
    def generate(model, image, prompt, most, eos, pad):
        scores, cache = model.start(image, prompt)
        ended = torch.zeros(len(prompt), dtype=torch.bool)
        words = []
        for number in range(most):
            if number > 0 or not first:
                said = words[-1] if words else scores.argmax(dim=1)
                if not cached:  # reads everything again, and skips ahead to where it was
                    _, cache = model.start(image, prompt)
                    cache["place"] = number - 1
                scores = model.step(said if reads == "words" else prompt[:, -1], cache)
            word = scores.argmax(dim=1)
            word = torch.where(ended, pad, word) if pad_after else word
            words.append(word)
            ended = ended | (word == eos)
            if early and until(ended.tolist()):
                break
        if reads == "after":
            model.step(words[-1], cache)
        return torch.stack(words, dim=1)

    return generate


def _reads_the_last_too(model, image, prompt, most, eos, pad):
    scores, cache = model.start(image, prompt)
    words, ended = [], torch.zeros(len(prompt), dtype=torch.bool)
    for _ in range(most):
        word = torch.where(ended, pad, scores.argmax(dim=1))
        words.append(word)
        ended = ended | (word == eos)
        scores = model.step(word, cache)
        if ended.all():
            break
    return torch.stack(words, dim=1)


def _teacher_forced(model, image, prompt, most, eos, pad):
    scores, _ = model.start(image, prompt)
    return scores.argmax(dim=1)[:, None].expand(-1, most)


generate = Exercise(
    id="31.3 generate",
    task="Write generate(model, image, prompt, most, eos, pad): greedy answers, (B, N) with N <= most. "
    "model.start(image, prompt) gives scores of the first word (B, V) and a cache; model.step(words, cache) reads "
    "the words (B,) and gives the scores of the next. A row that has said eos gets pad; stop when all have ended.",
    stages=(
        generates_one_word_after_the_other,
        generates_through_the_cache,
        generates_padding_after_the_end,
        generates_until_all_have_ended,
    ),
    reference=_generate(),
    mutants={
        "must not be lost": _generate(first=False),
        "each time given its own last word": _teacher_forced,
        "read again for every word": _generate(cached=False),
        "reads the words that were just said": _generate(reads="prompt"),
        "the last word needs no further step": _reads_the_last_too,
        "words after EOS": _generate(pad_after=False),
        "row 3 was ended": lambda model, image, prompt, most, eos, pad: torch.tensor([[5, 6], [8, 2], [5, 2]]),
        "stop when all rows have ended, not the first": _generate(until=any),
        "it goes on to `most`": _generate(early=False),
    },
    hints=(
        "Evaluation by argmax of teacher-forced logits reads the true words. Here the model only reads its own.",
        "Loop: word = scores.argmax(dim=1), pad in rows that have ended; remember it; stop, or step.",
        "ended = ended | (word == eos) after word = torch.where(ended, pad, word); break if ended.all() or it was "
        "the last word; step comes after the break.",
    ),
    difficulty=2,
    minutes=12,
)

EXERCISES = [collate, train_step, generate]
