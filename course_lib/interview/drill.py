"""The drill in a notebook: think, reveal, rate yourself; the rating is on disk before the next card.

The view replaces the text of HTML widgets and never uses an Output widget, so what a strict comparison of a notebook
sees does not depend on what the reader clicked.
"""

import time
from collections.abc import Sequence
from html import escape

import ipywidgets as widgets
from IPython.display import Markdown, display

from course_lib.interview.answer import WORDS, as_html
from course_lib.interview.plan import name_left_out, outline_plan
from course_lib.interview.practice import LABELS, MINUTES, TARGET, Session
from course_lib.interview.record import DEPTHS, LANGUAGES
from course_lib.interview.schedule import next_times, say_time
from course_lib.interview.stopwatch import Stopwatch
from course_lib.interview.view import ROW, LiveView, lines_html, scrolling, show_view
from course_lib.learner.store import StoreError
from course_lib.learner.tables import RATINGS
from course_lib.lesson.live import is_static

TITLE = {"en": "Drill", "zh": "练习"}


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
    if is_static():
        display(Markdown(describe(lesson, depth, language, days, minutes)))
        return
    view = DrillView(Session(lesson, depth=depth, days=days, minutes=minutes), language)
    show_view(view, html=view.static_html(), text=describe(lesson, depth, language, days, minutes))


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


class DrillView(LiveView):
    """One card at a time: Reveal, four ratings within reach, the time of the answer; by mouse or by keys."""

    reports = (StoreError,)

    def __init__(self, session: Session, language: str = "en") -> None:
        super().__init__(language)
        self.session, self.card = session, None
        self.thought: float | None = None  # seconds to the answer, once it is revealed
        self.status, self.page = widgets.HTML(), widgets.HTMLMath()
        self.reveal = widgets.Button(button_style="primary")
        self.reveal.on_click(lambda _: self.attempt(self.turn))
        self.ratings = {rating: widgets.Button() for rating in RATINGS}
        for rating, button in self.ratings.items():
            button.on_click(lambda _, rating=rating: self.attempt(self.rate, rating))
        head = widgets.HBox([self.status, self.keys], layout=ROW)
        bar = widgets.HBox([self.reveal, *self.ratings.values(), self.language], layout=ROW)
        self.widget.children = [head, bar, self.notice, self.page]
        self.attempt(self.advance)

    @property
    def revealed(self) -> bool:
        """Whether the answer is on the screen."""
        return self.thought is not None

    def advance(self) -> None:
        """The next card, its answer hidden, or none when nothing is due."""
        waiting = self.session.queue()
        self.card, self.thought = (waiting[0] if waiting else None), None
        self.shown_at = time.monotonic()

    def turn(self) -> None:
        """Reveal the answer; with no card, look whether one has come due."""
        if self.card is None:
            self.advance()
        elif not self.revealed:
            self.thought = time.monotonic() - self.shown_at

    def rate(self, rating: int) -> None:
        """Save the rating, then go on."""
        if self.card is None or not self.revealed:
            return  # a stale click: two on one button
        card, labels = self.card, LABELS[self.language.value]
        try:
            saved = self.session.rate(card, rating, time.monotonic() - self.shown_at)
        except StoreError as error:
            raise StoreError(labels["unsaved"].format(error)) from error
        self.advance()
        if not saved:
            self.trouble = labels["elsewhere"].format(card.question.id)

    def press_key(self, key: str) -> None:
        """Space and 1 to 4."""
        if key == " ":
            self.turn()
        else:
            self.rate(int(key))

    def appear(self) -> None:
        """Say the time anew."""
        self._draw_keys()

    def draw(self) -> None:
        """Put the state into the widgets."""
        language = self.language.value
        labels, rating_shown = LABELS[language], self.card is not None and self.revealed
        self.status.value = self._counts()
        times = next_times(self.card, self.session.clock()) if rating_shown else {}
        for rating, button in self.ratings.items():
            button.layout.display = "" if rating_shown else "none"
            button.description = f"{labels[rating]} · {say_time(times[rating], language)}" if times else labels[rating]
        self.reveal.layout.display = "none" if rating_shown else ""
        self.reveal.description = labels["more"] if self.card is None else WORDS[language]["reveal"]
        page = self._empty() if self.card is None else self._question()
        self.page.value = scrolling(page, language, "min(26em, 48vh)")
        self._draw_keys()

    def notice_html(self) -> str:
        """What went wrong; and until the first rating the plan, with what it leaves out folded away."""
        page = lines_html([text for text in (self.trouble, self.session.store.notice) if text])
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

    def static_html(self) -> str:
        """What a reader without a kernel sees: how much waits, and the question that comes first."""
        page = self._empty() if self.card is None else self._question()
        return f"<p><b>{TITLE[self.language.value]}</b> · {self._counts()}</p>{page}"

    def _counts(self) -> str:
        counts, labels = self.session.counts(), LABELS[self.language.value]
        return " · ".join(f"{counts[name]} {labels[name]}" for name in ("due", "new", "later", "done"))

    def _draw_keys(self) -> None:
        labels = LABELS[self.language.value]
        if self.card is None:
            self.keys.offer(" ", labels["looks"])
        else:
            self.keys.offer("1234" if self.revealed else " ", labels["rates" if self.revealed else "reveals"])
        so_far = time.monotonic() - self.shown_at if self.thought is None else self.thought
        watch = Stopwatch(labels["time"], so_far, int(not self.revealed), TARGET, labels["late"])
        self.keys.run([watch] if self.card else [])

    def _question(self) -> str:
        request = self.card.request
        asked = LABELS[self.language.value]["asked"]
        why = f"<p>{escape(asked.format(request.reason))}</p>" if request else ""
        return why + as_html(self.card.question, self.language.value, revealed=self.revealed)

    def _empty(self) -> str:
        labels, upcoming = LABELS[self.language.value], self.session.upcoming()
        if upcoming is None:
            return f"<p>{labels['empty']}</p>"
        wait = say_time(upcoming.due - self.session.clock(), self.language.value)
        return f"<p>{labels['empty']} {escape(labels['next'].format(upcoming.question.id, wait))}</p>"


def _check(depth: str | None, language: str) -> None:
    if language not in LANGUAGES:
        raise ValueError(f"language {language!r} is not in the bank; try one of {', '.join(LANGUAGES)}")
    if depth is not None and depth not in DEPTHS:
        raise ValueError(f"depth {depth!r} is none of {', '.join(DEPTHS)}; leave it out for all")
