"""What to do when classes are not equally frequent: weights, other rows, other logits, another threshold.

All of them act on one thing, the odds between classes. The logits of a probability model are log-odds, so multiplying
the odds of class k by w_k is adding log w_k to its logit, and can be done after training, for nothing.
That makes them equal where classes overlap. In a network that fits its training set a weight 1 / n_k only brings the
margins of all classes level, while an adjustment by log prior puts the rare ones ahead (lesson 12).
Axis letters are those of course_lib/__init__.py.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from course_lib import refuse
from course_lib.losses.classification import cross_entropy


@refuse.misfit
def class_prior(label: Int[Tensor, " B"], classes: int) -> Float[Tensor, " K"]:
    """Return the share of each class. A class without an example is refused: its logarithm would be -inf."""
    refuse.labels(classes, label=label)
    counts = torch.bincount(label, minlength=classes)
    if (counts == 0).any():
        absent = (counts == 0).nonzero()[:, 0].tolist()
        raise ValueError(f"classes {absent} have no example; leave them out or collect some")
    return counts / counts.sum()


@refuse.misfit
def balanced_weights(prior: Float[Tensor, " K"]) -> Float[Tensor, " K"]:
    """Return 1 / (K prior_k): every class then adds the same to the loss, and the mean weight of an example is 1.

    The same as scikit-learn's class_weight="balanced".
    """
    refuse.improbable(prior=prior)
    if (prior == 0).any():
        raise ValueError(f"prior {prior.tolist()} holds a class of 0, whose weight would be infinite; leave it out")
    return 1 / (len(prior) * prior)


@refuse.misfit
def effective_number_weights(counts: Int[Tensor, " K"], *, beta: float = 0.999) -> Float[Tensor, " K"]:
    """Return (1 - beta) / (1 - beta^n_k), scaled to a sum of K: weights that stop growing for well covered classes.

    beta: 0 weighs every class the same, towards 1 it becomes 1 / n_k. Cui et al. (2019, arXiv:1901.05555).
    """
    if not 0 <= beta < 1:
        raise ValueError(f"beta {beta} is outside [0, 1); try 0.99 or 0.999")
    refuse.outside(1, math.inf, "leave out classes without an example", counts=counts)
    weights = (1 - beta) / (1 - beta ** counts.double())
    return (weights * len(counts) / weights.sum()).float()


@refuse.misfit
def balanced_rows(label: Int[Tensor, " B"], per_class: int, generator: torch.Generator) -> Int[Tensor, " rows"]:
    """Return row numbers that hold every class `per_class` times, shuffled: resampling, of the training split only.

    per_class: the largest class count oversamples, the smallest undersamples. Within a class every row is taken equally
        often, up to one time; which rows are taken once more is drawn.
    """
    if per_class < 1:
        raise ValueError(f"per_class {per_class} leaves nothing to train on; use at least 1")
    refuse.empty(label=label)
    rows = []
    for k in label.unique():
        own = (label == k).nonzero()[:, 0]
        own = own[torch.randperm(len(own), generator=generator)]
        rows.append(own.repeat(-(-per_class // len(own)))[:per_class])
    taken = torch.cat(rows)
    return taken[torch.randperm(len(taken), generator=generator)]


@refuse.misfit
def adjust_logits(
    logits: Float[Tensor, "B K"], prior: Float[Tensor, " K"], *, tau: float = 1.0
) -> Float[Tensor, "B K"]:
    """Return logits - tau log prior: logit adjustment after training (Menon et al., 2020, arXiv:2007.07314).

    tau: 0 keeps the training prior, 1 predicts as if all classes were equally frequent. Needs logits of a model trained
        with plain cross-entropy; one trained with `logit_adjusted_cross_entropy` is adjusted already.
    """
    return logits - tau * prior.log()


@refuse.misfit
def logit_adjusted_cross_entropy(
    logits: Float[Tensor, "B K"], label: Int[Tensor, " B"], prior: Float[Tensor, " K"], *, tau: float = 1.0
) -> Float[Tensor, ""]:
    """Return cross-entropy of logits + tau log prior; at test time the bare logits are used (arXiv:2007.07314).

    The network learns what the prior does not say. Equal logits give the cross-entropy of prior^tau, normalised, which
    is chance; best is 0.
    """
    return cross_entropy(logits + tau * prior.log(), label)


@refuse.misfit
def move_prior(
    logits: Float[Tensor, "B K"], old: Float[Tensor, " K"], new: Float[Tensor, " K"]
) -> Float[Tensor, "B K"]:
    """Return logits for a world in which classes are as frequent as `new` says, by Bayes' rule: + log new - log old.

    Holds under label shift: the classes look the same as in training, and only their shares changed.
    """
    return logits + new.log() - old.log()


@refuse.misfit
def estimate_prior(logits: Float[Tensor, "B K"], old: Float[Tensor, " K"], *, steps: int = 100) -> Float[Tensor, " K"]:
    """Return the class shares of unlabelled examples by expectation-maximisation, under label shift.

        new <- mean_n softmax(move_prior(logits_n, old, new))

    Needs calibrated logits. Saerens, Latinne, Decaestecker (2002, doi:10.1162/089976602753284446).
    """
    refuse.empty(logits=logits)
    refuse.infinite(logits=logits)
    refuse.improbable(old=old)
    new = old
    for _ in range(steps):
        new = move_prior(logits, old, new).softmax(dim=-1).mean(dim=0)
    return new


def cost_threshold(false_alarm: float, miss: float) -> float:
    """Return the probability of class 1 above which saying 1 is cheaper: false_alarm / (false_alarm + miss).

    Equal costs give 1/2. Elkan (2001), *The Foundations of Cost-Sensitive Learning*, IJCAI.
    """
    if not (0 < false_alarm < math.inf and 0 < miss < math.inf):
        raise ValueError(f"costs {false_alarm} and {miss}: both mistakes must cost something, and not everything")
    return false_alarm / (false_alarm + miss)
