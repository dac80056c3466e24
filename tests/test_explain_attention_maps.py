"""Capture: course models, torch's attention, transformers under SDPA, all as it was afterwards; rollout by hand."""

import jaxtyping
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.compat import ensure_torchvision
from course_lib.explain.attention_maps import attention_hooks, attention_rollout, capture_attention
from course_lib.models.fusion_tokens import AttentionPooling, CrossAttentionFusion, JointAttentionFusion
from course_lib.models.vqa import VqaTransformer


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def bert(**changes):
    ensure_torchvision()
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    settings = {"vocab_size": 30, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3}
    return BertModel(BertConfig(**settings, intermediate_size=16, max_position_embeddings=9, **changes)).eval()


IDS = torch.tensor([[2, 5, 7, 9, 3], [2, 8, 3, 0, 0]])
KEPT = (IDS != 0).long()


def test_a_course_model_gives_the_weights_it_returns():
    model = VqaTransformer(11, 7, size=8, patch=4, width=12, heads=3, most_words=6).eval()
    inputs = {"image": torch.rand(2, 3, 8, 8), "ids": IDS.clamp_max(10)}
    captured = capture_attention(model, inputs)
    assert list(captured.maps) == ["blocks.0.attention", "blocks.1.attention"]
    for kept, returned in zip(captured.maps.values(), captured.output.weights, strict=True):
        assert kept.shape == (2, 3, 9, 9) and torch.equal(kept, returned)
        assert not kept.requires_grad


@pytest.mark.parametrize(
    ("model", "inputs", "expected"),
    [
        (CrossAttentionFusion(6, 8, 2), {"text": normal(2, 3, 6), "image": normal(2, 5, 8)}, {"": (2, 2, 3, 5)}),
        (JointAttentionFusion(6, 2), {"text": normal(2, 3, 6), "image": normal(2, 5, 6)}, {"attention": (2, 2, 8, 8)}),
        (AttentionPooling(6, 4), {"tokens": normal(2, 5, 6)}, {"": (2, 1, 1, 5)}),
    ],
    ids=["cross", "joint, handed on but kept once", "pooling"],
)
def test_course_modules(model, inputs, expected):
    assert {path: tuple(kept.shape) for path, kept in capture_attention(model, inputs).maps.items()} == expected


def test_a_module_that_runs_twice_appears_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.read = CrossAttentionFusion(6, 6, 2)

        def forward(self, x):
            return self.read(self.read(x, x).fused, x).fused

    maps = capture_attention(Twice(), {"x": normal(2, 4, 6)}).maps
    assert list(maps) == ["read", "read#2"] and not torch.equal(maps["read"], maps["read#2"])


@pytest.mark.parametrize(("wanted", "averaged"), [(False, True), (True, True), (True, False)])
def test_multihead_attention_gives_weights_per_head_and_its_caller_what_it_asked_for(wanted, averaged):
    torch.manual_seed(0)
    inner = nn.MultiheadAttention(12, 3, batch_first=True).eval()

    class Caller(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = inner

        def forward(self, x, y):
            return self.inner(x, y, y, None, wanted, average_attn_weights=averaged)

    x, y = normal(2, 4, 12), normal(2, 5, 12, seed=1)
    plain = Caller()(x, y)
    captured = capture_attention(Caller(), {"x": x, "y": y})
    query, key, value = F.linear(torch.cat([x, y, y], dim=1), inner.in_proj_weight, inner.in_proj_bias).split(
        [4, 5, 5], 1
    )
    query, key = query[..., :12].unflatten(2, (3, 4)), key[..., 12:24].unflatten(2, (3, 4))
    by_hand = (torch.einsum("bthe,bshe->bhts", query, key) / 2).softmax(dim=-1)
    torch.testing.assert_close(captured.maps["inner"], by_hand)
    torch.testing.assert_close(captured.output[0], plain[0])
    assert (captured.output[1] is None) == (plain[1] is None)
    if wanted:
        torch.testing.assert_close(captured.output[1], plain[1])


def test_torch_s_encoder_gives_maps_although_it_has_a_fast_path_without_weights():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(12, 3, 24, batch_first=True)
    model = nn.TransformerEncoder(layer, 2).eval()
    x = normal(2, 5, 12)
    with torch.no_grad():
        fast = model(x)
    captured = capture_attention(model, {"src": x})
    assert {path: tuple(m.shape) for path, m in captured.maps.items()} == {
        "layers.0.self_attn": (2, 3, 5, 5),
        "layers.1.self_attn": (2, 3, 5, 5),
    }
    torch.testing.assert_close(captured.output, fast, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_transformers_run_eager_for_the_moment_and_go_back(implementation):
    model = bert(attn_implementation=implementation)
    inputs = {"input_ids": IDS, "attention_mask": KEPT}
    with torch.no_grad():
        silent = model(**inputs, output_attentions=True) if implementation == "eager" else model(**inputs)
    captured = capture_attention(model, inputs)
    assert model.config._attn_implementation == implementation
    assert [tuple(kept.shape) for kept in captured.maps.values()] == [(2, 3, 5, 5)] * 2
    torch.testing.assert_close(captured.output.last_hidden_state, silent.last_hidden_state, rtol=1e-4, atol=1e-5)
    assert not captured.maps["encoder.layer.1.attention.self"][1, :, :, 3:].any().item()  # padding is not read
    if implementation == "eager":
        for kept, own in zip(captured.maps.values(), silent.attentions, strict=True):
            assert torch.equal(kept, own)


def test_both_towers_of_clip_and_the_implementation_after_an_error():
    model = clip().eval()
    inputs = clip_inputs()
    maps = capture_attention(model, inputs).maps
    shapes = {path.split(".")[0]: tuple(kept.shape) for path, kept in maps.items()}
    assert shapes == {"text_model": (2, 3, 5, 5), "vision_model": (2, 2, 17, 17)} and len(maps) == 4
    with pytest.raises((TypeError, AttributeError)), attention_hooks(model):
        model(nonsense=1)
    configs = {type(m.config).__name__: m.config._attn_implementation for m in model.modules() if hasattr(m, "config")}
    assert set(configs.values()) == {"sdpa"} and len(configs) == 3
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def clip():
    ensure_torchvision()
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    common = {"num_hidden_layers": 2, "intermediate_size": 16}
    text = {
        "vocab_size": 30,
        "hidden_size": 12,
        "num_attention_heads": 3,
        "max_position_embeddings": 9,
        "eos_token_id": 29,
    }
    vision = {"hidden_size": 16, "num_attention_heads": 2, "image_size": 16, "patch_size": 4}
    return CLIPModel(CLIPConfig(text_config=text | common, vision_config=vision | common, projection_dim=10))


def clip_inputs():
    ids = torch.tensor([[1, 5, 7, 9, 29], [1, 8, 29, 0, 0]])
    pixels = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    return {"input_ids": ids, "pixel_values": pixels, "attention_mask": (ids != 0).long()}


def test_a_model_that_forms_no_weights_is_refused_instead_of_returning_nothing():
    class Fused(nn.Module):
        def forward(self, x):
            return F.scaled_dot_product_attention(x, x, x)

    with pytest.raises(ValueError, match="no attention weights came out of Fused.*never forms them"):
        capture_attention(Fused(), {"x": normal(2, 4, 6)})


def test_maps_stay_in_the_graph_on_request():
    model = VqaTransformer(11, 7, size=8, patch=4, width=12, heads=3, most_words=6).eval()
    inputs = {"image": torch.rand(2, 3, 8, 8), "ids": IDS.clamp_max(10)}
    captured = capture_attention(model, inputs, keep_graph=True)
    gradients = torch.autograd.grad(captured.output.logits[:, 3].sum(), list(captured.maps.values()))
    assert all(float(gradient.abs().max()) > 0 for gradient in gradients)


def test_rollout_by_hand():
    """Two tokens, one head: layer 1 swaps them, layer 2 reads the first only; half of each is residual."""
    swap = torch.tensor([[0.0, 1], [1, 0]]).view(1, 1, 2, 2)
    first = torch.tensor([[1.0, 0], [1, 0]]).view(1, 1, 2, 2)
    rolled = attention_rollout([swap, first])
    # layer 1: [[.5, .5], [.5, .5]]; layer 2: [[1, 0], [.5, .5]]
    torch.testing.assert_close(rolled[0], torch.tensor([[0.5, 0.5], [0.5, 0.5]]))
    torch.testing.assert_close(attention_rollout([first, swap])[0], torch.tensor([[0.75, 0.25], [0.75, 0.25]]))
    torch.testing.assert_close(attention_rollout([swap, first], residual=0.0)[0], torch.tensor([[0.0, 1], [0, 1]]))


def test_rollout_averages_heads_and_keeps_rows_summing_to_one():
    maps = [normal(3, 4, 6, 6, seed=seed).softmax(dim=-1) for seed in range(3)]
    rolled = attention_rollout(maps, residual=0.3)
    expected = torch.eye(6).expand(3, 6, 6)
    for layer in maps:
        expected = (0.3 * torch.eye(6) + 0.7 * layer.mean(dim=1)) @ expected
    torch.testing.assert_close(rolled, expected)
    torch.testing.assert_close(rolled.sum(dim=-1), torch.ones(3, 6))


@pytest.fixture
def as_learners():
    """Without the shape hook, as outside pytest: what our own messages say."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def test_rollout_refuses_what_it_cannot_follow(as_learners):
    with pytest.raises(
        ValueError, match=r"maps\[0\] has shape \(1, 1, 2, 3\), but attention_rollout takes \(B, H, S, S\)"
    ):
        attention_rollout([torch.ones(1, 1, 2, 3)])
    with pytest.raises(ValueError, match="residual 1.5 is no share"):
        attention_rollout([torch.ones(1, 1, 2, 2)], residual=1.5)
    with pytest.raises(ValueError, match="maps is empty"):
        attention_rollout([])
