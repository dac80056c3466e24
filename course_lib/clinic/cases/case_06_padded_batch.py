"""Case 06, the loss of a padded batch."""

from types import SimpleNamespace as Program

import torch

from course_lib.clinic.case import Case

_CAPTIONS = [[5, 6], [7, 5, 6, 8], [6]]


def padding_changes_nothing(program: Program) -> None:
    """Scores that depend on the place only; the truth by a loop."""
    scores = torch.randn(3, 12, 9, generator=torch.Generator().manual_seed(0))
    values, at = [], {}
    for length in (6, 9, 12):
        ids = program.pad(_CAPTIONS, length)
        assert ids.shape == (3, length) and (ids == 0).any(), "`pad` is right; short captions need it"
        at[length] = program.caption_loss(scores[:, :length], ids).item()
    for row, caption in enumerate(_CAPTIONS):
        for place, word in enumerate([*caption, 2]):
            values.append(-scores[row, place].log_softmax(dim=-1)[word].item())
    truth, count = sum(values) / len(values), len(values)
    no_eos = (sum(values) - sum(_eos_losses(scores))) / (count - 3)
    assert abs(at[9] - no_eos) > 1e-4, "EOS is left out as well: the model will never stop; only PAD is not a word"
    assert abs(at[9] - sum(values) / (3 * 8)) > 1e-4, (
        "padding is worth 0 now, but still counts in the mean: divide by words"
    )
    shortest = (
        sum(-scores[r, t].log_softmax(-1)[[*c, 2][t]].item() for r, c in enumerate(_CAPTIONS) for t in range(2)) / 6
    )
    assert abs(at[9] - shortest) > 1e-4, "long captions are cut to the length of the shortest; nothing may be lost"
    means = [values[first:last] for first, last in ((0, 3), (3, 8), (8, 10))]  # the words of each caption, and EOS
    assert abs(at[9] - sum(sum(part) / len(part) for part in means) / 3) > 1e-4, (
        "a mean of the captions' means: a word of a short caption counts more; divide by all words"
    )
    assert abs(at[9] - sum(values)) > 1e-4, "the sum over the words; their mean is asked for"
    assert abs(at[9] - sum(values) / (count + 3)) > 1e-4, "BOS is counted among the words, but nothing predicts it"
    assert abs(at[6] - at[12]) < 1e-4, (
        "the same captions with more padding have another loss: padding is learnt as a word"
    )
    assert abs(at[9] - truth) < 1e-4, "that is not the mean loss of the words and EOS"


def _eos_losses(scores: torch.Tensor) -> list[float]:
    return [-scores[row, len(caption)].log_softmax(dim=-1)[2].item() for row, caption in enumerate(_CAPTIONS)]


_MEAN = "return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())"
_EACH = "each = F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction='none')"

CASE = Case(
    number="06",
    title="the loss of a padded batch",
    complaint="The more I pad, the better my loss. My colleague says that cannot be.",
    stages=(padding_changes_nothing,),
    original="padding is learnt as a word",
    repair=((_MEAN, _MEAN.replace(".flatten())", ".flatten(), ignore_index=PAD)")),),
    wrong={
        "the model will never stop": (
            (_MEAN, f"{_EACH}\n    words = ids[:, 1:] > EOS\n    return each[words].mean()"),
        ),
        "divide by words": ((_MEAN, f"{_EACH}\n    return (each * (ids[:, 1:] != PAD)).mean()"),),
        "cut to the length of the shortest": (
            (
                _MEAN,
                "shortest = int((ids != PAD).sum(dim=1).min())\n"
                "    return F.cross_entropy(logits[:, : shortest - 1].flatten(0, 1), ids[:, 1:shortest].flatten())",
            ),
        ),
        "a mean of the captions' means": (
            (_MEAN, f"{_EACH} * (ids[:, 1:] != PAD)\n    return (each.sum(1) / (ids[:, 1:] != PAD).sum(1)).mean()"),
        ),
        "the sum over the words": (
            (_MEAN, _MEAN.replace(".flatten())", ".flatten(), ignore_index=PAD, reduction='sum')")),
        ),
        "BOS is counted": ((_MEAN, f"{_EACH}\n    return (each * (ids[:, 1:] != PAD)).sum() / (ids != PAD).sum()"),),
        "NaN painted over": ((_MEAN, f"return torch.nan_to_num({_MEAN.removeprefix('return ')})"),),
        "`pad` is right": (
            (
                "return torch.tensor([row + [PAD] * (length - len(row)) for row in rows])",
                "return torch.tensor([row[:3] for row in rows])",
            ),
        ),
    },
    hints=(
        "Which word does the fit call most likely, and what does its number mean?",
        "The mean runs over all places. Which of them are words?",
        "cross_entropy has ignore_index; it leaves those places out of the sum and out of the count.",
    ),
    defect="padding was trained as a word: it is the easiest and the most frequent one, so it lowers the mean and "
    "drowns the rest. Padding must not change the loss: that is a two-line test",
    met=(
        "X228",
        "TRL #6357, the other way round: EOS masked as padding <https://github.com/huggingface/trl/pull/6357>",
    ),
    difficulty=1,
    minutes=5,
)
