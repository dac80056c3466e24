"""Reads losses from the device in intervals, stops at one that is not finite, writes rows to the history.

Reading a loss makes the host wait for the device, so on a GPU it happens every `log_every` steps. On the CPU nothing
has to be waited for, and every step is read: there a bad step is caught before it touches the weights.
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


class Recorder:
    """Takes every step's figures as tensors and turns them into rows when it is time to read."""

    def __init__(self, history: History, progress: Progress, every: int, gradient_norm: Callable[[], float]) -> None:
        self.history, self.progress, self.every = history, progress, every
        self.gradient_norm = gradient_norm  # asked only when a run dies, if clipping did not measure it
        self.last_checkpoint: Path | None = None
        self.pending: list[tuple[int, Tensor, float, Tensor | None]] = []

    def add(self, step: int, loss: Tensor, learning_rate: float, norm: Tensor | None) -> None:
        """Note a step's loss and gradient norm, both still on the device."""
        self.pending.append((step, loss, learning_rate, norm))
        if step % self.every == 0:
            self.read()

    def read(self) -> None:
        """Wait for the device, write the rows that are due, stop at a loss that is not finite."""
        if not self.pending:
            return
        steps, losses, rates, norms = zip(*self.pending, strict=True)
        self.pending = []
        values = _floats(losses, summed=True)
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

    def saved(self, path: Path) -> None:
        """Remember the newest checkpoint, to name it if the run dies."""
        self.last_checkpoint = path

    def refuse_weights(self, norm: Tensor, step: int) -> None:
        """Stop if the weights' norm is not finite: a finite loss can still have had an infinite gradient."""
        if not math.isfinite(float(norm)):
            raise NonFiniteLoss(f"the weights are not finite after step {step}; {self._advice()}", self.history)

    def _obituary(self, row: Row) -> str:
        norm = row["grad_norm"] if "grad_norm" in row else self.gradient_norm()
        rows = self.history.rows
        before = (
            f"the last finite loss was {rows[-1]['loss']:.4g} at step {rows[-1]['step']}"
            if rows
            else "no step was good"
        )
        return f"the loss is {row['loss']} at step {row['step']}, gradient norm {norm:.4g}; {before}; {self._advice()}"

    def _advice(self) -> str:
        path = self.last_checkpoint
        good = f"the last good checkpoint is {path}" if path is not None else "no checkpoint was written"
        return f"{good}. Look at that step's data, then try a lower learning_rate, warmup_steps or clip_norm=1.0"


def _floats(values: tuple[Tensor, ...], *, summed: bool) -> list[float]:
    if len(values) == 1 and world().size == 1:
        return [values[0].item()]
    stacked = torch.stack(values).double() if values[0].device.type != "mps" else torch.stack(values).float()
    return (total(stacked) if summed else stacked).tolist()
