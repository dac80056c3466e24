"""Four ways to be in trouble with handwritten digits, and what is done about it: lesson 19's patients and remedies.

A patient says what a network has to learn from; `treat` trains five networks on five draws of the labelled digits, side
by side, with one remedy. Test digits come from writers that training never saw.

Axis letters are those of course_lib/__init__.py; `copies` are the draws.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from course_lib.data.moves import moved
from course_lib.models.regularisers import mixup, smooth_labels
from course_lib.models.side_by_side import dense
from course_lib.training.recipes import digits

DRAWS = 5
VALIDATION = 200
BATCH = 50
RATE = 5e-3
SEED = 19
"""Of the five draws, where no other is given."""
Pairs = tuple[Float[Tensor, "copies B 8 8"], Int[Tensor, "copies B"]]
Augment = Callable[[Tensor, torch.Generator], Tensor]


class Patient(NamedTuple):
    """What a network has to learn from, and what it is asked."""

    labels: int
    """Digits to train on."""
    wrong: float = 0.0
    """Share of labels, for training and validation, replaced by a random digit, which is right one time in ten."""
    width: int = 128
    """Hidden units of the dense network."""
    moves: bool = False
    """Whether the test digits are moved by up to a pixel."""


class Treated(NamedTuple):
    """Five trained networks, in eval mode, and how they came there."""

    model: nn.Module
    data: dict[str, Pairs]
    """Keys "train", "validation", "test"."""
    steps: list[int]
    """When accuracies were measured."""
    accuracies: dict[str, Float[Tensor, "times copies"]]
    losses: Float[Tensor, "steps copies"]
    """Of the batches, after what the remedy does to them."""

    @torch.no_grad()
    def answer(self, images: Float[Tensor, "copies B 8 8"]) -> Float[Tensor, "copies B K"]:
        """Probabilities."""
        return _in_parts(self.model, images).softmax(-1)

    def says(self, part: str = "test") -> Float[Tensor, "copies B K"]:
        """Probabilities for the digits of a part."""
        return self.answer(self.data[part][0])

    def score(self, part: str = "test") -> Float[Tensor, " copies"]:
        """Accuracy at the end."""
        return right(self.says(part), self.data[part][1])

    def stopped(self) -> Float[Tensor, " copies"]:
        """Test accuracy at the step that was best on validation: early stopping that went on to look."""
        best = self.accuracies["validation"].argmax(0)
        return self.accuracies["test"].gather(0, best[None])[0]


def right(scores: Float[Tensor, "copies B K"], label: Int[Tensor, "copies B"]) -> Float[Tensor, " copies"]:
    """The share of rows whose highest score stands at the label."""
    return (scores.argmax(-1) == label).float().mean(-1)


def examine(patient: Patient, more: float = 1.0, seed: int = SEED) -> dict[str, Pairs]:
    """Images and labels of "train", "validation" (200) and "test" (510), one draw per copy.

    more: labels to train on, as a multiple of the patient's; the first ones stay the same.
    """
    from course_lib.data.digits import TRAIN_IMAGES  # brings scipy, which takes a second

    (images, labels), (test, truth) = _digits()
    random = torch.Generator().manual_seed(seed)
    order = torch.rand(DRAWS, TRAIN_IMAGES, generator=random).argsort(1)
    given = torch.where(
        torch.rand(order.shape, generator=random) < patient.wrong,
        torch.randint(10, order.shape, generator=random),
        labels[order],
    )
    asked = test[:, 0].expand(DRAWS, -1, 8, 8)
    asked = moved(asked, random) if patient.moves else asked
    count = int(more * patient.labels)
    return {
        "train": (images[order[:, :count], 0], given[:, :count]),
        "validation": (images[order[:, -VALIDATION:], 0], given[:, -VALIDATION:]),
        "test": (asked, truth.expand(DRAWS, -1)),
    }


def treat(
    patient: Patient,
    *,
    net: Callable[[int], nn.Module] | None = None,
    scale: float = 1.0,
    p: float = 0.0,
    more: float = 1.0,
    decay: float = 0.0,
    steps: int = 200,
    rate: float | Callable[[float], float] = RATE,
    looks: int = 8,
    seed: int = SEED,
    member: int = 0,
    **on_batch: object,
) -> Treated:
    """Train five networks with AdamW on batches of 50.

    net: makes the networks from their number; None is the patient's dense network, `scale` times as wide, with dropout
    p. more: see `examine`. decay: AdamW's. rate: the learning rate, or its value after a share of the steps. looks: how
    often accuracies are measured. seed: of the draws. member: other starts and other batches on the same draws.
    on_batch: augment, smoothing, alpha, mix_labels, see `prepare`.
    """
    data, random = examine(patient, more, seed), torch.Generator().manual_seed(1000 * seed + member)
    torch.manual_seed(1000 * seed + member)
    model = net(DRAWS) if net is not None else dense(DRAWS, max(2, round(patient.width * scale)), p)
    rule = torch.optim.AdamW(model.parameters(), weight_decay=decay, fused=True)
    images, labels = data["train"]
    times, measured, losses = [], [], []
    for step in range(steps):
        rule.param_groups[0]["lr"] = rate(step / steps) if callable(rate) else rate
        rows = torch.randint(labels.shape[1], (BATCH,), generator=random)
        batch, target = prepare(images[:, rows], labels[:, rows], random, **on_batch)
        loss = -(target * model(batch).log_softmax(-1)).sum(-1).mean(1)  # (copies,)
        rule.zero_grad()
        loss.sum().backward()
        rule.step()
        losses.append(loss.detach())
        if (step + 1) % (steps // looks) == 0:
            times.append(step + 1)
            measured.append(_look(model, data))
    accuracies = {part: torch.stack([look[part] for look in measured]) for part in data}
    return Treated(model.eval(), data, times, accuracies, torch.stack(losses))


def prepare(
    images: Float[Tensor, "copies B 8 8"],
    labels: Int[Tensor, "copies B"],
    generator: torch.Generator,
    augment: Augment | None = None,
    smoothing: float = 0.0,
    alpha: float | None = None,
    mix_labels: bool = True,
) -> tuple[Float[Tensor, "copies B 8 8"], Float[Tensor, "copies B K"]]:
    """A batch and its targets after what a remedy does to them; alpha is mixup's, one share for all copies."""
    target = smooth_labels(labels.flatten(), 10, smoothing).view(*labels.shape, 10)
    images = images if augment is None else augment(images, generator)
    if alpha is None:
        return images, target
    mixed = mixup(images.transpose(0, 1), target.transpose(0, 1).flatten(1), alpha, generator)
    blend = mixed.target.unflatten(1, (len(labels), 10)).transpose(0, 1)
    return mixed.input.transpose(0, 1), blend if mix_labels else target


def noise(size: float) -> Augment:
    """Gaussian noise on every pixel, of standard deviation `size`; paper is 0, ink 1."""
    return lambda images, generator: images + size * torch.randn(images.shape, generator=generator)


@functools.cache
def _digits() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    return digits()  # read from a packed text file, which takes as long as fifty steps


@torch.no_grad()
def _look(model: nn.Module, data: dict[str, Pairs]) -> dict[str, Tensor]:
    model.eval()
    found = {part: right(_in_parts(model, images), label) for part, (images, label) in data.items()}
    model.train()
    return found


def _in_parts(model: nn.Module, images: Float[Tensor, "copies B 8 8"]) -> Float[Tensor, "copies B K"]:
    """Logits; the feature maps of all images at once would take 100 MB."""
    return torch.cat([model(part) for part in images.split(100, dim=1)], dim=1)
