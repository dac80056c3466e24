"""Exercise 12.2: focal loss."""

import math

import torch
from torch.nn import functional as F

from course_lib.exercises.lesson_12.cross_entropy import drawn
from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close


def focal_without_focus(focal):
    logits, label = drawn(6)
    got = focal(logits, label, gamma=0.0)
    assert not close(got, 6 * F.cross_entropy(logits, label)), "gamma=0 gave the sum of cross-entropies: take the mean"
    assert close(got, F.cross_entropy(logits, label)), "gamma=0 without alpha must be plain cross-entropy of the logits"


def focal_asks_for_the_label(focal):
    logits, label = drawn(6, classes=3)
    order = torch.tensor([2, 0, 1])
    renamed = focal(logits[:, order], torch.argsort(order)[label], gamma=2.0)
    assert close(renamed, focal(logits, label, gamma=2.0)), (
        "giving the classes other numbers changed the loss: p is the probability of the label, not of class 1"
    )


def focal_shrinks_the_easy(focal):
    for gamma in (2.0, 1.0, 3.5):
        for p in (0.9, 0.5):
            logits = torch.tensor([[p, 1 - p]], dtype=torch.float64).log()
            kept = float(focal(logits, torch.tensor([0]), gamma=gamma)) / -math.log(p)
            assert close(kept, (1 - p) ** gamma), (
                f"at p = {p} gamma={gamma:g} keeps (1 - p)^{gamma:g} of the cross-entropy, here it kept {kept:.2f}"
            )
    pair = torch.tensor([[0.9, 0.1], [0.2, 0.8]], dtype=torch.float64).log()
    due = (0.1**2 * -math.log(0.9) + 0.8**2 * -math.log(0.2)) / 2
    assert close(float(focal(pair, torch.tensor([0, 0]), gamma=2.0)), due), (
        "one factor for the whole batch: keep the losses apart (reduction='none'), scale each, then take the mean"
    )


def focal_has_a_gradient(focal):
    logits, label = drawn(4)
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(focal(logits, label, gamma=2.0), logits)
    step = torch.zeros_like(logits)
    step[1, 2] = 1e-6
    slope = (_focal(logits + step, label, gamma=2.0) - _focal(logits - step, label, gamma=2.0)) / 2e-6
    assert abs(gradient[1, 2] - slope) < 1e-4, (
        "the gradient disagrees with finite differences: (1 - p)^gamma is part of the graph, do not detach it"
    )


def focal_weighs_the_label(focal):
    logits, label = drawn(8, classes=3)
    alpha = torch.tensor([0.1, 0.2, 0.7], dtype=torch.float64)
    without_focus = focal(logits, label, gamma=0.0, alpha=alpha)
    alone = [focal(logits[i : i + 1], label[i : i + 1], gamma=2.0) for i in range(8)]
    got, due = (
        focal(logits, label, gamma=2.0, alpha=alpha),
        sum(alpha[y] * a for y, a in zip(label, alone, strict=True)) / 8,
    )
    doubled = focal(logits, label, gamma=2.0, alpha=2 * alpha)
    assert not close(doubled, got), "doubling alpha changed nothing: alpha multiplies and does not divide"
    assert close(doubled, 2 * got), (
        "doubling alpha must double the loss: it leaked into p; take p before you apply alpha"
    )
    assert close(got, due), "alpha landed on another class: alpha[k] belongs to examples whose label is k"
    due = (alpha[label] * F.cross_entropy(logits, label, reduction="none")).mean()
    assert close(without_focus, due), "at gamma=0 alpha has no effect, or another: the two options are independent"


def focal_is_stable(focal):
    for gamma in (2.0, 1.0, 0.0):
        for label, due in ((0, 0.0), (1, 2e4)):
            logits = torch.tensor([[1e4, -1e4]], requires_grad=True)
            value = focal(logits, torch.tensor([label]), gamma=gamma)
            (gradient,) = torch.autograd.grad(value, logits)
            finite = math.isfinite(value.item()) and bool(gradient.isfinite().all())
            where = f"gamma={gamma:g} and logits of +-1e4 gave"
            assert finite, (
                f"{where} inf or nan, in the loss or its gradient: start from log_softmax; mind log(1 - p) at p = 1"
            )
            assert close(value.item(), due), f"{where} {value.item():.3g}, not {due:.0f}: nothing may be clamped"


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


def _focal_by_logs(logits, label, gamma=2.0, alpha=None):
    log_p = logits.log_softmax(-1).gather(1, label[:, None])[:, 0]
    rest = 1 - log_p.exp()
    factor = rest * rest if gamma == 2 else rest if gamma == 1 else (gamma * rest.log()).exp()
    loss = factor * -log_p
    return (loss if alpha is None else alpha[label] * loss).mean()


def _focal_clamped(logits, label, gamma=2.0, alpha=None):
    return _focal(logits.clamp(-100, 100), label, gamma, alpha)


def _focal_from_torch(logits, label, gamma=2.0, alpha=None):
    surprise = F.nll_loss(F.log_softmax(logits, dim=1), label, reduction="none")
    factor = torch.pow(-torch.expm1(-surprise), gamma)
    if alpha is not None:
        factor = factor * torch.index_select(alpha, 0, label)
    return torch.dot(factor, surprise.to(factor)) / label.numel()


def _focal_by_others(logits, label, gamma=2.0, alpha=None):
    chosen = F.one_hot(label, logits.shape[-1]).bool()
    log_p = logits.float().log_softmax(-1)
    others = log_p.exp().masked_fill(chosen, 0.0).sum(-1)  # 1 - p without cancelling
    loss = -(others**gamma) * log_p.masked_fill(~chosen, 0.0).sum(-1)
    return loss.mean() if alpha is None else torch.einsum("b,bk,k->", loss, chosen.float(), alpha.float()) / len(label)


def _focal_by_loop(logits, label, gamma=2.0, alpha=None):
    losses = []
    for scores, k in zip(logits.double(), label, strict=True):
        log_p = scores[k] - scores.logsumexp(0)
        losses.append((1 - log_p.exp()).pow(gamma) * -log_p * (1 if alpha is None else alpha[k]))
    return torch.stack(losses).mean()


focal = Exercise(
    id="12.2 focal",
    task="Write focal(logits, label, gamma=2.0, alpha=None): (B, K), (B,) -> mean of alpha[y] (1 - p)^gamma (-log p), "
    "where p is the probability of the label and alpha one factor per class.",
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
        "the two options are independent": lambda z, y, gamma=2.0, alpha=None: (
            _focal(z, y, gamma, alpha) if gamma else F.cross_entropy(z, y)
        ),
        "start from log_softmax": _focal_from_probabilities,
        "(1 - p)^1 of the cross-entropy": lambda z, y, gamma=2.0, alpha=None: _focal(
            z, y, 2.0 if gamma else 0.0, alpha
        ),
        "gamma=0 and logits of +-1e4": _focal_by_logs,
        "nothing may be clamped": _focal_clamped,
    },
    alternatives={
        "from torch's cross-entropy": _focal_from_torch,
        "one_hot and the sum of the others": _focal_by_others,
        "example by example": _focal_by_loop,
    },
    hints=(
        "Everything follows from one number per example: log p of its label.",
        "log_p = logits.log_softmax(-1).gather(1, label[:, None])[:, 0], and p = log_p.exp().",
        "loss = (1 - p) ** gamma * -log_p, times alpha[label] if alpha is given; then the mean over examples.",
    ),
    difficulty=2,
    minutes=10,
)
