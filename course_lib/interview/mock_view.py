"""The widgets of the mock interview: the start page, a question with its marks, the report."""

import time
from collections.abc import Callable
from html import escape

import ipywidgets as widgets
from IPython import get_ipython

from course_lib.interview.mock_widgets import (
    OWN_SIZE,
    ROW,
    FormPanel,
    MarksPanel,
    block,
    bullets_html,
    list_html,
    page_html,
    waiting_row,
)
from course_lib.interview.record import LANGUAGES
from course_lib.interview.rounds import coding
from course_lib.interview.rounds.clock import say_clock
from course_lib.interview.rounds.log import read_mocks, unfinished
from course_lib.interview.rounds.outcome import outcome
from course_lib.interview.rounds.page import Material, MissingMaterial, page_of
from course_lib.interview.rounds.profile import draw_profile
from course_lib.interview.rounds.report import as_html, make_report, say_pair, say_past
from course_lib.interview.rounds.script import TITLES, Script
from course_lib.interview.rounds.session import MockSession, NotNow, resume, start
from course_lib.interview.rounds.words import REPORT_WORDS, VIEW_WORDS
from course_lib.learner.store import ReviewStore, StaleMock, StoreError
from course_lib.lesson.figures import png

IDLE = 3 * 3600.0  # seconds without a click after which the clock's display stops; the clock itself goes on


class MockView:
    """A mock interview; `widget` is what to display, `tick` moves the clock's display.

    names: the namespace in which the learner defines functions, by default the notebook's.
    """

    def __init__(
        self,
        store: ReviewStore,
        script: Script,
        language: str = "en",
        *,
        material: Material | None = None,
        names: Callable[[], dict[str, object]] = lambda: getattr(get_ipython(), "user_ns", {}),
    ) -> None:
        self.store, self.script, self.material, self.names = store, script, material or Material(), names
        self.session: MockSession | None = None
        self.error, self.touched = "", time.monotonic()
        self.time, self.notice, self.tries = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.page, self.figure = widgets.HTMLMath(), widgets.Image(format="png", layout=OWN_SIZE)
        self.buttons = {name: self._button(name) for name in ("start", "reveal", "check", "hand_in", "next")}
        self.buttons |= {name: self._button(name) for name in ("pause", "leave", "end")}
        for name in ("start", "reveal", "next"):
            self.buttons[name].button_style = "primary"
        self.answer = widgets.Text(continuous_update=False, layout={"width": "16em"})
        self.answer.observe(lambda change: self.press("check") if change["new"] else None, "value")
        self.marks, self.form = MarksPanel(self._draw_buttons), FormPanel(lambda form: self.do("fill", form))
        options = [(name, code) for code, name in LANGUAGES.items()]
        self.language = widgets.ToggleButtons(options=options, value=language, style={"button_width": "6em"})
        self.language.observe(lambda _: self.draw(), "value")
        self.waiting = widgets.VBox()
        bar = widgets.HBox([self.answer, *self.buttons.values(), self.language], layout=ROW)
        parts = [self.time, bar, self.notice, self.waiting, self.page, self.tries, self.marks.widget, self.form.widget]
        self.widget = widgets.VBox([*parts, self.figure])
        self.draw()

    # --- what the learner does --------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the clock."""
        self._try(lambda: self._take(start(self.store, self.script, self.language.value, material=self.material)))

    def take_up(self, id: str) -> None:
        """Resume an unfinished interview."""
        self._try(lambda: self._take(resume(self.store, id, material=self.material)))

    def drop(self, id: str) -> None:
        """Drop an unfinished interview."""
        self._try(lambda: MockSession(self.store, id, material=self.material).drop())

    def do(self, what: str, *values: object) -> None:
        """Call a method of the session; what cannot be done stays on the screen with the reason."""
        if self.session is not None:  # else a stale click
            self._try(lambda: getattr(self.session, what)(*values))

    def press(self, name: str) -> None:
        """What a button does depends on where the interview is."""
        state = self.session.state if self.session else None
        step = state.current.step if state and state.current else ""
        if name == "start":
            self.begin()
        elif name == "pause":
            self.do("go_on" if state and state.status == "paused" else "pause")
        elif name == "check" and step == "sum":
            tries = state.fact.tries  # Enter, leaving the box and Check come here; one text is one try
            if not tries or tries[-1]["text"] != self.answer.value:
                self.do("answer", self.answer.value)
        elif name == "check" and step == "code":
            self._try(lambda: self.session.run(coding.judge_name(self._exercise(), self.names())))
        elif name == "next" and step in ("sum", "code"):
            self.do("go_on_judged")
        elif name == "next":
            self.do("rate", self.marks.marks() or {})
        elif name != "check":  # that would be a stale click
            self.do(name)

    def tick(self) -> bool:
        """Move the clock's display; False when nothing moves it any more."""
        self._draw_time()
        over = self.session is not None and self.session.state.current is None
        return not over and time.monotonic() - self.touched < IDLE

    # --- what is on the screen --------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Put the state into the widgets."""
        language, session = self.language.value, self.session
        self.notice.value = list_html([text for text in (self.error, self.store.notice) if text])
        self._draw_time()
        self.waiting.children = [] if session else self._waiting(language)
        self.form.widget.layout.display = "none"
        self.tries.value, self.figure.layout.display = "", "none"
        if session is None:
            self.page.value = block(self._start_page(language))
        elif session.state.status == "paused":
            self.page.value = block(f"<p>{VIEW_WORDS[language]['paused']}</p>")
        elif session.state.current is None:
            self._draw_report(language)
        else:
            self._draw_node(language)
        if not self._marking():
            self.marks.clear()
        self._draw_buttons()

    def _draw_node(self, language: str) -> None:
        state, words = self.session.state, VIEW_WORDS[language]
        node, fact = state.current, state.fact
        try:
            page = page_of(self.material, state, node, language)
        except MissingMaterial as error:
            self.page.value = block(f"<p>{escape(str(error))}</p>")
            return
        advice = {"form": "", "sum": ""}.get(node.step, words["think"])
        if node.step == "code":
            advice = words["code"].format("".join(coding.signature(self._exercise())))
        html = page_html(page, language, revealed=fact.revealed, advice=advice)
        self.page.value = block(html + (f"<p>{words['rate']}</p>" if self._marking() else ""))
        lines = [each["line"] if node.step == "code" else each["message"][language == "zh"] for each in fact.tries]
        if node.step in ("sum", "code") and fact.revealed:
            lines.append(words["judged"].format(self.session.judged_mark()))
        self.tries.value = block(list_html(lines))
        if self._marking():
            self.marks.ask(page.dimensions, language)
        if node.step == "form":
            self.form.draw(language)
            self.form.widget.layout.display = ""

    def _draw_report(self, language: str) -> None:
        mocks, notes = read_mocks(self.store)
        self.page.value = block(
            list_html(notes) + as_html(make_report(self.session.mock, mocks, self.material, language))
        )
        self.figure.value = png(draw_profile(outcome(self.session.state))[0])
        self.figure.layout.display = ""

    def _draw_buttons(self) -> None:
        words, session = VIEW_WORDS[self.language.value], self.session
        state = session.state if session else None
        node = state.current if state else None
        asked = node is not None and state.status == "running"
        revealed = asked and state.fact.revealed
        judged = asked and node.step in ("sum", "code")
        shown = {
            "start": session is None,
            "reveal": asked and not revealed and not judged and node.step != "form",
            "check": judged and not revealed,
            "hand_in": judged and not revealed,
            "next": revealed and node.step != "form",
            "pause": node is not None,
            "leave": asked,
            "end": node is not None,
        }
        for name, button in self.buttons.items():
            button.layout.display = "" if shown[name] else "none"
            button.description = words[name]
        paused = state is not None and state.status == "paused"
        self.buttons["pause"].description = words["go_on" if paused else "pause"]
        if asked and node.step == "sum":
            self.buttons["hand_in"].description = words["give_up"]
        self.buttons["next"].disabled = bool(self._marking() and self.marks.marks() is None)
        self.answer.layout.display = "" if shown["check"] and node.step == "sum" else "none"
        self.answer.placeholder = words["sum"]

    def _draw_time(self) -> None:
        place, times = "", ""
        if self.session is not None:
            place, times = say_clock(self.session.state, self.session.clock(), self.language.value)
        self.time.value = f"<b>{place}</b> · {times}" if place else ""

    def _start_page(self, language: str) -> str:
        words, script = VIEW_WORDS[language], self.script
        spans = {each.kind: f"{each.minutes} {words['minutes']}" for each in script.rounds}
        rows = [say_pair(TITLES[kind][language], span, language) for kind, span in spans.items()]
        past = [say_past(mock, language) for mock in read_mocks(self.store)[0]]
        earlier = f"<p>{REPORT_WORDS[language]['past']}</p>{bullets_html(past)}" if past else ""
        chosen = escape(say_pair(words["choice"], script.why[language], language))
        return f"{bullets_html(rows)}<p>{words['rules']}</p><p>{chosen}</p>{earlier}"

    def _waiting(self, language: str) -> list[widgets.HBox]:
        mocks = unfinished(self.store)
        return [waiting_row(mock, language, resume=self.take_up, drop=self.drop) for mock in mocks]

    def _marking(self) -> bool:
        state = self.session.state if self.session else None
        if state is None or state.current is None or state.status != "running":
            return False
        return state.fact.revealed and state.current.step not in ("sum", "code", "form")

    def _exercise(self) -> coding.Exercise:
        return self.material.exercise(self.session.state.current.item)

    def _take(self, session: MockSession) -> None:
        self.session = session
        self.form.fill(session.begun_form())

    def _try(self, action: Callable[[], object]) -> None:
        before = self.session.state.current if self.session else None
        self.error, self.touched = "", time.monotonic()
        try:
            action()
        except (NotNow, StaleMock, StoreError, MissingMaterial, ValueError) as error:
            self.error = str(error)
        if self.session is not None and self.session.state.current != before:
            self.answer.value = ""
            self.marks.clear()
        self.draw()

    def _button(self, name: str) -> widgets.Button:
        button = widgets.Button(layout={"width": "auto"})
        button.on_click(lambda _: self.press(name))
        return button
