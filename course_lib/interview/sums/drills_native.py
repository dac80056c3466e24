"""Problems about Qwen2-VL's pictures and films: native resolution, frames, positions."""

from fractions import Fraction
from math import ceil, sqrt
from random import Random

from course_lib.interview.record import Text
from course_lib.interview.sums.problem import EXACT, Family, Given, Problem, Step, line, problem, times
from course_lib.interview.sums.tokens import native_size, position_after_image, video_tokens
from course_lib.interview.sums.units import number as n

FACTOR = 28
"""Side in pixels of what becomes one token in Qwen2-VL: patches of 14 px, merged 2 x 2."""
PHOTOS = ((3024, 4032), (4032, 3024), (1080, 1920), (2160, 3840), (1536, 2048), (2448, 3264))
LIMITS = (512, 768, 1280)
"""Visual tokens that a pixel limit allows; 1,280 is the default of Qwen2-VL's image processor in transformers."""


def draw_native(rng: Random, step: int) -> Problem:
    """Tokens of a picture at its own resolution, below or above the pixel limit."""
    if step == 3:
        return _shrunk(rng)
    height, width = (FACTOR * rng.randint(6, 40) for _ in "hw")
    if step == 2:
        height, width = (side + rng.choice([-9, -5, -3, 2, 6, 11]) for side in (height, width))
    rows, columns = (side // FACTOR for side in native_size(height, width, FACTOR, 10**9))
    count = rows * columns
    working = [
        line("Pixels along a token", "一个 token 的边长（像素）", "14 × 2", FACTOR),
        _nearest("Height in tokens, to the nearest", "高方向的 token 数，四舍五入", height, rows),
        _nearest("Width in tokens, to the nearest", "宽方向的 token 数，四舍五入", width, columns),
        line("Tokens", "token 数", times(rows, columns), count),
    ]
    near = {
        "not merged": 4 * count,
        "merge not squared": 2 * count,
        "boundary tokens": count + 2,
    }
    if step == 2:
        near |= {
            "rounded down": (height // FACTOR) * (width // FACTOR),
            "rounded up": ceil(Fraction(height, FACTOR)) * ceil(Fraction(width, FACTOR)),
            "area not sides": round(Fraction(height * width, FACTOR**2)),
        }
    return problem(
        (
            "Qwen2-VL reads an image of {height} × {width} px at native resolution: patches of {patch} px, merged"
            " {merge} × {merge_too}; each side is first rounded to the nearest multiple of patch times merge. How many"
            " visual tokens, start and end tokens aside?",
            "Qwen2-VL 以原生分辨率读取 {height} × {width} px 的图片：切块 {patch} px，按 {merge} × {merge_too} 合并；"
            "每边先取到“切块 × 合并”的最近整数倍。不计起止 token，视觉 token 有多少个？",
        ),
        {"height": height, "width": width, "patch": 14, "merge": 2, "merge_too": 2},
        count,
        "tokens",
        working,
        near,
        tolerance=EXACT,
    )


def _nearest(en: str, zh: str, side: int, cells: int) -> Step:
    return line(en, zh, f"⌊{n(side)} / {FACTOR} + 0.5⌋", cells)


def _shrunk(rng: Random) -> Problem:
    """A photo above the pixel limit; draws again where rounding the root by hand could change the answer."""
    while True:
        (height, width), limit = rng.choice(PHOTOS), rng.choice(LIMITS)
        height, width = height - rng.randrange(0, 200, 4), width - rng.randrange(0, 200, 4)
        pixels = limit * FACTOR**2
        shrink = sqrt(height * width / pixels)
        cells = [side / shrink / FACTOR for side in (height, width)]
        if all(0.05 < each % 1 < 0.95 for each in cells):
            break
    rows, columns = (side // FACTOR for side in native_size(height, width, FACTOR, pixels))
    root = f"√({n(height)} × {n(width)} / {n(pixels)})"
    count = rows * columns
    return problem(
        (
            "An image of {height} × {width} px exceeds the limit of {pixels} px. Qwen2-VL divides both sides by the"
            " square root of the excess and rounds each down to a multiple of {factor} px, the side of one merged"
            " token. How many visual tokens?",
            "一张 {height} × {width} px 的图片超过 {pixels} px 的上限。Qwen2-VL 把两边都除以超出倍数的平方根，"
            "再各自向下取到 {factor} px（一个合并后 token 的边长）的整数倍。视觉 token 有多少个？",
        ),
        {"height": height, "width": width, "pixels": pixels, "factor": FACTOR},
        count,
        "tokens",
        [
            line("Shrink both sides by", "两边缩小的倍数", root, shrink),
            line("Height in tokens", "高方向的 token 数", f"⌊{n(height)} / ({root} × {FACTOR})⌋", rows),
            line("Width in tokens", "宽方向的 token 数", f"⌊{n(width)} / ({root} × {FACTOR})⌋", columns),
            line("Tokens", "token 数", times(rows, columns), count),
        ],
        {
            "not shrunk": (height // FACTOR) * (width // FACTOR),
            "limit as answer": limit,
            "no root": int(height / shrink**2 / FACTOR) * int(width / shrink**2 / FACTOR),
            "not merged": 4 * count,
        },
        tolerance=EXACT,
    )


def draw_video(rng: Random, step: int) -> Problem:
    """Tokens of a film, and the seconds that fit a context."""
    fps, seconds = rng.choice([1, 2, 4]) if step == 1 else 2, 2 * rng.randint(5, 90)
    if step == 1:
        frame = rng.choice([64, 144, 196, 256])
        count = seconds * fps * frame
        return problem(
            (
                "A film of {seconds} s is sampled at {fps} frames a second; a frame costs {frame} tokens. How many"
                " tokens?",
                "一段 {seconds} s 的视频按每秒 {fps} 帧采样，每帧 {frame} 个 token，共多少个 token？",
            ),
            {"seconds": seconds, "fps": fps, "frame": frame},
            count,
            "tokens",
            [line("Seconds × frames × tokens", "秒数 × 帧率 × 每帧 token", times(seconds, fps, frame), count)],
            {"frame rate": seconds * frame, "frames only": seconds * fps, "one frame": frame},
            tolerance=EXACT,
        )
    rows, columns = (2 * rng.randint(5, 18) for _ in "hw")
    group = video_tokens(2, 2, rows, columns, 2)
    working = [line("Tokens of two joined frames", "两帧合一后的 token 数", f"{rows} × {columns} / 2^2", group)]
    shape: Given = {"height": 14 * rows, "width": 14 * columns, "patch": 14}
    shape |= {"fps": fps, "merge": 2, "merge_too": 2}
    scene = (
        "Qwen2-VL samples {fps} frames a second at {height} × {width} px, joins every two frames into one, uses"
        " patches of {patch} px and merges them {merge} × {merge_too}. ",
        "Qwen2-VL 每秒取 {fps} 帧，每帧 {height} × {width} px，两帧合一，切块 {patch} px，再按 {merge} × {merge_too}"
        " 合并。",
    )
    if step == 2:
        count = video_tokens(seconds * fps, 2, rows, columns, 2)
        working.append(line("Groups of two frames", "两帧一组的组数", f"{seconds} × {fps} / 2", seconds * fps // 2))
        working.append(line("Tokens", "token 数", times(seconds * fps // 2, group), count))
        ask = (scene[0] + "How many tokens for {seconds} s?", scene[1] + "{seconds} s 的视频要多少个 token？")
        near = {
            "temporal merge": 2 * count,
            "not merged": 4 * count,
            "one frame": group,
            "frames only": seconds * fps,
        }
        return problem(ask, {**shape, "seconds": seconds}, count, "tokens", working, near, tolerance=EXACT)
    context, text = rng.choice([32768, 65536, 131072]), rng.choice([500, 1000, 2000])
    whole = (context - text) // group
    working.append(line("Seconds: one group each", "每秒一组", f"⌊({n(context)} − {n(text)}) / {group}⌋", whole))
    ask = (
        scene[0] + "A context of {context} tokens keeps {text} for text. How many whole seconds of film fit?",
        scene[1] + "上下文 {context} 个 token，{text} 个留给文本。最多放得下多少整秒的视频？",
    )
    near = {
        "temporal merge": (context - text) // (2 * group),
        "text ignored": context // group,
        "not merged": (context - text) // (4 * group),
        "rounded up": whole + 1,
    }
    return problem(ask, {**shape, "context": context, "text": text}, whole, "s", working, near, tolerance=EXACT)


def draw_mrope(rng: Random, step: int) -> Problem:
    """Position ids after pictures under M-RoPE."""
    images = 1 if step < 3 else rng.randint(2, 6)
    text = rng.randint(5, 60)
    rows, columns = (rng.randint(4, 36) for _ in "hw")
    each = position_after_image(text, rows, columns)
    answer = images * each
    given: Given = {"text": text}
    working = []
    if step == 1:
        given |= {"rows": rows, "columns": columns}
        what = (
            "{text} text tokens, then an image of {rows} × {columns} tokens",
            "先有 {text} 个文本 token，再有 {rows} × {columns} 个 token 的图片",
        )
    else:
        given |= {"height": FACTOR * rows, "width": FACTOR * columns, "factor": FACTOR}
        working = [
            line("Rows of tokens", "token 行数", f"{n(FACTOR * rows)} / {FACTOR}", rows),
            line("Columns of tokens", "token 列数", f"{n(FACTOR * columns)} / {FACTOR}", columns),
        ]
        what = (
            "{text} text tokens, then an image of {height} × {width} px, one token for {factor} px of each side",
            "先有 {text} 个文本 token，再有一张 {height} × {width} px 的图片，每边每 {factor} px 一个 token",
        )
    if step == 3:
        given["images"] = images
        what = (f"{{images}} times: {what[0]}", f"以下内容重复 {{images}} 次：{what[1]}")
    larger = max(rows, columns)
    working.append(line("Text, then the longer side", "文本数加较长的一边", f"{text} + {larger}", each))
    if step == 3:
        working.append(
            line("Every picture starts where the last ended", "每张图片接着上一段编号", times(images, each), answer)
        )
    return problem(
        (
            f"Under M-RoPE positions start at zero. A prompt holds {what[0]}. Markers aside, which position id does"
            " the text token after it get?",
            f"在 M-RoPE 下位置从零开始编号。提示词：{what[1]}。不计标记 token，其后的文本 token 的位置编号是多少？",
        ),
        given,
        answer,
        "positions",
        working,
        {
            "tokens as positions": images * (text + rows * columns),
            "shorter side": images * (text + min(rows, columns)),
            "off by one": answer - 1,
            "text ignored": images * larger,
        },
        tolerance=EXACT,
    )


FAMILIES = (
    Family(
        "native",
        Text("Visual tokens: native resolution", "视觉 token：原生分辨率"),
        "Qwen2-VL arXiv:2409.12191",
        draw_native,
    ),
    Family("video", Text("Tokens of a film", "视频的 token 数"), "Qwen2-VL arXiv:2409.12191", draw_video),
    Family("mrope", Text("Positions under M-RoPE", "M-RoPE 的位置编号"), "Qwen2-VL arXiv:2409.12191", draw_mrope),
)
