"""How well boxes are found: overlap (IoU), who is matched with whom, and average precision over a ranked list (mAP).

A box is (left, top, right, bottom) in any unit of length. The figure is COCO's: at each IoU from 0.50 to 0.95, for each
class, the found boxes of all images stand in one list by score; AP is the area under its precision-recall curve; mAP is
the mean over IoUs and classes. No threshold on the score is involved, so it does not say which boxes to show.

Left out of COCO's: crowds, size ranges, and the limit of 100 boxes per image.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from course_lib import refuse

COCO_IOU = tuple((0.5 + 0.05 * torch.arange(10, dtype=torch.float64)).tolist())
"""0.50, 0.55 ... 0.95; mAP without more words is the mean over these."""


class Boxes(NamedTuple):
    """Boxes of many images, in any order."""

    image: Int[Tensor, " boxes"]
    """Number of the image that the box is in."""
    label: Int[Tensor, " boxes"]
    """Class number."""
    box: Float[Tensor, "boxes 4"]


@refuse.misfit
def box_iou(first: Float[Tensor, "first 4"], second: Float[Tensor, "second 4"]) -> Float[Tensor, "first second"]:
    """Intersection over union of every pair: area of the overlap / area that at least one of the two covers.

    Best 1; 0 for boxes that do not touch, whether they are near or far. Not linear: a square moved by a tenth of its
    side has 0.9 / 1.1 = 0.82, by a third 0.50.
    """
    _check_areas(first=first, second=second)
    low, high = torch.maximum(first[:, None, :2], second[:, :2]), torch.minimum(first[:, None, 2:], second[:, 2:])
    overlap = (high - low).clamp(min=0).prod(dim=-1)
    areas = ((box[:, 2:] - box[:, :2]).prod(dim=-1) for box in (first, second))
    return overlap / (next(areas)[:, None] + next(areas) - overlap)


@refuse.misfit
def find_hits(found: Boxes, score: Float[Tensor, " found"], truth: Boxes, *, iou: float) -> Bool[Tensor, " found"]:
    """Which found boxes are hits: from the highest score down, each takes the free true box that it overlaps most.

    Same image, same class, IoU of at least `iou`. A true box is taken once, so a second box on one object is a false
    alarm, however well it fits, unless another free one is near enough: then it takes that.
    """
    refuse.outside(0, 1, iou=iou)
    refuse.nan(score=score)
    refuse.uneven(found=found.box, score=score)
    _check_areas(found=found.box, truth=truth.box)
    overlap = box_iou(found.box, truth.box)
    same = (found.image[:, None] == truth.image) & (found.label[:, None] == truth.label)
    overlap = torch.where(same & (overlap >= iou), overlap, -1.0)
    hit = torch.zeros(len(score), dtype=torch.bool)
    for row in score.argsort(descending=True, stable=True).tolist() if len(truth.box) else []:
        best = int(overlap[row].argmax())
        if overlap[row, best] >= 0:
            hit[row] = True
            overlap[:, best] = -1.0  # taken
    return hit


@refuse.misfit
def ranked_average_precision(hit: Bool[Tensor, " found"], score: Float[Tensor, " found"], truths: int) -> float:
    """COCO's AP of a ranked list: mean over the recalls 0, 0.01 ... 1 of the best precision at that recall or beyond.

    truths: how many boxes there were to find; those never found count as recall that is not reached, with precision
    0. Best 1; a list without a hit has 0.
    """
    refuse.outside(1, float("inf"), truths=truths)
    refuse.nan(score=score)
    hits = hit[score.argsort(descending=True, stable=True)].double().cumsum(0)
    precision = hits / torch.arange(1, len(hits) + 1)
    envelope = precision.flip(0).cummax(0).values.flip(0) if len(hits) else precision
    wanted = torch.linspace(0, 1, 101, dtype=torch.float64)
    first = torch.searchsorted(hits / truths, wanted)  # the first rank that reaches this recall
    reached = first < len(hits)
    return (envelope[first[reached]].sum() / 101).item()


@refuse.misfit
def mean_average_precision(
    found: Boxes, score: Float[Tensor, " found"], truth: Boxes, *, ious: Sequence[float] = COCO_IOU
) -> float:
    """Mean of `ranked_average_precision` over the classes that occur in `truth`, and over `ious`.

    ious=(0.5,) is AP50. Chance is about 0. Lin et al. (2014), arXiv:1405.0312.
    """
    refuse.empty(truth=truth.label, ious=ious)
    values = []
    for iou in ious:
        hit = find_hits(found, score, truth, iou=iou)
        for label in truth.label.unique().tolist():
            own, truths = found.label == label, int((truth.label == label).sum())
            values.append(ranked_average_precision(hit[own], score[own], truths))
    return sum(values) / len(values)


def _check_areas(**boxes: Float[Tensor, "_ 4"]) -> None:
    for name, box in boxes.items():
        refuse.infinite(**{name: box})
        if (box[:, 2:] <= box[:, :2]).any():
            raise ValueError(f"{name} holds a box without area; give (left, top, right, bottom), not width and height")
