"""What stands around a fusion operator: encoders below, a head on top. Modules take modules, so any operator fits.

Axis letters are those of course_lib/__init__.py.
"""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from course_lib import refuse


def mlp(width: int, out: int, hidden: int = 32) -> nn.Sequential:
    """One hidden ReLU layer: (B, ..., width) -> (B, out); everything after the batch axis is flattened."""
    return nn.Sequential(nn.Flatten(), nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, out))


class FuseThenHead(nn.Module):
    """Middle fusion: encode each modality, fuse the two vectors, put a head on top.

        logits = head(fuse(encode_image(image), encode_text(text)))

    fuse: a function or module of two tensors; of named parts (a gate returns its weights too) `fused` is used.
    Without encoders the inputs are fused as they are.
    """

    def __init__(
        self,
        fuse: Callable,
        head: nn.Module,
        encode_image: nn.Module | None = None,
        encode_text: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.fuse, self.head = fuse, head
        self.encode_image = nn.Identity() if encode_image is None else encode_image
        self.encode_text = nn.Identity() if encode_text is None else encode_text

    @refuse.misfit
    def forward(self, image: Float[Tensor, "B ..."], text: Float[Tensor, "B ..."]) -> Float[Tensor, "B K"]:
        """Logits of K classes."""
        fused = self.fuse(self.encode_image(image), self.encode_text(text))
        return self.head(getattr(fused, "fused", fused))


class AddLogits(nn.Module):
    """Late fusion trained jointly: logits = image_model(image) + text_model(text). It can only add evidence up.

    Hessel and Lee (2020, doi:10.18653/v1/2020.emnlp-main.62) use the best such model as the yardstick for interactions.
    """

    def __init__(self, image_model: nn.Module, text_model: nn.Module) -> None:
        super().__init__()
        self.image_model, self.text_model = image_model, text_model

    @refuse.misfit
    def forward(self, image: Float[Tensor, "B ..."], text: Float[Tensor, "B ..."]) -> Float[Tensor, "B K"]:
        """Logits of K classes."""
        return self.image_model(image) + self.text_model(text)
