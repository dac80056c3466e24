"""Captions name exactly what is there, in both languages; every answer is found again from the sentence alone."""

import re

import pytest

from course_lib.data.scene_language import CHINESE, ENGLISH, caption, caption_zh, relation_captions
from course_lib.data.scenes import make_scenes
from course_lib.data.shapes import HELD_OUT, Scene, SceneObject

# Written out a second time, on purpose: a slip in the library's table must not slip into the test.
TO_ENGLISH = {
    "红色": "red", "绿色": "green", "蓝色": "blue", "黄色": "yellow", "白色": "white",
    "方块": "square", "圆环": "ring", "三角形": "triangle", "十字": "cross", "菱形": "diamond",
    "小": "small", "大": "large",
    "左上": "top left", "右上": "top right", "左下": "bottom left", "右下": "bottom right",
    "左边": "left of", "右边": "right of", "上面": "above", "下面": "below",
    "一个": "one", "两个": "two", "三个": "three", "四个": "four", "有": "yes", "没有": "no",
}  # fmt: skip
ANY = "|".join(sorted(TO_ENGLISH, key=len, reverse=True))


def translate(chinese):
    """Replace each Chinese word by the English one and leave a space between."""
    return " ".join(TO_ENGLISH[word] for word in re.findall(ANY, chinese))


@pytest.fixture(scope="module", params=["train", "test"])
def batch(request):
    return make_scenes(400, seed=7, split=request.param)


def test_a_caption_of_a_scene_made_by_hand():
    scene = Scene(
        (
            SceneObject("red", "square", "small", row=0, column=0, top=1, left=2, side=5),
            SceneObject("blue", "ring", "large", row=1, column=1, top=8, left=9, side=7),
        ),
        16,
    )
    assert caption(scene) == "small red square top left and large blue ring bottom right"
    assert caption_zh(scene) == "左上的小红色方块和右下的大蓝色圆环"
    assert relation_captions(scene) == [
        ("blue ring right of red square", "蓝色圆环在红色方块的右边"),
        ("blue ring below red square", "蓝色圆环在红色方块的下面"),
        ("red square left of blue ring", "红色方块在蓝色圆环的左边"),
        ("red square above blue ring", "红色方块在蓝色圆环的上面"),
    ]


def test_english_captions_name_exactly_the_objects(batch):
    for scene, text in zip(batch.scenes, batch.captions, strict=True):
        told = [tuple(part.split(" ", 3)) for part in text.split(" and ")]
        assert told == [(each.size, each.colour, each.shape, each.place) for each in scene.objects]


def test_chinese_captions_name_the_same_objects(batch):
    for english, chinese in zip(batch.captions, batch.captions_zh, strict=True):
        told = []
        for part in chinese.split("和"):
            place, rest = part.split("的")
            told.append(f"{translate(rest)} {translate(place)}")
        assert " and ".join(told) == english


def test_questions_ask_the_same_in_both_languages(batch):
    forms = {
        "colour": (r"what colour is the (\w+)\?", r"(\S+)是什么颜色？"),
        "count": (r"how many objects are there()\?", r"有几个物体()？"),
        "exists": (r"is there a (\w+ \w+)\?", r"有(\S+)吗？"),
    }
    for question in (each for scene in batch.questions for each in scene):
        assert translate(question.answer_zh) == question.answer
        if question.kind == "relation":
            relation, reference = re.fullmatch(r"what is (.*) the (\w+ \w+)\?", question.text).groups()
            reference_zh, relation_zh = re.fullmatch(r"(\S+)的(\S+)是什么？", question.text_zh).groups()
            assert (translate(relation_zh), translate(reference_zh)) == (relation, reference)
        else:
            english, chinese = forms[question.kind]
            asked = re.fullmatch(english, question.text).group(1)
            assert translate(re.fullmatch(chinese, question.text_zh).group(1)) == asked


def test_every_scene_gets_one_count_one_yes_and_one_no(batch):
    for questions in batch.questions:
        assert sum(each.kind == "count" for each in questions) == 1
        assert sorted(each.answer for each in questions if each.kind == "exists") == ["no", "yes"]


def test_absent_pairs_are_made_of_words_that_fit_the_scene(batch):
    """With two colours and two shapes, an absent pair that uses both words can be found unless all are present."""
    both = 0
    for scene, questions in zip(batch.scenes, batch.questions, strict=True):
        (asked,) = (each.text for each in questions if each.kind == "exists" and each.answer == "no")
        colour, shape = re.findall(r"(\w+) (\w+)\?", asked)[0]
        assert (colour, shape) not in {each.pair for each in scene.objects}
        known = (colour in {each.colour for each in scene.objects}) + (shape in {each.shape for each in scene.objects})
        assert known >= 1
        both += known == 2
    assert both > len(batch.scenes) / 2


def test_training_text_never_names_a_held_out_pair():
    batch = make_scenes(600, seed=8, split="train")
    names = [" ".join(pair) for pair in HELD_OUT]
    texts = [*batch.captions, *(f"{each.text} {each.answer}" for scene in batch.questions for each in scene)]
    texts += [english for scene in batch.scenes for english, _ in relation_captions(scene)]
    assert len(texts) > 5000 and not any(name in text for name in names for text in texts)


def test_relation_captions_are_true_and_name_two_different_things(batch):
    for scene in batch.scenes:
        for english, chinese in relation_captions(scene):
            one, relation, other = re.fullmatch(r"(\w+ \w+) (left of|right of|above|below) (\w+ \w+)", english).groups()
            assert one != other
            spots = {
                name: [each.centre for each in scene.objects if " ".join(each.pair) == name] for name in (one, other)
            }
            axis, sign = {"left of": (1, -1), "right of": (1, 1), "above": (0, -1), "below": (0, 1)}[relation]
            assert any(sign * (a[axis] - b[axis]) > 3 for a in spots[one] for b in spots[other])
            parts = re.fullmatch(r"(\S+)在(\S+)的(\S+)", chinese).groups()
            assert [translate(part) for part in parts] == [one, other, relation]


def test_every_sentence_can_be_encoded_and_comes_back(batch):
    english, chinese = [*batch.captions], [*batch.captions_zh]
    for question in (each for scene in batch.questions for each in scene):
        english += [question.text, question.answer]
        chinese += [question.text_zh, question.answer_zh]
    for one, other in (pair for scene in batch.scenes for pair in relation_captions(scene)):
        english.append(one)
        chinese.append(other)
    for vocabulary, texts in ((ENGLISH, english), (CHINESE, chinese)):
        assert all(vocabulary.decode(vocabulary.encode(text)) == text for text in texts)
        used = {number for text in texts for number in vocabulary.encode(text)}
        assert used == set(range(1, len(vocabulary)))  # no word is there for nothing
