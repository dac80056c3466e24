"""Boxes by hand, IoU against torchvision, mAP against what COCO's own code says of the same boxes."""

import pytest
import torch

from course_lib.metrics.detection import Boxes, box_iou, find_hits, mean_average_precision, ranked_average_precision

COCO_SAYS = {
    0: [0.2322105044, 0.4539053905, 0.1905773911],
    1: [0.1954786193, 0.4245585273, 0.1214135699],
    2: [0.2272336001, 0.4577162757, 0.1341635669],
}
"""Seed of `world` to mAP, AP50 and AP75 of pycocotools 2.0.11, COCOeval(iouType="bbox"), area range "all"."""


def world(seed):
    """40 true boxes of three classes in 12 images; two thirds found with a jitter, some twice; 30 inventions."""
    random = torch.Generator().manual_seed(seed)

    def boxes(count):
        corner = 100 * torch.rand(count, 2, generator=random, dtype=torch.float64)
        return torch.cat([corner, corner + 10 + 40 * torch.rand(count, 2, generator=random, dtype=torch.float64)], 1)

    truth = Boxes(torch.randint(12, (40,), generator=random), torch.randint(3, (40,), generator=random), boxes(40))
    again = torch.randint(40, (38,), generator=random)
    jitter = 2.5 * torch.randn(38, 4, generator=random, dtype=torch.float64)
    found = Boxes(
        torch.cat([truth.image[again], torch.randint(12, (30,), generator=random)]),
        torch.cat([truth.label[again], torch.randint(3, (30,), generator=random)]),
        torch.cat([truth.box[again] + jitter, boxes(30)]),
    )
    score = torch.rand(68, generator=random, dtype=torch.float64) + 0.3 * (torch.arange(68) < 38)
    return found, score, truth


def image_of(*boxes, label=0):
    return Boxes(
        torch.zeros(len(boxes), dtype=torch.int64), torch.full((len(boxes),), label), torch.tensor(boxes).float()
    )


@pytest.mark.parametrize("shift, expected", [(0, 1), (1, 9 / 11), (10 / 3, 0.5), (10, 0), (50, 0)])
def test_iou_of_a_moved_square(shift, expected):
    square = torch.tensor([[0.0, 0, 10, 10]])
    moved = square + torch.tensor([shift, 0, shift, 0])
    assert box_iou(square, moved).item() == pytest.approx(expected, abs=1e-6)


def test_iou_is_torchvision_s():
    from course_lib.compat import ensure_torchvision

    ensure_torchvision()
    from torchvision.ops import box_iou as theirs

    found, _, truth = world(0)
    mine = box_iou(found.box, truth.box)
    assert mine.shape == (68, 40) and (mine > 0).any()
    torch.testing.assert_close(mine, theirs(found.box, truth.box))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_map_is_coco_s(seed):
    found, score, truth = world(seed)
    mine = [mean_average_precision(found, score, truth, **which) for which in ({}, {"ious": (0.5,)}, {"ious": (0.75,)})]
    assert mine == pytest.approx(COCO_SAYS[seed], abs=1e-6)


def test_average_precision_by_hand():
    """Hit, miss, hit of four to find: precision 1 up to recall 1/4, 2/3 up to 1/2, then nothing."""
    hit, score = torch.tensor([True, True, False]), torch.tensor([0.9, 0.5, 0.7])
    recalls = [k / 100 for k in range(101)]
    expected = sum(1 if r <= 0.25 else 2 / 3 if r <= 0.5 else 0 for r in recalls) / 101
    assert ranked_average_precision(hit, score, truths=4) == pytest.approx(expected)
    assert ranked_average_precision(hit[:0], score[:0], truths=4) == 0


def test_an_object_is_found_once():
    truth, found = image_of((0, 0, 10, 10)), image_of((0, 0, 10, 10), (0, 0, 10, 9), (50, 50, 60, 60))
    assert find_hits(found, torch.tensor([0.2, 0.9, 0.5]), truth, iou=0.5).tolist() == [False, True, False]
    assert find_hits(found, torch.tensor([0.9, 0.2, 0.5]), truth, iou=0.5).tolist() == [True, False, False]


def test_a_second_box_takes_the_next_object_if_that_is_near_enough():
    """As in COCO's code: a box looks at the free true boxes only, not at the best one and then whether it is free."""
    truth, found = image_of((0, 0, 10, 10), (2, 0, 12, 10)), image_of((0, 0, 10, 10), (0, 0, 10, 10))
    assert find_hits(found, torch.tensor([0.9, 0.5]), truth, iou=0.5).tolist() == [True, True]
    assert find_hits(found, torch.tensor([0.9, 0.5]), truth, iou=0.7).tolist() == [True, False]


def test_image_and_class_must_agree():
    truth, found = image_of((0, 0, 10, 10)), image_of((0, 0, 10, 10), label=1)
    assert not find_hits(found, torch.tensor([0.9]), truth, iou=0.5).any()
    elsewhere = truth._replace(image=torch.tensor([7]))
    assert not find_hits(elsewhere, torch.tensor([0.9]), truth, iou=0.5).any()
    assert mean_average_precision(truth, torch.tensor([0.9]), truth) == pytest.approx(1)


def test_inventions_below_all_hits_cost_nothing_and_above_them_much():
    found, score, truth = world(0)
    score = torch.where(torch.arange(68) < 38, score, score - 2)
    alone = found._replace(**{name: part[:38] for name, part in found._asdict().items()})
    few = mean_average_precision(alone, score[:38], truth)
    assert mean_average_precision(found, score, truth) == pytest.approx(few)
    assert mean_average_precision(found, score + 4 * (torch.arange(68) >= 38), truth) < 0.8 * few


def test_what_is_no_box_is_refused():
    with pytest.raises(ValueError, match=r"second holds a box without area; give \(left, top, right, bottom\)"):
        box_iou(torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([[5.0, 5, 2, 2]]))
    truth, flat = image_of((0, 0, 10, 10)), image_of((0, 0, 10, 0))
    uneven = truth._replace(label=torch.tensor([0, 1]))
    for call in (find_hits, mean_average_precision):
        which = {"iou": 0.5} if call is find_hits else {}
        with pytest.raises(ValueError, match=r"found.label has shape \(2,\), .* with boxes = 1 as in found.image$"):
            call(uneven, torch.tensor([0.9]), truth, **which)
        with pytest.raises(TypeError, match=r"found is tuple, but .* takes Boxes; try Boxes\(image, label, box\)"):
            call(tuple(truth), torch.tensor([0.9]), truth, **which)
        with pytest.raises(ValueError, match="truth holds a box without area"):
            call(truth, torch.tensor([0.9]), flat, **which)
        with pytest.raises(ValueError, match="NaN"):
            call(truth, torch.tensor([float("nan")]), truth, **which)
    with pytest.raises(ValueError, match="found has 1, score has 2"):
        find_hits(truth, torch.tensor([0.9, 0.1]), truth, iou=0.5)
