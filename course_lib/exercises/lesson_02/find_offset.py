"""Exercise 02.3: the lag between two streams."""

import functools
import statistics

import numpy as np
import torch

from course_lib.lesson.exercises import Exercise


def _streams(offset, frames=240, seed=0, noise=0.2):
    """A video, and a sound that is late by `offset`; the scene goes on at both ends."""
    generator = torch.Generator().manual_seed(seed)
    scene = (torch.rand(frames + 100, generator=generator) < 0.1).double()
    crackle = noise * torch.randn(2, frames, generator=generator, dtype=torch.float64)
    return scene[50 : 50 + frames] + crackle[0], scene[50 - offset : 50 - offset + frames] + crackle[1]


def offset_finds_synchrony(find_offset):
    got = int(find_offset(*_streams(0), 15))
    assert got != 15, "two streams in step gave max_lag: that is the place in the list of lags, return the lag itself"
    assert got == 0, f"two streams in step have offset 0, got {got}"


def offset_knows_its_sign(find_offset):
    for offset in (7, -4):
        got = int(find_offset(*_streams(offset), 15))
        assert got != -offset, f"the sign is turned: sound[t + offset] belongs to video[t], here {offset}, got {got}"
        assert got == offset, f"the offset is {offset}, got {got}: try every lag from -max_lag to max_lag"


def offset_looks_at_the_last_lag(find_offset):
    for offset in (15, -15):
        got = int(find_offset(*_streams(offset), 15))
        assert got == offset, f"an offset of {offset} with max_lag 15 is allowed, got {got}: include both ends"


def offset_ignores_a_constant(find_offset):
    video, sound = _streams(7)
    got = int(find_offset(video + 30, sound + 30, 15))
    assert got == 7, f"adding 30 to both streams turned 7 into {got}: subtract the mean of what overlaps"


def offset_takes_the_largest_not_the_loudest(find_offset):
    video, sound = _streams(5, noise=0.05)
    _, echo = _streams(-9, noise=0.0)
    got = int(find_offset(video, sound - 3 * echo, 15))
    assert got != -9, "an echo upside down won: take the largest correlation, not the largest absolute value"
    assert got == 5, f"the sound is late by 5, got {got}"


def offset_does_not_wrap(find_offset):
    video, sound = torch.zeros(2, 200, dtype=torch.float64)
    pattern = torch.tensor([3.0, 0, 3, 3, 0, 0, 3, 0], dtype=torch.float64)
    video[0:8], sound[190:198] = pattern, pattern  # equal only if the end is glued to the beginning
    video[100:104], sound[103:107] = pattern[:4], pattern[:4]
    got = int(find_offset(video, sound, 15))
    assert got != -10, "the end of the sound was matched with the beginning of the video: cut, do not roll"
    assert got == 3, f"the sound is late by 3, got {got}"


WORLDS, SHORT = 200, 8


@functools.cache
def _worlds():
    """Short noisy pairs, half of them with a loud end, half with a level that drifts, and the right lag of each.

    Where two lags are nearly equal rounding decides, so those pairs are left out.
    """
    worlds, number = [], 0
    while len(worlds) < WORLDS:
        number += 1
        video, sound = _streams(number % (2 * SHORT + 1) - SHORT, frames=60, seed=number, noise=0.4)
        place = torch.linspace(0, 1, 60, dtype=torch.float64)
        if number % 2:
            video, sound = video + 4 * (place > 0.9), sound - 3 * (place < 0.05 + number % 10 / 100)
        if number % 4 < 2:
            video, sound = video + 3 * place, sound + (number % 5 - 1) * place**2
        ranked = sorted((_correlation(*_overlap(video, sound, lag)), lag) for lag in range(-SHORT, SHORT + 1))
        if ranked[-1][0] - ranked[-2][0] > 1e-3:
            worlds.append((video, sound, ranked[-1][1]))
    return worlds


def offset_is_that_of_the_largest_correlation(find_offset):
    missed = sum(int(find_offset(video, sound, SHORT)) != right for video, sound, right in _worlds())
    assert missed == 0, (
        f"in {missed} of {WORLDS} worlds with a loud end or a drifting level another lag came out: for each lag take "
        "mean and norm of exactly the frames that overlap, and divide by both norms"
    )


def _overlap(a, b, lag):
    return a[max(0, -lag) : len(a) - max(0, lag)], b[max(0, lag) : len(b) - max(0, -lag)]


def _correlation(a, b):
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / (a.norm() * b.norm()).clamp_min(1e-12))


def _find_offset(a, b, max_lag):
    return max(range(-max_lag, max_lag + 1), key=lambda lag: _correlation(*_overlap(a, b, lag)))


def _offset_rolls(a, b, max_lag):
    return max(range(-max_lag, max_lag + 1), key=lambda lag: _correlation(a, b.roll(-lag)))


def _offset_raw_products(a, b, max_lag):
    return max(range(-max_lag, max_lag + 1), key=lambda lag: float(torch.dot(*_overlap(a, b, lag))))


def _by_lag(score):
    """The largest of score(a, b) over the overlaps."""
    return lambda a, b, max_lag: max(range(-max_lag, max_lag + 1), key=lambda lag: float(score(*_overlap(a, b, lag))))


def _offset_centred_whole(a, b, max_lag):
    return _by_lag(lambda x, y: x @ y / (x.norm() * y.norm()))(a - a.mean(), b - b.mean(), max_lag)


def _offset_by_numpy(video, sound, max_lag):
    video, sound, best = video.numpy(), sound.numpy(), (-2.0, 0)
    for lag in range(-max_lag, max_lag + 1):
        pairs = [(t, t + lag) for t in range(len(video)) if 0 <= t + lag < len(sound)]
        here, there = zip(*pairs, strict=True)
        best = max(best, (np.corrcoef(video[list(here)], sound[list(there)])[0, 1], lag))
    return best[1]


def _offset_by_sums(video, sound, max_lag):
    lags = torch.arange(-max_lag, max_lag + 1)
    place = torch.arange(len(video)) + lags[:, None]
    real = ((place >= 0) & (place < len(sound))).to(video.dtype)
    other = sound[place.clamp(0, len(sound) - 1)] * real
    count, own = real.sum(1), video * real
    mean_a, mean_b = own.sum(1) / count, other.sum(1) / count
    a, b = (own - mean_a[:, None]) * real, (other - mean_b[:, None]) * real
    return lags[((a * b).sum(1) / (a.pow(2).sum(1) * b.pow(2).sum(1)).sqrt()).argmax()].item()


def _offset_by_statistics(video, sound, max_lag):
    video, sound = video.tolist(), sound.tolist()
    found = {}
    for lag in range(-max_lag, max_lag + 1):
        count = len(video) - abs(lag)
        found[lag] = statistics.correlation(video[max(0, -lag) :][:count], sound[max(0, lag) :][:count])
    return max(found, key=found.get)


find_offset = Exercise(
    id="02.3 find_offset",
    task="Write find_offset(video, sound, max_lag): two streams of F numbers -> the frames by which the sound is late, "
    "from -max_lag to max_lag: the lag k with the largest correlation of video[t] and sound[t + k] over the frames "
    "where both exist; means and norms are those of these frames.",
    stages=(
        offset_finds_synchrony,
        offset_knows_its_sign,
        offset_looks_at_the_last_lag,
        offset_ignores_a_constant,
        offset_takes_the_largest_not_the_loudest,
        offset_does_not_wrap,
        offset_is_that_of_the_largest_correlation,
    ),
    reference=_find_offset,
    mutants={
        "two streams in step": lambda a, b, max_lag: int((a * b).argmax()),
        "that is the place in the list": lambda a, b, max_lag: max_lag + _find_offset(a, b, max_lag),
        "try every lag": lambda a, b, max_lag: max(
            range(max_lag + 1), key=lambda lag: _correlation(*_overlap(a, b, lag))
        ),
        "the sign is turned": lambda a, b, max_lag: -_find_offset(a, b, max_lag),
        "include both ends": lambda a, b, max_lag: _find_offset(a, b, max_lag - 1),
        "subtract the mean": _offset_raw_products,
        "not the largest absolute value": lambda a, b, max_lag: max(
            range(-max_lag, max_lag + 1), key=lambda lag: abs(_correlation(*_overlap(a, b, lag)))
        ),
        "cut, do not roll": _offset_rolls,
        "loud end or a drifting level": _by_lag(lambda x, y: (x - x.mean()) @ (y - y.mean()) / len(x)),
        "another lag came out": _offset_centred_whole,
        "and divide by both norms": _by_lag(lambda x, y: (x - x.mean()) @ (y - y.mean()) / y.std()),
        "exactly the frames that overlap": lambda a, b, max_lag: _by_lag(lambda x, y: (x - x.mean()) @ (y - y.mean()))(
            (a - a.mean()) / a.std(), (b - b.mean()) / b.std(), max_lag
        ),
    },
    alternatives={
        "numpy's corrcoef": _offset_by_numpy,
        "all lags at once, by sums": _offset_by_sums,
        "Python's numbers": _offset_by_statistics,
    },
    hints=(
        "For one lag, which frames of each stream have a partner? There are F - |lag| of them.",
        "For lag 3: video[:-3] and sound[3:]. For lag -3 the other way round. At lag 0 video[:-0] is empty.",
        "max(range(-max_lag, max_lag + 1), key=lambda lag: torch.corrcoef(torch.stack([...]))[0, 1]) over the overlap.",
    ),
    difficulty=2,
    minutes=15,
)
