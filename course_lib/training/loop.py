"""The training loop that lessons, capstones and the command line share.

Read it with engine.py (one step) beside it; every other module here is a part that the loop calls by name.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import Dataset, default_collate

from course_lib.training import checkpoint
from course_lib.training.blocks import recomputed
from course_lib.training.config import TrainConfig
from course_lib.training.data import Batch, StepBatches, count_examples, in_memory, loaded
from course_lib.training.distributed import agreed, split_again, world
from course_lib.training.engine import Engine, Loss, Weigh, device_of
from course_lib.training.fingerprint import fingerprint
from course_lib.training.history import History
from course_lib.training.interrupt import interruptible
from course_lib.training.optimizer import WeightAverage, make_optimizer
from course_lib.training.order import BatchOrder, total_steps
from course_lib.training.progress import Progress
from course_lib.training.recorder import Recorder, waits
from course_lib.training.run_directory import run_directory
from course_lib.training.schedule import make_schedule
from course_lib.training.state import RunState

Evaluate = Callable[[nn.Module], dict[str, float]]


def fit(
    model: nn.Module,
    data: tuple | dict | Dataset,
    loss: Loss,
    config: TrainConfig,
    evaluate: Evaluate | None = None,
    *,
    weigh: Weigh | None = None,
    collate: Callable[[list], Batch] = default_collate,
    optimizer: Callable[[nn.Module], torch.optim.Optimizer] | None = None,
    run_dir: str | Path | None = None,
    resume: bool = False,
    other_data: bool = False,
) -> History:
    """Train `model` in place, on the device where its weights are; return what happened, step by step.

    data: a tuple or dict of tensors that share their first axis, or a map-style Dataset.
    loss: `loss(model, batch)` gives the mean loss of a batch, a scalar; the batch has the structure of `data`, and the
        model is to be called as given, since it may stand for several processes.
    evaluate: `evaluate(model)` gives named figures; called in eval mode, without gradients, on every process.
    weigh: `weigh(batch)` counts what the loss is a mean over, such as tokens that are not padding. Without it every
        example counts the same. Micro-batches and processes are weighted by it, so that cutting changes nothing.
    collate: makes a batch from a list of a Dataset's items.
    optimizer: `optimizer(model)` replaces the one that `config` names; the schedule still sets its learning rate.
    run_dir: where checkpoints go; seen by all processes, and used by one run at a time. `resume=True` continues from
        the newest whole one in it; on other data than before only with `other_data=True`.

    Raises NonFiniteLoss, CheckpointError, RunDirectoryBusy. Ctrl-C ends the run after the step at hand, and says so in
    `History.stopped`; SIGTERM does the same and then ends the program (see interrupt.py).
    In several processes every one calls `fit` with the same arguments inside `process_group()`.
    """
    if config.evaluate_every is not None and evaluate is None:
        raise ValueError(f"evaluate_every={config.evaluate_every} needs evaluate=, a function of the model")
    order = BatchOrder(count_examples(data), config.batch_size, config.seed, config.tail == "keep", *world())
    steps = total_steps(config, order)
    learning_rate = make_schedule(config, steps)
    history, device = History(), device_of(model)

    def note(line: str) -> None:
        history.notes.append(line)
        progress.say(line)

    with (
        run_directory(run_dir, config, resume, device) as directory,
        closing(Progress(config, steps, directory)) as progress,
        recomputed(model, config.gradient_checkpointing),
        interruptible() as interrupt,
    ):
        engine = Engine(model, loss, config, weigh, note)
        rule = make_optimizer(model, config) if optimizer is None else optimizer(model)
        average = None if config.ema_decay is None else WeightAverage(model, config.ema_decay)
        about = fingerprint(data) if directory is not None else {}
        state = RunState(model, rule, engine.scaler, average, history, config, device, about)
        recorder = Recorder(history, progress, config.log_every, waits(device), engine.gradient_norm)
        start = _resumed(state, directory, recorder, note, other_data) if resume else 0
        progress.start_at(start)
        batches = _batches(data, order, range(start, steps), device, config, collate)
        model.train()
        try:
            for step, batch in enumerate(batches, start):
                value = engine.gradient(batch, order.size(step) if order.processes > 1 else None)
                norm, rate = engine.clip(rule), learning_rate(step)
                recorder.add(step + 1, value, rate, norm)
                engine.update(rule, rate)
                if average is not None:
                    average.update()
                last = step + 1 == steps
                if evaluate is not None and (last or _due(step + 1, config.evaluate_every)):
                    recorder.measured(_measured(model, evaluate, average))
                if directory is not None and (last or interrupt.asked or _due(step + 1, config.checkpoint_every)):
                    _save(state, recorder, engine, directory, step + 1)
                if interrupt.asked:
                    progress.say(f"{interrupt} after step {step + 1}: the run stops here")
                    interrupt.stop()
        except KeyboardInterrupt:
            recorder.read()
            history.stopped = f"interrupted after step {history.final.get('step', 0)}"
        recorder.read()
        recorder.refuse_weights(engine.weight_norm(), int(history.final.get("step", 0)))
        if average is not None:
            average.exchange()
    return history


def _resumed(
    state: RunState, directory: Path, recorder: Recorder, note: Callable[[str], None], other_data: bool
) -> int:
    """Restore the newest whole checkpoint, the same on every process; returns the step to start with."""

    def newest() -> int:
        found = checkpoint.latest(directory, note)
        return checkpoint.step_of(found) if found is not None else 0

    step = agreed(newest, state.device)
    if step == 0:
        note(f"{directory} holds no checkpoint yet: the run starts at its beginning")
        return 0
    recorder.last_checkpoint = checkpoint.path_of(directory, step)
    saved = checkpoint.read_state(recorder.last_checkpoint, verify=False)
    state.restore(recorder.last_checkpoint, saved, other_data=other_data)
    note(f"resumed after step {step} from {recorder.last_checkpoint}")
    return step


def _save(state: RunState, recorder: Recorder, engine: Engine, directory: Path, step: int) -> None:
    recorder.read()  # stops at a loss that is not finite, so that no bad checkpoint takes the place of a good one
    recorder.refuse_weights(engine.weight_norm(), step)
    keep = state.config.keep_last
    recorder.last_checkpoint = checkpoint.save(directory, step, lambda path: state.write(path, step), keep)


def _batches(
    data: tuple | dict | Dataset,
    order: BatchOrder,
    steps: range,
    device: torch.device,
    config: TrainConfig,
    collate: Callable,
) -> Iterator[Batch]:
    if isinstance(data, (tuple, dict)):
        return in_memory(data, order, steps, device)
    return loaded(StepBatches(data, order, collate), steps, device, config.workers)


def _due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0


def _measured(model: nn.Module, evaluate: Evaluate, average: WeightAverage | None) -> dict[str, float]:
    """`evaluate` in eval mode, without gradients, on the averaged weights if there are any."""
    model.eval()
    with torch.no_grad(), average.in_model() if average is not None else nullcontext():
        figures = {name: float(value) for name, value in evaluate(model).items()}
        split_again(model)
    model.train()
    return figures
