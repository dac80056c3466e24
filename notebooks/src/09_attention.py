# %% [markdown]
r"""
# 09 · Attention from first principles

You will be able to write attention with its shapes, say what each part is for, and show the cell that proves it.

*Two hours with the exercises · needs no other lesson · under 20 s of CPU*

*Lessons:* [start page](00_start_here.ipynb) · previous: 08 · Dynamic fusion and missing modalities (planned), before it [07 · Fusing modalities](07_fusing_modalities.ipynb) · next: 10 · Cross-modal interaction and connectors (planned), then [12 · Task losses and class imbalance](12_task_losses.ipynb)
"""

# %% [markdown]
r"""
## 9.1 The interview question

> **Write attention with shapes and explain the scale. Which variants do you know, and what does each cost?**
>
> **写出注意力的公式和各张量的形状，并解释缩放因子。你知道哪些变体？各自的代价是什么？**

**The 60-second answer, to be earned below** ($B$ examples, $H$ heads, $T$ tokens that ask, $S$ that answer, $E$ features a head).
"Attention is a weighted read. Tokens that ask give queries, $(B, H, T, E)$; tokens that
answer give keys and values, $(B, H, S, E)$. Scores are $QK^\top/\sqrt{E}$, forbidden pairs are masked, a softmax over the keys makes
weights whose rows sum to 1, and weights times values is the answer. Why the root: a dot product of $E$ unit-variance terms has
variance $E$, so without it the softmax saturates as heads get wider and gradients vanish. Sequence length does not enter, and the
price is one multiplication a score. Heads split the features, never the sequence, at constant parameters. The
variants are five choices: self or cross, how many heads, who may read whom, how pairs are scored, soft or hard. The
bill is linear in length for the projections and quadratic for the scores; a window of $R$ keys makes the scores linear. Serving pays for the
cache: a 7 B decoder at a million tokens keeps 512 GiB, 128 with 8 key heads (GQA), 36 with MLA. Order comes from positions: RoPE rotates, so a
score sees only distances; M-RoPE does so for time, height and width. And a weight says what was read, not what it did."

**You will be able to**

1. write scaled dot-product and multi-head attention so that they equal PyTorch's, CLIP's and Llama's, masks and NaN included;
2. derive $\sqrt{d_k}$, and refute what people say about it;
3. derive RoPE's relative property and write position ids for a text with images in it;
4. say what windows, grouped heads and long sequences cost, in operations and bytes;
5. read an attention map between words and patches, and test by cutting edges whether it matters.

| you have | read |
| --- | --- |
| an evening or two (120 min) | everything, exercises included |
| a workshop (45 min) | 9.1, 9.2, exercise 09.1, the first explorer of 9.5, the scenes in 9.6, 9.7 with bets before each cell |
| 15 minutes before the interview | 9.1, the two tables in 9.3, 9.7, 9.11, and three questions of 9.10 |

**Try first.** A layer has 8 heads of width 64, so its model width is 512, and reads 256 tokens. Three colleagues change one
thing each:

- **A** doubles the sequence to 512 tokens,
- **B** doubles the number of heads to 16, at the same model width,
- **C** doubles the width of a head to 128 and keeps 8 heads.

For each, say by what factor changes (1) the variance of the unscaled dot products, if all entries of queries and keys are independent
with mean 0 and variance 1, (2) the number of parameters, (3) the number of scores. Nine factors; section 9.6 computes them.
"""

# %%
from itertools import product

import matplotlib.pyplot as plt
import torch
from scipy.stats import kendalltau
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from course_lib.compat import ensure_torchvision
from course_lib.data.catalogue import find
from course_lib.data.scene_language import ENGLISH
from course_lib.data.scene_questions import ANSWERS, make_colour_questions
from course_lib.exercises import lesson_09 as exercise
from course_lib.explain import plots_attention, plots_structure
from course_lib.explain.attention_maps import capture_attention
from course_lib.interview.show import show_questions
from course_lib.lesson.claims import claim
from course_lib.lesson.exercises import check, hint
from course_lib.lesson.explore import explore
from course_lib.lesson.figures import COLOURS, MARKERS, dot_plot, show
from course_lib.models import attention, masks, positions
from course_lib.models.vqa import VqaTransformer
from course_lib.training.weights import load_weights

_ = torch.manual_seed(0)

# %% [markdown]
r"""
![Words are projected to queries, patches to keys and values, and all are split into heads. Queries times keys over the root of E
give scores; mask and softmax give weights; weights times values, joined over heads and projected, are added to the
words.](figures/09_attention.svg)

The picture shows one attention layer. The upper left box asks, the lower left box answers. If both are the same tokens it is
self-attention, otherwise cross-attention; the arithmetic is the same.

## 9.2 By hand

A question asks about a ring. The word "ring" gives a query of width $E = 4$; three patches of an image give a key each. Product,
scale, exponential, share:
"""

# %%
query = torch.tensor([1.0, 1.0, 1.0, 1.0])
keys = {"green ring": [2.0, 0.0, 2.0, 0.0], "red cross": [1.0, 1.0, 0.0, 0.0], "background": [0.0, 0.0, 0.0, 0.0]}

total = sum(torch.exp(query @ torch.tensor(key) / 4**0.5) for key in keys.values())
weights = {}
for name, key in keys.items():
    dot = query @ torch.tensor(key)
    weights[name] = ((dot / 4**0.5).exp() / total).item()
    print(f"{name:11s} dot {dot:.0f}  score {dot / 2:.0f}  exp {(dot / 2).exp():5.3f}  weight {weights[name]:.3f}")

# %% [markdown]
r"""
What is *read* is not the key but the value, here the colour of the patch. Then the same with a mask: the ring may not be read.
"""

# %%
values = {"green ring": (0.0, 1.0), "red cross": (1.0, 0.0), "background": (0.0, 0.0)}  # (red, green)
red, green = (sum(weights[name] * values[name][channel] for name in keys) for channel in (0, 1))
print(f"free:   red {red:.3f}, green {green:.3f}")

allowed = {"red cross", "background"}
left = sum(weights[name] for name in allowed)
red, green = (sum(weights[name] / left * values[name][channel] for name in allowed) for channel in (0, 1))
print(f"masked: red {red:.3f}, green {green:.3f}")

# %% [markdown]
r"""
Three things to notice. The weights hand out exactly 1, wanted or not: ban the ring, and its share goes to the others. The key
decides *how much*, the value decides *what*. And with a single key the softmax has nothing to choose from. **Predict** what the
query changes then.
"""

# %%
one_key, one_value = torch.randn(1, 1, 8), torch.randn(1, 1, 8)
asked, shouted = (
    attention.dot_product_attention(scale * torch.randn(1, 5, 8), one_key, one_value) for scale in (1, 100)
)
difference = (asked.output - shouted.output).abs().max().item()
claim(
    "C09.3",
    "With one key every weight is 1, whatever the query says: what cross-attention reads from one pooled vector "
    "ignores the question",
    (asked.weights == 1).all() and (shouted.weights == 1).all() and difference == 0,
    measured=f"two different sets of queries, difference of the outputs {difference}",
)

# %% [markdown]
r"""
### Exercise 09.1 · sdpa ●●○ 15 minutes

Write it for whole batches: `(B, H, T, E), (B, H, S, E), (B, H, S, E_value)` and a boolean mask that broadcasts with `(B, H, T, S)`,
True where a query may read a key. Return output and weights. The tests include scores beyond ±10,000, float16, and a query that
may read nothing (it reads zeros).
"""


# %% tags=["exercise"]
def sdpa(query, key, value, mask=None):
    """Returns (output (B, H, T, E_value), weights (B, H, T, S))."""
    raise NotImplementedError


check(exercise.sdpa, sdpa)
hint(exercise.sdpa)

# %% [markdown]
r"""
## 9.3 In symbols

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

**Every variant is five choices.** They combine freely, with one condition: a causal or local mask needs an order that both sides share, so
across modalities it needs aligned time. Self-attention is no kind of multi-head attention: one
says where keys come from, the other how often the read is done.

| choice | options | for | against |
| --- | --- | --- | --- |
| where keys come from | **self**: the same sequence · **cross**: another sequence or modality | self relates all tokens; cross costs $TS$, not $(T+S)^2$ | cross leaves the source unchanged; with one key it is deaf |
| who may read whom | **global** · causal · **local** (window) · prefix · blocks | global: any pair in one layer; local: cost $TR$ for $R$ keys | global: $TS$ scores; local: far pairs need several layers |
| how a pair is scored | additive $v^\top \tanh(W_q q + W_k k)$ · **dot-product** $q^\top k$ · **scaled** $q^\top k / \sqrt{E}$ · cosine | a dot product is one matrix product, the fastest | unscaled: saturates as $E$ grows |
| how the read is done | **soft**: weighted mean · **hard**: one item | soft is differentiable | hard needs sampling tricks to train |
| how many reads side by side | one · **multi-head** ($H$) · keys shared by groups (GQA) or by all (MQA) | several patterns at once, same parameters | narrower heads, $H$ score matrices |

*Global* and *local* are Luong's words (2015) for attending to all source positions or to a window of them. A global layer that knows
positions can learn to look locally; a local one needs several layers to see far.

*Multimodal attention* adds nothing to this table: it is the choice which modality asks and which answers. Image-text matching:
words ask patches. Video: frames ask the sound track, or both stand in one sequence. Medicine: a patient's record asks the scan.

**Positions.** Nothing above knows the order: permute the keys with their values, and nothing changes. At
position $p$ RoPE turns the $i$-th pair of features of query and key by the angle $p\,\theta_i$, with $\theta_i = b^{-2i/E}$ and a base $b$
of 10,000 in the paper. M-RoPE uses three positions $p = (t, h, w)$. ALiBi subtracts from each score a slope times the distance.
"""

# %% [markdown]
r"""
## 9.4 Build it

**One attention**: a loop over every number, then two matrix products, then the course's function, then PyTorch's.
"""


# %%
def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


q, k, v = normal(2, 3, 4, 6), normal(2, 3, 5, 6, seed=1), normal(2, 3, 5, 7, seed=2)  # (B, H, T or S, E)
looped = torch.zeros(2, 3, 4, 7)
for b, h, t in product(range(2), range(3), range(4)):
    powers = [(q[b, h, t] @ k[b, h, s] / 6**0.5).exp() for s in range(5)]
    looped[b, h, t] = sum(power / sum(powers) * v[b, h, s] for s, power in enumerate(powers))

vectorised = (q @ k.mT / 6**0.5).softmax(dim=-1) @ v
ours = attention.dot_product_attention(q, k, v)
print("loop = two products:     ", torch.allclose(looped, vectorised, atol=1e-6))
print("two products = function: ", torch.allclose(vectorised, ours.output, atol=1e-6))
print("function = torch's fused:", torch.allclose(ours.output, F.scaled_dot_product_attention(q, k, v), atol=1e-6))

order = torch.tensor([3, 0, 4, 2, 1])  # of the keys, with their values
shuffled = attention.dot_product_attention(q, k[:, :, order], v[:, :, order])
print("keys in another order:   ", torch.allclose(ours.output, shuffled.output, atol=1e-6), "(the same output)")

# %% [markdown]
r"""
**Numbers that break it.** Six ways to apply a mask, four inputs. *Loud*: scores of ±10,000. *Banned*: the loudest key is masked.
*Nothing*: all keys are masked, as for a missing image. *Half*: float16, where the largest number is 65,504. **Predict** how many of the 24
cells go wrong.
"""


# %%
def fused(scores, mask):
    """torch's kernel for this machine's CPU, made to show its weights: the values are the unit vectors."""
    units = torch.eye(scores.shape[-1], dtype=scores.dtype)
    ask = torch.ones(1, 1, dtype=scores.dtype)
    return F.scaled_dot_product_attention(ask, scores[:, None], units, attn_mask=mask[None], scale=1.0)[0]


WAYS = {
    "exp, mask, divide": lambda s, m: s.exp() * m / (s.exp() * m).sum(),
    "softmax, mask, divide": lambda s, m: s.softmax(-1) * m / (s.softmax(-1) * m).sum(),
    "fill with -1e9": lambda s, m: s.masked_fill(~m, -1e9).softmax(-1),
    "fill with -inf": lambda s, m: s.masked_fill(~m, -torch.inf).softmax(-1),
    "lowest number, times mask": lambda s, m: attention.masked_softmax(s, m),
    "torch's fused kernel": fused,
}
loud, quiet = torch.tensor([1e4, -1e4, 0.0]), torch.tensor([3.0, 1.0, 2.0]).half()
yes, no = torch.tensor([True] * 3), torch.tensor([False] * 3)
CASES = {  # scores, mask, the weights that are right
    "loud": (loud, yes, [1.0, 0.0, 0.0]),
    "banned": (loud, ~torch.tensor([True, False, False]), [0.0, 0.0, 1.0]),
    "nothing": (loud, no, [0.0, 0.0, 0.0]),
    "half": (quiet, torch.tensor([True, False, True]), [0.7311, 0.0, 0.2689]),
}


# %%
def verdict(way, scores, mask, right):
    try:
        got = WAYS[way](scores, mask).float()
    except RuntimeError:
        return "refused"
    return "NaN" if got.isnan().any() else "ok" if torch.allclose(got, torch.tensor(right), atol=1e-3) else "wrong"


table = {way: [verdict(way, *case) for case in CASES.values()] for way in WAYS}
print(f"{'':27s}" + "".join(f"{case:9s}" for case in CASES))
for way, verdicts in table.items():
    print(f"{way:27s}" + "".join(f"{word:9s}" for word in verdicts))

x, nobody = torch.randn(1, 3, 8), torch.ones(1, 3, dtype=torch.bool)
module = nn.MultiheadAttention(8, 2, batch_first=True)
nan = {
    need: module(x, x, x, key_padding_mask=nobody, need_weights=need)[0].isnan().any().item() for need in (True, False)
}
claim(
    "C09.9",
    "Only two of the six survive all four inputs: the lowest finite number and then times the mask, and torch's fused kernel on "
    "the CPU",
    [way for way, words in table.items() if set(words) == {"ok"}]
    == ["lowest number, times mask", "torch's fused kernel"],
    measured=f"nn.MultiheadAttention with all keys masked gives NaN: {nan[True]} with need_weights=True, {nan[False]} without",
)

# %% [markdown]
r"""
The dangerous cell says *wrong*: with -1e9 a query that may read nothing reads *everything*, padding included, and no alarm goes
off. (-inf at least says NaN.) In float16 -1e9 does not exist: filling refuses it here, adding it as a tensor makes -inf. And
whether `nn.MultiheadAttention` gives NaN for a missing image depends, in today's PyTorch, on whether you ask for its weights: look at the
brackets.

**Several heads.** Project with full matrices, give each head its slice of the *features*, attend, put the slices together, project.
First a loop over heads, then the module, then PyTorch's module and the one inside transformers' CLIP with the same weights.
"""


# %%
ensure_torchvision()  # transformers imports it
from transformers import CLIPVisionConfig  # noqa: E402
from transformers.models.clip.modeling_clip import CLIPAttention  # noqa: E402

config = CLIPVisionConfig(hidden_size=12, num_attention_heads=3, attn_implementation="eager")
clip = CLIPAttention(config).eval().requires_grad_(False)
module = attention.share_projections(attention.MultiHeadAttention(12, 3, bias=True), clip)
print("parameters:", sum(p.numel() for p in module.parameters()), "= 4 (12 · 12 + 12)")

# %%
x = normal(2, 5, 12)
heads = []
for h in range(3):
    own = slice(4 * h, 4 * h + 4)  # head h owns these features of every token
    q, k, v = (each(x)[..., own] for each in (module.query, module.key, module.value))
    heads.append((q @ k.mT / 4**0.5).softmax(dim=-1) @ v)
looped = module.out(torch.cat(heads, dim=-1))

torchs = nn.MultiheadAttention(12, 3, batch_first=True).requires_grad_(False)
torchs.in_proj_weight.copy_(torch.cat([module.query.weight, module.key.weight, module.value.weight]))
torchs.in_proj_bias.copy_(torch.cat([module.query.bias, module.key.bias, module.value.bias]))
torchs.out_proj.load_state_dict(module.out.state_dict())
attended = module(x)
gaps = {
    "loop over heads": (looped - attended.output).abs().max().item(),
    "nn.MultiheadAttention": (torchs(x, x, x)[0] - attended.output).abs().max().item(),
    "CLIP": max((one - other).abs().max().item() for one, other in zip(clip(x), attended, strict=True)),
}
for name, gap in gaps.items():
    print(f"{name:22s} = module:", gap < 1e-5)

# %% [markdown]
r"""
### Exercise 09.2 · mha ●●○ 10 minutes

`x` is `(B, T, D)`, the four matrices `(D, D)` are applied as `x @ w`, the result is `(B, T, D)`. No loop over heads. The classic slip
has the right shape and the wrong numbers: a view to `(B, H, T, E)` mixes tokens.
"""


# %% tags=["exercise"]
def mha(x, w_query, w_key, w_value, w_out, heads):
    """Multi-head self-attention without a mask; you may call your sdpa."""
    raise NotImplementedError


check(exercise.mha, mha)
hint(exercise.mha)

# %% [markdown]
r"""
**Positions.** Attention without them reads a *set*: another order of the keys gave the same output above. RoPE takes two features as a point in the plane, a complex number $a + ib$, and
turns it by the angle $p\,\theta$ at position $p$. The derivation is one line: the dot product of two points is
$\mathrm{Re}(q\,\bar k)$, so after the turn it is $\mathrm{Re}(q e^{ip\theta}\,\overline{k e^{ip'\theta}}) =
\mathrm{Re}(q \bar k\, e^{i(p - p')\theta})$: only $p - p'$ is left. This lesson pairs neighbours $(2i, 2i{+}1)$, *interleaved*, like the paper.
"""

# %%
frequencies = torch.tensor([10_000 ** (-2 * i / 8) for i in range(4)])  # E = 8: four pairs, radians per position


def turned(x, position):
    return torch.view_as_real(torch.view_as_complex(x.view(4, 2)) * torch.exp(1j * position * frequencies)).flatten()


q, k = normal(8, seed=3), normal(8, seed=4)
for at, other in ((5, 2), (12, 9), (105, 102), (5, 3)):
    print(f"query at {at:3d}, key at {other:3d}: distance {at - other}, score {turned(q, at) @ turned(k, other):.3f}")
by_library = positions.rotate(q[None], positions.rotary_angles(torch.tensor([5]), 8))[0]
print("complex numbers = rotate:", torch.allclose(turned(q, 5), by_library, atol=1e-5))

# %% [markdown]
r"""
### Exercise 09.3 · rope ●●● 15 minutes

`x` is `(..., S, E)`, `positions` `(S,)`. Neighbouring features form a pair; at position $p$ pair $i$ turns anticlockwise by
$p\, b^{-2i/E}$ radians.
"""


# %% tags=["exercise"]
def rope(x, positions, base=10_000.0):
    """Rotated x, same shape."""
    raise NotImplementedError


check(exercise.rope, rope)
hint(exercise.rope)

# %% [markdown]
r"""
**Three positions.** A text has one axis, an image two, a video three. Give every token $(t, h, w)$, and each axis a share of the
frequency pairs: that is M-RoPE of Qwen2-VL (heads of width 128: 16 pairs for time, 24 for height, 24 for width). A word has the same
number on all axes, so for text it *is* RoPE. The next segment starts at the largest number so far, plus 1.
"""

# %%
ids = positions.mrope_ids([2, (2, 3), 2])  # two words, an image of 2 x 3 visual tokens, two words
for axis, row in zip(("time", "height", "width"), ids.tolist(), strict=True):
    print(f"{axis:7s}", row)

sections, q, k = (2, 3, 3), normal(1, 16, seed=3), normal(1, 16, seed=4)


def score(at, other):
    a = positions.rotate(q, positions.mrope_angles(at[:, None], sections))
    return (a @ positions.rotate(k, positions.mrope_angles(other[:, None], sections)).mT).item()


image = positions.mrope_ids([(24, 24)])
asks, answers = torch.tensor([4, 3, 5]), torch.tensor([3, 1, 2])  # time, height, width
shifted = [score(asks + shift, answers + shift) for shift in torch.tensor([[0, 0, 0], [4, 7, 1], [9, 2, 40]])]
moved = [abs(score(asks + step, answers) - shifted[0]) for step in torch.eye(3, dtype=torch.int64)]
claim(
    "C09.6",
    "An M-RoPE score sees only the differences in time, height and width; a 24 x 24 image uses ids 0 to 23 instead of 0 to 575",
    max(shifted) - min(shifted) < 2e-5 < 2e-4 < min(moved) and image.max() == 23 and image.shape == (3, 576),
    measured=f"spread over three shifts {max(shifted) - min(shifted):.0e}; one step in time, height, width alone changes it by "
    f"{', '.join(f'{change:.4f}' for change in moved)}",
)

frequencies = positions.rotary_frequencies(128, base=1e6).split((16, 24, 24))  # Qwen2-VL
for axis, turn in zip(("time", "height", "width"), frequencies, strict=True):
    print(f"one step of {axis:6s} turns its pairs by {turn[-1]:.6f} to {turn[0]:.6f} rad")

# %% [markdown]
r"""
Two gains: vertical neighbours are 1 apart, not 24; and text behind an image starts at 24, not 576, so positions stay inside the
range seen in training for longer.

And a weakness, in the last three lines: pairs go from fast to slow, time comes first, so width has only slow pairs, and a neighbour
column is hardly told apart by the angle. (The image encoder has positions of its own, so the content still tells.) Qwen3-VL deals the
pairs out in turn instead, t h w t h w (Huang et al., 2025).

### Exercise 09.4 · mrope_ids ●●○ 10 minutes

Segments come as `("text", tokens)` or `("image", (height, width))`; return integers `(3, S)`, rows time, height, width.
"""


# %% tags=["exercise"]
def mrope_ids(segments):
    """For [("text", 2), ("image", (2, 3)), ("text", 2)] the three rows printed above."""
    raise NotImplementedError


check(exercise.mrope_ids, mrope_ids)
hint(exercise.mrope_ids)

# %% [markdown]
r"""
**Everything together**: rotary positions, causal mask, and *grouped queries*, where several query heads share one key head. transformers'
Llama and Qwen2-VL with copied weights. They pair feature $i$ with $i + E/2$ (*halves*), a permutation of ours: either is right, as
long as queries and keys, and the weights, agree.
"""

# %%
from transformers import LlamaConfig  # noqa: E402
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaRotaryEmbedding  # noqa: E402
from transformers.models.qwen2_vl.configuration_qwen2_vl import Qwen2VLTextConfig  # noqa: E402
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLAttention, Qwen2VLRotaryEmbedding  # noqa: E402

sizes = {"hidden_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2}  # E = 12, six pairs
turning = {"rope_type": "default", "rope_theta": 10_000.0}
llama_config = LlamaConfig(**sizes, rope_parameters=turning)
qwen_config = Qwen2VLTextConfig(**sizes, rope_parameters={**turning, "mrope_section": [1, 2, 3]})
llama_config._attn_implementation = qwen_config._attn_implementation = "eager"

ids = positions.mrope_ids([3, (2, 3), 3])
causal = masks.causal_mask(12)
bias = torch.zeros(1, 1, 12, 12).masked_fill(~causal, -torch.inf)  # what transformers adds to the scores
x, line = normal(2, 12, 48), torch.arange(12)
runs = {
    "Llama": (LlamaAttention(llama_config, 0), LlamaRotaryEmbedding(llama_config)(x, line[None])),
    "Qwen2-VL": (Qwen2VLAttention(qwen_config, 0), Qwen2VLRotaryEmbedding(qwen_config)(x, ids[:, None])),
}
angles = {"Llama": positions.rotary_angles(line, 12), "Qwen2-VL": positions.mrope_angles(ids, (1, 2, 3))}
for name, (theirs, turns) in runs.items():
    module = attention.share_projections(attention.MultiHeadAttention(48, 4, kv_heads=2), theirs.eval())
    output, _ = theirs(x, position_embeddings=turns, attention_mask=bias)
    gaps[name] = (module(x, mask=causal, angles=angles[name]).output - output).abs().max().item()
claim(
    "C09.8",
    "One module equals its loop, nn.MultiheadAttention, CLIP's, Llama's and Qwen2-VL's attention to 1e-5",
    max(gaps.values()) < 1e-5 and len(gaps) == 5,
    measured=", ".join(f"{name} {gap:.0e}" for name, gap in gaps.items()),
)

# %% [markdown]
r"""
## 9.5 Explore

**Who may read whom.** 16 tokens: six patches of an image, then ten words. Left: the mask of one layer. Right: what may have reached
each token after several. **Predict first**: with a window of ±2, how many layers until the last word knows the first patch? And which masks let
the *first patch* ever know a word?
"""


# %%
def draw_masks(mask="local window", reach=2, layers=3):
    one = masks.make_mask(mask, 16, reach=reach, prefix=6)
    drawn = {f"{mask}, 1 layer": one, f"{layers} layers": masks.reached(one, layers)}
    return plots_structure.show_pairs(drawn, border=6, kinds=("patches", "words"))


ALT = "Two 16 by 16 matrices: a band of width five, and after three layers a band of width thirteen."
explore(draw_masks, alt=ALT, mask=list(masks.NAMES), reach=(1, 6), layers=(1, 8))

# %% [markdown]
r"""
Eight layers: 15 steps at 2 a layer. And only *global* and *local window* ever let the first patch hear a word. With a causal mask or an
image prefix, and the image in front, patches never know the question; section 9.7 takes the gradient.

**The clock.** RoPE turns each pair of features like a hand of a clock, fast hands first. Solid: the query; dashed: the key. **Predict first**:
what happens to the angle *between* the two hands when both move by the same shift?
"""


# %%
def draw_clock(query_at=5, key_at=2, shift=0):
    return plots_structure.show_clocks(positions.rotary_angles(torch.tensor([query_at, key_at]) + shift, 8))


ALT = "Four clocks with a solid and a dashed hand; the angle between them shrinks from 3 to 0.003 radians."
explore(draw_clock, alt=ALT, query_at=(0, 40), key_at=(0, 40), shift=(0, 200))

# %% [markdown]
r"""
Nothing: both hands move together, pair by pair, at any shift.

**The softmax and the width.** 16 random keys, sorted by weight. The title turns the spread of the weights into a number of keys, the
exponential of their entropy: 16 if all get the same, 1 if one gets all. **Predict first**: how many are read at width 64 without the
scale? Then move the width, and switch the scale on.
"""


# %%
def weights_of(width, keys=16, scaled=True, queries=500):
    """Weights (queries, keys) of unit-variance random queries and keys."""
    q, k = normal(queries, 1, width, seed=0), normal(queries, keys, width, seed=1)
    return attention.dot_product_attention(q, k, k, scale=None if scaled else 1.0).weights[:, 0]


def draw_saturation(width=64, keys=16, scaled=False):
    """Mean weight of the strongest key, the second, and so on; and how many keys that amounts to."""
    weights = weights_of(width, keys, scaled)
    entropy = -(weights * weights.clamp_min(1e-30).log()).sum(dim=1).mean()
    fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
    ax.bar(range(1, keys + 1), weights.sort(dim=1, descending=True).values.mean(dim=0), color=COLOURS[0])
    ax.set(ylim=(0, 1), xlabel="key, strongest first", ylabel="mean weight")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_title(
        f"width {width}, {'scaled' if scaled else 'not scaled'}: about {entropy.exp():.1f} keys are read", fontsize=10
    )
    return fig


explore(
    draw_saturation,
    alt="Bars falling steeply: without the scale at width 64 the strongest of 16 keys takes most of the weight.",
    width=[4, 16, 64, 256, 1024],
    keys=(2, 64),
    scaled=False,
)

# %% [markdown]
r"""
## 9.6 Evidence

**Try first, computed.** Variance of the unscaled products, parameters of the layer, number of scores.
"""


# %%
def three_numbers(tokens=256, heads=8, head_width=64):
    q, k = normal(64, 40, head_width, seed=0), normal(64, tokens, head_width, seed=1)
    width = heads * head_width
    parameters = sum(p.numel() for p in attention.MultiHeadAttention(width, heads).parameters())
    return (q @ k.mT).var().item(), parameters, heads * tokens * tokens


before = three_numbers()
CHANGES = {
    "A: 512 tokens": three_numbers(tokens=512),
    "B: 16 heads": three_numbers(heads=16, head_width=32),
    "C: head width 128": three_numbers(head_width=128),
}
factors = {name: [after / old for after, old in zip(each, before, strict=True)] for name, each in CHANGES.items()}
print(f"{'':20s}variance  parameters  scores")
for name, (variance, parameters, scores) in factors.items():
    print(f"{name:20s}x {variance:<8.1f}x {parameters:<10.0f}x {scores:.0f}")

# %% [markdown]
r"""
Only the width of a head moves the variance. That is the whole argument for the scale: if the entries of $q$ and $k$ are independent
with mean 0 and variance 1, then $\mathrm{Var}(q^\top k) = \sum_{i=1}^{E} \mathrm{Var}(q_i k_i) = E$. The number of keys does not
occur.

It is an argument about the start of training. Later $q$ and $k$ grow and correlate, which is why many large models normalise both
before the product: *QK-norm*.

**Predict**, without the scale, the mean weight of the strongest of 16 keys at $E = 4$ and at $E = 1024$. The right panel shows
$a(1 - a)$, the derivative of a weight $a$ with respect to its own score.
"""

# %%
WIDTHS = (4, 16, 64, 256, 1024)
curves = {"not scaled": False, "scaled": True}
strongest = {
    name: [weights_of(w, scaled=on).max(dim=1).values.mean().item() for w in WIDTHS] for name, on in curves.items()
}
slopes = {
    name: [(a * (1 - a)).mean().item() for a in (weights_of(w, scaled=on) for w in WIDTHS)]
    for name, on in curves.items()
}
spreads = [(normal(500, 1, w) * normal(500, 16, w, seed=1)).sum(dim=-1).var().item() for w in WIDTHS]

fig, axes = plt.subplots(1, 2, figsize=(8, 2.9), layout="constrained")
for ax, series, ylabel in zip(
    axes, (strongest, slopes), ("weight of the strongest of 16 keys", "mean a (1 - a)"), strict=True
):
    for number, (name, heights) in enumerate(series.items()):
        ax.plot(WIDTHS, heights, marker=MARKERS[number], color=COLOURS[number], label=name)
    ax.set(xscale="log", xticks=WIDTHS, xticklabels=WIDTHS, xlabel="width of a head, E", ylabel=ylabel, ylim=0)
axes[0].legend()
show(fig, "Unscaled, the strongest weight climbs towards 1 and the slope falls towards 0; scaled, both stay level.")
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
)

# %% [markdown]
r"""
Where $a(1 - a)$ is 0 nothing is learnt about which key to read: that is the harm, not the size of the numbers.

**Long sequences, counted.** Operations, not seconds: FLOPs as torch counts them while the module runs. Then the same with a window of
128 keys, by formula, with a window as a mask, and how far stacked windows see.
"""


# %%
def counted(tokens, mask=None):
    """FLOPs of the two products of one layer (width 64, 4 heads), as torch counts them."""
    q = k = v = torch.zeros(1, 4, tokens, 16)
    with FlopCounterMode(display=False) as counter:
        attention.dot_product_attention(q, k, v, mask)
    return counter.get_total_flops()


LENGTHS = (128, 256, 512, 1024)
formula = [attention.attention_cost(n, n, 64, 4) for n in LENGTHS]
local = [attention.attention_cost(n, n, 64, 4, window=128) for n in LENGTHS]
print(f"{'tokens':>7s}{'counted':>15s}{'formula':>15s}{'window 128':>15s}{'projections':>15s}")
for n, full, window in zip(LENGTHS, formula, local, strict=True):
    row = (counted(n), 2 * full.products, 2 * window.products, 2 * full.projections)
    print(f"{n:7,}" + "".join(f"{flops:15,}" for flops in row))
masked = counted(1024, masks.window_mask(1024, 64))
print(f"  1,024{masked:15,}   with the window as a mask")

fields = {layers: masks.reached(masks.window_mask(64, 4), layers)[32].sum().item() for layers in (1, 2, 4, 8)}
claim(
    "C09.7",
    "Products grow 4-fold per doubling, windowed ones and projections 2-fold; a window mask saves nothing. In windows of ±4 the "
    "middle token sees 9, 17, 33 and all 64 after 1, 2, 4 and 8 layers",
    all(counted(n) == 2 * full.products for n, full in zip(LENGTHS, formula, strict=True))
    and all(b.products == 4 * a.products for a, b in zip(formula, formula[1:], strict=False))
    and all(b.products == 2 * a.products for a, b in zip(local, local[1:], strict=False))
    and all(b.projections == 2 * a.projections for a, b in zip(formula, formula[1:], strict=False))
    and masked == counted(1024)
    and list(fields.values()) == [9, 17, 33, 64],
    measured=f"receptive field by layers {fields}",
)

# %% [markdown]
r"""
A window is not blind beyond its edge, it is slow: information travels one window per layer. And a mask alone saves nothing, because
all scores are computed before most of them are thrown away. The first row is worth a thought: products, $2n^2D$ multiply-adds, meet the
projections, $4nD^2$, at $n = 2D$. A layer also has its MLP, $8nD^2$ at four times the width, so against the *whole* layer they meet at
$n = 6D$. Shorter, and the width is the bill; longer, and the length is.

**Path length.** How much does the last output feel the first input? A plain RNN passes it through every step in between, attention reads it
in one. Untrained modules of width 16 as PyTorch initialises them, three seeds, 10, 50 and 200 tokens.
"""


# %%
def felt(build, tokens, seed):
    """Norm of the gradient of the last output with respect to the first input."""
    torch.manual_seed(seed)
    run, x = build(), torch.randn(1, tokens, 16, requires_grad=True)
    (grad,) = torch.autograd.grad(run(x)[0, -1].sum(), x)
    return grad[0, 0].norm().item()


def recurrent():
    rnn = nn.RNN(16, 16, batch_first=True)
    return lambda x: rnn(x)[0]


def attentive():
    layer = attention.MultiHeadAttention(16, 1)
    return lambda x: layer(x).output


paths = {name: [[felt(build, n, seed) for seed in range(3)] for n in (10, 50, 200)] for name, build in
         {"RNN": recurrent, "attention": attentive}.items()}  # fmt: skip
claim(
    "C09.10",
    "Over 200 tokens the gradient through an untrained RNN is under 1e-20; through attention it is only diluted, over 1e-4 (3 seeds)",
    max(paths["RNN"][2]) < 1e-20 and min(paths["attention"][2]) > 1e-4,
    measured="; ".join(f"{n} " + ", ".join(f"{max(v):.0e}" for v in values) for n, values in paths.items()),
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
SEEDS = (0, 1, 2)


def load_vqa(seed):
    model = VqaTransformer(len(ENGLISH), len(ANSWERS)).eval().requires_grad_(False)
    load_weights(model, find(f"checkpoints/vqa_scenes_{seed}.safetensors"))
    return model


models = [load_vqa(seed) for seed in SEEDS]
test = make_colour_questions(250, seed=77)
example = 8
words = ["<bos>", *ENGLISH.decode(test.ids[example]).replace("?", " ?").split(), "<eos>"]
maps = [list(capture_attention(each, {"image": test.images, "ids": test.ids}).maps.values()) for each in models]

fig, axes = plt.subplots(1, 2, figsize=(8.4, 3), layout="constrained", width_ratios=(1, 2.6))
axes[0].imshow(test.images[example].permute(1, 2, 0))
axes[0].set(xticks=[], yticks=[], title="patches 0 to 15")
for edge in (3.5, 7.5, 11.5):
    axes[0].axhline(edge, color="grey", linewidth=0.8)
    axes[0].axvline(edge, color="grey", linewidth=0.8)
read = maps[0][1][example].mean(dim=0)[:8, 8:]
plots_attention.show_patch_words(read, words, ax=axes[1], title="layer 2, mean of the heads")
show(
    fig,
    "A blue square above a red ring, and a matrix of eight words by sixteen patches: most rows are darkest at the ring.",
)

# %% [markdown]
r"""
A pretty map: most words seem to look at the ring, down on the right. Two questions to it. Does `<bos>` look at the *asked* object, or at
any object? And does the answer need what the map shows?

For the second, *cut edges*: forbid one group of tokens to read another, in one layer, by a mask, and ask again. The model's own
`forward` has no such mask, so we run its blocks by hand with this lesson's function, and check that without cuts nothing changes.
"""


# %%
def run_with(model, allowed):
    """The model's logits with one (24, 24) mask a layer: eight words, then sixteen patches."""
    patches = model.patches(test.images).flatten(start_dim=2).mT + model.patch_positions
    x = torch.cat([model.words(test.ids) + model.word_positions[:8], patches], dim=1)
    for block, mask in zip(model.blocks, allowed, strict=True):
        layer, normed = block.attention, block.attention_norm(x)
        q, k, v = (attention.split_heads(each(normed), 4) for each in (layer.query, layer.key, layer.value))
        x = x + layer.out(attention.join_heads(attention.dot_product_attention(q, k, v, mask).output))
        x = x + block.feed(block.feed_norm(x))
    return model.head(model.norm(x[:, 0]))


def share_right(logits):
    return (logits.argmax(dim=1) == test.answers).float().mean().item()


def cut(readers, read):
    mask = torch.ones(24, 24, dtype=torch.bool)
    mask[readers, read] = False
    return mask


free = torch.ones(24, 24, dtype=torch.bool)
gap = max((run_with(m, [free, free]) - m(test.images, test.ids).logits).abs().max().item() for m in models)
print("by hand = model:", gap < 1e-4)

# %% [markdown]
r"""
**Bet**: six cuts, each in layer 1 or in layer 2. Which of the twelve hurt most? The shape word ("ring") is token 5. The dotted line is
what naming the colour of a random coloured pixel would score.
"""

# %%
BOS, SHAPE, WORDS, PATCHES = slice(0, 1), slice(5, 6), slice(0, 8), slice(8, 24)
CUTS = {
    "nothing cut": free,
    "<bos> reads no patch": cut(BOS, PATCHES),
    "<bos> reads no other word": cut(BOS, slice(1, 8)),
    "shape word reads no patch": cut(SHAPE, PATCHES),
    "no word reads a patch": cut(WORDS, PATCHES),
    "no patch reads a word": cut(PATCHES, WORDS),
    "no patch reads a patch": cut(PATCHES, PATCHES),
}
cuts = {
    f"cut in layer {layer}": {
        name: [share_right(run_with(m, [mask, free] if layer == 1 else [free, mask])) for m in models]
        for name, mask in CUTS.items()
    }
    for layer in (1, 2)
}
asked_colour = (test.images * test.asked[:, None]).amax(dim=(2, 3))  # (questions, 3)
alike = (test.images == asked_colour[:, :, None, None]).all(dim=1) & test.drawn
any_object = (alike.sum(dim=(1, 2)) / test.drawn.sum(dim=(1, 2))).mean().item()
fig, ax = dot_plot(
    cuts, xlabel="share of right answers, one mark a seed (dotted: colour of any object)", chance=any_object
)
show(fig, "What hurts most: bos, or all words, read no patch in layer 2; then: no patch reads a word in layer 1.")


# %%
def lost(name, layer):
    runs = cuts[f"cut in layer {layer}"]
    return torch.tensor(runs["nothing cut"]) - torch.tensor(runs[name])


asked, other = (F.max_pool2d(where[:, None].float(), 4).flatten(1) for where in (test.asked, test.drawn & ~test.asked))


def asked_over_other(layer):
    """How much more weight <bos> gives a patch of the asked object than one of another object."""
    read = layer.mean(dim=1)[:, 0, 8:]
    return ((read * asked).sum() / asked.sum() / ((read * other).sum() / other.sum())).item()


looks = [[asked_over_other(layers[n]) for layers in maps] for n in (0, 1)]
shape_shares = [layer[n].mean(dim=1)[:, 5, 8:].sum(dim=1).mean().item() for layer in maps for n in (0, 1)]
claim(
    "C09.11",
    "In layer 2 <bos> gives a patch of the asked object over twice the weight of another object's; in layer 1 under 1.6 times "
    "(3 seeds)",
    max(looks[0]) < 1.6 < 2 < min(looks[1]),
    measured="; ".join(f"layer {n} " + ", ".join(f"{look:.1f}" for look in looks[n - 1]) for n in (1, 2)),
)
into, out = lost("no patch reads a word", 1), lost("<bos> reads no patch", 2)
claim(
    "C09.12",
    "The question flows into the patches in layer 1, the answer out of them in layer 2: cutting there costs over 10 and over 30 "
    "points. The shape word gives patches about what indifferent attention would, 16 of 24 (.667) to within .15, and cutting that "
    "costs under 3 (3 seeds)",
    into.min() > 0.1
    and out.min() > 0.3
    and max(lost("shape word reads no patch", layer).max() for layer in (1, 2)) < 0.03
    and lost("no patch reads a word", 2).abs().max() == 0
    and max(abs(share - 16 / 24) for share in shape_shares) < 0.15,
    measured=f"lost {into.min():.2f} to {into.max():.2f} and {out.min():.2f} to {out.max():.2f}; the shape word's cuts at most "
    f"{max(lost('shape word reads no patch', layer).max() for layer in (1, 2)):.3f}, its share on patches {min(shape_shares):.2f} to {max(shape_shares):.2f}",
)

# %% [markdown]
r"""
The story one likes to tell, "the word *ring* looks for the ring", is not how this model works. The *patches* read the question first;
then `<bos>` collects from the patches that found themselves asked. It is the main road, not the only one: `<bos>` reads the question as
well, so with the patches deaf the models stay above the dotted line.

The shape word spreads its weight about as chance would: two thirds of the tokens are patches, so two thirds of the weight say nothing.
In layer 2 cutting all words costs exactly what cutting `<bos>` costs, because only `<bos>` is read after the last layer. A cut that costs nothing proves that the edge is not
needed; one that costs may partly be the shock of weights that were handed to others.

Edge cutting, *attention knockout*, is how the flow through LLaVA was traced as well (Zhang et al., 2024). There the image goes into the
question tokens first. It has to: the image stands in front, and behind a causal mask no patch hears a word. Neither order is a law. Measure
yours.

## 9.7 Wrong answers people give

Bet before you run: is the sentence true?

> **"The scale is there for long sequences: without it dot products get too large, or too small, when there are many tokens."** ·
> **"Scaled attention is more expensive."**

It sounds right because long sequences have many scores. But each score is one dot product, and its variance knows only $E$. And the price is
one multiplication a score, beside $2E$ multiply-adds for making and using it. (In practice it is folded into the query or the kernel.)

Length has another effect: over more keys the same scores give a flatter softmax. YaRN (Peng et al., 2023) raises the scores at longer
contexts, by a factor fitted to measured perplexity. It is a second factor, not this one.
"""

# %%
by_length = [(normal(200, 1, 64) * normal(200, n, 64, seed=1)).sum(dim=-1).var().item() for n in (4, 16, 64, 256)]
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
depth, so levels come from layers. Cut the *sequence*, and the last token can no longer reach the first. And self or cross is another column of
the table in 9.3 than one head or several: in code they are two arguments, and all four combinations run.
"""

# %%
counts = {h: sum(p.numel() for p in nn.MultiheadAttention(128, h).parameters()) for h in (1, 2, 4, 8, 16)}
x = normal(1, 8, 16, seed=5)
moved = x.clone()
moved[:, -1] += 5


def by_features(x):
    heads = attention.split_heads(x, 4)  # (1, 4, 8, 4)
    return attention.join_heads(attention.dot_product_attention(heads, heads, heads).output)


def by_sequence(x):
    chunks = x.unflatten(1, (4, 2))  # (1, 4, 2, 16): four heads, two tokens each
    return attention.dot_product_attention(chunks, chunks, chunks).output.flatten(1, 2)


felt_by_first = [(split(x) - split(moved))[:, 0].abs().max().item() for split in (by_features, by_sequence)]
claim(
    "C09.4",
    "With 1, 2, 4, 8 or 16 heads the parameters are the same 66,048; split by features the last token reaches the first, split by "
    "sequence never",
    set(counts.values()) == {66_048} and felt_by_first[0] > 0.01 and felt_by_first[1] == 0,
    measured=f"effect of the last token on the first: by features {felt_by_first[0]:.2f}, by sequence {felt_by_first[1]:.1f}",
)

layer, other = attention.MultiHeadAttention(16, 4), attention.MultiHeadAttention(16, 4)
features = torch.arange(16).view(4, 4)[[2, 0, 3, 1]].flatten()  # the four heads in another order
state = {name: w[:, features] if name == "out.weight" else w[features] for name, w in layer.state_dict().items()}
other.load_state_dict(state)
gap = (layer(x).output - other(x).output).abs().max().item()
claim(
    "C09.4b", "Heads in another order give the same output: they are no levels", gap < 1e-6, measured=f"gap {gap:.0e}"
)

patches = normal(1, 5, 16, seed=6)
runs = [attention.MultiHeadAttention(16, heads)(x, source) for source, heads in product((None, patches), (1, 4))]
shapes = [tuple(run.weights.shape) for run in runs]
claim(
    "C09.16",
    "Self or cross, one head or four: two independent arguments of one module, four combinations",
    shapes == [(1, 1, 8, 8), (1, 4, 8, 8), (1, 1, 8, 5), (1, 4, 8, 5)],
    measured=f"shapes of the weights {', '.join(map(str, shapes))}",
)

# %% [markdown]
r"""
> **"Soft attention adds a non-linear function and costs more; hard attention is the plain form."**

Both use the same scores, and whoever samples also the same softmax. *Soft* reads the expectation over all items, so it has a gradient. *Hard* reads one item:
argmax has no gradient at all, and sampling needs the score-function estimator (REINFORCE, as in *Show, attend and tell*) or a Gumbel
relaxation. Its expectation is right: summed over all choices it *equals* the gradient of the expected reward. One sample of it is
noise with that mean.
"""

# %%
scores, reward = normal(6, seed=1).requires_grad_(), normal(6, seed=2)  # reward: what reading item i earns
soft = (scores.softmax(0) * reward).sum()
hard = reward[scores.argmax()]
(exact,) = torch.autograd.grad(soft, scores, retain_graph=True)

chance = scores.softmax(0)
pieces = [torch.autograd.grad(chance[i].log(), scores, retain_graph=True)[0] * reward[i] for i in range(6)]
expected = sum(p * piece for p, piece in zip(chance.detach(), pieces, strict=True))
noise = sum(p * (piece - exact).square().sum() for p, piece in zip(chance.detach(), pieces, strict=True)).sqrt()
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
the other, and with a causal mask the first modality never hears of the second. As for length: C09.7 above, four times the products per doubling. It has short paths (C09.10), and that is what it is good at.
"""

# %%
tokens = normal(1, 10, 16, seed=6).requires_grad_()  # six patches, four words
groups = torch.tensor([0] * 6 + [1] * 4)
reads = {}
kinds = {"one sequence": None, "causal": masks.causal_mask(10), "each modality alone": masks.group_mask(groups)}
for name, mask in kinds.items():
    read = attention.dot_product_attention(tokens, tokens, tokens, mask)
    (grad,) = torch.autograd.grad(read.output[:, :6].sum(), tokens)
    reads[name] = (grad[:, 6:].abs().sum().item(), read.weights[0, 6:, :6].sum(dim=1).mean().item())
claim(
    "C09.13",
    "In one unmasked sequence words and patches read each other; with a mask per modality the gradient between them is exactly 0; "
    "causal with the image in front, words read patches and the gradient from patches to words is exactly 0",
    min(reads["one sequence"]) > 0.01
    and reads["each modality alone"] == (0.0, 0.0)
    and reads["causal"][0] == 0 < 0.01 < reads["causal"][1],
    measured="; ".join(
        f"{name}: gradient {grad:.2f}, words' mass on patches {mass:.2f}" for name, (grad, mass) in reads.items()
    ),
)

# %% [markdown]
r"""
## 9.8 At scale

A 7-billion-parameter decoder: 32 layers, width 4,096, 32 heads of width 128. What reading $n$ tokens costs, and what must be kept. *Products*: of
every pair (a causal kernel skips half); *windowed*: of 4,096 keys a query. *Formed*: the score matrices of one layer in bfloat16, if a kernel writes them out. *Cache*: keys and values
of all layers, with 32 key heads, with 8 (GQA), and MLA's 576 numbers a token and layer (DeepSeek-V2).
"""

# %%
KEPT = {"MHA": 2 * 32 * 128, "GQA 8": 2 * 8 * 128, "MLA": 576}  # numbers kept per token and layer
print(f"{'':>10s}{'TFLOP':>29s}{'GiB':>31s}")
print("".join(f"{word:>10s}" for word in ("tokens", "linear", "products", "windowed", "formed", *KEPT)))
for n in (640, 4096, 32_768, 131_072, 1_048_576):
    full, window = (attention.attention_cost(n, n, 4096, 32, window=w) for w in (None, 4096))
    tflop = [each / 1e12 for each in (2 * 7e9 * n, 2 * 32 * full.products, 2 * 32 * window.products)]
    gib = [each * 2 / 2**30 for each in (full.scores, *(32 * n * kept for kept in KEPT.values()))]
    print(f"{n:10,}" + "".join(f"{each:10,.1f}" for each in tflop) + "".join(f"{each:10,.2f}" for each in gib))
claim(
    "C09.15",
    "At a million tokens the products of all pairs cost over 30 times the linear layers, and the cache is 512 GiB with 32 key "
    "heads, 128 with 8 and 36 with MLA",
    tflop[1] > 30 * tflop[0] and gib[1:] == [512, 128, 36],
    measured=f"{tflop[1] / tflop[0]:.0f} times; cache {gib[1]:.0f}, {gib[2]:.0f} and {gib[3]:.0f} GiB",
)

# %% [markdown]
r"""
Read it by columns. At 640 tokens (a LLaVA-1.5 prompt) the products are noise beside the linear layers; at 32,768 they have overtaken them,
and at 131,072 they lead even if a causal kernel halves them.

The formed scores explain FlashAttention: same products, exact result, but block by block with a running maximum and sum, so memory is linear in
$n$. A window makes the products linear too. The cache is what serving pays for: GQA divides it by 4 here. *MQA* shares one key head among all.

- **Mixed precision**: matrix products in bfloat16, softmax in float32. float16 overflows at 65,504: scale the query *before* the
  product, never use -1e9.
- **Memory in training**: micro-batches and accumulation leave attention as it is, since no example sees another. A packed batch needs
  a mask per document, or examples read each other.
- **Several GPUs**: heads are independent, so tensor parallelism gives each device some heads (key heads are copied where they are fewer than devices); past that, context
  parallelism splits the *sequence* and passes keys and values around a ring (*Ring Attention*, Liu et al., 2023), which changes no result.
- **Linear attention** replaces $\exp(q^\top k)$ by $\phi(q)^\top\phi(k)$; then $\phi(Q)\,(\phi(K)^\top V)$ is summed once, linear in $n$, with a state of
  fixed size. It cannot look as sharply as softmax, and hybrids keep a few full layers.
- **A window that forgets the first tokens breaks** models that use them as a *sink*; the next section shows why.

## 9.9 Look inside

**The sink.** A softmax must hand out 1, also when a head has nothing to say. Trained models learn a place to put it: a token that
most queries like and whose value adds nearly nothing (Gu et al., 2024). Such a token gets almost all the weight, adds nothing, and must not be evicted:
"""

# %%
scores, value = torch.tensor([8.0, 1.0, 1.0, 1.0, 1.0]), normal(5, 8)
value[0] = 0.0  # the sink
weights = scores.softmax(0)
output, evicted = weights @ value, scores[1:].softmax(0) @ value[1:]
growth = (evicted.norm() / output.norm()).item()
claim(
    "C09.5",
    "A token can hold over 0.99 of the weight and add exactly 0; evict it, and the output grows over 100-fold",
    weights[0] > 0.99 and (weights[0] * value[0]).abs().max() == 0 and growth > 100,
    measured=f"weight {weights[0]:.4f}, growth {growth:.0f}-fold",
)

# %% [markdown]
r"""
That is why a plain sliding window over the cache fails on many language models, and why keeping the first few tokens repairs it (Xiao et al., 2023;
`masks.sink_mask`). Vision-language models have sinks among their *patches* too, mostly in the background, and masking those hardly hurts (Kang et
al., 2025), presumably because the first token still takes the rest. So look before you prune by attention weight, and before you explain by it.

**Weight and effect in the trained models.** For every patch, the weight that `<bos>` gives it in layer 2, and how much the answer's
probabilities move when that one edge is cut. Do they rank the patches alike? Kendall's τ says: 1 is the same order, 0 none. A rival of
the weight alone is the length of what is added, $a_s \lVert W_o v_s \rVert$ for the weight $a_s$ of patch $s$ (Kobayashi et al., 2020).
"""


# %%
def cut_effects(model, questions=100):
    """How far the probabilities move when <bos> may not read patch p in layer 2: (questions, 16)."""
    before = run_with(model, [free, free])[:questions].softmax(dim=1)
    after = [run_with(model, [free, cut(BOS, slice(8 + p, 9 + p))])[:questions].softmax(dim=1) for p in range(16)]
    return torch.stack([(each - before).abs().sum(dim=1) for each in after], dim=1)


def added(model, weights):
    """Weight times length of W_o v, summed over heads: what <bos> adds from each patch in layer 2."""
    layer, kept = model.blocks[1].attention, []
    hook = layer.value.register_forward_hook(lambda module, given, value: kept.append(value))
    model(test.images, test.ids)
    hook.remove()
    value = attention.split_heads(kept[0], 4)[:, :, 8:]  # (questions, heads, patches, features)
    lengths = torch.einsum("bhpe,dhe->bhpd", value, layer.out.weight.unflatten(1, (4, -1))).norm(dim=-1)
    return (weights[:, :, 0, 8:] * lengths).sum(dim=1)


taus = {"weight": [], "weight times length": []}
for model, layers in zip(models, maps, strict=True):
    effects = cut_effects(model)
    for each, rank in zip(taus.values(), (layers[1].mean(dim=1)[:, 0, 8:], added(model, layers[1])), strict=True):
        pairs = [kendalltau(one, effect).statistic for one, effect in zip(rank, effects, strict=False)]
        each.append(sum(pairs) / len(pairs))
claim(
    "C09.5b",
    "In the layer that the answer is read from, weight and effect rank the patches alike only in part, weight times length too "
    "(3 seeds)",
    all(0.4 < tau < 0.9 for each in taus.values() for tau in each),
    measured="mean Kendall's τ: "
    + "; ".join(f"{name} {', '.join(f'{tau:.2f}' for tau in each)}" for name, each in taus.items()),
)

# %% [markdown]
r"""
So the weight is a fair hint here, where its reader is the answer token of the last layer; the shape word's two thirds in 9.6 were none. The
length of what is added sees through a sink, and here, among patches, it ranks hardly better. Cutting is the only one of the three that
asks the model. [Lesson 29](29_explaining.ipynb) makes a protocol of this.

## 9.10 Interview

Cover the answers, say yours aloud, compare. Each key point names the claim above that proves it, or a paper.
"""

# %%
show_questions("09")

# %% [markdown]
r"""
## 9.11 Card

- **Formula**: $\mathrm{softmax}(QK^\top/\sqrt{E} + \text{mask})\,V$; heads $[\mathrm{head}_1 \cdots \mathrm{head}_H]W_o$; RoPE
  $\langle R_p q, R_{p'} k\rangle = \langle q, R_{p'-p}\, k\rangle$.
- **Shapes**: Q (B, H, T, E), K and V (B, H_kv, S, E), weights (B, H, T, S), rows sum to 1; D = H · E; M-RoPE ids (3, S).
- **Cost** per layer, multiply-adds: projections $4nD^2$, products $2n^2D$; cache $2\,n\,H_{kv}E$ numbers; parameters $4D^2$ for any number of heads.
- **Use** cross-attention when one side only reads; causal for generation, prefix for images; windows with sinks, GQA or MLA when the
  cache or the length hurts; the fused kernel, after a test of a row with nothing to read on your own device.
- **Do not** cross-attend onto one vector, mask with -1e9 or after the softmax, split the sequence into heads, mix RoPE pairings, or call a
  weight an explanation.
"""

# %% [markdown]
r"""
## 9.12 Sources

1. Vaswani et al. (2017), *Attention Is All You Need*, [arXiv:1706.03762](https://arxiv.org/abs/1706.03762): sections 3.2.1 (scale) and 3.2.2 (heads).
   Dehghani et al. (2023), [arXiv:2302.05442](https://arxiv.org/abs/2302.05442): QK-norm in a large vision Transformer.
2. Bahdanau, Cho, Bengio (2014), *Neural Machine Translation by Jointly Learning to Align and Translate*, [arXiv:1409.0473](https://arxiv.org/abs/1409.0473): the additive score.
3. Luong, Pham, Manning (2015), *Effective Approaches to Attention-based Neural Machine Translation*, [arXiv:1508.04025](https://arxiv.org/abs/1508.04025): dot product,
   global and local.
4. Xu et al. (2015), *Show, Attend and Tell*, [arXiv:1502.03044](https://arxiv.org/abs/1502.03044): soft and hard. Our reward is a number per item, theirs a likelihood.
5. Su et al. (2021), *RoFormer*, [arXiv:2104.09864](https://arxiv.org/abs/2104.09864): RoPE. Press, Smith, Lewis (2021), [arXiv:2108.12409](https://arxiv.org/abs/2108.12409): ALiBi, in
   `positions.alibi_bias`. Peng et al. (2023), *YaRN*, [arXiv:2309.00071](https://arxiv.org/abs/2309.00071): RoPE and scores for longer contexts.
6. Wang et al. (2024), *Qwen2-VL*, [arXiv:2409.12191](https://arxiv.org/abs/2409.12191), section 2.1: M-RoPE; sections 16, 24, 24 from its published configuration. Huang et
   al. (2025), [arXiv:2510.23095](https://arxiv.org/abs/2510.23095): interleaved axes, as in Qwen3-VL.
7. Shazeer (2019), [arXiv:1911.02150](https://arxiv.org/abs/1911.02150): MQA. Ainslie et al. (2023), [arXiv:2305.13245](https://arxiv.org/abs/2305.13245): GQA. DeepSeek-AI (2024), *DeepSeek-V2*,
   [arXiv:2405.04434](https://arxiv.org/abs/2405.04434): MLA, 512 + 64 numbers.
8. Dao et al. (2022), *FlashAttention*, [arXiv:2205.14135](https://arxiv.org/abs/2205.14135). Beltagy, Peters, Cohan (2020), *Longformer*, [arXiv:2004.05150](https://arxiv.org/abs/2004.05150): windows.
   Katharopoulos et al. (2020), [arXiv:2006.16236](https://arxiv.org/abs/2006.16236): linear attention. Liu, Zaharia, Abbeel (2023), *Ring Attention*, [arXiv:2310.01889](https://arxiv.org/abs/2310.01889).
9. Xiao et al. (2023), *Efficient Streaming Language Models with Attention Sinks*, [arXiv:2309.17453](https://arxiv.org/abs/2309.17453). Gu et al. (2024), *When
   Attention Sink Emerges in Language Models*, [arXiv:2410.10781](https://arxiv.org/abs/2410.10781). Kang et al. (2025), *See What You Are Told*, [arXiv:2503.03321](https://arxiv.org/abs/2503.03321): sinks
   among patches.
10. Zhang et al. (2024), *Cross-modal Information Flow in Multimodal Large Language Models*, [arXiv:2411.18620](https://arxiv.org/abs/2411.18620): attention knockout. We cut
    edges of a model of two layers.
11. Jain, Wallace (2019), [arXiv:1902.10186](https://arxiv.org/abs/1902.10186); Wiegreffe, Pinter (2019), [arXiv:1908.04626](https://arxiv.org/abs/1908.04626); Kobayashi et al. (2020), [arXiv:2004.10102](https://arxiv.org/abs/2004.10102): what
    attention weights explain.
12. Liu et al. (2023), *Lost in the Middle*, [arXiv:2307.03172](https://arxiv.org/abs/2307.03172).
13. Code compared with: PyTorch's `scaled_dot_product_attention` and `MultiheadAttention`; `CLIPAttention`, `LlamaAttention`,
    `Qwen2VLAttention` of transformers.

## 9.13 Worked solutions
"""


# %% tags=["solution"]
def sdpa(query, key, value, mask=None):
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    if mask is None:
        weights = scores.softmax(dim=-1)
    else:
        weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1) * mask
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
    turned = torch.stack([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], dim=-1)
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
            row, column = torch.arange(height).repeat_interleave(width), torch.arange(width).repeat(height)
            ids = torch.stack([torch.zeros_like(row), row, column])
        parts.append(start + ids)
        start = int(parts[-1].max()) + 1
    return torch.cat(parts, dim=1)


check(exercise.mrope_ids, mrope_ids, solution=True)

# %% [markdown]
r"""
*Lessons:* [start page](00_start_here.ipynb) · previous: 08 · Dynamic fusion and missing modalities (planned), before it [07 · Fusing modalities](07_fusing_modalities.ipynb) · next: 10 · Cross-modal interaction and connectors (planned), then [12 · Task losses and class imbalance](12_task_losses.ipynb)
"""
