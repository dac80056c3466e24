"""Data as a row of tar files that are read from front to back: how collections too large for a disk are trained on.

The files of one example stand next to each other and share their name up to the first dot: `000017.png`, `000017.txt`.
That is the convention of WebDataset (https://webdataset.github.io/webdataset), read here without the library. A pair
cannot be torn: both halves travel in one example.
"""

import io
import random
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from course_lib.data.paths import stays_below
from course_lib.data.shard_index import Member, compare, index_of, read_index, write_index
from course_lib.data.tar_files import read_files

Example = dict[str, bytes]
Item = TypeVar("Item")
_NAME = re.compile(r"((?:.*/)?[^/.]+)\.([^/]+)")
"""Folders and name up to the first dot, then the ending: a dot in a folder, as in `./000017.png`, is not that dot."""


def write_shards(folder: str | Path, examples: Iterable[Example], *, per_shard: int) -> list[Path]:
    """Write examples, `per_shard` to a file, as `shard-000000.tar`, ...; return the files in order.

    An example is {ending: bytes}, for example {"png": ..., "txt": ...}. The same examples give the same bytes: entries
    carry no time and no owner. Beside each shard lies its index, `shard-000000.index.json`, with the sha256 of every
    file. Raises FileExistsError where the folder holds shards already: they would be read, too.
    """
    if per_shard < 1:
        raise ValueError(f"per_shard {per_shard} is too small; a shard holds at least 1 example")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.glob("shard-*.tar")):
        raise FileExistsError(f"{folder} already holds shards; write to an empty folder")
    stream, number, files = iter(examples), 0, []
    while chunk := list(islice(stream, per_shard)):
        named = [file for place, example in enumerate(chunk, start=number) for file in _named(example, place)]
        files.append(folder / f"shard-{len(files):06d}.tar")
        _write_shard(files[-1], named)
        number += len(chunk)
    return files


def _named(example: Example, number: int) -> list[tuple[str, bytes]]:
    """The files of one example, by name; refuses what could not be read back."""
    if len(example) == 0:
        raise ValueError(f"example {number} is empty; give each at least one {{ending: bytes}}")
    for ending, content in example.items():
        if not isinstance(content, bytes):
            came = type(content).__name__
            raise TypeError(f"example {number} has a {came} as {ending!r}, not bytes; encode it, as in text.encode()")
        if _NAME.fullmatch(f"0.{ending}") is None or not stays_below(ending):
            raise ValueError(f"example {number} has the ending {ending!r}; give one without a slash, such as 'png'")
    return [(f"{number:06d}.{ending}", content) for ending, content in example.items()]


def _write_shard(path: Path, named: list[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in named:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    write_index(path, [Member.of(name, content) for name, content in named])


def read_shard(path: Path, *, need_index: bool = False) -> Iterator[Example]:
    """Yield the examples of one file in order, reading it once from front to back.

    A torn, altered or lengthened example is never returned: with an index beside the shard every file is compared
    before its example goes out. Without one, as in shards of other tools, all that a tar file shows is checked (see
    `tar_files`): headers, sizes, names, the end mark. Only a byte changed inside a file stays unseen then.
    Files of one example that do not stand together are refused, and what is no file with a name and an ending.

    need_index: True refuses a shard whose index is missing.
    Raises ValueError with the name of the shard, and FileNotFoundError.
    """
    members, files = read_index(path), read_files(path)
    if members is not None:
        files = compare(files, members, path)
    elif need_index:
        raise ValueError(f"{index_of(path)} is missing; copy it beside {path.name}, or read with need_index=False")
    name, example, done = None, {}, set()
    for file, content in files:
        stem, ending = _stem_and_ending(file, path)
        if stem != name and example:
            yield example
            done.add(name)
            example = {}
        if stem in done or ending in example:
            raise ValueError(f"{path}: {file} comes twice or apart; pack with `tar --sort=name`")
        name, example[ending] = stem, content
    if example:
        yield example


def _stem_and_ending(file: str, path: Path) -> tuple[str, str]:
    found = _NAME.fullmatch(file)
    if found is None:
        raise ValueError(f"{path} holds {file}, which is no file such as 000017.png; pack the examples alone")
    return found[1], found[2]


def own_share(shards: Sequence[Item], *, rank: int, processes: int, worker: int, workers: int) -> list[Item]:
    """Return the shards that one loading worker of one training process reads: every shard has exactly one reader.

    Without this every worker reads everything, and an epoch serves each example processes * workers times.
    """
    readers = processes * workers
    if not (0 <= rank < processes and 0 <= worker < workers):
        raise ValueError(f"rank {rank} of {processes}, worker {worker} of {workers}: both count from 0")
    if len(shards) < readers:
        raise ValueError(
            f"{len(shards)} shards for {readers} readers leave some without data; write more, smaller shards "
            f"or use fewer workers"
        )
    return list(shards[rank * workers + worker :: readers])


def shuffled(stream: Iterable[Item], *, buffer: int, seed: int) -> Iterator[Item]:
    """Yield a stream in random order with `buffer` examples in memory; no example is lost or doubled.

    Each place in the buffer is equally likely to go next and is refilled from the stream. No example comes more than
    `buffer` - 1 places early, so a small buffer hardly mixes sorted data: shuffle the list of shards as well.
    """
    if buffer < 1:
        raise ValueError(f"buffer {buffer} is too small; 1 keeps the order of the stream")
    rng, stream = random.Random(seed), iter(stream)
    held = list(islice(stream, buffer))
    for coming in stream:
        place = rng.randrange(len(held))
        yield held[place]
        held[place] = coming
    rng.shuffle(held)
    yield from held
