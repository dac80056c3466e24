"""Fine-tuning and forgetting: what each remedy holds fixed, and where each starts."""

import pytest
import torch

from course_lib.models.side_by_side import SideBySideLinear
from course_lib.training.forgetting import DRAWS, LowRank, best_of, blend, fine_tune, measure, pretrain, skills

LAYERS = (1, 3, 5)


@pytest.fixture(scope="module")
def data():
    return skills(seed=3)


@pytest.fixture(scope="module")
def start(data):
    return pretrain(data.old, seed=3, steps=60)


def moved_layers(before, after):
    return {n for n in LAYERS if not torch.equal(before[n].weight, after[n].weight)}


def test_the_new_skill_is_the_old_one_turned_and_no_digit_is_shared(data):
    assert data.old["train"][1].shape == (DRAWS, 800) and data.new["train"][1].shape == (DRAWS, 40)
    for part in ("validation", "test"):
        assert torch.equal(data.new[part][0].rot90(-1, (-2, -1)), data.old[part][0])
        assert torch.equal(data.new[part][1], data.old[part][1])
    upright = data.new["train"][0].rot90(-1, (-2, -1)).flatten(2)
    for draw in range(DRAWS):
        for part in ("train", "validation"):
            assert torch.cdist(upright[draw], data.old[part][0].flatten(2)[draw]).min() > 0


def test_the_start_knows_the_old_skill_and_not_the_new(data, start):
    old, new = measure(start, data, "test")
    assert old.min() > 0.7 and new.max() < 0.3  # chance 0.1


def test_fine_tuning_learns_the_new_skill_forgets_the_old_and_leaves_the_start_alone(data, start):
    before = measure(start, data, "test")
    after = measure(fine_tune(start, data, steps=60), data, "test")
    assert (after[1] > before[1] + 0.2).all() and (after[0] < before[0] - 0.15).all()
    assert torch.equal(measure(start, data, "test"), before)


def test_frozen_layers_stay(data, start):
    assert moved_layers(start, fine_tune(start, data, steps=2)) == {1, 3, 5}
    assert moved_layers(start, fine_tune(start, data, steps=2, thaw=(3,))) == {3}


def test_a_low_rank_change_starts_at_nothing_and_has_its_rank(data, start):
    torch.manual_seed(0)
    layer, x = SideBySideLinear(2, 9, 7), torch.randn(2, 4, 9)
    changed = LowRank(layer, 3)
    assert torch.equal(changed(x), layer(x))
    assert {name for name, p in changed.named_parameters() if p.requires_grad} == {"down", "up"}
    tuned = fine_tune(start, data, steps=5, rank=3)
    for n in LAYERS:
        assert torch.equal(tuned[n].layer.weight, start[n].weight)
        assert torch.linalg.matrix_rank(tuned[n].down @ tuned[n].up).max() <= 3
        assert tuned[n].up.abs().sum() > 0


def drift(start, model, images):
    before, after = (each(images).log_softmax(-1) for each in (start, model))
    return (before.exp() * (before - after)).sum(-1).mean().item()


@pytest.mark.parametrize(("leash", "skill"), [("kl", "new"), ("kl_old", "old")])
def test_a_leash_holds_the_answers_where_it_is_measured(data, start, leash, skill):
    images = getattr(data, skill)["test"][0]
    free, held = (fine_tune(start, data, steps=40, **options) for options in ({}, {leash: 10.0}))
    assert drift(start, held, images) < 0.4 * drift(start, free, images)


def test_replay_keeps_the_old_skill(data, start):
    free, replayed = (measure(fine_tune(start, data, steps=60, replay=w), data, "test") for w in (0.0, 1.0))
    assert (replayed[0] > free[0] + 0.05).all()


def test_a_blend_goes_from_the_start_to_the_tuned_weights(data, start):
    tuned = fine_tune(start, data, steps=2)
    for alpha, n in ((0.0, 1), (0.25, 3), (1.0, 5)):
        due = (1 - alpha) * start[n].weight + alpha * tuned[n].weight
        torch.testing.assert_close(blend(start, tuned, alpha)[n].weight, due)


def test_the_best_option_is_chosen_on_validation_digits(data, start):
    options = [{"steps": 1}, {"steps": 40, "replay": 1.0}, {"steps": 40, "replay": 1.0, "alpha": 0.1}]
    option, test = best_of(start, data, options)
    means = []
    for each in options:
        model = fine_tune(start, data, steps=each["steps"], replay=each.get("replay", 0.0))
        means.append(measure(blend(start, model, each.get("alpha", 1.0)), data, "validation").mean().item())
    assert option == options[means.index(max(means))] and len(set(means)) == 3
    model = fine_tune(start, data, **{k: v for k, v in option.items() if k != "alpha"})
    torch.testing.assert_close(test, measure(model, data, "test"))
