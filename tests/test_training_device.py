import pytest
import torch

from course_lib.training.device import available, pick_device


def pretend_cuda(monkeypatch, capability, cards=2):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: capability >= (8, 0))
    monkeypatch.delenv("LOCAL_RANK", raising=False)


def without_cuda(monkeypatch, mps=False):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("capability", "dtype", "word"), [((8, 0), torch.bfloat16, "bf16"), ((7, 5), torch.float16, "gradient scaler")]
)
def test_the_card_decides_the_format(monkeypatch, capability, dtype, word):
    pretend_cuda(monkeypatch, capability)
    runtime = pick_device("auto")
    assert (runtime.device, runtime.dtype) == (torch.device("cuda:0"), dtype)
    assert f"CUDA {capability[0]}.{capability[1]}" in runtime.reason and word in runtime.reason


def test_under_torchrun_each_process_has_its_own_card(monkeypatch):
    pretend_cuda(monkeypatch, (9, 0))
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert pick_device("auto").device == pick_device("cuda").device == torch.device("cuda:1")
    assert pick_device("cuda:0").device == torch.device("cuda:0")


def test_mps_comes_before_the_cpu(monkeypatch):
    without_cuda(monkeypatch, mps=True)
    assert pick_device("auto")[:2] == (torch.device("mps"), torch.float32)


def test_the_cpu_is_always_there(monkeypatch):
    without_cuda(monkeypatch)
    runtime = pick_device("auto")
    assert (runtime.device, runtime.dtype) == (torch.device("cpu"), torch.float32)
    assert available() == ["cpu"]


@pytest.mark.parametrize("name", ["cuda", "cuda:7", "mps", "tpu"])
def test_an_absent_device_names_what_is_here(monkeypatch, name):
    without_cuda(monkeypatch)
    with pytest.raises(ValueError, match=rf"device '{name}' is not here; this machine has cpu;"):
        pick_device(name)


def test_a_card_number_too_high_names_the_cards(monkeypatch):
    pretend_cuda(monkeypatch, (8, 6))
    with pytest.raises(ValueError, match="cuda:0, cuda:1, "):
        pick_device("cuda:2")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and none is here")
def test_a_real_card_computes_in_the_format_it_was_given():
    runtime = pick_device("cuda")
    x = torch.ones(8, 8, device=runtime.device, dtype=runtime.dtype)
    assert torch.equal((x @ x).float().cpu(), torch.full((8, 8), 8.0))
