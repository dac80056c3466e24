"""From data to batches on the device: tensors are indexed where they lie, a Dataset is loaded ahead of the step.

Both give one batch per optimiser step, with the structure of the data, and can start at any step.
"""

import multiprocessing
import os
import random
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from course_lib.training.order import BatchOrder, mixed_seed

Batch = tuple | list | dict | Tensor
BLOCK_BYTES = 4 * 2**20  # gathered at once for several steps: enough to save calls, little enough to stay in the cache
ALIGNED = 64  # bytes; where an array lies within such a line decides how MKL rounds its products


def count_examples(data: object) -> int:
    """The common length of the first axis, or of the Dataset. Anything else is refused with what fits."""
    if isinstance(data, (tuple, dict)):
        lengths = {len(t) if isinstance(t, Tensor) and t.dim() > 0 else None for t in columns(data)}
        if len(lengths) != 1 or None in lengths:
            found = [tuple(t.shape) if isinstance(t, Tensor) else type(t).__name__ for t in columns(data)]
            raise ValueError(f"data must be tensors that share their first axis, got {found}")
        return lengths.pop()
    if isinstance(data, IterableDataset):
        raise TypeError(
            "data is an IterableDataset, which cannot be shuffled or resumed; give it __getitem__ and __len__"
        )
    if isinstance(data, Dataset):
        return len(data)
    raise TypeError(f"data is a {type(data).__name__}; pass a tuple or dict of tensors, such as (images, labels)")


def length(batch: Batch) -> int:
    """Examples in a batch: the first axis of its first tensor."""
    while not isinstance(batch, Tensor):
        batch = columns(batch)[0]
    return len(batch)


def like(data: tuple | list | dict, values: Iterable) -> tuple | dict:
    """`values` in the structure of `data`: its keys, or the fields of its named tuple."""
    if isinstance(data, dict):
        return dict(zip(data, values, strict=True))
    return data._make(values) if hasattr(data, "_make") else tuple(values)


def columns(data: tuple | list | dict) -> list:
    """The values that `like` puts back."""
    return list(data.values() if isinstance(data, dict) else data)


def split(batch: Any, pieces: int) -> list:
    """Cut the first axis of every tensor into `pieces` parts, whose lengths differ by at most one."""
    if isinstance(batch, Tensor):
        return list(batch.tensor_split(pieces))
    if isinstance(batch, (tuple, list, dict)):
        parts = zip(*(split(value, pieces) for value in columns(batch)), strict=True)
        return [like(batch, part) for part in parts]
    raise TypeError(f"a batch holds a {type(batch).__name__}, which cannot be split; let `collate` return tensors")


def in_memory(data: tuple | dict, order: BatchOrder, steps: range, device: torch.device) -> Iterator[Batch]:
    """Batches of tensors that live on `device`: gathered for a block of steps at once, handed out as views.

    Views that would start within a line of memory are gathered one by one instead: their place in the block depends on
    the step a run started at, and the last bits of their matrix products on their place.
    """
    tensors = [t.to(device) for t in columns(data)]
    row_bytes = [t[:1].numel() * t.element_size() for t in tensors]
    block = max(1, min(64, BLOCK_BYTES // max(1, sum(row_bytes) * order.batch_size)))
    for first in range(steps.start, steps.stop, block):
        parts = [order.indices(step) for step in range(first, min(first + block, steps.stop))]
        rows, sizes = torch.cat(parts).to(device), [len(part) for part in parts]
        if all(size * bytes_ % ALIGNED == 0 for size in sizes[:-1] for bytes_ in row_bytes):
            gathered = [t.index_select(0, rows).split(sizes) for t in tensors]
        else:
            gathered = [[t.index_select(0, part) for part in rows.split(sizes)] for t in tensors]
        batches = zip(*gathered, strict=True)
        yield from batches if type(data) is tuple else (like(data, batch) for batch in batches)


class StepBatches(Dataset):
    """A Dataset whose item number `step` is this process's whole batch of that step.

    One pool of workers then serves the whole run, with no restart between epochs, and a resumed run just starts at a
    later item. Random augmentation is seeded by the step, so it depends neither on the workers nor on the resume.
    """

    def __init__(self, data: Dataset, order: BatchOrder, collate: Callable[[list], Batch]) -> None:
        self.data, self.order, self.collate = data, order, collate

    def __getitem__(self, step: int) -> Batch:
        rows = self.order.indices(step).tolist()
        with seeded(mixed_seed(self.order.seed, step, self.order.rank)):
            fetch = getattr(self.data, "__getitems__", None)  # datasets that read several rows at once, as in PyTorch
            return self.collate(fetch(rows) if fetch is not None else [self.data[row] for row in rows])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the CPU generators of torch, NumPy and Python for a while, then put back what they were."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])


def loaded(batches: StepBatches, steps: range, device: torch.device, workers: int | None) -> Iterator[Batch]:
    """Batches of a Dataset: read by worker processes, pinned, and copied to the device while it computes."""
    on_card = device.type == "cuda"
    loader = DataLoader(
        batches,
        sampler=steps,
        batch_size=None,  # an item is a batch already
        collate_fn=_as_is,
        num_workers=default_workers(device) if workers is None else workers,
        pin_memory=on_card,
        worker_init_fn=_leave_signals_to_the_parent,
        generator=torch.Generator(),  # else the loader draws from the caller's global one
    )
    return prefetched(loader, device) if on_card else (to_device(batch, device) for batch in loader)


def default_workers(device: torch.device) -> int:
    """0 on the CPU, where workers would compete with the step, or where workers cannot inherit a notebook's classes."""
    if device.type == "cpu" or multiprocessing.get_start_method() != "fork":
        return 0
    processes_here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return min(8, max(1, (os.cpu_count() or 1) // processes_here - 1))


def prefetched(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Copy the next batch on a stream of its own while this one computes."""
    stream, waiting = torch.cuda.Stream(device), []
    for batch in batches:
        with torch.cuda.stream(stream):
            coming = to_device(batch, device)
        waiting.append((coming, stream.record_event()))
        if len(waiting) == 2:
            yield _handed_over(*waiting.pop(0))
    for coming in waiting:
        yield _handed_over(*coming)


def _handed_over(batch: Batch, copied: "torch.cuda.Event") -> Batch:
    present = torch.cuda.current_stream()
    present.wait_event(copied)  # for this batch's copy only, not for the one under way
    for tensor in _tensors(batch):
        tensor.record_stream(present)  # or its memory could be reused while the step reads it
    return batch


def to_device(batch: Any, device: torch.device) -> Any:
    """Every tensor of a batch on `device`; from pinned memory the copy does not make the host wait."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, (tuple, list, dict)):
        return like(batch, [to_device(value, device) for value in columns(batch)])
    return batch


def _tensors(batch: Batch) -> Iterator[Tensor]:
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, (tuple, list, dict)):
        for value in columns(batch):
            yield from _tensors(value)


def _as_is(batch: Batch) -> Batch:
    return batch


def _leave_signals_to_the_parent(worker: int) -> None:
    """Ctrl-C and SIGTERM reach a whole group of processes, and the parent still needs batches to end its step.

    The second SIGTERM is for the worker: that is how the parent ends one that hangs.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.signal(signal.SIGTERM, signal.SIG_DFL))
