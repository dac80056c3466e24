"""Risk and coverage against a loop over thresholds, and against what an order can reach at best."""

import math

import pytest
import torch

from course_lib.metrics.selective import area_under_risk_coverage, risk_coverage_curve

CONFIDENCE = torch.tensor([0.9, 0.6, 0.9, 0.3, 0.7, 0.6, 0.2])
RIGHT = torch.tensor([True, False, True, False, True, True, False])


def test_curve_is_what_a_loop_over_thresholds_finds():
    curve = risk_coverage_curve(CONFIDENCE, RIGHT)
    assert curve.threshold.tolist() == sorted(set(CONFIDENCE.tolist()), reverse=True)
    for coverage, risk, threshold in zip(*(part.tolist() for part in curve), strict=True):
        answered = [right for c, right in zip(CONFIDENCE.tolist(), RIGHT.tolist(), strict=True) if c >= threshold]
        assert coverage == pytest.approx(len(answered) / 7)
        assert risk == pytest.approx(answered.count(False) / len(answered))


def test_area_by_hand():
    steps = [(2, 0), (1, 0), (2, 1 / 5), (1, 2 / 6), (1, 3 / 7)]  # examples at this confidence, risk from there up
    assert area_under_risk_coverage(CONFIDENCE, RIGHT) == pytest.approx(sum(n * risk for n, risk in steps) / 7)


def test_a_constant_has_the_error_rate_and_the_best_order_the_formula():
    right = torch.arange(4000) >= 800  # a fifth wrong
    assert area_under_risk_coverage(torch.zeros(4000), right) == pytest.approx(0.2)
    best = 0.2 + 0.8 * math.log(0.8)
    assert area_under_risk_coverage(torch.arange(4000.0), right) == pytest.approx(best, abs=1e-3)
    assert area_under_risk_coverage(-torch.arange(4000.0), right) > 0.5


def test_only_the_order_counts():
    assert area_under_risk_coverage(CONFIDENCE.exp() * 9, RIGHT) == area_under_risk_coverage(CONFIDENCE, RIGHT)


def test_nan_and_nothing_are_refused():
    with pytest.raises(ValueError, match="confidence"):
        risk_coverage_curve(torch.zeros(0), torch.zeros(0, dtype=torch.bool))
    with pytest.raises(ValueError, match="NaN"):
        risk_coverage_curve(torch.tensor([0.1, float("nan")]), torch.tensor([True, False]))
