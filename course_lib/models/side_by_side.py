"""Small networks trained side by side, one per draw of the data: every tensor has an axis `copies` in front.

A step of five such networks takes little longer than a step of one, whose matrices are too small to keep a processor
busy. The copies share nothing: add up their losses, and each still gets its own gradient only.

Axis letters are those of course_lib/__init__.py.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib import refuse


class SideBySideLinear(nn.Module):
    """One linear layer per copy: y_c = x_c W_c + b_c, started as nn.Linear starts."""

    def __init__(self, copies: int, width: int, out: int) -> None:
        super().__init__()
        bound = width**-0.5
        self.weight = nn.Parameter(torch.empty(copies, width, out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(copies, 1, out).uniform_(-bound, bound))

    @refuse.misfit
    def forward(self, x: Float[Tensor, "copies B D"]) -> Float[Tensor, "copies B D_out"]:
        """Copy c sees x[c] only."""
        return torch.baddbmm(self.bias, x, self.weight)


class SideBySideConvNet(nn.Module):
    """Three 3 x 3 convolutions of 8, 16 and 32 channels, then one linear layer; for pictures of 8 x 8 pixels.

    With pooling, a maximum over 2 x 2 pixels and at the end one over all places, so that the last layer knows what
    was found and not where. Without, every second pixel is taken and all 4 x 4 places go on: the same convolutions,
    which tell places apart. norm: batch norm after each convolution, with statistics of its own for each copy.
    """

    def __init__(self, copies: int, outputs: int = 10, *, pooling: bool = True, norm: bool = True) -> None:
        super().__init__()
        smaller = nn.MaxPool2d(2 if pooling else 1, stride=2)
        self.body = nn.Sequential(
            *self._convolution(copies, 1, 8, norm),
            *self._convolution(copies, 8, 16, norm),
            smaller,
            *self._convolution(copies, 16, 32, norm),
            nn.AdaptiveMaxPool2d(1 if pooling else 4),
        ).to(memory_format=torch.channels_last)  # a third less time per step on a CPU
        self.last = SideBySideLinear(copies, 32 if pooling else 32 * 4 * 4, outputs)

    @refuse.misfit
    def forward(self, images: Float[Tensor, "copies B 8 8"]) -> Float[Tensor, "copies B K"]:
        """Logits."""
        found = self.body(images.transpose(0, 1))  # (B, copies * 32, places)
        return self.last(found.reshape(len(found), len(images), -1).transpose(0, 1))

    @staticmethod
    def _convolution(copies: int, channels: int, out: int, norm: bool) -> list[nn.Module]:
        filters = nn.Conv2d(copies * channels, copies * out, 3, padding=1, groups=copies)
        return [filters, nn.BatchNorm2d(copies * out) if norm else nn.Identity(), nn.ReLU()]


def dense(copies: int, width: int = 128, p: float = 0.0) -> nn.Sequential:
    """One hidden tanh layer between 64 pixels and 10 classes: (copies, B, 8, 8) to logits (copies, B, 10).

    p: dropout of pixels and of hidden units.
    """
    first, last = SideBySideLinear(copies, 64, width), SideBySideLinear(copies, width, 10)
    return nn.Sequential(nn.Flatten(2), nn.Dropout(p), first, nn.Tanh(), nn.Dropout(p), last)
