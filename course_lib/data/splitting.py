"""Split by group, so that no image, speaker or source video stands on both sides.

The unit of a split is whatever two rows may share: five captions of one photograph, ten questions about it, its
re-saved copies. Rows of one group go to one side together.
"""

import hashlib
from collections.abc import Hashable, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from course_lib import refuse


@refuse.misfit
def split_by_group(
    groups: Sequence[Hashable] | Tensor, shares: Sequence[float], *, seed: int
) -> list[Int[Tensor, " _"]]:
    """Return the row numbers of each part; every row is in exactly one part, every group too.

    groups: one name per row, strings or numbers. shares: parts of the whole that add up to 1, such as (0.8, 0.1, 0.1).
    Groups are shuffled and dealt out one by one to the part that lacks most rows, so a part misses its share by at most
    one group's size or so. Raises ValueError where a part would stay empty.
    """
    names = _names(groups)
    _check_shares(shares)
    distinct = list(dict.fromkeys(names))
    sizes = dict.fromkeys(distinct, 0)
    for name in names:
        sizes[name] += 1
    order = torch.randperm(len(distinct), generator=torch.Generator().manual_seed(seed)).tolist()
    lacking, part_of = [share * len(names) for share in shares], {}
    for number in order:
        part = max(range(len(shares)), key=lacking.__getitem__)
        part_of[distinct[number]] = part
        lacking[part] -= sizes[distinct[number]]
    empty = set(range(len(shares))) - set(part_of.values())
    if empty:
        raise ValueError(
            f"{len(distinct)} groups leave parts {sorted(empty)} of shares {tuple(shares)} empty; a group is never cut "
            "in two, so give fewer parts, larger shares or smaller groups"
        )
    parts = torch.tensor([part_of[name] for name in names])
    return [(parts == part).nonzero().flatten() for part in range(len(shares))]


def part_by_hash(name: str, shares: Sequence[float], *, salt: str = "") -> int:
    """Return the part of a group from its name alone: it stays the same when the data grow or workers change.

    salt: another salt gives another split. The shares hold on average, not exactly.
    """
    _check_shares(shares)
    digest = hashlib.blake2b(f"{salt}/{name}".encode(), digest_size=8).digest()
    place, total = int.from_bytes(digest, "big") / 2**64, 0.0
    for part, share in enumerate(shares):
        total += share
        if place < total:
            return part
    return len(shares) - 1


@refuse.misfit
def shared_groups(groups: Sequence[Hashable] | Tensor, *parts: Int[Tensor, " _"]) -> set:
    """Return the groups that stand in more than one part: what leaks. Empty is what a split should give."""
    names = _names(groups)
    seen, shared = set(), set()
    for number, part in enumerate(parts):
        refuse.outside(0, len(names) - 1, **{f"parts[{number}]": part})
        here = {names[row] for row in part.tolist()}
        shared |= here & seen
        seen |= here
    return shared


def _names(groups: Sequence[Hashable] | Tensor) -> list[Hashable]:
    """One hashable name per row; NaN is equal to nothing, so each would be a group of its own."""
    if isinstance(groups, Tensor) and groups.ndim != 1:
        raise ValueError(f"groups has shape {tuple(groups.shape)}; give one name per row, shape (rows,)")
    names = groups.tolist() if isinstance(groups, Tensor) else list(groups)
    nameless = [row for row, name in enumerate(names) if name != name]
    if nameless:
        raise ValueError(f"row {nameless[0]} has NaN as its group; name the group, or leave the row out")
    return names


def _check_shares(shares: Sequence[float]) -> None:
    if not shares or not min(shares) > 0 or not abs(sum(shares) - 1) <= 1e-9:  # so that NaN is refused, too
        raise ValueError(f"shares {tuple(shares)} must be positive and add up to 1; try (0.8, 0.1, 0.1)")
