"""Exercises of lesson 02: streaming mean and deviation, split by group, offset of two streams, paired shuffle."""

import random
import weakref

import torch

from course_lib.lesson.exercises import Exercise

# --- 02.1 welford -------------------------------------------------------------------------------------------------

NUMBERS = torch.tensor([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], dtype=torch.float64)  # mean 5, standard deviation 2


def _near(got, expected, tolerance=1e-9):
    return abs(float(got) - expected) <= tolerance


def welford_knows_one_shard(welford):
    mean, std = welford([NUMBERS])
    assert _near(mean, 5.0), f"one shard 2 4 4 4 5 5 7 9 has mean 5, got {float(mean):.4f}"
    assert not _near(std, 4.0), "that is the variance; take its square root"
    assert not _near(std, (32 / 7) ** 0.5), "that divides by n - 1; these rows are all there is, so divide by n"
    assert _near(std, 2.0), f"one shard 2 4 4 4 5 5 7 9 has standard deviation 2, got {float(std):.4f}"


def welford_counts_rows(welford):
    mean, _ = welford([NUMBERS[:1], NUMBERS[1:]])
    assert _near(mean, 5.0), (
        f"a shard of 1 and one of 7 rows: mean 5, got {float(mean):.4f}; weigh shards by their rows"
    )


def welford_sees_the_spread_between_shards(welford):
    zero, ten = torch.zeros(3, dtype=torch.float64), torch.full((3,), 10.0, dtype=torch.float64)
    _, std = welford([zero, ten])
    assert _near(std, 5.0), (
        f"shards 0 0 0 and 10 10 10 have deviation 5, got {float(std):.4f}; the spread between shards is missing"
    )


def welford_takes_an_empty_shard(welford):
    empty = torch.zeros(0, dtype=torch.float64)
    for place, shards in {"first": [empty, NUMBERS], "last": [NUMBERS, empty]}.items():
        mean, std = welford(shards)
        assert _near(mean, 5.0) and _near(std, 2.0), f"an empty shard that comes {place} changed the result; skip it"


class _Shards:
    """A stream that can be read once, and counts how many of its shards are still held when the next is asked for."""

    def __init__(self, count):
        self.count, self.most_held, self.read = count, 0, 0

    def __iter__(self):
        assert self.read == 0, "the stream was read twice; a stream goes by once, so keep running values"
        held = []
        for number in range(self.count):
            self.read += 1
            shard = torch.full((4,), float(number), dtype=torch.float64)
            held.append(weakref.ref(shard))
            yield shard
            del shard
            self.most_held = max(self.most_held, sum(each() is not None for each in held))


def welford_reads_once_and_forgets(welford):
    stream = _Shards(12)
    mean, std = welford(stream)
    assert _near(mean, 5.5) and _near(std, (143 / 12) ** 0.5), "twelve shards from a generator: the result is wrong"
    assert stream.most_held <= 3, f"{stream.most_held} shards were held at once; keep three numbers, not the data"


def welford_does_not_cancel(welford):
    far = NUMBERS + 1e9
    _, std = welford([far[:3], far[3:]])
    assert _near(std, 2.0, 1e-3), (
        f"shifted by a billion, the deviation is 2, got {float(std):.2f}: sum deviations from the mean, not squares, "
        "and stay in float64"
    )


def _welford(shards):
    count, mean, deviations = 0, 0.0, 0.0
    for shard in shards:
        if len(shard) == 0:
            continue
        own, step = len(shard), shard.mean() - mean
        total = count + own
        deviations += (shard - shard.mean()).square().sum() + step**2 * count * own / total
        mean += step * own / total
        count = total
    return float(mean), float((deviations / count) ** 0.5)


def _welford_mean_of_means(shards):
    parts = [(shard.mean(), len(shard), shard) for shard in shards]
    _, std = _welford([part[2] for part in parts])
    return sum(part[0] for part in parts) / len(parts), std


def _welford_mean_of_stds(shards):
    parts = [(len(s), s.mean(), s.std(correction=0)) for s in shards if len(s) > 0]
    total = sum(part[0] for part in parts)
    return sum(n * mean for n, mean, _ in parts) / total, sum(n * std for n, _, std in parts) / total


def _welford_trips_on_empty(shards):
    means, deviations, count = 0.0, 0.0, 0
    for shard in shards:
        step, total = shard.mean() - means, count + len(shard)
        deviations = deviations + ((shard - shard.mean()) ** 2).sum() + step**2 * count * len(shard) / total
        means, count = means + step * len(shard) / total, total
    return means, (deviations / count) ** 0.5


def _welford_reads_twice(shards):
    count = sum(len(shard) for shard in shards)
    mean = sum(float(shard.sum()) for shard in shards) / count
    return mean, (sum(float((shard - mean).square().sum()) for shard in shards) / count) ** 0.5


def _welford_keeps_everything(shards):
    rows = torch.cat(list(shards))
    return rows.mean(), rows.std(correction=0)


def _welford_sums_squares(shards):
    count, total, squares = 0, 0.0, 0.0
    for shard in shards:
        count, total, squares = count + len(shard), total + shard.sum(), squares + shard.square().sum()
    return total / count, (squares / count - (total / count) ** 2).clamp(min=0) ** 0.5


welford = Exercise(
    id="02.1 welford",
    task="Write welford(shards) -> (mean, std): shards is an iterable of one-dimensional float64 tensors of any "
    "length, some empty, that can be read once. The standard deviation divides by the number of rows.",
    stages=(
        welford_knows_one_shard,
        welford_counts_rows,
        welford_sees_the_spread_between_shards,
        welford_takes_an_empty_shard,
        welford_reads_once_and_forgets,
        welford_does_not_cancel,
    ),
    reference=_welford,
    mutants={
        "take its square root": lambda shards: (lambda mean, std: (mean, std**2))(*_welford(shards)),
        "divides by n - 1": lambda shards: (
            lambda rows: (rows.mean(), rows.std(correction=1) if len(rows) > 1 else rows.sum() * 0)
        )(torch.cat(list(shards))),
        "weigh shards by their rows": _welford_mean_of_means,
        "spread between shards is missing": _welford_mean_of_stds,
        "an empty shard that comes first": _welford_trips_on_empty,
        "read twice": _welford_reads_twice,
        "shards were held at once": _welford_keeps_everything,
        "not squares": _welford_sums_squares,
    },
    hints=(
        "What three numbers of everything seen so far are enough to go on with?",
        "Keep count, mean and the sum of squared deviations. Means merge weighted by their rows.",
        "deviations += the shard's own + step**2 * count * own / (count + own), step = its mean - the mean so far.",
    ),
    difficulty=3,
    minutes=15,
)

# --- 02.2 group_split ---------------------------------------------------------------------------------------------

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


def split_does_not_touch_the_input(group_split):
    given = list(GROUPS)
    group_split(given, 0.3, 0)
    assert given == GROUPS, "the list of groups came back changed; shuffle a copy"


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
        split_does_not_touch_the_input,
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
        "shuffle a copy": _split_sorts_the_input,
    },
    hints=(
        "What is shuffled: rows, or the things that rows may share?",
        "Shuffle the distinct groups with random.Random(seed), then give them to the test part until it is full.",
        "names = list(dict.fromkeys(groups)); stop when the rows of the chosen groups reach share * len(groups).",
    ),
    difficulty=2,
    minutes=10,
)

# --- 02.3 find_offset ---------------------------------------------------------------------------------------------


def _streams(offset, frames=240, seed=0, noise=0.2):
    """A video, and a sound that is late by `offset`; the scene goes on at both ends."""
    generator = torch.Generator().manual_seed(seed)
    scene = (torch.rand(frames + 100, generator=generator) < 0.1).double()
    crackle = noise * torch.randn(2, frames, generator=generator, dtype=torch.float64)
    return scene[50 : 50 + frames] + crackle[0], scene[50 - offset : 50 - offset + frames] + crackle[1]


def offset_finds_synchrony(find_offset):
    got = int(find_offset(*_streams(0), 15))
    assert got != 15, "two streams in step gave max_lag: that is the place in the list of lags, return the lag itself"
    assert got == 0, f"two streams in step have offset 0, got {got}"


def offset_knows_its_sign(find_offset):
    for offset in (7, -4):
        got = int(find_offset(*_streams(offset), 15))
        assert got != -offset, f"the sign is turned: sound[t + offset] belongs to video[t], here {offset}, got {got}"
        assert got == offset, f"the offset is {offset}, got {got}: try every lag from -max_lag to max_lag"


def offset_looks_at_the_last_lag(find_offset):
    for offset in (15, -15):
        got = int(find_offset(*_streams(offset), 15))
        assert got == offset, f"an offset of {offset} with max_lag 15 is allowed, got {got}: include both ends"


def offset_ignores_a_constant(find_offset):
    video, sound = _streams(7)
    got = int(find_offset(video + 30, sound + 30, 15))
    assert got == 7, f"adding 30 to both streams turned 7 into {got}: subtract the mean of what overlaps"


def offset_takes_the_largest_not_the_loudest(find_offset):
    video, sound = _streams(5, noise=0.05)
    _, echo = _streams(-9, noise=0.0)
    got = int(find_offset(video, sound - 3 * echo, 15))
    assert got != -9, "an echo upside down won: take the largest correlation, not the largest absolute value"
    assert got == 5, f"the sound is late by 5, got {got}"


def offset_does_not_wrap(find_offset):
    video, sound = torch.zeros(2, 200, dtype=torch.float64)
    pattern = torch.tensor([3.0, 0, 3, 3, 0, 0, 3, 0], dtype=torch.float64)
    video[0:8], sound[190:198] = pattern, pattern  # equal only if the end is glued to the beginning
    video[100:104], sound[103:107] = pattern[:4], pattern[:4]
    got = int(find_offset(video, sound, 15))
    assert got != -10, "the end of the sound was matched with the beginning of the video: cut, do not roll"
    assert got == 3, f"the sound is late by 3, got {got}"


def _overlap(a, b, lag):
    return a[max(0, -lag) : len(a) - max(0, lag)], b[max(0, lag) : len(b) - max(0, -lag)]


def _correlation(a, b):
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / (a.norm() * b.norm()).clamp_min(1e-12))


def _find_offset(a, b, max_lag):
    return max(range(-max_lag, max_lag + 1), key=lambda lag: _correlation(*_overlap(a, b, lag)))


def _offset_rolls(a, b, max_lag):
    return max(range(-max_lag, max_lag + 1), key=lambda lag: _correlation(a, b.roll(-lag)))


def _offset_raw_products(a, b, max_lag):
    return max(range(-max_lag, max_lag + 1), key=lambda lag: float(torch.dot(*_overlap(a, b, lag))))


find_offset = Exercise(
    id="02.3 find_offset",
    task="Write find_offset(video, sound, max_lag): two streams of F numbers -> the frames by which the sound is late, "
    "from -max_lag to max_lag: the lag k with the largest correlation of video[t] and sound[t + k] where both exist.",
    stages=(
        offset_finds_synchrony,
        offset_knows_its_sign,
        offset_looks_at_the_last_lag,
        offset_ignores_a_constant,
        offset_takes_the_largest_not_the_loudest,
        offset_does_not_wrap,
    ),
    reference=_find_offset,
    mutants={
        "two streams in step": lambda a, b, max_lag: int((a * b).argmax()),
        "that is the place in the list": lambda a, b, max_lag: max_lag + _find_offset(a, b, max_lag),
        "try every lag": lambda a, b, max_lag: max(
            range(max_lag + 1), key=lambda lag: _correlation(*_overlap(a, b, lag))
        ),
        "the sign is turned": lambda a, b, max_lag: -_find_offset(a, b, max_lag),
        "include both ends": lambda a, b, max_lag: _find_offset(a, b, max_lag - 1),
        "subtract the mean": _offset_raw_products,
        "not the largest absolute value": lambda a, b, max_lag: max(
            range(-max_lag, max_lag + 1), key=lambda lag: abs(_correlation(*_overlap(a, b, lag)))
        ),
        "cut, do not roll": _offset_rolls,
    },
    hints=(
        "For one lag, which frames of each stream have a partner? There are F - |lag| of them.",
        "For lag 3: video[:-3] and sound[3:]. For lag -3 the other way round. At lag 0 video[:-0] is empty.",
        "max(range(-max_lag, max_lag + 1), key=lambda lag: torch.corrcoef(torch.stack([...]))[0, 1]) over the overlap.",
    ),
    difficulty=2,
    minutes=15,
)

# --- 02.4 paired_shuffle ------------------------------------------------------------------------------------------


def _pairs(count=40):
    images = torch.arange(count, dtype=torch.float32)[:, None, None].repeat(1, 2, 3)  # (B, 2, 3), image i is all i
    return images, [f"caption {number}" for number in range(count)]


def _numbers(images, texts):
    kind = type(images).__name__
    assert isinstance(images, torch.Tensor), f"the images came back as a {kind}; return a tensor, the texts as a list"
    return images[:, 0, 0].long().tolist(), [int(text.split()[1]) for text in texts]


def shuffle_loses_nothing(paired_shuffle):
    seen, read = _numbers(*paired_shuffle(*_pairs(), 0))
    for what, numbers in (("images", seen), ("texts", read)):
        assert sorted(numbers) == list(range(40)), f"some {what} came twice or not at all; a shuffle is a permutation"


def shuffle_keeps_pairs(paired_shuffle):
    seen, read = _numbers(*paired_shuffle(*_pairs(), 0))
    kept = sum(image == text for image, text in zip(seen, read, strict=True))
    assert kept == 40, f"{kept} of 40 images still have their caption; one order has to serve both"


def shuffle_shuffles(paired_shuffle):
    seen, _ = _numbers(*paired_shuffle(*_pairs(), 0))
    assert seen != list(range(40)), "the order is the old one"
    moved = sum(place != number for place, number in enumerate(seen))
    assert moved > 25, f"{40 - moved} of 40 stayed where they were; by luck one does"


def shuffle_follows_the_seed(paired_shuffle):
    torch.manual_seed(1)
    random.seed(1)
    first, again, other = (_numbers(*paired_shuffle(*_pairs(), seed))[0] for seed in (3, 3, 4))
    assert first == again, "one seed gave two orders; a run that resumes needs the same one again"
    assert first != other, "two seeds gave one order; epochs would all look alike"


def shuffle_leaves_its_input(paired_shuffle):
    images, texts = _pairs()
    paired_shuffle(images, texts, 0)
    assert _numbers(images, texts) == (list(range(40)),) * 2, "the caller's data came back shuffled; return copies"


def shuffle_refuses_a_torn_set(paired_shuffle):
    images, texts = _pairs()
    try:
        paired_shuffle(images, texts[:-1], 0)
    except ValueError:
        return
    except AssertionError:
        raise AssertionError("an assert is not there under python -O; raise ValueError with both counts") from None
    except IndexError:
        raise AssertionError(
            "39 texts for 40 images ended in an IndexError; raise ValueError with both counts"
        ) from None
    raise AssertionError("39 texts for 40 images were accepted in silence; raise ValueError")


def _paired_shuffle(images, texts, seed):
    if len(images) != len(texts):
        raise ValueError(f"{len(images)} images and {len(texts)} texts are not pairs")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    return images[order], [texts[row] for row in order.tolist()]


def _shuffle_twice(images, texts, seed):
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    return images[order], random.Random(seed).sample(texts, len(texts))


def _shuffle_with_replacement(images, texts, seed):
    rows = torch.randint(len(images), (len(images),), generator=torch.Generator().manual_seed(seed))
    return images[rows], [texts[row] for row in rows.tolist()]


def _shuffle_globally(images, texts, seed):
    order = torch.randperm(len(images))
    return images[order], [texts[row] for row in order.tolist()]


def _shuffle_in_place(images, texts, seed):
    shuffled, texts[:] = _paired_shuffle(images, texts, seed)
    return shuffled, texts


def _shuffle_asserts(images, texts, seed):
    assert len(images) == len(texts)
    return _paired_shuffle(images, texts, seed)


def _shuffle_unchecked(images, texts, seed):
    count = min(len(images), len(texts))
    return _paired_shuffle(images[:count], texts[:count], seed)


paired_shuffle = Exercise(
    id="02.4 paired_shuffle",
    task="Write paired_shuffle(images, texts, seed): a tensor (B, ...) and a list of B texts -> both in one new "
    "order. Every image keeps its text, the seed decides, the input stays as it was; unequal counts: ValueError.",
    stages=(
        shuffle_loses_nothing,
        shuffle_keeps_pairs,
        shuffle_shuffles,
        shuffle_follows_the_seed,
        shuffle_leaves_its_input,
        shuffle_refuses_a_torn_set,
    ),
    reference=_paired_shuffle,
    mutants={
        "came twice or not at all": _shuffle_with_replacement,
        "one order has to serve both": _shuffle_twice,
        "the order is the old one": lambda images, texts, seed: (
            _paired_shuffle(images, texts, seed) and (images, list(texts))
        ),
        "stayed where they were": lambda images, texts, seed: (
            (images.roll(1, 0), [texts[-1], *texts[:-1]])
            if len(texts) < 40
            else (torch.cat([images[1:9], images[:1], images[9:]]), [*texts[1:9], texts[0], *texts[9:]])
        ),
        "one seed gave two orders": _shuffle_globally,
        "two seeds gave one order": lambda images, texts, seed: _paired_shuffle(images, texts, 0),
        "return copies": _shuffle_in_place,
        "accepted in silence": _shuffle_unchecked,
        "return a tensor": lambda images, texts, seed: tuple(map(list, _paired_shuffle(images, texts, seed))),
        "an assert is not there": _shuffle_asserts,
    },
    hints=(
        "Shuffle numbers, not things. How many orders do you need?",
        "order = torch.randperm(B, generator=torch.Generator().manual_seed(seed)); index images and texts with it.",
        "images[order], [texts[row] for row in order.tolist()], after a check that both have the same length.",
    ),
    difficulty=1,
    minutes=10,
)

EXERCISES = (welford, group_split, find_offset, paired_shuffle)
