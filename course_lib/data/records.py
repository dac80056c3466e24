"""Records of real collections, and the Dataset that turns them into batches for `training.loop.fit`.

A record holds words and a path; pixels are read when a batch asks for them. Its `group` is the image: what to split by.
In this module L is the length of a text in words, filled up; K the number of answers to choose from.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float32, Int
from torch import Tensor
from torch.utils.data import Dataset

from course_lib import refuse
from course_lib.data.pictures import read_picture


@dataclass(frozen=True)
class Captioned:
    """A photograph and what people wrote about it. group: its id, shared by everything that shows the same image."""

    group: str
    path: Path
    captions: tuple[str, ...]
    split: str


@dataclass(frozen=True)
class Asked:
    """A question about a photograph and what people answered, one string a person (ten in VQA v2)."""

    group: str
    path: Path
    question_id: int
    question: str
    answers: tuple[str, ...]
    answer_type: str
    """ "yes/no", "number" or "other"."""
    split: str


class PictureDataset(Dataset):
    """Records as training items: {"image": ..., and what `encode` makes of the record}, ready for the default collate.

    size: edge in pixels; the shorter edge is scaled to it and the middle cut out, so nothing is squeezed.
    encode: turns a record into a dict of tensors of equal shape for all records, for example
        lambda record: {"ids": words.encode(record.captions[0], length=20)}
    Float32 images, "3 size size", red, green, blue in [0, 1].
    """

    def __init__(
        self, records: Sequence[Captioned | Asked], *, size: int, encode: Callable[..., dict[str, Tensor]]
    ) -> None:
        if not records:
            raise ValueError("no records came; a Dataset needs at least one")
        refuse.outside(1, math.inf, size=size)
        self.records, self.size, self.encode = list(records), size, encode

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        record = self.records[row]
        return {"image": read_picture(record.path, self.size), **self.encode(record)}

    @property
    def groups(self) -> list[str]:
        """The image of each row, for `splitting.split_by_group`."""
        return [record.group for record in self.records]


@dataclass(frozen=True)
class OpenWords:
    """The commonest words of a training split; all others are <unk>. For real text, where no list of words is closed.

    words: without the four special tokens <pad> 0, <bos> 1, <eos> 2, <unk> 3.
    """

    words: tuple[str, ...]

    PAD, BOS, EOS, UNK = 0, 1, 2, 3

    @classmethod
    def of(cls, texts: Iterable[str], *, most: int) -> "OpenWords":
        """Count words in lower case and keep the `most` commonest; equally common ones in the order of the alphabet."""
        if isinstance(texts, str):
            raise TypeError("texts is one string, whose letters would be counted as words; try [texts]")
        refuse.outside(1, math.inf, most=most)
        counted = Counter(word for text in texts for word in _words(text))
        return cls(tuple(sorted(counted, key=lambda word: (-counted[word], word))[:most]))

    def __len__(self) -> int:
        return len(self.words) + 4

    def encode(self, text: str, *, length: int) -> Int[Tensor, " L"]:
        """<bos>, the words, <eos>, <pad>...; a text of more than `length` - 2 words is cut, <eos> stays."""
        if length < 3:
            raise ValueError(f"length {length} is too short for <bos>, a word and <eos>; try 20")
        ids = [self._ids.get(word, self.UNK) for word in _words(text)][: length - 2]
        row = torch.full((length,), self.PAD)
        row[: len(ids) + 2] = torch.tensor([self.BOS, *ids, self.EOS])
        return row

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, start=4)}


def common_answers(records: Sequence[Asked], *, most: int) -> tuple[str, ...]:
    """Return the `most` commonest answers of the training questions: the classes of a VQA classifier."""
    refuse.empty(records=records)
    refuse.outside(1, math.inf, most=most)
    counted = Counter(answer for record in records for answer in record.answers)
    return tuple(sorted(counted, key=lambda answer: (-counted[answer], answer))[:most])


@refuse.misfit
def soft_target(record: Asked, answers: Sequence[str]) -> Float32[Tensor, " K"]:
    """Return min(n / 3, 1) for each class, n the number of people who gave it: targets for a sigmoid per answer.

    Teney et al. (2017), arXiv:1708.02711, train against VQA's soft scores. All zeros where nobody gave a listed answer.
    """
    refuse.empty(answers=answers)
    if len(set(answers)) < len(answers):
        raise ValueError("an answer is listed twice, and each is a class of its own; pass each once")
    given = Counter(record.answers)
    return torch.tensor([min(given[answer] / 3, 1.0) for answer in answers])


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+|[^\W\d_a-z]", text.lower())
