"""How an interview is put together: what to ask, and one line that says why.

A question's chance is 1, times 3 where the bank has evidence that interviews ask it, times 20 where the drill found it
weak, times 5 where it is due: in a bank of a few hundred, ten weak questions then take about half of the places. No two
come from one lesson, unless the learner asked for that lesson.
"""

from collections.abc import Iterable
from datetime import datetime
from random import Random

from course_lib.interview.answer import WORDS
from course_lib.interview.record import DEPTHS, Question, Text
from course_lib.interview.rounds.coding import load_exercises
from course_lib.interview.rounds.project import TOPICS
from course_lib.interview.rounds.script import COUNTS, MINUTES, Round, Script
from course_lib.interview.schedule import Card
from course_lib.interview.sums.families import families
from course_lib.lesson.exercises import Exercise
from course_lib.lesson.syllabus import load_lessons

LEVELS = {"screen": ("screen", "onsite"), "onsite": DEPTHS, "staff": ("onsite", "staff")}
"""Level of the interview to the depths of its questions."""
DIFFICULTY = {"screen": (1, 2), "onsite": (1, 2, 3), "staff": (2, 3)}
SUM_STEPS = {"screen": (1, 2), "onsite": (2,), "staff": (2, 3)}
REPORTED, WEAK, DUE = 3.0, 20.0, 5.0
_EVERY = Text("every lesson", "全部课程")


def check_request(minutes: int, focus: str | None, level: str | None) -> None:
    """ValueError for what no interview can be made of; looks at no question."""
    if minutes not in MINUTES or isinstance(minutes, bool):
        raise ValueError(f"minutes={minutes!r}: a mock interview takes {' or '.join(map(str, MINUTES))} minutes")
    if level is not None and level not in LEVELS:
        raise ValueError(f"level {level!r} is none of {', '.join(LEVELS)}; leave it out for onsite")
    numbers = [lesson.number for lesson in load_lessons()]
    if focus is not None and focus not in numbers:
        raise ValueError(f"focus {focus!r} is no lesson; write two digits, '{numbers[1]}' to '{numbers[-1]}'")


def write_script(
    cards: Iterable[Card], *, minutes: int, focus: str | None, level: str | None, seed: int, now: datetime
) -> Script:
    """Choose questions, a sum, an exercise and the order of the project's topics.

    cards: the whole bank. focus: a lesson for questions and code, "07". level: one of LEVELS, by default onsite.
    seed: with the same cards it makes the same script.
    Raises ValueError where no question fits, saying which levels of that lesson do.
    """
    check_request(minutes, focus, level)
    rng, cards, level = Random(seed), list(cards), level or "onsite"
    chosen = _choose_questions(cards, COUNTS[minutes]["depth"], focus, level, rng, now)
    family, step = rng.choice(list(families())), rng.choice(SUM_STEPS[level])
    exercise = _choose_exercise(cards, minutes, focus, level, [card.question for card in chosen], rng)
    items = {
        "opening": ("opening",),
        "depth": tuple(card.question.id for card in chosen),
        "arithmetic": (f"{family}/{step}/{rng.randrange(10**6)}",),
        "coding": (exercise.id,),
        "project": tuple(rng.sample(TOPICS, len(TOPICS))),
    }
    counts = {kind: COUNTS[minutes].get(kind, 1) for kind in items}
    rounds = tuple(Round(kind, MINUTES[minutes][kind], items[kind], counts[kind]) for kind in items)
    counts["depth"] = len(chosen)
    why = _explain(chosen, exercise, MINUTES[minutes]["coding"], focus, level, now)
    return Script(minutes, tuple(each._replace(count=counts[each.kind]) for each in rounds), level, focus, seed, why)


def _choose_questions(
    cards: list[Card], count: int, focus: str | None, level: str, rng: Random, now: datetime
) -> list[Card]:
    """Up to `count` questions: from the focus first, then from lessons that are not represented yet."""
    fitting = [card for card in cards if card.question.depth in LEVELS[level]]
    inside = [card for card in fitting if card.question.lesson == focus]
    if focus is not None and not inside:
        depths = {card.question.depth for card in cards if card.question.lesson == focus}
        levels = [name for name, fits in LEVELS.items() if depths & set(fits)]
        if not levels:
            have = ", ".join(sorted({card.question.lesson for card in cards}))
            raise ValueError(f"no question for lesson {focus} yet; there are questions for {have}")
        raise ValueError(f"lesson {focus} has no question for level {level!r}; it has some for {', '.join(levels)}")
    if not fitting:
        raise ValueError(f"no question for level {level!r}; the bank is empty or holds other depths only")
    chosen = []
    while len(chosen) < count:
        met = {card.question.lesson for card in chosen}
        open_inside = [card for card in inside if card not in chosen]
        sections = {card.question.section for card in chosen}
        fresh_inside = [card for card in open_inside if card.question.section not in sections]
        elsewhere = [card for card in fitting if card.question.lesson not in met]
        pool = fresh_inside or open_inside or elsewhere
        if not pool:
            break
        chosen += rng.choices(pool, [weigh(card, now) for card in pool])
    return sorted(chosen, key=lambda card: DEPTHS.index(card.question.depth))


def weigh(card: Card, now: datetime) -> float:
    """How much more likely than an unmet question without evidence."""
    reported = REPORTED if card.question.frequency else 1.0
    return reported * (WEAK if card.weak else DUE if card.due is not None and card.due <= now else 1.0)


def _choose_exercise(
    cards: list[Card], minutes: int, focus: str | None, level: str, questions: list[Question], rng: Random
) -> Exercise:
    """One that fits the minutes; from the focus if one does, else not from a lesson that was already asked about."""
    limit, exercises = MINUTES[minutes]["coding"], load_exercises()
    fitting = [each for each in exercises.values() if each.minutes <= limit]
    met = {question.lesson for question in questions}
    pool = [each for each in fitting if each.id[:2] == focus]
    pool = pool or [each for each in fitting if each.difficulty in DIFFICULTY[level] and each.id[:2] not in met]
    reported = {card.question.exercise for card in cards if card.question.frequency}
    return rng.choices(pool, [REPORTED if each.id in reported else 1.0 for each in pool])[0]


def _explain(
    chosen: list[Card], exercise: Exercise, coding_minutes: int, focus: str | None, level: str, now: datetime
) -> Text:
    said = {}
    for language in ("en", "zh"):
        zh = language == "zh"
        reasons = "；".join if zh else "; ".join
        pattern = "{}（{}）" if zh else "{} ({})"
        parts = [pattern.format(card.question.id, _reason(card, now)[language]) for card in chosen]
        where = (f"第 {focus} 课" if zh else f"lesson {focus}") if focus else _EVERY[language]
        depths = ("、" if zh else ", ").join(WORDS[language][depth] for depth in LEVELS[level])
        fits = f"{exercise.minutes} ≤ {coding_minutes} {'分钟' if zh else 'min'}"
        code = pattern.format(exercise.id, fits)
        said[language] = (
            f"{where}，难度为{depths}：{reasons(parts)}；代码 {code}。"
            if zh
            else f"From {where}, depth {depths}: {reasons(parts)}; code {code}."
        )
    return Text(**said)


def _reason(card: Card, now: datetime) -> Text:
    if card.weak:
        return Text("weak in your drill", "练习中薄弱")
    if card.due is not None and card.due <= now:
        return Text("due in your drill", "练习已到期")
    if card.question.frequency:
        return Text("reported from interviews", "面试中有报告")
    return Text("new to you", "新题") if card.new else Text("drawn", "随机抽取")
