"""Maps of the trained model, word by word, against the masks of the objects that the words are about."""

import pytest
import torch

from course_lib.data.instructions import DESCRIBE, WORDS, encode_examples, make_instructions
from course_lib.data.shapes import COLOURS, SHAPES
from course_lib.explain.captions import WordTokenizer, attribute_caption, attribute_word
from course_lib.explain.faithfulness import deletion_curve, mask_share, pointing_game
from course_lib.training.vlm import load_vlm

COLOUR, SHAPE, SECOND_COLOUR = 5, 6, 11  # <bos> <image> describe . small red square top left and large blue ring ...


@pytest.fixture(scope="module")
def data():
    return make_instructions(60, seed=91, objects=(2, 2))


def captioned(data):
    """Scenes whose two objects share neither colour nor shape: images, ids, mask of the object that is named first."""
    pairs = [[each.pair for each in scene.objects] for scene in data.drawn.scenes]
    apart = [k for k, (one, two) in enumerate(pairs) if one[0] != two[0] and one[1] != two[1]]
    return data.images[apart], data.ids[apart], data.drawn.masks[apart, 0]


def test_the_columns_hold_what_their_names_say(data):
    _, ids, _ = captioned(data)
    assert {WORDS.tokens[i] for i in ids[:, COLOUR].tolist()} == set(COLOURS)
    assert {WORDS.tokens[i] for i in ids[:, SHAPE].tolist()} == set(SHAPES)
    assert {WORDS.tokens[i] for i in ids[:, SECOND_COLOUR].tolist()} == set(COLOURS)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    ("method", "least", "options"),
    [
        ("integrated_gradients", 0.7, {"steps": 16}),
        ("occlusion", 0.25, {"windows": {"images": (3, 4, 4)}, "strides": {"images": (3, 2, 2)}}),
    ],
)
def test_maps_of_the_trained_model_beat_chance(data, seed, method, least, options):
    images, ids, mask = captioned(data)
    chance = float(mask_share(mask).mean())
    found = attribute_word(load_vlm("all", seed), images, ids, COLOUR, method=method, **options)
    hits = float(pointing_game(found.map("images"), mask).float().mean())
    assert hits > least > 3 * chance, (hits, chance)


def test_another_word_another_object(data):
    """The colour of the object named second stands at the second object."""
    images, ids, mask = captioned(data)
    model = load_vlm("all", 0)
    hits = [
        float(pointing_game(attribute_word(model, images, ids, word, steps=16).map("images"), mask).float().mean())
        for word in (COLOUR, SECOND_COLOUR)
    ]
    assert hits[0] > 0.5 > 0.25 > hits[1], hits


def test_deleting_what_the_map_names_hurts_more_than_the_reverse(data):
    images, ids, _ = captioned(data)
    model = load_vlm("all", 0)
    found = attribute_word(model, images, ids, COLOUR, steps=16).map("images")
    ask = {"steps": 8, "read": lambda said: said.at_words()[:, COLOUR - 1]}
    areas = [
        float(deletion_curve(model, {"images": images, "ids": ids}, ids[:, COLOUR], "images", each, **ask).area.mean())
        for each in (found, -found)
    ]
    assert areas[0] < areas[1] - 0.2, areas


def test_regions_of_a_whole_caption_add_up_over_its_words(data):
    """And the region that the first object covers matters most for its colour."""
    images, ids, mask = captioned(data)
    model, hits = load_vlm("all", 0), 0
    for row in range(6):
        answer = WORDS.decode(ids[row, 4:])
        found = attribute_caption(model, WORDS, images[row], DESCRIBE, answer)
        assert found.tokens == answer.split()
        torch.testing.assert_close(found.per_token.sum(dim=0), found.answer, rtol=1e-3, atol=1e-4)
        hits += bool(pointing_game(found.map(COLOUR - 4)[None], mask[row : row + 1]))
    assert hits >= 4


def test_ablation_of_a_region_by_hand(data):
    images, ids, _ = captioned(data)
    model, row = load_vlm("all", 0), 3
    answer = WORDS.decode(ids[row, 4:])
    regions = torch.arange(16)[:, None].expand(16, 16) // 8
    found = attribute_caption(model, WORDS, images[row], DESCRIBE, answer, regions=regions)
    whole, _ = encode_examples([DESCRIBE], [answer])

    def log_probs(image):
        scores = model(image[None], whole).at_words()[0].log_softmax(dim=-1)
        return torch.stack([scores[t - 1, whole[0, t]] for t in range(4, whole.shape[1] - 1)]).detach()

    dark = images[row].clone()
    dark[:, :8] = 0
    torch.testing.assert_close(found.per_token[:, 0], log_probs(images[row]) - log_probs(dark), rtol=1e-3, atol=1e-4)


def test_without_an_answer_the_models_own_is_explained(data):
    found = attribute_caption(load_vlm("all", 0), WORDS, data.images[0], DESCRIBE)
    assert found.tokens == data.answers[0].split()


def test_the_tokenizer_knows_where_words_stand():
    tokenizer = WordTokenizer(WORDS)
    text = "what colour is the ring?"
    found = tokenizer(text, return_offsets_mapping=True)
    assert [text[a:b] for a, b in found["offset_mapping"]] == ["what", "colour", "is", "the", "ring", "?"]
    assert tokenizer.decode(torch.tensor(found["input_ids"])) == text


def test_a_word_that_is_not_there_is_refused(data):
    with pytest.raises(ValueError, match="word 99 does not fit: ids have columns 0 to 15"):
        attribute_word(load_vlm("all", 0), data.images, data.ids, 99)


def test_the_model_keeps_its_mode_and_images_their_range(data):
    model = load_vlm("all", 0).train()
    with pytest.raises(ValueError, match="train"):
        attribute_caption(model, WORDS, data.images[0], DESCRIBE)
    assert model.training
    with pytest.raises(ValueError, match="images run from 0 to 255"):
        attribute_caption(model.eval(), WORDS, data.images[0] * 255, DESCRIBE)
