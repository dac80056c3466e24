"""Figures in lessons: drawn by matplotlib, shown as one opaque PNG with a caption, which is its alternative text."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image as Pixels

from course_lib.lesson.picture import figure_html

DPI = 100
"""Dots per inch: at 100 a 7 x 4 inch figure is 700 x 400 pixels."""

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")
"""Paul Tol's bright scheme, told apart with any colour vision; each series has a marker of its own as well."""

PALETTES = (64, 128, 256)
"""Sizes to choose from: a line chart is as good in 64 colours, a heat map is not."""

MARKERS = "os^DvP"


def png(fig: Figure) -> bytes:
    """The figure as PNG bytes in at most 256 colours, which keep a notebook under 300 kB; closes it."""
    small = io.BytesIO()
    _few_colours(_pixels(fig)).save(small, format="png", optimize=True)
    return small.getvalue()


def quick_png(fig: Figure) -> bytes:
    """The figure as PNG bytes in a tenth of the time and two to four times the size, for a live view; closes it."""
    full = io.BytesIO()
    _pixels(fig).save(full, format="png", compress_level=1)
    return full.getvalue()


def _few_colours(drawn: Pixels.Image) -> Pixels.Image:
    """In 64, 128 or 256 colours: as few as leave 99 of 100 pixels that are not white within 24 of 255."""
    for colours in PALETTES:
        small = drawn.quantize(colours, dither=Pixels.Dither.NONE)
        before, after = (np.asarray(each.convert("RGB"), dtype=np.int16) for each in (drawn, small))
        moved = np.abs(before - after).max(axis=-1) > 24
        if moved.sum() <= 0.01 * (before < 250).any(axis=-1).sum():
            break
    return small


def _pixels(fig: Figure) -> Pixels.Image:
    """Draw once, on white: a transparent figure vanishes in JupyterLab's dark theme.

    On a canvas and not by `savefig`, which draws every figure twice to settle its layout.
    """
    import matplotlib.pyplot as plt

    fig.set(dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    plt.close(fig)  # or the notebook would show it a second time
    return Pixels.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba()).convert("RGB")


def show(fig: Figure, alt: str) -> None:
    """Show a figure once. alt: one sentence that says what it shows: its caption, and what a screen reader reads."""
    display({"text/html": figure_html(png(fig), alt), "text/plain": alt}, raw=True)


def bar_plot(values: Mapping[str, float], *, xlabel: str, fmt: str = "%.2f") -> tuple[Figure, Any]:
    """One horizontal bar a name, in the given order from the top, its value written at the end."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(6, 0.6 + 0.36 * len(values)), layout="constrained")
    names = list(values)[::-1]
    ax.bar_label(ax.barh(names, [values[name] for name in names], color=COLOURS[0]), fmt=fmt, padding=3)
    ax.margins(x=0.12)
    ax.set_xlabel(xlabel)
    return fig, ax


def heat_map(values: Mapping[tuple[str, str], float], *, limit: float, fmt: str = "+.1f") -> tuple[Figure, Any]:
    """A signed number for every {(column, row): number}, written on its colour; purple is -limit, orange +limit."""
    import matplotlib.pyplot as plt

    columns, rows = (list(dict.fromkeys(names)) for names in zip(*values, strict=True))
    fig, ax = plt.subplots(figsize=(1.5 + 1.25 * len(columns), 0.7 + 0.3 * len(rows)), layout="constrained")
    table = np.array([[values[column, row] for column in columns] for row in rows])
    ax.imshow(table, cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto")
    for (row, column), value in np.ndenumerate(table):
        shade = "white" if abs(value) > 0.6 * limit else "black"
        ax.text(column, row, f"{value:{fmt}}", ha="center", va="center", color=shade)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_xticks(range(len(columns)), columns, fontsize=8)
    return fig, ax


def dot_plot(
    series: Mapping[str, Mapping[str, Sequence[float]]], *, xlabel: str, chance: float | None = None
) -> tuple[Figure, Any]:
    """One row a model, one colour and marker a condition, one mark a seed: {condition: {model: values over seeds}}.

    chance: drawn as a dotted line. Several conditions have a legend above the axes, where it covers no point.
    """
    import matplotlib.pyplot as plt

    models = list(next(iter(series.values())))[::-1]
    fig, ax = plt.subplots(figsize=(7, 0.9 + 0.3 * len(models)), layout="constrained")
    for number, (condition, values) in enumerate(series.items()):
        shift = 0.3 * (0.5 - (number + 0.5) / len(series))  # conditions of a row one below the other
        points = [(value, row + shift) for row, model in enumerate(models) for value in values[model]]
        style = {"color": COLOURS[number], "marker": MARKERS[number], "linestyle": "", "markersize": 5}
        ax.plot(*zip(*points, strict=True), label=condition, **style)
    if chance is not None:
        ax.axvline(chance, color="grey", linewidth=1, linestyle=":")
    ax.set(yticks=range(len(models)), yticklabels=models, xlabel=xlabel)
    ax.set_ylim(-0.5, len(models) - 0.5)  # matplotlib's margin cuts the marks of the first and last row
    ax.grid(axis="y", alpha=0.3)
    if len(series) > 1:
        fig.legend(loc="outside upper left", ncols=2, fontsize=8)
    return fig, ax
