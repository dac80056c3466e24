"""`course lab`: what it passes to Jupyter, and that Jupyter understands it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.sign import NotebookNotary

from course_lib import lab
from course_lib.copies.folder import Folder
from course_lib.lesson.syllabus import load_lessons

ROOT = Path(__file__).resolve().parents[1]


def lab_command(port=None, environment=None, *, platform="linux", root_user=False):
    folder = Folder(Path("/home/me/my-lessons"))
    return lab.arguments(folder, port, environment or {}, platform=platform, root_user=root_user)


def test_lab_keeps_the_token_and_says_the_url_without_a_display():
    command = lab_command()
    assert "--no-browser" in command and not any(
        f"{word}=" in part for part in command for word in ("token", "password")
    )
    assert not any("ip=" in part or "allow_origin" in part or "disable_check" in part for part in command)


def test_lab_opens_the_learners_folder_on_the_start_page():
    command = lab_command()
    assert f"--ServerApp.root_dir={Path('/home/me/my-lessons').absolute()}" in command
    assert "--LabApp.default_url=/lab/tree/00_start_here.ipynb" in command
    assert (ROOT / "notebooks/00_start_here.ipynb").exists()


def test_lab_with_a_display_root_and_a_port():
    assert "--no-browser" not in lab_command(environment={"DISPLAY": ":0"})
    assert "--no-browser" not in lab_command(platform="darwin")
    assert "--allow-root" in lab_command(root_user=True) and "--allow-root" not in lab_command()
    assert "--port=8890" in lab_command(8890) and "--ServerApp.port_retries=0" in lab_command(8890)


def jupyter_reads(tmp_path, *arguments):
    """Traits as Jupyter's own applications read them: the server's, its contents manager's, JupyterLab's."""
    code = """
import asyncio, json, sys
from jupyterlab.labapp import LabApp
from course_lib.lesson.live import MARK, WIDGET
server = LabApp.initialize_server(sys.argv[1:])
lab = server.extension_manager.extension_apps["jupyterlab"].pop()
paths = server.web_app.settings["static_custom_path"]
manager = server.contents_manager
data = {WIDGET: {"model_id": "1"}, "text/html": "static form"}
output = {"output_type": "display_data", "data": data, "metadata": {MARK: True}}
cell = {"cell_type": "code", "id": "a", "source": "", "metadata": {}, "execution_count": 1, "outputs": [output]}
content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
asyncio.run(manager.save({"type": "notebook", "content": content}, "saved.ipynb"))
print(json.dumps({"root": server.root_dir, "url": server.default_url, "settings": lab.app_settings_dir,
    "workspaces": lab.workspaces_dir, "user": lab.user_settings_dir, "css": lab.custom_css, "custom": paths,
    "hook": manager.pre_save_hook.__qualname__, "hidden": [manager.should_list("figures"), manager.should_list("a")]}))
"""
    names = ("CONFIG", "DATA", "RUNTIME")
    home = {f"JUPYTER_{name}_DIR": str(tmp_path / name.lower()) for name in names}
    done = subprocess.run(
        [sys.executable, "-c", code, "--no-browser", "--allow-root", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | home,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_jupyter_understands_the_command_line_and_the_settings_of_the_learner_stay_theirs(tmp_path):
    folder = Folder(tmp_path / "mine")
    folder.path.mkdir()
    command = lab.arguments(folder, None, {}, platform="linux", root_user=False)
    found = jupyter_reads(tmp_path, *command[4:])
    assert found["root"] == str(folder.path) and found["settings"] == str(lab.JUPYTER) and found["css"] is True
    assert found["workspaces"].startswith(str(folder.hidden)) and found["custom"][0] == str(lab.JUPYTER / "custom")
    assert found["user"].startswith(str(tmp_path / "config"))
    assert found["hidden"] == [False, True]


def test_what_is_saved_holds_no_view_of_a_widget(tmp_path):
    """Through the contents manager that really runs, which need not be the class that the hook was given to."""
    folder = Folder(tmp_path / "mine")
    folder.path.mkdir()
    jupyter_reads(tmp_path, *lab.arguments(folder, None, {}, platform="linux", root_user=False)[4:])
    saved = (folder.path / "saved.ipynb").read_text(encoding="utf-8")
    assert "static form" in saved and "widget-view" not in saved


def test_a_server_that_somebody_else_starts_reads_the_same_from_a_file(tmp_path):
    folder = Folder(tmp_path / "mine")
    lab.write_configuration(folder, tmp_path / "config" / "jupyter_server_config.json")
    found = jupyter_reads(tmp_path)
    assert found["settings"] == str(lab.JUPYTER) and found["custom"][0] == str(lab.JUPYTER / "custom")
    assert found["hook"] == "drop_widget_views" and found["hidden"] == [False, True]


def test_a_configuration_that_is_not_ours_is_not_replaced(tmp_path):
    folder, path = Folder(tmp_path / "mine"), tmp_path / "jupyter_server_config.json"
    for _ in range(2):
        lab.write_configuration(folder, path)
    path.write_text("{}")
    with pytest.raises(ValueError, match="exists and is not the course's"):
        lab.write_configuration(folder, path)
    assert path.read_text() == "{}"


def test_every_setting_of_ours_exists_in_this_jupyterlab():
    from jupyterlab.commands import get_app_dir

    overrides = json.loads((lab.JUPYTER / "overrides.json").read_text())
    for plugin, settings in overrides.items():
        package, name = plugin.split(":")
        schema = json.loads((Path(get_app_dir()) / "schemas" / package / f"{name}.json").read_text())
        assert settings.keys() <= schema["properties"].keys(), plugin


def test_the_first_layout_is_written_once(tmp_path):
    from jupyterlab_server.workspaces_handler import WorkspacesManager

    folder = Folder(tmp_path / "mine")
    lab.lay_out(folder)
    manager = WorkspacesManager(folder.hidden / "workspaces")
    first = manager.load("default")
    assert first["data"]["layout-restorer:data"]["left"]["current"] == "@jupyterlab/toc:plugin"
    manager.save("default", json.dumps({"data": {"mine": 1}, "metadata": {"id": "default"}}))
    lab.lay_out(folder)
    assert manager.load("default")["data"] == {"mine": 1}


def test_a_lesson_is_trusted_as_it_was_shipped_and_not_as_somebody_changed_it(tmp_path):
    lesson, changed = [each for each in load_lessons() if each.built][:2]
    for each in (lesson, changed):
        shutil.copy(each.notebook, tmp_path)
    mine = nbformat.read(changed.notebook, 4)
    mine.cells[0].source += " mine"
    nbformat.write(mine, tmp_path / changed.notebook.name)
    notary = NotebookNotary(data_dir=str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    lab.trust_lessons(tmp_path, notary)
    found = [notary.check_signature(nbformat.read(tmp_path / each.notebook.name, 4)) for each in (lesson, changed)]
    assert found == [True, False]
