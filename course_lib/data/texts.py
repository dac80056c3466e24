"""Text that grows with the course, such as the question files: whole or cut short, told by the text itself.

A sha256 of each would have to be renewed at every edit, and any two edits on two branches would collide in one line of
the catalogue, for nothing: what an edit changed is shown by version control. What a learner's disk or download does to
a text is to lose it or its end, and the end shows: YAML closes with its end mark, a line `...`; JSON with the bracket
that opened it. CSV has no end, so the catalogue keeps the number of its rows, and every row is as wide as the header.
"""

import csv
import io
import json
from pathlib import Path

SUFFIXES = (".yaml", ".csv", ".json")


def damage(path: Path, rows: int | None = None) -> str | None:
    """Return what is wrong with a text, None where it is whole.

    rows: how many a CSV file has, without its header; other texts show their end themselves.
    """
    content = path.read_bytes()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"byte {error.start:,} of {len(content):,} is no UTF-8: cut short or altered"
    if not text.strip():
        return "empty"
    if path.suffix == ".csv":
        return _csv_damage(text, rows)
    return _json_damage(text) if path.suffix == ".json" else _yaml_damage(text)


def count_rows(path: Path) -> int | None:
    """Return the rows of a CSV file without its header, None for a text that shows its end itself."""
    return len(_rows(path.read_text(encoding="utf-8"))) - 1 if path.suffix == ".csv" else None


def _yaml_damage(text: str) -> str | None:
    """A text may hold its end mark only at the end: what follows it belongs to another document."""
    lines = text.rstrip().split("\n")
    if lines[-1] == "...":
        return None
    marks = [number for number, line in enumerate(lines, start=1) if line == "..."]
    if marks:
        return f"goes on after its end mark, the line '...' ({marks[0]} of {len(lines)})"
    return f"cut short: its end mark, a last line '...', is missing after line {len(lines):,}"


def _json_damage(text: str) -> str | None:
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"cut short or altered: {error}"
    return None


def _csv_damage(text: str, rows: int | None) -> str | None:
    try:
        header, *found = _rows(text)
    except csv.Error as error:
        return f"altered: {error}"
    uneven = [number for number, row in enumerate(found, start=1) if len(row) != len(header)]
    if uneven:
        return f"cut short or altered: row {uneven[0]} of {len(found)} has not the {len(header)} fields of the header"
    if not text.endswith("\n"):
        return f"cut short in row {len(found)}: its last line is not ended"
    if rows is not None and len(found) != rows:
        return f"{'cut short' if len(found) < rows else 'altered'}: {len(found)} rows, the catalogue has {rows}"
    return None


def _rows(text: str) -> list[list[str]]:
    return [row for row in csv.reader(io.StringIO(text, newline="")) if row]
