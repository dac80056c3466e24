"""Grad-CAM for transformers: the channels of a layer's patch tokens, weighed by their mean gradient.

    w_c = mean over patches of ∂s / ∂A_pc;   map_p = max(0, Σ_c w_c A_pc)

Selvaraju et al. (2016, arXiv:1610.02391) wrote it for the last convolution. A transformer has tokens instead, and the
layer is a choice: take the last norm whose patches are still read. Behind it the gradient at the patches is 0, and far
before it one weight a channel for all patches is a poor summary of what the later layers do with each of them.

Axis letters are those of course_lib/__init__.py; S holds the P patches at its end.
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from course_lib import refuse
from course_lib.explain.checks import check_inputs, check_mode, check_target
from course_lib.explain.reading import Read, scores_of, select


@refuse.misfit
def token_grad_cam(
    model: nn.Module,
    inputs: Mapping[str, Any],
    target: int | Int[Tensor, " B"] | None = None,
    *,
    layer: nn.Module,
    patches: int,
    read: Read | None = None,
) -> Float[Tensor, "B P"]:
    """One number a patch, 0 or more, in logits. layer: a module whose output is (B, S, D), or (B, D, rows, columns).

    inputs and target as those of `attribute`, all in one dict. patches: how many tokens at the end are patches.
    Raises ValueError when the layer does not run once, or gives something else.
    """
    check_mode(model)
    tensors = {name: value for name, value in inputs.items() if isinstance(value, Tensor) and value.ndim > 0}
    count = check_inputs(model, tensors, {name: value for name, value in inputs.items() if name not in tensors})
    kept: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _module, _given, output: kept.append(output))
    try:
        with torch.enable_grad():
            raw = scores_of(model(**{name: _followed(value) for name, value in inputs.items()}), read)
    finally:
        hook.remove()
    scores = select(raw, check_target(raw, target, count))
    tokens = _tokens(kept, patches)
    (slope,) = torch.autograd.grad(scores.sum(), tokens, allow_unused=True, materialize_grads=True)
    channels, slope = (_by_patch(each)[:, -patches:] for each in (tokens.detach(), slope))
    return (slope.mean(dim=1, keepdim=True) * channels).sum(dim=2).clamp_min(0)


def _followed(value: Any) -> Any:
    """A frozen model forms no graph; one that starts at its inputs does."""
    floating = isinstance(value, Tensor) and value.is_floating_point()
    return value.detach().clone().requires_grad_() if floating else value


def _tokens(kept: list[Any], patches: int) -> Tensor:
    if len(kept) != 1 or not isinstance(kept[0], Tensor) or kept[0].ndim not in (3, 4):
        shapes = [tuple(each.shape) if isinstance(each, Tensor) else type(each).__name__ for each in kept]
        raise ValueError(
            f"the layer gave {shapes}; token_grad_cam needs one tensor (B, S, D) or (B, D, rows, columns): "
            "try a norm inside a block, or the patch embedding"
        )
    there = _by_patch(kept[0]).shape[1]
    if not 1 <= patches <= there:
        raise ValueError(f"patches={patches}, but the layer gives {there} tokens; try 1 to {there}")
    return kept[0]


def _by_patch(tokens: Tensor) -> Tensor:
    """(B, S, D) as it is; (B, D, rows, columns) row by row."""
    return tokens if tokens.ndim == 3 else tokens.flatten(start_dim=2).transpose(1, 2)
