import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from course_lib import refuse


@refuse.misfit
def share_right(scores: Float[Tensor, "B K"], label: Int[Tensor, " B"], *, weight: Float[Tensor, " K"] | None = None):
    return scores.sum() + label.sum() if weight is None else (scores * weight).sum()


@refuse.misfit
def joined(
    *modalities: Float[Tensor, "B *places D"],
    mask: Bool[Tensor, "*_ D"] | None = None,
    shares: Sequence[float] | Float[Tensor, " M"] = (),
    maps: Mapping[str, Float[Tensor, "B ..."]] | None = None,
    words: Sequence[Sequence[str]] = (),
):
    return sum(modalities)


class Labelled(NamedTuple):
    scores: Float[Tensor, "B 5"]
    label: Int[Tensor, " B"]
    name: str = ""


@refuse.misfit
def gained(before: Labelled, after: Labelled, *, third: Labelled | None = None):
    return len(after.label) - len(before.label)


class Picture(nn.Module):
    @refuse.misfit
    def forward(self, image: Float[Tensor, "B 3 side side"]):
        return image * 2


LIBRARY = Path(refuse.__file__).parent
SCORES, LABEL = torch.rand(8, 5), torch.arange(8) % 5


MISFITS = {
    "label has shape (8, 1), but share_right takes (B,) with B = 8 as in scores; try label.squeeze(1)": (
        ValueError,
        lambda: share_right(SCORES, LABEL[:, None]),
    ),
    "label has shape (7,), but share_right takes (B,) with B = 8 as in scores": (
        ValueError,
        lambda: share_right(SCORES, LABEL[:7]),
    ),
    "scores has shape (5,), but share_right takes (B, K); try scores.unsqueeze(0)": (
        ValueError,
        lambda: share_right(SCORES[0], LABEL[:1]),
    ),
    "label holds float32, but share_right takes integers, (B,); if all are whole numbers, try label.long()": (
        TypeError,
        lambda: share_right(SCORES, LABEL.float()),
    ),
    "label holds float32, but share_right takes integers, (B,); try label.argmax(-1)": (
        TypeError,
        lambda: share_right(SCORES, torch.eye(5)[LABEL]),
    ),
    "label is list, but share_right takes a Tensor of integers, (B,); try torch.tensor(label)": (
        TypeError,
        lambda: share_right(SCORES, LABEL.tolist()),
    ),
    "scores is ndarray, but share_right takes a Tensor of floating-point numbers, (B, K); try torch.from_numpy(": (
        TypeError,
        lambda: share_right(SCORES.numpy(), LABEL),
    ),
    "weight has shape (4,), but share_right takes (K,) with K = 5 as in scores": (
        ValueError,
        lambda: share_right(SCORES, LABEL, weight=torch.ones(4)),
    ),
    "modalities[1] has shape (8, 6), but joined takes (B, *places, D) with B = 8 as in modalities[0], "
    "*places = () as in modalities[0], D = 5 as in modalities[0]": (
        ValueError,
        lambda: joined(SCORES, torch.rand(8, 6)),
    ),
    "modalities[1] has shape (8, 2, 5), but joined takes": (
        ValueError,
        lambda: joined(torch.rand(8, 3, 5), torch.rand(8, 2, 5)),
    ),
    "mask has shape (8, 4), but joined takes (*_, D) with D = 5": (
        ValueError,
        lambda: joined(SCORES, mask=torch.ones(8, 4, dtype=torch.bool)),
    ),
    "mask holds float32, but joined takes True and False": (
        TypeError,
        lambda: joined(SCORES, mask=torch.ones(8, 5)),
    ),
    "shares has shape (2, 1), but joined takes (M,); try shares.squeeze(1)": (
        ValueError,
        lambda: joined(SCORES, shares=torch.ones(2, 1)),
    ),
    "maps['late'] has shape (2, 5), but joined takes (B, ...) with B = 8": (
        ValueError,
        lambda: joined(SCORES, maps={"early": SCORES, "late": SCORES[:2]}),
    ),
    "words is one string, but joined takes a collection, such as a list; try [words]": (
        TypeError,
        lambda: joined(SCORES, words="red"),
    ),
    "words[1] is one string, but joined takes a collection, such as a list; try [words[1]]": (
        TypeError,
        lambda: joined(SCORES, words=[["red"], "ring"]),
    ),
    "words is int, but joined takes a collection": (TypeError, lambda: joined(SCORES, words=3)),
    "after.label has shape (8, 1), but gained takes (B,) with B = 8 as in after.scores; try after.label.squeeze(1)": (
        ValueError,
        lambda: gained(Labelled(SCORES[:7], LABEL[:7]), Labelled(SCORES, LABEL[:, None])),
    ),
    "before.scores has shape (8, 4), but gained takes (B, 5)": (
        ValueError,
        lambda: gained(Labelled(SCORES[:, :4], LABEL), Labelled(SCORES, LABEL)),
    ),
    "third is tuple, but gained takes Labelled; try Labelled(scores, label, name)": (
        TypeError,
        lambda: gained(*[Labelled(SCORES, LABEL)] * 2, third=(SCORES, LABEL)),
    ),
    "image has shape (2, 8, 8, 3), but Picture takes (B, 3, side, side); try image.movedim(-1, 1)": (
        ValueError,
        lambda: Picture()(torch.rand(2, 8, 8, 3)),
    ),
    "image has shape (2, 3, 8, 6), but Picture takes (B, 3, side, side)": (
        ValueError,
        lambda: Picture()(torch.rand(2, 3, 8, 6)),
    ),
}


@pytest.mark.parametrize("words", MISFITS)
def test_a_misfit_says_what_came_what_fits_and_what_to_try(words):
    kind, call = MISFITS[words]
    with pytest.raises(kind) as refused:
        call()
    assert str(refused.value).startswith(words)


def test_no_advice_that_moves_the_trouble_to_another_argument():
    with pytest.raises(ValueError, match=r"takes \(B, K\)$"):  # as one example it would not fit eight labels
        share_right(SCORES[:, 0], LABEL)
    with pytest.raises(
        ValueError, match=r"takes \(\*_, D\) with D = 5 as in modalities\[0\]; an nn.Linear"
    ):  # no transpose
        joined(SCORES, mask=torch.ones(5, 8, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"takes \(B, K\); try scores.unsqueeze\(0\)$"):
        share_right(SCORES[0], LABEL[:1])


def test_the_advice_works():
    tries = [(LABEL[:, None], lambda label: label.squeeze(1)), (torch.eye(5)[LABEL], lambda label: label.argmax(-1))]
    assert all(share_right(SCORES, mend(bad)) == share_right(SCORES, LABEL) for bad, mend in tries)
    assert Picture()(torch.rand(2, 8, 8, 3).movedim(-1, 1)).shape == (2, 3, 8, 8)


def test_what_fits_passes_and_python_keeps_its_own_complaints():
    joined(SCORES, SCORES, mask=torch.ones(4, 5, dtype=torch.bool), shares=[0.5], maps={}, words=[["red"]])
    assert joined() == 0
    assert gained(Labelled(SCORES[:7], LABEL[:7]), Labelled(SCORES, LABEL), third=None) == 1
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'label'"):
        share_right(SCORES)
    with pytest.raises(TypeError, match="unexpected keyword argument 'labels'"):
        share_right(SCORES, labels=LABEL)
    with pytest.raises(TypeError, match="positional arguments"):
        share_right(SCORES, LABEL, LABEL, LABEL)


def test_no_value_is_looked_at():
    assert share_right(SCORES.to("meta"), LABEL.to("meta")).is_meta
    with FakeTensorMode(), pytest.raises(ValueError, match="label has shape"):
        share_right(torch.empty(8, 5), torch.zeros(7, dtype=torch.int64))


NOTHING_LOOKED_AT = ["models", "losses/classification.py", "losses/margin.py", "losses/regression.py"]
LOOKED_AT = {"late_fusion.py": {"improbable"}}
"""Probabilities are pooled after training."""


@pytest.mark.parametrize("place", NOTHING_LOOKED_AT)
def test_a_training_step_takes_the_check_of_forms_alone(place):
    """A look at values would make every step wait for the accelerator."""
    path = LIBRARY / place
    for file in [path] if path.suffix else sorted(path.glob("*.py")):
        used = set(re.findall(r"\brefuse\.(\w+)", file.read_text(encoding="utf-8"))) - {"misfit"}
        assert used == LOOKED_AT.get(file.name, set()), file


def test_transforms_see_through_it():
    assert torch.func.grad(share_right)(SCORES, LABEL).equal(torch.ones(8, 5))
    assert torch.vmap(share_right, in_dims=(0, None))(SCORES.expand(3, 8, 5), LABEL).shape == (3,)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert share_right(SCORES @ torch.rand(5, 5), LABEL).isfinite()


COMPILED = """
import torch
from jaxtyping import Float, Int
from torch import Tensor
from course_lib import refuse

@refuse.misfit
def total(scores: Float[Tensor, "B K"], label: Int[Tensor, " B"]):
    return scores.sum() + label.sum()

scores, label = torch.rand(8, 5), torch.arange(8) % 5
whole = torch.compile(total, fullgraph=True, backend="eager")
assert all(whole(scores[:rows], label[:rows]) == total(scores[:rows], label[:rows]) for rows in (8, 5, 4))
try:
    torch.compile(total, backend="eager")(scores, label[:, None])
except ValueError as refusal:
    print(refusal)

class Doubled(torch.nn.Module):
    @refuse.misfit
    def forward(self, x: Float[Tensor, "B 3 side side"]):
        return 2 * x

batch = {"x": {0: torch.export.Dim("batch")}}
program = torch.export.export(Doubled(), (torch.rand(4, 3, 8, 8),), dynamic_shapes=batch)
assert program.module()(torch.rand(7, 3, 8, 8)).shape == (7, 3, 8, 8)
"""


def test_compiled_it_leaves_one_graph_and_still_refuses_and_exported_it_keeps_the_batch_free():
    # a process of its own: here every check is itself wrapped in the type checks of conftest.py, which break a graph
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, timeout=300)
    assert done.stdout.startswith("label has shape (8, 1), but total takes (B,) with B = 8 as in scores"), done.stderr


VALUES = {
    "2 of 40 values of score are NaN, the first at [1, 3]; leave": lambda: refuse.nan(score=spoilt(float("nan"))),
    "2 of 40 values of target are NaN or infinite, the first at [1, 3]; find": lambda: refuse.infinite(
        target=spoilt(float("inf"))
    ),
    "2 of 40 values of probability are no number within [0, 1], the first at [1, 3]": lambda: refuse.outside(
        0, 1, probability=spoilt(float("nan"))
    ),
    "prior is no distribution over classes; probabilities are 0": lambda: refuse.improbable(prior=SCORES[0] + 1),
    "8 of 8 rows of scores are no distribution over classes, the first at [0];": lambda: refuse.improbable(
        scores=SCORES + 1
    ),
    "level is nan; give a number within [0, 1]": lambda: refuse.outside(0, 1, level=float("nan")),
    "steps is 0; give a number of 1 or more": lambda: refuse.outside(1, float("inf"), steps=0),
    "level is 95; give a number within [0, 1]": lambda: refuse.outside(0, 1, level=95),
    "1 of 8 values of label is no class, at [2]; 5 classes have the numbers 0 to 4; leave": lambda: refuse.labels(
        5, label=torch.tensor([0, 1, -100, 4, 4, 4, 4, 0])
    ),
    "2 of 8 values of label are no class, the first at [3];": lambda: refuse.labels(3, label=LABEL),
    "score is empty": lambda: refuse.empty(label=LABEL, score=SCORES[:0]),
    "captions has 1, references has 2;": lambda: refuse.uneven(captions=["a"], references=["a", "b"]),
}


def spoilt(value):
    scores = SCORES.clone()
    scores[1, 3] = scores[6, 0] = value
    return scores


@pytest.mark.parametrize("words", VALUES)
def test_a_wrong_value_is_counted_and_placed(words):
    with pytest.raises(ValueError) as refused:
        VALUES[words]()
    assert str(refused.value).startswith(words)


def test_right_values_pass():
    refuse.nan(score=torch.tensor([float("inf"), 0.0]), label=LABEL)
    refuse.infinite(target=SCORES)
    refuse.outside(0, 1, probability=SCORES, level=1)
    refuse.labels(5, label=LABEL)
    refuse.empty(label=LABEL)
    refuse.uneven(label=LABEL, score=SCORES)
