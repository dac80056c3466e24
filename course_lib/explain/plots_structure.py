"""What attention may do before a weight is learnt: masks and receptive fields, RoPE as clocks, how many keys are read.

Every function returns (figure, axes) and shows nothing.
"""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from torch import Tensor

from course_lib import refuse
from course_lib.explain.plots import as_array

BORDER = "#ee6677"
HANDS = (("-", "#4477aa"), ("--", "#ee6677"))


@refuse.misfit
def show_pairs(masks: Mapping[str, Bool[Tensor, "S S"]], *, border: int, kinds: tuple[str, str]) -> tuple[Figure, Any]:
    """One matrix a mask, rows read columns, blue where they may; the title counts the pairs.

    border: a red line before this token separates the two kinds of token, named in `kinds` in their order.
    """
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(
        1, len(masks), figsize=(3.6 * len(masks), 3.8), squeeze=False, sharey=True, layout="constrained"
    )
    for ax, (name, mask) in zip(axes[0], masks.items(), strict=True):
        ax.imshow(as_array(mask), cmap="Blues", vmin=0, vmax=1.4)
        ax.axhline(border - 0.5, color=BORDER)
        ax.axvline(border - 0.5, color=BORDER)
        ax.set(xlabel=f"is read: {kinds[0]} | {kinds[1]}", xticks=[], yticks=[])
        ax.set_title(f"{name}: {int(mask.sum())} of {mask.numel()} pairs", fontsize=9)
    axes[0, 0].set_ylabel(f"reads: {kinds[0]} above, {kinds[1]} below")
    return fig, axes[0]


@refuse.misfit
def show_clocks(angles: Float[Tensor, "two E_half"]) -> tuple[Figure, Any]:
    """One clock a pair of features: the solid hand is the query's angle, the dashed one the key's, both in radians.

    A score sees only what the title says: the angle between the two.
    """
    import matplotlib.pyplot as plt

    count = angles.shape[1]
    fig, axes = plt.subplots(
        1, count, figsize=(2 * count, 2.3), squeeze=False, layout="constrained", subplot_kw={"projection": "polar"}
    )
    for pair, ax in enumerate(axes[0]):
        for angle, (style, colour) in zip(angles[:, pair].tolist(), HANDS, strict=True):
            ax.plot([angle, angle], [0, 1], style, color=colour, linewidth=2.5)
        ax.set(xticklabels=[], yticks=[], ylim=(0, 1))
        ax.set_title(f"pair {pair}: {(angles[0, pair] - angles[1, pair]).item():.3f} rad apart", fontsize=9)
    return fig, axes[0]


@refuse.misfit
def show_strongest(weights: Float[Tensor, "T S"]) -> tuple[Figure, Any]:
    """Mean weight of each query's strongest key, its second, and so on; the title says how many keys that amounts to.

    weights: rows sum to 1. The number is the exponential of the mean entropy: S if all keys get the same, 1 if one
    gets all.
    """
    import matplotlib.pyplot as plt

    entropy = -(weights * weights.clamp_min(1e-30).log()).sum(dim=1).mean()
    fig, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
    heights = as_array(weights.sort(dim=1, descending=True).values.mean(dim=0))
    ax.bar(range(1, len(heights) + 1), heights, color=HANDS[0][1])
    ax.set(ylim=(0, 1), xlabel="key, strongest first", ylabel="mean weight")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_title(f"about {entropy.exp():.1f} of {len(heights)} keys are read", fontsize=10)
    return fig, ax
