"""The directory of a run: held by one run at a time, and tried before the first step, not at the first checkpoint."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from course_lib.training.checkpoint import CheckpointError, step_directories
from course_lib.training.config import TrainConfig
from course_lib.training.distributed import agreed
from course_lib.training.lock import held
from course_lib.training.weights import sync


@contextmanager
def run_directory(
    run_dir: str | Path | None, config: TrainConfig, resume: bool, device: torch.device
) -> Iterator[Path | None]:
    """The directory, held while this is open; None for a run without one. The processes of one run hold it together.

    Raises ValueError, FileExistsError, CheckpointError (nothing can be written there), RunDirectoryBusy.
    """
    if run_dir is None:
        _refuse_without_directory(config, resume)
        yield None
        return
    if not str(run_dir).strip():
        raise ValueError(f"run_dir={run_dir!r} names no directory; leave it out for a run without checkpoints")
    with ExitStack() as lock:
        agreed(lambda: _take(Path(run_dir), resume, lock), device)
        yield Path(run_dir)


def _refuse_without_directory(config: TrainConfig, resume: bool) -> None:
    for name in ("resume", "checkpoint_every", "tensorboard"):
        value = resume if name == "resume" else getattr(config, name)
        if value is not None and value is not False:
            raise ValueError(f"{name}={value} needs run_dir=, the directory for it")


def _take(directory: Path, resume: bool, lock: ExitStack) -> int:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock.enter_context(held(directory))
        _rehearse(directory)
    except OSError as error:
        reason = "it is a file" if directory.is_file() else error.strerror
        raise CheckpointError(
            f"no checkpoint could be written in run_dir {directory} ({reason}); use a directory that you may write to"
        ) from error
    found = step_directories(directory)
    if found and not resume:
        raise FileExistsError(
            f"{directory} holds a run up to {found[-1].name}: resume=True goes on with it, or take another"
        )
    return 0


def _rehearse(directory: Path) -> None:
    """What a checkpoint will do, on a small scale: write, bring to disk, rename, remove."""
    before, after = directory / "rehearsal.tmp", directory / "rehearsal"
    for left in (before, after):  # by a run that was killed here
        shutil.rmtree(left, ignore_errors=True)
    before.mkdir()
    (before / "file").write_bytes(bytes(4096))
    sync(before / "file")
    sync(before)
    before.rename(after)
    sync(directory)
    shutil.rmtree(after)
