"""Text survives the trip through token ids, and what does not fit is refused rather than dropped."""

import pytest
import torch

from course_lib.data.vocabulary import Vocabulary

ENGLISH = Vocabulary(("red", "square", "ring", "is", "there", "a", "?"), " ")
CHINESE = Vocabulary(("有", "没有", "红色", "方块", "吗", "？"), "")


def test_ids_follow_the_list_after_the_three_special_tokens():
    assert ENGLISH.tokens[:4] == ("<pad>", "<bos>", "<eos>", "red")
    assert len(ENGLISH) == 10
    assert ENGLISH.encode("red ring") == [1, 3, 5, 2]
    assert ENGLISH.encode("") == [1, 2]


def test_english_splits_at_spaces_and_marks():
    assert ENGLISH.encode("is there a red square?") == [1, 6, 7, 8, 3, 4, 9, 2]


def test_chinese_takes_the_longest_word():
    assert CHINESE.encode("没有") == [1, 4, 2]  # not the shorter word inside it
    assert Vocabulary(("三", "三角形", "角形"), "").encode("三角形") == [1, 4, 2]  # nor the shorter one it begins with
    assert CHINESE.encode("有红色方块吗？") == [1, 3, 5, 6, 7, 8, 2]


@pytest.mark.parametrize("vocabulary, text", [(ENGLISH, "is there a red square?"), (CHINESE, "没有红色方块")])
def test_decoding_undoes_encoding_and_stops_at_the_end(vocabulary, text):
    ids = vocabulary.encode(text)
    assert vocabulary.decode(ids) == text
    assert vocabulary.decode(torch.tensor([*ids, 3, 3, 0, 0])) == text  # a model goes on after <eos>
    assert vocabulary.decode(ids[:-1]) == text  # or never gets there


@pytest.mark.parametrize("text", ["red squares", "red  square", "Red", "red square!", "redsquare", "rring", "red ?"])
def test_text_outside_the_list_is_refused(text):
    with pytest.raises(ValueError, match="does not consist of words of this vocabulary"):
        ENGLISH.encode(text)


def test_a_batch_is_padded_on_the_right():
    assert ENGLISH.encode_batch(["red", "a red ring"]).tolist() == [[1, 3, 2, 0, 0], [1, 8, 3, 5, 2]]
    assert ENGLISH.encode_batch(["red", "a"], length=4).tolist() == [[1, 3, 2, 0], [1, 8, 2, 0]]
    assert ENGLISH.encode_batch(["red"]).dtype == torch.int64


def test_a_batch_is_never_cut_off():
    with pytest.raises(ValueError, match="length 4 is too short: with <bos> and <eos> the longest text takes 5 tokens"):
        ENGLISH.encode_batch(["red", "a red ring"], length=4)


def test_a_word_listed_twice_is_refused():
    with pytest.raises(ValueError, match=r"listed twice: \['red'\]"):
        Vocabulary(("red", "ring", "red"), " ")
