"""Streaming moments against two passes over everything."""

import numpy as np
import pytest
import torch

from course_lib.data.streaming import RunningMoments

ROWS = 1e4 + torch.randn(101, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("sizes", [(101,), (1,) * 101, (7, 0, 90, 4), (0, 101)])
def test_any_cut_gives_the_moments_of_the_whole(sizes):
    moments = RunningMoments.empty(3)
    for batch in ROWS.split(sizes):
        moments = moments.add(batch)
    assert moments.count == 101
    np.testing.assert_allclose(moments.mean, ROWS.numpy().mean(axis=0), rtol=1e-14)
    for correction in (0, 1):
        expected = ROWS.numpy().var(axis=0, ddof=correction)
        np.testing.assert_allclose(moments.variance(correction=correction), expected, rtol=1e-10)


def test_workers_may_report_in_any_order():
    parts = [RunningMoments.of(part) for part in ROWS.split((20, 1, 80))]
    forwards = parts[0].merge(parts[1]).merge(parts[2])
    backwards = parts[2].merge(parts[0].merge(parts[1]))
    assert forwards.count == backwards.count
    torch.testing.assert_close(forwards.variance(), backwards.variance(), rtol=1e-12, atol=0)


def test_float32_rows_are_summed_in_float64():
    moments = RunningMoments.of((1e4 + ROWS - ROWS.mean()).float())
    assert moments.mean.dtype == torch.float64
    assert 0.5 < moments.variance()[0] < 2  # E[x²] - E[x]² in float32 can only be a multiple of 8 here


def test_too_few_rows_have_no_variance():
    with pytest.raises(ValueError, match="0 rows came"):
        RunningMoments.empty(3).variance()
    with pytest.raises(ValueError, match="1 rows came; a variance with correction=1 needs 2"):
        RunningMoments.of(ROWS[:1]).variance(correction=1)
    with pytest.raises(ValueError, match="3 and 2 features"):
        RunningMoments.of(ROWS).merge(RunningMoments.of(ROWS[:, :2]))


def test_nothing_seen_yet_adds_nothing_on_any_device():
    elsewhere = torch.ones(3, dtype=torch.float64, device="meta")  # refuses to mix devices as a GPU does
    on_card = RunningMoments(4, elsewhere, elsewhere)
    assert RunningMoments.empty(3).merge(on_card) is on_card
    ours = RunningMoments.of(ROWS)
    assert RunningMoments.empty(3).merge(ours) is ours
    with pytest.raises(ValueError, match="2 and 3 features"):
        RunningMoments.empty(2).merge(ours)
