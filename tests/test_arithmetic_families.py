"""Every family: the answer by a second path from what the question says, near misses, sums, both languages."""

import ast
import math
import re
from collections import Counter
from fractions import Fraction
from random import Random

import pytest

from course_lib.interview.sums import problem as problem_module
from course_lib.interview.sums.families import draw_problem, families
from course_lib.interview.sums.problem import EXACT, ROUNDED, Family, given_text, line, problem
from course_lib.interview.sums.slips import SLIPS
from course_lib.interview.sums.units import SIBLING, UNITS
from course_lib.interview.sums.verdict import judge_answer

DRAWS = 25  # of each family and step: about three thousand in all
KEYS = [(name, step) for name in families() for step in (1, 2, 3)]


def drawn(name, step, draws=DRAWS):
    for seed in range(draws):
        yield draw_problem(name, step, Random(seed))


# --- second paths: search instead of division, sums over shapes, schedules played through --------------------------


def most(cost, budget, start=0):
    """The largest n whose cost stays within the budget, found by doubling and halving."""
    low, high = start, start + 1
    while cost(high) <= budget:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if cost(middle) <= budget else (low, middle)
    return low


def fewest(value, wanted):
    """The smallest n at which a growing value reaches what is wanted."""
    return most(lambda n: 0 if value(n) < wanted else 1, 0) + 1


def matrices(*shapes):
    return sum(math.prod(shape) for shape in shapes)


def matmul(rows, inner, columns):
    return 2 * rows * inner * columns


def cells(side, size):
    """Whole patches that can be laid along a side."""
    return len(range(size, side + 1, size))


def to_nearest(side, size):
    return min(range(size, side + 2 * size, size), key=lambda each: abs(each - side)) // size


def native_limited(g):
    """Side by side with integers: floor(h sqrt(pixels / (h w)) / f) is the most n with (n f)^2 w <= h pixels."""
    rows = most(lambda n: (n * g["factor"]) ** 2 * g["width"], g["height"] * g["pixels"])
    columns = most(lambda n: (n * g["factor"]) ** 2 * g["height"], g["width"] * g["pixels"])
    return rows * columns


def read_by_turns(g, cached):
    """Play the dialogue: what is read at each turn."""
    context, total, seen = g["image"], 0, 0
    for _ in range(g["turns"]):
        context += g["question"]
        total += context - seen
        seen = context if cached else 0
        context += g["reply"]
        if cached:
            seen = context - g["reply"]
    return total


def tables(g):
    return matrices((g["vocabulary"], g["width"])) * (2 if "not tied" in g["asked"] else 1)


def vit_by_shapes(g):
    d, f, p = g["width"], g["mlp"], g["patch"]
    block = matrices(*[(d, d)] * 4, (d, f), (f, d)) + 4 * d + f + d + 4 * d
    return g["layers"] * block + matrices((3 * p * p, d), ((g["image"] // p) ** 2, d))


def decoder_by_shapes(g):
    d, e = g["width"], g["e"]
    attention = matrices((d, g["heads"] * e), (g["heads"] * e, d), (d, g["kv"] * e), (d, g["kv"] * e))
    return g["layers"] * (attention + matrices((d, g["mlp"]), (d, g["mlp"]), (g["mlp"], d))) + tables(g)


def adapters(g, rank):
    """Rank-r factors of the query and value projections, matrix by matrix."""
    d, small = g["width"], g["width"] * g["kv"] // g["heads"]
    return sum(matrices((rank, d), (d, rank), (rank, d), (small, rank)) for _ in range(g["layers"]))


def cache(g, tokens=1):
    """Numbers kept, one layer and one head after the other, two bytes each."""
    heads = g.get("kv", g["heads"])
    return sum(2 * (tokens * g["e"]) * 2 for _ in range(g["layers"]) for _ in range(heads))


def states(g, gpus):
    """Weight, gradient, master weight and two moments: what each takes, and from which stage on it is sharded."""
    kinds = [(2, 3), (2, 2), (4, 1), (4, 1), (4, 1)]
    return sum(Fraction(size * g["size"], gpus if g["stage"] >= stage else 1) for size, stage in kinds)


def nf4(g, double):
    """Bytes of 64 x 256 weights, counted, then scaled."""
    weights = 64 * 256
    codes = Fraction(weights, 2)
    constants = (256 * 1 + 4) if double else 256 * 4
    return (codes + constants) * g["size"] / weights


def busy_share(stages, micro):
    """GPipe played through: stage s works on micro-batch m in slot s + m."""
    slots = {(stage, stage + each) for stage in range(stages) for each in range(micro)}
    length = max(slot for _, slot in slots) + 1
    return Fraction(len(slots), stages * length)


def ring_sent(gpus, buffer, phases=2):
    """One chunk a round, n - 1 rounds a phase."""
    return sum(Fraction(buffer, gpus) for _ in range(phases) for _ in range(gpus - 1))


def expected_run(rate, drafted):
    """Sum over where the first rejection falls; the large model adds one token."""
    stop = [(rate**k * (1 - rate), k + 1) for k in range(drafted)] + [(rate**drafted, drafted + 1)]
    return sum(chance * given for chance, given in stop)


def speed(g, drafted):
    return expected_run(g["rate"], drafted) / (1 + sum(g["cost"] for _ in range(drafted)))


def flagged(g):
    """A population of a million images: unsafe and flagged, safe and flagged."""
    unsafe = g["prevalence"] * 10**4
    return unsafe * g["hits"] / 100, (10**6 - unsafe) * g["alarms"] / 100


def trained(g):
    """FLOPs a second over FLOPs a token, in tokens a second."""
    return Fraction(g["gpus"] * g["peak"] * 10**12 * g["percent"], 100) / (2 * g["size"] + 4 * g["size"])


def prefill(g, tokens):
    return Fraction(matmul(tokens, g["size"], 1) * 100, g["peak"] * 10**12 * g["percent"])


def visible(g):
    return g["images"] * g["visual"] + g["text"]


def activations(g):
    """Bytes one layer keeps, tensor by tensor, after Korthikanti et al., section 4.1."""
    s, b, h, a = g["length"], g["batch"], g["width"], g["heads"]
    attention = 2 * s * b * h + 4 * s * b * h + 2 * s * b * h + 2 * s * b * h + s * b * h  # input, QK, V, out, dropout
    scores = 2 * a * s * s * b + a * s * s * b + 2 * a * s * s * b  # softmax, its dropout mask, dropped scores
    mlp = 2 * s * b * h + 8 * s * b * h + 8 * s * b * h + s * b * h
    return attention + mlp + 4 * s * b * h, scores


def fit(g):
    return most(lambda n: n * g["layers"] * g["length"] * g["width"] * 2, (g["memory"] - g["states"]) * 10**9)


ORACLES = {
    "patches": [
        lambda g: sum(1 for _ in range(cells(g["side"], g["patch"])) for _ in range(cells(g["side"], g["patch"]))),
        lambda g: cells(g["side"], g["patch"]) ** 2,
        lambda g: most(lambda n: g["text"] + n * cells(g["side"], g["patch"]) ** 2, g["context"]),
    ],
    "tiles": [
        lambda g: sum(g["each"] for _ in range(g["rows"]) for _ in range(g["columns"])) + g["each"],
        lambda g: (g["height"] * g["width"] + g["tile"] ** 2) // g["patch"] ** 2,
        lambda g: most(lambda n: g["text"] + g["images"] * (n + 1) * g["each"], g["context"]),
    ],
    "merge": [
        lambda g: cells(g["side"], g["merge"]) ** 2,
        lambda g: cells(g["image"], g["patch"] * g["merge"]) ** 2,
        lambda g: (
            most(lambda n: g["text"] + n * cells(g["image"], g["patch"] * g["merge"]) ** 2, g["context"])
            - most(lambda n: g["text"] + n * cells(g["image"], g["patch"]) ** 2, g["context"])
        ),
    ],
    "native": [
        lambda g: to_nearest(g["height"], 28) * to_nearest(g["width"], 28),
        lambda g: to_nearest(g["height"], 28) * to_nearest(g["width"], 28),
        native_limited,
    ],
    "video": [
        lambda g: sum(g["frame"] for _ in range(g["seconds"] * g["fps"])),
        lambda g: len(range(0, g["seconds"] * g["fps"], 2)) * g["height"] * g["width"] // 28**2,
        lambda g: most(lambda n: g["text"] + n * (g["height"] // 28) * (g["width"] // 28), g["context"]),
    ],
    "mrope": [
        lambda g: 1 + max(g["text"] + max(row, column) for row in range(g["rows"]) for column in range(g["columns"])),
        lambda g: g["text"] + max(g["height"], g["width"]) // g["factor"],
        lambda g: sum(g["text"] + max(g["height"], g["width"]) // g["factor"] for _ in range(g["images"])),
    ],
    "cost": [
        lambda g: sum(g["price"] * part / 10**6 for part in [g["text"], *[g["each"]] * g["images"]]),
        lambda g: (g["text"] + g["images"] * (g["tile"] + g["tiles"] * g["tile"])) * g["price"] / 10**6,
        lambda g: most(
            lambda n: g["requests"] * (g["text"] + n * (1 + g["tiles"]) * g["tile"]) * g["price"] / 10**6, g["budget"]
        ),
    ],
    "dialogue": [
        lambda g: read_by_turns(g, True),
        lambda g: read_by_turns(g, False),
        lambda g: 1 - Fraction(read_by_turns(g, True), read_by_turns(g, False)),
    ],
    "audio": [
        lambda g: len(range(0, g["seconds"] * 1000 - g["window"] + 1, g["hop"])),
        lambda g: sum(1500 for _ in range(0, g["seconds"], g["window"])),
        lambda g: most(lambda n: g["text"] + n * 25, g["context"]),
    ],
    "codec": [
        lambda g: sum(g["books"] for _ in range(g["rate"] * g["seconds"])),
        lambda g: round(g["rate"] * g["books"] * math.log2(g["entries"])),
        lambda g: most(lambda n: g["text"] + n * g["rate"] * g["books"], g["context"]),
    ],
    "block": [
        lambda g: matrices(*[(g["width"], g["width"])] * 4, *[(g["width"], 4 * g["width"])] * 2),
        lambda g: (
            matrices(*[(g["width"], g["width"] + 1)] * 4, *[(g["width"], g["mlp"])] * 2) + g["mlp"] + 5 * g["width"]
        ),
        lambda g: most(lambda n: n * matrices(*[(g["width"], g["width"])] * 12), g["budget"]),
    ],
    "swiglu": [
        lambda g: matrices(*[(g["width"], g["mlp"])] * 3),
        lambda g: sum(matrices(*[(g["width"], g["mlp"])] * 3) for _ in range(g["layers"])),
        lambda g: g["multiple"] * fewest(lambda n: 3 * n * g["multiple"], 2 * g["ratio"] * g["width"]),
    ],
    "embedding": [tables, tables, lambda g: Fraction(tables(g), g["whole"])],
    "vit": [
        lambda g: matrices((3 * g["patch"] * g["patch"], g["width"])),
        vit_by_shapes,
        lambda g: matrices((g["high"] ** 2, g["width"])) - matrices((g["low"] ** 2, g["width"])),
    ],
    "decoder": [
        lambda g: matrices(*[(g["width"], g["width"])] * (12 * g["layers"])) + g["vocabulary"] * g["width"],
        decoder_by_shapes,
        lambda g: 1 / (1 + Fraction(g["connector"] + g["language"], g["vision"])),
    ],
    "connector": [
        lambda g: matrices((g["vision"] + 1, g["width"])),
        lambda g: matrices((g["vision"] + 1, g["width"]), (g["width"] + 1, g["width"])),
        lambda g: (
            matrices(
                (g["merge"] ** 2 * g["vision"] + 1, g["merge"] ** 2 * g["vision"]),
                (g["merge"] ** 2 * g["vision"] + 1, g["width"]),
            )
            + 2 * g["vision"]
        ),
    ],
    "moe": [
        lambda g: sum(matrices(*[(g["width"], g["wide"])] * 3) for _ in range(g["experts"])),
        lambda g: sum(matrices(*[(g["width"], g["wide"])] * 3) for _ in range(g["layers"] * g["active"])),
        lambda g: (
            1
            - Fraction(
                g["layers"] * (g["experts"] - g["active"]) * 3 * g["width"] * g["wide"],
                g["layers"] * g["experts"] * 3 * g["width"] * g["wide"] + g["dense"],
            )
        ),
    ],
    "lora": [
        lambda g: matrices((g["rank"], g["inputs"]), (g["outputs"], g["rank"])),
        lambda g: adapters(g, g["rank"]),
        lambda g: most(lambda n: 2 * adapters(g, n), g["megabytes"] * 10**6),
    ],
    "lora_memory": [
        lambda g: sum([2 * g["size"], *(each * g["trained"] for each in (2, 2, 4, 4, 4))]),
        lambda g: sum([2 * g["size"], *(each * g["trained"] for each in (2, 2, 4, 4, 4))]),
        lambda g: most(lambda n: g["reserve"] * 10**9 + 2 * g["size"] + n * 2 * g["trained"], g["memory"] * 10**9),
    ],
    "qlora": [
        lambda g: nf4(g, False),
        lambda g: nf4(g, True) + sum(each * g["trained"] for each in (2, 2, 4, 4, 4)),
        lambda g: nf4(g, False) - nf4(g, True),
    ],
    "weights": [
        lambda g: Fraction(g["size"] * g["bits"], 8),
        lambda g: Fraction(g["size"], g["group"]) * Fraction(g["group"] * g["bits"] + g["scale"], 8),
        lambda g: Fraction(g["memory"] - g["reserve"]) * 10**9 / Fraction(g["bits"], 8),
    ],
    "kv_mha": [
        lambda g: cache(g, g["tokens"]),
        lambda g: cache(g, visible(g)),
        lambda g: most(lambda n: n * cache(g), g["gib"] * 1024**3),
    ],
    "kv_gqa": [
        lambda g: cache(g, g["tokens"]),
        lambda g: cache(g, g["tokens"]),
        lambda g: most(lambda n: 2 * g["size"] + n * cache(g, g["tokens"]), g["memory"] * 10**9),
    ],
    "kv_mla": [
        lambda g: sum(2 * each * g["tokens"] for _ in range(g["layers"]) for each in (g["latent"], g["rope"])),
        lambda g: sum(2 * each * g["tokens"] for _ in range(g["layers"]) for each in (g["latent"], g["rope"])),
        lambda g: Fraction(cache(g), sum(2 * (g["latent"] + g["rope"]) for _ in range(g["layers"]))),
    ],
    "adam": [
        lambda g: sum(each * g["size"] for each in (2, 2, 4, 4, 4)),
        lambda g: sum(each * g["size"] for each in (2, 2, 4, 4, 4)),
        lambda g: Fraction((g["memory"] - g["reserve"]) * 10**9, sum((2, 2, 4, 4, 4))),
    ],
    "zero": [
        lambda g: states(g, g["gpus"]),
        lambda g: states(g, g["gpus"]),
        lambda g: next(n for n in range(1, 10**5) if states(g, n) <= g["budget"] * 10**9),
    ],
    "activations": [
        lambda g: activations({**g, "heads": 0})[0],
        lambda g: sum(sum(activations(g)) for _ in range(g["layers"])),
        lambda g: Fraction(activations({**g, "batch": 1})[1], sum(activations({**g, "batch": 1}))),
    ],
    "batch": [
        lambda g: most(lambda n: g["states"] + n * g["each"], g["memory"]),
        fit,
        lambda g: fewest(lambda n: n * g["gpus"] * fit(g), g["wanted"]),
    ],
    "flops": [
        lambda g: matmul(1, g["size"], 1) + 2 * matmul(1, g["size"], 1),
        lambda g: matmul(visible(g), g["size"], 1),
        lambda g: (
            matmul(visible(g), g["size"], 1)
            + g["layers"] * (matmul(visible(g), g["width"], visible(g)) + matmul(visible(g), visible(g), g["width"]))
        ),
    ],
    "attention": [
        lambda g: sum(2 * matmul(g["length"], g["width"] // g["heads"], g["length"]) for _ in range(g["heads"])),
        lambda g: sum(2 * matmul(g["tokens"], g["width"], g["tokens"]) for _ in range(g["layers"])),
        lambda g: fewest(
            lambda n: 2 * matmul(n, g["width"], n) - matmul(n, g["factor"] * g["width"], g["width"]) + (n > 0), 1
        ),
    ],
    "training_time": [
        lambda g: g["tokens"] / trained(g),
        lambda g: g["tokens"] / trained(g),
        lambda g: g["rate"] / trained({**g, "percent": 100}),
    ],
    "chinchilla": [
        lambda g: sum(g["size"] for _ in range(g["ratio"])),
        lambda g: 120 * g["size"] ** 2,
        lambda g: most(
            lambda n: 6 * n * g["ratio"] * n, g["gpus"] * g["peak"] * 10**10 * g["percent"] * g["days"] * 24 * 60 * 60
        ),
    ],
    "prefill": [
        lambda g: prefill(g, g["tokens"]),
        lambda g: prefill(g, g["text"] + sum(g["each"] for _ in range(g["images"]))),
        lambda g: most(lambda n: prefill(g, g["text"] + n * g["each"]) * 1000, g["budget"]),
    ],
    "decode": [
        lambda g: 1 / Fraction(g["bandwidth"] * 10**9, 2 * g["size"]),
        lambda g: Fraction(
            2 * g["size"] + sum(cache(g, g["tokens"]) for _ in range(g["batch"])), g["bandwidth"] * 10**9
        ),
        lambda g: Fraction(g["bits"], 8 * g["bandwidth"] * 10**9) / Fraction(2, g["peak"] * 10**12),
    ],
    "speculative": [
        lambda g: expected_run(g["rate"], g["drafted"]),
        lambda g: speed(g, g["drafted"]),
        lambda g: max(range(g["low"], g["high"] + 1), key=lambda k: speed(g, k)),
    ],
    "bubble": [
        lambda g: 1 - busy_share(g["stages"], g["micro"]),
        lambda g: 1 - busy_share(g["stages"], g["batch"] // g["replicas"] // g["size"]),
        lambda g: next(m for m in range(1, 10**4) if (1 - busy_share(g["stages"], m)) * 100 <= g["percent"]),
    ],
    "global_batch": [
        lambda g: sum(g["micro"] * g["length"] for _ in range(g["gpus"]) for _ in range(g["accumulate"])),
        lambda g: fewest(lambda n: n * g["micro"] * g["length"] * g["gpus"] * g["accumulate"], g["corpus"]),
        lambda g: fewest(lambda n: n * g["micro"] * g["length"] * g["gpus"], g["wanted"]),
    ],
    "all_reduce": [
        lambda g: ring_sent(g["gpus"], 2 * g["size"]),
        lambda g: ring_sent(g["gpus"], 2 * g["size"]) / Fraction(g["gbit"] * 10**9, 8),
        lambda g: ring_sent(g["gpus"], 2 * g["size"], phases=3),
    ],
    "gather": [
        lambda g: sum(g["local"] * g["width"] * 2 for _ in range(1, g["gpus"]) for _ in ("image", "text")),
        lambda g: sum(g["local"] * g["width"] * 2 for _ in range(1, g["gpus"]) for _ in ("image", "text")),
        lambda g: sum(g["local"] * 4 for _ in range(g["local"]) for _ in range(g["gpus"])),
    ],
    "index": [
        lambda g: g["vectors"] * sum(4 for _ in range(g["width"])),
        lambda g: g["vectors"] * (sum(4 for _ in range(g["width"])) + sum(4 for _ in range(2 * g["links"]))),
        lambda g: Fraction(g["memory"] * 10**9 * 8, g["codes"] * g["bits"] + 8 * g["id"]),
    ],
    "base_rate": [
        lambda g: flagged(g)[0] / sum(flagged(g)),
        lambda g: sum(flagged(g)) * g["daily"] / 10**6,
        lambda g: (
            flagged({**g, "alarms": 1})[0] * (Fraction(100, g["percent"]) - 1) / (10**6 - g["prevalence"] * 10**4)
        ),
    ],
}
SLACK = {  # what the question leaves out or the answer rounds: biases, norms, the root of a budget
    ("vit", 2): Fraction(1, 1000),
    ("decoder", 2): Fraction(1, 1000),
    ("chinchilla", 3): Fraction(1, 10**8),
}


def test_there_are_enough_families_and_each_has_a_second_path():
    assert len(families()) >= 24
    assert set(ORACLES) == set(families()) and all(len(paths) == 3 for paths in ORACLES.values())


@pytest.mark.parametrize("name, step", KEYS)
def test_the_answer_agrees_with_a_second_path(name, step):
    for each in drawn(name, step):
        given = {**each.given, "asked": each.question.en}
        expected = ORACLES[name][step - 1](given)
        slack = SLACK.get((name, step), 0)
        assert abs(each.answer - expected) <= slack * expected, each.question.en


@pytest.mark.parametrize("name, step", KEYS)
def test_a_drawn_problem_is_whole(name, step):
    questions = set()
    for each in drawn(name, step):
        questions.add(each.question.en)
        assert (each.family, each.step) == (name, step)
        assert each.answer > 0 and each.tolerance in (EXACT, ROUNDED)
        assert not (each.tolerance == EXACT and Fraction(each.answer).denominator != 1)
        own = [miss for miss in each.near_misses if not miss.name.startswith(("prefix", "decimal for", "binary for"))]
        assert len(own) >= 2, each.question.en
        shown = {given_text(value) for value in each.given.values()}
        assert all(text in each.question.en and text in each.question.zh for text in shown)
    assert len(questions) >= 3


@pytest.mark.parametrize("name, step", KEYS)
def test_near_misses_are_wrong_and_recognised(name, step):
    for each in drawn(name, step, 12):
        for miss in each.near_misses:
            assert abs(miss.value - each.answer) > 2 * each.tolerance * each.answer, (each.question.en, miss.name)
            assert miss.value != each.answer
            typed = f"{miss.value.numerator}/{miss.value.denominator}"
            in_unit = Fraction(typed) / UNITS[each.unit].scale
            verdict = judge_answer(each, f"{in_unit.numerator}/{in_unit.denominator} {BARE.get(each.unit, each.unit)}")
            assert not verdict.correct and verdict.understood and verdict.near_miss == miss.name, each.question.en


BARE = {"tokens per forward": "tokens", "width": "", "rank": ""}


@pytest.mark.parametrize("name, step", KEYS)
def test_the_right_answer_is_right_however_it_is_said(name, step):
    for each in drawn(name, step, 12):
        for language in ("en", "zh"):
            said = re.sub(r" \([\d.,]+[MBT]\)", "", each.said_answer(language))
            assert judge_answer(each, said).correct, (said, each.question.en)
        if each.tolerance:
            low, high = (each.answer * (1 + sign * each.tolerance * Fraction(9, 10)) for sign in (-1, 1))
            scale = UNITS[each.unit].scale
            assert all(judge_answer(each, f"{float(value / scale)!r}").correct for value in (low, high))
            outside = each.answer * (1 + each.tolerance * Fraction(11, 10)) / scale
            assert each.unit == "%" or not judge_answer(each, repr(float(outside))).correct


NUMBER, NAME = r"\d+(?:[.,]\d+)*", r"\b[A-Z][A-Za-z]*[A-Z]\w*"
UNTRANSLATED = {"GPU", "FLOP"}
"""Plain nouns that each language repeats or replaces (张, 卡) as it likes."""


@pytest.mark.parametrize("name, step", KEYS)
def test_both_languages_hold_the_same_numbers(name, step):
    for each in drawn(name, step):
        texts = [(each.task("en"), each.task("zh"))]
        texts += [(line.what.en, line.what.zh) for line in each.working]
        texts += [(miss.why.en, miss.why.zh) for miss in each.near_misses]
        for en, zh in texts:
            assert re.search("[\u4e00-\u9fff]", zh) or zh == en, zh
            apart = re.sub(r"([\u3000-\u9fff\uff00-\uffef])", r" \1 ", zh)
            assert Counter(re.findall(NUMBER, en)) == Counter(re.findall(NUMBER, apart)), (en, zh)
            named = [{each.removesuffix("s") for each in re.findall(NAME, text)} - UNTRANSLATED for text in (en, apart)]
            assert named[0] == named[1], (en, zh)


def evaluate(text):
    """The value of a printed sum."""
    for shown, meant in (
        ("⌊", "floor("),
        ("⌋", ")"),
        ("⌈", "ceil("),
        ("⌉", ")"),
        ("√", "sqrt"),
        ("×", "*"),
        ("−", "-"),
    ):
        text = text.replace(shown, meant)
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text).replace("^", "**")
    return eval(
        compile(ast.parse(text, mode="eval"), "sum", "eval"),
        {each: getattr(math, each) for each in ("floor", "ceil", "sqrt")},
    )


@pytest.mark.parametrize("name, step", KEYS)
def test_worked_sums_are_true_and_end_at_the_answer(name, step):
    for each in drawn(name, step):
        *sums, last = each.working
        assert sums and last.sum == each.said_answer()
        for worked in sums:
            left, right = worked.sum.split(" = ")
            value = re.match(r"-?[\d,.]+(?:e-?\d+)?", right)[0]
            assert evaluate(left) == pytest.approx(evaluate(value), rel=6e-4), (each.question.en, worked.sum)
        if (name, step) == ("speculative", 3):
            continue  # its last sum is a speed, the answer the length that gives the best one
        final = evaluate(re.match(r"[^=]+", sums[-1].sum)[0])
        scales = {UNITS[each.unit].scale, Fraction(1)} | ({Fraction(1, 1000)} if each.unit == "ms" else set())
        scales |= {Fraction(86400)} if each.unit == "days" else set()
        assert any(final * float(scale) == pytest.approx(float(each.answer), rel=1e-6) for scale in scales), sums[
            -1
        ].sum


def test_every_slip_of_the_list_comes_up_and_is_plain():
    met = {miss.name for name, step in KEYS for each in drawn(name, step) for miss in each.near_misses}
    assert met == set(SLIPS)
    assert not [text for text in SLIPS.values() if text.en.endswith(".") or text.zh.endswith("。")]


def test_the_same_seed_draws_the_same_problem_and_none_leaves_the_choice_open():
    assert draw_problem(None, None, Random(3)) == draw_problem(None, None, Random(3))
    rng = Random(8)
    many = [draw_problem(None, None, rng) for _ in range(300)]
    assert {each.step for each in many} == {1, 2, 3} and len({each.family for each in many}) == len(families())
    assert {draw_problem("zero", None, Random(seed)).family for seed in range(9)} == {"zero"}


def test_families_name_their_source():
    for family in families().values():
        assert re.search(r"arXiv:\d{4}\.\d{5}|doi:10\.|https://|drawn", family.source), family.name
        assert re.search("[\u4e00-\u9fff]|MFU", family.title.zh)


def test_what_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="no family 'kv'; there are patches, tiles"):
        draw_problem("kv", 1, Random(0))
    with pytest.raises(ValueError, match="step 4: there are 1 .round numbers., 2"):
        draw_problem("zero", 4, Random(0))


def test_a_problem_that_contradicts_itself_is_refused():
    good = {"ask": ("{a} and?", "{a} 呢？"), "given": {"a": 2}, "answer": 4, "unit": "GiB", "working": [], "near": {}}
    assert problem(**good).answer == 4
    with pytest.raises(ValueError, match=r"template names \['a'\], given are \['a', 'b'\]"):
        problem(**{**good, "given": {"a": 2, "b": 3}})
    with pytest.raises(ValueError, match=r"template names \[\], given are \['a'\]"):
        problem(**{**good, "ask": ("{a} and?", "呢？")})
    with pytest.raises(ValueError, match="an exact answer is a whole number, got 1/2"):
        problem(**{**good, "answer": Fraction(1, 2)}, tolerance=EXACT)
    with pytest.raises(ValueError, match="given value 1/3 has no exact short decimal"):
        problem(**{**good, "given": {"a": Fraction(1, 3)}})
    with pytest.raises(KeyError, match="no such slip"):
        problem(**good, **{}) and problem(**{**good, "near": {"no such slip": 9}})


def test_slips_that_change_nothing_or_repeat_another_are_left_out():
    made = problem(
        ("{a}?", "{a}？"),
        {"a": 2},
        2**31,
        "GiB",
        [line("x", "甲", "2 × 1", 2)],
        {"one layer": 2**31, "one head": 2**30, "one tower": 2**30 + 1, "fp32": -1},
    )
    names = [miss.name for miss in made.near_misses]
    assert names[0] == "one head" and not {"one layer", "one tower", "fp32"} & set(names)
    assert {"decimal for binary", "binary for decimal", "bits for bytes", "prefix too large"} <= set(names)
    assert SIBLING["GiB"] == "GB" and SIBLING["MB"] == "MiB"


def test_a_family_draws_only_known_steps():
    family = Family("one", next(iter(families().values())).title, "arXiv:2010.11929", lambda rng, step: None)
    with pytest.raises(ValueError, match="step 0"):
        family.problem(Random(0), 0)


@pytest.mark.parametrize("name, step", KEYS)
def test_every_slip_that_a_family_declares_leads_somewhere_else(name, step, monkeypatch):
    declared, kept, real = set(), set(), problem_module._distinct

    def watched(near, answer, tolerance):
        found = real(near, answer, tolerance)
        declared.update(near)
        kept.update(miss.name for miss in found)
        return found

    monkeypatch.setattr(problem_module, "_distinct", watched)
    list(drawn(name, step, 60))
    assert {each for each in declared - kept if not each.startswith(("prefix", "decimal for", "binary for"))} <= {
        "bits for bytes"  # eight times the bytes may be what a family's own slip leads to
    }
