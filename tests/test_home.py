"""The start page's map: what it counts, what it suggests, and that a built page holds nothing personal."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from course_lib.exercises import lesson_00
from course_lib.interview import home
from course_lib.learner.log import Entry, note
from course_lib.learner.standing import count
from course_lib.lesson.syllabus import lesson_map, load_lessons

EXERCISES = ("00.1 softmax", "07.1 fuse", "07.2 low_rank", "09.1 sdpa")


def entry(kind, id, **detail):
    return Entry(kind, id, datetime(2026, 1, 1, tzinfo=UTC), detail)


def state(*log, due=()):
    cards = tuple(SimpleNamespace(question=SimpleNamespace(lesson=lesson)) for lesson in due)
    return home.State(EXERCISES, list(log), count(list(log), EXERCISES), cards)


def passed(*ids):
    return [entry("check", id, passed=True) for id in ids]


def test_a_newcomer_is_told_where_to_begin():
    assert home.suggest(state()) == "begin with [07 · Fusing modalities](07_fusing_modalities.ipynb)."
    assert home.say_totals(state()) == (
        "**You:** 0 of 3 lessons done · 0 of 4 exercises passed · no bet placed yet · 0 questions due"
    )
    assert home.remarks(state()) == {}


def test_what_is_due_comes_first():
    assert home.suggest(state(*passed("07.1 fuse"), due=["07"])).startswith("1 question is due: run `drill()`")
    assert home.suggest(state(due=["07", "09"])).startswith("2 questions are due")


def test_an_open_exercise_of_the_lesson_at_hand_comes_next():
    log = [*passed("09.1 sdpa", "07.1 fuse"), entry("bet", "C09.4", won=True)]
    assert home.suggest(state(*log)).endswith(": exercise 07.2 low_rank is not passed yet.")
    tried = entry("check", "07.2 low_rank", passed=False)
    assert "[07 · Fusing" in home.suggest(state(tried)) and "07.1 fuse" in home.suggest(state(tried))


def test_a_finished_lesson_leads_to_the_next():
    assert "begin with [09 ·" in home.suggest(state(*passed("07.1 fuse", "07.2 low_rank")))


def test_when_all_is_passed_it_is_time_for_a_mock():
    assert "mock(minutes=45)" in home.suggest(state(*passed(*EXERCISES)))


def test_each_lesson_says_what_happened_there():
    log = [*passed("07.1 fuse", "09.1 sdpa"), entry("bet", "C07.2", won=True), entry("bet", "C07.5", won=False)]
    assert home.remarks(state(*log, due=["07", "07", "12"])) == {
        "07": " · exercises 1 of 2 · bets 1 of 2 · 2 questions due",
        "09": " ✓ · exercises 1 of 1",
        "12": " · 1 question due",
    }


def test_every_exercise_that_can_be_done_is_counted():
    built = {lesson.number for lesson in load_lessons() if lesson.built}
    found = list(home.list_exercises())
    assert lesson_00.softmax.id in found and {id[:2] for id in found} == built
    assert found == sorted(found) and len(found) == len(set(found))


@pytest.fixture
def shown(monkeypatch, tmp_path):
    pages = []
    monkeypatch.setattr(home, "display", lambda page: pages.append(page.data))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    return pages


def test_the_page_is_personal_live_and_the_plain_list_when_built(shown, monkeypatch):
    note("check", "07.1 fuse", passed=True, stage=0, stages=4)
    home.home()
    assert f"1 of {len(list(home.list_exercises()))} exercises passed" in shown[0]
    assert "(07_fusing_modalities.ipynb) · exercises 1 of 4" in shown[0]
    assert "**The next 20 minutes:** [07 · Fusing modalities](07_fusing_modalities.ipynb): exercise 07.2" in shown[0]
    monkeypatch.setenv("COURSE_STATIC", "1")
    home.home()
    assert shown[1] == lesson_map()


def test_a_log_that_cannot_be_kept_is_said_and_the_lessons_are_there(shown, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "file"))
    home.home()
    assert "**You:**" in shown[0] and "file" in shown[0] and "[07 · Fusing modalities" in shown[0]
