"""Where a token stands, told to attention: rotary angles for one axis or three (M-RoPE), and ALiBi's distance penalty.

Attention without positions treats a sequence as a set. Rotary positions turn every query and key by an angle that grows
with its position; a dot product of two turned vectors sees only the difference of the angles, so only the distance.
M-RoPE gives each token three positions (time, height, width) and each of them a share of the frequencies.

Axis letters are those of course_lib/__init__.py; S counts the tokens of the sequence, E is the width of one head.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from course_lib import refuse

PAIRINGS = ("interleaved", "halves")


def rotary_frequencies(width: int, base: float = 10_000.0) -> Float[Tensor, " E_half"]:
    """Radians per position of each pair of features: base^(-2i / width), from 1 down to nearly 1 / base.

    width: E, even. base: 10,000 in the paper; larger ones turn slower, for longer sequences.
    """
    if width % 2 != 0:
        raise ValueError(f"a head of width {width} has no pairs to rotate; the width must be even")
    return base ** (-torch.arange(0, width, 2) / width)


@refuse.misfit
def rotary_angles(positions: Num[Tensor, "*S"], width: int, base: float = 10_000.0) -> Float[Tensor, "*S E_half"]:
    """Angle of every pair of features at every position, in radians.

    Su et al. (2021, arXiv:2104.09864), RoFormer.
    """
    return positions[..., None] * rotary_frequencies(width, base).to(positions.device)


@refuse.misfit
def rotate(
    x: Float[Tensor, "*batch S E"], angles: Float[Tensor, "*_ S E_half"], *, pairing: str = "interleaved"
) -> Float[Tensor, "*batch S E"]:
    """Turn each pair of features (a, b) to (a cos - b sin, a sin + b cos); lengths stay as they are.

    angles: broadcast over the leading axes of x. pairing: which features form pair i. "interleaved" takes 2i and 2i + 1
    (the paper, Meta's Llama), "halves" takes i and i + E/2 (transformers, GPT-NeoX). The two differ by a permutation of
    features: either is right, as long as query and key use the same one that the weights were trained with. The dtype
    stays that of x; angles belong in float32, since bfloat16 cannot tell position 256 from 257.
    """
    if pairing not in PAIRINGS:
        raise ValueError(f"pairing {pairing!r} is unknown; try one of {', '.join(PAIRINGS)}")
    if 2 * angles.shape[-1] != x.shape[-1]:
        raise ValueError(
            f"{angles.shape[-1]} angles for a head of width {x.shape[-1]}: one per pair of features is due"
        )
    pairs = x.unflatten(-1, (-1, 2)) if pairing == "interleaved" else x.unflatten(-1, (2, -1)).transpose(-1, -2)
    (a, b), cos, sin = pairs.unbind(dim=-1), angles.cos(), angles.sin()
    turned = torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1)
    return (turned if pairing == "interleaved" else turned.transpose(-1, -2)).flatten(start_dim=-2).to(x.dtype)


@refuse.misfit
def mrope_ids(segments: Sequence[int | tuple[int, ...]]) -> Int[Tensor, "3 S"]:
    """Positions in time, height and width of a sequence of text, images and videos, in that order of rows.

    segments: a number is a text of so many tokens, (height, width) an image, (time, height, width) a video, both as
    grids of visual tokens, read row by row. A text token has one number on all three axes, which makes M-RoPE plain
    RoPE for text. Each segment starts at the largest position so far, plus one. Wang et al. (2024, arXiv:2409.12191),
    section 2.1. (transformers 5.23 goes on after max(height, width), also behind a video that has more time steps than
    that; there its ids differ from the paper's.)
    """
    parts, start = [], 0
    for segment in segments:
        sizes = (segment,) if isinstance(segment, int) else tuple(segment)
        if min(sizes, default=0) < 1 or not (isinstance(segment, int) or len(sizes) in (2, 3)):
            raise ValueError(
                f"segment {segment!r}: give a number of tokens, (height, width) or (time, height, width), each 1 and up"
            )
        sizes = (1, *sizes) if len(sizes) == 2 else sizes
        grid = torch.cartesian_prod(*(torch.arange(size) for size in sizes)).view(-1, len(sizes)).T
        parts.append(grid.expand(3, -1) + start)
        start = int(parts[-1].max()) + 1
    if len(parts) == 0:
        raise ValueError("segments is empty; give at least one, such as 5 for a text of five tokens")
    return torch.cat(parts, dim=1)


@refuse.misfit
def mrope_angles(
    ids: Num[Tensor, "3 ..."], sections: tuple[int, int, int], base: float = 10_000.0
) -> Float[Tensor, "... E_half"]:
    """Angles under M-RoPE: the first `sections[0]` pairs turn with time, the next with height, the last with width.

    ids: from `mrope_ids`, or (3, B, S). sections: pairs per axis; together half the width of a head. Qwen2-VL has heads
    of width 128, sections (16, 24, 24) and base 1,000,000. Pairs go from fast to slow, so time gets the fastest.
    Qwen3-VL interleaves the axes, which gives each of them fast and slow pairs (Huang et al., 2025, arXiv:2510.23095).
    """
    angles = rotary_angles(ids, 2 * sum(sections), base)
    axes = [axis.split(sections, dim=-1)[number] for number, axis in enumerate(angles)]
    return torch.cat(axes, dim=-1)


def alibi_bias(heads: int, length: int) -> Float[Tensor, "H S S"]:
    """ALiBi: subtract from each score a slope times the distance; nothing is rotated and nothing learnt.

    Slopes fall from head to head as 2^(-8 h / H), h = 1 ... H: near-sighted heads first. Made for causal attention,
    where only i >= j is read. Press et al. (2021, arXiv:2108.12409); slopes as for H a power of two.
    """
    slopes = 2.0 ** (-8 * torch.arange(1, heads + 1) / heads)
    place = torch.arange(length)
    return -slopes[:, None, None] * (place[:, None] - place).abs()
