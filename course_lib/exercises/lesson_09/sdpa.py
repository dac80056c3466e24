"""Exercise 09.1: scaled dot-product attention with a mask."""

import math
from functools import partial

import torch
from torch.nn import functional as F

from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close

MASK = torch.tensor([[1, 0, 1, 1, 0], [1, 1, 1, 0, 1], [0, 1, 0, 1, 1], [1, 1, 0, 1, 0]], dtype=torch.bool)  # (T, S)


def drawn_tokens(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _qkv():
    """B = 2, H = 3, T = 4, S = 5, E = 6, values 7 wide: every axis has its own length."""
    return drawn_tokens(2, 3, 4, 6, seed=0), drawn_tokens(2, 3, 5, 6, seed=1), drawn_tokens(2, 3, 5, 7, seed=2)


def sdpa_returns_output_and_weights(sdpa):
    got = sdpa(*_qkv())
    assert isinstance(got, tuple | list) and len(got) == 2, "return two tensors: (output, weights)"
    assert got[1].shape == (2, 3, 4, 5), f"weights are (B, H, T, S) = (2, 3, 4, 5), got {tuple(got[1].shape)}"
    assert got[0].shape == (2, 3, 4, 7), f"output is (B, H, T, E of value) = (2, 3, 4, 7), got {tuple(got[0].shape)}"


def sdpa_shares_out_one(sdpa):
    total = sdpa(*_qkv())[1].sum(dim=-1)
    assert close(total, torch.ones_like(total)), (
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
        assert not close(weights, (products / divisor).softmax(-1)), advice
    expected = (products / math.sqrt(6)).softmax(-1)
    assert close(weights, expected), "weights are softmax(query · key / √E), with E the last axis of query"
    assert close(output, expected @ value), "output is weights @ value"


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
    assert close(total, torch.ones_like(total)), (
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
    by_example = MASK.flip(0).expand(2, 1, 4, 5) ^ torch.tensor([False, True])[:, None, None, None]
    masks = {
        "(B, 1, 1, S)": MASK[:2, None, None, :],
        "(T, S)": MASK,
        "(B, 1, T, S)": by_example,
        "(H, 1, S)": MASK[1:, None],
        "(T, 1)": torch.tensor([[True], [False], [True], [True]]),
    }
    for shape, mask in masks.items():
        scores = (query @ key.transpose(-1, -2) / math.sqrt(6)).masked_fill(~mask, -torch.inf)
        expected = scores.softmax(-1).nan_to_num(0.0)
        advice = f"a mask of shape {shape} does not do its work; let it broadcast, add no axes of your own"
        try:
            weights = sdpa(query, key, value, mask)[1]
        except (RuntimeError, IndexError):
            raise AssertionError(advice) from None
        assert close(weights, expected) or shape == "(T, 1)", advice  # that one is the matter of the last stage
        assert weights.shape == expected.shape, advice


def sdpa_survives_large_scores(sdpa):
    query, value = torch.tensor([[[[100.0]]]]), torch.tensor([[[[1.0], [2.0], [3.0]]]])
    key = torch.tensor([[[[100.0], [-200.0], [-150.0]]]])  # scores 10,000, -20,000, -15,000
    free = sdpa(query, key, value)[1]
    assert torch.isfinite(free).all(), "scores of 10,000 gave NaN: exp overflows; torch's softmax subtracts the largest"
    masked = sdpa(query, key, value, torch.tensor([False, True, True]))[1].flatten()
    assert torch.isfinite(masked).all(), (
        "NaN when the banned key has the largest score: what is left was 0 / 0; mask the scores, do not renormalise"
    )
    assert masked.tolist() != [0.0, 0.5, 0.5], (
        "-20,000 and -15,000 came out as a tie: do not clamp the scores; torch's softmax subtracts the largest"
    )
    assert masked.tolist() == [0.0, 0.0, 1.0], (
        "a banned key was read all the same: -10,000 is not low enough; replace the score by the lowest number"
    )


def sdpa_works_in_half_precision(sdpa):
    for kind in (torch.float16, torch.bfloat16):
        half = [each.to(kind) for each in _qkv()]
        advice = "in float16 your mask value does not exist (the largest is 65,504): take torch.finfo(scores.dtype).min"
        try:
            output, weights = sdpa(*half, MASK)
        except RuntimeError as error:
            assert "overflow" not in str(error), advice
            raise
        assert torch.isfinite(weights).all() and weights[:, :, ~MASK].abs().max() == 0, advice
        due = attend(*(each.double() for each in half), MASK)
        assert close(weights, due[1].to(kind)) and close(output, due[0].to(kind)), (
            f"in {kind} the numbers are off by more than its rounding"
        )


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
    for kind in (torch.float16, torch.bfloat16, torch.float32):
        output, weights = sdpa(*(each.detach().to(kind) for each in (query, key, value)), mask)
        right = torch.isfinite(output).all() and weights[:, :, 1].abs().max() == 0 and output[:, :, 1].abs().max() == 0
        assert right, f"right in float64, but in {kind} a query that may read nothing does not get zeros"


def _weigh(scores, mask):
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1) * mask


def attend(query, key, value, mask=None, weigh=_weigh, divide=lambda query, key: math.sqrt(query.shape[-1])):
    scores = query @ key.transpose(-1, -2) / divide(query, key)
    weights = weigh(scores, scores.new_ones(1, dtype=torch.bool) if mask is None else mask)
    return weights @ value, weights


def _renormalise(weights):
    return weights / weights.sum(dim=-1, keepdim=True)


def _attend_by_einsum(query, key, value, mask=None):
    scores = torch.einsum("bhte,bhse->bhts", query, key) * query.shape[-1] ** -0.5
    if mask is not None:
        scores = torch.where(mask, scores, torch.finfo(scores.dtype).min)
    weights = scores.float().softmax(-1).to(query.dtype)
    weights = weights if mask is None else weights.masked_fill(~mask, 0)
    return torch.einsum("bhts,bhse->bhte", weights, value), weights


def _attend_by_torch(query, key, value, mask=None):
    batch, heads, length, keys = *query.shape[:3], key.shape[2]
    if mask is None:
        mask = torch.ones(length, keys, dtype=torch.bool)
    mask = mask.broadcast_to(batch, heads, length, keys)
    some = mask.any(-1, keepdim=True)
    single = torch.eye(keys, dtype=query.dtype).expand(batch, heads, keys, keys)
    both = torch.cat([value, single], dim=-1)
    got = F.scaled_dot_product_attention(query, key, both, attn_mask=mask | ~some) * some
    return got[..., : value.shape[-1]], got[..., value.shape[-1] :]


class _Attention:
    def __call__(self, query, key, value, mask=None):
        scores = (query / math.sqrt(query.size(-1))).matmul(key.mT)
        if mask is None:
            mask = torch.ones_like(scores, dtype=torch.bool)
        empty = ~mask.any(dim=-1, keepdim=True)
        scores = scores.masked_fill(~(mask | empty), float("-inf"))
        weights = torch.softmax(scores, dim=-1).masked_fill(empty, 0.0)
        return weights.matmul(value), weights


def _attend_by_loop(query, key, value, mask=None):
    scores = torch.stack([(query * key[..., s : s + 1, :]).sum(-1) for s in range(key.shape[-2])], dim=-1)
    scores = scores.double() / query.shape[-1] ** 0.5
    real = torch.ones_like(scores) if mask is None else torch.zeros_like(scores) + mask
    scores = scores - 1e30 * (1 - real)
    powers = (scores - scores.amax(-1, keepdim=True)).exp() * real
    weights = (powers / powers.sum(-1, keepdim=True).clamp_min(1e-300)).to(query.dtype)
    return [sum(weights[..., s : s + 1] * value[..., s : s + 1, :] for s in range(key.shape[-2])), weights]


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
    reference=attend,
    mutants={
        "return two tensors": lambda *case: attend(*case)[0],
        "the softmax ran over another axis": partial(attend, weigh=lambda scores, mask: scores.softmax(dim=-2)),
        "the scores are not scaled": partial(attend, divide=lambda query, key: 1),
        "the width of the model": partial(
            attend, divide=lambda query, key: math.sqrt(query.shape[1] * query.shape[-1])
        ),
        "divided by E": partial(attend, divide=lambda query, key: query.shape[-1]),
        "divided by √S": partial(attend, divide=lambda query, key: math.sqrt(key.shape[-2])),
        "the mask changes nothing": lambda *case: attend(*case[:3]),
        "the wrong way round": lambda query, key, value, mask=None: attend(
            query, key, value, None if mask is None else ~mask
        ),
        "mask the scores before it": partial(attend, weigh=lambda scores, mask: scores.softmax(dim=-1) * mask),
        "a score of 0 is no ban": partial(attend, weigh=lambda scores, mask: (scores * mask).softmax(dim=-1)),
        "a penalty is no ban": partial(attend, weigh=lambda scores, mask: (scores - 10.0 * ~mask).softmax(dim=-1)),
        "a mask of shape (B, 1, 1, S)": lambda query, key, value, mask=None: attend(
            query, key, value, None if mask is None else mask[None, None]
        ),
        "torch's softmax subtracts the largest": partial(
            attend, weigh=lambda scores, mask: _renormalise(scores.exp() * mask)
        ),
        "do not renormalise": partial(attend, weigh=lambda scores, mask: _renormalise(scores.softmax(dim=-1) * mask)),
        "replace the score": partial(attend, weigh=lambda scores, mask: (scores - 1e4 * ~mask).softmax(dim=-1)),
        "in float16 your mask value does not exist": partial(
            attend, weigh=lambda scores, mask: scores.masked_fill(~mask, -1e9).softmax(dim=-1) * mask
        ),
        "softmax of a row of -inf": partial(
            attend, weigh=lambda scores, mask: scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)
        ),
        "padding included": partial(
            attend, weigh=lambda scores, mask: scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1)
        ),
        "do not clamp the scores": partial(attend, weigh=lambda scores, mask: _weigh(scores.clamp(-50, 50), mask)),
        "the gradient is NaN": partial(
            attend, weigh=lambda scores, mask: (scores + mask.to(scores.dtype).log()).softmax(dim=-1).nan_to_num(0.0)
        ),
        "a mask of shape (B, 1, T, S)": lambda query, key, value, mask=None: attend(
            query, key, value, mask if mask is None or mask.dim() < 4 or mask.shape[2] == 1 else mask[:1]
        ),
        "more than its rounding": lambda query, key, value, mask=None: attend(
            query,
            key,
            value,
            mask,
            weigh=lambda scores, mask: (
                (_weigh(scores, mask) * 16).round() / 16 if scores.dtype == torch.float16 else _weigh(scores, mask)
            ),
        ),
        "a query that may read nothing does not get zeros": lambda query, key, value, mask=None: attend(
            query,
            key,
            value,
            mask,
            weigh=lambda scores, mask: (
                _weigh(scores, mask)
                if scores.dtype == torch.float64
                else scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1)
            ),
        ),
    },
    alternatives={
        "einsum, softmax in float32 and back": _attend_by_einsum,
        "torch's own, values of one": _attend_by_torch,
        "a class, -inf where something may be read": _Attention(),
        "query by query": _attend_by_loop,
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
