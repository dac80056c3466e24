"""Offsets: their sign, nothing wrapping around, NumPy's correlation as the other path."""

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from course_lib.data.sync import clap_f1, correlation_by_lag, find_offset, record_claps


@pytest.mark.parametrize("offset", [-11, 0, 7])
def test_the_offset_that_was_put_in_comes_out(offset):
    for seed in range(4):
        take = record_claps(300, offset=offset, seed=seed)
        assert find_offset(take.video, take.sound, longest=20) == offset


def test_a_late_sound_hears_what_the_video_showed_before():
    take, late = (record_claps(120, offset=offset, seed=1, noise=0.0) for offset in (0, 4))
    assert torch.equal(take.video, take.clap.float()) and torch.equal(take.video, late.video)
    assert torch.equal(late.sound[4:], take.sound[:-4])


def test_correlation_at_each_lag_is_that_of_the_overlap():
    one, other = torch.randn(2, 31, generator=torch.Generator().manual_seed(0))
    scores = correlation_by_lag(one, other, longest=5)
    assert list(scores) == list(range(-5, 6))
    assert scores[3] == pytest.approx(np.corrcoef(one[:-3], other[3:])[0, 1], abs=1e-6)
    assert scores[-2] == pytest.approx(np.corrcoef(one[2:], other[:-2])[0, 1], abs=1e-6)


def test_an_echo_upside_down_is_not_taken_for_the_match():
    take = record_claps(300, offset=5, seed=0, noise=0.1)
    upside_down = take.sound - 3 * record_claps(300, offset=-9, seed=0, noise=0.0).sound
    assert find_offset(take.video, upside_down, longest=20) == 5


def test_refuses_streams_that_do_not_match():
    with pytest.raises(ValueError, match="300 and 299 frames"):
        correlation_by_lag(torch.zeros(300), torch.zeros(299), longest=5)
    with pytest.raises(ValueError, match="longest 299 leaves fewer than 2"):
        correlation_by_lag(torch.zeros(300), torch.zeros(300), longest=299)
    with pytest.raises(ValueError, match="offset 60 is more than 50"):
        record_claps(300, offset=60, seed=0)


def test_clap_f1_is_the_f1_of_the_highest_scores():
    clap = torch.tensor([True, False, True, False, False, True])
    score = torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0, 0.0])
    assert clap_f1(score, clap) == pytest.approx(f1_score(clap, [True, True, True, False, False, False]))
    assert clap_f1(clap.float(), clap) == 1.0


def test_a_silent_or_a_black_stream_has_no_offset():
    take = record_claps(300, offset=5, seed=0)
    with pytest.raises(ValueError, match="stream 'other' is constant, .*silent or black"):
        find_offset(take.video, torch.full((300,), 0.3), longest=20)
    with pytest.raises(ValueError, match="stream 'one' is constant"):
        find_offset(torch.zeros(300), take.sound, longest=20)
    with pytest.raises(ValueError, match="none of 300 frames claps"):
        clap_f1(take.sound, torch.zeros(300, dtype=torch.bool))
