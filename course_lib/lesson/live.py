"""Live views that outlive their kernel: one output holds the widgets and the form that stands in for them.

JupyterLab shows the widgets while the page is open. A widget lives in a kernel, so a saved file can only hold its
number: reopened, it would read "model not found" where a figure or a question stood. `publish` therefore puts a static
form into the same output, and `course lab` saves notebooks through `drop_widget_views`, which leaves just that form.
Nothing here imports more than the server has anyway: the server loads this module for its hook.
"""

import os
from typing import Any

WIDGET = "application/vnd.jupyter.widget-view+json"
MARK = "course_static_form"
"""Key in the metadata of an output of ours; widgets of other packages have nothing that could stand in for them."""
NOTE = "To use the controls, run this cell, after those above it."


def is_static() -> bool:
    """Whether notebooks are being built or checked (COURSE_STATIC=1): no widgets, nothing recorded."""
    return os.environ.get("COURSE_STATIC") == "1"


def publish(widget: Any, *, html: str, text: str = "") -> None:
    """Display `widget`, and what a reader sees where it cannot run: in a saved notebook, another tab, another program.

    html: the static form; a note that says how to wake the controls is added under it.
    text: the same in words, for a terminal.
    """
    from IPython.display import display

    static = f"{html}<p><small>{NOTE}</small></p>"
    view = widget._repr_mimebundle_()[WIDGET]
    display({WIDGET: view, "text/html": static, "text/plain": text or NOTE}, raw=True, metadata={MARK: True})


def drop_widget_views(model: dict[str, Any], **_: Any) -> None:
    """Hook before a save: take the view out of every output that `publish` made, in place; nothing else changes.

    model: what Jupyter's contents manager is about to save, of any kind; path and manager come as keywords.
    """
    content = model.get("content")
    if model.get("type") != "notebook" or not isinstance(content, dict):
        return
    for cell in content.get("cells", []):  # format 3 and older have no cells here, and no widgets of ours
        for output in cell.get("outputs", []):
            if output.get("metadata", {}).pop(MARK, False):
                output["data"].pop(WIDGET, None)
