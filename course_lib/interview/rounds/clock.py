"""The line above every question: round, question, time used and planned."""

from datetime import datetime

from course_lib.interview.rounds.script import KINDS, TITLES
from course_lib.interview.rounds.state import State, asked_items, elapsed, round_of
from course_lib.interview.rounds.words import VIEW_WORDS


def say_clock(state: State, now: datetime, language: str) -> tuple[str, str]:
    """("2/5 Depth questions 1/3", "round 1:05 / 14 min · in all 4:10 / 45 min") while a question is open, else ""s."""
    node, words = state.current, VIEW_WORDS[language]
    if node is None:
        return "", ""
    here, whole = elapsed(state, now)
    planned, items = round_of(state.script, node.round).minutes, asked_items(state, node.round)
    number = f" {items.index(node.item) + 1}/{len(items)}" if node.item in items and len(items) > 1 else ""
    late = f" ({words['over_time']})" if here >= 60 * planned else ""
    place = f"{KINDS.index(node.round) + 1}/{len(KINDS)} {TITLES[node.round][language]}{number}"
    parts = [f"{words['round']} {say_seconds(here)} / {planned} {words['minutes']}{late}"]
    parts.append(f"{words['total']} {say_seconds(whole)} / {state.script.minutes} {words['minutes']}")
    return place, " · ".join(parts)


def say_seconds(seconds: float) -> str:
    """Minutes and seconds, "4:10"."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
