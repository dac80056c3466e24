"""A learner in headless Chromium drills, begins a mock interview, restarts the kernel, and finds everything in place.

Server and window are those of browser/; the notebook is a scratch one among the learner's lessons.
"""

import json
import re

import pytest
from browser.lab import serving
from browser.marks import expect, pytestmark  # noqa: F401
from browser.notebook import FRONT, Notebook
from browser.window import opened

from course_lib.interview.practice import choose_questions
from course_lib.interview.schedule import by_priority, cards_of
from course_lib.learner.store import ReviewStore

NAME = "scratch.ipynb"
LESSON = "07_fusing_modalities.ipynb"
CELLS = (
    "from course_lib.interview.drill import drill\ndrill('07')",
    "from course_lib.interview.progress import progress\nprogress()",
    "from course_lib.interview.mock import mock\nmock(30, seed=1, language='zh')",
    "from course_lib.interview.arithmetic import arithmetic\narithmetic('kv_gqa', seed=1)",
)
SCRATCH = f"[...jupyterapp.shell.widgets('main')].find(tab => tab.context?.path === '{NAME}')"
ATTEMPTS = 6
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
    with serving(home, COURSE_DATA=str(data)) as (address, token), opened(1366, 768) as window:
        page = window.new_page()
        page.goto(f"{address}/lab/tree/{NAME}?token={token}")
        page.wait_for_function(IDLE)
        page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
        yield page


def run_all(page):
    page.evaluate("jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    page.evaluate(RUN_ALL)
    return page.locator(CELL).nth(0).locator(".jp-OutputArea"), page.locator(CELL).nth(1)


def run_cell(page, number):
    page.evaluate(f"jupyterapp.shell.activateById({SCRATCH}.id)")
    page.evaluate(f"jupyterapp.shell.currentWidget.content.activeCellIndex = {number}")
    page.evaluate("jupyterapp.commands.execute('notebook:run-cell')")
    return page.locator(CELL).nth(number).locator(".jp-OutputArea")


def nameless(output):
    """Controls that a screen reader has no words for."""
    return re.findall(r"^\s*- (?:button|textbox|group|region|slider)(?! \").*", output.aria_snapshot(), re.MULTILINE)


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


def test_a_claim_opens_its_lesson_beside_the_drill_at_the_claim(page):
    drill = page.locator(CELL).nth(0).locator(".jp-OutputArea")
    drill.get_by_role("button", name="Reveal").click()
    link = drill.locator(f'a[href^="{LESSON}#"]').first
    address = link.get_attribute("href")
    link.click()
    expect(Notebook(page, LESSON).linked(address)).to_be_in_viewport()
    page.evaluate(f"jupyterapp.shell.activateById({SCRATCH}.id)")
    expect(drill.get_by_role("button", name="again")).to_be_visible()  # the drill as it was left


def test_a_mock_interview_goes_on_after_a_restart_of_the_kernel(page):
    mock = run_cell(page, 2)
    mock.get_by_role("button", name="开始计时").click()
    expect(mock).to_contain_text("用两分钟介绍你自己和一个项目")
    mock.get_by_role("button", name="显示要点").click()
    for name in ("定义", "局限", "数字"):
        mock.get_by_role("button", name=f"{name}：2").click()
    mock.get_by_role("button", name="下一个").click()
    expect(mock).to_contain_text("最难的决定")  # the harder follow-up of a strong answer
    mock.get_by_role("button", name="显示要点").click()
    expect(mock).to_contain_text("两个各有道理的选项")
    expect(mock).to_contain_text(re.compile(r"本轮还剩 2:[0-5]\d（共 3 分钟）"))

    page.evaluate(RESTART)
    page.wait_for_function(IDLE)
    mock = run_cell(page, 2)
    expect(mock).to_contain_text("未完成")
    mock.get_by_role("button", name="继续", exact=True).click()
    expect(mock).to_contain_text("两个各有道理的选项")  # the same question, revealed as it was
    expect(mock.get_by_role("button", name="下一个")).to_be_disabled()
    assert "Traceback" not in page.locator(FRONT).text_content()


def test_keys_drill_and_never_reach_the_notebook(page, data):
    drill = run_cell(page, 0)
    keys = drill.get_by_role("group", name="space reveals")
    keys.click()
    before = len(ReviewStore(data).reviews())
    for key in ("x", "b", "d", "d", "m", "1", "3", "Enter"):
        page.keyboard.press(key)
    expect(drill.get_by_role("button", name="Reveal")).to_be_visible()
    page.keyboard.press("Space")
    for rating in ("again", "hard", "good", "easy"):  # below them a long answer
        expect(drill.get_by_role("button", name=rating)).to_be_in_viewport(ratio=1)
    expect(drill).to_contain_text("Key points")
    assert nameless(drill) == []
    page.keyboard.press("4")
    expect(drill.get_by_role("button", name="Reveal")).to_be_visible()
    expect(drill).to_contain_text("1 done")
    drill.get_by_role("button", name="Reveal").focus()  # whoever goes by Tab presses the button itself
    page.keyboard.press("Space")
    expect(drill.get_by_role("group", name="1 again")).to_be_focused()
    page.keyboard.press("Space")  # once too often: nothing is rated
    page.keyboard.press("Tab")
    expect(drill.get_by_role("button", name="again")).to_be_focused()
    page.keyboard.press("Space")
    expect(drill).to_contain_text("2 done")
    assert [each.rating for each in ReviewStore(data).reviews()[before:]] == [4, 1]
    kinds = page.evaluate("jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model.type)")
    assert kinds == ["code"] * len(CELLS)


def test_the_time_moves_without_the_kernel_and_stops_with_it(page):
    drill = run_cell(page, 0)
    time = drill.get_by_role("timer")
    expect(time).to_have_text(re.compile(r"0:0\d of 1:00"))
    connection = "jupyterapp.shell.currentWidget.sessionContext.session.kernel"
    page.evaluate(f"window.messages = 0; {connection}.anyMessage.connect(() => window.messages++)")
    quiet = False
    for _ in range(ATTEMPTS):  # the view's own first messages may still be on their way
        said, before = time.text_content(), page.evaluate("window.messages")
        expect(time).not_to_have_text(said)
        quiet = quiet or page.evaluate("window.messages") == before
    assert quiet, "every move of the time took a message"
    page.evaluate(RESTART)
    page.wait_for_function(IDLE)
    expect(drill).to_contain_text("The kernel was restarted or stopped. Run the cell again.")


def test_what_is_typed_is_there_after_a_reload_and_in_the_report(page, data):
    for number, button in ((0, "Reveal"), (3, "Check")):
        expect(run_cell(page, number).get_by_role("button", name=button)).to_be_visible()
    mock = run_cell(page, 2)
    mock.get_by_role("button", name="English").click()
    mock.get_by_role("button", name="Start the clock").click()
    for round in ("2/5", "3/5"):
        mock.get_by_role("button", name="Next round").click()
        expect(mock).to_contain_text(round)
    mock.get_by_role("textbox", name="number and unit").press_sequentially("12 GB or so")
    assert nameless(mock) == []
    page.wait_for_timeout(1500)  # the browser sends it a second after the last stroke
    page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    page.reload()
    page.wait_for_function(IDLE)
    for number, text in ((0, "Say your answer aloud"), (2, "深度问题：10 分钟"), (3, "KV cache")):
        output = page.locator(CELL).nth(number).locator(".jp-OutputArea")
        expect(output).to_contain_text(text)
        expect(output).to_contain_text("To use the controls, run this cell")
        expect(output.locator("button")).to_have_count(0)
    assert not re.search("model not found|VBox", page.locator(FRONT).text_content())
    mock = run_cell(page, 2)
    mock.get_by_role("button", name="English").click()
    mock.get_by_role("button", name="Resume").first.click()  # the latest
    expect(mock.get_by_role("textbox", name="number and unit")).to_have_value("12 GB or so")
    mock.get_by_role("button", name="End now").click()
    expect(mock).to_contain_text("written, not handed in")
    expect(mock.get_by_role("listitem").filter(has_text="written, not handed in")).to_contain_text("12 GB or so")
    expect(mock.get_by_role("img", name="Left: points earned")).to_be_visible()


def test_a_sum_is_checked_by_enter_with_all_that_was_typed(page):
    output = run_cell(page, 3)
    box = output.get_by_role("textbox", name="number and unit, then Enter")
    box.press_sequentially("12 parsec")
    box.press("Enter")
    expect(output).to_contain_text("do not know the unit “parsec”")
    expect(output).to_contain_text("right at once: 0 of 0")
    assert nameless(output) == []


def test_the_view_in_a_second_window_is_over_when_the_cell_runs_again(page, data):
    other = page.context.new_page()
    try:
        other.goto(page.url)
        other.wait_for_function(IDLE)
        old = run_cell(other, 0)
        old.get_by_role("button", name="Reveal").click()
        expect(old.get_by_role("button", name="good")).to_be_visible()
        new = run_cell(page, 0)
        expect(old).to_contain_text("This view is over: its cell was run again, and goes on there.")
        expect(old.get_by_role("button")).to_have_count(0)
        expect(new.get_by_role("button", name="Reveal")).to_be_visible()
    finally:
        other.close()
