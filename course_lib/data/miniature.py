"""A COCO of seven photographs: the course's own pictures and captions, written in the layout that COCO publishes.

For lessons and tests that show how a real collection is read, with nothing downloaded.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from course_lib import refuse
from course_lib.data.paths import below
from course_lib.data.photos import Photo


def write_coco(folder: str | Path, photos: Sequence[Photo], *, split: str = "val2017") -> Path:
    """Write images and captions below `folder` as COCO has them; return the annotation file.

    The images are numbered from 0, in order. The file holds what loaders read, `images` and `annotations`; the real one
    also has `info`, `licenses`, and sizes and addresses of every image.
    """
    refuse.empty(photos=photos)
    folder = Path(folder)
    below(folder, split)
    file = folder / "annotations" / f"captions_{split}.json"
    for part in (file.parent, folder / split):
        part.mkdir(parents=True, exist_ok=True)
    images = [{"id": number, "file_name": f"{number:012d}.jpg"} for number in range(len(photos))]
    for entry, photo in zip(images, photos, strict=True):
        Image.fromarray(photo.image.numpy()).save(folder / split / entry["file_name"], quality=90)
    captions = [{"image_id": number, "caption": text} for number, photo in enumerate(photos) for text in photo.captions]
    annotations = [{"id": number, **caption} for number, caption in enumerate(captions)]
    file.write_text(json.dumps({"images": images, "annotations": annotations}), encoding="utf-8")
    return file
