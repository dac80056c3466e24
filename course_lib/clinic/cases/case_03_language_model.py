"""Case 03, a language model on captions."""

from types import SimpleNamespace as Program

import torch
from torch import Tensor, nn

from course_lib.clinic.case import Case

V5 = "transformers, migration guide to v5 <https://github.com/huggingface/transformers/blob/main/MIGRATION_GUIDE_V5.md>"


class _Table(nn.Module):
    """Scores that depend on the word at the place, drawn once."""

    def __init__(self, words: int = 40) -> None:
        super().__init__()
        self.scores = torch.randn(words, words, generator=torch.Generator().manual_seed(3))

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) to (B, T, V)."""
        return self.scores[ids]


_IDS = torch.tensor([[1, 9, 12, 7, 2, 0], [1, 5, 2, 0, 0, 0], [1, 30, 31, 32, 33, 2]])


def _told(scores: Tensor, targets: Tensor, ignore: int = 0) -> float:
    """Mean loss by a loop over words."""
    values = [
        -scores[b, t].log_softmax(dim=-1)[targets[b, t]].item()
        for b in range(targets.shape[0])
        for t in range(targets.shape[1])
        if targets[b, t] != ignore
    ]
    return sum(values) / len(values)


def predicts_the_next_word(program: Program) -> None:
    """The truth by a loop, and the mistakes by their values."""
    table = _Table()
    scores, got = table(_IDS), program.lm_loss(table, _IDS).item()
    known = {
        "the scores at a place are compared with the word at that place, which the model has just read; the word to "
        "come is one place to the right": _told(scores, _IDS),
        "shifted the wrong way: the model is asked for the word before": _told(scores[:, 1:], _IDS[:, :-1]),
        "both were cut alike, so nothing was shifted: scores without the last place, words without the first": _told(
            scores[:, :-1], _IDS[:, :-1]
        ),
        "shifted, but now padding counts as a word again; keep ignore_index": _told(
            scores[:, :-1], _IDS[:, 1:], ignore=-1
        ),
        "shifted twice: the model is asked for the word after the next one": _told(scores[:, :-2], _IDS[:, 2:]),
        "a mean of the captions' means: a word of a short caption counts more; divide by all words": sum(
            _told(scores[row : row + 1, :-1], _IDS[row : row + 1, 1:]) for row in range(3)
        )
        / 3,
    }
    for advice, value in known.items():
        assert abs(got - value) > 1e-4, advice
    assert abs(got - _told(scores[:, :-1], _IDS[:, 1:])) < 1e-4, "that is not the mean loss of the word to come"


_LOSS = "return F.cross_entropy(logits.flatten(0, 1), ids.flatten(), ignore_index=ENGLISH.PAD)"

CASE = Case(
    number="03",
    title="a language model on captions",
    complaint="The loss a word is below 0.002 on day one! But what it writes is empty.",
    stages=(predicts_the_next_word,),
    original="which the model has just read",
    repair=(
        (_LOSS, "return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=ENGLISH.PAD)"),
    ),
    wrong={
        "shifted the wrong way": (
            (
                _LOSS,
                "return F.cross_entropy(logits[:, 1:].flatten(0, 1), ids[:, :-1].flatten(), ignore_index=ENGLISH.PAD)",
            ),
        ),
        "both were cut alike": (
            (
                _LOSS,
                "return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, :-1].flatten(), ignore_index=ENGLISH.PAD)",
            ),
        ),
        "padding counts as a word again": (
            (_LOSS, "return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())"),
        ),
        "shifted twice": (
            (
                _LOSS,
                "return F.cross_entropy(logits[:, :-2].flatten(0, 1), ids[:, 2:].flatten(), ignore_index=ENGLISH.PAD)",
            ),
        ),
        "a mean of the captions' means": (
            (
                _LOSS,
                "each = F.cross_entropy(logits[:, :-1].mT, ids[:, 1:], ignore_index=ENGLISH.PAD, reduction='none')\n"
                "    return (each.sum(dim=1) / (ids[:, 1:] != ENGLISH.PAD).sum(dim=1)).mean()",
            ),
        ),
        "not the mean loss of the word to come": ((_LOSS, _LOSS.replace("ENGLISH.PAD)", "ENGLISH.PAD) + 1.0")),),
        "NaN painted over": (("logits = model(ids)\n    return", "logits = torch.nan_to_num(model(ids))\n    return"),),
    },
    hints=(
        "What is the loss of a model that copies the word it has just read?",
        "The scores at place t were made from words 0 to t. Which word are they about?",
        "Scores without the last place, logits[:, :-1]; words without the first, ids[:, 1:].",
    ),
    defect="no shift: the model learnt to copy its input. A loss far below the entropy of the text on day one is a "
    "leak, not a success; let the model write before you believe it",
    met=(
        "KempnerForge #154, a captioner whose loss collapses to 0 "
        "<https://github.com/KempnerInstitute/KempnerForge/issues/154>",
        "X228",
    ),
    difficulty=1,
    minutes=6,
)
