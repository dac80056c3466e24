import os
import resource

import pytest
import torch
from torch import nn

from course_lib.training.weights import load_weights, save_weights


def net(width=4):
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 2))


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_weights_and_buffers_come_back_bit_for_bit(tmp_path):
    model, other = net(), net()
    model(torch.randn(5, 3))  # moves BatchNorm's buffers
    save_weights(model, tmp_path / "w.safetensors")
    assert not same(model, other) and load_weights(other, tmp_path / "w.safetensors") == [] and same(model, other)
    assert os.listdir(tmp_path) == ["w.safetensors"]


def test_a_strict_load_lists_everything_and_changes_nothing(tmp_path):
    source = nn.ModuleDict({"a": nn.Linear(3, 4), "b": nn.Linear(2, 2, bias=False)})
    target = nn.ModuleDict({"a": nn.Linear(3, 5), "c": nn.Linear(7, 1, bias=False)})
    before = {name: value.clone() for name, value in target.state_dict().items()}
    save_weights(source, tmp_path / "w.safetensors")
    with pytest.raises(ValueError) as error:
        load_weights(target, tmp_path / "w.safetensors")
    for line in (
        "misshapen   a.weight is (4, 3), the model has (5, 3)",
        "misshapen   a.bias is (4,), the model has (5,)",
        "missing     c.weight (1, 7)",
        "unexpected  b.weight (2, 2)",
    ):
        assert line in str(error.value)
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


def test_a_loose_load_returns_what_it_left_out(tmp_path):
    source, target = nn.ModuleDict({"a": nn.Linear(3, 4), "b": nn.Linear(2, 2)}), nn.ModuleDict({"a": nn.Linear(3, 4)})
    save_weights(source, tmp_path / "w.safetensors")
    assert sorted(load_weights(target, tmp_path / "w.safetensors", strict=False)) == ["b.bias", "b.weight"]
    assert torch.equal(target["a"].weight, source["a"].weight)


def test_tied_and_strided_weights_are_written_under_each_name(tmp_path):
    model = nn.ModuleDict({"embed": nn.Embedding(7, 3), "head": nn.Linear(3, 7, bias=False)})
    model["head"].weight = model["embed"].weight
    model.register_buffer("turned", torch.arange(6.0).view(2, 3).T)
    save_weights(model, tmp_path / "w.safetensors")
    fresh = nn.ModuleDict({"embed": nn.Embedding(7, 3), "head": nn.Linear(3, 7, bias=False)})
    fresh.register_buffer("turned", torch.zeros(3, 2))
    load_weights(fresh, tmp_path / "w.safetensors")
    assert same(model, fresh)


@pytest.mark.parametrize("keep", [0, 7, 0.5, -1])
def test_a_cut_file_is_refused(tmp_path, keep):
    path = tmp_path / "w.safetensors"
    save_weights(net(), path)
    size = path.stat().st_size
    os.truncate(path, size - 1 if keep == -1 else int(size * keep) if isinstance(keep, float) else keep)
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_weights(net(), path)


def test_a_write_that_fails_half_way_leaves_the_old_file(tmp_path):
    path, old = tmp_path / "w.safetensors", net()
    save_weights(old, path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))  # the kernel refuses to let a file grow beyond this
    try:
        with pytest.raises(Exception, match="(?i)too large|File"):
            save_weights(net(width=999), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    fresh = net()
    load_weights(fresh, path)
    assert same(fresh, old) and os.listdir(tmp_path) == ["w.safetensors"]


def test_what_is_no_tensor_is_refused(tmp_path):
    class Extra(nn.Linear):
        def get_extra_state(self):
            return {"code": print}

    with pytest.raises(TypeError, match="_extra_state.*safetensors holds nothing else"):
        save_weights(Extra(2, 2), tmp_path / "w.safetensors")
    assert os.listdir(tmp_path) == []
