"""Where the parts of a published collection lie on a learner's disk, and what to do where one does not.

Nothing here opens a connection. `collections` and `flickr` say which collections there are, `annotation_text` reads
their files, `collection_images` holds what these describe against the images that are there.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class CollectionError(Exception):
    """A folder does not hold what the collection publishes; the message says what came, what fits and what to do."""


@dataclass(frozen=True)
class Offer:
    """What somebody has to fetch to use a collection, and under which terms.

    name: of the collection. page: the official page. licence: terms of annotations and images. files: what to fetch,
    with sizes as the publisher gives them. layout: where it belongs below the folder that is handed to the loader.
    """

    name: str
    page: str
    licence: str
    files: str
    layout: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.name} is not part of this course and is never downloaded by it.", f"  page:    {self.page}"]
        lines += [f"  fetch:   {self.files}", f"  licence: {self.licence}", "  unpack into FOLDER so that there are"]
        return "\n".join([*lines, *(f"    FOLDER/{line}" for line in self.layout)])


def find(folder: Path, name: str, offer: Offer) -> Path:
    """Return `folder/name`; CollectionError that tells a wrong level from a missing download and from an archive.

    name: a file where it has an ending, else a folder.
    """
    path, kinds = folder / name, ("folder", "file")
    if path.exists():
        wanted, came = kinds[Path(name).suffix != ""], kinds[path.is_file()]
        if wanted != came:
            raise CollectionError(f"{path} is a {came} and should be a {wanted}; unpack the archive again")
        return path
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise CollectionError(f"the folder {folder} {what}.\n{offer}")
    last = Path(name).name
    above = [up for up in folder.resolve().parents[:2] if (up / name).exists()]
    below = [hit for depth in ("*/", "*/*/") for hit in folder.glob(depth + name)]
    inside = [hit for depth in ("", "*/", "*/*/") for hit in folder.glob(depth + last)]
    # Where another part lies in its place the level is right; to name a folder deeper would lose that part.
    level = any((folder / re.split("[/, ]", line)[0]).exists() for line in offer.layout)
    if above or (below and not level):
        right = above[0] if above else Path(str(below[0])[: -len(name) - 1])
        raise CollectionError(
            f"{path} is not there, but {right / name} is: name the folder {right} instead of {folder}"
        )
    if below or inside:
        raise CollectionError(f"{path} is not there, but {(below + inside)[0]} is: move it to {path}")
    packed = sorted(each.name for each in folder.iterdir() if each.suffix in (".zip", ".tar", ".gz", ".tgz"))
    unpack = f" yet; unpack {', '.join(packed)} first" if packed else ""
    raise CollectionError(f"{folder} holds no {name}{unpack}.\n{offer}")


def known(name: str, value: str, allowed: Sequence[str]) -> None:
    """Refuse a split that is not published with captions or answers."""
    if value not in allowed:
        raise ValueError(f"{name} {value!r} is not published with captions or answers; try one of {', '.join(allowed)}")
