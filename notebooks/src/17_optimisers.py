# %% [markdown]
r"""
# 17 · Optimisers

You will be able to write AdamW from memory, say why its decay is decoupled, and know which differences between optimisers are real.

*60 minutes · needs no other lesson · under 50 s of CPU*

*Lessons:* [start page](00_start_here.ipynb) · previous: 16 · Multi-task and joint learning (planned), before it [12 · Task losses and class imbalance](12_task_losses.ipynb) · next: 18 · Schedules, batch size and search (planned), then [19 · Regularisation and overfitting](19_regularisation.ipynb)
"""

# %% [markdown]
r"""
## 17.1 The interview question

> **Write AdamW on the whiteboard, and say why the decay is decoupled.**
>
> **在白板上写出 AdamW，并说明为什么要把权重衰减解耦。**

**The 60-second answer, to be earned below.** "For each weight Adam keeps two averages, $m$ of the gradient and $v$ of its square.
Both start at 0, so they are divided by $1 - \beta^t$. The step is $\eta\, m' / (\sqrt{v'} + \epsilon)$: of the order of one
learning rate, whatever the scale of the gradient. An L2 penalty added to the gradient would be divided by $\sqrt{v'}$ too, so weights with
large gradients would hardly decay. AdamW multiplies the weight by $1 - \eta\lambda$ beside the step, the same share for all. It
keeps two numbers a weight; in mixed precision that makes 16 bytes a weight, 112 GB for 7 B, before activations. The division is
coordinate by coordinate: a gift when the axes are badly scaled, as with rare tokens, and lost when the valley is turned.
Biases and norms do not decay, embeddings often not, the global norm is clipped, $\beta_2$ is 0.95 for large models. And I tune every
optimiser's learning rate before I compare two of them."
"""

# %% [markdown]
r"""
**You will be able to**

1. write AdamW and Adadelta from memory, equal to PyTorch's, and place ten other rules in the same scheme;
2. say what AdamW's decay does that an L2 penalty does not, and which parameters to leave out;
3. tell which optimisers notice a rotation of the coordinates, and why that matters for language models;
4. count optimiser memory for a 7 B model;
5. read a loss spike, and say what clipping can and cannot do.

| you have | read |
| --- | --- |
| an evening (60 min) | everything, exercises included |
| a workshop (45 min) | 17.1, 17.2, 17.5 on the projector, exercise 17.1, 17.6 with bets before each cell |
| 15 minutes before the interview | 17.1, the table in 17.3, 17.7, 17.8, 17.10, 17.11 |

**Try first.** A long valley: one direction is 1,000 times as steep as the other. From a fixed start, each with its best learning
rate, plain SGD needs about 1,000 steps to the bottom, Adam about 20. Now turn the valley by 45°, start included. Nothing else
changes: it is the same valley, written in other coordinates.

How many steps do **SGD**, **momentum**, **RMSprop** and **Adam** need now? Write down four numbers. Section 17.6 runs them.
"""

# %%
import time
from functools import partial

import matplotlib.pyplot as plt
import torch
from torch import nn, optim
from torch.nn import functional as F

from course_lib.exercises import lesson_17 as exercise
from course_lib.interview.show import show_questions
from course_lib.lesson.claims import claim
from course_lib.lesson.exercises import check, hint
from course_lib.lesson.explore import explore
from course_lib.lesson.figures import COLOURS, dot_plot, show
from course_lib.metrics.classification import accuracy
from course_lib.training import update_rules as rules
from course_lib.training.config import TrainConfig
from course_lib.training.loop import fit
from course_lib.training.optimizer import parameter_groups
from course_lib.training.recipes import Decoder, classify, digits

_ = torch.manual_seed(0)
# %% [markdown]
r"""
![Two rows with the same boxes: gradient, averages m and v, their ratio, times the learning rate, weight. In the upper row the
decay joins the gradient and is divided; in the lower row it multiplies the weight directly.](figures/17_adamw.svg)

One red arrow is the whole difference between Adam with an L2 penalty and AdamW.

## 17.2 By hand

**Gradient descent** looks at the slope under its feet and walks downhill: $w \leftarrow w - \eta\, \partial f / \partial w$. It is
called *stochastic* when the slope is estimated from one example or a mini-batch. On $f(w) = \tfrac12 L w^2$ the slope is $L w$, so
a step multiplies the error by $1 - \eta L$, and that one number tells everything. Here $L = 4$, start at 1.
"""

# %%
L, ends = 4.0, {}
for lr in (0.05, 0.25, 0.45, 0.55):
    w, path = 1.0, []
    for _ in range(6):
        w = w - lr * L * w
        path.append(w)
    ends[lr] = w
    print(f"lr {lr:.2f}  factor {1 - lr * L:+.1f}  " + "  ".join(f"{value:+.3f}" for value in path))

claim(
    "C17.8",
    "Gradient descent multiplies the error by 1 - lr · L a step: it oscillates above lr = 1/L and diverges above 2/L",
    all(abs(end - (1 - lr * L) ** 6) < 1e-12 for lr, end in ends.items()) and abs(ends[0.45]) < 1 < abs(ends[0.55]),
    measured=f"after 6 steps {ends[0.45]:.3f} at lr 0.45, {ends[0.55]:.3f} at lr 0.55",
)

# %% [markdown]
r"""
With many weights $L$ is different in every direction. The steepest one limits the learning rate, and the flattest then creeps.
Everything that follows is about that.

**Adam**, three steps of one weight with gradients 4, 2 and -1; $\beta_1 = 0.9$, $\beta_2 = 0.999$:
"""

# %%
m = v = 0.0
for t, g in enumerate([4.0, 2.0, -1.0], start=1):
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
    m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
    averages = f"m {m:.3f}  v {v:.4f}  m' {m_hat:.3f}  v' {v_hat:.3f}"
    print(f"t = {t}  g = {g:+.0f}  {averages}  step {m_hat / (v_hat**0.5 + 1e-8):.3f} learning rates")

# %% [markdown]
r"""
The raw averages start at 0 and are far too small; dividing by $1 - \beta^t$ makes them true averages of what has been seen. The
third step still goes in the old direction although the gradient has turned: that is the momentum.

**Predict**: how long is the very first step, in learning rates, when the gradient is 0.0001? When it is 10,000?
"""

# %%
sizes = torch.logspace(-4, 4, 9, dtype=torch.float64)
FIRST = {
    "SGD, momentum, lr · g": partial(rules.sgd, lr=1.0),
    "Adam": partial(rules.adam, lr=1.0),
    "Adam without correction": partial(rules.adam, lr=1.0, correct=False),
    "Lion": partial(rules.lion, lr=1.0),
}
first = {name: -rule(torch.zeros_like(sizes), sizes, {})[0] for name, rule in FIRST.items()}

fig, ax = plt.subplots(figsize=(6, 2.9), layout="constrained")
for (name, length), style in zip(first.items(), ("o-", "s-", "^--", "v:"), strict=True):
    ax.loglog(sizes, length, style, label=name)
ax.set(xlabel="gradient", ylabel="first step / learning rate")
ax.legend(fontsize=8)
show(
    fig,
    "SGD's first step grows with the gradient over eight orders of magnitude; Adam's and Lion's are one learning rate.",
)

claim(
    "C17.2",
    "Adam's first step is one learning rate for gradients from 0.0001 to 10,000; SGD's is proportional to the gradient",
    (first["Adam"] - 1).abs().max() < 1e-3 and torch.allclose(first["SGD, momentum, lr · g"], sizes),
    measured=f"Adam {first['Adam'].min():.4f} to {first['Adam'].max():.4f} lr, SGD {sizes.min():.4f} to {sizes.max():.0f} lr",
)

# %% [markdown]
r"""
So Adam's learning rate is a *length*: about how far a weight moves in one step. SGD's is a *conversion factor* between gradients and
lengths: multiply the loss by 100, and it must fall by 100, while Adam's stays. (Adam's still wants tuning, as 17.6 shows.)

## 17.3 In symbols

$w$ a weight, $g$ its gradient, $t = 1, 2, \dots$ the step, $\eta$ the learning rate, $\lambda$ the decay; $m, u, v, s, D$ have
the shape of the weight. $\overline{x}^{\,\beta}$ is the exponential average $\beta \cdot \text{old} + (1 - \beta)\, x$, and $'$ divides it by $1 - \beta^t$.
Two rows are shortened. Adafactor's $\eta_t$ is $\min(\eta, 1/\sqrt t)$ times the rms (root mean square) of the weights. Muon's code looks one step ahead, as Nesterov's
does, and multiplies by $\sqrt{\max(1, \text{rows} / \text{columns})}$.

| rule | state | step, subtracted from $w$ | in code | numbers a weight |
| --- | --- | --- | --- | --- |
| SGD | | $\eta\, g$ | `sgd` | 0 |
| momentum | $u = \mu u + g$ | $\eta\, u$ | `momentum` | 1 |
| Nesterov | $u = \mu u + g$ | $\eta\,(g + \mu u)$ | `nesterov` | 1 |
| Adagrad | $s = s + g^2$ | $\eta\, g / (\sqrt s + \epsilon)$ | `adagrad` | 1 |
| RMSprop | $v = \overline{g^2}^{\,\rho}$ | $\eta\, g / (\sqrt v + \epsilon)$ | `rmsprop` | 1 |
| Adadelta | $v = \overline{g^2}^{\,\rho}$, $D = \overline{d^2}^{\,\rho}$ | $\eta\, d$, $d = g \sqrt{D + \epsilon} / \sqrt{v + \epsilon}$, $\eta = 1$ | `adadelta` | 2 |
| Adam | $m = \overline{g}^{\,\beta_1}$, $v = \overline{g^2}^{\,\beta_2}$ | $\eta\, m' / (\sqrt{v'} + \epsilon)$ | `adam` | 2 |
| AdamW | as Adam | $\eta\lambda w$ + Adam's step | `adamw` | 2 |
| Adamax | $m$, $u = \max(\beta_2 u, \lvert g \rvert)$ | $\eta\, m' / u$ | `adamax` | 2 |
| Lion | $m = \overline{g}^{\,\beta_2}$, *after* the step | $\eta\lambda w + \eta\,\mathrm{sign}(\overline{g}^{\,\beta_1})$ | `lion` | 1 |
| Adafactor | row and column means of $g^2$ | $\eta_t\, g / \sqrt{\hat v}$, rms at most 1, $\hat v = r c^\top / \bar r$ | `adafactor` | (rows + columns) / (rows · columns) |
| Muon | $m = \overline{g}^{\,\mu}$ | $\eta\lambda w + \eta\, U V^\top$ of $m = U \Sigma V^\top$ | `muon` | 1 |

Three questions sort them. Do you average the *gradient* (momentum)? Do you divide by its *usual size*, and is that a sum, an average or a
maximum? Do you treat every number by itself, or a matrix as a matrix? Adam answers yes, average, by itself.

## 17.4 Build it

**Momentum**, as a loop over every number, then over tensors, then from the library:
"""

# %%
grads = torch.randn(5, 3, 2)  # five steps of a (3, 2) weight matrix
looped = torch.zeros(3, 2)
for row in range(3):
    for column in range(2):
        w = u = 0.0
        for g in grads[:, row, column].tolist():
            u = 0.9 * u + g
            w = w - 0.1 * u
        looped[row, column] = w

w = u = torch.zeros(3, 2)
for g in grads:
    u = 0.9 * u + g
    w = w - 0.1 * u

library, state = torch.zeros(3, 2), {}
for g in grads:
    library, state = rules.momentum(library, g, state, lr=0.1)
print("loop = tensors:   ", torch.allclose(looped, w, atol=1e-6))
print("tensors = library:", torch.allclose(w, library, atol=1e-6))

# %% [markdown]
r"""
Sutskever's paper keeps the rate *inside* the velocity, $u = \mu u - \eta g$, $w \leftarrow w + u$; PyTorch keeps it outside, as above. **Predict** when
the two part:
"""


# %%
def apart(rates):
    """Distance of the two forms after the five gradients above, one rate a step."""
    inside = outside = u_inside = u_outside = torch.zeros(3, 2)
    for g, rate in zip(grads, rates, strict=True):
        u_inside, u_outside = 0.9 * u_inside - rate * g, 0.9 * u_outside + g
        inside, outside = inside + u_inside, outside - rate * u_outside
    return (inside - outside).abs().max().item()


constant, falling = apart([0.1] * 5), apart([0.1, 0.1, 0.01, 0.01, 0.01])
claim(
    "C17.24",
    "Momentum with the learning rate inside the velocity (Sutskever) and outside (PyTorch) is one rule at a constant rate, and two "
    "when the rate falls",
    constant < 1e-6 and falling > 0.01,
    measured=f"apart after five steps: constant {constant:.0e}, rate cut to a tenth after two {falling:.2f}",
)

# %% [markdown]
r"""
At a constant rate $u_\text{inside} = -\eta\, u_\text{outside}$. When the rate is cut, PyTorch's old velocity is cut with it at once; Sutskever's
goes on at the old rate until it has decayed.

Every rule in `course_lib/training/update_rules.py` has this form: a pure function `(parameter, gradient, state) -> (parameter,
state)` of about a dozen lines. Are they the real thing? Twenty steps on a 6 × 4 matrix, beside `torch.optim`:
"""

# %%
AGAINST_TORCH = {
    "SGD": (rules.sgd, optim.SGD),
    "momentum": (rules.momentum, partial(optim.SGD, momentum=0.9)),
    "Nesterov": (rules.nesterov, partial(optim.SGD, momentum=0.9, nesterov=True)),
    "Adagrad": (rules.adagrad, optim.Adagrad),
    "RMSprop": (rules.rmsprop, optim.RMSprop),
    "Adadelta": (rules.adadelta, optim.Adadelta),
    "Adam": (rules.adam, optim.Adam),
    "AdamW": (rules.adamw, optim.AdamW),
    "Adamax": (rules.adamax, optim.Adamax),
    "Adafactor": (rules.adafactor, optim.Adafactor),
    "Muon": (rules.muon, optim.Muon),
}


# %%
def gap_to_torch(rule, build, steps=20):
    """Largest difference of any weight at any step."""
    ours, theirs, state, gap = torch.ones(6, 4), nn.Parameter(torch.ones(6, 4)), {}, 0.0
    optimizer = build([theirs], lr=0.02)
    for seed in range(steps):
        theirs.grad = torch.randn(6, 4, generator=torch.Generator().manual_seed(seed))
        ours, state = rule(ours, theirs.grad, state, lr=0.02)
        optimizer.step()
        gap = max(gap, (ours - theirs).abs().max().item())
    return gap


gaps = {name: gap_to_torch(*pair) for name, pair in AGAINST_TORCH.items()}
claim(
    "C17.9",
    "Eleven rules of a dozen lines each equal torch.optim step for step, 20 steps, to 1e-6",
    len(gaps) == 11 and max(gaps.values()) < 1e-6,
    measured=f"largest gap {max(gaps.values()):.0e} ({max(gaps, key=gaps.get)})",
)

# %% [markdown]
r"""
(Lion, the twelfth, is not in `torch.optim`; its tests compare with hand arithmetic.)

### Exercise 17.1 · adamw_step ●●○ 12 minutes

The interview question itself. All tensors have one shape; `t` counts from 1; change nothing in place.
"""


# %% tags=["exercise"]
def adamw_step(weight, gradient, m, v, t, lr, betas, eps, weight_decay):
    """Returns the new weight, m and v."""
    raise NotImplementedError


check(exercise.adamw_step, adamw_step)
hint(exercise.adamw_step)

# %% [markdown]
r"""
### Exercise 17.2 · adadelta_step ●●● 12 minutes

A step ought to have the unit of the weight. $\eta g$ has not, and $g / \sqrt v$, which no longer sees the scale of the loss, has no unit at all.
Adadelta puts the usual size of its own *steps* above the line. `square` and `moved` are the two averages; the order in which you update them is the exercise.
"""


# %% tags=["exercise"]
def adadelta_step(gradient, square, moved, rho, eps):
    """Returns step, square, moved; the caller computes weight - step."""
    raise NotImplementedError


check(exercise.adadelta_step, adadelta_step)
hint(exercise.adadelta_step)

# %% [markdown]
r"""
## 17.5 Explore: a race on a valley that you can turn

$f(x) = \tfrac12 x^\top H x$ with curvatures 1 and `condition`, turned by `angle`; the start turns along. For every angle each
optimiser gets the best of 51 learning rates. On the right: steps until the loss is a ten-thousandth of its start. **Predict
first**: which curves on the right will be flat?
"""

# %%
RATES = torch.logspace(-4, 1, 51, dtype=torch.float64)
ANGLES = [float(angle) for angle in range(0, 91, 5)]
START = torch.tensor([1.3, 0.7], dtype=torch.float64)
CONTESTANTS = {"SGD": rules.sgd, "momentum": rules.momentum, "Nesterov": rules.nesterov, "Adagrad": rules.adagrad}
CONTESTANTS |= {"RMSprop": rules.rmsprop, "Adadelta": rules.adadelta, "Adam": rules.adam, "Adamax": rules.adamax}
CONTESTANTS |= {"Lion": rules.lion}
FLAT = {"SGD", "momentum", "Nesterov"}  # the rules that cannot notice a rotation


def race(rule, degrees, condition, limit, start=START):
    """Steps needed at each angle with the best rate (A,), and the way taken with it (T, A, 2). All runs at once."""
    angle = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=-1).view(-1, 2, 2)
    hessian = turn @ torch.tensor([1.0, condition], dtype=torch.float64).diag() @ turn.mT  # (A, 2, 2)
    x, state = (turn @ start)[:, None].expand(-1, len(RATES), 2), {}  # (A, rates, 2)
    way, needed = [x], torch.full(x.shape[:2], float("inf"))
    goal = 1e-4 * ((x @ hessian) * x).sum(-1)
    for t in range(1, limit + 1):
        x, state = rule(x, x @ hessian, state, lr=RATES[:, None])
        way.append(x)
        needed[(((x @ hessian) * x).sum(-1) < goal) & needed.isinf()] = t
        if needed.isfinite().any(dim=1).all():
            break
    steps, best = needed.min(dim=1)
    return steps, torch.stack(way)[:, torch.arange(len(best)), best]


# %%
def draw_race(optimiser="Adam", angle=30, condition=1000):
    """The way down at one angle, and the steps needed at all of them, beside momentum's."""
    steps, way = race(CONTESTANTS[optimiser], [*ANGLES, float(angle)], float(condition), limit=400)
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.1), layout="constrained")
    axis, radians = torch.linspace(-1.7, 1.7, 61), torch.tensor(angle).deg2rad()
    x, y = torch.meshgrid(axis, axis, indexing="xy")
    along, across = radians.cos() * x + radians.sin() * y, radians.cos() * y - radians.sin() * x
    left.contour(x, y, (along**2 + condition * across**2).sqrt(), levels=12, cmap="Greys", linewidths=0.7)
    here = steps[-1].clamp(max=400).int().item()
    left.plot(*way[: here + 1, -1].T, "o-", color=COLOURS[1], markersize=2.5, linewidth=1)
    left.set(title=f"{optimiser}, turned by {angle}°", aspect="equal", xlim=(-1.7, 1.7), ylim=(-1.7, 1.7))
    right.plot(ANGLES, race(rules.momentum, ANGLES, float(condition), limit=400)[0], "k:", label="momentum")
    right.plot(ANGLES, steps[:-1], color=COLOURS[0], label=optimiser)
    right.plot([angle], [here], "o", color=COLOURS[1])
    right.set(title=f"{here} steps here" if here < 400 else "400 steps are not enough", ylim=(0, 410))
    right.set(xlabel="angle in degrees", ylabel="steps at the best rate")
    right.legend(fontsize=8)
    return fig


explore(
    draw_race,
    alt="Left, Adam's zigzag down a turned valley. Right, its steps over the angle: a hump, above momentum's flat line.",
    optimiser=list(CONTESTANTS),
    angle=(0, 90),
    condition=[1, 10, 100, 1000],
)

# %% [markdown]
r"""
The curves of SGD (off the top at 1,000), momentum and Nesterov are flat; those of all others have a hump. Reading without a kernel? All nine at the two
extremes come next.

## 17.6 Evidence

**The rotation bet.** Condition 1,000, the valley along the axes and turned by 45°. Since a start can be lucky, the right column repeats
the race from a second one, on which the steep direction weighs more.
"""

# %%
needed = {name: race(rule, [0.0, 45.0], 1000.0, limit=3000)[0].tolist() for name, rule in CONTESTANTS.items()}
milder = torch.tensor([0.5, 1.4], dtype=torch.float64)
other = {n: race(rule, [0.0, 45.0], 1000.0, limit=200, start=milder)[0].tolist() for n, rule in CONTESTANTS.items()}
aligned, turned = ({name: [steps[k]] for name, steps in needed.items()} for k in (0, 1))
fig, ax = dot_plot({"along the axes": aligned, "turned by 45°": turned}, xlabel="steps at the best learning rate")
ax.set_xscale("log")
show(
    fig,
    "Along the axes Adagrad and RMSprop lead; turned, they are near the end. SGD and momentum stay where they were.",
)
print(
    "\n".join(f"{n:9s} {a:5.0f} -> {b:5.0f}  {other[n][0]:6.0f} -> {other[n][1]:4.0f}" for n, (a, b) in needed.items())
)

claim(
    "C17.5",
    "Turned by 45°, SGD, momentum and Nesterov need the same steps from both starts; every rule that divides or takes signs "
    "needs 3 times as many, from the second start 1.5 times",
    all(abs(steps[n][0] - steps[n][1]) <= 2 for steps in (needed, other) for n in FLAT)
    and all(needed[n][1] > 3 * needed[n][0] and other[n][1] > 1.5 * other[n][0] for n in CONTESTANTS.keys() - FLAT)
    and needed["RMSprop"][0] < needed["momentum"][0] < needed["Adam"][1],
    measured=", ".join(
        f"{name} {needed[name][0]:.0f} to {needed[name][1]:.0f}" for name in ("SGD", "momentum", "RMSprop", "Adam")
    ),
)

# %% [markdown]
r"""
So *Try first*: SGD 1,048 and momentum 74, as before; RMSprop 1,498 and Adam 204. From this start RMSprop falls from first to last but one
without a change of the problem. How much a rule loses depends on the start; that it loses does not. A sum of squares per *coordinate* can undo a bad scale per
coordinate, and nothing else: a diagonal matrix cannot straighten a valley that runs diagonally. Gradients and their sums turn with
the coordinates, so SGD and momentum cannot notice. ("Adam converges faster": along the axes, yes. Turned, momentum
beats it from both starts.)

**Then why does everybody train language models with Adam?** One well-supported reason: frequency *is* an axis-aligned valley. Ten thousand words,
frequencies as 1/rank, one weight to learn per word; the gradient of a word is its frequency times its error. 200 steps at the best
of 19 learning rates:
"""

# %%
frequency = 1 / torch.arange(1, 10_001)
frequency = frequency / frequency.sum()
rates, learnt = torch.logspace(-3, 1.5, 19)[:, None], {}
for name in ("SGD", "momentum", "Adagrad", "RMSprop", "Adam", "Lion"):
    w, state = torch.zeros(19, 10_000), {}
    for _ in range(200):
        w, state = CONTESTANTS[name](w, frequency * (w - 1), state, lr=rates)  # every word's target is 1
    best = (frequency * (w - 1) ** 2).sum(dim=1).nan_to_num(torch.inf).argmin()
    learnt[name] = ((w[best] - 1).abs() < 0.1).float().mean().item()
    print(f"{name:9s} {learnt[name]:4.0%} of the words within 10 %")

claim(
    "C17.11",
    "On 10,000 words of Zipf frequency, SGD at its best rate learns under a tenth in 200 steps; rules that divide learn all",
    learnt["SGD"] < 0.1
    and learnt["momentum"] < 0.6
    and min(learnt[n] for n in ("Adagrad", "RMSprop", "Adam", "Lion")) > 0.95,
    measured=", ".join(f"{name} {share:.2f}" for name, share in learnt.items()),
)

# %% [markdown]
r"""
The rarest word is 10,000 times as rare as the commonest, so its direction is 10,000 times as flat. This toy has one weight per word and
nothing shared; that heavy-tailed classes cause the same gap in real Transformers, CNNs and linear models is the finding of Kunstner et
al. (2024).

**Why decoupled?** Two thousand weights, all 1, that the data do not care about: their gradients are pure noise, of standard deviation
0.01 for half of them and 10 for the others. 300 steps, learning rate 0.01, decay 0.1. A decay of 0.001 a step leaves
$0.999^{300}$. **Predict** all four entries.
"""

# %%
noise = torch.randn(300, 2, 1000, generator=torch.Generator().manual_seed(0)) * torch.tensor([[0.01], [10.0]])
left = {"Adam + L2": partial(rules.adam, l2=0.1), "AdamW": partial(rules.adamw, weight_decay=0.1)}
for name, rule in left.items():
    w, state = torch.ones(2, 1000), {}
    for g in noise:
        w, state = rule(w, g, state, lr=0.01)
    left[name] = w.mean(dim=1).tolist()
    print(f"{name:10s} quiet {abs(left[name][0]):.2f}   loud {left[name][1]:.2f}   0.999^300 = {0.999**300:.2f}")

claim(
    "C17.3",
    "Adam + L2 wipes out weights with quiet gradients and spares loud ones; AdamW shrinks both by the same, predicted share",
    abs(left["Adam + L2"][0]) < 0.01
    and left["Adam + L2"][1] > 0.95
    and max(abs(x - 0.999**300) for x in left["AdamW"]) < 0.05,
    measured=f"Adam + L2 {abs(left['Adam + L2'][0]):.4f} and {left['Adam + L2'][1]:.3f}, AdamW {left['AdamW'][0]:.3f} and {left['AdamW'][1]:.3f}",
)

# %% [markdown]
r"""
With plain SGD the two *are* the same (up to a factor $\eta$), which is where the habit of calling both "weight decay" comes from.

**What must not decay.** In a small GPT, which of these decay?
"""

# %%
torch.manual_seed(0)
model = Decoder(vocabulary=5000, length=64, width=64, depth=2, heads=4)
names = {id(parameter): name for name, parameter in model.named_parameters()}
total = sum(parameter.numel() for parameter in model.parameters())
for group in parameter_groups(model, weight_decay=0.1):
    count = sum(parameter.numel() for parameter in group["params"])
    kinds = sorted({names[id(p)].removeprefix("blocks.0.").removeprefix("blocks.1.") for p in group["params"]})
    print(f"decay {group['weight_decay']}: {count:,} numbers, {count / total:.0%}\n   {', '.join(kinds)}")

# %% [markdown]
r"""
Matrices decay. A bias multiplies no input, and a gain is at home at 1, not at 0: pulling either to 0 restrains nothing. Embeddings are a choice:
recipes that ask only for two axes decay them, OLMo 2 does not, and a matrix that is also the output layer can only do one of the two. The case
against: a row gets a gradient only when its token occurs, while the decay comes every step. Two rows, 1,000 steps, learning rate 0.01, decay 0.1; the second token never occurs:
"""

# %%
g = torch.zeros(2, 4)
rows = {}
for name, rule in {
    "AdamW, decay 0.1": partial(rules.adamw, weight_decay=0.1),
    "Adam + L2 0.1": partial(rules.adam, l2=0.1),
    "AdamW, no decay": partial(rules.adamw, weight_decay=0.0),
}.items():
    w, state = torch.ones(2, 4), {}
    for t in range(1000):
        g[0] = (-1.0) ** t  # a seen token whose gradients cancel
        w, state = rule(w, g, state, lr=0.01)
    rows[name] = w[1, 0].abs().item()
    print(f"{name:17s} the unseen row is now {rows[name]:.3f}")

claim(
    "C17.14",
    "A row that gets no gradient still shrinks under AdamW's decay, and Adam + L2 drives it to 0; without decay it stays",
    abs(rows["AdamW, decay 0.1"] - 0.999**1000) < 1e-3
    and rows["Adam + L2 0.1"] < 0.05
    and rows["AdamW, no decay"] == 1.0,
    measured=", ".join(f"{name} {value:.3f}" for name, value in rows.items()),
)

# %% [markdown]
r"""
### Exercise 17.3 · param_groups ●●○ 10 minutes

Sort a model's parameters for AdamW. The test model has an embedding, a convolution, a LayerNorm whose gain has *two* axes, a learned
scale, a frozen layer, and an embedding that is also the weight of a head. Every parameter that trains stands in one group, once.
"""


# %% tags=["exercise"]
def param_groups(model, weight_decay):
    """Two dicts with "params" and "weight_decay": what decays, and what does not."""
    raise NotImplementedError


check(exercise.param_groups, param_groups)
hint(exercise.param_groups)

# %% [markdown]
r"""
**One bad gradient.** A weight sees gradient 1 at every step, and once, at step 1,000, 100. What do the steps look like afterwards?
And the opposite: 1,000 quiet steps with gradient 0.01, then the gradient is 1 for good.
"""


# %%
def step_lengths(rule, gradients):
    """Length of every step in learning rates."""
    w, state, lengths = torch.zeros(1, dtype=torch.float64), {}, []
    for g in gradients:
        moved, state = rule(w, torch.tensor([g], dtype=torch.float64), state, lr=1.0)
        lengths.append((w - moved).item())
        w = moved
    return lengths


SPIKE, WAKE = [1.0] * 999 + [100.0] + [1.0] * 1000, [0.01] * 1000 + [1.0] * 1000
MEMORIES = {"Adam": rules.adam, "Adam, β₂ = 0.95": partial(rules.adam, betas=(0.9, 0.95)), "Adamax": rules.adamax}
after = {name: (step_lengths(rule, SPIKE), step_lengths(rule, WAKE)) for name, rule in MEMORIES.items()}

fig, axes = plt.subplots(1, 2, figsize=(7.5, 2.8), layout="constrained", sharey=True)
for name, style in zip(after, ("-", "--", ":"), strict=True):
    for ax, lengths in zip(axes, after[name], strict=True):
        ax.semilogy(range(960, 1300), lengths[960:1300], style, label=name)
axes[0].set(title="one gradient 100 times as large", xlabel="step", ylabel="step / learning rate")
axes[1].set(title="100 times as large from here on", xlabel="step")
axes[1].legend(fontsize=8, loc="lower right")
show(
    fig,
    "After one spike Adam and Adamax crawl for hundreds of steps. After a quiet time Adam's steps jump to five learning rates.",
)

adam, short, adamax = (after[name][0] for name in MEMORIES)
awake, awake_short, _ = (after[name][1] for name in MEMORIES)
claim(
    "C17.6",
    "50 steps after a gradient 100 times too large Adam makes a quarter of its steps, Adamax a ninetieth",
    0.23 < adam[1049] < 0.29 and abs(90 * adamax[1049] - 1) < 0.05,
    measured=f"Adam {adam[1049]:.3f}, Adamax {adamax[1049]:.3f} learning rates; Adam at the spike {adam[999]:.2f}",
)
claim(
    "C17.13",
    "After 1,000 quiet steps a normal gradient makes Adam's steps 5 learning rates long; with beta2 = 0.95 they stay near 1",
    max(awake) > 4.5 and max(awake_short) < 1.3 and adam[1199] < 0.35 and short[1199] > 0.95,
    measured=f"longest step {max(awake):.2f} against {max(awake_short):.2f}; 200 after a spike {adam[1199]:.2f} against {short[1199]:.2f}",
)

# %% [markdown]
r"""
Left: at the spike Adam steps under three learning rates, and then $v$ remembers it for thousands of steps ($1 / (1 - \beta_2)$ is
its memory). Right: a $v$ that is *out of date* is the more dangerous case, and clipping the gradient at norm 1 would see nothing: each gradient is a
normal 1. In CLIP training, loss spikes followed one to eight steps after $v$ had underestimated the squared gradient
(Wortsman et al., 2023). Limiting the *update's* root mean square, as Adafactor does, sees it; so does a shorter memory, and $\beta_2 = 0.95$
is what LLaMA used.

**Clipping.** First a wall that gets steeper and steeper, $f(x) = x^4$ from $x = 2$ with learning rate 0.2:
"""


# %%
def descend(limit):
    """200 steps of SGD on x to the fourth; the gradient's norm is cut to `limit`."""
    x = torch.tensor([2.0])
    for step in range(1, 201):
        (g,), _ = rules.clip_global_norm([4 * x**3], limit)
        x, _ = rules.sgd(x, g, {}, lr=0.2)
        if x.abs() > 1e6:
            return f"diverged at step {step}"
    return x.item()


free, clipped = descend(limit=float("inf")), descend(limit=1.0)
claim(
    "C17.7",
    "On x to the fourth SGD diverges within four steps, and with the gradient clipped to 1 it converges",
    free == "diverged at step 4" and isinstance(clipped, float) and abs(clipped) < 0.2,
    measured=f"without {free}, with clipping x = {clipped:.3f} after 200 steps",
)

# %% [markdown]
r"""
Now a real model: a small MLP on 8 × 8 handwritten digits. Everything is fine for 99 steps, then *one* batch arrives with pixels of 0 to 255 instead of
0 to 1, because someone's loader forgot to divide. Afterwards the data are clean again. **Predict**: how long does SGD with momentum suffer? AdamW?
"""

# %%
(images, labels), (test_images, test_labels) = digits()
TRAINED_ON, HELD_OUT = (images[:1030], labels[:1030]), (images[1030:], labels[1030:])
SEEDS = (0, 1, 2)


def build_mlp(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def train_with_accident(kind, lr, clip_norm, seed, factor=255):
    """250 steps, of which the hundredth sees unscaled pixels; the history, and the test accuracy at the end."""
    model, step = build_mlp(seed), iter(range(1, 251))

    def loss(model, batch):
        return classify(model, (batch[0] * (factor if next(step) == 100 else 1), batch[1]))

    config = TrainConfig(steps=250, learning_rate=lr, clip_norm=clip_norm, seed=seed, progress="none")
    history = fit(model, TRAINED_ON, loss, config, optimizer=lambda model: kind(model.parameters(), lr=lr))
    return history["loss"], accuracy(model(test_images), test_labels)


# %%
heavy_ball = partial(optim.SGD, momentum=0.9)
ACCIDENT = {"momentum": (heavy_ball, 0.05, None), "momentum, clipped": (heavy_ball, 0.05, 1.0)}
ACCIDENT |= {"AdamW": (optim.AdamW, 3e-3, None), "AdamW, clipped": (optim.AdamW, 3e-3, 1.0)}
CLIPPED = ("momentum, clipped", "AdamW, clipped")
accidents = {name: [train_with_accident(*setting, seed) for seed in SEEDS] for name, setting in ACCIDENT.items()}
clean = [train_with_accident(*ACCIDENT[name], seed, factor=1)[1] for name in CLIPPED for seed in SEEDS]

fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for number, (name, runs) in enumerate(accidents.items()):
    style = {"color": COLOURS[1 - number // 2], "linestyle": ("-", "--")[number % 2], "label": name}
    ax.semilogy(range(60, 201), runs[0][0][59:200], **style)
ax.set(xlabel="step (the bad batch is number 100)", ylabel="training loss, seed 0")
ax.legend(fontsize=8)
show(
    fig,
    "At the bad batch momentum's loss shoots up and does not return; AdamW's bulges and recovers; clipped runs show one bad point.",
)

bulge = {name: torch.tensor([sum(losses[100:130]) / 30 for losses, _ in runs]) for name, runs in accidents.items()}
right = {name: torch.tensor([share for _, share in runs]) for name, runs in accidents.items()}
missed = (torch.cat([right[name] for name in CLIPPED]) - torch.tensor(clean)).abs().max()
claim(
    "C17.12",
    "One unscaled batch throws momentum SGD's loss past chance for 30 steps, and it ends over 10 points below the same run "
    "clipped to norm 1; clipped runs end within 2 points of runs without the accident (3 seeds)",
    bulge["momentum"].min() > 2.3 and (right["momentum, clipped"] - right["momentum"]).min() > 0.10 and missed < 0.02,
    measured=", ".join(f"{name} {values.min():.2f} to {values.max():.2f}" for name, values in right.items())
    + f"; clipped and without the accident differ by {missed:.3f} at most",
)
claim(
    "C17.21",
    "AdamW survives it unclipped, with a loss over the next 30 steps at least 3 times that of the clipped run (3 seeds)",
    right["AdamW"].min() > 0.8 and (bulge["AdamW"] > 3 * bulge["AdamW, clipped"]).all(),
    measured=f"mean loss {bulge['AdamW'].min():.2f} to {bulge['AdamW'].max():.2f} against {bulge['AdamW, clipped'].max():.2f} at most",
)

# %% [markdown]
r"""
The division by $\sqrt{v}$ is a safety belt: the bad gradient enters $m$ and $v$ alike. Momentum multiplies it by the learning rate, is thrown out
of the bowl, and mostly stays there.

### Exercise 17.4 · clip_global_norm ●○○ 8 minutes

One factor for all tensors. A list of tensors in, a list of tensors out.
"""


# %% tags=["exercise"]
def clip_global_norm(gradients, limit):
    """Joint L2 norm at most `limit`."""
    raise NotImplementedError


check(exercise.clip_global_norm, clip_global_norm)
hint(exercise.clip_global_norm)

# %% [markdown]
r"""
**The race that papers run.** The same MLP, ten optimisers, 100 steps of 128 digits, cosine schedule. First everyone gets learning rate 0.001, "for
fairness". Then everyone gets the best of three rates of its own, chosen on 257 held-out training images. Test: 510 digits by other writers, three seeds.
**Predict** who wins the first race, and where the winner comes in the second.
"""


# %%
def with_muon(model):
    """Muon for the hidden matrix, AdamW for the rest, at one learning rate."""
    hidden = [{"params": [model[3].weight], "rule": partial(rules.muon, match_adam=True)}]
    rest = {"params": [p for p in model.parameters() if p is not model[3].weight]}
    return rules.RuleOptimizer([*hidden, rest], rules.adamw, lr=1.0)


OPTIMISERS = {  # how to build it (fit sets the learning rate), and its own three rates
    "SGD": (lambda model: optim.SGD(model.parameters()), (0.2, 0.5, 1.0)),
    "momentum": (lambda model: optim.SGD(model.parameters(), momentum=0.9), (0.1, 0.2, 0.4)),
    "Adagrad": (lambda model: optim.Adagrad(model.parameters()), (0.03, 0.1, 0.2)),
    "RMSprop": (lambda model: optim.RMSprop(model.parameters()), (3e-3, 6e-3, 1e-2)),
    "Adadelta": (lambda model: optim.Adadelta(model.parameters()), (1.0, 3.0, 10.0)),
    "AdamW": (lambda model: optim.AdamW(model.parameters()), (0.01, 0.02, 0.04)),
    "Adamax": (lambda model: optim.Adamax(model.parameters()), (0.03, 0.06, 0.1)),
    "Lion": (lambda model: rules.RuleOptimizer(model.parameters(), rules.lion, lr=1.0), (3e-3, 6e-3, 1e-2)),
    "Adafactor": (lambda model: optim.Adafactor(model.parameters()), (0.1, 0.3, 0.6)),
    "Muon + AdamW": (with_muon, (0.01, 0.02, 0.04)),
}


# %%
def train_digits(name, lr, seed):
    """Held-out loss and test accuracy after 100 steps."""
    model = build_mlp(seed)
    setting = {"schedule": "cosine", "warmup_steps": 10, "progress": "none", "seed": seed}
    config = TrainConfig(steps=100, batch_size=128, learning_rate=lr, **setting)
    fit(model, TRAINED_ON, classify, config, optimizer=OPTIMISERS[name][0])
    with torch.no_grad():
        return classify(model, HELD_OUT).item(), accuracy(model(test_images), test_labels)


def tuned(name):
    """Test accuracies at the rate whose mean held-out loss over the seeds is lowest."""
    runs = [[train_digits(name, lr, seed) for seed in SEEDS] for lr in OPTIMISERS[name][1]]
    best = min(runs, key=lambda outcomes: sum(loss for loss, _ in outcomes))
    return [share for _, share in best]


same = {name: [train_digits(name, 1e-3, seed)[1] for seed in SEEDS] for name in OPTIMISERS}
own = {name: tuned(name) for name in OPTIMISERS}
fig, ax = dot_plot(
    {"0.001 for everyone": same, "its own rate": own}, xlabel="test accuracy, one mark a seed", chance=0.1
)
show(
    fig,
    "At one common rate accuracies spread from chance to over 0.8; with rates of their own all but SGD lie close together.",
)

mean_same, mean_own = ({n: sum(values) / 3 for n, values in runs.items()} for runs in (same, own))
others = {name: value for name, value in mean_own.items() if name != "SGD"}
claim(
    "C17.10",
    "At a common rate RMSprop leads a field spread over 50 points; at rates of their own all but SGD lie within 8 (3 seeds)",
    max(mean_same, key=mean_same.get) == "RMSprop"
    and max(mean_same.values()) - min(mean_same.values()) > 0.5
    and max(others.values()) - min(others.values()) < 0.08,
    measured=f"common {min(mean_same.values()):.2f} to {max(mean_same.values()):.2f}, own {min(others.values()):.3f} to {max(others.values()):.3f}, "
    f"SGD {mean_own['SGD']:.3f}",
)
claim(
    "C17.22",
    "With rates of their own the winner at the common rate falls behind AdamW and Muon + AdamW (mean of 3 seeds)",
    min(mean_own["AdamW"], mean_own["Muon + AdamW"]) > mean_own["RMSprop"],
    measured=f"Muon + AdamW {mean_own['Muon + AdamW']:.3f}, AdamW {mean_own['AdamW']:.3f}, RMSprop {mean_own['RMSprop']:.3f}",
)

# %% [markdown]
r"""
The learning rate decides more than the optimiser, and a comparison at one common rate measures only whose default it was. Tuned, the
spread is a few points, on a task of a minute. The large benchmark says the same in its size: ten optimisers, each tuned, and the matrix
rules' lead over AdamW shrinks to 1.1 times as the models grow to 1.2 B (Wen et al., 2025).

## 17.7 Wrong answers people give

Bet before you run: is the sentence true?

> **"SGD has a high computational cost; adaptive methods save time per step."**

It sounds right because SGD needs more *steps*. Per step it is the cheapest there is, and it remembers nothing. Count what each keeps per
weight of a 64 × 32 matrix:
"""

# %%
kept = {}
for name, (_, build) in AGAINST_TORCH.items():
    weight = nn.Parameter(torch.ones(64, 32))
    weight.grad = torch.ones(64, 32)
    optimizer = build([weight], lr=0.1)
    optimizer.step()
    kept[name] = rules.state_numbers(optimizer.state.values()) / weight.numel()

claim(
    "C17.1",
    "State per weight: SGD 0; momentum, Adagrad, RMSprop, Muon 1; Adam, AdamW, Adamax, Adadelta 2; Adafactor a row and a column",
    kept["SGD"] == 0
    and all(kept[name] == 1 for name in ("momentum", "Nesterov", "Adagrad", "RMSprop", "Muon"))
    and all(kept[name] == 2 for name in ("Adam", "AdamW", "Adamax", "Adadelta"))
    and kept["Adafactor"] == (64 + 32) / (64 * 32),
    measured=", ".join(f"{name} {value:.3g}" for name, value in kept.items()),
)

# %% [markdown]
r"""
And the time? Forward and backward cost 6 FLOPs per weight *and example*; a step of AdamW about 15 per weight, once. At 512 examples that is 3,072
against 15. The step touches memory more than it computes, so the clock is less extreme, but the order stays:
"""


# %%
def fastest(call, repeats=7):
    """Shortest of several runs in seconds of CPU time, so that other programs do not count."""
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        call()
        times.append(time.process_time() - begin)
    return min(times)


threads = torch.get_num_threads()
torch.set_num_threads(1)  # or waiting for each other would be measured as well
model = nn.Sequential(nn.Linear(256, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))
inputs, targets = torch.randn(512, 256), torch.randint(0, 10, (512,))
pass_time = fastest(lambda: F.cross_entropy(model(inputs), targets).backward())
step_time = {kind.__name__: fastest(kind(model.parameters(), lr=1e-6).step) for kind in (optim.SGD, optim.AdamW)}
torch.set_num_threads(threads)
claim(
    "C17.18",
    "A step of AdamW takes less than half the time of forward and backward over 512 examples, even for this small MLP",
    step_time["AdamW"] < 0.5 * pass_time,
    measured=", ".join(f"{name} {value / pass_time:.1%} of the passes" for name, value in step_time.items()),
)

# %% [markdown]
r"""
> **"Adam is SGD with momentum."**

Half of it is. The other half divides. Multiply the loss by 1,000: momentum walks 1,000 times as far, Adam takes the same way.
"""

# %%
grads, walked = torch.randn(50, 8, dtype=torch.float64), {}
for name, rule in {"momentum": rules.momentum, "Adam": rules.adam}.items():
    for scale in (1.0, 1000.0):
        w, state = torch.zeros(8, dtype=torch.float64), {}
        for g in grads:
            w, state = rule(w, scale * g, state, lr=0.1)
        walked[name, scale] = w.norm().item()

farther = {name: walked[name, 1000.0] / walked[name, 1.0] for name in ("momentum", "Adam")}
claim(
    "C17.19",
    "With the loss multiplied by 1,000 momentum moves 1,000 times as far, and Adam as far as before",
    abs(farther["momentum"] / 1000 - 1) < 1e-6 and abs(farther["Adam"] - 1) < 1e-4,
    measured=f"momentum {farther['momentum']:.0f} times, Adam {farther['Adam']:.6f} times",
)

# %% [markdown]
r"""
> **"Adam adapts its bias correction to the data."**

It sounds right because everything else in Adam adapts. But $1 - \beta^t$ depends on the step number and on nothing else. Without it
steps would not be too short, as "averages start at 0" suggests, but too *long*: $v$ starts slower than $m$.
"""

# %%
excess = {t: (1 - 0.9**t) / (1 - 0.999**t) ** 0.5 for t in (1, 3, 10, 30, 100, 1000)}
print("step without correction / with:", ", ".join(f"{value:.2f} at t = {t}" for t, value in excess.items()))
loud, quiet = (
    [step_lengths(partial(rules.adam, correct=correct), [size] * 10)[-1] for correct in (False, True)]
    for size in (50.0, 0.02)
)
claim(
    "C17.20",
    "Uncorrected, the first step is 3.16 and the tenth 6.5 times too long, whether gradients are loud or quiet",
    abs(first["Adam without correction"][4] - 10**0.5) < 1e-3
    and abs(loud[0] / loud[1] - excess[10]) < 1e-3
    and abs(quiet[0] / quiet[1] - excess[10]) < 1e-3,
    measured=f"first {first['Adam without correction'][4]:.3f}, tenth {loud[0] / loud[1]:.3f} and {quiet[0] / quiet[1]:.3f}",
)

# %% [markdown]
r"""
> **"Use a faster optimiser, such as Adam or Adagrad."** And: **"Adadelta averages squared gradients."**

Adagrad never forgets, so its rate falls as $1/\sqrt t$ whether or not you are near the goal: it was made for sparse features, where each
weight has few steps. And Adadelta has *two* averages; that of squared gradients alone is RMSprop, and it is what makes both independent of the
loss's scale. The second one, of squared steps, gives the step the unit of the weight, so that it needs no learning rate.
"""

# %%
lengths = step_lengths(rules.adagrad, [3.0] * 10_000)
places = []
for scale in (1.0, 100.0, 1e4):  # the loss scale · x², from x = 1
    x, state = torch.ones(1, dtype=torch.float64), {}
    for _ in range(200):
        x, state = rules.adadelta(x, 2 * scale * x, state, keep=0.95)
    places.append(x.item())

claim(
    "C17.4",
    "Adagrad's rate is 1, 0.1 and 0.01 at steps 1, 100 and 10,000; Adadelta walks the same way on losses 10,000 times apart",
    all(abs(lengths[t - 1] * t**0.5 - 1) < 1e-6 for t in (1, 100, 10_000)) and max(places) - min(places) < 1e-3,
    measured=f"Adagrad {lengths[0]:.2f}, {lengths[99]:.2f}, {lengths[9999]:.2f}; Adadelta at {', '.join(f'{x:.4f}' for x in places)}",
)

# %% [markdown]
r"""
> **"Adamax improves on Adam and AdamW and is more robust."**

C17.6 has answered: one outlier sets its maximum, and afterwards it makes a ninetieth of its steps where Adam makes a quarter. It stands in
section 7 of the *same paper* as Adam, from 2014, so it could not improve on AdamW.

> **"EMA averages past learning rates."**

The average of a constant rate is that rate. What is averaged is *weights*, for the model that is evaluated (or gradients: that is $m$). 500
weights at the bottom of a bowl, noisy gradients, learning rate 0.1, decay of the average 0.99:
"""

# %%
generator = torch.Generator().manual_seed(0)
w, average, raw, smooth, rate = torch.zeros(500), torch.zeros(500), 0.0, 0.0, 0.1
for step in range(1500):
    w, _ = rules.sgd(w, w + 2 * torch.randn(500, generator=generator), {}, lr=0.1)
    average = 0.99 * average + 0.01 * w
    rate = 0.99 * rate + 0.01 * 0.1
    if step >= 500:
        raw, smooth = raw + w.square().mean().item(), smooth + average.square().mean().item()

claim(
    "C17.17",
    "Averaging a constant learning rate changes nothing; averaging the weights cuts their squared error at least fivefold",
    abs(rate - 0.1) < 1e-9 and raw / smooth > 5,
    measured=f"rate {rate:.3f}; squared error {raw / 1000:.3f} against {smooth / 1000:.3f}, {raw / smooth:.1f} times less",
)

# %% [markdown]
r"""
## 17.8 At scale

**Adam's memory for 7 B.** Mixed precision keeps, per weight: the weight in bf16 (2 bytes), its gradient in bf16 (2), the master weight
in fp32 (4), and the optimiser's numbers in fp32 (4 each). The shapes are those of LLaMA 7B: 32 layers of width 4,096, an MLP of 11,008, 32,000 tokens. And could the numbers be bf16? **Predict** what $v$ = 1 does
when the gradients stop, at $\beta_2$ = 0.999 and 0.95.
"""

# %%
SHAPES = 32 * ([(4096, 4096)] * 4 + [(11008, 4096)] * 3) + 2 * [(32000, 4096)]
weights = sum(rows * columns for rows, columns in SHAPES)
STATE_BYTES = {"SGD": 0, "Adafactor": 4 * sum(r + c for r, c in SHAPES) / weights, "AdamW, 8-bit states": 2}
STATE_BYTES |= {"momentum, Lion": 4 * kept["momentum"], "AdamW": 4 * kept["AdamW"]}
STATE_BYTES["Muon + AdamW"] = 4 * kept["Muon"] + 4 * 64000 * 4096 / weights  # embeddings and head: AdamW
print(f"{weights / 1e9:.2f} B weights in matrices\n{'':22s}{'bytes a weight':>15s}{'GB':>7s}   of which state")
for name, extra in STATE_BYTES.items():
    print(f"{name:22s}{8 + extra:>15.2f}{(8 + extra) * weights / 1e9:>7.0f}{extra * weights / 1e9:>11.1f}")

claim(
    "C17.15",
    "AdamW in mixed precision takes 16 bytes a weight, half of it state: 112 GB for 7.0 B, before any activation",
    8 + STATE_BYTES["AdamW"] == 16 == 2 * STATE_BYTES["AdamW"] and 16 * 7 == 112,
    measured=f"{8 + STATE_BYTES['AdamW']:.0f} bytes; {16 * weights / 2**30:.0f} GiB for these {weights / 1e9:.2f} B",
)

claim(
    "C17.25",
    "Stored in bf16 and rounded to nearest, v = 1 stays 1 after a step without gradient at β₂ = 0.999, and so for ever; at 0.95 it falls",
    torch.tensor(0.999 * 1).bfloat16() == 1 and abs(torch.tensor(0.95 * 1).bfloat16() / 0.95 - 1) < 0.004,
    measured=f"0.999 is stored as {torch.tensor(0.999).bfloat16():.4f}, 0.95 as {torch.tensor(0.95).bfloat16():.4f}",
)

# %% [markdown]
r"""
No 80 GB card holds AdamW's. The ways out: shard the state over GPUs (ZeRO stage 1 does this and nothing else), states in 8 bits with a
scale per block, a rule with less state (Lion, Muon, Adafactor), or fewer trained weights (LoRA).

**State in bf16** halves the 8 bytes. bf16 has 8 significant bits, so a change of less than about 0.2 to 0.4 % is rounded away: "never $v$ in bf16" is a rule for
$\beta_2$ = 0.999. DeepSeek-V3 trained with 0.95 and kept both averages in bf16.

**What changes around the rule.** With fp16, unscale the gradients *before* you clip, or you clip the loss scale. With accumulation, clip
once, after the last micro-batch. With sharding, the norm is global: square, sum over GPUs, then the root. Embeddings and the last layer stay with AdamW
when hidden matrices go to Muon, which needs whole matrices and therefore a gather.

**When the loss spikes** on a large run: look at the gradient norm and at update sizes per layer first. Then, in this order: clip (it is probably on);
lower $\beta_2$ to 0.95; longer warm-up or a lower rate; limit the update's size; and the bluntest one, go back about 100 steps and skip the
next few hundred batches, which is what PaLM did, roughly 20 times, *although* clipping was on. None of these touches a cause inside the model. If
*attention logits* grow, normalise queries and keys (QK-norm) or rescale their weights when a logit passes a limit (QK-clip, with Muon in Kimi K2); if
*output logits* drift, penalise $\log^2 Z$ of the softmax (z-loss, also in PaLM).

## 17.9 Look inside

Where does Adam step farther than SGD would? A trained digit model, first layer: for each pixel the mean size of $m$ (what SGD with momentum would move
by) and of $m / \sqrt v$ (what Adam moves by), as multiples of the median pixel.
"""

# %%
model = build_mlp(0)
adamw = optim.AdamW(model.parameters(), lr=1e-2)
config = TrainConfig(steps=100, batch_size=128, learning_rate=1e-2, seed=0)
fit(model, TRAINED_ON, classify, config, optimizer=lambda model: adamw)
m, v = (adamw.state[model[1].weight][key] for key in ("exp_avg", "exp_avg_sq"))
print("m", tuple(m.shape), " v", tuple(v.shape), "(hidden units, pixels)")

# %%
inked = images.mean(dim=0).flatten() > 0.01
steps = {"momentum: |m|": m.abs().mean(0), "Adam: |m| / √v": (m / (v.sqrt() + 1e-8)).abs().mean(0)}
steps = {name: size / size[inked].median() for name, size in steps.items()}
spread = {name: (size[inked].quantile(0.95) / size[inked].quantile(0.05)).item() for name, size in steps.items()}
left_vectors, before, right_vectors = torch.linalg.svd(m)
after_muon = (left_vectors.mT @ rules.orthogonalise(m) @ right_vectors.mT).diagonal()  # along the same directions
fig, axes = plt.subplots(1, 3, figsize=(7.5, 2.7), layout="constrained")
for ax, (name, size) in zip(axes, steps.items(), strict=False):
    picture = ax.imshow(size.clamp(min=1e-2).log10().view(8, 8), cmap="PuOr_r", vmin=-1.5, vmax=1.5)
    ax.set(title=name, xticks=[], yticks=[])
fig.colorbar(picture, ax=axes[1], label="log10 of the multiple")
axes[2].semilogy(before / before[0], "-", label="m")
axes[2].semilogy(after_muon, "--", label="Muon's update")
axes[2].set(title="singular values", xlabel="rank", ylim=(1e-4, 3))
axes[2].legend(fontsize=8)
show(
    fig,
    "SGD moves the weights of some pixels far more than others, Adam all alike; Muon lifts all but the vanishing singular values to about one.",
)

claim(
    "C17.23",
    "Over the pixels that carry ink momentum's steps spread at least twice as widely as Adam's",
    spread["momentum: |m|"] > 2 * spread["Adam: |m| / √v"],
    measured=", ".join(f"{name} {value:.1f} (95 % to 5 % quantile)" for name, value in spread.items()),
)

# %% [markdown]
r"""
Adam evens out *coordinates*. Muon evens out *singular values*: directions of the matrix, whatever coordinates they are written in. It does so
without a singular value decomposition, by five rounds of $X \leftarrow aX + b(XX^\top)X + c(XX^\top)^2X$. So it should pass the rotation test that Adam failed:
"""

# %%
turn = torch.linalg.qr(torch.randn(64, 64, dtype=torch.float64)).Q
gradient = m.double()
moves = {"Muon": rules.orthogonalise, "Adam": lambda g: rules.adam(torch.zeros_like(g), g, {}, lr=1.0)[0]}
gaps = {
    name: ((turn @ move(gradient) - move(turn @ gradient)).norm() / move(gradient).norm()).item()
    for name, move in moves.items()
}
claim(
    "C17.16",
    "Five Newton-Schulz rounds lift singular values within a hundredth of the largest to 0.3 or more; the update turns along",
    after_muon[before > 0.01 * before[0]].min() > 0.3 and gaps["Muon"] < 1e-3 and gaps["Adam"] > 0.3,
    measured=f"smallest of those {after_muon[before > 0.01 * before[0]].min():.2f}; gap after turning: Muon {gaps['Muon']:.0e}, Adam {gaps['Adam']:.2f}",
)

# %% [markdown]
r"""
## 17.10 Interview

Cover the answers, say yours aloud, compare. Each key point names the claim above that proves it, or a paper.
"""

# %%
show_questions("17")

# %% [markdown]
r"""
## 17.11 Card

- **Formula**: $m = \overline{g}^{\,\beta_1}$, $v = \overline{g^2}^{\,\beta_2}$; $w \leftarrow (1 - \eta\lambda)\, w - \eta\, \dfrac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}$.
- **Shapes**: $m$ and $v$ like the weight; Adafactor keeps a row and a column; Muon needs a matrix.
- **Cost**: 0, 1 or 2 numbers a weight; AdamW in mixed precision 16 bytes a weight; the step costs little beside forward and backward over a large batch.
- **Use** AdamW by default, $\beta_2 = 0.95$ and clipping at 1 for large models; momentum when it is tuned and the data are balanced; Muon for hidden
  matrices if someone owns the tuning; Adafactor, Lion or 8-bit states when memory decides.
- **Do not** compare optimisers at one learning rate, put the decay into the gradient, decay norms or biases (embeddings: decide, and say so), or expect clipping to
  see a $v$ that is out of date.
"""

# %% [markdown]
r"""
## 17.12 Sources

1. Kingma, Ba (2014), *Adam: A Method for Stochastic Optimization*, [arXiv:1412.6980](https://arxiv.org/abs/1412.6980): algorithm 1, bias correction, and Adamax in section 7.1.
2. Loshchilov, Hutter (2017), *Decoupled Weight Decay Regularization*, [arXiv:1711.05101](https://arxiv.org/abs/1711.05101): AdamW, without the schedule multiplier.
3. Sutskever et al. (2013), *On the importance of initialization and momentum in deep learning*,
   <https://proceedings.mlr.press/v28/sutskever13.html>: momentum and Nesterov; the rate stands inside the velocity,
   in `torch.optim.SGD` and here outside (17.4).
4. Duchi, Hazan, Singer (2011), *Adaptive Subgradient Methods for Online Learning and Stochastic Optimization*, [JMLR 12](https://jmlr.org/papers/v12/duchi11a.html): the diagonal form.
5. Hinton (2012), *Neural Networks for Machine Learning*, [lecture 6e](https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf): RMSprop, never published as a paper.
6. Zeiler (2012), *ADADELTA: An Adaptive Learning Rate Method*, [arXiv:1212.5701](https://arxiv.org/abs/1212.5701).
7. Shazeer, Stern (2018), *Adafactor: Adaptive Learning Rates with Sublinear Memory Cost*, [arXiv:1804.04235](https://arxiv.org/abs/1804.04235): without the first moment.
8. Chen et al. (2023), *Symbolic Discovery of Optimization Algorithms*, [arXiv:2302.06675](https://arxiv.org/abs/2302.06675): Lion.
9. Jordan et al. (2024), *Muon: An optimizer for hidden layers in neural networks*, <https://kellerjordan.github.io/posts/muon/>.
10. Liu et al. (2025), *Muon is Scalable for LLM Training*, [arXiv:2502.16982](https://arxiv.org/abs/2502.16982): decay, and updates of Adam's size.
11. Wen et al. (2025), *Fantastic Pretraining Optimizers and Where to Find Them*, [arXiv:2509.02046](https://arxiv.org/abs/2509.02046): tuned comparison up to 1.2 B.
12. Kunstner et al. (2024), *Heavy-Tailed Class Imbalance and Why Adam Outperforms Gradient Descent on Language Models*, [arXiv:2402.19449](https://arxiv.org/abs/2402.19449): we
    keep only the scale of the gradients, one weight per word.
13. Wortsman et al. (2023), *Stable and low-precision training for large-scale vision-language models*, [arXiv:2304.13013](https://arxiv.org/abs/2304.13013): spikes and a late $v$.
14. Pascanu, Mikolov, Bengio (2012), *On the difficulty of training Recurrent Neural Networks*, [arXiv:1211.5063](https://arxiv.org/abs/1211.5063): clipping the norm.
15. Chowdhery et al. (2022), *PaLM: Scaling Language Modeling with Pathways*, [arXiv:2204.02311](https://arxiv.org/abs/2204.02311): restarts and skipped batches.
16. Touvron et al. (2023), *LLaMA: Open and Efficient Foundation Language Models*, [arXiv:2302.13971](https://arxiv.org/abs/2302.13971): shapes, $\beta_2$ = 0.95, decay 0.1, clipping at 1.0.
17. Dettmers et al. (2021), *8-bit Optimizers via Block-wise Quantization*, [arXiv:2110.02861](https://arxiv.org/abs/2110.02861): counted, not built; block scales left out of the count.
18. OLMo Team (2024), *2 OLMo 2 Furious*, [arXiv:2501.00656](https://arxiv.org/abs/2501.00656): no decay on embeddings.
19. Rajbhandari et al. (2019), *ZeRO: Memory Optimizations Toward Training Trillion Parameter Models*, [arXiv:1910.02054](https://arxiv.org/abs/1910.02054): 16 bytes a weight.
20. DeepSeek-AI (2024), *DeepSeek-V3 Technical Report*, [arXiv:2412.19437](https://arxiv.org/abs/2412.19437): both moments in bf16, $\beta_2$ = 0.95.
21. Wortsman et al. (2023), *Small-scale proxies for large-scale Transformer training instabilities*, [arXiv:2309.14322](https://arxiv.org/abs/2309.14322): QK-norm and z-loss. Kimi
    Team (2025), *Kimi K2*, [arXiv:2507.20534](https://arxiv.org/abs/2507.20534): QK-clip.

## 17.13 Worked solutions
"""


# %% tags=["solution"]
def adamw_step(weight, gradient, m, v, t, lr, betas, eps, weight_decay):
    m = betas[0] * m + (1 - betas[0]) * gradient
    v = betas[1] * v + (1 - betas[1]) * gradient**2
    m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
    return weight * (1 - lr * weight_decay) - lr * m_hat / (v_hat.sqrt() + eps), m, v


check(exercise.adamw_step, adamw_step, solution=True)


# %% tags=["solution"]
def adadelta_step(gradient, square, moved, rho, eps):
    square = rho * square + (1 - rho) * gradient**2
    step = gradient * (moved + eps).sqrt() / (square + eps).sqrt()
    return step, square, rho * moved + (1 - rho) * step**2


check(exercise.adadelta_step, adadelta_step, solution=True)


# %% tags=["solution"]
def param_groups(model, weight_decay):
    kinds = (nn.Embedding, nn.LayerNorm, nn.RMSNorm)
    exempt = {id(p) for module in model.modules() if isinstance(module, kinds) for p in module.parameters()}
    groups = [{"params": [], "weight_decay": weight_decay}, {"params": [], "weight_decay": 0.0}]
    for parameter in model.parameters():
        if parameter.requires_grad:
            decays = parameter.dim() >= 2 and id(parameter) not in exempt
            groups[0 if decays else 1]["params"].append(parameter)
    return groups


check(exercise.param_groups, param_groups, solution=True)


# %% tags=["solution"]
def clip_global_norm(gradients, limit):
    norm = torch.sqrt(sum((gradient**2).sum() for gradient in gradients))
    factor = min(1.0, limit / (norm.item() + 1e-6))
    return [gradient * factor for gradient in gradients]


check(exercise.clip_global_norm, clip_global_norm, solution=True)

# %% [markdown]
r"""
*Lessons:* [start page](00_start_here.ipynb) · previous: 16 · Multi-task and joint learning (planned), before it [12 · Task losses and class imbalance](12_task_losses.ipynb) · next: 18 · Schedules, batch size and search (planned), then [19 · Regularisation and overfitting](19_regularisation.ipynb)
"""
