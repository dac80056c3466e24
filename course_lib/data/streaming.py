"""Mean and variance of data that never lie in memory at once: Welford's update, by batches, and merged over shards.

Batches and shards may have any size; the result is that of one pass over everything, up to rounding. Sums of squares
are never formed: E[x²] - E[x]² cancels catastrophically where the mean is large against the spread.
In this module B is the number of rows in a batch and D the number of features.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib import refuse


@dataclass(frozen=True)
class RunningMoments:
    """What has to be kept of everything seen so far: how many, their mean, their squared deviations from it.

    count: rows seen.
    mean: per feature, float64.
    deviations: sum over rows of (x - mean)², per feature, float64.
    """

    count: int
    mean: Float[Tensor, " D"]
    deviations: Float[Tensor, " D"]

    @classmethod
    def empty(cls, width: int) -> "RunningMoments":
        """Nothing seen yet; adding it changes nothing."""
        return cls(0, torch.zeros(width, dtype=torch.float64), torch.zeros(width, dtype=torch.float64))

    @classmethod
    @refuse.misfit
    def of(cls, values: Float[Tensor, "B D"]) -> "RunningMoments":
        """The moments of one batch; an empty batch is fine. ValueError for NaN and infinity, which would spoil all."""
        if len(values) == 0:
            return cls.empty(values.shape[1])
        refuse.infinite(values=values)
        values = values.double()
        mean = values.mean(dim=0)
        return cls(len(values), mean, (values - mean).square().sum(dim=0))

    @refuse.misfit
    def add(self, values: Float[Tensor, "B D"]) -> "RunningMoments":
        """The moments after one more batch."""
        return self.merge(RunningMoments.of(values))

    def merge(self, other: "RunningMoments") -> "RunningMoments":
        """The moments of both together, in any order: what a reducer does with the results of its workers.

            d = mean_b - mean_a;   mean = mean_a + d n_b / n;   deviations = S_a + S_b + d² n_a n_b / n

        With n_b = 1 it is Welford's update (1962, doi:10.1080/00401706.1962.10490022); for any n_b the pairwise form of
        Chan, Golub and LeVeque (1982, doi:10.1007/978-3-642-51461-6_3).
        """
        if len(self.mean) != len(other.mean):
            raise ValueError(f"{len(self.mean)} and {len(other.mean)} features came; both parts must have the same")
        count = self.count + other.count
        if self.count == 0:
            return other  # as it is, and on its device
        step = other.mean - self.mean
        mean = self.mean + step * (other.count / count)
        between = step.square() * (self.count * other.count / count)
        return RunningMoments(count, mean, self.deviations + other.deviations + between)

    def variance(self, *, correction: int = 0) -> Float[Tensor, " D"]:
        """deviations / (count - correction): 0 for the variance of these rows, 1 for the unbiased estimate."""
        refuse.outside(0, math.inf, correction=correction)
        if self.count <= correction:
            raise ValueError(f"{self.count} rows came; a variance with correction={correction} needs {correction + 1}")
        return self.deviations / (self.count - correction)
