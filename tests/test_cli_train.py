import argparse
import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from course_lib import cli_train
from course_lib.training.checkpoint import step_directories
from course_lib.training.config import TrainConfig
from course_lib.training.recipes import Recipe

DATA = torch.randn(40, 3), torch.randn(40, 1)


def line(seed: int = 0):
    torch.manual_seed(seed)
    config = TrainConfig(steps=4, batch_size=10, progress="none", clip_norm=1.0)
    return Recipe(nn.Linear(3, 1), DATA, lambda m, b: nn.functional.mse_loss(m(b[0]), b[1]), config)


def parse(*words):
    parser = argparse.ArgumentParser()
    cli_train.add_train_parser(parser.add_subparsers())
    return parser.parse_args(["train", *words])


def test_every_setting_is_an_option_and_only_given_ones_change():
    recipe = line()
    assert cli_train.chosen_config(recipe, parse("x")) == recipe.config
    words = "--micro-batch-size 5 --betas 0.8 0.9 --schedule cosine --learning-rate 0.5 --gradient-checkpointing"
    changed = cli_train.chosen_config(recipe, parse("x", *words.split()))
    assert changed == dataclasses.replace(
        recipe.config,
        micro_batch_size=5,
        betas=(0.8, 0.9),
        schedule="cosine",
        learning_rate=0.5,
        gradient_checkpointing=True,
    )
    assert cli_train.chosen_config(recipe, parse("x", "--micro-batch-size", "auto")).micro_batch_size == "auto"


def test_epochs_take_the_place_of_steps():
    config = cli_train.chosen_config(line(), parse("x", "--epochs", "3"))
    assert (config.steps, config.epochs) == (None, 3)


def test_ones_own_recipe_trains_and_resumes(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "my_recipes", sys.modules[__name__])
    words = ["train", "my_recipes:line", "--device", "cpu", "--run-dir", str(tmp_path)]
    assert cli_train.main(words) == 0
    assert "my_recipes:line  step 4  loss" in capsys.readouterr().out
    assert cli_train.main([*words, "--resume", "--steps", "6"]) == 0
    assert "step 6" in capsys.readouterr().out
    assert (tmp_path / "step-00000006").is_dir()


def test_a_built_in_recipe_runs(capsys):
    assert cli_train.main(["train", "mlp", "--device", "cpu", "--steps", "3"]) == 0
    assert "accuracy" in capsys.readouterr().out


def warmed_up(seed: int = 0):
    recipe = line(seed)
    return recipe._replace(config=dataclasses.replace(recipe.config, steps=200, schedule="cosine", warmup_steps=20))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--steps 5", 0),
        ("--steps 100", 10),
        ("--steps 400", 20),  # never longer than the recipe's own
        ("--epochs 2", 0),  # 8 steps
        ("--epochs 10", 4),
        ("--steps 5 --warmup-steps 3", 3),
        ("", 20),
    ],
)
def test_a_shorter_run_warms_up_for_a_shorter_time(words, expected):
    assert cli_train.chosen_config(warmed_up(), parse("x", *words.split())).warmup_steps == expected


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_the_last_line_names_the_format_that_was_used(capsys, monkeypatch, precision):
    monkeypatch.setitem(sys.modules, "my_recipes", sys.modules[__name__])
    assert cli_train.main(["train", "my_recipes:line", "--device", "cpu", "--precision", precision]) == 0
    assert f"[cpu: {precision}, as asked; 1 process(es)]" in capsys.readouterr().out


def test_sigterm_writes_a_checkpoint_and_ends_with_143(tmp_path):
    (tmp_path / "slow_recipe.py").write_text(
        "import time\nfrom test_cli_train import line\n"
        "def slow(seed=0):\n"
        "    recipe = line(seed)\n"
        "    def loss(model, batch):\n"
        "        print('step', flush=True)\n"
        "        time.sleep(0.05)\n"
        "        return recipe.loss(model, batch)\n"
        "    return recipe._replace(loss=loss)\n"
    )
    here = Path(__file__).resolve().parent
    words = ["train", "slow_recipe:slow", "--device", "cpu", "--steps", "100000", "--run-dir", "run"]
    words += ["--progress", "lines"]
    process = subprocess.Popen(
        [sys.executable, "-m", "course_lib.cli", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parent), str(here)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "step\n"
    process.terminate()  # in the first step, or a little later
    _, err = process.communicate(timeout=300)
    assert process.returncode == 143 and "Traceback" not in err, err
    assert re.fullmatch(r"SIGTERM after step \d+: the run stops here", err.splitlines()[-1])
    assert len(step_directories(tmp_path / "run")) == 1


def test_help_gives_each_setting_its_line(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    text = " ".join(capsys.readouterr().out.split())
    assert "Examples per optimiser step, over all processes." in text and "--keep-last" in text
