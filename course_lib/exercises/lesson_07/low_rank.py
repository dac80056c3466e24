"""Exercise 07.2: tensor fusion of low rank."""

import torch

from course_lib.lesson.effort import TorchOperations
from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close


def _low_rank_case(rank=2, out=3, image_width=4, text_width=5, batch=6):
    generator = torch.Generator().manual_seed(1)
    sizes = [(batch, image_width), (batch, text_width), (rank, out, image_width + 1), (rank, out, text_width + 1)]
    return [torch.randn(*size, generator=generator, dtype=torch.float64) for size in sizes]


def _explicit_tensor(image, text, image_factors, text_factors):
    ones = torch.ones(len(image), 1, dtype=image.dtype)
    tensor = (
        torch.cat([ones, image], 1)[:, :, None] * torch.cat([ones, text], 1)[:, None, :]
    )  # (B, D_image+1, D_text+1)
    weight = torch.einsum("rki,rkj->kij", image_factors, text_factors)
    return torch.einsum("bij,kij->bk", tensor, weight)


def low_rank_has_shape(low_rank):
    got = tuple(low_rank(*_low_rank_case()).shape)
    assert got == (6, 3), f"six examples and three outputs should give (6, 3), got {got}"
    for batch, out in ((1, 3), (6, 1)):
        got = tuple(low_rank(*_low_rank_case(batch=batch, out=out)).shape)
        assert got == (batch, out), f"an axis of length 1 is an axis: ({batch}, {out}) is due, got {got}; no squeeze"


def low_rank_keeps_each_modality_alone(low_rank):
    image, text, image_factors, text_factors = _low_rank_case()
    for name, other, silent in (("image", "text", (image, 0 * text)), ("text", "image", (0 * image, text))):
        got = low_rank(*silent, image_factors, text_factors)
        moved = low_rank(2 * silent[0], 2 * silent[1], image_factors, text_factors)
        assert not close(got, moved), (
            f"with an all-zero {other} the {name} must still count: put a 1 before each vector"
        )


def low_rank_multiplies(low_rank):
    image, text, image_factors, text_factors = _low_rank_case(rank=1)
    base = low_rank(image, text, image_factors, text_factors)
    doubled = low_rank(image, text, 2 * image_factors, text_factors)
    assert close(doubled, 2 * base), "doubling one modality's factors must double the result: multiply, not add"


def low_rank_sums_after_multiplying(low_rank):
    case = _low_rank_case(rank=2)
    got, parts = low_rank(*case), [low_rank(*case[:2], case[2][r : r + 1], case[3][r : r + 1]) for r in range(2)]
    assert close(got, parts[0] + parts[1]), "rank 2 is two rank-1 results added: multiply first, then sum over rank"


def low_rank_equals_the_tensor(low_rank):
    case = _low_rank_case(rank=5)
    assert close(low_rank(*case), _explicit_tensor(*case)), (
        "differs from the explicit tensor: column 0 of the factors belongs to the 1, columns 1.. to the features"
    )


def low_rank_never_builds_the_tensor(low_rank):
    with TorchOperations() as work:
        low_rank(*_low_rank_case(rank=2, out=1, image_width=60, text_width=70, batch=3))
    assert work.largest < 61 * 71, "a tensor with all pairs of features was built; project to (B, R, K) first instead"


def _low_rank(image, text, image_factors, text_factors):
    ones = image.new_ones(len(image), 1)
    image_part = torch.einsum("bi,rki->brk", torch.cat([ones, image], dim=1), image_factors)
    text_part = torch.einsum("bj,rkj->brk", torch.cat([ones, text], dim=1), text_factors)
    return (image_part * text_part).sum(dim=1)


def _low_rank_parts(image, text, image_factors, text_factors, *, last=False):
    ones = image.new_ones(len(image), 1)
    with_one = [torch.cat([x, ones] if last else [ones, x], dim=1) for x in (image, text)]
    return [torch.einsum("bi,rki->brk", x, f) for x, f in zip(with_one, (image_factors, text_factors), strict=True)]


def _low_rank_adds(*case):
    image_part, text_part = _low_rank_parts(*case)
    return (image_part + text_part).sum(dim=1)


def _low_rank_sums_first(*case):
    image_part, text_part = _low_rank_parts(*case)
    return image_part.sum(dim=1) * text_part.sum(dim=1)


def _low_rank_one_last(*case):
    image_part, text_part = _low_rank_parts(*case, last=True)
    return (image_part * text_part).sum(dim=1)


def _low_rank_without_one(image, text, image_factors, text_factors):
    image_part = torch.einsum("bi,rki->brk", image, image_factors[..., 1:])
    return (image_part * torch.einsum("bj,rkj->brk", text, text_factors[..., 1:])).sum(dim=1)


def _low_rank_with_one_one(image, text, image_factors, text_factors):
    """The text has its 1, the image has not."""
    image_part = torch.einsum("bi,rki->brk", image, image_factors[..., 1:])
    return (image_part * _low_rank_parts(image, text, image_factors, text_factors)[1]).sum(dim=1)


def _low_rank_with_offsets(image, text, image_factors, text_factors):
    image_part = (image_factors[..., 1:] @ image.T + image_factors[..., :1]).permute(2, 0, 1)  # (B, R, K)
    text_part = (text_factors[..., 1:] @ text.T + text_factors[..., :1]).permute(2, 0, 1)
    return torch.einsum("brk,brk->bk", image_part, text_part)


def _low_rank_by_rank(image, text, image_factors, text_factors):
    image, text = (torch.nn.functional.pad(x, (1, 0), value=1.0) for x in (image, text))
    total = 0.0
    for own, other in zip(image_factors, text_factors, strict=True):
        total = total + (image @ own.T) * (text @ other.T)
    return total


def _low_rank_by_example(image, text, image_factors, text_factors):
    rows = []
    for i, t in zip(image, text, strict=True):
        i, t = torch.cat([i.new_ones(1), i]), torch.cat([t.new_ones(1), t])
        rows.append((image_factors @ i).mul(text_factors @ t).sum(0))
    return torch.stack(rows)


low_rank = Exercise(
    id="07.2 low_rank",
    task="Write low_rank(image, text, image_factors, text_factors): (B, D_image), (B, D_text), (R, K, D_image+1), "
    "(R, K, D_text+1) -> (B, K), the tensor fusion whose weight tensor has rank R, without building the tensor.",
    stages=(
        low_rank_has_shape,
        low_rank_keeps_each_modality_alone,
        low_rank_multiplies,
        low_rank_sums_after_multiplying,
        low_rank_equals_the_tensor,
        low_rank_never_builds_the_tensor,
    ),
    reference=_low_rank,
    mutants={
        "should give (6, 3)": lambda *case: torch.mul(*_low_rank_parts(*case)),
        "no squeeze": lambda *case: _low_rank(*case).squeeze(),
        "with an all-zero text": _low_rank_without_one,
        "multiply, not add": _low_rank_adds,
        "multiply first, then sum over rank": _low_rank_sums_first,
        "column 0 of the factors belongs to the 1": _low_rank_one_last,
        "all pairs of features was built": _explicit_tensor,
        "with an all-zero image": _low_rank_with_one_one,
    },
    alternatives={
        "the 1 as an offset": _low_rank_with_offsets,
        "a loop over rank": _low_rank_by_rank,
        "a loop over examples, matrices": _low_rank_by_example,
    },
    hints=(
        "Project each modality to (B, R, K) first. No tensor with two feature axes is needed.",
        "[1; image] is torch.cat([ones, image], dim=1); torch.einsum('bi,rki->brk', ...) projects it.",
        "Multiply the two (B, R, K) projections element by element, then sum over the axis R.",
    ),
    difficulty=3,
    minutes=15,
)
