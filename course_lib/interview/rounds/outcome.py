"""What an interview comes to, in numbers: time and points by round, dimension and item; what is weak, what was missed.

Everything is computed from the state, so an old interview gives the same numbers again. What counts does not depend on
how the learner left a question: what a checker has seen counts as it was judged, and so does every dimension marked.
"""

from fractions import Fraction
from typing import NamedTuple

from course_lib.interview.rounds import coding
from course_lib.interview.rounds.rubric import JUDGED, Marks, Points, by_dimension, total, weakest
from course_lib.interview.rounds.script import KINDS
from course_lib.interview.rounds.state import Fact, Node, State, asked_items, round_of

ENOUGH = 4  # possible points; a dimension that applied to fewer than two answers is neither strongest nor weakest


class Asked(NamedTuple):
    """One item with its follow-ups."""

    round: str
    item: str
    points: Points
    weak: bool
    """The main answer, or all answers together, got less than half of the points."""


class RoundOutcome(NamedTuple):
    """One round."""

    kind: str
    seconds: float
    """Used."""
    planned: int
    """Minutes."""
    points: Points
    missed: tuple[str, ...]
    """Items that were never answered."""


class Outcome(NamedTuple):
    """One interview."""

    rounds: tuple[RoundOutcome, ...]
    dimensions: dict[str, Points]
    items: tuple[Asked, ...]
    points: Points
    strongest: tuple[str, ...]
    """Dimensions with the highest share of their points; empty where all are alike."""
    weakest: tuple[str, ...]


def outcome(state: State) -> Outcome:
    """The numbers of an interview, finished or not; an answer without a mark does not count."""
    marked = counted(state)
    items = tuple(_asked(marked, *key) for key in dict.fromkeys((node.round, node.item) for node in marked))
    rounds = []
    for kind in KINDS:
        done = {each.item for each in items if each.round == kind}
        missed = tuple(item for item in asked_items(state, kind) if item not in done)
        points = total(marks for node, marks in marked.items() if node.round == kind)
        planned = round_of(state.script, kind).minutes
        rounds.append(RoundOutcome(kind, state.seconds[kind], planned, points, missed))
    dimensions = by_dimension(marked.values())
    return Outcome(tuple(rounds), dimensions, items, total(marked.values()), *_extremes(dimensions))


def weak_questions(state: State) -> dict[str, tuple[str, ...]]:
    """Ids of the bank's questions that were answered weakly, and the dimensions that got less than half."""
    found, marked = {}, counted(state)
    for each in outcome(state).items:
        if each.round == "depth" and each.weak:
            marks = {node.step: given for node, given in marked.items() if node.item == each.item}
            low = [name for name, points in by_dimension(marks.values()).items() if points.weak]
            found[each.item] = tuple(low) or (weakest(marks["main"]),)
    return found


def counted(state: State) -> dict[Node, Marks]:
    """The marks of every answer that has some, in the order asked."""
    found = {node: _marks_of(node, fact) for node, fact in state.facts.items()}
    return {node: marks for node, marks in found.items() if marks}


def judged_mark(step: str, tries: list[dict]) -> int:
    """Sum: 2 right at once, 1 right at the second answer or off by a known slip. Code: as coding.mark says."""
    if step == "code":
        return coding.mark(tries)
    read = [each for each in tries if each["understood"]]
    if read and read[0]["correct"]:
        return 2
    return int(any(each["correct"] or each["near_miss"] for each in read))


def _marks_of(node: Node, fact: Fact) -> Marks | None:
    """As handed in; else what the checker gave so far, or the dimensions marked so far."""
    if fact.marks is not None:
        return fact.marks
    if node.step not in JUDGED:
        return fact.draft.get("marks") if fact.revealed else None
    judged = [each for each in fact.tries if each.get("understood", not each.get("line", "").startswith("○"))]
    if not (fact.revealed or judged):
        return None
    return {JUDGED[node.step][0]: judged_mark(node.step, fact.tries)}


def _asked(marked: dict, kind: str, item: str) -> Asked:
    own = {node: marks for node, marks in marked.items() if (node.round, node.item) == (kind, item)}
    points = total(own.values())
    mains = total(marks for node, marks in own.items() if node.step in ("main", "sum", "code"))
    return Asked(kind, item, points, points.weak or mains.weak)


def _extremes(dimensions: dict[str, Points]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    shares = {name: Fraction(*points) for name, points in dimensions.items() if points.possible >= ENOUGH}
    if len(set(shares.values())) < 2:
        return (), ()
    high, low = max(shares.values()), min(shares.values())
    return tuple(n for n, s in shares.items() if s == high), tuple(n for n, s in shares.items() if s == low)
