"""Give a trained language model eyes: a gated branch that adds what the image says to what the words say."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


class ImageBranch(nn.Module):
    """What the image adds to the words: tanh(gate) * project(image). At the start it adds nothing."""

    def __init__(self, image_width: int, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(image_width, width)
        self.gate = nn.Parameter(torch.zeros(1))
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, image: Float[Tensor, "B image"]) -> Float[Tensor, "B D"]:
        """The addition, zero before training so that the language model starts as it was."""
        return torch.tanh(self.gate) * self.project(image)


class Answerer(nn.Module):
    """Words and image to one of four answers."""

    def __init__(self, image_width: int = 6, words: int = 10, width: int = 16, answers: int = 4) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.branch = ImageBranch(image_width, width)
        self.head = nn.Linear(width, answers)

    def forward(self, image: Float[Tensor, "B image"], ids: Int[Tensor, "B T"]) -> Float[Tensor, "B K"]:
        """Scores of the answers."""
        return self.head(self.embed(ids).mean(dim=1) + self.branch(image))


def make_data(count: int, seed: int) -> tuple[Float[Tensor, "B 6"], Int[Tensor, "B 5"], Int[Tensor, " B"]]:
    """The image decides the answer; the words help in one case of four."""
    random = torch.Generator().manual_seed(seed)
    answer = torch.randint(0, 4, (count,), generator=random)
    image = 0.3 * torch.randn(count, 6, generator=random) + F.one_hot(answer, 6)
    ids = torch.randint(5, 10, (count, 5), generator=random)
    ids[:, 0] = torch.where(torch.rand(count, generator=random) < 0.25, answer, 4)
    return image, ids, answer


def run() -> dict:
    """Train for 150 steps; the curve, and the share of right answers with the true image and with somebody else's."""
    torch.manual_seed(0)
    model = Answerer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    losses = []
    for step in range(150):
        image, ids, answer = make_data(64, seed=step)
        loss = F.cross_entropy(model(image, ids), answer)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    image, ids, answer = make_data(500, seed=999)
    right = [(model(x, ids).argmax(dim=1) == answer).float().mean().item() for x in (image, image.roll(1, dims=0))]
    return {"loss": losses, "right with the image, with another's image": [round(each, 2) for each in right]}
