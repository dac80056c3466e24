import math

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional as F

from course_lib.losses.imbalance import (
    adjust_logits,
    balanced_rows,
    balanced_weights,
    class_prior,
    cost_threshold,
    effective_number_weights,
    estimate_prior,
    logit_adjusted_cross_entropy,
    move_prior,
)

LABEL = torch.tensor([0] * 12 + [1] * 5 + [2] * 3)
PRIOR = torch.tensor([12.0, 5.0, 3.0]) / 20


def bayes_logits(likelihood, prior):
    """Log of the joint: what a perfect model trained under `prior` puts out, up to a constant per example."""
    return (likelihood * prior).log() + torch.arange(len(likelihood))[:, None]


def test_prior_counts():
    torch.testing.assert_close(class_prior(LABEL, 3), PRIOR)


def test_balanced_weights_are_scikit_learns_and_average_one():
    weights = balanced_weights(PRIOR)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABEL.numpy())
    torch.testing.assert_close(weights, torch.tensor(expected).float())
    assert weights[LABEL].mean().item() == pytest.approx(1)


def test_effective_number_runs_from_equal_to_inverse_frequency():
    counts = torch.tensor([12, 5, 3])
    torch.testing.assert_close(effective_number_weights(counts, beta=0.0), torch.ones(3))
    inverse = (1 / counts) * 3 / (1 / counts).sum()
    torch.testing.assert_close(effective_number_weights(counts, beta=1 - 1e-9), inverse, rtol=1e-5, atol=0)
    by_sum = torch.tensor([1 / sum(0.9**i for i in range(n)) for n in (12, 5, 3)])
    torch.testing.assert_close(effective_number_weights(counts, beta=0.9), by_sum * 3 / by_sum.sum())


@pytest.mark.parametrize("per_class", [12, 3, 7])
def test_balanced_rows_use_every_row_equally_often(per_class):
    rows = balanced_rows(LABEL, per_class, torch.Generator().manual_seed(0))
    assert torch.bincount(LABEL[rows]).tolist() == [per_class] * 3
    times = torch.bincount(rows, minlength=len(LABEL))
    for k in range(3):
        own = times[k == LABEL]
        assert own.max() - own.min() <= 1
    again = balanced_rows(LABEL, per_class, torch.Generator().manual_seed(0))
    other = balanced_rows(LABEL, per_class, torch.Generator().manual_seed(1))
    assert torch.equal(rows, again) and not torch.equal(rows, other)


def test_rows_are_shuffled():
    rows = balanced_rows(LABEL, 12, torch.Generator().manual_seed(0))
    assert LABEL[rows][:12].unique().numel() > 1


def test_adjusted_logits_are_bayes_rule_for_equal_classes():
    likelihood = torch.rand(6, 3, generator=torch.Generator().manual_seed(0)) + 0.01
    adjusted = adjust_logits(bayes_logits(likelihood, PRIOR), PRIOR).softmax(-1)
    torch.testing.assert_close(adjusted, likelihood / likelihood.sum(-1, keepdim=True))
    logits = bayes_logits(likelihood, PRIOR)
    assert torch.equal(adjust_logits(logits, PRIOR, tau=0.0), logits)


def test_moving_the_prior_is_bayes_rule_there_and_back():
    likelihood = torch.rand(6, 3, generator=torch.Generator().manual_seed(0)) + 0.01
    new = torch.tensor([0.1, 0.2, 0.7])
    moved = move_prior(bayes_logits(likelihood, PRIOR), PRIOR, new)
    torch.testing.assert_close(moved.softmax(-1), bayes_logits(likelihood, new).softmax(-1))
    torch.testing.assert_close(move_prior(moved, new, PRIOR), bayes_logits(likelihood, PRIOR))


def test_adjusted_loss_is_cross_entropy_of_shifted_logits():
    logits = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    label, prior = torch.arange(7) % 3, PRIOR.double()
    ours = logit_adjusted_cross_entropy(logits, label, prior, tau=1.5)
    theirs = F.cross_entropy(logits + 1.5 * prior.log(), label)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(loss, logits)[0] for loss in (ours, theirs)))
    chance = logit_adjusted_cross_entropy(torch.zeros(20, 3), LABEL, PRIOR)
    assert chance.item() == pytest.approx(-(PRIOR * PRIOR.log()).sum().item())  # the entropy of the class frequencies


def test_adjusted_loss_at_extreme_logits():
    logits = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    logit_adjusted_cross_entropy(logits, torch.tensor([1]), PRIOR).backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("share", [0.02, 0.5])
def test_the_prior_of_unlabelled_data_is_found(share):
    generator = torch.Generator().manual_seed(0)
    label = (torch.rand(20_000, generator=generator) < share).long()
    x = torch.randn(20_000, generator=generator) + 2.0 * label
    old = torch.tensor([0.9, 0.1])
    log_odds = 2 * x - 2 + math.log(0.1 / 0.9)  # of two unit Gaussians at 0 and 2 under the old prior
    found = estimate_prior(torch.stack([torch.zeros_like(x), log_odds], dim=1), old, steps=200)
    assert found[1].item() == pytest.approx(label.float().mean().item(), abs=0.01)
    assert found.sum().item() == pytest.approx(1, abs=1e-4)


def test_threshold_makes_both_answers_equally_dear():
    p = cost_threshold(false_alarm=1.0, miss=19.0)
    assert p == 0.05 and p * 19.0 == pytest.approx((1 - p) * 1.0)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: class_prior(LABEL, 4), r"classes \[3\] have no example"),
        (lambda: class_prior(LABEL, 2), "values of label are no class, .* 2 classes have the numbers 0 to 1"),
        (lambda: effective_number_weights(torch.tensor([2, 3]), beta=1.0), r"beta 1.0 is outside \[0, 1\)"),
        (lambda: balanced_rows(LABEL, 0, torch.Generator()), "per_class 0 leaves nothing"),
        (lambda: cost_threshold(0.0, 1.0), "both mistakes must cost something"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
