"""Does the map tell the truth? Curves of the score while what the map calls important goes, and hits on known masks.

A map that looks right looks like what we expect; a map that is right is obeyed by the model's score. Positions are the
pixels of an image or the words of a text. An importance has one number for each, as `Attribution.map` gives it:
(B, height, width) or (B, T), written (B, ...).

Axis letters are those of course_lib/__init__.py.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from course_lib import refuse
from course_lib.explain.checks import check_baseline, check_inputs, check_mode, check_target
from course_lib.explain.reading import Read, scores_of, select


class Curve(NamedTuple):
    """The score of each example while positions go or come."""

    shares: Float[Tensor, " steps"]
    """Share of the positions that have gone (deletion) or come (insertion), from 0 to 1."""
    scores: Float[Tensor, "B steps"]
    area: Float[Tensor, " B"]
    """Mean height by the trapezoid rule. Of a deletion low is good, of an insertion high is good; a random order is the
    yardstick, since where chance lies depends on the model."""


@refuse.misfit
def deletion_curve(
    model: nn.Module,
    inputs: Mapping[str, Any],
    target: int | Int[Tensor, " B"] | None,
    name: str,
    importance: Float[Tensor, "B ..."],
    *,
    baseline: Any = 0,
    steps: int = 16,
    insert: bool = False,
    read: Read | None = None,
) -> Curve:
    """Replace the most important positions of input `name` by the baseline, step by step, and watch the probability.

    importance: signed; the largest goes first, equal ones in reading order. steps: about equal shares, all at the end.
    insert: the other way round: start from the baseline and bring the most important back first.
    Where the model gives classes the score is the target's probability, else the score itself. Nothing is renormalised
    and `inputs` stay as they are. Petsiuk et al. (2018, arXiv:1806.07421).
    """
    check_mode(model)
    refuse.outside(1, math.inf, steps=steps)
    value, blank = _positions(inputs, name, importance, baseline)
    order = importance.flatten(start_dim=1).argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
    )
    rank = rank.view(importance.shape)
    shares = torch.linspace(0, 1, steps + 1)
    start, end = (blank, value) if insert else (value, blank)
    scores = []
    for share in shares:
        changed = rank < round(float(share) * order.shape[1])
        mixed = torch.where(changed.unsqueeze(1) if value.ndim == 4 else changed, end, start)
        scores.append(probability(model, {**inputs, name: mixed}, target, read=read))
    scores = torch.stack(scores, dim=1)
    return Curve(shares, scores, torch.trapezoid(scores, shares.to(scores), dim=1))


@refuse.misfit
def probability(
    model: nn.Module,
    inputs: Mapping[str, Any],
    target: int | Int[Tensor, " B"] | None,
    *,
    read: Read | None = None,
) -> Float[Tensor, " B"]:
    """The target's softmax probability, or the score itself where the model gives one an example; no gradient."""
    tensors = {name: value for name, value in inputs.items() if isinstance(value, Tensor) and value.ndim > 0}
    count = check_inputs(model, tensors, {name: value for name, value in inputs.items() if name not in tensors})
    with torch.no_grad():
        scores = scores_of(model(**inputs), read)
        goal = check_target(scores, target, count)
        return select(scores if scores.ndim == 1 else scores.softmax(dim=1), goal)


def _positions(inputs: Mapping[str, Any], name: str, importance: Tensor, baseline: Any) -> tuple[Tensor, Tensor]:
    if name not in inputs:
        raise ValueError(f"{name!r} is no input; there are {sorted(inputs)}")
    value = inputs[name]
    wanted = (len(value), *value.shape[2:]) if value.ndim == 4 else tuple(value.shape)
    if tuple(importance.shape) != wanted:
        raise ValueError(
            f"importance has shape {tuple(importance.shape)}, the positions of {name!r} are {wanted}; "
            "sum over channels or widths first, as Attribution.map does"
        )
    refuse.nan(importance=importance)
    return value, check_baseline(name, baseline, value)


@refuse.misfit
def pointing_game(importance: Float[Tensor, "B ..."], mask: Bool[Tensor, "B ..."]) -> Bool[Tensor, " B"]:
    """Whether the most important position lies on the object. Signed: what speaks against the answer is no hit.

    Chance is `mask_share`, the best value 1. Zhang et al. (2016, arXiv:1608.00507), without their margin of 15 pixels.
    """
    _check_mask(importance, mask)
    top = importance.flatten(start_dim=1).argmax(dim=1, keepdim=True)
    return mask.flatten(start_dim=1).gather(1, top)[:, 0]


@refuse.misfit
def mass_in_mask(importance: Float[Tensor, "B ..."], mask: Bool[Tensor, "B ..."]) -> Float[Tensor, " B"]:
    """Share of the positive importance that lies on the object; 0 where nothing is positive. Chance is `mask_share`."""
    _check_mask(importance, mask)
    positive = importance.clamp_min(0).flatten(start_dim=1)
    on_object = (positive * mask.flatten(start_dim=1)).sum(dim=1)
    return on_object / positive.sum(dim=1).clamp_min(torch.finfo(positive.dtype).tiny)


@refuse.misfit
def mask_share(mask: Bool[Tensor, "B ..."]) -> Float[Tensor, " B"]:
    """Share of the positions that the object covers: what a random map hits."""
    refuse.empty(mask=mask)
    return mask.flatten(start_dim=1).float().mean(dim=1)


def _check_mask(importance: Tensor, mask: Shaped[Tensor, "..."]) -> None:
    if importance.shape != mask.shape:
        raise ValueError(
            f"importance {tuple(importance.shape)} and mask {tuple(mask.shape)} differ; one mask an example"
        )
    refuse.empty(importance=importance)
    refuse.infinite(importance=importance)
    empty = (~mask.flatten(start_dim=1).any(dim=1)).nonzero().flatten().tolist()
    if empty:
        raise ValueError(
            f"the masks of examples {empty[:5]} are empty, so nothing can be hit; leave these examples out"
        )
