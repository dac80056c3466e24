"""Exercise 19.3: lasso by proximal descent."""

import math

import torch
from torch.nn import functional as F

from course_lib.exercises.lesson_19.dropout import coins
from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close


def _regression(batch=30, width=6, seed=0):
    generator = coins(seed)
    features = torch.randn(batch, width, generator=generator, dtype=torch.float64)
    truth = torch.tensor([2.0, -3.0, 0.0, 0.0, 0.8, 0.0], dtype=torch.float64)[:width]
    return features, features @ truth + 0.2 * torch.randn(batch, generator=generator, dtype=torch.float64)


def ista_starts_at_zero(ista):
    features, target = _regression()
    got = ista(features, target, 0.1, 0.05, 0)
    assert got is not None and tuple(got.shape) == (6,), "six features need weights of shape (6,)"
    assert (got == 0).all(), "no steps, no weights: start from zeros"


def ista_descends_the_mean_loss(ista):
    features, target = torch.eye(6, dtype=torch.float64).repeat(5, 1), torch.arange(1.0, 31.0, dtype=torch.float64)
    got, slope = ista(features, target, 0.0, 0.05, 1), features.T @ target / 30  # every slope is positive
    assert (got >= 0).all(), "without a penalty the first step went uphill: check the gradient's sign"
    ratio = (got.norm() / (0.05 * slope.norm())).item()
    assert abs(ratio - 1) < 1e-4, (
        f"the first step has {ratio:.1f} times the length due: the loss is a mean over B examples, the rate is given"
    )


def ista_keeps_useless_weights_at_zero(ista):
    features, target = _regression()
    limit = (features.T @ target / 30).abs().max().item()
    got = ista(features, target, 1.01 * limit, 0.05, 7)
    assert (got == 0).all(), (
        "a penalty above every correlation must keep all weights at exactly 0: soft-threshold after each gradient step"
    )


def ista_shrinks_both_signs(ista):
    features, target = _regression()
    got = ista(features, target, 0.1, 0.5, 1)  # a threshold of 0.1 would leave the large weights alive, too
    step = 0.5 * features.T @ target / 30
    assert (got[step < -0.2] < 0).all(), "a clearly negative weight vanished: shrink |w| and give the sign back"
    assert (got[step.abs() > 0.2].abs() < step[step.abs() > 0.2].abs()).all(), (
        "survivors kept their full size: soft-thresholding shrinks them, too"
    )


def ista_thresholds_by_rate_times_penalty(ista):
    features, target = _regression()
    step = 0.5 * features.T @ target / 30
    got = ista(features, target, 0.1, 0.5, 1)
    lost = (step.abs() - got.abs())[got != 0]
    assert close(lost, torch.full_like(lost, 0.05)), (
        f"one step took {lost.mean().item():.2f} off each weight; rate * penalty is 0.5 * 0.1 = 0.05"
    )


def _by_hand(features, target, penalty, rate, steps):
    """In Python's numbers, one by one."""
    rows, weight = features.tolist(), [0.0] * features.shape[1]
    for _ in range(steps):
        guesses = [sum(x * w for x, w in zip(row, weight, strict=True)) for row in rows]
        errors = [guess - y for guess, y in zip(guesses, target.tolist(), strict=True)]
        slopes = [sum(e * row[k] for e, row in zip(errors, rows, strict=True)) / len(rows) for k in range(len(weight))]
        moved = [w - rate * slope for w, slope in zip(weight, slopes, strict=True)]
        weight = [math.copysign(max(abs(m) - rate * penalty, 0.0), m) for m in moved]
    return weight


def ista_counts_its_steps(ista):
    features, target = _regression()
    for penalty, rate in ((0.2, 0.3), (0.01, 0.002)):
        for steps in range(1, 4):
            due = _by_hand(features, target, penalty, rate, steps)
            assert close(ista(features, target, penalty, rate, steps), due), (
                f"after {steps} steps of rate {rate} and penalty {penalty} the weights differ from the same by hand: "
                "`steps` of them, each a gradient step and a threshold, no momentum, no other stop"
            )


def ista_meets_the_optimum(ista):
    for seed in range(2):
        features, target = _regression(batch=25, seed=seed)
        weight = ista(features, target, 0.4, 0.2, 600).to(features)
        slope = features.T @ (target - features @ weight) / 25
        used = weight.abs() > 1e-6
        at_rest = (slope[used] - 0.4 * weight[used].sign()).abs().sum() < 1e-3 and (slope[~used].abs() <= 0.401).all()
        assert at_rest, "after many steps it is not at a minimum: take every gradient at the newest weights"


def _ista(features, target, penalty, rate, steps, shrink=None, scale=1.0, start=0.0, fresh=True):
    shrink = (lambda moved, t: F.softshrink(moved, t)) if shrink is None else shrink
    weight = first = torch.full((features.shape[1],), start, dtype=features.dtype)
    for _ in range(steps):
        gradient = scale * features.T @ (features @ (weight if fresh else first) - target) / len(features)
        weight = shrink(weight - rate * gradient, rate * penalty)
    return weight


def _ista_with(**changes):
    return lambda *case: _ista(*case, **changes)


def _sub_gradient(features, target, penalty, rate, steps):
    weight = torch.zeros(features.shape[1], dtype=features.dtype)
    for _ in range(steps):
        gradient = features.T @ (features @ weight - target) / len(features)
        weight = weight - rate * (gradient + penalty * weight.sign())
    return weight


def _with_momentum(features, target, penalty, rate, steps):
    weight = previous = torch.zeros(features.shape[1], dtype=features.dtype)
    for step in range(steps):
        ahead = weight + step / (step + 3) * (weight - previous)
        previous, weight = weight, _ista_step(features, target, penalty, rate, ahead)
    return weight


def _ista_step(features, target, penalty, rate, weight):
    moved = weight - rate * features.T @ (features @ weight - target) / len(features)
    return F.softshrink(moved, rate * penalty)


def _ista_by_products(features, target, penalty, rate, steps):
    count = features.size(0)
    square, cross = (
        torch.einsum("bi,bj->ij", features, features) / count,
        torch.einsum("bi,b->i", features, target) / count,
    )
    weight = torch.zeros_like(cross)
    for _ in range(steps):
        moved = weight + rate * (cross - square.mv(weight))
        weight = (moved - rate * penalty).relu() - (-moved - rate * penalty).relu()
    return weight


def _ista_by_autograd(features, target, penalty, rate, steps):
    weight = features.new_zeros(features.shape[1])
    while steps > 0:
        point = weight.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(0.5 * F.mse_loss(features @ point, target), point)
        moved = weight - rate * gradient
        weight = torch.where(moved.abs() > rate * penalty, moved - rate * penalty * moved.sign(), 0.0)
        steps -= 1
    return weight


ista = Exercise(
    id="19.3 ista",
    task="Write proximal_descent(features, target, penalty, rate, steps): (B, D), (B,) -> (D,). From w = 0, `steps` "
    "times a gradient step on |y - Xw|^2 / (2B), then soft-thresholding by rate * penalty.",
    stages=(
        ista_starts_at_zero,
        ista_descends_the_mean_loss,
        ista_keeps_useless_weights_at_zero,
        ista_shrinks_both_signs,
        ista_thresholds_by_rate_times_penalty,
        ista_meets_the_optimum,
        ista_counts_its_steps,
    ),
    reference=_ista,
    mutants={
        "start from zeros": _ista_with(start=0.1),
        "went uphill": _ista_with(scale=-1.0),
        "the loss is a mean": _ista_with(scale=30.0),
        "soft-threshold after each gradient step": _sub_gradient,
        "the rate is given": lambda x, y, penalty, rate, steps: _ista(x, y, penalty, 2.0, steps),
        "give the sign back": _ista_with(shrink=lambda moved, t: (moved - t).clamp_min(0)),
        "survivors kept their full size": _ista_with(shrink=lambda moved, t: moved * (moved.abs() > t)),
        "rate * penalty is": lambda x, y, penalty, rate, steps: _ista(x, y, penalty / rate, rate, steps),
        "at the newest weights": _ista_with(fresh=False),
        "after 2 steps": _with_momentum,
        "rate 0.002 and penalty": lambda *case: (lambda w: torch.where(w.abs() < 0.01, 0, w))(_ista(*case)),
    },
    alternatives={
        "precomputed products, relu on both sides": _ista_by_products,
        "autograd": _ista_by_autograd,
    },
    hints=(
        "Two lines in a loop: one that knows only the data, one that knows only the penalty.",
        "The gradient is X^T (X w - y) / B, at the newest w. The threshold is rate * penalty, not penalty.",
        "moved = weight - rate * gradient; weight = moved.sign() * (moved.abs() - rate * penalty).clamp_min(0)",
    ),
    difficulty=3,
    minutes=15,
)
