"""Races down a valley: against hand arithmetic, the same from every angle for SGD, and not for Adam."""

import math

import pytest
import torch

from course_lib.lesson import valley_figure
from course_lib.training import update_rules as rules
from course_lib.training.valley import hessian, race

RATES, START = torch.logspace(-3, 0, 16, dtype=torch.float64), torch.tensor([1.0, 0.5])


def test_the_curvatures_lie_where_the_angle_says():
    straight, turned = hessian([0.0, 90.0], 7.0)
    torch.testing.assert_close(straight, torch.tensor([[1.0, 0.0], [0.0, 7.0]], dtype=torch.float64))
    torch.testing.assert_close(turned, torch.tensor([[7.0, 0.0], [0.0, 1.0]], dtype=torch.float64))
    diagonal = torch.tensor([1.0, 1.0], dtype=torch.float64) / math.sqrt(2)
    torch.testing.assert_close(hessian([45.0], 7.0)[0] @ diagonal, diagonal)  # the flat direction


def test_one_rate_of_descent_is_counted_by_hand():
    # condition 1: every step multiplies the loss by 0.81; 0.81^43 > 1e-4 > 0.81^44
    found = race(rules.sgd, [0.0, 30.0], 1.0, rates=torch.tensor([0.1]), start=START, limit=100)
    assert found.steps.tolist() == [44.0, 44.0]
    torch.testing.assert_close(found.way[:3, 0, 0], torch.tensor([1.0, 0.9, 0.81], dtype=torch.float64))


def test_the_best_of_the_rates_counts_and_too_few_steps_do_not_arrive():
    rates = torch.tensor([0.1, 0.9, 3.0])  # too slow, one that takes 0.01 of the loss a step, one that diverges
    assert race(rules.sgd, [0.0], 1.0, rates=rates, start=START, limit=100).steps.item() == 3
    assert race(rules.sgd, [0.0], 1.0, rates=rates[:1], start=START, limit=43).steps.item() == float("inf")


@pytest.mark.parametrize("rule, turns", [(rules.sgd, True), (rules.momentum, True), (rules.adam, False)])
def test_who_notices_the_angle(rule, turns):
    steps = race(rule, [0.0, 45.0], 100.0, rates=RATES, start=START, limit=2000).steps
    assert bool(steps[0] == steps[1]) is turns


def test_the_figure_shows_one_way_and_all_angles():
    fig = valley_figure.draw("Adam", rules.adam, angle=30, condition=100, rates=RATES, start=START)
    left, right = fig.axes
    assert left.get_title() == "Adam, turned by 30°"
    assert len(right.get_lines()) == 3 and right.get_ylim()[1] > 400
