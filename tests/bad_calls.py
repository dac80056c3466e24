"""Spoil every right call in small ways and print, as JSON, what a learner gets: runs without the hook of conftest.py.

Whether a spoilt call is wrong in its form is decided by jaxtyping and beartype, which course_lib.refuse does not use;
whether it is wrong in its values is said here.
"""

import dataclasses
import inspect
import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from beartype import beartype
from good_calls import ROOMS, Call
from hand_picked_calls import HAND_PICKED
from jaxtyping import TypeCheckError, jaxtyped
from torch import Tensor

CLASSES = {"label", "predicted", "labels"}
NAMES_OF_CLASSES = {"balanced_rows"}
"""Functions in which a label is a name: any integer will do."""
EMPTY_IS_FINE = {"confusion_matrix", "check_binary", "operating_points"}
"""Of no examples: a matrix of zeros that adds up with others, nothing to object to, no threshold but infinity."""


class Spoilt(NamedTuple):
    argument: str
    how: str
    call: Call


def main() -> None:
    warnings.simplefilter("ignore")
    rows = [{"room": "hand-picked", "kind": words, **outcome(call)} for words, call in HAND_PICKED.items()]
    for room, calls in ROOMS.items():
        for good in calls():
            name, right = good.function.__qualname__.removesuffix(".forward"), run(good)
            wrong = [(bad, "form") for bad in wrong_forms(good) if is_misfit(bad.call)]
            wrong += [(bad, "strings") for bad in wrong_strings(good)]
            wrong += [(bad, "value") for bad in wrong_values(good) if looks_at_values(good, room)]
            for bad, kind in wrong:
                row = {"room": room, "function": name, "kind": kind, "how": bad.how, "argument": bad.argument}
                row |= outcome(lambda call=bad.call: run(call), right)
                rows.append(row | {"mends": mends(row["words"], bad.call) if kind == "form" else None})
    print(json.dumps(rows))


def outcome(call: Callable[[], Any], right: Any = None) -> dict[str, Any]:
    """The type and the words of a refusal. Without one: whether the wrong can be seen, or is none."""
    try:
        with torch.random.fork_rng():
            result = call()
    except Exception as refusal:  # whatever a learner would see
        return {"refusal": type(refusal).__name__, "words": str(refusal), "harmless": False}
    return {"refusal": "", "words": "", "harmless": shows(result) or alike(result, right)}


def run(call: Call, function: Callable | None = None) -> Any:
    function, arguments = function or call.function, dict(call.arguments)
    parameters = list(inspect.signature(call.function).parameters.values())
    starred = [place for place, each in enumerate(parameters) if each.kind is each.VAR_POSITIONAL]
    if not starred:
        return function(**arguments)
    before = [arguments.pop(each.name) for each in parameters[: starred[0]]]
    return function(*before, *arguments.pop(parameters[starred[0]].name), **arguments)


def is_misfit(call: Call) -> bool:
    owner = getattr(call.function, "__self__", None)
    checked = jaxtyped(inspect.unwrap(call.function if owner is None else call.function.__func__), typechecker=beartype)
    try:
        for record in filter(is_record, call.arguments.values()):  # jaxtyping itself does not look into one
            jaxtyped(type(record).__new__, typechecker=beartype)(type(record), *record)
        with torch.random.fork_rng():
            run(call, checked if owner is None else checked.__get__(owner))
    except TypeCheckError as error:
        return "checking the parameters" in str(error)
    except Exception:  # its form fits, and something else does not
        return False
    return False


def mends(words: str, call: Call) -> bool | None:
    """Whether the call fits when one does what the refusal says after "try"; None: it says nothing of the kind."""
    advice = re.search(r"try ((?:torch\.\w+\()?(\w+)[^\[]*)$", words)
    if advice is None:
        return None
    expression, name = advice.groups()
    mended, was = eval(expression, {"torch": torch, **call.arguments}), call.arguments[name]
    if is_record(was):
        mended = was._replace(**{re.search(rf"{name}\.(\w+)", expression)[1]: mended})
    return not is_misfit(spoilt(call, name, mended))


def wrong_forms(good: Call) -> Iterator[Spoilt]:
    for name, value in good.arguments.items():
        for path, leaf in leaves(value):
            for how, changed in misshapen(leaf):
                yield Spoilt(name, how, spoilt(good, name, replaced(value, path, changed)))


def misshapen(leaf: Tensor) -> Iterator[tuple[str, Any]]:
    leaf = leaf.detach()
    yield "one axis more at the end", leaf.unsqueeze(-1)
    yield "one axis more in front", leaf.unsqueeze(0)
    yield "another dtype", leaf.long() if leaf.is_floating_point() else leaf.float()
    yield "a list", leaf.tolist()
    yield "a NumPy array", leaf.numpy()
    if leaf.ndim > 0:
        yield "one example alone", leaf[0]
        yield "one row, which would broadcast", leaf[:1]
    for axis in range(leaf.ndim):
        yield f"one shorter along axis {axis}", leaf.narrow(axis, 0, leaf.shape[axis] - 1)
    for axis in range(1, leaf.ndim):
        yield f"axes 0 and {axis} swapped", leaf.transpose(0, axis)


def wrong_strings(good: Call) -> Iterator[Spoilt]:
    for name, value in good.arguments.items():
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            yield Spoilt(name, "one string", spoilt(good, name, " ".join(value)))
            yield Spoilt(name, "lists of words", spoilt(good, name, [[each] for each in value]))
        elif isinstance(value, list) and isinstance(value[0], list | set) and isinstance(next(iter(value[0])), str):
            yield Spoilt(name, "a string for a list", spoilt(good, name, [next(iter(each)) for each in value]))


def looks_at_values(good: Call, room: str) -> bool:
    """Models let a NaN through, where it is seen in what they return; figures leave a hole where one is."""
    return room != "models" and ".plots" not in good.function.__module__


def wrong_values(good: Call) -> Iterator[Spoilt]:
    function, empty = good.function.__qualname__, good.arguments
    for name, value in good.arguments.items():
        for path, leaf in leaves(value):
            if leaf.is_floating_point():
                yield Spoilt(name, "a NaN", spoilt(good, name, replaced(value, path, changed(leaf, float("nan")))))
            elif name in CLASSES and function not in NAMES_OF_CLASSES:
                for number in (-1, 99):
                    yield Spoilt(
                        name, f"label {number}", spoilt(good, name, replaced(value, path, changed(leaf, number)))
                    )
            if has_batch(good.function, name):
                empty = empty | {name: replaced(empty[name], path, leaf[:0])}
    if empty is not good.arguments and function not in EMPTY_IS_FINE:
        yield Spoilt("", "no example", Call(good.function, empty))


def spoilt(good: Call, name: str, value: Any) -> Call:
    return Call(good.function, good.arguments | {name: value})


def changed(leaf: Tensor, value: float) -> Tensor:
    copy = leaf.detach().clone(memory_format=torch.contiguous_format)
    copy.view(-1)[1] = value
    return copy


def has_batch(function: Callable, name: str) -> bool:
    annotation = str(inspect.signature(function).parameters[name].annotation).replace("' ", "'")
    return "'B" in annotation or "'*batch" in annotation


def leaves(value: Any, path: tuple = ()) -> Iterator[tuple[tuple, Tensor]]:
    if isinstance(value, Tensor):
        yield path, value
    elif isinstance(value, Mapping | list | tuple):
        for key, each in members(value):
            yield from leaves(each, (*path, key))


def members(value: Any) -> Iterator[tuple[Any, Any]]:
    return iter(value.items()) if isinstance(value, Mapping) else enumerate(value)


def replaced(value: Any, path: tuple, new: Any) -> Any:
    if path == ():
        return new
    copy = dict(value) if isinstance(value, Mapping) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return type(value)(*copy) if is_record(value) else copy


def is_record(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def shows(result: Any) -> bool:
    """Whether a NaN stands in what came back, or there is no number in it."""
    if isinstance(result, Tensor):
        return bool(result.isnan().any()) or result.numel() == 0
    if dataclasses.is_dataclass(result):
        return any(shows(getattr(result, each.name)) for each in dataclasses.fields(result))
    if isinstance(result, Mapping | list | tuple):
        return any(shows(each) for _, each in members(result))
    return isinstance(result, float) and result != result


def alike(one: Any, other: Any) -> bool:
    """A list of weights in place of a tensor of them is not what was asked for, and gives the same figures."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Tensor):
        return one.shape == other.shape and one.dtype == other.dtype and torch.allclose(one, other)
    if dataclasses.is_dataclass(one):
        return all(alike(getattr(one, each.name), getattr(other, each.name)) for each in dataclasses.fields(one))
    if isinstance(one, Mapping | list | tuple):
        return len(one) == len(other) and all(alike(each, other[key]) for key, each in members(one))
    return isinstance(one, int | float | str) and one == other


if __name__ == "__main__":
    main()
