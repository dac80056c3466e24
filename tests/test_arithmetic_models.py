"""Formulas against real models: built on the meta device from their published configurations, then counted.

The values below are those of each model's config.json on its hub page, written here a second time on purpose: the table
in course_lib/interview/sums/models.py is compared with them.
"""

import pytest
import torch

from course_lib.compat import ensure_torchvision

ensure_torchvision()

from transformers import (  # noqa: E402
    CLIPVisionConfig,
    CLIPVisionModel,
    DeepseekV3Config,
    DynamicCache,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    SiglipVisionConfig,
    SiglipVisionModel,
    WhisperConfig,
)
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3Attention  # noqa: E402
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize  # noqa: E402
from transformers.models.whisper.modeling_whisper import WhisperEncoder  # noqa: E402

from course_lib.interview.sums import compute, memory, models, parameters, tokens  # noqa: E402
from course_lib.interview.sums.drills_connectors import DENSE  # noqa: E402

DECODERS = {model.name: model for model in models.DECODERS}
ENCODERS = {model.name: model for model in models.ENCODERS}


def llama(vocabulary, width, mlp, layers, heads, kv_heads):
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=8192,
        tie_word_embeddings=False,
    )


LLAMAS = {
    "Vicuna-7B": llama(32000, 4096, 11008, 32, 32, 32),
    "Vicuna-13B": llama(32000, 5120, 13824, 40, 40, 40),
    "Llama-3-8B": llama(128256, 4096, 14336, 32, 32, 8),
    "Llama-3-70B": llama(128256, 8192, 28672, 80, 64, 8),
    "Mistral-7B": llama(32000, 4096, 14336, 32, 32, 8),  # the same modules under another name
}
PUBLISHED = {"Llama-3-8B": 8_030_261_248, "Vicuna-7B": 6_738_415_616, "Mistral-7B": 7_241_732_096}
"""Parameters that the hub counts in each checkpoint."""


def on_meta(build):
    with torch.device("meta"):
        return build()


def count(module):
    """Distinct parameters: a tied matrix counts once."""
    return sum(each.numel() for each in {id(each): each for each in module.parameters()}.values())


@pytest.mark.parametrize("name", LLAMAS)
def test_a_decoder_has_the_parameters_of_the_real_one(name):
    real = on_meta(lambda: LlamaForCausalLM(LLAMAS[name]))
    assert parameters.decoder_parameters(DECODERS[name]) == count(real)
    assert PUBLISHED.get(name, count(real)) == count(real)
    layer, mine = real.model.layers[0], DECODERS[name]
    assert parameters.decoder_layer_parameters(mine) == count(layer)
    assert parameters.mlp_parameters(mine.width, mine.mlp_width, 3) == count(layer.mlp)
    attention = parameters.attention_parameters(mine.width, mine.heads, mine.kv_heads, mine.head_width)
    assert attention == count(layer.self_attn)


@pytest.mark.parametrize("name", ["Vicuna-7B", "Llama-3-8B"])
def test_a_cache_has_the_bytes_of_the_real_one(name):
    real = on_meta(lambda: LlamaForCausalLM(LLAMAS[name]).to(torch.bfloat16))
    length, cache = 7, DynamicCache(config=LLAMAS[name])
    ids = torch.zeros((1, length), dtype=torch.long, device="meta")
    places = torch.zeros((1, length), dtype=torch.long, device="meta")
    rope = real.model.rotary_emb(torch.zeros((1, length, 1), dtype=torch.bfloat16, device="meta"), places)
    hidden = real.model.embed_tokens(ids)
    for layer in real.model.layers:
        hidden = layer(hidden, position_embeddings=rope, past_key_values=cache, use_cache=True)
    held = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]
    mine = DECODERS[name]
    expected = sum(each.numel() * each.element_size() for each in held)
    assert len(held) == 2 * mine.layers
    assert memory.kv_bytes(mine.layers, mine.kv_heads, mine.head_width, length) == expected


QWEN = {
    "2B": ({"vocab_size": 151936, "hidden_size": 1536, "intermediate_size": 8960}, 12, 2, True),
    "7B": ({"vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944}, 28, 4, False),
}


@pytest.mark.parametrize(
    "size, name, published", [("2B", "Qwen2-1.5B", 2_208_985_600), ("7B", "Qwen2-7B", 8_291_375_616)]
)
def test_qwen2_vl_is_its_tower_merger_and_decoder(size, name, published):
    shape, heads, kv_heads, tied = QWEN[size]
    text = dict(
        **shape, num_hidden_layers=28, num_attention_heads=heads, num_key_value_heads=kv_heads, tie_word_embeddings=tied
    )
    vision = {
        "depth": 32,
        "embed_dim": 1280,
        "num_heads": 16,
        "hidden_size": shape["hidden_size"],
        "mlp_ratio": 4,
        "patch_size": 14,
    }
    config = Qwen2VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=tied)
    real = on_meta(lambda: Qwen2VLForConditionalGeneration(config))
    real.tie_weights()
    assert count(real) == published
    tower = real.model.visual
    assert parameters.decoder_parameters(DECODERS[name]) == count(real) - count(tower)
    assert parameters.merger_parameters(1280, 2, shape["hidden_size"]) == count(tower.merger)
    assert parameters.vit_block_parameters(1280, 4 * 1280) == count(tower.blocks[0])


def clip(image, patch, width, mlp, layers, heads):
    return CLIPVisionConfig(
        image_size=image,
        patch_size=patch,
        hidden_size=width,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=heads,
    )


def siglip(image, patch, width, mlp, layers, heads):
    return SiglipVisionConfig(
        image_size=image,
        patch_size=patch,
        hidden_size=width,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        vision_use_head=False,
    )


TOWERS = {
    "CLIP ViT-B/16": (CLIPVisionModel, clip(224, 16, 768, 3072, 12, 12)),
    "CLIP ViT-L/14": (CLIPVisionModel, clip(224, 14, 1024, 4096, 24, 16)),
    "CLIP ViT-L/14-336": (CLIPVisionModel, clip(336, 14, 1024, 4096, 24, 16)),
    "SigLIP so400m-384": (SiglipVisionModel, siglip(384, 14, 1152, 4304, 27, 16)),
    "SigLIP B/16-256": (SiglipVisionModel, siglip(256, 16, 768, 3072, 12, 12)),
}


@pytest.mark.parametrize("name", TOWERS)
def test_a_tower_has_the_parameters_and_tokens_of_the_real_one(name):
    kind, config = TOWERS[name]
    real, mine = on_meta(lambda: kind(config)), ENCODERS[name]
    assert parameters.vit_parameters(mine) == count(real)
    pixels = torch.zeros((1, 3, config.image_size, config.image_size), device="meta")
    places = real(pixels).last_hidden_state.shape[1]
    assert tokens.patches(mine.image, mine.patch) + mine.class_token == places


def test_llava_15_7b_is_its_tower_connector_and_decoder():
    config = LlavaConfig(
        vision_config=clip(336, 14, 1024, 4096, 24, 16), text_config=llama(32064, 4096, 11008, 32, 32, 32)
    )
    real = on_meta(lambda: LlavaForConditionalGeneration(config))
    assert count(real) == 7_063_427_072  # the hub's count; 64 ids more than Vicuna's 32,000
    added = 2 * 64 * 4096
    parts = [
        parameters.vit_parameters(ENCODERS["CLIP ViT-L/14-336"]),
        parameters.projector_parameters(1024, 4096),
        parameters.decoder_parameters(DECODERS["Vicuna-7B"]),
    ]
    assert sum(parts) + added == count(real)


def test_every_model_of_the_tables_is_built_here():
    assert set(DECODERS) == set(LLAMAS) | {"Qwen2-1.5B", "Qwen2-7B"}
    assert set(ENCODERS) == set(TOWERS)


def test_latent_attention_caches_what_its_down_projection_makes():
    config = DeepseekV3Config(
        hidden_size=7168, num_attention_heads=128, num_hidden_layers=61, kv_lora_rank=512, qk_rope_head_dim=64
    )
    real = on_meta(lambda: DeepseekV3Attention(config, layer_idx=0))
    width = real.kv_a_proj_with_mqa.out_features  # the latent and the rotary key, all that later tokens need
    mine = next(each for each in models.LATENTS if each.name == "DeepSeek-V3")
    assert memory.latent_bytes(mine.layers, mine.latent, mine.rope, 3) == width * 61 * 3 * 2
    # DeepSeek-V2 (arXiv:2405.04434), section 2.1.4: as much as 2.25 groups of grouped-query attention
    assert memory.latent_bytes(1, 512, 64, 1) * 4 == memory.kv_bytes(1, 9, 128, 1)


def test_whisper_positions_are_those_of_the_real_encoder():
    config = WhisperConfig(
        d_model=1280, encoder_layers=1, encoder_attention_heads=20, encoder_ffn_dim=5120, num_mel_bins=128
    )
    real = on_meta(lambda: WhisperEncoder(config))
    frames = torch.zeros((1, 128, 3000), device="meta")
    first, second = real.conv1(frames), real.conv2(real.conv1(frames))
    assert first.shape[-1] == tokens.conv_length(3000, 3, 1, 1) == 3000
    assert second.shape[-1] == tokens.conv_length(3000, 3, 2, 1) == tokens.audio_positions(30, 10, 2) == 1500
    assert parameters.vit_block_parameters(1280, 5120) == count(real.layers[0]) + 1280  # Whisper's keys have no bias


def test_native_sizes_are_those_of_the_real_processor():
    generator = torch.Generator().manual_seed(5)
    for _ in range(400):
        height, width = torch.randint(60, 4000, (2,), generator=generator).tolist()
        limit = int(torch.randint(300, 5000, (1,), generator=generator)) * 28**2
        real = smart_resize(height, width, factor=28, min_pixels=1, max_pixels=limit)
        assert tokens.native_size(height, width, 28, limit) == real, (height, width, limit)


@pytest.mark.parametrize("rows, columns", [(4, 6), (9, 3), (5, 5)])
def test_positions_after_an_image_are_those_of_the_real_model(rows, columns):
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": 99,
            "hidden_size": 16,
            "intermediate_size": 8,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
        }
        | {"num_key_value_heads": 1, "rope_parameters": {"rope_type": "default", "mrope_section": [2, 1, 1]}},
        vision_config={"depth": 1, "embed_dim": 8, "num_heads": 2, "hidden_size": 16},
        image_token_id=90,
        vision_start_token_id=91,
    )
    real = Qwen2VLForConditionalGeneration(config).model
    before = [1, 2, 3, 91]
    ids = torch.tensor([[*before, *[90] * (rows * columns), 7, 8]])
    kinds = (ids == 90).int()
    grid = torch.tensor([[1, 2 * rows, 2 * columns]])
    places, _ = real.get_rope_index(ids, mm_token_type_ids=kinds, image_grid_thw=grid)
    expected = tokens.position_after_image(len(before), rows, columns)
    assert places[:, 0, len(before) + rows * columns].tolist() == [expected] * 3


# heads, key-value heads, head width, vocabulary, and what the paper says in billions: all, active
MIXTURES = {
    "Mixtral 8x7B": (32, 8, 128, 32000, 46.7, 12.9),  # arXiv:2401.04088
    "Mixtral 8x22B": (48, 8, 128, 32768, 141, 39),  # mistral.ai/news/mixtral-8x22b
    "Phi-3.5-MoE": (32, 8, 128, 32064, 42, 6.6),  # arXiv:2404.14219
    "OLMoE-1B-7B": (16, 16, 128, 50304, 6.9, 1.3),  # arXiv:2409.02060
}


@pytest.mark.parametrize("model", models.MIXTURES, ids=lambda model: model.name)
def test_a_mixture_has_the_parameters_its_paper_names(model):
    heads, kv_heads, e, vocabulary, total, active = MIXTURES[model.name]
    attention = parameters.attention_parameters(model.width, heads, kv_heads, e)
    dense = model.layers * attention + parameters.embedding_parameters(vocabulary, model.width, tied=False)
    assert DENSE[model.name] == pytest.approx(dense, rel=0.004)
    for experts, said in ((model.experts, total), (model.active, active)):
        counted = (parameters.moe_parameters(model, experts) + dense) / 1e9
        assert counted == pytest.approx(said, rel=0.02)


def test_zero_gives_the_figures_of_its_paper():
    gigabytes = [float(memory.zero_bytes(7_500_000_000, 64, stage)) / 1e9 for stage in range(4)]
    assert [round(each, 1) for each in gigabytes] == [120.0, 31.4, 16.6, 1.9]  # arXiv:1910.02054, figure 1


def test_other_published_figures():
    assert tokens.patches(336, 14) == 576 and tokens.tiled_tokens(2, 2, 576) == 2880
    assert tokens.merged_tokens(32, 32, 2) == 256  # InternVL 1.5: 448 px, 14 px, pixel shuffle
    assert parameters.swiglu_width(4096, 256) == 11008 and parameters.swiglu_width(5120, 256) == 13824
    assert tokens.codec_bits(75, 8, 1024) == 6000  # EnCodec at 6 kbit/s
    assert round(float(memory.nf4_bits(64, double=True)) - 4, 3) == 0.127  # QLoRA, section 3
    assert compute.compute_optimal_tokens(70 * 10**9) == 1_400_000_000_000  # Chinchilla: 70B on 1.4T
    assert memory.kv_bytes(32, 32, 128, 4096) == 2 * 2**30 and memory.kv_bytes(32, 8, 128, 4096) == 2**29
    # Korthikanti et al. (arXiv:2205.05198), section 6: 5 a s / h is 80 for GPT-3 and 64 for the 530B model
    assert memory.activation_bytes(1, 12288, 96, 2048, scores=True) == 12288 * (34 + 80)
    assert memory.activation_bytes(1, 20480, 128, 2048, scores=True) == 20480 * (34 + 64)
