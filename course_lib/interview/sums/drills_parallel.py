"""Problems about splitting a batch: the bubble of a pipeline, the tokens of a step."""

from fractions import Fraction
from math import ceil
from random import Random

from course_lib.interview.record import Text
from course_lib.interview.sums.compute import bubble_share
from course_lib.interview.sums.problem import EXACT, Family, Given, Problem, line, problem, times
from course_lib.interview.sums.units import number as n


def draw_bubble(rng: Random, step: int) -> Problem:
    """Idle share of a pipeline, and the micro-batches that bring it down."""
    stages, micro = rng.choice([2, 4, 8, 16]), rng.choice([4, 8, 16, 32, 64])
    if step == 3:
        return _micro_batches(rng)
    given: Given = {"stages": stages}
    if step == 1:
        given["micro"] = micro
        ask = (
            "A GPipe schedule has {stages} stages and {micro} micro-batches. Which share of the time is a device idle?",
            "GPipe 调度有 {stages} 级、{micro} 个微批次。设备空闲的时间占多大比例？",
        )
        working = []
    else:
        size, replicas = rng.choice([1, 2, 4]), rng.choice([2, 4, 8])
        batch = micro * size * replicas
        given |= {"batch": batch, "size": size, "replicas": replicas}
        ask = (
            "A global batch of {batch} sequences is split over {replicas} data-parallel replicas, each a pipeline of"
            " {stages} stages with micro-batches of {size}. Which share of the time is a device idle?",
            "全局批次 {batch} 条序列分给 {replicas} 个数据并行副本，每个副本是 {stages} 级流水线，微批次大小 {size}。"
            "设备空闲的时间占多大比例？",
        )
        working = [line("Micro-batches", "微批次数", f"{n(batch)} / {replicas} / {size}", micro)]
    answer = bubble_share(stages, micro)
    working.append(
        line("(p − 1) / (m + p − 1)", "(p − 1) / (m + p − 1)", f"({stages} − 1) / ({micro} + {stages} − 1)", answer)
    )
    near = {
        "bubble over work": Fraction(stages - 1, micro),
        "stages not less one": Fraction(stages, micro + stages),
        "what is left": 1 - answer,
        "one micro-batch": bubble_share(stages, 1),
    }
    if step == 2:
        near["replicas ignored"] = bubble_share(stages, micro * replicas)
    return problem(ask, given, answer, "%", working, near)


def _micro_batches(rng: Random) -> Problem:
    """The micro-batches that keep the bubble below a share."""
    stages, percent = rng.choice([4, 8, 12, 16]), rng.choice([3, 5, 8, 10, 15])
    limit = Fraction(percent, 100)
    exact = (stages - 1) * (1 - limit) / limit
    answer = ceil(exact)
    return problem(
        (
            "A pipeline of {stages} stages may idle at most {percent} % of the time. What is the fewest micro-batches?",
            "{stages} 级流水线的空闲比例最多 {percent} %。最少要几个微批次？",
        ),
        {"stages": stages, "percent": percent},
        answer,
        "micro-batches",
        [
            line(
                "From (p − 1) / (m + p − 1)",
                "由 (p − 1) / (m + p − 1)",
                f"({stages} − 1) × (100 − {percent}) / {percent}",
                exact,
            ),
            line("Round up", "向上取整", f"⌈({stages} − 1) × (100 − {percent}) / {percent}⌉", answer),
        ],
        {
            "bubble over work": ceil((stages - 1) / limit),
            "stages not less one": ceil(stages * (1 - limit) / limit),
            "rounded down": int(exact),
            "not rounded": exact,
        },
        tolerance=EXACT,
    )


def draw_global_batch(rng: Random, step: int) -> Problem:
    """Tokens a step, steps of a training run, accumulation to a batch in tokens."""
    micro, accumulate, gpus = rng.choice([2, 4, 8]), rng.choice([2, 4, 8, 16]), rng.choice([8, 16, 64, 256])
    length = rng.choice([2048, 4096, 8192])
    given: Given = {"micro": micro, "gpus": gpus, "length": length}
    scene = (
        "{gpus} data-parallel GPUs, micro-batches of {micro} sequences of {length} tokens",
        "{gpus} 张卡数据并行，微批次 {micro} 条序列，每条 {length} 个 token",
    )
    tokens = micro * accumulate * gpus * length
    product = line(
        "Sequences × GPUs × steps × length",
        "序列 × 卡数 × 累积步 × 长度",
        times(micro, gpus, accumulate, length),
        tokens,
    )
    if step < 3:
        given["accumulate"] = accumulate
        scene = (scene[0] + ", {accumulate} accumulation steps. ", scene[1] + "，梯度累积 {accumulate} 步。")
    if step == 1:
        ask = (scene[0] + "How many tokens does an optimiser step see?", scene[1] + "优化器每步看到多少 token？")
        near = {
            "accumulation ignored": tokens // accumulate,
            "one GPU": tokens // gpus,
            "sequences for tokens": micro * accumulate * gpus,
            "one sequence": tokens // micro,
        }
        return problem(ask, given, tokens, "tokens", [product], near)
    if step == 2:
        billions = rng.choice([10, 100, 300, 1000])
        answer = ceil(Fraction(billions * 10**9, tokens))
        ask = (
            scene[0] + "How many optimiser steps for {corpus} tokens, the last one short?",
            scene[1] + "训练 {corpus} 个 token 要多少优化器步（最后一步可以不满）？",
        )
        working = [product, line("Steps", "步数", f"⌈{billions} × 10^9 / {n(tokens)}⌉", answer)]
        near = {
            "accumulation ignored": Fraction(billions * 10**9 * accumulate, tokens),
            "one GPU": Fraction(billions * 10**9 * gpus, tokens),
            "sequences for tokens": Fraction(billions * 10**9, micro * accumulate * gpus),
        }
        return problem(ask, {**given, "corpus": billions * 10**9}, answer, "steps", working, near)
    wanted = rng.choice([1, 2, 4, 8, 16]) * 10**6
    once = micro * gpus * length
    if wanted <= once:
        return draw_global_batch(rng, step)
    answer = -(-wanted // once)
    ask = (
        scene[0] + ". How many accumulation steps until an optimiser step sees at least {wanted} tokens?",
        scene[1] + "。梯度累积多少步才能使优化器每步至少看到 {wanted} 个 token？",
    )
    working = [
        line("Tokens of one pass", "一次前反向的 token", times(micro, gpus, length), once),
        line("Steps", "步数", f"⌈{n(wanted)} / {n(once)}⌉", answer),
    ]
    near = {
        "rounded down": wanted // once,
        "one GPU": -(-wanted // (micro * length)),
        "one sequence": -(-wanted // (gpus * length)),
        "not rounded": Fraction(wanted, once),
    }
    return problem(ask, {**given, "wanted": wanted}, answer, "steps", working, near, tolerance=EXACT)


FAMILIES = (
    Family("bubble", Text("Bubble of a pipeline", "流水线气泡"), "GPipe arXiv:1811.06965", draw_bubble),
    Family(
        "global_batch",
        Text("Tokens of a global batch", "全局批次的 token 数"),
        "Megatron-LM arXiv:2104.04473",
        draw_global_batch,
    ),
)
