"""Ctrl-C and SIGTERM between two steps instead of within one, so that weights and history are whole when the run stops.

SIGTERM is how Slurm, containers and `timeout` tell a process to end, some seconds before they kill it. After Ctrl-C
`fit` returns; after SIGTERM, when the checkpoint is written, it ends the program with status 143, as the signal alone
would have.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from course_lib.training.distributed import world


class Interrupt:
    """Whether the run was asked to stop, and by which signal."""

    number: int | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        again, self.number = self.asked, number
        if again:  # a second signal does not wait for the step
            self.stop()

    @property
    def asked(self) -> bool:
        """Whether a signal came."""
        return self.number is not None

    def __str__(self) -> str:
        return signal.Signals(self.number).name if self.asked else "no signal"

    def stop(self) -> None:
        """Raise what the signal stands for: KeyboardInterrupt, or SystemExit with the status 128 + SIGTERM."""
        raise KeyboardInterrupt if self.number == signal.SIGINT else SystemExit(128 + signal.SIGTERM)


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """While open, the first Ctrl-C or SIGTERM is only noted. A program that handles SIGTERM itself keeps its handler.

    Left alone in several processes, which could stop at different steps and wait for each other for ever, and outside
    the main thread, where Python takes no signals.
    """
    interrupt, before = Interrupt(), {}
    if world().size == 1 and threading.current_thread() is threading.main_thread():
        before[signal.SIGINT] = signal.signal(signal.SIGINT, interrupt)
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            before[signal.SIGTERM] = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
