"""Exercise 09.3: rotary positions."""

import math

import torch

from course_lib.exercises.lesson_09.sdpa import drawn_tokens
from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close


def rope_leaves_position_zero(rope):
    x = drawn_tokens(2, 1, 8, seed=8)
    got = rope(x, torch.tensor([0]))
    assert got.shape == x.shape, f"the shape stays (2, 1, 8), got {tuple(got.shape)}"
    assert not close(got[..., :4], x[..., 0::2]), (
        "the features came back in another order: stack(..., dim=-1).flatten(-2) puts the pairs side by side again"
    )
    assert close(got, x), "at position 0 every angle is 0 and nothing changes; RoPE rotates, it adds nothing"


def rope_keeps_lengths(rope):
    x = drawn_tokens(2, 3, 8, seed=8)
    got = rope(x, torch.tensor([1, 5, 40])).norm(dim=-1)
    assert close(got, x.norm(dim=-1)), (
        "a rotation keeps lengths and yours does not: (a, b) becomes (a cos - b sin, a sin + b cos)"
    )


def rope_sees_only_distances(rope):
    query, key = drawn_tokens(3, 8, seed=9), drawn_tokens(3, 8, seed=10)
    near = (rope(query, torch.tensor([3, 4, 5])) * rope(key, torch.tensor([0, 2, 1]))).sum(dim=-1)
    far = (rope(query, torch.tensor([103, 104, 105])) * rope(key, torch.tensor([100, 102, 101]))).sum(dim=-1)
    assert close(near, far), (
        "shifting query and key together changed the score: the angle must be position times a fixed frequency"
    )


def rope_turns_the_right_way(rope):
    got = rope(torch.tensor([[1.0, 0.0]]), torch.tensor([1])).flatten()
    assert got.tolist() != [1.0, 0.0], "position 1 was not turned: use `positions`, not the place in the tensor"
    assert got[1] > 0, "you turn clockwise: (1, 0) at position 1 becomes (cos 1, sin 1), with a plus"


def rope_has_the_frequencies(rope):
    ones = torch.ones(1, 8, dtype=torch.float64)
    expected = sum(2 * math.cos(7 * 10_000.0 ** (-2 * i / 8)) for i in range(4))
    assert abs(rope(ones, torch.tensor([7])).sum().item() - expected) < 1e-4, (
        "the frequencies differ: pair i turns by base^(-2i / E) radians per position, so 1, 0.1, 0.01, 0.001 for E = 8"
    )
    slower = (rope(ones, torch.tensor([7]), base=100.0) - rope(ones, torch.tensor([7]))).abs().max()
    assert slower > 1e-3, "`base` makes no difference; it is an argument, not always 10,000"


def rope_pairs_neighbours(rope):
    query, key = drawn_tokens(1, 8, seed=9), drawn_tokens(1, 8, seed=10)
    mixed = [
        (rope(query, torch.tensor([3 + shift])) * _rope(key, torch.tensor([1 + shift]))).sum().item()
        for shift in (0, 50)
    ]
    assert abs(mixed[0] - mixed[1]) < 1e-4, (
        "against a key rotated in neighbouring pairs the score depends on the absolute position: yours pairs i with "
        "i + E/2; either is fine alone, mixed they break"
    )


def _by_complex(x, positions, base):
    """The truth by another route: pairs as complex numbers."""
    width = x.shape[-1]
    turns = torch.tensor([[p * base ** (-2 * i / width) for i in range(width // 2)] for p in positions.tolist()])
    pairs = torch.view_as_complex(x.double().unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(turns), turns)).flatten(-2)


def rope_serves_any_shape_and_base(rope):
    positions = torch.tensor([7, 0, 3, 300])
    for shape, base in (((4, 6), 100.0), ((2, 3, 4, 6), 100.0), ((5, 4, 2), 10_000.0), ((1, 4, 10), 500_000.0)):
        x = drawn_tokens(*shape, seed=11)
        got = rope(x, positions, base=base)
        assert got.shape == x.shape, (
            f"x of shape {shape} came back as {tuple(got.shape)}: any axes may stand before S, E"
        )
        off = (got - _by_complex(x, positions, base)).abs().max().item()
        assert off < 1e-3, (  # an angle of 300 radians keeps four digits in float32
            f"x of shape {shape}, base {base:.0f}: differs by {off:.2f} from turning pairs as complex numbers by "
            "p * base^(-2i / E)"
        )


def _rope(x, positions, base=10_000.0):
    frequencies = base ** (-torch.arange(0, x.shape[-1], 2) / x.shape[-1])
    angles = positions[:, None] * frequencies
    a, b = x[..., 0::2], x[..., 1::2]
    turned = torch.stack([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], dim=-1)
    return turned.flatten(start_dim=-2)


def _rope_halves(x, positions, base=10_000.0):
    return _rope(x.unflatten(-1, (2, -1)).mT.flatten(-2), positions, base).unflatten(-1, (-1, 2)).mT.flatten(-2)


def _rope_complex(x, positions, base=10_000.0):
    width = x.size(-1)
    rates = torch.pow(base, torch.arange(width // 2, dtype=torch.float64).mul(-2 / width))
    turn = torch.exp(1j * torch.outer(positions.double(), rates))
    pairs = torch.complex(x[..., ::2].double(), x[..., 1::2].double()) * turn
    return torch.stack((pairs.real, pairs.imag), -1).reshape(x.shape).to(x.dtype)


def _rope_by_matrices(x, positions, base=10_000.0):
    half = x.shape[-1] // 2
    angle = torch.einsum("s,i->si", positions.double(), base ** (-torch.arange(half).double() / half))
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2).to(x.dtype)
    return torch.einsum("sijk,...sik->...sij", turn, x.unflatten(-1, (half, 2))).flatten(-2)


def _rope_by_pairs(x, positions, base=10_000.0):
    columns, width = [], x.shape[-1]
    for i in range(0, width, 2):
        angle = [position * base ** (-i / width) for position in positions.tolist()]
        cos, sin = (x.new_tensor([f(each) for each in angle]) for f in (math.cos, math.sin))
        columns += [x[..., i] * cos - x[..., i + 1] * sin, x[..., i] * sin + x[..., i + 1] * cos]
    return torch.stack(columns, dim=-1)


rope = Exercise(
    id="09.3 rope",
    task="Write rope(x, positions, base=10_000.0): x (..., S, E), positions (S,) -> (..., S, E). Neighbouring features "
    "(2i, 2i+1) are a point in the plane; at position p it turns by p · base^(-2i / E) radians, anticlockwise.",
    stages=(
        rope_leaves_position_zero,
        rope_keeps_lengths,
        rope_sees_only_distances,
        rope_turns_the_right_way,
        rope_has_the_frequencies,
        rope_pairs_neighbours,
        rope_serves_any_shape_and_base,
    ),
    reference=_rope,
    mutants={
        "the features came back": lambda x, p, base=1e4: _rope(x, p, base).unflatten(-1, (-1, 2)).mT.flatten(-2),
        "RoPE rotates, it adds nothing": lambda x, p, base=1e4: x + p[:, None].cos(),
        "a rotation keeps lengths": lambda x, p, base=1e4: x + p[:, None] * (_rope(x, p, base) - x),
        "shifting query and key together": lambda x, p, base=1e4: _rope(x, p / p.max().clamp(min=1), base),
        "not the place in the tensor": lambda x, p, base=1e4: _rope(x, torch.arange(x.shape[-2]), base),
        "you turn clockwise": lambda x, p, base=1e4: _rope(x, -p, base),
        "the frequencies differ": lambda x, p, base=1e4: _rope(x, p, base**0.5),
        "`base` makes no difference": lambda x, p, base=1e4: _rope(x, p),
        "mixed they break": _rope_halves,
        "any axes may stand before": lambda x, p, base=1e4: _rope(x if x.dim() < 4 else x[0], p, base),
        "turning pairs as complex numbers": lambda x, p, base=1e4: _rope(x, p, base if base == 1e4 else 10 * base),
    },
    alternatives={
        "complex numbers": _rope_complex,
        "matrices of two by two, einsum": _rope_by_matrices,
        "pair by pair, Python's angles": _rope_by_pairs,
    },
    hints=(
        "Pair (a, b) at angle t becomes (a cos t - b sin t, a sin t + b cos t); a: even features, b: odd ones.",
        "angles = positions[:, None] * base ** (-torch.arange(0, E, 2) / E) has shape (S, E/2), like x[..., 0::2].",
        "torch.stack([new_a, new_b], dim=-1).flatten(start_dim=-2) puts the pairs back as neighbours.",
    ),
    difficulty=3,
    minutes=15,
)
