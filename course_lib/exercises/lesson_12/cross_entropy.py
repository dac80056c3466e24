"""Exercise 12.1: cross-entropy with all its options."""

import math

import torch
from torch.nn import functional as F

from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close


def drawn(*axes, classes=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(*axes, classes, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, classes, axes, generator=generator)


def ce_knows_chance(cross_entropy):
    for classes in (3, 7):
        got = float(cross_entropy(torch.zeros(4, classes), torch.tensor([0, 2, 1, 2])))
        assert not close(got, 4 * math.log(classes)), "that is the sum over the batch; return the mean"
        assert close(got, math.log(classes)), (
            f"equal logits of {classes} classes should cost log {classes}, got {got:.3f}"
        )
    logits, label = drawn(6)
    right = logits + 3 * F.one_hot(label, 5)
    assert cross_entropy(right, label) < cross_entropy(logits, label), "raising the right logit must lower the loss"


def ce_is_stable(cross_entropy):
    logits = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    losses = [cross_entropy(logits, torch.tensor([right])) for right in (0, 1)]
    for got, due in zip(losses, (0.0, 2e4), strict=True):
        assert got.isfinite(), "logits of +-1e4 gave inf or nan: take log_softmax, not the log of a softmax"
        assert close(float(got.detach()), due), (
            f"at logits of +-1e4 the loss is a difference of logits, {due:.0f} here, got {got.item():.3g}; "
            "a clamp or an epsilon inside the log caps it"
        )
    for right, got in enumerate(losses):
        (gradient,) = torch.autograd.grad(got, logits, retain_graph=True)
        assert close(gradient, logits.softmax(-1) - F.one_hot(torch.tensor([right]), 3)), (
            "at logits of +-1e4 the loss is right and its gradient is not softmax - one_hot: nothing may be cut or "
            "detached"
        )


def ce_ignores(cross_entropy):
    logits, label = drawn(6)
    padded = torch.cat([logits, torch.full((9, 5), 50.0, dtype=torch.float64)])
    with_padding = torch.cat([label, torch.full((9,), -100)])
    got, due = cross_entropy(padded, with_padding), cross_entropy(logits, label)
    assert not close(got, due * 6 / 15), "ignored positions count in the mean: divide by the positions that are left"
    assert close(got, due), "nine ignored positions changed the loss; take out label == ignore_index first"
    due = cross_entropy(logits[label == 2], label[label == 2])
    for index in (7, 0, -1):
        got = cross_entropy(logits, torch.where(label == 2, 2, index), ignore_index=index)
        assert close(got, due), f"ignore_index={index} was not obeyed; do not write -100 into the code, nor a sign"


def ce_weights(cross_entropy):
    logits, label = drawn(6)
    plain, ones = cross_entropy(logits, label), torch.ones(5, dtype=torch.float64)
    assert close(cross_entropy(logits, label, weight=ones), plain), (
        "weights of 1 changed the loss: divide by the weights of the examples, not of the classes"
    )
    assert close(cross_entropy(logits, label, weight=7 * ones), plain), (
        "weights of 7 everywhere changed the loss: a weighted mean divides by the sum of the weights it used"
    )
    weight = ones.clone()
    weight[label[0]] = 3.0
    rows = torch.cat([torch.arange(6)] + 2 * [(label == label[0]).nonzero()[:, 0]])
    assert close(cross_entropy(logits, label, weight=weight), cross_entropy(logits[rows], label[rows])), (
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
    assert close(gradient, torch.zeros(1, 5)), (
        "with smoothing e the best prediction is e / K for every class and 1 - e more for the right one"
    )
    logits, label = drawn(6)
    padded = cross_entropy(torch.cat([logits, 3 * logits.flip(1)]), torch.cat([label, label * 0 - 100]), smoothing=0.3)
    assert close(padded, F.cross_entropy(logits, label, label_smoothing=0.3)), (
        "smoothing and ignored positions together: what is ignored has no smoothed part either, nor a place in the mean"
    )


def ce_smooths_with_weights(cross_entropy):
    logits, label = drawn(6)
    weight = torch.tensor([1.0, 2.0, 0.5, 4.0, 3.0], dtype=torch.float64)
    got = cross_entropy(logits, label, smoothing=0.2, weight=weight)
    assert not close(got, F.cross_entropy(logits, label, label_smoothing=0.2)), (
        "with smoothing the weights have no effect any more: the options combine"
    )
    assert close(got, F.cross_entropy(logits, label, weight, label_smoothing=0.2)), (
        "smoothing with weights: each -log p_k of the smoothed part takes its own weight[k], not the label's"
    )
    padded = torch.cat([logits, 3 * logits.flip(1)]), torch.cat([label, label * 0 + 9])
    got = cross_entropy(*padded, ignore_index=9, smoothing=0.2, weight=weight)
    assert close(got, F.cross_entropy(*padded, weight, ignore_index=9, label_smoothing=0.2)), (
        "smoothing, weights and ignored positions together: divide by the weights of the labels that are left"
    )
    big = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 3.0]])
    got = cross_entropy(big, torch.tensor([0, -100]), smoothing=0.1, weight=torch.tensor([1.0, 2.0, 3.0]))
    assert close(
        got, F.cross_entropy(big[:1], torch.tensor([0]), torch.tensor([1.0, 2.0, 3.0]), label_smoothing=0.1)
    ), "all three together at logits of +-1e4: stay with log_softmax in the smoothed part too"


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


def _ce_smooths_padding(logits, label, ignore_index=-100, smoothing=0.0, weight=None):
    if weight is not None or smoothing == 0:
        return _ce(logits, label, ignore_index, smoothing, weight)
    plain = F.cross_entropy(logits, label, ignore_index=ignore_index)
    return (1 - smoothing) * plain - smoothing * logits.log_softmax(-1).mean()


def _ce_counts_padding_with_weights(logits, label, ignore_index=-100, smoothing=0.0, weight=None):
    if weight is None or smoothing == 0:
        return _ce(logits, label, ignore_index, smoothing, weight)
    kept = label != ignore_index
    total = _ce(logits, label, ignore_index, smoothing, weight) * weight[label[kept]].sum()
    return total / (weight[label[kept]].sum() + (~kept).sum())


def _ce_smooths_by_softmax(logits, label, ignore_index=-100, smoothing=0.0, weight=None):
    kept = label != ignore_index
    logits, label = logits[kept], label[kept]
    cost = torch.ones_like(logits[0]) if weight is None else weight
    loss = -(1 - smoothing) * cost[label] * logits.log_softmax(-1).gather(1, label[:, None])[:, 0]
    if smoothing:
        loss = loss - smoothing * (cost * logits.softmax(-1).clamp_min(1e-30).log()).mean(-1)
    return loss.sum() / cost[label].sum()


def _ce_by_targets(logits, label, ignore_index=-100, smoothing=0.0, weight=None):
    classes = logits.size(1)
    real = label.ne(ignore_index).float()
    target = F.one_hot(label.where(label != ignore_index, 0), classes).float()
    cost = torch.ones(classes) if weight is None else weight.float()
    soft = (target * (1 - smoothing) + smoothing / classes) * cost * real[:, None]
    return -torch.einsum("bk,bk->", soft, logits.float().log_softmax(1)) / (target @ cost * real).sum()


def _ce_by_loop(logits, label, ignore_index=-100, smoothing=0.0, weight=None):
    total, weights = 0.0, 0.0
    for scores, k in zip(logits, label.tolist(), strict=True):
        if k == ignore_index:
            continue
        surprise = scores.logsumexp(0) - scores
        cost = scores * 0 + 1 if weight is None else weight
        total = total + (1 - smoothing) * cost[k] * surprise[k] + smoothing * (cost * surprise).sum() / len(scores)
        weights = weights + cost[k]
    return total / weights


cross_entropy = Exercise(
    id="12.1 cross_entropy",
    task="Write cross_entropy(logits, label, ignore_index=-100, smoothing=0.0, weight=None): (B, K), (B,) -> the mean "
    "surprise over positions that are not ignored, with label smoothing and class weights, alone or together, stable "
    "at logits of +-1e4. It agrees with torch: the mean divides by the weights of the labels that count.",
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
        "the weights have no effect any more": lambda z, y, smoothing=0.0, weight=None, **options: _ce(
            z, y, smoothing=smoothing, weight=None if smoothing else weight, **options
        ),
        "takes its own weight[k]": _ce_smooths_by_the_labels_weight,
        "nothing may be cut or detached": lambda z, y, **options: (
            _ce(z.clamp(-9e3, 9e3), y, **options)
            + (_ce(z, y, **options) - _ce(z.clamp(-9e3, 9e3), y, **options)).detach()
        ),
        "ignore_index=0 was not obeyed": lambda z, y, ignore_index=-100, **options: _ce(
            z, y, ignore_index=ignore_index or -100, **options
        ),
        "no smoothed part either": _ce_smooths_padding,
        "the weights of the labels that are left": _ce_counts_padding_with_weights,
        "stay with log_softmax in the smoothed part": _ce_smooths_by_softmax,
    },
    alternatives={
        "torch's own": lambda logits, label, ignore_index=-100, smoothing=0.0, weight=None: F.cross_entropy(
            logits, label.long(), weight, ignore_index=ignore_index, label_smoothing=smoothing
        ),
        "a table of targets in float32": _ce_by_targets,
        "position by position": _ce_by_loop,
    },
    hints=(
        "Four steps: keep the positions that count, log_softmax, pick the label's entry, take a weighted mean.",
        "loss.sum() / weight[label].sum() is the weighted mean; without weights that is the number of positions kept.",
        "smoothing: (1 - e) * weight[y] * -log_p[y] + e * (weight * -log_p).mean(-1), before the sum over positions.",
    ),
    difficulty=2,
    minutes=15,
)
