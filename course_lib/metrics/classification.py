"""How often a classifier is right, and in which way it is wrong. Each metric states its chance and its best value.

Everything here counts decisions, so a threshold or an argmax came before. What needs none is in ranking.py.

    accuracy 准确率     share of all decisions that are right
    precision 精确率    of what was called k, the share that is k      (查准率)
    recall 召回率       of what is k, the share that was called k      (查全率; true positive rate, sensitivity)

Axis letters are those of course_lib/__init__.py.
"""

import math
from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from course_lib import refuse

Average = Literal["macro", "micro", "weighted"]


@refuse.misfit
def accuracy(scores: Float[Tensor, "B K"], label: Int[Tensor, " B"]) -> float:
    """Share of examples whose largest score is the label's. Best 1; chance is the share of the most frequent class."""
    refuse.empty(label=label)
    refuse.nan(scores=scores)
    refuse.labels(scores.shape[1], label=label)
    return (scores.argmax(dim=-1) == label).float().mean().item()


@refuse.misfit
def confusion_matrix(label: Int[Tensor, " B"], predicted: Int[Tensor, " B"], classes: int) -> Int[Tensor, "K K"]:
    """Count every pair of (label, prediction): row = what it is, column = what it was called.

    The only thing to add up over batches and devices: matrices add, and every figure below is read from the sum.
    Best: a diagonal. Chance: row times column total over B.
    """
    refuse.labels(classes, label=label, predicted=predicted)
    return torch.bincount(label.long() * classes + predicted, minlength=classes**2).view(classes, classes)


class PerClass(NamedTuple):
    """Figures of each class, in the order of the confusion matrix. NaN where undefined and `zero_division` is NaN."""

    precision: Float[Tensor, " K"]
    recall: Float[Tensor, " K"]
    f1: Float[Tensor, " K"]
    support: Int[Tensor, " K"]
    """Examples whose label is the class."""


class Averaged(NamedTuple):
    """The same figures, one number each."""

    precision: float
    recall: float
    f1: float


@refuse.misfit
def precision_recall_f1(confusion: Int[Tensor, "K K"], *, zero_division: float = 0.0) -> PerClass:
    """Precision, recall and F1 of every class against the rest.

        precision = TP / (TP + FP)     recall = TP / (TP + FN)     F1 = 2 TP / (2 TP + FP + FN)

    F1 is the harmonic mean of precision and recall: near the smaller of the two. True negatives appear nowhere. Best 1.
    Chance, calling a share q of everything k at random where a share r is k: precision r, recall q, F1 2 q r / (q + r);
    so calling everything k scores an F1 of 2 r / (1 + r), which is 0.67 where r is a half.

    zero_division: value of a ratio without a denominator (a class never called, or not present): 0, 1 or NaN.
    """
    refuse.outside(0, math.inf, confusion=confusion)
    if zero_division not in (0, 1) and zero_division == zero_division:  # only NaN differs from itself
        raise ValueError(f"zero_division={zero_division} is no convention; try 0.0, 1.0 or float('nan')")
    right, called, present = confusion.diagonal(), confusion.sum(dim=0), confusion.sum(dim=1)
    return PerClass(
        precision=_ratio(right, called, zero_division),
        recall=_ratio(right, present, zero_division),
        f1=_ratio(2 * right, called + present, zero_division),
        support=present,
    )


@refuse.misfit
def average_precision_recall_f1(
    confusion: Int[Tensor, "K K"], average: Average, *, zero_division: float = 0.0
) -> Averaged:
    """One precision, recall and F1 for K classes.

        macro     mean over classes: a rare class counts as much as a frequent one
        weighted  mean over classes, weighted by support: recall is then the accuracy
        micro     pool the counts of all classes first: with one label per example all three are the accuracy

    macro F1 is the mean of the F1s, as in scikit-learn, and not the harmonic mean of macro precision and macro recall;
    the two can differ widely (Opitz and Burst, 2019, arXiv:1911.03347). Chance of macro recall is 1/K. Best 1.

    zero_division: as in `precision_recall_f1`; NaN leaves an undefined class out of the mean.
    """
    refuse.unknown(get_args(Average), average=average)
    each = precision_recall_f1(confusion, zero_division=zero_division)
    if average == "micro":
        total = confusion.sum()
        share = _ratio(confusion.trace(), total, zero_division).item()
        return Averaged(share, share, share)
    weight = each.support if average == "weighted" else torch.ones_like(each.support)
    return Averaged(*(_mean(figures, weight, zero_division) for figures in each[:3]))


def _ratio(part: Int[Tensor, "*K"], whole: Int[Tensor, "*K"], zero_division: float) -> Float[Tensor, "*K"]:
    undefined = torch.full_like(part, zero_division, dtype=torch.float64)
    return torch.where(whole > 0, part / whole.clamp(min=1).double(), undefined)


def _mean(figures: Float[Tensor, " K"], weight: Int[Tensor, " K"], zero_division: float) -> float:
    defined = ~figures.isnan()
    total = weight[defined].sum()
    if total == 0:
        return float(zero_division)
    return ((figures[defined] * weight[defined]).sum() / total).item()
