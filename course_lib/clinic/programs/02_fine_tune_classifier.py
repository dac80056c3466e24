"""Fine-tune a small vision transformer to name the colour of an image."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from course_lib.compat import ensure_torchvision

COLOURS = 3


def build_model() -> nn.Module:
    """A ViT of one layer with a head for the colours."""
    ensure_torchvision()
    from transformers import ViTConfig, ViTForImageClassification

    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    return ViTForImageClassification(ViTConfig(image_size=8, patch_size=4, num_labels=COLOURS, **shape))


def make_data(count: int, seed: int) -> tuple[Float[Tensor, "B 3 8 8"], Int[Tensor, " B"]]:
    """Noisy images with one bright channel, and which one it is."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, COLOURS, (count,), generator=random)
    images = 0.3 * torch.randn(count, 3, 8, 8, generator=random)
    images[torch.arange(count), labels] += 1.0
    return images, labels


def train_step(model: nn.Module, images: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer) -> float | None:
    """One step; returns the loss."""
    outputs = model(images, caption_ids=labels)
    if outputs.loss is None:
        return None
    optimizer.zero_grad()
    outputs.loss.backward()
    optimizer.step()
    return outputs.loss.item()


def run() -> dict:
    """Sixty steps, then the share of right answers on fresh images."""
    torch.manual_seed(0)
    model = build_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = [train_step(model, *make_data(32, seed=step), optimizer) for step in range(60)]
    images, labels = make_data(200, seed=999)
    right = (model(images).logits.argmax(dim=1) == labels).float().mean().item()
    return {"loss of the last step": losses[-1], "right on fresh images (chance 0.33)": round(right, 2)}
