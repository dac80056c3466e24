"""How fast `fit` is, beside loops written by hand and beside other libraries: one process, in turn, medians of rounds.

    OMP_NUM_THREADS=1 python tests/benchmarks/training.py          lesson-sized models on the CPU, one thread
    python tests/benchmarks/training.py --device cuda              a CLIP step and a 98 M decoder, with the ladder

Each writes datasets/recorded/training_<device>.json with versions, date and command. Peers that are not installed are
left out and named: pip install accelerate lightning. Every loop gets the same weights, batch size, number of steps and
update (AdamW, weight decay on matrices only); time runs from the start of one step to the start of a later one, so
set-up and compilation are not counted.
"""

import argparse
import gc
import importlib.metadata
import json
import logging
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from course_lib.compat import ensure_torchvision
from course_lib.models.transformer import Decoder, VisionTransformer
from course_lib.training.config import TrainConfig
from course_lib.training.device import pick_device
from course_lib.training.loop import fit
from course_lib.training.optimizer import parameter_groups
from course_lib.training.recipes import BUILT_IN, Recipe, TwoTower, contrast, next_token
from course_lib.training.throughput import PEAKS

ROOT = Path(__file__).resolve().parents[2]
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 0.01


class Stopwatch:
    """A loss that notes when the step after the warm-up begins and when the last one does."""

    def __init__(self, loss: Callable, warm_up: int, steps: int, device: torch.device) -> None:
        self.loss, self.marks, self.device = loss, (warm_up, steps - 1), device
        self.calls, self.times = 0, []

    def __call__(self, model: nn.Module, batch: tuple) -> torch.Tensor:
        if self.calls in self.marks:
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            # On the CPU the time of this process alone, so that other programs do not count
            self.times.append(time.perf_counter() if self.device.type == "cuda" else time.process_time())
        self.calls += 1
        return self.loss(model, batch)

    @property
    def seconds_per_step(self) -> float:
        begin, end = self.times
        return (end - begin) / (self.marks[1] - self.marks[0])


def adamw(model: nn.Module, **options: object) -> torch.optim.Optimizer:
    """The same update in every loop; `fused=True` is the fast way to compute it."""
    return torch.optim.AdamW(parameter_groups(model, WEIGHT_DECAY), lr=LEARNING_RATE, **options)


def dataloader_loop(recipe: Recipe, loss: Callable, steps: int, batch_size: int) -> None:
    """The loop of PyTorch's tutorials: DataLoader, AdamW as it comes, `.item()` for the log."""
    optimizer = adamw(recipe.model)
    loader, losses = DataLoader(TensorDataset(*recipe.data), batch_size, shuffle=True, drop_last=True), []
    while len(losses) < steps:
        for batch in loader:
            optimizer.zero_grad()
            value = loss(recipe.model, tuple(batch))
            value.backward()
            optimizer.step()
            losses.append(value.item())
            if len(losses) == steps:
                break


def fastest_bare_loop(recipe: Recipe, loss: Callable, steps: int, batch_size: int) -> None:
    """Nothing but the arithmetic: one gather per epoch, views as batches, fused AdamW, no reading."""
    parameters, losses = list(recipe.model.parameters()), []
    optimizer = adamw(recipe.model, fused=True)
    while len(losses) < steps:
        order = torch.randperm(len(recipe.data[0]))[: len(recipe.data[0]) // batch_size * batch_size]
        for batch in zip(*(t[order].split(batch_size) for t in recipe.data), strict=True):
            for parameter in parameters:
                parameter.grad = None
            value = loss(recipe.model, tuple(batch))
            value.backward()
            optimizer.step()
            losses.append(value.detach())
            if len(losses) == steps:
                break


def fit_loop(recipe: Recipe, loss: Callable, steps: int, batch_size: int) -> None:
    """Ours, as a lesson calls it; every loss is read and goes into the history."""
    config = TrainConfig(steps=steps, batch_size=batch_size, learning_rate=LEARNING_RATE, tail="drop", progress="none")
    fit(recipe.model, recipe.data, loss, config)


def accelerate_loop(recipe: Recipe, loss: Callable, steps: int, batch_size: int) -> None:
    """Hugging Face accelerate, as its quick tour writes it."""
    from accelerate import Accelerator

    accelerator, losses = Accelerator(cpu=True), []
    loader = DataLoader(TensorDataset(*recipe.data), batch_size, shuffle=True, drop_last=True)
    optimizer = adamw(recipe.model)
    model, optimizer, loader = accelerator.prepare(recipe.model, optimizer, loader)
    while len(losses) < steps:
        for batch in loader:
            optimizer.zero_grad()
            value = loss(model, tuple(batch))
            accelerator.backward(value)
            optimizer.step()
            losses.append(value.item())
            if len(losses) == steps:
                break


def lightning_loop(recipe: Recipe, loss: Callable, steps: int, batch_size: int) -> None:
    """Lightning's Trainer without logger, checkpoints and bar."""
    import lightning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Task(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = recipe.model

        def training_step(self, batch: tuple, index: int) -> torch.Tensor:
            return loss(self.model, tuple(batch))

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return adamw(self)

    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = lightning.Trainer(max_steps=steps, max_epochs=-1, accelerator="cpu", devices=1, **quiet)
    trainer.fit(Task(), DataLoader(TensorDataset(*recipe.data), batch_size, shuffle=True, drop_last=True))


class Rows(Dataset):
    """Examples as the dicts that transformers' Trainer wants."""

    def __init__(self, data: tuple) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data[0])

    def __getitem__(self, row: int) -> dict:
        return {f"part{i}": t[row] for i, t in enumerate(self.data)}


def transformers_loop(recipe: Recipe, loss: Callable, steps: int, batch_size: int) -> None:
    """transformers' Trainer without saving, reports and bar."""
    from transformers import Trainer, TrainingArguments

    class Task(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = recipe.model

        def forward(self, **parts: torch.Tensor) -> dict:
            return {"loss": loss(self.model, tuple(parts.values()))}

    with tempfile.TemporaryDirectory() as folder:
        quiet = {"save_strategy": "no", "report_to": "none", "disable_tqdm": True, "logging_strategy": "no"}
        arguments = TrainingArguments(
            folder,
            max_steps=steps,
            per_device_train_batch_size=batch_size,
            learning_rate=LEARNING_RATE,
            weight_decay=WEIGHT_DECAY,
            lr_scheduler_type="constant",
            max_grad_norm=0.0,
            use_cpu=True,
            remove_unused_columns=False,
            dataloader_drop_last=True,
            dataloader_pin_memory=False,
            **quiet,
        )
        Trainer(Task(), arguments, train_dataset=Rows(recipe.data)).train()


LOOPS = {
    "dataloader loop": dataloader_loop,
    "fastest bare loop": fastest_bare_loop,
    "fit": fit_loop,
    "accelerate": accelerate_loop,
    "lightning": lightning_loop,
    "transformers": transformers_loop,
}
LESSON_MODELS = {"mlp": 500, "vit": 40, "two_tower": 15}  # steps per round: about half a second each


def measure_cpu(name: str, steps: int, rounds: int, loops: dict[str, Callable]) -> dict:
    """Median seconds per step of every loop, and medians of ratios taken within a round."""
    seconds: dict[str, list[float]] = {loop: [] for loop in loops}
    for _ in range(rounds):
        for loop, run in loops.items():
            recipe = BUILT_IN[name](seed=0)
            watch = Stopwatch(recipe.loss, steps // 5, steps, torch.device("cpu"))
            gc.collect()  # so that no loop pays for the garbage of the one before
            run(recipe, watch, steps, recipe.config.batch_size)
            seconds[loop].append(watch.seconds_per_step)
    parameters = sum(p.numel() for p in recipe.model.parameters())

    def ratio(one: str, other: str) -> float:
        return round(statistics.median(b / a for a, b in zip(seconds[one], seconds[other], strict=True)), 3)

    return {
        "parameters": parameters,
        "batch_size": recipe.config.batch_size,
        "steps_per_round": steps,
        "milliseconds_per_step": {loop: round(1e3 * statistics.median(times), 4) for loop, times in seconds.items()},
        "speed_over_dataloader_loop": {loop: ratio(loop, "dataloader loop") for loop in loops},
        "fit_over_fastest_bare_loop": ratio("fit", "fastest bare loop"),
    }


def clip_recipe(tiny: bool) -> tuple[Recipe, int]:
    """ViT-B/16 and CLIP's text tower of 12 layers of width 512, on noise; the second value is the batch size."""
    side, width, depth, heads, words, length, batch = (
        (32, 64, 2, 2, 99, 7, 4) if tiny else (224, 768, 12, 12, 49408, 77, 256)
    )
    image = VisionTransformer(side, 16, 3, width, depth, heads, outputs=512)
    text = Decoder(words, length, width=64 if tiny else 512, depth=depth, heads=2 if tiny else 8, outputs=512)
    data = torch.randn(batch * 4, 3, side, side), torch.randint(0, words, (batch * 4, length))
    return Recipe(TwoTower(image, text), data, contrast, TrainConfig(steps=1)), batch


def decoder_recipe(tiny: bool) -> tuple[Recipe, int]:
    """A decoder of 98 M parameters (GPT-2 small's blocks, 8192 tokens of vocabulary), sequences of 1024."""
    words, length, width, depth, heads, batch = (99, 16, 64, 2, 2, 4) if tiny else (8192, 1024, 768, 12, 12, 32)
    data = (torch.randint(0, words, (batch * 8, length + 1)),)
    return Recipe(Decoder(words, length, width, depth, heads), data, next_token, TrainConfig(steps=1)), batch


def flops_per_step(recipe: Recipe, batch: int) -> float:
    """6 N + 12 L T D per token, for forward and backward (Chowdhery et al., 2022, arXiv:2204.02311, appendix B)."""
    model, tokens = recipe.model, recipe.data[0].shape[1] - 1
    used = sum(p.numel() for p in model.parameters()) - model.embed.weight.numel() - model.positions.weight.numel()
    return batch * tokens * (6 * used + 12 * len(model.blocks) * tokens * model.embed.embedding_dim)


def hand_tuned_loop(recipe: Recipe, loss: Callable, steps: int, batch: int, device: torch.device) -> None:
    """What one writes for speed: data on the card, bf16, compile, fused AdamW, no reading of losses."""
    model, data = recipe.model.to(device), [t.to(device) for t in recipe.data]
    compiled = torch.compile(model)
    optimizer, losses = adamw(model, fused=True), []
    while len(losses) < steps:
        order = torch.randperm(len(data[0]), device=device)
        for rows in order.split(batch):
            with torch.autocast(device.type, torch.bfloat16):
                value = loss(compiled, tuple(t[rows] for t in data))
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
            losses.append(value.detach())
            if len(losses) == steps:
                break


def fit_on(recipe: Recipe, loss: Callable, steps: int, batch: int, device: torch.device, **settings: object) -> None:
    """`fit` on a device; `fused=False` takes the optimiser as it comes."""
    plain = None if settings.pop("fused", True) else adamw
    common = {"learning_rate": LEARNING_RATE, "log_every": steps, "progress": "none"}
    config = TrainConfig(steps=steps, batch_size=batch, **common, **settings)
    fit(recipe.model.to(device), recipe.data, loss, config, optimizer=plain)


LADDER = {
    "fp32": {"precision": "fp32", "fused": False, "micro": 0.25},
    "+ bf16": {"precision": "bf16", "fused": False, "micro": 0.25},
    "+ compile": {"precision": "bf16", "compile": "default", "fused": False, "micro": 0.25},
    "+ fused AdamW": {"precision": "bf16", "compile": "default", "micro": 0.25},
    "+ 4 times the micro-batch": {"precision": "bf16", "compile": "default", "micro": 1.0},
}


def timed(
    make: Callable, tiny: bool, device: torch.device, steps: int, run: Callable, passes: int = 1, **more: object
) -> float:
    """Seconds per step of one run from new weights."""
    torch.manual_seed(0)
    recipe, batch = make(tiny)
    watch = Stopwatch(recipe.loss, steps // 3 * passes, steps * passes, device)
    run(recipe, watch, steps, batch, device, **more)
    return watch.seconds_per_step * passes


def measure_gpu(device: torch.device, rounds: int, steps: int, tiny: bool) -> dict:
    """fit over a hand-tuned loop for the CLIP step and the decoder; the ladder; model FLOP utilisation."""
    fast, results = {"precision": "bf16", "compile": "default"}, {}
    for name, make in (("clip_vit_b16", clip_recipe), ("decoder_98m", decoder_recipe)):
        pairs = [
            (timed(make, tiny, device, steps, hand_tuned_loop), timed(make, tiny, device, steps, fit_on, **fast))
            for _ in range(rounds)
        ]
        results[name] = {
            "batch_size": make(tiny)[1],
            "milliseconds_per_step": {
                "hand-tuned loop": round(1e3 * statistics.median(hand for hand, _ in pairs), 3),
                "fit": round(1e3 * statistics.median(ours for _, ours in pairs), 3),
            },
            "fit_over_hand_tuned_loop": round(statistics.median(hand / ours for hand, ours in pairs), 3),
        }
    recipe, batch = decoder_recipe(tiny)
    results["decoder_98m"]["ladder"] = ladder(device, steps, tiny, batch, flops_per_step(recipe, batch))
    return results


def ladder(device: torch.device, steps: int, tiny: bool, batch: int, flops: float) -> dict:
    """Each rung of the decoder's speed, with tokens per second and model FLOP utilisation where the peak is known."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    peak, rungs = next((value for key, value in PEAKS.items() if key in name), None), {}
    for rung, settings in LADDER.items():
        micro, others = max(1, int(batch * settings["micro"])), {k: v for k, v in settings.items() if k != "micro"}
        more = {**others, "micro_batch_size": micro, "passes": batch // micro}
        seconds = timed(decoder_recipe, tiny, device, steps, fit_on, **more)
        utilisation = round(flops / seconds / peak, 4) if peak is not None else None
        rungs[rung] = {"milliseconds_per_step": round(1e3 * seconds, 3), "model_flop_utilisation": utilisation}
    return rungs


def installed(loops: dict[str, Callable]) -> tuple[dict[str, Callable], list[str]]:
    """The loops whose library is here, and the names of the others."""
    ensure_torchvision()  # lightning and transformers import it
    missing = [name for name in ("accelerate", "lightning", "transformers") if importlib.util.find_spec(name) is None]
    return {name: run for name, run in loops.items() if name not in missing}, missing


def provenance(device: torch.device, missing: list[str]) -> dict:
    """What a reader needs to judge or repeat the figures."""
    packages = [name for name in ("torch", "accelerate", "lightning", "transformers") if name not in missing]
    on_card = device.type == "cuda"
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "command": " ".join(["python", Path(__file__).relative_to(ROOT).as_posix(), *sys.argv[1:]]),
        "device": torch.cuda.get_device_name(device) if on_card else f"{platform.machine()} CPU, {platform.system()}",
        "threads": torch.get_num_threads(),
        "clock": "wall time, synchronised" if on_card else "CPU time of the process",
        "versions": {"python": platform.python_version()} | {p: importlib.metadata.version(p) for p in packages},
        "not_installed": missing,
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help='"cpu", "cuda" or "cuda:1"')
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=60, help="steps per run on a GPU; a third of them warms up")
    parser.add_argument("--out", type=Path, help="another file than datasets/recorded/training_<device>.json")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    device = pick_device(args.device).device
    if device.type == "cpu":
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        loops, missing = installed(LOOPS)
        results = {name: measure_cpu(name, steps, args.rounds, loops) for name, steps in LESSON_MODELS.items()}
        label = "cpu"
    else:
        missing = []
        results = measure_gpu(device, args.rounds, args.steps, tiny=False)
        label = torch.cuda.get_device_name(device).lower().replace(" ", "_")
    record = {**provenance(device, missing), "rounds": args.rounds, "results": results}
    out = args.out if args.out is not None else ROOT / "datasets" / "recorded" / f"training_{label}.json"
    out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
