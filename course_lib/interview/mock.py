"""The timed mock interview in a notebook: five rounds, a clock, follow-ups that depend on your own marks, a report.

`mock()` shows it; rounds/ holds the engine, which the terminal's `course mock` uses as well. Every answer and mark is
on disk at once, and so is what was only typed, so a restarted kernel goes on where it was. As in drill.py the view
replaces the text of widgets and never uses an Output widget.
"""

from datetime import datetime
from secrets import randbelow

from IPython import get_ipython
from IPython.display import Markdown, display

from course_lib.interview.mock_view import MockView
from course_lib.interview.record import LANGUAGES
from course_lib.interview.rounds.choice import LEVELS, check_request, write_script
from course_lib.interview.rounds.log import read_mocks
from course_lib.interview.rounds.outcome import outcome
from course_lib.interview.rounds.page import Material
from course_lib.interview.rounds.profile import ALT, draw_profile
from course_lib.interview.rounds.report import as_markdown, make_report
from course_lib.interview.rounds.script import COUNTS, MINUTES, TITLES, Script
from course_lib.interview.schedule import cards_of
from course_lib.interview.view import show_view
from course_lib.learner.clock import utc_now
from course_lib.learner.store import ReviewStore
from course_lib.lesson.figures import show
from course_lib.lesson.live import is_static


def mock(
    minutes: int = 45,
    focus: str | None = None,
    level: str | None = None,
    seed: int | None = None,
    language: str = "en",
) -> None:
    """Show a mock interview: opening, depth questions, a sum, a function to write, and your project to defend.

    minutes: 30 or 45. focus: a lesson for questions and code, "07"; None for all. level: "screen", "onsite" (the
    default) or "staff". seed: the same seed draws the same interview from the same reviews. language: "en" or "zh", to
    start with. An unfinished interview is offered first, to resume or to drop. With COURSE_STATIC=1 it says what it
    would do.
    Raises ValueError for anything else, StoreError where reviews cannot be kept.
    """
    check_request(minutes, focus, level)
    check_language(language)
    if is_static():
        display(Markdown(describe(minutes, focus, level, language)))
        return
    store, material = ReviewStore(), Material()
    script = draw_script(store, material, minutes=minutes, focus=focus, level=level, seed=seed, now=utc_now())
    view = MockView(store, script, language, material=material)
    if (shell := get_ipython()) is not None:
        view.watch(shell)
    show_view(view, html=view.static_html(), text=describe(minutes, focus, level, language))


def mock_report(id: str | None = None, language: str = "en") -> None:
    """Show the report of the last mock interview, or of the one with that id, as Markdown and a figure.

    Raises ValueError when there is none, or none with that id.
    """
    check_language(language)
    if is_static():
        display(
            Markdown("**Report of a mock interview**, live in JupyterLab: time, rubric, what to read, what to drill.")
        )
        return
    mocks, notes = read_mocks(ReviewStore())
    chosen = [each for each in mocks if id in (None, each.id)]
    if not chosen:
        if not mocks:
            raise ValueError("no mock interview yet, so there is no report; start one with mock()")
        raise ValueError(f"no mock interview {id!r}; there are {', '.join(each.id for each in mocks)}")
    report = make_report(chosen[-1], mocks, Material(), language)
    display(Markdown("\n\n".join([*notes, as_markdown(report)])))
    show(draw_profile(outcome(chosen[-1].state))[0], ALT)


def draw_script(
    store: ReviewStore,
    material: Material,
    *,
    minutes: int,
    focus: str | None,
    level: str | None,
    seed: int | None,
    now: datetime,
) -> Script:
    """A new interview from the bank and the learner's reviews; seed None draws one."""
    cards = cards_of(material.bank.values(), store.reviews(), store.requests())
    number = randbelow(10**6) if seed is None else seed
    return write_script(cards, minutes=minutes, focus=focus, level=level, seed=number, now=now)


def describe(minutes: int, focus: str | None, level: str | None, language: str) -> str:
    """What `mock` would do, as Markdown that is the same on every machine and for every bank."""
    where = f"lesson {focus}" if focus else "all lessons"
    depths = " and ".join(LEVELS[level or "onsite"])
    rounds = [
        f"- {TITLES[kind].en}, {planned} min"
        + (f", {COUNTS[minutes][kind]} questions" if kind in COUNTS[minutes] else "")
        for kind, planned in MINUTES[minutes].items()
    ]
    return "\n".join(
        [
            f"**Mock interview** · {minutes} min · {where} · {depths} · {LANGUAGES[language]}, live in JupyterLab.",
            "",
            *rounds,
            "",
            "You answer aloud, reveal what a good answer holds, mark yourself; the marks choose what follows: a weak "
            "answer gets a simpler question, a strong one a harder one or a wrong answer to refute. The clock can be "
            "paused and survives a restart of the kernel. The report shows time, rubric and sections to read, and puts "
            "weak questions into the drill.",
        ]
    )


def check_language(language: str) -> None:
    """ValueError for a language the bank does not have."""
    if language not in LANGUAGES:
        raise ValueError(f"language {language!r} is not in the bank; try one of {', '.join(LANGUAGES)}")
