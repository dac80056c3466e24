import pytest
import torch

from course_lib.training.config import TrainConfig
from course_lib.training.history import History
from course_lib.training.progress import Progress
from course_lib.training.recorder import NonFiniteLoss, Recorder


def recorder(every, waits=True):
    return Recorder(History(), Progress(TrainConfig(steps=9, progress="none"), 9), every, waits, lambda: 7.5)


def add(recorder, step, loss):
    recorder.add(step, torch.tensor(loss), 0.1, None)


def test_rows_appear_when_they_are_read():
    one = recorder(every=3)
    add(one, 1, 4.0), add(one, 2, 3.0)
    assert len(one.history) == 0
    add(one, 3, 2.0), add(one, 4, 1.0)
    assert one.history["loss"] == [4.0, 3.0, 2.0]
    one.read(), one.read()
    assert one.history["loss"] == [4.0, 3.0, 2.0, 1.0]


def test_measured_figures_join_the_row_of_their_step():
    one = recorder(every=100)
    add(one, 1, 4.0), add(one, 2, 3.0)
    one.measured({"accuracy": 0.5})
    assert one.history.rows[1] == {"step": 2, "loss": 3.0, "learning_rate": 0.1, "accuracy": 0.5}
    assert "accuracy" not in one.history.rows[0]


def test_a_bad_loss_in_the_middle_of_an_interval_is_found_at_its_step(tmp_path):
    one = recorder(every=3)
    one.last_checkpoint = tmp_path
    add(one, 1, 4.0), add(one, 2, float("inf"))
    with pytest.raises(
        NonFiniteLoss, match=r"is inf at step 2, gradient norm 7\.5; .* was 4 at step 1; .*" + str(tmp_path)
    ):
        add(one, 3, 1.0)
    assert one.history["loss"] == [4.0]


def test_where_nothing_waits_a_bad_loss_is_found_at_once():
    one = recorder(every=100, waits=False)
    add(one, 1, 4.0)
    with pytest.raises(NonFiniteLoss, match="nan at step 2"):
        add(one, 2, float("nan"))
    assert one.history["loss"] == [4.0]


def test_a_bad_first_loss_and_no_checkpoint_are_said_too():
    with pytest.raises(NonFiniteLoss, match="nan at step 1.*no step was good; no checkpoint was written"):
        add(recorder(every=1), 1, float("nan"))
