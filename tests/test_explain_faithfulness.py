"""Curves and hits by hand, on a model whose every pixel's worth is known."""

import pytest
import torch
from torch import nn

from course_lib.explain.faithfulness import deletion_curve, mask_share, mass_in_mask, pointing_game, probability


class Weighted(nn.Module):
    """One score: Σ worth · image, the first channel counting once and the second ten times."""

    worth = torch.tensor([[4.0, 3.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.0]])

    def forward(self, image):
        return (image * self.worth * torch.tensor([1.0, 10.0]).view(2, 1, 1)).sum(dim=(1, 2, 3))


IMAGE = torch.ones(3, 2, 2, 4)


def test_deletion_and_insertion_by_hand():
    """Worth 44, 33, 22, 11 and four times 0: the right order falls 110, 66, 33, 11, 0, 0, ..."""
    importance = Weighted.worth.expand(3, 2, 4)
    curve = deletion_curve(Weighted().eval(), {"image": IMAGE}, None, "image", importance, steps=8)
    expected = torch.tensor([110.0, 66, 33, 11, 0, 0, 0, 0, 0])
    torch.testing.assert_close(curve.scores, expected.expand(3, 9))
    torch.testing.assert_close(curve.shares, torch.linspace(0, 1, 9))
    torch.testing.assert_close(curve.area, torch.full((3,), (110 / 2 + 66 + 33 + 11) / 8))
    back = deletion_curve(Weighted().eval(), {"image": IMAGE}, None, "image", importance, steps=8, insert=True)
    torch.testing.assert_close(back.scores, 110 - expected.expand(3, 9))


def test_the_wrong_order_keeps_the_score_up_and_each_example_has_its_own():
    importance = torch.stack([Weighted.worth, -Weighted.worth, torch.zeros(2, 4)])
    curve = deletion_curve(Weighted().eval(), {"image": IMAGE}, None, "image", importance, steps=8)
    torch.testing.assert_close(curve.scores[1], torch.tensor([110.0, 110, 110, 110, 110, 99, 77, 44, 0]))
    torch.testing.assert_close(curve.scores[2], curve.scores[0])  # equal ones go in reading order
    assert float(curve.area[0]) < float(curve.area[1])


def test_steps_need_not_divide_the_positions_and_the_baseline_is_put_in():
    importance = Weighted.worth.expand(3, 2, 4)
    curve = deletion_curve(Weighted().eval(), {"image": IMAGE}, None, "image", importance, steps=3, baseline=0.5)
    torch.testing.assert_close(curve.scores[0], torch.tensor([110.0, 60.5, 55.0, 55.0]))  # after 0, 3, 5 and 8 pixels


def test_words_are_replaced_by_the_baseline_id_and_nothing_is_changed_in_place():
    class Count(nn.Module):
        def forward(self, ids):
            there = torch.stack([(ids == word).sum(dim=1) for word in (0, 4, 5)], dim=1)
            return there.float()

    ids = torch.tensor([[4, 5, 4, 4, 5]])
    importance = torch.tensor([[5.0, 1.0, 4.0, 3.0, 2.0]])
    kept = ids.clone()
    curve = deletion_curve(Count().eval(), {"ids": ids}, 1, "ids", importance, steps=5)
    counts = torch.tensor([[0.0, 3, 2], [1, 2, 2], [2, 1, 2], [3, 0, 2], [4, 0, 1], [5, 0, 0]])
    torch.testing.assert_close(curve.scores[0], counts.softmax(dim=1)[:, 1])
    assert torch.equal(ids, kept)


def test_probability_of_classes_and_of_a_single_score():
    class Two(nn.Module):
        def forward(self, x):
            return x

    x = torch.tensor([[0.0, 2.0], [1.0, 1.0]])
    torch.testing.assert_close(probability(Two().eval(), {"x": x}, torch.tensor([1, 0])), torch.tensor([0.880797, 0.5]))
    torch.testing.assert_close(probability(Weighted().eval(), {"image": IMAGE}, None), torch.full((3,), 110.0))


def test_pointing_game_is_signed_and_knows_rows_from_columns():
    mask = torch.zeros(4, 2, 3, dtype=torch.bool)
    mask[:, 0, 2] = True
    importance = torch.zeros(4, 2, 3)
    importance[0, 0, 2] = 1.0  # hit
    importance[1, 1, 0] = 1.0  # elsewhere
    importance[2, 0, 2], importance[2, 1, 1] = -9.0, 0.1  # strongest, but against the answer
    importance[3, 1, 2] = 1.0  # right column, wrong row
    assert pointing_game(importance, mask).tolist() == [True, False, False, False]


def test_mass_counts_what_speaks_for_the_answer_only():
    mask = torch.tensor([[[True, False], [True, False]]]).repeat(3, 1, 1)
    importance = torch.tensor([[[3.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [-8.0, 2.0]], [[-1.0, 0.0], [0.0, -2.0]]])
    torch.testing.assert_close(mass_in_mask(importance, mask), torch.tensor([0.75, 0.25, 0.0]))


def test_a_random_map_hits_as_often_as_the_mask_is_large():
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(4000, 5, 4, dtype=torch.bool)
    mask[:, 1:3, 1:4] = True
    random = torch.rand(4000, 5, 4, generator=generator)
    assert mask_share(mask).unique().tolist() == pytest.approx([0.3])
    assert pointing_game(random, mask).float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert mass_in_mask(random, mask).mean().item() == pytest.approx(0.3, abs=0.01)


def test_what_does_not_fit_is_refused():
    model, importance = Weighted().eval(), torch.zeros(3, 2, 4)
    with pytest.raises(ValueError, match=r"'sound' is no input; there are \['image'\]"):
        deletion_curve(model, {"image": IMAGE}, None, "sound", importance)
    with pytest.raises(ValueError, match=r"positions of 'image' are \(3, 2, 4\); sum over channels"):
        deletion_curve(model, {"image": IMAGE}, None, "image", torch.zeros(3, 2, 2, 4))
    with pytest.raises(ValueError, match="train mode"):
        deletion_curve(Weighted().train(), {"image": IMAGE}, None, "image", importance)
    with pytest.raises(ValueError, match=r"masks of examples \[1\] are empty"):
        pointing_game(torch.zeros(2, 2, 4), torch.tensor([True, False]).view(2, 1, 1).repeat(1, 2, 4))
    with pytest.raises(ValueError, match="one mask an example"):
        mass_in_mask(torch.zeros(2, 2, 4), torch.ones(2, 4, 2, dtype=torch.bool))
