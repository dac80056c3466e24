"""Exercise 07.1: fuse two vectors by the name of an operator."""

import torch

from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close

OPERATORS = ("sum", "mean", "product", "max", "concat", "outer")


def _pair(batch=3, image_width=4, text_width=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, image_width, generator=generator), torch.randn(batch, text_width, generator=generator)


def _refusal(call):
    """Name of the error that a call raises; None when it accepts."""
    try:
        call()
    except NotImplementedError:
        raise
    except Exception as error:
        return type(error).__name__
    return None


def fuse_returns_tensors(fuse):
    for operator in OPERATORS:
        got = fuse(*_pair(), operator)
        assert isinstance(got, torch.Tensor), f"{operator} came back as {type(got).__name__}: does every branch return?"


def fuse_takes_any_widths(fuse):
    image, text = _pair(text_width=5)
    for operator, width in {"concat": 9, "outer": 20}.items():
        assert _refusal(lambda operator=operator: fuse(image, text, operator)) != "ValueError", (
            f"{operator} takes any widths, 4 and 5 here, and you refuse them; which operators really need equal widths?"
        )
        got = tuple(fuse(image, text, operator).shape)
        assert got == (3, width), f"{operator} of (3, 4) and (3, 5) should be (3, {width}), got {got}"


def fuse_has_values(fuse):
    image, text = torch.tensor([[2.5, -1.0, -5.0]]), torch.tensor([[4.0, 3.5, -2.0]])
    expected = {
        "sum": [6.5, 2.5, -7.0],
        "mean": [3.25, 1.25, -3.5],
        "product": [10.0, -3.5, 10.0],
        "max": [4.0, 3.5, -2.0],
        "concat": [2.5, -1.0, -5.0, 4.0, 3.5, -2.0],
        "outer": [10.0, 8.75, -5.0, -4.0, -3.5, 2.0, -20.0, -17.5, 10.0],
    }
    advice = {
        "mean": "divide by the number of modalities",
        "max": "compare feature by feature, signs included",
        "concat": "image first, then text",
        "outer": "entry i * D_text + j is image_i * text_j",
    }
    for operator, values in expected.items():
        got = fuse(image, text, operator)
        assert close(got.flatten(), values), (
            f"{operator} has the right shape but not the right values: {advice.get(operator, 'check it')}"
        )
        more = fuse(torch.cat([torch.zeros(1, 3), image]), torch.cat([torch.ones(1, 3), text]), operator)
        assert close(more[1:], got), f"{operator} of one example depends on the other examples of the batch"


def fuse_refuses_unequal_widths(fuse):
    for image_width, text_width in ((4, 1), (1, 4), (4, 3)):
        image, text = _pair(image_width=image_width, text_width=text_width)
        for operator in ("sum", "mean", "product", "max"):
            error = _refusal(lambda operator=operator, image=image, text=text: fuse(image, text, operator))
            widths = f"{operator} of widths {image_width} and {text_width}"
            assert error, f"{widths} broadcast in silence; raise ValueError when the widths differ"
            assert error == "ValueError", f"{widths} ended in {error}; raise ValueError yourself, before torch fails"


def fuse_refuses_unequal_batches(fuse):
    image, text = _pair()
    for images, texts in ((3, 1), (1, 3), (3, 2)):
        for operator in OPERATORS:
            error = _refusal(lambda operator=operator, i=images, t=texts: fuse(image[:i], text[:t], operator))
            batch = f"{operator} of a batch of {images} image{'s' * (images > 1)} and {texts} text{'s' * (texts > 1)}"
            assert error, f"{batch} paired one with everyone in silence; raise ValueError"
            assert error == "ValueError", (
                f"{batch} ended in {error}; raise ValueError with both counts, before torch fails"
            )


def _fuse(image, text, operator):
    if len(image) != len(text):
        raise ValueError(f"{len(image)} images and {len(text)} texts are not pairs")
    if operator == "concat":
        return torch.cat([image, text], dim=-1)
    if operator == "outer":
        return (image[:, :, None] * text[:, None, :]).flatten(1)
    if image.shape != text.shape:
        raise ValueError(f"{operator} needs equal widths, got {image.shape[-1]} and {text.shape[-1]}")
    elementwise = {"sum": torch.add, "product": torch.mul, "max": torch.maximum}
    return (image + text) / 2 if operator == "mean" else elementwise[operator](image, text)


def _fuse_refuses_all_unequal(image, text, operator):
    if image.shape != text.shape:
        raise ValueError("shapes differ")
    return _fuse(image, text, operator)


def _fuse_without_checks(image, text, operator):
    if operator in ("concat", "outer"):
        return _fuse(image, text, operator)
    elementwise = {"sum": torch.add, "product": torch.mul, "max": torch.maximum}
    return (image + text) / 2 if operator == "mean" else elementwise[operator](image, text)


def _fuse_checks_width_only(image, text, operator):
    if operator in ("concat", "outer"):
        text = text.expand(len(image), -1)
        return _fuse(image, text, operator)
    if image.shape[-1] != text.shape[-1]:
        raise ValueError("widths differ")
    return _fuse(image, text.expand(len(image), -1), operator)


def _fuse_leaves_widths_to_torch(image, text, operator):
    if len(image) != len(text):
        raise ValueError("not pairs")
    if operator not in ("concat", "outer") and 1 in (image.shape[1], text.shape[1]) and image.shape != text.shape:
        raise ValueError("a width of 1 would broadcast")
    return _fuse_without_checks(image, text, operator)


def _fuse_leaves_batches_to_torch(image, text, operator):
    if operator in ("concat", "outer"):
        return torch.cat([image, text], dim=-1) if operator == "concat" else _outer_by_einsum(image, text)
    return _fuse(image, text, operator)


def _outer_by_einsum(image, text):
    return torch.einsum("bi,bj->bij", image, text).flatten(1)


def _instead(operator, wrong):
    return lambda image, text, op: wrong(image, text) if op == operator else _fuse(image, text, op)


def _fuse_by_table(image, text, operator):
    (batch, width), (others, text_width) = image.shape, text.shape
    table = {
        "sum": lambda: image.add(text),
        "mean": lambda: torch.stack([image, text]).mean(0),
        "product": lambda: torch.einsum("bd,bd->bd", image, text),
        "max": lambda: text + (image - text).relu(),
        "concat": lambda: torch.hstack((image, text)),
        "outer": lambda: torch.bmm(image.unsqueeze(2), text.unsqueeze(1)).reshape(batch, width * text_width),
    }
    if batch != others or (operator not in ("concat", "outer") and width != text_width):
        raise ValueError
    return table[operator]()


class _FuseByRows:
    def __call__(self, image, text, operator):
        pairs = list(zip(image.double(), text.double(), strict=True))
        return torch.stack([getattr(self, f"_{operator}")(*self.equal(operator, a, b)) for a, b in pairs])

    def equal(self, operator, a, b):
        if operator not in ("concat", "outer") and a.numel() != b.numel():
            raise ValueError(f"{a.numel()} is not {b.numel()}")
        return a, b

    def _sum(self, a, b):
        return a + b

    def _mean(self, a, b):
        return 0.5 * a + 0.5 * b

    def _product(self, a, b):
        return a * b

    def _max(self, a, b):
        return torch.where(b > a, b, a)

    def _concat(self, a, b):
        return torch.tensor([*a, *b])

    def _outer(self, a, b):
        return torch.kron(a, b)


fuse = Exercise(
    id="07.1 fuse",
    task="Write fuse(image, text, operator): (B, D_image), (B, D_text) -> fused, for sum, mean, product, max, concat "
    "and outer. Raise ValueError where the operator cannot apply: other batches, or widths that it needs equal.",
    stages=(
        fuse_returns_tensors,
        fuse_takes_any_widths,
        fuse_has_values,
        fuse_refuses_unequal_widths,
        fuse_refuses_unequal_batches,
    ),
    reference=_fuse,
    mutants={
        "does every branch return": lambda image, text, operator: (
            _fuse(image, text, operator) if operator != "outer" else None
        ),
        "takes any widths": _fuse_refuses_all_unequal,
        "concat of (3, 4) and (3, 5) should be (3, 9)": _instead(
            "concat", lambda a, b: torch.cat([a, b[:, :4]], dim=0)
        ),
        "divide by the number of modalities": _instead("mean", lambda a, b: a + b),
        "image first, then text": _instead("concat", lambda a, b: torch.cat([b, a], dim=-1)),
        "signs included": _instead("max", lambda a, b: torch.where(a.abs() > b.abs(), a, b)),
        "entry i * D_text + j": _instead("outer", lambda a, b: (b[:, :, None] * a[:, None, :]).flatten(1)),
        "broadcast in silence": _fuse_without_checks,
        "paired one with everyone": _fuse_checks_width_only,
        "depends on the other examples": _instead("mean", lambda a, b: (a + b) / (len(a) + 1)),
        "ended in RuntimeError; raise ValueError yourself": _fuse_leaves_widths_to_torch,
        "with both counts": _fuse_leaves_batches_to_torch,
    },
    alternatives={
        "a table of functions": _fuse_by_table,
        "a class, row by row": _FuseByRows(),
    },
    hints=(
        "Four operators work feature by feature, two do not. Which still make sense when the widths differ?",
        "PyTorch broadcasts (3, 4) with (3, 1) and with (1, 4) without a word. Compare the shapes yourself, first.",
        "outer: image[:, :, None] * text[:, None, :] is (B, D_image, D_text); flatten it from axis 1.",
    ),
    difficulty=1,
    minutes=10,
)
