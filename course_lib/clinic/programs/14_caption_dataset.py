"""A dataset of captions as word ids, and batches of it for a model that reads (B, T)."""

import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from course_lib.data.scene_language import ENGLISH
from course_lib.data.scenes import make_scenes

LENGTH = 8


class CaptionDataset(Dataset):
    """One caption an item: 8 word ids, filled up with PAD."""

    def __init__(self, captions: list[str]) -> None:
        self.rows = [ENGLISH.encode(caption)[:LENGTH] for caption in captions]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict:
        """ids, and where in the dataset they stand."""
        row = self.rows[index]
        return {"ids": row + [ENGLISH.PAD] * (LENGTH - len(row)), "index": index}


def batches(captions: list[str], batch_size: int) -> list[Int[Tensor, "B T"]]:
    """All captions in order, as (B, T); the last batch may be shorter."""
    found = []
    for batch in DataLoader(CaptionDataset(captions), batch_size=batch_size):
        ids = batch["ids"]
        found.append(torch.stack(ids) if isinstance(ids, list) else ids)
    return found


def run() -> dict:
    """What the first row of a batch says, for two sizes of a batch."""
    captions = make_scenes(16, seed=0, objects=(1, 1)).captions
    report = {"first caption": str(ENGLISH.encode(captions[0]))}
    for size in (8, 4):
        first = batches(captions, size)[0]
        report[f"batch of {size}: shape, first row"] = f"{tuple(first.shape)}, {first[0].tolist()}"
    return report
