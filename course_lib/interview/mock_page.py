"""What a mock interview shows: the start page, a question with its marks, the form, the report, and the controls."""

from html import escape

import ipywidgets as widgets

from course_lib.interview.mock_widgets import FormPanel, MarksPanel, bullets_html, page_html, waiting_row
from course_lib.interview.rounds import coding
from course_lib.interview.rounds.clock import say_place, times_left
from course_lib.interview.rounds.log import read_mocks, unfinished
from course_lib.interview.rounds.outcome import outcome
from course_lib.interview.rounds.page import Material, MissingMaterial, page_of
from course_lib.interview.rounds.profile import ALT, draw_profile
from course_lib.interview.rounds.report import as_html, make_report, say_pair, say_past
from course_lib.interview.rounds.script import TITLES, Script
from course_lib.interview.rounds.session import MockSession
from course_lib.interview.rounds.state import FORM, Node, State
from course_lib.interview.rounds.words import REPORT_WORDS, VIEW_WORDS
from course_lib.interview.view import ROW, LiveView, block, lines_html, scrolling
from course_lib.learner.store import ReviewStore
from course_lib.lesson.figures import png
from course_lib.lesson.picture import figure_html

HEIGHT = "min(20em, 36vh)"  # of a question with what is revealed, so that its marks below stay in reach
BUTTONS = ("start", "reveal", "check", "hand_in", "next", "pause", "leave", "end")


class MockPage(LiveView):
    """The widgets of a mock interview. What they do is defined by MockView."""

    def __init__(self, store: ReviewStore, script: Script, language: str, material: Material) -> None:
        super().__init__(language)
        self.store, self.script, self.material = store, script, material
        self.session: MockSession | None = None
        self.node: Node | None = None  # what is on the screen
        self.place, self.tries, self.page = widgets.HTML(), widgets.HTML(), widgets.HTMLMath()
        self.buttons = {name: self._button(name) for name in BUTTONS}
        for name in ("start", "reveal", "next"):
            self.buttons[name].button_style = "primary"
        self.answer = self.text_box("answer", layout={"width": "16em"})
        self.marks = MarksPanel(lambda: self.attempt(self.put_down_marks, draw=False))
        self.form = FormPanel(
            self.text_box, own=lambda: self.attempt(self.send_own), tiny=lambda: self.attempt(self.send_tiny)
        )
        self.waiting = widgets.VBox()
        head = widgets.HBox([self.place, self.keys], layout=ROW)
        bar = widgets.HBox([self.answer, *self.buttons.values(), self.language], layout=ROW)
        parts = [head, bar, self.notice, self.waiting, self.page, self.tries, self.marks.widget, self.form.widget]
        self.widget.children = parts

    @property
    def state(self) -> State | None:
        """Where the interview is; None before it has begun."""
        return self.session.state if self.session else None

    def offers(self, name: str) -> bool:
        """Whether a button can be pressed now."""
        return self.buttons[name].layout.display != "none" and not self.buttons[name].disabled

    def appear(self) -> None:
        """Show what was typed, and the times anew."""
        super().appear()
        self._draw_head()

    def notice_html(self) -> str:
        """What went wrong, and what became of a damaged file."""
        return lines_html([text for text in (self.trouble, self.store.notice) if text])

    def static_html(self) -> str:
        """What a reader without a kernel sees: what the interview would ask, and that nothing is lost."""
        words = VIEW_WORDS[self.language.value]
        return f"<p><b>{words['title']}</b> · {words['kept']}</p>{self._start_page(self.language.value)}"

    def draw(self) -> None:
        """Put the state into the widgets."""
        language, state = self.language.value, self.state
        self._enter(state)
        self.waiting.children = [] if state else self._waiting(language)
        self.form.widget.layout.display, self.tries.value = "none", ""
        if state is None:
            self.page.value = block(self._start_page(language))
        elif state.status == "paused":
            self.page.value = block(f"<p>{VIEW_WORDS[language]['paused']}</p>")
        elif state.current is None:
            self.page.value = block(self._report(language))
        else:
            self._draw_node(language)
        if not self._marking():
            self.marks.clear()
        self.draw_controls()

    def _enter(self, state: State | None) -> None:
        """At another question: the boxes get what was put down there, and nothing of the one before."""
        node = state.current if state else None
        if node == self.node:
            return
        self.node = node
        self.marks.clear()
        self.write("answer", state.fact.draft.get("text", "") if node else "")
        if node == FORM:
            for name, text in self.session.begun_form().items():
                self.write(name, text)

    def _draw_node(self, language: str) -> None:
        state, words = self.state, VIEW_WORDS[language]
        node, fact = state.current, state.fact
        try:
            page = page_of(self.material, state, node, language)
        except MissingMaterial as error:
            self.page.value = block(f"<p>{escape(str(error))}</p>")
            return
        advice = {"form": "", "sum": ""}.get(node.step, words["think"])
        if node.step == "code":
            advice = words["code"].format("".join(coding.signature(self.material.exercise(node.item))))
        html = page_html(page, language, revealed=fact.revealed, advice=advice)
        self.page.value = scrolling(html, language, HEIGHT)
        lines = [each["line"] if node.step == "code" else each["message"][language == "zh"] for each in fact.tries]
        if node.step in ("sum", "code") and fact.revealed:
            lines.append(words["judged"].format(self.session.judged_mark()))
        if self._marking():
            lines.append(words["rate"])
        self.tries.value = block(lines_html(lines))
        if self._marking():
            self.marks.ask(page.dimensions, language, fact.draft.get("marks", {}))
        if node.step == "form":
            self.form.draw(language)
            self.form.widget.layout.display = ""

    def _report(self, language: str) -> str:
        mocks, notes = read_mocks(self.store)
        report = as_html(make_report(self.session.mock, mocks, self.material, language))
        return lines_html(notes) + report + figure_html(png(draw_profile(outcome(self.state))[0]), ALT)

    def draw_controls(self) -> None:
        """Buttons, keys and times."""
        words, state = VIEW_WORDS[self.language.value], self.state
        node = state.current if state else None
        asked = node is not None and state.status == "running"
        revealed = asked and state.fact.revealed
        judged = asked and node.step in ("sum", "code")
        shown = {
            "start": state is None,
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
        if state is not None and state.status == "paused":
            self.buttons["pause"].description = words["go_on"]
        if judged and node.step == "sum":
            self.buttons["hand_in"].description = words["give_up"]
        self.buttons["next"].disabled = bool(self._marking() and not self.marks.complete)
        self.answer.layout.display = "" if shown["check"] and node.step == "sum" else "none"
        self.answer.placeholder = self.answer.tooltip = words["sum"]
        self._draw_head()

    def _draw_head(self) -> None:
        language, state = self.language.value, self.state
        words = VIEW_WORDS[language]["keys"]
        self.place.value = f"<b>{say_place(state, language)}</b>" if state else ""
        self.keys.run(times_left(state, self.session.clock(), language) if state else [])
        if self._marking() and not self.marks.complete:
            self.keys.offer(["0", "1", "2", "Backspace"], words["mark"])
        elif self.offers("reveal"):
            self.keys.offer(" ", words["reveal"])
        elif self.offers("next"):
            self.keys.offer([" ", "Backspace"], words["next"])
        else:
            self.keys.offer([], "")

    def _start_page(self, language: str) -> str:
        words, script = VIEW_WORDS[language], self.script
        spans = {each.kind: f"{each.minutes} {words['minutes']}" for each in script.rounds}
        rows = [say_pair(TITLES[kind][language], span, language) for kind, span in spans.items()]
        past = [say_past(mock, language) for mock in read_mocks(self.store)[0]]
        earlier = f"<p>{REPORT_WORDS[language]['past']}</p>{bullets_html(past)}" if past else ""
        chosen = escape(say_pair(words["choice"], script.why[language], language))
        return f"{bullets_html(rows)}<p>{words['rules']}</p><p>{chosen}</p>{earlier}"

    def _waiting(self, language: str) -> list[widgets.HBox]:
        calls = {
            "resume": lambda id: self.attempt(self.take_up, id),
            "drop": lambda id: self.attempt(self.drop, id),
        }
        return [waiting_row(mock, language, **calls) for mock in unfinished(self.store)]

    def _marking(self) -> bool:
        state = self.state
        if state is None or state.current is None or state.status != "running":
            return False
        return state.fact.revealed and state.current.step not in ("sum", "code", "form")

    def _button(self, name: str) -> widgets.Button:
        button = widgets.Button(layout={"width": "auto"})
        button.on_click(lambda _: self.attempt(self.press, name))
        return button
