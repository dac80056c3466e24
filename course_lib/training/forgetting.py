"""What fine-tuning forgets, and what holds a model near its start: lesson 19's small stand-in for a large model.

The old skill is reading digits, learnt from 800 of them; the new one is reading them turned by a quarter, from 40. Five
draws side by side. A remedy that keeps the new skill low keeps the old one for nothing, so both are measured.

Axis letters are those of course_lib/__init__.py; `copies` are the draws.
"""

import copy
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.models.side_by_side import SideBySideLinear
from course_lib.training.recipes import digits
from course_lib.training.remedies import SEED, right

DRAWS = 5
OLD, NEW, HELD_OUT = 800, 40, 200
BATCH = 40
Pairs = tuple[Float[Tensor, "copies B 8 8"], Int[Tensor, "copies B"]]


class Skills(NamedTuple):
    """Images and labels of an old and a new skill; keys "train", "validation", "test"."""

    old: dict[str, Pairs]
    new: dict[str, Pairs]


class LowRank(nn.Module):
    """A frozen layer plus a trained change of rank r: x W + b + x A B, with B = 0 at the start (LoRA)."""

    def __init__(self, layer: SideBySideLinear, rank: int) -> None:
        super().__init__()
        copies, width, out = layer.weight.shape
        self.layer = layer.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(copies, width, rank) * width**-0.5)
        self.up = nn.Parameter(torch.zeros(copies, rank, out))

    def forward(self, x: Float[Tensor, "copies B D"]) -> Float[Tensor, "copies B D_out"]:
        """As the layer does at first."""
        return self.layer(x) + x @ self.down @ self.up


def skills(seed: int = SEED) -> Skills:
    """Draw the digits of both skills; no digit serves both in training, and validation digits serve neither."""
    from course_lib.data.digits import TRAIN_IMAGES  # brings scipy, which takes a second

    (images, labels), (test, truth) = digits()
    random = torch.Generator().manual_seed(seed)
    order = torch.rand(DRAWS, TRAIN_IMAGES, generator=random).argsort(1)
    starts = {"old": 0, "new": OLD}
    found = {}
    for name, count in (("old", OLD), ("new", NEW)):
        rows = {"train": order[:, starts[name] :][:, :count], "validation": order[:, -HELD_OUT:]}
        pairs = {part: (images[at, 0], labels[at]) for part, at in rows.items()}
        pairs["test"] = (test[:, 0].expand(DRAWS, -1, 8, 8), truth.expand(DRAWS, -1))
        found[name] = pairs if name == "old" else {part: (x.rot90(1, (-2, -1)), y) for part, (x, y) in pairs.items()}
    return Skills(**found)


def pretrain(old: dict[str, Pairs], seed: int = SEED, steps: int = 120) -> nn.Sequential:
    """Two hidden layers of 128, five networks, on the old skill."""
    torch.manual_seed(seed)
    sizes = (64, 128, 128, 10)
    first, second, last = (SideBySideLinear(DRAWS, *pair) for pair in zip(sizes, sizes[1:], strict=False))
    model = nn.Sequential(nn.Flatten(2), first, nn.ReLU(), second, nn.ReLU(), last)
    random = torch.Generator().manual_seed(seed)
    rule = torch.optim.AdamW(model.parameters(), 3e-3, fused=True)
    for _ in range(steps):
        _step(rule, _loss(model, _batch(old["train"], random)))
    return model.eval()


def fine_tune(
    start: nn.Sequential,
    data: Skills,
    *,
    rate: float = 5e-3,
    steps: int = 60,
    thaw: Iterable[int] | None = None,
    rank: int | None = None,
    kl: float = 0.0,
    kl_old: float = 0.0,
    replay: float = 0.0,
    seed: int = SEED,
) -> nn.Sequential:
    """Train a copy of `start` on the new skill.

    thaw: numbers of the layers of `start` that are trained, 1, 3 or 5; None trains all. rank: train a change of this
    rank instead (LoRA). kl: weight of KL(start || model) on the new images; kl_old: on 40 old images that were kept,
    without their labels. replay: weight of the loss on these 40, with labels.
    """
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    model = copy.deepcopy(start)
    if thaw is not None:
        model.requires_grad_(False)
        for layer in thaw:
            model[layer].requires_grad_(True)
    if rank is not None:
        model = nn.Sequential(*(LowRank(e, rank) if isinstance(e, SideBySideLinear) else e for e in model))
    kept = tuple(part[:, :NEW] for part in data.old["train"])
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    rule = torch.optim.AdamW(trained, rate, weight_decay=0.0, fused=True)
    for _ in range(steps):
        new = _batch(data.new["train"], random)
        loss = _loss(model, new)
        if kl > 0:
            loss = loss + kl * _drift(start, model, new[0])
        if kl_old > 0:
            loss = loss + kl_old * _drift(start, model, kept[0])
        if replay > 0:
            loss = loss + replay * _loss(model, kept)
        _step(rule, loss)
    return model.eval()


@torch.no_grad()
def blend(start: nn.Sequential, tuned: nn.Sequential, alpha: float) -> nn.Sequential:
    """Weights (1 - alpha) start + alpha tuned, as WiSE-FT averages them; with 1 `tuned` itself, whatever its layers."""
    if alpha == 1:
        return tuned
    model = copy.deepcopy(start)
    for own, other in zip(model.parameters(), tuned.parameters(), strict=True):
        own.lerp_(other, alpha)
    return model


def best_of(
    start: nn.Sequential, data: Skills, options: Sequence[dict[str, Any]], seed: int = SEED
) -> tuple[dict[str, Any], Float[Tensor, "2 copies"]]:
    """The option of `fine_tune` with the highest mean validation accuracy over both skills, and its test accuracies.

    An option may hold alpha: the tuned weights are then averaged with those of `start`.
    """
    scored, tuned = [], {}
    for option in options:
        do = {name: value for name, value in option.items() if name != "alpha"}
        if repr(do) not in tuned:  # one run serves several alphas
            tuned[repr(do)] = fine_tune(start, data, seed=seed, **do)
        model = blend(start, tuned[repr(do)], option.get("alpha", 1.0))
        scored.append((measure(model, data, "validation").mean().item(), option, measure(model, data, "test")))
    _, option, test = max(scored, key=lambda each: each[0])
    return option, test


@torch.no_grad()
def measure(model: nn.Module, data: Skills, part: str) -> Float[Tensor, "2 copies"]:
    """Accuracy on the old and on the new skill."""
    return torch.stack([right(model(pairs[part][0]), pairs[part][1]) for pairs in data])


def _batch(pairs: tuple[Tensor, Tensor], random: torch.Generator) -> Pairs:
    rows = torch.randint(pairs[1].shape[1], (BATCH,), generator=random)
    return pairs[0][:, rows], pairs[1][:, rows]


def _loss(model: nn.Module, pairs: Pairs) -> Float[Tensor, " copies"]:
    logits = model(pairs[0])
    return F.cross_entropy(logits.movedim(-1, 1), pairs[1], reduction="none").mean(1)


def _drift(start: nn.Module, model: nn.Module, images: Tensor) -> Float[Tensor, " copies"]:
    """KL(start || model) of the answers, mean over the images."""
    with torch.no_grad():
        before = start(images).log_softmax(-1)
    return F.kl_div(model(images).log_softmax(-1), before, reduction="none", log_target=True).sum(-1).mean(1)


def _step(rule: torch.optim.Optimizer, loss: Float[Tensor, " copies"]) -> None:
    rule.zero_grad()
    loss.sum().backward()
    rule.step()
