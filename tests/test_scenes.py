"""What the texts say is recomputed from pixels and masks alone, by code that knows nothing of the generator."""

import hashlib
import json
import re
from collections import Counter
from dataclasses import asdict
from typing import NamedTuple

import numpy as np
import pytest
import torch

from course_lib.data.scenes import make_scenes
from course_lib.data.shapes import COLOURS, HELD_OUT, PAIRS, PARTNER, SEEN, SHAPES


class Seen(NamedTuple):
    """An object as found in the image."""

    colour: str
    shape: str
    size: str
    place: str
    rows: tuple[int, int]
    columns: tuple[int, int]


def look(image, mask):
    """Recognise one object from the pixels under its mask."""
    rows, columns = (torch.nonzero(mask.any(dim=axis)).flatten() for axis in (1, 0))
    top, bottom, left, right = rows[0].item(), rows[-1].item(), columns[0].item(), columns[-1].item()
    (colour,) = {tuple(pixel) for pixel in (image[:, mask] * 255).round().int().T.tolist()}
    size = mask.shape[-1]
    vertical = "top" if (top + bottom) / 2 < size / 2 else "bottom"
    horizontal = "left" if (left + right) / 2 < size / 2 else "right"
    return Seen(
        colour={value: name for name, value in COLOURS.items()}[colour],
        shape=recognise(mask[top : bottom + 1, left : right + 1]),
        size="small" if (right - left + 1) / size < 0.35 else "large",
        place=f"{vertical} {horizontal}",
        rows=(top, bottom),
        columns=(left, right),
    )


def recognise(crop):
    side = len(crop)
    if crop.all():
        return "square"
    if not crop[side // 2, side // 2]:
        return "ring"
    if crop[-1].all():
        return "triangle"
    widths = crop.sum(dim=1)
    return "diamond" if len(set(widths[: side // 2 + 1].tolist())) == side // 2 + 1 else "cross"


def look_at_all(batch):
    return [
        [look(image, mask) for mask in masks if mask.any()]
        for image, masks in zip(batch.images, batch.masks, strict=True)
    ]


def beside(relation, one, other):
    """No pixel row (or column) shared, and on the named side."""
    return {
        "left of": one.columns[1] < other.columns[0],
        "right of": one.columns[0] > other.columns[1],
        "above": one.rows[1] < other.rows[0],
        "below": one.rows[0] > other.rows[1],
    }[relation]


def answers_to(question, seen):
    """All answers that the picture allows."""
    if question == "how many objects are there?":
        return [{1: "one", 2: "two", 3: "three", 4: "four"}[len(seen)]]
    if found := re.fullmatch(r"what colour is the (\w+)\?", question):
        return [each.colour for each in seen if each.shape == found[1]]
    if found := re.fullmatch(r"is there a (\w+) (\w+)\?", question):
        return ["yes" if any((each.colour, each.shape) == found.groups() for each in seen) else "no"]
    relation, colour, shape = re.fullmatch(r"what is (.+) the (\w+) (\w+)\?", question).groups()
    return [
        f"{one.colour} {one.shape}"
        for reference in seen
        for one in seen
        if (reference.colour, reference.shape) == (colour, shape) and beside(relation, one, reference)
    ]


@pytest.fixture(
    scope="module",
    params=[
        (16, (1, 4), "train"),
        (16, (1, 4), "test"),
        (24, (2, 3), "train"),
        (32, (1, 4), "test"),
        (64, (4, 4), "train"),
    ],
    ids=str,
)
def batch(request):
    size, objects, split = request.param
    return make_scenes(150, seed=11, size=size, objects=objects, split=split)


def test_masks_are_the_pixels_that_differ_from_the_background(batch):
    assert torch.equal(batch.masks.any(dim=1), (batch.images > 0).any(dim=1))
    assert batch.masks.sum(dim=1).max() == 1  # and no pixel belongs to two objects


def test_objects_are_the_ones_in_the_picture(batch):
    for scene, seen, masks in zip(batch.scenes, look_at_all(batch), batch.masks, strict=True):
        assert [(each.colour, each.shape, each.size, each.place) for each in scene.objects] == [
            each[:4] for each in seen
        ]
        assert [each.box for each in scene.objects] == [
            (each.columns[0], each.rows[0], each.columns[1] + 1, each.rows[1] + 1) for each in seen
        ]
        assert not masks[len(scene.objects) :].any()


def test_captions_name_what_is_in_the_picture(batch):
    for text, seen in zip(batch.captions, look_at_all(batch), strict=True):
        assert text.split(" and ") == [f"{each.size} {each.colour} {each.shape} {each.place}" for each in seen]


def test_every_question_has_one_answer_and_it_is_the_given_one(batch):
    asked = Counter()
    for questions, seen in zip(batch.questions, look_at_all(batch), strict=True):
        assert len({each.text for each in questions}) == len(questions)
        for question in questions:
            assert answers_to(question.text, seen) == [question.answer], (question, seen)
            asked[question.kind] += 1
    relations = {"relation"} if min(len(scene.objects) for scene in batch.scenes) < 4 else set()
    assert set(asked) == {"colour", "count", "exists"} | relations  # four objects leave two on every side


def test_every_question_with_one_answer_is_asked(batch):
    for questions, seen in zip(batch.questions, look_at_all(batch), strict=True):
        pairs = Counter((each.colour, each.shape) for each in seen)
        possible = {f"what colour is the {shape}?" for shape in SHAPES}
        possible |= {
            f"what is {relation} the {colour} {shape}?"
            for (colour, shape), number in pairs.items()
            for relation in ("left of", "right of", "above", "below")
            if number == 1
        }
        asked = {each.text for each in questions if each.kind in ("colour", "relation")}
        assert asked == {text for text in possible if len(answers_to(text, seen)) == 1}


def test_no_held_out_pair_is_ever_drawn_for_training():
    pairs = Counter((each.colour, each.shape) for seen in look_at_all(make_scenes(600, seed=1)) for each in seen)
    assert set(pairs) == set(SEEN)


def test_every_test_scene_holds_a_held_out_pair_and_all_pairs_occur():
    batch = look_at_all(make_scenes(600, seed=2, split="test"))
    pairs = [[(each.colour, each.shape) for each in seen] for seen in batch]
    held_out = Counter(sum(pair in HELD_OUT for pair in scene) for scene in pairs)
    assert min(held_out) == 1 and max(held_out) >= 3  # the other objects of a scene may be held-out ones too
    assert set().union(*pairs) == set(PAIRS)


def test_objects_use_all_the_room_in_their_cell():
    batch = look_at_all(make_scenes(600, seed=6))
    spots = Counter((each.size, each.rows[0] % 8, each.columns[0] % 8) for seen in batch for each in seen)
    assert {spot[1:] for spot in spots if spot[0] == "small"} == {(y, x) for y in range(4) for x in range(4)}
    assert {spot[1:] for spot in spots if spot[0] == "large"} == {(y, x) for y in range(2) for x in range(2)}


def test_numbers_of_objects_keep_to_their_range_and_are_balanced():
    counts = Counter(len(scene.objects) for scene in make_scenes(600, seed=3, objects=(2, 4)).scenes)
    assert set(counts) == {2, 3, 4}
    assert all(150 < count < 250 for count in counts.values())  # 200 expected, standard deviation 11.5


def test_images_are_whole_levels_between_0_and_1(batch):
    assert batch.images.dtype == torch.float32
    assert batch.images.min() == 0 and batch.images.max() == 1
    assert torch.equal((batch.images * 255).round() / 255, batch.images)


def test_noise_has_the_given_strength_and_changes_nothing_but_the_pixels():
    clean, noisy = (make_scenes(80, seed=4, noise=noise) for noise in (0.0, 0.1))
    assert torch.equal(clean.masks, noisy.masks)
    assert clean[2:] == noisy[2:]  # scenes, captions, questions
    middle = (clean.images - 190 / 255).abs() < 1e-6  # far enough from both ends that little is clipped
    assert middle.sum() > 500
    assert abs((noisy.images - clean.images)[middle].std().item() - 0.1) < 0.01
    assert noisy.images.min() == 0 and noisy.images.max() == 1
    assert torch.equal((noisy.images * 255).round() / 255, noisy.images)


def test_one_seed_shows_the_same_objects_at_every_size():
    small, large = (make_scenes(50, seed=5, size=size) for size in (16, 32))
    assert small.captions == large.captions and small.questions == large.questions
    for one, other in zip(small.scenes, large.scenes, strict=True):
        for a, b in zip(one.objects, other.objects, strict=True):
            assert max(abs((x + 0.5) / 16 - (y + 0.5) / 32) for x, y in zip(a.centre, b.centre, strict=True)) < 1 / 16


def fingerprint(batch):
    """One sha256 over pixels, masks and every word, independent of the machine's byte order."""
    digest = hashlib.sha256((batch.images * 255).round().byte().numpy().tobytes() + batch.masks.numpy().tobytes())
    texts = [batch.captions, batch.captions_zh, [[asdict(each) for each in scene] for scene in batch.questions]]
    digest.update(json.dumps(texts, ensure_ascii=False).encode())
    return digest.hexdigest()[:16]


@pytest.mark.parametrize("arguments, expected", [
    ({"seed": 0}, "c1a504666a10997d"),
    ({"seed": 0, "split": "test", "size": 32}, "d58ae10448fdb999"),
    ({"seed": 0, "noise": 0.1}, "05231f430c152781"),
])  # fmt: skip
def test_the_same_seed_gives_the_same_bytes_on_every_machine(arguments, expected):
    assert fingerprint(make_scenes(64, **arguments)) == expected


def test_partners_stand_together_as_often_as_asked_and_no_pair_is_rarer():
    apart, beside = (make_scenes(2000, seed=3, objects=(2, 2), together=together) for together in (0.0, 0.9))

    def meet(batch):
        return sum(PARTNER[a.pair] == b.pair for a, b in (scene.objects for scene in batch.scenes)) / 2000

    assert meet(apart) < 0.1 and 0.85 < meet(beside) < 0.95
    counts = Counter(each.pair for scene in beside.scenes for each in scene.objects)
    assert set(counts) == set(SEEN) and min(counts.values()) > 0.7 * max(counts.values())
    assert [[a.centre for a in scene.objects] for scene in apart.scenes] == [
        [a.centre for a in scene.objects] for scene in beside.scenes
    ], "company changes what stands there, not where"


def test_partners_are_mutual_and_share_neither_colour_nor_shape():
    assert all(PARTNER[PARTNER[pair]] == pair and not set(pair) & set(PARTNER[pair]) for pair in SEEN)


def test_another_seed_gives_other_scenes():
    one, other = (make_scenes(64, seed=seed) for seed in (0, 1))
    assert not torch.equal(one.images, other.images)
    assert sum(a == b for a, b in zip(one.captions, other.captions, strict=True)) < 5


def test_drawing_leaves_the_global_generators_alone():
    torch.manual_seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    make_scenes(5, seed=0, noise=0.2)
    assert torch.equal(torch.get_rng_state(), before[0]) and np.random.get_state()[1].tolist() == before[1]


@pytest.mark.parametrize("arguments, message", [
    ({"count": 0}, "count 0 is too small"),
    ({"together": 1.1}, "together 1.1 in split 'train' does not fit; give 0 to 1"),
    ({"together": 0.5, "split": "test"}, "above 0 only in 'train'"),
    ({"size": 8}, "size 8 does not fit: a canvas needs a multiple of 8, at least 16; try 16 or 32"),
    ({"size": 20}, "size 20 does not fit"),
    ({"objects": (0, 2)}, r"objects \(0, 2\) does not fit: fewest <= most, within 1 to 4"),
    ({"objects": (3, 2)}, r"objects \(3, 2\) does not fit"),
    ({"objects": (1, 5)}, r"objects \(1, 5\) does not fit"),
    ({"split": "valid"}, r"split 'valid' is none of \('train', 'test'\)"),
    ({"noise": -0.1}, "noise -0.1 does not fit"),
    ({"noise": float("nan")}, "noise nan does not fit"),
])  # fmt: skip
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_scenes(**{"count": 3, "seed": 0, **arguments})
