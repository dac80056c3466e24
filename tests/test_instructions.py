import pytest
import torch

from course_lib.data.instructions import (
    IMAGE_ID,
    KINDS,
    WORDS,
    encode_examples,
    encode_prompts,
    make_instructions,
    mentioned,
    present,
)
from course_lib.data.scene_language import ENGLISH


def test_the_words_of_the_scenes_keep_their_ids():
    assert WORDS.tokens[: len(ENGLISH)] == ENGLISH.tokens
    assert WORDS.tokens[IMAGE_ID] == "<image>"


def test_labels_by_hand():
    ids, labels = encode_examples(["<image> describe.", "<image> what colour is the ring?"], ["small red ring", "blue"])
    words = [[WORDS.tokens[i] for i in row] for row in ids.tolist()]
    assert words[0] == ["<bos>", "<image>", "describe", ".", "small", "red", "ring", "<eos>", "<pad>", "<pad>"]
    assert words[1] == ["<bos>", "<image>", "what", "colour", "is", "the", "ring", "?", "blue", "<eos>"]
    assert labels[0].tolist() == [-100] * 4 + ids[0, 4:8].tolist() + [-100] * 2
    assert labels[1].tolist() == [-100] * 8 + ids[1, 8:].tolist()


def test_prompts_end_where_answers_begin():
    ids = encode_prompts(["<image> describe.", "<image> what colour is the ring?"])
    assert ids[0].tolist() == [0, 0, 0, 0, *WORDS.encode("<image> describe.")[:-1]]
    assert (ids[:, -1] != 0).all() and ids.shape == (2, 8)


def test_every_example_is_about_its_scene():
    data = make_instructions(40, seed=3, kinds=KINDS, questions=3, objects=(2, 4), size=32)
    assert set(data.kinds) == set(KINDS)
    for row, prompt, answer, kind in zip(data.rows, data.prompts, data.answers, data.kinds, strict=True):
        if kind == "caption":
            assert answer == data.drawn.captions[row]
        else:
            question = next(q for q in data.drawn.questions[row] if f"<image> {q.text}" == prompt)
            assert (question.answer, question.kind) == (answer, kind)
    assert torch.equal(data.images, data.drawn.images[data.rows])
    counts = [
        sum(1 for r, k in zip(data.rows, data.kinds, strict=True) if r == row and k != "caption") for row in range(40)
    ]
    assert set(counts) == {3}


def test_the_seed_decides_and_kinds_are_kept_apart():
    one, two = (make_instructions(30, seed=5, kinds=("exists",)) for _ in range(2))
    assert one.prompts == two.prompts and torch.equal(one.ids, two.ids)
    assert set(one.kinds) == {"exists"} and len(one.rows) == 30
    assert one.prompts != make_instructions(30, seed=6, kinds=("exists",)).prompts


def test_objects_are_read_from_captions():
    assert mentioned("small red ring top left and large blue square bottom right") == ["red ring", "blue square"]
    assert mentioned("red red ring ring blue") == ["red ring"]
    data = make_instructions(50, seed=1, objects=(1, 4))
    assert [set(mentioned(a)) for a in data.answers] == [present(scene) for scene in data.drawn.scenes]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"kinds \['size'\] does not fit; choose some of"):
        make_instructions(3, seed=0, kinds=("caption", "size"))
    with pytest.raises(ValueError, match="'<image> describe. small purple ring' does not consist of words"):
        encode_examples(["<image> describe."], ["small purple ring"])
    with pytest.raises(ValueError, match="length 5 is too short"):
        make_instructions(3, seed=0, length=5)
    with pytest.raises(ValueError, match="does not consist of words"):
        encode_prompts(["<image> draw."])
