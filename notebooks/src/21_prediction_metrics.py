# %% [markdown]
r"""
# 21 · Metrics and protocols for prediction

You will be able to say what a figure means, what it cannot see, and how far it would move if you measured again.

*70 minutes · needs no other lesson · under 30 s of CPU*

*Lessons:* [start page](00_start_here.ipynb) · previous: 20 · Why joint training fails (planned), before it [19 · Regularisation and overfitting](19_regularisation.ipynb) · next: 22 · Evaluating generation and multimodal models (planned), then [29 · Explaining: what does the model look at?](29_explaining.ipynb)
"""

# %% [markdown]
r"""
## 21.1 The interview question

> **Which metric do you report for a classifier, what does each of them mean, and how sure are you of the number?**
>
> **评价一个分类模型用哪些指标？各自是什么含义？你对这个数字有多大把握？**

**The 60-second answer, to be earned below.** "First the decision: who acts on the output, what does each mistake cost, how
rare are positives in use. Accuracy is the share of right decisions; at 1 % positives, saying *no* to everybody scores 99 %.
Precision: of what I flag, how much is real. Recall: of what is real, how much I flag. F1 is the harmonic mean of *those two*,
at one threshold, and it moves with prevalence. ROC plots recall over the false positive rate; its area is the chance that a
positive outranks a negative, whatever the threshold and the prevalence. The precision-recall curve shows what a rare positive
costs in false alarms. If probabilities are used as such, I check calibration. Thresholds and temperatures come from validation
data, the test set is used once, and every figure gets an interval: bootstrap over the independent unit, paired when two
models are compared. Cross-validation is not a metric: it estimates one, and it changes no model."
"""

# %% [markdown]
r"""
**You will be able to**

1. compute accuracy, precision, recall, F1, AUC and AP by hand, and name the chance value of each;
2. say which figures move with the threshold, with prevalence, with the size of the test set, and which do not;
3. put an interval on any metric, and say what it takes to tell whether a gain of 0.3 points is real;
4. find the leak in a cross-validation;
5. calibrate a model and choose its threshold from costs.

| you have | read |
| --- | --- |
| an evening (70 min) | everything, exercises included |
| a workshop (45 min) | 21.1, 21.2, 21.5 on the projector, exercise 21.1, 21.6 and 21.7 with bets before each cell |
| 15 minutes before the interview | 21.1, the table in 21.3, 21.7, 21.8, 21.9, 21.10 |

**Try first.** Write down four numbers before you read on.

- **A** A test catches 90 % of the sick and alarms on 9 % of the healthy. 1 % of people are sick. It alarms on you. How likely
  are you sick?
- **B** 500 teams submit *coin flips* to a leaderboard with 200 yes/no items. What does the winner score?
- **C** 60 patients, half of them ill, 2,000 random features. Keep the 20 features that go best with the label, cross-validate a
  classifier on them. What accuracy comes out?
- **D** Same model, same data, another random seed. By how many points does the test accuracy on 510 items move?

Sections 21.2, 21.5 and 21.6 measure all four.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn import metrics as sk
from sklearn import model_selection as splits
from sklearn.datasets import load_breast_cancer
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from torch.nn import functional as F

from course_lib.exercises import lesson_21 as exercise
from course_lib.interview.show import show_questions
from course_lib.lesson.claims import claim
from course_lib.lesson.exercises import check, hint
from course_lib.lesson.explore import explore
from course_lib.lesson.figures import COLOURS, dot_plot, show
from course_lib.metrics import calibration, classification, ranking, resampling, thresholds
from course_lib.models.heads import mlp
from course_lib.training.config import TrainConfig
from course_lib.training.loop import fit
from course_lib.training.recipes import classify, digits

# %% [markdown]
r"""
![A model's scores are read in three ways: ranked for ROC and precision-recall curves, cut at a threshold for a confusion
matrix, or taken as probabilities for reliability bins. Below: training, validation and test set, and what each may
decide.](figures/21_scores_to_report.svg)

The picture shows the two halves of this lesson: three ways to read one vector of scores, and which data may decide what.

## 21.2 By hand

Ten patients, four of them ill (label 1). The model gives scores; the doctor calls *ill* from 0.5 upwards.
"""

# %%
label = torch.tensor([1, 1, 0, 1, 0, 0, 1, 0, 0, 0])
score = torch.tensor([0.95, 0.90, 0.80, 0.70, 0.55, 0.40, 0.35, 0.30, 0.20, 0.10])

count = {"TP": 0, "FP": 0, "FN": 0, "TN": 0}
for is_ill, s in zip(label.tolist(), score.tolist(), strict=True):
    called_ill = s >= 0.5
    count[("T" if called_ill == bool(is_ill) else "F") + ("P" if called_ill else "N")] += 1

tp, fp, fn, tn = count.values()
print(count)
print(f"accuracy  (TP + TN) / all  {(tp + tn) / 10:.3f}")
print(f"precision  TP / (TP + FP)  {tp / (tp + fp):.3f}   of those called ill, how many are")
print(f"recall     TP / (TP + FN)  {tp / (tp + fn):.3f}   of those who are ill, how many were called")
print(f"F1  2 TP / (2 TP + FP + FN) {2 * tp / (2 * tp + fp + fn):.3f}   harmonic mean of the two lines above")

# %% [markdown]
r"""
All of this holds for *one* threshold. Without any: take every pair of an ill and a healthy patient. How often does the ill one
have the higher score?
"""

# %%
for i in range(10):
    if label[i] == 1:
        below = [j for j in range(10) if label[j] == 0 and score[i] > score[j]]
        print(f"ill, {score[i]:.2f}: above {len(below)} of 6 healthy")
print("AUC = share of pairs in order =", f"(6 + 6 + 5 + 3) / 24 = {20 / 24:.3f}")
print("Try first, A: 0.9 * 0.01 / (0.9 * 0.01 + 0.09 * 0.99) =", f"{0.009 / (0.009 + 0.0891):.3f}")

# %% [markdown]
r"""
**A** is 9 %, not 90 %: among 1,000 people 9 sick ones alarm, and 89 healthy ones. That number is the test's *precision*.
Most people answer with its *recall*. The same swap happens in Chinese reports: 准确率 is accuracy, 精确率 (also 查准率) is
precision, 召回率 (查全率) is recall; 精度 is used for all three, so ask.

### Exercise 21.1 · prf ●○○ 10 minutes

Precision, recall and F1 for K classes: `(B,), (B,) -> (precision, recall, f1)`, averaged `"macro"`, `"micro"` or `"weighted"`.
A class that is never called has no precision, one that never occurs no recall: count these as 0, and average over all K.
"""


# %% tags=["exercise"]
def prf(label, called, classes, average):
    """label, called: (B,) class numbers below `classes`."""
    raise NotImplementedError


check(exercise.prf, prf)
hint(exercise.prf)

# %% [markdown]
r"""
## 21.3 In symbols

TP, FP, FN, TN as above. $\pi$ is the prevalence, the share of positives. $P$ positives, $N$ negatives, $J$ thresholds. "Chance"
means scores that know nothing.

| metric | 中文 | formula | in code | chance | best | does not see |
| --- | --- | --- | --- | --- | --- | --- |
| accuracy | 准确率 | (TP + TN) / all | `accuracy` | most frequent class | 1 | which mistakes |
| precision | 精确率 (查准率) | TP / (TP + FP) | `precision_recall_f1` | $\pi$ | 1 | what was missed |
| recall, TPR | 召回率 (查全率) | TP / (TP + FN) | `precision_recall_f1` | share called positive | 1 | false alarms |
| FPR | 假正率 | FP / (FP + TN) | `roc_curve` | share called positive | 0 | positives |
| F1 | F1 值 | 2 TP / (2 TP + FP + FN) | `precision_recall_f1` | $2\pi/(1+\pi)$ if all are called positive | 1 | TN, costs |
| ROC-AUC | ROC 曲线下面积 | $P(s^+ > s^-) + \tfrac12 P(s^+ = s^-)$ | `roc_auc` | ½, any $\pi$ | 1 | prevalence, calibration |
| AP | 平均精度 | $\sum_j (R_j - R_{j-1})\, \mathrm{Pr}_j$ | `average_precision` | $\pi$ | 1 | true negatives |
| ECE | 期望校准误差 | $\sum_j \frac{n_j}{B}\,\lvert \mathrm{acc}_j - \mathrm{conf}_j \rvert$ | `expected_calibration_error` | none | 0 | how often it is right |
| Brier | Brier 分数 | $\frac1B\sum_b \sum_k (p_{bk} - [k = y_b])^2$ | `brier_score` | $1 - 1/K$ for uniform | 0 | costs |
| log loss | 对数损失 | $-\frac1B\sum_b \log p_{b y_b}$ | `F.cross_entropy` | $\log K$ for uniform | 0 | costs |

Shapes: labels (B,), scores (B,) or (B, K), confusion matrix (K, K) with the true class as row. Everything above AUC needs a
threshold; AUC and AP need only an order; the last three need probabilities.
"""

# %% [markdown]
r"""
## 21.4 Build it

**A model of the course**: an MLP on 8 × 8 digits, trained by `fit`; its 510 test images come from writers that it never saw.
Confusion matrix as a loop, as one `bincount`, as scikit-learn's.
"""


# %%
def train_digits(hidden, seed, examples=1000, noise=0.0, steps=300):
    """Held-out and test logits with labels; `noise` is added to every pixel (1.0 is paper to ink).

    The split is that of generator 0 for every seed; the seed moves initial weights, batches and noise.
    """
    (images, labels), (test_images, test_labels) = digits()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    images, test_images = (x + noise * torch.randn(x.shape, generator=generator) for x in (images, test_images))
    torch.manual_seed(seed)
    model, shown, held_out = mlp(64, 10, hidden=hidden), order[:examples], order[examples : examples + 400]
    config = TrainConfig(steps=steps, batch_size=64, learning_rate=3e-3, weight_decay=0.0, seed=seed)
    fit(model, (images[shown], labels[shown]), classify, config)
    model.eval().requires_grad_(False)
    return (model(images[held_out]), labels[held_out]), (model(test_images), test_labels)


# %%
_, (logits, truth) = train_digits(hidden=16, seed=0)
called = logits.argmax(dim=1)
looped = torch.zeros(10, 10, dtype=torch.int64)
for is_k, called_k in zip(truth, called, strict=True):
    looped[is_k, called_k] += 1

counted = torch.bincount(10 * truth + called, minlength=100).view(10, 10)
confusion = classification.confusion_matrix(truth, called, classes=10)
same = (
    torch.equal(looped, counted),
    torch.equal(counted, confusion),
    np.array_equal(sk.confusion_matrix(truth, called), confusion),
)
print("loop = bincount = library = scikit-learn:", *same)
averages = {a: classification.average_precision_recall_f1(confusion, a) for a in ("macro", "micro", "weighted")}
theirs = [sk.precision_recall_fscore_support(truth, called, average=a)[:3] for a in averages]
print("three averages = scikit-learn:", np.allclose(list(averages.values()), theirs))
claim(
    "C21.23",
    "With one label per example micro-averaged precision, recall and F1 are all the accuracy",
    np.allclose(averages["micro"], classification.accuracy(logits, truth)),
    measured=f"micro {averages['micro'].f1:.4f}, macro F1 {averages['macro'].f1:.4f}",
)

# %% [markdown]
r"""
A micro-F1 says no more than the accuracy. Macro counts every class alike: it is the one that notices a rare class.

**AUC, four ways**: all pairs, the trapezoids under the ROC curve, ranks, scikit-learn. Scores are rounded so that ties occur.
"""


# %%
def make_scores(positives, negatives, seed, shift=1.17):
    """Negatives N(0, 1), positives N(shift, 1): the AUC is Φ(shift / √2), which is 0.796 for 1.17."""
    label = torch.cat([torch.ones(positives), torch.zeros(negatives)]).long()
    noise = torch.randn(len(label), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return label, noise + shift * label


y, s = make_scores(300, 700, seed=0)
s = (4 * s).round()  # about thirty distinct values
gap = s[y == 1][:, None] - s[y == 0]  # (P, N)
pairs = ((gap > 0).double() + 0.5 * (gap == 0)).mean().item()
curve = ranking.roc_curve(y, s)
area = torch.trapezoid(curve.true_positive_rate, curve.false_positive_rate).item()
ranks, library = ranking.roc_auc(y, s), sk.roc_auc_score(y, s)
mapped = ranking.roc_auc(y, (s / 4).exp() + 5)
claim(
    "C21.1",
    "AUC is P(positive above negative): pairs, area, ranks and scikit-learn agree, and exp of the scores changes nothing",
    max(abs(value - pairs) for value in (area, ranks, library, mapped)) < 1e-12,
    measured=f"pairs {pairs:.4f}, area {area:.4f}, ranks {ranks:.4f}, after exp {mapped:.4f}",
)

# %% [markdown]
r"""
**Average precision** is a sum of steps. Trapezoids are wrong here, because between two points precision does not move on a
straight line (Davis and Goadrich, 2006). And for **ten classes** there is no ROC curve: AUC is binary, so one averages "this
digit against the rest".
"""

# %%
pr = ranking.precision_recall_curve(y, s)
steps = (torch.diff(pr.recall, prepend=torch.zeros(1)) * pr.precision).sum().item()
areas = ranking.average_precision(y, s), sk.average_precision_score(y, s)
print("steps = library = scikit-learn:", np.allclose(areas, steps, atol=1e-12))

p = logits.double().softmax(-1)
against_rest = {
    name: [ranking.roc_auc((truth == k).long(), v[:, k]) for k in range(10)]
    for name, v in (("p", p), ("logits", logits))
}
theirs = sk.roc_auc_score(truth, p, multi_class="ovr")
print("mean of ten AUCs = scikit-learn's multi_class='ovr':", np.isclose(np.mean(against_rest["p"]), theirs))
print("logits and softmax have the same AUCs:", against_rest["p"] == against_rest["logits"])

# %% [markdown]
r"""
(The softmax is monotone in a row, not in a column: over *examples* it changes the order, and with it the AUC.)

### Exercise 21.2 · auc ●●● 15 minutes

`(B,), (B,) -> float` in $O(B \log B)$, equal scores counted half: no loop over pairs and no table of them.
"""


# %% tags=["exercise"]
def auc(label, score):
    """P(a random positive scores above a random negative), ties counted half."""
    raise NotImplementedError


check(exercise.auc, auc)
hint(exercise.auc)

# %% [markdown]
r"""
## 21.5 Explore: one threshold, three pictures

Real data: 569 tumours, 212 of them malignant, from scikit-learn's breast-cancer table. To leave room for mistakes the model
sees only 2 of the 30 features. Each score comes from a fold that did not train on it. The second slider changes the *world*,
not the model: what if the test is used where only 1 % are ill?

**Predict first**: move prevalence from 0.5 to 0.01. Which of confusion matrix, ROC and PR curve stay where they are?
"""

# %%
table = load_breast_cancer()
malignant = torch.from_numpy(1 - table.target)  # scikit-learn codes malignant as 0: see 21.7
FOLDS = splits.StratifiedKFold(10, shuffle=True, random_state=0)


def out_of_fold(features):
    """(569,) probabilities of "malignant", each from a model that did not see the patient."""
    model = make_pipeline(StandardScaler(), LogisticRegression())
    return torch.from_numpy(
        splits.cross_val_predict(model, features, malignant, cv=FOLDS, method="predict_proba")[:, 1]
    )


weak, strong = out_of_fold(table.data[:, [1, 4]]), out_of_fold(table.data)
print(
    "AUC with 2 features over 0.8, with all 30 over 0.99:",
    ranking.roc_auc(malignant, weak) > 0.8,
    ranking.roc_auc(malignant, strong) > 0.99,
)

# %%
ROC = ranking.roc_curve(malignant, weak)


def draw_threshold(threshold=0.3, prevalence=0.1):
    """Confusion matrix per 1,000 people, the point on the ROC curve, the point on the PR curve."""
    at = int((ROC.threshold >= threshold).sum()) - 1
    tpr, fpr = ROC.true_positive_rate, ROC.false_positive_rate
    precision = thresholds.precision_at_prevalence(tpr, fpr, prevalence)
    ill, well = 1000 * prevalence, 1000 * (1 - prevalence)
    cells = [[ill * tpr[at], ill * (1 - tpr[at])], [well * fpr[at], well * (1 - fpr[at])]]
    fig, axes = plt.subplots(1, 3, figsize=(8.4, 2.8), gridspec_kw={"wspace": 0.35})  # redraws faster than constrained
    fig.subplots_adjust(left=0.07, right=0.99, bottom=0.18, top=0.88)
    axes[0].imshow(cells, cmap="Blues", vmin=0, vmax=1000)
    for i, row in enumerate(cells):
        for j, value in enumerate(row):
            axes[0].text(j, i, f"{value:.0f}", ha="center", va="center", color="white" if value > 600 else "black")
    axes[0].set(xticks=[0, 1], xticklabels=["called ill", "called well"], yticks=[0, 1], yticklabels=["ill", "well"])
    axes[0].set_title(f"of 1,000: precision {precision[at]:.2f}, recall {tpr[at]:.2f}", fontsize=9)
    for ax, x, y, chance in ((axes[1], fpr, tpr, [0, 1]), (axes[2], tpr, precision, [prevalence] * 2)):
        ax.plot([0, 1], chance, ":", color="grey")
        ax.plot(x, y, color=COLOURS[0])
        ax.plot(x[at], y[at], "o", color=COLOURS[1])
    axes[1].set(xlabel="false positive rate", ylabel="recall", title="ROC")
    axes[2].set(xlabel="recall", ylabel="precision", title="PR", ylim=(0, 1.03))
    return fig


# %%
explore(
    draw_threshold,
    alt="A confusion matrix for a thousand people beside a ROC curve and a precision-recall curve, one point marked on both.",
    threshold=(0.0, 1.0),
    prevalence=(0.01, 0.9),
)

# %% [markdown]
r"""
The threshold slides the point along both curves. Prevalence leaves the ROC curve and its point where they are, and sinks the
PR curve: recall and the false positive rate are counted *within* a class, precision mixes the classes.

**A leaderboard of coin-flippers.** Every team guesses at random on the same yes/no items. **Predict first**: what does the best of
500 teams score on 200 items? Then: what does that team score on 200 fresh items?
"""


# %%
def play(teams, items, seed=0):
    """Scores of all teams on the public items, and of the winner on as many fresh ones."""
    generator = torch.Generator().manual_seed(seed)
    public = torch.randint(0, 2, (teams, items), generator=generator).double().mean(dim=1)
    fresh = torch.randint(0, 2, (items,), generator=generator).double().mean()
    return public, fresh.item()


def draw_leaderboard(teams=500, items=200):
    """Histogram of public scores, the winner, and the winner on fresh items."""
    public, fresh = play(teams, items)
    fig, ax = plt.subplots(figsize=(7, 2.4), layout="constrained")
    width = max(1 / items, 0.01)
    ax.hist(public, bins=np.arange(0.25, 0.75, width) - 0.25 / items, color=COLOURS[0])
    ax.axvline(public.max(), color=COLOURS[1], label=f"winner, public items: {public.max():.3f}")
    ax.axvline(fresh, color=COLOURS[2], linestyle="--", label=f"the same team, fresh items: {fresh:.3f}")
    ax.set(xlabel=f"accuracy on {items} items", ylabel="teams", xlim=(0.25, 0.75))
    ax.legend(fontsize=8)
    return fig


# %%
explore(
    draw_leaderboard,
    alt="A bell of scores around one half; the winner's public score stands at its right edge, its fresh score in the middle.",
    teams=(2, 2000),
    items=(50, 2000),
)
winners = [play(500, 200, seed) for seed in range(100)]
best, fresh = np.mean([public.max() for public, _ in winners]), np.mean([fresh for _, fresh in winners])
claim(
    "C21.5",
    "The best of 500 coin-flippers on 200 items shows about 0.6; on fresh items it is a coin again (mean of 100 games)",
    0.59 < best < 0.63 and 0.48 < fresh < 0.52,
    measured=f"public {best:.3f}, fresh {fresh:.3f}; first game {winners[0][0].max():.3f}",
)

# %% [markdown]
r"""
That is **B**. On average the best of $m$ scores with standard deviation $\sigma$ stands at most $\sigma\sqrt{2 \ln m}$ above the truth:
here $0.0354 \cdot 3.53 = 0.125$. Picking the best checkpoint, prompt, seed or threshold *on the test set* is this game.

## 21.6 Evidence

**Rare positives.** The same scores, and ever fewer positives among 200,000 negatives.
"""

# %%
rare = {
    f"{share:.1%}": make_scores(positives, 200_000, seed=1)
    for share, positives in ((0.1, 22_222), (0.01, 2020), (0.001, 200))
}
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
figures = {}
for (share, (y, s)), colour in zip(rare.items(), COLOURS, strict=False):
    figures[share] = ranking.roc_auc(y, s), ranking.average_precision(y, s)
    roc, pr = ranking.roc_curve(y, s), ranking.precision_recall_curve(y, s)
    left.plot(roc.false_positive_rate, roc.true_positive_rate, color=colour, label=f"{share} positive")
    right.plot(pr.recall, pr.precision, color=colour)
left.set(xlabel="false positive rate", ylabel="recall", title="ROC")
right.set(xlabel="recall", ylabel="precision", title="PR", ylim=(0, 1))
left.legend(fontsize=8)
show(
    fig,
    "Left, three ROC curves lie on each other. Right, the precision-recall curve sinks towards the floor as positives get rare.",
)

roc_areas, ap = zip(*figures.values(), strict=True)
claim(
    "C21.2",
    "With 100 times fewer positives ROC-AUC stays near 0.8, average precision falls by a factor of over 10",
    max(abs(area - 0.796) for area in roc_areas) < 0.06 and ap[0] > 0.3 and ap[0] > 10 * ap[2] and ap[1] < 0.12,
    measured=", ".join(f"{share}: AUC {a:.3f} AP {b:.3f}" for share, (a, b) in figures.items()),
)

# %% [markdown]
r"""
Neither is the "right" one. ROC-AUC describes the *ranker*, AP the ranker *in a world*. If you carry a model from a balanced test
set to a world with 1 % positives, the ROC curve travels and the PR curve has to be recomputed, by Bayes' rule. It is often said
that AP is simply better under imbalance; McDermott et al. (2024) show that it is not in general: AP rewards fixing mistakes among
the *highest scores* first, which is what a search engine wants, and can be unfair between subgroups of different prevalence.

**AUC up, product down.** A fraud team reads 400 of 40,000 transactions a day; 1 % are fraud. Model A ranks everything a little.
Model B knows one fraud pattern for certain, and nothing about the rest. **Which has the higher AUC? Which would the team buy?**
"""

# %%
found = np.zeros((3, 4))  # AUC of A and B, precision at 400 of A and B
for seed in range(3):
    fraud, a = make_scores(400, 39_600, seed)
    generator = torch.Generator().manual_seed(100 + seed)
    pattern = (torch.rand(40_000, generator=generator) < 0.3) & (fraud == 1)
    b = torch.randn(40_000, generator=generator) + 6 * pattern
    at_400 = [fraud[s.topk(400).indices].double().mean().item() for s in (a, b)]
    found[seed] = ranking.roc_auc(fraud, a), ranking.roc_auc(fraud, b), *at_400
claim(
    "C21.15",
    "A model with an AUC over 0.08 lower finds more than twice the fraud among the 400 cases that are read (3 seeds)",
    (found[:, 0] > found[:, 1] + 0.08).all() and (found[:, 3] > 2 * found[:, 2]).all(),
    measured="means: AUC A {:.2f}, B {:.2f}; precision at 400 A {:.2f}, B {:.2f}".format(*found.mean(0)),
)

# %% [markdown]
r"""
AUC averages over all thresholds, most of which nobody will ever use. Report the metric *at the operating point*: precision at
the capacity of the team, recall at the false positive rate that is allowed.

**How sure is an AUC?** 300 test sets of each size, drawn from the same world; and the formula of Hanley and McNeil (1982).
Then the question that matters in practice: from *one* test set, does a bootstrap interval cover the truth?
"""

# %%
SIZES = (20, 200, 2000)
spread = {n: [ranking.roc_auc(*make_scores(n // 2, n // 2, seed)) for seed in range(300)] for n in SIZES}
fig, ax = plt.subplots(figsize=(6.5, 2.4), layout="constrained")
for n, colour in zip(SIZES, COLOURS, strict=False):
    ax.hist(spread[n], bins=25, density=True, alpha=0.7, color=colour, label=f"{n} examples")
ax.set(xlabel="AUC of one test set", ylabel="density")
ax.legend(fontsize=8)
show(fig, "Three histograms around the same centre: very wide for 20 examples, narrow for 2,000.")

formula = [ranking.hanley_mcneil_std(0.796, n // 2, n // 2) for n in SIZES]
claim(
    "C21.3",
    "The standard deviation of an AUC is about 0.1, 0.03 and 0.01 for 20, 200 and 2,000 examples, as the formula says",
    all(abs(np.std(spread[n]) / predicted - 1) < 0.2 for n, predicted in zip(SIZES, formula, strict=True)),
    measured=", ".join(f"{n}: {np.std(spread[n]):.3f} (formula {f:.3f})" for n, f in zip(SIZES, formula, strict=True)),
)


def coverage(positives, negatives, shift, truth):
    """In how many of 100 worlds the 95 % percentile interval holds the true AUC."""
    covered = 0
    for seed in range(100):
        y, s = make_scores(positives, negatives, seed=5000 + seed, shift=shift)
        interval = resampling.bootstrap_interval(ranking.roc_auc, y, s, seed=seed, resamples=200)
        covered += interval.low <= truth <= interval.high
    return covered


easy, hard = coverage(50, 50, 1.17, 0.796), coverage(10, 190, 2.476, 0.96)
claim(
    "C21.21",
    "With 50 positives, 50 negatives and an AUC of 0.80 the 95 % percentile bootstrap covers the truth in about 95 of 100 worlds; with 10 "
    "positives, 190 negatives and an AUC of 0.96 in fewer than 88",
    87 <= easy <= 100 and hard < 88,
    measured=f"{easy} and {hard} of 100",
)

# %% [markdown]
r"""
So "95 %" holds where it is easy, and fails where this lesson lives: with rare positives and a good ranker. Ten positives hold ten
numbers, and an area near 1 has no room above it. Then count positives, not rows, and say that the interval is too short.

### Exercise 21.3 · bootstrap_ci ●●○ 10 minutes

The percentile interval behind the last cell, for any `metric(label, score)`. Randomness comes from the `generator` only.
"""


# %% tags=["exercise"]
def bootstrap_ci(metric, label, score, resamples, level, generator):
    """(low, high) of metric over `resamples` draws with replacement."""
    raise NotImplementedError


check(exercise.bootstrap_ci, bootstrap_ci)
hint(exercise.bootstrap_ci)

# %% [markdown]
r"""
**Is a gain real?** First, how far does *one* recipe wander by itself? Then a true gap to find, which turns out far larger than 0.3 points: hidden
width 64 and 16, the same 1,000 training and 510 test digits, eight seeds each: other initial weights, other batches, one split. Both models
stumble over the same hard digits, so compare them *item by item*.
"""

# %%
right = {}
for hidden in (64, 16):
    runs = [train_digits(hidden, seed)[1] for seed in range(8)]
    right[hidden] = torch.stack([scores.argmax(1) == truth for scores, truth in runs])  # (seeds, B)
score_of = {hidden: values.double().mean(1) for hidden, values in right.items()}
fig, ax = plt.subplots(figsize=(6.5, 2.6), layout="constrained")
for seed in range(8):
    ax.plot([score_of[64][seed], score_of[16][seed]], [seed, seed], color="grey", linewidth=1)
for hidden, mark, colour in ((64, "o", COLOURS[0]), (16, "s", COLOURS[1])):
    ax.plot(score_of[hidden], range(8), mark, color=colour, label=f"hidden width {hidden}")
ax.set(xlabel="accuracy on 510 digits of unseen writers", ylabel="seed")
ax.legend(fontsize=8)
show(
    fig,
    "Eight seeds, two marks each. The wide model lies right of the narrow one in each row; both wander from row to row.",
)

spans = [100 * (values.max() - values.min()).item() for values in score_of.values()]
claim(
    "C21.18",
    "The same recipe on the same data spreads over more than 0.8 points in eight seeds, so a gain of 0.3 from one run says nothing",
    min(spans) > 0.8,
    measured=f"points between best and worst seed: {spans[0]:.1f} for width 64, {spans[1]:.1f} for width 16",
)

# %%
share = []  # of the unpaired width, seed by seed
for a, b in zip(right[64].double(), right[16].double(), strict=True):
    paired = resampling.bootstrap_interval(lambda x, y: (x - y).mean().item(), a, b, seed=0)
    unpaired = 2 * 1.96 * ((a.var() + b.var()) / len(a)).sqrt().item()
    share.append((paired.high - paired.low) / unpaired)
claim(
    "C21.17",
    "Compared item by item, the 95 % interval of a difference is under 0.7 times as wide as from two separate scores",
    max(share) < 0.7,
    measured=f"{min(share):.2f} to {max(share):.2f} times in 8 pairs; the last: difference {paired.estimate:.3f}, "
    f"paired {paired.low:.3f} to {paired.high:.3f}, unpaired width {unpaired:.3f}",
)
p_values = [resampling.mcnemar_p_value(right[64][s], right[16][s]) for s in range(8)]
by_seed = score_of[64] - score_of[16]
over_seeds = resampling.sign_flip_p_value(by_seed, seed=0)
claim(
    "C21.27",
    "McNemar's p for one pair of runs depends on the seeds by a factor over 10; flipping signs over 8 seeds finds a gap of over 2 points "
    "on this split",
    max(p_values) > 10 * min(p_values) and over_seeds < 0.05 and by_seed.mean() > 0.02,
    measured=f"one pair: p from {min(p_values):.0e} to {max(p_values):.2f}; 8 seeds: mean gain {by_seed.mean():.3f}, p {over_seeds:.4f} "
    f"(the smallest that 8 signs can give is 2 / 2^8 = {2 / 2**8:.4f})",
)

# %% [markdown]
r"""
That is **D**: points, not tenths. A paired test on one pair of runs asks "do these two *files of weights* differ on more items of
this kind?". "Is the *recipe* better?" needs several seeds (Bouthillier et al., 2021), and several splits, which this cell does not vary. Eight signs
of one kind say "real" about a gap of over 2 points; they would say nothing about 0.3, which is smaller than the seeds' own spread. A vendor's single number
answers neither.

**Cross-validation that lies.** The labels have nothing to do with the features, so the truth is 50 %. First **C**: choose 20 of
2,000 random features by their relation to the label, then cross-validate (a mistake that Ambroise and McLachlan, 2002, found in
published results). Against: the same choice *inside* each fold.
"""


# %%
def selection_study(seed):
    """CV accuracy on noise with features chosen on all rows, and chosen anew in every training fold."""
    x, y = np.random.RandomState(seed).randn(60, 2000), np.arange(60) % 2
    folds = splits.StratifiedKFold(5, shuffle=True, random_state=seed)
    outside = splits.cross_val_score(LogisticRegression(), SelectKBest(k=20).fit_transform(x, y), y, cv=folds)
    inside = splits.cross_val_score(make_pipeline(SelectKBest(k=20), LogisticRegression()), x, y, cv=folds)
    return outside.mean(), inside.mean()


outside, inside = np.array([selection_study(seed) for seed in range(5)]).T
claim(
    "C21.9",
    "Features chosen before the split give over 75 % on unrelated labels; chosen inside each fold, chance (5 seeds)",
    outside.min() > 0.75 and 0.35 < inside.mean() < 0.65,
    measured=f"outside {outside.min():.2f} to {outside.max():.2f}, inside mean {inside.mean():.2f}",
)

# %% [markdown]
r"""
**C** is near 90 %, on pure noise. Whatever looks at labels (feature selection, resampling, prompt choice, early stopping) belongs *inside*
the loop. The same holds for choosing hyper-parameters: the best score of a grid search is a winner's score. **Nested** CV
runs the whole search inside an outer loop, and measures on rows that the search never saw.
"""


# %%
def nested_study(seed):
    """The best CV score of a grid on noise, and the outer score of that whole search."""
    x, y = np.random.RandomState(seed).randn(60, 20), np.arange(60) % 2
    grid = {"max_features": [1, 2, 4], "random_state": [0, 1, 2, 3, 4, 5, 6, 7]}
    search = splits.GridSearchCV(
        DecisionTreeClassifier(), grid, cv=splits.StratifiedKFold(3, shuffle=True, random_state=seed)
    )
    outer = splits.cross_val_score(search, x, y, cv=splits.StratifiedKFold(3, shuffle=True, random_state=100 + seed))
    return search.fit(x, y).best_score_, outer.mean()


best, nested = np.array([nested_study(seed) for seed in range(12)]).mean(axis=0)
claim(
    "C21.10",
    "The best grid score on unrelated labels is over 2 points above the nested estimate of the same search (mean of 12)",
    best > nested + 0.02 and best > 0.56,
    measured=f"best of 24 settings {best:.3f}, nested {nested:.3f}",
)

# %% [markdown]
r"""
**Rows that know each other.** The digits come writer after writer, in 14 runs (UCI speaks of 13 writers, so one may have two).
Shuffled folds put rows of one run on both sides. Which number describes a *new* writer?
"""

# %%
FIRST_ROW = [0, 130, 256, 386, 516, 646, 776, 915, 1029, 1157, 1287, 1415, 1545, 1667]  # of each run
images, names = (torch.cat(parts) for parts in zip(*digits(), strict=True))
writer = np.searchsorted(FIRST_ROW, np.arange(1797), side="right")
nearest, pixels = KNeighborsClassifier(1), images.flatten(1).numpy()
shuffled = (
    splits.cross_val_predict(nearest, pixels, names, cv=splits.StratifiedKFold(14, shuffle=True, random_state=0))
    == names.numpy()
)
by_writer = splits.cross_val_predict(nearest, pixels, names, cv=splits.GroupKFold(14), groups=writer) == names.numpy()
claim(
    "C21.19",
    "On digits, random folds hide more than half of the errors that a new writer brings",
    1 - by_writer.mean() > 2 * (1 - shuffled.mean()),
    measured=f"error {1 - shuffled.mean():.1%} with random folds, {1 - by_writer.mean():.1%} by writer",
)

hits, cluster = torch.from_numpy(by_writer).double(), torch.from_numpy(writer)
rows, writers = (
    resampling.bootstrap_interval(lambda x: x.mean().item(), hits, seed=0, cluster=unit) for unit in (None, cluster)
)
claim(
    "C21.25",
    "Drawing whole runs instead of rows widens the interval by over a half: 14 runs are the sample, not 1,797 rows",
    writers.high - writers.low > 1.5 * (rows.high - rows.low),
    measured=f"rows {rows.low:.3f} to {rows.high:.3f}, runs {writers.low:.3f} to {writers.high:.3f}",
)

# %% [markdown]
r"""
**Can the probabilities be believed?** 300 noisy training digits, trained to the end, so the model is sure of itself. One number
$T$, fitted on 400 held-out digits, divides the logits. The argmax cannot change. Does anything else?
"""

# %%
(before, after), temperatures, early = torch.zeros(2, 3, 3), [], []  # (seeds, 3): accuracy, ECE, log loss
for seed in range(3):
    early.append(F.cross_entropy(*train_digits(64, seed, examples=300, noise=0.4, steps=100)[1]).item())
    (held_out, held_label), (logits, truth) = train_digits(64, seed, examples=300, noise=0.4, steps=400)
    temperatures.append(calibration.fit_temperature(held_out, held_label))
    for result, scaled in ((before, logits), (after, logits / temperatures[-1])):
        ece = calibration.expected_calibration_error(scaled.softmax(-1), truth)
        result[seed] = torch.tensor([classification.accuracy(scaled, truth), ece, F.cross_entropy(scaled, truth)])

claim(
    "C21.7",
    "Temperature scaling leaves accuracy as it is, more than halves ECE and lowers the log loss (3 seeds)",
    torch.equal(before[:, 0], after[:, 0])
    and (after[:, 1] < 0.5 * before[:, 1]).all()
    and (after[:, 2] < before[:, 2] - 0.15).all()
    and max(early) < before[:, 2].min(),
    measured=f"accuracy {before[:, 0].mean():.2f}, T {min(temperatures):.1f} to {max(temperatures):.1f}, ECE {before[:, 1].mean():.2f} to "
    f"{after[:, 1].mean():.2f}, log loss {before[:, 2].mean():.2f} to {after[:, 2].mean():.2f}; had training stopped at step 100: {np.mean(early):.2f}",
)

# %%
fig, axes = plt.subplots(1, 2, figsize=(6.4, 2.9), layout="constrained", sharey=True)
for ax, name, scaled in zip(axes, ("as trained", "divided by T"), (logits, logits / temperatures[-1]), strict=True):
    confidence, answer = scaled.softmax(-1).max(-1)
    bins = calibration.confidence_bins(confidence, answer == truth, bins=10)
    ax.bar(bins.edges[:-1], bins.accuracy, width=0.1, align="edge", color=COLOURS[0], edgecolor="white")
    ax.plot([0, 1], [0, 1], ":", color="grey")
    ax.set(xlabel="confidence", title=name, xlim=(0, 1), ylim=(0, 1))
axes[0].set_ylabel("share right")
show(
    fig,
    "Reliability diagrams. As trained, bars stay below the diagonal; after division by the temperature they come near it.",
)

# %% [markdown]
r"""
Temperature scaling (Guo et al., 2017) has something to repair here, because 400 steps went far past the point where the log loss was
best: after 100 it was about where the temperature brings it now. It is no law that networks are overconfident: Minderer et al. (2021) find several recent image models well calibrated.

**Two traps of ECE.** What does a *perfectly* calibrated model score, and what does one that knows nothing?
"""

# %%
finite = {}
for n in (200, 2000, 20_000):
    generator = torch.Generator().manual_seed(0)
    p = (1.5 * torch.randn(n, 10, generator=generator)).softmax(-1)
    drawn = torch.multinomial(p, 1, generator=generator).flatten()  # labels follow p exactly
    finite[n] = [calibration.expected_calibration_error(p, drawn, bins=bins) for bins in (15, 50)]
claim(
    "C21.11",
    "A perfectly calibrated model has an ECE above 0.03 on 200 examples, more with 50 bins, and below 0.02 on 20,000",
    finite[200][0] > 0.03 and finite[200][1] > finite[200][0] and finite[20_000][0] < 0.02,
    measured=", ".join(f"{n}: {a:.3f} (50 bins {b:.3f})" for n, (a, b) in finite.items()),
)

train_labels = digits()[0][1]
base_rate = torch.bincount(train_labels, minlength=10) / len(train_labels)
always = base_rate.repeat(len(truth), 1)
no_idea = calibration.expected_calibration_error(always, truth)
claim(
    "C21.12",
    "Always saying the base rate is calibrated and useless: ECE under 0.02, accuracy at chance; Brier tells them apart",
    no_idea < 0.02
    and classification.accuracy(always, truth) < 0.15
    and calibration.brier_score((logits / temperatures[-1]).softmax(-1), truth)
    < calibration.brier_score(always, truth) - 0.2,
    measured=f"ECE {no_idea:.3f}, accuracy {classification.accuracy(always, truth):.2f}, Brier {calibration.brier_score(always, truth):.2f}, "
    f"the network's {calibration.brier_score((logits / temperatures[-1]).softmax(-1), truth):.2f}",
)

# %% [markdown]
r"""
### Exercise 21.4 · ece ●●○ 10 minutes

`(B, K), (B,), bins -> float`. Bins are (low, high] of the predicted class's probability; empty ones are left out.
"""


# %% tags=["exercise"]
def ece(probabilities, label, bins):
    """Expected calibration error."""
    raise NotImplementedError


check(exercise.ece, ece)
hint(exercise.ece)

# %% [markdown]
r"""
**Threshold by cost.** A missed malignant tumour costs 20, a false alarm 1. Half of the 569 patients train, a quarter validates, a
quarter tests; ten splits. Four policies: 0.5; the cheapest threshold *on validation*; $c_{FP}/(c_{FP} + c_{FN}) = 1/21$, which is
optimal for calibrated probabilities; call everybody ill. **Predict** the order.
"""


# %%
def threshold_study(seed, features):
    """Cost per test patient of four policies."""
    fitting, rest = splits.train_test_split(np.arange(569), test_size=0.5, random_state=seed, stratify=malignant)
    choosing, testing = splits.train_test_split(rest, test_size=0.5, random_state=seed, stratify=malignant[rest])
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(features[fitting], malignant[fitting])
    p_choosing, p = (torch.from_numpy(model.predict_proba(features[rows])[:, 1]) for rows in (choosing, testing))
    costs = {"false_positive_cost": 1.0, "false_negative_cost": 20.0}
    tuned = thresholds.cheapest_threshold(malignant[choosing], p_choosing, **costs).threshold
    policies = {
        "0.5": 0.5,
        "cheapest on validation": tuned,
        "1 / 21": thresholds.bayes_threshold(**costs),
        "all ill": 0.0,
    }
    ill = malignant[testing] == 1
    price = torch.where(ill, 20.0, 1.0).double()
    return {name: (price * ((p >= cut) != ill)).mean().item() for name, cut in policies.items()}


# %%
cost = {}
for name, columns in (("2 features", [1, 4]), ("30 features", range(30))):
    found = [threshold_study(seed, table.data[:, columns]) for seed in range(10)]
    cost[name] = {policy: [run[policy] for run in found] for policy in found[0]}
fig, ax = dot_plot(cost, xlabel="cost per patient on the test part, one mark a split")
show(
    fig,
    "Costs of four policies. The threshold of one half costs most for the weak model; the cost ratio's threshold is cheap.",
)
mean = {name: {policy: np.mean(values) for policy, values in policies.items()} for name, policies in cost.items()}
claim(
    "C21.13",
    "With misses 20 times dearer 1/21 costs under 0.6 times what 0.5 does; with 2 features 0.5 is dearer than calling all ill",
    all(each["1 / 21"] < 0.6 * each["0.5"] for each in mean.values())
    and min(cost["2 features"]["0.5"]) > max(cost["2 features"]["all ill"]),
    measured="; ".join(f"{name}: " + ", ".join(f"{k} {v:.2f}" for k, v in each.items()) for name, each in mean.items()),
)

# %% [markdown]
r"""
The threshold tuned on validation is *not* the clear winner: some 50 malignant cases do not pin down a threshold that should miss
one or two. With calibrated probabilities the cost ratio needs no tuning. (scikit-learn's `TunedThresholdClassifierCV` averages
over folds.)

**Subgroups.** Recall of the 30-feature model at 0.5, over the malignant tumours by size.
"""

# %%
ill = malignant == 1
area = torch.from_numpy(table.data[:, 3])[ill]
third = torch.bucketize(area, area.quantile(torch.tensor([1 / 3, 2 / 3], dtype=torch.float64)))
found = (strong[ill] >= 0.5).double()
overall = found.mean().item()
report = resampling.subgroup_report(lambda x: x.mean().item(), third, found, seed=0)
for name, group in zip(("small", "middle", "large"), report.values(), strict=True):
    print(f"{name:7s}{group.count} malignant tumours")
claim(
    "C21.20",
    "One recall hides another: the smallest third of malignant tumours is over 3 points below the overall recall",
    report[0].interval.estimate < overall - 0.03 and report[2].interval.estimate > overall,
    measured=f"overall {overall:.3f}; "
    + ", ".join(f"{g.interval.estimate:.3f} ({g.interval.low:.2f} to {g.interval.high:.2f})" for g in report.values())
    + f"; no miss in {report[2].count} still allows {3 / report[2].count:.1%}",
)

# %% [markdown]
r"""
The small ones are those one would want to find early. Note the width of the interval: 71 tumours. A subgroup figure without its
count is a rumour. And "1.00 to 1.00" is a blind spot of the bootstrap, which cannot draw a miss that the sample does not hold: with
0 misses in $n$ the 95 % limit is about $3/n$ (rule of three).

## 21.7 Wrong answers people give

Bet before you run: is the sentence true?

> **"F1 combines accuracy and recall." · "F1 is the metric for imbalanced data."**

The first sounds right because in Chinese 准确率 and 精确率 differ by one character. The second forgets that precision contains
the prevalence: the *same* classifier, same TPR and FPR, gets another F1 in every hospital.

> **"The ROC curve plots precision against recall."** · **"AUC depends on the threshold you choose, but not on the size of the data."**

Mixing up the two curves is no slip of the tongue: at 1 % positives the areas of a weak ranker, AUC 0.8, differ by an order of magnitude
(C21.2); those of a perfect one are both 1. The second sentence has it backwards twice: no threshold is involved (C21.1), and the *estimate* from a small test set can be anywhere (C21.3).
"""

# %%
table_of_1000 = torch.tensor([[960, 30], [4, 6]])  # rows: well, ill
f1 = classification.precision_recall_f1(table_of_1000).f1[1].item()
accuracy, recall = 966 / 1000, 6 / 10
mixed = 2 * accuracy * recall / (accuracy + recall)
claim(
    "C21.4",
    "TP 6, FN 4, FP 30, TN 960: F1 is 0.26, not the 0.74 of accuracy and recall",
    abs(f1 - 12 / 46) < 1e-9 and mixed > 0.7,
    measured=f"{f1:.2f}, {mixed:.2f}",
)


falling = [2 * 0.9 * share / (0.9 * share + 0.2 * (1 - share) + share) for share in (0.5, 0.1, 0.01)]
claim(
    "C21.8",
    "Same recall 0.9, same false positive rate 0.2: F1 falls from over 0.8 at 50 % positives to under 0.1 at 1 %",
    falling[0] > 0.8 and falling[2] < 0.1,
    measured=", ".join(f"{value:.2f}" for value in falling),
)
y, s = rare["1.0%"]
roc_area, pr_area = ranking.roc_auc(y, s), ranking.average_precision(y, s)
claim(
    "C21.26",
    "One set of scores at 1 % positives: the area under ROC is over 8 times the area under precision-recall",
    roc_area > 8 * pr_area,
    measured=f"ROC {roc_area:.2f}, PR {pr_area:.3f}",
)

# %% [markdown]
r"""
> **"Cross-validation is an evaluation metric that reduces overfitting and improves generalisation."**

It sounds right because people who cross-validate get better models. But they get them by *choosing* with the estimate. The final
fit does not know that a cross-validation happened. Nor is the spread over folds a standard error: training sets overlap, folds are
not independent, and intervals built from it are too narrow (Bates et al., 2021).
"""

# %%
final = make_pipeline(StandardScaler(), LogisticRegression()).fit(table.data, malignant)
weights = final[-1].coef_.tobytes()
estimate = splits.cross_val_score(make_pipeline(StandardScaler(), LogisticRegression()), table.data, malignant, cv=5)
again = make_pipeline(StandardScaler(), LogisticRegression()).fit(table.data, malignant)
claim(
    "C21.6",
    "Before and after cross-validation the final model is the same, bit for bit; what it returns is a mean and a spread",
    again[-1].coef_.tobytes() == weights and estimate.mean() > 0.95,
    measured=f"accuracy {estimate.mean():.3f} ± {estimate.std():.3f} over 5 folds",
)

# %% [markdown]
r"""
> **"Accuracy, where every decision has to be right."** · **"`recall_score(y, prediction)` is the share of cancers found."**

If ever something is rare, accuracy rewards ignoring it. And a library cannot know which class you fear: scikit-learn takes label 1
as positive, and in its own breast-cancer table 1 means *benign*.
"""

# %%
screening = classification.precision_recall_f1(torch.tensor([[990, 0], [10, 0]]))  # calls nobody ill
claim(
    "C21.22",
    "Calling nobody ill at 1 % prevalence: accuracy 0.99, recall 0, F1 0",
    screening.recall[1].item() == 0.0 and screening.f1[1].item() == 0.0,
    measured=f"accuracy {990 / 1000}, recall {screening.recall[1].item()}",
)
benign_called = (strong < 0.5).long().numpy()
default = sk.recall_score(table.target, benign_called)
cancers = sk.recall_score(table.target, benign_called, pos_label=0)
claim(
    "C21.14",
    "On scikit-learn's breast-cancer table the default recall is that of the benign class, and the higher of the two",
    default == ((strong < 0.5) & (malignant == 0)).sum().item() / 357 and cancers < default,
    measured=f"default {default:.3f}, cancers found {cancers:.3f}",
)

# %% [markdown]
r"""
> **"Evaluate, then adjust the parameters by the result."**

Right on validation data, wrong on test data: C21.5 is what happens. There is comfort: on CIFAR-10 and ImageNet, re-used
for a decade, Recht et al. (2019) found accuracies lower on fresh test sets, but the *ranking* of models nearly intact.

> **"F1 to judge a search engine."**

A search engine returns an order, cut off by the user's patience: Recall@K, MRR, nDCG, and say how large the gallery is: lesson 06 (planned).
Captions, answers and hallucinations need other metrics again: lesson 22 (planned).

## 21.8 At scale

**How many test items?** The standard error of an accuracy is $\sqrt{p(1-p)/n}$, of the difference of two separate ones
$\sqrt{2p(1-p)/n}$, of a *paired* difference about $\sqrt{d/n}$, where $d$ is the share of items on which exactly one model is right. For a
true gap $g$ of two standard errors, which half of all test sets would show as significant (for four in five, double it), $n$ is:
"""

# %%
print(f"{'gap':>6s}{'unpaired, p = 0.8':>20s}{'paired, d = 0.10':>20s}{'paired, d = 0.02':>20s}")
for gap in (0.05, 0.01, 0.003, 0.001):
    unpaired = 2 * 0.8 * 0.2 * (2 / gap) ** 2
    need = [unpaired, *(d * (2 / gap) ** 2 for d in (0.10, 0.02))]
    print(f"{gap:6.1%}" + "".join(f"{n:>20,.0f}" for n in need))

# %% [markdown]
r"""
A gain of 0.3 points on a benchmark of 1,000 items is below what the benchmark can see, paired or not.

**Several GPUs, many batches.** A ratio whose denominator changes from batch to batch (precision, recall, F1) must not be averaged over batches. Counts add up: all-reduce the
confusion matrix, K² integers, and divide once. AUC needs all scores in one place (8 bytes an example with its label: 0.8 GB for
100 million), or a histogram of scores per class. **Mixed precision.** A sigmoid in bfloat16 has no number between 0.996 and 1, so the
top of the ranking becomes a few large ties, and nobody can say which 10 come first. Rank by logits in float32.
"""

# %%
y, s = make_scores(40, 1960, seed=0, shift=2.0)
order = torch.randperm(2000, generator=torch.Generator().manual_seed(0))
matrices = [classification.confusion_matrix(y[rows], (s[rows] > 1.5).long(), classes=2) for rows in order.split(32)]
f1_of = [classification.precision_recall_f1(matrix).f1[1].item() for matrix in (sum(matrices), *matrices)]
whole = classification.confusion_matrix(y, (s > 1.5).long(), classes=2)
claim(
    "C21.16",
    "The mean of F1 over batches is not the F1; the sum of the confusion matrices is the confusion matrix",
    torch.equal(sum(matrices), whole) and abs(np.mean(f1_of[1:]) - f1_of[0]) > 0.02,
    measured=f"F1 {f1_of[0]:.3f}, mean over 63 batches {np.mean(f1_of[1:]):.3f}",
)

y, s = make_scores(200, 20_000, seed=0, shift=3.0)
logit, low = 3 * s - 6, torch.sigmoid(3 * s - 6).bfloat16()
distinct = [len(values.topk(200).values.unique()) for values in (low, logit.float())]
claim(
    "C21.24",
    "As bfloat16 probabilities the top 200 examples share fewer than 50 values; as float32 logits all 200 differ",
    distinct[0] < 50 and distinct[1] == 200,
    measured=f"{distinct[0]} values, {(low == low.max()).sum()} examples share the highest; AP {ranking.average_precision(y, logit):.3f} by "
    f"logits, {ranking.average_precision(y, low):.3f} by bfloat16",
)

# %% [markdown]
r"""
## 21.9 Interview

Cover the answers, say yours aloud, compare. Each key point names the claim above that proves it, or a paper.
"""

# %%
show_questions("21")

# %% [markdown]
r"""
## 21.10 Card

- **Formula**: precision TP/(TP+FP) · recall TP/(TP+FN) · F1 2TP/(2TP+FP+FN) · AUC $= P(s^+ > s^-)$ · threshold
  $c_{FP}/(c_{FP}+c_{FN})$ · softmax(logits / T).
- **Shapes**: scores (B,) or (B, K), labels (B,), confusion matrix (K, K), curves (J,).
- **Cost**: AUC and curves $O(B \log B)$; bootstrap times the number of resamples; counts add over devices, ratios do not.
- **Use** the metric at the operating point, with chance value, interval over the independent unit, subgroups with counts; pairs
  and several seeds to compare recipes.
- **Do not** report accuracy or F1 without prevalence, tune anything on the test set, select features before the split, average
  F1 over batches, or read ECE alone.
"""

# %% [markdown]
r"""
## 21.11 Sources

1. Fawcett (2006), *An introduction to ROC analysis*, [doi:10.1016/j.patrec.2005.10.010](https://doi.org/10.1016/j.patrec.2005.10.010): curves, ties, several classes.
2. Hanley, McNeil (1982), *The meaning and use of the area under a ROC curve*, [doi:10.1148/radiology.143.1.7063747](https://doi.org/10.1148/radiology.143.1.7063747): AUC as a
   probability, its standard error.
3. Davis, Goadrich (2006), *The relationship between precision-recall and ROC curves*, [doi:10.1145/1143844.1143874](https://doi.org/10.1145/1143844.1143874).
4. McDermott et al. (2024), *A closer look at AUROC and AUPRC under class imbalance*, [arXiv:2401.06091](https://arxiv.org/abs/2401.06091).
5. Opitz, Burst (2019), *Macro F1 and macro F1*, [arXiv:1911.03347](https://arxiv.org/abs/1911.03347): two quantities with one name.
6. Efron (1979), *Bootstrap methods: another look at the jackknife*, [doi:10.1214/aos/1176344552](https://doi.org/10.1214/aos/1176344552). Our
   intervals are percentiles of the draws, the simplest kind.
7. Dietterich (1998), *Approximate statistical tests for comparing supervised classification learning algorithms*,
   [doi:10.1162/089976698300017197](https://doi.org/10.1162/089976698300017197).
8. Bouthillier et al. (2021), *Accounting for variance in machine learning benchmarks*, [arXiv:2103.03098](https://arxiv.org/abs/2103.03098).
9. Varma, Simon (2006), *Bias in error estimation when using cross-validation for model selection*,
   [doi:10.1186/1471-2105-7-91](https://doi.org/10.1186/1471-2105-7-91): our noise study follows theirs. Features chosen outside the folds: Ambroise, McLachlan (2002),
   *Selection bias in gene extraction on the basis of microarray gene-expression data*, [doi:10.1073/pnas.102102699](https://doi.org/10.1073/pnas.102102699).
10. Bates, Hastie, Tibshirani (2021), *Cross-validation: what does it estimate and how well does it do it?*, [arXiv:2104.00673](https://arxiv.org/abs/2104.00673).
11. Recht et al. (2019), *Do ImageNet classifiers generalize to ImageNet?*, [arXiv:1902.10811](https://arxiv.org/abs/1902.10811).
12. Guo et al. (2017), *On calibration of modern neural networks*, [arXiv:1706.04599](https://arxiv.org/abs/1706.04599); Minderer et al. (2021), *Revisiting the
    calibration of modern neural networks*, [arXiv:2106.07998](https://arxiv.org/abs/2106.07998); Kumar et al. (2019), *Verified uncertainty calibration*,
    [arXiv:1909.10155](https://arxiv.org/abs/1909.10155): why binned estimates mislead.
13. Elkan (2001), *The foundations of cost-sensitive learning*, [IJCAI](https://cseweb.ucsd.edu/~elkan/rescale.pdf): the threshold from costs.
14. Data: *Breast Cancer Wisconsin (Diagnostic)*, [doi:10.24432/C5DW2B](https://doi.org/10.24432/C5DW2B), and *Optical Recognition of Handwritten Digits*,
    [doi:10.24432/C50P49](https://doi.org/10.24432/C50P49), as shipped with scikit-learn. Rows per writer: "Sample grouping" in scikit-learn's MOOC,
    [inria.github.io/scikit-learn-mooc](https://inria.github.io/scikit-learn-mooc).

## 21.12 Worked solutions
"""


# %% tags=["solution"]
def prf(label, called, classes, average):
    index = torch.arange(classes)[:, None]
    is_class, says_class = label == index, called == index  # (K, B)
    true, said, present = (is_class & says_class).sum(1), says_class.sum(1), is_class.sum(1)
    weight = present if average == "weighted" else torch.ones(classes)
    if average == "micro":
        true, said, present, weight = true.sum()[None], said.sum()[None], present.sum()[None], torch.ones(1)
    figures = (true / said.clamp(min=1), true / present.clamp(min=1), 2 * true / (said + present).clamp(min=1))
    return tuple(((weight * figure).sum() / weight.sum()).item() for figure in figures)


check(exercise.prf, prf, solution=True)


# %% tags=["solution"]
def auc(label, score):
    _, group, size = torch.unique(score, return_inverse=True, return_counts=True)
    rank = (size.cumsum(0) - (size - 1) / 2).double()[group]  # equal scores share the mean of their ranks
    positives = label.sum().item()
    won = rank[label == 1].sum().item() - positives * (positives + 1) / 2
    return won / (positives * (len(label) - positives))


check(exercise.auc, auc, solution=True)


# %% tags=["solution"]
def bootstrap_ci(metric, label, score, resamples, level, generator):
    values = []
    for _ in range(resamples):
        rows = torch.randint(len(label), (len(label),), generator=generator)
        values.append(metric(label[rows], score[rows]))
    edges = torch.tensor([(1 - level) / 2, (1 + level) / 2])
    return tuple(torch.tensor(values).quantile(edges).tolist())


check(exercise.bootstrap_ci, bootstrap_ci, solution=True)


# %% tags=["solution"]
def ece(probabilities, label, bins):
    confidence, answer = probabilities.max(dim=-1)
    gap, place = (answer == label).to(confidence.dtype) - confidence, (confidence * bins).ceil() - 1
    return sum(gap[place == j].sum().abs().item() for j in range(bins)) / len(label)  # an empty bin adds 0


check(exercise.ece, ece, solution=True)

# %% [markdown]
r"""
*Lessons:* [start page](00_start_here.ipynb) · previous: 20 · Why joint training fails (planned), before it [19 · Regularisation and overfitting](19_regularisation.ipynb) · next: 22 · Evaluating generation and multimodal models (planned), then [29 · Explaining: what does the model look at?](29_explaining.ipynb)
"""
