# %% [markdown]
r"""
# 12 · Task losses and class imbalance

You will be able to say what each loss asks a model for, and what a class weight really does.

*65 minutes · needs no other lesson · under 60 s of CPU*

*Lessons:* [start page](00_start_here.ipynb) · previous: 11 · Graphs, memory and knowledge (planned), before it [09 · Attention from first principles](09_attention.ipynb) · next: 13 · Contrastive and metric learning (planned), then [17 · Optimisers](17_optimisers.ipynb)
"""

# %% [markdown]
r"""
## 12.1 The interview question

> **Which loss do you use for which task? Positives are 5 % of your data: what does a class weight do?**
>
> **不同任务用什么损失函数？正样本只占 5 %，给类别加权到底做了什么？**

**The 60-second answer, to be earned below.** "Cross-entropy for choosing a class: it is the negative log-probability of the label,
its gradient is $p - y$, bounded and alive while the answer is wrong. Squared error behind a sigmoid dies where the model is surely wrong. For
numbers: squared error gives the mean and listens to outliers, absolute error the median, Huber the compromise. Hinge asks for a margin and
then stops. *Softmax loss* is cross-entropy, *edge loss* is a mistranslation of margin loss, *polynomial loss* is PolyLoss. Under imbalance,
weighting by $w$, repeating rows $w$ times and moving the threshold to $1/(1+w)$ do the same to a calibrated model: they slide along
one ROC curve. So train plainly, calibrate, set the threshold from costs. With many classes, logit adjustment: add the log of the prior in
training, or subtract it afterwards. Focal loss down-weights *easy* examples, not frequent ones. In a network that fits its training set, weights fade.
I resample the training split only, and report recall per class."
"""

# %% [markdown]
r"""
**You will be able to**

1. derive the gradient of cross-entropy, squared error and hinge, and say where each dies;
2. write cross-entropy with ignored positions, smoothing and weights, safe at logits of ±10,000;
3. tell weighting, resampling, threshold, logit adjustment and focal loss apart by what they move;
4. choose a treatment for a long tail, and say what it costs on the head;
5. move a model to a new base rate without training it again.

| you have | read |
| --- | --- |
| an evening (65 min) | everything, exercises included |
| a workshop (45 min) | 12.1, 12.2, 12.5 on the projector, exercise 12.4, 12.6 and 12.7 with bets before each cell |
| 15 minutes before the interview | 12.1, the table in 12.3, 12.7, 12.8, 12.9, 12.10 |

**Try first.** A screening table has 5 % positives. The same linear model is trained four times:

- **A** multiplies the loss of every positive by 19,
- **B** shows every positive 19 times,
- **C** trains plainly, and calls "positive" above a probability of 0.05 instead of 0.5,
- **D** uses focal loss with $\gamma = 2$ and nothing else.

Who finds more positives than plain training? Whose *ranking* is best (area under the ROC curve: how often a positive scores above a
negative, if one of each is drawn)? Section 12.6 runs all four.
"""

# %%
import matplotlib.pyplot as plt
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
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
from course_lib.losses import classification, imbalance, margin, regression
from course_lib.training.config import TrainConfig
from course_lib.training.loop import fit

_ = torch.manual_seed(0)
# %% [markdown]
r"""
![Training: rows are sampled into a batch, a network gives logits, a loss gives one number, its gradient returns. Use: the same
network gives logits, a decision follows. Numbers mark four places to act: the rows, the logits in training, the loss, the logits in
use.](figures/12_where_to_balance.svg)

The picture shows where a loss stands and the four places where rare classes can be helped: (1) the rows, (2) the logits in training,
(3) the loss, (4) the decision. Only the last one costs no training.

## 12.2 By hand

Three logits, the third class is right. *Softmax loss*, *cross-entropy* and *negative log-likelihood* are said to be three losses. And what does the
number ask of the logits? Its slope is the probabilities, less 1 at the label.
"""

# %%
logits, label = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64), torch.tensor(2)
probability = logits.exp() / logits.exp().sum()
print("exp     ", [round(value, 3) for value in logits.exp().tolist()], " sum", round(logits.exp().sum().item(), 3))
print("softmax ", [round(value, 3) for value in probability.tolist()])
softmax_loss = -probability[label].log()
cross_entropy = -(F.one_hot(label, 3) * probability.log()).sum()
likelihood = F.nll_loss(logits.log_softmax(-1)[None], label[None])
print(f"softmax loss {softmax_loss:.4f}, cross-entropy {cross_entropy:.4f}, NLL of log-softmax {likelihood:.4f}")
claim(
    "C12.1",
    "Softmax loss, cross-entropy with a one-hot target and NLL of log-softmax are one number",
    max(abs(softmax_loss - cross_entropy), abs(softmax_loss - likelihood)).item() < 1e-12,
    measured=f"{softmax_loss:.4f} three times",
)
claim(
    "C12.23",
    "The gradient of cross-entropy at the logits is p - onehot(label)",
    torch.allclose(torch.func.grad(F.cross_entropy)(logits, label), probability - F.one_hot(label, 3)),
    measured=", ".join(f"{value:.3f}" for value in torch.func.grad(F.cross_entropy)(logits, label).tolist()),
)

# %% [markdown]
r"""
Now a number instead of a class. Five flats, one of them a palace. If a model may say only *one* price for all five, which price
does each loss choose? Try every price on a grid.
"""

# %%
prices = torch.tensor([1.0, 2.0, 4.0, 5.0, 100.0], dtype=torch.float64)  # in 100,000
guesses = torch.linspace(0, 110, 2201, dtype=torch.float64)
losses = {"MSE": regression.mse, "MAE": regression.mae, "Huber": lambda p, t: regression.huber(p, t, delta=3.0)}
best = {
    name: guesses[torch.stack([loss(guess.expand(5), prices) for guess in guesses]).argmin()].item()
    for name, loss in losses.items()
}
print({name: round(guess, 2) for name, guess in best.items()})
claim(
    "C12.8",
    "The best constant is the mean for MSE, the median for MAE; Huber too stays with the four flats",
    abs(best["MSE"] - prices.mean()) < 0.03 and abs(best["MAE"] - 4) < 0.03 and 3.5 < best["Huber"] < 4.0,
    measured=", ".join(f"{name} {guess:.2f}" for name, guess in best.items()),
)

# %% [markdown]
r"""
(Huber with $\delta = 3$: the four flats pull by their errors, the palace by 3 whatever it costs, and $1 + 2 + 4 + 5 + 3 = 4 \cdot 3.75$.) A loss is a question. Squared error asks for the mean, absolute error for the median,
cross-entropy for the probability.

## 12.3 In symbols

$z$ logits (B, K), log-probabilities up to a constant; $p = \mathrm{softmax}(z)$, $y$ the label, $p_y$ its probability, $e = \hat y - y$ the error of a
number, $s$ a score, $s_+$ and $s_-$ the scores of a matching and of a wrong pair, $\pi$ the share of each class in training (`prior`). What you set:
$\epsilon$ smoothing, or the coefficient of PolyLoss; $w_y$ and $\alpha_y$ one weight a class; $\gamma$ focus; $m$ margin; $\delta$ where an error becomes an outlier;
$\tau$ strength of the adjustment.

| loss | formula | gradient | chance → best | ask it for | in code |
| --- | --- | --- | --- | --- | --- |
| cross-entropy = softmax loss | $-\log p_y$ | $p - \mathrm{onehot}(y)$ | $\log K$ → 0 | a class, a token | `cross_entropy` |
| ... smoothed by $\epsilon$ | $(1-\epsilon)(-\log p_y) - \tfrac{\epsilon}{K}\sum_k \log p_k$ | $p - \mathrm{target}$ | $\log K$ → entropy of the target | less certainty | `smoothing=` |
| weighted | $w_y(-\log p_y)$ over $\sum w_y$ | times $w_y$ | $\log K$ → 0 | costly mistakes | `weight=` |
| focal | $\alpha_y(1-p_y)^\gamma(-\log p_y)$ | shrinks as $p_y \to 1$ | $(1-\tfrac1K)^\gamma\log K$ → 0 | many easy negatives | `focal` |
| PolyLoss ("polynomial") | $-\log p_y + \epsilon(1-p_y)$ | one Taylor coefficient more | $\log K + \epsilon(1-\tfrac1K)$ → 0 | a tuned variant | `poly1` |
| hinge | $\max(0, m - y s)$, $y = \pm1$ | $-y$ or exactly 0 | $m$ → 0 | a boundary | `hinge` |
| margin on pairs ("edge") | $\max(0, m - s_+ + s_-)$ | $\mp1$ or 0 | $m$ → 0 | a ranking | lesson 13 (planned) |
| MSE | $e^2$ | $2e$ | variance → 0 | the mean | `mse` |
| MAE | $\lvert e\rvert$ | $\mathrm{sign}(e)$ | distance to median → 0 | the median | `mae` |
| Huber | $e^2/2$, or $\delta(\lvert e\rvert-\delta/2)$ | $e$, at most $\delta$ | between → 0 | a mean that outliers cannot drag | `huber` |
| adversarial | $\min_G\max_D \mathbb{E}\log D(x) + \mathbb{E}\log(1 - D(G(u)))$ | through $D$ | $-\log 4$ is *equilibrium* | samples | lesson 15 (planned) |
| logit-adjusted | $-\log\mathrm{softmax}(z + \tau\log\pi)_y$ | $\mathrm{softmax}(z + \tau\log\pi) - \mathrm{onehot}(y)$ | entropy of $\pi$ → 0 | balanced recall | `logit_adjusted_cross_entropy` |

Three gradients to derive aloud. *Cross-entropy* is $-z_y + \log\sum_k e^{z_k}$; the first term gives $-1$ at the label, the second $e^{z_k} / \sum e^{z} = p_k$:
together $p - \mathrm{onehot}(y)$, which is small only where the answer is right. *Squared error behind a sigmoid*, $(p - 1)^2$ with $p = \sigma(z)$ and label 1: the
chain rule gives $2(p - 1)\,p(1 - p)$, and $p(1 - p)$ vanishes at both ends, the wrong one too. *Hinge*: $-y$ while $y s < m$, then exactly 0.

Segmentation adds Dice (overlap of masks, V-Net), speech without alignment uses CTC (sum over alignments): both are ways to turn *many*
decisions into one loss, and both start from per-position softmaxes.

## 12.4 Build it

**Cross-entropy** with everything a multimodal model needs: tokens, positions that are not predicted, weights, smoothing. First a loop.
"""

# %%
generator = torch.Generator().manual_seed(0)
logits = torch.randn(2, 4, 6, generator=generator, dtype=torch.float64, requires_grad=True)  # (B, T, V)
label = torch.tensor([[-100, -100, 3, 5], [-100, 0, 2, -100]])  # (B, T): image, prompt and padding are -100
weight, smoothing = torch.tensor([1.0, 2, 1, 4, 1, 1], dtype=torch.float64), 0.1

total = used = 0.0
for b, t in (label != -100).nonzero().tolist():
    log_p, y = logits[b, t] - logits[b, t].logsumexp(-1), label[b, t]
    total += -(1 - smoothing) * weight[y] * log_p[y] - smoothing / 6 * (weight * log_p).sum()
    used += weight[y]
looped = total / used

options = {"weight": weight, "ignore_index": -100}
ours = classification.cross_entropy(logits, label, smoothing=smoothing, **options)
torchs = F.cross_entropy(logits.mT, label, label_smoothing=smoothing, **options)  # torch wants (B, V, T)
slope, torchs_slope = (torch.autograd.grad(loss, logits)[0] for loss in (ours, torchs))
print("loop = library = torch:", torch.allclose(looped, ours, atol=1e-12), torch.allclose(ours, torchs, atol=1e-12))
print("gradients agree:       ", torch.allclose(slope, torchs_slope, atol=1e-12))
claim(
    "C12.19",
    "Loop, library and PyTorch give one loss and one gradient; where the label is -100 the gradient is exactly 0",
    torch.allclose(looped, ours, atol=1e-12)
    and torch.allclose(slope, torchs_slope, atol=1e-12)
    and (slope[label == -100] == 0).all(),
    measured=f"{slope[label == -100].abs().max().item()} at {(label == -100).sum().item()} of 8 positions",
)

# %% [markdown]
r"""
Two habits keep it alive. Take the *log-softmax* (it subtracts the largest logit first), never the log of a softmax. And know the floor: with
smoothing the best loss is the entropy of the smoothed target, so a loss that stops well above 0 may be perfect, and more certainty costs more.
"""

# %%
extreme, wrong = torch.tensor([[1e4, -1e4, 0.0]]), torch.tensor([1])
naive = -extreme.softmax(-1)[0, 1].log().item()
stable = classification.cross_entropy(extreme, wrong).item()
target = torch.tensor([0.91] + 9 * [0.01])
floor = -(target * target.log()).sum().item()
by_gap = {
    gap: classification.cross_entropy(
        gap * F.one_hot(torch.tensor([0]), 10).float(), torch.tensor([0]), smoothing=0.1
    ).item()
    for gap in (2.0, 4.5, 20.0)
}
print(f"log of a softmax at ±10,000: {naive}, cross-entropy: {stable:,.0f}")
print("smoothed by 0.1, logit gap:", {gap: round(loss, 2) for gap, loss in by_gap.items()})
claim(
    "C12.9",
    "At ±10,000 the log of a softmax is infinite and log-softmax exact; smoothing 0.1 over 10 classes has a floor of 0.50",
    naive == float("inf")
    and stable == 2e4
    and abs(floor - 0.5) < 0.01
    and floor <= min(by_gap.values()) < by_gap[20.0] - 1,
    measured=f"floor {floor:.3f}, at a gap of 20 {by_gap[20.0]:.2f}",
)

# %% [markdown]
r"""
### Exercise 12.1 · cross_entropy ●●○ 15 minutes

`(B, K), (B,)` → one number. Mean over positions whose label is not `ignore_index`; weighted mean if there are weights; smoothing
over all K classes; ±10,000 must work; all options may come together, and the result agrees with PyTorch's.
"""


# %% tags=["exercise"]
def cross_entropy(logits, label, ignore_index=-100, smoothing=0.0, weight=None):
    """Equal to F.cross_entropy(logits, label, weight, ignore_index=..., label_smoothing=...)."""
    raise NotImplementedError


check(exercise.cross_entropy, cross_entropy)
hint(exercise.cross_entropy)

# %% [markdown]
r"""
**Focal loss** multiplies each example's cross-entropy by $(1 - p_y)^\gamma$. It was made for one-stage detectors, where almost every
candidate box is easy background. How hard does it shrink?
"""

# %%
p, right = torch.tensor([0.1, 0.5, 0.9, 0.99]), torch.tensor([1])
pairs = torch.stack([(1 - p).log(), p.log()], dim=1)  # logits whose softmax gives label 1 the probability p
kept = [(classification.focal(z[None], right) / F.cross_entropy(z[None], right)).item() for z in pairs]
for probability, share in zip(p.tolist(), kept, strict=True):
    print(f"p = {probability:.2f} keeps {share:.4f} of its cross-entropy")
claim(
    "C12.5",
    "Focal loss with γ = 2 keeps 81 % of the loss at p = 0.1 and a ten-thousandth at p = 0.99, whatever the class",
    abs(kept[0] - 0.81) < 1e-4 and abs(kept[3] - 1e-4) < 1e-6,
    measured=f"{kept[0]:.4f} and {kept[3]:.6f}",
)

# %% [markdown]
r"""
Easy is not the same as frequent. And here is the catch, as a curve: suppose examples of one kind are positive with probability $\eta$.
Which prediction $q$ minimises the expected loss? **Predict**: does focal loss push rare positives ($\eta = 0.05$) over one half?
"""

# %%
eta = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)[:, None]  # true probability of class 1
q = torch.linspace(0.0005, 0.9995, 2000, dtype=torch.float64)  # predicted
answers = {
    gamma: q[(eta * (1 - q) ** gamma * -q.log() + (1 - eta) * q**gamma * -(1 - q).log()).argmin(dim=1)]
    for gamma in (0, 2, 5)
}
fig, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
for (gamma, answer), colour, style in zip(answers.items(), COLOURS, ("-", "--", "-."), strict=False):
    ax.plot(eta, answer, style, color=colour, label=f"γ = {gamma}" + (" (cross-entropy)" if gamma == 0 else ""))
ax.axhline(0.5, color="grey", linewidth=1, linestyle=":")
ax.set(xlabel="true probability of class 1", ylabel="prediction that minimises the loss")
ax.legend(fontsize=8)
show(
    fig, "Cross-entropy gives the diagonal; focal curves are flatter, and all curves cross one half at the same point."
)

rare = {gamma: answer[4].item() for gamma, answer in answers.items()}  # eta = 0.05
sides = all(
    (((answer > 0.5) == (eta[:, 0] > 0.5))[(eta[:, 0] - 0.5).abs() > 0.02]).all() for answer in answers.values()
)
claim(
    "C12.5b",
    "Focal loss decides like cross-entropy at one half and says 0.25 where the truth is 0.05: no recall, no calibration",
    sides and abs(rare[0] - 0.05) < 0.01 and abs(rare[2] - 0.25) < 0.02,
    measured=", ".join(f"γ={gamma} says {value:.3f}" for gamma, value in rare.items()),
)

# %% [markdown]
r"""
It does not: each curve crosses one half where the truth does. What focal loss changes is how sure the model sounds, from both ends towards the middle.

### Exercise 12.2 · focal ●●○ 10 minutes

`(B, K), (B,)` → mean of $\alpha_y (1 - p_y)^\gamma (-\log p_y)$. The factor belongs to the graph; $\alpha$ has one entry a class.
"""


# %% tags=["exercise"]
def focal(logits, label, gamma=2.0, alpha=None):
    """gamma=0 and alpha=None is cross-entropy."""
    raise NotImplementedError


check(exercise.focal, focal)
hint(exercise.focal)

# %% [markdown]
r"""
### Exercise 12.3 · huber ●○○ 5 minutes

One loss an error: a parabola up to `delta`, then the straight line that continues it without a kink.
"""


# %% tags=["exercise"]
def huber(error, delta=1.0):
    """Any shape -> the same shape."""
    raise NotImplementedError


check(exercise.huber, huber)
hint(exercise.huber)

# %% [markdown]
r"""
## 12.5 Explore: what does each loss feel?

Two classes, one number: the margin $z_y - z_{\mathrm{other}}$ of one example. Right of 0 the answer is right. The left panel shows what the example
costs, the right one how hard it pulls. **Predict first**: at $p_y = 0.01$, a confident mistake, which loss pulls least?
"""


# %%
def draw_losses(p=0.01, gamma=2.0, epsilon=1.0):
    """Loss and pull of one example against its margin; the dotted line stands at probability p."""
    z = torch.linspace(-6, 6, 241, dtype=torch.float64, requires_grad=True)
    probability, surprise = torch.sigmoid(z), F.softplus(-z)
    curves = {
        "cross-entropy": surprise,
        "hinge": torch.relu(1 - z),
        "squared, on sigmoid": (1 - probability) ** 2,
        f"focal, γ = {gamma:.1f}": (1 - probability) ** gamma * surprise,
        f"Poly-1, ε = {epsilon:.1f}": surprise + epsilon * (1 - probability),
    }
    fig, axes = plt.subplots(1, 2, figsize=(7.5, 3))
    fig.subplots_adjust(0.06, 0.17, 0.99, 0.9)  # a fixed layout redraws in half the time
    at = torch.logit(torch.tensor(p)).item()
    for (name, curve), colour, style in zip(curves.items(), COLOURS, ("-", "--", "-.", ":", (0, (5, 1))), strict=False):
        (slope,) = torch.autograd.grad(curve.sum(), z, retain_graph=True)
        axes[0].plot(z.detach(), curve.detach(), color=colour, linestyle=style, label=name)
        axes[1].plot(z.detach(), -slope, color=colour, linestyle=style)
    for ax, title in zip(axes, ("loss", "pull towards right = −slope"), strict=True):
        ax.axvline(at, color="grey", linewidth=1, linestyle=":")
        ax.set(xlabel=f"margin (dotted: p = {p:.2f})", title=title)
    axes[0].set_ylim(-0.2, 6)
    axes[0].legend(fontsize=7)
    return fig


# %%
explore(
    draw_losses,
    alt="Left: five losses fall with the margin. Right: cross-entropy, hinge, focal and Poly-1 pull on a confident mistake, the square hardly.",
    p=(0.003, 0.997),
    gamma=(0.0, 5.0),
    epsilon=(-1.0, 2.0),
)

# %% [markdown]
r"""
The square behind a sigmoid is the one that pulls least where it is most wrong. Slide `p` to 0.9: now focal loss has nearly let go while
cross-entropy still pulls, and hinge let go completely at margin 1. Set `epsilon` to -1: without its first
term Poly-1 lets go of nearly right examples too.

## 12.6 Evidence

**Squared error on a probability.** The label is 1, the logit stands at -12: wrong and sure. One hundred steps of gradient descent
with learning rate 1 on that single logit.
"""

# %%
FORMS = {
    "cross-entropy": lambda z: F.softplus(-z),
    "squared, on sigmoid": lambda z: (1 - torch.sigmoid(z)) ** 2,
}
slopes, ends = {}, {}
for name, loss in FORMS.items():
    z = torch.tensor(-12.0, dtype=torch.float64, requires_grad=True)
    for _ in range(100):
        (slope,) = torch.autograd.grad(loss(z), z)
        slopes.setdefault(name, slope.item())
        z = (z - slope).detach().requires_grad_()
    ends[name] = z.item()
    print(f"{name:20s} first slope {slopes[name]:.1e}   logit after 100 steps {ends[name]:7.3f}")
ratio = slopes["squared, on sigmoid"] / slopes["cross-entropy"]
claim(
    "C12.2",
    "At logit -12 squared error on a sigmoid has about a hundred-thousandth of cross-entropy's gradient; 100 steps hardly move it",
    0.5e-5 < ratio < 2e-5 and ends["cross-entropy"] > 3 and ends["squared, on sigmoid"] < -11.9,
    measured=f"ratio {ratio:.1e}, logits {ends['cross-entropy']:.2f} and {ends['squared, on sigmoid']:.3f}",
)

# %% [markdown]
r"""
The culprit is the pair, not the square: $p(1-p)$ from the sigmoid is the factor that vanishes. Squared error on *bare* logits against one-hot
targets has no such factor and can rival cross-entropy (Hui and Belkin).

**Outliers.** Two hundred points on a line of slope 3 through the origin. Ten of them, 5 %, were written down 60 too low, at the right end. Which
slope does each loss choose?
"""

# %%
generator = torch.Generator().manual_seed(0)
x = torch.randn(200, generator=generator, dtype=torch.float64).sort().values
y = 3 * x + 0.1 * torch.randn(200, generator=generator, dtype=torch.float64)
y[-10:] -= 60
candidates = torch.linspace(-8, 8, 1601, dtype=torch.float64)
losses = {"MSE": regression.mse, "MAE": regression.mae, "Huber": regression.huber}
fitted = {
    name: candidates[torch.stack([loss(slope * x, y) for slope in candidates]).argmin()].item()
    for name, loss in losses.items()
}
fig, ax = plt.subplots(figsize=(5.5, 2.9), layout="constrained")
ax.plot(x, y, ".", color="black", markersize=3, zorder=3)
for (name, slope), colour, style in zip(fitted.items(), COLOURS, ("-", "--", ":"), strict=False):
    ax.plot(x[[0, -1]], slope * x[[0, -1]], style, color=colour, linewidth=2, label=f"{name}: slope {slope:.2f}")
ax.set(xlabel="x", ylabel="y")
ax.legend(fontsize=8)
show(
    fig, "A line of black points with ten far below at the right; the MSE line falls, MAE and Huber follow the points."
)
claim(
    "C12.3",
    "With 5 % outliers on a line of slope 3, MSE even gets the sign wrong; MAE and Huber stay within 0.3",
    fitted["MSE"] < 0 and abs(fitted["MAE"] - 3) < 0.3 and abs(fitted["Huber"] - 3) < 0.3,
    measured=", ".join(f"{name} {slope:.2f}" for name, slope in fitted.items()),
)

# %% [markdown]
r"""
Both bound the pull of a large *error*, not that of a large *x*: one point far enough out along the axis turns any of the three.

**Imbalance on a real table.** Wisconsin breast cancer: 569 tumours, 357 benign and 212 malignant, measured in microscope images. We make malignant rare on
purpose: 190 benign and 10 malignant rows for training (5 %), all others for testing. The test rows have other shares, which does no harm here: recall, false
alarms and the ROC curve look at one class at a time. And only two of the 30 measurements, texture and smoothness, so that the classes overlap
and we can draw what happens.
"""

# %%
table = load_breast_cancer()
COLUMNS = [list(table.feature_names).index(name) for name in ("mean texture", "mean smoothness")]
measured, is_malignant = torch.tensor(table.data[:, COLUMNS]).float(), torch.tensor(1 - table.target)


def rare_tumours(seed, benign=190, malignant=10):
    """((features, label) for training, the same for testing): standardised by the training rows, malignant is 1."""
    generator = torch.Generator().manual_seed(seed)
    rows = [(is_malignant == k).nonzero()[:, 0] for k in (0, 1)]
    rows = [own[torch.randperm(len(own), generator=generator)] for own in rows]
    train = torch.cat([rows[0][:benign], rows[1][:malignant]])
    test = torch.cat([rows[0][benign:], rows[1][malignant:]])
    features = (measured - measured[train].mean(dim=0)) / measured[train].std(dim=0)
    return (features[train], is_malignant[train]), (features[test], is_malignant[test])


(_, label), (_, test_label) = rare_tumours(seed=0)
print("training", torch.bincount(label).tolist(), " test", torch.bincount(test_label).tolist(), " benign, malignant")
print(f"always answering benign is right on {(label == 0).double().mean():.0%} of the training rows")
print(f"odds of malignant 1 to 19, and log 19 = {torch.tensor(19.0).log():.2f}")

# %%
SEEDS = (0, 1, 2)
TIMES_19, DIVIDED_BY_19 = torch.tensor([1.0, 19.0]), torch.tensor([1.0, 1 / 19])
LOSSES = {
    "plain": classification.cross_entropy,
    "weight × 19": lambda z, y: classification.cross_entropy(z, y, weight=TIMES_19),
    "weight ÷ 19": lambda z, y: classification.cross_entropy(z, y, weight=DIVIDED_BY_19),
    "focal, γ = 2": classification.focal,
    "focal, α = .05, .95": lambda z, y: classification.focal(z, y, alpha=torch.tensor([0.05, 0.95])),
}


def train(model, data, loss, seed=0, **settings):
    """`fit` with defaults for tables: full batches, quiet."""
    config = {"steps": 300, "batch_size": len(data[1]), "learning_rate": 0.05, "weight_decay": 0.0} | settings
    fit(model, data, lambda model, batch: loss(model(batch[0]), batch[1]), TrainConfig(seed=seed, **config))
    return model.eval().requires_grad_(False)


def linear(data, loss=classification.cross_entropy):
    """Two features to two logits, from zero: the loss is convex, so every run ends at the same place."""
    model = nn.Linear(2, 2)
    nn.init.zeros_(model.weight), nn.init.zeros_(model.bias)
    return train(model, data, loss)


# %%
def compare(seed):
    """{treatment: log-odds of malignant on the test rows} and the test labels."""
    (x, y), (test_x, test_y) = rare_tumours(seed)
    models = {name: linear((x, y), loss) for name, loss in LOSSES.items()}
    for name, per_class in {"oversample × 19": 190, "undersample": 10}.items():
        rows = imbalance.balanced_rows(y, per_class, torch.Generator().manual_seed(seed))
        models[name] = linear((x[rows], y[rows]))
    odds = {name: (z := model(test_x))[:, 1] - z[:, 0] for name, model in models.items()}
    odds["threshold 0.05"] = odds["plain"] - torch.logit(torch.tensor(0.05))
    return models, odds, test_y


def summary(odds, label):
    """Recall and false-alarm rate at odds above 0, and the area under the ROC curve."""
    recall, alarms = ((odds > 0)[label == k].double().mean().item() for k in (1, 0))
    return recall, alarms, roc_auc_score(label, odds)


runs = [compare(seed) for seed in SEEDS]
report = {name: torch.tensor([summary(odds[name], label) for _, odds, label in runs]) for name in runs[0][1]}
measures = ("recall", "false alarms", "area under ROC")
shown = {name: {n: values[:, i].tolist() for n, values in report.items()} for i, name in enumerate(measures)}
fig, ax = dot_plot(shown, xlabel="one mark a seed")
ax.legend(fontsize=8, ncol=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
show(
    fig,
    "Plain and focal alone find hardly any; weight, repetition and threshold find most; the areas are alike.",
)

# %% [markdown]
r"""
The picture of the lesson. Left: where each treatment draws its line. Right: the same treatments as points on the *plain* model's ROC
curve, which takes all thresholds at once.
"""

# %%
models, odds, label = runs[0]
(x, y), _ = rare_tumours(seed=0)
STYLES = dict(zip(("plain", "weight × 19", "threshold 0.05", "focal, γ = 2"), ("-", "--", ":", "-."), strict=True))
fig, (plane, roc) = plt.subplots(1, 2, figsize=(7.5, 3.3), layout="constrained")
plane.scatter(*x[y == 0].T, s=6, color="grey", label="benign")
plane.scatter(*x[y == 1].T, s=26, color="black", marker="x", label="malignant")
across = torch.tensor([-2.5, 3.5])
for i, ((name, style), colour) in enumerate(zip(STYLES.items(), COLOURS, strict=False)):
    model = models["plain" if name == "threshold 0.05" else name]
    (a, b), c = model.weight[1] - model.weight[0], model.bias[1] - model.bias[0]
    c = c - torch.logit(torch.tensor(0.05)) if name == "threshold 0.05" else c
    plane.plot(across, -(a * across + c) / b, style, color=colour, label=name)
    recall, alarms, _ = summary(odds[name], label)
    roc.plot(alarms, recall, "os^D"[i], color=colour, markersize=11 - 2 * i, label=name)
roc.plot(*roc_curve(label, odds["plain"])[:2], color="grey", linewidth=1, zorder=0)
plane.set(xlabel="texture (standardised)", ylabel="smoothness (standardised)", ylim=(-3, 5), xlim=(-2.5, 3.5))
roc.set(xlabel="false alarms", ylabel="recall")
plane.legend(fontsize=6, loc="upper right")
roc.legend(fontsize=7)
show(
    fig,
    "Nearly parallel lines: plain and focal far out, weight and threshold through the cloud; four points along one ROC curve.",
)

# %%
recall = {name: values[:, 0] for name, values in report.items()}
areas = torch.stack([values[:, 2] for name, values in report.items() if name != "undersample"])
moved = ("weight × 19", "oversample × 19", "threshold 0.05", "focal, α = .05, .95")
claim(
    "C12.4",
    "With 5 % malignant, plain training finds under a quarter; weight, repetition, threshold or focal α over half (3 seeds)",
    recall["plain"].max() < 0.25 and min(recall[name].min() for name in moved) > 0.5,
    measured=f"plain at most {recall['plain'].max():.2f}, the others at least {min(recall[n].min() for n in moved):.2f}",
)
claim(
    "C12.4b",
    "The area under the ROC curve moves by under 0.07, undersampling aside: the line shifts, the ranking hardly (3 seeds)",
    (areas.amax(dim=0) - areas.amin(dim=0)).max() < 0.07,
    measured=f"largest difference {(areas.amax(dim=0) - areas.amin(dim=0)).max():.3f}, areas {areas.min():.2f} to {areas.max():.2f}",
)
claim(
    "C12.5c",
    "Focal loss alone changes the recall by less than 0.10; repetition and weight differ by less than 0.03 (3 seeds)",
    (recall["focal, γ = 2"] - recall["plain"]).abs().max() < 0.10
    and (recall["weight × 19"] - recall["oversample × 19"]).abs().max() < 0.03,
    measured=f"{(recall['focal, γ = 2'] - recall['plain']).abs().max():.3f} and "
    f"{(recall['weight × 19'] - recall['oversample × 19']).abs().max():.3f}",
)

# %% [markdown]
r"""
So in *Try first*, A and B are one model, C lands beside them on the same curve, D decides like plain training, and nobody wins the ranking by much.
(Undersampling gets there too, from only 20 rows. But its line depends on which 20, and other draws can spoil the ranking: hence "aside".) The reason is one line of Bayes: the weight multiplies the odds of the positive class by 19, which adds
$\log 19 = 2.94$ to the log-odds; a threshold of $1/(1+19) = 0.05$ asks for 2.94 less. A weight is a *decision about costs* baked into a model.
Until you take the 2.94 off again, its output is no probability.

### Exercise 12.4 · logit_adjust ●●○ 5 minutes

Now K classes. The network was trained plainly on classes as frequent as `prior`. Change its logits *after* training so that argmax serves
all classes equally.
"""


# %% tags=["exercise"]
def logit_adjust(logits, prior, tau=1.0):
    """(B, K), (K,) -> (B, K); tau=0 changes nothing."""
    raise NotImplementedError


check(exercise.logit_adjust, logit_adjust)
hint(exercise.logit_adjust)

# %% [markdown]
r"""
**A long tail of pictures.** Scenes with a single shape, noisy; the label is the shape. For training we keep 600 squares, and fewer of each next
shape, down to six diamonds. The test set has all five equally often.
"""

# %%
COUNTS = (600, 190, 60, 19, 6)  # a factor of about 3.2 from class to class


def shapes_of(count, seed):
    """Images (B, 3, 16, 16) of one noisy shape each, and which of SHAPES it is."""
    scenes = make_scenes(count, seed=seed, objects=(1, 1), noise=0.25)
    return scenes.images, torch.tensor([SHAPES.index(scene.objects[0].shape) for scene in scenes.scenes])


def long_tail(seed):
    images, label = shapes_of(3600, seed)
    rows = torch.cat([(label == k).nonzero()[:count, 0] for k, count in enumerate(COUNTS)])
    return images[rows], label[rows]


images, label = long_tail(seed=0)
fig, axes = plt.subplots(1, 5, figsize=(6.5, 1.5), layout="constrained")
for k, ax in enumerate(axes):
    ax.imshow(images[label == k][0].permute(1, 2, 0))
    ax.set_title(f"{SHAPES[k]}: {(label == k).sum()}", fontsize=9)
plt.setp(axes, xticks=[], yticks=[])
show(
    fig,
    "Five noisy pictures of a shape, titled with the number of training examples, from 600 squares to six diamonds.",
)
print("prior", [round(share, 3) for share in imbalance.class_prior(label, 5).tolist()])


# %%
def train_shapes(data, loss, seed):
    """A small convolutional network, from weights that the seed fixes."""
    torch.manual_seed(seed)
    convolutions = (
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
    )
    model = nn.Sequential(*convolutions, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(32, 5))
    settings = {"steps": 250, "batch_size": min(64, len(data[1])), "learning_rate": 8e-3, "schedule": "cosine"}
    return train(model, data, loss, seed, **settings)


def recall_by_shape(logits, label):
    return [(logits.argmax(-1) == label)[label == k].double().mean().item() for k in range(5)]


# %% [markdown]
r"""
Eight rows: a network trained in six ways, and the plain one treated twice afterwards: subtract the log prior from its logits, or keep its
features and train only a new head on balanced rows (*decoupling*, Kang et al.).
**Predict**: which one finds most diamonds, of which it saw six?
"""


# %%
def treat(seed):
    """{treatment: recall of each shape on a balanced test set}, and of the weighted network on its own training rows."""
    (x, y), (test_x, test_y) = long_tail(seed), shapes_of(1000, 1000 + seed)
    prior, generator = imbalance.class_prior(y, 5), torch.Generator().manual_seed(seed)
    many, few = (imbalance.balanced_rows(y, n, generator) for n in (max(COUNTS), min(COUNTS)))
    by_weight = lambda z, y: classification.cross_entropy(z, y, weight=imbalance.balanced_weights(prior))  # noqa: E731
    adjusted = lambda z, y: imbalance.logit_adjusted_cross_entropy(z, y, prior)  # noqa: E731
    plain, weighted = (train_shapes((x, y), loss, seed) for loss in (classification.cross_entropy, by_weight))
    logits = {
        "plain": plain(test_x),
        "focal, γ = 2": train_shapes((x, y), classification.focal, seed)(test_x),
        "undersample": train_shapes((x[few], y[few]), classification.cross_entropy, seed)(test_x),
        "oversample": train_shapes((x[many], y[many]), classification.cross_entropy, seed)(test_x),
        "weight": weighted(test_x),
        "adjusted loss": train_shapes((x, y), adjusted, seed)(test_x),
        "adjusted after": imbalance.adjust_logits(plain(test_x), prior),
    }
    features, test_features = plain[:-1](x[many]), plain[:-1](test_x)
    head = train(nn.Linear(32, 5), (features, y[many]), classification.cross_entropy, seed, learning_rate=1e-2)
    logits["new head"] = head(test_features)
    return {name: recall_by_shape(z, test_y) for name, z in logits.items()}, recall_by_shape(weighted(x), y)


by_seed, own_rows = zip(*(treat(seed) for seed in SEEDS), strict=True)
recalls = {name: torch.tensor([run[name] for run in by_seed]) for name in by_seed[0]}  # (seeds, K)

# %%
shown = {
    f"{SHAPES[k]} ({COUNTS[k]})": {name: values[:, k].tolist() for name, values in recalls.items()} for k in (0, 2, 4)
}
fig, ax = dot_plot(shown, xlabel="recall on a balanced test set, one mark a seed (dotted: chance)", chance=0.2)
show(
    fig,
    "Plain and focal find all squares and hardly a diamond; undersampling loses squares; adjusting the logits finds most diamonds.",
)

# %%
prior = imbalance.class_prior(long_tail(seed=0)[1], 5)
balanced = {name: values.mean(dim=1) for name, values in recalls.items()}  # balanced accuracy, (seeds,)
natural = {name: values @ prior for name, values in recalls.items()}  # accuracy at the training prior
tail, head = ({name: values[:, k] for name, values in recalls.items()} for k in (-1, 0))
lifted = ("oversample", "weight", "adjusted loss", "adjusted after", "new head")
means, overall = ({name: values.mean().item() for name, values in of.items()} for of in (tail, balanced))
gain = {name: (balanced[name] - balanced["plain"]).min().item() for name in lifted}
claim(
    "C12.10",
    "Plain finds under 10 % of the rarest shape; five treatments each gain over 5 points of balanced accuracy (3 seeds)",
    tail["plain"].max() < 0.10 and min(gain.values()) > 0.05,
    measured=f"plain tail at most {tail['plain'].max():.2f}; gains at least "
    + ", ".join(f"{name} {value:.2f}" for name, value in gain.items()),
)
claim(
    "C12.11",
    "On the rarest shape adjusting the logits, in the loss or after, beats weights and repetition (mean of 3 seeds)",
    min(means["adjusted loss"], means["adjusted after"]) > max(means["weight"], means["oversample"]) + 0.04,
    measured=", ".join(f"{name} {value:.2f}" for name, value in means.items()),
)
claim(
    "C12.12",
    "Undersampling throws the head away; both adjustments cost accuracy at the natural frequencies (mean of 3 seeds)",
    head["undersample"].max() < head["plain"].min() - 0.1
    and all((natural["plain"] - natural[f"adjusted {when}"]).mean() > 0.015 for when in ("loss", "after")),
    measured=f"squares {head['undersample'].mean():.2f} against {head['plain'].mean():.2f}; natural accuracy "
    + ", ".join(f"{name} {values.mean():.3f}" for name, values in natural.items()),
)
middle = {name: recalls[name][:, 2:4].mean(dim=1) for name in ("plain", "focal, γ = 2")}
claim(
    "C12.20",
    "Over all five shapes adjusting after training stays behind weights, and adjusting in the loss does not (mean of 3 seeds)",
    overall["adjusted after"] < overall["weight"] - 0.02 < overall["adjusted loss"],
    measured="balanced accuracy " + ", ".join(f"{name} {value:.2f}" for name, value in overall.items()),
)
claim(
    "C12.21",
    "Focal loss alone lifts the two middle shapes and leaves the rarest under 20 % (mean of 3 seeds)",
    (middle["focal, γ = 2"] - middle["plain"]).mean() > 0.05 and means["focal, γ = 2"] < 0.2,
    measured=f"middle {middle['focal, γ = 2'].mean():.2f} against {middle['plain'].mean():.2f}, rarest {means['focal, γ = 2']:.2f}",
)
claim(
    "C12.22",
    "The weighted network knows over 80 % of the diamonds it was trained on and under 60 % of new ones (3 seeds)",
    min(own[4] for own in own_rows) > 0.8 and tail["weight"].max() < 0.6,
    measured=f"own {min(own[4] for own in own_rows):.2f} or more, new {tail['weight'].max():.2f} or less",
)

# %% [markdown]
r"""
"Best" depends on what you count. The adjusted loss finds most diamonds. Undersampling finds many from 30 pictures, and pays with squares. Over all five
shapes the adjusted loss keeps up with weights, and adjusting *after* training does not: it shifts what plain training happened to learn, and Bayes' rule
is exact only for exact probabilities. At the natural frequencies both adjustments cost accuracy; weights and
repetition are not bound to, where plain training has neglected the tail. So say which measure you are paid for before you pick a treatment.

**Why do weights do less here than on the table?** A weight multiplies gradients. On the table the classes overlap, and some gradient is always left. The
weighted network knows its own six diamonds by heart (C12.22): they are right, and there is little left to multiply. Two clouds make it visible,
380 against 20 points, once overlapping and once apart.
How far does a weight of 19 move the boundary, as training goes on? **Predict** the two curves.
"""


# %%
def clouds(gap, seed):
    """380 points around (-gap, 0), 20 around (gap, 0), clamped at two deviations, so a gap above 2 separates them."""
    label = (torch.arange(400) < 20).long()
    x = torch.randn(400, 2, generator=torch.Generator().manual_seed(seed)).clamp(-2, 2)
    return torch.stack([x[:, 0] + gap * (2 * label - 1), x[:, 1]], dim=1), label


def boundary(model):
    """Where the boundary crosses the first axis."""
    weight, bias = model.weight[1] - model.weight[0], model.bias[1] - model.bias[0]
    return {"boundary": (-bias / weight[0]).item()}


def boundaries(data, loss):
    """The boundary after every hundred of 1,000 steps."""
    model = nn.Linear(2, 2)
    nn.init.zeros_(model.weight), nn.init.zeros_(model.bias)
    config = TrainConfig(steps=1000, batch_size=400, learning_rate=0.1, weight_decay=0.0, evaluate_every=100)
    history = fit(model, data, lambda model, batch: loss(model(batch[0]), batch[1]), config, boundary)
    return torch.tensor(history["boundary"])


# %%
WORLDS = {"overlapping": 1.0, "separable": 2.5}
shifts = {
    name: torch.stack([boundaries(d, LOSSES["plain"]) - boundaries(d, LOSSES["weight × 19"]) for d in data])
    for name, data in {name: [clouds(gap, seed) for seed in SEEDS] for name, gap in WORLDS.items()}.items()
}
fig, ax = plt.subplots(figsize=(5.5, 2.8), layout="constrained")
for (name, values), colour, marker in zip(shifts.items(), COLOURS, "os", strict=False):
    ax.plot(range(100, 1001, 100), values.T, color=colour, marker=marker, markersize=4, label=name)
ax.set(xlabel="optimiser step", ylabel="boundary moved by the weight", ylim=(0, None))
handles, names = ax.get_legend_handles_labels()
ax.legend(handles[::3], names[::3], fontsize=8)
show(
    fig,
    "Overlapping clouds: flat lines, the weight keeps the boundary moved. Separable clouds: the effect falls with every step.",
)
left = {name: values[:, -1] / values[:, 0] for name, values in shifts.items()}
claim(
    "C12.13",
    "On separable data over a third of a weight's effect is gone between step 100 and 1,000; overlapping, under a tenth (3 seeds)",
    left["separable"].max() < 0.67 and (left["overlapping"] - 1).abs().max() < 0.1,
    measured=f"left over: separable {left['separable'].max():.2f} at most, overlapping {left['overlapping'].min():.2f} at least",
)

# %% [markdown]
r"""
What a weight buys is a constant number of logits. On overlapping data the logits stop growing, and a constant stays visible. On separable data every
example is right by some margin $M$, and pulls with about $e^{-M}$; at weight 19 the two sides pull alike once the rare side's margin is
$\log 19 = 2.94$ larger. No more than that, while both margins grow for ever, so it is ever fewer units of *x* (Byrd and Lipton saw it in deep
networks). An additive adjustment fades too once everything is fitted (Kini et al.); early stopping, weight decay
or a margin that grows with the logits keep it alive. Which is why "weight, resample and threshold are the same" is true of the table, and only half
true of a network.

**The base rate moves.** A moderation model was trained at 5 % positives. Next month nobody labels anything, and 40 % may be positive. If only the
shares changed (*label shift*) and the outputs are calibrated, Bayes' rule moves the logits, and expectation-maximisation (EM) finds the new shares without labels.
"""


# %%
def posts(share, seed, count=4000):
    """Five features; class 1 is shifted by 1.5 along the first."""
    generator = torch.Generator().manual_seed(seed)
    label = (torch.rand(count, generator=generator) < share).long()
    x = torch.randn(count, 5, generator=generator)
    return torch.cat([x[:, :1] + 1.5 * label[:, None], x[:, 1:]], dim=1), label


shifted = []
for seed in SEEDS:
    model = train(nn.Linear(5, 2), trained_on := posts(0.05, seed), classification.cross_entropy)
    old = imbalance.class_prior(trained_on[1], 2)
    for share in (0.01, 0.05, 0.2, 0.4):
        x, y = posts(share, 100 + seed)
        found = imbalance.estimate_prior(model(x), old, steps=200)
        moved = imbalance.move_prior(model(x), old, found)
        right = [(z.argmax(-1) == y).double().mean().item() for z in (model(x), moved)]
        shifted.append(
            (share, y.double().mean().item(), model(x).softmax(-1)[:, 1].mean().item(), found[1].item(), *right)
        )
shifted = torch.tensor(shifted)
late = shifted[shifted[:, 0] == 0.4]
found = [shifted[shifted[:, 0] == share].mean(dim=0)[[1, 3]].tolist() for share in (0.01, 0.05, 0.2, 0.4)]
claim(
    "C12.14",
    "From 5 % to 40 % positives: the mean output sees under 20 %, EM is within 0.12, and moving the logits gains over 6 points (3 seeds)",
    late[:, 2].max() < 0.2 and (late[:, 3] - late[:, 1]).abs().max() < 0.12 and (late[:, 5] - late[:, 4]).min() > 0.06,
    measured=f"mean output {late[:, 2].max():.2f} at most, EM off by {(late[:, 3] - late[:, 1]).abs().max():.3f} at most, "
    f"gain {(late[:, 5] - late[:, 4]).min():.3f} at least; true and found "
    + ", ".join(f"{true:.2f} {share:.2f}" for true, share in found),
)

# %% [markdown]
r"""
## 12.7 Wrong answers people give

Bet before you run: is the sentence true?

> **"Softmax loss and cross-entropy are two losses: softmax first, then cross-entropy on top."**

Two names, and 12.2 showed one number. Whoever takes the sentence literally applies softmax *twice*, because `F.cross_entropy` already contains it. The most
certain "logits" are now (1, 0, 0), which puts a floor under the loss; and the gradient passes a softmax on its way, which lets little through where
the model is sure, even if it is wrong.
"""

# %%
sure = torch.tensor([[100.0, 0.0, 0.0]])
twice = F.cross_entropy(sure.softmax(-1), torch.tensor([0])).item()
wrong = torch.tensor([[12.0, 0.0, 0.0]], requires_grad=True)  # the label is 1
(pull,) = torch.autograd.grad(F.cross_entropy(wrong, torch.tensor([1])), wrong)
(pull_twice,) = torch.autograd.grad(F.cross_entropy(wrong.softmax(-1), torch.tensor([1])), wrong)
claim(
    "C12.1b",
    "Softmax twice cannot go below log(1 + 2/e) for three classes, and a sure mistake has hardly a gradient",
    abs(twice - torch.log(1 + 2 / torch.tensor(1.0).exp()).item()) < 1e-6
    and pull_twice.abs().max() < 1e-4 < 0.9 < pull.abs().max(),
    measured=f"floor {twice:.3f}, once {F.cross_entropy(sure, torch.tensor([0])).item():.3f}; "
    f"gradient {pull_twice.abs().max():.0e}, once {pull.abs().max():.1f}",
)

# %% [markdown]
r"""
> **"Focal and weighted loss lower the weight of the minority class so that the model pays attention to it."**

It sounds right because something *is* lowered: focal loss shrinks *easy* examples, and these are mostly of the majority. A class weight has to *raise*
the minority. (RetinaNet's own $\alpha$ is 0.25 on objects, the rare class, against 0.75 on background. That corrects the focal factor, which had already
taken the background away.)
"""

# %%
claim(
    "C12.4c",
    "Lowering the minority's weight, as some notes say weighted loss does, finds nobody (3 seeds)",
    (recall["weight ÷ 19"] == 0).all(),
    measured=f"recall {recall['weight ÷ 19'].max():.2f} with ÷ 19, {recall['weight × 19'].min():.2f} or more with × 19",
)
ratios = []
for seed, (models, _, _) in zip(SEEDS, runs, strict=True):
    (x, y), _ = rare_tumours(seed)
    factor = (1 - models["plain"](x).softmax(-1).gather(1, y[:, None])[:, 0]) ** 2
    ratios.append((factor[y == 1].mean() / factor[y == 0].mean()).item())
claim(
    "C12.5d",
    "Under the plain model the focal factor (γ = 2) is over 20 times larger on malignant rows than on benign ones (3 seeds)",
    min(ratios) > 20,
    measured=f"{min(ratios):.0f} times or more",
)

# %% [markdown]
r"""
So the focal factor favours the minority here even more than a weight of 19, and still the recall stayed (C12.5c). The factor belongs to the *example* and goes
as soon as that example gets easier: with it the model is less sure, on either side of one half, and stays on its side.

> **"Classes are imbalanced? Oversample the minority, then split into training and test."**

Sounds like clean data preparation. But a row and its copy then stand on both sides. Labels that are pure chance, one in ten positive, and one nearest
neighbour:
"""


# %%
def minority_recall(seed, oversample_first):
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(400, 20, generator=generator), (torch.rand(400, generator=generator) < 0.1).long()
    rows = imbalance.balanced_rows(y, (y == 0).sum().item(), generator) if oversample_first else torch.arange(400)
    half = len(rows) // 2
    train_rows, test_rows = rows[:half], rows[half:]
    if not oversample_first:
        more = imbalance.balanced_rows(y[train_rows], (y[train_rows] == 0).sum().item(), generator)
        train_rows = train_rows[more]
    said = torch.tensor(KNeighborsClassifier(1).fit(x[train_rows], y[train_rows]).predict(x[test_rows]))
    return said[y[test_rows] == 1].double().mean().item()


first, after = ([minority_recall(seed, order) for seed in SEEDS] for order in (True, False))
claim(
    "C12.6",
    "Oversampling before the split finds over 90 % of positives that are pure noise; after it, under a third (3 seeds)",
    min(first) > 0.9 and max(after) < 0.33,
    measured=f"before {min(first):.2f} or more, after {max(after):.2f} or less",
)

# %% [markdown]
r"""
> **"Split the data by class and train a model for each."**

Sounds like specialisation. A training set of one class teaches a classifier one thing: always say it. (Useful relatives: one *binary* model per class against
the rest; one *density* per class, compared by Bayes' rule, as in naive Bayes; a shared body with a rebalanced head, as in 12.6.)

> **"Hinge loss gives sparse, interpretable models."**

Something is sparse: the list of *examples* that matter, the support vectors. The weights are not; that is what an L1 penalty does.
"""

# %%
alarms, supports, zeros, zeros_l1 = [], [], [], []
for seed in SEEDS:
    (x, y), (test_x, test_y) = rare_tumours(seed)
    said = linear((x[y == 1], y[y == 1]))(test_x).argmax(-1)  # trained on the malignant rows alone
    alarms.append(said[test_y == 0].double().mean().item())
claim(
    "C12.15",
    "A model trained on the malignant rows alone calls most benign ones malignant too (3 seeds)",
    min(alarms) > 0.6,
    measured=f"{min(alarms):.0%} or more",
)
for seed in SEEDS:
    x = torch.randn(400, 50, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    y = (x[:, 0] + 0.5 * x[:, 1] + 0.3 * x[:, 2] > 0).long()
    svm, l1 = SVC(kernel="linear", C=1).fit(x, y), LogisticRegression(l1_ratio=1, solver="liblinear", C=0.1).fit(x, y)
    supports.append(len(svm.support_))
    zeros.append((abs(svm.coef_) < 1e-9).sum())
    zeros_l1.append((l1.coef_ == 0).sum())
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
"""

# %%
p = torch.tensor([0.3, 0.6, 0.95], dtype=torch.float64)
series = sum((1 - p) ** j / j for j in range(1, 400))
gap = (series + p.log()).abs().max().item()
claim(
    "C12.7b", "The powers of 1 - p, each over its exponent, sum to cross-entropy", gap < 1e-9, measured=f"gap {gap:.0e}"
)
matching = wrong = torch.zeros(8)  # every image and every text at the same point: all scores are equal
collapsed = [margin.hinge(matching - wrong, torch.ones(8, dtype=torch.int64), margin=m).item() for m in (0.0, 0.2)]
claim(
    "C12.16",
    "A collapsed embedding has no loss at margin 0 and the full margin as its loss at 0.2",
    collapsed[0] == 0 and abs(collapsed[1] - 0.2) < 1e-6,
    measured=f"{collapsed[0]:.1f} and {collapsed[1]:.1f}",
)

# %% [markdown]
r"""
> **"Adversarial loss measures the distance between generated and real data."**

It is a game: a discriminator is trained to tell them apart, the generator to fool it. At the *best* discriminator the value is a Jensen–Shannon divergence
(times 2, minus $\log 4$). And that stops saying *how far* exactly when you need it: if the two do not overlap it is $\log 2$, near or far. So a
GAN's loss curve does not say how good the samples are. Wasserstein GANs change the game so that the critic does estimate a distance: lesson 15 (planned). Today's
image generators mostly regress noise or a velocity, with MSE.
"""

# %%
grid = torch.linspace(0, 6, 6001, dtype=torch.float64)
blocks = [((grid >= start) & (grid < start + 0.05)).double() for start in (0.0, 0.1, 1.0, 5.0)]
real, *fakes = [block / block.sum() for block in blocks]
divergences = [jensenshannon(real, fake) ** 2 for fake in fakes]  # scipy returns the square root
distances = [wasserstein_distance(grid, grid, real, fake) for fake in fakes]
for divergence, distance in zip(divergences, distances, strict=True):
    print(f"Jensen-Shannon {divergence:.3f}, Wasserstein {distance:.2f}")
claim(
    "C12.17",
    "Without overlap the Jensen-Shannon divergence is log 2 at every shift; the Wasserstein distance is the shift",
    max(abs(d - 0.6931) for d in divergences) < 1e-3
    and all(abs(d - s) < 0.01 for d, s in zip(distances, (0.1, 1, 5), strict=True)),
    measured=f"{divergences[0]:.3f} three times; {', '.join(f'{d:.2f}' for d in distances)}",
)

# %% [markdown]
r"""
## 12.8 At scale

**Logits can be the largest tensor of a training step.** They are (B, T, V). Eight sequences of 4,096 tokens; vocabularies of Vicuna (LLaVA-1.5) and Llama 3. In
fp32, as log-softmax wants it, with the gradient beside it. A vision-language example asks for few of its positions: here 576 of
700 are image tokens and 40 are answer.
"""

# %%
B, T = 8, 4096
for name, V in {"Vicuna, 32,000": 32_000, "Llama 3, 128,256": 128_256}.items():
    everywhere, answers = (2 * 4 * positions * V / 2**30 for positions in (B * T, B * T * 40 // 700))
    print(f"{name:18s} logits and gradient {everywhere:6.1f} GiB, answer positions only {answers:5.1f} GiB")

token_losses, used = torch.tensor([[2.0] * 30 + [0.0] * 10, [0.5] * 3 + [0.0] * 37]), torch.tensor([30, 3])
of_tokens = (token_losses.sum() / used.sum()).item()
of_means = (token_losses.sum(dim=1) / used).mean().item()
parts = (used / used.sum() * (token_losses.sum(dim=1) / used)).sum().item()
claim(
    "C12.18",
    "The mean of micro-batch means is not the mean over tokens; weighting each by its tokens makes it so",
    abs(of_means - of_tokens) > 0.5 and abs(parts - of_tokens) < 1e-6,
    measured=f"over tokens {of_tokens:.3f}, mean of two means {of_means:.3f}, weighted {parts:.3f}",
)

# %% [markdown]
r"""
- **Memory**: select the answer positions before the output layer, or never build the logits (Cut Cross-Entropy computes the loss in blocks).
- **Mixed precision**: matrix products in bf16, the softmax in fp32; PyTorch's autocast does that for cross-entropy.
- **Accumulation and several GPUs**: `mean` is over *this* micro-batch's valid tokens. With different numbers of them, divide the sum of losses by the global
  count. `fit(..., weigh=...)` does; transformers' Trainer learned it in October 2024.
- **Class weights** divide by the sum of weights in the batch: the same trap, one level up. With rare classes and small batches a fixed
  divisor has less noise.

## 12.9 Interview

Cover the answers, say yours aloud, compare. Each key point names the claim above that proves it, or a paper.
"""

# %%
show_questions("12")

# %% [markdown]
r"""
## 12.10 Card

- **Formula**: cross-entropy $-\log p_y$, gradient $p - y$ · focal times $(1-p_y)^\gamma$ · Huber $e^2/2$ then $\delta(\lvert e\rvert - \delta/2)$ · hinge
  $\max(0, m - ys)$ · logit adjustment $z - \tau\log\pi$.
- **Shapes**: logits (B, K) or (B, T, V), labels without the last axis, -100 where nothing is predicted; mean over what is left.
- **Numbers**: chance $\log K$; a weight $w$ is $\log w$ logits is a threshold of $1/(1+w)$; 5 % positives balance at weight 19.
- **Use** plain cross-entropy and a threshold first; logit adjustment in the loss for long tails (after training only with calibrated logits); weights when
  mistakes have known costs; focal for masses of easy negatives; Huber for dirty numbers.
- **Do not** put softmax before cross-entropy, square a sigmoid, resample before the split, read weighted or focal outputs as
  probabilities, or average micro-batch means.
"""

# %% [markdown]
r"""
## 12.11 Sources

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

## 12.12 Worked solutions
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
