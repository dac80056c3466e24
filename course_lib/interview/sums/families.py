"""Every family of problems, and the draw: `draw_problem("kv_gqa", 2, Random(7))`."""

from random import Random

from course_lib.interview.sums import (
    drills_activations,
    drills_budget,
    drills_cache,
    drills_collectives,
    drills_compute,
    drills_connectors,
    drills_dialogue,
    drills_latency,
    drills_lora,
    drills_models,
    drills_native,
    drills_parallel,
    drills_parameters,
    drills_retrieval,
    drills_sound,
    drills_speculative,
    drills_training,
    drills_vision,
    drills_weights,
)
from course_lib.interview.sums.problem import STEPS, Family, Problem

_ROOMS = (
    drills_vision,
    drills_native,
    drills_dialogue,
    drills_sound,
    drills_parameters,
    drills_models,
    drills_connectors,
    drills_lora,
    drills_weights,
    drills_cache,
    drills_training,
    drills_activations,
    drills_compute,
    drills_budget,
    drills_latency,
    drills_speculative,
    drills_parallel,
    drills_collectives,
    drills_retrieval,
)


def families() -> dict[str, Family]:
    """All families by name, in the order of the course: tokens, parameters, memory, compute, latency, devices."""
    return {family.name: family for room in _ROOMS for family in room.FAMILIES}


def draw_problem(family: str | None, step: int | None, rng: Random) -> Problem:
    """Draw a problem; None leaves the family or the step (1, 2 or 3) to `rng`."""
    known = families()
    if family is not None and family not in known:
        raise ValueError(f"no family {family!r}; there are {', '.join(known)}")
    chosen = known[family if family is not None else rng.choice(list(known))]
    return chosen.problem(rng, step if step is not None else rng.choice(STEPS))
