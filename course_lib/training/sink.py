"""How an attention sink forms: texts in which a head seldom has something to read, and the smallest model of them.

After a trigger the letter before it comes once more, which only a look back can tell; after any other letter the next
one depends on that letter alone. After the task of Guo et al. (2024, arXiv:2410.13835), with fewer letters, a drawn
chain in place of measured frequencies, and one head.

Axis letters are those of course_lib/__init__.py.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_lib import refuse
from course_lib.models.attention import MultiHeadAttention
from course_lib.models.masks import causal_mask
from course_lib.training.config import TrainConfig
from course_lib.training.loop import fit

LETTERS = 16
BOS = LETTERS
"""The id of the token that every text begins with."""
LENGTH = 24
"""Tokens that are read; a text has one more, the last one to be told."""


class Noted(NamedTuple):
    """What a `TriggerReader` returns."""

    logits: Float[Tensor, "B S 16"]
    """Scores of the next letter; chance is log 16 = 2.77 nats, the best depends on the chain."""
    weights: Float[Tensor, "B S S"]
    """Of its one head: row = who reads, column = who is read."""


class TriggerReader(nn.Module):
    """One causal head and a small MLP: x ← x + attention(norm x); logits = head(x + mlp(x)). 32 features."""

    def __init__(self) -> None:
        super().__init__()
        self.letters, self.places = nn.Embedding(LETTERS + 1, 32), nn.Embedding(LENGTH, 32)
        self.norm, self.attention = nn.LayerNorm(32), MultiHeadAttention(32, 1)
        self.mlp = nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32))
        self.head = nn.Sequential(nn.LayerNorm(32), nn.Linear(32, LETTERS))

    @refuse.misfit
    def forward(self, ids: Int[Tensor, "B 24"], mask: Bool[Tensor, "24 24"] | None = None) -> Noted:
        """mask: True = may be read; what came before, unless given."""
        x = self.letters(ids) + self.places.weight
        read = self.attention(self.norm(x), mask=causal_mask(LENGTH) if mask is None else mask)
        x = x + read.output
        return Noted(self.head(x + self.mlp(x)), read.weights[:, 0])

    @refuse.misfit
    def lengths(self, ids: Int[Tensor, "B 24"]) -> Float[Tensor, "B 24"]:
        """Length of W_o v for each token: what it would add with all of the weight."""
        value = self.attention.value(self.norm(self.letters(ids) + self.places.weight))
        return self.attention.out(value).norm(dim=-1)


@refuse.misfit
def trigger_texts(count: int, chain: Float[Tensor, "16 16"], *, triggers: int, seed: int) -> Int[Tensor, "count 25"]:
    """`count` texts: <bos>, two letters by lot, then the rule.

    chain: row = this letter, column = probability of the next one. triggers: letters below this number are triggers.
    """
    generator = torch.Generator().manual_seed(seed)
    ids = torch.full((count, LENGTH + 1), BOS)
    ids[:, 1:3] = torch.randint(LETTERS, (count, 2), generator=generator)
    for place in range(3, LENGTH + 1):
        drawn = chain[ids[:, place - 1]].multinomial(1, generator=generator)[:, 0]
        ids[:, place] = torch.where(ids[:, place - 1] < triggers, ids[:, place - 2], drawn)
    return ids


@refuse.misfit
def surprise(
    model: TriggerReader, texts: Int[Tensor, "B 25"], mask: Bool[Tensor, "24 24"] | None = None
) -> Float[Tensor, "B 24"]:
    """Nats that each next letter costs; the first two letters were drawn by lot and cost log 16 at best."""
    return functional.cross_entropy(model(texts[:, :-1], mask).logits.mT, texts[:, 1:], reduction="none")


def train_reader(seed: int, *, triggers: int = 4, steps: int = 400) -> tuple[TriggerReader, Int[Tensor, "512 25"]]:
    """A reader trained on 4,096 texts of its own chain, in about three seconds; and 512 new texts of the same chain."""
    generator = torch.Generator().manual_seed(seed)
    chain = (3 * torch.randn(LETTERS, LETTERS, generator=generator)).softmax(dim=1)
    texts = trigger_texts(4096, chain, triggers=triggers, seed=seed)
    torch.manual_seed(seed)
    model = TriggerReader()
    settings = {"warmup_steps": 20, "schedule": "cosine", "weight_decay": 0.0, "seed": seed}
    config = TrainConfig(steps=steps, batch_size=64, learning_rate=0.01, **settings)
    fit(model, (texts,), lambda model, batch: surprise(model, batch[0])[:, 2:].mean(), config)
    return model.eval().requires_grad_(False), trigger_texts(512, chain, triggers=triggers, seed=seed + 1000)
