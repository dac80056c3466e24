"""The repeated blocks of a deep model: the grain at which activations are recomputed and weights are sharded."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint


def repeated_blocks(model: nn.Module) -> list[nn.Module]:
    """Elements of every ModuleList or Sequential that repeats one composed class, such as a transformer's layers."""
    blocks, inside = [], set()
    for container in model.modules():
        if not isinstance(container, (nn.ModuleList, nn.Sequential)) or id(container) in inside:
            continue
        children = [child for child in container if any(True for _ in child.children())]
        if len(children) > 1 and len({type(child) for child in children}) == 1:
            blocks += children
            inside |= {id(part) for child in children for part in child.modules()}  # no blocks within blocks
    return blocks


@contextmanager
def recomputed(model: nn.Module, enabled: bool) -> Iterator[None]:
    """While open, blocks keep their input instead of their activations and compute them again in the backward pass.

    Chen et al., 2016, arXiv:1604.06174. Random numbers are replayed, so dropout drops the same entries.
    """
    blocks = repeated_blocks(model) if enabled else []
    if enabled and not blocks:
        raise ValueError("gradient_checkpointing=True found no repeated blocks; keep them in an nn.ModuleList")
    for block in blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward  # the class's own forward shows again
