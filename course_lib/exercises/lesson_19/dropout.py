"""Exercise 19.1: dropout."""

import torch

from course_lib.lesson.exercises import Exercise


def coins(seed=0):
    return torch.Generator().manual_seed(seed)


def numbers(*shape):
    """From 1 to 1e4, so nothing is 0 before it is dropped."""
    return torch.logspace(0, 4, steps=torch.Size(shape).numel()).view(shape)


def dropout_rests_in_eval_mode(dropout):
    x = numbers(30, 20)
    got = dropout(x, 0.4, False, coins())
    assert got is not None and got.shape == x.shape, "eval mode must return x: same shape, same numbers"
    assert (got != 0).all(), "numbers were dropped in eval mode: `train` is False, so no coin is tossed"
    assert torch.equal(got, x), "eval mode scaled x: do the scaling in training, then eval mode needs none"


def dropout_scales_what_it_keeps(dropout):
    x = numbers(30, 20)
    got = dropout(x, 0.2, True, coins())
    kept = got != 0
    assert kept.any() and not kept.all(), "with p = 0.2 some of 600 numbers are dropped and some are kept"
    grown = (got[kept] / x[kept]).median().item()
    assert abs(grown - 1) > 1e-3, "kept numbers came back unchanged: then the mean falls by p; divide them by 1 - p"
    assert torch.allclose(got[kept], x[kept] / 0.8), f"kept numbers grew {grown:.2f} times; 1 / (1 - p) is 1.25"


def dropout_drops_with_probability_p(dropout):
    dropped = (dropout(numbers(80, 50), 0.2, True, coins()) == 0).float().mean().item()
    assert abs(dropped - 0.2) < 0.05, (
        f"p = 0.2 dropped {dropped:.2f} of all numbers: p is the share to drop, not to keep"
    )


def dropout_tosses_for_every_number(dropout):
    kept = dropout(numbers(40, 30), 0.5, True, coins()) != 0
    assert len(kept.unique(dim=0)) > 1, "every example lost the same units: the mask needs the batch axis, too"
    assert len(kept.unique(dim=1).T) > 1, "each example lost all or nothing: the mask needs the feature axis, too"
    assert dropout(numbers(2, 3, 4), 0.5, True, coins()).shape == (2, 3, 4), "(2, 3, 4) must stay (2, 3, 4)"


def dropout_uses_the_generator(dropout):
    first, again, other = (dropout(numbers(8, 9), 0.5, True, coins(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again), "two generators with one seed gave two masks: pass `generator` to torch.rand"
    assert not torch.equal(first, other), "another seed gave the same mask: do not seed inside"


def _dropout(x, p, train, generator):
    if not train or p == 0:
        return x
    return x * (torch.rand(x.shape, generator=generator) >= p) / (1 - p)


def _dropout_at_test_time(x, p, train, generator):
    return x * (torch.rand(x.shape, generator=generator) >= p) if train else x * (1 - p)


def _dropout_in_place(x, p, train, generator):
    return x.mul_(torch.rand(x.shape, generator=generator) >= p).div_(1 - p) if train else x


def dropout_with(mask_shape, scale=lambda p: 1 / (1 - p), keep=lambda coins, p: coins >= p):
    def wrong(x, p, train, generator):
        return x * keep(torch.rand(mask_shape(x), generator=generator), p) * scale(p) if train else x

    return wrong


def whole(x):
    return x.shape


dropout = Exercise(
    id="19.1 dropout",
    task="Write dropout(x, p, train, generator): any shape -> the same shape. In training each number is 0 with "
    "probability p and otherwise divided by 1 - p; in eval mode x comes back as it is. Coins from `generator`.",
    stages=(
        dropout_rests_in_eval_mode,
        dropout_scales_what_it_keeps,
        dropout_drops_with_probability_p,
        dropout_tosses_for_every_number,
        dropout_uses_the_generator,
    ),
    reference=_dropout,
    mutants={
        "no coin is tossed": lambda x, p, train, generator: _dropout(x, p, True, generator),
        "eval mode scaled x": _dropout_at_test_time,
        "changed its argument `x`": _dropout_in_place,
        "came back unchanged": dropout_with(whole, scale=lambda p: 1),
        "1 / (1 - p) is 1.25": dropout_with(whole, scale=lambda p: 1 / p),
        "not to keep": dropout_with(whole, keep=lambda coins, p: coins < p),
        "lost the same units": dropout_with(lambda x: x.shape[1:]),
        "all or nothing": dropout_with(lambda x: (len(x), *[1] * (x.dim() - 1))),
        "pass `generator` to torch.rand": lambda x, p, train, generator: _dropout(x, p, train, None),
    },
    hints=(
        "Three decisions: what eval mode does, where the scaling happens, and what shape the coins have.",
        "A coin that is 1 with probability 1 - p: torch.rand(x.shape, generator=generator) >= p.",
        "In training return x * keep / (1 - p); otherwise return x.",
    ),
    difficulty=1,
    minutes=10,
)
