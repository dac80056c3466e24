"""The progress bar of a notebook: one line of text in the running cell, replaced in place, gone when the cell ends.

All runs of a cell share the line, so forty of them in a loop leave no forty outputs. It is text behind a display handle
and no widget: what a saved notebook keeps of it is one output without content, an empty line at most.
"""

import time
from typing import Any

PATIENCE = 1.0  # seconds that a cell trains before it shows a bar: what is over sooner needs none
PERIOD = 0.25  # seconds between two updates, so that a thousand steps a second never flood the browser's socket
COLUMNS = 90  # characters, fewer than a cell's width at 1366 pixels


def in_notebook(shell: Any) -> bool:
    """Whether this IPython shell (None: there is none) answers a notebook's requests and not a terminal."""
    return hasattr(shell, "get_parent")


class CellLine:
    """The place under one running cell where its runs say, one after the other, how far they are."""

    running: "CellLine | None" = None

    def __init__(self, shell: Any, request: str) -> None:
        self.shell, self.request, self.handle = shell, request, None
        self.next_update = time.monotonic() + PATIENCE

    @classmethod
    def of(cls, shell: Any) -> "CellLine":
        """The line of the request, cell or moved slider, that the shell is working on now."""
        request = shell.get_parent().get("header", {}).get("msg_id", "")
        if cls.running is None or cls.running.request != request:
            cls.running = cls(shell, request)
        return cls.running

    @property
    def due(self) -> bool:
        """Whether it is time to show something new."""
        return time.monotonic() >= self.next_update

    def show(self, text: str) -> None:
        """Replace the line; the first time it opens below what the cell has shown so far."""
        self.next_update = time.monotonic() + PERIOD
        if self.handle is not None:
            self.handle.update({"text/plain": text}, raw=True)
            return
        from IPython.display import display

        self.handle = display({"text/plain": text}, raw=True, display_id=True)
        self.shell.events.register("post_execute", self.clear)  # comes after an error and after Ctrl-C as well

    def clear(self) -> None:
        """Leave an output without content: nothing is drawn for it."""
        self.shell.events.unregister("post_execute", self.clear)
        self.handle.update({}, raw=True)
        CellLine.running = None


class CellBar:
    """One run on the cell's line. Its methods are those that `Progress` calls of tqdm's bar."""

    def __init__(self, total: int, shell: Any) -> None:
        self.total, self.n, self.initial = total, 0, 0
        self.began, self.figures, self.line = time.monotonic(), {}, CellLine.of(shell)

    def update(self, steps: int = 1) -> None:
        """So many steps more were done."""
        self.n += steps
        if self.line.due:
            self.line.show(str(self))

    def set_postfix(self, figures: dict[str, str], refresh: bool = False) -> None:
        """Figures that stand behind the bar from here on; `refresh` is tqdm's, the line keeps its own pace."""
        self.figures |= figures

    def close(self) -> None:
        """Show how the run ended, unless it was over before anybody could read it."""
        if self.line.handle is not None and time.monotonic() - self.began > PERIOD:
            self.line.show(str(self))

    def __str__(self) -> str:
        from tqdm import tqdm  # its text without its output, which goes to stderr

        figures = ", ".join(f"{name}={value}" for name, value in self.figures.items())
        elapsed = time.monotonic() - self.began
        return tqdm.format_meter(
            self.n, self.total, elapsed, ncols=COLUMNS, unit="step", initial=self.initial, postfix=figures
        )
