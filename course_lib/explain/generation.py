"""Which regions of an image a generative model's answer rests on, through captum's LLMAttribution.

A region is painted over, the image is processed again, and the log-probability of the answer is read again: no
gradients, so any model that `transformers` generates with will do, at one forward pass a region and token.

Axis letters are those of course_lib/__init__.py; R counts regions.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import captum.attr as captum
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor, nn

from course_lib import refuse
from course_lib.explain.checks import check_known, check_mode
from course_lib.explain.preparation import seeded
from course_lib.explain.regions import block_regions

KINDS = {
    "feature_ablation": captum.FeatureAblation,
    "shapley": captum.ShapleyValueSampling,
    "lime": captum.Lime,
    "kernel_shap": captum.KernelShap,
}

WHOLE_PROMPT = {"use_cached_outputs": False, "forward_in_tokens": False}
"""One pass over prompt, image and answer. Captum's default goes token by token through a cache; there transformers 5
leaves the pixels out of the first step, unless told that it is the first, and every attribution to the image is 0."""


class AnswerAttribution(NamedTuple):
    """What each region of the image did for the log-probability of an answer, in nats."""

    regions: Int[Tensor, "height width"]
    """Which region each pixel belongs to, 0 to R - 1."""
    answer: Float[Tensor, " R"]
    """For the whole answer: the sum over its tokens."""
    tokens: list[str]
    per_token: Float[Tensor, "T R"] | None
    """For each token of the answer given those before it; None for lime and kernel_shap, which fit the whole."""

    def map(self, token: int | None = None) -> Float[Tensor, "height width"]:
        """Each region's value at its pixels: of the whole answer, or of one token."""
        if token is not None and self.per_token is None:
            raise ValueError("this method explains the whole answer only; take feature_ablation or shapley for tokens")
        return (self.answer if token is None else self.per_token[token])[self.regions]


@refuse.misfit
def attribute_answer(
    model: nn.Module,
    tokenizer: Any,
    image: Image.Image,
    process: Callable[[Image.Image], Any],
    answer: str | None = None,
    *,
    method: str = "feature_ablation",
    regions: Int[Tensor, "height width"] | None = None,
    colour: tuple[int, int, int] = (0, 0, 0),
    seed: int = 0,
    **options: Any,
) -> AnswerAttribution:
    """Attribute a generated answer to regions of the image it is about.

    process: from an image to the model's inputs with the prompt in them, usually a call of the model's processor:
        `lambda image: processor(text=prompt, images=image, return_tensors="pt")`.
    answer: the text to explain; None lets the model generate up to 25 tokens and explains those.
    method: one of KINDS. regions: any integers, one a pixel; by default 4 x 4 blocks.
    colour: red, green, blue in 0 to 255 that stands for "nothing there".
    options: of captum's method, such as n_samples.

    Raises ValueError for a model in train mode, an unknown method, regions of another size than the image.
    """
    check_known("method", [method], KINDS)
    check_mode(model)
    width, height = image.size
    asked = block_regions(height, width) if regions is None else regions
    if tuple(asked.shape) != (height, width):
        raise ValueError(f"regions have shape {tuple(asked.shape)}, the image has {(height, width)}, rows first")
    numbers = asked.unique(return_inverse=True)[1]
    shown = captum.ImageMaskInput(image=image.convert("RGB"), mask=numbers, baseline=colour, processor_fn=process)
    explainer = captum.LLMAttribution(KINDS[method](model), tokenizer)
    with seeded(seed), torch.no_grad():
        found = explainer.attribute(shown, target=answer, **WHOLE_PROMPT, **options)
    per_token = None if found.token_attr is None else found.token_attr.detach().cpu()
    return AnswerAttribution(numbers, found.seq_attr.detach().cpu().flatten(), list(found.output_tokens), per_token)
