"""Whether probabilities mean what they say: of all answers given with 80 % confidence, are 80 % right?

Calibration is one of two virtues. A forecaster who always says the base rate is calibrated and useless; the proper
scores below, Brier and negative log-likelihood (which is `torch.nn.functional.cross_entropy`), reward both.

Axis letters are those of course_lib/__init__.py; J counts bins.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from course_lib import refuse

TEMPERATURES = (1e-3, 1e3)
"""Where `fit_temperature` looks."""


class Bins(NamedTuple):
    """Examples sorted by confidence into J equal intervals of [0, 1]; NaN means in an empty bin."""

    edges: Float[Tensor, " edges"]
    """J + 1 of them. A bin holds its upper edge: (low, high]; the first holds 0 as well."""
    count: Int[Tensor, " J"]
    confidence: Float[Tensor, " J"]
    """Mean of what was said."""
    accuracy: Float[Tensor, " J"]
    """Share of what was right."""


@refuse.misfit
def confidence_bins(confidence: Float[Tensor, " B"], right: Bool[Tensor, " B"], *, bins: int = 15) -> Bins:
    """What was said against what was right, bin by bin: the reliability diagram. Best: the two are equal everywhere."""
    refuse.empty(confidence=confidence)
    refuse.outside(0, 1, "probabilities are meant; try .softmax(-1).amax(-1)", confidence=confidence)
    refuse.outside(1, math.inf, bins=bins)
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    place = torch.bucketize(confidence.double(), edges[1:-1])  # right edge inside, as in the definition
    count = torch.bincount(place, minlength=bins)
    said = torch.zeros(bins, dtype=torch.float64).index_add_(0, place, confidence.double())
    was_right = torch.zeros(bins, dtype=torch.float64).index_add_(0, place, right.double())
    return Bins(edges, count, said / count, was_right / count)  # 0 / 0 is NaN


@refuse.misfit
def expected_calibration_error(
    probabilities: Float[Tensor, "B K"], label: Int[Tensor, " B"], *, bins: int = 15
) -> float:
    """Mean distance between confidence and accuracy over the bins, weighted by their counts.

        ECE = Σ_j (count_j / B) |accuracy_j - confidence_j|        confidence = probability of the predicted class

    Guo et al. (2017), arXiv:1706.04599. Best 0, worst 1. It has no chance value: always saying the base rate scores 0,
    and a perfectly calibrated model scores above 0 on a finite test set, more with more bins. Compare only figures of
    one test set and one number of bins, and give accuracy beside them.
    """
    _check(probabilities, label)
    confidence, predicted = probabilities.double().clamp(max=1).max(dim=-1)
    found = confidence_bins(confidence, predicted == label, bins=bins)
    filled = found.count > 0
    gap = (found.accuracy - found.confidence)[filled].abs()
    return (gap * found.count[filled] / len(label)).sum().item()


@refuse.misfit
def brier_score(probabilities: Float[Tensor, "B K"], label: Int[Tensor, " B"]) -> float:
    """Mean squared distance between the probabilities and the one-hot label, summed over classes.

        Brier = mean_b Σ_k (p_bk - [k = label_b])²

    Best 0, worst 2; 1 - 1/K for always saying 1/K. A proper score: only the true probabilities minimise its
    expectation. For two classes it is twice the form that looks at one class alone.
    """
    _check(probabilities, label)
    probabilities = probabilities.double()
    hit = probabilities[torch.arange(len(label)), label]
    return (probabilities.square().sum(dim=-1) - 2 * hit + 1).mean().item()


@refuse.misfit
def fit_temperature(logits: Float[Tensor, "B K"], label: Int[Tensor, " B"]) -> float:
    """The temperature T that makes softmax(logits / T) most likely on held-out examples (Guo et al., 2017).

    The loss is convex in 1/T, so its derivative, mean(E_p[logit] - logit of the label), has one zero; it is found by
    bisection in float64. T > 1 makes an overconfident model less sure. Dividing by T never changes an argmax, so
    accuracy stays. Use validation data, not the training data the model is already sure of.

    Raises ValueError where no T is best: every example right (T -> 0) or logits worse than none (T -> infinity).
    """
    refuse.empty(label=label)
    refuse.infinite(logits=logits)
    refuse.labels(logits.shape[1], label=label)
    logits = logits.detach().double()
    of_label = logits[torch.arange(len(label)), label]

    def slope(scale: float) -> float:
        """Derivative of the negative log-likelihood by 1/T."""
        return ((logits * (scale * logits).softmax(dim=-1)).sum(dim=-1) - of_label).mean().item()

    low, high = 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    if not slope(low) < 0 < slope(high):
        raise ValueError(
            f"no temperature between {TEMPERATURES[0]} and {TEMPERATURES[1]} is best on these {len(label)} examples: "
            "all are right, or the logits know nothing; use more held-out examples"
        )
    for _ in range(80):  # each halves the logarithmic interval: far below float64's spacing
        middle = (low * high) ** 0.5
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return (low * high) ** -0.5


def _check(probabilities: Float[Tensor, "B K"], label: Int[Tensor, " B"]) -> None:
    refuse.empty(label=label)
    refuse.improbable(probabilities=probabilities)
    refuse.labels(probabilities.shape[1], label=label)
