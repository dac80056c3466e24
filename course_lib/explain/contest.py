"""Every map of one image-text model, side by side: six methods with pixels, three with tokens.

The question is held fixed, so all credit goes to the image. Models are those whose sequence has the words first and 16
patches behind, such as models/vqa.py.

Axis letters are those of course_lib/__init__.py.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_lib import refuse
from course_lib.explain.attention_maps import attention_rollout, capture_attention
from course_lib.explain.attribution import attribute
from course_lib.explain.checks import check_known
from course_lib.explain.grad_cam import token_grad_cam
from course_lib.explain.plots import spread_patches
from course_lib.explain.relevance import gradient_relevance

METHODS = ("integrated_gradients", "saliency", "input_x_gradient", "grad_cam", "occlusion", "shapley")
PATCHES = 16
"""Of a `VqaTransformer` with its default sizes."""
_SETTINGS = {"shapley": {"samples": 10}}


@refuse.misfit
def pixel_maps(
    model: nn.Module,
    images: Float[Tensor, "B C height width"],
    ids: Int[Tensor, "B T"],
    target: Int[Tensor, " B"],
    *,
    layer: nn.Module,
    methods: Sequence[str] = METHODS,
) -> dict[str, Float[Tensor, "B height width"]]:
    """One map a method of METHODS, in logits. layer: where `grad_cam` looks, see `token_grad_cam`."""
    check_known("method", methods, METHODS)
    maps = {}
    for name in methods:
        if name == "grad_cam":
            coarse = token_grad_cam(model, {"image": images, "ids": ids}, target, layer=layer, patches=PATCHES)
            maps[name] = smooth_patches(coarse, *images.shape[2:])
        else:
            call = {"method": name, "fixed": {"ids": ids}, "rows": 64} | _SETTINGS.get(name, {})
            maps[name] = attribute(model, {"image": images}, target, **call).map("image")
    return maps


@refuse.misfit
def token_maps(
    model: nn.Module,
    images: Float[Tensor, "B C height width"],
    ids: Int[Tensor, "B T"],
    target: Int[Tensor, " B"],
) -> dict[str, Float[Tensor, "B height width"]]:
    """What the first word reads of each patch, three ways, spread over the patch's pixels.

    attention: of the last layer, mean of the heads. rollout: of all layers. relevance: weighed by gradients.
    """
    inputs = {"image": images, "ids": ids}
    weights = list(capture_attention(model, inputs).maps.values())
    rows = {
        "attention": weights[-1].mean(dim=1),
        "rollout": attention_rollout(weights),
        "relevance": gradient_relevance(model, inputs, target),
    }
    size = images.shape[2:]
    return {
        name: torch.stack([spread_patches(each, *size) for each in row[:, 0, -PATCHES:]]) for name, row in rows.items()
    }


@refuse.misfit
def smooth_patches(heat: Float[Tensor, "B P"], height: int, width: int) -> Float[Tensor, "B height width"]:
    """One number a patch on a square grid to one a pixel, between them in straight lines."""
    grid = round(heat.shape[1] ** 0.5)
    if grid**2 != heat.shape[1]:
        raise ValueError(f"{heat.shape[1]} patches make no square grid; leave out <cls>")
    square = heat.view(-1, 1, grid, grid)
    return functional.interpolate(square, size=(height, width), mode="bilinear", align_corners=False)[:, 0]
