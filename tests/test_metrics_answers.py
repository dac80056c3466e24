"""VQA's soft accuracy against all ten sets of nine people, and its normalisation."""

from itertools import combinations

import pytest

from course_lib.metrics.answers import normalised, soft_accuracy


@pytest.mark.parametrize("agreeing", range(11))
def test_as_the_average_over_ten_choose_nine(agreeing):
    people = ["red"] * agreeing + [f"other {n}" for n in range(10 - agreeing)]
    nines = list(combinations(people, 9))
    expected = sum(min(nine.count("red") / 3, 1) for nine in nines) / len(nines)
    assert soft_accuracy("Red", people) == pytest.approx(expected)


def test_the_values_of_the_docstring():
    scores = [soft_accuracy("2", ["two"] * n + ["three"] * (10 - n)) for n in range(5)]
    assert scores == pytest.approx([0, 0.3, 0.6, 0.9, 1.0])


@pytest.mark.parametrize(
    "answer, expected",
    [
        ("The Dog.", "dog"),
        ("two", "2"),
        ("100,978", "100978"),
        ("2.5 m.", "2.5 m"),
        ("2:50 pm", "2:50 pm"),
        ("none", "0"),
    ]
    + [("girl's", "girl's"), ("black/white", "black white"), ("a", ""), ("red,blue", "red blue")],
)
def test_normalised(answer, expected):
    assert normalised(answer) == expected


def test_one_answer_cannot_be_left_out():
    with pytest.raises(ValueError, match="1 human answers"):
        soft_accuracy("red", ["red"])
