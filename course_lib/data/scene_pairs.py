"""Scenes and their captions as plain vectors, for two-tower models that are small enough to train in a second.

Axis letters are those of course_lib/__init__.py (B batch, V vocabulary); L is the longest caption in words.
"""

from typing import NamedTuple

from jaxtyping import Float32
from torch import Tensor
from torch.nn import functional

from course_lib.data.scene_language import ENGLISH
from course_lib.data.scenes import make_scenes

LONGEST = {1: 7, 2: 13, 3: 19, 4: 25}
"""Objects in a scene to tokens of its caption, <bos> and <eos> included: five words an object, "and" between."""


class ScenePairs(NamedTuple):
    """Row b of both belongs together."""

    image: Float32[Tensor, "B pixels"]
    """Red, green, blue in [0, 1] of every pixel: 3 · 16 · 16 = 768 numbers."""
    text: Float32[Tensor, "B words"]
    """One-hot, place by place: L · V numbers, zeros and ones. Places count, so word order is not lost."""


def scene_pairs(
    count: int, *, seed: int, objects: tuple[int, int] = (2, 3), split: str = "train", most: int = 3
) -> ScenePairs:
    """Draw scenes and flatten them. seed, objects, split: as in `make_scenes`.

    most: captions are padded to that many objects, so that batches with fewer have the same width.
    """
    if most not in LONGEST:
        raise ValueError(f"most={most} does not fit; a scene holds {min(LONGEST)} to {max(LONGEST)} objects")
    if objects[1] > most:
        raise ValueError(f"objects {objects} needs more room than most={most}; give most={objects[1]}")
    scenes = make_scenes(count, seed=seed, objects=objects, split=split)
    ids = ENGLISH.encode_batch(scenes.captions, length=LONGEST[most])
    words = functional.one_hot(ids, len(ENGLISH)).float()
    return ScenePairs(scenes.images.flatten(start_dim=1), words.flatten(start_dim=1))
