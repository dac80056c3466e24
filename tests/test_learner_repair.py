"""Repair loses nothing: killed at every line, interrupted and finished by another kernel, never beside a writer."""

import json
import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from course_lib.learner import repair as repair_module
from course_lib.learner.repair import held
from course_lib.learner.store import FILE, Review, ReviewStore, StoreError, damaged_files

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
PAGE = 4096

# One child a line of repair.py and salvage.py: it opens the damaged store and is killed when it comes to that line.
KILLED_AT_EVERY_LINE = """
import json, os, shutil, signal, sys
from pathlib import Path
from course_lib.learner import repair, salvage
from course_lib.learner.store import ReviewStore

damaged, work = map(Path, sys.argv[1:])
FILES = {repair.__file__, salvage.__file__}

def child(folder, at):
    seen = []
    def trace(frame, event, _):
        if frame.f_code.co_filename not in FILES:
            return None
        line = Path(frame.f_code.co_filename).stem, frame.f_lineno
        if event == "line" and line not in seen:
            seen.append(line)
            if line == at:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)
    ReviewStore(folder)
    sys.settrace(None)
    return seen

shutil.copytree(damaged, work / "whole")
lines = child(work / "whole", None)
folders = []
for stem, number in lines:
    folder = work / f"{stem}-{number}"
    shutil.copytree(damaged, folder)
    if (pid := os.fork()) == 0:
        child(folder, (stem, number))
        os._exit(1)
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, (stem, number, status)
    folders.append(folder.name)
print(json.dumps(folders))
"""


def reviews(count):
    return [Review(f"Q{n:03}", 1 + n % 4, START + timedelta(minutes=n), n + 0.5) for n in range(count)]


def damage(folder, count=400):
    """A store with one page of reviews overwritten, and one more review that only the write-ahead log holds."""
    rows = [(r.question, r.rating, r.at.isoformat(), r.seconds) for r in reviews(count + 1)]
    store = ReviewStore(folder / "made")
    store._append("reviews", rows[:-1])
    (folder / "damaged").mkdir()
    with closing(sqlite3.connect(store.path, isolation_level=None)) as held_open:
        held_open.execute("SELECT count(*) FROM reviews").fetchone()
        store._append("reviews", rows[-1:])
        for companion in ("", "-wal"):
            shutil.copyfile(f"{store.path}{companion}", folder / "damaged" / f"{FILE}{companion}")
    content = bytearray((folder / "damaged" / FILE).read_bytes())
    page = len(content) // PAGE - 4
    content[page * PAGE : (page + 1) * PAGE] = b"\xee" * PAGE
    (folder / "damaged" / FILE).write_bytes(content)
    return folder / "damaged"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_repair_that_is_killed_at_any_line_is_finished_by_the_next_and_loses_nothing(tmp_path):
    damaged, work = damage(tmp_path), tmp_path / "work"
    work.mkdir()
    run = subprocess.run(
        [sys.executable, "-c", KILLED_AT_EVERY_LINE, str(damaged), str(work)], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    folders = json.loads(run.stdout)
    assert len(folders) > 60
    whole = ReviewStore(work / "whole").reviews()
    assert 250 < len(whole) < 401 and whole[0] == reviews(1)[0] and whole[-1] == reviews(401)[-1]
    (original,) = damaged_files(work / "whole")
    for name in folders:
        folder = work / name
        store = ReviewStore(folder)
        assert store.reviews() == whole, name
        asides = damaged_files(folder)
        assert [each.path.read_bytes() for each in asides] == [original.path.read_bytes()], name
        store.add(Review("Q999", 3, START + timedelta(days=9)))
        assert len(ReviewStore(folder).reviews()) == len(whole) + 1, name
        left = sorted(path.name for path in folder.iterdir())
        assert left == sorted([FILE, asides[0].path.name, "reviews.repair"]), name


def interrupted(folder, monkeypatch):
    """A store whose repair stopped just before the exchange."""
    (folder / FILE).write_bytes(b"no database " * 999)

    def stop(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(repair_module, "_copy_aside", stop)
    with pytest.raises(KeyboardInterrupt):
        ReviewStore(folder)
    monkeypatch.undo()


def test_a_store_that_was_open_before_does_not_write_into_a_file_that_is_about_to_be_exchanged(tmp_path, monkeypatch):
    store = ReviewStore(tmp_path)
    interrupted(tmp_path, monkeypatch)
    for call in (store.reviews, lambda: store.add(reviews(1)[0])):
        with pytest.raises(StoreError, match="its repair was interrupted. Call again"):
            call()
    again = ReviewStore(tmp_path)
    assert "its repair was interrupted" in again.notice and "0 reviews" in again.notice
    store.add(reviews(1)[0])
    assert again.reviews() == reviews(1)


@pytest.mark.parametrize("beside", ["reviews.repair", "reviews.rebuilt", "reviews.part"])
@pytest.mark.parametrize("damaged", [False, True])
def test_garbage_in_the_files_of_the_repair_itself_is_no_trouble(tmp_path, beside, damaged):
    store = ReviewStore(tmp_path)
    store.add(reviews(1)[0])
    if damaged:
        damage_an_index(store.path)
    (tmp_path / beside).write_bytes(b"no database " * 99)
    again = ReviewStore(tmp_path)
    assert again.reviews() == reviews(1) and ("1 reviews" in again.notice) == damaged
    assert len(damaged_files(tmp_path)) == damaged
    again.add(reviews(2)[1])
    assert ReviewStore(tmp_path).reviews() == reviews(2)


def test_a_repair_waits_for_whoever_reads_or_writes(tmp_path, monkeypatch):
    (tmp_path / FILE).write_bytes(b"no database " * 999)
    monkeypatch.setattr(repair_module, "BUSY_SECONDS", 0.05)
    with held(tmp_path / FILE), pytest.raises(StoreError, match="is locked"):
        ReviewStore(tmp_path)
    assert damaged_files(tmp_path) == [] and (tmp_path / FILE).read_bytes() == b"no database " * 999
    assert "was damaged" in ReviewStore(tmp_path).notice


def test_who_reads_or_writes_waits_for_a_repair(tmp_path, monkeypatch):
    store = ReviewStore(tmp_path)
    monkeypatch.setattr(repair_module, "BUSY_SECONDS", 0.05)
    with repair_module._locked(store.path, repair_module._ALONE):
        for call in (store.reviews, lambda: store.add(reviews(1)[0]), lambda: ReviewStore(tmp_path)):
            with pytest.raises(StoreError, match="is locked"):
                call()
    store.add(reviews(1)[0])
    assert store.reviews() == reviews(1)


def test_a_new_file_is_made_alone_and_lets_readers_go_on_beside_writers(tmp_path, monkeypatch):
    monkeypatch.setattr(repair_module, "BUSY_SECONDS", 0.05)
    with held(tmp_path / FILE), pytest.raises(StoreError, match="is locked"):
        ReviewStore(tmp_path)
    for content in (b"", b"no database " * 99):  # a new file, and a repaired one
        (tmp_path / FILE).write_bytes(content)
        store = ReviewStore(tmp_path)
        with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            other.execute("BEGIN IMMEDIATE")
            assert store.reviews() == []


def test_a_full_disk_during_the_repair_leaves_everything_as_it_was(tmp_path, monkeypatch):
    damaged = damage(tmp_path)
    before = {path.name: path.read_bytes() for path in damaged.iterdir()}

    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(repair_module, "insert", full)
    with pytest.raises(StoreError, match="disk is full.*Nothing that was saved before is lost"):
        ReviewStore(damaged)
    monkeypatch.undo()
    assert (damaged / FILE).exists() and damaged_files(damaged) == []
    assert len((damaged / FILE).read_bytes()) >= len(before[FILE])
    assert ReviewStore(damaged).reviews()[-1] == reviews(401)[-1]


def damage_an_index(path):
    """Garbage in a page that holds no row, so that every row can be read again."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            query = "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_mock_events_1'"
            ((page,),) = connection.execute(query).fetchall()
    except sqlite3.Error:
        return  # it is being repaired just now
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"\xee" * PAGE)


def _practise(folder, kernel):
    for number in range(25):
        ReviewStore(folder).add(Review(f"{kernel}-{number}", 3, START + timedelta(minutes=number)))


def test_kernels_that_rate_while_others_repair_lose_no_rating(tmp_path):
    damage_an_index(ReviewStore(tmp_path).path)
    spawn = multiprocessing.get_context("spawn")
    kernels = [spawn.Process(target=_practise, args=(tmp_path, number)) for number in range(3)]
    for kernel in kernels:
        kernel.start()
    while any(kernel.is_alive() for kernel in kernels):
        time.sleep(0.3)
        damage_an_index(tmp_path / FILE)
    for kernel in kernels:
        kernel.join()
    assert [kernel.exitcode for kernel in kernels] == [0, 0, 0]
    rated = sorted(each.question for each in ReviewStore(tmp_path).reviews())
    assert rated == sorted(f"{kernel}-{number}" for kernel in range(3) for number in range(25))
    assert damaged_files(tmp_path)
