"""Pieces of the mock interview's view: a page as HTML, the marks, the project form."""

import re
from collections.abc import Callable, Mapping
from html import escape

import ipywidgets as widgets

from course_lib.interview.answer import WORDS, Line, cite, in_brackets
from course_lib.interview.links import anchor
from course_lib.interview.rounds.log import Mock
from course_lib.interview.rounds.page import Page
from course_lib.interview.rounds.project import FIELDS, field
from course_lib.interview.rounds.report import CODE_STYLE, said_date, say_pair
from course_lib.interview.rounds.rubric import DIMENSIONS, MARKS
from course_lib.interview.rounds.words import VIEW_WORDS
from course_lib.interview.stopwatch import say_seconds
from course_lib.interview.view import ROW, block

_NAME, _EARNS = {"flex": "0 0 7em"}, {"flex": "1 1 0", "min_width": "0"}  # a long text wraps beside its buttons
_TITLE = 'style="margin:1em 0 .3em;color:var(--jp-ui-font-color2);border-bottom:1px solid var(--jp-border-color2)"'


def page_html(page: Page, language: str, *, revealed: bool, advice: str = "") -> str:
    """The question, and below it what is revealed or else what to do."""
    lead = f'<p style="color:var(--jp-ui-font-color2)">{escape(page.lead)}</p>' if page.lead else ""
    parts = [lead, f"<p><b>{code_spans(page.question)}</b></p>"]
    if not revealed:
        return "".join([*parts, f"<p>{escape(advice)}</p>" if advice else ""])
    for title, lines in page.revealed:
        texts = [_line_html(line, language) for line in lines]
        body = "".join(f"<li>{text}</li>" for text in texts)
        parts.append(f"<p {_TITLE}>{escape(title)}</p>")
        parts.append(f"<ul>{body}</ul>" if len(texts) > 1 else f"<p>{texts[0]}</p>")
    return "".join([*parts, f"<pre {CODE_STYLE}>{escape(page.code)}</pre>" if page.code else ""])


def code_spans(text: str) -> str:
    """Escaped, and what stands in backticks as code: tasks and hints of exercises have it."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def bullets_html(lines: list[str]) -> str:
    """A list of short lines."""
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _line_html(line: Line, language: str) -> str:
    lead = f"<b>{escape(line.lead)}</b> " if line.lead else ""
    cited = [cite(each, language) for each in line.evidence]
    links = [anchor(label, url) if url else escape(label) for label, url in cited]
    return f"{lead}{code_spans(line.text)}{in_brackets(links, language)}"


def waiting_row(
    mock: Mock, language: str, *, resume: Callable[[str], None], drop: Callable[[str], None]
) -> widgets.HBox:
    """An unfinished interview with its two buttons; both get its id."""
    words, state = VIEW_WORDS[language], mock.state
    level = WORDS[language][state.script.level]
    about = (said_date(mock), state.script.minutes, level, words["state"][state.status], say_seconds(state.used))
    go, leave = (widgets.Button(description=words[name], layout={"width": "auto"}) for name in ("resume", "drop"))
    go.on_click(lambda _: resume(mock.id))
    leave.on_click(lambda _: drop(mock.id))
    return widgets.HBox([widgets.HTML(block(escape(words["unfinished"].format(*about)))), go, leave], layout=ROW)


class MarksPanel:
    """One row a dimension: its name, 0 1 2, and what earns the points. `changed` is called when the learner marks."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.changed, self.language = changed, "en"
        self.rows: dict[str, widgets.ToggleButtons] = {}
        self.widget = widgets.VBox()

    def ask(self, dimensions: tuple[str, ...], language: str, given: Mapping[str, int]) -> None:
        """Show rows for these dimensions with the marks given so far; the same rows again stay as they are."""
        if (tuple(self.rows), self.language) == (dimensions, language):
            return
        marks, self.language = {**given, **self.given()}, language
        self.rows = {name: self._row(name, marks.get(name)) for name in dimensions}
        self.widget.children = [
            widgets.HBox([*self._texts(name, row)], layout={"align_items": "center"}) for name, row in self.rows.items()
        ]

    def clear(self) -> None:
        """No rows."""
        self.rows, self.widget.children = {}, []

    def given(self) -> dict[str, int]:
        """What was marked so far."""
        return {name: row.value for name, row in self.rows.items() if row.value is not None}

    @property
    def complete(self) -> bool:
        """Whether every row is marked."""
        return len(self.given()) == len(self.rows)

    def mark_next(self, mark: int) -> None:
        """Mark the first row that has none."""
        if not self.complete:
            next(row for row in self.rows.values() if row.value is None).value = mark

    def take_back(self) -> None:
        """Take the last row's mark away."""
        if marked := [row for row in self.rows.values() if row.value is not None]:
            marked[-1].value = None

    def _row(self, name: str, mark: int | None) -> widgets.ToggleButtons:
        title = DIMENSIONS[name].title[self.language]
        row = widgets.ToggleButtons(
            options=[(str(each), each) for each in MARKS],
            tooltips=[say_pair(title, str(each), self.language) for each in MARKS],  # names for who cannot see the row
            value=mark,
            style={"button_width": "2.5em"},
            layout={"flex": "0 0 auto"},
        )
        row.observe(lambda _: self.changed(), "value")
        return row

    def _texts(self, name: str, row: widgets.ToggleButtons) -> tuple[widgets.Widget, ...]:
        title, earns = DIMENSIONS[name].title[self.language], DIMENSIONS[name].earns[self.language]
        return widgets.HTML(f"<b>{title}</b>", layout=_NAME), row, widgets.HTML(block(escape(earns)), layout=_EARNS)


class FormPanel:
    """The lines of the learner's project, and two ways to send: their project or the tiny VLM.

    box: makes a text box of that name.
    """

    def __init__(self, box: Callable[..., widgets.Text], *, own: Callable[[], None], tiny: Callable[[], None]) -> None:
        wide, label = {"width": "38em", "max_width": "calc(100% - 4px)"}, {"description_width": "9em"}
        self.fields = {name: box(name, layout=wide, style=label) for name in FIELDS}
        self.own, self.tiny = (widgets.Button(layout={"width": "auto"}) for _ in range(2))
        self.own.button_style = "primary"
        self.own.on_click(lambda _: own())
        self.tiny.on_click(lambda _: tiny())
        self.advice = widgets.HTML()
        buttons = widgets.HBox([self.own, self.tiny], layout=ROW)
        self.widget = widgets.VBox([self.advice, *self.fields.values(), buttons])

    def draw(self, language: str) -> None:
        """Put the language into the labels."""
        words = VIEW_WORDS[language]
        self.advice.value = block(escape(words["form"]))
        self.own.description, self.tiny.description = words["own"], words["tiny"]
        for name, each in self.fields.items():
            title, hint = field(name)
            each.description, each.placeholder = title[language], hint[language]
