"""Records held against the image files that they name: below the folder, not behind a link out of it, and there."""

import os
from pathlib import Path
from typing import TypeVar

from course_lib.data.annotations import CollectionError, Offer
from course_lib.data.paths import below, check_links
from course_lib.data.records import Asked, Captioned

Record = TypeVar("Record", Captioned, Asked)


def image_path(images: Path, name: str, described_in: Path) -> Path:
    """Return `images / name`; CollectionError for a name that leads out of the folder, as a forged file may hold."""
    try:
        return below(images, name)
    except ValueError as error:
        raise CollectionError(f"{described_in}: {error}") from None


def with_images(
    records: list[Record], offer: Offer, *, described_in: Path, folder: Path, images: Path, leave_out: bool
) -> list[Record]:
    """Return the records whose image is there.

    folder: that of the learner. images: the one below it that all paths of the records are below, or a link to one
    elsewhere. leave_out: False refuses where an image is missing.
    CollectionError where there is no record, where an image is a link out of the folder, and where not a single one is
    there.
    """
    if not records:
        raise CollectionError(f"{described_in} or its list describes no image of this split; fetch the files again")
    there = _present([record.path for record in records], offer, described_in, (images, folder))
    missing = [record.path for record, present in zip(records, there, strict=True) if not present]
    if missing and not leave_out:
        raise CollectionError(
            f"{len(missing):,} of {len(records):,} records of {described_in.name} have no image, the first is "
            f"{missing[0]}. Fetch the images again, or pass leave_out_missing=True to work with those that are there"
        )
    return [record for record, present in zip(records, there, strict=True) if present]


def _present(paths: list[Path], offer: Offer, described_in: Path, within: tuple[Path, Path]) -> list[bool]:
    """Which image files exist. Each folder is listed once: to ask for 118,000 files one by one takes a minute."""
    present, links = {}, []
    for folder in {path.parent for path in paths}:
        entries = list(os.scandir(folder)) if folder.is_dir() else []
        present[folder] = {entry.name for entry in entries}
        links += [folder / entry.name for entry in entries if entry.is_symlink()]
        links += [folder] * (folder not in within)
    named = {*paths, *present}
    try:
        check_links([link for link in links if link in named], within=within)
    except ValueError as error:
        raise CollectionError(str(error)) from None
    there = [path.name in present[path.parent] for path in paths]
    if not any(there):
        deeper = next(paths[0].parent.glob(f"*/{paths[0].name}"), None)
        if deeper is not None:
            raise CollectionError(f"{paths[0]} is not there, but {deeper} is: move the images up one level")
        raise CollectionError(
            f"{described_in.name} describes {len(paths):,} images, and {paths[0].parent} holds none of them "
            f"(the first would be {paths[0].name}).\n{offer}"
        )
    return there
