import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss
from torch.nn import functional as F

from course_lib.metrics.calibration import (
    brier_score,
    confidence_bins,
    expected_calibration_error,
    fit_temperature,
)


def predictions(examples=301, classes=4, scale=3.0, seed=0):
    """Logits `scale` times larger than those the labels are drawn from."""
    generator = torch.Generator().manual_seed(seed)
    true = 1.5 * torch.randn(examples, classes, generator=generator)
    label = torch.multinomial(true.softmax(-1), 1, generator=generator).flatten()
    return scale * true, label


def test_bins_by_hand():
    said = torch.tensor([0.0, 0.2, 0.4, 0.5, 0.51, 1.0])
    right = torch.tensor([False, True, False, True, True, True])
    bins = confidence_bins(said, right, bins=2)  # an edge belongs to the lower bin
    assert bins.count.tolist() == [4, 2]
    assert bins.confidence.tolist() == pytest.approx([0.275, 0.755])
    assert bins.accuracy.tolist() == [0.5, 1.0]
    assert confidence_bins(said, right, bins=3).confidence[1].item() == pytest.approx((0.4 + 0.5 + 0.51) / 3)
    assert confidence_bins(said[-1:], right[-1:], bins=3).accuracy.isnan().tolist() == [True, True, False]


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_ece_equals_scikit_learns_curve_weighted_by_counts(bins):
    logits, label = predictions()
    probabilities = logits.softmax(-1).double()
    confidence, predicted = probabilities.max(-1)
    accuracy, said = calibration_curve(predicted == label, confidence, n_bins=bins)
    counts = np.histogram(confidence, bins=bins, range=(0, 1))[0]
    expected = (np.abs(accuracy - said) * counts[counts > 0]).sum() / len(label)
    assert expected_calibration_error(probabilities, label, bins=bins) == pytest.approx(expected, abs=1e-9)


def test_ece_of_the_base_rate_is_zero():
    label = torch.tensor([0] * 6 + [1] * 3 + [2])
    assert expected_calibration_error(torch.tensor([0.6, 0.3, 0.1]).repeat(10, 1), label) == pytest.approx(0, abs=1e-6)
    sure_and_wrong = torch.tensor([[0.0, 1.0]]).repeat(3, 1)
    assert expected_calibration_error(sure_and_wrong, torch.tensor([0, 0, 0])) == 1


def test_brier_by_loop_and_by_scikit_learn():
    logits, label = predictions(examples=57)
    probabilities = logits.double().softmax(-1)
    looped = sum(((p - F.one_hot(k, 4)) ** 2).sum() for p, k in zip(probabilities, label, strict=True)) / 57
    assert brier_score(probabilities, label) == pytest.approx(looped.item(), abs=1e-12)
    theirs = brier_score_loss(label, probabilities, labels=range(4), scale_by_half=False)
    assert brier_score(probabilities, label) == pytest.approx(theirs, abs=1e-9)
    assert brier_score(torch.full((57, 4), 0.25), label) == pytest.approx(1 - 1 / 4)


def test_temperature_is_the_one_that_a_general_optimiser_finds():
    logits, label = predictions(scale=3.0)
    temperature = fit_temperature(logits, label)
    best = minimize_scalar(
        lambda t: F.cross_entropy(logits.double() / t, label).item(), bounds=(0.1, 20), options={"xatol": 1e-10}
    )
    assert temperature == pytest.approx(best.x, rel=1e-5)


def test_temperature_undoes_a_scale():
    logits, label = predictions(examples=20_000, scale=3.0)
    assert fit_temperature(logits, label) == pytest.approx(3.0, rel=0.05)
    assert fit_temperature(10 * logits, label) == pytest.approx(10 * fit_temperature(logits, label), rel=1e-6)


def test_temperature_survives_extreme_logits():
    logits, label = torch.tensor([[1e4, -1e4], [1e4, 0.0], [0.0, 1e4]]), torch.tensor([0, 1, 1])
    assert torch.isfinite(torch.tensor(fit_temperature(logits / 1e3, label)))


@pytest.mark.parametrize(
    "logits", [torch.tensor([[3.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.0, 3.0], [1.0, 0.0]])], ids=["right", "wrong"]
)
def test_without_a_best_temperature_it_says_so(logits):
    with pytest.raises(ValueError, match="no temperature between"):
        fit_temperature(logits, torch.tensor([0, 1]))


@pytest.mark.parametrize("measure", [expected_calibration_error, brier_score])
def test_logits_are_not_probabilities(measure):
    with pytest.raises(ValueError, match="try .softmax"):
        measure(torch.tensor([[2.0, -1.0]]), torch.tensor([0]))


def test_confidences_outside_are_refused():
    with pytest.raises(
        ValueError, match=r"confidence is no number within \[0, 1\], at \[0\]; probabilities are meant; try .softmax"
    ):
        confidence_bins(torch.tensor([1.2]), torch.tensor([True]))
