"""Exercise 31.1: a collate function."""

from itertools import zip_longest

import torch
from torch import nn
from torch.nn import functional as F

from course_lib.lesson.exercises import Exercise

IGNORE = -100


_BOS, _END = 1, 2
_EXAMPLES = [([7, 8, 9], [5, 6]), ([7, 2, 8], [6, 5, 5, 4]), ([9], [3])]
"""A prompt that holds the number of EOS as an ordinary token, and three lengths; the longest is no multiple of 8."""


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
    assert ids.shape == labels.shape == mask.shape == (3, 9), (
        "the longest example has 9 tokens with BOS and EOS; nothing is cut off and nobody needs more padding, so all "
        f"three tensors are (3, 9); ids came as {tuple(ids.shape)}"
    )


def collate_keeps_the_input(collate):
    ids, _, _ = _collated(collate, pad=0)
    assert ids[:, 0].tolist() == [1, 1, 1], "every row starts with BOS; in training padding stands on the right"
    assert ids[0].tolist() == [1, 7, 8, 9, 5, 6, 2, 0, 0], "a row is BOS, prompt, answer, EOS, then padding"
    other, _, _ = _collated(collate, pad=11)
    assert other[2].tolist() == [1, 9, 3, 2, 11, 11, 11, 11, 11], "padding is the number that `pad` says, not always 0"


def collate_marks_what_is_real(collate):
    for pad in (0, _END):  # many tokenizers have no pad token, and EOS takes its place
        ids, _, mask = _collated(collate, pad)
        assert ids[2].tolist() == [1, 9, 3, 2] + [pad] * 5, f"with pad = {pad} a row is not filled up with it"
        assert mask.sum(dim=1).tolist() == [7, 9, 4], (
            "with pad = EOS, as many tokenizers have it, real tokens are lost from the mask: go by the lengths, not "
            "by `ids != pad`"
        )


def collate_learns_answers_only(collate):
    for pad in (0, _END):
        ids, labels, _ = _collated(collate, pad)
        counted = labels != IGNORE
        prompts = torch.tensor([4, 4, 2])[:, None] > torch.arange(9)  # BOS included
        assert not counted[prompts].any(), "BOS or the prompt is learnt; the model is given those, label -100"
        assert counted.sum(dim=1).tolist() != [2, 4, 1], "EOS is not learnt, so the model will never stop"
        assert counted.sum(dim=1).tolist() == [3, 5, 2], "answer and EOS are learnt, padding is not: label -100 there"
        assert torch.equal(labels[counted], ids[counted]), (
            "a label is the id at its own place; the loss shifts, not you"
        )
    ids, labels, _ = collate([([], [4, 5]), ([6], [7])], 1, 2, 0)
    assert (ids.tolist(), labels[0].tolist()) == ([[1, 4, 5, 2], [1, 6, 7, 2]], [IGNORE, 4, 5, 2]), (
        "an example without a prompt is bos, answer, eos"
    )
    ids, labels, mask = collate([([4, 5], [0, 6, 0])], 9, 8, 0)
    due = [[9, 4, 5, 0, 6, 0, 8]], [[IGNORE, IGNORE, IGNORE, 0, 6, 0, 8]], [[True] * 7]
    assert (ids.tolist(), labels.tolist(), mask.tolist()) == due, (
        "one example whose answer holds the number of `pad`, with bos = 9 and eos = 8, comes out wrong: an id does not "
        "tell what a place is, its position does"
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


def _collate_by_lists(examples, bos, eos, pad):
    ids, labels, mask = [], [], []
    most = 2 + max(len(prompt) + len(answer) for prompt, answer in examples)
    for prompt, answer in examples:
        row = [bos] + prompt + answer + [eos]
        rest = most - len(row)
        ids.append(row + [pad] * rest)
        labels.append([IGNORE] * (1 + len(prompt)) + answer + [eos] + [IGNORE] * rest)
        mask.append([True] * len(row) + [False] * rest)
    return torch.tensor(ids), torch.tensor(labels), torch.tensor(mask)


def _collate_by_pad_sequence(examples, bos, eos, pad):
    rows = [torch.tensor([bos, *prompt, *answer, eos]) for prompt, answer in examples]
    heads = [torch.tensor([IGNORE] * (1 + len(prompt)) + [*answer, eos]) for prompt, answer in examples]
    ones = [torch.ones(len(row), dtype=torch.bool) for row in rows]
    parts = ((rows, pad), (heads, IGNORE), (ones, False))
    return tuple(nn.utils.rnn.pad_sequence(part, batch_first=True, padding_value=fill) for part, fill in parts)


def _collate_into(examples, bos, eos, pad):
    length = 2 + max(sum(map(len, example)) for example in examples)
    ids = torch.full((len(examples), length), pad, dtype=torch.long)
    labels, mask = torch.full_like(ids, IGNORE), torch.zeros_like(ids, dtype=torch.bool)
    for b, (prompt, answer) in enumerate(examples):
        start, end = 1 + len(prompt), 2 + len(prompt) + len(answer)
        ids[b, :end] = torch.as_tensor([bos, *prompt, *answer, eos])
        labels[b, start:end] = ids[b, start:end]
        mask[b, :end] = True
    return ids, labels, mask


collate = Exercise(
    id="31.1 collate",
    task="Write collate(examples, bos, eos, pad): a list of (prompt ids, answer ids) to ids, labels and mask, each "
    "(B, T). A row is bos, prompt, answer, eos, then pad on the right. Labels are the ids of answer and eos, -100 "
    "elsewhere; mask is True at real tokens. pad may be the same number as eos, and a prompt may be empty.",
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
        "nobody needs more padding": _with(
            lambda ids, labels, mask, pad: tuple(
                F.pad(part, (0, -part.shape[1] % 8), value=fill)
                for part, fill in ((ids, pad), (labels, IGNORE), (mask, False))
            )
        ),
        "its position does": lambda examples, bos, eos, pad: (
            lambda ids, labels, mask: (ids, labels.masked_fill((ids == pad) & (ids != eos), IGNORE), mask)
        )(*_collate(examples, bos, eos, pad)),
        "is not filled up with it": lambda examples, bos, eos, pad: (
            lambda ids, labels, mask: (ids.masked_fill(~mask & (pad == eos), 0), labels, mask)
        )(*_collate(examples, bos, eos, pad)),
        "an example without a prompt": lambda examples, bos, eos, pad: _collate(
            [(prompt or [pad], answer) for prompt, answer in examples], bos, eos, pad
        ),
    },
    alternatives={
        "three lists, filled up": _collate_by_lists,
        "pad_sequence": _collate_by_pad_sequence,
        "written into a full tensor": _collate_into,
    },
    hints=(
        "Write down the row of the longest example, token by token, and under it the label of each token.",
        "Keep the length of each row before you pad it: mask = arange(T) < length. `ids != pad` would lose EOS.",
        "labels = ids.masked_fill((arange(T) < 1 + len(prompt)) | ~mask, -100), with lengths as columns (B, 1).",
    ),
    difficulty=2,
    minutes=12,
)
