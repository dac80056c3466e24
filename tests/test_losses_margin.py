import pytest
import torch
from sklearn.metrics import hinge_loss
from torch.nn import functional as F

from course_lib.losses.margin import hinge, multiclass_hinge


def drawn(batch=7, classes=4):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(batch, classes, generator=generator, dtype=torch.float64)
    return logits.requires_grad_(), torch.arange(batch) % classes


def test_hinge_is_scikit_learns_and_torchs():
    logits, label = drawn(classes=2)
    score = logits[:, 0]
    ours = hinge(score, label)
    assert ours.item() == pytest.approx(hinge_loss(label, score.detach()))
    torch.testing.assert_close(ours, F.margin_ranking_loss(score, torch.zeros(7), 2.0 * label - 1, margin=1.0))


def test_multiclass_hinge_is_scikit_learns():
    logits, label = drawn()
    assert multiclass_hinge(logits, label).item() == pytest.approx(hinge_loss(label, logits.detach()))


def test_two_classes_are_the_binary_case():
    logits, label = drawn(classes=2)
    ours, binary = multiclass_hinge(logits, label), hinge(logits[:, 1] - logits[:, 0], label)
    torch.testing.assert_close(ours, binary)
    torch.testing.assert_close(*(torch.autograd.grad(loss, logits)[0] for loss in (ours, binary)))


def test_torchs_multi_margin_sums_over_rivals():
    logits, label = torch.zeros(3, 4), torch.tensor([0, 1, 2])
    assert multiclass_hinge(logits, label, margin=2.0).item() == 2.0
    assert F.multi_margin_loss(logits, label, margin=2.0).item() == pytest.approx(2.0 * 3 / 4)


def test_only_the_strongest_rival_and_the_label_get_a_gradient():
    logits = torch.tensor([[0.0, 0.9, 1.0, 0.2, -3.0]], requires_grad=True)
    multiclass_hinge(logits, torch.tensor([0])).backward()
    assert logits.grad.tolist() == [[-1.0, 0.0, 1.0, 0.0, 0.0]]


def test_nothing_moves_past_the_margin():
    score = torch.tensor([1.0, 5.0, 1e4, -1e4], requires_grad=True)
    loss = hinge(score, torch.tensor([1, 1, 1, 0]), margin=1.0)
    loss.backward()
    assert loss.item() == 0 and score.grad.tolist() == [0, 0, 0, 0]


def test_extreme_mistakes_are_finite():
    score = torch.tensor([-1e4], requires_grad=True)
    hinge(score, torch.tensor([1])).backward()
    assert score.grad.item() == -1
    assert multiclass_hinge(torch.tensor([[1e4, -1e4]]), torch.tensor([1])).item() == 2e4 + 1


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: hinge(torch.zeros(2), torch.tensor([-1, 1])), r"labels \[-1, 1\] are not 0 and 1"),
        (lambda: multiclass_hinge(torch.zeros(2, 1), torch.tensor([0, 0])), "a margin needs a rival"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
