"""How much work an answer does, for tasks that say how much it may: no loop over heads, no table of all pairs.

Counts and sizes, never seconds, so that it does not depend on how busy the machine is.
"""

import sys
import tracemalloc
from types import FrameType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode


class TorchWork(TorchFunctionMode):
    """Counts the calls of torch and the numbers that came out of them."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.largest = self.numbers = 0

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Called by torch in place of each of its functions."""
        result = func(*args, **(kwargs or {}))
        self.calls += 1
        if isinstance(result, torch.Tensor):
            self.largest = max(self.largest, result.numel())
            self.numbers += result.numel()
        return result


class TorchOperations(TorchDispatchMode):
    """Names of all that torch did, and the largest tensor of it: also what a function such as einsum makes inside."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Called by torch in place of each of its operations."""
        result = func(*args, **(kwargs or {}))
        self.names.add(str(func))
        if isinstance(result, torch.Tensor):
            self.largest = max(self.largest, result.numel())
        return result


class PythonWork:
    """Stops what runs inside with AssertionError(advice) after `lines` lines of Python; remembers the peak of memory.

    A loop counts once for each turn, also on one line. torch's memory is not in the peak, numpy's and Python's is.
    """

    def __init__(self, lines: int, advice: str) -> None:
        self.left, self.advice = lines, advice
        self.peak = 0
        """Bytes beyond those at the start."""

    def __enter__(self) -> "PythonWork":
        self.tracer, self.tracing = sys.gettrace(), tracemalloc.is_tracing()
        tracemalloc.start()
        tracemalloc.reset_peak()
        self.start, _ = tracemalloc.get_traced_memory()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self.tracer)
        self.peak = tracemalloc.get_traced_memory()[1] - self.start
        if not self.tracing:
            tracemalloc.stop()

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self.left -= 1
            if self.left < 0:
                raise AssertionError(self.advice)
        return self._trace
