# %% [markdown] tags=["second-form"]
r"""
# 02 · Data pipelines

You will be able to say what each step between the raw file and the batch prevents, and show the cell in which it goes wrong without it.

*60 minutes and 35 more · needs no other lesson · under 60 s of CPU*

*15 minutes:* [The 60-second answer](#2.12-The-60-second-answer) · [Wrong answers people give](#2.7-Wrong-answers-people-give) · [Card](#2.14-Card)

*Lessons:* [start page](00_start_here.ipynb) · previous: 01 · What multimodal means (planned) · next: 03 · Augmentation that keeps the pair true (planned), then [07 · Fusing modalities](07_fusing_modalities.ipynb)
"""

# %% [markdown]
r"""
## 2.1 The interview question

> **How do you prepare multimodal data for training, and what can leak?**
>
> **你怎样为多模态训练准备数据？哪些地方会发生泄漏？**

**You will be able to**

1. scale a feature three ways, and say which one an outlier breaks;
2. split so that nothing leaks, and show a leak on labels that are pure noise;
3. find near-duplicates without comparing all pairs, and choose the threshold by what it costs;
4. synchronise streams, keep pairs together, and stream statistics over shards;
5. read COCO, Flickr and VQA as published, and know what is in them.

## 2.2 Try first

**A leak.** Four hundred pictures, each stored twice: the original and a copy with a little noise. Somebody tosses a coin for every picture and writes the result on
both files as their label. You shuffle the 800 files, train on 600, test on 200. The "model" answers like the most similar training picture. There is nothing to learn.

**Two streams.** A camera and a microphone record claps, each with noise. Added, they find claps better than the video alone. Now the sound comes one frame late. Length, rate and shapes are equal.
"""

# %%
from course_lib.lesson.bets import bet, bets

bet("C02.3", "Accuracy on the coin tosses?", ["0.50", "0.63", "0.75", "0.88"])
bet("C02.5b", "Video plus late sound is…", ["better", "equal", "far worse"])

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn import feature_selection, linear_model, model_selection, pipeline
from torch import nn

from course_lib.data import alterations, duplicates, splitting, sync
from course_lib.data.photos import load_photos
from course_lib.data.scaling import METHODS, fit_scaler
from course_lib.data.scene_pairs import ScenePairs, scene_pairs
from course_lib.data.scenes import make_scenes
from course_lib.data.streaming import RunningMoments
from course_lib.exercises import lesson_02 as exercise
from course_lib.interview.show import show_questions
from course_lib.lesson.claims import claim
from course_lib.lesson.exercises import check, hint
from course_lib.lesson.explore import explore
from course_lib.lesson.figures import COLOURS, MARKERS, dot_plot, show
from course_lib.lesson.pipeline_figures import draw_lag, draw_scalers

_ = torch.manual_seed(0)

# %% [markdown]
r"""
![Upper row: collect pairs, clean, find near-duplicates, filter pairs, split by group. Lower row: fit statistics on the training
part, write shards, share them out and shuffle, decode, align and scale, batch.](figures/02_pipeline.svg)

*The way of a pair from the web to the model, and below each step what happens without it.*

Preprocessing ends at tensors and tokens that are clean, split and synchronised. *Extracting features* and *fusing* them is what the model learns. A
pipeline that already multiplies image and text has made a decision that no training can take back. *Augmentation*, lesson 03 (planned), sits in "decode": it is drawn anew
every epoch, while cleaning gives the same result each time.

## 2.3 By hand

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
for file, size, width, height, caption in RAW:
    if size == 0:
        print(file, "drop: empty file")
    elif max(width, height) > 5 * min(width, height):
        print(file, "drop: shape of a banner")
    elif caption is None:
        print(file, "drop: a pair without text is no pair")
    elif caption.upper().endswith(".JPG"):
        print(file, "drop: a file name is no caption")
    else:
        print(file, "keep:", sorted(duplicates.shingles(caption)))

# %% [markdown]
r"""
Two captions are kept, and their runs of two words are the same. The last word on `b.jpg` is not spoken: the same words do not make the same picture (C02.14).

**A running mean and deviation**, number by number. Three values are kept: how many, their mean, the sum of their squared deviations from it. Data that never fit in memory need no more.
"""

# %%
count, mean, deviations = 0, 0.0, 0.0
for value in (4.0, 7.0, 13.0, 16.0):
    count += 1
    step = value - mean
    mean += step / count
    deviations += step * (value - mean)  # old times new deviation
    print(f"saw {value:4.0f}   mean {mean:5.2f}   deviations {deviations:6.2f}")
print("variance", deviations / count, " NumPy:", np.var([4.0, 7.0, 13.0, 16.0]))

# %% [markdown]
r"""
**Scale.** Durations of five clips in seconds; one is a typing error. Three ways to bring them to one scale, each $(x - \text{shift}) / \text{scale}$.
"""

# %%
seconds = torch.tensor([[2.0], [3.0], [4.0], [5.0], [996.0]])
for method in METHODS:
    scaler = fit_scaler(seconds, method)
    scaled = scaler.apply(seconds).flatten().tolist()
    print(f"{method:8s} scale {scaler.scale.item():6.1f}", np.round(scaled, 3))

# %% [markdown]
r"""
Minimum, maximum, mean and standard deviation all follow the outlier. Median and quartiles stay where most values are. Now at full size: 999 normal numbers, whose deviation is 1, and one of 1,000.
"""

# %%
normal = torch.randn(999, 1, generator=torch.Generator().manual_seed(0))
spoilt = torch.cat([normal, torch.tensor([[1000.0]])]).double()
bet("C02.1b", "After a z-score the 999 deviate by", ["1", "1/2", "1/30", "1/1000"])

# %% tags=["claim", "reveal"]
scalers = {method: fit_scaler(spoilt, method) for method in METHODS}
widths = {name: each.apply(spoilt)[:-1].std().item() for name, each in scalers.items()}
claim(
    "C02.1b",
    "One outlier of 1,000 in 1,000 rows leaves the others a deviation under 1/20 with z-score, 1/500 with min-max, "
    "over 1/2 with robust",
    widths["z-score"] < 1 / 20
    and widths["min-max"] < 1 / 500
    and widths["robust"] > 0.5,
    measured=", ".join(f"{method} {width:.4f}" for method, width in widths.items()),
    answer="1/30",
)

# %% [markdown]
r"""
**Why 1/30?** One value $M$ among $n$ rows adds $M^2/n$ to the variance. With $M = n = 1000$ the deviation becomes about $\sqrt{1000} \approx 32$, and everything is divided by that.
Two more facts about all three: they are straight lines, so they change no shape, and each can be undone.
"""

# %% tags=["claim"]
generator = torch.Generator().manual_seed(0)


def skewness(values):
    centred = values - values.mean()
    return (centred**3).mean() / (centred**2).mean() ** 1.5


uniform = torch.rand(20_000, 1, generator=generator, dtype=torch.float64)
skewed = -uniform.log()  # an exponential distribution has skewness 2
standardised = fit_scaler(skewed, "z-score").apply(skewed)
before, after = skewness(skewed).item(), skewness(standardised).item()
back = [each.invert(each.apply(spoilt)) for each in scalers.values()]
lost = max((each - spoilt).abs().max().item() for each in back)
claim(
    "C02.1",
    "A z-score sets mean and deviation, not the shape: the skewness of an exponential sample stays as it was",
    abs(before - after) < 1e-9 and before > 1.8 and abs(standardised.mean()) < 1e-9,
    measured=f"skewness {before:.3f} before, {after:.3f} after; a normal distribution has 0",
)
claim(
    "C02.15",
    "All three scalings can be undone, outlier included: nothing is lost, and no outlier is removed",
    lost < 1e-9,
    measured=f"largest error {lost:.0e} on values up to 1,000",
)

# %% [markdown]
r"""
**Explore: one outlier.** Fifty values and one that you move. At 20, which scaler leaves the fifty spread out?
"""

# %%
alt = "Fifty values and an outlier: squeezed by min-max and z-score, not by robust."
explore(draw_scalers, alt=alt, outlier=(0.0, 25.0))

# %% [markdown]
r"""
**Fill what is missing?** A feature correlates 0.8 with another. 40 % of it is missing by chance. The usual advice: put in the mean.
"""

# %%
x, noise = torch.randn(2, 20_000, generator=torch.Generator().manual_seed(1))
y = 0.8 * x + 0.6 * noise
missing = torch.rand(20_000, generator=torch.Generator().manual_seed(2)) < 0.4
filled = torch.where(missing, x[~missing].mean(), x)
bet("C02.8", "The correlation becomes…", ["0.80", "0.62", "0.48", "0.32"])

# %% tags=["reveal"]
for name, each in (("before", x), ("filled", filled)):
    correlation = torch.corrcoef(torch.stack([each, y]))[0, 1]
    print(f"{name}: deviation {each.std():.3f}, correlation {correlation:.3f}")

# %% tags=["claim", "reveal"]
shrunk = (filled.std() / x.std()).item()
was, now = (torch.corrcoef(torch.stack([each, y]))[0, 1].item() for each in (x, filled))
claim(
    "C02.8",
    "Filling 40 % of a feature with its mean multiplies its deviation and its correlation by the root of 0.6, about 0.775",
    abs(shrunk - 0.6**0.5) < 0.02 and abs(now / was - 0.6**0.5) < 0.02,
    measured=f"deviation times {shrunk:.3f}, correlation {was:.3f} to {now:.3f}",
    answer="0.62",
)

# %% [markdown]
r"""
**Why the root of 0.6?** A filled row sits at the mean, so it adds nothing to the variance and nothing to the covariance. Both keep 0.6 of their size. The correlation is covariance over two deviations: $0.6 / \sqrt{0.6} = \sqrt{0.6}$.

A filled value is a lie about its own certainty. Keep a second feature that says "was missing". If values are missing for a reason, such as a
sensor that fails when it is hot, that bit can be the better predictor. In a Transformer the honest form is a mask: the token is not
there. And beware of numbers that *mean* missing: a −999 in one row is an outlier like the one above.

## 2.4 In symbols

$x$ are the $n$ rows of one feature, $n_a$ and $n_b$ of them in shards $a$ and $b$. $A$, $B$ are the shingles (runs of words) of two texts, $h$ one
of $K$ random hash functions; banding cuts the $K$ hashes in $b$ bands of $r$. $a_t$, $b_t$ are two streams in frame $t$.

| formula | meaning | in code |
| --- | --- | --- |
| $(x - \min) / (\max - \min)$, $(x - \mu) / \sigma$, $(x - \text{median}) / \text{IQR}$ | min-max, z-score, robust; IQR = 75th − 25th percentile | `fit_scaler` |
| $\mu = \mu_a + d\, n_b / n$, $S = S_a + S_b + d^2 n_a n_b / n$, $d = \mu_b - \mu_a$ | merged mean and squared deviations, $\sigma^2 = S / n$ | `RunningMoments.merge` |
| $J = \lvert A \cap B \rvert / \lvert A \cup B \rvert = P(\min h(A) = \min h(B))$ | Jaccard similarity, and why MinHash estimates it | `jaccard`, `minhash` |
| $1 - (1 - J^r)^b$ | chance to agree in all of at least one band | `chance_to_meet` |
| $\arg\max_k \mathrm{corr}(a_t, b_{t+k})$ | offset in frames, positive when $b$ is late | `find_offset` |

*Normalising* in a narrow sense is min-max, *standardising* is the z-score. People mix the words, so say the formula.

## 2.5 Build it

**Moments over shards.** Six shards of unequal length, the first thousand rows from another source. They are merged in any order. Beside it the obvious way: average the shards' deviations, weighed by their rows.
"""

# %%
rows = 3 + 2 * torch.randn(10_000, 4)
rows[:1000] += 10  # another source
merged, averaged = RunningMoments.empty(4), 0
for shard in rows.split([700, 300, 4000, 0, 4999, 1]):
    merged = merged.merge(RunningMoments.of(shard))
    if len(shard) > 0:
        averaged += len(shard) / 10_000 * shard[:, 0].std(correction=0)
print(f"all rows at once {rows[:, 0].std(correction=0):.3f}")
print(f"merged           {merged.variance()[0].sqrt():.3f}")
print(f"averaged         {averaged:.3f}")

# %% tags=["claim"]
from sklearn import preprocessing

exact, library = rows.double(), preprocessing.StandardScaler()
parts = exact.split([700, 300, 4000, 0, 4999, 1])
backwards = RunningMoments.empty(4)
for part in reversed(parts):
    backwards = backwards.merge(RunningMoments.of(part))
    if len(part) > 0:  # scikit-learn refuses an empty batch
        library.partial_fit(part.numpy())
whole = exact.std(dim=0, correction=0)
gap = max(
    (backwards.variance().sqrt() - whole).abs().max().item(),
    (backwards.mean - exact.mean(dim=0)).abs().max().item(),
    float(np.abs(backwards.variance().numpy() - library.var_).max()),
)
naive = sum(len(p) / 1e4 * p.std(dim=0, correction=0) for p in parts if len(p) > 0)
claim(
    "C02.7",
    "Merged moments equal those of all rows at once, and scikit-learn's, to 1e-10; the shards' deviations, averaged by rows, are over 20 % off",
    gap < 1e-10 and ((naive - whole).abs() / whole).min() > 0.2,
    measured=f"gap {gap:.0e}, averaged deviation {naive[0]:.2f} instead of {whole[0]:.2f}",
)

far = 10_000 + torch.randn(4096, generator=generator)  # float32, deviation 1
shortcut = (far.square().mean() - far.mean().square()).item()
truth = far.double().var(correction=0).item()
count, mean, deviations = 0, np.float32(0), np.float32(0)
for value in far.numpy():  # the loop of 2.3, in float32 as well
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
Averaging deviations forgets that the shards' *means* differ, whatever the weights. The other shortcut, $E[x^2] - E[x]^2$, is right on paper. But near
$10^8$ neighbouring float32 numbers are 8 apart, so a difference of two of them cannot be 1.

### Exercise 02.1 · welford ●●● 15 minutes · more

`shards` is an iterable of one-dimensional float64 tensors of any length, some empty, and goes by once. Return mean and standard
deviation of all rows (divided by $n$) as two numbers. At least one row comes. Hold at most three shards at a time. Values may lie near $10^9$ with a deviation of 2.
"""


# %% tags=["exercise"]
def welford(shards):
    """An iterable of (n,) float64 -> mean, standard deviation."""
    raise NotImplementedError


check(exercise.welford, welford)
hint(exercise.welford)

# %% [markdown]
r"""
**Split by group.** Five captions of one photograph are five rows and one group. A split deals out groups, and then takes all their rows.
"""

# %%
group = torch.arange(40).repeat_interleave(5)  # 40 photographs, 5 captions each
names = torch.randperm(40, generator=torch.Generator().manual_seed(0))
by_group = torch.isin(group, names[:8])  # the rows of eight photographs
by_row = torch.zeros(200, dtype=torch.bool)
by_row[torch.randperm(200, generator=torch.Generator().manual_seed(0))[:40]] = True
for name, test in (("by group", by_group), ("by row", by_row)):
    both = set(group[test].tolist()) & set(group[~test].tolist())
    print(f"{name}: {test.sum()} rows tested, {len(both)} photographs on both sides")

# %% [markdown]
r"""
The course's `split_by_group` and scikit-learn's `GroupShuffleSplit` do the first. For data that grow, `part_by_hash` decides by the hash
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
has. MinHash keeps, for each of $K$ random hash functions, the smallest hash of a text's runs.
"""

# %%
one = duplicates.shingles("A dog runs on a beach.")
other = duplicates.shingles("A dog runs on the beach!")
print("both:  ", sorted(one & other))
print("either:", len(one | other), " J =", len(one & other), "/", len(one | other))
for hashes in (4, 128, 4096):
    first, second = duplicates.minhash([one, other], hashes=hashes)
    print(hashes, "hashes agree in", round((first == second).double().mean().item(), 3))

# %% tags=["claim"]
captions = make_scenes(300, seed=0, objects=(2, 3)).captions
sets = [duplicates.shingles(caption) for caption in captions]
signatures = duplicates.minhash(sets, hashes=128)
pairs = torch.triu_indices(300, 300, offset=1).T.tolist()
exact = np.array([duplicates.jaccard(sets[i], sets[j]) for i, j in pairs])
estimate = np.array(
    [duplicates.agreement(signatures[i], signatures[j]) for i, j in pairs]
)

fig, axes = plt.subplots(1, 2, figsize=(6, 2.3), layout="constrained")
axes[0].plot(exact[::150], estimate[::150], ".", markersize=2, color=COLOURS[0])
line = torch.linspace(0, 1, 101)
spread = 2 * (line * (1 - line) / 128).sqrt()
axes[0].plot(line, line + spread, "k--", linewidth=1, label="two standard errors")
axes[0].plot(line, line - spread, "k--", linewidth=1)
axes[0].legend(fontsize=8)
axes[0].set(xlabel="Jaccard similarity", ylabel="hashes that agree")
axes[0].set_title("every 150th of 44,850 pairs")
for (bands, height), style in zip(
    ((64, 2), (32, 4), (16, 8)), ["-", "--", ":"], strict=True
):
    chance = duplicates.chance_to_meet(line, bands=bands, rows=height)
    axes[1].plot(line, chance, style, label=f"{bands} bands of {height}")
axes[1].set(xlabel="Jaccard similarity", ylabel="chance to meet", title="banding")
axes[1].legend(fontsize=8)
show(
    fig,
    "Left, the share of 128 hashes that agree: nearly all estimates lie within two standard errors of the diagonal. Right, the chance to be compared: more rows per band move the S-curve to the right.",
)
error = float(np.sqrt(np.mean((estimate - exact) ** 2)))
met = duplicates.banded_pairs(signatures, bands=32)
alike = [pair for pair, near in zip(pairs, exact, strict=True) if near >= 0.7]
found = sum((i, j) in met for i, j in alike)
claim(
    "C02.12",
    "128 hashes estimate Jaccard with a root-mean-square error below 0.05; 32 bands compare under 25 % of the pairs and miss none above 0.7",
    error < 0.05 and len(met) < 0.25 * len(pairs) and found == len(alike) > 10,
    measured=f"error {error:.3f}, {len(met) / len(pairs):.1%} of the pairs compared, {found} of {len(alike)} found",
)

# %% [markdown]
r"""
**Why J?** Under a random hash the smallest of the union is equally likely to be any of its elements. Both texts keep that one exactly when it lies in both. So they agree with probability $J$ [16].

**Why bands?** To agree in all $r$ rows of a band has probability $J^r$. To fail in all $b$ bands, $(1 - J^r)^b$. Only what agrees in a band meets in a bucket, so nobody computes the $N^2/2$ pairs.
These captions all follow one pattern, so even strangers share words; on web text bands compare a far smaller part.

**Near-duplicate images.** A perceptual hash: 32 × 32 grey pixels, cosine transform, the 8 × 8 lowest frequencies, one bit each: above the median or not. Seven photographs, each changed in seven ways. Which changes will the hash survive?
"""

# %%
photos, distance = load_photos(), []
for photo in photos:
    versions = alterations.altered(photo.image).values()
    bits = torch.stack([duplicates.perceptual_hash(image) for image in versions])
    distance.append((bits[1:] != bits[0]).sum(dim=1))  # of 64
distance = torch.stack(distance)  # (photographs, alterations)
for name, column in zip(alterations.ALTERATIONS, distance.T, strict=True):
    print(f"{name:16s}", column.tolist())

# %% tags=["claim"]
own = torch.stack(
    [duplicates.perceptual_hash(p.image.permute(2, 0, 1).float() / 255) for p in photos]
)
stranger = duplicates.hamming(own).fill_diagonal_(64).amin(dim=1)
by_change = dict(zip(alterations.ALTERATIONS, distance.T.tolist(), strict=True))
claim(
    "C02.13",
    "On seven photographs a perceptual hash survives saving, scaling and darkening by a factor (at most 6 bits); overexposed "
    "highlights cost one of them over 8 bits; mirroring looks like a stranger (over 20)",
    max(max(by_change[name]) for name in ("saved again", "half size", "darker")) <= 6
    and 8 < max(by_change["overexposed"]) < stranger.min()
    and min(by_change["mirrored"]) > 20
    and stranger.min() > 15,
    measured=", ".join(
        f"{name} {min(bits)} to {max(bits)}" for name, bits in by_change.items()
    )
    + f"; the nearest of the other photographs {stranger.min()} to {stranger.max()}",
)

# %% [markdown]
r"""
*Darker* costs nothing, and it had to: the transform is linear, so a factor of 3/4 multiplies all coefficients and their median alike. That row is arithmetic, not evidence. *Overexposed* clips what is bright, which no factor undoes, and
that costs bits. The threshold is a decision: at 4 bits the small crops are missed, at 16 they are caught. Seven photographs leave room for that; the
more pictures there are, the nearer comes the nearest stranger (2.6). What must be caught *and* looks different, such as mirrors or large crops, needs embeddings of a trained model.

**Synchronise.** A camera and a microphone record claps; the sound comes late. For every lag: shift, cut to the overlap, correlate [18].
"""

# %%
take, correlations = sync.record_claps(400, offset=7, seed=0), {}
for lag in range(-12, 13):
    early, late = max(0, -lag), max(0, lag)
    seen, heard = take.video[early : 400 - late], take.sound[late : 400 - early]
    correlations[lag] = np.corrcoef(seen, heard)[0, 1]
print("largest at lag", max(correlations, key=correlations.get))

# %% [markdown]
r"""
`sync.find_offset` does this. (`numpy.correlate` sums products without subtracting the means of the overlap.)

### Exercise 02.3 · find_offset ●●○ 15 minutes

Two tensors `(F,)`, one number per frame. Return the frames by which the sound is late, negative if it is early, between `-max_lag` and
`max_lag`, both ends included: the lag $k$ with the largest (not the largest absolute) correlation of `video[t]` and `sound[t + k]`. For each lag take means and norms of exactly the frames that overlap.
Nothing wraps around.
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
pair travel together, so no worker can tear them. Each shard gets exactly one reader; here 2 processes have 3 loading workers each.
"""

# %%
from course_lib.data.shards import own_share

shards = [f"shard-{number:06d}.tar" for number in range(12)]
for rank in range(2):
    for worker in range(3):
        mine = own_share(shards, rank=rank, processes=2, worker=worker, workers=3)
        print(f"process {rank}, worker {worker}:", mine)

# %% tags=["claim"]
import tempfile

from course_lib.data.shards import read_shard, write_shards

with tempfile.TemporaryDirectory() as folder:
    examples = [
        {"png": bytes([number]), "txt": f"picture {number}".encode()}
        for number in range(96)
    ]
    files, served, everything = write_shards(folder, examples, per_shard=8), [], 0
    for reader in range(6):
        rank, worker = divmod(reader, 3)
        own = own_share(files, rank=rank, processes=2, worker=worker, workers=3)
        served += [example for file in own for example in read_shard(file)]
        everything += sum(len(list(read_shard(file))) for file in files)
torn = sum(int(example["txt"].split()[1]) != example["png"][0] for example in served)
kept = {}
for count in (10, 96, 1000):
    left = []
    for seed in range(300):
        g = torch.Generator().manual_seed(seed)
        images, texts = (
            torch.randperm(count, generator=g),
            torch.randperm(count, generator=g),
        )
        left.append((images == texts).sum().item())
    kept[count] = np.mean(left)
claim(
    "C02.10",
    "With one reader a shard every pair is served once and whole; six readers that all read the whole list serve each six times",
    len(served) == 96 == len({e["txt"] for e in served})
    and torn == 0
    and everything == 6 * 96,
    measured=f"{len(served)} pairs served, {torn} torn; without sharing {everything}",
)
claim(
    "C02.10b",
    "Two independent shuffles of images and texts leave about one true pair, be it of 10, of 96 or of 1,000",
    min(kept.values()) > 0.7 and max(kept.values()) < 1.3,
    measured=", ".join(f"{pairs:.2f} of {count}" for count, pairs in kept.items())
    + " on average over 300 shuffles",
)

# %% [markdown]
r"""
**Why one pair, however many?** Each of the $n$ texts lands beside its image with probability $1/n$, and $n \cdot 1/n = 1$. Nothing crashes on torn pairs and every shape is right, so this bug is found by looking at pairs. A second trap: 12 shards for 6
readers come out even. Where they do not, one process runs out of batches first and the others wait for its gradient; so streams are cut or repeated to one length.

## 2.6 Evidence

**The leak of *Try first*.** First the world, then the three ways to split it. The third is for when nobody tells you which pictures are copies: hash them, link what differs in at most 8
bits, split by the groups that come out.
"""


# %%
def stored(copies, seed):
    """400 scenes, each with noisy copies; one coin toss per scene labels them all."""
    generator = torch.Generator().manual_seed(seed)
    original = make_scenes(400, seed=seed, objects=(2, 3)).images
    toss = torch.randint(0, 2, (400,), generator=generator)
    pictures = [original]
    for _ in range(copies - 1):
        noise = torch.randn(original.shape, generator=generator)
        pictures.append(original + 0.05 * noise)
    scene = torch.arange(400).repeat(copies)
    return torch.cat(pictures), toss[scene], scene


# %%
def nearest(images, label, train, test):
    """Accuracy of answering like the nearest training picture."""
    flat = images.flatten(start_dim=1)
    closest = torch.cdist(flat[test], flat[train]).argmin(dim=1)
    return (label[train][closest] == label[test]).double().mean().item()


# %% tags=["reveal"]
leak = {"by row": [], "by picture": [], "by hash": []}
for seed in range(5):
    images, label, scene = stored(copies=2, seed=seed)
    groups = range(800), scene, duplicates.groups_by_hash(images, bits=8)
    for name, group in zip(leak, groups, strict=True):
        sides = splitting.split_by_group(group, (0.75, 0.25), seed=seed)
        leak[name].append(nearest(images, label, *sides))
fig, ax = dot_plot(
    {"split": leak}, xlabel="accuracy on coin tosses, 5 seeds", chance=0.5
)
show(fig, "By row about 0.88; by picture and by hash about one half.")

# %% tags=["claim", "reveal"]
claim(
    "C02.3",
    "On coin tosses with one copy of each picture a random split reports over 0.75, a split by picture chance (5 seeds)",
    min(leak["by row"]) > 0.75 and abs(np.mean(leak["by picture"]) - 0.5) < 0.08,
    measured=f"by row {min(leak['by row']):.3f} to {max(leak['by row']):.3f}, by picture {np.mean(leak['by picture']):.3f} on average",
    answer="0.88",
)

# %% [markdown]
r"""
**Why 0.88?** A quarter of the rows is tested. So a test picture has its twin in training with probability ¾ and is remembered. For the other quarter a coin is tossed: $\tfrac34 + \tfrac14 \cdot \tfrac12 = 0.875$.
A picture that is stored $c$ times has $c - 1$ chances: $1 - \tfrac12 (\tfrac14)^{c-1}$. CIFAR's test sets had such twins [13].

**Explore: more copies.** What does a third copy do to the split by row? The dashed line is the formula.
"""


# %%
def draw_leak(copies=2):
    scores = {"by row": [], "by picture": []}
    for seed in range(5):
        images, label, scene = stored(copies, seed)
        for name, group in (("by row", range(len(label))), ("by picture", scene)):
            sides = splitting.split_by_group(group, (0.75, 0.25), seed=seed)
            scores[name].append(nearest(images, label, *sides))
    fig, ax = dot_plot({"split": scores}, xlabel="accuracy on coin tosses", chance=0.5)
    ax.axvline(1 - 0.25 ** (copies - 1) / 2, color="black", linestyle="--")
    return fig


# %%
explore(draw_leak, alt="By row near the dashed line, by picture 0.5.", copies=(1, 5))

# %% [markdown]
r"""
**The threshold is a trade.** Groups by hash closed the leak here, and were still not the true groups. The copies differ by noise, and on 16 × 16 pixels some bits tip over. A looser threshold finds more copies, and more strangers.
Recall is the share of the 400 true pairs that is found; precision is the share of found pairs that is true.
"""


# %%
def hash_distances(seed):
    """Bits between all pairs of 800 pictures, and whether they are copies."""
    images, _, scene = stored(copies=2, seed=seed)
    hashes = torch.stack([duplicates.perceptual_hash(image) for image in images])
    i, j = torch.triu_indices(800, 800, offset=1)
    return duplicates.hamming(hashes)[i, j], scene[i] == scene[j]


bits, same = hash_distances(seed=0)
for most in (2, 4, 6, 8, 10, 12):
    true, found = ((bits <= most) & same).sum(), (bits <= most).sum()
    print(f"{most:2d} bits: recall {true / 400:.2f}, precision {true / found:.2f}")

# %% tags=["claim"]
thresholds, curves, strangers, lumped, verified = range(0, 17, 2), [], [], [], []
for seed in range(5):
    bits, same = hash_distances(seed)
    hits = [((bits <= most) & same).sum().item() for most in thresholds]
    calls = [(bits <= most).sum().item() for most in thresholds]
    curves.append(
        [[hit / 400, hit / call] for hit, call in zip(hits, calls, strict=True)]
    )
    strangers.append(((bits <= 8) & ~same).sum().item() / (~same).sum().item())
    images, _, scene = stored(copies=2, seed=seed)
    i, j = torch.triu_indices(800, 800, offset=1)
    apart = torch.cdist(images.flatten(1), images.flatten(1))[i, j]  # in pixels
    kept = (bits <= 12) & (apart < 2)
    verified.append([(kept & same).sum() / 400, (kept & same).sum() / kept.sum()])
    group = duplicates.groups_by_hash(images, bits=8)
    mixed = (group[:, None] == group) & (scene[:, None] != scene)
    lumped.append(len(scene[mixed.any(dim=1)].unique()))
curves = torch.tensor(curves)  # (seeds, thresholds, recall and precision)
fig, ax = plt.subplots(figsize=(5, 2.5), layout="constrained")
for number, name in enumerate(("recall", "precision")):
    middle, line = curves[..., number].mean(dim=0), ["-", "--"][number]
    ax.plot(
        thresholds,
        middle,
        line,
        marker=MARKERS[number],
        color=COLOURS[number],
        label=name,
    )
    low, high = curves[..., number].amin(dim=0), curves[..., number].amax(dim=0)
    ax.vlines(thresholds, low, high, color=COLOURS[number])
ax.axvline(8, color="grey", linestyle=":")
ax.set(xlabel="threshold, bits of 64", ylabel="share of pairs", ylim=(0, 1.03))
ax.legend(loc="lower center")
show(
    fig,
    "Recall rises and precision falls with the threshold; they cross between 6 and 8 bits. Bars: range of 5 seeds.",
)
by_hash = leak["by hash"]
claim(
    "C02.3b",
    "Groups found by a perceptual hash alone close most of the leak, and the price is "
    "false pairs: over 10 % of the distinct pictures share a group with another (5 seeds)",
    np.mean(by_hash) < 0.62 and curves[:, 4, 0].min() > 0.9 and min(lumped) > 40,
    measured=f"accuracy {np.mean(by_hash):.3f} on average; at 8 bits recall of pairs {curves[:, 4, 0].min():.2f} to "
    f"{curves[:, 4, 0].max():.2f}, precision {curves[:, 4, 1].min():.2f} to {curves[:, 4, 1].max():.2f}; "
    f"{min(lumped)} to {max(lumped)} of 400 pictures lumped with another",
)
claim(
    "C02.18",
    "No threshold of this hash has both: at 4 bits a fifth or more of the copies is missed, at 12 bits over 40 % of the found "
    "pairs are false; comparing the pixels of the pairs found at 12 bits brings both over 0.95, where copies differ by noise only (5 seeds)",
    curves[:, 2, 0].max() < 0.8
    and curves[:, 6, 1].max() < 0.6
    and torch.tensor(verified).min() > 0.95,
    measured=f"recall at 4 bits at most {curves[:, 2, 0].max():.2f}, precision at 12 at most {curves[:, 6, 1].max():.2f}; "
    f"verified by pixels both at least {torch.tensor(verified).min():.3f}",
)

# %% [markdown]
r"""
For a *split* a false pair costs little: both pictures go to one side. For *dropping* duplicates it costs a picture, so candidates are verified first. A report says how groups were found, with precision beside recall.

**And at a billion pictures?** Take the best case: 64 ideal coin tosses for every picture. How many pairs of strangers fall below the threshold?
"""

# %%
N = 10**9
for most in (4, 6, 8, 10):
    ways = sum(math.comb(64, bits) for bits in range(most + 1))  # hashes so near
    chance = ways / 2**64
    print(f"{most:2d} bits: {chance:.1e}, false pairs {chance * N * (N - 1) / 2:.1e}")

# %% tags=["claim"]
ideal = sum(math.comb(64, bits) for bits in range(9)) / 2**64
claim(
    "C02.18b",
    "Within 8 of 64 ideal bits lie over 10^8 pairs among 10^9 strangers; small scenes, which look alike, come that near over 10^5 times as often",
    1.3e8 < ideal * N * (N - 1) / 2 < 1.5e8 and min(strangers) > 1e5 * ideal,
    measured=f"ideal {ideal:.1e} per pair, scenes {min(strangers):.1e} to {max(strangers):.1e}",
)

# %% [markdown]
r"""
Pairs grow with $N^2/2$: what is three in ten billion per pair is over a hundred million pairs. Real pictures are worse than coin tosses, because they look alike. So at scale a hash only proposes; the pixels, or an embedding where the pixels differ, decide.

**Selection before the split.** 60 rows, 5,000 random features, random labels. Choose the 20 features that go best with the
label, then cross-validate a logistic regression. Or choose inside each fold.
"""

# %%
model, select = linear_model.LogisticRegression(), feature_selection.SelectKBest(k=20)
folds = model_selection.cross_val_score  # five
before, inside = [], []
for seed in range(5):
    random = np.random.RandomState(seed)
    noise, toss = random.standard_normal((60, 5000)), random.permutation([0, 1] * 30)
    chosen = select.fit_transform(noise, toss)  # has seen every label
    before.append(folds(model, chosen, toss).mean())
    inside.append(folds(pipeline.make_pipeline(select, model), noise, toss).mean())
print(f"chosen before {np.mean(before):.2f}, inside {np.mean(inside):.2f}")

# %% tags=["claim"]
both = {"chosen before": before, "chosen inside": inside}
fig, ax = dot_plot(
    {"features": both}, xlabel="accuracy on random labels, 5 seeds", chance=0.5
)
show(
    fig, "Chosen before the split, noise is predicted at about 0.9; inside, at chance."
)
claim(
    "C02.4",
    "Selecting features before cross-validation reports over 0.85 on noise; inside the folds it is chance (5 seeds)",
    min(before) > 0.85 and abs(np.mean(inside) - 0.5) < 0.12,
    measured=f"before {min(before):.2f} to {max(before):.2f}, inside {np.mean(inside):.2f} on average",
)

# %% [markdown]
r"""
Nobody copied a row. The *choice* of features has seen the test labels [14]. The same holds for a scaler, a vocabulary, a prompt or a
checkpoint chosen on the test set; only the size of the gain differs.

A third kind is in no row and no split: a *target leak*, a feature that holds the answer or is known only after it, such as a folder named after the class or a caption written from the label. So ask of every feature *when* it is known, and distrust one that predicts nearly everything alone.

**Streams out of step.** A clap is 1, and each stream has noise of deviation 0.3. Claps are detected in video + sound: the highest values are called claps, as many as there are.
"""

# %% tags=["reveal"]
scores = {"video alone": []}
for offset in (0, 1, 3, 7):
    both = scores[f"sound {offset} late"] = []
    for seed in range(3):
        take = sync.record_claps(2000, offset=offset, seed=seed)
        both.append(sync.clap_f1(take.video + take.sound, take.clap))
        if offset == 0:
            scores["video alone"].append(sync.clap_f1(take.video, take.clap))
fig, ax = dot_plot({"claps": scores}, xlabel="F1 of clap detection, one mark per seed")
show(
    fig, "In step both beat the video alone; one frame late they are far worse than it."
)

# %% tags=["claim", "reveal"]
together = {offset: scores[f"sound {offset} late"] for offset in (0, 1, 3, 7)}
alone = scores["video alone"]
takes = [sync.record_claps(2000, offset=7, seed=seed) for seed in range(3)]
found = [sync.find_offset(each.video, each.sound, longest=20) for each in takes]
loud = {}  # how much noise is too much?
for noise in (1, 3):
    noisy = [sync.record_claps(2000, offset=7, seed=s, noise=noise) for s in range(8)]
    lags = [sync.find_offset(each.video, each.sound, longest=20) for each in noisy]
    loud[noise] = lags.count(7)
claim(
    "C02.5",
    "With noise of 0.3 (a clap is 1) cross-correlation finds an offset of 7 frames exactly, and one frame of offset costs over 0.3 of F1 (3 seeds); "
    "in 2,000 frames it is found in most recordings at noise 1, in few at noise 3 (8 seeds)",
    found == [7, 7, 7]
    and min(together[0]) - max(together[1]) > 0.3
    and loud[1] > 5
    and loud[3] < 4,
    measured=f"at noise 1 {loud[1]} of 8 found, at noise 3 {loud[3]}; at 0.3 found {found[0]}, {found[1]}, {found[2]}; F1 aligned at least {min(together[0]):.2f}, one frame off at most {max(together[1]):.2f}",
)
claim(
    "C02.5b",
    "Streams of equal length and rate can be worse together than one alone: out of step they lose to the video (3 seeds)",
    all(max(together[offset]) < min(alone) - 0.2 for offset in (1, 3, 7))
    and min(together[0]) > max(alone) + 0.03,
    measured=f"video alone at least {min(alone):.2f}, off by 1 to 7 frames at most {max(max(together[o]) for o in (1, 3, 7)):.2f}",
    answer="far worse",
)

# %% [markdown]
r"""
These events last one frame, the worst case; speech changes more slowly and forgives more. And a fixed sum cannot adapt: a
model that sees a window of frames could learn one constant offset, but none that changes from recording to recording. The shapes were right all the time.

**Explore: a lag.** At which lag do the peaks meet, and how much is lost one frame beside it?
"""

# %%
alt = "Video and sound seven frames apart; the correlation has one sharp peak at lag 7."
explore(draw_lag, alt=alt, lag=(-15, 15))

# %% [markdown]
r"""
**Wrong captions.** Scenes and their captions, 4,000 pairs; in half of them the captions were exchanged. Two small towers learn by
contrast: in a batch each image has to find its caption among 128, and each caption its image (the loss is cross-entropy over 14.3 times the cosines). Can the *same* model then say which of its own training pairs are wrong? Score them by cosine, keep the
better half, and train a fresh model on it.

A fair comparison needs three things. A network first learns what most pairs agree on, later the wrong pairs by heart, so **each arm stops where 300 held-out pairs are found best** (clean ones, as one checks a few hundred by hand; wrong ones among them lower the whole curve and hardly move its top). What the scorer has spent counts: **each arm has 300 steps in all**. And half the data alone may do something: **a random half** is the control.
"""

# %%
from course_lib.training.noisy_pairs import exchange_captions, train_towers

validation, unseen = scene_pairs(300, seed=998), scene_pairs(300, seed=999)
names = ["all, half wrong", "random half", "better half", "all, none wrong"]
recall, arms, shares = {name: [] for name in names}, [], []
bet("C02.6", "All reach a recall of 0.5. The better half?", ["0.3", "0.5", "0.8"])

# %%
for seed in range(3):
    clean = scene_pairs(4000, seed=seed)
    noisy, wrong = exchange_captions(clean, share=0.5, seed=seed)
    everything = train_towers(noisy, validation, steps=300, seed=seed)
    left = 300 - everything.step  # scoring has cost this arm some of its steps
    half = np.random.RandomState(seed).permutation(4000)[:2000]
    better = everything.best.score(noisy).topk(2000).indices
    runs = [everything]
    for rows, steps in ((half, 300), (better, left)):
        chosen = ScenePairs(noisy.image[rows], noisy.text[rows])
        runs.append(train_towers(chosen, validation, steps=steps, seed=seed))
    runs.append(train_towers(clean, validation, steps=300, seed=seed))
    arms.append(runs)
    late = everything.last.score(noisy).topk(2000).indices  # past its best
    three = (better, late, half)
    shares.append([(~wrong[rows]).double().mean().item() for rows in three])
print(len(arms), "seeds,", len(names), "arms each")

# %% tags=["claim", "reveal"]
for runs in arms:
    for name, run in zip(names, runs, strict=True):
        recall[name].append(run.best.recall_at_1(unseen))
text = "recall at 1 among 300 unseen captions, 3 seeds (chance 0.003)"
fig, ax = dot_plot({"trained on": recall}, xlabel=text)
show(fig, "The better half lifts recall far above everything; a random half lowers it.")
fig, ax = plt.subplots(figsize=(6.2, 2.2), layout="constrained")
for number, name in enumerate(names):
    run = arms[0][number]
    ax.plot(
        run.steps,
        run.curve,
        marker=MARKERS[number],
        color=COLOURS[number],
        markersize=4,
        label=name,
    )
ax.set(xlabel="steps of this model", ylabel="validation recall", title="seed 0")
fig.legend(loc="outside right center", fontsize=8)
show(
    fig,
    "With wrong captions recall rises, turns and falls; on clean or filtered pairs it stays high.",
)
early, late, at_random = zip(*shares, strict=True)
rises = [
    b - a for a, b in zip(recall["all, half wrong"], recall["better half"], strict=True)
]
claim(
    "C02.6",
    "With half of the captions wrong, keeping the half the model itself scores best lifts recall at 1 by over 0.15, each arm at its own best of 300 steps, scoring included (3 seeds)",
    min(rises) > 0.15
    and min(early) > 0.78
    and max(at_random) < 0.55
    and min(recall["random half"]) > 0.1
    and max(recall["random half"]) < min(recall["all, half wrong"]),
    measured=", ".join(
        f"{name} {min(v):.2f} to {max(v):.2f}" for name, v in recall.items()
    )
    + f"; right among the kept {min(early):.0%} to {max(early):.0%}, at random {min(at_random):.0%} to {max(at_random):.0%}",
    answer="0.8",
)
claim(
    "C02.6b",
    "A scorer that trains on past its best step memorises wrong pairs, and keeps at least 5 points more of them (3 seeds)",
    min(a - b for a, b in zip(early, late, strict=True)) > 0.05,
    measured=f"right among the kept: {min(early):.0%} to {max(early):.0%} at its best step, {min(late):.0%} to {max(late):.0%} at step 300",
)

# %% [markdown]
r"""
Half the pairs kept at random would be 50 % right. (Half is kept because half is known to be wrong; in life that share is found on small runs.)
It works because the model learns what *many* pairs agree on before it
learns exceptions by heart. So score early, or with a model trained elsewhere. Web filters do the latter: LAION-5B (its English part)
and DataComp score with OpenAI's CLIP [7, 8]. What such a filter dislikes goes, wrong or not: other languages, rare objects, captions
that say what is not visible. And it likes images in which the caption is written out [21].
"""

# %% [markdown]
r"""
## 2.7 Wrong answers people give

Say for each *why* it is wrong, before you read on.

> **"Normalise both modalities, then their distributions match and they can be compared."**

It sounds right because scales *must* match for many operations. But mean 0 and deviation 1 say nothing about which image belongs to
which text [19]. The folded claim brings both to 32 principal components, z-scores each, and compares by cosine. Are two separate bases to blame? Then one linear map between them should mend it. A map fitted on 1,000 pairs does. The same map fitted on the same rows, shuffled, does not. So the
information was there, and the pairs were missing.

They need not be pairs of *these* two: ImageBind ties text, sound, depth, heat and motion each to images, and sound then meets text without one common pair [25].
"""

# %% tags=["claim"]
from sklearn.decomposition import PCA


def standardised(seed):
    """Image and text of 1,000 known and 300 unseen pairs, 32 standardised components each."""
    views = []
    for known, new in zip(scene_pairs(1000, seed=seed), unseen, strict=True):
        pca = PCA(32, random_state=0).fit(known.numpy())
        known, new = (
            torch.from_numpy(pca.transform(r.numpy())).double() for r in (known, new)
        )
        scaler = fit_scaler(known, "z-score")
        views.append((scaler.apply(known), scaler.apply(new)))
    return views


def found_at_1(image, text):
    cosine = (
        nn.functional.normalize(image, dim=-1) @ nn.functional.normalize(text, dim=-1).T
    )
    return (cosine.argmax(dim=1) == torch.arange(len(image))).double().mean().item()


reached = {"no map": [], "map from pairs": [], "map from shuffled pairs": []}
for seed in range(3):
    (image, new_image), (text, new_text) = standardised(seed)
    shuffle = torch.randperm(1000, generator=torch.Generator().manual_seed(seed))
    ridge = image.T @ image + 10 * torch.eye(32, dtype=torch.float64)
    maps = [torch.eye(32, dtype=torch.float64)]
    maps += [
        torch.linalg.solve(ridge, image.T @ each) for each in (text, text[shuffle])
    ]
    for scores, linear in zip(reached.values(), maps, strict=True):
        scores.append(found_at_1(new_image @ linear, new_text))
reached["towers from pairs"] = recall["all, none wrong"]
fig, ax = dot_plot(
    {"features": reached}, xlabel="recall at 1 among 300 (chance 0.003), 3 seeds"
)
show(
    fig,
    "Without pairs or with shuffled ones chance; a linear map from pairs about 0.4; towers above 0.85.",
)
claim(
    "C02.2",
    "Standardised image and text features retrieve at chance, 1 in 300; a linear map from 1,000 pairs brings over 0.25, the same map from shuffled pairs chance, towers trained on pairs over 0.85 (3 seeds)",
    max(reached["no map"] + reached["map from shuffled pairs"]) < 0.03
    and min(reached["map from pairs"]) > 0.25
    and min(reached["towers from pairs"]) > 0.85,
    measured=", ".join(
        f"{name} {min(v):.3f} to {max(v):.3f}" for name, v in reached.items()
    ),
)

# %% [markdown]
r"""
> **"Standardising removes outliers and reduces diversity; scaling loses information."**

It sounds right because everything ends up "in a small range". But the outlier *sets* the scale (C02.1b), it stays an outlier, and an
affine map can be undone up to rounding (C02.15). Information goes only where the result is rounded coarsely: min-max to 8 bits with an
outlier puts all other values on a few levels. What scaling does not do is clean.

> **"Before training I reduce the dimension with PCA or t-SNE."**

It sounds right because both make few columns of many. PCA is a linear map: fit it on training data, apply it to new rows, at a price
(directions of small variance go, relevant or not). Plain t-SNE moves *these* points over a page until their neighbourhoods fit. It defines no function, so a new row has no place until something is added: a network that is
trained to place rows (parametric t-SNE), or a search for a place among fixed points, as openTSNE's `transform` does [20]. And its distances between groups need not mean anything: they follow the *perplexity* (roughly, how many neighbours a point tries to keep), wherever it starts. The folded claim draws three groups, the third ten times as far from the first as the second is. A large model
needs neither: it reads patches and tokens.
"""

# %% tags=["claim"]
from sklearn.manifold import TSNE


def far_over_near(points):
    centre = points.reshape(3, 60, -1).mean(axis=1)
    far, near = (
        np.linalg.norm(centre[2] - centre[0]),
        np.linalg.norm(centre[1] - centre[0]),
    )
    return float(far / near)


groups = [
    np.random.RandomState(shift).standard_normal((60, 10)) + shift
    for shift in (0, 20, 200)
]
groups = np.concatenate(groups)
flat = PCA(2).fit_transform(groups)
pictures = []
STARTS = (("random", 0), ("random", 1), ("random", 2), ("pca", 0))
for init, seed, perplexity in [*((*start, 20) for start in STARTS), ("pca", 0, 150)]:
    tsne = TSNE(2, perplexity=perplexity, max_iter=500, init=init, random_state=seed)
    pictures.append(tsne.fit_transform(groups))
*ratios, wide = [far_over_near(points) for points in pictures]
claim(
    "C02.11",
    "PCA keeps a distance ratio of 10 and maps new rows; t-SNE at perplexity 20 of 180 points, from 3 random starts and from PCA, shows under 3, at perplexity 150 over 4, and scikit-learn's has no transform",
    abs(far_over_near(flat) - 10) < 0.2
    and max(ratios) < 3
    and wide > 4
    and hasattr(PCA, "transform")
    and not hasattr(TSNE, "transform"),
    measured=f"true {far_over_near(groups):.2f}, PCA {far_over_near(flat):.2f}, t-SNE {min(ratios):.2f} to {max(ratios):.2f}, at 150 {wide:.2f}",
)

# %% [markdown]
r"""
> **"Cutting the data set into chunks makes training faster."**

It sounds right because something smaller is handled at a time. Shards bound memory and make reading sequential; the arithmetic of
an epoch is the same. The folded claim writes 640 rows into eight shards. Two processes read four each, one at a time, and add up their gradients. The hour gets shorter because two work, or because the accelerator had waited for the disk; not because of the cut. (Chunking a *sequence*, a long text or sound into windows, is another operation: it changes what the model
can see.)
"""

# %% tags=["claim"]
from course_lib.models.heads import mlp

torch.manual_seed(0)
model = mlp(12, 3).double()
inputs, labels = torch.randn(640, 12, dtype=torch.float64), torch.randint(0, 3, (640,))


def gradient(x, y):
    loss = nn.functional.cross_entropy(model(x), y, reduction="sum")
    return torch.cat(
        [g.flatten() for g in torch.autograd.grad(loss, tuple(model.parameters()))]
    )


with tempfile.TemporaryDirectory() as folder:
    rows = [
        {"x": x.numpy().tobytes(), "y": bytes([y])}
        for x, y in zip(inputs, labels.tolist(), strict=True)
    ]
    files, total, computed, held = write_shards(folder, rows, per_shard=80), 0, 0, 0
    for rank in range(2):
        for file in own_share(files, rank=rank, processes=2, worker=0, workers=1):
            shard = list(read_shard(file))
            x = torch.tensor(np.stack([np.frombuffer(row["x"]) for row in shard]))
            total = total + gradient(x, torch.tensor([row["y"][0] for row in shard]))
            computed, held = computed + len(shard), max(held, len(shard))
whole = gradient(inputs, labels)
error = ((total - whole).norm() / whole.norm()).item()
claim(
    "C02.9",
    "Read from eight shards by two processes, gradients add up to the gradient of everything: all 640 rows are computed either way, an eighth is held at a time",
    error < 1e-12 and (len(files), computed, held) == (8, 640, 80),
    measured=f"{computed} rows computed, {held} held, relative error {error:.0e}",
)

# %% [markdown]
r"""
> **"Same caption, same pair: I drop duplicates by text."**

It sounds right because text is cheap to compare. The folded claim draws 1,000 scenes with one object.
"""

# %% tags=["claim"]
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

**A billion pairs.** Say 50 kB an image, shards of 1 GB, 128 hashes of 4 bytes, an embedding of 768 numbers in bf16.
"""

# %%
print(f"images           {N * 50e3 / 1e12:6,.1f} TB in {N * 50e3 / 1e9:,.0f} shards")
print(f"MinHash          {N * 128 * 4 / 1e12:6,.1f} TB")
print(f"embeddings       {N * 768 * 2 / 1e12:6,.1f} TB")
print(f"perceptual hash  {N * 8 / 1e12:8,.3f} TB")
print(f"all pairs at 10^9 a second {N * N / 2 / 1e9 / 3.15e7:,.0f} years")
print(f"reading, 64 readers of 1 GB/s {N * 50e3 / 1e9 / 64 / 3600:,.1f} hours")

# %% [markdown]
r"""
So nobody compares all pairs: bands for texts, lookups for 64-bit hashes, and clusters of embeddings inside which pairs are compared
[17]. A run that resumes needs the position in every stream, or an order that is a function of (seed, step), as in
`course_lib.training`.

**What does a filter cost?** Reading is cheap beside decoding and scoring. Say one CPU core decodes and shrinks 200 photographs of 640 × 480 a second (time yours), and a CLIP with a ViT-L/14 scores them: 24 layers of width 1,024 over 257 tokens. A layer has $12 d^2$ weights, four $d^2$ for attention and eight for the MLP. A weight
costs two operations per token, a multiplication and an addition. (Attention scores and the text tower add about an eighth.) An A100 does $312 \cdot 10^{12}$ operations a second in bf16 [26]; say 40 % of that is reached.
"""

# %%
layer = 12 * 1024**2
flop = 2 * 24 * layer * 257
rate = 0.4 * 312e12 / flop  # images a second
print(f"scoring: {flop / 1e9:.0f} GFLOP an image, {rate:.0f} images a second")
print(f"         {N / rate / 3600:,.0f} GPU hours")
print(f"decoding: {N / 200 / 3600:,.0f} core hours")
bet("C02.16", "What fills over 90 %?", ["sorted batches", "packing", "both"])

# %% [markdown]
r"""
So it takes four cores just to feed one GPU, and with a smaller scorer the loader is the bottleneck. Twice the side of the image is four times the tokens.

**Interleaved documents.** Web pages give sequences of text and images of very different length. Padded to the longest of a
random batch much of the work is on padding, the more the larger the batch. Two ideas: batches of documents of *similar length*, which are
no longer random samples, or *packing* several into one sequence, with an attention mask that keeps them apart (2.11). The bet above is about these two. The lengths here are made up, many short and few long.
"""

# %% tags=["reveal"]
from course_lib.data import packing

uniform = torch.rand(512, generator=torch.Generator().manual_seed(4))
lengths = (50 + 1990 * uniform**3).long()  # tokens; many short, few long
for name, batch in (("random", lengths), ("sorted", lengths.sort().values)):
    longest = batch.reshape(-1, 8).amax(dim=1)  # of each batch of 8
    print(f"{name} batches of 8: {lengths.sum() / (8 * longest.sum()):.0%} real tokens")
packed = packing.first_fit(lengths.tolist(), capacity=2048)
full = packing.full_share(lengths.tolist(), len(packed), 2048)
print(f"packed to 2,048: {full:.0%}")

# %% tags=["claim", "reveal"]
of = {}
for name, batch, size in (
    ("batches of 8", lengths, 8),
    ("one batch", lengths, 512),
    ("sorted", lengths.sort().values, 8),
):
    of[name] = (
        lengths.sum() / (size * batch.reshape(-1, size).amax(dim=1).sum())
    ).item()
claim(
    "C02.16",
    "Padded to the longest in random batches of 8, under half of the tokens are real, in one batch of 512 under a third; in batches of 8 "
    "sorted by length over 90 % are, and packed to 2,048 tokens as well",
    of["batches of 8"] < 0.5
    and of["one batch"] < 1 / 3
    and min(of["sorted"], full) > 0.9,
    measured=", ".join(f"{name} {share:.0%}" for name, share in of.items())
    + f", packed {full:.0%} in {len(packed)} sequences",
    answer="both",
)

# %% [markdown]
r"""
## 2.9 Look inside: whom does the filter throw away?

A filter is a model with an opinion. The towers of 2.6 that learnt from *clean* scenes with two or three objects score new pairs, all of
them **correct**. The threshold is set so that a quarter of the ordinary pairs goes. Two more kinds: scenes with a colour and shape
that never stood together in training, and scenes with a single object.
"""

# %%
KINDS = {
    "ordinary": {"objects": (2, 3)},
    "new combination": {"objects": (2, 3), "split": "test"},
    "one object": {"objects": (1, 1)},
}
bet("C02.17", "Dropped of the new kinds?", ["25 %, 25 %", "half, half", "half, all"])

# %% tags=["reveal"]
dropped = {name: [] for name in KINDS}
for seed, runs in enumerate(arms):
    for name, kind in KINDS.items():
        pairs = scene_pairs(1000, seed=500 + seed, **kind)
        score = runs[3].best.score(pairs)  # trained on clean pairs
        if name == "ordinary":
            threshold = score.quantile(0.25)
        dropped[name].append((score < threshold).double().mean().item())
fig, ax = dot_plot({"pairs": dropped}, xlabel="share of correct pairs dropped")
show(fig, "A quarter of ordinary pairs, half of new combinations, all single objects.")

# %% tags=["claim", "reveal"]


def trained_on_all_kinds(seed):
    parts = [scene_pairs(700, seed=seed, **kind) for kind in KINDS.values()]
    known = ScenePairs(*(torch.cat(each) for each in zip(*parts, strict=True)))
    return train_towers(known, validation, steps=300, seed=seed).best


control = {name: [] for name in KINDS}  # share dropped by a filter that knows them
for seed in range(3):
    towers = trained_on_all_kinds(seed)
    for name, kind in KINDS.items():
        score = towers.score(scene_pairs(1000, seed=500 + seed, **kind))
        if name == "ordinary":
            threshold = score.quantile(0.25)
        control[name].append((score < threshold).double().mean().item())
claim(
    "C02.17",
    "A filter that drops 25 % of ordinary correct pairs drops over 35 % of new combinations, over 90 % of an unseen kind; one that was trained on all three kinds drops under 35 % of either (3 seeds)",
    min(dropped["new combination"]) > 0.35
    and min(dropped["one object"]) > 0.9
    and max(control["new combination"] + control["one object"]) < 0.35,
    measured=", ".join(
        f"{name} {min(v):.0%} to {max(v):.0%}" for name, v in dropped.items()
    )
    + "; trained on all kinds "
    + ", ".join(f"{name} {min(v):.0%} to {max(v):.0%}" for name, v in control.items()),
    answer="half, all",
)

# %% [markdown]
r"""
A low score means "unlike what I was trained on" as much as "wrong": towers trained on all three kinds drop no more of the new two. So a filter is audited by kind: language, length, source, rare
object. On DataComp's pool CLIP's score dropped pictures of some groups of people more often than of others [24]. A filter before the
split cleans the test part, too; then the reported number holds for filtered data. And it is one of several, beside text rules, safety and privacy filters and licences, each of which logs what it dropped and why [22].

## 2.10 Your own COCO

The course ships no large collection and downloads none. It reads them as published: COCO captions, Flickr8k, Flickr30k, VQA v2. Here is a
COCO of seven photographs in the published layout; with the real one only the folder's name changes. Records become a `Dataset` that
`fit` takes, and `groups` goes to `split_by_group`.
"""

# %%
import tempfile

from course_lib.data import annotations, collections, miniature, records

with tempfile.TemporaryDirectory() as folder:
    file = miniature.write_coco(folder, photos, split="val2017")
    found = collections.load_coco_captions(folder, "val2017")
    data = records.PictureDataset(found, size=64, encode=lambda record: {})
    print(len(data), "records", tuple(data[0]["image"].shape), data.groups)
    file.write_bytes(file.read_bytes()[:-300])  # as when a download stops
    try:
        collections.load_coco_captions(folder, "val2017")
    except annotations.CollectionError as error:
        print(str(error).replace(folder, "FOLDER").replace("\\", "/"))

# %% [markdown]
r"""
Each way to go wrong has its own message: no folder, a folder one level off, an archive still packed, a cut-off file, another file of the
same collection, captions without their image. VQA v2 comes with ten answers per question; `course_lib.metrics.answers.soft_accuracy` gives $\min(n/3, 1)$ averaged over leaving out one
person.

| collection | what it holds | unit to split by | terms |
| --- | --- | --- | --- |
| COCO [1, 2] | 2017: 118 k + 5 k images; boxes, masks, keypoints, 5 captions an image | image | annotations CC BY 4.0, images Flickr's terms |
| Flickr8k [3], Flickr30k [4] | 8,000 and 31,783 images, 5 captions each, no classes | image | research and education |
| VQA v2 [5, 6] | 443,757 + 214,354 questions on COCO 2014 images, 10 answers each, in pairs of similar images; 447,793 test questions without answers | image | annotations CC BY 4.0 |
| LAION-5B [7], DataComp [8] | 5.85 and 12.8 billion links with alt texts | duplicate group, domain | links only, images of their owners; LAION-5B taken down in 2023, back without known illegal links as Re-LAION-5B in 2024 |
| OBELICS [9] | 141 million web pages, 353 million images, interleaved | page, domain | images of their owners |
| AudioSet [10], HowTo100M [11] | links to sound events; to narrated videos | source video | links only |

## 2.11 Going deeper

Each part stands alone; none is needed for the 60-second answer.

**Contamination, by name.** The same photograph can stand in several collections. COCO was cut twice: 2014 into 82,783 training and 40,504 validation images, 2017 the *same* 123,287 images into 118,287 and 5,000 [1]. VQA v2's validation questions are about the 40,504. So whoever trains on captions of `train2017` has seen at least
$40{,}504 - 5{,}000 = 35{,}504$ of them, 88 %, and no score on that split means what it seems to. Karpathy's split moves 30,504 of the 40,504 into training, too [4]. To find out:

- *ids*: `COCO_val2014_000000391895.jpg` and `000000391895.jpg` are one image, 391895; compare numbers, not file names;
- *content*: hashes, and embeddings for crops and mirrors, since copies on the web have no ids;
- *text*: questions and answers by long runs of words; GPT-3 took 8 to 13 words, by benchmark [28];
- report the score with and without the hits, and name the benchmarks that were searched.

**A shuffle buffer is not a shuffle.** A reader of shards goes from front to back. It holds $B$ examples; a random one leaves, the next of the stream takes its place. A place is emptied with probability $1/B$ at each step, so an example waits $B$ steps on average: two thirds of a batch came in during the last $B$ steps, 95 % during the last $3B$. Here are 100 sorted shards of 100 examples, each shard from a source of its own. With a true shuffle a batch of 64 holds $100\,(1 - 0.99^{64}) \approx 47$ sources.
"""

# %%
from course_lib.data.shards import shuffled

for buffer in (1, 100, 1000, 3000, 10_000):
    served = list(shuffled(range(10_000), buffer=buffer, seed=0))
    sources = {example // 100 for example in served[5000:5064]}
    print(f"buffer {buffer:6,}: {len(sources)} sources in a batch of 64")

# %% tags=["claim"]
from sklearn.datasets import load_digits


def mixing(order):
    """Sources in a batch of 64 on average, and correlation of the new place with the old."""
    order = np.array(order)
    batches = order[:9984].reshape(-1, 64) // 100
    return np.mean([len(set(batch)) for batch in batches]), np.corrcoef(
        np.arange(10_000), order
    )[0, 1]


BUFFERS = (1, 10, 100, 300, 1000, 3000, 10_000)
mixed = {"sorted shards": [], "list of shards shuffled": []}
for buffer in BUFFERS:
    mixed["sorted shards"].append(
        mixing(list(shuffled(range(10_000), buffer=buffer, seed=0)))
    )
    lists = []
    for seed in range(5):
        listed = np.random.RandomState(seed).permutation(100)
        stream = (100 * listed[:, None] + np.arange(100)).flatten().tolist()
        lists.append(mixing(list(shuffled(stream, buffer=buffer, seed=seed))))
    mixed["list of shards shuffled"].append(np.mean(lists, axis=0))
uniform = 100 * (1 - 0.99**64)
fig, axes = plt.subplots(1, 2, figsize=(6, 2.1), layout="constrained")
for number, (name, values) in enumerate(mixed.items()):
    style = {
        "marker": MARKERS[number],
        "color": COLOURS[number],
        "linestyle": ["-", "--"][number],
    }
    axes[0].plot(BUFFERS, [sources for sources, _ in values], label=name, **style)
    axes[1].plot(BUFFERS, [trend for _, trend in values], **style)
axes[0].axhline(uniform, color="grey", linestyle=":", label="true shuffle")
axes[1].axhline(0, color="grey", linestyle=":")
axes[0].set(xscale="log", xlabel="buffer, examples", ylabel="sources in a batch")
axes[1].set(xscale="log", xlabel="buffer, examples", ylabel="order left")
axes[0].legend(fontsize=8)
show(
    fig,
    "Left, a batch of 64 is mixed only with a buffer near the size of the data. Right, the correlation of new and old place: it goes if the list of shards is shuffled.",
)
sources, trend = np.array(mixed["sorted shards"]).T
calm = np.array(mixed["list of shards shuffled"])[:, 1]
claim(
    "C02.20",
    "A buffer of a tenth of the sorted data leaves batches with half of the sources of a true shuffle and a trend of over 0.9 "
    "over the epoch; shuffling the list of shards removes the trend and mixes no batch better",
    sources[4] < 0.55 * uniform
    and trend[4] > 0.9
    and np.abs(calm).max() < 0.15
    and abs(mixed["list of shards shuffled"][4][0] - sources[4]) < 1,
    measured=f"{sources[4]:.1f} sources instead of {uniform:.1f}, correlation {trend[4]:.2f}; list shuffled at most {np.abs(calm).max():.2f}",
)

table = load_digits()
images, digit = torch.tensor(table.data / 16).float(), torch.tensor(table.target)


def one_pass(buffer, seed, rate):
    """Accuracy on 400 digits after one pass over 1,397 that are sorted by class."""
    order = torch.randperm(1797, generator=torch.Generator().manual_seed(seed))
    test, train = order[:400], order[400:][digit[order[400:]].argsort(stable=True)]
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), rate)
    served = torch.tensor(list(shuffled(train.tolist(), buffer=buffer, seed=seed)))
    for batch in served.split(16):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[batch]), digit[batch]).backward()
        optimizer.step()
    return (model(images[test]).argmax(dim=1) == digit[test]).double().mean().item()


passed = {}
for buffer in (1, 150, 1397):  # each at its own best learning rate
    tried = [
        [one_pass(buffer, seed, r) for seed in range(5)] for r in (1e-3, 3e-3, 1e-2)
    ]
    passed[buffer] = max(tried, key=np.mean)
claim(
    "C02.20b",
    "One pass over digits sorted by class gets under 0.45 on average, without a buffer and with one of a tenth of the data; with all data in the buffer over 0.8, each at the best of 3 learning rates (5 seeds; chance 0.1)",
    max(np.mean(passed[1]), np.mean(passed[150])) < 0.45 and min(passed[1397]) > 0.8,
    measured="; ".join(
        f"buffer {buffer}: {min(v):.2f} to {max(v):.2f}" for buffer, v in passed.items()
    ),
)

# %% [markdown]
r"""
So write shards in random order once, before training: then a modest buffer is enough. Where that is impossible, shuffle the list of shards anew every epoch *and* read several at a time. A buffer alone mixes neighbours.

**A packed batch** puts several documents into one sequence. Four things must be right, and none of them raises an error if it is not. (1) *The mask*: a token reads its own document only. (2) *Positions* start at 0 in each document; learned absolute positions need that, rotary ones depend on differences and get it from the mask. (3) *The loss mask*: with a chat template only
the answer is learnt, label -100 elsewhere. (4) *The seam*: the loss compares the logits of place $t - 1$ with the label of place $t$, so the first token of a document would be predicted from the document before. Its label is -100.

Three documents of 4, 1 and 4 tokens and three places of padding, each a document of its own:
"""

# %%
owner = torch.tensor([0, 0, 0, 0, 1, 2, 2, 2, 2, 3, 4, 5])  # document of each place
causal = torch.ones(12, 12).bool().tril()
for row in (causal & (owner[:, None] == owner)).int().tolist():
    print(*row)

# %% tags=["claim"]
generator = torch.Generator().manual_seed(5)
embed, place, head = (
    torch.randn(*shape, generator=generator) for shape in ((10, 16), (12, 16), (16, 10))
)
tokens = torch.randint(0, 10, (12,), generator=generator)
sizes = (4, 1, 4)
restart = torch.cat([torch.arange(size) for size in (*sizes, 1, 1, 1)])


def attend(ids, positions, mask):
    x = 0.5 * (embed[ids] + place[positions])[None]
    return (
        nn.functional.scaled_dot_product_attention(x, x, x, attn_mask=mask)[0] @ head
    ).softmax(-1)


alone = []
for own in tokens[:9].split(sizes):
    seen = torch.ones(len(own), len(own)).bool().tril()
    alone.append(attend(own, torch.arange(len(own)), seen))
alone = torch.cat(alone)
block = causal & (owner[:, None] == owner)
moved = {
    "block mask, positions restart": attend(tokens, restart, block),
    "positions run on": attend(tokens, torch.arange(12), block),
    "causal mask only": attend(tokens, restart, causal),
}
moved = {name: (p[:9] - alone).abs().max().item() for name, p in moved.items()}
claim(
    "C02.21",
    "With block mask and positions from 0 a packed document gets the probabilities that it gets alone; without either they move by over 0.1",
    moved.pop("block mask, positions restart") < 1e-5 and min(moved.values()) > 0.1,
    measured=", ".join(f"{name} {value:.2f}" for name, value in moved.items()),
)

# %% [markdown]
r"""
The test to keep: *changing one document must not change another's outputs* [27]. A dense mask saves no arithmetic; kernels that take the lengths of the documents skip the empty blocks, and attention then costs $\sum n_i^2$ instead of $(\sum n_i)^2$.

### Exercise 02.4 · packed_batch ●●● 20 minutes · more

`documents` is a list of pairs `(ids, learn)`: an int64 tensor `(n,)` and a bool tensor `(n,)`, n of 1 or more, any n tokens (0 is a token, too). Return the tuple `(ids, positions, labels, mask)` of one sequence with `length` places: three int64 tensors `(length,)` and a bool tensor `(length, length)`.
The documents stand behind each other in their order, then comes padding: id 0, position 0, label -100. Positions start at 0 in each document. `labels[t]` is the token of place t where `learn` is True, else -100 (not shifted: the loss shifts); the first token of each document is always -100.
`mask[q, k]` is True where both places are of one document and k ≤ q; a place of padding reads itself and nothing else, so that no softmax is empty. More tokens than places: ValueError. An empty list gives padding only.
"""


# %% tags=["exercise"]
def packed_batch(documents, length):
    """[((n,), (n,)), ...] -> ids, positions, labels, mask of one sequence."""
    raise NotImplementedError


check(exercise.packed_batch, packed_batch)
hint(exercise.packed_batch)

# %% [markdown]
r"""
**Recaptioning, mixing, resolution.** *Recaptioning* replaces a poor alt text by a model's caption. It keeps the image that a filter would drop, and loses names and knowledge that only the author had; so both texts are kept and mixed. *Mixture weights* say how often a source is drawn. A source of $n$ tokens with share $w$ of $T$ training tokens is
seen $wT/n$ times: watch that number before the weight. *Resolution* multiplies tokens by the square of the side; it is a budget to be split between sharper images and more of them.

## 2.12 The 60-second answer

"I go from the file to the batch. Clean: drop what is broken, mark what is missing, with
a reason each. Find near-duplicates, MinHash for texts and perceptual hashes for images, because they make groups. Split by group,
never by row: with a copy on the other side even random labels are 'predicted'. Every statistic, mean, vocabulary, selected feature, is
fitted on the training part only. Scaling makes numbers comparable, not meanings; modalities are aligned by pairs, of the two or of
each with a third. So pairs are the thing to protect: one order for both halves, streams shifted to a common clock, wrong captions filtered by their own image-text score.
At scale the data lie in shards; each shard has one reader, and means and deviations are merged, not averaged. A hash threshold is a trade of recall and precision, and a billion pictures have enough pairs to make every rare accident common. What leaks: copies
across the split, statistics and selection done before it, features that are known only after the answer, and time."

## 2.13 Questions

Cover the answers, say yours aloud, compare. Each key point names the claim above that proves it, or a source.
"""

# %%
show_questions("02")
bets("02")

# %% [markdown]
r"""
## 2.14 Card

- **Formula**: z-score $(x-\mu)/\sigma$ · robust $(x-\text{median})/\text{IQR}$ · merge $S = S_a + S_b + d^2 n_a n_b/n$ · MinHash
  $P(\text{agree}) = J$, bands $1-(1-J^r)^b$ · offset $\arg\max_k \mathrm{corr}(a_t, b_{t+k})$ · leak when each is stored $c$ times $1 - \tfrac12(\tfrac14)^{c-1}$.
- **Shapes**: rows (B, D) → 2 numbers per feature; text → K = 128 hashes; image → 64 bits; pair → one index for both halves.
- **Cost**: one pass for moments; N · K hashes instead of N²/2 comparisons; 2 · weights · tokens operations to score; sharding changes memory and reading, not FLOPs.
- **Do** split by group, fit every statistic on the training part, keep pairs in one record, measure offsets, compare filters at equal steps and each at its best, audit every filter by kind.
- **Do not** split rows that share an image, select features before the split, fill gaps without a mark, drop pairs by caption alone, or
  take equal shapes for synchrony.
"""

# %% [markdown]
r"""
## 2.15 Sources

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
20. van der Maaten, Hinton (2008), *Visualizing Data using t-SNE*, [JMLR 9](https://jmlr.org/papers/v9/vandermaaten08a.html); van der Maaten (2009), *Learning a Parametric
    Embedding by Preserving Local Structure*, [PMLR 5](https://proceedings.mlr.press/v5/maaten09a.html); [openTSNE](https://opentsne.readthedocs.io/en/stable/); Kobak, Linderman
    (2021), [doi:10.1038/s41587-020-00809-z](https://doi.org/10.1038/s41587-020-00809-z): the start decides how much of the global structure is kept.
21. Maini et al. (2023), *T-MARS*, [arXiv:2307.03132](https://arxiv.org/abs/2307.03132): image-text scores reward text inside the image.
22. Gebru et al. (2018), *Datasheets for Datasets*, [arXiv:1803.09010](https://arxiv.org/abs/1803.09010): what to write down about a set.
23. [WebDataset](https://webdataset.github.io/webdataset): names of files in shards, a share per node and worker.
24. Hong et al. (2024), *Who's in and who's out? A case study of multimodal CLIP-filtering in DataComp*, [arXiv:2405.08209](https://arxiv.org/abs/2405.08209).
25. Girdhar et al. (2023), *ImageBind: One Embedding Space To Bind Them All*, [arXiv:2305.05665](https://arxiv.org/abs/2305.05665): six modalities, each paired with images only.
26. NVIDIA, [A100 datasheet](https://www.nvidia.com/en-us/data-center/a100/): 312 TFLOPS in bf16, dense.
27. Krell et al. (2021), *Efficient Sequence Packing without Cross-contamination*, [arXiv:2107.02027](https://arxiv.org/abs/2107.02027): masks and positions of packed sequences.
28. Brown et al. (2020), *Language Models are Few-Shot Learners*, [arXiv:2005.14165](https://arxiv.org/abs/2005.14165), appendix C: overlap by runs of 8 to 13 words (the 5th percentile of a benchmark's lengths), scores on what is left.

## 2.16 Worked solutions
"""


# %% tags=["solution"]
def welford(shards):
    count, mean, deviations = 0, 0.0, 0.0
    for shard in filter(len, shards):
        step, total = shard.mean() - mean, count + len(shard)
        deviations += (shard - shard.mean()).square().sum() + step**2 * count * len(
            shard
        ) / total
        mean, count = mean + step * len(shard) / total, total
    return float(mean), float((deviations / count) ** 0.5)


check(exercise.welford, welford, solution=True)


# %% tags=["solution"]
def group_split(groups, share, seed):
    names = list(dict.fromkeys(groups))
    order = torch.randperm(
        len(names), generator=torch.Generator().manual_seed(seed)
    ).tolist()
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
def packed_batch(documents, length):
    used = sum(len(own) for own, _ in documents)
    if used > length:
        raise ValueError(f"{used} tokens do not fit in {length} places")
    ids, positions = torch.zeros(2, length, dtype=torch.int64)
    labels, owner = torch.full((length,), -100), -1 - torch.arange(length)
    start = 0
    for number, (own, learn) in enumerate(documents):
        here = slice(start, start + len(own))
        ids[here], positions[here], owner[here] = own, torch.arange(len(own)), number
        labels[here] = torch.where(learn, own, -100)
        labels[start] = -100  # the place before it belongs to another document
        start += len(own)
    causal = torch.ones(length, length).bool().tril()
    return ids, positions, labels, causal & (owner[:, None] == owner)


check(exercise.packed_batch, packed_batch, solution=True)

# %% [markdown]
r"""
*Lessons:* [start page](00_start_here.ipynb) · previous: 01 · What multimodal means (planned) · next: 03 · Augmentation that keeps the pair true (planned), then [07 · Fusing modalities](07_fusing_modalities.ipynb)
"""
