"""Sparse weights: the L1 penalty done by its proximal step, which is what makes weights exactly 0.

    lasso(w) = ‖y - X w‖² / (2 B) + λ ‖w‖₁

The penalty has a kink at 0 and no gradient there. Following a sub-gradient, λ sign(w), steps across the kink to and fro
and almost never lands on it; the proximal step moves every weight λ η towards 0 and stops there. That step is
`torch.nn.functional.softshrink`: sign(w) max(|w| - λ η, 0).

Axis letters are those of course_lib/__init__.py.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def ista(
    features: Float[Tensor, "B D"], target: Float[Tensor, " B"], penalty: float, steps: int
) -> Float[Tensor, " D"]:
    """Minimise lasso(w) from w = 0: a gradient step on the square loss, then softshrink by rate * penalty.

    The rate is 1 / L, L the largest eigenvalue of XᵀX / B: the loss then never rises, and its distance to the minimum
    is at most L ‖w*‖² / (2 steps). Beck and Teboulle (2009, doi:10.1137/080716542). No intercept: centre the columns.

    penalty: λ, on the scale of sklearn's Lasso(alpha=λ). From max |Xᵀy| / B on, all weights stay 0.
    """
    covariance = features.T @ features / len(features)  # (D, D)
    correlation = features.T @ target / len(features)  # (D,)
    rate = 1 / float(torch.linalg.eigvalsh(covariance)[-1])
    weight = torch.zeros_like(correlation)
    for _ in range(steps):
        weight = F.softshrink(weight - rate * (covariance @ weight - correlation), rate * penalty)
    return weight
