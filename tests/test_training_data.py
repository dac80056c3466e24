import random
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, TensorDataset, default_collate

from course_lib.training.data import StepBatches, count_examples, in_memory, loaded, prefetched, split, to_device
from course_lib.training.order import BatchOrder

CPU = torch.device("cpu")


class Pair(NamedTuple):
    image: Tensor
    label: Tensor


class Noisy(Dataset):
    """Augments with all three global generators, as datasets in the wild do."""

    def __len__(self):
        return 23

    def __getitem__(self, row):
        return row, torch.rand(2), np.random.rand(), random.random()


class Stream(IterableDataset):
    def __iter__(self):
        yield torch.zeros(1)


def tables():
    return torch.arange(23), torch.arange(46.0).view(23, 2)


def test_tuples_dicts_and_named_tuples_keep_their_structure_and_order():
    rows, values = tables()
    order, steps = BatchOrder(23, 5, seed=3), range(2, 9)
    expected = [order.indices(step) for step in steps]
    plain = list(in_memory((rows, values), order, steps, CPU))
    named = list(in_memory(Pair(rows, values), order, steps, CPU))
    keyed = list(in_memory({"row": rows, "value": values}, order, steps, CPU))
    for want, a, b, c in zip(expected, plain, named, keyed, strict=True):
        assert type(a) is tuple and type(b) is Pair and list(c) == ["row", "value"]
        for row, value in ((a[0], a[1]), (b.image, b.label), (c["row"], c["value"])):
            assert torch.equal(row, want) and torch.equal(value, values[want])


def test_blocks_of_steps_give_the_same_batches_as_single_steps(monkeypatch):
    order = BatchOrder(23, 5)
    blocks = [b[0].tolist() for b in in_memory(tables(), order, range(12), CPU)]
    monkeypatch.setattr("course_lib.training.data.BLOCK_BYTES", 1)
    assert blocks == [b[0].tolist() for b in in_memory(tables(), order, range(12), CPU)]


@pytest.mark.parametrize("rows, wide, shared", [(5, 3, False), (8, 4, True)], ids=["odd", "a multiple of 64 bytes"])
def test_a_batch_begins_on_a_line_of_memory_whatever_step_the_run_began_at(rows, wide, shared):
    """MKL's products of the same numbers differ in the last bits with their place modulo 16 bytes: resumes would."""
    table, order = torch.rand(40, wide), BatchOrder(40, rows)
    for first in range(3):
        batches = [x for (x,) in in_memory((table,), order, range(first, 8), CPU)]
        assert {x.data_ptr() % 64 for x in batches} == {0}
        assert (len({x.untyped_storage().data_ptr() for x in batches}) == 1) == shared  # views where they may be


@pytest.mark.parametrize("workers", [0, 2])
def test_a_dataset_gives_the_same_rows_as_tensors_do(workers):
    order = BatchOrder(23, 5, seed=3)
    batches = loaded(StepBatches(TensorDataset(*tables()), order, default_collate), range(3, 11), CPU, workers)
    for ours, theirs in zip(batches, in_memory(tables(), order, range(3, 11), CPU), strict=True):
        assert torch.equal(ours[0], theirs[0]) and torch.equal(ours[1], theirs[1])


def test_augmentation_depends_on_seed_and_step_only():
    def draw(steps, workers, seed=1):
        batches = StepBatches(Noisy(), BatchOrder(23, 5, seed=seed), default_collate)
        return {s: [t.tolist() for t in b] for s, b in zip(steps, loaded(batches, steps, CPU, workers), strict=True)}

    whole = draw(range(8), workers=0)
    assert draw(range(5, 8), workers=2) == {step: whole[step] for step in range(5, 8)}
    assert draw(range(1), 0, seed=2)[0][1:] != whole[0][1:] and whole[0][1:] != whole[1][1:]


def test_the_callers_generators_are_not_touched():
    def state():
        return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()

    before = state()
    list(loaded(StepBatches(Noisy(), BatchOrder(23, 5), default_collate), range(4), CPU, 0))
    assert state() == before


def test_a_dataset_that_reads_several_rows_at_once_is_asked_once():
    class Bulk(Noisy):
        def __getitems__(self, rows):
            return [(row, "bulk") for row in rows]

    batch = StepBatches(Bulk(), BatchOrder(23, 5), list)[0]
    assert [kind for _, kind in batch] == ["bulk"] * 5


def test_split_covers_every_row_once_and_differs_by_one():
    rows, values = tables()
    parts = split({"pair": (rows, values), "row": rows}, 4)
    assert [len(part["row"]) for part in parts] == [6, 6, 6, 5]
    assert torch.equal(torch.cat([part["pair"][1] for part in parts]), values)
    assert type(split(Pair(rows, values), 2)[0]) is Pair
    with pytest.raises(TypeError, match="holds a str.*collate"):
        split((rows, "caption"), 2)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ((torch.zeros(3), torch.zeros(4)), ValueError, r"share their first axis, got \[\(3,\), \(4,\)\]"),
        ((torch.zeros(3), "text"), ValueError, r"got \[\(3,\), 'str'\]"),
        ({}, ValueError, r"got \[\]"),
        ((torch.tensor(1.0),), ValueError, r"got \[\(\)\]"),
        (Stream(), TypeError, "cannot be shuffled or resumed"),
        (torch.zeros(3), TypeError, "data is a Tensor; pass a tuple"),
        ([1, 2], TypeError, "data is a list"),
    ],
)
def test_data_that_does_not_fit_is_refused_with_what_does(data, error, message):
    with pytest.raises(error, match=message):
        count_examples(data)


def test_moving_keeps_structure_and_what_is_no_tensor():
    moved = to_device({"x": Pair(torch.zeros(2), torch.ones(2)), "caption": "a cat"}, CPU)
    assert type(moved["x"]) is Pair and moved["caption"] == "a cat"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and none is here")
def test_the_prefetcher_hands_over_what_was_loaded():
    device = torch.device("cuda")
    batches = [(torch.full((1000, 1000), float(i)).pin_memory(), torch.tensor([i])) for i in range(7)]
    got = [(a.mean().item(), b.item(), a.device.type) for a, b in prefetched(batches, device)]
    assert got == [(float(i), i, "cuda") for i in range(7)]
