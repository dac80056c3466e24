"""Alterations change what their name says and nothing else."""

import torch

from course_lib.data.alterations import ALTERATIONS, altered
from course_lib.data.photos import load_photos


def test_each_alteration_does_what_its_name_says():
    photo = next(photo for photo in load_photos() if photo.name == "coffee")
    versions = altered(photo.image)
    assert list(versions) == ["original", *ALTERATIONS]
    original = versions["original"]
    height, width = original.shape[1:]
    assert torch.equal(original, photo.image.permute(2, 0, 1).float() / 255)
    assert versions["half size"].shape == (3, height // 2, width // 2)
    assert torch.equal(versions["mirrored"], original.flip(-1))
    assert torch.equal(versions["cropped by 25 %"], original[:, height // 4 :, width // 4 :])
    assert torch.equal(versions["cropped by 5 %"], original[:, height // 20 :, width // 20 :])
    torch.testing.assert_close(versions["darker"], (original * 255 * 0.75).floor() / 255)
    torch.testing.assert_close(versions["overexposed"], (2 * original).clamp(max=1))
    difference = (versions["saved again"] - original).abs()
    assert 0 < difference.mean() < 0.05
