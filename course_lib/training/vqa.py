"""Train the small question-answering transformer of course_lib/models/vqa.py, or load one that was trained before.

The committed ones differ in what they were taught:

    scenes     the colour questions of 6,000 scenes, 1,000 steps
    few        those of 300 scenes, 528 questions, known by heart after 1,500 steps
    shuffled   the same 528 questions with their answers dealt out anew, known by heart as well

tests/test_vqa_checkpoints.py makes them.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from course_lib.data.catalogue import find
from course_lib.data.scene_language import ENGLISH
from course_lib.data.scene_questions import ANSWERS
from course_lib.models.vqa import VqaTransformer
from course_lib.training.config import TrainConfig
from course_lib.training.loop import fit
from course_lib.training.weights import load_weights

TAUGHT = ("scenes", "few", "shuffled")


def answer_loss(model: VqaTransformer, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Cross-entropy of (image, question, answer); log(5) is chance."""
    image, ids, answers = batch
    return functional.cross_entropy(model(image, ids).logits, answers)


def train_vqa(
    images: Float[Tensor, "B 3 height width"],
    ids: Int[Tensor, "B T"],
    answers: Int[Tensor, " B"],
    *,
    seed: int,
    steps: int = 1000,
    learning_rate: float = 3e-3,
) -> VqaTransformer:
    """A new model, frozen and in eval mode; 1,000 steps take 20 s of CPU."""
    torch.manual_seed(seed)
    model = VqaTransformer(len(ENGLISH), len(ANSWERS))
    config = TrainConfig(
        steps=steps, learning_rate=learning_rate, schedule="one_cycle", precision="fp32", progress="none", seed=seed
    )
    fit(model, (images, ids, answers), answer_loss, config)
    return model.eval().requires_grad_(False)


def load_vqa(seed: int, *, taught: str = "scenes") -> VqaTransformer:
    """A committed model, frozen and in eval mode. seed: 0, 1 or 2. taught: one of TAUGHT."""
    if taught not in TAUGHT or seed not in (0, 1, 2):
        raise ValueError(f"no model taught {taught!r} with seed {seed}; there are {TAUGHT}, each with seeds 0, 1, 2")
    model = VqaTransformer(len(ENGLISH), len(ANSWERS))
    load_weights(model, find(f"checkpoints/vqa_{taught}_{seed}.safetensors"))
    return model.eval().requires_grad_(False)
