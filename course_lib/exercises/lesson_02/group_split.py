"""Exercise 02.2: split rows into two parts that share no group."""

import random

import torch

from course_lib.lesson.exercises import Exercise

GROUPS = [f"photo {number}" for number in range(20) for _ in range(1 if number < 10 else 9)]  # 100 rows in 20 groups


def _rows(part):
    names = [row for row in part if isinstance(row, str)]
    assert not names, f"{names[0]!r} is the name of a group; return row numbers, from 0"
    return [int(row) for row in part]


def split_keeps_every_row(group_split):
    train, test = map(_rows, group_split(list(GROUPS), 0.3, 0))
    missing = len(GROUPS) - len({*train, *test})
    assert missing == 0, f"{missing} of 100 rows are in neither part; every row of a group goes with its group"
    assert len(train) + len(test) == len(GROUPS), "some rows are in both parts"


def split_shares_no_group(group_split):
    for seed in range(5):
        train, test = map(_rows, group_split(list(GROUPS), 0.3, seed))
        both = {GROUPS[row] for row in train} & {GROUPS[row] for row in test}
        assert not both, f"{len(both)} photos stand on both sides; shuffle groups, not rows"


def split_meets_its_share(group_split):
    sizes = [len(group_split(list(GROUPS), 0.3, seed)[1]) for seed in range(60)]
    off = max(abs(size - 30) for size in sizes)
    assert min(sizes) <= 60, f"30 of 100 rows were asked for the test part, {min(sizes)} came: train comes first"
    assert off <= 9, (
        f"30 of 100 rows were asked for, and a test part was {off} off, more than the largest group: "
        "groups have unequal sizes, so count rows, not groups"
    )


def split_follows_the_seed(group_split):
    torch.manual_seed(1)
    random.seed(1)
    first = sorted(_rows(group_split(list(GROUPS), 0.3, 7)[1]))
    again = sorted(_rows(group_split(list(GROUPS), 0.3, 7)[1]))
    assert first == again, "one seed gave two different splits; make a generator from the seed, not the global one"
    others = [sorted(_rows(group_split(list(GROUPS), 0.3, seed)[1])) for seed in range(8)]
    assert any(other != first for other in others), "every seed gives the same split; the seed is not used"


def _group_split(groups, share, seed):
    names = list(dict.fromkeys(groups))
    random.Random(seed).shuffle(names)
    test_groups, count = set(), 0
    for name in names:
        if count >= share * len(groups):
            break
        test_groups.add(name)
        count += sum(group == name for group in groups)
    rows = range(len(groups))
    return [r for r in rows if groups[r] not in test_groups], [r for r in rows if groups[r] in test_groups]


def _split_one_row_a_group(groups, share, seed):
    train, test = _group_split(groups, share, seed)
    first = {group: row for row, group in reversed(list(enumerate(groups)))}
    return [r for r in train if r in first.values()], [r for r in test if r in first.values()]


def _split_rows(groups, share, seed):
    rows = list(range(len(groups)))
    random.Random(seed).shuffle(rows)
    cut = round(share * len(rows))
    return rows[cut:], rows[:cut]


def _split_counts_groups(groups, share, seed):
    names = list(dict.fromkeys(groups))
    random.Random(seed).shuffle(names)
    chosen = set(names[: round(share * len(names))])
    rows = range(len(groups))
    return [r for r in rows if groups[r] not in chosen], [r for r in rows if groups[r] in chosen]


def _split_sorts_the_input(groups, share, seed):
    train, test = _group_split(groups, share, seed)
    groups.reverse()
    return train, test


def _split_adds_test_rows_to_train(groups, share, seed):
    train, test = _group_split(groups, share, seed)
    return [*train, *test], test


group_split = Exercise(
    id="02.2 group_split",
    task="Write group_split(groups, share, seed) -> (train rows, test rows): groups has a name per row. No group on "
    "both sides, every row in one part, and about `share` of the rows in the test part, at most one group off.",
    stages=(
        split_keeps_every_row,
        split_shares_no_group,
        split_meets_its_share,
        split_follows_the_seed,
    ),
    reference=_group_split,
    mutants={
        "are in neither part": _split_one_row_a_group,
        "some rows are in both parts": _split_adds_test_rows_to_train,
        "shuffle groups, not rows": _split_rows,
        "count rows, not groups": _split_counts_groups,
        "train comes first": lambda groups, share, seed: _group_split(groups, share, seed)[::-1],
        "return row numbers": lambda groups, share, seed: [
            [groups[row] for row in part] for part in _group_split(groups, share, seed)
        ],
        "make a generator from the seed": lambda groups, share, seed: _group_split(groups, share, random.random()),
        "the seed is not used": lambda groups, share, seed: _group_split(groups, share, 0),
        "changed its argument `groups`": _split_sorts_the_input,
    },
    hints=(
        "What is shuffled: rows, or the things that rows may share?",
        "Shuffle the distinct groups with random.Random(seed), then give them to the test part until it is full.",
        "names = list(dict.fromkeys(groups)); stop when the rows of the chosen groups reach share * len(groups).",
    ),
    difficulty=2,
    minutes=10,
)
