"""Exercises of lesson 17: a step of AdamW, a step of Adadelta, which parameters decay, clipping by the global norm."""

import torch
from torch import nn

from course_lib.lesson.exercises import Exercise

# --- 17.1 adamw_step ----------------------------------------------------------------------------------------------

SETTINGS = {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}


def _tensors(shape=(3, 2), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2)]


def _first_step(adamw_step, gradient, **changes):
    """Length of the first step in learning rates, from weight 0 without decay."""
    zero, g = torch.zeros(1, dtype=torch.float64), torch.tensor([gradient], dtype=torch.float64)
    moved = adamw_step(zero, g, zero.clone(), zero.clone(), 1, **{**SETTINGS, **changes})[0]
    return -moved.item() / SETTINGS["lr"]


def adamw_leaves_its_inputs(adamw_step):
    weight, gradient = _tensors()
    inputs = [weight, gradient, torch.zeros_like(weight), torch.zeros_like(weight)]
    before = [tensor.clone() for tensor in inputs]
    outputs = adamw_step(*inputs, 1, **SETTINGS)
    shapes = [tuple(tensor.shape) for tensor in outputs]
    assert shapes == [(3, 2)] * 3, f"return the new weight, m and v, each like the weight (3, 2); got {shapes}"
    changed = [name for name, old, new in zip("wgmv", before, inputs, strict=True) if not torch.equal(old, new)]
    assert not changed, f"your step wrote into {changed} in place; return new tensors and leave the inputs alone"


def adamw_starts_with_one_learning_rate(adamw_step):
    step = _first_step(adamw_step, 5.0)
    assert not 3.1 < step < 3.2, "the first step is 3.16 lr: divide m by 1 - beta1^t and v by 1 - beta2^t"
    assert step > 0, f"the first step with gradient 5 goes uphill, {step:.3f} lr: subtract it from the weight"
    assert not (abs(step - 0.2) < 1e-3 or abs(step - 5**0.5) < 1e-3), (
        f"the first step depends on the gradient's size, {step:.3f} lr: v averages the *square*, and its *root* divides"
    )
    assert not (abs(step - 0.1) < 1e-3 or abs(step - 1000**0.5) < 0.1), (
        f"the first step is {step:.3f} lr: one of the two averages is not corrected"
    )
    assert 0.999 < step < 1.001, f"the first step with gradient 5 should be 1 lr, got {step:.3f} lr: t counts from 1"


def adamw_puts_eps_beside_the_root(adamw_step):
    step = _first_step(adamw_step, 1e-6)
    assert not 0.7 < step < 0.8, "you add eps to the root of v before v is corrected: correct v first"
    assert abs(step - 1 / 1.01) < 1e-6, "with a gradient of 1e-6 eps matters: it is added after the root, not inside it"


def adamw_decays_beside_the_step(adamw_step):
    weight, _ = _tensors()
    zero = torch.zeros_like(weight)
    moved, m, _ = adamw_step(weight, zero, zero, zero, 1, **{**SETTINGS, "weight_decay": 0.5})
    assert torch.equal(m, zero), (
        "with a gradient of 0 m must stay 0: the decay got into the gradient, that is Adam + L2"
    )
    assert torch.allclose(moved, weight * (1 - 0.1 * 0.5)), "with a gradient of 0 the weight shrinks by 1 - lr * decay"


def adamw_returns_raw_averages(adamw_step):
    gradient = _tensors()[1]
    zero = torch.zeros_like(gradient)
    _, m, v = adamw_step(zero, gradient, zero, zero, 1, **SETTINGS)
    assert torch.allclose(m, 0.1 * gradient) and torch.allclose(v, 0.001 * gradient**2), (
        "from 0, m must come back as (1 - beta1) * gradient and v as (1 - beta2) * gradient**2: return weight, m, v in "
        "this order, without the corrections, which belong to this step only"
    )


def adamw_is_that_of_torch(adamw_step):
    settings = {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.3}
    ours, _ = _tensors((4, 3), seed=1)
    theirs = nn.Parameter(ours.clone())
    optimizer = torch.optim.AdamW([theirs], **settings)
    m, v = torch.zeros_like(ours), torch.zeros_like(ours)
    for t in range(1, 21):
        theirs.grad = _tensors((4, 3), seed=t)[1]
        optimizer.step()
        ours, m, v = adamw_step(ours, theirs.grad, m, v, t, **settings)
    assert torch.allclose(ours, theirs.data, atol=1e-6, rtol=0), (
        "the first step is right, the twentieth is not: compare the order of decay and step, and which beta goes where"
    )


def _adamw(weight, gradient, m, v, t, lr, betas, eps, weight_decay):
    m = betas[0] * m + (1 - betas[0]) * gradient
    v = betas[1] * v + (1 - betas[1]) * gradient**2
    step = (m / (1 - betas[0] ** t)) / ((v / (1 - betas[1] ** t)).sqrt() + eps)
    return weight * (1 - lr * weight_decay) - lr * step, m, v


def _adamw_in_place(weight, gradient, m, v, t, lr, betas, eps, weight_decay):
    m.mul_(betas[0]).add_(gradient, alpha=1 - betas[0])
    v.mul_(betas[1]).add_(gradient**2, alpha=1 - betas[1])
    step = (m / (1 - betas[0] ** t)) / ((v / (1 - betas[1] ** t)).sqrt() + eps)
    return weight * (1 - lr * weight_decay) - lr * step, m, v


def _adamw_with(step):
    """The reference with another step, made of m, v, t, the betas and eps."""

    def step_of(weight, gradient, m, v, t, lr, betas, eps, weight_decay):
        m, v = _adamw(weight, gradient, m, v, t, lr, betas, eps, weight_decay)[1:]
        return weight * (1 - lr * weight_decay) - lr * step(m, v, t, betas, eps), m, v

    return step_of


def _adamw_keeps_corrected(weight, gradient, m, v, t, lr, betas, eps, weight_decay):
    moved, m, v = _adamw(weight, gradient, m, v, t, lr, betas, eps, weight_decay)
    return moved, m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)


def _adamw_decays_last(weight, gradient, m, v, t, lr, betas, eps, weight_decay):
    moved, m, v = _adamw(weight, gradient, m, v, t, lr, betas, eps, 0.0)
    return moved * (1 - lr * weight_decay), m, v


adamw_step = Exercise(
    id="17.1 adamw_step",
    task="Write adamw_step(weight, gradient, m, v, t, lr, betas, eps, weight_decay) -> (weight, m, v), all of one "
    "shape: one step of AdamW, t counting from 1, equal to torch.optim.AdamW for 20 steps, nothing changed in place.",
    stages=(
        adamw_leaves_its_inputs,
        adamw_starts_with_one_learning_rate,
        adamw_puts_eps_beside_the_root,
        adamw_decays_beside_the_step,
        adamw_returns_raw_averages,
        adamw_is_that_of_torch,
    ),
    reference=_adamw,
    mutants={
        "return the new weight, m and v": lambda *a, **k: _adamw(*a, **k)[:1],
        "leave the inputs alone": _adamw_in_place,
        "divide m by 1 - beta1^t": lambda w, g, m, v, t, **k: _adamw(w, g, m, v, 10**6, **k),
        "subtract it from the weight": lambda w, g, m, v, t, **k: (
            2 * w - _adamw(w, g, m, v, t, **k)[0],
            *_adamw(w, g, m, v, t, **k)[1:],
        ),
        "v averages the *square*": _adamw_with(
            lambda m, v, t, b, eps: m / (1 - b[0] ** t) / (v / (1 - b[1] ** t) + eps)
        ),
        "one of the two averages": _adamw_with(lambda m, v, t, b, eps: m / (1 - b[0] ** t) / (v.sqrt() + eps)),
        "correct v first": _adamw_with(
            lambda m, v, t, b, eps: m / (1 - b[0] ** t) * (1 - b[1] ** t) ** 0.5 / (v.sqrt() + eps)
        ),
        "without the corrections": _adamw_keeps_corrected,
        "t counts from 1": lambda w, g, m, v, t, **k: _adamw(w, g, m, v, t + 1, **k),
        "not inside it": _adamw_with(lambda m, v, t, b, eps: m / (1 - b[0] ** t) / (v / (1 - b[1] ** t) + eps).sqrt()),
        "that is Adam + L2": lambda w, g, m, v, t, weight_decay, **k: _adamw(
            w, g + weight_decay * w, m, v, t, weight_decay=0.0, **k
        ),
        "shrinks by 1 - lr * decay": lambda w, g, m, v, t, lr, weight_decay, **k: _adamw(
            w, g, m, v, t, lr=lr, weight_decay=weight_decay / lr, **k
        ),
        "the order of decay and step": _adamw_decays_last,
    },
    hints=(
        "Two averages, two corrections, one division; then the decay, which touches the weight and nothing else.",
        "m / (1 - beta1**t) and v / (1 - beta2**t) are the corrected averages; the divisor is the root plus eps.",
        "return weight * (1 - lr * weight_decay) - lr * m_hat / (v_hat.sqrt() + eps), m, v",
    ),
    difficulty=2,
    minutes=12,
)

# --- 17.2 adadelta_step -------------------------------------------------------------------------------------------


def _averages(shape=(3, 2)):
    """Averages as after many steps: gradients of about 2, moves of about 0.1."""
    return torch.full(shape, 4.0, dtype=torch.float64), torch.full(shape, 0.01, dtype=torch.float64)


def adadelta_returns_three(adadelta_step):
    gradient, (square, moved) = _tensors()[1], _averages()
    kept = [part.clone() for part in (gradient, square, moved)]
    shapes = [tuple(part.shape) for part in adadelta_step(gradient, square, moved, rho=0.9, eps=1e-6)]
    assert shapes == [(3, 2)] * 3, f"return step, square, moved, each like the gradient (3, 2); got {shapes}"
    untouched = all(torch.equal(a, b) for a, b in zip(kept, (gradient, square, moved), strict=True))
    assert untouched, "your step wrote into its inputs; return new tensors"


def adadelta_starts_from_eps(adadelta_step):
    zero, gradient = torch.zeros(1, dtype=torch.float64), torch.tensor([2.0], dtype=torch.float64)
    step, square, moved = adadelta_step(gradient, zero, zero, rho=0.9, eps=1e-6)
    swapped = abs(moved.item() - 0.4) < 1e-9 < abs(square.item() - 0.4)
    assert not swapped, "the averages came back in the other order: return step, square, moved"
    assert abs(square.item() - 0.4) < 1e-9, "the average of squares takes in 1 - rho of the new square"
    assert step.item() > 0, "with an average of moves of 0 the first step must not be 0: eps belongs inside both roots"
    right = 2 * (1e-6 / (0.4 + 1e-6)) ** 0.5
    assert abs(step.item() - right) < 1e-9, (
        "the first step is gradient * sqrt(eps) / sqrt(square + eps), square with the new gradient in it and moved "
        "without the new step"
    )


def adadelta_has_the_unit_of_the_weight(adadelta_step):
    gradient, (square, moved) = torch.full((3, 2), 2.0, dtype=torch.float64), _averages()
    step, _, _ = adadelta_step(gradient, square, moved, rho=0.9, eps=1e-12)
    assert step.min() > 0, "with a positive gradient return a positive step: the caller subtracts it"
    louder, _, _ = adadelta_step(1000 * gradient, 1e6 * square, moved, rho=0.9, eps=1e-12)
    assert torch.allclose(step, louder), (
        "a loss 1,000 times as large must give the same step: the root of moves above, that of squares below the line, "
        "not the reverse"
    )
    farther, _, _ = adadelta_step(gradient, square, 1e6 * moved, rho=0.9, eps=1e-12)
    assert torch.allclose(farther, 1000 * step), (
        "when past moves were 1,000 times as large the step must be too: the root of moved stands above the line"
    )


def adadelta_remembers_the_step(adadelta_step):
    gradient, (square, moved) = torch.full((3, 2), 2.0, dtype=torch.float64), _averages()
    step, _, kept = adadelta_step(gradient, square, moved, rho=0.9, eps=1e-6)
    assert torch.allclose(kept, 0.9 * moved + 0.1 * step**2), (
        "the second average takes in the square of the step just made, not of the gradient"
    )


def adadelta_is_that_of_torch(adadelta_step):
    ours, _ = _tensors((4, 3), seed=1)
    theirs = nn.Parameter(ours.clone())
    optimizer = torch.optim.Adadelta([theirs], lr=1.0, rho=0.8, eps=1e-3)
    square, moved = torch.zeros_like(ours), torch.zeros_like(ours)
    for t in range(1, 21):
        theirs.grad = _tensors((4, 3), seed=t)[1]
        optimizer.step()
        step, square, moved = adadelta_step(theirs.grad, square, moved, rho=0.8, eps=1e-3)
        ours = ours - step
    assert torch.allclose(ours, theirs.data, atol=1e-6, rtol=0), (
        "twenty steps differ from torch.optim.Adadelta with rho = 0.8: is a 0.9 written into your code?"
    )


def _adadelta(gradient, square, moved, rho, eps):
    square = rho * square + (1 - rho) * gradient**2
    step = gradient * (moved + eps).sqrt() / (square + eps).sqrt()
    return step, square, rho * moved + (1 - rho) * step**2


def _adadelta_with(share=None, above=lambda square, moved, eps: moved + eps, below=None):
    """The reference with another share of the new square, another numerator or another denominator."""

    def step_of(gradient, square, moved, rho, eps):
        fresh = rho * square + (1 - rho if share is None else share) * gradient**2
        under = fresh + eps if below is None else below(square, moved, eps)
        step = gradient * (above(square, moved, eps) / under).sqrt()
        return step, fresh, rho * moved + (1 - rho) * step**2

    return step_of


adadelta_step = Exercise(
    id="17.2 adadelta_step",
    task="Write adadelta_step(gradient, square, moved, rho, eps) -> (step, square, moved), all of one shape: `square` "
    "averages squared gradients, `moved` averages squared steps; the caller computes weight - step.",
    stages=(
        adadelta_returns_three,
        adadelta_has_the_unit_of_the_weight,
        adadelta_starts_from_eps,
        adadelta_remembers_the_step,
        adadelta_is_that_of_torch,
    ),
    reference=_adadelta,
    mutants={
        "return step, square, moved": lambda *a, **k: _adadelta(*a, **k)[:2],
        "wrote into its inputs": lambda g, s, m, rho, eps: _adadelta(g, s.mul_(rho), m, rho, eps),
        "not the reverse": _adadelta_with(above=lambda s, m, eps: s + eps, below=lambda s, m, eps: m + eps),
        "the caller subtracts it": lambda *a, **k: (-_adadelta(*a, **k)[0], *_adadelta(*a, **k)[1:]),
        "when past moves were": _adadelta_with(above=lambda s, m, eps: torch.ones_like(m)),
        "in the other order": lambda *a, **k: tuple(_adadelta(*a, **k)[i] for i in (0, 2, 1)),
        "takes in 1 - rho of the new square": _adadelta_with(share=1.0),
        "eps belongs inside both roots": _adadelta_with(above=lambda s, m, eps: m),
        "square with the new gradient in it": _adadelta_with(below=lambda s, m, eps: s + eps),
        "not of the gradient": lambda g, s, m, rho, eps: (
            *_adadelta(g, s, m, rho, eps)[:2],
            rho * m + (1 - rho) * g**2,
        ),
        "is a 0.9 written into your code": lambda g, s, m, rho, eps: _adadelta(g, s, m, 0.9, eps),
    },
    hints=(
        "The order is: take the gradient into its average, make the step, take the step into its average.",
        "step = gradient * sqrt(moved + eps) / sqrt(square + eps): the usual size of a move over that of a gradient.",
        "return step, square, rho * moved + (1 - rho) * step**2, with square = rho * square + (1 - rho) * gradient**2",
    ),
    difficulty=3,
    minutes=12,
)

# --- 17.3 param_groups --------------------------------------------------------------------------------------------


class _Parts(nn.Module):
    """One of everything; the gain of `grid` has two axes, `embed` is a matrix, `frozen` does not train."""

    def __init__(self):
        super().__init__()
        self.embed, self.linear, self.conv = nn.Embedding(11, 6), nn.Linear(6, 4), nn.Conv1d(4, 3, 2)
        self.grid, self.rms, self.frozen = nn.LayerNorm((3, 5)), nn.RMSNorm(4), nn.Linear(4, 2)
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.frozen.requires_grad_(False)


def _sorted(param_groups, model=None):
    """Names of the parameters that decay and of those that do not, duplicates included."""
    model = _Parts() if model is None else model
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    lists = {True: [], False: []}
    for group in param_groups(model, 0.1):
        lists[group["weight_decay"] > 0] += [names[id(parameter)] for parameter in group["params"]]
    return lists[True], lists[False]


def groups_hold_everything_once(param_groups):
    groups = param_groups(_Parts(), 0.1)
    rates = sorted((group.get("weight_decay", "none") for group in groups), key=str)
    assert rates == [0.0, 0.1], f"return two groups, one with weight_decay 0.1 and one with 0.0; got {rates}"
    decaying, exempt = _sorted(param_groups)
    held = decaying + exempt
    assert not [name for name in held if name.startswith("frozen")], "frozen weights (requires_grad False) do not train"
    assert len(held) == len(set(held)), "a parameter stands in two groups; torch would refuse that"
    trained = {name for name, parameter in _Parts().named_parameters() if parameter.requires_grad}
    assert set(held) == trained, f"not in any group, so never trained: {sorted(trained - set(held))}"


def groups_exempt_vectors(param_groups):
    decaying, _ = _sorted(param_groups)
    assert "linear.bias" not in decaying, (
        "linear.bias decays: a bias multiplies no input, so shrinking it restrains nothing"
    )
    assert not {"rms.weight", "scale"} & set(decaying), (
        "the gain of a norm or a learned scale decays; its name has no bias"
    )


def groups_exempt_embeddings(param_groups):
    decaying, _ = _sorted(param_groups)
    assert "embed.weight" not in decaying, "embed.weight decays: rows of rare tokens would shrink without being seen"


def groups_exempt_norms_of_two_axes(param_groups):
    decaying, _ = _sorted(param_groups)
    assert "grid.weight" not in decaying, (
        "grid.weight is the gain of a LayerNorm over two axes: ask the module, not dim()"
    )


def groups_decay_the_rest(param_groups):
    decaying, _ = _sorted(param_groups)
    assert set(decaying) == {"linear.weight", "conv.weight"}, (
        f"the weights of linear and conv should decay, these do: {sorted(decaying)}; matrices are what decay is for"
    )


def _group(model, weight_decay, exempt_kinds=(nn.Embedding, nn.LayerNorm, nn.RMSNorm), decays=lambda p: p.dim() >= 2):
    exempt = {id(p) for module in model.modules() if isinstance(module, exempt_kinds) for p in module.parameters()}
    trained = [p for p in model.parameters() if p.requires_grad]
    chosen = [p for p in trained if decays(p) and id(p) not in exempt]
    rest = [p for p in trained if id(p) not in {id(p) for p in chosen}]
    return [{"params": chosen, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def _group_by_name(model, weight_decay):
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    chosen = [p for name, p in trained.items() if "bias" not in name]
    rest = [p for name, p in trained.items() if "bias" in name]
    return [{"params": chosen, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def _group_twice(model, weight_decay):
    chosen, rest = _group(model, weight_decay)
    return [chosen, {"params": [*rest["params"], *chosen["params"][:1]], "weight_decay": 0.0}]


def _group_forgets(model, weight_decay):
    chosen, rest = _group(model, weight_decay)
    return [chosen, {"params": [p for p in rest["params"] if p.dim() == 1], "weight_decay": 0.0}]


param_groups = Exercise(
    id="17.3 param_groups",
    task="Write param_groups(model, weight_decay) -> two dicts with 'params' and 'weight_decay' for AdamW: weights "
    "of layers decay; biases, gains of norms, embeddings, anything under two axes do not; frozen ones stay out.",
    stages=(
        groups_hold_everything_once,
        groups_exempt_vectors,
        groups_exempt_embeddings,
        groups_exempt_norms_of_two_axes,
        groups_decay_the_rest,
    ),
    reference=_group,
    mutants={
        "return two groups": lambda model, decay: _group(model, decay)[:1],
        "do not train": lambda model, decay: _group(model.requires_grad_(True), decay),
        "stands in two groups": _group_twice,
        "never trained": _group_forgets,
        "a bias multiplies no input": lambda model, decay: _group(model, decay, decays=lambda p: True),
        "its name has no bias": _group_by_name,
        "without being seen": lambda model, decay: _group(model, decay, (nn.LayerNorm, nn.RMSNorm)),
        "ask the module": lambda model, decay: _group(model, decay, (nn.Embedding,)),
        "matrices are what decay is for": lambda model, decay: _group(model, decay, decays=lambda p: p.dim() == 2),
    },
    hints=(
        "Two questions for each parameter: how many axes has it, and which module owns it?",
        "Collect id(p) of the parameters of every nn.Embedding, nn.LayerNorm and nn.RMSNorm in model.modules().",
        "decays = p.dim() >= 2 and id(p) not in exempt; skip parameters with requires_grad False.",
    ),
    difficulty=2,
    minutes=10,
)

# --- 17.4 clip_global_norm ----------------------------------------------------------------------------------------


def _gradients(scale=1.0):
    """A vector and a matrix of joint norm 13 * scale: 3, 4 and 12."""
    return [scale * torch.tensor([3.0, 0.0, 4.0]), scale * torch.tensor([[0.0, 12.0], [0.0, 0.0]])]


def _joint(gradients):
    return torch.cat([gradient.flatten() for gradient in gradients]).norm().item()


def clip_returns_new_tensors(clip_global_norm):
    gradients = _gradients()
    shapes = [tuple(gradient.shape) for gradient in clip_global_norm(gradients, 1.0)]
    assert shapes == [(3,), (2, 2)], f"return a list of gradients with the shapes (3,) and (2, 2), got {shapes}"
    assert _joint(gradients) == 13.0, "your function wrote into the gradients it was given; return new tensors"


def clip_leaves_short_gradients(clip_global_norm):
    kept = clip_global_norm(_gradients(), 1000.0)
    assert _joint(kept) < 13.001, "a gradient of norm 13 under a limit of 1,000 got longer: the factor is never above 1"
    assert _joint(kept) > 12.999, "a gradient of norm 13 under a limit of 1,000 got shorter: change nothing there"


def clip_survives_zero(clip_global_norm):
    silent = clip_global_norm(_gradients(0.0), 1.0)
    assert all(torch.isfinite(gradient).all() for gradient in silent), "a gradient of 0 became nan: mind the division"


def clip_keeps_the_direction(clip_global_norm):
    clipped = clip_global_norm(_gradients(), 6.5)
    ratios = [(clipped[0][0] / 3).item(), (clipped[0][2] / 4).item(), (clipped[1][0, 1] / 12).item()]
    assert max(ratios) - min(ratios) < 1e-4, (
        "the direction changed: one factor for all tensors, from their joint norm, not one per tensor or per entry"
    )


def clip_reaches_the_limit(clip_global_norm):
    for limit in (6.5, 1.0):
        got = _joint(clip_global_norm(_gradients(), limit))
        assert abs(got - limit) < 1e-3, (
            f"the joint norm should be the limit {limit}, it is {got:.3f}: the norm is the root of the sum of squares"
        )


def _clip(gradients, limit):
    norm = torch.sqrt(sum((gradient**2).sum() for gradient in gradients))
    factor = min(1.0, limit / (norm.item() + 1e-6))
    return [gradient * factor for gradient in gradients]


clip_global_norm = Exercise(
    id="17.4 clip_global_norm",
    task="Write clip_global_norm(gradients, limit) -> list of gradients, scaled by one factor so that their joint L2 "
    "norm is at most `limit`; gradients that are short enough stay as they are.",
    stages=(
        clip_returns_new_tensors,
        clip_leaves_short_gradients,
        clip_survives_zero,
        clip_keeps_the_direction,
        clip_reaches_the_limit,
    ),
    reference=_clip,
    mutants={
        "return a list of gradients": lambda gradients, limit: _clip(gradients, limit)[0],
        "wrote into the gradients": lambda gradients, limit: [g.mul_(min(1.0, limit / 13)) for g in gradients],
        "got longer": lambda gradients, limit: [g * limit / (_joint(gradients) + 1e-6) for g in gradients],
        "got shorter": lambda gradients, limit: [g.clamp(-1, 1) for g in gradients],
        "mind the division": lambda gs, limit: [g / torch.tensor(_joint(gs)) * min(_joint(gs), limit) for g in gs],
        "one factor for all tensors": lambda gradients, limit: [_clip([g], limit)[0] for g in gradients],
        "the root of the sum of squares": lambda gs, limit: [
            g * min(1.0, limit / (_joint(gs) ** 2 + 1e-6)) for g in gs
        ],
    },
    hints=(
        "One number is compared with the limit: the length of all gradients laid end to end.",
        "norm = sqrt(sum of the squared norms); the factor is limit / norm, and never above 1.",
        "factor = min(1.0, limit / (norm + 1e-6)); return [gradient * factor for gradient in gradients]",
    ),
    difficulty=1,
    minutes=8,
)

EXERCISES = (adamw_step, adadelta_step, param_groups, clip_global_norm)
