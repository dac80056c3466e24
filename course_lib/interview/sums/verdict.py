"""Is a typed answer right, near, or wrong, and what slip led there?"""

from dataclasses import dataclass
from fractions import Fraction

from course_lib.interview.record import Text
from course_lib.interview.sums.problem import EXACT, ROUNDED, NearMiss, Problem
from course_lib.interview.sums.reading import AnswerError, read_answer
from course_lib.interview.sums.units import UNITS, number, quantity


@dataclass(frozen=True)
class Verdict:
    """What to say to an answer."""

    correct: bool
    near_miss: str | None
    """The slip that leads to this answer, a key of SLIPS."""
    message: Text
    understood: bool = True
    """False when the answer could not be read: then it counts as no attempt."""


def judge_answer(problem: Problem, text: str) -> Verdict:
    """Judge what the learner typed; never raises for anything typed.

    Right is within the problem's tolerance, relative to the answer. A near miss is recognised within the same
    tolerance, or within 1 % where an exact number is asked and the slip leads to one that is not whole.
    """
    try:
        readings = read_answer(text, problem.unit)
    except AnswerError as error:
        return Verdict(False, None, error.text, understood=False)
    answer = Fraction(problem.answer)
    if any(abs(value - answer) <= problem.tolerance * answer for value in readings):
        said = [quantity(answer, problem.unit, language) for language in ("en", "zh")]
        return Verdict(True, None, Text(f"Right: {said[0]}.", f"正确：{said[1]}。"))
    if plain := _in_base_units(readings, problem):
        return Verdict(False, None, plain, understood=False)
    met = [
        (_distance(value, slip), slip)
        for value in readings
        for slip in problem.near_misses
        if _meets(value, slip, problem)
    ]
    if met:
        slip = min(met, key=lambda pair: pair[0])[1]
        return Verdict(False, slip.name, Text(f"Not quite: {slip.why.en}.", f"差一点：{slip.why.zh}。"))
    return Verdict(False, None, _too_far(min(readings, key=lambda value: abs(value - answer)) / answer))


def _in_base_units(readings: tuple[Fraction, ...], problem: Problem) -> Text | None:
    """What to say to the right number of bytes or FLOP where the answer is asked in GiB or TFLOP; None for another."""
    answer, asked = Fraction(problem.answer), UNITS[problem.unit]
    bare = [value / asked.scale for value in readings]
    if asked.scale < 10**6 or not any(abs(value - answer) <= problem.tolerance * answer for value in bare):
        return None
    base = next(each for each in UNITS.values() if each.kind == asked.kind and each.scale == 1).name
    return Text(
        f"That many {base.en} it is. The question asks for {asked.name.en}: convert it, or write the unit behind it.",
        f"按{base.zh}算是对的。题目要求的单位是 {asked.name.zh}：请换算，或在数后面写上单位。",
    )


def _meets(value: Fraction, slip: NearMiss, problem: Problem) -> bool:
    whole = slip.value.denominator == 1 and problem.tolerance == EXACT
    return _distance(value, slip) <= (EXACT if whole else ROUNDED)


def _distance(value: Fraction, slip: NearMiss) -> Fraction:
    return abs(value - slip.value) / slip.value


def _too_far(ratio: Fraction) -> Text:
    """How far off, as a factor; a factor tells more than a difference."""
    high, factor = ratio > 1, ratio if ratio > 1 else 1 / ratio
    if factor < Fraction(11, 10):
        return Text(
            f"Close, but too {'high' if high else 'low'} by {number(abs(ratio - 1) * 100)} %: keep more digits.",
            f"很接近，但偏{'大' if high else '小'} {number(abs(ratio - 1) * 100)} %：多保留几位数字。",
        )
    return Text(
        f"No: {number(factor)} times too {'large' if high else 'small'}. Look for a missing or extra factor.",
        f"不对：{'偏大' if high else '偏小'} {number(factor)} 倍。检查是否漏乘或多乘了一个因子。",
    )
