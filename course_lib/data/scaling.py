"""Bring features to one scale: min-max, z-score, robust. All three are x -> (x - shift) / scale, so all can be undone.

Fit on the training split, apply everywhere: what a scaler has seen of the test split is a leak.
In this module B is the number of rows and D the number of features.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib import refuse

METHODS = ("min-max", "z-score", "robust")


class Scaler(NamedTuple):
    """An affine map per feature: how far to shift it and by how much to divide it."""

    shift: Float[Tensor, " D"]
    scale: Float[Tensor, " D"]
    """Never 0: a feature that is constant in training, or has no spread by this method, is only shifted."""

    @refuse.misfit
    def apply(self, values: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """(x - shift) / scale. ValueError for another number of features than the scaler was fitted on."""
        self._check_width(values)
        return (values - self.shift) / self.scale

    @refuse.misfit
    def invert(self, scaled: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """x * scale + shift: the values before `apply`, up to rounding."""
        self._check_width(scaled)
        return scaled * self.scale + self.shift

    def _check_width(self, values: Tensor) -> None:
        """One feature alone would be spread over all the others, without a word."""
        if values.shape[1] != len(self.shift):
            raise ValueError(f"{values.shape[1]} features came; this scaler was fitted on {len(self.shift)}")


@refuse.misfit
def fit_scaler(values: Float[Tensor, "B D"], method: str) -> Scaler:
    """Read shift and scale off the training rows.

    "min-max": (x - min) / (max - min), training rows land in [0, 1]. "z-score": (x - mean) / standard deviation
    (divided by B, not B - 1, as in scikit-learn's StandardScaler). "robust": (x - median) / (75th - 25th percentile),
    as in scikit-learn's RobustScaler. NaN and infinity are refused: one would spoil the whole feature.
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r} is unknown; try one of {METHODS}")
    if len(values) == 0:
        raise ValueError("no rows came; a scaler needs at least one row of the training split")
    missing = ~values.isfinite().all(dim=0)
    if missing.any():
        raise ValueError(
            f"features {missing.nonzero().flatten().tolist()} hold NaN or infinity; fill or drop such values first"
        )
    low, high = values.amin(dim=0), values.amax(dim=0)
    varies = high > low  # asked of the values: the deviation of a constant is rounded, to 7e-9 for 0.1 in float32
    if method == "min-max":
        shift, scale = low, high - low
    elif method == "z-score":
        shift, scale = values.mean(dim=0), values.std(dim=0, correction=0)
    else:
        lower, shift, upper = values.quantile(values.new_tensor([0.25, 0.5, 0.75]), dim=0)
        scale = upper - lower
    return Scaler(shift, torch.where(varies & (scale > 0), scale, torch.ones_like(scale)))
