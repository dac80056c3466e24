"""Case 13, a classifier of ten classes."""

import math
from types import SimpleNamespace as Program

import torch
from torch.nn import functional as F

from course_lib.clinic.case import Case


def _trained(program: Program) -> tuple:
    model = program.Classifier()
    x, labels = program.make_data(64, seed=3)
    return model, x, labels


def loss_is_cross_entropy(program: Program) -> None:
    """Against the raw scores of the layers."""
    model, x, labels = _trained(program)
    with torch.no_grad():
        for parameter in model.layers.parameters():
            parameter.mul_(3)
    scores, got = model.layers(x), program.loss(model, x, labels)
    assert got.item() >= 0, "a negative loss: nll_loss wants log-probabilities, not probabilities"
    shifted = F.cross_entropy(scores.softmax(-1), labels) - math.log(math.e + 9) + 1
    assert abs(got.item() - shifted.item()) > 1e-3, (
        "the floor was subtracted: the curve looks better, the gradient is the same"
    )
    truth = F.cross_entropy(scores, labels)
    (wanted,) = torch.autograd.grad(truth, model.layers[0].weight, retain_graph=True)
    (gradient,) = torch.autograd.grad(got, model.layers[0].weight)
    ratio = (gradient * wanted).sum() / wanted.pow(2).sum()
    assert torch.allclose(gradient, wanted, atol=1e-5) or abs(ratio - 1) > 0.05, (
        "nearly the gradient of cross-entropy, but not where the true class has a probability near 0: an epsilon in "
        "the logarithm hides those examples; log_softmax needs none"
    )
    assert torch.allclose(gradient, wanted, atol=1e-5), (
        f"not the gradient of cross-entropy on the layers' scores (about {ratio:.1f} times): cross_entropy "
        f"takes the softmax itself"
    )
    assert abs(got.item() - truth.item()) < 1e-4, "the gradient is right, the value is not"


def survives_sure_mistakes(program: Program) -> None:
    """Scores of thousands: softmax is exactly 0 for most classes, the loss is a difference of scores."""
    model, x, labels = _trained(program)
    with torch.no_grad():
        model.layers[-1].weight.mul_(1e4)
    got, truth = program.loss(model, x, labels), F.cross_entropy(model.layers(x), labels)
    assert got.isfinite(), (
        "the loss is inf when the model is sure and wrong: the logarithm of a probability that has become 0; take the "
        "scores, or log_softmax"
    )
    assert abs(got.item() / truth.item() - 1) < 1e-4, (
        f"for a model that is sure and wrong the loss is {truth.item():.0f}, got {got.item():.0f}: something caps it"
    )
    (gradient,) = torch.autograd.grad(got, model.layers[0].weight)
    assert gradient.isfinite().all(), "the loss of a sure mistake is finite, its gradient is not"


def users_get_probabilities(program: Program) -> None:
    """Rows sum to 1 and are the softmax of the scores."""
    model, x, _ = _trained(program)
    given = program.probabilities(model, x)
    inside, columns = ((given >= 0) & (given <= 1)).all(), given.sum(dim=0)
    assert not torch.allclose(columns, torch.ones(10), atol=1e-5), (
        "the columns sum to 1 and not the rows: the softmax runs over the examples"
    )
    assert not inside or torch.allclose(given.sum(dim=-1), torch.ones(64), atol=1e-5), (
        "users get numbers from 0 to 1 whose rows do not sum to 1: a sigmoid for each class is no distribution"
    )
    assert torch.allclose(given.sum(dim=-1), torch.ones(64), atol=1e-5), "users now get scores instead of probabilities"
    assert torch.allclose(given, model.layers(x).softmax(dim=-1), atol=1e-5), "users get a softmax of a softmax"


_SOFT, _USER, _CE = "self.layers(x).softmax(dim=-1)", "    return model(x)\n", "F.cross_entropy(model(x), labels)"

CASE = Case(
    number="13",
    title="a classifier of ten classes",
    complaint="The accuracy is fine, but the loss will not go below 1.46, whatever I do.",
    stages=(loss_is_cross_entropy, survives_sure_mistakes, users_get_probabilities),
    original="cross_entropy takes the softmax itself",
    repair=((_SOFT, "self.layers(x)"), (_USER, "    return model(x).softmax(dim=-1)\n")),
    wrong={
        "users now get scores": ((_SOFT, "self.layers(x)"),),
        "over the examples": ((_SOFT, "self.layers(x)"), (_USER, "    return model(x).softmax(dim=0)\n")),
        "no distribution": ((_SOFT, "self.layers(x)"), (_USER, "    return model(x).sigmoid()\n")),
        "a negative loss": ((_CE, "F.nll_loss(model(x), labels)"),),
        "the logarithm of a probability that has become 0": ((_CE, "F.nll_loss(model(x).log(), labels)"),),
        "something caps it": ((_CE, "F.nll_loss(model(x).clamp_min(1e-35).log(), labels)"),),
        "the floor was subtracted": ((_CE, _CE + " - 1.4612"),),
        "an epsilon in the logarithm": ((_CE, "F.nll_loss((model(x) + 1e-8).log(), labels)"),),
        "cross_entropy takes the softmax itself": ((_CE, "F.cross_entropy(10 * model(x), labels)"),),
        "a `try` around the failure": (
            (
                f"    return {_CE}",
                f"    try:\n        return {_CE}\n    except ValueError:\n        return torch.zeros(())",
            ),
        ),
    },
    hints=(
        "The best softmax output is 1 and nine zeros. What does cross_entropy make of those ten numbers?",
        "ln(e + 9) - 1 = 1.46. The loss takes a softmax of what it gets.",
        "forward returns the scores; `probabilities` takes the softmax.",
    ),
    defect="softmax twice: the second one sees numbers in [0, 1], so even a perfect answer costs ln(e + K - 1) - 1. "
    "A floor that fits a formula is a bug, not a hard problem",
    met=(
        (
            "PyTorch, CrossEntropyLoss expects unnormalised logits "
            "<https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html>"
        ),
    ),
    difficulty=1,
    minutes=5,
)
