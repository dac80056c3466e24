# %% [markdown] tags=["second-form"]
r"""
# 12 · Task losses and class imbalance

You will be able to say what each loss asks a model for, and what a class weight really does.

*70 minutes · needs no other lesson · under 60 s of CPU*

*15 minutes:* [The 60-second answer](#12.11-The-60-second-answer) · [Wrong answers people give](#12.8-Wrong-answers-people-give) · [Card](#12.13-Card)

*Lessons:* [start page](00_start_here.ipynb) · previous: 11 · Graphs, memory and knowledge (planned), before it [09 · Attention from first principles](09_attention.ipynb) · next: 13 · Contrastive and metric learning (planned), then [17 · Optimisers](17_optimisers.ipynb)
"""

# %% [markdown]
r"""
## 12.1 The interview question

> **Which loss do you use for which task? Positives are 5 % of your data: what does a class weight do?**
>
> **不同任务用什么损失函数？正样本只占 5 %，给类别加权到底做了什么？**

**You will be able to**

1. derive the gradient of cross-entropy, squared error and hinge, and say where each dies;
2. write cross-entropy with ignored positions, smoothing and weights, safe at logits of ±10,000;
3. tell weighting, resampling, threshold, logit adjustment and focal loss apart by what they move;
4. choose a treatment for a long tail, and say what it costs on the head;
5. move a model to a new base rate without training it again, and say when that fails.

## 12.2 Try first

A screening table has 5 % positives. The same linear model is trained four times:

- **A** multiplies the loss of every positive by 19,
- **B** shows every positive 19 times,
- **C** trains plainly, and calls "positive" above a probability of 0.05 instead of 0.5,
- **D** uses focal loss with $\gamma = 2$ and nothing else. (Focal loss shrinks the loss of examples that are easy; 12.5 shows how.)

The area under the ROC curve says how good a *ranking* is: how often a positive scores above a negative, if one of each is drawn.
"""

# %%
from course_lib.lesson.bets import bet, bets

bet("C12.4", "Who finds twice as many as plain?", ["A", "A, B", "A, B, C", "all four"])
bet("C12.4b", "Whose ranking is best?", ["A", "B", "they tie within 0.05"])

# %%
import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.nn import functional as F

from course_lib.data.scenes import make_scenes
from course_lib.data.shapes import SHAPES
from course_lib.exercises import lesson_12 as exercise
from course_lib.interview.show import show_questions
from course_lib.lesson.claims import claim
from course_lib.lesson.exercises import check, hint
from course_lib.lesson.explore import explore
from course_lib.lesson.figures import COLOURS, dot_plot, show
from course_lib.training.config import TrainConfig
from course_lib.training.loop import fit

_ = torch.manual_seed(0)

# %% [markdown]
r"""
![Training: rows are sampled into a batch, a network gives logits, a loss gives one number, its gradient returns. Use: the same
network gives logits, a decision follows. Numbers mark four places to act: the rows, the logits in training, the loss, the logits in
use.](figures/12_where_to_balance.svg)

*Where a loss stands, and the four places where rare classes can be helped: (1) the rows, (2) the logits in training, (3) the loss, (4) the
decision. Only the last one costs no training.*

## 12.3 By hand

Three logits; the third class is right. People say *softmax loss*, *cross-entropy* and *negative log-likelihood*. Compute the first from its
definition, and ask PyTorch for the second and for its slope.
"""

# %%
z, y = torch.tensor([2.0, -1.0, 0.5]), torch.tensor(2)
p = z.exp() / z.exp().sum()
print("-log p[y]     ", -p[y].log())
print("cross_entropy ", F.cross_entropy(z, y))
print("its gradient  ", torch.func.grad(F.cross_entropy)(z, y))
print("p - onehot    ", p - F.one_hot(y, 3))

# %% tags=["claim"]
exact, likelihood = z.double(), F.nll_loss(z.double().log_softmax(-1)[None], y[None])
share = exact.exp() / exact.exp().sum()
gap = max(
    abs(-share[y].log() - likelihood), abs(F.cross_entropy(exact, y) - likelihood)
).item()
claim(
    "C12.1",
    "Softmax loss, cross-entropy with a one-hot target and NLL of log-softmax are one number",
    gap < 1e-12,
    measured=f"{likelihood:.4f} three times",
)
pull = torch.func.grad(F.cross_entropy)(exact, y)
claim(
    "C12.23",
    "The gradient of cross-entropy at the logits is p - onehot(label)",
    torch.allclose(pull, share - F.one_hot(y, 3)),
    measured=", ".join(f"{value:.3f}" for value in pull.tolist()),
)

# %% [markdown]
r"""
Three names, one number. Its slope is the probabilities, minus 1 at the label.

Now a number instead of a class. Five flats, one of them a palace. If a model may say only *one* price for all five, which price
does each loss choose? Try every price on a grid. (Huber's loss is a parabola for small errors and a straight line for large ones.)
"""

# %%
prices = torch.tensor([1.0, 2, 4, 5, 100], dtype=torch.float64)
guess = torch.linspace(0, 110, 2201, dtype=torch.float64)
size = (guess[:, None] - prices).abs()
costs = {
    "MSE": size**2,
    "MAE": size,
    "Huber": torch.where(size <= 3, size**2 / 2, 3 * (size - 1.5)),
}
best = {name: guess[cost.mean(dim=1).argmin()].item() for name, cost in costs.items()}
print({name: round(price, 2) for name, price in best.items()})

# %% tags=["claim"]
claim(
    "C12.8",
    "The best constant is the mean for MSE, the median for MAE; Huber too stays with the four flats",
    abs(best["MSE"] - prices.mean()) < 0.03
    and abs(best["MAE"] - 4) < 0.03
    and 3.5 < best["Huber"] < 4.0,
    measured=", ".join(f"{name} {price:.2f}" for name, price in best.items()),
)

# %% [markdown]
r"""
A loss is a question. Squared error asks for the mean, absolute error for the median, cross-entropy for the probability. Huber with a bend at 3:
the four flats pull by their errors, the palace pulls by 3 whatever it costs, and $1 + 2 + 4 + 5 + 3 = 4 \cdot 3.75$.

**Where losses come from.** Say what the noise looks like, then ask which prediction makes the data most likely: *maximum likelihood*. The loss is $-\log p(y)$ without what does not depend on the prediction. Gaussian noise
gives $e^2 / 2\sigma^2$, so MSE; Laplace noise, with its heavy tails, $\lvert e\rvert / b$, so MAE; a coin or a die gives cross-entropy. And *cross-entropy or KL?* For a target distribution $q$, $H(q, p) = H(q) + \mathrm{KL}(q \Vert p)$: one gradient, and the entropy
$H(q)$ between them, which is 0 for a hard label. So with soft targets KL can reach 0 and cross-entropy cannot.
"""

# %% tags=["claim"]
from torch.distributions import Bernoulli, Laplace, Normal

said, seen = torch.linspace(-3, 3, 7, dtype=torch.float64), torch.tensor(0.5).double()
error, coin = said - seen, torch.tensor(1.0).double()
pairs = {
    "Gauss": (Normal(said, 2.0).log_prob(seen), error**2 / 8),
    "Laplace": (Laplace(said, 2.0).log_prob(seen), error.abs() / 2),
    "coin": (Bernoulli(logits=said).log_prob(coin), F.softplus(-said)),
}
left_over = {name: (-log_p - loss) for name, (log_p, loss) in pairs.items()}
q, start = torch.tensor([0.7, 0.2, 0.1]).double(), torch.zeros(3).double()
kl = lambda z: F.kl_div(z.log_softmax(-1), q, reduction="sum")  # noqa: E731
gap = torch.func.grad(kl)(start) - torch.func.grad(F.cross_entropy)(start, q)
least = F.cross_entropy(q.log(), q).item(), kl(q.log()).item()
claim(
    "C12.34",
    "-log p is MSE for Gaussian noise, MAE for Laplace noise, cross-entropy for a coin, each up to a constant; "
    "KL and cross-entropy have one gradient, and only KL reaches 0 on a soft target",
    max(rest.std() for rest in left_over.values()) < 1e-7
    and gap.abs().max() < 1e-7
    and abs(least[1]) < 1e-7
    and least[0] > 0.8,
    measured="constants "
    + ", ".join(f"{name} {rest[0]:.3f}" for name, rest in left_over.items())
    + f"; at p = q cross-entropy {least[0]:.3f}, KL {abs(least[1]):.3f}",
)

# %% [markdown]
r"""
## 12.4 In symbols

$z$ are the logits (B, K), log-probabilities up to a constant. $p = \mathrm{softmax}(z)$, $y$ is the label and $p_y$ its probability. For numbers, $e = \hat y - y$ is the error.

| loss | formula | gradient | chance → best | ask it for |
| --- | --- | --- | --- | --- |
| cross-entropy | $-\log p_y$ | $p - \mathrm{onehot}(y)$ | $\log K$ → 0 | one class, one token |
| binary cross-entropy | $-y\log\sigma(z) - (1-y)\log(1-\sigma(z))$ | $\sigma(z) - y$ | $\log 2$ → 0 | yes or no, each label alone |
| hinge, $y = \pm1$, score $s$ | $\max(0, 1 - y s)$ | $-y$ or exactly 0 | 1 → 0 | a boundary |
| MSE | $e^2$ | $2e$ | variance → 0 | the mean |
| MAE | $\lvert e\rvert$ | $\mathrm{sign}(e)$ | distance to median → 0 | the median |

Smoothed, weighted, focal, PolyLoss and logit-adjusted forms follow where they are used, and all of them stand on the card.

**Three gradients to derive aloud.** *Cross-entropy* is $-z_y + \log\sum_k e^{z_k}$. The first term gives $-1$ at the label; the second gives $e^{z_k} / \sum e^{z} = p_k$.
Together $p - \mathrm{onehot}(y)$: small only where the answer is right.
*Squared error behind a sigmoid*, $(p - 1)^2$ with $p = \sigma(z)$ and label 1: the chain rule gives $2(p - 1)\,p(1 - p)$, and $p(1 - p)$ vanishes at both ends, the wrong one too.
*Hinge*: $-y$ while $y s < 1$, then exactly 0.

Segmentation adds Dice (overlap of masks), speech without alignment uses CTC (a sum over alignments): both turn *many* decisions into one loss, and both start
from a softmax at each position.

## 12.5 Build it

**Cross-entropy** with what a multimodal model needs: tokens, and positions that are not predicted. The label -100 marks image, prompt and padding.
"""

# %%
logits = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0))  # (B, T, V)
label = torch.tensor([[-100, -100, 3, 5], [-100, 0, 2, -100]])  # (B, T)
total = 0.0
for b, t in (label != -100).nonzero().tolist():
    log_p = logits[b, t] - logits[b, t].logsumexp(-1)
    total += -log_p[label[b, t]]
print(f"our loop      {total / 4:.4f}")  # 4 positions count
print(f"cross_entropy {F.cross_entropy(logits.mT, label):.4f}")  # wants (B, V, T)

# %% tags=["claim"]
from course_lib.losses import classification, imbalance, margin

tokens = logits.double().requires_grad_()
per_class, smoothing = torch.tensor([1.0, 2, 1, 4, 1, 1], dtype=torch.float64), 0.1
total = used = 0.0
for b, t in (label != -100).nonzero().tolist():
    log_p, own = tokens[b, t].log_softmax(-1), label[b, t]
    total += (
        -(1 - smoothing) * per_class[own] * log_p[own]
        - smoothing / 6 * (per_class * log_p).sum()
    )
    used += per_class[own]
ours = classification.cross_entropy(
    tokens, label, weight=per_class, smoothing=smoothing
)
theirs = F.cross_entropy(tokens.mT, label, weight=per_class, label_smoothing=smoothing)
slopes = [
    torch.autograd.grad(loss, tokens, retain_graph=True)[0]
    for loss in (total / used, ours, theirs)
]
ignored = slopes[0][label == -100]
claim(
    "C12.19",
    "Loop, library and PyTorch give one loss and one gradient, weights and smoothing included; where the label "
    "is -100 the gradient is exactly 0",
    all(torch.allclose(loss, theirs, atol=1e-12) for loss in (total / used, ours))
    and all(torch.allclose(slope, slopes[2], atol=1e-12) for slope in slopes)
    and (slopes[1][label == -100] == 0).all()
    and (ignored == 0).all(),
    measured=f"{ignored.abs().max().item()} at {len(ignored)} of 8 positions",
)

# %% [markdown]
r"""
The folded claim repeats the loop with two options more. A *weight* $w_y$ multiplies each loss, and the sum is divided by the weights that were used. *Smoothing* by $\epsilon$
spreads that share of the target evenly over all K classes: $(1-\epsilon)(-\log p_y) - \tfrac{\epsilon}{K}\sum_k \log p_k$.

Two habits keep it alive. Take the *log-softmax*, which subtracts the largest logit first, never the log of a softmax. And know the floor: with
smoothing the best loss is the entropy of the smoothed target. So a loss that stops well above 0 may be perfect, and more certainty costs more.
"""

# %%
extreme, y = torch.tensor([[1e4, -1e4, 0.0]]), torch.tensor([1])
print("log of a softmax:", -extreme.softmax(-1)[0, 1].log())
print("cross_entropy:   ", F.cross_entropy(extreme, y))
for lead in (2.0, 4.5, 20.0):  # of the right one of 10 classes
    z = lead * F.one_hot(y, 10)
    print(lead, "ahead:", F.cross_entropy(z, y, label_smoothing=0.1))

# %% tags=["claim"]
smoothed = torch.tensor([0.91] + 9 * [0.01])
floor = -(smoothed * smoothed.log()).sum().item()
by_lead = [
    classification.cross_entropy(
        lead * F.one_hot(y, 10).float(), y, smoothing=0.1
    ).item()
    for lead in (2.0, 4.5, 20.0)
]
claim(
    "C12.9",
    "At ±10,000 the log of a softmax is infinite and log-softmax exact; smoothing 0.1 over 10 classes has a floor of 0.50",
    extreme.softmax(-1)[0, 1].log().isinf()
    and classification.cross_entropy(extreme, y) == 2e4
    and abs(floor - 0.5) < 0.01
    and floor <= min(by_lead) < by_lead[2] - 1,
    measured=f"floor {floor:.3f}, at a lead of 20 {by_lead[2]:.2f}",
)

# %% [markdown]
r"""
### Exercise 12.1 · cross_entropy ●●○ 15 minutes

`logits` (B, K) floats, `label` (B,) integers → one number, natural logarithms. Rows whose label is `ignore_index` (any integer) do not count; at least one row counts.
`weight` (K,): multiply the loss of each row by the weight of its label, sum, and divide by the *sum of the weights used*; without weights that is the mean over the
rows that count. `smoothing` in [0, 1): the target is $1 - \epsilon$ at the label plus $\epsilon / K$ at *every* class; each class's part takes its own weight, and the divisor stays the
same. The options combine. Logits of ±10,000 must give the exact value. Equal to `F.cross_entropy`.
"""


# %% tags=["exercise"]
def cross_entropy(logits, label, ignore_index=-100, smoothing=0.0, weight=None):
    """(B, K), (B,) -> a scalar."""
    raise NotImplementedError


check(exercise.cross_entropy, cross_entropy)
hint(exercise.cross_entropy)

# %% [markdown]
r"""
**Focal loss** multiplies the cross-entropy of each example by $(1 - p_y)^\gamma$. It was made for detectors, where almost every candidate box is easy background. How hard does it shrink?
"""

# %%
for p in (0.1, 0.5, 0.9, 0.99):
    print(f"p = {p:4.2f} keeps {(1 - p) ** 2:.4f} of its cross-entropy")

# %% tags=["claim"]
chosen, one = torch.tensor([0.1, 0.5, 0.9, 0.99]), torch.tensor([1])
rows = torch.stack([(1 - chosen).log(), chosen.log()], dim=1)
kept = [
    (classification.focal(row[None], one) / F.cross_entropy(row[None], one)).item()
    for row in rows
]
claim(
    "C12.5",
    "Focal loss with γ = 2 keeps 81 % of the loss at p = 0.1 and a ten-thousandth at p = 0.99, whatever the class",
    abs(kept[0] - 0.81) < 1e-4 and abs(kept[3] - 1e-4) < 1e-6,
    measured=f"{kept[0]:.4f} and {kept[3]:.6f}",
)

# %% [markdown]
r"""
Easy is not the same as frequent. And here is the catch. Suppose that of all examples that look alike a share $\eta$ is positive. Which prediction $q$ has the smallest
expected loss? Cross-entropy answers $q = \eta$.
"""

# %%
bet(
    "C12.5b",
    "One in twenty is positive, η = 0.05. What does focal loss with γ = 2 predict?",
    ["0.01", "0.05", "0.25", "above one half"],
)

# %% tags=["reveal"]
eta = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)[:, None]  # the truth
q = torch.linspace(0.0005, 0.9995, 2000, dtype=torch.float64)  # the prediction
answers = {}
for gamma in (0, 2, 5):
    if_positive, if_negative = (1 - q) ** gamma * -q.log(), q**gamma * -(1 - q).log()
    answers[gamma] = q[(eta * if_positive + (1 - eta) * if_negative).argmin(dim=1)]
    print(f"γ = {gamma}: where η is 0.05, predict {answers[gamma][4]:.2f}")

# %% tags=["claim", "reveal"]
fig, ax = plt.subplots(figsize=(4.2, 2.6), layout="constrained")
for (gamma, answer), style in zip(answers.items(), ("-", "--", "-."), strict=True):
    ax.plot(eta, answer, style, label=f"γ = {gamma}")
ax.axhline(0.5, color="grey", linewidth=1, linestyle=":")
ax.set(xlabel="true share η", ylabel="best prediction q")
ax.legend()
show(
    fig,
    "Cross-entropy is the diagonal; focal curves are flatter; all cross at one half.",
)
rare = {gamma: answer[4].item() for gamma, answer in answers.items()}  # at 0.05
clear = (eta[:, 0] - 0.5).abs() > 0.02
sides = all(
    ((answer > 0.5) == (eta[:, 0] > 0.5))[clear].all() for answer in answers.values()
)
claim(
    "C12.5b",
    "Focal loss decides like cross-entropy at one half and says 0.25 where the truth is 0.05: no recall, no calibration",
    sides and abs(rare[0] - 0.05) < 0.01 and abs(rare[2] - 0.25) < 0.02,
    measured=", ".join(f"γ={gamma} says {value:.3f}" for gamma, value in rare.items()),
    answer="0.25",
)

# %% [markdown]
r"""
*The prediction with the smallest expected loss, over the true share. γ = 0 is cross-entropy.* Each curve crosses one half where the truth does. Focal loss changes how sure the model
sounds, from both ends towards the middle; it does not change which side of one half it is on.

### Exercise 12.2 · focal ●●○ 10 minutes

`logits` (B, K), `label` (B,) → the mean over the batch of $\alpha_y (1 - p_y)^\gamma (-\log p_y)$, where $p_y$ is the softmax probability of *the label*. The factor is part of the graph: do not detach it. `alpha` (K,) has one entry per
class, multiplies and does not divide, at any `gamma`. `gamma` is 0, or 1 and more; 0 without `alpha` is cross-entropy. Loss and gradient must be finite at logits of ±10,000.
"""


# %% tags=["exercise"]
def focal(logits, label, gamma=2.0, alpha=None):
    """(B, K), (B,) -> a scalar."""
    raise NotImplementedError


check(exercise.focal, focal)
hint(exercise.focal)

# %% [markdown]
r"""
### Exercise 12.3 · huber ●○○ 5 minutes

`error`, a tensor of any shape → the same shape, one loss per error, no mean: $e^2/2$ while $\lvert e\rvert \le \delta$, beyond it the straight line that continues the parabola without a jump and without a kink. `delta` > 0. The gradient must reach `error`.
"""


# %% tags=["exercise"]
def huber(error, delta=1.0):
    """Any shape -> the same shape."""
    raise NotImplementedError


check(exercise.huber, huber)
hint(exercise.huber)

# %% [markdown]
r"""
## 12.6 Explore: what does each loss feel?

Two classes, one number: the margin $z_y - z_{\mathrm{other}}$ of one example. Right of 0 the answer is right. The left panel shows what the example
costs, the right one how hard it pulls. *Poly-1* adds $\epsilon(1 - p_y)$ to cross-entropy. **Before you move the slider**: at $p_y = 0.01$, a confident mistake, which loss pulls least?
"""


# %%
def draw_losses(p=0.01, gamma=2.0, epsilon=1.0):
    """Loss and pull of one example against its margin; dotted: probability p."""
    z = torch.linspace(-6, 6, 241, requires_grad=True)
    right, surprise = torch.sigmoid(z), F.softplus(-z)
    curves = {"cross-entropy": surprise, "hinge": torch.relu(1 - z)}
    curves["squared, on sigmoid"] = (1 - right) ** 2
    curves[f"focal, γ = {gamma:.1f}"] = (1 - right) ** gamma * surprise
    curves[f"Poly-1, ε = {epsilon:.1f}"] = surprise + epsilon * (1 - right)
    fig, (left, side) = plt.subplots(1, 2, figsize=(5.6, 2.3), layout="constrained")
    for (name, curve), style in zip(
        curves.items(), ("-", "--", "-.", ":", "-"), strict=True
    ):
        (slope,) = torch.autograd.grad(curve.sum(), z, retain_graph=True)
        left.plot(z.detach(), curve.detach(), style, label=name)
        side.plot(z.detach(), -slope, style)
    left.set(xlabel="margin", title="loss", ylim=(-0.2, 6))
    side.set(xlabel=f"margin (dotted: p = {p:.2f})", title="pull towards right")
    side.axvline(torch.logit(torch.tensor(p)), color="grey", linestyle=":")
    left.legend(fontsize=8)
    return fig


# %%
explore(
    draw_losses,
    alt="Five losses fall with the margin; the square hardly pulls on a sure mistake.",
    p=(0.003, 0.997),
    gamma=(0.0, 5.0),
    epsilon=(-1.0, 2.0),
)

# %% tags=["claim"]
margins = torch.linspace(-6, 6, 241, dtype=torch.float64)
curvature = {}
for gamma in (0.0, 2.0):
    loss_at = lambda m, gamma=gamma: (1 - torch.sigmoid(m)) ** gamma * F.softplus(-m)  # noqa: E731
    curvature[gamma] = torch.stack(
        [torch.func.grad(torch.func.grad(loss_at))(m) for m in margins]
    )
claim(
    "C12.24",
    "Cross-entropy is convex in the margin; focal loss is not: where the model is surely wrong its curve bends down",
    (curvature[0.0] > 0).all() and (curvature[2.0][margins < -3] < 0).all(),
    measured=f"curvature at -4: {curvature[0.0][40]:.3f} and {curvature[2.0][40]:.3f}",
)

# %% [markdown]
r"""
*What one example costs (left) and how hard it pulls (right).* The square behind a sigmoid pulls least where it is most wrong. Slide `p` to 0.9: focal loss has nearly let go while
cross-entropy still pulls, and hinge let go completely at margin 1. Set `epsilon` to -1: without its first term Poly-1 lets go of nearly right examples too.
"""

# %% [markdown]
r"""
## 12.7 Evidence

**Squared error on a probability.** The label is 1, the logit stands at -12: wrong and sure. One hundred steps of gradient descent
with learning rate 1 on that single logit.
"""

# %%
bet(
    "C12.2",
    "Where is the logit after 100 steps on (1 − σ(z))²?",
    ["still near −12", "near −6", "above 0"],
)

# %% tags=["reveal"]
slopes, ends = {}, {}
for name in ("cross-entropy", "squared, on sigmoid"):
    z = torch.tensor(-12.0, dtype=torch.float64)
    for _ in range(100):
        p = torch.sigmoid(z)
        slope = p - 1 if name == "cross-entropy" else 2 * (p - 1) * p * (1 - p)
        slopes.setdefault(name, slope.item())
        z = z - slope
    ends[name] = z.item()
    print(f"{name:20s} first slope {slopes[name]:.1e}, ends at {ends[name]:.3f}")

# %% tags=["claim", "reveal"]
ratio = slopes["squared, on sigmoid"] / slopes["cross-entropy"]
claim(
    "C12.2",
    "At logit -12 squared error on a sigmoid has about a hundred-thousandth of cross-entropy's gradient; 100 steps of gradient "
    "descent hardly move it",
    0.5e-5 < ratio < 2e-5
    and ends["cross-entropy"] > 3
    and ends["squared, on sigmoid"] < -11.9,
    measured=f"ratio {ratio:.1e}, logits {ends['cross-entropy']:.2f} and {ends['squared, on sigmoid']:.3f}",
    answer="still near −12",
)

# %% [markdown]
r"""
The culprit is the pair, not the square: $p(1-p)$ from the sigmoid is the factor that vanishes. Squared error on *bare* logits against one-hot
targets has no such factor and can rival cross-entropy (Hui and Belkin).

*Does Adam rescue it?* Adam divides by the size of the gradient, so a lone logit does move. In a network the weights are shared, and examples that have begun to pull set that size. The folded claim turns all labels round after a network was sure of them.
"""


# %% tags=["claim"]
def turned_round(seed):
    """The share of new labels that each loss has learnt 200 steps after all were swapped."""
    torch.manual_seed(seed)
    x = torch.randn(200, 5)
    y, learnt = (x[:, :1] > 0).float(), {}
    model = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 1))
    pair = {
        "cross-entropy": F.binary_cross_entropy_with_logits,
        "squared": lambda z, y: F.mse_loss(z.sigmoid(), y),
    }

    def descend(loss, y, steps):
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(steps):
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()

    descend(pair["cross-entropy"], y, steps=300)
    sure = {name: value.clone() for name, value in model.state_dict().items()}
    for name, loss in pair.items():
        model.load_state_dict(sure)
        descend(loss, 1 - y, steps=200)
        learnt[name] = ((model(x) > 0) == (y == 0)).double().mean().item()
    return learnt


lone = torch.tensor(-12.0, requires_grad=True)
adam = torch.optim.Adam([lone], lr=0.1)
for _ in range(100):
    adam.zero_grad()
    (1 - torch.sigmoid(lone)).square().backward()
    adam.step()
swapped = [turned_round(seed) for seed in range(3)]
new, old = ([run[name] for run in swapped] for name in ("cross-entropy", "squared"))
claim(
    "C12.2c",
    "With Adam a lone logit under squared error gets from -12 to above 0 in 100 steps; a network that was sure of labels "
    "that are then all swapped learns them with cross-entropy, and hardly more than half with squared error (3 seeds)",
    lone > 0 and min(new) > 0.9 and max(old) < 0.75,
    measured=f"logit {lone.item():.1f}; cross-entropy at least {min(new):.2f}, squared {min(old):.2f} to {max(old):.2f}",
)

# %% [markdown]
r"""
**Outliers.** Two hundred points on a line of slope 3 through the origin. Ten of them, 5 %, were written down 60 too low, at the right end. Which
slope does each loss choose?
"""

# %%
generator = torch.Generator().manual_seed(0)
x = torch.randn(200, generator=generator, dtype=torch.float64).sort().values
y = 3 * x + 0.1 * torch.randn(200, generator=generator, dtype=torch.float64)
y[-10:] -= 60
slope = torch.linspace(-8, 8, 1601, dtype=torch.float64)
size = (slope[:, None] * x - y).abs()
costs = {"MSE": size**2, "MAE": size}
costs["Huber"] = torch.where(size <= 1, size**2 / 2, size - 0.5)
fitted = {name: slope[cost.mean(dim=1).argmin()].item() for name, cost in costs.items()}
print({name: round(value, 2) for name, value in fitted.items()})

# %% tags=["claim"]
fig, ax = plt.subplots(figsize=(4.8, 2.3), layout="constrained")
ax.plot(x, y, ".", color="black", markersize=3, zorder=3)
for (name, best_slope), style in zip(fitted.items(), ("-", "--", ":"), strict=True):
    ax.plot(x, best_slope * x, style, linewidth=2, label=f"{name}: {best_slope:.2f}")
ax.set(xlabel="x", ylabel="y")
ax.legend(title="slope")
show(
    fig,
    "Ten points far below at the right; MSE's line falls, MAE and Huber follow the rest.",
)
claim(
    "C12.3",
    "With 5 % outliers on a line of slope 3, MSE even gets the sign wrong; MAE and Huber stay within 0.3",
    fitted["MSE"] < 0
    and abs(fitted["MAE"] - 3) < 0.3
    and abs(fitted["Huber"] - 3) < 0.3,
    measured=", ".join(f"{name} {value:.2f}" for name, value in fitted.items()),
)

# %% [markdown]
r"""
*Black: the points. Ten of 200 turn the line of MSE.* MAE and Huber bound the pull of a large *error*, not that of a large *x*: one point far enough out along the axis turns any of the three.

**Imbalance on a real table.** Wisconsin breast cancer: 569 tumours, 357 benign and 212 malignant, measured in microscope images. We make malignant rare on
purpose: 190 benign and 10 malignant rows for training (5 %), all others for testing. Recall, false alarms and the ROC curve look at one class at a time, so the other
shares of the test rows do no harm. Only two of the 30 measurements are used, texture and smoothness, so that the classes overlap.
"""

# %%
table = load_breast_cancer()
measured, malignant = torch.tensor(table.data[:, [1, 4]]).float(), table.target == 0


def rare_tumours(seed):
    """Rows to train on, 190 benign and 10 malignant; all others to test on."""
    order = torch.randperm(569, generator=torch.Generator().manual_seed(seed))
    ill = torch.tensor(malignant)[order]
    train = torch.cat([order[~ill][:190], order[ill][:10]])
    test = torch.cat([order[~ill][190:], order[ill][10:]])
    x = (measured - measured[train].mean(dim=0)) / measured[train].std(dim=0)
    y = torch.tensor(malignant).long()
    return x[train], y[train], x[test], y[test]


print("training", torch.bincount(rare_tumours(seed=0)[1]).tolist(), "benign, malignant")


# %%
def weighted(z, y):
    return F.cross_entropy(z, y, weight=torch.tensor([1.0, 19.0]))


def linear(x, y, loss):
    """Features to two logits, from zero, until nothing moves any more."""
    model = nn.Linear(x.shape[1], 2)
    nn.init.zeros_(model.weight), nn.init.zeros_(model.bias)
    config = TrainConfig(
        steps=300, batch_size=len(y), learning_rate=0.05, weight_decay=0
    )
    fit(model, (x, y), lambda model, batch: loss(model(batch[0]), batch[1]), config)
    return model.requires_grad_(False)


# %%
def treat(seed):
    """Four models; for each treatment the log-odds of malignant on test rows."""
    x, y, test_x, test_y = rare_tumours(seed)
    again = torch.cat([torch.arange(200), (y == 1).nonzero()[:, 0].repeat(18)])
    models = {"plain": linear(x, y, F.cross_entropy)}
    models["weight × 19"] = linear(x, y, weighted)
    models["repeat × 19"] = linear(x[again], y[again], F.cross_entropy)
    models["focal, γ = 2"] = linear(x, y, classification.focal)
    odds = {name: model(test_x).diff(dim=1)[:, 0] for name, model in models.items()}
    odds["threshold 0.05"] = odds["plain"] + torch.tensor(19.0).log()  # odds 1 : 19
    return models, odds, test_y


# %%
SEEDS = (0, 1, 2)
runs = [treat(seed) for seed in SEEDS]
print("treatments:", ", ".join(runs[0][1]))

# %% tags=["claim", "reveal"]
from sklearn.metrics import roc_auc_score, roc_curve

report = {name: [] for name in runs[0][1]}
for _, odds, label in runs:
    for name, own in odds.items():
        recall, alarms = ((own > 0)[label == k].double().mean().item() for k in (1, 0))
        report[name].append((recall, alarms, roc_auc_score(label, own)))
columns = {}
for i, column in enumerate(("recall", "false alarms", "area under ROC")):
    columns[column] = {name: [row[i] for row in rows] for name, rows in report.items()}
fig, _ = dot_plot(columns, xlabel="one mark per seed")
show(
    fig,
    "Plain and focal find hardly any; weight, repetition, threshold most; areas alike.",
)
both = torch.tensor([0.05, 0.95])
with_alpha = []
for seed in SEEDS:
    x, y, test_x, test_y = rare_tumours(seed)
    model = linear(x, y, lambda z, y: classification.focal(z, y, alpha=both))
    with_alpha.append(
        (model(test_x).argmax(-1)[test_y == 1] == 1).double().mean().item()
    )
recall = {name: torch.tensor([row[0] for row in rows]) for name, rows in report.items()}
areas = torch.tensor([[row[2] for row in rows] for rows in report.values()])
moved = ("weight × 19", "repeat × 19", "threshold 0.05")
least = min(with_alpha + [recall[name].min().item() for name in moved])
claim(
    "C12.4",
    "With 5 % malignant, plain training finds under a quarter; weight, repetition, threshold or focal α over half (3 seeds)",
    recall["plain"].max() < 0.25 and least > 0.5,
    measured=f"plain at most {recall['plain'].max():.2f}, the others at least {least:.2f}",
    answer="A, B, C",
)
spread = (areas.amax(dim=0) - areas.amin(dim=0)).max()
claim(
    "C12.4b",
    "The area under the ROC curve moves by under 0.05: the line shifts, the ranking hardly (3 seeds)",
    spread < 0.05,
    measured=f"largest difference {spread:.3f}, areas {areas.min():.2f} to {areas.max():.2f}",
    answer="they tie within 0.05",
)
# %% [markdown]
r"""
*Recall, false alarms and ranking of five treatments; three random splits.* Where does each treatment draw its line?
"""

# %% tags=["claim"]
models, odds, label = runs[0]
x, y, _, _ = rare_tumours(seed=0)
fig, (plane, roc) = plt.subplots(1, 2, figsize=(5.5, 2.6), layout="constrained")
plane.scatter(*x[y == 0].T, s=6, color="grey", label="benign")
plane.scatter(*x[y == 1].T, s=26, color="black", marker="x", label="malignant")
roc.plot(*roc_curve(label, odds["plain"])[:2], color="grey", linewidth=1, zorder=0)
shown = {"plain": "-", "weight × 19": "--", "threshold 0.05": ":", "focal, γ = 2": "-."}
for i, (name, style) in enumerate(shown.items()):
    model = models.get(name, models["plain"])  # the threshold moves the plain one
    (a, b), c = model.weight.diff(dim=0)[0], model.bias.diff()
    c = c + torch.tensor(19.0).log() * (name == "threshold 0.05")
    ends = torch.tensor([-2.5, 3.5])
    plane.plot(ends, -(a * ends + c) / b, style, color=COLOURS[i], label=name)
    roc.plot(report[name][0][1], report[name][0][0], "os^D"[i], color=COLOURS[i])
plane.set(xlabel="texture", ylabel="smoothness", ylim=(-3, 5), xlim=(-2.5, 3.5))
roc.set(xlabel="false alarms", ylabel="recall")
fig.legend(loc="outside upper left", ncols=3, fontsize=8)
show(
    fig,
    "Near-parallel lines; weight and threshold go through the cloud. Four points, one curve.",
)
focal_gap = (recall["focal, γ = 2"] - recall["plain"]).abs().max()
repeat_gap = (recall["weight × 19"] - recall["repeat × 19"]).abs().max()
claim(
    "C12.5c",
    "Focal loss alone changes the recall by less than 0.10; repetition and weight differ by less than 0.03 (3 seeds)",
    focal_gap < 0.10 and repeat_gap < 0.03,
    measured=f"{focal_gap:.3f} and {repeat_gap:.3f}",
)

# %% [markdown]
r"""
*Left: four decision lines. Right: the same four as points on the plain model's ROC curve, which takes all thresholds at once.* So A and B are one model, C lands beside them on the same curve, and D
decides like plain training. (Its curve is not convex, so "trained until nothing moves" promises less for it.)

**Why 1/(1+w)?** At one spot a share $\eta$ is malignant. Three lines:

1. The weighted loss there is $-w\,\eta\log q - (1-\eta)\log(1-q)$.
2. Slope zero: $w\eta/q = (1-\eta)/(1-q)$, so $\frac{q}{1-q} = w\,\frac{\eta}{1-\eta}$. The odds grow $w$-fold, the logit grows by $\log w$.
3. So $q > \tfrac12$ exactly when $w\eta > 1 - \eta$, that is $\eta > \frac{1}{1+w}$.

Weight 19 *is* threshold 0.05, and $\log 19 = 2.94$ logits. A weight is a *decision about costs* baked into a model. Until you take the 2.94 off again, its output is no probability.

### Exercise 12.4 · logit_adjust ●●○ 5 minutes

Now K classes. The network was trained with plain cross-entropy on classes as frequent as `prior` (K,), positive and of sum 1. Return changed logits (B, K) so that at `tau` = 1 softmax gives the probabilities of a world in
which all classes are equally frequent. `tau` multiplies the change; 0 changes no probability. Stay in log space: logits reach ±10,000. Do not change the arguments.
"""


# %% tags=["exercise"]
def logit_adjust(logits, prior, tau=1.0):
    """(B, K), (K,) -> (B, K)."""
    raise NotImplementedError


check(exercise.logit_adjust, logit_adjust)
hint(exercise.logit_adjust)

# %% [markdown]
r"""
**A long tail of pictures.** One noisy shape per picture; the label is the shape. For training we keep 600 squares, and fewer of each next
shape, down to six diamonds. The test set has all five about equally often.
"""

# %%
COUNTS = torch.tensor([600, 190, 60, 19, 6])


def shapes_of(count, seed):
    """Pictures (B, 3, 16, 16) of one noisy shape each, and which shape it is."""
    made = make_scenes(count, seed=seed, objects=(1, 1), noise=0.25)
    return made.images, torch.tensor(
        [SHAPES.index(s.objects[0].shape) for s in made.scenes]
    )


def long_tail(seed):
    x, y = shapes_of(3600, seed)
    rows = [(y == k).nonzero()[:count, 0] for k, count in enumerate(COUNTS)]
    return x[torch.cat(rows)], y[torch.cat(rows)]


# %%
PICTURES = {seed: (*long_tail(seed), *shapes_of(1000, 1000 + seed)) for seed in SEEDS}
x, y, _, _ = PICTURES[0]
fig, axes = plt.subplots(1, 5, figsize=(5.6, 1.4), layout="constrained")
for k, ax in enumerate(axes):
    ax.imshow(x[y == k][x[y == k].sum((1, 2, 3)).argmax()].permute(1, 2, 0))
    ax.set(title=f"{SHAPES[k]}: {COUNTS[k]}", xticks=[], yticks=[])
show(
    fig, "Five noisy pictures: 600 squares, then fewer and fewer, down to six diamonds."
)

# %% [markdown]
r"""
*The brightest picture of each class, with the number of training examples.* Three losses for the same small convolutional network. *Logit adjustment* adds the log of the class shares to the logits *while training*, and uses the bare logits afterwards. It can also be done *after* plain
training: take the log of the shares off the logits. Each run is 600 steps, enough that nearly every network has all of its own six diamonds right, and the test set is looked at every 100 steps.
"""

# %%
LOG_PRIOR = (COUNTS / COUNTS.sum()).log()


def by_weight(z, y):
    return F.cross_entropy(z, y, weight=1 / COUNTS)


def adjusted(z, y):
    return F.cross_entropy(z + LOG_PRIOR, y)


# %%
def recalls(z, y):
    """The share of each shape that is found, (5,)."""
    return torch.stack([(z.argmax(-1) == y)[y == k].double().mean() for k in range(5)])


# %%
def network(seed):
    torch.manual_seed(seed)
    body = [nn.Conv2d(3, 16, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()]
    body += [nn.Conv2d(16, 32, 3, padding=1), nn.AdaptiveMaxPool2d(1), nn.ReLU()]
    model = nn.Sequential(*body, nn.Flatten(), nn.Linear(32, 5))
    return model.to(memory_format=torch.channels_last)  # the same, faster


# %%
def train_shapes(seed, loss, rows=slice(None)):
    """A fitted network, and its balanced recall on new pictures every 100 steps."""
    x, y, test_x, test_y = PICTURES[seed]

    def look(model):
        z = model(test_x)
        as_is, after = recalls(z, test_y), recalls(z - LOG_PRIOR, test_y)
        return {"as is": as_is.mean().item(), "after": after.mean().item()}

    settings = {"steps": 600, "warmup_steps": 20, "schedule": "cosine"}
    settings |= {"learning_rate": 0.02, "weight_decay": 0, "evaluate_every": 100}
    config = TrainConfig(batch_size=min(32, len(y[rows])), **settings)
    model, data = network(seed), (x[rows], y[rows])
    history = fit(model, data, lambda model, b: loss(model(b[0]), b[1]), config, look)
    return model.requires_grad_(False), history


# %%
bet(
    "C12.11",
    "Which finds most new diamonds, of which the network saw six?",
    [
        "class weights",
        "showing diamonds 100 times as often",
        "an adjustment of the logits",
    ],
)

# %%
NETWORKS = {}
for seed in SEEDS:
    y, generator = PICTURES[seed][1], torch.Generator().manual_seed(seed)
    many, few = (imbalance.balanced_rows(y, n, generator) for n in (600, 6))  # each
    NETWORKS["plain", seed] = train_shapes(seed, F.cross_entropy)
    NETWORKS["focal, γ = 2", seed] = train_shapes(seed, classification.focal)
    NETWORKS["undersample", seed] = train_shapes(seed, F.cross_entropy, few)
    NETWORKS["repeat", seed] = train_shapes(seed, F.cross_entropy, many)
    NETWORKS["weight", seed] = train_shapes(seed, by_weight)
    NETWORKS["adjusted loss", seed] = train_shapes(seed, adjusted)
print(len(NETWORKS), "networks trained")

# %% tags=["claim", "reveal"]
found = {}
for (name, seed), (model, _) in NETWORKS.items():
    _, _, test_x, test_y = PICTURES[seed]
    z = model(test_x)
    found.setdefault(name, []).append(recalls(z, test_y))
    if name == "plain":
        found.setdefault("adjusted after", []).append(recalls(z - LOG_PRIOR, test_y))
found["adjusted after"] = found.pop("adjusted after")  # last in the figure
rows = {}
for k in (0, 2, 4):
    rows[f"{SHAPES[k]} ({COUNTS[k]})"] = {
        n: [r[k].item() for r in f] for n, f in found.items()
    }
fig, _ = dot_plot(rows, xlabel="recall, one mark per seed (dotted: chance)", chance=0.2)
show(
    fig,
    "Most find all squares; the adjustments and undersampling find many diamonds.",
)
recall = {name: torch.stack(each) for name, each in found.items()}  # (seeds, 5)
head, tail = ({name: each[:, k] for name, each in recall.items()} for k in (0, 4))
balanced = {name: each.mean(dim=1) for name, each in recall.items()}
natural = {name: each @ LOG_PRIOR.exp().double() for name, each in recall.items()}
both = ("adjusted loss", "adjusted after")
own = {}
for (name, seed), (model, _) in NETWORKS.items():
    x, y, _, _ = PICTURES[seed]
    own[name, seed] = recalls(model(x) + LOG_PRIOR * (name == "adjusted loss"), y)
fits = torch.stack(
    [each for (name, _), each in own.items() if name != "undersample"]
).amin(dim=0)
claim(
    "C12.22",
    "Fitted, every network that saw all rows has at least four of its six diamonds and 90 % of every other shape right; so what it "
    "knows by heart does not tell the treatments apart (3 seeds)",
    fits[4] > 0.6 and fits[:4].min() > 0.9 and tail["plain"].max() < 0.5,
    measured=f"own diamonds {fits[4]:.2f} or more; new diamonds, plain: {tail['plain'].max():.2f} at most",
)
means = {name: each.mean().item() for name, each in tail.items()}
claim(
    "C12.11",
    "On the rarest shape adjusting the logits, in the loss or after, finds over 5 points more than weights or repetition (mean of 3 seeds)",
    min(means[name] for name in both) > max(means["weight"], means["repeat"]) + 0.05,
    measured="; ".join(f"{name} {value:.2f}" for name, value in means.items()),
    answer="an adjustment of the logits",
)

# %% [markdown]
r"""
*Recall on new pictures: the commonest, the middle and the rarest shape.* Undersampling to 30 pictures finds many diamonds too, and pays with the other shapes. Now over all five shapes, and over time. "Minus log shares" takes them off the logits of the *weighted* network as well.
"""

# %% tags=["claim"]
lines = {"plain": ("plain", "as is"), "weight": ("weight", "as is")}
lines["adjusted loss"] = ("adjusted loss", "as is")
lines["adjusted after (plain minus log shares)"] = ("plain", "after")
lines["weight minus log shares"] = ("weight", "after")
curves = {}
for line, (name, key) in lines.items():
    curves[line] = torch.tensor([NETWORKS[name, seed][1][key] for seed in SEEDS])
fig, ax = plt.subplots(figsize=(5.2, 2.8), layout="constrained")
for (line, curve), marker in zip(curves.items(), "os^Dv", strict=True):
    ax.plot(range(100, 601, 100), curve.mean(dim=0), marker=marker, label=line)
ax.set(xlabel="training step", ylabel="balanced recall")
fig.legend(loc="outside upper left", ncols=2, fontsize=8)
show(
    fig,
    "Early, weights lead and adjusting after trails; fitted, whatever took the shares off leads.",
)
mean = {name: each.mean().item() for name, each in balanced.items()}
claim(
    "C12.20",
    "Over all five shapes, once fitted: both adjustments lead weights, repetition and plain training (mean of 3 seeds)",
    min(mean[name] for name in both)
    > max(mean[name] for name in ("weight", "repeat", "plain")),
    measured="balanced recall "
    + ", ".join(f"{name} {value:.2f}" for name, value in mean.items()),
)
gains = {name: (balanced[name] - balanced["plain"]).mean().item() for name in both}
new_head = []
for seed in SEEDS:
    x, y, test_x, test_y = PICTURES[seed]
    model, _ = NETWORKS["plain", seed]
    rows = imbalance.balanced_rows(y, 600, torch.Generator().manual_seed(seed))
    torch.manual_seed(seed)
    last = nn.Linear(32, 5)
    config = TrainConfig(
        steps=300, batch_size=len(rows), learning_rate=1e-2, weight_decay=0
    )
    fit(
        last,
        (model[:-1](x[rows]), y[rows]),
        lambda m, b: F.cross_entropy(m(b[0]), b[1]),
        config,
    )
    new_head.append(
        recalls(last.requires_grad_(False)(model[:-1](test_x)), test_y).mean()
        - balanced["plain"][seed]
    )
gains["new head"] = torch.stack(new_head).mean().item()
claim(
    "C12.10",
    "Each adjustment, and a new head trained on balanced rows of the plain network's features, gains over 2 points of balanced recall (mean of 3 seeds)",
    min(gains.values()) > 0.02,
    measured="gains "
    + ", ".join(f"{name} {value:.2f}" for name, value in gains.items()),
)
costs = {name: (natural["plain"] - natural[name]).mean().item() for name in both}
claim(
    "C12.12",
    "Undersampling to six of each throws the head away; at the natural frequencies either adjustment costs under 6 points (mean of 3 seeds)",
    head["undersample"].max() < head["plain"].min() - 0.1
    and max(costs.values()) < 0.06,
    measured=f"squares {head['undersample'].mean():.2f} against {head['plain'].mean():.2f}; costs "
    + ", ".join(f"{name} {value:.3f}" for name, value in costs.items()),
)
claim(
    "C12.21",
    "Focal loss alone leaves the rarest shape within 15 points of plain training, far below the adjustments (mean of 3 seeds)",
    (tail["focal, γ = 2"] - tail["plain"]).mean().abs() < 0.15
    and min(tail[name].mean() for name in both) > tail["focal, γ = 2"].mean() + 0.15,
    measured=f"focal {tail['focal, γ = 2'].mean():.2f}, plain {tail['plain'].mean():.2f}",
)
early, late = (
    {line: curve[:, at].mean().item() for line, curve in curves.items()}
    for at in (0, -1)
)
after, with_weight = (
    "adjusted after (plain minus log shares)",
    "weight minus log shares",
)
claim(
    "C12.25",
    "After 100 steps weights are ahead of adjusting after; after 600 it is the other way round (mean of 3 seeds)",
    early["weight"] > early[after] and late[after] > late["weight"],
    measured=f"step 100: {early['weight']:.2f} and {early[after]:.2f}, step 600: {late['weight']:.2f} and {late[after]:.2f}",
)
claim(
    "C12.26",
    "The weighted network minus the log shares is also ahead of the weighted network (mean of 3 seeds)",
    late[with_weight] > late["weight"],
    measured=f"{late['weight']:.2f} and {late[with_weight]:.2f}",
)

# %% [markdown]
r"""
*Balanced recall during training.* Read it in this order.

- **Look when the networks fit.** Early in training the order is another one: a plain network that has not learned diamonds yet has nothing that could be shifted. A verdict at 100 steps would be a verdict about speed.
- **Fitted, every network knows nearly all of its own rows** (C12.22). What differs is where it puts *new* ones. Plain training finds few new diamonds, weights a few more; both adjustments find many without losing the other shapes.
- **Which adjustment?** In the loss or after: no stable order here, it changes with the seed. "After" needs no second run and can be changed tomorrow.
- **The price**: at the natural frequencies either one costs from nothing to a few points. Say which measure you are paid for before you pick. $\tau$ slides between the two. Take `z - tau * LOG_PRIOR` of a plain network: a $\tau$ below 1 finds
  fewer diamonds and costs less, a larger one finds more and costs more.
- **Calibrated logits are not needed for this.** These networks are sure of everything. They are needed when you read a probability, or set $\tau$ from theory instead of on validation data.

**Why do weights do less in a network that fits?** On the table weight and threshold were the same. Two clouds of points make the difference visible, 380 points against 20, once overlapping and once
apart. Take one linear model and three losses, and measure on each side how far the points are from being wrong: the margin, averaged as the loss averages it, $M = -\log \mathrm{mean}\, e^{-\mathrm{margin}}$.
"""

# %%
bet(
    "C12.13b",
    "Separable clouds, weight 19: how is the rare side's margin M?",
    ["2.94 smaller", "equal", "2.94 larger"],
)


# %% tags=["claim", "reveal"]
def clouds(gap, seed):
    """380 points around (-gap, 0), 20 around (gap, 0), none further than 2 away."""
    y = (torch.arange(400) < 20).long()
    x = torch.randn(400, 2, generator=torch.Generator().manual_seed(seed)).clamp(-2, 2)
    x[:, 0] += gap * (2 * y - 1)
    return x, y


SHARES = torch.tensor([0.95, 0.05])


def adjusted_pair(z, y):
    return F.cross_entropy(z + SHARES.log(), y)


def follow(gap, loss, seed):
    """Every 100 of 1,000 steps: where the boundary is, and by how much M is larger."""
    x, y = clouds(gap, seed)

    def look(model):
        ahead, (weight, bias) = model(x).diff(dim=1)[:, 0], (model.weight, model.bias)
        rare, common = -(-ahead[y == 1]).logsumexp(0), -ahead[y == 0].logsumexp(0)
        lead = (rare - common + torch.tensor(20 / 380).log()).item()
        return {
            "boundary": (-bias.diff() / weight.diff(dim=0)[0, 0]).item(),
            "lead": lead,
        }

    model = nn.Linear(2, 2)
    nn.init.zeros_(model.weight), nn.init.zeros_(model.bias)
    settings = {
        "steps": 1000,
        "batch_size": 400,
        "learning_rate": 0.1,
        "evaluate_every": 100,
    }
    config = TrainConfig(**settings, weight_decay=0)
    return fit(model, (x, y), lambda model, b: loss(model(b[0]), b[1]), config, look)


PAIR = {
    "plain": F.cross_entropy,
    "weight × 19": weighted,
    "adjusted loss": adjusted_pair,
}
tracks = {}
for name, loss in PAIR.items():
    for gap in (1.0, 2.5):
        tracks[name, gap] = [follow(gap, loss, seed) for seed in SEEDS]
fig, (left, right) = plt.subplots(1, 2, figsize=(5.6, 2.4), layout="constrained")
for name, marker in zip(PAIR, "os^", strict=True):
    leads = torch.tensor([run["lead"] for run in tracks[name, 2.5]])
    left.plot(range(100, 1001, 100), leads.mean(dim=0), marker=marker, label=name)
    for gap, style in ((1.0, "--"), (2.5, "-")) if name != "plain" else ():
        at = [
            torch.tensor([r["boundary"] for r in tracks[n, gap]])
            for n in ("plain", name)
        ]
        moved = (at[0] - at[1]).mean(dim=0)
        right.plot(
            range(100, 1001, 100), moved, style, color=f"C{list(PAIR).index(name)}"
        )
left.set(xlabel="step", title="rare side's lead in M")
right.set(xlabel="step", title="boundary moved", ylim=(0, None))
fig.legend(
    *left.get_legend_handles_labels(), loc="outside upper left", ncols=3, fontsize=8
)
show(
    fig, "Leads of -2.9, 0 and +2.9. Boundaries: constant if overlapping, else fading."
)
end = {
    name: torch.tensor([run["lead"][-1] for run in tracks[name, 2.5]]) for name in PAIR
}
claim(
    "C12.13b",
    "On separable clouds the rare side's margin M ends 2.9 behind with plain training, level with weight 19, 2.9 ahead "
    "with the adjusted loss, each to 0.4 (3 seeds)",
    (end["plain"] + 2.94).abs().max() < 0.4
    and end["weight × 19"].abs().max() < 0.4
    and (end["adjusted loss"] - 2.94).abs().max() < 0.4,
    measured=", ".join(f"{name} {lead.mean():+.2f}" for name, lead in end.items()),
    answer="equal",
)
left_over = {}
for gap in (1.0, 2.5):
    bounds = [
        torch.tensor([run["boundary"] for run in tracks[name, gap]])
        for name in ("plain", "weight × 19")
    ]
    shift = bounds[0] - bounds[1]
    left_over[gap] = shift[:, -1] / shift[:, 0]
claim(
    "C12.13",
    "On separable data over a third of a weight's effect is gone between step 100 and 1,000; overlapping, under a tenth (3 seeds)",
    left_over[2.5].max() < 0.67 and (left_over[1.0] - 1).abs().max() < 0.1,
    measured=f"left over: separable {left_over[2.5].max():.2f} at most, overlapping {left_over[1.0].min():.2f} at least",
)

# %% [markdown]
r"""
*Left, separable clouds: how far the rare side's margin is ahead. Right: how far each loss moves the boundary away from that of plain training; solid: separable, dashed: overlapping.* Three lines explain the left panel. Let $n_+$ rare and $n_-$ common points, $n_-/n_+ = w$.
A fitted point with margin $M$ pulls with about $e^{-M}$, and the bias rests when both sides pull alike.

1. Plain: $n_+ e^{-M_+} = n_- e^{-M_-}$, so $M_+ = M_- - \log w$. The rare side is *behind*.
2. Weight $w$: $w\,n_+ e^{-M_+} = n_- e^{-M_-}$, so $M_+ = M_-$. *Level.*
3. Adjusted: plain training, but on logits that are shifted. In use the shift is gone, every rare margin is $\log w$ larger than in training and every common one $\log w$ smaller: $-\log w$ becomes $+\log w$, $M_+ = M_- + \log w$. *Ahead.* Adjusting after training does the same to the plain network.

Six diamonds say little about how diamonds vary, so new ones fall further from their own than new squares do. They need the larger share of the gap. A weight of $1/n$ stops at level; that is why taking the log shares off the *weighted* network helped as well (C12.26). Heavier weights, up to $1/n^2$ in separate runs, found more diamonds, lost squares, and stayed behind both adjustments over all shapes.
Where classes overlap, margins are not free to grow, and weight and adjustment agree.

And a constant number of logits buys ever less *distance* while logits grow (right panel; Byrd and Lipton saw it in deep networks). A margin that grows with the logits (Kini et al.), early stopping or weight decay keep it alive. So "weight, resample and threshold are
the same" is true of the table, and only half true of a network.

**The base rate moves.** A moderation model was trained at 5 % positives. Next month nobody labels anything, and 40 % may be positive. If only the
shares changed (*label shift*), Bayes' rule swaps the old shares for new ones, and expectation-maximisation (EM) finds them without labels.
"""


# %%
def find_shares(z, old):
    """EM: swap the shares, average the answers, repeat."""
    new = old
    for _ in range(200):
        new = (z - old.log() + new.log()).softmax(-1).mean(dim=0)
    return new


# %% [markdown]
r"""
Posts are 4,000 points with five features; positives lie 1.5 further along the first. Four cases: as promised; the class itself changed (positives became milder, 0.75 instead of 1.5); the model was trained with weight 19; and that model after $\log 19$ was taken off.
"""

# %%
bet(
    "C12.14b",
    "True share 40 %. What does EM report with the weighted model?",
    ["far below 40 %", "within 5 points", "far above 40 %"],
)


# %% tags=["claim", "reveal"]
def posts(share, seed, apart=1.5):
    """4,000 posts, five features; class 1 is `apart` further along the first."""
    generator = torch.Generator().manual_seed(seed)
    y = (torch.rand(4000, generator=generator) < share).long()
    x = torch.randn(4000, 5, generator=generator)
    x[:, 0] += apart * y
    return x, y


CASES = ("as promised", "class changed", "weighted model", "weighted, minus log 19")
reported, outputs = {}, []
for seed in SEEDS:
    data = posts(0.05, seed)
    plain, heavy = (linear(*data, loss) for loss in (F.cross_entropy, weighted))
    old = imbalance.class_prior(data[1], 2)
    for share in (0.01, 0.05, 0.2, 0.4):
        x, milder = (posts(share, 100 + seed, apart)[0] for apart in (1.5, 0.75))
        off = torch.tensor([1.0, 19.0]).log()
        logits = (plain(x), plain(milder), heavy(x), heavy(x) - off)
        outputs.append((share, plain(x).softmax(-1)[:, 1].mean().item()))
        for case, z in zip(CASES, logits, strict=True):
            reported.setdefault(case, []).append((share, find_shares(z, old)[1].item()))

fig, ax = plt.subplots(figsize=(4.6, 2.3), layout="constrained")
for case, marker in zip(CASES, "osv^", strict=True):
    ax.plot(
        *zip(*reported[case], strict=True), marker, markersize=5, label=case, alpha=0.8
    )
ax.plot(*zip(*outputs, strict=True), "x", color="black", label="mean output, no EM")
ax.plot([0, 0.4], [0, 0.4], color="grey", linewidth=1)
ax.set(xlabel="true share of positives", ylabel="reported")
fig.legend(loc="outside right upper", fontsize=8)
show(fig, "EM lies on the diagonal as promised and after the repair, else far off it.")
at_forty = {
    case: torch.tensor([got for share, got in pairs if share == 0.4])
    for case, pairs in reported.items()
}
mean_output = max(got for share, got in outputs if share == 0.4)
gain = []
for seed in SEEDS:
    data, (x, y) = posts(0.05, seed), posts(0.4, 100 + seed)
    model, old = linear(*data, F.cross_entropy), imbalance.class_prior(data[1], 2)
    z = model(x)
    moved = imbalance.move_prior(z, old, imbalance.estimate_prior(z, old, steps=200))
    gain.append(
        (moved.argmax(-1) == y).double().mean().item()
        - (z.argmax(-1) == y).double().mean().item()
    )
off_by = (at_forty["as promised"] - 0.4).abs().max()
claim(
    "C12.14",
    "From 5 % to 40 % positives: the mean output sees under 20 %, EM is within 0.12, and moving the logits gains over 6 points (3 seeds)",
    mean_output < 0.2 and off_by < 0.12 and min(gain) > 0.06,
    measured=f"mean output {mean_output:.2f} at most, EM off by {off_by:.3f} at most, gain {min(gain):.3f} at least",
)
claim(
    "C12.14b",
    "EM fails where its two conditions do: 40 % is reported as over 55 % by a weighted model and under 30 % when the class itself "
    "changed; taking log 19 off repairs the first (3 seeds)",
    at_forty["weighted model"].min() > 0.55
    and at_forty["class changed"].max() < 0.30
    and (at_forty["weighted, minus log 19"] - 0.4).abs().max() < 0.12,
    measured=", ".join(
        f"{case} {values.min():.2f} to {values.max():.2f}"
        for case, values in at_forty.items()
    ),
    answer="far above 40 %",
)

# %% [markdown]
r"""
*Shares that EM reports, three seeds each; the grey line is the truth.* EM needs two things: probabilities, so no weighted, focal or overconfident model; and classes that look as they did. The second cannot be seen without labels: label a small
random sample every week.

## 12.8 Wrong answers people give

Say for each *why* it is wrong, before you read on.

> **"Softmax loss and cross-entropy are two losses: softmax first, then cross-entropy on top."**

Two names, and 12.3 showed one number. Whoever takes the sentence literally applies softmax *twice*, because `F.cross_entropy` already contains it. The most
certain "logits" are now (1, 0, 0), which puts a floor under the loss. And the gradient passes a softmax on its way, which lets little through where
the model is sure, even if it is wrong.
"""

# %% tags=["claim"]
sure = torch.tensor([[100.0, 0, 0]])
print(
    "best possible, softmax twice:",
    F.cross_entropy(sure.softmax(-1), torch.tensor([0])),
)
wrong = torch.tensor([[12.0, 0, 0]])  # the label is 1
once = torch.func.grad(lambda z: F.cross_entropy(z, torch.tensor([1])))(wrong)
twice = torch.func.grad(lambda z: F.cross_entropy(z.softmax(-1), torch.tensor([1])))(
    wrong
)
print(f"largest gradient, once {once.abs().max():.2f}, twice {twice.abs().max():.5f}")
floor = F.cross_entropy(sure.softmax(-1), torch.tensor([0])).item()
claim(
    "C12.1b",
    "Softmax twice cannot go below log(1 + 2/e) for three classes, and a sure mistake has hardly a gradient",
    abs(floor - torch.log(1 + 2 / torch.tensor(1.0).exp()).item()) < 1e-6
    and twice.abs().max() < 1e-4
    and once.abs().max() > 0.9,
    measured=f"floor {floor:.3f}; gradient {twice.abs().max():.0e}, once {once.abs().max():.1f}",
)

# %% [markdown]
r"""
> **"Focal and weighted loss lower the weight of the minority class so that the model pays attention to it."**

It sounds right because something *is* lowered: focal loss shrinks *easy* examples, and these are mostly of the majority. A class weight has to *raise*
the minority. (RetinaNet's own $\alpha$ is 0.25 on objects, the rare class, against 0.75 on background. That corrects the focal factor, which had already
taken the background away.)
"""

# %% tags=["claim"]
lowered, ratios = [], []
for seed, (models, _, _) in zip(SEEDS, runs, strict=True):
    x, y, test_x, test_y = rare_tumours(seed)
    model = linear(
        x, y, lambda z, y: F.cross_entropy(z, y, weight=torch.tensor([1.0, 1 / 19]))
    )
    lowered.append((model(test_x).argmax(-1)[test_y == 1] == 1).double().mean().item())
    factor = (1 - models["plain"](x).softmax(-1).gather(1, y[:, None])[:, 0]) ** 2
    ratios.append((factor[y == 1].mean() / factor[y == 0].mean()).item())
claim(
    "C12.4c",
    "Lowering the minority's weight, as some notes say weighted loss does, finds nobody (3 seeds)",
    max(lowered) == 0,
    measured=f"recall {max(lowered):.2f} with ÷ 19",
)
claim(
    "C12.5d",
    "Under the plain model the focal factor (γ = 2) is over 20 times larger on malignant rows than on benign ones (3 seeds)",
    min(ratios) > 20,
    measured=f"{min(ratios):.0f} times or more",
)

# %% [markdown]
r"""
So the focal factor favours the minority here even more than a weight of 19, and still the recall stayed (C12.5c). The factor belongs to the *example* and goes
as soon as that example gets easier.

> **"Classes are imbalanced? Oversample the minority, then split into training and test."**

Sounds like clean data preparation. But a row and its copy then stand on both sides. The folded claim draws labels by pure chance, one in ten positive, and asks one nearest neighbour.
"""

# %% tags=["claim"]
from sklearn.neighbors import KNeighborsClassifier


def minority_recall(seed, oversample_first):
    generator = torch.Generator().manual_seed(seed)
    x, y = (
        torch.randn(400, 20, generator=generator),
        (torch.rand(400, generator=generator) < 0.1).long(),
    )
    rows = (
        imbalance.balanced_rows(y, (y == 0).sum().item(), generator)
        if oversample_first
        else torch.arange(400)
    )
    half = len(rows) // 2
    train_rows, test_rows = rows[:half], rows[half:]
    if not oversample_first:
        more = imbalance.balanced_rows(
            y[train_rows], (y[train_rows] == 0).sum().item(), generator
        )
        train_rows = train_rows[more]
    said = torch.tensor(
        KNeighborsClassifier(1).fit(x[train_rows], y[train_rows]).predict(x[test_rows])
    )
    return said[y[test_rows] == 1].double().mean().item()


before, after_split = (
    [minority_recall(seed, order) for seed in SEEDS] for order in (True, False)
)
claim(
    "C12.6",
    "Oversampling before the split finds over 90 % of positives that are pure noise; after it, under a third (3 seeds)",
    min(before) > 0.9 and max(after_split) < 0.33,
    measured=f"before {min(before):.2f} or more, after {max(after_split):.2f} or less",
)

# %% [markdown]
r"""
> **"Split the data by class and train a model for each."**

Sounds like specialisation. A training set of one class teaches a classifier one thing: always say it. (Useful relatives: one *binary* model per class against
the rest; one *density* per class, compared by Bayes' rule, as in naive Bayes; a shared body with a rebalanced head, C12.10.)

> **"Hinge loss gives sparse, interpretable models."**

Something is sparse: the list of *examples* that matter, the support vectors. The weights are not; that is what an L1 penalty does.
"""

# %% tags=["claim"]
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

alarms, supports, zeros, zeros_l1 = [], [], [], []
for seed in SEEDS:
    x, y, test_x, test_y = rare_tumours(seed)
    said = linear(x[y == 1], y[y == 1], F.cross_entropy)(test_x).argmax(
        -1
    )  # malignant rows alone
    alarms.append(said[test_y == 0].double().mean().item())
    x = torch.randn(
        400, 50, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    y = (x[:, 0] + 0.5 * x[:, 1] + 0.3 * x[:, 2] > 0).long()
    svm, l1 = (
        SVC(kernel="linear", C=1).fit(x, y),
        LogisticRegression(l1_ratio=1, solver="liblinear", C=0.1).fit(x, y),
    )
    supports.append(len(svm.support_))
    zeros.append((abs(svm.coef_) < 1e-9).sum())
    zeros_l1.append((l1.coef_ == 0).sum())
claim(
    "C12.15",
    "A model trained on the malignant rows alone calls most benign ones malignant too (3 seeds)",
    min(alarms) > 0.6,
    measured=f"{min(alarms):.0%} or more",
)
claim(
    "C12.7",
    "A linear SVM needs under half of 400 examples and all of its 50 weights; an L1 penalty zeroes over 30 (3 seeds)",
    max(supports) < 200 and max(zeros) == 0 and min(zeros_l1) > 30,
    measured=f"support vectors {min(supports)} to {max(supports)}, zero weights {max(zeros)}, with L1 {min(zeros_l1)} or more",
)

# %% [markdown]
r"""
> **"Polynomial loss is for multi-task learning, edge loss for comparing images with text."**

Two words lost in translation. PolyLoss expands cross-entropy of *one* task in powers of $1 - p$ and changes the first coefficient; multi-task learning
uses weighted *sums* of losses: lesson 16 (planned). 边缘 should read 间隔, margin: a matching pair must score higher than a wrong one by a margin: lesson 13 (planned).
Without the margin a constant embedding is already perfect.

> **"Adversarial loss measures the distance between generated and real data."**

It is a game: a discriminator is trained to tell them apart, the generator to fool it. At the *best* discriminator the value is a Jensen–Shannon divergence
(times 2, minus $\log 4$). And that stops saying *how far* exactly when you need it: if the two do not overlap it is $\log 2$, near or far. So a
GAN's loss curve does not say how good the samples are. Wasserstein GANs change the game so that the critic does estimate a distance: lesson 15 (planned). Today's
image generators mostly regress noise or a velocity, with MSE.
"""

# %% tags=["claim"]
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

p = torch.tensor([0.3, 0.6, 0.95], dtype=torch.float64)
gap = (sum((1 - p) ** j / j for j in range(1, 400)) + p.log()).abs().max().item()
claim(
    "C12.7b",
    "The powers of 1 - p, each over its exponent, sum to cross-entropy",
    gap < 1e-9,
    measured=f"gap {gap:.0e}",
)
matching = mismatched = torch.zeros(
    8
)  # every image and every text at the same point: all scores are equal
pairs = torch.ones(8, dtype=torch.int64)
collapsed = [
    margin.hinge(matching - mismatched, pairs, margin=m).item() for m in (0.0, 0.2)
]
claim(
    "C12.16",
    "A collapsed embedding has no loss at margin 0 and the full margin as its loss at 0.2",
    collapsed[0] == 0 and abs(collapsed[1] - 0.2) < 1e-6,
    measured=f"{collapsed[0]:.1f} and {collapsed[1]:.1f}",
)
grid = torch.linspace(0, 6, 6001, dtype=torch.float64)
blocks = [
    ((grid >= start) & (grid < start + 0.05)).double() for start in (0.0, 0.1, 1.0, 5.0)
]
real, *fakes = [block / block.sum() for block in blocks]
divergences = [
    jensenshannon(real, fake) ** 2 for fake in fakes
]  # scipy returns the square root
distances = [wasserstein_distance(grid, grid, real, fake) for fake in fakes]
claim(
    "C12.17",
    "Without overlap the Jensen-Shannon divergence is log 2 at every shift; the Wasserstein distance is the shift",
    max(abs(d - 0.6931) for d in divergences) < 1e-3
    and all(abs(d - s) < 0.01 for d, s in zip(distances, (0.1, 1, 5), strict=True)),
    measured=f"{divergences[0]:.3f} three times; {', '.join(f'{d:.2f}' for d in distances)}",
)

# %% [markdown]
r"""
## 12.9 At scale

**Logits can be the largest tensor of a training step.** They are (B, T, V), tokens times vocabulary. The usual code is: logits in bf16, `.float()`, cross-entropy, backward. How many bytes does one logit cost at
the worst moment? PyTorch's memory tracker follows every tensor; its highest sum is the peak.
"""

# %%
from torch.distributed._tools.mem_tracker import MemTracker


def bytes_per_logit(step, tokens=512, vocabulary=8192):
    z = torch.randn(tokens, vocabulary).bfloat16().requires_grad_()
    tracker = MemTracker()
    tracker.track_external(z)
    with tracker:
        step(z, torch.randint(vocabulary, (tokens,)))
    (peak,) = tracker.get_tracker_snapshot("peak").values()
    return peak["Total"] / z.numel()


bet("C12.27", "Bytes per logit, bf16 logits included?", ["4", "8", "14", "32"])


# %%
def usual(z, y):
    F.cross_entropy(z.float(), y).backward()


# %% tags=["reveal"]
for name, V in (("Vicuna", 32_000), ("Llama 3", 128_256)):
    gib = bytes_per_logit(usual) * 8 * 4096 * V / 2**30
    print(f"{name:8s} {gib:5.1f} GiB, at 40 of 700 positions {gib * 40 / 700:4.1f} GiB")


# %% tags=["claim", "reveal"]
def copy_kept(z, y):
    copy = z.float()  # as in code that returns float logits
    F.cross_entropy(copy, y).backward()


def in_pieces(z, y):
    for some, own in zip(z.split(64), y.split(64), strict=True):
        (F.cross_entropy(some.float(), own, reduction="sum") / len(y)).backward()


steps = {"usual": usual, "float copy kept": copy_kept, "in pieces of 1/8": in_pieces}
peaks = {name: bytes_per_logit(step) for name, step in steps.items()}
claim(
    "C12.27",
    "bf16 logits, .float(), cross-entropy and backward cost about 14 bytes per logit at the peak; a float copy that is kept makes it 18",
    13 < peaks["usual"] < 15
    and 17 < peaks["float copy kept"] < 19
    and peaks["in pieces of 1/8"] < 10,
    measured=", ".join(f"{name} {value:.1f}" for name, value in peaks.items()),
    answer="14",
)
losses, used = (
    torch.tensor([[2.0] * 30 + [0.0] * 10, [0.5] * 3 + [0.0] * 37]),
    torch.tensor([30, 3]),
)
of_tokens = (losses.sum() / used.sum()).item()
of_means = (losses.sum(dim=1) / used).mean().item()
parts = (used / used.sum() * (losses.sum(dim=1) / used)).sum().item()
claim(
    "C12.18",
    "The mean of micro-batch means is not the mean over tokens; weighting each by its tokens makes it so",
    abs(of_means - of_tokens) > 0.5 and abs(parts - of_tokens) < 1e-6,
    measured=f"over tokens {of_tokens:.3f}, mean of two means {of_means:.3f}, weighted {parts:.3f}",
)

# %% [markdown]
r"""
Measured on a CPU with 512 × 8,192 logits; the GiB are for eight sequences of 4,096 tokens. Where 14 comes from: the bf16 logits (2), the log-softmax that backward needs (4), the gradient at the log-softmax (4), the gradient at the float logits (4). A fused
kernel needs less, a framework that keeps float logits for you needs more. An estimate of 8, "logits and gradient in fp32", is a floor.

- **Memory**: a vision-language example asks for few of its positions, for instance 40 answer tokens of 700. Select them *before* the output layer, or never build the logits (Cut Cross-Entropy computes the loss in blocks).
- **Mixed precision**: matrix products in bf16, the softmax in fp32; PyTorch's autocast does that for cross-entropy.
- **Accumulation and several GPUs**: `mean` is over *this* micro-batch's valid tokens. With different numbers of them, divide the sum of losses by the global
  count (C12.18). `fit(..., weigh=...)` does; transformers' Trainer learned it in October 2024.
- **Class weights** divide by the sum of weights in the batch: the same trap, one level up. With rare classes and small batches a fixed divisor has less noise.

## 12.10 Going deeper

Each part stands alone; none is needed for the 60-second answer.

**Several labels at once: binary cross-entropy.** A post can break three policies or none. Softmax cannot say that: its outputs share one unit of probability, so two of them never exceed ½. Use one sigmoid per label, $-y\log\sigma(z) - (1-y)\log(1-\sigma(z))$ with gradient
$\sigma(z) - y$. `pos_weight` $w$ multiplies the first term, for each label apart. It is the weight of 12.7: odds times $w$, threshold $1/(1+w)$, outputs that are no probabilities. *Soft targets* are allowed, $y = 0.7$ from a teacher or from seven of ten raters: the best output is then 0.7, the best
loss is the entropy of the target and not 0.
"""

# %%
z = torch.zeros(3, requires_grad=True)  # one example, three labels
y = torch.tensor([1.0, 0.0, 0.7])  # yes, no, seven of ten raters
w = torch.tensor([9.0, 9.0, 1.0])
F.binary_cross_entropy_with_logits(z, y, pos_weight=w, reduction="sum").backward()
print("gradient      ", z.grad)
print("σ(z) - y      ", z.sigmoid().detach() - y)  # the first one times 9

# %% tags=["claim"]
generator = torch.Generator().manual_seed(0)
shares = torch.tensor([0.5, 0.1, 0.02])
truth = (torch.rand(20000, 3, generator=generator) < shares).float()
logit = torch.zeros(3, requires_grad=True)
weights = (1 - shares) / shares
found = []
for pos_weight in (torch.ones(3), weights):
    logit = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [logit], lr=1, max_iter=100, line_search_fn="strong_wolfe"
    )

    def closure(pos_weight=pos_weight, logit=logit, optimizer=optimizer):
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(
            logit.expand(20000, 3), truth, pos_weight=pos_weight
        )
        loss.backward()
        return loss

    optimizer.step(closure)
    found.append(logit.detach())
rates = truth.mean(dim=0)
claim(
    "C12.28",
    "With labels at 50, 10 and 2 %, the best constant outputs of BCE are the shares; with pos_weight = negatives over "
    "positives they are all near one half, and the logit minus log pos_weight gives the shares back",
    torch.allclose(found[0].sigmoid(), rates, atol=2e-3)
    and (found[1].sigmoid() - 0.5).abs().max() < 0.03
    and torch.allclose((found[1] - weights.log()).sigmoid(), rates, atol=2e-3),
    measured=f"plain {', '.join(f'{v:.3f}' for v in found[0].sigmoid().tolist())}; weighted "
    + ", ".join(f"{v:.3f}" for v in found[1].sigmoid().tolist()),
)
soft = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
loss_at = F.binary_cross_entropy(soft, torch.full_like(soft, 0.7), reduction="none")
claim(
    "C12.29",
    "With a soft target of 0.7 the best output is 0.7 and the best loss its entropy, 0.611, not 0",
    abs(soft[loss_at.argmin()] - 0.7) < 1e-9 and abs(loss_at.min() - 0.6109) < 1e-3,
    measured=f"{soft[loss_at.argmin()]:.2f} and {loss_at.min():.3f}",
)

# %% [markdown]
r"""
**z-loss.** Cross-entropy does not change if a constant is added to all logits: the gradient $p - \mathrm{onehot}$ sums to 0. So nothing holds $\log Z = \log\sum_k e^{z_k}$ in place, and in bf16 a logit near 500 is rounded to steps of 2. PaLM adds $10^{-4}(\log Z)^2$, whose gradient is $2 \cdot 10^{-4} \log Z \cdot p_k$; OLMo 2 was trained with $10^{-5}$ (its configuration; the paper's text says $10^{-4}$).
"""

# %%
z, y = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([2])
for c in (0.0, 50.0, 500.0):
    loss = F.cross_entropy(z + c, y)
    rounded = F.cross_entropy((z + c).bfloat16().float(), y)
    log_z = (z + c).logsumexp(-1).item()
    print(f"{c:5.0f}: {loss:.3f}, bf16 {rounded:.3f}, log Z {log_z:.1f}")

# %% tags=["claim"]
exact = [F.cross_entropy((z + c).double(), y).item() for c in (0.0, 50.0, 500.0)]
rough = [
    F.cross_entropy((z + c).bfloat16().double(), y).item() for c in (0.0, 50.0, 500.0)
]
claim(
    "C12.30",
    "A constant of 500 on all logits leaves cross-entropy as it is and moves it by over 0.1 once logits are rounded to bf16",
    max(exact) - min(exact) < 1e-6
    and abs(rough[2] - exact[2]) > 0.1
    and abs(rough[0] - exact[0]) < 0.01,
    measured=f"exact {exact[0]:.3f}, rounded at 500 {rough[2]:.3f}",
)

# %% [markdown]
r"""
**Per token, per sample, or the square root.** One answer has 1,000 tokens, one has 10. Divide each answer's sum of losses by $n^a$: with $a = 0$ every token counts the same and the long answer has 99 % of the say; with $a = 1$ every sample counts the same; $a = \tfrac12$ lies between. InternVL 2.5 uses the square root
so that neither long nor short answers take over.
"""

# %% tags=["claim"]
n = torch.tensor([1000.0, 10.0])
for a, name in ((0.0, "token"), (0.5, "square root"), (1.0, "sample")):
    say = n ** (1 - a) / (n ** (1 - a)).sum()
    print(f"{name:12s} long answer {say[0]:.0%}, short answer {say[1]:.0%}")
said = [(n ** (1 - a) / (n ** (1 - a)).sum())[0].item() for a in (0.0, 0.5, 1.0)]
claim(
    "C12.31",
    "Averaged per token, 1,000 tokens against 10 have 99 % of the say; per square root 91 %; per sample 50 %",
    [round(100 * share) for share in said] == [99, 91, 50],
    measured=", ".join(f"{share:.3f}" for share in said),
)

# %% [markdown]
r"""
**Noisy labels.** A wrong label pulls with $1 - p_y$, hardest where the network is surest that it is wrong. A network that can fit anything fits the wrong labels too. The folded claim flips 30 % of 200 training labels of two half moons and trains a network on them. If the flip rates $T_{ij}$ are known, *forward correction* trains $T^\top p$ to match the noisy labels (Patrini et al.). The other remedy costs nothing: stop early.
"""


# %% tags=["claim"]
def forward_corrected(z, y, flip=0.3):
    p = z.softmax(-1)
    return F.nll_loss((p * (1 - flip) + (1 - p) * flip).log(), y)


def half_moons(count, generator):
    angle, y = (
        torch.rand(count, generator=generator) * torch.pi,
        torch.rand(count, generator=generator) < 0.5,
    )
    sign = 1 - 2 * y.float()
    x = torch.stack([angle.cos() * sign + y, angle.sin() * sign + 0.5 * y], dim=1)
    return x + 0.15 * torch.randn(count, 2, generator=generator), y.long()


def noisy_run(seed, loss):
    generator = torch.Generator().manual_seed(seed)
    (x, y), (test_x, test_y) = half_moons(200, generator), half_moons(2000, generator)
    noisy = torch.where(torch.rand(200, generator=generator) < 0.3, 1 - y, y)
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(2, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 2)
    )
    config = TrainConfig(
        steps=500,
        batch_size=200,
        learning_rate=5e-3,
        weight_decay=0,
        evaluate_every=50,
    )

    def right(model):
        return {"right": (model(test_x).argmax(-1) == test_y).double().mean().item()}

    return fit(
        model, (x, noisy), lambda model, b: loss(model(b[0]), b[1]), config, right
    )["right"]


NOISY = {"cross-entropy": F.cross_entropy, "forward correction": forward_corrected}
noisy = {
    name: torch.tensor([noisy_run(seed, loss) for seed in SEEDS])
    for name, loss in NOISY.items()
}
early, last = ({name: curve[:, at] for name, curve in noisy.items()} for at in (0, -1))
claim(
    "C12.32",
    "With 30 % of labels flipped, cross-entropy loses over 6 points between step 50 and 500; forward correction with the "
    "true rates ends ahead of it (mean of 3 seeds)",
    (early["cross-entropy"] - last["cross-entropy"]).mean() > 0.06
    and (last["forward correction"] - last["cross-entropy"]).mean() > 0.02,
    measured=f"cross-entropy {early['cross-entropy'].mean():.2f} to {last['cross-entropy'].mean():.2f}, corrected to "
    f"{last['forward correction'].mean():.2f}",
)

# %% [markdown]
r"""
**Quantiles.** "Delivered within how many minutes, nine times out of ten?" is neither a mean nor a median. The quantile (pinball) loss pulls up with $\tau$ and down with $1 - \tau$. It rests where
$\tau \cdot P(\text{above}) = (1-\tau)\cdot P(\text{below})$, so where a share $\tau$ lies below. $\tau = \tfrac12$ is half of MAE.
"""

# %%
minutes = -30 * torch.rand(2000, generator=torch.Generator().manual_seed(0)).log()
guess = torch.linspace(0, 150, 1501)[:, None]
for tau in (0.1, 0.5, 0.9):
    error = minutes - guess
    pinball = torch.maximum(tau * error, (tau - 1) * error).mean(dim=1)
    chosen = guess[pinball.argmin()].item()
    print(
        f"τ = {tau}: {chosen:5.1f} min, {(minutes < chosen).float().mean():.0%} below"
    )

# %% tags=["claim"]
below = []
for tau in (0.1, 0.5, 0.9):
    error = minutes - guess
    chosen = guess[torch.maximum(tau * error, (tau - 1) * error).mean(dim=1).argmin()]
    below.append((minutes < chosen).double().mean().item())
claim(
    "C12.33",
    "The best constant of the quantile loss at 0.1, 0.5, 0.9 has that share of the data below it",
    max(abs(got - tau) for got, tau in zip(below, (0.1, 0.5, 0.9), strict=True)) < 0.01,
    measured=", ".join(f"{got:.3f}" for got in below),
)

# %% [markdown]
r"""
## 12.11 The 60-second answer

"Cross-entropy for choosing a class: it is the negative log-probability of the label, its gradient is $p - y$, bounded and alive while the answer is wrong. Several labels at once: binary cross-entropy per label. Squared error behind a sigmoid
dies where the model is surely wrong. For numbers: squared error (Gaussian noise) gives the mean and listens to outliers, absolute error (Laplace noise) the median, Huber the compromise, the quantile loss a quantile. Hinge asks for a margin and then stops. *Softmax loss* is cross-entropy, *edge loss* is a
mistranslation of margin loss, *polynomial loss* is PolyLoss.

Under imbalance, where classes overlap, weighting by $w$, repeating rows $w$ times and moving the threshold to $1/(1+w)$ do the same: they slide along one ROC curve. So train plainly, calibrate, set the threshold from costs. A network that fits its training set is another matter: a weight only makes
the margins of both sides level. There I adjust the logits by the log of the class shares, in the loss or after training, and compare with everything trained until it fits. Focal loss down-weights *easy* examples, not frequent ones. I resample the training split only, and report recall per class."

## 12.12 Questions

Cover the answers, say yours aloud, compare. Each key point names the claim above that proves it, or a paper.
"""

# %%
show_questions("12")
bets("12")

# %% [markdown]
r"""
## 12.13 Card

| loss | formula | chance → best | in code |
| --- | --- | --- | --- |
| cross-entropy = softmax loss | $-\log p_y$, gradient $p - y$ | $\log K$ → 0 | `cross_entropy` |
| smoothed by $\epsilon$ | $(1-\epsilon)(-\log p_y) - \tfrac{\epsilon}{K}\sum_k \log p_k$ | $\log K$ → entropy of the target | `smoothing=` |
| weighted | $w_y(-\log p_y)$ over $\sum w_y$ | $\log K$ → 0 | `weight=` |
| focal | $\alpha_y(1-p_y)^\gamma(-\log p_y)$ | $(1-\tfrac1K)^\gamma\log K$ → 0 | `focal` |
| PolyLoss ("polynomial") | $-\log p_y + \epsilon(1-p_y)$ | $\log K + \epsilon(1-\tfrac1K)$ → 0 | `poly1` |
| logit-adjusted | $-\log\mathrm{softmax}(z + \tau\log\pi)_y$, $\pi$ the class shares | entropy of $\pi$ → 0 | `logit_adjusted_cross_entropy` |
| binary, several labels | $-w y\log\sigma(z) - (1-y)\log(1-\sigma(z))$ | $\log 2$ → 0 | `binary_cross_entropy_with_logits` |
| hinge; margin on pairs ("edge") | $\max(0, m - ys)$; $\max(0, m - s_+ + s_-)$ | $m$ → 0 | `hinge`; lesson 13 (planned) |
| Huber | $e^2/2$, then $\delta(\lvert e\rvert - \delta/2)$ | between MSE and MAE → 0 | `huber` |
| adversarial | $\min_G\max_D \mathbb{E}\log D(x) + \mathbb{E}\log(1 - D(G(u)))$ | $-\log 4$ is *equilibrium* | lesson 15 (planned) |

- **Shapes**: logits (B, K) or (B, T, V), labels without the last axis, -100 where nothing is predicted; mean over what is left.
- **Origins**: $-\log p$ of Gaussian noise is MSE, of Laplace noise MAE, of a coin cross-entropy; KL is cross-entropy minus the entropy of the target.
- **Numbers**: chance $\log K$; a weight $w$ is $\log w$ logits is a threshold of $1/(1+w)$; 5 % positives balance at weight 19; 14 bytes per logit at the peak.
- **Use** plain cross-entropy and a threshold first; logit adjustment, after training or in the loss, for long tails in networks that fit; weights when
  mistakes have known costs and the classes overlap; focal for masses of easy negatives; Huber for dirty numbers.
- **Do not** put softmax before cross-entropy, square a sigmoid, resample before the split, read weighted or focal outputs as
  probabilities, compare treatments before they fit, or average micro-batch means.

## 12.14 Sources

1. Lin et al. (2017), *Focal Loss for Dense Object Detection*, [arXiv:1708.02002](https://arxiv.org/abs/1708.02002): the factor and α; theirs has a sigmoid per class.
2. Charoenphakdee et al. (2020), *On Focal Loss for Class-Posterior Probability Estimation*, [arXiv:2011.09172](https://arxiv.org/abs/2011.09172): right decisions, wrong
   probabilities; our curve is their theorem on a grid.
3. Leng et al. (2022), *PolyLoss*, [arXiv:2204.12511](https://arxiv.org/abs/2204.12511): the series and Poly-1.
4. Menon et al. (2020), *Long-tail learning via logit adjustment*, [arXiv:2007.07314](https://arxiv.org/abs/2007.07314): in the loss and after training.
5. Kang et al. (2019), *Decoupling Representation and Classifier for Long-Tailed Recognition*, [arXiv:1910.09217](https://arxiv.org/abs/1910.09217): a new head on old features.
6. Cui et al. (2019), *Class-Balanced Loss Based on Effective Number of Samples*, [arXiv:1901.05555](https://arxiv.org/abs/1901.05555): in `imbalance.effective_number_weights`.
7. Chawla et al. (2002), *SMOTE*, [arXiv:1106.1813](https://arxiv.org/abs/1106.1813): oversampling by interpolation, not used here.
8. Byrd, Lipton (2018), *What is the Effect of Importance Weighting in Deep Learning?*, [arXiv:1812.03372](https://arxiv.org/abs/1812.03372); Kini et al. (2021),
   *Label-Imbalanced and Group-Sensitive Classification under Overparameterization*, [arXiv:2103.01550](https://arxiv.org/abs/2103.01550).
9. Elkan (2001), *The Foundations of Cost-Sensitive Learning*, [IJCAI](https://cseweb.ucsd.edu/~elkan/rescale.pdf): weights, costs and thresholds.
10. Saerens, Latinne, Decaestecker (2002), *Adjusting the Outputs of a Classifier to New a Priori Probabilities*, [doi:10.1162/089976602753284446](https://doi.org/10.1162/089976602753284446).
11. Szegedy et al. (2015), *Rethinking the Inception Architecture*, [arXiv:1512.00567](https://arxiv.org/abs/1512.00567): label smoothing. Müller et al. (2019), *When Does Label
    Smoothing Help?*, [arXiv:1906.02629](https://arxiv.org/abs/1906.02629): what it does to calibration and distillation.
12. Hui, Belkin (2020), *Evaluation of Neural Architectures Trained with Square Loss vs Cross-Entropy*, [arXiv:2006.07322](https://arxiv.org/abs/2006.07322).
13. Huber (1964), *Robust Estimation of a Location Parameter*, [doi:10.1214/aoms/1177703732](https://doi.org/10.1214/aoms/1177703732).
14. Cortes, Vapnik (1995), *Support-Vector Networks*, [doi:10.1007/BF00994018](https://doi.org/10.1007/BF00994018): the hinge with its penalty.
15. Goodfellow et al. (2014), *Generative Adversarial Networks*, [arXiv:1406.2661](https://arxiv.org/abs/1406.2661); Arjovsky et al. (2017), *Wasserstein GAN*, [arXiv:1701.07875](https://arxiv.org/abs/1701.07875).
16. Faghri et al. (2017), *VSE++*, [arXiv:1707.05612](https://arxiv.org/abs/1707.05612): the margin loss that "edge loss" means. Milletari et al. (2016), *V-Net*, [arXiv:1606.04797](https://arxiv.org/abs/1606.04797): Dice.
    Graves et al. (2006), *Connectionist Temporal Classification*, [doi:10.1145/1143844.1143891](https://doi.org/10.1145/1143844.1143891).
17. Wijmans et al. (2024), *Cut Your Losses in Large-Vocabulary Language Models*, [arXiv:2411.09009](https://arxiv.org/abs/2411.09009). Hugging Face (2024), *Fixing Gradient
    Accumulation*, [huggingface.co/blog/gradient_accumulation](https://huggingface.co/blog/gradient_accumulation).
18. Vocabularies: the published configurations [`lmsys/vicuna-7b-v1.5`](https://huggingface.co/lmsys/vicuna-7b-v1.5) and
    [`meta-llama/Meta-Llama-3-8B`](https://huggingface.co/meta-llama/Meta-Llama-3-8B).
19. Wolberg, Mangasarian, Street, Street (1995), *Breast Cancer Wisconsin (Diagnostic)*, [doi:10.24432/C5DW2B](https://doi.org/10.24432/C5DW2B), through scikit-learn.
20. Chowdhery et al. (2022), *PaLM*, [arXiv:2204.02311](https://arxiv.org/abs/2204.02311), and OLMo et al. (2024), *2 OLMo 2 Furious*, [arXiv:2501.00656](https://arxiv.org/abs/2501.00656): z-loss, its weight from [`OLMo2-13B-stage1.yaml`](https://github.com/allenai/OLMo/blob/main/configs/official-1124/OLMo2-13B-stage1.yaml). Chen et al. (2024), *InternVL 2.5*, [arXiv:2412.05271](https://arxiv.org/abs/2412.05271): the square root.
21. Patrini et al. (2017), *Making Deep Neural Networks Robust to Label Noise*, [arXiv:1609.03683](https://arxiv.org/abs/1609.03683): forward correction. Koenker, Bassett (1978),
    *Regression Quantiles*, [doi:10.2307/1913643](https://doi.org/10.2307/1913643).

## 12.15 Worked solutions
"""


# %% tags=["solution"]
def cross_entropy(logits, label, ignore_index=-100, smoothing=0.0, weight=None):
    kept = label != ignore_index
    log_p, label = logits[kept].log_softmax(-1), label[kept]
    cost = torch.ones_like(log_p[0]) if weight is None else weight
    of_label = cost[label] * -log_p.gather(1, label[:, None])[:, 0]
    of_all = (cost * -log_p).mean(-1)
    return ((1 - smoothing) * of_label + smoothing * of_all).sum() / cost[label].sum()


check(exercise.cross_entropy, cross_entropy, solution=True)


# %% tags=["solution"]
def focal(logits, label, gamma=2.0, alpha=None):
    log_p = logits.log_softmax(-1).gather(1, label[:, None])[:, 0]
    loss = (1 - log_p.exp()) ** gamma * -log_p
    return loss.mean() if alpha is None else (alpha[label] * loss).mean()


check(exercise.focal, focal, solution=True)


# %% tags=["solution"]
def huber(error, delta=1.0):
    size = error.abs()
    return torch.where(size <= delta, size**2 / 2, delta * (size - delta / 2))


check(exercise.huber, huber, solution=True)


# %% tags=["solution"]
def logit_adjust(logits, prior, tau=1.0):
    return logits - tau * prior.log()


check(exercise.logit_adjust, logit_adjust, solution=True)

# %% [markdown]
r"""
*Lessons:* [start page](00_start_here.ipynb) · previous: 11 · Graphs, memory and knowledge (planned), before it [09 · Attention from first principles](09_attention.ipynb) · next: 13 · Contrastive and metric learning (planned), then [17 · Optimisers](17_optimisers.ipynb)
"""
