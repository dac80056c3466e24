"""Two streams of one event, and the delay between them: recordings of a clapper, cross-correlation over lags.

A delay has a sign. Here it is positive when the sound comes late: sound[t + offset] belongs to video[t].
In this module F is the number of frames, as in the whole course.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from course_lib import refuse


class Recording(NamedTuple):
    """One scene as two streams of equal length and equal rate."""

    video: Float[Tensor, " F"]
    """Motion per frame: about 1 where something claps, about 0 elsewhere."""
    sound: Float[Tensor, " F"]
    """Loudness per frame, late by the offset."""
    clap: Bool[Tensor, " F"]
    """The truth, on the clock of the video."""


def record_claps(
    frames: int, *, offset: int = 0, seed: int, share: float = 0.1, noise: float = 0.3, longest: int = 50
) -> Recording:
    """Clap at random in a part of the frames and record it twice, each with its own Gaussian noise.

    offset: frames by which the sound is late, negative if early, at most `longest` in size. share: part of the frames
    with a clap. noise: standard deviation, a clap being 1. The scene goes on before and after the recording, so nothing
    wraps around at its ends. One seed claps and crackles alike for every offset.
    """
    if frames < 1:
        raise ValueError(f"{frames} frames make no recording; try 500")
    refuse.outside(0, 1, share=share)
    refuse.outside(0, math.inf, noise=noise)
    if abs(offset) > longest:
        raise ValueError(f"offset {offset} is more than {longest} frames; raise longest=")
    generator = torch.Generator().manual_seed(seed)
    scene = torch.rand(frames + 2 * longest, generator=generator) < share
    crackle = noise * torch.randn(2, frames, generator=generator)
    clap = scene[longest : longest + frames]
    heard = scene[longest - offset : longest - offset + frames]
    return Recording(clap + crackle[0], heard + crackle[1], clap)


@refuse.misfit
def correlation_by_lag(one: Float[Tensor, " F"], other: Float[Tensor, " _"], *, longest: int) -> dict[int, float]:
    """Return {lag: correlation of one[t] with other[t + lag]} for lags from -longest to longest.

    Each lag uses the frames that both streams have, F - |lag| of them, and its own means; nothing wraps around.
    """
    if len(one) != len(other):
        raise ValueError(f"{len(one)} and {len(other)} frames came; bring both streams to one rate and length first")
    if not 0 <= longest < len(one) - 1:
        raise ValueError(f"longest {longest} leaves fewer than 2 of {len(one)} frames; try {len(one) // 4}")
    refuse.infinite(one=one, other=other)
    scores = {}
    for lag in range(-longest, longest + 1):
        first = one[max(0, -lag) : len(one) - max(0, lag)]
        second = other[max(0, lag) : len(other) - max(0, -lag)]
        first, second = first - first.mean(), second - second.mean()
        scores[lag] = (first @ second / (first.norm() * second.norm()).clamp_min(1e-12)).item()
    return scores


@refuse.misfit
def clap_f1(score: Float[Tensor, " F"], clap: Bool[Tensor, " F"]) -> float:
    """Call the highest scores claps, as many as there are, and return F1: precision and recall are then equal."""
    refuse.nan(score=score)  # topk takes NaN for the highest score
    if not clap.any():
        raise ValueError(f"none of {len(clap)} frames claps, so there is nothing to find; record more frames")
    called = torch.zeros_like(clap)
    called[score.topk(int(clap.sum())).indices] = True
    return ((called & clap).sum() / clap.sum()).item()


@refuse.misfit
def find_offset(one: Float[Tensor, " F"], other: Float[Tensor, " _"], *, longest: int) -> int:
    """Return by how many frames `other` is late: the lag of the largest correlation (not of its absolute value)."""
    scores = correlation_by_lag(one, other, longest=longest)
    still = [name for name, stream in (("one", one), ("other", other)) if bool((stream == stream[0]).all())]
    if still:
        raise ValueError(f"stream {still[0]!r} is constant, so no lag fits better than another; is it silent or black?")
    return max(scores, key=scores.__getitem__)
