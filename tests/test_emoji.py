"""The emoji are whole, told apart, drawn by every artist, and what is said of their pairs can be seen in the pixels."""

import re
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
import torch

from course_lib.data.catalogue import DATASETS, table
from course_lib.data.emoji import (
    ARTISTS,
    CREDIT,
    GROUPS,
    LANGUAGES,
    Concepts,
    Emoji,
    clock_faces,
    cut_sheet,
    families,
    load_emoji,
    mirrored_pairs,
    split_emoji,
)


@pytest.fixture(scope="module")
def emoji():
    return load_emoji()


@pytest.fixture(scope="module")
def concepts(emoji):
    return emoji.concepts


def named(concepts, rows, language="en"):
    return [tuple(concepts.names[language][place] for place in row) for row in rows.tolist()]


def gap(one, other):
    return (one - other).abs().mean(dim=(-3, -2, -1))


def few(*codes):
    """Concepts made by hand, named by their codes."""
    words = dict.fromkeys(LANGUAGES, codes)
    return Concepts(codes, ("objects",) * len(codes), ("x",) * len(codes), words, {"en": (), "zh": ()})


def test_every_concept_has_three_drawings_and_all_it_is_said_to_have(emoji, concepts):
    count = len(concepts.codes)
    assert count > 1500 and emoji.images.shape == (3 * count, 3, 32, 32) and emoji.images.dtype == torch.float32
    pairs = Counter(zip(emoji.artist.tolist(), emoji.concept.tolist(), strict=True))
    assert set(pairs) == {(artist, concept) for artist in range(3) for concept in range(count)}
    assert set(pairs.values()) == {1}
    assert {len(part) for part in (concepts.groups, concepts.subgroups)} == {count}
    for language in LANGUAGES:
        assert len(concepts.names[language]) == len(concepts.tags[language]) == count
        assert len(set(concepts.names[language])) == count  # a name tells its concept
        assert all(tag and tag == tag.strip() for tags in concepts.tags[language] for tag in tags)
    assert set(concepts.groups) == set(GROUPS) and len(set(concepts.codes)) == count


def test_a_picture_is_on_white_and_only_a_white_frame_is_lost_there(emoji, concepts):
    assert emoji.images.is_contiguous()
    assert emoji.images.min() == 0 and emoji.images.max() == 1
    assert (emoji.images == 1).all(dim=1).float().mean() > 0.2  # share of white pixels
    assert (emoji.images.std(dim=(1, 2, 3)) > 0.005).all()  # nothing is blank, not even a white heart
    alike = defaultdict(list)
    for image, artist, concept in zip(emoji.images.numpy(), emoji.artist.tolist(), emoji.concept.tolist(), strict=True):
        alike[artist, image.tobytes()].append(concepts.names["en"][concept])
    assert [names for names in alike.values() if len(names) > 1] == [["black medium square", "white square button"]]


def test_the_three_artists_drew_the_same_things_in_the_same_order(emoji):
    """A sheet out of step would be seen: most drawings resemble the other artist's more than the one before it."""
    by_artist = emoji.images.view(3, -1, 3, 32, 32)
    for one, other in pairwise([*by_artist, by_artist[0]]):
        assert (gap(one, other) < gap(one, other.roll(1, dims=0))).float().mean() > 0.75


def test_the_chinese_is_chinese_and_the_english_is_not(concepts):
    chinese = re.compile("[\u4e00-\u9fff]")
    assert sum(bool(chinese.search(name)) for name in concepts.names["zh"]) >= len(concepts.codes) - 3  # OK, DVD, DNA
    assert not any(chinese.search(name) for name in concepts.names["en"])
    place = concepts.names["en"].index
    for english, translation in {"red heart": "红心", "dog": "狗", "avocado": "鳄梨", "rocket": "火箭"}.items():
        assert concepts.names["zh"][place(english)] == translation


def test_colours_that_names_tell_are_in_the_pictures(emoji, concepts):
    for colour, shares in {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}.items():
        circle = emoji.images[emoji.concept == concepts.names["en"].index(f"{colour} circle")][:, :, 12:20, 12:20]
        assert (circle.mean(dim=(2, 3)).argmax(dim=1) == shares.index(1)).all(), colour


def test_families_are_a_woman_a_man_and_a_person_of_one_kind(concepts):
    rows = families(concepts)
    assert len(rows) > 50 and len(set(rows.flatten().tolist())) == rows.numel()
    triples = named(concepts, rows)
    assert ("woman firefighter", "man firefighter", "firefighter") in triples
    assert ("woman running", "man running", "person running") in triples
    assert ("woman", "man", "person") in triples
    for woman, man, person in triples:
        assert re.search("wom[ae]n|mermaid", woman) and re.search(r"\bm[ae]n\b|merman", man), (woman, man)
        assert not re.search(r"\b(wo)?m[ae]n\b", person), person
    chinese = named(concepts, rows, "zh")
    assert all(re.search("女|农妇|母亲", woman) or woman == "美人鱼" for woman, _, _ in chinese), chinese


def test_families_leave_out_couples_and_those_who_lack_a_member():
    kiss = [f"{one}-200D-2764-FE0F-200D-{other}" for one in ("1F469", "1F468", "1F9D1") for other in ("1F468", "1F9D1")]
    cook = ["1F9D1-200D-1F373", "1F468-200D-1F373", "1F469-200D-1F373"]
    run = ["1F3C3", "1F3C3-200D-2640-FE0F", "1F3C3-200D-2642-FE0F"]
    assert families(few(*kiss, *cook, *run)).tolist() == [[8, 7, 6], [10, 11, 9]]
    assert families(few(*kiss, *cook[:2], "2640", "2642")).shape == (0, 3)
    assert mirrored_pairs(few(*cook)).shape == (0, 2)


def test_flipping_a_picture_turns_it_into_its_pair(emoji, concepts):
    pairs = mirrored_pairs(concepts)
    names = named(concepts, pairs)
    assert ("left arrow", "right arrow") in [tuple(sorted(pair)) for pair in names]
    assert any("running: facing right" in pair for pair in map(" / ".join, names)) and len(pairs) > 25
    by_artist = emoji.images.view(3, -1, 3, 32, 32)
    first, second = by_artist[:, pairs[:, 0]], by_artist[:, pairs[:, 1]]
    differ = (first - second).abs() > 0.3  # not the gloss of a button, which both have on one side
    wrong = ((first.flip(-1) - second).abs() * differ).sum(dim=(2, 3, 4)) / differ.sum(dim=(2, 3, 4))
    nearer = wrong < 0.3
    lost = [(names[pair], list(ARTISTS)[artist]) for artist, pair in (~nearer).nonzero().tolist()]
    assert lost == []


def test_no_other_concept_looks_more_like_a_flipped_picture_than_its_pair(emoji, concepts):
    pairs, lost = mirrored_pairs(concepts), []
    for artist, drawings in zip(ARTISTS, emoji.images.view(3, -1, 3, 32, 32), strict=True):
        distance = torch.cdist(drawings[pairs[:, 0]].flip(-1).flatten(1), drawings.flatten(1), p=1)
        distance[torch.arange(len(pairs)), pairs[:, 0]] = torch.inf  # of every other concept
        wrong = distance.argmin(dim=1) != pairs[:, 1]
        lost += [(artist, name) for name in named(concepts, pairs[wrong])]
    assert lost == [("fluent", ("waxing crescent moon", "waning crescent moon"))]  # the one is drawn fuller


def test_a_flipped_clock_shows_another_time(emoji, concepts):
    clocks, hours = clock_faces(concepts), torch.arange(24)
    assert named(concepts, clocks[[0, 1, 6, 23]][:, None]) == [
        ("twelve o’clock",), ("twelve-thirty",), ("three o’clock",), ("eleven-thirty",)
    ]  # fmt: skip
    for artist, faces in zip(ARTISTS, emoji.images.view(3, -1, 3, 32, 32)[:, clocks], strict=True):
        nearest = gap(faces.flip(-1)[:, None], faces[None]).argmin(dim=1)
        exact = (hours % 2 == 0) | (artist == "noto")  # the others' hour hand waits for the full hour
        assert nearest.tolist() == torch.where(exact, -hours % 24, (2 - hours) % 24).tolist(), artist


def test_a_split_gives_every_row_to_one_part_and_keeps_its_word(emoji):
    parts = split_emoji(emoji, new_artist="twemoji", share=0.2, seed=3)
    assert torch.cat(parts).sort().values.tolist() == list(range(len(emoji.images)))
    artists = [set(emoji.artist[rows].tolist()) for rows in parts]
    assert artists == [{0, 2}, {1}, {0, 2}, {1}]
    old, new = (set(emoji.concept[rows].tolist()) for rows in (parts.seen, parts.new_concept))
    assert not old & new and len(new) == pytest.approx(0.2 * len(emoji.concepts.codes), abs=9)
    assert set(emoji.concept[parts.new_both].tolist()) == new and set(emoji.concept[parts.new_artist].tolist()) == old


def test_a_split_leaves_families_and_directions_whole(emoji, concepts):
    new = set(emoji.concept[split_emoji(emoji, seed=0).new_concept].tolist())
    walkers = [name for name in concepts.names["en"] if re.search("(wo)?man walking|person walking", name)]
    assert len(walkers) == 6
    groups = [*families(concepts).tolist(), [concepts.names["en"].index(name) for name in walkers]]
    assert {len(new & set(group)) / len(group) for group in groups} == {0.0, 1.0}


def test_a_seed_gives_the_same_split_and_another_seed_another(emoji):
    first, again, other = (split_emoji(emoji, seed=seed).seen.tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_one_artist_alone_is_that_artist(emoji):
    alone = load_emoji(["fluent"])
    assert torch.equal(alone.images, emoji.images[emoji.artist == 2]) and set(alone.artist.tolist()) == {2}
    both = load_emoji(("fluent", "noto"))
    assert both.artist.unique_consecutive().tolist() == [2, 0] and torch.equal(both.images[: len(alone[0])], alone[0])


REFUSED = {
    "no artist": (lambda: load_emoji([]), "artists is empty"),
    "an unknown artist": (lambda: load_emoji(["apple"]), "artist is 'apple'; choose from noto, twemoji, fluent"),
    "a string for artists": (lambda: load_emoji("noto"), r"artists is one string.*try \[artists\]"),
    "an artist twice": (lambda: load_emoji(["noto", "noto"]), "one of them twice; name each once"),
    "part of a drawing": (lambda: cut_sheet(np.zeros((33, 64, 3), np.uint8)), "33 x 64 pixels"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_refused(what):
    call, words = REFUSED[what]
    with pytest.raises((ValueError, TypeError), match=words):
        call()


def test_a_split_that_cannot_be_made_is_refused(emoji):
    one = Emoji(*(part[emoji.artist == 0] for part in emoji[:3]), emoji.concepts)
    for settings, words in (
        ({"new_artist": "apple"}, "new_artist is 'apple'; choose from noto, twemoji, fluent"),
        ({"share": 0.0}, "share is 0.0; give a part"),
        ({"share": float("nan")}, "share is nan"),
        ({"share": 1e-9}, "empty"),
    ):
        with pytest.raises(ValueError, match=words):
            split_emoji(emoji, **settings, seed=0)
    with pytest.raises(ValueError, match="new_artist is 'fluent'; choose from noto$"):
        split_emoji(one, seed=0)
    with pytest.raises(ValueError, match="'noto' alone"):
        split_emoji(one, new_artist="noto", seed=0)


def test_everybody_who_must_be_credited_is_in_the_catalogue_and_beside_the_files():
    rows = {entry.file.removeprefix("emoji/"): entry for entry in table() if entry.file.startswith("emoji/")}
    assert set(rows) == {"concepts.tsv", "notices.txt", *(f"{artist}.png" for artist in ARTISTS)}
    assert sum(entry.bytes for entry in rows.values()) <= 2_500_000
    assert rows["twemoji.png"].licence.startswith("CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)")
    notices = (DATASETS / "emoji" / "notices.txt").read_text(encoding="utf-8")
    owners = {"noto": "Google", "twemoji": "Twitter, Inc and other contributors", "fluent": "Microsoft Corporation"}
    for artist, owner in owners.items():
        assert all(owner in text for text in (rows[f"{artist}.png"].licence, notices, ARTISTS[artist], CREDIT))
    for owner in ("Unicode, Inc", "Miles Johnson"):
        assert owner in rows["concepts.tsv"].licence and owner in notices
    assert "Permission is hereby granted" in notices and "UNICODE LICENSE V3" in notices
