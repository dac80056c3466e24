"""Early stopping: by hand-made curves, by brute force over all short ones, and inside a real run."""

import itertools

import pytest
import torch
from torch import nn

from course_lib.training.config import TrainConfig
from course_lib.training.early_stop import KeepBest, early_stop
from course_lib.training.loop import fit

CURVES = {
    "falls to the end": ([5, 4, 3, 2], 2, 0.0, (3, 3)),
    "turns": ([5, 3, 4, 4, 1], 2, 0.0, (1, 3)),
    "a later value does not count": ([5, 3, 4, 4, 0, 0], 2, 0.0, (1, 3)),
    "patience outlasts the bump": ([5, 3, 4, 4, 1], 3, 0.0, (4, 4)),
    "equal is not better": ([3, 3, 3, 3], 2, 0.0, (0, 2)),
    "a small gain is not better": ([5, 4.9, 4.8, 4.7, 4.6], 3, 1.0, (0, 3)),
    "small gains add up": ([5, 4.6, 4.2, 3.8, 3.4], 3, 1.0, (3, 4)),
    "rises at once": ([1, 2, 3], 1, 0.0, (0, 1)),
    "one measurement": ([1.0], 4, 0.0, (0, 0)),
}


@pytest.mark.parametrize("losses, patience, min_delta, expected", CURVES.values(), ids=CURVES)
def test_curves_by_hand(losses, patience, min_delta, expected):
    assert early_stop([float(loss) for loss in losses], patience, min_delta) == expected


def test_best_is_the_first_minimum_of_what_was_seen():
    for losses in itertools.product([0.0, 1.0, 2.0], repeat=6):
        for patience in (1, 2, 3):
            best, last = early_stop(losses, patience)
            seen = losses[: last + 1]
            assert best == seen.index(min(seen))
            assert last == 5 or last - best == patience
            waited = [now - seen[: now + 1].index(min(seen[: now + 1])) for now in range(last)]
            assert all(wait < patience for wait in waited)  # it did not run on past an earlier reason to stop


@pytest.mark.parametrize("losses, patience, min_delta", [([], 1, 0.0), ([1.0], 0, 0.0), ([1.0], 1, -0.1)])
def test_senseless_arguments_are_refused(losses, patience, min_delta):
    with pytest.raises(ValueError, match="need at least 1, 1 and 0"):
        early_stop(losses, patience, min_delta)


def test_keep_best_brings_back_the_weights_of_the_best_measurement():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    keep = KeepBest(lambda model: {"score": -abs(float(model.weight) - 0.35)}, "score")
    config = TrainConfig(steps=10, batch_size=3, learning_rate=0.1, optimizer="sgd", weight_decay=0.0, evaluate_every=1)
    history = fit(model, (torch.ones(3, 1),), lambda model, batch: -model(batch[0]).mean(), config, keep)
    torch.testing.assert_close(model.weight.item(), 1.0)  # 0.1 a step
    keep.restore(model)
    assert model.weight.item() == pytest.approx(0.3) or model.weight.item() == pytest.approx(0.4)
    assert keep.value == max(history["score"])


def test_keep_best_copies_and_keeps_the_first_of_equals():
    model = nn.Linear(2, 1)
    keep = KeepBest(lambda model: {"score": 1.0}, "score")
    assert keep(model) == {"score": 1.0}
    first = model.weight.detach().clone()
    nn.init.ones_(model.weight)
    keep(model)
    keep.restore(model)
    assert torch.equal(model.weight, first)


def test_keep_best_before_any_measurement_says_so():
    with pytest.raises(RuntimeError, match="nothing was measured"):
        KeepBest(lambda model: {}, "score").restore(nn.Linear(1, 1))
