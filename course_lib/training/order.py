"""Which examples belong to which step: a pure function of seed and step, so a run can start anywhere in it.

There is no sampler state to save: seed and step number are the position.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from course_lib.training.config import TrainConfig


@dataclass
class BatchOrder:
    """Shuffled passes over the examples, cut into batches, of which this process takes its share."""

    examples: int
    """In the data."""
    batch_size: int
    """Examples per step, over all processes."""
    seed: int = 0
    keep_tail: bool = True
    """Whether a pass ends with a shorter batch; without it those examples wait for the next shuffle."""
    rank: int = 0
    processes: int = 1
    _epoch: tuple[int, Tensor] = field(default=(-1, torch.empty(0)), repr=False)

    def __post_init__(self) -> None:
        if self.examples == 0:
            raise ValueError("the data have no examples")
        if self.batch_size > self.examples:
            raise ValueError(
                f"batch_size={self.batch_size}, but the data have {self.examples} examples; "
                f"use batch_size={self.examples} for one full batch per step"
            )
        smallest = self.size(self.steps_per_epoch - 1)
        if smallest < self.processes:
            raise ValueError(
                f"a batch of {smallest} examples cannot be shared by {self.processes} processes; "
                "use a larger batch_size, or tail='drop' if it is the last of a pass"
            )

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one pass, the shorter last one included if it is kept."""
        whole, rest = divmod(self.examples, self.batch_size)
        return whole + (1 if rest > 0 and self.keep_tail else 0)

    def size(self, step: int) -> int:
        """Examples in a step, over all processes."""
        return min(self.batch_size, self.examples - step % self.steps_per_epoch * self.batch_size)

    def indices(self, step: int) -> Tensor:
        """This process's example numbers (int64) in a step; the shares differ by at most one example."""
        epoch, batch = divmod(step, self.steps_per_epoch)
        rows = self.permutation(epoch)[batch * self.batch_size : (batch + 1) * self.batch_size]
        return rows if self.processes == 1 else rows.tensor_split(self.processes)[self.rank]

    def permutation(self, epoch: int) -> Tensor:
        """All example numbers in the order of one epoch; seed and epoch are hashed, so no two seeds share epochs."""
        if self._epoch[0] != epoch:
            generator = torch.Generator().manual_seed(mixed_seed(self.seed, epoch))
            self._epoch = (epoch, torch.randperm(self.examples, generator=generator))
        return self._epoch[1]


def mixed_seed(*parts: int) -> int:
    """One 63-bit seed from several numbers, by NumPy's SeedSequence."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def total_steps(config: TrainConfig, order: BatchOrder) -> int:
    """Optimiser steps of the run, whether the config counts steps or epochs."""
    return config.steps if config.steps is not None else config.epochs * order.steps_per_epoch
