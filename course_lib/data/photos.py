"""Seven small photographs with captions in English and Chinese, written for this course by looking at the pictures.

Two are scikit-learn's (CC BY 2.0), five scikit-image's (CC0 or public domain), all scaled down to 320 pixels. Who made
each, under which licence and where it came from stands in `datasets/photos/captions.json` and in the catalogue.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from course_lib.data.catalogue import find


@dataclass(frozen=True)
class Photo:
    """One photograph and what may be said about it.

    name: "astronaut", "chelsea", "china", "coffee", "flower", "hubble" or "rocket".
    image: red, green, blue, 0 to 255.
    captions, captions_zh: the i-th Chinese caption says what the i-th English one says.
    author, licence, source: to be named wherever the picture is shown; `changes` says what the course did to it.
    """

    name: str
    image: UInt8[Tensor, "height width 3"]
    captions: tuple[str, ...]
    captions_zh: tuple[str, ...]
    author: str
    licence: str
    source: str
    changes: str

    @property
    def credit(self) -> str:
        """One line for below the picture, as the CC BY licences ask for."""
        return f"{self.name}: {self.author}, {self.licence}, {self.source} ({self.changes})"


def load_photos() -> list[Photo]:
    """Return all photographs, sorted by name; `DataFileError` where a file is not what the catalogue lists."""
    records = json.loads(find("photos/captions.json").read_text(encoding="utf-8"))
    return [_load(record) for record in sorted(records, key=lambda record: record["name"])]


def make_photo(source: Path, target: Path, *, longest: int = 320) -> None:
    """Scale a picture down so that its longer edge has `longest` pixels and write it as JPEG; made every photograph."""
    with Image.open(source) as picture:
        small = picture.convert("RGB")
    small.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    small.save(target, "JPEG", quality=85, optimize=True)


def _load(record: dict) -> Photo:
    with Image.open(find(f"photos/{record['name']}.jpg")) as picture:
        image = torch.from_numpy(np.array(picture))
    texts = {key: tuple(record[key]) for key in ("captions", "captions_zh")}
    return Photo(image=image, **{**record, **texts})
