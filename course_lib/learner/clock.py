"""Times in the learner's file: this moment in UTC, and times as text."""

from datetime import UTC, datetime

YEARS = range(2000, 2200)
"""Years that a clock may show. FSRS counts up to a century ahead, and no date of Python lies beyond the year 9999."""


class ClockError(ValueError):
    """A time that cannot be right; the message says what to do."""


def utc_now() -> datetime:
    """This moment, in UTC; ClockError when the clock of the machine shows a year outside YEARS."""
    now = datetime.now(UTC)
    check_time(now)
    return now


def check_time(at: datetime) -> None:
    """ClockError for a time without a zone, or in a year outside YEARS."""
    if at.tzinfo is None:
        raise ClockError(f"time {at} has no zone; pass datetime.now(UTC)")
    if at.year not in YEARS:
        raise ClockError(
            f"the clock says {at:%Y-%m-%d %H:%M}, and no practice is dated before {YEARS.start} or after "
            f"{YEARS.stop - 1}: set the date and time of this machine, then call again. Nothing is lost"
        )


def stamp(at: datetime) -> str:
    """The time in UTC as text, ISO 8601; ClockError as in `check_time`."""
    check_time(at)
    return at.astimezone(UTC).isoformat()


def read_stamp(text: object) -> datetime | None:
    """The time that `stamp` wrote; None for anything else, such as a time without a zone or in the year 9999."""
    try:
        at = datetime.fromisoformat(text)
        check_time(at)
    except (TypeError, ValueError):
        return None
    return at.astimezone(UTC)
