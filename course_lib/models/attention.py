"""Attention: a weighted read of values, with weights that come from comparing queries with keys.

Five choices make every variant: where query and key come from (self, cross), how many heads read side by side, which
pairs may meet (masks.py), how a pair is scored (here a scaled dot product, of rotated vectors if positions.py turned
them), and whether the read is soft, an average, or hard, one item. They combine freely, but a causal or local mask
needs an order that queries and keys share.

A mask is True where a query may read a key. A query that may read nothing reads zeros: no NaN, forwards or backwards.

Axis letters are those of course_lib/__init__.py: T queries, S keys attended to, H heads, E the width of one head.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from course_lib import refuse
from course_lib.models.positions import rotate


class Read(NamedTuple):
    """What `dot_product_attention` returns."""

    output: Float[Tensor, "*batch T E_value"]
    """Each query's mix of the values; zero where it may read nothing."""
    weights: Float[Tensor, "*batch T S"]
    """Share of each key: rows sum to 1, or to 0 where a query may read nothing."""


@refuse.misfit
def dot_product_attention(
    query: Float[Tensor, "*batch T E"],
    key: Float[Tensor, "*batch S E"],
    value: Float[Tensor, "*batch S E_value"],
    mask: Bool[Tensor, "*_ S"] | None = None,
    *,
    scale: float | None = None,
) -> Read:
    """Scaled dot-product attention, the weights included.

        weights = softmax(query keyᵀ · scale),   output = weights value

    mask: True = may be read; any shape that broadcasts with (*batch, T, S). scale: 1/√E unless given; 1 is the plain
    dot product. A dot product of E independent terms of unit variance has variance E, so 1/√E keeps scores near 1 at
    every width; the number of keys does not enter. Vaswani et al. (2017, arXiv:1706.03762), section 3.2.1. Same numbers
    as torch's scaled_dot_product_attention, which returns no weights and is what to train with.
    """
    products = query @ key.transpose(-1, -2)
    weights = masked_softmax(products / math.sqrt(query.shape[-1]) if scale is None else products * scale, mask)
    return Read(weights @ value, weights)


@refuse.misfit
def masked_softmax(scores: Float[Tensor, "*rows S"], mask: Bool[Tensor, "*_ S"] | None) -> Float[Tensor, "*rows S"]:
    """Softmax over the positions where the mask is True; 0 elsewhere, and 0 everywhere if it is False throughout.

    The lowest finite number replaces masked scores: with -inf a fully masked row would be NaN in the backward pass too,
    and a constant such as -1e9 does not exist in float16.
    """
    if mask is None:
        return scores.softmax(dim=-1)
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1) * mask


class Attended(NamedTuple):
    """What a `MultiHeadAttention` returns."""

    output: Float[Tensor, "B T D"]
    """What was read, projected back to the model's width; the residual connection is the caller's."""
    weights: Float[Tensor, "B H T S"]
    """Share of each key per head and query: rows sum to 1, or to 0 where a query may read nothing."""


class MultiHeadAttention(nn.Module):
    """H small attentions side by side, each on its own D/H features of every token.

        q = W_q x, k = W_k source, v = W_v source;   head_h = attention(q_h, k_h, v_h);   output = W_o [head_1 ...]

    Self-attention if no source is given, cross-attention if one is. The features are split, never the sequence: each
    head sees every token. So parameters and multiply-adds do not depend on H: 4 D² weights if all widths are equal.
    Vaswani et al. (2017, arXiv:1706.03762), section 3.2.2.

    kv_heads: fewer heads for keys and values than for queries, each shared by H / kv_heads of them: 1 is multi-query
    (Shazeer, 2019, arXiv:1911.02150), in between is grouped-query attention (Ainslie et al., 2023, arXiv:2305.13245).
    source_width: width of the tokens that are read, if it differs. bias: in all four projections.
    pairing: of features under rotary positions, see `positions.rotate`; "halves" is that of transformers' models.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        kv_heads: int | None = None,
        source_width: int | None = None,
        bias: bool = False,
        pairing: str = "halves",
    ) -> None:
        super().__init__()
        check_heads(width, heads)
        self.heads, self.kv_heads, self.pairing = heads, heads if kv_heads is None else kv_heads, pairing
        fitting = [count for count in range(1, heads + 1) if heads % count == 0]
        if self.kv_heads not in fitting:
            raise ValueError(f"{heads} query heads cannot share {kv_heads} key heads evenly; try kv_heads in {fitting}")
        read = width if source_width is None else source_width
        shared = width // heads * self.kv_heads
        self.query = nn.Linear(width, width, bias=bias)
        self.key = nn.Linear(read, shared, bias=bias)
        self.value = nn.Linear(read, shared, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)

    @refuse.misfit
    def forward(
        self,
        x: Float[Tensor, "B T D"],
        source: Float[Tensor, "B S D_source"] | None = None,
        mask: Bool[Tensor, "*_ S"] | None = None,
        *,
        angles: Float[Tensor, "... T E_half"] | None = None,
    ) -> Attended:
        """Every token of `x` asks, every token of `source` (default: of `x`) answers.

        mask: True = may be read; broadcasts with (B, H, T, S), so (T, S), (B, 1, 1, S) and (B, 1, T, S) all fit.
        angles: rotary positions from `positions.rotary_angles` or `mrope_angles`, the same for queries and keys;
        (T, E/2), or (B, T, E/2) where examples differ. They compare places in one sequence, so they are refused
        together with a source.
        """
        if source is not None and angles is not None:
            raise ValueError("angles rotate queries and keys of one sequence; give them without a source")
        source = x if source is None else source
        query = split_heads(self.query(x), self.heads)
        key, value = (split_heads(each(source), self.kv_heads) for each in (self.key, self.value))
        if angles is not None:
            angles = angles[:, None] if angles.dim() == 3 else angles  # B 1 T E_half: one for all heads
            query, key = (rotate(each, angles, pairing=self.pairing) for each in (query, key))
        sharing = self.heads // self.kv_heads
        key, value = (each.repeat_interleave(sharing, dim=1) for each in (key, value))
        read = dot_product_attention(query, key, value, mask)
        return Attended(self.out(join_heads(read.output)), read.weights)


def share_projections(ours: MultiHeadAttention, theirs: nn.Module) -> MultiHeadAttention:
    """Put the four projections of one of transformers' attention modules into ours, the modules themselves, no copies.

    theirs: with q_proj, k_proj, v_proj and out_proj or o_proj, as in CLIP, Llama and Qwen2-VL.
    """
    names = {"query": "q_proj", "key": "k_proj", "value": "v_proj"}
    names["out"] = "out_proj" if hasattr(theirs, "out_proj") else "o_proj"
    for name, other in names.items():
        mine, found = getattr(ours, name).weight.shape, getattr(theirs, other).weight.shape
        if mine != found:
            raise ValueError(f"{other} is {tuple(found)}, ours is {tuple(mine)}: check width, heads and kv_heads")
        setattr(ours, name, getattr(theirs, other))
    return ours


@refuse.misfit
def split_heads(tokens: Float[Tensor, "B S D"], heads: int) -> Float[Tensor, "B H S E"]:
    """Give each head its slice of the features of every token: view (B, S, H, E), then swap S and H.

    Without the swap a view to (B, H, S, E) has the right shape and mixes tokens.
    """
    return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)


@refuse.misfit
def join_heads(tokens: Float[Tensor, "B H S E"]) -> Float[Tensor, "B S D"]:
    """Put the heads' features side by side again: the inverse of `split_heads`."""
    return tokens.transpose(1, 2).flatten(start_dim=2)


def check_heads(width: int, heads: int) -> None:
    """ValueError, with the numbers that fit, unless `width` splits into `heads` equal parts."""
    fitting = [divisor for divisor in range(1, width + 1) if width % divisor == 0]
    if heads not in fitting:
        raise ValueError(f"width {width} does not split into {heads} equal heads; try heads in {fitting}")


class AttentionCost(NamedTuple):
    """Multiply-adds of one attention layer for one example, from `attention_cost`; one is two FLOPs."""

    projections: int
    """Queries, keys, values and output: linear in the length."""
    products: int
    """Query-key scores and the mix of values, without a mask's savings: quadratic in the length, unless windowed."""
    scaling: int
    """One multiplication a score."""
    scores: int
    """Numbers in the score matrices of all heads: the memory of attention that forms them."""


def attention_cost(
    queries: int, keys: int, width: int, heads: int, *, kv_heads: int | None = None, window: int | None = None
) -> AttentionCost:
    """What one `MultiHeadAttention` of `queries` tokens reading `keys` tokens computes.

    window: keys that each query really reads, if a kernel skips the others; a mask alone saves nothing.
    """
    read = keys if window is None else min(keys, window)
    shared = width // heads * (heads if kv_heads is None else kv_heads)
    scores = heads * queries * read
    projections = 2 * queries * width * width + 2 * keys * width * shared
    return AttentionCost(projections, 2 * queries * read * width, scores, scores)
