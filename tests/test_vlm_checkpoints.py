"""The committed vision-language models reach their figures, and the calls that trained them still do.

To make them anew: `python tests/test_vlm_checkpoints.py` trains three seeds in stages (80 s of CPU each), writes
datasets/checkpoints/vlm_STAGE_SEED.safetensors in bfloat16 and records them in the catalogue.
"""

import pytest
import torch

from course_lib.data.catalogue import DATASETS, record
from course_lib.data.instructions import KINDS, make_instructions
from course_lib.metrics.captions import exact_match
from course_lib.training.vlm import SCRATCH, STAGES, load_vlm, train_staged, train_vlm, training_data
from course_lib.training.vlm_scores import accuracy_by_kind, say, score_captions, score_model, views
from course_lib.training.weights import save_weights

SEEDS = (0, 1, 2)


def new_captions(split="train"):
    return make_instructions(300, seed=77, split=split)


def exact(model, data, view="own"):
    return exact_match(say(model, views(data.images)[view], data.prompts), [[answer] for answer in data.answers])


@pytest.mark.parametrize("seed", SEEDS)
def test_each_stage_reaches_what_it_can(seed):
    """Blind nothing, the projector alone a part, with the decoder nearly all, with everything all."""
    data = new_captions()
    reached = {stage: exact(load_vlm(stage, seed), data) for stage in STAGES}
    assert reached["start"] < 0.02
    assert 0.05 < reached["projector"] < 0.6
    assert reached["decoder"] > 0.8
    assert reached["all"] > 0.95


@pytest.mark.parametrize("seed", SEEDS)
def test_pictures_that_training_never_drew_are_described_as_well(seed):
    """There are 1,600 pictures of one object, so another seed draws many again: a leak that must not matter."""
    drawn = {image.numpy().tobytes() for image in training_data()[0][0]}
    data = new_captions()
    unseen = [row for row, image in enumerate(data.images) if image.numpy().tobytes() not in drawn]
    assert 100 < len(unseen) < 200
    said = say(load_vlm("all", seed), data.images[unseen], [data.prompts[row] for row in unseen])
    assert exact_match(said, [[data.answers[row]] for row in unseen]) > 0.95


@pytest.mark.parametrize("seed", SEEDS)
def test_the_models_look_at_the_image(seed):
    data, model = new_captions(), load_vlm("all", seed)
    for view in ("shuffled", "blank", "grey", "none"):
        assert exact(model, data, view) < 0.03, view


@pytest.mark.parametrize("seed", SEEDS)
def test_questions_are_answered_too(seed):
    data = make_instructions(200, seed=78, kinds=KINDS, questions=2)
    right = accuracy_by_kind(load_vlm("all", seed), data)
    assert set(right) == set(KINDS) and min(right.values()) > 0.85, right


def test_new_pairs_of_known_words_are_much_harder():
    """Every word was seen in training, these colour-shape pairs never."""
    model, data = load_vlm("all", 0), new_captions("test")
    figures = score_captions(say(model, data.images, data.prompts), data)
    assert figures["exact_match"] < 0.6 < exact(model, new_captions())


def test_figures_agree_with_each_other():
    data, model = new_captions(), load_vlm("all", 0)
    own, blank = score_model(model, data), score_model(model, data, view="blank")
    assert own["bleu4"] > 97 and own["chair_i"] <= own["chair_s"] < 0.05 and own["object_recall"] > 0.97
    assert own["pope_random_accuracy"] > 0.9 and own["pope_adversarial_accuracy"] > 0.9
    assert blank["bleu4"] < own["bleu4"] and blank["cider"] < 0.5 * own["cider"]
    assert blank["pope_random_accuracy"] < 0.65


def test_all_at_once_from_nothing_is_learnt_in_part_in_a_quarter_of_the_steps():
    torch.set_num_threads(1)
    _, mixed, _ = training_data(scenes=3000)
    model, history = train_vlm(0, mixed, SCRATCH._replace(steps=400))
    assert history["loss"][0] > 3 and history["loss"][-1] < 0.6
    assert exact(model, new_captions()) > 0.15


def test_checkpoints_stay_small():
    files = list((DATASETS / "checkpoints").glob("vlm_*"))
    assert len(files) == len(SEEDS) * len(STAGES)
    assert sum(path.stat().st_size for path in files) < 3_000_000


if __name__ == "__main__":
    torch.set_num_threads(1)
    for number in SEEDS:
        for stage, trained in train_staged(number, *training_data()).items():
            name = f"checkpoints/vlm_{stage}_{number}.safetensors"
            save_weights(trained.to(torch.bfloat16), DATASETS / name)
            record(
                name,
                rows=1,
                licence="CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/). By Every Answer Runs",
                made_by=f"train_staged({number}, *training_data())[{stage!r}] in bfloat16: "
                "python tests/test_vlm_checkpoints.py, 80 s of CPU a seed",
            )
