"""Keys, running times and half-typed text of a live view: what a page in a browser can do and ipywidgets cannot.

`Keys` stands inside the box of a view (class `VIEW`) and listens for all of it. Python decides everything: keys.js
only sends on which key was pressed, and what stands in a text box a second after the last stroke. It moves the times
by itself, so nothing ticks in the kernel, and stops with its view. While the focus is in the view, plain keys stay
there: to a notebook in command mode x means cut the cell, and 1 make it a heading. Ctrl, Alt, Escape and Shift+Enter
pass.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import anywidget
import traitlets

from course_lib.interview.stopwatch import Stopwatch

VIEW = "course-view"
ENTER = "Enter"
_TYPED = "course-typed-"


class Keys(anywidget.AnyWidget):
    """What it heard goes to three functions.

    pressed(key): one of `wanted`, or ENTER in a text box. typed(name, text): of a text box with class
    `typed_class(name)`. shown(): a page shows the view, perhaps another than before; times are to be said anew.
    """

    _esm = Path(__file__).with_suffix(".js")
    _css = """
    .course-keys { border-radius: 3px; padding: 1px 6px; margin: 3px 3px 3px 8px; color: var(--jp-ui-font-color1); }
    .course-keys:focus { outline: 2px solid var(--jp-brand-color1); }
    .course-keys:not([role]):focus { outline: none; }
    .course-keys small { color: var(--jp-ui-font-color1); font-size: 90%; margin-left: 10px; }
    .course-keys .late { font-weight: bold; color: var(--jp-error-color1); }
    .course-view:focus-within .course-keys-how { display: none; }
    """
    wanted = traitlets.List(traitlets.Unicode()).tag(sync=True)
    times = traitlets.List(traitlets.Dict()).tag(sync=True)
    help = traitlets.Unicode().tag(sync=True)
    """What the keys do."""
    how = traitlets.Unicode().tag(sync=True)
    """Shown while the focus is elsewhere: how to bring it here."""
    gone = traitlets.Unicode().tag(sync=True)
    """Shown once the kernel is gone."""

    def __init__(
        self, pressed: Callable[[str], None], typed: Callable[[str, str], None], shown: Callable[[], None]
    ) -> None:
        super().__init__()
        self._pressed, self._typed, self._shown = pressed, typed, shown
        self.on_msg(self._hear)

    def offer(self, keys: Iterable[str], help: str) -> None:
        """Listen to these keys from now on."""
        self.wanted, self.help = list(keys), help

    def run(self, stopwatches: Iterable[Stopwatch]) -> None:
        """Show these times, each going on from where it is now."""
        self.times = [each.as_state() for each in stopwatches]

    def _hear(self, _widget: "Keys", content: dict, _buffers: list) -> None:
        match content:
            case {"key": str(key)}:
                self._pressed(key)
            case {"typed": str(name), "text": str(text)}:
                self._typed(name, text)
            case {"shown": True}:
                self._shown()


def typed_class(name: str) -> str:
    """The class of a text box whose text is sent on under that name."""
    return f"{_TYPED}{name}"
