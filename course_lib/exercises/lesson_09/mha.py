"""Exercise 09.2: attention with several heads."""

import math

import torch
from torch.nn import functional as F

from course_lib.exercises.lesson_09.sdpa import attend, drawn_tokens
from course_lib.lesson.effort import TorchWork
from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close


def _mha_case(width=6, batch=2, length=5):
    return [drawn_tokens(batch, length, width, seed=3), *(drawn_tokens(width, width, seed=4 + n) for n in range(4))]


def _by_loop(x, w_query, w_key, w_value, w_out, heads):
    width = x.shape[-1] // heads
    parts = []
    for h in range(heads):
        own = slice(h * width, (h + 1) * width)
        parts.append(attend(x @ w_query[:, own], x @ w_key[:, own], x @ w_value[:, own])[0])
    return torch.cat(parts, dim=-1) @ w_out


def _over_queries(query, key):
    return (query @ key.mT / math.sqrt(query.shape[-1])).softmax(dim=-2)


def mha_keeps_the_shape(mha):
    got = tuple(mha(*_mha_case(), 3).shape)
    assert got == (2, 5, 6), f"five tokens of width 6 go in and come out: (2, 5, 6), got {got}; join the heads again"


def mha_with_one_head_is_attention(mha):
    x, w_query, w_key, w_value, w_out = case = _mha_case()
    got = mha(*case, 1)
    assert not close(got, x @ w_value @ w_out), (
        "each token read only itself: attention mixes the axis before the last, so swap heads and tokens first"
    )
    query, key, value = x @ w_query, x @ w_key, x @ w_value
    slips = {
        "w_out was forgotten: what is read is projected once more, read @ w_out": attend(query, key, value)[0],
        "w_query and w_key are exchanged: tokens ask with w_query": attend(key, query, value)[0] @ w_out,
        "w_key and w_value are exchanged: w_key is for the scores": attend(query, value, key)[0] @ w_out,
        "a matrix is applied as x @ w; nn.Linear's x @ w.T is another": _by_loop(x, *(w.T for w in case[1:]), 1),
        "softmax over the queries: each query hands out 1 over its keys, dim=-1": _over_queries(query, key)
        @ value
        @ w_out,
    }
    for advice, slip in slips.items():
        assert not close(got, slip), advice
    assert close(got, _by_loop(*case, 1)), (
        "with one head it is attention of x @ w_query, x @ w_key, x @ w_value, then @ w_out, in every example alone"
    )


def mha_keeps_features_in_their_place(mha):
    token = torch.arange(6.0, dtype=torch.float64)
    same, identity = token.repeat(1, 4, 1), torch.eye(6, dtype=torch.float64)
    got = mha(same, identity, identity, identity, identity, 2)
    assert not close(got[0, 0], token[:3].repeat(2)), (
        "head 0 filled a whole token: swap heads and tokens back before you join, (B, H, T, E) to (B, T, H, E)"
    )
    assert close(got, same), "a view to (B, H, T, E) mixes tokens: view to (B, T, H, E), then transpose"


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
    assert not close(got, by_model), "the scale is that of the whole width; each head divides by √(D / H)"
    strided = _mha(*case, 3, split=_strided, join=_join_strided)
    assert not close(got, strided), "head h owns the neighbouring features h·E to (h+1)·E, not every H-th one"
    assert close(got, expected), (
        "differs from a loop over heads: each reads with its own softmax, of its own features h·E to (h+1)·E"
    )


def mha_has_no_loop_over_heads(mha):
    calls = []
    for heads in (2, 6):
        with TorchWork() as work:
            mha(*_mha_case(), heads)
        calls.append(work.calls)
    assert calls[1] < calls[0] + 4, (  # each of four more heads would add one at least
        f"2 heads take {calls[0]} calls of torch and 6 take {calls[1]}: no loop over heads, let them be an axis"
    )
    assert close(mha(*_mha_case(), 6), _by_loop(*_mha_case(), 6)), "six heads of one feature each come out wrong"


def _split(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _join(read, shape):
    return read.transpose(1, 2).flatten(start_dim=2)


def _over_keys(query, key):
    return (query @ key.mT / math.sqrt(query.shape[-1])).softmax(dim=-1)


def _mha(x, w_query, w_key, w_value, w_out, heads, split=_split, join=_join, weigh=_over_keys):
    query, key, value = (split(x @ weight, heads) for weight in (w_query, w_key, w_value))
    return join(weigh(query, key) @ value, x.shape) @ w_out


def _view(x, heads):
    return x.view(x.shape[0], heads, x.shape[1], -1)


def _chunks(x, heads):
    fits = x.shape[1] % heads == 0
    return x.view(x.shape[0], heads, x.shape[1] // heads, -1) if fits else x[:, None]


def _strided(x, heads):
    return x.unflatten(-1, (-1, heads)).permute(0, 3, 1, 2)


def _join_strided(read, shape):
    return read.permute(0, 2, 3, 1).flatten(start_dim=2)


def _mha_by_einsum(x, w_query, w_key, w_value, w_out, heads):
    width = x.shape[-1]
    query, key, value = (
        torch.einsum("btd,dhe->bhte", x, w.view(width, heads, width // heads)) for w in (w_query, w_key, w_value)
    )
    weights = torch.einsum("bhte,bhse->bhts", query, key).div((width / heads) ** 0.5).softmax(-1)
    return torch.einsum("bhts,bhse,hed->btd", weights, value, w_out.view(heads, width // heads, width))


def _mha_by_torch(x, w_query, w_key, w_value, w_out, heads):
    batch, length, width = x.size()
    query, key, value = (
        part.reshape(batch, length, heads, -1).swapaxes(1, 2)
        for part in (x @ torch.hstack([w_query, w_key, w_value])).split(width, dim=-1)
    )
    read = F.scaled_dot_product_attention(query, key, value)
    return read.swapaxes(1, 2).reshape(batch, length, width).matmul(w_out)


def _mha_by_chunks(x, w_query, w_key, w_value, w_out, heads):
    stacked = [torch.cat((x @ w).chunk(heads, dim=-1)) for w in (w_query, w_key, w_value)]  # (H B, T, E)
    query, key, value = stacked
    read = torch.bmm(torch.softmax(torch.bmm(query, key.mT) / query.shape[-1] ** 0.5, -1), value)
    return torch.cat(read.chunk(heads), dim=-1) @ w_out


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
        mha_has_no_loop_over_heads,
    ),
    reference=_mha,
    mutants={
        "join the heads again": lambda x, q, k, v, out, heads: attend(*(_split(x @ w, heads) for w in (q, k, v)))[0],
        "w_out was forgotten": lambda x, q, k, v, out, heads: _mha(x, q, k, v, torch.eye(6, dtype=x.dtype), heads),
        "w_query and w_key are exchanged": lambda x, q, k, *rest: _mha(x, k, q, *rest),
        "w_key and w_value are exchanged": lambda x, q, k, v, *rest: _mha(x, q, v, k, *rest),
        "nn.Linear's x @ w.T": lambda x, *rest: _mha(x, *(w.T for w in rest[:-1]), rest[-1]),
        "softmax over the queries": lambda *case: _mha(*case, weigh=_over_queries),
        "in every example alone": lambda x, *rest: _mha(x.transpose(0, 1), *rest).transpose(0, 1),
        "with its own softmax": lambda *case: _mha(
            *case, weigh=lambda query, key: _over_keys(query, key).mean(dim=1, keepdim=True)
        ),
        "each token read only itself": lambda *case: _mha(
            *case, split=lambda x, heads: x.unflatten(-1, (heads, -1)), join=lambda read, shape: read.flatten(2)
        ),
        "head 0 filled a whole token": lambda *case: _mha(*case, join=torch.Tensor.reshape),
        "a view to (B, H, T, E) mixes tokens": lambda *case: _mha(*case, split=_view, join=torch.Tensor.reshape),
        "you split the sequence": lambda *case: _mha(*case, split=_chunks, join=torch.Tensor.reshape),
        "the scale is that of the whole width": lambda x, q, *rest: _mha(x, q / math.sqrt(rest[-1]), *rest),
        "not every H-th one": lambda *case: _mha(*case, split=_strided, join=_join_strided),
        "no loop over heads, let them": _by_loop,
        "six heads of one feature": lambda *case: _mha(*case) if case[-1] < 6 else _mha(*case).roll(1, dims=-1),
    },
    alternatives={
        "one einsum a step": _mha_by_einsum,
        "torch's own": _mha_by_torch,
        "chunks, heads in the batch": _mha_by_chunks,
    },
    hints=(
        "Project first, with the full matrices. Then give each head its slice of the features of every token.",
        "(B, T, D) to (B, T, H, E) is a view: tokens.unflatten(-1, (heads, -1)). Then swap T and H: .transpose(1, 2).",
        "After your sdpa on (B, H, T, E): .transpose(1, 2).flatten(start_dim=2) @ w_out.",
    ),
    difficulty=2,
    minutes=10,
)
