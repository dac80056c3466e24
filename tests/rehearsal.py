"""Every explorer of a lesson is tried where its data are: in the kernel that checks the notebook, with no page to draw.

A notebook is checked with COURSE_STATIC=1, where an explorer is one picture at its defaults; that sliders work is then
left to the first learner. Kernels of the check start with `kernel_startup.py`, which puts `rehearsed` in the place of
`explore`: the picture is shown as always, and behind it the live view is made and each control moved to its ends. What
fails there fails the cell. That costs a few drawings, no training.
"""

import importlib
import os
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import ipywidgets as widgets

REDRAW_LIMIT = 2.0
"""Seconds of computing for one new picture; 0.1 to 0.2 is usual."""
PICTURE = re.compile(r'<img alt="[^"]+"[^>]* src="data:image/png;base64,[^"]{100,}"')


def install() -> None:
    """From now on lessons in this process import the rehearsed `explore`."""
    module = importlib.import_module("course_lib.lesson.explore")
    module.explore = rehearsed(module.explore)


def rehearsed(explore: Callable[..., None]) -> Callable[..., None]:
    """`explore`, which also tries the live view; AssertionError that names the control and what is wrong with it."""

    def show_and_try(draw: Callable, *, alt: str, **controls: Any) -> None:
        explore(draw, alt=alt, **controls)
        before = _random_states()
        view, static = live(explore, draw, alt, controls)
        assert PICTURE.search(static["html"]) and static["text"] == alt, "the static form has no picture with its words"
        for control in view.children[: len(controls)]:
            _try(view, control)
        assert _random_states() == before, f"{draw.__name__} draws from the global generator: a slider changes claims"

    return show_and_try


def live(explore: Callable, draw: Callable, alt: str, controls: dict[str, Any]) -> tuple[widgets.VBox, dict[str, Any]]:
    """The view that a learner gets, and its static form."""
    with _environment_without("COURSE_STATIC"), mock.patch("course_lib.lesson.explore.publish") as publish:
        explore(draw, alt=alt, **controls)
    (view,), static = publish.call_args
    return view, static


def _try(view: widgets.VBox, control: widgets.Widget) -> None:
    """Move one control to its ends and back: always a picture, no error, and not the same picture everywhere."""
    start, pictures = control.value, {view.children[-2].value}
    for value in [*positions(control), start]:
        began = time.process_time()
        control.value = value
        spent = time.process_time() - began
        assert spent < REDRAW_LIMIT, f"{control.description} = {value}: drawing took {spent:.1f} s of computing"
        picture, trouble = (each.value for each in view.children[-2:])
        assert not trouble, f"{control.description} = {value}: {re.sub('<[^>]*>', '', trouble)}"
        assert PICTURE.search(picture), f"{control.description} = {value}: no picture"
        pictures.add(picture)
    assert len(pictures) > 1, f"{control.description}: no position changes the picture"


def positions(control: widgets.Widget) -> Iterator[Any]:
    if isinstance(control, widgets.Dropdown):
        yield from (value for _, value in control._options_full)
    elif isinstance(control, widgets.Checkbox):
        yield not control.value
    else:
        yield from (control.min, control.max)


def _random_states() -> list[Any]:
    """Of Python's, NumPy's and PyTorch's global generators, as far as they are loaded."""
    states: list[Any] = [random.getstate()]
    if "numpy" in sys.modules:
        name, keys, *rest = sys.modules["numpy"].random.get_state()
        states += [name, keys.tobytes(), *rest]
    if "torch" in sys.modules:
        states.append(sys.modules["torch"].random.get_rng_state().numpy().tobytes())
    return states


@contextmanager
def _environment_without(name: str) -> Iterator[None]:
    value = os.environ.pop(name, None)
    try:
        yield
    finally:
        if value is not None:
            os.environ[name] = value
