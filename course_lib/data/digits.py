"""Digits, seen and heard: real handwriting paired with synthetic speech, a small AV-MNIST.

The images are scikit-learn's 1,797 handwritten digits: the test part of UCI's Optical Recognition of Handwritten Digits
(doi:10.24432/C50P49). The sounds are espeak-ng's, see `voices.py`: **no human speaks here**. An image and a clip are
paired by label alone, as in AV-MNIST (Vielzeuf et al., 2018, arXiv:1808.07275), so given the digit the two modalities
are independent: fusion can gain because the two make different mistakes, and for no other reason.

In this module M is the number of mel bands, beside the course's B (batch) and F (audio frames).
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from sklearn.datasets import load_digits
from torch import Tensor

from course_lib.data.mel import log_mel
from course_lib.data.voices import RATE_HZ, RENDITIONS, VOICES, Clips, read_clips

TRAIN_IMAGES = 1_287
"""Images 0 to 1,286 are for training, the other 510 for testing, whatever the seed. scikit-learn keeps UCI's order, in
which one writer follows another: 14 runs that start with 0 to 9 in order (UCI speaks of 13 writers), and a run begins
at 1,287. As far as that order tells, nobody who wrote a test image wrote a training image. The runs were described in
"Sample grouping" of https://inria.github.io/scikit-learn-mooc."""

CLIP_SECONDS = 0.656
"""Every clip is padded with silence at its end to this length, which is F = 40 frames. The longest lasts 0.647 s."""

LANGUAGES = {"en": ("en",), "zh": ("zh",), "both": ("en", "zh")}


class SeenHeard(NamedTuple):
    """Digits as two modalities; row b of every field belongs to example b, in the order of the images."""

    image: Float[Tensor, "B 8 8"]
    """Ink from 0 (paper) to 1; with noise also outside. Zeros where missing."""
    sound: Float[Tensor, "B F M"]
    """Log-mel, each example shifted and scaled on its own to mean 0 and standard deviation 1. Zeros, the mean, where
    missing."""
    label: Int[Tensor, " B"]
    """The digit, 0 to 9: chance is about 0.1."""
    voice: Int[Tensor, " B"]
    """Index into `VOICES`."""
    image_present: Bool[Tensor, " B"]
    sound_present: Bool[Tensor, " B"]
    image_index: Int[Tensor, " B"]
    """Row in scikit-learn's data set."""
    clip_index: Int[Tensor, " B"]
    """Row in `voices.npz`; one clip serves many images."""


def load_seen_and_heard(
    split: str,
    *,
    language: str = "en",
    held_out_voices: bool = True,
    seed: int = 0,
    image_noise: float = 0.0,
    sound_noise: float = 0.0,
    image_missing: float = 0.0,
    sound_missing: float = 0.0,
) -> SeenHeard:
    """Return the 1,287 training or the 510 test pairs.

    split: "train" or "test"; no image is in both, whatever the other arguments are.
    language: "en", "zh" (Mandarin) or "both", whose voices then alternate at random.
    held_out_voices: True lets test voices speak the test split, and they speak nowhere else. False lets the training
        voices speak it: the very clips of training come back, a leak worth showing. The training split is the same.
    seed: draws the pairing, the noise and what is missing, each from its own stream: turning one knob leaves the other
        modality as it was. Other splits draw other numbers.
    image_noise: standard deviation of Gaussian noise on each pixel; 1.0 is the distance from paper to full ink.
    sound_noise: Gaussian noise on the waveform, before the mel: its standard deviation over the root mean square of the
        clip. 0.1 is a signal-to-noise ratio of 20 dB, 1.0 of 0 dB, 2.0 of -6 dB: -20 log10(sound_noise). The noise
        fills the padding, too.
    image_missing, sound_missing: part of the examples, rounded to whole ones, that have no image or no sound. No
        example loses both, so the two add up to at most 1.
    """
    _check_knobs(split, language, image_noise, sound_noise, image_missing, sound_missing)
    clips, digits = read_clips(), load_digits()
    index = np.arange(TRAIN_IMAGES) if split == "train" else np.arange(TRAIN_IMAGES, len(digits.target))
    label = digits.target[index]
    pairing, image_stream, sound_stream, missing_stream = _streams(seed, split)

    speakers = _speakers("test" if split == "test" and held_out_voices else "train", language)
    clip = _pair(label, clips, speakers, pairing)
    image = digits.images[index] / 16 + image_noise * image_stream.standard_normal((len(index), 8, 8))
    sound = _standardised_log_mel(_waveforms(clips, clip, sound_noise, sound_stream))
    image_present, sound_present = _present(len(index), image_missing, sound_missing, missing_stream)
    return SeenHeard(
        image=torch.from_numpy(image).float() * image_present[:, None, None],
        sound=sound * sound_present[:, None, None],
        label=torch.from_numpy(label),
        voice=torch.from_numpy(clips.voice[clip]),
        image_present=image_present,
        sound_present=sound_present,
        image_index=torch.from_numpy(index),
        clip_index=torch.from_numpy(clip),
    )


def spoken_digit(
    digit: int, voice: str, *, rendition: int = 0, noise: float = 0.0, seed: int = 0
) -> tuple[Float[Tensor, " samples"], int]:
    """Return one clip and its rate in hertz, ready for `IPython.display.Audio(samples, rate=rate_hz)`.

    voice: a name from `VOICES`. rendition: 0 speaks slower and lower than 1. noise: as `sound_noise` of
    `load_seen_and_heard`. The samples are float32 in [-1, 1]; with noise they may lie outside.
    """
    names = [known.name for known in VOICES]
    if voice not in names:
        raise ValueError(f"no voice is called {voice!r}; try one of {names}")
    if digit not in range(10) or rendition not in range(len(RENDITIONS)):
        raise ValueError(f"digit {digit}, rendition {rendition}: digits go from 0 to 9, renditions are 0 and 1")
    _check_level("noise", noise)
    clips = read_clips()
    is_it = (clips.digit == digit) & (clips.voice == names.index(voice)) & (clips.rendition == rendition)
    clean = clips.samples(int(np.flatnonzero(is_it)[0]))
    return torch.from_numpy(_with_noise(clean, len(clean), noise, np.random.RandomState(seed))), RATE_HZ


def _check_knobs(
    split: str, language: str, image_noise: float, sound_noise: float, image_missing: float, sound_missing: float
) -> None:
    if split not in ("train", "test"):
        raise ValueError(f"split {split!r} is unknown; try 'train' or 'test'")
    if language not in LANGUAGES:
        raise ValueError(f"language {language!r} is unknown; try one of {list(LANGUAGES)}")
    _check_level("image_noise", image_noise)
    _check_level("sound_noise", sound_noise)
    if min(image_missing, sound_missing) < 0 or not image_missing + sound_missing <= 1:
        raise ValueError(
            f"image_missing {image_missing} and sound_missing {sound_missing} must be parts that add up to at most 1: "
            "every example keeps one modality; try 0.3 and 0.3"
        )


def _check_level(name: str, level: float) -> None:
    if not 0 <= level < math.inf:
        raise ValueError(f"{name} {level} is not a noise level; try 0 for none or 1 for as much noise as signal")


def _streams(seed: int, split: str) -> list[np.random.RandomState]:
    part = ("train", "test").index(split)
    # RandomState: NumPy froze its streams (NEP 19), while default_rng's may change from version to version
    return [np.random.RandomState([seed, part, purpose]) for purpose in range(4)]


def _speakers(split: str, language: str) -> list[int]:
    return [i for i, v in enumerate(VOICES) if v.split == split and v.language in LANGUAGES[language]]


def _pair(
    label: Int[np.ndarray, " B"], clips: Clips, speakers: list[int], stream: np.random.RandomState
) -> Int[np.ndarray, " B"]:
    """Draw for every label one of the clips in which a speaker says it."""
    allowed = np.isin(clips.voice, speakers)
    says = np.stack([np.flatnonzero(allowed & (clips.digit == digit)) for digit in range(10)])
    return says[label, stream.randint(says.shape[1], size=len(label))]


def _waveforms(
    clips: Clips, clip: Int[np.ndarray, " B"], noise: float, stream: np.random.RandomState
) -> Float[Tensor, "B samples"]:
    length = round(CLIP_SECONDS * RATE_HZ)
    return torch.from_numpy(np.stack([_with_noise(clips.samples(c), length, noise, stream) for c in clip.tolist()]))


def _with_noise(
    clean: Float[np.ndarray, " samples"], length: int, noise: float, stream: np.random.RandomState
) -> Float[np.ndarray, " length"]:
    """Pad a clip with silence, then add noise of `noise` times the root mean square of the unpadded clip."""
    if len(clean) > length:
        raise ValueError(f"a clip of {len(clean)} samples does not fit in {length}; raise CLIP_SECONDS")
    padded = np.pad(clean, (0, length - len(clean)))
    if noise == 0:  # saves half of the loading time
        return padded
    level = np.float32(noise * np.sqrt(np.mean(np.square(clean, dtype=np.float64))))
    return padded + level * stream.standard_normal(length).astype(np.float32)


def _standardised_log_mel(waveform: Float[Tensor, "B samples"]) -> Float[Tensor, "B F M"]:
    """Return log-mel with mean 0 and standard deviation 1 in every example.

    One mean and deviation for all examples, taken from clean sound, would not do: noise lifts every silent frame off
    the floor, by some two deviations, and a small MLP fed with that stayed at chance.
    """
    # float64 inside, so that the float32 result agrees on every CPU; in parts, so that memory stays small
    power = torch.cat([log_mel(part.double()) for part in waveform.split(128)])
    std, mean = torch.std_mean(power, dim=(1, 2), correction=0, keepdim=True)
    return ((power - mean) / std).float()


def _present(
    count: int, image_missing: float, sound_missing: float, stream: np.random.RandomState
) -> tuple[Bool[Tensor, " B"], Bool[Tensor, " B"]]:
    """Shuffle the examples; the first lose their image, the last their sound."""
    order = torch.from_numpy(stream.permutation(count))
    without_image = round(image_missing * count)
    without_sound = min(round(sound_missing * count), count - without_image)
    image_present, sound_present = torch.ones(count, dtype=torch.bool), torch.ones(count, dtype=torch.bool)
    image_present[order[:without_image]] = False
    sound_present[order[count - without_sound :]] = False
    return image_present, sound_present
