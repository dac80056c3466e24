"""Bring a lesson, or one exercise of it, back as it was shipped; what the learner had is kept as a dated copy."""

import re

from nbformat import NotebookNode

from course_lib.copies.folder import Folder
from course_lib.copies.merge import merge
from course_lib.copies.notebook import Unreadable, parse, to_bytes, write_bytes
from course_lib.copies.update import base_of
from course_lib.lesson.syllabus import Lesson, load_lessons


def reset(folder: Folder, number: str, exercise: str | None = None) -> str:
    """Bring back lesson `number` ("12"), or only the answer to one exercise of it ("12.1"); return what to tell.

    Raises:
        ValueError: there is no such lesson or exercise, or no copy of it yet.
        OSError: the folder cannot be written.
    """
    lesson = _lesson(number)
    path, shipped = folder.copy(lesson), lesson.notebook.read_bytes()
    ids = _answer_cells(lesson, parse(shipped), exercise) if exercise else set()
    if not path.exists():
        raise ValueError(f"there is no copy of lesson {lesson.number} in {folder} yet; make one: course copy")
    what = f"exercise {exercise}" if exercise else f"lesson {lesson.number}"
    with folder.lock():
        fresh = _with_fresh(folder, lesson, ids) if exercise else shipped
        if path.read_bytes() == fresh:
            return f"{what} is as it was shipped already"
        kept = folder.keep(path)
        write_bytes(fresh, path)
        write_bytes(shipped, folder.shipped(lesson))
    return f"{what} is as it was shipped; the lesson as you had it: {kept.relative_to(folder.path).as_posix()}"


def _lesson(number: str) -> Lesson:
    built = {lesson.number: lesson for lesson in load_lessons() if lesson.built}
    lesson = built.get(number) or built.get(f"0{number}")
    if lesson is None:
        raise ValueError(f"there is no lesson {number!r}; there are {', '.join(built)}")
    return lesson


def _answer_cells(lesson: Lesson, shipped: NotebookNode, exercise: str) -> set[str]:
    """Ids of the cells to answer an exercise in: those tagged `exercise` between its heading and the next one."""
    found: dict[str, set[str]] = {}
    here: set[str] = set()
    for cell in shipped.cells:
        if "exercise" in cell.metadata.get("tags", []):
            here.add(cell.id)
        for heading in re.findall(r"^#+ .*", cell.source, re.MULTILINE) if cell.cell_type == "markdown" else ():
            named = re.search(r"Exercise (\d+\.\d+)", heading)
            here = found.setdefault(named[1], set()) if named else set()
    if not found.get(exercise):
        raise ValueError(f"lesson {lesson.number} has no exercise {exercise!r}; it has {', '.join(found) or 'none'}")
    return found[exercise]


def _with_fresh(folder: Folder, lesson: Lesson, ids: set[str]) -> bytes:
    """The learner's copy with these cells as shipped; the rest is merged, which changes nothing if it is current."""
    content = folder.copy(lesson).read_bytes()
    try:
        mine = parse(content)
    except Unreadable as error:
        raise ValueError(f"your copy {error}; bring the whole lesson back: course reset {lesson.number}") from error
    new = parse(lesson.notebook.read_bytes())
    merged = merge(base_of(folder, lesson).cells, mine.cells, new.cells, restore=ids)
    if merged == mine.cells:
        return content
    mine.cells = merged
    return to_bytes(mine)
