"""Figures in lessons: drawn by matplotlib, shown as one opaque PNG with alternative text."""

import io

from IPython.display import Image, display
from matplotlib.figure import Figure

DPI = 100
"""Dots per inch: at 100 a 7 x 4 inch figure is 700 x 400 pixels and stays under 60 kB."""


def png(fig: Figure) -> bytes:
    """The figure as PNG bytes on a white ground (a transparent one vanishes in JupyterLab's dark theme); closes it."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=DPI, facecolor="white")
    plt.close(fig)  # or the notebook would show it a second time
    return buffer.getvalue()


def show(fig: Figure, alt: str) -> None:
    """Show a figure once. alt: one sentence that says what it shows, for readers who cannot see it."""
    if not alt.strip():
        raise ValueError("alt is empty; say in one sentence what the figure shows")
    display(Image(data=png(fig), format="png", alt=alt))
