"""Files derived from others, built once per user and kept: whole or absent, whoever builds them and however it ends."""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from course_lib.data.catalogue import DataFileError
from course_lib.data.paths import below


def cached(name: str, build: Callable[[Path], None], *, folder: Path | None = None) -> Path:
    """Return the path of a derived file, after `build(path)` has written it if it was not there.

    The name must say everything the content depends on, for example "voices-8khz-v1.npz": a file that exists is used.
    `build` gets a temporary path with the same suffix in the same folder, and the finished file is moved to its name
    in one step. So a reader sees the whole file or none, and two kernels that build at once both end with a whole one.

    folder: where to keep it; by default the user's cache folder, see `cache_folder`.
    """
    path = below(cache_folder() if folder is None else folder, name)
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    try:
        build(Path(temporary))
        if os.path.getsize(temporary) == 0:
            raise DataFileError(f"build wrote nothing for {name}: it must write to the path it is given, {temporary}")
        _publish(Path(temporary), path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path


def cache_folder() -> Path:
    """Return where this system keeps one user's derived files; they can be deleted at any time and are built again."""
    caches = {"win32": "AppData/Local", "darwin": "Library/Caches"}
    return Path.home() / caches.get(sys.platform, ".cache") / "every-answer-runs"


def _publish(temporary: Path, path: Path) -> None:
    """Move a finished file to its name in one step, after its bytes have reached the disk."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    try:
        os.replace(temporary, path)
    except PermissionError:  # Windows refuses while another kernel reads the file that it has just put there
        if not path.is_file():
            raise
