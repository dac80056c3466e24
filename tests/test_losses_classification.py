import math

import jaxtyping
import pytest
import torch
from torch.nn import functional as F

from course_lib.losses.classification import IGNORE, cross_entropy, focal, poly1


def drawn(*axes, classes=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(*axes, classes, generator=generator, dtype=torch.float64)
    return logits.requires_grad_(), torch.randint(0, classes, axes, generator=generator)


def same_value_and_gradient(ours, theirs, logits):
    torch.testing.assert_close(ours, theirs)
    (mine,), (other,) = torch.autograd.grad(ours, logits), torch.autograd.grad(theirs, logits)
    torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignored", [0, 3])
def test_cross_entropy_is_torchs(smoothing, weighted, ignored):
    logits, label = drawn(7)
    label[:ignored] = IGNORE
    weight = torch.tensor([0.5, 1, 2, 7, 0], dtype=torch.float64) if weighted else None
    label[-1] = 3
    ours = cross_entropy(logits, label, weight=weight, smoothing=smoothing)
    same_value_and_gradient(ours, F.cross_entropy(logits, label, weight=weight, label_smoothing=smoothing), logits)


def test_tokens_have_their_classes_last():
    logits, label = drawn(2, 3)
    label[1, 2] = 9
    ours = cross_entropy(logits, label, ignore_index=9)
    same_value_and_gradient(ours, F.cross_entropy(logits.mT, label, ignore_index=9), logits)


def test_gradient_is_probability_minus_target():
    logits, label = drawn(7)
    (gradient,) = torch.autograd.grad(cross_entropy(logits, label), logits)
    torch.testing.assert_close(gradient, (logits.softmax(-1) - F.one_hot(label, 5)).detach() / 7)


@pytest.mark.parametrize("loss", [cross_entropy, focal, poly1])
def test_chance_best_and_extreme_logits(loss):
    chance = {cross_entropy: math.log(4), focal: 0.75**2 * math.log(4), poly1: math.log(4) + 0.75}[loss]
    assert loss(torch.zeros(3, 4), torch.tensor([0, 3, 1])).item() == pytest.approx(chance, rel=1e-6)
    worst = {cross_entropy: 2e4, focal: 2e4, poly1: 2e4 + 1}[loss]
    for right, expected in ((0, 0.0), (1, worst)):
        logits = torch.tensor([[1e4, -1e4, -1e4]], requires_grad=True)
        value = loss(logits, torch.tensor([right]))
        value.backward()
        assert value.item() == pytest.approx(expected) and logits.grad.isfinite().all()


def test_smoothing_is_best_at_the_smoothed_target_and_costs_its_entropy():
    target = torch.tensor([[0.02, 0.02, 0.92, 0.02, 0.02]], dtype=torch.float64)
    logits = target.log().requires_grad_()
    loss = cross_entropy(logits, torch.tensor([2]), smoothing=0.1)
    assert loss.item() == pytest.approx(-(target * target.log()).sum().item())
    (gradient,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-12, rtol=0)


def test_a_masked_class_costs_nothing_without_smoothing():
    logits = torch.tensor([[1.0, 2.0, -math.inf]])
    assert cross_entropy(logits, torch.tensor([0])).item() == pytest.approx(math.log(1 + math.e))


def test_an_ignored_position_is_never_read():
    logits, label = drawn(2, 3)
    label[0, 1] = IGNORE
    for loss in (cross_entropy, focal, poly1):
        changed = logits.detach().clone()
        changed[0, 1] = 1e6
        assert loss(changed, label) == loss(logits, label)


def test_focal_without_focus_is_cross_entropy_and_alpha_does_not_divide():
    logits, label = drawn(7)
    same_value_and_gradient(focal(logits, label, gamma=0.0), F.cross_entropy(logits, label), logits)
    twice = focal(logits, label, alpha=torch.full((5,), 2.0, dtype=torch.float64))
    torch.testing.assert_close(twice, 2 * focal(logits, label))


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_binary_focal_is_the_sigmoid_form(gamma):
    logits, label = drawn(11, classes=1)
    label = torch.arange(11) % 2
    z, y = logits[:, 0], label.double()
    p = torch.sigmoid(z)
    p_t, alpha_t = p * y + (1 - p) * (1 - y), 0.25 * y + 0.75 * (1 - y)
    by_hand = (alpha_t * (1 - p_t) ** gamma * F.binary_cross_entropy_with_logits(z, y, reduction="none")).mean()
    pair = torch.stack([torch.zeros_like(z), z], dim=1)
    ours = focal(pair, label, gamma=gamma, alpha=torch.tensor([0.75, 0.25], dtype=torch.float64))
    same_value_and_gradient(ours, by_hand, logits)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_has_a_gradient_where_the_example_is_certain(gamma):
    logits = torch.tensor([[0.0, 200.0]], requires_grad=True)
    focal(logits, torch.tensor([1]), gamma=gamma).backward()
    torch.testing.assert_close(logits.grad, torch.zeros(1, 2))


def test_focal_gradient_by_finite_differences():
    logits, label = drawn(3)
    assert torch.autograd.gradcheck(lambda z: focal(z, label, gamma=1.5), logits)


def test_poly1_is_the_series_with_another_first_coefficient():
    logits, label = drawn(7)
    logits = (logits / 3).detach().requires_grad_()  # below p = 0.01 the series needs thousands of terms
    q = 1 - logits.softmax(-1).gather(1, label[:, None])[:, 0]
    series = sum((1 + (j == 1) * 0.7) * q**j / j for j in range(1, 2000))
    torch.testing.assert_close(poly1(logits, label, epsilon=0.7), series.mean(), rtol=1e-9, atol=1e-9)
    same_value_and_gradient(poly1(logits, label, epsilon=0.0), F.cross_entropy(logits, label), logits)


@pytest.fixture
def without_shape_hook():
    """Learners have no import hook: the function itself must refuse."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda z, y: cross_entropy(z, torch.full_like(y, IGNORE)), "all 7 labels are -100"),
        (lambda z, y: cross_entropy(z, y + 1), "labels from 1 to 5 do not fit 5 classes"),
        (lambda z, y: focal(z, y - 1), "labels from -1 to 3 do not fit"),
        (lambda z, y: cross_entropy(z, y, smoothing=1.0), r"smoothing 1.0 is outside \[0, 1\)"),
        (
            lambda z, y: cross_entropy(z, y, weight=torch.zeros(5).double()),
            "weight .* leaves nothing: it is 0 for every class",
        ),
        (
            lambda z, y: cross_entropy(z, y, weight=torch.ones(4).double()),
            r"weight has shape \(4,\), but cross_entropy takes \(K,\) with K = 5 as in logits",
        ),
        (
            lambda z, y: cross_entropy(z.T, y),
            r"label has shape \(7,\), but cross_entropy takes \(\*batch,\) with \*batch = \(5,\) as in logits",
        ),
        (lambda z, y: focal(z, y, gamma=-1.0), "gamma -1.0 would raise the weight of easy examples"),
    ],
)
def test_what_does_not_fit_is_refused(call, message, without_shape_hook):
    logits, _ = drawn(7)
    with pytest.raises(ValueError, match=message):
        call(logits, torch.tensor([0, 1, 2, 3, 4, 0, 1]))
