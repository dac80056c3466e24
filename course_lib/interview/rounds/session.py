"""One mock interview in the log: started, continued after a restart, finished. Every event is on disk before it counts.

    session = start(store, script, "en")        the clock runs from here
    session = resume(store, id)                 after a pause, a restarted kernel, a killed terminal
    session.reveal(); session.rate({"definition": 2, "mechanism": 1})

The notebook's view and the terminal use the same sessions.
"""

import secrets
from collections.abc import Callable
from datetime import datetime

from course_lib.interview.rounds import coding
from course_lib.interview.rounds.log import CLOSED, last_form, own_form, read_mock, unfinished
from course_lib.interview.rounds.outcome import judged_mark, weak_questions
from course_lib.interview.rounds.page import Material, dimensions_at
from course_lib.interview.rounds.project import check_form
from course_lib.interview.rounds.rubric import JUDGED, check_marks
from course_lib.interview.rounds.script import Script
from course_lib.interview.rounds.state import Event, Fact, Node, State
from course_lib.interview.sums.verdict import Verdict, judge_answer
from course_lib.learner.clock import utc_now
from course_lib.learner.store import MockEvent, ReviewStore, StaleMock, add_to_drill
from course_lib.lesson.exercises import Verdict as CodeVerdict

ATTEMPTS = 2  # answers to a sum that could be read


class NotNow(ValueError):
    """The interview is not at the point where this could be done; nothing was recorded."""


class MockSession:
    """A mock interview that goes on. `state` says where it is; each method records one event or raises.

    Raises NotNow for what does not fit the state, StaleMock when another window has continued the same interview (the
    state is then read anew), StoreError when nothing can be written.
    """

    def __init__(
        self, store: ReviewStore, id: str, *, material: Material | None = None, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self.store, self.id, self.clock = store, id, clock
        self.material = material or Material()
        self._read()

    @property
    def state(self) -> State:
        """Where the interview is."""
        return self.mock.state

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What is to be marked at the current node."""
        return dimensions_at(self.material, self.state.current)

    def reveal(self) -> None:
        """Show what a good answer holds."""
        self._need(not self.state.fact.revealed and self._step not in (*JUDGED, "form"), "nothing to reveal here")
        self._record("reveal")

    def rate(self, marks: dict[str, int]) -> None:
        """Mark the revealed answer and go on to what these marks lead to."""
        self._need(self.state.fact.revealed and self._step not in (*JUDGED, "form"), "reveal the key points first")
        check_marks(marks, self.dimensions)
        self._record("rate", {"marks": marks})

    def answer(self, text: str) -> Verdict:
        """Judge an answer to the sum; after the right one, or the second that could be read, the steps are shown."""
        self._need(self._step == "sum" and not self.state.fact.revealed, "no sum is asked")
        verdict = judge_answer(self.material.problem(self.state.current.item), text)
        near = verdict.near_miss
        kept = {"text": text, "understood": verdict.understood, "correct": verdict.correct, "near_miss": near}
        self._record("answer", kept | {"message": [verdict.message.en, verdict.message.zh]})
        if verdict.correct or sum(each["understood"] for each in self.state.fact.tries) >= ATTEMPTS:
            self._record("reveal")
        return verdict

    def run(self, verdict: CodeVerdict, code: str = "") -> None:
        """Record what the checker said to the learner's function, and its source for the report."""
        self._need(self._step == "code" and not self.state.fact.revealed, "no code is asked")
        self._record("run", coding.as_try(verdict, code))

    def draft(self, data: dict, node: Node | None = None) -> None:
        """Keep what is put down and not handed in, as `Fact.draft` has it; the latest draft of a node counts.

        node: where it was written, by default the current one. It is kept whatever has happened since, also in another
        window or after the end, and moves nothing. The same again is not recorded.
        """
        node = node or self.state.current
        if node is None or data == self.state.facts.get(node, Fact()).draft:
            return
        try:
            self._record("draft", data, node=node)
        except StaleMock:  # the log has been read again
            self._record("draft", data, node=node)

    def hand_in(self) -> None:
        """End the sum or the code as it is, and show the solution."""
        self._need(self._step in JUDGED and not self.state.fact.revealed, "nothing to hand in")
        self._record("reveal")

    def go_on_judged(self) -> None:
        """Take the checker's mark and go on."""
        self._need(self._step in JUDGED and self.state.fact.revealed, "hand it in first")
        self._record("rate", {"marks": {self.dimensions[0]: self.judged_mark()}})

    def judged_mark(self) -> int:
        """What the checker gives for the sum or the code as it is."""
        return judged_mark(self._step, self.state.fact.tries)

    def begun_form(self) -> dict[str, str]:
        """What to begin the form with: what was written in this interview, else the last time."""
        return own_form(self.state) or last_form(self.store)

    def fill(self, form: dict[str, str]) -> None:
        """Say which project is defended."""
        self._need(self._step == "form", "no form is asked for")
        check_form(form)
        self._record("form", form)

    def leave(self) -> None:
        """End the round; what it has not asked is reported as not reached."""
        self._need(self.state.current is not None, "no round is open")
        self._record("leave")

    def pause(self) -> None:
        """Stop the clock."""
        self._need(self.state.current is not None, "no round is open")
        self._record("pause", node=False)

    def go_on(self) -> None:
        """Let the clock run again."""
        self._need(self.state.status == "paused", "it is not paused", paused=True)
        self._record("go_on", node=False)

    def end(self) -> None:
        """Close the interview, early or at its end: weak questions go to the drill, then the end is recorded."""
        self._need(self.state.status not in CLOSED, f"it is {self.state.status}", paused=True)
        asked_for = {(each.question, each.reason) for each in self.store.requests()}
        for id, low in weak_questions(self.state).items():
            reason = f"mock interview of {self.mock.started:%Y-%m-%d}: weak in {', '.join(low)}"
            if (id, reason) not in asked_for:  # a program killed between the two writes comes here twice
                add_to_drill([id], reason, store=self.store)
        self._record("end", node=False)

    def drop(self) -> None:
        """Give the interview up; what was answered stays in the log and in the list."""
        self._need(self.state.status not in CLOSED, f"it is {self.state.status}", paused=True)
        self._record("drop", node=False)

    @property
    def _step(self) -> str:
        return self.state.current.step if self.state.current else ""

    def _need(self, right: bool, why: str, *, paused: bool = False) -> None:
        if self.state.status == "paused" and not paused:
            raise NotNow("the interview is paused; go on first")
        if not right:
            raise NotNow(why)

    def _record(self, kind: str, data: dict | None = None, *, node: Node | bool = True) -> None:
        """node: True for the current one, False for none."""
        where = {True: self.state.current, False: None}.get(node, node)
        event = Event(kind, self.clock(), where, data)
        try:
            self.store.add_mock_event(MockEvent(self.id, self.mock.count, event.at, event.as_json()))
        finally:
            self._read()  # also after StaleMock: show what the other window did
        if self.state.status == "over" and kind != "end":
            self.end()

    def _read(self) -> None:
        self.mock = read_mock(self.id, self.store.mock_events(self.id).get(self.id, []))


def start(
    store: ReviewStore,
    script: Script,
    language: str,
    *,
    material: Material | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> MockSession:
    """Record a new interview; its clock runs from here."""
    now = clock()
    id = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    event = Event("start", now, None, {"script": script.as_json(), "language": language})
    store.add_mock_event(MockEvent(id, 0, now, event.as_json()))
    return MockSession(store, id, material=material, clock=clock)


def resume(
    store: ReviewStore, id: str, *, material: Material | None = None, clock: Callable[[], datetime] = utc_now
) -> MockSession:
    """Go on with an interview at the place where it stands; the time since its last event does not count.

    ValueError for one that is ended or dropped, or that the log does not have.
    """
    if id not in store.mock_events(id):
        raise ValueError(f"no mock interview {id!r}; there are {', '.join(m.id for m in unfinished(store)) or 'none'}")
    session = MockSession(store, id, material=material, clock=clock)
    if session.state.status in CLOSED:
        raise ValueError(f"mock interview {id} is {session.state.status}; start a new one")
    if session.state.status == "over":  # killed between the last mark and the end
        session.end()
    elif session.state.status == "paused":
        session.go_on()
    else:
        session._record("reopen", node=False)
    return session
