"""What to say when a learner's function raises, or gives something back that its checker cannot use.

The last frame of a traceback is often deep in torch, or in a function that the checker handed over. What helps is the
last line that the learner wrote.
"""

import functools
import inspect
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from course_lib.lesson import witness

_COURSE = str(Path(__file__).resolve().parents[1])
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_CUT = ("does not require grad", "not have been used in the graph")
"""Words of torch's autograd where a result does not depend on an argument."""
WIDTH = 70
"""Characters of a line of code that are shown."""


def is_stub(error: NotImplementedError, answer: Callable) -> bool:
    """Whether the learner's own line raises it; torch raises it too, for types that an operation does not know."""
    line = last_line(error, answer)
    return not str(error) or (line is not None and "NotImplementedError" in (line.line or ""))


def says_so_itself(error: AssertionError, answer: Callable) -> bool:
    """Whether an `assert` of the learner failed, not one of the checker."""
    line, last = last_line(error, answer), traceback.extract_tb(error.__traceback__)[-1]
    return line is not None and not line.filename.startswith(_COURSE) and (line.filename, line.lineno) == last[:2]


def describe(error: BaseException, answer: Callable, returned: Any) -> str:
    """The error in a line: where in the learner's code, or what came back that does not fit the task."""
    kind, message = type(error).__name__, first_line(error)
    line = last_line(error, answer)
    if line is not None:
        text = (line.line or "").strip()
        shown = f", `{text[:WIDTH]}{'…' if len(text) > WIDTH else ''}`" if text else ""
        return f"your code raised {kind} in line {line.lineno}{shown}: {message}"
    if any(_is_call(frame) for frame in traceback.extract_tb(error.__traceback__)):
        return f"your code raised {kind}: {message}"  # the call itself: names or number of its arguments
    if any(words in message for words in _CUT):
        return (
            f"{what_came(returned)} came back without a gradient to the arguments: something cut the graph, such as "
            "item(), tolist(), numpy(), detach() or torch.tensor(); compute with tensors from end to end"
        )
    return f"{what_came(returned)} came back, which is not what the task asks for ({kind}: {message})"


def last_line(error: BaseException, answer: Callable) -> traceback.FrameSummary | None:
    """The last frame below the checker's call that is the learner's; None when there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    calls = [place for place, frame in enumerate(frames) if _is_call(frame)]
    if not calls:
        return None
    own = _file(answer)
    theirs = [frame for frame in frames[calls[-1] + 1 :] if frame.filename == own or not _is_foreign(frame.filename)]
    return theirs[-1] if theirs else None


def first_line(error: BaseException) -> str:
    """The first line of its message."""
    return str(error).partition("\n")[0]


def what_came(returned: Any) -> str:
    """A result in a few words."""
    if isinstance(returned, torch.Tensor):
        return f"a tensor of shape {tuple(returned.shape)}"
    if isinstance(returned, list | tuple):
        return f"a {type(returned).__name__} of {len(returned)}"
    if returned is None:
        return "None (is there a return?)"
    return f"{type(returned).__name__} {' '.join(repr(returned).split()):.40}"


def _is_call(frame: traceback.FrameSummary) -> bool:
    return frame.filename == witness.__file__ and frame.name == "__call__"


def _is_foreign(file: str) -> bool:
    return file.startswith((_COURSE, "<frozen", *_INSTALLED))


def _file(answer: Callable) -> str | None:
    while isinstance(answer, functools.partial):
        answer = answer.func
    answer = inspect.unwrap(answer)
    code = getattr(answer, "__code__", None) or getattr(type(answer).__call__, "__code__", None)
    return None if code is None else code.co_filename
