"""Two curves that need a sequence: a language model without the shift, a transformer without warm-up."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

WORDS, LENGTH, STEPS = 12, 16, 150
RATE = 0.01


def sentences(count: int, random: torch.Generator) -> Int[Tensor, "B T"]:
    """Each word decides the next up to a choice of three: the entropy is ln 3 = 1.10 a word."""
    ids = [torch.randint(0, WORDS, (count,), generator=random)]
    for _ in range(LENGTH - 1):
        ids.append((2 * ids[-1] + 1 + torch.randint(0, 3, (count,), generator=random)) % WORDS)
    return torch.stack(ids, dim=1)


def no_shift(seed: int) -> dict[str, list[float]]:
    """Scores at a place are compared with the word at that place. Beside it the entropy of the text."""
    random = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Embedding(WORDS, 32), nn.Linear(32, WORDS))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    losses = []
    for _ in range(STEPS):
        ids = sentences(32, random)
        loss = F.cross_entropy(model(ids).flatten(0, 1), ids.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {"training": losses, "entropy of the text": [torch.tensor(3.0).log().item()] * STEPS}


class Recall(nn.Module):
    """Six layers with the norm after the sum: says which word stood at the place that the last word names."""

    def __init__(self, width: int = 32, layers: int = 6) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, width)
        self.place = nn.Parameter(0.1 * torch.randn(8, width))
        self.blocks = nn.Sequential(
            *[nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True) for _ in range(layers)]
        )
        self.head = nn.Linear(width, WORDS)

    def forward(self, ids: Int[Tensor, "B 8"]) -> Float[Tensor, "B V"]:
        """Scores of the words."""
        return self.head(self.blocks(self.embed(ids) + self.place)[:, 0])


def no_warmup(seed: int) -> dict[str, list[float]]:
    """Full learning rate from the first step. Beside it the same run with 60 steps of warm-up."""
    return {"training": _recall(seed, warmup=0), "a repaired run": _recall(seed, warmup=60)}


def _recall(seed: int, warmup: int) -> list[float]:
    random = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Recall()
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    losses = []
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / (warmup + 1))
        ids = torch.randint(0, WORDS, (32, 8), generator=random)
        loss = F.cross_entropy(model(ids), ids[:, 3])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
