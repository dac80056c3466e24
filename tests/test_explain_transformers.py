"""The same calls on transformers' CLIP, ViT, BERT and LLaVA: tiny configurations, offline, also saved and loaded."""

import captum.attr as captum
import pytest
import torch
from PIL import Image

from course_lib.compat import ensure_torchvision
from course_lib.explain.attention_maps import capture_attention
from course_lib.explain.attribution import attribute
from course_lib.explain.generation import attribute_answer
from course_lib.explain.relevance import gradient_relevance

TINY = {"num_hidden_layers": 2, "intermediate_size": 16, "num_attention_heads": 2}
IDS = torch.tensor([[1, 5, 7, 9, 29], [1, 8, 12, 4, 29]])
PIXELS = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
SPECIAL = ["<unk>", "<s>", "</s>", "<pad>", "<image>"]
WORDS = [*SPECIAL, "what", "is", "this", "a", "red", "blue", "circle", "square", ":", "?"]


@pytest.fixture(scope="module", autouse=True)
def shim():
    ensure_torchvision()


def bert():
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(vocab_size=30, hidden_size=12, max_position_embeddings=9, num_labels=3, **TINY)
    return BertForSequenceClassification(config).eval()


def vit():
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    config = ViTConfig(hidden_size=12, image_size=16, patch_size=4, num_labels=5, **TINY)
    return ViTForImageClassification(config).eval()


def clip():
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    text = {"vocab_size": 30, "hidden_size": 12, "max_position_embeddings": 9, "eos_token_id": 29, **TINY}
    vision = {"hidden_size": 12, "image_size": 16, "patch_size": 4, **TINY}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=10)).eval()


def llava():
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    torch.manual_seed(0)
    vision = CLIPVisionConfig(hidden_size=12, image_size=16, patch_size=4, **TINY)
    text = LlamaConfig(vocab_size=len(WORDS), hidden_size=16, num_key_value_heads=2, **TINY)
    joined = {"image_token_index": 4, "vision_feature_select_strategy": "default"}
    config = LlavaConfig(vision_config=vision, text_config=text, **joined)
    return LlavaForConditionalGeneration(config).eval()


def diagonal(out):
    return out.logits_per_image.diagonal()


def test_bert_is_explained_word_by_word_as_captum_s_layer_form_does():
    model, target = bert(), torch.tensor([2, 0])
    mask = torch.ones_like(IDS)
    ours = attribute(model, {"input_ids": IDS}, target, fixed={"attention_mask": mask}, steps=25)
    by_hand = captum.LayerIntegratedGradients(
        lambda ids: model(input_ids=ids).logits, model.bert.embeddings.word_embeddings
    ).attribute(IDS, baselines=torch.zeros_like(IDS), target=target, n_steps=25)
    torch.testing.assert_close(ours.parts["input_ids"], by_hand.detach(), rtol=1e-3, atol=1e-6)
    assert float(ours.gap.abs().max()) < 1e-4


def test_clip_pixels_and_words_share_the_similarity_of_each_pair():
    model, inputs = clip(), {"input_ids": IDS, "pixel_values": PIXELS}
    answer = attribute(model, inputs, read=diagonal, steps=200)
    with torch.no_grad():
        torch.testing.assert_close(answer.scores, model(**inputs).logits_per_image.diagonal())
    assert answer.map("pixel_values").shape == (2, 16, 16) and answer.map("input_ids").shape == (2, 5)
    span = (answer.scores - answer.baseline_scores).abs()
    assert float((answer.gap.abs() / span).max()) < 0.02
    alone = attribute(model, {n: x[:1] for n, x in inputs.items()}, read=diagonal, steps=200)
    torch.testing.assert_close(alone.parts["pixel_values"], answer.parts["pixel_values"][:1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", ["shapley", "feature_ablation", "saliency"])
def test_clip_by_other_methods(method):
    answer = attribute(clip(), {"input_ids": IDS, "pixel_values": PIXELS}, method=method, read=diagonal)
    assert all(float(answer.total(name, magnitude=True).min()) > 0 for name in answer.parts)
    assert answer.gap is None or float(answer.gap.abs().max()) < 1e-4


def test_vit_by_grad_cam_attention_and_relevance():
    model, target = vit(), torch.tensor([4, 1])
    projection = model.vit.embeddings.patch_embeddings.projection
    heat = attribute(model, {"pixel_values": PIXELS}, target, method="grad_cam", layer=projection)
    assert heat.map("pixel_values").shape == (2, 16, 16)
    maps = capture_attention(model, {"pixel_values": PIXELS}).maps
    assert [tuple(kept.shape) for kept in maps.values()] == [(2, 2, 17, 17)] * 2
    relevance = gradient_relevance(model, {"pixel_values": PIXELS}, target)
    assert relevance.shape == (2, 17, 17) and float(relevance[:, 0, 1:].max()) > 0
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize(
    ("make", "inputs", "settings"),
    [
        (bert, {"input_ids": IDS}, {"target": 1}),
        (vit, {"pixel_values": PIXELS}, {"target": 3}),
        (clip, {"input_ids": IDS, "pixel_values": PIXELS}, {"read": diagonal}),
    ],
)
def test_a_checkpoint_from_disk_is_explained_like_the_model_it_was_saved_from(tmp_path, make, inputs, settings):
    model = make()
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path).eval()
    before, after = (attribute(each, inputs, **settings, steps=8) for each in (model, loaded))
    for name in inputs:
        torch.testing.assert_close(after.parts[name], before.parts[name])


def tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    return PreTrainedTokenizerFast(tokenizer_object=raw, **special)


def processed(image):
    """What a LLaVA processor would give: the prompt with 16 places for patches, pixels in [0, 1]."""
    words = tokenizer()
    prompt = words("<s> " + "<image> " * 16 + "what is this ?", return_tensors="pt", add_special_tokens=False)
    pixels = torch.frombuffer(bytearray(image.convert("RGB").tobytes()), dtype=torch.uint8)
    return {
        "input_ids": prompt["input_ids"],
        "attention_mask": prompt["attention_mask"],
        "pixel_values": pixels.view(1, image.height, image.width, 3).permute(0, 3, 1, 2) / 255,
    }


def picture():
    return Image.fromarray((PIXELS[0].permute(1, 2, 0) * 255).byte().numpy())


def answer_log_probability(model, image, words):
    inputs = processed(image)
    length = inputs["input_ids"].shape[1]
    ids = torch.cat([inputs["input_ids"], torch.tensor([words])], dim=1)
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=inputs["pixel_values"]).logits
    steps = logits[0, length - 1 : -1].log_softmax(dim=-1)
    return steps[torch.arange(len(words)), torch.tensor(words)]


def test_llava_s_answer_by_regions_is_what_painting_a_region_over_does():
    from transformers import BatchEncoding

    model = llava()
    found = attribute_answer(
        model,
        tokenizer(),
        picture(),
        lambda image: BatchEncoding(processed(image)),
        "red circle",
        regions=torch.arange(16).div(8, rounding_mode="floor")[:, None] * 20 + torch.arange(16) // 8 * 7,
        colour=(10, 20, 30),
    )
    assert found.regions.unique().tolist() == [0, 1, 2, 3] and found.answer.shape == (4,)
    words = [WORDS.index("red"), WORDS.index("circle")]
    whole = answer_log_probability(model, picture(), words)
    for region in range(4):
        painted = torch.tensor(list(picture().getdata()), dtype=torch.uint8).view(16, 16, 3)
        painted[found.regions == region] = torch.tensor([10, 20, 30], dtype=torch.uint8)
        change = whole - answer_log_probability(model, Image.fromarray(painted.numpy()), words)
        torch.testing.assert_close(found.per_token[:, region], change, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(found.answer[region], change.sum(), rtol=1e-3, atol=1e-5)
    assert torch.equal(found.map(1)[found.regions == 2], found.per_token[1, 2].expand(64))
    assert float(found.answer.abs().max()) > 0


def test_shapley_regions_of_an_answer_add_up():
    from transformers import BatchEncoding

    model, black = llava(), Image.new("RGB", (16, 16))
    found = attribute_answer(
        model,
        tokenizer(),
        picture(),
        lambda image: BatchEncoding(processed(image)),
        "blue",
        method="shapley",
        regions=torch.arange(16)[:, None].expand(16, 16) // 6,
        n_samples=3,
    )
    words = [WORDS.index("blue")]
    span = answer_log_probability(model, picture(), words) - answer_log_probability(model, black, words)
    torch.testing.assert_close(found.answer.sum(), span.sum(), rtol=1e-3, atol=1e-5)


def test_captum_s_own_default_would_not_let_the_model_see_the_image():
    """Why generation.py asks for whole prompts. If this fails, captum or transformers mended it: say so there."""
    from transformers import BatchEncoding

    model = llava()
    shown = captum.ImageMaskInput(
        image=picture(),
        mask=torch.arange(16)[:, None].repeat(1, 16) // 8,
        processor_fn=lambda x: BatchEncoding(processed(x)),
    )
    explainer = captum.LLMAttribution(captum.FeatureAblation(model), tokenizer())
    assert not explainer.attribute(shown, target="red").seq_attr.any().item()
    assert explainer.attribute(shown, target="red", use_cached_outputs=False).seq_attr.all().item()


def test_bad_requests_for_an_answer_are_refused():
    model = llava()
    with pytest.raises(ValueError, match=r"method \['saliency'\] is unknown here; choose from \['feature_ablation'"):
        attribute_answer(model, tokenizer(), picture(), processed, "red", method="saliency")
    with pytest.raises(ValueError, match=r"regions have shape \(4, 4\), the image has \(16, 16\)"):
        attribute_answer(model, tokenizer(), picture(), processed, "red", regions=torch.zeros(4, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match="train mode"):
        attribute_answer(model.train(), tokenizer(), picture(), processed, "red")


def test_llava_s_next_word_by_gradients_on_pixels():
    model, inputs = llava(), processed(picture())
    fixed = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"]}
    pixels = {"pixel_values": inputs["pixel_values"]}
    answer = attribute(model, pixels, 9, fixed=fixed, read=lambda out: out.logits[:, -1], steps=300)
    assert float(answer.gap.abs().max()) < 0.02 * float((answer.scores - answer.baseline_scores).abs().max())
