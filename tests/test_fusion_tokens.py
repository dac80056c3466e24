"""Fusion of sequences against torch's own attention, loops, and what must not matter. B=2, T=3, P=5, D=8, H=4."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from course_lib.models.fusion_tokens import (
    AttentionPooling,
    BottleneckFusion,
    CrossAttentionFusion,
    JointAttentionFusion,
)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


TEXT, IMAGE = normal(2, 3, 8, seed=1), normal(2, 5, 6, seed=2)
MASK = torch.tensor([[True, True, False, True, False], [False, True, True, True, True]])


@pytest.fixture(autouse=True)
def seeded():
    """The modules' own initial weights."""
    torch.manual_seed(0)


@pytest.fixture
def cross():
    return CrossAttentionFusion(text_width=8, image_width=6, heads=4)


@pytest.mark.parametrize("mask", [None, MASK])
def test_cross_attention_is_torchs(cross, mask):
    torch_attention = nn.MultiheadAttention(8, 4, bias=False, kdim=6, vdim=6, batch_first=True)
    torch_attention.q_proj_weight.data, torch_attention.k_proj_weight.data = cross.query.weight, cross.key.weight
    torch_attention.v_proj_weight.data, torch_attention.out_proj.weight.data = cross.value.weight, cross.out.weight
    ignored = None if mask is None else ~mask  # torch marks what to ignore
    expected, weights = torch_attention(TEXT, IMAGE, IMAGE, key_padding_mask=ignored, average_attn_weights=False)
    fused = cross(TEXT, IMAGE, mask)
    torch.testing.assert_close(fused.attended, expected)
    torch.testing.assert_close(fused.weights, weights)
    torch.testing.assert_close(fused.fused, TEXT + expected)


def test_cross_attention_by_loop(cross):
    weights = cross(TEXT, IMAGE).weights
    for b in range(2):
        for head in range(4):
            for t in range(3):
                query = cross.query.weight[2 * head : 2 * head + 2] @ TEXT[b, t]
                scores = [query @ (cross.key.weight[2 * head : 2 * head + 2] @ IMAGE[b, p]) / 2**0.5 for p in range(5)]
                torch.testing.assert_close(weights[b, head, t], torch.stack(scores).softmax(0))


def test_a_masked_patch_changes_nothing(cross):
    loud = torch.where(MASK[..., None], IMAGE, torch.tensor(1e6))
    quiet, shouted = cross(TEXT, IMAGE, MASK), cross(TEXT, loud, MASK)
    assert shouted.fused.equal(quiet.fused)
    assert not cross(TEXT, loud).fused.equal(quiet.fused)  # without the mask it would


def test_the_order_of_patches_does_not_matter_and_that_of_words_moves_along(cross):
    patches, words = torch.tensor([4, 2, 0, 1, 3]), torch.tensor([2, 0, 1])
    moved = cross(TEXT[:, words], IMAGE[:, patches])
    torch.testing.assert_close(moved.fused, cross(TEXT, IMAGE).fused[:, words])


def test_a_missing_image_adds_exactly_nothing_and_no_nan(cross):
    text, image = TEXT.clone().requires_grad_(), IMAGE.clone().requires_grad_()
    mask = torch.stack([torch.zeros(5, dtype=torch.bool), MASK[1]])
    fused = cross(text, image, mask)
    assert fused.fused[0].equal(TEXT[0])
    assert fused.weights[0].count_nonzero() == 0
    torch.testing.assert_close(fused.weights[1].sum(-1), torch.ones(4, 3))
    fused.fused.square().sum().backward()
    assert image.grad[0].count_nonzero() == 0
    assert all(torch.isfinite(p.grad).all() for p in [text, image, *cross.parameters()])


def test_with_one_key_the_text_cannot_choose(cross):
    once, tenfold = cross(TEXT, IMAGE[:, :1]), cross(10 * TEXT, IMAGE[:, :1])
    assert once.weights.unique().tolist() == [1.0]
    torch.testing.assert_close(tenfold.attended, once.attended, rtol=0, atol=0)


def test_cross_attention_cost(cross):
    assert parameters(cross) == 2 * 8 * (8 + 6)
    with FlopCounterMode(display=False) as counter:
        cross(TEXT, IMAGE)
    assert counter.get_total_flops() == 2 * 2 * (2 * 3 * 8 * 8 + 2 * 5 * 6 * 8 + 2 * 3 * 5 * 8)


def test_joint_attention_is_scaled_dot_product_attention_over_both():
    fusion, image = JointAttentionFusion(width=8, heads=4), normal(2, 5, 8, seed=3)
    text_mask = torch.tensor([[True, False, True], [True, True, True]])
    fused = fusion(TEXT, image, text_mask=text_mask, image_mask=MASK)
    tokens, keep = torch.cat([TEXT, image], dim=1), torch.cat([text_mask, MASK], dim=1)
    inner = fusion.attention
    query, key, value = (f(tokens).view(2, 8, 4, 2).transpose(1, 2) for f in (inner.query, inner.key, inner.value))
    attended = F.scaled_dot_product_attention(query, key, value, attn_mask=keep[:, None, None, :])
    expected = tokens + inner.out(attended.transpose(1, 2).reshape(2, 8, 8))
    torch.testing.assert_close(torch.cat([fused.text, fused.image], dim=1), expected)
    assert fused.text.shape == (2, 3, 8)
    assert fused.weights.shape == (2, 4, 8, 8)
    assert parameters(fusion) == 4 * 8 * 8


def test_joint_attention_costs_what_it_says():
    fusion, image = JointAttentionFusion(width=8, heads=4), normal(2, 5, 8, seed=3)
    with FlopCounterMode(display=False) as counter:
        fusion(TEXT, image)
    assert counter.get_total_flops() == 2 * 2 * (4 * 8 * 8**2 + 2 * 8**2 * 8)


def test_attention_pooling_by_loop_and_mask():
    pool, (first, _, last) = (p := AttentionPooling(width=6, hidden=7)), p.score
    pooled, weights = pool(IMAGE, MASK)
    for b in range(2):
        kept = [s for s in range(5) if MASK[b, s]]
        scores = [last.weight[0] @ torch.tanh(first.weight @ IMAGE[b, s] + first.bias) for s in kept]
        shares = torch.stack(scores).softmax(0)
        torch.testing.assert_close(weights[b, kept], shares)
        torch.testing.assert_close(pooled[b], sum(share * IMAGE[b, s] for share, s in zip(shares, kept, strict=True)))
    loud = torch.where(MASK[..., None], IMAGE, torch.tensor(1e6))
    assert pool(loud, MASK).pooled.equal(pooled)
    assert parameters(pool) == (6 + 2) * 7
    with FlopCounterMode(display=False) as counter:
        pool(IMAGE)
    assert counter.get_total_flops() == 2 * 2 * (5 * 7 * (6 + 1) + 5 * 6)


def test_attention_pooling_of_nothing_is_zero_with_a_finite_gradient():
    pool, tokens = AttentionPooling(width=6, hidden=7), IMAGE.clone().requires_grad_()
    pooled, weights = pool(tokens, torch.zeros(2, 5, dtype=torch.bool))
    assert pooled.count_nonzero() == 0
    assert weights.count_nonzero() == 0
    (pooled.sum() + weights.square().sum()).backward()
    assert tokens.grad.count_nonzero() == 0


def test_bottleneck_needs_two_layers_from_word_to_patch():
    image = normal(2, 5, 8, seed=3)
    for layers, reaches in ((1, False), (2, True)):
        fusion = BottleneckFusion(width=8, heads=4, bottlenecks=2, layers=layers)
        text = TEXT.clone().requires_grad_()
        fused = fusion(text, image)
        assert fused.image.shape == (2, 5, 8)
        assert fused.bottleneck.shape == (2, 2, 8)
        (from_image,) = torch.autograd.grad(fused.image.square().sum(), text, retain_graph=True, materialize_grads=True)
        (from_shared,) = torch.autograd.grad(fused.bottleneck.square().sum(), text)
        assert (from_image.abs().max() > 1e-6) == reaches
        assert from_shared.abs().max() > 1e-6


def test_bottleneck_tokens_are_the_mean_of_both_sides():
    fusion, image = BottleneckFusion(width=8, heads=4, bottlenecks=2, layers=1), normal(2, 5, 8, seed=3)
    shared = fusion.bottleneck.expand(2, 2, 8)
    read, seen = fusion.text[0](torch.cat([TEXT, shared], 1)), fusion.image[0](torch.cat([image, shared], 1))
    fused = fusion(TEXT, image)
    torch.testing.assert_close(fused.bottleneck, (read[:, 3:] + seen[:, 5:]) / 2)
    torch.testing.assert_close(fused.text, read[:, :3])
    torch.testing.assert_close(fused.image, seen[:, :5])
    assert parameters(fusion) == 2 * (12 * 8**2 + 13 * 8) + 2 * 8


@pytest.mark.parametrize("build", [lambda: CrossAttentionFusion(8, 6, 3), lambda: BottleneckFusion(8, 3)])
def test_heads_that_do_not_divide_the_width_are_refused(build):
    with pytest.raises(ValueError, match=r"width 8 does not split into 3 equal heads; try heads in \[1, 2, 4, 8\]"):
        build()
