import jaxtyping
import pytest
import torch
from torch.nn import functional as F

from course_lib.losses.regression import huber, mae, mse


def drawn(*axes):
    generator = torch.Generator().manual_seed(0)
    prediction, target = 3 * torch.randn(2, *axes, generator=generator, dtype=torch.float64)
    return prediction.requires_grad_(), target


@pytest.mark.parametrize(
    "ours, theirs",
    [
        (mse, F.mse_loss),
        (mae, F.l1_loss),
        (lambda p, t: huber(p, t, delta=0.7), lambda p, t: F.huber_loss(p, t, delta=0.7)),
        (lambda p, t: huber(p, t, delta=2.0) / 2.0, lambda p, t: F.smooth_l1_loss(p, t, beta=2.0)),
    ],
    ids=["mse", "mae", "huber", "smooth l1"],
)
def test_value_and_gradient_are_torchs(ours, theirs):
    prediction, target = drawn(5, 3)
    values = ours(prediction, target), theirs(prediction, target)
    torch.testing.assert_close(*values)
    gradients = [torch.autograd.grad(value, prediction)[0] for value in values]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("loss", [mse, mae, huber])
def test_a_weight_of_two_is_the_example_twice(loss):
    prediction, target = drawn(4)
    twice = [torch.cat([t, t[1:2]]) for t in (prediction, target)]
    weight = torch.tensor([1.0, 2.0, 1.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(loss(prediction, target, weight), loss(*twice))
    torch.testing.assert_close(loss(prediction, target, 100 * weight), loss(*twice))


def test_best_constants_are_mean_and_median_and_huber_lies_between():
    target = torch.tensor([1.0, 2.0, 4.0, 5.0, 100.0], dtype=torch.float64)
    grid = torch.linspace(0, 110, 2201, dtype=torch.float64)
    best = {
        name: grid[torch.stack([loss(c.expand(5), target) for c in grid]).argmin()].item()
        for name, loss in {"mse": mse, "mae": mae, "huber": lambda p, t: huber(p, t, delta=3.0)}.items()
    }
    assert best["mse"] == pytest.approx(target.mean().item()) and best["mae"] == target.median()
    assert best["huber"] == pytest.approx((1 + 2 + 4 + 5 + 3) / 4)  # four pull by their error, the outlier by 3


def test_chance_of_mse_is_the_variance():
    _, target = drawn(50)
    torch.testing.assert_close(mse(target.mean().expand(50), target), target.var(unbiased=False))


def test_huber_changes_over_with_one_slope():
    for side in (-1, 1):
        error = side * torch.tensor([1.5 - 1e-7, 1.5 + 1e-7], dtype=torch.float64)
        error.requires_grad_()
        near, far = (huber(e[None], torch.zeros(1, dtype=torch.float64), delta=1.5) for e in error)
        assert near.item() == pytest.approx(1.5**2 / 2, rel=1e-6) == far.item()
        (slope,) = torch.autograd.grad(near + far, error)
        torch.testing.assert_close(slope, torch.tensor([side * 1.5, side * 1.5]).double(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("loss", [mse, mae, huber])
def test_extreme_errors_are_finite(loss):
    prediction = torch.tensor([1e4, -1e4], requires_grad=True)
    loss(prediction, torch.tensor([-1e4, 1e4])).backward()
    assert prediction.grad.isfinite().all() and prediction.grad[0] > 0 > prediction.grad[1]


@pytest.fixture
def without_shape_hook():
    """Learners have no import hook: the function itself must refuse."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda p, t: mse(p[:, None], t),
            r"target has shape \(4,\), but mse takes \(\*batch,\) with \*batch = \(4, 1\).*try target.unsqueeze",
        ),
        (lambda p, t: mae(p, t, torch.zeros(4).double()), "weights must be 0 or more, and not all 0"),
        (lambda p, t: mse(p, t, -torch.ones(4).double()), "weights must be 0 or more"),
        (lambda p, t: huber(p, t, delta=0.0), "delta 0.0 leaves no squared part"),
        (lambda p, t: mse(p[:0], t[:0]), "no examples"),
    ],
)
def test_what_does_not_fit_is_refused(call, message, without_shape_hook):
    with pytest.raises(ValueError, match=message):
        call(*drawn(4))
