"""A problem of interview arithmetic: question, exact answer, worked steps, and the slips that lead somewhere near.

Both languages are filled from one set of given values, so they cannot disagree on a number.
"""

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from random import Random

from course_lib.interview.record import Text
from course_lib.interview.sums.slips import SLIPS
from course_lib.interview.sums.units import SIBLING, UNITS, Number, number, quantity

STEPS = (1, 2, 3)
Given = dict[str, int | Fraction | str]
"""Drawn values by name."""
EXACT = Fraction(0)
"""For counts: the whole number itself is asked."""
ROUNDED = Fraction(1, 100)
"""For everything else: within 1 %, close enough for mental arithmetic and too close for GB to pass as GiB."""


@dataclass(frozen=True)
class NearMiss:
    """A wrong answer that a known slip leads to."""

    name: str
    """Key of SLIPS."""
    value: Fraction
    """In base units."""
    why: Text


@dataclass(frozen=True)
class Step:
    """One worked step: what is done in words, and the sum, which is the same in every language."""

    what: Text
    sum: str


@dataclass(frozen=True)
class Problem:
    """One drawn problem. Quantities are in base units (byte, second, FLOP, one)."""

    question: Text
    given: Mapping[str, int | Fraction | str]
    """The drawn values by name, each of which stands in the question."""
    answer: int | Fraction
    unit: str
    """Key of UNITS: what the answer is asked in."""
    tolerance: Fraction
    """Largest accepted error, relative to the answer; 0 asks for the number itself."""
    working: tuple[Step, ...]
    near_misses: tuple[NearMiss, ...]
    family: str = ""
    step: int = 0

    def task(self, language: str = "en") -> str:
        """The question, and in which unit and how exactly to answer."""
        name = UNITS[self.unit].name[language]
        if language == "zh":
            how = "误差不超过 1 %" if self.tolerance else "准确的整数"
            return f"{self.question.zh}【{name}{'，' if name else ''}{how}】"
        how = "within 1 %" if self.tolerance else "exact whole number"
        return f"{self.question.en} [{name}{', ' if name else ''}{how}]"

    def said(self, value: Number, language: str = "en") -> str:
        """A value in base units, in the unit that was asked."""
        return quantity(value, self.unit, language)

    def said_answer(self, language: str = "en") -> str:
        """The answer in the unit that was asked."""
        return self.said(self.answer, language)


@dataclass(frozen=True)
class Family:
    """A kind of problem in three steps: round numbers, figures of a real model, combined or inverted."""

    name: str
    title: Text
    source: str
    """Where the formula and the real figures come from."""
    draw: Callable[[Random, int], Problem] = field(repr=False)

    def problem(self, rng: Random, step: int) -> Problem:
        """Draw a problem of this family; step is 1, 2 or 3."""
        if step not in STEPS:
            raise ValueError(f"step {step!r}: there are 1 (round numbers), 2 (real models), 3 (combined or inverted)")
        return replace(self.draw(rng, step), family=self.name, step=step)


def given_text(value: int | Fraction | str) -> str:
    """A given value as the question shows it, exactly: 7_000_000_000 -> 7B, Fraction(67, 20) -> 3.35."""
    if isinstance(value, str):
        return value
    for scale, letter in ((10**12, "T"), (10**9, "B"), (10**6, "M")):
        if value >= scale and (value * 100) % scale == 0:
            return given_text(Fraction(value, scale)) + letter
    text = f"{value:,}" if isinstance(value, int) else f"{float(value):.6g}"
    if Fraction(text.replace(",", "")) != value:
        raise ValueError(f"given value {value} has no exact short decimal: the learner would see {text}")
    return text


def line(en: str, zh: str, expression: str, value: Number, unit: str = "") -> Step:
    """A worked step "expression = value unit"; `value` is the number that stands there."""
    return Step(Text(en, zh), f"{expression} = {number(value)} {unit}".rstrip())


def times(*factors: Number) -> str:
    """The factors as a product: times(2, 32, 128) is "2 × 32 × 128"."""
    return " × ".join(number(factor) for factor in factors)


def problem(
    ask: tuple[str, str],
    given: Mapping[str, int | Fraction | str],
    answer: Number,
    unit: str,
    working: list[Step],
    near: Mapping[str, Number],
    *,
    tolerance: Fraction = ROUNDED,
) -> Problem:
    """Put a problem together; ValueError when a template and the given values do not match.

    ask: templates in English and Chinese that name every given value once. near: slip (key of SLIPS) -> the wrong
    answer in base units. A slip that happens to change nothing in this draw is no slip and is left out.
    """
    shown = {name: given_text(value) for name, value in given.items()}
    for template in ask:
        names = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
        if sorted(names) != sorted(shown):
            raise ValueError(f"template names {sorted(names)}, given are {sorted(shown)}: {template}")
    exact = Fraction(answer)
    if tolerance == EXACT and exact.denominator != 1:
        raise ValueError(f"an exact answer is a whole number, got {exact}")
    last = Step(Text("Answer", "答案"), quantity(exact, unit))
    return Problem(
        question=Text(*(template.format(**shown) for template in ask)),
        given=dict(given),
        answer=int(exact) if exact.denominator == 1 else exact,
        unit=unit,
        tolerance=tolerance,
        working=(*working, last),
        near_misses=_distinct({**near, **_unit_slips(exact, unit, tolerance)}, exact, tolerance),
    )


def _unit_slips(answer: Fraction, unit: str, tolerance: Fraction) -> dict[str, Fraction]:
    """Slips that every quantity of this kind invites: the other kilo, bits for bytes, a prefix too far."""
    slips = {}
    if unit in SIBLING:
        ratio = UNITS[SIBLING[unit]].scale / UNITS[unit].scale
        binary = unit.endswith("iB")
        slips["decimal for binary"] = answer / ratio if binary else answer * ratio
        slips["binary for decimal"] = answer * ratio if binary else answer / ratio
    if UNITS[unit].kind == "bytes":
        slips["bits for bytes"] = answer * 8
    if tolerance and UNITS[unit].kind in ("bytes", "time", "FLOP", "count"):
        slips |= {"prefix too large": answer * 1000, "prefix too small": answer / 1000}
    return slips


def _distinct(near: Mapping[str, Number], answer: Fraction, tolerance: Fraction) -> tuple[NearMiss, ...]:
    kept: list[NearMiss] = []
    for name, value in near.items():
        value = Fraction(value)
        clear = value > 0 and abs(value - answer) > 2 * tolerance * answer
        if clear and all(abs(value - other.value) > tolerance * other.value for other in kept):
            kept.append(NearMiss(name, value, SLIPS[name]))
    return tuple(kept)
