"""Explorers of lesson 02 show what their sliders do."""

import pytest

from course_lib.lesson.figures import png
from course_lib.lesson.pipeline_figures import draw_lag, draw_scalers


def spans(fig):
    return [float(ax.get_title().split()[-1]) for ax in fig.axes]


def test_an_outlier_squeezes_the_others_except_under_robust():
    tame, spoilt = spans(draw_scalers(0.0)), spans(draw_scalers(20.0))
    assert [before / after > 2 for before, after in zip(tame, spoilt, strict=True)] == [True, True, False]


@pytest.mark.parametrize("lag", [-15, 0, 6, 8, 15])
def test_claps_are_found_best_when_the_peaks_meet(lag):
    def f1(lag):
        return float(draw_lag(lag).axes[0].get_title().split()[-1])

    assert f1(lag) < f1(7)


def test_they_can_be_drawn_at_the_ends():
    assert all(png(fig).startswith(b"\x89PNG") for fig in (draw_scalers(25.0), draw_lag(-15)))
