"""Checkpoints are whole or absent. The kills are real: processes die of SIGKILL at random moments and runs go on."""

import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from course_lib.training.checkpoint import CheckpointError, latest, read_state, step_directories
from course_lib.training.config import TrainConfig
from course_lib.training.loop import fit
from course_lib.training.weights import load_weights

STEPS, KILLS = 220, 10


def net():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 9), nn.BatchNorm1d(9), nn.Dropout(0.2), nn.ReLU(), nn.Linear(9, 3))


def data():
    generator = torch.Generator().manual_seed(2)
    return torch.randn(47, 5, generator=generator), torch.randint(0, 3, (47,), generator=generator)


def cross_entropy(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def config(steps=20, **settings):
    common = {"batch_size": 16, "learning_rate": 1e-2, "checkpoint_every": 5, "progress": "none"}
    return TrainConfig(steps=steps, **{**common, **settings})


def train(run_dir, **settings):
    model = net()
    fit(model, data(), cross_entropy, config(**settings), run_dir=run_dir)
    return model


def names(run_dir):
    return [path.name for path in step_directories(run_dir)]


def test_the_newest_k_are_kept(tmp_path):
    train(tmp_path, keep_last=2, steps=22)
    assert sorted(os.listdir(tmp_path)) == ["step-00000020", "step-00000022", "train.lock"]


def test_no_file_holds_pickled_code(tmp_path):
    train(tmp_path)
    kinds = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert kinds == {".safetensors", ".json", ".sha256", ".lock"} and (tmp_path / "train.lock").read_text() == ""


def flip(path, bit=0, byte=-3):
    content = bytearray(path.read_bytes())
    content[byte] ^= 1 << bit
    path.write_bytes(content)


def grow(path):
    with path.open("ab") as file:
        file.write(b"0")


DAMAGES = {
    "cut": lambda path: os.truncate(path, path.stat().st_size - 5),
    "emptied": lambda path: path.write_bytes(b""),
    "flipped": flip,
    "grown": grow,
    "gone": lambda path: path.unlink(),
    "a directory": lambda path: (path.unlink(), path.mkdir()),
    "{}": lambda path: path.write_text("{}"),
    "null": lambda path: path.write_text("null"),
    "[]": lambda path: path.write_text("[]"),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("trained")
    train(run_dir)
    return run_dir


@pytest.fixture
def run_dir(trained, tmp_path):
    """A finished run to damage: steps 10, 15 and 20."""
    return shutil.copytree(trained, tmp_path / "run")


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["training.safetensors", "rng-0.json", "state.json", "state.sha256"])
def test_a_damaged_checkpoint_is_refused_and_the_one_before_it_used(run_dir, name, damage):
    newest, said = run_dir / "step-00000020", []
    DAMAGES[damage](newest / name)
    with pytest.raises(CheckpointError, match=name):
        read_state(newest)
    assert latest(run_dir, said.append) == run_dir / "step-00000015" and name in said[0]


def test_the_message_tells_a_cut_file_from_a_grown_one(run_dir):
    path = run_dir / "step-00000020" / "rng-0.json"
    grow(path)
    with pytest.raises(CheckpointError, match="changed after it was written"):
        read_state(path.parent)
    os.truncate(path, 9)
    with pytest.raises(CheckpointError, match="has 9 bytes of .*: it was cut short"):
        read_state(path.parent)


def test_any_one_bit_of_the_manifest_counts(run_dir):
    """Without its seal `"step": 9 -> 8` is JSON as good as before, and a step is trained twice."""
    chance, newest = random.Random(0), run_dir / "step-00000020"
    for name in ("state.json", "state.sha256"):
        path = newest / name
        whole = path.read_bytes()
        for _ in range(300):
            flip(path, chance.randrange(8), chance.randrange(len(whole)))
            with pytest.raises(CheckpointError, match="state.json changed after it was written"):
                read_state(newest, verify=False)
            path.write_bytes(whole)
    assert read_state(newest)["step"] == 20


def test_the_seal_is_one_that_sha256sum_reads(run_dir):
    newest = run_dir / "step-00000020"
    line = f"{hashlib.sha256((newest / 'state.json').read_bytes()).hexdigest()}  state.json\n"
    assert (newest / "state.sha256").read_text() == line


def test_a_renamed_checkpoint_is_refused(run_dir):
    (run_dir / "step-00000020").rename(run_dir / "step-00000030")
    with pytest.raises(CheckpointError, match="step-00000030 holds step 20"):
        read_state(run_dir / "step-00000030")


def test_a_checkpoint_of_an_older_version_is_refused_and_says_how_its_weights_are_read(run_dir):
    newest = run_dir / "step-00000020"
    (newest / "state.sha256").unlink()
    with pytest.raises(
        CheckpointError, match=r"of a version that wrote no state.sha256 .* load_weights\(model, '(.*)'"
    ):
        read_state(newest)
    load_weights(net(), newest / "model.safetensors")


def test_when_all_are_damaged_a_resume_is_refused_and_not_begun_anew(run_dir):
    for directory in step_directories(run_dir):
        flip(directory / "state.json")
    before = sorted(path.name for path in run_dir.iterdir())
    expected = r"no checkpoint in .* is whole: .*step-00000020.*step-00000015.*step-00000010.*To start afresh"
    with pytest.raises(CheckpointError, match=expected):
        fit(net(), data(), cross_entropy, config(), run_dir=run_dir, resume=True)
    assert sorted(path.name for path in run_dir.iterdir()) == before


def test_a_resume_says_where_it_goes_on(run_dir, tmp_path):
    flip(run_dir / "step-00000020" / "model.safetensors")
    damaged = fit(net(), data(), cross_entropy, config(), run_dir=run_dir, resume=True)
    assert "passed over a checkpoint: " in damaged.notes[0] and "step-00000020" in damaged.notes[0]
    assert damaged.notes[1:] == [f"resumed after step 15 from {run_dir / 'step-00000015'}"]
    new = fit(net(), data(), cross_entropy, config(), run_dir=tmp_path / "new", resume=True)
    assert new.notes == [f"{tmp_path / 'new'} holds no checkpoint yet: the run starts at its beginning"]


def test_a_resume_after_damage_ends_at_the_same_weights(tmp_path):
    whole = train(tmp_path)
    os.truncate(tmp_path / "step-00000020" / "model.safetensors", 100)
    again = net()
    torch.manual_seed(77)  # the generators come from the checkpoint
    fit(again, data(), cross_entropy, config(), run_dir=tmp_path, resume=True)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))
    assert latest(tmp_path).name == "step-00000020"  # written anew in place of the damaged one


def test_a_damaged_later_one_does_not_push_out_the_one_just_written(tmp_path):
    train(tmp_path)
    (tmp_path / "step-00000020" / "state.json").unlink()
    fit(net(), data(), cross_entropy, config(checkpoint_every=2, steps=19, keep_last=1), run_dir=tmp_path, resume=True)
    assert names(tmp_path) == ["step-00000019"] and read_state(tmp_path / "step-00000019")["step"] == 19


def test_a_full_disk_leaves_the_previous_one_intact(tmp_path):
    """The kernel refuses to let a file grow, in the middle of a write: ENOSPC's twin that a test can bring about."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def full_from_step_8(model, batch):
        steps[0] += 1
        if steps[0] == 8:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1500, limits[1]))
        return cross_entropy(model, batch)

    steps = [0]
    try:
        with pytest.raises(
            CheckpointError, match="step-00000010 was not written .* the last whole one is step-00000005"
        ):
            fit(net(), data(), full_from_step_8, config(), run_dir=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(tmp_path) == ["step-00000005"] and not list(tmp_path.glob("*.tmp"))
    assert read_state(tmp_path / "step-00000005")["step"] == 5


def test_killed_ten_times_at_random_moments_it_ends_bit_identical(tmp_path):
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == f"{KILLS} kills, identical: True", done.stdout


HARD = {"steps": STEPS, "checkpoint_every": 1, "keep_last": 2, "ema_decay": 0.9, "clip_norm": 1.0, "schedule": "cosine"}


def nursery(run_dir):
    """Import torch once, then fork one child per life; every child but the last is killed with SIGKILL.

    A checkpoint is written after every step, so most kills fall into the middle of a write.
    """
    chance = random.Random(0)
    reference = train(None, **{**HARD, "checkpoint_every": None})
    for life in range(KILLS):
        fatal_step = (life + 1) * STEPS // (KILLS + 1)
        status = in_child(partial(live, run_dir, fatal_step, chance.uniform(0, 0.02)))
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
        print("killed; on disk:", sorted(os.listdir(run_dir)))
    survivor = live(run_dir, None, 0)
    pairs = zip(reference.state_dict().values(), survivor.state_dict().values(), strict=True)
    print(f"{KILLS} kills, identical: {all(torch.equal(a, b) for a, b in pairs)}")


def live(run_dir, fatal_step, delay):
    model, steps = net(), step_directories(run_dir)
    done = [int(steps[-1].name[5:]) if steps else 0]

    def loss(model, batch):
        done[0] += 1
        if done[0] == fatal_step:
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return cross_entropy(model, batch)

    fit(model, data(), loss, config(**HARD), run_dir=run_dir, resume=True)
    return model


def in_child(work):
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return os.waitpid(child, 0)[1]


if __name__ == "__main__":
    nursery(Path(sys.argv[1]))
