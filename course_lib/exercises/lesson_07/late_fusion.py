"""Exercise 07.3: late fusion of probabilities and of their logarithms."""

import math

import torch

from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close

IMAGE_LOGITS = torch.tensor([[0.9, 0.1], [0.5, 0.5]]).log()
TEXT_LOGITS = torch.tensor([[0.4, 0.6], [0.2, 0.8]]).log()


def late_returns_probabilities(late_fusion):
    for space in ("log", "probability"):
        got = late_fusion(IMAGE_LOGITS, TEXT_LOGITS, 0.25, space)
        assert got.shape == (2, 2) and got.is_floating_point(), (
            f"{space}: (2, 2) probabilities are due, not decisions; an average of labels invents classes in between"
        )
        total = got.sum(dim=-1)
        assert close(total, [1.0, 1.0]), f"{space}: rows sum to {total.tolist()}, not 1: normalise again"


def late_ignores_a_constant(late_fusion):
    for space in ("log", "probability"):
        shifted = late_fusion(IMAGE_LOGITS + 7.0, TEXT_LOGITS, 0.25, space)
        assert close(shifted, late_fusion(IMAGE_LOGITS, TEXT_LOGITS, 0.25, space)), (
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


def late_keeps_classes_and_weights(late_fusion):
    draw = torch.Generator().manual_seed(0)
    image, text = (2 * torch.randn(3, 5, generator=draw) for _ in range(2))
    for space in ("log", "probability"):
        alone = late_fusion(image, text, 1.0, space), late_fusion(image, text, 0.0, space)
        assert close(alone[0], image.softmax(-1)) and close(alone[1], text.softmax(-1)), (
            f"{space}: with weight 1 the image decides alone and with weight 0 the text, for 3 examples of 5 classes "
            "too; classes are the last axis"
        )


def late_survives_certainty(late_fusion):
    """Each side rules a class out with probability 0 in 32 bits; the log space still has an order."""
    image, text = torch.tensor([[1e4, -1e4, 0.0]]), torch.tensor([[-1e4, 1e4, 5e3]])
    for space, weight, due in (("probability", 0.25, [[0.25, 0.75, 0.0]]), ("log", 0.5, [[0.0, 0.0, 1.0]])):
        got = late_fusion(image, text, weight, space)
        assert got.isfinite().all(), (
            f"{space}: logits of +-1e4 gave inf or nan: a probability that has become 0 has no logarithm; "
            "take log_softmax"
        )
        assert close(got, due), (
            f"{space}: two sides sure of different classes, +-1e4, should give {due[0]}, got {got[0].tolist()}: "
            "nothing may be clamped"
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


def _late_by_powers(image_logits, text_logits, weight, space):
    p, q = torch.softmax(image_logits.double(), 1), torch.softmax(text_logits.double(), 1)
    mixed = torch.lerp(q, p, weight) if space == "probability" else p.pow(weight) * q.pow(1 - weight)
    return mixed / mixed.sum(1, keepdim=True)


def _late_with_an_epsilon(image_logits, text_logits, weight, space):
    p, q = image_logits.softmax(-1) + 1e-12, text_logits.softmax(-1) + 1e-12
    return _late(p.log(), q.log(), weight, space)


def _late_by_odds(image_logits, text_logits, weight, space):
    if space == "probability":
        return torch.lerp(text_logits.softmax(1), image_logits.softmax(1), weight)
    mixed = torch.lerp(text_logits, image_logits, weight)
    return 1 / (mixed[:, None, :] - mixed[:, :, None]).exp().sum(2)


def _late_of_logits(image_logits, text_logits, weight, space):
    if space == "log":  # what the two logarithms normalise away is a number per row
        return (weight * image_logits + (1 - weight) * text_logits).softmax(-1)
    both = torch.stack([image_logits, text_logits]).softmax(-1)
    return torch.einsum("m,mbk->bk", torch.tensor([weight, 1 - weight], dtype=both.dtype), both)


def _late_by_example(image_logits, text_logits, weight, space):
    def logs(row):
        size = max(row) + math.log(sum(math.exp(each - max(row)) for each in row))
        return [each - size for each in row]

    def share(row):
        return [math.exp(each) for each in logs(row)]

    rows = []
    for own, other in zip(image_logits.tolist(), text_logits.tolist(), strict=True):
        if space == "probability":
            rows.append([weight * a + (1 - weight) * b for a, b in zip(share(own), share(other), strict=True)])
        else:
            rows.append(share([weight * a + (1 - weight) * b for a, b in zip(logs(own), logs(other), strict=True)]))
    return torch.tensor(rows)


late_fusion = Exercise(
    id="07.3 late_fusion",
    task="Write late_fusion(image_logits, text_logits, weight, space): (B, K), (B, K) -> (B, K) probabilities. "
    "space='probability' averages probabilities, space='log' averages log-probabilities and normalises again; "
    "`weight` is the image's share. Logits reach +-10,000.",
    stages=(
        late_returns_probabilities,
        late_ignores_a_constant,
        late_mixes_probabilities,
        late_multiplies_in_log_space,
        late_keeps_classes_and_weights,
        late_survives_certainty,
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
        "classes are the last axis": lambda i, t, w, space: (
            _late(i, t, w, space) if i.shape[0] == i.shape[1] else _late(i.T, t.T, w, space).T
        ),
        "log: logits of +-1e4 gave inf or nan": _late_by_powers,
        "nothing may be clamped": _late_with_an_epsilon,
    },
    alternatives={
        "one over a sum of odds": _late_by_odds,
        "logits mixed before one softmax": _late_of_logits,
        "example by example": _late_by_example,
    },
    hints=(
        "Both spaces start from each modality's own softmax. They differ in what is averaged.",
        "probability: weight * p_image + (1 - weight) * p_text. Rows already sum to 1.",
        "log: average log_softmax of both with the same weights, then softmax the result: rows sum to 1 again.",
    ),
    difficulty=2,
    minutes=10,
)
