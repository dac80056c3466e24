"""Train a classifier and measure it on validation data every few steps."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


def build() -> nn.Module:
    """A small network with batch norm and dropout; two classes."""
    return nn.Sequential(nn.Linear(10, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 2))


def make_data(count: int, seed: int) -> tuple[Float[Tensor, "B 10"], Int[Tensor, " B"]]:
    """Points in ten dimensions, split by a curved surface."""
    x = torch.randn(count, 10, generator=torch.Generator().manual_seed(seed))
    return x, (x[:, 0] * x[:, 1] + x[:, 2] > 0).long()


def evaluate(model: nn.Module, x: Float[Tensor, "B 10"], labels: Int[Tensor, " B"]) -> float:
    """Share of right answers."""
    return (model(x).argmax(dim=1) == labels).float().mean().item()


def train(model: nn.Module, steps: int) -> list[float]:
    """Train, evaluating every ten steps; returns those measurements."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    held_out, measured = make_data(300, seed=999), []
    model.train()
    for step in range(steps):
        x, labels = make_data(64, seed=step)
        loss = F.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 9:
            measured.append(evaluate(model, *held_out))
    return measured


def run() -> dict:
    """Train, then measure the same model on the same data three times."""
    torch.manual_seed(1)
    model = build()
    train(model, steps=100)
    repeated = [evaluate(model, *make_data(300, seed=999)) for _ in range(3)]
    return {"three measurements of one model": [round(each, 3) for each in repeated]}
