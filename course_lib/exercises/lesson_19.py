"""Exercises of lesson 19: dropout, DropPath, lasso by proximal descent, early stopping."""

import torch
from torch.nn import functional as F

from course_lib.lesson.exercises import Exercise


def _coin(seed=0):
    return torch.Generator().manual_seed(seed)


# --- 19.1 dropout -------------------------------------------------------------------------------------------------


def _numbers(*shape):
    """From 1 to 1e4, so nothing is 0 before it is dropped."""
    return torch.logspace(0, 4, steps=torch.Size(shape).numel()).view(shape)


def dropout_rests_in_eval_mode(dropout):
    x = _numbers(30, 20)
    got = dropout(x, 0.4, False, _coin())
    assert got is not None and got.shape == x.shape, "eval mode must return x: same shape, same numbers"
    assert (got != 0).all(), "numbers were dropped in eval mode: `train` is False, so no coin is tossed"
    assert torch.equal(got, x), "eval mode scaled x: do the scaling in training, then eval mode needs none"


def dropout_leaves_its_input_alone(dropout):
    x = _numbers(30, 20)
    dropout(x, 0.4, True, _coin())
    assert torch.equal(x, _numbers(30, 20)), "x itself was changed: others still need it, so make a new tensor"


def dropout_scales_what_it_keeps(dropout):
    x = _numbers(30, 20)
    got = dropout(x, 0.2, True, _coin())
    kept = got != 0
    assert kept.any() and not kept.all(), "with p = 0.2 some of 600 numbers are dropped and some are kept"
    grown = (got[kept] / x[kept]).median().item()
    assert abs(grown - 1) > 1e-3, "kept numbers came back unchanged: then the mean falls by p; divide them by 1 - p"
    assert torch.allclose(got[kept], x[kept] / 0.8), f"kept numbers grew {grown:.2f} times; 1 / (1 - p) is 1.25"


def dropout_drops_with_probability_p(dropout):
    dropped = (dropout(_numbers(80, 50), 0.2, True, _coin()) == 0).float().mean().item()
    assert abs(dropped - 0.2) < 0.05, (
        f"p = 0.2 dropped {dropped:.2f} of all numbers: p is the share to drop, not to keep"
    )


def dropout_tosses_for_every_number(dropout):
    kept = dropout(_numbers(40, 30), 0.5, True, _coin()) != 0
    assert len(kept.unique(dim=0)) > 1, "every example lost the same units: the mask needs the batch axis, too"
    assert len(kept.unique(dim=1).T) > 1, "each example lost all or nothing: the mask needs the feature axis, too"
    assert dropout(_numbers(2, 3, 4), 0.5, True, _coin()).shape == (2, 3, 4), "(2, 3, 4) must stay (2, 3, 4)"


def dropout_uses_the_generator(dropout):
    first, again, other = (dropout(_numbers(8, 9), 0.5, True, _coin(seed)) for seed in (1, 1, 2))
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


def _dropout_with(mask_shape, scale=lambda p: 1 / (1 - p), keep=lambda coins, p: coins >= p):
    def wrong(x, p, train, generator):
        return x * keep(torch.rand(mask_shape(x), generator=generator), p) * scale(p) if train else x

    return wrong


def _whole(x):
    return x.shape


dropout = Exercise(
    id="19.1 dropout",
    task="Write dropout(x, p, train, generator): any shape -> the same shape. In training each number is 0 with "
    "probability p and otherwise divided by 1 - p; in eval mode x comes back as it is. Coins from `generator`.",
    stages=(
        dropout_rests_in_eval_mode,
        dropout_leaves_its_input_alone,
        dropout_scales_what_it_keeps,
        dropout_drops_with_probability_p,
        dropout_tosses_for_every_number,
        dropout_uses_the_generator,
    ),
    reference=_dropout,
    mutants={
        "no coin is tossed": lambda x, p, train, generator: _dropout(x, p, True, generator),
        "eval mode scaled x": _dropout_at_test_time,
        "x itself was changed": _dropout_in_place,
        "came back unchanged": _dropout_with(_whole, scale=lambda p: 1),
        "1 / (1 - p) is 1.25": _dropout_with(_whole, scale=lambda p: 1 / p),
        "not to keep": _dropout_with(_whole, keep=lambda coins, p: coins < p),
        "lost the same units": _dropout_with(lambda x: x.shape[1:]),
        "all or nothing": _dropout_with(lambda x: (len(x), *[1] * (x.dim() - 1))),
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

# --- 19.2 drop_path -----------------------------------------------------------------------------------------------


def path_rests_in_eval_mode(drop_path):
    got = drop_path(_numbers(6, 5), 0.5, False, _coin())
    assert got is not None, "nothing came back in eval mode: return the branch"
    assert torch.equal(got, _numbers(6, 5)), "at inference every block runs in full: return the branch as it is"


def path_keeps_any_shape(drop_path):
    for shape in ((7,), (7, 5), (7, 5, 3), (7, 4, 3, 2)):
        got = tuple(drop_path(_numbers(*shape), 0.5, True, _coin()).shape)
        assert got == shape, f"{shape} became {got}: the coins need shape (B, 1, ...) with as many axes as the branch"


def path_leaves_its_input_alone(drop_path):
    branch = _numbers(30, 4)
    drop_path(branch, 0.5, True, _coin())
    assert torch.equal(branch, _numbers(30, 4)), "the branch itself was changed: make a new tensor"


def path_drops_whole_examples(drop_path):
    kept = drop_path(_numbers(60, 5, 3), 0.5, True, _coin()).flatten(1) != 0
    assert (kept == kept[:, :1]).all(), "parts of an example were dropped: a branch is kept or dropped as a whole"


def path_tosses_per_example(drop_path):
    kept = [drop_path(_numbers(60, 2), 0.5, True, _coin(seed))[:, 0] != 0 for seed in range(4)]
    alone = [k.any() and not k.all() for k in kept]
    assert any(alone), "the whole batch went one way: toss one coin per example"


def path_keeps_the_mean(drop_path):
    got = drop_path(torch.ones(4000, 2), 0.2, True, _coin())
    kept = got[:, 0] != 0
    share = kept.float().mean().item()
    assert abs(share - 0.8) < 0.04, f"p = 0.2 kept {share:.2f} of the examples: p is the share to drop"
    assert torch.allclose(got[kept], torch.full((1, 2), 1.25)), (
        f"a kept branch came back {got[kept].mean().item():.2f} times as large; without 1 / (1 - p) the mean is off"
    )


def path_uses_the_generator(drop_path):
    first, again, other = (drop_path(_numbers(40, 3), 0.5, True, _coin(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again), "one seed, two results: the coins must come from `generator`"
    assert not torch.equal(first, other), "another seed gave the same coins: do not seed inside"


def _drop_path(branch, p, train, generator):
    if not train or p == 0:
        return branch
    keep = torch.rand(len(branch), *[1] * (branch.dim() - 1), generator=generator) >= p
    return branch * keep / (1 - p)


def _path_with(mask_shape, scale=lambda p: 1 / (1 - p), keep=lambda coins, p: coins >= p):
    return _dropout_with(mask_shape, scale, keep)


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
        path_leaves_its_input_alone,
        path_drops_whole_examples,
        path_tosses_per_example,
        path_keeps_the_mean,
        path_uses_the_generator,
    ),
    reference=_drop_path,
    mutants={
        "every block runs in full": lambda branch, p, train, generator: branch * (1 - p) if not train else branch,
        "(7,) became (7, 7)": _path_with(lambda x: (len(x), 1)),
        "kept or dropped as a whole": _path_with(_whole),
        "went one way": _path_with(lambda x: [1] * x.dim()),
        "p is the share to drop": _path_with(_rows, keep=lambda coins, p: coins < p),
        "came back 1.00 times as large": _path_with(_rows, scale=lambda p: 1),
        "came back 0.80 times as large": _path_with(_rows, scale=lambda p: 1 - p),
        "the branch itself was changed": lambda branch, p, train, generator: (
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

# --- 19.3 ista ----------------------------------------------------------------------------------------------------


def _regression(batch=30, width=6, seed=0):
    generator = _coin(seed)
    features = torch.randn(batch, width, generator=generator, dtype=torch.float64)
    truth = torch.tensor([2.0, -3.0, 0.0, 0.0, 0.8, 0.0], dtype=torch.float64)[:width]
    return features, features @ truth + 0.2 * torch.randn(batch, generator=generator, dtype=torch.float64)


def ista_starts_at_zero(ista):
    features, target = _regression()
    got = ista(features, target, 0.1, 0.05, 0)
    assert got is not None and tuple(got.shape) == (6,), "six features need weights of shape (6,)"
    assert (got == 0).all(), "no steps, no weights: start from zeros"


def ista_descends_the_mean_loss(ista):
    features, target = torch.eye(6, dtype=torch.float64).repeat(5, 1), torch.arange(1.0, 31.0, dtype=torch.float64)
    got, slope = ista(features, target, 0.0, 0.05, 1), features.T @ target / 30  # every slope is positive
    assert (got >= 0).all(), "without a penalty the first step went uphill: check the gradient's sign"
    ratio = (got.norm() / (0.05 * slope.norm())).item()
    assert abs(ratio - 1) < 1e-6, f"the first step is {ratio:.1f} times too long: the loss is a mean over B examples"


def ista_keeps_useless_weights_at_zero(ista):
    features, target = _regression()
    limit = (features.T @ target / 30).abs().max().item()
    got = ista(features, target, 1.01 * limit, 0.05, 7)
    assert (got == 0).all(), (
        "a penalty above every correlation must keep all weights at exactly 0: soft-threshold after each gradient step"
    )


def ista_shrinks_both_signs(ista):
    features, target = _regression()
    got = ista(features, target, 0.1, 0.5, 1)  # a threshold of 0.1 would leave the large weights alive, too
    step = 0.5 * features.T @ target / 30
    assert (got[step < -0.2] < 0).all(), "a clearly negative weight vanished: shrink |w| and give the sign back"
    assert (got[step.abs() > 0.2].abs() < step[step.abs() > 0.2].abs()).all(), (
        "survivors kept their full size: soft-thresholding shrinks them, too"
    )


def ista_thresholds_by_rate_times_penalty(ista):
    features, target = _regression()
    step = 0.5 * features.T @ target / 30
    got = ista(features, target, 0.1, 0.5, 1)
    lost = (step.abs() - got.abs())[got != 0]
    assert torch.allclose(lost, torch.full_like(lost, 0.05)), (
        f"one step took {lost.mean().item():.2f} off each weight; rate * penalty is 0.5 * 0.1 = 0.05"
    )


def ista_meets_the_optimum(ista):
    for seed in range(3):
        features, target = _regression(batch=25, seed=seed)
        weight = ista(features, target, 0.4, 0.2, 1500)
        slope = features.T @ (target - features @ weight) / 25
        used = weight != 0
        assert (
            torch.allclose(slope[used], 0.4 * weight[used].sign(), atol=1e-6) and (slope[~used].abs() <= 0.4).all()
        ), "after many steps it is not at a minimum: take every gradient at the newest weights"


def _ista(features, target, penalty, rate, steps, shrink=None, scale=1.0, start=0.0, fresh=True):
    shrink = (lambda moved, t: F.softshrink(moved, t)) if shrink is None else shrink
    weight = first = torch.full((features.shape[1],), start, dtype=features.dtype)
    for _ in range(steps):
        gradient = scale * features.T @ (features @ (weight if fresh else first) - target) / len(features)
        weight = shrink(weight - rate * gradient, rate * penalty)
    return weight


def _ista_with(**changes):
    return lambda *case: _ista(*case, **changes)


def _sub_gradient(features, target, penalty, rate, steps):
    weight = torch.zeros(features.shape[1], dtype=features.dtype)
    for _ in range(steps):
        gradient = features.T @ (features @ weight - target) / len(features)
        weight = weight - rate * (gradient + penalty * weight.sign())
    return weight


ista = Exercise(
    id="19.3 ista",
    task="Write proximal_descent(features, target, penalty, rate, steps): (B, D), (B,) -> (D,). From w = 0, `steps` "
    "times a gradient step on |y - Xw|^2 / (2B), then soft-thresholding by rate * penalty.",
    stages=(
        ista_starts_at_zero,
        ista_descends_the_mean_loss,
        ista_keeps_useless_weights_at_zero,
        ista_shrinks_both_signs,
        ista_thresholds_by_rate_times_penalty,
        ista_meets_the_optimum,
    ),
    reference=_ista,
    mutants={
        "start from zeros": _ista_with(start=0.1),
        "went uphill": _ista_with(scale=-1.0),
        "the loss is a mean": _ista_with(scale=30.0),
        "soft-threshold after each gradient step": _sub_gradient,
        "give the sign back": _ista_with(shrink=lambda moved, t: (moved - t).clamp_min(0)),
        "survivors kept their full size": _ista_with(shrink=lambda moved, t: moved * (moved.abs() > t)),
        "rate * penalty is": lambda x, y, penalty, rate, steps: _ista(x, y, penalty / rate, rate, steps),
        "at the newest weights": _ista_with(fresh=False),
    },
    hints=(
        "Two lines in a loop: one that knows only the data, one that knows only the penalty.",
        "The gradient is X^T (X w - y) / B, at the newest w. The threshold is rate * penalty, not penalty.",
        "moved = weight - rate * gradient; weight = moved.sign() * (moved.abs() - rate * penalty).clamp_min(0)",
    ),
    difficulty=3,
    minutes=15,
)

# --- 19.4 early_stop ----------------------------------------------------------------------------------------------


def _stops(early_stop, losses, patience, min_delta, expected, advice):
    got = early_stop(losses, patience, min_delta)
    assert got == expected, f"losses {losses}, patience {patience}, min_delta {min_delta}: {advice}, got {got}"


def stop_returns_an_index(early_stop):
    _stops(early_stop, [0.9, 0.8, 0.7], 2, 0.0, 2, "the last measurement is the best, so return its index")


def stop_goes_back(early_stop):
    _stops(early_stop, [5.0, 3.0, 4.0, 4.5], 2, 0.0, 1, "the run ends at the last one; go back to the best")


def stop_waits_for_patience(early_stop):
    _stops(early_stop, [5.0, 3.0, 4.0, 2.0, 2.5], 2, 0.0, 3, "one bad measurement is no reason with patience 2")
    _stops(early_stop, [5.0, 6.0, 4.0, 6.0, 3.0], 2, 0.0, 4, "an improvement starts the waiting again")


def stop_does_not_look_ahead(early_stop):
    _stops(early_stop, [5.0, 3.0, 4.0, 4.0, 1.0], 2, 0.0, 1, "the run was over before the last measurement")


def stop_asks_for_a_real_gain(early_stop):
    _stops(early_stop, [5.0, 3.0, 3.0, 3.0, 1.0], 2, 0.0, 1, "a tie is no improvement")
    _stops(early_stop, [5.0, 5.2, 5.4, 5.6], 2, 0.5, 0, "worse is never better: the sign of min_delta")
    _stops(early_stop, [5.0, 4.9, 4.8, 4.7], 2, 0.5, 0, "gains below min_delta do not count")
    _stops(early_stop, [5.0, 4.7, 4.4, 4.1], 3, 0.5, 2, "small gains add up: compare with the best, not the previous")


def _early_stop(losses, patience, min_delta):
    return _stop_with(losses, patience, min_delta)


def _stop_with(losses, patience, min_delta, resets=True, better=None, back=True):
    better = (lambda now, best: losses[now] < losses[best] - min_delta) if better is None else better
    best = waited = 0
    for now in range(1, len(losses)):
        if better(now, best):
            best, waited = now, 0 if resets else waited
        else:
            waited += 1
        if waited >= patience:
            break
    return best if back else now


def _previous(losses, patience, min_delta):
    return _stop_with(losses, patience, min_delta, better=lambda now, best: losses[now] < losses[now - 1] - min_delta)


early_stop = Exercise(
    id="19.4 early_stop",
    task="Write early_stop(losses, patience, min_delta): validation losses, lower is better -> index to go back to. "
    "Give up after `patience` measurements in a row that are not more than min_delta below the best so far.",
    stages=(
        stop_returns_an_index,
        stop_goes_back,
        stop_waits_for_patience,
        stop_does_not_look_ahead,
        stop_asks_for_a_real_gain,
    ),
    reference=_early_stop,
    mutants={
        "return its index": lambda losses, patience, min_delta: losses[_stop_with(losses, patience, min_delta)],
        "go back to the best": lambda *case: _stop_with(*case, back=False),
        "one bad measurement": lambda losses, patience, min_delta: _stop_with(losses, 1, min_delta),
        "starts the waiting again": lambda *case: _stop_with(*case, resets=False),
        "the run was over": lambda losses, patience, min_delta: losses.index(min(losses)),
        "gains below min_delta": lambda losses, patience, min_delta: _stop_with(losses, patience, 0.0),
        "a tie is no improvement": lambda losses, patience, min_delta: _stop_with(
            losses, patience, min_delta, better=lambda now, best: losses[now] <= losses[best] - min_delta
        ),
        "the sign of min_delta": lambda losses, patience, min_delta: _stop_with(losses, patience, -min_delta),
        "not the previous": _previous,
    },
    hints=(
        "Walk through the losses once. What must you remember besides the best index?",
        "Better means losses[now] < losses[best] - min_delta; now - best is how long you have waited.",
        "for now, loss in enumerate(losses): if better, best = now; if now - best >= patience: break; return best.",
    ),
    difficulty=2,
    minutes=10,
)

EXERCISES = (dropout, drop_path, ista, early_stop)
