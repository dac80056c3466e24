"""Build notebooks/NN_slug.ipynb, outputs included, from notebooks/src/NN_slug.py.

python notebooks/build.py               build every lesson that differs from its source; a change of prose runs nothing
python notebooks/build.py 00 07         build and run these lessons, whether they differ or not
python notebooks/build.py --check       run nothing; exit 1 if a notebook or README.md is out of date or form
python notebooks/build.py --pull 07     the other way: take cells edited in JupyterLab back into the source
python notebooks/build.py --measure 07  run it on one thread and record CPU seconds and peak memory for the README
"""

import argparse
import json
import os
import platform
import re
import sys
from datetime import date
from itertools import zip_longest
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from course_lib.lesson import form, pointers, readme
from course_lib.lesson.cell import cell_id
from course_lib.lesson.syllabus import lesson_map, load_lessons

HERE = Path(__file__).resolve().parent
RECORD = HERE.parent / "datasets" / "recorded" / "lessons.json"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
WIDGET = "application/vnd.jupyter.widget-view+json"
TEXT_FORMAT = {"extension": ".py", "format_name": "percent", "cell_markers": '"""'}
ENVIRONMENT = {"COURSE_STATIC": "1", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
FOLDED = {  # tag of a cell -> what JupyterLab shows on a click only; plain elsewhere
    "solution": {"source_hidden": True},
    "claim": {"source_hidden": True},
    "reveal": {"outputs_hidden": True},
}
MINUTES = re.compile(r"^\*\d+ minutes(?: and \d+ more)?", re.MULTILINE)
USAGE_CELL = (
    "import json, resource, sys\n"
    "usage = resource.getrusage(resource.RUSAGE_SELF)\n"
    "unit = 2**20 if sys.platform == 'darwin' else 2**10\n"  # ru_maxrss is bytes on macOS, KiB elsewhere
    "print(json.dumps([usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit]))"
)


def read_source(path: Path) -> NotebookNode:
    """An unexecuted notebook whose cell ids depend only on cell text, so that unchanged cells never move in a diff."""
    notebook = jupytext.read(path, fmt="py:percent")
    notebook.metadata, notebook.nbformat, notebook.nbformat_minor = nbformat.from_dict(METADATA), 4, 5
    used = set()
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if folded := {key: value for tag in tags for key, value in FOLDED.get(tag, {}).items()}:
            cell.metadata["jupyter"] = nbformat.from_dict(folded)
        cell.id = cell_id(cell.source)
        while cell.id in used:  # two cells with the same text
            cell.id = cell_id(cell.id)
        used.add(cell.id)
    return notebook


def current_text(source: Path) -> str:
    """The source with what is computed in it: the links to other lessons, and how long the lesson takes."""
    text = pointers.render(source.read_text(encoding="utf-8"), source.name[:2])
    cells = jupytext.reads(text, fmt="py:percent").cells
    if form.is_second_form(cells):
        text = MINUTES.sub(f"*{form.say_minutes(cells)}", text, count=1)
    return text


def update_text(source: Path) -> bool:
    """Bring the source up to date; whether it was not."""
    before, text = source.read_text(encoding="utf-8"), current_text(source)
    source.write_text(text, encoding="utf-8")
    return text != before


def in_sync(source: Path, target: Path) -> bool:
    """Whether `target` has the cells of `source`, was executed once, top to bottom, and states facts that hold."""
    if not target.exists() or source.read_text(encoding="utf-8") != current_text(source):
        return False
    notebook = nbformat.read(target, as_version=4)
    same_cells = _cells(notebook.cells) == _cells(read_source(source).cells)
    return same_cells and notebook.metadata == METADATA and _is_current(notebook)


def _is_current(notebook: NotebookNode) -> bool:
    """Whether it was executed once, top to bottom, with the lessons that there are."""
    counts = [cell.execution_count for cell in _code(notebook)]
    return counts == list(range(1, len(counts) + 1)) and _map_is_current(notebook)


def _map_is_current(notebook: NotebookNode) -> bool:
    """Whether outputs, such as the list on the start page, still say which lessons exist and which are planned."""
    built = {lesson.number for lesson in load_lessons() if lesson.built}
    for cell in _code(notebook):
        pages = [output.get("data", {}).get("text/markdown", "") for output in cell.outputs]
        if any(pointers.called_planned(page) & built for page in pages):
            return False
        if re.search(r"\b(lesson_map|home)\(\)", cell.source) and lesson_map() not in pages:
            return False
    return True


def _cells(cells: list[NotebookNode]) -> list[tuple]:
    return [(cell.id, cell.cell_type, cell.source, cell.metadata) for cell in cells]


def _code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def execute(notebook: NotebookNode) -> None:
    """Run every cell in place, as a lesson is checked: static explorers, one thread, no network, nothing on stderr."""
    os.environ.update(ENVIRONMENT)
    resources = {"metadata": {"path": str(HERE)}}
    NotebookClient(
        notebook, timeout=600, startup_timeout=60, record_timing=False, coalesce_streams=True, resources=resources
    ).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise RuntimeError(f"a lesson prints nothing on stderr, this cell does:\n{cell.source}\n{output.text}")
            if WIDGET in output.get("data", {}):
                raise RuntimeError(f"a widget shows nothing without a kernel; use explore():\n{cell.source}")


def build(source: Path, target: Path, *, rerun: bool = True) -> None:
    """Execute the source and write the notebook without kernel, timing or widget metadata.

    rerun: False takes the outputs of `target` along where its code is the same, so that prose and folding run nothing.
    """
    notebook = read_source(source)
    if rerun or not _take_outputs(notebook, target):
        execute(notebook)
    notebook.metadata = nbformat.from_dict(METADATA)  # the kernel adds its own version, widgets add their state
    nbformat.write(notebook, target)


def _take_outputs(notebook: NotebookNode, target: Path) -> bool:
    """Give `notebook` the outputs of `target`; False, and nothing is taken, when they are not those of its code."""
    before = nbformat.read(target, as_version=4) if target.exists() else None
    if before is None or not _is_current(before):
        return False
    pairs = list(zip_longest(_code(notebook), _code(before)))
    if any(new is None or old is None or new.source != old.source for new, old in pairs):
        return False
    for new, old in pairs:
        new.outputs, new.execution_count = old.outputs, old.execution_count
    return True


def pull(source: Path, target: Path) -> None:
    """Write the notebook's cells back to the source: text, tags and order; outputs and other metadata stay behind."""
    notebook = nbformat.read(target, as_version=4)
    notebook.metadata = nbformat.from_dict({"jupytext": {"notebook_metadata_filter": "-all"}})
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({"tags": cell.metadata.tags} if "tags" in cell.metadata else {})
        if cell.cell_type == "markdown":
            cell.metadata["cell_marker"] = 'r"""'  # formulas are full of backslashes
    jupytext.write(notebook, source, fmt=TEXT_FORMAT)


def measure(source: Path) -> None:
    """Run the lesson on one thread and record what its kernel used: CPU seconds and peak memory (MiB, RSS)."""
    notebook = read_source(source)
    notebook.cells.append(nbformat.v4.new_code_cell(USAGE_CELL))
    execute(notebook)
    seconds, mebibytes = json.loads(notebook.cells[-1].outputs[0].text)
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    record[source.stem[:2]] = {
        "cpu_seconds": round(seconds),
        "peak_mib": round(mebibytes),
        "date": date.today().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, one thread, Python {platform.python_version()}",
        "command": f"python notebooks/build.py --measure {source.stem[:2]}",
    }
    RECORD.write_text(json.dumps(dict(sorted(record.items())), indent=2) + "\n")


def main(argv: list[str] | None = None) -> int:
    """Return 0, or 1 if --check found something out of date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lessons", nargs="*", metavar="NN")
    mode = parser.add_mutually_exclusive_group()
    for verb in ("check", "pull", "measure"):
        mode.add_argument(f"--{verb}", action="store_true")
    args = parser.parse_args(argv)

    pairs = [(source, HERE / f"{source.stem}.ipynb") for source in sorted((HERE / "src").glob("[0-9][0-9]_*.py"))]
    unknown = set(args.lessons) - {source.stem[:2] for source, _ in pairs}
    if unknown:
        parser.error(f"no lesson {sorted(unknown)} in notebooks/src; there are {[s.stem[:2] for s, _ in pairs]}")
    chosen = [pair for pair in pairs if not args.lessons or pair[0].stem[:2] in args.lessons]
    if args.pull:
        for pair in chosen:
            pull(*pair)
        return 0
    if args.measure:
        for source, _ in chosen:
            measure(source)
        readme.write()
        return 0
    return _check(chosen) if args.check else _build(chosen, pairs, rerun=bool(args.lessons))


def _check(pairs: list[tuple[Path, Path]]) -> int:
    wrong = [
        f"out of date: {target.name} <- src/{source.name}" for source, target in pairs if not in_sync(source, target)
    ]
    wrong += [] if readme.in_sync() else ["out of date: README.md <- python notebooks/build.py"]
    wrong += [line for _, target in pairs if target.exists() for line in complain(target)]
    for line in wrong:
        print(line)
    return 1 if wrong else 0


def complain(target: Path) -> list[str]:
    """Where a built lesson of the second form falls short of it; nothing for the others."""
    cells = nbformat.read(target, as_version=4).cells
    found = form.complaints(cells) if form.is_second_form(cells) else []
    return [f"out of form: {target.name}: {complaint}" for complaint in found]


def _build(chosen: list[tuple[Path, Path]], pairs: list[tuple[Path, Path]], rerun: bool) -> int:
    for source, target in chosen:
        update_text(source)
        if rerun or not in_sync(source, target):
            print(f"build: {target.name} <- src/{source.name}", flush=True)
            build(source, target, rerun=rerun)
            for line in complain(target):
                print(line)
    for source, target in pairs:  # a lesson that was just built is linked from the others, and listed
        if target.exists() and (update_text(source) or not _map_is_current(nbformat.read(target, as_version=4))):
            print(f"links: {target.name}", flush=True)
            build(source, target, rerun=False)
    readme.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
