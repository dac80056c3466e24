"""What a run did: one row per optimiser step, named columns, one plot."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, float | int]


@dataclass
class History:
    """Rows of figures by step. `history["loss"]` is a column, `history.steps("accuracy")` the steps it was measured at.

    Columns: step (optimiser steps done, from 1), loss (mean over the step's examples), learning_rate, grad_norm (L2,
    before clipping; with clipping on), and whatever `evaluate` returned.
    """

    rows: list[Row] = field(default_factory=list)
    """One dict per step; a figure that was not measured at a step is absent there."""
    stopped: str = ""
    """Why the run ended early; empty if it did not."""
    notes: list[str] = field(default_factory=list)
    """What the run had to adapt to: memory that ran out, a damaged checkpoint that was passed over."""

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __getitem__(self, column: str) -> list[float | int]:
        return [row[column] for row in self._with(column)]

    def steps(self, column: str) -> list[int]:
        """The steps at which `column` was measured."""
        return [int(row["step"]) for row in self._with(column)]

    @property
    def columns(self) -> list[str]:
        """Names of everything that was measured, in order of appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    @property
    def final(self) -> Row:
        """The last value of every column."""
        return {name: value for row in self.rows for name, value in row.items()}

    def plot(self, *columns: str, ax: Any = None) -> tuple[Any, Any]:
        """Draw columns (by default the loss) over the steps; returns (fig, ax)."""
        import matplotlib.pyplot as plt  # takes half a second, and most runs draw nothing

        fig, ax = plt.subplots() if ax is None else (ax.figure, ax)
        for column in columns or ("loss",):
            ax.plot(self.steps(column), self[column], label=column, marker="o" if len(self[column]) < 20 else None)
        ax.set(xlabel="optimiser step", ylabel=" / ".join(columns or ("loss",)))
        if len(columns) > 1:
            ax.legend()
        return fig, ax

    def _with(self, column: str) -> list[Row]:
        rows = [row for row in self.rows if column in row]
        if not rows and self.rows:
            raise KeyError(f"no column {column!r}; this history has {', '.join(self.columns)}")
        return rows

    def __repr__(self) -> str:
        ended = f", stopped: {self.stopped}" if self.stopped else ""
        return f"History({len(self.rows)} steps, columns {', '.join(self.columns)}{ended})"
