"""Shapes are what their names say, tell-apart at every size, and stand where their boxes say."""

import itertools

import numpy as np
import pytest

from course_lib.data.shapes import COLOURS, HELD_OUT, PAIRS, SEEN, SHAPES, SIZES, Scene, SceneObject, side_of, stencil

SIDES = (5, 7, 9, 13, 17, 25)


def place(row, column, *, pair=("red", "ring"), size="small", down=0, right=0, canvas=16):
    half, side = canvas // 2, side_of(size, canvas)
    return SceneObject(*pair, size, row, column, row * half + down, column * half + right, side)


def test_the_five_pixel_stencils_are_these():
    drawn = {
        "square": "##### ##### ##### ##### #####",
        "ring": ".###. #...# #...# #...# .###.",
        "triangle": "..#.. ..#.. .###. .###. #####",
        "cross": "..#.. ..#.. ##### ..#.. ..#..",
        "diamond": "..#.. .###. ##### .###. ..#..",
    }
    for shape, rows in drawn.items():
        expected = np.array([[pixel == "#" for pixel in row] for row in rows.split()])
        assert np.array_equal(stencil(shape, 5), expected), shape


def test_lines_stay_one_pixel_thin_on_seven_pixels():
    """There a cross three pixels thick would be taken for a diamond."""
    drawn = {
        "ring": "..###.. .#...#. #.....# #.....# #.....# .#...#. ..###..",
        "cross": "...#... ...#... ...#... ####### ...#... ...#... ...#...",
    }
    for shape, rows in drawn.items():
        expected = np.array([[pixel == "#" for pixel in row] for row in rows.split()])
        assert np.array_equal(stencil(shape, 7), expected), shape


@pytest.mark.parametrize("side", SIDES)
def test_every_shape_fills_its_box_from_edge_to_edge_and_is_symmetric(side):
    for shape in SHAPES:
        drawn = stencil(shape, side)
        assert drawn.shape == (side, side)
        assert drawn[-1].any() and drawn[0].any() and drawn[:, 0].any() and drawn[:, -1].any(), shape
        assert np.array_equal(drawn, drawn[:, ::-1]), shape
        turned_over = np.array_equal(drawn, drawn[::-1])
        assert turned_over == (shape != "triangle")


@pytest.mark.parametrize("side", SIDES)
def test_any_two_shapes_differ_in_at_least_a_seventh_of_their_box(side):
    for one, other in itertools.combinations(SHAPES, 2):
        differing = (stencil(one, side) != stencil(other, side)).mean()
        assert differing > 1 / 7, (one, other, differing)


@pytest.mark.parametrize("canvas, small, large", [(16, 5, 7), (24, 7, 9), (32, 9, 13), (64, 17, 25)])
def test_sides_are_odd_and_fit_in_a_cell(canvas, small, large):
    assert (side_of("small", canvas), side_of("large", canvas)) == (small, large)
    assert (
        small % 2 == large % 2 == 1 and large < canvas // 2 < 2 * small
    )  # so objects of one column always overlap in it


@pytest.mark.parametrize("side", [0, 3, 4, 6])
def test_a_side_that_is_even_or_too_small_is_refused(side):
    with pytest.raises(ValueError, match=f"side {side} does not fit"):
        stencil("ring", side)
    with pytest.raises(ValueError, match="'star' is none of"):
        stencil("star", 5)


def test_held_out_pairs_leave_every_colour_and_shape_in_training():
    assert set(SEEN) | set(HELD_OUT) == set(PAIRS) == set(itertools.product(COLOURS, SHAPES))
    assert not set(SEEN) & set(HELD_OUT) and len(HELD_OUT) == 5
    for part, words in ((0, COLOURS), (1, SHAPES)):
        assert {word: sum(pair[part] == word for pair in SEEN) for word in words} == dict.fromkeys(words, 4)


def test_no_colour_is_as_dark_as_the_background_and_no_two_look_alike():
    assert all(max(colour) >= 190 for colour in COLOURS.values())
    for one, other in itertools.combinations(COLOURS.values(), 2):
        assert max(abs(a - b) for a, b in zip(one, other, strict=True)) >= 180


def test_a_place_in_words_and_in_pixels():
    each = place(1, 0, size="large", down=1)
    assert (each.place, each.top, each.left, each.side) == ("bottom left", 9, 0, 7)
    assert each.centre == (12, 3) and each.box == (0, 9, 7, 16) and each.pair == ("red", "ring")
    assert {place(row, column).place for row in (0, 1) for column in (0, 1)} == {
        "top left", "top right", "bottom left", "bottom right"
    }  # fmt: skip


def test_relations_hold_by_cells_and_both_ways():
    top_left, top_right, bottom_left = place(0, 0), place(0, 1), place(1, 0)
    assert top_right.stands("right of", top_left) and top_left.stands("left of", top_right)
    assert not top_right.stands("left of", top_left)
    assert not top_right.stands("above", top_left) and not top_right.stands("below", top_left)
    assert bottom_left.stands("below", top_right) and bottom_left.stands("left of", top_right)  # a diagonal has two
    scene = Scene((top_left, top_right, bottom_left), 16)
    assert scene.standing("above", bottom_left) == [top_left, top_right]
    assert scene.standing("right of", top_left) == [top_right]
    assert SIZES == ("small", "large")
