"""The first part of a call that does not fit, found by a slow walk behind the fast one.

A form is one of those in course_lib.signatures, or None: nothing to check.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Sizes = dict[str, Any]
"""Axis letter to its size, "*batch" to several, and "3" to 3: a number is an axis whose size is known."""


class Misfit(NamedTuple):
    """The first part of a call that does not fit, and what is needed to explain it."""

    name: str
    value: Any
    taker: str
    """Name of the function."""
    sizes: Sizes
    """Set by the parts before it."""
    source: dict[str, str]
    """Which part set each size."""
    later: list[tuple[str, Any, Any]]
    """The parts behind it, which a change has to fit as well."""


def known_sizes(forms: Iterable[Any]) -> Sizes:
    """Of the axes that are numbers."""
    return {axis: int(axis) for form in forms if form is not None for axis in form.axes if axis.isdigit()}


def explain(taker: str, forms: Mapping[str, Any], values: Mapping[str, Any], known: Sizes) -> Exception:
    """Walk through the values once more, slowly, and say what is wrong with the first that does not fit its form."""
    sizes, source = known.copy(), {}
    parts = [part for name, value in values.items() if forms[name] for part in forms[name].parts(name, value)]
    for place, (name, form, value) in enumerate(parts):
        before = sizes.copy()
        if not form.fits(value, sizes):
            return form.refusal(Misfit(name, value, taker, before, source, parts[place + 1 :]))
        source |= {axis: name for axis in sizes if axis not in source and axis not in known}
    raise AssertionError(f"{taker} refused what fits")
