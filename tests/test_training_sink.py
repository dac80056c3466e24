"""The sink's task and its model: the texts keep their rule, and the reader sees what came before, and no more."""

import math

import torch

from course_lib.models.masks import causal_mask
from course_lib.training.sink import BOS, LETTERS, TriggerReader, surprise, train_reader, trigger_texts

CHAIN = torch.eye(LETTERS).roll(1, dims=1)  # after letter n comes n + 1


def test_after_a_trigger_comes_the_letter_before_it():
    texts = trigger_texts(200, CHAIN, triggers=4, seed=3)
    assert (texts[:, 0] == BOS).all() and texts[:, 1:].max() < LETTERS
    for text in texts.tolist():
        for before, last, new in zip(text[1:], text[2:], text[3:], strict=False):
            assert new == (before if last < 4 else (last + 1) % LETTERS)


def test_the_reader_is_causal_and_heeds_a_mask():
    torch.manual_seed(0)
    model, texts = TriggerReader(), trigger_texts(5, CHAIN, triggers=4, seed=1)
    ids = texts[:, :-1]
    other = ids.clone()
    other[:, 9] = (other[:, 9] + 1) % LETTERS
    before, after = model(ids), model(other)
    assert torch.equal(before.logits[:, :9], after.logits[:, :9])
    assert not torch.allclose(before.logits[:, 9:], after.logits[:, 9:])
    deaf = causal_mask(24).clone()
    deaf[10:, 9] = False
    assert torch.equal(model(ids, deaf).logits[:, 10:], model(other, deaf).logits[:, 10:])


def test_lengths_are_what_full_weight_would_add():
    torch.manual_seed(0)
    model, texts = TriggerReader(), trigger_texts(5, CHAIN, triggers=4, seed=1)
    alone = torch.eye(24, dtype=torch.bool)  # each reads itself alone
    kept = []
    model.attention.register_forward_hook(lambda module, given, read: kept.append(read.output))
    model(texts[:, :-1], alone)
    assert torch.allclose(model.lengths(texts[:, :-1]), kept[0].norm(dim=-1), atol=1e-6)


def test_training_learns_the_rule():
    model, texts = train_reader(0, triggers=16, steps=60)  # nothing but the rule
    assert surprise(model, texts)[:, 8:].mean() < 0.5 < math.log(16)
