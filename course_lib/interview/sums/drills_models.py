"""Problems about the parameters of whole models: vision towers and language models."""

from fractions import Fraction
from random import Random

from course_lib.interview.record import Text
from course_lib.interview.sums.drills_parameters import WIDTHS
from course_lib.interview.sums.models import DECODERS, ENCODERS, Encoder
from course_lib.interview.sums.parameters import (
    attention_parameters,
    block_parameters,
    decoder_layer_parameters,
    decoder_parameters,
    embedding_parameters,
    mlp_parameters,
    projector_parameters,
    rounded,
    vit_block_parameters,
    vit_parameters,
)
from course_lib.interview.sums.problem import Family, Problem, line, problem, times
from course_lib.interview.sums.units import number as n


def draw_vit(rng: Random, step: int) -> Problem:
    """A ViT: its patch projection, the whole tower, positions at a higher resolution."""
    model = rng.choice(ENCODERS)
    if step == 1:
        return _patch_projection(rng)
    if step == 3:
        return _positions(rng, model)
    answer, one = vit_parameters(model), vit_block_parameters(model.width, model.mlp_width)
    front = 3 * model.patch**2 * model.width
    places = (model.image // model.patch) ** 2 * model.width
    whole = model.layers * one + front + places
    rest = answer - whole
    given = {name: getattr(model, name) for name in ("layers", "width", "image", "patch")}
    given |= {"model": model.name, "mlp": model.mlp_width}
    return problem(
        (
            "{model}: {layers} blocks of width {width}, MLP width {mlp} (ungated, biases), image side {image} px,"
            " patches of {patch} px, learned positions, no head. About how many parameters?",
            "{model}：{layers} 个块，宽度 {width}，MLP 宽 {mlp}（无门控，有偏置），图片边长 {image} px，切块 {patch}"
            " px，可学习位置，不含头。大约多少参数？",
        ),
        given,
        answer,
        "parameters",
        [
            line(
                "A block: projections, MLP, biases, norms",
                "一个块：投影、MLP、偏置、归一化",
                f"4 × {model.width}^2 + 2 × {model.width} × {model.mlp_width} + 9 × {model.width} + {model.mlp_width}",
                one,
            ),
            line("All blocks", "所有块", times(model.layers, one), model.layers * one),
            line("Patch projection", "图块投影", f"3 × {model.patch}^2 × {model.width}", front),
            line("Positions", "位置", f"{model.image // model.patch}^2 × {model.width}", places),
            line(
                "With class token, final norm and the like",
                "加上类别 token、末层归一化等",
                f"{n(whole)} + {n(rest)}",
                answer,
            ),
        ],
        {
            "one layer": one,
            "attention only": model.layers * 4 * model.width**2,
            "MLP only": model.layers * 2 * model.width * model.mlp_width,
            "three matrices": answer + model.layers * model.width * model.mlp_width,
        },
    )


def _positions(rng: Random, model: Encoder) -> Problem:
    """Positions that a higher resolution adds."""
    patch, width = model.patch, model.width
    low, high = (model.image // patch for _ in "ab")
    high = low + rng.choice([4, 8, 12, 16])
    answer = (high**2 - low**2) * width
    return problem(
        (
            "{model} has learned positions of width {width} for a grid of {low} × {low_too} patches. They are"
            " interpolated to {high} × {high_too}. How many parameters does that add?",
            "{model} 有宽度 {width} 的可学习位置，对应 {low} × {low_too} 个图块。插值到 {high} × {high_too}"
            " 后增加多少参数？",
        ),
        {"model": model.name, "width": width, "low": low, "low_too": low, "high": high, "high_too": high},
        answer,
        "parameters",
        [
            line("New places", "新增位置", f"{high}^2 − {low}^2", high**2 - low**2),
            line("Times the width", "乘以宽度", times(high**2 - low**2, width), answer),
        ],
        {
            "difference squared": (high - low) ** 2 * width,
            "one side": (high - low) * width,
            "not the gain": high**2 * width,
            "width ignored": high**2 - low**2,
        },
    )


def _patch_projection(rng: Random) -> Problem:
    """The projection of RGB patches."""
    patch, width = rng.choice([8, 14, 16, 32]), rng.choice(WIDTHS)
    answer = 3 * patch**2 * width
    return problem(
        (
            "A ViT projects RGB patches of {patch} × {same} px to width {width}, no bias. How many parameters?",
            "ViT 把 {patch} × {same} px 的 RGB 图块投影到宽度 {width}，无偏置。多少参数？",
        ),
        {"patch": patch, "same": patch, "width": width},
        answer,
        "parameters",
        [line("Values of a patch × width", "图块数值 × 宽度", f"3 × {patch}^2 × {n(width)}", answer)],
        {"channels": patch**2 * width, "patch not squared": 3 * patch * width, "width ignored": 3 * patch**2},
    )


def draw_decoder(rng: Random, step: int) -> Problem:
    """A language model: the rule of thumb, a real one, the share of its vision tower."""
    if step == 1:
        return _by_the_rule(rng)
    if step == 3:
        return _share_of_the_tower(rng)
    model = rng.choice(DECODERS)
    answer, layer = decoder_parameters(model), decoder_layer_parameters(model)
    attention = attention_parameters(model.width, model.heads, model.kv_heads, model.head_width)
    mlp = mlp_parameters(model.width, model.mlp_width, 3)
    tables = embedding_parameters(model.vocabulary, model.width, tied=model.tied)
    tied = ("tied", "共享") if model.tied else ("not tied", "不共享")
    e = model.head_width
    given = {name: getattr(model, name) for name in ("layers", "width", "heads", "vocabulary")}
    given |= {"model": model.name, "kv": model.kv_heads, "mlp": model.mlp_width, "e": e}
    return problem(
        (
            "{model}: {layers} layers of width {width}, {heads} query heads and {kv} key-value"
            f" heads of width {{e}}, SwiGLU of width {{mlp}}, vocabulary {{vocabulary}}, embeddings {tied[0]}. About"
            " how many parameters?",
            "{model}：{layers} 层，宽度 {width}，{heads} 个查询头、{kv} 个键值头，头宽 {e}，SwiGLU"
            " 宽 {mlp}，词表"
            f" {{vocabulary}}，嵌入{tied[1]}。大约多少参数？",
        ),
        given,
        answer,
        "parameters",
        [
            line(
                "Q and output, K and V",
                "Q 与输出，K 与 V",
                f"2 × {n(model.width)} × {model.heads} × {e} + 2 × {n(model.width)} × {model.kv_heads} × {e}",
                attention,
            ),
            line("Gate, up and down", "门、升维、降维", times(3, model.width, model.mlp_width), mlp),
            line(
                "A layer with norms and biases",
                "一层，含归一化与偏置",
                f"{n(attention + mlp)} + {n(layer - attention - mlp)}",
                layer,
            ),
            line("Embeddings", "嵌入", times(tables // model.vocabulary, model.vocabulary), tables),
            line("Sum", "合计", f"{model.layers} × {n(layer)} + {n(tables)} + {n(model.width)}", answer),
        ],
        {
            "no gate": answer - model.layers * model.width * model.mlp_width,
            "embeddings ignored": answer - tables,
            "all heads keep keys": answer + model.layers * 2 * model.width * (model.heads - model.kv_heads) * e,
            "rule of thumb": model.layers * block_parameters(model.width) + tables,
            "one layer": layer + tables,
            "tied or not": answer + (tables if model.tied else -tables // 2),
        },
    )


def _by_the_rule(rng: Random) -> Problem:
    layers, width = rng.choice([12, 24, 32, 40]), rng.choice([768, 1024, 2048, 4096, 5120])
    vocabulary = rng.choice([32000, 50000, 100000])
    blocks, table = layers * block_parameters(width), vocabulary * width
    return problem(
        (
            "A decoder has {layers} layers of width {width} (MLP {ratio} times as wide, no gate), vocabulary"
            " {vocabulary}, tied embeddings. About how many parameters?",
            "一个解码器有 {layers} 层，宽度 {width}（MLP 宽 {ratio} 倍，无门控），词表 {vocabulary}，嵌入共享。"
            "大约多少参数？",
        ),
        {"layers": layers, "width": width, "ratio": 4, "vocabulary": vocabulary},
        blocks + table,
        "parameters",
        [
            line("Blocks: 12 L d^2", "块：12 L d^2", f"12 × {layers} × {n(width)}^2", blocks),
            line("Embedding", "嵌入", times(vocabulary, width), table),
            line("Sum", "合计", f"{n(blocks)} + {n(table)}", blocks + table),
        ],
        {
            "embeddings ignored": blocks,
            "one layer": block_parameters(width) + table,
            "attention only": blocks // 3 + table,
            "tied or not": blocks + 2 * table,
        },
    )


def _share_of_the_tower(rng: Random) -> Problem:
    tower, model = rng.choice(ENCODERS), rng.choice(DECODERS[:2])
    sizes = (
        rounded(vit_parameters(tower)),
        rounded(projector_parameters(tower.width, model.width)),
        rounded(decoder_parameters(model)),
    )
    whole = sum(sizes)
    share = Fraction(sizes[0], whole)
    return problem(
        (
            "A vision-language model joins {tower} ({vision} parameters), a connector ({connector}) and {model}"
            " ({language}). Which share of all parameters is the vision tower?",
            "一个视觉语言模型由 {tower}（{vision} 参数）、连接器（{connector}）和 {model}（{language}）组成。"
            "视觉塔占全部参数的多大比例？",
        ),
        {"tower": tower.name, "vision": sizes[0], "connector": sizes[1], "model": model.name, "language": sizes[2]},
        share,
        "%",
        [
            line("All", "合计", " + ".join(n(each) for each in sizes), whole),
            line("Share", "占比", f"{n(sizes[0])} / {n(whole)}", share),
        ],
        {
            "relative to the rest": Fraction(sizes[0], whole - sizes[0]),
            "connector counted": Fraction(sizes[0] + sizes[1], whole),
            "what is left": 1 - share,
            "connector for tower": Fraction(sizes[1], whole),
        },
    )


FAMILIES = (
    Family(
        "vit",
        Text("Parameters of a vision tower", "视觉塔的参数"),
        "ViT arXiv:2010.11929; CLIP arXiv:2103.00020",
        draw_vit,
    ),
    Family(
        "decoder",
        Text("Parameters of a language model", "语言模型的参数"),
        "Llama arXiv:2302.13971, arXiv:2407.21783; Qwen2 arXiv:2407.10671",
        draw_decoder,
    ),
)
