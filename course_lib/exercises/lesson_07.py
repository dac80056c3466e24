"""Exercises of lesson 07: fuse by name, low-rank fusion, late fusion in two spaces, choose an operator."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from course_lib.lesson.exercises import Exercise

# --- 07.1 fuse ----------------------------------------------------------------------------------------------------

OPERATORS = ("sum", "mean", "product", "max", "concat", "outer")


def _pair(batch=3, image_width=4, text_width=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, image_width, generator=generator), torch.randn(batch, text_width, generator=generator)


def _raises_value_error(call):
    try:
        call()
    except ValueError:
        return True
    except NotImplementedError:
        raise
    except Exception:
        return False
    return False


def fuse_returns_tensors(fuse):
    for operator in OPERATORS:
        got = fuse(*_pair(), operator)
        assert isinstance(got, torch.Tensor), f"{operator} came back as {type(got).__name__}: does every branch return?"


def fuse_takes_any_widths(fuse):
    image, text = _pair(text_width=5)
    for operator, width in {"concat": 9, "outer": 20}.items():
        assert not _raises_value_error(lambda operator=operator: fuse(image, text, operator)), (
            f"{operator} takes any widths, 4 and 5 here, and you refuse them; which operators really need equal widths?"
        )
        got = tuple(fuse(image, text, operator).shape)
        assert got == (3, width), f"{operator} of (3, 4) and (3, 5) should be (3, {width}), got {got}"


def fuse_has_values(fuse):
    image, text = torch.tensor([[2.0, -1.0]]), torch.tensor([[4.0, 3.0]])
    expected = {
        "sum": [6.0, 2.0],
        "mean": [3.0, 1.0],
        "product": [8.0, -3.0],
        "max": [4.0, 3.0],
        "concat": [2.0, -1.0, 4.0, 3.0],
        "outer": [8.0, 6.0, -4.0, -3.0],
    }
    advice = {
        "mean": "divide by the number of modalities",
        "max": "compare feature by feature, signs included",
        "concat": "image first, then text",
        "outer": "entry i * D_text + j is image_i * text_j",
    }
    for operator, values in expected.items():
        got = fuse(image, text, operator).flatten().tolist()
        assert got == values, (
            f"{operator} has the right shape but not the right values: {advice.get(operator, 'check it')}"
        )


def fuse_refuses_unequal_widths(fuse):
    image, text = _pair(image_width=4, text_width=1)
    for operator in ("sum", "mean", "product", "max"):
        refused = _raises_value_error(lambda operator=operator: fuse(image, text, operator))
        assert refused, f"{operator} of widths 4 and 1 broadcast in silence; raise ValueError when the widths differ"


def fuse_refuses_unequal_batches(fuse):
    image, text = _pair()
    for operator in OPERATORS:
        refused = _raises_value_error(lambda operator=operator: fuse(image, text[:1], operator))
        assert refused, f"{operator} of 3 images and 1 text paired one text with everyone; raise ValueError"


def _fuse(image, text, operator):
    if len(image) != len(text):
        raise ValueError(f"{len(image)} images and {len(text)} texts are not pairs")
    if operator == "concat":
        return torch.cat([image, text], dim=-1)
    if operator == "outer":
        return (image[:, :, None] * text[:, None, :]).flatten(1)
    if image.shape != text.shape:
        raise ValueError(f"{operator} needs equal widths, got {image.shape[-1]} and {text.shape[-1]}")
    elementwise = {"sum": torch.add, "product": torch.mul, "max": torch.maximum}
    return (image + text) / 2 if operator == "mean" else elementwise[operator](image, text)


def _fuse_refuses_all_unequal(image, text, operator):
    if image.shape != text.shape:
        raise ValueError("shapes differ")
    return _fuse(image, text, operator)


def _fuse_without_checks(image, text, operator):
    if operator in ("concat", "outer"):
        return _fuse(image, text, operator)
    elementwise = {"sum": torch.add, "product": torch.mul, "max": torch.maximum}
    return (image + text) / 2 if operator == "mean" else elementwise[operator](image, text)


def _fuse_checks_width_only(image, text, operator):
    if operator in ("concat", "outer"):
        text = text.expand(len(image), -1)
        return _fuse(image, text, operator)
    if image.shape[-1] != text.shape[-1]:
        raise ValueError("widths differ")
    return _fuse(image, text.expand(len(image), -1), operator)


def _instead(operator, wrong):
    return lambda image, text, op: wrong(image, text) if op == operator else _fuse(image, text, op)


fuse = Exercise(
    id="07.1 fuse",
    task="Write fuse(image, text, operator): (B, D_image), (B, D_text) -> fused, for sum, mean, product, max, concat "
    "and outer. Raise ValueError where the operator cannot apply.",
    stages=(
        fuse_returns_tensors,
        fuse_takes_any_widths,
        fuse_has_values,
        fuse_refuses_unequal_widths,
        fuse_refuses_unequal_batches,
    ),
    reference=_fuse,
    mutants={
        "does every branch return": lambda image, text, operator: (
            _fuse(image, text, operator) if operator != "outer" else None
        ),
        "takes any widths": _fuse_refuses_all_unequal,
        "concat of (3, 4) and (3, 5) should be (3, 9)": _instead(
            "concat", lambda a, b: torch.cat([a, b[:, :4]], dim=0)
        ),
        "divide by the number of modalities": _instead("mean", lambda a, b: a + b),
        "image first, then text": _instead("concat", lambda a, b: torch.cat([b, a], dim=-1)),
        "signs included": _instead("max", lambda a, b: torch.where(a.abs() > b.abs(), b, a)),
        "entry i * D_text + j": _instead("outer", lambda a, b: (b[:, :, None] * a[:, None, :]).flatten(1)),
        "broadcast in silence": _fuse_without_checks,
        "paired one text with everyone": _fuse_checks_width_only,
    },
    hints=(
        "Four operators work feature by feature, two do not. Which still make sense when the widths differ?",
        "PyTorch broadcasts (3, 4) with (3, 1) and with (1, 4) without a word. Compare the shapes yourself, first.",
        "outer: image[:, :, None] * text[:, None, :] is (B, D_image, D_text); flatten it from axis 1.",
    ),
    difficulty=1,
    minutes=10,
)

# --- 07.2 low_rank ------------------------------------------------------------------------------------------------


def _low_rank_case(rank=2, out=3, image_width=4, text_width=5, batch=6):
    generator = torch.Generator().manual_seed(1)
    sizes = [(batch, image_width), (batch, text_width), (rank, out, image_width + 1), (rank, out, text_width + 1)]
    return [torch.randn(*size, generator=generator, dtype=torch.float64) for size in sizes]


def _explicit_tensor(image, text, image_factors, text_factors):
    ones = torch.ones(len(image), 1, dtype=image.dtype)
    tensor = (
        torch.cat([ones, image], 1)[:, :, None] * torch.cat([ones, text], 1)[:, None, :]
    )  # (B, D_image+1, D_text+1)
    weight = torch.einsum("rki,rkj->kij", image_factors, text_factors)
    return torch.einsum("bij,kij->bk", tensor, weight)


def low_rank_has_shape(low_rank):
    got = tuple(low_rank(*_low_rank_case()).shape)
    assert got == (6, 3), f"six examples and three outputs should give (6, 3), got {got}"


def low_rank_keeps_each_modality_alone(low_rank):
    image, text, image_factors, text_factors = _low_rank_case()
    silent = torch.zeros_like(text)
    got = low_rank(image, silent, image_factors, text_factors)
    moved = low_rank(2 * image, silent, image_factors, text_factors)
    assert not torch.allclose(got, moved), (
        "with an all-zero text the image must still count: put a 1 before each vector"
    )


def low_rank_multiplies(low_rank):
    image, text, image_factors, text_factors = _low_rank_case(rank=1)
    base = low_rank(image, text, image_factors, text_factors)
    doubled = low_rank(image, text, 2 * image_factors, text_factors)
    assert torch.allclose(doubled, 2 * base), (
        "doubling one modality's factors must double the result: multiply, not add"
    )


def low_rank_sums_after_multiplying(low_rank):
    case = _low_rank_case(rank=2)
    got, parts = low_rank(*case), [low_rank(*case[:2], case[2][r : r + 1], case[3][r : r + 1]) for r in range(2)]
    assert torch.allclose(got, parts[0] + parts[1]), (
        "rank 2 is two rank-1 results added: multiply first, then sum over rank"
    )


def low_rank_equals_the_tensor(low_rank):
    case = _low_rank_case(rank=5)
    assert torch.allclose(low_rank(*case), _explicit_tensor(*case)), (
        "differs from the explicit tensor: column 0 of the factors belongs to the 1, columns 1.. to the features"
    )


class _LargestTensor(TorchDispatchMode):
    """Remembers the largest tensor that any operation made."""

    numel = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.numel = max(self.numel, result.numel())
        return result


def low_rank_never_builds_the_tensor(low_rank):
    with _LargestTensor() as largest:
        low_rank(*_low_rank_case(rank=2, out=1, image_width=60, text_width=70, batch=3))
    assert largest.numel < 61 * 71, "a tensor with all pairs of features was built; project to (B, R, K) first instead"


def _low_rank(image, text, image_factors, text_factors):
    ones = image.new_ones(len(image), 1)
    image_part = torch.einsum("bi,rki->brk", torch.cat([ones, image], dim=1), image_factors)
    text_part = torch.einsum("bj,rkj->brk", torch.cat([ones, text], dim=1), text_factors)
    return (image_part * text_part).sum(dim=1)


def _low_rank_parts(image, text, image_factors, text_factors, *, last=False):
    ones = image.new_ones(len(image), 1)
    with_one = [torch.cat([x, ones] if last else [ones, x], dim=1) for x in (image, text)]
    return [torch.einsum("bi,rki->brk", x, f) for x, f in zip(with_one, (image_factors, text_factors), strict=True)]


def _low_rank_adds(*case):
    image_part, text_part = _low_rank_parts(*case)
    return (image_part + text_part).sum(dim=1)


def _low_rank_sums_first(*case):
    image_part, text_part = _low_rank_parts(*case)
    return image_part.sum(dim=1) * text_part.sum(dim=1)


def _low_rank_one_last(*case):
    image_part, text_part = _low_rank_parts(*case, last=True)
    return (image_part * text_part).sum(dim=1)


def _low_rank_without_one(image, text, image_factors, text_factors):
    image_part = torch.einsum("bi,rki->brk", image, image_factors[..., 1:])
    return (image_part * torch.einsum("bj,rkj->brk", text, text_factors[..., 1:])).sum(dim=1)


low_rank = Exercise(
    id="07.2 low_rank",
    task="Write low_rank(image, text, image_factors, text_factors): (B, D_image), (B, D_text), (R, K, D_image+1), "
    "(R, K, D_text+1) -> (B, K), the tensor fusion whose weight tensor has rank R, without building the tensor.",
    stages=(
        low_rank_has_shape,
        low_rank_keeps_each_modality_alone,
        low_rank_multiplies,
        low_rank_sums_after_multiplying,
        low_rank_equals_the_tensor,
        low_rank_never_builds_the_tensor,
    ),
    reference=_low_rank,
    mutants={
        "should give (6, 3)": lambda *case: torch.mul(*_low_rank_parts(*case)),
        "put a 1 before each vector": _low_rank_without_one,
        "multiply, not add": _low_rank_adds,
        "multiply first, then sum over rank": _low_rank_sums_first,
        "column 0 of the factors belongs to the 1": _low_rank_one_last,
        "all pairs of features was built": _explicit_tensor,
    },
    hints=(
        "Project each modality to (B, R, K) first. No tensor with two feature axes is needed.",
        "[1; image] is torch.cat([ones, image], dim=1); torch.einsum('bi,rki->brk', ...) projects it.",
        "Multiply the two (B, R, K) projections element by element, then sum over the axis R.",
    ),
    difficulty=3,
    minutes=15,
)

# --- 07.3 late_fusion ---------------------------------------------------------------------------------------------

IMAGE_LOGITS = torch.tensor([[0.9, 0.1], [0.5, 0.5]]).log()
TEXT_LOGITS = torch.tensor([[0.4, 0.6], [0.2, 0.8]]).log()


def late_returns_probabilities(late_fusion):
    for space in ("log", "probability"):
        got = late_fusion(IMAGE_LOGITS, TEXT_LOGITS, 0.25, space)
        assert got.shape == (2, 2) and got.is_floating_point(), (
            f"{space}: (2, 2) probabilities are due, not decisions; an average of labels invents classes in between"
        )
        total = got.sum(dim=-1)
        assert torch.allclose(total, torch.ones(2)), f"{space}: rows sum to {total.tolist()}, not 1: normalise again"


def late_ignores_a_constant(late_fusion):
    for space in ("log", "probability"):
        shifted = late_fusion(IMAGE_LOGITS + 7.0, TEXT_LOGITS, 0.25, space)
        assert torch.allclose(shifted, late_fusion(IMAGE_LOGITS, TEXT_LOGITS, 0.25, space), atol=1e-5), (
            f"{space}: adding 7 to all logits of one modality changed the answer; softmax each modality before mixing"
        )


def late_mixes_probabilities(late_fusion):
    got = late_fusion(IMAGE_LOGITS, TEXT_LOGITS, 0.25, "probability")[0, 0].item()
    assert abs(got - 0.775) > 1e-5, "probability: the weight landed on the text; `weight` belongs to the image"
    assert abs(got - 0.525) < 1e-5, f"probability: 0.25 * 0.9 + 0.75 * 0.4 should be 0.525, got {got:.3f}"


def late_multiplies_in_log_space(late_fusion):
    got = late_fusion(IMAGE_LOGITS, TEXT_LOGITS, 0.25, "log")[0, 0].item()
    powers = 0.9**0.25 * 0.4**0.75, 0.1**0.25 * 0.6**0.75
    right = powers[0] / sum(powers)
    assert abs(got - 0.525) > 1e-5, "log: that is the average of probabilities; average the logarithms, then normalise"
    assert abs(got - right) < 1e-5, (
        f"log: p is proportional to p_image^w * p_text^(1-w), here {right:.3f}, got {got:.3f}"
    )


def _late(image_logits, text_logits, weight, space):
    if space == "probability":
        return weight * image_logits.softmax(-1) + (1 - weight) * text_logits.softmax(-1)
    return (weight * image_logits.log_softmax(-1) + (1 - weight) * text_logits.log_softmax(-1)).softmax(-1)


def _in_log_space(wrong):
    return lambda i, t, w, space: wrong(i, t, w) if space == "log" else _late(i, t, w, space)


def _in_probability_space(wrong):
    return lambda i, t, w, space: wrong(i, t, w) if space == "probability" else _late(i, t, w, space)


def _geometric_without_normalising(image_logits, text_logits, weight):
    return (weight * image_logits.log_softmax(-1) + (1 - weight) * text_logits.log_softmax(-1)).exp()


late_fusion = Exercise(
    id="07.3 late_fusion",
    task="Write late_fusion(image_logits, text_logits, weight, space): (B, K), (B, K) -> (B, K) probabilities. "
    "space='probability' averages probabilities, space='log' averages log-probabilities and normalises again; "
    "`weight` is the image's share.",
    stages=(
        late_returns_probabilities,
        late_ignores_a_constant,
        late_mixes_probabilities,
        late_multiplies_in_log_space,
    ),
    reference=_late,
    mutants={
        "an average of labels": lambda i, t, w, space: w * i.argmax(-1) + (1 - w) * t.argmax(-1),
        "normalise again": _in_log_space(_geometric_without_normalising),
        "rows sum to [2.0, 2.0]": _in_probability_space(lambda i, t, w: i.softmax(-1) + t.softmax(-1)),
        "softmax each modality before mixing": _in_probability_space(
            lambda i, t, w: (w * i + (1 - w) * t) / (w * i + (1 - w) * t).sum(-1, keepdim=True)
        ),
        "the weight landed on the text": lambda i, t, w, space: _late(i, t, 1 - w, space),
        "that is the average of probabilities": lambda i, t, w, space: _late(i, t, w, "probability"),
        "p is proportional to": _in_log_space(lambda i, t, w: (i.log_softmax(-1) + t.log_softmax(-1)).softmax(-1)),
    },
    hints=(
        "Both spaces start from each modality's own softmax. They differ in what is averaged.",
        "probability: weight * p_image + (1 - weight) * p_text. Rows already sum to 1.",
        "log: average log_softmax of both with the same weights, then softmax the result: rows sum to 1 again.",
    ),
    difficulty=2,
    minutes=10,
)

# --- 07.4 pick_operator -------------------------------------------------------------------------------------------

FIELDS = ("image", "text", "additive", "joint", "chance")
REPORTS = {
    "copy": ((1.00, 1.00, 1.00, 1.00, 0.5), "one modality"),
    "third decimal": ((0.90, 0.60, 0.901, 0.903, 0.5), "one modality"),
    "AND": ((0.75, 0.76, 1.00, 1.00, 0.5), "late fusion"),
    "ten classes": ((0.62, 0.58, 0.82, 0.82, 0.1), "late fusion"),
    "XOR": ((0.49, 0.51, 0.50, 1.00, 0.5), "interaction"),
    "mostly additive": ((0.60, 0.61, 0.74, 0.88, 0.1), "interaction"),
    "nothing learnt": ((0.10, 0.11, 0.10, 0.11, 0.1), "collect better data"),
    "joint training failed": ((0.70, 0.55, 0.90, 0.72, 0.5), "late fusion"),
    "joint at chance": ((0.70, 0.55, 0.69, 0.50, 0.5), "one modality"),
}


def _report(name):
    return dict(zip(FIELDS, REPORTS[name][0], strict=True))


def _verdict(pick, name):
    return pick(**_report(name)) == REPORTS[name][1]


def pick_knows_the_three_answers(pick_operator):
    got = pick_operator(**_report("XOR"))
    allowed = {right for _, right in REPORTS.values()}
    assert got in allowed, f"answer one of {sorted(allowed)}, got {got!r}"
    assert got == "interaction", "XOR: additive is at chance and joint is not; only an interaction explains that"


def pick_does_not_call_and_an_interaction(pick_operator):
    for name in ("AND", "ten classes"):
        assert _verdict(pick_operator, name), f"{name}: additive already reaches joint; late fusion is enough"


def pick_prefers_one_modality(pick_operator):
    assert _verdict(pick_operator, "copy"), "copy: one modality alone reaches joint; do not pay for the other"
    assert _verdict(pick_operator, "third decimal"), "a gain of 0.003 is noise; use `tolerance`"


def pick_asks_about_chance(pick_operator):
    assert _verdict(pick_operator, "nothing learnt"), "joint stands at chance: no operator helps, collect better data"
    assert _verdict(pick_operator, "mostly additive"), "additive 0.74 and joint 0.88: the last 0.14 are interaction"


def pick_doubts_the_joint_model(pick_operator):
    for name in ("joint training failed", "joint at chance"):
        assert _verdict(pick_operator, name), (
            f"{name}: another model is better than joint; the best of the four is the ceiling"
        )


def pick_counts_the_tolerance_in(pick_operator):
    got = pick_operator(image=0.5, text=0.5, additive=0.5, joint=0.75, chance=0.125, tolerance=0.25)
    assert got == "one modality", "a difference of exactly `tolerance` is noise too, whatever its value: <=, not <"


def _pick(image, text, additive, joint, chance, tolerance=0.02):
    best = max(image, text, additive, joint)
    if best <= chance + tolerance:
        return "collect better data"
    if max(image, text) >= best - tolerance:
        return "one modality"
    return "late fusion" if additive >= best - tolerance else "interaction"


def _pick_with_joint_as_ceiling(image, text, additive, joint, chance, tolerance=0.02):
    if joint <= chance + tolerance:
        return "collect better data"
    if joint <= max(image, text) + tolerance:
        return "one modality"
    return "late fusion" if additive >= joint - tolerance else "interaction"


def _pick_strictly(image, text, additive, joint, chance, tolerance=0.02):
    best = max(image, text, additive, joint)
    if best < chance + tolerance:
        return "collect better data"
    if max(image, text) > best - tolerance:
        return "one modality"
    return "late fusion" if additive > best - tolerance else "interaction"


def _pick_without_additive(image, text, additive, joint, chance, tolerance=0.02):
    verdict = _pick(image, text, additive, joint, chance, tolerance)
    return "interaction" if verdict == "late fusion" else verdict


def _pick_without_chance(image, text, additive, joint, chance, tolerance=0.02):
    if joint <= max(image, text) + tolerance:
        return "one modality"
    return "late fusion" if additive >= joint - tolerance else "interaction"


def _pick_by_chance(image, text, additive, joint, chance, tolerance=0.02):
    verdict = _pick(image, text, additive, joint, chance, tolerance)
    return "late fusion" if verdict == "interaction" and additive > chance + tolerance else verdict


pick_operator = Exercise(
    id="07.4 pick_operator",
    task="Write pick_operator(image, text, additive, joint, chance, tolerance=0.02): five accuracies on one validation "
    "set -> 'one modality', 'late fusion', 'interaction' or 'collect better data', the cheapest that loses nothing.",
    stages=(
        pick_knows_the_three_answers,
        pick_does_not_call_and_an_interaction,
        pick_prefers_one_modality,
        pick_asks_about_chance,
        pick_doubts_the_joint_model,
        pick_counts_the_tolerance_in,
    ),
    reference=_pick,
    mutants={
        "answer one of": lambda **report: "gated fusion",
        "only an interaction explains that": lambda **report: "late fusion",
        "late fusion is enough": _pick_without_additive,
        "do not pay for the other": lambda **r: (
            "one modality" if r["joint"] < max(r["image"], r["text"]) else _pick(**{**r, "image": 0, "text": 0})
        ),
        "a gain of 0.003 is noise": lambda **report: _pick(**report, tolerance=0.0),
        "joint stands at chance": _pick_without_chance,
        "the last 0.14 are interaction": _pick_by_chance,
        "the best of the four is the ceiling": _pick_with_joint_as_ceiling,
        "<=, not <": _pick_strictly,
    },
    hints=(
        "Go from the cheapest answer to the dearest. What does each have to reach to be enough?",
        "The best of the four is the ceiling. Compare it with chance, then with one modality, then with additive.",
        "Every comparison carries the tolerance: max(image, text) >= best - tolerance means one modality is enough.",
    ),
    difficulty=2,
    minutes=10,
)

EXERCISES = (fuse, low_rank, late_fusion, pick_operator)
