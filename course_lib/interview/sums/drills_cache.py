"""Problems about the key-value cache: multi-head, grouped-query and latent attention."""

from fractions import Fraction
from random import Random

from course_lib.interview.record import Text
from course_lib.interview.sums.memory import kv_bytes, latent_bytes
from course_lib.interview.sums.models import ACCELERATORS, DECODERS, LATENTS
from course_lib.interview.sums.parameters import decoder_parameters, rounded
from course_lib.interview.sums.problem import EXACT, Family, Given, Problem, line, problem, times
from course_lib.interview.sums.units import number as n

PLAIN = [model for model in DECODERS if model.heads == model.kv_heads]

GROUPED = [model for model in DECODERS if model.heads != model.kv_heads]


def draw_kv_mha(rng: Random, step: int) -> Problem:
    """The cache of plain multi-head attention: round figures, pictures in the prompt, tokens that fit."""
    model = rng.choice(PLAIN)
    layers, heads, e = model.layers, model.heads, model.head_width
    if step == 1:
        layers, heads, e = rng.choice([16, 24, 32, 40]), rng.choice([16, 32]), rng.choice([64, 128])
    each = kv_bytes(layers, heads, e, 1)
    per_token = line("Bytes a token: K and V", "每个 token 的字节：K 与 V", times(2, layers, heads, e, 2), each, "B")
    given: Given = {"layers": layers, "heads": heads, "e": e}
    scene = (
        "{layers} layers, {heads} key-value heads of width {e}, cache in bf16. ",
        "{layers} 层，{heads} 个键值头，头宽 {e}，缓存用 bf16。",
    )
    if step > 1:
        given["model"] = model.name
        scene = ("{model}: " + scene[0], "{model}：" + scene[1])
    if step == 3:
        gib = rng.choice([1, 2, 4, 8, 16])
        answer = gib * 2**30 // each
        working = [per_token, line("Tokens", "token 数", f"⌊{gib} × 2^30 / {n(each)}⌋", answer)]
        near = {
            "one of keys and values": gib * 2**30 // (each // 2),
            "decimal budget": gib * 10**9 // each,
            "one layer": gib * 2**30 // (each // layers),
        }
        ask = (
            scene[0] + "How many tokens fit in {gib} GiB of cache?",
            scene[1] + "{gib} GiB 的缓存放得下多少个 token？",
        )
        return problem(ask, {**given, "gib": gib}, answer, "tokens", working, near, tolerance=EXACT)
    if step == 1:
        tokens = rng.choice([1024, 2048, 4096, 8192])
        given["tokens"] = tokens
        ask = (scene[0] + "How large is the cache of {tokens} tokens?", scene[1] + "{tokens} 个 token 的缓存有多大？")
        working = [per_token]
        near = {}
    else:
        images, text = rng.randint(2, 6), rng.choice([128, 256, 512])
        tokens = images * 576 + text
        given |= {"images": images, "visual": 576, "text": text}
        ask = (
            scene[0] + "How large is the cache of {images} images of {visual} tokens and {text} text tokens?",
            scene[1] + "{images} 张图片（每张 {visual} 个 token）加 {text} 个文本 token 的缓存有多大？",
        )
        working = [per_token, line("Tokens", "token 数", f"{images} × 576 + {text}", tokens)]
        near = {"text ignored": each * images * 576, "one image": each * (576 + text)}
    answer = each * tokens
    working.append(line("Cache", "缓存", times(each, tokens), answer, "B"))
    near |= {"one of keys and values": answer // 2, "one layer": answer // layers, "fp32": 2 * answer}
    if heads != layers:
        near["one head"] = answer // heads
    return problem(ask, given, answer, "GiB", working, near)


def draw_kv_gqa(rng: Random, step: int) -> Problem:
    """The cache of grouped-query attention, and the sequences that fit beside the weights."""
    if step == 3:
        return _sequences_that_fit(rng)
    model = rng.choice(GROUPED)
    layers, heads, kv, e = model.layers, model.heads, model.kv_heads, model.head_width
    if step == 1:
        layers, heads, kv, e = rng.choice([16, 32, 48]), rng.choice([16, 32, 64]), rng.choice([2, 4, 8]), 128
    tokens = rng.choice([2048, 4096, 8192, 16384, 32768])
    each = kv_bytes(layers, kv, e, 1)
    answer = each * tokens
    given: Given = {"layers": layers, "heads": heads, "kv": kv, "e": e, "tokens": tokens}
    ask = (
        "{layers} layers, {heads} query heads and {kv} key-value heads of width {e}, bf16. How large is the cache of"
        " {tokens} tokens?",
        "{layers} 层，{heads} 个查询头、{kv} 个键值头，头宽 {e}，bf16。{tokens} 个 token 的缓存有多大？",
    )
    if step == 2:
        given["model"] = model.name
        ask = ("{model}: " + ask[0], "{model}：" + ask[1])
    near = {
        "all heads keep keys": kv_bytes(layers, heads, e, tokens),
        "one of keys and values": answer // 2,
        "one layer": answer // layers,
        "one head": answer // kv,
    }
    working = [
        line(
            "Bytes a token: only key-value heads",
            "每个 token 的字节：只算键值头",
            times(2, layers, kv, e, 2),
            each,
            "B",
        ),
        line("Cache", "缓存", times(each, tokens), answer, "B"),
    ]
    return problem(ask, given, answer, "GiB", working, near)


def _sequences_that_fit(rng: Random) -> Problem:
    gpu = rng.choice(ACCELERATORS)
    model = rng.choice([each for each in GROUPED if decoder_parameters(each) * 2 < gpu.memory * 8 * 10**8])
    tokens, size = rng.choice([4096, 8192, 16384, 32768]), rounded(decoder_parameters(model))
    sequence = kv_bytes(model.layers, model.kv_heads, model.head_width, tokens)
    room = gpu.memory * 10**9 - 2 * size
    answer = room // sequence
    e = model.head_width
    return problem(
        (
            "{model} ({size} parameters, {layers} layers, {heads} query heads and {kv} key-value heads of width {e})"
            " runs in bf16, cache too, on a GPU of {memory} GB. How many sequences of {tokens} tokens fit beside the"
            " weights?",
            "{model}（{size} 参数，{layers} 层，{heads} 个查询头、{kv} 个键值头，头宽 {e}）的权重和缓存都用 bf16，显存"
            " {memory} GB。除权重外，放得下几条 {tokens} 个 token 的序列？",
        ),
        {
            "model": model.name,
            "size": size,
            "layers": model.layers,
            "heads": model.heads,
            "kv": model.kv_heads,
            "e": e,
            "memory": gpu.memory,
            "tokens": tokens,
        },
        answer,
        "sequences",
        [
            line("Weights", "权重", times(2, size), 2 * size, "B"),
            line("One sequence", "一条序列", times(2, model.layers, model.kv_heads, e, tokens, 2), sequence, "B"),
            line("Sequences", "序列数", f"⌊({gpu.memory} × 10^9 − {n(2 * size)}) / {n(sequence)}⌋", answer),
        ],
        {
            "weights ignored": gpu.memory * 10**9 // sequence,
            "all heads keep keys": room // (sequence * model.heads // model.kv_heads),
            "one of keys and values": room // (sequence // 2),
            "rounded up": answer + 1,
        },
        tolerance=EXACT,
    )


def draw_kv_mla(rng: Random, step: int) -> Problem:
    """The cache of multi-head latent attention, and how much smaller it is."""
    model = rng.choice(LATENTS)
    layers, heads, e, latent, rope = model.layers, model.heads, model.head_width, model.latent, model.rope
    if step == 1:
        layers, heads, e = rng.choice([20, 30, 40]), rng.choice([16, 32, 64]), 128
        latent, rope = rng.choice([(256, 64), (512, 64), (256, 32), (512, 128)])
    width = latent + rope
    given: Given = {"layers": layers, "heads": heads, "latent": latent, "rope": rope}
    scene = (
        "{layers} layers, {heads} heads, multi-head latent attention with a latent of width {latent} and a shared"
        " rotary key of {rope}, bf16",
        "{layers} 层，{heads} 个头，多头潜在注意力，潜向量宽 {latent}，共享旋转键宽 {rope}，bf16",
    )
    if step > 1:
        given["model"] = model.name
        scene = ("{model}: " + scene[0], "{model}：" + scene[1])
    kept = line("Numbers a token and layer", "每层每 token 的数", f"{latent} + {rope}", width)
    if step == 3:
        ratio = Fraction(2 * heads * e, width)
        ask = (
            scene[0] + ". How many times smaller is the cache than with plain heads of width {e}?",
            scene[1] + "。与头宽 {e} 的普通多头缓存相比小多少倍？",
        )
        working = [
            kept,
            line("Plain: K and V of every head", "普通：每个头的 K 与 V", times(2, heads, e), 2 * heads * e),
            line("Ratio", "倍数", f"{n(2 * heads * e)} / {width}", ratio),
        ]
        near = {
            "rotary key": Fraction(2 * heads * e, latent),
            "one of keys and values": ratio / 2,
            "latent doubled": Fraction(heads * e, latent),
            "inverse": 1 / ratio,
        }
        return problem(ask, {**given, "e": e}, ratio, "times", working, near)
    tokens = rng.choice([4096, 8192, 16384, 32768, 131072])
    answer = latent_bytes(layers, latent, rope, tokens)
    ask = (scene[0] + ". How large is the cache of {tokens} tokens?", scene[1] + "。{tokens} 个 token 的缓存有多大？")
    near = {
        "latent doubled": 2 * answer,
        "rotary key": latent_bytes(layers, latent, 0, tokens),
        "one layer": answer // layers,
        "latent a head": answer * heads,
        "plain heads": kv_bytes(layers, heads, e, tokens),
    }
    working = [
        kept,
        line("× layers × tokens × bytes", "× 层数 × token × 字节", times(width, layers, tokens, 2), answer, "B"),
    ]
    return problem(ask, {**given, "tokens": tokens}, answer, "GiB" if step == 2 else "MiB", working, near)


FAMILIES = (
    Family(
        "kv_mha", Text("KV cache: multi-head", "KV 缓存：多头"), "DeepSeek-V2 arXiv:2405.04434, table 1", draw_kv_mha
    ),
    Family("kv_gqa", Text("KV cache: grouped queries", "KV 缓存：分组查询"), "GQA arXiv:2305.13245", draw_kv_gqa),
    Family(
        "kv_mla", Text("KV cache: latent attention", "KV 缓存：潜在注意力"), "DeepSeek-V2 arXiv:2405.04434", draw_kv_mla
    ),
)
