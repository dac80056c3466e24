"""First-fit packing: every document once, no sequence over its capacity, close to the bound."""

import random

import pytest

from course_lib.data.packing import first_fit, full_share


def test_every_document_once_and_none_too_many():
    lengths = [random.Random(0).randint(1, 90) for _ in range(77)]
    packed = first_fit(lengths, capacity=100)
    assert sorted(document for sequence in packed for document in sequence) == list(range(77))
    assert max(sum(lengths[document] for document in sequence) for sequence in packed) <= 100
    assert len(packed) <= 11 / 9 * -(-sum(lengths) // 100) + 1


def test_by_hand():
    assert first_fit([3, 6, 4, 7], capacity=10) == [[3, 0], [1, 2]]
    assert full_share([3, 6, 4, 7], 2, 10) == 1.0 and full_share([3, 6, 4, 7], 4, 7) == 20 / 28
    assert first_fit([], capacity=10) == []
    with pytest.raises(ValueError, match="a document of 11 tokens does not fit in 10"):
        first_fit([2, 11], capacity=10)
