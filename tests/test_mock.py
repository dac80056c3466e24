"""A mock interview in the log: chosen, answered, killed, resumed, finished; what the drill and the report get."""

import functools
import math
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch

from course_lib.exercises import lesson_07
from course_lib.interview.questions import load_questions
from course_lib.interview.rounds import choice, coding, tiny_vlm
from course_lib.interview.rounds.choice import DUE, LEVELS, REPORTED, WEAK, weigh, write_script
from course_lib.interview.rounds.log import last_form, read_mocks, unfinished
from course_lib.interview.rounds.outcome import outcome, weak_questions
from course_lib.interview.rounds.page import Material, MissingMaterial, dimensions_at, page_of
from course_lib.interview.rounds.profile import draw_profile
from course_lib.interview.rounds.project import FIELDS, GRILL, TOPICS, check_form
from course_lib.interview.rounds.report import as_html, as_markdown, as_text, make_report
from course_lib.interview.rounds.rubric import DIMENSIONS, Points, dimensions_of
from course_lib.interview.rounds.script import COUNTS, KINDS, MINUTES
from course_lib.interview.rounds.session import MockSession, NotNow, resume, start
from course_lib.interview.rounds.state import Node
from course_lib.interview.rounds.words import PAGE_WORDS, REPORT_WORDS, TERMINAL_WORDS, VIEW_WORDS
from course_lib.interview.schedule import cards_of, queue
from course_lib.learner.store import MockEvent, Request, Review, ReviewStore, StaleMock, StoreError
from course_lib.lesson.exercises import judge

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
bank = functools.cache(load_questions)  # with types checked, reading the bank takes most of a second
exercises = functools.cache(coding.load_exercises)


class Clock:
    """Time that passes when the test says so."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.now += timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def read_once(monkeypatch):
    monkeypatch.setattr(choice, "load_exercises", exercises)


def material():
    found = Material()
    found.__dict__ |= {"bank": {each.id: each for each in bank()}, "exercises": exercises()}
    return found


def script(cards=None, **asked):
    cards = cards_of(bank(), []) if cards is None else cards
    return write_script(cards, **{"minutes": 45, "focus": None, "level": None, "seed": 3, "now": START} | asked)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    return ReviewStore()


@pytest.fixture
def session(store, clock):
    return start(store, script(), "en", material=material(), clock=clock)


def answer(session, mark, seconds=30):
    """Reveal and give every dimension the same mark."""
    session.reveal()
    session.clock.wait(seconds)
    session.rate(dict.fromkeys(session.dimensions, mark))


def to(session, kind):
    while session.state.current.round != kind:
        session.leave()
    return session


# --- the choice ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [30, 45])
@pytest.mark.parametrize("level", [None, *LEVELS])
def test_a_script_fits_its_minutes_and_level(minutes, level):
    for seed in range(8):
        made = script(minutes=minutes, level=level, seed=seed)
        assert sum(each.minutes for each in made.rounds) == minutes
        assert [each.kind for each in made.rounds] == list(KINDS)
        rounds = {each.kind: each for each in made.rounds}
        asked = [material().question(id) for id in rounds["depth"].items]
        assert len(asked) == COUNTS[minutes]["depth"]
        assert {each.depth for each in asked} <= set(LEVELS[level or "onsite"])
        code = exercises()[rounds["coding"].items[0]]
        assert code.minutes <= MINUTES[minutes]["coding"]
        lessons = [each.lesson for each in asked] + [code.id[:2]]
        assert len(set(lessons)) == len(lessons)
        assert sorted(rounds["project"].items) == sorted(TOPICS)
        for text in (made.why.en, made.why.zh):
            assert all(each.id in text for each in asked) and code.id in text and "\n" not in text


def test_the_same_seed_and_reviews_make_the_same_script_and_another_seed_another():
    assert script(seed=11) == script(seed=11)
    assert len({script(seed=seed).as_json() for seed in range(6)}) == 6


def test_a_focus_asks_questions_and_code_of_that_lesson_from_different_sections():
    made = {each.kind: each.items for each in script(focus="07").rounds}
    asked = [material().question(id) for id in made["depth"]]
    assert {each.lesson for each in asked} == {"07"} and len({each.section for each in asked}) == 3
    assert made["coding"][0].startswith("07.")


def test_a_focus_with_few_questions_is_filled_up_from_other_lessons():
    few = [each for each in bank() if each.lesson == "08"][:1]
    others = [each for each in bank() if each.lesson in ("12", "17")]
    made = script(cards_of([*few, *others], []), focus="08")
    asked = [material().question(id).lesson for id in made.rounds[1].items]
    assert sorted(asked) == ["08", "12", "17"]


def test_evidence_weakness_and_being_due_raise_the_chance():
    plain = next(each for each in bank() if each.frequency is None)
    told = next(each for each in bank() if each.frequency is not None)
    again = Review(plain.id, 1, START - timedelta(days=1))
    good = Review(plain.id, 3, START - timedelta(days=30))

    def weight(question, reviews=(), requests=()):
        return weigh(cards_of([question], reviews, requests)[0], START)

    assert weight(plain) == 1.0
    assert weight(told) == REPORTED
    assert weight(plain, [again]) == WEAK
    assert weight(plain, [good]) == DUE
    assert weight(told, [], [Request(told.id, "weak", START)]) == REPORTED * WEAK


def test_a_weak_question_is_drawn_more_often():
    weak = next(each for each in bank() if each.depth == "onsite" and each.frequency is not None)
    plain = cards_of(bank(), [])
    marked = cards_of(bank(), [], [Request(weak.id, "weak", START)])
    drawn = [
        sum(weak.id in script(cards, seed=seed).rounds[1].items for seed in range(60)) for cards in (plain, marked)
    ]
    assert drawn[1] > drawn[0] + 15


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"minutes": 40}, "minutes=40: a mock interview takes 30 or 45 minutes"),
        ({"minutes": True}, "minutes=True"),
        ({"level": "phone"}, "level 'phone' is none of screen, onsite, staff"),
        ({"focus": "7"}, "focus '7' is no lesson; write two digits, '01' to '32'"),
    ],
)
def test_what_no_interview_can_be_made_of_is_refused_with_what_fits(asked, message):
    with pytest.raises(ValueError, match=message):
        script(**asked)


def test_an_empty_selection_says_which_levels_the_lesson_has():
    only_staff = [each for each in bank() if each.lesson == "08" and each.depth == "staff"]
    with pytest.raises(ValueError, match="lesson 08 has no question for level 'screen'; it has some for onsite, staff"):
        script(cards_of(only_staff, []), focus="08", level="screen")
    with pytest.raises(ValueError, match="no question for lesson 07 yet; there are questions for 08"):
        script(cards_of(only_staff, []), focus="07")


# --- pages --------------------------------------------------------------------------------------------------------


def test_every_question_of_the_bank_has_a_page_at_every_step_in_both_languages(session):
    found = material()
    for question in bank():
        applies = dimensions_of(question)
        assert applies[:3] == ("definition", "mechanism", "limits")
        assert ("trade-off" in applies) == (question.depth != "screen")
        for step in ("main", "first", "hard", "refute", *(f"probe:{name}" for name in applies)):
            for language in ("en", "zh"):
                page = page_of(found, session.state, Node("depth", question.id, step), language)
                assert page.question and page.revealed and page.dimensions


def test_a_number_applies_where_the_written_answer_has_one():
    by_id = {each.id: each for each in bank()}
    with_number = [each for each in by_id.values() if "number" in dimensions_of(each)]
    assert 0.6 * len(by_id) < len(with_number) < len(by_id)
    assert "576" in by_id["Q009"].answer.en and "number" in dimensions_of(by_id["Q009"])


def test_follow_ups_come_from_the_record(session):
    question = material().question(session.state.script.rounds[1].items[0])

    def page(step, language="en"):
        return page_of(session.material, session.state, Node("depth", question.id, step), language)

    assert page("first").question == question.follow_ups[0].question.en
    assert page("hard").question == question.follow_ups[-1].question.en
    wrong = question.wrong_answers[3 % len(question.wrong_answers)]  # the seed is 3
    assert wrong.statement.zh in page("refute", "zh").question
    assert page("refute").revealed[0][1][0].text == wrong.why.en
    assert page("probe:limits")[1] == DIMENSIONS["limits"].probe.en
    assert question.question.en in page("probe:limits").lead


def test_both_languages_have_the_same_words():
    for words in (PAGE_WORDS, VIEW_WORDS, REPORT_WORDS, TERMINAL_WORDS):
        assert set(words["en"]) == set(words["zh"])


def test_the_tiny_vlm_is_defended_with_counted_and_recorded_facts():
    model = tiny_vlm.vlm.new_vlm(0)
    projector = sum(p.numel() for p in model.projector.parameters())
    told = " ".join(each.en for each in tiny_vlm.facts("architecture"))
    assert f"projector {projector:,}" in told and f"{sum(p.numel() for p in model.parameters()):,} in all" in told
    for topic in TOPICS:
        for each in tiny_vlm.facts(topic):
            assert each.en and each.zh
    assert "vlm_cpu.json" in tiny_vlm.facts("failure")[0].en


def test_without_the_record_the_figures_are_said_to_be_missing(tmp_path):
    told = [each.en for each in tiny_vlm.facts("cost", tmp_path / "vlm_cpu.json")]
    assert len(told) == 1 and "does not exist yet" in told[0] and "--write" in told[0]


# --- a session ----------------------------------------------------------------------------------------------------


def test_every_event_is_in_the_log_before_the_next_question(session, store, clock):
    answer(session, 2)
    assert session.state.current == Node("opening", "opening", "hard")
    (again,) = [MockSession(store, session.id, material=material(), clock=clock)]
    assert again.state == session.state and again.mock.count == 3


def test_what_does_not_fit_the_moment_is_refused_and_recorded_nowhere(session):
    for act in (
        lambda: session.rate({}),
        session.hand_in,
        session.go_on,
        session.go_on_judged,
        lambda: session.fill({}),
    ):
        with pytest.raises(NotNow):
            act()
    session.reveal()
    with pytest.raises(NotNow, match="nothing to reveal"):
        session.reveal()
    with pytest.raises(ValueError, match="mark each of"):
        session.rate({"limits": 2})
    session.pause()
    with pytest.raises(NotNow, match="paused; go on first"):
        session.leave()
    assert session.mock.count == 3  # start, reveal, pause


def test_a_sum_right_at_once_is_worth_two_and_a_known_slip_one(session):
    to(session, "arithmetic")
    problem = session.material.problem(session.state.current.item)
    assert session.answer("no number").understood is False
    right = problem.said_answer()
    assert session.answer(right).correct and session.state.fact.revealed and session.judged_mark() == 2
    session.go_on_judged()
    assert session.state.current.round == "coding"
    assert outcome(session.state).rounds[2].points == Points(2, 2)


def test_a_near_miss_is_named_and_the_second_answer_is_the_last(session):
    to(session, "arithmetic")
    problem = session.material.problem(session.state.current.item)
    slip = problem.near_misses[0]
    said = session.answer(problem.said(slip.value))
    assert said.near_miss == slip.name and slip.why.en in said.message.en
    assert not session.state.fact.revealed and session.judged_mark() == 1
    session.answer("1")
    assert session.state.fact.revealed
    with pytest.raises(NotNow):
        session.answer(problem.said_answer())
    assert session.judged_mark() == 1


def test_code_goes_through_the_exercises_own_tests(store, clock):
    made = script(focus="07")
    rounds = tuple(each._replace(items=("07.1 fuse",)) if each.kind == "coding" else each for each in made.rounds)
    session = to(start(store, made._replace(rounds=rounds), "en", material=material(), clock=clock), "coding")
    exercise = lesson_07.fuse
    mutants = [judge(exercise, mutant) for mutant in exercise.mutants.values()]
    session.run(mutants[-1])
    assert session.judged_mark() == 1 and "stage" in session.state.fact.tries[0]["line"]
    session.run(coding.judge_name(exercise, {}))
    assert "no function fuse yet" in session.state.fact.tries[1]["line"]
    session.run(coding.judge_name(exercise, {"fuse": exercise.reference}))
    assert session.judged_mark() == 2
    session.hand_in()
    session.go_on_judged()
    assert session.state.current == Node("coding", "07.1 fuse", "cost")
    assert dimensions_at(session.material, session.state.current) == ("limits", "number")


def test_two_windows_cannot_both_answer(session, store, clock):
    other = MockSession(store, session.id, material=material(), clock=clock)
    answer(session, 1)
    with pytest.raises(StaleMock, match="continued in another window"):
        other.reveal()
    assert other.state == session.state  # it has caught up, and can go on
    other.reveal()
    assert other.state.fact.revealed


def test_two_interviews_do_not_mix(session, store, clock):
    other = start(store, script(seed=4), "zh", material=material(), clock=clock)
    answer(other, 0)
    session.reveal()
    assert {mock.id: mock.state.current.step for mock in unfinished(store)} == {
        session.id: "main",
        other.id: "probe:definition",
    }
    session.drop()
    assert [mock.id for mock in unfinished(store)] == [other.id]
    assert {mock.state.status for mock in read_mocks(store)[0]} == {"dropped", "running"}
    with pytest.raises(ValueError, match="is dropped; start a new one"):
        resume(store, session.id, clock=clock)
    with pytest.raises(ValueError, match=f"no mock interview 'x'; there are {other.id}"):
        resume(store, "x", clock=clock)


def test_a_pause_stops_the_clock_until_it_is_resumed(session, store, clock):
    clock.wait(50)
    session.pause()
    clock.wait(9999)
    again = resume(store, session.id, material=material(), clock=clock)
    clock.wait(10)
    again.reveal()
    assert (again.state.used, again.state.pauses, again.state.interruptions) == (60, 1, 0)


KILLED = """
import os, signal, sys
from course_lib.interview.rounds.log import unfinished
from course_lib.interview.rounds.session import MockSession
from course_lib.learner.store import ReviewStore
store = ReviewStore()
session = MockSession(store, unfinished(store)[0].id)
session.reveal()
session.rate(dict.fromkeys(session.dimensions, 2))
session.reveal()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_terminal_loses_nothing_and_the_time_it_was_gone_does_not_count(store):
    start(store, script(), "en", material=material())
    killed = subprocess.run([sys.executable, "-c", KILLED], env=dict(os.environ), timeout=120)
    assert killed.returncode == -signal.SIGKILL
    gone = datetime.now(UTC) + timedelta(hours=5)
    again = resume(store, unfinished(store)[0].id, material=material(), clock=lambda: gone)
    assert again.state.current == Node("opening", "opening", "hard") and again.state.fact.revealed
    assert again.state.interruptions == 1 and again.state.used < 300
    assert set(again.state.facts[Node("opening", "opening", "main")].marks.values()) == {2}


def test_an_interview_killed_before_its_end_was_written_is_closed_when_resumed(session, store, clock, monkeypatch):
    to(session, "project").fill({"project": "tiny_vlm"})
    with monkeypatch.context() as killed:
        killed.setattr(MockSession, "end", lambda self: None)
        session.leave()
    assert [mock.state.status for mock in unfinished(store)] == ["over"]
    assert resume(store, session.id, material=material(), clock=clock).state.status == "ended"
    assert unfinished(store) == []


def test_a_question_that_left_the_bank_is_named_and_the_interview_can_still_be_ended(session, clock):
    to(session, "depth")
    id = session.state.current.item
    del session.material.bank[id]
    with pytest.raises(MissingMaterial, match=f"{id} is not in the course any more"):
        page_of(session.material, session.state, session.state.current, "en")
    session.end()
    assert session.state.status == "ended"


def test_an_interview_whose_first_event_is_lost_is_told_and_hides_no_other(session, store):
    store.add_mock_event(MockEvent("lost", 4, START, '{"kind": "pause", "node": null, "data": null}'))
    mocks, notes = read_mocks(store)
    assert [mock.id for mock in mocks] == [session.id]
    assert len(notes) == 1 and "lost" in notes[0]


# --- the project --------------------------------------------------------------------------------------------------


def test_the_form_is_checked_kept_for_the_next_time_and_quoted(session, store):
    to(session, "project")
    form = dict.fromkeys(FIELDS, "") | {"what": "captions for shoes", "data": "9,000 photos"}
    for wrong in ({"what": "x"}, form | {"what": " "}, {"project": "other"}):
        with pytest.raises(ValueError, match="the form has|say what you built"):
            session.fill(wrong)
    session.fill(form)
    assert last_form(store) == form
    assert not form[session.state.current.item]  # an empty line is asked about first
    page = page_of(session.material, session.state, session.state.current, "en")
    assert "You left this line empty" in page.lead
    quoted = page_of(session.material, session.state, Node("project", "data", "main"), "zh")
    assert "9,000 photos" in quoted.lead and quoted.question == GRILL["data"].question.zh
    check_form({"project": "tiny_vlm"})


# --- the end ------------------------------------------------------------------------------------------------------


def scripted(session, clock):
    """Opening 60 s all 1; first question 0 throughout, second 2 throughout; the rest is left."""
    clock.wait(60)
    session.reveal()
    session.rate(dict.fromkeys(session.dimensions, 1))
    first, second = session.state.script.rounds[1].items[:2]
    for id, mark, seconds in ((first, 0, 90), (second, 2, 100)):
        while session.state.current.item == id:
            clock.wait(seconds)
            session.reveal()
            session.rate(dict.fromkeys(session.dimensions, mark))
    session.end()
    return first, second


def test_the_report_by_hand(session, store, clock):
    first, second = scripted(session, clock)
    result = outcome(session.state)
    one, two = (len(dimensions_of(material().question(id))) for id in (first, second))
    # opening: 3 dimensions at 1. First: all 0, then one probe at 0. Second: all 2, then two follow-ups of 2 dimensions.
    assert result.points == Points(3 + 2 * (two + 4), 2 * (3 + one + 1 + two + 4))
    assert [(each.seconds, each.planned) for each in result.rounds[:2]] == [(60, 3), (2 * 90 + 3 * 100, 14)]
    assert result.rounds[0].points == Points(3, 6) and result.rounds[2].points == Points(0, 0)
    assert result.rounds[1].missed == session.state.script.rounds[1].items[2:]
    assert [(each.item, each.weak) for each in result.items] == [("opening", False), (first, True), (second, False)]
    assert list(weak_questions(session.state)) == [first]
    numbers = sum("number" in dimensions_of(material().question(id)) for id in (first, second))
    assert result.dimensions["number"].possible == 2 * (1 + numbers)


def test_weak_questions_are_due_in_the_drill(session, store, clock):
    first, second = scripted(session, clock)
    due = queue(cards_of(bank(), store.reviews(), store.requests()), clock(), new=[])
    assert [card.question.id for card in due] == [first]
    assert due[0].request.reason.startswith("mock interview of 2026-03-01: weak in definition, mechanism, limits")
    with pytest.raises(NotNow, match="it is ended"):
        session.end()
    assert len(store.requests()) == 1


def test_a_program_killed_between_drill_and_end_asks_for_a_question_once(session, store, clock, monkeypatch):
    def full(*_args, **_kinds):
        raise StoreError("disk is full")

    with monkeypatch.context() as broken:
        answer(to(session, "depth"), 0)
        broken.setattr(ReviewStore, "add_mock_event", full)
        with pytest.raises(StoreError):
            session.end()
    assert len(store.requests()) == 1 and session.state.status == "running"
    session.end()
    assert len(store.requests()) == 1 and session.state.status == "ended"


def test_the_report_reads_the_same_in_three_forms_and_two_languages(session, store, clock):
    first, _ = scripted(session, clock)
    mocks, _ = read_mocks(store)
    for language in ("en", "zh"):
        report = make_report(session.mock, mocks, material(), language)
        text, markdown, html = as_text(report), as_markdown(report), as_html(report)
        assert first in text and material().question(first).question[language] in text
        for form in (text, markdown, html):
            assert "8.0" in form and "14" in form  # 480 s of depth questions, of 14 minutes
        assert markdown.startswith("### ") and "<" not in markdown
    assert "Your mock interviews" in as_text(make_report(session.mock, mocks, material()))


def test_weak_answers_lead_to_sections_of_written_lessons(store, clock):
    session = start(store, script(focus="07"), "en", material=material(), clock=clock)
    first, _ = scripted(session, clock)
    markdown = as_markdown(make_report(session.mock, [session.mock], material()))
    claims = [each for each in material().question(first).evidence if each.is_claim and each.url]
    assert claims and all(f"]({each.url})" in markdown for each in claims)
    for each in claims:
        assert (Path(__file__).parents[1] / "notebooks" / each.url.partition("#")[0]).exists()


def test_the_figure_shows_points_and_minutes(session, clock):
    scripted(session, clock)
    result = outcome(session.state)
    fig, (left, right) = draw_profile(result)
    possible, earned = (container.datavalues.tolist() for container in left.containers)
    assert earned == [points.earned for points in result.dimensions.values()][::-1]
    assert possible == [points.possible for points in result.dimensions.values()][::-1]
    assert right.containers[0].datavalues.tolist() == pytest.approx([0, 0, 0, 8, 1])
    assert [bar.get_hatch() for bar in right.containers[0]] == ["", "", "", "", ""]
    assert fig.get_facecolor()[3] == 1.0


# --- code in a file -----------------------------------------------------------------------------------------------


def test_a_file_is_judged_in_a_process_of_its_own(tmp_path):
    exercise = exercises()["00.1 softmax"]
    name, parameters = coding.signature(exercise)
    assert (name, parameters) == ("softmax", "(x)")
    path = tmp_path / "softmax.py"
    untouched = {}
    exec(coding.stub(exercise), untouched)
    assert coding.judge_name(exercise, untouched).line == "○ 00.1 softmax  not attempted yet"
    path.write_text("import torch\n\ndef softmax(x):\n    print('verdict:no')\n    return torch.softmax(x, -1)\n")
    assert coding.judge_file(exercise, path).passed
    path.write_text("import sys\nsys.exit('bye')\n")
    assert "ended before its tests did (bye)" in coding.judge_file(exercise, path).line
    path.write_text("print('{\"passed\": true}')\nimport os\nos._exit(0)\n")  # nobody answers in the tests' place
    assert not coding.judge_file(exercise, path).passed


def test_a_file_that_never_ends_is_ended(tmp_path):
    path = tmp_path / "softmax.py"
    path.write_text("while True:\n    pass\n")
    verdict = coding.judge_file(exercises()["00.1 softmax"], path, seconds=2.0)
    assert not verdict.passed and "still computing after 2 seconds" in verdict.line


def test_every_exercise_names_its_function_and_has_a_solution_to_show():
    for exercise in exercises().values():
        compile(coding.stub(exercise), exercise.id, "exec")
        assert re.search(rf"def {coding.signature(exercise)[0]}\(", coding.solution(exercise))


def test_the_solution_that_is_shown_passes_its_own_exercise():
    names = {"torch": torch, "nn": torch.nn, "F": torch.nn.functional, "math": math}
    for exercise in exercises().values():  # in order: some build on the function of an exercise before them
        exec(coding.solution(exercise), names)
        assert coding.judge_name(exercise, names).passed, f"{exercise.id}: {coding.judge_name(exercise, names).line}"


def test_without_its_lesson_an_exercise_shows_its_reference(tmp_path, monkeypatch):
    monkeypatch.setattr(coding, "SOURCES", tmp_path)
    assert coding.solution(lesson_07.fuse).startswith("def ")
