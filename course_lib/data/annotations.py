"""Published annotation files on a learner's disk: find them, read them, and say exactly what is wrong with them.

Nothing here opens a connection. `collections.py` says which collections there are.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class CollectionError(Exception):
    """A folder does not hold what the collection publishes; the message says what came, what fits and what to do."""


@dataclass(frozen=True)
class Offer:
    """What somebody has to fetch to use a collection, and under which terms.

    name: of the collection. page: the official page. licence: terms of annotations and images. files: what to fetch,
    with sizes as the publisher gives them. layout: where it belongs below the folder that is handed to the loader.
    """

    name: str
    page: str
    licence: str
    files: str
    layout: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.name} is not part of this course and is never downloaded by it.", f"  page:    {self.page}"]
        lines += [f"  fetch:   {self.files}", f"  licence: {self.licence}", "  unpack into FOLDER so that there are"]
        return "\n".join([*lines, *(f"    FOLDER/{line}" for line in self.layout)])


def find(folder: Path, name: str, offer: Offer) -> Path:
    """Return `folder/name`; CollectionError that tells a wrong level from a missing download and from an archive.

    name: a file where it has an ending, else a folder.
    """
    path, kinds = folder / name, ("folder", "file")
    if path.exists():
        wanted, came = kinds[Path(name).suffix != ""], kinds[path.is_file()]
        if wanted != came:
            raise CollectionError(f"{path} is a {came} and should be a {wanted}; unpack the archive again")
        return path
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise CollectionError(f"the folder {folder} {what}.\n{offer}")
    last = Path(name).name
    above = [up for up in folder.resolve().parents[:2] if (up / name).exists()]
    below = [hit for depth in ("*/", "*/*/") for hit in folder.glob(depth + name)]
    inside = [hit for depth in ("", "*/", "*/*/") for hit in folder.glob(depth + last)]
    # Where another part lies in its place the level is right; to name a folder deeper would lose that part.
    level = any((folder / re.split("[/, ]", line)[0]).exists() for line in offer.layout)
    if above or (below and not level):
        right = above[0] if above else Path(str(below[0])[: -len(name) - 1])
        raise CollectionError(
            f"{path} is not there, but {right / name} is: name the folder {right} instead of {folder}"
        )
    if below or inside:
        raise CollectionError(f"{path} is not there, but {(below + inside)[0]} is: move it to {path}")
    packed = sorted(each.name for each in folder.iterdir() if each.suffix in (".zip", ".tar", ".gz", ".tgz"))
    unpack = f" yet; unpack {', '.join(packed)} first" if packed else ""
    raise CollectionError(f"{folder} holds no {name}{unpack}.\n{offer}")


def read_json(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return the object in a JSON file that has lists under these keys; tells a cut-off file from a wrong one."""
    text = _text(path)
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        # Where a download breaks off, the parser stops at the end, in the last word, or at the last string's start.
        at_the_end = error.msg.startswith("Unterminated string") or not set(text[error.pos :]) & set('{}[],:"')
        if at_the_end and text.lstrip()[:1] in ("", "{", "["):
            raise CollectionError(
                f"{path} is cut off after {path.stat().st_size:,} bytes, as when a download or an unpacking stopped; "
                "fetch or unpack it again"
            ) from None
        raise CollectionError(
            f"{path} is no JSON: {error.msg} in line {error.lineno}, column {error.colno}, it begins with "
            f"{text.lstrip()[:40]!r}; fetch it again"
        ) from None
    missing = [key for key in keys if not isinstance(found, dict) or key not in found]
    if missing:
        have = sorted(found) if isinstance(found, dict) else f"a {type(found).__name__}"
        raise CollectionError(f"{path} lacks {missing}, it has {have}; is it another file of the same collection?")
    for key in keys:
        if not isinstance(found[key], list):
            raise CollectionError(f"{path} has a {type(found[key]).__name__} under {key!r}, not a list; fetch it again")
    return found


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file that are not blank."""
    return [line for line in _text(path).splitlines() if line.strip()]


def field(record: Any, key: str, kind: type, path: Path, number: int) -> Any:
    """Return `record[key]`, a `kind`; CollectionError with the file and the number of the record where it is not."""
    if not isinstance(record, dict) or key not in record:
        have = sorted(record) if isinstance(record, dict) else f"a {type(record).__name__}"
        raise CollectionError(f"{path}: record {number} lacks {key!r}, it has {have}; fetch the file again")
    if not isinstance(record[key], kind):
        raise CollectionError(
            f"{path}: record {number} has {record[key]!r:.60} as {key!r}, not a {kind.__name__}; fetch the file again"
        )
    return record[key]


def check_images(paths: list[Path], offer: Offer, *, described_in: Path) -> list[bool]:
    """Return which of the image files exist; CollectionError where not a single one does."""
    present = {folder: {entry.name for entry in folder.iterdir()} for folder in {path.parent for path in paths}}
    there = [path.name in present[path.parent] for path in paths]
    if paths and not any(there):
        deeper = next(paths[0].parent.glob(f"*/{paths[0].name}"), None)
        if deeper is not None:
            raise CollectionError(f"{paths[0]} is not there, but {deeper} is: move the images up one level")
        raise CollectionError(
            f"{described_in.name} describes {len(paths):,} images, and {paths[0].parent} holds none of them "
            f"(the first would be {paths[0].name}).\n{offer}"
        )
    return there


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # the same, and takes a byte order mark off
    except UnicodeDecodeError as error:
        raise CollectionError(
            f"{path} is not text in UTF-8 (byte {error.start:,}); a compressed file has to be unpacked first"
        ) from None
