"""One run at a time in a directory: a lock that the system takes back when its process ends, however it ends.

The locked file says who holds it, for people; the lock itself is the system's, so a killed run leaves none behind. A
lock of `lockf` belongs to one process: workers that outlive a killed run do not keep it.
"""

import errno
import json
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO

NAME = "train.lock"
FAR = 2**30  # Windows locks a byte against reading too; this one is beyond the text
TAKEN = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_held: set[tuple[int, int, int]] = set()  # (process, device, file): a process gets its own lock as often as it asks


class RunDirectoryBusy(RuntimeError):
    """Another run trains in this directory."""


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Hold the directory, or raise RunDirectoryBusy with its holder's name; never waits. Needs to make a file there."""
    path = directory / NAME
    path.touch()
    found = path.stat()
    key = (os.getpid(), found.st_dev, found.st_ino)
    if key in _held:  # opening it would do harm: closing a file drops all locks that its process has on it
        raise RunDirectoryBusy(f"this process trains in {directory} already; use another run_dir")
    with path.open("r+", encoding="utf-8") as file:
        _lock(file, directory)
        _held.add(key)
        try:
            _write(file, json.dumps(_owner()))
            yield
        finally:
            _held.discard(key)
            with suppress(OSError):  # whoever reads the old name meets no lock
                _write(file, "")


def _lock(file: IO[str], directory: Path) -> None:
    try:
        _lock_by_system(file)
    except OSError as error:
        if error.errno in TAKEN:
            raise RunDirectoryBusy(_refusal(directory)) from None
        warnings.warn(f"{directory} is on a disk without locks ({error}): let no other run use it", stacklevel=2)


def _lock_by_system(file: IO[str]) -> None:
    if os.name == "nt":
        import msvcrt

        file.seek(FAR)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)
    else:
        import fcntl

        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _owner() -> dict:
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": since}


def _refusal(directory: Path) -> str:
    try:
        owner = json.loads((directory / NAME).read_text(encoding="utf-8"))
        name = f" (pid {owner['pid']} on {owner['host']}, since {owner['since']})"
    except (OSError, ValueError, TypeError, KeyError):  # it is about to write its name, or to end
        name = ""
    return f"another process trains in {directory}{name}; wait until it has ended, or use another run_dir"


def _write(file: IO[str], text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()
