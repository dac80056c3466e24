"""The mock interview in a notebook: what the learner does, and how it reaches the session.

Whatever is put down is on disk at once: marks as they are given, text a second after the last stroke, code when its
cell has run, so that a view may go away at any moment. What is on the screen is drawn by mock_page.py.
"""

from collections.abc import Callable
from typing import Any

from IPython import get_ipython

from course_lib.interview.keys import ENTER
from course_lib.interview.mock_page import MockPage
from course_lib.interview.rounds import coding
from course_lib.interview.rounds.page import Material, MissingMaterial
from course_lib.interview.rounds.project import FIELDS, TINY_VLM
from course_lib.interview.rounds.script import Script
from course_lib.interview.rounds.session import MockSession, NotNow, resume, start
from course_lib.interview.rounds.state import FORM
from course_lib.learner.store import ReviewStore, StaleMock, StoreError
from course_lib.lesson.exercises import Verdict


class MockView(MockPage):
    """A mock interview; `widget` is what to display.

    names: the namespace in which the learner defines functions, by default the notebook's.
    """

    reports = (NotNow, StaleMock, StoreError, MissingMaterial, ValueError)

    def __init__(
        self,
        store: ReviewStore,
        script: Script,
        language: str = "en",
        *,
        material: Material | None = None,
        names: Callable[[], dict[str, object]] = lambda: getattr(get_ipython(), "user_ns", {}),
    ) -> None:
        super().__init__(store, script, language, material or Material())
        self.names, self.shell = names, None
        self.attempt()

    def watch(self, shell: Any) -> None:
        """Look after every cell that runs whether it defined the function that is asked for. shell: IPython's."""
        self.shell = shell
        shell.events.register("post_run_cell", self._after_cell)

    def retire(self) -> None:
        """Say that the view is over, and watch no more."""
        super().retire()
        if self.shell is not None:
            self.shell.events.unregister("post_run_cell", self._after_cell)

    # --- what the learner does --------------------------------------------------------------------------------------

    def press(self, name: str) -> None:
        """What a button does depends on where the interview is."""
        state = self.state
        step = state.current.step if state and state.current else ""
        self.put_down_code()
        if name == "start" and state is None:
            self.session = start(self.store, self.script, self.language.value, material=self.material)
        elif state is None:
            return  # a stale click, and so is whatever falls through below
        elif name == "pause":
            self.session.go_on() if state.status == "paused" else self.session.pause()
        elif name == "check" and step == "sum":
            self._answer()
        elif name == "check" and step == "code":
            self._run()
        elif name == "hand_in" and step == "code" and self._unjudged():
            self._run()  # what is handed in is what stands there now
            self.session.hand_in()
        elif name == "next" and step in ("sum", "code"):
            self.session.go_on_judged()
        elif name == "next":
            self.session.rate(self.marks.given())
        elif name != "check":
            getattr(self.session, name)()

    def press_key(self, key: str) -> None:
        """Space reveals and goes on; 0, 1 and 2 mark row by row; Enter checks a sum."""
        if key == ENTER:
            if self.node is not None and self.node.step == "sum":
                self.press("check")
        elif key == " ":
            for name in [each for each in ("reveal", "next") if self.offers(each)][:1]:
                self.press(name)
        elif key == "Backspace":
            self.marks.take_back()
        else:
            self.marks.mark_next(int(key))

    def take_up(self, id: str) -> None:
        """Resume an unfinished interview."""
        self.session = resume(self.store, id, material=self.material)

    def drop(self, id: str) -> None:
        """Drop an unfinished interview."""
        MockSession(self.store, id, material=self.material).drop()

    def send_own(self) -> None:
        """Defend the project of the form."""
        if self.session is not None:
            self.session.fill({name: self.texts[name] for name in FIELDS})

    def send_tiny(self) -> None:
        """Defend the course's model."""
        if self.session is not None:
            self.session.fill({"project": TINY_VLM})

    # --- what is kept of it at once ---------------------------------------------------------------------------------

    def put_down(self) -> None:
        """Keep the text of the question that is on the screen, wherever the interview is by now."""
        if self.session is None or self.node is None:
            return
        if self.node == FORM:
            self.session.draft({name: self.texts[name] for name in FIELDS}, FORM)
        elif self.node.step == "sum":
            self.session.draft({"text": self.texts["answer"]}, self.node)

    def put_down_marks(self) -> None:
        """Keep the marks given so far."""
        if self.session is not None and self.node is not None:
            self.session.draft({"marks": self.marks.given()}, self.node)
        self.draw_controls()

    def put_down_code(self) -> None:
        """Keep the function as its cell defines it now."""
        if self._coding() and self._code() and self._unjudged():
            self.session.draft({"code": self._code()}, self.node)

    def _after_cell(self, _result: object) -> None:
        self.attempt(self.put_down_code, draw=False)

    def _coding(self) -> bool:
        """Whether a function is being written that the course still has tests for."""
        node, state = self.node, self.state
        asked = node is not None and node.step == "code" and node.item in self.material.exercises
        return asked and state.current == node and not state.fact.revealed

    def _code(self) -> str:
        return coding.written(self.material.exercise(self.node.item), self.names())

    def _unjudged(self) -> bool:
        """Whether there is a function that the checker has not seen."""
        tries, code = self.state.fact.tries, self._code()
        if code:
            return not tries or tries[-1].get("code") != code
        name, _ = coding.signature(self.material.exercise(self.node.item))
        return not tries and callable(self.names().get(name))

    def _answer(self) -> None:
        """One text is one try, however often it is sent."""
        tries, text = self.session.state.fact.tries, self.texts["answer"]
        if not tries or tries[-1]["text"] != text:
            self.session.answer(text)

    def _run(self) -> None:
        exercise = self.material.exercise(self.session.state.current.item)
        try:
            verdict = coding.judge_name(exercise, self.names())
        except KeyboardInterrupt:
            verdict = Verdict(False, f"✗ {exercise.id}  the tests were interrupted: is there a loop without an end?")
        self.session.run(verdict, self._code())
