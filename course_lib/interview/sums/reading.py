"""What a learner typed, as a quantity: "1.5 GiB", "1500 MB", "3e9", "3.2 billion", "2*32*4096*2 B", "32 亿".

Numbers are exact fractions. What cannot be read raises AnswerError, which says in both languages what came, what fits
and what to try.
"""

import ast
import operator
import re
import unicodedata
from fractions import Fraction

from course_lib.interview.record import Text
from course_lib.interview.sums.units import BINARY_OF, FLOP_WORDS, KINDS, UNITS, Unit

MAX_LENGTH = 120
NUMERALS = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12} | {
    "千": 3,
    "万": 4,
    "百万": 6,
    "亿": 8,
    "十亿": 9,
    "万亿": 12,
}
"""Words for powers of ten, which may stand before any unit."""
LETTERS = {"k": 3, "m": 6, "mn": 6, "b": 9, "bn": 9, "t": 12}
"""Short forms of them, for what is counted and for money; before bytes a letter is a part of the unit."""
PREFIXES = NUMERALS | LETTERS | {"g": 9, "p": 15, "e": 18, "z": 21, "giga": 9, "tera": 12, "peta": 15, "exa": 18}
_NUMBER = re.compile(r"\d[\d,_]*(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?")
_GROUPED = re.compile(r"\d{1,3}(?:[,_]\d{3})+(?!\d)")
_RAISED = re.compile("[⁺⁻⁰¹²³⁴-⁹]+")
_HALVES = str.maketrans({"½": ".5", "¼": ".25", "¾": ".75"})
_ABOUT = re.compile(
    r"^(?:(?:~|about|approximately|approx\.?|around|roughly|circa|ca\.|大约|大概|差不多|约|us\$|\$)\s*)+", re.IGNORECASE
)
_OR_SO = re.compile(r"\s*(?:or so|左右|上下)$", re.IGNORECASE)
_A_SECOND = re.compile(r"\s*(?:/|per |每)\s*(?:seconds?|sec|秒)$", re.IGNORECASE)
_EACH = re.compile(r"\s*(?:/|\bper\b|\beach\b)\s*(?!(?:s|ms|second|h|hour|min|minute)$)[a-z]*$")
_EXAMPLES = {
    "bytes": "1.5 GiB, 1500 MB, 2*32*128*2 B",
    "time": "250 ms, 1.5 s",
    "share": "12.5 %, 0.125, 1/8",
    "money": "$1.50, 0.02",
    "bit rate": "6 kbps, 6000 bit/s",
    "FLOP": "3e21, 4.2 TFLOP",
    "tokens/s": "120, 120 tokens/s",
    "count": "576, 1,024, 3.2 billion, 7e9, 32亿",
}
_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


class AnswerError(ValueError):
    """An answer that cannot be read; `text` says why in both languages, str() is the English one."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.text = Text(en, zh)


def read_answer(typed: str, unit: str) -> tuple[Fraction, ...]:
    """The quantities that `typed` may mean, in base units; a bare number is taken in `unit`, the unit asked for.

    More than one only for a bare share: 0.125 may be meant as a fraction or as a percentage. AnswerError when nothing
    can be read.
    """
    asked = UNITS[unit]
    text = _plain(typed, asked)
    if not text:
        raise AnswerError(f"nothing typed yet; try {_examples(asked)}", f"还没有输入；可以写 {_examples(asked)}")
    if len(text) > MAX_LENGTH:
        raise AnswerError(
            f"{len(text)} characters are too many for an answer; write one number with a unit, at most {MAX_LENGTH}",
            f"输入有 {len(text)} 个字符，太长了；请写一个数和单位，不超过 {MAX_LENGTH} 个字符",
        )
    expression, rest = _split(text)
    if not _NUMBER.search(expression):
        raise AnswerError(
            f"no number in {typed.strip()!r}; try {_examples(asked)}",
            f"{typed.strip()!r} 里没有数；可以写 {_examples(asked)}",
        )
    if re.search(r"\d", rest):
        raise AnswerError(
            f"more than one number with a unit in {typed.strip()!r}; write one, as in {_examples(asked)}",
            f"{typed.strip()!r} 里带单位的数不止一个；请只写一个，例如 {_examples(asked)}",
        )
    value = _evaluate(expression)
    if value <= 0:
        raise AnswerError(
            f"{typed.strip()!r} is not above zero, and every answer here is; look for a stray minus sign",
            f"{typed.strip()!r} 不是正数，而这里的答案都是正数；检查一下负号",
        )
    if not rest:
        return (value, value * asked.scale) if asked.kind == "share" else (value * asked.scale,)
    return (value * _scale(rest, asked, unit),)


def _plain(typed: str, asked: Unit) -> str:
    """One spelling for signs, widths of characters and spaces; "about" goes, and so does what stands before an "="."""
    text = _RAISED.sub(r"^\g<0>", typed.translate(_HALVES))  # before NFKC, which would make 242 of 24²
    text = unicodedata.normalize("NFKC", text).strip().rstrip(".。;!?").strip("=≈ ")
    text = _OR_SO.sub("", _ABOUT.sub("", re.split("[=≈]", text)[-1].strip()))
    text = re.sub(r"^每秒\s*(.*)$", r"\1/s", text)
    if asked.kind == "count":  # "rank 16", "x2"
        text = re.sub(rf"^(?:{'|'.join(map(re.escape, asked.words))})\s*(?=\d)", "", text, flags=re.IGNORECASE)
    text = re.sub(r"(?<=\d)\s*[x×·∙]\s*(?=[\d(])", "*", text, flags=re.IGNORECASE)
    text = text.translate(str.maketrans({"×": "*", "÷": "/", "−": "-", "–": "-"})).replace("^", "**")
    return re.sub(r"(?<=\d) (?=\d{3}\b)", "", text)


def _split(text: str) -> tuple[str, str]:
    """The arithmetic at the front, and the unit that follows it."""
    end = at = 0
    while at < len(text):
        found = _NUMBER.match(text, at)
        if found:
            at = end = found.end()
        elif text[at] in "+-*/() ":
            end = at + 1 if text[at] == ")" else end
            at += 1
        else:
            break
    return text[:end], text[end:].strip()


def _evaluate(expression: str) -> Fraction:
    for found in re.finditer(r"\d+(?:[,_]\d*)+", expression):
        if not _GROUPED.fullmatch(found[0]):
            raise AnswerError(
                f"the comma in {found[0]!r} separates no group of three digits; write the decimal point as in 1.5",
                f"{found[0]!r} 里的逗号后面不是三位一组；小数点请写成 1.5 这样",
            )
    plain = re.sub(r"(?<=\d)[,_](?=\d{3})", "", expression).strip()
    plain = re.sub(r"(?<![\d.])0+(?=\d)", "", plain)  # Python refuses 007
    try:
        return _value(ast.parse(plain, mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError, RecursionError, MemoryError):
        raise AnswerError(
            f"cannot work out {expression.strip()!r}; write one number, or a product such as 2*32*128",
            f"算不出 {expression.strip()!r}；请写一个数，或 2*32*128 这样的乘积",
        ) from None


def _value(node: ast.expr) -> Fraction:
    """The exact value of + - * / ** over numbers; ValueError for anything else or for an exponent out of reason."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return Fraction(str(node.value))  # the decimal that was typed; "inf" is refused
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        return _value(node.operand) * (-1 if isinstance(node.op, ast.USub) else 1)
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow):
            if right.denominator != 1 or abs(right) > 64 or abs(left) > 10**6:
                raise ValueError("exponent or base out of reason")
            return left ** int(right)
        if type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](left, right)
    raise ValueError("not arithmetic")


def _scale(word: str, asked: Unit, unit: str) -> Fraction:
    """Base units in one of what the learner named."""
    word = _A_SECOND.sub("/s", word)
    low = " ".join(word.lower().split())
    first, last = low.partition(" ")[0], low.rpartition(" ")[2]
    noun = low if asked.kind != "count" else f"{first} {last}" if first in PREFIXES else last  # "576 visual tokens"
    for spelled in (low, _EACH.sub("", low), noun):  # "2 GB per GPU", "576/image"
        if not spelled:
            return asked.scale
        if (scale := _known_scale(word if spelled == low else spelled, spelled, asked)) is not None:
            return scale
    if asked.kind == "bytes" and low in ("k", "m", "g", "t"):
        decimal = f"{low.upper()}B"
        both = f"{decimal} (10^{PREFIXES[low]}) or {BINARY_OF[decimal]} (2^{PREFIXES[low] // 3 * 10})"
        raise AnswerError(
            f"“{word}” may be {both}; write which of them you mean",
            f"“{word}” 可能指 {both.replace('or', '或')}；请写清是哪一个",
        )
    shown = asked.name.en if unit == "$" else unit
    for name, known in UNITS.items():
        if word == name or low in known.words:
            kind, wanted = KINDS[known.kind], KINDS[asked.kind]
            what = (kind.en, wanted.en) if known.kind != asked.kind else (f"“{word}”", f"“{shown}”")
            what_zh = (kind.zh, wanted.zh) if known.kind != asked.kind else (f"“{word}”", f"“{asked.name.zh}”")
            raise AnswerError(
                f"“{word}” measures {what[0]}, the question asks for {what[1]}; try {_examples(asked)}",
                f"“{word}” 表示{what_zh[0]}，而题目问的是{what_zh[1]}；可以写 {_examples(asked)}",
            )
    raise AnswerError(
        f"do not know the unit “{word}”; the question asks for {shown}: try {_examples(asked)}, or the bare number",
        f"不认识单位“{word}”；题目要求的单位是 {asked.name.zh}：可以写 {_examples(asked)}，或只写数",
    )


def _known_scale(word: str, low: str, asked: Unit) -> Fraction | None:
    """Base units in one of a unit of the asked kind, perhaps after a power of ten in words; None for another word."""
    units = {} if asked.kind == "count" else {name: each for name, each in UNITS.items() if each.kind == asked.kind}
    for power, rest in [(0, low), *_powers(low, NUMERALS)]:
        exact = units.get(rest if power else word)  # before lower case: "kB/s" is not "kb/s"
        if found := exact or next((each for each in units.values() if rest in each.words), None):
            return found.scale * 10**power
    nouns = {"FLOP": FLOP_WORDS, "count": asked.words, "money": ()}.get(asked.kind)
    if nouns is None:
        return None
    prefixes = PREFIXES if asked.kind != "money" else NUMERALS | LETTERS
    fitting = [power for power, rest in [(0, low), *_powers(low, prefixes)] if rest in nouns or (power and not rest)]
    return Fraction(10 ** fitting[0]) if fitting else None


def _powers(low: str, prefixes: dict[str, int]) -> list[tuple[int, str]]:
    """Every power of ten that a word may begin with, and what follows it; the longest first."""
    fitting = [each for each in sorted(prefixes, key=len, reverse=True) if low.startswith(each)]
    return [(prefixes[each], low[len(each) :].strip()) for each in fitting]


def _examples(asked: Unit) -> str:
    return _EXAMPLES[asked.kind]
