"""What one mock interview asks: five rounds with their minutes and items, written down before the clock starts.

The script goes into the log with the first event, so a resumed interview asks what it would have asked.
"""

import json
from typing import NamedTuple

from course_lib.interview.record import Text

KINDS = ("opening", "depth", "arithmetic", "coding", "project")
MINUTES = {
    30: {"opening": 3, "depth": 10, "arithmetic": 3, "coding": 8, "project": 6},
    45: {"opening": 3, "depth": 14, "arithmetic": 4, "coding": 15, "project": 9},
}
"""Minutes of each round; they sum to the key."""
COUNTS = {30: {"depth": 2, "project": 3}, 45: {"depth": 3, "project": 4}}
"""How many main questions those rounds hold: about five minutes each with follow-ups, two where it is the project."""
TITLES = {
    "opening": Text("Opening", "开场"),
    "depth": Text("Depth questions", "深度问题"),
    "arithmetic": Text("Arithmetic", "估算"),
    "coding": Text("Coding", "写代码"),
    "project": Text("Defend your project", "项目答辩"),
}


class Round(NamedTuple):
    """One round."""

    kind: str
    """One of KINDS."""
    minutes: int
    items: tuple[str, ...]
    """What is asked: question ids; "family/step/seed" of a sum; id of an exercise; topics of a project, as drawn."""
    count: int
    """How many of the items are asked."""


class Script(NamedTuple):
    """One interview."""

    minutes: int
    rounds: tuple[Round, ...]
    level: str
    focus: str | None
    seed: int
    why: Text
    """One line: how the questions were chosen."""

    def as_json(self) -> str:
        """To put into the log."""
        return json.dumps({**self._asdict(), "why": [self.why.en, self.why.zh]}, ensure_ascii=False)


def read_script(content: str) -> Script:
    """Back from `Script.as_json`."""
    raw = json.loads(content)
    rounds = tuple(Round(kind, minutes, tuple(items), count) for kind, minutes, items, count in raw["rounds"])
    return Script(**{**raw, "rounds": rounds, "why": Text(*raw["why"])})
