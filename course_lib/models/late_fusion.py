"""Late fusion: each modality predicts by itself, then the predictions are joined. Two ways that are often confused.

    logits          log space         log p ∝ Σ_m w_m log p_m      one modality can veto a class
    probabilities   linear space          p = Σ_m w_m p_m          one modality can keep a class alive

For two modalities, two classes and equal weights both choose the same class, p₁ + p₂ > 1 being the same as log-odds
that add up to more than 0; with more modalities, more classes or other weights they part.

Either only adds up evidence for each class: no label that depends on a combination, such as XOR, can come out. That is
a limit of the rule, not of the place: a hidden layer on logits that are trained together learns XOR, see lesson 07. In
exchange a modality may be missing, be trained elsewhere, or be calibrated alone. No parameters; M K multiply-adds.

Axis letters are those of course_lib/__init__.py; M counts modalities.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from course_lib import refuse
from course_lib.models.fusion import check_weights, fuse_weighted_sum


@refuse.misfit
def fuse_logits(
    *logits: Float[Tensor, "B K"],
    weights: Sequence[float] | Float[Tensor, " M"] | None = None,
    prior: Float[Tensor, " K"] | None = None,
) -> Float[Tensor, "B K"]:
    """Weighted sum of log-probabilities, normalised again; returns log-probabilities.

        log p = log_softmax(Σ_m w_m logits_m - (Σ_m w_m - 1) log prior)        # logits_m or log p_m: the same

    The logits may be summed as they come: their normalisers shift a whole row, which the softmax takes out again.

    weights: not negative; None means 1/M each, the normalised geometric mean. Their sum sets how sure the result is.
    Where two modalities both say 0.8, weights of 1/2 keep 0.8 (a logarithmic opinion pool) and weights of 1 give 0.94
    (the product of experts of Hinton, 2002, "Training products of experts by minimizing contrastive divergence").
    prior: how frequent each class is, positive and summing to 1; None means equally. Every expert has counted it once,
    so all counts but one are taken off; with weights of 1 this is Bayes' rule for modalities independent given the
    class. Where they are not, it is no probability: for AND of two fair bits, both 1, it says 0.75 instead of 1.
    logits: finite; log-probabilities are logits too.
    """
    stacked = _stack_predictions(logits)
    checked = check_weights(_equal(stacked) if weights is None else weights, stacked, total=None)
    joined = torch.tensordot(checked, stacked, dims=1)
    if prior is not None:
        if not (float(prior.min()) > 0 and abs(float(prior.sum()) - 1) <= 1e-4):
            raise ValueError(f"prior {prior.tolist()} must be positive and sum to 1; try class counts / their sum")
        joined = joined - (checked.sum() - 1) * prior.log()
    return joined.log_softmax(dim=-1)


@refuse.misfit
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
    refuse.improbable(probabilities=stacked)
    return fuse_weighted_sum(*probabilities, weights=_equal(stacked) if weights is None else weights)


def _equal(stacked: Tensor) -> Tensor:
    return stacked.new_full((len(stacked),), 1 / len(stacked))


def _stack_predictions(predictions: tuple[Tensor, ...]) -> Tensor:
    if len(predictions) == 0:
        raise ValueError("no modality came; give one (B, K) tensor per modality, leaving out those that are missing")
    return torch.stack(predictions)
