import pytest
import torch

from course_lib.training.config import TrainConfig
from course_lib.training.order import BatchOrder, mixed_seed, total_steps


def test_an_epoch_holds_every_example_once():
    order = BatchOrder(examples=23, batch_size=5)
    batches = [order.indices(step) for step in range(order.steps_per_epoch)]
    assert [len(b) for b in batches] == [order.size(step) for step in range(5)] == [5, 5, 5, 5, 3]
    assert torch.equal(torch.cat(batches).sort().values, torch.arange(23))


def test_a_dropped_tail_is_another_one_in_the_next_epoch():
    order = BatchOrder(examples=23, batch_size=5, keep_tail=False)
    seen = [set(torch.cat([order.indices(4 * epoch + step) for step in range(4)]).tolist()) for epoch in range(2)]
    assert order.steps_per_epoch == 4 and len(seen[0]) == len(seen[1]) == 20 and seen[0] != seen[1]


def test_any_step_can_be_asked_for_in_any_order():
    forward = BatchOrder(23, 5, seed=4)
    straight = [forward.indices(step).tolist() for step in range(12)]
    jumping = BatchOrder(23, 5, seed=4)
    assert {step: jumping.indices(step).tolist() for step in (11, 0, 7, 6)} == {s: straight[s] for s in (11, 0, 7, 6)}


def test_seeds_do_not_share_epochs():
    orders = {
        tuple(BatchOrder(23, 5, seed=seed).permutation(epoch).tolist()) for seed in range(4) for epoch in range(4)
    }
    assert len(orders) == 16
    assert mixed_seed(0, 1) != mixed_seed(1, 0)


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_a_batch_without_overlap(processes):
    whole = BatchOrder(23, 7, seed=2, keep_tail=False)
    shares = [
        BatchOrder(23, 7, seed=2, keep_tail=False, rank=r, processes=processes).indices(4) for r in range(processes)
    ]
    assert torch.equal(torch.cat(shares), whole.indices(4))
    assert max(map(len, shares)) - min(map(len, shares)) == 1


def test_the_callers_generator_is_not_touched():
    before = torch.get_rng_state()
    BatchOrder(23, 5).indices(9)
    assert torch.equal(before, torch.get_rng_state())


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(ValueError, match="batch_size=24, but the data have 23 examples; use batch_size=23"):
        BatchOrder(23, 24)


def test_a_tail_too_small_to_share_is_refused():
    with pytest.raises(ValueError, match="a batch of 1 examples cannot be shared by 2 processes.*tail='drop'"):
        BatchOrder(21, 5, processes=2)
    assert BatchOrder(21, 5, keep_tail=False, processes=2).steps_per_epoch == 4


def test_epochs_count_their_tails():
    order = BatchOrder(23, 5)
    assert total_steps(TrainConfig(epochs=3, batch_size=5), order) == 15
    assert total_steps(TrainConfig(steps=7, batch_size=5), order) == 7


def test_no_examples_are_no_advice_to_take_batches_of_0():
    with pytest.raises(ValueError, match="^the data have no examples$"):
        BatchOrder(0, 5)
