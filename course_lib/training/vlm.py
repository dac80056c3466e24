"""Train the tiny vision-language model: all at once, or in LLaVA's two stages on parts that were trained before.

    start       vision learns from pairs (CLIP), the decoder from text alone; the projector knows nothing
    projector   LLaVA's stage 1: only the projector learns, on captions
    decoder     LLaVA's stage 2: projector and decoder learn, on captions and questions
    all         the vision transformer as well, on the same data

A stage is `fit` with the other parts frozen by requires_grad. Liu et al. (2023, arXiv:2304.08485).
"""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_lib.data.catalogue import find
from course_lib.data.instructions import IMAGE_ID, KINDS, WORDS, Instructions, encode_prompts, make_instructions
from course_lib.models.generation import check_range
from course_lib.models.transformer import Decoder, VisionTransformer
from course_lib.models.vlm import IGNORE, VisionLanguageModel, answer_loss, make_vlm, splice_labels, train_only
from course_lib.training.config import TrainConfig
from course_lib.training.history import History
from course_lib.training.loop import fit
from course_lib.training.recipes import TwoTower, contrast
from course_lib.training.weights import load_weights

STAGES = ("start", "projector", "decoder", "all")
Examples = tuple[Tensor, Tensor, Tensor]
"""Images, ids, labels: the first three parts of `make_instructions`."""


class Schedule(NamedTuple):
    """How long and how fast a stage learns."""

    steps: int
    learning_rate: float
    batch_size: int = 64


VISION, LANGUAGE = Schedule(800, 3e-3, 128), Schedule(400, 4e-3)
PROJECTOR, DECODER, ALL = Schedule(500, 5e-3), Schedule(1500, 4e-3), Schedule(1000, 2e-3)
SCRATCH = Schedule(1500, 4e-3)


def instruction_loss(model: nn.Module, batch: Examples) -> Tensor:
    """Cross-entropy in nats per word of the answers; log(V) is chance."""
    images, ids, labels = batch
    said = model(images, ids)
    return answer_loss(said.logits, splice_labels(labels, ids, IMAGE_ID, said.logits.shape[1] - ids.shape[1] + 1))


def blind_loss(model: nn.Module, batch: Examples) -> Tensor:
    """The same without the image: what language alone can know."""
    _, ids, labels = batch
    said = model(None, ids)
    return answer_loss(said.logits, splice_labels(labels, ids, IMAGE_ID, said.logits.shape[1] - ids.shape[1] + 1))


def count_words(batch: Examples) -> Tensor:
    """Words that the loss is a mean over: `weigh` of `fit`."""
    return (batch[2][:, 1:] != IGNORE).sum()


def new_vlm(seed: int, **sizes: int) -> VisionLanguageModel:
    """A model over the words of `instructions`, its weights drawn from `seed`; sizes as in `make_vlm`."""
    torch.manual_seed(seed)
    return make_vlm(len(WORDS), IMAGE_ID, **sizes)


def load_vlm(stage: str, seed: int = 0) -> VisionLanguageModel:
    """A committed model in eval mode. stage: one of STAGES. seed: 0, 1 or 2."""
    if stage not in STAGES:
        raise ValueError(f"stage {stage!r} is none of {STAGES}")
    model = new_vlm(seed)
    load_weights(model, find(f"checkpoints/vlm_{stage}_{seed}.safetensors"))
    return model.eval()


def train_vlm(
    seed: int, data: Examples | Instructions, schedule: Schedule = SCRATCH
) -> tuple[VisionLanguageModel, History]:
    """All three parts from nothing, on one data set."""
    model = new_vlm(seed)
    return model, train_part(model, data, schedule, model)


def train_part(
    model: VisionLanguageModel,
    data: Examples | Instructions,
    schedule: Schedule,
    *parts: nn.Module,
    blind: bool = False,
) -> History:
    """One stage: freeze all but `parts`, fit them, leave the model in eval mode with everything thawed again."""
    check_range(data[0])
    train_only(model, *parts)
    loss = blind_loss if blind else instruction_loss
    history = fit(model, tuple(data[:3]), loss, _config(schedule), weigh=count_words)
    train_only(model, model)
    model.eval()
    return history


def train_staged(seed: int, captions: Examples, mixed: Examples, pairs: list[str]) -> dict[str, VisionLanguageModel]:
    """The model after each of STAGES.

    captions: for stage 1. mixed: captions and questions, for the rest. pairs: the captions as text, row by row.
    """
    model = new_vlm(seed)
    pretrain_vision(model, captions[0], pairs, seed)
    train_part(model, mixed, LANGUAGE, model.decoder, blind=True)
    after = {"start": copy.deepcopy(model)}
    stages = {
        "projector": (captions, PROJECTOR, (model.projector,)),
        "decoder": (mixed, DECODER, (model.projector, model.decoder)),
        "all": (mixed, ALL, (model,)),
    }
    for stage, (data, schedule, parts) in stages.items():
        train_part(model, data, schedule, *parts)
        after[stage] = copy.deepcopy(model)
    return after


def pretrain_vision(model: VisionLanguageModel, images: Tensor, captions: list[str], seed: int) -> History:
    """Teach the vision transformer which caption is whose, as CLIP does; the text tower is thrown away afterwards."""
    vision, words = model.vision, encode_prompts(captions)
    width, depth, heads = vision.width, len(vision.blocks), vision.blocks[0].heads
    torch.manual_seed(seed)
    expand = vision.blocks[0].mlp[0].out_features // width
    tower = VisionTransformer(vision.side, vision.patch, 3, width, depth, heads, outputs=width, expand=expand)
    text = Decoder(len(WORDS), words.shape[1], width, depth, heads, outputs=width, expand=expand)
    both = TwoTower(tower, text)
    history = fit(both, (images, words), contrast, _config(VISION))
    kept = {name: value for name, value in tower.state_dict().items() if not name.startswith(("norm.", "head."))}
    vision.load_state_dict(kept)
    return history


def training_data(seed: int = 1, scenes: int = 8000) -> tuple[Examples, Examples, list[str]]:
    """What the committed models have learnt from: captions, captions with questions, and the captions as text."""
    mixed = make_instructions(scenes, seed=seed, kinds=KINDS, questions=2)
    rows = torch.tensor([number for number, kind in enumerate(mixed.kinds) if kind == "caption"])
    captions = tuple(part[rows] for part in mixed[:3])
    return captions, mixed[:3], mixed.drawn.captions


def _config(schedule: Schedule) -> TrainConfig:
    return TrainConfig(
        steps=schedule.steps,
        batch_size=schedule.batch_size,
        learning_rate=schedule.learning_rate,
        schedule="one_cycle",
        clip_norm=1.0,
        precision="fp32",
        progress="none",
    )
