"""What can be learnt by the day of the interview, at so many minutes a day, and what is left out and why.

The plan is a rehearsal: day after day FSRS says which questions come back, they are answered first, and new ones fill
the minutes that remain. It assumes that every answer comes ("good"), so a real fortnight holds a little less, and it is
made afresh at every call from what was really rated.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

import fsrs

from course_lib.interview.record import Question
from course_lib.interview.schedule import SCHEDULER, Card, by_priority, rate

NEW_SECONDS = 180.0  # a minute to answer aloud, two to read the answer, its points and follow-ups
REPEAT_SECONDS = 75.0  # a minute to answer, a glance to compare
ENOUGH_REVIEWS = 5  # from this many measured reviews on, the learner's own median replaces the assumption
LONGEST = 600.0  # seconds; a card left open over lunch is not counted
MOST_MINUTES = 24 * 60
MOST_DAYS = 366
WORDS = {
    "en": {
        "fits": "{} days at {:g} min: {} of {} questions.",
        "recall": "Predicted recall on the day, if every answer comes: {:.0%} on average, {:.0%} at the least.",
        "today": "Today: {} new, {} repetitions, {:.0f} min.",
        "left": "Left out: {}, because {} x {:g} min are used up by the {} before them; {}.",
        "enough": "{} min a day would do",
        "never": "no day is long enough for all",
        "more": "  and {} more",
    },
    "zh": {
        "fits": "{} 天，每天 {:g} 分钟：能学 {} 题，共 {} 题。",
        "recall": "如果每题都答得出，面试当天的预计记住率：平均 {:.0%}，最低 {:.0%}。",
        "today": "今天：新题 {} 道，复习 {} 次，约 {:.0f} 分钟。",
        "left": "学不到的有 {} 题：{} x {:g} 分钟已被排在前面的 {} 题用完；{}。",
        "enough": "每天 {} 分钟就够了",
        "never": "每天学满也学不完",
        "more": "  还有 {} 题",
    },
}


@dataclass(frozen=True)
class Day:
    """One day of the plan."""

    new: tuple[str, ...]
    """Ids of the questions met for the first time."""
    repeated: int
    minutes: int | float


@dataclass(frozen=True)
class Plan:
    """The rehearsal's outcome."""

    minutes: int | float
    """Minutes a day that were given."""
    days: tuple[Day, ...]
    recall: dict[str, float]
    """Predicted chance of recall on the day of the interview, of every question met by then."""
    left_out: tuple[tuple[Question, str], ...]
    """Questions never met, in the order they would come, and what ranked them: those before them fill the days."""
    enough: int | None
    """Fewest whole minutes a day that leave nothing out; None if a whole day would not do."""

    @property
    def today(self) -> Day:
        """What to do today."""
        return self.days[0]


def make_plan(cards: Iterable[Card], *, now: datetime, days: int, minutes: int | float) -> Plan:
    """Plan the `days` days from `now` to the interview, `minutes` minutes each.

    Raises ValueError for days that are no whole number from 1 to MOST_DAYS, and for no minutes or more than a day has.
    """
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= MOST_DAYS:
        raise ValueError(
            f"{days!r} days until the interview cannot be planned; pass a whole number from 1 to {MOST_DAYS}, or leave "
            "it out"
        )
    if not 0 < minutes <= MOST_MINUTES:
        raise ValueError(f"{minutes} minutes a day; pass minutes=20, or anything above 0 and up to {MOST_MINUTES}")
    cards, minutes = list(cards), float(minutes)
    spent = spent_today(cards, now)
    done, recall = _rehearse(cards, now, days, minutes, spent)
    order = [card.question for card in by_priority(cards)]
    missing = [question for question in order if question.id not in recall]
    left_out = tuple((question, _rank(question)) for question in missing)
    enough = _enough(cards, now, days, minutes, spent) if missing else max(1, round(minutes))
    return Plan(minutes, done, recall, left_out, enough)


def say_plan(plan: Plan, language: str = "en", *, listed: int = 12) -> str:
    """The plan as text; at most `listed` questions that are left out, by name."""
    left = [f"  {line}" for line in name_left_out(plan, language)]
    more = [WORDS[language]["more"].format(len(left) - listed)] if len(left) > listed else []
    return "\n".join([*outline_plan(plan, language), *left[:listed], *more])


def outline_plan(plan: Plan, language: str = "en") -> list[str]:
    """What fits, today's share, and how much is left out: three lines or four."""
    words, today, met = WORDS[language], plan.today, len(plan.recall)
    lines = [words["fits"].format(len(plan.days), plan.minutes, met, met + len(plan.left_out))]
    if plan.recall:
        values = plan.recall.values()
        lines.append(words["recall"].format(sum(values) / len(values), min(values)))
    lines.append(words["today"].format(len(today.new), today.repeated, today.minutes))
    if plan.left_out:
        enough = words["enough"].format(plan.enough) if plan.enough else words["never"]
        lines.append(words["left"].format(len(plan.left_out), len(plan.days), plan.minutes, met, enough))
    return lines


def name_left_out(plan: Plan, language: str = "en") -> list[str]:
    """One line a question that is left out: id, text, what decided its rank."""
    return [f"{question.id}  {question.question[language]} ({rank})" for question, rank in plan.left_out]


def pace(cards: Iterable[Card]) -> tuple[float, float]:
    """Seconds for a new question and for a repetition: the learner's medians, or an assumption before there are any."""
    cards = list(cards)
    first = [card.reviews[0].seconds for card in cards if card.reviews]
    later = [review.seconds for card in cards for review in card.reviews[1:]]
    return _median(first, NEW_SECONDS), _median(later, REPEAT_SECONDS)


def spent_today(cards: Iterable[Card], now: datetime) -> float:
    """Seconds of practice since midnight, local time; a review that nobody measured counts as a repetition."""
    today = now.astimezone().date()
    rated = (review for card in cards for review in card.reviews if review.at.astimezone().date() == today)
    seconds = (REPEAT_SECONDS if review.seconds is None else min(review.seconds, LONGEST) for review in rated)
    return sum(seconds, 0.0)


def _rehearse(
    cards: list[Card], now: datetime, days: int, minutes: int | float, spent: float
) -> tuple[tuple[Day, ...], dict[str, float]]:
    """Live through the days: what is due comes first, new questions fill the rest; `spent`: seconds of today gone."""
    new_cost, repeat_cost = pace(cards)
    memory = {card.question.id: card.memory for card in cards if card.memory is not None}
    waiting = [card.question.id for card in by_priority(cards) if card.new]
    waiting.sort(key={card.question.id: card.request is None for card in cards}.get)  # asked for: first
    done = []
    for number in range(days):
        clock, repeated, met = now + timedelta(days=number), 0, []
        whole = left = max(0.0, minutes * 60 - (0 if number else spent))
        for id in sorted(memory, key=lambda each: memory[each].due):
            while memory[id].due <= clock + timedelta(hours=12) and left >= repeat_cost:
                memory[id] = rate(memory[id], fsrs.Rating.Good, max(clock, memory[id].due))
                left, repeated = left - repeat_cost, repeated + 1
        while waiting and left >= new_cost + repeat_cost:  # met, and once more after ten minutes
            id = waiting.pop(0)
            first = rate(None, fsrs.Rating.Good, clock)
            memory[id] = rate(first, fsrs.Rating.Good, first.due)
            left, repeated = left - new_cost - repeat_cost, repeated + 1
            met.append(id)
        done.append(Day(tuple(met), repeated, (whole - left) / 60))
    interview = now + timedelta(days=days)
    return tuple(done), {id: SCHEDULER.get_card_retrievability(each, interview) for id, each in memory.items()}


def _enough(cards: list[Card], now: datetime, days: int, minutes: int | float, spent: float) -> int | None:
    """Fewest whole minutes a day with which every question is met, by halving."""
    low, high = int(minutes), MOST_MINUTES
    if len(_rehearse(cards, now, days, high, spent)[1]) < len(cards):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        whole = len(_rehearse(cards, now, days, middle, spent)[1]) == len(cards) if middle else False
        low, high = (low, middle) if whole else (middle, high)
    return high


def _rank(question: Question) -> str:
    return f"{question.depth}, lesson {question.lesson}" + (", reported" if question.frequency else "")


def _median(seconds: list[float | None], assumed: float) -> float:
    measured = [min(each, LONGEST) for each in seconds if each is not None]
    return max(1.0, median(measured)) if len(measured) >= ENOUGH_REVIEWS else assumed
