"""Exercises: run a learner's function through staged tests and say what to look at next.

`check` prints one line and never raises, so an untouched notebook runs from top to bottom; it notes every try in the
learner's log. Every piece of advice has a mutant, a typical wrong answer that must trigger it; tests/test_exercises.py
runs them all. Stages compare numbers with `tolerance.close`, and call the answer through a `witness.Witness`, which
hands out copies: no stage needs a test that the arguments stay as they were.
"""

import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from course_lib.learner.log import note
from course_lib.lesson import crash
from course_lib.lesson.witness import Witness, fresh_world

TOUCHED = "your function changed its argument {}; copy it first, the caller still needs it"


@dataclass(frozen=True)
class Exercise:
    """One thing to write, the tests for it, and the wrong answers those tests must catch."""

    id: str
    """Lesson, number and name of the function to write: "07.1 fuse"."""
    task: str
    """What to write, with shapes, in a sentence or two; the mock interview reads it aloud."""
    stages: tuple[Callable, ...]
    """Each takes the learner's function and raises AssertionError with advice. Cheapest mistake first."""
    reference: Callable
    mutants: dict[str, Callable] = field(default_factory=dict)
    """Typical wrong answers, keyed by a part of the advice that each must trigger."""
    alternatives: dict[str, Callable] = field(default_factory=dict)
    """Right answers in other styles, keyed by the style: a checker must not mind how a result came about."""
    mutates: tuple[str, ...] = ()
    """Arguments that the task tells to change, by the names in `task`; every other has to stay as it was."""
    hints: tuple[str, ...] = ()
    """From a nudge to nearly the code."""
    difficulty: int = 1
    """1 to 3, shown as ●○○ to ●●●."""
    minutes: int = 5
    """Time to give it before looking at the last hint."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the arguments as the task, "Write name(a, b=1)", gives them."""
        match = re.match(r"Write \w+\(([^)]*)\)", self.task)
        return tuple(part.partition("=")[0].strip() for part in match[1].split(",")) if match else ()


class Verdict(NamedTuple):
    """What `judge` found."""

    passed: bool
    line: str
    """One line: ✓, ✗ with the stage and its advice, or ○ for a stub that still raises NotImplementedError."""
    stage: int = 0
    """The stage that stopped it, counted from 1; 0 when none did: it passed, or was not attempted."""


def judge(exercise: Exercise, answer: Callable) -> Verdict:
    """Run the stages in order up to the first that fails. Whatever the answer raises becomes a line, never an error."""
    for number, stage in enumerate(exercise.stages, start=1):
        advice = _trouble(exercise, stage, answer)
        if advice == "":
            return Verdict(False, f"○ {exercise.id}  not attempted yet")
        if advice is not None:
            line = f"✗ {exercise.id}  stage {number} of {len(exercise.stages)}: {advice}"
            return Verdict(False, line, number)
    return Verdict(True, f"✓ {exercise.id}  passed")


def _trouble(exercise: Exercise, stage: Callable, answer: Callable) -> str | None:
    """What to look at next, in a line; None when the stage is passed, empty for a stub."""
    witness = Witness(answer, exercise.parameters, exercise.mutates)
    advice = None
    try:
        with fresh_world():
            stage(witness)
    except (Exception, SystemExit) as error:  # the learner's own code failed: say where, keep the notebook running
        if isinstance(error, NotImplementedError) and crash.is_stub(error, answer):
            return ""
        if isinstance(error, AssertionError) and not crash.says_so_itself(error, answer):
            advice = crash.first_line(error)
        else:
            advice = crash.describe(error, answer, witness.returned)
    return advice if witness.changed is None else TOUCHED.format(witness.changed)


def check(exercise: Exercise, answer: Callable, *, solution: bool = False) -> None:
    """Print the verdict on `answer`, folded at 100 columns, and note it in the learner's log once there is an attempt.

    solution: the answer is the worked one at the end of a lesson, so it is not the learner's and not noted.
    """
    verdict = judge(exercise, answer)
    attempted = verdict.passed or verdict.stage > 0
    if attempted and not solution:
        note("check", exercise.id, passed=verdict.passed, stage=verdict.stage, stages=len(exercise.stages))
    print(_folded(verdict.line))


def hint(exercise: Exercise, level: int = 0) -> None:
    """Print hint `level` (1 is a nudge, the last is nearly the code); any other says how many there are."""
    count = len(exercise.hints)
    if level in range(1, count + 1):
        print(_folded(f"hint {level} of {count}: {exercise.hints[level - 1]}"))
        return
    dots = "●" * exercise.difficulty + "○" * (3 - exercise.difficulty)
    print(f"{exercise.id}  {dots}  {exercise.minutes} minutes  hints: level=1 to level={count}")


def _folded(text: str) -> str:
    return textwrap.fill(text, width=100, subsequent_indent="   ", break_long_words=False)
