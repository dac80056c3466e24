"""A damaged SQLite file: recognised, and read as far as it can be read."""

import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

LARGEST = 1 << 30  # bytes; a review takes about 50, so a larger size in a header is damage itself


def find_damage(path: Path, patience: float) -> str:
    """What SQLite says is wrong with the file, in one line; empty for a sound one and for none.

    patience: seconds to wait for a file that somebody keeps locked, before sqlite3.OperationalError.
    """
    if not path.is_file():
        return ""
    try:
        with closing(sqlite3.connect(path, timeout=patience)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            return "" if found == "ok" else " ".join(str(found).split())
    except sqlite3.OperationalError:
        raise  # locked or not readable, which is not damage
    except sqlite3.DatabaseError as error:
        return str(error)


def salvage(path: Path, table: str, columns: str) -> list[tuple]:
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
