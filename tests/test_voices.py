"""voices.npz: is everything in it, does it speak, and does the recipe still give the same bytes?"""

import hashlib
import itertools
import subprocess
import warnings
import zipfile
from collections import Counter

import numpy as np
import pytest

from course_lib.data import voices
from course_lib.data.voices import PEAK, RATE_HZ, RENDITIONS, SILENCE, VOICES, WORDS, decode_mu_law, encode_mu_law

needs_espeak = pytest.mark.skipif(
    voices.installed_version() != "eSpeak NG text-to-speech: 1.51",
    reason="espeak-ng 1.51, which made voices.npz, is not installed",
)


@pytest.fixture(scope="module")
def clips():
    return voices.read_clips()


def pitch(samples):
    """Fundamental frequencies in hertz of the voiced stretches, by autocorrelation: one every 10 ms, in order."""
    window, shortest, longest, found = 400, RATE_HZ // 400, RATE_HZ // 65, []
    for start in range(0, len(samples) - window, 80):
        piece = samples[start : start + window] - samples[start : start + window].mean()
        match = np.correlate(piece, piece, "full")[window - 1 :] * window / (window - np.arange(window))
        match /= max(match[0], 1e-9)
        lag = shortest + int(np.argmax(match[shortest:longest] > 0.9 * match[shortest:longest].max()))
        lag += int(np.argmax(match[lag : lag + 6]))
        if match[lag] > 0.6 and np.std(piece) > 0.06:
            found.append(RATE_HZ / lag)
    return np.array(found)


def of(clips, *, voice=None, rendition=None, digit=None):
    wanted = {"voice": voice, "rendition": rendition, "digit": digit}
    chosen = [getattr(clips, name) == value for name, value in wanted.items() if value is not None]
    return [clips.samples(c) for c in np.flatnonzero(np.all(chosen, axis=0)).tolist()]


def test_every_voice_says_every_digit_in_every_rendition_once(clips):
    count = Counter(zip(clips.voice.tolist(), clips.rendition.tolist(), clips.digit.tolist(), strict=True))
    assert set(count) == set(itertools.product(range(len(VOICES)), range(2), range(10))) and set(count.values()) == {1}
    assert clips.start[0] == 0 and clips.start[-1] == len(clips.codes) and (np.diff(clips.start) > 0).all()


def test_both_languages_have_voices_on_both_sides_and_no_voice_is_listed_twice():
    assert {(voice.language, voice.split) for voice in VOICES} == set(
        itertools.product(["en", "zh"], ["train", "test"])
    )
    assert len({voice.name for voice in VOICES}) == len({voice.espeak for voice in VOICES}) == len(VOICES)


def test_mu_law_decodes_to_the_levels_of_g711():
    # ITU-T G.711: all bits flipped, so 0xFF and 0x7F are zero and 0x80 and 0x00 the largest levels, 32,124 of 32,768
    codes = np.array([0xFF, 0x7F, 0x80, 0x00, 0xFE, 0xF0, 0xEF], dtype=np.uint8)
    assert (decode_mu_law(codes) * 32768).tolist() == [0, 0, 32124, -32124, 8, 120, 132]


def test_mu_law_decodes_like_the_standard_library():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        audioop = pytest.importorskip("audioop", reason="audioop left the standard library in Python 3.13")
    expected = np.frombuffer(audioop.ulaw2lin(bytes(range(256)), 2), dtype=np.int16)
    assert (decode_mu_law(np.arange(256, dtype=np.uint8)) * 32768 == expected).all()


def test_mu_law_encodes_to_the_nearest_level():
    samples = np.linspace(-1.2, 1.2, 20_001)
    levels = decode_mu_law(np.arange(256, dtype=np.uint8)).astype(np.float64)
    nearest = np.abs(samples[:, None] - levels).min(axis=1)
    assert np.allclose(np.abs(samples - decode_mu_law(encode_mu_law(samples))), nearest, rtol=0, atol=1e-12)


def test_clips_are_short_trimmed_and_equally_loud(clips):
    for clip in range(len(clips.digit)):
        samples = np.abs(clips.samples(clip))
        assert 0.1 < len(samples) / RATE_HZ < 0.656
        assert samples.max() == pytest.approx(PEAK, rel=0.02)  # half a mu-law step near the peak is 1.6 % of it
        assert min(samples[0], samples[-1]) > SILENCE * PEAK * 0.9


def test_every_voice_speaks_at_a_human_pitch_and_the_second_rendition_is_higher_and_faster(clips):
    for voice in range(len(VOICES)):
        slow, fast = of(clips, voice=voice, rendition=0), of(clips, voice=voice, rendition=1)
        low, high = (np.median(np.concatenate([pitch(samples) for samples in said])) for said in (slow, fast))
        assert 70 < low < high < 260, VOICES[voice].name
        assert sum(map(len, fast)) < 0.95 * sum(map(len, slow)), VOICES[voice].name


def test_mandarin_is_spoken_with_its_tones(clips):
    # second tone rises: 零; fourth falls: 二 四 六; a voice that read pinyin as English would do neither
    for voice in (v for v, known in enumerate(VOICES) if known.language == "zh"):
        for digit, rises in {0: True, 2: False, 4: False, 6: False}.items():
            contour = pitch(of(clips, voice=voice, rendition=0, digit=digit)[0])
            third = len(contour) // 3
            change = contour[-third:].mean() / contour[:third].mean()
            assert (change > 1.04) if rises else (change < 0.93), (VOICES[voice].name, digit)


def test_no_two_clips_are_the_same_recording(clips):
    # espeak-ng drops an unknown variant without a word: two such voices would be one
    spoken = [hashlib.sha256(clips.samples(clip).tobytes()).hexdigest() for clip in range(len(clips.digit))]
    assert len(set(spoken)) == len(VOICES) * len(RENDITIONS) * 10


def test_numpy_stamps_the_file_with_no_clock(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(5))
    for path in (tmp_path / "a.npz", voices.find(voices.FILE)):
        stamps = {member.date_time for member in zipfile.ZipFile(path).infolist()}
        assert stamps == {(1980, 1, 1, 0, 0, 0)}


def test_check_says_what_is_missing_where_it_cannot_compare(monkeypatch, capsys):
    monkeypatch.setattr(voices, "installed_version", lambda: None)
    assert voices.check()[0] is None
    assert voices.main(["--check"]) == 0
    assert "made with eSpeak NG text-to-speech: 1.51, installed here: no espeak-ng" in capsys.readouterr().out


def test_write_without_espeak_fails_and_says_how_to_get_it(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert voices.main(["--write", str(tmp_path / "voices.npz")]) == 1
    assert "apt-get install espeak-ng" in capsys.readouterr().err and not (tmp_path / "voices.npz").exists()


@needs_espeak
def test_the_recipe_gives_the_committed_bytes(capsys):
    assert voices.main(["--check"]) == 0
    expected, found = capsys.readouterr().out.split("sha256 ")[1].split(" in the catalogue, ")
    assert found == f"{expected} made now\n"


def test_check_notices_other_bytes(monkeypatch, capsys):
    monkeypatch.setattr(voices, "installed_version", lambda: "eSpeak NG text-to-speech: 1.51")
    monkeypatch.setattr(voices, "make", lambda: b"abc")
    assert voices.check()[0] is False and voices.main(["--check"]) == 1
    # FIPS 180-2, appendix B.1: the sha256 of "abc"
    assert "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad made now" in capsys.readouterr().out


def test_write_writes_what_was_made(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(voices, "installed_version", lambda: "eSpeak NG text-to-speech: 1.51")
    monkeypatch.setattr(voices, "make", lambda: b"abc")
    assert voices.main(["--write", str(tmp_path / "again.npz")]) == 0
    assert (tmp_path / "again.npz").read_bytes() == b"abc"
    assert "3 bytes, sha256 ba7816bf" in capsys.readouterr().out


@needs_espeak
@pytest.mark.parametrize("voice", [v for v in VOICES if v.language == "zh"], ids=lambda voice: voice.name)
def test_mandarin_words_are_not_read_as_english(voice):
    command = ["espeak-ng", "-q", "-x", "-v", voice.espeak, " ".join(WORDS["zh"])]
    phonemes = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "(en)" not in phonemes and "l'i35N" in phonemes  # 35: a rising tone
