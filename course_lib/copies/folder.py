"""The learner's folder: copies of the lessons, and beside them, hidden, the version from which each copy was made.

my-lessons/07_fusing_modalities.ipynb           the learner's copy
my-lessons/figures/                             the pictures that lessons show
my-lessons/kept/                                dated copies of what a merge or a reset replaced
my-lessons/.course/shipped/07_....ipynb         the version from which the copy was made
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from course_lib.copies.notebook import write_bytes
from course_lib.lesson import syllabus
from course_lib.lesson.syllabus import Lesson

PATIENCE = 60
"""Seconds to wait for another `course` that is working on the folder."""


class Folder:
    """Where one learner's copies lie."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self.hidden = self.path / ".course"

    def __str__(self) -> str:
        """As a person would type it from the repository: my-lessons, or the whole path."""
        return str(self.path.relative_to(syllabus.ROOT) if self.path.is_relative_to(syllabus.ROOT) else self.path)

    def copy(self, lesson: Lesson) -> Path:
        """The learner's copy of a lesson."""
        return self.path / lesson.notebook.name

    def shipped(self, lesson: Lesson) -> Path:
        """The version of the lesson from which the copy was made."""
        return self.hidden / "shipped" / lesson.notebook.name

    def keep(self, path: Path, now: datetime | None = None) -> Path:
        """Make a dated copy of a file of the folder, and return where."""
        name = f"{path.stem}_{now or datetime.now():%Y-%m-%d_%H-%M-%S}"
        while (kept := self.path / "kept" / f"{name}{path.suffix}").exists():
            name += "x"  # a second one within the second
        write_bytes(path.read_bytes(), kept)
        shutil.copystat(path, kept)
        return kept

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let one process at a time work on the folder.

        Raises:
            OSError: the folder cannot be written, or another process held it for a minute.
        """
        lock = FileLock(self.hidden / "lock", timeout=PATIENCE)
        try:
            self.hidden.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            raise OSError(f"another `course` has been working on {self} for {PATIENCE} s; try again later") from error
        except OSError as error:
            raise OSError(f"{self} cannot be written ({error.strerror}); another folder: --lessons DIR") from error
        try:
            yield
        finally:
            lock.release()


def choose(named: str | None, environment: Mapping[str, str]) -> Folder:
    """The folder that was named, else the one that COURSE_LESSONS names, else my-lessons/ in the repository.

    Raises:
        ValueError: learners' copies cannot lie there.
    """
    folder = Folder(Path(named or environment.get("COURSE_LESSONS") or syllabus.ROOT / "my-lessons"))
    place = folder.path.resolve()
    if folder.path.exists() and not folder.path.is_dir():
        raise ValueError(f"{folder.path} is a file; name a folder for your copies, for example --lessons ~/my-lessons")
    if place == syllabus.ROOT or any(
        place.is_relative_to(syllabus.ROOT / name) for name in ("notebooks", "course_lib", "datasets")
    ):
        raise ValueError(f"{folder.path} belongs to the course itself; name a folder of your own")
    return folder
