"""The form of a lesson, measured: how much code a reader sees, how long it takes, and what stands in the reader's way.

Everything here reads the cells of a notebook, as nbformat gives them, and runs nothing. Folded cells, that is claims
and worked solutions, do not count as seen. `complaints` lists where a lesson falls short, in words.
"""

import ast
import re
from collections.abc import Iterator
from statistics import median
from typing import Any

MARK = "second-form"
"""Tag of the first cell of a lesson that keeps to this form."""
FOLDED = {"claim", "solution"}
IN_ORDER = (
    "The interview question",
    "Try first",
    "By hand",
    "Evidence",
    "Wrong answers people give",
    "The 60-second answer",
    "Questions",
    "Card",
    "Sources",
    "Worked solutions",
)
ANYWHERE = ("You will be able to", "In symbols", "Build it", "Explore", "At scale")
"""Parts of a lesson; each is a heading of a numbered section or opens a paragraph in bold."""
MEDIAN_LINES, MOST_LINES, LONGEST = 6, 12, 20
EXCEPTIONS = 3  # cells that may have more than MOST_LINES
ALL_LINES, ALL_CELLS, COLUMNS = 330, 40, 88
CELLS_PER_FIGURE = 8
SITTING = 90  # minutes, without the exercises marked "more"
WORDS_A_MINUTE, LINES_A_MINUTE = 200, 30
_EXERCISE = re.compile(r"^### Exercise .*?(\d+) minutes(.*)$", re.MULTILINE)
_LATER = re.compile(r"^## [\d.]+ (Sources|Worked solutions?)\b", re.MULTILINE)


def is_second_form(cells: list[Any]) -> bool:
    """Whether the lesson says that it keeps to this form."""
    return MARK in tags(cells[0])


def tags(cell: Any) -> list[str]:
    """The tags of a cell."""
    return cell["metadata"].get("tags", [])


def code(cells: list[Any]) -> list[Any]:
    """The code cells, folded ones included."""
    return [cell for cell in cells if cell["cell_type"] == "code"]


def seen(cells: list[Any]) -> list[Any]:
    """The code cells that a reader sees without a click."""
    return [cell for cell in code(cells) if not FOLDED & set(tags(cell))]


def prose(cells: list[Any]) -> str:
    """The text up to the sources."""
    text = "\n\n".join(cell["source"] for cell in cells if cell["cell_type"] == "markdown")
    later = _LATER.search(text)
    return text[: later.start()] if later else text


def lines(cell: Any) -> list[str]:
    """The lines of a cell that hold something."""
    return [line for line in cell["source"].splitlines() if line.strip()]


def minutes(cells: list[Any]) -> tuple[int, int]:
    """How long the lesson takes, to the next five minutes; and how long the exercises marked "more" take besides."""
    stated = [(int(time), "more" in rest) for time, rest in _EXERCISE.findall(prose(cells))]
    reading = len(prose(cells).split()) / WORDS_A_MINUTE + sum(len(lines(c)) for c in seen(cells)) / LINES_A_MINUTE
    needed = reading + sum(time for time, more in stated if not more)
    return 5 * max(1, round(needed / 5)), sum(time for time, more in stated if more)


def say_minutes(cells: list[Any]) -> str:
    """How the line of facts states it: "75 minutes", "75 minutes and 30 more"."""
    needed, more = minutes(cells)
    return f"{needed} minutes" + (f" and {more} more" if more else "")


def missing_parts(cells: list[Any]) -> list[str]:
    """What is wrong with the parts of a lesson and their order."""
    text = "\n\n".join(cell["source"] for cell in cells if cell["cell_type"] == "markdown")
    places = {part: re.search(rf"^(##+ \d+\.\d+ |\*\*){part}", text, re.MULTILINE) for part in (*IN_ORDER, *ANYWHERE)}
    found = [f"no part {part!r}" for part, place in places.items() if place is None]
    starts = [place.start() for part in IN_ORDER if (place := places[part]) is not None]
    if starts != sorted(starts):
        found.append(f"the parts stand in another order than {', '.join(IN_ORDER)}")
    if not re.search(r"\]\(#[\d.]+-The-60-second-answer\).*\]\(#[\d.]+-Card\)", cells[0]["source"]):
        found.append("no line that takes those with 15 minutes to the 60-second answer and the card")
    return found


def complaints(cells: list[Any]) -> list[str]:
    """Where the lesson falls short of the form; empty when it does not."""
    found = list(_on_length(cells))
    if not cells[0]["source"].startswith("# 00"):  # the start page shows the course, it argues nothing
        found += [*_on_figures(cells), *missing_parts(cells)]
    for cell in seen(cells):
        found += [f"{complaint}, in the cell that begins {_first(cell)!r}" for complaint in _on_code(cell)]
    needed, _ = minutes(cells)
    return found + ([f"{needed} minutes are no sitting; mark exercises as more, fold a section"] * (needed > SITTING))


def _on_length(cells: list[Any]) -> Iterator[str]:
    lengths = sorted((len(lines(cell)), _first(cell)) for cell in seen(cells))
    counts = [count for count, _ in lengths]
    if len(counts) > ALL_CELLS or sum(counts) > ALL_LINES:
        yield f"{len(counts)} code cells and {sum(counts)} lines are seen; at most {ALL_CELLS} and {ALL_LINES}"
    if counts and median(counts) > MEDIAN_LINES:
        yield f"the median cell has {median(counts):g} lines; at most {MEDIAN_LINES}"
    long = [(count, first) for count, first in lengths if count > MOST_LINES]
    if len(long) > EXCEPTIONS or any(count > LONGEST for count, _ in long):
        yield f"cells of more than {MOST_LINES} lines: {long}; at most {EXCEPTIONS}, and none over {LONGEST}"


def _on_figures(cells: list[Any]) -> Iterator[str]:
    outputs = [output.get("data", {}) for cell in code(cells) for output in cell.get("outputs", [])]
    shown = sum("image/png" in data or "<img " in data.get("text/html", "") for data in outputs)
    figures = shown + len(re.findall(r"!\[[^\]]*\]\(", prose(cells)))
    if figures * CELLS_PER_FIGURE < len(seen(cells)):
        yield f"{figures} figures for {len(seen(cells))} cells of code; one for every {CELLS_PER_FIGURE}"


def _on_code(cell: Any) -> Iterator[str]:
    widest = max(map(len, cell["source"].splitlines()), default=0)
    if widest > COLUMNS:
        yield f"a line of {widest} columns; at most {COLUMNS}"
    tree = ast.parse(cell["source"])
    if any(_called(node) == "claim" for node in ast.walk(tree)):
        yield 'a claim among the code; give it a cell of its own, tagged "claim"'
    if any(_nested(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) for node in ast.walk(tree)):
        yield "a comprehension in a comprehension; write a loop"
    if any(_nested(node, ast.Lambda) for node in ast.walk(tree)):
        yield "a lambda in a lambda; write a function"


def _nested(node: ast.AST, kind: Any) -> bool:
    return isinstance(node, kind) and any(isinstance(each, kind) for each in ast.walk(node) if each is not node)


def _called(node: ast.AST) -> str | None:
    return getattr(node.func, "id", None) if isinstance(node, ast.Call) else None


def _first(cell: Any) -> str:
    return next(iter(lines(cell)), "")
