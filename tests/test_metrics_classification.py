import math

import pytest
import torch
from sklearn import metrics as sk
from sklearn.metrics import accuracy_score

from course_lib.metrics.classification import (
    accuracy,
    average_precision_recall_f1,
    confusion_matrix,
    precision_recall_f1,
)


def random_answers(examples=97, classes=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    label = torch.multinomial(torch.tensor([8.0, 4.0, 2.0, 1.0, 0.5][:classes]), examples, True, generator=generator)
    guess = torch.randint(classes, (examples,), generator=generator)
    return label, torch.where(torch.rand(examples, generator=generator) < 0.6, label, guess)


def test_accuracy_by_hand_and_by_scikit_learn():
    scores = torch.tensor([[0.1, 0.9], [2.0, 1.0], [0.3, 0.4], [5.0, -1.0]])
    label = torch.tensor([1, 0, 0, 1])
    assert accuracy(scores, label) == 0.5 == accuracy_score(label, scores.argmax(1))


def test_accuracy_of_nothing_is_refused():
    with pytest.raises(ValueError, match="label is empty, and of no examples"):
        accuracy(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))


def test_confusion_matrix_by_hand_and_by_scikit_learn():
    label, predicted = torch.tensor([0, 0, 1, 2, 2, 2]), torch.tensor([0, 2, 1, 2, 2, 0])
    assert confusion_matrix(label, predicted, 4).tolist() == [[1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]
    label, predicted = random_answers()
    assert confusion_matrix(label, predicted, 5).tolist() == sk.confusion_matrix(label, predicted).tolist()


def test_confusion_matrices_of_parts_add_up():
    label, predicted = random_answers()
    parts = [confusion_matrix(label[rows], predicted[rows], 5) for rows in torch.arange(97).split(13)]
    assert torch.equal(sum(parts), confusion_matrix(label, predicted, 5))
    empty = torch.zeros(0, dtype=torch.int64)
    assert torch.equal(confusion_matrix(empty, empty, 3), torch.zeros(3, 3, dtype=torch.int64))


@pytest.mark.parametrize("wrong", [torch.tensor([0, 3]), torch.tensor([-1, 2])])
def test_classes_outside_are_refused(wrong):
    with pytest.raises(ValueError, match="is no class, at .*; 3 classes have the numbers 0 to 2"):
        confusion_matrix(wrong, torch.tensor([0, 1]), 3)


@pytest.mark.parametrize("zero_division", [0.0, 1.0, math.nan])
@pytest.mark.parametrize("seed", range(5))
def test_per_class_figures_equal_scikit_learn(zero_division, seed):
    label, predicted = random_answers(examples=23, seed=seed)  # few enough that classes are missing
    label[label == 4], predicted[predicted == 3] = 0, 1
    figures = precision_recall_f1(confusion_matrix(label, predicted, 6), zero_division=zero_division)
    expected = sk.precision_recall_fscore_support(label, predicted, labels=range(6), zero_division=zero_division)
    for mine, theirs in zip(figures, expected, strict=True):
        torch.testing.assert_close(mine.double(), torch.tensor(theirs).double(), equal_nan=True)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize("zero_division", [0.0, 1.0, math.nan])
def test_averages_equal_scikit_learn(average, zero_division):
    for seed in range(5):
        label, predicted = random_answers(examples=23, seed=seed)
        label[label == 4], predicted[predicted == 3] = 0, 1
        figures = average_precision_recall_f1(
            confusion_matrix(label, predicted, 6), average, zero_division=zero_division
        )
        expected = sk.precision_recall_fscore_support(
            label, predicted, labels=range(6), average=average, zero_division=zero_division
        )
        assert figures == pytest.approx(expected[:3], nan_ok=True)


def test_chance_figures_of_the_docstring():
    everything_positive = precision_recall_f1(torch.tensor([[0, 700], [0, 300]]))
    assert everything_positive.f1[1].item() == pytest.approx(2 * 0.3 / 1.3)
    random = precision_recall_f1(torch.tensor([[560, 140], [240, 60]]))  # a fifth called positive at random
    figures = random.precision[1].item(), random.recall[1].item(), random.f1[1].item()
    assert figures == pytest.approx((0.3, 0.2, 2 * 0.3 * 0.2 / 0.5))


def test_other_conventions_for_zero_division_are_refused():
    with pytest.raises(ValueError, match="zero_division=0.5 is no convention"):
        precision_recall_f1(torch.eye(2, dtype=torch.int64), zero_division=0.5)
