"""Data seen once, and the same data again and again, at equal computing: lesson 19's experiment on repeats.

Five teachers, five draws, one network each, side by side; every arm is tested on the same held-out examples, and the
examples of an arm with more passes are the first ones of an arm with fewer.

Axis letters are those of course_lib/__init__.py; `copies` are the draws.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.models.side_by_side import SideBySideLinear
from course_lib.training.remedies import SEED

DRAWS = 5
FEATURES = 20
STEPS, BATCH = 400, 64
WRONG = 0.1
RATE = 3e-3


class Examples(NamedTuple):
    """Questions of a teacher, and its answers."""

    x: Float[Tensor, "copies B D"]
    label: Int[Tensor, "copies B"]


class Pass(NamedTuple):
    """What a run measured."""

    seen: list[int]
    """Steps done at each measurement."""
    test: Float[Tensor, "times copies"]
    """Loss on held-out examples."""


def draw(seed: int = SEED, held_out: int = 2000) -> tuple[Examples, Examples]:
    """25,600 examples to train on, enough for every step of one pass, and the held-out ones; one label in ten is wrong.

    A teacher is a small random network; its answer is whether its output lies above the median.
    """
    random = torch.Generator().manual_seed(seed)
    count = STEPS * BATCH
    x = torch.randn(DRAWS, count + held_out, FEATURES, generator=random)
    first, second = (torch.randn(DRAWS, *size, generator=random) for size in ((FEATURES, 8), (8, 1)))
    score = (torch.tanh(x @ first / FEATURES**0.5) @ second)[..., 0]
    wrong = torch.rand(score.shape, generator=random) < WRONG
    label = ((score > score.median(1, keepdim=True).values) ^ wrong).long()
    return Examples(x[:, :count], label[:, :count]), Examples(x[:, count:], label[:, count:])


def train_repeatedly(passes: int, p: float = 0.0, decay: float = 0.0, seed: int = SEED, looks: int = 16) -> Pass:
    """400 steps of 64 examples, of which each is seen `passes` times, in the same order every time.

    p: dropout of hidden units. decay: AdamW's. ValueError where `passes` does not divide 25,600.
    """
    if passes < 1 or STEPS * BATCH % passes:
        raise ValueError(f"{passes} passes do not divide {STEPS * BATCH} examples; try 1, 4, 16 or 64")
    train, test = draw(seed)
    torch.manual_seed(seed)
    layers = SideBySideLinear(DRAWS, FEATURES, 256), nn.ReLU(), nn.Dropout(p), SideBySideLinear(DRAWS, 256, 2)
    model = nn.Sequential(*layers)
    rule = torch.optim.AdamW(model.parameters(), RATE, weight_decay=decay, fused=True)
    count, seen, losses = STEPS * BATCH // passes, [], []
    for step in range(STEPS):
        rows = (torch.arange(BATCH) + BATCH * step) % count
        rule.zero_grad()
        (DRAWS * _loss(model, train.x[:, rows], train.label[:, rows]).mean()).backward()
        rule.step()
        if (step + 1) % (STEPS // looks) == 0:
            seen.append(step + 1)
            with torch.no_grad():
                losses.append(_loss(model.eval(), *test).mean(1))
            model.train()
    return Pass(seen, torch.stack(losses))


def _loss(model: nn.Module, x: Tensor, label: Tensor) -> Float[Tensor, "copies B"]:
    return F.cross_entropy(model(x).movedim(-1, 1), label, reduction="none")
