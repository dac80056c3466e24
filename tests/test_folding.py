"""Folding: nothing lost, no line too wide, no word broken, no punctuation at the wrong end; over the whole bank."""

import re

import pytest
from wcwidth import width

from course_lib.interview.answer import as_text
from course_lib.interview.folding import fold
from course_lib.interview.questions import load_questions


@pytest.mark.parametrize("columns", [40, 60, 80])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_answer_of_the_bank_folds(language, columns):
    for question in load_questions():
        text = as_text(question, language)
        lines = fold(text, columns)
        assert max(map(width, lines)) <= columns
        assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)
        if language == "en":
            longest = max(map(width, text.split()))
            assert longest > columns - 4 or " ".join(lines).split() == text.split()  # no word is broken
        else:
            wrong = [line for line in lines if re.match(r"\s*[，。、？！」』]|.*[（《「『]$", line)]
            assert not wrong, wrong


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("one two three", ["one two", "three"]),
        ("  - one two three", ["  - one", "    two", "    three"]),
        ("a\n\nb", ["a", "", "b"]),
        ("注意力是加权平均。", ["注意力是", "加权平", "均。"]),  # the full stop does not begin a line
        ("用GPU算（很快）。", ["用GPU算", "（很", "快）。"]),  # nor does a bracket end one
        ("abcdefghijklmnop", ["abcdefghi", "jklmnop"]),
        ("a abcdefghijklmnop", ["a", "abcdefghi", "jklmnop"]),
        ("ééééé ééééé", ["ééééé", "ééééé"]),  # an accent of its own has no width
        ("id   two   three", ["id   two", "three"]),
        ("one two   ", ["one two"]),
    ],
)
def test_folded_at_nine_columns(text, lines):
    assert fold(text, 9) == lines


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_a_terminal_that_is_hardly_there_loses_nothing(columns):
    text = "  - one 注意力 three"
    assert "".join("".join(fold(text, columns)).split()) == "-one注意力three"
