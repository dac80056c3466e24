"""Links of the live views: which attributes they carry with and without a JupyterLab around them."""

import json
import re
from html import unescape

import pytest

from course_lib.interview.links import anchor, served_path

LESSON = "07_fusing_modalities.ipynb"


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A server that serves a folder with notebooks below it, and a kernel of a notebook beside the lesson."""
    (tmp_path / "runtime").mkdir()
    (tmp_path / "served/notebooks").mkdir(parents=True)
    (tmp_path / "served/notebooks" / LESSON).write_text("{}")
    record = tmp_path / "runtime/jpserver-4711.json"
    record.write_text(json.dumps({"root_dir": str(tmp_path / "served"), "pid": 4711}))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("JPY_PARENT_PID", "4711")
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "served/notebooks/scratch.ipynb"))
    return record


def command_of(html):
    found = re.search(r'data-commandlinker-command="([^"]*)" data-commandlinker-args="([^"]*)"', html)
    return found and (found[1], json.loads(unescape(found[2])))


def test_a_lesson_opens_in_the_same_jupyterlab_at_the_claim(lab):
    html = anchor('claim "C07.2"', f"{LESSON}#cell-id=1a2b3c4d")
    args = {
        "path": f"notebooks/{LESSON}",
        "id": "#cell-id=1a2b3c4d",
    }  # with the sign, or JupyterLab drops the first letter
    assert command_of(html) == ("rendermime:handle-local-link", args)
    assert f'href="{LESSON}#cell-id=1a2b3c4d"' in html and ">claim &quot;C07.2&quot;</a>" in html
    assert command_of(anchor("lesson", LESSON))[1] == {"path": f"notebooks/{LESSON}", "id": ""}


@pytest.mark.parametrize("url", ["https://arxiv.org/abs/1702.01992", f"https://a.org/{LESSON}"])
def test_other_links_carry_no_command(lab, url):
    assert command_of(anchor("x", url)) is None
    assert "_blank" in anchor("x", url)


def test_a_notebook_of_another_folder_finds_the_lessons_of_the_course(lab, monkeypatch):
    from course_lib.interview.questions import ROOT

    lab.write_text(json.dumps({"root_dir": str(ROOT)}))
    monkeypatch.setenv("JPY_SESSION_NAME", str(ROOT / "my own/scratch.ipynb"))
    assert served_path(LESSON) == f"notebooks/{LESSON}"


@pytest.mark.parametrize("broken", ["no server", "not json", "no root", "elsewhere", "no such lesson"])
def test_without_a_server_that_serves_it_a_link_is_an_ordinary_one(lab, broken, monkeypatch, tmp_path):
    if broken == "no server":
        monkeypatch.delenv("JPY_PARENT_PID")
    contents = {"not json": "{", "no root": "{}", "elsewhere": json.dumps({"root_dir": str(tmp_path / "runtime")})}
    if broken in contents:
        lab.write_text(contents[broken])
    name = "77_nothing.ipynb" if broken == "no such lesson" else LESSON
    assert served_path(name) is None
    assert command_of(anchor("x", f"{name}#cell-id=1a2b3c4d")) is None and "_blank" in anchor(
        "x", f"{name}#cell-id=1a2b3c4d"
    )
