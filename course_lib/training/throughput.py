"""How fast a run is: tokens a second, the share of the device's peak that they use, and memory.

    MFU = tokens a second · floating-point operations a token / peak of all devices

Model FLOP utilisation counts the operations that the model needs, not those that recomputation adds (Chowdhery et al.,
2022, arXiv:2204.02311, appendix B). A device without a known peak, such as a CPU, has no MFU.
"""

import re
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from course_lib.training.data import Batch
from course_lib.training.distributed import total, world

PEAKS = {
    "GH200": 989e12,
    "H200": 989e12,
    "H100 NVL": 835e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L4": 121e12,
    "T4": 65e12,
}
"""Dense 16-bit tensor-core peaks from NVIDIA's data sheets, in floating-point operations a second."""


def peak_flops(device: torch.device) -> float | None:
    """Of one device; None where no data sheet is listed here."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    # whole words: an L40S is no L4, a T400 no T4
    return next((peak for card, peak in PEAKS.items() if re.search(rf"\b{card}\b", name)), None)


def peak_memory_mib(device: torch.device) -> float | None:
    """Most memory so far in MiB: allocated on a GPU, resident on a CPU (with all libraries); None on Windows."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if sys.platform == "win32":
        return None
    import resource  # Unix only

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, KiB elsewhere


class Throughput:
    """A loss that counts: wrap the loss of `fit` in it and return `figures()` from `evaluate`.

    tokens: of a batch, padding included, since it is computed. flops: that a batch needs, forward and backward.
    skip: passes to leave out after each start, while caches and allocators warm up.
    """

    def __init__(
        self, loss: Callable, tokens: Callable[[Batch], int], flops: Callable[[Batch], float], skip: int = 3
    ) -> None:
        self.loss, self.tokens, self.flops, self.skip = loss, tokens, flops, skip
        self.calls, self.began, self.device, self.sums = 0, 0.0, torch.device("cpu"), [0.0, 0.0]

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss itself."""
        if self.calls == self.skip:
            self.device = next(part for part in batch if isinstance(part, Tensor)).device
            self.began, self.sums = self._now(), [0.0, 0.0]
        if self.calls >= self.skip:
            self.sums = [self.sums[0] + self.tokens(batch), self.sums[1] + self.flops(batch)]
        self.calls += 1
        return self.loss(model, batch)

    def figures(self) -> dict[str, float]:
        """tokens_per_s and mfu of all processes, by the wall clock since the last call; memory_mib of this one."""
        found, memory = {}, peak_memory_mib(self.device)
        if self.calls > self.skip:
            seconds = self._now() - self.began
            tokens, flops = total(torch.tensor(self.sums, dtype=torch.float64, device=self._for_sums())).tolist()
            found["tokens_per_s"] = tokens / seconds
            peak = peak_flops(self.device)
            if peak is not None:
                found["mfu"] = flops / seconds / (peak * world().size)
        if memory is not None:
            found["memory_mib"] = memory
        self.calls = 0  # what `evaluate` itself takes does not count
        return found

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def _for_sums(self) -> torch.device:
        return torch.device("cpu") if self.device.type == "mps" else self.device
