import torch
from torch import nn

from course_lib.models.fusion import GatedFusion, fuse_concat
from course_lib.models.heads import AddLogits, FuseThenHead, mlp


def test_mlp_flattens_and_is_two_linear_maps():
    layers = mlp(2 * 3, out=4, hidden=5)
    x = torch.randn(7, 2, 3)
    _, first, _, second = layers
    by_hand = (x.reshape(7, 6) @ first.weight.T + first.bias).clamp_min(0) @ second.weight.T + second.bias
    torch.testing.assert_close(layers(x), by_hand)


def test_fuses_encoded_inputs():
    image_encoder, text_encoder, head = nn.Linear(3, 4), nn.Linear(5, 6), nn.Linear(10, 2)
    model = FuseThenHead(fuse_concat, head, image_encoder, text_encoder)
    image, text = torch.randn(7, 3), torch.randn(7, 5)
    torch.testing.assert_close(model(image, text), head(torch.cat([image_encoder(image), text_encoder(text)], 1)))


def test_takes_the_fused_part_of_named_parts():
    gate = GatedFusion(3, 5, 4)
    image, text = torch.randn(7, 3), torch.randn(7, 5)
    torch.testing.assert_close(FuseThenHead(gate, nn.Identity())(image, text), gate(image, text).fused)


def test_a_fusion_module_is_trained_with_the_rest():
    names = {name.split(".")[0] for name, _ in FuseThenHead(GatedFusion(3, 5, 4), nn.Linear(4, 2)).named_parameters()}
    assert names == {"fuse", "head"}


def test_added_logits_have_no_cross_gradient():
    model = AddLogits(mlp(3, 2), mlp(5, 2))
    image, text = torch.randn(1, 3, requires_grad=True), torch.randn(1, 5)
    (first,) = torch.autograd.grad(model(image, text)[0, 0], image)
    (second,) = torch.autograd.grad(model(image, text + 1.0)[0, 0], image)
    torch.testing.assert_close(first, second)  # what the image contributes does not depend on the text
