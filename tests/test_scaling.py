"""Scalers against scikit-learn, and what an affine map can and cannot do."""

import pytest
import torch
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from course_lib.data.scaling import METHODS, fit_scaler


def rows(count, width, seed=0):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).exp()


@pytest.mark.parametrize("method, library", [*zip(METHODS, (MinMaxScaler, StandardScaler, RobustScaler), strict=True)])
def test_as_scikit_learn_on_unseen_rows(method, library):
    train, test = rows(37, 3), rows(11, 3, seed=1)
    expected = torch.from_numpy(library().fit(train.numpy()).transform(test.numpy()))
    torch.testing.assert_close(fit_scaler(train, method).apply(test), expected)


@pytest.mark.parametrize("method", METHODS)
def test_undone_exactly(method):
    train = rows(37, 3)
    scaler = fit_scaler(train, method)
    torch.testing.assert_close(scaler.invert(scaler.apply(train)), train, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_feature_is_shifted_to_zero_and_not_blown_up(method):
    train = torch.cat([rows(8, 1), torch.full((8, 1), 5.0, dtype=torch.float64)], dim=1)
    scaled = fit_scaler(train, method).apply(train)
    assert scaled.isfinite().all() and (scaled[:, 1] == 0).all()


def test_refuses_what_it_cannot_scale():
    broken = rows(5, 3)
    broken[2, 1] = float("nan")
    with pytest.raises(ValueError, match=r"features \[1\] hold NaN"):
        fit_scaler(broken, "z-score")
    with pytest.raises(ValueError, match="'softmax' is unknown; try one of"):
        fit_scaler(rows(5, 3), "softmax")
    with pytest.raises(ValueError, match="no rows came"):
        fit_scaler(rows(5, 3)[:0], "robust")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.1, 1234.567, -3e-5])
def test_a_constant_that_float32_rounds_is_only_shifted(method, value):
    """The mean of a thousand times 0.1 is not 0.1 in float32, so the deviation is not 0 either."""
    scaler = fit_scaler(torch.full((1000, 1), value), method)
    assert scaler.scale.item() == 1
    assert scaler.apply(torch.tensor([[value + 1]])).item() == pytest.approx(1, abs=1e-3)


def test_infinity_is_refused():
    broken = rows(5, 3)
    broken[1, 2] = float("inf")
    with pytest.raises(ValueError, match=r"features \[2\] hold NaN or infinity"):
        fit_scaler(broken, "min-max")


def test_a_feature_without_a_middle_spread_is_only_shifted():
    """Nine of eleven values are equal: the quartiles coincide, though the feature is not constant."""
    scaler = fit_scaler(torch.tensor([[-40.0], *[[2.0]] * 9, [70.0]]), "robust")
    assert scaler.scale.item() == 1 and scaler.apply(torch.tensor([[5.0]])).item() == 3
