"""Cards follow from the log as FSRS says, whatever happens to the bank, and come in the promised order."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import fsrs
import pytest

from course_lib.interview.questions import load_questions
from course_lib.interview.record import Frequency, Text
from course_lib.interview.schedule import (
    AHEAD,
    by_priority,
    cards_of,
    next_times,
    queue,
    rate,
    say_time,
    strangers,
)
from course_lib.learner.store import Request, Review

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
PATTERN = load_questions()[0]


def question(id, depth="screen", lesson="07", frequency=None):
    return replace(PATTERN, id=id, depth=depth, lesson=lesson, frequency=frequency)


BANK = [question("Q001"), question("Q002", "staff"), question("Q003", "onsite")]


def ids(cards):
    return [card.question.id for card in cards]


def cards(*reviews, bank=BANK, requests=()):
    return cards_of(bank, [Review(id, rating, at) for id, rating, at in reviews], requests)


def test_a_card_is_what_fsrs_makes_of_its_reviews():
    """Against a scheduler of our own: the library's, called by hand."""
    times = [NOW, NOW + 10 * MINUTE, NOW + 3 * DAY, NOW + 9 * DAY]
    ratings = [3, 2, 1, 4]
    first = cards(*[("Q001", rating, at) for rating, at in zip(ratings, times, strict=True)])[0]
    scheduler, expected = fsrs.Scheduler(enable_fuzzing=False), fsrs.Card(card_id=0, due=NOW)
    for rating, at in zip(ratings, times, strict=True):
        expected, _ = scheduler.review_card(expected, fsrs.Rating(rating), at)
    assert first.memory.to_dict() == expected.to_dict()
    assert first.due == expected.due
    assert (first.lapses, first.weak, first.new) == (1, False, False)
    assert first.recall(first.due) == pytest.approx(0.9, abs=0.02)  # due when recall has fallen to 90 %


def test_the_order_of_the_log_does_not_matter():
    log = [("Q001", 3, NOW), ("Q001", 1, NOW + 5 * DAY), ("Q002", 4, NOW + DAY)]
    assert cards(*log) == cards(*log[::-1])


def test_a_question_that_was_removed_or_renamed_breaks_nothing():
    log = [("Q001", 3, NOW), ("Q999", 3, NOW), ("Q002", 1, NOW)]
    kept = cards(*log, bank=BANK[1:])
    assert ids(kept) == ["Q002", "Q003"]
    assert kept[0].lapses == 1
    assert strangers(BANK[1:], [Review(id, rating, at) for id, rating, at in log]) == ["Q001", "Q999"]
    assert cards(*log)[0].reviews  # back in the bank, back with its history


@pytest.mark.parametrize("rating, weak", [(1, True), (2, True), (3, False), (4, False)])
def test_trouble_the_last_time_is_weak(rating, weak):
    assert cards(("Q001", 5 - rating, NOW), ("Q001", rating, NOW + DAY))[0].weak is weak


def test_a_request_lasts_until_the_next_rating():
    request = Request("Q002", "mock", NOW)
    assert cards(("Q002", 3, NOW - DAY), requests=[request])[1].request == request
    assert cards(("Q002", 3, NOW + MINUTE), requests=[request])[1].request is None
    assert cards(requests=[request])[1].weak


def test_requested_cards_come_first_then_due_then_new():
    bank = [question(f"Q00{number}") for number in range(1, 7)]
    log = [("Q001", 3, NOW - 10 * MINUTE), ("Q002", 1, NOW - 5 * MINUTE), ("Q003", 4, NOW - MINUTE)]
    requests = [Request("Q006", "b", NOW), Request("Q003", "a", NOW - timedelta(seconds=1))]
    waiting = queue(cards(*log, bank=bank, requests=requests), NOW)
    # Q001 was due this very moment, Q002 four minutes ago; Q003 and Q006 were asked for
    assert ids(waiting) == ["Q003", "Q006", "Q002", "Q001", "Q004", "Q005"]


def test_only_the_chosen_new_questions_are_asked():
    assert ids(queue(cards(("Q001", 3, NOW)), NOW, new=["Q003", "Q404", "Q001"])) == ["Q003"]
    assert ids(queue(cards(), NOW, new=[])) == []


def test_a_step_that_ends_soon_is_asked_early_when_nothing_else_is_left():
    log = [("Q001", 3, NOW), ("Q002", 1, NOW), ("Q003", 4, NOW)]
    assert ids(queue(cards(*log), NOW)) == ["Q002", "Q001"]  # 1 and 10 minutes; easy is days away
    assert ids(queue(cards(*log[:2]), NOW)) == ["Q003"]  # a new one is left
    assert ids(queue(cards(*log), NOW - AHEAD)) == []


def test_new_questions_come_reported_first_then_by_depth_and_lesson():
    asked = Frequency(Text("often", "常"), "somebody", "2026")
    bank = [question("Q009"), question("Q004", lesson="02"), question("Q001", "staff", frequency=asked)]
    bank += [question("Q002", "onsite", "01")]
    assert ids(by_priority(cards(bank=bank))) == ["Q001", "Q004", "Q009", "Q002"]


def test_the_four_ratings_return_in_rising_order():
    fresh = cards()[0]
    times = next_times(fresh, NOW)
    assert list(times) == [1, 2, 3, 4]
    assert times[1] == MINUTE and times[3] == 10 * MINUTE
    assert times[1] < times[2] < times[3] < times[4]
    assert fresh.memory is None  # asking changes nothing
    known = cards(("Q001", 4, NOW))[0]
    assert list(next_times(known, known.due).values()) == sorted(next_times(known, known.due).values())


def test_there_is_no_random_fuzz():
    assert len({rate(rate(None, 4, NOW), 3, NOW + 30 * DAY).due for _ in range(20)}) == 1


def test_a_rating_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="rating 0 is none of"):
        rate(None, 0, NOW)


@pytest.mark.parametrize(
    "seconds, english, chinese",
    [
        (-5, "now", "现在"),
        (0, "now", "现在"),
        (20, "1 min", "1 分钟"),
        (600, "10 min", "10 分钟"),
        (7200, "2 h", "2 小时"),
        (3 * 86400, "3 d", "3 天"),
    ],
)
def test_time_is_said_in_a_unit_that_fits(seconds, english, chinese):
    span = timedelta(seconds=seconds)
    assert (say_time(span), say_time(span, "zh")) == (english, chinese)
