"""The files of a tar archive from front to back, every byte accounted for.

Python's tarfile stops without a word where a header is damaged, reads on past an archive put together with `cat`, and
fills a sparse file of 10 kB up to the 6 GB that it claims. Here an archive ends at its end mark or is refused, and no
file is larger than what is stored of it.
"""

import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

from course_lib.data.paths import stays_below

MOST_FILES = 200_000
"""In one archive: tarfile keeps about 500 bytes of each, so these are 100 MB. Usual shards hold a tenth of that."""
END_MARK = bytes(1024)
_BLOCK = 512
_DAMAGE = (tarfile.TarError, ValueError, OverflowError, RecursionError, EOFError)  # all that tarfile raises for damage
Value = TypeVar("Value")


def read_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file; folders are passed over.

    ValueError, with the name of the archive and the place, for: an archive that is cut off or goes on after its end
    mark, a damaged header, a file larger than what is stored of it, a link, a device, a name that leads out of the
    folder, more than MOST_FILES files. Contents carry no checksum in a tar file; see `shard_index`.
    """
    bytes_stored = path.stat().st_size
    with _Stored(io.FileIO(path)) as file:
        file.seek(max(0, bytes_stored - len(END_MARK)))
        if file.read() != END_MARK:  # tarfile itself takes a file without it for whole
            raise ValueError(f"{path} is cut off or no tar file: its end mark is missing; copy it again")
        file.seek(0)
        archive = _told(lambda: tarfile.TarFile(fileobj=file), path)
        end, last = 0, "its start"
        for number, entry in enumerate(iter(lambda: _told(archive.next, path), None), start=1):
            _check_entry(entry, path, bytes_stored, number)
            if entry.isreg():
                yield entry.name, _told(archive.extractfile(entry).read, path)
                end = entry.offset_data + -(-entry.size // _BLOCK) * _BLOCK  # contents are filled up to whole blocks
            else:
                end = entry.offset_data
            last = repr(entry.name)
        _check_end(file, end, path, last)


class _Stored(io.BufferedReader):
    """A file that reserves no more memory than it holds, whatever size a damaged header makes tarfile ask for."""

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, os.fstat(self.fileno()).st_size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


def _told(action: Callable[[], Value], path: Path) -> Value:
    try:
        return action()
    except _DAMAGE as error:
        raise ValueError(f"{path} cannot be read as a tar file ({error}); copy it again") from None


def _check_entry(entry: tarfile.TarInfo, path: Path, bytes_stored: int, number: int) -> None:
    if number > MOST_FILES:
        raise ValueError(f"{path} holds more than {MOST_FILES:,} files; write smaller shards")
    if entry.issparse() or not 0 <= entry.size <= bytes_stored - entry.offset_data:
        raise ValueError(
            f"{path}: {entry.name!r} claims {entry.size:,} bytes, more than the archive stores of it; "
            "copy it again, or pack it without --sparse"
        )
    if not (entry.isreg() or entry.isdir()):
        raise ValueError(f"{path} holds {entry.name!r}, a link or a device; pack the files themselves (tar -h)")
    if not stays_below(entry.name) and not (entry.isdir() and entry.name in (".", "")):
        raise ValueError(f"{path} holds {entry.name!r}, a name that leads out of the archive; pack it with plain names")


def _check_end(file: BinaryIO, end: int, path: Path, last: str) -> None:
    """Nothing but zeros, at least an end mark of them, from the end of the last file to the end of the archive."""
    file.seek(end)
    if file.read(len(END_MARK)) != END_MARK:
        raise ValueError(
            f"{path} is damaged at byte {end:,}, after {last}: no header stands there and no end mark; copy it again"
        )
    while part := file.read(2**20):
        if part.count(0) != len(part):
            raise ValueError(
                f"{path} goes on after its end mark at byte {end:,}; copy it again, or put archives together with "
                "`tar --concatenate` instead of `cat`"
            )
