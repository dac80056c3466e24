"""A process with limits: computing time, memory, output, and an end for all that it started.

A guard against accidents, not a sandbox. An endless loop, a flood of output, a fork or a call of `exit` cost nothing
but that process, and a program that prints something like an answer does not get it believed: the answer comes on a
stream that the program's prints do not reach, and carries a word that only the two ends know. A program that looks for
that word finds it, and it may read and write every file that its learner may. Do not run a stranger's code here.

The limit on computing time counts what the process computed, so a busy machine makes nobody's program endless; the one
on the clock, far longer, is for programs that wait. Windows knows only the one on the clock; macOS keeps no
limit of memory.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

try:
    import resource
except ImportError:  # Windows
    resource = None

SECONDS = 30.0
"""Computing time of a program; those of the clinic take 1 to 4 seconds, most of it for importing torch."""
PATIENCE = 180.0
"""Seconds on the clock."""
MEMORY = 2 << 30
"""Bytes of data; torch and transformers take 0.4e9 of them. Mapped libraries, large under CUDA, do not count."""
OUTPUT = 10 << 20
"""Bytes that a program may print, and that an answer may have."""
TAIL = 4096
"""Bytes of what was printed that are kept."""

ROOT = Path(__file__).resolve().parents[2]
"""Where `python -m course_lib...` finds this package, installed or not."""


class _Stream(threading.Thread):
    """Reads a pipe to its end, keeps the last `kept` bytes, and kills the process past OUTPUT."""

    def __init__(self, pipe: IO[bytes], process: subprocess.Popen, kept: int) -> None:
        super().__init__(daemon=True)
        self.pipe, self.process, self.kept = pipe, process, kept
        self.text, self.count = b"", 0
        self.start()

    def run(self) -> None:
        """A thread, because a full pipe that nobody reads stops the process."""
        with self.pipe:
            while self.count <= OUTPUT and (chunk := self.pipe.read1(1 << 16)):
                self.count += len(chunk)
                self.text = (self.text + chunk)[-self.kept :]
        if self.count > OUTPUT:
            self.process.kill()

    def end(self) -> str:
        """What was kept. A process that escaped from the group may hold the pipe open; nobody waits for that one."""
        self.join(timeout=5.0)
        return self.text.decode("utf-8", errors="replace")


def run_module(
    module: str, arguments: list[str], text: str, seconds: float = SECONDS, patience: float = PATIENCE
) -> dict[str, Any]:
    """Give `text` to `python -m module arguments` and return its answer, or {"error": what ended it, in a line}.

    The module makes a `Question` first and calls its `reply` last. `seconds` is computing time, `patience` the clock.
    """
    token = secrets.token_hex(16)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # a group of its own, so that what it forks can be ended with it
    )
    answer, noise = _Stream(process.stdout, process, OUTPUT), _Stream(process.stderr, process, TAIL)
    asked = json.dumps({"token": token, "seconds": seconds, "text": text}).encode()
    threading.Thread(target=_write, args=(process.stdin, asked), daemon=True).start()
    try:
        process.wait(timeout=patience)
    except subprocess.TimeoutExpired:
        return {"error": f"no end after {patience:g} seconds: what does it wait for?"}
    finally:
        _end(process)
    said, complained = answer.end(), noise.end()  # both, or a thread is still reading when this returns
    if max(answer.count, noise.count) > OUTPUT:
        return {"error": f"it printed more than {OUTPUT >> 20} MB: is there a print in a loop without an end?"}
    if resource and process.returncode == -signal.SIGXCPU:
        return {"error": f"still computing after {seconds:g} seconds: is there a loop without an end?"}
    return _believed(said, token) or {"error": _died(process.returncode, complained)}


def _write(pipe: IO[bytes], asked: bytes) -> None:
    with suppress(OSError), pipe:  # the process may have died before it read anything
        pipe.write(asked)


def _end(process: subprocess.Popen) -> None:
    """Kill the process and its group, whatever is left of them."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):  # nothing is left; macOS refuses for dead ones
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _believed(answer: str, token: str) -> dict[str, Any] | None:
    """The answer without its token; None for everything that does not carry it."""
    try:
        found = json.loads(answer)
    except ValueError:
        return None
    return found["answer"] if isinstance(found, dict) and found.get("token") == token else None


def _died(code: int, noise: str) -> str:
    trouble = noise.strip().rpartition("\n")[2][-200:] or f"exit code {code}"
    return f"the process ended before its tests did ({trouble}): does the program call exit?"


class Question:
    """The other end: what the process was asked, and its way to answer. Make it before any program runs."""

    def __init__(self) -> None:
        asked = json.loads(sys.stdin.buffer.read())
        self.text: str = asked["text"]
        self._token, self._process = asked["token"], os.getpid()
        self._stream = os.fdopen(os.dup(1), "wb")  # ours alone: from here on, prints go the way of errors
        os.dup2(2, 1)
        if resource:
            _limit(asked["seconds"])

    def reply(self, answer: dict[str, Any]) -> None:
        """Send the answer and end the process at once, with its threads. A fork of it has nothing to say."""
        if os.getpid() == self._process:
            self._stream.write(json.dumps({"token": self._token, "answer": answer}).encode())
            self._stream.close()
        os._exit(0)


def _limit(seconds: float) -> None:
    """Limit computing time, beyond what was used already, and memory. Ending it is left to the system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = int(used.ru_utime + used.ru_stime + seconds) + 1
    for kind, limit in ((resource.RLIMIT_CPU, cpu), (resource.RLIMIT_DATA, MEMORY)):
        _, most = resource.getrlimit(kind)
        with suppress(ValueError, OSError):  # a system that does not know the limit; the clock remains
            resource.setrlimit(kind, (limit if most < 0 else min(limit, most), most))
