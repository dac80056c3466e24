import math

import pytest
import torch
from sklearn import metrics as sk

from course_lib.metrics.thresholds import (
    bayes_threshold,
    cheapest_threshold,
    operating_points,
    precision_at_prevalence,
)


def tied_scores(examples=83, levels=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    label = (torch.rand(examples, generator=generator) < 0.3).long()
    score = torch.randn(examples, generator=generator) + label
    return label, (score * levels / 4).round() / 3


def test_operating_points_count_what_a_loop_counts():
    label, score = tied_scores()
    points = operating_points(label, score)
    assert points.threshold[0] == math.inf and points.threshold[1:].tolist() == sorted(
        set(score.tolist()), reverse=True
    )
    for threshold, *found in zip(*(part.tolist() for part in points), strict=True):
        tn, fp, fn, tp = sk.confusion_matrix(label, (score >= threshold).long(), labels=[0, 1]).ravel()
        assert found == [tp, fp, fn, tn]


@pytest.mark.parametrize("fp, fn", [(1.0, 1.0), (1.0, 20.0), (7.0, 0.5)])
def test_the_cheapest_threshold_beats_every_other(fp, fn):
    label, score = tied_scores(seed=1)

    def cost(threshold):
        called = score >= threshold
        return (fp * (called & (label == 0)).sum() + fn * (~called & (label == 1)).sum()).item() / len(label)

    choice = cheapest_threshold(label, score, false_positive_cost=fp, false_negative_cost=fn)
    assert cost(choice.threshold) == pytest.approx(choice.cost)
    candidates = [*torch.linspace(-9, 9, 400).tolist(), math.inf]
    assert choice.cost <= min(cost(threshold) for threshold in candidates) + 1e-9


def test_calling_nothing_positive_is_among_the_choices():
    upside_down = cheapest_threshold(
        torch.tensor([0, 0, 1]), torch.tensor([0.9, 0.8, 0.1]), false_positive_cost=1.0, false_negative_cost=1.0
    )
    assert upside_down.threshold == math.inf and upside_down.cost == pytest.approx(1 / 3)


def test_bayes_threshold_is_where_both_calls_cost_the_same():
    p = bayes_threshold(false_positive_cost=1.0, false_negative_cost=19.0)
    assert p == 0.05
    assert p * 19 == pytest.approx((1 - p) * 1)


def test_bayes_threshold_is_the_cheapest_one_for_calibrated_scores():
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(200_000, generator=generator)
    label = (torch.rand(200_000, generator=generator) < p).long()
    found = cheapest_threshold(label, p, false_positive_cost=1.0, false_negative_cost=4.0)
    assert found.threshold == pytest.approx(0.2, abs=0.03)


def test_precision_follows_prevalence_by_bayes_rule():
    rates = torch.tensor([0.9, 0.5]), torch.tensor([0.09, 0.5])
    assert precision_at_prevalence(*rates, 0.01).tolist() == pytest.approx([10 / 109, 0.01])  # 9 of 98.1, chance
    nothing = precision_at_prevalence(torch.zeros(1), torch.zeros(1), 0.3)
    assert nothing.isnan().all()


def test_a_counted_table_has_the_precision_of_the_formula():
    points = operating_points(*tied_scores(seed=2))
    positives, negatives = points.true_positives[-1], points.false_positives[-1]
    rates = points.true_positives[1:] / positives, points.false_positives[1:] / negatives
    counted = points.true_positives[1:] / (points.true_positives + points.false_positives)[1:]
    torch.testing.assert_close(precision_at_prevalence(*rates, positives.item() / 83), counted)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: operating_points(torch.tensor([0, 2]), torch.zeros(2)), r"labels \[0, 2\] are not 0 and 1"),
        (
            lambda: operating_points(torch.tensor([0, 1]), torch.tensor([0.0, math.nan])),
            "1 of 2 values of score is NaN, at",
        ),
        (lambda: bayes_threshold(false_positive_cost=0.0, false_negative_cost=1.0), "must be positive"),
        (lambda: precision_at_prevalence(torch.ones(1), torch.ones(1), 0.0), "outside"),
        (
            lambda: cheapest_threshold(
                torch.zeros(0, dtype=torch.int64), torch.zeros(0), false_positive_cost=1.0, false_negative_cost=1.0
            ),
            "no examples",
        ),
    ],
)
def test_what_has_no_answer_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
