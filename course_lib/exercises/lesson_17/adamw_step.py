"""Exercise 17.1: a step of AdamW."""

import math

import torch
from torch import nn

from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close

SETTINGS = {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}


def drawn_tensors(shape=(3, 2), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2)]


def _first_step(adamw_step, gradient, **changes):
    """Length of the first step in learning rates, from weight 0 without decay."""
    zero, g = torch.zeros(1, dtype=torch.float64), torch.tensor([gradient], dtype=torch.float64)
    moved = adamw_step(zero, g, zero.clone(), zero.clone(), 1, **{**SETTINGS, **changes})[0]
    return -moved.item() / SETTINGS["lr"]


def adamw_returns_three(adamw_step):
    weight, gradient = drawn_tensors()
    inputs = [weight, gradient, torch.zeros_like(weight), torch.zeros_like(weight)]
    outputs = adamw_step(*inputs, 1, **SETTINGS)
    shapes = [tuple(tensor.shape) for tensor in outputs]
    assert shapes == [(3, 2)] * 3, f"return the new weight, m and v, each like the weight (3, 2); got {shapes}"


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
    for eps in (0.1, 0.02):
        step = _first_step(adamw_step, 1.0, eps=eps)
        early = 1 / (1 + eps / 0.001**0.5)
        assert not close(step, early), "you add eps to the root of v before v is corrected: correct v first"
        inside = 1 / (1 + eps) ** 0.5
        assert not close(step, inside), f"with eps = {eps} it is added after the root, not inside it"
        assert close(step, 1 / (1 + eps)), (
            f"with a gradient of 1 and eps = {eps} the first step is 1 / (1 + eps) = {1 / (1 + eps):.3f} lr, got "
            f"{step:.3f} lr: use the eps that was given"
        )


def adamw_decays_beside_the_step(adamw_step):
    weight, _ = drawn_tensors()
    zero = torch.zeros_like(weight)
    for lr, decay in ((0.1, 0.5), (0.02, 0.3)):
        moved, m, _ = adamw_step(weight, zero, zero, zero, 1, **{**SETTINGS, "lr": lr, "weight_decay": decay})
        assert close(m, zero), "with a gradient of 0 m must stay 0: the decay got into the gradient, that is Adam + L2"
        assert close(moved, weight * (1 - lr * decay)), (
            f"with a gradient of 0 the weight shrinks by 1 - lr * decay, {1 - lr * decay} here"
        )


def adamw_returns_raw_averages(adamw_step):
    gradient = drawn_tensors()[1]
    zero = torch.zeros_like(gradient)
    _, m, v = adamw_step(zero, gradient, zero, zero, 1, **SETTINGS)
    assert close(m, 0.1 * gradient) and close(v / 0.001, gradient**2), (
        "from 0, m must come back as (1 - beta1) * gradient and v as (1 - beta2) * gradient**2: return weight, m, v in "
        "this order, without the corrections, which belong to this step only"
    )


def adamw_is_that_of_torch(adamw_step):
    for settings in (
        {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.3},
        {"lr": 0.03, "betas": (0.9, 0.99), "eps": 0.2, "weight_decay": 0.1},
    ):
        ours, _ = drawn_tensors((4, 3), seed=1)
        theirs = nn.Parameter(ours.clone())
        optimizer = torch.optim.AdamW([theirs], **settings)
        m, v = torch.zeros_like(ours), torch.zeros_like(ours)
        for t in range(1, 21):
            theirs.grad = drawn_tensors((4, 3), seed=t)[1]
            optimizer.step()
            ours, m, v = adamw_step(ours, theirs.grad, m, v, t, **settings)
        assert close(ours, theirs), (
            f"the first step is right, the twentieth with {settings} is not: compare the order of decay and step, and "
            "which beta goes where"
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


def _adamw_of_torch(weight, gradient, m, v, t, lr, betas, eps, weight_decay):
    beta1, beta2 = betas
    weight = weight.clone().mul_(1 - lr * weight_decay)
    m = torch.lerp(m, gradient, 1 - beta1)
    v = v.mul(beta2).addcmul(gradient, gradient, value=1 - beta2)
    divisor = v.sqrt() / (1 - beta2**t) ** 0.5 + eps
    return weight.addcdiv(m, divisor, value=-lr / (1 - beta1**t)), m, v


def _adamw_by_loop(weight, gradient, m, v, t, lr, betas, eps, weight_decay):
    rows = []
    parts = (each.flatten().tolist() for each in (weight, gradient, m, v))
    for w, g, first, second in zip(*parts, strict=True):
        first, second = first + (1 - betas[0]) * (g - first), second + (1 - betas[1]) * (g * g - second)
        step = first / (1 - betas[0] ** t) / (math.sqrt(second / (1 - betas[1] ** t)) + eps)
        rows.append((w - lr * weight_decay * w - lr * step, first, second))
    return [torch.tensor(column).view(weight.shape) for column in zip(*rows, strict=True)]


def _adamw_by_optimiser(weight, gradient, m, v, t, lr, betas, eps, weight_decay):
    parameter = nn.Parameter(weight.detach().clone())
    optimizer = torch.optim.AdamW([parameter], lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
    state = {"step": torch.tensor(t - 1.0), "exp_avg": m.clone(), "exp_avg_sq": v.clone()}
    optimizer.state[parameter] = state
    parameter.grad = gradient.clone()
    optimizer.step()
    return parameter.data, state["exp_avg"], state["exp_avg_sq"]


adamw_step = Exercise(
    id="17.1 adamw_step",
    task="Write adamw_step(weight, gradient, m, v, t, lr, betas, eps, weight_decay) -> (weight, m, v), all of one "
    "shape: one step of AdamW, t counting from 1, equal to torch.optim.AdamW for 20 steps, nothing changed in place.",
    stages=(
        adamw_returns_three,
        adamw_starts_with_one_learning_rate,
        adamw_puts_eps_beside_the_root,
        adamw_decays_beside_the_step,
        adamw_returns_raw_averages,
        adamw_is_that_of_torch,
    ),
    reference=_adamw,
    mutants={
        "return the new weight, m and v": lambda *a, **k: _adamw(*a, **k)[:1],
        "changed its argument `m`": _adamw_in_place,
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
        "shrinks by 1 - lr * decay, 0.95": lambda w, g, m, v, t, lr, weight_decay, **k: _adamw(
            w, g, m, v, t, lr=lr, weight_decay=weight_decay / lr, **k
        ),
        "the order of decay and step": _adamw_decays_last,
        "use the eps that was given": lambda *a, eps, **k: _adamw(*a, eps=1e-8, **k),
        "0.994 here": lambda *a, lr, weight_decay, **k: _adamw(*a, lr=lr, weight_decay=0.1 * weight_decay / lr, **k),
    },
    alternatives={
        "torch's lerp and addcdiv": _adamw_of_torch,
        "number by number": _adamw_by_loop,
        "torch.optim itself": _adamw_by_optimiser,
    },
    hints=(
        "Two averages, two corrections, one division; then the decay, which touches the weight and nothing else.",
        "m / (1 - beta1**t) and v / (1 - beta2**t) are the corrected averages; the divisor is the root plus eps.",
        "return weight * (1 - lr * weight_decay) - lr * m_hat / (v_hat.sqrt() + eps), m, v",
    ),
    difficulty=2,
    minutes=12,
)
