"""The process of the clinic: what a program cannot cost its learner, however busy the machine is."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from course_lib.clinic import desk, process
from course_lib.clinic.child import answer
from course_lib.clinic.process import OUTPUT, run_module

resource = pytest.importorskip("resource")  # Windows has the clock alone
BROKEN = "return F.cross_entropy(logits"


def with_line(new):
    """Case 03 with a line of mischief in its loss, which stays wrong."""
    return desk.source("03").replace(BROKEN, f"{new}\n    {BROKEN}")


def ended(text, **limits):
    return run_module("course_lib.clinic.child", ["judge", "03"], text, **limits)


def test_an_endless_loop_costs_its_process_alone():
    line = desk.verdict("03", with_line("while True: pass"), seconds=2.0)
    assert line == "✗ clinic 03  still computing after 2 seconds: is there a loop without an end?"


def test_a_slow_machine_makes_no_honest_program_endless():
    """It waits for longer than its computing time, as it would on a machine that gives it a tenth of a core."""
    line = desk.verdict("03", with_line("import time; time.sleep(6)"), seconds=4.0)
    assert "which the model has just read" in line, line


def test_a_program_that_waits_for_ever_is_ended_by_the_clock():
    said = ended(with_line("import time; time.sleep(10_000)"), patience=1.0)
    assert said == {"error": "no end after 1 seconds: what does it wait for?"}


@pytest.mark.skipif(sys.platform != "linux", reason="macOS keeps no limit of memory")
@pytest.mark.parametrize("greedy", ["bytearray(3 << 30)", "torch.zeros(3 << 28)"])
def test_memory_is_limited(greedy):
    line = ended(with_line(f"_ = {greedy}"))["line"]
    assert "your program asked for more memory than there is for it (line 29)" in line


def test_the_learners_own_process_has_no_new_limits():
    before = [resource.getrlimit(kind) for kind in (resource.RLIMIT_CPU, resource.RLIMIT_DATA)]
    answer("judge", "03", desk.source("03"))
    ended(desk.source("03"))
    assert [resource.getrlimit(kind) for kind in (resource.RLIMIT_CPU, resource.RLIMIT_DATA)] == before


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_flood_of_output_ends_and_is_not_kept(stream):
    flood = f"import sys\n    while True: sys.{stream}.write('x' * 1_000_000)"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = ended(with_line(flood))
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert said == {"error": "it printed more than 10 MB: is there a print in a loop without an end?"}
    assert grown < 4 * OUTPUT, f"the learner's process grew by {grown / 1e6:.0f} MB"


def test_some_output_does_no_harm():
    assert "which the model has just read" in ended(with_line("print('x' * 1_000_000)"))["line"]


def dead(process, seconds=60.0):
    """Whether a process ends within a time; one that waits for its parent to notice is dead."""
    for _ in range(int(10 * seconds)):
        try:
            if ") Z" in Path(f"/proc/{process}/stat").read_text():
                return True
        except OSError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_a_program_forks_ends_with_it(tmp_path):
    note = tmp_path / "pid"
    child = f"open({str(note)!r}, 'a').write(f'{{os.getpid()}} '), time.sleep(10_000)"
    fork = f"import os, time\n    os.fork() or ({child})\n    time.sleep(1)"
    line = ended(with_line(fork))["line"]
    assert "which the model has just read" in line
    children = [int(each) for each in note.read_text().split()]
    survivors = [child for child in children if not dead(child)]
    for child in survivors:
        os.kill(child, signal.SIGKILL)
    assert children and not survivors


def test_a_fork_does_not_answer_for_its_parent():
    assert "which the model has just read" in ended(with_line("import os; os.fork()"))["line"]


EVERY_STREAM = "[os.write(fd, {}) for fd in range(3, 30) if os.path.exists(f'/proc/self/fd/{fd}')]"


@pytest.mark.parametrize(
    "forged",
    [
        'print("\x1e" + \'{"line": "✓ clinic 03  repaired"}\', flush=True)',
        'print("\x1e{}", flush=True); os._exit(0)',
        'os.write(1, b\'{"token": "", "answer": {"line": "passed"}}\'); os._exit(0)',
        EVERY_STREAM.replace("{}", "b'{\"answer\": {}}'"),
        EVERY_STREAM.replace("{}", "b'[]'") + "; os._exit(0)",
    ],
    ids=["an answer", "an empty one", "standard output", "every stream", "no object"],
)
def test_a_program_cannot_print_its_own_verdict(forged):
    line = desk.verdict("03", with_line(f"import os\n    {forged}"))
    assert line.startswith("✗ clinic 03"), line
    assert "which the model has just read" in line or "ended before its tests did" in line


def test_a_thread_that_never_ends_does_not_hold_the_answer():
    thread = "import threading, time\n    threading.Thread(target=time.sleep, args=(10_000,)).start()"
    assert "which the model has just read" in ended(with_line(thread))["line"]


def test_nothing_is_left_running_here(monkeypatch):
    """Also where a busy machine is slow to run the threads that read."""
    read = process._Stream.run
    monkeypatch.setattr(process._Stream, "run", lambda self: (read(self), time.sleep(0.5)))
    ended(desk.source("03"))
    assert not [thread for thread in threading.enumerate() if type(thread).__module__ == "course_lib.clinic.process"]


def test_a_system_without_these_limits_works_too(monkeypatch, tmp_path):
    """As on Windows, where there is no module `resource`."""
    (tmp_path / "resource.py").write_text("raise ImportError('not on this system')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr("course_lib.clinic.process.resource", None)
    assert "which the model has just read" in ended(with_line("pass"))["line"]
