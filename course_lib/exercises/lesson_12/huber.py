"""Exercise 12.3: Huber's loss."""

import torch
from torch.nn import functional as F

from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close


def huber_is_quadratic_near_zero(huber):
    for shape in ((2, 3), (6,), (1, 3, 2), ()):
        error = torch.tensor([0.5, -0.25, 0.0, 1.0, -1.0, 0.1], dtype=torch.float64)
        error = error.view(shape) if shape else error[0]
        got = huber(error, delta=2.0)
        assert got.shape == error.shape, (
            f"one loss per error is due, {tuple(shape)}, got {tuple(got.shape)}: do not take the mean"
        )
        assert close(got, error**2 / 2), "small errors cost e^2 / 2, so that the slope is e"


def huber_is_symmetric(huber):
    error = torch.tensor([0.3, 3.0, 50.0], dtype=torch.float64)
    assert close(huber(error, delta=1.0), huber(-error, delta=1.0)), (
        "+50 and -50 cost different amounts: compare |e| with delta, not e"
    )


def huber_is_continuous(huber):
    for delta in (0.5, 3.0):
        below, above = huber(torch.tensor([delta - 1e-9, delta + 1e-9], dtype=torch.float64), delta=delta)
        assert close(below, above), (
            f"the loss jumps where |e| passes delta = {delta}: both branches are worth delta^2 / 2 there"
        )


def huber_has_one_slope(huber):
    for delta in (0.5, 3.0):
        error = torch.tensor([delta - 1e-9, delta + 1e-9, 40.0], dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(huber(error, delta=delta).sum(), error)
        assert close(slope, torch.full_like(slope, delta)), (
            f"the slope has a kink at delta = {delta}: far errors pull with slope delta, all alike"
        )


def huber_has_a_gradient_everywhere(huber):
    error = torch.tensor([0.0, 0.25, -0.25, -40.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(huber(error, delta=0.5).sum(), error)
    assert close(slope, [0.0, 0.25, -0.25, -0.5]), (
        f"at errors of 0, 1/4, -1/4 and -40 with delta = 1/2 the slopes are 0, 1/4, -1/4, -1/2, got "
        f"{[round(each, 3) for each in slope.tolist()]}: no root of a square at 0, and nothing detached"
    )


def _huber(error, delta=1.0):
    size = error.abs()
    return torch.where(size <= delta, size**2 / 2, delta * (size - delta / 2))


def _huber_by_masks(error, delta):
    size = error.abs()
    far = (size > delta).to(error.dtype)
    return torch.einsum("...,...->...", 1 - far, 0.5 * error * error) + far * (delta * size - 0.5 * delta**2)


huber = Exercise(
    id="12.3 huber",
    task="Write huber(error, delta): any shape -> the same shape, squared up to delta, absolute beyond, one slope.",
    stages=(
        huber_is_quadratic_near_zero,
        huber_is_symmetric,
        huber_is_continuous,
        huber_has_one_slope,
        huber_has_a_gradient_everywhere,
    ),
    reference=_huber,
    mutants={
        "do not take the mean": lambda e, delta=1.0: _huber(e, delta).mean(),
        "small errors cost e^2 / 2": lambda e, delta=1.0: 2 * _huber(e, delta),
        "compare |e| with delta": lambda e, delta=1.0: torch.where(e <= delta, e**2 / 2, delta * (e - delta / 2)),
        "both branches are worth": lambda e, delta=1.0: torch.where(e.abs() <= delta, e**2 / 2, delta * e.abs()),
        "the slope has a kink": lambda e, delta=1.0: torch.where(
            e.abs() <= delta, e**2 / 2, e.abs() - delta + delta**2 / 2
        ),
        "no root of a square at 0": lambda e, delta=1.0: torch.where(
            e.abs() <= delta, (e**2).sqrt() ** 2 / 2, delta * ((e**2).sqrt() - delta / 2)
        ),
    },
    alternatives={
        "what is cut off": lambda error, delta: (
            error.abs().clamp(max=delta).square() / 2 + delta * (error.abs() - delta).relu()
        ),
        "torch's own": lambda error, delta: F.huber_loss(error, torch.zeros_like(error), reduction="none", delta=delta),
        "masks": _huber_by_masks,
    },
    hints=(
        "Draw it: a parabola up to delta, then the straight line that continues it without a kink.",
        "The line has slope delta. Which constant makes both branches delta^2 / 2 at |e| = delta?",
        "torch.where(size <= delta, size**2 / 2, delta * (size - delta / 2)) with size = error.abs().",
    ),
    difficulty=1,
    minutes=5,
)
