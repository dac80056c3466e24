"""Questions on pages that no notebook shows: cards of other programs, and paper. Grouped by part and lesson.

Only the formulas differ from page to page, so everything here takes `formula`, a function from TeX to HTML.
"""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from course_lib.interview.answer import PARTS, WORDS, Line, blocks, cite
from course_lib.interview.questions import load_questions
from course_lib.interview.record import DEPTHS, Question
from course_lib.lesson.syllabus import Lesson, load_lessons

Formula = Callable[[str], str]


@dataclass(frozen=True)
class Part:
    """One part of the course with the lessons that have questions, and those questions from screen to staff."""

    number: int
    title: str
    lessons: tuple[tuple[Lesson, tuple[Question, ...]], ...]


def load_parts() -> list[Part]:
    """All parts with questions, in order. Part 2 is "II Representation and fusion" of the list of lessons."""
    bank, lessons = load_questions(), load_lessons()
    names = list(dict.fromkeys(lesson.part for lesson in lessons if " " in lesson.part))  # all but the start page's
    parts = []
    for number, name in enumerate(names, 1):
        own = [(each, _questions_of(each, bank)) for each in lessons if each.part == name]
        if filled := tuple((lesson, found) for lesson, found in own if found):
            parts.append(Part(number, name.partition(" ")[2], filled))
    return parts


def find_part(number: int) -> Part:
    """One part by its number; ValueError that lists the parts when there is none."""
    parts = {part.number: part for part in load_parts()}
    if number not in parts:
        have = ", ".join(f"{each.number} {each.title}" for each in parts.values())
        raise ValueError(f"no part {number} with questions; there are {have}")
    return parts[number]


def text_html(text: str, formula: Formula) -> str:
    """Plain text with $…$ as HTML: escaped, formulas through `formula`."""
    pieces = text.split("$")
    if len(pieces) % 2 == 0:
        raise ValueError(f"a formula opens and never closes: {text!r}; write $…$")
    return "".join(formula(each) if index % 2 else escape(each) for index, each in enumerate(pieces))


def parts_html(question: Question, language: str, formula: Formula) -> dict[str, str]:
    """HTML of each part of the answer, under its key in `PARTS`: a paragraph, or a list where it has several lines."""
    found = {}
    for part in PARTS:
        ((_, lines),) = blocks(question, language, (part,))
        items = [line_html(line, language, formula) for line in lines]
        found[part] = (
            f"<p>{items[0]}</p>" if len(items) == 1 else "<ul>" + "".join(f"<li>{i}</li>" for i in items) + "</ul>"
        )
    return found


def line_html(line: Line, language: str, formula: Formula) -> str:
    """One paragraph or list entry as HTML, with what it rests on behind it; a source on the web is a link."""
    lead = f"<b>{text_html(line.lead, formula)}</b> " if line.lead else ""
    cited = [_reference(*cite(evidence, language)) for evidence in line.evidence]
    proof = f' <span class="proof">[{"; ".join(cited)}]</span>' if cited else ""
    return f"{lead}{text_html(line.text, formula)}{proof}"


def _reference(label: str, url: str | None) -> str:
    on_the_web = url is not None and url.startswith("https://")  # a notebook is not beside a card or on paper
    return f'<a href="{escape(url)}">{escape(label)}</a>' if on_the_web else escape(label)


def titles(language: str) -> dict[str, str]:
    """What the parts of an answer are called."""
    return {part: WORDS[language][part] for part in PARTS}


def _questions_of(lesson: Lesson, bank: list[Question]) -> tuple[Question, ...]:
    own = [question for question in bank if question.lesson == lesson.number]
    return tuple(sorted(own, key=lambda question: DEPTHS.index(question.depth)))
