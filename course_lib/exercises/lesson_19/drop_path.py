"""Exercise 19.2: DropPath."""

import torch

from course_lib.exercises.lesson_19.dropout import coins, dropout_with, numbers, whole
from course_lib.lesson.exercises import Exercise


def path_rests_in_eval_mode(drop_path):
    got = drop_path(numbers(6, 5), 0.5, False, coins())
    assert got is not None, "nothing came back in eval mode: return the branch"
    assert torch.equal(got, numbers(6, 5)), "at inference every block runs in full: return the branch as it is"


def path_keeps_any_shape(drop_path):
    for shape in ((7,), (7, 5), (7, 5, 3), (7, 4, 3, 2)):
        got = tuple(drop_path(numbers(*shape), 0.5, True, coins()).shape)
        assert got == shape, f"{shape} became {got}: the coins need shape (B, 1, ...) with as many axes as the branch"


def path_drops_whole_examples(drop_path):
    kept = drop_path(numbers(60, 5, 3), 0.5, True, coins()).flatten(1) != 0
    assert (kept == kept[:, :1]).all(), "parts of an example were dropped: a branch is kept or dropped as a whole"


def path_tosses_per_example(drop_path):
    kept = [drop_path(numbers(60, 2), 0.5, True, coins(seed))[:, 0] != 0 for seed in range(4)]
    alone = [k.any() and not k.all() for k in kept]
    assert any(alone), "the whole batch went one way: toss one coin per example"


def path_keeps_the_mean(drop_path):
    got = drop_path(torch.ones(4000, 2), 0.2, True, coins())
    kept = got[:, 0] != 0
    share = kept.float().mean().item()
    assert abs(share - 0.8) < 0.04, f"p = 0.2 kept {share:.2f} of the examples: p is the share to drop"
    assert torch.allclose(got[kept], torch.full((1, 2), 1.25)), (
        f"a kept branch came back {got[kept].mean().item():.2f} times as large; without 1 / (1 - p) the mean is off"
    )


def path_uses_the_generator(drop_path):
    first, again, other = (drop_path(numbers(40, 3), 0.5, True, coins(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again), "one seed, two results: the coins must come from `generator`"
    assert not torch.equal(first, other), "another seed gave the same coins: do not seed inside"


def _drop_path(branch, p, train, generator):
    if not train or p == 0:
        return branch
    keep = torch.rand(len(branch), *[1] * (branch.dim() - 1), generator=generator) >= p
    return branch * keep / (1 - p)


def _path_with(mask_shape, scale=lambda p: 1 / (1 - p), keep=lambda coins, p: coins >= p):
    return dropout_with(mask_shape, scale, keep)


def _rows(x):
    return (len(x), *[1] * (x.dim() - 1))


drop_path = Exercise(
    id="19.2 drop_path",
    task="Write drop_path(branch, p, train, generator): (B, ...) -> (B, ...). In training each example's branch is 0 "
    "with probability p and otherwise divided by 1 - p, one coin per example from `generator`; in eval mode it comes "
    "back as it is.",
    stages=(
        path_rests_in_eval_mode,
        path_keeps_any_shape,
        path_drops_whole_examples,
        path_tosses_per_example,
        path_keeps_the_mean,
        path_uses_the_generator,
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
        "changed its argument `branch`": lambda branch, p, train, generator: (
            branch.copy_(_drop_path(branch, p, train, generator)) if train else branch
        ),
        "the coins must come from `generator`": lambda branch, p, train, generator: _drop_path(branch, p, train, None),
    },
    hints=(
        "It is dropout with another mask shape. Which axes of the mask have length 1?",
        "(len(branch), 1, ..., 1) with branch.dim() axes broadcasts over everything but the batch.",
        "keep = torch.rand(len(branch), *[1] * (branch.dim() - 1), generator=generator) >= p",
    ),
    difficulty=2,
    minutes=10,
)
