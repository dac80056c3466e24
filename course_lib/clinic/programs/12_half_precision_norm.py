"""A norm layer in half precision, as in a model that trains in fp16."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """x / sqrt(mean of x^2), times a learnt scale. Input and output have the same dtype."""

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Float[Tensor, "*any D"]) -> Float[Tensor, "*any D"]:
        """Every vector with root mean square 1 before the scale."""
        size = torch.sqrt(x.pow(2).mean(dim=-1, keepdim=True) + self.eps)
        return x / size * self.scale.to(x.dtype)


def run() -> dict:
    """Activations of growing size, as they grow over a training run; how many outputs are right."""
    random = torch.Generator().manual_seed(0)
    norm, x = RMSNorm(64), torch.randn(32, 64, generator=random)
    report = {}
    for size in (1, 30, 300, 3000):
        y = norm((size * x).half())
        report[f"activations of size {size}"] = f"largest output {y.abs().max().item():.1f}"
    loss = norm((3000 * x).half()).pow(2).mean().item()
    return report | {"mean square of the last output (should be 1)": loss}
