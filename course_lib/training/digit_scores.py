"""Logits of small networks on the 8 x 8 digits: one call a training, for lessons on how sure a figure is.

The test images come from writers that no training image comes from (`course_lib.data.digits`). What varies is named:
the split (which images are trained on) and the seed (initial weights, batches, noise) are separate arguments, because
they are separate sources of doubt.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from course_lib import refuse
from course_lib.models.heads import mlp
from course_lib.training.config import TrainConfig
from course_lib.training.loop import fit
from course_lib.training.recipes import classify, digits

HELD_OUT = 287
"""Images of training writers that are never trained on: to fit a temperature, or to choose between models."""


class Scores(NamedTuple):
    """What a network says about some images, and what is true."""

    logits: Float[Tensor, "B K"]
    label: Int[Tensor, " B"]


class Run(NamedTuple):
    """One trained network's scores."""

    held_out: Scores
    """On HELD_OUT images of the writers that it was trained on."""
    test: Scores
    """On all 510 images of other writers."""


@refuse.misfit
def train_digits(
    *, hidden: int, seed: int, split: int = 0, examples: int = 1000, noise: float = 0.0, steps: int = 300
) -> Run:
    """Train a network with one hidden layer, and score what it has not seen.

    hidden: width. examples: images to train on, 1 to 1,000. noise: standard deviation added to every pixel of
    training, held-out and test images, where 0 is paper and 1 is ink. steps: batches of 64.
    split: which images are trained on, and which held out. seed: everything else that is random.
    """
    (images, labels), (test_images, test_labels) = digits()
    refuse.outside(1, len(labels) - HELD_OUT, examples=examples)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(split))
    shown, held_out = order[:-HELD_OUT][:examples], order[-HELD_OUT:]
    generator = torch.Generator().manual_seed(seed)
    images, test_images = (x + noise * torch.randn(x.shape, generator=generator) for x in (images, test_images))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = mlp(64, 10, hidden=hidden)
    config = TrainConfig(steps=steps, batch_size=64, learning_rate=3e-3, weight_decay=0.0, seed=seed)
    fit(model, (images[shown], labels[shown]), classify, config)
    model.eval().requires_grad_(False)
    return Run(Scores(model(images[held_out]), labels[held_out]), Scores(model(test_images), test_labels))
