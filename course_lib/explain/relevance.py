"""Attention weighed by what it did: gradients say which of the weights moved the answer.

    Ā = mean over heads of (∇A ⊙ A)⁺,   ∇A = gradient of the target's score with respect to the weights

A weight counts where raising it would raise the score. The rules are those of Chefer et al. (2021, arXiv:2103.15679);
for one sequence of several modalities the self-attention rule alone does it.

Axis letters are those of course_lib/__init__.py.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from course_lib import refuse
from course_lib.explain.attention_maps import capture_attention
from course_lib.explain.checks import check_inputs, check_mode, check_target
from course_lib.explain.reading import Read, scores_of, select


class Weighed(NamedTuple):
    """Attention maps of one forward pass and what they did to the score."""

    maps: dict[str, Tensor]
    """Module path to weights (B, H, T, S), detached."""
    gradients: dict[str, Tensor]
    """Module path to the gradient of the score with respect to them; 0 where the score does not depend on them."""
    scores: Float[Tensor, " B"]


@refuse.misfit
def attention_gradients(
    model: nn.Module,
    inputs: Mapping[str, Any],
    target: int | Int[Tensor, " B"] | None = None,
    *,
    read: Read | None = None,
) -> Weighed:
    """Attention maps with the gradient of the target's score; arguments as those of `attribute`, all in one dict."""
    check_mode(model)
    tensors = {name: value for name, value in inputs.items() if isinstance(value, Tensor) and value.ndim > 0}
    count = check_inputs(model, tensors, {name: value for name, value in inputs.items() if name not in tensors})
    with torch.enable_grad(), _tracked(model):
        captured = capture_attention(model, inputs, keep_graph=True)
        raw = scores_of(captured.output, read)
        scores = select(raw, check_target(raw, target, count))
        # nn.MultiheadAttention returns a view that its output does not depend on; the tensor behind it is in the graph
        used = [weights._base if weights._is_view() else weights for weights in captured.maps.values()]
        found = torch.autograd.grad(scores.sum(), used, allow_unused=True)
    gradients = {
        path: torch.zeros_like(weights) if gradient is None else gradient.view_as(weights)
        for (path, weights), gradient in zip(captured.maps.items(), found, strict=True)
    }
    return Weighed({path: weights.detach() for path, weights in captured.maps.items()}, gradients, scores.detach())


@contextmanager
def _tracked(model: nn.Module) -> Iterator[None]:
    """A frozen model forms no graph; let its parameters take part for a while."""
    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(parameter.is_floating_point())
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)


@refuse.misfit
def positive_attention(weights: Float[Tensor, "B H T S"], gradient: Float[Tensor, "B H T S"]) -> Float[Tensor, "B T S"]:
    """Ā = mean over heads of max(0, weights ⊙ gradient)."""
    return (weights * gradient).clamp_min(0).mean(dim=1)


@refuse.misfit
def gradient_relevance(
    model: nn.Module,
    inputs: Mapping[str, Any],
    target: int | Int[Tensor, " B"] | None = None,
    *,
    read: Read | None = None,
    within: str = "",
) -> Float[Tensor, "B S S"]:
    """Relevance of every input token (column) for every output token (row), through all self-attention layers.

        R = I;   R ← R + Ā_l R   for l = 1 ... L

    The row of the token that the answer is read from is the map; its own column also holds the 1 it started with.
    within: beginning of the paths of the modules to follow, such as "vision_model", in a model of several sequences.
    """
    weighed = attention_gradients(model, inputs, target, read=read)
    paths = [path for path in weighed.maps if path.startswith(within)]
    shapes = {path: tuple(weighed.maps[path].shape[-2:]) for path in paths}
    if len(paths) == 0 or len(set(shapes.values())) > 1 or any(rows != columns for rows, columns in shapes.values()):
        raise ValueError(
            f"maps within {within!r} are {shapes or sorted(weighed.maps)}; relevance follows one sequence through "
            "self-attention, so choose its modules by the beginning of their paths with within="
        )
    length = shapes[paths[0]][0]
    relevance = torch.eye(length, device=weighed.scores.device).expand(len(weighed.scores), -1, -1)
    for path in paths:
        relevance = self_step(relevance, positive_attention(weighed.maps[path], weighed.gradients[path]))
    return relevance


@refuse.misfit
def self_step(relevance: Float[Tensor, "B T S"], positive: Float[Tensor, "B T T"]) -> Float[Tensor, "B T S"]:
    """R ← R + Ā R: a self-attention layer. For what the sequence took from another one (T words by S patches) too."""
    return relevance + positive @ relevance


@refuse.misfit
def cross_step(
    text_image: Float[Tensor, "B T P"],
    positive: Float[Tensor, "B T P"],
    text: Float[Tensor, "B T T"],
    image: Float[Tensor, "B P P"],
) -> Float[Tensor, "B T P"]:
    """A cross-attention layer in which text reads image: R_ti ← R_ti + R̄_tᵀ Ā R̄_i, with R̄ as in `normalised`.

    text, image: the relevance within each sequence so far, I before the first layer. Start with text_image = 0.
    """
    return text_image + normalised(text).transpose(1, 2) @ positive @ normalised(image)


@refuse.misfit
def normalised(relevance: Float[Tensor, "B S S"]) -> Float[Tensor, "B S S"]:
    """R̄ = I + (R - I) with rows that sum to 1: what a token is and what it took weigh the same. Zeros stay."""
    refuse.nan(relevance=relevance)
    identity = torch.eye(relevance.shape[-1], device=relevance.device, dtype=relevance.dtype)
    taken = relevance - identity
    sums = taken.sum(dim=-1, keepdim=True)
    return identity + torch.where(sums > 0, taken / sums.clamp_min(torch.finfo(sums.dtype).tiny), 0.0)
