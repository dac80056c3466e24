"""A witness stands between a checker and a learner's function: it hands out copies and compares them afterwards.

So no answer can spoil what the next stage or the next try is given, and an answer that writes into its arguments is
told so, whatever else it gets wrong.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn


class Witness:
    """Calls `answer` with copies of tensors, arrays, lists, tuples, dicts and sets.

    Everything else goes through as it is; modules and parameters are compared with what they were.
    """

    def __init__(self, answer: Callable, names: tuple[str, ...] = (), mutates: tuple[str, ...] = ()) -> None:
        """names: of the arguments, in order; mutates: those that the task tells to change."""
        self.answer, self.names, self.mutates = answer, names, mutates
        self.changed: str | None = None
        """The first argument that was changed, as advice names it."""
        self.returned: Any = None
        """What came back last."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """The answer's result for copies of these arguments."""
        given, named = _copy(arguments), _copy(options)
        states = [_state(each) for each in (*given, *named.values())]
        try:
            self.returned = self.answer(*given, **named)
            return self.returned
        finally:
            now, before = (*given, *named.values()), (*arguments, *options.values())
            self._compare([*self._names(len(given)), *named], now, before, states)

    def _names(self, count: int) -> list[str]:
        return [f"`{self.names[k]}`" if k < len(self.names) else f"number {k + 1}" for k in range(count)]

    def _compare(self, names: list[str], now: tuple, before: tuple, states: list) -> None:
        for name, value, old, state in zip(names, now, before, states, strict=True):
            touched = not _equal(value, old) or not _equal(_state(value), state)
            if touched and name.strip("`") not in self.mutates and self.changed is None:
                self.changed = name if "`" in name or " " in name else f"`{name}`"


def _copy(value: Any) -> Any:
    if isinstance(value, torch.Tensor) and not isinstance(value, nn.Parameter):
        return value.clone()  # gradients still flow to the original
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_copy, value))
    if type(value) in (list, tuple, set):
        return type(value)(_copy(each) for each in value)
    if type(value) is dict:
        return {key: _copy(each) for key, each in value.items()}
    return value


def _state(value: Any) -> Any:
    """What is remembered of things that go through as they are: an optimiser holds on to a module's parameters."""
    if isinstance(value, nn.Parameter):
        return value.detach().clone()
    if not isinstance(value, nn.Module):
        return None
    trained = {name: each.requires_grad for name, each in value.named_parameters()}
    return trained, value.training, {name: each.detach().clone() for name, each in value.state_dict().items()}


def _equal(now: Any, before: Any) -> bool:
    if isinstance(now, torch.Tensor):
        now, before = now.detach(), before.detach()
        same = now.shape == before.shape and now.dtype == before.dtype
        return same and bool(((now == before) | ((now != now) & (before != before))).all())
    if isinstance(now, np.ndarray):
        return now.dtype == before.dtype and bool(np.array_equal(now, before, equal_nan=now.dtype.kind in "fc"))
    if isinstance(now, list | tuple):
        return len(now) == len(before) and all(map(_equal, now, before))
    if isinstance(now, dict):
        return list(now) == list(before) and all(map(_equal, now.values(), before.values()))
    return now is before or (isinstance(now, int | float | str | set) and now == before)


@contextmanager
def fresh_world() -> Iterator[None]:
    """Fixed seeds inside; afterwards torch's and Python's global streams and switches are as they were."""
    state, dtype, grad = random.getstate(), torch.get_default_dtype(), torch.is_grad_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        random.seed(0)
        try:
            yield
        finally:
            random.setstate(state)
            torch.set_default_dtype(dtype)
            torch.set_grad_enabled(grad)
