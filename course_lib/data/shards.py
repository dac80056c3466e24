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

Example = dict[str, bytes]
Item = TypeVar("Item")
_NAME = re.compile(r"((?:.*/)?[^/.]+)\.([^/]+)")
"""Folders and name up to the first dot, then the ending: a dot in a folder, as in `./000017.png`, is not that dot."""


def write_shards(folder: str | Path, examples: Iterable[Example], *, per_shard: int) -> list[Path]:
    """Write examples, `per_shard` to a file, as `shard-000000.tar`, ...; return the files in order.

    An example is {ending: bytes}, for example {"png": ..., "txt": ...}. The same examples give the same bytes: entries
    carry no time and no owner. Raises FileExistsError where the folder holds shards already: they would be read, too.
    """
    if per_shard < 1:
        raise ValueError(f"per_shard {per_shard} is too small; a shard holds at least 1 example")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.glob("shard-*.tar")):
        raise FileExistsError(f"{folder} already holds shards; write to an empty folder")
    stream, number, files = iter(examples), 0, []
    while chunk := list(islice(stream, per_shard)):
        if not all(chunk):
            raise ValueError(f"example {number + chunk.index({})} is empty; give each at least one {{ending: bytes}}")
        files.append(folder / f"shard-{len(files):06d}.tar")
        with tarfile.open(files[-1], "w") as archive:
            for example in chunk:
                for ending, content in example.items():
                    entry = tarfile.TarInfo(f"{number:06d}.{ending}")
                    entry.size = len(content)
                    archive.addfile(entry, io.BytesIO(content))
                number += 1
    return files


def read_shard(path: Path) -> Iterator[Example]:
    """Yield the examples of one file in order, reading it once from front to back.

    A shard that ends early is refused with its name; a torn example is never returned as a whole one. So are files of
    one example that do not stand together, and what is no file with a name and an ending; folders are passed over.
    """
    with path.open("rb") as file:  # a tar ends in 1,024 zero bytes; tarfile itself takes a file without them for whole
        file.seek(max(0, path.stat().st_size - 1024))
        if file.read() != bytes(1024):
            raise ValueError(f"{path} is cut off or no tar file: its end mark is missing; copy it again")
    name, example, done = None, {}, set()
    try:
        with tarfile.open(path, "r|") as archive:
            for entry in archive:
                if entry.isdir():
                    continue
                stem, ending = _stem_and_ending(entry, path)
                if stem != name and example:
                    yield example
                    done.add(name)
                    example = {}
                if stem in done or ending in example:
                    raise ValueError(f"{path}: {entry.name} comes twice or apart; pack with `tar --sort=name`")
                name, example[ending] = stem, archive.extractfile(entry).read()
    except tarfile.ReadError as error:
        raise ValueError(f"{path} cannot be read as a tar file ({error}); copy it again") from None
    if example:
        yield example


def _stem_and_ending(entry: tarfile.TarInfo, path: Path) -> tuple[str, str]:
    found = _NAME.fullmatch(entry.name)
    if found is None or not entry.isfile():
        raise ValueError(f"{path} holds {entry.name}, which is no file such as 000017.png; pack the examples alone")
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
