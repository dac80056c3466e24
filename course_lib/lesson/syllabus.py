"""The list of lessons: what exists, what is planned. datasets/lessons.csv says what; notebooks/src says whether."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Lesson(NamedTuple):
    """One row of datasets/lessons.csv."""

    number: str
    """Two digits: "07"."""
    slug: str
    part: str
    title: str
    title_zh: str
    question: str
    """The interview question the lesson earns an answer to."""

    @property
    def name(self) -> str:
        """Number and title, as lists and links show it."""
        return f"{self.number} · {self.title}"

    @property
    def source(self) -> Path:
        """The py:percent file that people edit; the lesson is planned until it exists."""
        return ROOT / "notebooks" / "src" / f"{self.number}_{self.slug}.py"

    @property
    def notebook(self) -> Path:
        """The built notebook, outputs included."""
        return ROOT / "notebooks" / f"{self.number}_{self.slug}.ipynb"

    @property
    def built(self) -> bool:
        """Whether the lesson can be opened."""
        return self.notebook.exists()


def load_lessons() -> list[Lesson]:
    """All lessons in order, planned ones included."""
    with open(ROOT / "datasets" / "lessons.csv", encoding="utf-8", newline="") as file:
        return [Lesson(**row) for row in csv.DictReader(file)]


def find_lesson(number: str) -> Lesson:
    """The lesson of that number, two digits; ValueError with the numbers when there is none."""
    lessons = {lesson.number: lesson for lesson in load_lessons()}
    if number not in lessons:
        raise ValueError(f"no lesson {number!r}; there are {', '.join(lessons)}, as text of two digits")
    return lessons[number]


def lesson_map(remarks: Mapping[str, str] | None = None) -> str:
    """Markdown: one line a lesson, under its part; built lessons are links, planned ones say so.

    remarks: number of a lesson to what stands behind its link.
    """
    lines, part = [], None
    for lesson in load_lessons():
        if lesson.part != part:
            part = lesson.part
            lines += ["", f"**{part}**", ""]
        name = f"{lesson.name} ({lesson.title_zh})"
        remark = (remarks or {}).get(lesson.number, "")
        lines.append(f"- [{name}]({lesson.notebook.name}){remark}" if lesson.built else f"- {name}, *planned*")
    return "\n".join(lines)
