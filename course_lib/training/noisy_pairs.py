"""Two small towers learn from pairs of which a part is wrong, and stop where held-out pairs are found best.

A network that trains on wrong pairs first learns what most pairs agree on and then the exceptions by heart. So its best
step lies somewhere in the run, and two ways to treat the pairs are compared at the best step of each.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from course_lib.data.scene_pairs import ScenePairs
from course_lib.models.heads import mlp
from course_lib.training.config import TrainConfig
from course_lib.training.early_stop import KeepBest
from course_lib.training.loop import fit
from course_lib.training.recipes import contrast

SCALE = 14.3
"""Factor on the cosines, 1 / temperature: that of 0.07, where CLIP starts."""


class VectorTowers(nn.Module):
    """An image and a caption tower of one hidden layer each, into one space of 32 dimensions."""

    def __init__(self, image_width: int, text_width: int) -> None:
        super().__init__()
        self.image, self.text = mlp(image_width, 32, hidden=128), mlp(text_width, 32, hidden=128)

    def forward(self, image: Float[Tensor, "B pixels"], text: Float[Tensor, "B words"]) -> tuple[Tensor, Tensor, float]:
        """Unit vectors of both, (B, 32) each, and SCALE: what `recipes.contrast` takes."""
        towers = (self.image(image), self.text(text))
        return *(functional.normalize(each, dim=-1) for each in towers), SCALE

    @torch.no_grad()
    def score(self, pairs: ScenePairs) -> Float[Tensor, " B"]:
        """The cosine of each pair, -1 to 1: what a filter by image-text score sorts by."""
        image, text, _ = self(*pairs)
        return (image * text).sum(dim=1)

    @torch.no_grad()
    def recall_at_1(self, pairs: ScenePairs) -> float:
        """How often an image's own caption is the nearest of all captions; chance is 1 / len(pairs.image)."""
        image, text, _ = self(*pairs)
        return ((image @ text.T).argmax(dim=1) == torch.arange(len(image))).double().mean().item()


class Run(NamedTuple):
    """A training and its two ends."""

    best: VectorTowers
    """Weights of the step at which the validation pairs were found best."""
    step: int
    """That step."""
    last: VectorTowers
    """Weights after all steps."""
    steps: Sequence[int]
    """Where the validation pairs were looked at."""
    curve: Sequence[float]
    """Recall at 1 on them."""


def exchange_captions(pairs: ScenePairs, share: float, *, seed: int) -> tuple[ScenePairs, Bool[Tensor, " B"]]:
    """Give a share of the images the caption of another of them; also returns which ones, True where exchanged.

    ValueError unless the share is in [0, 1] and is no or at least two pairs.
    """
    count = round(share * len(pairs.image))
    if not 0 <= share <= 1 or count == 1:
        raise ValueError(f"share={share} of {len(pairs.image)} pairs: give 0 to 1, and none or two pairs at least")
    rows = torch.randperm(len(pairs.image), generator=torch.Generator().manual_seed(seed))[:count]
    text, wrong = pairs.text.clone(), torch.zeros(len(pairs.image), dtype=torch.bool)
    text[rows], wrong[rows] = pairs.text[rows.roll(1)], True
    return ScenePairs(pairs.image, text), wrong


def train_towers(pairs: ScenePairs, validation: ScenePairs, *, steps: int, seed: int, every: int = 25) -> Run:
    """Train by contrast in batches of 128: each image finds its caption, each caption its image.

    Recall at 1 on `validation` is measured after each `every` steps, and the best weights are kept beside the last.
    """
    torch.manual_seed(seed)
    widths = (pairs.image.shape[1], pairs.text.shape[1])
    last, best = VectorTowers(*widths), VectorTowers(*widths)
    keep = KeepBest(lambda model: {"recall": model.recall_at_1(validation)}, "recall")
    config = TrainConfig(steps=steps, batch_size=128, learning_rate=2e-3, seed=seed, evaluate_every=every)
    history = fit(last, tuple(pairs), contrast, config, keep)
    keep.restore(best)
    looked, curve = history.steps("recall"), history["recall"]
    at = looked[max(range(len(curve)), key=curve.__getitem__)]  # the first of the best, as KeepBest
    return Run(best, at, last, looked, curve)
