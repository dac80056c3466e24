"""What every verb of `course` shares: a wrong call is one line, numbers have bounds, a closed pipe is no error."""

import argparse
import math
import os
import sys
from collections.abc import Callable
from typing import NoReturn

BROKEN_PIPE, INTERRUPTED = 141, 130
"""Exit status of a program whose reader has gone, as in `course coverage | head`, and of one that Ctrl-C ended."""


class Parser(argparse.ArgumentParser):
    """A parser that refuses a wrong call in one line, with exit status 2. Its subparsers do so as well."""

    def error(self, message: str) -> NoReturn:
        """Print the line and leave."""
        one_line = " ".join(message.split())
        self.exit(2, f"{self.prog}: {one_line}; see {self.prog} --help\n")


def whole(low: int, high: int) -> Callable[[str], int]:
    """A type for add_argument: whole numbers from `low` to `high`."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{_short(text)} is no whole number; {low} to {high} fit") from None
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{_short(text)} is out of range; {low} to {high} fit")
        return number

    return read


def above(low: int | float, high: int | float) -> Callable[[str], float]:
    """A type for add_argument: numbers above `low`, up to `high`."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not low < number <= high:
            raise argparse.ArgumentTypeError(
                f"{_short(text)} does not fit; a number above {low:g} and up to {high:g} does"
            )
        return number

    return read


def quietly(run: Callable[[], int]) -> int:
    """Call `run` and hand on its status; no traceback when whoever reads the output has gone, or after Ctrl-C."""
    try:
        try:
            return run()
        finally:
            print(end="", flush=True)  # or the interpreter would find out at its end, too late for a word
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still in the buffer goes nowhere
        return BROKEN_PIPE


def _short(text: str) -> str:
    return repr(text if len(text) <= 20 else f"{text[:17]}...")
