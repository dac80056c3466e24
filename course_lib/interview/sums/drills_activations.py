"""Problems about activations: what a layer keeps, what recomputation saves, the batch that fits."""

from fractions import Fraction
from random import Random

from course_lib.interview.record import Text
from course_lib.interview.sums.memory import activation_bytes, checkpoint_bytes
from course_lib.interview.sums.models import ACCELERATORS, Accelerator
from course_lib.interview.sums.problem import EXACT, Family, Given, Problem, line, problem, times
from course_lib.interview.sums.units import number as n

MEGATRON = (("22B", 48, 6144, 64), ("175B", 96, 12288, 96), ("530B", 105, 20480, 128), ("1T", 128, 25600, 160))
"""Name, layers, width, heads of the models in arXiv:2205.05198, table 3; the length there is 2,048."""


def draw_activations(rng: Random, step: int) -> Problem:
    """Activations of a layer, of a model, and the share of the attention matrix."""
    length, batch = rng.choice([1024, 2048, 4096]), rng.choice([2, 4, 8])
    if step == 1:
        return _one_layer(rng, length, batch)
    name, layers, width, heads = rng.choice(MEGATRON)
    length = 2048
    matrices = 34 * length * batch * width
    scores = 5 * heads * length**2 * batch
    given: Given = {"name": name, "width": width, "heads": heads, "length": length}
    scene = (
        "Megatron {name}: width {width}, {heads} heads, {length} tokens, 16-bit activations, no parallelism.",
        "Megatron {name}：宽度 {width}，{heads} 个头，{length} 个 token，16 位激活，不并行。",
    )
    rule = [
        line("Outside attention", "注意力以外", times(34, length, batch, width), matrices, "B"),
        line(
            "Scores: softmax, dropout and mask",
            "分数：softmax、dropout 与掩码",
            times(5, heads, length, length, batch),
            scores,
            "B",
        ),
    ]
    if step == 2:
        answer = layers * activation_bytes(length * batch, width, heads, length, scores=True)
        ask = (
            scene[0]
            + " With s b h (34 + 5 a s / h) bytes a layer, what do {layers} layers keep for {batch} sequences?",
            scene[1] + "每层 s b h (34 + 5 a s / h) 字节，{layers} 层为 {batch} 条序列保留多少？",
        )
        working = [*rule, line("All layers", "所有层", f"{layers} × ({n(matrices)} + {n(scores)})", answer, "B")]
        near = {
            "one layer": answer // layers,
            "scores ignored": layers * matrices,
            "one head": layers * (matrices + scores // heads),
            "input only": layers * checkpoint_bytes(length * batch, width),
        }
        return problem(ask, {**given, "layers": layers, "batch": batch}, answer, "GiB", working, near)
    share = Fraction(5 * heads * length, 34 * width + 5 * heads * length)
    ask = (
        scene[0]
        + " With s b h (34 + 5 a s / h) bytes a layer, which share does selective recomputation of the attention"
        " scores save?",
        scene[1] + "每层 s b h (34 + 5 a s / h) 字节，对注意力分数做选择性重算能省多大比例？",
    )
    working = [
        line("Score term", "分数项", f"5 × {heads} × {n(length)} / {n(width)}", Fraction(5 * heads * length, width)),
        line("Share", "占比", f"5 × {heads} × {n(length)} / (34 × {n(width)} + 5 × {heads} × {n(length)})", share),
    ]
    near = {
        "what is left": 1 - share,
        "one head": Fraction(5 * length, 34 * width + 5 * length),
        "inverse": Fraction(34 * width, 5 * heads * length),
    }
    return problem(ask, given, share, "%", working, near)


def _one_layer(rng: Random, length: int, batch: int) -> Problem:
    """What one layer keeps, by the rule of 34 bytes."""
    width = rng.choice([1024, 2048, 4096])
    answer = activation_bytes(length * batch, width, 0, length, scores=False)
    return problem(
        (
            "By the rule of {factor} bytes a token and unit of width (FlashAttention, no recomputation), what does"
            " a layer of width {width} keep for {batch} sequences of {length} tokens?",
            "按每 token 每单位宽度 {factor} 字节的规则（FlashAttention，不重算），宽度 {width} 的一层为 {batch} 条"
            " {length} 个 token 的序列保留多少激活？",
        ),
        {"factor": 34, "width": width, "batch": batch, "length": length},
        answer,
        "MiB",
        [line("34 s b h", "34 s b h", times(34, length, batch, width), answer, "B")],
        {
            "input only": 2 * length * batch * width,
            "one example": answer // batch,
            "factor doubled": 2 * answer,
            "width squared": 34 * width**2,
        },
    )


def draw_batch(rng: Random, step: int) -> Problem:
    """Examples that fit a GPU, and the accumulation steps to a wanted batch."""
    gpu = rng.choice(ACCELERATORS)
    if step == 1:
        return _examples(rng, gpu)
    layers, width, length = rng.choice([(32, 4096, 4096), (28, 3584, 8192), (40, 5120, 4096), (28, 1536, 16384)])
    states = rng.choice([20, 30, 40, 50])
    each = layers * checkpoint_bytes(length, width)
    room = (gpu.memory - states) * 10**9
    fit = room // each
    given: Given = {"memory": gpu.memory, "states": states, "layers": layers}
    given |= {"width": width, "length": length}
    scene = (
        "On a GPU of {memory} GB, model states take {states} GB. Full recomputation keeps only the bf16 input of each"
        " of {layers} layers, width {width}, {length} tokens an example; the layer being recomputed is left out. ",
        "一张 {memory} GB 的 GPU 上，模型状态占 {states} GB。完全重算只保留 {layers} 层各自的 bf16 输入，宽度"
        " {width}，每个样本 {length} 个 token；正在重算的那一层不计。",
    )
    working = [
        line("Bytes an example", "每个样本的字节", times(2, layers, width, length), each, "B"),
        line("Examples", "样本数", f"⌊({gpu.memory} − {states}) × 10^9 / {n(each)}⌋", fit),
    ]
    if step == 2:
        near = {
            "weights ignored": gpu.memory * 10**9 // each,
            "one layer": room // (each // layers),
            "bytes ignored": 2 * room // each,
            "no recomputation": room // (17 * each),
            "rounded up": fit + 1,
        }
        ask = (scene[0] + "How many examples fit?", scene[1] + "最多放得下几个样本（条序列）？")
        return problem(ask, given, fit, "sequences", working, near, tolerance=EXACT)
    gpus, wanted = rng.choice([4, 8, 16]), rng.choice([1024, 2048, 4096])
    answer = -(-wanted // (fit * gpus))
    working.append(line("Accumulation steps", "累积步数", f"⌈{n(wanted)} / ({fit} × {gpus})⌉", answer))
    near = {
        "one GPU": -(-wanted // fit),
        "rounded down": wanted // (fit * gpus),
        "weights ignored": -(-wanted // (gpu.memory * 10**9 // each * gpus)),
        "examples that fit": fit,
        "not rounded": Fraction(wanted, fit * gpus),
    }
    ask = (
        scene[0]
        + "With {gpus} such GPUs in data parallel and full micro-batches, how many accumulation steps reach a global"
        " batch of at least {wanted}?",
        scene[1] + "{gpus} 张这样的卡做数据并行，微批次取满，要累积多少步才能使全局批次不少于 {wanted}？",
    )
    return problem(ask, {**given, "gpus": gpus, "wanted": wanted}, answer, "steps", working, near, tolerance=EXACT)


def _examples(rng: Random, gpu: Accelerator) -> Problem:
    """Round figures: what is left over what an example takes."""
    states, each = rng.choice([20, 30, 40, 60]), rng.choice([2, 3, 4, 5, 6])
    answer = (gpu.memory - states) // each
    return problem(
        (
            "A GPU has {memory} GB; model states take {states} GB, the activations of one example {each} GB. How"
            " many examples fit in a micro-batch?",
            "一张 GPU 有 {memory} GB；模型状态占 {states} GB，每个样本的激活占 {each} GB。"
            "一个微批次最多几个样本（条序列）？",
        ),
        {"memory": gpu.memory, "states": states, "each": each},
        answer,
        "sequences",
        [line("What is left, by example", "剩余显存除以每样本", f"⌊({gpu.memory} − {states}) / {each}⌋", answer)],
        {
            "weights ignored": gpu.memory // each,
            "rounded up": -(-(gpu.memory - states) // each),
            "not rounded": Fraction(gpu.memory - states, each),
            "states only": gpu.memory // states,
        },
        tolerance=EXACT,
    )


FAMILIES = (
    Family(
        "activations", Text("Activation memory", "激活存储"), "Korthikanti et al. arXiv:2205.05198", draw_activations
    ),
    Family(
        "batch",
        Text("The batch that fits", "放得下的批次"),
        "Korthikanti et al. arXiv:2205.05198, section 5",
        draw_batch,
    ),
)
