"""Which part of the image each word of an answer rests on, for this course's own vision-language model.

`attribute_word` asks by gradients or perturbations about one word, given the words before it. `attribute_caption`
paints regions over and reads the whole answer again through captum's LLMAttribution, which speaks to models and
tokenisers by transformers' names; the two small classes here answer to them.

Axis letters are those of course_lib/__init__.py.
"""

from types import SimpleNamespace
from typing import Any

import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor, nn

from course_lib import refuse
from course_lib.data.vocabulary import Vocabulary
from course_lib.explain.attribution import Attribution, attribute
from course_lib.explain.generation import AnswerAttribution, attribute_answer
from course_lib.models.generation import check_range, generate


@refuse.misfit
def attribute_word(
    model: nn.Module, images: Float[Tensor, "B 3 height width"], ids: Int[Tensor, "B T"], word: int, **options: Any
) -> Attribution:
    """What in each image spoke for `ids[:, word]`, given the words before it; in logits.

    ids: prompt with one <image>, then the answer. word: its column, after the image; options as in `attribute`.
    `.map("images")` is (B, height, width).
    """
    if not 1 <= word < ids.shape[1]:
        raise ValueError(f"word {word} does not fit: ids have columns 0 to {ids.shape[1] - 1}, and the first is given")

    def read(said: Any) -> Tensor:
        return said.at_words()[:, word - 1]

    return attribute(model, {"images": images}, ids[:, word], fixed={"ids": ids}, read=read, **options)


@refuse.misfit
def attribute_caption(
    model: nn.Module,
    vocabulary: Vocabulary,
    image: Float[Tensor, "3 height width"],
    prompt: str,
    answer: str | None = None,
    **options: Any,
) -> AnswerAttribution:
    """What each region of the image did for the log-probability of an answer and of each of its words, in nats.

    image: red, green, blue in [0, 1]. prompt: with one <image>. answer: the text to explain; None takes what the model
    says. options (method, regions, colour, seed): as in `attribute_answer`.
    """
    check_range(image)
    device = next(model.parameters()).device
    ids = torch.tensor([vocabulary.encode(prompt)[:-1]], device=device)
    levels = (image * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()

    def process(picture: Image.Image) -> dict[str, Tensor]:
        pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(
            picture.height, picture.width, 3
        )
        return {"input_ids": ids, "pixel_values": pixels.permute(2, 0, 1)[None].float().to(device) / 255}

    adapter = TransformersNames(model, vocabulary.EOS).train(model.training)  # leaves the model's mode as it is
    return attribute_answer(adapter, WordTokenizer(vocabulary), Image.fromarray(levels), process, answer, **options)


class TransformersNames(nn.Module):
    """A vision-language model under transformers' argument names, with one row of scores a word."""

    def __init__(self, model: nn.Module, eos: int) -> None:
        super().__init__()
        self.model, self.eos = model, eos

    @refuse.misfit
    def forward(
        self, input_ids: Int[Tensor, "B T"], pixel_values: Tensor, attention_mask: Tensor | None = None
    ) -> SimpleNamespace:
        """`logits` (B, T, V): row t predicts word t + 1. The mask is all ones, since nothing is padded."""
        return SimpleNamespace(logits=self.model(pixel_values, input_ids).at_words())

    @refuse.misfit
    @torch.no_grad()
    def generate(
        self, input_ids: Int[Tensor, "1 T"], pixel_values: Tensor, max_new_tokens: int, **_unused: Any
    ) -> Int[Tensor, "1 longer"]:
        """The prompt and the likeliest words after it, up to but without <eos>."""
        said = generate(self.model, pixel_values, input_ids, most=max_new_tokens, eos=self.eos).ids
        return torch.cat([input_ids, said[:, said[0] != self.eos]], dim=1)


class WordTokenizer:
    """A Vocabulary under the names of a transformers tokeniser; words and ids are the same ones."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        """Ids of the words, without <bos> and <eos> unless they are asked for."""
        ids = self.vocabulary.encode(text)
        return ids if add_special_tokens else ids[1:-1]

    def decode(self, ids: Any) -> str:
        """The text of one id or several."""
        return self.vocabulary.decode(torch.as_tensor(ids).reshape(-1))

    def __call__(self, text: str, **_asked: Any) -> dict[str, list]:
        """Ids, and where each word begins and ends in the text."""
        ids, spans, end = self.encode(text), [], 0
        for number in ids:
            start = text.index(self.vocabulary.tokens[number], end)
            end = start + len(self.vocabulary.tokens[number])
            spans.append((start, end))
        return {"input_ids": ids, "offset_mapping": spans}
