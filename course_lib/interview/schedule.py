"""When to ask a question again: FSRS on the review log, and which question comes next.

FSRS (the `fsrs` library, https://github.com/open-spaced-repetition/py-fsrs) keeps a stability and a difficulty a card
and predicts the chance of recall. A card is due when that chance has fallen to 90 %, so one that is due after the
interview is expected to be known on the day, and nothing has to be squeezed in before it. State is never stored: it is
computed from the log, without the library's random fuzz, so two kernels see the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import fsrs

from course_lib.interview.record import DEPTHS, Question
from course_lib.learner.store import Request, Review
from course_lib.learner.tables import RATINGS

AHEAD = timedelta(minutes=20)
"""A card on a learning step that ends within this time is asked early when nothing else is left."""
SCHEDULER = fsrs.Scheduler(enable_fuzzing=False)


@dataclass(frozen=True)
class Card:
    """A question of the bank, and what the log says about it."""

    question: Question
    reviews: tuple[Review, ...] = ()
    """Oldest first."""
    request: Request | None = None
    """Why it was asked for, until it is rated again."""
    memory: fsrs.Card | None = None
    """State of FSRS after the last review; None before the first."""

    @property
    def new(self) -> bool:
        """Whether it was never rated."""
        return self.memory is None

    @property
    def due(self) -> datetime | None:
        """When to ask it next; None for a new card that nobody asked for."""
        if self.request is not None:
            return self.request.at
        return self.memory.due if self.memory else None

    @property
    def learning(self) -> bool:
        """Whether it is on a step of minutes, before or after a lapse."""
        return self.memory is not None and self.memory.state != fsrs.State.Review

    @property
    def weak(self) -> bool:
        """Asked for, or answered with trouble the last time: again or hard."""
        return self.request is not None or bool(self.reviews) and self.reviews[-1].rating <= fsrs.Rating.Hard

    @property
    def lapses(self) -> int:
        """How often it was rated again."""
        return sum(review.rating == fsrs.Rating.Again for review in self.reviews)

    def recall(self, at: datetime) -> float:
        """Predicted chance of recall, 0 to 1; 0 for a new card. FSRS counts whole days, so it is 1 on the first."""
        return SCHEDULER.get_card_retrievability(self.memory, at) if self.memory else 0.0


def cards_of(bank: Iterable[Question], reviews: Iterable[Review], requests: Iterable[Request] = ()) -> list[Card]:
    """One card a question, in the bank's order. Reviews of questions that are not in the bank are passed over."""
    rated: dict[str, list[Review]] = {}
    for review in sorted(reviews, key=lambda each: each.at):
        rated.setdefault(review.question, []).append(review)
    wanted = {request.question: request for request in sorted(requests, key=lambda each: each.at)}
    return [_card(question, rated.get(question.id, []), wanted.get(question.id)) for question in bank]


def strangers(bank: Iterable[Question], reviews: Iterable[Review]) -> list[str]:
    """Ids with reviews whose question the bank no longer has; their reviews stay in the log."""
    return sorted({review.question for review in reviews} - {question.id for question in bank})


def rate(memory: fsrs.Card | None, rating: int, at: datetime) -> fsrs.Card:
    """State after one more rating, 1 to 4."""
    if rating not in RATINGS:
        raise ValueError(f"rating {rating!r} is none of {RATINGS}")
    before = memory or fsrs.Card(card_id=0, due=at)
    return SCHEDULER.review_card(before, fsrs.Rating(rating), at)[0]


def next_times(card: Card, at: datetime) -> dict[int, timedelta]:
    """How long until the card comes back, for each rating."""
    return {rating: rate(card.memory, rating, at).due - at for rating in RATINGS}


def queue(cards: Iterable[Card], now: datetime, new: Iterable[str] | None = None) -> list[Card]:
    """What to ask, in order: requested, then due, then new ones; else cards on a learning step that ends soon.

    new: ids of the new questions to ask, in order; by default all of them, `by_priority`.
    """
    cards = list(cards)
    asked_for = sorted((each for each in cards if each.request is not None), key=lambda each: each.request.at)
    seen = [each for each in cards if each.request is None and not each.new]
    due = sorted((each for each in seen if each.due <= now), key=lambda each: each.due)
    fresh = {each.question.id: each for each in by_priority(cards) if each.new and each.request is None}
    chosen = list(fresh.values()) if new is None else [fresh[id] for id in new if id in fresh]
    if found := [*asked_for, *due, *chosen]:
        return found
    return sorted((each for each in seen if each.learning and each.due <= now + AHEAD), key=lambda each: each.due)


def by_priority(cards: Iterable[Card]) -> list[Card]:
    """In the order in which to meet them: reported from interviews first, then screen, onsite, staff; then lesson."""
    return sorted(
        cards,
        key=lambda each: (
            each.question.frequency is None,
            DEPTHS.index(each.question.depth),
            each.question.lesson,
            each.question.id,
        ),
    )


def say_time(span: timedelta, language: str = "en") -> str:
    """A span in the largest unit that fits: "10 min", "3 d"; "now" for none."""
    seconds = span.total_seconds()
    minute, hour, day = ("分钟", "小时", "天") if language == "zh" else ("min", "h", "d")
    if seconds <= 0:
        return "现在" if language == "zh" else "now"
    if seconds < 3600:
        return f"{max(1, round(seconds / 60))} {minute}"
    return f"{round(seconds / 3600)} {hour}" if seconds < 86400 else f"{round(seconds / 86400)} {day}"


def _card(question: Question, reviews: list[Review], request: Request | None) -> Card:
    memory = None
    for review in reviews:
        memory = rate(memory, review.rating, review.at)
    answered = request is not None and bool(reviews) and reviews[-1].at > request.at
    return Card(question, tuple(reviews), None if answered else request, memory)
