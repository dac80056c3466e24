"""The record of one interview question, as every drill, view and export sees it."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from course_lib.interview.evidence import Evidence

LANGUAGES = {"en": "English", "zh": "中文"}
Depth = Literal["screen", "onsite", "staff"]
DEPTHS = get_args(Depth)
BY_LOADER = {"by_loader": True}  # metadata of the fields that the loader fills and no file may set


@dataclass(frozen=True)
class Text:
    """The same thing said twice; `text["zh"]` is the Chinese one. Plain text with $…$ for formulas, no Markdown."""

    en: str
    zh: str

    def __getitem__(self, language: str) -> str:
        if language not in LANGUAGES:
            raise KeyError(f"no language {language!r}; there are {', '.join(LANGUAGES)}")
        return getattr(self, language)


@dataclass(frozen=True)
class KeyPoint(Text):
    """One sentence an interviewer ticks off, and what it rests on."""

    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class FollowUp:
    """What is asked next, and an answer to it."""

    question: Text
    answer: Text


@dataclass(frozen=True)
class WrongAnswer:
    """What candidates say, and what refutes it."""

    statement: Text
    why: Text
    evidence: tuple[Evidence, ...]
    errata: tuple[str, ...] = ()
    """Numbers of the catalogued errors that it covers, "X060"."""


@dataclass(frozen=True)
class Frequency:
    """How often the question was met, according to whom, and when they counted."""

    text: Text
    source: str
    date: str


@dataclass(frozen=True)
class Question:
    """One record of the bank."""

    id: str
    """"Q004": Q001 to Q070 are the canonical questions, Q101 to Q160 the modern ones, from Q201 on the course's own."""
    depth: Depth
    """screen: a phone interview; onsite: at the whiteboard; staff: design, ownership and trade-offs."""
    lesson: str
    """Two digits, "07"."""
    question: Text
    answer: Text
    """What fits into 60 seconds."""
    key_points: tuple[KeyPoint, ...]
    follow_ups: tuple[FollowUp, ...]
    wrong_answer: WrongAnswer
    exercise: str | None
    """Id of the exercise that practises it, or null."""
    tags: tuple[str, ...]
    more_wrong_answers: tuple[WrongAnswer, ...] = ()
    """Other things candidates say to the same question, each with its own refutation."""
    section: str | None = None
    """Number of the lesson's section, "7.4"; left out, it is the section of the first claim among the key points."""
    frequency: Frequency | None = None
    seeds: tuple[str, ...] = ()
    """Where the question was met: document and number, "004-13"."""
    covers: tuple[str, ...] = ()
    """Sub-points that an answer to the seed question has to name."""
    planned: tuple[str, ...] = field(default=(), metadata=BY_LOADER)
    """Claims and exercises it names whose lesson is not written yet."""
    source: str = field(default="", metadata=BY_LOADER)
    """File and line of the record."""

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Everything the record rests on, in reading order."""
        return tuple(e for part in (*self.key_points, *self.wrong_answers) for e in part.evidence)

    @property
    def wrong_answers(self) -> tuple[WrongAnswer, ...]:
        """What candidates say, the usual one first."""
        return (self.wrong_answer, *self.more_wrong_answers)
