"""Captions, relations and questions about a scene, in English and Chinese.

The sentences are short on purpose: with closed lists of fewer than 40 words a captioner of 100,000 parameters learns
them on a CPU. Every question has exactly one right answer, because it is only asked where the scene decides it.
"""

from dataclasses import dataclass

import numpy as np

from course_lib.data.shapes import COLOURS, PAIRS, RELATIONS, SEEN, SHAPES, SIZES, Scene, SceneObject
from course_lib.data.vocabulary import Vocabulary

CHINESE_WORDS = {
    **dict(zip(COLOURS, ("红色", "绿色", "蓝色", "黄色", "白色"), strict=True)),
    **dict(zip(SHAPES, ("方块", "圆环", "三角形", "十字", "菱形"), strict=True)),
    **dict(zip(SIZES, ("小", "大"), strict=True)),
    **{"top left": "左上", "top right": "右上", "bottom left": "左下", "bottom right": "右下"},
    **{"left of": "左边", "right of": "右边", "above": "上面", "below": "下面"},
    **{"one": "一个", "two": "两个", "three": "三个", "four": "四个", "yes": "有", "no": "没有", "and": "和"},
}
"""The word for word part of the translation; the order of words differs, see `caption`."""
NUMBERS = ("one", "two", "three", "four")

_ENGLISH_GRAMMAR = "top bottom left right of above below and what colour is the how many objects are there a yes no ?"
_CHINESE_GRAMMAR = "的 在 是 什么 颜色 几个 物体 吗 ？"
ENGLISH = Vocabulary((*COLOURS, *SHAPES, *SIZES, *NUMBERS, *_ENGLISH_GRAMMAR.split()), " ")
CHINESE = Vocabulary((*CHINESE_WORDS.values(), *_CHINESE_GRAMMAR.split()), "")


@dataclass(frozen=True)
class Question:
    """A question with its one right answer, in both languages.

    kind: "colour", "count", "exists" or "relation".
    """

    kind: str
    text: str
    answer: str
    text_zh: str
    answer_zh: str


def caption(scene: Scene) -> str:
    """Name size, colour, shape and place of every object in reading order.

    "small red square top left and large blue ring bottom right"
    """
    return " and ".join(f"{each.size} {each.colour} {each.shape} {each.place}" for each in scene.objects)


def caption_zh(scene: Scene) -> str:
    """Say the same in Chinese, where the place comes first: "左上的小红色方块和右下的大蓝色圆环"."""
    word = CHINESE_WORDS
    return word["and"].join(
        f"{word[each.place]}的{word[each.size]}{word[each.colour]}{word[each.shape]}" for each in scene.objects
    )


def relation_captions(scene: Scene) -> list[tuple[str, str]]:
    """Return one sentence, English and Chinese, per ordered pair of objects and relation that holds between them.

    "red square left of blue ring", "红色方块在蓝色圆环的左边". Two objects of the same colour and shape are left out:
    the sentence would not say which is which.
    """
    return [
        (f"{_name(one)} {relation} {_name(other)}", f"{_name_zh(one)}在{_name_zh(other)}的{CHINESE_WORDS[relation]}")
        for other in scene.objects
        for relation in RELATIONS
        for one in scene.standing(relation, other)
        if one.pair != other.pair
    ]


def ask(scene: Scene, random: np.random.RandomState, split: str) -> list[Question]:
    """Return every question about colours, number and relations that has one answer, and one yes and one no question.

    random: draws which pair is asked for.
    split: in "train" no question names a held-out pair, not even to be answered with no.
    """
    return [*_colours(scene), _count(scene), *_exists(scene, random, split), *_relations(scene)]


def _colours(scene: Scene) -> list[Question]:
    """Ask for the colour of each shape that occurs once."""
    shapes = [each.shape for each in scene.objects]
    return [
        Question(
            kind="colour",
            text=f"what colour is the {each.shape}?",
            answer=each.colour,
            text_zh=f"{CHINESE_WORDS[each.shape]}是什么颜色？",
            answer_zh=CHINESE_WORDS[each.colour],
        )
        for each in scene.objects
        if shapes.count(each.shape) == 1
    ]


def _count(scene: Scene) -> Question:
    number = NUMBERS[len(scene.objects) - 1]
    return Question("count", "how many objects are there?", number, "有几个物体？", CHINESE_WORDS[number])


def _exists(scene: Scene, random: np.random.RandomState, split: str) -> list[Question]:
    """Ask for a pair that is there and for one that is not, so that always saying yes is right half of the time.

    The absent pair takes its colour and its shape from the scene where that is possible: then a model that knows which
    words occur, but not which belong together, can't tell the two questions apart.
    """
    present = sorted({each.pair for each in scene.objects})
    absent = [pair for pair in (SEEN if split == "train" else PAIRS) if pair not in present]
    colours, shapes = ({pair[part] for pair in present} for part in (0, 1))
    overlap = [(colour in colours) + (shape in shapes) for colour, shape in absent]
    hardest = [pair for pair, shared in zip(absent, overlap, strict=True) if shared == max(overlap)]
    return [
        _is_there(present[int(random.random_sample() * len(present))], "yes"),
        _is_there(hardest[int(random.random_sample() * len(hardest))], "no"),
    ]


def _is_there(pair: tuple[str, str], answer: str) -> Question:
    colour, shape = pair
    text_zh = f"有{CHINESE_WORDS[colour]}{CHINESE_WORDS[shape]}吗？"
    return Question("exists", f"is there a {colour} {shape}?", answer, text_zh, CHINESE_WORDS[answer])


def _relations(scene: Scene) -> list[Question]:
    """Ask what stands beside each object that no other object is confused with, where exactly one object does."""
    pairs = [each.pair for each in scene.objects]
    return [
        Question(
            kind="relation",
            text=f"what is {relation} the {_name(reference)}?",
            answer=_name(found[0]),
            text_zh=f"{_name_zh(reference)}的{CHINESE_WORDS[relation]}是什么？",
            answer_zh=_name_zh(found[0]),
        )
        for reference in scene.objects
        for relation in RELATIONS
        if pairs.count(reference.pair) == 1 and len(found := scene.standing(relation, reference)) == 1
    ]


def _name(each: SceneObject) -> str:
    return f"{each.colour} {each.shape}"


def _name_zh(each: SceneObject) -> str:
    return CHINESE_WORDS[each.colour] + CHINESE_WORDS[each.shape]
