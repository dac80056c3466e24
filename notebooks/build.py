"""Build notebooks/NN_slug.ipynb, outputs included, from notebooks/src/NN_slug.py.

python notebooks/build.py               build every lesson whose notebook differs from its source
python notebooks/build.py 00 07         build these lessons, whether they differ or not
python notebooks/build.py --check       run nothing; exit 1 if a notebook or README.md is out of date
python notebooks/build.py --pull 07     the other way: take cells edited in JupyterLab back into the source
python notebooks/build.py --measure 07  run it on one thread and record CPU seconds and peak memory for the README
"""

import argparse
import hashlib
import json
import os
import platform
import sys
from datetime import date
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from course_lib.lesson import readme
from course_lib.lesson.syllabus import lesson_map

HERE = Path(__file__).resolve().parent
RECORD = HERE.parent / "datasets" / "recorded" / "lessons.json"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
WIDGET = "application/vnd.jupyter.widget-view+json"
TEXT_FORMAT = {"extension": ".py", "format_name": "percent", "cell_markers": '"""'}
ENVIRONMENT = {"COURSE_STATIC": "1", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
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
        if "solution" in tags:
            cell.metadata["jupyter"] = {"source_hidden": True}  # folded in JupyterLab, plain elsewhere
        cell.id = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        while cell.id in used:  # two cells with the same text
            cell.id = hashlib.sha256(cell.id.encode()).hexdigest()[:8]
        used.add(cell.id)
    return notebook


def in_sync(source: Path, target: Path) -> bool:
    """Whether `target` has exactly the cells of `source` and was executed once, top to bottom."""
    if not target.exists():
        return False
    notebook = nbformat.read(target, as_version=4)
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    same_cells = _cells(notebook) == _cells(read_source(source))
    in_order = counts == list(range(1, len(counts) + 1))
    return same_cells and in_order and notebook.metadata == METADATA and _map_is_current(notebook)


def _map_is_current(notebook: NotebookNode) -> bool:
    """Whether a list of lessons in an output, as the start page has it, still says which lessons exist."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and "lesson_map()" in cell.source:
            return any(output.get("data", {}).get("text/markdown") == lesson_map() for output in cell.outputs)
    return True


def _cells(notebook: NotebookNode) -> list[tuple]:
    return [(cell.id, cell.cell_type, cell.source, cell.metadata) for cell in notebook.cells]


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


def build(source: Path, target: Path) -> None:
    """Execute the source and write the notebook without kernel, timing or widget metadata."""
    notebook = read_source(source)
    execute(notebook)
    notebook.metadata = nbformat.from_dict(METADATA)  # the kernel adds its own version, widgets add their state
    nbformat.write(notebook, target)


def pull(source: Path, target: Path) -> None:
    """Write the notebook's cells back to the source: text, tags and order; outputs and other metadata stay behind."""
    notebook = nbformat.read(target, as_version=4)
    notebook.metadata = nbformat.from_dict({"jupytext": {"notebook_metadata_filter": "-all"}})
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({"tags": cell.metadata.tags} if "tags" in cell.metadata else {})
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
    return _check(chosen) if args.check else _build(chosen, always=bool(args.lessons))


def _check(pairs: list[tuple[Path, Path]]) -> int:
    stale = [f"{target.name} <- src/{source.name}" for source, target in pairs if not in_sync(source, target)]
    stale += [] if readme.in_sync() else ["README.md <- python notebooks/build.py"]
    for line in stale:
        print(f"out of date: {line}")
    return 1 if stale else 0


def _build(pairs: list[tuple[Path, Path]], always: bool) -> int:
    for source, target in sorted(pairs, key=lambda pair: pair[0].stem.startswith("00")):  # last: it lists the others
        if always or not in_sync(source, target):
            print(f"build: {target.name} <- src/{source.name}", flush=True)
            build(source, target)
    readme.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
