"""Live views in headless Chromium: alive while the kernel is, a picture and folded answers in the saved file after.

Server and window are those of browser/; the notebook is a scratch one among the learner's lessons.
"""

import nbformat
import pytest
from browser.lab import serving, wait_for
from browser.marks import expect, pytestmark  # noqa: F401
from browser.notebook import FRONT, Notebook
from browser.window import opened
from nbformat.v4 import new_code_cell, new_notebook

NAME = "live.ipynb"
LESSON = "07_fusing_modalities.ipynb"
ALT = "A wide bar."
EXPLORER = f"""
import matplotlib.pyplot as plt
from course_lib.lesson.explore import explore

def draw(width=3.0, colour="C0"):  # the picture's width says where the slider was when it was drawn
    fig, ax = plt.subplots(figsize=(width, 1))
    ax.bar(0, 1, color=colour)
    return fig, ax

explore(draw, alt="{ALT}", width=(2.0, 6.0), colour=["C0", "C1"])
print("something after the explorer")
"""
QUESTIONS = "from course_lib.interview.show import show_questions\nshow_questions('07')"
ANSWER = "Extraction happens inside one modality"
IDLE = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
WATCH = """image => {
    const cell = image.closest(".jp-OutputArea");
    window.frames = [];
    const look = () => {
        const shown = cell.querySelector("img");
        frames.push([shown?.complete, shown?.naturalWidth, shown?.getBoundingClientRect().height]);
        window.watching = requestAnimationFrame(look);
    };
    look();
}"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A browser window with a running JupyterLab, the address of the scratch notebook, and its file."""
    home = tmp_path_factory.mktemp("lab")
    (home / "my-lessons").mkdir()
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [new_code_cell(EXPLORER), new_code_cell(QUESTIONS)]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), home / "my-lessons" / NAME)
    with serving(home) as (address, token), opened(1366, 768) as window:
        yield window, f"{address}/lab/tree/{NAME}?token={token}", home / "my-lessons" / NAME


@pytest.fixture(scope="module")
def page(lab):
    """The notebook, all cells run live."""
    page = show(lab)
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
    expect(page.locator(FRONT).get_by_role("button", name="Reveal")).to_be_visible()
    return page


def show(lab):
    window, address, _ = lab
    page = window.new_page()
    page.goto(address)
    page.wait_for_function(IDLE)
    return page


def output(page, number):
    return page.locator(f"{FRONT} .jp-CodeCell").nth(number).locator(".jp-OutputArea")


def test_controls_and_picture_have_the_names_that_a_screen_reader_says(page):
    explorer = output(page, 0)
    expect(explorer.get_by_role("slider", name="width", exact=True)).to_have_count(1)
    expect(explorer.get_by_role("combobox", name="colour", exact=True)).to_have_count(1)
    expect(explorer.get_by_role("img", name=ALT, exact=True)).to_have_count(1)
    expect(explorer.locator("figcaption")).to_have_text(ALT)
    expect(explorer).to_contain_text("something after the explorer")


@pytest.mark.parametrize("share", [0.9, 0.2, 0.65])
def test_after_a_fast_drag_the_picture_is_that_of_the_last_position_and_was_never_missing(page, share):
    explorer = output(page, 0)
    picture, track = explorer.locator("img"), explorer.locator(".noUi-target").bounding_box()
    picture.evaluate(WATCH)
    explorer.locator(".noUi-handle").hover()
    page.mouse.down()
    page.mouse.move(track["x"] + share * track["width"], track["y"], steps=60)
    page.mouse.up()
    width = round(100 * float(explorer.locator(".widget-readout").text_content()))
    assert width == pytest.approx(200 + 400 * share, abs=20)
    page.wait_for_function("wanted => frames.at(-1)[1] === wanted", arg=width)
    frames = page.evaluate("cancelAnimationFrame(watching) || frames")
    assert len({width for _, width, _ in frames}) > 2  # it followed the slider
    assert [frame for frame in frames if not (frame[0] and frame[1])] == []
    assert {height for _, _, height in frames} == {100}


def test_while_it_is_live_the_static_form_is_not_seen(page):
    expect(page.get_by_text("To use the controls")).to_have_count(0)
    expect(page.get_by_text(ANSWER)).to_have_count(0)


def test_saved_and_opened_again_it_shows_the_static_form(page, lab):
    """In a second tab while the kernel runs, and after it is gone; the first tab stays alive."""
    page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    wait_for(lambda: "figcaption" in lab[2].read_text(encoding="utf-8"))
    assert "widget-view" not in lab[2].read_text(encoding="utf-8")
    beside = show(lab)
    looks_static(beside)
    beside.close()
    expect(output(page, 0).locator(".noUi-handle")).to_have_count(1)
    page.evaluate("jupyterapp.serviceManager.sessions.shutdownAll()")
    page.close()
    looks_static(show(lab))


def test_a_link_in_a_lesson_that_was_not_run_asks_nothing(lab):
    """JupyterLab asks "Run Command?" in a notebook with outputs that it does not trust."""
    window, address, _ = lab
    page = window.new_page()
    page.goto(address.replace(NAME, LESSON))
    lesson = Notebook(page, LESSON)
    for start in ("from course_lib.lesson.bets", "import", r"show_questions\("):
        lesson.cell(start).locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
    questions = lesson.cell(r"show_questions\(")
    questions.get_by_role("button", name="Reveal").click()
    link = questions.get_by_role("link", name="claim C07.").first
    link.click()
    expect(lesson.linked(link.get_attribute("href"))).to_be_in_viewport()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_lesson_is_exported_with_its_proofs_folded(lab):
    window, address, _ = lab
    path, _, token = address.partition("?")
    page = window.request.get(f"{path.replace('lab/tree', 'nbconvert/html').replace(NAME, LESSON)}?{token}").text()
    assert page.count("The proof, in code") > 10 and page.count("Show what happened") > 3


def looks_static(page):
    expect(output(page, 0).get_by_role("img", name=ALT, exact=True)).to_have_count(1)
    assert output(page, 0).locator("img").evaluate("image => image.naturalWidth") == 300  # at the start
    expect(output(page, 0)).to_contain_text("width=3.0, colour=C0")
    expect(page.locator(FRONT)).not_to_contain_text("model not found")
    expect(page.locator(FRONT)).not_to_contain_text("VBox(")
    answer = output(page, 1).get_by_text(ANSWER)
    expect(answer).to_be_hidden()
    output(page, 1).locator("summary").first.click()
    expect(answer).to_be_visible()
