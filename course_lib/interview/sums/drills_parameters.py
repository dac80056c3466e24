"""Problems about the parameters of the parts: blocks, gated MLPs, embeddings."""

from fractions import Fraction
from random import Random

from course_lib.interview.record import Text
from course_lib.interview.sums.models import DECODERS, ENCODERS
from course_lib.interview.sums.parameters import (
    block_parameters,
    decoder_parameters,
    embedding_parameters,
    mlp_parameters,
    rounded,
    swiglu_width,
    vit_block_parameters,
)
from course_lib.interview.sums.problem import EXACT, Family, Given, Problem, line, problem, times
from course_lib.interview.sums.units import number as n

WIDTHS = (512, 768, 1024, 1536, 2048, 3072, 4096, 5120, 8192)


def draw_block(rng: Random, step: int) -> Problem:
    """A transformer block: 12 d^2, a real ViT block with biases, layers within a budget."""
    width, heads = rng.choice(WIDTHS), rng.choice([8, 16, 32])
    whole = block_parameters(width)
    rule = [
        line("Four projections: Q, K, V, output", "四个投影：Q、K、V、输出", f"4 × {n(width)}^2", 4 * width**2),
        line("MLP up and down", "MLP 升维与降维", f"2 × {n(width)} × 4 × {n(width)}", 8 * width**2),
        line("Sum: 12 d^2", "合计：12 d^2", f"12 × {n(width)}^2", whole),
    ]
    if step == 1:
        return problem(
            (
                "A transformer block has width {width}, {heads} heads and an MLP {ratio} times as wide, no biases."
                " About how many parameters?",
                "一个 Transformer 块宽度 {width}，{heads} 个头，MLP 宽 {ratio} 倍，无偏置。大约多少参数？",
            ),
            {"width": width, "heads": heads, "ratio": 4},
            whole,
            "parameters",
            rule,
            {
                "attention only": 4 * width**2,
                "MLP only": 8 * width**2,
                "MLP not wider": 6 * width**2,
                "heads multiplied": 4 * heads * width**2 + 8 * width**2,
            },
        )
    if step == 2:
        return _vit_block(rng)
    budget = rng.choice([1, 2, 3, 5, 7, 10]) * 10**9
    answer = budget // whole
    return problem(
        (
            "Embeddings aside, a budget of {budget} parameters goes into blocks of width {width} with an MLP {ratio}"
            " times as wide, no biases. How many layers fit?",
            "不计嵌入，{budget} 参数的预算用来堆叠宽度 {width}、MLP 宽 {ratio} 倍、无偏置的块。最多多少层？",
        ),
        {"budget": budget, "width": width, "ratio": 4},
        answer,
        "layers",
        [*rule, line("Layers", "层数", f"⌊{n(budget)} / {n(whole)}⌋", answer)],
        {
            "attention only": budget // (4 * width**2),
            "MLP only": budget // (8 * width**2),
            "rounded up": answer + 1,
            "not rounded": Fraction(budget, whole),
        },
        tolerance=EXACT,
    )


def _vit_block(rng: Random) -> Problem:
    """A real ViT block, biases and norms included."""
    model = rng.choice(ENCODERS)
    width, mlp = model.width, model.mlp_width
    answer = vit_block_parameters(width, mlp)
    return problem(
        (
            "A block of {model} has width {width} and an ungated MLP of width {mlp}, with biases. About how many"
            " parameters?",
            "{model} 的一个块宽度 {width}，不带门控的 MLP 宽 {mlp}，有偏置。大约多少参数？",
        ),
        {"model": model.name, "width": width, "mlp": mlp},
        answer,
        "parameters",
        [
            line(
                "Four projections with biases",
                "四个投影和偏置",
                f"4 × ({width}^2 + {width})",
                4 * width * (width + 1),
            ),
            line(
                "MLP with biases",
                "MLP 和偏置",
                f"2 × {width} × {mlp} + {mlp} + {width}",
                2 * width * mlp + mlp + width,
            ),
            line("Two LayerNorms", "两个 LayerNorm", f"2 × 2 × {width}", 4 * width),
            line("Sum", "合计", f"4 × ({width}^2 + {width}) + 2 × {width} × {mlp} + {mlp} + 5 × {width}", answer),
        ],
        {
            "attention only": 4 * width**2,
            "MLP only": 2 * width * mlp,
            "three matrices": 4 * width**2 + 3 * width * mlp,
            "one projection": width**2 + 2 * width * mlp,
        },
    )


def draw_swiglu(rng: Random, step: int) -> Problem:
    """A gated MLP has three matrices; its width that keeps the parameters."""
    if step == 3:
        width, multiple = rng.choice([1024, 1536, 2560, 4096, 5120, 6656, 8192]), rng.choice([64, 128, 256])
        answer = swiglu_width(width, multiple)
        exact = Fraction(8 * width, 3)
        return problem(
            (
                "A SwiGLU MLP replaces an ungated one {ratio} times as wide as the model, {width}, with the same"
                " parameters; its width is rounded up to a multiple of {multiple}. Which width?",
                "用 SwiGLU 替换宽度为模型宽度 {width} 的 {ratio} 倍的普通 MLP，参数量不变，宽度向上取到 {multiple}"
                " 的倍数。宽度是多少？",
            ),
            {"ratio": 4, "width": width, "multiple": multiple},
            answer,
            "width",
            [
                line(
                    "Three matrices for two: 2/3 of 4 d",
                    "三个矩阵代替两个：4 d 的 2/3",
                    f"2 / 3 × 4 × {n(width)}",
                    exact,
                ),
                line("Round up", "向上取整", f"⌈{n(8 * width)} / 3 / {multiple}⌉ × {multiple}", answer),
            ],
            {
                "same width": 4 * width,
                "not rounded": exact,
                "rounded down": int(exact) // multiple * multiple,
                "half for two thirds": 2 * width,
            },
            tolerance=EXACT,
        )
    model = rng.choice(DECODERS)
    width, mlp, layers = model.width, model.mlp_width, model.layers
    if step == 1:
        width, layers = rng.choice(WIDTHS), 1
        mlp = width * rng.choice([2, 3, 4])
    one = mlp_parameters(width, mlp, 3)
    working = [line("Gate, up and down", "门、升维、降维", times(3, width, mlp), one)]
    near = {
        "no gate": layers * 2 * width * mlp,
        "one matrix": layers * width * mlp,
        "four matrices": layers * 4 * width * mlp,
    }
    if step == 1:
        ask = (
            "A SwiGLU MLP takes width {width} to {mlp} and back, no biases. How many parameters?",
            "一个 SwiGLU MLP 从宽度 {width} 到 {mlp} 再回来，无偏置。多少参数？",
        )
        return problem(ask, {"width": width, "mlp": mlp}, one, "parameters", working, near)
    working.append(line("All layers", "所有层", times(layers, one), layers * one))
    ask = (
        "{model} has {layers} layers of width {width} with SwiGLU MLPs of width {mlp}. How many parameters do its MLPs"
        " hold in all?",
        "{model} 有 {layers} 层，宽度 {width}，SwiGLU MLP 宽 {mlp}。所有 MLP 共多少参数？",
    )
    given = {"model": model.name, "layers": layers, "width": width, "mlp": mlp}
    return problem(ask, given, layers * one, "parameters", working, {**near, "one layer": one})


def draw_embedding(rng: Random, step: int) -> Problem:
    """Input embedding and output head, tied or not, and their share of a model."""
    model = rng.choice(DECODERS)
    vocabulary, width, tied = model.vocabulary, model.width, model.tied
    if step == 1:
        vocabulary, width, tied = rng.choice([32000, 50000, 100000, 150000]), rng.choice(WIDTHS), rng.random() < 0.5
    table = vocabulary * width
    both = embedding_parameters(vocabulary, width, tied=tied)
    words = ("tied, one matrix for both", "共享同一个矩阵") if tied else ("not tied", "不共享")
    working = [line("One table", "一张表", times(vocabulary, width), table)]
    if not tied:
        working.append(line("Input and output", "输入与输出", times(2, table), both))
    given: Given = {"vocabulary": vocabulary, "width": width}
    scene = (
        f"a vocabulary of {{vocabulary}} and width {{width}}; input embedding and output head are {words[0]}.",
        f"词表大小 {{vocabulary}}，宽度 {{width}}，输入嵌入与输出头{words[1]}。",
    )
    if step > 1:
        given["model"] = model.name
        scene = ("{model} has " + scene[0], "{model} " + scene[1])
    else:
        scene = ("A language model has " + scene[0], "一个语言模型" + scene[1])
    if step < 3:
        ask = (scene[0] + " How many parameters do the two take?", scene[1] + "两者共多少参数？")
        near = {
            "tied or not": 3 * table - both,
            "vocabulary only": vocabulary,
            "width squared": width**2,
        }
        return problem(ask, given, both, "parameters", working, near)
    whole = rounded(decoder_parameters(model))
    share = Fraction(both, whole)
    working.append(line("Share", "占比", f"{n(both)} / {n(whole)}", share))
    ask = (
        scene[0] + " Which share of its {whole} parameters do the two take?",
        scene[1] + "两者占全部 {whole} 参数的多大比例？",
    )
    near = {
        "tied or not": Fraction(3 * table - both, whole),
        "relative to the rest": Fraction(both, whole - both),
        "what is left": 1 - share,
    }
    return problem(ask, {**given, "whole": whole}, share, "%", working, near)


FAMILIES = (
    Family(
        "block",
        Text("Parameters of a block", "一个块的参数"),
        "Kaplan et al. arXiv:2001.08361; ViT arXiv:2010.11929",
        draw_block,
    ),
    Family(
        "swiglu",
        Text("Parameters of a gated MLP", "门控 MLP 的参数"),
        "GLU variants arXiv:2002.05202; Llama arXiv:2302.13971",
        draw_swiglu,
    ),
    Family(
        "embedding",
        Text("Parameters of embeddings", "嵌入的参数"),
        "Tied embeddings arXiv:1608.05859; Llama 3 arXiv:2407.21783; Qwen2 arXiv:2407.10671",
        draw_embedding,
    ),
)
