"""Problems about latency: prefill bounded by compute, decoding by bandwidth."""

from fractions import Fraction
from random import Random

from course_lib.interview.record import Text
from course_lib.interview.sums.compute import decode_seconds, prefill_seconds
from course_lib.interview.sums.drills_training import named_size
from course_lib.interview.sums.memory import kv_bytes
from course_lib.interview.sums.models import ACCELERATORS, DECODERS, Accelerator
from course_lib.interview.sums.parameters import decoder_parameters, rounded
from course_lib.interview.sums.problem import EXACT, Family, Given, Problem, line, problem, times
from course_lib.interview.sums.units import number as n

SMALL = [model for model in DECODERS if decoder_parameters(model) < 2 * 10**10]
"""Those that one GPU serves in bf16."""


def draw_prefill(rng: Random, step: int) -> Problem:
    """Least time of a prefill, and the pictures that a time budget allows."""
    gpu, percent = rng.choice(ACCELERATORS), rng.choice([40, 50, 60])
    name, size = named_size(rng, step)
    given: Given = {"size": size, "peak": gpu.peak, "percent": percent}
    start = ("A model of {size} parameters", "{size} 参数的模型")
    if step > 1:
        given["model"] = name
        start = ("{model} ({size} parameters)", "{model}（{size} 参数）")
    machine = (
        "on a GPU of {peak} TFLOP/s peak that reaches {percent} % of it, attention over the sequence aside",
        "GPU 峰值 {peak} TFLOP/s，达到 {percent} %，不计序列上的注意力",
    )
    each = rng.choice([256, 576, 729, 1280, 2880])
    text = rng.choice([100, 200, 500])
    images = rng.randint(2, 8)
    if step < 3:
        tokens = rng.choice([1000, 2000, 4000, 8000]) if step == 1 else images * each + text
        answer = prefill_seconds(size, tokens, gpu.peak * 10**12, Fraction(percent, 100))
        working = [line("Tokens", "token 数", f"{images} × {each} + {text}", tokens)] if step == 2 else []
        working.append(line("FLOPs: 2 N n", "运算量：2 N n", times(2, size, tokens), 2 * size * tokens))
        working.append(
            line(
                "Milliseconds",
                "毫秒",
                f"2 × {n(size)} × {n(tokens)} / ({gpu.peak} × 10^12 × {percent} / 100) × 1000",
                answer * 1000,
                "ms",
            )
        )
        near = {
            "training for inference": 3 * answer,
            "MFU ignored": answer * percent / 100,
            "one a weight": answer / 2,
            "one token": answer / tokens,
        }
        if step == 1:
            what = ("reads a prompt of {tokens} tokens", "读入 {tokens} 个 token 的提示词")
            given["tokens"] = tokens
        else:
            what = (
                "reads {images} images of {each} tokens and {text} text tokens",
                "读入 {images} 张图片（每张 {each} 个 token）和 {text} 个文本 token",
            )
            given |= {"images": images, "each": each, "text": text}
            near["text ignored"] = answer * images * each / tokens
        ask = (
            f"{start[0]} {what[0]} {machine[0]}. How long at least?",
            f"{start[1]}{what[1]}，{machine[1]}。至少要多久？",
        )
        return problem(ask, given, answer, "ms", working, near)
    return _images_in_time(rng, given, start, machine)


def _images_in_time(rng: Random, given: Given, start: tuple[str, str], machine: tuple[str, str]) -> Problem:
    """Pictures whose prefill stays within a budget of milliseconds."""
    size, peak, percent = (int(given[name]) for name in ("size", "peak", "percent"))
    each, text, images = rng.choice([256, 576, 729, 1280, 2880]), rng.choice([100, 200, 500]), rng.randint(2, 8)
    real = peak * 10**12 * Fraction(percent, 100)
    per_token = 2 * size / real
    budget = int((images * each + text) * per_token * 1000) + rng.choice([5, 10, 20])
    allowed = Fraction(budget, 1000) / per_token
    answer = int((allowed - text) // each)
    ask = (
        f"{start[0]} must read its prompt within {{budget}} ms {machine[0]}. The prompt has {{text}} text tokens; an"
        " image costs {each} tokens. How many images at most?",
        f"{start[1]}要在 {{budget}} ms 内读完提示词，{machine[1]}。提示词有 {{text}} 个文本 token，每张图片 {{each}}"
        " 个 token。最多几张图片？",
    )
    tokens_sum = f"{budget} / 1000 × {peak} × 10^12 × {percent} / 100 / (2 × {n(size)})"
    working = [
        line("Tokens in that time", "这段时间可读的 token", tokens_sum, allowed),
        line("Images", "图片数", f"⌊({tokens_sum} − {text}) / {each}⌋", answer),
    ]
    near = {
        "MFU ignored": (allowed * 100 / percent - text) // each,
        "text ignored": allowed // each,
        "training for inference": (allowed / 3 - text) // each,
        "one a weight": (2 * allowed - text) // each,
        "rounded up": answer + 1,
        "not rounded": (allowed - text) / each,
    }
    given |= {"budget": budget, "text": text, "each": each}
    return problem(ask, given, answer, "images", working, near, tolerance=EXACT)


def draw_decode(rng: Random, step: int) -> Problem:
    """Least time of a decoding step, with caches, and the batch where compute takes over."""
    gpu = rng.choice(ACCELERATORS)
    if step == 3:
        return _ridge(rng)
    if step == 1:
        return _weights_only(rng, gpu)
    model = rng.choice(SMALL)
    size, batch, tokens = rounded(decoder_parameters(model)), rng.choice([8, 16, 32]), rng.choice([2048, 4096, 8192])
    e = model.head_width
    cache = kv_bytes(model.layers, model.kv_heads, e, tokens) * batch
    answer = decode_seconds(2 * size, cache, gpu.bandwidth * 10**9)
    near = {
        "cache ignored": decode_seconds(2 * size, 0, gpu.bandwidth * 10**9),
        "one sequence's cache": decode_seconds(2 * size, cache // batch, gpu.bandwidth * 10**9),
        "weights for each": decode_seconds(2 * size * batch, cache, gpu.bandwidth * 10**9),
        "one of keys and values": decode_seconds(2 * size, cache // 2, gpu.bandwidth * 10**9),
        "all heads keep keys": decode_seconds(2 * size, cache * model.heads // model.kv_heads, gpu.bandwidth * 10**9),
    }
    return problem(
        (
            "{model} ({size} parameters, {layers} layers, {heads} query heads and {kv} key-value heads of width {e})"
            " decodes {batch} sequences of {tokens} tokens each, all in bf16, at {bandwidth} GB/s. How long does a"
            " step take at least?",
            "{model}（{size} 参数，{layers} 层，{heads} 个查询头、{kv} 个键值头，头宽 {e}）同时解码 {batch} 条各"
            " {tokens} 个 token 的序列，全部 bf16，带宽 {bandwidth} GB/s。一步至少多久？",
        ),
        {
            "model": model.name,
            "size": size,
            "layers": model.layers,
            "heads": model.heads,
            "kv": model.kv_heads,
            "e": e,
            "batch": batch,
            "tokens": tokens,
            "bandwidth": gpu.bandwidth,
        },
        answer,
        "ms",
        [
            line("Weights, once for the batch", "权重，整批读一次", times(2, size), 2 * size, "B"),
            line("Caches", "缓存", times(2, model.layers, model.kv_heads, e, tokens, batch, 2), cache, "B"),
            line(
                "Milliseconds",
                "毫秒",
                f"({n(2 * size)} + {n(cache)}) / ({gpu.bandwidth} × 10^9) × 1000",
                answer * 1000,
                "ms",
            ),
        ],
        near,
    )


def _weights_only(rng: Random, gpu: Accelerator) -> Problem:
    """One sequence: the weights cross the bus once a token."""
    size = rng.choice([1, 3, 7, 8, 13]) * 10**9
    answer = decode_seconds(2 * size, 0, gpu.bandwidth * 10**9)
    return problem(
        (
            "A model of {size} parameters in bf16 decodes one sequence on a GPU of {bandwidth} GB/s. How long does"
            " a token take at least, the cache aside?",
            "{size} 参数的 bf16 模型在带宽 {bandwidth} GB/s 的 GPU 上解码一条序列。不计缓存，每个 token 至少多久？",
        ),
        {"size": size, "bandwidth": gpu.bandwidth},
        answer,
        "ms",
        [
            line("Weights", "权重", times(2, size), 2 * size, "B"),
            line("Milliseconds", "毫秒", f"2 × {n(size)} / ({gpu.bandwidth} × 10^9) × 1000", answer * 1000, "ms"),
        ],
        {
            "one byte": answer / 2,
            "fp32": answer * 2,
            "compute for bandwidth": Fraction(2 * size, gpu.peak * 10**12),
            "inverse": Fraction(1, 1000) / (answer * 1000),
        },
    )


def _ridge(rng: Random) -> Problem:
    gpu, bits = rng.choice(ACCELERATORS), rng.choice([4, 8, 16])
    answer = Fraction(gpu.peak * 10**12 * bits, 16 * gpu.bandwidth * 10**9)
    return problem(
        (
            "Weights of {bits} bits are read at {bandwidth} GB/s and used at a peak of {peak} TFLOP/s. From how many"
            " sequences a step on is decoding bound by compute, caches aside?",
            "{bits} 比特的权重以 {bandwidth} GB/s 读入，以峰值 {peak} TFLOP/s 计算。不计缓存，"
            "每步多少条序列起解码受计算限制？",
        ),
        {"bits": bits, "bandwidth": gpu.bandwidth, "peak": gpu.peak},
        answer,
        "sequences",
        [
            line(
                "FLOPs a byte the GPU can do",
                "GPU 每字节可做的 FLOP",
                f"{gpu.peak} × 10^12 / ({gpu.bandwidth} × 10^9)",
                Fraction(gpu.peak * 1000, gpu.bandwidth),
            ),
            line("FLOPs a byte of one sequence", "每条序列每字节的 FLOP", f"2 / ({bits} / 8)", Fraction(16, bits)),
            line("Sequences", "序列数", f"{gpu.peak} × 10^12 / ({gpu.bandwidth} × 10^9) × {bits} / 16", answer),
        ],
        {
            "one a weight": answer * 2,
            "bytes ignored": Fraction(gpu.peak * 500, gpu.bandwidth),
            "bits as bytes": answer * 8,
            "inverse": 1 / answer,
        },
    )


FAMILIES = (
    Family(
        "prefill", Text("Least time of a prefill", "预填充的最短时间"), "Pope et al. arXiv:2211.05102", draw_prefill
    ),
    Family(
        "decode",
        Text("Least time of a decoding step", "解码一步的最短时间"),
        "Pope et al. arXiv:2211.05102",
        draw_decode,
    ),
)
