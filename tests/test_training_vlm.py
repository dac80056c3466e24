import dataclasses

import pytest
import torch

from course_lib.data.catalogue import find
from course_lib.data.instructions import KINDS, make_instructions
from course_lib.models.vlm import answer_loss, splice_labels
from course_lib.training import vlm
from course_lib.training.vlm import (
    Schedule,
    instruction_loss,
    load_vlm,
    new_vlm,
    pretrain_vision,
    train_part,
    training_data,
)
from course_lib.training.vlm_scores import answer_probes, say, score_captions, score_model, views
from course_lib.training.weights import load_weights


@pytest.fixture(scope="module")
def data():
    return make_instructions(60, seed=4, kinds=KINDS, questions=1)


def moved(before, model):
    """The parts of which any weight changed."""
    return {name.split(".")[0] for name, value in model.state_dict().items() if not torch.equal(before[name], value)}


@pytest.mark.parametrize("parts", [("projector",), ("projector", "decoder"), ("vision", "projector", "decoder")])
def test_a_stage_moves_its_parts_and_nothing_else(data, parts):
    model = new_vlm(3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    history = train_part(model, data, Schedule(3, 1e-3, 20), *(getattr(model, part) for part in parts))
    assert moved(before, model) == set(parts) and len(history) == 3
    assert not model.training and all(p.requires_grad for p in model.parameters())


def test_the_blind_stage_learns_from_text_alone(data):
    model, other = new_vlm(3), new_vlm(3)
    dark = (torch.rand_like(data.images), *data[1:3])
    for each, examples in ((model, data), (other, dark)):
        train_part(each, examples, Schedule(2, 1e-3, 20), each.decoder, blind=True)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))


def test_pretraining_gives_its_weights_to_the_vision_alone(data, monkeypatch):
    monkeypatch.setattr(vlm, "VISION", Schedule(2, 1e-3, 20))
    model = new_vlm(3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    pretrain_vision(model, data.drawn.images, data.drawn.captions, seed=5)
    assert moved(before, model) == {"vision"}


def test_the_loss_is_a_mean_over_words_so_micro_batches_change_nothing(data, monkeypatch):
    found = []
    plain = vlm._config
    for micro in (None, 7):
        monkeypatch.setattr(vlm, "_config", lambda s, m=micro: dataclasses.replace(plain(s), micro_batch_size=m))
        model = new_vlm(3)
        found.append(train_part(model, data, Schedule(2, 1e-3, 40), model)["loss"])
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_the_loss_equals_the_models_own(data):
    model = new_vlm(3).eval()
    spliced = splice_labels(data.labels, data.ids, model.image_id, model.patches)
    torch.testing.assert_close(instruction_loss(model, data[:3]), answer_loss(model(*data[:2]).logits, spliced))


def test_training_data_hold_each_caption_once():
    captions, mixed, texts = training_data(scenes=50)
    assert len(captions[0]) == len(texts) == 50 < len(mixed[0])
    assert all(part.shape[1:] == other.shape[1:] for part, other in zip(captions, mixed, strict=True))


def test_text_comes_out_in_the_order_it_was_asked_for(data):
    model = load_vlm("all")
    together = say(model, data.images, data.prompts)
    assert together == say(model, data.images, data.prompts, rows=11)
    reverse = say(model, data.images.flip(0), data.prompts[::-1])
    assert together == reverse[::-1]


def test_scores_of_perfect_and_of_swapped_captions():
    captions = make_instructions(40, seed=5)
    perfect = score_captions(captions.answers, captions)
    assert perfect["exact_match"] == perfect["object_recall"] == 1 and perfect["chair_i"] == perfect["chair_s"] == 0
    assert perfect["bleu4"] == pytest.approx(100) and perfect["cider"] == pytest.approx(10)
    swapped = score_captions(captions.answers[1:] + captions.answers[:1], captions)
    assert swapped["exact_match"] < 0.1 and swapped["chair_s"] > 0.7 and swapped["bleu4"] < 50


def test_views_take_the_image_away(data):
    shown = views(data.images)
    assert torch.equal(data.images[0], data.images[1])  # two questions about one scene
    assert not (shown["shuffled"] == data.images).flatten(1).all(dim=1).any() and shown["none"] is None
    assert sorted(map(float, shown["shuffled"].mean((1, 2, 3)))) == sorted(map(float, data.images.mean((1, 2, 3))))
    assert shown["blank"].abs().max() == 0 and shown["grey"].unique().tolist() == [0.5]


def test_probes_are_asked_about_their_own_image():
    from course_lib.data.instructions import present
    from course_lib.metrics.hallucination import pope_probes

    scenes = make_instructions(60, seed=6)
    probes = pope_probes([present(s) for s in scenes.drawn.scenes], "random")
    model = load_vlm("all")
    assert answer_probes(model, scenes.images, probes).accuracy > 0.85
    assert answer_probes(model, scenes.images.flip(0), probes).accuracy < 0.65


def test_bad_input_is_refused(data):
    with pytest.raises(ValueError, match=r"stage 'finetuned' is none of \('start', 'projector', 'decoder', 'all'\)"):
        load_vlm("finetuned")
    with pytest.raises(ValueError, match="the catalogue does not list 'checkpoints/vlm_all_7.safetensors'.*try one of"):
        load_vlm("all", 7)
    with pytest.raises(ValueError, match=r"misshapen   decoder.embed.weight is \(43, 48\), the model has \(43, 32\)"):
        load_weights(new_vlm(0, width=32), find("checkpoints/vlm_all_0.safetensors"))
    with pytest.raises(ValueError, match=r"unexpected  decoder.blocks.1"):
        load_weights(new_vlm(0, depth=1), find("checkpoints/vlm_all_0.safetensors"))
    with pytest.raises(ValueError, match="images run from 0 to 255, the model takes"):
        train_part(new_vlm(0), (data.images * 255, *data[1:3]), Schedule(1, 1e-3))
    with pytest.raises(ValueError, match="give captions only"):
        score_model(load_vlm("all"), data)
    with pytest.raises(ValueError, match="view 'black' is none of .*'blank'"):
        score_model(load_vlm("all"), make_instructions(3, seed=1), view="black")
    with pytest.raises(ValueError, match="1 images cannot be shuffled"):
        views(data.images[:1])
    with pytest.raises(ValueError, match="5 images and 3 prompts came"):
        say(load_vlm("all"), data.images[:5], data.prompts[:3], rows=3)
    with pytest.raises(ValueError, match="does not consist of words of this vocabulary"):
        say(load_vlm("all"), data.images[:1], ["<image> what colour is the circle?"])
