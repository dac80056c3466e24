"""Names that somebody else wrote, in an archive or an annotation file, may only mean what lies below one folder.

A downloaded file can hold `../../.ssh/id_rsa` as the name of a picture, or a link that leads there. Both are refused
before anything is opened, by the rules of every system: a name that is harmless on Linux may name a drive on Windows.
"""

import re
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath


def stays_below(name: str) -> bool:
    r"""Whether a name leads to something below its folder: not absolute, no `..`, no drive, not the folder itself.

    >>> [stays_below(name) for name in ("a/b.jpg", "../b.jpg", "/b.jpg", r"C:\b.jpg", ".", "")]
    [True, False, False, False, False, False]
    """
    parts = [part for part in re.split(r"[/\\]", name) if part not in ("", ".")]
    rooted = name.startswith(("/", "\\")) or PureWindowsPath(name).drive != ""
    return bool(parts) and ".." not in parts and not rooted and "\0" not in name


def below(folder: Path, name: str) -> Path:
    """Return `folder / name`; ValueError where the name leads out of the folder. Opens nothing, follows no link."""
    if not stays_below(name):
        raise ValueError(f"the name {name!r} does not lead to a file below {folder}; fetch the original file")
    return folder / name


def check_links(links: Sequence[Path], *, within: Sequence[Path]) -> None:
    """ValueError for the first of these symbolic links that ends outside all of the folders `within`.

    The folders themselves may be links: where learners keep large data is their choice.
    """
    roots = [folder.resolve() for folder in within]
    for link in links:
        target = link.resolve()
        if not any(target.is_relative_to(root) for root in roots):
            raise ValueError(f"{link} is a link out of {within[-1]}, to {target}; put the file itself there")
