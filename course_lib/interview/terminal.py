"""A terminal to practise in: lines folded at its width, long text a screen at a time, answers by a line or by one key.

Where the input or the output is no terminal, as in a pipe, text goes out as it is and every answer is a line.
"""

import os
import shutil
import sys

from wcwidth import width

from course_lib.interview.folding import fold

WIDEST = 100
"""Columns; a longer line is hard to read."""
MORE = {"en": "-- more: Space, to the end: q --", "zh": "-- 更多：空格，跳到末尾：q --"}
_INTERRUPT, _END = "\x03", "\x04\x1a\x00"  # Ctrl-C; Ctrl-D, Ctrl-Z on Windows, Ctrl-D pressed too early on Linux


class Screen:
    """What a program says and asks in a terminal."""

    def __init__(self, language: str = "en") -> None:
        self.more = MORE[language]
        self.live = all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))
        self._rows = 0  # lines since the learner last pressed a key
        self._rest = False  # whether the learner wants the rest without a stop

    def say(self, text: str = "") -> None:
        """Print a text; in a terminal wait for a key whenever the screen is full."""
        if not self.live:
            print(text)
            return
        columns, lines = shutil.get_terminal_size()
        for line in fold(text, min(columns, WIDEST)):
            if self._rows >= lines - 1 and not self._rest:
                self._wait()
            print(line)
            self._rows += 1

    def tell(self, text: str) -> None:
        """Print a report: folded in a terminal, without a stop."""
        self._rest = True
        self.say(text)

    def ask(self, prompt: str) -> str:
        """A line; EOFError at the end of the input, KeyboardInterrupt for Ctrl-C."""
        if sys.stdin is None or sys.stdout is None:  # started with one of them closed
            raise EOFError
        line = input(self._last_line(prompt))
        self._rows, self._rest = 0, False
        return line

    def key(self, prompt: str) -> str:
        """One key, "" for Enter; without a terminal a line, as `ask`."""
        if not self.live:
            return self.ask(prompt)
        print(self._last_line(prompt), end="", flush=True)
        while not (pressed := read_key()).isprintable():  # an arrow would move the cursor
            pass
        print(pressed)
        self._rows, self._rest = 0, False
        return pressed

    def _last_line(self, prompt: str) -> str:
        """Say all lines of the prompt but the last, behind which the learner types."""
        if not self.live:
            return prompt
        *lines, last = fold(prompt, min(shutil.get_terminal_size().columns, WIDEST) - 1)
        for line in lines:
            self.say(line)
        return f"{last} " if prompt.endswith(" ") else last

    def _wait(self) -> None:
        print(self.more, end="", flush=True)
        try:
            self._rest = read_key() == "q"
        finally:
            print(f"\r{' ' * width(self.more)}\r", end="", flush=True)  # the line makes room for the text
        self._rows = 0


def read_key() -> str:
    """Wait for one key of the keyboard, "" for Enter. KeyboardInterrupt for Ctrl-C, EOFError for Ctrl-D."""
    pressed = _read_windows_key() if os.name == "nt" else _read_posix_key()
    if pressed == _INTERRUPT:
        raise KeyboardInterrupt
    if not pressed or pressed in _END:
        raise EOFError
    return "" if pressed in "\r\n" else pressed


def _read_posix_key() -> str:
    """What one key sends: a letter, or several bytes for an arrow or a Han character."""
    import select
    import termios
    import tty

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    try:
        tty.setcbreak(keyboard, termios.TCSADRAIN)
        pressed = os.read(keyboard, 1)
        while pressed[:1] in (b"\x1b",) or pressed[:1] >= b"\x80":
            if not select.select([keyboard], [], [], 0.02)[0] or not (more := os.read(keyboard, 1)):
                break
            pressed += more
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
    return pressed.decode(errors="replace")


def _read_windows_key() -> str:
    import msvcrt

    pressed = msvcrt.getwch()
    return pressed + msvcrt.getwch() if pressed in "\x00\xe0" else pressed  # an arrow sends two
