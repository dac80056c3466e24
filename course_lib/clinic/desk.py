"""What a learner calls: see a symptom, read the program, hand in a repair.

    symptom("03")                      what the author complains about, and what the program gives when it runs
    show("03")                         the program
    check_repair("03", repaired)       text, a path, or functions that replace those of the program
    clinic_hint("03", level=1)

Programs and repairs run in a process of their own with limits (process.py): an endless loop, a crash or a call of
`exit` costs nothing but that process. `seconds` is computing time, not time on the clock.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from IPython.display import Markdown, display

from course_lib.clinic.case import Case, edited
from course_lib.clinic.process import SECONDS, run_module
from course_lib.clinic.ward import CASES, find_case
from course_lib.lesson.figures import COLOURS
from course_lib.lesson.figures import show as show_figure

Repair = str | Path | Callable


def clinic() -> None:
    """The list of cases: number, what the program is for, difficulty, minutes."""
    rows = [f"| {c.number} | {c.title} | {_dots(c)} | {c.minutes} |" for c in CASES]
    display(Markdown("\n".join(["| case | the program | difficulty | minutes |", "| --- | --- | --- | --- |", *rows])))


def symptom(number: str, *, seconds: float = SECONDS) -> None:
    """Print the complaint, run the broken program, show what it gives: a curve as a figure, all else as text."""
    case = find_case(number)
    print(_folded(f'case {number}, {case.title}: "{case.complaint}"'))
    answer = _child("run", case, case.source, seconds)
    for name, value in answer.get("report", {}).items():
        if isinstance(value, list) and len(value) > 20:
            fig = _curve(name, value)
            show_figure(fig, f"The curve of case {number}: {name} over {len(value)} steps.")
        else:
            print(_folded(f"  {name}: [measured {str(value).replace('[', '(').replace(']', ')')}]"))
    if "error" in answer:
        print(_folded(f"  it ends with {answer['error']}"))


def show(number: str) -> None:
    """Show the program as code."""
    display(Markdown(f"```python\n{find_case(number).source}```"))


def source(number: str) -> str:
    """The program as text, to edit."""
    return find_case(number).source


def write(number: str, directory: str | Path = ".") -> Path:
    """Write the program to a file to be edited; `check_repair(number, path)` takes it back. Refuses to overwrite."""
    case = find_case(number)
    path = Path(directory) / f"clinic_{case.path.name}"
    with open(path, "x", encoding="utf-8") as file:
        file.write(case.source)
    return path


def check_repair(number: str, *repair: Repair, seconds: float = SECONDS) -> None:
    """Print the verdict on a repair, and where such a bug was met; never raises for what the repair does.

    repair: the whole program as text or as the path of a file; or functions and classes, each of which replaces the one
        of its name.
    """
    line = verdict(number, *repair, seconds=seconds)
    print(_folded(line))
    seen = [each for each in find_case(number).met if "<" in each]
    if line.startswith("✓") and seen:
        print("   met in:", *seen, sep="\n     ")


def verdict(number: str, *repair: Repair, seconds: float = SECONDS) -> str:
    """The line that `check_repair` prints."""
    case = find_case(number)
    answer = _child("judge", case, repaired_source(case, repair), seconds)
    return answer.get("line") or f"✗ clinic {number}  {answer['error']}"


def clinic_hint(number: str, level: int = 0) -> None:
    """Print hint `level` (1 is where to look, the last is nearly the code); level 0 says how many there are."""
    case, count = find_case(number), len(find_case(number).hints)
    if level == 0:
        print(f"clinic {number}  {_dots(case)}  {case.minutes} minutes  hints: level=1 to level={count}")
        return
    if not 1 <= level <= count:
        raise ValueError(f"clinic {number} has hints 1 to {count}; level={level} is none of them")
    print(_folded(f"hint {level} of {count}: {case.hints[level - 1]}"))


def worked(number: str) -> str:
    """The program with one right repair."""
    case = find_case(number)
    return edited(case.source, case.repair)


def repaired_source(case: Case, repair: tuple[Repair, ...]) -> str:
    """One program from what the learner gave: text, a path, or functions that replace those of their names."""
    if not repair:
        raise ValueError(f"give a repair: text, a path, or functions; the program is source({case.number!r})")
    if len(repair) == 1 and isinstance(repair[0], Path):
        return repair[0].read_text(encoding="utf-8")
    if len(repair) == 1 and isinstance(repair[0], str):
        text = repair[0]
        return Path(text).read_text(encoding="utf-8") if text.endswith(".py") and "\n" not in text else text
    text = case.source
    for part in repair:
        if not callable(part) or isinstance(part, str | Path):
            raise TypeError(f"got a {type(part).__name__} among several parts; several parts are functions and classes")
        text = _spliced(text, textwrap.dedent(inspect.getsource(part)), part.__name__)
    return text


def _spliced(text: str, new: str, name: str) -> str:
    """Replace the function or class `name` at the top of the program; its decorators go with it."""
    nodes = {n.name: n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    if name not in nodes:
        raise ValueError(f"the program has no {name!r} to replace; it has {', '.join(nodes)}")
    node, lines = nodes[name], text.splitlines(keepends=True)
    start = min([node.lineno, *(each.lineno for each in node.decorator_list)]) - 1
    return "".join([*lines[:start], new.rstrip("\n") + "\n", *lines[node.end_lineno :]])


def _child(task: str, case: Case, text: str, seconds: float) -> dict[str, Any]:
    """Run `task` in another process: {"line": ...}, {"report": {...}} or {"error": ...}."""
    return run_module("course_lib.clinic.child", [task, case.number], text, seconds)


def _curve(name: str, values: list[float]) -> Any:
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(5, 2.4), layout="constrained")
    ax.plot(range(1, len(values) + 1), values, color=COLOURS[0])
    ax.set(xlabel="step", ylabel=name)
    ax.set_ylim(bottom=min(0, *values))
    return fig


def _dots(case: Case) -> str:
    return "●" * case.difficulty + "○" * (3 - case.difficulty)


def _folded(text: str) -> str:
    return textwrap.fill(text, width=100, subsequent_indent="   ", break_long_words=False)
