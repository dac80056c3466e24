"""Near-duplicates at scale: MinHash signatures for texts, a perceptual hash for images, and groups of what is linked.

Exact copies are found by any hash of the bytes. A caption with another full stop or a photograph saved once more has
other bytes; the hashes here change little where the content changes little.

In this module K is the number of hash functions, N the number of texts or images.
"""

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations

import torch
from jaxtyping import Bool, Float, Int
from scipy.fft import dctn
from torch import Tensor
from torch.nn import functional

from course_lib import refuse

_PRIME = 2**31 - 1  # a times x stays below 2^62, inside an int64
_WORD = re.compile(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+")
_GREY = torch.tensor([0.299, 0.587, 0.114])  # luma weights of ITU-R BT.601


def shingles(text: str, *, words: int = 2) -> frozenset[str]:
    """Return every run of `words` consecutive words in lower case, without punctuation; a shorter text is one shingle.

    A Chinese character counts as a word, since nothing separates words there.
    """
    if words < 1:
        raise ValueError(f"words={words} makes no shingle; give 1 or more")
    found = _WORD.findall(text.lower())
    if not found:
        raise ValueError(f"{text!r} holds no word; drop empty texts before looking for duplicates")
    runs = [" ".join(found[i : i + words]) for i in range(max(1, len(found) - words + 1))]
    return frozenset(runs)


def jaccard(one: frozenset, other: frozenset) -> float:
    """|A ∩ B| / |A ∪ B|: 1 for equal sets, 0 for disjoint ones. ValueError for two empty sets, which have no union."""
    refuse.empty(union=one | other)
    return len(one & other) / len(one | other)


@refuse.misfit
def minhash(sets: Sequence[frozenset[str]], *, hashes: int = 128, seed: int = 0) -> Int[Tensor, "N K"]:
    """Return K numbers per set; each is the smallest value that one random hash function takes on it.

    Two sets agree in one of the K places with probability J, their Jaccard similarity, because the smallest element of
    the union is equally likely to be any of its elements. So the share of agreeing places estimates J with a standard
    error of sqrt(J (1 - J) / K): 0.044 at the most for K = 128. Source: Broder (1997),
    doi:10.1109/SEQUEN.1997.666900. Here h(x) = (a x + b) mod (2^31 - 1), which is nearly such a permutation.
    """
    refuse.empty(sets=sets, **{f"sets[{number}]": members for number, members in enumerate(sets)})
    if hashes < 1:
        raise ValueError(f"hashes={hashes} makes no signature; try 128")
    generator = torch.Generator().manual_seed(seed)
    a = torch.randint(1, _PRIME, (hashes, 1), generator=generator)
    b = torch.randint(0, _PRIME, (hashes, 1), generator=generator)
    rows = [((a * torch.tensor([_number(s) for s in members]) + b) % _PRIME).amin(dim=1) for members in sets]
    return torch.stack(rows)


@refuse.misfit
def agreement(one: Int[Tensor, " K"], other: Int[Tensor, " K"]) -> float:
    """Return the share of equal places of two signatures, the estimate of their Jaccard similarity."""
    refuse.empty(one=one)
    return (one == other).float().mean().item()


@refuse.misfit
def banded_pairs(signatures: Int[Tensor, "N K"], *, bands: int) -> set[tuple[int, int]]:
    """Return the pairs (i, j), i < j, that agree in all places of at least one band: worth a closer look.

    The K places are cut in `bands` bands of r = K / bands rows. Only texts that fall into one bucket meet, so the N²
    comparisons never happen. See `chance_to_meet` for what is found and what is missed.
    """
    count = signatures.shape[1]
    if bands < 1 or count % bands != 0:
        fitting = [b for b in range(1, count + 1) if count % b == 0]
        raise ValueError(f"{bands} bands do not divide {count} hashes; try bands in {fitting}")
    pairs = set()
    for band in signatures.split(count // bands, dim=1):
        buckets = defaultdict(list)
        for number, key in enumerate(map(tuple, band.tolist())):
            buckets[key].append(number)
        for members in buckets.values():
            pairs.update(combinations(members, 2))
    return pairs


@refuse.misfit
def chance_to_meet(similarity: float | Tensor, *, bands: int, rows: int) -> float | Tensor:
    """1 - (1 - J^r)^b: the chance that two texts of Jaccard similarity J share a bucket in one of b bands of r rows."""
    refuse.outside(0, 1, similarity=similarity)
    refuse.outside(1, math.inf, bands=bands, rows=rows)
    return 1 - (1 - similarity**rows) ** bands


@refuse.misfit
def perceptual_hash(image: Float[Tensor, "3 height width"]) -> Bool[Tensor, " 64"]:
    """Return 64 bits of an image's coarse structure; images that look alike differ in few of them.

    Grey, 32 x 32 pixels, discrete cosine transform, the 8 x 8 lowest frequencies, each bit: above their median or not.
    Survives another size, another compression, another brightness; does not survive a crop, a flip or a rotation.
    Scheme of pHash (https://www.phash.org); image: in [0, 1].
    """
    refuse.infinite(image=image)
    grey = torch.einsum("c,chw->hw", _GREY.to(image), image)[None, None]
    small = functional.interpolate(grey, size=(32, 32), mode="bilinear", antialias=True)[0, 0]
    low = torch.from_numpy(dctn(small.double().cpu().numpy(), norm="ortho")[:8, :8].copy()).flatten()
    return low > low.median()


@refuse.misfit
def hamming(hashes: Bool[Tensor, "N bits"]) -> Int[Tensor, "N N"]:
    """Return in how many bits each pair differs: 0 for equal hashes, about half of the bits for unrelated ones."""
    signs = 2 * hashes.double() - 1  # the product of two hashes counts equal bits minus different ones
    return ((hashes.shape[1] - signs @ signs.T) / 2).long()


def linked_groups(count: int, pairs: Iterable[Sequence[int]]) -> Int[Tensor, " N"]:
    """Return a group number per item: items linked by pairs, directly or over others, share it.

    Chains count: if a is near b and b near c, all three are one group, however far a is from c. Groups are numbered in
    the order of their first item. These are the groups to split by. ValueError for a pair with an item that is not one
    of 0 to count - 1.
    """
    parent = list(range(count))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for one, other in pairs:
        if not (0 <= one < count and 0 <= other < count):  # -1 would be the last item
            raise ValueError(f"pair ({one}, {other}) is not among {count} items, 0 to {count - 1}")
        parent[root(other)] = root(one)
    numbers = {}
    return torch.tensor([numbers.setdefault(root(item), len(numbers)) for item in range(count)])


@refuse.misfit
def groups_by_hash(images: Float[Tensor, "N 3 height width"], *, bits: int) -> Int[Tensor, " N"]:
    """Link images whose perceptual hashes differ in at most `bits` of 64, and return their groups.

    Compares all pairs: for some thousand images. Larger sets look equal parts of the hash up in tables first.
    """
    refuse.empty(images=images)
    refuse.outside(0, 64, bits=bits)
    distance = hamming(torch.stack([perceptual_hash(image) for image in images]))
    return linked_groups(len(images), (distance <= bits).triu(diagonal=1).nonzero().tolist())


def _number(shingle: str) -> int:
    """A number below the prime that is the same in every process, unlike Python's own hash of a string."""
    return int.from_bytes(hashlib.blake2b(shingle.encode(), digest_size=8).digest(), "big") % _PRIME
