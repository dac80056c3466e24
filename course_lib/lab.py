"""`course lab`: open JupyterLab on the start page, also as root and on a machine without a display."""

import os
import sys
from collections.abc import Mapping

from course_lib.lesson.syllabus import ROOT

START = "/lab/tree/notebooks/00_start_here.ipynb"


def arguments(port: int | None, environment: Mapping[str, str], *, platform: str, root_user: bool) -> list[str]:
    """The `jupyter lab` command line. The token stays on: anyone on the machine could otherwise run code as you."""
    command = [sys.executable, "-m", "jupyter", "lab", f"--ServerApp.root_dir={ROOT}", f"--LabApp.default_url={START}"]
    if port is not None:
        command += [f"--port={port}", "--ServerApp.port_retries=0"]  # a port that was asked for is used or refused
    if root_user:
        command.append("--allow-root")
    if platform.startswith("linux") and not (environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")):
        command.append("--no-browser")  # Jupyter prints the URL, token included
    return command


def run(port: int | None) -> int:
    """Replace this process with JupyterLab, so that Ctrl-C reaches it directly."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    command = arguments(port, os.environ, platform=sys.platform, root_user=is_root)
    if sys.platform == "win32":  # os.execv returns control to the shell at once there
        import subprocess

        return subprocess.run(command).returncode
    os.execv(command[0], command)
