"""Losses for predicting a number: squared, absolute, and Huber's compromise. Each states its chance and best value.

The loss decides which number a model gives when it cannot know: the mean (squared), the median (absolute).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib import refuse


@refuse.misfit
def mse(
    prediction: Float[Tensor, "*batch"], target: Float[Tensor, "*batch"], weight: Float[Tensor, "*batch"] | None = None
) -> Float[Tensor, ""]:
    """Return the mean squared error, in squared units of the target: sum w e^2 / sum w with e = prediction - target.

    The best constant is the mean of the target, and gets its variance: that is chance. Best is 0. The gradient 2e grows
    with the error, so one outlier can outvote a hundred good points.
    """
    return _mean((prediction - target).square(), weight)


@refuse.misfit
def mae(
    prediction: Float[Tensor, "*batch"], target: Float[Tensor, "*batch"], weight: Float[Tensor, "*batch"] | None = None
) -> Float[Tensor, ""]:
    """Return the mean absolute error, in units of the target: sum w |e| / sum w.

    The best constant is the median, and gets the mean distance from it: that is chance. Best is 0. Every point pulls
    with the same force, sign(e), also next to the optimum, so the learning rate has to fall.
    """
    return _mean((prediction - target).abs(), weight)


@refuse.misfit
def huber(
    prediction: Float[Tensor, "*batch"],
    target: Float[Tensor, "*batch"],
    weight: Float[Tensor, "*batch"] | None = None,
    *,
    delta: float = 1.0,
) -> Float[Tensor, ""]:
    """Return Huber's loss: squared for errors up to delta, absolute beyond, joined with one slope.

        e^2 / 2                     if |e| <= delta        slope e
        delta (|e| - delta / 2)     if |e| >  delta        slope delta sign(e)

    delta: units of the target; what counts as an outlier. Chance is between those of the two halves; best is 0.
    Divided by delta it is torch's smooth_l1_loss. Huber (1964, doi:10.1214/aoms/1177703732).
    """
    if not delta > 0:
        raise ValueError(f"delta {delta} leaves no squared part; use a positive size of error, such as 1.0")
    size = (prediction - target).abs()
    near = size.clamp_max(delta)  # delta beyond the joint, so one formula serves both sides
    return _mean(near * (size - near / 2), weight)


def _mean(loss: Float[Tensor, "*batch"], weight: Float[Tensor, "*batch"] | None) -> Float[Tensor, ""]:
    if loss.numel() == 0:
        raise ValueError("the mean over no examples is undefined; pass at least one")
    if weight is None:
        return loss.mean()
    if (weight < 0).any() or not torch.any(weight > 0):
        raise ValueError("weights must be 0 or more, and not all 0")
    return (weight * loss).sum() / weight.sum()
