"""Attention against loops, torch's functions and modules, and transformers' models. B=2, T=3, S=5, H=4, E=2."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from course_lib.compat import ensure_torchvision
from course_lib.models import positions
from course_lib.models.attention import (
    MultiHeadAttention,
    attention_cost,
    dot_product_attention,
    join_heads,
    masked_softmax,
    share_projections,
    split_heads,
)
from course_lib.models.masks import causal_mask


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


QUERY, KEY, VALUE = normal(2, 4, 3, 2, seed=1), normal(2, 4, 5, 2, seed=2), normal(2, 4, 5, 6, seed=3)
REAL = torch.tensor([[True, True, False, True, False], [False, True, True, True, True]])  # (B, S)
PAIRS = torch.tensor([[True, False, True, True, False], [True] * 5, [False, False, True, True, True]])  # (T, S)
MASKS = {"none": None, "keys": REAL[:, None, None, :], "pairs": PAIRS, "both": REAL[:, None, None, :] & PAIRS}


@pytest.fixture(autouse=True)
def seeded():
    """The modules' own initial weights."""
    torch.manual_seed(0)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_attention_is_torchs_with_every_form_of_mask(mask):
    read = dot_product_attention(QUERY, KEY, VALUE, mask)
    torch.testing.assert_close(read.output, F.scaled_dot_product_attention(QUERY, KEY, VALUE, attn_mask=mask))
    torch.testing.assert_close(read.weights.sum(-1), torch.ones(2, 4, 3))


def test_attention_by_loop():
    read = dot_product_attention(QUERY, KEY, VALUE)
    for b in range(2):
        for h in range(4):
            for t in range(3):
                scores = [sum(QUERY[b, h, t, e] * KEY[b, h, s, e] for e in range(2)) / math.sqrt(2) for s in range(5)]
                total = sum(math.exp(score) for score in scores)
                for s in range(5):
                    assert read.weights[b, h, t, s].item() == pytest.approx(math.exp(scores[s]) / total, abs=1e-6)


def test_the_scale_can_be_chosen():
    plain = dot_product_attention(QUERY, KEY, VALUE, scale=1.0)
    torch.testing.assert_close(plain.weights, (QUERY @ KEY.mT).softmax(-1))
    torch.testing.assert_close(plain.output, F.scaled_dot_product_attention(QUERY, KEY, VALUE, scale=1.0))


def test_a_masked_key_changes_nothing_even_if_it_shouts():
    loud_keys, loud_values = KEY.clone(), VALUE.clone()
    loud_keys[..., 2, :], loud_values[..., 2, :] = 1e4, 1e6
    mask = torch.tensor([True, True, False, True, True])
    quiet, loud = (dot_product_attention(QUERY, k, v, mask) for k, v in ((KEY, VALUE), (loud_keys, loud_values)))
    assert loud.output.equal(quiet.output)
    assert not dot_product_attention(QUERY, loud_keys, loud_values).output.equal(quiet.output)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_query_that_may_read_nothing_reads_zero_with_finite_gradients(dtype):
    query, key, value = (each.detach().clone().to(dtype).requires_grad_() for each in (QUERY, KEY, VALUE))
    nothing = PAIRS.clone()
    nothing[1] = False
    read = dot_product_attention(query, key, value, nothing)
    assert read.output[:, :, 1].count_nonzero() == 0
    assert read.weights[:, :, 1].count_nonzero() == 0
    read.output.square().sum().backward()
    assert all(torch.isfinite(each.grad).all() for each in (query, key, value))
    assert query.grad[:, :, 1].count_nonzero() == 0
    assert query.grad[:, :, 0].count_nonzero() > 0


def test_huge_scores_are_an_argmax_and_no_nan():
    weights = masked_softmax(torch.tensor([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]]), torch.tensor([True, False, True]))
    assert weights.tolist() == [[1.0, 0.0, 0.0], [0.5, 0.0, 0.5]]


def test_masked_softmax_is_softmax_of_what_is_left():
    scores = normal(2, 5, seed=4)
    weights = masked_softmax(scores, REAL)
    for b in range(2):
        torch.testing.assert_close(weights[b, REAL[b]], scores[b, REAL[b]].softmax(0))
        assert weights[b, ~REAL[b]].count_nonzero() == 0


def test_no_future_reaches_the_past():
    tokens = normal(2, 4, 5, 2, seed=5).requires_grad_()
    read = dot_product_attention(tokens, tokens, tokens, causal_mask(5))
    for t in range(5):
        (grad,) = torch.autograd.grad(read.output[:, :, t].sum(), tokens, retain_graph=True)
        assert grad[:, :, t + 1 :].count_nonzero() == 0
        assert (grad[:, :, : t + 1].abs().sum(dim=(0, 1, 3)) > 0).all()


# --- several heads ----------------------------------------------------------------------------------------------


def test_heads_are_slices_of_features_and_come_back():
    tokens = torch.arange(2 * 5 * 12).view(2, 5, 12).float()
    heads = split_heads(tokens, 4)
    assert heads.shape == (2, 4, 5, 3)
    assert heads[1, 2, 3].equal(tokens[1, 3, 6:9])
    assert join_heads(heads).equal(tokens)


@pytest.mark.parametrize("bias", [False, True])
def test_self_attention_is_torchs(bias):
    ours, theirs = MultiHeadAttention(8, 4, bias=bias), nn.MultiheadAttention(8, 4, bias=bias, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.out_proj.weight.copy_(ours.out.weight)
        if bias:
            theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
            theirs.out_proj.bias.copy_(ours.out.bias)
    x, causal = normal(2, 5, 8, seed=6), causal_mask(5)
    expected = theirs(x, x, x, attn_mask=~causal, average_attn_weights=False)  # torch marks what to ignore
    torch.testing.assert_close(tuple(ours(x, mask=causal)), expected)


def test_cross_attention_is_torchs():
    ours = MultiHeadAttention(8, 4, source_width=6)
    theirs = nn.MultiheadAttention(8, 4, bias=False, kdim=6, vdim=6, batch_first=True)
    theirs.q_proj_weight.data, theirs.k_proj_weight.data = ours.query.weight, ours.key.weight
    theirs.v_proj_weight.data, theirs.out_proj.weight.data = ours.value.weight, ours.out.weight
    x, source = normal(2, 3, 8, seed=6), normal(2, 5, 6, seed=7)
    expected = theirs(x, source, source, key_padding_mask=~REAL, average_attn_weights=False)
    torch.testing.assert_close(tuple(ours(x, source, REAL[:, None, None, :])), expected)


def test_multi_head_by_loop_over_heads():
    attention, x = MultiHeadAttention(8, 4), normal(2, 5, 8, seed=6)
    heads = []
    for h in range(4):
        q, k, v = (x @ each.weight[2 * h : 2 * h + 2].T for each in (attention.query, attention.key, attention.value))
        heads.append((q @ k.mT / 2**0.5).softmax(-1) @ v)
    torch.testing.assert_close(attention(x).output, torch.cat(heads, -1) @ attention.out.weight.T)


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_grouped_queries_are_torchs(kv_heads):
    attention, x = MultiHeadAttention(8, 4, kv_heads=kv_heads), normal(2, 5, 8, seed=6)
    assert sum(p.numel() for p in attention.parameters()) == 2 * 8 * 8 + 2 * 8 * 2 * kv_heads
    query = split_heads(attention.query(x), 4)
    key, value = (split_heads(each(x), kv_heads) for each in (attention.key, attention.value))
    expected = F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    torch.testing.assert_close(attention(x, mask=causal_mask(5)).output, attention.out(join_heads(expected)))


def test_parameters_do_not_depend_on_the_number_of_heads():
    assert {sum(p.numel() for p in MultiHeadAttention(16, h, bias=True).parameters()) for h in (1, 2, 4, 16)} == {1088}


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"width 8 does not split into 3 equal heads; try heads in \[1, 2, 4, 8\]"):
        MultiHeadAttention(8, 3)
    with pytest.raises(ValueError, match=r"4 query heads cannot share 3 key heads evenly; try kv_heads in \[1, 2, 4\]"):
        MultiHeadAttention(8, 4, kv_heads=3)
    x, angles = normal(2, 5, 8), positions.rotary_angles(torch.arange(5), 2)
    with pytest.raises(ValueError, match="give them without a source"):
        MultiHeadAttention(8, 4)(x, x, angles=angles)


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_cost_is_what_torch_counts(kv_heads):
    attention, x, source = MultiHeadAttention(8, 4, kv_heads=kv_heads), normal(1, 3, 8), normal(1, 5, 8)
    with FlopCounterMode(display=False) as counter:
        weights = attention(x, source).weights
    cost = attention_cost(3, 5, 8, 4, kv_heads=kv_heads)
    assert counter.get_total_flops() == 2 * (cost.projections + cost.products)
    assert cost.scores == weights.numel()


def test_a_window_cuts_products_and_leaves_projections():
    full, local = attention_cost(100, 100, 8, 4), attention_cost(100, 100, 8, 4, window=10)
    assert (local.projections, local.products * 10) == (full.projections, full.products)
    assert attention_cost(5, 5, 8, 4, window=10) == attention_cost(5, 5, 8, 4)


# --- transformers -----------------------------------------------------------------------------------------------


def test_clips_attention_with_copied_weights():
    ensure_torchvision()
    from transformers import CLIPVisionConfig
    from transformers.models.clip.modeling_clip import CLIPAttention

    config = CLIPVisionConfig(hidden_size=12, num_attention_heads=3, attn_implementation="eager")
    theirs, x = CLIPAttention(config).eval(), normal(2, 5, 12, seed=8)
    output, weights = theirs(x)
    attended = share_projections(MultiHeadAttention(12, 3, bias=True), theirs)(x)
    torch.testing.assert_close(attended.output, output)
    torch.testing.assert_close(attended.weights, weights)


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_llamas_attention_with_copied_weights(kv_heads):
    ensure_torchvision()
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaAttention, LlamaRotaryEmbedding

    sizes = {"hidden_size": 24, "num_attention_heads": 4, "num_key_value_heads": kv_heads}
    config = LlamaConfig(**sizes, rope_parameters={"rope_type": "default", "rope_theta": 500.0})
    config._attn_implementation = "eager"
    theirs, x, places = LlamaAttention(config, layer_idx=0).eval(), normal(2, 5, 24, seed=9), torch.arange(3, 8)
    bias = torch.zeros(5, 5).masked_fill(~causal_mask(5), -torch.inf)
    turned = LlamaRotaryEmbedding(config)(x, places[None])
    output, weights = theirs(x, position_embeddings=turned, attention_mask=bias)
    ours = share_projections(MultiHeadAttention(24, 4, kv_heads=kv_heads), theirs)
    angles = positions.rotary_angles(places, 6, base=500.0)
    attended = ours(x, mask=causal_mask(5), angles=angles)
    torch.testing.assert_close(attended.output, output)
    torch.testing.assert_close(attended.weights, weights)
    assert not torch.allclose(ours(x, mask=causal_mask(5)).output, output, atol=1e-3)  # the positions matter


def test_qwen2_vls_attention_with_copied_weights_and_three_positions():
    ensure_torchvision()
    from transformers.models.qwen2_vl.configuration_qwen2_vl import Qwen2VLTextConfig
    from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLAttention, Qwen2VLRotaryEmbedding

    rope = {"rope_type": "default", "rope_theta": 500.0, "mrope_section": [1, 2, 3]}
    sizes = {"hidden_size": 24, "num_attention_heads": 2, "num_key_value_heads": 1}
    config = Qwen2VLTextConfig(**sizes, rope_parameters=rope)
    config._attn_implementation = "eager"
    theirs, x = Qwen2VLAttention(config, layer_idx=0).eval(), normal(2, 12, 24, seed=10)
    ids = positions.mrope_ids([3, (2, 3), 3])
    turned = Qwen2VLRotaryEmbedding(config)(x, ids[:, None])
    bias = torch.zeros(12, 12).masked_fill(~causal_mask(12), -torch.inf)
    output, weights = theirs(x, attention_mask=bias[None, None], position_embeddings=turned)
    ours = share_projections(MultiHeadAttention(24, 2, kv_heads=1), theirs)  # queries, keys and values have a bias
    attended = ours(x, mask=causal_mask(12), angles=positions.mrope_angles(ids, (1, 2, 3), base=500.0))
    torch.testing.assert_close(attended.output, output)
    torch.testing.assert_close(attended.weights, weights)


def test_projections_of_another_size_are_refused():
    theirs = nn.Module()
    theirs.q_proj = theirs.k_proj = theirs.v_proj = theirs.o_proj = nn.Linear(24, 24)
    with pytest.raises(ValueError, match=r"k_proj is \(24, 24\), ours is \(12, 24\): check width, heads and kv_heads"):
        share_projections(MultiHeadAttention(24, 2, kv_heads=1), theirs)


def test_examples_may_stand_at_positions_of_their_own():
    torch.manual_seed(0)
    attention, x = MultiHeadAttention(8, 2), normal(2, 5, 8)  # as many examples as heads, so a wrong axis would fit
    angles = positions.rotary_angles(torch.stack([torch.arange(5), 3 * torch.arange(5)]), 4)
    alone = torch.cat([attention(x[row : row + 1], angles=angles[row]).output for row in range(2)])
    torch.testing.assert_close(attention(x, angles=angles).output, alone)


def test_rotary_attention_runs_in_bfloat16():
    torch.manual_seed(0)
    attention, x = MultiHeadAttention(8, 2), normal(2, 5, 8)
    angles = positions.rotary_angles(torch.arange(5), 4)
    wide = attention(x, angles=angles).output
    narrow = attention.bfloat16()(x.bfloat16(), angles=angles).output
    assert narrow.dtype == torch.bfloat16
    torch.testing.assert_close(narrow.float(), wide, rtol=0, atol=0.03)


@pytest.mark.parametrize("kv_heads", [0, -1, 3])
def test_key_heads_that_cannot_be_shared_are_refused(kv_heads):
    with pytest.raises(ValueError, match=rf"4 query heads cannot share {kv_heads} .*try kv_heads in \[1, 2, 4\]"):
        MultiHeadAttention(8, 4, kv_heads=kv_heads)
