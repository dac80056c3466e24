"""A learner's copy of a lesson brought to a new version of the lesson: a merge of three notebooks, cell by cell.

`base` is the version from which the copy was made, `mine` the copy as it is now, `new` the version that is shipped now.
Cells come in the order of `new`. What the learner did not change takes its new form; what they wrote stays, with its
outputs, behind the cell it stood behind. Where both changed a cell the learner's stays, and a note below it shows the
new form.

nbdime, the library for merging notebooks, was tried: it merges inside a cell, so that a function is half the learner's
and half ours, writes conflict marks into code, and brings git and an extension of JupyterLab with it.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection
from copy import deepcopy

import nbformat
from nbformat import NotebookNode

from course_lib.copies.align import align, pair_equal, text

NOTE = (
    "> **The course has a new form of the cell above. Yours is kept.** Take over what you like, then delete this note."
)


def merge(
    base: list[NotebookNode], mine: list[NotebookNode], new: list[NotebookNode], *, restore: Collection[str] = ()
) -> list[NotebookNode]:
    """The cells of the merged notebook; none of the arguments is changed.

    restore: ids of cells of `new` that come back in their shipped form, whatever the learner made of them.

    A cell that the learner deleted stays away until the course changes it. Merging the outcome again changes nothing,
    with the old base too, so that a merge that was cut off between its two files is simply done again.
    """
    mine, offered = _take_notes(deepcopy(mine), [*base, *new])
    origins = {theirs: ours for ours, theirs in align(base, new).items()}  # index in new -> index in base
    places, gone = _places(base, mine, new, origins)
    held = {place: mine[index] for index, place in places.items()}
    followers = _followers(mine, places, gone)
    _give_ids([cell for group in followers.values() for cell in group], {cell.id for cell in new})
    cells = followers[-1]
    for index, cell in enumerate(new):
        origin = base[origins[index]] if index in origins else None
        if cell.id in restore:
            cells.append(deepcopy(cell))
        else:
            cells += _settle(origin, held.get(index), deepcopy(cell), cell.id in offered)
        cells += followers[index]
    return cells


def is_note(cell: NotebookNode) -> bool:
    """Whether the cell is a note that shows a new form."""
    return "course_offer" in cell.metadata


def note(cell: NotebookNode) -> NotebookNode:
    """The note that shows the new form of a cell: text as text, code in a frame, where it does not run."""
    shown = cell.source
    if cell.cell_type == "code":
        longest = max(map(len, re.findall("`+", shown)), default=0)
        fence = "`" * max(3, longest + 1)
        shown = f"{fence}python\n{shown}\n{fence}"
    made = nbformat.v4.new_markdown_cell(f"{NOTE}\n\n{shown}", metadata={"course_offer": cell.id})
    made.id = _hash(f"note on {cell.id}")
    return made


def _settle(
    origin: NotebookNode | None, held: NotebookNode | None, new: NotebookNode, offered: bool
) -> list[NotebookNode]:
    """What stands in the place of the shipped cell `new`.

    origin: its form in the base; None where the course added it.
    held: its form in the learner's copy; None where the learner deleted it or the course added it.
    offered: whether a note in the copy shows a form of it.
    """
    changed = origin is not None and text(origin) != text(new)
    if held is None:
        return [new] if origin is None or changed else []
    untouched = origin is not None and text(held) in (text(origin), text(new))
    if untouched and origin != new:
        return [new]
    held.id = new.id  # with the outputs of the learner's own run
    if text(held) == text(new):
        return [held]
    return [held, note(new)] if changed or offered else [held]


def _take_notes(mine: list[NotebookNode], shipped: list[NotebookNode]) -> tuple[list[NotebookNode], set[str]]:
    """The copy without its notes, and the ids of the cells they are about. A note that was edited is the learner's."""
    known = {cell.id: note(cell).source for cell in shipped}
    rest, offered = [], set()
    for cell in mine:
        about = cell.metadata.pop("course_offer", None)
        if about in known and cell.source == known[about]:
            offered.add(about)
        else:
            rest.append(cell)
    return rest, offered


def _places(
    base: list[NotebookNode], mine: list[NotebookNode], new: list[NotebookNode], origins: dict[int, int]
) -> tuple[dict[int, int], set[int]]:
    """{index in mine: index in new}, and the indices in mine of unchanged cells that the course has taken out."""
    heirs = {ours: theirs for theirs, ours in origins.items()}  # index in base -> index in new
    known = pair_equal(base, mine)
    loose = [index for index in range(len(mine)) if index not in known.values()]
    added = [index for index in range(len(new)) if origins.get(index) not in known]
    equal = pair_equal([mine[index] for index in loose], [new[index] for index in added])
    places = {loose[ours]: added[theirs] for ours, theirs in equal.items()}  # the learner has it already
    rest = [index for index in range(len(mine)) if index not in places]
    gone = set()
    for ours, theirs in align(base, [mine[index] for index in rest]).items():
        if ours not in heirs and text(base[ours]) == text(mine[rest[theirs]]):
            gone.add(rest[theirs])
        elif ours in heirs and heirs[ours] not in places.values():
            places[rest[theirs]] = heirs[ours]
    return places, gone


def _followers(mine: list[NotebookNode], places: dict[int, int], gone: set[int]) -> dict[int, list[NotebookNode]]:
    """{index in new: the learner's own cells that stood behind that cell}; -1 for those at the beginning."""
    followers, here = defaultdict(list), -1
    for index, cell in enumerate(mine):
        if index in places:
            here = places[index]
        elif index not in gone:
            followers[here].append(cell)
    return followers


def _give_ids(cells: list[NotebookNode], used: set[str]) -> None:
    """A cell without an id, or with one that is used, gets one; the same one each time."""
    for cell in cells:
        while not cell.id or cell.id in used:
            cell.id = _hash(f"{cell.id} {cell.source}")
        used.add(cell.id)


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]
