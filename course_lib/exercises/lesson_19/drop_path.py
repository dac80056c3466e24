"""Exercise 19.2: DropPath."""

import torch

from course_lib.exercises.lesson_19.dropout import coins, dropout_with, numbers, whole
from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close


def path_rests_in_eval_mode(drop_path):
    got = drop_path(numbers(6, 5), 0.5, False, coins())
    assert got is not None, "nothing came back in eval mode: return the branch"
    assert torch.equal(got, numbers(6, 5)), "at inference every block runs in full: return the branch as it is"


def path_keeps_any_shape(drop_path):
    for shape in ((7,), (7, 5), (7, 5, 3), (7, 4, 3, 2)):
        got = tuple(drop_path(numbers(*shape), 0.5, True, coins()).shape)
        assert got == shape, f"{shape} became {got}: the coins need shape (B, 1, ...) with as many axes as the branch"
        fallen = [(drop_path(numbers(*shape), 0.5, True, coins(seed)) == 0).any().item() for seed in range(20)]
        assert any(fallen), f"with shape {shape} and p = 0.5 nothing was dropped in 20 calls"


def path_drops_whole_examples(drop_path):
    kept = drop_path(numbers(60, 5, 3), 0.5, True, coins()).flatten(1) != 0
    assert (kept == kept[:, :1]).all(), "parts of an example were dropped: a branch is kept or dropped as a whole"


def path_tosses_per_example(drop_path):
    kept = torch.stack([drop_path(numbers(60, 2), 0.5, True, coins(seed))[:, 0] != 0 for seed in range(20)])
    assert any(k.any() and not k.all() for k in kept), "the whole batch went one way: toss one coin per example"
    assert len(kept.T.unique(dim=0)) == 60, (
        "two examples fell together in each of 20 calls: each example has a coin of its own"
    )
    counts = kept.sum(1)
    assert len(counts.unique()) > 1, (
        f"of 60 examples exactly {counts[0].item()} were kept in each of 20 calls: with separate coins the count varies"
    )


def path_keeps_the_mean(drop_path):
    got = drop_path(torch.ones(4000, 2), 0.2, True, coins())
    kept = got[:, 0] != 0
    share = kept.float().mean().item()
    assert abs(share - 0.8) < 0.04, f"p = 0.2 kept {share:.2f} of the examples: p is the share to drop"
    grown = got[kept].mean().item()
    assert abs(grown - 1.25) < 0.02, (
        f"a kept branch came back {grown:.2f} times as large; without 1 / (1 - p) the mean is off"
    )
    assert close(got[kept], torch.full_like(got[kept], 1.25)), (
        f"a kept branch came back {grown:.4f} times as large: divide by 1 - p, not by the share that these coins kept"
    )


def path_uses_the_generator(drop_path):
    first, again, other = (drop_path(numbers(40, 3), 0.5, True, coins(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again), "one seed, two results: the coins must come from `generator`"
    assert not torch.equal(first, other), "another seed gave the same coins: do not seed inside"
    generator = coins()
    first, second = (drop_path(numbers(40, 3), 0.5, True, generator) for _ in range(2))
    assert not torch.equal(first, second), "two calls with one generator dropped the same: draw from it, do not copy it"


def path_knows_the_ends(drop_path):
    branch = torch.cat([numbers(6, 4), -numbers(6, 4)])
    assert close(drop_path(branch, 0.0, True, coins()), branch), "p = 0 drops nothing and scales by 1"
    got = drop_path(branch, 1.0, True, coins())
    assert torch.equal(got, torch.zeros(12, 4)), "p = 1 drops every branch: zeros, not 0 / 0; write that case apart"


def _drop_path(branch, p, train, generator):
    if not train or p == 0:
        return branch
    keep = torch.rand(len(branch), *[1] * (branch.dim() - 1), generator=generator) >= p
    return branch * keep / (1 - p) if p < 1 else torch.zeros_like(branch)


def _path_with(mask_shape, scale=lambda p: 1 / (1 - p), keep=lambda coins, p: coins >= p):
    return dropout_with(mask_shape, scale, keep)


def _rows(x):
    return (len(x), *[1] * (x.dim() - 1))


def _path_with_half_the_coins(branch, p, train, generator):
    if not train:
        return branch
    half = torch.rand((len(branch) + 1) // 2, generator=generator)
    keep = torch.cat([half, half])[: len(branch)] >= p
    return branch * keep.view(_rows(branch)) / (1 - p)


def _path_divides_by_the_share(branch, p, train, generator):
    if not train:
        return branch
    keep = (torch.rand(_rows(branch), generator=generator) >= p).to(branch)
    return branch * keep / keep.mean().clamp_min(1e-9)


def _path_drops_so_many(branch, p, train, generator):
    if not train:
        return branch
    keep = torch.randperm(len(branch), generator=generator) >= round(p * len(branch))
    return branch * keep.view(_rows(branch)) / (1 - p)


def _path_by_bernoulli(branch, p, train, generator):
    if not train:
        return branch
    keep = torch.bernoulli(torch.full((branch.shape[0],), 1.0 - p), generator=generator)
    return torch.einsum("b...,b->b...", branch, (keep / max(1.0 - p, 1e-12)).to(branch.dtype))


def _path_by_loop(branch, p, train, generator):
    if not train or not p:
        return branch.clone()
    rows = []
    for example in branch:
        kept = torch.rand(1, generator=generator).item() < 1 - p
        rows.append(example / (1 - p) if kept else torch.zeros_like(example))
    return torch.stack(rows)


drop_path = Exercise(
    id="19.2 drop_path",
    task="Write drop_path(branch, p, train, generator): (B, ...) -> (B, ...). In training each example's branch is 0 "
    "with probability p and otherwise divided by 1 - p, one coin per example from `generator` (p from 0 to 1, ends "
    "included); in eval mode it comes back as it is.",
    stages=(
        path_rests_in_eval_mode,
        path_keeps_any_shape,
        path_drops_whole_examples,
        path_tosses_per_example,
        path_keeps_the_mean,
        path_uses_the_generator,
        path_knows_the_ends,
    ),
    reference=_drop_path,
    mutants={
        "every block runs in full": lambda branch, p, train, generator: branch * (1 - p) if not train else branch,
        "(7,) became (7, 7)": _path_with(lambda x: (len(x), 1)),
        "kept or dropped as a whole": _path_with(whole),
        "went one way": _path_with(lambda x: [1] * x.dim()),
        "p is the share to drop": _path_with(_rows, keep=lambda coins, p: coins < p),
        "came back 1.00 times as large": _path_with(_rows, scale=lambda p: 1),
        "came back 0.80 times as large": _path_with(_rows, scale=lambda p: 1 - p),
        "not by the share that these coins kept": _path_divides_by_the_share,
        "changed its argument `branch`": lambda branch, p, train, generator: (
            branch.copy_(_drop_path(branch, p, train, generator)) if train else branch
        ),
        "the coins must come from `generator`": lambda branch, p, train, generator: _drop_path(branch, p, train, None),
        "fell together in each of 20 calls": _path_with_half_the_coins,
        "with separate coins the count varies": _path_drops_so_many,
        "do not copy it": lambda branch, p, train, generator: _drop_path(
            branch, p, train, coins(generator.initial_seed())
        ),
        "zeros, not 0 / 0": lambda branch, p, train, generator: (
            branch * (torch.rand(_rows(branch), generator=generator) >= p) / (1 - p) if train else branch
        ),
        "nothing was dropped in 20 calls": lambda branch, p, train, generator: _drop_path(
            branch, p, train and branch.dim() > 1, generator
        ),
    },
    alternatives={
        "bernoulli, einsum": _path_by_bernoulli,
        "example by example": _path_by_loop,
    },
    hints=(
        "It is dropout with another mask shape. Which axes of the mask have length 1?",
        "(len(branch), 1, ..., 1) with branch.dim() axes broadcasts over everything but the batch.",
        "keep = torch.rand(len(branch), *[1] * (branch.dim() - 1), generator=generator) >= p",
    ),
    difficulty=2,
    minutes=10,
)
