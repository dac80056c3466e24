"""The committed question-answering checkpoints answer, and the call that trained them still does.

To make them anew: `python tests/test_vqa_checkpoints.py` writes datasets/checkpoints/ and records it in the catalogue.
"""

import pytest
import torch
from torch.nn import functional as F

from course_lib.data.catalogue import DATASETS, find, record
from course_lib.data.scene_language import ENGLISH
from course_lib.data.scene_questions import ANSWERS, make_colour_questions
from course_lib.models.vqa import VqaTransformer
from course_lib.training.config import TrainConfig
from course_lib.training.loop import fit
from course_lib.training.weights import load_weights, save_weights

SEEDS = (0, 1, 2)


def train_vqa(seed, steps=1000, scenes=6000):
    """20 s of CPU on one thread."""
    data = make_colour_questions(scenes, seed=1)
    torch.manual_seed(seed)
    model = VqaTransformer(len(ENGLISH), len(ANSWERS))
    config = TrainConfig(
        steps=steps, learning_rate=3e-3, schedule="one_cycle", precision="fp32", progress="none", seed=seed
    )
    fit(model, data[:3], lambda model, batch: F.cross_entropy(model(*batch[:2]).logits, batch[2]), config)
    return model.eval()


def accuracy_of(model):
    new = make_colour_questions(300, seed=77)
    with torch.no_grad():
        return (model(new.images, new.ids).logits.argmax(dim=1) == new.answers).float().mean().item()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_committed_checkpoint_answers_new_questions(seed):
    model = VqaTransformer(len(ENGLISH), len(ANSWERS)).eval()
    load_weights(model, find(f"checkpoints/vqa_scenes_{seed}.safetensors"))
    assert accuracy_of(model) > 0.88


def test_the_call_that_made_them_learns_from_scratch():
    """A shorter run: far above the 0.42 of naming the colour of any object, on its way to the 0.93 of 1,000 steps."""
    assert accuracy_of(train_vqa(0, steps=500, scenes=4000)) > 0.7


def test_checkpoints_stay_small():
    assert sum(path.stat().st_size for path in (DATASETS / "checkpoints").iterdir()) < 2_000_000


if __name__ == "__main__":
    for number in SEEDS:
        name = f"checkpoints/vqa_scenes_{number}.safetensors"
        save_weights(train_vqa(number), DATASETS / name)
        record(
            name,
            rows=1,
            licence="CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/). By Every Answer Runs",
            made_by=f"train_vqa(seed={number}): python tests/test_vqa_checkpoints.py, 20 s of CPU",
        )
