"""Records as a Dataset: open words, soft targets, and a training run through `fit`."""

import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from course_lib.data.records import (
    Asked,
    OpenWords,
    PictureDataset,
    common_answers,
    soft_target,
)
from course_lib.data.splitting import split_by_group
from course_lib.models.vqa import VqaTransformer
from course_lib.training.config import TrainConfig
from course_lib.training.loop import fit

COLOURS = {"red": (200, 10, 10), "green": (10, 200, 10)}


@pytest.fixture
def questions(tmp_path):
    """Twelve plain pictures, each asked for its colour by two people who agree and eight who do not."""
    records = []
    for number in range(12):
        name = ("red", "green")[number % 2]
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (20, 16), COLOURS[name]).save(path)
        answers = (name,) * 4 + ("blue", "pink", "grey", "black", "white", "brown")
        records.append(Asked(str(number), path, number, "What colour is it?", answers, "other", "train"))
    return records


def test_open_words_keep_the_commonest_and_know_that_they_do_not_know():
    words = OpenWords.of(["A dog's ball", "a dog's tail", "a cat"], most=2)
    assert words.words == ("a", "dog's") and len(words) == 6
    assert words.encode("A cat, a DOG'S bed.", length=8).tolist() == [1, 4, 3, 4, 5, 3, 2, 0]
    assert words.encode("a a a a a a", length=4).tolist() == [1, 4, 4, 2]
    with pytest.raises(ValueError, match="length 2 is too short"):
        words.encode("a", length=2)


def test_soft_targets(questions):
    answers = common_answers(questions, most=3)
    assert answers == ("green", "red", "black")  # 24 times, 24 times, and the first of those that came 12 times
    assert common_answers(questions[:1], most=1) == ("red",)
    torch.testing.assert_close(soft_target(questions[0], ("red", "green", "pink")), torch.tensor([1.0, 0.0, 1 / 3]))


def test_records_train_a_model_through_fit(questions):
    torch.manual_seed(0)
    words, answers = OpenWords.of([each.question for each in questions], most=10), ("green", "red")
    data = PictureDataset(
        questions,
        size=16,
        encode=lambda each: {"ids": words.encode(each.question, length=8), "target": soft_target(each, answers)},
    )
    train, test = split_by_group(data.groups, (0.75, 0.25), seed=0)
    assert (len(data), len(train), len(test)) == (12, 9, 3)
    model = VqaTransformer(vocabulary=len(words), answers=2, width=16, heads=2, layers=1)

    def loss(model, batch):
        return F.binary_cross_entropy_with_logits(model(batch["image"], batch["ids"]).logits, batch["target"])

    config = TrainConfig(steps=30, batch_size=9, learning_rate=3e-3, progress="none")
    fit(model, torch.utils.data.Subset(data, train.tolist()), loss, config)
    model.eval()
    for row in test.tolist():
        item = data[row]
        answer = answers[model(item["image"][None], item["ids"][None]).logits.argmax()]
        assert answer == questions[row].answers[0]


def test_no_records_make_no_dataset():
    with pytest.raises(ValueError, match="no records came"):
        PictureDataset([], size=8, encode=lambda each: {})
