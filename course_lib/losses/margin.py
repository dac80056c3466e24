"""Hinge losses: be right by a margin, then stop. Each states its chance and best value.

Losses on *pairs* and *triplets* of embeddings, where the margin separates distances, belong to contrastive learning and
stand in torch as margin_ranking_loss and triplet_margin_loss. Translated notes call them "edge loss": 边缘 for 间隔.
Axis letters are those of course_lib/__init__.py.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from course_lib import refuse


@refuse.misfit
def hinge(score: Float[Tensor, " B"], label: Int[Tensor, " B"], *, margin: float = 1.0) -> Float[Tensor, ""]:
    """Return the mean of max(0, margin - s y) with y = +1 for label 1 and -1 for label 0.

    A score of 0 gives `margin`, which is chance; best is 0, reached when every example is right by the margin. Past it
    the gradient is exactly 0: those examples no longer move the model. The sign of a score means something, its size is
    no log-odds. Cortes and Vapnik (1995, doi:10.1007/BF00994018), without the penalty on the weights.
    """
    if not torch.isin(label, torch.tensor([0, 1], device=label.device)).all():
        raise ValueError(f"labels {label.unique().tolist()} are not 0 and 1; for more classes use multiclass_hinge")
    sign = 2 * label.to(score.dtype) - 1
    return torch.relu(margin - sign * score).mean()  # relu, since clamp has a slope of 1 exactly at the margin


@refuse.misfit
def multiclass_hinge(
    logits: Float[Tensor, "B K"], label: Int[Tensor, " B"], *, margin: float = 1.0
) -> Float[Tensor, ""]:
    """Return the mean of max(0, margin + z_r - z_y), where r is the strongest wrong class.

    Equal logits give `margin`, which is chance; best is 0. Only the strongest rival gets a gradient (Crammer and
    Singer, 2001). torch's multi_margin_loss sums over all rivals and divides by K: margin (K - 1) / K at chance.
    """
    if logits.shape[-1] < 2:
        raise ValueError("a margin needs a rival: logits of at least 2 classes")
    right = torch.nn.functional.one_hot(label, logits.shape[-1]).bool()
    rival = logits.masked_fill(right, float("-inf")).amax(dim=-1)
    return torch.relu(margin + rival - logits[right]).mean()
