"""Build a tiny image captioner with transformers: a vision encoder that reads, a decoder that writes."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from course_lib.compat import ensure_torchvision

PAD, BOS, EOS = 0, 1, 2
SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def build_captioner(vocabulary: int) -> nn.Module:
    """A captioner of 16 x 16 images that writes words 0 to `vocabulary` - 1; call it with pixel_values= and labels=."""
    ensure_torchvision()
    from transformers import ViTConfig, ViTForMaskedLM

    encoder = ViTConfig(image_size=16, patch_size=4, vocab_size=vocabulary, **SHAPE)
    return ViTForMaskedLM(encoder)


def caption_loss(model: nn.Module, images: Float[Tensor, "B 3 16 16"], ids: Int[Tensor, "B T"]) -> Float[Tensor, ""]:
    """Mean loss a word, padding left out. ids: words and EOS, then PAD."""
    labels = ids.masked_fill(ids == PAD, -100)
    return model(pixel_values=images, labels=labels).loss


def run() -> dict:
    """One training step, the way a smoke test does it."""
    torch.manual_seed(0)
    model = build_captioner(vocabulary=20)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loss = caption_loss(model, torch.rand(4, 3, 16, 16), torch.randint(3, 20, (4, 6)))
    loss.backward()
    optimizer.step()
    return {"loss of the first step": loss.item()}
