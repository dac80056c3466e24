"""Two hidden symbols, seen through two modalities: the smallest world in which fusion can fail.

Each example hides an image symbol and a text symbol. A modality shows its symbol as a prototype vector plus noise, and
the label is a rule of the two symbols. So what one modality alone can know is arithmetic, not opinion: nothing for XOR,
three answers in four for AND, everything for "copy".
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from course_lib import refuse

RULES = {
    "xor": lambda image, text: image ^ text,
    "and": lambda image, text: image & text,
    "or": lambda image, text: image | text,
    "copy": lambda image, text: image,
}
PROTOTYPE_SEED = 99
"""Prototypes are the world, not the sample: they stay the same for every seed, or train and test would not match."""


class SymbolPairs(NamedTuple):
    """Examples of one rule."""

    image: Float[Tensor, "B D"]
    text: Float[Tensor, "B D"]
    label: Int[Tensor, " B"]
    image_symbol: Int[Tensor, " B"]
    text_symbol: Int[Tensor, " B"]


def make_symbol_pairs(count: int, *, rule: str, seed: int, noise: float = 0.6, width: int = 16) -> SymbolPairs:
    """Draw `count` pairs of bits, render each as a noisy vector, label the pair by `rule`.

    rule: "xor", "and", "or", or "copy" (both modalities show the same bit, which is the label).
    noise: standard deviation per feature; the two prototypes of a modality are drawn with standard deviation 1.
    """
    if rule not in RULES:
        raise ValueError(f"rule {rule!r} is unknown; choose from {list(RULES)}")
    refuse.outside(1, math.inf, count=count, width=width)
    refuse.outside(0, math.inf, noise=noise)
    generator = torch.Generator().manual_seed(seed)
    image_symbol, text_symbol = torch.randint(0, 2, (2, count), generator=generator)
    if rule == "copy":
        text_symbol = image_symbol
    world = torch.Generator().manual_seed(PROTOTYPE_SEED)
    image_prototypes, text_prototypes = torch.randn(2, 2, width, generator=world)
    image_noise, text_noise = noise * torch.randn(2, count, width, generator=generator)
    return SymbolPairs(
        image=image_prototypes[image_symbol] + image_noise,
        text=text_prototypes[text_symbol] + text_noise,
        label=RULES[rule](image_symbol, text_symbol),
        image_symbol=image_symbol,
        text_symbol=text_symbol,
    )


def make_matching_pairs(count: int, *, things: int, seed: int, noise: float = 0.2) -> SymbolPairs:
    """Image and text each show one of `things` as a noisy one-hot vector (D = things); label 1: both show the same.

    Half of the texts are copied from the image; of the rest one in `things` matches by luck. This is image-text
    matching with everything but the matching taken away.
    """
    if things < 2:
        raise ValueError(f"{things} things leave nothing to tell apart; try 2 or more")
    refuse.outside(1, math.inf, count=count)
    refuse.outside(0, math.inf, noise=noise)
    generator = torch.Generator().manual_seed(seed)
    image_symbol, other = torch.randint(0, things, (2, count), generator=generator)
    text_symbol = torch.where(torch.rand(count, generator=generator) < 0.5, image_symbol, other)
    image_noise, text_noise = noise * torch.randn(2, count, things, generator=generator)
    return SymbolPairs(
        image=one_hot(image_symbol, things) + image_noise,
        text=one_hot(text_symbol, things) + text_noise,
        label=(image_symbol == text_symbol).long(),
        image_symbol=image_symbol,
        text_symbol=text_symbol,
    )
