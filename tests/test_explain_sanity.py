"""Sanity checks: shuffling keeps values and loses meaning, agreement by hand, infidelity and sensitivity by formula."""

import pytest
import torch
from torch import nn

from course_lib.explain.attribution import attribute
from course_lib.explain.sanity import (
    MethodScore,
    infidelity,
    rank_agreement,
    ranking_table,
    score_maps,
    sensitivity,
    shuffled_weights,
)
from course_lib.models.vqa import VqaTransformer


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_shuffling_keeps_every_value_and_leaves_the_original_alone():
    torch.manual_seed(0)
    model = VqaTransformer(11, 7, size=8, patch=4, width=12, heads=3, most_words=6).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    copy = shuffled_weights(model, seed=1)
    for name, value in copy.state_dict().items():
        assert torch.equal(value.flatten().sort().values, before[name].flatten().sort().values)
        assert torch.equal(model.state_dict()[name], before[name])
        assert ("norm" in name) == torch.equal(value, before[name]) or "bias" in name
    again, other = shuffled_weights(model, seed=1), shuffled_weights(model, seed=2)
    assert torch.equal(copy.head.weight, again.head.weight) and not torch.equal(copy.head.weight, other.head.weight)
    head_only = shuffled_weights(model, seed=1, only=lambda name: name.startswith("head"))
    assert torch.equal(head_only.words.weight, model.words.weight)
    assert not torch.equal(head_only.head.weight, model.head.weight)
    assert not copy.training


def test_agreement_is_spearman_s_correlation_of_positions():
    one = torch.arange(6.0).view(1, 2, 3).repeat(4, 1, 1)
    other = torch.stack([one[0].exp(), -one[0], torch.tensor([[1.0, 0, 2], [3, 4, 5]]), torch.ones(2, 3)])
    found = rank_agreement(one, other)
    # third: ranks differ by 1, 1 and 0: 1 - 6 · 2 / (6 · 35)
    torch.testing.assert_close(found[:3], torch.tensor([1.0, -1.0, 1 - 12 / 210]))
    assert found[3].isnan().item()
    with pytest.raises(ValueError, match="cannot be compared"):
        rank_agreement(one, other.flatten(1))


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.head, self.words = nn.Linear(6, 5), nn.Embedding(8, 5)

    def forward(self, x, ids):
        return self.head(x) + self.words(ids).sum(dim=1)


def test_infidelity_is_zero_for_the_gradient_of_a_linear_model_and_grows_with_the_error():
    """For noise I, (I · (a - w))² on average is noise² times the squared error of the attribution a."""
    model, inputs = Linear().eval(), {"x": normal(3, 6), "ids": torch.tensor([[1, 2], [3, 4], [5, 6]])}
    target = torch.tensor([4, 0, 2])
    parts = attribute(model, inputs, target, method="saliency", absolute=False).parts
    exact = infidelity(model, inputs, target, parts)
    assert float(exact.abs().max()) < 1e-10
    wrong = {"x": parts["x"] + 2.0, "ids": parts["ids"]}
    found = infidelity(model, inputs, target, wrong, noise=0.3, samples=4000)
    torch.testing.assert_close(found, torch.full((3,), 0.3**2 * 6 * 2.0**2), rtol=0.15, atol=0)
    assert torch.equal(found, infidelity(model, inputs, target, wrong, noise=0.3, samples=4000))


def test_infidelity_refuses_parts_of_another_shape():
    model, inputs = Linear().eval(), {"x": normal(3, 6), "ids": torch.tensor([[1, 2], [3, 4], [5, 6]])}
    parts = attribute(model, inputs, 1, method="feature_ablation").parts
    with pytest.raises(ValueError, match=r"parts \{'ids': \(3, 2\)\} do not fit what was explained"):
        infidelity(model, inputs, 1, parts)


def test_sensitivity_of_a_constant_map_is_zero_and_of_the_input_itself_what_it_moved():
    x = {"x": torch.full((3, 400), 2.0), "other": torch.arange(3.0)[:, None]}
    constant = sensitivity(lambda inputs: torch.ones_like(inputs["x"]), x, "x")
    torch.testing.assert_close(constant, torch.zeros(3))
    moved = sensitivity(lambda inputs: inputs["x"] + 0 * inputs["other"], x, "x", radius=0.1, samples=5)
    # uniform in ±0.1: root mean square 0.1 / √3 against values of 2
    torch.testing.assert_close(moved, torch.full((3,), 0.1 / 3**0.5 / 2), rtol=0.15, atol=0)


def test_sensitivity_keeps_each_example_with_its_other_inputs():
    seen = []
    x = {"x": normal(3, 4), "name": torch.arange(3)}

    def explain(inputs):
        seen.append(inputs["name"].tolist())
        return inputs["x"] * inputs["name"][:, None]

    sensitivity(explain, x, "x", samples=2)
    assert [0, 1, 2] in seen and [0, 0, 1, 1, 2, 2] in seen


def test_scores_and_table_rank_a_good_map_before_a_bad_one():
    class Spot(nn.Module):
        def forward(self, image):
            return 4 * image[:, 0, 1, 2]

    image = torch.rand(5, 1, 3, 4, generator=torch.Generator().manual_seed(0)) + 1
    mask = torch.zeros(5, 3, 4, dtype=torch.bool)
    mask[:, 1, 2] = True
    good = mask.float()
    maps = {"opposite": 1 - good, "true": good}
    scores = score_maps(Spot().eval(), {"image": image}, None, "image", maps, mask, steps=12)
    by_name = {score.method: score for score in scores}
    assert by_name["true"].pointing == 1 and by_name["true"].mass == 1
    assert by_name["opposite"].pointing == 0 and by_name["opposite"].mass == 0
    assert by_name["true"].deletion < by_name["opposite"].deletion
    assert by_name["true"].insertion > by_name["opposite"].insertion
    rows = ranking_table([scores, scores]).splitlines()
    assert rows[2].startswith("| true |") and rows[3].startswith("| opposite |") and "1.00 ± 0.00" in rows[2]


def test_the_table_s_mean_and_spread_by_hand():
    runs = [[MethodScore("a", 0.2, 0.5, 1.0, 0.3)], [MethodScore("a", 0.4, 0.5, 0.0, 0.3)]]
    assert ranking_table(runs).splitlines()[2] == "| a | 0.30 ± 0.10 | 0.50 ± 0.00 | 0.50 ± 0.50 | 0.30 ± 0.00 |"
