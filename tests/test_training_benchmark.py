"""The benchmark's own machinery at toy size, so that it still runs on the day a GPU is at hand. Nothing is timed."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

PATH = Path(__file__).with_name("benchmarks") / "training.py"
SPEC = importlib.util.spec_from_file_location("training_benchmark", PATH)
benchmark = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(benchmark)

OURS = ("dataloader loop", "fastest bare loop", "fit")


def test_every_loop_makes_the_same_update():
    """With one full batch per step there is no shuffle to differ by."""
    weights = {}
    for name in OURS:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
        data = torch.randn(8, 3), torch.randint(0, 2, (8,))
        recipe = benchmark.Recipe(model, data, lambda m, b: nn.functional.cross_entropy(m(b[0]), b[1]), None)
        benchmark.LOOPS[name](recipe, recipe.loss, 6, 8)
        weights[name] = torch.cat([p.detach().flatten() for p in model.parameters()])
    for name in OURS[1:]:
        torch.testing.assert_close(weights[name], weights[OURS[0]], rtol=1e-4, atol=1e-5)


def test_ratios_are_of_speeds():
    measured = benchmark.measure_cpu("mlp", 15, 2, {name: benchmark.LOOPS[name] for name in OURS})
    assert measured["speed_over_dataloader_loop"]["dataloader loop"] == 1.0
    assert set(measured["milliseconds_per_step"]) == set(OURS)


def test_the_stopwatch_counts_whole_steps_after_the_warm_up(monkeypatch):
    clock = iter([10.0, 16.0])
    monkeypatch.setattr(benchmark.time, "process_time", lambda: next(clock))
    watch = benchmark.Stopwatch(lambda model, batch: None, 2, 6, torch.device("cpu"))
    for _ in range(6):
        watch(nn.Identity(), ())
    assert watch.seconds_per_step == 2.0  # from the start of step 2 to the start of step 5


def test_flops_are_those_that_torch_counts():
    torch.manual_seed(0)
    recipe, batch = benchmark.decoder_recipe(tiny=True)
    with FlopCounterMode(display=False) as counted, nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
        recipe.loss(recipe.model, (recipe.data[0][:batch],)).backward()
    assert benchmark.flops_per_step(recipe, batch) == pytest.approx(counted.get_total_flops(), rel=0.03)


def test_the_decoder_has_98_million_parameters():
    with torch.device("meta"):
        recipe, _ = benchmark.decoder_recipe(tiny=False)
    assert sum(p.numel() for p in recipe.model.parameters()) == pytest.approx(98e6, rel=0.01)


def test_the_gpu_part_runs_at_toy_size_on_the_cpu(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda model, **options: model)
    results = benchmark.measure_gpu(torch.device("cpu"), rounds=1, steps=6, tiny=True)
    assert set(results["decoder_98m"]["ladder"]) == set(benchmark.LADDER)
    assert all(results[name]["fit_over_hand_tuned_loop"] > 0 for name in ("clip_vit_b16", "decoder_98m"))
