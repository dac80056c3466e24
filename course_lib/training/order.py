"""Which examples belong to which step: a pure function of seed and step, so a run can start anywhere in it.

There is no sampler state to save: step number and seed are the position.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from course_lib.training.config import TrainConfig


@dataclass
class BatchOrder:
    """Shuffled passes over `examples` examples, cut into batches of `batch_size`."""

    examples: int
    batch_size: int
    seed: int = 0
    keep_tail: bool = True
    _epoch: tuple[int, Tensor] = field(default=(-1, torch.empty(0)), repr=False)

    def __post_init__(self) -> None:
        if self.batch_size > self.examples:
            raise ValueError(
                f"batch_size={self.batch_size}, but the data have {self.examples} examples; "
                f"use batch_size={self.examples} for one full batch per step"
            )

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one pass, the shorter last one included if the tail is kept."""
        whole, rest = divmod(self.examples, self.batch_size)
        return whole + (1 if rest and self.keep_tail else 0)

    def indices(self, step: int) -> Tensor:
        """The int64 example numbers of one step, shuffled anew in every epoch."""
        epoch, batch = divmod(step, self.steps_per_epoch)
        return self.permutation(epoch)[batch * self.batch_size : (batch + 1) * self.batch_size]

    def permutation(self, epoch: int) -> Tensor:
        """All example numbers in the order of one epoch; seed and epoch are hashed, so seeds do not share epochs."""
        if self._epoch[0] != epoch:
            generator = torch.Generator().manual_seed(mixed_seed(self.seed, epoch))
            self._epoch = (epoch, torch.randperm(self.examples, generator=generator))
        return self._epoch[1]


def mixed_seed(*parts: int) -> int:
    """One 63-bit seed from several numbers, by NumPy's SeedSequence."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)


def total_steps(config: TrainConfig, order: BatchOrder) -> int:
    """Optimiser steps of the run, whether the config counts steps or epochs."""
    return config.steps if config.steps is not None else config.epochs * order.steps_per_epoch
