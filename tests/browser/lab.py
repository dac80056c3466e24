"""A JupyterLab as `course lab` starts it, for a learner whose lessons, reviews and settings lie in their own folder."""

import os
import secrets
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from course_lib import lab
from course_lib.copies.folder import Folder
from course_lib.copies.update import update

PATIENCE = 180
"""Seconds for anything that the server or the page does; a wait ends as soon as the state is there."""


@contextmanager
def serving(home: Path, **environment: str) -> Iterator[tuple[str, str]]:
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


def wait_for(condition: Callable[[], bool]) -> None:
    """Until it holds; TimeoutError after PATIENCE seconds."""
    for _ in range(4 * PATIENCE):
        if condition():
            return
        time.sleep(0.25)
    raise TimeoutError(f"{condition} did not come true within {PATIENCE} s")


def _command(folder: Folder, port: int, token: str) -> list[str]:
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return [
        *lab.arguments(folder, port, {}, platform="linux", root_user=is_root),  # no display: opens no real browser
        f"--IdentityProvider.token={token}",
        "--LabApp.expose_app_in_browser=True",  # lets the driver read execution counts and outputs
    ]


def _environment(home: Path) -> dict[str, str]:
    """The learner's, without their Jupyter settings and without what the check of notebooks sets (its conftest.py)."""
    ours = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "RUNTIME")}
    ours |= {"IPYTHONDIR": str(home / "ipython"), "JUPYTER_PREFER_ENV_PATH": "1"}  # python3: this interpreter
    ours |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COURSE_DATA": str(home / "data")}
    checked = {"COURSE_STATIC", "PYTHONSTARTUP"}
    return {name: value for name, value in os.environ.items() if name not in checked} | ours


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _wait_until_it_answers(process: subprocess.Popen, url: str, log: Path) -> None:
    for _ in range(4 * PATIENCE):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.25)
    raise TimeoutError(f"JupyterLab did not answer within {PATIENCE} s; its log ends:\n{log.read_text()[-2000:]}")


def _end(process: subprocess.Popen) -> None:
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
