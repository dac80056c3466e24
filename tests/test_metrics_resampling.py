import pytest
import torch
from scipy import stats

from course_lib.metrics.ranking import roc_auc
from course_lib.metrics.resampling import (
    bootstrap_interval,
    mcnemar_p_value,
    sign_flip_p_value,
    subgroup_report,
)


def mean(values):
    return values.double().mean().item()


def scored(examples, seed=0):
    generator = torch.Generator().manual_seed(seed)
    label = (torch.rand(examples, generator=generator) < 0.4).long()
    return label, torch.randn(examples, generator=generator) + label


def test_interval_agrees_with_scipy():
    label, score = scored(120)
    mine = bootstrap_interval(roc_auc, label, score, seed=0, resamples=1000)
    theirs = stats.bootstrap(
        (label.numpy(), score.numpy()),
        lambda y, s: roc_auc(torch.from_numpy(y).long(), torch.from_numpy(s)),
        paired=True,
        vectorized=False,
        n_resamples=1000,
        method="percentile",
        rng=0,
    ).confidence_interval
    assert mine.estimate == roc_auc(label, score)
    assert (mine.low, mine.high) == pytest.approx((theirs.low, theirs.high), abs=0.015)


def test_interval_of_a_mean_agrees_with_the_formula():
    values = torch.randn(400, generator=torch.Generator().manual_seed(1))
    interval = bootstrap_interval(mean, values, seed=0, resamples=2000)
    half = 1.96 * values.std().item() / 400**0.5
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.1)
    narrow = bootstrap_interval(mean, values, seed=0, resamples=2000, level=0.5)
    assert narrow.high - narrow.low == pytest.approx(2 * half * 0.6745 / 1.96, rel=0.1)


def test_one_draw_for_all_columns():
    a = torch.randn(50, generator=torch.Generator().manual_seed(2))
    difference = bootstrap_interval(lambda x, y: mean(x) - mean(y), a, a + 1, seed=0, resamples=100)
    assert difference == pytest.approx((-1, -1, -1), abs=1e-6)


def test_the_seed_decides():
    label, score = scored(60)
    first, again, other = (bootstrap_interval(roc_auc, label, score, seed=s, resamples=200) for s in (3, 3, 4))
    assert first == again and first.low != other.low


def test_clusters_are_drawn_whole():
    """Ten equal rows a cluster: the interval is that of the 30 clusters, about √10 wider than that of 300 rows."""
    values = torch.randn(30, generator=torch.Generator().manual_seed(5)).repeat_interleave(10)
    cluster = torch.arange(30).repeat_interleave(10)
    rows = bootstrap_interval(mean, values, seed=0, resamples=2000)
    clusters = bootstrap_interval(mean, values, seed=0, resamples=2000, cluster=cluster)
    alone = bootstrap_interval(mean, values[::10], seed=0, resamples=2000)
    assert clusters == pytest.approx(alone, abs=1e-12)  # the same draws of the same means
    assert (clusters.high - clusters.low) / (rows.high - rows.low) == pytest.approx(10**0.5, rel=0.15)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: bootstrap_interval(mean, torch.ones(3), seed=0, level=1.0), "outside"),
        (lambda: bootstrap_interval(roc_auc, torch.tensor([0, 0, 1]), torch.arange(3.0), seed=0), "undefined on"),
        (lambda: bootstrap_interval(roc_auc, torch.tensor([0, 0, 0]), torch.arange(3.0), seed=0), "0 positives"),
    ],
)
def test_what_has_no_interval_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_subgroups_each_have_their_interval():
    label, score = scored(200)
    group = torch.arange(200) % 3 + 5
    report = subgroup_report(roc_auc, group, label, score, seed=0, resamples=100)
    assert list(report) == [5, 6, 7] and [entry.count for entry in report.values()] == [67, 67, 66]
    alone = bootstrap_interval(roc_auc, label[group == 6], score[group == 6], seed=0, resamples=100)
    assert report[6].interval == alone


@pytest.mark.parametrize("first_only, second_only", [(0, 0), (3, 3), (1, 9), (12, 4), (0, 7)])
def test_mcnemar_is_a_binomial_test(first_only, second_only):
    first = torch.tensor([True] * first_only + [False] * second_only + [True] * 11 + [False] * 5)
    second = torch.tensor([False] * first_only + [True] * second_only + [True] * 11 + [False] * 5)
    disagreements = first_only + second_only
    expected = 1.0 if disagreements == 0 else stats.binomtest(first_only, disagreements).pvalue
    assert mcnemar_p_value(first, second) == pytest.approx(expected) == mcnemar_p_value(second, first)


def test_sign_flips_by_enumeration_equal_scipy():
    difference = torch.randn(9, generator=torch.Generator().manual_seed(0)) + 0.5
    theirs = stats.permutation_test(
        (difference.double().numpy(),), lambda x: abs(x.mean()), permutation_type="samples", alternative="greater"
    )
    assert sign_flip_p_value(difference, seed=0) == pytest.approx(theirs.pvalue)


def test_random_sign_flips_approach_the_exact_test():
    difference = torch.randn(12, generator=torch.Generator().manual_seed(1)) + 0.4
    exact = sign_flip_p_value(difference, seed=0, resamples=2**12)
    sampled = sign_flip_p_value(difference, seed=0, resamples=2**12 - 1)
    assert sampled == pytest.approx(exact, abs=0.03)
    assert sign_flip_p_value(torch.full((80,), 0.1), seed=0, resamples=999) == 1 / 1000  # never 0


def test_sign_flips_on_right_and_wrong_equal_mcnemar():
    difference = torch.tensor([1.0] * 2 + [-1.0] * 9)
    assert sign_flip_p_value(difference, seed=0) == pytest.approx(mcnemar_p_value(difference > 0, difference < 0))
