"""Exercises of lesson 29: integrated gradients, attention rollout, a deletion curve, the pointing game."""

import torch

from course_lib.lesson.exercises import Exercise


def _normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- 29.1 integrated_gradients --------------------------------------------------------------------------------------


def _cubic(x):
    """Σ of cubes: the gradient changes along the path, and the truth is x³ - baseline³ per feature."""
    return (x**3).sum(dim=1)


def ig_keeps_shape(integrated_gradients):
    x, baseline = _normal(3, 5), _normal(3, 5, seed=1)
    got = integrated_gradients(_cubic, x, baseline, 20)
    assert isinstance(got, torch.Tensor) and got.shape == x.shape, (
        "one contribution per feature: the result has the shape of x; what came back has not"
    )


def ig_uses_the_difference(integrated_gradients):
    x, baseline = _normal(3, 5), _normal(3, 5, seed=1)
    weight = _normal(5, seed=2)
    got = integrated_gradients(lambda z: z @ weight, x, baseline, 20)
    assert torch.allclose(got, (x - baseline) * weight), (
        "on a linear score a feature is worth weight times (x - baseline); multiply the mean gradient by the difference"
    )


def ig_walks_the_path(integrated_gradients):
    x, baseline = 1 + _normal(3, 5).abs(), torch.zeros(3, 5, dtype=torch.float64)
    got = integrated_gradients(_cubic, x, baseline, 100)
    assert not torch.allclose(got, 3 * x**3, rtol=0.05), (
        "the gradient was taken at x only; average it over points between the baseline and x"
    )
    assert not torch.allclose(got, torch.zeros_like(x)), (
        "the gradient was taken at the baseline only; average it over points between the baseline and x"
    )


def ig_takes_the_middle(integrated_gradients):
    x, baseline = 1 + _normal(3, 5).abs(), torch.zeros(3, 5, dtype=torch.float64)
    got = integrated_gradients(_cubic, x, baseline, 10)
    assert torch.allclose(got, x**3, rtol=0.01), (
        "10 steps are off by more than 1 %: take the middle of each step, (k + 1/2) / steps, not one of its ends"
    )


def ig_starts_at_the_baseline(integrated_gradients):
    x, baseline = 1 + _normal(3, 5).abs(), _normal(3, 5, seed=1)
    got = integrated_gradients(_cubic, x, baseline, 100)
    assert torch.allclose(got, x**3 - baseline**3, rtol=0.01, atol=0.01), (
        "wrong as soon as the baseline is not 0: the points are baseline + share * (x - baseline), not share * x"
    )


def _path_gradient(score, x, baseline, share):
    point = (baseline + share * (x - baseline)).detach().requires_grad_()
    return torch.autograd.grad(score(point).sum(), point)[0]


def _integrated(shares, times_difference=True):
    def integrated_gradients(score, x, baseline, steps):
        mean = sum(_path_gradient(score, x, baseline, share) for share in shares(steps)) / len(shares(steps))
        return mean * (x - baseline) if times_difference else mean

    return integrated_gradients


def _from_zero(score, x, baseline, steps):
    mean = sum(_path_gradient(score, x, torch.zeros_like(x), share) for share in _middles(steps)) / steps
    return mean * (x - baseline)


def _middles(steps):
    return [(k + 0.5) / steps for k in range(steps)]


integrated_gradients = Exercise(
    id="29.1 integrated_gradients",
    task="Write integrated_gradients(score, x, baseline, steps): (B, D) -> (B, D). score maps (B, D) to (B,). Average "
    "the gradient over the middles of `steps` equal steps from the baseline to x, times (x - baseline).",
    stages=(
        ig_keeps_shape,
        ig_uses_the_difference,
        ig_walks_the_path,
        ig_takes_the_middle,
        ig_starts_at_the_baseline,
    ),
    reference=_integrated(_middles),
    mutants={
        "the result has the shape of x": lambda score, x, baseline, steps: _integrated(_middles)(
            score, x, baseline, steps
        ).sum(dim=1),
        "multiply the mean gradient by the difference": _integrated(_middles, times_difference=False),
        "taken at x only": _integrated(lambda steps: [1.0]),
        "taken at the baseline only": _integrated(lambda steps: [0.0]),
        "take the middle of each step": _integrated(lambda steps: [k / steps for k in range(steps)]),
        "as soon as the baseline is not 0": _from_zero,
    },
    hints=(
        "Walk in a straight line from the baseline to x. What does the gradient say at each point on the way?",
        "point = baseline + share * (x - baseline), with share = (k + 0.5) / steps; "
        "torch.autograd.grad(score(point).sum(), point)[0] is one gradient for every example.",
        "Sum the gradients of all points, divide by steps, multiply by (x - baseline). point needs .detach() and "
        ".requires_grad_().",
    ),
    difficulty=2,
    minutes=12,
)

# --- 29.2 attention_rollout -----------------------------------------------------------------------------------------


def _maps(layers=3, batch=2, heads=4, length=5):
    return [_normal(batch, heads, length, length, seed=seed).mul(2).softmax(dim=-1).float() for seed in range(layers)]


def rollout_has_one_matrix(attention_rollout):
    got = attention_rollout(_maps())
    assert isinstance(got, torch.Tensor) and got.shape == (2, 5, 5), (
        "one (S, S) matrix an example should come back, heads averaged and layers multiplied"
    )
    assert torch.allclose(got.sum(dim=-1), torch.ones(2, 5)), (
        "rows should still sum to 1: mix identity and attention half and half"
    )


def rollout_keeps_the_residual(attention_rollout):
    reads_first = torch.zeros(1, 2, 3, 3)
    reads_first[..., 0] = 1
    got = attention_rollout([reads_first])
    assert got[0, 2, 2].item() > 0.4, (
        "token 2 lost itself after one layer: the residual carries half of every token past the attention"
    )


def rollout_multiplies(attention_rollout):
    first, second = _maps(2)
    got = attention_rollout([first, second])
    mixed = [0.5 * torch.eye(5) + 0.5 * each.mean(dim=1) for each in (first, second)]
    assert not torch.allclose(got, (mixed[0] + mixed[1]) / 2), (
        "the layers were averaged; what layer 2 reads has already been mixed by layer 1: multiply"
    )
    assert not torch.allclose(got, mixed[0] @ mixed[1]), (
        "the product is in reverse order: later layers read earlier ones, so they stand on the left"
    )
    assert torch.allclose(got, mixed[1] @ mixed[0]), "two layers: (½I + ½A₂)(½I + ½A₁) with the mean of heads as A"


def _rolled(residual=0.5, join=lambda rolled, mixed: mixed @ rolled):
    def attention_rollout(maps):
        rolled = None
        for weights in maps:
            eye = torch.eye(weights.shape[-1], dtype=weights.dtype)
            mixed = residual * eye + (1 - residual) * weights.mean(dim=1)
            rolled = mixed if rolled is None else join(rolled, mixed)
        return rolled

    return attention_rollout


attention_rollout = Exercise(
    id="29.2 attention_rollout",
    task="Write attention_rollout(maps): a list of (B, H, S, S), first layer first -> (B, S, S). Average heads, mix "
    "half identity and half attention in each layer, follow the layers from input to output.",
    stages=(rollout_has_one_matrix, rollout_keeps_the_residual, rollout_multiplies),
    reference=_rolled(),
    mutants={
        "heads averaged and layers multiplied": lambda maps: torch.stack([_rolled()([each]) for each in maps]),
        "rows should still sum to 1": lambda maps: _rolled()(maps) * 2,
        "the residual carries half": _rolled(residual=0.0),
        "the layers were averaged": lambda maps: torch.stack([_rolled()([each]) for each in maps]).mean(dim=0),
        "in reverse order": _rolled(join=lambda rolled, mixed: rolled @ mixed),
        "with the mean of heads": lambda maps: (
            _rolled()([each.max(dim=1, keepdim=True).values for each in maps])
            / _rolled()([each.max(dim=1, keepdim=True).values for each in maps]).sum(dim=-1, keepdim=True)
        ),
    },
    hints=(
        "Rows read columns. If output 0 reads token 3 of layer 1, whom did token 3 read before?",
        "One layer is ½ I + ½ mean over heads. Two layers are a matrix product; which of them touches the input?",
        "rolled = mixed @ rolled, starting with the first layer's mixed matrix.",
    ),
    difficulty=1,
    minutes=8,
)

# --- 29.3 deletion_curve --------------------------------------------------------------------------------------------

WORTH = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.0])


def _worth(x):
    """Each feature counts by a different amount, so every order of deletion gives another curve."""
    return x @ WORTH.to(x)


def deletion_leaves_x_alone(deletion_curve):
    x = torch.ones(2, 5)
    deletion_curve(_worth, x, WORTH.expand(2, 5))
    assert torch.equal(x, torch.ones(2, 5)), "x was changed: delete in a copy, the caller needs x for the next method"


def deletion_starts_whole_and_ends_empty(deletion_curve):
    got = deletion_curve(_worth, torch.ones(2, 5), WORTH.expand(2, 5))
    assert isinstance(got, torch.Tensor) and got.shape == (2, 6), (
        "5 features give 6 scores, from nothing deleted to everything deleted: a tensor of shape (B, D + 1)"
    )
    assert got[:, 0].tolist() == [15, 15], (
        "the curve starts at the score of the whole x, here 15: nothing deleted yet, no dividing by the first value, "
        "which hides that one model was surer than another"
    )


def deletion_goes_from_the_top(deletion_curve):
    got = deletion_curve(_worth, torch.ones(2, 5), WORTH.expand(2, 5))
    assert got[0, 1].item() == 7, (
        "the first to go is the feature with the highest importance, signed: negative ones go last"
    )
    assert got[0].tolist() == [15, 7, 3, 1, 0, 0], (
        "what is deleted stays deleted: each step adds one more to those gone"
    )
    importance = torch.tensor([[-9.0, 4, 2, 1, 0], [1, 4, 2, 3, 0]])
    got = deletion_curve(_worth, torch.ones(2, 5), importance)
    assert got[0, 1].item() == 11, (
        "a strongly negative importance speaks against the answer: it goes last, so sort signed values"
    )
    assert got[1].tolist() == [15, 11, 10, 8, 0, 0], "every example has its own order; sort along axis 1"


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


deletion_curve = Exercise(
    id="29.3 deletion_curve",
    task="Write deletion_curve(score, x, importance): (B, D), (B, D) -> (B, D + 1). Set the most important "
    "feature to 0, then the next, and so on; note the score before the first and after each.",
    stages=(
        deletion_leaves_x_alone,
        deletion_starts_whole_and_ends_empty,
        deletion_goes_from_the_top,
    ),
    reference=_delete(),
    mutants={
        "x was changed": _delete_in_place,
        "5 features give 6 scores": lambda score, x, importance: _delete()(score, x, importance)[:, 1:],
        "highest importance": _delete(lambda importance: importance.argsort(dim=1, stable=True)),
        "speaks against the answer": _delete(lambda importance: importance.abs().argsort(dim=1, descending=True)),
        "every example has its own order": _delete(
            lambda importance: importance[:1].argsort(dim=1, descending=True).expand(len(importance), -1)
        ),
        "dividing by the first value": _normalised,
        "stays deleted": _one_at_a_time,
    },
    hints=(
        "argsort along axis 1, descending, gives each example its own order of deletion.",
        "Work on x.clone(). After k deletions the k most important features of each row are 0.",
        "x = x.scatter(1, order[:, k : k + 1], 0.0) deletes one feature a row; collect score(x) and stack on axis 1.",
    ),
    difficulty=2,
    minutes=10,
)

# --- 29.4 pointing_game ---------------------------------------------------------------------------------------------


def _one_hot(rows, columns, places, values=None):
    found = torch.zeros(len(places), rows, columns)
    for number, (row, column) in enumerate(places):
        found[number, row, column] = 1.0 if values is None else values[number]
    return found


def pointing_gives_one_answer(pointing_game):
    heat, mask = _one_hot(3, 4, [(1, 2), (0, 0)]), torch.ones(2, 3, 4, dtype=torch.bool)
    got = pointing_game(heat, mask)
    assert isinstance(got, torch.Tensor) and got.shape == (2,) and got.dtype == torch.bool, (
        "one boolean an example should come back, shape (B,): hit or miss"
    )


def pointing_finds_the_place(pointing_game):
    mask = _one_hot(3, 4, [(1, 2)] * 2).bool()
    got = pointing_game(_one_hot(3, 4, [(1, 2), (2, 0)]), mask)
    assert got.tolist() == [True, False], (
        "the highest place of example 0 lies in the mask, that of example 1 does not; flatten both alike"
    )
    corner = pointing_game(_one_hot(3, 4, [(2, 1)]), _one_hot(3, 4, [(1, 2)]).bool())
    assert not corner.item(), (
        "row 2, column 1 is not row 1, column 2: row = place // width and column = place % width, or flatten both alike"
    )


def pointing_is_signed(pointing_game):
    heat = _one_hot(3, 4, [(0, 1)], values=[-5.0])
    heat[0, 2, 3] = 1.0
    got = pointing_game(heat, _one_hot(3, 4, [(0, 1)]).bool())
    assert not got.item(), "-5 speaks against the answer: the arg-max is signed, not of absolute values"


def pointing_takes_the_top_only(pointing_game):
    heat = _one_hot(3, 4, [(0, 1)])
    heat[0, 2, 3] = 0.9
    got = pointing_game(heat, _one_hot(3, 4, [(2, 3)]).bool())
    assert not got.item(), "only the single highest place counts; a second-best inside the mask is not a hit"


def _point(heat, mask):
    top = heat.flatten(1).argmax(dim=1)
    return mask.flatten(1)[torch.arange(len(heat)), top]


def _swapped(heat, mask):
    top = heat.flatten(1).argmax(dim=1)
    row, column = top // heat.shape[2], top % heat.shape[2]
    height, width = heat.shape[1:]
    either = mask[torch.arange(len(heat)), row, column]
    return either | mask[torch.arange(len(heat)), column.clamp_max(height - 1), row.clamp_max(width - 1)]


pointing_game = Exercise(
    id="29.4 pointing_game",
    task="Write pointing_game(heat, mask): (B, height, width) floats and booleans -> (B,) booleans. A hit is when the "
    "highest value of the map lies inside the mask.",
    stages=(pointing_gives_one_answer, pointing_finds_the_place, pointing_is_signed, pointing_takes_the_top_only),
    reference=_point,
    mutants={
        "one boolean an example": lambda heat, mask: _point(heat, mask).float().mean(),
        "the highest place of example 0": lambda heat, mask: ~_point(heat, mask),
        "row = place // width": _swapped,
        "not of absolute values": lambda heat, mask: _point(heat.abs(), mask),
        "second-best inside the mask": lambda heat, mask: (
            (heat * mask).flatten(1).amax(dim=1) > 0.5 * heat.flatten(1).amax(dim=1)
        ),
    },
    hints=(
        "argmax over two axes at once: flatten them first.",
        "Flatten heat and mask from axis 1; the arg-max of the one is a place in the other.",
        "mask.flatten(1)[torch.arange(len(heat)), heat.flatten(1).argmax(dim=1)]",
    ),
    difficulty=1,
    minutes=6,
)

EXERCISES = (integrated_gradients, attention_rollout, deletion_curve, pointing_game)
