"""Exercise 19.3: lasso by proximal descent."""

import torch
from torch.nn import functional as F

from course_lib.exercises.lesson_19.dropout import coins
from course_lib.lesson.exercises import Exercise


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
    assert abs(ratio - 1) < 1e-6, f"the first step is {ratio:.1f} times too long: the loss is a mean over B examples"


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
    assert torch.allclose(lost, torch.full_like(lost, 0.05)), (
        f"one step took {lost.mean().item():.2f} off each weight; rate * penalty is 0.5 * 0.1 = 0.05"
    )


def ista_meets_the_optimum(ista):
    for seed in range(3):
        features, target = _regression(batch=25, seed=seed)
        weight = ista(features, target, 0.4, 0.2, 1500)
        slope = features.T @ (target - features @ weight) / 25
        used = weight != 0
        assert (
            torch.allclose(slope[used], 0.4 * weight[used].sign(), atol=1e-6) and (slope[~used].abs() <= 0.4).all()
        ), "after many steps it is not at a minimum: take every gradient at the newest weights"


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
    ),
    reference=_ista,
    mutants={
        "start from zeros": _ista_with(start=0.1),
        "went uphill": _ista_with(scale=-1.0),
        "the loss is a mean": _ista_with(scale=30.0),
        "soft-threshold after each gradient step": _sub_gradient,
        "give the sign back": _ista_with(shrink=lambda moved, t: (moved - t).clamp_min(0)),
        "survivors kept their full size": _ista_with(shrink=lambda moved, t: moved * (moved.abs() > t)),
        "rate * penalty is": lambda x, y, penalty, rate, steps: _ista(x, y, penalty / rate, rate, steps),
        "at the newest weights": _ista_with(fresh=False),
    },
    hints=(
        "Two lines in a loop: one that knows only the data, one that knows only the penalty.",
        "The gradient is X^T (X w - y) / B, at the newest w. The threshold is rate * penalty, not penalty.",
        "moved = weight - rate * gradient; weight = moved.sign() * (moved.abs() - rate * penalty).clamp_min(0)",
    ),
    difficulty=3,
    minutes=15,
)
