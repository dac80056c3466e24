import pytest
import torch
from scipy.stats import mannwhitneyu
from sklearn import metrics as sk

from course_lib.metrics.ranking import (
    average_precision,
    hanley_mcneil_std,
    precision_recall_curve,
    roc_auc,
    roc_curve,
)


def scored(positives, negatives, shift=1.0, levels=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    label = torch.cat([torch.ones(positives), torch.zeros(negatives)]).long()
    score = torch.randn(positives + negatives, generator=generator, dtype=torch.float64) + shift * label
    order = torch.randperm(len(label), generator=generator)
    return label[order], (score if levels is None else (score * levels).round())[order]


CASES = [scored(7, 31), scored(1, 9, seed=1), scored(40, 5, levels=2, seed=2), scored(12, 20, levels=0, seed=3)]


@pytest.mark.parametrize("label, score", CASES)
def test_auc_is_the_share_of_pairs_in_order(label, score):
    pairs = score[label == 1][:, None] - score[label == 0]
    brute = ((pairs > 0).double() + 0.5 * (pairs == 0)).mean().item()
    statistic = mannwhitneyu(score[label == 1], score[label == 0]).statistic / pairs.numel()
    assert roc_auc(label, score) == pytest.approx(brute, abs=1e-12) == pytest.approx(statistic)
    assert roc_auc(label, score) == pytest.approx(sk.roc_auc_score(label, score), abs=1e-12)


@pytest.mark.parametrize("label, score", CASES)
def test_roc_curve_equals_scikit_learn_and_holds_the_auc(label, score):
    curve = roc_curve(label, score)
    expected = sk.roc_curve(label, score, drop_intermediate=False)
    for mine, theirs in zip(curve, expected, strict=True):
        assert mine.tolist() == pytest.approx(theirs.tolist())
    area = torch.trapezoid(curve.true_positive_rate, curve.false_positive_rate).item()
    assert area == pytest.approx(roc_auc(label, score), abs=1e-12)


@pytest.mark.parametrize("label, score", CASES)
def test_precision_recall_equals_scikit_learn(label, score):
    curve = precision_recall_curve(label, score)
    precision, recall, threshold = sk.precision_recall_curve(label, score)  # ascending, with (1, 0) at the end
    assert curve.precision.tolist() == pytest.approx(precision[-2::-1].tolist())
    assert curve.recall.tolist() == pytest.approx(recall[-2::-1].tolist())
    assert curve.threshold.tolist() == pytest.approx(threshold[::-1].tolist())
    assert average_precision(label, score) == pytest.approx(sk.average_precision_score(label, score), abs=1e-12)


def test_only_the_order_counts():
    label, score = scored(30, 70)
    mapped = score.exp() + 5
    for measure in (roc_auc, average_precision):
        assert measure(label, mapped) == measure(label, score)
    assert roc_auc(label, -score) == pytest.approx(1 - roc_auc(label, score))


def test_extreme_and_half_precision_scores():
    label, score = torch.tensor([1, 0, 1, 0, 1]), torch.tensor([1e4, -1e4, 1e4, 1e4, 3.0])
    assert roc_auc(label, score) == pytest.approx(4 / 6)  # pairs: 1, 1/2, 1, 1/2, 1, 0
    assert roc_auc(label, score.half()) == roc_auc(label, score)


def test_chance_values():
    label, _ = scored(2_000, 18_000)
    noise = torch.rand(20_000, generator=torch.Generator().manual_seed(1))
    assert roc_auc(label, noise) == pytest.approx(0.5, abs=0.03)
    assert average_precision(label, noise) == pytest.approx(0.1, abs=0.02)
    assert roc_auc(label, torch.zeros(20_000)) == 0.5
    assert average_precision(label, torch.zeros(20_000)) == pytest.approx(0.1)


def test_hanley_mcneil_predicts_the_spread():
    found = torch.tensor([roc_auc(*scored(25, 60, seed=seed)) for seed in range(300)])
    assert hanley_mcneil_std(found.mean().item(), 25, 60) == pytest.approx(found.std().item(), rel=0.2)


def test_hanley_mcneil_of_one_pair_is_a_coin():
    assert hanley_mcneil_std(0.7, 1, 1) == pytest.approx((0.7 * 0.3) ** 0.5)
    with pytest.raises(ValueError, match="does not exist"):
        hanley_mcneil_std(0.7, 0, 10)


@pytest.mark.parametrize("measure", [roc_auc, roc_curve, precision_recall_curve, average_precision])
def test_one_class_has_no_ranking(measure):
    with pytest.raises(ValueError, match="0 positives among 4: a ranking needs both classes"):
        measure(torch.zeros(4, dtype=torch.int64), torch.arange(4.0))
    with pytest.raises(ValueError, match="labels .* are not 0 and 1"):
        measure(torch.tensor([1, 2]), torch.arange(2.0))
