"""Races down a valley that can be turned: the smallest problem on which update rules differ.

f(x) = x H x / 2 with curvatures 1 and `condition` along two directions at right angles, which are turned against the
coordinates. The start turns along, so a race at another angle is the same race in other coordinates. All angles and all
learning rates run at once.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

GOAL = 1e-4
"""A run has arrived when its loss is this share of the loss at the start."""


class Race(NamedTuple):
    """What the best learning rate reached, for each angle."""

    steps: Float[Tensor, " A"]
    """Steps until the goal; infinite where no rate arrived in time."""
    way: Float[Tensor, "steps A 2"]
    """The points it went through, the start first."""


def hessian(degrees: Sequence[float], condition: float) -> Float[Tensor, "A 2 2"]:
    """Curvatures 1 and `condition`, the flat direction turned by `degrees` from the first coordinate."""
    turn = turns(degrees)
    return turn @ torch.tensor([1.0, condition], dtype=turn.dtype).diag() @ turn.mT


def turns(degrees: Sequence[float]) -> Float[Tensor, "A 2 2"]:
    """Rotation matrices."""
    angle = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=-1).view(-1, 2, 2)


def race(
    rule: Callable,
    degrees: Sequence[float],
    condition: float,
    *,
    rates: Float[Tensor, " R"],
    start: Float[Tensor, "2"],
    limit: int,
) -> Race:
    """Let an update rule of `update_rules` run at every angle with every rate, and keep the best rate of each angle.

    start: along the flat direction and across it. limit: the most steps; the race ends once some rate has arrived at
    every angle.
    """
    curved = hessian(degrees, condition)  # symmetric, so x @ curved is the gradient
    x, state = (turns(degrees) @ start.double())[:, None].expand(-1, len(rates), 2), {}
    way, needed = [x], torch.full(x.shape[:2], float("inf"))
    goal = GOAL * ((x @ curved) * x).sum(-1)
    for step in range(1, limit + 1):
        x, state = rule(x, x @ curved, state, lr=rates[:, None])
        way.append(x)
        needed[(((x @ curved) * x).sum(-1) < goal) & needed.isinf()] = step
        if needed.isfinite().any(dim=1).all():
            break
    steps, best = needed.min(dim=1)
    return Race(steps, torch.stack(way)[:, torch.arange(len(best)), best])
