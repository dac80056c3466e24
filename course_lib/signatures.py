"""What a signature promises, as something to compare with: Float[Tensor, "B K"], Sequence[str], one of them or None.

A `Form` is made once, when a function is decorated with `refuse.misfit`, and asked at every call, so `fits` is short
and fast; `refusal` runs once, before the call ends, and takes its time to find the words.
"""

import types
import typing
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from course_lib.misfits import Misfit, Sizes, explain, known_sizes

HOLDS = {"Float": "floating-point numbers", "Int": "integers", "Bool": "True and False", "Num": "numbers"}
CAST = {
    "Float": "; try {}.float()",
    "Int": "; if all are whole numbers, try {}.long()",
    "Bool": "; if all are 0 or 1, try {}.bool()",
}
CONVERT = {"ndarray": "torch.from_numpy", "list": "torch.tensor", "tuple": "torch.tensor"}
MEND = {
    "B": "row b of each has to belong to the same example",
    "D": "an nn.Linear brings vectors to one width",
    "height": "spread_patches enlarges a map of patches",
    "K": "each has one number for each of the same classes",
}
ANY_RANK = 99


class Array:
    """An annotation such as Float[Tensor, "*batch K"]. others: further types that the argument may have."""

    def __init__(self, annotation: Any, others: tuple) -> None:
        self.kind, self.optional = annotation.array_type, type(None) in others
        self.loose = any(other is not type(None) for other in others)
        self.holds, self.dtypes = annotation.__name__.partition("[")[0], annotation.dtypes
        self.seen: set = set()  # dtypes that were found to fit, since their names are slow to compare
        self.axes = annotation.dim_str.split()
        star = [place for place, axis in enumerate(self.axes) if axis.startswith("*") or axis == "..."]
        self.least = len(self.axes) - len(star)
        self.most = ANY_RANK if star else self.least
        self.star = self.axes[star[0]] if star and self.axes[star[0]] not in ("*_", "...") else None
        self.several = slice(star[0], star[0] + 1 - len(self.axes) or None) if star else None
        self.named = [  # an axis behind the star is counted from the end
            (place if not star or place < star[0] else place - len(self.axes), axis)
            for place, axis in enumerate(self.axes)
            if axis.isdigit() or (axis.isidentifier() and not axis.startswith("_"))
        ]

    def fits(self, value: Any, sizes: Sizes) -> bool:
        """Whether the value fits the sizes that earlier arguments have set; adds those that it is the first to have."""
        if not isinstance(value, self.kind):
            return self.loose or (self.optional and value is None)
        return (value.dtype in self.seen or self._takes(value.dtype)) and self._spans(value.shape, sizes)

    def _takes(self, dtype: Any) -> bool:
        fitting = not isinstance(self.dtypes, tuple) or _name(dtype) in self.dtypes
        if fitting:
            self.seen.add(dtype)
        return fitting

    def _spans(self, shape: tuple[int, ...], sizes: Sizes) -> bool:
        if not self.least <= len(shape) <= self.most:
            return False
        for place, axis in self.named:
            size = shape[place]
            if sizes.setdefault(axis, size) != size:
                return False
        return self.star is None or sizes.setdefault(self.star, shape[self.several]) == shape[self.several]

    def parts(self, name: str, value: Any) -> Iterator[tuple[str, "Form", Any]]:
        """What to look at one by one to find the misfit."""
        yield name, self, value

    def refusal(self, bad: Misfit) -> Exception:
        """Say what came and what fits, and try which small change would mend the call."""
        wanted, holds = f"({', '.join(self.axes)}{',' * (len(self.axes) == 1)})", HOLDS.get(self.holds, self.holds)
        if not isinstance(bad.value, self.kind):
            came, kind = type(bad.value).__name__, self.kind.__name__
            advice = f"; try {CONVERT[came]}({bad.name})" if came in CONVERT else ""
            return TypeError(f"{bad.name} is {came}, but {bad.taker} takes a {kind} of {holds}, {wanted}{advice}")
        shape = tuple(bad.value.shape)
        if not self._takes(bad.value.dtype):
            one_hot = self.holds == "Int" and not self._mended(shape, bad) and self._mended(shape[:-1], bad)
            advice = ("; try {}.argmax(-1)" if one_hot else CAST.get(self.holds, "")).format(bad.name)
            return TypeError(
                f"{bad.name} holds {_name(bad.value.dtype)}, but {bad.taker} takes {holds}, {wanted}{advice}"
            )
        known = [
            f"{axis} = {_size(bad.sizes[axis])} as in {bad.source[axis]}" for axis in self.axes if axis in bad.source
        ]
        known = f" with {', '.join(known)}" if known else ""
        return ValueError(
            f"{bad.name} has shape {shape}, but {bad.taker} takes {wanted}{known}{self._advice(shape, bad)}"
        )

    def _advice(self, shape: tuple[int, ...], bad: Misfit) -> str:
        for change, changed in _changes(shape, whole=self.several is None, known=self.axes[-1] in bad.sizes):
            if self._mended(changed, bad):
                return f"; try {bad.name}{change}"
        ranks = self.least <= len(shape) <= self.most
        odd = [axis for place, axis in self.named if ranks and bad.sizes.get(axis, shape[place]) != shape[place]]
        return f"; {MEND[odd[0]]}" if odd and odd[0] in MEND else ""

    def _mended(self, shape: tuple[int, ...], bad: Misfit) -> bool:
        """Whether with this shape the whole call would fit, and not only this argument."""
        sizes = bad.sizes.copy()
        return self._spans(shape, sizes) and all(form.fits(value, sizes) for _, form, value in bad.later)


class Several:
    """An annotation such as Sequence[str] or Mapping[str, Float[Tensor, "B S"]]. inner: form of a member."""

    def __init__(self, inner: "Form | None", others: tuple) -> None:
        self.inner, self.others = inner, others
        self.axes = () if inner is None else inner.axes

    def fits(self, value: Any, sizes: Sizes) -> bool:
        """As `Array.fits`. A string, although a sequence of strings, is one string too few."""
        if isinstance(value, str) or not isinstance(value, Collection):
            return isinstance(value, self.others)
        return self.inner is None or all(self.inner.fits(each, sizes) for _, each in _members(value))

    def parts(self, name: str, value: Any) -> Iterator[tuple[str, "Form", Any]]:
        """As `Array.parts`."""
        if self.inner is None or isinstance(value, str) or not isinstance(value, Collection):
            yield name, self, value
        else:
            for key, each in _members(value):
                yield from self.inner.parts(f"{name}[{key!r}]", each)

    def refusal(self, bad: Misfit) -> Exception:
        """As `Array.refusal`."""
        text = isinstance(bad.value, str)
        came, advice = ("one string", f"; try [{bad.name}]") if text else (type(bad.value).__name__, "")
        return TypeError(f"{bad.name} is {came}, but {bad.taker} takes a collection, such as a list{advice}")


class Text:
    """The str of Sequence[str]: a caption cut into words, or a number, is none."""

    axes = ()

    def fits(self, value: Any, _sizes: Sizes) -> bool:
        """As `Array.fits`."""
        return isinstance(value, str)

    def parts(self, name: str, value: Any) -> Iterator[tuple[str, "Form", Any]]:
        """As `Array.parts`."""
        yield name, self, value

    def refusal(self, bad: Misfit) -> Exception:
        """As `Array.refusal`."""
        advice = f"; try ' '.join({bad.name})" if isinstance(bad.value, list | tuple) else ""
        return TypeError(f"{bad.name} is {type(bad.value).__name__}, but {bad.taker} takes a string there{advice}")


class Record:
    """An annotation that is a NamedTuple: its arrays are looked at. Its axes are its own: two may differ in B."""

    axes = ()

    def __init__(self, kind: type, others: tuple) -> None:
        self.kind, self.others = kind, others
        forms = {name: form_of(annotation) for name, annotation in kind.__annotations__.items()}
        self.forms = {name: form for name, form in forms.items() if isinstance(form, Array)}
        self.known = known_sizes(self.forms.values())

    def fits(self, value: Any, _sizes: Sizes) -> bool:
        """As `Array.fits`."""
        if not isinstance(value, self.kind):
            return isinstance(value, self.others)
        sizes = self.known.copy()
        return all(form.fits(getattr(value, name), sizes) for name, form in self.forms.items())

    def parts(self, name: str, value: Any) -> Iterator[tuple[str, "Form", Any]]:
        """As `Array.parts`."""
        yield name, self, value

    def refusal(self, bad: Misfit) -> Exception:
        """As `Array.refusal`; of a record it explains the first field that does not fit."""
        if isinstance(bad.value, self.kind):
            forms = {f"{bad.name}.{name}": form for name, form in self.forms.items()}
            values = {f"{bad.name}.{name}": getattr(bad.value, name) for name in self.forms}
            return explain(bad.taker, forms, values, self.known)
        came, kind = type(bad.value).__name__, self.kind.__name__
        fields = ", ".join(self.kind._fields)
        return TypeError(f"{bad.name} is {came}, but {bad.taker} takes {kind}; try {kind}({fields})")


Form = Array | Several | Text | Record


def form_of(annotation: Any) -> Form | None:
    """What there is to check of an argument; None: nothing."""
    union = isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union
    members = typing.get_args(annotation) if union else (annotation,)
    for member in sorted(members, key=lambda member: not hasattr(member, "dim_str")):  # an array says more than a list
        others = tuple(other for other in members if other is not member)
        origin, inside = typing.get_origin(member), typing.get_args(member)
        if hasattr(member, "dim_str"):
            return Array(member, others)
        if isinstance(origin, type) and issubclass(origin, Collection):
            member = inside[0 if origin is tuple else -1]
            return Several(Text() if member is str else form_of(member), others)
        if hasattr(member, "_fields") and (record := Record(member, others)).forms:
            return record
    return None


def _name(dtype: Any) -> str:
    return str(dtype).rpartition(".")[2]


def _size(size: Any) -> Any:
    return size if isinstance(size, int) else tuple(size)


def _members(value: Collection) -> Iterator[tuple[Any, Any]]:
    return iter(value.items()) if isinstance(value, Mapping) else enumerate(value)


def _changes(shape: tuple[int, ...], *, whole: bool, known: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Small mistakes and what mends them: an axis of one too many, the channels last, the batch missing.

    whole: every axis has a meaning, so a wrong order can be told. known: the size of the last axis is, so that one of
    length 1 may be what is missing.
    """
    for place, size in enumerate(shape):
        if size == 1:
            yield f".squeeze({place})", shape[:place] + shape[place + 1 :]
    for place in range(len(shape) - 1 if whole else 0):
        yield f".movedim(-1, {place})", (*shape[:place], shape[-1], *shape[place:-1])
    yield ".unsqueeze(0)", (1, *shape)
    if known:
        yield ".unsqueeze(-1)", (*shape, 1)
