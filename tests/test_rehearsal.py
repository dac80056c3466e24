"""Explorers are tried while notebooks are checked: what is wrong with one is said, and a good one leaves no trace."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook
from rehearsal import rehearsed

from course_lib.lesson.explore import explore

ROOT = Path(__file__).resolve().parents[1]


def draw(height=1.0, colour="C0", grid=False):
    fig, ax = plt.subplots(figsize=(2, 1))
    ax.bar(0, height, color=colour)
    ax.set_ylim(0, 2)
    ax.grid(grid)
    return fig


CONTROLS = {"height": (0.0, 2.0), "colour": ["C0", "C1"], "grid": False}


@pytest.fixture
def rehearse(monkeypatch):
    monkeypatch.setenv("COURSE_STATIC", "1")
    monkeypatch.setattr("course_lib.lesson.explore.show", lambda fig, alt: plt.close(fig))
    return rehearsed(explore)


def test_a_good_one_prints_what_it_always_printed(rehearse, capsys):
    rehearse(draw, alt="A bar.", **CONTROLS)
    out, err = capsys.readouterr()
    assert out == "explorer at height=1.0, colour=C0, grid=False; live in JupyterLab\n" and err == ""
    assert os.environ["COURSE_STATIC"] == "1"


def fails_at_the_end(height=1.0):
    return draw(1 / (2 - height))


def ignores_its_slider(height=1.0):
    return draw()


def uses_torch(height=1.0):
    return draw(height + torch.rand(1).item())


def uses_numpy(height=1.0):
    return draw(height + np.random.rand())


@pytest.mark.parametrize(
    ("faulty", "words"),
    [
        (fails_at_the_end, "height = 2.0: ZeroDivisionError"),
        (ignores_its_slider, "height: no position changes the picture"),
        (uses_torch, "uses_torch draws from the global generator"),
        (uses_numpy, "uses_numpy draws from the global generator"),
    ],
)
def test_what_is_wrong_is_said(rehearse, faulty, words):
    with pytest.raises(AssertionError, match=words):
        rehearse(faulty, alt="A bar.", height=(0.0, 2.0))


def test_a_slow_drawing_is_said(rehearse, monkeypatch):
    monkeypatch.setattr("rehearsal.REDRAW_LIMIT", 0.0)
    with pytest.raises(AssertionError, match="height = 0.0: drawing took"):
        rehearse(draw, alt="A bar.", height=(0.0, 2.0))


def test_a_picture_without_words_is_refused(rehearse):
    with pytest.raises((AssertionError, ValueError), match="alt is empty"):
        rehearse(draw, alt=" ", height=(0.0, 2.0))


def test_a_warning_at_the_end_of_a_slider_reaches_the_cell(rehearse):
    def warns(height=1.0):
        if height == 2.0:
            warnings.warn("too high", stacklevel=1)
        return draw(height)

    with pytest.warns(UserWarning, match="too high"):
        rehearse(warns, alt="A bar.", height=(0.0, 2.0))


@pytest.mark.parametrize(("end", "passes"), [("3", True), ("2", False)])
def test_the_check_of_notebooks_rehearses(tmp_path, end, passes):
    """As `make test` runs it: with the settings of notebooks/conftest.py, in a kernel."""
    code = f"""import matplotlib.pyplot as plt
from course_lib.lesson.explore import explore
assert "rehearsal" not in dir()
def draw(height=1.0):
    fig, ax = plt.subplots(figsize=(2, 1))
    ax.bar(0, 1 / ({end} - height))
    return fig
explore(draw, alt="A bar.", height=(0.0, 2.0))"""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cell = new_code_cell(code, metadata={"tags": ["nbval-ignore-output"]})
    nbformat.write(new_notebook(cells=[cell], metadata=kernel), tmp_path / "one.ipynb")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
        + ["--nbval", "-q", str(tmp_path / "one.ipynb")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "notebooks"), str(ROOT)])},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode == 0) == passes, done.stdout
    assert passes or "height = 2.0: ZeroDivisionError" in done.stdout
