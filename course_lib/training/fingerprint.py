"""Which data a run was trained on, in a few bytes: enough to notice that a resumed run is given others.

Of tensors a digest of 64 rows is kept, spread evenly from the first to the last. Any other Dataset is known by its
length and its class only: its items are not read, since a file that is opened before worker processes start would be
shared by them.
"""

import hashlib
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from course_lib.training.data import columns, count_examples

ROWS = 64


def fingerprint(data: Any) -> dict[str, int | str]:
    """The number of examples, and what the data look like; takes no longer for a million rows than for a hundred."""
    examples = count_examples(data)
    if isinstance(data, TensorDataset):
        data = data.tensors
    if not isinstance(data, (tuple, dict)):
        return {"examples": examples, "content": type(data).__qualname__}
    rows = torch.linspace(0, examples - 1, min(ROWS, examples), dtype=torch.float64).round().long()
    found = hashlib.sha256(repr(list(data) if isinstance(data, dict) else len(data)).encode())
    for tensor in columns(data):
        found.update(f"{tensor.dtype} {tuple(tensor.shape[1:])}".encode())
        found.update(_bytes(tensor[rows.to(tensor.device)]))
    return {"examples": examples, "content": found.hexdigest()}


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def refuse_other_data(present: dict, saved: dict) -> None:
    """A resumed run goes on with the examples that it had, in the order that it had."""
    if present == saved:
        return
    counts = f"{saved['examples']} examples, {present['examples']} came"
    if present["examples"] == saved["examples"]:
        counts = f"{saved['examples']} examples, as many came, but not the same ones"
    raise ValueError(
        f"this run was started on other data ({counts}), so it cannot be resumed exactly; other_data=True goes on with "
        "these all the same"
    )
