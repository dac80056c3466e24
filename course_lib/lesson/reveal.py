"""Answers that wait for a click: what a cell tagged `reveal` shows is folded while a bet is open, also after Run All.

JupyterLab unfolds the output of a cell when it runs, whatever its metadata say. But it tells the kernel the tags of the
cell, so a fold can be shown first in that output; everything behind it is hidden by a style until it is opened. An
error, which JupyterLab shows as stderr, is never hidden. Other programs send no tags, and show the output as always.
"""

from collections.abc import Callable

from IPython import get_ipython
from IPython.display import HTML, display

FOLD = """<details class="course-fold"><summary>Show what happened</summary></details>
<style>
.jp-OutputArea-child:has(details.course-fold:not([open])) ~ .jp-OutputArea-child:not(:has([data-mime-type$=".stderr"]))
{ display: none }
</style>"""


def fold_while(waiting: Callable[[], bool]) -> None:
    """From the next cell on, fold what cells tagged `reveal` show whenever `waiting()` holds as they begin.

    Nothing happens outside of a kernel. A later call replaces an earlier one.
    """
    shell = get_ipython()
    if shell is None:
        return
    for earlier in [each for each in shell.events.callbacks["pre_run_cell"] if getattr(each, "folds_answers", False)]:
        shell.events.unregister("pre_run_cell", earlier)

    def fold(_info: object) -> None:
        if "reveal" in tags_of_running_cell(shell) and waiting():
            display(HTML(FOLD))

    fold.folds_answers = True
    shell.events.register("pre_run_cell", fold)


def tags_of_running_cell(shell: object) -> list[str]:
    """The tags that JupyterLab sent along with the code; none from other programs."""
    parent = getattr(shell, "get_parent", dict)()
    return parent.get("metadata", {}).get("tags", [])
