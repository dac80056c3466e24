import dataclasses
import importlib.util
import sys

import pytest

import course_lib.training.config as hooked

# Under pytest beartype refuses a wrong type before our own check can; here the module is loaded as learners load it.
SPEC = importlib.util.spec_from_file_location("plain_config", hooked.__file__)
plain = importlib.util.module_from_spec(SPEC)
sys.modules["plain_config"] = plain
SPEC.loader.exec_module(plain)
TrainConfig, check_schedule_length = plain.TrainConfig, plain.check_schedule_length

CONTRADICTIONS = {
    "give exactly one of them": {"steps": 10, "epochs": 2},
    "steps=None and epochs=None": {"steps": None},
    "steps=0 is not a whole number of at least 1": {"steps": 0},
    "batch_size=-4 is not a whole number": {"batch_size": -4},
    "log_every=0 is not": {"log_every": 0},
    "keep_last=0 is not": {"keep_last": 0},
    "evaluate_every=0 is not": {"evaluate_every": 0},
    "checkpoint_every=0 is not": {"checkpoint_every": 0},
    "workers=-1 is not": {"workers": -1},
    "seed=-1 is not": {"seed": -1},
    "micro_batch_size=0 is not": {"micro_batch_size": 0},
    "micro_batch_size=65 is larger than batch_size=64": {"micro_batch_size": 65},
    "learning_rate=0.0 is not a positive": {"learning_rate": 0.0},
    "learning_rate=nan is not": {"learning_rate": float("nan")},
    "clip_norm=-1.0 is not": {"clip_norm": -1.0},
    "weight_decay=-0.1 is negative": {"weight_decay": -0.1},
    "betas=.* outside": {"betas": (0.9, 1.0)},
    r"ema_decay=1.0 is outside \(0, 1\)": {"ema_decay": 1.0},
    "momentum=0.9 is for optimizer='sgd'": {"momentum": 0.9},
    "decay_steps=3 is for schedule='wsd', not 'cosine'": {"decay_steps": 3, "schedule": "cosine"},
    "final_ratio=0.1 is for 'cosine' and 'wsd', not 'one_cycle'": {"final_ratio": 0.1, "schedule": "one_cycle"},
    r"warmup_steps=10 \+ decay_steps=0 leave nothing of 10 steps": {"warmup_steps": 10},
    r"warmup_steps=5 \+ decay_steps=5 leave nothing": {"warmup_steps": 5, "decay_steps": 5, "schedule": "wsd"},
    "schedule='linear' is unknown; choose from constant, cosine, wsd, one_cycle": {"schedule": "linear"},
    "precision='fp8' is unknown": {"precision": "fp8"},
    "compile='fast' is unknown": {"compile": "fast"},
    "tail='pad' is unknown": {"tail": "pad"},
    "progress='loud' is unknown": {"progress": "loud"},
    "optimizer='lion' is unknown": {"optimizer": "lion"},
    "no gradient scaler for precision='fp16'": {"shard": True, "precision": "fp16"},
    "micro_batch_size='auto' works in one process": {"shard": True, "micro_batch_size": "auto"},
}


@pytest.mark.parametrize("message", CONTRADICTIONS)
def test_a_contradiction_dies_at_construction(message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**{"steps": 10, **CONTRADICTIONS[message]})


def test_a_fraction_is_no_number_of_steps():
    with pytest.raises(ValueError, match=r"steps=10\.0 is not a whole number"):
        TrainConfig(steps=10.0)


def test_every_field_has_a_docstring_line():
    from course_lib.cli_train import _field_texts

    texts = _field_texts()
    assert len(texts) == len(dataclasses.fields(TrainConfig)) and all(len(text) > 15 for text in texts)


def test_it_cannot_be_changed_but_replaced():
    config = TrainConfig(steps=10)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.steps = 20
    assert dataclasses.replace(config, steps=20).steps == 20
    with pytest.raises(ValueError, match="batch_size=0"):
        dataclasses.replace(config, batch_size=0)


def test_epochs_are_checked_when_their_steps_are_known():
    config = TrainConfig(epochs=2, warmup_steps=100)
    with pytest.raises(ValueError, match="leave nothing of 60 steps"):
        check_schedule_length(config, 60)
    check_schedule_length(config, 101)
