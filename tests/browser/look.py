"""What could trouble the reader of a notebook: in its outputs as they are saved, and on the page as it is drawn."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from browser.notebook import Notebook

SCRIPT = (Path(__file__).parent / "look.js").read_text(encoding="utf-8")
WHOLE = """id => {
    const models = [...jupyterapp.shell.widgets("main")].find(tab => tab.id === id).content.widgets;
    return document.getElementById(id).querySelectorAll(".jp-Cell[data-windowed-list-index]").length === models.length;
}"""
WIDGET = "application/vnd.jupyter.widget-view+json"
LINES = 150
"""An output with more is a wall."""
SIZE = 1_000_000
"""Characters of one output, pictures included; a page with larger ones is slow to open."""


class Finding(NamedTuple):
    """Something to mend."""

    cell: int | None
    """Its number, counted from 0; None for what belongs to no cell."""
    what: str
    when: str = ""
    """In which theme, at which width, before or after what."""


def on_the_page(notebook: Notebook, when: str) -> list[Finding]:
    """Missing views, pictures without words, controls without names, what is cut, what is hard to read."""
    notebook.page.wait_for_function(WHOLE, arg=notebook.id)  # JupyterLab adds cells one by one while it has time
    return [Finding(cell, what, when) for cell, what in notebook.page.evaluate(SCRIPT, notebook.id)]


def in_the_outputs(cells: list[dict[str, Any]]) -> list[Finding]:
    """Errors, stderr, walls of text, and views with nothing that stands in for them in the saved file."""
    return [
        Finding(index, what)
        for index, cell in enumerate(cells)
        for output in cell.get("outputs", [])
        for what in _complaints(output)
    ]


def views(cells: list[dict[str, Any]]) -> dict[int, int]:
    """Cell to the number of live views that it shows."""
    found = {index: sum(map(_is_view, cell.get("outputs", []))) for index, cell in enumerate(cells)}
    return {index: count for index, count in found.items() if count}


def _is_view(output: dict[str, Any]) -> bool:
    return WIDGET in output.get("data", {})


def _complaints(output: dict[str, Any]) -> Iterator[str]:
    text = "".join(output.get("text", ""))
    if "ename" in output:
        yield f"{output['ename']}: {output['evalue']}"
    if output.get("name") == "stderr":
        yield f"stderr: “{text.strip()[:60]}”"
    if (lines := text.count("\n")) > LINES:
        yield f"a wall of {lines} lines"
    if (size := len(json.dumps(output))) > SIZE:
        yield f"an output of {size:,} characters"
    if _is_view(output) and "text/html" not in output["data"]:
        yield "a view with no static form: a saved notebook shows nothing there"
