"""Text folded at a width that is counted in columns, in English and in Chinese, whose characters are two wide."""

import re
from collections.abc import Iterator

from wcwidth import iter_graphemes, width

_HAN = (
    "\u2e80-\u303f\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uff60\uffe0-\uffe6\U00020000-\U0003fffd"
)
_OPEN, _CLOSE = "（【《「『“‘", "，。、；：？！）】》」』”’"
_PIECE = re.compile(rf"\s+|[{_OPEN}]*(?:[^\s{_HAN}{_OPEN}{_CLOSE}]+|[{_HAN}])?[{_CLOSE}]*")
"""What stays on one line: a word, or one Han character, with the punctuation that may not begin or end a line."""
_HEAD = re.compile(r"\s*(?:[-•] )?")


def fold(text: str, columns: int) -> list[str]:
    """The lines of `text`, none wider than `columns`; what is folded off a line stands under its first word.

    A word is broken only where it is wider than a whole line. An empty text is one empty line.
    """
    return [line for each in text.split("\n") for line in _fold_line(each.expandtabs(4).rstrip(), columns)]


def _fold_line(text: str, columns: int) -> Iterator[str]:
    if width(text) <= columns:
        yield text
        return
    margin = " " * min(width(_HEAD.match(text)[0]), columns // 2)
    line, filled = "", False
    for piece in _pieces(text, columns - len(margin)):
        if filled and width(line + piece.rstrip()) > columns:
            yield line.rstrip()
            line, filled = margin, False
            piece = piece.lstrip()
        line += piece
        filled = filled or bool(piece.strip())
    if line.strip():
        yield line.rstrip()


def _pieces(text: str, columns: int) -> Iterator[str]:
    """Words and spaces in order; a word that is wider than a line, in parts that are not."""
    for word in filter(None, _PIECE.findall(text)):
        if width(word) <= columns or word.isspace():
            yield word
            continue
        part = ""
        for letter in iter_graphemes(word):
            if part and width(part + letter) > columns:
                yield part
                part = ""
            part += letter
        yield part
