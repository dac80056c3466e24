"""What a shard should hold, file by file: `shard-000000.index.json` beside `shard-000000.tar`.

A tar file guards its headers with a sum and its contents with nothing: a bit that flips in a picture stays unseen. So
the index lists name, size in bytes and sha256 of every file in order. It lies outside the archive, because inside it
would be one more example to every other reader of WebDataset's convention.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FORMAT = "shard index 1"


class Member(NamedTuple):
    """One file of a shard, as it was written."""

    name: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, name: str, content: bytes) -> "Member":
        """What the index says of a file with this content."""
        return cls(name, len(content), hashlib.sha256(content).hexdigest())


def index_of(shard: Path) -> Path:
    """Return where the index of a shard lies, whether it is there or not."""
    return shard.with_suffix(".index.json")


def write_index(shard: Path, members: list[Member]) -> None:
    """Write the index of a shard, a line per file."""
    lines = ",\n".join(json.dumps(member, ensure_ascii=False) for member in members)
    text = f'{{"format": "{FORMAT}", "files": [\n{lines}\n]}}\n'
    index_of(shard).write_text(text, encoding="utf-8", newline="\n")


def read_index(shard: Path) -> list[Member] | None:
    """Return the list of a shard, None where no index lies beside it; ValueError where the index is damaged."""
    path = index_of(shard)
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_bytes().decode("utf-8"))
        known = found["format"] == FORMAT
        members = [Member(*row) for row in found["files"]]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is damaged ({error!r:.80}); copy it again, together with {shard.name}") from None
    if not known:
        raise ValueError(f"{path} has the format {found['format']!r}, known here is {FORMAT!r}; write the shards anew")
    return members


def compare(files: Iterator[tuple[str, bytes]], members: list[Member], shard: Path) -> Iterator[tuple[str, bytes]]:
    """Pass files on as long as each is what the index says at its place; ValueError for the first that is not."""
    expected = iter(members)
    for name, content in files:
        found, written = Member.of(name, content), next(expected, None)
        if written is None:
            raise ValueError(f"{shard} holds {name!r}, which its index does not list; copy both again")
        if found != written:
            fields = [
                f"{key} {getattr(written, key)}"
                for key in Member._fields
                if found._asdict()[key] != getattr(written, key)
            ]
            raise ValueError(f"{shard}: {name!r} is not what was written ({', '.join(fields)}); copy it again")
        yield name, content
    missing = next(expected, None)
    if missing is not None:
        raise ValueError(f"{shard} ends before {missing.name!r}, which its index lists; copy it again")
