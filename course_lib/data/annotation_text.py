"""The text of annotation files: lines, JSON, fields, each refused with its place where it is not what was published."""

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from course_lib.data.annotations import CollectionError

Key = TypeVar("Key", int, str)
_PACKED = {
    b"PK\x03\x04": "zip archive",
    b"\x1f\x8b": "gzip file",
    b"BZh": "bzip2 file",
    b"\xfd7zXZ": "xz file",
    b"7z\xbc\xaf": "7z archive",
    b"Rar!": "rar archive",
    b"\x28\xb5\x2f\xfd": "zstd file",
}
"""How compressed files begin."""
_BINARY = bytes({*range(32)} - {*b"\t\n\v\f\r"})


def read_lines(path: Path) -> list[tuple[int, str]]:
    r"""Return the lines of a text file that are not blank, each with its number, counted from 1.

    Only \n and \r\n end a line: U+2028, NEL and form feed, at which `str.splitlines` cuts, occur inside captions.
    """
    lines = enumerate(_text(path).split("\n"), start=1)
    return [(number, line.removesuffix("\r")) for number, line in lines if line.strip()]


def read_json(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return the object in a JSON file that has lists under these keys; tells a cut-off file from a wrong one."""
    text = _text(path)
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        # Where a download breaks off, the parser stops at the end, in the last word, or at the last string's start.
        at_the_end = error.msg.startswith("Unterminated string") or not set(text[error.pos :]) & set('{}[],:"')
        if at_the_end and text.lstrip()[:1] in ("", "{", "["):
            raise CollectionError(_cut_off(path)) from None
        raise CollectionError(
            f"{path} is no JSON: {error.msg} in line {error.lineno}, column {error.colno}, it begins with "
            f"{text.lstrip()[:40]!r}; fetch it again"
        ) from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, a list in a list in a list ...
        raise CollectionError(f"{path} is no JSON that was published: {error}; fetch it again") from None
    missing = [key for key in keys if not isinstance(found, dict) or key not in found]
    if missing:
        have = sorted(found) if isinstance(found, dict) else f"a {type(found).__name__}"
        raise CollectionError(f"{path} lacks {missing}, it has {have}; is it another file of the same collection?")
    for key in keys:
        if not isinstance(found[key], list):
            raise CollectionError(f"{path} has a {type(found[key]).__name__} under {key!r}, not a list; fetch it again")
    return found


def field(record: Any, key: str, kind: type, path: Path, number: int) -> Any:
    """Return `record[key]`, a `kind`; CollectionError with the file and the number of the record where it is not."""
    if not isinstance(record, dict) or key not in record:
        have = sorted(record) if isinstance(record, dict) else f"a {type(record).__name__}"
        raise CollectionError(f"{path}: record {number} lacks {key!r}, it has {have}; fetch the file again")
    if not isinstance(record[key], kind) or (kind is int and isinstance(record[key], bool)):
        raise CollectionError(
            f"{path}: record {number} has {record[key]!r:.60} as {key!r}, not a {kind.__name__}; fetch the file again"
        )
    if kind is list and not record[key]:
        raise CollectionError(f"{path}: record {number} has an empty list as {key!r}; fetch the file again")
    return record[key]


def said(captions: Mapping[Key, Sequence[str]], path: Path) -> dict[Key, tuple[str, ...]]:
    """Return the captions without white space around them, and without the empty ones, which a warning counts.

    An image all of whose captions are empty is left out. The published files have hardly any; a spreadsheet that saved
    them again makes many.
    """
    stripped = {key: tuple(text.strip() for text in texts) for key, texts in captions.items()}
    kept = {key: tuple(text for text in texts if text) for key, texts in stripped.items()}
    empty = [key for key, texts in stripped.items() if not all(texts)]
    if empty:
        lost = sum(len(texts) - len(kept[key]) for key, texts in stripped.items())
        bare = sum(not kept[key] for key in empty)
        warnings.warn(
            f"{path.name}: {lost:,} of {sum(map(len, stripped.values())):,} captions are empty and left out, the first "
            f"belongs to {empty[0]}; {bare:,} images have no other caption and are left out, too",
            stacklevel=3,
        )
    return {key: texts for key, texts in kept.items() if texts}


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")  # the same, and takes a byte order mark off
    except UnicodeDecodeError as error:
        raise CollectionError(_why_not_utf8(path, content, error)) from None


def _why_not_utf8(path: Path, content: bytes, error: UnicodeDecodeError) -> str:
    packed = next((kind for start, kind in _PACKED.items() if content.startswith(start)), None)
    if packed is not None:
        return f"{path} is a {packed}; it has to be unpacked first"
    if error.reason == "unexpected end of data" and error.end == len(content):
        return _cut_off(path)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return f"{path} is written in UTF-16, not UTF-8; {_convert('UTF-16')}"
    if content.translate(None, _BINARY) != content:
        return f"{path} is not text (byte {error.start:,} is no UTF-8); a compressed file has to be unpacked first"
    before, after = content[: error.start].split()[-1:], content[error.start :].split()[0]
    word = ((before[0] if before and not content[error.start - 1 : error.start].isspace() else b"") + after)[:40]
    return (
        f"{path} is not written in UTF-8 but, it seems, in Windows-1252 or Latin-1: there byte {error.start:,} makes "
        f"the word {word.decode('cp1252', errors='replace')!r}; {_convert('WINDOWS-1252')}"
    )


def _cut_off(path: Path) -> str:
    return (
        f"{path} is cut off after {path.stat().st_size:,} bytes, as when a download or an unpacking stopped; "
        "fetch or unpack it again"
    )


def _convert(encoding: str) -> str:
    return f"save it as UTF-8 in an editor, or: iconv -f {encoding} -t UTF-8 OLD > NEW"
