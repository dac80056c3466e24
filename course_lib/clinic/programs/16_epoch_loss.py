"""Train for an epoch and report the mean loss."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def build() -> nn.Module:
    """A small regression network."""
    return nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))


def make_batches(count: int, size: int, seed: int) -> list[tuple[Float[Tensor, "B 8"], Float[Tensor, "B 1"]]]:
    """Inputs, and the sine of their sum."""
    random = torch.Generator().manual_seed(seed)
    inputs = [torch.randn(size, 8, generator=random) for _ in range(count)]
    return [(x, x.sum(dim=1, keepdim=True).sin()) for x in inputs]


def train_epoch(model: nn.Module, batches: list, optimizer: torch.optim.Optimizer) -> float | Tensor:
    """One pass; returns the mean loss over the batches."""
    total = 0.0
    for x, y in batches:
        loss = (model(x) - y).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss
    return total / len(batches)


def graph_nodes(value: float | Tensor) -> int:
    """Operations that autograd still remembers behind a value, and keeps in memory."""
    waiting, seen = [getattr(value, "grad_fn", None)], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [below for below, _ in node.next_functions]
    return len(seen)


def run() -> dict:
    """How much is remembered after epochs of growing length."""
    torch.manual_seed(0)
    model = build()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    report = {}
    for count in (10, 100, 300):
        mean = train_epoch(model, make_batches(count, 16, seed=count), optimizer)
        report[f"operations remembered after {count} batches"] = graph_nodes(mean)
    return report
