"""Seen and heard: nothing leaks from train to test, every pair says one digit, and each knob does what it says."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestCentroid

from course_lib.data import digits
from course_lib.data.digits import CLIP_SECONDS, TRAIN_IMAGES, SeenHeard, load_seen_and_heard, spoken_digit
from course_lib.data.mel import log_mel
from course_lib.data.voices import RATE_HZ, VOICES, read_clips

LANGUAGES = ["en", "zh", "both"]


def voices_of(data):
    return {VOICES[voice] for voice in data.voice.tolist()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_image_no_clip_and_no_voice_is_in_both_splits(language):
    train, test = (
        load_seen_and_heard("train", language=language),
        load_seen_and_heard("test", language=language, seed=5),
    )
    for field in ("image_index", "clip_index", "voice"):
        assert not set(getattr(train, field).tolist()) & set(getattr(test, field).tolist()), field
    assert sorted(torch.cat([train.image_index, test.image_index]).tolist()) == list(range(1_797))
    # every clip of every allowed voice is used: 20 per voice
    assert len(train.clip_index.unique()) == 20 * len(voices_of(train))


def test_no_image_occurs_twice_under_another_index():
    assert len(np.unique(load_digits().data, axis=0)) == 1_797


def test_the_split_lies_between_two_runs_of_writers():
    # in UCI's order a writer's run begins with 0 to 9 in order, twice; it is not so one image earlier or later
    target = load_digits().target.tolist()
    assert target[TRAIN_IMAGES : TRAIN_IMAGES + 20] == [*range(10), *range(10)]
    assert target[TRAIN_IMAGES - 10 : TRAIN_IMAGES] != list(range(10))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("split", ["train", "test"])
def test_voices_are_those_of_split_and_language(split, language):
    expected = {v for v in VOICES if v.split == split and language in (v.language, "both")}
    assert voices_of(load_seen_and_heard(split, language=language)) == expected


def test_without_held_out_voices_the_clips_of_training_come_back_and_training_stays():
    train = load_seen_and_heard("train", held_out_voices=False)
    leaky, honest = load_seen_and_heard("test", held_out_voices=False), load_seen_and_heard("test")
    assert set(leaky.clip_index.tolist()) <= set(train.clip_index.tolist())
    assert all(map(torch.equal, train, load_seen_and_heard("train")))
    assert torch.equal(leaky.image, honest.image) and torch.equal(leaky.image_index, honest.image_index)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("split, count", [("train", 1_287), ("test", 510)])
def test_image_sound_and_label_agree_by_another_path(split, count, language):
    data, written, clips = load_seen_and_heard(split, language=language, seed=2), load_digits(), read_clips()
    assert data.label.shape == (count,) and data.image.shape == (count, 8, 8) and data.sound.shape == (count, 40, 20)
    assert data.label.tolist() == written.target[data.image_index].tolist() == clips.digit[data.clip_index].tolist()
    assert data.voice.tolist() == clips.voice[data.clip_index].tolist()
    assert np.array_equal(data.image.numpy() * 16, written.images[data.image_index])
    for row in (0, 7, count - 1):  # from the clip's own digit and voice to its sound, without the loader
        said = [spoken_digit(int(data.label[row]), VOICES[data.voice[row]].name, rendition=r)[0] for r in (0, 1)]
        padded = [torch.nn.functional.pad(samples, (0, 5_248 - len(samples))) for samples in said]
        sounds = [log_mel(samples.double()) for samples in padded]
        errors = [((s - s.mean()) / s.std(correction=0) - data.sound[row]).abs().max().item() for s in sounds]
        assert min(errors) < 1e-5 < 0.1 < max(errors)


@pytest.mark.parametrize("noise", [0.0, 2.5])
def test_every_sound_has_mean_0_and_standard_deviation_1(noise):
    sound = load_seen_and_heard("test", sound_noise=noise).sound
    assert sound.mean(dim=(1, 2)).abs().max() < 1e-5 and (sound.std(dim=(1, 2), correction=0) - 1).abs().max() < 1e-5


def test_clips_are_padded_never_cut():
    clips = read_clips()
    assert np.diff(clips.start).max() <= CLIP_SECONDS * RATE_HZ == 5_248  # 1 + (5248 - 256) / 128 = 40 frames


def test_same_seed_same_bytes_other_seed_other_pairs():
    knobs = {"image_noise": 0.4, "sound_noise": 1.5, "image_missing": 0.2, "sound_missing": 0.1}
    once, twice = (load_seen_and_heard("test", seed=7, **knobs) for _ in range(2))
    for field, first, second in zip(SeenHeard._fields, once, twice, strict=True):
        assert first.numpy().tobytes() == second.numpy().tobytes(), field
    other = load_seen_and_heard("test", seed=8, **knobs)
    assert torch.equal(once.image_index, other.image_index)
    for field in ("clip_index", "image", "sound", "image_present", "sound_present"):
        assert not torch.equal(getattr(once, field), getattr(other, field)), field


@pytest.mark.parametrize(
    "knob, moved",
    [
        ({"image_noise": 0.5}, {"image"}),
        ({"sound_noise": 0.5}, {"sound"}),
        ({"image_missing": 0.5}, {"image", "image_present"}),
        ({"sound_missing": 0.5}, {"sound", "sound_present"}),
        ({"language": "zh"}, {"sound", "voice", "clip_index"}),
    ],
    ids=lambda value: "-".join(sorted(value)),  # a set has another order in every worker
)
def test_a_knob_moves_its_own_fields_only(knob, moved):
    basis = {"seed": 3, "image_noise": 0.1, "sound_noise": 0.1}
    plain, turned = load_seen_and_heard("test", **basis), load_seen_and_heard("test", **{**basis, **knob})
    changed = {f for f in SeenHeard._fields if not torch.equal(getattr(plain, f), getattr(turned, f))}
    assert changed == moved


def test_the_two_splits_draw_different_numbers():
    noise = [load_seen_and_heard(s, image_noise=1.0).image - load_seen_and_heard(s).image for s in ("train", "test")]
    shared = torch.corrcoef(torch.stack([noise[0][:510].flatten(), noise[1].flatten()]))[0, 1]
    assert abs(shared) < 0.03  # 32,640 values: 5 standard errors


@pytest.mark.parametrize("level", [0.3, 1.2])
def test_image_noise_has_the_stated_standard_deviation_and_is_not_clipped(level):
    noise = load_seen_and_heard("train", image_noise=level).image - load_seen_and_heard("train").image
    # 1287 * 64 values: the standard error of their standard deviation is level / sqrt(2 * 82368) = 0.25 %
    assert noise.std().item() == pytest.approx(level, rel=0.01) and abs(noise.mean().item()) < 0.01 * level


@pytest.mark.parametrize("level, decibel", [(0.1, 20.0), (1.0, 0.0), (2.0, -6.02)])
def test_sound_noise_has_the_stated_ratio(level, decibel):
    clean, noisy = (spoken_digit(6, "caribbean-m7", noise=noise)[0].double() for noise in (0.0, level))
    ratio = clean.square().mean() / (noisy - clean).square().mean()
    assert 10 * math.log10(ratio) == pytest.approx(decibel, abs=0.3)  # some 3,000 samples: 1.3 % of the deviation


def test_the_loader_adds_the_stated_noise_to_the_waveform_and_its_padding(monkeypatch):
    waveforms = {0.0: [], 0.5: []}
    for level, heard in waveforms.items():
        monkeypatch.setattr(
            digits, "log_mel", lambda waveform, heard=heard: (heard.append(waveform), log_mel(waveform))[1]
        )
        data = load_seen_and_heard("test", sound_noise=level)
    clean, noisy = (torch.cat(heard) for heard in waveforms.values())
    clips = read_clips()
    size = [np.sqrt(np.mean(clips.samples(c).astype(float) ** 2)) for c in data.clip_index.tolist()]  # without padding
    ratio = (noisy - clean).std(dim=1) / torch.tensor(size)
    assert (ratio / 0.5 - 1).abs().max() < 0.05 and (ratio.mean() / 0.5 - 1).abs() < 0.002  # 5,248 samples: 1 % each
    assert (clean[:, -100:] == 0).double().mean() > 0.95 and (noisy[:, -100:] == 0).double().mean() < 0.01


@pytest.mark.parametrize("image_part, sound_part", [(0.3, 0.0), (0.0, 1.0), (0.25, 0.4), (0.5, 0.5)])
def test_missing_parts_are_exact_zeroed_and_never_both(image_part, sound_part):
    data = load_seen_and_heard("train", image_missing=image_part, sound_missing=sound_part, sound_noise=1.0)
    without_image, without_sound = ~data.image_present, ~data.sound_present
    assert abs(without_image.sum().item() - image_part * 1_287) <= 0.5
    assert abs(without_sound.sum().item() - sound_part * 1_287) <= 0.5 + (image_part + sound_part == 1)
    assert not (without_image & without_sound).any()
    assert torch.equal(data.image.flatten(1).eq(0).all(dim=1), without_image)
    assert torch.equal(data.sound.flatten(1).eq(0).all(dim=1), without_sound)


def test_each_modality_predicts_the_digit_and_together_they_are_better():
    # a nearest class mean, so that no training recipe is involved; chance is 0.1
    scores = {}
    train, test = (load_seen_and_heard(split, image_noise=0.3, sound_noise=3.0) for split in ("train", "test"))
    views = {"image": lambda d: d.image.flatten(1), "sound": lambda d: d.sound.flatten(1) / 8}
    views["both"] = lambda d: torch.cat([views["image"](d), views["sound"](d)], dim=1)
    for name, view in views.items():
        scores[name] = NearestCentroid().fit(view(train), train.label).score(view(test), test.label)
    assert min(scores["image"], scores["sound"]) > 0.5 and scores["both"] > max(scores["image"], scores["sound"]) + 0.02


def test_a_voice_can_be_played():
    samples, rate = spoken_digit(3, "zh-f4", rendition=1)
    assert rate == 8_000 and samples.dtype == torch.float32 and 0.85 < samples.abs().max() <= 1
    assert len(samples) < len(spoken_digit(3, "zh-f4")[0])
    assert torch.equal(spoken_digit(3, "us", noise=1.0, seed=4)[0], spoken_digit(3, "us", noise=1.0, seed=4)[0])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"split": "valid"}, "split 'valid' is unknown; try 'train' or 'test'"),
        ({"language": "de"}, r"language 'de' is unknown; try one of \['en', 'zh', 'both'\]"),
        ({"image_noise": -0.1}, "image_noise -0.1 is not a noise level; try 0 for none"),
        ({"sound_noise": math.nan}, "sound_noise nan is not a noise level"),
        ({"sound_noise": math.inf}, "sound_noise inf is not a noise level"),
        ({"image_missing": 0.7, "sound_missing": 0.4}, "add up to at most 1: every example keeps one modality"),
        ({"image_missing": -0.2}, "image_missing -0.2"),
        ({"sound_missing": math.nan}, "sound_missing nan"),
    ],
)
def test_bad_knobs_say_what_fits(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_seen_and_heard(**{"split": "train", **arguments})


@pytest.mark.parametrize(
    "arguments, knobs, message",
    [
        ((3, "queen"), {}, r"no voice is called 'queen'; try one of \['us', 'gb-f2'"),
        ((10, "us"), {}, "digits go from 0 to 9"),
        ((1, "us"), {"rendition": 2}, "renditions are 0 and 1"),
        ((1, "us"), {"noise": -1.0}, "noise -1.0 is not a noise level"),
    ],
)
def test_bad_requests_to_speak_say_what_fits(arguments, knobs, message):
    with pytest.raises(ValueError, match=message):
        spoken_digit(*arguments, **knobs)
