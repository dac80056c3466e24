"""Nothing that was put down in a mock interview is lost: every stage of it, times every way of leaving."""

import functools
from datetime import UTC, datetime, timedelta
from html import escape

import pytest

from course_lib.interview.questions import load_questions
from course_lib.interview.rounds import choice, coding
from course_lib.interview.rounds.log import last_form, read_mocks
from course_lib.interview.rounds.outcome import outcome, weak_questions
from course_lib.interview.rounds.page import Material
from course_lib.interview.rounds.project import FIELDS
from course_lib.interview.rounds.report import as_html, as_markdown, as_text, make_report
from course_lib.interview.rounds.rubric import Points
from course_lib.interview.rounds.session import MockSession, resume, start
from course_lib.interview.rounds.state import FORM, Node
from course_lib.interview.schedule import cards_of
from course_lib.learner.store import ReviewStore
from course_lib.lesson.exercises import Verdict

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
CODE = "def fuse(image, text):\n    return (image + text) / 2  # `half` of <both>"
NOTES = dict.fromkeys(FIELDS, "") | {"what": "captions for shoes", "data": "9,000 photos"}
EMPTY = dict.fromkeys(FIELDS, "")
bank = functools.cache(load_questions)
exercises = functools.cache(coding.load_exercises)


class Clock:
    """Seven seconds pass at every look."""

    now = START

    def __call__(self):
        self.now += timedelta(seconds=7)
        return self.now


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """Begins an interview and brings it to a round."""
    monkeypatch.setattr(choice, "load_exercises", exercises)
    monkeypatch.setattr(Material, "bank", {each.id: each for each in bank()})
    monkeypatch.setattr(Material, "exercises", exercises())
    store = ReviewStore(tmp_path)
    asked = {"minutes": 45, "focus": "07", "level": None, "seed": 3, "now": START}
    script = choice.write_script(cards_of(bank(), []), **asked)

    def to(kind):
        session = start(store, script, "en", clock=Clock())
        while session.state.current.round != kind:
            session.leave()
        return session

    return to


# --- the stages: what is put down, the points that it is worth, what the report quotes --------------------------------


def opening_half_marked(begin):
    session = begin("opening")
    session.reveal()
    session.draft({"marks": {"limits": 2}})
    return session, Points(2, 2), ()


def question_marked_and_not_sent(begin):
    session = begin("depth")
    session.reveal()
    session.draft({"marks": {"definition": 0}})
    session.draft({"marks": dict.fromkeys(session.dimensions, 1)})
    return session, Points(len(session.dimensions), 2 * len(session.dimensions)), ()


def follow_up_half_marked(begin):
    session = begin("depth")
    session.reveal()
    marks = dict.fromkeys(session.dimensions, 0)
    session.rate(marks)
    session.reveal()
    session.draft({"marks": dict.fromkeys(session.dimensions, 1)})
    return session, Points(1, 2 * len(marks) + 2), ()


def question_seen_only(begin):
    session = begin("depth")
    session.reveal()
    return session, Points(0, 0), ()


def sum_typed(begin):
    session = begin("arithmetic")
    session.draft({"text": "12"})
    session.draft({"text": "12 GB"})
    return session, Points(0, 0), ("written, not handed in", "12 GB")


def sum_not_understood(begin):
    session = begin("arithmetic")
    session.answer("very many")
    return session, Points(0, 0), ("very many",)


def sum_wrong_and_typed_again(begin):
    session = begin("arithmetic")
    verdict = session.answer("3")
    session.draft({"text": "4 GB or 5 GB"})
    return session, Points(0, 2), ("3", verdict.message.en, "4 GB or 5 GB", "written, not handed in")


def sum_near(begin):
    session = begin("arithmetic")
    problem = session.material.problem(session.state.current.item)
    session.answer(problem.said(problem.near_misses[0].value))
    return session, Points(1, 2), (problem.near_misses[0].why.en,)


def sum_given_up(begin):
    session = begin("arithmetic")
    session.hand_in()
    return session, Points(0, 2), ()


def code_defined(begin):
    session = begin("coding")
    session.draft({"code": CODE})
    return session, Points(0, 0), (CODE, "written, not handed in")


def code_checked_before_it_was_there(begin):
    session = begin("coding")
    session.run(Verdict(False, "○ 07.1 fuse  no function fuse yet"))
    return session, Points(0, 0), ("no function fuse yet",)


def code_checked(begin):
    session = begin("coding")
    session.run(Verdict(True, "✓ 07.1 fuse  passed"), CODE)
    return session, Points(2, 2), (CODE, "passed")


def code_checked_and_changed(begin):
    session = begin("coding")
    session.run(Verdict(True, "✓ 07.1 fuse  passed"), CODE)
    session.run(Verdict(False, "✗ 07.1 fuse  stage 1 of 3: worse"), "def fuse(): 1 / 0")
    session.draft({"code": "def fuse(): ..."})
    return session, Points(2, 2), (CODE, "passed", "def fuse(): ...", "written, not handed in")


def code_handed_in(begin):
    session = begin("coding")
    session.run(Verdict(False, "✗ 07.1 fuse  stage 2 of 3: the mean"), CODE)
    session.hand_in()
    return session, Points(1, 2), (CODE, "stage 2 of 3")


def form_begun(begin):
    session = begin("project")
    session.draft(EMPTY | {"what": "captions"})
    session.draft(NOTES)
    return session, Points(0, 0), ("what: captions for shoes", "data: 9,000 photos", "written, not handed in")


def form_sent(begin):
    session = begin("project")
    session.fill(NOTES)
    return session, Points(0, 0), ("what: captions for shoes", "data: 9,000 photos", "handed in")


def form_begun_and_the_tiny_vlm_chosen(begin):
    session = begin("project")
    session.draft(NOTES)
    session.fill({"project": "tiny_vlm"})
    session.reveal()
    session.draft({"marks": {session.dimensions[0]: 2}})
    return session, Points(2, 2), ("data: 9,000 photos", "written, not handed in")


STAGES = (
    opening_half_marked,
    question_marked_and_not_sent,
    follow_up_half_marked,
    question_seen_only,
    sum_typed,
    sum_not_understood,
    sum_wrong_and_typed_again,
    sum_near,
    sum_given_up,
    code_defined,
    code_checked_before_it_was_there,
    code_checked,
    code_checked_and_changed,
    code_handed_in,
    form_begun,
    form_sent,
    form_begun_and_the_tiny_vlm_chosen,
)


# --- the ways of leaving ----------------------------------------------------------------------------------------------


def end(session):
    session.end()


def next_round(session):
    session.leave()


def pause_and_end(session):
    session.pause()
    session.end()


def nothing_more(_session):
    """The kernel is killed and nobody comes back."""


def killed_resumed_and_ended(session):
    resume(ReviewStore(session.store.path.parent), session.id, clock=session.clock).end()


def ended_in_another_window(session):
    MockSession(session.store, session.id, clock=session.clock).end()


def drop(session):
    session.drop()


WAYS = (end, next_round, pause_and_end, nothing_more, killed_resumed_and_ended, ended_in_another_window, drop)


@pytest.mark.parametrize("leave", WAYS)
@pytest.mark.parametrize("stage", STAGES)
def test_what_was_put_down_counts_and_is_in_the_report_however_one_leaves(begin, stage, leave):
    session, points, quoted = stage(begin)
    leave(session)
    (mock,), _ = read_mocks(ReviewStore(session.store.path.parent))
    assert outcome(mock.state).points == points
    for language in ("en", "zh"):
        report = make_report(mock, [mock], Material(), language)
        text, markdown, html = as_text(report), as_markdown(report), as_html(report)
        assert f"{points.earned} of {points.possible} points" in text or language == "zh"
        for words in quoted if language == "en" else ():
            for line in words.splitlines():
                assert line in text and line in markdown and escape(line) in html
    assert html.count("<pre") == html.count("</pre>") and "<both>" not in html


@pytest.mark.parametrize("stage", STAGES)
def test_whoever_resumes_finds_it_where_it_was(begin, stage):
    session, *_ = stage(begin)
    again = resume(ReviewStore(session.store.path.parent), session.id, clock=session.clock)
    assert again.state.current == session.state.current and again.state.fact == session.state.fact
    assert again.begun_form() == session.begun_form()


def test_notes_put_down_begin_the_next_interviews_form(begin):
    form_begun(begin)[0].end()
    assert begin("project").begun_form() == NOTES


def test_what_comes_late_from_a_window_left_behind_is_kept_and_moves_nothing(begin):
    behind = begin("project")
    ahead = MockSession(behind.store, behind.id, clock=behind.clock)
    ahead.fill({"project": "tiny_vlm"})
    behind.draft(NOTES, FORM)
    assert behind.state.current == ahead.state.current != FORM
    ahead = MockSession(behind.store, behind.id, clock=behind.clock)
    ahead.end()
    behind.draft(NOTES | {"cost": "3 days"}, FORM)
    assert behind.state.status == "ended" and behind.state.current is None
    assert last_form(behind.store)["cost"] == "3 days"


def test_the_same_draft_again_writes_nothing(begin):
    session = begin("arithmetic")
    for text in ("1", "1", "12", "12"):
        session.draft({"text": text})
    events = [each.content for each in session.store.mock_events(session.id)[session.id]]
    assert sum("draft" in each for each in events) == 2


def test_a_weak_answer_goes_to_the_drill_though_next_was_never_pressed(begin):
    session = begin("depth")
    session.reveal()
    session.draft({"marks": {"limits": 0}})
    asked = session.state.current.item
    session.end()
    assert weak_questions(session.state) == {asked: ("limits",)}
    assert [each.question for each in session.store.requests()] == [asked]


def test_typing_counts_as_time_and_not_as_an_interruption(begin):
    session = begin("arithmetic")
    session.clock.now += timedelta(seconds=100)
    session.draft({"text": "1"})
    gone = session.clock.now + timedelta(hours=5)
    again = resume(session.store, session.id, clock=lambda: gone)
    assert again.state.used > 100 and again.state.used < 200 and again.state.interruptions == 1


def test_an_old_log_without_code_and_drafts_still_gives_its_points(begin):
    session = begin("coding")
    session._record("run", {"line": "✓ 07.1 fuse  passed", "passed": True, "mark": 2})
    session.end()
    assert outcome(session.state).points == Points(2, 2)
    assert "passed" in as_text(make_report(session.mock, [session.mock], Material()))
    assert session.state.facts[Node("coding", session.state.script.rounds[3].items[0], "code")].draft == {}
