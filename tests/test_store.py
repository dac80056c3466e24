"""The review log loses nothing: killed kernels, two kernels at once, damaged files, folders that cannot be written."""

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from course_lib.learner import store as store_module
from course_lib.learner.store import (
    FILE,
    MockEvent,
    Note,
    Review,
    ReviewStore,
    StaleMock,
    StoreError,
    add_to_drill,
    data_folder,
)

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


def reviews(count, first=0):
    return [
        Review(f"Q{number:03}", 1 + number % 4, START + timedelta(minutes=number), number + 0.5)
        for number in range(first, first + count)
    ]


def filled(folder, count=3):
    store = ReviewStore(folder)
    for each in reviews(count):
        store.add(each)
    return store


def test_reviews_come_back_as_they_went_in(tmp_path):
    filled(tmp_path)
    assert ReviewStore(tmp_path).reviews() == reviews(3)
    assert ReviewStore(tmp_path).notice == ""


def test_reviews_are_ordered_by_time_and_kept_in_utc(tmp_path):
    store, zone = ReviewStore(tmp_path), datetime.now().astimezone().tzinfo
    later, earlier = reviews(2)[::-1]
    store.add(later)
    store.add(Review("Q000", 1, earlier.at.astimezone(zone), 0.5))
    assert store.reviews() == [earlier, later]
    assert all(each.at.utcoffset() == timedelta(0) for each in store.reviews())


def test_what_is_no_review_is_refused(tmp_path):
    store = ReviewStore(tmp_path)
    with pytest.raises(ValueError, match="rating 5 is none of"):
        store.add(Review("Q001", 5, START))
    with pytest.raises(ValueError, match="has no zone"):
        store.add(Review("Q001", 3, START.replace(tzinfo=None)))
    assert store.reviews() == []


@pytest.mark.parametrize("statement", ["DELETE FROM reviews", "UPDATE reviews SET rating = 1", "DELETE FROM requests"])
def test_the_log_is_append_only(tmp_path, statement):
    store = filled(tmp_path)
    store.request(["Q001"], "weak")
    with sqlite3.connect(store.path) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    assert store.reviews() == reviews(3)


def test_a_mock_interview_asks_for_questions(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    add_to_drill(["Q004", "Q061"], "mock: no formula")
    assert [(each.question, each.reason) for each in ReviewStore().requests()] == [
        ("Q004", "mock: no formula"),
        ("Q061", "mock: no formula"),
    ]


def test_the_folder_is_read_from_the_environment_at_every_call(tmp_path, monkeypatch):
    for name in ("a", "b"):
        monkeypatch.setenv("COURSE_DATA", str(tmp_path / name))
        assert ReviewStore().path == tmp_path / name / FILE
    monkeypatch.delenv("COURSE_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "c"))
    if sys.platform == "linux":
        assert data_folder() == tmp_path / "c" / "every-answer-runs"
    assert not (tmp_path / "c").exists()  # asking creates nothing


# --- kernels that die, and two at once ----------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from course_lib.learner.store import Review, ReviewStore
store = ReviewStore(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    store.add(Review(f"Q{number:03}", 3, datetime(2026, 3, 1, 9, number, tzinfo=UTC)))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_kernel_loses_no_rating(tmp_path):
    for count in (1, 2):
        killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(count)], timeout=60)
        assert killed.returncode == -signal.SIGKILL
    assert sorted(each.question for each in ReviewStore(tmp_path).reviews()) == ["Q000", "Q000", "Q001"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_kernel_killed_inside_a_transaction_leaves_the_log_whole_and_unlocked(tmp_path):
    filled(tmp_path)
    code = (
        "import os, signal, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('BEGIN IMMEDIATE'); "
        "c.execute(\"INSERT INTO reviews (question, rating, at) VALUES ('Q9', 3, 'x')\"); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / FILE)], timeout=60)
    store = ReviewStore(tmp_path)
    assert store.reviews() == reviews(3)
    store.add(reviews(4)[-1])
    assert store.reviews() == reviews(4)


def _practise(folder, kernel, barrier):
    barrier.wait(timeout=60)
    store = ReviewStore(folder)  # both create the file at the same moment
    for each in reviews(25, first=100 * kernel):
        store.add(each)


def test_kernels_at_once_lose_no_rating(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(3)
    kernels = [spawn.Process(target=_practise, args=(tmp_path, number, barrier)) for number in range(3)]
    for kernel in kernels:
        kernel.start()
    for kernel in kernels:
        kernel.join(timeout=120)
    assert [kernel.exitcode for kernel in kernels] == [0, 0, 0]
    assert ReviewStore(tmp_path).reviews() == [*reviews(25), *reviews(25, 100), *reviews(25, 200)]


# --- clocks that are wrong, and rows that the course did not write --------------------------------------------------


def test_a_clock_in_another_millennium_is_refused_and_nothing_is_written(tmp_path):
    store = filled(tmp_path)
    for year in (1970, 9999):
        with pytest.raises(ValueError, match=f"the clock says {year}-03-01 09:00.*set the date and time"):
            store.add(Review("Q001", 3, START.replace(year=year)))
    assert ReviewStore(tmp_path).reviews() == reviews(3)


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59+00:00", "2026-03-01T09:00:00", "yesterday", "", b"\xff", 12.5])
@pytest.mark.parametrize("table", ["reviews", "requests", "mock_events", "notes"])
def test_a_row_with_another_time_is_passed_over_in_words_and_stays(tmp_path, table, at):
    store = filled(tmp_path)
    store.request(["Q001"], "weak")
    store.add_mock_event(mock_event(0))
    store.add_note(Note("check", "07.1", START, "{}"))
    row = {"reviews": ("Q9", 3, at, 1.0), "requests": ("Q9", "weak", at), "mock_events": ("a", 1, at, "{}")}
    store._append(table, [row.get(table, ("check", "07.2", at, "{}"))])
    again = ReviewStore(tmp_path)
    assert again.reviews() == reviews(3) and [each.question for each in again.requests()] == ["Q001"]
    assert again.mock_events() == {"a": [mock_event(0)]} and [each.subject for each in again.notes()] == ["07.1"]
    assert "1 of " in again.notice and f"rows of {table} in {again.path} are passed over" in again.notice
    assert repr(at) in again.notice and "They stay in the file" in again.notice
    with closing(sqlite3.connect(store.path)) as connection:
        assert connection.execute(f"SELECT count(*) FROM {table} WHERE at = ?", (at,)).fetchone() == (1,)


@pytest.mark.parametrize("row", [("check", "07.1", "{"), ("check", "07.1", "[1]"), ("check", "07.1", b"\x00")])
def test_a_note_that_is_no_object_is_passed_over(tmp_path, row):
    store = ReviewStore(tmp_path)
    store._append("notes", [(*row[:2], START.isoformat(), row[2])])
    assert store.notes() == [] and "1 of 1 rows of notes" in store.notice


def test_a_home_that_does_not_exist_is_refused_in_words(monkeypatch):
    monkeypatch.setenv("COURSE_DATA", "~nobody-of-this-name/course")
    with pytest.raises(StoreError, match="COURSE_DATA is '~nobody-of-this-name/course'.*name a folder of yours"):
        ReviewStore()


# --- files in other hands -------------------------------------------------------------------------------------------


def test_a_file_that_somebody_deleted_or_changed_says_what_to_do(tmp_path):
    store = filled(tmp_path)
    store.path.unlink()
    with pytest.raises(StoreError, match="is not as the course made it: no such table: reviews. If it was deleted"):
        store.add(reviews(1)[0])
    again = filled(tmp_path)
    assert again.reviews() == reviews(3)
    with closing(sqlite3.connect(again.path)) as connection:
        connection.execute("DROP TABLE notes")
        connection.commit()
    with pytest.raises(StoreError, match="no such table: notes.*move it away, and a new one is made"):
        ReviewStore(tmp_path).notes()
    assert ReviewStore(tmp_path).reviews() == reviews(3)


def test_a_locked_file_says_that_it_is_locked_and_by_what_kind_of_thing(tmp_path, monkeypatch):
    store = filled(tmp_path)
    monkeypatch.setattr(store_module, "BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="is locked.*kernel.*database browser.*Close it, or wait") as error:
            store.add(reviews(4)[-1])
    assert "writable" not in str(error.value)
    store.add(reviews(4)[-1])
    assert ReviewStore(tmp_path).reviews() == reviews(4)


# --- damaged files --------------------------------------------------------------------------------------------------


def aside(folder):
    return sorted(path for path in folder.iterdir() if ".damaged-" in path.name and path.suffix == ".sqlite3")


@pytest.mark.parametrize("content", [b"no database at all, " * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_kept_aside(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    store = ReviewStore(tmp_path)
    (kept,) = aside(tmp_path)
    assert kept.read_bytes() == content
    assert str(kept) in store.notice and "0 reviews, 0 requests and 0 notes could be read" in store.notice
    store.add(reviews(1)[0])
    assert ReviewStore(tmp_path).reviews() == reviews(1)
    assert ReviewStore(tmp_path).notice == ""


def _overwrite_a_page_of_reviews(path):
    """Fill one leaf page of the table with garbage."""
    size = 4096
    content = bytearray(path.read_bytes())
    page = len(content) // size - 3
    content[page * size : (page + 1) * size] = b"\xee" * size
    path.write_bytes(content)


def test_what_can_be_read_of_a_damaged_file_is_carried_over(tmp_path):
    store = ReviewStore(tmp_path)
    store._append("reviews", [(r.question, r.rating, r.at.isoformat(), r.seconds) for r in reviews(900)])
    store.request(["Q001"], "weak")
    _overwrite_a_page_of_reviews(store.path)
    damaged = store.path.read_bytes()
    repaired = ReviewStore(tmp_path)
    (kept,) = aside(tmp_path)
    assert kept.read_bytes() == damaged
    saved = repaired.reviews()
    assert 700 <= len(saved) < 900  # a page holds about 80
    assert f"{len(saved)} reviews, 1 requests and 0 notes could be read" in repaired.notice
    assert set(saved) <= set(reviews(900))
    assert [each.question for each in repaired.requests()] == ["Q001"]
    assert saved[0] == reviews(900)[0] and saved[-1] == reviews(900)[-1]  # from both sides of the damage
    assert ReviewStore(tmp_path).notice == ""


def test_a_truncated_file_keeps_its_first_reviews(tmp_path):
    store = ReviewStore(tmp_path)
    store._append("reviews", [(r.question, r.rating, r.at.isoformat(), r.seconds) for r in reviews(900)])
    damaged = store.path.read_bytes()[:-20_000]
    store.path.write_bytes(damaged)
    saved = ReviewStore(tmp_path).reviews()
    assert [path.read_bytes() for path in aside(tmp_path)] == [damaged]
    assert 300 < len(saved) < 900 and set(saved) <= set(reviews(900))
    assert saved[:300] == reviews(300)


def test_a_second_damage_does_not_overwrite_the_first(tmp_path):
    for content in (b"first " * 99, b"second " * 99):
        (tmp_path / FILE).write_bytes(content)
        ReviewStore(tmp_path)
    assert [path.read_bytes()[:5] for path in aside(tmp_path)] == [b"first", b"secon"]


def _find_damage(folder, barrier, notices):
    barrier.wait(timeout=60)
    notices.put(ReviewStore(folder).notice)


def test_two_kernels_that_find_the_damage_move_one_file_aside(tmp_path):
    (tmp_path / FILE).write_bytes(b"garbage " * 999)
    spawn = multiprocessing.get_context("spawn")
    barrier, notices = spawn.Barrier(2), spawn.Queue()
    kernels = [spawn.Process(target=_find_damage, args=(tmp_path, barrier, notices)) for _ in range(2)]
    for kernel in kernels:
        kernel.start()
    assert sorted(bool(notices.get(timeout=60)) for _ in kernels)[-1]
    for kernel in kernels:
        kernel.join(timeout=60)
    assert [path.read_bytes()[:7] for path in aside(tmp_path)] == [b"garbage"]


def test_damage_while_the_store_is_in_use_says_what_to_do(tmp_path):
    store = filled(tmp_path)
    store.path.write_bytes(b"garbage " * 999)
    with pytest.raises(StoreError, match="is damaged: .* Call again"):
        store.reviews()


# --- folders that cannot be written ---------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot keep reviews in .*COURSE_DATA") as error:
        ReviewStore(tmp_path / "file" / "below")
    assert "Make the folder writable" in str(error.value)
    assert isinstance(error.value.__cause__, OSError)


def test_a_file_that_cannot_be_opened_says_what_to_do(tmp_path):
    (tmp_path / FILE).mkdir()  # as root may write anywhere, a permission would prove nothing
    with pytest.raises(StoreError, match="cannot keep reviews in"):
        ReviewStore(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_says_what_to_do(tmp_path):
    filled(tmp_path)
    Path(tmp_path).chmod(0o500)
    try:
        with pytest.raises(StoreError, match="cannot keep reviews in"):
            ReviewStore(tmp_path).add(reviews(1)[0])
    finally:
        Path(tmp_path).chmod(0o700)


def test_a_full_disk_refuses_the_rating_and_keeps_the_rest(tmp_path, monkeypatch):
    store = filled(tmp_path)

    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(store_module, "insert", full)
    with pytest.raises(StoreError, match="disk is full. Make the folder writable and leave space on the disk"):
        store.add(reviews(4)[-1])
    monkeypatch.undo()
    assert ReviewStore(tmp_path).reviews() == reviews(3)


def test_a_file_of_a_newer_course_is_left_alone(tmp_path):
    store = filled(tmp_path)
    with sqlite3.connect(store.path) as connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(StoreError, match="has format 9, this course knows 3.*Update the course"):
        ReviewStore(tmp_path)


# --- mock interviews, and files from before them ------------------------------------------------------------------

FIRST_FORMAT = """
CREATE TABLE reviews (id INTEGER PRIMARY KEY, question TEXT NOT NULL, rating INTEGER NOT NULL CHECK (rating BETWEEN 1
    AND 4), at TEXT NOT NULL, seconds REAL);
CREATE TABLE requests (id INTEGER PRIMARY KEY, question TEXT NOT NULL, reason TEXT NOT NULL, at TEXT NOT NULL);
CREATE TRIGGER reviews_update BEFORE UPDATE ON reviews BEGIN SELECT RAISE(ABORT, 'reviews are append-only'); END;
INSERT INTO reviews (question, rating, at, seconds) VALUES ('Q004', 2, '2026-02-01T10:00:00+00:00', 31.5);
INSERT INTO requests (question, reason, at) VALUES ('Q061', 'weak', '2026-02-01T11:00:00+00:00');
PRAGMA user_version = 1;
"""


def mock_event(number, mock="a", minute=0):
    return MockEvent(mock, number, START + timedelta(minutes=minute or number), f'{{"number": {number}}}')


def test_a_file_from_before_mock_interviews_is_brought_up_to_date_and_loses_nothing(tmp_path):
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.executescript(FIRST_FORMAT)
    connection.close()
    store = ReviewStore(tmp_path)
    assert store.notice == ""
    assert store.reviews() == [Review("Q004", 2, datetime(2026, 2, 1, 10, tzinfo=UTC), 31.5)]
    assert [(each.question, each.reason) for each in store.requests()] == [("Q061", "weak")]
    assert store.mock_events() == {}
    store.add_mock_event(mock_event(0))
    assert ReviewStore(tmp_path).mock_events() == {"a": [mock_event(0)]}
    with sqlite3.connect(store.path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
        for statement in ("DELETE FROM mock_events", "UPDATE mock_events SET number = 7", "DELETE FROM requests"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)


def test_two_mock_interviews_do_not_mix(tmp_path):
    store = ReviewStore(tmp_path)
    events = [mock_event(0, "b", 5), mock_event(0, "a", 6), mock_event(2, "b", 7), mock_event(1, "b", 8)]
    for each in events:
        store.add_mock_event(each)
    assert store.mock_events() == {"b": [events[0], events[3], events[2]], "a": [events[1]]}
    assert list(store.mock_events()) == ["b", "a"]
    assert store.mock_events("a") == {"a": [events[1]]}
    assert store.mock_events("c") == {}


def test_a_number_that_is_taken_is_refused_and_the_file_stays_sound(tmp_path):
    store = ReviewStore(tmp_path)
    store.add_mock_event(mock_event(0))
    with pytest.raises(StaleMock, match="event 0 is there already"):
        store.add_mock_event(mock_event(0, minute=9))
    store.add_mock_event(mock_event(1))
    again = ReviewStore(tmp_path)
    assert (again.notice, again.mock_events()) == ("", {"a": [mock_event(0), mock_event(1)]})


def test_events_of_a_damaged_file_are_carried_over(tmp_path):
    store = ReviewStore(tmp_path)
    rows = [(e.mock, e.number, e.at.isoformat(), e.content) for e in map(mock_event, range(900))]
    store._append("mock_events", rows)
    store.path.write_bytes(store.path.read_bytes()[:-20_000])
    repaired = ReviewStore(tmp_path)
    saved = repaired.mock_events()["a"]
    assert 300 < len(saved) < 900 and saved[:300] == [mock_event(number) for number in range(300)]
    assert f"{len(saved)} mock events, 0 reviews, 0 requests and 0 notes could be read" in repaired.notice
