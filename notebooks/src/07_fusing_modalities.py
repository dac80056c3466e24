# %% [markdown] tags=["second-form"]
r"""
# 07 · Fusing modalities

You will be able to say which fusion operator can express what, and show the cell that proves it.

*65 minutes and 15 more · needs no other lesson · under 60 s of CPU*

*15 minutes:* [The 60-second answer](#7.11-The-60-second-answer) · [Wrong answers people give](#7.8-Wrong-answers-people-give) · [Card](#7.13-Card)

*Lessons:* [start page](00_start_here.ipynb) · previous: 06 · Shared spaces and cross-modal retrieval (planned), before it [02 · Data pipelines](02_data_pipelines.ipynb) · next: 08 · Dynamic fusion and missing modalities (planned), then [09 · Attention from first principles](09_attention.ipynb)
"""

# %% [markdown]
r"""
## 7.1 The interview question

> **Which ways of fusing two modalities do you know, and when does each of them fail?**
>
> **你知道哪些融合两种模态的方法？每种方法在什么情况下会失效？**

**You will be able to**

1. write each operator with its shapes, and name what it loses;
2. say which rules of fusion can learn XOR, which cannot, and prove it;
3. count the features of a tensor fusion, and say what a low rank costs;
4. tell averaging, voting, multiplying and stacking of predictions apart;
5. choose an operator from five accuracies.

## 7.2 Try first

A label is 1 exactly if *one* of two things is true: the image shows a dog, or the caption says "dog". So label 1 means that
the caption is wrong. Image alone gets 50 %, caption alone gets 50 %. Five colleagues each build a model:

- **A** averages the probabilities of an image network and a text network that were trained apart.
- **B** adds the logits of the two networks and trains both together.
- **C** concatenates the two feature vectors and trains one linear layer on top.
- **D** multiplies one linear projection of the image by one of the text; the product is the logit.
- **E** has an image network and a text network with two outputs each. A small network reads these four numbers and decides.
  All three are trained together. Nothing but predictions meets: this is *late* fusion.

Place your bets. What answers them further down is folded until you click.
"""

# %%
from course_lib.lesson.bets import bet, bets

bet("C07.2", "Who of A, B, C, D beats 50 %?", ["none", "only D", "B and D", "all four"])
bet("C07.2b", "What does E reach?", ["about 50 %", "about 75 %", "nearly 100 %"])

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.data.digits import load_seen_and_heard
from course_lib.data.symbols import RULES, make_matching_pairs, make_symbol_pairs
from course_lib.exercises import lesson_07 as exercise
from course_lib.lesson.claims import claim
from course_lib.lesson.exercises import check, hint
from course_lib.lesson.explore import explore
from course_lib.lesson.figures import MARKERS, bar_plot, dot_plot, show
from course_lib.metrics.classification import accuracy
from course_lib.metrics.regression import linear_recovery
from course_lib.models import fusion, fusion_tokens, late_fusion, tensor_fusion
from course_lib.models.fusion import fuse_concat, fuse_max, fuse_product, fuse_sum
from course_lib.models.heads import AddLogits, FuseThenHead, mlp
from course_lib.models.tensor_fusion import LowRankTensorFusion, TensorFusion
from course_lib.training.config import TrainConfig
from course_lib.training.loop import fit

print("seed", torch.manual_seed(0).initial_seed())

# %% [markdown]
r"""
![Three columns. Early: patches and words become one token sequence for one Transformer. Middle: two encoders give two
vectors that are fused once before a head. Late: two models predict separately and their predictions are
averaged.](figures/07_where_to_fuse.svg)

The picture shows where two modalities can meet: as tokens, as features, or as decisions. Further right, the parts are
easier to train, replace and debug apart. Fusing features is also called *feature level*, fusing predictions *decision level* or
*parallel*, doing both *hybrid*. A *cascade* is serial: one stage's decision is the next stage's input, as when a detector feeds a reasoner.

Beware of the words. Here *early* means one token sequence. LLaVA first encodes the image with CLIP and then concatenates tokens.
Papers on native multimodal models call that *late* fusion, and keep *early* for models without an image encoder. Say which
meeting point you mean.

## 7.3 By hand

One example, two features per modality. Every operator fits on a line. The last column swaps image and text.
"""

# %%
image, text = torch.tensor([[2.0, -1.0]]), torch.tensor([[4.0, 3.0]])  # (B, D) = (1, 2)
for name in ("sum", "mean", "product", "max", "concat", "outer"):
    operator = getattr(fusion, f"fuse_{name}")
    fused, swapped = operator(image, text), operator(text, image)
    same = "the same" if torch.equal(fused, swapped) else "another"
    print(f"{name:8s} {fused.tolist()[0]!s:24s} swapped: {same}")

# %% [markdown]
r"""
Four of the six cannot tell *who said what*. How much of the image is still there? Draw 2,000 pairs of independent 16-wide
vectors, normal with mean 0, fuse them, and ask the best *linear* map to bring the image back. $R^2 = 1$ means all of it, 0 means none.
"""

# %%
bet("C07.1", "How much is left in image + text?", ["all", "2/3", "half", "none"])

# %% tags=["reveal"]
images, texts = torch.randn(2, 2000, 16)
left = {}
for name in ("concat", "sum", "mean", "max", "product"):
    left[name] = linear_recovery(getattr(fusion, f"fuse_{name}")(images, texts), images)
fig, ax = bar_plot(left, xlabel="R² of the image, recovered from the fused vector")
show(fig, "Concatenation keeps all, sum and mean half, max a third, the product none.")

# %% tags=["claim", "reveal"]
claim(
    "C07.1",
    "Linearly recoverable, of normal features with mean 0: all of the image from a concatenation, "
    "half from sum or mean, a third from max, none from a product",
    left["concat"] > 0.999
    and all(0.45 < left[name] < 0.55 for name in ("sum", "mean"))
    and 0.31 < left["max"] < 0.42
    and left["product"] < 0.03,
    measured=", ".join(f"{name} {value:.3f}" for name, value in left.items()),
    answer="half",
)

# %% [markdown]
r"""
Why half? Given $s = x + y$ with equal variances, the best guess of $x$ is $s/2$. Its error is $(x - y)/2$, whose variance is half of
that of $x$. (For max theory says $\tfrac14 / (1 - 1/\pi) = 0.37$: the covariance of $x$ with $\max(x, y)$ is $\tfrac12$, the
variance of the maximum $1 - 1/\pi$.)

How far does this reach? That a sum keeps half holds for any distribution with equal variances. That a product keeps nothing needs the mean 0: it is
the sign of the text that hides the image. And *linear* is in the question. A sum of codes that stay distinct loses nothing for a
reader with a hidden layer. The folded claim checks both.
"""

# %% tags=["claim"]
above = torch.rand(3, 2000, 16)  # as after a sigmoid: between 0 and 1
kept, chance = (linear_recovery(fuse_product(*above[:2]), above[k]) for k in (0, 2))
codes = torch.randn(2, 4, 16)  # four images, four texts, a random code each
sums = (codes[0][:, None] + codes[1]).flatten(0, 1)  # all 16 pairs
apart = torch.cdist(sums, sums).fill_diagonal_(float("inf")).min().item()
claim(
    "C07.1b",
    "Of features between 0 and 1 a product keeps over a third, linearly; and the sums of four image "
    "codes and four text codes are 16 different points, so a non-linear reader can tell all pairs",
    0.35 < kept < 0.5 and chance < 0.05 and apart > 0.5,
    measured=f"R² {kept:.2f}, of an unrelated image {chance:.2f}; nearest two of 16 sums "
    f"{apart:.1f} apart",
)

# %% [markdown]
r"""
So a sum works when the *encoders learn* to write into different directions of one space, or when a hidden layer follows ("sum, MLP"
in 7.7). Two pairs with the *same* sum no later layer can tell apart.

### Exercise 07.1 · fuse ●○○ 10 minutes

Write six operators behind one function, shapes `(B, D_image), (B, D_text) -> (B, D_fused)`. `outer` is flattened row by row: entry
`i * D_text + j` is `image_i * text_j`. Raise `ValueError` if the two have another number of rows. Raise it also if `sum`, `mean`,
`product` or `max` get different widths: PyTorch would broadcast a width of 1 in silence. Stuck? `hint(exercise.fuse, level=1)` nudges.
"""


# %% tags=["exercise"]
def fuse(image, text, operator):
    """operator: "sum", "mean", "product", "max", "concat" or "outer"."""
    raise NotImplementedError


check(exercise.fuse, fuse)
hint(exercise.fuse)

# %% [markdown]
r"""
## 7.4 In symbols

$x$ is the image vector (B, D_image), $y$ the text vector (B, D_text), $\odot$ multiplies feature by feature. Four families
matter; the card in 7.13 has every operator with its cost.

| family | formula | can one modality change what the other means? |
| --- | --- | --- |
| additive | $x + y$; $W[x; y]$; $w_1 \log p_1 + w_2 \log p_2$ | no |
| product | $W\,([1;x] \otimes [1;y])$, low rank $\sum_r (U_r[1;x]) \odot (V_r[1;y])$ | yes |
| input-dependent weights | gate $g \odot \tilde x + (1-g) \odot \tilde y$ with $g=\sigma(W[x;y])$; FiLM $\gamma(y) \odot x + \beta(y)$; attention | yes |
| a network on top | $W_2\,\mathrm{relu}(W_1 [x; y])$; the same on predictions | yes |

*Feature extraction* makes $x$ from pixels and $y$ from words, one modality at a time. *Fusion* begins where a number first
depends on both.
"""

# %% [markdown]
r"""
## 7.5 Build it

**A gate**: a sigmoid decides, for every feature of every example, how much of the image passes. The text gets the rest.
"""

# %%
x, y = torch.randn(2, 3), torch.randn(2, 5)  # (B, D_image), (B, D_text)
gated = fusion.GatedFusion(image_width=3, text_width=5, width=4)
g = gated.gate(torch.cat([x, y], dim=1)).sigmoid()  # (B, D): trust in the image
by_hand = g * gated.image(x).tanh() + (1 - g) * gated.text(y).tanh()
print("by hand = module:", torch.allclose(by_hand, gated(x, y).fused, atol=1e-6))

# %% [markdown]
r"""
**Tensor fusion** puts a 1 in front of each vector. Then the outer product holds the constant, each modality alone, and
every pair: nothing is lost, everything is multiplied, and the size is a product.

**Low rank.** If the weight tensor is a sum of R outer products, the big tensor never has to exist: project each modality,
multiply, sum over R.
"""

# %%
tensor = TensorFusion([3, 5], out=2)
features = tensor.features(x, y).unflatten(1, (4, 6))  # (B, 1 + 3, 1 + 5)
print("row 0 is [1; text]:", torch.equal(features[0, 0, 1:], y[0]))
low = LowRankTensorFusion([3, 5], rank=2, out=2)
gap = (low(x, y) - tensor.features(x, y) @ low.full_weight().T).abs().max()
print("low rank = the tensor it stands for:", bool(gap < 1e-6))

# %% [markdown]
r"""
### Exercise 07.2 · low_rank ●●● 15 minutes · more

Shapes: image `(B, D_image)`, text `(B, D_text)`, factors `(R, K, D_image + 1)` and `(R, K, D_text + 1)`, result `(B, K)`.
Column 0 of the factors belongs to the 1. Do not build any tensor with both feature axes: the check looks at sizes.
"""


# %% tags=["exercise"]
def low_rank(image, text, image_factors, text_factors):
    """Tensor fusion of rank R without ever building the tensor."""
    raise NotImplementedError


check(exercise.low_rank, low_rank)
hint(exercise.low_rank)

# %% [markdown]
r"""
**Late fusion is many rules.** The image says 0.9 / 0.1, the text says 0.4 / 0.6, both count equally. *Voting* counts the winners:
here one vote against one, a tie. The others use the numbers:
"""

# %%
p, q = torch.tensor([[0.9, 0.1]]), torch.tensor([[0.4, 0.6]])
rules = {
    "average of p": late_fusion.fuse_probabilities(p, q),
    "average of log p": late_fusion.fuse_logits(p.log(), q.log()).exp(),
    "sum of log p": late_fusion.fuse_logits(p.log(), q.log(), weights=[1, 1]).exp(),
}
for name, value in rules.items():
    print(f"{name:17s} {value[0, 0]:.3f} / {value[0, 1]:.3f}")

# %% [markdown]
r"""
The average of probabilities asks "if I trust one of them at random, what do I expect?" and is never surer than the surer one.
The sum of log-probabilities multiplies, and a modality that says 0 vetoes a class. *Stacking* learns the rule: a small model reads
both predictions, and is fitted on examples that the two models were not trained on.

When is the sum right? If, given the class $c$, the modalities are **independent**, Bayes' rule says

$$\log p(c \mid x, y) = \log p(c \mid x) + \log p(c \mid y) - \log p(c) + \text{const}.$$

Both posteriors contain the prior $p(c)$, so it counts twice, and one is taken off (`prior=`). With equally frequent classes it drops
out. **Without that independence the formula is wrong, prior or not.** Take AND of two fair bits. The label is 1 in a quarter of the
cases, so the prior odds are 1 to 3. A bit of 1 makes the label a coin flip, odds 1:
"""

# %%
odds = {0: 0.0, 1: 1.0}  # P(label 1) : P(label 0), given one bit
print("image text   by the formula   in truth")
for a in (0, 1):
    for b in (0, 1):
        joint = odds[a] * odds[b] / (1 / 3)  # both posteriors, the prior once
        print(f"{a:5d} {b:4d} {joint / (1 + joint):16.2f} {a & b:10d}")

# %% tags=["claim"]
claim(
    "C07.7b",
    "On AND the bits are not independent given the label: Bayes with independence says 0.75 where "
    "the truth is 1, so the decision is right and the probability is not",
    joint / (1 + joint) == 0.75,
    measured="odds 1 · 1 / (1/3) = 3",
)

# %% [markdown]
r"""
Given label 0, the two bits are *not* independent: they are never both 1. The formula does not know that. The other way round it
fails too: two cameras that make the same mistakes say 0.8 and 0.8, and the sum of logs claims 0.94 (odds 4 · 4 = 16), although the second has added
nothing.

Do the two averages at least decide alike? Draw 10,000 random pairs of predictions.
"""

# %% tags=["claim"]
differ = {}
for classes in (2, 3):
    generator = torch.Generator().manual_seed(0)
    size = (2, 10_000, classes)
    logits = 2 * torch.randn(size, generator=generator, dtype=torch.float64)
    mixed = late_fusion.fuse_probabilities(*logits.softmax(-1)).argmax(-1)
    pooled = late_fusion.fuse_logits(*logits).argmax(-1)
    differ[classes] = (mixed != pooled).sum().item()
claim(
    "C07.13",
    "With two classes, two modalities and equal weights both averages decide alike; "
    "with three classes they do not",
    differ[2] == 0 and differ[3] > 100,
    measured=f"of 10,000 differ: {differ[2]} with two classes, {differ[3]} with three",
)

# %% [markdown]
r"""
Why never with two? $p_1 + p_2 > 1$ exactly when $p_1 > 1 - p_2$. That is the same as $\mathrm{logit}(p_1) > -\mathrm{logit}(p_2)$. So both
averages put the line at the same place. Calibration, other thresholds and a third modality tell them apart.

### Exercise 07.3 · late_fusion ●●○ 10 minutes

`(B, K), (B, K) -> (B, K)` probabilities whose rows sum to 1. `weight` is the image's share, a float from 0 to 1; the text gets the rest.
`space="probability"` averages probabilities; `space="log"` averages log-probabilities and normalises again. Softmax every modality
first: adding a constant to one row of logits must change nothing. Logits reach ±10,000, also on both sides at once: no `nan`.
"""


# %% tags=["exercise"]
def late_fusion_of(image_logits, text_logits, weight, space):
    """space: "probability" or "log"."""
    raise NotImplementedError


check(exercise.late_fusion, late_fusion_of)
hint(exercise.late_fusion)

# %% [markdown]
r"""
## 7.6 Explore: what can each operator draw?

One number per modality, so the whole world fits on a plane: image to the right, text upwards. After the operator stands one
linear layer. Orange means label 1, purple label 0. Guess first: for which operators will the XOR panel look like a chessboard?
"""

# %%
from sklearn.linear_model import LogisticRegression

SURFACES = {  # what the linear layer gets to see
    "late: add evidence": lambda x, y: (x, x.abs(), y, y.abs()),
    "sum": lambda x, y: (x + y,),
    "concat": lambda x, y: (x, y),
    "max": lambda x, y: (torch.maximum(x, y),),
    "product": lambda x, y: (x * y,),
    "text gates image": lambda x, y: ((4 * y).sigmoid() * x, (-4 * y).sigmoid() * x),
    "tensor": lambda x, y: (x, y, x * y),
}
axis = torch.linspace(-2, 2, 41)
grid = torch.cartesian_prod(axis, axis).T  # (2, 41 * 41)


# %%
def corners(noise, seed):
    """40 points around each of the four corners: bits of image and text, and where."""
    bits = torch.cartesian_prod(torch.arange(2), torch.arange(2)).repeat(40, 1).T
    generator = torch.Generator().manual_seed(seed)
    return bits, 2.0 * bits - 1 + noise * torch.randn(bits.shape, generator=generator)


# %%
def draw_surfaces(operator="late: add evidence", noise=0.3):
    """Probability of label 1 over the plane for three rules; accuracy on new points."""
    fig, axes = plt.subplots(
        1, 3, figsize=(6.6, 2.4), layout="constrained", sharey=True
    )
    (bits, points), (new_bits, new_points) = corners(noise, 0), corners(noise, 1)
    places = (points, new_points, grid)
    seen, new, plane = (torch.stack(SURFACES[operator](*at), 1) for at in places)
    for ax, rule in zip(axes, ("xor", "and", "or"), strict=True):
        model = LogisticRegression(C=10).fit(seen, RULES[rule](*bits))
        surface = model.predict_proba(plane)[:, 1].reshape(41, 41).T
        ax.contourf(axis, axis, surface, levels=20, cmap="PuOr_r", vmin=0, vmax=1)
        ax.scatter(*points, c=RULES[rule](*bits), s=12, cmap="PuOr_r", edgecolors="w")
        share = model.score(new, RULES[rule](*new_bits))
        ax.set(title=f"{rule.upper()}: {share:.0%} right", xlabel="image feature")
    axes[0].set_ylabel("text feature")
    return fig


# %%
explore(
    draw_surfaces,
    alt="Adding evidence separates AND and OR, and leaves XOR to guessing.",
    operator=list(SURFACES),
    noise=(0.0, 0.8),
)

# %% [markdown]
r"""
The static picture shows late fusion: AND and OR are easy, XOR is not, however flexible the two single-modality curves are.
Reading without a kernel? The whole zoo follows in one figure.

## 7.7 Evidence

**The world.** Two hidden bits. The image shows its bit as a 16-wide prototype plus noise, the text likewise, and the label is
a rule of the two bits. So we know what one modality alone can reach: 50 % for XOR, 75 % for AND and OR. Each model is trained on 800
examples, tested on 2,000 new ones, with five seeds.
"""


# %%
def zoo():
    gate, film = fusion.GatedFusion(16, 16, 16), fusion.FilmFusion(16, 16)
    one = FuseThenHead(LowRankTensorFusion([16, 16], 1, 1), nn.ZeroPad1d((1, 0)))
    late = FuseThenHead(fuse_concat, mlp(4, 2), mlp(16, 2), mlp(16, 2))
    return {
        "image alone": FuseThenHead(lambda image, text: image, mlp(16, 2)),
        "text alone": FuseThenHead(lambda image, text: text, mlp(16, 2)),
        "B: add logits": AddLogits(mlp(16, 2), mlp(16, 2)),
        "larger logit": FuseThenHead(fuse_max, nn.Identity(), mlp(16, 2), mlp(16, 2)),
        "E: MLP on logits": late,
        "sum, linear": FuseThenHead(fuse_sum, nn.Linear(16, 2)),
        "C: concat, linear": FuseThenHead(fuse_concat, nn.Linear(32, 2)),
        "product, linear": FuseThenHead(fuse_product, nn.Linear(16, 2)),
        "D: low rank, R = 1": one,
        "tensor": TensorFusion([16, 16], 2),
        "gate, linear": FuseThenHead(gate, nn.Linear(16, 2)),
        "FiLM, linear": FuseThenHead(film, nn.Linear(16, 2)),
        "sum, MLP": FuseThenHead(fuse_sum, mlp(16, 2)),
        "concat, MLP": FuseThenHead(fuse_concat, mlp(32, 2)),
    }


# %%
def label_loss(model, batch):
    return F.cross_entropy(model(batch[0], batch[1]), batch[2])


def train(model, data, seed, steps=200, batch=800, rate=1e-2, loss=label_loss):
    """Trained on (image, text, label); the seed fixes the order of the examples."""
    config = TrainConfig(steps=steps, batch_size=batch, learning_rate=rate, seed=seed)
    fit(model, data, loss, config)
    return model.eval().requires_grad_(False)


# %%
SEEDS = range(5)
models, xor = {}, {name: [] for name in zoo()}
for seed in SEEDS:
    data = make_symbol_pairs(800, rule="xor", seed=seed)[:3]
    image, text, label, *_ = make_symbol_pairs(2000, rule="xor", seed=1000 + seed)
    torch.manual_seed(seed)
    for name, model in zoo().items():
        models[name, seed] = train(model, data, seed)
        xor[name].append(accuracy(model(image, text), label))
print(len(models), "models trained")

# %% [markdown]
r"""
**A**, the average of two models trained apart, needs no training of its own. Voting and stacking take the same two models; stacking is
fitted on 2,000 pairs that they have not seen. And as a control: stacking on two networks that were *never trained*.
"""


# %%
def stacked(lone, seed):
    """A small network on the predictions of two others, fitted on 2,000 more pairs."""
    held = make_symbol_pairs(2000, rule="xor", seed=500 + seed)
    said = [model(held.image, held.text) for model in lone]
    head = train(FuseThenHead(fuse_concat, mlp(4, 2)), (*said, held.label), seed)
    return lambda image, text: head(*(model(image, text) for model in lone))


# %%
for seed in SEEDS:
    lone = models["image alone", seed], models["text alone", seed]
    image, text, label, *_ = make_symbol_pairs(2000, rule="xor", seed=1000 + seed)
    f, g = (model(image, text) for model in lone)
    vote = (f > f.flip(1)).float() + (g > g.flip(1)).float()
    said = {"apart: vote": vote, "apart: A, mean of p": f.softmax(-1) + g.softmax(-1)}
    said["apart: stack"] = stacked(lone, seed)(image, text)
    raw = [zoo()[name].requires_grad_(False) for name in ("image alone", "text alone")]
    said["untrained: stack"] = stacked(raw, seed)(image, text)
    for name, z in said.items():
        xor.setdefault(name, []).append(accuracy(z, label))
print(f"{len(xor)} ways to decide, {len(SEEDS)} seeds")

# %% tags=["reveal"]
label = "test accuracy on XOR, one mark per seed (dotted: chance)"
fig, ax = dot_plot({"XOR": xor}, xlabel=label, chance=0.5)
show(
    fig, "Additive models stay at chance; E, products, gates, hidden layers are near 1."
)

# %% tags=["claim", "reveal"]
additive = ("apart: A, mean of p", "B: add logits", "sum, linear", "C: concat, linear")
solvers = (
    "sum, MLP",
    "concat, MLP",
    "gate, linear",
    "FiLM, linear",
    "tensor",
    "D: low rank, R = 1",
)
most = max(max(xor[name]) for name in additive)
least = min(min(xor[name]) for name in solvers)
claim(
    "C07.2",
    "On XOR whatever only adds evidence stays at chance; a hidden layer, a gate, FiLM or a product "
    "solves it (5 seeds)",
    most < 0.56 and least > 0.97 and min(xor["product, linear"]) > 0.92,
    measured=f"additive at most {most:.3f}, others at least {least:.3f}, "
    f"raw product at least {min(xor['product, linear']):.3f}",
    answer="only D",
)

# %% tags=["claim", "reveal"]
mlp_on_logits, larger = xor["E: MLP on logits"], xor["larger logit"]
vote, stack = xor["apart: vote"], xor["apart: stack"]
untrained = xor["untrained: stack"]
more = sum(untrained) / 5 - sum(stack) / 5
claim(
    "C07.2b",
    "Late fusion can learn XOR: a small network on four logits, trained together with what makes "
    "them, solves it. The larger logit gets at most three cells of four; of models trained apart a "
    "vote is at chance, and stacking solves it in no seed, on average less than on untrained ones (5 seeds)",
    min(mlp_on_logits) > 0.97
    and max(larger) < 0.8
    and max(vote) < 0.57
    and max(stack) < 0.95
    and more > 0.05,
    measured=f"network {min(mlp_on_logits):.3f} to {max(mlp_on_logits):.3f}, larger logit "
    f"{min(larger):.3f} to {max(larger):.3f}, vote {min(vote):.3f} to {max(vote):.3f}, "
    f"stack {min(stack):.3f} to {max(stack):.3f}, on untrained networks {min(untrained):.3f} to "
    f"{max(untrained):.3f}",
    answer="nearly 100 %",
)

# %% [markdown]
r"""
So A, B and C stay at 50 %, D and E solve it. "Late fusion cannot learn XOR" is a sentence that many people say, and it is wrong.
**The limit is the additive rule, or training apart on that label. It is not the place where the modalities meet.**

**The rule.** An additive score is $s = f(x) + g(y)$. XOR needs $s > 0$ for $(0, 1)$ and $(1, 0)$, so
$f(0) + g(1) + f(1) + g(0) > 0$. It needs $s < 0$ for $(0, 0)$ and $(1, 1)$, so $f(0) + g(0) + f(1) + g(1) < 0$. The two left-hand sides are
the same number. No network for $f$ or $g$ helps. A vote is additive too.

**Why 50 % and not 75 %?** An additive score can still get three cells right, 75 %. Why does training stop at 50 %? Take image
bit 0: half its rows are labelled 1, half 0. The same holds for every bit. So at score 0 each term is pulled up as hard as down. The
gradient is zero, and the loss is convex in the score: that is the minimum.

**The larger logit** per class is not additive, and still fails. Each side holds a logit for label 0 and one for label 1 per bit, eight in
all. Call the largest of the eight $v$. Say it belongs to image bit 0 and label 1. In both cells with image bit 0 nothing is larger, so
both become label 1; but XOR labels one of them 0. Three cells are possible, 75 %.

**Training apart.** A model that sees the image alone is paid for the probability of the label given the image. On XOR that is ½
whatever the bit. A perfect model says ½ always, and from ½ and ½ no rule can read two bits. Ours are not perfect: what they say still
leans one way for one bit, and stacking finds that. It is no fruit of training: two random networks that never saw a label give stacking *more*
to read on average, because a random projection of the image still holds its bit. Training alone on this label drives the bit out. Trained *together*, the four numbers stop being opinions on the label: each pair becomes a code of its bit. Nothing forbids
this, and then the parts can no longer be read or calibrated apart, which was the reason to fuse late. (Trained apart on *other* labels,
"dog in the image?" and "dog in the caption?", two decisions and one rule on top are enough: that is a cascade.)

**AND needs both modalities and no interaction.** The score $a + b - 1.5$ is right in all four cells. And yet the average of two models
that were trained apart loses: at $(1, 1)$ each model, seeing its own 1, says ½, and the average is a coin flip on a quarter of the
examples. Must one train them together to repair it? Four are compared below: B, trained together; and from two models trained
apart the average above ½, the average above a cut that was tuned on other pairs, and Bayes' formula.
"""


# %%
def best_cut(value, label):
    """The threshold with the most right answers."""
    cuts = value.sort().values[::20]
    right = (value[:, None] > cuts) == label[:, None]
    return cuts[right.float().mean(0).argmax()]


# %% tags=["claim"]
decided = {"B, together": [], "average > 1/2": [], "average > tuned": [], "Bayes": []}
for seed in SEEDS:
    data = make_symbol_pairs(8000, rule="and", seed=seed)[:3]
    torch.manual_seed(seed)
    names = ("B: add logits", "image alone", "text alone")
    joint, *lone = [train(zoo()[name], data, seed) for name in names]
    held = make_symbol_pairs(2000, rule="and", seed=500 + seed)
    new = make_symbol_pairs(2000, rule="and", seed=1000 + seed)
    before, p = (
        torch.stack(
            [model(pairs.image, pairs.text).softmax(-1)[:, 1] for model in lone]
        )
        for pairs in (held, new)
    )
    cut = best_cut(before.mean(0), held.label)
    log_odds = p.logit(eps=1e-6).sum(0) - torch.tensor(1 / 3).log()  # the prior once
    together = joint(new.image, new.text).argmax(-1) == 1
    said = (together, p.mean(0) > 0.5, p.mean(0) > cut, log_odds > 0)
    for name, answers in zip(decided, said, strict=True):
        decided[name].append((answers == new.label).float().mean().item())
joint, half, tuned, bayes = torch.tensor(list(decided.values()))
claim(
    "C07.7",
    "On AND averaging p at ½ loses; a threshold tuned on held-out data, or subtracting the log "
    "prior, repairs the decision (5 seeds)",
    half.mean() < 0.94
    and (half < tuned).all()
    and tuned.min() > 0.97
    and bayes.min() > 0.97
    and joint.min() > 0.97,
    measured=f"average {half.min():.3f} to {half.max():.3f}, tuned at least {tuned.min():.3f}, "
    f"prior {bayes.min():.3f}, B, trained together, {joint.min():.3f}",
)

# %% [markdown]
r"""
Averaging at ½ was the mistake, not training apart. Bayes' formula repairs the *decision*; its probability at $(1, 1)$ is 0.75 and not
1, as we saw by hand, because the bits are not independent given the label.

**How much tensor do you need?** For XOR rank 1 was enough. Now ask a matching question, the bread and butter of image-text
models: do image and text show the *same* one of eight things? Each thing is a one-hot vector. "Same" is a sum of eight products, one
per thing.
"""

# %%
bet("C07.6b", "Without noise: which rank is enough?", ["1", "2", "3", "7", "8"])

# %% tags=["reveal"]
angle = 2 * torch.pi * torch.arange(8) / 8
circle = torch.stack([angle.cos(), angle.sin()])  # (2, 8): each thing is an arrow
match = LowRankTensorFusion([8, 8], rank=3, out=1).requires_grad_(False)
for factor, third in zip(match.factors, (1.0, -0.85), strict=True):
    factor.weight[:2], factor.weight[2] = circle, 0.0
    factor.bias[:] = torch.tensor([0.0, 0.0, third])
image, text = torch.eye(8).repeat_interleave(8, dim=0), torch.eye(8).repeat(8, 1)
table = match(image, text).view(8, 8)
for row in table.tolist():
    print(*(f"{value:6.2f}" for value in row))

# %% [markdown]
r"""
Two products and a constant: $\cos\theta_i\cos\theta_j + \sin\theta_i\sin\theta_j = \cos(\theta_i - \theta_j)$. It is 1 for the same thing and at
most $\cos 45° = 0.71$ for two different ones. So **rank 3 is enough, for eight things or, in exact arithmetic, eight million.** Rank 2 is not, from
four things on. With rank 2 each thing of the text is an arrow in a plane, and image thing 1 needs a line through the origin with its
own arrow on one side and all the others on the other side. Those others then fill less than half a turn, so one of them lies
between two others. Whatever rejects those two rejects it, its own image too.

What is a higher rank good for, then? **Noise.** An arrow among eight million is not far from its neighbour. Turn each thing on more
circles, at double, three times and four times the angle: rank 5, 7, 8. At rank 8 the score is the identity matrix.
"""


# %%
def arrows(rank):
    """(rank - 1, 8): every thing on circles of angle, 2 angle, 3 angle, 4 angle."""
    turns = torch.arange(1, 5)[:, None] * angle
    rows = torch.stack([turns.cos(), turns.sin()], dim=1).flatten(0, 1)
    rows[6] /= 2**0.5  # the last circle has no sine: half the weight
    return rows[: rank - 1]


print("rank  gap to the next thing  noise of the score  gap / noise")
for rank in (3, 5, 7, 8):
    table = arrows(rank).T @ arrows(rank)  # (8, 8)
    gap = table[0, 0] - table[0, 1:].max()
    noise = 0.2 * (2 * table[0].square().sum()).sqrt()  # 0.2 per feature
    print(f"{rank:4d} {gap:18.2f} {noise:20.2f} {gap / noise:15.1f}")

# %% [markdown]
r"""
Where the noise of the score comes from: $S$ is the 8 × 8 table of scores, $e_i$ and $e_j$ the one-hot vectors, $\varepsilon$ and $\delta$ their noise, $\sigma$ per feature. Then $s = (e_i + \varepsilon)^\top S\,(e_j + \delta)$. To first order that
is $S_{ij} + \varepsilon \cdot S_{\cdot j} + S_{i \cdot} \cdot \delta$. Its variance is $\sigma^2(\lVert S_{\cdot j}\rVert^2 + \lVert S_{i\cdot}\rVert^2)$,
twice the same number here. So let us see accuracy over rank and noise.
"""


# %%
def built(rank, noise):
    """Accuracy of the construction on 4,000 pairs; 4,000 others tuned its threshold."""
    pairs = make_matching_pairs(8000, things=8, seed=0, noise=noise)
    value = ((pairs.image @ arrows(rank).T) * (pairs.text @ arrows(rank).T)).sum(dim=1)
    cut = best_cut(value[:4000], pairs.label[:4000])
    return ((value > cut) == pairs.label)[4000:].float().mean().item()


# %% tags=["reveal"]
fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
levels = torch.linspace(0, 0.4, 9).tolist()
for rank, marker in zip((3, 5, 7, 8), MARKERS, strict=False):
    curve = [built(rank, noise) for noise in levels]
    ax.plot(levels, curve, marker=marker, label=f"rank {rank}")
ax.axhline(0.56, color="grey", linestyle=":", label="always “same”")
ax.set(xlabel="noise per feature", ylabel="test accuracy")
ax.legend(fontsize=8)
show(
    fig,
    "Without noise rank 3 is perfect; with noise accuracy rises steadily with rank.",
)


# %% tags=["claim", "reveal"]
def learnt(rank, noise, seed):
    """Accuracy of trained factors; one output z becomes the logits [0, z]."""
    data, new = (
        make_matching_pairs(
            count, things=8, seed=1000 * (count > 1000) + seed, noise=noise
        )
        for count in (1000, 2000)
    )
    torch.manual_seed(seed)
    factors = LowRankTensorFusion([8, 8], rank, out=1)
    model = FuseThenHead(factors, nn.ZeroPad1d((1, 0)))
    train(model, data[:3], seed, steps=400, batch=1000, rate=3e-2)
    return accuracy(model(new.image, new.text), new.label)


learned = {}
for rank, noise in ((2, 0.0), (3, 0.0), (3, 0.2), (5, 0.2), (8, 0.2), (12, 0.2)):
    learned[rank, noise] = [learnt(rank, noise, seed) for seed in range(3)]
without = {rank: built(rank, 0.0) for rank in (3, 8)}
noisy = {rank: built(rank, 0.2) for rank in (3, 5, 7, 8)}
low3, low5, low8, low12 = (sorted(learned[rank, 0.2]) for rank in (3, 5, 8, 12))
claim(
    "C07.6b",
    "Rank 3 tells whether two of 8 things are the same, without an error if there is no noise; rank 2 "
    "does not. At noise 0.2 a higher rank buys margin up to 8, without a step there, and 12 buys no "
    "more (built, and trained with 3 seeds)",
    without[3] == 1
    and min(learned[3, 0.0]) > 0.95
    and max(learned[2, 0.0]) < 0.95
    and noisy[3] + 0.04 < noisy[5] < noisy[7] - 0.03
    and noisy[7] < noisy[8] < noisy[7] + 0.05
    and low3[2] + 0.03 < low5[0] < low5[2] < low8[0] - 0.02
    and abs(low12[1] - low8[1]) < 0.03,
    measured=f"built, no noise: rank 3 {without[3]:.3f}; built, noise 0.2: "
    + ", ".join(f"{rank} {value:.3f}" for rank, value in noisy.items())
    + f"; trained, no noise: rank 2 at most {max(learned[2, 0.0]):.3f}, rank 3 at least "
    f"{min(learned[3, 0.0]):.3f}; trained, noise 0.2: rank 3 {low3[1]:.3f}, 5 {low5[1]:.3f}, "
    f"8 {low8[1]:.3f}, 12 {low12[1]:.3f}",
    answer="3",
)

# %% tags=["claim"]
rank_one = min(xor["D: low rank, R = 1"])
claim(
    "C07.6",
    "Two 16-wide vectors make (16 + 1)(16 + 1) = 289 tensor features, and rank 1 is enough for XOR "
    "(5 seeds)",
    tensor_fusion.tensor_fusion_cost([16, 16], out=2).features == 289
    and rank_one > 0.97,
    measured=f"rank 1 at least {rank_one:.3f} on XOR",
)

# %% [markdown]
r"""
So "which rank does my label need?" has two answers: a small one for what can be *expressed*, and a larger one for what survives the
noise. In practice rank is tuned on validation data, like any width.

### Exercise 07.4 · pick_operator ●●○ 10 minutes

Five accuracies on one validation set: image alone, text alone, the best additive model, the best joint model, chance. The best of
the first four is the ceiling (a joint model that failed to train is not). Return the cheapest choice that reaches the ceiling
within the tolerance: `"one modality"`, else `"late fusion"` (additive), else `"interaction"`. If the ceiling itself is not above chance
by more than the tolerance, return `"collect better data"`. A difference of exactly `tolerance` still counts as no difference.
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
the digit. Voices of the test set never speak in training, nor, as far as the order of the data tells, do its writers write. The
image carries pixel noise, the sound a noise three times as strong as the voice. Image and clip are paired by label alone, so given
the digit they are independent. Keep that in mind.
"""

# %%
NOISE = {"image_noise": 0.3, "sound_noise": 3.0}
digits = load_seen_and_heard("train", seed=0, **NOISE)
fig, axes = plt.subplots(2, 3, figsize=(3, 2), layout="constrained")
for column, (seen, heard) in enumerate(axes.T):
    seen.imshow(digits.image[column], cmap="gray_r", vmin=0, vmax=1)
    heard.imshow(digits.sound[column].T, origin="lower", aspect="auto", cmap="magma")
plt.setp(axes, xticks=[], yticks=[])
show(fig, "Three noisy digits above the spectrograms that belong to them.")

# %% [markdown]
r"""
Image alone, sound alone, and models that train both encoders *together* and fuse their 32-wide outputs (sum and concat are
additive, with a linear head). And two that train nothing new: average the probabilities of the single models, or add their
log-probabilities. Which of the nine wins?
"""


# %%
def senses():
    """Name: (fusion of two 32-wide vectors, width of the result, learning rate)."""
    return {
        "image alone": (lambda image, sound: image, 32, 3e-3),
        "sound alone": (lambda image, sound: sound, 32, 3e-3),
        "sum": (fuse_sum, 32, 1e-2),
        "concat": (fuse_concat, 64, 3e-3),
        "product": (fuse_product, 32, 3e-3),
        "gate": (fusion.GatedFusion(32, 32, 32), 32, 1e-2),
        "low rank, R = 4": (LowRankTensorFusion([32, 32], 4, 10), 10, 3e-3),
    }


# %% [markdown]
r"""
Each learning rate was chosen from 0.001, 0.003 and 0.01 by validation on a part of the training digits. That matters: at 0.003, good for
most of the others, the gate stays well behind. A rival that was not tuned is no rival.
"""


# %%
def train_digits(seed):
    """All seven models of one seed's pairing and noise."""
    data, fitted = load_seen_and_heard("train", seed=seed, **NOISE)[:3], {}
    torch.manual_seed(seed)
    for name, (fuse, width, rate) in senses().items():
        encoders = mlp(8 * 8, 32, hidden=64), mlp(40 * 20, 32, hidden=64)
        model = FuseThenHead(fuse, nn.Linear(width, 10), *encoders)
        fitted[name] = train(model, data, seed, batch=128, rate=rate)
    return fitted


# %% tags=["claim"]
def test_digits(fitted, seed, condition):
    """{model: accuracy} on 510 test digits, two late fusions of single models included."""
    test = load_seen_and_heard("test", seed=seed, **{**NOISE, **DAMAGE[condition]})
    sound = test.sound
    if condition == "no sound: mean":  # of the training clips
        heard = load_seen_and_heard("train", seed=seed, **NOISE).sound
        sound = heard.mean(dim=0).expand_as(sound)
    z = {name: model(test.image, sound) for name, model in fitted.items()}
    alone = [z["image alone"], z["sound alone"]]
    if not test.sound_present.any():
        alone = alone[:1]
    z["late: average p"] = sum(each.softmax(-1) for each in alone)
    z["late: add log p"] = sum(each.log_softmax(-1) for each in alone)
    return {name: accuracy(logits, test.label) for name, logits in z.items()}


DAMAGE = {
    "as trained": {},
    "drowned sound": {"sound_noise": 10.0},
    "no sound: zeros": {"sound_missing": 1.0},
    "no sound: mean": {"sound_missing": 1.0},
}
tested = {condition: {} for condition in DAMAGE}
for seed in SEEDS:
    fitted = train_digits(seed)
    for condition in DAMAGE:
        for name, value in test_digits(fitted, seed, condition).items():
            tested[condition].setdefault(name, []).append(value)
fig, ax = dot_plot(tested, xlabel="test accuracy (dotted: chance)", chance=0.1)
show(
    fig,
    "As trained, fusion beats single modalities; without sound joint models fall behind.",
)
clean = {name: torch.tensor(values) for name, values in tested["as trained"].items()}
best_single = torch.maximum(clean["image alone"], clean["sound alone"])
fused_names = [name for name in clean if "alone" not in name]
gain = {name: (clean[name] - best_single).mean().item() for name in fused_names}
claim(
    "C07.9",
    "Seen and heard beats the better single modality by over 5 points in each of seven ways to "
    "fuse, the gate included once its learning rate is tuned (mean of 5 seeds)",
    min(gain.values()) > 0.05,
    measured=", ".join(f"{name} {value:.3f}" for name, value in gain.items()),
)
TOGETHER = ("sum", "concat", "product", "gate", "low rank, R = 4")
late, average = clean["late: add log p"], clean["late: average p"]
best_joint = max((clean[name].mean().item(), name) for name in TOGETHER)
claim(
    "C07.9b",
    "None of five models trained together beats adding log p of models trained apart by 1.5 points; "
    "averaging p loses to it (5 seeds)",
    best_joint[0] < late.mean().item() + 0.015 and (late > average).all(),
    measured=f"add log p {late.mean():.3f}, average p {average.mean():.3f}, "
    f"best trained together {best_joint[1]} {best_joint[0]:.3f}",
)

# %% [markdown]
r"""
Training together buys nothing here. Given the digit, image and clip are independent *by construction*, so the log-posterior is a
sum and nothing beyond addition is needed. With ten classes the two late fusions differ as well: multiplying lets two weak votes
agree. (Three times the steps, a tensor, an MLP on the concatenation, in separate runs: the order stays.) On XOR the winner of today was at chance. **The operator has to fit the label, not the fashion.**

The other marks of the figure: the same models on a test set that is damaged in a way that training never showed, on the sound only.
"""

# %% tags=["claim"]
drowned = {
    name: torch.tensor(values) for name, values in tested["drowned sound"].items()
}
silent, filled = (
    {name: torch.tensor(values) for name, values in tested[f"no sound: {kind}"].items()}
    for kind in ("zeros", "mean")
)
lost = {
    name: (clean["image alone"] - values).mean() for name, values in drowned.items()
}
added = ("sum", "concat", "gate", "late: add log p")
claim(
    "C07.10",
    "With the sound drowned at test time every fusion falls below the image alone: sum, concat, gate "
    "and adding log p by over 8 points in each seed, a product by less than these (5 seeds)",
    all((clean["image alone"] - drowned[name]).min() > 0.08 for name in added)
    and min(lost[name] for name in fused_names) > 0
    and lost["product"] < min(lost[name] for name in added) - 0.05,
    measured=", ".join(f"{name} {lost[name]:.3f}" for name in fused_names),
)
claim(
    "C07.10b",
    "Without sound late fusion drops a term; models trained together lose over 8 points to the image "
    "alone if zeros stand in, and still lose if the mean of the training sounds does; a product, "
    "which zeros nearly silence, gains over 30 points by the mean (5 seeds)",
    all((clean["image alone"] - silent[name]).min() > 0.08 for name in TOGETHER)
    and all((clean["image alone"] - filled[name]).mean() > 0.02 for name in TOGETHER)
    and (filled["product"] - silent["product"]).mean() > 0.3
    and torch.equal(silent["late: add log p"], clean["image alone"]),
    measured=", ".join(
        f"{name} {values.mean():.3f} and {filled[name].mean():.3f}"
        for name, values in silent.items()
    ),
)

# %% [markdown]
r"""
A second modality is a promise about test time. Late fusion runs with a *missing* modality by construction: it drops a term. It is
not robust to a *broken* one. A sum adds the wrong evidence of a broken sound, a product only scales what the image says; but zeros in place of the sound then
wipe the image out. So *how* you fill a gap counts as much as the operator: zeros are an input that training never saw, and so is the mean. Gates that saw broken sensors in training, and modality dropout, come in lesson 08 (planned).

**Two encoders, one loss.** Is training together at least harmless for the encoders? The slope of the cross-entropy at the logits is
$p - \text{onehot}$, the same for both of them: think what an easy partner does to it. Make the sound easy (noise 0.3) and the encoders narrow (8 features). Train the image encoder alone; together
with the sound; together with every second sound left out (*modality dropout*); or together with a second loss from a head of the image's
*own*. Then freeze the image encoder and ask a new linear
classifier how much it knows.
"""


# %%
def probe(arm, data, test, seed):
    """What a new linear classifier gets from the frozen image encoder."""
    torch.manual_seed(seed)
    heard = data.sound * (torch.rand(len(data.sound), 1, 1) >= WITHOUT_SOUND[arm])
    shown = (data.image, heard, data.label)
    model = FuseThenHead(fuse_concat, nn.Linear(16, 10), mlp(8 * 8, 8), mlp(40 * 20, 8))
    steps = 1 if arm == "untrained" else 300
    model.own = nn.Linear(8, 10)
    loss = own_head_loss if arm == "together, own head" else label_loss
    see = train(model, shown, seed, steps, 128, 3e-3, loss).encode_image
    fresh = LogisticRegression(max_iter=2000).fit(see(data.image), data.label)
    return fresh.score(see(test.image), test.label)


# %%
def own_head_loss(model, batch):
    """The usual loss, and one that the image has to lower by itself."""
    own = model.own(model.encode_image(batch[0]))
    return label_loss(model, batch) + F.cross_entropy(own, batch[2])


WITHOUT_SOUND = {"untrained": 0, "together": 0, "alone": 1}
WITHOUT_SOUND |= {"together, dropout": 0.5, "together, own head": 0}
bet(
    "C07.14",
    "Beside an easy sound, the image encoder is",
    ["as good as alone", "worse"],
)

# %% tags=["claim", "reveal"]
knows = {name: [] for name in WITHOUT_SOUND}
for seed in SEEDS:
    easy = {"image_noise": 0.3, "sound_noise": 0.3, "seed": seed}
    data, test = (load_seen_and_heard(part, **easy) for part in ("train", "test"))
    for arm, values in knows.items():
        values.append(probe(arm, data, test, seed))
fig, ax = dot_plot({"": knows}, xlabel="accuracy of a new classifier", chance=0.1)
show(fig, "Trained with an easy sound the image encoder stays below one trained alone.")
gaps = torch.tensor(knows["alone"]) - torch.tensor(knows["together"])
learnt = torch.tensor(knows["together"]) - torch.tensor(knows["untrained"])
remedies = torch.tensor([knows["together, dropout"], knows["together, own head"]])
helped = remedies - torch.tensor(knows["together"])
claim(
    "C07.14",
    "Trained together with an easy sound, the image encoder learns less than alone, by over 3 points; "
    "leaving out every second sound, or an own head and loss, repairs over half of it (8 features, "
    "sound noise 0.3, 5 seeds)",
    gaps.min() > 0.03
    and learnt.min() > 0.1
    and (helped.mean(dim=1) > gaps.mean() / 2).all(),
    measured=", ".join(
        f"{name} {min(v):.3f} to {max(v):.3f}" for name, v in knows.items()
    ),
    answer="worse",
)

# %% [markdown]
r"""
This is called *modality competition*: once one of the two explains the label, the slope is 0 for both, and the other stops learning. Neither training longer nor a wider encoder mended it in separate runs. With both modalities present nothing seems wrong: the sound carries the answer. The price
comes when the sound is missing or broken: then what the encoder has not learnt is missing. Remedies: modality
dropout or a loss for each modality alone, as here; weighting the losses by how each side overfits (Wang et al.); slowing the faster side; encoders that were trained
before. For a late-fusion network on a simplified data distribution it is proved that
training learns only a subset of the modalities (Huang et al.).
"""

# %% [markdown]
r"""
## 7.8 Wrong answers people give

Bet before you run: is the sentence true?

> **"Late fusion cannot learn interactions, early fusion can."**

It mixes up the place and the rule. Claim C07.2b above is a late fusion that learns XOR. And here is an early one that cannot:

> **"Concatenation lets the model see interactions between the modalities."**

It sounds right because both are in one vector. But a linear layer on a concatenation splits into two blocks of columns, one
per modality: $W[x; y] = W_x x + W_y y$. It *is* additive. The interaction comes from the hidden layer.
"""

# %% tags=["claim"]
layer = nn.Linear(16 + 16, 5).double()
x, y = torch.randn(2, 40, 16, dtype=torch.float64)
joined = layer(fuse_concat(x, y))
added = x @ layer.weight[:, :16].T + y @ layer.weight[:, 16:].T + layer.bias
gap = (joined - added).abs().max().item()
claim(
    "C07.3",
    "Concatenation and a linear layer is a sum of two linear layers",
    gap < 1e-13,
    measured=f"gap {gap:.0e}",
)

# %% [markdown]
r"""
> **"Max pooling over modalities is a kind of weighted average."**

It sounds right because a maximum lies between its inputs, like an average. But which input wins changes with the input: it is a
one-hot *gate*, not a fixed weighting. Weights that give $\max(1, 0) = 1$ and $\max(0, 1) = 1$ must be 1 and 1. Then
$\max(1, 1)$ would be 2. (Max even holds a product: for bits written as ±1, $\max(a, b) + \max(-a, -b) = 1 - ab$.)
"""

# %%
x = torch.tensor([[1.0, 0.0, 1.0, -2.0]], requires_grad=True)
y = torch.tensor([[0.0, 1.0, 0.5, -1.0]], requires_grad=True)
fuse_max(x, y).sum().backward()
print("image  ", x.tolist()[0], " gradient", x.grad.tolist()[0])
print("text   ", y.tolist()[0], " gradient", y.grad.tolist()[0])

# %% tags=["claim"]
weights = torch.linalg.solve(torch.eye(2), torch.ones(2))
claim(
    "C07.4",
    "The only weights that imitate max on (1, 0) and (0, 1) fail on (1, 1); its gradient goes to one "
    "modality per feature",
    weights.sum() != max(1, 1)
    and torch.equal(x.grad + y.grad, torch.ones(1, 4))
    and (x.grad * y.grad == 0).all(),
    measured=f"weights {weights[0]:.0f} and {weights[1]:.0f} give {weights.sum():.0f} for max(1, 1)",
)

# %% [markdown]
r"""
> **"Concatenate and let the model sort it out; scale does not matter."**

For a network with normalisation, often true. For everything that uses *distances* (nearest neighbours, clustering, retrieval
on concatenated embeddings) the modality with the larger numbers decides alone. Here the informative modality has unit
scale and the other is pure noise with a standard deviation of 100.
"""


# %% tags=["claim"]
def nearest(vectors):
    """Accuracy of the nearest other example's label."""
    distance = torch.cdist(vectors, vectors).fill_diagonal_(float("inf"))
    return (label[distance.argmin(dim=1)] == label).float().mean().item()


generator = torch.Generator().manual_seed(0)
label = torch.randint(0, 2, (600,), generator=generator)
informative = 2.0 * label[:, None] + 0.5 * torch.randn(600, 8, generator=generator)
loud = torch.cat([informative, 100 * torch.randn(600, 8, generator=generator)], dim=1)
scaled = (loud - loud.mean(dim=0)) / loud.std(dim=0)

claim(
    "C07.5",
    "Concatenated raw, the loud modality drowns the other: 1-NN at chance; z-scored, almost perfect",
    nearest(loud) < 0.6 and nearest(scaled) > 0.95,
    measured=f"raw {nearest(loud):.3f}, z-scored {nearest(scaled):.3f}",
)

# %% [markdown]
r"""
> **"Attention fusion weighs the modalities adaptively, so it is always the stronger choice."**

With *cross*-attention onto *one pooled vector* there is a single key, a softmax over one score is 1, and the query is never
heard: the text below changes completely, what it reads from the image not at all. Self-attention over the two pooled vectors has
two keys and is a softmax gate, one weight per modality. Attention earns its price when there are many tokens to choose from.
"""

# %%
attend = fusion_tokens.CrossAttentionFusion(text_width=8, image_width=6, heads=2)
text, other = torch.randn(2, 4, 3, 8)  # (B, T, D)
patches = torch.randn(4, 9, 6)  # (B, P, D_image)
for keys in (patches[:, :1], patches):
    change = attend(text, keys).attended - attend(10 * other, keys).attended
    print(keys.shape[1], "key(s), the answer changes:", bool(change.abs().max() > 1e-6))

# %% tags=["claim"]
one, one_other = (attend(t, patches[:, :1]) for t in (text, 10 * other))
many, many_other = (attend(t, patches) for t in (text, 10 * other))
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

# %% tags=["claim"]
one_encoder = F.one_hot(torch.arange(2), 2).double().repeat(1, 8)  # (B, D) = (2, 16)
another = one_encoder.roll(1, dims=1)  # as good; its features stand one place further
aligned, unaligned = (
    fusion.fuse_mean(one_encoder, each) for each in (one_encoder, another)
)
distances = [(each[1] - each[0]).norm().item() for each in (aligned, unaligned)]
claim(
    "C07.11",
    "Averaging two perfect encoders whose features stand in different order can erase what both know",
    distances[0] > 3.9 and distances[1] == 0.0,
    measured=f"distance: same order {distances[0]:.2f}, other order {distances[1]:.2f}",
)

# %% [markdown]
r"""
## 7.9 At scale

Widths of real encoders: 1,024 for the image tower and 768 for the text tower of CLIP ViT-L/14, 512 for the encoder of
Whisper base. A fused vector of 256.
"""

# %%
for widths in ((1024, 768), (1024, 768, 512)):
    full = tensor_fusion.tensor_fusion_cost(widths, out=256)
    low = tensor_fusion.low_rank_cost(widths, rank=8, out=256)
    for name, cost in {"tensor": full, "R = 8": low}.items():
        gib = 2 * cost.parameters / 2**30
        print(
            f"{len(widths)} modalities, {name:7s} {cost.features:12,} features", end=""
        )
        print(f" {cost.parameters:15,} parameters {gib:8,.2f} GiB in bf16")

# %% [markdown]
r"""
A third modality of width 512 multiplies the tensor by 513 and only adds to the low-rank form. Training in mixed precision with Adam
takes about 16 bytes per parameter instead of 2: weight and gradient in 16 bits are 4 bytes, and a 32-bit copy of the weight with
Adam's two moments 12 more.

**Tokens.** LLaVA-1.5 concatenates 576 visual tokens with the words. Attention scores per head and layer for 64 text tokens, and what
a 7-billion-parameter model with 32 layers of width 4,096 computes in a forward pass:
"""

# %%
P, T, N = 576, 64, 4  # visual tokens, text tokens, bottleneck tokens
own = P**2 + T**2  # each modality attends to itself
print(
    f"inside the modalities {own:,}; across: cross-attention {T * P:,}, bottleneck",
    end=" ",
)
print(f"{(P + N) ** 2 + (T + N) ** 2 - own:,}, all tokens {(P + T) ** 2 - own:,}")
linear, products = 2 * 7e9 * (P + T), 4 * (P + T) ** 2 * 4096 * 32  # FLOPs
print(f"linear layers {linear / 1e12:.1f} TFLOP, of which visual {P / (P + T):.0%}")
print(f"attention products {products / 1e12:.2f} TFLOP")

# %% [markdown]
r"""
Scores look like the price of concatenation and are not: at this length the linear layers cost far more, and nine tokens in ten
are visual. So one pays for concatenation with 576 more tokens in *every* linear layer, and lets every layer mix. The layers of the
language model stay as they are, but one new part is needed: a **projector** from the width of the image encoder to that of the
language model, two linear layers in LLaVA-1.5. (A causal mask computes about half of the scores.) Lesson 10 (planned) takes up connectors
that shorten the 576, lesson 26 (planned) the memory.

## 7.10 Going deeper: look inside

What did the tensor learn for XOR? Its weights for the difference of the two logits form a 17 × 17 matrix. If one product of two
projections is all that XOR needs, the matrix should be close to rank 1, and its first singular vectors should point from one
prototype of each modality to the other.
"""


# %%
def difference(model):
    """(17, 17) weights of "label 1 rather than 0"."""
    return (model.out.weight[1] - model.out.weight[0]).detach().view(17, 17)


fig, ax = plt.subplots(figsize=(6, 2.2), layout="constrained")
for model, style in ((models["tensor", 0], "o-"), (zoo()["tensor"], "s--")):
    ax.plot(torch.linalg.svdvals(difference(model)), style)
ax.set(xlabel="singular values: trained (circles), untrained (squares)")
show(fig, "After training the first singular value towers over the rest.")

# %% tags=["claim"]
clean_pairs = make_symbol_pairs(100, rule="xor", seed=0, noise=0.0)
truth = [
    shown[bit == 1][0] - shown[bit == 0][0]
    for shown, bit in zip(clean_pairs[:2], clean_pairs[3:], strict=True)
]
shares, cosines = [], []
for seed in SEEDS:
    left_part, sizes, right_part = torch.linalg.svd(difference(models["tensor", seed]))
    shares.append((sizes[0] ** 2 / sizes.square().sum()).item())
    for found, wanted in zip((left_part[1:, 0], right_part[0, 1:]), truth, strict=True):
        cosines.append(F.cosine_similarity(found, wanted, dim=0).abs().item())
before = torch.linalg.svdvals(difference(zoo()["tensor"]))
claim(
    "C07.12",
    "Trained on XOR, one product carries most of the tensor, and its two projections point along "
    "the prototypes (5 seeds)",
    min(shares) > 0.7
    and (before[0] ** 2 / before.square().sum()).item() < 0.4
    and min(cosines) > 0.8,
    measured=f"share of the squared norm at least {min(shares):.2f}, cosine with the prototypes at "
    f"least {min(cosines):.2f}",
)

# %% [markdown]
r"""
## 7.11 The 60-second answer

"Modalities can meet in three places: as tokens, as features, or as predictions. And they can meet by different rules. The rule decides
what can be learnt. Whatever only adds evidence, such as averaged predictions, a vote, or concatenation with a linear layer, cannot
learn a label that depends on the combination, like XOR. A product, a gate, attention, or a hidden layer can, and that
holds for predictions too: a small network on jointly trained logits learns XOR. Sum and mean need a common space and lose
information; concatenation loses nothing. Tensor fusion has all products, $(d_1+1)(d_2+1)$ features, and a low rank brings that down;
a small rank is often enough to express the label, and a larger one buys margin against noise. Late fusion of models trained apart is
easy to own, to calibrate, and to run with a modality missing, and if the modalities are independent given the label, adding log p
with the prior counted once is all one needs. Training together has a price of its own: the easier modality can stop the other from
learning. Early, tokens of both enter one Transformer: Chameleon from the first layer, LLaVA after an image encoder and a
projector. I pick by measuring single modalities, the additive model, and a joint model. The cheapest that reaches the best is the
one to ship."

## 7.12 Questions

Cover the answers, say yours aloud, compare. Each key point names the claim above that proves it, or a paper.
"""

# %%
from course_lib.interview.show import show_questions

bets("07")
show_questions("07")

# %% [markdown]
r"""
## 7.13 Card

| operator | in code | output width | parameters |
| --- | --- | --- | --- |
| sum, mean, max, product | `fuse_sum`, … | D, widths equal | 0 |
| concatenation $[x; y]$ | `fuse_concat` | D_image + D_text | 0 |
| outer product $x y^\top$ | `fuse_outer` | D_image · D_text | 0 |
| gate | `GatedFusion` | D | about 2 (D_image + D_text) D |
| FiLM $\gamma(y) \odot x + \beta(y)$ | `FilmFusion` | D_image | about 2 D_text D_image |
| tensor | `TensorFusion` | K | (D_image+1)(D_text+1) K |
| low rank | `LowRankTensorFusion` | K | R K (D_image + D_text + 2) |
| cross-attention $\mathrm{softmax}(QK^\top/\sqrt{d})\,V$ | `CrossAttentionFusion` | one vector per query | 2 D (D + D_image), D = D_text |
| late $\sum_m w_m p_m$ | `fuse_probabilities` | K | 0 |
| late $\mathrm{softmax}(\sum_m w_m \log p_m)$ | `fuse_logits` | K | 0 |

- **Use** late for missing, separately owned or separately calibrated modalities, with the prior counted once; concat + MLP when you
  expect an interaction and have the data; product or low rank for matching; tokens when words must find places.
- **Do not** expect an interaction from an additive rule, nor from rules fitted on models trained apart. Do not cross-attend onto one
  key, sum unaligned features, concatenate unscaled ones for distances, or fill the missing side of a product with zeros.
- **Measure** each encoder alone after joint training: the easier modality may have stopped the other.
"""

# %% [markdown]
r"""
## 7.14 Sources

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
15. Huang et al. (2022), *Modality Competition: What Makes Joint Training of Multi-modal Network Fail in Deep Learning? (Provably)*,
    [arXiv:2203.12221](https://arxiv.org/abs/2203.12221); Wang, Tran, Feiszli (2019), *What Makes Training Multi-Modal Classification Networks
    Hard?*, [arXiv:1905.12681](https://arxiv.org/abs/1905.12681): modalities overfit at different rates.
16. Wolpert (1992), *Stacked Generalization*, [doi:10.1016/S0893-6080(05)80023-1](https://doi.org/10.1016/S0893-6080%2805%2980023-1): a model
    on top of the guesses of others.
17. Kittler et al. (1998), *On Combining Classifiers*, [doi:10.1109/34.667881](https://doi.org/10.1109/34.667881): sum, product, max and vote.

## 7.15 Worked solutions
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
        raise ValueError(
            f"{operator} needs equal widths, got {image.shape[-1]} and {text.shape[-1]}"
        )
    elementwise = {"sum": torch.add, "product": torch.mul, "max": torch.maximum}
    return (
        (image + text) / 2 if operator == "mean" else elementwise[operator](image, text)
    )


check(exercise.fuse, fuse, solution=True)


# %% tags=["solution"]
def low_rank(image, text, image_factors, text_factors):
    ones = image.new_ones(len(image), 1)
    image_part = torch.einsum(
        "bi,rki->brk", torch.cat([ones, image], dim=1), image_factors
    )
    text_part = torch.einsum(
        "bj,rkj->brk", torch.cat([ones, text], dim=1), text_factors
    )
    return (image_part * text_part).sum(dim=1)


check(exercise.low_rank, low_rank, solution=True)


# %% tags=["solution"]
def late_fusion_of(image_logits, text_logits, weight, space):
    if space == "probability":
        return weight * image_logits.softmax(-1) + (1 - weight) * text_logits.softmax(
            -1
        )
    return (
        weight * image_logits.log_softmax(-1)
        + (1 - weight) * text_logits.log_softmax(-1)
    ).softmax(-1)


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
