"""Problems about speculative decoding: tokens a pass, speed-up, the best draft."""

from fractions import Fraction
from random import Random

from course_lib.interview.record import Text
from course_lib.interview.sums.compute import speculative_speedup, speculative_tokens
from course_lib.interview.sums.problem import EXACT, Family, Given, Problem, line, problem
from course_lib.interview.sums.units import number as n


def draw_speculative(rng: Random, step: int) -> Problem:
    """Expected tokens a pass, the speed-up, the best draft length."""
    rate, drafted = Fraction(rng.choice([50, 60, 70, 80, 90]), 100), rng.randint(2, 8)
    cost = Fraction(rng.choice([5, 10, 20]), 100)
    scene = (
        "Speculative decoding accepts each drafted token with probability {rate}, independently",
        "投机解码以概率 {rate} 独立接受每个草稿 token",
    )
    if step == 3:
        return _best_draft(rng, scene)
    tokens = speculative_tokens(rate, drafted)
    series = f"(1 − {n(rate)}^{drafted + 1}) / (1 − {n(rate)})"
    given: Given = {"rate": rate, "drafted": drafted}
    working = [line("Accepted run and one more token", "接受的连续段再加一个 token", series, tokens)]
    if step == 1:
        ask = (
            scene[0] + ", {drafted} drafted a pass. How many tokens does a pass of the large model give on average?",
            scene[1] + "，每次起草 {drafted} 个。大模型每次前向平均得到多少 token？",
        )
        near = {
            "no stop at rejection": rate * drafted,
            "no stop, one more": rate * drafted + 1,
            "last token forgotten": tokens - 1,
            "all accepted": drafted + 1,
            "endless draft": 1 / (1 - rate),
        }
        return problem(ask, given, tokens, "tokens per forward", working, near)
    answer = speculative_speedup(rate, drafted, cost)
    ask = (
        scene[0]
        + ", {drafted} drafted a pass; a draft step costs {cost} of a large one, verifying costs one. What is the"
        " speed-up?",
        scene[1] + "，每次起草 {drafted} 个；起草一步的开销是大模型一步的 {cost}，验证算一步。加速多少倍？",
    )
    working.append(line("Over the cost", "除以开销", f"{series} / ({drafted} × {n(cost)} + 1)", answer))
    near = {
        "draft for free": tokens,
        "verification for free": tokens / (drafted * cost),
        "one draft step": tokens / (cost + 1),
        "no stop, one more": (rate * drafted + 1) / (drafted * cost + 1),
        "last token forgotten": (tokens - 1) / (drafted * cost + 1),
    }
    return problem(ask, {**given, "cost": cost}, answer, "times", working, near)


def _best_draft(rng: Random, scene: tuple[str, str]) -> Problem:
    """The best length must win by a little, so that rounding cannot change it."""
    while True:
        rate, cost = (
            Fraction(rng.choice([50, 60, 70, 75, 80, 85, 90]), 100),
            Fraction(rng.choice([5, 8, 10, 15, 20, 30]), 100),
        )
        speed = {k: speculative_speedup(rate, k, cost) for k in range(1, 9)}
        best, second = sorted(speed, key=speed.__getitem__, reverse=True)[:2]
        if speed[best] > speed[second] * Fraction(1003, 1000):
            break
    shown = [k for k in (best - 1, best, best + 1) if k in speed]
    working = [
        line(
            f"Drafting {k}",
            f"起草 {k} 个",
            f"(1 − {n(rate)}^{k + 1}) / (1 − {n(rate)}) / ({k} × {n(cost)} + 1)",
            speed[k],
        )
        for k in shown
    ]
    return problem(
        (
            scene[0]
            + "; a draft step costs {cost} of a large one. Which draft length from {low} to {high} is fastest?",
            scene[1] + "；起草一步的开销是大模型一步的 {cost}。草稿长度从 {low} 到 {high}，哪个最快？",
        ),
        {"rate": rate, "cost": cost, "low": 1, "high": 8},
        best,
        "tokens",
        working,
        {"draft for free": 8, "second best": second, "shortest draft": 1},
        tolerance=EXACT,
    )


FAMILIES = (
    Family(
        "speculative", Text("Speculative decoding", "投机解码"), "Leviathan et al. arXiv:2211.17192", draw_speculative
    ),
)
