"""Attention drawn: every head of every layer, words against patches, and one view to click through.

Attention is never negative, so its scale runs from white (0) to dark; every function returns (figure, axes).
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from course_lib import refuse
from course_lib.explain.plots import as_array, canvas, show_heat, spread_patches

SEQUENTIAL = "Blues"


@refuse.misfit
def show_heads(
    maps: Sequence[Float[Tensor, "_ T S"]], *, labels: Sequence[str] | None = None, readers: int | None = None
) -> tuple[Figure, Any]:
    """One small matrix a head, one row of them a layer: who reads (down) whom (across).

    maps: of one example, first layer first. labels: of the tokens, at both axes of the first matrix. readers: draw only
    the first so many rows, for example the words.
    """
    import matplotlib.pyplot as plt

    heads = max(len(layer) for layer in maps)
    fig, axes = plt.subplots(
        len(maps), heads, figsize=(1.7 * heads + 0.8, 1.8 * len(maps) + 0.4), squeeze=False, layout="constrained"
    )
    for number, (row, layer) in enumerate(zip(axes, maps, strict=True), start=1):
        for head, ax in enumerate(row):
            if head >= len(layer):
                ax.set_axis_off()
                continue
            drawn = ax.imshow(as_array(layer[head, :readers]), cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
            ax.set(xticks=[], yticks=[], title=f"layer {number}, head {head + 1}")
            ax.title.set_fontsize(8)
    if labels is not None:
        shown = list(labels)[:readers]
        axes[0, 0].set_yticks(range(len(shown)), shown, fontsize=6)
    fig.colorbar(drawn, ax=axes, shrink=0.7, label="attention weight (rows sum to 1)")
    return fig, axes


@refuse.misfit
def show_patch_words(
    weights: Float[Tensor, "T P"], words: Sequence[str], *, ax: Axes | None = None, title: str = ""
) -> tuple[Figure, Axes]:
    """Words down, patches across in reading order, with a line after each row of patches."""
    if len(words) != len(weights):
        raise ValueError(f"{len(words)} words for {len(weights)} rows of weights; leave the padding out of both")
    fig, ax = canvas(ax, (6.4, 0.8 + 0.28 * len(words)))
    drawn = ax.imshow(as_array(weights), cmap=SEQUENTIAL, vmin=0, aspect="auto")
    ax.set_yticks(range(len(words)), words)
    grid = int(np.sqrt(weights.shape[1]))
    for edge in range(grid, weights.shape[1], grid):
        ax.axvline(edge - 0.5, color="grey", linewidth=0.8)
    ax.set(xlabel="patch, row by row", title=title)
    fig.colorbar(drawn, ax=ax, label="weight")
    return fig, ax


@refuse.misfit
def show_read_patches(
    image: Float[Tensor, "3 height width"], weights: Float[Tensor, "T P"], words: Sequence[str], *, title: str = ""
) -> tuple[Figure, Any]:
    """The image, cut into its square grid of patches, beside the matrix of words reading them."""
    import matplotlib.pyplot as plt

    fig, (left, right) = plt.subplots(1, 2, figsize=(7.8, 2.9), layout="constrained", width_ratios=(1, 2.4))
    left.imshow(as_array(image.permute(1, 2, 0)))
    last = weights.shape[1] - 1
    left.set(xticks=[], yticks=[], title=f"patches 0 to {last}")
    grid, edge = int(np.sqrt(last + 1)), image.shape[-1]
    for line in range(1, grid):
        left.axhline(line * edge / grid - 0.5, color="grey", linewidth=0.8)
        left.axvline(line * edge / grid - 0.5, color="grey", linewidth=0.8)
    show_patch_words(weights, words, ax=right, title=title)
    return fig, (left, right)


@refuse.misfit
def draw_view(
    image: Float[Tensor, "3 height width"],
    words: Sequence[str],
    maps: Sequence[Float[Tensor, "H S S"]],
    heats: Mapping[str, Float[Tensor, "height width"]],
    *,
    word: str,
    layer: int,
    head: int,
    method: str,
    patches: int,
) -> tuple[Figure, Any]:
    """Three panels for an explorer: the image, where one head of one layer looks for one word, and one method's map.

    maps: self-attention of one example over words first, then `patches` patches. heats: map by method. layer and head
    count from 1; head 0 is the mean of all. The last two panels may disagree: where was looked, and what it did.
    """
    import matplotlib.pyplot as plt

    if word not in words or method not in heats or not 1 <= layer <= len(maps) or not 0 <= head <= len(maps[0]):
        raise ValueError(
            f"no view of word {word!r}, layer {layer}, head {head}, method {method!r}; there are words {list(words)}, "
            f"{len(maps)} layers, {len(maps[0])} heads, methods {sorted(heats)}"
        )
    chosen = maps[layer - 1].mean(dim=0) if head == 0 else maps[layer - 1][head - 1]
    height, width = image.shape[-2:]
    read = chosen[list(words).index(word), -patches:]
    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(8.2, 2.7), layout="constrained", width_ratios=(1, 1, 1.35))
    left.imshow(as_array(image.permute(1, 2, 0)))
    left.set(xticks=[], yticks=[], title=textwrap.fill(" ".join(words), 24))
    left.title.set_fontsize(8)
    drawn = middle.imshow(as_array(spread_patches(read, height, width)), cmap=SEQUENTIAL, vmin=0)
    middle.set(xticks=[], yticks=[], title=f"“{word}” reads, layer {layer}, {f'head {head}' if head else 'mean'}")
    middle.title.set_fontsize(8)
    fig.colorbar(drawn, ax=middle, shrink=0.8)
    show_heat(image, heats[method], ax=right, title=method.replace("_", " "))
    right.title.set_fontsize(8)
    return fig, (left, middle, right)
