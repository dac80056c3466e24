"""Explorers of lesson 02: what a scaler does to an outlier, and what a lag does to two streams."""

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from course_lib.data import sync
from course_lib.data.scaling import METHODS, fit_scaler
from course_lib.lesson.figures import COLOURS


def draw_scalers(outlier: float = 20.0) -> Figure:
    """Fifty normal values and one outlier after each scaler; each axis is in the scaler's own unit."""
    normal = torch.randn(50, 1, generator=torch.Generator().manual_seed(3))
    values = torch.cat([normal, torch.tensor([[float(outlier)]])])
    fig, axes = plt.subplots(3, 1, figsize=(6, 2.8), layout="constrained")
    for ax, method in zip(axes, METHODS, strict=True):
        scaled = fit_scaler(values, method).apply(values).flatten()
        ax.scatter(scaled[:-1], torch.zeros(50), s=14, color=COLOURS[0], alpha=0.6)
        ax.scatter(scaled[-1:], [0], s=60, color=COLOURS[1], marker="s")
        width = (scaled[:-1].max() - scaled[:-1].min()).item()
        ax.set(yticks=[], xlim=(-4, 22) if method == "robust" else (-4, 8), ylabel=method)
        ax.set_title(f"the fifty span {width:.2f}", fontsize=9)
    return fig


def draw_lag(lag: int = 0) -> Figure:
    """Claps seen and heard, the sound moved back by `lag` frames, and the correlation over all lags."""
    take = sync.record_claps(400, offset=7, seed=0)
    scores = sync.correlation_by_lag(take.video, take.sound, longest=15)
    sound = take.sound.roll(-lag)  # wraps around, so both ends are cut off below
    inside = slice(15, 385)
    score = sync.clap_f1((take.video + sound)[inside], take.clap[inside])
    fig, (above, below) = plt.subplots(2, 1, figsize=(5.5, 2.6), layout="constrained")
    above.plot(take.video[30:90], color=COLOURS[0])
    above.plot(sound[30:90] - 2, color=COLOURS[1])
    above.set_yticks([0, -2], ["video", "sound"])
    above.set_xlabel("frame")
    above.set_title(f"moved back by {lag} frames: F1 of the sum {score:.2f}", fontsize=10)
    below.plot(list(scores), list(scores.values()), "o-", color=COLOURS[2], markersize=4)
    below.axvline(lag, color="black", linestyle="--")
    below.set(xlabel="lag, frames", ylabel="correlation")
    return fig
