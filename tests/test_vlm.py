import math

import pytest
import torch
from torch.nn import functional

from course_lib.models.vlm import answer_loss, make_vlm, splice_labels, splice_order, train_only

IMAGE = 10


def model(**sizes):
    torch.manual_seed(0)
    return make_vlm(
        11, IMAGE, **{"size": 12, "patch": 4, "width": 12, "heads": 3, "depth": 2, "most_words": 9} | sizes
    ).eval()


def batch():
    torch.manual_seed(1)
    ids = torch.randint(1, 10, (4, 7))
    ids[torch.arange(4), torch.tensor([1, 1, 3, 6])] = IMAGE
    return torch.rand(4, 3, 12, 12), ids


def test_the_splice_by_hand():
    """Five words, the third row's image last; three patches are numbers 5, 6, 7 of [words; patches]."""
    ids = torch.tensor([[1, IMAGE, 4, 5, 6], [1, 4, 5, IMAGE, 6], [1, 4, 5, 6, IMAGE]])
    order, places = splice_order(ids, IMAGE, 3)
    assert order.tolist() == [[0, 5, 6, 7, 2, 3, 4], [0, 1, 2, 5, 6, 7, 4], [0, 1, 2, 3, 5, 6, 7]]
    assert places.tolist() == [[0, 3, 4, 5, 6], [0, 1, 2, 5, 6], [0, 1, 2, 3, 6]]


def test_the_splice_equals_a_loop():
    vlm, (images, ids) = model(), batch()
    spliced, _, _ = vlm.splice(images, ids)
    for row in range(4):
        at = ids[row].tolist().index(IMAGE)
        words, seen = vlm.decoder.embed(ids[row]), vlm.projector(vlm.vision(images[row : row + 1]))[0]
        torch.testing.assert_close(spliced[row], torch.cat([words[:at], seen, words[at + 1 :]]))


def test_image_and_prompt_are_not_learnt():
    ids = torch.tensor([[1, IMAGE, 4, 5, 6, 2, 0], [1, 4, 5, IMAGE, 7, 2, 0]])
    labels = torch.tensor([[-100, -100, -100, 5, 6, 2, -100], [-100, -100, -100, -100, 7, 2, -100]])
    spliced = splice_labels(labels, ids, IMAGE, 3)
    assert spliced.tolist() == [
        [-100, -100, -100, -100, -100, 5, 6, 2, -100],
        [-100, -100, -100, -100, -100, -100, 7, 2, -100],
    ]


def test_the_loss_is_that_of_the_answer_alone():
    vlm, (images, ids) = model(), batch()
    labels = ids.masked_fill(torch.arange(7) < torch.tensor([3, 4, 5, 7])[:, None], -100)
    said = vlm(images, ids)
    found = answer_loss(said.logits, splice_labels(labels, ids, IMAGE, 9))
    log_probs = said.at_words().log_softmax(dim=-1)
    terms = [-log_probs[row, t - 1, ids[row, t]] for row in range(4) for t in range(7) if labels[row, t] != -100]
    assert len(terms) == 4 + 3 + 2
    torch.testing.assert_close(found, torch.stack(terms).mean())
    even = answer_loss(torch.zeros(2, 9, 11), torch.arange(18).view(2, 9) % 11)
    assert even.item() == pytest.approx(math.log(11))


def test_words_do_not_see_the_future_but_see_the_image():
    vlm, (images, ids) = model(), batch()
    before = vlm(images, ids).at_words()
    changed = ids.clone()
    changed[:2, 5] = 1 + changed[:2, 5] % 9
    after = vlm(images, changed).at_words()
    torch.testing.assert_close(after[:2, :5], before[:2, :5], rtol=0, atol=0)
    assert (after[:2, 5:] - before[:2, 5:]).abs().amax(dim=(1, 2)).min() > 0
    other = vlm(1 - images, ids).at_words()
    torch.testing.assert_close(other[:, 0], before[:, 0], rtol=0, atol=0)  # <bos> stands before the image
    assert (other[:2, 1:] - before[:2, 1:]).abs().amax(dim=(0, 2)).min() > 0


def test_padding_on_the_right_and_on_the_left_changes_nothing():
    vlm, (images, ids) = model(), batch()
    plain = vlm(images, ids).at_words()
    pad = torch.zeros(4, 2, dtype=torch.int64)
    right = vlm(images, torch.cat([ids, pad], dim=1)).at_words()[:, :7]
    left = torch.cat([pad, ids], dim=1)
    torch.testing.assert_close(right, plain, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(vlm(images, left, left != 0).at_words()[:, 2:], plain, rtol=1e-4, atol=1e-5)


def test_the_blind_model_sees_zeros():
    vlm, (images, ids) = model(), batch()
    seen = vlm.splice(None, ids)[0].gather(1, (ids == IMAGE).int().argmax(1)[:, None, None].expand(-1, 9, 12))
    assert seen.abs().max() == 0
    dark = vlm(None, ids).logits
    for part in vlm.projector[2].parameters():
        torch.nn.init.zeros_(part)
    torch.testing.assert_close(vlm(images, ids).logits, dark)


def test_stages_train_what_they_name():
    vlm, (images, ids) = model(), batch()
    whole = sum(p.numel() for p in vlm.parameters())
    projector = sum(p.numel() for p in vlm.projector.parameters())
    assert train_only(vlm, vlm.projector) == projector == 2 * (12 * 12 + 12)
    functional.cross_entropy(vlm(images, ids).logits.flatten(0, 1), torch.zeros(4 * 15, dtype=torch.int64)).backward()
    learnt = {name.split(".")[0] for name, p in vlm.named_parameters() if p.grad is not None}
    assert learnt == {"projector"}
    assert train_only(vlm, vlm) == whole
    assert all(p.grad is None for p in vlm.parameters())  # a stage starts without the gradients of the one before
    with pytest.raises(ValueError, match="6 of these parameters are not the model's") as raised:
        train_only(vlm, torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(2, 3), torch.nn.Linear(2, 2)))
    assert "model.projector" in str(raised.value)


def test_bad_input_is_refused():
    vlm, (images, ids) = model(), batch()
    with pytest.raises(ValueError, match=r"row 2 holds 0 <image> tokens \(id 10\).*'<image> describe.'"):
        vlm(images, torch.where(torch.arange(4)[:, None] == 2, 3, ids))
    twice = ids.clone()
    twice[1, 0] = IMAGE
    with pytest.raises(ValueError, match="row 1 holds 2 <image> tokens"):
        vlm(images, twice)
    with pytest.raises(ValueError, match=r"images of \(16, 16\) pixels came, this model takes 12 x 12; .*size=12"):
        vlm(torch.rand(4, 3, 16, 16), ids)
    with pytest.raises(ValueError, match="3 images and 4 prompts came"):
        vlm(images[:3], ids)
    with pytest.raises(ValueError, match="18 positions came, this decoder has 17"):
        vlm(images, torch.cat([ids, ids.new_ones(4, 3)], dim=1))
    with pytest.raises(ValueError, match="every label is -100"):
        answer_loss(torch.zeros(2, 5, 11), torch.full((2, 5), -100))
    with pytest.raises(ValueError, match="patches of 5 pixels do not tile 12"):
        model(patch=5)
