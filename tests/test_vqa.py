"""The question-answering transformer: shapes, padding, order of tokens, position of patches, refusals, and learning."""

import pytest
import torch
from torch.nn import functional as F

from course_lib.data.scene_language import ENGLISH
from course_lib.data.scenes import make_scenes
from course_lib.data.shapes import COLOURS
from course_lib.models.vqa import VqaTransformer
from course_lib.training.config import TrainConfig
from course_lib.training.loop import fit


def tiny(**changes):
    torch.manual_seed(0)
    settings = {"vocabulary": 11, "answers": 7, "size": 8, "patch": 2, "width": 12, "heads": 3, "layers": 2}
    return VqaTransformer(**settings | changes, most_words=6).eval()


def example(count=4, words=5):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, 3, 8, 8, generator=generator), torch.randint(1, 11, (count, words), generator=generator)


def test_logits_and_one_map_a_layer_with_rows_that_sum_to_one():
    answered = tiny(layers=3)(*example())
    assert answered.logits.shape == (4, 7)
    assert [tuple(layer.shape) for layer in answered.weights] == [(4, 3, 21, 21)] * 3  # 5 words and 4 x 4 patches
    for layer in answered.weights:
        torch.testing.assert_close(layer.sum(dim=-1), torch.ones(4, 3, 21))


def test_padding_neither_reads_out_nor_is_read():
    image, ids = example()
    padded = torch.cat([ids, torch.zeros(4, 1, dtype=torch.int64)], dim=1)
    short, long = tiny()(image, ids), tiny()(image, padded)
    torch.testing.assert_close(short.logits, long.logits)
    assert all(not layer[..., 5].any().item() for layer in long.weights)


def test_the_answer_depends_on_both_modalities_and_on_the_order_of_each():
    image, ids = example()
    model = tiny()
    logits = model(image, ids).logits
    for other in (
        model(image.flip(-1), ids),
        model(image.flip(0), ids),
        model(image, ids.flip(0)),
        model(image, ids[:, [0, 2, 1, 3, 4]]),
    ):
        assert float((logits - other.logits).abs().min(dim=1).values.max()) > 1e-5


def test_patches_stand_behind_the_words_in_reading_order():
    """Change one patch of the image: before any attention only its own token changes."""
    image, ids = example(1)
    model, seen = tiny(), []
    model.blocks[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    changed = image.clone()
    changed[0, :, 2:4, 6:8] += 1  # patch row 1, column 3 of 4
    model(image, ids), model(changed, ids)
    moved = (seen[0] - seen[1]).abs().sum(dim=-1)[0].nonzero().flatten().tolist()
    assert moved == [5 + 1 * 4 + 3]


def test_what_does_not_fit_is_refused_with_what_fits():
    image, ids = example()
    with pytest.raises(ValueError, match=r"do not tile 8 pixels; try patch in \[1, 2, 4, 8\]"):
        tiny(patch=3)
    with pytest.raises(ValueError, match="heads"):
        tiny(heads=5)
    with pytest.raises(ValueError, match="takes 8 x 8 pixels and up to 6 words"):
        tiny()(image, ids.repeat(1, 2))
    with pytest.raises(ValueError, match=r"image \(4, 4\)"):
        tiny()(image[..., :4, :4], ids)


def test_the_course_s_model_is_small():
    model = VqaTransformer(len(ENGLISH), len(COLOURS))
    assert sum(parameter.numel() for parameter in model.parameters()) < 100_000


def test_it_learns_to_look_where_the_question_points():
    """Two objects of different colour: only shape and place joined to colour beat the 50 % of naming either colour."""
    drawn = make_scenes(400, seed=3, objects=(2, 2))
    rows = [(i, q) for i, asked in enumerate(drawn.questions) for q in asked if q.kind == "colour"]
    rows = [(i, q) for i, q in rows if len({each.colour for each in drawn.scenes[i].objects}) == 2][:64]
    image = drawn.images[[i for i, _ in rows]]
    ids = ENGLISH.encode_batch([question.text for _, question in rows])
    answers = torch.tensor([list(COLOURS).index(question.answer) for _, question in rows])
    torch.manual_seed(0)
    model = VqaTransformer(len(ENGLISH), len(COLOURS), width=32)
    config = TrainConfig(steps=250, batch_size=64, learning_rate=3e-3, precision="fp32", progress="none")
    fit(model, (image, ids, answers), lambda m, batch: F.cross_entropy(m(*batch[:2]).logits, batch[2]), config)
    found = model.eval()(image, ids).logits.argmax(dim=1)
    assert (found == answers).float().mean() > 0.9
