"""Practise what is due: think, reveal, rate yourself; the rating is on disk before the next question appears.

The view replaces the text of HTML widgets and never uses an Output widget, so what a strict comparison of a notebook
sees does not depend on what the reader clicked. `Session` does the work and knows no widgets: the terminal uses it too.
"""

import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from html import escape

import ipywidgets as widgets
from IPython.display import Markdown, display

from course_lib.interview.answer import WORDS, as_html
from course_lib.interview.plan import LONGEST, Plan, make_plan, name_left_out, outline_plan
from course_lib.interview.questions import load_questions
from course_lib.interview.record import DEPTHS, LANGUAGES, Question
from course_lib.interview.schedule import Card, cards_of, next_times, queue, say_time
from course_lib.learner.clock import utc_now
from course_lib.learner.store import Review, ReviewStore, StoreError
from course_lib.learner.tables import RATINGS

ROW = {"align_items": "center", "flex_flow": "row wrap"}
MINUTES = 20.0  # a day, for the plan
LABELS = {
    "en": {1: "again", 2: "hard", 3: "good", 4: "easy", "due": "due", "new": "new", "later": "later", "done": "done"}
    | {"empty": "Nothing is due.", "next": "Next: {} in {}.", "asked": "asked for: {}", "more": "Look again"}
    | {"left": "show the {} questions that are left out"},
    "zh": {1: "重来", 2: "困难", 3: "良好", 4: "容易", "due": "到期", "new": "新题", "later": "以后", "done": "已答"}
    | {"empty": "现在没有到期的题。", "next": "下一题：{}，{}后。", "asked": "指定练习：{}", "more": "再看看"}
    | {"left": "列出学不到的 {} 题"},
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

    def rate(self, card: Card, rating: int, seconds: float | None = None) -> None:
        """Put a rating on disk and read the log again, with what another kernel may have added; StoreError if not."""
        measured = None if seconds is None else min(seconds, LONGEST)
        self.store.add(Review(card.question.id, rating, self.clock(), measured))
        self.done += 1
        self.cards = self._read()

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


def drill(
    lesson: str | Sequence[str] | None = None,
    *,
    depth: str | None = None,
    language: str = "en",
    days: int | None = None,
    minutes: int | float = MINUTES,
) -> None:
    """Practise the questions that are due, in a notebook; ratings are kept between sessions.

    lesson: "07", or several, ("07", "09"). depth: "screen", "onsite" or "staff". language: "en" or "zh", to start with.
    days: until the interview; the drill then says what can be learnt by then at `minutes` minutes a day, what is left
    out and why, and asks today's share. With COURSE_STATIC=1 it only says what it would do.
    """
    _check(depth, language)
    if os.environ.get("COURSE_STATIC") == "1":
        display(Markdown(describe(lesson, depth, language, days, minutes)))
        return
    display(DrillView(Session(lesson, depth=depth, days=days, minutes=minutes), language).widget)


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


def describe(
    lesson: str | Sequence[str] | None, depth: str | None, language: str, days: int | None, minutes: int | float
) -> str:
    """What `drill` would do, as Markdown that is the same on every machine and for every bank."""
    which = "all lessons" if lesson is None else f"lesson {lesson if isinstance(lesson, str) else ', '.join(lesson)}"
    lines = [
        f"**Drill** · {which} · {depth or 'every depth'} · {LANGUAGES[language]}, live in JupyterLab. It asks what is "
        "due, reveals the answer once you have said yours, and takes your rating: again, hard, good or easy. FSRS "
        "decides when the question returns; reviews are kept in one file of your user data folder."
    ]
    if days is not None:
        lines.append(f"It plans {days} days at {minutes:g} minutes and says which questions do not fit, and why.")
    return "\n\n".join(lines)


class DrillView:
    """One card at a time, with Reveal, four ratings and a language switch; `widget` is what to display."""

    def __init__(self, session: Session, language: str = "en") -> None:
        self.session, self.card, self.revealed, self.error = session, None, False, ""
        self.status, self.notice, self.page = widgets.HTML(), widgets.HTML(), widgets.HTMLMath()
        self.reveal = widgets.Button(button_style="primary")
        self.reveal.on_click(lambda _: self.turn())
        self.ratings = {rating: widgets.Button() for rating in RATINGS}
        for rating, button in self.ratings.items():
            button.on_click(lambda _, rating=rating: self.rate(rating))
        options = [(name, code) for code, name in LANGUAGES.items()]
        self.language = widgets.ToggleButtons(options=options, value=language, style={"button_width": "6em"})
        self.language.observe(lambda _: self.draw(), "value")
        bar = widgets.HBox([self.reveal, *self.ratings.values(), self.language], layout=ROW)
        self.widget = widgets.VBox([self.status, bar, self.notice, self.page])
        self.advance()

    def advance(self) -> None:
        """Show the next card, its answer hidden, or that nothing is due."""
        waiting = self.session.queue()
        self.card, self.revealed = (waiting[0] if waiting else None), False
        self.shown_at = time.monotonic()
        self.draw()

    def turn(self) -> None:
        """Reveal the answer; with no card, look whether one has come due."""
        if self.card is None:
            self.advance()
            return
        self.revealed = True
        self.draw()

    def rate(self, rating: int) -> None:
        """Save the rating, then go on; a rating that cannot be saved stays on the screen with the reason."""
        if self.card is None or not self.revealed:
            return  # a stale click: two on one button, or one that crossed with another kernel's
        try:
            self.session.rate(self.card, rating, time.monotonic() - self.shown_at)
        except StoreError as error:
            self.error = f"Not saved: {error}"
            self.draw()
            return
        self.error = ""
        self.advance()

    def draw(self) -> None:
        """Put the state into the widgets."""
        language = self.language.value
        labels, words = LABELS[language], WORDS[language]
        counts = self.session.counts()
        self.status.value = " · ".join(f"{counts[name]} {labels[name]}" for name in ("due", "new", "later", "done"))
        self.notice.value = self._notices()
        rating_shown = self.card is not None and self.revealed
        times = next_times(self.card, self.session.clock()) if rating_shown else {}
        for rating, button in self.ratings.items():
            button.layout.display = "" if rating_shown else "none"
            button.description = f"{labels[rating]} · {say_time(times[rating], language)}" if times else labels[rating]
        self.reveal.layout.display = "none" if rating_shown else ""
        self.reveal.description = labels["more"] if self.card is None else words["reveal"]
        page = self._empty() if self.card is None else self._question()
        self.page.value = f'<div style="font-size:var(--jp-content-font-size1);line-height:1.6">{page}</div>'

    def _question(self) -> str:
        request = self.card.request
        asked = LABELS[self.language.value]["asked"]
        why = f"<p>{escape(asked.format(request.reason))}</p>" if request else ""
        return why + as_html(self.card.question, self.language.value, revealed=self.revealed, in_lesson=False)

    def _empty(self) -> str:
        labels, upcoming = LABELS[self.language.value], self.session.upcoming()
        if upcoming is None:
            return f"<p>{labels['empty']}</p>"
        wait = say_time(upcoming.due - self.session.clock(), self.language.value)
        return f"<p>{labels['empty']} {escape(labels['next'].format(upcoming.question.id, wait))}</p>"

    def _notices(self) -> str:
        """What went wrong; and until the first rating the plan, with what it leaves out folded away."""
        troubles = [text for text in (self.error, self.session.store.notice) if text]
        page = "".join(f"<p style='white-space:pre-wrap'>{escape(text)}</p>" for text in troubles)
        plan, language = self.session.plan, self.language.value
        if plan is None or self.session.done:
            return page
        head, *rest = (escape(line) for line in outline_plan(plan, language))
        page += f"<p style='line-height:1.5'><b>{head}</b><br>{'<br>'.join(rest)}</p>"
        if left := name_left_out(plan, language):
            items = "".join(f"<li>{escape(line)}</li>" for line in left)
            page += (
                f"<details><summary>{LABELS[language]['left'].format(len(left))}</summary><ul>{items}</ul></details>"
            )
        return page


def _check(depth: str | None, language: str) -> None:
    if language not in LANGUAGES:
        raise ValueError(f"language {language!r} is not in the bank; try one of {', '.join(LANGUAGES)}")
    if depth is not None and depth not in DEPTHS:
        raise ValueError(f"depth {depth!r} is none of {', '.join(DEPTHS)}; leave it out for all")
