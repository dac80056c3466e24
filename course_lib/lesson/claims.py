"""A claim: a sentence, the condition that makes it true, and what was measured just now.

What is printed is the same on every machine except for what stands in the brackets, which tests/nbval.cfg masks. So a
notebook's output can be compared strictly, and a claim that stopped being true stops the notebook.
"""

import textwrap

from course_lib.lesson.bets import settle


class ClaimFailed(AssertionError):
    """Raised by `claim` with the measurement, so that the reader sees by how much the sentence is wrong."""


def claim(id: str, sentence: str, condition: object, *, measured: str = "", answer: str = "") -> None:
    """Print the claim if `condition` holds, raise `ClaimFailed` if not.

    id: lesson and number, such as "C07.2"; the question bank points at it.
    condition: one boolean (a Python, NumPy or one-element torch bool). A number is refused: 0.51 is always "true".
    measured: the figures behind the sentence, with units; it must not hold a closing bracket.
    answer: where the lesson asks for a bet on this claim, the option that turned out right.

    >>> claim("C07.6", "Tensor fusion of two 16-wide vectors needs 289 features", 17 * 17 == 289, measured="289")
    ✓ C07.6  Tensor fusion of two 16-wide vectors needs 289 features
             [measured 289]
    """
    kind = str(getattr(condition, "dtype", type(condition).__name__))
    if "bool" not in kind:
        raise TypeError(f"claim {id}: the condition is a {kind}, not a bool; compare it with something, e.g. `x < 0.6`")
    if "]" in measured:
        raise ValueError(f"claim {id}: `measured` holds a ']', which ends the masked part of the line: {measured!r}")
    figures = f"[measured {measured}]" if measured else ""
    if not bool(condition):
        raise ClaimFailed(f"{id}  {sentence}: does not hold here  {figures}")
    lead = f"✓ {id}  "
    print(_folded(lead, sentence))
    for line in filter(None, (figures, settle(id, answer) if answer else "")):
        print(_folded(" " * len(lead), line))


def _folded(lead: str, text: str) -> str:
    """At most 100 columns, what a JupyterLab page shows without breaking words."""
    return textwrap.fill(
        text, width=100, initial_indent=lead, subsequent_indent=" " * len(lead), break_long_words=False
    )
