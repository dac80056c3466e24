"""Figures of the lesson on metrics for prediction: one threshold in three pictures, a leaderboard, reliability bins."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from course_lib.lesson.figures import COLOURS
from course_lib.metrics import calibration, thresholds
from course_lib.metrics.ranking import RocCurve


def plot_operating_point(roc: RocCurve, threshold: float, prevalence: float) -> Figure:
    """Counts per 1,000 people, the ROC curve and the precision-recall curve, with the point of one threshold on both.

    The two rates are those of `roc`; precision is theirs in a world where a share `prevalence` is positive.
    """
    at = int((roc.threshold >= threshold).sum()) - 1
    precision = thresholds.precision_at_prevalence(roc.true_positive_rate, roc.false_positive_rate, prevalence).tolist()
    tpr, fpr = roc.true_positive_rate.tolist(), roc.false_positive_rate.tolist()
    fig, axes = plt.subplots(1, 3, figsize=(8.4, 2.8), gridspec_kw={"wspace": 0.35})
    fig.subplots_adjust(left=0.07, right=0.99, bottom=0.18, top=0.88)  # redraws faster than a constrained layout
    ill, well = 1000 * prevalence, 1000 * (1 - prevalence)
    _write_counts(axes[0], [[ill * tpr[at], ill * (1 - tpr[at])], [well * fpr[at], well * (1 - fpr[at])]])
    axes[0].set_title(f"of 1,000: precision {precision[at]:.2f}, recall {tpr[at]:.2f}", fontsize=9)
    for ax, x, y, chance in ((axes[1], fpr, tpr, [0, 1]), (axes[2], tpr, precision, [prevalence] * 2)):
        ax.plot([0, 1], chance, ":", color="grey")
        ax.plot(x, y, color=COLOURS[0])
        ax.plot(x[at], y[at], "o", color=COLOURS[1])
    axes[1].set(xlabel="false positive rate", ylabel="recall", title="ROC")
    axes[2].set(xlabel="recall", ylabel="precision", title="PR", ylim=(0, 1.03))
    return fig


def plot_leaderboard(public: Float[Tensor, " teams"], fresh: float, items: int) -> Figure:
    """Histogram of public scores; lines at the winner's public score and at its score on fresh items."""
    fig, ax = plt.subplots(figsize=(7, 2.4), layout="constrained")
    width = max(1 / items, 0.01)
    ax.hist(public.numpy(), bins=np.arange(0.25, 0.75, width) - 0.25 / items, color=COLOURS[0])
    ax.axvline(public.max().item(), color=COLOURS[1], label=f"winner, public items: {public.max():.3f}")
    ax.axvline(fresh, color=COLOURS[2], linestyle="--", label=f"the same team, fresh items: {fresh:.3f}")
    ax.set(xlabel=f"accuracy on {items} items", ylabel="teams", xlim=(0.25, 0.75))
    ax.legend(fontsize=8)
    return fig


def plot_reliability(probabilities: Mapping[str, Float[Tensor, "B K"]], label: Int[Tensor, " B"]) -> Figure:
    """Share right over confidence in ten bins, an axis for each name; a calibrated model's bars end on the diagonal."""
    fig, axes = plt.subplots(1, len(probabilities), figsize=(6.4, 2.9), layout="constrained", sharey=True)
    for ax, (name, p) in zip(np.atleast_1d(axes), probabilities.items(), strict=True):
        confidence, answer = p.max(dim=-1)
        bins = calibration.confidence_bins(confidence, answer == label, bins=10)
        ax.bar(
            bins.edges[:-1].numpy(), bins.accuracy.numpy(), width=0.1, align="edge", color=COLOURS[0], edgecolor="white"
        )
        ax.plot([0, 1], [0, 1], ":", color="grey")
        ax.set(xlabel="confidence", title=name, xlim=(0, 1), ylim=(0, 1))
    np.atleast_1d(axes)[0].set_ylabel("share right")
    return fig


def _write_counts(ax: Axes, cells: list[list[float]]) -> None:
    ax.imshow(cells, cmap="Blues", vmin=0, vmax=1000)
    for i, row in enumerate(cells):
        for j, value in enumerate(row):
            ax.text(j, i, f"{value:.0f}", ha="center", va="center", color="white" if value > 600 else "black")
    ax.set(xticks=[0, 1], xticklabels=["called ill", "called well"], yticks=[0, 1], yticklabels=["ill", "well"])
