"""What a run shows while it works: a bar to a person, a line per interval to a log, nothing in a built notebook."""

import os
import sys
import time

from course_lib.training.config import TrainConfig


def watcher(config: TrainConfig) -> str:
    """Who is watching: "bar" for a terminal or a live notebook, "none" when a notebook is built, "lines" for a log."""
    if config.progress != "auto":
        return config.progress
    if os.environ.get("COURSE_STATIC") == "1" or int(os.environ.get("RANK", "0")) > 0:
        return "none"
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()  # never imported just to ask
    return "bar" if sys.stderr.isatty() or shell else "lines"


class Progress:
    """Shows rows as they are read from the device. Rows come in intervals, so it never makes a step wait."""

    def __init__(self, config: TrainConfig, start: int, steps: int) -> None:
        self.kind, self.every, self.steps = watcher(config), config.log_every, steps
        self.began, self.start, self.bar = time.perf_counter(), start, None
        if self.kind == "bar":
            from tqdm import tqdm  # the plain one: tqdm.auto leaves widgets behind in a notebook

            self.bar = tqdm(initial=start, total=steps, unit="step", leave=False)

    def show(self, row: dict[str, float]) -> None:
        """One row; "lines" prints it at every log interval, when figures beside the loss came in, and at the end."""
        if self.bar is not None:
            self.bar.update(int(row["step"]) - self.bar.n)
            if row["step"] % self.every == 0:
                self.bar.set_postfix(loss=f"{row['loss']:.4g}", refresh=False)
        elif self.kind == "lines" and (row["step"] % self.every == 0 or row["step"] == self.steps):
            rate = (row["step"] - self.start) / (time.perf_counter() - self.began)
            figures = "  ".join(f"{name} {value:.4g}" for name, value in row.items() if name != "step")
            self.say(f"step {row['step']}/{self.steps}  {figures}  {rate:.1f} steps/s")

    def say(self, line: str) -> None:
        """A line for whoever watches, beside the bar if there is one."""
        if self.bar is not None:
            self.bar.write(line, file=sys.stderr)
        elif self.kind == "lines":
            print(line, file=sys.stderr)

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.close()
