"""Case 16, the mean loss of an epoch."""

import weakref
from types import SimpleNamespace as Program
from typing import Any, NamedTuple

import torch
from torch import nn

from course_lib.clinic.case import Case


class _Token:
    """Lives as long as the graph that holds it."""


class _Mark(torch.autograd.Function):
    """Passes its input on; its node carries a token."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, graphs: list) -> torch.Tensor:
        ctx.token = _Token()
        graphs.append(weakref.ref(ctx.token))
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient, None


class Epoch(NamedTuple):
    """What an epoch left behind."""

    mean: float | torch.Tensor
    activations: int
    """The most that were alive at the start of a step."""
    graphs: int
    """The most batches whose graph was alive at the start of a step."""
    model: nn.Module


def _epoch(program: Program, count: int) -> Epoch:
    torch.manual_seed(0)
    model, kept, graphs, most = program.build(), [], [], []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        copy = tensor.detach()
        kept.append(weakref.ref(copy))
        return copy

    def count_alive(*_: object) -> None:
        most.append([sum(ref() is not None for ref in refs) for refs in (kept, graphs)])

    model.register_forward_pre_hook(count_alive)
    model.register_forward_hook(lambda _model, _inputs, out: _Mark.apply(out, graphs))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    batches = program.make_batches(count, 4 + count, seed=1)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda copy: copy):
        mean = program.train_epoch(model, batches, optimizer)
    activations, alive = (max(column) for column in zip(*most[1:], strict=True))
    return Epoch(mean, activations, alive, model)


def trains_and_reports(program: Program) -> None:
    """The truth by a loop of its own."""
    mean, _, _, model = _epoch(program, 7)
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
    few, many = _epoch(program, 5), _epoch(program, 25)
    assert not getattr(few.mean, "requires_grad", False), (
        "the mean still carries the graph of every batch: only its number is needed"
    )
    assert many.activations <= few.activations + 8, "what is kept in memory grows with the number of batches"
    assert many.graphs <= few.graphs + 2, (
        "the graphs are dropped after the epoch, and until then they pile up: take the number of each loss in the loop"
    )


_ADD, _BACK = "        total += loss\n", "        loss.backward()\n"

CASE = Case(
    number="16",
    title="the mean loss of an epoch",
    complaint="Memory grows with every batch, a little. The batches are equally large; after a day the job is killed.",
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
        "take the number of each loss in the loop": (
            ("    return total / len(batches)", "    return (total / len(batches)).item()"),
        ),
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
        "A sum of losses remembers every operation behind every one of them, so the graph of no batch can be freed.",
        "total += loss.item()",
    ),
    defect="a sum of tensors that carry their graph remembers the operations of every batch; without a backward pass, "
    "as in validation, all activations as well. Add numbers: loss.item(), or loss.detach() where waiting for the "
    "device would cost time",
    met=(
        "PyTorch, FAQ: don't accumulate history across your training loop "
        "<https://docs.pytorch.org/docs/stable/notes/faq.html>",
    ),
    difficulty=1,
    minutes=5,
)
