"""Exercise 02.1: a streaming mean and standard deviation over shards."""

import math
import weakref

import torch

from course_lib.lesson.exercises import Exercise

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
    for shards in ([zero[:1], ten, ten[:2]], [ten, ten[:2], zero[:1]]):
        _, std = welford(shards)
        rounded = _near(std, 10 * 5**0.5 / 6, 1e-5) and not _near(std, 10 * 5**0.5 / 6)
        assert not rounded, f"3.726780 is right to a few digits only, got {float(std):.9f}: stay in float64"
        assert _near(std, 10 * 5**0.5 / 6), (
            f"one row of 0 and five of 10, in unequal shards, have deviation 3.7268, got {float(std):.4f}: what a step "
            "of the mean adds depends on the rows on both sides of it"
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
    mean, std = welford([far[:3], far[3:]])
    assert _near(std, 2.0, 1e-3) and _near(mean, 1e9 + 5, 1e-3), (
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


def _welford_step_of_equal_shards(shards):
    count, mean, deviations = 0, 0.0, 0.0
    for shard in (each for each in shards if len(each)):
        step, total = shard.mean() - mean, count + len(shard)
        deviations += (shard - shard.mean()).square().sum() + (step**2 * total / 4 if count else 0)
        count, mean = total, mean + step * len(shard) / total
    return mean, (deviations / count) ** 0.5


def _welford_in_float32(shards):
    mean, std = torch.zeros(2)
    count, deviations = 0, torch.tensor(0.0)
    for value in (row for shard in shards for row in shard.float()):
        count, step = count + 1, value - mean
        mean = mean + step / count
        deviations = deviations + step * (value - mean)
        std = (deviations / count).sqrt()
    return mean, std


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


def _welford_by_rows(shards):
    count, mean, deviations = 0, 0.0, 0.0
    for shard in shards:
        for value in shard.tolist():
            count += 1
            step = value - mean
            mean += step / count
            deviations += step * (value - mean)
    return mean, math.sqrt(deviations / count)


def _welford_around_the_first(shards):
    anchor, count, total, squares = None, 0, 0.0, 0.0
    for shard in (each for each in shards if each.numel()):
        anchor = shard[0].item() if anchor is None else anchor
        count, total = count + shard.numel(), total + (shard - anchor).sum()
        squares = squares + torch.einsum("n,n->", shard - anchor, shard - anchor)
    return anchor + total / count, (squares / count - (total / count) ** 2).sqrt()


class _Running:
    """Count, mean and variance so far."""

    count, mean, variance = 0, 0.0, 0.0

    def over(self, shards):
        for shard in shards:
            if shard.shape[0]:
                variance, mean = torch.var_mean(shard, correction=0)
                share = len(shard) / (self.count + len(shard))
                self.variance += share * (variance - self.variance) + share * (1 - share) * (mean - self.mean) ** 2
                self.mean += share * (mean - self.mean)
                self.count += len(shard)
        return torch.as_tensor(self.mean), torch.as_tensor(self.variance) ** 0.5


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
        "right to a few digits only": _welford_in_float32,
        "depends on the rows on both sides": _welford_step_of_equal_shards,
    },
    alternatives={
        "row by row": _welford_by_rows,
        "sums around the first row": _welford_around_the_first,
        "a class that merges pairs": lambda shards: _Running().over(shards),
    },
    hints=(
        "What three numbers of everything seen so far are enough to go on with?",
        "Keep count, mean and the sum of squared deviations. Means merge weighted by their rows.",
        "deviations += the shard's own + step**2 * count * own / (count + own), step = its mean - the mean so far.",
    ),
    difficulty=3,
    minutes=15,
)
