"""The loss of a padded batch of captions, short ones and long ones."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

PAD, BOS, EOS = 0, 1, 2


def pad(captions: list[list[int]], length: int) -> Int[Tensor, "B T"]:
    """BOS, the words, EOS, then PAD up to `length`."""
    rows = [[BOS, *caption, EOS] for caption in captions]
    return torch.tensor([row + [PAD] * (length - len(row)) for row in rows])


def caption_loss(logits: Float[Tensor, "B T V"], ids: Int[Tensor, "B T"]) -> Float[Tensor, ""]:
    """Mean loss a word: the scores at place t are for the word at t + 1."""
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def run() -> dict:
    """Fit nothing but word frequencies, once for each length of padding; what a model would learn first."""
    captions = [[5, 6], [7, 5, 6, 8], [6]]
    report = {}
    for length in (8, 32):
        ids = pad(captions, length)
        frequencies = torch.zeros(9, requires_grad=True)
        optimizer = torch.optim.AdamW([frequencies], lr=0.1, weight_decay=0.0)
        for _ in range(300):
            loss = caption_loss(frequencies.expand(*ids.shape, -1), ids)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        most = frequencies.argmax().item()
        report[f"padded to {length}: loss, most likely word"] = f"{loss.item():.2f}, {most}"
    return report
