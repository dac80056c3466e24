"""`course train vlm --size tiny|small|base`: captions and questions about scenes that are drawn as they are needed.

    size    scenes            model                                    on
    tiny    16 px, 1-2 objects    91 k parameters, 16 patches           a laptop, about a minute
    small   32 px, 1-4 objects    1.7 M parameters, 64 patches          a laptop overnight, or any GPU
    base    64 px, 1-4 objects    51 M parameters, 64 patches           a GPU, or several under torchrun

Reported at the end, or every --evaluate-every steps: exact match of captions and of answers on scenes of other seeds,
tokens a second, MFU where the card's peak is known, memory. Small scenes repeat by chance: in size tiny nearly every
scene of one object is drawn in training too, so new colour-shape pairs (split="test") are the stricter test.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from course_lib.data.instructions import IMAGE_ID, KINDS, Instructions, InstructionStream, make_instructions
from course_lib.models.vlm import IGNORE, VisionLanguageModel
from course_lib.training.config import TrainConfig
from course_lib.training.recipes import Recipe
from course_lib.training.throughput import Throughput
from course_lib.training.vlm import Examples, count_words, instruction_loss, new_vlm


class Size(NamedTuple):
    """Scenes, model and settings that go together."""

    objects: tuple[int, int]
    model: dict[str, int]
    config: TrainConfig


SIZES = {
    "tiny": Size(
        (1, 2),
        {"size": 16, "patch": 4, "width": 48, "depth": 2, "heads": 4},
        TrainConfig(steps=2000, batch_size=64, learning_rate=4e-3, schedule="one_cycle", clip_norm=1.0),
    ),
    "small": Size(
        (1, 4),
        {"size": 32, "patch": 4, "width": 128, "depth": 4, "heads": 4, "expand": 4},
        TrainConfig(steps=8000, batch_size=64, learning_rate=1e-3, schedule="cosine", warmup_steps=200, clip_norm=1.0),
    ),
    "base": Size(
        (1, 4),
        {"size": 64, "patch": 8, "width": 512, "depth": 8, "heads": 8, "expand": 4},
        TrainConfig(
            steps=20000, batch_size=256, learning_rate=3e-4, schedule="cosine", warmup_steps=1000, clip_norm=1.0
        ),
    ),
}


def vlm(seed: int = 0, size: str = "tiny") -> Recipe:
    """Scenes, drawn as they are needed, with their captions and questions."""
    if size not in SIZES:
        raise ValueError(f"size {size!r} is none of {tuple(SIZES)}")
    chosen = SIZES[size]
    stream = InstructionStream(seed=seed, objects=chosen.objects, size=chosen.model["size"])
    model = new_vlm(seed, **chosen.model)
    loss = Throughput(instruction_loss, lambda batch: _positions(model, batch), lambda batch: flops(model, batch))
    held_out = {
        "exact_match": make_instructions(200, seed=1001, objects=chosen.objects, size=stream.size),
        "answers": make_instructions(200, seed=1002, kinds=KINDS[1:], objects=chosen.objects, size=stream.size),
    }
    return Recipe(model, stream, loss, chosen.config, _measure(held_out, loss), count_words)


def said_exactly(model: nn.Module, data: Examples) -> Bool[Tensor, " B"]:
    """Whether greedy generation would say each answer word for word, <eos> included, from one forward pass.

    Generation follows the reference as long as every next word is the likeliest one, and that is what a pass over
    prompt and reference shows. It calls only `model(...)`, so it works on sharded weights too.
    """
    images, ids, labels = data[:3]
    scores = model(images, ids).at_words()[:, :-1]
    scores = scores.index_fill(-1, torch.tensor(IMAGE_ID, device=scores.device), float("-inf"))  # read, never said
    predicted = scores.argmax(dim=-1)
    return ((predicted == labels[:, 1:]) | (labels[:, 1:] == IGNORE)).all(dim=1)


def flops(model: VisionLanguageModel, batch: Examples) -> float:
    """Floating-point operations of a batch, forward and backward: 6 a matrix weight and position, 12 a pair and width.

    What is no matrix product is left out (lookups, biases, norms); causal attention counts as if it were full.
    """
    patches, length = model.patches, _positions(model, batch) // len(batch[0])
    tables = {"vision.positions", "decoder.embed.weight", "decoder.positions.weight"}
    matrices = {n: p.numel() for n, p in model.named_parameters() if p.dim() >= 2 and n not in tables}
    per_word = sum(count for name, count in matrices.items() if name.startswith("decoder."))
    per_patch = sum(matrices.values()) - per_word
    pairs = len(model.vision.blocks) * patches**2 * model.vision.width
    pairs += len(model.decoder.blocks) * length**2 * model.decoder.embed.embedding_dim
    return len(batch[0]) * (6.0 * (per_patch * patches + per_word * length) + 12.0 * pairs)


def _positions(model: VisionLanguageModel, batch: Examples) -> int:
    """Positions that the decoder reads in a batch, padding included."""
    return batch[1].shape[0] * (batch[1].shape[1] - 1 + model.patches)


def _measure(held_out: dict[str, Instructions], loss: Throughput) -> Callable[[nn.Module], dict[str, float]]:
    def evaluate(model: nn.Module) -> dict[str, float]:
        found, device = loss.figures(), next(model.parameters()).device
        for name, data in held_out.items():
            right = said_exactly(model, tuple(part.to(device) for part in data[:3]))
            found[name] = float(right.float().mean())
        return found

    return evaluate
