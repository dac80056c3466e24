"""Regularisers that change a training step: units, weights or blocks are dropped, labels softened, examples mixed.

None of them adds or removes a parameter, and in eval mode all of them are gone. Penalties on the weights are elsewhere:
decay in training/optimizer.py, exact zeros in training/sparse.py; when to stop is training/early_stop.py.

Each drop takes the probability `p` of dropping and divides what is kept by 1 - p ("inverted" scaling), so the mean over
masks is the value that eval mode uses. That holds for the dropped tensor itself and for anything linear after it, not
through a ReLU or a softmax.

Randomness comes from `generator`; None takes PyTorch's global one. Data-parallel processes need different generators,
devices that hold copies of one activation (tensor parallelism) need the same.
Axis letters are those of course_lib/__init__.py.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import refuse


@refuse.misfit
def dropout(
    x: Float[Tensor, "*shape"], p: float, train: bool, generator: torch.Generator | None = None
) -> Float[Tensor, "*shape"]:
    """train: x ⊙ mask / (1 - p), every number with a coin of its own, 0 with probability p; eval: x itself.

    The scaling at training time is that of today's libraries. Hinton et al. (2012, arXiv:1207.0580) halved the weights
    at test time instead; the expectation is the same. p in [0, 1).
    """
    _check_rate(p)
    if not train or p == 0:
        return x
    return x * _coins(x.shape, p, x, generator)


class DropConnectLinear(nn.Linear):
    """A linear layer whose weights, not units, are dropped: y_b = ((M_b ⊙ W) x_b) / (1 - p) + bias.

    M_b is drawn anew in every training step, per example or once for the batch. What is stored, trained and used in
    eval mode is the dense W, so the layer has exactly the parameters of nn.Linear. Cost of a step: D_in D_out random
    numbers per example (dropout: D_in), and B matrices in memory; `per_example=False` draws one for the batch, as
    AWD-LSTM does for its recurrent weights (Merity et al., 2017, arXiv:1708.02182).

    Wan et al. (2013), "Regularization of Neural Networks using DropConnect", ICML. Simplified: the bias is never
    dropped, and eval mode uses the mean weights where the paper samples activations from a matched Gaussian.
    """

    def __init__(
        self,
        width: int,
        out: int,
        p: float,
        *,
        per_example: bool = True,
        bias: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(width, out, bias=bias)
        _check_rate(p)
        self.p, self.per_example, self.generator = p, per_example, generator

    @refuse.misfit
    def forward(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B D_out"]:
        """In eval mode, or with p = 0, the same numbers as nn.Linear."""
        if not self.training or self.p == 0:
            return super().forward(x)
        batch = len(x) if self.per_example else 1
        weight = self.weight * _coins((batch, *self.weight.shape), self.p, self.weight, self.generator)
        out = torch.einsum("boi,bi->bo", weight.expand(len(x), -1, -1), x)
        return out if self.bias is None else out + self.bias

    def extra_repr(self) -> str:
        """Shown by print(module)."""
        return f"{super().extra_repr()}, p={self.p}, per_example={self.per_example}"


@refuse.misfit
def drop_path(
    branch: Float[Tensor, "B ..."], p: float, train: bool, generator: torch.Generator | None = None
) -> Float[Tensor, "B ..."]:
    """Drop a residual branch as a whole, one coin per example: train: branch_b * coin_b / (1 - p); eval: branch.

    Used as `x + drop_path(block(x), ...)`: an example whose coin is 0 passes the block by. The block was computed for
    it all the same, so nothing is saved. Equal to torchvision.ops.StochasticDepth(p, "row").
    Huang et al. (2016, arXiv:1603.09382) toss one coin per block and batch; Larsson et al. (2016, arXiv:1605.07648)
    named drop-path, for networks of parallel paths.
    """
    _check_rate(p)
    if not train or p == 0:
        return branch
    one_each = (len(branch), *(1 for _ in branch.shape[1:]))
    return branch * _coins(one_each, p, branch, generator)


def linear_drop_rates(depth: int, last: float) -> list[float]:
    """Rates that rise linearly from 0 at the first block to `last` at the last: p_l = last * l / (depth - 1).

    Early blocks make the features that all later ones use, so they are dropped least. In training depth (1 - last / 2)
    blocks survive on average. So torchvision's and timm's vision transformers do it; in Huang et al. (2016) block l of
    1..L has p_l = last * l / L, so that the first one can be dropped too.
    """
    _check_rate(last)
    if depth < 1:
        raise ValueError(f"depth {depth} holds no block; give 1 or more")
    return [last * block / max(depth - 1, 1) for block in range(depth)]


class ResidualStack(nn.Module):
    """x ← x + drop_path(block(x)) for one block after another, with rates that rise linearly to `last_rate`.

    mode "row": one coin per example; every block runs for the whole batch. mode "batch": one coin per block for the
    whole batch, and a block whose coin is 0 is not run: only this saves time, and only in training.
    """

    def __init__(
        self,
        blocks: Sequence[nn.Module],
        last_rate: float,
        mode: Literal["row", "batch"] = "row",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if mode not in ("row", "batch"):
            raise ValueError(f"mode {mode!r} is unknown; try 'row' (a coin per example) or 'batch' (one for all)")
        self.blocks, self.mode, self.generator = nn.ModuleList(blocks), mode, generator
        self.rates = linear_drop_rates(len(self.blocks), last_rate)

    @refuse.misfit
    def forward(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        """Shape of x stays as it is; so must each block's."""
        for block, rate in zip(self.blocks, self.rates, strict=True):
            if self.mode == "row":
                x = x + drop_path(block(x), rate, self.training, self.generator)
            else:
                x = x + self._run_or_skip(block, x, rate)
        return x

    def _run_or_skip(self, block: nn.Module, x: Tensor, rate: float) -> Tensor | float:
        if not self.training:
            return block(x)
        scale = float(_coins((1,), rate, x, self.generator))
        return block(x) * scale if scale > 0 else 0.0


@refuse.misfit
def smooth_labels(label: Int[Tensor, " B"], classes: int, smoothing: float) -> Float[Tensor, "B K"]:
    """Targets (1 - ε) one_hot + ε / K: the label keeps 1 - ε + ε / K, every other class gets ε / K.

    Cross-entropy against them is `F.cross_entropy(..., label_smoothing=ε)`. Its best value is the entropy of the
    target, not 0, reached where the label's logit leads the others by log((1 - ε + ε / K) / (ε / K)): finite, so logits
    stop growing. Szegedy et al. (2015, arXiv:1512.00567). smoothing ε in [0, 1).
    """
    if not 0 <= smoothing < 1:
        raise ValueError(
            f"smoothing {smoothing} is outside [0, 1); it is the part of the target spread over all classes; try 0.1"
        )
    return (1 - smoothing) * F.one_hot(label, classes).float() + smoothing / classes


class Mixed(NamedTuple):
    """What `mixup` returns."""

    input: Float[Tensor, "B ..."]
    target: Float[Tensor, "B K"]
    share: float
    """λ: how much of each example is its own; the rest comes from its partner."""
    partner: Int[Tensor, " B"]
    """Row of the batch that each example was mixed with."""


@refuse.misfit
def mixup(
    x: Float[Tensor, "B ..."], target: Float[Tensor, "B K"], alpha: float, generator: torch.Generator | None = None
) -> Mixed:
    """λ x + (1 - λ) x[partner], and the same for the targets, with one λ ~ Beta(alpha, alpha) for the batch.

    target: one-hot or smoothed. Mixing the inputs alone teaches that a blend of a 3 and an 8 is surely a 3.
    Zhang et al. (2017, arXiv:1710.09412). alpha > 0: 1 draws λ evenly, 0.2 mostly near 0 and 1.
    """
    if not alpha > 0:
        raise ValueError(f"alpha {alpha} is no parameter of a Beta distribution; try 0.2 to 1, or leave mixup out")
    # PyTorch's Beta takes no generator, so one number of it seeds NumPy's frozen stream
    seed = int(torch.randint(2**31, (), generator=generator))
    share = float(np.random.RandomState(seed).beta(alpha, alpha))
    partner = torch.randperm(len(x), generator=generator)
    return Mixed(share * x + (1 - share) * x[partner], share * target + (1 - share) * target[partner], share, partner)


def _coins(shape: Sequence[int], p: float, like: Tensor, generator: torch.Generator | None) -> Tensor:
    """0 with probability p, otherwise 1 / (1 - p): the mean is 1."""
    return like.new_empty(shape).bernoulli_(1 - p, generator=generator).div_(1 - p)


def _check_rate(p: float) -> None:
    if not 0 <= p < 1:
        raise ValueError(f"p {p} is outside [0, 1): it is a probability of dropping, and some must be kept; try 0.1")
