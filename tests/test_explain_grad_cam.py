"""Grad-CAM on tokens: by captum where captum can, by the formula where it cannot, and 0 where nobody reads."""

import pytest
import torch

from course_lib.explain.attribution import attribute
from course_lib.explain.contest import METHODS, pixel_maps, smooth_patches, token_maps
from course_lib.explain.grad_cam import token_grad_cam
from course_lib.models.vqa import VqaTransformer


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return VqaTransformer(11, 7, width=12, heads=3, layers=2, most_words=6).eval().requires_grad_(False)


@pytest.fixture
def inputs():
    return {"image": normal(3, 3, 16, 16).sigmoid(), "ids": torch.tensor([[1, 5, 2], [1, 9, 3], [4, 8, 6]])}


TARGET = torch.tensor([0, 6, 3])


def test_at_the_patch_embedding_it_is_captum_s(model, inputs):
    fixed = {"ids": inputs["ids"]}
    due = attribute(model, {"image": inputs["image"]}, TARGET, method="grad_cam", fixed=fixed, layer=model.patches)
    found = token_grad_cam(model, inputs, TARGET, layer=model.patches, patches=16)
    torch.testing.assert_close(smooth_patches(found, 16, 16), due.map("image"))
    assert (found > 0).any()


def test_at_a_norm_it_is_the_formula(model, inputs):
    found = token_grad_cam(model, inputs, TARGET, layer=model.blocks[1].attention_norm, patches=16)
    kept = []
    hook = model.blocks[1].attention_norm.register_forward_hook(lambda _m, _i, out: kept.append(out))
    logits = model(inputs["image"].requires_grad_(), inputs["ids"]).logits
    hook.remove()
    for example, answer in enumerate(TARGET.tolist()):
        slope = torch.autograd.grad(logits[example, answer], kept[0], retain_graph=True)[0][example, 3:]
        for place in range(16):
            value = sum(slope[:, channel].mean() * kept[0][example, 3 + place, channel] for channel in range(12))
            torch.testing.assert_close(found[example, place], value.detach().clamp_min(0), atol=1e-6, rtol=1e-4)


def test_behind_the_last_attention_nobody_reads_the_patches(model, inputs):
    found = token_grad_cam(model, inputs, TARGET, layer=model.blocks[1].feed_norm, patches=16)
    assert (found == 0).all()


def test_it_leaves_model_and_inputs_as_they_were(model, inputs):
    before = inputs["image"].clone()
    token_grad_cam(model, inputs, TARGET, layer=model.blocks[0].feed_norm, patches=16)
    assert torch.equal(inputs["image"], before) and not inputs["image"].requires_grad
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not model.blocks[0].feed_norm._forward_hooks


def test_a_layer_that_does_not_fit_is_named(model, inputs):
    with pytest.raises(ValueError, match="tuple|VqaBlock|CrossAttended"):
        token_grad_cam(model, inputs, TARGET, layer=model.blocks[0], patches=16)
    with pytest.raises(ValueError, match="gives 19 tokens; try 1 to 19"):
        token_grad_cam(model, inputs, TARGET, layer=model.blocks[0].feed_norm, patches=20)
    with pytest.raises(ValueError, match=r"gave \[\]"):
        token_grad_cam(model, inputs, TARGET, layer=torch.nn.LayerNorm(12), patches=16)


def test_every_map_has_a_number_a_pixel_and_blocks_their_own(model, inputs):
    call = (model, inputs["image"], inputs["ids"], TARGET)
    pixels = pixel_maps(*call, layer=model.blocks[1].attention_norm)
    assert tuple(pixels) == METHODS
    tokens = token_maps(*call)
    assert set(tokens) == {"attention", "rollout", "relevance"}
    for heat in (pixels | tokens).values():
        assert heat.shape == (3, 16, 16) and heat.isfinite().all()
    read = model(**inputs).weights[-1].mean(dim=1)[:, 0, 3:]
    torch.testing.assert_close(tokens["attention"][:, 1::4, 2::4].flatten(1), read)
    due = token_grad_cam(model, inputs, TARGET, layer=model.blocks[1].attention_norm, patches=16)
    torch.testing.assert_close(pixels["grad_cam"], smooth_patches(due, 16, 16))
    with pytest.raises(ValueError, match="lime"):
        pixel_maps(*call, layer=model.patches, methods=["lime"])


def test_smoothing_keeps_the_corners_and_the_order():
    heat = torch.tensor([[0.0, 1.0, 2.0, 3.0]])
    smooth = smooth_patches(heat, 4, 6)
    assert smooth.shape == (1, 4, 6)
    assert smooth[0, 0, 0] == 0 and smooth[0, -1, -1] == 3
    assert (smooth.diff(dim=1) >= 0).all() and (smooth.diff(dim=2) >= 0).all()
    with pytest.raises(ValueError, match="6 patches"):
        smooth_patches(torch.zeros(1, 6), 4, 4)
