"""Exercise 12.2: focal loss."""

import math

import torch
from torch.nn import functional as F

from course_lib.exercises.lesson_12.cross_entropy import drawn, same
from course_lib.lesson.exercises import Exercise


def focal_without_focus(focal):
    logits, label = drawn(6)
    got = focal(logits, label, gamma=0.0)
    assert not same(got, 6 * F.cross_entropy(logits, label)), "gamma=0 gave the sum of cross-entropies: take the mean"
    assert same(got, F.cross_entropy(logits, label)), "gamma=0 without alpha must be plain cross-entropy of the logits"


def focal_asks_for_the_label(focal):
    logits, label = drawn(6, classes=3)
    order = torch.tensor([2, 0, 1])
    renamed = focal(logits[:, order], torch.argsort(order)[label], gamma=2.0)
    assert same(renamed, focal(logits, label, gamma=2.0)), (
        "giving the classes other numbers changed the loss: p is the probability of the label, not of class 1"
    )


def focal_shrinks_the_easy(focal):
    for p in (0.9, 0.5):
        logits = torch.tensor([[p, 1 - p]], dtype=torch.float64).log()
        kept = float(focal(logits, torch.tensor([0]), gamma=2.0)) / -math.log(p)
        assert same(kept, (1 - p) ** 2), (
            f"at p = {p} gamma=2 keeps (1 - p)^2 of the cross-entropy, here it kept {kept:.2f}"
        )
    pair = torch.tensor([[0.9, 0.1], [0.2, 0.8]], dtype=torch.float64).log()
    due = (0.1**2 * -math.log(0.9) + 0.8**2 * -math.log(0.2)) / 2
    assert same(focal(pair, torch.tensor([0, 0]), gamma=2.0), due), (
        "one factor for the whole batch: keep the losses apart (reduction='none'), scale each, then take the mean"
    )


def focal_has_a_gradient(focal):
    logits, label = drawn(4)
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(focal(logits, label, gamma=2.0), logits)
    step = torch.zeros_like(logits)
    step[1, 2] = 1e-6
    slope = (focal(logits + step, label, gamma=2.0) - focal(logits - step, label, gamma=2.0)) / 2e-6
    assert same(gradient[1, 2], slope.detach(), 1e-5), (
        "the gradient disagrees with finite differences: (1 - p)^gamma is part of the graph, do not detach it"
    )


def focal_weighs_the_label(focal):
    logits, label = drawn(8, classes=3)
    alpha = torch.tensor([0.1, 0.2, 0.7], dtype=torch.float64)
    alone = [focal(logits[i : i + 1], label[i : i + 1], gamma=2.0) for i in range(8)]
    got, due = (
        focal(logits, label, gamma=2.0, alpha=alpha),
        sum(alpha[y] * a for y, a in zip(label, alone, strict=True)) / 8,
    )
    doubled = focal(logits, label, gamma=2.0, alpha=2 * alpha)
    assert not same(doubled, got), "doubling alpha changed nothing: alpha multiplies and does not divide"
    assert same(doubled, 2 * got), (
        "doubling alpha must double the loss: it leaked into p; take p before you apply alpha"
    )
    assert same(got, due), "alpha landed on another class: alpha[k] belongs to examples whose label is k"


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
