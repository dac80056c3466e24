"""Sparse weights: ISTA against coordinate descent, and against what holds at an optimum."""

import pytest
import torch
from sklearn.linear_model import Lasso

from course_lib.training.sparse import ista


def problem(batch=40, width=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(batch, width, generator=generator, dtype=torch.float64)
    truth = torch.tensor([2.0, -3.0, 0.0, 0.0, 0.5, 0.0, 0.0], dtype=torch.float64)[:width]
    return features, features @ truth + 0.3 * torch.randn(batch, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("penalty", [0.0, 0.05, 0.6])
def test_ista_finds_what_coordinate_descent_finds(penalty):
    features, target = problem()
    if penalty == 0:
        expected = torch.linalg.lstsq(features, target[:, None]).solution[:, 0]
    else:
        fitted = Lasso(alpha=penalty, fit_intercept=False, tol=1e-12, max_iter=100_000)
        expected = torch.from_numpy(fitted.fit(features.numpy(), target.numpy()).coef_)
    weight = ista(features, target, penalty, steps=2000)
    torch.testing.assert_close(weight, expected, atol=1e-8, rtol=0)
    assert torch.equal(weight == 0, expected == 0)


def test_ista_meets_the_conditions_of_the_optimum():
    features, target = problem()
    weight = ista(features, target, 0.4, steps=2000)
    slope = features.T @ (target - features @ weight) / len(features)  # minus the gradient of the square loss
    used = weight != 0
    torch.testing.assert_close(slope[used], 0.4 * weight[used].sign())
    assert (slope[~used].abs() <= 0.4).all() and used.any() and not used.all()


def test_from_the_largest_correlation_on_nothing_is_used():
    features, target = problem()
    limit = float((features.T @ target / len(features)).abs().max())
    assert (ista(features, target, limit * 1.0001, steps=50) == 0).all()
    assert (ista(features, target, limit * 0.99, steps=50) != 0).sum() == 1


def test_the_loss_never_rises():
    features, target = problem()

    def loss(weight):
        return ((target - features @ weight).square().mean() / 2 + 0.2 * weight.abs().sum()).item()

    losses = [loss(ista(features, target, 0.2, steps)) for steps in range(12)]
    assert all(after <= before + 1e-12 for before, after in zip(losses, losses[1:], strict=False))
    assert losses[-1] < 0.5 * losses[0]
