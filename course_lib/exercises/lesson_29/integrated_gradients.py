"""Exercise 29.1: integrated gradients."""

import torch

from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close


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
    got, due = integrated_gradients(lambda z: z @ weight.to(z), x, baseline, 20), (x - baseline) * weight
    assert not close(len(x) * got, due), "an example's share shrinks with the batch: sum the scores, not the mean"
    assert not close(got, due.abs()), "a contribution has a sign: below 0 it speaks against the answer; no abs()"
    assert close(got, due), (
        "on a linear score a feature is worth weight times (x - baseline); multiply the mean gradient by the difference"
    )


def ig_walks_the_path(integrated_gradients):
    x, baseline = 1 + normal(3, 5).abs(), torch.zeros(3, 5, dtype=torch.float64)
    got = integrated_gradients(_cubic, x, baseline, 100)
    assert not torch.allclose(got.double(), 3 * x**3, rtol=0.05), (
        "the gradient was taken at x only; average it over points between the baseline and x"
    )
    assert not close(got, torch.zeros_like(x)), (
        "the gradient was taken at the baseline only; average it over points between the baseline and x"
    )


def ig_takes_the_middle(integrated_gradients):
    x, baseline = 1 + normal(3, 5).abs(), torch.zeros(3, 5, dtype=torch.float64)
    got = integrated_gradients(_cubic, x, baseline, 10)
    assert torch.allclose(got.double(), x**3, rtol=0.01), (
        "10 steps are off by more than 1 %: take the middle of each step, (k + 1/2) / steps, not one of its ends"
    )


def ig_starts_at_the_baseline(integrated_gradients):
    x, baseline = 1 + normal(3, 5).abs(), normal(3, 5, seed=1)
    got = integrated_gradients(_cubic, x, baseline, 100)
    assert torch.allclose(got.double(), x**3 - baseline**3, rtol=0.01, atol=0.01), (
        "wrong as soon as the baseline is not 0: the points are baseline + share * (x - baseline), not share * x"
    )


def ig_takes_as_many_steps(integrated_gradients):
    x, baseline = 1 + normal(3, 5).abs(), torch.zeros(3, 5, dtype=torch.float64)
    for steps in (1, 2, 7):  # the mean of squares of the middles, (1 - 1 / (4 n^2)) / 3, times 3 x^2 and x
        got = integrated_gradients(_cubic, x, baseline, steps)
        assert close(got, x**3 * (1 - 1 / (4 * steps**2))), (
            f"with {steps} step{'s' * (steps > 1)} the middles give x^3 times {1 - 1 / (4 * steps**2):.4f} for a sum "
            "of cubes: use `steps`"
        )


def ig_keeps_examples_and_the_graph_apart(integrated_gradients):
    x, baseline = normal(3, 5), normal(3, 5, seed=1)
    got = integrated_gradients(_cubic, x, baseline, 5)
    alone = torch.cat([integrated_gradients(_cubic, x[b : b + 1], baseline[b : b + 1], 5) for b in range(3)])
    assert close(got, alone), "an example depends on the others of its batch: no mean and no norm over the batch"
    layer = torch.nn.Linear(5, 1)
    score = lambda z: layer(z.float())[:, 0]  # noqa: E731
    integrated_gradients(score, x, baseline, 5)
    assert layer.weight.grad is None, (
        "the model's own weights got a gradient: take torch.autograd.grad with respect to the point, not backward()"
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


def _with_backward(score, x, baseline, steps):
    total = torch.zeros_like(x)
    for share in _middles(steps):
        point = (baseline + share * (x - baseline)).requires_grad_()
        score(point).sum().backward()
        total += point.grad
    return total / steps * (x - baseline)


def _in_one_batch(score, x, baseline, steps):
    shares = (torch.arange(steps, dtype=x.dtype) + 0.5) / steps
    points = torch.lerp(baseline[None], x[None], shares[:, None, None]).flatten(0, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(score(points).sum(), points)
    return torch.einsum("kbd,bd->bd", gradient.unflatten(0, (steps, -1)), x - baseline) / steps


def _by_vjp(score, x, baseline, steps):
    way, total = x - baseline, 0.0
    for k in range(1, 2 * steps, 2):
        values, back = torch.func.vjp(score, baseline + k / (2 * steps) * way)
        total = total + back(torch.ones_like(values))[0] * way / steps
    return total


def _by_example(score, x, baseline, steps):
    rows = []
    for here, start in zip(x, baseline, strict=True):
        slopes = []
        for k in range(steps):
            point = (start + (here - start) * ((k + 0.5) / steps)).detach().requires_grad_(True)
            slopes.append(torch.autograd.grad(score(point[None])[0], point)[0])
        rows.append(torch.stack(slopes).mean(0) * (here - start))
    return torch.stack(rows)


integrated_gradients = Exercise(
    id="29.1 integrated_gradients",
    task="Write integrated_gradients(score, x, baseline, steps): (B, D) -> (B, D). score maps (B, D) to (B,). Average "
    "the gradient over the middles of `steps` equal steps from the baseline to x, times (x - baseline). Weights of the "
    "model get no gradient.",
    stages=(
        ig_keeps_shape,
        ig_uses_the_difference,
        ig_walks_the_path,
        ig_takes_the_middle,
        ig_starts_at_the_baseline,
        ig_takes_as_many_steps,
        ig_keeps_examples_and_the_graph_apart,
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
        "use `steps`": lambda score, x, baseline, steps: _integrated(_middles)(score, x, baseline, max(steps, 10)),
        "sum the scores, not the mean": lambda score, x, baseline, steps: _integrated(_middles)(
            lambda z: score(z) / len(z), x, baseline, steps
        ),
        "a contribution has a sign": lambda score, x, baseline, steps: _integrated(_middles)(
            score, x, baseline, steps
        ).abs(),
        "depends on the others": lambda score, x, baseline, steps: (
            _integrated(_middles)(score, x, baseline, steps) * (1 if steps != 5 else 1 / len(x))
        ),
        "not backward()": _with_backward,
    },
    alternatives={
        "all points in one batch": _in_one_batch,
        "one leaf, a gradient by vector-Jacobian product": _by_vjp,
        "example by example": _by_example,
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
