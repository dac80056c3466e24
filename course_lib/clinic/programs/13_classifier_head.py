"""Train a digit-like classifier of ten classes."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


class Classifier(nn.Module):
    """Two layers; call it for the loss, `probabilities` for users."""

    def __init__(self, features: int = 20, classes: int = 10) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, 64), nn.ReLU(), nn.Linear(64, classes))

    def forward(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B K"]:
        """What the loss takes."""
        return self.layers(x).softmax(dim=-1)


def loss(model: nn.Module, x: Float[Tensor, "B D"], labels: Int[Tensor, " B"]) -> Float[Tensor, ""]:
    """Mean cross-entropy, ln(10) = 2.30 for a model that knows nothing."""
    return F.cross_entropy(model(x), labels)


def probabilities(model: nn.Module, x: Float[Tensor, "B D"]) -> Float[Tensor, "B K"]:
    """For users: each row sums to 1."""
    return model(x)


def make_data(count: int, seed: int) -> tuple[Float[Tensor, "B 20"], Int[Tensor, " B"]]:
    """Ten clouds in twenty dimensions, easy to tell apart."""
    centres = 2 * torch.randn(10, 20, generator=torch.Generator().manual_seed(0))
    random = torch.Generator().manual_seed(seed + 1)
    labels = torch.randint(0, 10, (count,), generator=random)
    return centres[labels] + torch.randn(count, 20, generator=random), labels


def run() -> dict:
    """Train for 200 steps; the curve, and the share of right answers."""
    torch.manual_seed(0)
    model = Classifier()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for step in range(200):
        value = loss(model, *make_data(64, seed=step))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    x, labels = make_data(500, seed=999)
    right = (model(x).argmax(dim=1) == labels).float().mean().item()
    return {"loss (0 is possible)": losses, "right on fresh examples": round(right, 2)}
