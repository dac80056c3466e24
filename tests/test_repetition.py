"""Repeated data: nested draws, one test set, and what a run measures."""

import pytest
import torch

from course_lib.training.repetition import BATCH, DRAWS, STEPS, draw, train_repeatedly


def test_one_pass_has_an_example_for_every_step_and_labels_are_half_and_half():
    train, test = draw(seed=3)
    assert train.x.shape == (DRAWS, STEPS * BATCH, 20) and test.x.shape == (DRAWS, 2000, 20)
    assert (train.label.float().mean(1) - 0.5).abs().max() < 0.02
    assert not torch.equal(train.x[:, :2000], test.x)


def test_one_label_in_ten_is_wrong():
    """Neighbours along a ray have one teacher's answer, so a fitted linear rule stays near 0.9 at best."""
    train, test = draw(seed=0)
    x, y = train.x[0].double(), 2.0 * train.label[0].double() - 1
    rule = torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
    hit = ((test.x[0].double() @ rule > 0) == (test.label[0] == 1)).double().mean().item()
    assert 0.75 < hit < 0.91


def test_a_run_is_measured_at_equal_distances_on_the_same_examples():
    run = train_repeatedly(64, seed=1, looks=4)
    assert run.seen == [100, 200, 300, 400] and run.test.shape == (4, DRAWS)
    assert (run.test[-1] > run.test[0]).all()  # repetition harms
    assert torch.equal(train_repeatedly(64, seed=1, looks=2).test[-1], run.test[-1])


def test_passes_that_do_not_divide_the_examples_are_refused():
    with pytest.raises(ValueError, match="3 passes do not divide 25600 examples; try 1, 4, 16 or 64"):
        train_repeatedly(3)
