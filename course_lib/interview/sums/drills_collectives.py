"""Problems about bytes between devices: all-reduce, sharded weights, gathered negatives."""

from fractions import Fraction
from random import Random

from course_lib.interview.record import Text
from course_lib.interview.sums.compute import all_gather_bytes, all_reduce_bytes
from course_lib.interview.sums.drills_training import named_size
from course_lib.interview.sums.problem import Family, Given, Problem, line, problem, times
from course_lib.interview.sums.units import number as n


def draw_all_reduce(rng: Random, step: int) -> Problem:
    """Bytes of a ring all-reduce, its time, and what sharded weights add."""
    name, size = named_size(rng, step)
    gpus = rng.choice([2, 4, 8])
    buffer = 2 * size
    answer = all_reduce_bytes(gpus, buffer)
    ring = line(
        "2 (n − 1) / n of the buffer", "缓冲的 2 (n − 1) / n", f"2 × ({gpus} − 1) / {gpus} × 2 × {n(size)}", answer, "B"
    )
    given: Given = {"size": size, "gpus": gpus}
    start = ("Gradients of {size} parameters", "{size} 参数的梯度")
    if step > 1:
        given["model"] = name
        start = (
            "Gradients of {model} ({size} parameters)",
            "{model}（{size} 参数）的梯度",
        )
    near = {
        "one phase": answer / 2,
        "whole buffer twice": 2 * buffer,
        "every pair": (gpus - 1) * buffer,
        "whole buffer": buffer,
        "fp32": 2 * answer,
    }
    if step == 1:
        ask = (
            start[0]
            + " in bf16 are averaged over {gpus} GPUs by a ring all-reduce. How many bytes does each GPU send?",
            start[1] + "（bf16）在 {gpus} 张卡上用环形全规约求平均。每张卡发送多少字节？",
        )
        return problem(ask, given, answer, "GB", [ring], near)
    if step == 2:
        gbit = rng.choice([100, 200, 400])
        seconds = answer * 8 / (gbit * 10**9)
        ask = (
            start[0]
            + " in bf16 are averaged over {gpus} GPUs by a ring all-reduce; each GPU sends at {gbit} Gbit/s. How long"
            " does it take at least?",
            start[1] + "（bf16）在 {gpus} 张卡上做环形全规约，每卡发送带宽 {gbit} Gbit/s。至少要多久？",
        )
        working = [
            ring,
            line(
                "Bits over Gbit/s, in ms",
                "比特除以 Gbit/s，以毫秒计",
                f"{n(answer)} × 8 / ({gbit} × 10^9) × 1000",
                seconds * 1000,
                "ms",
            ),
        ]
        near = {slip: value * 8 / Fraction(gbit * 10**9) for slip, value in near.items()}
        near["bytes for bits"] = seconds / 8
        return problem(ask, {**given, "gbit": gbit}, seconds, "ms", working, near)
    return _sharded(given, start, size, gpus)


def _sharded(given: Given, start: tuple[str, str], size: int, gpus: int) -> Problem:
    """ZeRO-3: three phases instead of two."""
    buffer = 2 * size
    answer = Fraction(3 * (gpus - 1), gpus) * buffer
    ask = (
        start[0]
        + " and weights are sharded over {gpus} GPUs by ZeRO-3, all in bf16: weights are gathered for forward and for"
        " backward, gradients reduce-scattered. How many bytes does each GPU receive a step?",
        start[1] + "和权重用 ZeRO-3 切分到 {gpus} 张卡，全部 bf16：前向、反向各聚集一次权重，梯度做规约散射。"
        "每步每卡接收多少字节？",
    )
    working = [
        line("One phase", "一个阶段", f"({gpus} − 1) / {gpus} × 2 × {n(size)}", answer / 3, "B"),
        line("Three phases", "三个阶段", f"3 × ({gpus} − 1) / {gpus} × 2 × {n(size)}", answer, "B"),
    ]
    near = {
        "as data parallel": answer * 2 / 3,
        "one phase": answer / 3,
        "whole buffer": buffer,
        "whole buffer thrice": 3 * buffer,
        "fp32": 2 * answer,
    }
    return problem(ask, given, answer, "GB", working, near)


def draw_gather(rng: Random, step: int) -> Problem:
    """InfoNCE over many devices: embeddings gathered, and the logits each device holds."""
    gpus, local, width = rng.choice([4, 8, 16, 32]), rng.choice([64, 128, 256, 512]), rng.choice([512, 768, 1024])
    if step > 1:
        gpus, local, width = rng.choice([(256, 128, 768), (128, 256, 512), (592, 56, 768), (64, 512, 512)])
    shard = 2 * local * width * 2
    given: Given = {"gpus": gpus, "local": local, "width": width}
    scene = (
        "InfoNCE with {local} image-text pairs on each of {gpus} GPUs, embeddings of width {width} in bf16. ",
        "InfoNCE：{gpus} 张卡，每卡 {local} 个图文对，嵌入宽度 {width}，bf16。",
    )
    if step < 3:
        answer = all_gather_bytes(gpus, shard)
        ask = (
            scene[0] + "How many bytes of embeddings, both towers, does each GPU receive from the others?",
            scene[1] + "两个塔合计，每张卡从其他卡接收多少字节的嵌入？",
        )
        working = [
            line("One GPU's embeddings, both towers", "一张卡两个塔的嵌入", times(2, local, width, 2), shard, "B"),
            line("From the others", "来自其他卡", f"({gpus} − 1) × {n(shard)}", answer, "B"),
        ]
        near = {
            "one tower": answer // 2,
            "one GPU": shard,
            "fp32": 2 * answer,
            "width ignored": answer // width,
        }
        if step == 1:  # over hundreds of devices one more shard is lost in the rounding
            near["own shard counted"] = gpus * shard
        return problem(ask, given, answer, "MiB", working, near)
    whole = local * gpus
    answer = local * whole * 4
    ask = (
        scene[0] + "Each GPU holds only the fp32 logits of its own images against all texts. How large is that matrix?",
        scene[1] + "每卡只保留自己的图片对所有文本的 fp32 logits。这个矩阵有多大？",
    )
    working = [
        line("Texts in all", "文本总数", times(local, gpus), whole),
        line("Rows × columns × bytes", "行 × 列 × 字节", times(local, whole, 4), answer, "B"),
    ]
    near = {
        "whole matrix": whole * whole * 4,
        "local negatives only": local * local * 4,
        "half precision": answer // 2,
        "embeddings for logits": whole * width * 4,
    }
    return problem(ask, given, answer, "MiB", working, near)


FAMILIES = (
    Family(
        "all_reduce",
        Text("Bytes of an all-reduce", "全规约的字节数"),
        "Patarasuk and Yuan doi:10.1016/j.jpdc.2008.09.002; ZeRO arXiv:1910.02054, section 7",
        draw_all_reduce,
    ),
    Family(
        "gather", Text("Gathered negatives of InfoNCE", "InfoNCE 的跨卡负样本"), "CLIP arXiv:2103.00020", draw_gather
    ),
)
