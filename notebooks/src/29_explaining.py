# %% [markdown]
r"""
# 29 · Explaining: what does the model look at?

You will be able to draw a map of what a model used, and to prove that the map is right, or that it is not.

*60 minutes · needs [lesson 09](09_attention.ipynb) for attention · under 60 s of CPU*

*Lessons:* [start page](00_start_here.ipynb) · previous: 28 · Robustness, privacy, fairness, safety (planned), before it [21 · Metrics and protocols for prediction](21_prediction_metrics.ipynb) · next: 30 · Multimodal retrieval-augmented generation and agents (planned), then [31 · Broken-code clinic and a tiny vision–language model](31_clinic_and_tiny_vlm.ipynb)
"""

# %% [markdown]
r"""
## 29.1 The interview question

> **Your team shows a heat map and says "the model looks at the right place". How do you verify that explanation?**
>
> **团队展示了一张热力图，说“模型看的位置是对的”。你怎么验证这个解释？**

**The 60-second answer, to be earned below.** "A map that looks right shows what I expect; a map that is right is obeyed by the
model. So I test effects. First, I delete what the map calls important and watch the score: the deletion curve must fall faster
than for a random order and for an edge detector, with more than one filler. Second, I shuffle the weights: what survives, often the silhouette, came from
the image. Third, where I own ground truth, such as planted patches or synthetic scenes, I play the pointing game against chance.
Fourth, I check the promise of the method: integrated gradients must add up to the score minus the score at the baseline, and I say which
baseline. Attention weights are not effects: a token with weight 0.99 may have a value of zero. And every additive map hides
interactions: on XOR both inputs get a quarter, while all of it is interaction. What I ship is the map, its baseline, its
deletion area, and what it cannot show."
"""

# %% [markdown]
r"""
**You will be able to**

1. compute gradient, ablation, Shapley value and integrated gradients by hand, and say why they differ;
2. attribute an image-text model's answer to both modalities with one call;
3. rank explanation methods by numbers instead of by looks;
4. unmask a model that ignores the image, and one that learnt a planted shortcut;
5. say what attention weights, and additive maps, cannot tell.

| you have | read |
| --- | --- |
| an evening (60 min) | everything, exercises included |
| a workshop (45 min) | 29.1, 29.2, exercise 29.1, 29.5, 29.6 with bets before each cell |
| 15 minutes before the interview | 29.1, the table in 29.3, the figures in 29.6, 29.7, 29.9, 29.10 |

**Try first.** Four maps for the same question, "what colour is the ring?", on a scene whose pixels we know:

- **A** integrated gradients, **B** the attention of the last layer, **C** the gradient's absolute value,
- **D** an edge detector that never saw the model.

Which one points at the ring most often? And which one *looks* best? Write down an order for each. Section 29.6 scores all four.
"""

# %%
import matplotlib.pyplot as plt
import torch
from captum.attr import IntegratedGradients
from scipy.stats import kendalltau
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from course_lib.data.catalogue import find
from course_lib.data.scene_language import ENGLISH
from course_lib.data.scene_questions import ANSWERS, make_colour_questions
from course_lib.exercises import lesson_29 as exercise
from course_lib.explain import plots, plots_attention, sanity, shapley
from course_lib.explain.attention_maps import attention_rollout, capture_attention
from course_lib.explain.attribution import attribute
from course_lib.explain.faithfulness import deletion_curve, mask_share, pointing_game
from course_lib.explain.relevance import gradient_relevance
from course_lib.interview.show import show_questions
from course_lib.lesson.claims import claim
from course_lib.lesson.exercises import check, hint
from course_lib.lesson.explore import explore
from course_lib.lesson.figures import COLOURS, bar_plot, dot_plot, show
from course_lib.models.vqa import VqaTransformer
from course_lib.training.config import TrainConfig
from course_lib.training.loop import fit
from course_lib.training.weights import load_weights

_ = torch.manual_seed(0)

# %% [markdown]
r"""
![Image and question enter one model, which gives a score for one answer. Attribution goes back from the score to pixels and to
words. Below, the test: delete what the map calls important, ask the model again, and compare the two
scores.](figures/29_map_and_test.svg)

The upper row makes a map. The lower row is this lesson's point: the map is a hypothesis about the model, and the model can be
asked.

## 29.2 By hand

One score, two inputs that meet in a product: $s = 3\,a + 2\,ab$, with $a = b = 1$ and a baseline of $0$. Four methods:
"""


# %%
def score(a, b):
    return 3 * a + 2 * a * b


def by_gradient():
    point = torch.ones(2, requires_grad=True)
    return torch.autograd.grad(score(*point), point)[0].tolist()


def by_path(steps=1000):
    """Integrated gradients: the mean gradient on the way from 0 to 1, times the way."""
    points = ((torch.arange(steps) + 0.5) / steps).repeat(2, 1).requires_grad_()
    return [round(each, 4) for each in torch.autograd.grad(score(*points).sum(), points)[0].mean(dim=1).tolist()]


# %%
by_hand = {
    "gradient": by_gradient(),
    "ablation": [score(1, 1) - score(0, 1), score(1, 1) - score(1, 0)],
    "Shapley": shapley.shapley_values(lambda there: score(int(0 in there), int(1 in there)), 2),
    "integrated gradients": by_path(),
}
for name, (a, b) in by_hand.items():
    print(f"{name:21s} a: {a:.1f}   b: {b:.1f}   together {a + b:.1f} of {score(1, 1) - score(0, 0)}")

# %% [markdown]
r"""
Gradient and ablation hand out 7 of 5: each counts the product twice, once for either partner. Shapley and integrated gradients
share it, $3 + 1$ and $1$, and add up. That is *completeness*, and the reason why these two are the ones to quote as "how much".
Ablation is still the right answer to "what happens without it".

**When everything is interaction.** Two bits, label = XOR. A model that sees both is always right, one that sees one or none is at
chance. Its value above chance is $0$, $0$, $0$, $\tfrac12$. What is each bit worth?
"""


# %%
def above_chance(there):
    return 0.5 if len(there) == 2 else 0.0


values = shapley.shapley_values(above_chance, 2)
alone = above_chance({0}) - above_chance(set())
together = shapley.interaction_index(above_chance, 2, 0, 1)
claim(
    "C29.2",
    "On XOR the Shapley values are 0.25 and 0.25, each bit alone adds nothing, and the interaction is 0.5",
    values == [0.25, 0.25] and alone == 0 and together == 0.5,
    measured=f"values {values[0]}, {values[1]}; alone {alone}; interaction {together}",
)

# %% [markdown]
r"""
### Exercise 29.1 · integrated_gradients ●●○ 12 minutes

`score` maps `(B, D)` to `(B,)`; the result is `(B, D)`. Walk from the baseline to `x` in `steps` equal steps and look at the
gradient in the middle of each. Weights of the model get no gradient.
"""


# %% tags=["exercise"]
def integrated_gradients(score, x, baseline, steps):
    """Mean gradient on the straight path, times (x - baseline)."""
    raise NotImplementedError


check(exercise.integrated_gradients, integrated_gradients)
hint(exercise.integrated_gradients)

# %% [markdown]
r"""
## 29.3 In symbols

$s$ is the score of one answer (a logit), $x$ the input, $x'$ the baseline, $v(S)$ the score with only the features $S$ there.

| method | formula for feature $i$ | passes | adds up | name in code |
| --- | --- | --- | --- | --- |
| saliency | $\lvert \partial s / \partial x_i \rvert$ | 1 | no | `saliency` |
| input × gradient | $x_i\, \partial s / \partial x_i$ | 1 | no | `input_x_gradient` |
| integrated gradients | $(x_i - x_i') \int_0^1 \partial_i s(x' + t(x - x'))\,dt$ | steps | yes | `integrated_gradients` |
| Grad-CAM | $\mathrm{relu} \sum_c \bar g_c\, A_c$ over a layer's channels | 1 | no | `grad_cam` |
| occlusion, ablation | $s(x) - s(x \text{ without } i)$ | regions | no | `occlusion`, `feature_ablation` |
| Shapley value | mean of $v(S \cup i) - v(S)$ over orders | samples × regions | yes | `shapley`, `kernel_shap` |
| LIME | weight of $i$ in a local linear fit | samples | no | `lime` |
| attention rollout | $\hat A_L \cdots \hat A_1$ with $\hat A_l = \tfrac12 I + \tfrac12 \bar A_l$ | 1 | – | `attention_rollout` |
| gradient-weighted relevance | $R \leftarrow R + \overline{(A \odot \nabla A)^+} R$ | 1 | no | `gradient_relevance` |

A pass is one forward pass, with its backward pass for the gradient methods. *SHAP* is the family that estimates Shapley values;
*LIME* switches regions on and off at random and fits a weighted linear model, whose weights need not add up. *Grad-CAM* weighs a
layer's channels $A_c$ by their mean gradient $\bar g_c$, so its map is as coarse as that layer. A baseline is needed by integrated
gradients, ablation, Shapley and LIME; saliency and Grad-CAM use none. *Captum* is PyTorch's library of these methods, and
`attribute` is this course's one call for all of them but the last two rows, which have functions of their own.

| symbol | in code | shape | unit |
| --- | --- | --- | --- |
| image, question | `images`, `ids` | (B, 3, 16, 16), (B, T) | [0, 1], word ids |
| contribution | `Attribution.parts` | as the input; (B, T, D) for words | of the score: logits |
| map | `Attribution.map(name)` | (B, 16, 16), (B, T) | logits |
| gap | `Attribution.gap` | (B,) | logits; 0 is perfect |
| deletion area | `Curve.area` | (B,) | probability; low is good |
"""

# %% [markdown]
r"""
## 29.4 Build it

**The model.** A two-layer transformer reads eight words and sixteen patches in one sequence and answers "what colour is the
ring?" about a scene of two or three objects. Training takes 20 s a seed; three checkpoints are in the repository. `TRAIN = True`
makes one anew with the same call.
"""

# %%
TRAIN, SEEDS = False, (0, 1, 2)


def train_vqa(images, ids, answers, seed, steps, learning_rate=3e-3):
    """A fresh model on (image, question, answer)."""
    torch.manual_seed(seed)
    model = VqaTransformer(len(ENGLISH), len(ANSWERS))
    settings = {"schedule": "one_cycle", "precision": "fp32", "progress": "none", "seed": seed}
    config = TrainConfig(steps=steps, learning_rate=learning_rate, **settings)
    fit(model, (images, ids, answers), lambda m, batch: F.cross_entropy(m(*batch[:2]).logits, batch[2]), config)
    return model.eval().requires_grad_(False)


def load_vqa(seed, taught="scenes"):
    """A committed checkpoint: 1,000 steps on the questions of 6,000 scenes, or one taught shuffled answers."""
    model = VqaTransformer(len(ENGLISH), len(ANSWERS)).eval().requires_grad_(False)
    load_weights(model, find(f"checkpoints/vqa_{taught}_{seed}.safetensors"))
    return model


# %%
models = [load_vqa(seed) for seed in SEEDS]
if TRAIN:
    models[0] = train_vqa(*make_colour_questions(6000, seed=1)[:3], seed=0, steps=1000)

test = make_colour_questions(120, seed=77)
right = [model(test.images, test.ids).logits.argmax(dim=1) == test.answers for model in models]
shares = [each.float().mean().item() for each in right]
colour = (test.images * test.asked[:, None]).amax(dim=(2, 3), keepdim=True)  # of the asked object
alike = (test.images == colour).all(dim=1) & test.drawn
any_pixel = (alike.sum(dim=(1, 2)) / test.drawn.sum(dim=(1, 2))).mean().item()
claim(
    "C29.8",
    "The model answers over 85 % of the colour questions on new scenes; the colour of a random drawn pixel would be right in "
    "about half (3 seeds)",
    min(shares) > 0.85 and 0.45 < any_pixel < 0.6,
    measured=", ".join(f"{share:.3f}" for share in shares) + f"; random drawn pixel {any_pixel:.2f}; "
    f"{sum(p.numel() for p in models[0].parameters()):,} parameters",
)

# %% [markdown]
r"""
**Integrated gradients, three times**: your loop, captum called by hand, and `attribute`, which takes inputs by name, explains
word ids at their embedding, and keeps the baseline and the gap.
"""

# %%
asked = torch.stack(right).all(dim=0).nonzero().flatten()[:64]  # questions that all three models answer
images, ids, answers, ring = (part[asked] for part in test[:4])
model, rows = models[0], torch.arange(len(asked))

looped = torch.zeros_like(images)
for k in range(20):
    point = ((k + 0.5) / 20 * images).requires_grad_()
    looped += torch.autograd.grad(model(point, ids).logits[rows, answers].sum(), point)[0] / 20 * images

captum_s = IntegratedGradients(lambda x, t: model(x, t).logits).attribute(
    images, target=answers, additional_forward_args=ids, n_steps=20, method="riemann_middle", internal_batch_size=64
)
ours = attribute(model, {"image": images}, answers, fixed={"ids": ids}, steps=20, rule="riemann_middle")
print("loop = captum:     ", torch.allclose(looped, captum_s.float(), atol=1e-4))
print("captum = attribute:", torch.allclose(captum_s.float(), ours.parts["image"], atol=1e-4))

# %% [markdown]
r"""
**Both modalities in one call.** The words get a number too, in the same unit: logits of the answer.
"""

# %%
both = attribute(model, {"image": images[:2], "ids": ids[:2]}, answers[:2], steps=100)
tokens = ["<bos>", *ENGLISH.decode(ids[0]).replace("?", " ?").split(), "<eos>"]
fig, axes = plots.show_pair(
    images[0], both.map("image")[0], tokens, both.map("ids")[0], mask=ring[0], title="integrated gradients"
)
show(fig, "A scene, its heat map with the asked object outlined in green, and the question with coloured words below.")
print({name: tuple(part.shape) for name, part in both.parts.items()})

# %% [markdown]
r"""
Tempting to tell a story: words matter more than pixels, and the white squares speak against "green". One example is an anecdote,
so ask 64 questions and three models before telling it.
"""

# %%
means = {"asked object": [], "other pixels": [], "words together": []}
for each in models:
    found = attribute(each, {"image": images, "ids": ids}, answers, steps=50)
    heat = found.map("image")
    sums = ((heat * ring).sum(dim=(1, 2)), (heat * ~ring).sum(dim=(1, 2)), found.total("ids"))
    for name, values in zip(means, sums, strict=True):
        means[name].append(values.mean().item())
fig, ax = dot_plot({"integrated gradients": means}, xlabel="mean contribution, logits; one mark a seed")
show(
    fig, "The asked object's pixels get four to six logits, the words together one or two, the other pixels about none."
)
claim(
    "C29.11",
    "On average the asked object's pixels get more than all words together, and the other pixels under one logit (3 seeds)",
    min(means["asked object"]) > 1.5 * max(means["words together"]) and max(map(abs, means["other pixels"])) < 1,
    measured=", ".join(f"{name} {min(v):.1f} to {max(v):.1f}" for name, v in means.items()),
)

# %% [markdown]
r"""
The story was wrong: the first scene is an exception. From here on the question is held fixed, so that all credit goes to pixels:
another question, another map.

**Attention by hand.** Rollout follows who read whom through the layers. It uses weights only: no values, no answer.

### Exercise 29.2 · attention_rollout ●○○ 8 minutes

A list of `(B, H, S, S)`, first layer first, to `(B, S, S)`: average the heads, keep half of every token for the residual, follow
the layers.
"""


# %% tags=["exercise"]
def rollout(maps):
    """Share of each input token (column) in each output token (row)."""
    raise NotImplementedError


check(exercise.attention_rollout, rollout)
hint(exercise.attention_rollout)

# %% [markdown]
r"""
## 29.5 Explore: where it looks, and what that did

**Predict first**: the answer is read from `<bos>`. Which layer reads the shape word for it, and which the asked object?
"""

# %%
NAMES = ("integrated_gradients", "saliency", "input_x_gradient", "grad_cam", "occlusion", "shapley")


def pixel_maps(model, images, ids, answers, names=NAMES):
    """{method: (B, 16, 16)} by captum's methods, the question held fixed."""
    extra = {"grad_cam": {"layer": model.patches}, "shapley": {"samples": 10}}
    call = {"fixed": {"ids": ids}, "rows": 64}
    return {
        name: attribute(model, {"image": images}, answers, method=name, **call, **extra.get(name, {})).map("image")
        for name in names
    }


def token_maps(model, images, ids, answers):
    """The same from attention: row of <bos>, columns of the patches, spread over their pixels."""
    inputs = {"image": images, "ids": ids}
    weights = list(capture_attention(model, inputs).maps.values())
    relevance = gradient_relevance(model, inputs, answers)
    rows = {"attention": weights[-1].mean(dim=1), "rollout": attention_rollout(weights), "relevance": relevance}
    spread = {name: [plots.spread_patches(each, 16, 16) for each in row[:, 0, -16:]] for name, row in rows.items()}
    return {name: torch.stack(each) for name, each in spread.items()}


# %%
first = slice(0, 1)
one = (images[first], ids[first], answers[first])
heats = {name: heat[0] for name, heat in (pixel_maps(model, *one) | token_maps(model, *one)).items()}
layers = [kept[0] for kept in capture_attention(model, {"image": one[0], "ids": one[1]}).maps.values()]


def draw(word="<bos>", layer=2, head=0, method="integrated_gradients"):
    """The scene, what one head reads for one word, and one method's map."""
    chosen = {"word": word, "layer": layer, "head": head, "method": method}
    return plots_attention.draw_view(images[0], tokens, layers, heats, patches=16, **chosen)


explore(
    draw,
    alt="The scene, the patches that one word reads, and one method's heat map, side by side.",
    word=tokens,
    layer=[1, 2],
    head=(0, 4),
    method=list(heats),
)

# %%
fig, axes = plots_attention.show_heads(layers, labels=tokens, readers=8)
show(fig, "Two rows of four attention matrices, words down, words and patches across; heads differ clearly.")

# %% [markdown]
r"""
In the static view (head 0 is the mean of the heads) `<bos>` reads the asked object in layer 2. The heads themselves differ, and
their mean looks tidy: a first reason not to trust one picture. Over all questions and models:
"""

# %%
on_ring = F.max_pool2d(ring[:, None].float(), 4).flatten(1)  # 1 for each patch that the asked object touches
scene = {"image": images, "ids": ids}
reads = {"layer 1": {"shape word": [], "asked object": []}, "layer 2": {"shape word": [], "asked object": []}}
for each in models:
    for kept, row in zip(capture_attention(each, scene).maps.values(), reads.values(), strict=True):
        bos = kept.mean(dim=1)[:, 0]
        row["shape word"].append(bos[:, 5].mean().item())
        row["asked object"].append((bos[:, -16:] * on_ring).sum(dim=1).mean().item())
fig, ax = dot_plot(reads, xlabel="share of <bos>'s attention, one mark a seed")
show(fig, "From layer 1 to layer 2 the shape word loses attention and the asked object gains.")
first_layer, last_layer = reads.values()
claim(
    "C29.12",
    "From layer 1 to layer 2 the attention of <bos> moves from the shape word to the asked object's patches (3 seeds)",
    all(one > two + 0.05 for one, two in zip(first_layer["shape word"], last_layer["shape word"], strict=True))
    and all(two > one + 0.05 for one, two in zip(first_layer["asked object"], last_layer["asked object"], strict=True)),
    measured=", ".join(f"{n} in {k} {min(v):.2f} to {max(v):.2f}" for k, row in reads.items() for n, v in row.items()),
)

# %% [markdown]
r"""
## 29.6 Evidence

**Which method is right?** Nine methods, an edge detector that never saw the model, and a random map. Two numbers each. *Pointing*:
does the highest point lie on the asked object? Chance is the object's share of the image, but for a map that knows where anything
is drawn it is the object's share of the drawn pixels. *Deletion area*: the mean probability of the answer while pixels go, in the
map's order. Three models. **Bet** on the winner, and on what beats the edge detector.
"""


# %%
def edges(images):
    """Absolute differences to the pixel above and to the left: knows the image, not the model."""
    grey = F.pad(images.mean(dim=1), (1, 0, 1, 0))
    return (grey[:, 1:, 1:] - grey[:, :-1, 1:]).abs() + (grey[:, 1:, 1:] - grey[:, 1:, :-1]).abs()


def all_maps(model):
    noise = torch.rand(images[:, 0].shape, generator=torch.Generator().manual_seed(0))
    found = pixel_maps(model, images, ids, answers) | token_maps(model, images, ids, answers)
    return found | {"edges": edges(images), "random": noise}


maps = [all_maps(model) for model in models]
scored = [sanity.score_maps(m, scene, answers, "image", each, ring) for m, each in zip(models, maps, strict=True)]
table = {field: {s.method: [getattr(t, field) for run in scored for t in run if t.method == s.method] for s in scored[0]}
         for field in ("pointing", "deletion")}  # fmt: skip

# %%
names = ["integrated_gradients", "shapley", "attention", "edges", "random"]
fig, axes = plt.subplots(3, 5, figsize=(8.2, 5.0), layout="constrained")
for row, example in zip(axes, (1, 5, 9), strict=True):
    for ax, name in zip(row, names, strict=True):
        plots.show_heat(images[example], maps[0][name][example], ax=ax, mask=ring[example], legend=False)
for ax, name in zip(axes[0], names, strict=True):
    ax.set_title(name.replace("_", " "), fontsize=9)
show(fig, "Three scenes by five methods: integrated gradients fill the outlined object, edges outline every object.")

# %%
order = sorted(table["deletion"], key=lambda name: sum(table["deletion"][name]))
curves = {"pointing game, high is good": "pointing", "deletion area, low is good": "deletion"}
fig, ax = dot_plot(
    {label: {name: table[field][name] for name in order} for label, field in curves.items()},
    xlabel="one mark a seed (dotted: pointing by chance)",
    chance=mask_share(ring).mean().item(),
)
show(
    fig,
    "Integrated gradients lead both ways; the edge detector points as well as most methods, and deletes almost at random.",
)

# %%
chance = mask_share(ring).mean().item()
drawn_chance = (mask_share(ring) / mask_share(test.drawn[asked])).mean().item()
rivals = ("attention", "saliency", "edges", "random")
best = min(table["pointing"]["integrated_gradients"])
good = max(table["deletion"]["integrated_gradients"] + table["deletion"]["shapley"])
poor = min(sum((table["deletion"][name] for name in rivals), []))
claim(
    "C29.3",
    "Integrated gradients point over 1.5 times as often as a random drawn pixel; deleting to black, they and Shapley values do better "
    "than attention, saliency, edges and random (3 seeds)",
    best > 1.5 * drawn_chance and good < poor - 0.08,
    measured=f"pointing at least {best:.2f}, chance {chance:.2f} of all and {drawn_chance:.2f} of drawn pixels; deletion area at "
    f"most {good:.2f}, these rivals at least {poor:.2f}; a stronger one, relevance, {min(table['deletion']['relevance']):.2f} to "
    f"{max(table['deletion']['relevance']):.2f}",
)
mean = {name: sum(values) / 3 for name, values in table["pointing"].items()}
claim(
    "C29.9",
    "An edge detector that never saw the model points better than saliency and Grad-CAM (mean of 3 seeds), and deletes to black "
    "worse than attention (each seed)",
    mean["edges"] > max(mean["saliency"], mean["grad_cam"]) + 0.08
    and min(table["deletion"]["edges"]) > max(table["deletion"]["attention"]),
    measured=f"pointing {mean['edges']:.2f} against {mean['saliency']:.2f} and {mean['grad_cam']:.2f}; deletion "
    f"{min(table['deletion']['edges']):.2f} against {max(table['deletion']['attention']):.2f}",
)

# %% [markdown]
r"""
So in *Try first* A points best, and D beats C, though D has nothing to do with the model: it does what a random drawn pixel does.
Pointing alone rewards a map for knowing the *image*. Only a test that asks the model tells them apart. (Block methods, Shapley and
occlusion with 16 regions, point at the corner of a 4 × 4 block; their deletion area is fair to them, their pointing is not.)

**Is the test rigged?** We delete to black, and black is the baseline of integrated gradients too. Delete to grey and to white, *all* methods, also
those that may overturn the order. **Predict** who gains.
"""

# %%
def area(name, filler):
    """Deletion area of one method on each seed, with the pixels replaced by `filler`."""
    runs = zip(models, maps, strict=True)
    return [deletion_curve(m, scene, answers, "image", each[name], baseline=filler).area.mean().item() for m, each in runs]


filled = {f"deleted to {word}": {name: area(name, value) for name in order} for word, value in (("grey", 0.5), ("white", 1.0))}
fig, ax = dot_plot(filled, xlabel="deletion area, low is good; one mark a seed")
show(fig, "On grey integrated gradients, Shapley values and relevance overlap; on white the edge detector lies before attention.")
black, grey, white = ({name: torch.tensor(t[name]) for name in order} for t in (table["deletion"], *filled.values()))
claim(
    "C29.13",
    "Integrated gradients delete best of all eleven to black and to white on each of 3 seeds; to grey Shapley values and relevance pass "
    "them on at least one. The edge detector is behind attention on black, before it on white, and behind integrated gradients on all",
    all((t["integrated_gradients"] <= t[name]).all() for t in (black, white) for name in order)
    and all((grey[name] < grey["integrated_gradients"]).any() for name in ("shapley", "relevance"))
    and (black["edges"] > black["attention"]).all()
    and (white["edges"] < white["attention"]).all()
    and all((t["edges"] > t["integrated_gradients"]).all() for t in (black, grey, white)),
    measured="on grey "
    + "; ".join(
        f"{name} " + ", ".join(f"{seed:.2f}" for seed in grey[name])
        for name in ("integrated_gradients", "shapley", "relevance")
    ),
)

# %% [markdown]
r"""
So part of the lead on black was the shared baseline, and ranks swap with the filler: the three best on grey, the edge detector and attention
on white. What survives all three fillers: integrated gradients before edges and random. Report the filler with the area, and use two.

**Watch the score.** The same curves, drawn: the probability of the right answer while pixels go.
"""

# %%
fig, ax = plt.subplots(figsize=(5.6, 3.2), layout="constrained")
for name, colour, style in zip(names, COLOURS, ("-", "--", "-.", ":", "-"), strict=False):
    curve = deletion_curve(model, scene, answers, "image", maps[0][name])
    ax.plot(curve.shares, curve.scores.mean(dim=0), style, color=colour, label=name.replace("_", " "))
ax.set(xlabel="share of pixels deleted, most important first", ylabel="probability of the right answer")
ax.legend(fontsize=8)
show(fig, "Deleted in the order of integrated gradients the probability drops at once, in random order slowly.")

# %% [markdown]
r"""
### Exercise 29.3 · deletion_curve ●●○ 10 minutes

`(B, D)` inputs and importances to `(B, D + 1)` scores: before the first deletion and after each. A deleted feature is 0, and the order is that of
the importances, signed.
"""


# %% tags=["exercise"]
def deletion(score, x, importance):
    """The score of each example while its features go, most important first."""
    raise NotImplementedError


check(exercise.deletion_curve, deletion)
hint(exercise.deletion_curve)

# %% [markdown]
r"""
### Exercise 29.4 · pointing_game ●○○ 6 minutes

Is the highest value of the map inside the mask? `(B, height, width)` twice to `(B,)`.
"""


# %% tags=["exercise"]
def pointing(heat, mask):
    """True where the map's highest place lies on the object."""
    raise NotImplementedError


check(exercise.pointing_game, pointing)
hint(exercise.pointing_game)

# %% [markdown]
r"""
**Destroy the model.** Shuffle the numbers inside every weight tensor: same values, no knowledge. What is about the model must
change; what is about the image cannot. Agreement is the rank correlation of the two maps, once signed and once of absolute
values, as many heat maps are drawn. **Predict** which methods keep their picture.
"""

# %%
signed, absolute = [], []
for seed, (trained, found) in enumerate(zip(models, maps, strict=True)):
    broken = sanity.shuffled_weights(trained, seed=seed)
    after = pixel_maps(broken, images, ids, answers, NAMES[:5]) | token_maps(broken, images, ids, answers)
    after["edges"] = edges(images)
    pairs = {name: (found[name], heat) for name, heat in after.items()}
    signed.append({n: sanity.rank_agreement(a, b).nanmean().item() for n, (a, b) in pairs.items()})
    absolute.append({n: sanity.rank_agreement(a.abs(), b.abs()).nanmean().item() for n, (a, b) in pairs.items()})
runs = {"signed": signed, "absolute values": absolute}
agreement = {kind: {name: [run[name] for run in each] for name in each[0]} for kind, each in runs.items()}
fig, ax = dot_plot(agreement, xlabel="agreement with the map before (1 = unchanged)")
show(
    fig, "Signed maps agree with nothing; absolute integrated gradients and input times gradient stay, like the edges."
)

# %%
honest = max(abs(v) for name, values in agreement["signed"].items() if name != "edges" for v in values)
kept = min(sum((agreement["absolute values"][name] for name in ("integrated_gradients", "input_x_gradient")), []))
claim(
    "C29.5",
    "Shuffling the weights destroys the signed map of all eight methods tried; edges stay, and so do the absolute values of "
    "integrated gradients and input × gradient (3 seeds)",
    honest < 0.45 and min(agreement["signed"]["edges"]) > 0.999 and kept > 0.9,
    measured=f"signed at most {honest:.2f}, edges {min(agreement['signed']['edges']):.3f}, absolute at least {kept:.2f}",
)

# %% [markdown]
r"""
Both multiply by the distance to the baseline, so the black background stays 0 and the silhouette of the objects survives any
model. Drawn without signs such a map looks right for the wrong reason (Adebayo et al., 2018, compare both ways too).

**Teach it nonsense.** A shuffled model is broken, which is easy to notice. The second test of Adebayo et al. keeps a model that
works: three more were taught answers dealt out at random until they knew them by heart. Their maps should share nothing with
the honest ones. But how much would two *honest* models share? Without that control the number says nothing. **Predict** both
for signed integrated gradients.
"""

# %%
METHODS = ("integrated_gradients", "saliency", "input_x_gradient", "grad_cam")
wrong = [load_vqa(seed, "shuffled") for seed in SEEDS]
seen = make_colour_questions(300, seed=1)
dealt = [
    seen.answers[torch.randperm(len(seen.answers), generator=torch.Generator().manual_seed(seed))] for seed in SEEDS
]
known = [
    (m(seen.images, seen.ids).logits.argmax(dim=1) == d).float().mean().item()
    for m, d in zip(wrong, dealt, strict=True)
]

nonsense = [pixel_maps(each, images, ids, answers, METHODS) for each in wrong]
shared = {kind: {name: [] for name in METHODS} for kind in ("taught shuffled answers", "another honest model")}
for seed in SEEDS:
    rivals_of = {"taught shuffled answers": nonsense[seed], "another honest model": maps[(seed + 1) % 3]}
    for kind, other in rivals_of.items():
        for name in METHODS:
            same = sanity.rank_agreement(maps[seed][name], other[name])
            shared[kind][name].append(same.nanmean().item())
fig, ax = dot_plot(shared, xlabel="agreement of signed maps with an honest model's, one mark a seed", chance=0.0)
show(
    fig,
    "Taught nonsense, integrated gradients agree with nothing, Grad-CAM a little; another honest model agrees more.",
)

# %%
learnt, other = (shared[kind]["integrated_gradients"] for kind in shared)
outline = [
    sanity.rank_agreement(maps[seed]["integrated_gradients"].abs(), nonsense[seed]["integrated_gradients"].abs())
    for seed in SEEDS
]
drawn_alike = min(each.nanmean().item() for each in outline)
claim(
    "C29.14",
    "Signed integrated gradients of a model that learnt shuffled answers share nothing with an honest model's, two honest "
    "models agree in part; without signs even the nonsense looks right (3 seeds)",
    min(known) > 0.98 and max(map(abs, learnt)) < 0.15 and min(other) > 0.3 and drawn_alike > 0.9,
    measured=f"{min(known):.0%} of {len(dealt[0])} shuffled answers known; signed {min(learnt):.2f} to {max(learnt):.2f}, honest pairs {min(other):.2f} to {max(other):.2f}; "
    f"absolute values at least {drawn_alike:.2f}",
)

# %% [markdown]
r"""
Two honest models agree far from perfectly: a map explains this model, not the task. And a heat map without signs would have
passed the nonsense off as insight.

**Completeness, and the baseline's say.** The contributions add up to $s(x) - s(x')$ if the integral is fine enough. Then take
yellow instead of black as the baseline and ask about yellow objects. **Predict** what their pixels get.
"""

# %%
gaps, few = {}, {"image": images[:16], "ids": ids[:16]}
for steps in (5, 20, 80, 320):
    found = attribute(model, few, answers[:16], steps=steps, rule="riemann_middle")
    gaps[f"{steps} steps"] = (found.gap.abs() / (found.scores - found.baseline_scores).abs().clamp_min(1)).mean().item()
fig, ax = bar_plot(gaps, xlabel="mean gap, as a share of the score's change", fmt="%.4f")
show(fig, "The gap shrinks by large factors from 5 to 320 steps.")

yellow = answers == ANSWERS.index("yellow")
colour = images[yellow][0][:, ring[yellow][0]][:, 0]  # the exact yellow of the scenes
hidden = attribute(
    model, {"image": images[yellow]}, answers[yellow], fixed={"ids": ids[yellow]},
    baselines={"image": colour.view(3, 1, 1).expand(3, 16, 16)},
).map("image")  # fmt: skip
on_object = hidden[ring[yellow]].abs().max().item()
claim(
    "C29.4",
    "The gap shrinks to under 2 % with steps; an object in the baseline's colour gets exactly nothing, though it is the answer",
    gaps["320 steps"] < 0.02 and gaps["320 steps"] < gaps["5 steps"] / 5 and on_object == 0,
    measured=f"gap {gaps['5 steps']:.3f} at 5 steps, {gaps['320 steps']:.4f} at 320; on the yellow object {on_object}",
)

# %% [markdown]
r"""
Black is not neutral either: with it, nothing black can ever be found. State the baseline with the map, or average over several.

**Is the image used at all?** A language prior, taken to the extreme: train with answers that follow the shape word, "green" for
every ring and "yellow" for every cross, whatever the picture shows. The question alone gives the answer. The shares of the
attribution per modality tell; they are sums of absolute values, so compare them between models, never with 0.5.
"""

# %%
shapes = ids.new_tensor([ENGLISH.encode(name)[1] for name in ("square", "ring", "triangle", "cross", "diamond")])
pool = make_colour_questions(2000, seed=1)


def prior_answers(ids):
    """The answer that the shape word alone gives away."""
    return (ids[:, 5, None] == shapes).int().argmax(dim=1)


image_share = {"answer from the image": [], "answer follows the word": []}
for seed, trained in zip(SEEDS, models, strict=True):
    prior = train_vqa(pool.images, pool.ids, prior_answers(pool.ids), seed, steps=120)
    for name, each in zip(image_share, (trained, prior), strict=True):
        some = {"image": images[:32], "ids": ids[:32]}
        said = each(**some).logits.argmax(dim=1)
        parts = attribute(each, some, said, method="shapley", samples=4).shares()
        image_share[name].append(parts["image"].mean().item())

# %%
fig, ax = dot_plot({"Shapley": image_share}, xlabel="the image's share of all contributions, one mark a seed")
show(fig, "The honest model gives the image a large share, the one with a language prior about a tenth.")
claim(
    "C29.7",
    "A model taught to ignore the image is unmasked: its image share is under half of the honest model's (3 seeds)",
    max(image_share["answer follows the word"]) < 0.5 * min(image_share["answer from the image"]),
    measured=f"{max(image_share['answer follows the word']):.2f} at most, against "
    f"{min(image_share['answer from the image']):.2f} at least",
)

# %% [markdown]
r"""
**Clever Hans.** Now plant a shortcut: a 3 × 3 patch in the corner, in the colour of the answer. Training and test look perfect.
**Predict**: where will the map point, and what does the model say when the patch lies?
"""

# %%
CORNER = torch.zeros(16, 16, dtype=torch.bool)
CORNER[13:, 13:] = True
PALETTE = torch.stack([pool.images[pool.answers == k][0][:, pool.asked[pool.answers == k][0]][:, 0] for k in range(5)])


def plant(images, colours):
    """A copy of the images with the corner in the colour of these answers."""
    return torch.where(CORNER, PALETTE[colours][:, :, None, None], images)


lie = (answers + 1 + torch.arange(len(answers)) % 4) % 5  # any colour but the right one
hans = [train_vqa(plant(pool.images, pool.answers), pool.ids, pool.answers, seed, steps=150) for seed in SEEDS]
planted, lying = plant(images, answers), plant(images, lie)

# %%
found = {"right with the patch": [], "right without": [], "follows a lying patch": [], "map points at it": []}
for each in hans:
    said = [each(x, ids).logits.argmax(dim=1) for x in (planted, torch.where(CORNER, 0.0, images), lying)]
    heat = attribute(each, {"image": planted}, answers, fixed={"ids": ids}).map("image")
    hits = pointing_game(heat, CORNER.expand(len(heat), 16, 16))
    measured = (said[0] == answers, said[1] == answers, said[2] == lie, hits)
    for name, values in zip(found, measured, strict=True):
        found[name].append(values.float().mean().item())
fig, ax = dot_plot({"model trained with the patch": found}, xlabel="share of 64 questions, one mark a seed")
show(fig, "Right with the patch, wrong without it, obeying it when it lies, and the map points at it.")
claim(
    "C29.6",
    "A planted patch is found by the map and confirmed by ablation: without it the model fails, and it obeys a lying patch (3 seeds)",
    min(found["map points at it"]) > 0.8
    and max(found["right without"]) < 0.6
    and min(found["right with the patch"]) > 0.95
    and min(found["follows a lying patch"]) > 0.8,
    measured=", ".join(f"{name} {min(v):.2f} to {max(v):.2f}" for name, v in found.items()),
)

# %% [markdown]
r"""
The map gave the suspicion, the ablation the proof. A map without the test is an opinion; without the map one would have to guess
what to take away.
"""

# %% [markdown]
r"""
## 29.7 Wrong answers people give

**"The attention weight is the importance of a token; the heat map of attention explains the model."** It sounds right because the
weights are positive, sum to 1, and multiply something. They multiply the *value*, and a value may be zero. Careful with the
opposite claim, too: such a token adds nothing, but masking it is not free, since the other weights grow to fill its place.
"""

# %%
scores, value = torch.tensor([7.0, 1.0, 0.5]), torch.tensor([0.0, 2.0, -1.0])
weight = scores.softmax(dim=0)
effect = weight[0] * value[0]  # what token 0 adds to the output, as long as it stays in the softmax
masked = (scores[1:].softmax(dim=0) * value[1:]).sum()  # it is gone, and the others share its weight

effects, looked = [], []
for trained, each in zip(models, maps, strict=True):
    blocks = attribute(trained, {"image": images}, answers, fixed={"ids": ids}, method="feature_ablation").map("image")
    effects.append(blocks[:, ::4, ::4].flatten(1))
    looked.append(each["attention"][:, ::4, ::4].flatten(1))
pairs = [(a, b) for seed in SEEDS for a, b in zip(looked[seed], effects[seed], strict=True)]
tau = [kendalltau(a, b.abs()).statistic for a, b in pairs]
mean_tau = sum(tau) / len(tau)
claim(
    "C29.1",
    "A token can hold over 0.99 of the attention and add nothing, though masking it changes the output; in the trained models "
    "weight and effect agree only in part",
    weight[0].item() > 0.99 and effect.item() == 0 and masked.item() > 0.5 and 0.1 < mean_tau < 0.7,
    measured=f"weight {weight[0]:.3f}, effect {effect:.1f}, output {(weight * value).sum():.3f} and {masked:.2f} without it; Kendall's τ {mean_tau:.2f} over {len(tau)} questions",
)

# %% [markdown]
r"""
**"SHAP and LIME solve interpretability."** They look complete: every input gets a number, and SHAP's even add up. Both are
*additive* models: C29.2 above gives both bits of an XOR a quarter each, which no experiment with one bit at a time will ever show.
Quote the interaction beside the values.

**"Input times gradient hits the object, so it is faithful."** It hits because it multiplies by the input, and the background is
black, that is 0.
"""

# %%
hits, falls = table["pointing"]["input_x_gradient"], table["deletion"]["input_x_gradient"]
claim(
    "C29.10",
    "Input × gradient points at the object over 4 times as often as chance, yet deletes far worse than integrated gradients",
    min(hits) > 4 * chance and min(falls) > max(table["deletion"]["integrated_gradients"]) + 0.15,
    measured=f"pointing {min(hits):.2f}, chance {chance:.2f}, of drawn pixels {drawn_chance:.2f}; deletion {min(falls):.2f} to {max(falls):.2f}, integrated "
    f"gradients at most {max(table['deletion']['integrated_gradients']):.2f}, random {min(table['deletion']['random']):.2f}",
)

# %% [markdown]
r"""
## 29.8 At scale

A forward pass of a model with $N$ parameters costs about $2N$ operations a token. In training the backward pass costs twice that: half of it
for the gradients of the weights, half for those of the activations. An attribution needs no gradient of a weight. **Predict** what is left.
For a 7 B vision-language model with 576 patches and 64 words, per explained token:
"""


# %%
def backward_share(trains):
    """FLOPs of the backward pass over those of the forward pass: to the weights if `trains`, else to the pixels only."""
    net, pixels = models[0].requires_grad_(trains), images[:8].clone().requires_grad_(not trains)
    with FlopCounterMode(display=False) as there:
        score = net(pixels, ids[:8]).logits.sum()
    with FlopCounterMode(display=False) as back:
        torch.autograd.grad(score, list(net.parameters()) if trains else pixels, allow_unused=True)
    return back.get_total_flops() / there.get_total_flops()


training, explaining = backward_share(True), backward_share(False)
claim(
    "C29.15",
    "With frozen weights the backward pass to the pixels costs about one forward pass, in training about two",
    0.9 < explaining < 1.2 and 1.7 < training < 2.2,
    measured=f"counted: {explaining:.2f} and {training:.2f} forward passes",
)
forward = 2 * 7e9 * (576 + 64)
passes = {
    "saliency": 2,
    "integrated gradients, 50 steps": 2 * 50,
    "ablation, 16 regions": 17,
    "ablation, 576 patches": 577,
    "Shapley, 16 regions, 25 orders": 16 * 25 + 1,
}
for name, count in passes.items():
    print(f"{name:32s} {count:4d} forward passes' worth  {count * forward / 1e15:6.2f} PFLOP")

# %% [markdown]
r"""
Regions, not patches, make a large model explainable: ablation of 16 regions costs about a sixth of 50-step integrated
gradients, needs no gradients, hence no activations in memory and works behind an inference server. `attribute_answer` in
`explain/generation.py` does it for generated text. One trap: captum's default steps through a key-value cache, and transformers 5
then leaves the pixels out of the first step, so every region gets 0; the wrapper turns that off. Fused attention (SDPA,
FlashAttention) never forms the weights: capturing them means running eager attention, with memory quadratic in the length.
Chunks (`rows=`) bound the memory and leave the result alone, also under mixed precision, where completeness should be checked in
fp32.
"""

# %% [markdown]
r"""
## 29.9 Interview

Say each answer aloud before you read on. With a kernel this is a view to practise with, in English and Chinese.
"""

# %%
show_questions("29")

# %% [markdown]
r"""
## 29.10 Card

- **Formula** $(x_i - x_i')\int_0^1 \partial_i s\,dt$; adds up to $s(x) - s(x')$. Shapley: mean of $v(S \cup i) - v(S)$ over orders.
- **Shapes** image (B, 3, height, width) and words (B, T, D) in, one number a pixel and a word out, in logits.
- **Cost** gradient 2, integrated gradients 2 · steps (weights frozen), ablation regions + 1, Shapley regions · orders, in forward passes.
- **Use** integrated gradients for "how much", ablation for "what without"; deletion area with two fillers and weight shuffling before you show it.
- **Do not** read attention as effect, pointing as faithfulness, or additive values as the whole story.

## 29.11 Sources

1. Sundararajan et al. (2017), [arXiv:1703.01365](https://arxiv.org/abs/1703.01365): integrated gradients, completeness, the baseline.
2. Lundberg and Lee (2017), [arXiv:1705.07874](https://arxiv.org/abs/1705.07874): Shapley values as attribution; Ribeiro et al. (2016), [arXiv:1602.04938](https://arxiv.org/abs/1602.04938): LIME.
3. Jain and Wallace (2019), [arXiv:1902.10186](https://arxiv.org/abs/1902.10186), and Wiegreffe and Pinter (2019), [arXiv:1908.04626](https://arxiv.org/abs/1908.04626): the argument about attention.
4. Adebayo et al. (2018), [arXiv:1810.03292](https://arxiv.org/abs/1810.03292): randomisation of weights and of labels; the edge detector as a rival. Ours shuffles
   weights instead of redrawing them, and adds a second honest model as the control.
5. Petsiuk et al. (2018), [arXiv:1806.07421](https://arxiv.org/abs/1806.07421): deletion and insertion. Zhang et al. (2016), [arXiv:1608.00507](https://arxiv.org/abs/1608.00507): the pointing game.
6. Abnar and Zuidema (2020), [arXiv:2005.00928](https://arxiv.org/abs/2005.00928): rollout. Chefer et al. (2021), [arXiv:2103.15679](https://arxiv.org/abs/2103.15679): gradient-weighted relevance.
7. Selvaraju et al. (2016), [arXiv:1610.02391](https://arxiv.org/abs/1610.02391): Grad-CAM. Simonyan et al. (2013), [arXiv:1312.6034](https://arxiv.org/abs/1312.6034): saliency. Kokhlikyan et al. (2020), [arXiv:2009.07896](https://arxiv.org/abs/2009.07896): captum, which does the work here.
8. Goyal et al. (2016), [arXiv:1612.00837](https://arxiv.org/abs/1612.00837): language priors in visual question answering.
9. Next after maps of inputs: sparse autoencoders name directions inside the model, Cunningham et al. (2023), [arXiv:2309.08600](https://arxiv.org/abs/2309.08600).

## 29.12 Worked solutions
"""


# %% tags=["solution"]
def integrated_gradients(score, x, baseline, steps):
    total = torch.zeros_like(x)
    for k in range(steps):
        point = (baseline + (k + 0.5) / steps * (x - baseline)).detach().requires_grad_()
        total += torch.autograd.grad(score(point).sum(), point)[0]
    return total / steps * (x - baseline)


check(exercise.integrated_gradients, integrated_gradients, solution=True)


# %% tags=["solution"]
def rollout(maps):
    rolled = torch.eye(maps[0].shape[-1], dtype=maps[0].dtype)
    for weights in maps:
        mixed = 0.5 * torch.eye(weights.shape[-1], dtype=weights.dtype) + 0.5 * weights.mean(dim=1)
        rolled = mixed @ rolled
    return rolled


check(exercise.attention_rollout, rollout, solution=True)


# %% tags=["solution"]
def deletion(score, x, importance):
    x, order = x.clone(), importance.argsort(dim=1, descending=True)
    scores = [score(x)]
    for k in range(x.shape[1]):
        x = x.scatter(1, order[:, k : k + 1], 0.0)
        scores.append(score(x))
    return torch.stack(scores, dim=1)


check(exercise.deletion_curve, deletion, solution=True)


# %% tags=["solution"]
def pointing(heat, mask):
    top = heat.flatten(1).argmax(dim=1)
    return mask.flatten(1)[torch.arange(len(heat)), top]


check(exercise.pointing_game, pointing, solution=True)

# %% [markdown]
r"""
*Lessons:* [start page](00_start_here.ipynb) · previous: 28 · Robustness, privacy, fairness, safety (planned), before it [21 · Metrics and protocols for prediction](21_prediction_metrics.ipynb) · next: 30 · Multimodal retrieval-augmented generation and agents (planned), then [31 · Broken-code clinic and a tiny vision–language model](31_clinic_and_tiny_vlm.ipynb)
"""
