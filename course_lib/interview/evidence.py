"""Evidence: what an answer rests on, a claim that some lesson prints or a primary source, and where it is found.

Lessons are read as text (notebooks/src/NN_*.py and course_lib/exercises/lesson_NN), so looking up a reference runs
no lesson and imports no model. References into a lesson whose file is not written yet are allowed, and marked planned.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from course_lib.lesson.cell import cell_id

CLAIM = re.compile(r"C(\d\d)\.\d+[a-z]?")
EXERCISE = re.compile(r"(\d\d)\.\d+ \w+")
_CELL = re.compile(r"^# %%.*\n", re.MULTILINE)
_CLAIM_CALL = re.compile(r"""\bclaim\(\s*["'](C\d\d\.\d+[a-z]?)["']""")
_HEADING = re.compile(r"(?:# )?#{2,5} (\d+\.\d+(?: .*)?)")  # a Markdown cell is a string or a block of comments
_EXERCISE_ID = re.compile(r"""\bid\s*=\s*["'](\d\d\.\d+ \w+)["']""")
_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
_DOI = re.compile(r"doi:(10\.\d{4,9}/\S+)")
_PAGE = re.compile(r"\S.* <(https://\S+)>")


class Place(NamedTuple):
    """Where a claim stands in its lesson."""

    section: str
    """The numbered heading above it, "7.9 Evidence"; empty before the first one."""
    cell: str
    """Id of its cell in the built notebook."""


@dataclass(frozen=True)
class Targets:
    """What the files of one lesson offer to refer to; None where the file is not written yet."""

    notebook: str | None = None
    """File name of the built notebook, "07_fusing_modalities.ipynb"."""
    claims: dict[str, "Place"] | None = None
    """Claim id to where it stands."""
    sections: tuple[str, ...] = ()
    """Every numbered heading, "7.9 Evidence", in order."""
    exercises: frozenset[str] | None = None
    """Exercise ids, "07.1 fuse"."""


NOT_WRITTEN = Targets()


@dataclass(frozen=True)
class Evidence:
    """One reference, resolved."""

    ref: str
    """As written in the bank: "C07.2", "arXiv:1702.01992", "doi:10.1109/...", "Title <https://...>"."""
    url: str | None = None
    """Where it is; for a claim the notebook and its cell, "07_x.ipynb#cell-id=1a2b3c4d"; None while it is planned."""
    section: str = ""
    """Heading over the claim's cell; empty for a source and for a planned claim."""
    planned: bool = False
    """True for a claim of a lesson that is not written yet."""

    @property
    def is_claim(self) -> bool:
        """Whether a cell of this course shows it, and not a paper."""
        return CLAIM.fullmatch(self.ref) is not None


def scan_targets(root: Path) -> dict[str, Targets]:
    """Read every lesson source and exercise module under the repository `root`; the keys are "00", "01", ..."""
    sources = {path.name[:2]: path for path in sorted((root / "notebooks" / "src").glob("[0-9][0-9]_*.py"))}
    modules = _exercise_files(root / "course_lib" / "exercises")
    return {number: _scan(sources.get(number), modules.get(number)) for number in sorted({*sources, *modules})}


def _exercise_files(folder: Path) -> dict[str, list[Path]]:
    """Files of each lesson's exercises: lesson_NN.py, or those in lesson_NN/."""
    found = {}
    for path in sorted([*folder.glob("lesson_[0-9][0-9].py"), *folder.glob("lesson_[0-9][0-9]/*.py")]):
        name = path.stem if path.parent == folder else path.parent.name
        found.setdefault(name[-2:], []).append(path)
    return found


def find_evidence(ref: str, targets: dict[str, Targets]) -> Evidence:
    """Resolve one reference.

    ValueError when it has none of the four forms; LookupError when it names a claim that its lesson does not make.
    """
    if match := CLAIM.fullmatch(ref):
        return _find_claim(ref, targets.get(match[1], NOT_WRITTEN))
    for pattern, address in ((_ARXIV, "https://arxiv.org/abs/"), (_DOI, "https://doi.org/"), (_PAGE, "")):
        if match := pattern.fullmatch(ref):
            return Evidence(ref, url=address + match[1])
    raise ValueError(
        f"evidence {ref!r} has no known form; write a claim (C07.2), an arXiv id (arXiv:1702.01992), a DOI (doi:10.…) "
        "or a page (Title <https://…>)"
    )


def exercise_is_planned(exercise: str, targets: dict[str, Targets]) -> bool:
    """Whether the exercise's lesson is not written yet; ValueError for a wrong form, LookupError for a wrong name."""
    match = EXERCISE.fullmatch(exercise)
    if match is None:
        raise ValueError(f"exercise {exercise!r} is not an id; write lesson, number and name like '07.1 fuse', or null")
    known = targets.get(match[1], NOT_WRITTEN).exercises
    if known is not None and exercise not in known:
        module = f"course_lib/exercises/lesson_{match[1]}"
        raise LookupError(f"exercise {exercise!r} is not in {module}; there is {_listing(known)}")
    return known is None


def _find_claim(ref: str, lesson: Targets) -> Evidence:
    if lesson.claims is None:
        return Evidence(ref, planned=True)
    if ref not in lesson.claims:
        raise LookupError(
            f"claim {ref} is in no cell of {lesson.notebook}; that lesson claims {_listing(lesson.claims)}"
        )
    section, cell = lesson.claims[ref]
    return Evidence(ref, url=f"{lesson.notebook}#cell-id={cell}", section=section)


def _scan(source: Path | None, modules: list[Path] | None) -> Targets:
    texts = [path.read_text(encoding="utf-8") for path in modules or ()]
    exercises = None if modules is None else frozenset(_EXERCISE_ID.findall("\n".join(texts)))
    if source is None:
        return Targets(exercises=exercises)
    claims, sections = {}, [""]
    for cell in _CELL.split(source.read_text(encoding="utf-8"))[1:]:
        for match in re.finditer(rf"^{_HEADING.pattern}$|{_CLAIM_CALL.pattern}", cell, re.MULTILINE):
            heading, claim = match.groups()
            if heading is not None:
                sections.append(re.sub(r"[`*]", "", heading).strip())
            else:
                claims.setdefault(claim, Place(sections[-1], cell_id(cell)))
    return Targets(f"{source.stem}.ipynb", claims, tuple(sections[1:]), exercises)


def _listing(ids: object) -> str:
    return ", ".join(sorted(ids)) or "none"
