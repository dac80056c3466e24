"""The line above every question: round, question, time that is left of the round and of the whole."""

from datetime import datetime

from course_lib.interview.rounds.script import KINDS, TITLES
from course_lib.interview.rounds.state import State, asked_items, elapsed, is_ticking, round_of
from course_lib.interview.rounds.words import VIEW_WORDS
from course_lib.interview.stopwatch import Stopwatch


def say_place(state: State, language: str) -> str:
    """ "2/5 Depth questions 1/3" while a question is open, else ""."""
    node = state.current
    if node is None:
        return ""
    items = asked_items(state, node.round)
    number = f" {items.index(node.item) + 1}/{len(items)}" if node.item in items and len(items) > 1 else ""
    return f"{KINDS.index(node.round) + 1}/{len(KINDS)} {TITLES[node.round][language]}{number}"


def times_left(state: State, now: datetime, language: str) -> list[Stopwatch]:
    """Of the round and of the whole interview, while a question is open; they go down while the clock runs."""
    if state.current is None:
        return []
    words, step = VIEW_WORDS[language], -1 if is_ticking(state) else 0
    minutes = (round_of(state.script, state.current.round).minutes, state.script.minutes)
    return [
        Stopwatch(
            words["left"].format(words[name], "{}", planned), 60 * planned - used, step, late=words[f"late {name}"]
        )
        for name, planned, used in zip(("round", "total"), minutes, elapsed(state, now), strict=True)
    ]


def say_clock(state: State, now: datetime, language: str) -> tuple[str, str]:
    """The place, and the times as one line, as they are at this moment."""
    return say_place(state, language), " · ".join(each.said() for each in times_left(state, now, language))
