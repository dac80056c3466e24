"""How well numbers are predicted. Each metric states its chance value and its best value.

Axis letters are those of course_lib/__init__.py.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib import refuse


@refuse.misfit
def linear_recovery(inputs: Float[Tensor, "B D_in"], target: Float[Tensor, "B D_out"]) -> float:
    """R² of the best linear map with intercept from `inputs` to `target`, fitted and scored on the same examples.

        R² = 1 - Σ (target - predicted)² / Σ (target - mean)²

    Best 1; unrelated inputs give about D_in / B, which is small only if B is much larger than D_in. A constant target
    has no variance to explain and is refused.
    """
    refuse.empty(target=target)
    refuse.infinite(inputs=inputs, target=target)
    variance = (target - target.mean(dim=0)).square().sum()
    if variance == 0:
        raise ValueError("the target is constant: there is no variance to explain; pass a target that varies")
    design = torch.cat([inputs, inputs.new_ones(len(inputs), 1)], dim=1)
    residual = target - design @ torch.linalg.lstsq(design, target).solution
    return 1 - (residual.square().sum() / variance).item()
