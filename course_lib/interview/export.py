"""The question bank as an Anki package: one deck a lesson, both languages on a card, formulas for Anki's MathJax.

A note's guid is made of the question's id, and model and decks have fixed ids, so that importing a newer package
updates texts and keeps every review (Anki matches notes by guid, see https://docs.ankiweb.net/importing/packaged-decks.html).
"""

import hashlib
from html import escape
from pathlib import Path

import genanki

from course_lib.interview.page import Part, load_parts, parts_html, text_html, titles
from course_lib.interview.record import Question
from course_lib.lesson.syllabus import Lesson

COURSE = "Every Answer Runs"
FIELDS = ("Question", "问题", "Answer", "回答", "Id", "Depth")
_FRONT = '<p class="id">{{Id}} · {{Depth}}</p><p><b>{{Question}}</b></p><p lang="zh-Hans">{{问题}}</p>'
_BACK = '{{FrontSide}}<hr id="answer">{{Answer}}<hr><div lang="zh-Hans">{{回答}}</div>'
_CSS = """
.card { font-family: sans-serif; font-size: 17px; line-height: 1.5; text-align: left; max-width: 46em; margin: auto; }
.id, .proof, h4 { color: #777; font-size: 80%; font-weight: normal; margin: 0.8em 0 0.2em; }
"""
MODEL = genanki.Model(
    1607392319,  # never change it: Anki would take every note for a new one
    COURSE,
    fields=[{"name": name} for name in FIELDS],
    templates=[{"name": "Question", "qfmt": _FRONT, "afmt": _BACK}],
    css=_CSS,
)


def write_anki(path: Path) -> int:
    """Write the whole bank to `path` as an Anki package; returns the number of notes."""
    decks = [_deck(part, lesson, questions) for part in load_parts() for lesson, questions in part.lessons]
    path.parent.mkdir(parents=True, exist_ok=True)
    genanki.Package(decks).write_to_file(path)
    return sum(len(deck.notes) for deck in decks)


def mathjax(tex: str) -> str:
    """A formula as Anki wants it: between \\( and \\), with <, > and & escaped."""
    return rf"\({escape(tex, quote=False)}\)"


def guid(question: str) -> str:
    """The id by which Anki recognises a note, made of the question's id alone."""
    return genanki.guid_for(COURSE, question)


def _deck(part: Part, lesson: Lesson, questions: tuple[Question, ...]) -> genanki.Deck:
    name = f"{COURSE}::Part {part.number} · {part.title}::{lesson.number} · {lesson.title}"
    deck = genanki.Deck(_stable_id(f"deck {lesson.number}"), name)
    for question in questions:
        deck.add_note(_note(part, question))
    return deck


def _note(part: Part, question: Question) -> genanki.Note:
    fields = [
        text_html(question.question.en, mathjax),
        text_html(question.question.zh, mathjax),
        _answer(question, "en"),
        _answer(question, "zh"),
        question.id,
        question.depth,
    ]
    own = [tag.replace(" ", "-") for tag in question.tags]  # a space would end the tag
    tags = [f"part-{part.number}", f"lesson-{question.lesson}", question.depth, *own]
    return genanki.Note(model=MODEL, fields=fields, guid=guid(question.id), tags=tags)


def _answer(question: Question, language: str) -> str:
    named = titles(language)
    return "".join(f"<h4>{named[part]}</h4>{html}" for part, html in parts_html(question, language, mathjax).items())


def _stable_id(name: str) -> int:
    """An id that Anki accepts, 1 to 2^31, the same at every run."""
    return 1 + int.from_bytes(hashlib.sha256(f"{COURSE} {name}".encode()).digest()[:4], "big") % (2**31 - 1)
