"""A notebook in a tab of JupyterLab: what a learner does with it, and what they see."""

import re
import time
from typing import Any

from playwright.sync_api import Locator, Page

FRONT = ".jp-NotebookPanel:not(.lm-mod-hidden)"
"""The notebook that is seen."""
READY = """name => window.jupyterapp?.shell.currentWidget?.context?.path === name
    && jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === "idle" """
MODEL = """id => [...jupyterapp.shell.widgets("main")].find(tab => tab.id === id)
    .context.model.sharedModel.toJSON().cells"""


class Notebook:
    """One that is open, in front, and whose kernel is ready."""

    def __init__(self, page: Page, name: str) -> None:
        """Wait until it is."""
        self.page = page
        page.wait_for_function(READY, arg=name)
        self.id = page.evaluate("jupyterapp.shell.currentWidget.id")
        self.panel = page.locator(f'[id="{self.id}"]')

    def run_all(self, patience: int) -> "Notebook":
        """Run > Run All Cells, and wait until every code cell has its number or one has failed.

        patience: seconds in which at least one cell must have ended; TimeoutError names the one that did not.
        """
        self.page.evaluate("jupyterapp.commands.execute('editmenu:clear-all')")  # or the built numbers look like ours
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_text("Run All Cells", exact=True).click()
        left, deadline = None, time.monotonic() + patience
        while not self.errors() and (waiting := [name(cell) for cell in self.code() if not cell["execution_count"]]):
            if len(waiting) != left:
                left, deadline = len(waiting), time.monotonic() + patience
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing ended in {patience} s, {left} cells wait, the first: {waiting[0]}")
            self.page.wait_for_timeout(250)
        return self

    def cells(self) -> list[dict[str, Any]]:
        """All cells as the page has them now, in the form of a notebook file."""
        return self.page.evaluate(MODEL, self.id)

    def code(self) -> list[dict[str, Any]]:
        """The cells with code."""
        return [cell for cell in self.cells() if cell["cell_type"] == "code"]

    def at(self, index: int) -> Locator:
        """The cell of that number, counted from 0, on the screen."""
        self.page.evaluate("id => jupyterapp.shell.activateById(id)", self.id)
        cell = self.panel.locator(f'.jp-Cell[data-windowed-list-index="{index}"]')
        cell.scroll_into_view_if_needed()
        return cell

    def cell(self, pattern: str) -> Locator:
        """The first cell with a line that starts like this, on the screen."""
        found = [re.search(f"^{pattern}", cell["source"], re.MULTILINE) for cell in self.cells()]
        return self.at(next(index for index, match in enumerate(found) if match))

    def linked(self, address: str) -> Locator:
        """The cell that a link to "07_x.ipynb#cell-id=1a2b3c4d" names, wherever the page is scrolled to."""
        id = address.partition("#cell-id=")[2]
        index = next(index for index, cell in enumerate(self.cells()) if cell["id"] == id)
        return self.panel.locator(f'.jp-Cell[data-windowed-list-index="{index}"]')

    def answer(self, cell: Locator, code: str) -> None:
        """Replace a cell's code and press Shift+Enter."""
        cell.locator(".cm-content").click()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(code)
        self.page.keyboard.press("Shift+Enter")

    def outputs(self) -> list[tuple[str, dict[str, Any]]]:
        """Every output, with the name of its cell."""
        return [(name(cell), output) for cell in self.code() for output in cell["outputs"]]

    def errors(self) -> list[str]:
        """One line an error: its cell, its class, what it says."""
        return [f"{cell}: {each['ename']}: {each['evalue']}" for cell, each in self.outputs() if "ename" in each]

    def printed(self, stream: str = "stdout") -> str:
        """What all cells together wrote to a stream."""
        return "".join("".join(each["text"]) for _, each in self.outputs() if each.get("name") == stream)


def name(cell: dict[str, Any]) -> str:
    """A cell is called by its first line."""
    return "".join(cell["source"]).partition("\n")[0]
