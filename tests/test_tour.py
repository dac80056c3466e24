"""The tour sees what it is there to see: a notebook with one planted fault a cell, and cells that have none.

And it is told which lessons to visit. What it finds in the lessons is not this file's business.
"""

import subprocess

import nbformat
import pytest
from browser.marks import pytestmark  # noqa: F401
from browser.visit import ANSWER, Visit
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from tour import choose, main

from course_lib.lesson.syllabus import load_lessons

PICTURE = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
EXPLORER = """
def draw(a=1.0, b=1.0):
    {body}
    fig, ax = plt.subplots(figsize=(2, 1))
    ax.bar(0, a)
    return fig
explore(draw, alt="A bar.", a=(0.0, 2.0){more})"""
FAULTS = {
    "stderr: “oh”": "import sys; print('oh', file=sys.stderr)",
    "a wall of 200 lines": "print(200 * 'x\\n', end='')",
    "a picture without alternative text": f"HTML('<img src=\"{PICTURE}\">')",
    "a broken picture: a dog": 'HTML(\'<img alt="a dog" src="nowhere.png">\')',
    "a slider without a name": "widgets.IntSlider()",
    "a view with no static form": "widgets.Button(description='x')",
    "no static form of “widgets.Button(tooltip='y'": "widgets.Button(tooltip='y', description='y')",
    "cut at the side: table “wide”": (
        'HTML(\'<div style="overflow:hidden"><table style="width:3000px"><tr><td>wide</td></tr></table></div>\')'
    ),
    "its end is hidden: “longer than 20 pixels”": (
        "HTML('<div style=\"width:20px;overflow:hidden;white-space:nowrap\">longer than 20 pixels</div>')"
    ),
    "“black on black” (live, dark, 1366 px)": "HTML('<p style=\"color:#222\">black on black</p>')",
    "“white on white” (live, 900 px)": "HTML('<p style=\"color:#ddd\">white on white</p>')",
    "shows VBox(children": "print('VBox(children=(IntSlider(value=0),))')",
    "slider a: ValueError: too far": EXPLORER.format(body="if a == 2: raise ValueError('too far')", more=""),
    "slider b: nothing changes": EXPLORER.format(body="", more=", b=(0.0, 2.0)"),
    "button x: nothing changes": "publish(widgets.Button(description='x'), html='a button')",
}
FINE = (
    EXPLORER.format(body="", more=""),
    "HTML('<table style=\"width:3000px\"><tr><td>it scrolls in its cell</td></tr></table>')",
    "from course_lib.interview.show import show_questions\nshow_questions('07')",
    "print('short')",
)
SET_UP = """import ipywidgets as widgets
import matplotlib.pyplot as plt
from IPython.display import HTML
from course_lib.exercises import lesson_00 as exercise
from course_lib.lesson.exercises import check
from course_lib.lesson.explore import explore
from course_lib.lesson.live import publish"""
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
EXERCISE = "def softmax(x):\n    raise NotImplementedError\ncheck(exercise.softmax, softmax)"


@pytest.fixture(scope="module")
def visit(tmp_path_factory):
    """A visit to the notebook of faults; its findings are `seen`."""
    home = tmp_path_factory.mktemp("home")
    (home / "my-lessons").mkdir()
    cells = [new_code_cell(code) for code in (SET_UP, *FINE, *FAULTS.values())]
    cells[1:1] = [new_markdown_cell("# Faults"), new_code_cell(EXERCISE, metadata={"tags": ["exercise"]})]
    path = home / "my-lessons" / "faults.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata=KERNEL), path)
    visit = Visit(home, path.name)
    visit.seen = list(visit.findings())
    visit.sources = [cell["source"] for cell in nbformat.read(path, as_version=4).cells]
    return visit


def said_of(visit, code):
    return [f"{each.what} ({each.when})" for each in visit.seen if each.cell == visit.sources.index(code)]


@pytest.mark.parametrize("what", FAULTS)
def test_it_finds(visit, what):
    assert any(what in each for each in said_of(visit, FAULTS[what])), visit.seen


@pytest.mark.parametrize("code", [SET_UP, *FINE], ids=lambda code: code.strip().splitlines()[-1][:30])
def test_it_finds_nothing_where_nothing_is_wrong(visit, code):
    assert said_of(visit, code) == []


def test_it_goes_to_the_end_and_the_answer_that_it_typed_is_kept(visit):
    assert [each.what for each in visit.seen if each.cell is None] == []
    assert sum(ANSWER in source for source in visit.sources) == 1
    assert visit.views == 8 and visit.moved > 12


def test_a_cell_that_fails_is_found_and_the_rest_is_not_waited_for(tmp_path):
    (tmp_path / "my-lessons").mkdir()
    cells = [new_code_cell("1 / 0"), new_code_cell("print('never')")]
    nbformat.write(new_notebook(cells=cells, metadata=KERNEL), tmp_path / "my-lessons" / "fails.ipynb")
    found = list(Visit(tmp_path, "fails.ipynb").findings())
    assert (0, "ZeroDivisionError: division by zero", "") in found


@pytest.fixture
def changes(monkeypatch):
    """Paths that git is to name as changed."""
    paths = []

    def run(command, **_):
        return subprocess.CompletedProcess(command, 0, stdout="\n".join(paths), stderr="")

    monkeypatch.setattr("tour.subprocess.run", run)
    return paths


@pytest.mark.parametrize(
    ("path", "touched"),
    [
        ("notebooks/src/07_fusing_modalities.py", "07"),
        ("notebooks/07_fusing_modalities.ipynb", "07"),
        ("notebooks/figures/07_where_to_fuse.svg", "07"),
        ("course_lib/exercises/lesson_07/fuse.py", "07"),
        ("course_lib/interview/mock_page.py", "00"),  # through interview/mock.py
        ("course_lib/interview/keys.js", "00"),
        ("course_lib/lesson/live.py", "every"),
        ("course_lib/jupyter/custom/custom.css", "every"),
        ("README.md", "none"),
        ("course_lib/cli_train.py", "none"),
    ],
)
def test_a_change_touches_the_lessons_that_read_it(changes, path, touched):
    changes += ["datasets/questions/12_x.yaml", path]
    numbers = [lesson.number for lesson in choose([], "HEAD~1")]
    everything = [lesson.number for lesson in load_lessons() if lesson.built]
    assert numbers == {"every": everything, "none": []}.get(touched, [touched])
    assert [lesson.number for lesson in choose(["00", "12"], "HEAD~1")] == [n for n in ("00", "12") if n in numbers]


def test_every_built_lesson_is_visited_unless_some_are_named():
    assert choose([], None) == [lesson for lesson in load_lessons() if lesson.built]
    assert [lesson.number for lesson in choose(["12", "07"], None)] == ["12", "07"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["99"], "no built lesson 99; there are 00"), (["--changed", "never"], "git cannot compare with 'never'")],
)
def test_what_cannot_be_visited_is_refused(arguments, words, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert words in capsys.readouterr().err
