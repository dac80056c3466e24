"""Intervals of an AUC against the jackknife, hand arithmetic, and worlds whose AUC is known."""

import pytest
import torch

from course_lib.metrics.auc_intervals import delong_interval, newcombe_interval
from course_lib.metrics.ranking import hanley_mcneil_std, roc_auc


def scored(positives, negatives, shift=1.0, levels=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    label = torch.cat([torch.ones(positives), torch.zeros(negatives)]).long()
    score = torch.randn(positives + negatives, generator=generator, dtype=torch.float64) + shift * label
    return label, score if levels is None else (score * levels).round()


def without_each(rows, length):
    for row in rows:
        kept = torch.ones(length, dtype=torch.bool)
        kept[row] = False
        yield kept


@pytest.mark.parametrize("label, score", [scored(7, 31), scored(40, 5, levels=2, seed=2), scored(12, 20, seed=3)])
def test_delong_is_the_jackknife_on_the_scale_of_the_logit(label, score):
    """Leave out one example at a time, class by class: another road to the same standard error."""
    variance, area = 0.0, roc_auc(label, score)
    for own in (0, 1):
        rows = (label == own).nonzero()[:, 0].tolist()
        left_out = torch.tensor([roc_auc(label[kept], score[kept]) for kept in without_each(rows, len(label))])
        variance += (len(rows) - 1) / len(rows) * (left_out.double() - area).square().sum().item()
    found = delong_interval(label, score)
    ends = torch.logit(torch.tensor([found.low, area, found.high], dtype=torch.float64))
    half = 1.959964 * variance**0.5 / (area * (1 - area))
    assert found.estimate == area
    assert ends.diff().tolist() == pytest.approx([half, half], rel=1e-4)


@pytest.mark.parametrize("auc, positives, negatives", [(0.8, 12, 12), (0.96, 10, 190), (1.0, 4, 9), (0.0, 4, 9)])
def test_newcombe_holds_the_areas_that_are_no_surprise(auc, positives, negatives):
    low, high = newcombe_interval(auc, positives, negatives)[1:]
    n = (positives + negatives) / 2 - 1
    areas = torch.linspace(0.0005, 0.9995, 1999, dtype=torch.float64)
    spread = 1 + n * (1 - areas) / (2 - areas) + n * areas / (1 + areas)
    near = (auc - areas).abs() <= 1.959964 * (areas * (1 - areas) * spread / (positives * negatives)).sqrt()
    within = (areas >= low) & (areas <= high)
    assert (near != within).sum() <= 1, "the grid's step at an edge"
    assert 0 <= low <= auc <= high <= 1 and low < high


def test_newcombe_of_two_equal_classes_is_hanley_and_mcneil():
    interval = newcombe_interval(0.8, 15, 15)
    for end in interval[1:]:
        assert abs(end - 0.8) == pytest.approx(1.959964 * hanley_mcneil_std(end, 15, 15), rel=1e-4)
    assert newcombe_interval(0.2, 15, 15)[1:] == pytest.approx([1 - interval.high, 1 - interval.low])


@pytest.mark.parametrize("positives, negatives, shift, truth", [(50, 50, 1.17, 0.796), (10, 190, 2.476, 0.96)])
def test_newcombe_covers_the_truth(positives, negatives, shift, truth):
    covered = 0
    for seed in range(200):
        area = roc_auc(*scored(positives, negatives, shift, seed=seed))
        interval = newcombe_interval(area, positives, negatives)
        covered += interval.low <= truth <= interval.high
    assert covered >= 182, "of 200; 95 % are 190"


def test_a_perfect_ranking_of_few_examples_proves_little():
    assert newcombe_interval(1.0, 5, 5).low < 0.75 < newcombe_interval(1.0, 50, 50).low
    with pytest.raises(ValueError, match="an AUC of 1 shows no spread; try newcombe_interval"):
        delong_interval(torch.tensor([0, 0, 1, 1]), torch.arange(4.0))


def test_what_has_no_interval_is_refused():
    with pytest.raises(ValueError, match="1 positives and 3 negatives: a spread needs two of each"):
        delong_interval(torch.tensor([0, 0, 1, 0]), torch.arange(4.0))
    with pytest.raises(ValueError, match="AUC 1.2 of 3 positives and 4 negatives does not exist"):
        newcombe_interval(1.2, 3, 4)
    for level in (0.0, 95.0):
        with pytest.raises(ValueError, match="level .* is outside"):
            newcombe_interval(0.8, 3, 4, level=level)
