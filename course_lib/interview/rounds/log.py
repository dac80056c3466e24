"""Mock interviews as the log has them: put together from their events, listed, and what was written in them."""

from datetime import datetime
from typing import NamedTuple

from course_lib.interview.rounds.script import read_script
from course_lib.interview.rounds.state import FORM, Fact, State, read_event, replay
from course_lib.learner.store import MockEvent, ReviewStore

CLOSED = ("ended", "dropped")


class Mock(NamedTuple):
    """One mock interview as the log has it."""

    id: str
    started: datetime
    language: str
    state: State
    count: int
    """Number that the next event gets."""


class DamagedMock(ValueError):
    """The first event of a mock interview is lost; its other events stay in the log."""


def read_mock(id: str, rows: list[MockEvent]) -> Mock:
    """Put a mock interview together from its events; DamagedMock where its script is lost."""
    events = [read_event(row.content, row.at) for row in rows]
    if not events or events[0].kind != "start":
        raise DamagedMock(f"mock interview {id}: its first event is lost, so nobody knows what it was to ask")
    first = events[0]
    script = read_script(first.data["script"])
    return Mock(id, first.at, first.data["language"], replay(script, events), rows[-1].number + 1)


def read_mocks(store: ReviewStore) -> tuple[list[Mock], list[str]]:
    """All mock interviews, oldest first, and what is to be said about those that cannot be read."""
    found, damaged = [], []
    for id, rows in store.mock_events().items():
        try:
            found.append(read_mock(id, rows))
        except DamagedMock as error:
            damaged.append(str(error))
    return sorted(found, key=lambda mock: mock.started), damaged


def unfinished(store: ReviewStore) -> list[Mock]:
    """Those that can be resumed or dropped, the latest first."""
    return [mock for mock in read_mocks(store)[0] if mock.state.status not in CLOSED][::-1]


def own_form(state: State) -> dict[str, str]:
    """What the learner wrote about their own project in this interview, handed in or not; empty where nothing."""
    handed_in = state.form if state.form and "what" in state.form else {}
    written = handed_in or state.facts.get(FORM, Fact()).draft
    return written if any(text.strip() for text in written.values()) else {}


def last_form(store: ReviewStore) -> dict[str, str]:
    """What the learner wrote about a project the last time, handed in or not; empty before the first."""
    forms = [form for mock in read_mocks(store)[0] if (form := own_form(mock.state))]
    return forms[-1] if forms else {}
