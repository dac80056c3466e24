"""What the live views of this room share: nothing fails in silence, one view a cell, a page that scrolls in its box.

A view that fails in a callback says so in itself: what ipywidgets would print goes to a place that nobody looks at. A
cell that is run again has a new view; its old one, in another window perhaps, says that it is over and does nothing.
"""

from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets as widgets
from IPython import get_ipython

from course_lib.interview.keys import VIEW, Keys, typed_class
from course_lib.interview.record import LANGUAGES
from course_lib.lesson.live import publish

ROW = {"align_items": "center", "flex_flow": "row wrap"}
WORDS = {
    "en": {
        "failed": "This failed: {}. What was saved before stays saved.",
        "interrupted": "Interrupted; nothing was done.",
        "over": "This view is over: its cell was run again, and goes on there.",
        "how": "keys, after a click here:",
        "gone": "The kernel was restarted or stopped. Run the cell again.",
        "region": "question and answer",
    },
    "zh": {
        "failed": "操作失败：{}。此前保存的内容不受影响。",
        "interrupted": "已中断，什么也没有做。",
        "over": "这个视图已失效：单元格重新运行过，请到新的视图里继续。",
        "how": "点这里后可用按键：",
        "gone": "内核已重启或停止。请重新运行单元格。",
        "region": "题目与答案",
    },
}
_shown: dict[str, tuple[str, list["LiveView"]]] = {}
"""Cell to the request that ran it last, and the views it showed."""


class LiveView:
    """`widget` is what to display. Callbacks go through `attempt`; a view of its own kind defines `draw`."""

    reports: tuple[type[Exception], ...] = ()
    """Errors whose message is meant for the learner."""

    def __init__(self, language: str) -> None:
        self.trouble, self.over = "", False
        self.boxes: dict[str, widgets.Text] = {}
        self.texts: dict[str, str] = {}
        self.notice = widgets.HTML()
        self.keys = Keys(
            lambda key: self.attempt(self.press_key, key),
            lambda name, text: self.attempt(self.type_in, name, text, draw=False),
            lambda: self.attempt(self.appear, draw=False),
        )
        options = [(name, code) for code, name in LANGUAGES.items()]
        self.language = widgets.ToggleButtons(options=options, value=language, style={"button_width": "6em"})
        self.language.observe(lambda _: self.attempt(), "value")
        words = WORDS[language]
        self.keys.how, self.keys.gone = words["how"], words["gone"]
        self.widget = widgets.VBox()
        self.widget.add_class(VIEW)

    def draw(self) -> None:
        """Put the state into the widgets."""
        raise NotImplementedError

    def press_key(self, key: str) -> None:
        """A key of those that `keys` offers, or Enter in a text box."""

    def text_box(self, name: str, **look: object) -> widgets.Text:
        """A new text box; what stands in it now is `texts[name]`, also while it is still being typed."""
        box = widgets.Text(continuous_update=False, **look)
        box.add_class(typed_class(name))
        box.observe(lambda change: self.attempt(self.type_in, name, change["new"], draw=False), "value")
        self.boxes[name], self.texts[name] = box, ""
        return box

    def type_in(self, name: str, text: str) -> None:
        """Take what stands in a text box."""
        if self.texts[name] != text:
            self.texts[name] = text
            self.put_down()

    def put_down(self) -> None:
        """Keep what is typed, in a view that keeps something."""

    def write(self, name: str, text: str) -> None:
        """Put a text into a box, as if it had always been there."""
        self.texts[name] = self.boxes[name].value = text

    def appear(self) -> None:
        """A page shows the view: its boxes get what was typed on the page before."""
        for name, box in self.boxes.items():
            box.value = self.texts[name]

    def notice_html(self) -> str:
        """What stands above the page: what went wrong, and what a view has to say besides."""
        return lines_html([self.trouble] if self.trouble else [])

    def attempt(self, action: Callable[..., object] = lambda: None, *values: object, draw: bool = True) -> None:
        """Do what the learner asked for, then draw; whatever fails stays on the screen with the reason.

        draw=False: for what changes nothing on the screen, and would take it from under a hand that types.
        """
        if self.over:
            return
        if draw:
            self.trouble = ""
        self._guarded(lambda: action(*values))
        if draw:
            self._guarded(self.draw)
        if not self._guarded(self._notify):
            self.notice.value = lines_html([self.trouble])

    def _notify(self) -> None:
        self.notice.value = self.notice_html()

    def _guarded(self, act: Callable[[], object]) -> bool:
        words = WORDS[self.language.value]
        try:
            act()
            return True
        except self.reports as error:
            self.trouble = str(error)
        except KeyboardInterrupt:
            self.trouble = words["interrupted"]
        except (Exception, SystemExit) as error:  # the learner's own code, or a fault of ours
            self.trouble = words["failed"].format(f"{type(error).__name__}: {error}")
        return False

    def retire(self) -> None:
        """Say that the view is over; from now on it does nothing."""
        self.over = True
        parts = self.widget.children
        self.widget.children = [widgets.HTML(lines_html([WORDS[self.language.value]["over"]]))]
        for part in parts:
            part.close()


def show_view(view: LiveView, *, html: str, text: str) -> None:
    """Display a view with its static form, and retire those that an earlier run of the same cell showed."""
    run = _current_run()
    if run is not None:
        cell, request = run
        before, views = _shown.get(cell, ("", []))
        if before != request:
            for each in views:
                each.retire()
            views = []
        _shown[cell] = (request, [*views, view])
    publish(view.widget, html=html, text=text)


def block(html: str) -> str:
    """In the notebook's own font size."""
    return f'<div style="font-size:var(--jp-content-font-size1);line-height:1.6">{html}</div>'


def scrolling(html: str, language: str, height: str) -> str:
    """A page that scrolls in its own box, so that what stands around it stays in reach; focus it to scroll by keys."""
    name = WORDS[language]["region"]
    return block(
        f'<div tabindex="0" role="region" aria-label="{name}" style="max-height:{height};overflow:auto;'
        f'border-bottom:1px solid var(--jp-border-color1)">{html}</div>'
    )


def lines_html(lines: list[str]) -> str:
    """One below the other."""
    return "".join(f'<p style="margin:.2em 0;white-space:pre-wrap">{escape(line)}</p>' for line in lines)


def _current_run() -> tuple[str, str] | None:
    """The cell that runs and the request that runs it; None outside a notebook, or where the program does not say."""
    shell: Any = get_ipython()
    request = shell.get_parent() if hasattr(shell, "get_parent") else {}
    cell = request.get("metadata", {}).get("cellId")
    return (cell, request["header"]["msg_id"]) if cell else None
