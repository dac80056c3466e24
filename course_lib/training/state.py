"""Everything a run needs to go on as if it had never stopped, as tensors and JSON, and back.

Model, optimiser, weight average, loss scaler, random number generators, history. The learning rate and the order of the
examples are functions of the step, so the step number is all that is kept of them.
"""

import dataclasses
import json
import random
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from course_lib.training.config import TrainConfig
from course_lib.training.distributed import world
from course_lib.training.fingerprint import refuse_other_data
from course_lib.training.history import History
from course_lib.training.optimizer import WeightAverage
from course_lib.training.weights import differences, read_tensors, shapes_of, write_tensors

# Settings that change how a run is computed but not what it computes, so a resumed run may have others.
FREE = {"micro_batch_size", "compile", "gradient_checkpointing", "shard", "workers", "progress", "tensorboard"}
FREE |= {"log_every", "evaluate_every", "checkpoint_every", "keep_last"}


@dataclass
class RunState:
    """The parts of a run that change from step to step."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: WeightAverage | None
    history: History
    config: TrainConfig
    device: torch.device
    data: dict
    """What `fingerprint` says of the training data."""

    def write(self, directory: Path, step: int) -> dict:
        """Put the tensors and this process's generators into `directory`; returns the part that is JSON."""
        (directory / f"rng-{world().rank}.json").write_text(json.dumps(generator_states(self.device)))
        trained, numbers = self._optimizer_state()
        if self.average is not None:
            trained |= {f"ema/{name}": value for name, value in self.average.average.items()}
        if self.config.shard:
            _write_shards(self.model.state_dict() | trained, directory)
        elif world().rank == 0:
            write_tensors(self.model.state_dict(), directory / "model.safetensors")
            write_tensors(trained, directory / "training.safetensors")
        return {
            "step": step,
            "processes": world().size,
            "config": dataclasses.asdict(self.config),
            "data": self.data,
            "training": {name: [list(t.shape), str(t.dtype).removeprefix("torch.")] for name, t in trained.items()},
            "optimizer_numbers": numbers,
            "scaler": self.scaler.state_dict(),
            "history": self.history.rows,
        }

    def restore(self, directory: Path, state: dict, *, other_data: bool = False) -> int:
        """Read a checkpoint back into all parts; returns the step to go on with. other_data: let the data be others."""
        refuse_other_settings(self.config, state["config"])
        if not other_data:
            refuse_other_data(self.data, state["data"])
        training = self._blank_training(state["training"])
        with torch.no_grad():
            _read(directory, self.model.state_dict() | training, sharded=self.config.shard)
        self._take_optimizer_state(training, state["optimizer_numbers"])
        self.scaler.load_state_dict(state["scaler"])
        self.history.rows[:] = state["history"]
        generators = directory / f"rng-{world().rank}.json"
        if generators.exists():  # with more processes than before, a new one goes on with the generators it has
            restore_generators(json.loads(generators.read_text()), self.device)
        return state["step"]

    def _optimizer_state(self) -> tuple[dict[str, Tensor], dict[str, float]]:
        names = {id(p): name for name, p in self.model.named_parameters()}
        tensors, numbers = {}, {}
        for parameter, state in self.optimizer.state.items():
            for key, value in state.items():
                kept = tensors if isinstance(value, Tensor) else numbers
                kept[f"optimizer/{names[id(parameter)]}/{key}"] = value
        return tensors, numbers

    def _blank_training(self, shapes: dict[str, list]) -> dict[str, Tensor]:
        """Tensors for the optimiser state and the average to be read into, placed and split like their parameters."""
        parameters = dict(self.model.named_parameters())
        average = self.average.average if self.average is not None else {}
        blank = {f"ema/{name}": value for name, value in average.items()}
        for name, (shape, dtype) in shapes.items():
            kind, _, rest = name.partition("/")
            if kind == "optimizer":
                parameter = parameters.get(rest.rpartition("/")[0])
                alike = parameter is not None and list(parameter.shape) == shape
                dtype = getattr(torch, dtype)
                blank[name] = torch.zeros_like(parameter, dtype=dtype) if alike else torch.zeros(shape, dtype=dtype)
        return blank

    def _take_optimizer_state(self, tensors: dict[str, Tensor], numbers: dict[str, float]) -> None:
        by_parameter: dict[str, dict] = {}
        for name, value in (tensors | numbers).items():
            kind, _, rest = name.partition("/")
            if kind == "optimizer":
                parameter, _, key = rest.rpartition("/")
                by_parameter.setdefault(parameter, {})[key] = value
        names = {id(p): name for name, p in self.model.named_parameters()}
        order = [names[id(p)] for group in self.optimizer.param_groups for p in group["params"]]
        state = {index: by_parameter[name] for index, name in enumerate(order) if name in by_parameter}
        self.optimizer.load_state_dict({"state": state, "param_groups": self.optimizer.state_dict()["param_groups"]})


def refuse_other_settings(config: TrainConfig, saved: dict) -> None:
    """A resumed run computes what the first one would have; settings that change the result must be the same."""
    present = json.loads(json.dumps(dataclasses.asdict(config)))  # tuples become lists, as they did on disk
    free = FREE | ({"steps", "epochs"} if config.schedule == "constant" else set())  # only there is the end unused
    changed = [
        f"{name}: {saved.get(name)} -> {now}"
        for name, now in present.items()
        if name not in free and saved.get(name) != now
    ]
    if changed:
        raise ValueError(
            f"this run was started with other settings ({'; '.join(changed)}), so it cannot be resumed exactly; "
            "for a new run from these weights call load_weights and use another run_dir"
        )


def _write_shards(tensors: dict[str, Tensor], directory: Path) -> None:
    import torch.distributed.checkpoint as dcp  # a second to import, for sharded runs only

    dcp.save(tensors, storage_writer=dcp.HuggingFaceStorageWriter(str(directory), save_distributed=True))


def _read(directory: Path, targets: dict[str, Tensor], *, sharded: bool) -> None:
    """Fill `targets` in place; names and shapes must agree first."""
    if sharded or any(directory.glob("shard-*.safetensors")):
        return _read_shards(directory, targets)
    found = read_tensors(directory / "model.safetensors") | read_tensors(directory / "training.safetensors")
    _refuse_differences(directory, shapes_of(found), targets)
    for name, target in targets.items():
        target.copy_(found[name])


def _read_shards(directory: Path, targets: dict[str, Tensor]) -> None:
    import torch.distributed.checkpoint as dcp

    reader = dcp.HuggingFaceStorageReader(str(directory))
    shapes = {name: tuple(entry.size) for name, entry in reader.read_metadata().state_dict_metadata.items()}
    _refuse_differences(directory, shapes, targets)
    with warnings.catch_warnings():  # torch warns that one process is loading, which is what was asked for
        warnings.filterwarnings("ignore", "torch.distributed is disabled")
        dcp.load(targets, storage_reader=reader, no_dist=world().size == 1)


def _refuse_differences(directory: Path, found: dict[str, tuple], targets: dict[str, Tensor]) -> None:
    problems = differences(found, shapes_of(targets))
    if problems:
        raise ValueError(f"{directory} does not fit this run:\n  " + "\n  ".join(problems.values()))


def generator_states(device: torch.device) -> dict:
    """The global generators of Python, NumPy and torch, as JSON; dropout draws from torch's."""
    numpy_state = np.random.get_state(legacy=False)
    numpy_state["state"]["key"] = numpy_state["state"]["key"].tolist()
    states = {"python": random.getstate(), "numpy": numpy_state, "torch": torch.get_rng_state().tolist()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device).tolist()
    return states


def restore_generators(states: dict, device: torch.device) -> None:
    """Put back what `generator_states` read."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    key = np.array(states["numpy"]["state"]["key"], dtype=np.uint32)
    np.random.set_state({**states["numpy"], "state": {**states["numpy"]["state"], "key": key}})
    torch.set_rng_state(torch.tensor(states["torch"], dtype=torch.uint8))
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(torch.tensor(states["cuda"], dtype=torch.uint8), device)
