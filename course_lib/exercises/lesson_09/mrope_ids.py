"""Exercise 09.4: position ids of M-RoPE."""

import random
from itertools import product

import numpy as np
import torch

from course_lib.lesson.exercises import Exercise


def mrope_counts_tokens(mrope_ids):
    got = mrope_ids([("text", 2), ("image", (2, 4)), ("text", 3)])
    assert tuple(got.shape) == (3, 13), (
        f"2 words, 2 x 4 patches and 3 words are 13 tokens with three ids: (3, 13), got {tuple(got.shape)}"
    )
    whole = not (got.is_floating_point() or got.is_complex() or got.dtype == torch.bool)
    assert whole, f"ids are whole numbers, as positions are counted: an integer type, got {got.dtype}"


def mrope_of_text_is_rope(mrope_ids):
    got = mrope_ids([("text", 4)]).tolist()
    assert got == [[0, 1, 2, 3]] * 3, f"a word has the same number on all three axes, here 0 to 3, got {got}"


def mrope_of_an_image_is_a_grid(mrope_ids):
    time, height, width = mrope_ids([("image", (2, 3))]).tolist()
    assert len(set(time)) == 1, f"an image is one moment: time is the same for all its patches, got {time}"
    assert (height, width) == ([0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2]), (
        f"two rows of three patches, read row by row: height 0 0 0 1 1 1, width 0 1 2 0 1 2, got {height} and {width}"
    )


def mrope_starts_an_image_after_the_text(mrope_ids):
    got = mrope_ids([("text", 3), ("image", (2, 2))])[:, 3:]
    right = [[3, 3, 3, 3], [3, 3, 4, 4], [3, 4, 3, 4]]
    assert got.tolist() == right, "three words use 0, 1, 2, so the image starts at 3 on all three axes"


def mrope_goes_on_after_the_largest_id(mrope_ids):
    start = mrope_ids([("image", (2, 4)), ("text", 2)])[:, 8].tolist()
    mistakes = {
        0: "the text behind an image starts at 0 again, and meets the image's own positions",
        8: "you went on counting patches; the next segment starts at the largest id so far plus 1, here 4",
        3: "the largest id of the image is 3 and was given out again; add 1",
        1: "you followed the time axis alone; the largest id of all three axes counts",
        2: "you followed the height alone; the width is larger here, and the largest id counts",
    }
    assert start[0] not in mistakes, mistakes.get(start[0])
    assert start == [4, 4, 4], f"the text behind a 2 x 4 image starts at 4 on all axes, got {start}"


def mrope_adds_up_over_segments(mrope_ids):
    got = mrope_ids([("text", 2), ("image", (1, 2)), ("image", (3, 1)), ("text", 1)])[:, -1].tolist()
    assert got == [7, 7, 7], f"2 words, 2 columns, 3 rows: the last word stands at 7; keep a running start, got {got}"


def _counted(segments):
    """The truth token by token."""
    ids, start = [], 0
    for kind, size in segments:
        places = [(n, n, n) for n in range(size)] if kind == "text" else list(product([0], *map(range, size)))
        ids += [tuple(start + axis for axis in place) for place in places]
        start = 1 + max(max(place) for place in ids)
    return [list(axis) for axis in zip(*ids, strict=True)]


def mrope_is_right_for_any_list(mrope_ids):
    draw = random.Random(0)
    for _ in range(20):
        kinds = [draw.choice(["text", "image"]) for _ in range(draw.randint(1, 5))]
        segments = [
            (kind, draw.randint(1, 5) if kind == "text" else (draw.randint(1, 4), draw.randint(1, 4))) for kind in kinds
        ]
        assert mrope_ids(segments).tolist() == _counted(segments), f"{segments} comes out wrong; count it by hand"


def _mrope_ids(segments):
    parts, start = [], 0
    for kind, size in segments:
        if kind == "text":
            ids = torch.arange(size).repeat(3, 1)
        else:
            height, width = size
            row, column = torch.arange(height).repeat_interleave(width), torch.arange(width).repeat(height)
            ids = torch.stack([torch.zeros_like(row), row, column])
        parts.append(start + ids)
        start = int(parts[-1].max()) + 1
    return torch.cat(parts, dim=1)


def _mrope_with(advance=None, change=None, image_start=None):
    """A variant: `advance` says where the next segment starts, `change` spoils the ids of a segment."""

    def variant(segments):
        parts, start = [], 0
        for kind, size in segments:
            ids = _mrope_ids([(kind, size)])
            ids = ids if change is None else change(kind, ids)
            parts.append(ids + (start if image_start is None or kind == "text" else image_start))
            start = int(parts[-1].max()) + 1 if advance is None else advance(start, kind, parts[-1])
        return torch.cat(parts, dim=1)

    return variant


def _mrope_by_meshgrid(segments):
    out = torch.empty(3, 0, dtype=torch.long)
    for kind, size in segments:
        shape = (1, *size) if kind == "image" else (size,)
        axes = torch.meshgrid(*[torch.arange(n) for n in shape], indexing="ij")
        ids = torch.stack([axis.flatten() for axis in axes]).expand(3, -1)
        out = torch.hstack([out, ids + (out.max() + 1 if out.numel() else 0)])
    return out


def _mrope_by_numpy(segments):
    blocks, start = [], 0
    for kind, size in segments:
        block = np.tile(np.arange(size), (3, 1)) if kind == "text" else np.indices((1, *size)).reshape(3, -1)
        blocks.append(block + start)
        start = blocks[-1].max() + 1
    return torch.from_numpy(np.concatenate(blocks, axis=1).astype(np.int32))


mrope_ids = Exercise(
    id="09.4 mrope_ids",
    task="Write mrope_ids(segments): a list of ('text', tokens) and ('image', (height, width)) -> integers (3, S), "
    "rows time, height, width. Words count on all axes, patches have one time and their place in the grid; each "
    "segment starts at the largest id so far plus 1.",
    stages=(
        mrope_counts_tokens,
        mrope_of_text_is_rope,
        mrope_of_an_image_is_a_grid,
        mrope_starts_an_image_after_the_text,
        mrope_goes_on_after_the_largest_id,
        mrope_adds_up_over_segments,
        mrope_is_right_for_any_list,
    ),
    reference=_mrope_ids,
    mutants={
        "are 13 tokens": _mrope_with(change=lambda kind, ids: ids if kind == "text" else ids[:, :1]),
        "the same number on all three axes": _mrope_with(
            change=lambda kind, ids: ids * torch.tensor([[1], [0], [0]]) if kind == "text" else ids
        ),
        "an image is one moment": _mrope_with(
            change=lambda kind, ids: ids if kind == "text" else torch.stack([torch.arange(ids.shape[1]), *ids[1:]])
        ),
        "read row by row": _mrope_with(change=lambda kind, ids: ids if kind == "text" else ids[[0, 2, 1]]),
        "so the image starts at 3": _mrope_with(image_start=0),
        "starts at 0 again": _mrope_with(advance=lambda start, kind, ids: int(ids.max()) + 1 if kind == "text" else 0),
        "you went on counting patches": _mrope_with(advance=lambda start, kind, ids: start + ids.shape[1]),
        "was given out again": _mrope_with(
            advance=lambda start, kind, ids: int(ids.max()) + (1 if kind == "text" else 0)
        ),
        "you followed the time axis alone": _mrope_with(advance=lambda start, kind, ids: int(ids[0].max()) + 1),
        "you followed the height alone": _mrope_with(advance=lambda start, kind, ids: int(ids[1].max()) + 1),
        "keep a running start": _mrope_with(
            advance=lambda start, kind, ids: int(ids.max()) + 1 if kind == "text" else int((ids - start).max()) + 1
        ),
        "an integer type": lambda segments: _mrope_ids(segments).float(),
        "count it by hand": lambda segments: _mrope_ids([each for n, each in enumerate(segments) if n < 4]),
    },
    alternatives={
        "token by token": lambda segments: torch.tensor(_counted(segments)),
        "meshgrid, a running start": _mrope_by_meshgrid,
        "numpy, int32": _mrope_by_numpy,
    },
    hints=(
        "Go through the segments with a running `start`. What is the largest id that a 2 x 4 image uses?",
        "Rows of the grid: torch.arange(height).repeat_interleave(width). Columns: torch.arange(width).repeat(height).",
        "ids = start + torch.stack([zeros, row, column]); then start = int(ids.max()) + 1, for text and images alike.",
    ),
    difficulty=2,
    minutes=10,
)
