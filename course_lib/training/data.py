"""From data to batches on the device: tensors are indexed where they lie, a Dataset is loaded ahead.

`batches(data, order, ...)` yields one batch per optimiser step, with the structure of `data`. With several processes
each gets its share of every batch; the shares differ by at most one example.
"""

import multiprocessing
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from course_lib.training.order import BatchOrder, mixed_seed

Batch = tuple | list | dict | Tensor
BLOCK_BYTES = 32 * 2**20  # one index_select for several steps: large enough to save calls, small beside the model


def count_examples(data: object) -> int:
    """The common length of the first axis, or of the Dataset. Anything else is refused with what fits."""
    if isinstance(data, (tuple, dict)):
        tensors = list(data.values()) if isinstance(data, dict) else list(data)
        lengths = [len(t) if isinstance(t, Tensor) and t.dim() > 0 else None for t in tensors]
        if not lengths or None in lengths or len(set(lengths)) > 1:
            shapes = [tuple(t.shape) if isinstance(t, Tensor) else type(t).__name__ for t in tensors]
            raise ValueError(f"data must be tensors that share their first axis, got {shapes}")
        return lengths[0]
    if isinstance(data, Dataset) and not isinstance(data, IterableDataset):
        return len(data)
    advice = "a stream has no position to resume from" if isinstance(data, IterableDataset) else "e.g. (images, labels)"
    raise TypeError(f"data is a {type(data).__name__}; pass a tuple or dict of tensors, or a map-style Dataset: {advice}")


def split(batch: Batch, size: int) -> list[Batch]:
    """Cut a batch into pieces of at most `size` examples along the first axis of every tensor in it."""
    if isinstance(batch, Tensor):
        return list(batch.split(size))
    if isinstance(batch, dict):
        return [dict(zip(batch, piece, strict=True)) for piece in zip(*(split(v, size) for v in batch.values()), strict=True)]
    if isinstance(batch, (tuple, list)):
        return list(zip(*(split(v, size) for v in batch), strict=True))
    raise TypeError(f"cannot split a {type(batch).__name__} into micro-batches; let `collate` return tensors")


def length(batch: Batch) -> int:
    """Examples in a batch: the first axis of its first tensor."""
    while not isinstance(batch, Tensor):
        batch = next(iter(batch.values())) if isinstance(batch, dict) else batch[0]
    return len(batch)


def share(indices: Tensor, rank: int, world_size: int) -> Tensor:
    """This process's part of a step's examples."""
    return indices.tensor_split(world_size)[rank] if world_size > 1 else indices


def in_memory(data: tuple | dict, order: BatchOrder, steps: range, device: torch.device, rank: int, world_size: int) -> Iterator[Batch]:
    """Batches of tensors that live on `device`: gathered for a block of steps at once, then handed out as views."""
    keys = list(data) if isinstance(data, dict) else None
    tensors = [t.to(device) for t in (data.values() if keys is not None else data)]
    row_bytes = sum(t[0].numel() * t.element_size() for t in tensors)
    block = max(1, min(64, BLOCK_BYTES // max(1, row_bytes * order.batch_size)))
    for first in range(steps.start, steps.stop, block):
        parts = [share(order.indices(step), rank, world_size) for step in range(first, min(first + block, steps.stop))]
        rows, sizes = torch.cat(parts).to(device, non_blocking=True), [len(part) for part in parts]
        columns = [t.index_select(0, rows).split(sizes) for t in tensors]
        for batch in zip(*columns, strict=True):
            yield batch if keys is None else dict(zip(keys, batch, strict=True))
