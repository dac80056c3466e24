"""Fusion of token sequences: cross-attention, joint self-attention, attention pooling, bottleneck tokens.

A mask is True where a token may be attended to. A row of the mask that is False throughout (the modality is missing)
gives weights of 0, not NaN: nothing is read, and what stands beside the attention (the residual) passes unchanged.

Simplified from Transformer blocks: no layer norm, no dropout and, but for the bottleneck, no feed-forward layer.
Axis letters are those of course_lib/__init__.py. Costs are per example, in multiply-adds of the matrix products.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from course_lib import refuse
from course_lib.models.attention import check_heads, dot_product_attention, join_heads, masked_softmax, split_heads


class CrossAttended(NamedTuple):
    """What a `CrossAttentionFusion` returns."""

    fused: Float[Tensor, "B T D"]
    """text + attended: each word, with what it found in the image."""
    attended: Float[Tensor, "B T D"]
    """Zero for an example whose image is masked throughout."""
    weights: Float[Tensor, "B H T P"]
    """Share of each patch per head and word: rows sum to 1, or to 0 if the image is masked throughout."""


class CrossAttentionFusion(nn.Module):
    """Each text token asks the image patches a question; the answer is added to the token.

        q = W_q text, k = W_k image, v = W_v image;   weights = softmax(q kᵀ / √E);   fused = text + W_o (weights v)

    With a single key (one pooled image vector) every weight is 1 and the text cannot choose. One-sided: the image stays
    as it is. Cost: 2 D (D + D_image) parameters, 2 T D² + 2 P D_image D + 2 T P D multiply-adds. Vaswani et al. (2017,
    arXiv:1706.03762), section 3.2; the projections have no bias, so that a missing image adds exactly nothing.
    """

    def __init__(self, text_width: int, image_width: int, heads: int) -> None:
        super().__init__()
        check_heads(text_width, heads)
        self.heads = heads
        self.query = nn.Linear(text_width, text_width, bias=False)
        self.key = nn.Linear(image_width, text_width, bias=False)
        self.value = nn.Linear(image_width, text_width, bias=False)
        self.out = nn.Linear(text_width, text_width, bias=False)

    @refuse.misfit
    def forward(
        self,
        text: Float[Tensor, "B T D"],
        image: Float[Tensor, "B P D_image"],
        image_mask: Bool[Tensor, "B P"] | None = None,
    ) -> CrossAttended:
        """image_mask: True where a patch is real; None means all are."""
        projected = (self.query(text), self.key(image), self.value(image))
        query, key, value = (split_heads(tokens, self.heads) for tokens in projected)
        read = dot_product_attention(query, key, value, None if image_mask is None else image_mask[:, None, None, :])
        attended = self.out(join_heads(read.output))
        return CrossAttended(text + attended, attended, read.weights)


class JointlyAttended(NamedTuple):
    """What a `JointAttentionFusion` returns."""

    text: Float[Tensor, "B T D"]
    image: Float[Tensor, "B P D"]
    weights: Float[Tensor, "B H T+P T+P"]
    """Text tokens first, on both axes."""


class JointAttentionFusion(nn.Module):
    """Put text and image tokens in one sequence and let everything attend to everything.

        tokens = [text; image];   fused = tokens + attention(tokens, tokens)

    Token concatenation, the early fusion of today's vision-language models; both sides change. Cost: 4 D² parameters,
    4 S D² + 2 S² D multiply-adds with S = T + P. It is a `CrossAttentionFusion` of the sequence with itself.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = CrossAttentionFusion(width, width, heads)

    @refuse.misfit
    def forward(
        self,
        text: Float[Tensor, "B T D"],
        image: Float[Tensor, "B P D"],
        text_mask: Bool[Tensor, "B T"] | None = None,
        image_mask: Bool[Tensor, "B P"] | None = None,
    ) -> JointlyAttended:
        """Masks: True where a token is real; None means all are."""
        tokens = torch.cat([text, image], dim=1)
        mask = torch.cat([_mask_for(text, text_mask), _mask_for(image, image_mask)], dim=1)
        fused, _, weights = self.attention(tokens, tokens, mask)
        return JointlyAttended(fused[:, : text.shape[1]], fused[:, text.shape[1] :], weights)


class Pooled(NamedTuple):
    """What an `AttentionPooling` returns."""

    pooled: Float[Tensor, "B D"]
    weights: Float[Tensor, "B S"]
    """Share of each token: rows sum to 1, or to 0 if the example is masked throughout (then `pooled` is 0)."""


class AttentionPooling(nn.Module):
    """A weighted mean of tokens, with weights that depend on the tokens: for patches, words, or one token per modality.

        score_s = vᵀ tanh(W token_s + b),   weights = softmax(score),   pooled = Σ_s weights_s token_s

    The scores of different tokens do not see each other: a token is picked for what it is, not for what it goes with.
    The order of tokens does not matter. Cost: (D + 2) hidden parameters, S hidden (D + 1) + S D multiply-adds. Ilse et
    al. (2018, arXiv:1802.04712), the ungated form.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, 1, bias=False))

    @refuse.misfit
    def forward(self, tokens: Float[Tensor, "B S D"], mask: Bool[Tensor, "B S"] | None = None) -> Pooled:
        """mask: True where a token is real; None means all are."""
        weights = masked_softmax(self.score(tokens).squeeze(-1), mask)
        return Pooled(torch.einsum("bs,bsd->bd", weights, tokens), weights)


class Bottlenecked(NamedTuple):
    """What a `BottleneckFusion` returns."""

    text: Float[Tensor, "B T D"]
    image: Float[Tensor, "B P D"]
    bottleneck: Float[Tensor, "B N_bottleneck D"]


class BottleneckFusion(nn.Module):
    """Modalities talk only through a few shared tokens.

        [text'; z_t] = layer_text([text; z]),   [image'; z_i] = layer_image([image; z]),   z' = (z_t + z_i) / 2

    What a word says reaches the patches in two layers, never in one. Attention scores per layer: (T + N)² + (P + N)²
    for N bottleneck tokens, where `JointAttentionFusion` has (T + P)². Parameters: 2 (12 D² + 13 D) per layer, and N D.
    Nagrani et al. (2021, arXiv:2107.00135); layers are torch's, norm first, feed-forward width 4 D, no dropout or mask.
    """

    def __init__(self, width: int, heads: int, bottlenecks: int = 4, layers: int = 2) -> None:
        super().__init__()
        check_heads(width, heads)
        self.bottleneck = nn.Parameter(0.02 * torch.randn(bottlenecks, width))
        self.text = nn.ModuleList(_transformer_layer(width, heads) for _ in range(layers))
        self.image = nn.ModuleList(_transformer_layer(width, heads) for _ in range(layers))

    @refuse.misfit
    def forward(self, text: Float[Tensor, "B T D"], image: Float[Tensor, "B P D"]) -> Bottlenecked:
        """The tokens of both modalities and the bottleneck after the last layer."""
        shared = self.bottleneck.expand(len(text), -1, -1)
        for text_layer, image_layer in zip(self.text, self.image, strict=True):
            text, from_text = text_layer(torch.cat([text, shared], dim=1)).tensor_split([text.shape[1]], dim=1)
            image, from_image = image_layer(torch.cat([image, shared], dim=1)).tensor_split([image.shape[1]], dim=1)
            shared = (from_text + from_image) / 2
        return Bottlenecked(text, image, shared)


def _mask_for(tokens: Tensor, mask: Tensor | None) -> Tensor:
    return tokens.new_ones(tokens.shape[:2], dtype=torch.bool) if mask is None else mask


def _transformer_layer(width: int, heads: int) -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
