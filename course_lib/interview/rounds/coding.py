"""The coding round: one exercise of the lessons, its function written in a cell or in a file, judged by its own tests.

A file is judged in a process of its own with limits (course_lib/clinic/process.py), so an endless loop or a crash in it
ends that process and not the interview.
"""

import importlib
import inspect
import json
import pkgutil
import re
import runpy
import textwrap
from pathlib import Path

import course_lib.exercises
from course_lib.clinic.process import Question, run_module
from course_lib.lesson.exercises import Exercise, Verdict, judge

SECONDS = 60.0
"""Computing time for starting Python, importing torch and running the tests."""
_SIGNATURE = re.compile(r"Write (\w+)(\([^)]*\))")
SOURCES = Path(__file__).resolve().parents[3] / "notebooks" / "src"


def load_exercises() -> dict[str, Exercise]:
    """Every exercise of the course by id, "07.1 fuse"."""
    names = sorted(module.name for module in pkgutil.iter_modules(course_lib.exercises.__path__))
    modules = [importlib.import_module(f"course_lib.exercises.{name}") for name in names]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Exercise)]
    return {exercise.id: exercise for exercise in found}


def signature(exercise: Exercise) -> tuple[str, str]:
    """Name and parameters of the function to write: ("fuse", "(image, text, operator)")."""
    match = _SIGNATURE.match(exercise.task)
    if match is None:
        raise ValueError(f"the task of {exercise.id} does not open with 'Write name(...)': {exercise.task[:60]!r}")
    return match[1], match[2]


def stub(exercise: Exercise) -> str:
    """A file to begin with."""
    name, parameters = signature(exercise)
    task = textwrap.fill(exercise.task, 100, initial_indent="# ", subsequent_indent="# ")
    return f"{task}\nimport torch\n\n\ndef {name}{parameters}:\n    raise NotImplementedError\n"


def solution(exercise: Exercise) -> str:
    """The worked solution that stands in the exercise's lesson, under the name that the task asks for.

    The source of the reference only where the lesson has none: some references take the mutants' switches from around
    them, so what is written there does not run alone.
    """
    module = importlib.import_module(f"course_lib.exercises.lesson_{exercise.id[:2]}")
    variable = next((name for name, value in vars(module).items() if value is exercise), "")
    lesson = "".join(path.read_text(encoding="utf-8") for path in SOURCES.glob(f"{exercise.id[:2]}_*.py"))
    for cell in re.split(r"^# %%", lesson, flags=re.MULTILINE):
        checked = re.search(rf"^check\(exercise\.{variable}, (\w+), solution=True\)", cell, re.MULTILINE)
        if checked and cell.startswith(' tags=["solution"]'):
            code = cell[: checked.start()].partition("\n")[2].strip()
            return re.sub(rf"\b{checked[1]}\b", signature(exercise)[0], code)
    return textwrap.dedent(inspect.getsource(exercise.reference)).rstrip()


def judge_name(exercise: Exercise, names: dict[str, object]) -> Verdict:
    """Judge the function of that name among `names`, a notebook's namespace or a file's."""
    name, _ = signature(exercise)
    if not callable(names.get(name)):
        return Verdict(False, f"○ {exercise.id}  no function {name} yet: define it, run the cell, then check")
    return judge(exercise, names[name])


def judge_file(exercise: Exercise, path: Path, seconds: float = SECONDS) -> Verdict:
    """Judge the function in a file; whatever the file does becomes a line. `seconds` is computing time."""
    asked = json.dumps([exercise.id, str(path.resolve())])
    answer = run_module(__name__, [], asked, seconds)
    if "error" in answer:
        return Verdict(False, f"✗ {exercise.id}  {path.name}: {answer['error']}")
    return Verdict(**answer)


def mark(tries: list[dict]) -> int:
    """2 for passed, 1 when a first stage was passed, 0 otherwise; the best of all runs."""
    return max((each["mark"] for each in tries), default=0)


def written(exercise: Exercise, names: dict[str, object]) -> str:
    """Source of the function of that name among `names`; empty where there is none or Python does not know it."""
    try:
        return textwrap.dedent(inspect.getsource(names.get(signature(exercise)[0]))).rstrip()
    except (OSError, TypeError):
        return ""


def as_try(verdict: Verdict, code: str = "") -> dict:
    """What the log keeps of a run, with the code that was judged."""
    beyond_first = re.search(r"stage (\d+) of", verdict.line)
    some = beyond_first is not None and int(beyond_first[1]) > 1
    mark = 2 if verdict.passed else int(some)
    return {"line": verdict.line, "passed": verdict.passed, "mark": mark, "code": code}


def _main() -> None:
    question = Question()
    exercise_id, path = json.loads(question.text)
    exercise = load_exercises()[exercise_id]
    try:
        names = runpy.run_path(path)
    except Exception as error:  # the learner's own file: a line, as for everything a checker meets
        verdict = Verdict(False, f"✗ {exercise.id}  {Path(path).name} raised {type(error).__name__}: {error}")
    else:
        verdict = judge_name(exercise, names)
    question.reply(verdict._asdict())


if __name__ == "__main__":
    _main()
