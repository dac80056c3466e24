"""What is wrong with a request for an explanation, said before captum says it in its own way."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


def check_mode(model: nn.Module) -> None:
    """Refuse a model in train mode: dropout and batch statistics would make every forward pass another function."""
    training = [path or type(model).__name__ for path, module in model.named_modules() if module.training]
    if training:
        raise ValueError(
            f"{len(training)} modules are in train mode (the first: {training[0]}), so two passes may disagree; "
            "call model.eval() first"
        )


def check_inputs(model: nn.Module, inputs: Mapping[str, Any], fixed: Mapping[str, Any]) -> int:
    """The number of examples B, after checking names, types and first axes against the model's forward."""
    if len(inputs) == 0:
        raise ValueError("inputs is empty; name what to explain, for example {'image': image, 'ids': ids}")
    twice = sorted(set(inputs) & set(fixed))
    if twice:
        raise ValueError(f"{twice} came both in inputs and in fixed; an input is explained or held fixed")
    _check_names(model, {**inputs, **fixed})
    wrong = {name: type(value).__name__ for name, value in inputs.items() if not isinstance(value, Tensor)}
    if wrong:
        raise TypeError(f"inputs must be tensors, but {wrong} came; pass settings of the model in fixed=")
    sizes = {name: len(value) for name, value in inputs.items()}
    sizes |= {name: len(value) for name, value in fixed.items() if isinstance(value, Tensor) and value.ndim > 0}
    if len(set(sizes.values())) != 1:
        raise ValueError(f"inputs hold different numbers of examples: {sizes}; the first axis is the batch")
    count = next(iter(sizes.values()))
    if count == 0:
        raise ValueError(f"inputs {sorted(inputs)} hold no example, and of none there is nothing to explain")
    return count


def _check_names(model: nn.Module, arguments: Mapping[str, Any]) -> None:
    signature = inspect.signature(model.forward)
    try:
        signature.bind(**arguments)
    except TypeError:
        parameters = signature.parameters.values()
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        missing = [p.name for p in named if p.default is p.empty and p.name not in arguments]
        unknown = [name for name in arguments if name not in {p.name for p in named}]
        trouble = [f"missing {missing}"] * bool(missing) + [f"unknown {unknown}"] * bool(unknown)
        raise ValueError(
            f"{type(model).__name__} cannot be called with {sorted(arguments)}: {', '.join(trouble)}; "
            f"its forward takes {[p.name for p in named]}"
        ) from None


def check_target(scores: Tensor, target: Any, count: int) -> Any:
    """The target as captum takes it: None for scores (B,), an int or a (B,) tensor of classes for (B, K)."""
    if len(scores) != count:
        raise ValueError(
            f"the model gave {len(scores)} rows of scores for {count} examples; use read= to keep one an example"
        )
    if scores.ndim == 1:
        if target is not None:
            raise ValueError(f"target={target!r} came, but the model gives one score an example; leave target out")
        return None
    classes = scores.shape[1]
    if target is None:
        raise ValueError(
            f"target is missing: the model scores {classes} classes; give one of 0 to {classes - 1}, or a tensor of "
            f"{count}, for example scores.argmax(-1)"
        )
    chosen = torch.as_tensor(target, device=scores.device)
    if chosen.is_floating_point() or chosen.dtype == torch.bool or chosen.shape not in ((), (count,)):
        raise ValueError(
            f"target of shape {tuple(chosen.shape)} and {chosen.dtype} does not fit; give a class index or an integer "
            f"tensor of shape ({count},)"
        )
    if int(chosen.min()) < 0 or int(chosen.max()) >= classes:
        raise ValueError(
            f"target holds {int(chosen.min())} to {int(chosen.max())}, but classes are 0 to {classes - 1}; "
            "a word is looked up in the list of answers first"
        )
    return chosen.expand(count)


def check_baseline(name: str, value: Any, wanted: Tensor) -> Tensor:
    """The baseline in the shape of its input: from a number, one example, or a whole batch."""
    if isinstance(value, Tensor) and value.is_floating_point() and not wanted.is_floating_point():
        raise ValueError(f"baseline of {name!r} is {value.dtype}, but it must be an id, such as that of <pad>")
    given = torch.as_tensor(value, dtype=wanted.dtype, device=wanted.device)
    if given.shape not in ((), wanted.shape, wanted.shape[1:], (1, *wanted.shape[1:])):
        raise ValueError(
            f"baseline of {name!r} has shape {tuple(given.shape)}, its input {tuple(wanted.shape)}; give a number, one "
            f"example {tuple(wanted.shape[1:])} or the whole batch"
        )
    return given.expand(wanted.shape).contiguous()


def check_known(kind: str, came: Iterable[str], known: Iterable[str]) -> None:
    """ValueError for a name that is none of `known`."""
    unknown = [name for name in came if name not in known]
    if unknown:
        raise ValueError(f"{kind} {unknown} is unknown here; choose from {list(known)}")
