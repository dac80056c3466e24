"""Four small trainings that run anywhere: what `course train` offers, and what the benchmark measures.

Each function returns a Recipe of real or drawn data, a model, a loss and its measure. Write your own in the same form
and start it with `course train your_module:your_function`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn import functional

from course_lib.models.transformer import Decoder, VisionTransformer
from course_lib.training.config import TrainConfig
from course_lib.training.distributed import gather


class Recipe(NamedTuple):
    """The arguments of `fit`, with settings that work."""

    model: nn.Module
    data: Any
    loss: Callable
    config: TrainConfig
    evaluate: Callable | None = None
    weigh: Callable | None = None


class TwoTower(nn.Module):
    """An image and a text tower into one space (CLIP: Radford et al., 2021, arXiv:2103.00020)."""

    def __init__(self, image: nn.Module, text: nn.Module) -> None:
        super().__init__()
        self.image, self.text = image, text
        self.log_scale = nn.Parameter(torch.tensor([2.659]))  # log(1 / 0.07); one axis, so that FSDP2 can split it

    def forward(self, images: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Unit vectors of both, and the factor on their cosines, 1 / temperature, at most 100."""
        texts = self.text(tokens)[:, -1]  # padded on the left, so the last position has read everything
        scale = self.log_scale.exp().clamp(max=100)
        return functional.normalize(self.image(images), dim=-1), functional.normalize(texts, dim=-1), scale


def classify(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Cross-entropy of (inputs, labels); log(K) is chance."""
    return functional.cross_entropy(model(batch[0]), batch[1])


def next_token(model: nn.Module, batch: tuple[Tensor]) -> Tensor:
    """Cross-entropy in nats per token; log(V) is chance."""
    tokens = batch[0]
    return functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1).float(), tokens[:, 1:].flatten())


def contrast(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Symmetric InfoNCE, own pairs against those of all processes; log(batch size) is chance."""
    images, texts, scale = model(*batch)
    all_images, all_texts = gather(images, unequal=True), gather(texts, unequal=True)
    targets = all_images.start + torch.arange(len(images), device=images.device)
    to_text = functional.cross_entropy(scale * images @ all_texts.rows.T, targets)
    to_image = functional.cross_entropy(scale * texts @ all_images.rows.T, targets)
    return (to_text + to_image) / 2


def mlp(seed: int = 0) -> Recipe:
    """Handwritten digits, 26 k parameters."""
    train, test = digits()
    torch.manual_seed(seed)
    layers = [nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)]
    config = TrainConfig(steps=400, batch_size=64, learning_rate=2e-3)
    return Recipe(nn.Sequential(*layers), train, classify, config, accuracy(test))


def vit(seed: int = 0) -> Recipe:
    """Handwritten digits in 16 patches, 27 k parameters."""
    train, test = digits()
    torch.manual_seed(seed)
    model = VisionTransformer(side=8, patch=2, channels=1, width=32, depth=2, heads=4, outputs=10)
    config = TrainConfig(steps=400, batch_size=64, learning_rate=3e-3, schedule="cosine", warmup_steps=20)
    return Recipe(model, train, classify, config, accuracy(test))


def two_tower(seed: int = 0) -> Recipe:
    """Drawn scenes and their captions."""
    from course_lib.data.scenes import make_scenes

    train, test = make_scenes(1024, seed=seed), make_scenes(128, seed=seed + 1)
    words = {
        word: number for number, word in enumerate(sorted({w for c in train.captions for w in c.split()}), start=1)
    }
    length = max(len(caption.split()) for caption in train.captions + test.captions)
    pairs, held_out = ((s.images, token_table(s.captions, words, length)) for s in (train, test))
    torch.manual_seed(seed)
    image = VisionTransformer(side=16, patch=4, channels=3, width=48, depth=2, heads=4, outputs=32)
    text = Decoder(len(words) + 1, length, width=48, depth=2, heads=4, outputs=32)
    config = TrainConfig(
        steps=300, batch_size=64, learning_rate=1e-3, schedule="cosine", warmup_steps=20, clip_norm=1.0
    )

    def evaluate(model: nn.Module) -> dict[str, Tensor]:
        images, texts, _ = model(*(t.to(model.log_scale.device) for t in held_out))
        best = (images @ texts.T).argmax(1)
        return {"recall_at_1": (best == torch.arange(len(best), device=best.device)).float().mean()}

    return Recipe(TwoTower(image, text), pairs, contrast, config, evaluate)


def decoder(seed: int = 0) -> Recipe:
    """Python's own help texts, a character at a time."""
    from pydoc_data.topics import topics

    text = "".join(topics[name] for name in sorted(topics))
    letters = {letter: number for number, letter in enumerate(sorted(set(text)))}
    windows = torch.tensor([letters[letter] for letter in text]).unfold(0, 65, 64)  # a window predicts 64 characters
    torch.manual_seed(seed)
    model = Decoder(len(letters), length=64, width=64, depth=2, heads=4)
    config = TrainConfig(steps=300, batch_size=32, learning_rate=3e-3, schedule="wsd", warmup_steps=20, clip_norm=1.0)
    held_out = windows[-100:]

    def evaluate(model: nn.Module) -> dict[str, Tensor]:
        return {"held_out_nats": next_token(model, (held_out.to(model.head.weight.device),))}

    return Recipe(model, (windows[:-100].contiguous(),), next_token, config, evaluate)


BUILT_IN = {"mlp": mlp, "vit": vit, "two_tower": two_tower, "decoder": decoder}


def digits() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """scikit-learn's digits as (images B 1 8 8 in [0, 1], labels), split as in `course_lib.data.digits`."""
    from sklearn.datasets import load_digits

    from course_lib.data.digits import TRAIN_IMAGES

    images, labels = load_digits(return_X_y=True)
    images, labels = torch.tensor(images / 16, dtype=torch.float32).view(-1, 1, 8, 8), torch.tensor(labels)
    return (images[:TRAIN_IMAGES], labels[:TRAIN_IMAGES]), (images[TRAIN_IMAGES:], labels[TRAIN_IMAGES:])


def token_table(captions: list[str], words: dict[str, int], length: int) -> Int[Tensor, "B T"]:
    """Word numbers, padded with 0 on the left; a word that training never saw is 0 too."""
    rows = [[words.get(word, 0) for word in caption.split()] for caption in captions]
    return torch.tensor([[0] * (length - len(row)) + row for row in rows])


def accuracy(test: tuple[Tensor, Tensor]) -> Callable[[nn.Module], dict[str, Tensor]]:
    """A measure of how many of `test` a model gets right."""

    def evaluate(model: nn.Module) -> dict[str, Tensor]:
        inputs, labels = (t.to(next(model.parameters()).device) for t in test)
        return {"accuracy": (model(inputs).argmax(1) == labels).float().mean()}

    return evaluate
