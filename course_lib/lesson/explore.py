"""Explorers: a pure drawing function plus sliders.

The figure is one HTML widget whose text is replaced, never an Output widget: what a strict comparison of the notebook
sees stays the same however often it is redrawn. It is not an Image widget, which has no alternative text. With
COURSE_STATIC=1 one figure is drawn at the defaults; that is how notebooks are built and checked.
"""

import gc
import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import ipywidgets as widgets
from matplotlib.figure import Figure

from course_lib.lesson.figures import quick_png, show
from course_lib.lesson.live import is_static, publish
from course_lib.lesson.picture import figure_html

SLIDER_STEPS = 100
NAME_SLIDERS = """
const name = tries => {
  const sliders = this.closest(".widget-vbox")?.querySelectorAll(".widget-slider") ?? [];
  for (const each of sliders)
    each.querySelector("[role=slider]").setAttribute("aria-label", each.querySelector("label").textContent);
  if (sliders.length < %d && tries) setTimeout(name, 100, tries - 1);
};
name(100);
"""
"""JavaScript of the picture, for a number of sliders: those of ipywidgets have a label beside them, but no name that a
screen reader could say. The picture may be there before them, so it looks for 10 s."""


def explore(draw: Callable, *, alt: str, **controls: Any) -> None:
    """Show controls above a figure, and redraw `draw(**values)` whenever one moves; one figure with COURSE_STATIC=1.

    draw: returns a figure or (figure, axes); each argument named in `controls` has a default, the value it starts at.
    alt: one sentence that says what the figure shows.
    controls: (low, high) of ints or floats -> slider; a list -> menu; bool -> check box. For example
        explore(draw_temperature, alt="...", logit_scale=(1.0, 100.0), label=["XOR", "AND"])
    """
    start = _starting_values(draw, controls)
    where = ", ".join(f"{name}={value}" for name, value in start.items())
    first = _figure(draw(**start))
    if is_static():
        print(f"explorer at {where}; live in JupyterLab")
        show(first, alt)
        return
    inputs = {name: _control(name, start[name], choice) for name, choice in controls.items()}
    picture = quick_png(first)
    view = live_view(draw, inputs, picture, alt)
    publish(view, html=f"<p>{escape(where)}</p>{figure_html(picture, alt)}", text=alt)


def live_view(draw: Callable, inputs: dict[str, widgets.Widget], first: bytes, alt: str) -> widgets.VBox:
    """Controls above a picture with its caption; an error in `draw` is shown under it and leaves the last one in place.

    However fast a slider moves, the last position wins: a browser sends the next one when the one before is done.
    """
    onload = NAME_SLIDERS % sum(isinstance(each, widgets.IntSlider | widgets.FloatSlider) for each in inputs.values())
    picture, trouble = widgets.HTML(value=figure_html(first, alt, onload=onload)), widgets.HTML()

    def redraw(_change: object) -> None:
        try:
            with _no_pause():
                drawn = quick_png(_figure(draw(**{name: control.value for name, control in inputs.items()})))
            picture.value, trouble.value = figure_html(drawn, alt, onload=onload), ""
        except Exception as error:
            trouble.value = f"<code>{type(error).__name__}: {escape(str(error))}</code>"

    for control in inputs.values():
        control.observe(redraw, "value")
    return widgets.VBox([*inputs.values(), picture, trouble])


@contextmanager
def _no_pause() -> Iterator[None]:
    """Collect what a redraw leaves behind (3 ms), instead of now and then all of a kernel with PyTorch (600 ms)."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect(1)


def _starting_values(draw: Callable, controls: dict[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(draw).parameters
    unknown = [name for name in controls if name not in parameters]
    if unknown:
        raise ValueError(f"{draw.__name__} has no argument {unknown}; it takes {list(parameters)}")
    missing = [name for name in controls if parameters[name].default is inspect.Parameter.empty]
    if missing:
        raise ValueError(f"{draw.__name__} gives no default for {missing}; the default is where the control starts")
    return {name: parameters[name].default for name in controls}


def _control(name: str, value: Any, choice: Any) -> widgets.Widget:
    label = {"description": name, "tooltip": name, "style": {"description_width": "initial"}}
    if isinstance(choice, bool):
        return widgets.Checkbox(value=value, **label)
    if isinstance(choice, list):
        return widgets.Dropdown(options=choice, value=value, **label)
    if not (isinstance(choice, tuple) and len(choice) == 2 and choice[0] < choice[1]):
        raise ValueError(f"control {name}={choice!r}: give (low, high) with low < high, a list, or a bool")
    low, high = choice
    if all(isinstance(bound, int) for bound in (low, high, value)):
        return widgets.IntSlider(value=value, min=low, max=high, **label)
    step = _step(low, high, value)
    digits = max(0, -math.floor(math.log10(step)))
    return widgets.FloatSlider(value=value, min=low, max=high, step=step, readout_format=f".{digits}f", **label)


def _step(low: float, high: float, value: float) -> float:
    """1, 2 or 5 times a power of ten, near a hundredth of the range, and small enough for `value` to lie on a step.

    A browser moves a value that lies between two steps, and the explorer would not start where the text says.
    """
    rough = (high - low) / SLIDER_STEPS
    power = math.floor(math.log10(rough))
    steps = [lead * 10.0**finer for finer in range(power + 1, power - 3, -1) for lead in (5, 2, 1)]
    fine_enough = [step for step in steps if step < 2 * rough]
    count = {step: (value - low) / step for step in fine_enough}
    return next((step for step in fine_enough if abs(count[step] - round(count[step])) < 1e-6), fine_enough[-1])


def _figure(drawn: Any) -> Figure:
    return drawn if isinstance(drawn, Figure) else drawn[0]
