"""How well scores rank positives above negatives: ROC, PR and the areas under them. No threshold is involved.

    ROC   true positive rate over false positive rate     chance: the diagonal, area 1/2, whatever the prevalence
    PR    precision over recall                           chance: a level line at the prevalence

Only the order of the scores counts: any strictly increasing map leaves every number here as it is (as long as it makes
no ties, which a sigmoid in low precision does). Labels: 1 positive, 0 negative. Axis letters: course_lib/__init__.py;
J counts thresholds.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from course_lib import refuse
from course_lib.metrics.thresholds import check_binary, operating_points


class RocCurve(NamedTuple):
    """From (0, 0), nothing called positive, to (1, 1), everything."""

    false_positive_rate: Float[Tensor, " J"]
    """Share of the negatives that are called positive: FP / (FP + TN)."""
    true_positive_rate: Float[Tensor, " J"]
    """Share of the positives that are called positive: TP / (TP + FN), which is recall."""
    threshold: Float[Tensor, " J"]
    """Descending, the first infinity."""


class PrecisionRecallCurve(NamedTuple):
    """From the highest score downwards; the last point has recall 1 and precision = prevalence."""

    precision: Float[Tensor, " J"]
    recall: Float[Tensor, " J"]
    threshold: Float[Tensor, " J"]
    """Descending: the distinct scores."""


@refuse.misfit
def roc_curve(label: Int[Tensor, " B"], score: Float[Tensor, " B"]) -> RocCurve:
    """Both rates at every distinct score, with the point (0, 0) in front.

    Best: the curve passes (0, 1). Chance: the diagonal. Equal scores make one slanted step, not a staircase: which of
    them comes first is not the classifier's doing.
    """
    _check_both_classes(label, score)
    points = operating_points(label, score)
    negatives, positives = points.false_positives[-1], points.true_positives[-1]
    return RocCurve(
        points.false_positives.double() / negatives, points.true_positives.double() / positives, points.threshold
    )


@refuse.misfit
def roc_auc(label: Int[Tensor, " B"], score: Float[Tensor, " B"]) -> float:
    """Probability that a random positive scores above a random negative, ties counted half.

        AUC = (Σ ranks of the positives - P (P + 1) / 2) / (P N)     P positives, N negatives, equal scores share a rank

    It equals the area under `roc_curve` and the Mann-Whitney U statistic over P N (Hanley and McNeil, 1982,
    doi:10.1148/radiology.143.1.7063747). O(B log B). Chance 0.5 for any prevalence; best 1; 0 is a perfect ranking
    upside down.
    """
    _check_both_classes(label, score)
    _, group, size = torch.unique(score, return_inverse=True, return_counts=True)
    shared_rank = size.cumsum(0) - (size - 1) / 2.0  # mean of the ranks, from 1, that equal scores occupy
    positives = int(label.sum())
    rank_sum = shared_rank.double()[group][label == 1].sum().item()
    return (rank_sum - positives * (positives + 1) / 2) / (positives * (len(label) - positives))


@refuse.misfit
def precision_recall_curve(label: Int[Tensor, " B"], score: Float[Tensor, " B"]) -> PrecisionRecallCurve:
    """Precision and recall at every distinct score.

    Best: precision 1 up to recall 1. Chance: precision = prevalence at every recall, so curves of data sets with
    different prevalence cannot be compared.
    """
    _check_both_classes(label, score)
    points = operating_points(label, score)
    true, called = points.true_positives[1:], (points.true_positives + points.false_positives)[1:]
    return PrecisionRecallCurve(true.double() / called, true.double() / true[-1], points.threshold[1:])


@refuse.misfit
def average_precision(label: Int[Tensor, " B"], score: Float[Tensor, " B"]) -> float:
    """Mean precision at the places where recall rises.

        AP = Σ_j (recall_j - recall_{j-1}) precision_j

    A sum of steps, not trapezoids: between two points precision does not run straight (Davis and Goadrich, 2006,
    doi:10.1145/1143844.1143874). Chance is about the prevalence; best 1.
    """
    curve = precision_recall_curve(label, score)
    gained = torch.diff(curve.recall, prepend=curve.recall.new_zeros(1))
    return (gained * curve.precision).sum().item()


def hanley_mcneil_std(auc: float, positives: int, negatives: int) -> float:
    """Standard deviation of an AUC over test sets of this size (same paper as `roc_auc`).

        Var = (A (1 - A) + (P - 1)(A / (2 - A) - A²) + (N - 1)(2 A² / (1 + A) - A²)) / (P N)

    Approximate: it takes the scores for exponentially distributed. The smaller class decides.
    """
    if not 0 <= auc <= 1 or min(positives, negatives) < 1:
        raise ValueError(f"AUC {auc} of {positives} positives and {negatives} negatives does not exist")
    two_positives, two_negatives = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (positives - 1) * (two_positives - auc**2) + (negatives - 1) * (two_negatives - auc**2)
    return (spread / (positives * negatives)) ** 0.5


def _check_both_classes(label: Int[Tensor, " B"], score: Float[Tensor, " B"]) -> None:
    check_binary(label, score)
    positives = int(label.sum())
    if positives in (0, len(label)):
        raise ValueError(f"{positives} positives among {len(label)}: a ranking needs both classes; use more examples")
