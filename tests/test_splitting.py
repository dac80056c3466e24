"""Splits by group: nothing shared, nothing lost, shares met, and the same split tomorrow."""

from collections import Counter

import pytest
import torch

from course_lib.data.splitting import part_by_hash, shared_groups, split_by_group

GROUPS = [f"photo-{number % 41}" for number in range(200)]


@pytest.mark.parametrize("shares", [(0.8, 0.2), (0.7, 0.2, 0.1)])
def test_every_row_once_and_no_group_twice(shares):
    parts = split_by_group(GROUPS, shares, seed=3)
    assert sorted(torch.cat(parts).tolist()) == list(range(200))
    assert shared_groups(GROUPS, *parts) == set()
    for part, share in zip(parts, shares, strict=True):
        assert abs(len(part) - share * 200) <= 5  # the largest group has 5 rows


def test_a_tensor_of_group_numbers_does_as_well_and_the_seed_decides():
    groups = torch.arange(60) // 4
    first, same, other = (split_by_group(groups, (0.5, 0.5), seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first[0], same[0]) and not torch.equal(first[0], other[0])


def test_shared_groups_finds_a_leak():
    assert shared_groups(list("aabbc"), torch.tensor([0, 2]), torch.tensor([1, 4])) == {"a"}
    assert shared_groups(list("aabc"), torch.tensor([0]), torch.tensor([1, 2]), torch.tensor([3])) == {"a"}
    assert shared_groups(list("aabb"), torch.tensor([0, 1]), torch.tensor([2]), torch.tensor([3])) == {"b"}


def test_what_cannot_be_split_is_refused():
    with pytest.raises(ValueError, match=r"2 groups leave parts \[1\] of shares \(0.9, 0.1\) empty"):
        split_by_group(["a", "a", "b", "b"], (0.9, 0.1), seed=0)
    with pytest.raises(ValueError, match="must be positive and add up to 1"):
        split_by_group(GROUPS, (0.8, 0.1), seed=0)
    with pytest.raises(ValueError, match="must be positive"):
        part_by_hash("a", (1.1, -0.1))


def test_a_hashed_name_keeps_its_part_and_the_parts_their_shares():
    counts = Counter(part_by_hash(f"{number}.jpg", (0.7, 0.2, 0.1)) for number in range(5000))
    for part, share in enumerate((0.7, 0.2, 0.1)):
        assert abs(counts[part] / 5000 - share) < 0.025  # four standard errors
    assert [part_by_hash(name, (0.5, 0.5)) for name in "abcdef"] == [
        part_by_hash(name, (0.5, 0.5)) for name in "abcdef"
    ]
    salted = [part_by_hash(str(number), (0.5, 0.5), salt="2") for number in range(100)]
    assert salted != [part_by_hash(str(number), (0.5, 0.5)) for number in range(100)]
