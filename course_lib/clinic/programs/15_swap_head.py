"""Take a trained network to a new task: keep the body frozen, give it a new head, train the head."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


class Network(nn.Module):
    """A body, and a head for the classes of the old task."""

    def __init__(self, features: int = 12, width: int = 24, classes: int = 6) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(features, width), nn.Tanh())
        self.head = nn.Linear(width, classes)

    def forward(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B K"]:
        """Scores of the classes."""
        return self.head(self.body(x))


def prepare(model: Network, classes: int, learning_rate: float) -> torch.optim.Optimizer:
    """Freeze the body, put a new head in, return the optimiser that trains the head."""
    model.body.requires_grad_(False)
    optimizer = torch.optim.AdamW(model.head.parameters(), lr=learning_rate)
    model.head = nn.Linear(model.head.in_features, classes)
    return optimizer


def train(model: Network, optimizer: torch.optim.Optimizer, steps: int) -> list[float]:
    """Train on the new task; returns the losses."""
    losses = []
    for step in range(steps):
        x, labels = make_data(64, seed=step)
        loss = F.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def make_data(count: int, seed: int) -> tuple[Float[Tensor, "B 12"], Int[Tensor, " B"]]:
    """Three classes."""
    x = torch.randn(count, 12, generator=torch.Generator().manual_seed(seed))
    return x, x[:, :3].argmax(dim=1)


def run() -> dict:
    """Train for 100 steps; ln(3) = 1.10 is the loss of a model that knows nothing."""
    torch.manual_seed(0)
    model = Network()
    optimizer = prepare(model, classes=3, learning_rate=0.02)
    losses = train(model, optimizer, steps=100)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return {"loss": losses, "trainable parameters of the model": trainable}
