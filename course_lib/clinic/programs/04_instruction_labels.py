"""Fine-tune on instructions: a fixed prompt, a question, an answer. Only the answer should be learnt."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

PAD, BOS, EOS, IGNORE = 0, 1, 2, -100
SYSTEM = list(range(10, 22))  # "You are a helpful assistant ..." in 12 words
DIGITS = range(3, 10)  # a question is two of them; the answer is the larger one


def make_example(prompt: list[int], answer: list[int]) -> tuple[list[int], list[int]]:
    """Input ids and labels of one example, equally long; labels stand where their word stands, the loss shifts them."""
    ids = [BOS, *prompt, *answer, EOS]
    return ids, list(ids)


def collate(examples: list[tuple[list[int], list[int]]]) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]:
    """Fill up on the right: ids with PAD, labels with IGNORE."""
    longest = max(len(ids) for ids, _ in examples)
    ids = [ids + [PAD] * (longest - len(ids)) for ids, _ in examples]
    labels = [labels + [IGNORE] * (longest - len(labels)) for _, labels in examples]
    return torch.tensor(ids), torch.tensor(labels)


def loss(logits: Float[Tensor, "B T V"], labels: Int[Tensor, "B T"]) -> Float[Tensor, ""]:
    """The scores at place t are for the word at t + 1."""
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORE)


class Writer(nn.Module):
    """A GRU that scores the word to come."""

    def __init__(self, words: int = 22, width: int = 32) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(words, width), nn.Linear(width, words)
        self.read = nn.GRU(width, width, batch_first=True)

    def forward(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """Scores at every place."""
        return self.head(self.read(self.embed(ids))[0])


def run() -> dict:
    """Sixty steps; the reported loss, and the loss on the answers alone."""
    torch.manual_seed(0)
    pairs = [(a, b) for a in DIGITS for b in DIGITS]
    ids, labels = collate([make_example([*SYSTEM, a, b], [max(a, b)]) for a, b in pairs])
    model = Writer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(60):
        value = loss(model(ids), labels)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    answers = F.cross_entropy(model(ids)[:, -3], ids[:, -2]).item()
    counted = round((labels != IGNORE).float().sum(dim=1).mean().item(), 1)
    return {
        "reported loss": round(value.item(), 2),
        "loss on the answers": round(answers, 2),
        "labels counted in an example": counted,
    }
