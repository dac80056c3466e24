"""A notebook file as the copies need it: read in any form that Jupyter, VS Code or Colab writes, written at once."""

import os
import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode


class Unreadable(ValueError):
    """The file is not a notebook, for example because it was cut off."""


def parse(content: bytes) -> NotebookNode:
    """A notebook of format 4.5 from the bytes of its file; earlier ones (Colab writes 4.0) get cell ids.

    Raises:
        Unreadable: they are not JSON, or not a notebook; the message goes on after "the file".
    """
    try:
        notebook = nbformat.reader.reads(content)
        if notebook.nbformat < 4:
            notebook = nbformat.convert(notebook, 4)
        if notebook.nbformat_minor < 5:
            notebook = nbformat.v4.upgrade(notebook, from_minor=notebook.nbformat_minor)
        for cell in notebook.cells:
            _complete(cell)
    except Exception as error:  # nbformat raises what it stumbles over: KeyError, TypeError, its own classes
        raise Unreadable("cannot be read as a notebook, it may have been cut off") from error
    return notebook


def _complete(cell: NotebookNode) -> None:
    """Raise KeyError or TypeError for a cell without what every cell has."""
    if not isinstance(cell["source"], str) or not isinstance(cell["metadata"], dict):
        raise TypeError("a cell's source is text, its metadata a mapping")
    if cell["cell_type"] == "code":
        cell.setdefault("outputs", [])
        cell.setdefault("execution_count", None)
    cell.setdefault("id", "")  # the merge gives it one


def to_bytes(notebook: NotebookNode) -> bytes:
    """The notebook's file, as Jupyter writes it."""
    return f"{nbformat.v4.writes_json(notebook)}\n".encode()


def write_bytes(content: bytes, path: Path) -> None:
    """Replace the file at once: after a crash or a full disk it is the old one or the new one, never a part of one.

    A link stays a link; the file that it names is replaced.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
