"""A time that runs: said once in a terminal, and moved on by the browser itself in a live view."""

from typing import Any, NamedTuple


class Stopwatch(NamedTuple):
    """A line with a time in it, which goes up or down by itself."""

    text: str
    """What to say, "{} of 1:00"; the time stands where {} is."""
    seconds: float
    """The time at this moment."""
    step: int = 0
    """Seconds a second: 1 goes up, -1 goes down, 0 stands still."""
    limit: float | None = None
    """Going up, it is late above this; going down it is late below zero."""
    late: str = ""
    """What to say then, in place of `text`."""

    def said(self) -> str:
        """The line at this moment; keys.js says the same a second later."""
        over = self.seconds < 0 or (self.limit is not None and self.seconds > self.limit)
        return (self.late if over and self.late else self.text).replace("{}", say_seconds(abs(self.seconds)))

    def as_state(self) -> dict[str, Any]:
        """To send to the browser."""
        return self._asdict()


def say_seconds(seconds: float) -> str:
    """Minutes and seconds, "4:10"."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
