"""Regularisers of a training step: against torch and torchvision, by enumerating masks, by what they must not touch."""

import itertools

import jaxtyping
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.compat import ensure_torchvision
from course_lib.models.regularisers import (
    DropConnectLinear,
    ResidualStack,
    drop_path,
    dropout,
    linear_drop_rates,
    mixup,
    smooth_labels,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


# --- dropout -----------------------------------------------------------------------------------------------------


def test_dropout_scales_what_it_keeps_like_torch():
    x = normal(50, 40) + 3  # nowhere 0, so a 0 in the result was dropped
    ours, theirs = dropout(x, 0.3, train=True, generator=seeded()), F.dropout(x, 0.3)
    for dropped in (ours, theirs):
        kept = dropped != 0
        torch.testing.assert_close(dropped[kept], x[kept] / 0.7)
        assert 0.67 < kept.float().mean() < 0.73  # 2000 coins: standard deviation 0.01


def test_dropout_tosses_a_coin_for_every_number():
    kept = dropout(torch.ones(30, 20), 0.5, train=True, generator=seeded()) > 0
    assert len(kept.unique(dim=0)) == 30 and len(kept.unique(dim=1).T) == 20


def test_dropout_is_gone_in_eval_mode_and_at_rate_0():
    x = normal(3, 4)
    assert dropout(x, 0.9, train=False) is x and dropout(x, 0.0, train=True) is x


def test_the_gradient_passes_where_the_number_was_kept():
    x = normal(6, 7).requires_grad_()
    dropped = dropout(x, 0.5, train=True, generator=seeded())
    dropped.sum().backward()
    torch.testing.assert_close(x.grad, (dropped.detach() != 0) * 2.0)


def test_the_same_generator_gives_the_same_mask():
    x = normal(6, 7)
    first, second = (dropout(x, 0.5, train=True, generator=seeded(4)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, dropout(x, 0.5, train=True, generator=seeded(5)))


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_rates_outside_0_to_1_are_refused(p):
    for call in (lambda: dropout(normal(2), p, train=True), lambda: drop_path(normal(2), p, train=True)):
        with pytest.raises(ValueError, match="outside"):
            call()
    for call in (lambda: DropConnectLinear(3, 2, p), lambda: linear_drop_rates(3, p)):
        with pytest.raises(ValueError, match="outside"):
            call()


# --- DropConnect -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("per_example", [True, False])
def test_drop_connect_is_a_masked_matrix_product(per_example):
    layer = DropConnectLinear(5, 3, 0.4, per_example=per_example, generator=seeded(1))
    x = normal(4, 5)
    out = layer(x)
    masks = torch.empty(4 if per_example else 1, 3, 5).bernoulli_(0.6, generator=seeded(1)).expand(4, 3, 5)
    for b in range(4):
        torch.testing.assert_close(out[b], (masks[b] * layer.weight / 0.6) @ x[b] + layer.bias)


def test_drop_connect_drops_weights_and_not_units():
    layer = DropConnectLinear(200, 100, 0.5, bias=False, generator=seeded())
    nn.init.ones_(layer.weight)
    units = layer(F.one_hot(torch.tensor([0]), 200).float())  # one input: its 100 connections have their own coins
    assert set(units.unique().tolist()) == {0.0, 2.0} and 30 < (units == 0).sum() < 70


def test_drop_connect_stores_the_parameters_of_linear():
    layer, linear = DropConnectLinear(5, 3, 0.9), nn.Linear(5, 3)
    layer(normal(4, 5)).sum().backward()
    assert {n: p.shape for n, p in layer.named_parameters()} == {n: p.shape for n, p in linear.named_parameters()}
    assert (layer.weight != 0).all()
    linear.load_state_dict(layer.state_dict())
    assert torch.equal(layer.eval()(normal(4, 5)), linear(normal(4, 5)))


def test_drop_connect_has_the_mean_of_linear():
    """All 2^6 masks of a 2 x 3 layer, weighted by their probability."""
    weight, x, p = normal(2, 3, dtype=torch.float64), normal(1, 3, seed=1, dtype=torch.float64), 0.3
    mean = torch.zeros(1, 2, dtype=torch.float64)
    for bits in itertools.product([0, 1], repeat=6):
        mask = torch.tensor(bits, dtype=torch.float64).view(2, 3)
        mean += (1 - p) ** mask.sum() * p ** (6 - mask.sum()) * (x @ (mask * weight / (1 - p)).T)
    layer = DropConnectLinear(3, 2, p, bias=False, per_example=True, generator=seeded()).double()
    layer.weight.data = weight
    torch.testing.assert_close(layer.eval()(x), mean)
    sampled = layer.train()(x.expand(100_000, 3)).mean(dim=0)
    torch.testing.assert_close(sampled, mean[0], atol=0.02, rtol=0)  # standard error at most 0.004


# --- DropPath ----------------------------------------------------------------------------------------------------


def test_drop_path_equals_torchvision():
    ensure_torchvision()
    from torchvision.ops import StochasticDepth

    branch, state = normal(7, 3, 2), torch.get_rng_state()
    theirs = StochasticDepth(0.4, "row")(branch)
    torch.set_rng_state(state)
    assert torch.equal(drop_path(branch, 0.4, train=True), theirs)


def test_drop_path_drops_whole_examples():
    dropped = drop_path(torch.ones(400, 3, 2), 0.25, train=True, generator=seeded())
    kept = dropped.flatten(1)
    assert (kept == kept[:, :1]).all()
    torch.testing.assert_close(kept.unique(), torch.tensor([0.0, 4 / 3]))
    assert 260 < (kept[:, 0] > 0).sum() < 340
    assert torch.equal(drop_path(dropped, 0.25, train=False), dropped)


def test_rates_rise_from_0_to_the_last():
    assert linear_drop_rates(5, 0.2) == pytest.approx([0.0, 0.05, 0.1, 0.15, 0.2])
    assert linear_drop_rates(1, 0.2) == [0.0]
    assert 12 - sum(linear_drop_rates(12, 0.2)) == pytest.approx(12 * (1 - 0.2 / 2))
    with pytest.raises(ValueError, match="depth 0"):
        linear_drop_rates(0, 0.2)


class Counting(nn.Module):
    """Adds 1 to whatever comes, and counts its calls."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return torch.ones_like(x)


def run_stack(mode, training, last=0.8, passes=400):
    blocks = [Counting() for _ in range(5)]
    stack = ResidualStack(blocks, last, mode, generator=seeded()).train(training)
    sums = torch.stack([stack(torch.zeros(3, 2)) for _ in range(passes)])
    return sums, [block.calls / passes for block in blocks]


def test_per_example_mode_runs_every_block():
    sums, calls = run_stack("row", training=True)
    assert calls == [1.0] * 5
    assert len(sums[..., 0].unique(dim=1)) > 1 and (sums[:, 0] != sums[:, 1]).any()  # examples take their own paths
    torch.testing.assert_close(sums.mean(), torch.tensor(5.0), atol=0.2, rtol=0)


def test_batch_mode_skips_blocks_and_keeps_the_mean():
    sums, calls = run_stack("batch", training=True)
    assert calls == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2], abs=0.08)
    assert (sums == sums[:, :1, :1]).all()
    torch.testing.assert_close(sums.mean(), torch.tensor(5.0), atol=0.5, rtol=0)


@pytest.mark.parametrize("mode", ["row", "batch"])
def test_inference_runs_every_block_once(mode):
    sums, calls = run_stack(mode, training=False, passes=2)
    assert calls == [1.0] * 5 and (sums == 5).all()


def test_an_unknown_mode_is_refused():
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        with pytest.raises(ValueError, match="mode 'column' is unknown"):
            ResidualStack([nn.Identity()], 0.1, "column")
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


# --- targets -----------------------------------------------------------------------------------------------------


def test_smoothed_cross_entropy_is_torchs():
    logits, label = 100 * normal(6, 4), torch.tensor([0, 3, 1, 2, 2, 0])
    target = smooth_labels(label, 4, 0.2)
    torch.testing.assert_close(F.cross_entropy(logits, target), F.cross_entropy(logits, label, label_smoothing=0.2))
    torch.testing.assert_close(target.sum(dim=1), torch.ones(6))
    torch.testing.assert_close(target[0], torch.tensor([0.85, 0.05, 0.05, 0.05]))


def test_the_best_logits_are_finite():
    """Newton-free: the gradient of the smoothed loss vanishes at the lead that the docstring states."""
    smoothing, classes = 0.1, 10
    lead = torch.tensor((1 - smoothing + smoothing / classes) / (smoothing / classes)).log()
    logits = torch.zeros(1, classes)
    logits[0, 3] = lead
    logits.requires_grad_()
    F.cross_entropy(logits, torch.tensor([3]), label_smoothing=smoothing).backward()
    assert logits.grad.abs().max() < 1e-6


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_smoothing_outside_0_to_1_is_refused(smoothing):
    with pytest.raises(ValueError, match="outside"):
        smooth_labels(torch.tensor([0]), 3, smoothing)


def test_mixup_mixes_inputs_and_targets_alike():
    x, target = normal(5, 2, 3), F.one_hot(torch.tensor([0, 1, 2, 3, 0]), 4).float()
    mixed = mixup(x, target, alpha=1.0, generator=seeded())
    for b in range(5):
        own, other = mixed.share, 1 - mixed.share
        torch.testing.assert_close(mixed.input[b], own * x[b] + other * x[mixed.partner[b]])
        torch.testing.assert_close(mixed.target[b], own * target[b] + other * target[mixed.partner[b]])
    assert sorted(mixed.partner.tolist()) == [0, 1, 2, 3, 4]
    torch.testing.assert_close(mixed.target.sum(dim=1), torch.ones(5))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_mixup_draws_its_share_from_beta(alpha):
    generator, x, target = seeded(), torch.zeros(2, 1), torch.eye(2)
    shares = torch.tensor([mixup(x, target, alpha, generator).share for _ in range(2000)])
    assert abs(shares.mean() - 0.5) < 0.035
    torch.testing.assert_close(shares.var(), torch.tensor(1 / (4 * (2 * alpha + 1))), rtol=0.1, atol=0)


def test_mixup_needs_a_positive_alpha():
    with pytest.raises(ValueError, match="alpha 0"):
        mixup(torch.zeros(2, 1), torch.eye(2), 0.0)
