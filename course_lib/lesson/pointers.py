"""Where a lesson points: its neighbours, and lessons that its text names. A built one is a link, a planned one says so.

The pointers stand in the sources, as text that people read; `notebooks/build.py` rewrites them, so a lesson that was
just built is linked from all the others.
"""

import re

from course_lib.lesson.syllabus import Lesson, load_lessons

MARKER = "*Lessons:*"
"""Opens the line with the neighbours, at the top and at the end of a lesson."""
SHORT = "*15 minutes:*"
"""Opens the line at the top that takes those in a hurry to these sections."""
_ESSENCE = ("The 60-second answer", "Wrong answers people give", "Card")
_MARKDOWN = re.compile(r"^# %% \[markdown\].*?(?=^# %%|\Z)", re.MULTILINE | re.DOTALL)
_NEIGHBOURS = re.compile(rf"^{re.escape(MARKER)}.*$", re.MULTILINE)
_SHORT = re.compile(rf"^{re.escape(SHORT)}.*$", re.MULTILINE)
_MENTION = re.compile(
    r"\[(?P<linked>[Ll]esson) (?P<there>\d\d)\]\((?P<target>[^)]*)\)"
    r"|(?<!\[)\b(?P<plain>[Ll]esson) (?P<here>\d\d)\b(?: \(planned\))?"
)
_CALLED_PLANNED = re.compile(
    r"\b(?:claim C|exercise )(\d\d)\.\w+(?: \w+)?, in a lesson not written yet|\blesson (\d\d) \(planned\)"
)


def called_planned(page: str) -> set[str]:
    """Numbers of the lessons of which a page of questions or terms says that they are not there yet."""
    return {"".join(numbers) for numbers in _CALLED_PLANNED.findall(page)}


def render(source: str, number: str) -> str:
    """`source`, the text of lesson `number`, with every pointer up to date.

    Raises ValueError where it names a lesson that the list of lessons does not have.
    """
    lessons = {lesson.number: lesson for lesson in load_lessons()}

    def cell(match: re.Match) -> str:
        text = _NEIGHBOURS.sub(lambda _: say_neighbours(number), match[0])
        text = _SHORT.sub(lambda _: say_essence(source), text)
        return _MENTION.sub(lambda mention: _point(mention, number, lessons), text)

    return _MARKDOWN.sub(cell, source)


def say_neighbours(number: str) -> str:
    """One line of Markdown: the start page, the lesson before and the one after, and the nearest ones that open."""
    lessons = load_lessons()
    here = [lesson.number for lesson in lessons].index(number)
    before, after = lessons[1:here][::-1], lessons[here + 1 :]  # the start page has a link of its own
    parts = [f"[start page]({lessons[0].notebook.name})"] if here else []
    parts += [f"previous: {_nearest(before, 'before it')}"] if before else []
    parts += [f"next: {_nearest(after, 'then')}"] if after else []
    return f"{MARKER} {' · '.join(parts)}"


def say_essence(source: str) -> str:
    """One line of Markdown: links to the sections that fit into 15 minutes. JupyterLab's anchors keep case and dots."""
    headings = {part: re.search(rf"^## ([\d.]+ {part})$", source, re.MULTILINE) for part in _ESSENCE}
    links = [f"[{part}](#{found[1].replace(' ', '-')})" for part, found in headings.items() if found]
    return f"{SHORT} {' · '.join(links)}"


def _nearest(lessons: list[Lesson], joint: str) -> str:
    """The first of `lessons`; when it is planned, also the first that can be opened."""
    first, opened = lessons[0], next((lesson for lesson in lessons if lesson.built), None)
    if first.built:
        return _link(first)
    return f"{first.name} (planned)" + (f", {joint} {_link(opened)}" if opened else "")


def _link(lesson: Lesson) -> str:
    return f"[{lesson.name}]({lesson.notebook.name})"


def _point(mention: re.Match, number: str, lessons: dict[str, Lesson]) -> str:
    word, named = mention["linked"] or mention["plain"], mention["there"] or mention["here"]
    if named not in lessons:
        raise ValueError(f"lesson {number} names lesson {named}; there are {', '.join(lessons)}")
    lesson = lessons[named]
    if named == number:
        return mention[0]
    if not lesson.built:
        return f"{word} {named} (planned)"
    name, target = lesson.notebook.name, mention["target"] or ""
    return f"[{word} {named}]({target if target.startswith(name) else name})"
