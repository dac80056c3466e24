"""Which positions of an input go together: blocks of an image, words, and one numbering over all modalities."""

from collections.abc import Mapping

import torch
from jaxtyping import Int
from torch import Tensor


def block_regions(height: int, width: int, blocks: int = 4) -> Int[Tensor, "height width"]:
    """Number `blocks` x `blocks` blocks of an image in reading order; with a remainder some are a pixel larger."""
    rows, columns = (torch.arange(edge) * blocks // edge for edge in (height, width))
    return rows[:, None] * blocks + columns


def number_regions(inputs: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One numbering 0, 1, 2, ... over all inputs, as captum wants it: no region spans two modalities.

    given: name to regions with any integers as numbers; the other inputs get 4 x 4 blocks, or each position its own.
    """
    numbered, used = {}, 0
    for name, value in inputs.items():
        asked = given[name] if name in given else _default(value)
        wanted = tuple(value.shape[1:])
        try:
            full = asked.expand(1, *wanted)
        except RuntimeError:
            raise ValueError(
                f"regions of {name!r} have shape {tuple(asked.shape)}, which does not cover one example {wanted}; "
                "give integers in the shape of one example, (height, width) for an image"
            ) from None
        names, inverse = full.unique(return_inverse=True)
        numbered[name] = (inverse + used).contiguous()  # captum views the mask, which an expanded one refuses
        used += len(names)
    return numbered


def _default(value: Tensor) -> Tensor:
    if value.ndim == 4:
        return block_regions(*value.shape[-2:]).to(value.device)
    return torch.arange(value[0].numel(), device=value.device).view(value.shape[1:])


def sliding(
    inputs: Mapping[str, Tensor], windows: Mapping | None, strides: Mapping | None
) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    """Shape of the window of each input, without the batch axis, and how far it moves; by default as far as it is wide.

    A window is a quarter of the edge of an image in all its channels, and one position of anything else.
    """
    shapes = {name: tuple((windows or {}).get(name, _window(value))) for name, value in inputs.items()}
    moves = {name: tuple((strides or {}).get(name, shape)) for name, shape in shapes.items()}
    return shapes, moves


def _window(value: Tensor) -> tuple[int, ...]:
    if value.ndim == 4:
        channels, height, width = value.shape[1:]
        return channels, max(1, height // 4), max(1, width // 4)
    return tuple(1 for _ in value.shape[1:])


def stride_regions(inputs: Mapping[str, Tensor], moves: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The cells that a sliding window moves by, numbered: without overlap each cell is one window."""
    cells = {}
    for name, value in inputs.items():
        number = torch.zeros(value.shape[1:], dtype=torch.int64, device=value.device)
        for axis, (edge, move) in enumerate(zip(value.shape[1:], moves[name], strict=True)):
            steps = torch.arange(edge, device=value.device) // move
            number = number * (int(steps.max()) + 1) + steps.view(-1, *[1] * (value.ndim - 2 - axis))
        cells[name] = number
    return number_regions(inputs, cells)


def count_once(part: Tensor, regions: Tensor) -> Tensor:
    """Sum of a regional attribution per example, each region counted once: value / size, summed over positions."""
    flat = regions.flatten() - regions.min()
    sizes = torch.bincount(flat)
    return (part.flatten(start_dim=1) / sizes[flat]).sum(dim=1)
