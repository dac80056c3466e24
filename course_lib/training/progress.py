"""What a run shows while it works: a bar to a person, a line per interval to a log, nothing in a built notebook."""

import os
import sys
import time
from pathlib import Path
from typing import Any

from course_lib.training.config import TrainConfig
from course_lib.training.history import Row


def watcher(config: TrainConfig) -> str:
    """Who is watching: "bar" for a terminal or a live notebook, "none" when a notebook is built, "lines" for a log."""
    if int(os.environ.get("RANK", "0")) > 0:
        return "none"  # one voice is enough
    if config.progress != "auto":
        return config.progress
    if os.environ.get("COURSE_STATIC") == "1":
        return "none"
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None  # never imported just to ask
    return "bar" if shell is not None or sys.stderr.isatty() else "lines"


class Progress:
    """Shows rows as they are read from the device, so it never makes a step wait."""

    def __init__(self, config: TrainConfig, steps: int, run_dir: Path | None = None) -> None:
        self.kind, self.every, self.steps = watcher(config), config.log_every, steps
        self.began, self.start, self.bar, self.events = time.perf_counter(), 0, None, None
        if self.kind == "bar":
            from tqdm import tqdm  # the plain one: tqdm.auto leaves widgets behind in a notebook

            # delay: a run of under a second shows nothing, and leaves no empty strip under the cell
            self.bar = tqdm(total=steps, unit="step", leave=False, delay=1.0)
        if config.tensorboard and int(os.environ.get("RANK", "0")) == 0:
            self.events = _event_writer(run_dir)

    def start_at(self, step: int) -> None:
        """A resumed run begins here."""
        self.start, self.began = step, time.perf_counter()
        if self.bar is not None:
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
            self.bar.set_postfix(loss=f"{row['loss']:.4g}", refresh=False)
        elif due and self.kind == "lines":
            rate = (step - self.start) / (time.perf_counter() - self.began)
            self.say(f"step {step}/{self.steps}  {_figures(row)}  {rate:.3g} steps/s")
        if self.events is not None:
            self._write(step, row)

    def show_evaluation(self, step: int, figures: Row) -> None:
        """What `evaluate` returned after a step."""
        self.say(f"step {step}/{self.steps}  {_figures(figures)}")
        if self.events is not None:
            self._write(step, figures)

    def say(self, line: str) -> None:
        """A line for whoever watches, above the bar if there is one."""
        if self.bar is not None:
            self.bar.write(line, file=sys.stderr)
        elif self.kind == "lines":
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Take the bar away and bring the events to disk."""
        if self.bar is not None:
            self.bar.close()
        if self.events is not None:
            self.events.close()

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
