"""Links of the live views: a lesson opens in the same JupyterLab, at the claim; a source opens in a new tab.

An ordinary link to a notebook would open a second JupyterLab, at the top of the lesson. JupyterLab has a command for
the links of its own Markdown, and runs it for a click on whatever carries the command's name. The command wants the
path below the folder that the server serves, which the server records in Jupyter's runtime folder under its process id.
Where that is not known (a script, another program's kernel) the link is an ordinary one.
"""

import json
import os
from html import escape
from pathlib import Path

from jupyter_core.paths import jupyter_runtime_dir

from course_lib.interview.questions import ROOT

_COMMAND = "rendermime:handle-local-link"
_STYLE = 'style="color:var(--jp-content-link-color)"'


def anchor(label: str, url: str) -> str:
    """An HTML link: "07_x.ipynb#cell-id=1a2b3c4d" in this JupyterLab, anything else in a new tab."""
    where = f'target="_blank" rel="noopener"{_command(url)}'
    return f'<a href="{escape(url)}" {where} {_STYLE}>{escape(label)}</a>'


def served_path(notebook: str) -> str | None:
    """Path of a lesson's notebook below the folder that JupyterLab serves; None where no such server is known."""
    record = Path(jupyter_runtime_dir(), f"jpserver-{os.environ.get('JPY_PARENT_PID')}.json")
    try:
        root = json.loads(record.read_text(encoding="utf-8"))["root_dir"]
    except (OSError, ValueError, KeyError):
        return None  # a plain script, or another program's kernel
    beside = Path(os.environ.get("JPY_SESSION_NAME", "")).parent  # the folder of the notebook that is open
    files = [folder / notebook for folder in (beside, Path(root), ROOT / "notebooks")]
    served = [each for each in files if each.is_relative_to(root) and each.is_file()]
    return served[0].relative_to(root).as_posix() if served else None


def _command(url: str) -> str:
    notebook, _, place = url.partition("#")
    path = served_path(notebook) if notebook.endswith(".ipynb") and "/" not in notebook else None
    if path is None:
        return ""
    args = json.dumps({"path": path, "id": f"#{place}" if place else ""})
    return f' data-commandlinker-command="{_COMMAND}" data-commandlinker-args="{escape(args)}"'
