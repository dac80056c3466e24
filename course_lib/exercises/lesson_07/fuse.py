"""Exercise 07.1: fuse two vectors by the name of an operator."""

import torch

from course_lib.lesson.exercises import Exercise

OPERATORS = ("sum", "mean", "product", "max", "concat", "outer")


def _pair(batch=3, image_width=4, text_width=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, image_width, generator=generator), torch.randn(batch, text_width, generator=generator)


def _raises_value_error(call):
    try:
        call()
    except ValueError:
        return True
    except NotImplementedError:
        raise
    except Exception:
        return False
    return False


def fuse_returns_tensors(fuse):
    for operator in OPERATORS:
        got = fuse(*_pair(), operator)
        assert isinstance(got, torch.Tensor), f"{operator} came back as {type(got).__name__}: does every branch return?"


def fuse_takes_any_widths(fuse):
    image, text = _pair(text_width=5)
    for operator, width in {"concat": 9, "outer": 20}.items():
        assert not _raises_value_error(lambda operator=operator: fuse(image, text, operator)), (
            f"{operator} takes any widths, 4 and 5 here, and you refuse them; which operators really need equal widths?"
        )
        got = tuple(fuse(image, text, operator).shape)
        assert got == (3, width), f"{operator} of (3, 4) and (3, 5) should be (3, {width}), got {got}"


def fuse_has_values(fuse):
    image, text = torch.tensor([[2.0, -1.0]]), torch.tensor([[4.0, 3.0]])
    expected = {
        "sum": [6.0, 2.0],
        "mean": [3.0, 1.0],
        "product": [8.0, -3.0],
        "max": [4.0, 3.0],
        "concat": [2.0, -1.0, 4.0, 3.0],
        "outer": [8.0, 6.0, -4.0, -3.0],
    }
    advice = {
        "mean": "divide by the number of modalities",
        "max": "compare feature by feature, signs included",
        "concat": "image first, then text",
        "outer": "entry i * D_text + j is image_i * text_j",
    }
    for operator, values in expected.items():
        got = fuse(image, text, operator).flatten().tolist()
        assert got == values, (
            f"{operator} has the right shape but not the right values: {advice.get(operator, 'check it')}"
        )


def fuse_refuses_unequal_widths(fuse):
    image, text = _pair(image_width=4, text_width=1)
    for operator in ("sum", "mean", "product", "max"):
        refused = _raises_value_error(lambda operator=operator: fuse(image, text, operator))
        assert refused, f"{operator} of widths 4 and 1 broadcast in silence; raise ValueError when the widths differ"


def fuse_refuses_unequal_batches(fuse):
    image, text = _pair()
    for operator in OPERATORS:
        refused = _raises_value_error(lambda operator=operator: fuse(image, text[:1], operator))
        assert refused, f"{operator} of 3 images and 1 text paired one text with everyone; raise ValueError"


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


def _instead(operator, wrong):
    return lambda image, text, op: wrong(image, text) if op == operator else _fuse(image, text, op)


fuse = Exercise(
    id="07.1 fuse",
    task="Write fuse(image, text, operator): (B, D_image), (B, D_text) -> fused, for sum, mean, product, max, concat "
    "and outer. Raise ValueError where the operator cannot apply.",
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
        "signs included": _instead("max", lambda a, b: torch.where(a.abs() > b.abs(), b, a)),
        "entry i * D_text + j": _instead("outer", lambda a, b: (b[:, :, None] * a[:, None, :]).flatten(1)),
        "broadcast in silence": _fuse_without_checks,
        "paired one text with everyone": _fuse_checks_width_only,
    },
    hints=(
        "Four operators work feature by feature, two do not. Which still make sense when the widths differ?",
        "PyTorch broadcasts (3, 4) with (3, 1) and with (1, 4) without a word. Compare the shapes yourself, first.",
        "outer: image[:, :, None] * text[:, None, :] is (B, D_image, D_text); flatten it from axis 1.",
    ),
    difficulty=1,
    minutes=10,
)
