"""`course lab`: open JupyterLab on the learner's copies, also as root and on a machine without a display."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat

from course_lib.copies.folder import Folder, choose
from course_lib.copies.notebook import write_bytes
from course_lib.copies.update import update
from course_lib.lesson.syllabus import load_lessons

START = "/lab/tree/00_start_here.ipynb"
JUPYTER = Path(__file__).resolve().parent / "jupyter"
"""Ours for JupyterLab: overrides.json (settings), workspace.json (the first layout), custom/custom.css, and
nbconvert/course, the page that *Save and Export* makes.

Cells are laid out before they are seen (windowingMode), or a link to a claim would land up to a screen beside it.
"""
PAGE = {"template_name": "course", "extra_template_basedirs": [str(JUPYTER / "nbconvert")]}
"""For nbconvert's HTMLExporter: a lesson saved as a page, proofs folded and answers under a click."""
HIDDEN = ["figures", "__pycache__", "*~", ".DS_Store"]
"""What the file list leaves out; lessons show their figures all the same."""


def run(lessons: str | None, port: int | None) -> int:
    """Bring the copies up to date and replace this process with JupyterLab, so that Ctrl-C reaches it directly.

    Raises:
        ValueError: the copies cannot lie there.
        OSError: the folder cannot be written.
    """
    folder = choose(lessons, os.environ)
    for line in update(folder):
        print(line, flush=True)
    lay_out(folder)
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    command = arguments(folder, port, os.environ, platform=sys.platform, root_user=is_root)
    if sys.platform == "win32":  # os.execv returns control to the shell at once there
        import subprocess

        return subprocess.run(command).returncode
    os.execv(command[0], command)


def arguments(
    folder: Folder, port: int | None, environment: Mapping[str, str], *, platform: str, root_user: bool
) -> list[str]:
    """The `jupyter lab` command line. The token stays on: anyone on the machine could otherwise run code as you."""
    command = [sys.executable, "-m", "jupyter", "lab", f"--ServerApp.root_dir={folder.path}"]
    command.append(f"--LabApp.default_url={START}")
    command += [f"--{name}={value}" for name, value in configuration(folder).items()]
    if port is not None:
        command += [f"--port={port}", "--ServerApp.port_retries=0"]  # a port that was asked for is used or refused
    if root_user:
        command.append("--allow-root")
    if platform.startswith("linux") and not (environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")):
        command.append("--no-browser")  # Jupyter prints the URL, token included
    return command


def configuration(folder: Folder) -> dict[str, Any]:
    """{trait: value}: what makes a Jupyter server the course's, wherever its files are.

    Settings that a learner chose (theme, shortcuts) stay in their Jupyter folder and win over ours. Which tabs are open
    is kept in the folder of the lessons, apart from their other work.
    """
    return {
        "LabApp.app_settings_dir": str(JUPYTER),
        "LabApp.workspaces_dir": str(folder.hidden / "workspaces"),
        "LabApp.custom_css": True,
        "ServerApp.jpserver_extensions": {__name__: True},
        "ContentsManager.hide_globs": HIDDEN,
        "ContentsManager.pre_save_hook": "course_lib.lesson.live.drop_widget_views",
    }


def write_configuration(folder: Folder, path: Path) -> None:
    """The same as a file jupyter_server_config.json, for a server that somebody else starts: Binder, a JupyterHub.

    Raises:
        ValueError: there is such a file already, and it says something else.
    """
    sections: dict[str, dict[str, Any]] = {}
    for name, value in configuration(folder).items():
        section, trait = name.split(".")
        sections.setdefault(section, {})[trait] = value
    content = f"{json.dumps(sections, indent=2)}\n".encode()
    if path.exists() and path.read_bytes() != content:
        raise ValueError(f"{path} exists and is not the course's; name another file, and add its lines to yours")
    write_bytes(content, path)


def lay_out(folder: Folder) -> None:
    """The first time, the table of contents is open beside the lesson; later, what the learner left open."""
    workspace = folder.hidden / "workspaces" / "default-37a8.jupyterlab-workspace"  # as JupyterLab names "default"
    if not workspace.exists():
        write_bytes((JUPYTER / "workspace.json").read_bytes(), workspace)


def _load_jupyter_server_extension(server: Any) -> None:
    """Jupyter's server calls this: it finds our style and our page, and trusts the lessons as shipped."""
    server.web_app.settings["static_custom_path"].insert(0, str(JUPYTER / "custom"))
    server.web_app.settings["config"].HTMLExporter.update(PAGE)
    trust_lessons(Path(server.root_dir), server.contents_manager.notary)


def trust_lessons(folder: Path, notary: Any) -> None:
    """Sign the copies that are still what the course shipped, as if the learner had run all their cells.

    In a notebook that is not trusted JupyterLab asks "Run Command?" at every link of a live view. What the learner or
    somebody else changed is left to JupyterLab: it signs at a save what was run.

    notary: the server's nbformat.sign.NotebookNotary.
    """
    for lesson in load_lessons():
        copy = folder / lesson.notebook.name
        if lesson.built and copy.exists() and copy.read_bytes() == lesson.notebook.read_bytes():
            notary.sign(nbformat.read(copy, as_version=4))
