"""The question bank, or a part of it, as an Anki package: one deck a lesson, the cards as cards.py makes them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import genanki

from course_lib.interview.cards import COURSE, KINDS, LANGUAGES, notes_of
from course_lib.interview.page import Part, load_parts
from course_lib.interview.record import DEPTHS, Question
from course_lib.lesson.syllabus import Lesson


def write_anki(
    path: Path,
    *,
    language: str = "both",
    lessons: Sequence[str] | None = None,
    depth: str | None = None,
    cards: str = "questions",
) -> int:
    """Write an Anki package to `path`; returns the number of notes.

    language: "en", "zh" or "both". lessons: two digits each, None for all. depth: "screen", "onsite" or "staff", None
    for all. cards: "questions", the whole answer on a card, or "points", one key point a card.
    A later import with another language, or of changed texts, updates the notes; what the bank drops stays in Anki.
    Raises ValueError for a choice that no question fits, OSError where the file cannot be written.
    """
    if language not in LANGUAGES:
        raise ValueError(f"language {language!r} is none of {', '.join(LANGUAGES)}")
    if cards not in KINDS:
        raise ValueError(f"cards {cards!r} are none of {', '.join(KINDS)}")
    decks = []
    for part, lesson, questions in _chosen(lessons, depth):
        name = f"{COURSE}::Part {part.number} · {part.title}::{lesson.number} · {lesson.title}"
        deck = genanki.Deck(_stable_id(f"deck {lesson.number}"), name)
        for note in (note for question in questions for note in notes_of(question, language, cards)):
            note.tags = [f"part-{part.number}", *note.tags]
            deck.add_note(note)
        decks.append(deck)
    path.parent.mkdir(parents=True, exist_ok=True)
    genanki.Package(decks).write_to_file(path)
    return sum(len(deck.notes) for deck in decks)


def _chosen(lessons: Sequence[str] | None, depth: str | None) -> list[tuple[Part, Lesson, list[Question]]]:
    """Lessons with the questions that were asked for; ValueError for a lesson or a depth that has none."""
    every = [(part, lesson, questions) for part in load_parts() for lesson, questions in part.lessons]
    have = [lesson.number for _, lesson, _ in every]
    if unknown := [each for each in lessons or () if each not in have]:
        raise ValueError(f"no question for lesson {unknown[0]!r}; the bank has questions for {', '.join(have)}")
    own = [each for each in every if lessons is None or each[1].number in lessons]
    found = [(part, lesson, [q for q in questions if depth in (None, q.depth)]) for part, lesson, questions in own]
    if not any(questions for _, _, questions in found):
        depths = {question.depth for _, _, questions in own for question in questions}
        raise ValueError(
            f"no question of depth {depth!r} there; there are {', '.join(d for d in DEPTHS if d in depths)}"
        )
    return [each for each in found if each[2]]


def _stable_id(name: str) -> int:
    """An id that Anki accepts, 1 to 2^31, the same at every run."""
    return 1 + int.from_bytes(hashlib.sha256(f"{COURSE} {name}".encode()).digest()[:4], "big") % (2**31 - 1)
