# %% [markdown] tags=["second-form"]
r"""
# 31 · Broken-code clinic and a tiny vision-language model

You will be able to find the bug that raises no error, and to defend a vision-language model that you trained yourself.

*65 minutes · two hours more for the whole clinic · needs [lesson 09](09_attention.ipynb), [lesson 21](21_prediction_metrics.ipynb) and [lesson 29](29_explaining.ipynb) · under 60 s of CPU*

*15 minutes:* [The 60-second answer](#31.10-The-60-second-answer) · [Wrong answers people give](#31.7-Wrong-answers-people-give) · [Card](#31.12-Card)

*Lessons:* [start page](00_start_here.ipynb) · previous: 30 · Multimodal retrieval-augmented generation and agents (planned), before it [29 · Explaining: what does the model look at?](29_explaining.ipynb) · next: 32 · System-design interviews (planned)
"""

# %% [markdown]
r"""
## 31.1 The interview question

> **Your caption model's loss is 0.002 on day one. What do you check first?**
>
> **图像描述模型第一天的损失就降到了 0.002。你首先检查什么？**

**You will be able to**

1. name the loss a model should have before training, and read a curve against it;
2. write collation, a training step and generation, each with its test;
3. find a silent bug, and reject a repair that only hides it;
4. evaluate a captioner honestly;
5. show which object each word rests on, and prove it.

**Try first.** Two bets, before anything answers them.
"""

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

from course_lib.data.instructions import WORDS, make_instructions
from course_lib.lesson.bets import bet, bets
from course_lib.lesson.claims import claim
from course_lib.lesson.exercises import check, hint
from course_lib.lesson.figures import dot_plot, show

_ = torch.manual_seed(0)
SEEDS = (0, 1, 2)

# %%
bet(
    "C31.6",
    "Eight images have eight different captions, 78 words in all. A model learns "
    "them by heart, but no image arrives. Where does its loss stop, per word?",
    ["near 0", "near 0.2", "near ln 8 = 2.1", "near ln 43 = 3.8, for 43 words"],
)
bet(
    "C31.14",
    "A captioner gets 99 of 100 scenes right. Now each scene pairs a colour and a "
    "shape that training showed, never together. How many are right?",
    ["over 90 of 100", "50 to 90", "below 45"],
)

# %% [markdown]
r"""
![The path of a batch: captions through collate, images through vision and projector, both spliced into one sequence for the
decoder, then to the loss or to generation; the shape stands on every arrow. Red circles carry the numbers of the clinic cases that
break each place.](figures/31_xray.svg)

Every red circle is a clinic case: a program with one bug at that place.

## 31.2 By hand

A caption of five tokens. At each place the model has read everything up to there. What is it asked for?
"""

# %%
ids = torch.tensor(WORDS.encode("small red ring"))
names = [WORDS.tokens[k] for k in ids]
print(f"{'has read up to':16s} {'no shift asks for':20s} with the shift")
for place, name in enumerate(names):
    following = [*names, "nothing, it is over"][place + 1]
    print(f"{name:16s} {name:20s} {following}")

# %% [markdown]
r"""
The middle column asks for what was just read. A machine that copies its input, and knows no language at all, answers that. Give it a score of 10 for
the word it has just read and 0 for every other, and compute both losses with a loop.
"""


# %%
def mean_loss(scores, targets):
    losses = []
    for row, target in zip(scores, targets, strict=True):
        p = math.exp(row[target]) / sum(math.exp(score) for score in row)
        losses.append(-math.log(p))
    return sum(losses) / len(losses)


# %%
copied = 10.0 * F.one_hot(ids, len(WORDS)).double()  # (T, V)
no_shift = mean_loss(copied.tolist(), ids.tolist())
shifted = mean_loss(copied[:-1].tolist(), ids[1:].tolist())
print(f"without the shift {no_shift:.4f}")
print(f"with the shift    {shifted:.4f}")
print(f"ln V, untrained   {math.log(len(WORDS)):.4f}")

# %% tags=["claim"]
claim(
    "C31.8",
    "A machine that only copies has a loss near 0 without the shift and one far above ln V with it",
    no_shift < 0.01 and shifted > 2 * math.log(len(WORDS)),
    measured=f"{no_shift:.4f} and {shifted:.1f}; ln V = {math.log(len(WORDS)):.2f}",
)

# %% [markdown]
r"""
**A test that finds it.** Change one word of the input and keep its label. In a right program the loss of that word, and of every word before it, stays: none of
them has read the change. Two small readers, each compared with its labels with the shift and without:
"""

# %% tags=["claim"]
torch.manual_seed(0)
V = len(WORDS)
embed, readers = torch.nn.Embedding(V, 16), {}
for name, both in (("causal", False), ("reads both ways", True)):
    gru = torch.nn.GRU(16, 16, batch_first=True, bidirectional=both)
    readers[name] = (gru, torch.nn.Linear(16 * (1 + both), V))


def _each_loss(reader, inputs, labels, shift):  # of words 1, 2, ...; BOS is given
    z = reader[1](reader[0](embed(inputs))[0]).mT
    z, labels = (z[..., :-1], labels[:, 1:]) if shift else (z[..., 1:], labels[:, 1:])
    return F.cross_entropy(z, labels, reduction="none")


_moves, _other = {}, ids[None].clone()
_other[0, 3] = (ids[3] + 1) % V
print(f"{'':34s} keep the label: words 1 to 3   change both: words 1 and 2")
for name, reader in readers.items():
    for shift in (True, False):
        before = _each_loss(reader, ids[None], ids[None], shift)
        kept = _each_loss(reader, _other, ids[None], shift)
        together = _each_loss(reader, _other, _other, shift)
        _found = [
            (kept - before)[0, :3].abs().max() > 1e-5,
            (together - before)[0, :2].abs().max() > 1e-5,
        ]
        _moves[name, shift] = [bool(found) for found in _found]
        _said = ["moves" if found else "stays" for found in _moves[name, shift]]
        _title = f"{name}, {'shifted' if shift else 'not shifted'}"
        print(f"{_title:34s} {_said[0]:30s} {_said[1]}")
claim(
    "C31.27",
    "With one word changed and its label kept, the losses up to that word move in each broken program and stay in "
    "the right one. Changing word and label together, and watching the words before, finds a missing mask and not a "
    "missing shift",
    [kept for kept, _ in _moves.values()] == [False, True, True, True]
    and [both for _, both in _moves.values()] == [False, False, True, True],
    measured=f"{sum(kept for kept, _ in _moves.values())} of 3 broken programs found against "
    f"{sum(both for _, both in _moves.values())} of 3",
)

# %% [markdown]
r"""
The right column is the test that most people name. It looks for a word that reads the future. Without the shift no word does that: it reads itself.

**Five defects, five tests.** An article that many candidates have read trains a captioner like this:

1. the model is a `ViTForMaskedLM`;
2. it is called as `model(image, caption_ids=ids)`, and its loss is used `if loss is not None`;
3. each item of the dataset holds its caption as a list of ids, and PyTorch's default collation makes the batch;
4. each item holds its image as the processor returns it for one image, with a batch axis of 1;
5. the scores at a place are compared with the id at that place.
"""

# %%
bet(
    "C31.1",
    "How many of the five never raise an error, even where their result is used?",
    ["none", "two", "four"],
)

# %% [markdown]
r"""
Two captions of three ids, four images of 8 × 8 pixels, and a vision transformer small enough to run them:
"""

# %%
import transformers
from torch.utils.data import default_collate

from course_lib.compat import ensure_torchvision

ensure_torchvision()
small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
config = transformers.ViTConfig(
    image_size=8, patch_size=4, intermediate_size=16, **small
)
vit = transformers.ViTForImageClassification(config)
one = {"pixel_values": torch.rand(1, 3, 8, 8)}  # what a processor gives for one image
pixels = default_collate([one] * 4)["pixel_values"]
lists = default_collate([[11, 12, 13], [21, 22, 23]])
print("four images came as ", tuple(pixels.shape))
print("two captions came as", [part.tolist() for part in lists])


# %%
def ending(line):
    try:
        line()
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        return type(error).__name__
    return "silent"


# %% tags=["reveal"]
scores = torch.rand(2, 30, 3)  # (B, V, T)
print("1 the class       ", ending(lambda: transformers.ViTForMaskedLM))
print("2 unknown keyword ", ending(lambda: vit(pixels[:, 0], caption_ids=lists)))
print("3 lists, collated ", ending(lambda: default_collate([[11, 12], [21, 22]])))
print("  lists, in a loss", ending(lambda: F.cross_entropy(scores, lists)))
print("4 pixels, collated", ending(lambda: default_collate([one] * 4)))
print("  pixels, in a ViT", ending(lambda: vit(pixels)))
print("5 no shift        ", ending(lambda: mean_loss(copied.tolist(), ids.tolist())))

# %% tags=["claim", "reveal"]
_ends = {
    "the class": ending(lambda: transformers.ViTForMaskedLM),
    "keyword": ending(lambda: vit(pixels[:, 0], caption_ids=lists)),
    "lists in a loss": ending(lambda: F.cross_entropy(scores, lists)),
    "pixels in a ViT": ending(lambda: vit(pixels)),
    "no shift": ending(lambda: mean_loss(copied.tolist(), ids.tolist())),
}
claim(
    "C31.1",
    "Each of five defects of a published caption program fails a test of a few lines. A "
    "swallowed keyword and a missing shift raise no error anywhere; a missing class raises "
    "at once, lists of ids and a fifth axis only where a loss or a model uses them",
    [name for name, end in _ends.items() if end == "silent"] == ["keyword", "no shift"]
    and vit(pixels[:, 0], caption_ids=lists).loss is None
    and [part.tolist() for part in lists] == [[11, 21], [12, 22], [13, 23]]
    and pixels.shape == (4, 1, 3, 8, 8)
    and no_shift < 0.01,
    measured=", ".join(f"{name} {end}" for name, end in _ends.items()),
    answer="two",
)

# %% [markdown]
r"""
Many models of `transformers` swallow keywords that they do not know. The loss is then `None`, and the guard `if loss is not None` makes the silence
complete. The lists and the fifth axis are silent where the slip is made, in the loader, and loud where a model or a loss uses them. In the article
nothing uses them, because the keyword is swallowed: one silent bug hides two loud ones. A hasty `torch.stack(lists)` would silence the third for
good: the right ids, transposed.

A second article fuses text and image by concatenating their raw tensors, sends text through a ResNet, and an image twice. Which of these run? (The
folded cell tries them on the *meta* device, where tensors have shapes and no numbers, so a ResNet-50 costs nothing.)
"""

# %% tags=["claim"]
from torchvision.models import resnet50

with torch.device("meta"):
    resnet = resnet50(weights=None).eval()
    text, picture = torch.empty(2, 12), torch.empty(2, 3, 64, 64)
_loud = [
    ending(lambda: torch.cat((text, picture), dim=1)),
    ending(lambda: resnet(text)),
    ending(lambda: resnet(resnet(picture))),
]
claim(
    "C31.2",
    "Concatenating ids with pixels, text through a ResNet and a ResNet on its own output all "
    "raise; 1,000 class scores are no features, those have 2,048 numbers",
    _loud == ["RuntimeError"] * 3
    and resnet(picture).shape == (2, 1000)
    and resnet.fc.in_features == 2048,
    measured=f"{len(_loud)} errors; head from {resnet.fc.in_features} to {resnet.fc.out_features}",
)

# %% [markdown]
r"""
### Exercise 31.1 · collate ●●○ 12 minutes

Examples are pairs (prompt ids, answer ids), lists of whole numbers. Return a tuple of three tensors `ids`, `labels` and `mask`, each `(B, T)`, $T$
the longest example: bos, prompt, answer, eos, then padding on the right. `ids` and `labels` are int64, `mask` is boolean, True at real tokens.
`labels` holds each answer's ids and its eos at their own places (the loss shifts them) and −100 everywhere else. `pad` may be the same number as
`eos`, a prompt may hold it or be empty. Leave the examples as they are.
"""


# %% tags=["exercise"]
def collate(examples, bos, eos, pad):
    """Three tensors (B, T)."""
    raise NotImplementedError


from course_lib.exercises import lesson_31 as exercise

check(exercise.collate, collate)
hint(exercise.collate)

# %% [markdown]
r"""
## 31.3 In symbols

The loss is a mean over the counted words of all answers of a batch,

$$L = -\frac{1}{N} \sum_{(b,\,t)} \log p_\theta\big(w_{b,t+1} \mid \text{image}_b,\ w_{b,1}, \ldots, w_{b,t}\big),$$

where the sum runs over the $N$ places whose next word belongs to an answer, its `<eos>` included; $b$ counts the rows of the batch, $t$ the places,
$\theta$ stands for all weights. With a vocabulary of $V$ words, **losses that you should know before you train**, in nats per word:

| situation | loss | a curve that stops there means |
| --- | --- | --- |
| untrained, $V$ words | $\ln V$ | nothing was loaded, or nothing is learnt |
| copying allowed (no shift, or no causal mask) | $\to 0$ on day one | the answer is in the input |
| softmax twice, $V$ words | $\ln(e + V - 1) - 1$ | the loss gets probabilities |
| $n$ different captions by heart, image missing | $n \ln n\,/\,N$ | the image does not arrive |
| a share $r$ of the labels drawn anew from $K$ classes | $-q \ln q - (1-q) \ln \frac{1-q}{K-1}$ with $q = 1 - r + r/K$ | the floor is in the data |

Where does the third come from? The second softmax sees probabilities, so its largest score is 1 and the others are 0. The right word then gets
$e^1/(e^1 + (V-1)\,e^0)$, and minus its logarithm is $\ln(e + V - 1) - 1$. It cannot go lower.

The first row holds when the scores start small. A first loss far *above* $\ln V$ says that they do not:
"""

# %% tags=["claim"]
_draw = torch.Generator().manual_seed(0)
_hidden = F.layer_norm(torch.randn(2000, 48, generator=_draw), (48,))
_next = torch.randint(V, (2000,), generator=_draw)
_first = {}
for std in (0.02, 1.0):
    _head = std * torch.randn(V, 48, generator=_draw)  # tied to the embeddings
    _first[std] = F.cross_entropy(_hidden @ _head.T, _next).item()
claim(
    "C31.28",
    "A head that shares the weights of its embeddings starts at ln V when they are drawn with a standard deviation of "
    "0.02, and at over three times that with PyTorch's default of 1",
    abs(_first[0.02] - math.log(V)) < 0.1 and _first[1.0] > 3 * math.log(V),
    measured=f"{_first[0.02]:.2f} and {_first[1.0]:.1f}; ln V = {math.log(V):.2f}",
)

# %% [markdown]
r"""
Why? Each score is then a sum of 48 products of standard deviation 1, so it spreads by $\sqrt{48} \approx 7$.

The order of the parts in a step is always the same: forget the last gradient, forward, loss, backward, clip, update.

## 31.4 Build it: a pipeline in which each part is tested

**X-ray.** The model of this lesson is LLaVA in small: a vision transformer, a projector of two layers, a causal decoder. The shapes:
"""

# %%
from course_lib.training import vlm, vlm_scores

data = make_instructions(300, seed=77)  # not the seed of training
model = vlm.load_vlm("all", 0)
few_images, few_ids = data.images[:5], data.ids[:5]
patches = model.vision.tokens(few_images)
logits = model(few_images, few_ids).logits.detach()
print("ids             ", tuple(few_ids.shape))
print("after vision    ", tuple(patches.shape))
print("after projector ", tuple(model.projector(patches).shape))
print("spliced         ", tuple(model.splice(few_images, few_ids)[0].shape))
print("scores          ", tuple(logits.shape))

# %%
fig, axes = plt.subplots(1, 3, figsize=(6.8, 2.1), layout="constrained")
for ax, image, answer in zip(axes, few_images, data.answers, strict=False):
    ax.imshow(image.permute(1, 2, 0))
    ax.set_title(answer.replace(" and ", "\nand "), fontsize=8)
    ax.axis("off")
show(fig, "Three scenes of coloured shapes, each with the caption to be written.")

# %% [markdown]
r"""
**The loss, twice**: a loop over words, and PyTorch's own. (The folded cell adds NumPy and the course's function.)
"""

# %%
from course_lib.models.vlm import answer_loss, splice_labels

labels = splice_labels(data.labels[:5], few_ids, model.image_id, model.patches)
losses = []
for row, wanted in zip(logits, labels, strict=True):
    for t in range(len(wanted) - 1):
        if wanted[t + 1] != -100:  # the word after place t is learnt
            losses.append(-row[t].log_softmax(dim=0)[wanted[t + 1]].item())
looped = sum(losses) / len(losses)
flat, targets = logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()
print(f"loop    {looped:.3f} over {len(losses)} words")
print(f"PyTorch {F.cross_entropy(flat, targets):.3f}")

# %% tags=["claim"]
import numpy as np

_scores, _wanted = logits.numpy()[:, :-1], labels.numpy()[:, 1:]
_moved = _scores - _scores.max(axis=-1, keepdims=True)
_log_p = _moved - np.log(np.exp(_moved).sum(axis=-1, keepdims=True))
_in_numpy = np.take_along_axis(_log_p, _wanted.clip(0)[..., None], axis=-1)[..., 0]
_four = (
    looped,
    float(-_in_numpy[_wanted != -100].mean()),
    answer_loss(logits, labels).item(),
    F.cross_entropy(flat, targets).item(),
)
claim(
    "C31.7",
    "A loop, NumPy, our function and PyTorch give the same loss when they are told the same: "
    "which axis, which words count, scores and not probabilities",
    max(_four) - min(_four) < 1e-5,
    measured=f"largest difference {max(_four) - min(_four):.1e}, {len(losses)} words",
)

# %% [markdown]
r"""
`ignore_index` is −100 by default. A label of 0 at padding would be counted, since 0 is an id like any other.

### Exercise 31.2 · train_step ●●● 15 minutes

The loop that every interview asks for, with the trap that few candidates see: micro-batches with different numbers of words. `model(ids)` gives
scores (b, T, V) of the word after each place; labels stand at their own places, −100 where nothing is learnt, and the label at place 0 is never asked
for. Old gradients may lie in the model: forget them first. The gradient must be that of the mean over all counted words of all micro-batches, its
norm clipped once to `clip_norm`, then one step of the optimiser. Call the model at most once per micro-batch; some may hold no counted word. Return the
mean loss, a float. (The trainer of `transformers` got this wrong until late 2024, source 8.)
"""


# %% tags=["exercise"]
def train_step(model, micro_batches, optimizer, clip_norm):
    """One optimiser step over a list of (ids, labels); the mean loss, a float."""
    raise NotImplementedError


check(exercise.train_step, train_step)
hint(exercise.train_step)

# %% [markdown]
r"""
**Overfit one batch.** Before a long run: eight examples, 150 steps, and the loss must go to about 0. If it does not, the number where it stops says
where to look. Once with all parts right, once with the image missing, three seeds each.
"""

# %%
eight = tuple(part[:8] for part in data[:3])
words = int((eight[2] != -100).sum())
curves, reached = {}, {False: [], True: []}
for seed in SEEDS:
    for blind, loss in ((False, vlm.instruction_loss), (True, vlm.blind_loss)):
        fresh = vlm.new_vlm(seed)
        schedule = vlm.Schedule(150, 4e-3, 8)
        history = vlm.train_part(fresh, eight, schedule, fresh, blind=blind)
        curves[blind] = history["loss"]
        reached[blind].append(loss(fresh, eight).item())
print(words, "words to learn")

# %% tags=["reveal"]
fig, ax = plt.subplots(figsize=(4.9, 2.6), layout="constrained")
ax.plot(curves[False], "-", label="image arrives")
ax.plot(curves[True], "--", label="image missing")
ax.axhline(8 * math.log(8) / words, color="grey", linestyle=":", label="8 ln 8 / words")
ax.set(xlabel="step", ylabel="loss, nats per word")
ax.legend(fontsize=8)
show(fig, "With the image the loss goes to 0; without it it stops at the dotted line.")

# %% tags=["claim", "reveal"]
_floor = 8 * math.log(8) / words
claim(
    "C31.6",
    "Eight examples are learnt by heart to under 0.01; with the image missing the loss stops "
    "at n ln n / words (3 seeds)",
    max(reached[False]) < 0.01 and max(abs(v - _floor) for v in reached[True]) < 0.03,
    measured=f"{max(reached[False]):.4f} at most; {min(reached[True]):.3f} to "
    f"{max(reached[True]):.3f}, formula {_floor:.3f} for {words} words",
    answer="near 0.2",
)

# %% [markdown]
r"""
Why that number? A blind model that has learnt everything else by heart still has to guess which of eight captions is asked for. A guess among eight
costs $\ln 8$ per caption. Eight captions cost $8 \ln 8$, spread over all their words. A floor that fits a formula is a diagnosis.

**Who learns, and is it repeatable?** Two more tests that cost a second: after one backward pass exactly the parts that are meant to train have a
gradient (here only the projector is meant to); and the same seed gives the same weights, bit for bit, on one machine.
"""


# %% tags=["claim"]
def _train_in_order(shift):
    again = vlm.new_vlm(0)
    part = tuple(each[:80].roll(shift, dims=0) for each in data[:3])
    vlm.train_part(again, part, vlm.Schedule(10, 4e-3, 8), again)
    return torch.cat([p.detach().flatten() for p in again.parameters()])


fresh = vlm.new_vlm(0)
vlm.train_only(fresh, fresh.projector)
vlm.instruction_loss(fresh, eight).backward()
for name, part in fresh.named_children():
    _has = [p.grad is not None for p in part.parameters()]
    _size = sum(p.numel() for p in part.parameters())
    print(
        f"{name:10s} {sum(_has):2d} of {len(_has)} tensors have a gradient, {_size:,} numbers"
    )
first, same, moved = _train_in_order(0), _train_in_order(0), _train_in_order(1)
claim(
    "C31.21",
    "The same seed gives the same weights bit for bit on one machine; the same examples in "
    "another order give others",
    torch.equal(first, same) and not torch.allclose(first, moved, atol=1e-3),
    measured=f"largest differences {(first - same).abs().max():.1e} and "
    f"{(first - moved).abs().max():.1e}",
)

# %% [markdown]
r"""
### Exercise 31.3 · generate ●●○ 12 minutes

The other half of the bug hunt: evaluation by generation, not by argmax of teacher-forced scores. `model.start(image, prompt)` reads the prompt once
and gives two things, scores (B, V) of the first word and a cache. `model.step(words, cache)` reads one word per row, (B,), adds it to the cache, and gives
the scores (B, V) of the next, nothing else. Stop when every row has said eos, or after `most` words; the last words need no step.
"""


# %% tags=["exercise"]
def generate_words(model, image, prompt, most, eos, pad):
    """Greedy answers (B, N), N <= most; `pad` after a row's eos."""
    raise NotImplementedError


check(exercise.generate, generate_words)
hint(exercise.generate)

# %% [markdown]
r"""
The library's version, with the cache and without:
"""

# %%
from course_lib.data.instructions import encode_prompts
from course_lib.models import generation

prompts, pictures = encode_prompts(data.prompts[:64]), data.images[:64]
cached = generation.generate(model, pictures, prompts).ids
plain = generation.generate(model, pictures, prompts, cached=False).ids
start, said = prompts.shape[1] - 1 + model.patches, cached.shape[1]
print("the same words:", torch.equal(cached, plain))
print("with the cache a row reads", start + said - 1, "positions")
print("without it                ", sum(range(start, start + said)))

# %% tags=["claim"]
_ratio = sum(range(start, start + said)) / (start + said - 1)
claim(
    "C31.9",
    "The cache changes no word and saves most of the reading",
    torch.equal(cached, plain) and _ratio > 5,
    measured=f"{_ratio:.1f} times fewer positions for {said} words",
)

# %% [markdown]
r"""
## 31.5 Explore: the clinic, and the gallery of curves

**The clinic.** Sixteen programs of one page, each with one defect. You see the complaint and what the program gives, then the code. Hidden tests run your
repair in a process of its own. A repair that only hides the failure is rejected with advice.
"""

# %%
from course_lib.clinic import desk, gallery, judge, quiz

desk.clinic()
desk.symptom("03")
desk.show("03")

# %% [markdown]
r"""
Hand in a whole program, a path (`desk.write("03")` makes a file to edit), or the function that you want to replace:
"""


# %%
def lm_loss(model, ids):
    """Mean loss per word; ids: BOS, the words, EOS, PAD..."""
    raise NotImplementedError


desk.check_repair("03", lm_loss)
desk.clinic_hint("03")

# %% [markdown]
r"""
What is not a repair. Case 08 loads a checkpoint with `strict=False`. A colleague hands in a version without it: she fills what the checkpoint lacks
from the model itself. **Predict** the verdict, then open it.
"""

# %% tags=["reveal"]
desk.symptom("08")
loads_what_fits = desk.source("08").replace(
    "    model.load_state_dict(checkpoint, strict=False)",
    "    known = model.state_dict()\n"
    "    known.update({name: checkpoint.get(name, known[name]) for name in known})\n"
    "    model.load_state_dict(known)",
)
desk.check_repair("08", loads_what_fits)

# %% [markdown]
r"""
Strict, no error, and still nothing loaded: the checker compares tensors. Take at least cases 11 and 12; repairs of 03, 08, 11 and 12 stand at the end, the others in
`desk.worked(number)`.

**The gallery.** Fifteen small trainings of ten classes or, where the entropy of a text is drawn, of words: one healthy, the others with one defect
each. Losses above 6 are cut off; a cross marks where a loss stops being a number. **Diagnose** them
before you open the names; the quiz keeps score.
"""

# %%
trained = []
for each in gallery.GALLERY:
    trained.append([each.make(seed) for seed in SEEDS])
first_seed = [runs[0] for runs in trained]
fig, axes = gallery.draw_gallery(first_seed)
show(
    fig,
    "Fifteen numbered curves. Solid: the training loss. Dashed: what stands above.",
)
quiz.curve_quiz(first_seed)

# %% tags=["reveal"]
for number, each in enumerate(gallery.GALLERY, start=1):
    print(f"{number:2d} {each.name}: {each.tell}")


# %% tags=["claim"]
def _fits(diagnosis, lines):
    try:
        return diagnosis.signature(lines)
    except KeyError:  # it asks for a line that this curve lacks
        return False


_holds, _strangers = 0, set()
for each, runs in zip(gallery.GALLERY, trained, strict=True):
    for run in runs:
        _found = {other.name for other in gallery.GALLERY if _fits(other, run)}
        _holds += each.name in _found
        _strangers |= {(each.name, name) for name in _found - {each.name}}
claim(
    "C31.10",
    "Each of the 15 curves shows its own signature on each of 3 seeds and no other's, save one: "
    "validation data in the training set look healthy until fresh data are drawn",
    _holds == 45 and _strangers == {("validation data in the training set", "healthy")},
    measured=f"{_holds} of 45, mistaken {len(_strangers)}",
)

# %% [markdown]
r"""
Curve 14 is the least certain: with most seeds it stays at ln 12, but now and then one gets off without help. Curves 3 and 7 are twins: flat at ln 10. One has a learning rate that is too low, the other dead units. Only the gradient tells them apart, so log its
norm from the first step on. **Predict**: which part of curve 13 comes back with another seed, and which does not? (The cell below the explorer says it.)
"""

# %%
from course_lib.lesson.explore import explore


def draw(curve=13, seed=0):
    """One curve of the gallery with the first thing to check."""
    fig, ax = plt.subplots(figsize=(4.9, 2.6), layout="constrained")
    first_check = gallery.GALLERY[curve - 1].first_check
    gallery.draw_curves(trained[curve - 1][seed], ax, f"{curve}. First: {first_check}")
    ax.set(xlabel="step", ylabel="loss")
    ax.title.set(fontsize=8, wrap=True)
    return fig, ax


explore(
    draw, alt="A loss curve, its first check above.", curve=(1, 15), seed=list(SEEDS)
)

# %% tags=["claim", "reveal"]
print("validation at step 1, at the end; its highest value after step 30")
for run in trained[12]:
    line = run["validation"]
    print(f"{line[0]:16.1f} {gallery.late(line):12.1f} {max(line[30:]):14.1f}")

# %% [markdown]
r"""
The start far above ln 10 and the high end come back with every seed; they are the signature. The bumps are not the same twice, so no diagnosis may rest on them.

## 31.6 Evidence: a vision-language model of 90,000 numbers

**The case, as an interviewer wants it.** *Data*: 8,000 drawn scenes of one or two objects with a caption and two questions each; to test, 300 of another seed and 300 with pairs never seen. *Recipe*: vision from image-text
pairs, decoder from text, then three stages that thaw more and more. *Metrics*: exact match, BLEU-4, CIDEr-D, CHAIR, POPE. *Controls*: seeds, equal steps, no image.

Here is what the first seed writes about the first scene.
"""

# %%
STAGES = {"no stage yet": "start", "projector": "projector"}
STAGES |= {"projector + decoder": "decoder", "all parts": "all"}
models, written = {}, {}
for name, stage in STAGES.items():
    models[name], written[name] = [vlm.load_vlm(stage, seed) for seed in SEEDS], []
    for each in models[name]:
        written[name].append(vlm_scores.say(each, data.images, data.prompts))
    print(f"{name:20s} {written[name][0][0]!r}")
print(f"{'true':20s} {data.answers[0]!r}")

# %%
exact, bleu, cider = {}, {}, {}
for name, runs in written.items():
    scored = [vlm_scores.score_captions(said, data) for said in runs]
    exact[name] = [run["exact_match"] for run in scored]
    bleu[name] = [run["bleu4"] / 100 for run in scored]
    cider[name] = [run["cider"] / 10 for run in scored]
rows = {"exact match": exact, "BLEU-4 / 100": bleu, "CIDEr-D / 10": cider}
fig, ax = dot_plot(rows, xlabel="on 300 scenes of another seed, one mark per seed")
show(
    fig,
    "All scores rise from stage to stage; BLEU-4 and CIDEr-D lie above exact match.",
)

# %% tags=["claim"]
claim(
    "C31.4",
    "With more parts thawed and more steps more captions are right: none before the projector "
    "learns, a part with the projector alone, most with the decoder, nearly all with all parts "
    "(3 seeds)",
    max(exact["no stage yet"]) < 0.02
    and 0.05 < min(exact["projector"]) <= max(exact["projector"]) < 0.5
    and min(exact["projector + decoder"]) > 0.75
    and min(exact["all parts"]) > 0.95,
    measured=", ".join(
        f"{name} {min(v):.3f} to {max(v):.3f}" for name, v in exact.items()
    ),
)
_drawn = {image.numpy().tobytes() for image in make_instructions(8000, seed=1).images}
_new = [
    row
    for row, image in enumerate(data.images)
    if image.numpy().tobytes() not in _drawn
]
_copies = [row for row in range(len(data.images)) if row not in set(_new)]
_single = sum(len(data.drawn.scenes[row].objects) == 1 for row in _copies)
_parts = {"unseen": _new, "copies": _copies}
_right = {}
print(
    f"{'exact match, 3 seeds':20s} {len(_new)} unseen pictures   {len(_copies)} copies"
)
for name, runs in written.items():
    for part, rows in _parts.items():
        _right[name, part] = [
            sum(said[row] == data.answers[row] for row in rows) / len(rows)
            for said in runs
        ]
    _spans = [_right[name, part] for part in _parts]
    print(f"{name:20s}", *(f"   {min(v):.2f} to {max(v):.2f}   " for v in _spans))
_low, _high = _right["projector", "unseen"], _right["projector", "copies"]
claim(
    "C31.23",
    "Over four test pictures of ten are copies of training pictures, nearly all of one object. On unseen pictures the "
    "projector alone gets one caption in twenty right and on copies over a third; all parts get over 95 of a "
    "hundred on both (3 seeds)",
    len(_new) < 0.6 * len(data.images)
    and _single > 0.95 * len(_copies)
    and max(_low) < 0.06 < 0.33 < min(_high)
    and min(_right["all parts", "unseen"] + _right["all parts", "copies"]) > 0.95,
    measured=f"{len(_copies)} of {len(data.images)} copies, {_single} of one object; projector unseen "
    f"{min(_low):.2f} to {max(_low):.2f}, copies {min(_high):.2f} to {max(_high):.2f}; all parts unseen "
    f"{min(_right['all parts', 'unseen']):.3f} at least",
)

# %% [markdown]
r"""
One object can be drawn in few ways, so another seed draws most of these pictures again: split by picture, not by seed. Read the table with care. A copy is known
*and* shows one object, an unseen picture shows two, whose caption is twice as long. So the two columns do not say how much is memory. They say that one mean hid two tests.

**Parts, or just more steps?** The first stage takes 500 steps, the next ones 1,500 and 1,000 more. The confounder has a test: give each stage as many steps with
fewer parts thawed. These figures were recorded by `python tests/benchmarks/vlm.py`.
"""

# %%
import json

from course_lib.data.catalogue import DATASETS

recorded = json.loads((DATASETS / "recorded/vlm_cpu.json").read_text("utf-8"))
arms = recorded["equal_steps"]["exact_match"] | recorded["last_stage"]["exact_match"]
for arm, (mean, least, most) in arms.items():
    print(f"{arm:44s} {mean:.2f}   ({least:.2f} to {most:.2f}, 3 seeds)")

# %% tags=["claim"]
claim(
    "C31.25",
    "Steps are a part of the gain and not the most of it: the projector alone gains by four times "
    "the steps, and stays below half of what the thawed decoder reaches in as many; at equal steps vision has to be "
    "thawed for the last captions (recorded, 3 seeds)",
    arms["projector, 500 steps"][2] < arms["projector, 2000 steps"][1]
    and arms["projector, 2000 steps"][2] < 0.5 * min(exact["projector + decoder"])
    and arms["the same, 1000 more, vision frozen"][2] < 0.95
    and arms["the same, 1000 more, vision frozen"][2]
    < arms["the same, 1000 more, all parts"][1],
    measured=f"500 steps {arms['projector, 500 steps'][0]:.2f}, 2,000 steps "
    f"{arms['projector, 2000 steps'][0]:.2f}; 500 and 1,500 with the decoder "
    f"{min(exact['projector + decoder']):.2f} at least; last stage, vision frozen "
    f"{arms['the same, 1000 more, vision frozen'][0]:.2f}, thawed "
    f"{arms['the same, 1000 more, all parts'][0]:.2f}",
)

# %% [markdown]
r"""
The projector alone, a twentieth of the parameters, teaches a frozen decoder over a third of the captions of one object, and hardly any of two: the decoder knew the
language, and the projector finds words for patches.

**From nothing.** All three parts together, on captions alone, without pre-training and without stages. `vlm.train_vlm(0, vlm.training_data()[0])`
trains one.
"""

# %% tags=["claim"]
scratch = recorded["from_nothing"]["captions"]  # mean, smallest, largest of 3 seeds
claim(
    "C31.3",
    "From nothing, on one thread of a CPU, the model writes over nine captions of ten exactly "
    "right in under a minute (recorded, 3 seeds)",
    scratch["exact_match"][1] - len(_copies) / 300
    > 0.9 * len(_new) / 300  # if every copy is right
    and scratch["cpu_seconds"][2] < 60,
    measured=f"{scratch['steps']} steps, exact match {scratch['exact_match'][1]:.3f} at least, on unseen "
    f"pictures {(300 * scratch['exact_match'][1] - len(_copies)) / len(_new):.2f} at least, "
    f"{scratch['cpu_seconds'][2]:.0f} s at most",
)

# %% [markdown]
r"""
Stages are for parts that come trained and are too large to train again.

**Does it look?** Take the image away in four ways: somebody else's image, a black one, a grey one, none at all. The first row is a model that was *trained*
blind, on text alone.
"""

# %%
bet(
    "C31.11",
    "What BLEU-4, of 100, do captions get that were written for somebody else's image?",
    ["under 1", "about 5", "over 10"],
)

# %%
taken = {"trained blind": []}
for each in models["no stage yet"]:
    said = vlm_scores.say(each, None, data.prompts)
    taken["trained blind"].append(vlm_scores.score_captions(said, data))
for view, images in vlm_scores.views(data.images).items():
    taken[view] = []
    for each in models["all parts"]:
        said = vlm_scores.say(each, images, data.prompts)
        taken[view].append(vlm_scores.score_captions(said, data))
print("views:", *taken)

# %% tags=["reveal"]
print(f"{'mean of 3 seeds':16s} exact match   BLEU-4   CHAIR_i   objects found")
for view, runs in taken.items():
    print(f"{view:16s}", end="")
    for measure in ("exact_match", "bleu4", "chair_i", "object_recall"):
        print(f"{sum(run[measure] for run in runs) / 3:11.2f}", end="")
    print()

# %% tags=["claim", "reveal"]
_others = [
    run["exact_match"]
    for view in ("shuffled", "blank", "grey", "none")
    for run in taken[view]
]
claim(
    "C31.5",
    "It looks: without its own image no more than a few captions in a hundred are right (3 "
    "seeds, 4 ways)",
    max(_others) < 0.03 and min(exact["all parts"]) > 0.95,
    measured=f"{max(_others):.3f} at most, with the image {min(exact['all parts']):.3f} at least",
)
_bleu = [run["bleu4"] for run in taken["shuffled"]]
_blind = [run["bleu4"] for run in taken["trained blind"]]
claim(
    "C31.11",
    "Where captions share a fixed form, as here, BLEU-4 gives over 10 of 100 to captions of the wrong image, and to a "
    "model that was trained without images and is never right: report it beside those floors (3 seeds)",
    min(_bleu) > 10
    and min(_blind) > 10
    and max(run["exact_match"] for run in taken["trained blind"]) < 0.02,
    measured=f"wrong image {min(_bleu):.1f} to {max(_bleu):.1f}, trained blind "
    f"{min(_blind):.1f} to {max(_blind):.1f}",
    answer="over 10",
)

# %% [markdown]
r"""
**Does it invent things?** CHAIR_i is the share of the objects named that are not there. POPE asks "is there a red ring?": half of the questions
deserve a yes. The others ask for any absent object (*random*), or for what most often stands beside the objects that are there (*adversarial*). Two
traps first: what is the CHAIR of a model that names nothing, and what is the recall of one that always says yes?
"""

# %%
from course_lib.data.instructions import mentioned, present
from course_lib.metrics.hallucination import pope_probes

scenes = [present(data.drawn.scenes[row]) for row in data.rows]
mute = vlm_scores.score_captions([""] * len(scenes), data)
print("says nothing: CHAIR", mute["chair_i"], " objects found", mute["object_recall"])

# %% tags=["claim"]
answered = {}
for name, sampling in (
    ("no stage yet", "random"),
    ("all parts", "random"),
    ("all parts", "adversarial"),
):
    _probes = pope_probes(scenes, sampling)
    answered[name, sampling] = [
        vlm_scores.answer_probes(each, data.images, _probes) for each in models[name]
    ]
_chair = [run["chair_i"] for run in taken["own"]]
_easy = [p.accuracy for p in answered["all parts", "random"]]
_hard = [p.accuracy for p in answered["all parts", "adversarial"]]
_yes = answered["no stage yet", "random"]
claim(
    "C31.12",
    "With its image the model names almost nothing that is not there and answers POPE far above "
    "chance; its adversarial questions are as easy as random ones, since in these scenes no pair "
    "keeps company with another (3 seeds)",
    max(_chair) < 0.03
    and min(_easy + _hard) > 0.85
    and abs(sum(_easy) - sum(_hard)) < 0.09,
    measured=f"CHAIR_i {max(_chair):.3f} at most, accuracy random {min(_easy):.3f}, "
    f"adversarial {min(_hard):.3f} at least",
)
claim(
    "C31.13",
    "Both metrics can be fooled: silence has a CHAIR of 0, and a model that nearly always says "
    "yes has nearly full recall at chance accuracy (3 seeds)",
    mute["chair_i"] == 0
    and mute["object_recall"] == 0
    and min(p.recall for p in _yes) > 0.9
    and all(abs(p.accuracy - 0.5) < 0.05 for p in _yes),
    measured=f"yes-rate {min(p.yes_rate for p in _yes):.2f} at least, recall "
    f"{min(p.recall for p in _yes):.2f}, accuracy {max(p.accuracy for p in _yes):.3f} at most",
)

# %% [markdown]
r"""
**Company.** Objects that usually stand together are what adversarial questions are made for, so let them stand together. `make_scenes(...,
together=0.9)` gives an object its fixed partner nine times in ten, as a fork lies beside a knife. Projector and decoder learn for 1,000 steps from
such scenes, on the encoder of stage 1; the control learns as long from scenes without company. Both are tested on the 300 scenes above, where nothing
keeps company.
"""

# %%
bet(
    "C31.26",
    "In a scene of two, 2 of the 18 absent pairs are partners of what is there: "
    "chance is 0.11. Which share of what the first one invents are partners?",
    ["about 0.1, as by chance", "about 0.2", "over 0.8"],
)

# %% tags=["reveal"]
kept = ("chair_i", "partner_share", "pope_random_accuracy", "pope_adversarial_accuracy")
print(f"{'trained on':22s} CHAIR_i  partners  POPE random  adversarial")
for name, row in recorded["partners"].items():
    print(f"{name:22s}", *(f"{row[measure][0]:8.2f}" for measure in kept))


# %% tags=["claim", "reveal"]
def _lead(row):
    return row["pope_adversarial_accuracy"][0] - row["pope_random_accuracy"][0]


_with, _without = recorded["partners"].values()
claim(
    "C31.26",
    "Trained for 1,000 steps where partners stand together, a captioner invents more, and the partner more often, "
    "than one trained as long without company; POPE's adversarial questions, easier than random "
    "ones without company, are so no longer with it (recorded, 3 seeds)",
    _with["chair_i"][1] > _without["chair_i"][2]
    and _with["partner_share"][1] > max(0.15, _without["partner_share"][2])
    and _with["partner_share"][2] < 0.5
    and _lead(_without) > 0.02 > 0.01 > _lead(_with),
    measured=f"partners {_with['partner_share'][1]:.2f} to {_with['partner_share'][2]:.2f} of those "
    f"invented, without company {_without['partner_share'][1]:.2f} to "
    f"{_without['partner_share'][2]:.2f}; adversarial minus random {_lead(_with):.3f} and "
    f"{_lead(_without):.3f}",
    answer="about 0.2",
)

# %% [markdown]
r"""
Compare with the control and not with 0.11: the control's inventions keep a colour or a shape that is there, and a partner shares neither. So company does leak into captions, and still most inventions have another cause. In POPE it shows as a lost advantage. Without company the adversarial
questions are the easy ones, since a partner shares neither colour nor shape with its object; with it they no longer are. Training asked "is there ...?" of near misses too, and
that teaches to look.

**And on combinations it has never seen?** Training showed every colour and every shape, but only 20 of the 25 pairs. In the second test set each
scene holds at least one of the other five.
"""

# %% tags=["reveal"]
new_pairs = make_instructions(300, seed=78, split="test")
new_said = []
for each in models["all parts"]:
    new_said.append(vlm_scores.say(each, new_pairs.images, new_pairs.prompts))
for k in (0, 1, 2):
    print(f"true   {new_pairs.answers[k]}\nsays   {new_said[0][k]}\n")

# %% tags=["claim", "reveal"]
_known = {pair for row in data.rows for pair in present(data.drawn.scenes[row])}
_there = [present(new_pairs.drawn.scenes[row]) for row in new_pairs.rows]
new = [vlm_scores.score_captions(said, new_pairs) for said in new_said]
_named, _absent = [], []
for said in new_said:
    for text, pairs in zip(said, _there, strict=True):
        _named += mentioned(text)
        _absent += [
            (pair, " ".join(pairs).split())
            for pair in mentioned(text)
            if pair not in pairs
        ]
_known_absent = sum(pair in _known for pair, _ in _absent) / len(_absent)
_all_known = sum(pair in _known for pair in _named) / len(_named)
_colour, _shape = (
    sum(pair.split()[k] in w for pair, w in _absent) / len(_absent) for k in (0, 1)
)
claim(
    "C31.14",
    "A model that is nearly perfect on known pairs gets less than 45 % of scenes with a new "
    "colour-shape pair right. Every absent object that it names instead is a pair it knows, where "
    "chance would give 20 of 25; nearly always the colour is there and the shape is another's "
    "(3 seeds)",
    max(run["exact_match"] for run in new) < 0.45
    and min(run["chair_i"] for run in new) > 0.3
    and len(_known) == 20
    and _known_absent > 0.97
    and _colour > 0.9 > 0.3 > _shape,
    measured=f"exact match {min(run['exact_match'] for run in new):.2f} to "
    f"{max(run['exact_match'] for run in new):.2f}, CHAIR_i {min(run['chair_i'] for run in new):.2f} "
    f"at least; of {len(_absent)} absent ones {_known_absent:.2f} known, colour there {_colour:.2f}, "
    f"shape there {_shape:.2f}; of all named {_all_known:.2f} known",
    answer="below 45",
)

# %% [markdown]
r"""
So the test set with known pairs, which said "solved", was too kind. Is the colour right only because a caption names it first, and the shape guessed to fit?
Models that learnt "small ring red" answer that:
"""

# %% tags=["claim"]
_order = recorded["word_order"]
claim(
    "C31.30",
    "Trained from nothing on captions that name the shape before the colour, models still get fewer than half of the "
    "scenes with a new pair right, the colour there and the shape another's: the order of the words is not the reason "
    "(recorded, 3 seeds)",
    _order["exact_match"][1] > 0.9
    and _order["new_pairs_exact_match"][2] < 0.5
    and _order["colour_there"][1] > 0.9 > 0.3 > _order["shape_there"][2],
    measured=f"exact match {_order['exact_match'][1]:.2f} at least, new pairs "
    f"{_order['new_pairs_exact_match'][1]:.2f} to {_order['new_pairs_exact_match'][2]:.2f}; colour there "
    f"{_order['colour_there'][0]:.2f}, shape there {_order['shape_there'][0]:.2f}",
)

# %% [markdown]
r"""
So the colour is seen, and the shape becomes one that was seen with it. Mind which share proves that. Of *all* pairs that it names about eight in ten are known, and a machine that named any of the 25 pairs would reach
that too. Of the *absent* ones it is every one.

**Word by word: what does each word rest on?** Integrated gradients of each word's score, given the words before it. First a look (red speaks for the word, blue against it), then a count. The measure is the
pointing game: does the map's highest point lie on the word's own object?
"""

# %%
from course_lib.data.instructions import DESCRIBE
from course_lib.explain import captions, faithfulness, plots

two = [k for k, scene in enumerate(data.drawn.scenes) if len(scene.objects) == 2][:48]
images, two_ids, masks = data.images[two], data.ids[two], data.drawn.masks[two]
first_word = len(WORDS.encode(DESCRIBE)) - 1
PLACES = {"size": 0, "colour": 1, "shape": 2, "size 2": 6, "colour 2": 7, "shape 2": 8}
maps = []
for each in models["all parts"]:
    found = {}
    for name, k in PLACES.items():
        heat = captions.attribute_word(
            each, images, two_ids, first_word + k, steps=20, rows=64
        )
        found[name] = heat.map("images")
    maps.append(found)
print(len(two), "scenes of two objects,", len(PLACES), "words each")

# %%
fig, grid = plt.subplots(3, 4, figsize=(6.2, 4.9), layout="constrained")
for k, axes in enumerate(grid):
    for ax, name in zip(axes, ("colour", "shape", "colour 2", "shape 2"), strict=True):
        word = WORDS.tokens[two_ids[k, first_word + PLACES[name]]]
        look = {"mask": masks[k, int("2" in name)], "title": word, "legend": False}
        plots.show_heat(images[k], maps[0][name][k], ax=ax, **look)
show(
    fig,
    "Three scenes by four words; mostly the outlined object of the word holds the red.",
)


# %% tags=["claim"]
def _pointing(own):
    table = {}
    for name in PLACES:
        mask, table[name] = masks[:, int("2" in name) ^ (not own)], []
        for found in maps:
            _hit = faithfulness.pointing_game(found[name], mask)
            table[name].append(_hit.float().mean().item())
    return table


hits = _pointing(own=True)
_rows = {"its own object": hits, "the other object": _pointing(own=False)}
fig, ax = dot_plot(
    _rows, xlabel="highest point of the map lies on ..., share of 48 scenes"
)
show(
    fig,
    "Every word points at its own object in most scenes and at the other one in few.",
)
_words = [
    value for name, values in hits.items() if "size" not in name for value in values
]
_sizes = [value for name, values in hits.items() if "size" in name for value in values]
_pixel = masks.float().mean().item()  # share of the image that one object covers
claim(
    "C31.15",
    "In scenes of two objects each colour and shape word points at the object it is about; size "
    "words do so less often (3 seeds)",
    min(_words) > 0.7
    and min(_sizes) > 0.6
    and sum(_sizes) / len(_sizes) < sum(_words) / len(_words),
    measured=f"colour and shape {min(_words):.2f} to {max(_words):.2f}, size {min(_sizes):.2f} to "
    f"{max(_sizes):.2f}; a coin between the objects gets 0.50, a random pixel {_pixel:.2f}",
)

# %% [markdown]
r"""
A map is a hypothesis ([lesson 29](29_explaining.ipynb)). Delete pixels, to black, in the order of the map of "colour", and watch the probability of that word. The rival order is
the map of the *other* colour word.
"""

# %% tags=["claim"]
_place = first_word + PLACES["colour"]
_noise = torch.rand(images[:, 0].shape, generator=torch.Generator().manual_seed(0))
_orders = {
    "own map": "colour",
    "map of the other colour word": "colour 2",
    "its object, in random order": masks[:, 0].float() + 0.5 * _noise,
    "random": _noise,
}
_areas = {}
fig, ax = plt.subplots(figsize=(4.9, 2.6), layout="constrained")
for (name, key), style in zip(_orders.items(), ("-", "--", "-.", ":"), strict=True):
    _runs = [
        faithfulness.deletion_curve(
            each,
            {"images": images, "ids": two_ids},
            two_ids[:, _place],
            "images",
            found[key] if isinstance(key, str) else key,
            read=lambda said: said.at_words()[:, _place - 1],
        )
        for each, found in zip(models["all parts"], maps, strict=True)
    ]
    _areas[name] = [curve.area.mean().item() for curve in _runs]
    ax.plot(_runs[0].shares, _runs[0].scores.mean(dim=0), style, label=name)
ax.set(xlabel="share of pixels deleted", ylabel="probability of the colour word")
fig.legend(loc="outside upper left", ncols=2, fontsize=8)
show(
    fig,
    "Own map and own object: the probability falls at once. The others: later.",
)

claim(
    "C31.16",
    "Deleting what a word's own map points at makes the model lose that word sooner than the map "
    "of the other object or a random order. It names the object, no more: the pixels of that object in random order "
    "do as well (3 seeds)",
    all(
        max(own, shuffled) < min(other, random) - 0.1
        for own, other, shuffled, random in zip(*_areas.values(), strict=True)
    )
    and abs(sum(_areas["own map"]) - sum(_areas["its object, in random order"])) < 0.15,
    measured=", ".join(
        f"{name} {min(v):.2f} to {max(v):.2f}" for name, v in _areas.items()
    ),
)

# %% [markdown]
r"""
## 31.7 Wrong answers people give

**"I evaluate with the argmax of the logits: 80 % of the words are right."** Two things flatter. Words are
counted, and a caption needs all of its dozen. And the true words before each place were given.
"""

# %% tags=["claim"]
forced, learnt = [], data.labels[:, 1:] != -100
for each in models["projector"]:
    with torch.no_grad():
        _argmax = each(data.images, data.ids).at_words()[:, :-1].argmax(dim=-1)
    forced.append((_argmax == data.labels[:, 1:])[learnt].float().mean().item())
_written = []
for texts in written["projector"]:
    _hits = [
        sum(a == b for a, b in zip(text.split(), answer.split(), strict=False))
        for text, answer in zip(texts, data.answers, strict=True)
    ]
    _written.append(sum(_hits) / sum(len(answer.split()) for answer in data.answers))
claim(
    "C31.18",
    "With the projector alone about three words in four are right, forced or written, and fewer "
    "than one caption in three (3 seeds)",
    min(forced + _written) > 0.7
    and max(forced) < 0.9
    and max(exact["projector"]) < 0.33,
    measured=f"words forced {min(forced):.2f} to {max(forced):.2f}, written {min(_written):.2f} to "
    f"{max(_written):.2f}, captions {min(exact['projector']):.2f} to {max(exact['projector']):.2f}",
)

# %% [markdown]
r"""
Here forcing adds little, since the phrases have a fixed form. Where the code is broken it hides everything: train case 03, whose loss is not shifted,
and compare its argmax with its labels, as its author does.
"""

# %% tags=["claim"]
from course_lib.data.scene_language import ENGLISH

program = judge.load(desk.source("03"), "case 03")
captions_ids = ENGLISH.encode_batch(data.drawn.captions)
shares, writes = [], []
for seed in SEEDS:
    torch.manual_seed(seed)
    writer = program.Writer(len(ENGLISH))
    rule = torch.optim.AdamW(writer.parameters(), lr=0.02)
    for _ in range(40):
        rule.zero_grad()
        program.lm_loss(writer, captions_ids).backward()
        rule.step()
    right = writer(captions_ids).argmax(dim=-1) == captions_ids
    shares.append(right[captions_ids != ENGLISH.PAD].float().mean().item())
    writes.append(program.write(writer, longest=12))
claim(
    "C31.22",
    "By the argmax of its logits the unshifted model of case 03 is perfect, and left to itself it "
    "writes nothing (3 seeds)",
    min(shares) > 0.99 and not any(writes),
    measured=f"accuracy {min(shares):.3f} at least, captions written {sum(map(bool, writes))} "
    f"of {len(writes)}",
)

# %% [markdown]
r"""
**"The multimodal model has BLEU-4 0.34, the unimodal one 0.2, so fusion works."** Unimodal how? A model without the image has no reason to name these
objects, yet a blind one gets over 10 of 100 (C31.11). Without floor, tokeniser, split and number of references it says little.

**"The loss is NaN, so I clip the gradient."** It rescales what is too large, not what is no number:
"""

# %% tags=["claim"]
layer = torch.nn.Linear(3, 2)
layer(torch.tensor([[1.0, float("nan"), 2.0]])).sum().backward()
before = torch.cat([p.grad.flatten() for p in layer.parameters()])
torch.nn.utils.clip_grad_norm_(layer.parameters(), max_norm=1.0)
after = torch.cat([p.grad.flatten() for p in layer.parameters()])
claim(
    "C31.19",
    "Clipping does not repair a NaN, it spreads it: one NaN in the norm makes every gradient NaN",
    before.isfinite().sum() == 6 and after.isfinite().sum() == 0,
    measured=f"finite entries before {before.isfinite().sum()} of 8, after {after.isfinite().sum()}",
)

# %% [markdown]
r"""
**"It runs, so the shapes are right."** Predictions come as (B, 1), targets as (B,). The difference is (B, B): every prediction meets every target. The mean of
$(y_i - y_j)^2$ over all pairs is twice the variance, so that is what a *perfect* model pays:
"""

# %% tags=["claim"]
_target = 3 * torch.randn(400, generator=torch.Generator().manual_seed(0)) + 1
_perfect, _constant = _target[:, None], _target.mean().expand(400, 1)
_paid = [(each - _target).pow(2).mean().item() for each in (_perfect, _constant)]
_variance = _target.var(correction=0).item()
claim(
    "C31.29",
    "A squared error of (B, 1) against (B,) raises nothing, charges a perfect model twice the variance of the targets, "
    "and a model that says their mean for every input once: training learns the mean",
    abs(_paid[0] / (2 * _variance) - 1) < 1e-4 and abs(_paid[1] / _variance - 1) < 1e-4,
    measured=f"perfect {_paid[0]:.2f}, constant {_paid[1]:.2f}, variance {_variance:.2f}",
)

# %% [markdown]
r"""
So the loss stops at the variance, and every prediction is the same. Assert both shapes before the loss; `F.mse_loss` at least warns.

**"Transformers is an NLP library that supports PyTorch and TensorFlow; BERT and GPT are frameworks."** Version 5 dropped TensorFlow and JAX, and
image, audio and video models are a large part of it. BERT and GPT are architectures; PyTorch and JAX, which compute gradients, are frameworks.
"""

# %% tags=["claim"]
_gone = [
    hasattr(transformers, name) for name in ("TFViTModel", "FlaxViTModel", "AdamW")
]
_names = ("ViTModel", "WhisperModel", "LlavaForConditionalGeneration")
_here = [hasattr(transformers, name) for name in _names]
_other = [name for name in dir(transformers) if name.startswith(("TF", "Flax"))]
claim(
    "C31.20",
    "This transformers has no TensorFlow or JAX model and no AdamW, and has models for images, "
    "speech and both with text",
    not any(_gone) and all(_here) and not _other,
    measured=f"{sum(_gone)} of {len(_gone)}, {sum(_here)} of {len(_here)}, {len(_other)} names "
    "with TF or Flax",
)

# %% [markdown]
r"""
**"The framework does not matter, a loss is a loss."** The formulas agree (C31.7) and the *defaults* do not, which is where a port goes wrong. Keras'
sparse cross-entropy takes probabilities unless one says `from_logits=True`, and ignores no label. Its layer norm adds 0.001 to the variance,
PyTorch's 0.00001 (source 9). Is that much? Embeddings of GPT-2 and BERT start with a standard deviation of 0.02, a variance of 0.0004:
"""

# %%
embedded = 0.02 * torch.randn(1000, 48, generator=torch.Generator().manual_seed(0))
spread = {}
for name, eps in (("PyTorch", 1e-5), ("Keras", 1e-3)):
    spread[name] = F.layer_norm(embedded, (48,), eps=eps).std().item()
    print(f"{name:8s} adds {eps}: standard deviation after the norm {spread[name]:.2f}")

# %% tags=["claim"]
claim(
    "C31.24",
    "Defaults differ: on embeddings as they start, layer norm with Keras' default epsilon gives "
    "about half of the spread that PyTorch's gives",
    spread["PyTorch"] > 0.95 and 0.4 < spread["Keras"] < 0.6,
    measured=", ".join(f"{name} {value:.2f}" for name, value in spread.items()),
)

# %% [markdown]
r"""
$\sqrt{0.0004 / (0.0004 + 0.001)} = 0.53$. So a port is tested layer by layer, with the same weights.

## 31.8 At scale

The recipe of this lesson is that of LLaVA-1.5: a frozen CLIP ViT-L/14 at 336 pixels gives 576 patches of width 1,024, read before its last layer
(`--mm_vision_select_layer -2`; ours reads after it). A projector of two layers leads to a decoder of width 4,096. Stage 1 trains the projector on 558
k captions, stage 2 projector and decoder on 665 k instructions. What must fit into memory, with mixed precision and AdamW? 2 bytes per weight to
compute with. For each *trained* weight 2 of gradient, 4 of master copy and 8 of moments: 16 bytes together.
"""

# %%
decoder, vision = 6.74e9, 0.30e9
projector = 1024 * 4096 + 4096 + 4096 * 4096 + 4096
for stage, learning in (("stage 1", projector), ("stage 2", projector + decoder)):
    gib = (2 * (decoder + vision + projector) + 14 * learning) / 2**30
    print(
        f"{stage}: {learning / 1e6:6,.0f} M trained, {gib:5.1f} GiB before activations"
    )
tokens = 665_000 * (576 + 200)  # 200 tokens of text each: an assumption
for note, operations in (("", 6), (", activations recomputed", 8)):
    hours = operations * decoder * tokens / (8 * 312e12) / 3600  # A100, bf16
    print(f"stage 2 at the peak of eight A100{note}: {hours:.1f} hours")
    print(f"  the authors' 10 hours are {hours / 10:.0%} of the peak")

# %% [markdown]
r"""
Two operations per weight and token forward, four backward; recomputing activations, as LLaVA does, adds two. Its README gives about 3.5 hours for stage 1 and about 10 for stage 2
at 7 B, 5.5 and 20 at 13 B (source 1).

So stage 1 fits on one card and stage 2 needs sharding (ZeRO or FSDP) or LoRA. A missing mask in the labels costs that many hours times eight cards;
the tests of 31.4 cost seconds. What changes with size: the loss is divided by the words of *all* devices and micro-batches (exercise 31.2); norms, softmax and loss stay in fp32 (case 12); generation is slow, so it runs on a
fixed small set.

**Which framework?** The formulas are the same and the defaults are not. Choose by ecosystem and people: PyTorch for most open multimodal models; JAX on TPUs; Keras where it already runs; for serving an engine (vLLM,
TensorRT-LLM, ONNX Runtime), whatever you trained with.

**Which environment?** One isolated environment per project, a maintained Python, exact versions under version control, PyTorch from wheels that carry their own CUDA
libraries, and a command that checks all that (here `course doctor`). PyTorch left its Anaconda channel (source 7). Log every run with commit, configuration and seed.

## 31.9 Going deeper: regions, without gradients

Behind an inference server there are no gradients. Captum's `LLMAttribution` paints regions of the image over and reads the log-probability of every
word again. For how many colour and shape words does any one of the sixteen regions matter?
"""

# %% tags=["claim"]
_agree, _chance, _asked = [], [], 0
for each in models["all parts"]:
    for row, example in enumerate(two[:16]):
        _found = captions.attribute_caption(
            each, WORDS, images[row], DESCRIBE, data.answers[example]
        )
        for word, which in ((1, 0), (2, 0), (7, 1), (8, 1)):
            _effect, _asked = _found.per_token[word], _asked + 1
            if _effect.max() > 0.1:  # nats: some region matters
                _touched = _found.regions[masks[row, which]].unique()
                _agree.append(bool((_effect.argmax() == _touched).any()))
                _chance.append(len(_touched) / 16)
_share, _level = sum(_agree) / len(_agree), sum(_chance) / len(_chance)
claim(
    "C31.17",
    "Where one region matters to a colour or shape word, it lies on that word's object; to most of "
    "these words no single region matters (3 seeds)",
    _share > 0.85 and _share > _level + 0.4 and len(_agree) < 0.5 * _asked,
    measured=f"{_share:.2f} of {len(_agree)} words, random {_level:.2f}; no region matters to "
    f"{_asked - len(_agree)} of {_asked}",
)

# %% [markdown]
r"""
Half a green diamond is still green. Removing asks what cannot be replaced; a gradient along the path shares the credit. Both are right.

## 31.10 The 60-second answer

"I do not celebrate, I compare. First I ask which captions: a handful can be learnt by heart. On captions that it has not seen no model gets below
their entropy, and untrained it loses ln V per word, so there 0.002 means that the answer is in the input. Then I let it write. If it writes nonsense,
the loss was fooled. Usual reason: labels not shifted, so the model copies the word it reads; next, no causal mask; next, test captions in the
training set. One test finds the first two: change a word of the input, keep its label, and the losses up to that word must not move. I test the rest the same way.
Overfit eight examples: the loss must go to about 0; if it stops at ln 8 per caption, the image does not arrive. Take the image away: shuffled images
must ruin exact match. Load weights strictly, evaluate in eval mode, generate instead of teacher forcing. Only then do I talk about BLEU, next to what
a blind model gets."

## 31.11 Questions

Say each answer aloud before you read on.
"""

# %%
from course_lib.interview.show import show_questions

bets("31")
show_questions("31")

# %% [markdown]
r"""
## 31.12 Card

- **Formula** mean over counted words of $-\log p(\text{next word} \mid \text{image, words before})$; untrained $\ln V$; blind on $n$ captions $n \ln n / N$.
- **Shapes** images (B, 3, h, w) → (B, P, D); ids (B, T) with one `<image>` → (B, T − 1 + P, D) → scores (B, T − 1 + P, V); labels −100 off the answer.
- **Cost** five tests: seconds. Stage 2 of a 7 B model: hours on eight cards. Cache: each position is read once; without it all of them again for every word.
- **Use** a word changed and its label kept, one batch by heart, shuffled images, generation, strict loads, three seeds, a new combination of known parts.
- **Do not** trust a loss without its floor, a metric without its blind baseline, a repair that makes a message go away.

## 31.13 Sources

1. Liu et al. (2023), [arXiv:2304.08485](https://arxiv.org/abs/2304.08485) and [arXiv:2310.03744](https://arxiv.org/abs/2310.03744): LLaVA and LLaVA-1.5, stages, projector, data sizes; hours and the layer that is read: its [repository](https://github.com/haotian-liu/LLaVA), README and `scripts/v1_5`.
2. Radford et al. (2021), [arXiv:2103.00020](https://arxiv.org/abs/2103.00020): pre-training of the image encoder on pairs.
3. Papineni et al. (2002), [doi:10.3115/1073083.1073135](https://doi.org/10.3115/1073083.1073135): BLEU; Post (2018), [arXiv:1804.08771](https://arxiv.org/abs/1804.08771): say which tokeniser. Vedantam et al. (2015), [arXiv:1411.5726](https://arxiv.org/abs/1411.5726): CIDEr.
4. Rohrbach et al. (2018), [arXiv:1809.02156](https://arxiv.org/abs/1809.02156): CHAIR. Li et al. (2023), [arXiv:2305.10355](https://arxiv.org/abs/2305.10355): POPE.
5. Sundararajan et al. (2017), [arXiv:1703.01365](https://arxiv.org/abs/1703.01365): integrated gradients. Kokhlikyan et al. (2020), [arXiv:2009.07896](https://arxiv.org/abs/2009.07896): captum. Zhang et al. (2016), [arXiv:1608.00507](https://arxiv.org/abs/1608.00507): the pointing game. Petsiuk et al. (2018), [arXiv:1806.07421](https://arxiv.org/abs/1806.07421): deletion.
6. Micikevicius et al. (2017), [arXiv:1710.03740](https://arxiv.org/abs/1710.03740): mixed precision. Rajbhandari et al. (2019), [arXiv:1910.02054](https://arxiv.org/abs/1910.02054): bytes a weight. Kaplan et al. (2020), [arXiv:2001.08361](https://arxiv.org/abs/2001.08361): six operations a weight and token. NVIDIA, A100 data sheet: its peak.
7. Hugging Face, [migration guide to transformers 5](https://github.com/huggingface/transformers/blob/main/MIGRATION_GUIDE_V5.md): what is gone. PyTorch, [issue 138506](https://github.com/pytorch/pytorch/issues/138506): the end of its Anaconda channel.
8. Real reports: [KempnerForge #154](https://github.com/KempnerInstitute/KempnerForge/issues/154), a captioner at 0.0015 and then 0, labels not shifted; [minimind-v #75](https://github.com/jingyaogong/minimind-v/issues/75), a load that was not strict; [transformers #24725](https://github.com/huggingface/transformers/issues/24725), a mean of means, mended in [#34191](https://github.com/huggingface/transformers/pull/34191); [TRL #6357](https://github.com/huggingface/trl/pull/6357), EOS masked as padding; [lamorel #53](https://github.com/flowersteam/lamorel/issues/53), padding on the wrong side. Each case of the clinic names a public report, or the page or paper that its program contradicts.
9. Keras, [SparseCategoricalCrossentropy](https://keras.io/api/losses/probabilistic_losses/) and [LayerNormalization](https://keras.io/api/layers/normalization_layers/layer_normalization/): defaults. PyTorch, [LayerNorm](https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html).

## 31.14 Worked solutions

The clinic first: cases 03, 08, 11 and 12 repaired.
"""

# %%
for number in ("03", "08", "11", "12"):
    before, after = desk.source(number).splitlines(), desk.worked(number).splitlines()
    print(*[f"- {line.strip()}" for line in before if line not in after], sep="\n")
    print(*[f"+ {line.strip()}" for line in after if line not in before], sep="\n")
    desk.check_repair(number, desk.worked(number))


# %% tags=["solution"]
def collate(examples, bos, eos, pad):
    rows = [[bos, *prompt, *answer, eos] for prompt, answer in examples]
    place = torch.arange(max(map(len, rows)))
    ids = torch.tensor([row + [pad] * (len(place) - len(row)) for row in rows])
    mask = place < torch.tensor([[len(row)] for row in rows])
    given = place < torch.tensor([[1 + len(prompt)] for prompt, _ in examples])
    return ids, ids.masked_fill(given | ~mask, -100), mask


check(exercise.collate, collate, solution=True)


# %% tags=["solution"]
def train_step(model, micro_batches, optimizer, clip_norm):
    words = sum(int((labels[:, 1:] != -100).sum()) for _, labels in micro_batches)
    optimizer.zero_grad()
    total = 0.0
    for ids, labels in micro_batches:
        scores = model(ids)[:, :-1].flatten(0, 1)
        loss = F.cross_entropy(scores, labels[:, 1:].flatten(), reduction="sum") / words
        loss.backward()
        total += loss.item()
    torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    return total


check(exercise.train_step, train_step, solution=True)


# %% tags=["solution"]
def generate_words(model, image, prompt, most, eos, pad):
    scores, cache = model.start(image, prompt)
    ended, said = torch.zeros(len(prompt), dtype=torch.bool), []
    for number in range(most):
        word = scores.argmax(dim=1).masked_fill(ended, pad)
        said.append(word)
        ended = ended | (word == eos)
        if ended.all() or number + 1 == most:
            break
        scores = model.step(word, cache)
    return torch.stack(said, dim=1)


check(exercise.generate, generate_words, solution=True)

# %% [markdown]
r"""
*Lessons:* [start page](00_start_here.ipynb) · previous: 30 · Multimodal retrieval-augmented generation and agents (planned), before it [29 · Explaining: what does the model look at?](29_explaining.ipynb) · next: 32 · System-design interviews (planned)
"""
