"""Exercise 19.1: dropout."""

import torch

from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close


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
    assert close(got[kept] / x[kept], torch.full_like(got[kept], 1.25)), (
        f"kept numbers grew {grown:.2f} times; 1 / (1 - p) is 1.25"
    )


def dropout_drops_with_probability_p(dropout):
    for p in (0.2, 0.7):
        dropped = (dropout(numbers(80, 50), p, True, coins()) == 0).float().mean().item()
        assert abs(dropped - 1 + p) > 0.05, (
            f"p = {p} dropped {dropped:.2f} of all numbers: p is the share to drop, not to keep"
        )
        assert abs(dropped - p) < 0.05, (
            f"p = {p} dropped {dropped:.2f} of all numbers: torch.rand, not randn, lies below p with probability p"
        )
    generator = coins()
    first, second = (dropout(numbers(8, 9), 0.5, True, generator) for _ in range(2))
    assert not torch.equal(first, second), (
        "two calls with one generator gave one mask: draw from it, do not copy its seed"
    )
    masks = torch.stack([dropout(numbers(40), 0.3, True, generator) == 0 for _ in range(60)])
    assert len(masks.unique(dim=0)) == 60, (
        f"60 calls with one generator gave {len(masks.unique(dim=0))} masks: toss anew for every number of every call"
    )
    assert len(masks.T.unique(dim=0)) == 40, "two of 40 numbers fell together in each of 60 calls: one coin a number"
    counts = masks.sum(1).tolist()
    assert len(set(counts)) > 1, (
        f"of 40 numbers exactly {counts[0]} fell in each of 60 calls: each number has a coin of its own, so the count "
        "varies"
    )
    spread = torch.tensor(counts).double().var().item()  # 40 * 0.3 * 0.7 = 8.4, within a factor of 2.5
    assert 3.4 < spread < 21, f"the count of dropped numbers has variance {spread:.1f}, for separate coins it is 8.4"


def dropout_tosses_for_every_number(dropout):
    kept = dropout(numbers(40, 30), 0.5, True, coins()) != 0
    assert len(kept.unique(dim=0)) > 1, "every example lost the same units: the mask needs the batch axis, too"
    assert len(kept.unique(dim=1).T) > 1, "each example lost all or nothing: the mask needs the feature axis, too"
    assert len(kept.unique(dim=0)) == 40 and len(kept.unique(dim=1).T) == 30, (
        "rows or columns lost the same numbers: no coin may serve two numbers, so the mask has the shape of x"
    )
    deep = dropout(numbers(2, 30, 40), 0.5, True, coins())
    assert deep.shape == (2, 30, 40), "(2, 30, 40) must stay (2, 30, 40)"
    fallen = deep.flatten(0, 1) == 0
    assert len(fallen.unique(dim=0)) == 60, "in (2, 30, 40) two rows lost the same numbers: x has any number of axes"


def dropout_uses_the_generator(dropout):
    first, again, other = (dropout(numbers(8, 9), 0.5, True, coins(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again), "two generators with one seed gave two masks: pass `generator` to torch.rand"
    assert not torch.equal(first, other), "another seed gave the same mask: do not seed inside"


def dropout_knows_the_ends(dropout):
    x = torch.cat([numbers(20), -numbers(20)])
    assert close(dropout(x, 0.0, True, coins()), x), "p = 0 drops nothing and scales by 1"
    got = dropout(x, 1.0, True, coins())
    assert torch.equal(got, torch.zeros(40)), "p = 1 drops everything: zeros, not 0 / 0; write that case apart"


def _dropout(x, p, train, generator):
    if not train or p == 0:
        return x
    keep = torch.rand(x.shape, generator=generator) >= p
    return x * keep / (1 - p) if p < 1 else torch.zeros_like(x)


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


def _drops_so_many(x, count, p, train, generator):
    if not train:
        return x
    mask = torch.ones(x.numel())
    mask[torch.randperm(x.numel(), generator=generator)[:count]] = 0
    return x * mask.view(x.shape) / (1 - p)


def _outer_coins(x, p, generator):
    """Kept where a coin of the row and one of the column both say so."""
    if x.dim() == 1:
        return torch.rand(x.shape, generator=generator) >= p
    rows = torch.rand(x.shape[:-1], generator=generator) < (1 - p) ** 0.5
    return rows[..., None] & (torch.rand(x.shape[-1], generator=generator) < (1 - p) ** 0.5)


def _dropout_by_bernoulli(x, p, train, generator):
    if train and p > 0:
        keep = torch.bernoulli(torch.full_like(x, 1 - p), generator=generator).bool()
        x = torch.where(keep, x / max(1 - p, 1e-9), 0.0)
    return x


def _dropout_by_loop(x, p, train, generator):
    if not train:
        return x.clone()
    tossed = [0.0 if torch.rand((), generator=generator).item() < p else v / (1 - p) for v in x.flatten().tolist()]
    return torch.tensor(tossed).reshape(x.shape)


class _Dropout:
    def __init__(self, p, generator):
        self.keep, self.generator = 1 - p, generator

    def __call__(self, x, train):
        if not train or self.keep == 1:
            return x
        if self.keep == 0:
            return x * 0
        draw = torch.empty(x.shape, dtype=torch.float64).uniform_(generator=self.generator)
        return x.masked_fill(draw > self.keep, 0).mul(1 / self.keep)


dropout = Exercise(
    id="19.1 dropout",
    task="Write dropout(x, p, train, generator): any shape -> the same shape. In training each number is 0 with "
    "probability p and otherwise divided by 1 - p, with a coin of its own from `generator` (p from 0 to 1, ends "
    "included); in eval mode x comes back as it is.",
    stages=(
        dropout_rests_in_eval_mode,
        dropout_scales_what_it_keeps,
        dropout_tosses_for_every_number,
        dropout_drops_with_probability_p,
        dropout_uses_the_generator,
        dropout_knows_the_ends,
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
        "the count varies": lambda x, p, train, generator: _drops_so_many(x, round(p * x.numel()), p, train, generator),
        "variance": lambda x, p, train, generator: _drops_so_many(
            x, round(p * x.numel()) + int(torch.randint(2, (), generator=generator)), p, train, generator
        ),
        "no coin may serve two": lambda x, p, train, generator: (
            x * _outer_coins(x, p, generator) / (1 - p) if train else x
        ),
        "do not copy its seed": lambda x, p, train, generator: _dropout(x, p, train, coins(generator.initial_seed())),
        "zeros, not 0 / 0": lambda x, p, train, generator: (
            x * (torch.rand(x.shape, generator=generator) >= p) / (1 - p) if train and p else x
        ),
        "torch.rand, not randn": lambda x, p, train, generator: (
            x * (torch.randn(x.shape, generator=generator) >= p) / (1 - p) if train else x
        ),
        "toss anew for every number": lambda x, p, train, generator: _dropout(
            x, p, train, coins(int(torch.randint(9, (), generator=generator)))
        ),
        "one coin a number": lambda x, p, train, generator: (
            x
            * (torch.rand(x.numel() // 2 + 1, generator=generator).repeat(2)[: x.numel()].view(x.shape) >= p)
            / (1 - p)
            if train
            else x
        ),
    },
    alternatives={
        "bernoulli and where": _dropout_by_bernoulli,
        "number by number": _dropout_by_loop,
        "a class": lambda x, p, train, generator: _Dropout(p, generator)(x, train),
    },
    hints=(
        "Three decisions: what eval mode does, where the scaling happens, and what shape the coins have.",
        "A coin that is 1 with probability 1 - p: torch.rand(x.shape, generator=generator) >= p.",
        "In training return x * keep / (1 - p); otherwise return x.",
    ),
    difficulty=1,
    minutes=10,
)
