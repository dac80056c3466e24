"""What lies in `datasets/`, and how to be sure that it is what was put there.

`datasets/catalogue.json` holds one row per committed file: rows, bytes, licence, sha256 and the call that made it.
`find` checks a file before anybody reads it. Texts that change with the course, such as the question files, have no
sha256 and are checked for being whole; `texts` says how and why. The table for people, `datasets/README.md`, is
rendered from the same rows.

    python -m course_lib.data.catalogue      enter new texts, leave out vanished ones, count rows, render README.md
"""

import difflib
import hashlib
import json
import os
import sys
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from course_lib.data import texts
from course_lib.data.paths import below

DATASETS = Path(__file__).resolve().parents[2] / "datasets"
CATALOGUE, TABLE = "catalogue.json", "README.md"
"""The catalogue and what is rendered from it: the two files that it does not list."""
COMMAND = "python -m course_lib.data.catalogue"
_RESTORE_ALL = "git checkout -- datasets"
_OWN_TEXT = {
    "licence": "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/). By Every Answer Runs",
    "made_by": "text of the course",
}

_verified: dict[
    Path, tuple[int, int]
] = {}  # path -> (mtime in ns, bytes) of the state that was checked and found right


class DataFileError(Exception):
    """A data file is missing, truncated or altered; the message ends in the command that restores it."""


@dataclass(frozen=True)
class Entry:
    """One row of the catalogue.

    file: path below `datasets/`, with forward slashes on every system.
    rows: how many things it holds (1 for a photograph, else lines, records, recordings); None for a text that is no
        table.
    bytes: size on disk, None for a text that changes with the course.
    licence: name of the licence, then whoever must be credited, then the source.
    sha256: of the whole file, 64 hexadecimal digits, None for a text that changes with the course.
    made_by: the call that made it.
    restore: the command that brings it back when it is damaged.
    """

    file: str
    rows: int | None
    bytes: int | None
    licence: str
    sha256: str | None
    made_by: str
    restore: str

    def __post_init__(self) -> None:
        wrong = [each.name for each in fields(self) if not isinstance(getattr(self, each.name), each.type)]
        if wrong or (self.bytes is None) != (self.sha256 is None):
            raise ValueError(f"{self.file!r}: {wrong or ['bytes', 'sha256']} do not fit; a hashed file has both")
        below(DATASETS, self.file)


def table(folder: Path = DATASETS) -> list[Entry]:
    """Return the rows of `folder/catalogue.json`, sorted by file; `DataFileError` where it is missing or damaged."""
    path = folder / CATALOGUE
    if not path.is_file():
        raise DataFileError(
            f"{path} is missing: the course reads its data from its clone. Install it from inside the clone "
            f"with `pip install -e .`; if the clone has lost the file, `{_RESTORE_ALL}` restores it"
        )
    try:
        entries = [Entry(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
        if not entries:
            raise ValueError("it lists no file")
    except (OSError, ValueError, TypeError) as error:
        raise DataFileError(f"{path} is damaged ({error}): restore it with {_RESTORE_ALL}/{CATALOGUE}") from None
    return entries


def find(name: str, *, folder: Path = DATASETS) -> Path:
    """Return the path of a catalogued file that was found to be whole.

    name: as in the catalogue, for example "photos/coffee.jpg". A file is checked once per process, and again only when
    its size or its modification time changed. Raises `DataFileError` with what was expected, what was found and the
    command that restores it; ValueError for a name that the catalogue does not list.
    """
    entry = _entry(name, folder)
    found = damage(entry, folder)
    if found is not None:
        expected = "a whole text" if entry.sha256 is None else f"sha256 {entry.sha256} in {entry.bytes:,} bytes"
        raise DataFileError(
            f"datasets/{entry.file} is not the file that the catalogue lists.\n"
            f"  expected: {expected}\n"
            f"  found:    {found}\n"
            f"  restore:  {entry.restore}"
        )
    return folder / entry.file


def damage(entry: Entry, folder: Path = DATASETS) -> str | None:
    """Return what is wrong with a file of the catalogue, in words, and None where it is whole. Never raises."""
    path = folder / entry.file
    try:
        status = path.stat()
        state = (status.st_mtime_ns, status.st_size)
        if _verified.get((path, entry)) == state:
            return None
        found = texts.damage(path, entry.rows) if entry.sha256 is None else _difference(path, entry)
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"not readable: {error.strerror}"
    if found is None:
        _verified[path, entry] = state
    return found


def _difference(path: Path, entry: Entry) -> str | None:
    size, found = path.stat().st_size, sha256_of(path)
    if (size, found) == (entry.bytes, entry.sha256):
        return None
    how = "cut short" if size < entry.bytes else "altered"
    return f"{how} (sha256 {found} in {size:,} bytes)"


def table_damage(folder: Path = DATASETS) -> str | None:
    """Return what is wrong with README.md, None where it is what the catalogue renders."""
    path = folder / TABLE
    if not path.is_file():
        return "missing"
    return None if path.read_text(encoding="utf-8", errors="replace") == render(table(folder)) else "altered"


def record(
    name: str, *, rows: int, licence: str, made_by: str, restore: str | None = None, folder: Path = DATASETS
) -> Entry:
    """Enter a file of `folder` in the catalogue with its present size and sha256, and render README.md anew.

    For those who make data, never for those who read it: recording a damaged file would bless the damage.
    restore: by default `git checkout -- datasets/NAME`, which is right for every committed file.
    """
    path = below(folder, name)
    if not path.is_file():
        raise DataFileError(f"{path} is not there to be recorded; make it first with {made_by}")
    entry = Entry(
        file=name,
        rows=rows,
        bytes=path.stat().st_size,
        licence=licence,
        sha256=sha256_of(path),
        made_by=made_by,
        restore=f"{_RESTORE_ALL}/{name}" if restore is None else restore,
    )
    others = [row for row in table(folder) if row.file != name] if (folder / CATALOGUE).is_file() else []
    _save([*others, entry], folder)
    return entry


def renewed(folder: Path = DATASETS) -> list[Entry]:
    """Return the rows as they should be: with every text that is there, none that is not, and its rows counted.

    DataFileError for a damaged text, and for a file that is neither recorded nor a text: its licence and how it was
    made are known only to whoever made it.
    """
    recorded = {entry.file: entry for entry in table(folder) if entry.sha256 is not None}
    rows = list(recorded.values())
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if name in (*recorded, CATALOGUE, TABLE) or path.name.startswith("."):
            continue
        if path.suffix not in texts.SUFFIXES:
            raise DataFileError(
                f"datasets/{name} is not in the catalogue; enter it with catalogue.record({name!r}, ...)"
            )
        entry = Entry(name, None, None, sha256=None, restore=f"{_RESTORE_ALL}/{name}", **_OWN_TEXT)
        found = damage(entry, folder)
        if found is not None:
            raise DataFileError(f"datasets/{name} is {found}; mend it before it is counted")
        rows.append(replace(entry, rows=texts.count_rows(path)))
    return sorted(rows, key=lambda row: row.file)


def render(entries: list[Entry]) -> str:
    """Return the text of `datasets/README.md` for these rows."""
    hashed = [entry for entry in entries if entry.sha256 is not None]
    own = [entry for entry in entries if entry.sha256 is None]
    lines = [
        "# Data",
        "",
        "Rendered from `catalogue.json` by `course_lib.data.catalogue`; edit neither by hand. Every file is checked",
        "before it is read, and `course doctor` checks them all.",
        "",
        "| file | rows | bytes | licence, credit, source | made by | sha256 |",
        "| --- | ---: | ---: | --- | --- | --- |",
    ]
    lines += [f"| `{e.file}` | {e.rows:,} | {e.bytes:,} | {e.licence} | `{e.made_by}` | `{e.sha256}` |" for e in hashed]
    total = sum(entry.bytes for entry in hashed)
    lines += ["", f"Files: {len(hashed)}, {total:,} bytes in all.", "", "## Texts of the course", ""]
    lines += [
        "Questions, glossary, lists and recorded measurements change with the course, so no sha256 is kept of them.",
        "They are checked for being whole: YAML ends in a line `...`, JSON in its bracket, CSV has its number of rows.",
        f"After a new file or a new row of a CSV: `{COMMAND}`.",
        "",
    ]
    lines += [f"- `{e.file}`" + (f", {e.rows:,} rows" if e.rows is not None else "") for e in own]
    return "\n".join([*lines, "", f"Licence: {_OWN_TEXT['licence']}.", ""])


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entry(name: str, folder: Path) -> Entry:
    entries = {entry.file: entry for entry in table(folder)}
    if name not in entries:
        near = difflib.get_close_matches(name, entries, n=3, cutoff=0.0)
        raise ValueError(f"the catalogue does not list {name!r}; it lists {len(entries)} files, try one of {near}")
    return entries[name]


def _save(entries: list[Entry], folder: Path) -> None:
    entries = sorted(entries, key=lambda row: row.file)
    catalogue = json.dumps([asdict(entry) for entry in entries], indent=1, ensure_ascii=False) + "\n"
    for name, text in {CATALOGUE: catalogue, TABLE: render(entries)}.items():
        part = folder / f".{name}.part"
        part.write_text(text, encoding="utf-8", newline="\n")
        os.replace(part, folder / name)


def main() -> int:
    """Renew the catalogue; exit status 1 where a file does not fit."""
    try:
        _save(renewed(), DATASETS)
    except DataFileError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
