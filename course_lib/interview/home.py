"""The start page's map: every lesson with how far you came in it, and one thing to do with the next 20 minutes."""

from collections import Counter
from typing import NamedTuple

from IPython.display import Markdown, display

from course_lib.interview.progress import list_exercises, read_standing
from course_lib.interview.schedule import Card
from course_lib.learner.log import Entry, entries
from course_lib.learner.standing import Standing, count, lesson_of, standing
from course_lib.learner.store import StoreError
from course_lib.lesson.live import is_static
from course_lib.lesson.syllabus import find_lesson, lesson_map

START = "00"


class State(NamedTuple):
    """What the page is made of."""

    exercises: tuple[str, ...]
    """Ids of the exercises of the lessons that are built, in order."""
    log: list[Entry]
    standing: Standing
    due: tuple[Card, ...]
    """Questions to ask now."""


def home() -> None:
    """Show the lessons and where you stand in them; with COURSE_STATIC=1 the lessons alone."""
    if is_static():
        display(Markdown(lesson_map()))
        return
    state = read_state()
    parts = [say_totals(state), f"**The next 20 minutes:** {suggest(state)}", lesson_map(remarks(state))]
    display(Markdown("\n\n".join(parts)))


def read_state() -> State:
    """As of now. A log that cannot be read or written counts as an empty one, and `standing.trouble` says why."""
    exercises = tuple(list_exercises())
    reached = standing(exercises)
    try:
        bank, log = read_standing(), entries()
    except StoreError as error:
        return State(exercises, [], reached._replace(trouble=str(error)), ())
    return State(exercises, log, reached, tuple(card for card in bank.cards if card.due and card.due <= bank.now))


def say_totals(state: State) -> str:
    """One line: lessons done, exercises passed, bets won, questions due; or why the log cannot be read."""
    if state.standing.trouble:
        return f"**You:** {state.standing.trouble}"
    reached, with_exercises = state.standing, {lesson_of(id) for id in state.exercises}
    parts = [
        f"{len(reached.completed)} of {len(with_exercises)} lessons done",
        f"{len(reached.passed)} of {len(state.exercises)} exercises passed",
        f"{reached.won} of {reached.bets} bets won" if reached.bets else "no bet placed yet",
        f"{_count(len(state.due), 'question')} due",
    ]
    return f"**You:** {' · '.join(parts)}"


def suggest(state: State) -> str:
    """What to do next, one thing: what is due, then the exercise that is open, then the next lesson."""
    if state.due:
        verb = "is" if len(state.due) == 1 else "are"
        return f"{_count(len(state.due), 'question')} {verb} due: run `drill()`, in *Practise for the day* below."
    left = [id for id in state.exercises if id not in state.standing.passed]
    if not left:
        return "every exercise is passed: run `mock(minutes=45)`, and see what is weak."
    open_lessons = list(dict.fromkeys(map(lesson_of, left)))
    number = next((n for n in (lesson_of(each.id) for each in reversed(state.log)) if n in open_lessons), None)
    if number is None:
        return f"begin with {_link(next((n for n in open_lessons if n != START), START))}."
    id = next(id for id in left if lesson_of(id) == number)
    return f"{_link(number)}: exercise {id} is not passed yet."


def remarks(state: State) -> dict[str, str]:
    """Lesson number to what happened there: nothing for a lesson that was not begun."""
    begun = {lesson_of(each.id) for each in state.log}
    due = Counter(card.question.lesson for card in state.due)
    texts = {}
    for number in sorted(begun | due.keys()):
        own = count([each for each in state.log if lesson_of(each.id) == number], _of(state.exercises, number))
        parts = [f"exercises {len(own.passed)} of {len(own.exercises)}"] if number in begun and own.exercises else []
        parts += [f"bets {own.won} of {own.bets}"] if own.bets else []
        parts += [f"{_count(due[number], 'question')} due"] if due[number] else []
        done = " ✓" if number in own.completed else ""
        texts[number] = f"{done} · {' · '.join(parts)}" if parts else done
    return texts


def _link(number: str) -> str:
    lesson = find_lesson(number)
    return f"[{lesson.name}]({lesson.notebook.name})"


def _of(exercises: tuple[str, ...], number: str) -> list[str]:
    return [id for id in exercises if lesson_of(id) == number]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
