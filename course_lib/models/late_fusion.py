"""Late fusion: each modality predicts by itself, then the predictions are joined. Two ways that are often confused.

    logits          log space         log p ∝ Σ_m w_m log p_m      one modality can veto a class
    probabilities   linear space          p = Σ_m w_m p_m          one modality can keep a class alive

Either only adds up evidence for each class: no label that depends on a combination, such as XOR, can come out. In
exchange a modality may be missing, be trained elsewhere, or be calibrated alone. No parameters; M K multiply-adds.

Axis letters are those of course_lib/__init__.py; M counts modalities.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib.models.fusion import check_weights, fuse_weighted_sum


def fuse_logits(
    *logits: Float[Tensor, "B K"], weights: Sequence[float] | Float[Tensor, " M"] | None = None
) -> Float[Tensor, "B K"]:
    """Weighted sum of log-probabilities, normalised again; returns log-probabilities.

        log p = log_softmax(Σ_m w_m log_softmax(logits_m))

    weights: not negative; None means 1/M each, the normalised geometric mean. Their sum sets how sure the result is.
    Where two modalities both say 0.8, weights of 1/2 keep 0.8 (a logarithmic opinion pool) and weights of 1 give 0.94
    (the product of experts of Hinton, 2002, "Training products of experts by minimizing contrastive divergence"), which
    is right if, given the class, the modalities are independent, and the classes are equally frequent. The winning
    class is the same for both.

    logits: finite; a constant added to all K logits of a row changes nothing.
    """
    stacked = _stack_predictions(logits)
    checked = check_weights(_equal(stacked) if weights is None else weights, stacked, total=None)
    return torch.tensordot(checked, stacked.log_softmax(dim=-1), dims=1).log_softmax(dim=-1)


def fuse_probabilities(
    *probabilities: Float[Tensor, "B K"], weights: Sequence[float] | Float[Tensor, " M"] | None = None
) -> Float[Tensor, "B K"]:
    """Weighted average of probabilities, p = Σ_m w_m p_m: a mixture, or linear opinion pool; returns probabilities.

    Reads as: a modality is drawn with probability w_m and its prediction is used. So the result is never surer than the
    surest modality. Both pools are classical: Genest and Zidek (1986), "Combining probability distributions".

    probabilities: rows that sum to 1 (ValueError for logits).
    weights: not negative, summing to 1; None means 1/M each.
    """
    stacked = _stack_predictions(probabilities)
    off = float((stacked.sum(dim=-1) - 1).abs().max())
    if float(stacked.min()) < 0 or off > 1e-3:
        raise ValueError(
            f"rows of probabilities must be ≥ 0 and sum to 1, but one is off by {off:.3g}; try .softmax(-1)"
        )
    return fuse_weighted_sum(*probabilities, weights=_equal(stacked) if weights is None else weights)


def _equal(stacked: Tensor) -> Tensor:
    return stacked.new_full((len(stacked),), 1 / len(stacked))


def _stack_predictions(predictions: tuple[Tensor, ...]) -> Tensor:
    if len(predictions) == 0:
        raise ValueError("no modality came; give one (B, K) tensor per modality, leaving out those that are missing")
    shapes = [tuple(prediction.shape) for prediction in predictions]
    if len(set(shapes)) > 1:
        raise ValueError(f"predictions of shapes {shapes} do not line up; all modalities predict the same K classes")
    return torch.stack(predictions)
