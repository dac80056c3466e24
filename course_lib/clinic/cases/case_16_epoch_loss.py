"""Case 16, the mean loss of an epoch."""

import weakref
from types import SimpleNamespace as Program

import torch
from torch import nn

from course_lib.clinic.case import Case


def _epoch(program: Program, count: int) -> tuple[float | torch.Tensor, int, nn.Module]:
    """Mean loss, the most activations alive at the start of a step, the trained model."""
    torch.manual_seed(0)
    model, alive, most = program.build(), [], []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept = tensor.detach()
        alive.append(weakref.ref(kept))
        return kept

    model.register_forward_pre_hook(lambda *_: most.append(sum(ref() is not None for ref in alive)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    batches = program.make_batches(count, 4 + count, seed=1)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept):
        mean = program.train_epoch(model, batches, optimizer)
    return mean, max(most[1:]), model


def trains_and_reports(program: Program) -> None:
    """The truth by a loop of its own."""
    mean, _, model = _epoch(program, 7)
    torch.manual_seed(0)
    other, values = program.build(), []
    for x, y in program.make_batches(7, 11, seed=1):
        loss = (other(x) - y).pow(2).mean()
        values.append(loss.item())
        for p, g in zip(other.parameters(), torch.autograd.grad(loss, list(other.parameters())), strict=True):
            p.data -= 0.05 * g
    same = all(torch.allclose(a, b, atol=1e-5) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    assert same, "the model is not trained as before: the loss lost its graph before the backward pass"
    number = mean.item() if isinstance(mean, torch.Tensor) else mean
    assert abs(number - sum(values) / 7) < 1e-5, "the mean over all batches is asked for, each of them once"


def forgets_the_graph(program: Program) -> None:
    """What is kept does not grow with the number of batches."""
    mean = _epoch(program, 5)[0]
    assert not getattr(mean, "requires_grad", False), (
        "the mean still carries the graph of every batch: only its number is needed"
    )
    few, many = _epoch(program, 5)[1], _epoch(program, 25)[1]
    assert many <= few + 8, "what is kept in memory grows with the number of batches"


_ADD, _BACK = "        total += loss\n", "        loss.backward()\n"

CASE = Case(
    number="16",
    title="the mean loss of an epoch",
    complaint="Batch 1 fits into memory, batch 20,000 does not. They are equally large.",
    stages=(trains_and_reports, forgets_the_graph),
    original="the graph of every batch",
    repair=((_ADD, "        total += loss.item()\n"),),
    wrong={
        "lost its graph before the backward pass": (
            (
                "        loss = (model(x) - y).pow(2).mean()\n",
                "        with torch.no_grad():\n            loss = (model(x) - y).pow(2).mean()\n",
            ),
            (_BACK, "        loss.requires_grad_().backward()\n"),
        ),
        "each of them once": ((_ADD, "        total = loss.item()\n"),),
        "the graph of every batch": ((_ADD, "        total += loss\n        del loss\n"),),
        "what is kept in memory grows": (
            ("    total = 0.0\n", "    total, kept = 0.0, []\n"),
            (_ADD, "        kept.append(loss)\n        total += loss.item()\n"),
            (_BACK, "        loss.backward(retain_graph=True)\n"),
        ),
        "a `try` around the failure": (
            (
                _BACK,
                (
                    "        try:\n            loss.backward()\n        except torch.OutOfMemoryError:\n"
                    "            continue\n"
                ),
            ),
        ),
    },
    hints=(
        "What does `total` know besides its value?",
        "A sum of losses remembers every operation behind every one of them, so nothing can be freed.",
        "total += loss.item()",
    ),
    defect="a sum of tensors that carry their graph keeps every batch alive. Add numbers: loss.item(), or "
    "loss.detach() where waiting for the device would cost time",
    met=(
        "PyTorch, FAQ: don't accumulate history across your training loop "
        "<https://docs.pytorch.org/docs/stable/notes/faq.html>",
    ),
    difficulty=1,
    minutes=5,
)
