"""Exercise 12.3: Huber's loss."""

import torch

from course_lib.lesson.exercises import Exercise


def huber_is_quadratic_near_zero(huber):
    error = torch.tensor([[0.5, -0.25, 0.0], [1.0, -1.0, 0.1]], dtype=torch.float64)
    got = huber(error, delta=2.0)
    assert got.shape == error.shape, f"one loss an error is due, (2, 3), got {tuple(got.shape)}: do not take the mean"
    assert torch.allclose(got, error**2 / 2), "small errors cost e^2 / 2, so that the slope is e"


def huber_is_symmetric(huber):
    error = torch.tensor([0.3, 3.0, 50.0], dtype=torch.float64)
    assert torch.allclose(huber(error, delta=1.0), huber(-error, delta=1.0)), (
        "+50 and -50 cost different amounts: compare |e| with delta, not e"
    )


def huber_is_continuous(huber):
    for delta in (0.5, 3.0):
        below, above = huber(torch.tensor([delta - 1e-9, delta + 1e-9], dtype=torch.float64), delta=delta)
        assert abs(below - above) < 1e-6, (
            f"the loss jumps where |e| passes delta = {delta}: both branches are worth delta^2 / 2 there"
        )


def huber_has_one_slope(huber):
    for delta in (0.5, 3.0):
        error = torch.tensor([delta - 1e-9, delta + 1e-9, 40.0], dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(huber(error, delta=delta).sum(), error)
        assert torch.allclose(slope, torch.full_like(slope, delta), atol=1e-6), (
            f"the slope has a kink at delta = {delta}: far errors pull with slope delta, all alike"
        )


def _huber(error, delta=1.0):
    size = error.abs()
    return torch.where(size <= delta, size**2 / 2, delta * (size - delta / 2))


huber = Exercise(
    id="12.3 huber",
    task="Write huber(error, delta): any shape -> the same shape, squared up to delta, absolute beyond, one slope.",
    stages=(huber_is_quadratic_near_zero, huber_is_symmetric, huber_is_continuous, huber_has_one_slope),
    reference=_huber,
    mutants={
        "do not take the mean": lambda e, delta=1.0: _huber(e, delta).mean(),
        "small errors cost e^2 / 2": lambda e, delta=1.0: 2 * _huber(e, delta),
        "compare |e| with delta": lambda e, delta=1.0: torch.where(e <= delta, e**2 / 2, delta * (e - delta / 2)),
        "both branches are worth": lambda e, delta=1.0: torch.where(e.abs() <= delta, e**2 / 2, delta * e.abs()),
        "the slope has a kink": lambda e, delta=1.0: torch.where(
            e.abs() <= delta, e**2 / 2, e.abs() - delta + delta**2 / 2
        ),
    },
    hints=(
        "Draw it: a parabola up to delta, then the straight line that continues it without a kink.",
        "The line has slope delta. Which constant makes both branches delta^2 / 2 at |e| = delta?",
        "torch.where(size <= delta, size**2 / 2, delta * (size - delta / 2)) with size = error.abs().",
    ),
    difficulty=1,
    minutes=5,
)
