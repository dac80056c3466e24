"""Fusion by products: nn.Bilinear, explicit outer products, loops, full rank, and the cost arithmetic against torch."""

import jaxtyping
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from course_lib.models.tensor_fusion import (
    BilinearFusion,
    LowRankBilinear,
    LowRankTensorFusion,
    TensorFusion,
    low_rank_cost,
    max_rank,
    tensor_fusion_cost,
)


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


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def with_one(vector):
    return torch.cat([torch.ones(1), vector])


def test_bilinear_is_nn_bilinear():
    fusion, truth = BilinearFusion(4, 5, 6), nn.Bilinear(4, 5, 6)
    fusion.out.weight.data, fusion.out.bias.data = truth.weight.data.reshape(6, 20), truth.bias.data
    image, text = normal(3, 4, seed=1), normal(3, 5, seed=2)
    torch.testing.assert_close(fusion(image, text), truth(image, text))
    assert parameters(fusion) == parameters(truth) == 4 * 5 * 6 + 6
    assert flops(fusion, image, text) == 2 * 3 * 4 * 5 * 6


def test_low_rank_bilinear_is_a_bilinear_form_with_appended_ones():
    fusion, image, text = LowRankBilinear(4, 5, rank=2, out=6), normal(3, 4, seed=1), normal(3, 5, seed=2)
    left = torch.cat([fusion.image.bias[:, None], fusion.image.weight], dim=1)  # (R, 1 + D_image)
    right = torch.cat([fusion.text.bias[:, None], fusion.text.weight], dim=1)
    for k in range(6):
        form = left.T @ torch.diag(fusion.out.weight[k]) @ right
        assert torch.linalg.matrix_rank(form) == 2
        for b in range(3):
            expected = with_one(image[b]) @ form @ with_one(text[b]) + fusion.out.bias[k]
            torch.testing.assert_close(fusion(image, text)[b, k], expected)
    assert parameters(fusion) == (4 + 5 + 2 + 6) * 2 + 6
    assert flops(fusion, image, text) == 2 * 3 * (4 + 5 + 6) * 2


def test_low_rank_bilinear_with_as_many_ranks_as_pairs_is_any_bilinear_form():
    """Rank D_image D_text, one per pair: unit projections, and the read-out holds the whole tensor."""
    full = BilinearFusion(2, 3, 4)
    fusion = LowRankBilinear(2, 3, rank=6, out=4)
    fusion.image.weight.data = torch.eye(2).repeat_interleave(3, dim=0)
    fusion.text.weight.data = torch.eye(3).repeat(2, 1)
    nn.init.zeros_(fusion.image.bias)
    nn.init.zeros_(fusion.text.bias)
    fusion.out.load_state_dict(full.out.state_dict())
    image, text = normal(5, 2, seed=1), normal(5, 3, seed=2)
    torch.testing.assert_close(fusion(image, text), full(image, text))


def test_tensor_features_of_three_modalities_by_loop():
    image, text, audio = normal(3, 2, seed=1), normal(3, 4, seed=2), normal(3, 3, seed=3)
    fusion = TensorFusion((2, 4, 3), out=6)
    features = fusion.features(image, text, audio).view(3, 3, 5, 4)
    for b in range(3):
        seen, read, heard = with_one(image[b]), with_one(text[b]), with_one(audio[b])
        for i in range(3):
            for j in range(5):
                for k in range(4):
                    torch.testing.assert_close(features[b, i, j, k], seen[i] * read[j] * heard[k])
    assert features[:, 0, 0, 0].tolist() == [1.0, 1.0, 1.0]
    assert features[:, 0, 0, 1:].equal(audio)  # the lower orders are all there
    weight = fusion.out.weight.view(6, 3, 5, 4)
    torch.testing.assert_close(fusion(image, text, audio), torch.einsum("bijk,oijk->bo", features, weight))


def test_tensor_fusion_contains_additive_fusion():
    fusion, image, text = TensorFusion((4, 5), out=6), normal(3, 4, seed=1), normal(3, 5, seed=2)
    seen, read = nn.Linear(4, 6), nn.Linear(5, 6)
    weight = torch.zeros(6, 5, 6)
    weight[:, 1:, 0], weight[:, 0, 1:], weight[:, 0, 0] = seen.weight, read.weight, seen.bias + read.bias
    fusion.out.weight.data = weight.detach().flatten(start_dim=1)
    torch.testing.assert_close(fusion(image, text), seen(image) + read(text))


@pytest.mark.parametrize("widths", [(4, 5), (2, 4, 3)])
def test_low_rank_equals_the_tensor_that_it_stands_for(widths):
    low, full = LowRankTensorFusion(widths, rank=7, out=6), TensorFusion(widths, out=6)
    full.out.weight.data = low.full_weight().detach()
    inputs = [normal(3, width, seed=width) for width in widths]
    torch.testing.assert_close(low(*inputs), full(*inputs))


def test_low_rank_by_loop():
    low, image, text = LowRankTensorFusion((4, 5), rank=2, out=3), normal(7, 4, seed=1), normal(7, 5, seed=2)
    seen = low.factors[0](image).view(7, 2, 3)
    read = low.factors[1](text).view(7, 2, 3)
    expected = torch.stack([sum(seen[:, r, k] * read[:, r, k] for r in range(2)) for k in range(3)], dim=1)
    torch.testing.assert_close(low(image, text), expected)


def test_at_full_rank_any_tensor_can_be_copied_and_below_it_the_matrix_rank_is_the_limit():
    """Each output's weight is a 4 x 6 matrix: its singular vectors are the factors, and Eckart-Young is the error."""
    widths, full = (3, 5), TensorFusion((3, 5), out=2)
    left, values, right = torch.linalg.svd(full.out.weight.detach().view(2, 4, 6), full_matrices=False)
    assert max_rank(widths) == 4 == values.shape[1]
    for rank in (4, 3):
        low = LowRankTensorFusion(widths, rank=rank, out=2)
        for factor, vectors in zip(low.factors, (left * values[:, None], right.mT), strict=True):
            by_rank = vectors[:, :, :rank].permute(2, 0, 1).reshape(rank * 2, -1)  # (R out, 1 + D)
            factor.bias.data, factor.weight.data = by_rank[:, 0].clone(), by_rank[:, 1:].clone()
        missing = low.full_weight() - full.out.weight
        expected = values[:, rank:].square().sum().sqrt()
        torch.testing.assert_close(missing.norm(), expected, rtol=1e-4, atol=1e-5)
        image, text = normal(7, 3, seed=1), normal(7, 5, seed=2)
        assert torch.allclose(low(image, text), full(image, text), atol=1e-5) == (rank == 4)


def test_rank_one_is_a_product_of_linear_layers():
    low, image, text = LowRankTensorFusion((4, 5), rank=1, out=6), normal(3, 4, seed=1), normal(3, 5, seed=2)
    torch.testing.assert_close(low(image, text), low.factors[0](image) * low.factors[1](text))


@pytest.mark.parametrize(("widths", "rank", "out"), [((16, 16), 1, 2), ((4, 5), 3, 6), ((2, 4, 3), 7, 5)])
def test_costs_are_those_of_the_real_modules(widths, rank, out):
    inputs = [normal(3, width, seed=width) for width in widths]
    full, low = TensorFusion(widths, out), LowRankTensorFusion(widths, rank, out)
    full_cost, low_cost = tensor_fusion_cost(widths, out), low_rank_cost(widths, rank, out)
    assert full_cost.parameters == parameters(full)
    assert full_cost.features == full.features(*inputs).shape[1]
    assert 2 * 3 * full_cost.multiply_adds == flops(full, *inputs)
    assert low_cost.parameters == parameters(low)
    assert low_cost.features == sum(factor(x).shape[1] for factor, x in zip(low.factors, inputs, strict=True))
    assert 2 * 3 * low_cost.multiply_adds == flops(low, *inputs)


def test_sizes_by_hand():
    assert tensor_fusion_cost((16, 16), out=2).features == 289
    assert tensor_fusion_cost((128, 32, 32), out=1).features == 129 * 33 * 33 == 140_481
    assert low_rank_cost((128, 32, 32), rank=4, out=1).parameters == 4 * (129 + 33 + 33) == 780


@pytest.mark.parametrize("fusion", [TensorFusion((4, 5), 6), LowRankTensorFusion((4, 5), 2, 6)])
def test_swapped_or_missing_modalities_are_refused(as_learners, fusion):
    with pytest.raises(ValueError, match=r"widths \(5, 4\) came, .* built for \(4, 5\); check their order"):
        fusion(normal(3, 5), normal(3, 4))
    with pytest.raises(ValueError, match=r"widths \(4,\) came"):
        fusion(normal(3, 4))
    with pytest.raises(ValueError, match=r"batch|shape"):
        fusion(normal(3, 4), normal(1, 5))


def test_no_rank_is_refused():
    with pytest.raises(ValueError, match="rank 0 leaves nothing to sum; try 1, or up to 5 for the full tensor"):
        LowRankTensorFusion((4, 5), rank=0, out=2)
