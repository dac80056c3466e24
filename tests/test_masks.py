"""Masks by hand, and the receptive field against gradients through stacked attention."""

import pytest
import torch

from course_lib.models.attention import MultiHeadAttention
from course_lib.models.masks import (
    NAMES,
    causal_mask,
    group_mask,
    make_mask,
    prefix_mask,
    reached,
    sink_mask,
    window_mask,
)


def rows(mask):
    return ["".join("x" if cell else "." for cell in row) for row in mask.tolist()]


def test_masks_by_hand():
    assert rows(causal_mask(4)) == ["x...", "xx..", "xxx.", "xxxx"]
    assert rows(window_mask(5, 1)) == ["xx...", "xxx..", ".xxx.", "..xxx", "...xx"]
    assert rows(prefix_mask(2, 4)) == ["xx..", "xx..", "xxx.", "xxxx"]
    assert rows(sink_mask(5, sinks=1, reach=1)) == ["x....", "xx...", "xxx..", "x.xx.", "x..xx"]
    assert rows(group_mask(torch.tensor([0, 0, 1]))) == ["xx.", "xx.", "..x"]


def test_groups_of_a_batch():
    assert group_mask(torch.tensor([[0, 1, 1], [2, 2, 2]])).sum(dim=(1, 2)).tolist() == [5, 9]


def test_a_prefix_must_fit():
    assert prefix_mask(0, 3).equal(causal_mask(3))
    assert prefix_mask(3, 3).all()
    with pytest.raises(ValueError, match="a prefix of 4 tokens does not fit into 3"):
        prefix_mask(4, 3)


@pytest.mark.parametrize("layers, field", [(1, 9), (2, 17), (4, 33), (8, 64)])
def test_windows_of_four_reach_the_whole_sequence_in_eight_layers(layers, field):
    assert reached(window_mask(64, 4), layers)[32].sum() == field


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_reached_is_where_gradients_are(layers):
    torch.manual_seed(0)
    mask, stack = window_mask(9, 1) & causal_mask(9), [MultiHeadAttention(6, 2) for _ in range(layers)]
    x = torch.randn(1, 9, 6, requires_grad=True)
    tokens = x
    for attention in stack:
        tokens = tokens + attention(tokens, mask=mask).output
    for t in range(9):
        (grad,) = torch.autograd.grad(tokens[0, t].square().sum(), x, retain_graph=True)
        assert (grad[0].abs().sum(-1) > 0).equal(reached(mask, layers)[t])


def test_masks_by_name():
    counts = {name: int(make_mask(name, 6, reach=1, prefix=2).sum()) for name in NAMES}
    by_hand = [36, 16, 21, 11, 15, 22, 20]
    assert counts == dict(zip(NAMES, by_hand, strict=True))
    with pytest.raises(ValueError, match="no mask is called 'square'; try one of global, local window"):
        make_mask("square", 6, reach=1, prefix=2)


def test_the_receptive_field_is_computed_where_the_mask_is():
    on_card = torch.ones(4, 4, dtype=torch.bool, device="meta")  # refuses to mix devices as a GPU does
    assert reached(on_card, 2).device.type == "meta"


def test_the_residual_connection_carries_a_token_to_itself():
    before = causal_mask(4) & ~torch.eye(4, dtype=torch.bool) & window_mask(4, 1)  # each reads its neighbour only
    assert rows(reached(before, 1)) == ["x...", "xx..", ".xx.", "..xx"]
    assert rows(reached(before, 2)) == ["x...", "xx..", "xxx.", ".xxx"]
