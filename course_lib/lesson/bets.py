"""Bets: choose an answer before the experiment shows it; the claim that answers it says whether you won.

A bet carries the id of its claim, and only the claim, folded further down, knows which option was right. The first bet
counts and is kept in the learner's log, with how sure it was: someone whose "sure" bets win as rarely as the guesses
knows what to read again.
"""

import re
from html import escape
from typing import NamedTuple

import ipywidgets as widgets
from IPython.display import Markdown, display

from course_lib.learner.log import entries, note
from course_lib.learner.store import StoreError
from course_lib.lesson.live import is_static, publish
from course_lib.lesson.reveal import fold_while
from course_lib.lesson.syllabus import find_lesson

CERTAINTY = ("guess", "sure")
KEPT = {"choice", "right", "won", "sure"}
"""What the log holds of a bet."""
_LETTERS = "ABCDEFGH"
_views: dict[str, "BetView"] = {}
"""Claim id to the bet on it, in this kernel."""


class Record(NamedTuple):
    """Bets placed and won, apart for guesses and for those that were sure."""

    placed: dict[str, int]
    """Keys are CERTAINTY."""
    won: dict[str, int]


def bet(id: str, question: str, options: list[str]) -> None:
    """Ask for a bet that the claim `id` resolves: buttons in a live notebook, a list of the options on a page.

    id: the claim's, "C12.4"; it is called with `answer=`, one of the options.
    question: what will happen, with numbers. options: 2 to 8, different from each other.
    """
    if not 2 <= len(set(options)) == len(options) <= len(_LETTERS):
        raise ValueError(f"bet {id}: options {options!r}; give 2 to {len(_LETTERS)} different ones")
    if is_static():
        display(Markdown(as_markdown(id, question, options)))
        return
    fold_while(lambda: any(view.waiting for view in _views.values()))
    view = _views[id] = BetView(id, question, options)
    publish(view.widget, html=_as_html(id, question, options), text=as_markdown(id, question, options))


def settle(id: str, right: str) -> str:
    """Say which option was right; returns how the learner's bet ended, "" when none was placed.

    Raises ValueError when the bet has no such option.
    """
    view = _views.get(id)
    if view is None:
        return ""  # its cell was not run, or notebooks are being built
    if right not in view.options:
        raise ValueError(f"claim {id}: answer {right!r} is none of the options {view.options}")
    view.right = right
    return view.settle()


def bets(lesson: str) -> None:
    """Say how many of the lesson's bets were won, at its end; with COURSE_STATIC=1 how many there are."""
    there = len(set(re.findall(rf'^bet\(\s*"(C{lesson}\.\w+)"', find_lesson(lesson).source.read_text("utf-8"), re.M)))
    if is_static():
        print(f"{there} bets in this lesson; live in JupyterLab: how many you won, and how sure you were")
        return
    print(say_record(read_record(lesson), there))


def read_record(lesson: str | None = None) -> Record:
    """The learner's first bets, on one lesson ("12") or on all; none where the log cannot be read."""
    first = [kept for id, kept in _first_bets().items() if lesson in (None, id[1:3])]
    sure = {name: [kept for kept in first if kept["sure"] == name] for name in CERTAINTY}
    return Record(
        {name: len(found) for name, found in sure.items()},
        {name: sum(kept["won"] for kept in found) for name, found in sure.items()},
    )


def say_record(record: Record, there: int | None = None) -> str:
    """One line: won of placed, then guesses and sure bets apart. there: how many bets there are to place."""
    placed, won = sum(record.placed.values()), sum(record.won.values())
    if placed == 0:
        return f"no bet placed yet{f', {there} to place' if there else ''}"
    apart = " · ".join(f"{name}: {record.won[name]} of {record.placed[name]}" for name in CERTAINTY)
    return f"bets won: {won} of {placed} placed{f' ({there} in the lesson)' if there else ''} · {apart}"


def as_markdown(id: str, question: str, options: list[str]) -> str:
    """The bet on a page: the question, then a list of lettered options."""
    listed = "\n".join(f"- **{letter}**  {_literal(option)}" for letter, option in zip(_LETTERS, options, strict=False))
    return f"**Bet {id}.** {_literal(question)}\n\n{listed}"


class BetView:
    """The question, two buttons an option, and how the bet stands; `widget` is what to display."""

    def __init__(self, id: str, question: str, options: list[str]) -> None:
        self.id, self.options = id, options
        self.choice: str | None = None
        self.sure: str | None = None
        self.right: str | None = None
        self.kept = _first_bets().get(id)
        self.status = widgets.HTML()
        self.buttons: list[widgets.Button] = []
        rows = [self._row(letter, option) for letter, option in zip(_LETTERS, options, strict=False)]
        self.widget = widgets.VBox([widgets.HTMLMath(f"<b>Bet {id}.</b> {_html(question)}"), *rows, self.status])
        if self.kept is not None:
            self._close(_verdict(self.kept))

    @property
    def waiting(self) -> bool:
        """Whether no bet was placed yet, now or earlier."""
        return self.choice is None and self.kept is None

    def place(self, option: str, sure: str) -> None:
        """Bet on `option`, once. sure: one of CERTAINTY."""
        if self.waiting:
            self.choice, self.sure = option, sure
            self._close(self.settle() or f"You bet “{option}”, {sure}. Run on, and see.")

    def settle(self) -> str:
        """How the bet ended, once it was placed and its claim has run; kept in the log the first time."""
        if self.kept is None and self.choice is not None and self.right is not None:
            won = self.choice == self.right
            self.kept = {"choice": self.choice, "right": self.right, "won": won, "sure": self.sure}
            note("bet", self.id, **self.kept)
            self._close(_verdict(self.kept))
        return _verdict(self.kept) if self.kept is not None else ""

    def _row(self, letter: str, option: str) -> widgets.HBox:
        row = [widgets.HTMLMath(f"<b>{letter}</b>&ensp;{_html(option)}", layout={"flex": "1 1 auto"})]
        for sure in CERTAINTY:
            button = widgets.Button(
                description=f"{letter}, {sure}", tooltip=f"bet on {letter}, {sure}", layout={"width": "6.5em"}
            )
            button.on_click(lambda _, sure=sure: self.place(option, sure))
            self.buttons.append(button)
            row.append(button)
        return widgets.HBox(row, layout={"align_items": "center", "max_width": "46em"})

    def _close(self, status: str) -> None:
        self.status.value = escape(status)
        for button in self.buttons:
            button.disabled = True


def _first_bets() -> dict[str, dict]:
    """Claim id to the first bet on it; a note that lacks something is passed over."""
    try:
        return {each.id: each.detail for each in reversed(entries("bet")) if each.detail.keys() >= KEPT}
    except StoreError:
        return {}  # `note` says why, when there is something to keep


def _verdict(kept: dict) -> str:
    end = "won" if kept["won"] else f"lost, it was “{kept['right']}”"
    return f"You bet “{kept['choice']}”, {kept['sure']}: {end}."


def _as_html(id: str, question: str, options: list[str]) -> str:
    listed = "".join(f"<br><b>{each}</b>&ensp;{_html(text)}" for each, text in zip(_LETTERS, options, strict=False))
    return f"<p><b>Bet {id}.</b> {_html(question)}{listed}</p>"  # no <ol type="A">: JupyterLab numbers it 1, 2, 3


def _literal(text: str) -> str:
    """Markdown in which "<bos>" opens no tag; formulas and what stands in backticks need no escape."""
    return re.sub(r"(`[^`]+`|\$[^$]+\$)|<", lambda found: found[1] or r"\<", text)


def _html(text: str) -> str:
    """Escaped, and what stands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
