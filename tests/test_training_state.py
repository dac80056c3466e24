import dataclasses
import json
import random

import numpy as np
import pytest
import torch

from course_lib.training.config import TrainConfig
from course_lib.training.state import FREE, generator_states, refuse_other_settings, restore_generators

CPU = torch.device("cpu")


def draw():
    return torch.rand(3).tolist(), np.random.rand(3).tolist(), np.random.randn(), random.gauss(0, 1), random.random()


def test_generators_come_back_through_json():
    draw()  # leaves numpy and random with a stored second Gaussian
    states = json.loads(json.dumps(generator_states(CPU)))
    first = draw()
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    restore_generators(states, CPU)
    assert draw() == first


def saved(**settings):
    return json.loads(json.dumps(dataclasses.asdict(TrainConfig(**{"steps": 50, **settings}))))


def test_every_setting_that_changes_the_result_must_agree():
    other = {"batch_size": 8, "learning_rate": 1e-2, "seed": 4, "betas": (0.8, 0.9), "tail": "drop", "ema_decay": 0.5}
    for name, value in other.items():
        with pytest.raises(ValueError, match=f"{name}: .* -> "):
            refuse_other_settings(TrainConfig(**{"steps": 50, name: value}), saved())


def test_settings_that_only_change_the_computing_may_differ():
    assert {field.name for field in dataclasses.fields(TrainConfig)} > FREE
    free = {"micro_batch_size": 4, "log_every": 7, "keep_last": 9, "workers": 1, "gradient_checkpointing": True}
    refuse_other_settings(TrainConfig(steps=50, **free), saved())


def test_only_a_constant_rate_can_be_extended():
    refuse_other_settings(TrainConfig(steps=99), saved())
    with pytest.raises(ValueError, match="steps: 50 -> 99"):
        refuse_other_settings(TrainConfig(steps=99, schedule="cosine"), saved(schedule="cosine"))
