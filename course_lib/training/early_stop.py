"""Early stopping: which measurement was the best, when to give up waiting for a better one, and its weights.

Both halves matter. Stopping without going back returns the weights of `patience` measurements too late; choosing the
best measurement is a choice made on the validation set, whose figure is flattering from then on.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Stop(NamedTuple):
    """Where a run ends; both count measurements from 0."""

    best: int
    """The measurement to go back to."""
    last: int
    """The last measurement that is made: `patience` after the best, or the end."""


def early_stop(losses: Sequence[float], patience: int, min_delta: float = 0.0) -> Stop:
    """Stop after `patience` measurements in a row, none of which is more than `min_delta` below the best so far.

    losses: lower is better; pass negatives of an accuracy. Nothing after `last` is looked at: a later, lower value does
    not count, because the run would have ended. patience: at least 1. Criteria compared: Prechelt (1998,
    doi:10.1016/S0893-6080(98)00010-0).
    """
    if len(losses) == 0 or patience < 1 or not min_delta >= 0:
        raise ValueError(f"{len(losses)} losses, patience={patience}, min_delta={min_delta}: need at least 1, 1 and 0")
    best = 0
    for now, loss in enumerate(losses):
        if loss < losses[best] - min_delta:
            best = now
        if now - best >= patience:
            return Stop(best, now)
    return Stop(best, len(losses) - 1)


class KeepBest:
    """Stands in for `evaluate` in `fit`: passes its figures on, and keeps the weights where `column` was highest."""

    def __init__(self, evaluate: Callable[[nn.Module], dict[str, float]], column: str) -> None:
        self.evaluate, self.column = evaluate, column
        self.value = -float("inf")
        self.weights: dict[str, Tensor] = {}

    def __call__(self, model: nn.Module) -> dict[str, float]:
        """Measure; ties keep the earlier weights."""
        figures = self.evaluate(model)
        if figures[self.column] > self.value:
            self.value = figures[self.column]
            self.weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        return figures

    @torch.no_grad()
    def restore(self, model: nn.Module) -> None:
        """Put the kept weights into `model`."""
        if not self.weights:
            raise RuntimeError("nothing was measured yet; pass this object as evaluate= to fit, with evaluate_every=")
        model.load_state_dict(self.weights)
