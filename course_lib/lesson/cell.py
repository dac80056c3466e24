"""A cell of a lesson: its id, by which a link finds it."""

import hashlib


def cell_id(source: str) -> str:
    """Eight hexadecimal digits that depend on the cell's text alone, so that an unchanged cell never moves in a diff.

    Blank lines around it do not count: a notebook keeps those at its top, whoever reads the source file drops them.
    JupyterLab and Jupyter Notebook scroll to the cell of "07_x.ipynb#cell-id=1a2b3c4d"; a saved web page has it as an
    anchor.
    """
    return hashlib.sha256(source.strip("\n").encode()).hexdigest()[:8]
