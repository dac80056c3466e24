import math

import pytest
import torch
from torch import nn

from course_lib.models.transformer import Block, Decoder
from course_lib.training.loop import fit
from course_lib.training.recipes import BUILT_IN, contrast, digits, next_token, token_table


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_recipe_starts_at_chance_and_beats_it_soon(name):
    recipe = BUILT_IN[name](seed=0)
    steps = 60 if name == "two_tower" else 80
    settings = {**vars(recipe.config), "steps": steps, "schedule": "constant", "warmup_steps": 0, "progress": "none"}
    history = fit(recipe.model, recipe.data, recipe.loss, type(recipe.config)(**settings), recipe.evaluate)
    chance = {"mlp": math.log(10), "vit": math.log(10), "two_tower": math.log(64)}.get(name)
    if chance is None:
        chance = math.log(recipe.model.embed.num_embeddings)
    assert 0.8 * chance < history["loss"][0] < 1.6 * chance
    assert history["loss"][-1] < 0.85 * history["loss"][0]
    assert math.isfinite(history.final[history.columns[-1]])


def test_a_block_attends_as_torchs_own_layer_does():
    torch.manual_seed(0)
    ours, theirs = (
        Block(12, 3, causal=True),
        nn.TransformerEncoderLayer(12, 3, 48, 0.0, "gelu", norm_first=True, batch_first=True),
    )
    names = {
        "qkv": "self_attn.in_proj",
        "out": "self_attn.out_proj.",
        "before_attention": "norm1.",
        "before_mlp": "norm2.",
    }
    names |= {"mlp.0": "linear1.", "mlp.2": "linear2."}
    state = {}
    for mine, other in names.items():
        for part in ("weight", "bias"):
            state[f"{mine}.{part}"] = theirs.state_dict()[other + (f"_{part}" if mine == "qkv" else part)]
    ours.load_state_dict(state)
    x = torch.randn(2, 7, 12)
    mask = nn.Transformer.generate_square_subsequent_mask(7)
    torch.testing.assert_close(ours(x), theirs.train()(x, src_mask=mask, is_causal=True), rtol=1e-4, atol=1e-5)


def test_the_decoder_does_not_see_the_future():
    torch.manual_seed(0)
    model, tokens = Decoder(11, length=9, width=12, depth=2, heads=3), torch.randint(0, 11, (2, 9))
    changed = tokens.clone()
    changed[:, 6] = (changed[:, 6] + 1) % 11
    difference = (model(tokens) - model(changed)).abs().amax((0, 2))
    assert difference[:6].max() == 0 and difference[6:].min() > 0


def test_the_decoders_loss_is_chance_for_even_scores():
    class Even(nn.Module):
        def forward(self, tokens):
            return torch.zeros(*tokens.shape, 13)

    assert next_token(Even(), (torch.randint(0, 13, (4, 6)),)).item() == pytest.approx(math.log(13))


def test_the_contrastive_loss_knows_pairs_from_strangers():
    class Towers(nn.Module):
        def __init__(self, order):
            super().__init__()
            self.order = order

        def forward(self, images, texts):
            return images, texts[self.order], torch.tensor([50.0])

    batch = (torch.eye(5), torch.eye(5))
    assert contrast(Towers(torch.arange(5)), batch) < 1e-6
    assert contrast(Towers(torch.arange(5).roll(1)), batch).item() == pytest.approx(50.0, rel=1e-3)


def test_digits_keep_the_course_split():
    (images, labels), (test_images, test_labels) = digits()
    assert len(images) == len(labels) == 1287 and len(test_images) == len(test_labels) == 510
    assert images.shape[1:] == (1, 8, 8) and images.min() == 0 and images.max() == 1


def test_captions_are_padded_on_the_left_and_strangers_are_zero():
    table = token_table(["a red", "a small ring"], {"a": 1, "red": 2, "small": 3}, 4)
    assert table.tolist() == [[0, 0, 1, 2], [0, 1, 3, 0]]
