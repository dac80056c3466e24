"""Exercise 17.4: clipping by the global norm."""

import math

import torch

from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close


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
    for limit in (1000.0, 200.0):
        kept = clip_global_norm(_gradients(), limit)
        told = f"a gradient of norm 13 under a limit of {limit:,.0f} got"
        assert _joint(kept) < 13.001, f"{told} longer: the factor is never above 1"
        assert _joint(kept) > 12.999, f"{told} shorter: change nothing there"
        same = all(close(got, due) for got, due in zip(kept, _gradients(), strict=True))
        assert same, f"{told} other entries, of the same norm: leave it as it is"


def clip_survives_zero(clip_global_norm):
    silent = clip_global_norm(_gradients(0.0), 1.0)
    assert all(torch.isfinite(gradient).all() for gradient in silent), "a gradient of 0 became nan: mind the division"


def clip_keeps_the_direction(clip_global_norm):
    clipped = clip_global_norm(_gradients(), 6.5)
    ratios = [(clipped[0][0] / 3).item(), (clipped[0][2] / 4).item(), (clipped[1][0, 1] / 12).item()]
    zeros = clipped[0][1].abs() + clipped[1][0, 0].abs() + clipped[1][1].abs().sum()
    assert max(ratios) - min(ratios) < 1e-4 and zeros < 1e-6, (
        "the direction changed: one factor for all tensors, from their joint norm, not one per tensor or per entry"
    )


def clip_reaches_the_limit(clip_global_norm):
    many = [torch.full((2, 3), 5.0), -torch.full((4,), 2.0), torch.tensor(7.0)]
    for gradients, limit in ((_gradients(), 6.5), (_gradients(), 1.0), (_gradients(1e-3), 1e-3), (many, 2.0)):
        got = _joint(clip_global_norm(gradients, limit))
        assert got > 0.99 * limit or _joint(gradients) > 1, (
            f"a gradient of norm {_joint(gradients):.2g} under a limit of {limit:g} came back with {got:.2g}: what you "
            "add to the norm is not small beside it; 1e-6 is"
        )
        assert abs(got - limit) < 2e-3 * limit, (
            f"the joint norm should be the limit {limit:g}, it is {got:.3g}: the norm is the root of the sum of squares"
        )
    kept = _joint(clip_global_norm(_gradients(), 13.5))
    assert abs(kept - 13) < 1e-3, f"a gradient of norm 13 just under a limit of 13.5 came back with norm {kept:.2f}"


def _clip(gradients, limit):
    norm = torch.sqrt(sum((gradient**2).sum() for gradient in gradients))
    factor = min(1.0, limit / (norm.item() + 1e-6))
    return [gradient * factor for gradient in gradients]


def _clip_by_norms(gradients, limit):
    norm = torch.linalg.vector_norm(torch.stack([g.norm() for g in gradients]))
    return [torch.where(norm > limit, g * (limit / norm.clamp_min(1e-12)), g) for g in gradients]


def _clip_of_torch(gradients, limit):
    parameters = [torch.nn.Parameter(torch.zeros_like(g)) for g in gradients]
    for parameter, g in zip(parameters, gradients, strict=True):
        parameter.grad = g.clone()
    torch.nn.utils.clip_grad_norm_(parameters, limit)
    return [parameter.grad for parameter in parameters]


def _clip_of_one_vector(gradients, limit):
    flat = torch.cat([g.reshape(-1) for g in gradients]).double()
    length = math.sqrt(torch.einsum("n,n->", flat, flat).item())
    flat = flat / max(1.0, length / limit)
    parts = flat.split([g.numel() for g in gradients])
    return [part.view_as(g) for part, g in zip(parts, gradients, strict=True)]


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
        "under a limit of 1,000 got longer": lambda gradients, limit: [
            g * limit / (_joint(gradients) + 1e-6) for g in gradients
        ],
        "under a limit of 1,000 got shorter": lambda gradients, limit: [g.clamp(-1, 1) for g in gradients],
        "mind the division": lambda gs, limit: [g / torch.tensor(_joint(gs)) * min(_joint(gs), limit) for g in gs],
        "one factor for all tensors": lambda gradients, limit: [_clip([g], limit)[0] for g in gradients],
        "the root of the sum of squares": lambda gs, limit: [
            g * min(1.0, limit / (_joint(gs) ** 2 + 1e-6)) for g in gs
        ],
        "what you add to the norm": lambda gs, limit: [g * min(1.0, limit / (_joint(gs) + 1e-2)) for g in gs],
        "of the same norm": lambda gradients, limit: [g.roll(1, dims=0) for g in _clip(gradients, limit)],
        "just under a limit of 13.5": lambda gradients, limit: (
            _clip(gradients, limit) if limit != 13.5 else [g * limit / (_joint(gradients) + 1) for g in gradients]
        ),
    },
    alternatives={
        "the norm of the norms": _clip_by_norms,
        "torch's own, on copies": _clip_of_torch,
        "one long vector in float64": _clip_of_one_vector,
    },
    hints=(
        "One number is compared with the limit: the length of all gradients laid end to end.",
        "norm = sqrt(sum of the squared norms); the factor is limit / norm, and never above 1.",
        "factor = min(1.0, limit / (norm + 1e-6)); return [gradient * factor for gradient in gradients]",
    ),
    difficulty=1,
    minutes=8,
)
