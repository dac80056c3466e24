"""Exercise 17.2: a step of Adadelta."""

import math

import torch
from torch import nn

from course_lib.exercises.lesson_17.adamw_step import drawn_tensors
from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close


def _averages(shape=(3, 2)):
    """Averages as after many steps: gradients of about 2, moves of about 0.1."""
    return torch.full(shape, 4.0, dtype=torch.float64), torch.full(shape, 0.01, dtype=torch.float64)


def adadelta_returns_three(adadelta_step):
    gradient, (square, moved) = drawn_tensors()[1], _averages()
    shapes = [tuple(part.shape) for part in adadelta_step(gradient, square, moved, rho=0.9, eps=1e-6)]
    assert shapes == [(3, 2)] * 3, f"return step, square, moved, each like the gradient (3, 2); got {shapes}"


def adadelta_starts_from_eps(adadelta_step):
    zero, gradient = torch.zeros(1, dtype=torch.float64), torch.tensor([2.0], dtype=torch.float64)
    step, square, moved = adadelta_step(gradient, zero, zero, rho=0.9, eps=0.01)
    swapped = close(moved, [0.4]) and not close(square, [0.4])
    assert not swapped, "the averages came back in the other order: return step, square, moved"
    assert close(square, [0.4]), "the average of squares takes in 1 - rho of the new square"
    assert step.item() > 0, "with an average of moves of 0 the first step must not be 0: eps belongs inside both roots"
    outside = 2 * 0.01 / (0.4**0.5 + 0.01)
    assert not close(step, [outside]), "eps stands outside the roots: add it to the averages, then take the roots"
    assert close(step, [2 * (0.01 / 0.41) ** 0.5]), (
        "the first step is gradient * sqrt(eps) / sqrt(square + eps), square with the new gradient in it and moved "
        "without the new step"
    )


def adadelta_has_the_unit_of_the_weight(adadelta_step):
    gradient, (square, moved) = torch.full((3, 2), 2.0, dtype=torch.float64), _averages()
    step, _, _ = adadelta_step(gradient, square, moved, rho=0.9, eps=1e-12)
    assert step.min() > 0, "with a positive gradient return a positive step: the caller subtracts it"
    louder, _, _ = adadelta_step(1000 * gradient, 1e6 * square, moved, rho=0.9, eps=1e-12)
    assert close(step, louder), (
        "a loss 1,000 times as large must give the same step: the root of moves above, that of squares below the line, "
        "not the reverse"
    )
    farther, _, _ = adadelta_step(gradient, square, 1e6 * moved, rho=0.9, eps=1e-12)
    assert close(farther, 1000 * step), (
        "when past moves were 1,000 times as large the step must be too: the root of moved stands above the line"
    )


def adadelta_remembers_the_step(adadelta_step):
    gradient, (square, moved) = torch.full((3, 2), 2.0, dtype=torch.float64), _averages()
    step, _, kept = adadelta_step(gradient, square, moved, rho=0.9, eps=1e-6)
    assert close(kept, 0.9 * moved + 0.1 * step**2), (
        "the second average takes in the square of the step just made, not of the gradient"
    )


def adadelta_is_that_of_torch(adadelta_step):
    ours, _ = drawn_tensors((4, 3), seed=1)
    theirs = nn.Parameter(ours.clone())
    optimizer = torch.optim.Adadelta([theirs], lr=1.0, rho=0.8, eps=1e-3)
    square, moved = torch.zeros_like(ours), torch.zeros_like(ours)
    for t in range(1, 21):
        theirs.grad = drawn_tensors((4, 3), seed=t)[1]
        optimizer.step()
        step, square, moved = adadelta_step(theirs.grad, square, moved, rho=0.8, eps=1e-3)
        ours = ours - step
    assert close(ours, theirs), (
        "twenty steps differ from torch.optim.Adadelta with rho = 0.8: is a 0.9 written into your code?"
    )


def _adadelta(gradient, square, moved, rho, eps):
    square = rho * square + (1 - rho) * gradient**2
    step = gradient * (moved + eps).sqrt() / (square + eps).sqrt()
    return step, square, rho * moved + (1 - rho) * step**2


def _adadelta_with(share=None, above=lambda square, moved, eps: moved + eps, below=None):
    """The reference with another share of the new square, another numerator or another denominator."""

    def step_of(gradient, square, moved, rho, eps):
        fresh = rho * square + (1 - rho if share is None else share) * gradient**2
        under = fresh + eps if below is None else below(square, moved, eps)
        step = gradient * (above(square, moved, eps) / under).sqrt()
        return step, fresh, rho * moved + (1 - rho) * step**2

    return step_of


def _adadelta_one_root(gradient, square, moved, rho, eps):
    square = torch.lerp(gradient.square(), square, rho)
    step = torch.sqrt(torch.div(moved + eps, square + eps)) * gradient
    return step, square, torch.lerp(step.square(), moved, rho)


def _adadelta_by_loop(gradient, square, moved, rho, eps):
    rows = []
    for g, s, m in zip(*(each.flatten().tolist() for each in (gradient, square, moved)), strict=True):
        s = s + (1 - rho) * (g * g - s)
        step = g * math.sqrt(m + eps) / math.sqrt(s + eps)
        rows.append((step, s, m + (1 - rho) * (step * step - m)))
    return [torch.tensor(column, dtype=torch.float64).view(gradient.shape) for column in zip(*rows, strict=True)]


def _adadelta_eps_outside(gradient, square, moved, rho, eps):
    square = rho * square + (1 - rho) * gradient**2
    step = gradient * (moved.sqrt() + eps) / (square.sqrt() + eps)
    return step, square, rho * moved + (1 - rho) * step**2


adadelta_step = Exercise(
    id="17.2 adadelta_step",
    task="Write adadelta_step(gradient, square, moved, rho, eps) -> (step, square, moved), all of one shape: `square` "
    "averages squared gradients, `moved` averages squared steps; the caller computes weight - step.",
    stages=(
        adadelta_returns_three,
        adadelta_has_the_unit_of_the_weight,
        adadelta_starts_from_eps,
        adadelta_remembers_the_step,
        adadelta_is_that_of_torch,
    ),
    reference=_adadelta,
    mutants={
        "return step, square, moved": lambda *a, **k: _adadelta(*a, **k)[:2],
        "changed its argument `square`": lambda g, s, m, rho, eps: _adadelta(g, s.mul_(rho), m, rho, eps),
        "not the reverse": _adadelta_with(above=lambda s, m, eps: s + eps, below=lambda s, m, eps: m + eps),
        "the caller subtracts it": lambda *a, **k: (-_adadelta(*a, **k)[0], *_adadelta(*a, **k)[1:]),
        "when past moves were": _adadelta_with(above=lambda s, m, eps: torch.ones_like(m)),
        "in the other order": lambda *a, **k: tuple(_adadelta(*a, **k)[i] for i in (0, 2, 1)),
        "takes in 1 - rho of the new square": _adadelta_with(share=1.0),
        "eps belongs inside both roots": _adadelta_with(above=lambda s, m, eps: m),
        "square with the new gradient in it": _adadelta_with(below=lambda s, m, eps: s + eps),
        "eps stands outside the roots": _adadelta_eps_outside,
        "not of the gradient": lambda g, s, m, rho, eps: (
            *_adadelta(g, s, m, rho, eps)[:2],
            rho * m + (1 - rho) * g**2,
        ),
        "is a 0.9 written into your code": lambda g, s, m, rho, eps: _adadelta(g, s, m, 0.9, eps),
    },
    alternatives={
        "torch's lerp, one root": _adadelta_one_root,
        "number by number": _adadelta_by_loop,
    },
    hints=(
        "The order is: take the gradient into its average, make the step, take the step into its average.",
        "step = gradient * sqrt(moved + eps) / sqrt(square + eps): the usual size of a move over that of a gradient.",
        "return step, square, rho * moved + (1 - rho) * step**2, with square = rho * square + (1 - rho) * gradient**2",
    ),
    difficulty=3,
    minutes=12,
)
