"""A learner's visit to one lesson, from opening to reopening, and what was wrong on the way."""

import re
from collections.abc import Iterator
from pathlib import Path

from browser import look
from browser.lab import serving, wait_for
from browser.look import Finding
from browser.move import Hand
from browser.notebook import Notebook, name
from browser.window import opened
from playwright.sync_api import Error, Page

WIDE, NARROW = (1366, 768), (900, 768)
STALLED = 1200
"""Seconds without any cell ending: only a lesson that hangs gets there, on however busy a machine."""
DARK, LIGHT = "JupyterLab Dark", "JupyterLab Light"
ANSWER = "    return None  # my own answer"
VIEW = ".jp-OutputArea-output:has(.jupyter-widgets)"
TROUBLE = re.compile(r"^(?!.*(?:Stream|WebSocket)Closed).*Error: .*$", re.MULTILINE)  # we close a page, and it says so
PICTURED = re.compile(r"^(explore|show_questions|bet|drill|mock|arithmetic|home|curve_quiz)\(", re.MULTILINE)


class Visit:
    """One notebook in a JupyterLab of its own; `views` and `moved` count what was tried.

    home: the learner's folder, empty, or with notebooks of other names in home/my-lessons.
    file: the notebook's name. shots: a folder for pictures of the views, or None.
    """

    def __init__(self, home: Path, file: str, shots: Path | None = None) -> None:
        self.home, self.shots = home, shots
        self.copy = home / "my-lessons" / file
        self.views = self.moved = 0

    def findings(self) -> Iterator[Finding]:
        """What is wrong, step by step; nothing is said twice."""
        with serving(self.home) as (address, token), opened(*WIDE) as self.window:
            self.address = f"{address}/lab/tree/{self.copy.name}?token={token}"
            try:
                yield from _once(self._steps())
            except (Error, TimeoutError) as error:  # of playwright; of a wait
                yield Finding(None, f"the visit ended here: {' '.join(str(error).split())[:300]}")
        log = (self.home / "lab.log").read_text(encoding="utf-8", errors="replace")
        yield from _once(Finding(None, f"server log: {line[:150]}") for line in TROUBLE.findall(log))

    def _steps(self) -> Iterator[Finding]:
        notebook = self._open()
        yield from look.on_the_page(notebook, "as shipped")
        notebook.run_all(STALLED)
        yield from look.in_the_outputs(notebook.cells())
        yield from self._look(notebook, "live", NARROW)
        yield from self._look(notebook, "live", WIDE)
        _change_theme(notebook.page, DARK)
        yield from self._look(notebook, "live, dark", WIDE)
        _change_theme(notebook.page, LIGHT)
        views = look.views(notebook.cells())
        for index, count in views.items():
            yield from self._move(notebook, index, count)
        answered = _answer(notebook)
        yield from look.in_the_outputs(notebook.cells())
        yield from self._reopen(notebook, views, answered)

    def _open(self) -> Notebook:
        page = self.window.new_page()
        page.goto(self.address)
        return Notebook(page, self.copy.name)

    def _look(self, notebook: Notebook, when: str, size: tuple[int, int]) -> Iterator[Finding]:
        notebook.page.set_viewport_size({"width": size[0], "height": size[1]})
        yield from look.on_the_page(notebook, f"{when}, {size[0]} px")
        self._picture(notebook, f"{when}_{size[0]}".replace(", ", "_"))

    def _move(self, notebook: Notebook, index: int, count: int) -> Iterator[Finding]:
        shown = notebook.at(index).locator(VIEW)
        self.views += shown.count()
        if shown.count() != count:
            yield Finding(index, f"{shown.count()} views are seen, {count} were made")
        for number in range(shown.count()):
            hand = Hand(notebook.page, shown.nth(number))
            yield from (Finding(index, what) for what in hand.move_all())
            self.moved += hand.moved

    def _reopen(self, notebook: Notebook, views: dict[int, int], answered: int | None) -> Iterator[Finding]:
        """Save; look in a second tab; end the kernel; look again, and in the dark."""
        sources = [cell["source"] for cell in notebook.cells()]
        notebook.page.evaluate("jupyterapp.commands.execute('docmanager:save')")
        notebook.page.wait_for_function("() => !jupyterapp.shell.currentWidget.context.model.dirty")
        beside = self._open()
        yield from _compare(beside, "second tab", views, sources)
        beside.page.close()
        notebook.page.evaluate("jupyterapp.serviceManager.sessions.shutdownAll()")
        notebook.page.close()
        again = self._open()
        yield from _compare(again, "reopened", views, sources)
        if answered is not None and ANSWER not in again.cells()[answered]["source"]:
            yield Finding(answered, "the answer that was typed is lost")
        yield from self._look(again, "reopened", NARROW)
        yield from self._look(again, "reopened", WIDE)
        _change_theme(again.page, DARK)
        yield from self._look(again, "reopened, dark", WIDE)

    def _picture(self, notebook: Notebook, when: str) -> None:
        """Of every live view, or of what stands in its place."""
        if self.shots is None:
            return
        self.shots.mkdir(parents=True, exist_ok=True)
        for index, cell in enumerate(notebook.cells()):
            if PICTURED.search(cell["source"]):
                path = self.shots / f"{self.copy.stem[:2]}_{index:03d}_{when}.png"
                notebook.at(index).locator(".jp-Cell-outputWrapper").screenshot(path=path)


def _once(findings: Iterator[Finding]) -> Iterator[Finding]:
    """What is wrong all the time is said when it is first seen."""
    seen = set()
    for finding in findings:
        if finding[:2] not in seen:
            seen.add(finding[:2])
            yield finding


def _compare(notebook: Notebook, when: str, views: dict[int, int], sources: list[str]) -> Iterator[Finding]:
    """Every cell as it was, and where a view stood, its static form."""
    cells = notebook.cells()
    if [cell["source"] for cell in cells] != sources:
        yield Finding(None, f"{when}: cells are not as they were saved")
    for index, count in views.items():
        static = [each for each in cells[index]["outputs"] if "text/html" in each.get("data", {})]
        if len(static) < count or look.views([cells[index]]):
            yield Finding(index, f"no static form of “{name(cells[index])[:40]}”", when)


def _answer(notebook: Notebook) -> int | None:
    """Type an answer, a wrong one, into the first exercise and run it; returns the cell, None without an exercise."""
    for index, cell in enumerate(notebook.cells()):
        if "exercise" in cell["metadata"].get("tags", []):
            wrong = re.sub(r"^ +raise NotImplementedError.*$", ANSWER, cell["source"], flags=re.MULTILINE)
            notebook.answer(notebook.at(index), wrong)
            wait_for(lambda index=index: "✗" in str(notebook.cells()[index]["outputs"]))
            return index
    return None


def _change_theme(page: Page, theme: str) -> None:
    page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    page.wait_for_function("dark => document.body.dataset.jpThemeLight === String(!dark)", arg=theme == DARK)
