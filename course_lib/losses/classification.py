"""Losses for choosing one class of K: cross-entropy and two of its variants. Each states its chance and best value.

All take logits, never probabilities: log_softmax subtracts the largest logit first, so that +-1e4 is no danger. The
class axis is the last one; any axes may stand before it: (B, K), or (B, T, K) for tokens, where torch wants (B, K, T).
Axis letters are those of course_lib/__init__.py.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from course_lib import refuse

IGNORE = -100
"""Label of a position that is not predicted: padding, a prompt, an image token. torch and transformers use the same."""


@refuse.misfit
def cross_entropy(
    logits: Float[Tensor, "*batch K"],
    label: Int[Tensor, "*batch"],
    *,
    weight: Float[Tensor, " K"] | None = None,
    smoothing: float = 0.0,
    ignore_index: int = IGNORE,
) -> Float[Tensor, ""]:
    """Return the mean surprise at the right class, in nats; "softmax loss" is the same thing.

        loss = sum_n w[y_n] * -log softmax(z_n)[y_n] / sum_n w[y_n]       # over positions that are not ignored
        d loss / d z_n = w[y_n] / sum w * (softmax(z_n) - onehot(y_n))    # bounded; not 0 while the answer is wrong

    Equal logits give log K; the best constant prediction gives the entropy of the class frequencies; best is 0, and
    with smoothing the entropy of the smoothed target, which is above 0.

    weight: cost of a mistake on each class. It divides as well as multiplies: the result is a weighted mean.
    smoothing: share of the target spread evenly over all K classes (Szegedy et al., 2015, arXiv:1512.00567).
    Equal to torch.nn.functional.cross_entropy, which returns nan where this raises: if every position is ignored.
    """
    logits, label = _valid(logits, label, ignore_index)
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing {smoothing} is outside [0, 1); 0.1 is usual")
    log_p = logits.log_softmax(dim=-1)
    cost = torch.ones_like(log_p[0]) if weight is None else weight
    if not cost[label].sum() > 0:
        raise ValueError(f"weight {cost.tolist()} leaves nothing: it is 0 for every class among the labels; raise one")
    of_label = -cost[label] * _at(log_p, label)
    if smoothing > 0:  # else a masked class, at -inf, would make 0 * inf
        of_label = (1 - smoothing) * of_label - smoothing * (cost * log_p).mean(dim=-1)
    return of_label.sum() / cost[label].sum()


@refuse.misfit
def focal(
    logits: Float[Tensor, "*batch K"],
    label: Int[Tensor, "*batch"],
    *,
    gamma: float = 2.0,
    alpha: Float[Tensor, " K"] | None = None,
    ignore_index: int = IGNORE,
) -> Float[Tensor, ""]:
    """Return cross-entropy with every example scaled down by how easy it is already.

        loss = mean_n alpha[y_n] * (1 - p_n)^gamma * -log p_n,    p_n = softmax(z_n)[y_n]

    gamma: 0 is cross-entropy; 2 keeps 81 % of the loss at p = 0.1 and 0.01 % at p = 0.99, whatever the class.
    alpha: factor of each class, the only part that knows about rare ones. It does not divide: alpha changes the scale.
    Equal logits give (1 - 1/K)^gamma log K without alpha; best is 0. Its minimiser is flatter than the class
    probability (Charoenphakdee et al., 2020, arXiv:2011.09172), so calibrate before reading it as one.
    Lin et al. (2017, arXiv:1708.02002) use a sigmoid per class and divide by the number of positives; with K = 2 and
    logits (0, z) this is the same function of z, divided by the number of examples.
    """
    logits, label = _valid(logits, label, ignore_index)
    if not gamma >= 0:
        raise ValueError(f"gamma {gamma} would raise the weight of easy examples; use 0 or more, such as 2")
    log_p = _at(logits.log_softmax(dim=-1), label)
    missing = (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).tiny)  # 1 - p; at 0 its root has no slope
    loss = missing**gamma * -log_p
    return (loss if alpha is None else alpha[label] * loss).mean()


@refuse.misfit
def poly1(
    logits: Float[Tensor, "*batch K"],
    label: Int[Tensor, "*batch"],
    *,
    epsilon: float = 1.0,
    ignore_index: int = IGNORE,
) -> Float[Tensor, ""]:
    """Return cross-entropy whose first Taylor coefficient is changed: PolyLoss, "polynomial loss".

        -log p = (1 - p) + (1 - p)^2 / 2 + (1 - p)^3 / 3 + ...
        loss   = mean_n -log p_n + epsilon * (1 - p_n)

    epsilon: -1 removes the first term, 0 is cross-entropy, above 0 pushes confident predictions further.
    Equal logits give log K + epsilon (1 - 1/K); best is 0. Leng et al. (2022, arXiv:2204.12511), Poly-1.
    """
    logits, label = _valid(logits, label, ignore_index)
    log_p = _at(logits.log_softmax(dim=-1), label)
    return (-log_p - epsilon * torch.expm1(log_p)).mean()


def _valid(
    logits: Float[Tensor, "*batch K"], label: Int[Tensor, "*batch"], ignore_index: int
) -> tuple[Float[Tensor, "valid K"], Int[Tensor, " valid"]]:
    """Keep the positions that count, on one axis; refuse what torch would count as nan or read out of bounds."""
    kept = label != ignore_index
    if not kept.any():
        raise ValueError(f"all {label.numel()} labels are {ignore_index}: nothing is predicted, so there is no mean")
    logits, label = logits[kept], label[kept]
    low, high, classes = label.min().item(), label.max().item(), logits.shape[-1]
    if low < 0 or high >= classes:
        raise ValueError(f"labels from {low} to {high} do not fit {classes} classes; use 0 to {classes - 1}")
    return logits, label


def _at(log_p: Float[Tensor, "valid K"], label: Int[Tensor, " valid"]) -> Float[Tensor, " valid"]:
    return log_p.gather(1, label[:, None])[:, 0]
