"""Fusion by multiplying features: bilinear forms, the full tensor of all products, and their low-rank shortcuts.

Products let one modality change what the other means, at a price: all pairs of two 1,024-wide vectors are a million
features, and a third modality makes them a thousand million. A low rank keeps the multiplication and drops the price.

Axis letters are those of course_lib/__init__.py; M counts modalities, R is the rank.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib import refuse
from course_lib.models.fusion import fuse_outer, fuse_product


class FusionCost(NamedTuple):
    """What a fusion layer costs, from arithmetic alone; nothing is allocated."""

    features: int
    """Numbers per example that are held between the modalities and the output."""
    parameters: int
    multiply_adds: int
    """Of the matrix products, per example; one multiply-add is 2 FLOPs. The element-wise products are left out."""


@refuse.misfit
def tensor_fusion_cost(widths: Sequence[int], out: int) -> FusionCost:
    """Cost of `TensorFusion`: Π_m (D_m + 1) features, times `out` for parameters and multiply-adds.

    >>> tensor_fusion_cost((16, 16), out=2)
    FusionCost(features=289, parameters=578, multiply_adds=578)
    """
    features = math.prod(width + 1 for width in widths)
    return FusionCost(features, features * out, features * out)


@refuse.misfit
def low_rank_cost(widths: Sequence[int], rank: int, out: int) -> FusionCost:
    """Cost of `LowRankTensorFusion`: a sum over modalities where `tensor_fusion_cost` has a product.

    M R out features, R out Σ_m (D_m + 1) parameters, R out Σ_m D_m multiply-adds.

    >>> low_rank_cost((16, 16), rank=1, out=2)
    FusionCost(features=4, parameters=68, multiply_adds=64)
    """
    projected = rank * out
    return FusionCost(len(widths) * projected, projected * sum(width + 1 for width in widths), projected * sum(widths))


class BilinearFusion(nn.Module):
    """One matrix per output feature: fused_k = imageᵀ W_k text + b_k.

    Only products of an image and a text feature; a modality alone adds nothing (`TensorFusion` mends that). The same as
    nn.Bilinear, computed as one matrix product over `fuse_outer`. Cost: D_image D_text out (+ out) parameters,
    D_image D_text out multiply-adds. Bilinear models: Tenenbaum and Freeman (2000), "Separating style and content".
    """

    def __init__(self, image_width: int, text_width: int, out: int) -> None:
        super().__init__()
        self.out = nn.Linear(image_width * text_width, out)

    @refuse.misfit
    def forward(self, image: Float[Tensor, "B D_image"], text: Float[Tensor, "B D_text"]) -> Float[Tensor, "B D_out"]:
        """One bilinear form per output."""
        return self.out(fuse_outer(image, text))


class LowRankBilinear(nn.Module):
    """Project both modalities to R features, multiply them, read the result out.

        fused = P (U image + u ⊙ V text + v) + b        with ⊙ binding last

    The bilinear form W_k of `BilinearFusion` becomes Uᵀ diag(P_k) V, of rank R at most; the biases u and v are the
    appended 1 of a tensor fusion, so each modality also counts alone. R is shared by all outputs.
    Cost: (D_image + D_text + 2 + out) R + out parameters, (D_image + D_text + out) R multiply-adds. Kim et al. (2016,
    arXiv:1610.04325), without their tanh.
    """

    def __init__(self, image_width: int, text_width: int, rank: int, out: int) -> None:
        super().__init__()
        self.image = nn.Linear(image_width, rank)
        self.text = nn.Linear(text_width, rank)
        self.out = nn.Linear(rank, out)

    @refuse.misfit
    def forward(self, image: Float[Tensor, "B D_image"], text: Float[Tensor, "B D_text"]) -> Float[Tensor, "B D_out"]:
        """The product of the projections, read out."""
        return self.out(fuse_product(self.image(image), self.text(text)))


class TensorFusion(nn.Module):
    """All products of features of different modalities, up to one from each, weighed by a linear layer.

        features = [1; image] ⊗ [1; text] ⊗ ...,    fused = W features

    The appended 1 keeps the lower orders: feature 0 is the constant (so no bias is needed), 1..D_last the last modality
    alone, and so on. Cost: `tensor_fusion_cost`. Zadeh et al. (2017, arXiv:1707.07250), with one linear layer on top.
    """

    def __init__(self, widths: Sequence[int], out: int) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.out = nn.Linear(math.prod(width + 1 for width in widths), out, bias=False)

    @refuse.misfit
    def features(self, *modalities: Float[Tensor, "B _"]) -> Float[Tensor, "B D_tensor"]:
        """The flattened outer product, its last axis running over the last modality fastest."""
        _check_widths(modalities, self.widths)
        tensor, *rest = (nn.functional.pad(modality, (1, 0), value=1.0) for modality in modalities)
        for modality in rest:
            tensor = fuse_outer(tensor, modality)
        return tensor

    @refuse.misfit
    def forward(self, *modalities: Float[Tensor, "B _"]) -> Float[Tensor, "B D_out"]:
        """Modalities in the order of `widths`."""
        return self.out(self.features(*modalities))


class LowRankTensorFusion(nn.Module):
    """A tensor fusion whose weights are a sum of R outer products, so that the tensor is never built.

        fused_k = Σ_r Π_m ⟨w_m[r, k], [1; x_m]⟩

    Every output has its own R factors. Cost: `low_rank_cost`, linear in the number of modalities. Liu et al. (2018,
    arXiv:1806.00064); the weight of the appended 1 is the bias of each factor.
    """

    def __init__(self, widths: Sequence[int], rank: int, out: int) -> None:
        super().__init__()
        if rank < 1:
            raise ValueError(
                f"rank {rank} leaves nothing to sum; try 1, or up to {max_rank(widths)} for the full tensor"
            )
        self.widths = tuple(widths)
        self.rank = rank
        self.factors = nn.ModuleList(nn.Linear(width, rank * out) for width in widths)

    @refuse.misfit
    def forward(self, *modalities: Float[Tensor, "B _"]) -> Float[Tensor, "B D_out"]:
        """Modalities in the order of `widths`."""
        _check_widths(modalities, self.widths)
        projected = [factor(modality) for factor, modality in zip(self.factors, modalities, strict=True)]
        return fuse_product(*projected).unflatten(-1, (self.rank, -1)).sum(dim=1)

    def full_weight(self) -> Float[Tensor, "D_out D_tensor"]:
        """The weight with which a `TensorFusion` of the same widths computes the same; its size is the price saved."""
        first, *rest = (torch.cat([factor.bias[:, None], factor.weight], dim=1) for factor in self.factors)
        for factor in rest:
            first = fuse_outer(first, factor)
        return first.unflatten(0, (self.rank, -1)).sum(dim=0)


@refuse.misfit
def max_rank(widths: Sequence[int]) -> int:
    """A rank at which `LowRankTensorFusion` can equal any `TensorFusion`: Π_m (D_m + 1) over the largest factor.

    For two modalities it is the smallest such rank, that of a full matrix.
    """
    sizes = [width + 1 for width in widths]
    return math.prod(sizes) // max(sizes)


def _check_widths(modalities: tuple[Tensor, ...], widths: tuple[int, ...]) -> None:
    came = tuple(modality.shape[-1] for modality in modalities)
    if came != widths:
        raise ValueError(f"modalities of widths {came} came, this module was built for {widths}; check their order too")
