"""Exercise 29.1: integrated gradients."""

import torch

from course_lib.lesson.exercises import Exercise


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _cubic(x):
    """Σ of cubes: the gradient changes along the path, and the truth is x³ - baseline³ per feature."""
    return (x**3).sum(dim=1)


def ig_keeps_shape(integrated_gradients):
    x, baseline = normal(3, 5), normal(3, 5, seed=1)
    got = integrated_gradients(_cubic, x, baseline, 20)
    assert isinstance(got, torch.Tensor) and got.shape == x.shape, (
        "one contribution per feature: the result has the shape of x; what came back has not"
    )


def ig_uses_the_difference(integrated_gradients):
    x, baseline = normal(3, 5), normal(3, 5, seed=1)
    weight = normal(5, seed=2)
    got = integrated_gradients(lambda z: z @ weight, x, baseline, 20)
    assert torch.allclose(got, (x - baseline) * weight), (
        "on a linear score a feature is worth weight times (x - baseline); multiply the mean gradient by the difference"
    )


def ig_walks_the_path(integrated_gradients):
    x, baseline = 1 + normal(3, 5).abs(), torch.zeros(3, 5, dtype=torch.float64)
    got = integrated_gradients(_cubic, x, baseline, 100)
    assert not torch.allclose(got, 3 * x**3, rtol=0.05), (
        "the gradient was taken at x only; average it over points between the baseline and x"
    )
    assert not torch.allclose(got, torch.zeros_like(x)), (
        "the gradient was taken at the baseline only; average it over points between the baseline and x"
    )


def ig_takes_the_middle(integrated_gradients):
    x, baseline = 1 + normal(3, 5).abs(), torch.zeros(3, 5, dtype=torch.float64)
    got = integrated_gradients(_cubic, x, baseline, 10)
    assert torch.allclose(got, x**3, rtol=0.01), (
        "10 steps are off by more than 1 %: take the middle of each step, (k + 1/2) / steps, not one of its ends"
    )


def ig_starts_at_the_baseline(integrated_gradients):
    x, baseline = 1 + normal(3, 5).abs(), normal(3, 5, seed=1)
    got = integrated_gradients(_cubic, x, baseline, 100)
    assert torch.allclose(got, x**3 - baseline**3, rtol=0.01, atol=0.01), (
        "wrong as soon as the baseline is not 0: the points are baseline + share * (x - baseline), not share * x"
    )


def _path_gradient(score, x, baseline, share):
    point = (baseline + share * (x - baseline)).detach().requires_grad_()
    return torch.autograd.grad(score(point).sum(), point)[0]


def _integrated(shares, times_difference=True):
    def integrated_gradients(score, x, baseline, steps):
        mean = sum(_path_gradient(score, x, baseline, share) for share in shares(steps)) / len(shares(steps))
        return mean * (x - baseline) if times_difference else mean

    return integrated_gradients


def _from_zero(score, x, baseline, steps):
    mean = sum(_path_gradient(score, x, torch.zeros_like(x), share) for share in _middles(steps)) / steps
    return mean * (x - baseline)


def _middles(steps):
    return [(k + 0.5) / steps for k in range(steps)]


integrated_gradients = Exercise(
    id="29.1 integrated_gradients",
    task="Write integrated_gradients(score, x, baseline, steps): (B, D) -> (B, D). score maps (B, D) to (B,). Average "
    "the gradient over the middles of `steps` equal steps from the baseline to x, times (x - baseline).",
    stages=(
        ig_keeps_shape,
        ig_uses_the_difference,
        ig_walks_the_path,
        ig_takes_the_middle,
        ig_starts_at_the_baseline,
    ),
    reference=_integrated(_middles),
    mutants={
        "the result has the shape of x": lambda score, x, baseline, steps: _integrated(_middles)(
            score, x, baseline, steps
        ).sum(dim=1),
        "multiply the mean gradient by the difference": _integrated(_middles, times_difference=False),
        "taken at x only": _integrated(lambda steps: [1.0]),
        "taken at the baseline only": _integrated(lambda steps: [0.0]),
        "take the middle of each step": _integrated(lambda steps: [k / steps for k in range(steps)]),
        "as soon as the baseline is not 0": _from_zero,
    },
    hints=(
        "Walk in a straight line from the baseline to x. What does the gradient say at each point on the way?",
        "point = baseline + share * (x - baseline), with share = (k + 0.5) / steps; "
        "torch.autograd.grad(score(point).sum(), point)[0] is one gradient for every example.",
        "Sum the gradients of all points, divide by steps, multiply by (x - baseline). point needs .detach() and "
        ".requires_grad_().",
    ),
    difficulty=2,
    minutes=12,
)
