"""What happens to a photograph on the web: saved again, scaled, darkened, overexposed, cropped; for duplicate finders.

The content stays what it was; whether a detector still sees that is the question.
"""

import io

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import Image
from torch import Tensor

from course_lib import refuse

ALTERATIONS = {
    "saved again": lambda picture: _jpeg(picture, quality=30),
    "half size": lambda picture: picture.resize((picture.width // 2, picture.height // 2)),
    "darker": lambda picture: picture.point(lambda level: level * 3 // 4),
    "overexposed": lambda picture: picture.point(lambda level: min(255, level * 2)),
    "cropped by 5 %": lambda picture: _without_corner(picture, parts=20),
    "cropped by 25 %": lambda picture: _without_corner(picture, parts=4),
    "mirrored": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}
"""Name to a function from one Pillow image to another; crops take that share off the left and off the top."""


@refuse.misfit
def altered(image: UInt8[Tensor, "height width 3"]) -> dict[str, Float32[Tensor, "3 new_height new_width"]]:
    """Return every alteration of a photograph, and itself as "original", as values in [0, 1], channels first.

    ValueError where an edge is shorter than 2 pixels: half of it is none.
    """
    if min(image.shape[:2]) < 2:
        raise ValueError(f"{image.shape[0]} x {image.shape[1]} pixels cannot be halved; both edges need 2 or more")
    picture = Image.fromarray(image.numpy())
    versions = {"original": picture, **{name: change(picture) for name, change in ALTERATIONS.items()}}
    return {name: _pixels(version) for name, version in versions.items()}


def _pixels(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.float32) / 255).permute(2, 0, 1).contiguous()


def _jpeg(picture: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file)


def _without_corner(picture: Image.Image, parts: int) -> Image.Image:
    return picture.crop((picture.width // parts, picture.height // parts, picture.width, picture.height))
