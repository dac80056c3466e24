"""Exercise 09.6: one step of generation with a cache and grouped queries."""

import math

import torch
from torch.nn import functional as F

from course_lib.exercises.lesson_09.sdpa import drawn_tokens
from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close


def _step(before=4, heads=6, kv_heads=2, seed=0):
    """B = 2, E = 5: query, key, value of the new token, and the cache of those before it."""
    new = [drawn_tokens(2, count, 1, 5, seed=seed + n) for n, count in enumerate((heads, kv_heads, kv_heads))]
    return (*new, tuple(drawn_tokens(2, kv_heads, before, 5, seed=seed + n) for n in (3, 4)))


def _attend(query, keys, values, sharing=lambda each, times: each.repeat_interleave(times, dim=1), scale=None):
    times = query.shape[1] // keys.shape[1]
    keys, values = (sharing(each.to(query.dtype), times) for each in (keys, values))
    scores = query @ keys.mT * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    return scores.softmax(dim=-1) @ values


def _joined(query, key, value, cache):
    return tuple(torch.cat(pair, dim=2) for pair in zip(cache, (key, value), strict=True))


def _decode(query, key, value, cache):
    keys, values = _joined(query, key, value, cache)
    return _attend(query, keys, values), (keys, values)


def decode_returns_output_and_cache(decode_step):
    got = decode_step(*_step())
    assert isinstance(got, tuple | list) and len(got) == 2 and len(got[1]) == 2, "return (output, (keys, values))"
    shape = tuple(got[0].shape)
    assert shape == (2, 6, 1, 5), f"the output has the query's shape, (B, H, 1, E) = (2, 6, 1, 5), got {shape}"


def decode_grows_the_cache(decode_step):
    query, key, value, cache = _step()
    _, kept = decode_step(query, key, value, cache)
    heads = kept[0].shape[1]
    assert heads != 6, "the cache holds a key for every query head: store H_kv heads, that is what grouping saves"
    for name, got, old, new in zip(("keys", "values"), kept, cache, (key, value), strict=True):
        assert not close(got, old), f"the {name} of the new token are not in the cache: later tokens must read them"
        shape = tuple(got.shape)
        assert shape == (2, 2, 5, 5), f"{name} of 4 + 1 tokens are (B, H_kv, S + 1, E) = (2, 2, 5, 5), got {shape}"
        assert not close(got, torch.cat([new, old], dim=2)), f"the new {name} come last, you put them first"
        assert close(got, torch.cat([old, new], dim=2)), f"{name} are the old ones and then the new one, unchanged"


def decode_reads_itself(decode_step):
    query, key, value, cache = _step()
    output, _ = decode_step(query, key, value, cache)
    assert not close(output, _attend(query, *cache)), "the token does not read itself: join first, then attend"
    first = value.new_zeros(output.shape) + cache[1][:, :, :1].repeat_interleave(3, dim=1)
    assert not close(output, first), (
        "only the first token is read: a kernel's is_causal counts from the first key; no mask"
    )


def decode_shares_neighbouring_heads(decode_step):
    case = _step()
    output, kept = decode_step(*case)
    query = case[0]
    tiled = _attend(query, *kept, sharing=lambda each, times: each.repeat(1, times, 1, 1))
    assert not close(output, tiled), (
        "head h read key head h % H_kv: neighbours share, so it is h // (H / H_kv); repeat_interleave, not repeat"
    )
    first = _attend(query, *kept, sharing=lambda each, times: each[:, :1].expand(-1, query.shape[1], -1, -1))
    assert not close(output, first), "all query heads read key head 0: each group has its own"


def decode_scales_and_mixes(decode_step):
    query, *rest = case = _step()
    output, kept = decode_step(*case)
    mistakes = {
        "the scores are not scaled: divide by √E": 1.0,
        "the scores are divided by E, not √E": 1 / 5,
        "the scores are divided by √(H E), the width of the model; a head compares E features": 1 / math.sqrt(30),
    }
    for advice, scale in mistakes.items():
        assert not close(output, _attend(query, *kept, scale=scale)), advice
    flat = kept[1].to(query.dtype).sum(dim=2, keepdim=True).repeat_interleave(3, dim=1)
    assert not close(output, flat), "every token got weight 1: the softmax runs over the tokens read, the last axis"
    assert close(output, _attend(query, *kept)), (
        "output is softmax(query · keys / √E) times values, over all S + 1 tokens"
    )


def decode_starts_with_an_empty_cache(decode_step):
    query, key, value, cache = _step(before=0)
    output, _ = decode_step(query, key, value, cache)
    assert close(output, value.repeat_interleave(3, dim=1)), "the first token reads itself alone: its own value"


def decode_by_steps_is_causal_attention(decode_step):
    for heads, kv_heads in ((6, 2), (4, 4), (3, 1)):
        steps = [_step(0, heads, kv_heads, seed=10 * n) for n in range(5)]
        query, key, value = (torch.cat([step[n] for step in steps], dim=2) for n in range(3))
        shared = [each.repeat_interleave(heads // kv_heads, dim=1) for each in (key, value)]
        due = F.scaled_dot_product_attention(query, *shared, is_causal=True)
        cache, outputs = steps[0][3], []
        for *new, _ in steps:
            output, cache = decode_step(*new, cache)
            outputs.append(output)
        assert close(torch.cat(outputs, dim=2), due), (
            f"five steps with {heads} heads and {kv_heads} key heads differ from causal attention over the whole text"
        )


def _by_groups(query, key, value, cache):
    keys, values = (torch.cat((old, new), -2) for old, new in ((cache[0], key), (cache[1], value)))
    groups = query.reshape(query.shape[0], keys.shape[1], -1, query.shape[-1])  # (B, H_kv, H / H_kv, E)
    weights = torch.softmax(torch.einsum("bkge,bkse->bkgs", groups, keys) * query.shape[-1] ** -0.5, dim=-1)
    return torch.einsum("bkgs,bkse->bkge", weights, values).reshape(query.shape), (keys, values)


def _by_torch(query, key, value, cache):
    keys, values = (torch.cat([old, new], dim=2) for old, new in zip(cache, [key, value], strict=True))
    return [F.scaled_dot_product_attention(query, keys, values, enable_gqa=True), [keys, values]]


def _by_head(query, key, value, cache):
    batch, heads, _, width = query.shape
    kv_heads, before = cache[0].shape[1:3]
    grown = [torch.zeros(batch, kv_heads, before + 1, width, dtype=query.dtype) for _ in range(2)]
    for each, old, new in zip(grown, cache, (key, value), strict=True):
        each[:, :, :before], each[:, :, before:] = old, new
    rows = []
    for h in range(heads):
        own = h // (heads // kv_heads)
        scores = (grown[0][:, own] * query[:, h]).sum(-1) / math.sqrt(width)  # (B, S + 1)
        rows.append((scores.softmax(-1)[..., None] * grown[1][:, own]).sum(1))
    return torch.stack(rows, dim=1)[:, :, None], tuple(grown)


def _with(sharing=None, scale=None, grow=_joined, read=None):
    """A variant of the step: how key heads are shared, scores scaled, the cache grown, and what is read."""

    def variant(query, key, value, cache):
        kept = grow(query, key, value, cache)
        own = kept if read is None else read(kept, cache)
        options = {} if sharing is None else {"sharing": sharing}
        return _attend(query, *own, scale=scale, **options), kept

    return variant


decode_step = Exercise(
    id="09.6 decode_step",
    task="Write decode_step(query, key, value, cache): query (B, H, 1, E), key and value (B, H_kv, 1, E) of the new "
    "token, cache (keys, values), each (B, H_kv, S, E), S = 0 at first -> (output (B, H, 1, E), (keys, values)), each "
    "(B, H_kv, S + 1, E), the new token last. It reads all before it and itself, scores over √E; head h reads key head "
    "h // (H / H_kv).",
    stages=(
        decode_returns_output_and_cache,
        decode_grows_the_cache,
        decode_reads_itself,
        decode_shares_neighbouring_heads,
        decode_scales_and_mixes,
        decode_starts_with_an_empty_cache,
        decode_by_steps_is_causal_attention,
    ),
    reference=_decode,
    mutants={
        "return (output, (keys, values))": lambda *case: _decode(*case)[0],
        "the output has the query's shape": lambda *case: (_decode(*case)[0].squeeze(2), _decode(*case)[1]),
        "a key for every query head": lambda query, key, value, cache: (
            _decode(query, key, value, cache)[0],
            tuple(each.repeat_interleave(3, dim=1) for each in _joined(query, key, value, cache)),
        ),
        "not in the cache": lambda query, key, value, cache: (_decode(query, key, value, cache)[0], cache),
        "keys come last, you put them first": _with(
            grow=lambda query, key, value, cache: tuple(
                torch.cat(pair, dim=2) for pair in zip((key, value), cache, strict=True)
            )
        ),
        "does not read itself": _with(read=lambda kept, cache: cache),
        "only the first token is read": lambda query, *new_and_cache: (
            F.scaled_dot_product_attention(query, *_joined(query, *new_and_cache), is_causal=True, enable_gqa=True),
            _joined(query, *new_and_cache),
        ),
        "every token got weight 1": lambda query, *new_and_cache: (
            _joined(query, *new_and_cache)[1].sum(dim=2, keepdim=True).repeat_interleave(3, dim=1),
            _joined(query, *new_and_cache),
        ),
        "repeat_interleave, not repeat": _with(sharing=lambda each, times: each.repeat(1, times, 1, 1)),
        "all query heads read key head 0": _with(
            sharing=lambda each, times: each[:, :1].expand(-1, each.shape[1] * times, -1, -1)
        ),
        "the scores are not scaled": _with(scale=1.0),
        "divided by E, not √E": _with(scale=1 / 5),
        "the width of the model": _with(scale=1 / math.sqrt(30)),
        "the first token reads itself alone": lambda query, key, value, cache: (
            _decode(query, key, value, cache)[0] * (cache[0].shape[2] > 0),
            _joined(query, key, value, cache),
        ),
        "five steps with 4 heads and 4 key heads": lambda query, *rest: (
            _decode(query, *rest)[0] * (1 if query.shape[1] != 4 else 2),
            _decode(query, *rest)[1],
        ),
    },
    alternatives={"groups by einsum": _by_groups, "torch's own, lists": _by_torch, "head by head": _by_head},
    hints=(
        "First the cache, then the read: what the token reads includes its own key and value.",
        "torch.cat([old, new], dim=2) makes the new cache. For the read share it: repeat_interleave(H // H_kv, dim=1).",
        "scores = query @ keys.mT / math.sqrt(E); softmax over the last axis; @ values. Return the unrepeated cache.",
    ),
    difficulty=2,
    minutes=15,
)
