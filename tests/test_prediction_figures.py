"""The figures of lesson 21 show the numbers that they were given."""

import matplotlib.pyplot as plt
import pytest
import torch

from course_lib.lesson.prediction_figures import plot_leaderboard, plot_operating_point, plot_reliability
from course_lib.metrics.ranking import roc_curve

LABEL = torch.tensor([1, 1, 0, 1, 0, 0, 1, 0, 0, 0])
SCORE = torch.tensor([0.95, 0.90, 0.80, 0.70, 0.55, 0.40, 0.35, 0.30, 0.20, 0.10])


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("prevalence", [0.4, 0.01])
def test_the_point_moves_with_prevalence_on_the_precision_recall_curve_only(prevalence):
    counts, roc, pr = plot_operating_point(roc_curve(LABEL, SCORE), 0.5, prevalence).axes
    recall, alarms = 3 / 4, 2 / 6  # by hand
    precision = recall * prevalence / (recall * prevalence + alarms * (1 - prevalence))
    point = [line.get_xydata()[0].tolist() for ax in (roc, pr) for line in ax.lines if line.get_marker() == "o"]
    assert point[0] == pytest.approx([alarms, recall]) and point[1] == pytest.approx([recall, precision])
    written = [float(text.get_text()) for text in counts.texts]
    ill, well = 1000 * prevalence, 1000 * (1 - prevalence)
    expected = [recall * ill, ill - recall * ill, alarms * well, well - alarms * well]
    assert written == pytest.approx(expected, abs=0.51) and sum(written) == pytest.approx(1000, abs=2)


def test_the_leaderboard_marks_winner_and_fresh_score():
    (ax,) = plot_leaderboard(torch.tensor([0.45, 0.6, 0.5]), 0.48, items=20).axes
    assert [line.get_xdata()[0] for line in ax.lines] == pytest.approx([0.6, 0.48])
    assert sum(bar.get_height() for bar in ax.patches) == 3


def test_reliability_bars_are_shares_of_right_answers():
    p = torch.tensor([[0.95, 0.05], [0.95, 0.05], [0.35, 0.65]])
    first, second = plot_reliability({"a": p, "b": p.flip(1)}, torch.tensor([0, 1, 1])).axes
    heights = [[bar.get_height() for bar in ax.patches if bar.get_height() >= 0] for ax in (first, second)]
    assert heights == [[1.0, 0.5], [0.0, 0.5]]
