"""Exercise 12.1: cross-entropy with all its options."""

import math

import torch
from torch.nn import functional as F

from course_lib.lesson.exercises import Exercise


def drawn(*axes, classes=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(*axes, classes, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, classes, axes, generator=generator)


def same(a, b, tolerance=1e-6):
    return abs(float(a) - float(b)) <= tolerance * max(1.0, abs(float(b)))


def ce_knows_chance(cross_entropy):
    for classes in (3, 7):
        got = float(cross_entropy(torch.zeros(4, classes), torch.tensor([0, 2, 1, 2])))
        assert not same(got, 4 * math.log(classes)), "that is the sum over the batch; return the mean"
        assert same(got, math.log(classes)), (
            f"equal logits of {classes} classes should cost log {classes}, got {got:.3f}"
        )
    logits, label = drawn(6)
    right = logits + 3 * F.one_hot(label, 5)
    assert cross_entropy(right, label) < cross_entropy(logits, label), "raising the right logit must lower the loss"


def ce_is_stable(cross_entropy):
    for right, due in ((0, 0.0), (1, 2e4)):
        got = float(cross_entropy(torch.tensor([[1e4, -1e4, 0.0]]), torch.tensor([right])))
        assert math.isfinite(got), "logits of +-1e4 gave inf or nan: take log_softmax, not the log of a softmax"
        assert same(got, due), (
            f"at logits of +-1e4 the loss is a difference of logits, {due:.0f} here, got {got:.3g}; "
            "a clamp or an epsilon inside the log caps it"
        )


def ce_ignores(cross_entropy):
    logits, label = drawn(6)
    padded = torch.cat([logits, torch.full((9, 5), 50.0, dtype=torch.float64)])
    with_padding = torch.cat([label, torch.full((9,), -100)])
    with_padding[-1] = -100
    got, due = cross_entropy(padded, with_padding), cross_entropy(logits, label)
    assert not same(got, due * 6 / 15), "ignored positions count in the mean: divide by the positions that are left"
    assert same(got, due), "nine ignored positions changed the loss; take out label == ignore_index first"
    assert same(
        cross_entropy(logits, torch.where(label == 2, 2, 7), ignore_index=7),
        cross_entropy(logits[label == 2], label[label == 2]),
    ), "ignore_index=7 was not obeyed; do not write -100 into the code"


def ce_weights(cross_entropy):
    logits, label = drawn(6)
    plain, ones = cross_entropy(logits, label), torch.ones(5, dtype=torch.float64)
    assert same(cross_entropy(logits, label, weight=ones), plain), (
        "weights of 1 changed the loss: divide by the weights of the examples, not of the classes"
    )
    assert same(cross_entropy(logits, label, weight=7 * ones), plain), (
        "weights of 7 everywhere changed the loss: a weighted mean divides by the sum of the weights it used"
    )
    weight = ones.clone()
    weight[label[0]] = 3.0
    rows = torch.cat([torch.arange(6)] + 2 * [(label == label[0]).nonzero()[:, 0]])
    assert same(cross_entropy(logits, label, weight=weight), cross_entropy(logits[rows], label[rows])), (
        "weight 3 on a class must equal showing its examples three times: weight by the label"
    )


def ce_smooths(cross_entropy):
    target = torch.full((1, 5), 0.04, dtype=torch.float64)
    target[0, 3] = 0.84  # (1 - 0.2) + 0.2 / 5
    sure = torch.zeros(1, 5, dtype=torch.float64)
    sure[0, 3] = 30.0
    label = torch.tensor([3])
    assert cross_entropy(sure, label, smoothing=0.2) > 1, "smoothing=0.2 must punish certainty, and cost nothing here"
    logits = target.log().requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy(logits, label, smoothing=0.2), logits)
    assert gradient.abs().max() < 1e-9, (
        "with smoothing e the best prediction is e / K for every class and 1 - e more for the right one"
    )


def ce_smooths_with_weights(cross_entropy):
    logits, label = drawn(6)
    weight = torch.tensor([1.0, 2.0, 0.5, 4.0, 3.0], dtype=torch.float64)
    got = cross_entropy(logits, label, smoothing=0.2, weight=weight)
    assert same(got, F.cross_entropy(logits, label, weight, label_smoothing=0.2)), (
        "smoothing with weights: each -log p_k of the smoothed part takes its own weight[k], not the label's"
    )


def _ce(logits, label, ignore_index=-100, smoothing=0.0, weight=None):
    kept = label != ignore_index
    log_p, label = logits[kept].log_softmax(-1), label[kept]
    cost = torch.ones_like(log_p[0]) if weight is None else weight
    loss = -(1 - smoothing) * cost[label] * log_p.gather(1, label[:, None])[:, 0]
    loss = loss - smoothing * (cost * log_p).mean(-1)
    return loss.sum() / cost[label].sum()


def _ce_log_of_softmax(logits, label, **options):
    return -logits.softmax(-1).log().gather(1, label[:, None]).mean()


def _ce_clamped(logits, label, **options):
    return -logits.softmax(-1).clamp_min(1e-12).log().gather(1, label[:, None]).mean()


def _ce_over_all_positions(logits, label, ignore_index=-100, smoothing=0.0, weight=None):
    return F.cross_entropy(logits, label, weight, ignore_index=ignore_index, reduction="sum") / len(label)


def _ce_over_class_weights(logits, label, ignore_index=-100, smoothing=0.0, weight=None):
    if weight is None:
        return _ce(logits, label, ignore_index, smoothing)
    return F.cross_entropy(logits, label, weight, ignore_index=ignore_index, reduction="sum") / weight.sum()


def _ce_weights_in_a_plain_mean(logits, label, ignore_index=-100, smoothing=0.0, weight=None):
    loss = F.cross_entropy(logits, label, weight, ignore_index=ignore_index, reduction="none")
    return loss.sum() / (label != ignore_index).sum()


def _ce_weight_of_the_prediction(logits, label, ignore_index=-100, smoothing=0.0, weight=None):
    if weight is None:
        return _ce(logits, label, ignore_index, smoothing)
    w = weight[logits.argmax(-1)]
    return (w * F.cross_entropy(logits, label, reduction="none")).sum() / w.sum()


def _ce_smooths_the_others(logits, label, ignore_index=-100, smoothing=0.0, weight=None):
    if smoothing == 0:
        return _ce(logits, label, ignore_index, smoothing, weight)
    target = torch.full_like(logits, smoothing / (logits.shape[-1] - 1)).scatter(1, label[:, None], 1 - smoothing)
    return -(target * logits.log_softmax(-1)).sum(-1).mean()


def _ce_smooths_by_the_labels_weight(logits, label, ignore_index=-100, smoothing=0.0, weight=None):
    if weight is None:
        return _ce(logits, label, ignore_index, smoothing)
    loss = F.cross_entropy(logits, label, ignore_index=ignore_index, label_smoothing=smoothing, reduction="none")
    cost = torch.where(label == ignore_index, 0, weight[label.clamp_min(0)])
    return (cost * loss).sum() / cost.sum()


cross_entropy = Exercise(
    id="12.1 cross_entropy",
    task="Write cross_entropy(logits, label, ignore_index=-100, smoothing=0.0, weight=None): (B, K), (B,) -> the mean "
    "surprise over positions that are not ignored, with label smoothing and class weights, stable at logits of +-1e4.",
    stages=(ce_knows_chance, ce_is_stable, ce_ignores, ce_weights, ce_smooths, ce_smooths_with_weights),
    reference=_ce,
    mutants={
        "return the mean": lambda z, y, **options: F.cross_entropy(z, y, reduction="sum"),
        "should cost log 3": lambda z, y, **options: F.cross_entropy(z, y) / math.log(2),
        "raising the right logit must lower the loss": lambda z, y, **options: F.cross_entropy(-z, y),
        "not the log of a softmax": _ce_log_of_softmax,
        "inside the log caps it": _ce_clamped,
        "divide by the positions that are left": _ce_over_all_positions,
        "nine ignored positions changed the loss": lambda z, y, **options: F.cross_entropy(z, y.clamp_min(0)),
        "do not write -100 into the code": lambda z, y, ignore_index=-100, **options: F.cross_entropy(
            z, torch.where(y >= z.shape[-1], 0, y)
        ),
        "not of the classes": _ce_over_class_weights,
        "divides by the sum of the weights it used": _ce_weights_in_a_plain_mean,
        "weight by the label": _ce_weight_of_the_prediction,
        "must punish certainty": lambda z, y, smoothing=0.0, **options: _ce(z, y, **options),
        "e / K for every class": _ce_smooths_the_others,
        "takes its own weight[k]": _ce_smooths_by_the_labels_weight,
    },
    hints=(
        "Four steps: keep the positions that count, log_softmax, pick the label's entry, take a weighted mean.",
        "loss.sum() / weight[label].sum() is the weighted mean; without weights that is the number of positions kept.",
        "smoothing: (1 - e) * weight[y] * -log_p[y] + e * (weight * -log_p).mean(-1), before the sum over positions.",
    ),
    difficulty=2,
    minutes=15,
)
