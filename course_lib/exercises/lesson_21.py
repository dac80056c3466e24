"""Exercises of lesson 21: precision, recall and F1 with averages, AUC with ties, a bootstrap interval, ECE."""

import math
from statistics import NormalDist

import torch
from torch.overrides import TorchFunctionMode

from course_lib.lesson.exercises import Exercise

# --- 21.1 prf -----------------------------------------------------------------------------------------------------

LABEL = [0] * 6 + [1] * 3 + [2] * 1 + [3] * 2
CALLED = [0, 0, 0, 0, 1, 2] + [1, 0, 0] + [2] + [0, 1]  # nothing is called 3
COUNTS = {0: (4, 3, 2), 1: (1, 2, 2), 2: (1, 1, 0), 3: (0, 0, 2)}  # TP, FP, FN of each class, counted by hand


def _expected(average, weight=lambda k: 1):
    def ratios(true, false, missed):
        called, present = true + false, true + missed
        return (
            true / called if called else 0.0,
            true / present if present else 0.0,
            2 * true / (called + present) if called + present else 0.0,
        )

    if average == "micro":
        return ratios(*(sum(counts[i] for counts in COUNTS.values()) for i in range(3)))
    total = sum(weight(k) for k in COUNTS)
    return tuple(sum(weight(k) * ratios(*COUNTS[k])[i] for k in COUNTS) / total for i in range(3))


def _call(prf, average, label=LABEL, called=CALLED, classes=4):
    got = prf(torch.tensor(label), torch.tensor(called), classes, average)
    assert len(got) == 3, f"return (precision, recall, f1), three numbers; got {got!r}"
    return tuple(float(value) for value in got)


def _near(got, expected):
    return all(abs(a - b) < 1e-6 for a, b in zip(got, expected, strict=True))


def prf_survives_empty_classes(prf):
    try:
        got = _call(prf, "macro")
    except ZeroDivisionError:
        raise AssertionError("class 3 is never called: its precision has no denominator; count it as 0") from None
    assert not any(math.isnan(value) for value in got), "NaN: a class that is never called counts as 0, not as 0/0"


def prf_knows_what_is_what(prf):
    precision, recall, _ = _call(prf, "macro", label=[0, 0, 0, 1, 1], called=[0, 1, 1, 1, 1], classes=2)
    assert not _near((precision, recall), (2 / 3, 3 / 4)), (
        "precision and recall are swapped; precision divides by calls"
    )
    assert _near((precision, recall), (3 / 4, 2 / 3)), (
        "macro: TP / called (precision), TP / present (recall), mean over classes"
    )


def prf_combines_precision_and_recall(prf):
    """TP 6, FN 4, FP 30, TN 960: F1 of class 1 is 12 / 46, and 960 / 977 for class 0."""
    label, called = [1] * 10 + [0] * 990, [1] * 6 + [0] * 4 + [1] * 30 + [0] * 960
    f1 = _call(prf, "macro", label, called, 2)[2]
    accuracy_recall = [2 * 0.966 * recall / (0.966 + recall) for recall in (960 / 990, 0.6)]
    assert abs(f1 - sum(accuracy_recall) / 2) > 1e-6, "that F1 combines ACCURACY and recall; take precision"
    means = [(960 / 964 + 6 / 36) / 2, (960 / 990 + 0.6) / 2]
    of_means = 2 * means[0] * means[1] / sum(means)
    assert abs(f1 - of_means) > 1e-6, "macro F1 is the mean of each class's F1, not the F1 of the two means"
    assert abs(f1 - (12 / 46 + 1920 / 1954) / 2) < 1e-6, "F1 of a class is 2 TP / (2 TP + FP + FN); macro is their mean"


def prf_keeps_missing_classes(prf):
    silent = "macro divides by `classes`, silent classes included"
    assert _near(_call(prf, "macro"), _expected("macro")), silent
    with_absent = [4 / 5 * figure for figure in _expected("macro")]  # class 4 is neither a label nor called
    assert _near(_call(prf, "macro", classes=5), with_absent), silent


def prf_pools_for_micro(prf):
    assert not _near(_call(prf, "micro"), _call(prf, "macro")), "micro pools TP, FP and FN over classes BEFORE dividing"
    assert _near(_call(prf, "micro"), _expected("micro")), "micro: sum TP over classes, divide by all the calls"


def prf_weighs_by_support(prf):
    got = _call(prf, "weighted")
    by_calls = _expected("weighted", lambda k: CALLED.count(k))
    assert not _near(got, by_calls), "weighted by how often a class is called; weigh by how often it is the LABEL"
    assert _near(got, _expected("weighted", LABEL.count)), "weighted: each class counts by its share of the labels"


def _prf(label, called, classes, average, *, f1_of_means=False, weigh_calls=False, called_only=False):
    index = torch.arange(classes)[:, None]
    is_class, says_class = (label == index).double(), (called == index).double()  # (K, B)
    counts = torch.stack([(is_class * says_class).sum(1), says_class.sum(1), is_class.sum(1)])  # (3, K)
    weight = counts[1 if weigh_calls else 2] if average == "weighted" else torch.ones(classes).double()
    if average == "micro":
        counts, weight = counts.sum(1, keepdim=True), torch.ones(1).double()
    true, said, present = counts
    if called_only:
        weight = weight * (said > 0)
    figures = torch.stack([true / said.clamp(min=1), true / present.clamp(min=1), 2 * true / (said + present)])
    precision, recall, f1 = (figures.nan_to_num() @ weight / weight.sum()).tolist()
    return precision, recall, 2 * precision * recall / (precision + recall) if f1_of_means else f1


def _prf_of_accuracy(label, called, classes, average):
    precision, recall, _ = _prf(label, called, classes, average)
    share = (label == called).double().mean().item()
    each = [(called[label == k] == k).double().mean().item() for k in label.unique()]
    return precision, recall, sum(2 * share * r / (share + r) for r in each) / classes


def _prf_divides_by_zero(label, called, classes, average):
    precision = sum((label[called == k] == k).double().mean().item() for k in range(classes)) / classes
    return precision, *_prf(label, called, classes, average)[1:]


prf = Exercise(
    id="21.1 prf",
    task="Write prf(label, called, classes, average): (B,), (B,) class numbers -> (precision, recall, f1), averaged "
    "'macro', 'micro' or 'weighted' (by support). A ratio without a denominator counts as 0.",
    stages=(
        prf_survives_empty_classes,
        prf_knows_what_is_what,
        prf_combines_precision_and_recall,
        prf_keeps_missing_classes,
        prf_pools_for_micro,
        prf_weighs_by_support,
    ),
    reference=_prf,
    mutants={
        "counts as 0, not as 0/0": _prf_divides_by_zero,
        "precision and recall are swapped": lambda y, p, k, a: _prf(p, y, k, a),
        "combines ACCURACY and recall": _prf_of_accuracy,
        "not the F1 of the two means": lambda y, p, k, a: _prf(y, p, k, a, f1_of_means=True),
        "silent classes included": lambda y, p, k, a: _prf(y, p, k, a, called_only=a == "macro"),
        "BEFORE dividing": lambda y, p, k, a: _prf(y, p, k, "macro" if a == "micro" else a),
        "weigh by how often it is the LABEL": lambda y, p, k, a: _prf(y, p, k, a, weigh_calls=True),
    },
    hints=(
        "Three counts per class are enough: TP, how often the class is called, how often it is the label.",
        "label == torch.arange(classes)[:, None] is a (K, B) table; sum over B. clamp(min=1) saves you from 0/0.",
        "F1 = 2 TP / (called + present) per class. micro sums the counts first; macro and weighted average after.",
    ),
    difficulty=1,
    minutes=10,
)

# --- 21.2 auc -----------------------------------------------------------------------------------------------------


EXACT = 1e-5  # float32 is right to 1e-7; one pair among those of 60 scores weighs over 1e-3


def _scores(examples=60, levels=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    label = (torch.rand(examples, generator=generator) < 0.3).long()
    score = torch.randn(examples, generator=generator, dtype=torch.float64) + label
    return label, score if levels is None else (score * levels).round()


def _pairs(label, score, tie=0.5):
    gap = score[label == 1][:, None] - score[label == 0]
    return ((gap > 0).double() + tie * (gap == 0)).mean().item()


class _Largest(TorchFunctionMode):
    """Remembers the largest tensor that passes through torch."""

    numel = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.numel = max(self.numel, result.numel())
        return result


def auc_points_up(auc):
    label, score = torch.tensor([0, 0, 1, 1]), torch.tensor([0.1, 0.4, 0.35, 0.8])
    assert abs(auc(label, score) - 0.25) > 1e-6, "upside down: a positive with a HIGH score is what counts"
    assert abs(auc(label, score) - 0.75) < 1e-6, "4 scores without ties: 3 of the 4 pairs are in order, so 0.75"


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
    with _Largest() as seen:
        auc(label, score)
    assert seen.numel < 20 * 600, f"600 scores made a tensor of {seen.numel} numbers: compare ranks, not all the pairs"


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


auc = Exercise(
    id="21.2 auc",
    task="Write auc(label, score): (B,) labels 0 and 1, (B,) scores with ties -> P(random positive above random "
    "negative), a tie counted half, in O(B log B).",
    stages=(auc_points_up, auc_is_about_order, auc_shares_ties, auc_stays_small),
    reference=_auc,
    mutants={
        "upside down": lambda y, s: _auc(y, -s),
        "exp(score) changed it": _auc_at_one_threshold,
        "ties count as lost": lambda y, s: _pairs(y, s, tie=0.0),
        "ties count as won": lambda y, s: _pairs(y, s, tie=1.0),
        "the order of EQUAL scores": _auc_staircase,
        "not all the pairs": _pairs,
    },
    hints=(
        "Sort once. A positive at rank r (from 1, ascending) stands above r - 1 others; some of them are positive.",
        "torch.unique(score, return_inverse=True, return_counts=True) sorts and groups; equals share a mean rank.",
        "Ranks of positives summed, minus P (P + 1) / 2, over P N. Shared rank: counts.cumsum(0) - (counts - 1) / 2.",
    ),
    difficulty=3,
    minutes=15,
)

# --- 21.3 bootstrap_ci --------------------------------------------------------------------------------------------


def _run(bootstrap_ci, metric, label, score, level=0.95, seed=0, resamples=400):
    got = bootstrap_ci(metric, label, score, resamples, level, torch.Generator().manual_seed(seed))
    low, high = (float(edge) for edge in got)
    return low, high


def _mean(label, score):
    return score.double().mean().item()


def ci_draws_as_many(bootstrap_ci):
    sizes, names = [], set()

    def metric(label, score):
        sizes.append((len(label), len(score)))
        names.add(len(score.unique()))
        return 0.0

    _run(bootstrap_ci, metric, torch.arange(30), torch.arange(30.0), resamples=20)
    assert set(sizes) == {(30, 30)}, f"of 30 examples draw 30, got sets of {sorted(set(sizes))}"
    assert len(sizes) in (20, 21), f"resamples is 20, the metric was called {len(sizes)} times; draw `resamples` times"
    assert min(names) < 30, "every draw holds all 30 examples: draw WITH replacement, or nothing varies"


def ci_keeps_pairs(bootstrap_ci):
    def metric(label, score):
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
    _, high = _run(bootstrap_ci, lambda label, score: score.max().item(), score.long(), score)
    assert high < score.max().item() + 1e-4, (
        "the metric was max(score), and your interval ends above the largest score, where no draw can be: "
        "return QUANTILES of the draws, not a centre plus some standard deviations"
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


bootstrap_ci = Exercise(
    id="21.3 bootstrap_ci",
    task="Write bootstrap_ci(metric, label, score, resamples, level, generator) -> (low, high): percentile interval "
    "of metric(label, score) over examples drawn with replacement.",
    stages=(ci_draws_as_many, ci_keeps_pairs, ci_has_a_level, ci_takes_quantiles, ci_uses_the_generator),
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
    },
    hints=(
        "A draw is a list of row numbers. What may the same row do, and how many tensors use the list?",
        "rows = torch.randint(len(label), (len(label),), generator=generator); then metric(label[rows], score[rows]).",
        "Collect `resamples` values; their quantiles at (1 - level) / 2 and (1 + level) / 2 are low and high.",
    ),
    difficulty=2,
    minutes=10,
)

# --- 21.4 ece -----------------------------------------------------------------------------------------------------


def _forecasts(examples=200, classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2.5 * torch.randn(examples, classes, generator=generator, dtype=torch.float64)
    label = torch.multinomial((logits / 2.5).softmax(-1), 1, generator=generator).flatten()
    return logits.softmax(-1), label


def _looped(probabilities, label, bins):
    total, confidence = 0.0, probabilities.amax(-1)
    right = (probabilities.argmax(-1) == label).double()
    for j in range(bins):
        inside = (confidence > j / bins) & (confidence <= (j + 1) / bins)
        if inside.any():
            total += abs((right[inside] - confidence[inside]).sum().item()) / len(label)
    return total


def ece_survives_empty_bins(ece):
    got = float(ece(torch.tensor([[0.8, 0.2], [0.2, 0.8]]), torch.tensor([0, 1]), 10))
    assert got == got, "NaN: nine of ten bins are empty; leave them out"
    assert abs(got - 0.2) < 1e-5, "two answers, 80 % sure, both right: the error is 0.2"


def ece_watches_the_prediction(ece):
    # one bin, three classes: neither the binning nor "class 1 is the positive one" can be the mistake here
    got = float(ece(torch.tensor([[0.06, 0.04, 0.9]]).repeat(10, 1), torch.tensor([2] * 9 + [0]), 1))
    assert abs(got) < 1e-5, "90 % sure, 9 of 10 right: the error is 0; take the probability of the PREDICTED class"


def ece_keeps_the_edge(ece):
    got = float(ece(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([1, 0]), 4))
    assert abs(got - 0.5) < 1e-5, "certain (confidence exactly 1) and half wrong: the error is 0.5; is 1 in a bin?"


def ece_does_not_cancel(ece):
    # confidence 0.6 and always right, confidence 0.9 and right half the time: gaps +0.4 and -0.4
    got = float(ece(torch.tensor([[0.6, 0.4]] * 4 + [[0.9, 0.1]] * 4), torch.tensor([0] * 4 + [0, 0, 1, 1]), 10))
    assert abs(got) > 1e-5, "gaps of +0.4 and -0.4 cancelled; take the absolute value in every bin, then average"
    assert abs(got - 0.4) < 1e-5, "two bins with a gap of 0.4 each: the error is 0.4"


def ece_weighs_bins(ece):
    probabilities, label = _forecasts()
    for bins in (3, 10, 15):
        got, right = float(ece(probabilities, label, bins)), _looped(probabilities, label, bins)
        assert abs(got - right) < 1e-5, "bins weigh by how many examples they hold, and there are `bins` of equal width"


def _ece(probabilities, label, bins, *, confidence=None, last_edge=True, signed=False, equal=False, skip=True):
    probabilities = probabilities.double()
    confidence = probabilities.amax(-1) if confidence is None else confidence(probabilities)
    right = (probabilities.argmax(-1) == label).double()
    place = (confidence * bins).ceil().long() - 1 if last_edge else (confidence * bins).floor().long()
    gaps, shares = [], []
    for j in range(bins):
        inside = place == j
        if inside.any() or not skip:
            gaps.append((right[inside] - confidence[inside]).mean())
            shares.append(inside.double().mean())
    gaps, shares = torch.stack([torch.zeros(()).double(), *gaps]), torch.stack([torch.zeros(()).double(), *shares])
    if equal:
        return gaps.abs().sum().item() / max(len(gaps) - 1, 1)
    return (shares * gaps).sum().abs().item() if signed else (shares * gaps.abs()).sum().item()


ece = Exercise(
    id="21.4 ece",
    task="Write ece(probabilities, label, bins): (B, K), (B,) -> expected calibration error over `bins` equal bins "
    "(low, high] of the predicted class's probability.",
    stages=(
        ece_survives_empty_bins,
        ece_watches_the_prediction,
        ece_keeps_the_edge,
        ece_does_not_cancel,
        ece_weighs_bins,
    ),
    reference=_ece,
    mutants={
        "nine of ten bins are empty": lambda p, y, b: _ece(p, y, b, skip=False),
        "probability of the PREDICTED class": lambda p, y, b: _ece(
            p, y, b, confidence=lambda q: q[torch.arange(len(y)), y]
        ),
        "is 1 in a bin": lambda p, y, b: _ece(p, y, b, last_edge=False),
        "cancelled": lambda p, y, b: _ece(p, y, b, signed=True),
        "bins weigh by how many": lambda p, y, b: _ece(p, y, b, equal=True),
    },
    hints=(
        "Per example two numbers: how sure it was (the largest probability) and whether it was right (0 or 1).",
        "Bin j holds j / bins < confidence <= (j + 1) / bins. Skip empty bins; the last bin holds confidence 1.",
        "Sum over bins: (count / B) * |mean of right - mean of confidence|.",
    ),
    difficulty=2,
    minutes=10,
)

EXERCISES = (prf, auc, bootstrap_ci, ece)
