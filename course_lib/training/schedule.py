"""Learning-rate schedules as pure functions of the step: nothing to save, so a resumed run cannot drift.

Each gives the factor on the peak rate; step 0 is the first optimiser step, `steps` the length of the run.
"""

import math
from collections.abc import Callable

from course_lib.training.config import TrainConfig, check_schedule_length


def make_schedule(config: TrainConfig, steps: int) -> Callable[[int], float]:
    """The learning rate of every step, peak included, for a run of `steps` optimiser steps."""
    check_schedule_length(config, steps)
    warmup, peak = config.warmup_steps, config.learning_rate
    if config.schedule == "one_cycle":
        rise = warmup if warmup > 0 else 0.3 * steps
        return lambda step: peak * one_cycle(step, steps, rise)
    if config.schedule == "cosine":
        return lambda step: peak * warm(step, warmup) * cosine(step - warmup, steps - warmup, config.final_ratio)
    if config.schedule == "wsd":
        decay = config.decay_steps if config.decay_steps > 0 else max(1, steps // 5)
        return lambda step: peak * warm(step, warmup) * trapezoid(step, steps, decay, config.final_ratio)
    return lambda step: peak * warm(step, warmup)


def warm(step: int, warmup: int) -> float:
    """Linear rise: 1/warmup at step 0, 1 from step warmup - 1 on (Goyal et al., 2017, arXiv:1706.02677)."""
    return min(1.0, (step + 1) / warmup) if warmup > 0 else 1.0


def cosine(step: float | int, steps: float | int, final: float = 0.0) -> float:
    """final + (1 - final) (1 + cos(pi t)) / 2 with t = step / steps (Loshchilov and Hutter, 2016, arXiv:1608.03983)."""
    progress = min(max(step / steps, 0.0), 1.0)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))


def trapezoid(step: int, steps: int, decay: int, final: float = 0.0) -> float:
    """Warm-up, stable, decay without the warm-up: 1, then a straight line to `final` over the last `decay` steps.

    The stable part needs no end in sight, so one long run serves several lengths (Hu et al., 2024, arXiv:2404.06395).
    """
    left = (steps - step) / decay
    return final + (1 - final) * min(1.0, left)


def one_cycle(step: int, steps: int, rise: float | int) -> float:
    """1/25 up to 1 in `rise` steps, then down to 1/250 000, both along a cosine (Smith and Topin, 2017,
    arXiv:1708.07120; the numbers and the shape are those of torch.optim.lr_scheduler.OneCycleLR)."""
    start, end, top = 1 / 25, 1 / 25 / 1e4, rise - 1
    if step <= top:
        return start + (1 - start) * (1 - cosine(step, top))
    return end + (1 - end) * cosine(step - top, steps - 1 - top)
