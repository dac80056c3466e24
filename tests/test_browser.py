"""A learner's first minutes in headless Chromium: start page, its link to lesson 07, explorer, exercise, questions.

One JupyterLab server and one page serve the whole file, on a learner's folder as `course lab` makes it. Waits are long
and end as soon as the state is there: a busy machine makes the test slow, not red. The other lessons are looked at by
the tour, tests/tour.py.
"""

import re
import time

import pytest
from browser.lab import PATIENCE, serving
from browser.marks import expect, pytestmark  # noqa: F401
from browser.notebook import Notebook
from browser.window import opened

from course_lib.interview.questions import load_questions
from course_lib.interview.record import DEPTHS
from course_lib.lesson.syllabus import find_lesson

LESSON_PATIENCE = 600  # seconds for the next cell of lesson 07; all of them take about 50 on an idle core


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """One window of JupyterLab as `course lab` opens it: on the address that the server prints."""
    with serving(tmp_path_factory.mktemp("lab")) as (address, token), opened(1300, 1000) as window:
        page = window.new_page()
        page.goto(f"{address}/?token={token}")
        yield page


@pytest.fixture(scope="module")
def start(page):
    """The start page, all cells run."""
    return Notebook(page, "00_start_here.ipynb").run_all(PATIENCE)


@pytest.fixture(scope="module")
def lesson(page, start):
    """Lesson 07, opened by the link in the start page's map of lessons, all cells run."""
    start.panel.get_by_role("link", name="07 · Fusing modalities").click()
    return Notebook(page, "07_fusing_modalities.ipynb").run_all(LESSON_PATIENCE)


def _bytes(image):
    """Digest of what the browser shows; None for the moment in which the picture is being replaced."""
    return image.evaluate(
        """async image => {
            const data = await fetch(image.src).then(got => got.arrayBuffer(), () => null);
            return data && [...new Uint8Array(await crypto.subtle.digest("SHA-256", data))].join();
        }"""
    )


def test_an_open_bet_folds_its_answer_also_after_run_all(start):
    cell = start.cell("rounds = ")
    answer, fold = cell.get_by_text("A is ahead in 432"), cell.get_by_text("Show what happened")
    expect(fold).to_be_visible()
    expect(answer).to_be_hidden()
    fold.click()
    expect(answer).to_be_visible()


def test_one_click_places_a_bet_and_says_how_it_ended(start):
    cell = start.cell("from course_lib.lesson.bets import bet$")
    cell.get_by_role("button", name="C, sure").click()
    expect(cell.get_by_text("You bet “in a little less than half”, sure: won.")).to_be_visible()


def test_the_start_page_runs(start):
    assert start.errors() == []
    assert "○ 00.1 softmax  not attempted yet" in start.printed()  # the stub
    assert "✓ 00.1 softmax  passed" in start.printed()  # the worked solution
    assert start.printed("stderr").strip() == ""


def test_lesson_07_runs_live_and_confirms_its_claims(lesson):
    assert lesson.errors() == []
    claims = [line for line in lesson.printed().splitlines() if line.startswith("✓ C07")]
    assert len(claims) == sum(len(re.findall(r"^claim\(", cell["source"], re.M)) for cell in lesson.code()) > 10
    assert "live in JupyterLab" not in lesson.printed()  # what an explorer prints where it cannot move
    assert lesson.printed("stderr").strip() == ""


@pytest.mark.parametrize(
    ("name", "number", "value"), [("start", "00", "option:checked"), ("lesson", "07", ".widget-readout")]
)
def test_there_is_one_explorer_and_it_starts_where_the_static_picture_is(request, name, number, value):
    notebook, built = request.getfixturevalue(name), find_lesson(number).notebook.read_text(encoding="utf-8")
    explorer = notebook.cell(r"explore\(")
    expect(explorer.locator(".jp-OutputArea img")).to_have_count(1)
    default = re.search(r"explorer at .*=([0-9.]+); live in JupyterLab", built)[1]
    assert float(explorer.locator(value).text_content()) == float(default)


def test_slider_and_menu_redraw_the_picture(lesson, page):
    explorer = lesson.cell(r"explore\(")
    picture = explorer.locator(".jp-OutputArea img")
    pictures = [_bytes(picture)]

    def redraw(act):
        began = time.monotonic()
        act()
        while (now := _bytes(picture)) in (None, pictures[-1]):
            assert time.monotonic() - began < PATIENCE, f"no new picture after {PATIENCE} s"
        pictures.append(now)

    explorer.locator(".noUi-handle").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        redraw(lambda key=key: page.keyboard.press(key))
    redraw(lambda: explorer.locator("select").select_option("product"))
    assert pictures[3] == pictures[1], "one step back did not bring the earlier picture back"


def test_a_wrong_answer_gets_advice_and_a_right_one_passes(lesson):
    solution = next(cell["source"] for cell in lesson.cells()[::-1] if cell["source"].startswith("def fuse("))
    wrong = solution.replace("(image + text) / 2", "image + text")
    cell = lesson.cell(r"def fuse\(")
    verdict = cell.locator(".jp-OutputArea")
    lesson.answer(cell, wrong)
    expect(verdict).to_contain_text(re.compile(r"✗ 07\.1 fuse .* divide by the number\s+of\s+modalities"))
    lesson.answer(cell, solution)
    expect(verdict).to_contain_text("✓ 07.1 fuse passed")
    expect(verdict).not_to_contain_text("✗")


def test_questions_reveal_switch_to_chinese_and_lead_to_the_claim(lesson):
    cell = lesson.cell(r"show_questions\(")
    page = cell.locator(".jp-OutputArea")
    question = min(load_questions("07"), key=lambda each: DEPTHS.index(each.depth))
    english, chinese = (_before_formulas(text) for text in (question.answer.en, question.answer.zh))
    expect(page).to_contain_text(question.question.en)
    expect(page).not_to_contain_text(english)
    page.get_by_role("button", name="Reveal").click()
    expect(page).to_contain_text(english)
    page.get_by_role("button", name="中文").click()
    expect(page).to_contain_text(chinese)
    expect(page).not_to_contain_text(english)
    link = page.get_by_role("link", name="节的论断 C07.").first
    claim = lesson.linked(link.get_attribute("href"))
    link.click()
    expect(claim).to_be_in_viewport()
    places = (lesson.panel.locator(".jp-WindowedPanel-outer"), claim)
    top, found = (place.bounding_box()["y"] for place in places)
    assert found == pytest.approx(top, abs=30)  # not beside it


def test_a_fold_never_hides_an_error(start):
    """The last test of the file: it leaves a cell that fails."""
    cell = start.cell("for temperature in")  # its bet is still open
    start.answer(cell, 'print("so far"); raise ValueError("my own mistake")')
    expect(cell.get_by_text("ValueError: my own mistake")).to_be_visible()
    expect(cell.get_by_text("so far", exact=True)).to_be_hidden()


def _before_formulas(text):
    return text.partition("$")[0].strip()
