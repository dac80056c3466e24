"""A learner in headless Chromium drills, begins a mock interview, restarts the kernel, and finds everything in place.

Server, flags and clean end are those of test_browser.py; the notebook is a scratch one among the learner's lessons.
"""

import json
import re

import pytest
import test_browser as browser

from course_lib.interview.practice import choose_questions
from course_lib.interview.schedule import by_priority, cards_of
from course_lib.learner.store import ReviewStore

pytestmark = browser.pytestmark
expect = browser.playwright.expect
NAME = "scratch.ipynb"
LESSON = "07_fusing_modalities.ipynb"
CELLS = (
    "from course_lib.interview.drill import drill\ndrill('07')",
    "from course_lib.interview.progress import progress\nprogress()",
    "from course_lib.interview.mock import mock\nmock(30, seed=1, language='zh')",
)
SCRATCH = f"[...jupyterapp.shell.widgets('main')].find(tab => tab.context?.path === '{NAME}')"
ATTEMPTS = 6
FRONT = ".jp-NotebookPanel:not(.lm-mod-hidden)"  # the tab that is seen
CELL = f"{FRONT} .jp-CodeCell"
RUN_ALL = "jupyterapp.commands.execute('notebook:run-all-cells')"
RESTART = "jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
IDLE = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Where this learner's reviews are kept."""
    return tmp_path_factory.mktemp("reviews")


@pytest.fixture(scope="module")
def page(tmp_path_factory, data):
    """JupyterLab with the scratch notebook open and a kernel ready."""
    home = tmp_path_factory.mktemp("lab")
    (home / "my-lessons").mkdir()
    cells = [
        {
            "cell_type": "code",
            "id": f"c{number}",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": code,
        }
        for number, code in enumerate(CELLS)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    content = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (home / "my-lessons" / NAME).write_text(json.dumps(content))
    with (
        browser._serving(home, COURSE_DATA=str(data)) as (address, token),
        browser.playwright.sync_playwright() as driver,
    ):
        chromium = driver.chromium.launch(executable_path=browser.CHROMIUM, args=browser.FLAGS)
        page = chromium.new_page(viewport={"width": 1300, "height": 1000})
        page.set_default_timeout(browser.PATIENCE * browser.SECONDS)
        page.goto(f"{address}/lab/tree/{NAME}?token={token}")
        page.wait_for_function(IDLE)
        yield page
        chromium.close()


def run_all(page):
    page.evaluate("jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    page.evaluate(RUN_ALL)
    return page.locator(CELL).nth(0).locator(".jp-OutputArea"), page.locator(CELL).nth(1)


def test_two_ratings_survive_a_restart_of_the_kernel(page, data):
    order = [card.question for card in by_priority(cards_of(choose_questions("07", None), []))]
    drill, progress = run_all(page)
    for question, rating in ((order[0], "good · 10 min"), (order[1], "again · 1 min")):
        expect(drill).to_contain_text(question.question.en)
        expect(drill.get_by_role("button", name=rating)).to_be_hidden()
        drill.get_by_role("button", name="Reveal").click()
        drill.get_by_role("button", name=rating).click()
    expect(drill).to_contain_text("2 later · 2 done")
    expect(progress.locator("img")).to_have_count(1)
    saved = [(each.question, each.rating) for each in ReviewStore(data).reviews()]
    assert saved == [(order[0].id, 3), (order[1].id, 1)]

    page.evaluate(RESTART)
    page.wait_for_function(IDLE)
    drill, progress = run_all(page)
    expect(drill).to_contain_text(f"{len(order) - 2} new")
    expect(drill).to_contain_text("0 done")
    shown = order[1] if "1 due" in drill.text_content() else order[2]  # on a busy machine its minute is over
    expect(drill).to_contain_text(shown.question.en)
    expect(progress).to_contain_text("1 learning, 1 weak")
    assert re.search(rf"{order[1].id}\s+lesson 07\s+last time again", progress.text_content())
    assert "Traceback" not in page.locator(FRONT).text_content()


def test_a_claim_opens_its_lesson_beside_the_drill_at_the_heading(page):
    """Followed again until it fits: JupyterLab scrolls before the pictures above the heading have a size."""
    drill = page.locator(CELL).nth(0).locator(".jp-OutputArea")
    drill.get_by_role("button", name="Reveal").click()
    link = drill.locator(f'a[href^="{LESSON}#"]').first
    heading = link.get_attribute("href").partition("#")[2].replace("-", " ")
    for attempt in range(ATTEMPTS):
        link.click()
        page.wait_for_function(f"jupyterapp.shell.currentWidget.context.path === '{LESSON}'")
        try:
            expect(page.get_by_role("heading", name=heading)).to_be_in_viewport(timeout=5 * browser.SECONDS)
            break
        except AssertionError:
            assert attempt < ATTEMPTS - 1, f"{heading!r} was not on the screen after {ATTEMPTS} clicks"
            page.evaluate(f"jupyterapp.shell.activateById({SCRATCH}.id)")
    page.evaluate(f"jupyterapp.shell.activateById({SCRATCH}.id)")
    expect(drill.get_by_role("button", name="again")).to_be_visible()  # the drill as it was left


def test_a_mock_interview_goes_on_after_a_restart_of_the_kernel(page):
    def run_mock():
        page.evaluate(f"jupyterapp.shell.activateById({SCRATCH}.id)")
        page.evaluate("jupyterapp.shell.currentWidget.content.activeCellIndex = 2")
        page.evaluate("jupyterapp.commands.execute('notebook:run-cell')")
        return page.locator(CELL).nth(2).locator(".jp-OutputArea")

    mock = run_mock()
    mock.get_by_role("button", name="开始计时").click()
    expect(mock).to_contain_text("用两分钟介绍你自己和一个项目")
    mock.get_by_role("button", name="显示要点").click()
    rows = mock.locator(".widget-toggle-buttons:visible").filter(has=page.get_by_role("button", name="2", exact=True))
    expect(rows).to_have_count(3)
    for row in range(3):
        rows.nth(row).get_by_role("button", name="2", exact=True).click()
    mock.get_by_role("button", name="下一个").click()
    expect(mock).to_contain_text("最难的决定")  # the harder follow-up of a strong answer
    mock.get_by_role("button", name="显示要点").click()
    expect(mock).to_contain_text("两个各有道理的选项")
    expect(mock).to_contain_text(re.compile(r"本轮 0:0[2-9]|本轮 0:[1-5]\d|本轮 [1-9]:"))  # the clock moves by itself

    page.evaluate(RESTART)
    page.wait_for_function(IDLE)
    mock = run_mock()
    expect(mock).to_contain_text("未完成")
    mock.get_by_role("button", name="继续", exact=True).click()
    expect(mock).to_contain_text("两个各有道理的选项")  # the same question, revealed as it was
    expect(mock.get_by_role("button", name="下一个")).to_be_disabled()
    assert "Traceback" not in page.locator(FRONT).text_content()
