"""`course doctor`: is this machine ready for the course, and if not, what to do about it.

Nothing is imported but torch, whose import is the check: that alone takes longer than all the rest.
"""

import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
LESSON_MIB = 700
"""What one lesson may use at its peak; tests/test_lessons.py holds the recorded peaks to it."""
_REINSTALL = "pip install --force-reinstall torch torchvision"


class Finding(NamedTuple):
    """One line of the report, and a second one where there is something to do or to know."""

    ok: bool
    what: str
    remedy: str = ""
    """What to do. Of something that is in order: what to know about it, and the line is then a NOTE."""

    def __str__(self) -> str:
        mark = "FIX " if not self.ok else "NOTE" if self.remedy else "OK  "
        return f"{mark} {self.what}" + (f"\n     -> {self.remedy}" if self.remedy else "")


def examine() -> Iterator[Finding]:
    """Python, packages, torch and its device, torchvision, memory, data, reviews. A check that breaks is a finding."""
    checks = {
        "Python": _python,
        "the packages": _packages,
        "torch": _torch,
        "torchvision": _torchvision,
        "memory": _memory,
        "the data": _data,
        "the reviews": _reviews,
    }
    for name, check in checks.items():
        try:
            yield from check()
        except Exception as error:  # whatever is broken, the others are still to be looked at
            yield Finding(
                False,
                f"{name} could not be checked: {type(error).__name__}: {error}",
                "set the course up anew: make clean, then make lab",
            )


def run() -> int:
    """Print every finding; return 1 if one needs fixing."""
    healthy, encoding = True, sys.stdout.encoding or "utf-8"
    for finding in examine():
        text = str(finding).encode(encoding, "backslashreplace").decode(encoding)  # paths hold any letter
        print(text, flush=True)
        healthy = healthy and finding.ok
    return 0 if healthy else 1


def _python() -> Iterator[Finding]:
    ok = sys.version_info >= (3, 11)
    name = ".".join(map(str, sys.version_info[:3]))
    yield Finding(
        ok, f"Python {name}", "" if ok else "install Python 3.11, 3.12 or 3.13, then: make lab PYTHON=python3.12"
    )


def requirements(text: str) -> dict[str, str]:
    """{package: pinned version} from the text of a requirements file."""
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    return dict(line.split("==") for line in lines if "==" in line)


def _packages() -> Iterator[Finding]:
    file = ROOT / "requirements.txt"
    if not file.exists():
        remedy = "clone the repository and run: pip install -e ."
        yield Finding(
            False, "requirements.txt is not beside course_lib: the package was installed without its data", remedy
        )
        return
    for name, pinned in requirements(file.read_text(encoding="utf-8")).items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Finding(False, f"{name} is missing", "pip install -r requirements.txt")
            continue
        same = found.split("+")[0] == pinned  # 2.13.0+cpu is 2.13.0
        remedy = "" if same else f"the course was checked with {pinned}: pip install {name}=={pinned}"
        yield Finding(same, f"{name} {found}", remedy)


def _torch() -> Iterator[Finding]:
    try:
        from course_lib.training.device import pick_device
    except (ImportError, OSError) as error:
        yield Finding(False, f"torch does not import: {error}", _REINSTALL)
        return
    runtime = pick_device("auto")
    yield Finding(True, f"device {runtime.device}, {runtime.dtype}: {runtime.reason}")


def _torchvision() -> Iterator[Finding]:
    """Whether the pair fits: by the pin of torchvision's own metadata, and by running one of its compiled operators.

    To import torchvision takes longer than torch, so only a pair that does not fit on paper is tried in full.
    """
    from course_lib.compat import ensure_torchvision, try_operators

    try:
        version, torch = metadata.version("torchvision"), metadata.version("torch").split("+")[0]
    except metadata.PackageNotFoundError:
        return  # named among the packages
    wanted = {need.replace(" ", "") for need in metadata.requires("torchvision") or ()}
    try:
        if wanted.isdisjoint({f"torch=={torch}", f"torch(=={torch})"}):
            reason = ensure_torchvision().reason
            yield Finding(True, f"torchvision {version} was made for another torch than {torch}", reason)
        else:
            trouble = try_operators()
            how = "matches torch" if trouble is None else f"works without its compiled operators ({trouble})"
            yield Finding(True, f"torchvision {version} {how}")
    except (ImportError, OSError, RuntimeError) as error:
        yield Finding(False, f"torchvision {version} does not import beside torch {torch}: {error}", _REINSTALL)


def _memory() -> Iterator[Finding]:
    import psutil  # comes with ipykernel

    free = psutil.virtual_memory().available // 2**20
    remedy = "close other programs, and shut down finished kernels in JupyterLab (Kernel > Shut Down All Kernels)"
    ok = free >= LESSON_MIB
    yield Finding(ok, f"memory: {free} MiB free, a lesson needs at most {LESSON_MIB}", "" if ok else remedy)


def _data(root: Path = ROOT) -> Iterator[Finding]:
    from course_lib.data import catalogue

    folder = root / "datasets"
    try:
        entries = catalogue.table(folder)
    except catalogue.DataFileError as error:
        what, _, remedy = str(error).partition(": ")
        yield Finding(False, what, remedy)
        return
    found = {entry: catalogue.damage(entry, folder) for entry in entries}
    broken = [(entry.file, what, entry.restore) for entry, what in found.items() if what is not None]
    if (what := catalogue.table_damage(folder)) is not None:  # or what it is rendered from
        both = f"git checkout -- datasets/{catalogue.CATALOGUE} datasets/{catalogue.TABLE}"
        broken.append((f"{catalogue.TABLE}, rendered from {catalogue.CATALOGUE},", what, both))
    yield from (Finding(False, f"datasets/{file} is {what}", restore) for file, what, restore in broken)
    if not broken:
        hashed = sum(entry.sha256 is not None for entry in entries)
        yield Finding(True, f"data: {hashed} files have the recorded sha256, {len(entries) - hashed} texts are whole")
    whole = {entry.file for entry, what in found.items() if entry.sha256 is None and what is None}
    if edited := _edited(root, whole):
        listed = ", ".join(f"datasets/{name}" for name in edited)
        yield Finding(
            True, f"whole, but not as in the last commit: {listed}", "git diff -- datasets shows the difference"
        )


def _edited(root: Path, texts: set[str]) -> list[str]:
    """Those of the texts that differ from the last commit; none where there is no git or no clone to ask."""
    command = ["git", "-C", str(root), "diff", "--name-only", "-z", "--relative=datasets", "HEAD", "--", "datasets"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return sorted(texts & set(ended.stdout.split("\0")))


def _reviews() -> Iterator[Finding]:
    from course_lib.learner.store import damaged_files

    for aside in damaged_files():
        yield Finding(
            True,
            f"a damaged review file of {aside.at:%d %B %Y} was set aside: {aside.path}",
            "what could be read is in the present file; this one may be deleted, nothing reads it",
        )
