"""A learner's first minutes in headless Chromium: start page, its link to lesson 07, explorer, exercise, questions.

One JupyterLab server and one page serve the whole file, on a learner's folder as `course lab` makes it. Waits are long
and end as soon as the state is there: a busy machine makes the test slow, not red.
"""

import os
import re
import secrets
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from course_lib import lab
from course_lib.copies.folder import Folder
from course_lib.copies.update import update
from course_lib.interview.questions import load_questions
from course_lib.interview.record import DEPTHS

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
]
SECONDS = 1000  # playwright counts milliseconds
PATIENCE = 60  # seconds for anything the page does
LESSON_PATIENCE = 600  # seconds for all cells of lesson 07, which takes about 50 on an idle core
REDRAW_LIMIT = 2.0  # seconds from the key press to the new picture in the browser; the drawing's own share is 0.2

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH"),
]
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is missing: pip install -e '.[test]'")
playwright.expect.set_options(timeout=PATIENCE * SECONDS)


# --- JupyterLab and the page --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address, token included, of a JupyterLab that `course lab` would start."""
    home = tmp_path_factory.mktemp("lab")
    with _serving(home) as (address, token):
        yield f"{address}/?token={token}"


@contextmanager
def _serving(home, **environment):
    """Address and token of a JupyterLab on the learner's folder home/my-lessons, which is brought up to date first."""
    folder = Folder(home / "my-lessons")
    update(folder)
    lab.lay_out(folder)
    port, token = _free_port(), secrets.token_hex(16)
    with open(home / "lab.log", "w") as log:
        command, variables = _command(folder, port, token), _environment(home) | environment
        process = subprocess.Popen(command, env=variables, stdout=log, stderr=subprocess.STDOUT, cwd=home)
        try:
            _wait_until_it_answers(process, f"http://127.0.0.1:{port}/api/status?token={token}", home / "lab.log")
            yield f"http://127.0.0.1:{port}", token
        finally:
            _end(process)


def _command(folder, port, token):
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return [
        *lab.arguments(folder, port, {}, platform="linux", root_user=is_root),  # no display: opens no real browser
        f"--IdentityProvider.token={token}",
        "--LabApp.expose_app_in_browser=True",  # lets the test read execution counts and outputs
    ]


def _environment(home):
    """The learner's, without their Jupyter settings and without what makes notebooks static."""
    ours = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "RUNTIME")}
    ours |= {"IPYTHONDIR": str(home / "ipython"), "JUPYTER_PREFER_ENV_PATH": "1"}  # python3: this interpreter
    ours |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COURSE_DATA": str(home / "data")}
    return {name: value for name, value in os.environ.items() if name != "COURSE_STATIC"} | ours


def _free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _wait_until_it_answers(process, url, log):
    for _ in range(4 * PATIENCE):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.25)
    pytest.fail(f"JupyterLab did not answer within {PATIENCE} s; the end of its log:\n{log.read_text()[-2000:]}")


def _wait_for(condition):
    for _ in range(4 * PATIENCE):
        if condition():
            return
        time.sleep(0.25)
    pytest.fail(f"{condition} did not come true within {PATIENCE} s")


def _end(process):
    """Ask the server to stop, which stops its kernels; kill whatever is left of them."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _, left = psutil.wait_procs(family, timeout=5)
    for orphan in left:
        orphan.kill()


@pytest.fixture(scope="module")
def page(server):
    """One window of JupyterLab as `course lab` opens it: on the address that the server prints."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.set_default_timeout(PATIENCE * SECONDS)
        page.goto(server)
        yield page
        browser.close()


@pytest.fixture(scope="module")
def start(page):
    """The start page, all cells run."""
    return Notebook(page, "00_start_here.ipynb").run_all(PATIENCE)


@pytest.fixture(scope="module")
def lesson(page, start):
    """Lesson 07, opened by the link in the start page's map of lessons, all cells run."""
    start.panel.get_by_role("link", name="07 · Fusing modalities").click()
    return Notebook(page, "07_fusing_modalities.ipynb").run_all(LESSON_PATIENCE)


class Notebook:
    """A notebook in a tab: what a learner does with it, and what they see."""

    def __init__(self, page, name):
        """Wait until it is open, in front, and its kernel is ready."""
        self.page = page
        page.wait_for_function(
            """name => window.jupyterapp?.shell.currentWidget?.context?.path === name
                && jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === "idle" """,
            arg=name,
        )
        self.built = (ROOT / "notebooks" / name).read_text(encoding="utf-8")
        self.id = page.evaluate("jupyterapp.shell.currentWidget.id")
        self.panel = page.locator(f'[id="{self.id}"]')

    def run_all(self, patience):
        """Run > Run All Cells, and wait until every code cell has its number or one has failed."""
        self.page.evaluate("jupyterapp.commands.execute('editmenu:clear-all')")  # or the built numbers look like ours
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_text("Run All Cells", exact=True).click()
        deadline = time.monotonic() + patience
        while not (_errors(self) or all(cell["execution_count"] for cell in self.code())):
            waiting = [_name(cell) for cell in self.code() if not cell["execution_count"]]
            assert time.monotonic() < deadline, f"after {patience} s {len(waiting)} cells wait, the first: {waiting[0]}"
            self.page.wait_for_timeout(250)
        return self

    def cells(self):
        """All cells as the page has them now, in the form of a notebook file."""
        return self.page.evaluate(
            """id => [...jupyterapp.shell.widgets("main")].find(tab => tab.id === id)
                .context.model.sharedModel.toJSON().cells""",
            self.id,
        )

    def code(self):
        return [cell for cell in self.cells() if cell["cell_type"] == "code"]

    def cell(self, pattern):
        """The first cell with a line that starts like this, on the screen."""
        self.page.evaluate("id => jupyterapp.shell.activateById(id)", self.id)
        found = [re.search(f"^{pattern}", cell["source"], re.MULTILINE) for cell in self.cells()]
        index = next(index for index, match in enumerate(found) if match)
        cell = self.panel.locator(f'.jp-Cell[data-windowed-list-index="{index}"]')
        cell.scroll_into_view_if_needed()
        return cell

    def answer(self, cell, code):
        """Replace a cell's code and press Shift+Enter."""
        cell.locator(".cm-content").click()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(code)
        self.page.keyboard.press("Shift+Enter")


def _name(cell):
    return "".join(cell["source"]).partition("\n")[0]


def _outputs(notebook):
    return [(_name(cell), output) for cell in notebook.code() for output in cell["outputs"]]


def _errors(notebook):
    return [f"{name}: {each['ename']}: {each['evalue']}" for name, each in _outputs(notebook) if "ename" in each]


def _printed(notebook, stream="stdout"):
    return "".join("".join(each["text"]) for _, each in _outputs(notebook) if each.get("name") == stream)


def _bytes(image):
    """Digest of what the browser shows; None for the moment in which the picture is being replaced."""
    return image.evaluate(
        """async image => {
            const data = await fetch(image.src).then(got => got.arrayBuffer(), () => null);
            return data && [...new Uint8Array(await crypto.subtle.digest("SHA-256", data))].join();
        }"""
    )


# --- what a learner sees ------------------------------------------------------------------------------------------


def test_an_open_bet_folds_its_answer_also_after_run_all(start):
    cell = start.cell("rounds = ")
    answer, fold = cell.get_by_text("A is ahead in 432"), cell.get_by_text("Show what happened")
    playwright.expect(fold).to_be_visible()
    playwright.expect(answer).to_be_hidden()
    fold.click()
    playwright.expect(answer).to_be_visible()


def test_one_click_places_a_bet_and_says_how_it_ended(start):
    cell = start.cell("from course_lib.lesson.bets import bet$")
    cell.get_by_role("button", name="C, sure").click()
    playwright.expect(cell.get_by_text("You bet “in a little less than half”, sure: won.")).to_be_visible()


def test_the_start_page_runs(start):
    assert _errors(start) == []
    assert "○ 00.1 softmax  not attempted yet" in _printed(start)  # the stub
    assert "✓ 00.1 softmax  passed" in _printed(start)  # the worked solution
    assert _printed(start, "stderr").strip() == ""


def test_lesson_07_runs_live_and_confirms_its_claims(lesson):
    assert _errors(lesson) == []
    claims = [line for line in _printed(lesson).splitlines() if line.startswith("✓ C07")]
    assert len(claims) == sum(len(re.findall(r"^claim\(", cell["source"], re.M)) for cell in lesson.code()) > 10
    assert "live in JupyterLab" not in _printed(lesson)  # what an explorer prints where it cannot move
    assert _printed(lesson, "stderr").strip() == ""


@pytest.mark.parametrize("name", ["start", "lesson"])
def test_there_is_one_explorer_and_it_starts_where_the_static_picture_is(request, name):
    notebook = request.getfixturevalue(name)
    explorer = notebook.cell(r"explore\(")
    playwright.expect(explorer.locator(".jp-OutputArea img")).to_have_count(1)
    default = re.search(r"explorer at .*=([0-9.]+); live in JupyterLab", notebook.built)[1]
    assert float(explorer.locator(".widget-readout").text_content()) == float(default)


def test_slider_and_menu_redraw_the_picture(lesson, page):
    explorer = lesson.cell(r"explore\(")
    picture = explorer.locator(".jp-OutputArea img")
    pictures, seconds = [_bytes(picture)], []

    def redraw(act):
        began = time.monotonic()
        act()
        while (now := _bytes(picture)) in (None, pictures[-1]):
            assert time.monotonic() - began < PATIENCE, f"no new picture after {PATIENCE} s; those before: {seconds} s"
        pictures.append(now)
        seconds.append(round(time.monotonic() - began, 3))

    explorer.locator(".noUi-handle").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        redraw(lambda key=key: page.keyboard.press(key))
    redraw(lambda: explorer.locator("select").select_option("product"))
    assert pictures[3] == pictures[1], "one step back did not bring the earlier picture back"
    assert min(seconds) < REDRAW_LIMIT, f"redrawn in {seconds} s; the drawing's own share should be under 0.2 s"


def test_a_wrong_answer_gets_advice_and_a_right_one_passes(lesson):
    solution = next(cell["source"] for cell in lesson.cells()[::-1] if cell["source"].startswith("def fuse("))
    wrong = solution.replace("(image + text) / 2", "image + text")
    cell = lesson.cell(r"def fuse\(")
    verdict = cell.locator(".jp-OutputArea")
    lesson.answer(cell, wrong)
    playwright.expect(verdict).to_contain_text(re.compile(r"✗ 07\.1 fuse .* divide by the number\s+of\s+modalities"))
    lesson.answer(cell, solution)
    playwright.expect(verdict).to_contain_text("✓ 07.1 fuse passed")
    playwright.expect(verdict).not_to_contain_text("✗")


def test_questions_reveal_switch_to_chinese_and_lead_to_the_claim(lesson):
    cell = lesson.cell(r"show_questions\(")
    page = cell.locator(".jp-OutputArea")
    question = min(load_questions("07"), key=lambda each: DEPTHS.index(each.depth))
    english, chinese = (_before_formulas(text) for text in (question.answer.en, question.answer.zh))
    playwright.expect(page).to_contain_text(question.question.en)
    playwright.expect(page).not_to_contain_text(english)
    page.get_by_role("button", name="Reveal").click()
    playwright.expect(page).to_contain_text(english)
    page.get_by_role("button", name="中文").click()
    playwright.expect(page).to_contain_text(chinese)
    playwright.expect(page).not_to_contain_text(english)
    link = page.get_by_role("link", name="节的论断 C07.").first
    claim = re.search(r"C07\.\d+[a-z]?", link.text_content())[0]
    link.click()
    playwright.expect(lesson.panel.get_by_text(re.compile(rf"✓ {re.escape(claim)}\b"))).to_be_in_viewport()
    top, found = (
        lesson.panel.locator(each).bounding_box()["y"] for each in (".jp-WindowedPanel-outer", _at(lesson, claim))
    )
    assert found == pytest.approx(top, abs=30)  # not beside it


def _at(notebook, claim):
    """The cell that makes a claim."""
    sources = [cell["source"] for cell in notebook.cells()]
    number = next(number for number, source in enumerate(sources) if re.search(rf'claim\(\s*"{claim}"', source))
    return f'.jp-Cell[data-windowed-list-index="{number}"]'


def _before_formulas(text):
    return text.partition("$")[0].strip()
