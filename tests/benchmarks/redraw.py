"""What one move of an explorer's control costs: CPU time of drawing, encoding and framing, for every explorer.

    python tests/benchmarks/redraw.py           all built lessons, one after the other, a process each
    python tests/benchmarks/redraw.py 07 12     some

A lesson's cells run as plain Python, so that explorers draw from the data that a learner would have. Every control goes
to its ends, or through its entries, and back (tests/rehearsal.py), three times over. CPU time of one thread does not
depend on what else the machine does, a busy one's caches apart. The aim is a median under 120 ms.
"""

import contextlib
import importlib
import io
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROUNDS = 3


def main(numbers: list[str]) -> None:
    """One line per lesson: moves, median and largest milliseconds."""
    from course_lib.lesson.syllabus import load_lessons

    everything: list[float] = []
    print(f"{'lesson':26s} moves  median    most")
    for lesson in load_lessons():
        if lesson.built and (not numbers or lesson.number in numbers):
            spent = _in_a_process_of_its_own(lesson.notebook)
            everything += spent
            print(_row(lesson.notebook.stem, spent), flush=True)
    print(_row("all", everything))


def _row(name: str, spent: list[float]) -> str:
    figures = f"{statistics.median(spent):4.0f} ms {max(spent):4.0f} ms" if spent else "no explorer"
    return f"{name:26s} {len(spent):5d} {figures}"


def _in_a_process_of_its_own(notebook: Path) -> list[float]:
    settled = {"COURSE_STATIC": "1", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "MPLBACKEND": "agg"}
    environment = os.environ | settled
    command = [sys.executable, __file__, "--one", str(notebook)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, cwd=notebook.parent)
    return json.loads(done.stdout.splitlines()[-1])


def moves_of(notebook: Path) -> list[float]:
    """Milliseconds of CPU per redraw, in the order in which the lesson's controls are moved."""
    sys.path.insert(0, str(TESTS))
    rehearsal = importlib.import_module("rehearsal")
    explore = importlib.import_module("course_lib.lesson.explore")
    spent: list[float] = []
    explore.explore = _timed(rehearsal, explore, spent)
    names: dict[str, object] = {"__name__": "__main__"}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile("".join(cell["source"]), notebook.name, "exec"), names)
    return spent


def _timed(rehearsal, module, spent):
    """`explore`, which moves the controls of its live view and notes what each move costs."""
    plain = module.explore

    def explore(draw, *, alt, **controls):
        view, _ = rehearsal.live(plain, draw, alt, controls)
        for control in list(view.children[: len(controls)]) * ROUNDS:
            start = control.value
            for value in [*rehearsal.positions(control), start]:
                if value == control.value:
                    continue  # no move
                began = time.process_time()
                control.value = value
                spent.append(1000 * (time.process_time() - began))

    return explore


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        moves = moves_of(Path(sys.argv[2]))
        print(json.dumps(moves))
    else:
        main(sys.argv[1:])
