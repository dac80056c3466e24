"""The log of lessons: what was noted comes back, nothing is written unasked, and no lesson is stopped."""

import json
import multiprocessing
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from course_lib.learner import log
from course_lib.learner import store as store_module
from course_lib.learner.clock import utc_now
from course_lib.learner.log import entries, note
from course_lib.learner.store import FILE, Note, Review, ReviewStore

SECOND_FORMAT = """
CREATE TABLE reviews (id INTEGER PRIMARY KEY, question TEXT NOT NULL, rating INTEGER NOT NULL CHECK (rating BETWEEN 1
    AND 4), at TEXT NOT NULL, seconds REAL);
CREATE TABLE requests (id INTEGER PRIMARY KEY, question TEXT NOT NULL, reason TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE mock_events (id INTEGER PRIMARY KEY, mock TEXT NOT NULL, number INTEGER NOT NULL, content TEXT NOT NULL,
    at TEXT NOT NULL, UNIQUE (mock, number));
INSERT INTO reviews (question, rating, at, seconds) VALUES ('Q004', 2, '2026-02-01T10:00:00+00:00', 31.5);
INSERT INTO mock_events (mock, number, content, at) VALUES ('a', 0, '{}', '2026-02-01T11:00:00+00:00');
PRAGMA user_version = 2;
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    monkeypatch.setattr(log, "_told", set())
    return tmp_path / "data"


def test_notes_come_back_oldest_first_with_their_time_and_detail():
    before = utc_now()
    note("check", "07.1 fuse", passed=False, stage=2, stages=3)
    note("bet", "C07.2", choice="图像", right="text", won=False)
    note("check", "07.1 fuse", passed=True, stage=3, stages=3)
    assert [(each.kind, each.id, each.detail) for each in entries()] == [
        ("check", "07.1 fuse", {"passed": False, "stage": 2, "stages": 3}),
        ("bet", "C07.2", {"choice": "图像", "right": "text", "won": False}),
        ("check", "07.1 fuse", {"passed": True, "stage": 3, "stages": 3}),
    ]
    assert [each.id for each in entries("bet")] == ["C07.2"] and entries("lesson") == []
    times = [before, *(each.at for each in entries()), utc_now()]
    assert times == sorted(times) and all(each.utcoffset() == timedelta(0) for each in times)


def test_a_static_build_writes_and_reads_nothing(folder, monkeypatch):
    monkeypatch.setenv("COURSE_STATIC", "1")
    note("lesson", "07")
    assert not folder.exists()
    monkeypatch.delenv("COURSE_STATIC")
    note("lesson", "09")
    monkeypatch.setenv("COURSE_STATIC", "1")
    note("lesson", "12")
    assert entries() == []
    monkeypatch.delenv("COURSE_STATIC")
    assert [each.id for each in entries()] == ["09"]


def test_reading_makes_no_file(folder):
    assert entries() == [] and not folder.exists()


def test_a_file_that_cannot_be_written_is_said_once_and_stops_no_lesson(folder, capsys):
    folder.write_text("in the way")
    note("lesson", "07")
    note("lesson", "09")
    said = capsys.readouterr().out
    assert said.startswith("Not recorded: cannot keep reviews in") and "COURSE_DATA" in said
    assert said.count("\n") == 1


def test_a_wrong_clock_is_said_once_and_stops_no_lesson(monkeypatch, capsys):
    wrong = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
    monkeypatch.setattr(log, "utc_now", lambda: wrong)
    note("lesson", "07")
    note("lesson", "07")
    said = capsys.readouterr().out
    assert said.startswith("Not recorded: the clock says 9999-12-31") and said.count("\n") == 1
    assert entries() == []


def test_what_is_not_fit_for_json_is_found_by_the_build(monkeypatch):
    monkeypatch.setenv("COURSE_STATIC", "1")
    with pytest.raises(TypeError, match="not JSON serializable"):
        note("bet", "C07.2", choice=object())


def test_a_file_of_reviews_and_mock_interviews_gains_notes_and_loses_nothing(folder):
    folder.mkdir()
    with closing(sqlite3.connect(folder / FILE)) as connection:
        connection.executescript(SECOND_FORMAT)
    note("lesson", "07")
    store = ReviewStore()
    assert [each.id for each in entries()] == ["07"] and store.notice == ""
    assert store.reviews() == [Review("Q004", 2, datetime(2026, 2, 1, 10, tzinfo=UTC), 31.5)]
    assert list(store.mock_events()) == ["a"]
    with closing(sqlite3.connect(folder / FILE)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
        for statement in ("DELETE FROM notes", "UPDATE notes SET kind = 'bet'"):
            with pytest.raises(sqlite3.IntegrityError, match="notes are append-only"):
                connection.execute(statement)


def test_notes_of_a_damaged_file_are_carried_over_and_the_lesson_is_told(folder, capsys):
    store, at = ReviewStore(), utc_now().isoformat()
    store._append("notes", [("check", f"07.{number}", at, json.dumps({"stage": number})) for number in range(900)])
    store.path.write_bytes(store.path.read_bytes()[:-16_000])
    note("lesson", "07")
    assert "notes could be read and were carried over" in capsys.readouterr().out
    *saved, last = entries()
    assert last.kind == "lesson" and 300 < len(saved) < 900
    assert [(each.id, each.detail) for each in saved][:300] == [(f"07.{n}", {"stage": n}) for n in range(300)]


KILLED = """
import os, signal, sys
from course_lib.learner.log import note
for number in range(int(sys.argv[1])):
    note("check", f"07.{number}", passed=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_kernel_loses_no_note():
    for count in (1, 2):
        killed = subprocess.run([sys.executable, "-c", KILLED, str(count)], timeout=60)
        assert killed.returncode == -signal.SIGKILL
    assert sorted(each.id for each in entries()) == ["07.0", "07.0", "07.1"]


def _study(kernel, barrier):
    barrier.wait(timeout=60)
    for number in range(20):
        note("check", f"{kernel}.{number}", passed=True)


def test_kernels_at_once_lose_no_note_and_no_review():
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(3)
    kernels = [spawn.Process(target=_study, args=(number, barrier)) for number in range(3)]
    for kernel in kernels:
        kernel.start()
    for kernel in kernels:
        kernel.join(timeout=120)
    assert [kernel.exitcode for kernel in kernels] == [0, 0, 0]
    assert sorted(each.id for each in entries()) == sorted(f"{k}.{n}" for k in range(3) for n in range(20))


def test_a_locked_file_is_said_in_one_line(monkeypatch, capsys):
    store = ReviewStore()
    monkeypatch.setattr(store_module, "BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        note("lesson", "07")
    said = capsys.readouterr().out
    assert said.startswith("Not recorded: ") and "is locked" in said and said.count("\n") == 1


def test_the_store_takes_no_note_without_a_zone(folder):
    with pytest.raises(ValueError, match="has no zone"):
        ReviewStore().add_note(Note("check", "07.1", datetime(2026, 3, 1), "{}"))
