"""Exercise 21.2: the area under the ROC curve, with ties."""

import torch
from torch.overrides import TorchFunctionMode

from course_lib.lesson.exercises import Exercise

EXACT = 1e-5  # float32 is right to 1e-7; one pair among those of 60 scores weighs over 1e-3


def _scores(examples=60, levels=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    label = (torch.rand(examples, generator=generator) < 0.3).long()
    score = torch.randn(examples, generator=generator, dtype=torch.float64) + label
    return label, score if levels is None else (score * levels).round()


def _pairs(label, score, tie=0.5):
    gap = score[label == 1][:, None] - score[label == 0]
    return ((gap > 0).double() + tie * (gap == 0)).mean().item()


class _Largest(TorchFunctionMode):
    """Remembers the largest tensor that passes through torch."""

    numel = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.numel = max(self.numel, result.numel())
        return result


def auc_points_up(auc):
    label, score = torch.tensor([0, 0, 1, 1]), torch.tensor([0.1, 0.4, 0.35, 0.8])
    assert abs(auc(label, score) - 0.25) > 1e-6, "upside down: a positive with a HIGH score is what counts"
    assert abs(auc(label, score) - 0.75) < 1e-6, "4 scores without ties: 3 of the 4 pairs are in order, so 0.75"


def auc_is_about_order(auc):
    label, score = _scores(levels=None)
    assert abs(auc(label, score) - auc(label, score.exp() * 1e4)) < EXACT, "exp(score) changed it; use ranks only"
    assert abs(auc(label, score) - _pairs(label, score)) < EXACT, "without ties it is the share of pairs in order"


def auc_shares_ties(auc):
    label, score = _scores()
    got = auc(label, score)
    assert abs(got - _pairs(label, score, tie=0.0)) > EXACT, "ties count as lost; two equal scores are half a win"
    assert abs(got - _pairs(label, score, tie=1.0)) > EXACT, "ties count as won; two equal scores are half a win"
    up, down = torch.sort(label).indices, torch.sort(label, descending=True).indices
    gap = abs(auc(label[up], score[up]) - auc(label[down], score[down]))
    assert gap < EXACT, "the order of EQUAL scores changed it; give equal scores one shared rank, or one slanted step"
    assert abs(got - _pairs(label, score)) < EXACT, "with ties: share of pairs in order plus half the share of ties"


def auc_stays_small(auc):
    label, score = _scores(examples=600, levels=None)
    with _Largest() as seen:
        auc(label, score)
    assert seen.numel < 20 * 600, f"600 scores made a tensor of {seen.numel} numbers: compare ranks, not all the pairs"


def _auc(label, score):
    _, group, size = torch.unique(score, return_inverse=True, return_counts=True)
    rank = (size.cumsum(0) - (size - 1) / 2.0)[group].double()
    positives = int(label.sum())
    return (rank[label == 1].sum().item() - positives * (positives + 1) / 2) / (positives * (len(label) - positives))


def _auc_staircase(label, score):
    true = label[torch.sort(score, descending=True, stable=True).indices].double()
    rates = [torch.cat([torch.zeros(1), part.cumsum(0) / part.sum()]) for part in (1 - true, true)]
    return torch.trapezoid(rates[1], rates[0]).item()


def _auc_at_one_threshold(label, score):
    called = score > score.double().mean()
    return (called[label == 1].double().mean() + (~called[label == 0]).double().mean()).item() / 2


auc = Exercise(
    id="21.2 auc",
    task="Write auc(label, score): (B,) labels 0 and 1, (B,) scores with ties -> P(random positive above random "
    "negative), a tie counted half, in O(B log B).",
    stages=(auc_points_up, auc_is_about_order, auc_shares_ties, auc_stays_small),
    reference=_auc,
    mutants={
        "upside down": lambda y, s: _auc(y, -s),
        "exp(score) changed it": _auc_at_one_threshold,
        "ties count as lost": lambda y, s: _pairs(y, s, tie=0.0),
        "ties count as won": lambda y, s: _pairs(y, s, tie=1.0),
        "the order of EQUAL scores": _auc_staircase,
        "not all the pairs": _pairs,
    },
    hints=(
        "Sort once. A positive at rank r (from 1, ascending) stands above r - 1 others; some of them are positive.",
        "torch.unique(score, return_inverse=True, return_counts=True) sorts and groups; equals share a mean rank.",
        "Ranks of positives summed, minus P (P + 1) / 2, over P N. Shared rank: counts.cumsum(0) - (counts - 1) / 2.",
    ),
    difficulty=3,
    minutes=15,
)
