"""What happened in lessons: exercises checked, bets made, lessons opened, written down as it happens.

Notes go into the file of the reviews (learner/store.py), each in a transaction of its own. The kinds, and what their
detail holds:

    "check"   id: exercise, "07.1 fuse"    passed: bool, stage: int (that failed, from 1; else 0), stages: int
    "bet"     id: claim, "C07.2"           choice: str, right: str, won: bool, sure: str, where it was asked
    "lesson"  id: lesson, "07"             opened: nothing else

With COURSE_STATIC=1, as when notebooks are built, nothing is written and nothing is read, so that a built notebook
does not depend on who builds it.
"""

import json
import os
from dataclasses import dataclass
from datetime import datetime

from course_lib.learner.clock import utc_now
from course_lib.learner.store import FILE, Note, ReviewStore, StoreError, data_folder

_told: set[str] = set()  # troubles that this session was told of


@dataclass(frozen=True)
class Entry:
    """One note, as it is read again."""

    kind: str
    id: str
    at: datetime
    """In UTC."""
    detail: dict


def note(kind: str, id: str, **detail: object) -> None:
    """Write down that something happened; when this returns it is on disk. `detail` must be fit for JSON.

    Where the file cannot be written it prints why in one line, once a session, and the lesson goes on. TypeError for a
    detail that is not fit for JSON, also with COURSE_STATIC=1, so that the build of a notebook finds it.
    """
    content = json.dumps(detail, ensure_ascii=False)
    if os.environ.get("COURSE_STATIC") == "1":
        return
    try:
        store = ReviewStore()
        store.add_note(Note(kind, id, utc_now(), content))
        trouble = store.notice
    except (StoreError, ValueError) as error:
        trouble = f"Not recorded: {error}"
    if trouble and trouble not in _told:
        _told.add(trouble)
        print(trouble)


def entries(kind: str | None = None) -> list[Entry]:
    """What was noted, oldest first, of one kind or of all; nothing where nothing was kept yet, and no file is made.

    Raises StoreError when the file cannot be read.
    """
    if os.environ.get("COURSE_STATIC") == "1" or not (data_folder() / FILE).exists():
        return []
    notes = sorted(ReviewStore().notes(), key=lambda each: each.at)
    return [_entry(each) for each in notes if kind in (None, each.kind)]


def _entry(note: Note) -> Entry:
    return Entry(note.kind, note.subject, note.at, json.loads(note.detail))
