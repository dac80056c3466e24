"""From scores to decisions: what every threshold costs, and which one to take.

A threshold belongs to the decision, not to the model. It is chosen on validation data by what the mistakes cost, and
again when the costs or the share of positives change. Scores: higher means more positive; "called positive" means
score >= threshold. Labels: 1 positive, 0 negative.

Axis letters are those of course_lib/__init__.py; J counts thresholds.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from course_lib import refuse


class OperatingPoints(NamedTuple):
    """The confusion matrix at every threshold that changes it, from "nothing is positive" to "everything is"."""

    threshold: Float[Tensor, " J"]
    """Descending; the first is infinity, the others are the distinct scores."""
    true_positives: Int[Tensor, " J"]
    false_positives: Int[Tensor, " J"]
    false_negatives: Int[Tensor, " J"]
    true_negatives: Int[Tensor, " J"]


class Choice(NamedTuple):
    """A threshold and what it costs on the data it was chosen on."""

    threshold: float
    cost: float
    """Per example, in the unit of the given costs."""


@refuse.misfit
def operating_points(label: Int[Tensor, " B"], score: Float[Tensor, " B"]) -> OperatingPoints:
    """Count the four outcomes at every distinct score, in O(B log B): sort, then cumulative sums.

    Equal scores share a threshold, because no threshold can tell them apart. NaN scores and labels other than 0 and 1
    are refused.
    """
    check_binary(label, score)
    threshold, group = torch.unique(-score, return_inverse=True)  # sorts; the minus makes it descend
    positives = torch.zeros(len(threshold), dtype=torch.int64).index_add_(0, group, label.long())
    examples = torch.bincount(group, minlength=len(threshold))
    nothing = torch.zeros(1, dtype=torch.int64)
    true = torch.cat([nothing, positives.cumsum(0)])
    false = torch.cat([nothing, (examples - positives).cumsum(0)])
    above_all = torch.full((1,), float("inf"), dtype=score.dtype)
    return OperatingPoints(torch.cat([above_all, -threshold]), true, false, true[-1] - true, false[-1] - false)


@refuse.misfit
def check_binary(label: Int[Tensor, " B"], score: Float[Tensor, " B"]) -> None:
    """Refuse labels other than 0 and 1, and scores without an order."""
    if not ((label == 0) | (label == 1)).all():
        raise ValueError(f"labels {label.unique().tolist()} are not 0 and 1; compare with the positive class first")
    refuse.nan(score=score)


@refuse.misfit
def cheapest_threshold(
    label: Int[Tensor, " B"], score: Float[Tensor, " B"], *, false_positive_cost: float, false_negative_cost: float
) -> Choice:
    """The threshold with the lowest cost on these examples; with several, the highest.

        cost per example = (false_positive_cost * FP + false_negative_cost * FN) / B

    Best 0. Chance is the cheaper of "all negative" and "all positive", and no choice here is ever dearer than that.
    On the data it was chosen on, the cost is optimistic: measure it on others.
    """
    refuse.empty(label=label)
    _check_costs(false_positive_cost, false_negative_cost)
    points = operating_points(label, score)
    false_positives, false_negatives = points.false_positives.double(), points.false_negatives.double()
    cost = (false_positive_cost * false_positives + false_negative_cost * false_negatives) / len(label)
    best = int((cost == cost.min()).nonzero()[0])
    return Choice(points.threshold[best].item(), cost[best].item())


def bayes_threshold(*, false_positive_cost: float, false_negative_cost: float) -> float:
    """The probability above which "positive" is the cheaper call, if probabilities are calibrated.

        p * false_negative_cost > (1 - p) * false_positive_cost   <=>   p > c_FP / (c_FP + c_FN)

    Elkan (2001), "The foundations of cost-sensitive learning", IJCAI. Equal costs give 0.5.
    """
    _check_costs(false_positive_cost, false_negative_cost)
    return false_positive_cost / (false_positive_cost + false_negative_cost)


@refuse.misfit
def precision_at_prevalence(
    true_positive_rate: Float[Tensor, "*J"], false_positive_rate: Float[Tensor, "*J"], prevalence: float
) -> Float[Tensor, "*J"]:
    """Precision of the same classifier where a share `prevalence` is positive: Bayes' rule.

        precision = TPR π / (TPR π + FPR (1 - π))

    The two rates describe the classifier, π the world it is used in. Chance (TPR = FPR) is π; best 1. NaN where nothing
    is called positive.
    """
    if not 0 < prevalence < 1:
        raise ValueError(f"prevalence {prevalence} is outside (0, 1); one class would be absent")
    refuse.outside(0, 1, true_positive_rate=true_positive_rate, false_positive_rate=false_positive_rate)
    true, false = true_positive_rate * prevalence, false_positive_rate * (1 - prevalence)
    return true / (true + false)


def _check_costs(false_positive_cost: float, false_negative_cost: float) -> None:
    if not (0 < false_positive_cost < math.inf and 0 < false_negative_cost < math.inf):
        raise ValueError(f"costs {false_positive_cost} and {false_negative_cost}: both must be positive and finite")
