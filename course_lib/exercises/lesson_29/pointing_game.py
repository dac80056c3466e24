"""Exercise 29.4: the pointing game."""

import torch

from course_lib.lesson.exercises import Exercise


def _one_hot(rows, columns, places, values=None):
    found = torch.zeros(len(places), rows, columns)
    for number, (row, column) in enumerate(places):
        found[number, row, column] = 1.0 if values is None else values[number]
    return found


def pointing_gives_one_answer(pointing_game):
    heat, mask = _one_hot(3, 4, [(1, 2), (0, 0)]), torch.ones(2, 3, 4, dtype=torch.bool)
    got = pointing_game(heat, mask)
    assert isinstance(got, torch.Tensor) and got.shape == (2,) and got.dtype == torch.bool, (
        "one boolean an example should come back, shape (B,): hit or miss"
    )
    apart = pointing_game(_one_hot(3, 4, [(1, 2), (0, 0)]), _one_hot(3, 4, [(1, 2), (1, 2)]).bool())
    assert not apart.all(), "example 1 got the verdict of example 0: an arg-max of each example apart"


def pointing_finds_the_place(pointing_game):
    mask = _one_hot(3, 4, [(1, 2)] * 2).bool()
    got = pointing_game(_one_hot(3, 4, [(1, 2), (2, 0)]), mask)
    assert got.tolist() == [True, False], (
        "the highest place of example 0 lies in the mask, that of example 1 does not: an arg-max, not an arg-min"
    )
    corner = pointing_game(_one_hot(3, 4, [(2, 0)]), _one_hot(3, 4, [(0, 2)]).bool())
    assert not corner.item(), (
        "row 2, column 0 is not row 0, column 2: row = place // width and column = place % width, or flatten both alike"
    )


def pointing_is_signed(pointing_game):
    heat = _one_hot(3, 4, [(0, 1)], values=[-5.0])
    heat[0, 2, 3] = 1.0
    got = pointing_game(heat, _one_hot(3, 4, [(0, 1)]).bool())
    assert not got.item(), "-5 speaks against the answer: the arg-max is signed, not of absolute values"


def pointing_takes_the_top_only(pointing_game):
    heat = _one_hot(3, 4, [(0, 1)])
    heat[0, 2, 3] = 0.9
    got = pointing_game(heat, _one_hot(3, 4, [(2, 3)]).bool())
    assert not got.item(), "only the single highest place counts; a second-best inside the mask is not a hit"
    beside = pointing_game(_one_hot(3, 4, [(1, 1)]), _one_hot(3, 4, [(1, 2)]).bool())
    assert not beside.item(), "a place beside the mask is no hit: this game allows no margin"
    heat = torch.zeros(1, 3, 4)
    heat[0, 0], heat[0, :, 0], heat[0, 2, 3] = 0.6, 0.6, 1.0
    assert pointing_game(heat, _one_hot(3, 4, [(2, 3)]).bool()).item(), (
        "one high place beats many warm ones: take the arg-max of the whole map, not sums or means over rows, columns "
        "or the mask"
    )


def pointing_knows_maps_below_zero(pointing_game):
    alone = pointing_game(_one_hot(3, 4, [(1, 2)]) - 2, _one_hot(3, 4, [(1, 2)]).bool())
    assert alone.item(), (
        "wrong where all of a map lies below 0: heat * mask or a clamp puts 0 elsewhere, and 0 is the highest there"
    )
    draw = torch.Generator().manual_seed(0)
    heat, mask = -1 - torch.rand(40, 3, 4, generator=draw), torch.rand(40, 3, 4, generator=draw) < 0.4
    mask[0] = False
    due = [bool(m.flatten().tolist()[h.flatten().tolist().index(h.max())]) for h, m in zip(heat, mask, strict=True)]
    assert pointing_game(heat, mask).tolist() == due, (
        "one of 40 random maps is judged wrong: the mask may be empty, and values count as they are, without rounding"
    )


def _point(heat, mask):
    top = heat.flatten(1).argmax(dim=1)
    return mask.flatten(1)[torch.arange(len(heat)), top]


def _with_margin(heat, mask):
    wider = torch.nn.functional.max_pool2d(mask[:, None].float(), 3, stride=1, padding=1)
    return _point(heat, wider[:, 0].bool())


def _by_row_and_column(heat, mask):
    row, column = heat.mean(dim=2).argmax(dim=1), heat.mean(dim=1).argmax(dim=1)
    return mask[torch.arange(len(heat)), row, column]


def _swapped(heat, mask):
    top = heat.flatten(1).argmax(dim=1)
    row, column = top // heat.shape[2], top % heat.shape[2]
    height, width = heat.shape[1:]
    either = mask[torch.arange(len(heat)), row, column]
    return either | mask[torch.arange(len(heat)), column.clamp_max(height - 1), row.clamp_max(width - 1)]


def _inside_against_outside(heat, mask):
    inside, outside = (heat.masked_fill(~m, -torch.inf).amax(dim=(1, 2)) for m in (mask, ~mask))
    return inside > outside


def _point_by_example(heat, mask):
    hits = []
    for map_, region in zip(heat, mask, strict=True):
        row, column = divmod(map_.argmax().item(), map_.shape[1])
        hits.append(region[row, column].item())
    return torch.tensor(hits)


def _point_by_one_hot(heat, mask):
    batch, height, width = heat.shape
    top = torch.nn.functional.one_hot(heat.reshape(batch, -1).argmax(1), height * width).float()
    return torch.einsum("bp,bp->b", top, mask.reshape(batch, -1).float()) > 0.5


pointing_game = Exercise(
    id="29.4 pointing_game",
    task="Write pointing_game(heat, mask): (B, height, width) floats and booleans -> (B,) booleans. A hit is when the "
    "highest value of the map lies inside the mask.",
    stages=(
        pointing_gives_one_answer,
        pointing_finds_the_place,
        pointing_is_signed,
        pointing_takes_the_top_only,
        pointing_knows_maps_below_zero,
    ),
    reference=_point,
    mutants={
        "one boolean an example": lambda heat, mask: _point(heat, mask).float().mean(),
        "not an arg-min": lambda heat, mask: _point(-heat, mask),
        "of each example apart": lambda heat, mask: mask.flatten()[heat.argmax()].expand(len(heat)),
        "row = place // width": _swapped,
        "no margin": _with_margin,
        "many warm ones": _by_row_and_column,
        "without rounding": lambda heat, mask: _point(heat.round(decimals=1), mask),
        "not of absolute values": lambda heat, mask: _point(heat.abs(), mask),
        "second-best inside the mask": lambda heat, mask: (
            (heat * mask).flatten(1).amax(dim=1) > 0.5 * heat.flatten(1).amax(dim=1)
        ),
        "0 is the highest there": lambda heat, mask: (heat * mask).flatten(1).amax(1) == heat.flatten(1).amax(1),
    },
    alternatives={
        "the highest inside against the highest outside": _inside_against_outside,
        "example by example": _point_by_example,
        "one-hot of the top, einsum": _point_by_one_hot,
    },
    hints=(
        "argmax over two axes at once: flatten them first.",
        "Flatten heat and mask from axis 1; the arg-max of the one is a place in the other.",
        "mask.flatten(1)[torch.arange(len(heat)), heat.flatten(1).argmax(dim=1)]",
    ),
    difficulty=1,
    minutes=6,
)
