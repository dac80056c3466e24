"""MinHash against exact Jaccard, bands against their formula, perceptual hashes of altered photographs."""

from itertools import combinations

import pytest
import torch
from torch.nn import functional as F

from course_lib.data.alterations import altered
from course_lib.data.duplicates import (
    agreement,
    banded_pairs,
    chance_to_meet,
    groups_by_hash,
    hamming,
    jaccard,
    linked_groups,
    minhash,
    perceptual_hash,
    shingles,
)
from course_lib.data.photos import load_photos


def test_shingles_ignore_case_and_punctuation():
    assert shingles("A dog, on a beach!") == shingles("a DOG on a beach") == {"a dog", "dog on", "on a", "a beach"}
    assert shingles("dog", words=3) == {"dog"}
    assert shingles("红色的狗") == {"红 色", "色 的", "的 狗"}
    with pytest.raises(ValueError, match="holds no word"):
        shingles("?!")


def test_jaccard_by_hand():
    assert jaccard(frozenset("abc"), frozenset("bcd")) == 2 / 4


def test_signatures_estimate_jaccard_without_bias():
    sets = [frozenset(str(n) for n in range(start, start + 60)) for start in (0, 10, 30, 60)]
    signatures = minhash(sets, hashes=2000)
    for one, other in combinations(range(4), 2):
        truth = jaccard(sets[one], sets[other])
        error = agreement(signatures[one], signatures[other]) - truth
        assert abs(error) < 4 * (0.25 / 2000) ** 0.5, (one, other)
    assert torch.equal(signatures, minhash(sets, hashes=2000)) and not torch.equal(
        signatures, minhash(sets, hashes=2000, seed=1)
    )


def test_bands_find_as_many_as_their_formula_says():
    # 400 pairs with Jaccard 1/2: 20 shared of 40 elements
    sets = []
    for pair in range(400):
        shared = [f"{pair}-{n}" for n in range(20)]
        sets += [frozenset([*shared, *(f"{pair}{side}{n}" for n in range(10))]) for side in "ab"]
    found = banded_pairs(minhash(sets, hashes=16), bands=8)
    expected = chance_to_meet(0.5, bands=8, rows=2)
    twins = sum((2 * pair, 2 * pair + 1) in found for pair in range(400)) / 400
    assert expected == pytest.approx(1 - 0.75**8) and abs(twins - expected) < 4 * (0.25 / 400) ** 0.5
    assert all(one // 2 == other // 2 for one, other in found), "disjoint sets met"
    with pytest.raises(ValueError, match=r"3 bands do not divide 16 hashes; try bands in \[1, 2, 4, 8, 16\]"):
        banded_pairs(minhash(sets[:2], hashes=16), bands=3)


def test_a_perceptual_hash_survives_saving_scaling_and_darkening_and_nothing_else():
    versions = [altered(photo.image) for photo in load_photos()]
    hashes = {name: torch.stack([perceptual_hash(v[name]) for v in versions]) for name in versions[0]}
    same = hashes.pop("original")
    distance = {name: (same != other).sum(dim=1).tolist() for name, other in hashes.items()}
    assert max(max(distance[name]) for name in ("saved again", "half size", "darker")) <= 10, distance
    assert min(distance["mirrored"]) > 15 and min(distance["cropped by 25 %"]) > 15, distance
    between = hamming(same)
    assert torch.equal(between, between.T) and (between.diagonal() == 0).all()
    assert (between[0, 1] == (same[0] != same[1]).sum()) and between[~torch.eye(7, dtype=torch.bool)].min() > 15


def test_links_make_groups_through_chains():
    assert linked_groups(6, [(4, 1), (1, 3)]).tolist() == [0, 1, 2, 1, 1, 3]
    assert linked_groups(4, [(0, 1), (2, 1)]).tolist() == [0, 0, 0, 1]  # 1 is linked twice, and keeps both links
    assert linked_groups(3, []).tolist() == [0, 1, 2]


def test_images_with_near_hashes_are_one_group():
    versions = [altered(photo.image) for photo in load_photos()[:3]]
    images = [F.interpolate(v[name][None], size=(64, 64))[0] for v in versions for name in ("original", "darker")]
    assert groups_by_hash(torch.stack(images), bits=6).tolist() == [0, 0, 1, 1, 2, 2]
    assert groups_by_hash(torch.stack(images), bits=64).tolist() == [0] * 6


def test_at_most_so_many_bits_means_that_many_too():
    photos = load_photos()[:2]
    images = torch.stack([F.interpolate(altered(p.image)["original"][None], size=(64, 64))[0] for p in photos])
    apart = int((perceptual_hash(images[0]) != perceptual_hash(images[1])).sum())
    assert apart > 6
    assert groups_by_hash(images, bits=apart).tolist() == [0, 0]
    assert groups_by_hash(images, bits=apart - 1).tolist() == [0, 1]
