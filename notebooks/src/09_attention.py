# %% [markdown] tags=["second-form"]
r"""
# 09 · Attention from first principles

You will be able to write attention with its shapes, say what each part is for, and show the cell that proves it.

*85 minutes and 30 more · needs no other lesson · under 60 s of CPU*

*15 minutes:* [The 60-second answer](#9.11-The-60-second-answer) · [Wrong answers people give](#9.8-Wrong-answers-people-give) · [Card](#9.13-Card)

*Lessons:* [start page](00_start_here.ipynb) · previous: 08 · Dynamic fusion and missing modalities (planned), before it [07 · Fusing modalities](07_fusing_modalities.ipynb) · next: 10 · Cross-modal interaction and connectors (planned), then [12 · Task losses and class imbalance](12_task_losses.ipynb)
"""

# %% [markdown]
r"""
## 9.1 The interview question

> **Write attention with shapes and explain the scale. Which variants do you know, and what does each cost?**
>
> **写出注意力的公式和各张量的形状，并解释缩放因子。你知道哪些变体？各自的代价是什么？**

**You will be able to**

1. write scaled dot-product and multi-head attention so that they equal PyTorch's, CLIP's and Llama's, masks and NaN included;
2. derive $\sqrt{d_k}$, and refute what people say about it;
3. derive RoPE's relative property and write position ids for a text with images in it;
4. say what windows, grouped heads and long sequences cost, in operations and in bytes, and why reading a prompt and writing an answer are bound by different things;
5. read an attention map between words and patches, and test by cutting edges whether it matters.

## 9.2 Try first

A layer has 8 heads of width 64, so its model width is 512, and reads 256 tokens. A *score* is the dot product of a query with a key. Three colleagues change one
thing each:

- **A** doubles the sequence to 512 tokens,
- **B** doubles the number of heads to 16, at the same model width,
- **C** doubles the width of a head to 128 and keeps 8 heads.

For each, say by what factor changes (1) the variance of the unscaled scores, if all entries of queries and keys are independent
with mean 0 and variance 1, (2) the number of parameters, (3) the number of scores. Nine factors; 9.7 computes them.
"""

# %%
from course_lib.lesson.bets import bet, bets

bet("C09.17", "Which change raises the variance?", ["A", "B", "C", "A and C"])
bet("C09.17b", "Which change adds parameters?", ["B", "C", "B and C", "none"])

# %%
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.data.catalogue import find
from course_lib.data.scene_language import ENGLISH
from course_lib.data.scene_questions import ANSWERS, make_colour_questions
from course_lib.exercises import lesson_09 as exercise
from course_lib.explain import plots_attention, plots_structure
from course_lib.interview.show import show_questions
from course_lib.lesson.claims import claim
from course_lib.lesson.exercises import check, hint
from course_lib.lesson.explore import explore
from course_lib.lesson.figures import dot_plot, show
from course_lib.models import attention, masks, positions
from course_lib.models.vqa import VqaTransformer
from course_lib.training import sink
from course_lib.training.weights import load_weights

_ = torch.manual_seed(0)

# %% [markdown]
r"""
![Words are projected to queries, patches to keys and values, and all are split into heads. Queries times keys over the root of E
give scores; mask and softmax give weights; weights times values, joined over heads and projected, are added to the
words.](figures/09_attention.svg)

*One attention layer. The upper left box asks, the lower left box answers.* If both are the same tokens it is
self-attention, otherwise cross-attention; the arithmetic is the same.

## 9.3 By hand

A question asks about a ring. The word "ring" gives a query of width 4; three patches of an image give a key each. Product,
scale, exponential, share:
"""

# %%
query = torch.tensor([1.0, 1, 1, 1])
keys = torch.tensor([[2.0, 0, 2, 0], [1, 1, 0, 0], [0, 0, 0, 0]])
patches = ["green ring", "red cross", "background"]
products = keys @ query
powers = (products / 4**0.5).exp()  # 4 is the width
weights = powers / powers.sum()
for row in zip(patches, products, powers, weights, strict=True):
    print("{:11s} product {:.0f}  exp {:5.3f}  weight {:.3f}".format(*row))

# %% [markdown]
r"""
What is *read* is not the key but the value, here the colour of the patch. Then the same with a mask: the ring may not be read.
"""

# %%
values = torch.tensor([[0.0, 1], [1, 0], [0, 0]])  # (red, green) of each patch
print("free:   red {:.3f}, green {:.3f}".format(*weights @ values))

allowed = torch.tensor([False, True, True])
left = powers * allowed
print("masked: red {:.3f}, green {:.3f}".format(*left / left.sum() @ values))

# %% [markdown]
r"""
Three things to notice. The weights hand out exactly 1, wanted or not: ban the ring, and its share goes to the others. The key
decides *how much*, the value decides *what*. And what if there is a single key, such as one vector for a whole image?
"""

# %%
bet(
    "C09.3",
    "One key, one value. What does a query 100 times as large change?",
    ["the weight", "the output, not the weight", "both", "nothing"],
)

# %% tags=["reveal"]
one_key, one_value = torch.randn(1, 1, 8), torch.randn(1, 1, 8)
for scale in (1, 100):
    query = scale * torch.ones(1, 1, 8)
    read = attention.dot_product_attention(query, one_key, one_value)
    print("weight", read.weights.item(), " output", read.output[0, 0, :3])

# %% tags=["claim", "reveal"]
asked, shouted = (
    attention.dot_product_attention(scale * torch.randn(1, 5, 8), one_key, one_value)
    for scale in (1, 100)
)
difference = (asked.output - shouted.output).abs().max().item()
claim(
    "C09.3",
    "With one key every weight is 1, whatever the query says: what cross-attention reads from one pooled vector "
    "ignores the question",
    (asked.weights == 1).all() and (shouted.weights == 1).all() and difference == 0,
    measured=f"two different sets of queries, difference of the outputs {difference}",
    answer="nothing",
)

# %% [markdown]
r"""
### Exercise 09.1 · sdpa ●●○ 15 minutes

Write it for whole batches: `query` (B, H, T, E), `key` (B, H, S, E), `value` (B, H, S, E_value), and a boolean `mask` that broadcasts with (B, H, T, S),
True where a query may read a key. Return `(output, weights)`, the shapes (B, H, T, E_value) and (B, H, T, S). A query that
may read nothing gets zeros in both, and no NaN, forwards or backwards. The tests include scores beyond ±10,000, float16 and bfloat16.
"""


# %% tags=["exercise"]
def sdpa(query, key, value, mask=None):
    """Returns (output (B, H, T, E_value), weights (B, H, T, S))."""
    raise NotImplementedError


check(exercise.sdpa, sdpa)
hint(exercise.sdpa)

# %% [markdown]
r"""
## 9.4 In symbols

$$\mathrm{attention}(Q, K, V) = \mathrm{softmax}\!\left(\frac{QK^\top}{\sqrt{E}}\right)V$$

$$\mathrm{output} = [\mathrm{head}_1 \cdots \mathrm{head}_H]\,W_o, \qquad
\mathrm{head}_h = \mathrm{attention}(XW_q^h,\; YW_k^h,\; YW_v^h)$$

| symbol | in code | shape | meaning |
| --- | --- | --- | --- |
| $X$, $Y$ | `x`, `source` | (B, T, D), (B, S, D_source) | who asks, who answers, at the model's width $D$; $Y = X$ in self-attention |
| $Q$; $K$, $V$ | `query`; `key`, `value` | (B, H, T, E); (B, H, S, E) | $E = D / H$, in papers $d_k$ |
| scores | `products / √E` | (B, H, T, S) | before the softmax, logits |
| $A$, weights | `weights` | (B, H, T, S) | rows sum to 1; each query hands out 1 |
| mask | `mask` | broadcasts with (B, H, T, S) | **True = may be read** (`nn.MultiheadAttention` uses True for *ignore*) |

**Every variant is five choices.** They combine freely, with one condition: a causal or local mask needs an order that both sides share. Across modalities that means
aligned time.

| choice | options | for | against |
| --- | --- | --- | --- |
| where keys come from | **self**: the same sequence · **cross**: another one | self relates all tokens; cross costs $TS$, not $(T+S)^2$ | cross leaves the source unchanged; with one key it is deaf |
| who may read whom | **global** · causal · **local** (window) · prefix · blocks | global: any pair in one layer; local: $TR$ scores for $R$ keys | global: $TS$ scores; local: far pairs need several layers |
| how a pair is scored | additive · **dot product** $q^\top k$ · **scaled** $q^\top k / \sqrt{E}$ · cosine | a dot product is one matrix product, the fastest | unscaled: saturates as $E$ grows |
| how the read is done | **soft**: weighted mean · **hard**: one item | soft is differentiable | hard needs sampling tricks to train |
| how many reads side by side | one · **multi-head** ($H$) · keys shared by groups (GQA) or by all (MQA) | several patterns at once, same parameters | narrower heads, $H$ score matrices |

*Global* and *local* are Luong's words (2015) for attending to all source positions or to a window of them. The additive score, $v^\top \tanh(W_q q + W_k k)$, is older (Bahdanau, 2014).

*Multimodal attention* adds nothing to this table: it is the choice which modality asks and which answers. Image-text matching:
words ask patches. Video: frames ask the sound track, or both stand in one sequence. Medicine: a patient's record asks the scan.

## 9.5 Build it

**One attention**: a loop over every pair, then two matrix products, then the course's function, then PyTorch's.
"""


# %%
def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


q, k, v = normal(4, 6), normal(5, 6, seed=1), normal(5, 7, seed=2)  # T 4, S 5, E 6
looped = torch.zeros(4, 7)
for t in range(4):
    powers = torch.stack([(q[t] @ k[s] / 6**0.5).exp() for s in range(5)])
    for s in range(5):
        looped[t] += powers[s] / powers.sum() * v[s]

# %%
vectorised = (q @ k.T / 6**0.5).softmax(dim=-1) @ v
ours = attention.dot_product_attention(q, k, v).output
fused = F.scaled_dot_product_attention(q, k, v)
for other in (vectorised, ours, fused):
    print(torch.allclose(looped, other, atol=1e-6), end=" ")

order = torch.tensor([3, 0, 4, 2, 1])  # of the keys, with their values
shuffled = attention.dot_product_attention(q, k[order], v[order]).output
print("\nkeys in another order:", torch.allclose(ours, shuffled, atol=1e-6))

# %% [markdown]
r"""
The last line says: another order of the keys, the same output. Attention reads a *set*; we come back to that.

**Numbers that break it.** Six ways to apply a mask, the sixth being PyTorch's fused kernel, and four inputs. *Loud*: scores of ±10,000. *Banned*: the loudest key is masked.
*Nothing*: all keys are masked, as for a missing image. *Half*: float16, where the largest number is 65,504.
"""

# %%
WAYS = {
    "exp, mask, divide": lambda s, m: s.exp() * m / (s.exp() * m).sum(),
    "softmax, mask, divide": lambda s, m: s.softmax(-1) * m / (s.softmax(-1) * m).sum(),
    "fill with -1e9": lambda s, m: s.masked_fill(~m, -1e9).softmax(-1),
    "fill with -inf": lambda s, m: s.masked_fill(~m, -torch.inf).softmax(-1),
    "lowest number, times mask": attention.masked_softmax,
}
bet(
    "C09.9",
    "With PyTorch's fused kernel six ways, four inputs: how many of 24 go wrong?",
    ["2", "5", "8", "12"],
)


# %% tags=["claim", "reveal"]
def fused_weights(scores, mask):
    """torch's kernel for this machine's CPU, made to show its weights: the values are the unit vectors."""
    units = torch.eye(scores.shape[-1], dtype=scores.dtype)
    ask = torch.ones(1, 1, dtype=scores.dtype)
    return F.scaled_dot_product_attention(
        ask, scores[:, None], units, attn_mask=mask[None], scale=1.0
    )[0]


loud, quiet = (
    torch.tensor([1e4, -1e4, 0.0]),
    torch.tensor([3.0, 1.0, 2.0]).half(),
)
yes, no = torch.tensor([True] * 3), torch.tensor([False] * 3)
CASES = {  # scores, mask, the weights that are right
    "loud": (loud, yes, [1.0, 0.0, 0.0]),
    "banned": (loud, ~torch.tensor([True, False, False]), [0.0, 0.0, 1.0]),
    "nothing": (loud, no, [0.0, 0.0, 0.0]),
    "half": (quiet, torch.tensor([True, False, True]), [0.7311, 0.0, 0.2689]),
}


def verdict(way, scores, mask, right):
    try:
        got = way(scores, mask).float()
    except RuntimeError:
        return "refused"
    fits = torch.allclose(got, torch.tensor(right), atol=1e-3)
    return "NaN" if got.isnan().any() else "ok" if fits else "wrong"


every_way = WAYS | {"torch's fused kernel": fused_weights}
table = {
    name: [verdict(way, *case) for case in CASES.values()]
    for name, way in every_way.items()
}
print(f"{'':27s}" + "".join(f"{case:9s}" for case in CASES))
for way, verdicts in table.items():
    print(f"{way:27s}" + "".join(f"{word:9s}" for word in verdicts))

x, nobody = torch.randn(1, 3, 8), torch.ones(1, 3, dtype=torch.bool)
module = nn.MultiheadAttention(8, 2, batch_first=True)
nan = {}
for need in (True, False):
    out, _ = module(x, x, x, key_padding_mask=nobody, need_weights=need)
    nan[need] = out.isnan().any().item()
bad = sum(word != "ok" for words in table.values() for word in words)
claim(
    "C09.9",
    "Only two of the six survive all four inputs: the lowest finite number and then times the mask, and torch's fused kernel on "
    "the CPU",
    [way for way, words in table.items() if set(words) == {"ok"}]
    == ["lowest number, times mask", "torch's fused kernel"]
    and bad == 8,
    measured=f"{bad} of 24 go wrong; nn.MultiheadAttention with all keys masked gives NaN: {nan[True]} with "
    f"need_weights=True, {nan[False]} without",
    answer="8",
)

# %% [markdown]
r"""
The dangerous cell says *wrong*: with -1e9 a query that may read nothing reads *everything*, padding included, and no alarm goes
off. (-inf at least says NaN.) In float16 -1e9 does not exist: filling refuses it here, adding it as a tensor makes -inf. And
whether `nn.MultiheadAttention` gives NaN for a missing image depends, in today's PyTorch, on whether you ask for its weights: look at the
brackets. The fused kernel that passed is the CPU's; on another device another kernel runs, so repeat the test there.

**Several heads.** Project with full matrices, give each head its slice of the *features*, attend, put the slices together, project.
First a loop over heads, then the module.
"""

# %%
layer, x = attention.MultiHeadAttention(12, 3), normal(2, 5, 12)  # D 12, three heads
heads = []
for h in range(3):
    own = slice(4 * h, 4 * h + 4)  # head h owns these features of every token
    q, k, v = (each(x)[..., own] for each in (layer.query, layer.key, layer.value))
    heads.append((q @ k.mT / 4**0.5).softmax(dim=-1) @ v)
looped = layer.out(torch.cat(heads, dim=-1))
print("loop = module:", torch.allclose(looped, layer(x).output, atol=1e-6))
print("parameters:", sum(p.numel() for p in layer.parameters()), "= 4 · 12 · 12")

# %% [markdown]
r"""
### Exercise 09.2 · mha ●●○ 10 minutes

`x` is (B, T, D), the four matrices (D, D) are applied as `x @ w`, the result is (B, T, D). `heads` divides D; head h owns the neighbouring features h·E to (h+1)·E. No mask, no loop over heads. The classic slip
has the right shape and the wrong numbers: a view to (B, H, T, E) mixes tokens.
"""


# %% tags=["exercise"]
def mha(x, w_query, w_key, w_value, w_out, heads):
    """Multi-head self-attention without a mask; you may call your sdpa."""
    raise NotImplementedError


check(exercise.mha, mha)
hint(exercise.mha)

# %% [markdown]
r"""
**Positions.** Attention reads a set, so order must come from somewhere. RoPE takes two neighbouring features as a point in the plane, a complex number $a + ib$, and
turns it at position $p$ by the angle $p\,\theta$. Why does a score then see only distances? Three lines:

1. The dot product of two points is $\mathrm{Re}(q\,\bar k)$.
2. After the turn it is $\mathrm{Re}(q e^{ip\theta}\,\overline{k e^{ip'\theta}}) = \mathrm{Re}(q \bar k\, e^{i(p - p')\theta})$.
3. Only $p - p'$ is left. And a turn changes no length.

Pair $i$ has its own speed, $\theta_i = b^{-2i/E}$ with a base $b$ of 10,000 in the paper: the first pair turns a whole radian per position, the last hardly moves.
"""

# %%
theta = 10_000 ** (-torch.arange(0, 8, 2) / 8)  # E = 8: four pairs


def turned(x, position):
    pairs = torch.view_as_complex(x.view(4, 2)) * torch.exp(1j * position * theta)
    return torch.view_as_real(pairs).flatten()


q, k = normal(8, seed=3), normal(8, seed=4)
for at, other in ((5, 2), (12, 9), (105, 102), (5, 3)):
    score = turned(q, at) @ turned(k, other)
    print(
        f"query at {at:3d}, key at {other:3d}: distance {at - other}, score {score:.3f}"
    )

# %% [markdown]
r"""
### Exercise 09.3 · rope ●●● 15 minutes

`x` is (..., S, E) with E even, `positions` (S,), whole numbers. The features 2i and 2i+1 form pair i, (a, b); at position $p$ it turns anticlockwise by
$\alpha = p\, b^{-2i/E}$ radians, to $(a\cos\alpha - b\sin\alpha,\; a\sin\alpha + b\cos\alpha)$, $b$ being `base`. The result has the shape of `x`.
"""


# %% tags=["exercise"]
def rope(x, positions, base=10_000.0):
    """Rotated x, same shape."""
    raise NotImplementedError


check(exercise.rope, rope)
hint(exercise.rope)

# %% [markdown]
r"""
**Three positions.** A text has one axis, an image two, a video three. Give every token three numbers, time, height and width, and each of them a share of the
frequency pairs: that is M-RoPE of Qwen2-VL (heads of width 128: 16 pairs for time, 24 for height, 24 for width). A word has the same
number on all axes, so for text it *is* RoPE. The next segment starts at the largest number so far, plus 1.
"""

# %%
ids = positions.mrope_ids([2, (2, 3), 2])  # two words, 2 x 3 visual tokens, two words
for axis, row in zip(("time", "height", "width"), ids.tolist(), strict=True):
    print(f"{axis:7s}", row)

speeds = positions.rotary_frequencies(128, base=1e6).split((16, 24, 24))  # Qwen2-VL
for axis, turn in zip(("time", "height", "width"), speeds, strict=True):
    print(f"one step of {axis:6s} turns by {turn[-1]:.6f} to {turn[0]:.6f} rad")

# %% tags=["claim"]
sections, q, k = (2, 3, 3), normal(1, 16, seed=3), normal(1, 16, seed=4)


def score_at(at, other):
    a = positions.rotate(q, positions.mrope_angles(at[:, None], sections))
    b = positions.rotate(k, positions.mrope_angles(other[:, None], sections))
    return (a @ b.mT).item()


image = positions.mrope_ids([(24, 24)])
asks, answers = torch.tensor([4, 3, 5]), torch.tensor([3, 1, 2])  # time, height, width
shifted = [
    score_at(asks + shift, answers + shift)
    for shift in torch.tensor([[0, 0, 0], [4, 7, 1], [9, 2, 40]])
]
moved = [
    abs(score_at(asks + step, answers) - shifted[0])
    for step in torch.eye(3, dtype=torch.int64)
]
claim(
    "C09.6",
    "An M-RoPE score sees only the differences in time, height and width; a 24 x 24 image uses ids 0 to 23 instead of 0 to 575",
    max(shifted) - min(shifted) < 2e-5 < 2e-4 < min(moved)
    and image.max() == 23
    and image.shape == (3, 576),
    measured=f"spread over three shifts {max(shifted) - min(shifted):.0e}; one step in time, height, width alone changes it by "
    f"{', '.join(f'{change:.4f}' for change in moved)}",
)

# %% [markdown]
r"""
Two gains: vertical neighbours are 1 apart, not 24; and text behind an image starts at 24, not 576, so positions stay inside the
range seen in training for longer.

And a weakness, in the last three lines: pairs go from fast to slow, time comes first, so width has only slow pairs, and a neighbour
column is hardly told apart by the angle. (The image encoder has positions of its own, so the content still tells.) Qwen3-VL deals the
pairs out in turn instead, t h w t h w (Huang et al., 2025).

### Exercise 09.4 · mrope_ids ●●○ 10 minutes

`segments` is a list of `("text", tokens)` and `("image", (height, width))`, all numbers 1 or more. Return an integer tensor (3, S), rows time, height, width; patches come row by row, and
all patches of an image have one time.
"""


# %% tags=["exercise"]
def mrope_ids(segments):
    """[("text", 2), ("image", (2, 3)), ("text", 2)] -> the three rows printed above."""
    raise NotImplementedError


check(exercise.mrope_ids, mrope_ids)
hint(exercise.mrope_ids)

# %% [markdown]
r"""
**Everything together**: rotary positions, causal mask, and *grouped queries*, where several query heads share one key head. The folded claim loads the weights of
transformers' CLIP, Llama and Qwen2-VL into this one module and compares.
"""

# %%
layer = attention.MultiHeadAttention(48, heads=4, kv_heads=2)  # E = 12
angles = positions.rotary_angles(torch.arange(10), 12)
read = layer(normal(2, 10, 48), mask=masks.causal_mask(10), angles=angles)
print(
    "weights", tuple(read.weights.shape), " key matrix", tuple(layer.key.weight.shape)
)

# %% tags=["claim"]
from course_lib.compat import ensure_torchvision

ensure_torchvision()  # transformers imports it
from transformers import CLIPVisionConfig, LlamaConfig  # noqa: E402
from transformers.models.clip.modeling_clip import CLIPAttention  # noqa: E402
from transformers.models.llama.modeling_llama import (  # noqa: E402
    LlamaAttention,
    LlamaRotaryEmbedding,
)
from transformers.models.qwen2_vl.configuration_qwen2_vl import (  # noqa: E402
    Qwen2VLTextConfig,
)
from transformers.models.qwen2_vl.modeling_qwen2_vl import (  # noqa: E402
    Qwen2VLAttention,
    Qwen2VLRotaryEmbedding,
)

config = CLIPVisionConfig(
    hidden_size=12, num_attention_heads=3, attn_implementation="eager"
)
clip = CLIPAttention(config).eval().requires_grad_(False)
module = attention.share_projections(
    attention.MultiHeadAttention(12, 3, bias=True), clip
)
x = normal(2, 5, 12)
attended, heads = module(x), []
for h in range(3):
    own = slice(4 * h, 4 * h + 4)
    q, k, v = (each(x)[..., own] for each in (module.query, module.key, module.value))
    heads.append((q @ k.mT / 4**0.5).softmax(dim=-1) @ v)
looped = module.out(torch.cat(heads, dim=-1))
torchs = nn.MultiheadAttention(12, 3, batch_first=True).requires_grad_(False)
three = (module.query, module.key, module.value)
torchs.in_proj_weight.copy_(torch.cat([each.weight for each in three]))
torchs.in_proj_bias.copy_(torch.cat([each.bias for each in three]))
torchs.out_proj.load_state_dict(module.out.state_dict())
gaps = {
    "loop over heads": (looped - attended.output).abs().max().item(),
    "nn.MultiheadAttention": (torchs(x, x, x)[0] - attended.output).abs().max().item(),
    "CLIP": max(
        (one - other).abs().max().item()
        for one, other in zip(clip(x), attended, strict=True)
    ),
}

sizes = {"hidden_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2}
turning = {"rope_type": "default", "rope_theta": 10_000.0}
llama_config = LlamaConfig(**sizes, rope_parameters=turning)
qwen_config = Qwen2VLTextConfig(
    **sizes, rope_parameters={**turning, "mrope_section": [1, 2, 3]}
)
llama_config._attn_implementation = qwen_config._attn_implementation = "eager"
places, causal = positions.mrope_ids([3, (2, 3), 3]), masks.causal_mask(12)
bias = torch.zeros(1, 1, 12, 12).masked_fill(~causal, -torch.inf)  # theirs is added
x, line = normal(2, 12, 48), torch.arange(12)
runs = {
    "Llama": (
        LlamaAttention(llama_config, 0),
        LlamaRotaryEmbedding(llama_config)(x, line[None]),
    ),
    "Qwen2-VL": (
        Qwen2VLAttention(qwen_config, 0),
        Qwen2VLRotaryEmbedding(qwen_config)(x, places[:, None]),
    ),
}
own_angles = {
    "Llama": positions.rotary_angles(line, 12),
    "Qwen2-VL": positions.mrope_angles(places, (1, 2, 3)),
}
for name, (theirs, turns) in runs.items():
    module = attention.share_projections(
        attention.MultiHeadAttention(48, 4, kv_heads=2), theirs.eval()
    )
    output, _ = theirs(x, position_embeddings=turns, attention_mask=bias)
    got = module(x, mask=causal, angles=own_angles[name]).output
    gaps[name] = (got - output).abs().max().item()
claim(
    "C09.8",
    "One module equals its loop, nn.MultiheadAttention, CLIP's, Llama's and Qwen2-VL's attention to 1e-5",
    max(gaps.values()) < 1e-5 and len(gaps) == 5,
    measured=", ".join(f"{name} {gap:.0e}" for name, gap in gaps.items()),
)

# %% [markdown]
r"""
Four heads of queries, weights for four, but keys for two: 24 rows, not 48. That is GQA, and 9.9 says what it saves. One trap: this lesson pairs the features 2i and 2i+1, *interleaved*, like the paper; transformers pairs i and
i + E/2, *halves*. That is a permutation of features. Either is right, as long as queries, keys and the weights agree.
"""

# %% [markdown]
r"""
## 9.6 Explore

**Who may read whom.** 16 tokens: six patches of an image, then ten words. Left: the mask of one layer. Right: what may have reached
each token after several. **Predict first**: with a window of ±2, how many layers until the last word knows the first patch? And which masks let
the *first patch* ever know a word?
"""


# %%
def draw_masks(mask="local window", reach=2, layers=3):
    one = masks.make_mask(mask, 16, reach=reach, prefix=6)
    drawn = {f"{mask}, 1 layer": one, f"{layers} layers": masks.reached(one, layers)}
    return plots_structure.show_pairs(drawn, border=6, kinds=("patches", "words"))


ALT = "Two matrices: a band of width five, and after three layers a band of width 13."
explore(draw_masks, alt=ALT, mask=list(masks.NAMES), reach=(1, 6), layers=(1, 8))

# %% [markdown]
r"""
Eight layers: 15 steps at 2 per layer. And only *global* and *local window* ever let the first patch hear a word. With a causal mask or an
image prefix, and the image in front, patches never know the question; 9.8 takes the gradient.

**The clock.** RoPE turns each pair of features like a hand of a clock, fast hands first. Solid: the query; dashed: the key. **Predict first**:
what happens to the angle *between* the two hands when both move by the same shift?
"""


# %%
def draw_clock(query_at=5, key_at=2, shift=0):
    places = torch.tensor([query_at, key_at]) + shift
    return plots_structure.show_clocks(positions.rotary_angles(places, 8))


ALT = "Four clocks, two hands each; the angle between them shrinks from 3 to 0.003."
explore(draw_clock, alt=ALT, query_at=(0, 40), key_at=(0, 40), shift=(0, 200))

# %% [markdown]
r"""
Nothing: both hands move together, pair by pair, at any shift.

**The softmax and the width.** 16 random keys, sorted by weight. The title turns the spread of the weights into a number of keys, the
exponential of their entropy: 16 if all get the same, 1 if one gets all.
"""


# %%
def weights_of(width, keys=16, scaled=True):
    """(500, keys): weights of unit-variance random queries and keys."""
    q, k = normal(500, 1, width, seed=0), normal(500, keys, width, seed=1)
    scale = None if scaled else 1.0
    return attention.dot_product_attention(q, k, k, scale=scale).weights[:, 0]


def draw_saturation(width=64, keys=16, scaled=False):
    return plots_structure.show_strongest(weights_of(width, keys, scaled))


bet(
    "C09.1",
    "Without the scale: mean weight of the strongest of 16 keys at width 1024?",
    ["about 0.2", "about 0.5", "over 0.9"],
)


# %% tags=["reveal"]
ALT = "Bars falling steeply: unscaled, at width 64 one of 16 keys takes most weight."
widths = [4, 16, 64, 256, 1024]
explore(draw_saturation, alt=ALT, width=widths, keys=(2, 64), scaled=False)

# %% [markdown]
r"""
## 9.7 Evidence

**Try first, computed.** Variance of the unscaled scores, parameters of the layer, number of scores, before and after each change.
"""


# %%
def three_numbers(tokens=256, heads=8, head_width=64):
    q, k = normal(64, 40, head_width, seed=0), normal(64, tokens, head_width, seed=1)
    layer = attention.MultiHeadAttention(heads * head_width, heads)
    parameters = sum(p.numel() for p in layer.parameters())
    return torch.tensor([(q @ k.mT).var(), parameters, heads * tokens * tokens])


# %% tags=["reveal"]
print("A: {:.1f}, {:.1f}, {:.1f}".format(*three_numbers(tokens=512) / three_numbers()))
b, c = three_numbers(heads=16, head_width=32), three_numbers(head_width=128)
print("B: {:.1f}, {:.1f}, {:.1f}".format(*b / three_numbers()))
print("C: {:.1f}, {:.1f}, {:.1f}".format(*c / three_numbers()))

# %% tags=["claim", "reveal"]
factors = {
    name: three_numbers(**change) / three_numbers()
    for name, change in {
        "A": {"tokens": 512},
        "B": {"heads": 16, "head_width": 32},
        "C": {"head_width": 128},
    }.items()
}
variance = {name: each[0].item() for name, each in factors.items()}
claim(
    "C09.17",
    "The variance follows the width of a head alone: the same for twice the tokens, half for twice the heads, double for twice the width",
    all(
        abs(variance[name] / due - 1) < 0.1
        for name, due in {"A": 1, "B": 0.5, "C": 2}.items()
    ),
    measured=", ".join(f"{name} × {value:.2f}" for name, value in variance.items()),
    answer="C",
)
counts = {name: each[1].item() for name, each in factors.items()}
claim(
    "C09.17b",
    "Parameters follow the model's width: × 4 where it doubles, the same for more tokens or more heads",
    counts == {"A": 1.0, "B": 1.0, "C": 4.0},
    measured=f"scores × {', '.join(f'{each[2]:.0f}' for each in factors.values())}",
    answer="C",
)

# %% [markdown]
r"""
**Why the root?** Take entries of $q$ and $k$ that are independent, with mean 0 and variance 1. Three lines:

1. One term: $\mathrm{Var}(q_i k_i) = \mathrm{E}[q_i^2]\,\mathrm{E}[k_i^2] = 1$.
2. Independent terms add: $\mathrm{Var}(q^\top k) = \sum_{i=1}^{E} 1 = E$. The number of keys does not occur.
3. So the spread is $\sqrt E$; dividing by it brings the spread back to 1, at every width.

And what is the harm? Look at the weights, and at $a(1 - a)$, the derivative of a weight $a$ with respect to its own score.
"""

# %% tags=["claim", "reveal"]
import matplotlib.pyplot as plt

from course_lib.lesson.figures import COLOURS, MARKERS

WIDTHS = (4, 16, 64, 256, 1024)
curves = {
    name: [weights_of(w, scaled=on) for w in WIDTHS]
    for name, on in {"not scaled": False, "scaled": True}.items()
}
strongest = {
    name: [a.max(dim=1).values.mean().item() for a in each]
    for name, each in curves.items()
}
slopes = {
    name: [(a * (1 - a)).mean().item() for a in each] for name, each in curves.items()
}
spreads = [
    (normal(500, 1, w) * normal(500, 16, w, seed=1)).sum(dim=-1).var().item()
    for w in WIDTHS
]

fig, axes = plt.subplots(1, 2, figsize=(7.6, 2.8), layout="constrained")
labels = ("weight of the strongest of 16 keys", "mean a (1 - a)")
for ax, series, ylabel in zip(axes, (strongest, slopes), labels, strict=True):
    for number, (name, heights) in enumerate(series.items()):
        style = {"marker": MARKERS[number], "color": COLOURS[number]}
        ax.plot(WIDTHS, heights, label=name, **style)
    ax.set(xscale="log", xticks=WIDTHS, xticklabels=WIDTHS, ylim=0)
    ax.set(xlabel="width of a head, E", ylabel=ylabel)
axes[0].legend(loc="center right")
show(
    fig,
    "Unscaled, the strongest weight climbs towards 1 and the slope falls towards 0; scaled, both stay level.",
)
claim(
    "C09.1",
    "The variance of a dot product is E. Unscaled, the strongest of 16 weights rises from under 0.5 to over 0.9 between E = 4 and "
    "E = 1024 and the softmax's slope falls over 8-fold; scaled, both stay",
    all(0.85 * w < spread < 1.15 * w for w, spread in zip(WIDTHS, spreads, strict=True))
    and strongest["not scaled"][0] < 0.5 < 0.9 < strongest["not scaled"][-1]
    and max(strongest["scaled"]) < 0.3
    and slopes["not scaled"][0] > 8 * slopes["not scaled"][-1]
    and min(slopes["scaled"]) > 0.05,
    measured=f"variance {', '.join(f'{s:.1f}' for s in spreads)}; strongest {strongest['not scaled'][0]:.2f} to "
    f"{strongest['not scaled'][-1]:.2f}, scaled {min(strongest['scaled']):.2f} to {max(strongest['scaled']):.2f}",
    answer="over 0.9",
)

# %% [markdown]
r"""
Where $a(1 - a)$ is 0 nothing is learnt about which key to read: that is the harm, not the size of the numbers.

It is an argument about the start of training, for entries of variance 1. T5 has no scale at all: it starts with a $W_q$ that is $\sqrt{E}$ times smaller, which is the same at the first step. Later $q$ and $k$ grow and correlate, which is why many large models normalise both
before the product: *QK-norm*.

**Long sequences, counted.** FLOPs of the two products of one layer (width 64, 4 heads), as torch counts them while they run; by formula; and by formula for
a kernel that skips everything outside a window of 128 keys.
"""

# %%
from torch.utils.flop_counter import FlopCounterMode


def counted(tokens, mask=None):
    q = k = v = torch.zeros(1, 4, tokens, 16)
    with FlopCounterMode(display=False) as counter:
        attention.dot_product_attention(q, k, v, mask)
    return counter.get_total_flops()


# %%
print(
    f"{'tokens':>10s}{'counted':>13s}{'formula':>13s}{'window':>13s}{'projected':>13s}"
)
for n in (128, 256, 512, 1024):
    full = attention.attention_cost(n, n, 64, 4)
    window = attention.attention_cost(n, n, 64, 4, window=128)
    row = (n, counted(n), 2 * full.products, 2 * window.products, 2 * full.projections)
    print("{:10,}{:13,}{:13,}{:13,}{:13,}".format(*row))
print(f"a mask of the window{counted(1024, masks.window_mask(1024, 64)):13,}")

# %% tags=["claim"]
LENGTHS = (128, 256, 512, 1024)
formula = [attention.attention_cost(n, n, 64, 4) for n in LENGTHS]
local = [attention.attention_cost(n, n, 64, 4, window=128) for n in LENGTHS]
fields = {
    layers: masks.reached(masks.window_mask(64, 4), layers)[32].sum().item()
    for layers in (1, 2, 4, 8)
}
doubled = list(zip(LENGTHS, formula, strict=True))
claim(
    "C09.7",
    "Products grow 4-fold per doubling, windowed ones and projections 2-fold; a window mask saves nothing. In windows of ±4 the "
    "middle token sees 9, 17, 33 and all 64 after 1, 2, 4 and 8 layers",
    all(counted(n) == 2 * full.products for n, full in doubled)
    and all(
        b.products == 4 * a.products for a, b in zip(formula, formula[1:], strict=False)
    )
    and all(
        b.products == 2 * a.products for a, b in zip(local, local[1:], strict=False)
    )
    and all(
        b.projections == 2 * a.projections
        for a, b in zip(formula, formula[1:], strict=False)
    )
    and counted(1024, masks.window_mask(1024, 64)) == counted(1024)
    and list(fields.values()) == [9, 17, 33, 64],
    measured=f"receptive field by layers {fields}",
)

# %% [markdown]
r"""
A window is not blind beyond its edge, it is slow: information travels one window per layer. And a mask alone saves nothing, because
all scores are computed before most of them are thrown away.

**When is the length the bill?** Multiply-adds of one layer for $n$ tokens of width $D$: the four projections $4nD^2$, the two products $2n^2D$. They meet at $n = 2D$, in the table at 128 tokens. But a layer also has its MLP,
$8nD^2$ at four times the width. So products meet the *whole* layer, $12nD^2$, at $n = 6D$. Shorter, and the width is the bill; longer, and the length is.

**Path length.** How much does the last output feel the first input? A plain RNN passes it through every step in between, attention reads it
in one. Untrained modules of width 16 as PyTorch initialises them; the folded claim runs three seeds.
"""


# %% tags=["claim"]
def felt(module, tokens):
    """Norm of the gradient of the last output with respect to the first input."""
    x = torch.randn(1, tokens, 16, requires_grad=True)
    (grad,) = torch.autograd.grad(module(x)[0][0, -1].sum(), x)
    return grad[0, 0].norm().item()


paths = {"RNN": [], "attention": []}
for n in (10, 50, 200):
    runs = {"RNN": [], "attention": []}
    for seed in range(3):
        torch.manual_seed(seed)
        runs["RNN"].append(felt(nn.RNN(16, 16, batch_first=True), n))
        torch.manual_seed(seed)
        runs["attention"].append(felt(attention.MultiHeadAttention(16, 1), n))
    for name, values in runs.items():
        paths[name].append(values)
claim(
    "C09.10",
    "Over 200 tokens the gradient through an untrained RNN is under 1e-20; through attention it is only diluted, over 1e-4 (3 seeds)",
    max(paths["RNN"][2]) < 1e-20 and min(paths["attention"][2]) > 1e-4,
    measured="; ".join(
        f"{name} " + ", ".join(f"{max(v):.0e}" for v in values)
        for name, values in paths.items()
    ),
)

# %% [markdown]
r"""
So "long text makes gradients vanish" is about recurrent networks. (Gates and careful initialisation slow the decay; the path stays
long.) A Transformer on long text pays in scores, memory and positions it never saw in training, and many use the middle of their
context least (*Lost in the Middle*, Liu et al., 2023).

**Words and patches.** Now a trained model. The small Transformer of [lesson 29](29_explaining.ipynb) reads eight words and sixteen patches in one sequence
and answers "what colour is the ring?" from its first token, `<bos>`. Three checkpoints are in the repository. In one sequence, *self*-attention
has four blocks, and the block *words read patches* does the work of cross-attention, in one softmax with the words.
"""


# %%
def load_vqa(seed):
    model = VqaTransformer(len(ENGLISH), len(ANSWERS)).eval().requires_grad_(False)
    load_weights(model, find(f"checkpoints/vqa_scenes_{seed}.safetensors"))
    return model


models = [load_vqa(seed) for seed in (0, 1, 2)]
test = make_colour_questions(250, seed=77)
print(ENGLISH.decode(test.ids[8]), "→", ANSWERS[test.answers[8]])

# %% tags=["claim"]
from course_lib.explain.attention_maps import capture_attention

inputs = {"image": test.images, "ids": test.ids}
maps = [list(capture_attention(each, inputs).maps.values()) for each in models]
example = 8
words = ["<bos>", *ENGLISH.decode(test.ids[example]).replace("?", " ?").split()]
read = maps[0][1][example].mean(dim=0)[:8, 8:]
fig, _ = plots_attention.show_read_patches(
    test.images[example], read, [*words, "<eos>"], title="layer 2, mean of the heads"
)
show(
    fig,
    "A blue square above a red ring, and a matrix of eight words by sixteen patches: most rows are darkest at the ring.",
)
asked, other = (
    F.max_pool2d(where[:, None].float(), 4).flatten(1)
    for where in (test.asked, test.drawn & ~test.asked)
)


def asked_over_other(layer, reader=0):
    """How much more weight a word, <bos> unless said, gives a patch of the asked object than one of another object."""
    read = layer.mean(dim=1)[:, reader, 8:]
    return (
        (read * asked).sum() / asked.sum() / ((read * other).sum() / other.sum())
    ).item()


looks = [[asked_over_other(layers[n]) for layers in maps] for n in (0, 1)]
claim(
    "C09.11",
    "In layer 2 <bos> gives a patch of the asked object over twice the weight of another object's; in layer 1 under 1.6 times "
    "(3 seeds)",
    max(looks[0]) < 1.6 < 2 < min(looks[1]),
    measured="; ".join(
        f"layer {n} " + ", ".join(f"{look:.1f}" for look in looks[n - 1])
        for n in (1, 2)
    ),
)

# %% [markdown]
r"""
A pretty map: most words seem to look at the ring, down on the right, and over all questions `<bos>` does prefer the asked object in layer 2. But does the answer *need* what the map shows?
To find out, *cut edges*: forbid one group of tokens to read another, in one layer, by a mask, and ask again. The model's own
`forward` has no such mask, so we run its blocks by hand with this lesson's function.
"""


# %%
def run_with(model, allowed):
    """Logits, with one (24, 24) mask per layer: eight words, then sixteen patches."""
    words = model.words(test.ids) + model.word_positions[:8]
    patches = model.patches(test.images).flatten(2).mT + model.patch_positions
    x = torch.cat([words, patches], dim=1)
    for block, mask in zip(model.blocks, allowed, strict=True):
        layer, normed = block.attention, block.attention_norm(x)
        three = (layer.query, layer.key, layer.value)
        q, k, v = (attention.split_heads(each(normed), 4) for each in three)
        read = attention.dot_product_attention(q, k, v, mask).output
        x = x + layer.out(attention.join_heads(read))
        x = x + block.feed(block.feed_norm(x))
    return model.head(model.norm(x[:, 0]))


# %%
free = torch.ones(24, 24, dtype=torch.bool)
BOS, SHAPE, WORDS, PATCHES = slice(0, 1), slice(5, 6), slice(0, 8), slice(8, 24)


def cut(readers, read):
    mask = free.clone()
    mask[readers, read] = False
    return mask


bet(
    "C09.12",
    "Each cut in the layer where it hurts more: which costs most right answers?",
    ["the word ring reads no patch", "no patch reads a word", "<bos> reads no patch"],
)

# %% tags=["claim", "reveal"]
CUTS = {
    "nothing cut": free,
    "<bos> reads no patch": cut(BOS, PATCHES),
    "<bos> reads no other word": cut(BOS, slice(1, 8)),
    "shape word reads no patch": cut(SHAPE, PATCHES),
    "no word reads a patch": cut(WORDS, PATCHES),
    "no patch reads a word": cut(PATCHES, WORDS),
    "no patch reads a patch": cut(PATCHES, PATCHES),
}


def share_right(logits):
    return (logits.argmax(dim=1) == test.answers).float().mean().item()


def scores_of(mask, layer):
    allowed = [mask, free] if layer == 1 else [free, mask]
    return [share_right(run_with(model, allowed)) for model in models]


cuts = {
    f"cut in layer {layer}": {
        name: scores_of(mask, layer) for name, mask in CUTS.items()
    }
    for layer in (1, 2)
}
asked_colour = (test.images * test.asked[:, None]).amax(dim=(2, 3))  # (questions, 3)
alike = (test.images == asked_colour[:, :, None, None]).all(dim=1) & test.drawn
any_object = (alike.sum(dim=(1, 2)) / test.drawn.sum(dim=(1, 2))).mean().item()
fig, ax = dot_plot(
    cuts,
    xlabel="share right, one mark per seed (dotted: any object's colour)",
    chance=any_object,
)
show(
    fig,
    "What hurts most: bos, or all words, read no patch in layer 2; then: no patch reads a word in layer 1.",
)


def lost(name, layer):
    runs = cuts[f"cut in layer {layer}"]
    return torch.tensor(runs["nothing cut"]) - torch.tensor(runs[name])


shape_shares = [
    layer[n].mean(dim=1)[:, 5, 8:].sum(dim=1).mean().item()
    for layer in maps
    for n in (0, 1)
]
prefers = [asked_over_other(layers[1], reader=5) for layers in maps]
mute = CUTS["<bos> reads no other word"]
all_deaf = [cut(PATCHES, WORDS) & mute, mute]  # as nobody reads a patch after layer 2
deaf = [share_right(run_with(model, all_deaf)) for model in models]
by_hand = run_with(models[0], [free, free])
same = torch.allclose(
    by_hand, models[0](test.images, test.ids).logits, atol=1e-4
)  # without cuts, the model itself
into, out = lost("no patch reads a word", 1), lost("<bos> reads no patch", 2)
by_shape = max(lost("shape word reads no patch", layer).max() for layer in (1, 2))
claim(
    "C09.12",
    "The question flows into the patches in layer 1, the answer out of them in layer 2: cutting there costs over 10 and over 30 "
    "points. The shape word gives all patches about what indifferent attention would, 16 of 24 (.667) to within .15; cutting that "
    "costs under 5 in layer 1 and nothing in layer 2, where it prefers the asked object over 1.2 times. With patches and <bos> "
    "deaf to the words what is left is the colour of any object, to within 5 points (3 seeds)",
    same
    and into.min() > 0.1
    and out.min() > 0.3
    and by_shape < 0.05
    and lost("shape word reads no patch", 2).abs().max() == 0
    and min(prefers) > 1.2
    and max(abs(share - any_object) for share in deaf) < 0.05
    and lost("no patch reads a word", 2).abs().max() == 0
    and max(abs(share - 16 / 24) for share in shape_shares) < 0.15
    and out.min() > max(into.max(), lost("<bos> reads no patch", 1).max()),
    measured=f"lost {into.min():.2f} to {into.max():.2f} and {out.min():.2f} to {out.max():.2f}; the shape word's cuts at most "
    f"{by_shape:.3f}, its share on patches {min(shape_shares):.2f} to {max(shape_shares):.2f}, its preference in layer 2 "
    f"{', '.join(f'{each:.1f}' for each in prefers)}; all deaf {', '.join(f'{share:.2f}' for share in deaf)} ({any_object:.2f})",
    answer="<bos> reads no patch",
)

# %% [markdown]
r"""
The story one likes to tell, "the word *ring* looks for the ring", is not how this model works. The *patches* read the question first;
then `<bos>` collects from the patches that found themselves asked. It is the main road, not the only one: `<bos>` reads the question as
well, so with the patches deaf the models stay above the dotted line. Make `<bos>` deaf to the words too, and they fall onto it (folded claim).

The shape word gives the patches two thirds of its weight, and two thirds of the tokens are patches: that share says nothing. *Which* patches does look like a story: in layer 2 it prefers the ring. But only `<bos>` is read after the last layer,
so nobody ever hears what the shape word found there. That is also why cutting all words in layer 2 costs exactly what cutting `<bos>` costs. A cut that costs nothing proves that the edge is not
needed; one that costs may partly be the shock of weights that were handed to others.

Edge cutting, *attention knockout*, is how the flow through LLaVA was traced as well (Zhang et al., 2024). There the image goes into the
question tokens first. It has to: the image stands in front, and behind a causal mask no patch hears a word. Neither order is a law. Measure
yours.
"""

# %% [markdown]
r"""
## 9.8 Wrong answers people give

Bet before you read on: is the sentence true?

> **"The scale is there for long sequences: without it dot products get too large, or too small, when there are many tokens."** ·
> **"Scaled attention is more expensive."**

It sounds right because long sequences have many scores. But each score is one dot product, and its variance knows only $E$. And the price is
one multiplication per score, beside $2E$ multiply-adds for making and using it. (In practice it is folded into the query or the kernel.)

Length has another effect: over more keys the same scores give a flatter softmax. YaRN (Peng et al., 2023) raises the scores at longer
contexts, by a factor that was fitted to measured perplexity. It is a second factor, found by experiment, and not this one.
"""

# %% tags=["claim"]
by_length = [
    (normal(200, 1, 64) * normal(200, n, 64, seed=1)).sum(dim=-1).var().item()
    for n in (4, 16, 64, 256)
]
claim(
    "C09.14",
    "At E = 64 the variance of a dot product is near 64 for 4, 16, 64 and 256 keys: length does not enter",
    all(55 < variance < 73 for variance in by_length),
    measured=", ".join(f"{variance:.1f}" for variance in by_length),
)
cost = attention.attention_cost(1024, 1024, width=64, heads=1)
share = cost.scaling / (2 * cost.products)
claim(
    "C09.2",
    "For 1,024 tokens and a head of width 64 scaling adds under half a percent of the FLOPs of the two products",
    share < 0.005,
    measured=f"{cost.scaling:,} of {2 * cost.products:,}, {share:.2%}",
)

# %% [markdown]
r"""
> **"Multi-head attention cuts the sequence into parts, one per head."** · **"More heads, more parameters."** · **"Heads extract features of
> different levels."** · **"Self-attention is a special case of multi-head attention."**

They sound right because "split" is in every explanation. What is split is the features: every head sees every token, at the same
depth, so levels come from layers. Here are both ways to split, and the effect of the last token on the first:
"""


# %%
def by_features(x):
    heads = attention.split_heads(x, 4)  # (1, 4, 8, 4): all tokens, 4 features each
    read = attention.dot_product_attention(heads, heads, heads).output
    return attention.join_heads(read)


def by_sequence(x):
    parts = x.unflatten(1, (4, 2))  # (1, 4, 2, 16): two tokens, all features
    return attention.dot_product_attention(parts, parts, parts).output.flatten(1, 2)


x = normal(1, 8, 16, seed=5)
moved = x + 5 * torch.eye(8)[7][:, None]  # the last token changes
for split in (by_features, by_sequence):
    print(split.__name__, (split(x) - split(moved))[:, 0].abs().max().item() > 0)

# %% tags=["claim"]
counts = {}
for h in (1, 2, 4, 8, 16):
    counts[h] = sum(p.numel() for p in nn.MultiheadAttention(128, h).parameters())
felt_by_first = [
    (split(x) - split(moved))[:, 0].abs().max().item()
    for split in (by_features, by_sequence)
]
claim(
    "C09.4",
    "With 1, 2, 4, 8 or 16 heads the parameters are the same 66,048; split by features the last token reaches the first, split by "
    "sequence never",
    set(counts.values()) == {66_048}
    and felt_by_first[0] > 0.01
    and felt_by_first[1] == 0,
    measured=f"effect of the last token on the first: by features {felt_by_first[0]:.2f}, by sequence {felt_by_first[1]:.1f}",
)

layer, other = attention.MultiHeadAttention(16, 4), attention.MultiHeadAttention(16, 4)
features = torch.arange(16).view(4, 4)[[2, 0, 3, 1]].flatten()  # heads in another order
state = {}
for name, w in layer.state_dict().items():
    state[name] = w[:, features] if name == "out.weight" else w[features]
other.load_state_dict(state)
gap = (layer(x).output - other(x).output).abs().max().item()
claim(
    "C09.4b",
    "Heads in another order give the same output: they are no levels",
    gap < 1e-6,
    measured=f"gap {gap:.0e}",
)

shapes = []
for source in (None, normal(1, 5, 16, seed=6)):
    for heads in (1, 4):
        read = attention.MultiHeadAttention(16, heads)(x, source)
        shapes.append(tuple(read.weights.shape))
claim(
    "C09.16",
    "Self or cross, one head or four: two independent arguments of one module, four combinations",
    shapes == [(1, 1, 8, 8), (1, 4, 8, 8), (1, 1, 8, 5), (1, 4, 8, 5)],
    measured=f"shapes of the weights {', '.join(map(str, shapes))}",
)

# %% [markdown]
r"""
Cut the *sequence*, and the last token can no longer reach the first. And self or cross is another row of
the table in 9.4 than one head or several: in code they are two arguments, and all four combinations run.

> **"Queries and keys need two matrices, or else the weights would be symmetric."**

It is the *scores* that would be symmetric, $x_t^\top W W^\top x_s$; each row has its own sum, so the weights are not. The harm is another one: the score of a token with
itself is the square of a length, and among tokens of equal length after the projection no score is larger. So a token that looks for something else finds itself first. And the value has a matrix of its own, because what is matched need not be what is handed on: match the shape, hand on the colour.
"""

# %% tags=["claim"]
shared, tokens = normal(16, 16, seed=7), normal(20, 12, 16, seed=8)
projected = F.normalize(tokens @ shared, dim=-1) * 4  # equal lengths
one = projected @ projected.mT / 4
two = projected @ F.normalize(tokens @ normal(16, 16, seed=9), dim=-1).mT
symmetric = [
    torch.allclose(each, each.mT, atol=1e-5) for each in (one, one.softmax(-1))
]
own = [
    (each.argmax(-1) == torch.arange(12)).float().mean().item() for each in (one, two)
]
claim(
    "C09.21",
    "One matrix for queries and keys makes the scores symmetric, not the weights; among projections of equal length every token "
    "then has its largest score with itself, with two matrices under a quarter have",
    symmetric == [True, False] and own[0] == 1 and own[1] < 0.25,
    measured=f"largest with itself: {own[0]:.2f} and {own[1]:.2f}, chance {1 / 12:.2f}",
)

# %% [markdown]
r"""
> **"Soft attention adds a non-linear function and costs more; hard attention is the plain form."**

Both use the same scores, and sampling needs the same softmax. *Soft* reads the expectation over all items, so it has a gradient. *Hard* reads one item:
argmax has no gradient at all, and sampling needs the score-function estimator (REINFORCE, as in *Show, attend and tell*) or a Gumbel
relaxation. Its expectation is right: summed over all choices it *equals* the gradient of the expected reward. One sample of it is
noise with that mean.
"""

# %% tags=["claim"]
scores, reward = normal(6, seed=1).requires_grad_(), normal(6, seed=2)
soft = (scores.softmax(0) * reward).sum()  # reward: what reading item i earns
hard = reward[scores.argmax()]
(exact,) = torch.autograd.grad(soft, scores, retain_graph=True)

chance, pieces = scores.softmax(0), []
for i in range(6):
    (slope,) = torch.autograd.grad(chance[i].log(), scores, retain_graph=True)
    pieces.append(slope * reward[i])
drawn = list(zip(chance.detach(), pieces, strict=True))
expected = sum(p * piece for p, piece in drawn)
noise = sum(p * (piece - exact).square().sum() for p, piece in drawn).sqrt()
claim(
    "C09.7b",
    "A hard argmax read has no gradient, a soft one has; the score-function estimate has the right mean, and here one sample "
    "spreads wider than that mean is long",
    soft.requires_grad
    and not hard.requires_grad
    and torch.allclose(expected, exact, atol=1e-6)
    and noise > exact.norm(),
    measured=f"gradient norm {exact.norm():.2f}, spread of one sample {noise:.2f}",
)

# %% [markdown]
r"""
> **"Self- and cross-attention are the same thing: both relate modalities."** · **"Self-attention suits long sequences."**

Self-attention relates modalities only if both stand in *one* sequence and the mask lets them. Within one modality it never hears of
the other, and with a causal mask the first modality never hears of the second. As for length: four times the products per doubling (9.7). It has short paths, and that is what it is good at.
"""

# %% tags=["claim"]
kinds = {"one sequence": None, "causal": masks.causal_mask(10)}  # 6 patches, 4 words
kinds["each modality alone"] = masks.group_mask(torch.tensor([0] * 6 + [1] * 4))
tokens, heard = normal(1, 10, 16, seed=6).requires_grad_(), {}
for name, mask in kinds.items():
    heard[name] = attention.dot_product_attention(tokens, tokens, tokens, mask)
    patches = heard[name].output[:, :6].sum()
    (grad,) = torch.autograd.grad(patches, tokens, retain_graph=True)
    print(f"{name:20s} patches hear words: {bool(grad[:, 6:].abs().sum() > 0)}")

reads = {}
for name, read in heard.items():
    (grad,) = torch.autograd.grad(read.output[:, :6].sum(), tokens, retain_graph=True)
    mass = read.weights[0, 6:, :6].sum(dim=1).mean().item()
    reads[name] = (grad[:, 6:].abs().sum().item(), mass)
claim(
    "C09.13",
    "In one unmasked sequence words and patches read each other; with a mask per modality the gradient between them is exactly 0; "
    "causal with the image in front, words read patches and the gradient from patches to words is exactly 0",
    min(reads["one sequence"]) > 0.01
    and reads["each modality alone"] == (0.0, 0.0)
    and reads["causal"][0] == 0 < 0.01 < reads["causal"][1],
    measured="; ".join(
        f"{name}: gradient {grad:.2f}, words' mass on patches {mass:.2f}"
        for name, (grad, mass) in reads.items()
    ),
)

# %% [markdown]
r"""
## 9.9 At scale

**What grows with the length.** A 7-billion-parameter decoder: 32 layers, width 4,096, 32 heads of width 128, in bfloat16. *Linear*: two FLOPs per weight and token. *Products*: of
every pair (a causal kernel skips half). *Formed*: the score matrices of one layer, if a kernel writes them out. *Cache*: the keys and values that generation keeps, per token and layer: $2 \cdot 32 \cdot 128$ numbers with a key head for each head (MHA), $2 \cdot 8 \cdot 128$ with
8 of them (GQA), 576 with DeepSeek-V2's compressed form (MLA).
"""

# %%
KEPT = {"MHA": 2 * 32 * 128, "GQA": 2 * 8 * 128, "MLA": 576}  # per token and layer
print(
    ("{:>9s}" + "{:>11s}" * 6).format("tokens", "linear", "products", "formed", *KEPT)
)
print(("{:>9s}" + "{:>11s}" * 6).format("", "TFLOP", "TFLOP", *["GiB"] * 4))
for n in (640, 4096, 32_768, 131_072, 1_048_576):
    cost = attention.attention_cost(n, n, 4096, 32)
    tflop = 2 * 7e9 * n / 1e12, 2 * 32 * cost.products / 1e12
    caches = [32 * n * kept * 2 / 2**30 for kept in KEPT.values()]
    row = (*tflop, cost.scores * 2 / 2**30, *caches)
    print(f"{n:9,}" + ("{:11,.1f}" * 6).format(*row))

# %% tags=["claim"]
claim(
    "C09.15",
    "At a million tokens the products of all pairs cost over 30 times the linear layers, and the cache is 512 GiB with 32 key "
    "heads, 128 with 8 and 36 with MLA",
    tflop[1] > 30 * tflop[0] and caches == [512, 128, 36],
    measured=f"{tflop[1] / tflop[0]:.0f} times; cache {caches[0]:.0f}, {caches[1]:.0f} and {caches[2]:.0f} GiB",
)

# %% [markdown]
r"""
Read it by columns. At 640 tokens (a LLaVA-1.5 prompt) the products are noise beside the linear layers; at 32,768 they have overtaken them,
and at 131,072 they lead even if a causal kernel halves them. A window makes the products linear too.

**What a step moves.** A graphics card does two things: arithmetic, and reading its memory. An H100 (SXM) is built for 989 TFLOP/s in bfloat16 and reads 3.35 TB/s: 295 FLOPs in the time of one byte. Reading a prompt of $n$ tokens is
*prefill*; writing one token after it is one *decode* step. Take Llama 3 8B: 32 layers, 32 heads of width 128, 8 key heads, and 7.5 billion weights that are multiplied.
"""

# %%
bet(
    "C09.18",
    "One sequence of 4,096 tokens: what share of an H100's FLOP/s can decode use?",
    ["about 0.3 %", "about 3 %", "about 30 %", "about 90 %"],
)

# %% [markdown]
r"""
How many FLOPs does each byte that is read give? Weights and cache first (activations below). Three lines:

1. *Weights*: a number of 2 bytes takes part in one multiply-add, 2 FLOPs, for each token of the pass. So one token gives 1 FLOP per byte, $n$ tokens give $n$.
2. *Cache*: a number of 2 bytes meets the $H/H_{kv}$ query heads that share it, one multiply-add each. So a decode step gives $H/H_{kv}$ FLOPs per byte.
3. Prefill has $n$ in the thousands, above 295: it is bound by FLOPs. Decode has 1 and $H/H_{kv}$, far below: it is bound by bytes, those of the weights and those of the cache.
"""


# %% tags=["reveal"]
def step(tokens, before, batch=1, kv_heads=8):
    """FLOPs, bytes of weights, bytes of cache; `tokens` new ones after `before`."""
    pairs = tokens * (before + tokens / 2)  # a token reads what came before it
    flops = batch * (2 * 7.5e9 * tokens + 4 * 32 * 4096 * pairs)
    cache = batch * 2 * 32 * kv_heads * 128 * 2 * (before + tokens)
    return flops, 2 * 7.5e9, cache


PASSES = {"prefill of 4,096": step(4096, 0), "decode": step(1, 4096)}
PASSES["decode, batch 64"] = step(1, 4096, batch=64)
PASSES["the same, 32 key heads"] = step(1, 4096, batch=64, kv_heads=32)

# %% tags=["reveal"]
print(f"{'':24s}GFLOP   GB weights   GB cache   FLOPs per byte   ms FLOPs   ms bytes")
for name, (flops, weights, cache) in PASSES.items():
    ms = 1e3 * flops / 989e12, 1e3 * (weights + cache) / 3.35e12
    row = (flops / 1e9, weights / 1e9, cache / 1e9, flops / (weights + cache), *ms)
    print(
        f"{name:22s}" + "{:7,.0f}{:13.1f}{:11.1f}{:17,.1f}{:11.2f}{:11.2f}".format(*row)
    )

# %% tags=["claim", "reveal"]
from transformers import DynamicCache, LlamaForCausalLM

llama3 = LlamaConfig(
    hidden_size=4096,
    intermediate_size=14336,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=8,
    vocab_size=128_256,
)
with torch.device("meta"), torch.no_grad():  # shapes only: no memory, no arithmetic
    llama = LlamaForCausalLM(llama3).bfloat16()
    kept = DynamicCache()
    for layer in range(32):
        past = torch.empty(1, 8, 4096, 128, dtype=torch.bfloat16)
        kept.update(past, past.clone(), layer)
    bytes_kept = sum(
        each.numel() * each.element_size()
        for layer in kept.layers
        for each in (layer.keys, layer.values)
    )
    with FlopCounterMode(display=False) as counter:
        llama(torch.zeros(1, 1, dtype=torch.int64), past_key_values=kept)
multiplied = sum(p.numel() for p in llama.parameters())
multiplied -= llama.model.embed_tokens.weight.numel()  # a table, only looked up
flops, weight_bytes, cache_bytes = PASSES["decode"]
by_torch = counter.get_total_flops()
intensity = {name: f / (w + c) for name, (f, w, c) in PASSES.items()}
claim(
    "C09.18",
    "Llama 3 8B at 4,096 tokens: decode does under 2 FLOPs per byte of weights and cache, an H100 needs 295, so it uses under 1 % "
    "of its arithmetic; prefill does over 3,000. FLOPs, weights and cache as transformers' model has them",
    intensity["decode"] < 2
    and intensity["decode"] / 295 < 0.01
    and intensity["prefill of 4,096"] > 3000
    and abs(by_torch / flops - 1) < 0.02
    and abs(2 * multiplied / weight_bytes - 1) < 0.01
    and abs(bytes_kept / cache_bytes - 1) < 0.01,
    measured=f"{intensity['decode']:.2f} and {intensity['prefill of 4,096']:,.0f}; torch counts {by_torch / 1e9:.1f} GFLOP, "
    f"{multiplied / 1e9:.2f} billion weights",
    answer="about 0.3 %",
)
in_batch = {name: c / (w + c) for name, (_, w, c) in PASSES.items()}
claim(
    "C09.18b",
    "With 64 sequences at once the cache is most of the bytes of a decode step; with a key head for each head it is over 8 times the weights",
    in_batch["decode"] < 0.05
    and in_batch["decode, batch 64"] > 0.65
    and in_batch["the same, 32 key heads"] > 8 / 9,
    measured=", ".join(f"{name} {share:.0%}" for name, share in in_batch.items()),
)

# %% [markdown]
r"""
(Activations come on top. With a fused kernel they leave the picture as it is. Score matrices that are formed would not: written, read by the softmax, written and read again they cost 8 bytes a score for $4E$ FLOPs, so those products give only $E/2$ FLOPs per byte, here 64: bound by bytes, in prefill too.)

A decode step of one sequence waits for 15 GB of weights, and the arithmetic is done long before. A larger batch shares the weights, so their intensity grows with the batch. The cache is not shared: each sequence has its own, and its intensity stays $H/H_{kv}$, whatever the batch. That is why
GQA, MQA and MLA exist: they divide the bytes that no batch can share. (The last row has a cache larger than an 80 GB card. Times are floors, from the card's data sheet: no kernel reaches them.)

- **FlashAttention** does the same products, exactly, block by block; it saves bytes and memory, not FLOPs (9.10).
- **Mixed precision**: matrix products in bfloat16, softmax in float32. float16 overflows at 65,504: scale the query *before* the
  product, never use -1e9.
- **Memory in training**: micro-batches and accumulation leave attention as it is, since no example sees another. A packed batch needs
  a mask per document, or examples read each other.
- **Several GPUs**: heads are independent, so tensor parallelism gives each device some heads (key heads are copied where they are fewer than devices). Past that, context
  parallelism splits the *sequence* and passes keys and values around a ring (*Ring Attention*, Liu et al., 2023), which changes no result.
- **Linear attention** replaces $\exp(q^\top k)$ by $\phi(q)^\top\phi(k)$; then $\phi(Q)\,(\phi(K)^\top V)$ is summed once, linear in $n$, with a state of
  fixed size. It cannot look as sharply as softmax, and hybrids keep a few full layers.
"""

# %% [markdown]
r"""
## 9.10 Going deeper

Each part stands alone; none is needed for the 60-second answer.

**A sink, grown.** A softmax must hand out 1, also when a head has nothing to read. Where does the share go? Take the smallest model that can show it, after Guo et al. (2024). A text begins with `<bos>` and has 16 letters. After a *trigger* (four of the letters) comes the letter before the trigger once more: only a
look back can tell. After any other letter the next one depends on that letter alone: there is nothing to look back for.
"""


# %%
chain = (3 * normal(16, 16)).softmax(dim=1)  # row: this letter, column: the next
texts = sink.trigger_texts(3, chain, triggers=4, seed=2)
for text in texts[:, 1:].tolist():
    print("<bos>", " ".join("ABCDefghijklmnop"[letter] for letter in text))

# %% [markdown]
r"""
*A* to *D* are triggers: after each comes the letter that stands before it. The models below get a random chain each, and a model is one causal head with a small MLP ([`sink.py`](../course_lib/training/sink.py)). Two controls, three models each: *every* letter is a trigger, so there is always something to read; and *no* letter is one, so there never is.
"""

# %%
bet(
    "C09.5",
    "Nothing to read: how much of the weight goes to <bos>? (An even share: 0.07)",
    ["less than an even share", "about an even share", "over three times it"],
)
readers = [sink.train_reader(seed) for seed in range(5)]
busy = [sink.train_reader(seed, triggers=16, steps=150) for seed in range(3)]  # fitted
never = [sink.train_reader(seed, triggers=0, steps=150) for seed in range(3)]

# %% tags=["claim", "reveal"]
LATE = torch.arange(24) >= 8  # far enough for an even share to be small


def without(place):
    """The causal mask in which only the token at `place` itself reads it."""
    mask = masks.causal_mask(24)
    mask[place + 1 :, place] = False
    return mask


def emptied(model, texts):
    """Surprise with the value of <bos> set to 0, all weights as they are."""
    hook = model.attention.value.register_forward_hook(
        lambda module, given, value: value.index_fill(1, torch.tensor([0]), 0.0)
    )
    result = sink.surprise(model, texts)
    hook.remove()
    return result


found = []
for model, texts in readers:
    ids = texts[:, :-1]
    _, weights = model(ids)
    idle, trigger = ((ids >= 4) & LATE), ((ids < 4) & LATE)
    lengths, base = model.lengths(ids), sink.surprise(model, texts)
    changed = {
        "evicted": sink.surprise(model, texts, without(0)),
        "other": sink.surprise(model, texts, without(2)),
        "emptied": emptied(model, texts),
    }
    found.append(
        {
            "idle": weights[..., 0][idle].mean().item(),
            "trigger": weights[..., 0][trigger].mean().item(),
            "before": weights.diagonal(-1, 1, 2)[trigger[:, 1:]].mean().item(),
            "length": (lengths[:, 0].mean() / lengths[:, 1:].mean()).item(),
        }
    )
    for name, each in changed.items():
        found[-1][name] = (each - base)[idle].mean().item()
chance = (1 / torch.arange(1, 25))[LATE].mean().item()
all_busy, all_idle = (
    [model(texts[:, :-1])[1][..., 0][:, LATE].mean().item() for model, texts in group]
    for group in (busy, never)
)
short = []  # the value of <bos> where it is no sink
for model, texts in busy:
    lengths = model.lengths(texts[:, :-1])
    short.append((lengths[:, 0].mean() / lengths[:, 1:].mean()).item())
rows = {
    "nothing to read": [each["idle"] for each in found],
    "after a trigger": [each["trigger"] for each in found],
    "model with triggers only": all_busy,
    "model without triggers": all_idle,
}
fig, _ = dot_plot(
    {"": rows},
    xlabel="weight on <bos>, one mark per seed (dotted: even over all)",
    chance=chance,
)
show(
    fig,
    "With nothing to read bos gets many times an even share, after a trigger and with triggers only none, without triggers not twice.",
)


def span(name, digits=2):
    values = [each[name] for each in found]
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}"


claim(
    "C09.5",
    "A sink forms where a head only sometimes has something to read: when it has nothing, <bos> gets over 3 times an even share in "
    "these five models, hardly any after a trigger and in a model that always has something, under 3 times in one that never has. A "
    "short value is no sign of it: that of <bos> is under 0.7 of another's also where it is no sink (5 and 3 seeds)",
    min(each["idle"] for each in found) > 3 * chance > max(all_idle)
    and max(each["trigger"] for each in found) < 0.02
    and max(all_busy) < 0.02
    and max(short) < 0.7,
    measured=f"weight {span('idle')}, even {chance:.3f}, after a trigger {span('trigger', 3)} and {span('before')} on the letter before it, always busy {max(all_busy):.3f} "
    f"at most, never {min(all_idle):.2f} to {max(all_idle):.2f}; length of the value {span('length')}, always busy {min(short):.2f} to {max(short):.2f}",
    answer="over three times it",
)
claim(
    "C09.5c",
    "Evict <bos>, and predictions where nothing is to be read get worse, over twice as much as if only its value is emptied "
    "and over 5 times as much as by evicting another early token: its share matters more than its content (5 seeds)",
    all(
        each["evicted"] > max(0.01, 2 * each["emptied"], 5 * abs(each["other"]))
        for each in found
    ),
    measured=f"nats lost: evicted {span('evicted')}, value emptied {span('emptied', 3)}, another evicted {span('other', 4)}",
)

# %% [markdown]
r"""
The head needs a place for its share that changes little, and `<bos>` is seen by everyone. What shines on a map adds little: with its value emptied the predictions lose a hundredth of a nat or so. Take the *place* away, and the share goes to tokens that do add something. And why at most about twice an even share in the models without triggers? Their head has nothing to tell, ever: the share can lie anywhere. It takes the conflict, something to read now and then, to make a place for the rest worth learning.

The seeds differ widely: some models put part of the share on the letter itself, which is a place of the same kind. (With fresh seeds the bet holds in most runs, not in all: where it fails the letter itself gets more than `<bos>`. Try `sink.train_reader` with a seed of yours.) In large models first tokens often take over half of the weight; a model of this size shows how it begins, not how far it goes (Gu et al., 2024).

That is why a plain sliding window over the cache breaks many language models, and why keeping the first few tokens repairs it (Xiao et al., 2023;
`masks.sink_mask`). Vision-language models have sinks among their *patches* too, mostly in the background, and masking those hardly hurts (Kang et
al., 2025), presumably because the first token still takes the rest. So look before you prune by attention weight, and before you explain by it.

**Weight and effect in the trained models.** Back to words and patches. For every patch: the weight that `<bos>` gives it in layer 2, and how much the answer's
probabilities move when that one edge is cut. Do they rank the patches alike? Kendall's τ says: 1 is the same order, 0 is chance. A rival of
the weight alone is the length of what is added, $a_s \lVert W_o v_s \rVert$ for the weight $a_s$ of patch $s$ (Kobayashi et al., 2020).
"""


# %% tags=["claim"]
from scipy.stats import kendalltau


def cut_effects(model, questions=100):
    """How far the probabilities move when <bos> may not read patch p: (questions, 16)."""
    before = run_with(model, [free, free])[:questions].softmax(dim=1)
    moves = []
    for patch in range(8, 24):
        after = run_with(model, [free, cut(BOS, patch)])[:questions].softmax(dim=1)
        moves.append((after - before).abs().sum(dim=1))
    return torch.stack(moves, dim=1)


def added(model, weights):
    """Weight times length of W_o v, summed over heads: what <bos> adds from each patch in layer 2."""
    layer, kept = model.blocks[1].attention, []
    hook = layer.value.register_forward_hook(
        lambda module, given, value: kept.append(value)
    )
    model(test.images, test.ids)
    hook.remove()
    value = attention.split_heads(kept[0], 4)[:, :, 8:]  # (B, heads, patches, features)
    out = layer.out.weight.unflatten(1, (4, -1))
    lengths = torch.einsum("bhpe,dhe->bhpd", value, out).norm(dim=-1)
    return (weights[:, :, 0, 8:] * lengths).sum(dim=1)


taus = {"weight": [], "weight times length": []}
for model, layers in zip(models, maps, strict=True):
    effects = cut_effects(model)
    ranks = layers[1].mean(dim=1)[:, 0, 8:], added(model, layers[1])
    for each, rank in zip(taus.values(), ranks, strict=True):
        pairs = [
            kendalltau(one, effect).statistic
            for one, effect in zip(rank, effects, strict=False)
        ]
        each.append(sum(pairs) / len(pairs))
fig, _ = dot_plot(
    {"": taus}, xlabel="mean Kendall's τ with the effect of a cut, one mark per seed"
)
show(fig, "Both stand between 0.4 and 0.9: better than chance, short of agreement.")
claim(
    "C09.5b",
    "In the layer that the answer is read from, weight and effect rank the patches alike only in part, weight times length too "
    "(3 seeds)",
    all(0.4 < tau < 0.9 for each in taus.values() for tau in each),
    measured="mean Kendall's τ: "
    + "; ".join(
        f"{name} {', '.join(f'{tau:.2f}' for tau in each)}"
        for name, each in taus.items()
    ),
)

# %% [markdown]
r"""
So the weight is a fair hint here, where its reader is the answer token of the last layer; the shape word's two thirds in 9.7 were none. The
length of what is added sees through a sink, and here, among patches, it ranks hardly better. Cutting is the only one of the three that
asks the model. [Lesson 29](29_explaining.ipynb) makes a protocol of this.

**Does RoPE prefer near tokens?** RoFormer shows that a bound on the score falls with the distance, and many conclude that RoPE forgets what is far. Two queries, one key: the query equal to the key, and the same query turned by 20 positions, which a linear layer can learn.
"""

# %%
speed = positions.rotary_frequencies(64)
away = torch.arange(128)[:, None]  # how far the key stands back
alike = (away * speed).cos().mean(dim=1)  # query = key = ones
aimed = ((away - 20) * speed).cos().mean(dim=1)  # the query turned by 20
print("highest at distance", alike.argmax().item(), "and", aimed.argmax().item())

# %% tags=["claim"]
fig, ax = plt.subplots(figsize=(5.6, 2.6), layout="constrained")
ax.plot(alike, label="query = key")
ax.plot(aimed, "--", label="query turned by 20 positions")
ax.set(xlabel="distance", ylabel="score, share of the largest")
ax.legend()
show(fig, "One curve falls from distance 0, unevenly; the other one peaks at 20.")
key, back = torch.ones(1, 64), torch.arange(128)
scores = []
for start in (0, 20):  # the library's rotation, not the formula
    asked = positions.rotate(key, positions.rotary_angles(torch.tensor([-start]), 64))
    at = [
        positions.rotate(x, positions.rotary_angles(torch.tensor([p]), 64))
        for x, p in ((asked, 200), *((key, 200 - d) for d in back.tolist()))
    ]
    scores.append(torch.stack([(at[0] @ k.T).squeeze() for k in at[1:]]) / 64)
claim(
    "C09.20",
    "With query and key alike a RoPE score is highest at distance 0 and lower on average beyond 64; the query turned by 20 "
    "positions peaks at exactly 20: what is fixed is a bound, not a preference",
    torch.allclose(scores[0], alike, atol=1e-4)
    and torch.allclose(scores[1], aimed, atol=1e-4)
    and scores[0].argmax() == 0
    and scores[1].argmax() == 20
    and scores[0][64:].mean() < 0.5,
    measured=f"mean beyond 64: {scores[0][64:].mean():.2f} of the largest",
)

# %% [markdown]
r"""
So RoPE fixes no preference: queries and keys decide where a pair of them peaks. ALiBi does fix one, a slope times the distance taken off each score.

**FlashAttention by hand.** The formed scores of 9.9 are written to memory and read again. FlashAttention never forms them: it takes the keys in blocks and keeps three things per query: the largest score so far $m$, the sum $l$ of $e^{s - m}$, and the mix $o$ of the values, not yet divided.
When a block raises the maximum, what was kept is too large by $e^{m' - m}$; so it is multiplied by $e^{m - m'}$ first.
"""

# %%
scores, values = torch.tensor([1.0, 3, 2, 5]), torch.tensor([10.0, 20, 30, 40])
m, l, o = torch.tensor(-torch.inf), 0.0, 0.0
for block in (slice(0, 2), slice(2, 4)):
    largest = torch.maximum(m, scores[block].max())
    powers = (scores[block] - largest).exp()
    shrink = (m - largest).exp()  # 0 for the first block
    l, o = l * shrink + powers.sum(), o * shrink + powers @ values[block]
    m = largest
    print(f"m {m:.0f}  l {l:.4f}  o {o:.4f}")
print(f"o / l {o / l:.4f}  softmax {scores.softmax(0) @ values:.4f}")

# %% tags=["claim"]
many, v = normal(7, 96, seed=8) * 10, normal(96, 5, seed=9)
due = many.softmax(-1) @ v
gaps = []
for size in (1, 5, 32, 96):
    blocks = list(zip(many.split(size, dim=1), v.split(size), strict=True))
    gaps.append((exercise.online_softmax.reference(blocks) - due).abs().max().item())
halves = zip(many.split(48, dim=1), v.split(48), strict=True)
averaged = torch.stack([s.softmax(-1) @ w for s, w in halves]).mean(0)
claim(
    "C09.19",
    "Softmax over blocks of 1, 5, 32 or 96 keys with a running maximum and sum is softmax up to rounding; the mean of two blocks' "
    "softmaxes is not",
    max(gaps) < 1e-5 and (averaged - due).abs().max() > 0.1,
    measured=f"largest gap {max(gaps):.0e}; the mean is off by up to {(averaged - due).abs().max():.2f}",
)

# %% [markdown]
r"""
Exact, so it is no approximation, and its memory is linear in $n$. What does it cost? Count products of $n^2E$ multiply-adds. Forward: two. Backward: four, for the gradients of $V$, of the weights, of $Q$ and of $K$. The weights were never kept, so backward *recomputes* the scores: one more. Seven instead of six, a sixth more FLOPs, and it wins
all the same: on a GPU plain attention waits for bytes, those of the $n \times n$ matrices. (The paper measures 13 % more FLOPs, a ninth of the bytes and less than a fifth of the time; source 8.)

### Exercise 09.5 · online_softmax ●●○ 15 minutes · more

`blocks` is a list of pairs `(scores, values)`, shapes (T, S_b) and (S_b, E); S_b may differ from block to block and is 1 or more. Return softmax over *all* scores of a row, times all values: (T, E). Take one block after the other and never join them: no
tensor may be larger than the largest of one block or of the result. Scores reach ±10,000, and a masked score is -inf, possibly a whole row of a block, also of the first. A row with no other score than -inf gets zeros.
"""


# %% tags=["exercise"]
def online_softmax(blocks):
    """[(scores (T, S_b), values (S_b, E)), ...] -> (T, E)."""
    raise NotImplementedError


check(exercise.online_softmax, online_softmax)
hint(exercise.online_softmax)

# %% [markdown]
r"""
### Exercise 09.6 · decode_step ●●○ 15 minutes · more

Without a cache each new token would recompute the keys and values of all before it. With RoPE a key is turned *before* it is kept: its position does not change any more. One step of generation with grouped queries, already turned: `query` is (B, H, 1, E), the new token's `key` and `value` are (B, H_kv, 1, E), H_kv divides H. `cache` is a pair `(keys, values)`, each (B, H_kv, S, E) with S = 0 at the first step. Return
`(output, cache)`: the output (B, H, 1, E), and the new pair, each (B, H_kv, S + 1, E), the new token last. The token reads all that came before and itself; scores are divided by √E. Neighbouring query heads share a key head: head h reads key head h // (H / H_kv). Do not change the old cache.
"""


# %% tags=["exercise"]
def decode_step(query, key, value, cache):
    """Returns (output (B, H, 1, E), (keys, values)), each (B, H_kv, S + 1, E)."""
    raise NotImplementedError


check(exercise.decode_step, decode_step)
hint(exercise.decode_step)

# %% [markdown]
r"""
## 9.11 The 60-second answer

($B$ examples, $H$ heads, $T$ tokens that ask, $S$ that answer, $E$ features per head.)
"Attention is a weighted read. Tokens that ask give queries, $(B, H, T, E)$; tokens that
answer give keys and values, $(B, H, S, E)$. Scores are $QK^\top/\sqrt{E}$, forbidden pairs are masked, a softmax over the keys makes
weights whose rows sum to 1, and weights times values is the answer. Why the root: a dot product of $E$ unit-variance terms has
variance $E$, so without it the softmax saturates as heads get wider and gradients vanish. Sequence length does not enter, and the
price is one multiplication per score. Heads split the features, never the sequence, at constant parameters. The
variants are five choices: self or cross, how many heads, who may read whom, how pairs are scored, soft or hard. The
bill is linear in length for the projections and quadratic for the scores; a window of $R$ keys makes the scores linear. Prefill is bound by FLOPs; decode by bytes, since one token does about one FLOP per byte
of weights, and a card needs hundreds. A batch shares the weights but not the cache, so serving pays for the
cache: a 7 B decoder at a million tokens keeps 512 GiB, 128 with 8 key heads (GQA), 36 with MLA. FlashAttention is exact: more FLOPs, fewer bytes. Order comes from positions: RoPE rotates, so a
score sees only distances; M-RoPE does so for time, height and width. And a weight says what was read, not what it did: a sink may take most of it and add little."

## 9.12 Questions

Cover the answers, say yours aloud, compare. Each key point names the claim above that proves it, or a paper.
"""

# %%
bets("09")
show_questions("09")

# %% [markdown]
r"""
## 9.13 Card

- **Formula**: $\mathrm{softmax}(QK^\top/\sqrt{E} + \text{mask})\,V$; heads $[\mathrm{head}_1 \cdots \mathrm{head}_H]W_o$; RoPE
  $\langle R_p q, R_{p'} k\rangle = \langle q, R_{p'-p}\, k\rangle$.
- **Shapes**: Q (B, H, T, E), K and V (B, H_kv, S, E), weights (B, H, T, S), rows sum to 1; D = H · E; M-RoPE ids (3, S).
- **Cost** per layer, multiply-adds: projections $4nD^2$ ($2nD^2(1 + H_{kv}/H)$ with shared key heads), products $2n^2D$, with the MLP they meet at $n = 6D$; cache $2\,n\,H_{kv}E$ numbers; parameters $4D^2$ for any number of heads. FLOPs per byte:
  prefill $n$, decode 1 on the weights and $H/H_{kv}$ on the cache, an H100 wants 295.
- **Use** cross-attention when one side only reads; causal for generation, prefix for images; windows with sinks, GQA or MLA when the
  cache or the length hurts; the fused kernel, after a test of a row with nothing to read on your own device.
- **Do not** cross-attend onto one vector, mask with -1e9 or after the softmax, split the sequence into heads, mix RoPE pairings, evict the first token, or call a
  weight an explanation.

## 9.14 Sources

1. Vaswani et al. (2017), *Attention Is All You Need*, [arXiv:1706.03762](https://arxiv.org/abs/1706.03762): sections 3.2.1 (scale) and 3.2.2 (heads).
   Dehghani et al. (2023), [arXiv:2302.05442](https://arxiv.org/abs/2302.05442): QK-norm in a large vision Transformer. Raffel et al. (2019), [arXiv:1910.10683](https://arxiv.org/abs/1910.10683): T5; no scale and the smaller start
   are in the `T5Attention` of transformers.
2. Bahdanau, Cho, Bengio (2014), *Neural Machine Translation by Jointly Learning to Align and Translate*, [arXiv:1409.0473](https://arxiv.org/abs/1409.0473): the additive score.
3. Luong, Pham, Manning (2015), *Effective Approaches to Attention-based Neural Machine Translation*, [arXiv:1508.04025](https://arxiv.org/abs/1508.04025): dot product,
   global and local.
4. Xu et al. (2015), *Show, Attend and Tell*, [arXiv:1502.03044](https://arxiv.org/abs/1502.03044): soft and hard. Our reward is a number per item, theirs a likelihood.
5. Su et al. (2021), *RoFormer*, [arXiv:2104.09864](https://arxiv.org/abs/2104.09864): RoPE, and the bound in section 3.4.3. Press, Smith, Lewis (2021), [arXiv:2108.12409](https://arxiv.org/abs/2108.12409): ALiBi, in
   `positions.alibi_bias`. Peng et al. (2023), *YaRN*, [arXiv:2309.00071](https://arxiv.org/abs/2309.00071): RoPE and scores for longer contexts.
6. Wang et al. (2024), *Qwen2-VL*, [arXiv:2409.12191](https://arxiv.org/abs/2409.12191), section 2.1: M-RoPE; sections 16, 24, 24 from its published configuration. Huang et
   al. (2025), [arXiv:2510.23095](https://arxiv.org/abs/2510.23095): interleaved axes, as in Qwen3-VL.
7. Shazeer (2019), [arXiv:1911.02150](https://arxiv.org/abs/1911.02150): MQA, and why decoding is bound by memory. Ainslie et al. (2023), [arXiv:2305.13245](https://arxiv.org/abs/2305.13245): GQA. DeepSeek-AI (2024), *DeepSeek-V2*,
   [arXiv:2405.04434](https://arxiv.org/abs/2405.04434): MLA, 512 + 64 numbers. Llama Team (2024), [arXiv:2407.21783](https://arxiv.org/abs/2407.21783): the configuration of Llama 3 8B.
   [NVIDIA H100](https://www.nvidia.com/en-us/data-center/h100/): 989 TFLOP/s in bfloat16 without sparsity, 3.35 TB/s (SXM).
8. Dao et al. (2022), *FlashAttention*, [arXiv:2205.14135](https://arxiv.org/abs/2205.14135): figure 2, GPT-2 medium, 66.6 and 75.2 GFLOPs, 40.3 and 4.4 GB, 41.7 and 7.3 ms. Milakov, Gimelshein (2018), [arXiv:1805.02867](https://arxiv.org/abs/1805.02867): the online softmax.
   Beltagy, Peters, Cohan (2020), *Longformer*, [arXiv:2004.05150](https://arxiv.org/abs/2004.05150): windows.
   Katharopoulos et al. (2020), [arXiv:2006.16236](https://arxiv.org/abs/2006.16236): linear attention. Liu, Zaharia, Abbeel (2023), *Ring Attention*, [arXiv:2310.01889](https://arxiv.org/abs/2310.01889).
9. Xiao et al. (2023), *Efficient Streaming Language Models with Attention Sinks*, [arXiv:2309.17453](https://arxiv.org/abs/2309.17453). Gu et al. (2024), *When
   Attention Sink Emerges in Language Models*, [arXiv:2410.10781](https://arxiv.org/abs/2410.10781). Guo et al. (2024), *Active-Dormant Attention Heads*, [arXiv:2410.13835](https://arxiv.org/abs/2410.13835): the task with
   triggers; ours has fewer letters and a drawn chain. Kang et al. (2025), *See What You Are Told*, [arXiv:2503.03321](https://arxiv.org/abs/2503.03321): sinks among patches.
10. Zhang et al. (2024), *Cross-modal Information Flow in Multimodal Large Language Models*, [arXiv:2411.18620](https://arxiv.org/abs/2411.18620): attention knockout. We cut
    edges of a model of two layers.
11. Jain, Wallace (2019), [arXiv:1902.10186](https://arxiv.org/abs/1902.10186); Wiegreffe, Pinter (2019), [arXiv:1908.04626](https://arxiv.org/abs/1908.04626); Kobayashi et al. (2020), [arXiv:2004.10102](https://arxiv.org/abs/2004.10102): what
    attention weights explain.
12. Liu et al. (2023), *Lost in the Middle*, [arXiv:2307.03172](https://arxiv.org/abs/2307.03172).
13. Code compared with: PyTorch's `scaled_dot_product_attention` and `MultiheadAttention`; `CLIPAttention`, `LlamaAttention`, `LlamaForCausalLM`,
    `Qwen2VLAttention` of transformers.

## 9.15 Worked solutions
"""


# %% tags=["solution"]
def sdpa(query, key, value, mask=None):
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    if mask is None:
        weights = scores.softmax(dim=-1)
    else:
        lowest = torch.finfo(scores.dtype).min
        weights = scores.masked_fill(~mask, lowest).softmax(dim=-1) * mask
    return weights @ value, weights


check(exercise.sdpa, sdpa, solution=True)


# %% tags=["solution"]
def mha(x, w_query, w_key, w_value, w_out, heads):
    def split(tokens):  # (B, T, D) -> (B, H, T, E)
        return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)

    read, _ = sdpa(split(x @ w_query), split(x @ w_key), split(x @ w_value))
    return read.transpose(1, 2).flatten(start_dim=2) @ w_out


check(exercise.mha, mha, solution=True)


# %% tags=["solution"]
def rope(x, positions, base=10_000.0):
    frequencies = base ** (-torch.arange(0, x.shape[-1], 2) / x.shape[-1])  # (E/2,)
    angles = positions[:, None] * frequencies  # (S, E/2)
    a, b = x[..., 0::2], x[..., 1::2]
    cos, sin = angles.cos(), angles.sin()
    turned = torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1)
    return turned.flatten(start_dim=-2)


check(exercise.rope, rope, solution=True)


# %% tags=["solution"]
def mrope_ids(segments):
    parts, start = [], 0
    for kind, size in segments:
        if kind == "text":
            ids = torch.arange(size).repeat(3, 1)
        else:
            height, width = size
            row = torch.arange(height).repeat_interleave(width)
            column = torch.arange(width).repeat(height)
            ids = torch.stack([torch.zeros_like(row), row, column])
        parts.append(start + ids)
        start = int(parts[-1].max()) + 1
    return torch.cat(parts, dim=1)


check(exercise.mrope_ids, mrope_ids, solution=True)


# %% tags=["solution"]
def online_softmax(blocks):
    largest, total, mix = -torch.inf, 0.0, 0.0
    for scores, values in blocks:
        new = scores.amax(dim=1, keepdim=True).clamp(min=largest)
        safe = new.masked_fill(new == -torch.inf, 0.0)  # nothing to read yet
        powers, shrink = (scores - safe).exp(), (largest - safe).exp()
        total = total * shrink + powers.sum(dim=1, keepdim=True)
        mix = mix * shrink + powers @ values
        largest = new
    return torch.where(total > 0, mix / total, 0.0)


check(exercise.online_softmax, online_softmax, solution=True)


# %% tags=["solution"]
def decode_step(query, key, value, cache):
    keys, values = (
        torch.cat([old, new], dim=2)
        for old, new in zip(cache, (key, value), strict=True)
    )
    grouped = query.unflatten(1, (keys.shape[1], -1)).squeeze(3)  # (B, H_kv, H/H_kv, E)
    weights = (grouped @ keys.mT / query.shape[-1] ** 0.5).softmax(dim=-1)
    return (weights @ values).flatten(1, 2).unsqueeze(2), (keys, values)


check(exercise.decode_step, decode_step, solution=True)

# %% [markdown]
r"""
*Lessons:* [start page](00_start_here.ipynb) · previous: 08 · Dynamic fusion and missing modalities (planned), before it [07 · Fusing modalities](07_fusing_modalities.ipynb) · next: 10 · Cross-modal interaction and connectors (planned), then [12 · Task losses and class imbalance](12_task_losses.ipynb)
"""
