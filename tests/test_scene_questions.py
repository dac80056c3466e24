"""Colour questions: the asked pixels have the colour of the answer, and the drawn ones are those that are not black."""

import pytest
import torch

from course_lib.data.scene_language import ENGLISH
from course_lib.data.scene_questions import ANSWERS, make_colour_questions
from course_lib.data.scenes import make_scenes
from course_lib.data.shapes import COLOURS


def test_the_asked_pixels_have_the_colour_of_the_answer():
    found = make_colour_questions(40, seed=5, objects=(2, 4), size=24)
    for image, answer, asked in zip(found.images, found.answers, found.asked, strict=True):
        pixels = (image[:, asked] * 255).round().T.unique(dim=0)
        assert pixels.tolist() == [list(map(float, COLOURS[ANSWERS[answer]]))]


def test_drawn_pixels_are_those_that_are_not_black_and_hold_the_asked_ones():
    found = make_colour_questions(40, seed=5)
    assert torch.equal(found.drawn, (found.images > 0).any(dim=1))
    assert not (found.asked & ~found.drawn).any().item() and (found.asked != found.drawn).any(dim=(1, 2)).all().item()


def test_the_colour_of_a_random_drawn_pixel_is_right_in_about_half():
    found = make_colour_questions(1000, seed=7)
    right = []
    for image, answer, drawn in zip(found.images, found.answers, found.drawn, strict=True):
        pixels = (image[:, drawn] * 255).round().T
        right.append((pixels == torch.tensor(COLOURS[ANSWERS[answer]]).float()).all(dim=1).float().mean().item())
    assert abs(sum(right) / len(right) - 0.53) < 0.03


def test_every_colour_question_of_the_scenes_is_there_and_no_other():
    found = make_colour_questions(30, seed=6, objects=(1, 4), split="test")
    scenes = make_scenes(30, seed=6, objects=(1, 4), split="test")
    texts = [question.text for each in scenes.questions for question in each if question.kind == "colour"]
    assert [ENGLISH.decode(ids) for ids in found.ids] == texts
    assert found.ids.shape == (len(texts), 8) and found.images.shape == (len(texts), 3, 16, 16)


def test_scenes_without_a_question_are_refused():
    twins = next(
        seed
        for seed in range(500)
        if all(q.kind != "colour" for q in make_scenes(1, seed=seed, objects=(2, 2)).questions[0])
    )
    with pytest.raises(ValueError, match="allow no colour question"):
        make_colour_questions(1, seed=twins, objects=(2, 2))
