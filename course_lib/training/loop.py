"""The training loop that lessons, capstones and the command line share."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from course_lib.training.config import TrainConfig
from course_lib.training.data import Batch, count_examples, in_memory
from course_lib.training.engine import Engine
from course_lib.training.history import History
from course_lib.training.optimizer import make_optimizer
from course_lib.training.order import BatchOrder, total_steps
from course_lib.training.progress import Progress
from course_lib.training.schedule import make_schedule


class NonFiniteLoss(ArithmeticError):
    """The loss became NaN or infinite. `history` holds the rows up to there."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


def fit(
    model: nn.Module,
    data: tuple | dict | Dataset,
    loss: Callable[[nn.Module, Batch], Tensor],
    config: TrainConfig,
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None,
) -> History:
    """Train `model` in place, on the device where its weights are; return what happened, step by step.

    data: a tuple or dict of tensors that share their first axis, or a map-style Dataset.
    loss: `loss(model, batch)` gives the mean loss of a batch, a scalar; the batch has the structure of `data`.
    evaluate: `evaluate(model)` gives named figures; called without gradients and in eval mode.
    """
    if config.evaluate_every is not None and evaluate is None:
        raise ValueError(f"evaluate_every={config.evaluate_every} needs evaluate=, a function of the model")
    order = BatchOrder(count_examples(data), config.batch_size, config.seed, config.tail == "keep")
    steps = total_steps(config, order)
    learning_rate = make_schedule(config, steps)
    engine = Engine(model, loss, config, make_optimizer(model, config))
    history, progress = History(), Progress(config, 0, steps)
    model.train()
    try:
        for step, batch in enumerate(in_memory(data, order, range(steps), engine.device, 0, 1)):
            value = engine.gradient(batch)
            norm = engine.clip()
            row = {"step": step + 1, "loss": value.item(), "learning_rate": learning_rate(step)}
            if norm is not None:
                row["grad_norm"] = norm.item()
            if not math.isfinite(row["loss"]):
                raise NonFiniteLoss(f"loss is {row['loss']} at step {step + 1}", history)
            engine.update(row["learning_rate"])
            if evaluate is not None and (step + 1 == steps or (step + 1) % (config.evaluate_every or steps) == 0):
                row.update(measure(model, evaluate))
            history.rows.append(row)
            progress.show(row)
    except KeyboardInterrupt:
        history.stopped = f"interrupted after step {len(history)}"
    finally:
        progress.close()
    return history


def measure(model: nn.Module, evaluate: Callable[[nn.Module], dict[str, float]]) -> dict[str, float]:
    """`evaluate` in eval mode and without gradients; figures come back as Python floats."""
    model.eval()
    with torch.no_grad():
        figures = {name: float(value) for name, value in evaluate(model).items()}
    model.train()
    return figures
