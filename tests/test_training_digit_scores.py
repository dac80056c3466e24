"""Split and seed of a training on digits move what they say, and nothing else."""

import pytest
import torch

from course_lib.training.digit_scores import HELD_OUT, train_digits

SMALL = {"hidden": 16, "examples": 130, "steps": 60}


@pytest.fixture(scope="module")
def run():
    return train_digits(**SMALL, seed=3, split=2)


def test_scores_belong_to_their_labels(run):
    assert run.held_out.logits.shape == (HELD_OUT, 10) and run.test.logits.shape == (510, 10)
    for logits, label in run:
        assert (logits.argmax(1) == label).double().mean() > 0.25, "chance is 0.1"


def test_the_same_call_gives_the_same_scores(run):
    before = torch.random.get_rng_state()
    again = train_digits(**SMALL, seed=3, split=2)
    assert torch.equal(again.test.logits, run.test.logits)
    assert torch.equal(torch.random.get_rng_state(), before), "the caller's generator moved"


def test_the_split_decides_what_is_held_out_and_the_seed_does_not(run):
    other_seed, other_split = train_digits(**SMALL, seed=4, split=2), train_digits(**SMALL, seed=3, split=1)
    assert torch.equal(other_seed.held_out.label, run.held_out.label)
    assert not torch.equal(other_split.held_out.label, run.held_out.label)
    for other in (other_seed, other_split):
        assert torch.equal(other.test.label, run.test.label)
        assert not torch.equal(other.test.logits, run.test.logits)


def test_no_more_examples_than_there_are():
    with pytest.raises(ValueError, match="examples .*1001"):
        train_digits(hidden=4, seed=0, examples=1001)
