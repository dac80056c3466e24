"""Patients and remedies: what a draw holds, what a remedy does to a batch, and that a treatment trains."""

import pytest
import torch

from course_lib.data.digits import TRAIN_IMAGES
from course_lib.training.recipes import digits
from course_lib.training.remedies import DRAWS, Patient, Treated, examine, noise, prepare, right, treat


def test_draws_differ_and_no_validation_digit_is_trained_on():
    data = examine(Patient(labels=500))
    train, validation = (data[part][0].flatten(2) for part in ("train", "validation"))
    assert train.shape == (DRAWS, 500, 64) and validation.shape == (DRAWS, 200, 64)
    assert not torch.equal(train[0], train[1])
    for draw in range(DRAWS):
        assert torch.cdist(train[draw], validation[draw]).min() > 0


def test_test_digits_come_from_writers_that_training_never_saw():
    (_, _), (test, label) = digits()
    data = examine(Patient(labels=100))
    assert len(label) == 1797 - TRAIN_IMAGES
    for draw in range(DRAWS):
        assert torch.equal(data["test"][0][draw], test[:, 0]) and torch.equal(data["test"][1][draw], label)


def test_more_labels_keep_the_first_ones():
    few, many = (examine(Patient(labels=100, wrong=0.3), more)["train"] for more in (1.0, 2.0))
    assert many[1].shape == (DRAWS, 200)
    assert torch.equal(many[0][:, :100], few[0]) and torch.equal(many[1][:, :100], few[1])


def test_wrong_labels_stand_in_training_and_validation_and_not_in_the_test():
    clean, spoilt = examine(Patient(labels=1000)), examine(Patient(labels=1000, wrong=0.5))
    for part, due in (("train", 0.45), ("validation", 0.45), ("test", 0.0)):  # one random digit in ten is right
        share = (clean[part][1] != spoilt[part][1]).float().mean().item()
        assert share == pytest.approx(due, abs=0.05)
    assert torch.equal(clean["train"][0], spoilt["train"][0])


def test_a_moved_camera_moves_the_test_alone():
    still, moves = examine(Patient(labels=50)), examine(Patient(labels=50, moves=True))
    assert torch.equal(still["train"][0], moves["train"][0])
    assert not torch.equal(still["test"][0], moves["test"][0])


def batch(copies=3, rows=6):
    random = torch.Generator().manual_seed(0)
    images = torch.rand(copies, rows, 8, 8, generator=random)
    return images, torch.randint(10, (copies, rows), generator=random), random


def test_nothing_leaves_images_and_one_hot_targets():
    images, labels, random = batch()
    got, target = prepare(images, labels, random)
    assert got is images and torch.equal(target.argmax(-1), labels) and torch.equal(target.sum(-1), torch.ones(3, 6))


def test_smoothing_is_torchs():
    images, labels, random = batch()
    _, target = prepare(images, labels, random, smoothing=0.2)
    logits = torch.randn(3, 6, 10)
    ours = -(target * logits.log_softmax(-1)).sum(-1).mean()
    theirs = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), label_smoothing=0.2)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("mix_labels", [True, False])
def test_mixup_blends_within_a_copy_and_the_labels_with_the_images(mix_labels):
    images, labels, random = batch()
    images = labels[:, :, None, None].float().expand(3, 6, 8, 8)  # a picture says its digit
    got, target = prepare(images, labels, random, alpha=1.0, mix_labels=mix_labels)
    assert not torch.equal(got, images)
    said = (target * torch.arange(10.0)).sum(-1)  # the blend of two digits, as the labels tell it
    assert torch.allclose(said, got[..., 0, 0], atol=1e-5) == mix_labels


def test_noise_has_the_size_it_says():
    got = noise(0.3)(torch.zeros(50, 40, 8, 8), torch.Generator().manual_seed(0))
    assert got.std().item() == pytest.approx(0.3, rel=0.02)


def test_right_counts_hits_per_copy():
    scores = torch.tensor([[[0.1, 0.9], [0.8, 0.2]], [[0.1, 0.9], [0.2, 0.8]]])
    assert right(scores, torch.tensor([[1, 1], [1, 1]])).tolist() == [0.5, 1.0]


def test_a_treatment_trains_and_says_how():
    run = treat(Patient(labels=60), steps=60, looks=6)
    assert run.steps == [10, 20, 30, 40, 50, 60] and run.losses.shape == (60, DRAWS)
    assert run.score("train").min() > 0.9 and run.score().min() > 0.4  # chance 0.1
    torch.testing.assert_close(run.accuracies["test"][-1], run.score())
    again = treat(Patient(labels=60), steps=60, looks=1)
    assert torch.equal(again.says(), run.says())  # measuring changes nothing
    other = treat(Patient(labels=60), steps=60, looks=1, member=1)
    assert torch.equal(other.data["train"][0], run.data["train"][0]) and not torch.equal(other.says(), run.says())


def test_stopped_takes_each_draw_at_its_own_best_validation_step():
    accuracies = {
        "validation": torch.tensor([[0.1, 0.9], [0.5, 0.3], [0.5, 0.2]]),
        "test": torch.tensor([[0.2, 0.7], [0.6, 0.8], [0.9, 0.9]]),
    }
    run = Treated(torch.nn.Identity(), {}, [1, 2, 3], accuracies, torch.zeros(3, 2))
    assert run.stopped().tolist() == pytest.approx([0.6, 0.7])  # the first of equals
