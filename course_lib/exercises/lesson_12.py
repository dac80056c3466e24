"""Exercises of lesson 12: cross-entropy with all its options, focal loss, Huber's loss, logit adjustment."""

import math

import torch
from torch.nn import functional as F

from course_lib.lesson.exercises import Exercise


def _drawn(*axes, classes=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(*axes, classes, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, classes, axes, generator=generator)


def _same(a, b, tolerance=1e-6):
    return abs(float(a) - float(b)) <= tolerance * max(1.0, abs(float(b)))


# --- 12.1 cross_entropy -------------------------------------------------------------------------------------------


def ce_knows_chance(cross_entropy):
    for classes in (3, 7):
        got = float(cross_entropy(torch.zeros(4, classes), torch.tensor([0, 2, 1, 2])))
        assert not _same(got, 4 * math.log(classes)), "that is the sum over the batch; return the mean"
        assert _same(got, math.log(classes)), (
            f"equal logits of {classes} classes should cost log {classes}, got {got:.3f}"
        )
    logits, label = _drawn(6)
    right = logits + 3 * F.one_hot(label, 5)
    assert cross_entropy(right, label) < cross_entropy(logits, label), "raising the right logit must lower the loss"


def ce_is_stable(cross_entropy):
    for right, due in ((0, 0.0), (1, 2e4)):
        got = float(cross_entropy(torch.tensor([[1e4, -1e4, 0.0]]), torch.tensor([right])))
        assert math.isfinite(got), "logits of +-1e4 gave inf or nan: take log_softmax, not the log of a softmax"
        assert _same(got, due), (
            f"at logits of +-1e4 the loss is a difference of logits, {due:.0f} here, got {got:.3g}; "
            "a clamp or an epsilon inside the log caps it"
        )


def ce_ignores(cross_entropy):
    logits, label = _drawn(6)
    padded = torch.cat([logits, torch.full((9, 5), 50.0, dtype=torch.float64)])
    with_padding = torch.cat([label, torch.full((9,), -100)])
    with_padding[-1] = -100
    got, due = cross_entropy(padded, with_padding), cross_entropy(logits, label)
    assert not _same(got, due * 6 / 15), "ignored positions count in the mean: divide by the positions that are left"
    assert _same(got, due), "nine ignored positions changed the loss; take out label == ignore_index first"
    assert _same(
        cross_entropy(logits, torch.where(label == 2, 2, 7), ignore_index=7),
        cross_entropy(logits[label == 2], label[label == 2]),
    ), "ignore_index=7 was not obeyed; do not write -100 into the code"


def ce_weights(cross_entropy):
    logits, label = _drawn(6)
    plain, ones = cross_entropy(logits, label), torch.ones(5, dtype=torch.float64)
    assert _same(cross_entropy(logits, label, weight=ones), plain), (
        "weights of 1 changed the loss: divide by the weights of the examples, not of the classes"
    )
    assert _same(cross_entropy(logits, label, weight=7 * ones), plain), (
        "weights of 7 everywhere changed the loss: a weighted mean divides by the sum of the weights it used"
    )
    weight = ones.clone()
    weight[label[0]] = 3.0
    rows = torch.cat([torch.arange(6)] + 2 * [(label == label[0]).nonzero()[:, 0]])
    assert _same(cross_entropy(logits, label, weight=weight), cross_entropy(logits[rows], label[rows])), (
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
    logits, label = _drawn(6)
    weight = torch.tensor([1.0, 2.0, 0.5, 4.0, 3.0], dtype=torch.float64)
    got = cross_entropy(logits, label, smoothing=0.2, weight=weight)
    assert _same(got, F.cross_entropy(logits, label, weight, label_smoothing=0.2)), (
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

# --- 12.2 focal ---------------------------------------------------------------------------------------------------


def focal_without_focus(focal):
    logits, label = _drawn(6)
    got = focal(logits, label, gamma=0.0)
    assert not _same(got, 6 * F.cross_entropy(logits, label)), "gamma=0 gave the sum of cross-entropies: take the mean"
    assert _same(got, F.cross_entropy(logits, label)), "gamma=0 without alpha must be plain cross-entropy of the logits"


def focal_asks_for_the_label(focal):
    logits, label = _drawn(6, classes=3)
    order = torch.tensor([2, 0, 1])
    renamed = focal(logits[:, order], torch.argsort(order)[label], gamma=2.0)
    assert _same(renamed, focal(logits, label, gamma=2.0)), (
        "giving the classes other numbers changed the loss: p is the probability of the label, not of class 1"
    )


def focal_shrinks_the_easy(focal):
    for p in (0.9, 0.5):
        logits = torch.tensor([[p, 1 - p]], dtype=torch.float64).log()
        kept = float(focal(logits, torch.tensor([0]), gamma=2.0)) / -math.log(p)
        assert _same(kept, (1 - p) ** 2), (
            f"at p = {p} gamma=2 keeps (1 - p)^2 of the cross-entropy, here it kept {kept:.2f}"
        )
    pair = torch.tensor([[0.9, 0.1], [0.2, 0.8]], dtype=torch.float64).log()
    due = (0.1**2 * -math.log(0.9) + 0.8**2 * -math.log(0.2)) / 2
    assert _same(focal(pair, torch.tensor([0, 0]), gamma=2.0), due), (
        "one factor for the whole batch: keep the losses apart (reduction='none'), scale each, then take the mean"
    )


def focal_has_a_gradient(focal):
    logits, label = _drawn(4)
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(focal(logits, label, gamma=2.0), logits)
    step = torch.zeros_like(logits)
    step[1, 2] = 1e-6
    slope = (focal(logits + step, label, gamma=2.0) - focal(logits - step, label, gamma=2.0)) / 2e-6
    assert _same(gradient[1, 2], slope.detach(), 1e-5), (
        "the gradient disagrees with finite differences: (1 - p)^gamma is part of the graph, do not detach it"
    )


def focal_weighs_the_label(focal):
    logits, label = _drawn(8, classes=3)
    alpha = torch.tensor([0.1, 0.2, 0.7], dtype=torch.float64)
    alone = [focal(logits[i : i + 1], label[i : i + 1], gamma=2.0) for i in range(8)]
    got, due = (
        focal(logits, label, gamma=2.0, alpha=alpha),
        sum(alpha[y] * a for y, a in zip(label, alone, strict=True)) / 8,
    )
    doubled = focal(logits, label, gamma=2.0, alpha=2 * alpha)
    assert not _same(doubled, got), "doubling alpha changed nothing: alpha multiplies and does not divide"
    assert _same(doubled, 2 * got), (
        "doubling alpha must double the loss: it leaked into p; take p before you apply alpha"
    )
    assert _same(got, due), "alpha landed on another class: alpha[k] belongs to examples whose label is k"


def focal_is_stable(focal):
    logits = torch.tensor([[1e4, -1e4]], requires_grad=True)
    for label in (0, 1):
        value = focal(logits, torch.tensor([label]), gamma=2.0)
        (gradient,) = torch.autograd.grad(value, logits)
        finite = math.isfinite(value.item()) and bool(gradient.isfinite().all())
        assert finite, "logits of +-1e4 gave inf or nan, in the loss or its gradient: start from log_softmax"


def _focal(logits, label, gamma=2.0, alpha=None):
    log_p = logits.log_softmax(-1).gather(1, label[:, None])[:, 0]
    loss = (1 - log_p.exp()) ** gamma * -log_p
    return (loss if alpha is None else alpha[label] * loss).mean()


def _focal_of_class_one(logits, label, gamma=2.0, alpha=None):
    p = logits.softmax(-1)[:, 1]
    return ((1 - p) ** gamma * F.cross_entropy(logits, label, reduction="none")).mean()


def _focal_turned_round(logits, label, gamma=2.0, alpha=None):
    loss = F.cross_entropy(logits, label, reduction="none")
    return ((-loss).exp() ** gamma * loss).mean()


def _focal_detached(logits, label, gamma=2.0, alpha=None):
    loss = F.cross_entropy(logits, label, reduction="none")
    return ((1 - (-loss).exp()).detach() ** gamma * loss).mean()


def _focal_divided(logits, label, gamma=2.0, alpha=None):
    plain = _focal(logits, label, gamma, alpha)
    return plain if alpha is None else plain * len(label) / alpha[label].sum()


def _focal_of_the_mean(logits, label, gamma=2.0, alpha=None):
    loss = F.cross_entropy(logits, label, alpha)
    return (1 - (-loss).exp()) ** gamma * loss


def _focal_with_alpha_in_p(logits, label, gamma=2.0, alpha=None):
    loss = F.cross_entropy(logits, label, alpha, reduction="none")
    return ((1 - (-loss).exp()) ** gamma * loss).mean()


def _focal_from_probabilities(logits, label, gamma=2.0, alpha=None):
    p = logits.softmax(-1).gather(1, label[:, None])[:, 0]
    loss = (1 - p) ** gamma * -p.log()
    return (loss if alpha is None else alpha[label] * loss).mean()


focal = Exercise(
    id="12.2 focal",
    task="Write focal(logits, label, gamma=2.0, alpha=None): (B, K), (B,) -> mean of alpha[y] (1 - p)^gamma (-log p), "
    "where p is the probability of the label and alpha one factor a class.",
    stages=(
        focal_without_focus,
        focal_asks_for_the_label,
        focal_shrinks_the_easy,
        focal_has_a_gradient,
        focal_weighs_the_label,
        focal_is_stable,
    ),
    reference=_focal,
    mutants={
        "take the mean": lambda z, y, gamma=2.0, alpha=None: len(y) * _focal(z, y, gamma, alpha),
        "must be plain cross-entropy of the logits": lambda z, y, gamma=2.0, alpha=None: _focal(
            z.softmax(-1), y, gamma, alpha
        ),
        "not of class 1": _focal_of_class_one,
        "gamma=2 keeps (1 - p)^2": _focal_turned_round,
        "one factor for the whole batch": _focal_of_the_mean,
        "do not detach it": _focal_detached,
        "alpha multiplies and does not divide": _focal_divided,
        "leaked into p": _focal_with_alpha_in_p,
        "alpha landed on another class": lambda z, y, gamma=2.0, alpha=None: _focal(
            z, y, gamma, None if alpha is None else alpha.flip(0)
        ),
        "start from log_softmax": _focal_from_probabilities,
    },
    hints=(
        "Everything follows from one number per example: log p of its label.",
        "log_p = logits.log_softmax(-1).gather(1, label[:, None])[:, 0], and p = log_p.exp().",
        "loss = (1 - p) ** gamma * -log_p, times alpha[label] if alpha is given; then the mean over examples.",
    ),
    difficulty=2,
    minutes=10,
)

# --- 12.3 huber ---------------------------------------------------------------------------------------------------


def huber_is_quadratic_near_zero(huber):
    error = torch.tensor([[0.5, -0.25, 0.0], [1.0, -1.0, 0.1]], dtype=torch.float64)
    got = huber(error, delta=2.0)
    assert got.shape == error.shape, f"one loss an error is due, (2, 3), got {tuple(got.shape)}: do not take the mean"
    assert torch.allclose(got, error**2 / 2), "small errors cost e^2 / 2, so that the slope is e"


def huber_is_symmetric(huber):
    error = torch.tensor([0.3, 3.0, 50.0], dtype=torch.float64)
    assert torch.allclose(huber(error, delta=1.0), huber(-error, delta=1.0)), (
        "+50 and -50 cost different amounts: compare |e| with delta, not e"
    )


def huber_is_continuous(huber):
    for delta in (0.5, 3.0):
        below, above = huber(torch.tensor([delta - 1e-9, delta + 1e-9], dtype=torch.float64), delta=delta)
        assert abs(below - above) < 1e-6, (
            f"the loss jumps where |e| passes delta = {delta}: both branches are worth delta^2 / 2 there"
        )


def huber_has_one_slope(huber):
    for delta in (0.5, 3.0):
        error = torch.tensor([delta - 1e-9, delta + 1e-9, 40.0], dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(huber(error, delta=delta).sum(), error)
        assert torch.allclose(slope, torch.full_like(slope, delta), atol=1e-6), (
            f"the slope has a kink at delta = {delta}: far errors pull with slope delta, all alike"
        )


def _huber(error, delta=1.0):
    size = error.abs()
    return torch.where(size <= delta, size**2 / 2, delta * (size - delta / 2))


huber = Exercise(
    id="12.3 huber",
    task="Write huber(error, delta): any shape -> the same shape, squared up to delta, absolute beyond, one slope.",
    stages=(huber_is_quadratic_near_zero, huber_is_symmetric, huber_is_continuous, huber_has_one_slope),
    reference=_huber,
    mutants={
        "do not take the mean": lambda e, delta=1.0: _huber(e, delta).mean(),
        "small errors cost e^2 / 2": lambda e, delta=1.0: 2 * _huber(e, delta),
        "compare |e| with delta": lambda e, delta=1.0: torch.where(e <= delta, e**2 / 2, delta * (e - delta / 2)),
        "both branches are worth": lambda e, delta=1.0: torch.where(e.abs() <= delta, e**2 / 2, delta * e.abs()),
        "the slope has a kink": lambda e, delta=1.0: torch.where(
            e.abs() <= delta, e**2 / 2, e.abs() - delta + delta**2 / 2
        ),
    },
    hints=(
        "Draw it: a parabola up to delta, then the straight line that continues it without a kink.",
        "The line has slope delta. Which constant makes both branches delta^2 / 2 at |e| = delta?",
        "torch.where(size <= delta, size**2 / 2, delta * (size - delta / 2)) with size = error.abs().",
    ),
    difficulty=1,
    minutes=5,
)

# --- 12.4 logit_adjust --------------------------------------------------------------------------------------------

PRIOR = torch.tensor([0.7, 0.2, 0.07, 0.03], dtype=torch.float64)


def _world(count=4000, seed=0):
    """Points on a line, four unit Gaussians in a row, classes as frequent as PRIOR: exact log-posteriors and labels."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.multinomial(PRIOR, count, replacement=True, generator=generator)
    x = label + torch.randn(count, generator=generator, dtype=torch.float64)
    log_likelihood = -((x[:, None] - torch.arange(4)) ** 2) / 2
    return (log_likelihood + PRIOR.log()).log_softmax(-1), log_likelihood, label


def _balanced(logits, label):
    hits = logits.argmax(-1) == label
    return sum(hits[label == k].double().mean() for k in range(4)).item() / 4


def adjust_lifts_the_rare(logit_adjust):
    logits, _, label = _world()
    before, after = _balanced(logits, label), _balanced(logit_adjust(logits, PRIOR, 1.0), label)
    assert after > before - 0.03, (
        f"balanced accuracy fell from {before:.2f} to {after:.2f}: the prior has the wrong sign, or logits were "
        "divided as if they were probabilities"
    )
    assert after > before + 0.06, (
        f"balanced accuracy went from {before:.2f} to {after:.2f}, too little: adjust the logits"
    )


def adjust_is_bayes_rule(logit_adjust):
    logits, log_likelihood, _ = _world(50)
    got = logit_adjust(logits, PRIOR, 1.0).softmax(-1)
    assert torch.allclose(got, log_likelihood.softmax(-1)), (
        "these logits are exact, so softmax must now give the likelihood: take off the natural log of the prior"
    )


def adjust_obeys_tau(logit_adjust):
    logits, _, _ = _world(50)
    twice, once = logit_adjust(logit_adjust(logits, PRIOR, 0.5), PRIOR, 0.5), logit_adjust(logits, PRIOR, 1.0)
    assert torch.allclose(twice.softmax(-1), once.softmax(-1)), (
        "two adjustments by tau = 0.5 must make one by tau = 1: tau multiplies the logarithm"
    )


def adjust_is_stable(logit_adjust):
    extreme = torch.tensor([[1e4, -1e4, 0.0, 5.0]], dtype=torch.float64)
    got = logit_adjust(extreme, PRIOR, 1.0)
    assert got.isfinite().all() and got.argmax() == 0, (
        "logits of +-1e4 came back as inf or nan, or changed sides: stay in log space, do not go through softmax"
    )


def _adjust(logits, prior, tau=1.0):
    return logits - tau * prior.log()


logit_adjust = Exercise(
    id="12.4 logit_adjust",
    task="Write logit_adjust(logits, prior, tau): (B, K), (K,) -> (B, K), the logits of a model trained with plain "
    "cross-entropy, changed after training so that argmax serves all classes equally at tau = 1.",
    stages=(adjust_lifts_the_rare, adjust_is_bayes_rule, adjust_obeys_tau, adjust_is_stable),
    reference=_adjust,
    mutants={
        "the prior has the wrong sign": lambda z, prior, tau=1.0: z + tau * prior.log(),
        "divided as if they were probabilities": lambda z, prior, tau=1.0: z / prior**tau,
        "too little": lambda z, prior, tau=1.0: z - tau * prior,
        "take off the natural log of the prior": lambda z, prior, tau=1.0: z - tau * prior.log2(),
        "tau multiplies the logarithm": lambda z, prior, tau=1.0: z - prior.log(),
        "stay in log space": lambda z, prior, tau=1.0: (z.softmax(-1) / prior**tau).log(),
    },
    hints=(
        "The model's softmax is p(y | x), which is p(x | y) p(y) over a constant. Which factor should go?",
        "Dividing a probability is subtracting from its logarithm, and logits are log-probabilities up to a constant.",
        "logits - tau * prior.log()",
    ),
    difficulty=2,
    minutes=5,
)

EXERCISES = (cross_entropy, focal, huber, logit_adjust)
