"""Problems about sound: encoder positions and codec tokens."""

from fractions import Fraction
from random import Random

from course_lib.interview.record import Text
from course_lib.interview.sums.problem import EXACT, Family, Problem, line, problem, times
from course_lib.interview.sums.tokens import audio_positions, codec_bits, codec_tokens, conv_length
from course_lib.interview.sums.units import number as n

FRAME_RATE = 75
"""EnCodec frames a second at 24 kHz."""


def draw_audio(rng: Random, step: int) -> Problem:
    """Frames of a signal, positions of Whisper, seconds that fit at Qwen2-Audio's rate."""
    if step == 1:
        return _frames(rng)
    if step == 3:
        return _seconds_that_fit(rng)
    seconds = rng.choice([s for s in range(35, 600, 5) if s % 30])
    windows = -(-seconds // 30)
    count = windows * audio_positions(30, 10, 2)
    return problem(
        (
            "Whisper pads sound to windows of {window} s, takes a mel frame every {hop} ms and halves them by a"
            " convolution of stride {stride}. How many encoder positions for a recording of {seconds} s?",
            "Whisper 把声音补齐成 {window} s 的窗口，每 {hop} ms 一个梅尔帧，再用步幅 {stride} 的卷积减半。{seconds} s"
            " 的录音要多少个编码器位置？",
        ),
        {"window": 30, "hop": 10, "stride": 2, "seconds": seconds},
        count,
        "positions",
        [
            line("Windows, the last one padded", "窗口数，最后一个补齐", f"⌈{seconds} / 30⌉", windows),
            line("Positions of a window", "每个窗口的位置数", "30 × 1000 / 10 / 2", 1500),
            line("In all", "合计", times(windows, 1500), count),
        ],
        {
            "padding ignored": audio_positions(seconds, 10, 2),
            "stride": 2 * count,
            "one window": 1500,
            "rounded down": (windows - 1) * 1500,
        },
        tolerance=EXACT,
    )


def _frames(rng: Random) -> Problem:
    rate, seconds = rng.choice([8000, 16000]), rng.randint(1, 10)
    window, hop = rng.choice([(25, 10), (20, 10), (32, 16), (40, 20)])
    samples, wide, far = rate * seconds, rate * window // 1000, rate * hop // 1000
    count = conv_length(samples, wide, far, 0)
    return problem(
        (
            "{seconds} s of sound at {rate} Hz are cut into windows of {window} ms every {hop} ms, without padding."
            " How many frames?",
            "{seconds} s、{rate} Hz 的声音按 {window} ms 的窗、{hop} ms 的帧移切分，不补零。共多少帧？",
        ),
        {"seconds": seconds, "rate": rate, "window": window, "hop": hop},
        count,
        "frames",
        [
            line("Samples in all", "总采样点", times(rate, seconds), samples),
            line("Samples of a window", "每窗采样点", f"{n(rate)} × {window} / 1000", wide),
            line("Samples of a hop", "帧移采样点", f"{n(rate)} × {hop} / 1000", far),
            line("Places for the window", "窗能放的位置", f"⌊({n(samples)} − {wide}) / {far}⌋ + 1", count),
        ],
        {
            "padded": samples // far,
            "off by one": count - 1,
            "window as hop": samples // wide,
            "samples as frames": samples,
        },
        tolerance=EXACT,
    )


def _seconds_that_fit(rng: Random) -> Problem:
    context, text = rng.choice([4096, 8192, 32768]), rng.choice([100, 250, 500, 1000])
    rate = audio_positions(1, 10, 2, 2)
    whole = (context - text) // rate
    return problem(
        (
            "Qwen2-Audio takes a mel frame every {hop} ms, halves them by a convolution of stride {stride}, then pools"
            " by {pool}. A context of {context} tokens keeps {text} for text. How many whole seconds of sound fit?",
            "Qwen2-Audio 每 {hop} ms 一个梅尔帧，先用步幅 {stride} 的卷积减半，再按 {pool} 池化。上下文 {context} 个"
            " token，{text} 个留给文本。最多放得下多少整秒的声音？",
        ),
        {"hop": 10, "stride": 2, "pool": 2, "context": context, "text": text},
        whole,
        "s",
        [
            line("Tokens a second", "每秒 token 数", "1000 / 10 / 2 / 2", rate),
            line("Seconds", "秒数", f"⌊({n(context)} − {n(text)}) / {rate}⌋", whole),
        ],
        {
            "pool ignored": (context - text) // (2 * rate),
            "stride": (context - text) // (4 * rate),
            "text ignored": context // rate,
            "rounded up": whole + 1,
        },
        tolerance=EXACT,
    )


def draw_codec(rng: Random, step: int) -> Problem:
    """Tokens, bit rate and playing time of a residual vector-quantising codec."""
    books = rng.choice([2, 4, 8, 16, 32])
    seconds = rng.randint(3, 60)
    if step == 1:
        count = codec_tokens(seconds, FRAME_RATE, books)
        return problem(
            (
                "A codec makes {rate} frames a second with {books} codebooks each. How many tokens are {seconds} s of"
                " sound?",
                "某编解码器每秒 {rate} 帧，每帧 {books} 个码本。{seconds} s 的声音是多少个 token？",
            ),
            {"rate": FRAME_RATE, "books": books, "seconds": seconds},
            count,
            "tokens",
            [line("Seconds × frames × codebooks", "秒数 × 帧率 × 码本数", times(seconds, FRAME_RATE, books), count)],
            {"codebooks": seconds * FRAME_RATE, "one second": FRAME_RATE * books, "frame rate": seconds * books},
            tolerance=EXACT,
        )
    if step == 2:
        return _bit_rate(books)
    context, text = rng.choice([4096, 8192, 16384, 32768]), rng.choice([100, 256, 500])
    rate = FRAME_RATE * books
    whole = (context - text) // rate
    return problem(
        (
            "A codec makes {rate} frames a second with {books} codebooks, all flattened into one sequence. A context"
            " of {context} tokens keeps {text} for text. How many whole seconds of sound fit?",
            "某编解码器每秒 {rate} 帧、每帧 {books} 个码本，全部展平成一条序列。上下文 {context} 个 token，{text}"
            " 个留给文本。最多放得下多少整秒的声音？",
        ),
        {"rate": FRAME_RATE, "books": books, "context": context, "text": text},
        whole,
        "s",
        [
            line("Tokens a second", "每秒 token 数", times(FRAME_RATE, books), rate),
            line("Seconds", "秒数", f"⌊({n(context)} − {text}) / {n(rate)}⌋", whole),
        ],
        {
            "codebooks": (context - text) // FRAME_RATE,
            "text ignored": context // rate,
            "rounded up": whole + 1,
            "not rounded": Fraction(context - text, rate),
        },
        tolerance=EXACT,
    )


def _bit_rate(books: int) -> Problem:
    """Bits a second."""
    entries = 1024
    bits = codec_bits(FRAME_RATE, books, entries)
    wide = entries.bit_length() - 1
    return problem(
        (
            "EnCodec at 24 kHz makes {rate} frames a second; with {books} codebooks of {entries} entries, what is"
            " the bit rate?",
            "24 kHz 的 EnCodec 每秒 {rate} 帧；用 {books} 个码本、每个 {entries} 项时，码率是多少？",
        ),
        {"rate": FRAME_RATE, "books": books, "entries": entries},
        bits,
        "kbit/s",
        [
            line(f"An index takes {wide} bits", f"下标需要 {wide} 比特", f"2^{wide}", entries),
            line("Frames × codebooks × bits", "帧率 × 码本数 × 比特", times(FRAME_RATE, books, wide), bits, "bit/s"),
        ],
        {
            "bytes for bits": Fraction(bits, 8),
            "codebooks": FRAME_RATE * wide,
            "entries for bits": FRAME_RATE * books * entries,
            "bits an index": FRAME_RATE * books,
        },
    )


FAMILIES = (
    Family(
        "audio",
        Text("Frames and positions of sound", "声音的帧与位置"),
        "Whisper arXiv:2212.04356; Qwen2-Audio arXiv:2407.10759",
        draw_audio,
    ),
    Family(
        "codec", Text("Codec tokens and bit rate", "编解码器的 token 与码率"), "EnCodec arXiv:2210.13438", draw_codec
    ),
)
