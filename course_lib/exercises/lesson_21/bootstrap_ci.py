"""Exercise 21.3: a bootstrap interval."""

import math
from statistics import NormalDist

import numpy as np
import torch

from course_lib.lesson.exercises import Exercise


def _run(bootstrap_ci, metric, label, score, level=0.95, seed=0, resamples=400):
    got = bootstrap_ci(metric, label, score, resamples, level, torch.Generator().manual_seed(seed))
    low, high = (float(edge) for edge in got)
    return low, high


def _mean(label, score):
    return score.double().mean().item()


def ci_draws_as_many(bootstrap_ci):
    sizes, names, positives, draws = [], set(), set(), set()

    def metric(label, score):
        sizes.append((len(label), len(score)))
        names.add(len(score.unique()))
        positives.add(int((label >= 15).sum()))
        draws.add(tuple(sorted(score.tolist())))
        return 0.0

    _run(bootstrap_ci, metric, torch.arange(30), torch.arange(30.0), resamples=20)
    assert set(sizes) == {(30, 30)}, f"of 30 examples draw 30, got sets of {sorted(set(sizes))}"
    assert len(sizes) in (20, 21), f"resamples is 20, the metric was called {len(sizes)} times; draw `resamples` times"
    assert min(names) < 30, "every draw holds all 30 examples: draw WITH replacement, or nothing varies"
    missing = set(range(30)) - {int(each) for draw in draws for each in draw}
    assert len(draws) < 20 or not missing, (
        f"example {min(missing, default=0)} comes into none of 20 draws of 30: draw from all"
    )
    assert len(draws) > 10, f"20 resamples hold {len(draws)} different sets of rows: draw anew for each of them"
    kinds = set()
    _run(
        bootstrap_ci, lambda label, score: kinds.add(int(label.sum())) or 0.0, torch.arange(30) % 2, torch.arange(30.0)
    )
    assert len(positives) > 1 and len(kinds) > 3, (
        "every draw holds as many positives as the data: draw from all examples, whatever their label"
    )


def ci_keeps_pairs(bootstrap_ci):
    def metric(label, score):
        assert score.is_floating_point() and not label.is_floating_point(), (
            "metric got the scores as labels: call metric(label, score)"
        )
        assert torch.equal(label, score.long()), "label and score were drawn apart: use the same rows for both"
        return 0.0

    _run(bootstrap_ci, metric, torch.arange(25), torch.arange(25.0), resamples=20)


def ci_has_a_level(bootstrap_ci):
    score = torch.randn(200, generator=torch.Generator().manual_seed(1))
    low, high = _run(bootstrap_ci, _mean, score.long(), score, resamples=1000)
    assert low < high, f"return (low, high) in this order, got ({low:.3f}, {high:.3f})"
    spans = (high - low) / (score.std().item() / 200**0.5)
    assert 3.4 < spans < 4.4, (
        f"95 % of a mean span 3.9 standard errors, got {spans:.1f}: 2.5 % lie outside on each side"
    )
    low, high = _run(bootstrap_ci, _mean, score.long(), score, level=0.5, resamples=1000)
    spans = (high - low) / (score.std().item() / 200**0.5)
    assert 1.1 < spans < 1.6, f"50 % span 1.35 standard errors, got {spans:.2f}: use `level`"


def ci_takes_quantiles(bootstrap_ci):
    score = torch.randn(40, generator=torch.Generator().manual_seed(4)).exp()
    low, high = _run(bootstrap_ci, lambda label, score: score.max().item(), score.long(), score)
    assert high < score.max().item() + 1e-4, (
        "the metric was max(score), and your interval ends above the largest score, where no draw can be: "
        "return QUANTILES of the draws, not a centre plus some standard deviations"
    )
    assert any(abs(low - each) < 1e-4 for each in score.tolist()), (
        "the metric was max(score), and your interval starts between two scores, where no draw can be: return quantiles"
    )


def ci_interpolates(bootstrap_ci):
    calls = []
    low, high = _run(
        bootstrap_ci,
        lambda label, score: calls.append(label) or float(len(calls)),
        torch.arange(30),
        torch.arange(30.0),
        level=0.9,
        resamples=20,
    )
    early = round(low - 1.95)  # 1 when the metric of the data was measured first
    assert early in (0, 1) and abs(low - early - 1.95) < 1e-4 and abs(high - early - 19.05) < 1e-4, (
        f"20 draws measured 1, 2 ... 20: 90 % reach from 1.95 to 19.05, got {low:.2f} to {high:.2f}; quantiles "
        "between two draws are interpolated linearly, as torch.quantile does"
    )


def ci_uses_the_generator(bootstrap_ci):
    score = torch.randn(40, generator=torch.Generator().manual_seed(2))
    runs = []
    for noise, seed in ((0, 0), (1, 0), (1, 5)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(noise)
            runs.append(_run(bootstrap_ci, _mean, score.long(), score, seed=seed))
    assert runs[0] == runs[1], "two calls with equal generators differ: pass generator= to torch.randint"
    assert runs[1] != runs[2], "another generator gave the same interval: draw from the one that was passed"
    shared = torch.Generator().manual_seed(0)
    both = [bootstrap_ci(_mean, score.long(), score, 50, 0.9, shared) for _ in range(2)]
    assert tuple(map(float, both[0])) != tuple(map(float, both[1])), (
        "two calls in a row with one generator gave one interval: draw from it, do not make another from its seed"
    )


def _ci(metric, label, score, resamples, level, generator, *, tails=2, draw=None):
    def rows():
        return torch.randint(len(label), (len(label),), generator=generator) if draw is None else draw(len(label))

    values = []
    for _ in range(resamples):
        chosen = rows()
        values.append(metric(label[chosen], score[chosen]))
    edge = (1 - level) / tails
    low, high = torch.tensor(values, dtype=torch.float64).quantile(torch.tensor([edge, 1 - edge], dtype=torch.float64))
    return low.item(), high.item()


def _ci_normal(metric, label, score, resamples, level, generator):
    values = []
    _ci(lambda *drawn: values.append(metric(*drawn)) or 0.0, label, score, resamples, level, generator)
    values = torch.tensor(values, dtype=torch.float64)
    reach = NormalDist().inv_cdf((1 + level) / 2) * values.std().item()
    return values.mean().item() - reach, values.mean().item() + reach


def _ci_apart(metric, label, score, resamples, level, generator):
    mixed = label[torch.randint(len(label), (len(label),), generator=generator)]
    return _ci(metric, mixed, score, resamples, level, generator)


def _ci_by_rank(metric, label, score, resamples, level, generator):
    """The draws at two whole ranks, nothing between them."""
    values = []
    _ci(lambda *drawn: values.append(metric(*drawn)) or 0.0, label, score, resamples, level, generator)
    outside = int(resamples * (1 - level) / 2)
    return sorted(values)[outside], sorted(values)[-1 - outside]


def _ci_by_label(metric, label, score, resamples, level, generator):
    """Positives and negatives drawn apart, each as often as they are."""
    order = torch.argsort((label > label.double().mean()).long(), stable=True)
    cut = int((label <= label.double().mean()).sum())

    def draw(count):
        parts = (
            torch.randint(cut, (cut,), generator=generator),
            torch.randint(cut, count, (count - cut,), generator=generator),
        )
        return order[torch.cat(parts)]

    return _ci(metric, label, score, resamples, level, generator, draw=draw)


def _ci_by_sorting(metric, label, score, resamples, level, generator):
    count = label.shape[0]
    rows = torch.randint(0, count, (resamples, count), generator=generator)
    values = sorted(float(metric(label[each], score[each])) for each in rows)

    def at(share):
        place = share * (resamples - 1)
        below = math.floor(place)
        return values[below] + (place - below) * (values[min(below + 1, resamples - 1)] - values[below])

    return at(0.5 - level / 2), at(0.5 + level / 2)


def _ci_by_numpy(metric, label, score, resamples, level, generator):
    values = []
    while len(values) < resamples:
        rows = (torch.rand(len(score), generator=generator, dtype=torch.float64) * len(score)).long()
        values.append(metric(label[rows], score[rows]))
    tail = 100 * (1 - level) / 2
    return np.percentile(values, [tail, 100 - tail])


def _ci_by_counts(metric, label, score, resamples, level, generator):
    even = torch.ones(len(label))
    draws = [even.multinomial(len(label), replacement=True, generator=generator) for _ in range(resamples)]
    values = torch.tensor([metric(label.index_select(0, rows), score.index_select(0, rows)) for rows in draws])
    return torch.quantile(values.double(), 0.5 * (1 - level)), torch.quantile(values.double(), 0.5 * (1 + level))


bootstrap_ci = Exercise(
    id="21.3 bootstrap_ci",
    task="Write bootstrap_ci(metric, label, score, resamples, level, generator) -> (low, high): percentile interval "
    "of metric(label, score) over `resamples` draws of B rows with replacement, the same rows of both; linear "
    "quantiles. All randomness comes from `generator`, as it is.",
    stages=(
        ci_draws_as_many,
        ci_keeps_pairs,
        ci_has_a_level,
        ci_takes_quantiles,
        ci_interpolates,
        ci_uses_the_generator,
    ),
    reference=_ci,
    mutants={
        "draw 30, got sets of": lambda m, y, s, r, c, g: _ci(
            m, y, s, r, c, g, draw=lambda n: torch.randint(n, (n // 2,), generator=g)
        ),
        "draw WITH replacement": lambda m, y, s, r, c, g: _ci(
            m, y, s, r, c, g, draw=lambda n: torch.randperm(n, generator=g)
        ),
        "draw `resamples` times": lambda m, y, s, r, c, g: _ci(m, y, s, 100, c, g),
        "use the same rows for both": _ci_apart,
        "return (low, high) in this order": lambda *a: _ci(*a)[::-1],
        "use `level`": lambda m, y, s, r, c, g: _ci(m, y, s, r, 0.95, g),
        "2.5 % lie outside on each side": lambda *a: _ci(*a, tails=1),
        "return QUANTILES of the draws": _ci_normal,
        "pass generator= to torch.randint": lambda m, y, s, r, c, g: _ci(
            m, y, s, r, c, g, draw=lambda n: torch.randint(n, (n,))
        ),
        "draw from the one that was passed": lambda m, y, s, r, c, g: _ci(
            m, y, s, r, c, torch.Generator().manual_seed(3)
        ),
        "whatever their label": _ci_by_label,
        "metric got the scores as labels": lambda m, y, s, r, c, g: _ci(lambda a, b: float(m(b, a)), y, s, r, c, g),
        "interpolated linearly": _ci_by_rank,
        "starts between two scores": lambda *a: (lambda low, high: (low - 0.05 * (high - low), high))(*_ci(*a)),
        "draw anew for each of them": lambda m, y, s, r, c, g: _ci(
            m, y, s, r, c, g, draw=lambda n: torch.arange(n) // 2
        ),
        "do not make another from its seed": lambda m, y, s, r, c, g: _ci(
            m, y, s, r, c, torch.Generator().manual_seed(g.initial_seed())
        ),
        "comes into none of 20 draws": lambda m, y, s, r, c, g: _ci(
            m, y, s, r, c, g, draw=lambda n: torch.randint(n - 1, (n,), generator=g)
        ),
    },
    alternatives={
        "all rows drawn at once, sorted by hand": _ci_by_sorting,
        "uniform numbers, numpy's quantiles": _ci_by_numpy,
        "counts of a multinomial": _ci_by_counts,
    },
    hints=(
        "A draw is a list of row numbers. What may the same row do, and how many tensors use the list?",
        "rows = torch.randint(len(label), (len(label),), generator=generator); then metric(label[rows], score[rows]).",
        "Collect `resamples` values; their quantiles at (1 - level) / 2 and (1 + level) / 2 are low and high.",
    ),
    difficulty=2,
    minutes=10,
)
