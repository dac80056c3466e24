"""What lies in `datasets/`, and how to be sure that it is what was put there.

`datasets/catalogue.json` holds one row per committed file: rows, bytes, licence, sha256 and the call that made it.
`find` checks size and sha256 before anybody reads a file; `cached` builds a derived file once per user. The table for
people, `datasets/README.md`, is rendered from the same rows by `render`.
"""

import difflib
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

DATASETS = Path(__file__).resolve().parents[2] / "datasets"

_verified: dict[Path, tuple[int, int]] = {}  # path -> (mtime in ns, bytes) of the state that was hashed and found right


class DataFileError(Exception):
    """A data file is missing, truncated or altered; the message ends in the command that restores it."""


@dataclass(frozen=True)
class Entry:
    """One row of the catalogue.

    file: path below `datasets/`, with forward slashes on every system.
    rows: how many things it holds (1 for a photograph, else lines, records, recordings).
    bytes: size on disk.
    licence: name of the licence, then whoever must be credited, then the source.
    sha256: of the whole file, 64 hexadecimal digits.
    made_by: the call that made it.
    restore: the command that brings it back when it is damaged.
    """

    file: str
    rows: int
    bytes: int
    licence: str
    sha256: str
    made_by: str
    restore: str


def table(folder: Path = DATASETS) -> list[Entry]:
    """Return the rows of `folder/catalogue.json`, sorted by file; `DataFileError` where there is none."""
    path = folder / "catalogue.json"
    if not path.is_file():
        raise DataFileError(
            f"{path} is missing: the course reads its data from its clone. Install it from inside the clone "
            "with `pip install -e .`; if the clone has lost the file, `git checkout -- datasets` restores it"
        )
    return [Entry(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def find(name: str, *, folder: Path = DATASETS) -> Path:
    """Return the path of a catalogued file whose size and sha256 were found to be right.

    name: as in the catalogue, for example "photos/coffee.jpg". A file is hashed once per process, and again only when
    its size or its modification time changed. Raises `DataFileError` with both hashes and the command that restores it.
    """
    entry = _entry(name, folder)
    path = folder / entry.file
    if not path.is_file():
        raise DataFileError(_damage(entry, found="missing"))
    status = path.stat()
    state = (status.st_mtime_ns, status.st_size)
    if _verified.get(path) != state:
        found = sha256_of(path)
        if (status.st_size, found) != (entry.bytes, entry.sha256):
            raise DataFileError(_damage(entry, found=f"sha256 {found} in {status.st_size:,} bytes"))
        _verified[path] = state
    return path


def cached(name: str, build: Callable[[Path], None], *, folder: Path | None = None) -> Path:
    """Return the path of a derived file, after `build(path)` has written it if it was not there.

    The name must say everything the content depends on, for example "voices-8khz-v1.npz": a file that exists is used.
    `build` gets a temporary path with the same suffix in the same folder, and the finished file is moved to its name
    in one step. So a reader sees the whole file or none, and two kernels that build at once both end with a whole one.

    folder: where to keep it; by default the user's cache folder, see `cache_folder`.
    """
    path = (cache_folder() if folder is None else folder) / name
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    try:
        build(Path(temporary))
        if os.path.getsize(temporary) == 0:
            raise DataFileError(f"build wrote nothing for {name}: it must write to the path it is given, {temporary}")
        _publish(Path(temporary), path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path


def cache_folder() -> Path:
    """Return where this system keeps one user's derived files; they can be deleted at any time and are built again."""
    caches = {"win32": "AppData/Local", "darwin": "Library/Caches"}
    return Path.home() / caches.get(sys.platform, ".cache") / "every-answer-runs"


def record(
    name: str, *, rows: int, licence: str, made_by: str, restore: str | None = None, folder: Path = DATASETS
) -> Entry:
    """Enter a file of `folder` in the catalogue with its present size and sha256, and render README.md anew.

    For those who make data, never for those who read it: recording a damaged file would bless the damage.
    restore: by default `git checkout -- datasets/NAME`, which is right for every committed file.
    """
    path = folder / name
    if not path.is_file():
        raise DataFileError(f"{path} is not there to be recorded; make it first with {made_by}")
    entry = Entry(
        file=name,
        rows=rows,
        bytes=path.stat().st_size,
        licence=licence,
        sha256=sha256_of(path),
        made_by=made_by,
        restore=f"git checkout -- datasets/{name}" if restore is None else restore,
    )
    others = [row for row in table(folder) if row.file != name] if (folder / "catalogue.json").is_file() else []
    _save(sorted([*others, entry], key=lambda row: row.file), folder)
    return entry


def render(entries: list[Entry]) -> str:
    """Return the text of `datasets/README.md` for these rows."""
    lines = [
        "# Data",
        "",
        "Rendered from `catalogue.json` by `course_lib.data.catalogue.render`; edit neither by hand. Every file is",
        "checked against its size and sha256 before it is read. Questions, glossary, lesson list and recorded",
        "measurements are the course's own text (CC BY 4.0) and change with it, so they are not listed.",
        "",
        "| file | rows | bytes | licence, credit, source | made by | sha256 |",
        "| --- | ---: | ---: | --- | --- | --- |",
    ]
    lines += [
        f"| `{e.file}` | {e.rows:,} | {e.bytes:,} | {e.licence} | `{e.made_by}` | `{e.sha256}` |" for e in entries
    ]
    total = sum(entry.bytes for entry in entries)
    return "\n".join([*lines, "", f"Files: {len(entries)}, {total:,} bytes in all.", ""])


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


def _damage(entry: Entry, *, found: str) -> str:
    return (
        f"datasets/{entry.file} is not the file that the catalogue lists.\n"
        f"  expected: sha256 {entry.sha256} in {entry.bytes:,} bytes\n"
        f"  found:    {found}\n"
        f"  restore:  {entry.restore}"
    )


def _publish(temporary: Path, path: Path) -> None:
    """Move a finished file to its name in one step, after its bytes have reached the disk."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    try:
        os.replace(temporary, path)
    except PermissionError:  # Windows refuses while another kernel reads the file that it has just put there
        if not path.is_file():
            raise


def _save(entries: list[Entry], folder: Path) -> None:
    catalogue = json.dumps([asdict(entry) for entry in entries], indent=1, ensure_ascii=False) + "\n"
    for name, text in {"catalogue.json": catalogue, "README.md": render(entries)}.items():
        part = folder / f".{name}.part"
        part.write_text(text, encoding="utf-8", newline="\n")
        os.replace(part, folder / name)
