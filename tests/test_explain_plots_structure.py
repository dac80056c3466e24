"""Masks and clocks: what is drawn is what came in."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from course_lib.explain.plots_structure import show_clocks, show_pairs, show_strongest


@pytest.fixture(autouse=True)
def closed():
    """Every figure is closed again."""
    yield
    plt.close("all")


def test_pairs_are_drawn_and_counted():
    mask = torch.tensor([[True, False, False], [True, True, False], [True, True, True]])
    _, axes = show_pairs(
        {"causal": mask, "none": torch.zeros(3, 3, dtype=torch.bool)}, border=1, kinds=("image", "text")
    )
    assert np.array_equal(axes[0].images[0].get_array(), mask.numpy())
    assert [ax.get_title() for ax in axes] == ["causal: 6 of 9 pairs", "none: 0 of 9 pairs"]
    assert [line.get_ydata()[0] for line in axes[0].lines[:1]] == [0.5]
    assert "image | text" in axes[0].get_xlabel()


def test_hands_stand_at_their_angles():
    _, axes = show_clocks(torch.tensor([[1.5, 0.5], [0.25, 0.75]]))
    assert [[line.get_xdata()[0] for line in ax.lines] for ax in axes] == [[1.5, 0.25], [0.5, 0.75]]
    assert axes[1].get_title() == "pair 1: -0.250 rad apart"


def test_strongest_keys_come_first_and_are_counted():
    weights = torch.tensor([[0.1, 0.9, 0.0], [0.5, 0.3, 0.2]])
    _, ax = show_strongest(weights)
    assert np.allclose([bar.get_height() for bar in ax.patches], [0.7, 0.2, 0.1])
    _, even = show_strongest(torch.full((2, 4), 0.25))
    _, one = show_strongest(torch.eye(4))
    assert (even.get_title(), one.get_title()) == ("about 4.0 of 4 keys are read", "about 1.0 of 4 keys are read")
