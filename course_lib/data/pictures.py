"""Image files of every kind as one: upright, in colour, square, with values in [0, 1]."""

import struct
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from PIL import Image, ImageOps
from torch import Tensor

from course_lib.data.annotations import CollectionError

_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, struct.error, Image.DecompressionBombError)
"""What Pillow raises for damaged files, SyntaxError for a broken PNG among them."""


def read_picture(path: Path, size: int) -> Float32[Tensor, "3 size size"]:
    """Read an image file upright, scale its shorter edge to `size` pixels and cut out the middle; grey becomes colour.

    A camera held upright stores its picture lying on its side, with a note in EXIF on how to turn it. The note is
    followed, as every viewer does: else captions such as "left of" and the models' pretraining would not fit. Grey of
    16 bits is divided by 257, so that its white, 65,535, is 255. Raises CollectionError for a file that is damaged, of
    more than 179 million pixels, or of 32 bits a pixel, whose white is not defined.
    """
    if size < 1:
        raise ValueError(f"size {size} leaves no pixel; try 224")
    try:
        with Image.open(path) as picture:
            picture = ImageOps.exif_transpose(_eight_bits(picture, path)).convert("RGB")
    except _DAMAGE as error:
        raise CollectionError(f"{path} cannot be read as an image ({error}); unpack the archive again") from None
    scale = size / min(picture.size)
    width, height = (max(size, round(edge * scale)) for edge in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - size) // 2, (height - size) // 2
    pixels = np.asarray(picture.crop((left, top, left + size, top + size)), dtype=np.float32) / 255
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _eight_bits(picture: Image.Image, path: Path) -> Image.Image:
    """Grey of 16 bits as grey of 8; Pillow's own conversion would cut at 255, and all but black become white."""
    sixteen = picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in ("PNG", "PPM"))
    if sixteen:
        levels = np.rint(np.asarray(picture, dtype=np.float64) / 257)
        small = Image.fromarray(levels.astype(np.uint8))
        small.info = picture.info
        return small
    if picture.mode in ("I", "F"):
        raise CollectionError(f"{path} has 32 bits a pixel and no defined white; save it with 8 or 16 bits first")
    return picture
