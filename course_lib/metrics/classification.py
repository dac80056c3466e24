"""How often a classifier is right. Each metric states its chance value and its best value.

Axis letters are those of course_lib/__init__.py.
"""

from jaxtyping import Float, Int
from torch import Tensor


def accuracy(scores: Float[Tensor, "B K"], label: Int[Tensor, " B"]) -> float:
    """Share of examples whose largest score is the label's. Best 1; chance is the share of the most frequent class."""
    if len(label) == 0:
        raise ValueError("accuracy of no examples is undefined; pass at least one")
    return (scores.argmax(dim=-1) == label).float().mean().item()
