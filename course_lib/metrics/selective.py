"""Prediction with the right to be silent: the model answers where it is sure, and hands the rest to a person.

    coverage   share of the examples that are answered
    risk       share of the answered ones that are wrong

Geifman and El-Yaniv (2017), arXiv:1705.08500. Axis letters: course_lib/__init__.py; J counts distinct confidences.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from course_lib import refuse
from course_lib.metrics.thresholds import operating_points


class RiskCoverage(NamedTuple):
    """What is answered, and how wrong, at every threshold on the confidence; the last point answers everything."""

    coverage: Float[Tensor, " J"]
    """Rising to 1."""
    risk: Float[Tensor, " J"]
    threshold: Float[Tensor, " J"]
    """Descending: answered means confidence >= threshold."""


@refuse.misfit
def risk_coverage_curve(confidence: Float[Tensor, " B"], right: Bool[Tensor, " B"]) -> RiskCoverage:
    """Risk and coverage where one answers from each distinct confidence upwards. Only the order of confidences counts.

    With a confidence that knows nothing the risk is the error rate at every coverage.
    """
    refuse.empty(confidence=confidence)
    points = operating_points((~right).long(), confidence)
    answered = points.true_positives + points.false_positives  # "positive" is a wrong answer
    risk = points.true_positives[1:] / answered[1:].double()
    return RiskCoverage(answered[1:] / float(len(confidence)), risk, points.threshold[1:])


@refuse.misfit
def area_under_risk_coverage(confidence: Float[Tensor, " B"], right: Bool[Tensor, " B"]) -> float:
    """AURC: mean of the risk over all coverages, as steps (Geifman et al., 2019, arXiv:1805.08206).

    A constant confidence gives the error rate e. The best order, all wrong answers last, gives about
    e + (1 - e) log(1 - e), which is close to e² / 2.
    """
    curve = risk_coverage_curve(confidence, right)
    steps = torch.diff(curve.coverage, prepend=curve.coverage.new_zeros(1))
    return (steps * curve.risk).sum().item()
