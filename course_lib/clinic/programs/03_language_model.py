"""Train a language model on captions of scenes, then let it write one."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.data.scene_language import ENGLISH
from course_lib.data.scenes import make_scenes


class Writer(nn.Module):
    """A GRU that reads words from left to right and scores the word to come at every place."""

    def __init__(self, words: int, width: int = 48) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.read = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, words)

    def forward(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """Scores at every place, made from the words up to and including that place."""
        return self.head(self.read(self.embed(ids))[0])


def lm_loss(model: nn.Module, ids: Int[Tensor, "B T"]) -> Float[Tensor, ""]:
    """Mean loss a word; ids: BOS, the words, EOS, PAD..."""
    logits = model(ids)
    return F.cross_entropy(logits.flatten(0, 1), ids.flatten(), ignore_index=ENGLISH.PAD)


def write(model: nn.Module, longest: int) -> str:
    """The most likely word after BOS, the most likely word after that, and so on."""
    ids = torch.tensor([[ENGLISH.BOS]])
    while ids.shape[1] < longest and ids[0, -1] != ENGLISH.EOS:
        ids = torch.cat([ids, model(ids)[:, -1:].argmax(dim=-1)], dim=1)
    return ENGLISH.decode(ids[0])


def run() -> dict:
    """A hundred steps; the curve, and what it writes."""
    torch.manual_seed(0)
    ids = ENGLISH.encode_batch(make_scenes(256, seed=0, objects=(1, 2)).captions)
    model = Writer(len(ENGLISH))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    losses = []
    for step in range(100):
        loss = lm_loss(model, ids[step % 4 :: 4])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {"loss a word": losses, "the model writes": write(model, longest=12) or "nothing"}
