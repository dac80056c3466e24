"""The transformer that the course's trainings and its vision-language model share: one block, read two ways.

An encoder lets every patch see every patch; a decoder lets a position see what came before, which is why its keys and
values can be kept. Axis letters are those of course_lib/__init__.py; S counts the positions of the whole sequence.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_lib import refuse
from course_lib.models.attention import check_heads


class KeyValueCache:
    """Keys and values of every layer for the positions read so far: what makes one more word cost one position.

    It grows by concatenation, which copies it at every step; a server allocates blocks ahead. It remembers which
    positions are words, so that padding on the left is never read.
    """

    def __init__(self) -> None:
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self.readable: Tensor | None = None

    @property
    def length(self) -> int:
        """Positions read so far, padding included."""
        return 0 if self.readable is None else self.readable.shape[1]

    @property
    def bytes(self) -> int:
        """2 x layers x B x H x S x E x bytes of a number."""
        return sum(t.numel() * t.element_size() for t in (*self.keys, *self.values))

    @refuse.misfit
    def note(self, readable: Bool[Tensor, "B T"]) -> Bool[Tensor, "B S"]:
        """Add positions, True where they may be read; returns all so far."""
        self.readable = readable if self.readable is None else torch.cat([self.readable, readable], dim=1)
        return self.readable

    @refuse.misfit
    def extend(
        self, layer: int, keys: Float[Tensor, "B H T E"], values: Float[Tensor, "B H T E"]
    ) -> tuple[Float[Tensor, "B H S E"], Float[Tensor, "B H S E"]]:
        """Add a layer's keys and values of the new positions; returns those of all positions, (B, H, S, E) each."""
        if layer == len(self.keys):
            self.keys.append(keys)
            self.values.append(values)
        else:
            self.keys[layer] = torch.cat([self.keys[layer], keys], dim=2)
            self.values[layer] = torch.cat([self.values[layer], values], dim=2)
        return self.keys[layer], self.values[layer]

    @refuse.misfit
    def select(self, rows: Int[Tensor, " N"]) -> None:
        """Keep these rows of the batch, in this order and as often as they come: what beam search does to its beams."""
        self.keys, self.values = ([t[rows] for t in side] for side in (self.keys, self.values))
        self.readable = None if self.readable is None else self.readable[rows]


class Past(NamedTuple):
    """One layer's place in a cache."""

    cache: KeyValueCache
    layer: int


class Block(nn.Module):
    """A transformer layer with the norms first: x + attention(norm x), then x + mlp(norm x).

    expand: how many times as wide the mlp is inside.
    """

    def __init__(self, width: int, heads: int, *, causal: bool = False, expand: int = 4) -> None:
        super().__init__()
        check_heads(width, heads)
        self.heads, self.causal = heads, causal
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, expand * width), nn.GELU(), nn.Linear(expand * width, width))

    @refuse.misfit
    def forward(
        self, x: Float[Tensor, "B T D"], mask: Bool[Tensor, "B 1 T S"] | None = None, past: Past | None = None
    ) -> Float[Tensor, "B T D"]:
        """Mix the tokens, then think about each.

        mask: True where row may read column; None: everything, or what came before if the block is causal.
        past: where earlier keys and values lie; needs a mask, since a kernel's "causal" counts from the first key.
        """
        q, k, v = (
            self.qkv(self.before_attention(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        )  # B H T E
        if past is not None:
            if mask is None:
                raise ValueError("past came without a mask; give cached_mask(readable, T), over all S positions")
            k, v = past.cache.extend(past.layer, k, v)
        causal = self.causal and mask is None
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(self.before_mlp(x))


class PatchEncoder(nn.Module):
    """Square images to one vector a patch, row by row: patches, positions, blocks; no class token, no pooling."""

    def __init__(
        self, side: int, patch: int, channels: int, width: int, depth: int, heads: int, *, expand: int = 4
    ) -> None:
        super().__init__()
        if side % patch != 0:
            fitting = [edge for edge in range(1, side + 1) if side % edge == 0]
            raise ValueError(f"patches of {patch} pixels do not tile {side} pixels; try patch in {fitting}")
        self.side, self.patch, self.width = side, patch, width
        self.patches = nn.Conv2d(channels, width, patch, stride=patch)
        self.positions = nn.Parameter(torch.randn((side // patch) ** 2, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, heads, expand=expand) for _ in range(depth))

    @refuse.misfit
    def tokens(self, images: Float[Tensor, "B channels side side"]) -> Float[Tensor, "B P D"]:
        """Patch vectors after the last block, without a norm. (LLaVA's projector reads CLIP's last block but one.)"""
        x = self.patches(images).flatten(2).transpose(1, 2) + self.positions
        for block in self.blocks:
            x = block(x)
        return x

    @refuse.misfit
    def forward(self, images: Float[Tensor, "B channels side side"]) -> Float[Tensor, "B P D"]:
        """The same as `tokens`."""
        return self.tokens(images)


class VisionTransformer(PatchEncoder):
    """Square images to vectors: patches, positions, blocks, mean (Dosovitskiy et al., 2020, arXiv:2010.11929)."""

    def __init__(
        self, side: int, patch: int, channels: int, width: int, depth: int, heads: int, outputs: int, *, expand: int = 4
    ) -> None:
        super().__init__(side, patch, channels, width, depth, heads, expand=expand)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, outputs)

    @refuse.misfit
    def forward(self, images: Float[Tensor, "B channels side side"]) -> Float[Tensor, "B outputs"]:
        """One vector per image: class scores, or a place in a shared space."""
        return self.head(self.norm(self.tokens(images)).mean(1))


class Decoder(nn.Module):
    """Tokens to scores of the next token, or with `outputs` of another size to any per-token vector."""

    def __init__(
        self,
        vocabulary: int,
        length: int,
        width: int,
        depth: int,
        heads: int,
        outputs: int | None = None,
        *,
        expand: int = 4,
    ) -> None:
        super().__init__()
        self.embed, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, heads, causal=True, expand=expand) for _ in range(depth))
        self.norm, self.head = (
            nn.LayerNorm(width),
            nn.Linear(width, vocabulary if outputs is None else outputs, bias=False),
        )
        for table in (self.embed, self.positions):
            nn.init.normal_(table.weight, std=0.02)

    @refuse.misfit
    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T outputs"]:
        """Position t sees tokens 0 to t only."""
        return self.read(self.embed(tokens))

    @refuse.misfit
    def read(
        self,
        x: Float[Tensor, "B T D"],
        readable: Bool[Tensor, "B T"] | None = None,
        cache: KeyValueCache | None = None,
    ) -> Float[Tensor, "B T outputs"]:
        """The same for vectors instead of ids, which is how an image gets into a language model.

        readable: False at padding, which is then neither read nor counted as a position. Needed for padding on the
            left only: what stands on the right is never read by a causal model.
        cache: of the positions before these, which it is extended by.
        """
        seen = 0 if cache is None else cache.length
        longest = self.positions.num_embeddings
        if seen + x.shape[1] > longest:
            raise ValueError(
                f"{seen + x.shape[1]} positions came, this decoder has {longest}; shorten the text or build it with "
                f"length={seen + x.shape[1]}"
            )
        if readable is None and cache is None:
            x, mask = x + self.positions.weight[: x.shape[1]], None
        else:
            new = x.new_ones(x.shape[:2], dtype=torch.bool) if readable is None else readable
            every = new if cache is None else cache.note(new)
            x = x + self.positions((every.cumsum(dim=1) - 1).clamp(min=0)[:, seen:])
            mask = cached_mask(every, x.shape[1])
        for layer, block in enumerate(self.blocks):
            x = block(x, mask, None if cache is None else Past(cache, layer))
        return self.head(self.norm(x))


@refuse.misfit
def cached_mask(readable: Bool[Tensor, "B S"], last: int) -> Bool[Tensor, "B 1 T S"]:
    """Who may read whom, for the `last` T of S positions: itself, and every readable one before it.

    Padding reads itself, so that its softmax has something to sum over; nobody looks at the result.
    """
    column = torch.arange(readable.shape[1], device=readable.device)
    row = column[-last:, None]
    return ((row > column) & readable[:, None, None, :]) | (row == column)
