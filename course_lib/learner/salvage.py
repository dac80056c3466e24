"""A damaged SQLite file: recognised, moved aside under a name of its own, and read as far as it can be read."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

BUSY_SECONDS = 10.0  # how long one kernel waits for another
LARGEST = 1 << 30  # bytes; a review takes about 50, so a larger size in a header is damage itself


_ASIDE = ".damaged-"
_WHEN = "%Y%m%dT%H%M%S.%fZ"


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


def find_damage(path: Path) -> str:
    """What SQLite says is wrong with the file; empty for a sound one and for none."""
    if not path.is_file():
        return ""
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            return "" if found == "ok" else str(found)
    except sqlite3.OperationalError:
        raise  # locked or not readable, which is not damage
    except sqlite3.DatabaseError as error:
        return str(error)


def set_aside(path: Path, schema: str, columns: dict[str, str], fits: Callable[[str, tuple], bool]) -> str:
    """Rename a damaged file and its companions, carry over what can be read, and say so.

    schema: statements that create what is missing in a new file. columns: table to its columns but `id`.
    fits: whether a row read from a table may be carried over.

    One process at a time, by the lock of a second SQLite file: without it two kernels that find the damage together
    could move each other's new file aside.
    """
    with closing(sqlite3.connect(path.with_suffix(".repair"), timeout=BUSY_SECONDS, isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        damage = find_damage(path)
        if not damage:
            return ""  # another kernel was faster
        aside = path.with_name(f"{path.stem}{_ASIDE}{datetime.now(UTC):{_WHEN}}{path.suffix}")
        for companion in ("-wal", "-shm", ""):
            if (source := Path(f"{path}{companion}")).exists():
                source.rename(f"{aside}{companion}")
        saved = {
            table: [row for row in _salvage(aside, table, columns[table]) if fits(table, row)] for table in columns
        }
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            connection.executescript(f"BEGIN IMMEDIATE;{schema}COMMIT;")
            connection.execute("BEGIN IMMEDIATE")
            for table, rows in saved.items():
                insert(connection, table, columns[table], rows)
            connection.execute("COMMIT")
        counts = [f"{len(rows)} {table.replace('_', ' ')}" for table, rows in saved.items()]
        return (
            f"{path.name} was damaged ({damage}). It was moved to {aside}, where it stays as it is; "
            f"{', '.join(counts[:-1])} and {counts[-1]} could be read and were carried over."
        )


def insert(connection: sqlite3.Connection, table: str, columns: str, rows: list[tuple]) -> None:
    """Append rows, one value a column."""
    marks = ", ".join("?" for _ in columns.split(","))
    connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)


def _salvage(path: Path, table: str, columns: str) -> list[tuple]:
    """The rows that can be read, from both ends up to the damage, oldest first."""
    with TemporaryDirectory() as folder:  # SQLite writes when it opens; the damaged file stays as it is
        for companion in ("", "-wal"):
            if (source := Path(f"{path}{companion}")).exists():
                shutil.copyfile(source, Path(folder, f"copy{companion}"))
        _pad(Path(folder, "copy"))
        with closing(sqlite3.connect(Path(folder, "copy"))) as connection:
            upwards = _read_until_damage(connection, table, columns, "ASC")
            downwards = _read_until_damage(connection, table, columns, "DESC")
    rows = {row[0]: row[1:] for row in (*upwards, *downwards)}
    return [rows[id] for id in sorted(rows)]


def _pad(path: Path) -> None:
    """Fill a truncated file with zeros up to the size in its header, or SQLite would not read what is left of it.

    The header: page size in bytes 16 and 17, pages in bytes 28 to 31 (https://www.sqlite.org/fileformat2.html).
    """
    with path.open("r+b") as file:
        header = file.read(32)
        size = int.from_bytes(header[16:18], "big") * int.from_bytes(header[28:32], "big")
        if file.seek(0, 2) < size <= LARGEST:
            file.truncate(size)


def _read_until_damage(connection: sqlite3.Connection, table: str, columns: str, order: str) -> list[tuple]:
    rows = []
    with suppress(sqlite3.DatabaseError, UnicodeDecodeError):  # what came before it counts
        for row in connection.execute(f"SELECT id, {columns} FROM {table} ORDER BY id {order}"):
            rows.append(row)
    return rows
