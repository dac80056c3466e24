"""How sure a figure is: bootstrap intervals, paired comparisons, and the same figure in every subgroup.

An example is the unit that would be drawn again. Where several rows belong together (frames of a video, questions about
one image, visits of one patient), that unit is the cluster: pass `cluster`, or the interval is too narrow. Splits for
cross-validation, grouped and nested ones included, are scikit-learn's (`sklearn.model_selection`).

Axis letters are those of course_lib/__init__.py.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from course_lib import refuse

Metric = Callable[..., float]


class Interval(NamedTuple):
    """A figure and where it would lie in other samples of the same size."""

    estimate: float
    """On the data as they are."""
    low: float
    high: float


class Group(NamedTuple):
    """A figure in one subgroup."""

    count: int
    interval: Interval


@refuse.misfit
def bootstrap_interval(
    metric: Metric,
    *columns: Shaped[Tensor, "B ..."],
    seed: int,
    resamples: int = 1000,
    level: float = 0.95,
    cluster: Int[Tensor, " B"] | None = None,
) -> Interval:
    """Percentile interval of metric(*columns): draw examples with replacement, measure, take the middle `level`.

    columns: tensors with one row per example. One draw picks the same rows of all of them, so a label keeps its score,
        and two models' scores are compared on the same examples: pass a difference as the metric.
    cluster: draw whole clusters instead of rows.

    The bootstrap is Efron's (1979), doi:10.1214/aos/1176344552. Percentiles cannot leave what the sample holds: a share
    of 1 gets the interval (1, 1), where n hits without a miss allow a miss rate up to about 3 / n. For the same reason
    the interval of an AUC near 1 from few positives covers the truth less often than `level` says.

    A drawn set with one class only, where an AUC is undefined, is left out; if that is more than a twentieth, or
    `metric` fails on the data themselves, a ValueError says so.
    """
    if not 0 < level < 1:
        raise ValueError(f"level {level} is outside (0, 1); try 0.95")
    if len(columns) == 0:
        raise ValueError("no column came; pass at least one, with one row per example")
    refuse.empty(columns=columns[0])
    refuse.outside(1, math.inf, resamples=resamples)
    estimate = float(metric(*columns))
    draws = _draws(len(columns[0]), resamples, seed, cluster)
    values = [value for draw in draws if (value := _value(metric, [column[draw] for column in columns])) is not None]
    if len(values) < 0.95 * resamples:
        failed = resamples - len(values)
        raise ValueError(f"the metric is undefined on {failed} of {resamples} resamples: a class has too few examples")
    edges = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = torch.tensor(values, dtype=torch.float64).quantile(edges).tolist()
    return Interval(estimate, low, high)


@refuse.misfit
def subgroup_report(
    metric: Metric,
    group: Int[Tensor, " B"],
    *columns: Shaped[Tensor, "B ..."],
    seed: int,
    resamples: int = 1000,
    level: float = 0.95,
) -> dict[int, Group]:
    """{group: its size, and `bootstrap_interval` of metric on it alone}, in the order of the group numbers.

    Small groups have wide intervals; that is the finding, not a reason to leave them out.
    """
    refuse.empty(group=group)
    report = {}
    for number in group.unique().tolist():
        rows = [column[group == number] for column in columns]
        interval = bootstrap_interval(metric, *rows, seed=seed, resamples=resamples, level=level)
        report[number] = Group(int((group == number).sum()), interval)
    return report


@refuse.misfit
def mcnemar_p_value(first_right: Bool[Tensor, " B"], second_right: Bool[Tensor, " B"]) -> float:
    """Chance of a split at least this uneven if two classifiers were equally accurate: exact McNemar test, two-sided.

    Only examples that exactly one of them gets right count. Under equality each such example falls to either with
    probability 1/2, so the smaller side is binomial. Both alike gives 1. Dietterich (1998),
    doi:10.1162/089976698300017197, recommends it where models can be trained only once; it knows nothing of the
    spread over training seeds.
    """
    refuse.empty(first_right=first_right)
    first_only = int((first_right & ~second_right).sum())
    second_only = int((~first_right & second_right).sum())
    disagreements = first_only + second_only
    tail = sum(math.comb(disagreements, k) for k in range(min(first_only, second_only) + 1))
    return min(1.0, 2 * tail / 2**disagreements)


@refuse.misfit
def sign_flip_p_value(difference: Float[Tensor, " B"], *, seed: int, resamples: int = 9999) -> float:
    """Chance of a mean difference at least this far from 0 if both systems were exchangeable: paired permutation test.

    difference: score of one system minus the other's, example by example (or seed by seed); any score will do.
    Swapping the two systems on an example flips its sign. All 2^B flips are tried if they are at most `resamples`,
    otherwise that many random ones, with the observed one counted in, so the result is never 0.
    """
    refuse.empty(difference=difference)
    refuse.infinite(difference=difference)
    refuse.outside(1, math.inf, resamples=resamples)
    rows = len(difference)
    difference = difference.double()
    exact = rows < 63 and 2**rows <= resamples
    if exact:
        flips = (torch.arange(2**rows)[:, None] >> torch.arange(rows)) & 1
    else:
        flips = torch.randint(0, 2, (resamples, rows), generator=torch.Generator().manual_seed(seed))
    means = ((1 - 2 * flips).double() @ difference).abs()
    extreme = int((means >= difference.sum().abs() * (1 - 1e-12)).sum())
    return extreme / 2**rows if exact else (extreme + 1) / (resamples + 1)


def _draws(rows: int, resamples: int, seed: int, cluster: Int[Tensor, " B"] | None) -> Iterator[Int[Tensor, " drawn"]]:
    generator = torch.Generator().manual_seed(seed)
    if cluster is None:
        for _ in range(resamples):
            yield torch.randint(rows, (rows,), generator=generator)
        return
    members = [(cluster == name).nonzero().flatten() for name in cluster.unique()]
    for _ in range(resamples):
        drawn = torch.randint(len(members), (len(members),), generator=generator)
        yield torch.cat([members[number] for number in drawn.tolist()])


def _value(metric: Metric, columns: list[Tensor]) -> float | None:
    try:
        return float(metric(*columns))
    except ValueError:  # undefined on this draw, such as an AUC with one class
        return None
