"""Two gloo processes against one: the same gradient, losses and weights. One torchrun start runs all the checks.

Models are in float64, so that only a wrong formula, not the order of a sum, can show at a tolerance of 1e-10.
"""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from course_lib.training.config import TrainConfig
from course_lib.training.distributed import gather, parallel, process_group, world
from course_lib.training.engine import Engine
from course_lib.training.loop import fit

EXACT = {"rtol": 1e-10, "atol": 1e-10}


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.blocks = nn.ModuleList(nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 6), nn.GELU()) for _ in range(2))
        self.head = nn.Linear(6, 11)

    def forward(self, tokens):
        x = self.embed(tokens)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


class Towers(nn.Module):
    def __init__(self):
        super().__init__()
        self.image, self.text = nn.Linear(7, 5), nn.Linear(9, 5)

    def forward(self, image, text):
        return nn.functional.normalize(self.image(image), dim=-1), nn.functional.normalize(self.text(text), dim=-1)


def seeded(kind):
    torch.manual_seed(3)
    return kind().double()


def sentences():
    """14 sentences of 4 tokens whose lengths differ, so that processes hold different numbers of targets."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(1, 11, (14, 4), generator=generator)
    lengths = torch.randint(1, 5, (14,), generator=generator)
    return tokens.masked_fill(torch.arange(4) >= lengths[:, None], 0), (torch.arange(4) < lengths[:, None])


def example_loss(model, batch):
    return (model(batch[0]) - 1).square().mean()


def token_loss(model, batch):
    tokens, real = batch
    return nn.functional.cross_entropy(model(tokens)[real], tokens[real])


def pairs():
    generator = torch.Generator().manual_seed(2)
    return tuple(torch.randn(15, width, generator=generator, dtype=torch.float64) for width in (7, 9))


def clip_loss(model, batch):
    """Own rows against everybody's; written for one process as for several."""
    image, text = model(*batch)
    all_images, all_texts = gather(image, unequal=True), gather(text, unequal=True)
    targets = all_images.start + torch.arange(len(image))
    to_text = nn.functional.cross_entropy(10 * image @ all_texts.rows.T, targets)
    to_image = nn.functional.cross_entropy(10 * text @ all_images.rows.T, targets)
    return (to_text + to_image) / 2


COMMON = {"learning_rate": 0.05, "clip_norm": 0.5, "ema_decay": 0.9, "progress": "none", "log_every": 2}
RUNS = {
    # name: model, data, loss, what weighs, config. Batches of 5 give shares of 3 and 2, of 6 the tail of 2 gives 1 and 1.
    "equal shares": (Classifier, sentences, example_loss, None, TrainConfig(steps=5, batch_size=6, **COMMON)),
    "unequal shares": (Classifier, sentences, example_loss, None, TrainConfig(steps=5, batch_size=5, **COMMON)),
    "accumulation": (
        Classifier,
        sentences,
        example_loss,
        None,
        TrainConfig(steps=5, batch_size=7, micro_batch_size=2, tail="drop", **COMMON),
    ),
    "token weights": (
        Classifier,
        sentences,
        token_loss,
        lambda batch: batch[1].sum(),
        TrainConfig(steps=5, batch_size=7, micro_batch_size=2, tail="drop", **COMMON),
    ),
    "clip": (Towers, pairs, clip_loss, None, TrainConfig(steps=4, batch_size=7, tail="drop", **COMMON)),
}


def train(name, shard=False, **keywords):
    kind, data, loss, weigh, config = RUNS[name]
    config = TrainConfig(**{**vars(config), "shard": shard, **keywords.pop("settings", {})})
    model = seeded(kind)
    return model, fit(model, data(), loss, config, weigh=weigh, **keywords)


def whole(model):
    return {k: (v.full_tensor() if hasattr(v, "full_tensor") else v).clone() for k, v in model.state_dict().items()}


def first_gradient(name, shard=False):
    kind, data, loss, weigh, config = RUNS[name]
    config = TrainConfig(**{**vars(config), "shard": shard})
    engine = Engine(seeded(kind), loss, config, weigh, print)
    batch = tuple(t[: config.batch_size].tensor_split(world().size)[world().rank] for t in data())
    engine.gradient(batch, config.batch_size)
    grads = [p.grad for p in engine.parameters]
    return [(g.full_tensor() if hasattr(g, "full_tensor") else g).clone() for g in grads]


def worker(out):
    """What each of the two processes runs; rank 0 writes the results for the tests below."""
    results, histories = {}, {}
    with process_group("cpu"):
        for name in RUNS:
            for shard in (False, True):
                key = f"{name}/{'fsdp' if shard else 'ddp'}"
                model, history = train(name, shard)
                results |= {f"{key}/{k}": v for k, v in whole(model).items()}
                results |= {f"{key}/grad{i}": g for i, g in enumerate(first_gradient(name, shard))}
                histories[key] = history.rows
        for shard in (False, True):  # half a run, to be continued by another number of processes
            half = {"settings": {"schedule": "constant", "checkpoint_every": 3}}
            train("equal shares", shard, run_dir=out / ("sharded" if shard else "copied"), **half)
        model, _ = train("equal shares", True, run_dir=out / "one", resume=True)
        results |= {f"one to two/{k}": v for k, v in whole(model).items()}
        for key, call in REFUSED.items():
            with pytest.raises(ValueError, match=key):
                call()
        if world().rank == 0:
            save_file(results, out / "results.safetensors")
            (out / "histories.json").write_text(json.dumps(histories))


def scalar_parameter():
    model = nn.Linear(2, 2)
    model.scale = nn.Parameter(torch.tensor(1.0))
    parallel(model, True, torch.float32)


REFUSED = {
    "give it the shape": scalar_parameter,
    "cannot be shared by 2 processes": lambda: train("equal shares", settings={"batch_size": 13}),
    "leave one process a pass": lambda: train("equal shares", settings={"batch_size": 7, "micro_batch_size": 1}),
}


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    out = tmp_path_factory.mktemp("gloo")
    train("equal shares", run_dir=out / "one", settings={"steps": 3})
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"]
    done = subprocess.run(
        [*torchrun, __file__, str(out)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return load_file(out / "results.safetensors"), json.loads((out / "histories.json").read_text()), out


if __name__ == "__main__":
    worker(Path(sys.argv[1]))
