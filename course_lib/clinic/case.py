"""A case: a broken program, what its author complains about, and the tests that a repair has to pass.

As with an exercise, every piece of advice has a wrong repair that must trigger it; tests/test_clinic.py runs them all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"

Edits = tuple[tuple[str, str], ...]
"""Replacements (old, new), made in order; each old text stands in the program exactly once."""


@dataclass(frozen=True)
class Case:
    """One patient."""

    number: str
    """"03"; its program is the file in programs/ that starts with it."""
    title: str
    """What the program is for. It does not name the defect."""
    complaint: str
    """What its author says."""
    stages: tuple[Callable, ...]
    """Each takes the repaired program as a namespace and raises AssertionError with advice. Cheapest mistake first."""
    original: str
    """A part of the advice that the unrepaired program gets."""
    repair: Edits
    """One right repair."""
    wrong: dict[str, Edits]
    """Typical wrong repairs, keyed by a part of the advice that each must trigger; at least one hides the failure."""
    hints: tuple[str, ...]
    """From where to look to nearly the code."""
    defect: str
    """What was wrong, and the rule to remember; told after the repair has passed."""
    met: tuple[str, ...]
    """Where this defect was met: an erratum, "X228", or a public report with its address."""
    difficulty: int = 1
    """1 to 3, shown as ●○○ to ●●●."""
    minutes: int = 5

    @property
    def path(self) -> Path:
        """The broken program."""
        found = sorted(PROGRAMS.glob(f"{self.number}_*.py"))
        if len(found) != 1:
            raise FileNotFoundError(f"{PROGRAMS} holds {len(found)} programs for case {self.number}; it needs one")
        return found[0]

    @property
    def source(self) -> str:
        """Text of the broken program."""
        return self.path.read_text(encoding="utf-8")


def edited(source: str, edits: Edits) -> str:
    """Apply replacements. Raises ValueError if a text to replace does not stand in the source exactly once."""
    for old, new in edits:
        if source.count(old) != 1:
            raise ValueError(f"{old!r} stands {source.count(old)} times in the program, not once")
        source = source.replace(old, new)
    return source
