"""Which cell of one version of a notebook is which cell of another.

The id of a shipped cell is a hash of its text, so a cell whose text was changed by the course has a new id, while a
cell that a learner changed keeps it (in JupyterLab; other programs give new ids). So cells are paired by id, then by
equal text, then by the exercise that they check, and what is left by likeness of text, the most alike first. Position
decides between equals only: a cell may have moved.
"""

import re
from collections.abc import Callable, Hashable, Iterable
from difflib import SequenceMatcher

from nbformat import NotebookNode

LIKE = 0.6
"""Share of words in common, in order, from which two texts are taken for versions of one cell."""


def align(old: list[NotebookNode], new: list[NotebookNode]) -> dict[int, int]:
    """{index in `old`: index in `new`} of the cells that are the same one; each index stands there at most once."""
    pairs = pair_equal(old, new)
    _pair(old, new, pairs, _exercise)
    _pair_alike(old, new, pairs)
    return pairs


def pair_equal(old: list[NotebookNode], new: list[NotebookNode]) -> dict[int, int]:
    """Like `align`, for cells with the same id or the same text only."""
    pairs: dict[int, int] = {}
    _pair(old, new, pairs, lambda cell: cell.id or None)
    _pair(old, new, pairs, text)
    return pairs


def text(cell: NotebookNode) -> tuple[str, str]:
    """What a cell says: its type and its source."""
    return cell.cell_type, cell.source


def _exercise(cell: NotebookNode) -> Hashable | None:
    """The exercise whose answer the cell checks; the worked solution checks it too and is another cell."""
    checked = re.search(r"^check\((\w+\.\w+)", cell.source, re.MULTILINE)
    return (checked[1], "solution" in cell.metadata.get("tags", [])) if checked else None


def _pair(old: list, new: list, pairs: dict[int, int], key: Callable[[NotebookNode], Hashable | None]) -> None:
    """Pair what is left by equal keys, in order; a key of None fits nothing."""
    waiting: dict[Hashable, list[int]] = {}
    for index in _left(new, pairs.values()):
        waiting.setdefault(key(new[index]), []).append(index)
    for index in _left(old, pairs):
        name = key(old[index])
        if name is not None and waiting.get(name):
            pairs[index] = waiting[name].pop(0)


def _left(cells: list, taken: Iterable[int]) -> list[int]:
    return sorted(set(range(len(cells))) - set(taken))


def _pair_alike(old: list, new: list, pairs: dict[int, int]) -> None:
    words = {id(cell): re.findall(r"\w+|[^\w\s]", cell.source) for cell in (*old, *new)}
    found = []
    for theirs in _left(new, pairs.values()):
        matcher = SequenceMatcher(None, autojunk=False)
        matcher.set_seq2(words[id(new[theirs])])  # prepared once, compared with many
        for ours in _left(old, pairs):
            if old[ours].cell_type != new[theirs].cell_type or _other_exercise(old[ours], new[theirs]):
                continue
            matcher.set_seq1(words[id(old[ours])])
            if matcher.real_quick_ratio() >= LIKE and matcher.quick_ratio() >= LIKE and matcher.ratio() >= LIKE:
                found.append((-matcher.ratio(), abs(ours - theirs), ours, theirs))
    for _, _, ours, theirs in sorted(found):
        if ours not in pairs and theirs not in pairs.values():
            pairs[ours] = theirs


def _other_exercise(one: NotebookNode, other: NotebookNode) -> bool:
    """Stubs of two exercises are alike in words, and are never one cell."""
    return None not in (_exercise(one), _exercise(other)) and _exercise(one) != _exercise(other)
