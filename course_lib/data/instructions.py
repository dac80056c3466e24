"""Prompts with their answers about scenes, as ids and labels: captions and questions in one form.

    ids     <bos> <image> describe . small red square top left <eos>
    labels  -100  -100    -100     -100  small red square top left <eos>

A label is the id itself, not the next one; the loss shifts by one. Axis letters are those of course_lib/__init__.py.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float32, Int
from torch import Tensor
from torch.utils.data import Dataset

from course_lib import refuse
from course_lib.data.scene_language import ENGLISH
from course_lib.data.scenes import Scenes, make_scenes
from course_lib.data.shapes import COLOURS, SHAPES, Scene
from course_lib.data.vocabulary import Vocabulary

IMAGE = "<image>"
WORDS = Vocabulary((*ENGLISH.words, IMAGE, "describe", "."))
"""The words of the scenes and those of the prompts; the ids of ENGLISH stay what they are."""
IMAGE_ID = WORDS.tokens.index(IMAGE)
DESCRIBE = f"{IMAGE} describe."
"""The prompt for a caption; a question comes as '<image> what colour is the ring?'."""
KINDS = ("caption", "colour", "count", "exists", "relation")
IGNORE = -100


class Instructions(NamedTuple):
    """Prompts and answers, each part in the same order; the first three are what `fit` takes as data."""

    images: Float32[Tensor, "B 3 height width"]
    ids: Int[Tensor, "B T"]
    """<bos>, the prompt with one <image>, the answer, <eos>, then <pad>."""
    labels: Int[Tensor, "B T"]
    """The ids of answer and <eos>; -100 elsewhere."""
    prompts: list[str]
    answers: list[str]
    kinds: list[str]
    """One of KINDS."""
    rows: list[int]
    """Number of the scene."""
    drawn: Scenes
    """The scenes themselves, with masks."""


def make_instructions(
    count: int,
    *,
    seed: int,
    kinds: tuple[str, ...] = ("caption",),
    questions: int = 1,
    objects: tuple[int, int] = (1, 2),
    split: str = "train",
    size: int = 16,
    length: int | None = None,
    together: float = 0.0,
) -> Instructions:
    """Draw `count` scenes and ask about each; seed, objects, split, size and together as in `make_scenes`.

    kinds: "caption" asks each scene for a description. Of the question kinds named, each scene is asked up to
        `questions` of those it allows, drawn by the seed.
    length: T; by default that of the longest example.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or len(kinds) == 0:
        raise ValueError(f"kinds {unknown or kinds} does not fit; choose some of {KINDS}")
    refuse.outside(0, math.inf, questions=questions)
    drawn = make_scenes(count, seed=seed, objects=objects, split=split, size=size, together=together)
    generator = torch.Generator().manual_seed(seed)
    rows, prompts, answers, asked = [], [], [], []
    for row, (caption, every) in enumerate(zip(drawn.captions, drawn.questions, strict=True)):
        fitting = [q for q in every if q.kind in kinds]
        chosen = torch.randperm(len(fitting), generator=generator)[:questions].tolist()
        about = [(DESCRIBE, caption, "caption")] if "caption" in kinds else []
        about += [(question_prompt(q.text), q.answer, q.kind) for q in (fitting[k] for k in chosen)]
        for prompt, answer, kind in about:
            rows.append(row)
            prompts.append(prompt)
            answers.append(answer)
            asked.append(kind)
    if len(rows) == 0:
        raise ValueError(f"{count} scenes allow no question of {kinds}; draw more scenes or add kinds")
    ids, labels = encode_examples(prompts, answers, length=length)
    return Instructions(drawn.images[rows], ids, labels, prompts, answers, asked, rows, drawn)


def question_prompt(question: str) -> str:
    """'what colour is the ring?' -> '<image> what colour is the ring?'"""
    return f"{IMAGE} {question}"


@refuse.misfit
def encode_prompts(prompts: list[str]) -> Int[Tensor, "B T"]:
    """<bos> and the prompt, padded on the left so that every row ends where its answer begins."""
    refuse.empty(prompts=prompts)
    rows = [WORDS.encode(prompt)[:-1] for prompt in prompts]
    longest = max(map(len, rows))
    return torch.tensor([[WORDS.PAD] * (longest - len(row)) + row for row in rows])


@refuse.misfit
def encode_examples(
    prompts: list[str], answers: list[str], *, length: int | None = None
) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]:
    """Ids and labels of prompts followed by their answers; unknown words are refused with the list of known ones."""
    refuse.empty(prompts=prompts)
    refuse.uneven(prompts=prompts, answers=answers)
    starts = [len(WORDS.encode(prompt)) - 1 for prompt in prompts]
    ids = WORDS.encode_batch([f"{p} {a}" for p, a in zip(prompts, answers, strict=True)], length=length)
    is_answer = torch.arange(ids.shape[1]) >= torch.tensor(starts)[:, None]
    return ids, ids.masked_fill(~is_answer | (ids == WORDS.PAD), IGNORE)


def mentioned(caption: str) -> list[str]:
    """The objects that a caption names, as 'red square', in its order and as often as it names them."""
    words = caption.split()
    pairs = zip(words, words[1:], strict=False)
    return [f"{colour} {shape}" for colour, shape in pairs if colour in COLOURS and shape in SHAPES]


def present(scene: Scene) -> set[str]:
    """The objects that a scene shows, as 'red square'."""
    return {f"{each.colour} {each.shape}" for each in scene.objects}


class InstructionStream(Dataset):
    """Examples drawn when they are asked for: nothing is stored, and each of 2^20 rows is drawn from a seed of its own.

    Example `row` is a function of `seed` and `row` alone, so a run can be shuffled, shared by processes and resumed.
    Even rows ask for a caption, odd ones a question. An item is (image, ids, labels), all of one length. Scenes may
    repeat by chance, and small ones do: there are 1,600 pictures of one object at 16 pixels.

    objects, size: as in `make_scenes`. seed: 0 to 4094; make_scenes with a seed below 2^20 draws from other seeds.
    """

    def __init__(self, *, seed: int = 0, objects: tuple[int, int] = (1, 4), size: int = 64) -> None:
        if not 0 <= seed <= 4094:
            raise ValueError(f"seed {seed} does not fit; a stream takes 0 to 4094")
        self.seed, self.objects, self.size = seed, objects, size
        self.length = max(16, 6 * objects[1] + 4)  # <bos> <image> describe . six words an object but one, <eos>

    def __len__(self) -> int:
        return 2**20

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor, Tensor]:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} is outside 0 to {len(self) - 1}")
        kinds = ("caption",) if row % 2 == 0 else KINDS[1:]
        drawn = make_instructions(
            1,
            seed=(1 + self.seed) * len(self) + row,
            kinds=kinds,
            objects=self.objects,
            size=self.size,
            length=self.length,
        )
        return drawn.images[0], drawn.ids[0], drawn.labels[0]
