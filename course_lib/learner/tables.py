"""The tables of the learner's file: what stands in them, that it is only appended, and which rows fit."""

import json

from course_lib.learner.clock import read_stamp

VERSION = 3  # 1: reviews and requests; 2: events of mock interviews as well; 3: notes of lessons as well
RATINGS = {1: "again", 2: "hard", 3: "good", 4: "easy"}
SCHEMA = """
CREATE TABLE IF NOT EXISTS reviews (
    id INTEGER PRIMARY KEY, question TEXT NOT NULL, rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 4),
    at TEXT NOT NULL, seconds REAL);
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY, question TEXT NOT NULL, reason TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS mock_events (
    id INTEGER PRIMARY KEY, mock TEXT NOT NULL, number INTEGER NOT NULL, content TEXT NOT NULL, at TEXT NOT NULL,
    UNIQUE (mock, number));
CREATE TABLE IF NOT EXISTS notes (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL, at TEXT NOT NULL);
"""
COLUMNS = {
    "mock_events": "mock, number, at, content",
    "reviews": "question, rating, at, seconds",
    "requests": "question, reason, at",
    "notes": "kind, subject, at, detail",
}
"""Table to its columns but `id`; the third of each is the time."""
SCHEMA += "".join(
    f"CREATE TRIGGER IF NOT EXISTS {table}_{verb.lower()} BEFORE {verb} ON {table} "
    f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END;\n"
    for table in COLUMNS
    for verb in ("UPDATE", "DELETE")
)
SCHEMA += f"PRAGMA user_version = {VERSION};"
_KINDS = {
    "mock_events": (str, int, str),
    "reviews": (str, int, int | float | None),
    "requests": (str, str),
    "notes": (str, str, str),
}
"""What the columns hold, the time left out."""


def fits(table: str, row: tuple) -> bool:
    """Whether a row, its values in the order of COLUMNS, is one that this course could have written."""
    if read_stamp(row[2]) is None or not all(map(isinstance, (*row[:2], *row[3:]), _KINDS[table])):
        return False
    return row[1] in RATINGS if table == "reviews" else table != "notes" or _is_object(row[3])


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
