"""Gradient-weighted relevance: hand arithmetic, finite differences, torch's attention, the rules written as loops."""

import pytest
import torch
from torch import nn

from course_lib.explain.attention_maps import capture_attention
from course_lib.explain.relevance import (
    attention_gradients,
    cross_step,
    gradient_relevance,
    normalised,
    positive_attention,
    self_step,
)
from course_lib.models.attention import split_heads
from course_lib.models.vqa import VqaTransformer

TARGET = torch.tensor([6, 2])


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return VqaTransformer(11, 7, size=8, patch=4, width=12, heads=3, most_words=6).eval()


@pytest.fixture
def inputs():
    image = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    return {"image": image, "ids": torch.tensor([[1, 4, 5, 9, 2], [1, 7, 3, 2, 0]])}


class OneRead(nn.Module):
    """score = weights · values, so the gradient with respect to a weight is the value behind it."""

    def __init__(self):
        super().__init__()
        self.values = nn.Parameter(torch.tensor([3.0, -2.0, 0.0, 1.0]))
        self.read = _Weights()

    def forward(self, keys):
        return (self.read(keys).weights[:, 0, 0] * self.values).sum(dim=-1)


class _Read:
    def __init__(self, weights):
        self.weights = weights


class _Weights(nn.Module):
    def __init__(self):
        super().__init__()
        self.sharpness = nn.Parameter(torch.ones(()))

    def forward(self, keys):
        return _Read((self.sharpness * keys).softmax(dim=-1)[:, None, None, :])


def test_gradients_by_hand_and_a_large_weight_on_a_zero_value_gets_nothing():
    keys = torch.tensor([[0.0, 0.0, 5.0, 0.0]])
    weighed = attention_gradients(OneRead().eval(), {"keys": keys})
    weights, gradient = weighed.maps["read"], weighed.gradients["read"]
    torch.testing.assert_close(gradient[0, 0, 0], torch.tensor([3.0, -2.0, 0.0, 1.0]))
    assert weights[0, 0, 0].argmax().item() == 2 and float(weights[0, 0, 0, 2]) > 0.95
    counted = positive_attention(weights, gradient)[0, 0]
    torch.testing.assert_close(counted, weights[0, 0, 0] * torch.tensor([3.0, 0.0, 0.0, 1.0]))


def test_gradients_of_a_transformer_by_finite_differences(model, inputs):
    """Nudge one weight of the last layer by hand: a hook adds to it, and the score moves by gradient times nudge."""
    model, inputs = model.double(), {**inputs, "image": inputs["image"].double()}
    weighed = attention_gradients(model, inputs, TARGET)
    attention = model.blocks[1].attention
    for head, column in ((0, 1), (2, 7)):
        nudge = 1e-5

        def moved(step, head=head, column=column):
            def forward(text, image, mask=None):
                out = type(attention).forward(attention, text, image, mask)
                value = split_heads(attention.value(image), attention.heads)
                weights = out.weights.clone()
                weights[:, head, 0, column] += step
                read = attention.out((weights @ value).transpose(1, 2).flatten(start_dim=2))
                return out._replace(attended=read)

            attention.forward = forward
            with torch.no_grad():
                scores = model(**inputs).logits[torch.arange(2), TARGET]
            del attention.forward
            return scores

        slope = (moved(nudge) - moved(-nudge)) / (2 * nudge)
        found = weighed.gradients["blocks.1.attention"][:, head, 0, column]
        torch.testing.assert_close(found, slope, rtol=1e-5, atol=1e-8)


def test_relevance_follows_the_rules_written_as_loops(model, inputs):
    weighed = attention_gradients(model, inputs, TARGET)
    expected = torch.eye(9).repeat(2, 1, 1)
    for path in ("blocks.0.attention", "blocks.1.attention"):
        step = torch.zeros(2, 9, 9)
        for b in range(2):
            for head in range(3):
                step[b] += (weighed.maps[path][b, head] * weighed.gradients[path][b, head]).clamp_min(0) / 3
        expected = expected + step @ expected
    relevance = gradient_relevance(model, inputs, TARGET)
    torch.testing.assert_close(relevance, expected)
    assert float((relevance[:, 0] - gradient_relevance(model, inputs, TARGET.flip(0))[:, 0]).abs().max()) > 1e-4


def test_a_frozen_model_is_followed_and_stays_frozen(model, inputs):
    expected = gradient_relevance(model, inputs, TARGET)
    model.requires_grad_(False)
    torch.testing.assert_close(gradient_relevance(model, inputs, TARGET), expected)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_padding_is_irrelevant(model, inputs):
    relevance = gradient_relevance(model, inputs, TARGET)
    assert relevance[1, 0, 4].item() == 0 and relevance[1, 0, 3].item() > 0


def test_torch_s_attention_gives_gradients_although_it_returns_a_view():
    torch.manual_seed(0)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.read = nn.MultiheadAttention(12, 3, batch_first=True)
            self.head = nn.Linear(12, 4)

        def forward(self, x):
            return self.head(self.read(x, x, x, need_weights=False)[0][:, 0])

    model, x = Model().eval(), normal(2, 5, 12)
    weighed = attention_gradients(model, {"x": x}, 3)
    read = model.read
    value = (
        nn.functional.linear(x, read.in_proj_weight[24:], read.in_proj_bias[24:]).unflatten(2, (3, 4)).transpose(1, 2)
    )
    direction = (model.head.weight[3] @ read.out_proj.weight).view(3, 4)  # d score / d (what each head read)
    by_hand = torch.zeros(2, 3, 5, 5)
    by_hand[:, :, 0] = torch.einsum("bhse,he->bhs", value, direction)
    torch.testing.assert_close(weighed.gradients["read"], by_hand, rtol=1e-4, atol=1e-6)


def test_a_map_that_the_score_does_not_use_has_gradient_zero(model, inputs):
    class FirstBlock(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, image, ids):
            return self.model(image, ids).weights[0][:, 0, 0, :4]

    weighed = attention_gradients(FirstBlock().eval(), inputs, 2)
    assert not weighed.gradients["model.blocks.1.attention"].any().item()
    assert float(weighed.gradients["model.blocks.0.attention"][0, 0, 0, 2]) == 1


def test_cross_attention_by_hand():
    """Two words, three patches. Word 0 takes a third from word 1 and the rest from itself; word 1 reads patch 2."""
    text = torch.tensor([[[1.0, 0.5], [0.0, 1.0]]])
    image = torch.eye(3)[None]
    positive = torch.tensor([[[0.0, 0.0, 0.0], [0.0, 0.0, 0.4]]])
    read = cross_step(torch.zeros(1, 2, 3), positive, text, image)
    # normalised text: [[1, 1], [0, 1]]; transposed times positive: row 0 gets 0, row 1 gets 0.4
    torch.testing.assert_close(read, torch.tensor([[[0.0, 0, 0], [0, 0, 0.4]]]))
    handed_on = self_step(read, torch.tensor([[[0.0, 0.5], [0.0, 0.0]]]))
    torch.testing.assert_close(handed_on, torch.tensor([[[0.0, 0, 0.2], [0, 0, 0.4]]]))
    mixed = torch.tensor([[[1.0, 0, 0], [0, 1, 0], [3.0, 1.0, 1.0]]])
    spread = cross_step(torch.zeros(1, 2, 3), positive, torch.eye(2)[None], mixed)
    torch.testing.assert_close(spread, torch.tensor([[[0.0, 0, 0], [0.3, 0.1, 0.4]]]))


def test_normalised_rows_weigh_what_was_taken_like_the_token_itself():
    relevance = torch.eye(4) + normal(3, 4, 4).abs()
    found = normalised(relevance) - torch.eye(4)
    torch.testing.assert_close(found.sum(dim=-1), torch.ones(3, 4))
    torch.testing.assert_close(normalised(torch.eye(4)[None]), torch.eye(4)[None])


def test_two_sequences_need_a_choice():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.text, self.image = (nn.MultiheadAttention(6, 2, batch_first=True) for _ in range(2))

        def forward(self, text, image):
            return self.text(text, text, text)[0].sum((1, 2)) + self.image(image, image, image)[0].sum((1, 2))

    torch.manual_seed(0)
    model, inputs = Two().eval(), {"text": normal(2, 3, 6), "image": normal(2, 5, 6)}
    with pytest.raises(ValueError, match=r"\{'text': \(3, 3\), 'image': \(5, 5\)\}.*with within="):
        gradient_relevance(model, inputs)
    assert gradient_relevance(model, inputs, within="image").shape == (2, 5, 5)
    with pytest.raises(ValueError, match=r"maps within 'sound' are \['image', 'text'\]"):
        gradient_relevance(model, inputs, within="sound")


def test_capturing_for_gradients_leaves_no_hooks(model, inputs):
    gradient_relevance(model, inputs, TARGET)
    assert not any(module._forward_hooks for module in model.modules())
    assert not capture_attention(model, inputs).maps["blocks.0.attention"].requires_grad
