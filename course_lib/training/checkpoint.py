"""Checkpoints of a run: directories that exist whole or not at all.

    run_dir/step-00000300/
        model.safetensors      weights and buffers, named as in state_dict()
        training.safetensors   optimizer/NAME/KEY, and ema/NAME with averaging on
        shard-*.safetensors    instead of these two in a sharded run, written by torch.distributed.checkpoint
        rng-0.json, ...        random number generators, one file per process
        state.json             step, config, data, history, loss scaler, and size and sha256 of every file above
        state.sha256           that of state.json, in the form that `sha256sum --check state.sha256` reads

A checkpoint is written as step-00000300.tmp, brought to disk, and renamed. No file holds pickled code.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from course_lib.training.distributed import barrier, world
from course_lib.training.weights import sync

MANIFEST, SEAL = "state.json", "state.sha256"


class CheckpointError(RuntimeError):
    """A checkpoint could not be written or is not whole."""


def step_directories(run_dir: Path) -> list[Path]:
    """Checkpoints of a run, oldest first, whole or not."""
    return sorted(path for path in run_dir.glob(f"step-{'[0-9]' * 8}") if path.is_dir())


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
    manifest = json.dumps({**state, "files": files}).encode()
    (temporary / MANIFEST).write_bytes(manifest)
    (temporary / SEAL).write_bytes(_seal_of(manifest))
    for path in temporary.iterdir():
        sync(path)
    sync(temporary)
    if target.exists():
        shutil.rmtree(target)
    temporary.rename(target)
    sync(target.parent)


def read_state(directory: Path, *, verify: bool = True) -> dict:
    """The JSON part of a checkpoint, if it is as it was written; by default every other file of it must be, too."""
    state = _manifest(directory)
    for name, expected in state["files"].items() if verify else ():
        _compare(directory / name, expected)
    return state


def _manifest(directory: Path) -> dict:
    try:
        text, seal = (directory / MANIFEST).read_bytes(), (directory / SEAL).read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{directory} is damaged, or of a version that wrote no {SEAL} ({error}); its weights alone are read by "
            f"load_weights(model, '{directory / 'model.safetensors'}')"
        ) from error
    if seal != _seal_of(text):
        raise CheckpointError(f"{directory / MANIFEST} changed after it was written: its sha256 is not that of {SEAL}")
    state = json.loads(text)
    if state["step"] != step_of(directory):
        raise CheckpointError(f"{directory} holds step {state['step']}: give it the name that it had")
    return state


def _seal_of(manifest: bytes) -> bytes:
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()


def _compare(path: Path, expected: dict) -> None:
    try:
        size, found = path.stat().st_size, digest(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror})") from error
    if size < expected["bytes"]:
        raise CheckpointError(f"{path} has {size} bytes of {expected['bytes']}: it was cut short")
    if found != expected["sha256"]:
        raise CheckpointError(f"{path} changed after it was written: its sha256 is another one")


def latest(run_dir: Path, say: Callable[[str], None] = print) -> Path | None:
    """The newest whole checkpoint, None if there is none at all; each that is passed over is reported through `say`.

    Raises CheckpointError if there are some and none is whole: a run that should go on must not start afresh unasked.
    """
    refusals = []
    for directory in reversed(step_directories(run_dir)):
        try:
            read_state(directory)
        except CheckpointError as error:
            refusals.append(str(error))
            continue
        for refusal in refusals:
            say(f"passed over a checkpoint: {refusal}")
        return directory
    if refusals:
        raise CheckpointError(
            f"no checkpoint in {run_dir} is whole: {'; '.join(refusals)}. To start afresh, take another run_dir or "
            "delete these"
        )
    return None


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
