"""Emoji: every concept drawn by three artists and named in English and Chinese; real pairs, small enough to train on.

Design teams draw each emoji of the Unicode standard anew, and the standard's translators name and tag it. So a picture
can be new in two ways: by an artist whom the model has not seen, or of a concept that it has not seen. And some pairs
are traps: one job drawn as woman, man and person; a picture that flipping turns into another one; a clock.

`emoji_drawings.py` made the files. Twemoji's licence is CC BY 4.0: where a figure shows it, put `CREDIT` beside it.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image
from torch import Tensor

from course_lib import refuse
from course_lib.data.catalogue import find
from course_lib.data.splitting import split_by_group

ARTISTS = {
    "noto": "Noto Emoji by Google, Apache License 2.0",
    "twemoji": "Twemoji by Twitter, Inc and other contributors (jdecked/twemoji), CC BY 4.0",
    "fluent": "Fluent Emoji (flat) by Microsoft Corporation, MIT License",
}
"""Every artist and whom to name; the index of an artist in `Emoji.artist` is the place in this dictionary."""
CREDIT = "Drawings: " + "; ".join(ARTISTS.values()) + "; scaled to 32 pixels, 256 colours"
LANGUAGES = ("en", "zh")
GROUPS = {
    "smileys-emotion": "笑脸与情感",
    "people-body": "人与身体",
    "animals-nature": "动物与自然",
    "food-drink": "食物与饮料",
    "travel-places": "旅行与地点",
    "activities": "活动",
    "objects": "物品",
    "symbols": "符号",
    "flags": "旗帜",
}
SIZE, COLUMNS = 32, 40
"""Pixels along the edge of a drawing, and drawings in one row of an artist's sheet."""

WOMAN, MAN, PERSON = "1F469", "1F468", "1F9D1"
FEMALE_SIGN, MALE_SIGN, RIGHT_ARROW = "2640", "2642", "27A1"
"""What the code of an emoji is joined from. A job is a human with a thing (1F469-200D-1F680, woman astronaut); an
activity may carry a sign instead (1F3C3-200D-2640-FE0F, woman running), and an arrow where it faces right."""

_OPPOSITE = [
    ("left", "right"),
    ("leftwards", "rightwards"),
    ("waxing", "waning"),
    ("first quarter", "last quarter"),
    ("last track", "next track"),
    ("play button", "reverse button"),
    ("fast-forward", "fast reverse"),
]
_FLIPPED = dict(_OPPOSITE) | {right: left for left, right in _OPPOSITE}
_SIDE = re.compile(rf"\b({'|'.join(sorted(_FLIPPED, key=len, reverse=True))})\b")
_HOURS = ["twelve", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"]


class Concepts(NamedTuple):
    """What is drawn, in the order of the Unicode standard: every tuple has one entry a concept, 1,589 in all."""

    codes: tuple[str, ...]
    """Code points in hexadecimal, joined by hyphens."""
    groups: tuple[str, ...]
    """A key of `GROUPS`, which gives its Chinese name."""
    subgroups: tuple[str, ...]
    """A finer group in English, such as "animal-bug"."""
    names: dict[str, tuple[str, ...]]
    """By language, "en" or "zh"; no two concepts have one name."""
    tags: dict[str, tuple[tuple[str, ...], ...]]
    """By language: keywords, in alphabetical order."""


class Emoji(NamedTuple):
    """Drawings, artist by artist, each in the order of the concepts."""

    images: Float[Tensor, "B 3 32 32"]
    """Red, green, blue, 0 to 1, on white. So a white frame is lost: Fluent's white square button looks like its black
    medium square, the one drawing that stands for two concepts of an artist."""
    concept: Int[Tensor, " B"]
    """Index into every tuple of `concepts`."""
    artist: Int[Tensor, " B"]
    """Index into `tuple(ARTISTS)`."""
    concepts: Concepts


class Split(NamedTuple):
    """Rows of an `Emoji`: train on `seen`; the other three say what is new. Together they are all rows, each once."""

    seen: Int[Tensor, " _"]
    new_artist: Int[Tensor, " _"]
    new_concept: Int[Tensor, " _"]
    new_both: Int[Tensor, " _"]


def load_concepts() -> Concepts:
    """Read the names, tags and groups; `DataFileError` where the file is not what the catalogue lists."""
    with find("emoji/concepts.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return Concepts(
        codes=tuple(row["code"] for row in rows),
        groups=tuple(row["group"] for row in rows),
        subgroups=tuple(row["subgroup"] for row in rows),
        names={language: tuple(row[language] for row in rows) for language in LANGUAGES},
        tags={language: tuple(tuple(row[f"{language}_tags"].split("|")) for row in rows) for language in LANGUAGES},
    )


@refuse.misfit
def load_emoji(artists: Sequence[str] = tuple(ARTISTS)) -> Emoji:
    """Return every concept as drawn by each of `artists`, each named once: 0.1 s and 20 MB of memory an artist."""
    refuse.empty(artists=artists)
    for artist in artists:
        refuse.unknown(ARTISTS, artist=artist)
    if len(set(artists)) < len(artists):
        raise ValueError(f"artists is {tuple(artists)}, one of them twice; name each once")
    concepts = load_concepts()
    count, order = len(concepts.codes), list(ARTISTS)
    return Emoji(
        images=torch.cat([_read_drawings(artist, count) for artist in artists]),
        concept=torch.arange(count).repeat(len(artists)),
        artist=torch.tensor([order.index(artist) for artist in artists]).repeat_interleave(count),
        concepts=concepts,
    )


def _read_drawings(artist: str, count: int) -> Float[Tensor, "count 3 32 32"]:
    with Image.open(find(f"emoji/{artist}.png")) as sheet:
        drawings = cut_sheet(np.asarray(sheet.convert("RGB")))[:count]
    return torch.from_numpy(drawings).permute(0, 3, 1, 2).contiguous().float() / 255


@refuse.misfit
def cut_sheet(sheet: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "count size size 3"]:
    """Cut a sheet into its drawings, row by row; a last row that is not full ends in white ones."""
    rows, columns = sheet.shape[0] // SIZE, sheet.shape[1] // SIZE
    if (rows * SIZE, columns * SIZE) != sheet.shape[:2]:
        raise ValueError(f"sheet has {sheet.shape[0]} x {sheet.shape[1]} pixels; a sheet has whole drawings of {SIZE}")
    cut = sheet.reshape(rows, SIZE, columns, SIZE, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(cut.reshape(rows * columns, SIZE, SIZE, 3))


def split_emoji(emoji: Emoji, *, new_artist: str = "fluent", share: float = 0.15, seed: int) -> Split:
    """Hold out one artist and a share of the concepts.

    share: part of the concepts that is new. What differs only in gender or direction stays on one side, or "man
    running" in training would give "woman running" away. ValueError where a part would be empty.
    """
    order = list(ARTISTS)
    refuse.unknown([order[place] for place in emoji.artist.unique().tolist()], new_artist=new_artist)
    if not 0 < share < 1:
        raise ValueError(f"share is {share}; give a part of the concepts between 0 and 1, such as 0.15")
    _, held_out = split_by_group([_stem(code) for code in emoji.concepts.codes], (1 - share, share), seed=seed)
    artist, concept = emoji.artist == order.index(new_artist), torch.isin(emoji.concept, held_out)
    if artist.all():
        raise ValueError(f"emoji holds {new_artist!r} alone, so nothing is left to train on; load another artist too")
    parts = (~artist & ~concept, artist & ~concept, ~artist & concept, artist & concept)
    return Split(*(part.nonzero().flatten() for part in parts))


def families(concepts: Concepts) -> Int[Tensor, "families 3"]:
    """Return concepts that differ in one word only, rows of (woman, man, person): each other's hard negatives.

    Some are very hard: Fluent draws the guard and the man guard almost alike.
    """
    members: dict[str, dict[int, int]] = defaultdict(dict)
    for place, code in enumerate(concepts.codes):
        parts = code.split("-")
        if sum(part in (WOMAN, MAN, PERSON) for part in parts) > 1:
            continue  # a couple is no family in this sense
        signs = [FEMALE_SIGN in parts or parts[0] == WOMAN, MALE_SIGN in parts or parts[0] == MAN, True]
        members[_genderless(code)][signs.index(True)] = place
    rows = [[found[0], found[1], found[2]] for found in members.values() if len(found) == 3]
    return torch.tensor(rows, dtype=torch.long).view(-1, 3)


def mirrored_pairs(concepts: Concepts) -> Int[Tensor, "pairs 2"]:
    """Return concepts that turn into each other when a picture is flipped from left to right, and whose names say so.

    Arrows, hands, moons, buttons; and who walks to the left, as most emoji do, beside who walks to the right.
    """
    place = {name: number for number, name in enumerate(concepts.names["en"])}
    pairs = []
    for name, number in place.items():
        flipped = _SIDE.sub(lambda side: _FLIPPED[side.group()], name.removesuffix(": facing right"))
        if flipped != name and flipped in place:
            pairs.append(tuple(sorted((number, place[flipped]))))
    return torch.tensor(sorted(set(pairs)), dtype=torch.long).view(-1, 2)


def clock_faces(concepts: Concepts) -> Int[Tensor, " 24"]:
    """Return the clocks from twelve o'clock on, every half hour: place k is k / 2 hours after twelve.

    Flipped from left to right, clock k shows the time of clock -k. Not so the half hours of Twemoji and Fluent, whose
    hour hand stays on the full hour: flipped, they look like clock 2 - k, half past one like half past eleven.
    """
    place = {name: number for number, name in enumerate(concepts.names["en"])}
    return torch.tensor([place[name] for hour in _HOURS for name in (f"{hour} o’clock", f"{hour}-thirty")])


def _genderless(code: str) -> str:
    """The code of the person: what a woman, a man and a person of one job or activity have in common."""
    code = re.sub(rf"-200D-({FEMALE_SIGN}|{MALE_SIGN})-FE0F", "", code)
    return re.sub(rf"^({WOMAN}|{MAN})", PERSON, code)


def _stem(code: str) -> str:
    return _genderless(code).removesuffix(f"-200D-{RIGHT_ARROW}-FE0F")
