# %% [markdown]
r"""
# 19 · Regularisation and overfitting

You will be able to look at four training curves, name the remedy that fits each, and say what every regulariser does to the
weights, to the cost and to inference, and what it does not do.

*65 minutes · needs no other lesson · under 60 s of CPU*

*Lessons:* [start page](00_start_here.ipynb) · previous: 18 · Schedules, batch size and search (planned), before it [17 · Optimisers](17_optimisers.ipynb) · next: 20 · Why joint training fails (planned), then [21 · Metrics and protocols for prediction](21_prediction_metrics.ipynb)
"""

# %% [markdown]
r"""
## 19.1 The interview question

> **Which regularisers do you know, what does each of them do and not do, and which one would you use here?**
>
> **你知道哪些正则化方法？每种方法做了什么、没做什么？眼前这种情况你会用哪一种？**

**The 60-second answer, to be earned below.** "A regulariser gives up some training fit for a better test result; a penalty is
only one kind. I sort them by where they act. Data: more labels, augmentation, noise, mixup. Network: dropout, DropConnect,
DropPath, which are noise in training and gone at inference, with not one parameter fewer. Target: label smoothing. Weights: L2
shrinks in proportion, L1 subtracts a constant and gives exact zeros only with a proximal step; weight decay is L2 for plain SGD, not
for Adam. Time: early stopping. Models: an ensemble, which costs inference. And the architecture: convolution and pooling know what augmentation
has to teach. Then I diagnose before I choose. Both
curves bad: more capacity, no regulariser. Few clean labels: more labels, or a network that knows more about the data; tricks add little. Wrong labels: whatever keeps the
network from memorising. A shifted test set: an architecture that tolerates the shift, data or augmentation that covers it, best both. Pre-training in one pass:
data, and weight decay, which there sets the size of the steps. Repeated data: stop early or decay strongly; repetition first helps less and then harms."
"""

# %% [markdown]
r"""
**You will be able to**

1. write dropout, DropConnect and DropPath, and say what is left of them at inference;
2. say where L1's zeros come from, and why an L1 term in the loss alone gives none;
3. tell weight decay from an L2 penalty under Adam;
4. read a training curve and pick the remedy that fits it;
5. say which regularisers survive when every example is seen once.

| you have | read |
| --- | --- |
| an evening (65 min) | everything, exercises included |
| a workshop (45 min) | *Try first*, 19.2, the drops in 19.4 with exercise 19.1, 19.6 from "Four patients" on with bets, 19.7 |
| 15 minutes before the interview | 19.1, the table in 19.3, the heat map in 19.6, 19.7, 19.9, 19.10 |

**Try first.** Four networks read handwritten digits. Each is in trouble.

- **A** has 100 labelled digits. Training is perfect, the test is not.
- **B** has 500 labels, of which 30 % were replaced by a random digit. Validation first rises, then falls.
- **C** has 500 clean labels and three hidden units. Training and test are both poor.
- **D** has 500 clean labels, and training and validation are excellent. The customer's camera is off by a pixel, and there
  accuracy collapses.

You may prescribe *one* of twelve remedies to each: weight decay, dropout, input noise, label smoothing, mixup, random shifts by
a pixel, early stopping, a network an eighth as wide, one four times as wide, three networks averaged, twice the labels, a small
convolutional network with pooling. Write down four prescriptions. And for D: what does pooling recover without one shifted picture in training? Section 19.6 runs all 48.
"""

# %%
import functools
import itertools

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import Lasso, Ridge
from torch import nn
from torch.nn import functional as F

from course_lib.compat import ensure_torchvision
from course_lib.data.digits import TRAIN_IMAGES
from course_lib.exercises import lesson_19 as exercise
from course_lib.interview.show import show_questions
from course_lib.lesson.claims import claim
from course_lib.lesson.exercises import check, hint
from course_lib.lesson.explore import explore
from course_lib.lesson.figures import COLOURS, bar_plot, show
from course_lib.metrics.classification import accuracy
from course_lib.models import regularisers
from course_lib.training.config import TrainConfig
from course_lib.training.early_stop import KeepBest
from course_lib.training.loop import fit
from course_lib.training.sparse import ista

SEEDS = (0, 1, 2)
_ = torch.manual_seed(0)

# %% [markdown]
r"""
![One training step from left to right: data, network, loss, weight update, with the regularisers that act on each above it:
augmentation, noise and mixup; dropout, DropConnect and DropPath; label smoothing; L1, L2 and weight decay. Below, the inference
path: input, the whole network, prediction; only an ensemble adds cost there.](figures/19_where_they_act.svg)

Nearly everything in the upper row is switched off in the lower one. That is the first thing to say about any regulariser: it
changes what is *learnt*, not what is *run*. Two things stay: an ensemble, and the shape of the network itself.

## 19.2 By hand

**Dropout.** Three hidden units, a linear read-out, p = 0.5. There are only eight masks; take them all. What is kept is divided by
$1 - p$, so here it is doubled.
"""

# %%
hidden, readout, p = torch.tensor([2.0, -1.0, 3.0]), torch.tensor([1.0, 2.0, 1.0]), 0.5
masks = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3)))  # all eight
outputs = (hidden * masks / (1 - p)) @ readout
for mask, output in zip(masks.int().tolist(), outputs, strict=True):
    print(*mask, f"  output {output:5.1f}   after a ReLU {output.relu():5.1f}")
print(f"mean    output {outputs.mean():5.1f}   after a ReLU {outputs.relu().mean():5.1f}")
print(f"eval    output {hidden @ readout:5.1f}   after a ReLU {(hidden @ readout).relu():5.1f}")

# %% [markdown]
r"""
The mean over masks is the eval output, exactly, as long as everything after the mask is linear. One ReLU later it is not: eval
mode only approximates the average network, for the price of one pass.

**L2 multiplies, L1 subtracts.** One step of shrinking without any data, rate × penalty = 0.1:
"""

# %%
weights = torch.tensor([3.0, 1.0, 0.2, 0.05, -0.08])
by_l1 = F.softshrink(weights, 0.1) + 0.0  # + 0.0 turns -0.0 into 0.0
for name, row in {"before": weights, "after L2": weights * (1 - 0.1), "after L1": by_l1}.items():
    print(f"{name:9s}", " ".join(f"{value:7.3f}" for value in row.tolist()))

target = regularisers.smooth_labels(torch.tensor([1]), classes=4, smoothing=0.2)[0]
print("\nlabel 1 of 4, smoothed by 0.2:     ", [round(value, 3) for value in target.tolist()])

# %% [markdown]
r"""
L2 takes a tenth of everybody, so the small ones stay small and never reach 0. L1 takes the same amount from everybody, and who
has less than that is bankrupt: exactly 0.

### Exercise 19.1 · dropout ●○○ 10 minutes

Any shape in, the same shape out. `p` lies in [0, 1]; with 1 all is 0. In training each number has a coin of its own: 0 with probability `p`, otherwise the number divided by
`1 - p`. With `train=False` the result is `x` itself. Coins come from `generator` (`torch.rand(..., generator=generator)`), so another state of it gives another mask. Do not change `x`.
"""


# %% tags=["exercise"]
def dropout(x, p, train, generator):
    """Zero each number with probability p in training; eval mode must need no scaling."""
    raise NotImplementedError


check(exercise.dropout, dropout)
hint(exercise.dropout)

# %% [markdown]
r"""
## 19.3 In symbols

$m$, $M$, $c$ are coins: 0 with probability $p$, else 1. $\eta$ is the learning rate, $\lambda$ the penalty, $f_l$ the branch of block
$l$, $s$ mixup's share (papers write $\lambda$). Cost is per step of B examples.

| remedy | formula | in code | parameters | training | inference |
| --- | --- | --- | --- | --- | --- |
| L2 penalty | loss $+ \tfrac{\lambda}{2}\lVert w \rVert^2$ | `SGD(weight_decay=)` | same | nothing | nothing |
| weight decay | $w \leftarrow (1 - \eta\lambda)\,w - \eta\,\text{step}$ | `AdamW(weight_decay=)` | same | nothing | nothing |
| L1, proximal | $w \leftarrow \mathrm{sign}(v)\max(\lvert v \rvert - \eta\lambda, 0)$ | `F.softshrink`, `ista` | same, many are 0 | nothing | less only with sparse kernels |
| dropout | $x \odot m / (1 - p)$ | `dropout` | same | B · D coins | gone |
| DropConnect | $(M_b \odot W)\,x_b / (1 - p)$ | `DropConnectLinear` | same, dense | B · D_in · D_out coins | gone |
| DropPath | $x + c_b\,f_l(x) / (1 - p_l)$ | `drop_path` | same | B coins a block | gone, all blocks run |
| label smoothing | $(1 - \varepsilon)\,y + \varepsilon / K$ | `smooth_labels` | same | nothing | gone |
| mixup | $s\,x_i + (1 - s)\,x_j$, the same for $y$ | `mixup` | same | one blend | gone |
| augmentation, noise | $T(x)$, with $y$ kept true | yours | same | the transform | gone |
| SAM (not built here) | $\nabla L\,(w + \rho\, g / \lVert g \rVert)$, $g = \nabla L(w)$ | yours | same | 2 × | nothing |
| early stopping | the best validation step | `early_stop`, `KeepBest` | same | *less* | nothing |
| ensemble | $\tfrac1k \sum_j p_j$ | a loop | $k$ × | $k$ × | **$k$ ×** |
| smaller network | | `width=` | **fewer** | less | **less** |
| more labels | | | same | same per step | nothing |

Two rows change what is deployed. Everything else is a training-time story.
"""

# %% [markdown]
r"""
## 19.4 Build it

**Dropout**, as a loop, in one line, and PyTorch's. Coins differ between random streams, so the mask is read off PyTorch's result.
"""

# %%
x = torch.randn(6, 5) + 4  # (B, D), nowhere 0
by_torch = nn.Dropout(0.4)(x)
mask, looped = (by_torch != 0).float(), torch.zeros(6, 5)
for b, d in itertools.product(range(6), range(5)):
    looped[b, d] = x[b, d] / (1 - 0.4) if mask[b, d] == 1 else 0.0
print("loop = one line:     ", torch.allclose(looped, x * mask / 0.6))
print("one line = nn.Dropout:", torch.allclose(x * mask / 0.6, by_torch))
print("in eval mode nn.Dropout returns its input:", nn.Dropout(0.4).eval()(x) is x)

# %% [markdown]
r"""
**What is dropped?** The three drops differ in *what* the coin decides about: a unit, a weight, a whole block. Under the microscope,
light is kept:
"""

# %%
coins = torch.Generator().manual_seed(3)
units = regularisers.dropout(torch.ones(12, 24), 0.3, train=True, generator=coins)
layer = regularisers.DropConnectLinear(24, 12, p=0.3, per_example=False, bias=False, generator=coins)
connections = layer(torch.eye(24)).T  # each input switched on alone: its column of the masked matrix
rates = regularisers.linear_drop_rates(depth=12, last=0.6)
paths = torch.cat([regularisers.drop_path(torch.ones(24, 1), rate, True, coins) for rate in rates], dim=1)

fig, axes = plt.subplots(1, 3, figsize=(7.5, 2.6), layout="constrained")
pictures = {
    "dropout: units": (units, "unit", "example"),
    "DropConnect: weights\n(one mask)": (connections, "from unit", "to unit"),
    "DropPath: blocks\n(rates 0 to 0.6)": (paths.T, "example", "block"),
}
for ax, (title, (kept, across, down)) in zip(axes, pictures.items(), strict=True):
    ax.imshow(kept != 0, cmap="cividis", aspect="auto")
    ax.set(title=title, xlabel=across, ylabel=down, xticks=[], yticks=[])
show(
    fig,
    "Three grids of cells: scattered units dropped, scattered weights dropped, and blocks, more of them further down.",
)

# %% [markdown]
r"""
**Does dropping make the model smaller?** Count what is stored, compare eval mode with the plain layer, and average a
dropped layer over *every* mask: 256 masks for eight inputs, weighted by their probability.
"""


# %%
def mean_over_masks(after):
    """The exact expectation of after(x ⊙ mask / 0.7) over all masks that dropout with p = 0.3 can draw."""
    masks = torch.tensor(list(itertools.product([0.0, 1.0], repeat=8)), dtype=torch.float64)  # (256, 8)
    probability = 0.7 ** masks.sum(1) * 0.3 ** (8 - masks.sum(1))
    return probability @ after(features * masks / 0.7)


features, linear = torch.randn(8, dtype=torch.float64), nn.Linear(8, 3).double().requires_grad_(False)
gap = (mean_over_masks(linear) - linear(features)).abs().max().item()
bent = (mean_over_masks(lambda x: linear(x).relu()) - linear(features).relu()).abs().max().item()
claim(
    "C19.1",
    "The mean over all dropout masks is the eval output for a linear read-out, and not through a ReLU",
    gap < 1e-12 and bent > 0.01,
    measured=f"gap {gap:.0e} linear, {bent:.2f} through a ReLU",
)

plain, dropped = nn.Linear(256, 256), regularisers.DropConnectLinear(256, 256, p=0.5)
dropped.load_state_dict(plain.state_dict())
x = torch.randn(32, 256)
_ = dropped(x)  # in training mode: 32 masks of 256 x 256 are drawn
stored = [sum(p.numel() for p in layer.parameters()) for layer in (plain, dropped)]
coins_drawn = [x.numel(), len(x) * dropped.weight.numel()]
print("Linear, DropConnect: parameters", stored, "  dropout, DropConnect: coins a step", coins_drawn)
claim(
    "C19.2",
    "DropConnect stores a dense matrix, runs as a plain linear layer in eval mode, and draws 256 times dropout's coins",
    stored[0] == stored[1]
    and (dropped.weight == 0).sum().item() == 0
    and torch.equal(dropped.eval()(x), plain(x))
    and coins_drawn[1] == 256 * coins_drawn[0],
    measured=f"{(dropped.weight == 0).sum().item()} stored zeros",
)

# %% [markdown]
r"""
**DropPath** in a stack of twelve residual blocks, rates rising from 0 to 0.2: $p_l = 0.2\,l / 11$ for $l = 0 \ldots 11$. Early blocks feed all others, so they are dropped
least. torchvision calls it `StochasticDepth`. Per example ("row") is what vision transformers use; skipping the block for
the whole batch is what the stochastic-depth paper did. **Predict**: which of the two saves time?
"""

# %%
ensure_torchvision()
from torchvision.ops import StochasticDepth

branch, state = torch.randn(64, 8), torch.get_rng_state()
by_torchvision = StochasticDepth(0.2, "row")(branch)
torch.set_rng_state(state)
print("= torchvision:", torch.equal(regularisers.drop_path(branch, 0.2, train=True), by_torchvision))


def blocks_run(mode, training):
    """Mean number of blocks, of 12, that one forward pass calls."""
    calls = []
    blocks = [nn.Identity() for _ in range(12)]
    for block in blocks:
        block.register_forward_hook(lambda *_: calls.append(1))
    stack = regularisers.ResidualStack(blocks, 0.2, mode, generator=torch.Generator().manual_seed(0)).train(training)
    for _ in range(500):
        stack(branch)
    return len(calls) / 500


run = {(mode, training): blocks_run(mode, training) for mode in ("row", "batch") for training in (True, False)}
surviving = 12 - sum(regularisers.linear_drop_rates(12, 0.2))
claim(
    "C19.3",
    "With DropPath of 0.2 each example passes 10.8 of 12 blocks in training; only batch mode skips work; inference runs all 12",
    abs(surviving - 10.8) < 1e-9
    and run["row", True] == 12
    and abs(run["batch", True] - 10.8) < 0.2
    and run["row", False] == run["batch", False] == 12,
    measured=f"blocks run a pass in training: row {run['row', True]:.1f}, batch {run['batch', True]:.1f}",
)

# %% [markdown]
r"""
### Exercise 19.2 · drop_path ●●○ 10 minutes

`branch` has shape `(B, ...)` with any number of axes after the first; so has the result. One coin per example, from `generator`: the whole example is 0 with
probability `p`, otherwise divided by `1 - p`; `p` lies in [0, 1]; with 1 all is 0. With `train=False` the branch comes back as it is. Do not change it.
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
data: 569 tumours, 30 measurements each, diagnosis +1 or −1. The same minimum as scikit-learn's coordinate descent, which is
an altogether different algorithm. On the right the L2 penalty, for comparison.
"""

# %%
table, penalties = load_breast_cancer(), np.geomspace(0.003, 0.8, 20)
tumours, diagnosis = torch.from_numpy(table.data), torch.from_numpy(2.0 * table.target - 1)
tumours = (tumours - tumours.mean(0)) / tumours.std(0, correction=0)  # (B, D) = (569, 30)
diagnosis = diagnosis - diagnosis.mean()
ours = ista(tumours, diagnosis, 0.05, steps=3000)
theirs = Lasso(alpha=0.05, fit_intercept=False, tol=1e-10).fit(tumours, diagnosis).coef_
print("ours = scikit-learn's:", np.allclose(ours, theirs, atol=1e-4), " used:", (ours != 0).sum().item(), "of 30")

# %%
l1 = torch.stack([ista(tumours, diagnosis, penalty, steps=1000) for penalty in penalties])
l2 = np.stack([Ridge(alpha=569 * p, fit_intercept=False).fit(tumours, diagnosis).coef_ for p in 10 * penalties])
fig, (left, right) = plt.subplots(1, 2, figsize=(7.5, 2.8), layout="constrained", sharey=True)
left.semilogx(penalties, l1, linewidth=1)
right.semilogx(10 * penalties, l2, linewidth=1)
left.set(title="L1: weights arrive at 0, one by one", xlabel="penalty", ylabel="weight of each measurement")
right.set(title="L2: all shrink, none arrives", xlabel="penalty")
show(fig, "Thirty weight paths, twice. Under L1 they reach zero one after another, under L2 none does.")
claim(
    "C19.14",
    "ISTA finds scikit-learn's Lasso, with zeros at the same places; the ridge has no zero at any penalty",
    np.abs(ours.numpy() - theirs).max() < 1e-4 and ((ours == 0).numpy() == (theirs == 0)).all() and (l2 != 0).all(),
    measured=f"largest difference {np.abs(ours.numpy() - theirs).max():.0e}",
)

# %% [markdown]
r"""
### Exercise 19.3 · ista ●●● 15 minutes

Minimise $\lVert y - Xw \rVert^2 / (2B) + \lambda \lVert w \rVert_1$ from $w = 0$ with a given learning rate: features `(B, D)`, target `(B,)`,
result `(D,)` in the dtype of the features. Exactly `steps` steps: the gradient of the *mean* square loss, then the soft threshold `rate * penalty`. With 0 steps the
result is 0.
"""


# %% tags=["exercise"]
def proximal_descent(features, target, penalty, rate, steps):
    """`steps` times: a gradient step on the square loss, then the proximal step of the penalty."""
    raise NotImplementedError


check(exercise.ista, proximal_descent)
hint(exercise.ista)

# %% [markdown]
r"""
**Label smoothing** changes the target and nothing else, so it is a cross-entropy with softened labels. What it buys: the best
logits become *finite*. With hard labels the loss falls for ever as logits grow; with ε = 0.1 and ten classes it is lowest at a
lead of $\log\frac{1 - \varepsilon + \varepsilon / K}{\varepsilon / K} = \log 91$.
"""

# %%
logits, label = torch.randn(5, 10), torch.tensor([3, 1, 4, 1, 5])
soft = F.cross_entropy(logits, regularisers.smooth_labels(label, 10, 0.1))
print("= torch's label_smoothing:", torch.allclose(soft, F.cross_entropy(logits, label, label_smoothing=0.1)))

leads = torch.linspace(0, 12, 1201)
raised = leads[:, None] * F.one_hot(torch.tensor(3), 10)  # logit of class 3 leads the others
smoothed = F.cross_entropy(raised, torch.full((1201,), 3), label_smoothing=0.1, reduction="none")
hard = F.cross_entropy(raised, torch.full((1201,), 3), reduction="none")
best_lead = leads[smoothed.argmin()].item()
claim(
    "C19.15",
    "Smoothing by 0.1 makes the best lead finite, log 91, with a loss above 0; without it the loss only falls",
    abs(best_lead - np.log(91)) < 0.02 and smoothed.min().item() > 0.4 and (hard.diff() < 0).all(),
    measured=f"best lead {best_lead:.2f}, lowest smoothed loss {smoothed.min():.2f}",
)

# %% [markdown]
r"""
## 19.5 Explore: why corners make zeros

Two weights. Ellipses are the loss without penalty, lowest at the cross; the shape around 0 is all weights of equal penalty;
the dot is the minimum of loss plus penalty, the line its path as the penalty grows. **Predict first**: for which penalty does the
path run into an axis and stay on it?
"""


# %%
def penalised(penalty, strength, correlation):
    """The minimum for two correlated features whose best weights without penalty are (2, 0.7)."""
    covariance = torch.tensor([[1.0, correlation], [correlation, 1.0]], dtype=torch.float64)
    features = torch.linalg.cholesky(covariance).T * 2**0.5  # so that XᵀX / B is the covariance
    target = features @ torch.tensor([2.0, 0.7], dtype=torch.float64)
    if penalty == "L1":
        return ista(features, target, strength, steps=60)
    return torch.linalg.solve(covariance + strength * torch.eye(2), features.T @ target / 2)


# %%
def draw_geometry(penalty="L1", strength=1.1, correlation=0.3):
    """Loss ellipses, the level set of the penalty through the solution, and the path of solutions."""
    solution = penalised(penalty, strength, correlation)
    x, y = np.meshgrid(np.linspace(-1.6, 3.2, 60), np.linspace(-1.6, 2, 60))
    loss = (x - 2) ** 2 + (y - 0.7) ** 2 + 2 * correlation * (x - 2) * (y - 0.7)
    ring = np.stack([np.cos(angle := np.linspace(0, 2 * np.pi, 201)), np.sin(angle)])
    order = 1 if penalty == "L1" else 2
    ring = ring / np.linalg.norm(ring, order, axis=0) * float(torch.linalg.vector_norm(solution, order))
    path = torch.stack([penalised(penalty, s, correlation) for s in np.linspace(0, 2.5, 26)])
    fig, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
    ax.contour(x, y, loss, levels=[0.05, 0.3, 0.8, 1.6, 3], colors=COLOURS[0], linewidths=0.8)
    ax.plot(2, 0.7, "x", color=COLOURS[0])
    ax.plot(*ring, color=COLOURS[1])
    ax.plot(*solution, "o", *path.T, color=COLOURS[2], linewidth=2)
    value = "exactly 0" if solution[1] == 0 else f"{solution[1]:.2f}"
    ax.set(xlabel="weight 1", ylabel="weight 2", aspect="equal")
    ax.set_title(f"{penalty}, penalty {strength:.2f}: weight 2 is {value}")
    return fig


ALT = "Loss ellipses, a diamond around 0, and the path of solutions, which reaches the horizontal axis and stays on it."
explore(draw_geometry, alt=ALT, penalty=["L1", "L2"], strength=(0.0, 2.0), correlation=(-0.8, 0.8))

# %% [markdown]
r"""
The static picture is L1: the loss is content with a corner of the diamond, and corners lie on axes. The path reaches the axis well before
0 and stays on it. L2's circle has no corners: switch to it and the path runs home to 0 without ever resting on an axis.

## 19.6 Evidence

**Noise on the input is a ridge.** For a linear model $E\,(y - (x + \epsilon)^\top w)^2 = (y - x^\top w)^2 + \sigma^2 \lVert w \rVert^2$: adding
noise of variance $\sigma^2$ to B examples *is*, on average, a penalty $B \sigma^2 \lVert w \rVert^2$ on their summed square error
(Bishop, 1995, who shows it for networks and small noise). Check: 2,000 noisy copies against the ridge.
"""

# %%
rng = np.random.RandomState(0)
clean = rng.standard_normal((100, 5))
y = clean @ np.arange(5) + rng.standard_normal(100)
noisy = np.concatenate([clean + 0.5 * rng.standard_normal(clean.shape) for _ in range(2000)])  # (200,000, 5)
from_noise, plain = np.linalg.lstsq(noisy, np.tile(y, 2000))[0], np.linalg.lstsq(clean, y)[0]
ridge = Ridge(alpha=100 * 0.5**2, fit_intercept=False).fit(clean, y).coef_

for name, weight in {"least squares": plain, "noisy copies": from_noise, "ridge": ridge}.items():
    print(f"{name:14s}", " ".join(f"{value:6.2f}" for value in weight))
claim(
    "C19.6",
    "Least squares on noisy copies of the inputs gives the ridge solution, far from least squares on clean inputs",
    np.abs(from_noise - ridge).max() < 0.02 and np.abs(plain - ridge).max() > 0.3,
    measured=f"largest difference {np.abs(from_noise - ridge).max():.3f}",
)

# %% [markdown]
r"""
**Double descent.** 60 noisy samples of a linear function, fitted by $P$ random ReLU features, from 5 to 600, by least squares (the
shortest solution, where there are many). **Predict**: draw the test error over $P$. Where is it worst, and how does the widest model
compare with the best small one?
"""


# %%
def test_error(features, penalty, seed, samples=60):
    """Mean square error on 500 fresh points, of ridge regression on random ReLU features of 10 inputs."""
    rng = np.random.RandomState(seed)
    truth, x = rng.standard_normal(10), rng.standard_normal((samples + 500, 10))
    y = x @ truth + rng.standard_normal(samples + 500) * (np.arange(samples + 500) < samples)  # training noise only
    hidden = np.maximum(x @ rng.standard_normal((10, features)), 0) / np.sqrt(10)
    u, s, v = np.linalg.svd(hidden[:samples], full_matrices=False)
    weight = v.T @ (s / (s**2 + penalty) * (u.T @ y[:samples]))
    return np.mean((hidden[samples:] @ weight - y[samples:]) ** 2)


def median_error(features, penalty):
    return float(np.median([test_error(features, penalty, seed) for seed in range(25)]))


WIDTHS = (5, 10, 20, 30, 40, 50, 57, 60, 63, 70, 80, 100, 150, 300, 600)
errors = {penalty: {w: median_error(w, penalty) for w in WIDTHS} for penalty in (0, 0.1, 10)}

# %%
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for (penalty, curve), colour, marker in zip(errors.items(), COLOURS, "os^", strict=False):
    ax.loglog(list(curve), list(curve.values()), marker + "-", color=colour, markersize=4, label=f"penalty {penalty}")
ax.axvline(60, color="grey", linestyle=":", linewidth=1)
ax.set(xlabel="random features (dotted: as many as samples)", ylabel="test error, median of 25 draws")
ax.legend()
show(fig, "Without penalty the error falls, towers at 60 features and falls further; a ridge cuts the tower.")

free, tuned, small = errors[0], errors[10], min(errors[0][w] for w in WIDTHS if w < 60)
claim(
    "C19.7",
    "Without a penalty the error peaks where features equal samples, tenfold above both sides; 600 features beat every model below 60",
    free[60] == max(free.values()) > 10 * max(small, free[600]) and free[600] < 0.9 * small,
    measured=f"best below 60 features {small:.1f}, at 60 {free[60]:.0f}, at 600 {free[600]:.1f}",
)
claim(
    "C19.8",
    "A ridge of 10 removes the peak: the error falls from 30 to 60 to 600 features, below every unpenalised model",
    tuned[600] < tuned[60] < tuned[30] and tuned[600] < 0.8 * min(free.values()),
    measured=f"ridge: at 30 {tuned[30]:.2f}, at 60 {tuned[60]:.2f}, at 600 {tuned[600]:.2f}",
)

# %% [markdown]
r"""
At 60 features exactly one solution goes through all 60 noisy points, and it has to bend wildly to do so. With 600 there are many, and
least squares takes the shortest. So "parameters > samples = overfitting" is wrong, *and* "double descent says regularisation is
obsolete" is wrong: the curve with penalty 10 is
lower from 30 features on. (One penalty does not fit all widths: at 600 its curve rises a little again.)
"""

# %% [markdown]
r"""
### Four patients, twelve remedies

Real digits, 64 pixels. The network has one hidden tanh layer of 128 units (C: 3) and trains for 300 steps of AdamW. Test digits
come from writers that training never saw; validation digits do not, so validation flatters. Each remedy comes
in *one* strength, the same for all four patients and not tuned, as in a first week; a prescription would tune it on validation data. The convolutional network has fewer
parameters than the dense one (6,330 against 9,610), needs only 100 of the 300 steps, and sees no shifted picture.
"""


# %%
def shifted(images, generator):
    """Each image (B, 8, 8) moved by -1, 0 or 1 pixels in both directions; paper comes in at the edge."""
    row, column = torch.randint(0, 3, (2, len(images), 1), generator=generator) + torch.arange(8)  # (B, 8) each
    return F.pad(images, (1, 1, 1, 1))[torch.arange(len(images))[:, None, None], row[:, :, None], column[:, None]]


PATIENTS = {
    "A few labels": {"labels": 100},
    "B wrong labels": {"labels": 500, "wrong": 0.3},
    "C three units": {"labels": 500, "width": 3},
    "D moved camera": {"labels": 500, "move": shifted},
}
REMEDIES = {
    "nothing": {},
    "weight decay": {"decay": 1.0},
    "dropout": {"p": 0.3},
    "input noise": {"augment": lambda images, generator: images + 0.2 * torch.randn(images.shape, generator=generator)},
    "label smoothing": {"smoothing": 0.1},
    "mixup": {"alpha": 1.0},
    "shifts by a pixel": {"augment": shifted},
    "early stopping": {"stop": True},
    "network / 8": {"scale": 1 / 8},
    "network x 4": {"scale": 4},
    "3 networks": {"members": 3},
    "labels x 2": {"more": 2},
    "convolution": {"conv": True, "steps": 100},
}

# %%
digits = load_digits()
IMAGES, LABELS = torch.tensor(digits.images / 16, dtype=torch.float32), torch.tensor(digits.target)


def corrupt(label, share, generator):
    """`share` of the labels replaced by a random digit, which is right one time in ten."""
    wrong = torch.rand(len(label), generator=generator) < share
    return torch.where(wrong, torch.randint(0, 10, label.shape, generator=generator), label)


def examine(patient, seed, more=1):
    """(images, labels) of training, validation (200) and test (510) for one draw of the labelled digits."""
    case, generator = PATIENTS[patient], torch.Generator().manual_seed(seed)
    order, move = torch.randperm(TRAIN_IMAGES, generator=generator), case.get("move", lambda images, generator: images)
    parts = {"train": order[: case["labels"] * more], "validation": order[-200:]}
    data = {n: (IMAGES[i], corrupt(LABELS[i], case.get("wrong", 0), generator)) for n, i in parts.items()}
    return data | {"test": (move(IMAGES[TRAIN_IMAGES:], torch.Generator().manual_seed(seed)), LABELS[TRAIN_IMAGES:])}


def treated_loss(augment, smoothing, alpha, mix_labels, generator):
    """The loss of a batch, after the remedies that act on inputs and targets."""

    def loss(model, batch):
        images, target = batch[0], regularisers.smooth_labels(batch[1], 10, smoothing)
        images = images if augment is None else augment(images, generator)
        if alpha is not None:
            mixed = regularisers.mixup(images, target, alpha, generator)
            images, target = mixed.input, mixed.target if mix_labels else target
        return F.cross_entropy(model(images), target)

    return loss


# %%
def convolutional():
    """Three 3 x 3 convolutions with batch norm; pooling forgets the place. 6,330 parameters, the dense network has 9,610."""
    blocks = [(nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU()) for i, o in ((1, 8), (8, 16), (16, 32))]
    body = *blocks[0], *blocks[1], nn.MaxPool2d(2), *blocks[2], nn.AdaptiveMaxPool2d(1)
    return nn.Sequential(nn.Unflatten(1, (1, 8)), *body, nn.Flatten(), nn.Linear(32, 10))


@functools.cache  # the first of "3 networks" is the one that got nothing
def treat(patient, seed, member=0, more=1, scale=1.0, decay=0.0, p=0.0, stop=False, conv=False, steps=300, **on_batch):
    """One network; returns its test probabilities and its history of losses and accuracies."""
    data, width = examine(patient, seed, more), max(2, round(PATIENTS[patient].get("width", 128) * scale))
    torch.manual_seed(1000 * member + seed)
    layers = nn.Dropout(p), nn.Linear(64, width), nn.Tanh(), nn.Dropout(p), nn.Linear(width, 10)
    model = nn.Sequential(nn.Flatten(), *layers) if not conv else convolutional()
    settings = {"steps": steps, "learning_rate": 5e-3, "evaluate_every": 30, "progress": "none"}
    keep = KeepBest(lambda model: {n: accuracy(model(x), y) for n, (x, y) in data.items()}, "validation")
    remedy = {"augment": None, "smoothing": 0.0, "alpha": None, "mix_labels": True} | on_batch
    loss = treated_loss(**remedy, generator=torch.Generator().manual_seed(seed))
    history = fit(
        model, data["train"], loss, TrainConfig(**settings, batch_size=100, weight_decay=decay, seed=seed), keep
    )
    if stop:
        keep.restore(model)
    with torch.no_grad():
        return model.eval()(data["test"][0]).softmax(-1), history


# %%
def prescribe(patient, seed, members=1, **remedy):
    """Test accuracy, of the average where there are several networks, and the history of the first."""
    runs = [treat(patient, seed, member, **remedy) for member in range(members)]
    return accuracy(torch.stack([p for p, _ in runs]).mean(0), LABELS[TRAIN_IMAGES:]), runs[0][1]


RECORDS = {(q, r): [prescribe(q, seed, **REMEDIES[r]) for seed in SEEDS] for q in PATIENTS for r in REMEDIES}
print(len(RECORDS), "prescriptions,", len(SEEDS), "draws each")

# %% [markdown]
r"""
**What would you do?** Look at the four curves before the heat map below spoils it. Live, the menu lays a remedy's curves over the grey
ones of the untreated network. (A real patient D would show no test curve before the customer calls.)
"""


# %%
def draw_patients(remedy="nothing"):
    """Accuracies over the steps of the first seed, the untreated network in grey behind the treated one."""
    fig, axes = plt.subplots(1, 4, figsize=(7.8, 2.4), sharey=True)
    fig.subplots_adjust(left=0.08, right=0.99, bottom=0.21, top=0.9, wspace=0.06)  # faster than a constrained layout
    for ax, patient in zip(axes, PATIENTS, strict=True):
        for shown, colours in (("nothing", ("#cccccc",) * 3), (remedy, COLOURS)):
            history = RECORDS[patient, shown][0][1]
            for name, style, colour in zip(("train", "validation", "test"), ("-", "--", ":"), colours, strict=False):
                ax.plot(history.steps(name), history[name], style, color=colour, label=name)
        ax.set(title=patient, xlabel="step", ylim=(0.2, 1.02))
        ax.title.set_fontsize(9)
    axes[0].set_ylabel("accuracy")
    axes[-1].legend(
        *(part[3:] for part in axes[0].get_legend_handles_labels()), fontsize=7, title=remedy, title_fontsize=7
    )
    return fig


explore(
    draw_patients,
    alt="Four learning curves: a wide gap for A, validation that turns for B, everything low for C, a collapsed test for D.",
    remedy=list(REMEDIES),
)


# %%
def gain(patient, remedy):
    """Points of test accuracy won by the remedy, one a seed."""
    pairs = zip(RECORDS[patient, remedy], RECORDS[patient, "nothing"], strict=True)
    return torch.tensor([100 * (treated - untreated) for (treated, _), (untreated, _) in pairs])


TREATED = list(REMEDIES)[1:]
mean = torch.tensor([[gain(q, r).mean() for q in PATIENTS] for r in TREATED])
fig, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
ax.imshow(mean, cmap="PuOr_r", vmin=-12, vmax=12, aspect="auto")
for row, column in itertools.product(range(12), range(4)):
    points = mean[row, column].item()
    ax.text(column, row, f"{points:+.1f}", ha="center", va="center", color="white" if abs(points) > 7 else "black")
untreated = [np.mean([accuracy for accuracy, _ in RECORDS[q, "nothing"]]) for q in PATIENTS]
columns = [f"{q}\n(untreated {u:.2f})" for q, u in zip(PATIENTS, untreated, strict=True)]
ax.set(yticks=range(12), yticklabels=TREATED, xticks=range(4))
ax.set_xticklabels(columns, fontsize=9)
ax.set_title("change of test accuracy in points, mean of three seeds", fontsize=10)
show(
    fig,
    "Heat map of twelve remedies by four patients. Each patient has a best remedy of its own; most changes are small.",
)

# %%
A, B, C, D = PATIENTS
best_trick = max((gain(A, r).mean().item(), r) for r in TREATED if r not in ("labels x 2", "convolution"))
doubled, convolved = gain(A, "labels x 2").mean().item(), gain(A, "convolution").mean().item()
claim(
    "C19.9",
    "A: twice the labels gain over 2 points and a convolutional network over 2; none of the ten others, each in one strength, gains as much as either (mean of 3 seeds)",
    min(doubled, convolved) > max(2, best_trick[0]),
    measured=f"twice the labels {doubled:+.1f}, convolution {convolved:+.1f}, best of the others {best_trick[1]} {best_trick[0]:+.1f}",
)
helped = {
    r: gain(B, r).mean().item() for r in ("weight decay", "dropout", "input noise", "early stopping", "network / 8")
}
claim(
    "C19.10",
    "B: weight decay, dropout, input noise, early stopping and a smaller network each gain over 2 points, a wider one loses over 2 (mean of 3 seeds)",
    min(helped.values()) > 2 and gain(B, "network x 4").mean().item() < -2,
    measured=", ".join(f"{r} {value:+.1f}" for r, value in helped.items()) + f", wider {gain(B, 'network x 4').mean():+.1f}",
)
others = max((gain(C, r).mean().item(), r) for r in TREATED if r not in ("network x 4", "3 networks", "convolution"))
wider, decayed = gain(C, "network x 4").mean().item(), gain(C, "weight decay").mean().item()
claim(
    "C19.11",
    "C: a wider network gains over 10 points more than any regulariser or more labels; weight decay gains less than 3 (mean of 3 seeds)",
    wider > others[0] + 10 and decayed < 3,
    measured=f"wider {wider:+.1f}, best of the others {others[1]} {others[0]:+.1f}, weight decay {decayed:+.1f}",
)


# %%
def two_pixels(images, generator):
    """Moved by exactly two pixels in one direction or both: twice as far as in training."""
    ways = torch.tensor([way for way in itertools.product(range(-2, 3), repeat=2) if max(map(abs, way)) == 2])
    row, column = (ways[torch.randint(len(ways), (len(images),), generator=generator)] + 2).T
    each, at = torch.arange(len(images))[:, None, None], torch.arange(8)
    return F.pad(images, (2, 2, 2, 2))[each, (row[:, None] + at)[:, :, None], (column[:, None] + at)[:, None]]


FAR = "D moved twice as far"
PATIENTS[FAR] = {"labels": 500, "move": two_pixels}
BOTH = REMEDIES["convolution"] | {"augment": shifted}
ARMS = {"nothing": {}, "shifts": REMEDIES["shifts by a pixel"], "convolution": REMEDIES["convolution"], "both": BOTH}
near, far = ({n: torch.tensor([prescribe(q, s, **do)[0] for s in SEEDS]) for n, do in ARMS.items()} for q in (D, FAR))
home = np.mean([accuracy(treat(A, seed)[0], LABELS[TRAIN_IMAGES:]) for seed in SEEDS])
fig, ax = plt.subplots(figsize=(5.6, 2.6), layout="constrained")
for name, marker in zip(ARMS, "os^D", strict=True):
    ax.plot((1, 2), (near[name].mean(), far[name].mean()), marker + "-", label=name)
ax.axhline(0.1, color="grey", linestyle=":")
ax.set(xticks=(1, 2), xticklabels=("up to 1 pixel", "2 pixels"), ylabel="accuracy, dotted: chance")
ax.legend(fontsize=8)
show(fig, "At two pixels, beyond what training showed, shifts alone fall to near chance; convolution with shifts stays highest.")
moved, rest = gain(D, "shifts by a pixel"), max(
    (gain(D, r).mean().item(), r) for r in TREATED if r not in ("shifts by a pixel", "convolution")
)
pooled = gain(D, "convolution")
claim(
    "C19.12",
    "D: without one moved picture in training, a convolutional network with pooling gains over 10 points in every seed; training on shifts, which is the test's own shift, over 30; no other remedy gains 10 on average (3 seeds)",
    pooled.min().item() > 10 and moved.min().item() > 30 and rest[0] < 10,
    measured=f"convolution {pooled.min():+.1f} to {pooled.max():+.1f}, shifts at least {moved.min():+.1f}, next {rest[1]} {rest[0]:+.1f}",
)
claim(
    "C19.20",
    "Moved by two pixels, which no training picture was, shifts alone fall below 0.4; with convolution they stay over 0.4, over 0.1 higher than either alone (mean of 3 seeds)",
    far["shifts"].mean().item() < 0.4
    and far["both"].mean().item() > max(0.4, far["shifts"].mean().item() + 0.1, far["convolution"].mean().item() + 0.1),
    measured=", ".join(f"{n} {near[n].mean():.2f} and {far[n].mean():.2f}" for n in ARMS),
)

# %% [markdown]
r"""
For A none of the tricks adds information. A second batch of labels does, and so does an architecture that *knows* something: a stroke means the same wherever it
stands. (The ten others have one strength each. In C three averaged networks help as well: an average of three narrow networks *is* a
wider one.) So the answer to "how do you avoid overfitting" is: **there is no remedy, there is a diagnosis.** The wider network is the
cure for C and harms B; the smaller one helps B and ruins C.

**D, fairly.** Training on shifts wins its row by construction: the training shift *is* the test's shift. The figure tests another one, two pixels. **Architecture is a remedy**:
pooling tolerates small shifts that no training picture showed. **Augmentation covers what it covers**, and **they add up**.

### Exercise 19.4 · early_stop ●●○ 10 minutes

`losses` are validation losses, lower is better. Give up after `patience` measurements in a row that are not more than `min_delta` below the
best so far (the first one is the first best; a tie is not better). Return the index of the best measurement seen until then. `losses` holds at least one, `patience` is at least 1.
"""


# %% tags=["exercise"]
def early_stop(losses, patience, min_delta):
    """Index of the best measurement that a run with early stopping would have seen."""
    raise NotImplementedError


check(exercise.early_stop, early_stop)
hint(exercise.early_stop)

# %% [markdown]
r"""
**One pass.** Language and vision-language models see most examples once. What is left to regularise? 400 steps of 64 examples, always the
same amount of computing: 25,600 different examples once, or 400 different ones 64 times. One label in ten is wrong. **Predict**:
up to how many passes is repeated data as good as new? Where does dropout start to pay?
"""


# %%
def pass_losses(passes, p, seed):
    """Training, test and lowest test loss of an MLP after 400 steps of 64, on examples of which each is seen `passes` times."""
    torch.manual_seed(1000 + seed)
    teacher = nn.Sequential(nn.Linear(20, 8), nn.Tanh(), nn.Linear(8, 1)).requires_grad_(False)
    x = torch.randn(25_600 // passes + 4000, 20)
    label = (teacher(x)[:, 0] > teacher(x).median()).long()
    label = torch.where(torch.rand(len(x)) < 0.1, 1 - label, label)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(20, 256), nn.ReLU(), nn.Dropout(p), nn.Linear(256, 2))
    config = TrainConfig(
        steps=400, batch_size=64, learning_rate=3e-3, weight_decay=0.0, seed=seed, evaluate_every=50, progress="none"
    )
    test = lambda model: {"test": F.cross_entropy(model(x[-4000:]), label[-4000:])}  # noqa: E731
    data = x[:-4000], label[:-4000]
    history = fit(model, data, lambda model, batch: F.cross_entropy(model(batch[0]), batch[1]), config, test)
    with torch.no_grad():
        loss = F.cross_entropy(model.eval()(x), label, reduction="none")
    return loss[:-4000].mean().item(), loss[-4000:].mean().item(), min(history["test"])


PASSES = (1, 4, 16, 64)
seen = {p: torch.tensor([[pass_losses(n, p, seed) for seed in SEEDS] for n in PASSES]) for p in (0.0, 0.5)}

# %%
fig, ax = plt.subplots(figsize=(5.6, 2.8), layout="constrained")
for (p, losses), colour, marker in zip(seen.items(), COLOURS, "os", strict=False):
    for part, style in ((0, ":"), (1, "-")):
        name = f"{('training', 'test')[part]}, {'no dropout' if p == 0 else 'dropout 0.5'}"
        ax.plot(PASSES, losses[..., part].mean(1), style + marker, color=colour, label=name)
ax.set(
    xscale="log", xticks=PASSES, xticklabels=PASSES, xlabel="passes over the data, same number of steps", ylabel="loss"
)
ax.legend(fontsize=8)
show(
    fig,
    "Up to four passes training and test loss agree and dropout changes nothing; at 64 passes the test loss soars and dropout lowers it.",
)

without, with_dropout = seen[0.0][..., 1], seen[0.5][..., 1]  # (passes, seeds)
claim(
    "C19.13",
    "Four passes cost under 0.03 of test loss against one, 64 passes over 0.3; repeating 64 times harms: the test loss ends over 0.2 above its own lowest (3 seeds)",
    (without[1] - without[0]).abs().max().item() < 0.03
    and (without[3] - without[0]).min().item() > 0.3
    and (without[3] - seen[0.0][3, :, 2]).min().item() > 0.2,
    measured=f"test loss {', '.join(f'{value:.2f}' for value in without.mean(1))} for {PASSES} passes",
)
claim(
    "C19.16",
    "Dropout of 0.5 changes the one-pass test loss by under 0.02 and lowers it by over 0.1 at 64 passes (3 seeds)",
    (with_dropout[0] - without[0]).abs().max().item() < 0.02 and (without[3] - with_dropout[3]).min().item() > 0.1,
    measured=f"change {(with_dropout - without).mean(1)[0]:+.3f} at one pass, {(with_dropout - without).mean(1)[3]:+.2f} at 64",
)

# %% [markdown]
r"""
In one pass the next batch *is* a test set, so there is no gap to close. That is why large language models are pre-trained with little or
no dropout (Liu et al., 2025, measured that it even hurts), and why four epochs of scarce text were found to be nearly as good as
new text, and forty were not (Muennighoff et al., 2023).

**Why is weight decay kept in one pass, then?** Not against overfitting. D'Angelo et al. (2023) find that in nearly one-epoch training it balances bias and variance of the optimisation: lower
*training* loss, stabler runs. It sets the size of the steps relative to the weights. An Adam step moves every weight by about $\eta$, in a random direction where
gradients are noise: the mean square grows by $\eta^2$. Decay takes $2\eta\lambda$ of it. They balance at
$\eta^2 = 2\eta\lambda\,\overline{w^2}$, so $\sqrt{\overline{w^2}} = \sqrt{\eta / 2\lambda}$ and step / weight = $\sqrt{2\eta\lambda}$. In front of a normalisation the length of
the weights changes nothing in the output; then $\sqrt{2\eta\lambda}$ *is* the speed of learning. C19.21 below measures it.

## 19.7 Wrong answers people give

Bet before you run: is the sentence true?

> **"Weight decay means adding a squared-weight term to the loss."**

True for plain SGD, where the gradient of the penalty is $\lambda w$. Adam *divides* the gradient by its recent size, the penalty's part included: its first step is $\eta$ times the sign of the
sum, whatever the penalty. Weight 1, gradient 0.5, rate 0.1; [lesson 17](17_optimisers.ipynb) runs it over 300 steps. Below, what decay does to noise: every weight settles at $\sqrt{\eta / 2\lambda}$.
"""


# %%
def one_step(rule, decay):
    """The weight after one step of `rule` from 1, for a loss of slope 0.5."""
    weight = nn.Parameter(torch.ones(1))
    weight.grad = torch.tensor([0.5])
    rule([weight], lr=0.1, weight_decay=decay).step()
    return weight.item()


def settle(start, decay):
    """Size of 2,000 weights after 600 steps of AdamW with rate 0.01 on pure noise."""
    weight = nn.Parameter(start * torch.randn(2000))
    rule = torch.optim.AdamW([weight], lr=0.01, weight_decay=decay, betas=(0.0, 0.99))
    for _ in range(600):
        weight.grad = torch.randn(2000)
        rule.step()
    return weight.detach().square().mean().sqrt().item()


RULES = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam, "AdamW": torch.optim.AdamW}
moved_to = {name: [one_step(rule, decay) for decay in (0.0, 0.1, 1.0)] for name, rule in RULES.items()}
claim(
    "C19.5",
    "For plain SGD an L2 term is weight decay; Adam's first step is the same for L2 terms of 0, 0.1 and 1, AdamW shrinks by rate x decay",
    np.allclose(moved_to["SGD"], [0.95, 0.94, 0.85], atol=1e-6)
    and np.allclose(moved_to["Adam"], 0.9, atol=1e-6)
    and np.allclose(moved_to["AdamW"], [0.9, 0.89, 0.8], atol=1e-6),
    measured="; ".join(f"{name} {' '.join(f'{x:.2f}' for x in row)}" for name, row in moved_to.items()),
)
due, sizes = (0.01 / 2) ** 0.5, {(s, d): settle(s, d) for s in (0.01, 1.0) for d in (0.0, 1.0)}
claim(
    "C19.21",
    "With rate 0.01 and decay 1 noise settles at a weight of sqrt(rate / (2 decay)), wherever it started; without decay the size depends on the start",
    max(abs(sizes[s, 1.0] / due - 1) for s in (0.01, 1.0)) < 0.1 and sizes[1.0, 0.0] > 3 * sizes[0.01, 0.0],
    measured=f"due {due:.4f}, found {sizes[0.01, 1.0]:.4f} and {sizes[1.0, 1.0]:.4f}",
)

# %% [markdown]
r"""
> **"Add an L1 term to the loss and the weights become sparse."**

The *minimum* is sparse. Gradient descent with $\lambda\,\mathrm{sign}(w)$ never gets there: the pull has full strength on both sides
of 0, so the weight hops over it for ever. 50 features, five of which matter:
"""


# %%
def zeros_after(step, seed):
    """Exact zeros among 50 weights after 3,000 steps of learning rate 0.01 and penalty 0.3."""
    generator = torch.Generator().manual_seed(seed)
    x, weight = torch.randn(100, 50, generator=generator), torch.full((50,), 0.1)
    y = 3 * x[:, :5].sum(1) + 0.5 * torch.randn(100, generator=generator)
    for _ in range(3000):
        weight = step(weight, x.T @ (x @ weight - y) / 100)
    return (weight == 0).sum().item()


STEPS = {
    "L1 in the gradient": lambda w, g: w - 0.01 * (g + 0.3 * w.sign()),
    "L1 proximal": lambda w, g: F.softshrink(w - 0.01 * g, 0.01 * 0.3),
    "L2": lambda w, g: w - 0.01 * (g + 0.3 * w),
}
zeros = {name: [zeros_after(step, seed) for seed in SEEDS] for name, step in STEPS.items()}
claim(
    "C19.4",
    "Of 50 weights, 45 of them useless, L1 in the gradient and L2 zero none, the proximal step at least 40 (3 seeds)",
    max(zeros["L1 in the gradient"]) == 0 and max(zeros["L2"]) == 0 and min(zeros["L1 proximal"]) >= 40,
    measured=", ".join(f"{name} {min(n)} to {max(n)}" for name, n in zeros.items()),
)

# %% [markdown]
r"""
> **"Learning-rate decay prevents overfitting."**

It sounds right because the curve calms down. But decay lowers the noise of the last steps, not the capacity to memorise. 300 digits, 30 % of the
labels random, 256 units, 600 steps: both schedules end having memorised nearly everything. Early stopping, on an equally noisy
validation set, goes back to before.
"""


# %%
def memorise(schedule, seed):
    """Final training and test accuracy, and the test accuracy at the best validation step."""
    data = examine("B wrong labels", seed)
    data["train"] = tuple(part[:300] for part in data["train"])
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    keep = KeepBest(lambda model: {n: accuracy(model(x), y) for n, (x, y) in data.items()}, "validation")
    config = TrainConfig(
        steps=600, batch_size=100, learning_rate=5e-3, weight_decay=0.0, schedule=schedule, evaluate_every=10, seed=seed
    )
    history = fit(model, data["train"], lambda model, batch: F.cross_entropy(model(batch[0]), batch[1]), config, keep)
    stopped = history["test"][history["validation"].index(keep.value)]
    return history["train"][-1], history["test"][-1], stopped


ends = {schedule: torch.tensor([memorise(schedule, seed) for seed in SEEDS]) for schedule in ("constant", "cosine")}
train_end, test_end, stopped = (torch.stack([ends[s][:, i] for s in ends]) for i in range(3))  # (schedules, seeds)
fig, ax = bar_plot(
    {
        "constant": test_end[0].mean(),
        "cosine decay to 0": test_end[1].mean(),
        "constant, stopped early": stopped[0].mean(),
    },
    xlabel="test accuracy, mean of three seeds",
)
show(fig, "Three bars: constant and decayed learning rates end nearly equal, early stopping far above both.")
claim(
    "C19.17",
    "Constant and decayed rates both memorise wrong labels; decay gains under 5 points on average, early stopping ends over 8 above both in every seed (3 seeds)",
    train_end.min().item() > 0.97
    and (test_end[1] - test_end[0]).mean().item() < 0.05
    and (stopped[0] - test_end.max(0).values).min().item() > 0.08,
    measured=f"training at least {train_end.min():.2f}; decay gains {(test_end[1] - test_end[0]).mean():.3f}, stopping {(stopped[0] - test_end[0]).mean():.3f}",
)

# %% [markdown]
r"""
> **"Augmentation may introduce overfitting."**

It is the other way round: it makes the training set *harder*, so training fit goes down. Its dangers are others: a transform that
changes the label, and a distribution that nobody will meet. Pixels shuffled anew for every batch show the first in its purest form:
the network cannot even fit the training set. A milder danger stands in the heat map: the shifts that cure D do not help C, because
three units cannot learn nine versions of every digit.
"""


# %%
def shuffled(images, generator):
    return images.flatten(1)[:, torch.randperm(64, generator=generator)]


AUGMENT = {"none": None, "shifts": shifted, "shuffled pixels": shuffled}
runs = {n: [treat(A, s) if a is None else treat(A, s, augment=a) for s in SEEDS] for n, a in AUGMENT.items()}
fitted = {n: torch.tensor([np.mean(history["loss"][-50:]) for _, history in r]) for n, r in runs.items()}
tested = {n: torch.stack([F.nll_loss(p.log(), LABELS[TRAIN_IMAGES:]) for p, _ in r]) for n, r in runs.items()}
claim(
    "C19.18",
    "On 100 digits shifts raise the training loss and shrink the gap to the test loss; shuffling pixels stops the fit itself (3 seeds)",
    (fitted["shifts"] > fitted["none"]).all()
    and (tested["shifts"] - fitted["shifts"] < tested["none"] - fitted["none"]).all()
    and fitted["shuffled pixels"].min().item() > 1,
    measured=", ".join(f"{n}: training {fitted[n].mean():.2f}, test {tested[n].mean():.2f}" for n in AUGMENT),
)

# %% [markdown]
r"""
> **"Mixup blends two images", and "label smoothing makes the model calibrated".**

Mixup blends two images *and their labels*; that is the point. And a network told to be at most 91 % sure is less sure: whether that is calibrated
depends on how often it is right. (Müller et al., 2019, measured better calibration on large, over-confident networks.) Below, for patient A, mean confidence minus accuracy on the test set: above 0 is over-confident, below 0
under-confident.
"""


# %%
KINDS = {r: REMEDIES[r] for r in ("nothing", "mixup", "label smoothing")} | {
    "inputs alone": {"alpha": 1.0, "mix_labels": False}
}
said = {kind: torch.stack([treat(A, seed, 0, **remedy)[0] for seed in SEEDS]) for kind, remedy in KINDS.items()}
right = {kind: np.mean([accuracy(p, LABELS[TRAIN_IMAGES:]) for p in seeds]) for kind, seeds in said.items()}
bias = {kind: seeds.amax(-1).mean().item() - right[kind] for kind, seeds in said.items()}
claim(
    "C19.19",
    "Mixing inputs alone, or smoothing labels, leaves the network under-confident by over 10 points; mixup stays within 10 of its accuracy, and gains none (3 seeds)",
    max(bias["inputs alone"], bias["label smoothing"]) < -0.10
    and abs(bias["mixup"]) < 0.10
    and bias["nothing"] > 0.03
    and right["mixup"] < right["nothing"] + 0.01,
    measured=", ".join(f"{kind} {bias[kind]:+.2f} at accuracy {right[kind]:.2f}" for kind in KINDS),
)

# %% [markdown]
r"""
## 19.8 At scale

Coins, decay and repeats, in the units of a large run.
"""

# %%
tokens, width, hidden = 8 * 4096, 4096, 11008  # 8 sequences of 4,096 tokens; an MLP matrix of the 7 B model of lesson 17
GIB = 2**30
print(f"dropout mask of one activation, 1 byte each:       {tokens * width / GIB:14.3f} GiB")
print(f"DropConnect mask of one matrix, one per batch:     {width * hidden / GIB:14.3f} GiB")
print(f"DropConnect masks of one matrix, one per sequence: {8 * width * hidden / GIB:14.3f} GiB")
print(f"DropConnect masks of one matrix, one per token:    {tokens * width * hidden / GIB:14,.0f} GiB\n")

for name, rate, decay in (("peak rate 3e-4, decay 0.1", 3e-4, 0.1), ("rate 1e-5, decay 0.01", 1e-5, 0.01)):
    print(f"AdamW at {name:26s}: a weight forgets over 1 / (rate x decay) = {1 / (rate * decay):>12,.0f} steps")


def worth(passes, constant=15.387756):
    """Fresh data that `passes` over the same data are worth, in units of that data."""
    return 1 + constant * (1 - np.exp(-(passes - 1) / constant))


print("\npasses", *(f"{n:6d}" for n in (1, 2, 4, 10, 16, 40, 100)))
print("worth ", *(f"{worth(n):6.1f}" for n in (1, 2, 4, 10, 16, 40, 100)))

x, up, down = torch.randn(4, 8), torch.randn(8, 16), torch.randn(16, 8)
split = (x @ up[:, :8]).relu() @ down[:8], (x @ up[:, 8:]).relu() @ down[8:]  # two devices, half of the hidden units each
copies = [regularisers.dropout(sum(split), 0.5, True, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
claim(
    "C19.22",
    "Two devices that share a layer hold copies of its output: under dropout the copies stay equal with the same coins and part with different ones",
    torch.allclose((x @ up).relu() @ down, sum(split), atol=1e-4)
    and torch.equal(copies[0], copies[1])
    and not torch.equal(copies[0], copies[2]),
    measured=f"{(copies[0] != copies[2]).float().mean():.2f} of the numbers differ",
)

# %% [markdown]
r"""
**Coins.** A dropout mask is small change. A DropConnect mask per token is out of reach, one per batch is smaller than dropout's: AWD-LSTM trained language models with one mask of the recurrent weights
per batch. So memory is not why transformers go without it. **Whose coins?** Data-parallel processes and micro-batches see other examples and need *other* coins, or the noise does not average
out. Under tensor parallelism a replicated activation (after the all-reduce, on its way to the residual) needs the *same* coins on every device; inside the split every device holds
other units and draws other coins, so Megatron-LM keeps two random streams. Recomputed activations need the same coins again (`torch.utils.checkpoint` restores the random state).
**Decay.** The decay only bites over $1/(\eta\lambda)$ steps: in a short fine-tuning run at a small rate it does nothing at all, and lowering the
learning rate lowers it too. **Repeats.** The fit of Muennighoff et al. to language models: $D' = U + U R^* (1 - e^{-R / R^*})$ for $U$
unique tokens repeated $R$ times more, $R^* \approx 15.4$. Ten passes over a scarce modality are worth nearly eight fresh ones, a hundred are
worth hardly more than forty. **Read the fit as an upper limit**: by its form it can only level off, and C19.13 above turns and gets worse. Lovelace et al. (2026) add a penalty for overfitting: beyond a
point repetition is counterproductive, and a decay of 1.0 cuts that penalty by about 70 %. Kim et al. (2025), with fixed data and much computing, find the best decay 30 times the usual.

## 19.9 Interview

Cover the answers, say yours aloud, compare. Each key point names the claim above that proves it, or a paper.
"""

# %%
show_questions("19")

# %% [markdown]
r"""
## 19.10 Card

- **Formula**: dropout $x \odot m / (1 - p)$ · DropPath $x + c_b f_l(x) / (1 - p_l)$, $p_l = p\,l / (L - 1)$ for $l = 0 \ldots L - 1$ · soft threshold
  $\mathrm{sign}(v)\max(\lvert v \rvert - \eta\lambda, 0)$ · AdamW $w \leftarrow (1 - \eta\lambda) w - \eta\,\text{step}$ · smoothing
  $(1 - \varepsilon) y + \varepsilon / K$.
- **Shapes**: coins are `(B, D)` for dropout, `(B, D_out, D_in)` for DropConnect, `(B, 1, ...)` for DropPath.
- **Cost**: parameters and inference unchanged by all of them; an ensemble of $k$ costs $k$ times both; only a smaller network or
  sparse kernels cost less.
- **Use** more labels and the right architecture first; the best validation step wherever data repeat; dropout or decay against wrong labels and repeated data; for a shift you expect an architecture that tolerates it, augmentation that covers
  it, best both; DropPath with mixup and label smoothing for vision transformers trained over hundreds of epochs.
- **Coins**: data parallel different; tensor parallel the same on replicated activations, different inside the split; recomputation the same again.
- **Do not** regularise a network that underfits, expect sparsity from an L1 term in the loss, call Adam's L2 weight decay, or add
  dropout to a single pass.
"""

# %% [markdown]
r"""
## 19.11 Going deeper

**What fine-tuning a vision-language model uses.** A pre-trained model must not be pulled towards 0 but kept near its *start*, and it has
skills that the new data do not test. The regularisers are others:

| what | how it holds the model | what it costs, what to watch |
| --- | --- | --- |
| freezing | LLaVA: first the projector alone, then projector and language model; the vision encoder stays frozen throughout | nothing; VILA: with a frozen language model zero-shot is decent, in-context learning is not |
| LoRA | the change has low rank; Biderman et al.: learns less and forgets less, and holds the old skills better than weight decay or dropout | too little room for long continued pre-training |
| KL to a reference | $\beta\,\mathrm{KL}(\pi \,\Vert\, \pi_{\text{ref}})$ in the reward; InstructGPT: per token | a second model's forward pass; $\beta$ is the leash |
| replay | old data in the mixture; VILA: text-only instructions repair the text skills and even help the vision tasks | a mixing weight to tune |
| modality dropout | hide a whole modality at times (ModDrop), so that no input becomes indispensable | share of hidden examples; see lesson 08 (planned) |
| weight averaging | $(1 - \alpha)\,w_0 + \alpha\,w_1$; WiSE-FT: 4 to 6 points more under shift than prior work, ImageNet better too | one extra copy; choose $\alpha$ on validation data |

A strong answer names two tests: the new task, and a fixed set of *old* skills (text-only, other languages, refusals), measured at
every checkpoint.

## 19.12 Sources

1. Hinton et al. (2012), *Improving neural networks by preventing co-adaptation of feature detectors*, [arXiv:1207.0580](https://arxiv.org/abs/1207.0580): dropout; the scaling is
   done at training time here.
2. Wan et al. (2013), *Regularization of Neural Networks using DropConnect*, ICML, [PMLR 28](https://proceedings.mlr.press/v28/wan13.html): masks on weights; without its sampled
   inference.
3. Huang et al. (2016), *Deep Networks with Stochastic Depth*, [arXiv:1603.09382](https://arxiv.org/abs/1603.09382): skip blocks per batch, rates that rise linearly.
4. Larsson et al. (2016), *FractalNet*, [arXiv:1605.07648](https://arxiv.org/abs/1605.07648): the name drop-path.
5. Beck, Teboulle (2009), *A Fast Iterative Shrinkage-Thresholding Algorithm for Linear Inverse Problems*, [doi:10.1137/080716542](https://doi.org/10.1137/080716542): ISTA.
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
16. Fine-tuning: LLaVA [arXiv:2304.08485](https://arxiv.org/abs/2304.08485), VILA [arXiv:2312.07533](https://arxiv.org/abs/2312.07533), *LoRA Learns Less and Forgets Less* [arXiv:2405.09673](https://arxiv.org/abs/2405.09673), InstructGPT
    [arXiv:2203.02155](https://arxiv.org/abs/2203.02155), ModDrop [arXiv:1501.00102](https://arxiv.org/abs/1501.00102), WiSE-FT [arXiv:2109.01903](https://arxiv.org/abs/2109.01903).
17. Data: scikit-learn's copies of UCI's handwritten digits ([doi:10.24432/C50P49](https://doi.org/10.24432/C50P49)) and of the Wisconsin breast-cancer table ([doi:10.24432/C5DW2B](https://doi.org/10.24432/C5DW2B)).

## 19.13 Worked solutions
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
        moved = weight - rate * features.T @ (features @ weight - target) / len(features)
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
