"""Spoken digits: how `datasets/voices.npz` was made, and how it is read.

All speech here is **synthetic**. The program espeak-ng (GPL-3.0-or-later) read the ten digits aloud in several English
and Mandarin voices; the recordings are the course's own. Only this module's maker needs espeak-ng, learners do not:

    python -m course_lib.data.voices --check         make the file again in memory and compare its sha256
    python -m course_lib.data.voices --write PATH    make the file

A clip goes from espeak-ng (22,050 Hz) to 8,000 Hz, loses the silence at both ends, is scaled to a peak of 0.9 of full
scale and is kept as G.711 mu-law, one byte per sample, as on a telephone line. The same espeak-ng gives the same bytes:
nothing is dithered, and numpy stamps every member of an .npz with 1 January 1980.
"""

import argparse
import hashlib
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.io import wavfile
from scipy.signal import resample_poly

from course_lib import refuse
from course_lib.data.catalogue import find, sha256_of

RATE_HZ = 8_000
FILE = "voices.npz"


class Voice(NamedTuple):
    """One synthetic speaker. `split` says where it may be heard: a test voice never occurs in training."""

    name: str
    """How lessons call it."""
    espeak: str
    """What `espeak-ng -v` gets: a voice and, after the plus sign, a variant that changes pitch and timbre."""
    language: str
    """Either "en" or "zh" (Mandarin)."""
    split: str
    """Either "train" or "test"."""


# Three traps of espeak-ng 1.51: `en-gb+f2` drops the variant without a word (hence gmw/en, that voice's file); a
# variant that does not exist is dropped likewise; and the plain `cmn` voice reads 三 as the English "san one".
VOICES = (
    Voice("us", "en-us", "en", "train"),
    Voice("gb-f2", "gmw/en+f2", "en", "train"),
    Voice("scotland-m3", "en-gb-scotland+m3", "en", "train"),
    Voice("rp-f4", "en-gb-x-rp+f4", "en", "train"),
    Voice("lancaster-m1", "en-gb-x-gbclan+m1", "en", "test"),
    Voice("caribbean-m7", "en-029+m7", "en", "test"),
    Voice("us-f3", "en-us+f3", "en", "test"),
    Voice("zh", "cmn-latn-pinyin", "zh", "train"),
    Voice("zh-f2", "cmn-latn-pinyin+f2", "zh", "train"),
    Voice("zh-m3", "cmn-latn-pinyin+m3", "zh", "train"),
    Voice("zh-m7", "cmn-latn-pinyin+m7", "zh", "test"),
    Voice("zh-f4", "cmn-latn-pinyin+f4", "zh", "test"),
)

WORDS = {
    "en": ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
    "zh": ["ling2", "yi1", "er4", "san1", "si4", "wu3", "liu4", "qi1", "ba1", "jiu3"],  # the number is the tone
}

RENDITIONS = ((160, 45), (200, 60))
"""Every voice says every digit twice: (speed in words per minute, pitch on espeak-ng's scale from 0 to 99)."""

SILENCE = 0.02  # a clip starts and ends where its amplitude passes this part of its peak: 34 dB below it
PEAK = 0.9  # of full scale


class Clips(NamedTuple):
    """Every clip of the file, one after the other; clip c is `codes[start[c]:start[c + 1]]`."""

    codes: UInt8[np.ndarray, " samples"]
    """G.711 mu-law, 8,000 samples per second; `decode_mu_law` gives amplitudes."""
    start: Int[np.ndarray, " clips_and_end"]
    digit: Int[np.ndarray, " clips"]
    voice: Int[np.ndarray, " clips"]
    """Index into `VOICES`."""
    rendition: Int[np.ndarray, " clips"]
    """Index into `RENDITIONS`."""
    made_with: str
    """espeak-ng's name and version."""

    def samples(self, clip: int) -> Float[np.ndarray, " samples"]:
        """Return one clip as float32 amplitudes in [-1, 1]."""
        refuse.outside(0, len(self.digit) - 1, clip=clip)  # -1 would be no sound at all
        return decode_mu_law(self.codes[self.start[clip] : self.start[clip + 1]])


def read_clips(path: Path | None = None) -> Clips:
    """Read `voices.npz`; without a path the catalogued one, whose sha256 is checked."""
    with np.load(find(FILE) if path is None else path) as file:
        return Clips(**{name: file[name] for name in Clips._fields[:-1]}, made_with=str(file["made_with"]))


@refuse.misfit
def decode_mu_law(codes: UInt8[np.ndarray, " samples"]) -> Float[np.ndarray, " samples"]:
    """Turn G.711 mu-law bytes into amplitudes in [-1, 1].

    A byte is sent with every bit flipped; flipped back it is sign (1 bit), exponent e (3 bits), mantissa m (4 bits):
        amplitude = ± ((8 m + 132) 2^e - 132) / 32768
    Steps grow with the amplitude, so the error stays near 2 % of it. Source: ITU-T Recommendation G.711 (11/88).
    """
    return (_LEVELS[codes] / np.float32(32768)).astype(np.float32)


@refuse.misfit
def encode_mu_law(samples: Float[np.ndarray, " samples"]) -> UInt8[np.ndarray, " samples"]:
    """Return for every amplitude in [-1, 1] the byte whose level is nearest; beyond the last level, the last."""
    if np.isnan(samples).any():
        raise ValueError(f"{np.isnan(samples).sum()} of {samples.size} samples are NaN; find the step that made them")
    middles = (_LEVELS[_BY_LEVEL][1:] + _LEVELS[_BY_LEVEL][:-1]) / 2
    return _BY_LEVEL[np.searchsorted(middles, samples * 32768.0)]


def _mu_law_levels() -> Int[np.ndarray, " 256"]:
    flipped = 255 - np.arange(256)
    magnitude = ((8 * (flipped % 16) + 132) << (flipped // 16 % 8)) - 132
    return np.where(flipped < 128, magnitude, -magnitude)


_LEVELS = _mu_law_levels()
_BY_LEVEL = np.argsort(_LEVELS, kind="stable").astype(np.uint8)  # bytes 127 and 255 both mean zero


def make() -> bytes:
    """Speak everything and return the bytes of `voices.npz`; needs espeak-ng."""
    table = [
        (voice, rendition, digit)
        for voice in range(len(VOICES))
        for rendition in range(len(RENDITIONS))
        for digit in range(10)
    ]
    clips = [encode_mu_law(_shape(_speak(VOICES[v], WORDS[VOICES[v].language][d], r))) for v, r, d in table]
    voice, rendition, digit = np.array(table, dtype=np.int64).T
    file = io.BytesIO()
    np.savez(  # not compressed: deflate's bytes differ between zlib versions
        file,
        codes=np.concatenate(clips),
        start=np.cumsum([0, *map(len, clips)]),
        digit=digit,
        voice=voice,
        rendition=rendition,
        made_with=np.array(installed_version()),
    )
    return file.getvalue()


def installed_version() -> str | None:
    """Return espeak-ng's name and version, or None where it is not installed."""
    if shutil.which("espeak-ng") is None:
        return None
    line = subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True, check=True).stdout
    return line.split("  Data at")[0].strip()


def _speak(voice: Voice, word: str, rendition: int) -> Float[np.ndarray, " samples"]:
    speed, pitch = RENDITIONS[rendition]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.wav"
        options = ["-v", voice.espeak, "-s", str(speed), "-p", str(pitch), "-w", str(path)]
        subprocess.run(["espeak-ng", *options, word], check=True)
        rate, samples = wavfile.read(path)
    if rate != 22_050:
        raise RuntimeError(f"espeak-ng spoke at {rate} Hz; this recipe converts from its usual 22,050 Hz")
    return samples.astype(np.float64)


def _shape(samples: Float[np.ndarray, " samples"]) -> Float[np.ndarray, " shorter"]:
    resampled = resample_poly(samples, up=160, down=441)  # 22,050 * 160 / 441 = 8,000
    resampled *= PEAK / np.abs(resampled).max()
    loud = np.flatnonzero(np.abs(resampled) > SILENCE * PEAK)
    return resampled[loud[0] : loud[-1] + 1]


def check() -> tuple[bool | None, str]:
    """Make the file again: (equal or not, why); None where the espeak-ng that made it is not installed."""
    path, made_with, here = find(FILE), read_clips().made_with, installed_version()
    if here != made_with:
        return None, f"not compared: {FILE} was made with {made_with}, installed here: {here or 'no espeak-ng'}"
    expected, found = sha256_of(path), hashlib.sha256(make()).hexdigest()
    return expected == found, f"{FILE}: sha256 {expected} in the catalogue, {found} made now"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; exit status 1 when the file made now differs or cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.data.voices", description="Make or check voices.npz.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true", help="make the file in memory and compare its sha256")
    action.add_argument("--write", type=Path, metavar="PATH", help="make the file there")
    options = parser.parse_args(arguments)
    if options.check:
        equal, message = check()
        print(message)
        return 1 if equal is False else 0
    if installed_version() is None:
        print("espeak-ng is not installed; on Debian or Ubuntu: apt-get install espeak-ng", file=sys.stderr)
        return 1
    options.write.write_bytes(make())
    print(f"{options.write}: {options.write.stat().st_size:,} bytes, sha256 {sha256_of(options.write)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
