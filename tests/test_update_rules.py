"""Update rules against torch.optim step for step, against hand arithmetic, and by what each one is invariant to."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from course_lib.training import update_rules as rules
from course_lib.training.config import TrainConfig
from course_lib.training.loop import fit
from course_lib.training.optimizer import parameter_groups

MATRIX, VECTOR = (5, 3), (7,)
SAME_AS_TORCH = {
    "sgd": (rules.sgd, partial(torch.optim.SGD, lr=0.1), {"lr": 0.1}),
    "sgd, L2": (rules.sgd, partial(torch.optim.SGD, lr=0.1, weight_decay=0.3), {"lr": 0.1, "weight_decay": 0.3}),
    "momentum": (rules.momentum, partial(torch.optim.SGD, lr=0.05, momentum=0.8), {"lr": 0.05, "keep": 0.8}),
    "nesterov": (
        rules.nesterov,
        partial(torch.optim.SGD, lr=0.05, momentum=0.8, nesterov=True),
        {"lr": 0.05, "keep": 0.8},
    ),
    "adagrad": (rules.adagrad, partial(torch.optim.Adagrad, lr=0.1), {"lr": 0.1}),
    "rmsprop": (rules.rmsprop, partial(torch.optim.RMSprop, lr=0.02), {"lr": 0.02}),
    "adadelta": (rules.adadelta, torch.optim.Adadelta, {}),
    "adam": (rules.adam, partial(torch.optim.Adam, lr=0.02), {"lr": 0.02}),
    "adam, L2": (
        rules.adam,
        partial(torch.optim.Adam, lr=0.02, betas=(0.8, 0.95), weight_decay=0.3),
        {"lr": 0.02, "betas": (0.8, 0.95), "l2": 0.3},
    ),
    "adamw": (
        rules.adamw,
        partial(torch.optim.AdamW, lr=0.02, weight_decay=0.3, eps=1e-3),
        {"lr": 0.02, "weight_decay": 0.3, "eps": 1e-3},
    ),
    "adamax": (rules.adamax, partial(torch.optim.Adamax, lr=0.02), {"lr": 0.02}),
    "adafactor": (
        rules.adafactor,
        partial(torch.optim.Adafactor, lr=0.3, weight_decay=0.1),
        {"lr": 0.3, "weight_decay": 0.1},
    ),
    "muon": (rules.muon, partial(torch.optim.Muon, lr=0.02), {"lr": 0.02}),
    "muon, Adam's size": (
        rules.muon,
        partial(torch.optim.Muon, lr=0.02, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
        {"lr": 0.02, "weight_decay": 0.0, "match_adam": True},
    ),
}


def gradients(shape, steps=20, seed=0, dtype=torch.float64):
    """Of very different sizes, in one element zero, as in a real network."""
    generator = torch.Generator().manual_seed(seed)
    scale = torch.logspace(-4, 1, math.prod(shape), dtype=dtype).view(shape)
    scale.view(-1)[2] = 0.0
    return [scale * torch.randn(shape, generator=generator, dtype=dtype) for _ in range(steps)]


def run(rule, start, grads, **settings):
    parameter, state = start, {}
    for gradient in grads:
        parameter, state = rule(parameter, gradient, state, **settings)
    return parameter, state


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("shape", [MATRIX, (3, 5), VECTOR], ids=str)
@pytest.mark.parametrize("name", SAME_AS_TORCH)
def test_twenty_steps_are_those_of_torch(name, shape, dtype):
    rule, build, settings = SAME_AS_TORCH[name]
    if "muon" in name and len(shape) != 2:
        return
    start = torch.linspace(-2, 3, math.prod(shape), dtype=dtype).view(shape)
    theirs = nn.Parameter(start.clone())
    optimizer = build([theirs], foreach=False) if "muon" not in name else build([theirs])
    ours, state, tolerance = start.clone(), {}, 1e-12 if dtype is torch.float64 else 1e-6
    for gradient in gradients(shape, dtype=dtype):
        theirs.grad = gradient.clone()
        optimizer.step()
        ours, state = rule(ours, gradient, state, **settings)
        torch.testing.assert_close(ours, theirs.data, rtol=tolerance, atol=tolerance)
    assert not torch.equal(ours, start)


@pytest.mark.parametrize("name", [*SAME_AS_TORCH, "lion"])
def test_nothing_is_changed_in_place(name):
    rule, settings = (rules.lion, {"lr": 0.1}) if name == "lion" else SAME_AS_TORCH[name][::2]
    start, gradient = torch.ones(MATRIX), torch.full(MATRIX, 2.0)
    moved, state = rule(start, gradient, {}, **settings)
    kept = {key: value.clone() for key, value in state.items() if isinstance(value, torch.Tensor)}
    rule(moved, gradient, state, **settings)
    assert torch.equal(start, torch.ones(MATRIX)) and torch.equal(gradient, torch.full(MATRIX, 2.0))
    assert all(torch.equal(state[key], value) for key, value in kept.items())


def test_momentum_of_a_steady_gradient_grows_to_ten_times():
    parameter, state = run(rules.momentum, torch.zeros(1), [torch.ones(1)] * 200, lr=1.0)
    assert state["velocity"].item() == pytest.approx(10.0, rel=1e-5)


def test_adagrad_after_four_equal_gradients_has_half_the_rate():
    first, _ = run(rules.adagrad, torch.zeros(1), [torch.full((1,), 3.0)], lr=0.2)
    before, _ = run(rules.adagrad, torch.zeros(1), [torch.full((1,), 3.0)] * 3, lr=0.2)
    after, _ = run(rules.adagrad, torch.zeros(1), [torch.full((1,), 3.0)] * 4, lr=0.2)
    assert first.item() == pytest.approx(-0.2)
    assert (after - before).item() == pytest.approx(-0.1, rel=1e-6)


@pytest.mark.parametrize("name", ["adagrad", "rmsprop", "adam", "adamax", "lion"])
def test_scaling_the_loss_changes_nothing(name):
    rule, start, grads = getattr(rules, name), torch.linspace(-2, 3, 7, dtype=torch.float64), gradients(VECTOR)
    settings = {"lr": 0.1} | ({} if name == "lion" else {"eps": 1e-20})
    plain, _ = run(rule, start, grads, **settings)
    scaled, _ = run(rule, start, [1000 * g for g in grads], **settings)
    torch.testing.assert_close(plain, scaled)


def test_adadelta_needs_no_learning_rate_that_knows_the_scale_of_the_loss():
    ends = []
    for scale in (1.0, 100.0, 1e4):  # the loss scale * x^2; eps = 1e-6 is small beside the squares of its gradients
        x, state = torch.ones(1, dtype=torch.float64), {}
        for _ in range(200):
            x, state = rules.adadelta(x, 2 * scale * x, state, keep=0.95)
        ends.append(x.item())
    assert max(ends) - min(ends) < 1e-4
    assert ends[0] < 0.5


def test_the_decay_of_adamw_ignores_the_size_of_the_gradient_and_that_of_adam_does_not():
    grads = [torch.tensor([0.01, 10.0], dtype=torch.float64) * (-1.0) ** k for k in range(300)]
    start = torch.ones(2, dtype=torch.float64)
    decoupled, _ = run(rules.adamw, start, grads, lr=1e-2, weight_decay=0.1)
    penalised, _ = run(rules.adam, start, grads, lr=1e-2, l2=0.1)
    assert (decoupled[0] - decoupled[1]).abs() < 1e-6
    assert penalised[0] < 0.1 < 0.9 < penalised[1]


def test_without_correction_the_first_adam_step_is_root_ten_times_as_long():
    moved, _ = rules.adam(torch.zeros(1), torch.full((1,), 5.0), {}, lr=1.0, correct=False)
    assert -moved.item() == pytest.approx((1 - 0.9) / math.sqrt(1 - 0.999), rel=1e-5)


def test_lion_by_hand():
    start = torch.tensor([1.0, -2.0, 0.5])
    first, state = rules.lion(start, torch.tensor([3.0, -0.001, 0.0]), {}, lr=0.1, weight_decay=0.5)
    torch.testing.assert_close(first, start * 0.95 - 0.1 * torch.tensor([1.0, -1.0, 0.0]))
    torch.testing.assert_close(state["mean"], torch.tensor([0.03, -0.00001, 0.0]))
    # 0.9 * 0.03 - 0.1 * 0.2 > 0: the average outvotes a gradient of the other sign
    second, _ = rules.lion(first, torch.tensor([-0.2, 0.0, 0.0]), state, lr=0.1)
    torch.testing.assert_close(first - second, torch.tensor([0.1, -0.1, 0.0]))


def test_adafactor_remembers_a_matrix_of_rank_one_exactly():
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.rand(5, 1, generator=generator) + 0.1, torch.rand(1, 3, generator=generator) + 0.1
    signs = torch.randn(5, 3, generator=generator).sign()
    start = torch.zeros(5, 3)
    moved, state = rules.adafactor(start, signs * rows * columns, {}, lr=0.01)
    torch.testing.assert_close(moved, -signs * 0.01 * 1e-3)  # every entry divided by its own size
    assert (state["rows"].shape, state["columns"].shape) == ((5, 1), (1, 3))


@pytest.mark.parametrize("shape", [(6, 11), (11, 6), (8, 8)], ids=str)
def test_orthogonalise_keeps_the_vectors_and_evens_the_values(shape):
    generator = torch.Generator().manual_seed(0)
    u, _, v = torch.linalg.svd(torch.randn(shape, generator=generator, dtype=torch.float64), full_matrices=False)
    values = torch.logspace(0, -1.5, min(shape), dtype=torch.float64)
    got = u.T @ rules.orthogonalise(u @ values.diag() @ v) @ v.T
    assert (got - got.diag().diag()).abs().max() < 1e-10
    assert got.diag().min() > 0.6 and got.diag().max() < 1.3


def test_muon_turns_with_the_coordinates_and_adam_does_not(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    left = torch.linalg.qr(torch.randn(5, 5, generator=generator, dtype=torch.float64))[0]
    start, grads = torch.zeros(MATRIX, dtype=torch.float64), gradients(MATRIX, steps=4)
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda tensor: tensor)  # rounding does not turn with anything
    for rule, turns in ((rules.muon, True), (rules.momentum, True), (rules.adam, False), (rules.lion, False)):
        plain, _ = run(rule, start, grads, lr=0.1)
        turned, _ = run(rule, start, [left @ gradient for gradient in grads], lr=0.1)
        assert torch.allclose(left @ plain, turned, atol=1e-6) is turns, rule.__name__


def test_a_learning_rate_per_row_is_a_batch_of_runs():
    rates = torch.tensor([[0.01], [0.1], [0.5]], dtype=torch.float64)
    grads = gradients((3, 4))
    for rule in (rules.sgd, rules.momentum, rules.nesterov, rules.adagrad, rules.rmsprop, rules.adam, rules.adamax):
        together, _ = run(rule, torch.ones(3, 4, dtype=torch.float64), grads, lr=rates)
        for row in range(3):
            alone, _ = run(rule, torch.ones(4, dtype=torch.float64), [g[row] for g in grads], lr=rates[row].item())
            torch.testing.assert_close(together[row], alone)


@pytest.mark.parametrize("limit", [0.5, 4.9, 5.1, 1000.0])
def test_clipping_is_that_of_torch(limit):
    grads = [torch.tensor([3.0, 0.0]), torch.tensor([[0.0], [-4.0], [0.0]])]  # joint norm 5
    clipped, norm = rules.clip_global_norm(grads, limit)
    parameters = [nn.Parameter(torch.zeros_like(g)) for g in grads]
    for parameter, gradient in zip(parameters, grads, strict=True):
        parameter.grad = gradient.clone()
    nn.utils.clip_grad_norm_(parameters, limit)
    assert norm.item() == pytest.approx(5.0)
    assert torch.cat([g.flatten() for g in clipped]).norm().item() == pytest.approx(min(limit, 5.0), rel=1e-5)
    for ours, parameter in zip(clipped, parameters, strict=True):
        torch.testing.assert_close(ours, parameter.grad)


STATE = {"sgd": 0, "momentum": 15, "rmsprop": 15, "lion": 15, "muon": 15, "adam": 30, "adamax": 30, "adadelta": 30}
STATE |= {"adafactor": 5 + 3}


@pytest.mark.parametrize("name, numbers", STATE.items())
def test_what_a_rule_keeps(name, numbers):
    rule = getattr(rules, name)
    _, state = run(rule, torch.ones(MATRIX), gradients(MATRIX, 2, dtype=torch.float32), lr=0.1)
    assert rules.state_numbers([state]) == numbers
    if name not in ("lion", "sgd", "momentum"):
        _, build, _ = SAME_AS_TORCH[name]
        weight = nn.Parameter(torch.ones(MATRIX))
        weight.grad = torch.ones(MATRIX)
        optimizer = build([weight])
        optimizer.step()
        assert rules.state_numbers(optimizer.state.values()) == numbers


def test_fit_trains_with_a_rule_as_with_torch():
    data = (torch.randn(32, 6, generator=torch.Generator().manual_seed(0)),)
    config = TrainConfig(steps=10, batch_size=8, learning_rate=0.02, schedule="cosine", warmup_steps=2)
    trained = []
    for build in (
        lambda model: torch.optim.AdamW(parameter_groups(model, 0.1), lr=1.0),
        lambda model: rules.RuleOptimizer(parameter_groups(model, 0.1), rules.adamw, lr=1.0),
    ):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5), nn.Linear(5, 1))
        fit(model, data, lambda model, batch: model(batch[0]).square().mean(), config, optimizer=build)
        trained.append(model.state_dict())
    for name, ours in trained[1].items():
        torch.testing.assert_close(ours, trained[0][name], rtol=0, atol=1e-6)


def test_a_group_may_have_a_rule_of_its_own_and_frozen_weights_stay():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2, bias=False))
    groups = [
        {"params": [model[0].weight], "rule": partial(rules.muon, match_adam=True)},
        {"params": [model[0].bias, model[1].weight]},
    ]
    optimizer = rules.RuleOptimizer(groups, rules.adamw, lr=0.1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model[0](torch.ones(2, 4)).square().mean().backward()  # the second layer gets no gradient
    optimizer.step()
    assert torch.equal(model[1].weight, before["1.weight"])
    assert set(optimizer.state[model[0].weight]) == {"mean"}
    assert set(optimizer.state[model[0].bias]) == {"step", "mean", "square"}


def test_a_setting_that_the_rule_does_not_know_is_refused():
    model = nn.Linear(3, 2)
    model(torch.ones(1, 3)).sum().backward()
    with pytest.raises(TypeError, match="weight_decay"):
        rules.RuleOptimizer(parameter_groups(model, 0.1), rules.rmsprop, lr=0.1).step()
