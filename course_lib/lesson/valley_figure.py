"""The figure of a race down a turned valley: the way at one angle, and the steps needed at all of them."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from course_lib.lesson.figures import COLOURS
from course_lib.training import update_rules
from course_lib.training.valley import Race, race, turns

LIMIT = 400
ANGLES = [float(angle) for angle in range(0, 91, 5)]


def draw(
    name: str,
    rule: Callable,
    angle: int,
    condition: int,
    *,
    rates: Float[Tensor, " R"],
    start: Float[Tensor, "2"],
) -> Figure:
    """Left the way of `rule` at its best rate, right its steps over the angle, beside momentum's (0.9)."""
    import matplotlib.pyplot as plt

    settings = {"rates": rates, "start": start, "limit": LIMIT}
    found = race(rule, [*ANGLES, float(angle)], float(condition), **settings)
    other = race(update_rules.momentum, ANGLES, float(condition), **settings)
    here = int(found.steps[-1].clamp(max=LIMIT))
    fig, (left, right) = plt.subplots(1, 2, figsize=(6.2, 2.7), layout="constrained")
    _draw_way(left, found, here, angle, condition)
    left.set(title=f"{name}, turned by {angle:g}°")
    right.plot(ANGLES, other.steps, "k:", label="momentum")
    right.plot(ANGLES, found.steps[:-1], color=COLOURS[0], label=name)
    right.plot([angle], [here], "o", color=COLOURS[1])
    right.set(title=f"{here} steps here" if here < LIMIT else f"{LIMIT} steps are not enough")
    right.set(xlabel="angle in degrees", ylabel="steps at the best rate", ylim=(0, LIMIT + 10))
    right.legend(fontsize=8)
    return fig


def _draw_way(ax: Axes, found: Race, steps: int, angle: int, condition: int) -> None:
    """Lines of equal loss, and the points of the last angle."""
    axis = torch.linspace(-1.7, 1.7, 61, dtype=torch.float64)
    x, y = torch.meshgrid(axis, axis, indexing="xy")
    along, across = (torch.stack([x, y], dim=-1) @ turns([float(angle)])[0]).unbind(-1)
    ax.contour(x, y, (along**2 + condition * across**2).sqrt(), levels=12, cmap="Greys", linewidths=0.7)
    ax.plot(*found.way[: steps + 1, -1].T, "o-", color=COLOURS[1], markersize=2.5, linewidth=1)
    ax.set(aspect="equal", xlim=(-1.7, 1.7), ylim=(-1.7, 1.7))
