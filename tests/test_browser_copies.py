"""A learner's first and second day in headless Chromium: an answer, a theme, a new version of the lesson, all there.

Server and window are those of browser/. The course is a copy whose lesson is changed between the days.
"""

import shutil
from contextlib import contextmanager

import nbformat
import pytest
from browser.lab import serving, wait_for
from browser.marks import expect, pytestmark  # noqa: F401
from browser.notebook import FRONT, READY
from browser.window import opened

from course_lib.copies.merge import NOTE
from course_lib.lesson import syllabus

LESSON = "00_start_here.ipynb"
ANSWER = "return x.softmax(dim=-1)  # my own answer"


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course in which the authors can change a lesson."""
    root = tmp_path / "course"
    shutil.copytree(syllabus.ROOT / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    (root / "datasets").mkdir()
    shutil.copy(syllabus.ROOT / "datasets/lessons.csv", root / "datasets")
    monkeypatch.setattr(syllabus, "ROOT", root)
    return root


@contextmanager
def day(home):
    """`course lab`, and the page that it opens, when the kernel has written its language into the file."""
    with serving(home) as (address, token), opened(1366, 768) as window:
        page = window.new_page()
        page.goto(f"{address}/?token={token}")
        page.wait_for_function(READY, arg=LESSON)
        yield page


def open_lesson(page, name):
    page.evaluate("path => jupyterapp.commands.execute('docmanager:open', {path})", name)
    page.wait_for_function(READY, arg=name)


def write_answer(page):
    """Into the first stub, on the keyboard, and save."""
    stub = page.locator(f"{FRONT} .jp-CodeCell", has_text="def softmax").first
    stub.locator(".cm-line", has_text="raise NotImplementedError").click()
    page.keyboard.press("Home")
    page.keyboard.press("Shift+End")
    page.keyboard.insert_text(ANSWER)
    page.evaluate("jupyterapp.commands.execute('docmanager:save')")


def change_lesson(course):
    """What the authors do overnight: a clearer title, another docstring in the stub."""
    path = course / "notebooks" / LESSON
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = notebook.cells[0].source.replace("Start here", "Start here, once more")
    notebook.cells[0].id = "newtitle"
    stub = next(cell for cell in notebook.cells if "raise NotImplementedError" in cell.source)
    stub.source, stub.id = stub.source.replace("without overflow", "without any overflow"), "newstub1"
    nbformat.write(notebook, path)
    return path.read_bytes()


def test_lab_opens_clean(course, tmp_path):
    with day(tmp_path) as page:
        contents = page.locator(".jp-TableOfContents:visible")
        expect(contents).to_contain_text("An exercise")  # the contents of the open lesson, beside it
        assert page.locator(".Toastify__toast:visible, .jp-Dialog").count() == 0  # no question about news
        page.evaluate("jupyterapp.commands.execute('filebrowser:activate')")
        names = page.locator(".jp-DirListing-item:visible .jp-DirListing-itemText")
        lessons = [lesson.notebook.name for lesson in syllabus.load_lessons() if lesson.built]
        expect(names).to_have_text(lessons)  # every lesson and nothing else: no figures, no build files
        cut = "name => name.scrollWidth > name.clientWidth"
        assert not any(name.evaluate(cut) for name in names.all()), "a lesson's name is cut"
        longest = max((lesson.notebook.name for lesson in syllabus.load_lessons()), key=len)
        names.first.evaluate("(element, name) => { element.firstElementChild.textContent = name }", longest)
        assert not names.first.evaluate(cut), f"the name {longest} would be cut"

        open_lesson(page, "07_fusing_modalities.ipynb")
        figure = page.locator(f'{FRONT} img[src*="07_where_to_fuse"]')
        figure.scroll_into_view_if_needed()
        page.wait_for_function("image => image.naturalWidth > 0", arg=figure.element_handle())
        text = page.locator(f"{FRONT} .jp-MarkdownOutput").first
        assert text.evaluate("text => getComputedStyle(text).overflowX") == "auto"  # a wide table can be scrolled


def test_an_answer_and_a_theme_outlast_a_new_version_of_the_lesson(course, tmp_path):
    with day(tmp_path) as page:
        write_answer(page)
        page.evaluate("jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
        expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
        page.wait_for_function("() => !jupyterapp.shell.currentWidget.context.model.dirty")
        saved = tmp_path / "config/lab/user-settings/@jupyterlab/apputils-extension/themes.jupyterlab-settings"
        wait_for(saved.exists)
    assert ANSWER in (tmp_path / "my-lessons" / LESSON).read_text()
    shipped = change_lesson(course)
    with day(tmp_path) as page:
        expect(page.locator(f"{FRONT} h1").first).to_contain_text("Start here, once more")
        expect(page.locator(f"{FRONT} .jp-CodeCell", has_text=ANSWER)).to_have_count(1)
        note = page.locator(f"{FRONT} .jp-MarkdownCell", has_text=NOTE.split("**")[1])
        expect(note).to_contain_text("without any overflow")
        expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
    assert (course / "notebooks" / LESSON).read_bytes() == shipped
