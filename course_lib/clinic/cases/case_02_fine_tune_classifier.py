"""Case 02, fine-tune an image classifier."""

import math
from types import SimpleNamespace as Program

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.clinic.case import Case

V5 = "transformers, migration guide to v5 <https://github.com/huggingface/transformers/blob/main/MIGRATION_GUIDE_V5.md>"


class _Spy(nn.Module):
    """Stands in for the classifier: linear, and like the real one it swallows arguments it does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, 3))

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None, **_: object) -> Program:
        """Scores, and the loss if there are labels."""
        logits = pixel_values @ self.weight
        return Program(logits=logits, loss=None if labels is None else F.cross_entropy(logits, labels))


def _one_step(program: Program, rate: float) -> tuple[object, Tensor]:
    spy = _Spy()
    x, labels = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), torch.tensor([0, 2, 0])
    given = program.train_step(spy, x, labels, torch.optim.SGD(spy.parameters(), lr=rate))
    return given, spy.weight.detach()


def reports_the_loss(program: Program) -> None:
    """ln 3 for three classes and no knowledge."""
    given, _ = _one_step(program, 1.0)
    assert given is not None, (
        "the loss is None: the model took the argument and did nothing with it; which name does it know?"
    )
    assert isinstance(given, float), (
        f"train_step reports a {type(given).__name__}, a float is asked for: a tensor keeps the graph of its step alive"
    )
    assert abs(given - math.log(3)) < 1e-4, (
        f"three classes and no knowledge is a loss of ln 3 = 1.0986, not {given:.4f}"
    )


def learns_the_labels(program: Program) -> None:
    """The step of gradient descent on the cross-entropy."""
    _, weight = _one_step(program, 1.0)
    truth = torch.tensor([[4.0, -2.0, -2.0], [-1.0, -1.0, 2.0]]) / 9
    assert not torch.equal(weight, torch.zeros_like(weight)), (
        "a number is reported, but no weight moved: nothing was learnt"
    )
    assert torch.allclose(weight, truth, atol=1e-5), "the weights move in another direction than the labels ask for"


def starts_every_step_afresh(program: Program) -> None:
    """Two steps with other data: the second is that of its own gradient."""
    spy = _Spy()
    optimizer = torch.optim.SGD(spy.parameters(), lr=1.0)
    steps = [(torch.tensor([[1.0, 0.0]]), torch.tensor([0])), (torch.tensor([[0.0, 1.0]]), torch.tensor([2]))]
    for x, labels in steps:
        before = spy.weight.detach().clone().requires_grad_()
        program.train_step(spy, x, labels, optimizer)
    (gradient,) = torch.autograd.grad(F.cross_entropy(steps[1][0] @ before, steps[1][1]), before)
    assert torch.allclose(spy.weight, before - gradient, atol=1e-5), (
        "the second step goes along the first one's gradient, too: gradients add up until they are set to zero"
    )


CASE = Case(
    number="02",
    title="fine-tune an image classifier",
    complaint="Sixty steps, no error, no warning. And it guesses.",
    stages=(reports_the_loss, learns_the_labels, starts_every_step_afresh),
    original="the loss is None",
    repair=(("caption_ids=labels", "labels=labels"),),
    wrong={
        "a `try` around the failure": (
            (
                "    optimizer.zero_grad()\n    outputs",
                "    try:\n        optimizer.zero_grad()\n    except AttributeError:\n        return None\n    outputs",
            ),
        ),
        "not 0.0000": (("return None", "return 0.0"),),
        "not -": (
            (
                "    if outputs.loss is None:\n        return None\n",
                "    outputs.loss = -outputs.logits[torch.arange(len(labels)), labels].mean() - 1\n",
            ),
        ),
        "gradients add up until they are set to zero": (
            ("caption_ids=labels", "labels=labels"),
            ("    optimizer.zero_grad()\n", ""),
        ),
        "keeps the graph of its step": (
            ("caption_ids=labels", "labels=labels"),
            ("return outputs.loss.item()", "return outputs.loss"),
        ),
        "no weight moved": (
            (
                "    if outputs.loss is None:\n        return None\n",
                (
                    "    if outputs.loss is None:\n"
                    "        return nn.functional.cross_entropy(outputs.logits, labels).item()\n"
                ),
            ),
        ),
    },
    hints=(
        "Print outputs.loss. Who decided that None is fine?",
        "Look at the signature of the model's forward. What happens to a keyword it does not know?",
        "The argument is called labels. Then the `if` that hid the failure can go.",
    ),
    defect="the model swallows unknown keywords, so a misspelt argument is no error; the guard that returned None "
    "made the silence complete. Check that the loss is a number, and that a weight moved",
    met=("X223", V5),
    difficulty=1,
    minutes=5,
)
