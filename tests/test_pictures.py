"""Image files as they come: any shape, lying on their side, grey of 16 bits, damaged."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from course_lib.data.annotations import CollectionError
from course_lib.data.pictures import read_picture


def test_the_shorter_edge_is_scaled_and_the_middle_kept(tmp_path):
    wide = np.zeros((8, 24, 3), dtype=np.uint8)
    wide[:, 8:16] = (255, 128, 0)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    picture = read_picture(tmp_path / "wide.png", 8)
    assert picture.shape == (3, 8, 8)
    assert torch.equal(picture[:, 4, 4], torch.tensor([255.0, 128.0, 0.0]) / 255)
    assert (picture[0] == 1).all(), "the sides were not cut off"
    Image.new("L", (9, 30), 51).save(tmp_path / "grey.png")
    torch.testing.assert_close(read_picture(tmp_path / "grey.png", 5), torch.full((3, 5, 5), 0.2))


def test_a_broken_picture_is_named(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"half a jpeg")
    with pytest.raises(CollectionError, match="broken.jpg cannot be read as an image"):
        read_picture(tmp_path / "broken.jpg", 8)


ORIENTATION = 0x0112  # the EXIF tag: 1 upright, 3 on its head, 6 and 8 on a side, the others mirrored


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_picture_that_lies_on_its_side_is_turned(tmp_path, orientation, kind):
    """Stored so that turning it as EXIF says gives one picture: red left, blue right, a green bar on top."""
    upright = np.zeros((24, 24, 3), dtype=np.uint8)
    upright[:, :12], upright[:, 12:], upright[:6] = (255, 0, 0), (0, 0, 255), (0, 255, 0)
    turns = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 7: "TRANSVERSE"}
    turns |= {6: "ROTATE_90", 8: "ROTATE_270"}  # a camera turned to one side stores the scene turned to the other
    stored = Image.fromarray(upright)
    if orientation in turns:
        stored = stored.transpose(Image.Transpose[turns[orientation]])
    note = Image.Exif()
    note[ORIENTATION] = orientation
    options = {"JPEG": {"quality": 95, "subsampling": 0}}.get(kind, {})
    stored.save(tmp_path / "picture", kind, exif=note, **options)
    with Image.open(tmp_path / "picture") as again:
        assert np.allclose(np.asarray(ImageOps.exif_transpose(again)), upright, atol=40), "the test stored another one"
    picture = read_picture(tmp_path / "picture", 24)
    assert torch.equal(picture[:, 20, 3].round(), torch.tensor([1.0, 0, 0]))
    assert torch.equal(picture[:, 20, 20].round(), torch.tensor([0.0, 0, 1]))
    assert torch.equal(picture[:, 2, 12].round(), torch.tensor([0.0, 1, 0]))


LEVELS = np.array([[0, 257, 12850], [25700, 51400, 65535], [128, 129, 32896]], dtype=np.uint16)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_grey_of_16_bits_keeps_its_shades(tmp_path, kind):
    Image.fromarray(LEVELS).save(tmp_path / "grey", kind)
    picture = read_picture(tmp_path / "grey", 3)
    expected = torch.tensor([[0, 1, 50], [100, 200, 255], [0, 1, 128]]) / 255  # whole steps of 257, rounded
    torch.testing.assert_close(picture, expected.expand(3, 3, 3))


def test_grey_of_16_bits_that_lies_on_its_side(tmp_path):
    note = Image.Exif()
    note[ORIENTATION] = 6
    Image.fromarray(LEVELS).save(tmp_path / "grey.png", exif=note)
    upright = read_picture(tmp_path / "grey.png", 3)[0] * 255
    torch.testing.assert_close(upright.T, torch.tensor([[0.0, 1, 50], [100, 200, 255], [0, 1, 128]]).flip(0))


@pytest.mark.parametrize("levels", [np.full((4, 4), 70_000, np.int32), np.full((4, 4), 0.5, np.float32)])
def test_a_white_that_is_not_defined_is_not_guessed(tmp_path, levels):
    Image.fromarray(levels).save(tmp_path / "levels.tiff")
    with pytest.raises(CollectionError, match="levels.tiff has 32 bits a pixel and no defined white"):
        read_picture(tmp_path / "levels.tiff", 4)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "GIF", "WEBP"])
def test_damage_is_named_or_read_but_never_raw(tmp_path, kind):
    """Cut at every tenth and with bytes changed: a picture or a CollectionError, nothing else."""
    rng = np.random.RandomState(0)
    note = Image.Exif()
    note[ORIENTATION] = 6
    Image.fromarray(rng.randint(0, 255, (9, 9, 3), dtype=np.uint8)).save(tmp_path / "whole", kind, exif=note)
    whole = (tmp_path / "whole").read_bytes()
    harmed = [whole[: len(whole) * tenth // 10] for tenth in range(10)]
    for _ in range(40):
        changed = bytearray(whole)
        changed[rng.randint(len(whole))] ^= 1 << rng.randint(8)
        harmed.append(bytes(changed))
    for content in harmed:
        (tmp_path / "harmed").write_bytes(content)
        try:
            assert read_picture(tmp_path / "harmed", 5).shape == (3, 5, 5)
        except CollectionError as error:
            assert "harmed" in str(error)


def test_a_size_without_a_pixel_is_refused(tmp_path):
    with pytest.raises(ValueError, match="size 0 leaves no pixel"):
        read_picture(tmp_path / "none.png", 0)
