"""The plan keeps to its minutes, leaves out the last of the order, and says why; checked by hand arithmetic."""

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil

import pytest

from course_lib.interview.plan import (
    ENOUGH_REVIEWS,
    NEW_SECONDS,
    REPEAT_SECONDS,
    make_plan,
    name_left_out,
    outline_plan,
    pace,
    say_plan,
)
from course_lib.interview.questions import load_questions
from course_lib.interview.schedule import by_priority, cards_of
from course_lib.learner.store import Request, Review

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
PATTERN = load_questions()[0]
DEPTHS = {0: "screen", 1: "onsite", 2: "staff"}
BANK = [
    replace(PATTERN, id=f"Q{number:03}", depth=DEPTHS[number % 3], lesson=f"{number % 5:02}", frequency=None)
    for number in range(40)
]
FIRST_DAY = NEW_SECONDS + REPEAT_SECONDS  # a new question, and once more ten minutes later


def plan(cards=None, *, days=14, minutes=20.0, now=NOW):
    return make_plan(cards_of(BANK, []) if cards is None else cards, now=now, days=days, minutes=minutes)


def test_one_day_holds_what_arithmetic_says():
    only = plan(days=1, minutes=30)
    fits = int(30 * 60 // FIRST_DAY)
    assert [len(day.new) for day in only.days] == [fits] == [7]
    assert only.today.minutes == pytest.approx(fits * FIRST_DAY / 60)
    assert len(only.left_out) == len(BANK) - fits
    assert only.enough == ceil(len(BANK) * FIRST_DAY / 60)


def test_no_day_is_longer_than_its_minutes():
    for minutes in (5, 12, 33):
        assert all(day.minutes <= minutes + 1e-9 for day in plan(minutes=minutes).days)


def test_a_question_is_met_once_and_every_question_is_met_or_left_out():
    made = plan(minutes=9)
    met = [id for day in made.days for id in day.new]
    assert len(met) == len(set(met))
    left = [question.id for question, _ in made.left_out]
    assert sorted(met + left) == sorted(question.id for question in BANK)
    assert set(made.recall) == set(met)


def test_what_is_left_out_is_the_end_of_the_order_and_has_its_reason():
    made = plan(minutes=9)
    order = [card.question.id for card in by_priority(cards_of(BANK, []))]
    assert [question.id for question, _ in made.left_out] == order[-len(made.left_out) :]
    question, rank = made.left_out[0]
    assert rank.startswith(f"{question.depth}, lesson {question.lesson}")
    assert f"because 14 x 9 min are used up by the {len(made.recall)} before them" in say_plan(made)


def test_enough_minutes_are_enough_and_one_less_is_not():
    made = plan(days=5, minutes=8)
    assert plan(days=5, minutes=made.enough).left_out == ()
    assert plan(days=5, minutes=made.enough - 1).left_out != ()


def test_more_days_or_minutes_hold_more():
    assert len(plan(days=3).recall) < len(plan(days=6).recall) < len(plan(days=6, minutes=40).recall)


def test_recall_on_the_day_is_what_fsrs_promises():
    assert all(0.85 <= value <= 1 for value in plan(minutes=30).recall.values())


def test_what_is_due_comes_before_anything_new():
    log = [Review(f"Q{number:03}", 3, NOW - timedelta(days=20), 30.0) for number in range(6)]
    minutes = 6 * REPEAT_SECONDS / 60
    today = plan(cards_of(BANK, log), days=2, minutes=minutes).today
    assert (today.new, today.repeated) == ((), 6)


def test_a_question_that_was_asked_for_is_met_first():
    wanted = Request("Q038", "mock", NOW)  # staff, so otherwise among the last
    assert plan(cards_of(BANK, [], [wanted])).today.new[0] == "Q038"


def test_a_second_session_of_the_day_gets_what_is_left_of_it():
    log = [Review(f"Q{number:03}", 4, NOW - timedelta(minutes=9), 300.0) for number in (0, 3)]
    assert plan(cards_of(BANK, log), minutes=20, now=NOW).today.minutes <= 10
    later = NOW + timedelta(days=1)
    assert plan(cards_of(BANK, log), minutes=20, now=later).today.minutes > 10


def test_the_learners_own_pace_replaces_the_assumption():
    def log(count):
        return [
            Review(f"Q{number:03}", 3, NOW + timedelta(days=day), seconds)
            for number in range(count)
            for day, seconds in ((0, 90.0 + number), (1, 20.0 + number))
        ]

    assert pace(cards_of(BANK, log(ENOUGH_REVIEWS - 1))) == (NEW_SECONDS, REPEAT_SECONDS)
    assert pace(cards_of(BANK, log(ENOUGH_REVIEWS))) == (92.0, 22.0)


@pytest.mark.parametrize("wrong", [{"days": 0}, {"days": -3}, {"days": 40_000}, {"minutes": 0}, {"minutes": 2000}])
def test_an_impossible_plan_is_refused(wrong):
    with pytest.raises(ValueError, match="pass (a whole number from 1 to 366|minutes=)"):
        plan(**wrong)


def test_the_plan_in_words():
    text = say_plan(plan(days=1, minutes=30), listed=2)
    assert text.startswith("1 days at 30 min: 7 of 40 questions.")
    assert "Today: 7 new, 7 repetitions, 30 min." in text
    assert "Left out: 33, because 1 x 30 min are used up by the 7 before them; 170 min a day would do." in text
    assert text.count("\n  Q") == 2 and text.endswith("and 31 more")
    assert "Left out" not in say_plan(plan(days=30, minutes=60))


def test_the_plan_says_the_same_in_both_languages():
    for made in (plan(days=1, minutes=30), plan(days=30, minutes=60), plan(days=1, minutes=1)):
        for en, zh in zip(outline_plan(made), outline_plan(made, "zh"), strict=True):
            assert Counter(re.findall(r"\d+", en)) == Counter(re.findall(r"\d+", zh))
        assert len(name_left_out(made, "zh")) == len(made.left_out)
