"""How sure an AUC is, without resampling: an interval from the sample's spread, and one from the truth's.

With few positives and an area near 1 the sample shows too little spread, so intervals that take it from there, DeLong's
and all bootstraps, miss the truth too often. Newcombe's asks the question the other way round: from which true areas
would a sample like this one be no surprise? Its formula is about scores that spread alike in both classes; where they
do not, it misses too often as well. No interval makes up for positives that were not collected.

Axis letters are those of course_lib/__init__.py.
"""

import math
from statistics import NormalDist

from jaxtyping import Float, Int
from scipy.optimize import brentq
from torch import Tensor, searchsorted

from course_lib import refuse
from course_lib.metrics.ranking import roc_auc
from course_lib.metrics.resampling import Interval


@refuse.misfit
def delong_interval(label: Int[Tensor, " B"], score: Float[Tensor, " B"], *, level: float = 0.95) -> Interval:
    """DeLong's standard error of an AUC, carried to the logit of the AUC and back.

        V_i = share of negatives below positive i        W_j = share of positives above negative j        (ties half)
        se² = var(V) / P + var(W) / N                    interval: sigmoid(logit(AUC) ± z se / (AUC (1 - AUC)))

    DeLong et al. (1988), doi:10.2307/2531595; se² is also the jackknife's. On the logit's scale the interval stays
    within (0, 1), and is longer on the side where there is room. It needs two of each class, and refuses an AUC of 0
    or 1, where se is 0 and says nothing.
    """
    area, z = roc_auc(label, score), _z(level)
    positives, negatives = score[label == 1], score[label == 0]
    if min(len(positives), len(negatives)) < 2:
        raise ValueError(f"{len(positives)} positives and {len(negatives)} negatives: a spread needs two of each")
    if area in (0, 1):
        raise ValueError(f"an AUC of {area:g} shows no spread; try newcombe_interval")
    below, above = _share_below(positives, negatives), 1 - _share_below(negatives, positives)
    error = (below.var() / len(below) + above.var() / len(above)).sqrt().item()
    centre, half = math.log(area / (1 - area)), z * error / (area * (1 - area))
    return Interval(area, *(1 / (1 + math.exp(-end)) for end in (centre - half, centre + half)))


def newcombe_interval(auc: float, positives: int, negatives: int, *, level: float = 0.95) -> Interval:
    """All true areas A from which `auc` is at most z standard deviations away, *their* standard deviations.

        |auc - A| <= z sd(A)        sd² = A (1 - A) (1 + n (1 - A) / (2 - A) + n A / (1 + A)) / (P N)

    with n = (P + N) / 2 - 1: the formula of `hanley_mcneil_std` with P and N alike in the middle, which is method 5 of
    Newcombe (2006), doi:10.1002/sim.2324. What Wilson's interval is for a share, this is for an area: of AUC 1 from a
    few examples it still says how low the truth may be.
    """
    z = _z(level)
    if not 0 <= auc <= 1 or min(positives, negatives) < 1:
        raise ValueError(f"AUC {auc} of {positives} positives and {negatives} negatives does not exist")
    middle = (positives + negatives) / 2 - 1

    def too_far(area: float) -> float:
        """Above 0 where `auc` would be a surprise."""
        spread = 1 + middle * (1 - area) / (2 - area) + middle * area / (1 + area)
        return abs(auc - area) - z * math.sqrt(area * (1 - area) * spread / (positives * negatives))

    below, above = auc * (1 - 1e-12), auc + (1 - auc) * 1e-12  # beside `auc`: at 0 and 1 the distance itself is 0
    low = brentq(too_far, 0.0, below) if auc > 0 else 0.0
    return Interval(auc, low, brentq(too_far, above, 1.0) if auc < 1 else 1.0)


def _z(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level {level} is outside (0, 1); try 0.95")
    return NormalDist().inv_cdf((1 + level) / 2)


def _share_below(of: Float[Tensor, " each"], others: Float[Tensor, " others"]) -> Float[Tensor, " each"]:
    """For each of `of`, the share of `others` that are smaller; equal ones count half."""
    others = others.sort().values
    smaller, not_larger = (searchsorted(others, of.contiguous(), right=right) for right in (False, True))
    return (smaller + not_larger).double() / (2 * len(others))
