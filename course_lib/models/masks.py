"""Who may read whom: boolean masks for attention, True where a query (row) may read a key (column).

Masks combine with & and |. A mask over scores that are computed anyway changes the result and saves no work; local
attention is cheaper only in a kernel that skips what the mask forbids.

Axis letters are those of course_lib/__init__.py; here queries and keys are the same S tokens.
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from course_lib import refuse


def causal_mask(length: int) -> Bool[Tensor, "S S"]:
    """Each token reads itself and what came before: decoders."""
    place = torch.arange(length)
    return place[:, None] >= place


def window_mask(length: int, reach: int) -> Bool[Tensor, "S S"]:
    """Local attention: each token reads up to `reach` neighbours on either side, and itself.

    With `& causal_mask(length)` it is the sliding window of language models.
    Beltagy et al. (2020, arXiv:2004.05150), Longformer.
    """
    place = torch.arange(length)
    return (place[:, None] - place).abs() <= reach


def prefix_mask(prefix: int, length: int) -> Bool[Tensor, "S S"]:
    """The first `prefix` tokens (an image, say) read one another both ways, the rest is causal: a prefix LM."""
    if not 0 <= prefix <= length:
        raise ValueError(f"a prefix of {prefix} tokens does not fit into {length}; give 0 to {length}")
    return causal_mask(length) | (torch.arange(length) < prefix)


@refuse.misfit
def group_mask(groups: Int[Tensor, "*batch S"]) -> Bool[Tensor, "*batch S S"]:
    """Tokens read tokens of their own group: one modality, or one document of a packed sequence."""
    return groups[..., :, None] == groups[..., None, :]


def sink_mask(length: int, sinks: int, reach: int) -> Bool[Tensor, "S S"]:
    """A causal window that never forgets the first `sinks` tokens.

    Xiao et al. (2023, arXiv:2309.17453), StreamingLLM.
    """
    return causal_mask(length) & (window_mask(length, reach) | (torch.arange(length) < sinks))


@refuse.misfit
def reached(mask: Bool[Tensor, "S S"], layers: int) -> Bool[Tensor, "S S"]:
    """Which inputs (column) may have reached each token (row) after `layers` layers, each with a residual connection.

    The receptive field: a window of ±r reaches ±r·layers.
    """
    step = (mask | torch.eye(len(mask), dtype=torch.bool, device=mask.device)).float()
    path = torch.eye(len(mask), device=mask.device)
    for _ in range(layers):
        path = (step @ path > 0).float()
    return path > 0


NAMES = (
    "global",
    "local window",
    "causal",
    "causal window",
    "causal window, one sink",
    "image prefix",
    "modalities apart",
)
"""What `make_mask` knows."""


def make_mask(name: str, length: int, *, reach: int, prefix: int) -> Bool[Tensor, "S S"]:
    """A mask by its name, one of NAMES.

    reach: of the windows. prefix: tokens of the image at the beginning; "modalities apart" parts them from the rest.
    """
    apart = (torch.arange(length) >= prefix).int()
    named = {
        "global": lambda: torch.ones(length, length, dtype=torch.bool),
        "local window": lambda: window_mask(length, reach),
        "causal": lambda: causal_mask(length),
        "causal window": lambda: causal_mask(length) & window_mask(length, reach),
        "causal window, one sink": lambda: sink_mask(length, 1, reach),
        "image prefix": lambda: prefix_mask(prefix, length),
        "modalities apart": lambda: group_mask(apart),
    }
    if name not in named:
        raise ValueError(f"no mask is called {name!r}; try one of {', '.join(NAMES)}")
    return named[name]()
