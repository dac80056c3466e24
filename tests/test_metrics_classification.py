import pytest
import torch
from sklearn.metrics import accuracy_score

from course_lib.metrics.classification import accuracy


def test_accuracy_by_hand_and_by_scikit_learn():
    scores = torch.tensor([[0.1, 0.9], [2.0, 1.0], [0.3, 0.4], [5.0, -1.0]])
    label = torch.tensor([1, 0, 0, 1])
    assert accuracy(scores, label) == 0.5 == accuracy_score(label, scores.argmax(1))


def test_accuracy_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no examples"):
        accuracy(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))
