"""Exercise 21.4: expected calibration error."""

import torch

from course_lib.lesson.exercises import Exercise


def _forecasts(examples=200, classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2.5 * torch.randn(examples, classes, generator=generator, dtype=torch.float64)
    label = torch.multinomial((logits / 2.5).softmax(-1), 1, generator=generator).flatten()
    return logits.softmax(-1), label


def _looped(probabilities, label, bins):
    total, confidence = 0.0, probabilities.amax(-1)
    right = (probabilities.argmax(-1) == label).double()
    for j in range(bins):
        inside = (confidence > j / bins) & (confidence <= (j + 1) / bins)
        if inside.any():
            total += abs((right[inside] - confidence[inside]).sum().item()) / len(label)
    return total


def ece_survives_empty_bins(ece):
    got = float(ece(torch.tensor([[0.8, 0.2], [0.2, 0.8]]), torch.tensor([0, 1]), 10))
    assert got == got, "NaN: nine of ten bins are empty; leave them out"
    assert abs(got - 0.2) < 1e-5, "two answers, 80 % sure, both right: the error is 0.2"


def ece_watches_the_prediction(ece):
    # one bin, three classes: neither the binning nor "class 1 is the positive one" can be the mistake here
    got = float(ece(torch.tensor([[0.06, 0.04, 0.9]]).repeat(10, 1), torch.tensor([2] * 9 + [0]), 1))
    assert abs(got) < 1e-5, "90 % sure, 9 of 10 right: the error is 0; take the probability of the PREDICTED class"


def ece_keeps_the_edge(ece):
    got = float(ece(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([1, 0]), 4))
    assert abs(got - 0.5) < 1e-5, "certain (confidence exactly 1) and half wrong: the error is 0.5; is 1 in a bin?"


def ece_does_not_cancel(ece):
    # confidence 0.6 and always right, confidence 0.9 and right half the time: gaps +0.4 and -0.4
    got = float(ece(torch.tensor([[0.6, 0.4]] * 4 + [[0.9, 0.1]] * 4), torch.tensor([0] * 4 + [0, 0, 1, 1]), 10))
    assert abs(got) > 1e-5, "gaps of +0.4 and -0.4 cancelled; take the absolute value in every bin, then average"
    assert abs(got - 0.4) < 1e-5, "two bins with a gap of 0.4 each: the error is 0.4"


def ece_weighs_bins(ece):
    probabilities, label = _forecasts()
    for bins in (3, 10, 15):
        got, right = float(ece(probabilities, label, bins)), _looped(probabilities, label, bins)
        assert abs(got - right) < 1e-5, "bins weigh by how many examples they hold, and there are `bins` of equal width"


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


ece = Exercise(
    id="21.4 ece",
    task="Write ece(probabilities, label, bins): (B, K), (B,) -> expected calibration error over `bins` equal bins "
    "(low, high] of the predicted class's probability.",
    stages=(
        ece_survives_empty_bins,
        ece_watches_the_prediction,
        ece_keeps_the_edge,
        ece_does_not_cancel,
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
        "bins weigh by how many": lambda p, y, b: _ece(p, y, b, equal=True),
    },
    hints=(
        "Per example two numbers: how sure it was (the largest probability) and whether it was right (0 or 1).",
        "Bin j holds j / bins < confidence <= (j + 1) / bins. Skip empty bins; the last bin holds confidence 1.",
        "Sum over bins: (count / B) * |mean of right - mean of confidence|.",
    ),
    difficulty=2,
    minutes=10,
)
