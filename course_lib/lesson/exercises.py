"""Exercises: run a learner's function through staged tests and say what to look at next.

`check` prints one line and never raises, so an untouched notebook runs from top to bottom; it notes every try in the
learner's log. Every piece of advice has a mutant, a typical wrong answer that must trigger it; tests/test_exercises.py
runs them all.
"""

import textwrap
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from course_lib.learner.log import note


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
    hints: tuple[str, ...] = ()
    """From a nudge to nearly the code."""
    difficulty: int = 1
    """1 to 3, shown as ●○○ to ●●●."""
    minutes: int = 5
    """Time to give it before looking at the last hint."""


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
        try:
            stage(answer)
        except NotImplementedError:
            return Verdict(False, f"○ {exercise.id}  not attempted yet")
        except AssertionError as advice:
            return Verdict(False, _failed(exercise, number, _first_line(advice)), number)
        except Exception as error:  # the learner's own code failed: say where, keep the notebook running
            return Verdict(False, _failed(exercise, number, _describe(error)), number)
    return Verdict(True, f"✓ {exercise.id}  passed")


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


def _failed(exercise: Exercise, number: int, advice: str) -> str:
    return f"✗ {exercise.id}  stage {number} of {len(exercise.stages)}: {advice}"


def _describe(error: Exception) -> str:
    line = traceback.extract_tb(error.__traceback__)[-1].lineno
    return f"your code raised {type(error).__name__} (line {line}): {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
