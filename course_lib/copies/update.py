"""Bring a learner's folder up to date: a lesson is copied where it is missing, merged where the course changed it."""

from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode

from course_lib.copies.align import text
from course_lib.copies.folder import Folder
from course_lib.copies.merge import is_note, merge
from course_lib.copies.notebook import Unreadable, parse, to_bytes, write_bytes
from course_lib.lesson import syllabus
from course_lib.lesson.syllabus import Lesson, load_lessons

NOW = "or close the lessons there and run: course copy --now"


def update(folder: Folder, *, now: bool = False) -> list[str]:
    """Bring the folder up to date; return what to tell the learner, a line each; nothing to tell, no line.

    now: merge even while a Jupyter server is open on the folder. Otherwise only missing lessons are delivered then: a
        lesson that is open would ask, at its next save, which of two versions to keep.

    Raises:
        OSError: the folder cannot be written.
    """
    with folder.lock():
        _copy_figures(folder)
        lessons = [lesson for lesson in load_lessons() if lesson.built]
        for lesson in lessons:
            _follow_new_name(folder, lesson)
        missing = [lesson for lesson in lessons if not folder.copy(lesson).exists()]
        stale = [lesson for lesson in lessons if lesson not in missing and _needs_work(folder, lesson)]
        for lesson in missing:
            _deliver(folder, lesson)
        lines = [f"{_count(missing)} copied to {folder}"] if missing else []
        if stale and not now and (address := open_server(folder)):
            lines.append(f"{_count(stale)} to update, and {address} is open on {folder}: end it and start again, {NOW}")
        elif stale:
            lines += _update(folder, stale)
    return lines


def open_server(folder: Folder) -> str | None:
    """The address of a Jupyter server that serves the folder now; None where there is none."""
    from jupyter_server.serverapp import list_running_servers  # half a second

    place = folder.path.resolve()
    for server in list_running_servers():
        if (root := server.get("root_dir")) and place.is_relative_to(Path(root).resolve()):
            return server["url"]
    return None


def _follow_new_name(folder: Folder, lesson: Lesson) -> None:
    """Where the course gave a lesson another name, the copy gets it too; the number stays."""
    for record in sorted(folder.shipped(lesson).parent.glob(f"{lesson.number}_*.ipynb")):
        copy = folder.path / record.name
        if record.name != lesson.notebook.name and copy.exists() and not folder.copy(lesson).exists():
            copy.rename(folder.copy(lesson))
            record.replace(folder.shipped(lesson))


def _needs_work(folder: Folder, lesson: Lesson) -> bool:
    """Whether the course changed the lesson since the copy was made, or the copy cannot be read."""
    shipped = lesson.notebook.read_bytes()
    if _read(folder.shipped(lesson)) != shipped:
        return True
    try:
        parse(folder.copy(lesson).read_bytes())
    except (OSError, Unreadable):
        return True
    return False


def _update(folder: Folder, stale: list[Lesson]) -> Iterator[str]:
    untouched = []
    for lesson in stale:
        try:
            told = _bring_up_to_date(folder, lesson)
        except OSError as error:
            told = f"lesson {lesson.number} was not updated: {error}"
        if told:
            yield told
        else:
            untouched.append(lesson)
    if untouched:
        yield f"{_count(untouched)} updated"


def _bring_up_to_date(folder: Folder, lesson: Lesson) -> str:
    """Merge one lesson; what to tell about it, "" where the learner had written nothing."""
    path, shipped = folder.copy(lesson), lesson.notebook.read_bytes()
    new = parse(shipped)
    try:
        mine = parse(path.read_bytes())
    except Unreadable as error:
        kept = folder.keep(path)
        _deliver(folder, lesson)
        return f"lesson {lesson.number}: your copy {error}; it is now {_below(folder, kept)}, and the lesson is fresh"
    base = base_of(folder, lesson)
    if _content(mine) == _content(base):
        _deliver(folder, lesson)
        return ""
    kept = folder.keep(path)
    merged = merge(base.cells, mine.cells, new.cells)
    told = _summary(mine.cells, merged, new.cells)
    mine.cells = merged
    write_bytes(to_bytes(mine), path)
    write_bytes(shipped, folder.shipped(lesson))  # last: after a crash in between, the merge is done again
    return f"lesson {lesson.number} updated{told}; as it was before: {_below(folder, kept)}"


def _summary(mine: list[NotebookNode], merged: list[NotebookNode], new: list[NotebookNode]) -> str:
    shipped, before = {text(cell) for cell in new}, {text(cell) for cell in mine}
    own = sum(not is_note(cell) and text(cell) not in shipped for cell in merged)
    notes = sum(is_note(cell) and text(cell) not in before for cell in merged)
    told = f", {own} {'cell' if own == 1 else 'cells'} of yours kept" if own else ""
    return told + (f", {notes} with the course's new form in a note below" if notes else "")


def base_of(folder: Folder, lesson: Lesson) -> NotebookNode:
    """The version from which the copy was made; where that is lost, the new one: what differs is the learner's."""
    try:
        return parse(folder.shipped(lesson).read_bytes())
    except (OSError, Unreadable):
        return parse(lesson.notebook.read_bytes())


def _content(notebook: NotebookNode) -> list[tuple]:
    return [(*text(cell), cell.get("outputs")) for cell in notebook.cells]


def _deliver(folder: Folder, lesson: Lesson) -> None:
    """The lesson as shipped."""
    shipped = lesson.notebook.read_bytes()
    write_bytes(shipped, folder.copy(lesson))
    write_bytes(shipped, folder.shipped(lesson))


def _copy_figures(folder: Folder) -> None:
    for figure in sorted((syllabus.ROOT / "notebooks" / "figures").glob("*.svg")):
        copy, shipped = folder.path / "figures" / figure.name, figure.read_bytes()
        if _read(copy) != shipped:
            write_bytes(shipped, copy)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _below(folder: Folder, path: Path) -> str:
    return path.relative_to(folder.path).as_posix()


def _count(lessons: list[Lesson]) -> str:
    return f"{len(lessons)} {'lesson' if len(lessons) == 1 else 'lessons'}"
