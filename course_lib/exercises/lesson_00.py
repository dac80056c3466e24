"""Exercise of lesson 00: a softmax that survives large scores."""

import math

import torch

from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close


def _right(got, scores):
    """Within what float32 keeps of the scores: 10,000 has three digits behind the point, and x - logsumexp shows it."""
    slack = 1e-5 + 2e-7 * scores.abs().amax(-1, keepdim=True)
    return got.shape == scores.shape and bool(((got - scores.double().softmax(-1)).abs() <= slack).all())


def rows_sum_to_one(softmax):
    scores = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 4.0]])
    total = softmax(scores).sum(dim=-1)
    assert close(total, [1.0, 1.0]), (
        f"each row should sum to 1, rows sum to {[round(value, 2) for value in total.flatten().tolist()]}: which axis?"
    )


def uses_exponentials(softmax):
    got = softmax(torch.tensor([[0.0, 1.0]]))[0]
    ratio = (got[1] / got[0]).item()
    assert abs(ratio - 2.718282) < 1e-3, (
        f"one more point of score should multiply the probability by e, got {ratio:.2f}"
    )


def survives_large_scores(softmax):
    got = softmax(torch.tensor([[10_000.0, 9_999.0]]))
    assert torch.isfinite(got).all(), "scores of 10,000 overflow exp: subtract the largest score of the row first"
    assert _right(got, torch.tensor([[10_000.0, 9_999.0]])), (
        "10,000 and 9,999 differ by 1 and must come out like 1 and 0, as 0.73 and 0.27: cut nothing off, subtract"
    )


def is_right_for_every_row(softmax):
    scores = torch.tensor([[0.0, 1.0], [500.0, -500.0], [-700.0, -701.0], [-9_999.0, -10_000.0], [10_000.0, -10_000.0]])
    for rows in (scores, 3 * torch.randn(6, 9, generator=torch.Generator().manual_seed(0))):
        assert all(_right(softmax(row[None]), row[None]) for row in rows) and _right(softmax(rows), rows), (
            "rows with smaller scores come out wrong: take the maximum per row"
        )
    assert _right(softmax(scores.flip(1)), scores.flip(1)), (
        "right while the first score of a row is the largest: subtract the maximum of the row, wherever it stands"
    )


def _softmax(x):
    shifted = (x - x.max(dim=-1, keepdim=True).values).exp()
    return shifted / shifted.sum(dim=-1, keepdim=True)


def _one_maximum_for_all(x):
    shifted = (x - x.max()).exp()
    return shifted / shifted.sum(dim=-1, keepdim=True).clamp_min(1e-30)


def _by_rows(x):
    rows = []
    for row in x.tolist():
        powers = [math.exp(score - max(row)) for score in row]
        rows.append([power / math.fsum(powers) for power in powers])
    return torch.tensor(rows)


def _shares(powers):
    return powers * torch.einsum("bk->b", powers).reciprocal()[:, None]


def _first_score_for_the_largest(x):
    shifted = (x - x[:, :1]).exp()
    return shifted / shifted.sum(dim=-1, keepdim=True)


softmax = Exercise(
    id="00.1 softmax",
    task="Write softmax(x): (B, K) scores -> (B, K) probabilities along the last axis, without overflow at 10,000.",
    stages=(rows_sum_to_one, uses_exponentials, survives_large_scores, is_right_for_every_row),
    reference=_softmax,
    mutants={
        "which axis": lambda x: x.exp() / x.exp().sum(dim=0, keepdim=True),
        "multiply the probability by e": lambda x: (x + 1) / (x + 1).sum(dim=-1, keepdim=True),
        "subtract the largest score": lambda x: x.exp() / x.exp().sum(dim=-1, keepdim=True),
        "take the maximum per row": _one_maximum_for_all,
        "cut nothing off": lambda x: x.clamp(-80, 80).exp() / x.clamp(-80, 80).exp().sum(dim=-1, keepdim=True),
        "wherever it stands": _first_score_for_the_largest,
    },
    alternatives={
        "through logsumexp": lambda x: (x - x.logsumexp(dim=-1, keepdim=True)).exp(),
        "a loop over rows in Python's numbers": _by_rows,
        "powers of two, einsum": lambda x: _shares(torch.exp2((x - x.amax(1, keepdim=True)) * 1.4426950408889634)),
    },
    hints=(
        "The formula is right, and exp(10,000) is infinity in float32. What may you subtract from all scores?",
        "softmax(x) = softmax(x - c) for any number c per row. Choose c so that no exponent is positive.",
        "shifted = (x - x.max(dim=-1, keepdim=True).values).exp(), then divide by shifted.sum(dim=-1, keepdim=True).",
    ),
    difficulty=1,
    minutes=5,
)

EXERCISES = (softmax,)
