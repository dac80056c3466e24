"""Problems about the parameters of connectors and of mixtures of experts."""

from fractions import Fraction
from random import Random

from course_lib.interview.record import Text
from course_lib.interview.sums.drills_parameters import WIDTHS
from course_lib.interview.sums.models import ENCODERS, MIXTURES
from course_lib.interview.sums.parameters import (
    merger_parameters,
    mlp_parameters,
    moe_parameters,
    projector_parameters,
)
from course_lib.interview.sums.problem import Family, Given, Problem, line, problem, times
from course_lib.interview.sums.units import number as n

TOWERS = (
    (1024, 4096, "LLaVA-1.5-7B"),
    (1024, 5120, "LLaVA-1.5-13B"),
    (1280, 1536, "Qwen2-VL-2B"),
    (1280, 3584, "Qwen2-VL-7B"),
)
"""Width of the vision tower, width of the language model, name."""

DENSE = {
    "Mixtral 8x7B": 1_600_000_000,
    "Mixtral 8x22B": 5_340_000_000,
    "Phi-3.5-MoE": 1_610_000_000,
    "OLMoE-1B-7B": 474_000_000,
}
"""What every token uses, attention and embeddings, to three digits."""


def draw_connector(rng: Random, step: int) -> Problem:
    """The connector between tower and language model: a line, LLaVA's MLP, Qwen2-VL's merger."""
    vision, width, name = rng.choice(TOWERS)
    if step == 1:
        return _linear(rng)
    if step == 2:
        tower = rng.choice(ENCODERS)
        vision, width = tower.width, rng.choice([2048, 3584, 4096, 5120])
        answer = projector_parameters(vision, width)
        ask = (
            "LLaVA-1.5's connector is an MLP of two linear layers with biases, the hidden width that of the language"
            " model. {tower} has width {vision}, the language model {width}. How many parameters?",
            "LLaVA-1.5 的连接器是两层线性层的 MLP，有偏置，隐藏宽度等于语言模型宽度。{tower} 宽 {vision}，语言模型宽"
            " {width}。多少参数？",
        )
        first = vision * width + width
        working = [
            line("First layer", "第一层", f"{n(vision)} × {n(width)} + {n(width)}", first),
            line("Second layer", "第二层", f"{n(width)} × {n(width)} + {n(width)}", answer - first),
            line("Sum", "合计", f"{n(first)} + {n(answer - first)}", answer),
        ]
        near = {
            "one matrix": first,
            "square for the first": 2 * (width**2 + width),
            "vision squared": vision**2 + vision + first,
        }
        given = {"tower": tower.name, "vision": vision, "width": width}
        return problem(ask, given, answer, "parameters", working, near)
    width = rng.choice([1536, 2048, 3584, 4096, 5120, 8192])
    vision, merge = rng.choice([1024, 1152, 1280]), rng.choice([2, 2, 3])
    answer, joined = merger_parameters(vision, merge, width), merge * merge * vision
    hidden = joined * joined + joined
    return problem(
        (
            "A connector like Qwen2-VL's concatenates {merge} × {merge_too} vision tokens of width {vision}, applies a"
            " linear layer that keeps this width, GELU, and a linear layer to {width}, with biases. How many"
            " parameters?",
            "类似 Qwen2-VL 的连接器把 {merge} × {merge_too} 个宽 {vision} 的视觉 token 拼接，"
            "过一层保持该宽度的线性层、GELU，再用线性层映射到 {width}，有偏置。多少参数？",
        ),
        {"merge": merge, "merge_too": merge, "vision": vision, "width": width},
        answer,
        "parameters",
        [
            line("Width after concatenation", "拼接后的宽度", f"{merge}^2 × {n(vision)}", joined),
            line("First layer", "第一层", f"{n(joined)}^2 + {n(joined)}", hidden),
            line("Second layer", "第二层", f"{n(joined)} × {n(width)} + {n(width)}", joined * width + width),
            line(
                "Sum with the LayerNorm",
                "合计，含 LayerNorm",
                f"{n(hidden)} + {n(joined * width + width)} + 2 × {n(vision)}",
                answer,
            ),
        ],
        {
            "not concatenated": merger_parameters(vision, 1, width),
            "merge not squared": (merge * vision) ** 2 + merge * vision * width,
            "one matrix": joined * width + width,
            "first only": hidden,
        },
    )


def _linear(rng: Random) -> Problem:
    """One linear layer."""
    vision, width = rng.choice([768, 1024, 1152, 1280]), rng.choice([2048, 3072, 4096, 5120])
    answer = vision * width + width
    ask = (
        "A linear connector takes vision features of width {vision} to width {width}, with bias. How many parameters?",
        "线性连接器把宽度 {vision} 的视觉特征映射到宽度 {width}，有偏置。多少参数？",
    )
    working = [line("Weights and bias", "权重与偏置", f"{n(vision)} × {n(width)} + {n(width)}", answer)]
    near = {"widths added": vision + width, "square for the first": width**2 + width, "vision squared": vision**2}
    return problem(ask, {"vision": vision, "width": width}, answer, "parameters", working, near)


def draw_moe(rng: Random, step: int) -> Problem:
    """Mixture of experts: all experts, the active ones, the active share."""
    model = rng.choice(MIXTURES)
    width, wide, experts, active, layers = model.width, model.expert_width, model.experts, model.active, model.layers
    if step == 1:
        width, experts, active, layers = rng.choice(WIDTHS), rng.choice([8, 16, 64]), rng.choice([1, 2, 4]), 1
        wide = width * rng.choice([1, 2, 3])
    one = mlp_parameters(width, wide, 3)
    expert = line("One expert: gate, up, down", "一个专家：门、升维、降维", times(3, width, wide), one)
    if step == 1:
        return problem(
            (
                "A layer of width {width} has {experts} SwiGLU experts of width {wide}; a token visits {active}. How"
                " many expert parameters must be stored?",
                "宽度 {width} 的一层有 {experts} 个宽 {wide} 的 SwiGLU 专家，每个 token 访问 {active} 个。"
                "要存多少专家参数？",
            ),
            {"width": width, "experts": experts, "wide": wide, "active": active},
            experts * one,
            "parameters",
            [expert, line("All experts", "所有专家", times(experts, one), experts * one)],
            {"active only": active * one, "no gate": experts * 2 * width * wide, "one expert": one},
        )
    given: Given = {"model": model.name, "layers": layers, "width": width}
    given |= {"experts": experts, "wide": wide, "active": active}
    scene = (
        "{model}: {layers} layers of width {width}, {experts} SwiGLU experts of width {wide} in each, {active} visited"
        " by a token. ",
        "{model}：{layers} 层，宽度 {width}，每层 {experts} 个宽 {wide} 的 SwiGLU 专家，每个 token 访问 {active} 个。",
    )
    used, stored = moe_parameters(model, active), moe_parameters(model, experts)
    visited = line("Visited in all layers", "所有层中被访问的", times(layers, active, one), used)
    if step == 2:
        near = {"all experts": stored, "one layer": active * one, "no gate": used * 2 // 3, "one expert": layers * one}
        ask = (scene[0] + "How many expert parameters does one token use?", scene[1] + "一个 token 用到多少专家参数？")
        return problem(ask, given, used, "parameters", [expert, visited], near)
    dense = DENSE[model.name]
    share = Fraction(used + dense, stored + dense)
    working = [
        expert,
        visited,
        line("Stored in all layers", "所有层中存储的", times(layers, experts, one), stored),
        line("Active share", "激活比例", f"({n(used)} + {n(dense)}) / ({n(stored)} + {n(dense)})", share),
    ]
    ask = (
        scene[0] + "Attention and embeddings hold {dense} more, used by all tokens. Which share of all is active?",
        scene[1] + "注意力与嵌入另有 {dense} 参数，所有 token 都用。激活参数占全部的多大比例？",
    )
    near = {
        "dense part ignored": Fraction(active, experts),
        "what is left": 1 - share,
        "dense part in the whole only": Fraction(used, stored + dense),
    }
    return problem(ask, {**given, "dense": dense}, share, "%", working, near)


FAMILIES = (
    Family(
        "connector",
        Text("Parameters of a connector", "连接器的参数"),
        "LLaVA-1.5 arXiv:2310.03744; Qwen2-VL arXiv:2409.12191",
        draw_connector,
    ),
    Family("moe", Text("Parameters of a mixture of experts", "混合专家的参数"), "Mixtral arXiv:2401.04088", draw_moe),
)
