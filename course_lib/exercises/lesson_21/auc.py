"""Exercise 21.2: the area under the ROC curve, with ties."""

from bisect import bisect_left, bisect_right

import torch

from course_lib.lesson.effort import PythonWork, TorchWork
from course_lib.lesson.exercises import Exercise

EXACT = 1e-5  # float32 is right to 1e-7; one pair among those of 60 scores weighs over 1e-3


def _scores(examples=60, levels=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    label = (torch.rand(examples, generator=generator) < 0.3).long()
    score = torch.randn(examples, generator=generator, dtype=torch.float64) + label
    return label, score if levels is None else (score * levels).round()


def _pairs(label, score, tie=0.5):
    gap = score[label == 1][:, None] - score[label == 0]
    return ((gap > 0).double() + tie * (gap == 0)).mean().item()


def auc_points_up(auc):
    label, score = torch.tensor([0, 0, 1, 1]), torch.tensor([0.1, 0.4, 0.35, 0.8])
    assert abs(auc(label, score) - 0.25) > EXACT, "upside down: a positive with a HIGH score is what counts"
    assert abs(auc(label, score) - 0.75) < EXACT, "4 scores without ties: 3 of the 4 pairs are in order, so 0.75"


def auc_may_be_below_one_half(auc):
    got = float(auc(torch.tensor([1, 1, 0, 0]), torch.tensor([0.1, 0.4, 0.35, 0.8])))
    assert abs(got - 0.25) < EXACT, f"1 of 4 pairs in order is 0.25, got {got:.2f}: a ranking may be worse than chance"


def auc_is_about_order(auc):
    label, score = _scores(levels=None)
    assert abs(auc(label, score) - auc(label, score.exp() * 1e4)) < EXACT, "exp(score) changed it; use ranks only"
    assert abs(auc(label, score) - _pairs(label, score)) < EXACT, "without ties it is the share of pairs in order"


def auc_shares_ties(auc):
    label, score = _scores()
    got = auc(label, score)
    assert abs(got - _pairs(label, score, tie=0.0)) > EXACT, "ties count as lost; two equal scores are half a win"
    assert abs(got - _pairs(label, score, tie=1.0)) > EXACT, "ties count as won; two equal scores are half a win"
    up, down = torch.sort(label).indices, torch.sort(label, descending=True).indices
    gap = abs(auc(label[up], score[up]) - auc(label[down], score[down]))
    assert gap < EXACT, "the order of EQUAL scores changed it; give equal scores one shared rank, or one slanted step"
    assert abs(got - _pairs(label, score)) < EXACT, "with ties: share of pairs in order plus half the share of ties"


def auc_stays_small(auc):
    label, score = _scores(examples=600, levels=None)
    with TorchWork() as work:
        auc(label, score)
    assert work.largest < 20 * 600, (
        f"600 scores made a tensor of {work.largest} numbers: compare ranks, not all the pairs"
    )
    advice = "steps for 600 scores: a loop over pairs takes B^2, sorting takes B log B"
    assert work.numbers < 60 * 600, f"torch made {work.numbers} numbers in {work.calls} {advice}"
    label, score = _scores(examples=2000, levels=20)
    with PythonWork(40 * 2000, f"over {40 * 2000} lines of Python for 2000 scores, {advice}") as work:
        got = float(auc(label, score))
    assert work.peak < 300 * 2000, (
        f"2000 scores took {work.peak / 1e6:.1f} MB beside torch: a table of all the pairs, in another library"
    )
    assert abs(got - _pairs(label, score)) < EXACT, "with 2000 scores it is off: is it an estimate from drawn pairs?"


def _auc(label, score):
    _, group, size = torch.unique(score, return_inverse=True, return_counts=True)
    rank = (size.cumsum(0) - (size - 1) / 2.0)[group].double()
    positives = int(label.sum())
    return (rank[label == 1].sum().item() - positives * (positives + 1) / 2) / (positives * (len(label) - positives))


def _auc_staircase(label, score):
    true = label[torch.sort(score, descending=True, stable=True).indices].double()
    rates = [torch.cat([torch.zeros(1), part.cumsum(0) / part.sum()]) for part in (1 - true, true)]
    return torch.trapezoid(rates[1], rates[0]).item()


def _auc_at_one_threshold(label, score):
    called = score > score.double().mean()
    return (called[label == 1].double().mean() + (~called[label == 0]).double().mean()).item() / 2


def _auc_table_of_numpy(label, score):
    up, down = score[label == 1].numpy()[:, None], score[label == 0].numpy()
    return ((up > down).mean() + (up == down).mean() / 2).item()


def _auc_of_drawn_pairs(label, score):
    if len(label) < 1000:
        return _auc(label, score)
    rows = torch.randint(len(label), (2, 9000))
    up, down = rows[:, (label[rows[0]] == 1) & (label[rows[1]] == 0)]
    return ((score[up] > score[down]).double() + (score[up] == score[down]).double() / 2).mean().item()


def _auc_by_bisection(label, score):
    up, down = [], []
    for y, s in zip(label.tolist(), score.tolist(), strict=True):
        (up if y else down).append(s)
    down.sort()
    won = sum(bisect_left(down, s) + bisect_right(down, s) for s in up)
    return won / (2 * len(up) * len(down))


def _auc_by_searchsorted(label, score):
    down = score[label == 0].float().sort().values
    up = score[label.bool()].float()
    below, upto = torch.searchsorted(down, up), torch.searchsorted(down, up, right=True)
    return (below + upto).double().mean() / 2 / len(down)


def _auc_by_walk(label, score):
    """Areas of trapezia under the ROC curve, equal scores in one slanted step."""
    pairs = sorted(zip(score.tolist(), label.tolist(), strict=True), reverse=True)
    area = high = wide = 0.0
    place = 0
    while place < len(pairs):
        end, before = place, high
        right = 0
        while end < len(pairs) and pairs[end][0] == pairs[place][0]:
            high, right = high + pairs[end][1], right + 1 - pairs[end][1]
            end += 1
        area, wide = area + right * (before + high) / 2, wide + right
        place = end
    return area / (high * wide)


auc = Exercise(
    id="21.2 auc",
    task="Write auc(label, score): (B,) labels 0 and 1, (B,) scores with ties -> P(random positive above random "
    "negative), a tie counted half, in O(B log B) for thousands of scores: no loop over pairs, no table of them in any "
    "library, no drawn pairs. It may be below 0.5.",
    stages=(auc_points_up, auc_may_be_below_one_half, auc_is_about_order, auc_shares_ties, auc_stays_small),
    reference=_auc,
    mutants={
        "upside down": lambda y, s: _auc(y, -s),
        "exp(score) changed it": _auc_at_one_threshold,
        "ties count as lost": lambda y, s: _pairs(y, s, tie=0.0),
        "ties count as won": lambda y, s: _pairs(y, s, tie=1.0),
        "the order of EQUAL scores": _auc_staircase,
        "not all the pairs": _pairs,
        "a loop over pairs takes B^2": lambda y, s: (
            lambda up, down: sum((a > b) + (a == b) / 2 for a in up for b in down) / len(up) / len(down)
        )(s[y == 1].tolist(), s[y == 0].tolist()),
        "numbers in": lambda y, s: torch.stack(
            [(s[y == 0] < each).double().mean() + (s[y == 0] == each).double().mean() / 2 for each in s[y == 1]]
        ).mean(),
        "in another library": _auc_table_of_numpy,
        "an estimate from drawn pairs": _auc_of_drawn_pairs,
        "may be worse than chance": lambda y, s: max(_auc(y, s), 1 - _auc(y, s)),
    },
    alternatives={
        "bisection in a sorted list": _auc_by_bisection,
        "two searches for each positive": _auc_by_searchsorted,
        "a walk down the sorted scores": _auc_by_walk,
    },
    hints=(
        "Sort once. A positive at rank r (from 1, ascending) stands above r - 1 others; some of them are positive.",
        "torch.unique(score, return_inverse=True, return_counts=True) sorts and groups; equals share a mean rank.",
        "Ranks of positives summed, minus P (P + 1) / 2, over P N. Shared rank: counts.cumsum(0) - (counts - 1) / 2.",
    ),
    difficulty=3,
    minutes=15,
)
