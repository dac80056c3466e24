"""The loop as its users see it: what comes back, what happens when something goes wrong, and that a resume is exact."""

import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from course_lib.training import loop
from course_lib.training.checkpoint import step_directories
from course_lib.training.config import TrainConfig
from course_lib.training.loop import fit
from course_lib.training.recorder import NonFiniteLoss


def net(dropout=0.0):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 9), nn.Dropout(dropout), nn.ReLU(), nn.Linear(9, 3))


def data():
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(47, 5, generator=generator)
    return x, x[:, :3].argmax(1)


def cross_entropy(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def accuracy(model):
    return {"accuracy": (model(data()[0]).argmax(1) == data()[1]).float().mean()}


def config(**settings):
    settings = {} if "epochs" in settings else {"steps": 20}, settings
    return TrainConfig(**{"batch_size": 16, "learning_rate": 1e-2, "progress": "none"} | settings[0] | settings[1])


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_it_is_the_loop_one_would_write_by_hand():
    ours, theirs = net(), net()
    history = fit(ours, data(), cross_entropy, config(epochs=3, weight_decay=0.0, batch_size=47))
    optimizer, losses = torch.optim.AdamW(theirs.parameters(), lr=1e-2, weight_decay=0.0), []
    for _ in range(3):
        optimizer.zero_grad()
        loss = cross_entropy(theirs, data())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert history["loss"] == pytest.approx(losses, rel=1e-5) and history.steps("loss") == [1, 2, 3]
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_it_learns_and_measures_when_asked():
    history = fit(net(), data(), cross_entropy, config(steps=150, evaluate_every=60), evaluate=accuracy)
    assert history.steps("accuracy") == [60, 120, 150]
    assert history["accuracy"][-1] > 0.95 and history["loss"][-1] < 0.3 * history["loss"][0]


def test_the_measure_runs_in_eval_mode_without_gradients_and_training_goes_on():
    modes = []

    def evaluate(model):
        modes.append((model.training, torch.is_grad_enabled()))
        return {}

    model = net(dropout=0.5)
    fit(model, data(), cross_entropy, config(evaluate_every=10), evaluate=evaluate)
    assert modes == [(False, False), (False, False)] and model.training


def test_seed_fixes_the_order_and_nothing_global_changes():
    before = torch.get_rng_state()
    a, b, c = net(), net(), net()
    torch.set_rng_state(before)
    for model, seed in ((a, 5), (b, 5), (c, 6)):
        fit(model, data(), cross_entropy, config(seed=seed))
    assert same(a, b) and not same(a, c)
    assert torch.equal(before, torch.get_rng_state())


def test_tensors_a_dict_and_a_dataset_train_alike():
    a, b, c = net(), net(), net()
    fit(a, data(), cross_entropy, config())
    fit(b, dict(zip("xy", data(), strict=True)), lambda m, batch: cross_entropy(m, (batch["x"], batch["y"])), config())
    fit(c, TensorDataset(*data()), cross_entropy, config(workers=1))
    assert same(a, b) and same(a, c)


def test_settings_that_save_memory_do_not_change_the_result():
    plain, saving = net().double(), net().double()
    x, y = data()
    fit(plain, (x.double(), y), cross_entropy, config())
    fit(saving, (x.double(), y), cross_entropy, config(micro_batch_size=3))
    for a, b in zip(plain.parameters(), saving.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_the_average_is_measured_and_stays_in_the_model():
    seen = []

    def evaluate(model):
        seen.append(model[0].weight.clone())
        return {}

    averaged, plain = net(), net()
    fit(averaged, data(), cross_entropy, config(ema_decay=0.9), evaluate=evaluate)
    fit(plain, data(), cross_entropy, config())
    assert torch.equal(seen[0], averaged[0].weight) and not torch.equal(averaged[0].weight, plain[0].weight)


def test_any_optimiser_can_be_passed():
    model = net()
    rule = {}

    def lion_like(model):
        rule["made"] = torch.optim.RMSprop(model.parameters(), lr=123.0)
        return rule["made"]

    fit(model, data(), cross_entropy, config(schedule="cosine"), optimizer=lion_like)
    assert rule["made"].param_groups[0]["lr"] < 1e-3  # the schedule's last rate, not 123


NAN_AT = 13


def poisoned(model, batch, count=None):
    count[0] += 1
    return cross_entropy(model, batch) * (float("nan") if count[0] == NAN_AT else 1.0)


def test_a_loss_that_is_not_finite_stops_with_all_there_is_to_know(tmp_path):
    count, model = [0], net()
    with pytest.raises(NonFiniteLoss) as error:
        loss = lambda m, b: poisoned(m, b, count)  # noqa: E731
        fit(model, data(), loss, config(checkpoint_every=5, clip_norm=1.0), run_dir=tmp_path)
    message, history = str(error.value), error.value.history
    assert f"the loss is nan at step {NAN_AT}, gradient norm nan" in message
    assert f"last finite loss was {history['loss'][-1]:.4g} at step 12" in message and len(history) == 12
    assert f"last good checkpoint is {tmp_path / 'step-00000010'}" in message
    assert all(p.isfinite().all() for p in model.parameters())  # on the CPU it stops before the update


class InfiniteSlope(torch.autograd.Function):
    @staticmethod
    def forward(ctx, loss):
        return loss.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * float("inf")


@pytest.mark.parametrize("steps", [1, 2, 9])
def test_an_infinite_gradient_in_the_last_step_is_an_error_without_any_directory(steps):
    """No later loss would show it: the run would end with weights that are not numbers, and say nothing."""
    count = [0]

    def loss(model, batch):
        count[0] += 1
        value = cross_entropy(model, batch)
        return InfiniteSlope.apply(value) if count[0] == steps else value

    with pytest.raises(NonFiniteLoss, match=f"weights are not finite after step {steps}; no checkpoint") as error:
        fit(net(), data(), loss, config(steps=steps))
    assert len(error.value.history) == steps


def test_weights_that_no_loss_depends_on_are_looked_at_too():
    def loss(model, batch):
        return cross_entropy(model[0], batch) + InfiniteSlope.apply(model[1].weight.sum()).nan_to_num(0.0)

    with pytest.raises(NonFiniteLoss, match="weights are not finite after step 20"):
        fit(nn.Sequential(net(), nn.Linear(2, 1)), data(), loss, config(weight_decay=0.0))


def test_weights_that_are_not_finite_never_become_a_checkpoint(tmp_path):
    count = [0]

    def loss(model, batch):
        count[0] += 1
        value = cross_entropy(model, batch)
        return InfiniteSlope.apply(value) if count[0] == 10 else value

    with pytest.raises(NonFiniteLoss, match=r"weights are not finite after step 10.*step-00000005"):
        fit(net(), data(), loss, config(checkpoint_every=5), run_dir=tmp_path)
    assert [path.name for path in step_directories(tmp_path)] == ["step-00000005"]


def test_ctrl_c_finishes_the_step_and_keeps_everything(tmp_path):
    count = [0]

    def loss(model, batch):
        count[0] += 1
        if count[0] == 7:
            os.kill(os.getpid(), signal.SIGINT)
        return cross_entropy(model, batch)

    before = signal.getsignal(signal.SIGINT)
    stopped, seven = net(), net()
    history = fit(stopped, data(), loss, config(), run_dir=tmp_path)
    assert history.stopped == "interrupted after step 7" and len(history) == 7
    fit(seven, data(), cross_entropy, config(steps=7))
    assert same(stopped, seven) and signal.getsignal(signal.SIGINT) is before
    resumed, whole = net(), net()
    fit(resumed, data(), cross_entropy, config(), run_dir=tmp_path, resume=True)
    fit(whole, data(), cross_entropy, config())
    assert same(resumed, whole)


@pytest.mark.parametrize("reads_late", [False, True])
def test_ctrl_c_without_a_directory_counts_every_step_done(monkeypatch, reads_late):
    def loss(model, batch):
        count[0] += 1
        if count[0] == 7:
            os.kill(os.getpid(), signal.SIGINT)
        return cross_entropy(model, batch)

    count = [0]
    monkeypatch.setattr("course_lib.training.loop.waits", lambda device: reads_late)
    history = fit(net(), data(), loss, config())
    assert history.stopped == "interrupted after step 7" and history.steps("loss") == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("with_directory", [True, False])
def test_sigterm_finishes_the_step_writes_a_checkpoint_and_ends_the_program(tmp_path, with_directory):
    """As Slurm, a container or `timeout` sends it; left alone it would end the program with the same status at once."""

    def loss(model, batch):
        count[0] += 1
        if count[0] == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return cross_entropy(model, batch)

    count, before = [0], [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(SystemExit) as ended:
        fit(net(), data(), loss, config(), run_dir=tmp_path if with_directory else None)
    assert ended.value.code == 143 and count == [7]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    if with_directory:
        resumed, whole = net(), net()
        fit(resumed, data(), cross_entropy, config(), run_dir=tmp_path, resume=True)
        fit(whole, data(), cross_entropy, config())
        assert same(resumed, whole)


def test_sigterm_to_the_whole_group_leaves_the_workers_time_for_the_step(tmp_path):
    """`scancel` and `timeout` signal every process; a worker that dies first would cost the checkpoint."""
    code = (
        "import os, signal, sys, time, torch\n"
        "from torch import nn\nfrom torch.utils.data import Dataset\n"
        "from course_lib.training.config import TrainConfig\nfrom course_lib.training.loop import fit\n"
        "class Slow(Dataset):\n"
        "    def __len__(self): return 40\n"
        "    def __getitem__(self, row): time.sleep(0.02); return torch.ones(3)\n"
        "def loss(model, batch):\n"
        "    steps.append(1)\n"
        "    if len(steps) == 3: os.killpg(0, signal.SIGTERM); time.sleep(0.5)\n"
        "    return model(batch).square().mean()\n"
        "steps = []\n"
        "config = TrainConfig(steps=500, batch_size=4, workers=2, progress='none')\n"
        "fit(nn.Linear(3, 1), Slow(), loss, config, run_dir=sys.argv[1])\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(loop.__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, start_new_session=True, env=environment)
    assert done.returncode == 143, done.stderr
    assert [path.name for path in step_directories(tmp_path)] == ["step-00000003"]


def test_what_was_adapted_to_is_noted():
    def hungry(model, batch):
        if len(batch[0]) > 8:
            raise torch.OutOfMemoryError("simulated")
        return cross_entropy(model, batch)

    whole, halved = net().double(), net().double()
    x, y = data()
    fit(whole, (x.double(), y), cross_entropy, config())
    history = fit(halved, (x.double(), y), hungry, config(micro_batch_size="auto"))
    assert len(history.notes) == 1 and "8 examples per pass from here on instead of 16" in history.notes[0]
    for a, b in zip(whole.parameters(), halved.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_a_second_ctrl_c_does_not_wait_for_the_step():
    def loss(model, batch):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the second interrupt came too late")

    assert fit(net(), data(), loss, config()).stopped == "interrupted after step 0"


RESUMES = {
    "plain": {},
    "dataset": {"workers": 2},
    "scaler": {"precision": "fp16", "clip_norm": 1.0},
    "average and one cycle": {"ema_decay": 0.8, "schedule": "one_cycle"},
    "sgd with momentum": {"optimizer": "sgd", "momentum": 0.9},
    "other cuts": {"micro_batch_size": 5},
}


@pytest.mark.parametrize("name", RESUMES)
def test_a_resumed_run_is_bit_identical(tmp_path, name):
    source = TensorDataset(*data()) if name == "dataset" else data()
    settings = config(checkpoint_every=7, evaluate_every=6, **RESUMES[name])
    whole, resumed = net(dropout=0.3), net(dropout=0.3)
    expected = fit(whole, source, cross_entropy, settings, accuracy, run_dir=tmp_path)
    for path in step_directories(tmp_path)[1:]:  # back to step 7, in the middle of an epoch
        path.rename(path.with_suffix(".gone"))
    torch.manual_seed(99)
    history = fit(resumed, source, cross_entropy, settings, accuracy, run_dir=tmp_path, resume=True)
    assert same(whole, resumed) and history.rows == expected.rows


def test_a_resume_with_other_settings_is_refused_unless_they_change_nothing(tmp_path):
    fit(net(), data(), cross_entropy, config(steps=5), run_dir=tmp_path)
    with pytest.raises(ValueError, match=r"learning_rate: 0.01 -> 0.02; weight_decay: 0.01 -> 0.0"):
        changed = config(steps=9, learning_rate=0.02, weight_decay=0.0)
        fit(net(), data(), cross_entropy, changed, run_dir=tmp_path, resume=True)
    longer, whole = net(), net()
    fit(longer, data(), cross_entropy, config(steps=9, log_every=2, keep_last=1), run_dir=tmp_path, resume=True)
    fit(whole, data(), cross_entropy, config(steps=9))
    assert same(longer, whole)


def test_a_checkpoint_of_another_model_lists_the_differences(tmp_path):
    fit(net(), data(), cross_entropy, config(steps=5), run_dir=tmp_path)
    other = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
    with pytest.raises(
        ValueError, match=r"(?s)misshapen   0.weight is \(9, 5\).*missing     2.weight.*unexpected  3.weight"
    ):
        fit(other, data(), cross_entropy, config(steps=5), run_dir=tmp_path, resume=True)


def test_arguments_that_would_do_nothing_are_refused(tmp_path):
    with pytest.raises(ValueError, match="evaluate_every=3 needs evaluate="):
        fit(net(), data(), cross_entropy, config(evaluate_every=3))
    with pytest.raises(ValueError, match="checkpoint_every=3 needs run_dir="):
        fit(net(), data(), cross_entropy, config(checkpoint_every=3))
    with pytest.raises(ValueError, match="resume=True needs run_dir="):
        fit(net(), data(), cross_entropy, config(), resume=True)
    with pytest.raises(ValueError, match="shard=True needs processes"):
        fit(net(), data(), cross_entropy, config(shard=True))
    fit(net(), data(), cross_entropy, config(), run_dir=tmp_path)
    with pytest.raises(FileExistsError, match="holds a run up to step-00000020: resume=True"):
        fit(net(), data(), cross_entropy, config(), run_dir=tmp_path)


def test_losses_are_read_in_intervals_where_reading_costs(monkeypatch):
    """On a device that the host would have to wait for, `.item()` is called once per interval, not once per step."""
    reads = []
    for name in ("item", "tolist"):
        original = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, lambda self, original=original: (reads.append(1), original(self))[1])
    monkeypatch.setattr("course_lib.training.loop.waits", lambda device: True)
    history = fit(net(), data(), cross_entropy, config(log_every=8, clip_norm=1.0))
    assert len(reads) == 2 * 3  # losses and norms after steps 8, 16 and 20
    assert len(history) == 20 and history.columns == ["step", "loss", "learning_rate", "grad_norm"]


def test_importing_costs_little_on_top_of_torch():
    code = (
        "import time, torch\n"
        "start = time.process_time()\n"
        "import course_lib.training.loop, course_lib.cli_train\n"
        "print(time.process_time() - start)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.2


def test_no_module_of_training_brings_a_package_that_takes_a_second():
    modules = sorted(path.stem for path in Path(loop.__file__).parent.glob("[a-z]*.py"))
    code = (
        "import importlib, sys\n"
        f"for name in {modules}: importlib.import_module('course_lib.training.' + name)\n"
        "print(*{'sklearn', 'scipy', 'transformers', 'matplotlib', 'captum', 'torchvision'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and none is here")
def test_a_run_on_the_card_resumes_exactly_and_agrees_with_the_cpu(tmp_path):
    on_cpu, on_card, again = net(), net().cuda(), net(dropout=0.0).cuda()
    settings = config(precision="fp32", checkpoint_every=7)
    fit(on_cpu, data(), cross_entropy, settings, run_dir=tmp_path / "cpu")
    fit(on_card, data(), cross_entropy, settings, run_dir=tmp_path / "card")
    for a, b in zip(on_cpu.parameters(), on_card.parameters(), strict=True):
        torch.testing.assert_close(a, b.cpu(), rtol=1e-3, atol=1e-3)
    for path in step_directories(tmp_path / "card")[1:]:
        path.rename(path.with_suffix(".gone"))
    fit(again, data(), cross_entropy, settings, run_dir=tmp_path / "card", resume=True)
    assert same(on_card, again)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and none is here")
def test_a_step_on_the_card_makes_the_host_wait_only_when_it_reads():
    def waits(steps):
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                settings = config(steps=steps, log_every=40, clip_norm=1.0, precision="bf16")
                fit(net().cuda(), tuple(t.cuda() for t in data()), cross_entropy, settings)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return sum("synchroniz" in str(warning.message) for warning in seen)

    assert waits(40) == waits(20) > 0  # two readings in either
