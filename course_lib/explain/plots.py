"""Heat over an image or a spectrogram, coloured words, and both side by side.

Red speaks for the answer, blue against it; the scale is symmetric, so pale is always 0 (grey over a black image). Every
function draws into `ax` where one is given, and returns (figure, axes); none of them shows or saves anything.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from course_lib import refuse

SIGNED = "RdBu_r"
"""Diverging map, told apart with any colour vision: red is above 0, blue below."""
LEGEND = "red: for the answer\nblue: against it"


@refuse.misfit
def show_heat(
    image: Float[Tensor, "channels height width"],
    heat: Float[Tensor, "height width"],
    *,
    ax: Axes | None = None,
    mask: Bool[Tensor, "height width"] | None = None,
    title: str = "",
    limit: float | None = None,
    legend: bool = True,
) -> tuple[Figure, Axes]:
    """Signed heat over the image in grey; a colour bar names the sign.

    mask: the outline of the true object, drawn in green. limit: the value of the deepest colour, by default the largest
    in the map; give one to compare maps. image: in [0, 1], 1 or 3 channels.
    """
    refuse.infinite(heat=heat)
    fig, ax = canvas(ax, (3.4, 2.9) if legend else (2.4, 2.6))
    bound = _bound(heat, limit)
    ax.imshow(as_array(image.mean(dim=0)), cmap="gray", vmin=0, vmax=1)
    drawn = ax.imshow(as_array(heat), cmap=SIGNED, vmin=-bound, vmax=bound, alpha=0.75)
    if mask is not None:
        ax.contour(as_array(mask.float()), levels=[0.5], colors="#228833", linewidths=1.5)
    ax.set(xticks=[], yticks=[], title=title)
    if legend:
        fig.colorbar(drawn, ax=ax, shrink=0.85, label=LEGEND)
    return fig, ax


@refuse.misfit
def show_words(
    words: Sequence[str],
    importance: Float[Tensor, " T"],
    *,
    ax: Axes | None = None,
    title: str = "",
    limit: float | None = None,
) -> tuple[Figure, Axes]:
    """Words on a row of boxes coloured by importance, the value under each."""
    refuse.infinite(importance=importance)
    if len(words) != len(importance):
        raise ValueError(f"{len(words)} words and {len(importance)} values came; leave the padding out of both")
    import matplotlib.pyplot as plt

    fig, ax = canvas(ax, (max(3.0, 0.85 * len(words)), 1.2))
    bound = _bound(importance, limit)
    colours = plt.get_cmap(SIGNED)
    for place, (word, value) in enumerate(zip(words, importance.tolist(), strict=True)):
        shade = colours(0.5 + 0.5 * max(-1.0, min(1.0, value / bound)))
        dark = abs(value) > 0.6 * bound
        box = {"facecolor": shade, "edgecolor": "#bbbbbb", "boxstyle": "round,pad=0.35"}
        ax.text(place, 0.62, word, ha="center", va="center", color="white" if dark else "black", bbox=box)
        ax.text(place, 0.12, f"{value:+.2f}", ha="center", va="center", fontsize=8)
    ax.set(xlim=(-0.6, len(words) - 0.4), ylim=(0, 1), title=title)
    ax.set_axis_off()
    return fig, ax


@refuse.misfit
def show_pair(
    image: Float[Tensor, "channels height width"],
    heat: Float[Tensor, "height width"],
    words: Sequence[str],
    importance: Float[Tensor, " T"],
    *,
    mask: Bool[Tensor, "height width"] | None = None,
    title: str = "",
    common: bool = False,
) -> tuple[Figure, Any]:
    """The image, its heat, and the coloured words below.

    common: one colour scale for both modalities. A word holds one number where a pixel holds a 256th of an image's, so
    usually each part has its own scale and only `Attribution.shares` compares them.
    """
    import matplotlib.pyplot as plt

    fig, axes = plt.subplot_mosaic(
        [["image", "heat"], ["words", "words"]],
        figsize=(max(5.6, 0.8 * len(words)), 3.9),
        height_ratios=(3.2, 1),
        layout="constrained",
    )
    limit = max(_bound(heat, None), _bound(importance, None)) if common else None
    axes["image"].imshow(as_array(image.permute(1, 2, 0)))
    axes["image"].set(xticks=[], yticks=[], title="image")
    show_heat(image, heat, ax=axes["heat"], mask=mask, title=title, limit=limit)
    show_words(words, importance, ax=axes["words"], limit=limit)
    return fig, axes


@refuse.misfit
def show_mel(
    mel: Float[Tensor, "bands frames"],
    heat: Float[Tensor, "bands frames"],
    *,
    seconds: float,
    ax: Axes | None = None,
    title: str = "",
    limit: float | None = None,
) -> tuple[Figure, Axes]:
    """Signed heat over a mel spectrogram: time to the right in seconds, mel bands upwards.

    mel: in any unit (decibels, logarithms); it is drawn in grey from its smallest to its largest value.
    """
    refuse.infinite(mel=mel, heat=heat)
    fig, ax = canvas(ax, (6.0, 2.6))
    place = {"origin": "lower", "aspect": "auto", "extent": (0.0, seconds, 0.0, float(len(mel)))}
    ax.imshow(as_array(mel), cmap="gray", **place)
    bound = _bound(heat, limit)
    drawn = ax.imshow(as_array(heat), cmap=SIGNED, vmin=-bound, vmax=bound, alpha=0.6, **place)
    ax.set(xlabel="time [s]", ylabel="mel band", title=title)
    fig.colorbar(drawn, ax=ax, label=LEGEND)
    return fig, ax


@refuse.misfit
def spread_patches(heat: Float[Tensor, " P"], height: int, width: int) -> Float[Tensor, "height width"]:
    """One number a patch, patches row by row on a square grid, to one number a pixel."""
    grid = round(len(heat) ** 0.5)
    if grid**2 != len(heat) or height % grid != 0 or width % grid != 0:
        raise ValueError(f"{len(heat)} patches do not tile {height} x {width} pixels on a square grid; leave out <cls>")
    square = heat.view(grid, grid)
    return square.repeat_interleave(height // grid, dim=0).repeat_interleave(width // grid, dim=1)


def as_array(values: Tensor) -> np.ndarray:
    """What matplotlib draws: NumPy, out of the graph, on the CPU."""
    return values.detach().cpu().numpy()


def _bound(values: Tensor, limit: float | None) -> float:
    """The largest absolute value, or 1 where all are 0: a scale needs an extent."""
    largest = float(values.detach().abs().max()) if limit is None else limit
    return largest if largest > 0 else 1.0


def canvas(ax: Axes | None, size: tuple[float, float]) -> tuple[Figure, Axes]:
    """The given axes and their figure, or a new one of that size in inches on a white ground."""
    import matplotlib.pyplot as plt

    if ax is None:
        return plt.subplots(figsize=size, layout="constrained", facecolor="white")
    return ax.get_figure(), ax
