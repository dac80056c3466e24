"""Refuse what does not fit, in words: what came, what fits, what to try. Without it a wrong call gives a wrong figure.

`misfit` reads the shapes that already stand in a signature and compares them with what comes, at every call: sizes,
dtypes, types, never a value. So it costs a microsecond or two, waits for no accelerator, and works under autocast,
torch.compile, torch.func and on meta tensors: what a training step calls takes this check alone.

The other functions look at values and are for metrics, explanations and preparation. Each takes what it checks by the
name that the message should use: `refuse.nan(score=score)`.

Nothing heavy is imported here, so every room can use it.
"""

import functools
import inspect
import math
from collections.abc import Callable, Collection, Mapping, Sized
from typing import Any, TypeVar

from course_lib.misfits import Sizes, explain, known_sizes
from course_lib.signatures import Form, Several, form_of

Function = TypeVar("Function", bound=Callable)


def misfit(function: Function) -> Function:
    """Decorate a function or a `forward`: arguments that do not fit their annotations are refused.

        @refuse.misfit
        def accuracy(scores: Float[Tensor, "B K"], label: Int[Tensor, " B"]) -> float: ...

        accuracy(scores, label[:, None])
        ValueError: label has shape (8, 1), but accuracy takes (B,) with B = 8 as in scores; try label.squeeze(1)

    A letter has one size in one call. ValueError for a shape; TypeError for a dtype, for what is no tensor, and for a
    string where a collection of them is wanted. Of a NamedTuple the arrays are looked at, each record by itself.
    Annotations without an array or a collection are not looked at.
    """
    signature = inspect.signature(function)
    forms = {name: form_of(parameter.annotation) for name, parameter in signature.parameters.items()}
    in_order, rest = [], None
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            rest, forms[name] = forms[name], Several(forms[name], ())
        elif parameter.kind is not parameter.KEYWORD_ONLY:
            in_order.append(forms[name])
    known = known_sizes(forms.values())

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        sizes = known.copy()
        wanted = in_order if rest is None else in_order + [rest] * (len(args) - len(in_order))
        for form, value in zip(wanted, args, strict=False):  # of too few or too many Python itself complains below
            if form is not None and not form.fits(value, sizes):
                raise _refusal(function, signature.bind(*args, **kwargs), forms, known)
        for name, value in kwargs.items():
            form = forms.get(name)
            if form is not None and not form.fits(value, sizes):
                raise _refusal(function, signature.bind(*args, **kwargs), forms, known)
        return function(*args, **kwargs)

    return checked


def _refusal(
    function: Callable, call: inspect.BoundArguments, forms: Mapping[str, Form | None], known: Sizes
) -> Exception:
    taker = function.__qualname__.removesuffix(".forward").rpartition(".<locals>.")[2]
    return explain(taker, forms, call.arguments, known)


def empty(**collections: Sized) -> None:
    """Refuse what has no example."""
    for name, value in collections.items():
        if len(value) == 0:
            raise ValueError(f"{name} is empty, and of no examples nothing can be said; pass at least one")


def uneven(**collections: Sized) -> None:
    """Refuse collections of different lengths."""
    lengths = {name: len(value) for name, value in collections.items()}
    if len(set(lengths.values())) > 1:
        came = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ValueError(f"{came}; they belong together one by one, so pass as many of each")


def nan(**tensors: Any) -> None:
    """Refuse tensors that hold NaN, which has no order and makes every mean NaN; an infinity may pass."""
    for name, value in tensors.items():
        _refuse_where(value.isnan(), name, "NaN", "leave these examples out, or find the step that made them")


def infinite(**tensors: Any) -> None:
    """Refuse tensors that hold NaN or an infinity."""
    for name, value in tensors.items():
        _refuse_where(~value.isfinite(), name, "NaN or infinite", "find the step that made them")


def outside(low: int | float, high: int | float, advice: str = "", /, **values: Any) -> None:
    """Refuse numbers, and tensors with numbers, that are not within [low, high]. NaN is within nothing."""
    for name, value in values.items():
        fits = f"of {low:g} or more" if high == math.inf else f"within [{low:g}, {high:g}]"
        if hasattr(value, "isnan"):
            _refuse_where(~((value >= low) & (value <= high)), name, f"no number {fits}", advice)
        elif not low <= value <= high:
            raise ValueError(f"{name} is {value}; give a number {fits}{advice and '; '}{advice}")


def improbable(**tensors: Any) -> None:
    """Refuse rows (the last axis) that are no probabilities of classes: 0 or more, with a sum within 0.001 of 1."""
    for name, value in tensors.items():
        fits = (value.double().sum(dim=-1) - 1).abs().lt(1e-3) & (value >= 0).all(dim=-1)
        advice = "probabilities are 0 or more and sum to 1; try .softmax(-1)"
        _refuse_where(~fits, name, "no distribution over classes", advice, "rows")


def labels(classes: int, **tensors: Any) -> None:
    """Refuse class numbers other than 0 to classes - 1; -100 and the like too: what has no class has no figure."""
    for name, value in tensors.items():
        advice = f"{classes} classes have the numbers 0 to {classes - 1}; leave out examples without a class"
        _refuse_where((value < 0) | (value >= classes), name, "no class", advice)


def unknown(known: Collection[str], /, **names: str) -> None:
    """Refuse a name that is none of `known`."""
    for name, value in names.items():
        if value not in known:
            raise ValueError(f"{name} is {value!r}; choose from {', '.join(known)}")


def _refuse_where(wrong: Any, name: str, what: str, advice: str, unit: str = "values") -> None:
    """wrong: True at each value that is."""
    if not bool(wrong.any()):
        return
    count, advice = int(wrong.sum()), f"; {advice}" if advice else ""
    if wrong.ndim == 0:
        raise ValueError(f"{name} is {what}{advice}")
    are, at = ("is", "at") if count == 1 else ("are", "the first at")
    raise ValueError(
        f"{count} of {wrong.numel()} {unit} of {name} {are} {what}, {at} {wrong.nonzero()[0].tolist()}{advice}"
    )
