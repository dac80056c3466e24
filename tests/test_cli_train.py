import argparse
import dataclasses
import sys

import pytest
import torch
from torch import nn

from course_lib import cli_train
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
    recipe = line().config
    assert cli_train.chosen_config(recipe, parse("x")) == recipe
    words = "--micro-batch-size 5 --betas 0.8 0.9 --schedule cosine --learning-rate 0.5 --gradient-checkpointing"
    changed = cli_train.chosen_config(recipe, parse("x", *words.split()))
    assert changed == dataclasses.replace(
        recipe, micro_batch_size=5, betas=(0.8, 0.9), schedule="cosine", learning_rate=0.5, gradient_checkpointing=True
    )
    assert cli_train.chosen_config(recipe, parse("x", "--micro-batch-size", "auto")).micro_batch_size == "auto"


def test_epochs_take_the_place_of_steps():
    config = cli_train.chosen_config(line().config, parse("x", "--epochs", "3"))
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


def test_unknown_words_say_what_there_is(capsys):
    with pytest.raises(SystemExit, match="there are mlp, vit, two_tower, decoder, vlm, or write module:function"):
        cli_train.main(["train", "resnet"])
    with pytest.raises(SystemExit):
        parse("x", "--schedule", "linear")
    assert "invalid choice: 'linear'" in capsys.readouterr().err


def test_help_gives_each_setting_its_line(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    text = " ".join(capsys.readouterr().out.split())
    assert "Examples per optimiser step, over all processes." in text and "--keep-last" in text
