"""Networks side by side: each copy is a network of its own, and pooling is what makes the place not matter."""

import itertools
from statistics import mean

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.models.side_by_side import SideBySideConvNet, SideBySideLinear, dense


def pictures(*shape, seed=0):
    return torch.rand(*shape, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_each_copy_is_a_linear_layer_of_its_own():
    layer, x = SideBySideLinear(3, 5, 4), torch.randn(3, 7, 5)
    for copy in range(3):
        alone = F.linear(x[copy], layer.weight[copy].T, layer.bias[copy, 0])
        torch.testing.assert_close(layer(x)[copy], alone)


def test_it_starts_as_torch_starts():
    torch.manual_seed(0)
    ours, theirs = SideBySideLinear(20, 50, 40).weight, nn.Linear(50, 40).weight
    assert ours.abs().max() <= 50**-0.5
    assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.05)


@pytest.mark.parametrize("make", [dense, SideBySideConvNet], ids=["dense", "convolutional"])
def test_the_loss_of_one_copy_moves_no_other(make):
    model = make(3)
    model(pictures(3, 6))[1].square().sum().backward()
    last = [parameter.grad for parameter in model.parameters() if parameter.shape[0] == 3]  # axis of copies in front
    assert last
    for gradient in last:
        assert gradient[1].abs().sum() > 0 and gradient[0].abs().sum() == gradient[2].abs().sum() == 0


@pytest.mark.parametrize("norm", [True, False])
def test_convolutions_side_by_side_see_their_own_pictures_only(norm):
    model, images = SideBySideConvNet(2, norm=norm), pictures(2, 6)
    before = model(images)
    images[1] += torch.rand(6, 8, 8)
    after = model(images)
    torch.testing.assert_close(after[0], before[0])
    assert not torch.allclose(after[1], before[1])


def test_pooling_forgets_the_place_and_the_control_does_not():
    pictures = torch.zeros(1, 3, 8, 8)
    pictures[0, 0, 2, 2] = pictures[0, 1, 4, 4] = 1.0  # one spot, moved by two pixels; the third picture is blank
    share = {True: [], False: []}
    for pooling, seed in itertools.product(share, range(20)):
        torch.manual_seed(seed)
        here, there, blank = SideBySideConvNet(1, pooling=pooling, norm=False).eval()(pictures)[0]
        share[pooling].append(((here - there).norm() / (here - blank).norm()).item())
    assert mean(share[True]) < 0.85 < 1.1 < mean(share[False])


def test_the_convolutional_network_is_the_smaller_one():
    count = lambda model: sum(parameter.numel() for parameter in model.parameters())  # noqa: E731
    assert count(SideBySideConvNet(1)) == 6_330 and count(dense(1)) == 9_610
    assert count(SideBySideConvNet(5)) == 5 * 6_330
