"""How far the practice has come: exercises and bets, what is due, what is weak, as text and as a figure."""

import os
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from IPython.display import Markdown, display
from matplotlib.figure import Figure
from wcwidth import rjust

from course_lib.interview.evidence import scan_targets
from course_lib.interview.folding import fold
from course_lib.interview.practice import LABELS
from course_lib.interview.questions import ROOT, load_questions
from course_lib.interview.schedule import Card, cards_of, say_time, strangers
from course_lib.learner.clock import utc_now
from course_lib.learner.standing import Standing as LessonStanding
from course_lib.learner.standing import standing as read_lessons
from course_lib.learner.store import ReviewStore
from course_lib.lesson.figures import COLOURS, show
from course_lib.lesson.syllabus import load_lessons

DAYS_AHEAD = 14
STATES = ("known", "learning", "weak", "not met")
WORDS = {
    "en": dict(zip(STATES, STATES, strict=True))
    | {"due": "{} of {} due now; {}", "next": "next in {}; {} due within 7 days"}
    | {"weak:": "Weak:", "more": "  and {} more", "lesson": "lesson", "asked": "asked for: {};"}
    | {"last": "last time {}, forgotten {} of {};"}
    | {"gone": "Kept, but no longer in the bank: reviews of {}"}
    | {"passed": "Exercises passed: {} of {}, in {} tries; lessons begun: {}, every exercise passed: {}"}
    | {"won": "Bets won: {} of {}"}
    | {"aside": "A damaged file of {:%Y-%m-%d} was set aside; what could be read of it is in the present one:"},
    "zh": dict(zip(STATES, ("已掌握", "学习中", "薄弱", "未见过"), strict=True))
    | {"due": "现在到期 {} 题，共 {} 题；{}", "next": "下一题在{}后；7 天内到期 {} 题"}
    | {"weak:": "薄弱：", "more": "  还有 {} 题", "lesson": "课", "asked": "指定练习：{}；"}
    | {"last": "上次：{}，忘记 {} 次，共 {} 次；"}
    | {"gone": "题库中已没有、但保留着记录的题：{}"}
    | {"passed": "练习通过 {} 道，共 {} 道，检查 {} 次；开始的课 {}，练习全部通过的课 {}"}
    | {"won": "下注赢 {} 次，共 {} 次"}
    | {"aside": "{:%Y-%m-%d} 有一个损坏的文件已移开，其中能读出的内容已在现用文件中："},
}
_FILL = {
    "known": (COLOURS[2], ""),
    "learning": (COLOURS[3], "//"),
    "weak": (COLOURS[1], "xx"),
    "not met": ("#dddddd", ""),
}
"""Colour and hatching, so that no state is told by its colour alone."""


class Standing(NamedTuple):
    """Every card of the bank at one moment, and what else the log holds."""

    cards: list[Card]
    now: datetime
    strangers: list[str]
    """Ids that were rated and are not in the bank any more."""
    notice: str
    lessons: LessonStanding


def progress(language: str = "en") -> None:
    """Show what is due and weak in a notebook: text and a figure. With COURSE_STATIC=1 it only says so.

    language: "en" or "zh", of the text; ValueError for another. The figure is in English.
    """
    if language not in WORDS:
        raise ValueError(f"language {language!r} is not in the bank; try one of {', '.join(WORDS)}")
    if os.environ.get("COURSE_STATIC") == "1":
        display(
            Markdown("**Progress**, live in JupyterLab: what is due, what is weak, and how far each lesson has come.")
        )
        return
    standing = read_standing()
    print(say_progress(standing, language))
    figure, _ = draw_progress(standing)
    show(figure, "Left: questions of each lesson by state. Right: questions that come due on each of the next days.")


def read_standing(now: datetime | None = None) -> Standing:
    """The bank held against the review log, as of `now`, by default this moment."""
    bank, store = load_questions(), ReviewStore()
    reviews = store.reviews()
    cards = cards_of(bank, reviews, store.requests())
    lessons = read_lessons(list_exercises())
    return Standing(cards, now or utc_now(), strangers(bank, reviews), store.notice, lessons)


def list_exercises() -> Iterable[str]:
    """Ids of the exercises that can be done, lesson by lesson; read as text, so that no lesson is imported."""
    targets = scan_targets(ROOT)
    for lesson in load_lessons():
        if lesson.built and lesson.number in targets:
            yield from sorted(targets[lesson.number].exercises or ())


def state_of(card: Card) -> str:
    """One of STATES. Weak beats the rest: rated again or hard the last time, or asked for by a mock interview."""
    if card.weak:
        return "weak"
    if card.new:
        return "not met"
    return "learning" if card.learning else "known"


def say_progress(standing: Standing, language: str = "en", *, listed: int = 10) -> str:
    """The standing as text; at most `listed` weak questions by name."""
    cards, now, words = standing.cards, standing.now, WORDS[language]
    due = [card for card in cards if card.due is not None and card.due <= now]
    counts = Counter(map(state_of, cards))
    lines = [standing.notice] if standing.notice else []
    said = (", " if language == "en" else "、").join(f"{counts[state]} {words[state]}" for state in STATES)
    lines.append(words["due"].format(len(due), len(cards), said))
    seen = sorted(card.due for card in cards if not card.new and card.due > now)
    if seen:
        soon = sum(at <= now + timedelta(days=7) for at in seen)
        lines.append(words["next"].format(say_time(seen[0] - now, language), soon))
    lines += _say_lessons(standing.lessons, language)
    weak = sorted((card for card in cards if card.weak), key=lambda card: (-card.lapses, card.recall(now)))
    lines += ["", words["weak:"]] if weak else []
    for card in weak[:listed]:
        lesson = words["lesson"], card.question.lesson
        where = " ".join(lesson if language == "en" else ("第", *lesson[::-1]))
        lines.append(f"  {card.question.id}  {where}  {_why(card, language)}")
        lines += fold(f"    {card.question.question[language]}", 92)
    lines += [words["more"].format(len(weak) - listed)] if len(weak) > listed else []
    lines += ["", _row(words["lesson"], [words[state] for state in STATES])]
    lines += [_row(lesson, [str(row[state]) for state in STATES]) for lesson, row in by_lesson(cards).items()]
    if standing.strangers:
        lines += ["", words["gone"].format(", ".join(standing.strangers))]
    return "\n".join(lines)


def by_lesson(cards: list[Card]) -> dict[str, Counter]:
    """Lesson number to how many of its questions are in each state, lessons in order."""
    lessons = sorted({card.question.lesson for card in cards})
    return {lesson: Counter(state_of(card) for card in cards if card.question.lesson == lesson) for lesson in lessons}


def due_by_day(cards: list[Card], now: datetime, days: int = DAYS_AHEAD) -> list[int]:
    """How many cards come due on each of the next `days` days; the first number holds the overdue ones."""
    counts = [0] * days
    for card in cards:
        if card.due is not None:
            day = max(0, (card.due.astimezone().date() - now.astimezone().date()).days)
            if day < days:
                counts[day] += 1
    return counts


def draw_progress(standing: Standing) -> tuple[Figure, Any]:
    """Two axes: bars of each lesson's questions by state, and of what comes due on each of the next days."""
    import matplotlib.pyplot as plt

    rows = by_lesson(standing.cards)
    height = max(3.0, 0.8 + 0.24 * len(rows))
    fig, (left, right) = plt.subplots(1, 2, figsize=(10, height), layout="constrained", width_ratios=(3, 2))
    start = [0] * len(rows)
    for state in STATES:
        lengths = [row[state] for row in rows.values()]
        colour, hatch = _FILL[state]
        left.barh(list(rows), lengths, left=start, color=colour, hatch=hatch, edgecolor="white", label=state)
        start = [a + b for a, b in zip(start, lengths, strict=True)]
    left.invert_yaxis()
    left.set(xlabel="questions", ylabel="lesson")
    left.legend(ncols=len(STATES), loc="lower left", bbox_to_anchor=(0, 1), fontsize=8, frameon=False)
    bars = right.bar(range(DAYS_AHEAD), due_by_day(standing.cards, standing.now), color=COLOURS[0])
    right.bar_label(bars, labels=[str(int(bar.get_height())) if bar.get_height() else "" for bar in bars], fontsize=8)
    right.set(xlabel="days from today", ylabel="questions due")
    right.margins(y=0.1)  # room for the numbers
    right.yaxis.get_major_locator().set_params(integer=True)
    left.xaxis.get_major_locator().set_params(integer=True)
    return fig, (left, right)


def _why(card: Card, language: str) -> str:
    words = WORDS[language]
    if card.request is not None:
        return words["asked"].format(card.request.reason)
    last = LABELS[language][card.reviews[-1].rating]
    return words["last"].format(last, card.lapses, len(card.reviews))


def _say_lessons(lessons: LessonStanding, language: str) -> list[str]:
    """What was done in lessons, and which damaged files were set aside."""
    words = WORDS[language]
    exercises = len(lessons.passed), len(lessons.exercises), lessons.tries
    lines = [words["passed"].format(*exercises, len(lessons.lessons), len(lessons.completed))]
    lines += [words["won"].format(lessons.won, lessons.bets)] if lessons.bets else []
    for each in lessons.damaged:
        lines += [words["aside"].format(each.at.astimezone()), f"    {each.path}"]
    return lines


def _row(lesson: str, values: list[str]) -> str:
    """One line of the table; a Han character is two columns wide."""
    return "  ".join([rjust(lesson, 6), *(rjust(value, 9) for value in values)])
