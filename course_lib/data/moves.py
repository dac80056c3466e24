"""Pictures moved by whole pixels, as a camera that is not quite where it was would take them."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from course_lib import refuse


@refuse.misfit
def moved(
    images: Float[Tensor, "*batch height width"],
    generator: torch.Generator,
    pixels: int = 1,
    *,
    exactly: bool = False,
) -> Float[Tensor, "*batch height width"]:
    """Each image moved by up to `pixels` down and across, all ways equally likely; zeros come in at the edge.

    exactly: by no less than `pixels` in at least one of the two directions. ValueError for a negative number.
    """
    if pixels < 0:
        raise ValueError(f"pixels {pixels}: pictures move by 0 or more; ways to both sides are drawn")
    height, width = images.shape[-2:]
    steps = torch.arange(-pixels, pixels + 1)
    ways = torch.cartesian_prod(steps, steps)
    if exactly:
        ways = ways[ways.abs().amax(dim=1) == pixels]
    wide = F.pad(images.reshape(-1, height, width), (pixels,) * 4)
    down, across = (ways[torch.randint(len(ways), (len(wide),), generator=generator)] + pixels).T
    row, column = down[:, None] + torch.arange(height), across[:, None] + torch.arange(width)
    return wide[torch.arange(len(wide))[:, None, None], row[:, :, None], column[:, None]].view(images.shape)
