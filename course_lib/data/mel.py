"""Log-mel: sound as a picture, time across and pitch as the ear spaces it upwards.

F counts audio frames, as everywhere; M, in this module, counts mel bands. Libraries do the same (the tests
compare with `transformers.audio_utils`); it is written out here because each step is an interview question.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib import refuse


@refuse.misfit
def log_mel(
    waveform: Float[Tensor, "*B samples"],
    rate_hz: int = 8_000,
    *,
    window_s: float = 0.032,
    hop_s: float = 0.016,
    bands: int = 20,
    low_hz: float = 60.0,
    high_hz: float = 4_000.0,
    floor: float = 1e-3,
) -> Float[Tensor, "*B F M"]:
    """Return the natural logarithm of the power in mel bands, frame by frame.

        power[f, k]   = | sum_n  hann[n] waveform[f hop + n] exp(-2 pi i k n / window) | ^2
        log_mel[f, m] = log( max( sum_k power[f, k] filters[k, m], floor ) )

    Frames lie wholly inside the waveform: F = 1 + (samples - window) // hop, a rest shorter than a hop is left out. The
    result has the waveform's dtype. A full-scale sine has power (window / 4)^2 = 4,096, so the default floor lies
    66 dB below it. ValueError for NaN and infinity, for a floor that has no logarithm, and where no frame fits.
    """
    refuse.infinite(waveform=waveform)
    if not floor > 0:
        raise ValueError(f"floor {floor} has no logarithm; give a power above 0, such as 1e-3")
    window, hop = round(window_s * rate_hz), round(hop_s * rate_hz)
    if hop < 1 or waveform.shape[-1] < window:
        raise ValueError(
            f"{waveform.shape[-1]} samples, windows of {window}, hops of {hop}: no frame fits; "
            f"try window_s <= {waveform.shape[-1] / rate_hz:g} and hop_s >= {1 / rate_hz:g}"
        )
    hann = torch.hann_window(window, periodic=True, dtype=waveform.dtype, device=waveform.device)
    spectrum = torch.fft.rfft(waveform.unfold(-1, window, hop) * hann)  # (..., F, window // 2 + 1)
    filters = mel_filters(window, rate_hz, bands=bands, low_hz=low_hz, high_hz=high_hz).to(waveform)
    return (spectrum.abs().square() @ filters).clamp_min(floor).log()


def mel_filters(
    window: int, rate_hz: int, *, bands: int, low_hz: float, high_hz: float
) -> Float[Tensor, "frequencies M"]:
    """Return one triangle per band: 0 at its neighbours' centres, 1 at its own; float64.

    The centres are equally far apart in mel between low_hz and high_hz, the sides of the triangles are straight in
    hertz. Row k is the frequency k rate_hz / window. Errors: a band beyond rate_hz / 2, a band that holds no frequency.
    """
    if bands < 1:
        raise ValueError(f"bands={bands} leaves nothing of the sound; try 20")
    if not 0 <= low_hz < high_hz <= rate_hz / 2:
        raise ValueError(f"bands from {low_hz:g} to {high_hz:g} Hz leave 0 to {rate_hz / 2:g} Hz, half the rate")
    low, high = mel_from_hertz(low_hz), mel_from_hertz(high_hz)
    corners = 700 * (10 ** (torch.linspace(low, high, bands + 2, dtype=torch.float64) / 2595) - 1)  # back to hertz
    hertz = torch.arange(window // 2 + 1, dtype=torch.float64)[:, None] * rate_hz / window
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    filters = torch.minimum((hertz - left) / (centre - left), (right - hertz) / (right - centre)).clamp_min(0)
    if not bool((filters.sum(dim=0) > 0).all()):
        raise ValueError(
            f"{bands} bands are too narrow: one lies between two frequencies, which are {rate_hz / window:g} Hz apart; "
            "try fewer bands or a longer window"
        )
    return filters


def mel_from_hertz(hertz: float) -> float:
    """Return 2595 log10(1 + hertz / 700): 1,000 Hz is nearly 1,000 mel. O'Shaughnessy (1987), and the HTK toolkit."""
    return 2595 * math.log10(1 + hertz / 700)
