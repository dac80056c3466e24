"""The gallery of loss curves: what each shows, what gives it away, and how it is drawn.

A curve is worth as much as the number it is held against: ln K for a model that knows nothing, the entropy of the
text, the other line in the picture. So every diagnosis carries a signature, a condition on the curve that
tests/test_clinic_curves.py checks over three seeds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite, log

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_lib.clinic import curve_text, curves
from course_lib.clinic.curves import CHANCE, FIRST, REPAIRED, Curves
from course_lib.lesson.figures import COLOURS

TOP = 6.0
"""Highest loss that is drawn."""


@dataclass(frozen=True)
class Diagnosis:
    """One picture of the gallery."""

    name: str
    make: Callable[[int], Curves]
    """make(seed) trains and returns the lines; "training" is the first."""
    signature: Callable[[Curves], bool]
    """What gives it away, as a condition on the lines."""
    tell: str
    """The same in words."""
    first_check: str
    """What to run before touching anything."""


def late(values: Sequence[float]) -> float:
    """Mean of the last 30 steps."""
    return sum(values[-30:]) / 30


def stays(values: Sequence[float], near: float, within: float, last: int = 50) -> bool:
    """Whether all of the last values lie near a number."""
    return all(abs(value - near) < within for value in values[-last:])


def early(values: Sequence[float]) -> float:
    """Mean of steps 31 to 60: has it begun to learn?"""
    return sum(values[30:60]) / 30


def _sorted_data(c: Curves) -> bool:
    """A jump at each new class, and falling between the jumps."""
    line = c["training"]
    falling = sum(after < before for before, after in zip(line, line[1:], strict=False)) / len(line)
    return falling > 0.65 and sum(after > before + 1.5 for before, after in zip(line, line[3:], strict=False)) >= 6


GALLERY = (
    Diagnosis(
        "healthy",
        curves.healthy,
        lambda c: late(c["training"]) < 0.2 and late(c["validation"]) < 0.2 and abs(c["training"][0] - CHANCE) < 0.3,
        "Starts near ln 10 = 2.30, falls, and the validation loss stays beside it.",
        "Nothing. Remember the first value: an untrained classifier of K classes starts near ln K.",
    ),
    Diagnosis(
        "learning rate too high",
        curves.rate_too_high,
        lambda c: max(c["training"][:10]) > 2 * CHANCE and late(c["training"]) > 0.8,
        "Leaps above its starting value within ten steps and never comes to rest.",
        "A tenth of the rate, from the same start. A bug would stay, a rate would not.",
    ),
    Diagnosis(
        "learning rate too low",
        curves.rate_too_low,
        lambda c: late(c["training"]) > 0.9 * CHANCE and min(c[FIRST]) > 0.01,
        "Stays at its starting value although the gradient is not 0.",
        "Gradient norm, then a rate sweep of powers of ten.",
    ),
    Diagnosis(
        "data not shuffled",
        curves.not_shuffled,
        _sorted_data,
        "A sawtooth: near 0 on one class, then a jump when the next one begins.",
        "Print the labels of three batches in a row.",
    ),
    Diagnosis(
        "labels not shifted",
        curve_text.no_shift,
        lambda c: late(c["training"]) < 0.01 < 0.5 * c["entropy of the text"][0],
        "Far below the entropy of the text within a few steps: the answer is in the input.",
        "Let it generate. Then change one word of the input and keep its label: the loss of that word must not move.",
    ),
    Diagnosis(
        "softmax twice",
        curves.softmax_twice,
        lambda c: stays(c["training"], log(2.718281828 + 9) - 1, 0.02),
        "A perfectly flat floor at ln(e + 9) - 1 = 1.46.",
        "Is the floor a formula? Then look at what the loss is given: scores, not probabilities.",
    ),
    Diagnosis(
        "dead ReLU",
        curves.dead_relu,
        lambda c: stays(c["training"], CHANCE, 0.1) and max(c[FIRST]) == 0,
        "Flat at ln 10 with a gradient of exactly 0 in the first layer.",
        "Share of hidden units that are above 0 for any input of a batch.",
    ),
    Diagnosis(
        "noisy training labels",
        curves.noisy_labels,
        lambda c: stays(c["training"], 1.44, 0.45) and late(c["accuracy on clean labels"]) > 0.97,
        "A floor far above 0 on fresh data, and yet clean labels are almost all right.",
        "Read fifty examples with the highest loss.",
    ),
    Diagnosis(
        "validation data in the training set",
        curves.leak,
        lambda c: late(c["validation"]) < 0.05 and late(c["fresh"]) > CHANCE,
        "Validation goes to 0 on labels that nothing predicts, fresh data do not.",
        "Hash every example and intersect the two sets.",
    ),
    Diagnosis(
        "overfitting",
        curves.overfit,
        lambda c: late(c["training"]) < 0.02 and late(c["validation"]) > min(c["validation"]) + 0.5,
        "Training goes to 0 while validation turns and rises.",
        "Where is the minimum of validation? Stop there, then more data or a smaller model.",
    ),
    Diagnosis(
        "overflow in fp16",
        curves.half_precision,
        lambda c: c["training"][20] < 1 and not isfinite(c["training"][-1]),
        "A good curve that ends: the first value that is not finite, and none after it.",
        "Stop at the first non-finite value and ask each layer for its largest activation: over 65,504 is inf in fp16.",
    ),
    Diagnosis(
        "a layer is frozen",
        curves.frozen_layer,
        lambda c: early(c["training"]) < 0.9 * CHANCE and late(c["training"]) > 1.8 * late(c[REPAIRED]),
        "It learns from the first steps, and settles well above the same network with all layers training.",
        "List requires_grad, and which weights moved after one step.",
    ),
    Diagnosis(
        "validation normalised differently",
        curves.wrong_normalisation,
        lambda c: c["validation"][0] > 1.5 * CHANCE and late(c["validation"]) > 5 * late(c["training"]),
        "Validation starts far above ln 10, untrained, and stays high.",
        "Mean and standard deviation of a batch of each set, just before the model.",
    ),
    Diagnosis(
        "no warm-up",
        curve_text.no_warmup,
        lambda c: early(c["training"]) > 0.95 * log(curve_text.WORDS) and min(c["training"]) > 3 * min(c[REPAIRED]),
        "Stays at ln 12, what guessing among its 12 words costs; the same run with warm-up gets off it, and far lower.",
        "Update size over weight size, layer by layer, in the first ten steps.",
    ),
    Diagnosis(
        "gradients not reset",
        curves.no_reset,
        lambda c: min(c["training"][:40]) < 0.3 and 2 * CHANCE < late(c["training"]) < float("inf"),
        "Learns well at first, then swings out further and further: the gradient only grows.",
        "Norm of the gradient before the step: does it grow while the loss is small?",
    ),
)


def draw_curves(lines: Curves, ax: Axes, title: str = "", legend: bool = True) -> Axes:
    """Every line over its steps, cut at TOP; a cross marks where a line stops being finite."""
    for (name, values), style in zip(lines.items(), ("-", "--", ":"), strict=False):
        colour = COLOURS[("-", "--", ":").index(style)]
        drawn = [min(value, TOP) if isfinite(value) else float("nan") for value in values]
        ax.plot(range(1, len(drawn) + 1), drawn, style, color=colour, linewidth=1.3, label=name)
        finite = sum(map(isfinite, values))
        if finite < len(values):
            ax.plot(finite, drawn[finite - 1], "x", color="black", markersize=7)
    ax.axhline(0, color="grey", linewidth=0.5)
    ax.set_ylim(-0.15, min(TOP, 1.1 * max([CHANCE, *(v for line in lines.values() for v in line if isfinite(v))])))
    ax.set_title(title, fontsize=9)
    if legend and len(lines) > 1:
        ax.legend(fontsize=8, frameon=False)
    return ax


def draw_gallery(trained: Sequence[Curves]) -> tuple[Figure, list[Axes]]:
    """All pictures, numbered. The solid line is the training loss; what the others are stands above each picture."""
    import matplotlib.pyplot as plt

    rows = -(-len(trained) // 3)
    fig, grid = plt.subplots(rows, 3, figsize=(6.8, 1.38 * rows), layout="constrained", sharex=True)
    axes = list(grid.flat)
    for number, (ax, lines) in enumerate(zip(axes, trained, strict=False)):
        draw_curves(lines, ax, legend=False)
        ax.set_title(f"{number + 1}", loc="left", fontsize=9, pad=4)
        if len(lines) > 1:
            others = ax.get_lines()[1 : len(lines)]
            look = {"fontsize": 8, "frameon": False, "handlelength": 1.1, "columnspacing": 0.6, "borderpad": 0.2}
            ax.legend(handles=others, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0, **look)
    for ax in axes[len(trained) :]:
        ax.axis("off")
    fig.supxlabel("step", fontsize=9)
    fig.supylabel("loss", fontsize=9)
    return fig, axes
