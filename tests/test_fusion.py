"""Fusion of vectors: by loops, by identities, by where the gradient goes. B=3, M=2 or 3, widths all different."""

import jaxtyping
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from course_lib.models.fusion import (
    CascadeFusion,
    FilmFusion,
    GatedFusion,
    MLPFusion,
    fuse_concat,
    fuse_max,
    fuse_mean,
    fuse_outer,
    fuse_product,
    fuse_sum,
    fuse_weighted_sum,
)

SAME_SHAPE = {
    "sum": fuse_sum,
    "mean": fuse_mean,
    "product": fuse_product,
    "max": fuse_max,
    "weighted sum": lambda *modalities: fuse_weighted_sum(*modalities, weights=[1 / len(modalities)] * len(modalities)),
}


@pytest.fixture(autouse=True)
def seeded():
    """The modules' own initial weights."""
    torch.manual_seed(0)


@pytest.fixture
def as_learners():
    """Without the shape hook, as outside pytest: what our own messages say where a shape is wrong."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def flops(module, *inputs):
    with FlopCounterMode(display=False) as counter:
        module(*inputs)
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("name", "of_one_feature"),
    [
        ("sum", lambda a, b, c: a + b + c),
        ("mean", lambda a, b, c: (a + b + c) / 3),
        ("product", lambda a, b, c: a * b * c),
        ("max", max),
    ],
)
def test_feature_by_feature_with_three_modalities(name, of_one_feature):
    image, text, audio = normal(3, 5, seed=1), normal(3, 5, seed=2), normal(3, 5, seed=3)
    expected = [
        [of_one_feature(image[b, d].item(), text[b, d].item(), audio[b, d].item()) for d in range(5)] for b in range(3)
    ]
    torch.testing.assert_close(SAME_SHAPE[name](image, text, audio), torch.tensor(expected))


def test_weighted_sum_by_hand_and_gradient_to_learned_weights():
    image, text = torch.tensor([[10.0, 20.0]]), torch.tensor([[2.0, 4.0]])
    torch.testing.assert_close(fuse_weighted_sum(image, text, weights=(0.25, 0.75)), torch.tensor([[4.0, 8.0]]))
    logits = torch.zeros(2, requires_grad=True)
    fuse_weighted_sum(image, text, weights=logits.softmax(0)).sum().backward()
    # d/dw = (30, 6); through the softmax at (1/2, 1/2): 1/4 of the difference, with opposite signs
    torch.testing.assert_close(logits.grad, torch.tensor([6.0, -6.0]))


def test_max_routes_the_whole_gradient_to_the_winner():
    image = torch.tensor([[1.0, 5.0, 2.0]], requires_grad=True)
    text = torch.tensor([[4.0, 3.0, 2.0]], requires_grad=True)
    fuse_max(image, text).sum().backward()
    assert image.grad[0, :2].tolist() == [0.0, 1.0]
    assert text.grad[0, :2].tolist() == [1.0, 0.0]
    assert sorted([image.grad[0, 2].item(), text.grad[0, 2].item()]) == [0.0, 1.0]  # the tie goes to one of them


def test_product_of_three_keeps_its_gradient_at_zero():
    image = torch.zeros(1, 2, requires_grad=True)
    fuse_product(image, torch.full((1, 2), 3.0), torch.full((1, 2), 5.0)).sum().backward()
    assert image.grad.tolist() == [[15.0, 15.0]]


def test_concat_then_linear_is_a_sum_of_linears():
    image, text, layer = normal(3, 4, seed=1), normal(3, 5, seed=2), nn.Linear(9, 7)
    apart = image @ layer.weight[:, :4].T + text @ layer.weight[:, 4:].T + layer.bias
    torch.testing.assert_close(layer(fuse_concat(image, text)), apart)
    assert fuse_concat(image, text)[:, 4:].equal(text)


def test_outer_by_loop_in_row_order():
    image, text = normal(3, 4, seed=1), normal(3, 5, seed=2)
    fused = fuse_outer(image, text)
    assert fused.shape == (3, 20)
    for i in range(4):
        for j in range(5):
            torch.testing.assert_close(fused[:, i * 5 + j], image[:, i] * text[:, j])


def test_mlp_fusion_by_explicit_weights_and_cost():
    fusion, inputs = MLPFusion((4, 5, 2), hidden=6, out=7), (normal(3, 4), normal(3, 5), normal(3, 2))
    first, _, last = fusion.layers
    hidden = (torch.cat(inputs, dim=1) @ first.weight.T + first.bias).clamp(min=0)
    torch.testing.assert_close(fusion(*inputs), hidden @ last.weight.T + last.bias)
    assert sum(p.numel() for p in fusion.parameters()) == (4 + 5 + 2 + 1) * 6 + (6 + 1) * 7
    assert flops(fusion, *inputs) == 2 * 3 * (4 + 5 + 2 + 7) * 6


def test_gate_by_loop_and_cost():
    fusion, image, text = GatedFusion(4, 5, 6), normal(3, 4, seed=1), normal(3, 5, seed=2)
    fused, gate = fusion(image, text)
    for b in range(3):
        for d in range(6):
            logit = fusion.gate.weight[d] @ torch.cat([image[b], text[b]]) + fusion.gate.bias[d]
            trust = 1 / (1 + torch.exp(-logit))
            seen = torch.tanh(fusion.image.weight[d] @ image[b] + fusion.image.bias[d])
            read = torch.tanh(fusion.text.weight[d] @ text[b] + fusion.text.bias[d])
            torch.testing.assert_close(gate[b, d], trust)
            torch.testing.assert_close(fused[b, d], trust * seen + (1 - trust) * read)
    assert sum(p.numel() for p in fusion.parameters()) == 2 * (4 + 5) * 6 + 3 * 6
    assert flops(fusion, image, text) == 2 * 3 * 2 * (4 + 5) * 6


@pytest.mark.parametrize(("bias", "ignored"), [(50.0, "text"), (-50.0, "image")])
def test_a_saturated_gate_ignores_the_other_modality(bias, ignored):
    fusion, image, text = GatedFusion(4, 5, 6), normal(3, 4, seed=1), normal(3, 5, seed=2)
    nn.init.constant_(fusion.gate.bias, bias)
    other = {"image": (image + 1, text), "text": (image, text + 1)}[ignored]
    torch.testing.assert_close(fusion(*other).fused, fusion(image, text).fused, rtol=0, atol=1e-7)


def test_film_is_the_identity_at_zero_and_works_per_position():
    fusion, image, text = FilmFusion(text_width=5, image_width=4), normal(3, 6, 4, seed=1), normal(3, 5, seed=2)
    fused, scale, shift = fusion(image, text)
    for patch in range(6):
        torch.testing.assert_close(fused[:, patch], scale * image[:, patch] + shift)
        torch.testing.assert_close(fused[:, patch], fusion(image[:, patch], text).fused)
    torch.testing.assert_close(torch.cat([scale - 1, shift], dim=1), fusion.modulation(text))
    assert sum(p.numel() for p in fusion.parameters()) == 2 * (5 + 1) * 4
    assert flops(fusion, image, text) == 2 * 3 * 2 * 5 * 4
    nn.init.zeros_(fusion.modulation.weight)
    nn.init.zeros_(fusion.modulation.bias)
    assert fusion(image, text).fused.equal(image)


def test_film_lets_the_text_turn_a_feature_off_or_round():
    fusion = FilmFusion(text_width=1, image_width=2)
    nn.init.zeros_(fusion.modulation.weight)
    fusion.modulation.bias.data = torch.tensor([-1.0, -2.0, 0.0, 0.5])  # scale changes, then shifts
    fused = fusion(torch.tensor([[7.0, 3.0]]), torch.tensor([[1.0]])).fused
    assert fused.tolist() == [[0.0, -2.5]]


def test_cascade_reads_the_image_only_through_its_first_stage():
    fusion = CascadeFusion(nn.Linear(4, 2), nn.Linear(2 + 5, 3))
    image, text = normal(3, 4, seed=1), normal(3, 5, seed=2)
    final, first = fusion(image, text)
    torch.testing.assert_close(first, fusion.first(image))
    torch.testing.assert_close(
        final, first @ fusion.second.weight[:, :2].T + text @ fusion.second.weight[:, 2:].T + fusion.second.bias
    )
    unseen = torch.linalg.svd(fusion.first.weight.detach()).Vh[-1]  # a direction that the first stage maps to 0
    torch.testing.assert_close(fusion(image + 10 * unseen, text).final, final, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(fusion(image + fusion.first.weight[0].detach(), text).final, final, atol=1e-2)


@pytest.mark.parametrize("name", SAME_SHAPE)
def test_different_widths_are_refused_not_broadcast(as_learners, name):
    words = r"modalities\[1\] has shape \(3, 1\), .* D = 5 as in modalities\[0\]; an nn.Linear brings vectors to one"
    with pytest.raises(ValueError, match=words):
        SAME_SHAPE[name](normal(3, 5), normal(3, 1))


@pytest.mark.parametrize("fuse", [*list(SAME_SHAPE.values())[:4], fuse_concat])
def test_a_lone_row_is_refused_not_broadcast(as_learners, fuse):
    words = r"modalities\[1\] has shape \(1, 5\), .* B = 3 as in modalities\[0\].*; row b of each"
    with pytest.raises(ValueError, match=words):
        fuse(normal(3, 5), normal(1, 5))


@pytest.mark.parametrize("module", [FilmFusion(5, 5), GatedFusion(5, 5, 2)])
def test_modules_refuse_a_lone_row_too(as_learners, module):
    with pytest.raises(ValueError, match=r"text has shape \(1, 5\), .* B = 3 as in image; row b of each"):
        module(normal(3, 5), normal(1, 5))


@pytest.mark.parametrize("fuse", [fuse_sum, fuse_mean, fuse_product, fuse_max, fuse_concat])
def test_no_modality_is_refused(fuse):
    with pytest.raises(ValueError, match=r"no modality came; give at least one .* fuse_sum\(image, text\)"):
        fuse()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ((0.5, 0.9), r"weights \[0.5, 0.9\] sum to 1.4, not 1; divide them by their sum"),
        ((1.5, -0.5), r"weights \[1.5, -0.5\] hold a negative one; .* logits.softmax\(0\)"),
        ((1.0,), r"1 weights \[1.0\] came for 2 modalities; give one weight per modality"),
        (torch.tensor([0.5, 0.6]), r"sum to 1.1, not 1"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        fuse_weighted_sum(normal(3, 5), normal(3, 5), weights=weights)
