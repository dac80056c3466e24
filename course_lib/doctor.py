"""`course doctor`: is this machine ready for the course, and if not, what to do about it."""

import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

LESSON_MIB = 700
"""What one lesson may use at its peak; tests/test_lessons.py holds the recorded peaks to it."""


class Finding(NamedTuple):
    """One line of the report."""

    ok: bool
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"OK   {self.what}" if self.ok else f"FIX  {self.what}\n     -> {self.remedy}"


def examine() -> Iterator[Finding]:
    """Python, packages, the torch and torchvision pair, device, memory, data: one finding each, cheapest first."""
    yield _python(sys.version_info[:3])
    yield from _packages()
    yield _torchvision()
    yield _device()
    yield _memory()
    yield _data()


def run() -> int:
    """Print every finding; return 1 if one needs fixing."""
    healthy = True
    for finding in examine():
        print(finding, flush=True)
        healthy = healthy and finding.ok
    return 0 if healthy else 1


def _python(version: tuple[int, ...]) -> Finding:
    name = ".".join(map(str, version))
    return Finding(
        version >= (3, 11), f"Python {name}", "install Python 3.11, 3.12 or 3.13, then: make lab PYTHON=python3.12"
    )


def requirements(text: str) -> dict[str, str]:
    """{package: pinned version} from the text of a requirements file."""
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    return dict(line.split("==") for line in lines if "==" in line)


def _packages() -> Iterator[Finding]:
    file = Path(__file__).resolve().parents[1] / "requirements.txt"
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
        yield Finding(same, f"{name} {found}", f"the course was checked with {pinned}: pip install {name}=={pinned}")


def _torchvision() -> Finding:
    from course_lib.compat import ensure_torchvision

    try:
        state = ensure_torchvision()
    except (ImportError, OSError, RuntimeError) as error:
        return Finding(
            False, f"torchvision does not import: {error}", "pip install --force-reinstall torch torchvision"
        )
    how = "matches torch" if state.matched else f"works without its compiled operators ({state.reason})"
    return Finding(True, f"torchvision {state.version} {how}")


def _device() -> Finding:
    from course_lib.training.device import pick_device

    runtime = pick_device("auto")
    return Finding(True, f"device {runtime.device}, {runtime.dtype}: {runtime.reason}")


def _memory() -> Finding:
    import psutil  # comes with ipykernel

    free = psutil.virtual_memory().available // 2**20
    remedy = "close other programs, and shut down finished kernels in JupyterLab (Kernel > Shut Down All Kernels)"
    return Finding(free >= LESSON_MIB, f"memory: {free} MiB free, a lesson needs at most {LESSON_MIB}", remedy)


def _data() -> Finding:
    from course_lib.data import catalogue

    try:
        names = [entry.file for entry in catalogue.table()]
        for name in names:
            catalogue.find(name)
    except (catalogue.DataFileError, FileNotFoundError) as error:
        return Finding(False, "a data file is missing or altered", str(error))
    return Finding(True, f"data: {len(names)} files have the recorded sha256")
