"""The rubric: five things that an answer can hold, each worth 0, 1 or 2, and what the marks lead to.

Learners mark themselves against the revealed key points; a sum is judged by its checker and code by its tests. A total
is points out of possible points over the dimensions that apply, and stays a pair of whole numbers: eleven of sixteen
self-given marks are no percentage with a decimal.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from course_lib.interview.record import Question, Text

MARKS = (0, 1, 2)
JUDGED = {"sum": ("number",), "code": ("mechanism",)}
"""Steps that a checker marks, and the dimension that its mark goes to."""
Marks = Mapping[str, int]
"""Dimension to mark; a dimension that does not apply is absent."""
_NUMBER = re.compile(r"(?<![\w.-])\d[\d,.]*(?!\w)")  # "576 tokens", but neither CLIP4Clip nor 7B nor arXiv numbers


class Dimension(NamedTuple):
    """One thing an answer can hold."""

    title: Text
    earns: Text
    """What earns both points; half of it, or the right idea said vaguely, earns one."""
    probe: Text
    """The simpler question that follows when this was the weakest part of an answer."""


DIMENSIONS = {
    "definition": Dimension(
        Text("definition", "定义"),
        Text(
            "One sentence says what it is: what goes in, what comes out.", "用一句话说清它是什么：输入什么，输出什么。"
        ),
        Text(
            "One step back: say in one sentence what it is, what goes in and what comes out.",
            "退一步：用一句话说清它是什么，输入什么，输出什么。",
        ),
    ),
    "mechanism": Dimension(
        Text("mechanism", "机制"),
        Text(
            "The formula or the steps are right, and so is the reason why they work.",
            "公式或步骤正确，并说清为什么这样做有效。",
        ),
        Text(
            "Take the smallest example you can think of and walk me through it step by step.",
            "举一个你能想到的最小例子，一步一步讲给我听。",
        ),
    ),
    "limits": Dimension(
        Text("limits", "局限"),
        Text("Names a case where it fails, and how one would notice.", "指出一种会失效的情况，以及怎样发现它失效。"),
        Text("Name one input or one data set for which it goes wrong.", "举出一个会让它出错的输入或数据集。"),
    ),
    "number": Dimension(
        Text("number", "数字"),
        Text(
            "Gives a number with its unit and where it comes from: a size, a count, a cost, a measured result.",
            "给出一个带单位的数字并说明来源：规模、数量、开销或实测结果。",
        ),
        Text(
            "Give me one number: how large, how many, or how much is it in a model you know?",
            "给我一个数字：在你熟悉的模型里，它有多大、有多少，或者要花多少？",
        ),
    ),
    "trade-off": Dimension(
        Text("trade-off", "取舍"),
        Text(
            "Names the alternative, what each side costs, and when one would choose it.",
            "说出替代方案、各自的代价，以及什么时候会选它。",
        ),
        Text("What would you use instead, and what would that cost you?", "不用它的话，你会用什么？代价是什么？"),
    ),
}


class Points(NamedTuple):
    """Points earned out of those possible, over the dimensions that applied."""

    earned: int
    possible: int

    @property
    def weak(self) -> bool:
        """Less than half."""
        return 2 * self.earned < self.possible

    @property
    def strong(self) -> bool:
        """Three quarters or more."""
        return self.possible > 0 and 4 * self.earned >= 3 * self.possible


def total(marks: Iterable[Marks]) -> Points:
    """Points over several answers: every dimension of every answer counts the same."""
    given = [mark for each in marks for mark in each.values()]
    return Points(sum(given), 2 * len(given))


def by_dimension(marks: Iterable[Marks]) -> dict[str, Points]:
    """Points of each dimension that applied somewhere, in the order of DIMENSIONS."""
    answers = list(marks)
    parts = {name: total({name: each[name]} for each in answers if name in each) for name in DIMENSIONS}
    return {name: points for name, points in parts.items() if points.possible}


def weakest(marks: Marks) -> str:
    """The dimension with the lowest mark; of equals the first in DIMENSIONS, for without a definition nothing holds."""
    return min((name for name in DIMENSIONS if name in marks), key=marks.get)


def check_marks(marks: Marks, dimensions: Iterable[str]) -> None:
    """ValueError unless exactly `dimensions` are marked, each 0, 1 or 2."""
    wanted = list(dimensions)
    if set(marks) != set(wanted):
        raise ValueError(f"marks for {sorted(marks)} came; mark each of {', '.join(wanted)}")
    if wrong := {name: mark for name, mark in marks.items() if type(mark) is not int or mark not in MARKS}:
        raise ValueError(f"marks {wrong} are none of 0, 1, 2")


def dimensions_of(question: Question) -> tuple[str, ...]:
    """What applies to a question of the bank.

    Definition, mechanism and limits always; a number where the written answer or a key point has one outside formulas;
    a trade-off above screen depth.
    """
    written = " ".join([question.answer.en, *(point.en for point in question.key_points)])
    has_number = _NUMBER.search(re.sub(r"\$[^$]*\$", "", written)) is not None
    applies = {"number": has_number, "trade-off": question.depth != "screen"}
    return tuple(name for name in DIMENSIONS if applies.get(name, True))
