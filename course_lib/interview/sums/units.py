"""Units of interview arithmetic: what they measure, how large they are, what people type for them.

Every quantity is kept in the base unit of its kind (byte, second, FLOP, one) as an exact fraction. GB is 10^9 bytes and
GiB is 2^30 bytes (IEC 80000-13); the two differ by 7.4 %, so an answer that takes one for the other is caught.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import floor, log10

from course_lib.interview.record import Text

Number = int | Fraction | float


@dataclass(frozen=True)
class Unit:
    """A unit that an answer is asked in."""

    name: Text
    kind: str
    """What it measures, a key of KINDS."""
    scale: Fraction
    """Base units in one."""
    words: tuple[str, ...] = ()
    """What else people type for it, lower case."""


KINDS = {
    "bytes": Text("memory", "存储"),
    "time": Text("time", "时间"),
    "share": Text("a share", "比例"),
    "money": Text("money", "费用"),
    "bit rate": Text("a bit rate", "码率"),
    "FLOP": Text("arithmetic operations", "浮点运算次数"),
    "tokens/s": Text("tokens per second", "每秒 token 数"),
    "count": Text("a count", "个数"),
}
BINARY_OF = {"KB": "KiB", "MB": "MiB", "GB": "GiB", "TB": "TiB"}
SIBLING = BINARY_OF | {binary: decimal for decimal, binary in BINARY_OF.items()}
"""The unit of the other family, which people take for this one."""


def _same(name: str) -> Text:
    return Text(name, name)


def _bytes() -> dict[str, Unit]:
    units = {"B": Unit(Text("bytes", "字节"), "bytes", Fraction(1), ("b", "byte", "bytes", "字节"))}
    said = [("kilo", "kibi", "千"), ("mega", "mebi", "兆"), ("giga", "gibi", "吉"), ("tera", "tebi", "太")]
    for power, (decimal, binary) in enumerate(BINARY_OF.items(), start=1):
        ten, two, han = said[power - 1]
        words = (decimal.lower(), f"{ten}byte", f"{ten}bytes", f"{han}字节")
        units[decimal] = Unit(_same(decimal), "bytes", Fraction(1000**power), words)
        words = (binary.lower(), f"{two}byte", f"{two}bytes")
        units[binary] = Unit(_same(binary), "bytes", Fraction(1024**power), words)
    for power, prefix in enumerate(["", "k", "M", "G"]):
        word = f"{prefix}bit"
        units[word] = Unit(_same(word), "bytes", Fraction(1000**power, 8), (word.lower(), f"{word.lower()}s"))
    units["bit"] = Unit(Text("bits", "比特"), "bytes", Fraction(1, 8), ("bit", "bits", "比特"))
    return units


_TIMES = {
    "µs": (Fraction(1, 10**6), ("us", "μs", "microseconds", "微秒")),  # NFKC turns the micro sign into the Greek letter
    "ms": (Fraction(1, 1000), ("ms", "msec", "millisecond", "milliseconds", "毫秒")),
    "s": (Fraction(1), ("s", "sec", "second", "seconds", "秒")),
    "min": (Fraction(60), ("min", "mins", "minute", "minutes", "分钟", "分")),
    "h": (Fraction(3600), ("h", "hr", "hrs", "hour", "hours", "小时", "个小时")),
}
UNITS: dict[str, Unit] = {
    **_bytes(),
    **{name: Unit(_same(name), "time", scale, words) for name, (scale, words) in _TIMES.items()},
    "days": Unit(Text("days", "天"), "time", Fraction(86400), ("d", "day", "days", "天", "日")),
    "weeks": Unit(Text("weeks", "周"), "time", Fraction(7 * 86400), ("week", "weeks", "周", "星期", "个星期")),
    "%": Unit(_same("%"), "share", Fraction(1, 100), ("%", "percent", "per cent", "pct")),
    "$": Unit(Text("dollars", "美元"), "money", Fraction(1), ("$", "usd", "dollar", "dollars", "美元", "美金", "刀")),
    "cents": Unit(Text("cents", "美分"), "money", Fraction(1, 100), ("cent", "cents", "¢", "美分")),
    "kbit/s": Unit(_same("kbit/s"), "bit rate", Fraction(1000), ("kbit/s", "kbps", "kb/s", "kbits/s", "kilobits/s")),
    "bit/s": Unit(_same("bit/s"), "bit rate", Fraction(1), ("bit/s", "bps", "bits/s")),
    "Mbit/s": Unit(_same("Mbit/s"), "bit rate", Fraction(10**6), ("mbit/s", "mbps", "mb/s", "mbits/s", "megabits/s")),
    "kB/s": Unit(_same("kB/s"), "bit rate", Fraction(8000), ("kilobytes/s",)),  # 8 bits each, a slip to be told
    **{
        name: Unit(_same(name), "FLOP", Fraction(10**power))
        for name, power in [("FLOP", 0), ("MFLOP", 6), ("GFLOP", 9), ("TFLOP", 12), ("PFLOP", 15)]
    },
    "tokens/s": Unit(
        _same("token/s"),
        "tokens/s",
        Fraction(1),
        ("token/s", "tokens/s", "tok/s", "t/s", "tps", "个token/s", "个 token/s"),
    ),
}
FLOP_WORDS = ("flop", "flops", "operations", "ops", "次", "次运算", "次浮点运算")
NOUNS = {  # things that are counted: the names shown, and the words typed
    "tokens": (
        Text("tokens", "个 token"),
        ("token", "tokens", "tok", "toks", "个", "词元", "令牌", "个token", "个 token"),
    ),
    "parameters": (
        Text("parameters", "个参数"),
        ("parameter", "parameters", "params", "param", "个参数", "参数", "个"),
    ),
    "images": (Text("images", "张图片"), ("image", "images", "张", "张图片", "张图", "图片")),
    "frames": (Text("frames", "帧"), ("frame", "frames", "帧")),
    "layers": (Text("layers", "层"), ("layer", "layers", "层")),
    "GPUs": (Text("GPUs", "张 GPU"), ("gpu", "gpus", "card", "cards", "块", "张", "卡", "张gpu", "张 gpu", "张卡")),
    "sequences": (Text("sequences", "条序列"), ("sequence", "sequences", "seqs", "条", "条序列", "序列", "路")),
    "positions": (Text("positions", "个位置"), ("position", "positions", "个", "位置", "个位置")),
    "tiles": (Text("tiles", "块"), ("tile", "tiles", "块", "个切片", "切片")),
    "vectors": (Text("vectors", "条向量"), ("vector", "vectors", "条", "向量", "条向量")),
    "micro-batches": (Text("micro-batches", "个微批次"), ("micro-batch", "micro-batches", "个", "个微批次", "微批次")),
    "rank": (Text("", ""), ("rank", "秩")),
    "width": (Text("", ""), ("width", "宽度", "channels")),
    "adapters": (Text("adapters", "个适配器"), ("adapter", "adapters", "个", "适配器", "个适配器")),
    "steps": (Text("steps", "步"), ("step", "steps", "步")),
    "tokens per forward": (Text("tokens per pass", "token/次"), ("token", "tokens", "tokens per pass", "token/次")),
    "times": (Text("times", "倍"), ("x", "*", "times", "times faster", "fold", "-fold", "倍")),
}
UNITS |= {noun: Unit(name, "count", Fraction(1), words) for noun, (name, words) in NOUNS.items()}


def number(value: Number) -> str:
    """A number as the course prints it: whole ones with separators, others with four significant digits.

    >>> number(131072), number(Fraction(8, 3)), number(63 * 10**20)
    ('131,072', '2.667', '6.3e21')
    """
    exact = Fraction(value)
    size = abs(exact)
    if exact.denominator == 1 and size < 10**15:
        return f"{int(exact):,}"
    if size >= 10**9 or (size and size < Fraction(1, 10**4)):
        digits, _, power = f"{float(exact):.3e}".partition("e")
        return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"
    decimals = max(0, 3 - floor(log10(size))) if size else 0
    text = f"{float(exact):,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def quantity(value: Number, unit: str, language: str = "en") -> str:
    """A value given in base units, said in `unit`: quantity(2**31, "GiB") is "2 GiB"."""
    asked = UNITS[unit]
    amount = number(Fraction(value) / asked.scale)
    if unit == "$":
        return f"${amount}"
    if asked.kind == "count" and value >= 10**6:
        letter, scale = next(each for each in (("T", 10**12), ("B", 10**9), ("M", 10**6)) if value >= each[1])
        amount += f" ({number(Fraction(value) / scale)}{letter})"
    return f"{amount}{'' if unit == '%' else ' '}{asked.name[language]}".rstrip()
