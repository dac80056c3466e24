"""Our model computes what transformers' LlavaForConditionalGeneration computes, weight for weight.

SigLIP is a vision transformer without a class token, GPT-2 a decoder with learned positions, so each weight of ours has
its place: GPT-2 keeps its matrices transposed, SigLIP its queries, keys and values apart.
"""

import pytest
import torch

from course_lib.compat import ensure_torchvision
from course_lib.models.generation import generate
from course_lib.models.transformer import Decoder, PatchEncoder
from course_lib.models.vlm import VisionLanguageModel, answer_loss, make_projector, splice_labels

VOCABULARY, IMAGE_ID, LENGTH = 19, 18, 40


def ours():
    torch.manual_seed(0)
    vision = PatchEncoder(24, 8, channels=3, width=16, depth=2, heads=2, expand=3)
    decoder = Decoder(VOCABULARY, LENGTH, 12, 3, 3, expand=2)
    model = VisionLanguageModel(vision, make_projector(16, 12), decoder, IMAGE_ID).eval()
    with torch.no_grad():  # biases and norms of a new model are 0 and 1, which would hide a mix-up
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def theirs(model):
    ensure_torchvision()
    from transformers import GPT2Config, LlavaConfig, LlavaForConditionalGeneration, SiglipVisionConfig

    config = LlavaConfig(
        vision_config=SiglipVisionConfig(
            hidden_size=16,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=24,
            patch_size=8,
            hidden_act="gelu",
            layer_norm_eps=1e-5,
            vision_use_head=False,
        ),
        text_config=GPT2Config(
            vocab_size=VOCABULARY,
            n_positions=LENGTH,
            n_embd=12,
            n_layer=3,
            n_head=3,
            n_inner=24,
            activation_function="gelu",
            tie_word_embeddings=False,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        ),
        image_token_index=IMAGE_ID,
        projector_hidden_act="gelu",
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        tie_word_embeddings=False,
    )
    llava = LlavaForConditionalGeneration(config).eval()
    found = llava_weights(model)
    missing, unexpected = llava.load_state_dict(found, strict=False)
    assert unexpected == [] and all("post_layernorm" in name for name in missing), (missing, unexpected)
    return llava


def llava_weights(model):
    """Our state dict under transformers' names."""
    state, weights = model.state_dict(), {}

    def copy(mine, other, *, transposed=False):
        for part in ("weight", "bias"):
            if f"{mine}.{part}" in state:
                value = state[f"{mine}.{part}"]
                weights[f"{other}.{part}"] = value.T.contiguous() if transposed and part == "weight" else value

    tower = "model.vision_tower."
    copy("vision.patches", tower + "embeddings.patch_embedding")
    weights[tower + "embeddings.position_embedding.weight"] = state["vision.positions"]
    for k in range(len(model.vision.blocks)):
        mine, other = f"vision.blocks.{k}.", f"{tower}encoder.layers.{k}."
        for part in ("weight", "bias"):
            for name, piece in zip("qkv", state[f"{mine}qkv.{part}"].chunk(3), strict=True):
                weights[f"{other}self_attn.{name}_proj.{part}"] = piece
        copy(mine + "out", other + "self_attn.out_proj")
        copy(mine + "before_attention", other + "layer_norm1")
        copy(mine + "before_mlp", other + "layer_norm2")
        copy(mine + "mlp.0", other + "mlp.fc1")
        copy(mine + "mlp.2", other + "mlp.fc2")
    copy("projector.0", "model.multi_modal_projector.linear_1")
    copy("projector.2", "model.multi_modal_projector.linear_2")
    language = "model.language_model."
    copy("decoder.embed", language + "wte")
    copy("decoder.positions", language + "wpe")
    for k in range(len(model.decoder.blocks)):
        mine, other = f"decoder.blocks.{k}.", f"{language}h.{k}."
        copy(mine + "qkv", other + "attn.c_attn", transposed=True)
        copy(mine + "out", other + "attn.c_proj", transposed=True)
        copy(mine + "before_attention", other + "ln_1")
        copy(mine + "before_mlp", other + "ln_2")
        copy(mine + "mlp.0", other + "mlp.c_fc", transposed=True)
        copy(mine + "mlp.2", other + "mlp.c_proj", transposed=True)
    copy("decoder.norm", language + "ln_f")
    copy("decoder.head", "lm_head")
    return weights


def expanded(ids, patches):
    """As transformers' processors write a prompt: <image> once a patch."""
    rows = [[word for w in row for word in [w] * (patches if w == IMAGE_ID else 1)] for row in ids.tolist()]
    return torch.tensor(rows)


@pytest.fixture(scope="module")
def pair():
    model = ours()
    return model, theirs(model)


def test_logits_are_equal(pair):
    model, llava = pair
    torch.manual_seed(1)
    images, ids = torch.rand(4, 3, 24, 24), torch.randint(3, 18, (4, 7))
    ids[torch.arange(4), torch.tensor([1, 0, 3, 6])] = IMAGE_ID
    with torch.no_grad():
        mine = model(images, ids).logits
        other = llava(input_ids=expanded(ids, 9), pixel_values=images).logits
    assert mine.shape == (4, 7 - 1 + 9, VOCABULARY)
    torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


def test_the_loss_of_an_answer_is_equal(pair):
    model, llava = pair
    images, ids = torch.rand(2, 3, 24, 24), torch.randint(3, 18, (2, 8))
    ids[:, 1] = IMAGE_ID
    labels = ids.clone()
    labels[:, :5] = -100
    spliced = splice_labels(labels, ids, IMAGE_ID, 9)
    with torch.no_grad():
        mine = answer_loss(model(images, ids).logits, spliced)
        other = llava(input_ids=expanded(ids, 9), pixel_values=images, labels=spliced).loss
    torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("beams", [1, 3])
def test_generated_words_are_equal(pair, beams):
    model, llava = pair
    images, ids = torch.rand(3, 3, 24, 24), torch.randint(3, 18, (3, 5))
    ids[:, 1] = IMAGE_ID
    mine = generate(model, images, ids, method="greedy" if beams == 1 else "beam", beams=beams, most=9)
    long = expanded(ids, 9)
    other = llava.generate(
        input_ids=long,
        attention_mask=torch.ones_like(long),
        pixel_values=images,
        max_new_tokens=9,
        num_beams=beams,
        do_sample=False,
        length_penalty=0.0,  # transformers divides by the length, we do not
        early_stopping="never" if beams > 1 else False,
        pad_token_id=0,
        eos_token_id=2,
    )[:, long.shape[1] :]
    assert torch.equal(mine.ids[:, : other.shape[1]], other)
