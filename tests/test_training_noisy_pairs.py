"""Towers on pairs of which some are wrong: what is exchanged, and which weights come back."""

import pytest
import torch

from course_lib.data.scene_pairs import scene_pairs
from course_lib.training.noisy_pairs import exchange_captions, train_towers

VALIDATION = scene_pairs(100, seed=998)


def test_exactly_the_share_has_the_caption_of_another():
    pairs = scene_pairs(200, seed=0)
    noisy, wrong = exchange_captions(pairs, 0.3, seed=1)
    assert wrong.sum() == 60 and torch.equal(noisy.image, pairs.image)
    assert torch.equal(noisy.text[~wrong], pairs.text[~wrong])
    number = torch.arange(200.0)[:, None]
    moved, wrong = exchange_captions(pairs._replace(text=number), 0.3, seed=1)
    assert torch.equal(moved.text[:, 0] != number[:, 0], wrong)
    assert torch.equal(moved.text[wrong].sort(dim=0).values, number[wrong]), "no caption is lost or doubled"


@pytest.mark.parametrize("share", [-0.1, 1.1, 0.005])
def test_a_share_that_cannot_be_exchanged_is_refused(share):
    with pytest.raises(ValueError, match="0 to 1, and none or two pairs"):
        exchange_captions(scene_pairs(200, seed=0), share, seed=0)


def test_best_and_last_are_the_steps_they_say():
    pairs, _ = exchange_captions(scene_pairs(400, seed=0), 0.5, seed=0)
    run = train_towers(pairs, VALIDATION, steps=60, seed=0, every=10)
    assert list(run.steps) == [10, 20, 30, 40, 50, 60]
    assert run.best.recall_at_1(VALIDATION) == max(run.curve) == run.curve[run.steps.index(run.step)]
    assert run.last.recall_at_1(VALIDATION) == run.curve[-1]


def test_the_score_is_the_cosine_of_a_pair():
    run = train_towers(scene_pairs(400, seed=0), VALIDATION, steps=30, seed=0)
    score = run.last.score(VALIDATION)
    image, text, _ = run.last(*VALIDATION)
    torch.testing.assert_close(score, torch.cosine_similarity(image, text).detach())
    assert score.mean() > run.last.score(VALIDATION._replace(text=VALIDATION.text.roll(1, 0))).mean()
