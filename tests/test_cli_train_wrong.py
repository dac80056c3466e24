"""Wrong calls of `course train`: one line on stderr that says what fits, status 2, and nothing was trained."""

import os
import shlex
import sys
import types

import pytest
import torch
from torch import nn

from course_lib import cli
from course_lib.training.config import TrainConfig
from course_lib.training.lock import held
from course_lib.training.recipes import Recipe

DATA = torch.ones(8, 3), torch.ones(8, 1)
CONFIG = TrainConfig(steps=4, batch_size=4, progress="none")


def loss(model, batch):
    return (model(batch[0]) - batch[1]).square().mean()


def recipe(seed=0, *, data=DATA, model=None, loss=loss, config=CONFIG):
    return Recipe(nn.Linear(3, 1) if model is None else model, data, loss, config)


def short_sighted(seed=0):
    return recipe(config=TrainConfig(steps=4, batch_size=4, warmup_steps=9))


def buggy(seed=0):
    raise ValueError("a mistake of whoever wrote it")


MINE = {
    "good": recipe,
    "wide": lambda seed=0: recipe(model=nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))),
    "longer": lambda seed=0: recipe(data=(torch.ones(9, 3), torch.ones(9, 1))),
    "empty": lambda seed=0: recipe(data=(torch.ones(0, 3), torch.ones(0, 1))),
    "ragged": lambda seed=0: recipe(data=(torch.ones(8, 3), torch.ones(7, 1))),
    "listed": lambda seed=0: recipe(data=[1, 2]),
    "weightless": lambda seed=0: recipe(model=nn.ReLU()),
    "frozen": lambda seed=0: recipe(model=nn.Linear(3, 1).requires_grad_(False)),
    "vector": lambda seed=0: recipe(loss=lambda model, batch: model(batch[0])),
    "infinite": lambda seed=0: recipe(loss=lambda model, batch: loss(model, batch) / 0),
    "word": lambda seed=0: "hello",
    "asking": lambda width: recipe(),
    "number": 3,
    "short_sighted": short_sighted,
    "buggy": buggy,
}


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    """Recipes in a module `mine`, and directories as a learner may have left them."""
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    module = types.ModuleType("mine")
    vars(module).update(MINE)
    monkeypatch.setitem(sys.modules, "mine", module)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "broken.py").write_text("def recipe(:\n")
    (tmp_path / "file").write_text("mine")
    return tmp_path


def called(words, capsys):
    """Exit status, stdout, stderr of `course train WORDS`."""
    try:
        status = cli.main(["train", *shlex.split(words)])
    except SystemExit as left:
        status = left.code
    return status, *capsys.readouterr()


WRONG = {
    # numbers
    "mlp --steps 1e3": "argument --steps: '1e3' is no whole number; write 1000",
    "mlp --steps 5.5": "'5.5' is no whole number",
    "mlp --steps many": "'many' is no whole number",
    "mlp --steps inf": "'inf' is no whole number",
    "mlp --steps -5": "--steps -5 is not a whole number of at least 1",
    "mlp --steps 0": "--steps 0 is not a whole number of at least 1",
    "mlp --steps": "argument --steps: expected one argument",
    "mlp --epochs 0": "--epochs 0 is not a whole number of at least 1",
    "mlp --steps 5 --epochs 2": "--steps 5 and --epochs 2: give exactly one of them",
    "mlp --batch-size 0": "--batch-size 0 is not a whole number of at least 1",
    "mlp --batch-size 99999": "the data have 1287 examples; use --batch-size 1287",
    "mlp --micro-batch-size 0": "--micro-batch-size 0 is not a whole number",
    "mlp --micro-batch-size 65": "--micro-batch-size 65 is larger than --batch-size 64",
    "mlp --micro-batch-size big": "'big' is no whole number and not 'auto'",
    "mlp --learning-rate fast": "'fast' is no number",
    "mlp --learning-rate -1": "--learning-rate -1.0 is not a positive number",
    "mlp --learning-rate nan": "--learning-rate nan is not a positive number",
    "mlp --clip-norm 0": "--clip-norm 0.0 is not a positive number",
    "mlp --ema-decay 1": "--ema-decay 1.0 is outside (0, 1)",
    "mlp --weight-decay -1": "--weight-decay -1.0 is negative",
    "mlp --final-ratio 2": "--final-ratio 2.0 is outside [0, 1)",
    "mlp --betas 0.9": "argument --betas: expected 2 arguments",
    "mlp --betas 1 2": "--betas (1.0, 2.0) is outside [0, 1)",
    "mlp --seed -1": "--seed -1 is not a whole number of at least 0",
    "mlp --seed x": "'x' is no whole number",
    "mlp --keep-last 0": "--keep-last 0 is not a whole number",
    "mlp --workers -1": "--workers -1 is not a whole number",
    "mlp --log-every 0": "--log-every 0 is not a whole number",
    "mlp --evaluate-every 0": "--evaluate-every 0 is not a whole number",
    # words
    "mlp --precision fp8": "invalid choice: 'fp8'",
    "mlp --compile fast": "invalid choice: 'fast'",
    "mlp --tail cut": "invalid choice: 'cut'",
    "mlp --optimizer adam": "invalid choice: 'adam'",
    "mlp --schedule linear": "invalid choice: 'linear'",
    "mlp --nonsense 4": "unrecognized arguments: --nonsense 4",
    "mlp more words": "unrecognized arguments: more words",
    "": "the following arguments are required: recipe",
    # what does not go together
    "mlp --warmup-steps 400": "--warmup-steps 400 + --decay-steps 0 leave nothing of 400 steps",
    "mlp --decay-steps 4": "--decay-steps 4 is for --schedule 'wsd'",
    "mlp --momentum 0.9": "--momentum 0.9 is for --optimizer 'sgd'",
    "mlp --shard": "--shard needs processes to share the weights: start with torchrun",
    "mlp --shard --precision fp16": "--shard has no gradient scaler for --precision 'fp16'",
    "mlp --gradient-checkpointing": "--gradient-checkpointing found no repeated blocks",
    "mlp --resume": "--resume needs --run-dir",
    "mlp --checkpoint-every 2": "--checkpoint-every 2 needs --run-dir",
    "mlp --tensorboard": "--tensorboard needs --run-dir",
    "mine:good --evaluate-every 2": "--evaluate-every 2 needs evaluate=",
    # devices
    "mlp --device gpu": "device 'gpu' is not here; this machine has cpu",
    "mlp --device cuda": "device 'cuda' is not here",
    "mlp --device cuda:x": "device 'cuda:x' is not here",
    "mlp --device cpu:3": "device 'cpu:3' is not here",
    "mlp --device auto:1": "device 'auto:1' is not here",
    "mlp --device mps": "device 'mps' is not here",
    "mlp --device ''": "device '' is not here",
    # recipes
    "resnet": "no recipe 'resnet'; there are mlp, vit, two_tower, decoder, vlm, or write module:function",
    "mine:": "no recipe 'mine:'",
    ":good": "no recipe ':good'",
    "nowhere:good": "nowhere cannot be imported (ModuleNotFoundError",
    "broken:recipe": "broken cannot be imported (SyntaxError",
    "mine:nothing": "mine has no function 'nothing'",
    "mine:number": "mine has no function 'number'",
    "mine:word": "returned a str; return a course_lib.training.recipes.Recipe",
    "mine:asking": "missing a required argument: 'width'",
    "builtins:iter": "no signature found",
    "mlp --size tiny": "mlp cannot be called with --size",
    "vlm --size huge": "size 'huge' is none of ('tiny', 'small', 'base')",
    "mine:empty": "the data have no examples",
    "mine:ragged": "data must be tensors that share their first axis",
    "mine:listed": "data is a list; pass a tuple or dict of tensors",
    "mine:weightless": "this ReLU has no weights",
    "mine:frozen": "no parameter requires a gradient",
    "mine:vector": "the loss has shape (4, 1); return one number",
    "mine:short_sighted": "--warmup-steps 9 + --decay-steps 0 leave nothing of 4 steps",
    # directories
    "mine:good --run-dir ''": "--run-dir '' names no directory",
    "mine:good --run-dir file": "no checkpoint could be written in run_dir file (it is a file)",
    "mine:good --run-dir file/run": "Not a directory",
}


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_call_is_one_line(words, capsys, place):
    before = sorted(place.iterdir())
    status, out, err = called(words, capsys)
    assert status == 2 and out == ""
    assert err.startswith("course") and WRONG[words] in err and len(err.splitlines()) == 1, err
    assert [path for path in sorted(place.iterdir()) if path.name != "__pycache__"] == before


def flip_all(run_dir):
    for path in run_dir.glob("step-*/state.json"):
        path.write_bytes(path.read_bytes().replace(b"config", b"Config"))


AFTERWARDS = {
    # what happens to a finished run, and the call that is wrong then
    "begun anew": (
        lambda run_dir: None,
        "mine:good --run-dir run",
        "holds a run up to step-00000004: --resume goes on",
    ),
    "damaged": (
        flip_all,
        "mine:good --run-dir run --resume",
        "no checkpoint in run is whole: run/step-00000004/state.json",
    ),
    "other settings": (
        lambda run_dir: None,
        "mine:good --run-dir run --resume --learning-rate 0.5",
        "started with other settings (learning_rate: 0.0003 -> 0.5)",
    ),
    "another model": (
        lambda run_dir: None,
        "mine:wide --run-dir run --resume",
        "does not fit this run: missing 0.bias (2,)",
    ),
    "other data": (
        lambda run_dir: None,
        "mine:longer --run-dir run --resume",
        "8 examples, 9 came), so it cannot be resumed exactly; --other-data goes on",
    ),
}


@pytest.mark.parametrize("name", AFTERWARDS)
def test_a_run_that_cannot_go_on_is_one_line(name, capsys, place):
    happens, words, expected = AFTERWARDS[name]
    assert called("mine:good --run-dir run", capsys)[0] == 0
    happens(place / "run")
    status, out, err = called(words, capsys)
    assert (status, out) == (2, "") and expected in err and len(err.splitlines()) == 1, err


def test_other_data_are_taken_when_asked_for(capsys):
    assert called("mine:good --run-dir run", capsys)[0] == 0
    status, out, _ = called("mine:longer --run-dir run --resume --other-data --steps 6", capsys)
    assert status == 0 and "step 6" in out


def test_a_directory_in_use_is_one_line(capsys, place):
    (place / "run").mkdir()
    with held(place / "run"):
        status, out, err = called("mine:good --run-dir run --resume", capsys)
    assert (status, out) == (2, "") and err == (
        "course train: this process trains in run already; use another run_dir\n"
    )


def test_a_training_that_fails_is_one_line_and_status_1(capsys):
    status, out, err = called("mine:infinite", capsys)
    assert (status, out) == (1, "") and "the loss is nan at step 1" in err.replace("inf", "nan")
    assert len(err.splitlines()) == 1


def test_a_mistake_in_ones_own_recipe_keeps_its_traceback():
    with pytest.raises(ValueError, match="a mistake of whoever wrote it"):
        cli.main(["train", "mine:buggy"])


def test_a_module_beside_the_caller_is_found(capsys, place):
    source = "import mine\ndef recipe(seed=0):\n    return mine.good(seed)\n"
    (place / f"recipes_{os.getpid()}.py").write_text(source)
    assert called(f"recipes_{os.getpid()}:recipe", capsys)[0] == 0
