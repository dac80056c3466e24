import pytest
import torch
from torch import nn

from course_lib.training.blocks import recomputed, repeated_blocks


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Dropout(0.3))

    def forward(self, x):
        return x + self.inner(x)


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.blocks, self.tail = (
            nn.Linear(4, 6),
            nn.ModuleList([Layer(), Layer(), Layer()]),
            nn.Linear(6, 2),
        )

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.tail(x)


def kept_bytes(model, x):
    total = 0

    def pack(tensor):
        nonlocal total
        total += tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        loss = model(x).square().sum()
    return loss, total


def gradients(model, x, enabled):
    torch.manual_seed(5)  # dropout
    model.zero_grad()
    with recomputed(model, enabled):
        loss, kept = kept_bytes(model, x)
        loss.backward()
    return [p.grad.clone() for p in model.parameters()], kept


def test_the_same_gradient_with_less_memory():
    model, x = Deep(), torch.randn(50, 4)
    plain, all_bytes = gradients(model, x, enabled=False)
    again, few_bytes = gradients(model, x, enabled=True)
    for a, b in zip(plain, again, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert few_bytes < 0.6 * all_bytes


def test_the_model_is_as_before_afterwards():
    model = Deep()
    before = dict(vars(model.blocks[0]))
    with recomputed(model, True):
        assert "forward" in vars(model.blocks[0])
    assert vars(model.blocks[0]) == before


def test_blocks_are_found_outermost_first_and_layers_of_one_mlp_are_none():
    model = Deep()
    assert repeated_blocks(model) == list(model.blocks)
    nested = nn.Sequential(Deep(), Deep())
    assert repeated_blocks(nested) == list(nested)
    assert repeated_blocks(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))) == []


def test_a_flag_that_would_do_nothing_is_refused():
    with pytest.raises(ValueError, match="found no repeated blocks"), recomputed(nn.Linear(2, 2), True):
        pass
