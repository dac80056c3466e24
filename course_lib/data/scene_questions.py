"""Colour questions about scenes as tensors: image, question, answer, and the pixels that the answer is about.

The pixels are what makes explanations testable here: of a photograph nobody knows where the answer stands, of a scene
everybody does. Axis letters are those of course_lib/__init__.py.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float32, Int
from torch import Tensor

from course_lib.data.scene_language import ENGLISH
from course_lib.data.scenes import make_scenes
from course_lib.data.shapes import COLOURS

ANSWERS = tuple(COLOURS)
"""The five answers; their places are the class indices."""


class ColourQuestions(NamedTuple):
    """Questions of the form "what colour is the ring?", each part in the same order."""

    images: Float32[Tensor, "B 3 height width"]
    ids: Int[Tensor, "B T"]
    """<bos> what colour is the ring ? <eos>, in the ids of ENGLISH; all questions have the same length."""
    answers: Int[Tensor, " B"]
    """Index in ANSWERS."""
    asked: Bool[Tensor, "B height width"]
    """The pixels of the object asked for: the only ones that hold the answer."""
    drawn: Bool[Tensor, "B height width"]
    """The pixels of all objects: the others tell which shape is where, but not the colour."""


def make_colour_questions(
    count: int, *, seed: int, objects: tuple[int, int] = (2, 3), split: str = "train", size: int = 16
) -> ColourQuestions:
    """Every colour question that `count` random scenes allow; arguments as those of `make_scenes`.

    A scene allows one for each shape that it holds once, so there are about 1.7 questions a scene of 2 or 3 objects.
    Chance is 1 in 5; naming the colour of a random drawn pixel is right in about half, since objects may share one.
    """
    scenes = make_scenes(count, seed=seed, objects=objects, split=split, size=size)
    rows, texts, answers, asked = [], [], [], []
    for number, (scene, questions) in enumerate(zip(scenes.scenes, scenes.questions, strict=True)):
        shapes = [each.shape for each in scene.objects]
        for question in questions:
            if question.kind == "colour":
                shape = question.text.removeprefix("what colour is the ").removesuffix("?")
                rows.append(number)
                texts.append(question.text)
                answers.append(ANSWERS.index(question.answer))
                asked.append(scenes.masks[number, shapes.index(shape)])
    if len(rows) == 0:
        raise ValueError(f"{count} scenes allow no colour question: every shape occurs twice; draw more scenes")
    drawn = scenes.masks.any(dim=1)[rows]
    return ColourQuestions(
        scenes.images[rows], ENGLISH.encode_batch(texts), torch.tensor(answers), torch.stack(asked), drawn
    )
