"""The five shapes in five colours that every scene is made of, and where one of them stands.

Shapes are drawn by integer rules on whole pixels, with no antialiasing, so the same bytes come out on every machine.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 190, 0),
    "blue": (40, 90, 255),  # pure blue is nearly as dark as the background
    "yellow": (255, 220, 0),
    "white": (255, 255, 255),
}
"""Name to red, green, blue in 0 to 255; the background is black, so a pixel with any channel above 0 is an object's."""

SHAPES = ("square", "ring", "triangle", "cross", "diamond")
SIZES = ("small", "large")
RELATIONS = {"left of": (1, -1), "right of": (1, 1), "above": (0, -1), "below": (0, 1)}
"""Name to axis of an image (0 rows, 1 columns) and direction along it (1 is towards larger indices)."""

PAIRS = tuple((colour, shape) for colour in COLOURS for shape in SHAPES)
HELD_OUT = tuple(zip(COLOURS, SHAPES, strict=True))
"""The pairs that never appear in training: one per colour and one per shape, so each word alone is well known."""
SEEN = tuple(pair for pair in PAIRS if pair not in HELD_OUT)
PARTNER = dict(zip(SEEN, SEEN[len(SEEN) // 2 :] + SEEN[: len(SEEN) // 2], strict=True))
"""Each seen pair's partner, of another colour and shape, and the other way round: `make_scenes(..., together=...)`."""


@dataclass(frozen=True)
class SceneObject:
    """One coloured shape of a scene. The canvas is cut in 2 x 2 cells; a cell holds one object at most.

    colour, shape, size: names out of COLOURS, SHAPES, SIZES.
    row, column: the cell, 0 is top or left.
    top, left: the first pixel row and pixel column of the square that bounds the shape.
    side: edge of that square in pixels.
    """

    colour: str
    shape: str
    size: str
    row: int
    column: int
    top: int
    left: int
    side: int

    @property
    def pair(self) -> tuple[str, str]:
        """Colour and shape, the unit of the compositional split."""
        return self.colour, self.shape

    @property
    def place(self) -> str:
        """The cell in words: "top left", "top right", "bottom left" or "bottom right"."""
        return f"{('top', 'bottom')[self.row]} {('left', 'right')[self.column]}"

    @property
    def centre(self) -> tuple[int, int]:
        """Pixel row and pixel column of the middle pixel; sides are odd, so there is one."""
        return self.top + self.side // 2, self.left + self.side // 2

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom in pixels, right and bottom exclusive: the square that bounds the shape."""
        return self.left, self.top, self.left + self.side, self.top + self.side

    def stands(self, relation: str, other: "SceneObject") -> bool:
        """Whether this object is wholly "left of" (or "right of", "above", "below") the other: no row or column shared.

        Diagonal neighbours stand in two relations at once; objects in one cell row are neither above nor below.
        """
        axis, direction = RELATIONS[relation]
        mine, theirs = ((self.row, self.column)[axis], (other.row, other.column)[axis])
        return (mine - theirs) * direction > 0


@dataclass(frozen=True)
class Scene:
    """What an image shows: its objects in reading order, and the edge of the canvas in pixels."""

    objects: tuple[SceneObject, ...]
    canvas: int

    def standing(self, relation: str, reference: SceneObject) -> list[SceneObject]:
        """Return the objects that stand in `relation` to `reference`, in reading order."""
        return [each for each in self.objects if each.stands(relation, reference)]


def side_of(size: str, canvas: int) -> int:
    """Return the edge in pixels of a "small" or "large" shape: odd, and at most 7/8 of a cell.

    On 16 pixels 5 and 7, on 32 pixels 9 and 13, on 64 pixels 17 and 25.
    """
    eighths = {"small": 2, "large": 3}[size]
    return 2 * (eighths * (canvas // 2) // 8) + 1


def stencil(shape: str, side: int) -> Bool[np.ndarray, "side side"]:
    """Return which pixels of a square with that edge the shape covers.

    side: odd, at least 5; below that a ring and a diamond can't be told apart.
    """
    if side < 5 or side % 2 == 0:
        raise ValueError(f"side {side} does not fit: a shape needs an odd edge of at least 5 pixels; try {side | 5}")
    radius = side // 2
    down, right = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    if shape == "square":
        return np.ones((side, side), dtype=bool)
    if shape == "ring":
        hole = radius - (side + 1) // 6
        return _disc(down, right, radius) & ~_disc(down, right, hole)
    if shape == "triangle":
        return 2 * abs(right) <= down + radius
    if shape == "cross":
        return (abs(down) <= side // 8) | (abs(right) <= side // 8)
    if shape == "diamond":
        return abs(down) + abs(right) <= radius
    raise ValueError(f"shape {shape!r} is none of {SHAPES}")


def _disc(down: np.ndarray, right: np.ndarray, radius: int) -> np.ndarray:
    """Pixels within a radius; radius * (radius + 1) is (radius + 1/2)^2 rounded down: small discs look round."""
    return down**2 + right**2 <= radius * (radius + 1)
