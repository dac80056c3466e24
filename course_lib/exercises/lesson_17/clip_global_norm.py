"""Exercise 17.4: clipping by the global norm."""

import torch

from course_lib.lesson.exercises import Exercise


def _gradients(scale=1.0):
    """A vector and a matrix of joint norm 13 * scale: 3, 4 and 12."""
    return [scale * torch.tensor([3.0, 0.0, 4.0]), scale * torch.tensor([[0.0, 12.0], [0.0, 0.0]])]


def _joint(gradients):
    return torch.cat([gradient.flatten() for gradient in gradients]).norm().item()


def clip_returns_new_tensors(clip_global_norm):
    gradients = _gradients()
    shapes = [tuple(gradient.shape) for gradient in clip_global_norm(gradients, 1.0)]
    assert shapes == [(3,), (2, 2)], f"return a list of gradients with the shapes (3,) and (2, 2), got {shapes}"


def clip_leaves_short_gradients(clip_global_norm):
    kept = clip_global_norm(_gradients(), 1000.0)
    assert _joint(kept) < 13.001, "a gradient of norm 13 under a limit of 1,000 got longer: the factor is never above 1"
    assert _joint(kept) > 12.999, "a gradient of norm 13 under a limit of 1,000 got shorter: change nothing there"


def clip_survives_zero(clip_global_norm):
    silent = clip_global_norm(_gradients(0.0), 1.0)
    assert all(torch.isfinite(gradient).all() for gradient in silent), "a gradient of 0 became nan: mind the division"


def clip_keeps_the_direction(clip_global_norm):
    clipped = clip_global_norm(_gradients(), 6.5)
    ratios = [(clipped[0][0] / 3).item(), (clipped[0][2] / 4).item(), (clipped[1][0, 1] / 12).item()]
    assert max(ratios) - min(ratios) < 1e-4, (
        "the direction changed: one factor for all tensors, from their joint norm, not one per tensor or per entry"
    )


def clip_reaches_the_limit(clip_global_norm):
    for limit in (6.5, 1.0):
        got = _joint(clip_global_norm(_gradients(), limit))
        assert abs(got - limit) < 1e-3, (
            f"the joint norm should be the limit {limit}, it is {got:.3f}: the norm is the root of the sum of squares"
        )


def _clip(gradients, limit):
    norm = torch.sqrt(sum((gradient**2).sum() for gradient in gradients))
    factor = min(1.0, limit / (norm.item() + 1e-6))
    return [gradient * factor for gradient in gradients]


clip_global_norm = Exercise(
    id="17.4 clip_global_norm",
    task="Write clip_global_norm(gradients, limit) -> list of gradients, scaled by one factor so that their joint L2 "
    "norm is at most `limit`; gradients that are short enough stay as they are.",
    stages=(
        clip_returns_new_tensors,
        clip_leaves_short_gradients,
        clip_survives_zero,
        clip_keeps_the_direction,
        clip_reaches_the_limit,
    ),
    reference=_clip,
    mutants={
        "return a list of gradients": lambda gradients, limit: _clip(gradients, limit)[0],
        "changed its argument `gradients`": lambda gradients, limit: [g.mul_(min(1.0, limit / 13)) for g in gradients],
        "got longer": lambda gradients, limit: [g * limit / (_joint(gradients) + 1e-6) for g in gradients],
        "got shorter": lambda gradients, limit: [g.clamp(-1, 1) for g in gradients],
        "mind the division": lambda gs, limit: [g / torch.tensor(_joint(gs)) * min(_joint(gs), limit) for g in gs],
        "one factor for all tensors": lambda gradients, limit: [_clip([g], limit)[0] for g in gradients],
        "the root of the sum of squares": lambda gs, limit: [
            g * min(1.0, limit / (_joint(gs) ** 2 + 1e-6)) for g in gs
        ],
    },
    hints=(
        "One number is compared with the limit: the length of all gradients laid end to end.",
        "norm = sqrt(sum of the squared norms); the factor is limit / norm, and never above 1.",
        "factor = min(1.0, limit / (norm + 1e-6)); return [gradient * factor for gradient in gradients]",
    ),
    difficulty=1,
    minutes=8,
)
