"""Put the image's patches into the sentence: every <image> placeholder gives its seat to one patch."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

IMAGE = 3


def merge(
    words: Float[Tensor, "B T D"], ids: Int[Tensor, "B T"], patches: Float[Tensor, "B P D"]
) -> Float[Tensor, "B T D"]:
    """Embedded words with the patches in the seats of the placeholders, in order; each row of ids holds P of them."""
    seats = ids == IMAGE
    which = seats.cumsum(dim=1).clamp(max=patches.shape[1] - 1)  # the patch for each seat
    chosen = patches.gather(1, which[..., None].expand(-1, -1, patches.shape[2]))
    return torch.where(seats[..., None], chosen, words)


def make_data(count: int, seed: int) -> tuple[Float[Tensor, "B 4 8"], Int[Tensor, "B 7"], Float[Tensor, "B 4"]]:
    """Images of 4 patches, each lit or dark; a sentence with 4 placeholders; which patches are lit."""
    random = torch.Generator().manual_seed(seed)
    lit = torch.randint(0, 2, (count, 4), generator=random).float()
    patches = 0.3 * torch.randn(count, 4, 8, generator=random) + lit[..., None]
    return patches, torch.tensor([1, IMAGE, IMAGE, IMAGE, IMAGE, 4, 5]).expand(count, -1), lit


class Watcher(nn.Module):
    """Says which of the four patches are lit."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.embed = nn.Embedding(6, width)
        self.read = nn.Linear(7 * width, 4)

    def forward(self, patches: Float[Tensor, "B P D"], ids: Int[Tensor, "B T"]) -> Float[Tensor, "B 4"]:
        """A score for each patch."""
        return self.read(merge(self.embed(ids), ids, patches).flatten(1))


def run() -> dict:
    """Train for 100 steps; the share of right answers for each patch."""
    torch.manual_seed(0)
    model = Watcher()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    for step in range(100):
        patches, ids, lit = make_data(64, seed=step)
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(model(patches, ids), lit).backward()
        optimizer.step()
    patches, ids, lit = make_data(1000, seed=999)
    right = ((model(patches, ids) > 0) == (lit > 0)).float().mean(dim=0)
    names = ("top left", "top right", "bottom left", "bottom right")
    return {f"right about the {name} patch": round(share, 2) for name, share in zip(names, right.tolist(), strict=True)}
