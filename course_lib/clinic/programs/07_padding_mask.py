"""Read sentences of different length with attention; padding should not be read."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

PAD = 0


class Reader(nn.Module):
    """Attention over the words of a sentence, asked by one learnt query; two classes."""

    def __init__(self, words: int = 30, width: int = 16) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.query = nn.Parameter(torch.randn(1, 1, width))
        self.attention = nn.MultiheadAttention(width, num_heads=2, batch_first=True)
        self.head = nn.Linear(width, 2)

    def forward(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B 2"]:
        """Scores of the two classes; ids: words, then PAD."""
        words = self.embed(ids)
        real: Bool[Tensor, "B T"] = ids != PAD
        read, _ = self.attention(self.query.expand(len(ids), -1, -1), words, words, key_padding_mask=real)
        return self.head(read[:, 0])


def make_data(count: int, seed: int) -> tuple[Int[Tensor, "B 12"], Int[Tensor, " B"]]:
    """Sentences of 3 to 11 words; the class says whether word 7 is among them."""
    random = torch.Generator().manual_seed(seed)
    ids = torch.randint(8, 30, (count, 12), generator=random)
    length = torch.randint(3, 12, (count,), generator=random)
    label = torch.randint(0, 2, (count,), generator=random)
    seat = (torch.rand(count, generator=random) * length).long()
    rows = torch.arange(count)
    ids[rows, seat] = torch.where(label == 1, 7, ids[rows, seat])
    return ids.masked_fill(torch.arange(12) >= length[:, None], PAD), label


def run() -> dict:
    """Train for 150 steps; the curve and the share of right answers."""
    torch.manual_seed(0)
    model = Reader()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for step in range(150):
        ids, label = make_data(64, seed=step)
        loss = F.cross_entropy(model(ids), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    ids, label = make_data(500, seed=999)
    return {"loss": losses, "right on fresh sentences": round((model(ids).argmax(1) == label).float().mean().item(), 2)}
