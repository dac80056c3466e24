"""Problems about retrieval and rare events: bytes of an index, precision at a base rate."""

from fractions import Fraction
from random import Random

from course_lib.interview.record import Text
from course_lib.interview.sums.compute import precision_at
from course_lib.interview.sums.memory import flat_index_bytes, hnsw_index_bytes, pq_index_bytes
from course_lib.interview.sums.problem import Family, Given, Problem, line, problem, times
from course_lib.interview.sums.units import number as n


def draw_index(rng: Random, step: int) -> Problem:
    """Bytes of a flat index, of HNSW, and vectors that fit as product-quantised codes."""
    vectors, width = rng.choice([1, 5, 10, 50, 100]) * 10**6, rng.choice([512, 768, 1024, 1152])
    if step == 1:
        answer = flat_index_bytes(vectors, width, 4)
        return problem(
            (
                "A flat index holds {vectors} vectors of width {width} in fp32. How large is it?",
                "平铺索引存 {vectors} 条宽度 {width} 的 fp32 向量。有多大？",
            ),
            {"vectors": vectors, "width": width},
            answer,
            "GB",
            [line("Vectors × width × bytes", "向量数 × 宽度 × 字节", times(vectors, width, 4), answer, "B")],
            {"half precision": answer // 2, "one byte": answer // 4, "width ignored": 4 * vectors},
        )
    if step == 2:
        return _hnsw(rng, vectors)
    memory, codes = rng.choice([4, 8, 16, 32, 64]), rng.choice([16, 32, 64, 96])
    each = pq_index_bytes(1, codes) + 8
    answer = Fraction(memory * 10**9) / each
    return problem(
        (
            "Vectors of width {width} are product-quantised to {codes} codes of {bits} bits, each with an id of {id}"
            " bytes. How many fit in {memory} GB, codebooks aside?",
            "宽度 {width} 的向量用乘积量化成 {codes} 个 {bits} 比特的编码，每条另有 {id} 字节的编号。不计码本，"
            "{memory} GB 能放多少条？",
        ),
        {"width": width, "codes": codes, "bits": 8, "id": 8, "memory": memory},
        answer,
        "vectors",
        [
            line("Bytes a vector", "每条向量的字节", f"{codes} × 8 / 8 + 8", each),
            line("Vectors", "向量数", f"{memory} × 10^9 / ({codes} × 8 / 8 + 8)", answer),
        ],
        {
            "id ignored": Fraction(memory * 10**9, codes),
            "not quantised": Fraction(memory * 10**9, 4 * width + 8),
            "bits as bytes": Fraction(memory * 10**9, 8 * codes + 8),
            "one byte a dimension": Fraction(memory * 10**9, width + 8),
        },
    )


def _hnsw(rng: Random, vectors: int) -> Problem:
    """A graph over the vectors."""
    links, (name, width) = (
        rng.choice([16, 32, 64]),
        rng.choice([("CLIP ViT-B/16", 512), ("CLIP ViT-L/14", 768), ("SigLIP so400m", 1152)]),
    )
    answer = hnsw_index_bytes(vectors, width, links)
    return problem(
        (
            "An HNSW index over {vectors} embeddings of {name} (width {width}, fp32) has M = {links}: twice as"
            " many links of four bytes a vector on the ground level. How large is it, upper levels aside?",
            "HNSW 索引存 {vectors} 条 {name} 嵌入（宽度 {width}，fp32），M = {links}："
            "底层每条向量有两倍于此的四字节链接。不计上层，索引有多大？",
        ),
        {"vectors": vectors, "name": name, "width": width, "links": links},
        answer,
        "GB",
        [
            line("Bytes a vector", "每条向量的字节", f"4 × {width} + 2 × {links} × 4", 4 * width + 8 * links),
            line("All", "合计", f"{n(vectors)} × (4 × {width} + 2 × {links} × 4)", answer, "B"),
        ],
        {
            "links ignored": flat_index_bytes(vectors, width, 4),
            "links once": vectors * (4 * width + 4 * links),
            "links only": vectors * 8 * links,
            "half precision": vectors * (2 * width + 8 * links),
            "link bytes ignored": vectors * (4 * width + 2 * links),
        },
    )


def draw_base_rate(rng: Random, step: int) -> Problem:
    """Precision of a detector at a low base rate, false alarms a day, the false-alarm rate that is needed."""
    prevalence = Fraction(rng.choice([1, 2, 5, 10, 20, 50]), 1000)
    hits = Fraction(rng.choice([80, 90, 95, 99]), 100)
    alarms = Fraction(rng.choice([1, 2, 5, 10]), 100)
    given: Given = {"prevalence": prevalence * 100, "hits": hits * 100}
    ask = (
        "{prevalence} % of the images are unsafe. A detector finds {hits} % of them ",
        "{prevalence} % 的图片不安全。检测器能查出其中的 {hits} %，",
    )
    p, t, f = n(prevalence), n(hits), n(alarms)
    if step == 3:
        return _false_alarms_allowed(rng, ask, given, hits, prevalence)
    given["alarms"] = alarms * 100
    ask = (ask[0] + "and flags {alarms} % of the safe ones. ", ask[1] + "同时误标安全图片的 {alarms} %。")
    if step == 1:
        answer = precision_at(prevalence, hits, alarms)
        ask = (ask[0] + "Which share of the flagged images is unsafe?", ask[1] + "被标记的图片中有多大比例确实不安全？")
        working = [
            line("True flags", "真阳性", f"{t} × {p}", hits * prevalence),
            line("False flags", "假阳性", f"{f} × (1 − {p})", alarms * (1 - prevalence)),
            line("Precision", "精确率", f"{t} × {p} / ({t} × {p} + {f} × (1 − {p}))", answer),
        ]
        near = {
            "recall for precision": hits,
            "specificity for precision": 1 - alarms,
            "base rate ignored": hits / (hits + alarms),
            "odds for share": hits * prevalence / (alarms * (1 - prevalence)),
            "what is left": 1 - answer,
        }
        return problem(ask, given, answer, "%", working, near)
    daily = rng.choice([1, 5, 10, 100]) * 10**6
    false = daily * (1 - prevalence) * alarms
    true = daily * prevalence * hits
    ask = (
        ask[0] + "Of {daily} images a day, how many flagged ones must reviewers look at in all?",
        ask[1] + "每天 {daily} 张图片，审核员共要看多少张被标记的图片？",
    )
    working = [
        line("True flags", "真阳性", f"{n(daily)} × {p} × {t}", true),
        line("False flags", "假阳性", f"{n(daily)} × (1 − {p}) × {f}", false),
        line("All", "合计", f"{n(daily)} × {p} × {t} + {n(daily)} × (1 − {p}) × {f}", true + false),
    ]
    near = {
        "true flags only": true,
        "false flags only": false,
        "base rate ignored": daily * alarms,
        "recall for precision": daily * prevalence,
        "every image at risk": daily * (alarms + hits),
    }
    return problem(ask, {**given, "daily": daily}, true + false, "images", working, near)


def _false_alarms_allowed(
    rng: Random, ask: tuple[str, str], given: Given, hits: Fraction, prevalence: Fraction
) -> Problem:
    """The false positive rate that a wanted precision allows."""
    p, t = n(prevalence), n(hits)
    percent = rng.choice([50, 60, 75, 80, 90])
    wanted = Fraction(percent, 100)
    answer = hits * prevalence * (1 - wanted) / (wanted * (1 - prevalence))
    ask = (
        ask[0] + "and {percent} % of what it flags must be unsafe. Which false positive rate is the most it may have?",
        ask[1] + "并且它标记的图片中必须有 {percent} % 确实不安全。假阳性率最多是多少？",
    )
    working = [
        line("True flags in one image", "每张图片的真阳性", f"{t} × {p}", hits * prevalence),
        line(
            "False flags allowed beside them",
            "允许的假阳性",
            f"{t} × {p} × (1 − {n(wanted)}) / {n(wanted)}",
            answer * (1 - prevalence),
        ),
        line(
            "By safe image",
            "除以安全图片的比例",
            f"{t} × {p} × (1 − {n(wanted)}) / ({n(wanted)} × (1 − {p}))",
            answer,
        ),
    ]
    near = {
        "base rate ignored": hits * (1 - wanted) / wanted,
        "precision as specificity": 1 - wanted,
        "odds ignored": hits * prevalence * (1 - wanted),
        "rate of all alarms": hits * prevalence / wanted,
    }
    return problem(ask, {**given, "percent": percent}, answer, "%", working, near)


FAMILIES = (
    Family(
        "index",
        Text("Bytes of a vector index", "向量索引的字节数"),
        "faiss wiki, Guidelines to choose an index; product quantisation doi:10.1109/TPAMI.2010.57",
        draw_index,
    ),
    Family(
        "base_rate", Text("Precision at a base rate", "基础率下的精确率"), "doi:10.1145/1143844.1143874", draw_base_rate
    ),
)
