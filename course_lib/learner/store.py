"""What the learner did, on disk: one SQLite file in the user's data folder, written before the next question appears.

The file is a log. Reviews, requests, events of mock interviews and notes of lessons are only ever appended (triggers
refuse anything else), each in a transaction of its own, and the state of a card is computed from the log, so there is
no second copy that could disagree. Every call opens the file, does one thing and closes it: two kernels can practise
at once (write-ahead log, busy timeout), and a kernel that is killed loses nothing that was rated. A damaged file is
moved aside, never overwritten; what SQLite can still read of it is carried over.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import platformdirs

from course_lib.learner.clock import read_stamp, stamp, utc_now
from course_lib.learner.repair import BUSY_SECONDS, Aside, complete, held, insert, list_aside, needs_repair, repair
from course_lib.learner.tables import COLUMNS, RATINGS, SCHEMA, VERSION, fits

FILE = "reviews.sqlite3"


class StoreError(RuntimeError):
    """Reviews cannot be read or written; the message says what to do."""


class StaleMock(RuntimeError):
    """Somebody else, another kernel or terminal, has continued this mock interview since it was read."""


@dataclass(frozen=True)
class Review:
    """One rating."""

    question: str
    """Id of the question, which the bank may have dropped since."""
    rating: int
    """1 again, 2 hard, 3 good, 4 easy."""
    at: datetime
    """When, in UTC."""
    seconds: float | None = None
    """From showing the question to rating it; None where nobody measured."""


@dataclass(frozen=True)
class Request:
    """Somebody, for example a mock interview, wants a question drilled soon."""

    question: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Note:
    """Something that happened in a lesson; learner/log.py says what the kinds mean."""

    kind: str
    subject: str
    """Id of what it is about, an exercise or a claim."""
    at: datetime
    detail: str
    """JSON."""


@dataclass(frozen=True)
class MockEvent:
    """One thing that happened in a mock interview; what `content` means is the business of rounds/state.py."""

    mock: str
    """Id of the mock interview."""
    number: int
    """0, 1, 2, ... within it."""
    at: datetime
    content: str
    """JSON."""


def data_folder() -> Path:
    """Where reviews are kept: COURSE_DATA if set (read at every call), else the system's place for user data."""
    if folder := os.environ.get("COURSE_DATA"):
        try:
            return Path(folder).expanduser()
        except RuntimeError as error:  # "~somebody" who has no home here
            raise StoreError(f"COURSE_DATA is {folder!r}, and {error}; name a folder of yours") from error
    return Path(platformdirs.user_data_dir("every-answer-runs", appauthor=False))


def damaged_files(folder: Path | None = None) -> list[Aside]:
    """Damaged files that were moved aside, oldest first, with when; for `course progress` and `course doctor`.

    They stay until somebody deletes them; what could be read of them was carried over. Makes no file.
    """
    return list_aside((folder or data_folder()) / FILE)


def add_to_drill(questions: Iterable[str], reason: str, *, store: "ReviewStore | None" = None) -> None:
    """Make the drill ask these questions next, each until it is rated again: for what a mock interview found weak.

    questions: ids ("Q004"). reason: what the drill shows beside the question, "mock interview: no formula".
    """
    (store or ReviewStore()).request(questions, reason)


class ReviewStore:
    """The review log in `folder`, by default `data_folder()`; created at the first use.

    Raises StoreError when the folder cannot be written or a newer course wrote the file.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.path = (folder or data_folder()) / FILE
        self._notices: dict[str, str] = {}
        with self._explained():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if needs_repair(self.path):
                self._notices["damage"] = repair(self.path, SCHEMA, COLUMNS, fits)
            with self._open() as connection:
                ((found,),), ((journal,),) = map(connection.execute, ("PRAGMA user_version", "PRAGMA journal_mode"))
            if found < VERSION or (found == VERSION and journal != "wal"):
                complete(self.path, SCHEMA)
        if found > VERSION:
            raise StoreError(
                f"{self.path} has format {found}, this course knows {VERSION}: a newer version of the course wrote it. "
                "Update the course, or set COURSE_DATA to another folder"
            )

    @property
    def notice(self) -> str:
        """Empty, or what was found and done about a damaged file, and which rows were passed over."""
        return "\n".join(filter(None, self._notices.values()))

    def add(self, review: Review) -> None:
        """Append one review; when this returns it is on disk."""
        if review.rating not in RATINGS:
            raise ValueError(f"rating {review.rating!r} is none of {RATINGS}")
        values = (review.question, int(review.rating), stamp(review.at), review.seconds)
        self._append("reviews", [values])

    def request(self, questions: Iterable[str], reason: str, *, at: datetime | None = None) -> None:
        """Append a request for each question id; all of them or none."""
        when = stamp(at or utc_now())
        self._append("requests", [(question, reason, when) for question in questions])

    def add_note(self, note: Note) -> None:
        """Append one note."""
        self._append("notes", [(note.kind, note.subject, stamp(note.at), note.detail)])

    def notes(self) -> list[Note]:
        """All notes in the order they were written."""
        return [Note(kind, subject, read_stamp(at), detail) for kind, subject, at, detail in self._all("notes")]

    def add_mock_event(self, event: MockEvent) -> None:
        """Append one event; StaleMock when its number is taken, so that two kernels cannot both answer a question."""
        try:
            self._append("mock_events", [(event.mock, event.number, stamp(event.at), event.content)])
        except StoreError as error:
            if isinstance(error.__cause__, sqlite3.IntegrityError):
                raise StaleMock(
                    f"this mock interview was continued in another window (event {event.number} is there already); "
                    "go on there, or resume it here"
                ) from error
            raise

    def mock_events(self, mock: str | None = None) -> dict[str, list[MockEvent]]:
        """The events of each mock interview, or of one, by number; the oldest interview first."""
        found: dict[str, list[MockEvent]] = {}
        for id, number, at, content in self._all("mock_events", mock):
            found.setdefault(id, []).append(MockEvent(id, number, read_stamp(at), content))
        return {id: sorted(events, key=lambda each: each.number) for id, events in found.items()}

    def reviews(self) -> list[Review]:
        """All reviews, oldest first."""
        rows = self._all("reviews")
        return sorted((Review(q, rating, read_stamp(at), s) for q, rating, at, s in rows), key=lambda each: each.at)

    def requests(self) -> list[Request]:
        """All requests, oldest first."""
        return [Request(question, reason, read_stamp(at)) for question, reason, at in self._all("requests")]

    def _append(self, table: str, rows: list[tuple]) -> None:
        with self._explained(), self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            insert(connection, table, COLUMNS[table], rows)
            connection.execute("COMMIT")

    def _all(self, table: str, mock: str | None = None) -> list[tuple]:
        """The rows that fit, oldest first; the others stay in the file, and `notice` says how many."""
        chosen = "" if mock is None else "WHERE mock = :mock"
        with self._explained(), self._open() as connection:
            query = f"SELECT {COLUMNS[table]} FROM {table} {chosen} ORDER BY id"
            rows = connection.execute(query, {} if mock is None else {"mock": mock}).fetchall()
        if strange := [row for row in rows if not fits(table, row)]:
            self._notices[table] = (
                f"{len(strange)} of {len(rows)} rows of {table} in {self.path} are passed over, the first is "
                f"{strange[0]}: a wrong clock or another program wrote them. They stay in the file"
            )
        return [row for row in rows if fits(table, row)]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with held(self.path), closing(self._connect()) as connection:
            connection.execute("PRAGMA synchronous = FULL")  # a commit survives a power cut, not only a killed kernel
            yield connection

    def _connect(self) -> sqlite3.Connection:
        # isolation_level=None: transactions are the ones written here, none is opened behind our back
        return sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.OperationalError) as error:
            raise StoreError(_explain(self.path, error)) from error
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"{self.path} is damaged: {error}. Call again: the file will be moved aside, and what can be read "
                "carried over"
            ) from error


def _explain(path: Path, error: Exception) -> str:
    """Why the file could not be used, and what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_ERROR:
        return (
            f"{path} is not as the course made it: {error}. If it was deleted or replaced, call again and go on; if "
            "another program changed it, move it away, and a new one is made"
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return (
            f"{path} is locked: another program has kept it for itself for {BUSY_SECONDS:g} s, for example a kernel or "
            "terminal of the course that hangs, a database browser with unsaved changes, or a program that copies or "
            "synchronises the folder. Close it, or wait, and call again. Nothing that was saved before is lost"
        )
    return (
        f"cannot keep reviews in {path}: {error}. Make the folder writable and leave space on the disk, or choose "
        "another: import os; os.environ['COURSE_DATA'] = '/a/folder/of/yours', then call again. Nothing that was saved "
        "before is lost"
    )
