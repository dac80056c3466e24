"""Choose where to compute and in which number format, and say why.

bf16 has the exponent range of fp32, so it needs no loss scaling; tensor cores have it from compute capability 8.0 on
(NVIDIA A100 whitepaper, 2020). Older cards get fp16, whose small gradients underflow unless the loss is scaled
(Micikevicius et al., 2017, arXiv:1710.03740).
"""

import os
from typing import NamedTuple

import torch


class Runtime(NamedTuple):
    """A device, the number format that suits it, and the reason for both."""

    device: torch.device
    dtype: torch.dtype
    """float32, bfloat16, or float16, which needs a gradient scaler."""
    reason: str


def pick_device(name: str = "auto") -> Runtime:
    """The best device present, or the one that is named: "cpu", "cuda", "cuda:1", "mps".

    Under torchrun "auto" and "cuda" mean the card of this process's LOCAL_RANK.

    >>> pick_device("cpu").reason
    'CPU: fp32, the format that every CPU computes at full speed'
    """
    kind = (available()[0] if name == "auto" else name).partition(":")[0]
    if kind == "cuda":
        return _cuda(name)
    if kind == "mps" and torch.backends.mps.is_available():
        return Runtime(torch.device("mps"), torch.float32, "MPS: fp32, the format that all of its operators have")
    if name in ("auto", "cpu", "cpu:0"):
        reason = "CPU: fp32, the format that every CPU computes at full speed"
        return Runtime(torch.device("cpu"), torch.float32, reason)
    raise _absent(name)


def available() -> list[str]:
    """Names of the devices of this machine, best first; "cpu" is always the last."""
    cards = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return [*cards, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def _cuda(name: str) -> Runtime:
    index = name.partition(":")[2] or os.environ.get("LOCAL_RANK", "0")
    if f"cuda:{index}" not in available():
        raise _absent(name)
    device = torch.device(f"cuda:{index}")
    major, minor = torch.cuda.get_device_capability(device)
    card = f"CUDA {major}.{minor}"
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return Runtime(device, torch.bfloat16, f"{card}: bf16 tensor cores, range of fp32, no loss scaling")
    return Runtime(device, torch.float16, f"{card}: no bf16 tensor cores, so fp16 with a gradient scaler")


def _absent(name: str) -> ValueError:
    return ValueError(
        f"device {name!r} is not here; this machine has {', '.join(available())}; 'auto' takes the first of these"
    )
