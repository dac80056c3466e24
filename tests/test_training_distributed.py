"""Two gloo processes against one: the same gradient, losses and weights. One torchrun start runs all the checks.

Models are in float64, so that only a wrong formula, not the order of a sum, can show at a tolerance of 1e-10.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from functools import partial
from itertools import product
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from course_lib.training.config import TrainConfig
from course_lib.training.distributed import RefusedElsewhere, gather, parallel, process_group, world
from course_lib.training.engine import Engine
from course_lib.training.loop import fit
from course_lib.training.weights import load_weights

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


COMMON = {
    "learning_rate": 0.05,
    "evaluate_every": 2,
    "clip_norm": 0.5,
    "ema_decay": 0.9,
    "progress": "none",
    "log_every": 2,
}
RUNS = {
    # name: model, data, loss, what weighs, config. A batch of 5 gives shares of 3 and 2; the tail of 2, 1 and 1.
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
    return model, fit(model, data(), loss, config, evaluate_all, weigh=weigh, **keywords)


def evaluate_all(model):
    """A forward without a backward in between, after which FSDP2 must take the weights apart again."""
    first = next(model.parameters()).shape[-1]
    return {"mean": (model(sentences()[0]) if first != 7 else model(*pairs())[0]).mean()}


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
        for name, shard in product(RUNS, (False, True)):
            key = f"{name}/{'fsdp' if shard else 'ddp'}"
            model, history = train(name, shard)
            results |= {f"{key}/{k}": v for k, v in whole(model).items()}
            results |= {f"{key}/gradient {i}": g for i, g in enumerate(first_gradient(name, shard))}
            histories[key] = history.rows
        for shard in (False, True):  # half a run each, to be continued by one process
            train("equal shares", shard, run_dir=out / f"two, shard={shard}", settings={"steps": 3})
        for shard in (False, True):  # the other half of a run that one process began
            model, _ = train("equal shares", shard, run_dir=out / f"one for shard={shard}", resume=True)
            results |= {f"continued shard={shard}/{k}": v for k, v in whole(model).items()}
        half = {"precision": "bf16", "gradient_checkpointing": True}
        histories["half precision"] = train("accumulation", True, settings=half)[1].rows
        with pytest.raises(FileExistsError if world().rank == 0 else RefusedElsewhere):  # nobody waits for ever
            train("equal shares", run_dir=out / "two, shard=False")
        for message, call in REFUSED.items():
            with pytest.raises(ValueError, match=message):
                call()
        if world().rank == 0:
            save_file(results, out / "results.safetensors")
            (out / "histories.json").write_text(json.dumps(histories))


def scalar_parameter():
    model = nn.Linear(2, 2)
    model.scale = nn.Parameter(torch.tensor(1.0))
    parallel(model, True, torch.float32)


REFUSED = {
    "FSDP2 cannot split scale.*give it the shape": scalar_parameter,
    "a batch of 1 examples cannot be shared by 2 processes": lambda: train("equal shares", settings={"batch_size": 13}),
    "leave one process a pass without": lambda: train("accumulation", settings={"micro_batch_size": 1}),
    "works in one process": lambda: train("equal shares", settings={"micro_batch_size": "auto"}),
}


def doomed(out, shard=False):
    """Two processes under the elastic agent; in the first life the second dies of SIGKILL in the middle of the run."""

    def loss(model, batch):
        calls[0] += 1
        if calls[0] == 6 and world().rank == 1 and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
            os.kill(os.getpid(), signal.SIGKILL)
        return example_loss(model, batch)

    calls = [0]
    with process_group("cpu"):
        changed = {"steps": 9, "checkpoint_every": 2, "shard": shard}
        settings = TrainConfig(**{**vars(RUNS["equal shares"][-1]), **changed})
        model = seeded(Classifier)
        fit(model, sentences(), loss, settings, evaluate_all, run_dir=out / "run", resume=True)
        weights = whole(model)
        if world().rank == 0:
            save_file(weights, out / "weights.safetensors")
            (out / "restarts").write_text(os.environ["TORCHELASTIC_RESTART_COUNT"])


def torchrun(out, mode, *options):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (out / f"{mode}.log").open("w") as log:
        agent = subprocess.Popen(
            [*command, __file__, mode, str(out)], env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            status = agent.wait(timeout=400)
        finally:
            if agent.poll() is None:
                os.killpg(agent.pid, signal.SIGTERM)  # the agent and, through it, the workers
    assert status == 0, (out / f"{mode}.log").read_text()[-4000:]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    out = tmp_path_factory.mktemp("gloo")
    for shard in (False, True):
        train("equal shares", run_dir=out / f"one for shard={shard}", settings={"steps": 3})
    torchrun(out, "worker", "--standalone")
    return load_file(out / "results.safetensors"), json.loads((out / "histories.json").read_text()), out


@pytest.mark.parametrize(("name", "engine"), list(product(RUNS, ("ddp", "fsdp"))))
def test_two_processes_give_the_gradient_losses_and_weights_of_one(two, name, engine):
    results, histories, _ = two
    model, history = train(name)
    for i, gradient in enumerate(first_gradient(name)):
        torch.testing.assert_close(results[f"{name}/{engine}/gradient {i}"], gradient, **EXACT)
    for key, value in model.state_dict().items():
        torch.testing.assert_close(results[f"{name}/{engine}/{key}"], value, **EXACT)
    for column in ("loss", "grad_norm", "learning_rate"):
        ours = [row[column] for row in histories[f"{name}/{engine}"]]
        assert ours == pytest.approx(history[column], rel=1e-6)  # weights of tokens are counted in fp32


def test_sharding_goes_with_half_precision_and_recomputation(two):
    exact = train("accumulation")[1]["loss"]
    half = [row["loss"] for row in two[1]["half precision"]]
    assert half == pytest.approx(exact, rel=0.02) and half != pytest.approx(exact, rel=1e-5)


def test_the_cases_would_show_a_plain_average_of_unequal_shares():
    model, (tokens, real) = seeded(Classifier), sentences()
    whole_loss = token_loss(model, (tokens[:5], real[:5]))
    halves = [token_loss(model, (tokens[a:b], real[a:b])) for a, b in ((0, 3), (3, 5))]
    right = torch.autograd.grad(whole_loss, model.head.weight)[0]
    naive = torch.autograd.grad(sum(halves) / 2, model.head.weight)[0]
    assert (right - naive).abs().max() > 1e-3


def test_a_contrastive_loss_without_the_others_rows_is_another_loss():
    model, batch = seeded(Towers), tuple(t[:7] for t in pairs())
    alone = (clip_loss(model, tuple(t[:4] for t in batch)) * 4 + clip_loss(model, tuple(t[4:] for t in batch)) * 3) / 7
    assert clip_loss(model, batch).item() - alone.item() > 0.1


@pytest.mark.parametrize("shard", [False, True])
def test_a_checkpoint_of_two_processes_is_continued_by_one_and_the_other_way_round(two, shard):
    results, _, out = two
    files = {path.name.partition("-")[0] for path in (out / f"two, shard={shard}" / "step-00000003").iterdir()}
    assert ("shard" in files) is shard
    uninterrupted, _ = train("equal shares")
    continued, _ = train("equal shares", run_dir=out / f"two, shard={shard}", resume=True)
    for key, value in uninterrupted.state_dict().items():
        torch.testing.assert_close(continued.state_dict()[key], value, **EXACT)
        torch.testing.assert_close(results[f"continued shard={shard}/{key}"], value, **EXACT)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


@pytest.mark.parametrize(("start", "mode"), [("--standalone", "doomed"), ("--master-port", "doomed-sharded")])
def test_the_elastic_agent_restarts_from_the_last_checkpoint(tmp_path, start, mode):
    """torchrun's store outlives the workers, and their successors must not read what they wrote there."""
    where = [start] if start == "--standalone" else [start, free_port()]
    torchrun(tmp_path, mode, *where, "--max-restarts", "2")
    assert (tmp_path / "restarts").read_text() == "1"
    uninterrupted, _ = train("equal shares", settings={"steps": 9})
    restarted = seeded(Classifier)
    load_weights(restarted, tmp_path / "weights.safetensors")
    for key, value in uninterrupted.state_dict().items():
        torch.testing.assert_close(restarted.state_dict()[key], value, **EXACT)


def test_one_process_gathers_its_own_rows():
    rows = torch.randn(3, 2, requires_grad=True)
    assert gather(rows).rows is rows and gather(rows).start == 0


if __name__ == "__main__":
    modes = {"worker": worker, "doomed": doomed, "doomed-sharded": partial(doomed, shard=True)}
    modes[sys.argv[1]](Path(sys.argv[2]))
