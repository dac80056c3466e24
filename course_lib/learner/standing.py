"""How far the lessons have come, counted from the log: what was opened, which exercises pass, which bets were won."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from course_lib.learner.log import Entry, entries
from course_lib.learner.repair import Aside
from course_lib.learner.store import StoreError, damaged_files


class Standing(NamedTuple):
    """The log of lessons in a few figures."""

    lessons: tuple[str, ...]
    """Lessons in which anything happened, "07", in order."""
    completed: tuple[str, ...]
    """Lessons of which every exercise was passed once."""
    exercises: tuple[str, ...]
    """Ids that were asked about."""
    passed: tuple[str, ...]
    """Those of them that were passed once."""
    tries: int
    """Checks of these exercises, passed or not."""
    bets: int
    """Claims that were bet on."""
    won: int
    """Those of them where the first bet was right; after it the answer is known."""
    damaged: tuple[Aside, ...] = ()
    """Damaged files that were moved aside, oldest first."""
    trouble: str = ""
    """Why the log could not be read; empty when it could."""


def standing(exercises: Iterable[str] = ()) -> Standing:
    """Count the log. exercises: ids of all exercises to count, "07.1 fuse"; of others nothing is counted.

    Never raises: a log that cannot be read counts as an empty one, and `trouble` says why.
    """
    try:
        return count(entries(), exercises)._replace(damaged=tuple(damaged_files()))
    except StoreError as error:
        return count([], exercises)._replace(trouble=str(error))


def count(log: list[Entry], exercises: Iterable[str] = ()) -> Standing:
    """The figures of `log`, which is oldest first."""
    ids = tuple(exercises)
    checks = [each for each in log if each.kind == "check" and each.id in ids]
    good = {each.id for each in checks if each.detail.get("passed") is True}
    first_bets = {each.id: each.detail.get("won") is True for each in reversed(log) if each.kind == "bet"}
    open_lessons = {lesson_of(id) for id in ids if id not in good}
    return Standing(
        lessons=tuple(sorted({lesson_of(each.id) for each in log} - {""})),
        completed=tuple(sorted({lesson_of(id) for id in ids} - open_lessons)),
        exercises=ids,
        passed=tuple(id for id in ids if id in good),
        tries=len(checks),
        bets=len(first_bets),
        won=sum(first_bets.values()),
    )


def lesson_of(id: str) -> str:
    """The lesson that an id speaks of: "07" for "07", "07.1 fuse" and "C07.2"; "" for none."""
    found = re.match(r"\D?(\d\d)(?!\d)", id)
    return found[1] if found else ""
