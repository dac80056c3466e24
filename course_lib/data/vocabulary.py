"""A closed list of words, and text to token ids and back.

Axis letters are those of course_lib/__init__.py (B batch, T text tokens).
"""

import re
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor

from course_lib import refuse


@dataclass(frozen=True)
class Vocabulary:
    """Words with fixed ids: <pad> 0, <bos> 1, <eos> 2, then `words` in their order.

    words: all of them, each once; a punctuation mark is a word.
    joiner: what stands between two words: " " for English, "" for Chinese.

    The longest word that fits is taken at each position. Text that holds anything else is refused: with a closed list
    there is no <unk> to hide behind.

    >>> Vocabulary(("red", "square"), " ").encode("red square")
    [1, 3, 4, 2]
    """

    words: tuple[str, ...]
    joiner: str = " "

    PAD, BOS, EOS = 0, 1, 2

    def __post_init__(self) -> None:
        twice = sorted({word for word in self.words if self.words.count(word) > 1})
        if twice:
            raise ValueError(f"a word needs one id, but these are listed twice: {twice}")

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """Every token; its index is its id."""
        return ("<pad>", "<bos>", "<eos>", *self.words)

    def encode(self, text: str) -> list[int]:
        """Return <bos>, the ids of the words, <eos>."""
        words = self._pattern.findall(text)
        if self._join(words) != text:
            raise ValueError(f"{text!r} does not consist of words of this vocabulary; it holds {' '.join(self.words)}")
        return [self.BOS, *(self._ids[word] for word in words), self.EOS]

    @refuse.misfit
    def encode_batch(self, texts: list[str], *, length: int | None = None) -> Int[Tensor, "B T"]:
        """Encode each text and fill up with <pad> on the right.

        length: T; by default that of the longest text. A shorter T is refused, nothing is cut off.
        """
        rows = [torch.tensor(self.encode(text)) for text in texts]
        longest = max(map(len, rows), default=0)
        if length is not None and length < longest:
            raise ValueError(
                f"length {length} is too short: with <bos> and <eos> the longest text takes {longest} tokens"
            )
        ids = torch.full((len(rows), longest if length is None else length), self.PAD)
        for target, row in zip(ids, rows, strict=True):
            target[: len(row)] = row
        return ids

    @refuse.misfit
    def decode(self, ids: list[int] | Int[Tensor, " T"]) -> str:
        """Return the text up to the first <eos>, without <pad> and <bos>: the inverse of `encode`.

        ValueError for an id that is no token, such as the -100 of a label that is not to be learnt.
        """
        numbers = ids.tolist() if isinstance(ids, Tensor) else ids
        strange = [number for number in numbers if not 0 <= number < len(self)]
        if strange:
            raise ValueError(f"id {strange[0]} is no token; this vocabulary has {len(self)}, 0 to {len(self) - 1}")
        end = numbers.index(self.EOS) if self.EOS in numbers else len(numbers)
        return self._join([self.tokens[number] for number in numbers[:end] if number > self.EOS])

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens)}

    @cached_property
    def _pattern(self) -> re.Pattern:
        return re.compile("|".join(re.escape(word) for word in sorted(self.words, key=len, reverse=True)))

    def _join(self, words: list[str]) -> str:
        """Put words in a row; no space before a mark: `square ?` is written `square?`."""
        return re.sub(r" (?=[?,.])", "", self.joiner.join(words))
