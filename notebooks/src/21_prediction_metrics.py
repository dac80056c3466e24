# %% [markdown] tags=["second-form"]
r"""
# 21 · Metrics and protocols for prediction

You will be able to say what a figure means, what it cannot see, and how far it would move if you measured again.

*65 minutes and 15 more · needs no other lesson · under 60 s of CPU*

*15 minutes:* [The 60-second answer](#21.11-The-60-second-answer) · [Wrong answers people give](#21.8-Wrong-answers-people-give) · [Card](#21.13-Card)

*Lessons:* [start page](00_start_here.ipynb) · previous: 20 · Why joint training fails (planned), before it [19 · Regularisation and overfitting](19_regularisation.ipynb) · next: 22 · Evaluating generation and multimodal models (planned), then [29 · Explaining: what does the model look at?](29_explaining.ipynb)
"""

# %% [markdown]
r"""
## 21.1 The interview question

> **Which metric do you report for a classifier, what does each of them mean, and how sure are you of the number?**
>
> **评价一个分类模型用哪些指标？各自是什么含义？你对这个数字有多大把握？**

**You will be able to**

1. compute accuracy, precision, recall, F1, AUC and average precision by hand, and name the chance value of each;
2. say which figures move with the threshold, with prevalence, with the size of the test set, and which do not;
3. put an interval on any metric, say when it is too short, and say what it takes to tell whether a gain of 0.3 points is real;
4. find the leak in a cross-validation;
5. calibrate a model and choose its threshold from costs.

## 21.2 Try first

Four numbers to guess before you read on.

- **A** A test alarms on 90 % of the sick and on 9 % of the healthy. 1 % of people are sick. It alarms on you.
- **B** 500 teams submit *coin flips* to a leaderboard with 200 yes/no items. The best one wins.
- **C** 60 patients, half of them ill, and 2,000 random features. Keep the 20 features that go best with the label. Then cross-validate a
  classifier on those 20.
- **D** Train one recipe on one data set with eight random seeds, and test each time on the same 510 images.
"""

# %%
from course_lib.lesson.bets import bet, bets

bet("C21.28", "A: how likely are you sick?", ["9 %", "50 %", "90 %", "91 %"])
bet("C21.5", "B: what does the winner score?", ["0.50", "0.55", "0.61", "0.75"])
bet("C21.9", "C: which accuracy comes out?", ["near 50 %", "near 65 %", "near 90 %"])
bet(
    "C21.18",
    "D: how many points lie between the best and the worst of eight seeds?",
    ["under 0.3", "0.3 to 0.8", "over 0.8"],
)

# %%
import numpy as np
import torch
from sklearn import metrics as sk
from sklearn import model_selection as splits
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from course_lib.exercises import lesson_21 as exercise
from course_lib.interview.show import show_questions
from course_lib.lesson.claims import claim
from course_lib.lesson.exercises import check, hint
from course_lib.lesson.explore import explore
from course_lib.lesson.prediction_figures import plot_leaderboard, plot_operating_point
from course_lib.metrics import calibration, ranking, resampling
from course_lib.training.digit_scores import train_digits

_ = torch.manual_seed(0)

# %% [markdown]
r"""
![A model's scores are read in three ways: ranked for ROC and precision-recall curves, cut at a threshold for a confusion
matrix, or taken as probabilities for reliability bins. Below: training, validation and test set, and what each may
decide.](figures/21_scores_to_report.svg)

*The two halves of this lesson: three ways to read one vector of scores, and which data may decide what.*

## 21.3 By hand

Ten patients, four of them ill (label 1). The model gives scores; the doctor calls *ill* from 0.5 upwards. Each patient falls into one of
four cells: **T**rue or **F**alse says whether the call is right, **P**ositive or **N**egative is the call.
"""

# %%
label = torch.tensor([1, 1, 0, 1, 0, 0, 1, 0, 0, 0])
score = torch.tensor([0.95, 0.90, 0.80, 0.70, 0.55, 0.40, 0.35, 0.30, 0.20, 0.10])
count = {"TP": 0, "FP": 0, "FN": 0, "TN": 0}
for is_ill, s in zip(label, score, strict=True):
    called_ill = s >= 0.5
    right = "T" if called_ill == (is_ill == 1) else "F"
    count[right + ("P" if called_ill else "N")] += 1
print(count)

# %%
tp, fp, fn, tn = count.values()
print(f"accuracy  (TP + TN) / all    {(tp + tn) / 10:.3f}")
print(f"precision TP / (TP + FP)     {tp / (tp + fp):.3f}  of those called ill")
print(f"recall    TP / (TP + FN)     {tp / (tp + fn):.3f}  of those who are ill")
print(f"F1  2 TP / (2 TP + FP + FN)  {2 * tp / (2 * tp + fp + fn):.3f}")

# %% [markdown]
r"""
Precision asks: of those I called ill, how many are? Recall asks: of those who are ill, how many did I call? F1 is the harmonic mean of *those two*.

All of this holds for *one* threshold. Without any: take every pair of an ill and a healthy patient. How often does the ill one
have the higher score? That share is the **AUC**.
"""

# %%
for s in score[label == 1]:
    print(f"ill, {s:.2f}: above {(s > score[label == 0]).sum()} of 6 healthy")
print(f"pairs in order: (6 + 6 + 5 + 3) / 24 = {20 / 24:.3f}")

# %% [markdown]
r"""
Now **A**, with 1,000 people. 10 are sick, and 90 % of them alarm. 990 are well, and 9 % of them alarm. Which share of all alarms is right? (The claim is folded until you have bet.)
"""

# %% tags=["claim", "reveal"]
from course_lib.metrics import thresholds

rates = torch.tensor([0.9], dtype=torch.float64), torch.tensor([0.09]).double()
alarm = thresholds.precision_at_prevalence(*rates, prevalence=0.01).item()
claim(
    "C21.28",
    "At 1 % prevalence a test with recall 0.9 and false positive rate 0.09 is right in 9 % of its alarms",
    abs(alarm - 9 / 98.1) < 1e-6,
    measured=f"{alarm:.3f}",
    answer="9 %",
)

# %% [markdown]
r"""
Nine alarms on the sick, 89 on the well. That share is the test's *precision*. Most people answer with its *recall*. The same swap happens in Chinese reports: 准确率 is accuracy, 精确率 (also 查准率) is
precision, 召回率 (查全率) is recall; 精度 is used for all three, so ask.

### Exercise 21.1 · prf ●○○ 10 minutes

`label`, `called` (B,): integers from 0 to `classes` − 1, B ≥ 1. Return three floats, precision, recall and F1, averaged over the K = `classes` classes: `average` is
`"macro"` (each class counts alike), `"weighted"` (by how often it is the label) or `"micro"` (add TP, FP, FN over classes first). A class that is never called has no precision, one that never
occurs no recall: count these as 0, and average over all K. F1 of a class is 2 TP / (2 TP + FP + FN); macro F1 is the mean of the F1s.
"""


# %% tags=["exercise"]
def prf(label, called, classes, average):
    """(B,), (B,) -> (precision, recall, f1)."""
    raise NotImplementedError


check(exercise.prf, prf)
hint(exercise.prf)

# %% [markdown]
r"""
## 21.4 In symbols

$\pi$ is the prevalence, the share of positives. $P$ positives, $N$ negatives. $s^+$ and $s^-$ are the scores of a random positive and a random negative. "Chance" means scores that know
nothing. (AP, ECE and the others follow where they are used; all of them stand on the card.)

| metric | 中文 | formula | chance | does not see |
| --- | --- | --- | --- | --- |
| accuracy | 准确率 | (TP + TN) / all | most frequent class | which mistakes |
| precision | 精确率 (查准率) | TP / (TP + FP) | $\pi$ | what was missed |
| recall = true positive rate | 召回率 (查全率) | TP / (TP + FN) | share called positive | false alarms |
| F1 | F1 值 | 2 TP / (2 TP + FP + FN) | $2\pi/(1+\pi)$ | TN, costs |
| ROC-AUC | ROC 曲线下面积 | $P(s^+ > s^-) + \tfrac12 P(s^+ = s^-)$ | ½, any $\pi$ | prevalence, calibration |

**Why is chance $2\pi/(1+\pi)$ for F1?** Call everybody positive, which is the best that knowing nothing can do. Then precision is $\pi$ and recall is 1. Their harmonic mean is
$2 \cdot \pi \cdot 1/(\pi + 1)$. At $\pi = \tfrac12$ that is already 0.67; at $\pi = 0.01$ it is 0.02, where the plain mean of precision and recall would say 0.5. That is why it is harmonic: it stays near the smaller of the two.
If recall matters $\beta$ times as much as precision, report $F_\beta = (1+\beta^2)\,\frac{\text{precision} \cdot \text{recall}}{\beta^2\,\text{precision} + \text{recall}}$.

**Why is precision at another prevalence known?** Of $n$ people, $\pi n$ are positive; a share TPR of them, the recall, is called. $(1-\pi)n$ are negative; a share FPR of them, the false positive rate FP / (FP + TN), is called. So precision is
$\frac{\mathrm{TPR}\,\pi}{\mathrm{TPR}\,\pi + \mathrm{FPR}\,(1-\pi)}$. That was **A**.

Shapes: labels (B,), scores (B,) or (B, K), confusion matrix (K, K) with the true class as row.

## 21.5 Build it

**A model of the course**: a network with one hidden layer on 8 × 8 digits. Its 510 test images come from writers that it never saw. Confusion matrix as a loop, and as one `bincount`.
"""

# %%
logits, truth = train_digits(hidden=16, seed=0).test
called = logits.argmax(dim=1)
looped = torch.zeros(10, 10, dtype=torch.int64)
for is_k, called_k in zip(truth, called, strict=True):
    looped[is_k, called_k] += 1
counted = torch.bincount(10 * truth + called, minlength=100).view(10, 10)
print("510 images, loop = bincount:", torch.equal(looped, counted))

# %% tags=["claim"]
from course_lib.metrics import classification

confusion = classification.confusion_matrix(truth, called, classes=10)
averages = {
    average: classification.average_precision_recall_f1(confusion, average)
    for average in ("macro", "micro", "weighted")
}
theirs = [
    sk.precision_recall_fscore_support(truth, called, average=average)[:3]
    for average in averages
]
claim(
    "C21.23",
    "With one label per example micro-averaged precision, recall and F1 are all the accuracy; three averages equal scikit-learn's",
    np.allclose(averages["micro"], classification.accuracy(logits, truth))
    and np.allclose(list(averages.values()), theirs)
    and torch.equal(confusion, counted)
    and np.array_equal(sk.confusion_matrix(truth, called), confusion),
    measured=f"micro {averages['micro'].f1:.4f}, macro F1 {averages['macro'].f1:.4f}",
)

# %% [markdown]
r"""
A micro-F1 says no more than the accuracy. Macro counts every class alike: it is the one that notices a rare class.

**AUC, three ways**: all pairs, the area under the ROC curve, scikit-learn. The ROC curve is recall over the false positive rate, one point per threshold. The scores of a
world to experiment with: negatives are normal, positives are shifted. They are rounded so that ties occur.
"""


# %%
def make_scores(positives, negatives, seed, shift=1.17):
    """Negatives N(0, 1), positives N(shift, 1): the AUC is Φ(shift / √2), 0.80."""
    y = torch.cat([torch.ones(positives), torch.zeros(negatives)]).long()
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(y), generator=generator, dtype=torch.float64)
    return y, noise + shift * y


# %%
y, s = make_scores(300, 700, seed=0)
s = (4 * s).round()
up, down = s[y == 1], s[y == 0]
gap = up[:, None] - down  # (P, N)
pairs = ((gap > 0).double() + 0.5 * (gap == 0)).mean()

cuts = torch.cat([torch.tensor([torch.inf]), s.unique().flip(0)])[:, None]
recall, alarms = ((part >= cuts).double().mean(dim=1) for part in (up, down))
area = torch.trapezoid(recall, alarms)
print(f"pairs {pairs:.4f}, area {area:.4f}, scikit-learn {sk.roc_auc_score(y, s):.4f}")
print(f"after exp {sk.roc_auc_score(y, s.exp()):.4f}")

# %% tags=["claim"]
import matplotlib.pyplot as plt

from course_lib.lesson.figures import COLOURS, dot_plot, show

ways = (
    area.item(),
    ranking.roc_auc(y, s),
    sk.roc_auc_score(y, s),
    ranking.roc_auc(y, (s / 4).exp() + 5),
)
claim(
    "C21.1",
    "AUC is P(positive above negative): pairs, area, ranks and scikit-learn agree, and exp of the scores changes nothing",
    max(abs(value - pairs.item()) for value in ways) < 1e-12,
    measured=f"pairs {pairs:.4f}, area {ways[0]:.4f}, ranks {ways[1]:.4f}, after exp {ways[3]:.4f}",
)

# %% [markdown]
r"""
Why do pairs and area agree? Walk down the ranking. Each negative is a step to the right of width $1/N$, at the height (recall) reached so far: the share of positives above *this* negative. The area sums those shares.

**Average precision** (AP) summarises the other curve, precision over recall: at every step of recall, take the precision there. It is a sum of steps. Trapezoids are wrong here, because between two points precision does not move on a
straight line (Davis and Goadrich, 2006).
"""

# %%
flagged = (s >= cuts[1:]).sum(dim=1)
precision = (up >= cuts[1:]).sum(dim=1) / flagged
steps = (recall.diff() * precision).sum()
print(f"steps {steps:.4f}, scikit-learn {sk.average_precision_score(y, s):.4f}")

# %% tags=["claim"]
p = logits.double().softmax(-1)
against_rest = {
    name: [ranking.roc_auc((truth == k).long(), v[:, k]) for k in range(10)]
    for name, v in (("softmax", p), ("logits", logits))
}
theirs = sk.roc_auc_score(truth, p, multi_class="ovr")
claim(
    "C21.36",
    "Ten classes: the mean of ten one-against-rest AUCs is scikit-learn's multi_class='ovr'; logits give other AUCs than their softmax",
    np.isclose(np.mean(against_rest["softmax"]), theirs)
    and against_rest["softmax"] != against_rest["logits"]
    and abs(ranking.average_precision(y, s) - steps) < 1e-6,
    measured=", ".join(f"{k} {np.mean(v):.4f}" for k, v in against_rest.items()),
)

# %% [markdown]
r"""
For **ten classes** there is no ROC curve: AUC is binary, so one averages "this digit against the rest". The softmax is monotone within a row, not within a column. So over *examples* it changes the order, and with it the AUC.

### Exercise 21.2 · auc ●●● 15 minutes · more

`label` (B,) holds 0 and 1, both occur; `score` (B,) are floats with ties. Return P(a random positive scores above a random negative), equal scores counted half, as a float; it may be below one half. In $O(B \log B)$ for
thousands of scores: no loop over pairs, no table of them (in no library), no drawn pairs.
"""


# %% tags=["exercise"]
def auc(label, score):
    """(B,), (B,) -> a float."""
    raise NotImplementedError


check(exercise.auc, auc)
hint(exercise.auc)

# %% [markdown]
r"""
## 21.6 Explore: one threshold, three pictures

Real data: 569 tumours, 212 of them malignant, from scikit-learn's breast-cancer table. To leave room for mistakes the model
sees only 2 of the 30 features. Each score comes from a fold that did not train on it.
"""

# %%
table = load_breast_cancer()
malignant = torch.tensor(1 - table.target)  # scikit-learn codes malignant as 0
FOLDS = splits.StratifiedKFold(10, shuffle=True, random_state=0)


def out_of_fold(features):
    """(569,) probabilities of malignant, from models that did not see the patient."""
    model = make_pipeline(StandardScaler(), LogisticRegression())
    p = splits.cross_val_predict(
        model, features, malignant, cv=FOLDS, method="predict_proba"
    )
    return torch.tensor(p[:, 1])


weak, strong = out_of_fold(table.data[:, [1, 4]]), out_of_fold(table.data)
print(f"AUC with 2 features {ranking.roc_auc(malignant, weak):.2f},", end=" ")
print(f"with all 30 {ranking.roc_auc(malignant, strong):.2f}")

# %% [markdown]
r"""
The second slider changes the *world*, not the model: what if the test is used where only 1 % are ill? **Predict first**: move prevalence from 0.5 to 0.01. Which of
confusion matrix, ROC and PR curve stay where they are?
"""

# %%
ROC = ranking.roc_curve(malignant, weak)


def draw_threshold(threshold=0.3, prevalence=0.1):
    return plot_operating_point(ROC, threshold, prevalence)


explore(
    draw_threshold,
    alt="Counts per thousand people, a ROC curve and a precision-recall curve; one "
    "threshold is marked on both curves.",
    threshold=(0.0, 1.0),
    prevalence=(0.01, 0.9),
)

# %% [markdown]
r"""
The threshold slides the point along both curves. Prevalence leaves the ROC curve and its point where they are, and sinks the
PR curve: recall and the false positive rate are counted *within* a class, precision mixes the classes.

**A leaderboard of coin-flippers.** That is **B**: every team guesses at random on the same yes/no items. And what does the winner score on as many *fresh* items?
"""


# %%
def play(teams, items, seed=0):
    """All scores on public items, and the winner's score on as many fresh ones."""
    generator = torch.Generator().manual_seed(seed)
    public = torch.randint(0, 2, (teams, items), generator=generator).double().mean(1)
    fresh = torch.randint(0, 2, (items,), generator=generator).double().mean()
    return public, fresh.item()


def draw_leaderboard(teams=500, items=200):
    return plot_leaderboard(*play(teams, items), items)


# %% tags=["reveal"]
explore(
    draw_leaderboard,
    alt="A bell of scores around one half; the winner's public score stands at its "
    "right edge, its fresh score in the middle.",
    teams=(2, 2000),
    items=(50, 2000),
)

# %% tags=["claim", "reveal"]
winners = [play(500, 200, seed) for seed in range(100)]
best = np.mean([public.max() for public, _ in winners])
fresh = np.mean([fresh for _, fresh in winners])
claim(
    "C21.5",
    "The best of 500 coin-flippers on 200 items shows about 0.6; on fresh items it is a coin again (mean of 100 games)",
    0.59 < best < 0.63 and 0.48 < fresh < 0.52,
    measured=f"public {best:.3f}, fresh {fresh:.3f}; first game {winners[0][0].max():.3f}",
    answer="0.61",
)

# %% [markdown]
r"""
**Why √(2 ln m)?** On average the best of $m$ scores with standard deviation $\sigma$ stands at most $\sigma\sqrt{2 \ln m}$ above the truth. In three lines:

1. One normal score is above $t\sigma$ with a chance of at most $e^{-t^2/2}$.
2. Of $m$ teams about $m\,e^{-t^2/2}$ are above. That is less than one once $t > \sqrt{2 \ln m}$.
3. Here $\sigma = \sqrt{0.5 \cdot 0.5/200} = 0.035$ and $\sqrt{2 \ln 500} = 3.53$, so the winner stands at most about $0.035 \cdot 3.53 = 0.12$ above one half.

Picking the best checkpoint, prompt, seed or threshold *on the test set* is this game.
"""

# %% [markdown]
r"""
## 21.7 Evidence

**Rare positives.** The same scores, and ever fewer positives among 200,000 negatives.
"""

# %%
for positives in (22_222, 2020, 200):
    y, s = make_scores(positives, 200_000, seed=1)
    area, ap = ranking.roc_auc(y, s), ranking.average_precision(y, s)
    print(f"{y.double().mean():5.1%} positive: AUC {area:.2f}, AP {ap:.3f}")

# %% tags=["claim"]
rare = {
    f"{share:.1%}": make_scores(positives, 200_000, seed=1)
    for share, positives in ((0.1, 22_222), (0.01, 2020), (0.001, 200))
}
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
figures = {}
for (share, (y, s)), colour, style in zip(
    rare.items(), COLOURS, ("-", "--", ":"), strict=False
):
    figures[share] = ranking.roc_auc(y, s), ranking.average_precision(y, s)
    roc, pr = ranking.roc_curve(y, s), ranking.precision_recall_curve(y, s)
    left.plot(
        roc.false_positive_rate,
        roc.true_positive_rate,
        style,
        color=colour,
        label=f"{share} positive",
    )
    right.plot(pr.recall, pr.precision, style, color=colour)
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
    max(abs(area - 0.796) for area in roc_areas) < 0.06
    and ap[0] > 0.3
    and ap[0] > 10 * ap[2]
    and ap[1] < 0.12,
    measured=", ".join(
        f"{share}: AUC {a:.3f} AP {b:.3f}" for share, (a, b) in figures.items()
    ),
)

# %% [markdown]
r"""
Neither is the "right" one. ROC-AUC describes the *ranker*, AP the ranker *in a world*. If you carry a model from a balanced test
set to a world with 1 % positives, the ROC curve travels and the PR curve has to be recomputed, by Bayes' rule. It is often said
that AP is simply better under imbalance; McDermott et al. (2024) show that it is not in general. AP rewards fixing mistakes among
the *highest scores* first. That is what a search engine wants, and it can be unfair between subgroups of different prevalence.

**Two fraud models.** A fraud team reads 400 of 40,000 transactions a day; 1 % are fraud. Model A ranks everything a little.
Model B knows one fraud pattern for certain, 30 % of the fraud, and nothing about the rest.
"""

# %%
bet(
    "C21.15",
    "A's AUC is higher by 0.1. Whose 400 cases hold more fraud?",
    ["A's, by about as much", "about the same", "B's, twice as much or more"],
)

# %% tags=["reveal"]
y, a = make_scores(400, 39_600, seed=0)
generator = torch.Generator().manual_seed(100)
pattern = (torch.rand(40_000, generator=generator) < 0.3) & (y == 1)
b = torch.randn(40_000, generator=generator) + 6 * pattern
for name, s in (("A", a), ("B", b)):
    fraud = y[s.topk(400).indices].sum()
    print(f"{name}: AUC {ranking.roc_auc(y, s):.2f}, fraud among 400: {fraud}")

# %% tags=["claim", "reveal"]
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
    measured="means: AUC A {:.2f}, B {:.2f}; precision at 400 A {:.2f}, B {:.2f}".format(
        *found.mean(0)
    ),
    answer="B's, twice as much or more",
)

# %% [markdown]
r"""
AUC averages over all thresholds, most of which nobody will ever use. Report the metric *at the operating point*: precision at
the capacity of the team, recall at the false positive rate that is allowed.

**How sure is an AUC?** 300 test sets of each size, drawn from the same world; and the formula of Hanley and McNeil (1982).
"""

# %%
spread = {}
for n in (20, 200, 2000):
    tests = [make_scores(n // 2, n // 2, seed) for seed in range(300)]
    spread[n] = np.array([ranking.roc_auc(y, s) for y, s in tests])
    formula = ranking.hanley_mcneil_std(0.796, n // 2, n // 2)
    print(f"{n:4d} examples: ± {spread[n].std():.3f}, formula {formula:.3f}")

# %% tags=["claim"]
formula = [ranking.hanley_mcneil_std(0.796, n // 2, n // 2) for n in spread]
claim(
    "C21.3",
    "The standard deviation of an AUC is about 0.1, 0.03 and 0.01 for 20, 200 and 2,000 examples, as the formula says",
    all(
        abs(values.std() / predicted - 1) < 0.2
        for values, predicted in zip(spread.values(), formula, strict=True)
    ),
    measured=", ".join(f"{n}: {values.std():.3f}" for n, values in spread.items()),
)

# %% [markdown]
r"""
In practice there is only *one* test set. The **bootstrap** makes new ones from it: draw as many examples as there are, with replacement, measure, repeat. The middle 95 % of the figures is the percentile interval.
**DeLong's** formula needs no draws. For each positive, take the share of negatives below it; for each negative, the share of positives above. The spread of those shares is the spread of the AUC.
"""

# %%
y, s = make_scores(10, 190, seed=2, shift=2.476)  # the true AUC is 0.96
drawn = resampling.bootstrap_interval(ranking.roc_auc, y, s, seed=0)
print(f"bootstrap {drawn.low:.3f} to {drawn.high:.3f}")

order = (s[y == 1][:, None] > s[y == 0]).double()  # (P, N)
variance = order.mean(dim=1).var() / 10 + order.mean(dim=0).var() / 190
print(f"DeLong    {order.mean():.3f} ± {1.96 * variance.sqrt():.3f}")

# %%
bet(
    "C21.21",
    "10 positives, 190 negatives, a true AUC of 0.96. In how many of 100 worlds does "
    "the percentile bootstrap's '95 %' interval hold the truth?",
    ["95 to 97", "90 to 94", "fewer than 88"],
)

# %% tags=["claim", "reveal"]
from functools import partial

from scipy import stats

from course_lib.metrics.auc_intervals import delong_interval, newcombe_interval


def draw(rows, random):
    """How often each of `rows` rows comes in each of 300 draws."""
    return random.multinomial(rows, np.full(rows, 1 / rows), size=300)


def percentile(up, down, random, apart=False):
    """The percentile interval. apart: positives and negatives are drawn apart."""
    order = (up[:, None] > down).astype(float)
    if apart:
        p, n = draw(len(up), random), draw(len(down), random)
    else:
        p, n = np.split(draw(len(up) + len(down), random), [len(up)], axis=1)
    both = (p.sum(1) > 0) & (n.sum(1) > 0)
    p, n = p[both], n[both]
    areas = ((p @ order) * n).sum(1) / (p.sum(1) * n.sum(1))
    return np.quantile(areas, [0.025, 0.975])


def bca(up, down, random):
    """Positives and negatives drawn apart; corrected for bias and skewness."""

    def share(up, down, axis):
        return (up[..., :, None] > down[..., None, :]).mean((-2, -1))

    if (up[:, None] > down).all():
        return 1.0, 1.0  # every draw is perfect as well
    found = stats.bootstrap(
        (up, down), share, n_resamples=300, method="BCa", batch=300, rng=random
    )
    return found.confidence_interval


def delong(up, down, random):
    if (up[:, None] > down).all():
        return 1.0, 1.0
    y = torch.tensor([1] * len(up) + [0] * len(down))
    return delong_interval(y, torch.tensor(np.concatenate([up, down])))[1:]


def newcombe(up, down, random):
    return newcombe_interval((up[:, None] > down).mean(), len(up), len(down))[1:]


def coverage(method, positives, negatives, truth, worlds=100, first=0, wide=1):
    """In how many of 100 worlds the 95 % interval of `method` holds the true AUC.

    wide: the spread of the positives, in that of the negatives.
    """
    covered, shift = 0, (1 + wide**2) ** 0.5 * stats.norm.ppf(truth)
    for world in range(first, first + worlds):
        random = np.random.default_rng(world)
        up, down = random.normal(shift, wide, positives), random.normal(0, 1, negatives)
        low, high = method(up, down, random)
        covered += low <= truth <= high
    return 100 * covered / worlds


COUNTS = (5, 10, 20, 40)
METHODS = {
    "percentile bootstrap": percentile,
    "BCa bootstrap": bca,
    "DeLong, logit": delong,
    "Newcombe": newcombe,
}
held, held_wide = (
    {
        name: [coverage(method, count, 190, 0.96, wide=wide) for count in COUNTS]
        for name, method in METHODS.items()
    }
    for wide in (1, 4)
)
fig, axes = plt.subplots(1, 2, figsize=(7.4, 3.2), layout="constrained", sharey=True)
for ax, covered in zip(axes, (held, held_wide), strict=True):
    for (name, values), mark, colour in zip(
        covered.items(), "os^D", COLOURS, strict=False
    ):
        ax.plot(COUNTS, values, mark + "-", color=colour, label=name)
    ax.axhline(95, color="grey", linestyle=":")
    ax.set(xlabel="positives (beside 190 negatives)", xscale="log", ylim=(20, 101))
    ax.set_xticks(COUNTS, COUNTS)
    ax.minorticks_off()
axes[0].set(ylabel="worlds covered, of 100", title="spreads alike")
axes[1].set(title="positives spread 4 times as wide")
fig.legend(
    *axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=4, fontsize=8
)
show(
    fig,
    "True AUC 0.96. Left: three intervals stay below the promised 95 of 100 worlds, Newcombe's does not. Right: all four stay below.",
)
easy = coverage(percentile, 50, 50, 0.796, worlds=200)
hard = coverage(percentile, 10, 190, 0.96, worlds=200, first=5000)
claim(
    "C21.21",
    "With 50 positives, 50 negatives and an AUC of 0.80 the 95 % percentile bootstrap covers the truth in 88 to 95 of 100 worlds; with 10 "
    "positives, 190 negatives and an AUC of 0.96 in fewer than 88",
    88 <= easy <= 95 and hard < 88,
    measured=f"{easy:.0f} and {hard:.0f} of 100",
    answer="fewer than 88",
)
wider = []  # mean width of Newcombe's interval over that of DeLong's
for count in COUNTS:
    random, widths = np.random.default_rng(0), np.zeros((50, 2))
    for world in range(50):
        up, down = random.normal(2.476, 1, count), random.normal(0, 1, 190)
        for column, method in enumerate((newcombe, delong)):
            widths[world, column] = np.diff(method(up, down, random))[0]
    wider.append(widths[:, 0].mean() / widths[:, 1].mean())
strata = [
    coverage(partial(percentile, apart=True), count, 190, 0.96) for count in COUNTS
]
short = ("percentile bootstrap", "BCa bootstrap", "DeLong, logit")
claim(
    "C21.29",
    "AUC 0.96, spreads alike: with 5 positives percentile, BCa and DeLong cover under 90 of 100 worlds, Newcombe's interval at least 91 from 5 to 40 "
    "positives, percentiles with classes drawn apart under 92; if positives spread 4 times as wide Newcombe's covers under 92 (mean of four counts)",
    max(held[name][0] for name in short) < 90
    and min(held["Newcombe"]) >= 91
    and np.mean(held_wide["Newcombe"]) < 92
    and max(strata) < 92,
    measured="; ".join(
        f"{name} " + ", ".join(f"{value:.0f}" for value in values)
        for name, values in [
            *held.items(),
            ("percentile, classes drawn apart", strata),
            ("Newcombe, wide", held_wide["Newcombe"]),
        ]
    )
    + f"; Newcombe's is {min(wider):.1f} to {max(wider):.1f} times as wide as DeLong's",
)

# %% [markdown]
r"""
So "95 %" nearly holds where it is easy, and fails where this lesson lives: with rare positives and a good ranker. Why? Ten positives hold ten
numbers, and an area near 1 has no room above it. When luck puts all ten on top, the sample shows no spread at all. Then every method that takes the spread *from the sample* says "sure".

BCa, *bias-corrected and accelerated*, shifts the percentiles by the bias and the skewness of the draws. DeLong on the scale of the logit, $\log\frac{A}{1-A}$, is longer on the side where there is room. From 10 positives on both do better than percentiles, and both are still too short.
Drawing positives and negatives apart, a *stratified* bootstrap, is what BCa does here; it does not help by itself.

**Newcombe's** interval (2006) turns the question round: from which true areas $A$ would this sample be no surprise? It takes the spread that the formula of Hanley and McNeil gives for *that* $A$, in a form with both classes alike, and keeps all $A$ within 1.96 standard deviations.
A smaller $A$ has a larger spread, so the interval reaches further down. The price: it is wider, and with 20 or 40 positives it covers more than it promises. And the formula is about scores that spread alike in both classes. The right panel breaks that: no interval of the four keeps its promise at every number of positives.

So there is no repair by formula. With few positives count positives, not rows; say that the interval is too short; and collect more of them.

### Exercise 21.3 · bootstrap_ci ●●○ 10 minutes

`metric(label, score)` is any function that returns a float; `label` and `score` are (B,). Return (low, high), floats: the percentile interval at `level` (0.95 leaves 2.5 % on each side) over `resamples` draws. One draw takes B rows with
replacement, the same rows of label and score. Quantiles interpolate linearly, as `torch.quantile` does. All randomness comes from `generator`, a `torch.Generator`; do not make a new one, and do not seed it.
"""


# %% tags=["exercise"]
def bootstrap_ci(metric, label, score, resamples, level, generator):
    """(low, high) of metric over draws with replacement."""
    raise NotImplementedError


check(exercise.bootstrap_ci, bootstrap_ci)
hint(exercise.bootstrap_ci)

# %% [markdown]
r"""
**Is a gain real?** First, how far does *one* recipe wander by itself? Then a gap to find: hidden
width 64 and 16, the same 1,000 training and 510 test digits, eight seeds each: other initial weights, other batches.
"""

# %%
right = {}
for hidden in (64, 16):
    runs = [train_digits(hidden=hidden, seed=seed).test for seed in range(8)]
    right[hidden] = torch.stack([z.argmax(1) == truth for z, truth in runs])
print("right answers, for each width:", tuple(right[64].shape), "(seeds, items)")

# %% tags=["claim", "reveal"]
score_of = {hidden: values.double().mean(1) for hidden, values in right.items()}
fig, ax = plt.subplots(figsize=(6.5, 2.6), layout="constrained")
for seed in range(8):
    ax.plot(
        [score_of[64][seed], score_of[16][seed]],
        [seed, seed],
        color="grey",
        linewidth=1,
    )
for hidden, mark, colour in ((64, "o", COLOURS[0]), (16, "s", COLOURS[1])):
    ax.plot(
        score_of[hidden], range(8), mark, color=colour, label=f"hidden width {hidden}"
    )
ax.set(xlabel="accuracy on 510 digits of unseen writers", ylabel="seed")
ax.legend(fontsize=8)
show(
    fig,
    "Eight seeds, two marks each. The wide model lies right of the narrow one; both wander from row to row.",
)
spans = [100 * (values.max() - values.min()).item() for values in score_of.values()]
claim(
    "C21.18",
    "The same recipe on the same data spreads over more than 0.8 points in eight seeds, so a gain of 0.3 from one run says nothing",
    min(spans) > 0.8,
    measured=f"points between best and worst seed: {spans[0]:.1f} for width 64, {spans[1]:.1f} for width 16",
    answer="over 0.8",
)

# %% [markdown]
r"""
That is **D**: points, not tenths. Two models stumble over the same hard digits, so compare them *item by item*: +1 where only the first is right, −1 where only the second is, 0 elsewhere. How much narrower does the interval get?
"""

# %%
first, second = right[64][0].double(), right[16][0].double()
alone = 1.96 * ((first.var() + second.var()) / 510).sqrt()
paired = 1.96 * ((first - second).var() / 510).sqrt()
print("paired, under 0.7 of the width:", (paired < 0.7 * alone).item())

# %% tags=["claim"]
share = []  # of the unpaired width, seed by seed
for a, b in zip(right[64].double(), right[16].double(), strict=True):
    interval = resampling.bootstrap_interval(
        lambda x, y: (x - y).mean().item(), a, b, seed=0
    )
    unpaired = 2 * 1.96 * ((a.var() + b.var()) / len(a)).sqrt().item()
    share.append((interval.high - interval.low) / unpaired)
claim(
    "C21.17",
    "Compared item by item, the 95 % interval of a difference is under 0.7 times as wide as from two separate scores",
    max(share) < 0.7,
    measured=f"{min(share):.2f} to {max(share):.2f} times in 8 pairs",
)

# %% [markdown]
r"""
A paired test on one pair of runs asks: do these two *files of weights* differ on more items of
this kind? **McNemar's** test counts the items that exactly one of them gets right, and asks a coin. "Is the *recipe* better?" is another question. It needs several seeds, and several *splits*, that is other training images.
The **sign-flip** test takes one difference per pair of runs. If the recipes were alike, each difference could as well have the other sign. It tries all $2^n$ patterns of signs, and counts how many give a mean as far from 0.
Before looking, know what $n$ runs *can* say. The smallest p is that of all signs alike: 2 of $2^n$.
"""

# %%
for n in (3, 5, 6, 8, 10):
    print(f"{n:2d} pairs of runs: p is at least 2 / 2^{n} = {2 / 2**n:.4f}")

# %% tags=["claim"]
p_values = [
    resampling.mcnemar_p_value(right[64][seed], right[16][seed]) for seed in range(8)
]
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
Three pairs of runs, or five, can never reach p < 0.05 with this test. Eight differences of one sign say p = 0.008, the smallest they can say.

**Which seeds?** All runs so far share one split, so they speak of these 1,000 training images only. The folded claim varies the split as well. It trains widths 64, 48 and 16 eight times, each time with a new split *and* a new seed; and for contrast with a frozen seed and four splits, for four such seeds.
"""


# %% tags=["claim"]
def scores(hidden, pairs):
    """Test accuracy in points for each (seed, split)."""
    return torch.tensor(
        [
            100
            * classification.accuracy(
                *train_digits(hidden=hidden, seed=seed, split=split).test
            )
            for seed, split in pairs
        ]
    ).double()


together = [(k, k) for k in range(8)]
wide, near, narrow = (scores(hidden, together) for hidden in (64, 48, 16))
crossed = [(seed, split) for seed in range(4) for split in range(4)]
frozen = (scores(64, crossed) - scores(16, crossed)).view(4, 4)  # (seed, split)
gains = {
    "new seed and split: 64 - 16": (wide - narrow).tolist(),
    "new seed and split: 64 - 48": (wide - near).tolist(),
    **{f"seed {k}, four splits: 64 - 16": frozen[k].tolist() for k in range(4)},
}
fig, ax = dot_plot(
    {"": gains}, xlabel="gain in points of accuracy, one mark a pair of runs", chance=0
)
show(
    fig,
    "Two rows of eight differences, clearly positive and around zero; then four rows of four, one per frozen seed, which lie apart.",
)
gain, close = wide - narrow, wide - near
p_wide, p_close = (resampling.sign_flip_p_value(each, seed=0) for each in (gain, close))
needed = [(2 * each.std().item() / 0.3) ** 2 for each in (gain, close)]
claim(
    "C21.30",
    "With a new split and seed per pair, width 64 beats 16 by over a point, p < 0.05; its lead over 48 is under a point; to pin down 0.3 points "
    "takes over 8 such pairs",
    gain.mean() > 1 and p_wide < 0.05 and abs(close.mean()) < 1 and min(needed) > 8,
    measured=f"64 - 16: {gain.mean():.1f} ± {gain.std():.1f} per pair, p {p_wide:.3f}; 64 - 48: {close.mean():.1f} ± {close.std():.1f}, p {p_close:.2f}; "
    f"pairs for 0.3 points: {needed[1]:.0f} to {needed[0]:.0f}",
)
between, within = frozen.mean(1).std(), (frozen.var(1).mean() / 4).sqrt()
claim(
    "C21.37",
    "Four frozen seeds, four splits each: the four mean gains spread over 1.2 times as far as their splits let expect, since each "
    "speaks of its own initial weights and batches",
    between > 1.2 * within,
    measured="means "
    + ", ".join(f"{mean:.1f}" for mean in frozen.mean(1))
    + f": standard deviation {between:.2f}; expected from the splits {within:.2f}",
)

# %% [markdown]
r"""
*Gains of one width over another.* With a frozen seed the marks of a row lie close, and promise too much. **And 0.3 points?** The mean of $n$ differences with standard deviation $\sigma$ has a standard error of $\sigma/\sqrt n$. A gap $g$ of two standard errors needs $n = (2\sigma/g)^2$ pairs: dozens here (C21.30). A vendor's single number
answers neither question. Whatever is frozen, the conclusion is about that one. So let everything that would differ next time differ between pairs (Bouthillier et al., 2021).

**Cross-validation that lies.** The labels have nothing to do with the features, so the truth is 50 %. That is **C**: choose 20 of
2,000 random features by their relation to the label, then cross-validate (a mistake that Ambroise and McLachlan, 2002, found in
published results). Against: the same choice *inside* each fold.
"""

# %% tags=["reveal"]
from sklearn.feature_selection import SelectKBest


def selection_study(seed):
    """Accuracy on noise: features chosen on all rows, or in each training fold."""
    x, y = np.random.RandomState(seed).randn(60, 2000), np.arange(60) % 2
    chosen = SelectKBest(k=20).fit_transform(x, y)  # has seen every label
    outside = splits.cross_val_score(LogisticRegression(), chosen, y)
    pipeline = make_pipeline(SelectKBest(k=20), LogisticRegression())
    return outside.mean(), splits.cross_val_score(pipeline, x, y).mean()


outside, inside = np.array([selection_study(seed) for seed in range(10)]).T
print("chosen before the split:", outside.round(2))
print("chosen in each fold:    ", inside.round(2))

# %% tags=["claim", "reveal"]
claim(
    "C21.9",
    "Features chosen before the split give over 75 % on unrelated labels; chosen inside each fold, chance (10 seeds)",
    outside.min() > 0.75 and 0.42 < inside.mean() < 0.58,
    measured=f"outside {outside.min():.2f} to {outside.max():.2f}, inside mean {inside.mean():.2f}",
    answer="near 90 %",
)

# %% [markdown]
r"""
Near 90 %, on pure noise. Whatever looks at labels (feature selection, resampling, prompt choice, early stopping) belongs *inside*
the loop. The same holds for choosing hyper-parameters: the best score of a grid search is a winner's score. **Nested** CV
runs the whole search inside an outer loop, and measures on rows that the search never saw. The folded claim does so with 12 decision trees on noise.
"""

# %% tags=["claim"]
from sklearn.tree import DecisionTreeClassifier


def nested_study(seed):
    """The best CV score of a grid on noise, and the outer score of that whole search."""
    x, y = np.random.RandomState(seed).randn(60, 20), np.arange(60) % 2
    grid = {"max_features": [1, 2, 4], "random_state": [0, 1, 2, 3]}
    inner, outer = (
        splits.StratifiedKFold(3, shuffle=True, random_state=start + seed)
        for start in (0, 100)
    )
    search = splits.GridSearchCV(DecisionTreeClassifier(), grid, cv=inner)
    apart = splits.cross_val_score(search, x, y, cv=outer).mean()
    return search.fit(x, y).best_score_, apart


best, nested = np.array([nested_study(seed) for seed in range(12)]).mean(axis=0)
claim(
    "C21.10",
    "The best grid score on unrelated labels is over 2 points above the nested estimate of the same search (mean of 12)",
    best > nested + 0.02 and best > 0.56,
    measured=f"best of 12 settings {best:.3f}, nested {nested:.3f}",
)

# %% [markdown]
r"""
**Rows that know each other.** The digits come writer after writer, in 14 runs (UCI speaks of 13 writers, so one may have two).
Shuffled folds put rows of one run on both sides. Which number describes a *new* writer?
"""

# %%
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

STARTS = [0, 130, 256, 386, 516, 646, 776, 915, 1029, 1157, 1287, 1415, 1545, 1667]
pixels, names = load_digits(return_X_y=True)
writer = np.searchsorted(STARTS, np.arange(1797), side="right")  # row to run
rows = splits.KFold(14, shuffle=True, random_state=0).split(pixels)
runs = splits.GroupKFold(14).split(pixels, groups=writer)
hits = {}
for name, folds in (("random folds", rows), ("by writer", runs)):
    guess = splits.cross_val_predict(KNeighborsClassifier(1), pixels, names, cv=folds)
    hits[name] = guess == names
    print(f"{name:12s} error {np.mean(guess != names):.1%}")

# %% tags=["claim"]
by_writer = torch.tensor(hits["by writer"])
error, new = (1 - values.mean() for values in hits.values())
claim(
    "C21.19",
    "On digits, random folds hide more than half of the errors that a new writer brings",
    new > 2 * error,
    measured=f"error {error:.1%} with random folds, {new:.1%} by writer",
)
rows, runs = (
    resampling.bootstrap_interval(
        lambda x: x.mean().item(), by_writer.double(), seed=0, cluster=unit
    )
    for unit in (None, torch.tensor(writer))
)
claim(
    "C21.25",
    "Drawing whole runs instead of rows widens the interval by over a half: 14 runs are the sample, not 1,797 rows",
    runs.high - runs.low > 1.5 * (rows.high - rows.low),
    measured=f"rows {rows.low:.3f} to {rows.high:.3f}, runs {runs.low:.3f} to {runs.high:.3f}",
)

# %% [markdown]
r"""
The same holds for the interval: the unit that would be drawn again is a writer, so a bootstrap draws whole writers (C21.25). Time is such a unit too: a forecast is tested on days *after* those it was trained on, since random folds would let it learn from the future.

**Can the probabilities be believed?** 300 noisy training digits, trained to the end, so the model is sure of itself. *ECE*, the expected calibration error, sorts answers into bins by confidence, and averages the distance between
confidence and share right over the bins, weighted by their counts. One number $T$, fitted on 287 held-out digits, divides the logits. The argmax cannot change. Does anything else?
"""

# %%
run = train_digits(hidden=64, seed=0, examples=300, noise=0.4, steps=400)
T = calibration.fit_temperature(*run.held_out)
z, y = run.test
print("T above 1:", T > 1)
print("same answers:", torch.equal(z.argmax(1), (z / T).argmax(1)))
print("lower log loss:", (F.cross_entropy(z / T, y) < F.cross_entropy(z, y)).item())

# %% tags=["claim"]
from course_lib.lesson.prediction_figures import plot_reliability

(before, after), temperatures, early = torch.zeros(2, 3, 3), [], []
for seed in range(3):  # columns: accuracy, ECE, log loss
    short = {"hidden": 64, "seed": seed, "examples": 300, "noise": 0.4}
    early.append(F.cross_entropy(*train_digits(**short, steps=100).test).item())
    held_out, (logits, truth) = train_digits(**short, steps=400)
    temperatures.append(calibration.fit_temperature(*held_out))
    for result, z in ((before, logits), (after, logits / temperatures[-1])):
        ece = calibration.expected_calibration_error(z.softmax(-1), truth)
        result[seed] = torch.tensor(
            [classification.accuracy(z, truth), ece, F.cross_entropy(z, truth)]
        )
both = {"as trained": logits, "divided by T": logits / temperatures[-1]}
show(
    plot_reliability({name: z.softmax(-1) for name, z in both.items()}, truth),
    "Reliability diagrams. As trained, bars stay below the diagonal; after division by the temperature they come near it.",
)
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

# %% [markdown]
r"""
Temperature scaling (Guo et al., 2017) has something to repair here, because 400 steps went far past the point where the log loss was
best: after 100 it was about where the temperature brings it now. It is no law that networks are overconfident: Minderer et al. (2021) find several recent image models well calibrated.

Two rivals, for a binary score: *Platt scaling* fits a logistic regression on the score, so a slope and an offset; *isotonic regression* fits any rising step function, which needs more held-out data and makes ties.

**Two traps of ECE.** What does a *perfectly* calibrated model score? Draw probabilities, then draw the labels from exactly those probabilities.
"""

# %%
for n in (200, 2000, 20_000):
    generator = torch.Generator().manual_seed(0)
    p = (1.5 * torch.randn(n, 10, generator=generator)).softmax(-1)
    drawn = torch.multinomial(p, 1, generator=generator).flatten()
    for bins in (15, 50):
        error = calibration.expected_calibration_error(p, drawn, bins=bins)
        print(f"{n:6d} examples, {bins} bins: ECE {error:.3f}")

# %% tags=["claim"]
finite = {}
for n in (200, 2000, 20_000):
    generator = torch.Generator().manual_seed(0)
    p = (1.5 * torch.randn(n, 10, generator=generator)).softmax(-1)
    drawn = torch.multinomial(p, 1, generator=generator).flatten()
    finite[n] = [
        calibration.expected_calibration_error(p, drawn, bins=bins) for bins in (15, 50)
    ]
claim(
    "C21.11",
    "A perfectly calibrated model has an ECE above 0.03 on 200 examples, more with 50 bins, and below 0.02 on 20,000",
    finite[200][0] > 0.03
    and finite[200][1] > finite[200][0]
    and finite[20_000][0] < 0.02,
    measured=", ".join(
        f"{n}: {a:.3f} (50 bins {b:.3f})" for n, (a, b) in finite.items()
    ),
)
seen = torch.tensor(names[:1287])  # the labels of the training writers
base_rate = torch.bincount(seen, minlength=10) / len(seen)
always = base_rate.repeat(len(truth), 1)
no_idea = calibration.expected_calibration_error(always, truth)
brier = [
    calibration.brier_score(p, truth)
    for p in (always, both["divided by T"].softmax(-1))
]
claim(
    "C21.12",
    "Always saying the base rate is calibrated and useless: ECE under 0.02, accuracy at chance; Brier tells them apart",
    no_idea < 0.02
    and classification.accuracy(always, truth) < 0.15
    and brier[1] < brier[0] - 0.2,
    measured=f"ECE {no_idea:.3f}, accuracy {classification.accuracy(always, truth):.2f}, Brier {brier[0]:.2f}, "
    f"the network's {brier[1]:.2f}",
)

# %% [markdown]
r"""
The first trap: a finite sample never looks calibrated, and more bins look worse. The second: always saying the base rate is calibrated, and knows nothing (C21.12). A *proper score* rewards both virtues. The Brier score is the squared distance between probabilities and one-hot label;
log loss is the other one.

### Exercise 21.4 · ece ●●○ 10 minutes

`probabilities` (B, K), rows of sum 1; `label` (B,); `bins`, an integer of 1 or more. The confidence of an example is the probability of its predicted class (the argmax). Cut (0, 1] into `bins` equal intervals (low, high]. Return the sum over the bins of (count / B) · |share right − mean confidence|, a float;
empty bins add nothing.
"""


# %% tags=["exercise"]
def ece(probabilities, label, bins):
    """(B, K), (B,) -> a float."""
    raise NotImplementedError


check(exercise.ece, ece)
hint(exercise.ece)

# %% [markdown]
r"""
**Threshold by cost.** A missed malignant tumour costs 20, a false alarm 1. Half of the 569 patients train, a quarter validates, a
quarter tests; ten splits. Four policies: 0.5; the cheapest threshold *on validation*; 1/21; call everybody ill.

**Why 1/21?** Calling ill costs $(1-p)\,c_{FP}$ on average, calling well costs $p\,c_{FN}$. Ill is cheaper when $p\,c_{FN} > (1-p)\,c_{FP}$, that is $p > \frac{c_{FP}}{c_{FP}+c_{FN}} = \frac{1}{21}$. It needs probabilities that can be believed.
"""

# %%
bet(
    "C21.13",
    "With 2 of the 30 features, so with a weak model: which policy costs most?",
    ["0.5", "cheapest on validation", "1/21", "call everybody ill"],
)


# %%
def cost(p, ill, threshold):
    """Per patient: 20 for a miss, 1 for a false alarm."""
    wrong = (p >= threshold) != ill
    return (wrong * np.where(ill, 20, 1)).mean()


def halves(x, ill, seed):
    """x and ill of two halves with equal shares of ill."""
    first, second, ill_first, ill_second = splits.train_test_split(
        x, ill, test_size=0.5, random_state=seed, stratify=ill
    )
    return (first, ill_first), (second, ill_second)


# %%
def policy_costs(columns, seed):
    """Cost per test patient of four policies."""
    fitted, rest = halves(table.data[:, columns], table.target == 0, seed)
    validation, test = halves(*rest, seed)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(*fitted)
    (p_val, ill_val), (p, ill) = (
        (model.predict_proba(x)[:, 1], ill) for x, ill in (validation, test)
    )
    tuned = p_val[np.argmin([cost(p_val, ill_val, each) for each in p_val])]
    cuts = {"0.5": 0.5, "validation": tuned, "1 / 21": 1 / 21, "all ill": 0.0}
    return {name: cost(p, ill, threshold) for name, threshold in cuts.items()}


# %% tags=["claim", "reveal"]
costs = {}
for name, columns in (("2 features", [1, 4]), ("30 features", list(range(30)))):
    runs = [policy_costs(columns, seed) for seed in range(10)]
    costs[name] = {policy: [run[policy] for run in runs] for policy in runs[0]}
fig, ax = dot_plot(costs, xlabel="cost per patient on the test part, one mark a split")
show(
    fig,
    "Costs of four policies. The threshold of one half costs most for the weak model; the cost ratio's threshold is cheap.",
)
mean = {
    name: {policy: np.mean(values) for policy, values in policies.items()}
    for name, policies in costs.items()
}
library = thresholds.bayes_threshold(false_positive_cost=1.0, false_negative_cost=20.0)
claim(
    "C21.13",
    "With misses 20 times dearer 1/21 costs under 0.6 times what 0.5 does; with 2 features 0.5 is dearer than calling all ill",
    all(each["1 / 21"] < 0.6 * each["0.5"] for each in mean.values())
    and min(costs["2 features"]["0.5"]) > max(costs["2 features"]["all ill"])
    and max(mean["2 features"], key=mean["2 features"].get) == "0.5"
    and library == 1 / 21,
    measured="; ".join(
        f"{name}: " + ", ".join(f"{k} {v:.2f}" for k, v in each.items())
        for name, each in mean.items()
    ),
    answer="0.5",
)

# %% [markdown]
r"""
*Ten splits, four policies.* The threshold tuned on validation is *not* the clear winner: some 50 malignant cases do not pin down a threshold that should miss
one or two. With calibrated probabilities the cost ratio needs no tuning. (scikit-learn's `TunedThresholdClassifierCV` averages
over folds.)

**Subgroups.** Recall of the 30-feature model at 0.5, over the malignant tumours by size.
"""

# %%
ill = malignant == 1
area, found = torch.tensor(table.data[:, 3])[ill], strong[ill] >= 0.5
cuts = area.quantile(torch.tensor([1 / 3, 2 / 3], dtype=torch.float64))
third = torch.bucketize(area, cuts)
for k, name in enumerate(("small", "middle", "large")):
    group = found[third == k]
    print(f"{name:6s} {len(group)} malignant tumours, {group.sum()} found")

# %% tags=["claim"]
overall = found.double().mean().item()
report = resampling.subgroup_report(
    lambda x: x.mean().item(), third, found.double(), seed=0
)
claim(
    "C21.20",
    "One recall hides another: the smallest third of malignant tumours is over 3 points below the overall recall",
    report[0].interval.estimate < overall - 0.03
    and report[2].interval.estimate > overall,
    measured=f"overall {overall:.3f}; "
    + ", ".join(
        f"{g.interval.estimate:.3f} ({g.interval.low:.2f} to {g.interval.high:.2f})"
        for g in report.values()
    )
    + f"; no miss in {report[2].count} still allows {3 / report[2].count:.1%}",
)

# %% [markdown]
r"""
The small ones are those one would want to find early. Note the width of the interval: 71 tumours. A subgroup figure without its
count is a rumour. And "1.00 to 1.00" is a blind spot of the bootstrap, which cannot draw a miss that the sample does not hold.

**Why 3/n?** With a true miss rate $p$, no miss in $n$ has the chance $(1-p)^n \approx e^{-pn}$. That is 5 % at $pn = -\ln 0.05 = 3.0$. So 0 misses in $n$ leave room for a miss rate of $3/n$: the rule of three.

## 21.8 Wrong answers people give

Is the sentence true? Say why not before you read on.

> **"F1 combines accuracy and recall." · "F1 is the metric for imbalanced data."**

The first sounds right because in Chinese 准确率 and 精确率 differ by one character. The second forgets that precision contains
the prevalence: the *same* classifier, with the same true and false positive rate, gets another F1 in every hospital.
"""

# %%
tp, fn, fp, tn = 6, 4, 30, 960
accuracy, recall = (tp + tn) / 1000, tp / (tp + fn)
print(f"F1 {2 * tp / (2 * tp + fp + fn):.2f}")
print(f"from accuracy {2 * accuracy * recall / (accuracy + recall):.2f}")
for share in (0.5, 0.1, 0.01):  # recall 0.9, false positive rate 0.2
    tp, fp, fn = 0.9 * share, 0.2 * (1 - share), 0.1 * share
    print(f"{share:4.0%} positives: F1 {2 * tp / (2 * tp + fp + fn):.2f}")

# %% tags=["claim"]
table_of_1000 = torch.tensor([[960, 30], [4, 6]])  # rows: well, ill
f1 = classification.precision_recall_f1(table_of_1000).f1[1].item()
mixed = 2 * accuracy * recall / (accuracy + recall)
claim(
    "C21.4",
    "TP 6, FN 4, FP 30, TN 960: F1 is 0.26, not the 0.74 of accuracy and recall",
    abs(f1 - 12 / 46) < 1e-9 and mixed > 0.7,
    measured=f"{f1:.2f}, {mixed:.2f}",
)
falling = [
    2 * 0.9 * share / (0.9 * share + 0.2 * (1 - share) + share)
    for share in (0.5, 0.1, 0.01)
]
claim(
    "C21.8",
    "Same recall 0.9, same false positive rate 0.2: F1 falls from over 0.8 at 50 % positives to under 0.1 at 1 %",
    falling[0] > 0.8 and falling[2] < 0.1,
    measured=", ".join(f"{value:.2f}" for value in falling),
)

# %% [markdown]
r"""
> **"The ROC curve plots precision against recall."** · **"AUC depends on the threshold you choose, but not on the size of the data."**

Mixing up the two curves is no slip of the tongue: at 1 % positives the areas of a weak ranker, AUC 0.8, differ by an order of magnitude;
those of a strong one come together, and a perfect one has 1 and 1. The second sentence has it backwards twice: no threshold is involved (C21.1), and the *estimate* from a small test set can be anywhere (C21.3).
"""

# %% tags=["claim"]
worlds = {
    shift: make_scores(2020, 200_000, seed=1, shift=shift) for shift in (1.17, 6.0)
}
areas = {
    shift: (ranking.roc_auc(y, s), ranking.average_precision(y, s))
    for shift, (y, s) in worlds.items()
}
claim(
    "C21.26",
    "One set of scores at 1 % positives: for a weak ranker the area under ROC is over 8 times the area under precision-recall; "
    "for a strong one they differ by under a tenth",
    areas[1.17][0] > 8 * areas[1.17][1] and areas[6.0][0] < 1.1 * areas[6.0][1],
    measured="; ".join(f"ROC {roc:.3f}, PR {pr:.3f}" for roc, pr in areas.values()),
)

# %% [markdown]
r"""
> **"Cross-validation is an evaluation metric that reduces overfitting and improves generalisation."**

It sounds right because people who cross-validate get better models. But they get them by *choosing* with the estimate. The final
fit does not know that a cross-validation happened. Nor is the spread over folds a standard error: training sets overlap, folds are
not independent, and intervals built from it are too narrow (Bates et al., 2021).
"""

# %% tags=["claim"]
final = make_pipeline(StandardScaler(), LogisticRegression())
weights = final.fit(table.data, malignant)[-1].coef_.tobytes()
estimate = splits.cross_val_score(
    make_pipeline(StandardScaler(), LogisticRegression()), table.data, malignant, cv=5
)
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

Where something is rare, accuracy rewards ignoring it. And a library cannot know which class you fear: scikit-learn takes label 1
as positive, and in its own breast-cancer table 1 means *benign*.
"""

# %% tags=["claim"]
screening = classification.precision_recall_f1(torch.tensor([[990, 0], [10, 0]]))
claim(
    "C21.22",
    "Calling nobody ill at 1 % prevalence: accuracy 0.99, recall 0, F1 0",
    screening.recall[1].item() == 0.0 and screening.f1[1].item() == 0.0,
    measured=f"accuracy {990 / 1000}, recall {screening.recall[1].item()}",
)
benign_called = (strong < 0.5).long()
default = sk.recall_score(table.target, benign_called)
cancers = sk.recall_score(table.target, benign_called, pos_label=0)
claim(
    "C21.14",
    "On scikit-learn's breast-cancer table the default recall is that of the benign class, and the higher of the two",
    default == ((strong < 0.5) & (malignant == 0)).sum().item() / 357
    and cancers < default,
    measured=f"default {default:.3f}, cancers found {cancers:.3f}",
)

# %% [markdown]
r"""
> **"Evaluate, then adjust the parameters by the result."**

Right on validation data, wrong on test data: the leaderboard of 21.6 is what happens. There is comfort: on CIFAR-10 and ImageNet, re-used
for a decade, Recht et al. (2019) found accuracies lower on fresh test sets, but the *ranking* of models nearly intact.

> **"F1 to judge a search engine."**

A search engine returns an order, cut off by the user's patience: Recall@K, MRR, nDCG, and say how large the gallery is: lesson 06 (planned).
Captions, answers and hallucinations need other metrics again: lesson 22 (planned).

## 21.9 At scale

**How many test items?** One item is right with probability $p$: variance $p(1-p)$. A mean of $n$ items: $p(1-p)/n$. The difference of two separate means: twice that. Paired, an item counts +1 or −1 only if exactly one model is right.
Call the share of such items $d$; then the variance is about $d/n$. A true gap $g$ of two standard errors, which half of all test sets would show as significant, needs $n = 2p(1-p)\,(2/g)^2$ items unpaired, and $d\,(2/g)^2$ paired. For four in five test sets, double it.
"""

# %%
print("   gap  unpaired, p = 0.8  paired, d = 0.10  paired, d = 0.02")
for gap in (0.05, 0.01, 0.003, 0.001):
    items = [variance * (2 / gap) ** 2 for variance in (0.32, 0.10, 0.02)]
    print(f"{gap:6.1%}" + "".join(f"{n:18,.0f}" for n in items))

# %% [markdown]
r"""
A gain of 0.3 points on a benchmark of 1,000 items is below what the benchmark can see, paired or not.

**Several GPUs, many batches.** A ratio whose denominator changes from batch to batch (precision, recall, F1) must not be averaged over batches. Counts add up: all-reduce the
confusion matrix, K² integers, and divide once. AUC needs all scores in one place (8 bytes per example with its label: 0.8 GB for
100 million), or a histogram of scores per class.
"""

# %% tags=["claim"]
y, s = make_scores(40, 1960, seed=0, shift=2.0)
order = torch.randperm(2000, generator=torch.Generator().manual_seed(0))
matrices = [
    classification.confusion_matrix(y[rows], (s[rows] > 1.5).long(), classes=2)
    for rows in order.split(32)
]
f1_of = [
    classification.precision_recall_f1(matrix).f1[1].item()
    for matrix in (sum(matrices), *matrices)
]
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
**Mixed precision.** A sigmoid in bfloat16 has no number between 0.996 and 1, because 8 bits of mantissa make steps of 1/256 below 1. So the
top of the ranking becomes a few large ties, and nobody can say which 10 come first (C21.24). Rank by logits in float32.

## 21.10 Going deeper

Each part stands alone; none but the first is needed for the 60-second answer.

**Boxes: IoU and mAP.** A detector, or a vision-language model that points, answers with boxes. *Intersection over union* says how well one box fits: the area that both cover, over the area that at least one covers. A true box of 20 × 20, and a copy that is moved to the right:
"""

# %%
truth = torch.tensor([10.0, 10, 30, 30])  # left, top, right, bottom
for shift in (1, 2, 5, 10, 20):
    moved = truth + torch.tensor([shift, 0, shift, 0])
    side = torch.minimum(truth, moved)[2:] - torch.maximum(truth, moved)[:2]
    both = side.clamp(min=0).prod()
    print(f"moved by {shift:2d} of 20: IoU {both / (400 + 400 - both):.2f}")

# %% [markdown]
r"""
A quarter of the side costs 40 % of the IoU. Boxes that do not touch have 0, near or far.

*Average precision* then needs hits and misses. Go down the list of found boxes by score. Each takes, of the true boxes of its image and class that are still *free*, the one it overlaps most, if that IoU reaches the threshold: a hit. All others are false alarms, a second box on a lone object too.
COCO takes, at each of the recalls 0, 0.01 … 1, the best precision at that recall or beyond, and averages. Five boxes to find, five found:
"""

# %%
hit = torch.tensor([1, 0, 1, 1, 0])  # from the highest score down
precision = hit.cumsum(0) / torch.arange(1, 6)
recall = hit.cumsum(0) / 5  # 5 true boxes, two are never found
ap = 0.0
for r in torch.linspace(0, 1, 101):
    beyond = precision[recall > r - 1e-6]
    ap += beyond.max().item() / 101 if len(beyond) else 0.0
print(f"precision {precision.numpy().round(2)}, AP {ap:.3f}")

# %% tags=["claim"]
from matplotlib.patches import Rectangle

from course_lib.metrics import detection


def squares(seed, jitter):
    """60 images with four boxes of 20 x 20 each, found with a jitter in pixels; 120 inventions."""
    random = torch.Generator().manual_seed(seed)
    corner = 80 * torch.rand(240, 2, generator=random)
    real = torch.cat([corner, corner + 20], dim=1)
    moved = (jitter * torch.randn(240, 2, generator=random)).repeat(1, 2)
    elsewhere = 80 * torch.rand(120, 2, generator=random)
    image, label = torch.arange(240) // 4, torch.arange(240) % 2
    found = detection.Boxes(
        torch.cat([image, image[:120]]),
        torch.cat([label, label[:120]]),
        torch.cat([real + moved, torch.cat([elsewhere, elsewhere + 20], dim=1)]),
    )
    score = torch.rand(360, generator=random) + 0.5 * (torch.arange(360) < 240)
    return found, score, detection.Boxes(image, label, real)


def curve(jitter, seed=0):
    """AP at each of COCO's ten IoUs."""
    world = squares(seed, jitter)
    return [
        detection.mean_average_precision(*world, ious=(iou,))
        for iou in detection.COCO_IOU
    ]


curves = {jitter: curve(jitter) for jitter in (0.5, 1.0, 2.0, 4.0)}
fig, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.0), layout="constrained")
found, score, real = squares(0, 2.0)
for boxes, style, colour in ((real, "-", "black"), (found, "--", COLOURS[1])):
    for x, y, far, _ in boxes.box[boxes.image == 1].tolist():
        left.add_patch(
            Rectangle((x, y), far - x, 20, fill=False, linestyle=style, color=colour)
        )
left.set(xlim=(-5, 105), ylim=(105, -5), aspect="equal", title="one image, 2 pixels")
for (jitter, values), mark, colour in zip(
    curves.items(), "os^D", COLOURS, strict=False
):
    right.plot(
        detection.COCO_IOU, values, mark + "-", color=colour, label=f"jitter {jitter:g}"
    )
right.set(xlabel="IoU that makes a hit", ylabel="AP", ylim=(0, 1.02))
fig.legend(
    *right.get_legend_handles_labels(), loc="outside upper right", ncols=4, fontsize=8
)
show(
    fig,
    "Left: four true boxes (black) and what was found (dashed), four inventions among it. Right: AP falls with the IoU, sooner for larger jitter.",
)
by_library = detection.ranked_average_precision(hit.bool(), -torch.arange(5.0), 5)
ap50, ap75 = ([curve(2.0, seed)[k] for seed in range(5)] for k in (0, 5))
claim(
    "C21.31",
    "Boxes of 20 pixels found with a jitter of 2: AP at IoU 0.50 is over 0.8, at 0.75 under half of that (5 seeds); the loop is the library's AP",
    min(ap50) > 0.8
    and all(strict < 0.5 * loose for loose, strict in zip(ap50, ap75, strict=True))
    and abs(by_library - ap) < 1e-6,
    measured=f"AP50 {min(ap50):.2f} to {max(ap50):.2f}, AP75 {min(ap75):.2f} to {max(ap75):.2f}, AP50:95 {np.mean(curves[2.0]):.2f}",
)
twice = detection.Boxes(*(torch.cat([part[:240]] * 2) for part in found))
ranks = torch.cat([score[:240], score[:240] - 0.001])
alone = detection.Boxes(*(part[:240] for part in found))
once, doubled, invented = (
    detection.mean_average_precision(boxes, order, real, ious=(0.5,))
    for boxes, order in (
        (alone, score[:240]),
        (twice, ranks),
        (found, score - 2 * (torch.arange(360) >= 240)),
    )
)
claim(
    "C21.38",
    "A second box on every object, scored just below the first, costs over a quarter of AP50; 120 inventions below all hits cost nothing",
    doubled < 0.75 * once and abs(invented - once) < 0.01,
    measured=f"AP50 {once:.3f}, doubled {doubled:.3f}, with inventions {invented:.3f}",
)

# %% [markdown]
r"""
*mAP* is the mean of AP over classes, and in COCO also over the IoUs 0.50, 0.55 … 0.95. So say which: "AP50" forgives loose boxes, "AP75" does not, and AP50:95 is a mean of both worlds. The library's figure equals that of COCO's own code; `tests/test_metrics_detection.py` keeps three comparisons.
Three traps. Low-scored inventions are free (C21.38), so mAP does not say which boxes to *show*; that is a threshold, with precision and recall. Duplicates are dear, which is why detectors suppress them. And a language model that writes coordinates as text gives no score, so there is no ranking: report the share of phrases whose box has an IoU above 0.5, as is usual for referring expressions (Chen et al., 2024), or precision and recall at that IoU.

**Balanced accuracy and MCC.** Two rivals of F1 for a confusion matrix. *Balanced accuracy* is the mean of the recalls of the classes, (TPR + TNR)/2, where TNR = TN/(TN + FP). *Matthews' correlation* is the correlation of label and call, $\frac{TP \cdot TN - FP \cdot FN}{\sqrt{(TP+FP)(TP+FN)(TN+FP)(TN+FN)}}$; it sees all four cells, and chance is 0.
The classifier of C21.8 again, recall 0.9 and false positive rate 0.2, in worlds of every prevalence:
"""

# %% tags=["claim"]
shares = np.geomspace(0.001, 0.5, 40)
tp, fn, fp, tn = 0.9 * shares, 0.1 * shares, 0.2 * (1 - shares), 0.8 * (1 - shares)
lines = {
    "accuracy": tp + tn,
    "balanced accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2,
    "F1": 2 * tp / (2 * tp + fp + fn),
    "MCC": (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)),
}
y, called = np.repeat([1, 0], [10, 990]), np.repeat([1, 0, 1, 0], [9, 1, 198, 792])
theirs = sk.balanced_accuracy_score(y, called), sk.matthews_corrcoef(y, called)
mine = [np.interp(0.01, shares, lines[name]) for name in ("balanced accuracy", "MCC")]
claim(
    "C21.32",
    "Same recall and false positive rate: balanced accuracy stays 0.85 at every prevalence; MCC falls from 0.70 at 50 % to under 0.2 at 1 %",
    np.ptp(lines["balanced accuracy"]) < 1e-9
    and abs(lines["MCC"][-1] - 0.70) < 0.01
    and np.allclose(mine, theirs, atol=0.002)
    and theirs[1] < 0.2,
    measured=f"scikit-learn at 1 %: balanced accuracy {theirs[0]:.2f}, MCC {theirs[1]:.3f}",
)

# %% [markdown]
r"""
So balanced accuracy describes the *classifier*, like ROC, and hides the false alarms of a rare class. MCC describes the classifier *in a world*, like F1, but "call everybody positive" gets 0 instead of 0.67. Which to report is again the question of who acts on it.

**Numbers instead of classes.** *MAE* is the mean size of the error, in the unit of the target. *RMSE* is the root of the mean square, in the same unit, and listens to large errors. $R^2 = 1 - \mathrm{MSE}/\mathrm{variance}$ is the share of the variance that is explained: 0 for always saying the mean, negative for worse.
Here the errors are always the same thousand; only the spread of the *targets* differs.
"""

# %%
random = np.random.default_rng(0)
error, shape = random.normal(0, 1, 1000), random.normal(0, 1, 1000)
for spread_of_y in (3.0, 1.5, 0.5):
    y = spread_of_y * shape
    r2, mae = sk.r2_score(y, y + error), sk.mean_absolute_error(y, y + error)
    print(f"targets ± {spread_of_y}: MAE {mae:.2f}, R² {r2:5.2f}")

# %% tags=["claim"]
wild = error.copy()
wild[:5] = 50.0
root, size = (
    [f(e) for e in (error, wild)]
    for f in (lambda e: np.mean(e**2) ** 0.5, lambda e: np.abs(e).mean())
)
r2 = [sk.r2_score(k * shape, k * shape + error) for k in (3.0, 0.5)]
claim(
    "C21.33",
    "The same errors: R² is over 0.85 for targets with a spread of 3 and negative for 0.5; five wild values of 1,000 make RMSE over 3 times as large, MAE under 1.5 times",
    r2[0] > 0.85 and r2[1] < 0 and root[1] > 3 * root[0] and size[1] < 1.5 * size[0],
    measured=f"R² {r2[0]:.2f} and {r2[1]:.2f}; RMSE {root[0]:.2f} to {root[1]:.2f}, MAE {size[0]:.2f} to {size[1]:.2f}",
)

# %% [markdown]
r"""
So an $R^2$ belongs to one data set: report it with the spread of the targets. (Percentage errors divide by the target, and explode near 0.)

**Many comparisons.** You test 20 subgroups, benchmarks or prompts, and nothing is different. Each test says "significant" with a chance of 5 %. At least one does so with $1 - 0.95^{20} = 64\,\%$. *Bonferroni* asks each for p < 0.05/20. *Holm* does the same with the smallest p, asks 0.05/19 of the next, and stops at the first that fails:
the same guarantee, never less power. *Benjamini–Hochberg* controls something else, the share of false ones among those that you report. The folded claim draws 2,000 such families.
"""

# %% tags=["claim"]
random = np.random.default_rng(0)
z = random.normal(0, 1, (2000, 20))
truly = z + 3.0 * (np.arange(20) < 8)  # in another world 8 of 20 differ


def holm(p, level=0.05):
    """(families, m) p-values -> which are rejected."""
    order = p.argsort(axis=1)
    ranked = np.take_along_axis(p, order, axis=1)
    passed = ranked <= level / (p.shape[1] - np.arange(p.shape[1]))
    rejected = np.empty_like(passed)
    np.put_along_axis(
        rejected, order, np.logical_and.accumulate(passed, axis=1), axis=1
    )
    return rejected


p_null, p_real = (2 * stats.norm.sf(np.abs(each)) for each in (z, truly))
RULES = {
    "p < 0.05": lambda p: p < 0.05,
    "Bonferroni": lambda p: p < 0.05 / 20,
    "Holm": holm,
    "Benjamini-Hochberg": lambda p: stats.false_discovery_control(p, axis=1) <= 0.05,
}
wrong = {name: rule(p_null).any(axis=1).mean() for name, rule in RULES.items()}
power = {name: rule(p_real)[:, :8].mean() for name, rule in RULES.items()}
reported = RULES["Benjamini-Hochberg"](p_real)
false_share = (reported[:, 8:].sum(1) / reported.sum(1).clip(min=1)).mean()
claim(
    "C21.34",
    "20 tests without a difference: some p is below 0.05 in over 60 % of families, under Holm in at most 6 %; where 8 of 20 differ Holm finds "
    "more than Bonferroni, Benjamini-Hochberg more than Holm, with at most 5 % false ones among its findings",
    wrong["p < 0.05"] > 0.6
    and wrong["Holm"] <= 0.06
    and power["Bonferroni"] < power["Holm"] < power["Benjamini-Hochberg"]
    and false_share <= 0.05,
    measured=", ".join(
        f"{name}: {wrong[name]:.3f} wrong, finds {power[name]:.2f}" for name in RULES
    )
    + f"; false among reported {false_share:.3f}",
)

# %% [markdown]
r"""
**The right to be silent.** A model that may hand over a question to a person needs another picture. *Coverage* is the share it answers, *risk* the share of errors among those. Sort the test set by confidence, answer from the top, and draw risk over coverage. Chance is a level line at the error rate; the area under the curve is AURC.
Two networks of this lesson:
"""

# %% tags=["claim"]
from course_lib.metrics import selective

SETTINGS = {
    "clean, 1,000 images": {"hidden": 64},
    "noisy, 300 images": {"hidden": 64, "examples": 300, "noise": 0.4, "steps": 400},
}
curves, left_over, areas, order = {}, {}, {}, {}
for name, settings in SETTINGS.items():
    left_over[name], areas[name], order[name] = [], [], []
    for seed in range(3):
        z, y = train_digits(seed=seed, **settings).test
        confidence, answer = z.softmax(-1).max(-1)
        line = selective.risk_coverage_curve(confidence, answer == y)
        left_over[name].append(
            (line.risk[line.coverage <= 0.7][-1] / line.risk[-1]).item()
        )
        areas[name].append(
            selective.area_under_risk_coverage(confidence, answer == y)
            / line.risk[-1].item()
        )
        order[name].append(ranking.roc_auc((answer == y).long(), confidence))
    curves[name] = line
fig, ax = plt.subplots(figsize=(5.2, 2.7), layout="constrained")
for (name, line), style, colour in zip(
    curves.items(), ("-", "--"), COLOURS, strict=False
):
    ax.plot(line.coverage, line.risk, style, color=colour, label=name)
    ax.axhline(line.risk[-1], color=colour, linewidth=1, linestyle=":")
ax.set(xlabel="coverage: share answered", ylabel="risk: share wrong", ylim=(0, None))
ax.legend(fontsize=8)
show(
    fig,
    "Risk falls as the network answers less, fast for the clean network and slowly for the noisy one; dotted: chance.",
)
claim(
    "C21.35",
    "Answering only the surest 70 % leaves under 0.4 of the error rate on clean images, over 0.5 of it on noisy ones; right against wrong "
    "answers, the confidence has an AUC over 0.85 on clean images, under 0.85 on noisy ones (3 seeds each)",
    max(left_over["clean, 1,000 images"]) < 0.4
    and min(left_over["noisy, 300 images"]) > 0.5
    and min(order["clean, 1,000 images"]) > 0.85
    and max(order["noisy, 300 images"]) < 0.85,
    measured="; ".join(
        f"{name}: {min(left_over[name]):.2f} to {max(left_over[name]):.2f} of the error rate, AURC {np.mean(areas[name]):.2f} of chance, "
        f"AUC of confidence {np.mean(order[name]):.2f}"
        for name in SETTINGS
    ),
)

# %% [markdown]
r"""
Only the *order* of confidences counts: an overconfident network may still know which answers to withhold. On noisy images it knows less well. That it errs more often there plays a part too: at an error rate of a third even the best order still errs in 5 % of its answers at a coverage of 70 %. The AUC of confidence, right against wrong, does not depend on the error rate by itself (C21.35). Compare two models at one coverage or by AURC, never each at a coverage of its own.

## 21.11 The 60-second answer

"First the decision: who acts on the output, what does each mistake cost, how
rare are positives in use. Accuracy is the share of right decisions; at 1 % positives, saying *no* to everybody scores 99 %.
Precision: of what I flag, how much is real. Recall: of what is real, how much I flag. F1 is the harmonic mean of *those two*,
at one threshold, and it moves with prevalence. ROC plots recall over the false positive rate; its area is the chance that a
positive outranks a negative, whatever the threshold and the prevalence. The precision-recall curve shows what a rare positive
costs in false alarms. For boxes it is average precision at an IoU, averaged over classes. If probabilities are used as such, I check calibration.

Thresholds and temperatures come from validation
data, the test set is used once, and every figure gets an interval: bootstrap over the independent unit, paired when two
models are compared. With few positives that interval is too short, and I say so. A recipe is compared over several seeds and splits. Cross-validation is not a metric: it estimates one, and it changes no model."

## 21.12 Questions

Cover the answers, say yours aloud, compare. Each key point names the claim above that proves it, or a paper.
"""

# %%
show_questions("21")
bets("21")

# %% [markdown]
r"""
## 21.13 Card

| metric | formula | in code | chance | best |
| --- | --- | --- | --- | --- |
| accuracy 准确率 | (TP + TN) / all | `accuracy` | most frequent class | 1 |
| precision 精确率 | TP / (TP + FP) | `precision_recall_f1` | $\pi$ | 1 |
| recall 召回率 | TP / (TP + FN) | `precision_recall_f1` | share called positive | 1 |
| false positive rate 假正率 | FP / (FP + TN) | `roc_curve` | share called positive | 0 |
| F1 | 2 TP / (2 TP + FP + FN) | `precision_recall_f1` | $2\pi/(1+\pi)$ if all are called | 1 |
| ROC-AUC | $P(s^+ > s^-) + \tfrac12 P(s^+ = s^-)$ | `roc_auc` | ½ | 1 |
| AP 平均精度 | $\sum_j (R_j - R_{j-1})\, \mathrm{Pr}_j$ | `average_precision` | $\pi$ | 1 |
| mAP | AP at each IoU, mean over classes and IoUs | `mean_average_precision` | about 0 | 1 |
| balanced accuracy | (TPR + TNR) / 2 | scikit-learn | ½ | 1 |
| MCC | correlation of label and call | scikit-learn | 0 | 1 |
| $R^2$ | 1 − MSE / variance of the targets | scikit-learn | 0 | 1 |
| AURC | mean risk over all coverages | `area_under_risk_coverage` | error rate $e$ | ≈ $e^2/2$ |
| ECE 期望校准误差 | $\sum_j \frac{n_j}{B}\,\lvert \mathrm{acc}_j - \mathrm{conf}_j \rvert$ | `expected_calibration_error` | none | 0 |
| Brier 分数 | $\frac1B\sum_b \sum_k (p_{bk} - [k = y_b])^2$ | `brier_score` | $1 - 1/K$ for uniform | 0 |
| log loss 对数损失 | $-\frac1B\sum_b \log p_{b y_b}$ | `F.cross_entropy` | $\log K$ for uniform | 0 |

- **Shapes**: scores (B,) or (B, K), labels (B,), confusion matrix (K, K) with the true class as row, curves (J,).
- **Numbers**: threshold $c_{FP}/(c_{FP}+c_{FN})$; winner of $m$ at most $\sigma\sqrt{2\ln m}$ above the truth; no miss in $n$ allows $3/n$; $n$ pairs of runs give $p \ge 2/2^n$.
- **Cost**: AUC and curves $O(B \log B)$; bootstrap times the number of resamples; counts add over devices, ratios do not.
- **Use** the metric at the operating point, with chance value, interval over the independent unit, subgroups with counts; several seeds and splits to compare recipes; the number of positives beside every AUC.
- **Do not** report accuracy or F1 without prevalence, tune anything on the test set, select features before the split, average
  F1 over batches, trust a bootstrap over ten positives, or read ECE alone.

## 21.14 Sources

1. Fawcett (2006), *An introduction to ROC analysis*, [doi:10.1016/j.patrec.2005.10.010](https://doi.org/10.1016/j.patrec.2005.10.010): curves, ties, several classes.
2. Hanley, McNeil (1982), *The meaning and use of the area under a ROC curve*, [doi:10.1148/radiology.143.1.7063747](https://doi.org/10.1148/radiology.143.1.7063747): AUC as a
   probability, its standard error.
3. Davis, Goadrich (2006), *The relationship between precision-recall and ROC curves*, [doi:10.1145/1143844.1143874](https://doi.org/10.1145/1143844.1143874).
4. McDermott et al. (2024), *A closer look at AUROC and AUPRC under class imbalance*, [arXiv:2401.06091](https://arxiv.org/abs/2401.06091).
5. Opitz, Burst (2019), *Macro F1 and macro F1*, [arXiv:1911.03347](https://arxiv.org/abs/1911.03347): two quantities with one name.
6. Efron (1979), *Bootstrap methods: another look at the jackknife*, [doi:10.1214/aos/1176344552](https://doi.org/10.1214/aos/1176344552); Efron (1987), *Better bootstrap confidence intervals*,
   [doi:10.1080/01621459.1987.10478410](https://doi.org/10.1080/01621459.1987.10478410): BCa. DeLong et al. (1988), [doi:10.2307/2531595](https://doi.org/10.2307/2531595). Newcombe (2006), *Confidence intervals for an effect size measure based on the
   Mann–Whitney statistic*, part 2, [doi:10.1002/sim.2324](https://doi.org/10.1002/sim.2324): method 5.
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
15. Lin et al. (2014), *Microsoft COCO: Common Objects in Context*, [arXiv:1405.0312](https://arxiv.org/abs/1405.0312), and its evaluation code, [pycocotools](https://github.com/cocodataset/cocoapi).
    Chen et al. (2024), *Revisiting referring expression comprehension evaluation in the era of large multimodal models*, [arXiv:2406.16866](https://arxiv.org/abs/2406.16866): accuracy at IoUs from 0.5.
16. Chicco, Jurman (2020), *The advantages of the Matthews correlation coefficient (MCC) over F1 score and accuracy in binary classification evaluation*, [doi:10.1186/s12864-019-6413-7](https://doi.org/10.1186/s12864-019-6413-7).
17. Holm (1979), *A simple sequentially rejective multiple test procedure*, [JSTOR 4615733](https://www.jstor.org/stable/4615733); Benjamini, Hochberg (1995), *Controlling the false discovery rate*, [doi:10.1111/j.2517-6161.1995.tb02031.x](https://doi.org/10.1111/j.2517-6161.1995.tb02031.x).
18. Geifman, El-Yaniv (2017), *Selective classification for deep neural networks*, [arXiv:1705.08500](https://arxiv.org/abs/1705.08500).

## 21.15 Worked solutions
"""


# %% tags=["solution"]
def prf(label, called, classes, average):
    index = torch.arange(classes)[:, None]
    is_class, says_class = label == index, called == index  # (K, B)
    true, said, present = (
        (is_class & says_class).sum(1),
        says_class.sum(1),
        is_class.sum(1),
    )
    weight = present if average == "weighted" else torch.ones(classes)
    if average == "micro":
        true, said, present = (count.sum()[None] for count in (true, said, present))
        weight = torch.ones(1)
    precision, recall = true / said.clamp(min=1), true / present.clamp(min=1)
    f1 = 2 * true / (said + present).clamp(min=1)
    each = torch.stack([precision, recall, f1])
    return tuple(((weight * each).sum(1) / weight.sum()).tolist())


check(exercise.prf, prf, solution=True)


# %% tags=["solution"]
def auc(label, score):
    _, group, size = torch.unique(score, return_inverse=True, return_counts=True)
    shared = (
        size.cumsum(0) - (size - 1) / 2
    ).double()  # equal scores share a mean rank
    positives = label.sum().item()
    won = shared[group][label == 1].sum().item() - positives * (positives + 1) / 2
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
    gap = (answer == label).to(confidence.dtype) - confidence
    place = (confidence * bins).ceil() - 1
    return sum(gap[place == j].sum().abs().item() for j in range(bins)) / len(label)


check(exercise.ece, ece, solution=True)

# %% [markdown]
r"""
*Lessons:* [start page](00_start_here.ipynb) · previous: 20 · Why joint training fails (planned), before it [19 · Regularisation and overfitting](19_regularisation.ipynb) · next: 22 · Evaluating generation and multimodal models (planned), then [29 · Explaining: what does the model look at?](29_explaining.ipynb)
"""
