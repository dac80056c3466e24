"""Repair of the learner's file: a new one is built beside the damaged one, then the two change places.

A kill at any moment loses nothing. Until the new file is whole it has a name that nobody reads; from then on the
damaged one is copied aside and the new one put in its place, and whoever comes next finishes what was begun. A second
SQLite file is the lock: who reads or writes holds it together with others, who repairs holds it alone, so that no
rating goes into a file that is about to be exchanged.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from filecmp import cmp
from pathlib import Path
from typing import NamedTuple

from course_lib.learner.salvage import find_damage, salvage

BUSY_SECONDS = 10.0  # how long one kernel waits for another
_ASIDE = ".damaged-"
_WHEN = "%Y%m%dT%H%M%S.%fZ"
_TOGETHER = "BEGIN; SELECT count(*) FROM sqlite_master"
_ALONE = "BEGIN EXCLUSIVE"


class Aside(NamedTuple):
    """A damaged file that was moved aside."""

    path: Path
    at: datetime
    """When, in UTC."""


def list_aside(path: Path) -> list[Aside]:
    """The damaged files that once stood at `path`, oldest first."""
    found = []
    for each in path.parent.glob(f"{path.stem}{_ASIDE}*{path.suffix}"):
        with suppress(ValueError):  # somebody else's name
            when = each.stem.removeprefix(f"{path.stem}{_ASIDE}")
            found.append(Aside(each, datetime.strptime(when, _WHEN).replace(tzinfo=UTC)))
    return sorted(found, key=lambda each: each.at)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep the file at `path` from being exchanged; sqlite3.DatabaseError when a repair of it was interrupted."""
    with _locked(path, _TOGETHER):
        if _built(path).exists():
            raise sqlite3.DatabaseError("its repair was interrupted")
        yield


def needs_repair(path: Path) -> bool:
    """Whether the file is damaged, or its repair was interrupted."""
    with _locked(path, _TOGETHER):
        return _built(path).exists() or bool(find_damage(path, BUSY_SECONDS))


def repair(path: Path, schema: str, columns: dict[str, str], fits: Callable[[str, tuple], bool]) -> str:
    """Move a damaged file aside, carry over what can be read, and say so; "" when another kernel was faster.

    schema: statements that create what is missing in a new file. columns: table to its columns but `id`.
    fits: whether a row read from a table may be carried over.
    """
    with _locked(path, _ALONE):
        built, damage = _built(path), "its repair was interrupted"
        if not built.exists() or find_damage(built, BUSY_SECONDS):
            damage = find_damage(path, BUSY_SECONDS)
            if not damage:
                built.unlink(missing_ok=True)
                return ""
            _build(built, schema, {table: (columns[table], _kept(path, table, columns, fits)) for table in columns})
        with closing(sqlite3.connect(built)) as new:
            counts = [f"{_count(new, table)} {table.replace('_', ' ')}" for table in columns]
        aside = _copy_aside(path)
        for companion in ("-wal", "-shm"):  # they belong to the old file, SQLite would read them into the new one
            Path(f"{path}{companion}").unlink(missing_ok=True)
        os.replace(built, path)
    return (
        f"{path.name} was damaged ({damage}). It was moved to {aside}, where it stays as it is; "
        f"{', '.join(counts[:-1])} and {counts[-1]} could be read and were carried over."
    )


def complete(path: Path, schema: str) -> None:
    """Create what is missing in a file, which is new or of an older course, and let readers not wait for writers.

    Nobody else may have it open: SQLite does not wait for its turn to change to a write-ahead log, but fails at once.
    """
    with _locked(path, _ALONE), closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode = WAL")
        file.executescript(f"BEGIN IMMEDIATE;{schema}COMMIT;")


def insert(connection: sqlite3.Connection, table: str, columns: str, rows: list[tuple]) -> None:
    """Append rows, one value a column."""
    marks = ", ".join("?" for _ in columns.split(","))
    connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)


@contextmanager
def _locked(path: Path, how: str) -> Iterator[None]:
    """Hold the lock beside `path`, an SQLite file in which nothing ever stands."""
    file = path.with_suffix(".repair")
    with suppress(FileNotFoundError):
        if file.stat().st_size > 0:  # whatever wrote it, SQLite could not lock it
            file.unlink()
    with closing(sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)) as lock:
        for statement in how.split(";"):
            lock.execute(statement).fetchall()
        yield


def _built(path: Path) -> Path:
    """Where the new file stands once it is whole, until it takes the place of the damaged one."""
    return path.with_suffix(".rebuilt")


def _kept(path: Path, table: str, columns: dict[str, str], fits: Callable[[str, tuple], bool]) -> list[tuple]:
    return [row for row in salvage(path, table, columns[table]) if fits(table, row)]


def _build(built: Path, schema: str, saved: dict[str, tuple[str, list[tuple]]]) -> None:
    """Write a new file with the saved rows, under its name only when it is whole and on disk."""
    part = built.with_suffix(".part")
    for leftover in (part, Path(f"{part}-journal")):
        leftover.unlink(missing_ok=True)
    with closing(sqlite3.connect(part, isolation_level=None)) as connection:
        connection.executescript(f"BEGIN IMMEDIATE;{schema}")
        for table, (columns, rows) in saved.items():
            insert(connection, table, columns, rows)
        connection.execute("COMMIT")
    os.replace(part, built)


def _copy_aside(path: Path) -> Path:
    """Copy the damaged file and what SQLite had not yet written into it; a copy that is there already will do."""
    for earlier in list_aside(path):
        if cmp(earlier.path, path, shallow=False):
            return earlier.path
    aside = path.with_name(f"{path.stem}{_ASIDE}{datetime.now(UTC):{_WHEN}}{path.suffix}")
    for companion in ("-wal", ""):  # the file itself last: with it the copy is whole
        if (source := Path(f"{path}{companion}")).exists():
            part = path.with_suffix(".part")
            shutil.copyfile(source, part)
            with part.open("r+b") as file:
                os.fsync(file.fileno())
            os.replace(part, f"{aside}{companion}")
    return aside


def _count(connection: sqlite3.Connection, table: str) -> int:
    return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
