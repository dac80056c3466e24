"""The engine: what has happened so far, as events, and what comes next. No widget, no clock, no file.

    state = replay(script, events)      the same events give the same state, in any program
    state.current                       Node("depth", "Q004", "probe:limits"), or None when it is over

A node is one thing to answer: it is asked, then revealed, then marked. The marks choose its successor:

    question   weak: probe (the weakest dimension, simpler) -> first follow-up, once the probe is answered
               between: first follow-up -> strong: the wrong answer to refute
               strong: the harder follow-up or the wrong answer to refute, then the other if that is strong too
    opening, project    weak: probe; strong: hard
    code       not passed: explain it in words; passed: its cost and its limits

Time: a follow-up is asked only while its item's share of the round lasts, an item only while the round lasts, a round
only while the interview lasts; nobody is cut off in the middle of an answer. Pauses do not count, nor does the time
between the last event and a `reopen` after a kernel or a terminal was killed.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from course_lib.interview.rounds.rubric import Marks, total, weakest
from course_lib.interview.rounds.script import KINDS, Round, Script


class Node(NamedTuple):
    """One thing to answer."""

    round: str
    """One of KINDS."""
    item: str
    step: str
    """main, probe:DIMENSION, first, hard, refute; sum; code, explain, cost; form."""


FORM = Node("project", "form", "form")
"""Where the learner says which project they defend."""


class Event(NamedTuple):
    """Something happened."""

    kind: str
    """One of the cases of `_apply`."""
    at: datetime
    node: Node | None = None
    data: dict | None = None
    """rate: {"marks": ...}; answer and run: what was typed and the verdict; form: its fields; draft: `Fact.draft`."""

    def as_json(self) -> str:
        """All but the time."""
        return json.dumps({"kind": self.kind, "node": self.node, "data": self.data}, ensure_ascii=False)


def read_event(content: str, at: datetime) -> Event:
    """Back from `Event.as_json`."""
    raw = json.loads(content)
    return Event(raw["kind"], at, Node(*raw["node"]) if raw["node"] else None, raw["data"])


@dataclass
class Fact:
    """What is known about a node."""

    revealed: bool = False
    marks: Marks | None = None
    tries: list[dict] = field(default_factory=list)
    """Sums and code: what was answered and the verdict on it."""
    draft: dict = field(default_factory=dict)
    """The latest put down and not handed in: {"text": ...}, {"code": ...}, the lines of the form, {"marks": ...}."""


@dataclass
class State:
    """An interview at one moment."""

    script: Script
    current: Node | None = None
    status: str = "running"
    """running, paused, over (to be closed with a report), ended, dropped."""
    facts: dict[Node, Fact] = field(default_factory=dict)
    """In the order in which they were asked."""
    form: dict[str, str] | None = None
    """The learner's project; {"project": "tiny_vlm"} for the course's own."""
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(KINDS, 0.0))
    """Time used in each round up to the last event."""
    pauses: int = 0
    interruptions: int = 0
    """Kernels or terminals that went away in the middle."""
    left: set[str] = field(default_factory=set)
    """Rounds that the learner ended early."""
    last: datetime | None = None

    @property
    def fact(self) -> Fact:
        """What is known about the current node."""
        return Fact() if self.current is None else self.facts.setdefault(self.current, Fact())

    @property
    def used(self) -> float:
        """Seconds in all."""
        return sum(self.seconds.values())


def replay(script: Script, events: Iterable[Event]) -> State:
    """The state after the events, oldest first."""
    state = State(script)
    for event in events:
        _apply(state, event)
    return state


def elapsed(state: State, now: datetime) -> tuple[float, float]:
    """Seconds used in the current round and in all, up to now."""
    since = max(0.0, (now - state.last).total_seconds()) if is_ticking(state) else 0.0
    here = state.seconds[state.current.round] if state.current else 0.0
    return here + since, state.used + since


def round_of(script: Script, kind: str) -> Round:
    """The script's round of that kind."""
    return next(each for each in script.rounds if each.kind == kind)


def asked_items(state: State, kind: str) -> tuple[str, ...]:
    """The items that a round asks. In the project round, topics that the form says nothing about come first."""
    chosen = round_of(state.script, kind)
    items = chosen.items
    if kind == "project" and state.form and "project" not in state.form:
        items = tuple(sorted(items, key=lambda topic: bool(state.form.get(topic, "").strip())))
    return items[: chosen.count]


def is_ticking(state: State) -> bool:
    """Whether the clock runs: on a question, and not over the form."""
    on_a_question = state.current is not None and state.current.step != "form"
    return state.status == "running" and on_a_question and state.last is not None


def _apply(state: State, event: Event) -> None:
    if is_ticking(state) and event.kind != "reopen":
        state.seconds[state.current.round] += max(0.0, (event.at - state.last).total_seconds())
    state.last = event.at
    if event.node is not None and event.kind != "draft":  # a draft may come late, from a window left behind
        state.current = event.node  # the log knows best: after a damaged file an event may be missing
    data = event.data or {}
    match event.kind:
        case "start":
            state.current = _first_node(state.script.rounds[0])
        case "pause":
            state.status, state.pauses = "paused", state.pauses + 1
        case "go_on":
            state.status = "running"
        case "reopen":
            state.interruptions += 1
        case "reveal":
            state.fact.revealed = True
        case "answer" | "run":
            state.fact.tries.append(data)
        case "draft":
            state.facts.setdefault(event.node, Fact()).draft = data
        case "form":
            state.form = data
            state.fact.revealed = True
            _go(state, Node("project", asked_items(state, "project")[0], "main"))
        case "rate":
            state.fact.marks = data["marks"]
            _go(state, _successor(state))
        case "leave":
            state.left.add(state.current.round)
            _go(state, _next_round(state))
        case "end":
            state.status, state.current = "ended", None
        case "drop":
            state.status, state.current = "dropped", None
        case _:
            raise ValueError(f"event {event.kind!r} is unknown: a newer course wrote it; update the course")


def _go(state: State, node: Node | None) -> None:
    state.current = node
    if node is None:
        state.status = "over"
    else:
        state.facts.setdefault(node, Fact())


def _first_node(chosen: Round) -> Node:
    if chosen.kind == "project":
        return FORM
    return Node(chosen.kind, chosen.items[0], {"arithmetic": "sum", "coding": "code"}.get(chosen.kind, "main"))


def _successor(state: State) -> Node | None:
    """What follows the marked current node: a follow-up, the next item, the next round, or nothing."""
    node, items = state.current, asked_items(state, state.current.round)
    planned = 60 * round_of(state.script, node.round).minutes
    used = state.seconds[node.round]
    number = items.index(node.item) if node.item in items else len(items) - 1
    if used < planned * (number + 1) / len(items) and (step := follow_up(state, node)):
        return node._replace(step=step)
    if used < planned and number + 1 < len(items):
        return Node(node.round, items[number + 1], "main")
    return _next_round(state)


def _next_round(state: State) -> Node | None:
    following = KINDS.index(state.current.round) + 1
    if following == len(KINDS) or state.used >= 60 * state.script.minutes:
        return None
    return _first_node(round_of(state.script, KINDS[following]))


def follow_up(state: State, node: Node) -> str | None:
    """The step that the marks of `node` lead to within its item, None when it is done with."""
    marks = state.facts[node].marks
    points, step = total([marks]), node.step.partition(":")[0]
    if node.round == "coding":
        return {"code": "cost" if points.strong else "explain"}.get(step)
    if step == "main" and points.weak:
        return f"probe:{weakest(marks)}"
    if node.round != "depth":
        return "hard" if step == "main" and points.strong else None
    if step == "main":
        return _harder(state, node)[0] if points.strong else "first"
    if step == "probe":
        return None if points.weak else "first"
    asked = {each.step for each in state.facts if each.item == node.item}
    if not points.strong or (step != "first" and "first" in asked):
        return None
    return "refute" if step == "first" else next((each for each in _harder(state, node) if each not in asked), None)


def _harder(state: State, node: Node) -> list[str]:
    """The two steps after a strong answer, in an order that the seed decides item by item."""
    both = ["hard", "refute"]
    return both if (state.script.seed + sum(map(ord, node.item))) % 2 else both[::-1]
