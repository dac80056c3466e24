"""Problems about arithmetic operations: FLOPs a token, and those of attention over the sequence."""

from random import Random

from course_lib.interview.record import Text
from course_lib.interview.sums.compute import (
    attention_flops,
    forward_flops,
    train_flops,
)
from course_lib.interview.sums.drills_training import named_size
from course_lib.interview.sums.models import DECODERS, ENCODERS
from course_lib.interview.sums.problem import EXACT, Family, Given, Problem, line, problem, times
from course_lib.interview.sums.units import number as n


def draw_flops(rng: Random, step: int) -> Problem:
    """FLOPs a token in training, of a prompt with pictures, and with the attention over the sequence."""
    name, size = named_size(rng, step)
    if step == 1:
        return _a_token(size)
    images, text = rng.randint(2, 6), rng.choice([100, 200, 500])
    tokens = images * 576 + text
    matrices = forward_flops(size, tokens)
    given: Given = {
        "model": name,
        "size": size,
        "images": images,
        "visual": 576,
        "text": text,
    }
    prompt = line("Tokens of the prompt", "提示词 token", f"{images} × 576 + {text}", tokens)
    if step == 2:
        ask = (
            "{model} ({size} parameters) reads a prompt of {images} images, {visual} tokens each, and {text} text"
            " tokens. About how many FLOPs, attention over the sequence aside?",
            "{model}（{size} 参数）读入 {images} 张图片（每张 {visual} 个 token）和 {text} 个文本 token 的提示词。"
            "约多少 FLOP（不计序列上的注意力）？",
        )
        working = [prompt, line("2 N a token", "每 token 2 N", times(2, size, tokens), matrices)]
        near = {
            "training for inference": 3 * matrices,
            "text ignored": forward_flops(size, images * 576),
            "one image": forward_flops(size, 576 + text),
            "one a weight": matrices // 2,
        }
        return problem(ask, given, matrices, "TFLOP", working, near)
    return _with_attention(rng, given, name, size, images)


def _with_attention(rng: Random, given: Given, name: str, size: int, images: int) -> Problem:
    """A long prompt, with the attention over it."""
    model = next(each for each in DECODERS if each.name == name)
    text = rng.choice([8000, 16000, 32000])
    tokens = images * 576 + text
    matrices, scores = forward_flops(size, tokens), attention_flops(model.layers, tokens, model.width)
    ask = (
        "{model} ({size} parameters, {layers} layers of width {width}) reads {images} images, {visual} tokens each,"
        " and {text} text tokens. How many forward FLOPs with attention over the sequence, nothing saved by the causal"
        " mask?",
        "{model}（{size} 参数，{layers} 层，宽度 {width}）读入 {images} 张图片（每张 {visual} 个 token）和 {text}"
        " 个文本 token。前向共多少 FLOP，包括序列上的注意力，因果掩码不省计算？",
    )
    working = [
        line("Tokens", "token 数", f"{images} × 576 + {n(text)}", tokens),
        line("Matrices: 2 N n", "矩阵：2 N n", times(2, size, tokens), matrices),
        line(
            "Attention: 4 n^2 d a layer",
            "注意力：每层 4 n^2 d",
            f"{model.layers} × 4 × {n(tokens)}^2 × {n(model.width)}",
            scores,
        ),
        line(
            "Sum",
            "合计",
            f"2 × {n(size)} × {n(tokens)} + {model.layers} × 4 × {n(tokens)}^2 × {n(model.width)}",
            matrices + scores,
        ),
    ]
    near = {
        "scores ignored": matrices,
        "matrices ignored": scores,
        "one layer": matrices + scores // model.layers,
        "scores without values": matrices + scores // 2,
    }
    given |= {"text": text, "layers": model.layers, "width": model.width}
    return problem(ask, given, matrices + scores, "TFLOP", working, near)


def _a_token(size: int) -> Problem:
    """Six FLOPs a parameter."""
    answer = train_flops(size, 1)
    return problem(
        (
            "About how many FLOPs does one training step spend on each token of a model with {size} parameters,"
            " attention over the sequence aside?",
            "{size} 参数的模型，一次训练步在每个 token 上约花多少 FLOP（不计序列上的注意力）？",
        ),
        {"size": size},
        answer,
        "GFLOP",
        [
            line(
                "Forward: a multiplication and an addition a weight",
                "前向：每权重一乘一加",
                times(2, size),
                2 * size,
            ),
            line("Backward: twice that", "反向：两倍", times(2, 2, size), 4 * size),
            line("Sum: 6 N", "合计：6 N", times(6, size), answer),
        ],
        {"forward only": 2 * size, "backward only": 4 * size, "one a weight": size, "multiply-adds": 3 * size},
    )


def draw_attention(rng: Random, step: int) -> Problem:
    """FLOPs of the attention matrix, and the length at which it costs as much as the block's matrices."""
    length, width = rng.choice([1024, 2048, 4096, 8192]), rng.choice([1024, 2048, 4096])
    heads = rng.choice([8, 16, 32])
    if step == 1:
        return _one_attention(length, heads, width)
    if step == 2:
        model = rng.choice(ENCODERS)
        tokens = (model.image // model.patch) ** 2 + model.class_token
        layers, width = model.layers, model.width
        answer = attention_flops(layers, tokens, width)
        return problem(
            (
                "{model}: {layers} layers of width {width}, {tokens} tokens with the class token if it has one. How"
                " many forward FLOPs go into scores and weighted sums of all layers?",
                "{model}：{layers} 层，宽度 {width}，{tokens} 个 token（如有类别 token 则已计入）。"
                "所有层的分数与加权和前向共多少 FLOP？",
            ),
            {"model": model.name, "layers": layers, "width": width, "tokens": tokens},
            answer,
            "GFLOP",
            [
                line("A layer: 4 n^2 d", "一层：4 n^2 d", f"4 × {tokens}^2 × {width}", answer // layers),
                line("All layers", "所有层", f"{layers} × 4 × {tokens}^2 × {width}", answer),
            ],
            {
                "one layer": answer // layers,
                "scores without values": answer // 2,
                "length not squared": 4 * layers * tokens * width,
                "backward too": 3 * answer,
            },
        )
    answer = 6 * width
    return problem(
        (
            "A block of width {width} has {factor} d^2 weights in its matrices. From which sequence length on do"
            " scores and weighted sums (no mask) cost as many FLOPs as the matrices?",
            "宽度 {width} 的块，矩阵共有 {factor} d^2 个权重。序列多长时，分数与加权和（无掩码）的 FLOP 与矩阵相同？",
        ),
        {"width": width, "factor": 12},
        answer,
        "tokens",
        [
            line("Matrices a token: 2 × 12 d^2", "每 token 矩阵：2 × 12 d^2", f"24 × {n(width)}^2", 24 * width**2),
            line("Attention a token: 4 n d, by n", "每 token 注意力：4 n d，除以 n", times(4, width), 4 * width),
            line("Equal at n = 6 d", "相等于 n = 6 d", f"24 × {n(width)}^2 / (4 × {n(width)})", answer),
        ],
        {
            "scores without values": 12 * width,
            "one a weight": 3 * width,
            "same width": width,
            "attention only": 2 * width,
        },
        tolerance=EXACT,
    )


def _one_attention(length: int, heads: int, width: int) -> Problem:
    """Scores and weighted sum of one layer."""
    answer = attention_flops(1, length, width)
    return problem(
        (
            "Attention over {length} tokens, {heads} heads, width {width} in all, no mask: how many FLOPs for the"
            " scores and the weighted sum together, projections and softmax aside?",
            "{length} 个 token 的注意力，{heads} 个头，总宽度 {width}，无掩码：分数与加权和共多少 FLOP（不计投影和"
            " softmax）？",
        ),
        {"length": length, "heads": heads, "width": width},
        answer,
        "GFLOP",
        [
            line("Scores: Q times K", "分数：Q 乘 K", f"2 × {n(length)}^2 × {n(width)}", answer // 2),
            line("Weighted sum of V", "对 V 加权求和", f"2 × {n(length)}^2 × {n(width)}", answer // 2),
            line("Sum", "合计", f"4 × {n(length)}^2 × {n(width)}", answer),
        ],
        {
            "scores without values": answer // 2,
            "heads multiplied": answer * heads,
            "length not squared": 4 * length * width,
            "width squared": 4 * length * width**2,
        },
    )


FAMILIES = (
    Family("flops", Text("FLOPs a token", "每 token 的 FLOP"), "Kaplan et al. arXiv:2001.08361", draw_flops),
    Family(
        "attention", Text("FLOPs of attention", "注意力的 FLOP"), "FlashAttention-2 arXiv:2307.08691", draw_attention
    ),
)
