"""Ways to join one vector per modality: sum, mean, max, product, concatenation, a gate, modulation, a cascade.

The plain functions learn nothing and take any number of modalities; the modules learn. Beside this file stand
tensor_fusion.py (every pair of features multiplied), fusion_tokens.py (sequences that attend to each other) and
late_fusion.py (predictions joined after each modality has decided).

Which operator can express what is the subject of lesson 07: whatever is linear after sum, mean or concatenation only
adds evidence up, whereas product, gate, modulation or a hidden layer can make one modality change what the other means.

Axis letters are those of course_lib/__init__.py; M counts modalities. Costs are per example, in multiply-adds of the
matrix products; biases are counted among the parameters.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib import refuse


@refuse.misfit
def fuse_sum(*modalities: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """image + text + ...: adds feature i of every modality, so the features must already share one basis.

    Loses information in general: D numbers do not determine the M D that went in, unless the modalities write into
    different directions, or few codes occur and their sums differ. No parameters.
    Raises ValueError where the shapes differ, rather than broadcasting.
    """
    return torch.stack(_some(modalities)).sum(dim=0)


@refuse.misfit
def fuse_mean(*modalities: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """(image + text + ...) / M: the sum on the scale of one modality, whatever M is. No parameters."""
    return torch.stack(_some(modalities)).mean(dim=0)


@refuse.misfit
def fuse_weighted_sum(
    *modalities: Float[Tensor, "B D"], weights: Sequence[float] | Float[Tensor, " M"]
) -> Float[Tensor, "B D"]:
    """Σ_m w_m x_m with one fixed weight per modality, the same for every example (a gate's weights are not).

    weights: not negative, summing to 1; a learned weight comes in as `logits.softmax(0)` and keeps its gradient.
    """
    stacked = torch.stack(_some(modalities))
    return torch.tensordot(check_weights(weights, stacked, total=1.0), stacked, dims=1)


@refuse.misfit
def fuse_product(*modalities: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """image ⊙ text ⊙ ...: feature i of one modality scales feature i of the others; a zero anywhere wins.

    Usually preceded by a learned projection per modality, which is `LowRankBilinear`. No parameters.
    """
    return torch.stack(_some(modalities)).prod(dim=0)


@refuse.misfit
def fuse_max(*modalities: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """max(image, text, ...) per feature: the strongest evidence wins and alone receives the gradient.

    Not a weighted sum: the winner changes with the input. Where values tie, one of them gets it all. No parameters.
    """
    return torch.stack(_some(modalities)).max(dim=0).values


@refuse.misfit
def fuse_concat(*modalities: Float[Tensor, "B _"]) -> Float[Tensor, "B D_fused"]:
    """[image; text; ...]: lossless, widths may differ and add up, the order is part of the contract. No parameters.

    A linear layer on top equals a sum of one linear layer per modality, so interactions need a hidden layer: MLPFusion.
    """
    return torch.cat(_some(modalities), dim=-1)


@refuse.misfit
def fuse_outer(image: Float[Tensor, "B D_image"], text: Float[Tensor, "B D_text"]) -> Float[Tensor, "B D_image*D_text"]:
    """The matrix product image · textᵀ of each example, flattened row by row: entry i D_text + j is image_i text_j.

    Every pair of features, hence D_image D_text of them. A linear layer on top is a bilinear form per output.
    """
    return torch.einsum("bi,bj->bij", image, text).flatten(start_dim=1)


class MLPFusion(nn.Module):
    """Concatenate, then let a hidden layer find the interactions.

        fused = W₂ relu(W₁ [image; text; ...] + b₁) + b₂

    Cost: (Σ_m D_m + 1) hidden + (hidden + 1) out parameters, (Σ_m D_m + out) hidden multiply-adds. The early fusion of
    the survey by Baltrušaitis et al. (2017, arXiv:1705.09406), with a network behind it.
    """

    def __init__(self, widths: Sequence[int], hidden: int, out: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(sum(widths), hidden), nn.ReLU(), nn.Linear(hidden, out))

    @refuse.misfit
    def forward(self, *modalities: Float[Tensor, "B _"]) -> Float[Tensor, "B D_out"]:
        """Modalities in the order of `widths`."""
        return self.layers(fuse_concat(*modalities))


class Gated(NamedTuple):
    """What a `GatedFusion` returns."""

    fused: Float[Tensor, "B D"]
    gate: Float[Tensor, "B D"]
    """Trust in the image, per example and feature: 1 takes the image alone, 0 the text alone."""


class GatedFusion(nn.Module):
    """Let each example decide, per feature, how much to trust the image: a Gated Multimodal Unit.

        gate  = sigmoid(W_g [image; text] + b_g)
        fused = gate ⊙ tanh(W_i image + b_i) + (1 - gate) ⊙ tanh(W_t text + b_t)

    The two weights of a feature sum to 1, unlike two separate sigmoids. Cost: 2 (D_image + D_text) D + 3 D parameters,
    2 (D_image + D_text) D multiply-adds. Arevalo et al. (2017, arXiv:1702.01992), two-modality form, with biases added.
    """

    def __init__(self, image_width: int, text_width: int, width: int) -> None:
        super().__init__()
        self.image = nn.Linear(image_width, width)
        self.text = nn.Linear(text_width, width)
        self.gate = nn.Linear(image_width + text_width, width)

    @refuse.misfit
    def forward(self, image: Float[Tensor, "B D_image"], text: Float[Tensor, "B D_text"]) -> Gated:
        """The fused vector and the gate that made it."""
        gate = torch.sigmoid(self.gate(fuse_concat(image, text)))
        return Gated(gate * torch.tanh(self.image(image)) + (1 - gate) * torch.tanh(self.text(text)), gate)


class Modulated(NamedTuple):
    """What a `FilmFusion` returns."""

    fused: Float[Tensor, "B *positions D"]
    scale: Float[Tensor, "B D"]
    """γ: 1 leaves a feature as it is, 0 switches it off, negative turns it round."""
    shift: Float[Tensor, "B D"]
    """β: added after scaling."""


class FilmFusion(nn.Module):
    """Let the text scale and shift each image feature, equally at every position: feature-wise linear modulation.

        γ = 1 + W_γ text + b_γ,   β = W_β text + b_β,   fused = γ ⊙ image + β

    One-sided: the text conditions, the image is transformed. With the layer's weights at zero it is the identity.
    Cost: 2 (D_text + 1) D parameters, 2 D_text D multiply-adds, none of them per position. Perez et al. (2017,
    arXiv:1709.07871); features come last here, (B, P, D) or (B, D), not in the channel axis of an image.
    """

    def __init__(self, text_width: int, image_width: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(text_width, 2 * image_width)

    @refuse.misfit
    def forward(self, image: Float[Tensor, "B *positions D"], text: Float[Tensor, "B D_text"]) -> Modulated:
        """The modulated image features with the γ and β that were used."""
        change, shift = self.modulation(text).chunk(2, dim=-1)
        per_position = (len(text), *[1] * (image.ndim - 2), -1)
        fused = (1 + change).view(per_position) * image + shift.view(per_position)
        return Modulated(fused, 1 + change, shift)


class Cascaded(NamedTuple):
    """What a `CascadeFusion` returns."""

    final: Float[Tensor, "B K_final"]
    first: Float[Tensor, "B K_first"]
    """What the first stage said about the image alone; it can be supervised, logged and replaced by itself."""


class CascadeFusion(nn.Module):
    """A later stage consumes an earlier stage's output, as when a reasoner reads what a detector found.

        first = stage₁(image),   final = stage₂([first; text])

    Stage two sees the image only through `first`: what stage one dropped is gone, and its errors are passed on. The
    gradient flows through both; freeze stage one with `requires_grad_(False)` to train stage by stage. Cost: that of
    the stages. Example: Anderson et al. (2017, arXiv:1707.07998), an object detector below a question answerer.

    first: maps (B, D_image) to (B, K_first).  second: maps (B, K_first + D_text) to (B, K_final).
    """

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first = first
        self.second = second

    @refuse.misfit
    def forward(self, image: Float[Tensor, "B D_image"], text: Float[Tensor, "B D_text"]) -> Cascaded:
        """Both stages' outputs."""
        first = self.first(image)
        return Cascaded(self.second(fuse_concat(first, text)), first)


@refuse.misfit
def check_weights(
    weights: Sequence[float] | Float[Tensor, " M"], stacked: Float[Tensor, "M B D"], *, total: float | None
) -> Float[Tensor, " M"]:
    """`weights` as a tensor, one per modality of `stacked`; ValueError if one is missing or negative or the sum is off.

    total: what they must sum to (within 1e-4), or None for any positive sum.
    """
    checked = torch.as_tensor(weights, dtype=stacked.dtype, device=stacked.device)
    came = [round(weight, 4) for weight in checked.detach().tolist()]
    if len(came) != len(stacked):
        raise ValueError(f"{len(came)} weights {came} came for {len(stacked)} modalities; give one weight per modality")
    if not min(came) >= 0:
        raise ValueError(f"weights {came} hold a negative one; a modality's trust is 0 or more, e.g. logits.softmax(0)")
    if total is None and not sum(came) > 0:
        raise ValueError(f"weights {came} are all zero, which leaves no modality; raise one of them")
    if total is not None and not abs(float(checked.detach().sum()) - total) <= 1e-4:
        raise ValueError(f"weights {came} sum to {sum(came):.4g}, not {total:g}; divide them by their sum")
    return checked


def _some(modalities: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    if len(modalities) == 0:
        raise ValueError("no modality came; give at least one tensor of shape (B, D), e.g. fuse_sum(image, text)")
    return modalities
