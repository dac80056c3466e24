"""A tour of the lessons as a learner takes it: each opened in JupyterLab, run, its controls moved, saved, reopened.

    make tour                          every built lesson, minutes each
    make tour L="07 12"                some
    make tour CHANGED=origin/main      those that a change since then touches
    make tour L=07 SHOTS=shots         and pictures of what was seen

Strict comparison of the notebooks cannot see what only a live page has: views, names of controls, what is cut at the
side, what a theme makes illegible, what is lost when a notebook is closed. Ends with status 1 if anything was found.
"""

import argparse
import ast
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from browser.visit import Visit
from browser.window import CHROMIUM

from course_lib.lesson.syllabus import ROOT, Lesson, load_lessons


def main(arguments: list[str]) -> int:
    """Take the tour, print a line per finding; returns the exit status."""
    parser = argparse.ArgumentParser(prog="tour", description=__doc__.partition("\n")[0])
    parser.add_argument("lessons", nargs="*", help="numbers of two digits; all that are built when none is given")
    parser.add_argument("--changed", metavar="COMMIT", help="those of them that a change since COMMIT touches")
    parser.add_argument("--shots", metavar="FOLDER", type=Path, help="put pictures of the views there")
    asked = parser.parse_args(arguments)
    if CHROMIUM is None:
        parser.error("no chromium, chromium-browser or google-chrome on the PATH; install one of them")
    try:
        lessons = choose(asked.lessons, asked.changed)
    except ValueError as error:
        parser.error(str(error))
    found = sum(tell(lesson, asked.shots) for lesson in lessons)
    print(f"{found} findings in {len(lessons)} lessons")
    return 1 if found else 0


def choose(numbers: list[str], since: str | None) -> list[Lesson]:
    """The built lessons that were asked for; ValueError for a number that there is not, a commit that git cannot find.

    numbers: all when empty. since: a commit; of those lessons, the ones that a change since then touches: source,
    notebook, figures, or a module of course_lib that the source imports, directly or not.
    """
    built = {lesson.number: lesson for lesson in load_lessons() if lesson.built}
    if unknown := [number for number in numbers if number not in built]:
        raise ValueError(f"no built lesson {', '.join(unknown)}; there are {', '.join(built)}")
    chosen = [built[number] for number in numbers] or list(built.values())
    if since is None:
        return chosen
    changed = _changes(since)
    return [lesson for lesson in chosen if _is_touched(lesson, changed)]


def tell(lesson: Lesson, shots: Path | None) -> int:
    """Visit a lesson and print what is found; returns how much that is."""
    began, found = time.monotonic(), 0
    with tempfile.TemporaryDirectory(prefix="tour") as home:
        visit = Visit(Path(home), lesson.notebook.name, shots)
        for finding in visit.findings():
            found += 1
            place = "" if finding.cell is None else f"cell {finding.cell}"
            when = f" ({finding.when})" if finding.when else ""
            print(f"{lesson.number}  {place:8s} {finding.what}{when}", flush=True)
    tried = f"{visit.views} views, {visit.moved} controls, {time.monotonic() - began:.0f} s"
    print(f"{lesson.number}  {found} findings; {tried}", flush=True)
    return found


def _changes(since: str) -> list[str]:
    """Paths of files that differ from a commit."""
    done = subprocess.run(["git", "diff", "--name-only", since], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"git cannot compare with {since!r}: {done.stderr.strip().splitlines()[0]}")
    return done.stdout.splitlines()


def _is_touched(lesson: Lesson, changed: list[str]) -> bool:
    if any(re.match(rf"notebooks/(\w+/)?{lesson.number}_", path) for path in changed):
        return True
    if any(path.startswith("course_lib/jupyter/") for path in changed):  # settings and styles of every page
        return True
    read = (ROOT.joinpath(path).with_suffix(".py") for path in changed)  # keys.js belongs to keys.py
    return not _modules(lesson.source).isdisjoint(read)


def _modules(source: Path) -> set[Path]:
    """Files of course_lib that a file imports, directly or not."""
    found: set[Path] = set()
    waiting = [source]
    while waiting:
        for node in ast.walk(ast.parse(waiting.pop().read_text(encoding="utf-8"))):
            new = {path for name in _imported(node) if (path := _file(name)) is not None} - found
            found |= new
            waiting += new
    return found


def _imported(node: ast.AST) -> list[str]:
    """Names that may be modules: of `from a.b import c` both a.b and a.b.c."""
    if isinstance(node, ast.Import):
        return [each.name for each in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
    return []


def _file(module: str) -> Path | None:
    """Where a module of course_lib lies; None for any other name."""
    place = ROOT.joinpath(*module.split("."))
    files = (place.with_suffix(".py"), place / "__init__.py") if module.startswith("course_lib") else ()
    return next((path for path in files if path.exists()), None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
