"""Update rules by hand: from gradient descent to Muon, each a pure function of about a dozen lines.

    parameter, state = rule(parameter, gradient, state, lr=...)

`state` is a dict, empty before the first step; what it holds afterwards is what the rule costs in memory. Nothing is
changed in place. `lr` may be a tensor that broadcasts against the parameter, so that a batch of runs shares one call.
Where torch.optim has the rule, defaults and numbers are its own. t counts steps from 1, g is the gradient, w a weight,
"average" an exponential one that starts at 0; "State 2" is numbers per weight. Only the last two rules look beyond one
element at a time.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

State = dict[str, Any]
Weights = Float[Tensor, "*shape"]
Rate = float | Tensor
Betas = tuple[float, float]
Moved = tuple[Float[Tensor, "*shape"], State]
Matrix = Float[Tensor, "rows columns"]

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""a, b, c of x -> a x + b x^3 + c x^5, which lifts every singular value in (0, 1] towards 1 (Jordan et al., 2024)."""


def sgd(parameter: Weights, gradient: Weights, state: State, *, lr: Rate, weight_decay: float = 0.0) -> Moved:
    """Gradient descent: w - lr (g + weight_decay w). No state. The decay is an L2 penalty of weight_decay/2 |w|^2."""
    return parameter - lr * (gradient + weight_decay * parameter), {}


def momentum(parameter: Weights, gradient: Weights, state: State, *, lr: Rate, keep: float = 0.9) -> Moved:
    """Heavy ball: u = keep u + g; w - lr u. State 1. A steady gradient ends up 1 / (1 - keep) times as large.

    Polyak (1964), doi:10.1016/0041-5553(64)90137-5, with the learning rate outside of u as in torch.optim.SGD.
    """
    velocity = keep * state.get("velocity", 0.0) + gradient
    return parameter - lr * velocity, {"velocity": velocity}


def nesterov(parameter: Weights, gradient: Weights, state: State, *, lr: Rate, keep: float = 0.9) -> Moved:
    """Momentum that looks ahead: u = keep u + g; w - lr (g + keep u). State 1.

    Sutskever et al. (2013), https://proceedings.mlr.press/v28/sutskever13.html, rewritten for the weights at which the
    gradient is taken, with the learning rate outside of u as in torch.optim.SGD. The paper has it inside, which is the
    same rule only while lr is constant.
    """
    velocity = keep * state.get("velocity", 0.0) + gradient
    return parameter - lr * (gradient + keep * velocity), {"velocity": velocity}


def adagrad(parameter: Weights, gradient: Weights, state: State, *, lr: Rate, eps: float = 1e-10) -> Moved:
    """Divide by the root of the *sum* of squares: s = s + g^2; w - lr g / (sqrt(s) + eps). State 1.

    Duchi, Hazan, Singer (2011), JMLR 12, the diagonal form. The rate of a steady gradient falls as 1 / sqrt(t).
    """
    total = state.get("total", 0.0) + gradient.square()
    return parameter - lr * gradient / (total.sqrt() + eps), {"total": total}


def rmsprop(
    parameter: Weights, gradient: Weights, state: State, *, lr: Rate, keep: float = 0.99, eps: float = 1e-8
) -> Moved:
    """Divide by the root of the *average* square: v = average of g^2; w - lr g / (sqrt(v) + eps). State 1.

    Hinton (2012), lecture 6e of Neural Networks for Machine Learning.
    """
    square = keep * state.get("square", 0.0) + (1 - keep) * gradient.square()
    return parameter - lr * gradient / (square.sqrt() + eps), {"square": square}


def adadelta(
    parameter: Weights, gradient: Weights, state: State, *, lr: Rate = 1.0, keep: float = 0.9, eps: float = 1e-6
) -> Moved:
    """A step in the unit of the weight: d = g sqrt(D + eps) / sqrt(v + eps); w - lr d. State 2.

    v averages g^2 and takes in g first; D averages d^2 and takes in d afterwards. Zeiler (2012), arXiv:1212.5701.
    """
    square = keep * state.get("square", 0.0) + (1 - keep) * gradient.square()
    moved = state.get("moved", torch.zeros_like(gradient))
    step = gradient * (moved + eps).sqrt() / (square + eps).sqrt()
    return parameter - lr * step, {"square": square, "moved": keep * moved + (1 - keep) * step.square()}


def adam(
    parameter: Weights,
    gradient: Weights,
    state: State,
    *,
    lr: Rate,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    l2: float = 0.0,
    correct: bool = True,
) -> Moved:
    """m = average of g, v = average of g^2; w - lr m' / (sqrt(v') + eps), ' divides by 1 - beta^t. State 2.

    l2: a penalty on the weights, added to the gradient *before* the averages (torch calls it weight_decay).
    correct: False leaves the bias correction out. Kingma and Ba (2014), arXiv:1412.6980, algorithm 1.
    """
    gradient = gradient + l2 * parameter
    t = state.get("step", 0) + 1
    mean = betas[0] * state.get("mean", 0.0) + (1 - betas[0]) * gradient
    square = betas[1] * state.get("square", 0.0) + (1 - betas[1]) * gradient.square()
    first, second = (1 - betas[0] ** t, 1 - betas[1] ** t) if correct else (1.0, 1.0)
    step = (mean / first) / ((square / second).sqrt() + eps)
    return parameter - lr * step, {"step": t, "mean": mean, "square": square}


def adamw(
    parameter: Weights, gradient: Weights, state: State, *, lr: Rate, weight_decay: float = 0.01, **settings: Any
) -> Moved:
    """Decoupled decay: w (1 - lr weight_decay), then Adam's step, whose averages never see the decay. State 2.

    Loshchilov and Hutter (2017), arXiv:1711.05101. settings: betas, eps as in `adam`.
    """
    return adam(parameter * (1 - lr * weight_decay), gradient, state, lr=lr, **settings)


def adamax(
    parameter: Weights, gradient: Weights, state: State, *, lr: Rate, betas: Betas = (0.9, 0.999), eps: float = 1e-8
) -> Moved:
    """Adam with a decaying maximum for the root mean square: u = max(beta2 u, |g| + eps); w - lr m' / u. State 2.

    Kingma and Ba (2014), arXiv:1412.6980, section 7.1. u needs no bias correction.
    """
    t = state.get("step", 0) + 1
    mean = betas[0] * state.get("mean", 0.0) + (1 - betas[0]) * gradient
    largest = torch.maximum(betas[1] * state.get("largest", torch.zeros_like(gradient)), gradient.abs() + eps)
    return parameter - lr / (1 - betas[0] ** t) * mean / largest, {"step": t, "mean": mean, "largest": largest}


def lion(
    parameter: Weights,
    gradient: Weights,
    state: State,
    *,
    lr: Rate,
    betas: Betas = (0.9, 0.99),
    weight_decay: float = 0.0,
) -> Moved:
    """w (1 - lr weight_decay) - lr sign(beta1 m + (1 - beta1) g); then m = beta2 m + (1 - beta2) g. State 1.

    Every weight moves by exactly lr. Chen et al. (2023), arXiv:2302.06675; torch.optim has no Lion.
    """
    mean = state.get("mean", torch.zeros_like(gradient))
    step = torch.sign(betas[0] * mean + (1 - betas[0]) * gradient)
    return parameter * (1 - lr * weight_decay) - lr * step, {"mean": betas[1] * mean + (1 - betas[1]) * gradient}


def adafactor(
    parameter: Weights, gradient: Weights, state: State, *, lr: float = 0.01, weight_decay: float = 0.0
) -> Moved:
    """RMSprop that keeps only row and column means of a matrix's g^2: v = rows columns / mean(rows). Vectors keep v.

    The newest square has the share t^-0.8. The update's rms is cut to 1, and the step is relative to the weights:
    min(lr, 1/sqrt(t)) max(0.001, rms of w). Shazeer and Stern (2018), arXiv:1804.04235, without first moment.
    """
    t, tiny = state.get("step", 0) + 1, torch.finfo(gradient.dtype).eps
    share, squares = t**-0.8, gradient.square()
    means = {"square": squares}
    if gradient.dim() >= 2:
        means = {"rows": squares.mean(-1, keepdim=True), "columns": squares.mean(-2, keepdim=True)}
    kept = {name: (1 - share) * state.get(name, 0.0) + share * mean for name, mean in means.items()}
    whole = kept.get("square")
    if whole is None:
        whole = kept["rows"] @ kept["columns"] / kept["rows"].mean(-2, keepdim=True).clamp(min=tiny)
    step = gradient / whole.clamp(min=tiny**2).sqrt()
    relative = min(lr, t**-0.5) * max(1e-3, rms(parameter))
    return parameter * (1 - lr * weight_decay) - relative / max(1.0, rms(step)) * step, {"step": t} | kept


def muon(
    parameter: Matrix, gradient: Matrix, state: State, *, lr: float, weight_decay: float = 0.1, match_adam: bool = False
) -> tuple[Matrix, State]:
    """m = average of g; w (1 - lr weight_decay) - lr scale orthogonalise(0.95 m + 0.05 g) in bfloat16. State 1.

    scale: sqrt(max(1, rows/columns)); match_adam: 0.2 sqrt(max(rows, columns)), the rms of a usual Adam update, so that
    both share a learning rate. For hidden matrices; embeddings, heads, norms and biases stay with Adam. Jordan et al.
    (2024), https://kellerjordan.github.io/posts/muon/; Liu et al. (2025), arXiv:2502.16982.
    """
    mean = state.get("mean", torch.zeros_like(gradient)).lerp(gradient, 0.05)
    step = orthogonalise(gradient.lerp(mean, 0.95).bfloat16()).to(parameter.dtype)
    rows, columns = parameter.shape
    scale = 0.2 * max(rows, columns) ** 0.5 if match_adam else max(1.0, rows / columns) ** 0.5
    return parameter * (1 - lr * weight_decay) - lr * scale * step, {"mean": mean}


def orthogonalise(matrix: Matrix, steps: int = 5) -> Matrix:
    """Keep the singular vectors, bring the singular values near 1: U S V^T -> about U V^T, without an SVD.

    Newton-Schulz: X = X / |X|, then `steps` times a X + b (X X^T) X + c (X X^T)^2 X. The precision is the input's.
    """
    a, b, c = NEWTON_SCHULZ
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix  # the smaller of the two Gram matrices
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if matrix.shape[0] > matrix.shape[1] else x


def clip_global_norm(gradients: list[Tensor], limit: float) -> tuple[list[Tensor], Float[Tensor, ""]]:
    """Scale all gradients by one factor so that their joint L2 norm is at most `limit`; also returns the norm before.

    The direction stays, which clipping each tensor on its own would change. Pascanu et al. (2012), arXiv:1211.5063.
    """
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    factor = (limit / (norm + 1e-6)).clamp(max=1.0)  # torch.nn.utils.clip_grad_norm_ adds the same 1e-6
    return [gradient * factor for gradient in gradients], norm


def rms(values: Tensor) -> float:
    """Root mean square, the size of a typical entry."""
    return values.square().mean().sqrt().item()


def state_numbers(states: Iterable[State]) -> int:
    """Numbers kept between steps; one-element counters are left out. Takes our states or `optimizer.state.values()`."""
    return sum(v.numel() for state in states for v in state.values() if isinstance(v, Tensor) and v.numel() > 1)


class RuleOptimizer(torch.optim.Optimizer):
    """Runs a pure rule behind PyTorch's interface, so that `fit` can train with it.

        fit(..., optimizer=lambda model: RuleOptimizer(model.parameters(), lion, lr=1e-4))

    A group may name its own "rule". Everything else in a group is passed to the rule: `lr`, which `fit` sets for all
    groups, and settings such as "weight_decay"; functools.partial fixes others.
    """

    def __init__(self, params: Iterable, rule: Callable, lr: float) -> None:
        super().__init__(params, {"rule": rule, "lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            settings = {key: value for key, value in group.items() if key not in ("params", "rule")}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    old = self.state[parameter]
                    new, self.state[parameter] = group["rule"](parameter, parameter.grad, old, **settings)
                    parameter.copy_(new)
