"""Exercise 21.1: precision, recall and F1 with averages."""

import math
import random
from collections import Counter
from fractions import Fraction

import torch

from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close

LABEL = [0] * 6 + [1] * 3 + [2] * 1 + [3] * 2
CALLED = [0, 0, 0, 0, 1, 2] + [1, 0, 0] + [2] + [0, 1]  # nothing is called 3
COUNTS = {0: (4, 3, 2), 1: (1, 2, 2), 2: (1, 1, 0), 3: (0, 0, 2)}  # TP, FP, FN of each class, counted by hand


def _expected(average, weight=lambda k: 1):
    def ratios(true, false, missed):
        called, present = true + false, true + missed
        return (
            true / called if called else 0.0,
            true / present if present else 0.0,
            2 * true / (called + present) if called + present else 0.0,
        )

    if average == "micro":
        return ratios(*(sum(counts[i] for counts in COUNTS.values()) for i in range(3)))
    total = sum(weight(k) for k in COUNTS)
    return tuple(sum(weight(k) * ratios(*COUNTS[k])[i] for k in COUNTS) / total for i in range(3))


def _call(prf, average, label=LABEL, called=CALLED, classes=4):
    got = prf(torch.tensor(label), torch.tensor(called), classes, average)
    assert len(got) == 3, f"return (precision, recall, f1), three numbers; got {got!r}"
    return tuple(float(value) for value in got)


def _near(got, expected):
    return close(list(got), list(expected))


def prf_survives_empty_classes(prf):
    try:
        got = _call(prf, "macro")
    except ZeroDivisionError:
        raise AssertionError("class 3 is never called: its precision has no denominator; count it as 0") from None
    assert not any(math.isnan(value) for value in got), "NaN: a class that is never called counts as 0, not as 0/0"


def prf_knows_what_is_what(prf):
    precision, recall, _ = _call(prf, "macro", label=[0, 0, 0, 1, 1], called=[0, 1, 1, 1, 1], classes=2)
    assert not _near((precision, recall), (2 / 3, 3 / 4)), (
        "precision and recall are swapped; precision divides by calls"
    )
    assert _near((precision, recall), (3 / 4, 2 / 3)), (
        "macro: TP / called (precision), TP / present (recall), mean over classes"
    )


def prf_combines_precision_and_recall(prf):
    """TP 6, FN 4, FP 30, TN 960: F1 of class 1 is 12 / 46, and 960 / 977 for class 0."""
    label, called = [1] * 10 + [0] * 990, [1] * 6 + [0] * 4 + [1] * 30 + [0] * 960
    f1 = _call(prf, "macro", label, called, 2)[2]
    accuracy_recall = [2 * 0.966 * recall / (0.966 + recall) for recall in (960 / 990, 0.6)]
    assert not close(f1, sum(accuracy_recall) / 2), "that F1 combines ACCURACY and recall; take precision"
    means = [(960 / 964 + 6 / 36) / 2, (960 / 990 + 0.6) / 2]
    of_means = 2 * means[0] * means[1] / sum(means)
    assert not close(f1, of_means), "macro F1 is the mean of each class's F1, not the F1 of the two means"
    assert close(f1, (12 / 46 + 1920 / 1954) / 2), "F1 of a class is 2 TP / (2 TP + FP + FN); macro is their mean"


def prf_keeps_missing_classes(prf):
    silent = "macro divides by `classes`, silent classes included"
    assert _near(_call(prf, "macro"), _expected("macro")), silent
    with_absent = [4 / 5 * figure for figure in _expected("macro")]  # class 4 is neither a label nor called
    assert _near(_call(prf, "macro", classes=5), with_absent), silent


def prf_pools_for_micro(prf):
    assert not _near(_call(prf, "micro"), _call(prf, "macro")), "micro pools TP, FP and FN over classes BEFORE dividing"
    assert _near(_call(prf, "micro"), _expected("micro")), "micro: sum TP over classes, divide by all the calls"


def prf_weighs_by_support(prf):
    got = _call(prf, "weighted")
    by_calls = _expected("weighted", lambda k: CALLED.count(k))
    assert not _near(got, by_calls), "weighted by how often a class is called; weigh by how often it is the LABEL"
    assert _near(got, _expected("weighted", LABEL.count)), "weighted: each class counts by its share of the labels"


def _counted(label, called, classes, average):
    """The truth in fractions, from counts by loops."""

    def ratios(classes):
        true = sum(y == p for y, p in zip(label, called, strict=True) if y in classes and p in classes)
        said, present = sum(p in classes for p in called), sum(y in classes for y in label)
        each = (true, said), (true, present), (2 * true, said + present)
        return [Fraction(above, below) if below else Fraction(0) for above, below in each]

    if average == "micro":
        share = Fraction(sum(y == p for y, p in zip(label, called, strict=True)), len(label))
        return [float(share)] * 3
    weights = [
        Fraction(label.count(k), len(label)) if average == "weighted" else Fraction(1, classes) for k in range(classes)
    ]
    parts = [ratios({k}) for k in range(classes)]
    return [float(sum(w * part[i] for w, part in zip(weights, parts, strict=True))) for i in range(3)]


def prf_is_right_for_any_calls(prf):
    draw = random.Random(0)
    for _ in range(12):
        classes = draw.randint(2, 6)
        label, called = ([draw.randrange(classes) for _ in range(draw.choice([9, 20]))] for _ in range(2))
        called = (called * 3)[: len(label)]
        for average in ("macro", "micro", "weighted"):
            assert _near(_call(prf, average, label, called, classes), _counted(label, called, classes, average)), (
                f"{average}, labels {label}, called {called}, {classes} classes: count TP, FP, FN of each class by hand"
            )


def _prf(label, called, classes, average, *, f1_of_means=False, weigh_calls=False, called_only=False):
    index = torch.arange(classes)[:, None]
    is_class, says_class = (label == index).double(), (called == index).double()  # (K, B)
    counts = torch.stack([(is_class * says_class).sum(1), says_class.sum(1), is_class.sum(1)])  # (3, K)
    weight = counts[1 if weigh_calls else 2] if average == "weighted" else torch.ones(classes).double()
    if average == "micro":
        counts, weight = counts.sum(1, keepdim=True), torch.ones(1).double()
    true, said, present = counts
    if called_only:
        weight = weight * (said > 0)
    figures = torch.stack([true / said.clamp(min=1), true / present.clamp(min=1), 2 * true / (said + present)])
    precision, recall, f1 = (figures.nan_to_num() @ weight / weight.sum()).tolist()
    return precision, recall, 2 * precision * recall / (precision + recall) if f1_of_means else f1


def _prf_of_accuracy(label, called, classes, average):
    precision, recall, _ = _prf(label, called, classes, average)
    share = (label == called).double().mean().item()
    each = [(called[label == k] == k).double().mean().item() for k in label.unique()]
    return precision, recall, sum(2 * share * r / (share + r) for r in each) / classes


def _prf_divides_by_zero(label, called, classes, average):
    precision = sum((label[called == k] == k).double().mean().item() for k in range(classes)) / classes
    return precision, *_prf(label, called, classes, average)[1:]


def _prf_by_class(label, called, classes, average):
    pairs = list(zip(label.tolist(), called.tolist(), strict=True))
    true, said, present = (
        Counter(y for y, p in pairs if y == p),
        Counter(p for _, p in pairs),
        Counter(y for y, _ in pairs),
    )

    def over(above, below):
        return above / below if below else 0.0

    if average == "micro":
        return (over(sum(true.values()), len(pairs)),) * 3
    rows = [
        (over(true[k], said[k]), over(true[k], present[k]), over(2 * true[k], said[k] + present[k]))
        for k in range(classes)
    ]
    weights = [1 / classes if average == "macro" else present[k] / len(pairs) for k in range(classes)]
    return tuple(math.fsum(w * row[i] for w, row in zip(weights, rows, strict=True)) for i in range(3))


def _prf_by_matrix(label, called, classes, average):
    table = torch.bincount(label * classes + called, minlength=classes**2).view(classes, classes).float()
    true, said, present = table.diagonal(), table.sum(0), table.sum(1)
    if average == "micro":
        true, said, present = (each.sum()[None] for each in (true, said, present))
    precision = torch.where(said > 0, true / said, 0)
    recall = torch.where(present > 0, true / present, 0)
    f1 = torch.where(true > 0, 2 * precision * recall / (precision + recall), 0)
    weight = present if average == "weighted" else torch.ones_like(present)
    return torch.stack([precision, recall, f1]) @ (weight / weight.sum())


prf = Exercise(
    id="21.1 prf",
    task="Write prf(label, called, classes, average): (B,), (B,) class numbers -> (precision, recall, f1), averaged "
    "'macro', 'micro' or 'weighted' (by support), over all `classes` classes. A ratio without a denominator counts "
    "as 0; macro F1 is the mean of the F1s.",
    stages=(
        prf_survives_empty_classes,
        prf_knows_what_is_what,
        prf_combines_precision_and_recall,
        prf_keeps_missing_classes,
        prf_pools_for_micro,
        prf_weighs_by_support,
        prf_is_right_for_any_calls,
    ),
    reference=_prf,
    mutants={
        "counts as 0, not as 0/0": _prf_divides_by_zero,
        "precision and recall are swapped": lambda y, p, k, a: _prf(p, y, k, a),
        "combines ACCURACY and recall": _prf_of_accuracy,
        "not the F1 of the two means": lambda y, p, k, a: _prf(y, p, k, a, f1_of_means=True),
        "silent classes included": lambda y, p, k, a: _prf(y, p, k, a, called_only=a == "macro"),
        "BEFORE dividing": lambda y, p, k, a: _prf(y, p, k, "macro" if a == "micro" else a),
        "weigh by how often it is the LABEL": lambda y, p, k, a: _prf(y, p, k, a, weigh_calls=True),
        "of each class by hand": lambda y, p, k, a: _prf(y, p, k, "macro" if a == "weighted" and len(y) < 10 else a),
    },
    alternatives={
        "class by class, Python's numbers": _prf_by_class,
        "a confusion matrix": _prf_by_matrix,
    },
    hints=(
        "Three counts per class are enough: TP, how often the class is called, how often it is the label.",
        "label == torch.arange(classes)[:, None] is a (K, B) table; sum over B. clamp(min=1) saves you from 0/0.",
        "F1 = 2 TP / (called + present) per class. micro sums the counts first; macro and weighted average after.",
    ),
    difficulty=1,
    minutes=10,
)
