"""A vision-language model in three parts: a vision transformer, a projector, a causal decoder.

    image   (B, 3, size, size) -> vision -> (B, P, width) -> projector -> (B, P, D)   P vectors that look like words
    prompt  <bos> <image> describe .     -> embedding ->     (B, T, D)
    splice  <bos> [P patches] describe . small red square ...  -> decoder -> scores of the next word, (B, S, V)

One <image> in the prompt makes room for P patches, so S = T - 1 + P. Only the answer is learnt: at image, prompt and
padding the label is -100. This is LLaVA (Liu et al., 2023, arXiv:2304.08485) with the two-layer projector of its
version 1.5 (Liu et al., 2023, arXiv:2310.03744), thousands of times smaller and with learned positions.

Axis letters are those of course_lib/__init__.py; S = T - 1 + P counts the positions of the spliced sequence.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_lib import refuse
from course_lib.models.transformer import Decoder, KeyValueCache, PatchEncoder

PAD = 0
"""The id that fills up a batch."""
IGNORE = -100
"""The label that cross-entropy leaves out (PyTorch's own default)."""


class NextWord(NamedTuple):
    """What a `VisionLanguageModel` returns."""

    logits: Float[Tensor, "B S V"]
    """Scores of the word that follows each position of the spliced sequence."""
    places: Int[Tensor, "B T"]
    """Where each word stands in that sequence; <image> stands at its last patch."""

    def at_words(self) -> Float[Tensor, "B T V"]:
        """Scores of the word after each word: row t predicts `ids[:, t + 1]`, whatever the image took in between."""
        return self.logits.gather(1, self.places[..., None].expand(-1, -1, self.logits.shape[-1]))


class VisionLanguageModel(nn.Module):
    """Say the next word, given an image and the words so far.

    vision: images to patch vectors. projector: from their width to the decoder's. image_id: the id of <image>.
    """

    def __init__(self, vision: PatchEncoder, projector: nn.Module, decoder: Decoder, image_id: int) -> None:
        super().__init__()
        self.vision, self.projector, self.decoder = vision, projector, decoder
        self.image_id = image_id

    @property
    def patches(self) -> int:
        """P: patches of an image, which is what <image> turns into."""
        return (self.vision.side // self.vision.patch) ** 2

    @refuse.misfit
    def forward(
        self,
        images: Float[Tensor, "images 3 height width"] | None,
        ids: Int[Tensor, "B T"],
        readable: Bool[Tensor, "B T"] | None = None,
    ) -> NextWord:
        """Score the next word at every position.

        images: one a prompt, red, green, blue in [0, 1]. None is the blind model: zeros where the patches would stand.
        ids: a prompt with one <image>, and as much of the answer as there is; padded on the right, where a causal
            model never looks. readable: False at padding; needed where that is on the left.
        """
        x, readable, places = self.splice(images, ids, readable)
        return NextWord(self.decoder.read(x, readable), places)

    @refuse.misfit
    def start(
        self,
        images: Float[Tensor, "images 3 height width"] | None,
        ids: Int[Tensor, "B T"],
        readable: Bool[Tensor, "B T"] | None = None,
    ) -> tuple[Float[Tensor, "B V"], KeyValueCache]:
        """Read image and prompt once ("prefill"): scores of the first word of the answer, and the cache to go on with.

        ids: padded on the left if prompts differ in length, so that all end in the last column.
        """
        cache = KeyValueCache()
        x, readable, _ = self.splice(images, ids, readable)
        return self._sayable(self.decoder.read(x, readable, cache)[:, -1]), cache

    @refuse.misfit
    def step(self, words: Int[Tensor, " B"], cache: KeyValueCache) -> Float[Tensor, "B V"]:
        """Read one more word a row ("decode"): scores of the next."""
        return self._sayable(self.decoder.read(self.decoder.embed(words[:, None]), None, cache)[:, -1])

    def _sayable(self, scores: Float[Tensor, "B V"]) -> Float[Tensor, "B V"]:
        """<image> is read, never said."""
        return scores.index_fill(1, torch.tensor(self.image_id, device=scores.device), float("-inf"))

    @refuse.misfit
    def see(self, images: Float[Tensor, "B 3 height width"]) -> Float[Tensor, "B P D"]:
        """Patches in the decoder's space."""
        size = self.vision.side
        if tuple(images.shape[-2:]) != (size, size):
            raise ValueError(
                f"images of {tuple(images.shape[-2:])} pixels came, this model takes {size} x {size}; draw them with "
                f"make_scenes(..., size={size}), or build the model with size={images.shape[-1]}"
            )
        return self.projector(self.vision.tokens(images))

    @refuse.misfit
    def splice(
        self,
        images: Float[Tensor, "images 3 height width"] | None,
        ids: Int[Tensor, "B T"],
        readable: Bool[Tensor, "B T"] | None = None,
    ) -> tuple[Float[Tensor, "B S D"], Bool[Tensor, "B S"] | None, Int[Tensor, "B T"]]:
        """The decoder's input, which of it may be read, and where each word went."""
        order, places = splice_order(ids, self.image_id, self.patches)
        words = self.decoder.embed(ids)
        if images is None:
            seen = words.new_zeros(len(ids), self.patches, words.shape[-1])
        elif len(images) == len(ids):
            seen = self.see(images)
        else:
            raise ValueError(f"{len(images)} images and {len(ids)} prompts came; each prompt needs its image")
        if readable is not None:
            readable = torch.cat([readable, readable.new_ones(seen.shape[:2])], dim=1).gather(1, order)
        both = torch.cat([words, seen.to(words.dtype)], dim=1)
        return both.gather(1, order[..., None].expand(-1, -1, both.shape[-1])), readable, places


@refuse.misfit
def splice_order(ids: Int[Tensor, "B T"], image_id: int, patches: int) -> tuple[Tensor, Tensor]:
    """Where position s of the sequence comes from in [T words; P patches], (B, S), and where each word went, (B, T).

    ValueError unless every row holds <image> exactly once.
    """
    is_image = ids == image_id
    counts = is_image.sum(dim=1)
    if bool((counts != 1).any()):
        row = int((counts != 1).nonzero()[0])
        raise ValueError(
            f"row {row} holds {int(counts[row])} <image> tokens (id {image_id}), a prompt needs exactly one; write "
            "'<image> describe.' or '<image> what colour is the ring?'"
        )
    length = ids.shape[1]
    at = is_image.int().argmax(dim=1, keepdim=True)  # B 1
    place = torch.arange(length - 1 + patches, device=ids.device)
    after = place >= at + patches
    order = torch.where(place < at, place, torch.where(after, place - patches + 1, length + place - at))
    word = torch.arange(length, device=ids.device)
    return order, torch.where(word < at, word, word + patches - 1)


@refuse.misfit
def splice_labels(
    labels: Int[Tensor, "B T"], ids: Int[Tensor, "B T"], image_id: int, patches: int
) -> Int[Tensor, "B S"]:
    """Labels of the spliced sequence: -100 at each of the P patches, the words' own elsewhere."""
    order, _ = splice_order(ids, image_id, patches)
    unseen = labels.new_full((len(labels), patches), IGNORE)
    return torch.cat([labels, unseen], dim=1).gather(1, order)


@refuse.misfit
def answer_loss(logits: Float[Tensor, "B S V"], labels: Int[Tensor, "B S"]) -> Float[Tensor, ""]:
    """Cross-entropy in nats per word of the answers, each position predicting the next; log(V) is chance, 0 the best.

    A mean over words, so a long answer counts more than a short one.
    """
    if bool((labels[:, 1:] == IGNORE).all()):
        raise ValueError(f"every label is {IGNORE}, so there is nothing to learn; does the batch hold answers?")
    return functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORE)


def train_only(model: nn.Module, *parts: nn.Module) -> int:
    """Freeze everything but `parts`, by requires_grad; returns how many numbers are trained.

    LLaVA's stages: `train_only(model, model.projector)`, then `train_only(model, model.projector, model.decoder)`.
    """
    inside = {id(p) for part in parts for p in part.parameters()}
    strangers = len(inside - {id(p) for p in model.parameters()})
    if strangers > 0:
        raise ValueError(f"{strangers} of these parameters are not the model's; pass parts such as model.projector")
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in inside)
        parameter.grad = None
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def make_projector(seen: int, width: int) -> nn.Sequential:
    """Two layers with a GELU between them, from the encoder's width to the decoder's, as in LLaVA 1.5."""
    return nn.Sequential(nn.Linear(seen, width), nn.GELU(), nn.Linear(width, width))


def make_vlm(
    vocabulary: int,
    image_id: int,
    *,
    size: int = 16,
    patch: int = 4,
    width: int = 48,
    depth: int = 2,
    heads: int = 4,
    expand: int = 2,
    most_words: int = 40,
) -> VisionLanguageModel:
    """A model with new weights, drawn from torch's global generator.

    vocabulary: V. size: edge of the square images in pixels. patch: edge of a patch in pixels, a divisor of size.
    width, depth, heads, expand: of encoder and decoder alike. most_words: longest prompt with its answer, in tokens.
    """
    vision = PatchEncoder(size, patch, channels=3, width=width, depth=depth, heads=heads, expand=expand)
    length = (size // patch) ** 2 - 1 + most_words
    decoder = Decoder(vocabulary, length, width, depth, heads, expand=expand)
    return VisionLanguageModel(vision, make_projector(width, width), decoder, image_id)
