"""Collects losses, stops at one that is not finite, and writes rows to the history in intervals.

Reading a loss makes the host wait for a GPU, so there it happens every `log_every` steps. On one CPU nothing has to be
waited for: every loss is looked at, and a bad step is caught before it touches the weights.
"""

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from course_lib.training.distributed import total, world
from course_lib.training.history import History, Row
from course_lib.training.progress import Progress


class NonFiniteLoss(ArithmeticError):
    """The loss became NaN or infinite. `history` holds the rows before that step."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


def waits(device: torch.device) -> bool:
    """Whether reading a loss makes someone wait: the host for its device, or one process for the others."""
    return device.type != "cpu" or world().size > 1


class Recorder:
    """Takes every step's figures and turns them into rows when it is time to."""

    def __init__(
        self, history: History, progress: Progress, every: int, waits: bool, gradient_norm: Callable[[], float]
    ) -> None:
        self.history, self.progress, self.every, self.waits = history, progress, every, waits
        self.gradient_norm = gradient_norm  # asked only when a run dies, if clipping did not measure it
        self.last_checkpoint: Path | None = None  # named if the run dies
        self.pending: list[tuple[int, Tensor | float, float, Tensor | None]] = []

    def add(self, step: int, loss: Tensor, learning_rate: float, norm: Tensor | None) -> None:
        """Note a step's loss and gradient norm, both still on the device."""
        value = loss if self.waits else loss.item()
        self.pending.append((step, value, learning_rate, norm))
        self.progress.tick()
        if step % self.every == 0 or not (self.waits or math.isfinite(value)):
            self.read()

    def read(self) -> None:
        """Write the rows that are due; stop at a loss that is not finite."""
        if not self.pending:
            return
        steps, losses, rates, norms = zip(*self.pending, strict=True)
        self.pending = []
        values = _floats(losses, summed=True) if self.waits else losses
        norms = norms if norms[0] is None else _floats(norms, summed=False)
        for step, loss, rate, norm in zip(steps, values, rates, norms, strict=True):
            row = {"step": step, "loss": loss, "learning_rate": rate}
            if norm is not None:
                row["grad_norm"] = norm
            if not math.isfinite(loss):
                raise NonFiniteLoss(self._obituary(row), self.history)
            self.history.rows.append(row)
            self.progress.show(row)

    def measured(self, figures: Row) -> None:
        """Add what `evaluate` returned to the newest row."""
        self.read()
        self.history.rows[-1].update(figures)
        self.progress.show_evaluation(self.history.rows[-1]["step"], figures)

    def refuse_weights(self, norm: float, step: int) -> None:
        """Stop if the weights' norm is not finite: a finite loss may have an infinite gradient."""
        if not math.isfinite(norm):
            raise NonFiniteLoss(f"the weights are not finite after step {step}; {self._advice()}", self.history)

    def _obituary(self, row: Row) -> str:
        norm = row["grad_norm"] if "grad_norm" in row else self.gradient_norm()
        last = self.history.rows[-1] if self.history.rows else None
        before = "no step was good"
        if last is not None:
            before = f"the last finite loss was {last['loss']:.4g} at step {last['step']}"
        return f"the loss is {row['loss']} at step {row['step']}, gradient norm {norm:.4g}; {before}; {self._advice()}"

    def _advice(self) -> str:
        path = self.last_checkpoint
        good = f"the last good checkpoint is {path}" if path is not None else "no checkpoint was written"
        return f"{good}. Look at that step's data, then try a lower learning_rate, warmup_steps or clip_norm=1.0"


def _floats(values: tuple[Tensor, ...], *, summed: bool) -> list[float]:
    stacked = torch.stack(values)
    stacked = stacked.float() if stacked.device.type == "mps" else stacked.double()
    return (total(stacked) if summed else stacked).tolist()
