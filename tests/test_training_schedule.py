import pytest
import torch
from torch.optim import lr_scheduler

from course_lib.training.config import TrainConfig
from course_lib.training.schedule import make_schedule


def ours(steps, **settings):
    schedule = make_schedule(TrainConfig(steps=steps, learning_rate=0.4, **settings), steps)
    return [schedule(step) for step in range(steps)]


def torchs(steps, make):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
    scheduler, rates = make(optimizer), []
    for step in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step + 1 < steps:
            scheduler.step()
    return rates


def test_cosine_is_torchs():
    expected = torchs(17, lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=17, eta_min=0.1 * 0.4))
    assert ours(17, schedule="cosine", final_ratio=0.1) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("rise", [0, 7])
def test_one_cycle_is_torchs(rise):
    share = rise / 29 if rise else 0.3
    expected = torchs(29, lambda o: lr_scheduler.OneCycleLR(o, 0.4, total_steps=29, pct_start=share))
    assert ours(29, schedule="one_cycle", warmup_steps=rise) == pytest.approx(expected, rel=1e-9)


def test_warm_up_is_a_straight_line_that_starts_above_zero():
    assert ours(9, warmup_steps=4) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4])


def test_warm_up_leads_into_the_cosine_of_the_rest():
    rates, rest = ours(13, schedule="cosine", warmup_steps=3), ours(10, schedule="cosine")
    assert rates[2] == pytest.approx(0.4) and rates[3:] == pytest.approx(rest)


def test_wsd_holds_then_falls_in_a_straight_line():
    rates = ours(10, schedule="wsd", warmup_steps=2, decay_steps=4, final_ratio=0.2)
    assert rates == pytest.approx([0.2, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.32, 0.24, 0.16])


def test_wsd_does_not_look_ahead():
    short, long = ours(20, schedule="wsd", decay_steps=5), ours(40, schedule="wsd", decay_steps=5)
    assert short[:15] == long[:15]
    assert ours(20, schedule="cosine")[:15] != ours(40, schedule="cosine")[:15]
