"""Rotary positions against complex numbers and what must not change; M-RoPE ids against transformers; ALiBi by hand."""

import cmath

import pytest
import torch

from course_lib.compat import ensure_torchvision
from course_lib.models.positions import alibi_bias, mrope_angles, mrope_ids, rotary_angles, rotary_frequencies, rotate


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_rotation_is_a_product_of_complex_numbers():
    x, angles = normal(2, 3, 6), rotary_angles(torch.tensor([0, 4, 11]), 6, base=100.0).double()
    for pairing, (first, second) in {"interleaved": ([0, 2, 4], [1, 3, 5]), "halves": ([0, 1, 2], [3, 4, 5])}.items():
        turned = rotate(x, angles, pairing=pairing)
        for b in range(2):
            for s, place in enumerate((0, 4, 11)):
                for i in range(3):
                    before = complex(x[b, s, first[i]], x[b, s, second[i]])
                    after = before * cmath.exp(1j * place * 100.0 ** (-2 * i / 6))
                    got = complex(turned[b, s, first[i]], turned[b, s, second[i]])
                    assert got == pytest.approx(after, abs=1e-5)  # the angles are float32


def test_a_score_sees_only_the_distance():
    query, key = normal(1, 8, seed=1), normal(1, 8, seed=2)
    for pairing in ("interleaved", "halves"):
        scores = [
            (rotate(query, rotary_angles(torch.tensor([5 + shift]), 8).double(), pairing=pairing)
             @ rotate(key, rotary_angles(torch.tensor([2 + shift]), 8).double(), pairing=pairing).T).item()
            for shift in (0, 7, 100)
        ]  # fmt: skip
        assert scores == pytest.approx([scores[0]] * 3, abs=1e-4)
    assert scores[0] != pytest.approx((query @ key.T).item(), abs=1e-2)


def test_lengths_stay_and_position_zero_is_untouched():
    x, angles = normal(3, 8), rotary_angles(torch.tensor([0, 9, 1000]), 8).double()
    torch.testing.assert_close(rotate(x, angles).norm(dim=-1), x.norm(dim=-1))
    assert rotate(x, angles)[0].equal(x[0])


def test_pairings_differ_by_a_permutation_of_features():
    x, angles = normal(3, 8), rotary_angles(torch.arange(3), 8).double()
    order = torch.tensor([0, 2, 4, 6, 1, 3, 5, 7])  # interleaved to halves
    torch.testing.assert_close(rotate(x, angles)[:, order], rotate(x[:, order], angles, pairing="halves"))


def test_frequencies_fall_from_one_by_a_constant_factor():
    frequencies = rotary_frequencies(8, base=10_000.0)
    torch.testing.assert_close(frequencies, torch.tensor([1.0, 0.1, 0.01, 0.001]))


def test_what_cannot_be_rotated_is_refused():
    with pytest.raises(ValueError, match="the width must be even"):
        rotary_frequencies(7)
    with pytest.raises(ValueError, match="try one of interleaved, halves"):
        rotate(normal(3, 8), rotary_angles(torch.arange(3), 8).double(), pairing="mixed")
    with pytest.raises(ValueError, match="4 angles for a head of width 6"):
        rotate(normal(3, 6), rotary_angles(torch.arange(3), 8).double())


def test_mrope_ids_by_hand():
    ids = mrope_ids([2, (2, 3), 2])
    assert ids.tolist() == [
        [0, 1, 2, 2, 2, 2, 2, 2, 5, 6],
        [0, 1, 2, 2, 2, 3, 3, 3, 5, 6],
        [0, 1, 2, 3, 4, 2, 3, 4, 5, 6],
    ]


def test_behind_a_long_video_text_goes_on_after_the_largest_id():
    ids = mrope_ids([1, (4, 1, 2), 1])  # 4 time steps, wider than neither axis of the grid
    assert ids[0].tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert ids[:, -1].tolist() == [5, 5, 5]


def test_a_24_by_24_image_takes_24_positions():
    ids = mrope_ids([(24, 24)])
    assert ids.shape == (3, 576)
    assert (ids.max().item(), ids[0].unique().tolist()) == (23, [0])


@pytest.mark.parametrize("segment", [0, (3,), (2, 0), (1, 2, 3, 4)])
def test_segments_that_are_none_are_refused(segment):
    with pytest.raises(ValueError, match="give a number of tokens"):
        mrope_ids([2, segment])
    with pytest.raises(ValueError, match="give at least one"):
        mrope_ids([])


def test_mrope_ids_are_those_of_qwen2_vl():
    ensure_torchvision()
    from types import SimpleNamespace

    from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLModel

    model = SimpleNamespace(config=SimpleNamespace(vision_config=SimpleNamespace(spatial_merge_size=2)))
    model.get_vision_position_ids = Qwen2VLModel.get_vision_position_ids.__get__(model)
    kinds = torch.tensor([[0] * 3 + [1] * 6 + [0] * 2 + [1] * 4 + [0]])  # text, 2 x 3, text, 4 x 1 after merging, text
    grids = torch.tensor([[1, 4, 6], [1, 8, 2]])  # before merging 2 x 2 patches into a token
    theirs, _ = Qwen2VLModel.get_rope_index(model, torch.zeros_like(kinds), kinds, image_grid_thw=grids)
    assert mrope_ids([3, (2, 3), 2, (4, 1), 1]).equal(theirs[:, 0])


def test_mrope_is_rope_for_text_and_has_one_axis_a_section():
    text = mrope_ids([5])
    torch.testing.assert_close(mrope_angles(text, (1, 2, 3)), rotary_angles(torch.arange(5), 12))
    ids = torch.tensor([[7], [3], [2]])
    expected = torch.tensor([[7.0, 3.0, 3.0, 2.0, 2.0, 2.0]]) * rotary_frequencies(12)
    torch.testing.assert_close(mrope_angles(ids, (1, 2, 3)), expected)


def test_mrope_scores_see_differences_on_three_axes():
    query, key, sections = normal(1, 12, seed=1), normal(1, 12, seed=2), (1, 2, 3)

    def score(at, other):
        turned = [
            rotate(x, mrope_angles(torch.tensor(p)[:, None], sections).double()) for x, p in ((query, at), (key, other))
        ]
        return (turned[0] @ turned[1].T).item()

    base = score((0, 3, 5), (0, 1, 2))
    assert score((4, 10, 9), (4, 8, 6)) == pytest.approx(base, abs=1e-4)  # shifted by (4, 7, 4)
    assert score((0, 4, 5), (0, 1, 2)) != pytest.approx(base, abs=1e-2)


def test_alibi_by_hand():
    bias = alibi_bias(4, 3)
    assert bias.shape == (4, 3, 3)
    assert bias[0].tolist() == [[0, -0.25, -0.5], [-0.25, 0, -0.25], [-0.5, -0.25, 0]]
    assert bias[3, 2, 0].item() == -2 * 2.0**-8


def test_angles_stay_on_the_device_of_the_positions():
    on_card = torch.ones(3, 5, device="meta")  # computes nothing, and refuses to mix devices as a GPU does
    assert rotary_angles(on_card, 8).device.type == "meta"
    assert mrope_angles(on_card, (1, 2, 3)).device.type == "meta"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_rotation_keeps_the_dtype(dtype):
    x, angles = normal(3, 8).to(dtype), rotary_angles(torch.tensor([0, 9, 1000]), 8)
    turned = rotate(x, angles)
    assert turned.dtype == dtype
    expected = rotate(x.double(), angles.double())
    torch.testing.assert_close(turned.double(), expected, rtol=0, atol=0.02 if dtype == torch.bfloat16 else 1e-5)
