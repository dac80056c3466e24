"""Fifteen loss curves, one of them healthy: each is made by really training something small with that one defect.

All but two share one task, ten clouds in twenty dimensions, so that the pictures can be compared; the two that need a
sequence are in curve_text.py. What gives each curve away is in gallery.py.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

Curves = dict[str, list[float]]
"""Name of a line to its loss a step; inf or NaN where training overflowed."""

CLASSES, FEATURES, STEPS = 10, 20, 150
CHANCE = math.log(CLASSES)
"""2.303: the loss of a model that gives each of 10 classes the same probability."""


class Task:
    """Ten clouds in twenty dimensions; `batch` draws anew, so training data never end."""

    def __init__(self, seed: int, spread: float = 1.0) -> None:
        self.random = torch.Generator().manual_seed(seed)
        self.centres = torch.randn(CLASSES, FEATURES, generator=self.random)
        self.spread = spread

    def batch(self, count: int = 64) -> tuple[Float[Tensor, "B D"], Int[Tensor, " B"]]:
        """Inputs and labels."""
        labels = torch.randint(0, CLASSES, (count,), generator=self.random)
        noise = torch.randn(count, FEATURES, generator=self.random)
        return self.centres[labels] + self.spread * noise, labels


def network(seed: int, width: int = 64) -> nn.Sequential:
    """Two layers, drawn from `seed`."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(FEATURES, width), nn.ReLU(), nn.Linear(width, CLASSES))


def descend(
    model: nn.Module,
    batch: Callable[[int], tuple[Tensor, Tensor]],
    *,
    rate: float = 0.01,
    rule: type = torch.optim.AdamW,
    loss: Callable = F.cross_entropy,
    others: dict[str, Callable[[nn.Module], Tensor]] | None = None,
    reset: bool = True,
    steps: int = STEPS,
) -> Curves:
    """Train, and record the training loss and the `others` at every step. reset: forget the last gradient first."""
    optimizer = rule([p for p in model.parameters() if p.requires_grad], lr=rate)
    curves = {"training": [], **{name: [] for name in others or {}}}
    for step in range(steps):
        x, y = batch(step)
        value = loss(model(x), y)
        if reset:
            optimizer.zero_grad()
        value.backward()
        optimizer.step()
        curves["training"].append(value.item())
        with torch.no_grad():
            for name, measure in (others or {}).items():
                curves[name].append(measure(model).item())
    return curves


FIRST = "gradient, layer 1"
REPAIRED = "a repaired run"


def first_gradient(model: nn.Sequential) -> Tensor:
    """Its norm, as the last backward pass left it."""
    return model[0].weight.grad.norm()


def healthy(seed: int) -> Curves:
    """What it should look like."""
    task = Task(seed)
    held = task.batch(500)
    return descend(
        network(seed), lambda _: task.batch(), others={"validation": lambda m: F.cross_entropy(m(held[0]), held[1])}
    )


def rate_too_high(seed: int) -> Curves:
    """AdamW with a rate thirty times too high."""
    task = Task(seed)
    return descend(network(seed), lambda _: task.batch(), rate=0.3)


def rate_too_low(seed: int) -> Curves:
    """A thousandth of what it should be."""
    task = Task(seed)
    return descend(network(seed), lambda _: task.batch(), rate=1e-5, others={FIRST: first_gradient})


def not_shuffled(seed: int) -> Curves:
    """Data sorted by class: fifteen steps see class 0 alone, the next fifteen class 1."""
    task = Task(seed)
    pool_x, pool_y = task.batch(STEPS * 32)
    order = pool_y.argsort(stable=True).view(STEPS, 32)
    return descend(network(seed), lambda step: (pool_x[order[step]], pool_y[order[step]]))


def softmax_twice(seed: int) -> Curves:
    """The model gives probabilities to a loss that takes the softmax itself."""
    task = Task(seed, spread=0.3)
    return descend(nn.Sequential(*network(seed), nn.Softmax(dim=-1)), lambda _: task.batch())


def dead_relu(seed: int) -> Curves:
    """A bias of -100 leaves every hidden unit below 0, whatever the input."""
    task, model = Task(seed), network(seed)
    with torch.no_grad():
        model[0].bias.fill_(-100.0)
    return descend(model, lambda _: task.batch(), others={FIRST: first_gradient})


def noisy_labels(seed: int) -> Curves:
    """Four labels of ten are drawn at random; validation labels are clean."""
    task = Task(seed, spread=0.5)
    held = task.batch(500)

    def batch(_: int) -> tuple[Tensor, Tensor]:
        x, y = task.batch(128)
        wrong = torch.rand(len(y), generator=task.random) < 0.4
        return x, torch.where(wrong, torch.randint(0, CLASSES, y.shape, generator=task.random), y)

    return descend(
        network(seed),
        batch,
        others={"accuracy on clean labels": lambda m: (m(held[0]).argmax(1) == held[1]).float().mean()},
    )


def leak(seed: int) -> Curves:
    """Labels that nothing can predict; half of the validation set is in the training set."""
    task = Task(seed)
    x, _ = task.batch(64)
    fresh_x, _ = task.batch(64)
    y, fresh_y = (torch.randint(0, CLASSES, (64,), generator=task.random) for _ in range(2))
    others = {
        "validation": lambda m: F.cross_entropy(m(x[:32]), y[:32]),
        "fresh": lambda m: F.cross_entropy(m(fresh_x), fresh_y),
    }
    return descend(network(seed, width=128), lambda _: (x, y), others=others)


def overfit(seed: int) -> Curves:
    """Sixty-four examples, many times."""
    task = Task(seed, spread=1.8)
    x, y = task.batch(64)
    held = task.batch(500)
    return descend(
        network(seed, width=128),
        lambda _: (x, y),
        others={"validation": lambda m: F.cross_entropy(m(held[0]), held[1])},
    )


def half_precision(seed: int) -> Curves:
    """Activations that grow until a square leaves the range of fp16."""
    task, model = Task(seed), network(seed)
    growth = iter(range(STEPS))

    def loss(logits: Tensor, y: Tensor) -> Tensor:
        scale = 1.05 ** next(growth)  # stands for the growth of activations over a long run
        wide = (logits * scale).half()
        penalty = wide.pow(2).mean().float() / scale**2  # a z-loss, computed in fp16 by mistake
        return F.cross_entropy(logits, y) + 1e-3 * penalty

    return descend(model, lambda _: task.batch(), loss=loss)


def frozen_layer(seed: int) -> Curves:
    """The first layer has 4 units, and they do not train; beside it the same network with all layers training."""
    model, free, curves = network(seed, width=4), network(seed, width=4), []
    model[0].requires_grad_(False)
    for each in (model, free):
        task = Task(seed)
        curves.append(descend(each, lambda _, task=task: task.batch(), rate=0.03)["training"])
    return {"training": curves[0], REPAIRED: curves[1]}


def wrong_normalisation(seed: int) -> Curves:
    """Training data are scaled to unit variance, validation data are not."""
    task = Task(seed)
    held = task.batch(500)
    others = {"validation": lambda m: F.cross_entropy(m(25 * held[0] + 10), held[1])}
    return descend(network(seed), lambda _: task.batch(), others=others)


def no_reset(seed: int) -> Curves:
    """zero_grad is missing: every step adds the gradients of all steps before."""
    task = Task(seed)
    return descend(network(seed), lambda _: task.batch(), rule=torch.optim.SGD, rate=0.1, reset=False)
