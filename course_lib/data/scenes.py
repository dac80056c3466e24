"""Tiny pictures of one to four coloured shapes, with masks, captions and questions: the course's own visual world.

`shapes` says what there is, `scene_language` what can be said about it; this module draws. Axis letters are those of
course_lib/__init__.py (B batch); image axes are spelt out.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int, UInt8
from torch import Tensor

from course_lib.data.scene_language import Question, ask, caption, caption_zh
from course_lib.data.shapes import (
    COLOURS,
    HELD_OUT,
    PAIRS,
    PARTNER,
    SEEN,
    SHAPES,
    SIZES,
    Scene,
    SceneObject,
    side_of,
    stencil,
)

SPLITS = ("train", "test")
_CELLS = 4


class Scenes(NamedTuple):
    """A batch of scenes, each part in the same order."""

    images: Float32[Tensor, "B 3 height width"]
    """Red, green, blue in [0, 1], on a black background; every value is a multiple of 1/255."""
    masks: Bool[Tensor, "B objects height width"]
    """The pixels of each object, in the order of `scenes[i].objects`; all False where a scene has fewer objects."""
    scenes: list[Scene]
    """What each image shows."""
    captions: list[str]
    """One English sentence per image that names every object."""
    captions_zh: list[str]
    """The same in Chinese."""
    questions: list[list[Question]]
    """All questions of each image, in both languages."""


def make_scenes(
    count: int,
    *,
    seed: int,
    size: int = 16,
    objects: tuple[int, int] = (1, 4),
    split: str = "train",
    noise: float = 0.0,
    together: float = 0.0,
) -> Scenes:
    """Draw `count` random scenes; the same arguments give the same bytes on every machine.

    seed: 0 to 2^32 - 1. A shorter batch is not the beginning of a longer one.
    size: height and width in pixels, a multiple of 8, at least 16. One seed shows the same objects in the same cells at
        every size; the finer grid of a larger canvas only moves them by less than a sixteenth of its edge.
    objects: fewest and most objects in a scene, within 1 to 4; each number is equally likely.
    split: "train" draws colour-shape pairs from SEEN only; in "test" every scene holds at least one pair of HELD_OUT
        and the others are drawn from all pairs. To measure without that gap, draw "train" with another seed.
    noise: standard deviation of Gaussian noise added to each value, in units of the full range; the sum is clipped to
        [0, 1] and rounded to 1/255 like a camera's. Masks, captions and answers stay those of the clean image.
    together: chance that the second object is the PARTNER of the first, and the fourth that of the third, as a fork
        lies beside a knife; at 0 company is left to chance. Each pair is as frequent as before. Only in "train".
    """
    _check(count, size, objects, split, noise)
    if not 0 <= together <= 1 or (together > 0 and split != "train"):
        raise ValueError(
            f"together {together} in split {split!r} does not fit; give 0 to 1, and above 0 only in 'train'"
        )
    # RandomState: NumPy froze its streams (NEP 19), while default_rng may change between versions.
    random = np.random.RandomState(seed)
    scenes = _draw(random, count, size, objects, split, together)
    questions = [ask(scene, random, split) for scene in scenes]
    levels, masks = _render(scenes, size, most=objects[1])
    if noise > 0:
        noisy = levels + 255 * noise * random.standard_normal(levels.shape)
        levels = np.clip(np.rint(noisy), 0, 255)
    return Scenes(
        images=torch.from_numpy(levels.astype(np.float32) / np.float32(255)),
        masks=torch.from_numpy(masks),
        scenes=scenes,
        captions=[caption(scene) for scene in scenes],
        captions_zh=[caption_zh(scene) for scene in scenes],
        questions=questions,
    )


def _draw(
    random: np.random.RandomState, count: int, size: int, objects: tuple[int, int], split: str, together: float
) -> list[Scene]:
    """Draw what stands where. Only doubles are drawn: integer draws depend on the platform's width of a C long."""
    low, high = objects
    numbers = _integers(random, high - low + 1, (count,)) + low
    cells = random.random_sample((count, _CELLS)).argsort(axis=1, kind="stable")
    pairs = _draw_pairs(random, numbers, split)
    large = _integers(random, len(SIZES), (count, _CELLS))
    jitter = random.random_sample((count, _CELLS, 2))
    if together > 0:  # drawn last, so that nothing else moves
        _bring_together(pairs, random.random_sample((count, _CELLS // 2)) < together)
    scenes = []
    for number, *drawn in zip(numbers, pairs, large, cells, jitter, strict=True):
        placed = [_place(pair, SIZES[k], int(cell), move, size) for pair, k, cell, move in zip(*drawn, strict=True)]
        scenes.append(Scene(tuple(sorted(placed[:number], key=lambda each: (each.row, each.column))), size))
    return scenes


def _draw_pairs(
    random: np.random.RandomState, numbers: Int[np.ndarray, " B"], split: str
) -> list[list[tuple[str, str]]]:
    """Draw a colour-shape pair per cell; in "test" one of the first `numbers[i]` is a held-out one."""
    count = len(numbers)
    pool = SEEN if split == "train" else PAIRS
    pairs = [[pool[k] for k in row] for row in _integers(random, len(pool), (count, _CELLS))]
    if split == "test":
        forced = _integers(random, len(HELD_OUT), (count,))
        slots = (random.random_sample(count) * numbers).astype(np.int64)
        for row, slot, pair in zip(pairs, slots, forced, strict=True):
            row[slot] = HELD_OUT[pair]
    return pairs


def _bring_together(pairs: list[list[tuple[str, str]]], meet: Bool[np.ndarray, "B couples"]) -> None:
    for row, couples in zip(pairs, meet, strict=True):
        for couple in couples.nonzero()[0]:
            row[2 * couple + 1] = PARTNER[row[2 * couple]]


def _integers(random: np.random.RandomState, below: int, shape: tuple[int, ...]) -> Int[np.ndarray, "..."]:
    return (random.random_sample(shape) * below).astype(np.int64)


def _place(pair: tuple[str, str], scale: str, cell: int, jitter: np.ndarray, canvas: int) -> SceneObject:
    """Put a shape into a cell (0 to 3 in reading order); jitter in [0, 1) uses up the room that the cell leaves."""
    side = side_of(scale, canvas)
    row, column = divmod(cell, 2)
    down, right = (jitter * (canvas // 2 - side + 1)).astype(np.int64).tolist()
    top, left = row * canvas // 2 + down, column * canvas // 2 + right
    return SceneObject(*pair, size=scale, row=row, column=column, top=top, left=left, side=side)


def _render(
    scenes: list[Scene], size: int, most: int
) -> tuple[UInt8[np.ndarray, "B 3 height width"], Bool[np.ndarray, "B objects height width"]]:
    """Paint levels (0 to 255) and masks; cells don't overlap, so the order of painting does not matter."""
    sides = {side_of(scale, size) for scale in SIZES}
    stencils = {(shape, side): stencil(shape, side) for shape in SHAPES for side in sides}
    levels = np.zeros((len(scenes), 3, size, size), dtype=np.uint8)
    masks = np.zeros((len(scenes), most, size, size), dtype=bool)
    for i, scene in enumerate(scenes):
        for k, each in enumerate(scene.objects):
            rows, columns = slice(each.top, each.top + each.side), slice(each.left, each.left + each.side)
            covered = stencils[each.shape, each.side]
            masks[i, k, rows, columns] = covered
            levels[i, :, rows, columns][:, covered] = np.array(COLOURS[each.colour], dtype=np.uint8)[:, None]
    return levels, masks


def _check(count: int, size: int, objects: tuple[int, int], split: str, noise: float) -> None:
    if count < 1:
        raise ValueError(f"count {count} is too small: a batch holds at least 1 scene")
    if size < 16 or size % 8 != 0:
        raise ValueError(f"size {size} does not fit: a canvas needs a multiple of 8, at least 16; try 16 or 32")
    if not 1 <= objects[0] <= objects[1] <= _CELLS:
        raise ValueError(f"objects {objects} does not fit: fewest <= most, within 1 to {_CELLS}; try (1, {_CELLS})")
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is none of {SPLITS}")
    if not 0 <= noise <= 1:
        raise ValueError(f"noise {noise} does not fit: a standard deviation within 0 and 1 of the full range; try 0.1")
