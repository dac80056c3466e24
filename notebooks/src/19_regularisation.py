# %% [markdown] tags=["second-form"]
r"""
# 19 · Regularisation and overfitting

You will be able to look at four training curves, name the remedy that fits each, and say what every regulariser does to the
weights, to the cost and to inference, and what it does not do.

*60 minutes and 15 more · needs no other lesson · under 60 s of CPU*

*15 minutes:* [The 60-second answer](#19.9-The-60-second-answer) · [Wrong answers people give](#19.7-Wrong-answers-people-give) · [Card](#19.11-Card)

*Lessons:* [start page](00_start_here.ipynb) · previous: 18 · Schedules, batch size and search (planned), before it [17 · Optimisers](17_optimisers.ipynb) · next: 20 · Why joint training fails (planned), then [21 · Metrics and protocols for prediction](21_prediction_metrics.ipynb)
"""

# %% [markdown]
r"""
## 19.1 The interview question

> **Which regularisers do you know, what does each of them do and not do, and which one would you use here?**
>
> **你知道哪些正则化方法？每种方法做了什么、没做什么？眼前这种情况你会用哪一种？**

**You will be able to**

1. write dropout and DropPath, and say what is left of them at inference;
2. say where L1's zeros come from, and why an L1 term in the loss alone gives none;
3. tell weight decay from an L2 penalty under Adam, and say what decay does in a single pass;
4. read a training curve and pick the remedy that fits it, the architecture included;
5. say what changes when data are repeated, and what keeps a fine-tuned model from forgetting.

**Try first.** Four networks read handwritten digits. Each is in trouble.

- **A** has 100 labelled digits. Training is perfect, the test is not.
- **B** has 500 labels, of which 30 % were replaced by a random digit. The test first rises, then falls.
- **C** has 500 clean labels and three hidden units. Training and test are both poor.
- **D** has 500 clean labels, and training and validation are excellent. The customer's camera is off by a pixel, and there
  accuracy collapses.

You may prescribe *one* remedy to each: weight decay, dropout, input noise, label smoothing, mixup, random shifts by
a pixel, early stopping, a network an eighth as wide, one four times as wide, three networks averaged, twice the labels, or a small
convolutional network with pooling. Write down four prescriptions. Section 19.6 runs all 48.

Four bets. *A*: which other remedy gains as much as twice the labels: nothing, the best of five tuned tricks, or the convolutional network with
pooling? *D*: without one moved picture in training, how much of the lost accuracy does that network win back? *DropPath* tosses one coin per
example for each residual block of a deep network; with rates that rise from 0 to 0.2, how many of 12 blocks does a training step compute?
*Repeats*: 400 examples are seen 64 times; what does the test loss do after pass 8?
"""

# %%
import functools
import itertools

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.exercises import lesson_19 as exercise
from course_lib.interview.show import show_questions
from course_lib.lesson.bets import bet, bets
from course_lib.lesson.claims import claim
from course_lib.lesson.exercises import check, hint
from course_lib.lesson.explore import explore
from course_lib.lesson.figures import COLOURS, heat_map, show
from course_lib.models import regularisers
from course_lib.training.sparse import ista

_ = torch.manual_seed(0)

# %%
bet(
    "C19.9",
    "A: what gains like twice the labels?",
    ["nothing", "a tuned trick", "pooling"],
)
bet("C19.12", "D: pooling recovers of the loss", ["nothing", "about half", "all of it"])
bet("C19.3", "DropPath computes, of 12 blocks,", ["about 6", "about 10.8", "all 12"])
bet("C19.13", "400 examples: the test loss then", ["still falls", "stays", "rises"])

# %% [markdown]
r"""
![One training step from left to right: data, network, loss, weight update, with the regularisers that act on each above it:
augmentation, noise and mixup; dropout, DropConnect and DropPath; label smoothing; L1, L2 and weight decay. Below, the inference
path: input, the whole network, prediction; an ensemble multiplies its cost.](figures/19_where_they_act.svg)

*Where each regulariser acts. Nearly everything in the upper row is switched off in the lower one.*

A regulariser changes what is *learnt*, not what is *run*. Two things are different: an ensemble and the architecture. They are still
there at inference.

## 19.2 By hand

**Dropout.** Three hidden units, a linear read-out, p = 0.5. There are only eight masks; take them all. What is kept is divided by
$1 - p$, so here it is doubled.
"""

# %%
hidden, readout = torch.tensor([2.0, -1, 3]), torch.tensor([1.0, 2, 1])
masks = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3)))  # all eight
outputs, in_eval = (hidden * masks / 0.5) @ readout, hidden @ readout
print(outputs.tolist(), "mean", outputs.mean().item(), "eval", in_eval.item())
print("after a ReLU: mean", outputs.relu().mean().item(), "eval", in_eval.relu().item())

# %% tags=["claim"]
features = torch.randn(8, dtype=torch.float64)
linear = nn.Linear(8, 3).double().requires_grad_(False)
every = torch.tensor(list(itertools.product([0.0, 1.0], repeat=8)), dtype=torch.float64)
probability = 0.7 ** every.sum(1) * 0.3 ** (8 - every.sum(1))
after = linear(features * every / 0.7)  # (256, 3)
gap = (probability @ after - linear(features)).abs().max().item()
bent = (probability @ after.relu() - linear(features).relu()).abs().max().item()
by_torch = nn.Dropout(0.4)(x := torch.randn(6, 5) + 4)
claim(
    "C19.1",
    "The mean over all dropout masks is the eval output for a linear read-out, and not through a ReLU",
    gap < 1e-12
    and bent > 0.01
    and torch.allclose(x * (by_torch != 0) / 0.6, by_torch)
    and nn.Dropout(0.4).eval()(x) is x,
    measured=f"256 masks of 8 inputs, p 0.3: gap {gap:.0e} linear, {bent:.2f} through a ReLU",
)

# %% [markdown]
r"""
The mean over masks is the eval output, exactly, as long as everything after the mask is linear. One ReLU later it is not: eval
mode only approximates the average network, for the price of one pass. (The folded check also confirms that `nn.Dropout` is this, number
by number.)

**L2 multiplies, L1 subtracts.** One step of shrinking without any data, rate × penalty = 0.1:
"""

# %%
weights = torch.tensor([3.0, 1.0, 0.2, 0.05, -0.08])
by_l2, by_l1 = weights * (1 - 0.1), F.softshrink(weights, 0.1) + 0.0  # no -0.0
for name, row in {"before": weights, "after L2": by_l2, "after L1": by_l1}.items():
    print(f"{name:8s}", " ".join(f"{value:6.3f}" for value in row.tolist()))

# %% [markdown]
r"""
L2 takes a tenth of everybody, so the small ones stay small and never reach 0. L1 takes the same amount from everybody, and who
has less than that ends at exactly 0.

**Adam hides an L2 term.** Adam's first step is the learning rate times the *sign* of the gradient: it divides by the gradient's own
size. So it does not matter how large the penalty is that was added to the gradient. Weight 1, gradient 0.5, rate 0.1, and a penalty of
0, 0.1 and 1:
"""


# %%
def one_step(rule, decay):
    """The weight after one step of `rule` from 1, for a loss of slope 0.5."""
    weight = nn.Parameter(torch.ones(1))
    weight.grad = torch.tensor([0.5])
    rule([weight], lr=0.1, weight_decay=decay).step()
    return round(weight.item(), 3)


for rule in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW):
    print(f"{rule.__name__:5s}", [one_step(rule, decay) for decay in (0.0, 0.1, 1.0)])

# %% tags=["claim"]
rules = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)
stepped = {r.__name__: [one_step(r, d) for d in (0.0, 0.1, 1.0)] for r in rules}
by_hand = [(1 - 0.1 * d) * 1.0 - 0.1 * 0.5 for d in (0.0, 0.1, 1.0)]
claim(
    "C19.5",
    "For plain SGD an L2 term is weight decay; Adam's first step is the same for L2 terms of 0, 0.1 and 1, AdamW shrinks by rate x decay",
    np.allclose(stepped["SGD"], by_hand, atol=1e-6)
    and np.allclose(stepped["Adam"], 0.9, atol=1e-6)
    and np.allclose(stepped["AdamW"], [0.9, 0.89, 0.8], atol=1e-6),
    measured=", ".join(
        f"{n} {' '.join(f'{x:.3f}' for x in row)}" for n, row in stepped.items()
    ),
)

# %% [markdown]
r"""
[Lesson 17](17_optimisers.ipynb) runs it over 300 steps: large gradients hide the penalty, small ones let it wipe the weight out.

### Exercise 19.1 · dropout ●○○ 10 minutes

Any shape in, the same shape out. `p` lies in [0, 1]; with 1 all is 0. In training each number has a coin of its own: 0 with probability
`p`, otherwise the number divided by `1 - p`. With `train=False` the result is `x` itself. Coins come from `generator`
(`torch.rand(..., generator=generator)`), so another state of it gives another mask. Do not change `x`.
"""


# %% tags=["exercise"]
def dropout(x, p, train, generator):
    """Zero each number with probability p in training, nothing in eval mode."""
    raise NotImplementedError


check(exercise.dropout, dropout)
hint(exercise.dropout)

# %% [markdown]
r"""
## 19.3 In symbols

$m$ and $c$ are coins: 0 with probability $p$, else 1. $\eta$ is the learning rate, $\lambda$ the penalty, $f_l$ the branch of block
$l$. Cost is per step of $B$ examples with $D$ numbers each.

| remedy | formula | parameters | training | inference |
| --- | --- | --- | --- | --- |
| weight decay | $w \leftarrow (1 - \eta\lambda)\,w - \eta\,\text{step}$ | same | nothing | nothing |
| L1, proximal | $w \leftarrow \mathrm{sign}(v)\max(\lvert v \rvert - \eta\lambda, 0)$, $v$ after the gradient step | same, many are 0 | nothing | less only with sparse kernels |
| dropout | $x \odot m / (1 - p)$ | same | $B \cdot D$ coins | gone |
| DropPath | $x + c_b\,f_l(x) / (1 - p_l)$ | same | $B$ coins per block | gone, all blocks run |
| ensemble of $k$ | mean of $k$ predictions | $k$ × | $k$ × | **$k$ ×** |

The rest stands on the card: DropConnect, label smoothing, mixup, early stopping.

## 19.4 Build it

**What is dropped?** A unit (dropout), a weight (DropConnect) or a whole residual branch (DropPath). A mask is read off by sending ones
through it:
"""

# %%
coins = torch.Generator().manual_seed(3)
units = regularisers.dropout(torch.ones(12, 24), 0.3, train=True, generator=coins)
one_mask = {"p": 0.3, "per_example": False, "bias": False, "generator": coins}
weights = regularisers.DropConnectLinear(24, 12, **one_mask)(torch.eye(24)).T
rates, ones = regularisers.linear_drop_rates(depth=12, last=0.6), torch.ones(24, 1)
paths = [regularisers.drop_path(ones, rate, True, coins)[:, 0] for rate in rates]
print(f"rates of the twelve blocks: {rates[0]:.2f}, {rates[1]:.2f} to {rates[-1]:.2f}")

# %% tags=["claim"]
fig, axes = plt.subplots(1, 3, figsize=(6, 2.1), layout="constrained")
axes[0].imshow(units != 0, cmap="cividis", aspect="auto")
axes[0].set(title="dropout", xlabel="unit", ylabel="example")
axes[1].imshow(weights.detach() != 0, cmap="cividis", aspect="auto")
axes[1].set(title="DropConnect", xlabel="from unit", ylabel="to unit")
axes[2].imshow(torch.stack(paths) != 0, cmap="cividis", aspect="auto")
axes[2].set(title="DropPath", xlabel="example", ylabel="block")
show(
    fig,
    "Dark is dropped: scattered units, scattered weights (one mask for the batch), and "
    "whole blocks, more of them further down, since rates rise from 0 to 0.6.",
)

# %% [markdown]
r"""
**Does dropping make the model smaller?** Count what is stored, and compare eval mode with the plain layer.
"""

# %%
plain, x = nn.Linear(256, 256), torch.randn(32, 256)
dropped = regularisers.DropConnectLinear(256, 256, p=0.5)
dropped.load_state_dict(plain.state_dict())  # the same names and shapes
print("eval mode is the plain layer:", torch.equal(dropped.eval()(x), plain(x)))
print("coins per step: dropout", x.numel(), " DropConnect, one mask", 256 * 256, end="")
print(", a mask per example", len(x) * 256 * 256)

# %% tags=["claim"]
_ = dropped.train()(x)  # in training mode: 32 masks of 256 x 256 are drawn
stored = [sum(p.numel() for p in layer.parameters()) for layer in (plain, dropped)]
claim(
    "C19.2",
    "DropConnect stores a dense matrix and runs as a plain linear layer in eval mode; a mask per example takes 256 times dropout's coins, one mask for the batch of 32 takes 8 times",
    stored[0] == stored[1]
    and (dropped.weight == 0).sum().item() == 0
    and torch.equal(dropped.eval()(x), plain(x))
    and len(x) * dropped.weight.numel() == 256 * x.numel()
    and dropped.weight.numel() == 8 * x.numel(),
    measured=f"{stored[0]} parameters each, {(dropped.weight == 0).sum().item()} stored zeros",
)

# %% [markdown]
r"""
**DropPath** in a stack of twelve residual blocks, rates rising from 0 to 0.2: $p_l = 0.2\,l / 11$ for $l = 0 \ldots 11$. Early blocks feed
all others, so they are dropped least. An example passes $12 - \sum_l p_l = 12 - 0.2 \cdot 6 = 10.8$ blocks. torchvision calls it
`StochasticDepth`. Per example ("row") is what vision transformers use; skipping a block for the whole batch is what the stochastic-depth
paper did. How many blocks are *computed*? A hook counts.
"""


# %%
def blocks_run(mode, training):
    """Mean number of blocks, of 12, that one forward pass calls."""
    calls, layers = [], [nn.Identity() for _ in range(12)]
    for layer in layers:
        layer.register_forward_hook(lambda *_: calls.append(1))
    stack = regularisers.ResidualStack(layers, 0.2, mode, coins).train(training)
    for _ in range(300):
        stack(torch.ones(4, 8))
    return len(calls) / 300


# %% tags=["reveal"]
for mode in ("row", "batch"):
    training, inference = round(blocks_run(mode, True)), round(blocks_run(mode, False))
    print(f"{mode:5s} blocks run: training about {training}, inference {inference}")

# %% tags=["claim", "reveal"]
from course_lib.compat import ensure_torchvision

ensure_torchvision()
from torchvision.ops import StochasticDepth

run = {(m, t): blocks_run(m, t) for m in ("row", "batch") for t in (True, False)}
surviving = 12 - sum(regularisers.linear_drop_rates(12, 0.2))
state = torch.get_rng_state()
by_torchvision = StochasticDepth(0.2, "row")(x)
torch.set_rng_state(state)
claim(
    "C19.3",
    "With DropPath of 0.2 each example passes 10.8 of 12 blocks in training; only batch mode skips work; inference runs all 12",
    abs(surviving - 10.8) < 1e-9
    and run["row", True] == 12
    and abs(run["batch", True] - 10.8) < 0.3
    and run["row", False] == run["batch", False] == 12
    and torch.equal(regularisers.drop_path(x, 0.2, train=True), by_torchvision),
    measured=f"blocks run per pass in training: row {run['row', True]:.1f}, batch {run['batch', True]:.1f}",
    answer="all 12",
)

# %% [markdown]
r"""
"Per example" computes every block for the whole batch and then multiplies some rows by 0: no work is saved.

### Exercise 19.2 · drop_path ●●○ 10 minutes

`branch` has shape `(B, ...)` with any number of axes after the first; so has the result. One coin per example, from `generator`: the
whole example is 0 with probability `p`, otherwise divided by `1 - p`; `p` lies in [0, 1]; with 1 all is 0. With `train=False` the branch
comes back as it is. Do not change it.
"""


# %% tags=["exercise"]
def drop_path(branch, p, train, generator):
    """The branch as it is added to the shortcut: x + drop_path(block(x), ...)."""
    raise NotImplementedError


check(exercise.drop_path, drop_path)
hint(exercise.drop_path)

# %% [markdown]
r"""
**L1 with a proximal step** (ISTA): a gradient step on the loss, then the shrinking step of 19.2, with threshold rate × penalty. On real
data: 569 tumours, 30 measurements each, diagnosis +1 or −1.
"""

# %%
from sklearn.datasets import load_breast_cancer

table = load_breast_cancer()
tumours, diagnosis = torch.from_numpy(table.data), torch.tensor(2.0 * table.target)
tumours = (tumours - tumours.mean(0)) / tumours.std(0, correction=0)  # (569, 30)
diagnosis = diagnosis - diagnosis.mean()
penalties = np.geomspace(0.003, 0.8, 20)
l1 = torch.stack([ista(tumours, diagnosis, each, steps=800) for each in penalties])
print("measurements used:", (l1[::4] != 0).sum(1).tolist(), "of 30")

# %% tags=["claim"]
from sklearn.linear_model import Lasso, Ridge

ridges = [Ridge(alpha=569 * 10 * each, fit_intercept=False) for each in penalties]
l2 = np.stack([ridge.fit(tumours, diagnosis).coef_ for ridge in ridges])
fig, (left, right) = plt.subplots(1, 2, figsize=(5, 2.2), sharey=True)
left.semilogx(penalties, l1, linewidth=1, color=COLOURS[0])
right.semilogx(10 * penalties, l2, linewidth=1, color=COLOURS[0])
left.set(title="L1: zero, one by one", xlabel="penalty", ylabel="weight")
right.set(title="L2: none arrives", xlabel="penalty")
fig.subplots_adjust(bottom=0.23)
show(
    fig, "Thirty weight paths, twice: L1's reach zero one after another, L2's never do."
)
ours = ista(tumours, diagnosis, 0.05, steps=3000)
theirs = Lasso(alpha=0.05, fit_intercept=False, tol=1e-10).fit(tumours, diagnosis).coef_
claim(
    "C19.14",
    "ISTA finds scikit-learn's Lasso (coordinate descent), with zeros at the same places; the ridge has no zero at any of 20 penalties",
    np.abs(ours.numpy() - theirs).max() < 1e-4
    and ((ours == 0).numpy() == (theirs == 0)).all()
    and (l2 != 0).all(),
    measured=f"{(ours != 0).sum().item()} of 30 used, largest difference {np.abs(ours.numpy() - theirs).max():.0e}",
)

# %% [markdown]
r"""
### Exercise 19.3 · ista ●●● 15 minutes · more

Minimise $\lVert y - Xw \rVert^2 / (2B) + \lambda \lVert w \rVert_1$ from $w = 0$ with a given learning rate: features `(B, D)`, target `(B,)`,
result `(D,)`. Exactly `steps` steps: the gradient of the *mean* square loss, then the soft threshold
`rate * penalty`. With 0 steps the result is 0.
"""


# %% tags=["exercise"]
def proximal_descent(features, target, penalty, rate, steps):
    """`steps` times: a gradient step on the square loss, then the proximal step."""
    raise NotImplementedError


check(exercise.ista, proximal_descent)
hint(exercise.ista)

# %% [markdown]
r"""
**Label smoothing** changes the target and nothing else: the label keeps $1 - \varepsilon + \varepsilon / K$, every other class gets
$\varepsilon / K$. What it buys: the best logits become *finite*. The loss is lowest where the softmax equals the target, so the lead of
the label is $\log\frac{1 - \varepsilon + \varepsilon / K}{\varepsilon / K}$. With ε = 0.1 and ten classes: $\log\frac{0.91}{0.01} = \log 91 = 4.5$.
"""

# %%
leads = torch.linspace(0, 12, 1201)
raised, label = leads[:, None] * F.one_hot(torch.tensor(3), 10), torch.full((1201,), 3)
hard = F.cross_entropy(raised, label, reduction="none")
smoothed = F.cross_entropy(raised, label, reduction="none", label_smoothing=0.1)
print("lowest smoothed loss at a lead of", round(leads[smoothed.argmin()].item(), 1))

# %% tags=["claim"]
fig, ax = plt.subplots(figsize=(4.4, 2.2), layout="constrained")
ax.plot(leads, hard, "--", leads, smoothed, "-")
ax.set(xlabel="lead of the label's logit", ylabel="loss")
ax.legend(["hard label", "smoothed by 0.1"])
show(
    fig,
    "With a hard label the loss only falls; smoothed, it is lowest at a lead of 4.5.",
)
best_lead = leads[smoothed.argmin()].item()
soft = regularisers.smooth_labels(label, 10, 0.1)
claim(
    "C19.15",
    "Smoothing by 0.1 makes the best lead finite, log 91, with a loss above 0; without it the loss only falls",
    abs(best_lead - np.log(91)) < 0.02
    and smoothed.min().item() > 0.4
    and (hard.diff() < 0).all()
    and torch.allclose(
        F.cross_entropy(raised, soft, reduction="none"), smoothed, atol=1e-5
    ),
    measured=f"best lead {best_lead:.2f}, lowest smoothed loss {smoothed.min():.2f}",
)

# %% [markdown]
r"""
## 19.5 Explore: why corners make zeros

Two weights. Ellipses are the loss without penalty, lowest at the cross; the shape around 0 is all weights of equal penalty;
the dot is the minimum of loss plus penalty. Move the penalty: when does the dot reach the axis, and does it stay there?
"""

# %%
covariance = torch.tensor([[1.0, 0.3], [0.3, 1.0]], dtype=torch.float64)
pair = torch.linalg.cholesky(covariance).T * 2**0.5  # XᵀX / 2 is the covariance
goal = pair @ torch.tensor([2.0, 0.7], dtype=torch.float64)


def penalised(penalty, strength):
    """The weights where loss plus penalty is lowest; without a penalty (2, 0.7)."""
    if penalty == "L1":
        return ista(pair, goal, strength, steps=60)
    ridge = covariance + strength * torch.eye(2)
    return torch.linalg.solve(ridge, pair.T @ goal / 2)


# %%
def draw_geometry(penalty="L1", strength=1.1):
    """Loss ellipses, and the level set of the penalty through the solution."""
    solution, order = penalised(penalty, strength), {"L1": 1, "L2": 2}[penalty]
    x, y = np.meshgrid(np.linspace(-1.6, 3.2, 60), np.linspace(-1.6, 2, 60))
    loss = (x - 2) ** 2 + (y - 0.7) ** 2 + 0.6 * (x - 2) * (y - 0.7)
    size = np.linalg.norm(np.stack([x, y]), order, axis=0)
    level = max(float(torch.linalg.vector_norm(solution, order)), 1e-3)
    fig, ax = plt.subplots(figsize=(4.2, 2.8), layout="constrained")
    ax.contour(x, y, loss, levels=[0.05, 0.3, 0.8, 1.6, 3], colors=COLOURS[0])
    ax.contour(x, y, size, levels=[level], colors=COLOURS[1], linewidths=2)
    ax.plot(2, 0.7, "x", *solution, "o", color="black")
    value = "exactly 0" if solution[1] == 0 else f"{solution[1]:.2f}"
    ax.set(xlabel="weight 1", ylabel="weight 2", aspect="equal")
    ax.set_title(f"{penalty}, penalty {strength:.2f}: weight 2 is {value}")
    return fig


ALT = "Loss ellipses touch the corner of a diamond around 0: weight 2 is exactly 0."
explore(draw_geometry, alt=ALT, penalty=["L1", "L2"], strength=(0.0, 2.0))

# %% [markdown]
r"""
The loss is content with a corner of the diamond, and corners lie on axes. L2's circle has no corners: switch to it, and the dot runs home
to 0 without ever resting on an axis.

## 19.6 Evidence: four patients, twelve remedies

Real digits, 64 pixels. Test digits come from writers that training never saw; validation digits do not, so validation flatters. Every
result below is the mean of **five draws** of the labelled digits: five networks train side by side
([`side_by_side.py`](../course_lib/models/side_by_side.py)), each on its own draw. This is what D's camera does to a digit:
"""

# %%
from course_lib.data.moves import moved
from course_lib.models.side_by_side import SideBySideConvNet
from course_lib.training import forgetting, remedies
from course_lib.training.remedies import Patient, noise

digit = remedies.examine(Patient(labels=1))["test"][0][:1, 12]
views = [digit] + [moved(digit, torch.Generator().manual_seed(i)) for i in range(5)]
fig, axes = plt.subplots(1, 6, figsize=(7.5, 1.4))
for ax, view in zip(axes, views, strict=True):
    ax.imshow(view[0], cmap="gray_r")
    ax.set(xticks=[], yticks=[])
show(fig, "One digit as it is, and five times moved at random by up to a pixel.")

# %% [markdown]
r"""
The patients, and what is done to them. The network has one hidden tanh layer of 128 units and trains for 200 steps of AdamW on batches of 50.
The convolutional one needs 100. Each remedy comes in *one* strength, the same for all four, as a first try would. For patient A they are
tuned further down.
"""

# %%
PATIENTS = {
    "A few labels": Patient(labels=100),
    "B wrong labels": Patient(labels=500, wrong=0.3),
    "C three units": Patient(labels=500, width=3),
    "D moved camera": Patient(labels=500, moves=True),
}
POOLED = {"net": SideBySideConvNet, "steps": 100, "looks": 4}
REMEDIES = {
    "nothing": {},
    "weight decay": {"decay": 1.0},
    "dropout": {"p": 0.3},
    "input noise": {"augment": noise(0.2)},
    "label smoothing": {"smoothing": 0.1},
    "mixup": {"alpha": 1.0},
    "shifts by a pixel": {"augment": moved, "steps": 300},
    "network / 8": {"scale": 1 / 8},
    "network x 4": {"scale": 4.0},
    "labels x 2": {"more": 2.0},
    "convolution, pooling": POOLED,
}

# %% [markdown]
r"""
Two remedies change nothing in training, only what is done with its result: early stopping takes the step that was best on validation,
and the ensemble averages three networks' probabilities.
"""


# %%
@functools.cache  # trained once, used again further down
def treat(patient, remedy="nothing", **do):
    return remedies.treat(PATIENTS[patient], **{**REMEDIES[remedy], **do})


def outcome(patient, remedy):
    """Test accuracy, one per draw."""
    if remedy == "early stopping":
        return treat(patient).stopped()
    if remedy == "3 networks":
        said = sum(treat(patient, member=i).says() for i in range(3))
        return remedies.right(said, treat(patient).data["test"][1])
    return treat(patient, remedy).score()


# %%
TREATMENTS = [*REMEDIES, "early stopping", "3 networks"]
result = {}
for patient, treatment in itertools.product(PATIENTS, TREATMENTS):
    result[patient, treatment] = outcome(patient, treatment)
print(len(result), "results of five draws each")

# %% [markdown]
r"""
**What would you do?** Look at the four curves before the heat map spoils it. (A real patient D would show no test curve before the customer
calls.)
"""


# %%
def draw_patients(remedy="nothing"):
    """Mean accuracies over the steps; the untreated networks in grey."""
    fig, axes = plt.subplots(1, 4, figsize=(7.8, 2.5), sharey=True)
    for ax, patient in zip(axes, PATIENTS, strict=True):
        for run, colour in ((treat(patient), "#bbb"), (treat(patient, remedy), None)):
            for part, line in {"train": "-", "validation": "--", "test": ":"}.items():
                ax.plot(run.steps, run.accuracies[part].mean(1), line, c=colour)
        ax.set(title=patient, xlabel="step", ylim=(0.1, 1.02))
    axes[0].legend(["train", "validation", "test"], fontsize=8)
    return fig


ALT = "A: a wide gap. B: the test falls again. C: all low. D: the test alone collapses."
explore(draw_patients, alt=ALT, remedy=list(REMEDIES))

# %% [markdown]
r"""
The change of test accuracy in points, per remedy and patient:
"""

# %% tags=["reveal"]
gains = {}
for patient, treatment in itertools.product(PATIENTS, TREATMENTS[1:]):
    change = result[patient, treatment] - result[patient, "nothing"]
    gains[patient, treatment] = 100 * change.mean().item()
fig, ax = heat_map({k: round(gain) for k, gain in gains.items()}, limit=12, fmt="+d")
show(fig, "Points of accuracy won, mean of five draws: each patient has its own cure.")

# %% [markdown]
r"""
**Are A's tricks just badly tuned?** Five tricks, three strengths each, the best one picked on validation digits. And do convolution
and labels add up?
"""

# %% tags=["claim", "reveal"]
A, B, C, D = PATIENTS
STRENGTHS = {
    "weight decay": [{"decay": each} for each in (0.3, 3.0)],
    "dropout": [{"p": each} for each in (0.1, 0.2)],
    "input noise": [{"augment": noise(each)} for each in (0.1, 0.3)],
    "label smoothing": [{"smoothing": each} for each in (0.03, 0.2)],
    "mixup": [{"alpha": each} for each in (0.2, 0.4)],
}
tuned = {}
for trick, strengths in STRENGTHS.items():
    tried = [treat(A, trick)] + [
        remedies.treat(PATIENTS[A], looks=1, **do) for do in strengths
    ]
    best = max(tried, key=lambda each: each.score("validation").mean())
    tuned[trick] = 100 * (best.score() - result[A, "nothing"]).mean().item()
together = remedies.treat(PATIENTS[A], more=2.0, **POOLED).score()
together = 100 * (together - result[A, "nothing"]).mean().item()
labels, convolved = gains[A, "labels x 2"], gains[A, "convolution, pooling"]
informed = ("labels x 2", "convolution, pooling")
rest = max((gains[A, each], each) for each in TREATMENTS[1:] if each not in informed)
claim(
    "C19.9",
    "A: twice the labels and a convolutional network each gain over 1 point, more than any of the ten others in one strength and than five of them tuned on validation; together they gain over 3.5 (mean of 5 draws)",
    min(labels, convolved) > max(1, rest[0], *tuned.values()) and together > 3.5,
    measured=f"labels {labels:+.1f}, convolution {convolved:+.1f}, both {together:+.1f}; best of ten {rest[1]} {rest[0]:+.1f}; tuned "
    + ", ".join(f"{trick} {value:+.1f}" for trick, value in tuned.items()),
    answer="pooling",
)


# %% tags=["claim", "reveal"]
def slid(images, random):
    """Each image moved by up to half a pixel down and across, interpolated."""
    flat = images.flatten(0, 1)[:, None]
    ways = (torch.rand(len(flat), 2, 1, generator=random) - 0.5) / 4  # width 8 is 2
    grid = torch.cat([torch.eye(2).expand(len(flat), 2, 2), ways], dim=-1)
    grid = F.affine_grid(grid, flat.shape, align_corners=False)
    return F.grid_sample(flat, grid, align_corners=False).view(images.shape)


halves = remedies.treat(PATIENTS[A], augment=slid, steps=300, looks=1).score()
halves = 100 * (halves - result[A, "nothing"]).mean().item()
claim(
    "C19.26",
    "A: shifts of up to half a pixel gain as well, more than shifts of a whole pixel and less than labels and convolution together (mean of 5 draws)",
    together > halves > max(0, gains[A, "shifts by a pixel"]),
    measured=f"half a pixel {halves:+.1f}, a pixel {gains[A, 'shifts by a pixel']:+.1f}, both others {together:+.1f}",
)

# %% tags=["claim", "reveal"]
hinder = ("weight decay", "dropout", "input noise", "early stopping", "network / 8")
helped, wider = {each: gains[B, each] for each in hinder}, gains[B, "network x 4"]
claim(
    "C19.10",
    "B: weight decay, dropout, input noise, early stopping and a smaller network each gain over 1.5 points, a wider one loses over 2 (mean of 5 draws)",
    min(helped.values()) > 1.5 and wider < -2,
    measured=", ".join(f"{each} {value:+.1f}" for each, value in helped.items())
    + f", wider {wider:+.1f}, twice the labels {gains[B, 'labels x 2']:+.1f}",
)
capacity = ("network x 4", "3 networks", "convolution, pooling")
others = max((gains[C, each], each) for each in TREATMENTS[1:] if each not in capacity)
claim(
    "C19.11",
    "C: a wider network gains over 10 points more than any regulariser or twice the labels; weight decay gains less than 3 (mean of 5 draws)",
    gains[C, "network x 4"] > others[0] + 10 and gains[C, "weight decay"] < 3,
    measured=f"wider {gains[C, 'network x 4']:+.1f}, convolution {gains[C, 'convolution, pooling']:+.1f}, best of the others {others[1]} {others[0]:+.1f}",
)

# %% [markdown]
r"""
So the answer to "how do you avoid overfitting" is: **there is no remedy, there is a diagnosis.** The wider network is a
cure for C and harms B; the smaller one helps B and ruins C. For A, what helps adds information: twice the labels, or an
architecture that *knows* something: a stroke means the same wherever it stands. Augmentation helps A where it shows what real digits do: a
whole pixel is too coarse for pictures of 8 × 8, half a pixel is not. Five draws are few: with
other draws labels, convolution and half a pixel gain again, but by how much varies a lot. Trust the sign, not the digits.

**D, fairly.** The heat map has a trap: training on shifts *is* the customer's shift, so that row wins by construction. Test another
shift: pictures moved by exactly 0, 1 or 2 pixels, while training never moved them by more than one. And ask *which part* of the
convolutional network helps: take away its pooling, or its batch norm.
"""


# %%
def without(**parts):
    return POOLED | {"looks": 1, "net": functools.partial(SideBySideConvNet, **parts)}


REMEDIES["no pooling"] = without(pooling=False)
REMEDIES["no batch norm"] = without(norm=False) | {"steps": 150, "rate": 1e-2}
REMEDIES["pooling and shifts"] = POOLED | {"looks": 1, "steps": 200, "augment": moved}
ARMS = ["nothing", "shifts by a pixel", *list(REMEDIES)[-4:]]

# %%
AT = {}  # accuracy per arm and pixels, (5,)
images, label = treat(A).data["test"]  # not moved
for arm, pixels in itertools.product(ARMS, range(3)):
    same = torch.Generator().manual_seed(1)  # the same ways for every arm
    asked = moved(images, same, pixels, exactly=True)
    AT[arm, pixels] = remedies.right(treat(D, arm).answer(asked), label)

# %% tags=["claim", "reveal"]
at = {arm: [AT[arm, pixels].mean().item() for pixels in range(3)] for arm in ARMS}
fig, ax = plt.subplots(figsize=(6.4, 2.6), layout="constrained")
for (arm, row), marker, colour in zip(at.items(), "os^DvP", COLOURS, strict=True):
    ax.plot(range(3), row, marker + "-", c=colour, label=arm)
ax.axhline(0.1, color="grey", linestyle=":")
ax.set(xlabel="pixels moved (training: at most 1)", xticks=range(3), ylabel="accuracy")
fig.legend(loc="outside right upper", fontsize=8)
show(
    fig,
    "At 1 pixel pooling alone wins much back; at 2 only convolution with shifts holds; dotted: chance.",
)
won = 100 * (result[D, "convolution, pooling"] - result[D, "nothing"])
share = (
    won.mean().item() / 100 / (AT["nothing", 0] - result[D, "nothing"]).mean().item()
)
both_out = ("shifts by a pixel", "convolution, pooling")
rest = max((gains[D, each], each) for each in TREATMENTS[1:] if each not in both_out)
plain, with_pooling = at["nothing"][1], at["convolution, pooling"][1]
no_pooling = at["no pooling"][1]
claim(
    "C19.12",
    "D: without one moved picture, convolutions with pooling win over 12 points in every draw, between a third and two thirds of the loss; no other remedy but the shifts wins 5, and convolutions without pooling win under half as much",
    won.min().item() > 12
    and 1 / 3 < share < 2 / 3
    and rest[0] < 5
    and no_pooling - plain < 0.5 * (with_pooling - plain),
    measured=f"pooling {won.min():+.1f} to {won.max():+.1f}, {share:.2f} of the loss; next {rest[1]} {rest[0]:+.1f}; at 1 pixel plain {plain:.2f}, pooling {with_pooling:.2f}, no pooling {no_pooling:.2f}",
    answer="about half",
)
claim(
    "C19.20",
    "Moved by 2 pixels, twice as far as in training, the dense network with moved pictures falls under 0.4; convolution, pooling and moved pictures together stay over 0.45 (5 draws; chance 0.1)",
    at["shifts by a pixel"][2] < 0.4
    and at["pooling and shifts"][2] > max(0.45, at["shifts by a pixel"][2] + 0.15),
    measured="; ".join(
        f"{n} {' '.join(f'{v:.2f}' for v in row)}" for n, row in at.items()
    ),
)
norm_off = treat(D, "no batch norm")
less = 100 * (norm_off.score() - result[D, "nothing"])
claim(
    "C19.23",
    "D: without batch norm, at twice the learning rate and fitted to over 95 %, the same pooled convolutions still win over 4 points on average, and under three quarters of what they win with it (5 draws)",
    norm_off.score("train").min().item() > 0.95
    and 4 < less.mean().item() < 0.75 * won.mean().item(),
    measured=f"training {norm_off.score('train').min():.3f}; {less.mean():+.1f} against {won.mean():+.1f} points",
)

# %% [markdown]
r"""
Three lessons for an interview. **Architecture is a remedy**: pooling makes a network tolerant of small shifts that no training picture
showed. It is a *prior*, so it also helps A. It costs no labels, but computing: here several times as much per step. **Augmentation covers what it covers**: one
pixel was trained, two pixels were not. **They add up.** And the controls say which part did it: without
pooling, convolutions hardly help. Without batch norm, pooling still does, but less: the gain is not one layer's. (Batch norm is itself a
regulariser: the statistics of each batch are noise in training, and Ioffe and Szegedy found that some networks then need no dropout.)

### Exercise 19.4 · early_stop ●●○ 10 minutes

`losses` is a list of validation losses, lower is better. A loss is a *new best* if it lies more than `min_delta` below the last best; the
first one is the first best. So with `min_delta` 0 a tie is none, and several small gains can make one together. Give up after `patience` losses
in a row without a new best, and return the index of the last best. `losses` holds at least one, `patience` is at least 1.
"""


# %% tags=["exercise"]
def early_stop(losses, patience, min_delta):
    """Index of the best measurement that a run with early stopping would have seen."""
    raise NotImplementedError


check(exercise.early_stop, early_stop)
hint(exercise.early_stop)

# %% [markdown]
r"""
**One pass, or many.** Language and vision-language models see most examples once. 400 steps of 64 examples, always the same amount
of computing: 25,600 different examples once, or 400 different ones 64 times. One label in ten is wrong. All arms are tested on the *same*
2,000 held-out examples, and fewer examples are the first of more (the loop is in
[`repetition.py`](../course_lib/training/repetition.py)).
"""

# %%
from course_lib.training.repetition import train_repeatedly

runs = {(n, 0.0): train_repeatedly(n, looks=1) for n in (1, 4, 16)}
runs[1, 0.5] = train_repeatedly(1, p=0.5, looks=1)
runs |= {(64, p): train_repeatedly(64, p=p) for p in (0.0, 0.5, 0.9)}
decayed = train_repeatedly(64, decay=10.0)
print(len(runs) + 1, "runs of 400 steps, 5 draws each")

# %% tags=["claim", "reveal"]
ends = {key: run.test[-1] for key, run in runs.items()}  # (5,)
fig, (left, side) = plt.subplots(1, 2, figsize=(7, 2.4), layout="constrained")
for p, style in ((0.0, "o-"), (0.5, "s--"), (0.9, "v-.")):
    measured = [n for n in (1, 4, 16, 64) if (n, p) in ends]
    joined = style if p == 0 else style[0]  # ends far apart make no line
    left.plot(measured, [ends[n, p].mean() for n in measured], joined)
    often = runs[64, p]
    side.plot(
        np.array(often.seen) * 64 / 400,
        often.test.mean(1),
        style,
        ms=4,
        label=f"dropout {p}",
    )
side.plot(
    np.array(decayed.seen) * 64 / 400,
    decayed.test.mean(1),
    "^:",
    ms=4,
    label="decay 10",
)
left.set(xscale="log", xticks=(1, 4, 16, 64), xticklabels=(1, 4, 16, 64))
left.set(xlabel="passes, same computing", ylabel="test loss")
side.set(xlabel="passes over the same 400 examples")
side.legend(fontsize=8)
show(
    fig,
    "Left: four passes cost little, 64 a lot. Right: the same 400 examples: lowest after a few passes, then ever higher; dropout of 0.5 slows that, 0.9 nearly holds it, a decay of 10 holds it.",
)
repeated = runs[64, 0.0].test  # (16, 5)
rise = (repeated[-1] - repeated.min(0).values).min().item()
claim(
    "C19.13",
    "At equal computing four passes cost under 0.06 of test loss against one on average, 64 passes over 0.2; and over 64 passes of the same 400 examples the test loss does not level off: it ends over 0.2 above its lowest (in every one of 5 draws)",
    (ends[4, 0.0] - ends[1, 0.0]).mean().item() < 0.06
    and (ends[64, 0.0] - ends[1, 0.0]).min().item() > 0.2
    and rise > 0.2
    and (repeated[-1] > repeated[1]).all(),
    measured=", ".join(f"{n} passes {ends[n, 0.0].mean():.2f}" for n in (1, 4, 16, 64))
    + f"; rise at least {rise:.2f}",
    answer="rises",
)
once = (ends[1, 0.5] - ends[1, 0.0]).abs().max().item()
often = (ends[64, 0.0] - ends[64, 0.5]).min().item()
claim(
    "C19.16",
    "Dropout of 0.5 changes the one-pass test loss by under 0.05 and lowers it by over 0.05 at 64 passes (every one of 5 draws)",
    once < 0.05 and often > 0.05,
    measured=f"at most {once:.3f} at one pass, at least {often:.2f} at 64",
)
above = {  # the one-pass loss
    "decay 10": decayed.test[-1] - ends[1, 0.0],
    "the lowest look": repeated.min(0).values - ends[1, 0.0],
    "dropout 0.9": ends[64, 0.9] - ends[1, 0.0],
    "dropout 0.5": ends[64, 0.5] - ends[1, 0.0],
}
claim(
    "C19.25",
    "At 64 passes a decay of 10 ends within 0.1 of the one-pass test loss, dropout of 0.9 within 0.15, dropout of 0.5 over 0.2 above it; the lowest of 16 looks without a remedy, chosen on the test loss itself, is within 0.1 (every one of 5 draws)",
    max(above["decay 10"].max(), above["the lowest look"].max()) < 0.1
    and above["dropout 0.9"].max() < 0.15
    and above["dropout 0.5"].min() > 0.2,
    measured="; ".join(
        f"{n} {each.min():.3f} to {each.max():.3f}" for n, each in above.items()
    ),
)

# %% [markdown]
r"""
In one pass the next batch *is* a test set: no gap to close. So large language models are pre-trained with little or
no dropout (Liu et al., 2025, measured that it even hurts). With repeats there are two different questions. *What is a repeat worth?* The left
picture: nearly a fresh example, then less. *Can it harm?* The right picture: yes, the test loss turns. Three things hold it: going back to the lowest look, a decay of 10, and almost as well
a dropout of 0.9. The usual 0.5 only slows it.

**Why is weight decay kept in one pass, then?** Not against overfitting. D'Angelo et al. (2023) find that in nearly one-epoch training it balances
bias and variance of the optimisation: lower *training* loss, stabler runs. It sets the size of the steps relative to the weights. Three lines. An Adam step moves every weight by
about $\eta$, in a random direction where gradients are noise: mean square size grows by $\eta^2$. Decay takes $2\eta\lambda$ of it. They balance at

$$\eta^2 = 2\eta\lambda\,\overline{w^2} \quad\Rightarrow\quad \sqrt{\overline{w^2}} = \sqrt{\eta / 2\lambda}, \qquad
\frac{\text{step}}{\text{weight}} = \frac{\eta}{\sqrt{\eta / 2\lambda}} = \sqrt{2\eta\lambda}.$$

In front of a normalisation the length of the weights changes nothing in the output; then $\sqrt{2\eta\lambda}$ *is* the speed of learning.
That is one step without momentum; with the usual $\beta_1 = 0.9$ a step is about a quarter as long, but about ten in a row agree, and the size at rest
is the same. Below, rate 0.01 on pure noise; with decay 1 the size due is $\sqrt{0.005} = 0.07$.
"""

# %%
settled = {}
for start, decay in itertools.product((0.01, 1.0), (0.0, 1.0)):
    weight = nn.Parameter(start * torch.randn(2000))
    rule = torch.optim.AdamW([weight], lr=0.01, weight_decay=decay, betas=(0.0, 0.99))
    for _ in range(600):
        weight.grad = torch.randn(2000)  # pure noise
        rule.step()
    settled[start, decay] = weight.detach().square().mean().sqrt().item()
    print(f"start {start:4}, decay {decay}: size {settled[start, decay]:.2f}")

# %% tags=["claim"]
due = (0.01 / 2) ** 0.5
weight = nn.Parameter(torch.randn(2000))  # once more, with momentum
rule = torch.optim.AdamW([weight], lr=0.01, weight_decay=1.0, betas=(0.9, 0.99))
for _ in range(600):
    before, weight.grad = weight.detach().clone(), torch.randn(2000)
    rule.step()
heavy = weight.detach().square().mean().sqrt().item()
stride = (weight - 0.99 * before).detach().square().mean().sqrt().item()
claim(
    "C19.21",
    "With decay 1 and rate 0.01 noise settles at a weight of sqrt(rate / (2 decay)), wherever it started, with momentum of 0.9 as well, where a single step is under a third as long; without decay the size depends on the start",
    max(abs(settled[s, 1.0] / due - 1) for s in (0.01, 1.0)) < 0.1
    and abs(heavy / due - 1) < 0.15
    and stride < 0.01 / 3
    and settled[1.0, 0.0] > 3 * settled[0.01, 0.0],
    measured=f"due {due:.4f}, found {settled[0.01, 1.0]:.4f} and {settled[1.0, 1.0]:.4f}, with momentum {heavy:.4f} in steps of {stride:.4f}; without decay {settled[0.01, 0.0]:.2f} and {settled[1.0, 0.0]:.2f}",
)

# %% [markdown]
r"""
## 19.7 Wrong answers people give

> **"Add an L1 term to the loss and the weights become sparse."**

The *minimum* is sparse. Gradient descent with $\lambda\,\mathrm{sign}(w)$ never gets there: the pull has full strength on both sides
of 0, so the weight hops over it for ever. 50 features, five of which matter, 3,000 steps of rate 0.01, penalty 0.3:
"""

# %%
STEPS = {
    "L1 in the gradient": lambda w, g: w - 0.01 * (g + 0.3 * w.sign()),
    "L1 proximal": lambda w, g: F.softshrink(w - 0.01 * g, 0.01 * 0.3),
    "L2": lambda w, g: w - 0.01 * (g + 0.3 * w),
}
draws = torch.Generator().manual_seed(0)
x = torch.randn(5, 100, 50, generator=draws)  # five draws
y = 3 * x[..., :5].sum(-1) + 0.5 * torch.randn(5, 100, generator=draws)

# %%
zeros = {}
for name, step in STEPS.items():
    weight = torch.full((5, 50), 0.1)
    for _ in range(3000):
        wrong_by = torch.einsum("sbd,sd->sb", x, weight) - y
        weight = step(weight, torch.einsum("sbd,sb->sd", x, wrong_by) / 100)
    zeros[name] = (weight == 0).sum(1)  # (5,)
    print(f"{name:18s} zeros:", "none" if zeros[name].max() == 0 else "over 40")

# %% tags=["claim"]
claim(
    "C19.4",
    "Of 50 weights, 45 of them useless, L1 in the gradient and L2 zero none, the proximal step at least 40 (5 draws)",
    zeros["L1 in the gradient"].max() == 0
    and zeros["L2"].max() == 0
    and zeros["L1 proximal"].min() >= 40,
    measured=", ".join(f"{name} {n.min()} to {n.max()}" for name, n in zeros.items()),
)

# %% [markdown]
r"""
> **"Learning-rate decay prevents overfitting."**

The curve calms down, and that looks like it. But decay lowers the noise of the last steps, not the capacity to memorise. Patient B with 250
labels and a network twice as wide, trained three times as long:
"""


# %%
def cosine(share):
    """From 5e-3 down to 0."""
    return 5e-3 * (1 + np.cos(np.pi * share)) / 2


few = {"scale": 2.0, "more": 0.5, "steps": 600}
constant = remedies.treat(PATIENTS[B], **few)
decayed = remedies.treat(PATIENTS[B], rate=cosine, **few | {"looks": 1})

# %% tags=["claim"]
fig, ax = plt.subplots(figsize=(6, 1.9), layout="constrained")
bars = {
    "constant, stopped early": constant.stopped(),
    "cosine to 0": decayed.score(),
    "constant rate": constant.score(),
}
ax.bar_label(
    ax.barh(list(bars), [bar.mean() for bar in bars.values()], color=COLOURS[0]),
    fmt="%.2f",
)
ax.set(xlim=(0, 1), xlabel="test accuracy, mean of five draws")
show(
    fig,
    "Constant and decayed rates end near each other; early stopping is far above both.",
)
fitted = min(constant.score("train").min().item(), decayed.score("train").min().item())
by_decay = (decayed.score() - constant.score()).mean().item()
by_stop = constant.stopped() - torch.maximum(decayed.score(), constant.score())
gained = (constant.stopped() - constant.score()).mean().item()
claim(
    "C19.17",
    "Constant and decayed rates both fit more of the labels than the some 73 % that are right; on average over 5 draws decay gains under 8 points, early stopping over twice as much, and it ends over 5 above the better of both",
    fitted > 0.75
    and by_decay < 0.08
    and gained > 2 * by_decay
    and by_stop.mean().item() > 0.05,
    measured=f"training at least {fitted:.2f}; decay gains {by_decay:.3f}, stopping {gained:.3f}; above the better one {by_stop.min():.3f} to {by_stop.max():.3f}",
)

# %% [markdown]
r"""
> **"Augmentation may introduce overfitting."**

It is the other way round: it makes the training set *harder*, so training fit goes down. Its dangers are others: a transform that
changes the label, a distribution that nobody will meet, and a network too small or trained too briefly for it. Pixels shuffled anew for
every batch show the first in its purest form. Losses for patient A:
"""


# %%
def shuffled(images, random):
    anew = torch.randperm(64, generator=random)
    return images.flatten(2)[..., anew].view(images.shape)


fitted, tested = {}, {}
changes = {"none": None, "shifts": moved, "shuffled": shuffled}
for name, change in changes.items():
    run = remedies.treat(PATIENTS[A], steps=300, looks=1, augment=change)
    own = run.says().gather(-1, run.data["test"][1][..., None])  # of the right digit
    fitted[name], tested[name] = run.losses[-50:].mean(0), -own.log().mean((1, 2))

# %% tags=["claim"]
fig, ax = plt.subplots(figsize=(6, 2.2), layout="constrained")
for part, losses, marker in (("training", fitted, "o"), ("test", tested, "s")):
    ax.plot(
        [each.mean() for each in losses.values()],
        list(losses),
        marker,
        ms=8,
        label=part,
    )
ax.axvline(np.log(10), color="grey", linestyle=":")
ax.set(xlabel="loss, mean of five draws; dotted: log 10, chance", ylim=(-0.5, 2.5))
ax.legend(fontsize=8)
show(
    fig,
    "Shifts raise the training loss and close in on the test loss; shuffled pixels leave both near chance.",
)
claim(
    "C19.18",
    "On 100 digits shifts raise the training loss and shrink the gap to the test loss; shuffling pixels stops the fit itself (every one of 5 draws)",
    (fitted["shifts"] > fitted["none"]).all()
    and (tested["shifts"] - fitted["shifts"] < tested["none"] - fitted["none"]).all()
    and fitted["shuffled"].min().item() > 1,
    measured=", ".join(
        f"{n}: training {fitted[n].mean():.2f}, test {tested[n].mean():.2f}"
        for n in fitted
    ),
)

# %% [markdown]
r"""
> **"Label smoothing makes the model calibrated."**

A network told to be at most 91 % sure is less sure. Whether that is calibrated depends on how often it is right, so on the strength. Mean
confidence minus accuracy for patient A: above 0 is over-confident. (Müller et al., 2019, measured better calibration on large,
over-confident networks.)
"""

# %%
JUDGED = {name: treat(A, name) for name in ("nothing", "label smoothing", "mixup")}
JUDGED["smoothing by 0.02"] = remedies.treat(PATIENTS[A], smoothing=0.02)
bias = {}
for name, run in JUDGED.items():
    bias[name] = (run.says().amax(-1).mean() - run.score().mean()).item()

# %% tags=["claim"]
fig, ax = plt.subplots(figsize=(6, 1.9), layout="constrained")
ax.bar_label(
    ax.barh(list(bias)[::-1], list(bias.values())[::-1], color=COLOURS[0]), fmt="%+.2f"
)
ax.axvline(0, color="black", linewidth=1)
ax.set(xlabel="confidence minus accuracy, mean of five draws")
ax.margins(x=0.15)
show(
    fig,
    "Untreated networks are over-confident, smoothing by 0.1 makes them under-confident, by 0.02 neither.",
)
plain, strong, mixed, slight = bias.values()
claim(
    "C19.19",
    "Smoothing by 0.1 turns over-confidence into under-confidence of over 8 points, smoothing by 0.02 ends within 3 points of the accuracy (mean of 5 draws)",
    plain > 0.03 and strong < -0.08 and abs(slight) < 0.03,
    measured=f"nothing {plain:+.3f}, smoothing 0.02 {slight:+.3f}, 0.1 {strong:+.3f}; mixup {mixed:+.3f}",
)

# %% [markdown]
r"""
## 19.8 At scale

**Coins.** One MLP matrix of a 7 B model (4,096 to 11,008, as in [lesson 17](17_optimisers.ipynb)), 8 sequences of 4,096 tokens, one byte per coin.
"""

# %%
tokens, width, inner, GIB = 8 * 4096, 4096, 11008, 2**30
print(f"dropout, one activation      {tokens * width / GIB:12,.3f} GiB")
print(f"DropConnect, one for all     {width * inner / GIB:12,.3f} GiB")
print(f"DropConnect, per sequence    {8 * width * inner / GIB:12,.3f} GiB")
print(f"DropConnect, per token       {tokens * width * inner / GIB:12,.0f} GiB")

# %% [markdown]
r"""
A mask of the matrix *per token* is out of reach. One mask per batch is smaller than dropout's: AWD-LSTM trained language models with just
that, one mask of the recurrent weights per batch. So memory is not why transformers go without DropConnect; one mask for
all gives noisier gradients, and one-pass training needs no such noise at all.

**Whose coins?** It depends on what the devices hold.

- *Data parallel*: other examples, so other coins. One seed everywhere drops the same units on every device, and the noise no longer
  averages out over the global batch. The same holds for micro-batches.
- *Tensor parallel, replicated activation* (after the all-reduce, on the way to the residual): every device holds a copy of the
  *same* numbers, so it needs the *same* coins.
- *Tensor parallel, inside the split* (hidden units, heads): every device holds other units, so other coins. Megatron-LM keeps two
  random streams for this.
- *Recomputed activations*: the same coins again (`torch.utils.checkpoint` restores the random state).

Two devices, each with half of the hidden units. After the all-reduce both hold the same sum:
"""

# %%
x, up, down = torch.randn(4, 8), torch.randn(8, 16), torch.randn(16, 8)
reduced = (x @ up[:, :8]).relu() @ down[:8] + (x @ up[:, 8:]).relu() @ down[8:]
seeded = [torch.Generator().manual_seed(seed) for seed in (1, 1, 2)]
first, same, other = (regularisers.dropout(reduced, 0.5, True, g) for g in seeded)
print("one seed: copies agree", torch.equal(first, same), end="; ")
print("two seeds:", torch.equal(first, other))

# %% tags=["claim"]
claim(
    "C19.22",
    "Two devices that share a layer hold copies of its output: under dropout the copies stay equal with the same coins and part with different ones",
    torch.allclose((x @ up).relu() @ down, reduced, atol=1e-4)
    and torch.equal(first, same)
    and not torch.equal(first, other),
    measured=f"{(first != other).float().mean():.2f} of the numbers differ under two seeds",
)

# %% [markdown]
r"""
**Decay and repeats.** Decay works over $1/(\eta\lambda)$ steps: per step a weight keeps the share $1 - \eta\lambda$, after $n$ steps
$(1 - \eta\lambda)^n \approx e^{-n\eta\lambda}$, and that is $1/e$ at $n = 1/(\eta\lambda)$.
"""

# %%
for name, rate, decay in (("pre-training", 3e-4, 0.1), ("fine-tuning", 1e-5, 0.01)):
    print(f"{name:12s} rate {rate}, decay {decay}: {1 / (rate * decay):12,.0f} steps")
for passes in (2, 4, 10, 40, 100):
    worth = 1 + 15.387756 * (1 - np.exp(-(passes - 1) / 15.387756))
    print(f"{passes:4d} passes are worth {worth:5.1f}")

# %% [markdown]
r"""
A short fine-tuning run at a small rate ends long before its decay does anything. The second table is the fit of Muennighoff et al. to language
models: $D' = U + U R^* (1 - e^{-R / R^*})$ for $U$ unique tokens repeated $R$ times more, $R^* \approx 15.4$. Ten passes over a scarce
modality are worth nearly eight fresh ones.

**Read it as an upper limit.** By its form it can only level off; the runs of 19.6 turn and get *worse*. Lovelace et al. (2026) add a penalty
for overfitting and find that beyond a point more repetition is counterproductive; a weight decay of 1.0 cuts that penalty by about 70 %. Kim
et al. (2025), with fixed data and much computing, find the best decay 30 times the usual. So where data repeat, strong decay *is* a
regulariser again.
"""

# %% [markdown]
r"""
## 19.9 The 60-second answer

"A regulariser gives up some training fit for a better test result; a penalty is only one kind. I sort them by where they act. Data: more
labels, augmentation, noise, mixup. Network: dropout, DropConnect, DropPath, which are noise in training and gone at inference, with not
one parameter fewer. Target: label smoothing. Weights: L2 shrinks in proportion, L1 subtracts a constant and gives exact zeros only with a
proximal step; weight decay is L2 for plain SGD, not for Adam. Time: early stopping. Models: an ensemble, which costs inference. And the
architecture itself: convolution and pooling know part of what augmentation has to teach. Then I diagnose before I choose. Both
curves bad: more capacity. Few clean labels: more labels, a network that knows more about the data, or augmentation that shows real
variation; other tricks add little. Wrong labels: whatever keeps the network from memorising. A shifted test set: data or augmentation that covers the shift, *and* an architecture that is
built for it; they add up. Pre-training in one pass: data and weight decay, which there sets the step size rather than fights overfitting.
Repeated data: stop early, or decay or drop strongly, because repetition first helps less and then harms. Fine-tuning: stay near the start; replay old data, or
keep the old answers on them by a KL term; freezing and LoRA forget less, partly by learning less."

## 19.10 Questions

Cover the answers, say yours aloud, compare. Each key point names the claim above that proves it, or a paper.
"""

# %%
bets("19")
show_questions("19")

# %% [markdown]
r"""
## 19.11 Card

- **Formula**: dropout $x \odot m / (1 - p)$ · DropConnect $(M \odot W)\,x / (1 - p)$ · DropPath $x + c_b f_l(x) / (1 - p_l)$,
  $p_l = p\,l / (L - 1)$ for $l = 0 \ldots L - 1$ · soft threshold $\mathrm{sign}(v)\max(\lvert v \rvert - \eta\lambda, 0)$ · AdamW
  $w \leftarrow (1 - \eta\lambda) w - \eta\,\text{step}$, weight at rest $\sqrt{\eta / 2\lambda}$ · smoothing $(1 - \varepsilon) y + \varepsilon / K$ ·
  mixup $s\,x_i + (1 - s)\,x_j$, the same for $y$.
- **Shapes**: coins are `(B, D)` for dropout, `(D_out, D_in)` or `(B, D_out, D_in)` for DropConnect, `(B, 1, ...)` for DropPath.
- **Cost**: parameters and inference unchanged by all of them; an ensemble of $k$ costs $k$ times both; only a smaller network or
  sparse kernels cost less.
- **Use** more labels and the right architecture first; the best validation step wherever data repeat; dropout or decay against wrong
  labels and repeated data; for a shift that you expect: an architecture that tolerates it, augmentation that covers it, best both.
- **Coins**: data parallel different; tensor parallel the same on replicated activations, different inside the split; recomputation
  the same again.
- **SAM** (not built here): the gradient is taken at $w + \rho\, g / \lVert g \rVert$, so a step costs two passes.
- **Fine-tuning**: measure the old skills at every checkpoint; a KL term holds the model only on the inputs on which it is computed.
- **Do not** regularise a network that underfits, expect sparsity from an L1 term in the loss, call Adam's L2 weight decay, or add
  dropout to a single pass.

## 19.12 Going deeper

**What fine-tuning a vision-language model uses.** A pre-trained model must not be pulled towards 0 but kept near its *start*, and it has
skills that the new data do not test. The regularisers are others:

| what | how it holds the model | what it costs, what to watch |
| --- | --- | --- |
| freezing | LLaVA: first the projector alone, then projector and language model; the vision encoder stays frozen throughout | nothing; VILA: with a frozen language model zero-shot is decent, in-context learning is not |
| LoRA | the change has low rank; Biderman et al.: learns less and forgets less, and holds the old skills better than weight decay or dropout | too little room for long continued pre-training |
| KL to a reference | $\beta\,\mathrm{KL}(\pi \,\Vert\, \pi_{\text{ref}})$ in the reward; InstructGPT: per token | a second model's forward pass; $\beta$ sets how near |
| replay | old data in the mixture; VILA: text-only instructions repair the text skills and even help the vision tasks | a mixing weight to tune |
| modality dropout | hide a whole modality at times (ModDrop), so that no input becomes indispensable | share of hidden examples; see lesson 08 (planned) |
| weight averaging | $(1 - \alpha)\,w_0 + \alpha\,w_1$; WiSE-FT: 4 to 6 points more under shift than prior work, ImageNet better too | one extra copy; choose $\alpha$ on validation data |

**Measured, in small.** A network reads digits (800 labels) and is fine-tuned on digits turned by a quarter (40 labels); both skills are
tested. Each remedy has three strengths, and the one with the best mean of both *validation* accuracies is kept
([`forgetting.py`](../course_lib/training/forgetting.py)). For plain fine-tuning the learning rate is tuned. `thaw` names the layers that are
trained, 1 first, 5 last; the others are frozen. Replay and the second KL use 40 of the old digits.
"""

# %%
data = forgetting.skills()
start = forgetting.pretrain(data.old)
HOLDS = {
    "nothing": [{"rate": each} for each in (2e-3, 5e-3, 1e-2)],
    "freeze layers": [{"thaw": each} for each in ((1,), (1, 3), (5,))],
    "LoRA": [{"rank": each, "rate": 0.08 / each} for each in (4, 8, 16)],
    "KL on new images": [{"kl": each} for each in (0.03, 0.1, 0.3)],
    "KL on old images": [{"kl_old": each} for each in (1.0, 3.0, 10.0)],
    "replay": [{"replay": each} for each in (1.0, 3.0, 10.0)],
    "weight averaging": [{"alpha": each} for each in (0.5, 0.7, 0.9)],
}
held = {name: forgetting.best_of(start, data, tried) for name, tried in HOLDS.items()}

# %% tags=["claim"]
before = forgetting.measure(start, data, "test")  # (2, 5): old, new
fig, ax = plt.subplots(figsize=(6, 2.7), layout="constrained")
ax.plot(*before.mean(1), "*", color="black", ms=10, label="before fine-tuning")
for (name, (_, test)), marker in zip(held.items(), "os^DvP<", strict=True):
    ax.plot(*test.mean(1), marker, ms=8, label=name)
ax.set(
    xlabel="old skill: accuracy on upright digits", ylabel="new skill: turned digits"
)
ax.set(xlim=(0, 1), ylim=(0, 1))
fig.legend(loc="outside right upper", fontsize=8)
show(
    fig,
    "Fine-tuning trades the old skill for the new one; replay and KL on old images keep most of both.",
)
old, new = ({name: test[i] for name, (_, test) in held.items()} for i in (0, 1))
kept = [old[name] - old["nothing"] for name in ("KL on old images", "replay")]
sums = {name: (old[name] + new[name]).mean().item() / 2 for name in held}
weaker = {
    name: value
    for name, value in sums.items()
    if name not in ("KL on old images", "replay")
}
claim(
    "C19.24",
    "Plain fine-tuning costs over 20 points of the old skill; replay of 40 old digits, or KL to the start on them without labels, wins back over 10 in every draw and loses under 5 of the new skill on average; no other remedy, tuned on validation, has as high a mean of both (5 draws)",
    (before[0] - old["nothing"]).mean().item() > 0.2
    and min(each.min().item() for each in kept) > 0.10
    and min(
        (new[name] - new["nothing"]).mean().item()
        for name in ("KL on old images", "replay")
    )
    > -0.05
    and min(sums["KL on old images"], sums["replay"]) > max(weaker.values()),
    measured=f"start {before[0].mean():.2f}; "
    + "; ".join(
        f"{name} {old[name].mean():.2f} and {new[name].mean():.2f}" for name in held
    ),
)

# %% [markdown]
r"""
A KL term holds the model only on the inputs on which it is computed. On the new images the start's answers are *wrong*, so KL there only slows the new skill; on 40 old images,
without a single label, it does what replay does. InstructGPT reports the like at scale: mixing pre-training data into the updates repaired more than a
larger KL coefficient did. Freezing all but the *first* layer fits here, because it is the input that changed (Lee et al., 2022, call it surgical
fine-tuning). LoRA forgets less and learns less.
"""

# %% [markdown]
r"""
**Noise on the input is a ridge.** For a linear model $E\,(y - (x + \epsilon)^\top w)^2 = (y - x^\top w)^2 + \sigma^2 \lVert w \rVert^2$:
noise of variance $\sigma^2$ on $B$ examples *is*, on average, a penalty $B \sigma^2 \lVert w \rVert^2$ on their summed square error (Bishop,
1995, who shows it for networks and small noise). Check with 1,000 noisy copies:
"""

# %%
rng = np.random.RandomState(0)
clean = rng.standard_normal((100, 5))
y = clean @ np.arange(5) + rng.standard_normal(100)
noisy = np.tile(clean, (1000, 1)) + 0.5 * rng.standard_normal((100_000, 5))
by_noise = np.linalg.lstsq(noisy, np.tile(y, 1000))[0]
ridge = np.linalg.solve(clean.T @ clean + 100 * 0.5**2 * np.eye(5), clean.T @ y)
print("noisy copies", by_noise.round(1), " ridge", ridge.round(1))

# %% tags=["claim"]
without_noise = np.linalg.lstsq(clean, y)[0]
claim(
    "C19.6",
    "Least squares on noisy copies of the inputs gives the ridge solution, far from least squares on clean inputs",
    np.abs(by_noise - ridge).max() < 0.03 and np.abs(without_noise - ridge).max() > 0.3,
    measured=f"largest difference {np.abs(by_noise - ridge).max():.3f}",
)

# %% [markdown]
r"""
**Double descent.** 60 noisy samples of a linear function, fitted by $P$ random ReLU features, from 5 to 600, by least squares (the
shortest solution, where there are many). Draw the test error over $P$ before you look.
"""


# %%
def test_error(features, penalty, seed):
    """Mean square error on 500 fresh points; 60 noisy samples, 10 inputs."""
    rng = np.random.RandomState(seed)
    truth, x = rng.standard_normal(10), rng.standard_normal((560, 10))
    y = x @ truth + rng.standard_normal(560) * (np.arange(560) < 60)
    hidden = np.maximum(x @ rng.standard_normal((10, features)), 0) / np.sqrt(10)
    u, s, v = np.linalg.svd(hidden[:60], full_matrices=False)
    weight = v.T @ (s / (s**2 + penalty) * (u.T @ y[:60]))
    return np.mean((hidden[60:] @ weight - y[60:]) ** 2)


# %%
WIDTHS = (5, 10, 20, 30, 45, 57, 60, 63, 80, 150, 600)
errors = {0: [], 10: []}
for penalty, width in itertools.product(errors, WIDTHS):
    each = [test_error(width, penalty, seed) for seed in range(25)]
    errors[penalty].append(np.median(each))

# %% tags=["claim"]
fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
for (penalty, curve), marker in zip(errors.items(), "os", strict=True):
    ax.loglog(WIDTHS, curve, marker + "-", label=f"penalty {penalty}")
ax.axvline(60, color="grey", linestyle=":")
ax.set(xlabel="random features", ylabel="test error, median of 25")
ax.legend()
show(
    fig,
    "Without a penalty the error towers at 60 features, as many as samples; a ridge has no tower.",
)
free, held = (dict(zip(WIDTHS, errors[p], strict=True)) for p in (0, 10))
small = min(free[w] for w in WIDTHS if w < 60)
claim(
    "C19.7",
    "Without a penalty the error peaks where features equal samples, tenfold above both sides; 600 features beat every model below 60",
    free[60] == max(free.values()) > 10 * max(small, free[600])
    and free[600] < 0.9 * small,
    measured=f"best below 60 features {small:.1f}, at 60 {free[60]:.0f}, at 600 {free[600]:.1f}",
)
claim(
    "C19.8",
    "A ridge of 10 removes the peak: the error falls from 30 to 60 to 600 features, below every unpenalised model",
    held[600] < held[60] < held[30] and held[600] < 0.8 * min(free.values()),
    measured=f"ridge: at 30 {held[30]:.2f}, at 60 {held[60]:.2f}, at 600 {held[600]:.2f}",
)

# %% [markdown]
r"""
At 60 features exactly one solution goes through all 60 noisy points, and it has to bend wildly to do so. With 600 there are many, and
least squares takes the shortest. With other seeds 600 features win again, at times by little. So "parameters > samples = overfitting" is wrong, *and* "double descent says regularisation is
obsolete" is wrong.
"""

# %% [markdown]
r"""
## 19.13 Sources

1. Hinton et al. (2012), *Improving neural networks by preventing co-adaptation of feature detectors*, [arXiv:1207.0580](https://arxiv.org/abs/1207.0580): dropout; the scaling is
   done at training time here.
2. Wan et al. (2013), *Regularization of Neural Networks using DropConnect*, ICML, [PMLR 28](https://proceedings.mlr.press/v28/wan13.html): masks on weights; without its sampled
   inference.
3. Huang et al. (2016), *Deep Networks with Stochastic Depth*, [arXiv:1603.09382](https://arxiv.org/abs/1603.09382): skip blocks per batch, rates that rise linearly.
4. Larsson et al. (2016), *FractalNet*, [arXiv:1605.07648](https://arxiv.org/abs/1605.07648): the name drop-path.
5. Ioffe, Szegedy (2015), *Batch Normalization*, [arXiv:1502.03167](https://arxiv.org/abs/1502.03167). Beck, Teboulle (2009), *A Fast Iterative Shrinkage-Thresholding Algorithm for Linear Inverse Problems*, [doi:10.1137/080716542](https://doi.org/10.1137/080716542): ISTA.
6. Loshchilov, Hutter (2017), *Decoupled Weight Decay Regularization*, [arXiv:1711.05101](https://arxiv.org/abs/1711.05101).
7. Szegedy et al. (2015), *Rethinking the Inception Architecture for Computer Vision*, [arXiv:1512.00567](https://arxiv.org/abs/1512.00567): label smoothing. Müller et al. (2019),
   *When Does Label Smoothing Help?*, [arXiv:1906.02629](https://arxiv.org/abs/1906.02629).
8. Zhang et al. (2017), *mixup: Beyond Empirical Risk Minimization*, [arXiv:1710.09412](https://arxiv.org/abs/1710.09412): one share per batch, as in its code.
9. Bishop (1995), *Training with noise is equivalent to Tikhonov regularization*, [doi:10.1162/neco.1995.7.1.108](https://doi.org/10.1162/neco.1995.7.1.108).
10. Belkin et al. (2018), *Reconciling modern machine learning practice and the bias-variance trade-off*, [arXiv:1812.11118](https://arxiv.org/abs/1812.11118); Nakkiran et al. (2020),
    *Optimal Regularization Can Mitigate Double Descent*, [arXiv:2003.01897](https://arxiv.org/abs/2003.01897).
11. Prechelt (1998), *Automatic early stopping using cross validation: quantifying the criteria*, [doi:10.1016/S0893-6080(98)00010-0](https://doi.org/10.1016/S0893-6080%2898%2900010-0).
12. Foret et al. (2020), *Sharpness-Aware Minimization for Efficiently Improving Generalization*, [arXiv:2010.01412](https://arxiv.org/abs/2010.01412); Wager et al. (2013), *Dropout Training as Adaptive Regularization*, [arXiv:1307.1493](https://arxiv.org/abs/1307.1493); Lakshminarayanan et al. (2016), *Deep Ensembles*,
    [arXiv:1612.01474](https://arxiv.org/abs/1612.01474): not built here.
13. Muennighoff et al. (2023), *Scaling Data-Constrained Language Models*, [arXiv:2305.16264](https://arxiv.org/abs/2305.16264): the constant $R^*$; Liu et al. (2025), *Drop Dropout on
    Single-Epoch Language Model Pretraining*, [arXiv:2505.24788](https://arxiv.org/abs/2505.24788).
14. D'Angelo et al. (2023), *Why Do We Need Weight Decay in Modern Deep Learning?*, [arXiv:2310.04415](https://arxiv.org/abs/2310.04415). Kim et al. (2025), *Pre-training under infinite
    compute*, [arXiv:2509.14786](https://arxiv.org/abs/2509.14786); Lovelace et al. (2026), *Prescriptive Scaling Laws for Data Constrained Training*, [arXiv:2605.01640](https://arxiv.org/abs/2605.01640): repetition that harms.
15. Merity et al. (2017), *Regularizing and Optimizing LSTM Language Models*, [arXiv:1708.02182](https://arxiv.org/abs/1708.02182): DropConnect with one mask. Shoeybi et al. (2019), *Megatron-LM*,
    [arXiv:1909.08053](https://arxiv.org/abs/1909.08053): coins under tensor parallelism.
16. Fine-tuning: Lee et al. (2022), *Surgical Fine-Tuning Improves Adaptation to Distribution Shifts* [arXiv:2210.11466](https://arxiv.org/abs/2210.11466), LLaVA [arXiv:2304.08485](https://arxiv.org/abs/2304.08485), VILA [arXiv:2312.07533](https://arxiv.org/abs/2312.07533), *LoRA Learns Less and Forgets Less* [arXiv:2405.09673](https://arxiv.org/abs/2405.09673), InstructGPT
    [arXiv:2203.02155](https://arxiv.org/abs/2203.02155), ModDrop [arXiv:1501.00102](https://arxiv.org/abs/1501.00102), WiSE-FT [arXiv:2109.01903](https://arxiv.org/abs/2109.01903).
17. Data: scikit-learn's copies of UCI's handwritten digits ([doi:10.24432/C50P49](https://doi.org/10.24432/C50P49)) and of the Wisconsin breast-cancer table ([doi:10.24432/C5DW2B](https://doi.org/10.24432/C5DW2B)).

## 19.14 Worked solutions
"""


# %% tags=["solution"]
def dropout(x, p, train, generator):
    if not train or p == 0:
        return x
    keep = torch.rand(x.shape, generator=generator) >= p
    return x * keep / (1 - p) if p < 1 else torch.zeros_like(x)


check(exercise.dropout, dropout, solution=True)


# %% tags=["solution"]
def drop_path(branch, p, train, generator):
    if not train or p == 0:
        return branch
    keep = torch.rand(len(branch), *[1] * (branch.dim() - 1), generator=generator) >= p
    return branch * keep / (1 - p) if p < 1 else torch.zeros_like(branch)


check(exercise.drop_path, drop_path, solution=True)


# %% tags=["solution"]
def proximal_descent(features, target, penalty, rate, steps):
    weight = torch.zeros(features.shape[1], dtype=features.dtype)
    for _ in range(steps):
        slope = features.T @ (features @ weight - target) / len(features)
        moved = weight - rate * slope
        weight = moved.sign() * (moved.abs() - rate * penalty).clamp_min(0)
    return weight


check(exercise.ista, proximal_descent, solution=True)


# %% tags=["solution"]
def early_stop(losses, patience, min_delta):
    best = 0
    for now, loss in enumerate(losses):
        best = now if loss < losses[best] - min_delta else best
        if now - best >= patience:
            break
    return best


check(exercise.early_stop, early_stop, solution=True)

# %% [markdown]
r"""
*Lessons:* [start page](00_start_here.ipynb) · previous: 18 · Schedules, batch size and search (planned), before it [17 · Optimisers](17_optimisers.ipynb) · next: 20 · Why joint training fails (planned), then [21 · Metrics and protocols for prediction](21_prediction_metrics.ipynb)
"""
