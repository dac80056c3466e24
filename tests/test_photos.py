"""The photographs are the ones their captions and credits speak of."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from course_lib.data.catalogue import DATASETS, table
from course_lib.data.photos import load_photos, make_photo


@pytest.fixture(scope="module")
def photos():
    return {photo.name: photo for photo in load_photos()}


def test_seven_photographs_come_in_alphabetical_order(photos):
    assert list(photos) == ["astronaut", "chelsea", "china", "coffee", "flower", "hubble", "rocket"]


def test_each_is_a_small_colour_picture(photos):
    for photo in photos.values():
        assert photo.image.dtype == torch.uint8 and max(photo.image.shape) == 320 and photo.image.shape[2] == 3
        assert photo.image.float().std(dim=(0, 1)).min() > 10, photo.name  # every channel carries something
        assert (DATASETS / f"photos/{photo.name}.jpg").stat().st_size <= 60_000


@pytest.mark.parametrize("name", ["china", "flower"])
def test_the_copies_show_what_scikit_learn_ships(photos, name):
    """Block means of both pictures agree; against the other picture they don't."""

    def blocks(image):
        return np.asarray(Image.fromarray(np.asarray(image)).resize((8, 6), Image.Resampling.BOX), dtype=float)

    other = {"china": "flower", "flower": "china"}[name]
    ours = blocks(photos[name].image)
    assert abs(ours - blocks(load_sample_image(f"{name}.jpg"))).mean() < 2
    assert abs(ours - blocks(load_sample_image(f"{other}.jpg"))).mean() > 20


def test_colours_that_captions_name_are_in_the_picture(photos):
    def mean(name, rows, columns):
        return photos[name].image[rows, columns].float().mean(dim=(0, 1))

    red, green, blue = mean("flower", slice(70, 140), slice(120, 190))
    assert red > green > blue and red > 180  # orange bloom in the middle
    red, green, blue = mean("coffee", slice(150, 190), slice(90, 130))
    assert red > 2 * green and red > 2 * blue  # red saucer
    red, green, blue = mean("rocket", slice(0, 30), slice(100, 200))
    assert blue > red and blue > green and blue < 120  # dark blue sky
    assert photos["hubble"].image.float().mean() < 50  # black space
    red, green, blue = mean("astronaut", slice(160, 260), slice(20, 60))
    assert red > 1.5 * green > 1.5 * blue  # orange suit


def test_captions_come_in_pairs_and_in_their_language(photos):
    for photo in photos.values():
        assert len(photo.captions) == len(photo.captions_zh) >= 3
        assert all(re.fullmatch(r"[A-Z][A-Za-z',\- ]+\.", caption) for caption in photo.captions), photo.captions
        assert all(re.fullmatch(r"[\u4e00-\u9fff，、]+。", caption) for caption in photo.captions_zh), photo.captions_zh


def test_no_caption_fits_two_photographs(photos):
    for texts in (lambda photo: photo.captions, lambda photo: photo.captions_zh):
        everything = [caption for photo in photos.values() for caption in texts(photo)]
        assert len(set(everything)) == len(everything) == 21


def test_pairs_of_captions_name_the_same_things(photos):
    """Each English word below and its translation occur in the same captions of the whole collection."""
    translations = {
        "orange": "橙色", "red": "红色|红白", "white": "白", "black": "黑", "green": "绿", "blue": "蓝", "lake": "湖",
        "flower": "花", "cat": "猫", "rocket": "火箭", "cup": "杯", "astronaut": "宇航员", "galaxies": "星系",
        "sky": "天空|深空", "roofs": "顶|檐", "left": "左", "right": "右",
    }  # fmt: skip
    for english, chinese in translations.items():
        for photo in photos.values():
            for one, other in zip(photo.captions, photo.captions_zh, strict=True):
                named = bool(re.search(rf"\b{english}\b", one, re.IGNORECASE))
                if named:
                    assert re.search(chinese, other), (english, one, other)


def test_attribution_licences_are_credited_in_full(photos):
    listed = {entry.file: entry.licence for entry in table()}
    for photo in photos.values():
        line = listed[f"photos/{photo.name}.jpg"]
        assert (
            line.startswith(photo.licence) and photo.author in line and photo.source in line and photo.changes in line
        )
        assert all(part in photo.credit for part in (photo.author, photo.licence, photo.source, photo.changes))
        if photo.licence.startswith("CC BY"):
            assert "https://creativecommons.org/licenses/by/2.0/" in line and "https://www.flickr.com/" in line


def test_the_captions_file_describes_exactly_the_pictures_beside_it():
    described = {
        record["name"] for record in json.loads((DATASETS / "photos/captions.json").read_text(encoding="utf-8"))
    }
    assert described == {path.stem for path in (DATASETS / "photos").glob("*.jpg")}


@pytest.mark.parametrize("before, after", [((640, 320), (320, 160)), ((300, 900), (107, 320)), ((40, 30), (40, 30))])
def test_a_photograph_is_scaled_down_in_proportion_and_never_up(tmp_path, before, after):
    Image.new("RGB", before, (200, 30, 30)).save(tmp_path / "large.png")
    make_photo(tmp_path / "large.png", tmp_path / "small.jpg")
    with Image.open(tmp_path / "small.jpg") as small:
        assert (small.format, small.size) == ("JPEG", after)
