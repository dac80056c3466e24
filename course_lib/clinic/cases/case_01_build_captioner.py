"""Case 01, build a captioner with transformers."""

import math
from types import SimpleNamespace as Program

import torch
from torch import Tensor, nn

from course_lib.clinic.case import Case

V5 = "transformers, migration guide to v5 <https://github.com/huggingface/transformers/blob/main/MIGRATION_GUIDE_V5.md>"


def _captioner(program: Program) -> tuple[nn.Module, Tensor, Tensor]:
    model = program.build_captioner(23)
    assert isinstance(model, nn.Module), (
        "build_captioner gives no model: whoever calls it fails later, and further away"
    )
    random = torch.Generator().manual_seed(5)
    return model.eval(), torch.rand(3, 3, 16, 16, generator=random), torch.randint(3, 23, (3, 5), generator=random)


def writes_words(program: Program) -> None:
    """Scores for every word of the vocabulary at every place."""
    model, images, ids = _captioner(program)
    try:
        out = model(pixel_values=images, labels=ids)
    except ValueError as error:
        assert "batch_size" not in str(error), (
            "one answer an image: that class names an image, a caption has many words"
        )
        raise
    assert getattr(out, "logits", None) is not None and out.logits.shape == (3, 5, 23), (
        "a captioner scores every word at every place, (B, T, V); this model gives something else, pixels perhaps"
    )


def captions_need_the_image(program: Program) -> None:
    """Another image, other scores."""
    model, images, ids = _captioner(program)
    one, other = (model(pixel_values=x, labels=ids).logits for x in (images, 1 - images))
    assert not torch.allclose(one, other), "the scores don't depend on the image: nothing connects the two halves"


def words_come_one_after_the_other(program: Program) -> None:
    """Another word at place 3: the scores up to place 3 stay, those after it move."""
    model, images, ids = _captioner(program)
    other = ids.clone()
    other[:, 3] = 3 + (ids[:, 3] - 2) % 20
    one, two = (model(pixel_values=images, labels=labels).logits for labels in (ids, other))
    moved = [not torch.allclose(one[:, t], two[:, t], atol=1e-5) for t in range(5)]
    assert not any(moved[:3]), (
        "the scores of a word depend on words that come later: without a causal mask it learns to look them up"
    )
    assert not moved[3], (
        "the scores of a word depend on that very word: the decoder reads the labels where they stand, and not the "
        "word before, so it learns to copy"
    )
    assert moved[4], "the scores of a word do not depend on the words before it: the decoder reads something else"


def starts_at_chance(program: Program) -> None:
    """ln V, padding left out."""
    model, images, ids = _captioner(program)
    value = program.caption_loss(model, images, ids).item()
    assert abs(value - math.log(23)) < 1, (
        f"an untrained captioner should lose about ln(23) = 3.1 a word, not {value:.1f}"
    )


_READ = "from transformers import ViTConfig, ViTForMaskedLM"
_LAST = (
    "    encoder = ViTConfig(image_size=16, patch_size=4, vocab_size=vocabulary, **SHAPE)\n"
    "    return ViTForMaskedLM(encoder)"
)
_BUILT = "    from transformers import ViTConfig, ViTForMaskedLM\n\n" + _LAST

_REPAIR = (
    (
        _READ,
        "from transformers import BertConfig, ViTConfig\n"
        "    from transformers import VisionEncoderDecoderConfig, VisionEncoderDecoderModel",
    ),
    (
        _LAST,
        "    encoder = ViTConfig(image_size=16, patch_size=4, **SHAPE)\n"
        "    decoder = BertConfig(vocab_size=vocabulary, **SHAPE)\n"
        "    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)\n"
        "    config.decoder_start_token_id, config.pad_token_id = BOS, PAD\n"
        "    return VisionEncoderDecoderModel(config=config)",
    ),
)


def _with_forward(body: str) -> tuple:
    """The repair, with a forward of its own that feeds the decoder in another way."""
    lines = "\n".join("    " + line for line in body.splitlines())
    made = (
        "    class Captioner(VisionEncoderDecoderModel):\n"
        f"        def forward(self, pixel_values, labels):\n{lines}\n\n"
        "    return Captioner(config=config)"
    )
    return (
        _REPAIR[0],
        (_REPAIR[1][0], _REPAIR[1][1].replace("    return VisionEncoderDecoderModel(config=config)", made)),
    )


CASE = Case(
    number="01",
    title="build a captioner with transformers",
    complaint="I took this from an article. An image goes in, text should come out. It does not even start.",
    stages=(writes_words, captions_need_the_image, words_come_one_after_the_other, starts_at_chance),
    original="your program raised ImportError",
    repair=_REPAIR,
    wrong={
        "a `try` around the failure": (
            (
                _BUILT,
                (
                    "    try:\n        from transformers import ViTForMaskedLM\n    except ImportError:\n"
                    "        return None"
                ),
            ),
        ),
        "pixels perhaps": (
            (_READ, "from transformers import ViTConfig, ViTForMaskedImageModeling"),
            ("ViTForMaskedLM(encoder)", "ViTForMaskedImageModeling(encoder)"),
        ),
        "without a causal mask": _with_forward(
            "        inputs = torch.cat([torch.full_like(labels[:, :1], BOS), labels[:, :-1].clamp(min=0)], dim=1)\n"
            "        free = torch.zeros(len(labels), 1, labels.shape[1], labels.shape[1])\n"
            "        return super().forward(\n"
            "            pixel_values, decoder_input_ids=inputs, decoder_attention_mask=free, labels=labels\n"
            "        )\n"
        ),
        "so it learns to copy": _with_forward(
            "        return super().forward(pixel_values, decoder_input_ids=labels.clamp(min=0), labels=labels)\n"
        ),
        "the decoder reads something else": _with_forward(
            "        return super().forward(\n"
            "            pixel_values, decoder_input_ids=torch.full_like(labels, BOS), labels=labels\n"
            "        )\n"
        ),
        "should lose about ln(23)": (*_REPAIR, ("labels=labels).loss", "labels=labels).logits.mean()")),
        "one answer an image": (
            (_READ, "from transformers import ViTConfig, ViTForImageClassification"),
            ("vocab_size=vocabulary", "num_labels=vocabulary"),
            ("ViTForMaskedLM(encoder)", "ViTForImageClassification(encoder)"),
        ),
        "nothing connects the two halves": (
            (_READ, "from transformers import BertConfig, BertLMHeadModel"),
            (
                _LAST,
                "    class Captioner(BertLMHeadModel):\n"
                "        def forward(self, pixel_values, labels):\n"
                "            return super().forward(labels.clamp(min=0), labels=labels)\n\n"
                "    return Captioner(BertConfig(vocab_size=vocabulary, is_decoder=True, **SHAPE))",
            ),
        ),
    },
    hints=(
        "Search the library for the class. Then ask what it would have to do: an image encoder has no word to mask.",
        "An encoder that reads and a decoder that writes, with cross-attention between them: "
        "VisionEncoderDecoderModel. Its config is made from two configs, and it has to know the start and the "
        "padding token.",
        "config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(ViTConfig(...), "
        "BertConfig(vocab_size=vocabulary, ...)); config.decoder_start_token_id, config.pad_token_id = BOS, PAD; "
        "return VisionEncoderDecoderModel(config=config)",
    ),
    defect="the class never existed. An image encoder has no vocabulary; a caption needs a decoder with "
    "cross-attention. Look a class up before you build on it",
    met=("X220", "X222", V5),
    difficulty=3,
    minutes=12,
)
