# %% [markdown]
r"""
# 02 · Data pipelines

You will be able to say what each step between the raw file and the batch prevents, and show the cell in which it goes wrong without it.

*Two hours with the exercises · needs no other lesson · about 20 s of CPU*

*Lessons:* [start page](00_start_here.ipynb) · previous: 01 · What multimodal means (planned) · next: 03 · Augmentation that keeps the pair true (planned), then [07 · Fusing modalities](07_fusing_modalities.ipynb)
"""

# %% [markdown]
r"""
## 2.1 The interview question

> **How do you prepare multimodal data for training, and what can leak?**
>
> **你怎样为多模态训练准备数据？哪些地方会发生泄漏？**

**The 60-second answer, to be earned below.** "I go from the file to the batch. Clean: drop what is broken, mark what is missing, with
a reason each. Find near-duplicates, MinHash for texts and perceptual hashes for images, because they make groups. Split by group,
never by row: with a copy on the other side even random labels are 'predicted'. Every statistic, mean, vocabulary, selected feature, is
fitted on the training part only. Scaling makes numbers comparable, not meanings; modalities are aligned by pairs, of the two or of
each with a third, so pairs are the thing to protect: one order for both halves, streams shifted to a common clock, wrong captions filtered by their own image-text score.
At scale the data lie in shards; each shard has one reader, and means and deviations are merged, not averaged. What leaks: copies
across the split, statistics and selection done before it, and time."

**You will be able to**

1. scale a feature three ways, and say which one an outlier breaks;
2. split so that nothing leaks, and show a leak on labels that are pure noise;
3. find near-duplicates without comparing all pairs, and say what that breaks;
4. synchronise streams, shuffle pairs, and stream statistics over shards;
5. read COCO, Flickr and VQA as published, and know what is in them.

| you have | read |
| --- | --- |
| an evening or two (120 min) | everything, exercises included |
| a workshop (45 min) | 2.1, 2.2, exercise 02.2, the explorers of 2.5, 2.6 and 2.7 with bets before each cell |
| 15 minutes before the interview | 2.1, the table in 2.3, 2.7, 2.12, and three questions of 2.11 |

**Try first.** Four hundred pictures, each stored twice: the original and a copy with a little noise. Somebody tosses a coin for every
picture and writes the result on both files as their label. You shuffle the 800 files, train on 600, test on 200 with "answer
like the most similar training picture". There is nothing to learn. Which accuracy do you report? Section 2.6 runs it.
"""

# %%
import tempfile

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn import decomposition, feature_selection, linear_model, manifold, model_selection, pipeline, preprocessing
from torch import nn
from torch.nn import functional as F

from course_lib.data import alterations, collections, duplicates, miniature, packing, records, shards, splitting, sync
from course_lib.data.annotations import CollectionError
from course_lib.data.photos import load_photos
from course_lib.data.scaling import METHODS, fit_scaler
from course_lib.data.scene_pairs import scene_pairs
from course_lib.data.scenes import make_scenes
from course_lib.data.streaming import RunningMoments
from course_lib.exercises import lesson_02 as exercise
from course_lib.interview.show import show_questions
from course_lib.lesson.claims import claim
from course_lib.lesson.exercises import check, hint
from course_lib.lesson.explore import explore
from course_lib.lesson.figures import COLOURS, dot_plot, show
from course_lib.models.heads import mlp
from course_lib.training.config import TrainConfig
from course_lib.training.loop import fit

_ = torch.manual_seed(0)
# %% [markdown]
r"""
![Upper row: collect pairs, clean, find near-duplicates, filter pairs, split by group. Lower row: fit statistics on the training
part, write shards, share them out and shuffle, decode, align and scale, batch.](figures/02_pipeline.svg)

The picture shows the way of a pair from the web to the model, and below each step what happens without it. Preprocessing ends at
tensors and tokens that are clean, split and synchronised. *Extracting features* and *fusing* them is what the model learns; a
pipeline that already multiplies image and text has made a decision that no training can take back. *Augmentation*, lesson 03 (planned),
sits in "decode": it is drawn anew every epoch, while cleaning gives the same result each time.

## 2.2 By hand

**Clean, and say why.** Six raw pairs. Nothing is dropped in silence: each gets a verdict.
"""

# %%
RAW = [  # file, bytes, width, height, caption
    ("a.jpg", 51_200, 640, 480, "A dog runs on a beach."),
    ("b.jpg", 50_900, 640, 480, "a dog runs on a BEACH"),
    ("c.jpg", 48_000, 640, 480, None),
    ("d.jpg", 47_500, 640, 480, "IMG_2031.JPG"),
    ("e.jpg", 0, 640, 480, "A red kite over the sea."),
    ("f.jpg", 49_100, 9000, 90, "Two people under a blue umbrella."),
]
seen = {}
for file, size, width, height, caption in RAW:
    words = duplicates.shingles(caption) if caption is not None else None  # runs of two words, no case, no marks
    verdict = "keep"
    if size == 0:
        verdict = "drop: empty file"
    elif max(width, height) > 5 * min(width, height):
        verdict = "drop: shape of a banner"
    elif words is None:
        verdict = "drop: a pair without text is no pair"
    elif caption.upper().endswith(".JPG"):
        verdict = "drop: a file name is no caption"
    elif words in seen:
        verdict = f"look closer: same words as {seen[words]}"
    if verdict == "keep":
        seen[words] = file
    print(f"{file}  {verdict}")

# %% [markdown]
r"""
The last word on `b.jpg` is not spoken: the same words do not make the same picture (2.7).

**Scale.** Durations of five clips in seconds; one is a typing error. Three ways to bring them to one scale, each
$(x - \text{shift}) / \text{scale}$.
"""

# %%
seconds = torch.tensor([[2.0], [3.0], [4.0], [5.0], [996.0]])
for method in METHODS:
    scaler = fit_scaler(seconds, method)
    row = "  ".join(f"{value:7.3f}" for value in scaler.apply(seconds).flatten())
    print(f"{method:8s} shift {scaler.shift.item():7.2f}  scale {scaler.scale.item():7.2f}  ->  {row}")

# %% [markdown]
r"""
Minimum, maximum, mean and standard deviation all follow the outlier; median and quartiles stay where most values are. Two things to
bet on at full size. 20,000 numbers from an exponential distribution: is their z-score normally distributed? 999 normal numbers and one of
1,000: how wide are the *other* 999 after each scaling?
"""


# %%
def skewness(values):
    centred = values - values.mean()
    return (centred**3).mean() / (centred**2).mean() ** 1.5


generator = torch.Generator().manual_seed(0)
skewed = -torch.rand(20_000, 1, generator=generator, dtype=torch.float64).log()  # exponential, skewness 2
standardised = fit_scaler(skewed, "z-score").apply(skewed)
before, after = skewness(skewed).item(), skewness(standardised).item()
spoilt = torch.cat([torch.randn(999, 1, generator=generator), torch.tensor([[1000.0]])]).double()
scalers = {method: fit_scaler(spoilt, method) for method in METHODS}
widths = {method: scaler.apply(spoilt)[:-1].std().item() for method, scaler in scalers.items()}
lost = max((each.invert(each.apply(spoilt)) - spoilt).abs().max().item() for each in scalers.values())

claim(
    "C02.1",
    "A z-score sets mean and deviation, not the shape: the skewness of an exponential sample stays as it was",
    abs(before - after) < 1e-9 and before > 1.8 and abs(standardised.mean()) < 1e-9,
    measured=f"skewness {before:.3f} before, {after:.3f} after; a normal distribution has 0",
)
claim(
    "C02.1b",
    "One outlier of 1,000 in 1,000 rows leaves the others a deviation under 1/20 with z-score, 1/500 with min-max, over 1/2 with robust",
    widths["z-score"] < 1 / 20 and widths["min-max"] < 1 / 500 and widths["robust"] > 0.5,
    measured=", ".join(f"{method} {width:.4f}" for method, width in widths.items()),
)
claim(
    "C02.15",
    "All three scalings can be undone, outlier included: nothing is lost, and no outlier is removed",
    lost < 1e-9,
    measured=f"largest error {lost:.0e} on values up to 1,000",
)

# %% [markdown]
r"""
**Fill what is missing?** 40 % of a feature is missing by chance. The usual advice: put in the mean. **Predict** what happens to the
feature's standard deviation, and to its correlation of 0.8 with another feature.
"""

# %%
x, noise = torch.randn(2, 20_000, generator=generator)
y = 0.8 * x + 0.6 * noise
missing = torch.rand(20_000, generator=generator) < 0.4
filled = torch.where(missing, x[~missing].mean(), x)
shrunk = (filled.std() / x.std()).item()
was, now = (torch.corrcoef(torch.stack([each, y]))[0, 1].item() for each in (x, filled))
claim(
    "C02.8",
    "Filling 40 % of a feature with its mean multiplies its deviation and its correlation by the root of 0.6, about 0.775",
    abs(shrunk - 0.6**0.5) < 0.02 and abs(now / was - 0.6**0.5) < 0.02,
    measured=f"deviation times {shrunk:.3f}, correlation {was:.3f} to {now:.3f}",
)

# %% [markdown]
r"""
A filled value is a lie about its own certainty. Keep a second feature that says "was missing"; if values are missing for a reason (a
sensor that fails when it is hot), that bit can be the better predictor. In a Transformer the honest form is a mask: the token is not
there. And beware of numbers that *mean* missing: a −999 in one row is an outlier like the one above.

**A running mean and deviation**, number by number. Three values are kept: how many, their mean, the sum of
their squared deviations from it.
"""

# %%
count, mean, deviations = 0, 0.0, 0.0
for value in (4.0, 7.0, 13.0, 16.0):
    count += 1
    step = value - mean
    mean += step / count
    deviations += step * (value - mean)  # old deviation times new deviation
    print(f"saw {value:4.0f}   count {count}   mean {mean:5.2f}   deviations {deviations:6.2f}")
print("variance", deviations / count, " two passes:", np.var([4.0, 7.0, 13.0, 16.0]))

# %% [markdown]
r"""
## 2.3 In symbols

$x$ are the $n$ rows of one feature, $n_a + n_b$ of them in shards $a$ and $b$. $A$, $B$ are the shingles (runs of words) of two texts, $h$ one
of $K$ random hash functions; banding cuts the $K$ hashes in $b$ bands of $r$. $a_t$, $b_t$ are two streams in frame $t$. $x_i$, $y_i$ are
image and text of pair $i$, $f$ and $g$ their encoders.

| symbol | meaning | in code | unit |
| --- | --- | --- | --- |
| $(x - \min) / (\max - \min)$ | min-max | `fit_scaler(x, "min-max")` | 0 to 1 on the training rows |
| $(x - \mu) / \sigma$ | z-score, standardising | `fit_scaler(x, "z-score")` | deviations |
| $(x - \text{median}) / \text{IQR}$ | robust, IQR = 75th − 25th percentile | `fit_scaler(x, "robust")` | interquartile ranges |
| $\mu = \mu_a + d\, n_b / n$, $d = \mu_b - \mu_a$ | merged mean | `RunningMoments.merge` | that of $x$ |
| $S = S_a + S_b + d^2 n_a n_b / n$ | merged squared deviations, $\sigma^2 = S / n$ | `RunningMoments.merge` | that of $x^2$ |
| $J = \lvert A \cap B \rvert / \lvert A \cup B \rvert$ | Jaccard similarity | `jaccard` | 0 to 1 |
| $P(\min h(A) = \min h(B)) = J$ | MinHash | `minhash`, `agreement` | share of $K$ hashes |
| $1 - (1 - J^r)^b$ | chance to agree in all of at least one band | `chance_to_meet` | probability |
| $\arg\max_k \mathrm{corr}(a_t, b_{t+k})$ | offset, positive when $b$ is late | `find_offset` | frames |
| $s_i = \cos(f(x_i), g(y_i))$ | image-text score of pair $i$ | in 2.6 | −1 to 1 |

*Normalising* in a narrow sense is min-max, *standardising* is the z-score; people mix the words, so say the formula.

## 2.4 Build it

**Moments over shards.** Batches instead of numbers, shards of unequal length, merged in any order. Compared with two passes over
everything, and with scikit-learn's `StandardScaler.partial_fit`, which updates batch by batch too. **Predict** how far the average of the
shards' deviations, weighed by their rows, is off [15].
"""

# %%
rows = 3 + 2 * torch.randn(10_000, 4, generator=generator, dtype=torch.float64)
rows[:1000] += 10  # the first shards come from another source
parts = rows.split([700, 300, 4000, 0, 4999, 1])

merged = RunningMoments.empty(4)
for part in reversed(parts):
    merged = merged.merge(RunningMoments.of(part))
library = preprocessing.StandardScaler()
for part in parts:
    if len(part) > 0:  # scikit-learn refuses an empty batch
        library.partial_fit(part.numpy())
whole = rows.std(dim=0, correction=0)
print("= scikit-learn:", np.allclose(merged.variance(), library.var_, rtol=1e-10))

gap = max((merged.variance().sqrt() - whole).abs().max().item(), (merged.mean - rows.mean(dim=0)).abs().max().item())
averaged = sum(len(part) / 10_000 * part.std(dim=0, correction=0) for part in parts if len(part) > 0)
claim(
    "C02.7",
    "Merged moments equal those of all rows at once to 1e-10; the shards' deviations, averaged by rows, are over 20 % off",
    gap < 1e-10 and ((averaged - whole).abs() / whole).min() > 0.2,
    measured=f"gap {gap:.0e}, averaged deviation {averaged[0]:.2f} instead of {whole[0]:.2f}",
)

far = 10_000 + torch.randn(4096, generator=generator)  # float32, deviation 1
shortcut = (far.square().mean() - far.mean().square()).item()
truth = far.double().var(correction=0).item()
count, mean, deviations = 0, np.float32(0), np.float32(0)
for value in far.numpy():  # the loop of 2.2, in float32 as well
    count, step = count + 1, value - mean
    mean += step / count
    deviations += step * (value - mean)
running = float(deviations / count)
claim(
    "C02.7b",
    "Around 10,000 in float32, mean of squares minus squared mean misses a variance of 1 by over half, a running one by under 0.01",
    abs(shortcut - truth) > 0.5 and abs(running - truth) < 0.01,
    measured=f"true {truth:.3f}, shortcut {shortcut:.3f}, running {running:.3f}",
)

# %% [markdown]
r"""
Averaging deviations forgets that the shards' means differ, whatever the weights. The other shortcut, $E[x^2] - E[x]^2$, is right on paper; but near
$10^8$ neighbouring float32 numbers are 8 apart, so a difference of two of them cannot be 1.

### Exercise 02.1 · welford ●●● 15 minutes

`shards` is an iterable of one-dimensional float64 tensors of any length, some empty, and goes by once. Return mean and standard
deviation of all rows (divided by $n$) as two numbers. Stuck? `hint(exercise.welford, level=1)` nudges.
"""


# %% tags=["exercise"]
def welford(shards):
    """One pass, three running values; (mean, std)."""
    raise NotImplementedError


check(exercise.welford, welford)
hint(exercise.welford)

# %% [markdown]
r"""
**Split by group.** Five captions of one photograph are five rows and one group. Loop over groups, then the course's function, then
scikit-learn's. None of them lets a group stand on both sides.
"""

# %%
group = torch.arange(40).repeat_interleave(5)  # 40 photographs, 5 captions each
names = torch.randperm(40, generator=torch.Generator().manual_seed(0)).tolist()
looped_test = [row for name in names[:8] for row in range(200) if group[row] == name]
train, test = splitting.split_by_group(group, (0.8, 0.2), seed=0)
library = next(model_selection.GroupShuffleSplit(test_size=0.2, random_state=0).split(group, groups=group))
by_row = torch.randperm(200, generator=torch.Generator().manual_seed(0))

print("rows in the test part:", len(looped_test), len(test), len(library[1]))
for name, sides in {
    "course": (train, test),
    "scikit-learn": tuple(map(torch.from_numpy, library)),
    "by row": (by_row[40:], by_row[:40]),
}.items():
    tested, shared = len(set(group[sides[1]].tolist())), len(splitting.shared_groups(group, *sides))
    print(f"{name:13s} photographs in the test part {tested:2d}, of these also in training {shared:2d}")

# %% [markdown]
r"""
Split by row, every photograph of the test part is known from training. For data that grow, `part_by_hash` decides by the hash
of the group's name: the same name lands in the same part next year. And if the model will meet tomorrow's data, the cut is a date
and nothing is shuffled: train on the past, test on what came later.

### Exercise 02.2 · group_split ●●○ 10 minutes

`groups` has one name per row. Return two lists of rows, train and test, with about `share` of the *rows* in the test part, at most one
group off: groups may have very different sizes, and their rows need not stand together. One `seed` gives one split, in every run of
Python; `groups` stays as it is.
"""


# %% tags=["exercise"]
def group_split(groups, share, seed):
    """No group on both sides, every row once."""
    raise NotImplementedError


check(exercise.group_split, group_split)
hint(exercise.group_split)

# %% [markdown]
r"""
**Near-duplicate texts.** Cut two captions into runs of two words. Their Jaccard similarity is what both have over what either
has. MinHash keeps, for each of $K$ random hash functions, the smallest hash of a text's runs. Under a random hash the smallest of the
union is equally likely to be any of its elements. Both texts keep it exactly when it lies in both: they agree with probability $J$ [16].
"""

# %%
one, other = (duplicates.shingles(text) for text in ("A dog runs on a beach.", "A dog runs on the beach!"))
print("both:  ", sorted(one & other))
print("either:", len(one | other), " J =", len(one & other), "/", len(one | other))
four = duplicates.minhash([one, other], hashes=4)
print("four hashes of each text agree in", (four[0] == four[1]).sum().item(), "of 4 places")

# %%
sets = [duplicates.shingles(caption) for caption in make_scenes(300, seed=0, objects=(2, 3)).captions]
signatures = duplicates.minhash(sets, hashes=128)
pairs = torch.triu_indices(300, 300, offset=1).T.tolist()
exact = np.array([duplicates.jaccard(sets[i], sets[j]) for i, j in pairs])
estimate = np.array([duplicates.agreement(signatures[i], signatures[j]) for i, j in pairs])

fig, axes = plt.subplots(1, 2, figsize=(7.5, 3), layout="constrained")
axes[0].scatter(exact, estimate, s=3, alpha=0.2, color=COLOURS[0])
line = torch.linspace(0, 1, 101)
edges = line[:, None] + torch.tensor([-2.0, 2.0]) * (line * (1 - line) / 128).sqrt()[:, None]
axes[0].plot(line, edges, "--", color="black", linewidth=1, label=["two standard errors", "_"])
axes[0].legend(fontsize=8)
axes[0].set(xlabel="Jaccard similarity", ylabel="share of 128 hashes that agree", title="44,850 pairs of captions")
for (bands, rows_per_band), style in zip(((64, 2), (32, 4), (16, 8)), ("-", "--", ":"), strict=True):
    chance = duplicates.chance_to_meet(line, bands=bands, rows=rows_per_band)
    axes[1].plot(line, chance, style, label=f"{bands} bands of {rows_per_band}")
axes[1].set(xlabel="Jaccard similarity", ylabel="chance to be compared", title="banding")
axes[1].legend(fontsize=8)
show(
    fig,
    "Nearly all estimates lie within two standard errors of the diagonal; more rows per band move the S-curve to the right.",
)

error = float(np.sqrt(np.mean((estimate - exact) ** 2)))
met = duplicates.banded_pairs(signatures, bands=32)
alike = [pair for pair, similarity in zip(pairs, exact, strict=True) if similarity >= 0.7]
found = sum((i, j) in met for i, j in alike)
claim(
    "C02.12",
    "128 hashes estimate Jaccard with a root-mean-square error below 0.05; 32 bands compare under 25 % of the pairs and miss none above 0.7",
    error < 0.05 and len(met) < 0.25 * len(pairs) and found == len(alike) > 10,
    measured=f"error {error:.3f}, {len(met) / len(pairs):.1%} of the pairs compared, {found} of {len(alike)} found",
)

# %% [markdown]
r"""
These captions all follow one pattern, so even strangers share words; on web text bands compare a far smaller part. Nobody computes the
$N^2$ pairs: only what falls into one bucket meets.

**Near-duplicate images.** A perceptual hash: 32 × 32 grey pixels, cosine transform, the 8 × 8 lowest frequencies, one bit each. Seven
photographs, each changed in six ways. **Predict** which changes the hash survives.
"""


# %%
photos = load_photos()
versions = [alterations.altered(photo.image) for photo in photos]
hashes = torch.stack([torch.stack([duplicates.perceptual_hash(image) for image in v.values()]) for v in versions])
distance = (hashes[:, 1:] != hashes[:, :1]).sum(dim=-1)  # (photographs, alterations), in bits
stranger = duplicates.hamming(hashes[:, 0]).fill_diagonal_(64).amin(dim=1)
table = torch.cat([distance, stranger[:, None]], dim=1)

fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
ax.imshow(table, cmap="cividis_r", vmin=0, vmax=40, aspect="auto")
for (row, column), bits in np.ndenumerate(table.numpy()):
    ax.text(column, row, bits, ha="center", va="center", color="white" if bits > 20 else "black")
ax.set_xticks(range(7), [*alterations.ALTERATIONS, "nearest\nstranger"], rotation=20, fontsize=8)
ax.set_yticks(range(7), [photo.name for photo in photos])
ax.set_title("bits of 64 that differ from the original's hash")
show(
    fig,
    "Saving, scaling and darkening change at most a few bits, a small crop about ten, a large crop or mirroring about half.",
)

by_change = dict(zip(alterations.ALTERATIONS, distance.T.tolist(), strict=True))
claim(
    "C02.13",
    "On seven photographs a perceptual hash survives saving, scaling and darkening (at most 6 bits); mirroring looks like a stranger (over 20)",
    max(max(by_change[name]) for name in ("saved again", "half size", "darker")) <= 6
    and min(by_change["mirrored"]) > 20
    and stranger.min() > 15,
    measured=", ".join(f"{name} {min(bits)} to {max(bits)}" for name, bits in by_change.items()),
)

# %% [markdown]
r"""
So the threshold is a decision: at 4 bits the small crops are missed, at 16 they are caught. Seven photographs leave room for that; the
more pictures there are, the nearer comes the nearest stranger. What must be caught *and* looks different (large crops, mirrors, the
same scene a second later) needs embeddings of a trained model instead.

**Synchronise.** A camera and a microphone record claps; the sound comes late. For every lag: shift, cut to the overlap,
correlate. Loop, then the course's function [18]. (`numpy.correlate` sums products without subtracting the means of the overlap.)
"""

# %%
take, looped = sync.record_claps(400, offset=7, seed=0), {}
for lag in range(-12, 13):
    early, late = max(0, -lag), max(0, lag)
    seen, heard = take.video[early : 400 - late], take.sound[late : 400 - early]
    looped[lag] = np.corrcoef(seen, heard)[0, 1]
ours = sync.correlation_by_lag(take.video, take.sound, longest=12)
print("loop = function:", np.allclose(list(looped.values()), list(ours.values()), atol=1e-5))
print("largest at lag:", max(ours, key=ours.get))

# %% [markdown]
r"""
### Exercise 02.3 · find_offset ●●○ 15 minutes

Two tensors `(F,)`, one number per frame. Return the frames by which the sound is late, negative if it is early, between `-max_lag` and
`max_lag`: the lag of the largest correlation, with means and norms of exactly the frames that overlap.
"""


# %% tags=["exercise"]
def find_offset(video, sound, max_lag):
    """The lag k with the largest correlation of video[t] and sound[t + k]."""
    raise NotImplementedError


check(exercise.find_offset, find_offset)
hint(exercise.find_offset)

# %% [markdown]
r"""
**Shards.** A million small files are a million disk seeks. Tar files hold pairs back to back [23]: `000017.png`, `000017.txt`. Both halves of a
pair travel together, so no worker can tear them. Each shard gets exactly one reader, here 2 processes with 3 loading workers each.
"""

# %%
with tempfile.TemporaryDirectory() as folder:
    examples = [{"png": bytes([number]), "txt": f"picture {number}".encode()} for number in range(96)]
    files = shards.write_shards(folder, examples, per_shard=8)
    readers = [
        {"rank": rank, "processes": 2, "worker": worker, "workers": 3} for rank in range(2) for worker in range(3)
    ]
    own = [[e for file in shards.own_share(files, **reader) for e in shards.read_shard(file)] for reader in readers]
    everything = [e for _ in readers for file in files for e in shards.read_shard(file)]
served = [example for part in own for example in part]
torn = sum(int(example["txt"].split()[1]) != example["png"][0] for example in served)
print(len(files), "shards; pairs per reader:", [len(part) for part in own])

kept = {}
for count in (10, 96, 1000):
    repeats = [torch.Generator().manual_seed(seed) for seed in range(300)]
    orders = [[torch.randperm(count, generator=g) for _ in range(2)] for g in repeats]
    kept[count] = np.mean([(image_order == text_order).sum().item() for image_order, text_order in orders])
claim(
    "C02.10",
    "With one reader a shard every pair is served once and whole; six readers that all read the whole list serve each six times",
    len(served) == 96 and len({e["txt"] for e in served}) == 96 and torn == 0 and len(everything) == 6 * 96,
    measured=f"{len(served)} pairs served, {torn} torn; without sharing {len(everything)}",
)
claim(
    "C02.10b",
    "Two independent shuffles of images and texts leave about one true pair, be it of 10, of 96 or of 1,000",
    min(kept.values()) > 0.7 and max(kept.values()) < 1.3,
    measured=", ".join(f"{pairs:.2f} of {count}" for count, pairs in kept.items()) + " on average over 300 shuffles",
)

# %% [markdown]
r"""
Nothing crashes on torn pairs and every shape is right, so this bug is found by looking at pairs. A second trap: 12 shards for 6
readers come out even. Where they do not, one process runs out of batches first and the others wait for its gradient; so
streams are cut or repeated to one length.

### Exercise 02.4 · paired_shuffle ●○○ 10 minutes

A tensor `(B, ...)` and a list of B texts. Return both in one new order that the seed decides.
"""


# %% tags=["exercise"]
def paired_shuffle(images, texts, seed):
    """Every image keeps its text."""
    raise NotImplementedError


check(exercise.paired_shuffle, paired_shuffle)
hint(exercise.paired_shuffle)

# %% [markdown]
r"""
## 2.5 Explore

**One outlier.** Fifty values and one that you move. **Predict first**: at an outlier of 20, which of the three scalers leaves the fifty
spread out?
"""


# %%
def draw_scalers(outlier=20.0):
    """Fifty normal values and one outlier after each scaler; the axis is in the scaler's own unit."""
    values = torch.cat([torch.randn(50, 1, generator=torch.Generator().manual_seed(3)), torch.tensor([[outlier]])])
    fig, axes = plt.subplots(3, 1, figsize=(6.5, 3.2), layout="constrained")
    for ax, method in zip(axes, METHODS, strict=True):
        scaled = fit_scaler(values, method).apply(values).flatten()
        ax.scatter(scaled[:-1], torch.zeros(50), s=14, color=COLOURS[0], alpha=0.6)
        ax.scatter(scaled[-1:], [0], s=60, color=COLOURS[1], marker="s")
        width = (scaled[:-1].max() - scaled[:-1].min()).item()
        ax.set(yticks=[], xlim=(-4, 22) if method == "robust" else (-4, 8), ylabel=method)
        ax.set_title(f"the fifty span {width:.2f}", fontsize=9)
    return fig


explore(
    draw_scalers,
    alt="With an outlier of 20 the fifty values shrink to a fifth of the range under min-max and keep their spread under robust.",
    outlier=(0.0, 25.0),
)

# %% [markdown]
r"""
**A leak.** Every picture exists `copies` times, the original counted; labels are coin tosses, the answer is that of the nearest training picture. **Predict
first**: what does a third copy do to the accuracy of the random split?
"""


# %%
def stored(copies, seed, noise=0.05):
    """400 scenes, each with noisy copies; a coin toss per scene is the label of all its copies."""
    generator = torch.Generator().manual_seed(seed)
    original = make_scenes(400, seed=seed, objects=(2, 3)).images
    more = [original + noise * torch.randn(original.shape, generator=generator) for _ in range(copies - 1)]
    label = torch.randint(0, 2, (400,), generator=generator).repeat(copies)
    return torch.cat([original, *more]), label, torch.arange(400).repeat(copies)


def nearest_neighbour(images, label, train, test):
    """Accuracy of answering like the nearest training picture."""
    flat = images.flatten(start_dim=1)
    return (label[train][torch.cdist(flat[test], flat[train]).argmin(dim=1)] == label[test]).float().mean().item()


# %%
def draw_leak(copies=2):
    """Accuracy on coin tosses for a split by row and a split by group, and what counting copies predicts."""
    scores = {"by row": [], "by picture": []}
    for seed in range(5):
        images, label, scene = stored(copies, seed)
        for name, together in zip(scores, (range(len(label)), scene), strict=True):
            sides = splitting.split_by_group(together, (0.75, 0.25), seed=seed)
            scores[name].append(nearest_neighbour(images, label, *sides))
    scores = {name: np.mean(values) for name, values in scores.items()}
    fig, ax = plt.subplots(figsize=(6.5, 2.6), layout="constrained")
    ax.bar_label(
        ax.barh(list(scores), list(scores.values()), color=COLOURS[:2]), fmt="%.2f", label_type="center", color="white"
    )
    expected = 1 - 0.25 ** (copies - 1) / 2
    ax.axvline(expected, color="black", linestyle="--", label=f"1 - ¼^{copies - 1} / 2 = {expected:.2f}")
    ax.axvline(0.5, color="grey", linestyle=":", label="chance")
    ax.set(xlim=(0, 1.05), xlabel=f"accuracy on coin tosses, {copies} of each picture, mean of 5 seeds")
    fig.legend(fontsize=8, loc="outside upper center", ncols=2)
    return fig


explore(
    draw_leak, alt="On coin tosses a split by row scores about 0.88, a split by picture about one half.", copies=(1, 5)
)

# %% [markdown]
r"""
A quarter of the rows is tested. So of $c$ copies a test picture has none in training with probability about $\tfrac14^{\,c-1}$; then it
guesses, otherwise it remembers: the dashed line. With a third copy one test picture in sixteen has to guess.

**A lag.** Claps seen and heard. **Predict first**: at which lag do the peaks meet, and how much is lost one frame beside it?
"""


# %%
def draw_lag(lag=0):
    """Video and shifted sound, and the correlation over all lags."""
    take = sync.record_claps(400, offset=7, seed=0)
    scores = sync.correlation_by_lag(take.video, take.sound, longest=15)
    sound = take.sound.roll(-lag)  # wraps around, so both ends are cut off below
    inside = slice(15, 385)
    fig, axes = plt.subplots(2, 1, figsize=(7, 3.6), layout="constrained")
    axes[0].plot(take.video[30:130], color=COLOURS[0])
    axes[0].plot(sound[30:130] - 2, color=COLOURS[1])
    axes[0].set_yticks([0, -2], ["video", "sound"])
    axes[0].set_xlabel("frame")
    score = sync.clap_f1((take.video + sound)[inside], take.clap[inside])
    axes[0].set_title(f"shifted back by {lag} frames: F1 of the sum {score:.2f}", fontsize=10)
    axes[1].plot(list(scores), list(scores.values()), "o-", color=COLOURS[2], markersize=4)
    axes[1].axvline(lag, color="black", linestyle="--")
    axes[1].set(xlabel="lag, frames", ylabel="correlation")
    return fig


explore(
    draw_lag,
    alt="Peaks of video and sound do not meet at lag 0; the correlation has one sharp maximum at lag 7.",
    lag=(-15, 15),
)

# %% [markdown]
r"""
The static pictures show an outlier of 20, two copies, and lag 0.

## 2.6 Evidence

**The leak of *Try first*, over five seeds.** Then: nobody tells you which pictures are copies. Hash them, link what differs in at most 8
bits, split by the groups that come out.
"""


# %%
def three_splits(seed):
    images, label, scene = stored(copies=2, seed=seed)
    found = duplicates.groups_by_hash(images, bits=8)
    sides = [splitting.split_by_group(g, (0.75, 0.25), seed=seed) for g in (range(800), scene, found)]
    straddling = len(splitting.shared_groups(scene, *sides[2]))
    grouped, copies = ((g[:, None] == g).triu(diagonal=1) for g in (found, scene))  # (800, 800), each pair once
    caught = (grouped & copies).sum()
    lumped = (found[:, None] == found) & (scene[:, None] != scene)  # distinct pictures in one group
    counts = [straddling, caught / copies.sum(), caught / grouped.sum(), len(scene[lumped.any(dim=1)].unique())]
    return [nearest_neighbour(images, label, *side) for side in sides] + counts


leak = torch.tensor([three_splits(seed) for seed in range(5)])
by_row, by_picture, by_hash, straddling, recalled, precise, lumped = leak.T
claim(
    "C02.3",
    "On coin tosses with one copy of each picture a random split reports over 0.75, a split by picture chance (5 seeds)",
    by_row.min() > 0.75 and abs(by_picture.mean() - 0.5) < 0.08,
    measured=f"by row {by_row.min():.3f} to {by_row.max():.3f}, by picture {by_picture.mean():.3f} on average",
)
claim(
    "C02.3b",
    "Groups found by a perceptual hash alone close most of the leak, at most 8 % of the copies still face each other, and the price is "
    "false pairs: over 10 % of the distinct pictures share a group with another (5 seeds)",
    by_hash.mean() < 0.62 and straddling.max() <= 0.08 * 400 and lumped.min() > 0.1 * 400,
    measured=f"accuracy {by_hash.mean():.3f} on average, {straddling.max():.0f} of 400 pairs at most on both sides; recall of pairs "
    f"{recalled.min():.2f} to {recalled.max():.2f}, precision {precise.min():.2f} to {precise.max():.2f}; "
    f"{lumped.min():.0f} to {lumped.max():.0f} of 400 pictures lumped with another",
)

# %% [markdown]
r"""
So the answer to *Try first* is about 0.88: three of four test pictures have their twin in training and are remembered, for the fourth
a coin is tossed. CIFAR's test sets had such twins [13]. And why does the hash not close all of it? The copies differ by noise, and on
16 × 16 pixels a few bits of the hash tip over. Nor are its groups pure: two scenes that look alike differ in few bits too. For a split a
false pair costs little, both go to one side; for *dropping* duplicates it costs a picture, so candidates are verified first. The
report says how groups were found, with precision beside recall.

**Selection before the split.** 60 rows, 5,000 random features, random labels. Choose the 20 features that go best with the
label, then cross-validate a logistic regression. Or choose inside each fold.
"""


# %%
def selection(seed):
    """Five-fold accuracy on noise: features selected before, or inside each fold."""
    random = np.random.RandomState(seed)
    noise, label = random.standard_normal((60, 5000)), random.permutation([0, 1] * 30)
    model, select = linear_model.LogisticRegression(max_iter=500), feature_selection.SelectKBest(k=20)
    before = model_selection.cross_val_score(model, select.fit_transform(noise, label), label, cv=5).mean()
    return before, model_selection.cross_val_score(pipeline.make_pipeline(select, model), noise, label, cv=5).mean()


before, inside = np.array([selection(seed) for seed in range(5)]).T
claim(
    "C02.4",
    "Selecting features before cross-validation reports over 0.85 on noise; inside the folds it is chance (5 seeds)",
    before.min() > 0.85 and abs(inside.mean() - 0.5) < 0.12,
    measured=f"before {before.min():.2f} to {before.max():.2f}, inside {inside.mean():.2f} on average",
)

# %% [markdown]
r"""
Nobody copied a row. The *choice* of features has seen the test labels [14]. The same holds for a scaler, a vocabulary, a prompt or a
checkpoint chosen on the test set; only the size of the gain differs.

**Streams out of step.** Claps are detected in video + sound. **Predict**: how does an offset of one frame compare with using the
video alone?
"""

# %%
OFFSETS = (0, 1, 3, 7)
takes = {(offset, seed): sync.record_claps(2000, offset=offset, seed=seed) for offset in OFFSETS for seed in range(3)}
both = {o: [sync.clap_f1(takes[o, s].video + takes[o, s].sound, takes[o, s].clap) for s in range(3)] for o in OFFSETS}
alone = [sync.clap_f1(takes[0, seed].video, takes[0, seed].clap) for seed in range(3)]
found = [sync.find_offset(takes[7, seed].video, takes[7, seed].sound, longest=20) for seed in range(3)]
named = {f"offset {offset}": scores for offset, scores in both.items()}
fig, ax = dot_plot({"F1 of clap detection": {"video alone": alone, **named}}, xlabel="F1, one mark a seed")
show(fig, "Aligned, both streams beat the video alone; from an offset of one frame on they are far worse than it.")

claim(
    "C02.5",
    "Cross-correlation finds an offset of 7 frames exactly; one frame of offset costs over 0.3 of F1 (3 seeds)",
    found == [7, 7, 7] and min(both[0]) - max(both[1]) > 0.3,
    measured=f"found {found[0]}, {found[1]}, {found[2]}; F1 aligned at least {min(both[0]):.2f}, one frame off at most {max(both[1]):.2f}",
)
claim(
    "C02.5b",
    "Streams of equal length and rate can be worse together than one alone: out of step they lose to the video (3 seeds)",
    all(max(both[offset]) < min(alone) - 0.2 for offset in (1, 3, 7)) and min(both[0]) > max(alone) + 0.03,
    measured=f"video alone at least {min(alone):.2f}, off by 1 to 7 frames at most {max(max(both[o]) for o in (1, 3, 7)):.2f}",
)

# %% [markdown]
r"""
These events last one frame, the worst case; speech changes more slowly and forgives more. And a fixed sum cannot adapt: a
model that sees a window of frames could learn one constant offset, but none that changes from recording to recording. The shapes of the
tensors were right all the time.

**Wrong captions.** Scenes and their captions, 4,000 pairs; in half of them the captions were exchanged. Two small towers learn by
contrast: in a batch each image has to find its caption among 128. Then the *same* model scores its own training pairs by cosine, the
better half is kept, and a fresh model trains on it.
"""


# %%
class Towers(nn.Module):
    """An image tower and a caption tower into one space of 32 dimensions, each vector of length 1."""

    def __init__(self, image_width, text_width):
        super().__init__()
        self.image, self.text = mlp(image_width, 32, hidden=128), mlp(text_width, 32, hidden=128)

    def forward(self, image, text):
        return F.normalize(self.image(image), dim=-1), F.normalize(self.text(text), dim=-1)


def contrast(model, batch):
    """Each image finds its caption among the batch's, and the other way round; 14.3 is 1 / temperature."""
    image, text = model(*batch)
    scores, own = 14.3 * image @ text.T, torch.arange(len(image), device=image.device)
    return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2


def train_towers(images, texts, seed, steps=150):
    torch.manual_seed(seed)
    model = Towers(images.shape[1], texts.shape[1])
    fit(model, (images, texts), contrast, TrainConfig(steps=steps, batch_size=128, learning_rate=2e-3, seed=seed))
    return model.eval().requires_grad_(False)


def recall_at_1(images, texts):
    return ((images @ texts.T).argmax(dim=1) == torch.arange(len(images))).float().mean().item()


# %%
def filtered_by_itself(seed):
    """Recall on unseen pairs of four models, and the share of clean pairs that two filters keep."""
    images, texts = scene_pairs(4000, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    wrong = torch.randperm(4000, generator=generator)[:2000]
    noisy, is_wrong = texts.clone(), torch.zeros(4000, dtype=torch.bool)
    noisy[wrong], is_wrong[wrong] = texts[wrong.roll(1)], True
    first = train_towers(images, noisy, seed)
    memorised = train_towers(images, noisy, seed, steps=450)
    kept = [(a * b).sum(dim=1).topk(2000).indices for a, b in (model(images, noisy) for model in (first, memorised))]
    half = torch.randperm(4000, generator=generator)[:2000]
    second = train_towers(images[kept[0]], noisy[kept[0]], seed)
    control = train_towers(images[half], noisy[half], seed)
    best = train_towers(images, texts, seed)
    zoo = {"all, half wrong": first, "random half of it": control, "better half of it": second, "all, none wrong": best}
    clean = [(~is_wrong[rows]).float().mean().item() for rows in kept]
    return {name: recall_at_1(*model(*unseen)) for name, model in zoo.items()}, clean, best


unseen = scene_pairs(300, seed=999)
runs = [filtered_by_itself(seed) for seed in range(3)]
recall = {name: [scores[name] for scores, _, _ in runs] for name in runs[0][0]}
early, late = zip(*[clean for _, clean, _ in runs], strict=True)
fig, ax = dot_plot(
    {"trained on": recall}, xlabel="recall at 1 among 300 unseen captions, one mark a seed (chance 0.003)"
)
show(fig, "Keeping the better-scored half lifts recall well above training on everything; a random half lowers it.")

claim(
    "C02.6",
    "With half of the captions wrong, keeping the half the model itself scores best lifts recall at 1 by over 0.15 (3 seeds)",
    min(a - b for a, b in zip(recall["better half of it"], recall["all, half wrong"], strict=True)) > 0.15
    and min(early) > 0.78
    and max(recall["random half of it"]) < min(recall["all, half wrong"]),
    measured=", ".join(f"{name} {min(v):.2f} to {max(v):.2f}" for name, v in recall.items())
    + f"; kept pairs {min(early):.0%} to {max(early):.0%} right",
)
claim(
    "C02.6b",
    "A scorer that trained three times as long has memorised wrong pairs, and keeps at least 5 points more of them (3 seeds)",
    min(a - b for a, b in zip(early, late, strict=True)) > 0.05,
    measured=f"right among the kept: {min(early):.0%} to {max(early):.0%} early, {min(late):.0%} to {max(late):.0%} late",
)

# %% [markdown]
r"""
Chance for the kept half would be 50 % right. Half is kept because half is known to be wrong; in life that share is found on small runs.
It works because the model learns what *many* pairs agree on before it
learns exceptions by heart; so score early, or with a model trained elsewhere. Web filters do the latter: LAION-5B (its English part)
and DataComp score with OpenAI's CLIP [7, 8]. What such a filter dislikes goes, wrong or not: other languages, rare objects, captions
that say what is not visible; and it likes images in which the caption is written out [21].

## 2.7 Wrong answers people give

Bet before you run: is the sentence true?

> **"Normalise both modalities, then their distributions match and they can be compared."**

It sounds right because scales *must* match for many operations. But mean 0 and deviation 1 say nothing about which image belongs to
which text [19]. Bring both to 32 principal components, z-score each, compare by cosine; then take the towers that have seen pairs.
"""


# %%
def normalised_recall(seed):
    views = []
    for train, test in zip(scene_pairs(1000, seed=seed), unseen, strict=True):
        components = decomposition.PCA(32, random_state=0).fit(train.numpy())
        known, new = (torch.from_numpy(components.transform(rows.numpy())) for rows in (train, test))
        views.append(F.normalize(fit_scaler(known, "z-score").apply(new), dim=-1))
    return recall_at_1(*views)


normalised = [normalised_recall(seed) for seed in range(3)]
claim(
    "C02.2",
    "Standardised image and text features retrieve at chance, 1 in 300; training on pairs brings over 0.85 (3 seeds)",
    max(normalised) < 0.03 and min(recall["all, none wrong"]) > 0.85,
    measured=f"standardised at most {max(normalised):.3f}, trained on pairs at least {min(recall['all, none wrong']):.2f}",
)

# %% [markdown]
r"""
> **"Standardising removes outliers and reduces diversity; scaling loses information."**

It sounds right because everything ends up "in a small range". But the outlier *sets* the scale (C02.1b), it stays an outlier, and an
affine map can be undone up to rounding (C02.15). Information goes only where the result is rounded coarsely: min-max to 8 bits with an
outlier puts all other values on a few levels. What scaling does not do is clean.

> **"Before training I reduce the dimension with PCA or t-SNE."**

It sounds right because both make few columns of many. PCA is a linear map: fit it on training data, apply it to new rows, at a price
(small-variance directions go, relevant or not). t-SNE places *these* points on a page. It has no map for a new row, and its
distances between groups need not mean anything, even where it starts from PCA, which helps [20]. Three groups, the third ten times as far from the first as the second is. And a large model
needs neither: it reads patches and tokens.
"""


# %%
def far_over_near(points):
    centre = points.reshape(3, 60, -1).mean(axis=1)
    return float(np.linalg.norm(centre[2] - centre[0]) / np.linalg.norm(centre[1] - centre[0]))


groups = np.concatenate([np.random.RandomState(shift).standard_normal((60, 10)) + shift for shift in (0, 20, 200)])
pca = far_over_near(decomposition.PCA(2).fit_transform(groups))
starts = [("random", 0), ("random", 1), ("random", 2), ("pca", 0)]
settings = [{"perplexity": 20, "max_iter": 500, "init": init, "random_state": seed} for init, seed in starts]
tsne = [far_over_near(manifold.TSNE(2, **setting).fit_transform(groups)) for setting in settings]
claim(
    "C02.11",
    "PCA keeps a distance ratio of 10 and maps new rows; t-SNE, from 3 random starts and from PCA, shows under 3 and has no transform",
    abs(pca - 10) < 0.2
    and max(tsne) < 3
    and hasattr(decomposition.PCA, "transform")
    and not hasattr(manifold.TSNE, "transform"),
    measured=f"true {far_over_near(groups):.2f}, PCA {pca:.2f}, t-SNE {min(tsne):.2f} to {max(tsne):.2f}",
)

# %% [markdown]
r"""
> **"Cutting the data set into chunks makes training faster."**

It sounds right because something smaller is handled at a time. Shards bound memory and make reading sequential; the arithmetic of
an epoch is the same. The hour gets shorter only where the accelerator was waiting for the disk. (Chunking a *sequence*, a long text or sound into windows, is another operation: it changes what the model
can see.)
"""

# %%
model = mlp(12, 3).double()
inputs, labels = torch.randn(640, 12, dtype=torch.float64), torch.randint(0, 3, (640,))


def gradient(rows):
    loss = F.cross_entropy(model(inputs[rows]), labels[rows], reduction="sum")
    return torch.cat([each.flatten() for each in torch.autograd.grad(loss, tuple(model.parameters()))])


whole, parts = gradient(torch.arange(640)), torch.arange(640).split(80)
error = ((sum(gradient(part) for part in parts) - whole).norm() / whole.norm()).item()
claim(
    "C02.9",
    "Gradients of eight shards add up to the gradient of everything: 640 rows are computed either way, an eighth is held",
    error < 1e-12 and len(parts) == 8 and sum(map(len, parts)) == 640,
    measured=f"relative error {error:.0e}",
)

# %% [markdown]
r"""
> **"Same caption, same pair: I drop duplicates by text."**

It sounds right because text is cheap to compare. Scenes with one object, 1,000 of them:
"""

# %%
single = make_scenes(1000, seed=0, objects=(1, 1))
texts_left = len(set(single.captions))
images_left = len({image.numpy().tobytes() for image in single.images})
claim(
    "C02.14",
    "Of 1,000 one-object scenes deduplicating by caption leaves under 170, by pixels over 500: different images share words",
    texts_left < 170 and images_left > 500,
    measured=f"{texts_left} distinct captions, {images_left} distinct images",
)

# %% [markdown]
r"""
> **"Synchronised means equal resolution and length, and a loader with many threads or GPUs."**

It sounds right because a batch will not form otherwise. C02.5b had equal lengths and equal rates and lost to one stream. Three things are
called synchronisation: streams on one clock, pairs that stay pairs under shuffling and workers, and processes that see disjoint data
and average gradients: lesson 26 (planned). Threads make loading faster, nothing else.

> **"The usual data sets: COCO for image and text, Flickr8k for classification, TRECVID, the *Temporal Recurrent Extreme
> Description* set, and YouTube-BASE."**

It sounds right because each name is half right. COCO has boxes, masks and keypoints *and* about five captions per image. Flickr8k has five
captions per image and no class at all. TRECVID is NIST's *TREC Video Retrieval Evaluation*: a yearly campaign, a track of TREC in
2001 and 2002 and on its own since 2003, with tasks such as ad-hoc video search and video to text, on changing data. A set called
YouTube-BASE could not be found; people may mean YouTube-8M, HowTo100M, AudioSet or VGGSound. Name what a set *contains* (2.10).

## 2.8 At scale

A billion pairs. Say 50 kB an image, shards of 1 GB, 128 hashes of 4 bytes, an embedding of 768 numbers in bf16.
"""

# %%
N = 10**9
print(f"images           {N * 50e3 / 1e12:10,.0f} TB in {N * 50e3 / 1e9:,.0f} shards")
print(f"MinHash          {N * 128 * 4 / 1e12:10,.2f} TB of signatures")
print(f"embeddings       {N * 768 * 2 / 1e12:10,.2f} TB")
print(f"perceptual hash  {N * 8 / 1e12:10,.3f} TB")
print(
    f"all pairs        {N * (N - 1) // 2:10.1e} comparisons; at 10^9 a second {N * (N - 1) / 2 / 1e9 / 86400 / 365:,.0f} years"
)
print(
    f"reading          {N * 50e3 / 1e9 / 3600:10,.0f} hours at 1 GB/s, with 64 readers {N * 50e3 / 1e9 / 64 / 3600:,.1f}"
)

# %% [markdown]
r"""
So nobody compares all pairs: bands for texts, lookups for 64-bit hashes, and clusters of embeddings inside which pairs are compared
[17]. A run that resumes needs the position in every stream, or an order that is a function of (seed, step), as in
`course_lib.training`.

**Interleaved documents and packing.** Web pages give sequences of text and images of very different length. Padded to the longest of a
random batch over half of the work is on padding, the more the larger the batch. Two remedies: batches of documents of *similar length*, which are
no longer random samples, or *packing* several into one sequence, with an attention mask that keeps them apart. Here the lengths are made up,
many short and few long. **Predict** which remedy fills more.
"""


# %%
lengths = (50 + 1990 * torch.rand(512, generator=generator) ** 3).long().tolist()  # tokens; many short, few long


def batched(rows, size):
    """Share of real tokens when every batch is padded to its own longest document."""
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    return sum(rows) / sum(len(batch) * max(batch) for batch in batches)


padded, mixed, alike = batched(lengths, 512), batched(lengths, 8), batched(sorted(lengths), 8)
packed = packing.first_fit(lengths, capacity=2048)
full = packing.full_share(lengths, len(packed), 2048)
claim(
    "C02.16",
    "Padded to the longest in random batches of 8, under half of the tokens are real, in one batch of 512 under a third; in batches of 8 "
    "sorted by length over 90 % are, and packed to 2,048 tokens as well",
    mixed < 0.5 and padded < 1 / 3 and min(alike, full) > 0.9,
    measured=f"batches of 8 {mixed:.0%}, one batch {padded:.0%}, sorted {alike:.0%}, packed {full:.0%} in {len(packed)} sequences",
)

# %% [markdown]
r"""
## 2.9 Look inside: whom does the filter throw away?

A filter is a model with an opinion. The towers of 2.6 that learnt from *clean* scenes with two or three objects score new pairs, all of
them **correct**. Set the threshold so that a quarter of the ordinary pairs goes. **Predict** how many go of scenes with a colour and shape
that never stood together in training, and of scenes with a single object.
"""

# %%
KINDS = {
    "ordinary": {"objects": (2, 3)},
    "new combination": {"objects": (2, 3), "split": "test"},
    "one object": {"objects": (1, 1)},
}
dropped = {name: [] for name in KINDS}
for seed, (_, _, judge) in enumerate(runs):
    pairs = {name: judge(*scene_pairs(1000, seed=500 + seed, **kind)) for name, kind in KINDS.items()}
    score = {name: (image * text).sum(dim=1) for name, (image, text) in pairs.items()}
    threshold = score["ordinary"].quantile(0.25)
    for name in KINDS:
        dropped[name].append((score[name] < threshold).float().mean().item())
fig, ax = dot_plot({"correct pairs": dropped}, xlabel="share dropped by the filter, one mark a seed")
show(fig, "The filter drops a quarter of the ordinary pairs, nearly half of new combinations, and all single objects.")

claim(
    "C02.17",
    "A filter that drops 25 % of ordinary correct pairs drops over 35 % of new combinations, over 90 % of an unseen kind (3 seeds)",
    min(dropped["new combination"]) > 0.35 and min(dropped["one object"]) > 0.9,
    measured=", ".join(f"{name} {min(shares):.0%} to {max(shares):.0%}" for name, shares in dropped.items()),
)

# %% [markdown]
r"""
A low score means "unlike what I was trained on" as much as "wrong". So a filter is audited by kind: language, length, source, rare
object. On DataComp's pool CLIP's score dropped pictures of some groups of people more often than of others [24]. A filter before the
split cleans the test part, too; then the reported number holds for filtered data. And it is one of several, beside text rules, safety and privacy filters and licences, each of which logs what it dropped and why [22].

## 2.10 Your own COCO

The course ships no large collection and downloads none. It reads them as published: COCO captions, Flickr8k, Flickr30k, VQA v2. Here is a
COCO of seven photographs in the published layout; with the real one only the folder's name changes. Records become a `Dataset` that
`fit` takes, and `groups` goes to `split_by_group`.
"""

# %%
with tempfile.TemporaryDirectory() as folder:
    file = miniature.write_coco(folder, photos, split="val2017")
    found = collections.load_coco_captions(folder, "val2017")
    words = records.OpenWords.of((text for record in found for text in record.captions), most=100)
    data = records.PictureDataset(
        found, size=64, encode=lambda record: {"ids": words.encode(record.captions[0], length=16)}
    )
    print(len(data), "records;", {name: tuple(value.shape) for name, value in data[0].items()}, data.groups)

    file.write_text(file.read_text(encoding="utf-8")[:-300], encoding="utf-8")  # as when a download stops
    for place in (folder, "my_coco"):
        try:
            collections.load_coco_captions(place, "val2017")
        except CollectionError as error:
            print("\n" + str(error).replace(folder, "FOLDER").replace("\\", "/"))

# %% [markdown]
r"""
Each way to go wrong has its own message: no folder, a folder one level off, an archive still packed, a cut-off file, another file of the
same collection, captions without their image. VQA v2 comes with ten answers per question; `course_lib.metrics.answers.soft_accuracy` gives $\min(n/3, 1)$ averaged over leaving out one
person.

| collection | what it holds | unit to split by | terms |
| --- | --- | --- | --- |
| COCO [1, 2] | 2017: 118 k + 5 k images; boxes, masks, keypoints, 5 captions an image | image | annotations CC BY 4.0, images Flickr's terms |
| Flickr8k [3] | 8,000 images, 5 captions each, no classes; lists of 6,000 / 1,000 / 1,000 | image | research and education |
| Flickr30k [4] | 31,783 images, 5 captions each | image | research and education |
| VQA v2 [5, 6] | 443,757 + 214,354 questions on COCO 2014 images, 10 answers each, in pairs of similar images; 447,793 test questions without answers | image | annotations CC BY 4.0 |
| LAION-5B [7], DataComp [8] | 5.85 and 12.8 billion links with alt texts | duplicate group, domain | links only, images of their owners; LAION-5B taken down in 2023, back without known illegal links as Re-LAION-5B in 2024 |
| OBELICS [9] | 141 million web pages, 353 million images, interleaved | page, domain | images of their owners |
| AudioSet [10], HowTo100M [11] | links to sound events; to narrated videos | source video | links only |
| TRECVID [12] | an evaluation campaign with changing tasks and data | its own test sets | see its pages |

The same photograph can stand in several: VQA v2 asks about COCO's images, and an image of COCO's *training* set can be a test image
elsewhere. So check image ids and hashes *between* collections before a benchmark number is reported.
"""

# %% [markdown]
r"""
## 2.11 Interview

Cover the answers, say yours aloud, compare. Each key point names the claim above that proves it, or a source.
"""

# %%
show_questions("02")

# %% [markdown]
r"""
## 2.12 Card

- **Formula**: z-score $(x-\mu)/\sigma$ · robust $(x-\text{median})/\text{IQR}$ · merge $S = S_a + S_b + d^2 n_a n_b/n$ · MinHash
  $P(\text{agree}) = J$, bands $1-(1-J^r)^b$ · offset $\arg\max_k \mathrm{corr}(a_t, b_{t+k})$.
- **Shapes**: rows (B, D) → 2 numbers per feature; text → K = 128 hashes; image → 64 bits; pair → one index for both halves.
- **Cost**: one pass for moments; N · K hashes instead of N²/2 comparisons; sharding changes memory and reading, not FLOPs.
- **Do** split by group, fit every statistic on the training part, keep pairs in one record, measure offsets, audit every filter by kind.
- **Do not** split rows that share an image, select features before the split, fill gaps without a mark, drop pairs by caption alone, or
  take equal shapes for synchrony.
"""

# %% [markdown]
r"""
## 2.13 Sources

1. Lin et al. (2014), *Microsoft COCO: Common Objects in Context*, [arXiv:1405.0312](https://arxiv.org/abs/1405.0312); terms at
   [cocodataset.org](https://cocodataset.org/#termsofuse).
2. Chen et al. (2015), *Microsoft COCO Captions: Data Collection and Evaluation Server*, [arXiv:1504.00325](https://arxiv.org/abs/1504.00325).
3. Hodosh, Young, Hockenmaier (2013), *Framing Image Description as a Ranking Task*, [doi:10.1613/jair.3994](https://doi.org/10.1613/jair.3994).
4. Young et al. (2014), *From image descriptions to visual denotations*, [doi:10.1162/tacl_a_00166](https://doi.org/10.1162/tacl_a_00166); splits of Karpathy, Fei-Fei (2015),
   [arXiv:1412.2306](https://arxiv.org/abs/1412.2306).
5. Antol et al. (2015), *VQA: Visual Question Answering*, [arXiv:1505.00468](https://arxiv.org/abs/1505.00468): ten answers, the soft accuracy.
6. Goyal et al. (2017), *Making the V in VQA Matter*, [arXiv:1612.00837](https://arxiv.org/abs/1612.00837): VQA v2 and its pairs; counts at
   [visualqa.org](https://visualqa.org/download.html).
7. Schuhmann et al. (2022), *LAION-5B*, [arXiv:2210.08402](https://arxiv.org/abs/2210.08402): pairs kept by CLIP's cosine, OpenAI's for English, a multilingual one for the
   rest; [Re-LAION-5B](https://laion.ai/blog/relaion-5b/) (2024).
8. Gadre et al. (2023), *DataComp: In search of the next generation of multimodal datasets*, [arXiv:2304.14108](https://arxiv.org/abs/2304.14108): filters compared with the
   training fixed.
9. Laurençon et al. (2023), *OBELICS*, [arXiv:2306.16527](https://arxiv.org/abs/2306.16527).
10. Gemmeke et al. (2017), *Audio Set: An ontology and human-labeled dataset for audio events*, [doi:10.1109/ICASSP.2017.7952261](https://doi.org/10.1109/ICASSP.2017.7952261).
11. Miech et al. (2019), *HowTo100M*, [arXiv:1906.03327](https://arxiv.org/abs/1906.03327).
12. NIST, [TRECVID](https://www-nlpir.nist.gov/projects/trecvid/): what the letters mean, since when, which tasks.
13. Barz, Denzler (2020), *Do We Train on Test Data? Purging CIFAR of Near-Duplicates*, [arXiv:1902.00423](https://arxiv.org/abs/1902.00423): 3.3 % and 10 % of CIFAR-10's and
    CIFAR-100's test images have duplicates in training.
14. Ambroise, McLachlan (2002), *Selection bias in gene extraction*, [doi:10.1073/pnas.102102699](https://doi.org/10.1073/pnas.102102699): selection outside of cross-validation.
15. Welford (1962), [doi:10.1080/00401706.1962.10490022](https://doi.org/10.1080/00401706.1962.10490022); Chan, Golub, LeVeque (1982), [doi:10.1007/978-3-642-51461-6_3](https://doi.org/10.1007/978-3-642-51461-6_3): running and merged
    moments.
16. Broder (1997), *On the resemblance and containment of documents*, [doi:10.1109/SEQUEN.1997.666900](https://doi.org/10.1109/SEQUEN.1997.666900): shingles and MinHash; here with
    hash functions $(ax + b) \bmod (2^{31} - 1)$ in place of permutations.
17. Lee et al. (2022), *Deduplicating Training Data Makes Language Models Better*, [arXiv:2107.06499](https://arxiv.org/abs/2107.06499); Abbas et al. (2023), *SemDeDup*,
    [arXiv:2303.09540](https://arxiv.org/abs/2303.09540).
18. Chung, Zisserman (2016), *Out of time: automated lip sync in the wild*, [doi:10.1007/978-3-319-54427-4_19](https://doi.org/10.1007/978-3-319-54427-4_19): offset from learnt features of lips and sound; here from raw
    signals.
19. Liang et al. (2022), *Mind the Gap*, [arXiv:2203.02053](https://arxiv.org/abs/2203.02053): modalities stay apart even in a trained shared space.
20. van der Maaten, Hinton (2008), *Visualizing Data using t-SNE*, [JMLR 9](https://jmlr.org/papers/v9/vandermaaten08a.html); scikit-learn's `TSNE`, which has no `transform`; Kobak, Linderman
    (2021), [doi:10.1038/s41587-020-00809-z](https://doi.org/10.1038/s41587-020-00809-z): the start decides how much of the global structure is kept.
21. Maini et al. (2023), *T-MARS*, [arXiv:2307.03132](https://arxiv.org/abs/2307.03132): image-text scores reward text inside the image.
22. Gebru et al. (2018), *Datasheets for Datasets*, [arXiv:1803.09010](https://arxiv.org/abs/1803.09010): what to write down about a set.
23. [WebDataset](https://webdataset.github.io/webdataset): names of files in shards, a share per node and worker.
24. Hong et al. (2024), *Who's in and who's out? A case study of multimodal CLIP-filtering in DataComp*, [arXiv:2405.08209](https://arxiv.org/abs/2405.08209).

## 2.14 Worked solutions
"""


# %% tags=["solution"]
def welford(shards):
    count, mean, deviations = 0, 0.0, 0.0
    for shard in filter(len, shards):
        step, total = shard.mean() - mean, count + len(shard)
        deviations += (shard - shard.mean()).square().sum() + step**2 * count * len(shard) / total
        mean, count = mean + step * len(shard) / total, total
    return float(mean), float((deviations / count) ** 0.5)


check(exercise.welford, welford, solution=True)


# %% tags=["solution"]
def group_split(groups, share, seed):
    names = list(dict.fromkeys(groups))
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()
    rows = torch.tensor([groups.count(names[number]) for number in order]).cumsum(0)
    enough = int((rows < share * len(groups)).sum()) + 1
    chosen = {names[number] for number in order[:enough]}
    test = [row for row, group in enumerate(groups) if group in chosen]
    return [row for row, group in enumerate(groups) if group not in chosen], test


check(exercise.group_split, group_split, solution=True)


# %% tags=["solution"]
def find_offset(video, sound, max_lag):
    def correlation(lag):
        seen = video[max(0, -lag) : len(video) - max(0, lag)]
        heard = sound[max(0, lag) : len(sound) - max(0, -lag)]
        return torch.corrcoef(torch.stack([seen, heard]))[0, 1].item()

    return max(range(-max_lag, max_lag + 1), key=correlation)


check(exercise.find_offset, find_offset, solution=True)


# %% tags=["solution"]
def paired_shuffle(images, texts, seed):
    if len(images) != len(texts):
        raise ValueError(f"{len(images)} images and {len(texts)} texts are not pairs")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    return images[order], [texts[row] for row in order.tolist()]


check(exercise.paired_shuffle, paired_shuffle, solution=True)

# %% [markdown]
r"""
*Lessons:* [start page](00_start_here.ipynb) · previous: 01 · What multimodal means (planned) · next: 03 · Augmentation that keeps the pair true (planned), then [07 · Fusing modalities](07_fusing_modalities.ipynb)
"""
