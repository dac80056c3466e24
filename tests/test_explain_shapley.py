"""Shapley values counted out: XOR, gloves, sums, captum's exact version, the axioms."""

import captum.attr as captum
import pytest
import torch

from course_lib.explain.shapley import interaction_index, shapley_values


def test_xor_shares_its_value_although_each_input_alone_adds_nothing():
    """Inputs 1 and 1 against a random bit: alone each leaves the model at chance, together they decide."""
    worth = {0: 0.0, 1: 0.0, 2: 0.5}
    assert shapley_values(lambda group: worth[len(group)], 2) == [0.25, 0.25]
    assert interaction_index(lambda group: worth[len(group)], 2, 0, 1) == 0.5


def test_a_left_and_two_right_gloves():
    """A pair is worth 1: of the 6 orders the left glove completes a pair in 4, each right one in 1."""
    values = shapley_values(lambda group: float(0 in group and len(group) > 1), 3)
    assert values == pytest.approx([4 / 6, 1 / 6, 1 / 6])


def test_interactions_of_and_and_or_have_opposite_signs_and_of_a_sum_are_zero():
    assert interaction_index(lambda group: float(len(group) == 2), 2, 0, 1) == 1
    assert interaction_index(lambda group: float(len(group) > 0), 2, 0, 1) == -1
    weights = (0.5, -2.0, 3.0, 1.0)
    assert interaction_index(lambda group: sum(weights[i] for i in group), 4, 1, 3) == pytest.approx(0)
    assert shapley_values(lambda group: sum(weights[i] for i in group), 4) == pytest.approx(weights)


def test_captum_s_exact_values_on_a_small_network():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    x, blank = torch.randn(1, 4), torch.randn(1, 4)

    def game(group):
        there = torch.tensor([[i in group for i in range(4)]])
        with torch.no_grad():
            return network(torch.where(there, x, blank)).item()

    reference = captum.ShapleyValues(lambda inputs: network(inputs)[:, 0]).attribute(x, baselines=blank)
    values = shapley_values(game, 4)
    assert values == pytest.approx(reference[0].tolist(), abs=1e-5)
    assert sum(values) == pytest.approx(game(frozenset(range(4))) - game(frozenset()), abs=1e-5)


def test_too_many_players_and_a_player_with_itself_are_refused():
    with pytest.raises(ValueError, match="17 players make 2\\^17 coalitions; up to 16 are counted out here"):
        shapley_values(len, 17)
    with pytest.raises(ValueError, match="players 1 and 1 are the same"):
        interaction_index(len, 3, 1, 1)
