"""The standing counts what the log holds: each figure against a log written by hand."""

import pytest

from course_lib.learner import log
from course_lib.learner.log import note
from course_lib.learner.standing import lesson_of, standing
from course_lib.learner.store import FILE, ReviewStore

EXERCISES = ["07.1 fuse", "07.2 gate", "09.1 attend", "12.1 focal"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    monkeypatch.setattr(log, "_told", set())
    return tmp_path / "data"


def test_figures_of_a_log():
    note("lesson", "12")
    note("check", "07.1 fuse", passed=False, stage=1, stages=2)
    note("check", "07.1 fuse", passed=True, stage=2, stages=2)
    note("check", "07.1 fuse", passed=False, stage=1, stages=2)  # broken again later: it was passed once
    note("check", "09.1 attend", passed=True, stage=2, stages=2)
    note("check", "31.9 gone", passed=True, stage=2, stages=2)  # an exercise that the course dropped
    note("bet", "C21.3", choice="a", right="b", won=False)
    note("bet", "C21.3", choice="b", right="b", won=True)  # after the answer was shown
    note("bet", "C07.2", choice="b", right="b", won=True)
    found = standing(EXERCISES)
    assert found.lessons == ("07", "09", "12", "21", "31")
    assert found.completed == ("09",)
    assert (found.exercises, found.passed, found.tries) == (tuple(EXERCISES), ("07.1 fuse", "09.1 attend"), 4)
    assert (found.bets, found.won) == (2, 1)
    assert (found.damaged, found.trouble) == ((), "")


def test_nothing_was_done_yet(folder):
    found = standing(EXERCISES)
    assert (found.lessons, found.completed, found.passed, found.tries, found.bets) == ((), (), (), 0, 0)
    assert standing().completed == () and not folder.exists()


def test_a_file_that_was_moved_aside_is_named(folder):
    folder.mkdir()
    (folder / FILE).write_bytes(b"no database " * 99)
    (folder / "reviews.damaged-by-hand.sqlite3").write_bytes(b"not ours")
    ReviewStore()
    ((path, at),) = standing().damaged
    assert path.read_bytes() == b"no database " * 99 and f"{at:%Y%m%dT%H%M%S}" in path.name


def test_a_log_that_cannot_be_read_is_trouble_and_no_error(folder):
    (folder / FILE).mkdir(parents=True)
    found = standing(EXERCISES)
    assert "cannot keep reviews in" in found.trouble and found.tries == 0


@pytest.mark.parametrize(
    ("id", "lesson"),
    [("07", "07"), ("07.1 fuse", "07"), ("C07.2", "07"), ("clinic case_01", ""), ("", ""), ("Q004", ""), ("2026", "")],
)
def test_the_lesson_of_an_id(id, lesson):
    assert lesson_of(id) == lesson
