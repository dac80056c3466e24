"""Exercises of lesson 09: scaled dot-product attention, several heads, rotary positions, M-RoPE ids."""

import math
from functools import partial

import torch

from course_lib.lesson.exercises import Exercise

# --- 09.1 sdpa ----------------------------------------------------------------------------------------------------

MASK = torch.tensor([[1, 0, 1, 1, 0], [1, 1, 1, 0, 1], [0, 1, 0, 1, 1], [1, 1, 0, 1, 0]], dtype=torch.bool)  # (T, S)


def _tokens(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _qkv():
    """B = 2, H = 3, T = 4, S = 5, E = 6, values 7 wide: every axis has its own length."""
    return _tokens(2, 3, 4, 6, seed=0), _tokens(2, 3, 5, 6, seed=1), _tokens(2, 3, 5, 7, seed=2)


def sdpa_returns_output_and_weights(sdpa):
    got = sdpa(*_qkv())
    assert isinstance(got, tuple) and len(got) == 2, "return two tensors: (output, weights)"
    assert got[1].shape == (2, 3, 4, 5), f"weights are (B, H, T, S) = (2, 3, 4, 5), got {tuple(got[1].shape)}"
    assert got[0].shape == (2, 3, 4, 7), f"output is (B, H, T, E of value) = (2, 3, 4, 7), got {tuple(got[0].shape)}"


def sdpa_shares_out_one(sdpa):
    total = sdpa(*_qkv())[1].sum(dim=-1)
    assert torch.allclose(total, torch.ones_like(total)), (
        "each query hands out 1 over the keys, the last axis; the softmax ran over another axis"
    )


def sdpa_scales_by_the_width_of_a_head(sdpa):
    query, key, value = _qkv()
    output, weights = sdpa(query, key, value)
    products = query @ key.transpose(-1, -2)
    mistakes = {
        "the scores are not scaled: divide by √E": 1,
        "divided by √(H E), the width of the model; a head compares only its own E features": math.sqrt(18),
        "divided by E: the standard deviation of a product of E terms is √E": 6,
        "divided by √S: the number of keys has nothing to do with the spread of a score": math.sqrt(5),
    }
    for advice, divisor in mistakes.items():
        assert not torch.allclose(weights, (products / divisor).softmax(-1)), advice
    expected = (products / math.sqrt(6)).softmax(-1)
    assert torch.allclose(weights, expected), "weights are softmax(query · key / √E), with E the last axis of query"
    assert torch.allclose(output, expected @ value), "output is weights @ value"


def sdpa_reads_where_the_mask_is_true(sdpa):
    weights = sdpa(*_qkv(), MASK)[1]
    assert not torch.equal(weights, sdpa(*_qkv())[1]), "the mask changes nothing: the weights are those without it"
    assert weights[:, :, ~MASK].max() < weights[:, :, MASK].max(), (
        "the mask is the wrong way round: True means this query may read this key"
    )


def sdpa_leaks_nothing(sdpa):
    query, key, value = _qkv()
    key.requires_grad_()
    causal = torch.ones(4, 5, dtype=torch.bool).tril()
    output, weights = sdpa(query, key, value, causal)
    total = weights.sum(dim=-1)
    assert torch.allclose(total, torch.ones_like(total)), (
        "with a mask the rows no longer sum to 1: forbidden keys still count in the softmax; mask the scores before it"
    )
    read = weights[:, :, ~causal].max()
    assert read < 0.05, "a forbidden key is read: a score of 0 is no ban, since exp(0) is 1; take the lowest number"
    (grad,) = torch.autograd.grad(output[:, :, 1].sum(), key)
    assert grad[:, :, 2:].abs().max() < 1e-9, (
        "a later key still has a gradient in an earlier output: a penalty is no ban, masking the weights is too late"
    )


def sdpa_broadcasts_the_mask(sdpa):
    query, key, value = _qkv()
    for shape, mask in {"(B, 1, 1, S)": MASK[:2, None, None, :], "(T, S)": MASK}.items():
        expected = (query @ key.transpose(-1, -2) / math.sqrt(6)).masked_fill(~mask, -torch.inf).softmax(-1)
        advice = f"a mask of shape {shape} does not do its work; let it broadcast, add no axes of your own"
        try:
            weights = sdpa(query, key, value, mask)[1]
        except (RuntimeError, IndexError):
            raise AssertionError(advice) from None
        assert weights.shape == expected.shape and torch.allclose(weights, expected), advice


def sdpa_survives_large_scores(sdpa):
    query, value = torch.tensor([[[[100.0]]]]), torch.tensor([[[[1.0], [2.0], [3.0]]]])
    key = torch.tensor([[[[100.0], [-200.0], [-150.0]]]])  # scores 10,000, -20,000, -15,000
    free = sdpa(query, key, value)[1]
    assert torch.isfinite(free).all(), "scores of 10,000 gave NaN: exp overflows; torch's softmax subtracts the largest"
    masked = sdpa(query, key, value, torch.tensor([False, True, True]))[1].flatten()
    assert torch.isfinite(masked).all(), (
        "NaN when the banned key has the largest score: what is left was 0 / 0; mask the scores, do not renormalise"
    )
    assert masked.tolist() == [0.0, 0.0, 1.0], (
        "a banned key was read all the same: -10,000 is not low enough; replace the score by the lowest number"
    )


def sdpa_works_in_half_precision(sdpa):
    half = [each.half() for each in _qkv()]
    advice = "in float16 your mask value does not exist (the largest is 65,504): take torch.finfo(scores.dtype).min"
    try:
        weights = sdpa(*half, MASK)[1]
    except RuntimeError as error:
        assert "overflow" not in str(error), advice
        raise
    assert torch.isfinite(weights).all() and weights[:, :, ~MASK].abs().max() == 0, advice


def sdpa_reads_nothing_where_nothing_is_allowed(sdpa):
    query, key, value = (each.requires_grad_() for each in _qkv())
    mask = MASK & (torch.arange(4) != 1)[:, None]
    output, weights = sdpa(query, key, value, mask)
    assert torch.isfinite(output).all(), "a query that may read nothing came out NaN: softmax of a row of -inf"
    assert weights[:, :, 1].abs().max() == 0, (
        "a query that may read nothing reads everything, padding included: set its weights to 0 after the softmax"
    )
    output.square().sum().backward()
    assert torch.isfinite(query.grad).all(), (
        "forwards fine, but the gradient is NaN: repairing NaN after the softmax is too late; keep -inf out of it"
    )


def _weigh(scores, mask):
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1) * mask


def _sdpa(query, key, value, mask=None, weigh=_weigh, divide=lambda query, key: math.sqrt(query.shape[-1])):
    scores = query @ key.transpose(-1, -2) / divide(query, key)
    weights = weigh(scores, scores.new_ones(1, dtype=torch.bool) if mask is None else mask)
    return weights @ value, weights


def _renormalise(weights):
    return weights / weights.sum(dim=-1, keepdim=True)


sdpa = Exercise(
    id="09.1 sdpa",
    task="Write sdpa(query, key, value, mask=None): (B, H, T, E), (B, H, S, E), (B, H, S, E_value) -> output "
    "(B, H, T, E_value) and weights (B, H, T, S). mask is True where a query may read a key, and broadcasts; a query "
    "that may read nothing gets zeros.",
    stages=(
        sdpa_returns_output_and_weights,
        sdpa_shares_out_one,
        sdpa_scales_by_the_width_of_a_head,
        sdpa_reads_where_the_mask_is_true,
        sdpa_leaks_nothing,
        sdpa_broadcasts_the_mask,
        sdpa_survives_large_scores,
        sdpa_works_in_half_precision,
        sdpa_reads_nothing_where_nothing_is_allowed,
    ),
    reference=_sdpa,
    mutants={
        "return two tensors": lambda *case: _sdpa(*case)[0],
        "the softmax ran over another axis": partial(_sdpa, weigh=lambda scores, mask: scores.softmax(dim=-2)),
        "the scores are not scaled": partial(_sdpa, divide=lambda query, key: 1),
        "the width of the model": partial(_sdpa, divide=lambda query, key: math.sqrt(query.shape[1] * query.shape[-1])),
        "divided by E": partial(_sdpa, divide=lambda query, key: query.shape[-1]),
        "divided by √S": partial(_sdpa, divide=lambda query, key: math.sqrt(key.shape[-2])),
        "the mask changes nothing": lambda *case: _sdpa(*case[:3]),
        "the wrong way round": lambda query, key, value, mask=None: _sdpa(
            query, key, value, None if mask is None else ~mask
        ),
        "mask the scores before it": partial(_sdpa, weigh=lambda scores, mask: scores.softmax(dim=-1) * mask),
        "a score of 0 is no ban": partial(_sdpa, weigh=lambda scores, mask: (scores * mask).softmax(dim=-1)),
        "a penalty is no ban": partial(_sdpa, weigh=lambda scores, mask: (scores - 10.0 * ~mask).softmax(dim=-1)),
        "a mask of shape (B, 1, 1, S)": lambda query, key, value, mask=None: _sdpa(
            query, key, value, None if mask is None else mask[None, None]
        ),
        "torch's softmax subtracts the largest": partial(
            _sdpa, weigh=lambda scores, mask: _renormalise(scores.exp() * mask)
        ),
        "do not renormalise": partial(_sdpa, weigh=lambda scores, mask: _renormalise(scores.softmax(dim=-1) * mask)),
        "replace the score": partial(_sdpa, weigh=lambda scores, mask: (scores - 1e4 * ~mask).softmax(dim=-1)),
        "in float16 your mask value does not exist": partial(
            _sdpa, weigh=lambda scores, mask: scores.masked_fill(~mask, -1e9).softmax(dim=-1) * mask
        ),
        "softmax of a row of -inf": partial(
            _sdpa, weigh=lambda scores, mask: scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)
        ),
        "padding included": partial(
            _sdpa, weigh=lambda scores, mask: scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1)
        ),
        "the gradient is NaN": partial(
            _sdpa, weigh=lambda scores, mask: (scores + mask.to(scores.dtype).log()).softmax(dim=-1).nan_to_num(0.0)
        ),
    },
    hints=(
        "Four steps: products of queries and keys, scale, softmax over keys, mix the values. Where must the mask act?",
        "Replace forbidden scores by torch.finfo(scores.dtype).min before the softmax: finite, so no row becomes NaN.",
        "scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]); masked_fill(~mask, lowest); softmax(-1); "
        "times mask, so that a row with nothing to read is 0; weights @ value.",
    ),
    difficulty=2,
    minutes=15,
)

# --- 09.2 mha -----------------------------------------------------------------------------------------------------


def _mha_case(width=6, batch=2, length=5):
    return [_tokens(batch, length, width, seed=3), *(_tokens(width, width, seed=4 + n) for n in range(4))]


def _by_loop(x, w_query, w_key, w_value, w_out, heads):
    width = x.shape[-1] // heads
    parts = []
    for h in range(heads):
        own = slice(h * width, (h + 1) * width)
        parts.append(_sdpa(x @ w_query[:, own], x @ w_key[:, own], x @ w_value[:, own])[0])
    return torch.cat(parts, dim=-1) @ w_out


def mha_keeps_the_shape(mha):
    got = tuple(mha(*_mha_case(), 3).shape)
    assert got == (2, 5, 6), f"five tokens of width 6 go in and come out: (2, 5, 6), got {got}; join the heads again"


def mha_with_one_head_is_attention(mha):
    x, *_, w_value, w_out = case = _mha_case()
    got = mha(*case, 1)
    assert not torch.allclose(got, x @ w_value @ w_out), (
        "each token read only itself: attention mixes the axis before the last, so swap heads and tokens first"
    )
    assert torch.allclose(got, _by_loop(*case, 1)), (
        "with one head it is attention of x @ w_query, x @ w_key, x @ w_value, then @ w_out: was w_out forgotten?"
    )


def mha_keeps_features_in_their_place(mha):
    token = torch.arange(6.0, dtype=torch.float64)
    same, identity = token.repeat(1, 4, 1), torch.eye(6, dtype=torch.float64)
    got = mha(same, identity, identity, identity, identity, 2)
    assert not torch.allclose(got[0, 0], token[:3].repeat(2)), (
        "head 0 filled a whole token: swap heads and tokens back before you join, (B, H, T, E) to (B, T, H, E)"
    )
    assert torch.allclose(got, same), "a view to (B, H, T, E) mixes tokens: view to (B, T, H, E), then transpose"


def mha_lets_every_head_see_every_token(mha):
    x, *weights = _mha_case(length=4)
    moved = x.clone()
    moved[:, -1] += 5
    change = (mha(moved, *weights, 2) - mha(x, *weights, 2))[:, 0].abs().max()
    assert change > 1e-6, "the last token has no effect on the first: you split the sequence; split the features"


def mha_is_the_loop_over_heads(mha):
    x, w_query, *others = case = _mha_case()
    got, expected = mha(*case, 3), _by_loop(*case, 3)
    by_model = _by_loop(x, w_query / math.sqrt(3), *others, 3)
    assert not torch.allclose(got, by_model), "the scale is that of the whole width; each head divides by √(D / H)"
    assert torch.allclose(got, expected), (
        "differs from a loop over heads: head h owns the neighbouring features h·E to (h+1)·E, not every H-th one"
    )


def _split(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _join(read, shape):
    return read.transpose(1, 2).flatten(start_dim=2)


def _mha(x, w_query, w_key, w_value, w_out, heads, split=_split, join=_join):
    query, key, value = (split(x @ weight, heads) for weight in (w_query, w_key, w_value))
    return join(_sdpa(query, key, value)[0], x.shape) @ w_out


def _view(x, heads):
    return x.view(x.shape[0], heads, x.shape[1], -1)


def _chunks(x, heads):
    fits = x.shape[1] % heads == 0
    return x.view(x.shape[0], heads, x.shape[1] // heads, -1) if fits else x[:, None]


def _strided(x, heads):
    return x.unflatten(-1, (-1, heads)).permute(0, 3, 1, 2)


mha = Exercise(
    id="09.2 mha",
    task="Write mha(x, w_query, w_key, w_value, w_out, heads): x (B, T, D), four matrices (D, D) applied as x @ w -> "
    "(B, T, D). Head h works on the features h·E to (h+1)·E with E = D / heads; no loop over heads.",
    stages=(
        mha_keeps_the_shape,
        mha_with_one_head_is_attention,
        mha_keeps_features_in_their_place,
        mha_lets_every_head_see_every_token,
        mha_is_the_loop_over_heads,
    ),
    reference=_mha,
    mutants={
        "join the heads again": lambda x, q, k, v, out, heads: _sdpa(*(_split(x @ w, heads) for w in (q, k, v)))[0],
        "was w_out forgotten": lambda x, q, k, v, out, heads: _mha(x, q, k, v, torch.eye(6, dtype=x.dtype), heads),
        "each token read only itself": lambda *case: _mha(
            *case, split=lambda x, heads: x.unflatten(-1, (heads, -1)), join=lambda read, shape: read.flatten(2)
        ),
        "head 0 filled a whole token": lambda *case: _mha(*case, join=torch.Tensor.reshape),
        "a view to (B, H, T, E) mixes tokens": lambda *case: _mha(*case, split=_view, join=torch.Tensor.reshape),
        "you split the sequence": lambda *case: _mha(*case, split=_chunks, join=torch.Tensor.reshape),
        "the scale is that of the whole width": lambda x, q, *rest: _mha(x, q / math.sqrt(rest[-1]), *rest),
        "not every H-th one": lambda *case: _mha(
            *case, split=_strided, join=lambda read, shape: read.permute(0, 2, 3, 1).flatten(start_dim=2)
        ),
    },
    hints=(
        "Project first, with the full matrices. Then give each head its slice of the features of every token.",
        "(B, T, D) to (B, T, H, E) is a view: tokens.unflatten(-1, (heads, -1)). Then swap T and H: .transpose(1, 2).",
        "After your sdpa on (B, H, T, E): .transpose(1, 2).flatten(start_dim=2) @ w_out.",
    ),
    difficulty=2,
    minutes=10,
)

# --- 09.3 rope ----------------------------------------------------------------------------------------------------


def rope_leaves_position_zero(rope):
    x = _tokens(2, 1, 8, seed=8)
    got = rope(x, torch.tensor([0]))
    assert got.shape == x.shape, f"the shape stays (2, 1, 8), got {tuple(got.shape)}"
    assert not torch.allclose(got[..., :4], x[..., 0::2]), (
        "the features came back in another order: stack(..., dim=-1).flatten(-2) puts the pairs side by side again"
    )
    assert torch.allclose(got, x), "at position 0 every angle is 0 and nothing changes; RoPE rotates, it adds nothing"


def rope_keeps_lengths(rope):
    x = _tokens(2, 3, 8, seed=8)
    got = rope(x, torch.tensor([1, 5, 40])).norm(dim=-1)
    assert torch.allclose(got, x.norm(dim=-1), atol=1e-5), (
        "a rotation keeps lengths and yours does not: (a, b) becomes (a cos - b sin, a sin + b cos)"
    )


def rope_sees_only_distances(rope):
    query, key = _tokens(3, 8, seed=9), _tokens(3, 8, seed=10)
    near = (rope(query, torch.tensor([3, 4, 5])) * rope(key, torch.tensor([0, 2, 1]))).sum(dim=-1)
    far = (rope(query, torch.tensor([103, 104, 105])) * rope(key, torch.tensor([100, 102, 101]))).sum(dim=-1)
    assert torch.allclose(near, far, atol=1e-4), (
        "shifting query and key together changed the score: the angle must be position times a fixed frequency"
    )


def rope_turns_the_right_way(rope):
    got = rope(torch.tensor([[1.0, 0.0]]), torch.tensor([1])).flatten()
    assert got.tolist() != [1.0, 0.0], "position 1 was not turned: use `positions`, not the place in the tensor"
    assert got[1] > 0, "you turn clockwise: (1, 0) at position 1 becomes (cos 1, sin 1), with a plus"


def rope_has_the_frequencies(rope):
    ones = torch.ones(1, 8, dtype=torch.float64)
    expected = sum(2 * math.cos(7 * 10_000.0 ** (-2 * i / 8)) for i in range(4))
    assert abs(rope(ones, torch.tensor([7])).sum().item() - expected) < 1e-4, (
        "the frequencies differ: pair i turns by base^(-2i / E) radians per position, so 1, 0.1, 0.01, 0.001 for E = 8"
    )
    slower = (rope(ones, torch.tensor([7]), base=100.0) - rope(ones, torch.tensor([7]))).abs().max()
    assert slower > 1e-3, "`base` makes no difference; it is an argument, not always 10,000"


def rope_pairs_neighbours(rope):
    query, key = _tokens(1, 8, seed=9), _tokens(1, 8, seed=10)
    mixed = [
        (rope(query, torch.tensor([3 + shift])) * _rope(key, torch.tensor([1 + shift]))).sum().item()
        for shift in (0, 50)
    ]
    assert abs(mixed[0] - mixed[1]) < 1e-4, (
        "against a key rotated in neighbouring pairs the score depends on the absolute position: yours pairs i with "
        "i + E/2; either is fine alone, mixed they break"
    )


def _rope(x, positions, base=10_000.0):
    frequencies = base ** (-torch.arange(0, x.shape[-1], 2) / x.shape[-1])
    angles = positions[:, None] * frequencies
    a, b = x[..., 0::2], x[..., 1::2]
    turned = torch.stack([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], dim=-1)
    return turned.flatten(start_dim=-2)


def _rope_halves(x, positions, base=10_000.0):
    return _rope(x.unflatten(-1, (2, -1)).mT.flatten(-2), positions, base).unflatten(-1, (-1, 2)).mT.flatten(-2)


rope = Exercise(
    id="09.3 rope",
    task="Write rope(x, positions, base=10_000.0): x (..., S, E), positions (S,) -> (..., S, E). Neighbouring features "
    "(2i, 2i+1) are a point in the plane; at position p it turns by p · base^(-2i / E) radians, anticlockwise.",
    stages=(
        rope_leaves_position_zero,
        rope_keeps_lengths,
        rope_sees_only_distances,
        rope_turns_the_right_way,
        rope_has_the_frequencies,
        rope_pairs_neighbours,
    ),
    reference=_rope,
    mutants={
        "the features came back": lambda x, p, base=1e4: _rope(x, p, base).unflatten(-1, (-1, 2)).mT.flatten(-2),
        "RoPE rotates, it adds nothing": lambda x, p, base=1e4: x + p[:, None].cos(),
        "a rotation keeps lengths": lambda x, p, base=1e4: x + p[:, None] * (_rope(x, p, base) - x),
        "shifting query and key together": lambda x, p, base=1e4: _rope(x, p / p.max().clamp(min=1), base),
        "not the place in the tensor": lambda x, p, base=1e4: _rope(x, torch.arange(x.shape[-2]), base),
        "you turn clockwise": lambda x, p, base=1e4: _rope(x, -p, base),
        "the frequencies differ": lambda x, p, base=1e4: _rope(x, p, base**0.5),
        "`base` makes no difference": lambda x, p, base=1e4: _rope(x, p),
        "mixed they break": _rope_halves,
    },
    hints=(
        "Pair (a, b) at angle t becomes (a cos t - b sin t, a sin t + b cos t); a: even features, b: odd ones.",
        "angles = positions[:, None] * base ** (-torch.arange(0, E, 2) / E) has shape (S, E/2), like x[..., 0::2].",
        "torch.stack([new_a, new_b], dim=-1).flatten(start_dim=-2) puts the pairs back as neighbours.",
    ),
    difficulty=3,
    minutes=15,
)

# --- 09.4 mrope_ids -----------------------------------------------------------------------------------------------


def mrope_counts_tokens(mrope_ids):
    got = tuple(mrope_ids([("text", 2), ("image", (2, 4)), ("text", 3)]).shape)
    assert got == (3, 13), f"2 words, 2 x 4 patches and 3 words are 13 tokens with three ids: (3, 13), got {got}"


def mrope_of_text_is_rope(mrope_ids):
    got = mrope_ids([("text", 4)]).tolist()
    assert got == [[0, 1, 2, 3]] * 3, f"a word has the same number on all three axes, here 0 to 3, got {got}"


def mrope_of_an_image_is_a_grid(mrope_ids):
    time, height, width = mrope_ids([("image", (2, 3))]).tolist()
    assert len(set(time)) == 1, f"an image is one moment: time is the same for all its patches, got {time}"
    assert (height, width) == ([0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2]), (
        f"two rows of three patches, read row by row: height 0 0 0 1 1 1, width 0 1 2 0 1 2, got {height} and {width}"
    )


def mrope_starts_an_image_after_the_text(mrope_ids):
    got = mrope_ids([("text", 3), ("image", (2, 2))])[:, 3:]
    right = [[3, 3, 3, 3], [3, 3, 4, 4], [3, 4, 3, 4]]
    assert got.tolist() == right, "three words use 0, 1, 2, so the image starts at 3 on all three axes"


def mrope_goes_on_after_the_largest_id(mrope_ids):
    start = mrope_ids([("image", (2, 4)), ("text", 2)])[:, 8].tolist()
    mistakes = {
        0: "the text behind an image starts at 0 again, and meets the image's own positions",
        8: "you went on counting patches; the next segment starts at the largest id so far plus 1, here 4",
        3: "the largest id of the image is 3 and was given out again; add 1",
        1: "you followed the time axis alone; the largest id of all three axes counts",
        2: "you followed the height alone; the width is larger here, and the largest id counts",
    }
    assert start[0] not in mistakes, mistakes.get(start[0])
    assert start == [4, 4, 4], f"the text behind a 2 x 4 image starts at 4 on all axes, got {start}"


def mrope_adds_up_over_segments(mrope_ids):
    got = mrope_ids([("text", 2), ("image", (1, 2)), ("image", (3, 1)), ("text", 1)])[:, -1].tolist()
    assert got == [7, 7, 7], f"2 words, 2 columns, 3 rows: the last word stands at 7; keep a running start, got {got}"


def _mrope_ids(segments):
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


def _mrope_with(advance=None, change=None, image_start=None):
    """A variant: `advance` says where the next segment starts, `change` spoils the ids of a segment."""

    def variant(segments):
        parts, start = [], 0
        for kind, size in segments:
            ids = _mrope_ids([(kind, size)])
            ids = ids if change is None else change(kind, ids)
            parts.append(ids + (start if image_start is None or kind == "text" else image_start))
            start = int(parts[-1].max()) + 1 if advance is None else advance(start, kind, parts[-1])
        return torch.cat(parts, dim=1)

    return variant


mrope_ids = Exercise(
    id="09.4 mrope_ids",
    task="Write mrope_ids(segments): a list of ('text', tokens) and ('image', (height, width)) -> integers (3, S), "
    "rows time, height, width. Words count on all axes, patches have one time and their place in the grid; each "
    "segment starts at the largest id so far plus 1.",
    stages=(
        mrope_counts_tokens,
        mrope_of_text_is_rope,
        mrope_of_an_image_is_a_grid,
        mrope_starts_an_image_after_the_text,
        mrope_goes_on_after_the_largest_id,
        mrope_adds_up_over_segments,
    ),
    reference=_mrope_ids,
    mutants={
        "are 13 tokens": _mrope_with(change=lambda kind, ids: ids if kind == "text" else ids[:, :1]),
        "the same number on all three axes": _mrope_with(
            change=lambda kind, ids: ids * torch.tensor([[1], [0], [0]]) if kind == "text" else ids
        ),
        "an image is one moment": _mrope_with(
            change=lambda kind, ids: ids if kind == "text" else torch.stack([torch.arange(ids.shape[1]), *ids[1:]])
        ),
        "read row by row": _mrope_with(change=lambda kind, ids: ids if kind == "text" else ids[[0, 2, 1]]),
        "so the image starts at 3": _mrope_with(image_start=0),
        "starts at 0 again": _mrope_with(advance=lambda start, kind, ids: int(ids.max()) + 1 if kind == "text" else 0),
        "you went on counting patches": _mrope_with(advance=lambda start, kind, ids: start + ids.shape[1]),
        "was given out again": _mrope_with(
            advance=lambda start, kind, ids: int(ids.max()) + (1 if kind == "text" else 0)
        ),
        "you followed the time axis alone": _mrope_with(advance=lambda start, kind, ids: int(ids[0].max()) + 1),
        "you followed the height alone": _mrope_with(advance=lambda start, kind, ids: int(ids[1].max()) + 1),
        "keep a running start": _mrope_with(
            advance=lambda start, kind, ids: int(ids.max()) + 1 if kind == "text" else int((ids - start).max()) + 1
        ),
    },
    hints=(
        "Go through the segments with a running `start`. What is the largest id that a 2 x 4 image uses?",
        "Rows of the grid: torch.arange(height).repeat_interleave(width). Columns: torch.arange(width).repeat(height).",
        "ids = start + torch.stack([zeros, row, column]); then start = int(ids.max()) + 1, for text and images alike.",
    ),
    difficulty=2,
    minutes=10,
)

EXERCISES = (sdpa, mha, rope, mrope_ids)
