"""Problems about low-rank adapters: their parameters, the memory of LoRA and of QLoRA."""

from fractions import Fraction
from random import Random

from course_lib.interview.record import Text
from course_lib.interview.sums.drills_parameters import WIDTHS
from course_lib.interview.sums.drills_training import named_size
from course_lib.interview.sums.memory import adam_bytes, lora_bytes, nf4_bits
from course_lib.interview.sums.models import ACCELERATORS, DECODERS
from course_lib.interview.sums.parameters import (
    lora_parameters,
)
from course_lib.interview.sums.problem import EXACT, Family, Given, Problem, line, problem, times
from course_lib.interview.sums.units import number as n


def draw_lora(rng: Random, step: int) -> Problem:
    """LoRA on one matrix, on the queries and values of a real model, the rank within a budget."""
    rank = rng.choice([4, 8, 16, 32, 64])
    if step == 1:
        return _one_matrix(rng, rank)
    model = rng.choice(DECODERS)
    width, small = model.width, model.kv_heads * model.head_width
    each = lora_parameters(1, width, width) + lora_parameters(1, width, small)
    one = model.layers * each
    given: Given = {"model": model.name, "layers": model.layers, "width": width}
    given |= {"heads": model.heads, "kv": model.kv_heads}
    scene = (
        "{model}: {layers} layers of width {width}, {heads} query heads and {kv} key-value heads. LoRA goes on the"
        " query and value projections. ",
        "{model}：{layers} 层，宽度 {width}，{heads} 个查询头，{kv} 个键值头。LoRA 加在查询和值投影上。",
    )
    working = [
        line(
            "Outputs of the value projection",
            "值投影的输出宽度",
            f"{n(width)} / {model.heads} × {model.kv_heads}",
            small,
        ),
        line(
            "Parameters a layer and unit of rank",
            "每层每单位秩",
            f"{n(width)} + {n(width)} + {n(width)} + {n(small)}",
            each,
        ),
    ]
    if step == 2:
        answer = rank * one
        working.append(line("All layers", "所有层", times(model.layers, rank, each), answer))
        near = {
            "one layer": rank * each,
            "all heads keep keys": model.layers * rank * 4 * width,
            "one factor": model.layers * rank * 2 * width,
            "full matrix": model.layers * width * (width + small),
        }
        ask = (
            scene[0] + "How many trainable parameters at rank {rank}?",
            scene[1] + "秩为 {rank} 时可训练参数有多少？",
        )
        return problem(ask, {**given, "rank": rank}, answer, "parameters", working, near)
    megabytes = rng.choice([20, 50, 100, 200])
    answer = megabytes * 10**6 // (2 * one)
    working.append(
        line("Rank, two bytes a parameter", "秩，每参数两字节", f"⌊{megabytes} × 10^6 / (2 × {n(one)})⌋", answer)
    )
    near = {
        "bytes ignored": megabytes * 10**6 // one,
        "all heads keep keys": megabytes * 10**6 // (2 * model.layers * 4 * width),
        "one layer": megabytes * 10**6 // (2 * each),
        "rounded up": answer + 1,
    }
    ask = (
        scene[0] + "Adapters are stored in bf16 and may take {megabytes} MB. Which is the largest rank?",
        scene[1] + "适配器以 bf16 存储，最多 {megabytes} MB。最大的秩是多少？",
    )
    return problem(ask, {**given, "megabytes": megabytes}, answer, "rank", working, near, tolerance=EXACT)


def _one_matrix(rng: Random, rank: int) -> Problem:
    """The two factors of one matrix."""
    inputs, outputs = rng.sample(WIDTHS, 2)
    answer = lora_parameters(rank, inputs, outputs)
    return problem(
        (
            "LoRA of rank {rank} is put on a matrix from width {inputs} to {outputs}. How many trainable parameters?",
            "在从宽度 {inputs} 到 {outputs} 的矩阵上加秩为 {rank} 的 LoRA，可训练参数有多少？",
        ),
        {"rank": rank, "inputs": inputs, "outputs": outputs},
        answer,
        "parameters",
        [line("A and B", "A 与 B", f"{rank} × ({n(inputs)} + {n(outputs)})", answer)],
        {
            "one factor": rank * inputs,
            "full matrix": inputs * outputs,
            "factors multiplied": rank * inputs * outputs,
            "rank ignored": inputs + outputs,
        },
    )


def draw_lora_memory(rng: Random, step: int) -> Problem:
    """Model states of LoRA, and adapters that can be served beside one base model."""
    name, size = named_size(rng, step)
    trained = rng.choice([5, 10, 20, 40, 80, 160]) * 10**6 if step < 3 else rng.choice([20, 40, 80, 160]) * 10**6
    given: Given = {"size": size, "trained": trained}
    start = ("{model}", "{model}") if step > 1 else ("A model", "一个模型")
    if step > 1:
        given["model"] = name
    if step < 3:
        answer = lora_bytes(size, trained)
        ask = (
            start[0]
            + " of {size} parameters is frozen in bf16; LoRA trains {trained} more with mixed-precision Adam (fp32"
            " master weights). How much memory do model states take?",
            start[1] + "有 {size} 参数，以 bf16 冻结；LoRA 另有 {trained} 参数用混合精度 Adam（含 fp32 主权重）训练。"
            "模型状态占多少存储？",
        )
        working = [
            line("Frozen", "冻结部分", times(2, size), 2 * size, "B"),
            line("Trained", "训练部分", times(16, trained), 16 * trained, "B"),
            line("Sum", "合计", f"{n(2 * size)} + {n(16 * trained)}", answer, "B"),
        ]
        near = {
            "base trained too": adam_bytes(size + trained),
            "adapters only": adam_bytes(trained),
            "frozen in fp32": answer + 2 * size,
            "gradients of the base": answer + 2 * size + 2 * size,
            "adapters ignored": 2 * size,
        }
        return problem(ask, given, answer, "GB", working, near)
    gpu = rng.choice([each for each in ACCELERATORS if each.memory * 10**9 > 2 * size + 10**10] or [ACCELERATORS[-1]])
    if gpu.memory * 10**9 <= 2 * size:
        return draw_lora_memory(rng, step)
    reserve = 5
    room = (gpu.memory - reserve) * 10**9 - 2 * size
    if room < 2 * trained:
        return draw_lora_memory(rng, step)
    answer = room // (2 * trained)
    ask = (
        start[0]
        + " of {size} parameters is served in bf16 on a GPU of {memory} GB with {reserve} GB for the cache. How many"
        " customers' adapters of {trained} parameters, bf16, stay in memory beside it?",
        start[1] + "有 {size} 参数，以 bf16 部署在 {memory} GB 的 GPU 上，{reserve} GB 留给缓存。每个客户一个"
        " {trained} 参数的 bf16 适配器，显存里最多同时放几个？",
    )
    working = [
        line("Base", "基座", times(2, size), 2 * size, "B"),
        line("An adapter", "一个适配器", times(2, trained), 2 * trained, "B"),
        line(
            "Adapters", "适配器数", f"⌊(({gpu.memory} − {reserve}) × 10^9 − {n(2 * size)}) / {n(2 * trained)}⌋", answer
        ),
    ]
    near = {
        "weights ignored": (gpu.memory - reserve) * 10**9 // (2 * trained),
        "optimiser served": room // (16 * trained),
        "base copied": (gpu.memory - reserve) * 10**9 // (2 * (size + trained)),
        "reserve ignored": (room + reserve * 10**9) // (2 * trained),
    }
    given |= {"memory": gpu.memory, "reserve": reserve}
    return problem(ask, given, answer, "adapters", working, near, tolerance=EXACT)


def draw_qlora(rng: Random, step: int) -> Problem:
    """NF4 weights with their constants, plain and doubly quantised."""
    name, size = named_size(rng, step)
    trained = rng.choice([20, 40, 80, 160]) * 10**6
    given: Given = {"size": size, "block": 64}
    plain, double = nf4_bits(64, double=False), nf4_bits(64, double=True)
    start = ("", "")
    if step > 1:
        given |= {"model": name, "groups": 256}
        start = ("{model}: ", "{model}：")
    sums = {False: "4 + 32 / 64", True: "4 + 8 / 64 + 32 / (64 × 256)"}
    if step == 1:
        return _plain_constants(size, given)
    constants = (
        "constants of {block} weights are themselves 8-bit, with an fp32 constant for {groups} of them",
        "每 {block} 个权重的常数再量化为 8-bit，每 {groups} 个再配一个 fp32 常数",
    )
    if step == 2:
        answer = size * double / 8 + 16 * trained
        ask = (
            start[0] + f"{{size}} weights frozen in NF4; {constants[0]}. LoRA trains {{trained}} parameters with"
            " mixed-precision Adam (fp32 master weights). How much memory do model states take?",
            start[1]
            + f"{{size}} 个权重以 NF4 冻结，{constants[1]}。LoRA 用混合精度 Adam（含 fp32 主权重）训练 {{trained}}"
            " 参数。模型状态占多少存储？",
        )
        working = [
            line("Bits a frozen weight", "每个冻结权重的比特", sums[True], double),
            line("Frozen", "冻结部分", f"{n(size)} × ({sums[True]}) / 8", size * double / 8, "B"),
            line("Trained", "训练部分", times(16, trained), 16 * trained, "B"),
            line("Sum", "合计", f"{n(size)} × ({sums[True]}) / 8 + 16 × {n(trained)}", answer, "B"),
        ]
        near = {
            "adapters ignored": size * double / 8,
            "scales ignored": Fraction(size, 2) + 16 * trained,
            "constants not quantised": size * plain / 8 + 16 * trained,
            "not quantised": lora_bytes(size, trained),
        }
        return problem(ask, {**given, "trained": trained}, answer, "GB", working, near)
    answer = size * (plain - double) / 8
    ask = (
        start[0]
        + f"{{size}} weights in NF4. How much does double quantisation save, where {constants[0]}, against plain fp32"
        " constants?",
        start[1] + f"{{size}} 个权重以 NF4 存储。双重量化（{constants[1]}）比直接存 fp32 常数省多少？",
    )
    working = [
        line("Constants, bits a weight: plain", "常数每权重比特：直接", "32 / 64", Fraction(1, 2)),
        line("Doubly quantised", "双重量化", "8 / 64 + 32 / (64 × 256)", double - 4),
        line("Saved", "节省", f"{n(size)} × (32 / 64 − 8 / 64 − 32 / (64 × 256)) / 8", answer, "B"),
    ]
    near = {
        "what is left": size * (double - 4) / 8,
        "plain constants": size * (plain - 4) / 8,
        "whole weights": size * double / 8,
        "against one byte": size * (8 - double) / 8,
    }
    return problem(ask, given, answer, "MB", working, near)


def _plain_constants(size: int, given: Given) -> Problem:
    """NF4 with an fp32 constant a block."""
    plain, total = nf4_bits(64, double=False), "4 + 32 / 64"
    answer = size * plain / 8
    ask = (
        "{size} weights are stored in NF4 with an fp32 constant for every {block} weights. How much memory?",
        "{size} 个权重以 NF4 存储，每 {block} 个权重一个 fp32 常数。占多少存储？",
    )
    working = [line("Bits a weight", "每权重比特", total, plain)]
    working.append(line("Bytes", "字节", f"{n(size)} × ({total}) / 8", answer, "B"))
    near = {
        "scales ignored": Fraction(size, 2),
        "one byte": size,
        "not quantised": 2 * size,
        "scale a weight": size * Fraction(36, 8),
    }
    return problem(ask, given, answer, "GB", working, near)


FAMILIES = (
    Family("lora", Text("Parameters of LoRA", "LoRA 的参数"), "LoRA arXiv:2106.09685", draw_lora),
    Family("lora_memory", Text("Training memory: LoRA", "训练存储：LoRA"), "LoRA arXiv:2106.09685", draw_lora_memory),
    Family("qlora", Text("Training memory: QLoRA", "训练存储：QLoRA"), "QLoRA arXiv:2305.14314", draw_qlora),
)
