"""Generate for several prompts at once."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

PAD = 0


class Decoder(nn.Module):
    """One causal attention layer. It minds the mask, and counts positions over real words only."""

    def __init__(self, words: int = 12, width: int = 16) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(words, width), nn.Embedding(32, width)
        self.qkv, self.head = nn.Linear(width, 3 * width), nn.Linear(width, words)

    def forward(self, ids: Int[Tensor, "B T"], real: Bool[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """Scores of the word after each place. real: False where ids are padding."""
        position = (real.cumsum(dim=1) - 1).clamp(min=0)
        x = self.embed(ids) + self.place(position)
        causal = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
        allowed = (causal & real[:, None]) | torch.eye(ids.shape[1], dtype=torch.bool)
        return self.head(x + F.scaled_dot_product_attention(*self.qkv(x).chunk(3, dim=-1), attn_mask=allowed))


def pad_prompts(prompts: list[list[int]]) -> tuple[Int[Tensor, "B T"], Bool[Tensor, "B T"]]:
    """Prompts as one tensor, and which of its places are real."""
    longest = max(map(len, prompts))
    ids = torch.tensor([prompt + [PAD] * (longest - len(prompt)) for prompt in prompts])
    return ids, ids != PAD


@torch.no_grad()
def generate(model: nn.Module, prompts: list[list[int]], count: int) -> list[list[int]]:
    """The `count` words that the model puts after each prompt."""
    ids, real = pad_prompts(prompts)
    for _ in range(count):
        following = model(ids, real)[:, -1].argmax(dim=-1)
        ids = torch.cat([ids, following[:, None]], dim=1)
        real = torch.cat([real, torch.ones(len(ids), 1, dtype=torch.bool)], dim=1)
    return ids[:, -count:].tolist()


def run() -> dict:
    """The same prompts alone and together."""
    torch.manual_seed(1)
    model, prompts = Decoder(), [[3, 4, 5, 6, 7, 8], [5, 9], [7, 3, 4]]
    alone = [generate(model, [prompt], 4)[0] for prompt in prompts]
    together = generate(model, prompts, 4)
    agree = [one == other for one, other in zip(alone, together, strict=True)]
    return {"length of the prompts": [len(prompt) for prompt in prompts], "same words alone and in a batch": agree}
