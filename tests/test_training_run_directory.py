"""A directory takes one run at a time, and says before the first step that nothing can be written in it."""

import errno
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from course_lib.training import lock
from course_lib.training.checkpoint import CheckpointError
from course_lib.training.config import TrainConfig
from course_lib.training.lock import RunDirectoryBusy, held
from course_lib.training.loop import fit

ROOT = Path(__file__).resolve().parents[1]
DATA = torch.ones(8, 3), torch.ones(8, 1)
steps_done = []


def train(run_dir, **options):
    def loss(model, batch):
        steps_done.append(1)
        return (model(batch[0]) - batch[1]).square().mean()

    steps_done.clear()
    config = TrainConfig(steps=4, batch_size=4, progress="none")
    return fit(nn.Linear(3, 1), DATA, loss, config, run_dir=run_dir, **options)


# --- one writer ---------------------------------------------------------------------------------------------------


@pytest.fixture
def holder(tmp_path):
    """Another process that holds `tmp_path`; it ends when its stdin does."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom course_lib.training.lock import held\n"
        "with held(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill(), process.communicate()


@pytest.mark.parametrize("resume", [False, True])
def test_a_second_run_is_refused_and_told_who_trains_there(holder, tmp_path, resume):
    with pytest.raises(RunDirectoryBusy) as error:
        train(tmp_path, resume=resume)
    expected = f"another process trains in {tmp_path} (pid {holder.pid} on {socket.gethostname()}, since 2"
    assert str(error.value).startswith(expected) and steps_done == []


def test_a_killed_run_leaves_no_lock(holder, tmp_path):
    holder.kill()
    holder.wait()
    assert json.loads((tmp_path / lock.NAME).read_text())["pid"] == holder.pid  # its name is still there
    assert len(train(tmp_path)) == 4


def test_a_run_that_ended_leaves_no_lock_and_no_name(holder, tmp_path):
    holder.communicate("")
    assert (tmp_path / lock.NAME).read_text() == ""
    with held(tmp_path):
        assert json.loads((tmp_path / lock.NAME).read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("text", ["", "{}", "null", "[1]", '{"pid": 3'])
def test_a_holder_without_a_name_is_one_all_the_same(holder, tmp_path, text):
    (tmp_path / lock.NAME).write_text(text)
    with pytest.raises(RunDirectoryBusy, match="another process trains in .*; wait until it has ended"):
        train(tmp_path)


def test_one_process_cannot_train_twice_in_it(tmp_path):
    with held(tmp_path):
        with pytest.raises(RunDirectoryBusy, match="this process trains in .* already"), held(tmp_path):
            pass
        with pytest.raises(RunDirectoryBusy), held(tmp_path / ".." / tmp_path.name):  # by any other name
            pass
        assert _is_held_for_others(tmp_path)  # the refusals took nothing away
    assert not _is_held_for_others(tmp_path)


def _is_held_for_others(directory):
    code = "import sys, pathlib, course_lib.training.lock as lock\nwith lock.held(pathlib.Path(sys.argv[1])): 0"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, str(directory)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0 or "RunDirectoryBusy" in done.stderr, done.stderr
    return done.returncode != 0


def test_a_child_that_outlives_its_killed_parent_keeps_nothing(tmp_path):
    """As a worker that reads data does for some seconds."""
    reading, writing = os.pipe()
    parent = os.fork()
    if parent == 0:
        with held(tmp_path):
            child = os.fork()
            if child == 0:
                signal.pause()
            os.write(writing, str(child).encode())
            signal.pause()
    orphan = int(os.read(reading, 20))
    try:
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        with held(tmp_path):
            pass
    finally:
        os.kill(orphan, signal.SIGKILL)


def test_where_the_disk_has_no_locks_it_is_said(tmp_path, monkeypatch):
    def refuse(file):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "_lock_by_system", refuse)
    with pytest.warns(UserWarning, match="disk without locks.*let no other run use it"):
        assert len(train(tmp_path)) == 4


def test_a_run_that_fails_gives_the_directory_back(tmp_path):
    with pytest.raises(TypeError):
        fit(nn.Linear(3, 1), DATA, None, TrainConfig(steps=4, batch_size=4, progress="none"), run_dir=tmp_path)
    assert len(train(tmp_path)) == 4


def test_it_works_outside_the_main_thread(tmp_path):
    thread = threading.Thread(target=train, args=(tmp_path,))
    thread.start(), thread.join()
    assert len(steps_done) == 4 and (tmp_path / "step-00000004").is_dir()


# --- tried before the first step ----------------------------------------------------------------------------------


@pytest.mark.parametrize("run_dir", ["", " "])
def test_no_name_is_no_directory(run_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="names no directory"):
        train(run_dir)
    assert steps_done == [] and list(tmp_path.iterdir()) == []


def test_a_file_in_its_place_is_refused_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CheckpointError, match=r"in run_dir .*/file \(it is a file\)"):
        train(tmp_path / "file")
    with pytest.raises(CheckpointError, match="Not a directory"):
        train(tmp_path / "file" / "run")
    assert steps_done == [] and (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes where it likes")
def test_a_read_only_directory_is_refused_before_the_first_step(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(CheckpointError, match="Permission denied.*use a directory that you may write to"):
        train(tmp_path)
    assert steps_done == []


def test_a_full_disk_is_found_before_the_first_step(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(CheckpointError, match="no checkpoint could be written in run_dir"):
            train(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert steps_done == []


@pytest.mark.parametrize("call", ["mkdir", "rename"])
def test_whatever_a_checkpoint_does_is_tried(tmp_path, monkeypatch, call):
    def refuse(self, *args, **keywords):
        raise OSError(errno.EROFS, "Read-only file system")

    tmp_path.joinpath("run").mkdir()
    real = Path.mkdir
    monkeypatch.setattr(Path, call, lambda self, *a, **k: real(self, *a, **k) if self.name == "run" else refuse(self))
    with pytest.raises(CheckpointError, match="Read-only file system"):
        train(tmp_path / "run")
    assert steps_done == []


def test_the_trial_leaves_nothing_and_clears_what_a_killed_one_left(tmp_path):
    for left in ("rehearsal", "rehearsal.tmp"):
        (tmp_path / left).mkdir()
    train(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["step-00000004", lock.NAME]


# --- the data it was trained on -----------------------------------------------------------------------------------


class Squares(Dataset):
    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, row):
        return torch.full((3,), float(row)), torch.zeros(1)


def start(run_dir, data, steps=4, **options):
    def loss(model, batch):
        one, other = batch.values() if isinstance(batch, dict) else batch
        return (model(one) - other).square().mean()

    config = TrainConfig(steps=steps, batch_size=4, progress="none")
    return fit(nn.Linear(3, 1), data, loss, config, run_dir=run_dir, **options)


x, y = torch.arange(300.0).view(100, 3) / 300, torch.zeros(100, 1)
OTHERS = {
    "fewer": ((x, y), (x[:50], y[:50]), "100 examples, 50 came"),
    "more": ((x, y), (torch.cat([x, x]), torch.cat([y, y])), "100 examples, 200 came"),
    "another first row": ((x, y), (torch.cat([x[:1] + 1, x[1:]]), y), "100 examples, as many came, but not the same"),
    "another last row": ((x, y), (torch.cat([x[:-1], x[-1:] + 1]), y), "as many came, but not the same"),
    "another order": ((x, y), (x.flip(0), y), "as many came, but not the same"),
    "other names": ({"a": x, "b": y}, {"c": x, "d": y}, "as many came, but not the same"),
    "a longer Dataset": (Squares(40), Squares(41), "40 examples, 41 came"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_resume_on_other_data_is_refused_with_both_counts_unless_it_is_asked_for(tmp_path, name):
    before, after, expected = OTHERS[name]
    start(tmp_path, before)
    with pytest.raises(ValueError, match=f"started on other data .*{expected}.*other_data=True"):
        start(tmp_path, after, steps=6, resume=True)
    assert len(start(tmp_path, after, steps=6, resume=True, other_data=True)) == 6


@pytest.mark.parametrize("name", OTHERS)
def test_a_resume_on_equal_data_goes_on(tmp_path, name):
    start(tmp_path, OTHERS[name][0])
    again = OTHERS[name][0]
    again = tuple(t.clone() for t in again) if isinstance(again, tuple) else again
    assert len(start(tmp_path, again, steps=6, resume=True)) == 6
