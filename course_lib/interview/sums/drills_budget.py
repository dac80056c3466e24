"""Problems about a budget of compute: training time and MFU, compute-optimal models."""

from fractions import Fraction
from math import sqrt
from random import Random

from course_lib.interview.record import Text
from course_lib.interview.sums.compute import (
    compute_optimal_tokens,
    train_flops,
    train_seconds,
)
from course_lib.interview.sums.drills_training import named_size
from course_lib.interview.sums.models import ACCELERATORS
from course_lib.interview.sums.problem import Family, Given, Problem, line, problem, times
from course_lib.interview.sums.units import number as n


def draw_training_time(rng: Random, step: int) -> Problem:
    """Days of training by 6 N D, and the MFU behind a measured throughput."""
    gpu = rng.choice(ACCELERATORS[:2])
    name, size = named_size(rng, 1 if step == 1 else 2)
    gpus = rng.choice([8, 16, 64, 256, 512, 1024])
    percent = rng.choice([30, 35, 40, 45, 50])
    given: Given = {"size": size, "gpus": gpus, "peak": gpu.peak}
    start = ("A model of {size} parameters", "{size} 参数的模型")
    if step > 1:
        given["model"] = name
        start = ("{model} ({size} parameters)", "{model}（{size} 参数）")
    if step == 3:
        return _mfu(given, start, percent)
    tokens = rng.choice([20, 100, 300, 500]) * 10**9 if step == 1 else rng.choice([1, 2, 3, 5]) * 10**12
    answer = train_seconds(size, tokens, gpus, gpu.peak * 10**12, Fraction(percent, 100))
    ask = (
        start[0]
        + " trains on {tokens} tokens with {gpus} GPUs of {peak} TFLOP/s peak at an MFU of {percent} %. How long?",
        start[1] + "用 {gpus} 张峰值 {peak} TFLOP/s 的 GPU 训练 {tokens} 个 token，MFU 为 {percent} %。要多久？",
    )
    working = [
        line("6 N D", "6 N D", times(6, size, tokens), train_flops(size, tokens), "FLOP"),
        line(
            "FLOPs a second",
            "每秒 FLOP",
            f"{gpus} × {gpu.peak} × 10^12 × {percent} / 100",
            gpus * gpu.peak * 10**10 * percent,
        ),
        line(
            "Days",
            "天数",
            f"6 × {n(size)} × {n(tokens)} / ({gpus} × {gpu.peak} × 10^10 × {percent}) / 86400",
            answer / 86400,
            "days",
        ),
    ]
    near = {
        "MFU ignored": answer * percent / 100,
        "forward only": answer / 3,
        "one GPU": answer * gpus,
        "hours as days": answer * 24,
    }
    return problem(ask, {**given, "tokens": tokens, "percent": percent}, answer, "days", working, near)


def _mfu(given: Given, start: tuple[str, str], percent: int) -> Problem:
    """The MFU behind a throughput near the one that `percent` gives."""
    size, gpus, peak = (int(given[name]) for name in ("size", "gpus", "peak"))
    real = gpus * peak * 10**12 * Fraction(percent, 100) / (6 * size)
    rate = round(real / 100) * 100 or 100
    answer = Fraction(6 * size * rate, gpus * peak * 10**12)
    ask = (
        start[0] + " trains at {rate} tokens a second on {gpus} GPUs of {peak} TFLOP/s peak. What is the MFU?",
        start[1] + "在 {gpus} 张峰值 {peak} TFLOP/s 的 GPU 上每秒训练 {rate} 个 token。MFU 是多少？",
    )
    working = [
        line("Useful FLOPs a second", "每秒有效 FLOP", times(6, size, rate), 6 * size * rate),
        line(
            "Over the peak of all",
            "除以总峰值",
            f"6 × {n(size)} × {n(rate)} / ({gpus} × {peak} × 10^12)",
            answer,
        ),
    ]
    near = {
        "forward only": answer / 3,
        "recomputation counted": answer * 8 / 6,
        "what is left": 1 - answer,
        "peak with sparsity": answer / 2,
    }
    return problem(ask, {**given, "rate": rate}, answer, "%", working, near)


def draw_chinchilla(rng: Random, step: int) -> Problem:
    """Compute-optimal tokens, compute, and the model that a budget of FLOPs wants."""
    name, size = named_size(rng, step)
    rule = ("By the rule of {ratio} tokens a parameter", "按每参数 {ratio} 个 token 的规则")
    tokens = compute_optimal_tokens(size)
    enough = line("Tokens", "token 数", times(20, size), tokens)
    if step == 1:
        ask = (
            rule[0] + ", how many tokens should train {size} parameters?",
            rule[1] + "，{size} 参数应训练多少 token？",
        )
        near = {
            "ratio ignored": size,
            "bytes for tokens": 2 * tokens,
            "ratio inverted": Fraction(size, 20),
            "compute for tokens": 6 * tokens,
        }
        return problem(ask, {"ratio": 20, "size": size}, tokens, "tokens", [enough], near)
    if step == 2:
        answer = train_flops(size, tokens)
        ask = (
            rule[0] + ", how many FLOPs train {model} ({size} parameters)?",
            rule[1] + "，训练 {model}（{size} 参数）要多少 FLOP？",
        )
        working = [enough, line("6 N D", "6 N D", times(6, size, tokens), answer)]
        near = {"forward only": answer // 3, "ratio ignored": answer // 20, "tokens squared": 6 * tokens**2}
        return problem(ask, {"ratio": 20, "model": name, "size": size}, answer, "FLOP", working, near)
    gpus, days, percent = rng.choice([64, 256, 1024]), rng.choice([7, 10, 30, 60]), rng.choice([30, 40, 50])
    gpu = rng.choice(ACCELERATORS[:2])
    budget = gpus * days * 86400 * gpu.peak * 10**10 * percent
    answer = Fraction(sqrt(budget / 120))
    ask = (
        rule[0]
        + ", which model size is compute-optimal for {gpus} GPUs of {peak} TFLOP/s peak over {days} days at an MFU of"
        " {percent} %?",
        rule[1] + "，{gpus} 张峰值 {peak} TFLOP/s 的 GPU 用 {days} 天、MFU {percent} %，计算最优的模型有多少参数？",
    )
    spent = f"{gpus} × {days} × 86400 × {gpu.peak} × 10^12 × {percent} / 100"
    working = [
        line("FLOPs to spend", "可用 FLOP", spent, budget),
        line("C = 6 N × 20 N, so N", "由 C = 6 N × 20 N 得 N", f"√({spent} / 120)", answer),
    ]
    near = {
        "ratio ignored": Fraction(sqrt(budget / 6)),
        "six ignored": Fraction(sqrt(budget / 20)),
        "forward only": Fraction(sqrt(budget / 40)),
        "MFU ignored": Fraction(sqrt(budget * 100 / percent / 120)),
        "tokens for parameters": 20 * answer,
    }
    given = {"ratio": 20, "gpus": gpus, "peak": gpu.peak, "days": days, "percent": percent}
    return problem(ask, given, answer, "parameters", working, near)


FAMILIES = (
    Family(
        "training_time",
        Text("Training time and MFU", "训练时间与 MFU"),
        "PaLM arXiv:2204.02311, appendix B",
        draw_training_time,
    ),
    Family(
        "chinchilla",
        Text("Compute-optimal tokens", "计算最优的 token 数"),
        "Hoffmann et al. arXiv:2203.15556",
        draw_chinchilla,
    ),
)
