"""From a request to what captum is called with: scores read, ids embedded, baselines in shape, trouble named early.

Axis letters are those of course_lib/__init__.py.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from course_lib.explain.checks import check_baseline, check_inputs, check_known, check_mode, check_target
from course_lib.explain.reading import Read, Readable, find_embeddings, select


class Prepared(NamedTuple):
    """A request that makes sense, for all examples at once."""

    forward: Readable
    explained: dict[str, Tensor]
    """What is attributed to: the inputs, or where ids need gradients the embedding's output (B, T, D)."""
    absent: dict[str, Tensor]
    """The baseline, likewise."""
    blank: dict[str, Tensor]
    """The baseline in the shape of the input; ids stay ids."""
    behind: list[Tensor]
    """True ids and fixed tensors, which every forward pass gets."""
    target: Tensor | None
    scores: Tensor
    """Of each example's target, (B,)."""


def prepare(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    target: Any = None,
    *,
    gradient: bool,
    fixed: Mapping[str, Any] | None = None,
    baselines: Mapping[str, Any] | None = None,
    embeddings: Mapping[str, nn.Module] | None = None,
    read: Read | None = None,
    rows: int = 256,
) -> Prepared:
    """Check a request and compute what every method needs; arguments as those of `attribute`.

    gradient: whether the method needs gradients; then ids are explained at their embedding.
    """
    check_mode(model)
    fixed = dict(fixed or {})
    count = check_inputs(model, inputs, fixed)
    for kind, given in {"baseline of": baselines, "embedding of": embeddings}.items():
        check_known(kind, given or {}, inputs)
    embedded = _embeddings(model, inputs, fixed, dict(embeddings or {})) if gradient else {}
    per_example = tuple(name for name, value in fixed.items() if isinstance(value, Tensor) and value.ndim > 0)
    constants = {name: value for name, value in fixed.items() if name not in per_example}
    forward = Readable(model, tuple(inputs), embedded, per_example, constants, read).eval()
    blank = {name: check_baseline(name, (baselines or {}).get(name, 0), value) for name, value in inputs.items()}
    behind = [inputs[name] for name in embedded] + [fixed[name] for name in per_example]
    with torch.no_grad():
        explained = {name: embedded[name](value) if name in embedded else value for name, value in inputs.items()}
        absent = {name: embedded[name](value) if name in embedded else value for name, value in blank.items()}
        raw = in_chunks(forward, [*explained.values(), *behind], rows)
    goal = check_target(raw, target, count)
    ready = Prepared(forward, explained, absent, blank, behind, goal, select(raw, goal))
    if gradient:
        forward.unused = _without_gradient(ready)
    return ready


def in_chunks(forward: nn.Module, tensors: list[Tensor], rows: int) -> Tensor:
    """`forward(*tensors)`, at most `rows` examples at a time."""
    return torch.cat([forward(*part) for part in zip(*(tensor.split(rows) for tensor in tensors), strict=True)])


def _embeddings(model: nn.Module, inputs: Mapping, fixed: Mapping, named: dict) -> dict[str, nn.Module]:
    ids = [name for name, value in inputs.items() if not value.is_floating_point() and name not in named]
    found = find_embeddings(model, {**inputs, **fixed}, ids) if len(ids) > 0 else {}
    stuck = {name: str(inputs[name].dtype) for name in ids if name not in found}
    if stuck:
        raise ValueError(
            f"this method needs gradients, and there are none for {stuck}, which no nn.Embedding reads; name the "
            "module that reads it in embeddings=, hold it in fixed=, or take a method without gradients, such as "
            "feature_ablation"
        )
    return {name: (named | found)[name] for name in inputs if name in named or name in found}


def _without_gradient(ready: Prepared) -> tuple[int, ...]:
    """Positions of the inputs that nothing uses, which get zeros.

    An input that moves the score, but not by a gradient, is refused.
    """
    goal = None if ready.target is None else ready.target[:1]
    first = [value[:1] for value in ready.behind]
    with torch.enable_grad():
        leaves = [value[:1].detach().requires_grad_() for value in ready.explained.values()]
        score = select(ready.forward(*leaves, *first), goal).sum()
        found = torch.autograd.grad(score, leaves, allow_unused=True) if score.requires_grad else [None] * len(leaves)
    unused = tuple(number for number, gradient in enumerate(found) if gradient is None)
    names = list(ready.explained)
    for number in unused:
        moved = [leaf.detach() for leaf in leaves]
        moved[number] = ready.absent[names[number]][:1]
        with torch.no_grad():
            other = select(ready.forward(*moved, *first), goal).sum()
        if not torch.equal(other, score.detach()):
            raise ValueError(
                f"{names[number]!r} changes the score, but no gradient leads back to it (a step such as argmax or "
                "detach cuts the way); take a method without gradients, such as occlusion or feature_ablation"
            )
    return unused


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global generators of torch and NumPy, which captum draws from, and put back what they were."""
    states = torch.get_rng_state(), np.random.get_state()
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
