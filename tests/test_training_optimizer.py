import pytest
import torch
from torch import nn

from course_lib.training.config import TrainConfig
from course_lib.training.optimizer import WeightAverage, make_optimizer, parameter_groups


class Parts(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.linear, self.conv = nn.Embedding(11, 6), nn.Linear(6, 4), nn.Conv1d(4, 3, 2)
        self.norms = nn.ModuleList([nn.LayerNorm((3, 5)), nn.BatchNorm2d(3), nn.GroupNorm(1, 3), nn.RMSNorm((3, 5))])
        self.scale = nn.Parameter(torch.tensor(2.0))


def test_only_matrices_of_layers_decay():
    model = Parts()
    names = {id(p): name for name, p in model.named_parameters()}
    decaying, exempt = parameter_groups(model, 0.1)
    assert {names[id(p)] for p in decaying["params"]} == {"linear.weight", "conv.weight"}
    assert (decaying["weight_decay"], exempt["weight_decay"]) == (0.1, 0.0)
    assert len(decaying["params"]) + len(exempt["params"]) == len(list(model.parameters()))


def test_a_two_axis_norm_gain_does_not_decay():
    model = nn.LayerNorm((3, 5))  # its gain has two axes: only its class tells
    assert [group["weight_decay"] for group in parameter_groups(model, 0.1)] == [0.0]


def test_frozen_weights_are_left_out_and_all_frozen_is_refused():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model[0].requires_grad_(False)
    assert sum(len(group["params"]) for group in parameter_groups(model, 0.1)) == 2
    with pytest.raises(ValueError, match="nothing to train; unfreeze"):
        parameter_groups(model.requires_grad_(False), 0.1)


def test_without_decay_there_is_one_group():
    assert len(parameter_groups(Parts(), 0.0)) == 1


@pytest.mark.parametrize(("name", "kind"), [("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)])
def test_a_step_is_torchs(name, kind):
    torch.manual_seed(0)
    ours, theirs = nn.Linear(5, 3), nn.Linear(5, 3)
    theirs.load_state_dict(ours.state_dict())
    config = TrainConfig(steps=1, learning_rate=0.1, weight_decay=0.5, optimizer=name)
    plain = [{"params": [theirs.weight], "weight_decay": 0.5}, {"params": [theirs.bias], "weight_decay": 0.0}]
    for model, optimizer in ((ours, make_optimizer(ours, config)), (theirs, kind(plain, lr=0.1, foreach=False))):
        model(torch.arange(10.0).view(2, 5)).square().mean().backward()
        optimizer.step()
        assert optimizer.defaults["fused"] is (True if model is ours else None)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_the_average_is_the_weighted_sum_of_all_weights():
    model = nn.Linear(1, 1, bias=False)
    path = [4.0, 8.0, -2.0, 6.0]
    model.weight.data.fill_(path[0])
    average = WeightAverage(model, decay=0.75)
    for value in path[1:]:
        model.weight.data.fill_(value)
        average.update()
    by_hand = 0.75**3 * 4 + 0.25 * (0.75**2 * 8 + 0.75 * -2 + 6)
    with average.in_model():
        assert model.weight.item() == pytest.approx(by_hand)
    assert model.weight.item() == 6.0


def test_the_weights_come_back_after_an_error_in_the_measure():
    model = nn.Linear(1, 1, bias=False)
    average = WeightAverage(model, 0.5)
    model.weight.data.fill_(9.0)
    with pytest.raises(RuntimeError), average.in_model():
        raise RuntimeError
    assert model.weight.item() == 9.0
