"""A visual question-answering transformer small enough to train in half a minute and to look into.

Patches and words stand in one sequence, so every explanation has two named parts, and every attention map has four
blocks: words to words, words to patches, patches to words, patches to patches.

Axis letters are those of course_lib/__init__.py; S = T + P is the joint sequence, words first.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from course_lib import refuse
from course_lib.models.fusion_tokens import CrossAttentionFusion

PAD = 0
"""The id that `Vocabulary` fills up with: never attended to."""


class Answered(NamedTuple):
    """What a `VqaTransformer` returns."""

    logits: Float[Tensor, "B K"]
    """One score an answer; a softmax makes probabilities of them."""
    weights: tuple[Float[Tensor, "B H S S"], ...]
    """Attention of each layer: row = who reads, column = who is read; words first, then patches row by row."""


class VqaBlock(nn.Module):
    """One pre-norm transformer block over the joint sequence.

    x ← x + attention(norm(x));   x ← x + W₂ gelu(W₁ norm(x))
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = CrossAttentionFusion(width, width, heads)
        self.feed_norm = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    @refuse.misfit
    def forward(
        self, tokens: Float[Tensor, "B S D"], mask: Bool[Tensor, "B S"]
    ) -> tuple[Float[Tensor, "B S D"], Float[Tensor, "B H S S"]]:
        """The tokens after the block, and who read whom. mask: True where a token may be read."""
        normed = self.attention_norm(tokens)
        read = self.attention(normed, normed, mask)
        tokens = tokens + read.attended
        return tokens + self.feed(self.feed_norm(tokens)), read.weights


class VqaTransformer(nn.Module):
    """Answer a question about an image: patches and words in one sequence, the answer read from the first word.

        tokens = [E words + position; W patches + position];   logits = head(norm(blocks(tokens))[first word])

    The first word is <bos> in this course's vocabularies, the same in every question: what it knows about the answer it
    has read elsewhere. Masked: <pad> (id 0). A single-stream encoder in the manner of ViLT (Kim et al., 2021,
    arXiv:2102.03334), without pre-training, without a token for the type of modality (positions differ anyway) and
    with biases in the feed-forward layers only.

    vocabulary: V, number of word ids. answers: K. size: edge of the square image in pixels. patch: edge of a patch in
    pixels, a divisor of size. most_words: longest question, <bos> and <eos> included.
    """

    def __init__(
        self,
        vocabulary: int,
        answers: int,
        *,
        size: int = 16,
        patch: int = 4,
        width: int = 48,
        heads: int = 4,
        layers: int = 2,
        most_words: int = 12,
    ) -> None:
        super().__init__()
        if size % patch != 0:
            fitting = [edge for edge in range(1, size + 1) if size % edge == 0]
            raise ValueError(f"patches of {patch} pixels do not tile {size} pixels; try patch in {fitting}")
        self.size, self.patch, self.most_words = size, patch, most_words
        self.words = nn.Embedding(vocabulary, width)
        self.patches = nn.Conv2d(3, width, kernel_size=patch, stride=patch)
        self.word_positions = nn.Parameter(0.2 * torch.randn(most_words, width))
        self.patch_positions = nn.Parameter(0.2 * torch.randn(self.grid**2, width))
        self.blocks = nn.ModuleList(VqaBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, answers)

    @property
    def grid(self) -> int:
        """Patches along an edge; P = grid²."""
        return self.size // self.patch

    @refuse.misfit
    def forward(self, image: Float[Tensor, "B 3 size size"], ids: Int[Tensor, "B T"]) -> Answered:
        """image: in [0, 1]. ids: <bos>, the question, <eos>, <pad>..."""
        if tuple(image.shape[-2:]) != (self.size, self.size) or ids.shape[1] > self.most_words:
            raise ValueError(
                f"image {tuple(image.shape[-2:])} and {ids.shape[1]} words came; this model takes "
                f"{self.size} x {self.size} pixels and up to {self.most_words} words"
            )
        words = self.words(ids) + self.word_positions[: ids.shape[1]]
        patches = self.patches(image).flatten(start_dim=2).transpose(1, 2) + self.patch_positions
        tokens = torch.cat([words, patches], dim=1)
        mask = torch.cat([ids != PAD, torch.ones_like(patches[..., 0], dtype=torch.bool)], dim=1)
        weights = []
        for block in self.blocks:
            tokens, read = block(tokens, mask)
            weights.append(read)
        return Answered(self.head(self.norm(tokens[:, 0])), tuple(weights))
