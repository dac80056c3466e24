# %% [markdown]
r"""
# 07 · Fusing modalities

You will be able to say which fusion operator can express what, and show the cell that proves it.

*Two hours with the exercises · needs no other lesson · under 40 s of CPU*

*Lessons:* [start page](00_start_here.ipynb) · previous: 06 · Shared spaces and cross-modal retrieval (planned), before it [02 · Data pipelines](02_data_pipelines.ipynb) · next: 08 · Dynamic fusion and missing modalities (planned), then [09 · Attention from first principles](09_attention.ipynb)
"""

# %% [markdown]
r"""
## 7.1 The interview question

> **Which ways of fusing two modalities do you know, and when does each of them fail?**
>
> **你知道哪些融合两种模态的方法？每种方法在什么情况下会失效？**

**The 60-second answer, to be earned below.** "Modalities can meet in three places. Late: each predicts alone and the predictions
are combined. Easy to own and to run with a modality missing, but it only adds evidence, so it cannot learn a label that depends
on the combination, like XOR. Middle: features meet inside the network, as two vectors once or by cross-attention in several
layers, as in Flamingo. Sum and mean need a common space and lose information; concatenation loses nothing, but with only a linear
layer on top it is still a sum of two linear maps. An interaction needs a product, a gate or a hidden layer. Tensor fusion has all
products, $(d_1+1)(d_2+1)$ features, and a low rank brings that down. Early: tokens of both enter one Transformer; Chameleon does
that from the first layer, LLaVA after an image encoder. I pick by measuring: single modalities, additive fusion, joint model. The
cheapest that reaches the best of them is the one to ship."

**You will be able to**

1. write each operator with its shapes, and name what it loses;
2. prove that adding evidence cannot learn XOR, and find the operators that can;
3. count the features of a tensor fusion and cut them with a low rank;
4. tell the average of probabilities from the average of logits;
5. choose an operator from five accuracies.

| you have | read |
| --- | --- |
| an evening or two (120 min) | everything, exercises included |
| a workshop (45 min) | 7.1, 7.2, 7.5 on the projector, exercise 07.1, 7.6 and 7.7 with bets before each cell |
| 15 minutes before the interview | 7.1, the table in 7.3, 7.7, 7.11, and three questions of 7.10 |

**Try first.** A label is 1 exactly if *one* of two things is true: the image shows a dog, or the caption says "dog" (so:
the caption is wrong). Image alone gets 50 %, caption alone gets 50 %. Four colleagues each build a model:

- **A** averages the two unimodal probabilities,
- **B** adds the logits of two networks and trains both networks together,
- **C** concatenates the two feature vectors and trains one linear layer on top,
- **D** multiplies two linear projections and trains a linear layer on top.

Who beats 50 %? Write down a guess for each. Section 7.6 runs all four.
"""

# %%
import matplotlib.pyplot as plt
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional as F

from course_lib.data.digits import load_seen_and_heard
from course_lib.data.symbols import RULES, make_matching_pairs, make_symbol_pairs
from course_lib.exercises import lesson_07 as exercise
from course_lib.interview.show import show_questions
from course_lib.lesson.claims import claim
from course_lib.lesson.exercises import check, hint
from course_lib.lesson.explore import explore
from course_lib.lesson.figures import bar_plot, dot_plot, show
from course_lib.metrics.classification import accuracy
from course_lib.metrics.regression import linear_recovery
from course_lib.models import fusion, fusion_tokens, late_fusion, tensor_fusion
from course_lib.models.heads import AddLogits, FuseThenHead, mlp
from course_lib.training.config import TrainConfig
from course_lib.training.device import pick_device
from course_lib.training.loop import fit

_ = torch.manual_seed(0)
# %% [markdown]
r"""
![Three columns. Early: patches and words become one token sequence for one Transformer. Middle: two encoders give two
vectors that are fused once before a head. Late: two models predict separately and their predictions are
averaged.](figures/07_where_to_fuse.svg)

The picture shows where two modalities can meet: as tokens, as features, or as decisions. Further right, the parts are
easier to train, replace and debug apart, and can say less about how the modalities belong together. Fusing features is also
called *feature level*, fusing predictions *decision level* or *parallel*; a *cascade* is serial: one stage's decision is the next
stage's input, as when a detector feeds a reasoner.

Beware of the words. Here *early* means one token sequence. LLaVA first encodes the image with CLIP and then concatenates tokens;
papers on native multimodal models call that *late* fusion and keep *early* for models without an image encoder. Say which
meeting point you mean.

## 7.2 By hand

One example, two features per modality. Every operator fits on a line. The last column swaps image and text.
"""

# %%
image, text = torch.tensor([[2.0, -1.0]]), torch.tensor([[4.0, 3.0]])  # (B, D) = (1, 2)
for name in ("sum", "mean", "product", "max", "concat", "outer"):
    operator = getattr(fusion, f"fuse_{name}")
    fused, swapped = operator(image, text), operator(text, image)
    note = "same when swapped" if torch.equal(fused, swapped) else "differs when swapped"
    print(f"{name:8s} {str(tuple(fused.shape)):7s} {str(fused.tolist()[0]):24s} {note}")

# %% [markdown]
r"""
Four of the six cannot tell *who said what*. How much of the image is still there? Draw 2,000 pairs of independent 16-wide
vectors, fuse them, and ask the best *linear* map to bring the image back: $R^2 = 1$ means all of it, 0 means none. (The map is
scored where it was fitted, so 16 unrelated features explain about 16 / 2,000 by luck.)
"""

# %%
images, texts = torch.randn(2, 2000, 16, generator=torch.Generator().manual_seed(0))
left = {
    name: linear_recovery(getattr(fusion, f"fuse_{name}")(images, texts), images)
    for name in ("concat", "sum", "mean", "max", "product")
}
fig, ax = bar_plot(left, xlabel="R² of the image, recovered linearly from the fused vector")
show(fig, "Concatenation keeps all of the image, sum and mean half, max a third, the product nothing.")

claim(
    "C07.1",
    "Linearly recoverable: all of the image from a concatenation, half from sum or mean, a third from max, none from a product",
    left["concat"] > 0.999
    and all(0.45 < left[name] < 0.55 for name in ("sum", "mean"))
    and 0.31 < left["max"] < 0.42
    and left["product"] < 0.03,
    measured=", ".join(f"{name} {value:.3f}" for name, value in left.items()),
)

# %% [markdown]
r"""
(For max theory says $\tfrac14 / (1 - 1/\pi)$: the covariance of $x$ with $\max(x, y)$ is $\tfrac12$, the variance of the maximum
$1 - 1/\pi$.) Losing half is not being useless: a sum works when the *encoders learn* to write into different directions of one
space. But what a sum of unrelated features has lost, no later layer gets back.

### Exercise 07.1 · fuse ●○○ 10 minutes

Write the six operators behind one function, shapes `(B, D_image), (B, D_text) -> (B, D_fused)`. Raise `ValueError` where an
operator cannot apply: PyTorch would rather broadcast in silence than tell you. Stuck? `hint(exercise.fuse, level=1)` nudges.
"""


# %% tags=["exercise"]
def fuse(image, text, operator):
    """operator: "sum", "mean", "product", "max", "concat" or "outer"."""
    raise NotImplementedError


check(exercise.fuse, fuse)
hint(exercise.fuse)

# %% [markdown]
r"""
## 7.3 In symbols

$x$ is the image vector (B, D_image), $y$ the text vector (B, D_text), $\odot$ multiplies feature by feature.

| operator | formula | in code | output width | parameters |
| --- | --- | --- | --- | --- |
| sum, mean | $x + y$, $\tfrac12(x+y)$ | `fuse_sum`, `fuse_mean` | D, widths equal | 0 |
| weighted sum | $w x + (1 - w) y$ | `fuse_weighted_sum` | D, widths equal | 1 |
| max | $\max(x, y)$ | `fuse_max` | D, widths equal | 0 |
| product | $x \odot y$ | `fuse_product` | D, widths equal | 0 |
| concatenation | $[x; y]$ | `fuse_concat` | D_image + D_text | 0 |
| outer (matrix) product | $x y^\top$ | `fuse_outer` | D_image · D_text | 0 |
| gate | $g \odot \tilde x + (1-g) \odot \tilde y$, $g=\sigma(W[x;y])$ | `GatedFusion` | D | about 2 (D_image + D_text) D |
| FiLM | $\gamma(y) \odot x + \beta(y)$ | `FilmFusion` | D_image | about 2 D_text D_image |
| tensor | $W\,([1;x] \otimes [1;y])$ | `TensorFusion` | K | (D_image+1)(D_text+1) K |
| low rank | $\sum_r (U_r[1;x]) \odot (V_r[1;y])$ | `LowRankTensorFusion` | K | R K (D_image + D_text + 2) |
| cross-attention | $\mathrm{softmax}(QK^\top/\sqrt{d})\,V$ | `CrossAttentionFusion` | one vector a query | 2 D (D + D_image), D = D_text |
| late, probabilities | $\sum_m w_m p_m$ | `fuse_probabilities` | K | 0 |
| late, logits | $\mathrm{softmax}(\sum_m w_m \log p_m)$ | `fuse_logits` | K | 0 |

*Feature extraction* makes $x$ from pixels and $y$ from words, one modality at a time. *Fusion* is everything in this table:
it begins where a number first depends on both.
"""

# %% [markdown]
r"""
## 7.4 Build it

**A gate**, as a loop: every feature of every example decides how much it trusts the image.
"""

# %%
gated = fusion.GatedFusion(image_width=3, text_width=5, width=4)
x, y = torch.randn(2, 3), torch.randn(2, 5)

looped = torch.zeros(2, 4)
for b in range(2):
    for d in range(4):
        g = torch.sigmoid(gated.gate.weight[d] @ torch.cat([x[b], y[b]]) + gated.gate.bias[d])
        from_image = torch.tanh(gated.image.weight[d] @ x[b] + gated.image.bias[d])
        from_text = torch.tanh(gated.text.weight[d] @ y[b] + gated.text.bias[d])
        looped[b, d] = g * from_image + (1 - g) * from_text

print("loop = module:", torch.allclose(looped, gated(x, y).fused, atol=1e-6))

# %% [markdown]
r"""
**A bilinear form**: one matrix per output says which *pairs* of features count. Loop, then one `einsum`, then PyTorch's own
layer: the same numbers.
"""

# %%
bilinear = nn.Bilinear(3, 5, 2, bias=False)
looped = torch.zeros(2, 2)
for k in range(2):
    for i in range(3):
        for j in range(5):
            looped[:, k] += bilinear.weight[k, i, j] * x[:, i] * y[:, j]

vectorised = torch.einsum("bi,kij,bj->bk", x, bilinear.weight, y)
print("loop = einsum:     ", torch.allclose(looped, vectorised, atol=1e-6))
print("einsum = nn.Bilinear:", torch.allclose(vectorised, bilinear(x, y), atol=1e-6))

# %% [markdown]
r"""
**Tensor fusion** puts a 1 in front of each vector first. Then the outer product holds the constant, each modality alone, and
every pair: nothing is lost, everything is multiplied, and the size is a product.

**Low rank.** If the weight tensor is a sum of R outer products, the big tensor never has to exist: project each modality,
multiply, sum over R.
"""

# %%
tensor = tensor_fusion.TensorFusion([3, 5], out=2)
features = tensor.features(x, y).unflatten(1, (4, 6))  # (B, 1 + 3, 1 + 5)
print("row 0 is [1; text]:    ", torch.equal(features[0, 0, 1:], y[0]))
print("column 0 is [1; image]:", torch.equal(features[0, 1:, 0], x[0]))
print("features:", features[0].numel(), "= (3 + 1)(5 + 1)")

low = tensor_fusion.LowRankTensorFusion([3, 5], rank=2, out=2)
explicit = tensor.features(x, y) @ low.full_weight().T
print("low rank = the tensor it stands for:", torch.allclose(low(x, y), explicit, atol=1e-6))

# %% [markdown]
r"""
### Exercise 07.2 · low_rank ●●● 15 minutes

Shapes: image `(B, D_image)`, text `(B, D_text)`, factors `(R, K, D_image + 1)` and `(R, K, D_text + 1)`, result `(B, K)`.
Column 0 of the factors belongs to the 1.
"""


# %% tags=["exercise"]
def low_rank(image, text, image_factors, text_factors):
    """Tensor fusion of rank R without ever building the tensor."""
    raise NotImplementedError


check(exercise.low_rank, low_rank)
hint(exercise.low_rank)

# %% [markdown]
r"""
**Late fusion has two meanings.** The image says 0.9 / 0.1, the text says 0.4 / 0.6, both count equally.
"""

# %%
p_image, p_text = torch.tensor([[0.9, 0.1]]), torch.tensor([[0.4, 0.6]])
mixture = late_fusion.fuse_probabilities(p_image, p_text)
pooled = late_fusion.fuse_logits(p_image.log(), p_text.log()).exp()
experts = late_fusion.fuse_logits(p_image.log(), p_text.log(), weights=[1.0, 1.0]).exp()
for name, value in {"average of p": mixture, "average of log p": pooled, "sum of log p": experts}.items():
    print(f"{name:17s} {value[0, 0]:.3f} / {value[0, 1]:.3f}")

# %% [markdown]
r"""
The average of probabilities asks "if I trust one of them at random, what do I expect?" and is never surer than the surer one.
The sum of log-probabilities multiplies, and a modality that says 0 vetoes a class. It is Bayes' rule when, given the class $c$,
the modalities are independent: $\log p(c \mid x, y) = \log p(c \mid x) + \log p(c \mid y) - \log p(c) + \text{const}$. With equally
frequent classes the prior $\log p(c)$ drops out; with others it counts once too often until you subtract it (`prior=`).

**Predict**: on how many of 10,000 random pairs of predictions do the two averages choose different classes, with two classes?
With three?
"""


# %%
def disagreements(classes):
    """Of 10,000 random pairs of predictions, on how many the two averages choose different classes."""
    logits = 2 * torch.randn(2, 10_000, classes, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mixed = late_fusion.fuse_probabilities(*logits.softmax(-1)).argmax(-1)
    return (mixed != late_fusion.fuse_logits(*logits).argmax(-1)).sum().item()


two, three = disagreements(2), disagreements(3)
claim(
    "C07.13",
    "With two classes, two modalities and equal weights both averages decide alike; with three classes they do not",
    two == 0 and three > 100,
    measured=f"different decisions of 10,000: {two} with two classes, {three} with three",
)

# %% [markdown]
r"""
With two classes and two modalities $p_1 + p_2 > 1$ exactly when the two log-odds sum to more than 0, because $p > 1 - q$ and
$\mathrm{logit}(p) > -\mathrm{logit}(q)$ are the same statement. So two modalities with equal weights on a binary task cannot be told
apart by accuracy at the threshold ½; calibration, other thresholds and three modalities can.

### Exercise 07.3 · late_fusion ●●○ 10 minutes

`(B, K), (B, K) -> (B, K)` probabilities. `weight` is the image's share, `space` is `"probability"` or `"log"`.
"""


# %% tags=["exercise"]
def late_fusion_of(image_logits, text_logits, weight, space):
    """Rows of the result sum to 1 in both spaces."""
    raise NotImplementedError


check(exercise.late_fusion, late_fusion_of)
hint(exercise.late_fusion)

# %% [markdown]
r"""
## 7.5 Explore: what can each operator draw?

One number per modality, so the whole world fits on a plane: image to the right, text upwards. After the operator stands one
linear layer. Orange means label 1, purple label 0. **Predict first**: for which operators will the XOR panel be coloured like a chessboard?
"""

# %%
SURFACES = {  # what the linear layer gets to see
    "late: add evidence": lambda x, y: (x, x.abs(), y, y.abs()),
    "sum": lambda x, y: (x + y,),
    "concat": lambda x, y: (x, y),
    "max": lambda x, y: (torch.maximum(x, y),),
    "product": lambda x, y: (x * y,),
    "text gates image": lambda x, y: (torch.sigmoid(4 * y) * x, torch.sigmoid(-4 * y) * x),
    "tensor": lambda x, y: (x, y, x * y),
}

grid = torch.linspace(-2, 2, 41)
GRID_X, GRID_Y = (axis.flatten() for axis in torch.meshgrid(grid, grid, indexing="xy"))


def noisy_corners(noise, seed):
    """40 points around each of the four corners: image and text bit, and where they are seen."""
    bits = torch.cartesian_prod(torch.arange(2), torch.arange(2)).repeat(40, 1).T
    return bits, 2.0 * bits - 1 + noise * torch.randn(bits.shape, generator=torch.Generator().manual_seed(seed))


# %%
def draw_surfaces(operator="late: add evidence", noise=0.3):
    """Probability of label 1 over the plane, for three rules; accuracy on fresh points."""
    fig, axes = plt.subplots(1, 3, figsize=(7.5, 2.8), layout="constrained", sharey=True)
    (bits, seen), (fresh_bits, fresh) = noisy_corners(noise, seed=0), noisy_corners(noise, seed=1)
    inputs = [torch.stack(SURFACES[operator](*points), 1) for points in (seen, fresh, (GRID_X, GRID_Y))]
    for ax, rule in zip(axes, ("xor", "and", "or"), strict=True):
        model = LogisticRegression(C=10).fit(inputs[0], RULES[rule](*bits))
        surface = model.predict_proba(inputs[2])[:, 1].reshape(41, 41)
        ax.imshow(surface, extent=(-2, 2, -2, 2), origin="lower", cmap="PuOr_r", vmin=0, vmax=1)
        style = {"cmap": "PuOr_r", "vmin": -0.3, "vmax": 1.3, "edgecolors": "black", "linewidths": 0.4}
        ax.scatter(*seen, c=RULES[rule](*bits), s=9, **style)
        share = model.score(inputs[1], RULES[rule](*fresh_bits))
        ax.set(title=f"{rule.upper()}: {share:.0%} right", xlabel="image feature", xticks=[-1, 1], yticks=[-1, 1])
        ax.set(xlim=(-2, 2), ylim=(-2, 2))
    axes[0].set_ylabel("text feature")
    fig.suptitle(f"{operator}, then a linear layer", fontsize=11)
    return fig


explore(
    draw_surfaces,
    alt="Three planes: adding evidence separates AND and OR, and leaves XOR at the level of guessing.",
    operator=list(SURFACES),
    noise=(0.0, 0.8),
)

# %% [markdown]
r"""
The static picture shows late fusion: AND and OR are easy, XOR is not, however flexible the two single-modality curves are.
Reading without a kernel? The whole zoo follows in one figure.

## 7.6 Evidence

**The world.** Two hidden bits. The image shows its bit as a 16-wide prototype plus noise, the text likewise, and the label is
a rule of the two bits. So we know what one modality alone can reach: 50 % for XOR, 75 % for AND and OR.
"""


# %%
ZOO = {
    "image alone": lambda: FuseThenHead(lambda image, text: image, mlp(16, 2)),
    "text alone": lambda: FuseThenHead(lambda image, text: text, mlp(16, 2)),
    "add logits (late)": lambda: AddLogits(mlp(16, 2), mlp(16, 2)),
    "sum, linear": lambda: FuseThenHead(fusion.fuse_sum, nn.Linear(16, 2)),
    "concat, linear": lambda: FuseThenHead(fusion.fuse_concat, nn.Linear(32, 2)),
    "max, linear": lambda: FuseThenHead(fusion.fuse_max, nn.Linear(16, 2)),
    "product, linear": lambda: FuseThenHead(fusion.fuse_product, nn.Linear(16, 2)),
    "sum, MLP": lambda: FuseThenHead(fusion.fuse_sum, mlp(16, 2)),
    "concat, MLP": lambda: FuseThenHead(fusion.fuse_concat, mlp(32, 2)),
    "gate, linear": lambda: FuseThenHead(fusion.GatedFusion(16, 16, 16), nn.Linear(16, 2)),
    "FiLM, linear": lambda: FuseThenHead(fusion.FilmFusion(16, 16), nn.Linear(16, 2)),
    "tensor": lambda: tensor_fusion.TensorFusion([16, 16], 2),
    "low rank, R = 1": lambda: tensor_fusion.LowRankTensorFusion([16, 16], 1, 2),
}
SEEDS = (0, 1, 2)
DEVICE = pick_device().device  # a GPU if there is one; models come back to the CPU to be tested


# %%
def train(build, pairs, seed, steps=200, batch_size=800, learning_rate=1e-2):
    """A fresh model trained on (image, text, label); the seed fixes its weights and the order of the examples."""
    torch.manual_seed(seed)
    model = build().to(DEVICE)
    config = TrainConfig(steps=steps, batch_size=batch_size, learning_rate=learning_rate, seed=seed)
    fit(model, pairs, lambda model, batch: F.cross_entropy(model(batch[0], batch[1]), batch[2]), config)
    return model.eval().requires_grad_(False).cpu()


def train_on(rule, build, seed):
    return train(build, make_symbol_pairs(800, rule=rule, seed=seed)[:3], seed)


def test_on(rule, model, seed):
    pairs = make_symbol_pairs(2000, rule=rule, seed=1000 + seed)
    return accuracy(model(pairs.image, pairs.text), pairs.label)


# %%
models = {(r, n, s): train_on(r, build, s) for r in ("xor", "and") for n, build in ZOO.items() for s in SEEDS}


def averaged(rule, seed):
    """A in *Try first*: the average of two models that never saw each other."""
    apart = [models[rule, name, seed] for name in ("image alone", "text alone")]
    return lambda *pair: late_fusion.fuse_probabilities(*[model(*pair).softmax(-1) for model in apart])


results = {r.upper(): {n: [test_on(r, models[r, n, s], s) for s in SEEDS] for n in ZOO} for r in ("xor", "and")}
for rule in ("xor", "and"):
    results[rule.upper()]["average p, trained apart"] = [test_on(rule, averaged(rule, seed), seed) for seed in SEEDS]

fig, ax = dot_plot(results, xlabel="test accuracy, one mark a seed (dotted: chance for XOR)", chance=0.5)
show(
    fig,
    "AND: all fusions but the average of separate models are near 1. XOR: additive ones at chance, most others near 1.",
)

# %%
xor = results["XOR"]
additive = [max(xor[n]) for n in ("average p, trained apart", "add logits (late)", "sum, linear", "concat, linear")]
solvers = ("sum, MLP", "concat, MLP", "gate, linear", "FiLM, linear", "tensor", "low rank, R = 1")
interacting = [min(xor[name]) for name in solvers]
claim(
    "C07.2",
    "On XOR whatever only adds evidence stays at chance; a hidden layer, a gate, FiLM or a product solves it (3 seeds)",
    max(additive) < 0.55 and min(interacting) > 0.97 and min(xor["product, linear"]) > 0.92,
    measured=f"additive at most {max(additive):.3f}, others at least {min(interacting):.3f}, "
    f"raw product at least {min(xor['product, linear']):.3f}",
)

# %% [markdown]
r"""
So in *Try first*, A, B and C stay at 50 % and D solves it (here as *low rank, R = 1*). The proof takes two lines. An additive
score is $s = f(x) + g(y)$. XOR needs $s > 0$ for $(0, 1)$ and $(1, 0)$, so $f(0) + g(1) + f(1) + g(0) > 0$; it needs $s < 0$ for
$(0, 0)$ and $(1, 1)$, so $f(0) + g(0) + f(1) + g(1) < 0$. The two left-hand sides are the same number.

That forbids 100 %, not 75 %: three of the four cells are additive. Training still ends at 50 %. For each value of either bit both
labels are equally frequent, so at a constant score every gradient of the cross-entropy vanishes, and the loss is convex in the
score: the constant is the optimum.

**Max holds a product**: for bits written as ±1, $\max(a, b) + \max(-a, -b) = 1 - ab$. At this noise a linear layer recovers only
part of it.

**AND needs both modalities and no interaction.** Why does the average of separate models fail there? At $(1, 1)$ each model,
seeing its own 1, says "50 %". The average is a coin flip on a quarter of the examples. **Predict**: must you train them together
to repair it?
"""


# %%
def rescues(seed):
    """AND, two models trained apart on 8,000 examples: accuracy of three ways to combine them."""
    shown = make_symbol_pairs(8000, rule="and", seed=seed)
    apart = [train(ZOO[name], shown[:3], seed) for name in ("image alone", "text alone")]
    held_out, fresh = (make_symbol_pairs(2000, rule="and", seed=seed + offset) for offset in (1000, 2000))
    p, q = ([model(pairs.image, pairs.text).softmax(-1) for model in apart] for pairs in (held_out, fresh))
    tuned, average = late_fusion.fuse_probabilities(*p)[:, 1], late_fusion.fuse_probabilities(*q)[:, 1]
    threshold = max(tuned.sort().values[::20], key=lambda t: ((tuned > t) == held_out.label).float().mean())
    bayes = late_fusion.fuse_logits(*[r.log() for r in q], weights=[1.0, 1.0], prior=torch.tensor([0.75, 0.25]))
    decisions = (average > 0.5, average > threshold, bayes[:, 1] > bayes[:, 0])
    return [(decision == fresh.label).float().mean().item() for decision in decisions]


half, tuned, bayes = torch.tensor([rescues(seed) for seed in SEEDS]).T
claim(
    "C07.7",
    "On AND averaging p at ½ loses; a threshold tuned on held-out data, or subtracting the log prior, repairs it (3 seeds)",
    half.max() < 0.93 and tuned.min() > 0.97 and bayes.min() > 0.97,
    measured=f"average {half.min():.3f} to {half.max():.3f}, tuned at least {tuned.min():.3f}, prior {bayes.min():.3f}",
)

# %% [markdown]
r"""
Averaging at ½ was the mistake, not training apart. The classes are 75 to 25, and two posteriors count that prior twice.

**How much tensor do you need?** For XOR rank 1 was enough. Now ask a matching question, the bread and butter of image-text
models: do image and text show the *same* one of eight things? The rule is a sum of eight products, one per thing. **Predict**
the rank it takes. (One output is the logit of "same"; 56 % of the pairs are.)
"""

# %%
MATCHERS = {
    **{f"R = {r}": lambda r=r: tensor_fusion.LowRankTensorFusion([8, 8], r, out=1) for r in (1, 2, 4, 8)},
    "tensor": lambda: tensor_fusion.TensorFusion([8, 8], out=1),
}


def matching_accuracy(build, seed):
    shown = make_matching_pairs(1000, things=8, seed=seed)
    with_zero = nn.ZeroPad1d((1, 0))  # one output z becomes the logits [0, z] of "different" and "same"
    model = train(lambda: FuseThenHead(build(), with_zero), shown[:3], seed, 300, 1000, learning_rate=3e-2)
    fresh = make_matching_pairs(2000, things=8, seed=1000 + seed)
    return accuracy(model(fresh.image, fresh.text), fresh.label)


matching = {name: [matching_accuracy(build, seed) for seed in SEEDS] for name, build in MATCHERS.items()}
fig, ax = dot_plot(
    {"match one of 8": matching}, xlabel="test accuracy, one mark a seed (dotted: always 'same')", chance=0.56
)
show(fig, "Accuracy rises with the rank and reaches the full tensor's at R = 8.")

claim(
    "C07.6",
    "Two 16-wide vectors make (16 + 1)(16 + 1) = 289 tensor features, and rank 1 is enough for XOR (3 seeds)",
    tensor_fusion.tensor_fusion_cost([16, 16], out=2).features == 289 and min(xor["low rank, R = 1"]) > 0.97,
    measured=f"rank 1 at least {min(xor['low rank, R = 1']):.3f} on XOR",
)
claim(
    "C07.6b",
    "Matching one of 8 things takes rank 8: rank 4 loses over 8 points to the full tensor, rank 8 under 2 (3 seeds)",
    max(matching["R = 4"]) < min(matching["tensor"]) - 0.08 and min(matching["R = 8"]) > min(matching["tensor"]) - 0.02,
    measured=", ".join(f"{name}: {min(values):.3f} to {max(values):.3f}" for name, values in matching.items()),
)

# %% [markdown]
r"""
### Exercise 07.4 · pick_operator ●●○ 10 minutes

Five accuracies on one validation set: image alone, text alone, the best additive model, the best joint model, chance. The best
of the four models is the ceiling (a joint model that failed to train is not). Return the cheapest choice that reaches it within
the tolerance: `"one modality"`, `"late fusion"`, `"interaction"`; or `"collect better data"` if the ceiling is chance.
"""


# %% tags=["exercise"]
def pick_operator(image, text, additive, joint, chance, tolerance=0.02):
    """Differences up to and including `tolerance` are noise."""
    raise NotImplementedError


check(exercise.pick_operator, pick_operator)
hint(exercise.pick_operator)

# %% [markdown]
r"""
**Real input: digits, seen and heard.** 1,797 real handwritten digits (8 × 8), each paired with a *synthetic* voice that says
the digit. Voices of the test set never speak in training, nor, as far as the order of the data tells, do its writers write. The image carries pixel noise, the sound a noise three
times as strong as the voice. Image and clip are paired by label alone, so given the digit they are independent. Keep that in
mind.
"""

# %%
NOISE = {"image_noise": 0.3, "sound_noise": 3.0}
digits = load_seen_and_heard("train", seed=0, **NOISE)
fig, axes = plt.subplots(2, 5, figsize=(5.5, 2.2), layout="constrained")
for column, (seen, heard) in enumerate(axes.T):
    seen.imshow(digits.image[column], cmap="gray_r", vmin=0, vmax=1)
    heard.imshow(digits.sound[column].T, origin="lower", aspect="auto", cmap="magma")
    seen.set_title(f"label {digits.label[column]}", fontsize=9)
plt.setp(axes, xticks=[], yticks=[])
axes[0, 0].set_ylabel("seen")
axes[1, 0].set_ylabel("heard")
show(fig, "Five noisy handwritten digits above the spectrograms that belong to them; both are hard to read.")
print("image", tuple(digits.image.shape), " sound", tuple(digits.sound.shape), "(B, F frames, mel bands)")

# %% [markdown]
r"""
**Predict.** Image alone, sound alone, and five models that train both encoders *together* and fuse their 32-wide outputs (sum and
concat are additive, with a linear head). And two that train nothing new: average the probabilities of the single models, or add
their log-probabilities. Which of the nine wins?
"""


# %%
def seen_and_heard(fuse, head):
    """Builds models with one encoder per modality: 8 x 8 pixels and 40 x 20 mel values to 32 features."""
    return lambda: FuseThenHead(fuse(), head(), mlp(8 * 8, 32, hidden=64), mlp(40 * 20, 32, hidden=64))


OPERATORS = {
    "image alone": seen_and_heard(lambda: lambda image, sound: image, lambda: nn.Linear(32, 10)),
    "sound alone": seen_and_heard(lambda: lambda image, sound: sound, lambda: nn.Linear(32, 10)),
    "sum": seen_and_heard(lambda: fusion.fuse_sum, lambda: nn.Linear(32, 10)),
    "concat": seen_and_heard(lambda: fusion.fuse_concat, lambda: nn.Linear(64, 10)),
    "product": seen_and_heard(lambda: fusion.fuse_product, lambda: nn.Linear(32, 10)),
    "gate": seen_and_heard(lambda: fusion.GatedFusion(32, 32, 32), lambda: nn.Linear(32, 10)),
    "low rank, R = 4": seen_and_heard(lambda: tensor_fusion.LowRankTensorFusion([32, 32], 4, 10), nn.Identity),
}
TOGETHER = tuple(OPERATORS)[2:]  # trained together


# %%
def train_digits(seed):
    """All seven models of one seed's pairing and noise."""
    digits = load_seen_and_heard("train", seed=seed, **NOISE)
    data = (digits.image, digits.sound, digits.label)
    return {name: train(build, data, seed, batch_size=128, learning_rate=3e-3) for name, build in OPERATORS.items()}


def test_digits(models, seed, **damage):
    """{model: accuracy} on 510 test digits, late fusion of the two single models included."""
    test = load_seen_and_heard("test", seed=seed, **{**NOISE, **damage})
    logits = {name: model(test.image, test.sound) for name, model in models.items()}
    present = ["image alone"] if not test.sound_present.any() else ["image alone", "sound alone"]
    logits["late: average p"] = late_fusion.fuse_probabilities(*[logits[name].softmax(-1) for name in present])
    logits["late: add log p"] = late_fusion.fuse_logits(
        *[logits[name] for name in present], weights=[1.0] * len(present)
    )
    return {name: accuracy(scores, test.label) for name, scores in logits.items()}


# %%
DAMAGE = {"as trained": {}, "drowned sound": {"sound_noise": 10.0}, "no sound": {"sound_missing": 1.0}}
trained = [train_digits(seed) for seed in SEEDS]
tested = {name: [test_digits(trained[s], s, **damage) for s in SEEDS] for name, damage in DAMAGE.items()}
over_seeds = {name: {model: [run[model] for run in runs] for model in runs[0]} for name, runs in tested.items()}

fig, ax = dot_plot(over_seeds, xlabel="test accuracy, one mark a seed (dotted: chance)", chance=0.1)
show(
    fig,
    "As trained, fusion stands clearly right of both single modalities. With damaged sound most fusions fall left of the image.",
)

# %%
clean = {name: torch.tensor(values) for name, values in over_seeds["as trained"].items()}
best_single = torch.maximum(clean["image alone"], clean["sound alone"])
gain = {
    n: (clean[n] - best_single).min().item() for n in ("sum", "concat", "product", "low rank, R = 4", "late: add log p")
}
claim(
    "C07.9",
    "Seen and heard beats the better single modality by over 5 points, in each of five ways to fuse (3 seeds)",
    min(gain.values()) > 0.05,
    measured=", ".join(f"{name} at least {value:.3f}" for name, value in gain.items()),
)

late, average = clean["late: add log p"], clean["late: average p"]
best_joint = max((clean[name].mean().item(), name) for name in TOGETHER)
claim(
    "C07.9b",
    "Nothing trained together beats adding log p of models trained apart by 1.5 points; averaging p loses to it (3 seeds)",
    best_joint[0] < late.mean().item() + 0.015 and (late > average).all(),
    measured=f"add log p {late.mean():.3f}, average p {average.mean():.3f}, best trained together {best_joint[1]} {best_joint[0]:.3f}",
)

# %% [markdown]
r"""
Training together buys nothing here. Given the digit, image and clip are independent *by construction*, so the log-posterior is a
sum and nothing beyond addition is needed. With ten classes the two late fusions differ as well: multiplying lets two weak votes
agree. The gate gains least, though its weights depend on the input. On XOR the winner of today was at chance. **The operator has to
fit the label, not the fashion.**

Now the other marks: the test set is damaged in a way that training never showed, on the sound only.
"""

# %%
drowned = {n: torch.tensor(over_seeds["drowned sound"][n]) for n in ("sum", "concat", "gate", "late: add log p")}
silent = {n: torch.tensor(over_seeds["no sound"][n]) for n in (*TOGETHER, "late: add log p")}
lost = {name: (clean["image alone"] - values).min().item() for name, values in drowned.items()}
claim(
    "C07.10",
    "With the sound drowned at test time sum, concat, gate and late fall over 10 points below the image alone (3 seeds)",
    min(lost.values()) > 0.10,
    measured=", ".join(f"{name} at least {value:.3f}" for name, value in lost.items()),
)
claim(
    "C07.10b",
    "Without sound late fusion drops a term; models trained together lose over 10 points to the image alone (3 seeds)",
    all((clean["image alone"] - silent[n]).min() > 0.10 for n in TOGETHER)
    and torch.equal(silent["late: add log p"], clean["image alone"]),
    measured=", ".join(f"{name} {values.mean():.3f}" for name, values in silent.items()),
)

# %% [markdown]
r"""
A second modality is a promise about test time. Late fusion runs with a *missing* modality by construction: it drops a term. It is
not robust to a *broken* one. Sum and concat could drop the term too, but trained together their image half never learned to
stand alone. The product bears noise best and silence worst. The gate never saw a broken sensor, so it never learned to close;
gates that do, and modality dropout, come in lesson 08 (planned).
"""

# %% [markdown]
r"""
## 7.7 Wrong answers people give

Bet before you run: is the sentence true?

> **"Early concatenation lets the model see interactions between the modalities."**

It sounds right because both are in one vector. But a linear layer on a concatenation splits into two blocks of columns, one
per modality: $W[x; y] = W_x x + W_y y$. It *is* late fusion. The interaction comes from the hidden layer, not from the
concatenation.
"""

# %%
layer = nn.Linear(16 + 16, 5).double()
x, y = torch.randn(2, 40, 16, dtype=torch.float64)
joined = layer(fusion.fuse_concat(x, y))
added = x @ layer.weight[:, :16].T + y @ layer.weight[:, 16:].T + layer.bias
gap = (joined - added).abs().max().item()
claim("C07.3", "Concatenation and a linear layer is a sum of two linear layers", gap < 1e-13, measured=f"gap {gap:.0e}")

# %% [markdown]
r"""
> **"Max pooling over modalities is a kind of weighted average."**

It sounds right because a maximum lies between its inputs, like an average. But which input wins changes with the input: it is a
one-hot *gate*, not a fixed weighting. Three one-feature examples settle it. Weights that give $\max(1, 0) = 1$ and
$\max(0, 1) = 1$ are found by solving two equations; the third example, $\max(1, 1)$, then comes out wrong.
"""

# %%
x = torch.tensor([[1.0, 0.0, 1.0, -2.0]], requires_grad=True)
y = torch.tensor([[0.0, 1.0, 0.5, -1.0]], requires_grad=True)
fusion.fuse_max(x, y).sum().backward()
print("image  ", x.tolist()[0], " gradient", x.grad.tolist()[0])
print("text   ", y.tolist()[0], " gradient", y.grad.tolist()[0])
weights = torch.linalg.solve(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([1.0, 1.0]))
claim(
    "C07.4",
    "The only weights that imitate max on (1, 0) and (0, 1) fail on (1, 1); its gradient goes to one modality a feature",
    weights.sum() != max(1, 1) and torch.equal(x.grad + y.grad, torch.ones(1, 4)) and (x.grad * y.grad == 0).all(),
    measured=f"weights {weights[0]:.0f} and {weights[1]:.0f} give {weights.sum():.0f} for max(1, 1)",
)

# %% [markdown]
r"""
> **"Concatenate and let the model sort it out; scale does not matter."**

For a network with normalisation, often true. For everything that uses *distances* (nearest neighbours, clustering, retrieval
on concatenated embeddings) the modality with the larger numbers decides alone. Here the informative modality has unit
scale and the other is pure noise with a standard deviation of 100.
"""

# %%
generator = torch.Generator().manual_seed(0)
label = torch.randint(0, 2, (600,), generator=generator)
informative = 2.0 * label[:, None] + 0.5 * torch.randn(600, 8, generator=generator)
loud = 100 * torch.randn(600, 8, generator=generator)


def one_nearest_neighbour(vectors):
    distance = torch.cdist(vectors, vectors).fill_diagonal_(float("inf"))
    return (label[distance.argmin(dim=1)] == label).float().mean().item()


def z_score(vectors):
    return (vectors - vectors.mean(dim=0)) / vectors.std(dim=0)


raw = one_nearest_neighbour(torch.cat([informative, loud], dim=1))
scaled = one_nearest_neighbour(torch.cat([z_score(informative), z_score(loud)], dim=1))
claim(
    "C07.5",
    "Concatenated raw, the loud modality drowns the other: 1-NN at chance; z-scored, almost perfect",
    raw < 0.6 and scaled > 0.95,
    measured=f"raw {raw:.3f}, z-scored {scaled:.3f}",
)

# %% [markdown]
r"""
> **"Attention fusion weighs the modalities adaptively, so it is always the stronger choice."**

With *cross*-attention onto *one pooled vector* there is a single key, a softmax over one score is 1, and the query is never
heard: the text below changes completely, what it reads from the image not at all. (`fused` still adds the text itself;
`attended` is what the image contributes.) Self-attention over the two pooled vectors has two keys and is a softmax gate, one
weight per modality. Attention earns its price when there are many tokens to choose from.
"""

# %%
attend = fusion_tokens.CrossAttentionFusion(text_width=8, image_width=6, heads=2)
pooled_image, patches = (torch.randn(4, 1, 6), torch.randn(4, 9, 6))  # (B, P, D_image) with P = 1 and P = 9
text, other_text = torch.randn(2, 4, 3, 8)  # (B, T, D)
one, one_other = attend(text, pooled_image), attend(10 * other_text, pooled_image)
many, many_other = attend(text, patches), attend(10 * other_text, patches)
ignored = (one.attended - one_other.attended).abs().max().item()
heard = (many.attended - many_other.attended).abs().max().item()
claim(
    "C07.8",
    "With one key every attention weight is 1 and the query is ignored; with nine keys it is heard",
    (one.weights == 1).all() and ignored < 1e-6 and heard > 0.01,
    measured=f"change of the answer {ignored:.0e} with one key, {heard:.2f} with nine",
)

# %% [markdown]
r"""
> **"If both encoders give 16 numbers, average them."**

Equal width is not a common basis. Feature 3 of one network and feature 3 of another have nothing to do with each other:
the same encoder, with its features in another order, holds the same information and ruins the average.
"""

# %%
label = torch.tensor([0, 1])
one_encoder = F.one_hot(label, 2).double().repeat(1, 8)  # (B, D) = (2, 16): it knows the class perfectly
another = one_encoder.roll(1, dims=1)  # so does this one; its features stand one place further right

aligned = fusion.fuse_mean(one_encoder, one_encoder)
unaligned = fusion.fuse_mean(one_encoder, another)
distances = [(mean[1] - mean[0]).norm().item() for mean in (aligned, unaligned)]
claim(
    "C07.11",
    "Averaging two perfect encoders whose features stand in different order can erase what both know",
    distances[0] > 3.9 and distances[1] == 0.0,
    measured=f"distance between the two classes: same order {distances[0]:.2f}, other order {distances[1]:.2f}",
)

# %% [markdown]
r"""
## 7.8 At scale

Widths of real encoders: 1,024 for the image tower and 768 for the text tower of CLIP ViT-L/14, 512 for the encoder of
Whisper base. A fused vector of 256.
"""

# %%
WIDTHS = {"image, text": (1024, 768), "image, text, sound": (1024, 768, 512)}
print(f"{'modalities':20s}{'operator':17s}{'features':>13s}{'parameters':>17s}{'MFLOP':>12s}{'GiB, bf16':>11s}")
for name, widths in WIDTHS.items():
    full = tensor_fusion.tensor_fusion_cost(widths, out=256)
    low = tensor_fusion.low_rank_cost(widths, rank=8, out=256)
    for operator, cost in (("tensor", full), ("low rank, R = 8", low)):
        mflop, gib = 2 * cost.multiply_adds / 1e6, 2 * cost.parameters / 2**30
        print(f"{name:20s}{operator:17s}{cost.features:>13,}{cost.parameters:>17,}{mflop:>12,.1f}{gib:>11,.2f}")
    print(f"{'':20s}the low rank is {full.parameters / low.parameters:,.0f} times smaller\n")

# %% [markdown]
r"""
One multiply-add counts as 2 FLOPs; figures are for one example. A third modality of width 512 multiplies the tensor by 513 and
only adds to the low-rank form. Training in mixed precision with Adam takes about 16 bytes a parameter instead of 2.

**Tokens.** LLaVA-1.5 concatenates 576 visual tokens with the words. Attention scores per head and layer for 64 text tokens, and what
a 7-billion-parameter model with 32 layers of width 4,096 computes in a forward pass:
"""

# %%
P, T, N = 576, 64, 4  # visual tokens, text tokens, bottleneck tokens
own = P**2 + T**2  # each modality attends to itself
crossing = {
    "no fusion": 0,
    "cross-attention, text asks image": T * P,
    "bottleneck of 4 tokens": (P + N) ** 2 + (T + N) ** 2 - own,
    "concatenate all tokens": (P + T) ** 2 - own,
}
for name, count in crossing.items():
    print(f"{name:35s} own {own:>8,}  crossing {count:>7,}")

linear, products = 2 * 7e9 * (P + T), 4 * (P + T) ** 2 * 4096 * 32  # FLOPs
print(f"\nall tokens through the linear layers {linear / 1e12:.1f} TFLOP, of which visual {2 * 7e9 * P / 1e12:.1f}")
print(f"all attention products {products / 1e12:.2f} TFLOP")

# %% [markdown]
r"""
Scores look like the price of concatenation and are not: at this length the linear layers cost far more, and nine tokens in ten
are visual. So one pays for concatenation with 576 more tokens in *every* linear layer, needs no new module, and lets every layer
mix. (A causal mask computes about half of the scores.) Lesson 10 (planned) takes up connectors that shorten the 576, lesson 26 (planned) the memory.

## 7.9 Look inside

What did the tensor learn for XOR? Its weights for the difference of the two logits form a 17 × 17 matrix. If one product of two
projections is all that XOR needs, the matrix should be close to rank 1, and its first singular vectors should point from one
prototype of each modality to the other.
"""

# %%
clean_pairs = make_symbol_pairs(100, rule="xor", seed=0, noise=0.0)
truth = [v[s == 1][0] - v[s == 0][0] for v, s in zip(clean_pairs[:2], clean_pairs[3:], strict=True)]


def singular_parts(model):
    """SVD of the 17 x 17 weights of "label 1 rather than 0", and how its first vectors point at the prototypes."""
    left, values, right = torch.linalg.svd((model.out.weight[1] - model.out.weight[0]).detach().view(17, 17))
    directions = (left[1:, 0], right[0, 1:])  # without the appended 1
    return values, [F.cosine_similarity(d, t, dim=0).abs().item() for d, t in zip(directions, truth, strict=True)]


parts = [singular_parts(models["xor", "tensor", seed]) for seed in SEEDS]
untrained, _ = singular_parts(ZOO["tensor"]())
fig, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
ax.plot(range(1, 18), parts[0][0], "o-", color="#4477aa", label="trained on XOR")
ax.plot(range(1, 18), untrained, "s-", color="#ee6677", label="untrained")
ax.set(xlabel="singular value number", ylabel="singular value")
ax.legend()
show(fig, "After training the first singular value towers over the rest; before training they fall slowly.")

# %%
shares = [(values[0] ** 2 / values.square().sum()).item() for values, _ in parts]
cosines = [cosine for _, pair in parts for cosine in pair]
claim(
    "C07.12",
    "Trained on XOR, one product carries most of the tensor, and its two projections point along the prototypes (3 seeds)",
    min(shares) > 0.7 and (untrained[0] ** 2 / untrained.square().sum()).item() < 0.4 and min(cosines) > 0.8,
    measured=f"share of the squared norm at least {min(shares):.2f}, cosine with the prototypes at least {min(cosines):.2f}",
)

# %% [markdown]
r"""
## 7.10 Interview

Cover the answers, say yours aloud, compare. Each key point names the claim above that proves it, or a paper.
"""

# %%
show_questions("07")

# %% [markdown]
r"""
## 7.11 Card

- **Formula**: late $\sum_m w_m p_m$ · concat $[x; y]$ · gate $g \odot \tilde x + (1 - g) \odot \tilde y$ · tensor
  $[1; x] \otimes [1; y]$ · cross-attention $\mathrm{softmax}(QK^\top/\sqrt d)V$.
- **Shapes**: (B, D_image), (B, D_text) → (B, D): sum, mean, max, product need D_image = D_text; concat adds widths; tensor
  multiplies them.
- **Cost**: tensor $\prod_m (D_m + 1)$ per output; low rank $R \sum_m (D_m + 1)$; token concat $(P + T)^2$ scores.
- **Use** late for missing, separately owned or separately calibrated modalities, with the prior counted once; concat + MLP when you
  expect an interaction and have the data; product or low rank for matching; tokens when words must find places.
- **Do not** expect an interaction from anything additive, cross-attend onto one key, sum unaligned features, or concatenate unscaled
  ones for distances.
"""

# %% [markdown]
r"""
## 7.12 Sources

1. Baltrušaitis, Ahuja, Morency (2017), *Multimodal Machine Learning: A Survey and Taxonomy*, [arXiv:1705.09406](https://arxiv.org/abs/1705.09406): early, late and
   hybrid fusion. We say *middle* for the fusion of features.
2. Arevalo et al. (2017), *Gated Multimodal Units for Information Fusion*, [arXiv:1702.01992](https://arxiv.org/abs/1702.01992): the gate, with biases added.
3. Perez et al. (2017), *FiLM: Visual Reasoning with a General Conditioning Layer*, [arXiv:1709.07871](https://arxiv.org/abs/1709.07871): on vectors, without the
   convolutional network around it.
4. Zadeh et al. (2017), *Tensor Fusion Network for Multimodal Sentiment Analysis*, [arXiv:1707.07250](https://arxiv.org/abs/1707.07250): the appended 1 and the
   outer product, with one linear layer on top.
5. Liu et al. (2018), *Efficient Low-rank Multimodal Fusion with Modality-Specific Factors*, [arXiv:1806.00064](https://arxiv.org/abs/1806.00064).
6. Nagrani et al. (2021), *Attention Bottlenecks for Multimodal Fusion*, [arXiv:2107.00135](https://arxiv.org/abs/2107.00135): counted here, built in
   `fusion_tokens.BottleneckFusion`.
7. Vaswani et al. (2017), *Attention Is All You Need*, [arXiv:1706.03762](https://arxiv.org/abs/1706.03762): one attention layer, no norm, no feed-forward.
8. Liu et al. (2023), *Improved Baselines with Visual Instruction Tuning* (LLaVA-1.5), [arXiv:2310.03744](https://arxiv.org/abs/2310.03744): 336-pixel images, 576
   visual tokens.
9. Hessel, Lee (2020), *Does my multimodal model learn cross-modal interactions?*, EMNLP, [doi:10.18653/v1/2020.emnlp-main.62](https://doi.org/10.18653/v1/2020.emnlp-main.62): the
   additive model as the yardstick.
10. Hinton (2002), *Training Products of Experts by Minimizing Contrastive Divergence*, [doi:10.1162/089976602760128018](https://doi.org/10.1162/089976602760128018): multiply the distributions.
11. Vielzeuf et al. (2018), *CentralNet: a Multilayer Approach for Multimodal Fusion*, [arXiv:1808.07275](https://arxiv.org/abs/1808.07275): AV-MNIST, whose pairing by
    label our digits follow.
12. Shukor et al. (2025), *Scaling Laws for Native Multimodal Models*, [arXiv:2504.07951](https://arxiv.org/abs/2504.07951): what that field calls early and late.
13. Chameleon Team (2024), *Chameleon: Mixed-Modal Early-Fusion Foundation Models*, [arXiv:2405.09818](https://arxiv.org/abs/2405.09818); Alayrac et al. (2022),
    *Flamingo*, [arXiv:2204.14198](https://arxiv.org/abs/2204.14198): cross-attention in several layers.
14. Widths: the published configurations [`openai/clip-vit-large-patch14`](https://huggingface.co/openai/clip-vit-large-patch14) and
    [`openai/whisper-base`](https://huggingface.co/openai/whisper-base).

## 7.13 Worked solutions
"""


# %% tags=["solution"]
def fuse(image, text, operator):
    if len(image) != len(text):
        raise ValueError(f"{len(image)} images and {len(text)} texts are not pairs")
    if operator == "concat":
        return torch.cat([image, text], dim=-1)
    if operator == "outer":
        return (image[:, :, None] * text[:, None, :]).flatten(start_dim=1)
    if image.shape != text.shape:
        raise ValueError(f"{operator} needs equal widths, got {image.shape[-1]} and {text.shape[-1]}")
    elementwise = {"sum": torch.add, "product": torch.mul, "max": torch.maximum}
    return (image + text) / 2 if operator == "mean" else elementwise[operator](image, text)


check(exercise.fuse, fuse, solution=True)


# %% tags=["solution"]
def low_rank(image, text, image_factors, text_factors):
    ones = image.new_ones(len(image), 1)
    image_part = torch.einsum("bi,rki->brk", torch.cat([ones, image], dim=1), image_factors)
    text_part = torch.einsum("bj,rkj->brk", torch.cat([ones, text], dim=1), text_factors)
    return (image_part * text_part).sum(dim=1)


check(exercise.low_rank, low_rank, solution=True)


# %% tags=["solution"]
def late_fusion_of(image_logits, text_logits, weight, space):
    if space == "probability":
        return weight * image_logits.softmax(-1) + (1 - weight) * text_logits.softmax(-1)
    return (weight * image_logits.log_softmax(-1) + (1 - weight) * text_logits.log_softmax(-1)).softmax(-1)


check(exercise.late_fusion, late_fusion_of, solution=True)


# %% tags=["solution"]
def pick_operator(image, text, additive, joint, chance, tolerance=0.02):
    best = max(image, text, additive, joint)
    if best <= chance + tolerance:
        return "collect better data"
    if max(image, text) >= best - tolerance:
        return "one modality"
    return "late fusion" if additive >= best - tolerance else "interaction"


check(exercise.pick_operator, pick_operator, solution=True)

# %% [markdown]
r"""
*Lessons:* [start page](00_start_here.ipynb) · previous: 06 · Shared spaces and cross-modal retrieval (planned), before it [02 · Data pipelines](02_data_pipelines.ipynb) · next: 08 · Dynamic fusion and missing modalities (planned), then [09 · Attention from first principles](09_attention.ipynb)
"""
