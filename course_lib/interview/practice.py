"""A sitting of practice: what to ask now, and ratings that are on disk before the next question appears.

It knows no widgets: the drill in a notebook and the one in a terminal both use it.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from course_lib.interview.plan import LONGEST, Plan, make_plan
from course_lib.interview.questions import load_questions
from course_lib.interview.record import DEPTHS, Question
from course_lib.interview.schedule import Card, cards_of, queue
from course_lib.learner.clock import utc_now
from course_lib.learner.store import Review, ReviewStore

MINUTES = 20.0  # a day, for the plan
TARGET = 60.0  # seconds for an answer aloud
LABELS = {
    "en": {1: "again", 2: "hard", 3: "good", 4: "easy", "due": "due", "new": "new", "later": "later", "done": "done"}
    | {"empty": "Nothing is due.", "next": "Next: {} in {}.", "asked": "asked for: {}", "more": "Look again"}
    | {"left": "show the {} questions that are left out", "time": "{} of 1:00", "late": "{} of 1:00, over time"}
    | {"elsewhere": "{} was rated in another window meanwhile; nothing was saved here.", "unsaved": "Not saved: {}"}
    | {"reveals": "space reveals", "rates": "1 again · 2 hard · 3 good · 4 easy"}
    | {"looks": "space looks again"},
    "zh": {1: "重来", 2: "困难", 3: "良好", 4: "容易", "due": "到期", "new": "新题", "later": "以后", "done": "已答"}
    | {"empty": "现在没有到期的题。", "next": "下一题：{}，{}后。", "asked": "指定练习：{}", "more": "再看看"}
    | {"left": "列出学不到的 {} 题", "time": "{} / 1:00", "late": "{} / 1:00，超时"}
    | {"elsewhere": "{} 刚在另一个窗口评过分；这里没有保存。", "unsaved": "没有保存：{}"}
    | {"reveals": "空格显示答案", "rates": "1 重来 · 2 困难 · 3 良好 · 4 容易"}
    | {"looks": "空格再看看"},
}


class Session:
    """What to ask, and where the ratings go.

    lesson: one lesson or several, two digits each; None for all. depth: one depth; None for all.
    days: until the interview; then new questions are those that the plan for these days has for today.
    minutes: a day, for the plan. clock: what time it is, in UTC.
    Raises ValueError for a filter that fits no question, StoreError when reviews cannot be kept.
    """

    def __init__(
        self,
        lesson: str | Sequence[str] | None = None,
        *,
        depth: str | None = None,
        days: int | None = None,
        minutes: int | float = MINUTES,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.bank = choose_questions(lesson, depth)
        self.store, self.clock = ReviewStore(), clock
        self.done = 0
        self.cards = self._read()
        self.plan: Plan | None = None
        if days is not None:
            self.plan = make_plan(self.cards, now=clock(), days=days, minutes=minutes)

    def queue(self) -> list[Card]:
        """What to ask now, in order."""
        return queue(self.cards, self.clock(), None if self.plan is None else self.plan.today.new)

    def rate(self, card: Card, rating: int, seconds: float | None = None) -> bool:
        """Put a rating on disk and read the log again, with what another kernel may have added; StoreError if it fails.

        False, and nothing is written, when the card was rated elsewhere since it was shown: one answer, one rating.
        """
        self.cards = self._read()
        if card.reviews != next(each.reviews for each in self.cards if each.question.id == card.question.id):
            return False
        measured = None if seconds is None else min(seconds, LONGEST)
        self.store.add(Review(card.question.id, rating, self.clock(), measured))
        self.done += 1
        self.cards = self._read()
        return True

    def counts(self) -> dict[str, int]:
        """How many cards are due, new and later, and how many ratings this session gave."""
        waiting = self.queue()
        new = sum(card.new for card in waiting)
        seen = sum(not card.new for card in self.cards)
        return {"due": len(waiting) - new, "new": new, "later": seen - (len(waiting) - new), "done": self.done}

    def upcoming(self) -> Card | None:
        """The card that comes due first, of those met before."""
        seen = [card for card in self.cards if not card.new]
        return min(seen, key=lambda card: card.due, default=None)

    def _read(self) -> list[Card]:
        return cards_of(self.bank, self.store.reviews(), self.store.requests())


def choose_questions(lesson: str | Sequence[str] | None, depth: str | None) -> list[Question]:
    """The questions of one lesson, several or all, at one depth or all; ValueError when there are none."""
    if lesson is None:
        bank = load_questions()
    else:
        bank = [each for one in ([lesson] if isinstance(lesson, str) else lesson) for each in load_questions(one)]
    found = [each for each in bank if depth in (None, each.depth)]
    if not found:
        have = ", ".join(sorted({each.depth for each in bank}, key=DEPTHS.index))
        raise ValueError(f"no question of depth {depth!r} in lesson {lesson}; it has {have}")
    return found
