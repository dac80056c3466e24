"""Weights on disk: safetensors, so that loading runs no code, written so that a crash leaves the old file or the new.

A load is strict: it names what is missing, what is unexpected and what has another shape, before it changes anything.
"""

import os
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


def save_weights(model: nn.Module, path: str | Path) -> None:
    """Write the state dict to one file, atomically."""
    path = Path(path)
    temporary = path.with_name(path.name + ".tmp")
    try:
        write_tensors(model.state_dict(), temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def load_weights(model: nn.Module, path: str | Path, *, strict: bool = True) -> list[str]:
    """Read weights into `model`; returns the names that did not fit, which are none unless `strict` is False.

    strict=False loads what fits and leaves the rest of the model alone: say so where you use it.
    """
    found = read_tensors(Path(path))
    problems = differences(shapes_of(found), shapes_of(model.state_dict()))
    if problems and strict:
        lines = "\n  ".join(problems.values())
        raise ValueError(f"{path} does not fit this {type(model).__name__}:\n  {lines}\nstrict=False loads the rest")
    model.load_state_dict({name: value for name, value in found.items() if name not in problems}, strict=False)
    return list(problems)


def differences(found: dict[str, tuple], wanted: dict[str, tuple]) -> dict[str, str]:
    """Every name on which two tables of shapes disagree, with a line that says how: missing, misshapen, unexpected."""
    problems = {name: f"missing     {name} {shape}" for name, shape in wanted.items() if name not in found}
    for name, shape in found.items():
        if name not in wanted:
            problems[name] = f"unexpected  {name} {shape}"
        elif shape != wanted[name]:
            problems[name] = f"misshapen   {name} is {shape}, the model has {wanted[name]}"
    return dict(sorted(problems.items(), key=lambda item: item[1]))


def shapes_of(tensors: dict[str, Tensor]) -> dict[str, tuple]:
    """The shape of every tensor, by name."""
    return {name: tuple(value.shape) for name, value in tensors.items()}


def write_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """One safetensors file, on disk when this returns. Tied weights are written under each of their names."""
    other = [name for name, value in tensors.items() if not isinstance(value, Tensor)]
    if other:
        raise TypeError(f"{other} are not tensors; safetensors holds nothing else")
    seen: set[int] = set()
    plain = {}
    for name, value in tensors.items():
        address = value.untyped_storage().data_ptr()
        plain[name] = value.detach().clone() if address in seen else value.detach().contiguous()
        seen.add(address)
    save_file(plain, path)
    sync(path)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU; a cut or damaged file is refused."""
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a whole safetensors file ({error}); it may have been cut short") from error


def sync(path: Path) -> None:
    """Ask the system to bring a file or a directory entry to the disk before going on."""
    on_windows = os.name == "nt"
    if on_windows and path.is_dir():
        return  # Windows opens no directories; NTFS keeps a journal of renames
    handle = os.open(path, os.O_RDWR if on_windows else os.O_RDONLY)  # Windows flushes only what may be written
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
