"""Checkpoints of a run: directories that exist whole or not at all.

    run_dir/step-00000300/
        model.safetensors      weights and buffers, named as in state_dict()
        training.safetensors   optimizer/NAME/KEY, and ema/NAME with averaging on
        shard-*.safetensors    instead of these two in a sharded run, written by torch.distributed.checkpoint
        rng-0.json, ...        random number generators, one file per process
        state.json             step, config, history, loss scaler, and size and sha256 of every other file

A checkpoint is written as step-00000300.tmp, brought to disk, and renamed. No file holds pickled code.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from course_lib.training.distributed import barrier, world
from course_lib.training.weights import sync

MANIFEST = "state.json"


class CheckpointError(RuntimeError):
    """A checkpoint could not be written or is not whole."""


def step_directories(run_dir: Path) -> list[Path]:
    """Checkpoints of a run, oldest first, whole or not."""
    return sorted(path for path in run_dir.glob("step-????????") if path.is_dir())


def path_of(run_dir: Path, step: int) -> Path:
    """Where the checkpoint of a step is."""
    return run_dir / f"step-{step:08d}"


def step_of(directory: Path) -> int:
    """The step that a checkpoint was written after."""
    return int(directory.name.partition("-")[2])


def save(run_dir: Path, step: int, write: Callable[[Path], dict], keep_last: int) -> Path:
    """Write one checkpoint, then delete all but the newest `keep_last`.

    write: puts this process's files into a directory and returns the JSON part, of which rank 0's is kept.
    If the disk is full, the half-written directory goes and the checkpoints that were there stay.
    """
    target = path_of(run_dir, step)
    temporary = target.with_name(target.name + ".tmp")
    if world().rank == 0:
        for stale in run_dir.glob("step-????????.tmp"):  # left by a run that was killed while writing
            shutil.rmtree(stale)
        temporary.mkdir(parents=True)
    barrier()
    try:
        state = write(temporary)
        barrier()
        if world().rank == 0:
            _seal(temporary, target, state)
    except Exception as error:
        shutil.rmtree(temporary, ignore_errors=True)
        previous = [path.name for path in step_directories(run_dir)]
        kept = f"the last whole one is {previous[-1]}" if previous else "there is none before it"
        raise CheckpointError(f"checkpoint {target} was not written ({error}); {kept}") from error
    if world().rank == 0:
        for old in _superseded(run_dir, step, keep_last):
            (old / MANIFEST).unlink(missing_ok=True)  # first, so that a half-deleted directory is no checkpoint
            shutil.rmtree(old)
    barrier()
    return target


def _superseded(run_dir: Path, step: int, keep_last: int) -> list[Path]:
    """All but the newest `keep_last` up to `step`. One of a later step was refused when this run was resumed."""
    found = step_directories(run_dir)
    kept = [path for path in found if step_of(path) <= step][-keep_last:]
    return [path for path in found if path not in kept]


def _seal(temporary: Path, target: Path, state: dict) -> None:
    files = {path.name: {"bytes": path.stat().st_size, "sha256": digest(path)} for path in sorted(temporary.iterdir())}
    (temporary / MANIFEST).write_text(json.dumps({**state, "files": files}))
    for path in temporary.iterdir():
        sync(path)
    sync(temporary)
    if target.exists():
        shutil.rmtree(target)
    temporary.rename(target)
    sync(target.parent)


def read_state(directory: Path, *, verify: bool = True) -> dict:
    """The JSON part of a checkpoint, by default after every file was found there with its size and sha256."""
    try:
        state = json.loads((directory / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{directory} has no readable {MANIFEST} ({error})") from error
    for name, expected in state["files"].items() if verify else ():
        path = directory / name
        size = path.stat().st_size if path.exists() else 0
        if size != expected["bytes"]:
            raise CheckpointError(f"{path} has {size} bytes of {expected['bytes']}: it was cut short")
        if digest(path) != expected["sha256"]:
            raise CheckpointError(f"{path} changed after it was written: its sha256 is another one")
    return state


def latest(run_dir: Path, say: Callable[[str], None] = print) -> Path | None:
    """The newest whole checkpoint; each one that is refused on the way is reported through `say`."""
    for directory in reversed(step_directories(run_dir)):
        try:
            read_state(directory)
            return directory
        except CheckpointError as error:
            say(f"skipped a checkpoint: {error}")
    return None


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
