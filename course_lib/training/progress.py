"""What a run shows while it works: a bar to a person, a line per interval to a log, nothing in a built notebook.

A bar and a log's lines go to stderr. In a notebook, where stderr is red, the bar is the cell's (see cell_bar.py),
figures of `evaluate` stand in it, and the few lines that a person must see go to stdout.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

from course_lib.training.cell_bar import CellBar, in_notebook
from course_lib.training.config import TrainConfig
from course_lib.training.history import Row


def watcher(config: TrainConfig) -> str:
    """Who is watching: "bar" for a person, "none" when a notebook is built, "lines" for a log."""
    if int(os.environ.get("RANK", "0")) > 0:
        return "none"  # one voice is enough
    if config.progress != "auto":
        return config.progress
    if os.environ.get("COURSE_STATIC") == "1":
        return "none"
    return "bar" if ipython() is not None or sys.stderr.isatty() else "lines"


def ipython() -> Any:
    """The IPython shell that this runs in, or None; IPython is never imported just to ask."""
    return sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None


class Progress:
    """Shows rows as they are read from the device, so it never makes a step wait."""

    def __init__(self, config: TrainConfig, steps: int, run_dir: Path | None = None) -> None:
        self.kind, self.every, self.steps = watcher(config), config.log_every, steps
        self.began, self.start, self.events = time.perf_counter(), 0, None
        self.in_notebook = in_notebook(ipython())
        self.bar = self._bar() if self.kind == "bar" else None
        if config.tensorboard and int(os.environ.get("RANK", "0")) == 0:
            self.events = _event_writer(run_dir)

    def start_at(self, step: int) -> None:
        """A resumed run begins here."""
        self.start, self.began = step, time.perf_counter()
        if self.bar is not None:
            self.bar.initial = step  # so that its rate counts this run's steps only
            self.bar.update(step)

    def tick(self) -> None:
        """One more step was started."""
        if self.bar is not None:
            self.bar.update()

    def show(self, row: Row) -> None:
        """A row of the history; a log gets a line at every interval and at the end."""
        step = row["step"]
        due = step % self.every == 0 or step == self.steps
        if due and self.bar is not None:
            self.bar.set_postfix({"loss": f"{row['loss']:.4g}"}, refresh=False)
        elif due and self.kind == "lines":
            rate = (step - self.start) / (time.perf_counter() - self.began)
            self.say(f"step {step}/{self.steps}  {_figures(row)}  {rate:.3g} steps/s")
        if self.events is not None:
            self._write(step, row)

    def show_evaluation(self, step: int, figures: Row) -> None:
        """What `evaluate` returned after a step."""
        if self.bar is not None and self.in_notebook:
            self.bar.set_postfix({name: f"{value:.4g}" for name, value in figures.items()})
        else:
            self.say(f"step {step}/{self.steps}  {_figures(figures)}")
        if self.events is not None:
            self._write(step, figures)

    def say(self, line: str) -> None:
        """A line for whoever watches, above the bar if there is one."""
        if self.kind == "none":
            return
        if self.bar is not None and not self.in_notebook:
            self.bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stdout if self.in_notebook else sys.stderr, flush=True)

    def close(self) -> None:
        """Take the bar away and bring the events to disk."""
        if self.bar is not None:
            self.bar.close()
        if self.events is not None:
            self.events.close()

    def _bar(self) -> Any:
        if self.in_notebook:
            return CellBar(self.steps, ipython())
        from tqdm import tqdm

        return tqdm(total=self.steps, unit="step", leave=False, delay=1.0)

    def _write(self, step: int, figures: Row) -> None:
        for name, value in figures.items():
            if name != "step":
                self.events.add_scalar(name, value, step)


def _figures(row: Row) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in row.items() if name != "step")


def _event_writer(run_dir: Path | None) -> Any:
    if run_dir is None:
        raise ValueError("tensorboard=True needs run_dir=, the directory for the event files")
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("tensorboard=True needs a package: pip install tensorboard") from error
    return SummaryWriter(run_dir / "tensorboard")
