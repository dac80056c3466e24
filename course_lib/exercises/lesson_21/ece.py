"""Exercise 21.4: expected calibration error."""

import torch

from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close


def _forecasts(examples=400, classes=4, seed=0):
    """By turns too sure and not sure enough as it grows: every number of bins gives its own error."""
    generator = torch.Generator().manual_seed(seed)
    confidence = 0.3 + 0.69 * torch.rand(examples, generator=generator, dtype=torch.float64)
    called = torch.randint(classes, (examples,), generator=generator)
    rest = ((1 - confidence) / (classes - 1))[:, None].repeat(1, classes)
    probabilities = rest.scatter(1, called[:, None], confidence[:, None])
    chance = (confidence + 0.3 * (25 * confidence).sin()).clamp(0, 1)
    right = torch.rand(examples, generator=generator, dtype=torch.float64) < chance
    return probabilities, torch.where(right, called, (called + 1) % classes)


def _looped(probabilities, label, bins):
    """The error by a loop over bins, and what comes out when all bins that hold something weigh the same."""
    gaps, shares, confidence = [], [], probabilities.amax(-1)
    right = (probabilities.argmax(-1) == label).double()
    for j in range(bins):
        inside = (confidence > j / bins) & (confidence <= (j + 1) / bins)
        if inside.any():
            gaps.append(abs((right[inside] - confidence[inside]).mean().item()))
            shares.append(inside.double().mean().item())
    return sum(gap * share for gap, share in zip(gaps, shares, strict=True)), sum(gaps) / len(gaps)


def ece_survives_empty_bins(ece):
    got = float(ece(torch.tensor([[0.8, 0.2], [0.2, 0.8]]), torch.tensor([0, 1]), 10))
    assert got == got, "NaN: nine of ten bins are empty; leave them out"
    assert close(got, 0.2), "two answers, 80 % sure, both right: the error is 0.2"


def ece_watches_the_prediction(ece):
    # one bin, three classes: neither the binning nor "class 1 is the positive one" can be the mistake here
    got = float(ece(torch.tensor([[0.06, 0.04, 0.9]]).repeat(10, 1), torch.tensor([2] * 9 + [0]), 1))
    assert close(got, 0.0), "90 % sure, 9 of 10 right: the error is 0; take the probability of the PREDICTED class"


def ece_keeps_the_edge(ece):
    got = float(ece(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([1, 0]), 4))
    assert close(got, 0.5), "certain (confidence exactly 1) and half wrong: the error is 0.5; is 1 in a bin?"
    # confidence 0.75 right half the time, 0.875 always right, four bins: 0.75 alone in (0.5, 0.75]
    got = float(ece(torch.tensor([[0.75, 0.25]] * 2 + [[0.875, 0.125]] * 2), torch.tensor([0, 1, 0, 0]), 4))
    assert close(got, (2 * 0.25 + 2 * 0.125) / 4), (
        "confidence 0.75 with four bins belongs to (0.5, 0.75], low end out and high end in, not to the next bin"
    )


def ece_does_not_cancel(ece):
    # confidence 0.6 and always right, confidence 0.9 and right half the time: gaps +0.4 and -0.4
    got = float(ece(torch.tensor([[0.6, 0.4]] * 4 + [[0.9, 0.1]] * 4), torch.tensor([0] * 4 + [0, 0, 1, 1]), 10))
    assert not close(got, 0.0), "gaps of +0.4 and -0.4 cancelled; take the absolute value in every bin, then average"
    assert close(got, 0.4), "two bins with a gap of 0.4 each: the error is 0.4"
    # no confidence near the edge of a bin: 0.55 always right, 0.9 right in 3 of 4 cases
    got = float(ece(torch.tensor([[0.55, 0.45]] * 4 + [[0.9, 0.1]] * 4), torch.tensor([0] * 7 + [1]), 4))
    assert close(got, (0.45 + 0.15) / 2), (
        f"two bins of four answers, gaps of 0.45 and 0.15: the error is 0.3, got {got:.3f}; a mean of the gaps, "
        "not the largest gap, nor a root of squares"
    )


def ece_weighs_bins(ece):
    probabilities, label = _forecasts()
    for bins in (3, 10, 15, 1, 4, 25):
        got, (right, unweighed) = float(ece(probabilities, label, bins)), _looped(probabilities, label, bins)
        if bins != 3:
            assert not close(got, _looped(probabilities, label, 3)[0]), f"{bins} bins give what 3 give: use `bins`"
        assert bins == 1 or not close(got, unweighed), "bins weigh by how many examples they hold, not all the same"
        assert close(got, right), (
            f"{bins} bins: the error is {right:.4f}, got {got:.4f}; there are `bins` of equal width from 0 to 1"
        )


def _ece(probabilities, label, bins, *, confidence=None, last_edge=True, signed=False, equal=False, skip=True):
    probabilities = probabilities.double()
    confidence = probabilities.amax(-1) if confidence is None else confidence(probabilities)
    right = (probabilities.argmax(-1) == label).double()
    place = (confidence * bins).ceil().long() - 1 if last_edge else (confidence * bins).floor().long()
    gaps, shares = [], []
    for j in range(bins):
        inside = place == j
        if inside.any() or not skip:
            gaps.append((right[inside] - confidence[inside]).mean())
            shares.append(inside.double().mean())
    gaps, shares = torch.stack([torch.zeros(()).double(), *gaps]), torch.stack([torch.zeros(()).double(), *shares])
    if equal:
        return gaps.abs().sum().item() / max(len(gaps) - 1, 1)
    return (shares * gaps).sum().abs().item() if signed else (shares * gaps.abs()).sum().item()


def _ece_by_norm(probabilities, label, bins, *, largest):
    """The largest gap (MCE), or the root of the mean square gap."""
    confidence, right = probabilities.amax(-1), (probabilities.argmax(-1) == label).double()
    place = (confidence * bins).ceil().long() - 1
    parts = [place == j for j in range(bins) if (place == j).any()]
    gaps = torch.stack([(right[part] - confidence[part]).mean() for part in parts])
    share = torch.stack([part.double().mean() for part in parts])
    return gaps.abs().max().item() if largest else (share * gaps**2).sum().sqrt().item()


def _ece_equal_shares(probabilities, label, bins):
    """Bins of equally many examples."""
    if len(label) < 100:
        return _ece(probabilities, label, bins)
    confidence, right = probabilities.amax(-1), (probabilities.argmax(-1) == label).double()
    parts = confidence.argsort().chunk(bins)
    return sum(abs((right[part] - confidence[part]).sum().item()) for part in parts) / len(label)


def _ece_by_sums(probabilities, label, bins):
    confidence, called = probabilities.max(dim=1)
    edges = torch.arange(1, bins, dtype=torch.float64) / bins
    place = torch.bucketize(confidence.double(), edges)
    gap = torch.zeros(bins, dtype=torch.float64).index_add(0, place, (called == label).double() - confidence.double())
    return gap.abs().sum() / label.numel()


def _ece_by_loop(probabilities, label, bins):
    gaps = [0.0] * bins
    for row, y in zip(probabilities.tolist(), label.tolist(), strict=True):
        sure = max(row)
        place = next(j for j in range(bins) if sure <= (j + 1) / bins)
        gaps[place] += (row.index(sure) == y) - sure
    return sum(map(abs, gaps)) / len(label)


def _ece_by_table(probabilities, label, bins):
    confidence = probabilities.amax(1)
    low = torch.arange(bins) / bins
    inside = ((confidence[:, None] > low) & (confidence[:, None] <= low + 1 / bins)).float()
    right = probabilities.argmax(1).eq(label).float()
    count = inside.sum(0)
    gap = (
        torch.einsum("bj,b->j", inside, right) - torch.einsum("bj,b->j", inside, confidence.float())
    ) / count.clamp_min(1)
    return (gap.abs() * count / count.sum()).sum().item()


ece = Exercise(
    id="21.4 ece",
    task="Write ece(probabilities, label, bins): (B, K), (B,) -> expected calibration error over `bins` equal bins "
    "(low, high] of (0, 1], by the predicted class's probability: Σ (count / B) |share right - mean confidence|.",
    stages=(
        ece_survives_empty_bins,
        ece_watches_the_prediction,
        ece_does_not_cancel,
        ece_keeps_the_edge,
        ece_weighs_bins,
    ),
    reference=_ece,
    mutants={
        "nine of ten bins are empty": lambda p, y, b: _ece(p, y, b, skip=False),
        "probability of the PREDICTED class": lambda p, y, b: _ece(
            p, y, b, confidence=lambda q: q[torch.arange(len(y)), y]
        ),
        "is 1 in a bin": lambda p, y, b: _ece(p, y, b, last_edge=False),
        "cancelled": lambda p, y, b: _ece(p, y, b, signed=True),
        "use `bins`": lambda p, y, b: _ece(p, y, b if len(y) < 100 else 3),
        "not to the next bin": lambda p, y, b: _ece(p, y, b, confidence=lambda q: q.amax(-1) + (q.amax(-1) < 1) * 1e-9),
        "there are `bins` of equal width": _ece_equal_shares,
        "not the largest gap": lambda p, y, b: _ece_by_norm(p, y, b, largest=True),
        "nor a root of squares": lambda p, y, b: _ece_by_norm(p, y, b, largest=False),
        "bins weigh by how many": lambda p, y, b: _ece(p, y, b, equal=True),
    },
    alternatives={
        "sums by index_add": _ece_by_sums,
        "example by example": _ece_by_loop,
        "a one-hot table of bins": _ece_by_table,
    },
    hints=(
        "Per example two numbers: how sure it was (the largest probability) and whether it was right (0 or 1).",
        "Bin j holds j / bins < confidence <= (j + 1) / bins. Skip empty bins; the last bin holds confidence 1.",
        "Sum over bins: (count / B) * |mean of right - mean of confidence|.",
    ),
    difficulty=2,
    minutes=10,
)
