"""Log-mel: against transformers, and against tones whose band is known by arithmetic."""

import math

import numpy as np
import pytest
import torch
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from course_lib.data.mel import log_mel, mel_filters, mel_from_hertz


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def tone(hertz, rate_hz=8_000, seconds=0.2):
    return torch.sin(2 * math.pi * hertz * torch.arange(round(seconds * rate_hz), dtype=torch.float64) / rate_hz)


@pytest.mark.parametrize("rate_hz, window_s, hop_s, bands", [(8_000, 0.032, 0.016, 20), (16_000, 0.025, 0.01, 33)])
def test_log_mel_equals_transformers(rate_hz, window_s, hop_s, bands):
    waveform = 0.1 * noise(7_000)
    window, hop = round(window_s * rate_hz), round(hop_s * rate_hz)
    filters = mel_filter_bank(window // 2 + 1, bands, 50.0, rate_hz / 2.0, rate_hz, norm=None, mel_scale="htk")
    expected = spectrogram(
        waveform.numpy(),
        window_function(window, "hann", periodic=True),
        frame_length=window,
        hop_length=hop,
        center=False,
        power=2.0,
        mel_filters=filters,
        mel_floor=1e-3,
        log_mel="log",
        dtype=np.float64,
    ).T
    knobs = {"window_s": window_s, "hop_s": hop_s, "bands": bands, "low_hz": 50.0, "high_hz": rate_hz / 2.0}
    found = log_mel(waveform, rate_hz, **knobs)
    assert found.shape == expected.shape and np.abs(found.numpy() - expected).max() < 1e-4
    assert (
        np.abs(mel_filters(window, rate_hz, bands=bands, low_hz=50.0, high_hz=rate_hz / 2).numpy() - filters).max()
        < 1e-9
    )


def test_a_pure_tone_is_loudest_in_the_band_whose_centre_is_nearest():
    # centres lie (mel(4000) - mel(60)) / 21 = 97.8 mel apart, the first 97.8 above mel(60) = 92.6
    step = (mel_from_hertz(4_000.0) - mel_from_hertz(60.0)) / 21
    for hertz in (250, 500, 1_000, 2_000, 3_000):
        expected = round((mel_from_hertz(float(hertz)) - mel_from_hertz(60.0)) / step) - 1
        assert log_mel(tone(hertz)).argmax(dim=-1).unique().tolist() == [expected], hertz
    assert round((999.99 - 92.6) / 97.8) - 1 == 8 == int(log_mel(tone(1_000))[0].argmax())  # 1 kHz by hand


def test_a_sine_has_the_documented_power_and_silence_the_floor():
    spectrum = torch.fft.rfft(tone(1_000)[:256] * torch.hann_window(256, dtype=torch.float64)).abs().square()
    assert spectrum.max().item() == pytest.approx((256 / 4) ** 2)
    assert torch.equal(log_mel(torch.zeros(300)).exp().round(decimals=6), torch.full((1, 20), 1e-3))
    assert 10 * math.log10(4_096 / 1e-3) == pytest.approx(66, abs=0.5)  # decibel between the two


def test_doubling_the_amplitude_adds_log_4():
    waveform = noise(2, 3, 1_000)
    assert torch.allclose(log_mel(2 * waveform) - log_mel(waveform), torch.tensor(math.log(4), dtype=torch.float64))


def test_frames_lie_inside_the_waveform_and_keep_the_leading_axes():
    # 256 + 4 * 128 = 768 samples make 5 frames; 767 make 4; the rest after the last frame has no influence
    assert log_mel(noise(3, 2, 768)).shape == (3, 2, 5, 20) and log_mel(noise(767)).shape == (4, 20)
    longer = noise(800)
    assert torch.equal(log_mel(longer), log_mel(longer[:768]))
    shifted = log_mel(longer[128:])
    assert torch.allclose(shifted, log_mel(longer)[1:])


def test_float32_agrees_with_float64():
    waveform = 0.2 * noise(5, 5_248)
    found = log_mel(waveform.float())
    assert found.dtype == torch.float32 and (found - log_mel(waveform)).abs().max() < 1e-4


def test_filters_are_triangles_that_sum_to_one_between_the_outer_centres():
    filters = mel_filters(400, 16_000, bands=13, low_hz=100.0, high_hz=7_000.0)
    assert filters.shape == (201, 13) and filters.min() == 0 and filters.max() <= 1
    step = (mel_from_hertz(7_000.0) - mel_from_hertz(100.0)) / 14
    mel = torch.tensor([mel_from_hertz(40.0 * k) for k in range(201)])
    inside = (mel > mel_from_hertz(100.0) + step) & (mel < mel_from_hertz(7_000.0) - step)
    assert torch.allclose(
        filters.sum(dim=1)[inside], torch.tensor(1.0, dtype=torch.float64)
    )  # neighbours overlap fully
    assert (filters.sum(dim=1)[(mel < mel_from_hertz(100.0)) | (mel > mel_from_hertz(7_000.0))] == 0).all()


def test_mel_scale_at_known_points():
    assert mel_from_hertz(0.0) == 0 and mel_from_hertz(700.0) == pytest.approx(2595 * math.log10(2))
    assert mel_from_hertz(1_000.0) == pytest.approx(1_000, abs=0.1)


@pytest.mark.parametrize(
    "knobs, message",
    [
        ({"high_hz": 5_000.0}, "leave 0 to 4000 Hz, half the rate"),
        ({"low_hz": 900.0, "high_hz": 800.0}, "bands from 900 to 800 Hz"),
        ({"bands": 200}, "200 bands are too narrow.*31.25 Hz apart.*fewer bands or a longer window"),
        ({"window_s": 1.0}, "no frame fits; try window_s <= 0.1"),
        ({"hop_s": 0.0}, "hops of 0.*hop_s >= 0.000125"),
    ],
)
def test_bad_arguments_say_what_fits(knobs, message):
    with pytest.raises(ValueError, match=message):
        log_mel(noise(800), **knobs)
