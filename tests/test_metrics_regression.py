import pytest
import torch
from sklearn.linear_model import LinearRegression

from course_lib.metrics.regression import linear_recovery


def test_linear_recovery_equals_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(50, 4, generator=generator, dtype=torch.float64)
    target = inputs @ torch.randn(4, 3, generator=generator, dtype=torch.float64) + 5
    noisy = target + torch.randn(50, 3, generator=generator, dtype=torch.float64)
    residual = noisy - torch.from_numpy(LinearRegression().fit(inputs, noisy).predict(inputs))
    expected = 1 - residual.square().sum() / (noisy - noisy.mean(0)).square().sum()
    assert linear_recovery(inputs, noisy) == pytest.approx(expected.item())
    assert linear_recovery(inputs, target) == pytest.approx(1.0)


def test_unrelated_inputs_recover_about_their_number_over_examples():
    inputs, target = torch.randn(2, 2000, 10, generator=torch.Generator().manual_seed(1))
    assert 0.0 < linear_recovery(inputs, target) < 0.01


def test_a_constant_target_is_refused():
    with pytest.raises(ValueError, match="no variance to explain"):
        linear_recovery(torch.randn(5, 2), torch.ones(5, 1))
