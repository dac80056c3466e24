"""Exercise 29.3: a deletion curve."""

import torch

from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close

WORTH = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.0])


def _worth(x):
    """Each feature counts by a different amount, so every order of deletion gives another curve."""
    return x @ WORTH.to(x)


def deletion_starts_whole_and_ends_empty(deletion_curve):
    got = deletion_curve(_worth, torch.ones(2, 5), WORTH.expand(2, 5))
    assert isinstance(got, torch.Tensor) and got.shape == (2, 6), (
        "5 features give 6 scores, from nothing deleted to everything deleted: a tensor of shape (B, D + 1)"
    )
    assert not close(got[:, 0], [0, 0]), (
        "the first score is that of an empty x: a list of one tensor that changes in place holds its last state "
        "everywhere; take the score, or a clone, at each step"
    )
    assert not close(got, 15 * torch.ones(2, 6)), "nothing was lost: what goes is set to 0, not to a mean of the batch"
    assert close(got[:, 0], [15, 15]), (
        "the curve starts at the score of the whole x, here 15: nothing deleted yet, no dividing by the first value, "
        "which hides that one model was surer than another"
    )


def deletion_goes_from_the_top(deletion_curve):
    got = deletion_curve(_worth, torch.ones(2, 5), WORTH.expand(2, 5))
    assert close(got[0, 1], 7), (
        "the first to go is the feature with the highest importance, signed: negative ones go last"
    )
    assert close(got[0], [15, 7, 3, 1, 0, 0]), "what is deleted stays deleted: each step adds one more to those gone"
    importance = torch.tensor([[-9.0, 4, 2, 1, 0], [1, 4, 2, 3, 0]])
    got = deletion_curve(_worth, torch.ones(2, 5), importance)
    assert not close(got[0], [15, 15, 7, 3, 1, 0]), (
        "argsort gives places, not ranks: order[:, k] is the feature that goes at step k. To compare with k, sort twice"
    )
    assert close(got[0, 1], 11), (
        "a strongly negative importance speaks against the answer: it goes last, so sort signed values"
    )
    assert close(got[1], [15, 11, 10, 8, 0, 0]), "every example has its own order; sort along axis 1"


def deletion_follows_importance_alone(deletion_curve):
    """Values of x of all sizes and signs, and a score in which features act together."""
    draw = torch.Generator().manual_seed(0)
    x, importance = torch.randn(3, 6, generator=draw), torch.randn(3, 6, generator=draw)
    x[:, 2], x[1, 4] = 0.0, 0.0  # deleting these changes no score, and still is a step

    def score(z):
        return (z * WORTH.new_tensor([1.0, 2, 4, 8, 16, 32]).to(z)).sum(1) + 3 * z[:, 0] * z[:, 5]

    due = []
    for values, worth in zip(x.tolist(), importance.tolist(), strict=True):
        row, left = [score(torch.tensor([values]))], list(values)
        for place in sorted(range(6), key=lambda place, worth=worth: -worth[place]):
            left[place] = 0.0
            row.append(score(torch.tensor([left])))
        due.append(torch.cat(row))
    assert close(deletion_curve(score, x, importance), torch.stack(due)), (
        "with x of all sizes another feature went first: the order is that of `importance` alone, not of importance "
        "times x nor of what the score loses, and what goes is set to 0"
    )


def _delete(order=lambda importance: importance.argsort(dim=1, descending=True, stable=True)):
    def deletion_curve(score, x, importance):
        x, places, scores = x.clone(), order(importance), [score(x)]
        for k in range(x.shape[1]):
            x = x.scatter(1, places[:, k : k + 1], 0.0)
            scores.append(score(x))
        return torch.stack(scores, dim=1)

    return deletion_curve


def _delete_in_place(score, x, importance):
    curve = _delete()(score, x, importance)
    x.zero_()
    return curve


def _normalised(score, x, importance):
    curve = _delete()(score, x, importance)
    return curve / curve[:, :1]


def _one_at_a_time(score, x, importance):
    places = importance.argsort(dim=1, descending=True, stable=True)
    alone = [score(x.scatter(1, places[:, k : k + 1], 0.0)) for k in range(x.shape[1])]
    return torch.stack([score(x), *alone], dim=1)


def _by_places(score, x, importance):
    order = importance.argsort(dim=1, descending=True)
    return torch.stack([score(x.masked_fill(order < k, 0.0)) for k in range(x.shape[1] + 1)], dim=1)


def _one_tensor(score, x, importance):
    x, order = x.clone(), importance.argsort(dim=1, descending=True)
    states = [x] + [x.scatter_(1, order[:, k : k + 1], 0.0) for k in range(x.shape[1])]
    return torch.stack([score(state) for state in states], dim=1)


def _filled_with_the_mean(score, x, importance):
    rank, mean = importance.argsort(1, descending=True).argsort(1), x.mean(dim=0).expand_as(x)
    return torch.stack([score(torch.where(rank < k, mean, x)) for k in range(x.shape[1] + 1)], dim=1)


def _delete_by_masks(score, x, importance):
    rank = importance.argsort(1, descending=True).argsort(1)
    steps = torch.arange(x.shape[1] + 1)
    kept = rank[None] >= steps[:, None, None]  # (D + 1, B, D)
    return score((kept * x).flatten(0, 1)).unflatten(0, (len(steps), -1)).T


def _delete_by_example(score, x, importance):
    rows = []
    for values, worth in zip(x, importance.tolist(), strict=True):
        row, values = [score(values[None])[0]], values.clone()
        for _, place in sorted(((w, place) for place, w in enumerate(worth)), reverse=True):
            values[place] = 0
            row.append(score(values[None].clone())[0])
        rows.append(torch.stack(row))
    return torch.stack(rows)


deletion_curve = Exercise(
    id="29.3 deletion_curve",
    task="Write deletion_curve(score, x, importance): (B, D), (B, D) -> (B, D + 1). Set the most important "
    "feature to 0, then the next, and so on; note the score before the first and after each.",
    stages=(
        deletion_starts_whole_and_ends_empty,
        deletion_goes_from_the_top,
        deletion_follows_importance_alone,
    ),
    reference=_delete(),
    mutants={
        "changed its argument `x`": _delete_in_place,
        "5 features give 6 scores": lambda score, x, importance: _delete()(score, x, importance)[:, 1:],
        "highest importance": _delete(lambda importance: importance.argsort(dim=1, stable=True)),
        "speaks against the answer": _delete(lambda importance: importance.abs().argsort(dim=1, descending=True)),
        "every example has its own order": _delete(
            lambda importance: importance[:1].argsort(dim=1, descending=True).expand(len(importance), -1)
        ),
        "dividing by the first value": _normalised,
        "argsort gives places, not ranks": _by_places,
        "holds its last state": _one_tensor,
        "not to a mean of the batch": _filled_with_the_mean,
        "stays deleted": _one_at_a_time,
        "not of importance times x": lambda score, x, importance: _delete()(score, x, importance * x),
    },
    alternatives={
        "a mask for every step": _delete_by_masks,
        "example by example, a list": _delete_by_example,
    },
    hints=(
        "argsort along axis 1, descending, gives each example its own order of deletion.",
        "Work on x.clone(). After k deletions the k most important features of each row are 0.",
        "x = x.scatter(1, order[:, k : k + 1], 0.0) deletes one feature a row; collect score(x) and stack on axis 1.",
    ),
    difficulty=2,
    minutes=10,
)
