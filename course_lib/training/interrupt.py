"""Ctrl-C between two steps instead of within one, so that weights and history are whole when the run stops."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from course_lib.training.distributed import world


class Interrupt:
    """Whether the run was asked to stop."""

    asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        if self.asked:  # a second Ctrl-C does not wait for the step
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """While open, the first Ctrl-C only sets `asked`.

    Left alone in several processes, which could stop at different steps and wait for each other for ever, and outside
    the main thread, where Python takes no signals.
    """
    interrupt = Interrupt()
    if world().size > 1 or threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
