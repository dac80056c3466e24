"""Problems about the memory of full training: mixed-precision Adam, and ZeRO over many devices."""

from fractions import Fraction
from math import ceil
from random import Random

from course_lib.interview.record import Text
from course_lib.interview.sums.memory import adam_bytes, zero_bytes
from course_lib.interview.sums.models import ACCELERATORS, DECODERS
from course_lib.interview.sums.parameters import decoder_parameters, rounded
from course_lib.interview.sums.problem import EXACT, Family, Given, Problem, line, problem, times
from course_lib.interview.sums.units import number as n

SIZES = tuple(billions * 10**9 for billions in (1, 2, 3, 7, 8, 13, 30))


def named_size(rng: Random, step: int) -> tuple[str, int]:
    """A name and a parameter count: round at step 1, a real language model's from step 2 on."""
    if step == 1:
        return "", rng.choice(SIZES)
    model = rng.choice(DECODERS)
    return model.name, rounded(decoder_parameters(model))


def draw_adam(rng: Random, step: int) -> Problem:
    """Model states of mixed-precision Adam, and the largest model on a GPU."""
    if step == 3:
        gpu, reserve = rng.choice(ACCELERATORS), rng.choice([8, 16, 20])
        room = (gpu.memory - reserve) * 10**9
        answer = Fraction(room, 16)
        return problem(
            (
                "A GPU has {memory} GB, {reserve} GB are kept for activations. How many parameters can mixed-precision"
                " Adam (fp32 master weights) train on it?",
                "一张 GPU 有 {memory} GB 显存，{reserve} GB 留给激活。用混合精度 Adam（含 fp32 主权重）"
                "能训练多少参数？",
            ),
            {"memory": gpu.memory, "reserve": reserve},
            answer,
            "parameters",
            [
                line("Bytes a parameter", "每参数字节", "2 + 2 + 4 + 4 + 4", 16),
                line("Parameters", "参数", f"({gpu.memory} − {reserve}) × 10^9 / 16", answer),
            ],
            {
                "weights only": Fraction(room, 2),
                "master weights": Fraction(room, 12),
                "moments only": Fraction(room, 8),
                "reserve ignored": Fraction(gpu.memory * 10**9, 16),
            },
        )
    name, size = named_size(rng, step)
    answer = adam_bytes(size)
    ask = (
        "{size} parameters are trained with mixed-precision Adam: bf16 weights and gradients, fp32 master weights and"
        " two moments. How much memory do model states take?",
        "用混合精度 Adam 训练 {size} 参数：bf16 权重和梯度，fp32 主权重和两个矩。模型状态占多少存储？",
    )
    given: Given = {"size": size}
    if step == 2:
        given["model"] = name
        ask = ("{model}: " + ask[0], "{model}：" + ask[1])
    working = [
        line("Bytes a parameter", "每参数字节", "2 + 2 + 4 + 4 + 4", 16),
        line("All", "合计", times(16, size), answer, "B"),
    ]
    near = {
        "weights only": 2 * size,
        "moments only": 8 * size,
        "master weights": 12 * size,
        "gradients only": 4 * size,
    }
    return problem(ask, given, answer, "GB", working, near)


def draw_zero(rng: Random, step: int) -> Problem:
    """ZeRO: bytes a device at each stage, and the fewest devices."""
    stage = rng.choice([1, 2, 3])
    name, size = named_size(rng, 1 if step == 1 else 2)
    whole, shared = {1: (4, 12), 2: (2, 14), 3: (0, 16)}[stage]
    given: Given = {"size": size, "stage": stage}
    scene = (
        "{size} parameters, mixed-precision Adam with fp32 master weights, ZeRO stage {stage}. ",
        "{size} 参数，混合精度 Adam（含 fp32 主权重），ZeRO 第 {stage} 阶段。",
    )
    if step > 1:
        given["model"] = name
        scene = ("{model}: " + scene[0], "{model}：" + scene[1])
    if step < 3:
        gpus = rng.choice([4, 8, 16, 32, 64])
        answer = zero_bytes(size, gpus, stage)
        working = [
            line("Bytes a parameter", "每参数字节", f"{whole} + {shared} / {gpus}", whole + Fraction(shared, gpus))
        ]
        working.append(line("Bytes a GPU", "每卡字节", f"{n(size)} × ({whole} + {shared} / {gpus})", answer, "B"))
        near = {f"ZeRO stage {other}": zero_bytes(size, gpus, other) for other in (1, 2, 3) if other != stage}
        near |= {"not sharded": adam_bytes(size), "weights only": 2 * size}
        ask = (
            scene[0] + "How much do model states take on each of {gpus} GPUs?",
            scene[1] + "{gpus} 张卡，每卡的模型状态占多少？",
        )
        return problem(ask, {**given, "gpus": gpus}, answer, "GB", working, near)
    gb = 10**9
    budgets = [each for each in (5, 10, 20, 40, 60, 80) if whole * size < each * gb < 16 * size]
    if not budgets:
        return draw_zero(rng, step)
    budget = rng.choice(budgets)
    fraction = Fraction(shared * size, budget * 10**9 - whole * size)
    answer = ceil(fraction)
    near = {
        "everything sharded": ceil(Fraction(16 * size, budget * 10**9)),
        "weights only": ceil(Fraction(2 * size, budget * 10**9)),
        "gradients only": ceil(Fraction(4 * size, budget * 10**9)),
        "moments only": ceil(Fraction(8 * size, budget * 10**9)),
        "rounded down": int(fraction),
        "unsharded part ignored": ceil(Fraction(shared * size, budget * 10**9)),
        "not rounded": fraction,
    }
    ask = (
        scene[0] + "Model states may take {budget} GB on a GPU. What is the fewest GPUs?",
        scene[1] + "每卡的模型状态最多 {budget} GB。最少要几张卡？",
    )
    working = [
        line("Not sharded", "不切分的部分", f"{whole} × {n(size)}", whole * size, "B"),
        line("Sharded", "切分的部分", f"{shared} × {n(size)}", shared * size, "B"),
        line("GPUs", "卡数", f"⌈{n(shared * size)} / ({budget} × 10^9 − {n(whole * size)})⌉", answer),
    ]
    return problem(ask, {**given, "budget": budget}, answer, "GPUs", working, near, tolerance=EXACT)


FAMILIES = (
    Family("adam", Text("Training memory: Adam", "训练存储：Adam"), "ZeRO arXiv:1910.02054", draw_adam),
    Family("zero", Text("Training memory: ZeRO 1 to 3", "训练存储：ZeRO 1 至 3"), "ZeRO arXiv:1910.02054", draw_zero),
)
