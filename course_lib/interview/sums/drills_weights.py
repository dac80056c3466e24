"""Problems about the bytes of weights: precision, group scales, what fits."""

from fractions import Fraction
from random import Random

from course_lib.interview.record import Text
from course_lib.interview.sums.memory import weight_bytes
from course_lib.interview.sums.models import ACCELERATORS, DECODERS
from course_lib.interview.sums.parameters import decoder_parameters, rounded
from course_lib.interview.sums.problem import Family, Problem, line, problem
from course_lib.interview.sums.units import number as n


def draw_weights(rng: Random, step: int) -> Problem:
    """Bytes of weights: by precision, with the scales of group quantisation, parameters that fit."""
    size, bits = rng.choice([1, 2, 3, 7, 13, 34, 70]) * 10**9, rng.choice([4, 8, 16])
    if step == 1:
        answer = weight_bytes(size, bits)
        return problem(
            (
                "How much memory do {size} weights take at {bits} bits each?",
                "{size} 个权重，每个 {bits} 比特，占多少存储？",
            ),
            {"size": size, "bits": bits},
            answer,
            "GB",
            [line("Bits to bytes", "比特换字节", f"{n(size)} × {bits} / 8", answer, "B")],
            {"fp32": 4 * size, "one byte": size, "half the bits": answer / 2},
        )
    if step == 2:
        return _with_scales(rng)
    gpu, reserve = rng.choice(ACCELERATORS), rng.choice([4, 8, 10, 16])
    answer = Fraction((gpu.memory - reserve) * 8 * 10**9, bits)
    return problem(
        (
            "A GPU has {memory} GB, {reserve} GB are kept for cache and activations. How many parameters of {bits}"
            " bits fit?",
            "一张 GPU 有 {memory} GB 显存，{reserve} GB 留给缓存和激活。放得下多少个 {bits} 比特的参数？",
        ),
        {"memory": gpu.memory, "reserve": reserve, "bits": bits},
        answer,
        "parameters",
        [
            line(
                "Bits for weights",
                "可用于权重的比特",
                f"({gpu.memory} − {reserve}) × 10^9 × 8",
                (gpu.memory - reserve) * 8 * 10**9,
            ),
            line("Parameters", "参数", f"({gpu.memory} − {reserve}) × 10^9 × 8 / {bits}", answer),
        ],
        {
            "reserve ignored": Fraction(gpu.memory * 8 * 10**9, bits),
            "bits as bytes": Fraction((gpu.memory - reserve) * 10**9, bits),
            "reserve added": Fraction((gpu.memory + reserve) * 8 * 10**9, bits),
        },
    )


def _with_scales(rng: Random) -> Problem:
    """Four bits, and a scale for every group."""
    model, group, bits = rng.choice(DECODERS), rng.choice([32, 64, 128]), 4
    size = rounded(decoder_parameters(model))
    answer = weight_bytes(size, bits, group)
    return problem(
        (
            "{model} ({size} weights) is quantised to {bits} bits with one scale of {scale} bits for every {group}"
            " weights. How much memory?",
            "{model}（{size} 个权重）量化到 {bits} 比特，每 {group} 个权重一个 {scale} 比特的缩放因子。占多少存储？",
        ),
        {"model": model.name, "size": size, "bits": bits, "scale": 16, "group": group},
        answer,
        "GB",
        [
            line("Bits a weight", "每权重比特", f"4 + 16 / {group}", 4 + Fraction(16, group)),
            line("Bytes", "字节", f"{n(size)} × (4 + 16 / {group}) / 8", answer, "B"),
        ],
        {
            "scales ignored": weight_bytes(size, 4),
            "scale a weight": weight_bytes(size, 20),
            "not quantised": 2 * size,
            "one byte": size,
        },
    )


FAMILIES = (
    Family(
        "weights", Text("Bytes of weights", "权重的字节数"), "GPTQ arXiv:2210.17323; AWQ arXiv:2306.00978", draw_weights
    ),
)
