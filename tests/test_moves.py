"""Moved pictures: where the ink goes, how far, and that all ways are taken."""

import pytest
import torch

from course_lib.data.moves import moved


def spots(count):
    images = torch.zeros(count, 9, 11)
    images[:, 4, 5] = 1.0
    return images


def places(images):
    return images.flatten(1).argmax(1).tolist()


@pytest.mark.parametrize(("exactly", "ways"), [(False, 25), (True, 16)])
def test_every_way_is_taken_and_no_other(exactly, ways):
    seen = set(places(moved(spots(2000), torch.Generator().manual_seed(0), 2, exactly=exactly)))
    offsets = {(place // 11 - 4, place % 11 - 5) for place in seen}
    assert len(offsets) == ways
    assert all(max(map(abs, way)) <= 2 for way in offsets)
    assert all(max(map(abs, way)) == 2 for way in offsets) == exactly


def test_zeros_come_in_at_the_edge_and_the_rest_keeps_its_values():
    image = torch.arange(1.0, 13).view(1, 3, 4)
    for seed in range(9):
        got = moved(image, torch.Generator().manual_seed(seed))
        (kept,) = got[got != 0][None]
        assert set(kept.tolist()) <= set(image.flatten().tolist())
        assert (got == 0).sum() in (0, 3, 4, 6)  # nothing, a column, a row, both


def test_any_axes_in_front_and_each_picture_goes_its_own_way():
    got = moved(spots(60).view(3, 20, 9, 11), torch.Generator().manual_seed(0))
    assert got.shape == (3, 20, 9, 11) and len(set(places(got.flatten(0, 1)))) == 9


def test_no_pixel_changes_nothing_and_a_negative_number_is_refused():
    images = torch.rand(4, 8, 8)
    assert torch.equal(moved(images, torch.Generator(), 0, exactly=True), images)
    with pytest.raises(ValueError, match="pixels -1: pictures move by 0 or more"):
        moved(images, torch.Generator(), -1)
