"""Exercise 02.2: split rows into two parts that share no group."""

import random
from collections import Counter
from itertools import groupby

import torch

from course_lib.lesson.exercises import Exercise

_SORTED = [f"photo {number}" for number in range(20) for _ in range(1 if number < 10 else 9)]  # 100 rows in 20 groups
GROUPS = [_SORTED[37 * row % 100] for row in range(100)]
"""The rows of a group do not stand together."""


def _in_run(number):
    """The names with the hashes of another run of Python, which gives strings other ones each time."""

    class Name(str):
        def __hash__(self):
            return hash((number, str(self)))

    return [Name(group) for group in GROUPS]


def _rows(part):
    names = [str(row) for row in part if isinstance(row, str)]
    assert not names, f"{names[0]!r} is the name of a group; return row numbers, from 0"
    return [int(row) for row in part]


def split_keeps_every_row(group_split):
    train, test = map(_rows, group_split(list(GROUPS), 0.3, 0))
    missing = len(GROUPS) - len({*train, *test})
    assert missing == 0, f"{missing} of 100 rows are in neither part; every row of a group goes with its group"
    assert len(train) + len(test) == len(GROUPS), "some rows are in both parts"


def split_shares_no_group(group_split):
    for seed in range(5):
        for groups in (_SORTED, GROUPS):
            train, test = map(_rows, group_split(list(groups), 0.3, seed))
            both = {groups[row] for row in train} & {groups[row] for row in test}
            where = "; the rows of a group need not stand together" if groups is GROUPS else ""
            assert not both, f"{len(both)} photos stand on both sides; shuffle groups, not rows{where}"


def split_meets_its_share(group_split):
    sizes = [len(group_split(list(GROUPS), 0.3, seed)[1]) for seed in range(60)]
    off = max(abs(size - 30) for size in sizes)
    assert min(sizes) <= 60, f"30 of 100 rows were asked for the test part, {min(sizes)} came: train comes first"
    assert off <= 9, (
        f"30 of 100 rows were asked for, and a test part was {off} off, more than the largest group: "
        "groups have unequal sizes, so count rows, not groups"
    )
    for share in (0.1, 0.5, 0.8):
        sizes = [len(group_split(list(GROUPS), share, seed)[1]) for seed in range(20)]
        assert max(abs(size - 100 * share) for size in sizes) <= 9, (
            f"{100 * share:.0f} of 100 rows were asked for, {sizes[0]} came: use `share`"
        )


def split_follows_the_seed(group_split):
    torch.manual_seed(1)
    random.seed(1)
    first = sorted(_rows(group_split(list(GROUPS), 0.3, 7)[1]))
    again = sorted(_rows(group_split(list(GROUPS), 0.3, 7)[1]))
    assert first == again, "one seed gave two different splits; make a generator from the seed, not the global one"
    runs = [sorted(_rows(group_split(_in_run(number), 0.3, 7)[1])) for number in range(4)]
    assert runs == 4 * [first], (
        "one seed gives another split in another run of Python: the order of a set of strings changes from run to run; "
        "take dict.fromkeys(groups) or sort"
    )
    parts = [{GROUPS[row] for row in _rows(group_split(list(GROUPS), 0.3, seed)[1])} for seed in range(60)]
    always, ever = set.intersection(*parts), set.union(*parts)
    assert not always or parts[0] == always, (
        f"{len(always)} photos stand in the test part of each of 60 seeds: draw among all groups, small and large"
    )
    others = [sorted(_rows(group_split(list(GROUPS), 0.3, seed)[1])) for seed in range(8)]
    assert any(other != first for other in others), "every seed gives the same split; the seed is not used"
    assert len(ever) == len(set(GROUPS)), f"{len(set(GROUPS) - ever)} photos come into no test part of 60 seeds"


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


def _split_a_set(groups, share, seed):
    names = list(set(groups))
    place = {group: number for number, group in enumerate(dict.fromkeys([*names, *groups]))}
    return _group_split_by(place, groups, share, seed)


def _group_split_by(place, groups, share, seed):
    names = sorted(place, key=place.get)
    random.Random(seed).shuffle(names)
    chosen, count = set(), 0
    while count < share * len(groups):
        chosen.add(names.pop())
        count = sum(group in chosen for group in groups)
    rows = range(len(groups))
    return [r for r in rows if groups[r] not in chosen], [r for r in rows if groups[r] in chosen]


def _split_runs_of_rows(groups, share, seed):
    """Takes neighbouring rows of one name for the whole group."""
    runs, row = [], 0
    for _, run in groupby(groups):
        runs.append([row + step for step, _ in enumerate(run)])
        row += len(runs[-1])
    random.Random(seed).shuffle(runs)
    cut = round(share * len(runs))
    return sum(runs[cut:], []), sum(runs[:cut], [])


def _split_small_first(groups, share, seed):
    """Fills the test part from the smallest group on; the seed only breaks ties."""
    names = sorted(set(groups))
    random.Random(seed).shuffle(names)
    return _taken(sorted(names, key=groups.count), groups, share)


def _split_large_stay(groups, share, seed):
    """One group of nine never leaves the training part."""
    names = sorted(name for name in dict.fromkeys(groups) if name != "photo 15")
    random.Random(seed).shuffle(names)
    return _taken(names, groups, share)


def _taken(names, groups, share):
    chosen, count = set(), 0
    for name in names:
        if count < share * len(groups):
            chosen.add(name)
            count += groups.count(name)
    rows = range(len(groups))
    return [r for r in rows if groups[r] not in chosen], [r for r in rows if groups[r] in chosen]


def _split_sorts_the_input(groups, share, seed):
    train, test = _group_split(groups, share, seed)
    groups.reverse()
    return train, test


def _split_adds_test_rows_to_train(groups, share, seed):
    train, test = _group_split(groups, share, seed)
    return [*train, *test], test


def _split_by_permutation(groups, share, seed):
    names = sorted(set(groups))
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()
    size, chosen = Counter(groups), set()
    while sum(size[name] for name in chosen) < share * len(groups):
        chosen.add(names[order.pop()])
    parts = ([], [])
    for row, group in enumerate(groups):
        parts[group in chosen].append(row)
    return parts


def _split_by_numbers(groups, share, seed):
    number = {}
    group = torch.tensor([number.setdefault(name, len(number)) for name in groups])
    key = torch.rand(len(number), generator=torch.Generator().manual_seed(seed))
    rows = torch.argsort(key[group], stable=True)
    cut = int(share * len(groups))
    inside = torch.isin(group, group[rows[:cut]])
    return (~inside).nonzero().flatten(), inside.nonzero().flatten()


group_split = Exercise(
    id="02.2 group_split",
    task="Write group_split(groups, share, seed) -> (train rows, test rows): groups has a name per row. No group on "
    "both sides, every row in one part, and about `share` of the rows in the test part, at most one group off. The "
    "groups of the test part are drawn at random; one seed gives one split, in every run of Python.",
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
        "the order of a set of strings": _split_a_set,
        "use `share`": lambda groups, share, seed: _group_split(groups, 0.3, seed),
        "need not stand together": _split_runs_of_rows,
        "draw among all groups": lambda groups, share, seed: _split_small_first(groups, share, seed),
        "come into no test part": lambda groups, share, seed: _split_large_stay(groups, share, seed),
    },
    alternatives={
        "a permutation of the sorted names": _split_by_permutation,
        "a draw of numbers, rows as tensors": _split_by_numbers,
    },
    hints=(
        "What is shuffled: rows, or the things that rows may share?",
        "Shuffle the distinct groups with random.Random(seed), then give them to the test part until it is full.",
        "names = list(dict.fromkeys(groups)); stop when the rows of the chosen groups reach share * len(groups).",
    ),
    difficulty=2,
    minutes=10,
)
