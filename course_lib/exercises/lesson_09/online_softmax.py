"""Exercise 09.5: softmax times values, one block of keys after the other, as FlashAttention does it."""

import torch

from course_lib.exercises.lesson_09.sdpa import drawn_tokens
from course_lib.lesson.effort import TorchWork
from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close

INF = torch.inf


def _blocks(*sizes, rows=3, width=2, seed=0):
    """Blocks of so many keys: scores (3, S_b), values (S_b, 2)."""
    return [
        (2 * drawn_tokens(rows, size, seed=seed + n), drawn_tokens(size, width, seed=seed + 50 + n))
        for n, size in enumerate(sizes)
    ]


def _of_rows(scores, values):
    """One block in float64: scores as a list of rows, values as a list."""
    return torch.tensor(scores, dtype=torch.float64), torch.tensor(values, dtype=torch.float64)[:, None]


def _whole(blocks):
    """The truth: all keys side by side, zeros for a row that has no score."""
    scores, values = (torch.cat([block[n] for block in blocks], dim=1 - n) for n in (0, 1))
    return scores.softmax(dim=1).nan_to_num(0.0) @ values


def online_keeps_the_shape(online_softmax):
    got = tuple(online_softmax(_blocks(4)).shape)
    assert got == (3, 2), f"three rows of scores, values two wide: the result is (T, E) = (3, 2), got {got}"


def online_of_one_block_is_softmax(online_softmax):
    blocks = _blocks(4)
    (scores, values), got = blocks[0], online_softmax(blocks)
    assert not close(got, (scores - scores.amax(dim=1, keepdim=True)).exp() @ values), (
        "the mix was never divided: at the end it is o / l, with l the sum of the exponentials"
    )
    assert close(got, _whole(blocks)), "with one block the result is scores.softmax(dim=1) @ values"


def _left_behind(blocks, mix=True, total=True):
    """The state carried on without being shrunk when the maximum rises."""
    largest, kept, read = -INF, 0.0, 0.0
    for scores, values in blocks:
        new = scores.amax(dim=1, keepdim=True).clamp(min=largest)
        shrink, powers = (largest - new).exp(), (scores - new).exp()
        kept = kept * (shrink if total else 1) + powers.sum(dim=1, keepdim=True)
        read = read * (shrink if mix else 1) + powers @ values
        largest = new
    return read / kept


def online_joins_two_blocks(online_softmax):
    blocks = _blocks(4, 4, seed=7)
    got, single = online_softmax(blocks), [scores.softmax(dim=1) @ values for scores, values in blocks]
    mistakes = {
        "the blocks' softmaxes were averaged: a block weighs as much as its exponentials, not one half": sum(single)
        / 2,
        "only the last block is left: add to what was kept": single[1],
        "the old mix was not shrunk when the maximum rose: multiply o by exp(m - new m)": _left_behind(
            blocks, mix=False
        ),
        "the old sum was not shrunk when the maximum rose: multiply l by exp(m - new m)": _left_behind(
            blocks, total=False
        ),
        "neither o nor l was shrunk when the maximum rose": _left_behind(blocks, mix=False, total=False),
    }
    for advice, wrong in mistakes.items():
        assert not close(got, wrong), advice
    assert close(got, _whole(blocks)), "two blocks of four keys are one softmax over eight; compare with joined scores"


def online_takes_blocks_of_any_length(online_softmax):
    for sizes in ((1, 5, 2), (3, 1, 1, 4), (1,)):
        blocks = _blocks(*sizes, seed=20)
        assert close(online_softmax(blocks), _whole(blocks)), f"blocks of {sizes} keys come out wrong"


def online_survives_large_scores(online_softmax):
    for scores in ((-1e4, 0.0, 1e4), (1e4, 0.0, -1e4)):
        blocks = [_of_rows([[score, score - 1]], [number, 0]) for number, score in enumerate(scores, start=1)]
        got = online_softmax(blocks)
        assert torch.isfinite(got).all(), (
            "exp of 10,000 is infinite: subtract the largest score so far before you take it"
        )
        assert close(got, _whole(blocks)), f"blocks whose scores are near {scores} come out wrong: is m the maximum?"
    apart = [_of_rows([[1e4, 9999], [-1e4, -9998]], [5, 7]), _of_rows([[9998], [-9999]], [1])]
    assert close(online_softmax(apart), _whole(apart)), (
        "a row of low scores vanished beside a row of high ones: every row has its own maximum"
    )


def online_skips_masked_scores(online_softmax):
    first = [_of_rows([[-INF, -INF], [1, 2]], [5, 7]), _of_rows([[3, 1], [-INF, 0]], [1, 2])]
    last = [first[1], first[0]]
    for place, blocks in (("first", first), ("later", last)):
        got = online_softmax(blocks)
        assert not got.isnan().any(), (
            f"NaN when all scores of a {place} block are -inf: -inf minus -inf; take 0 for a maximum of -inf"
        )
        assert close(got, _whole(blocks)), f"a row that is masked in a {place} block must count the other block alone"


def online_gives_zeros_where_nothing_may_be_read(online_softmax):
    blocks = [_of_rows([[-INF, -INF], [1, 2]], [5, 7]), _of_rows([[-INF], [0]], [1])]
    got = online_softmax(blocks)
    assert not got[0].isnan().any(), "a row with no score but -inf is 0 / 0 at the end: give it zeros"
    assert close(got, _whole(blocks)), "a row with no score but -inf reads nothing: zeros, and the other rows as ever"


def online_never_joins_the_blocks(online_softmax):
    blocks = _blocks(*[2] * 60)
    with TorchWork() as work:
        got = online_softmax(blocks)
    assert work.largest <= 12, (
        f"a tensor of {work.largest} numbers was made of blocks of 6: never join them, keep m, l and o alone"
    )
    assert close(got, _whole(blocks)), "sixty blocks come out wrong"


def _by_blocks(blocks, safe=True, empty=True):
    largest, total, mix = -INF, 0.0, 0.0
    for scores, values in blocks:
        new = scores.amax(dim=1, keepdim=True).clamp(min=largest)
        base = new.masked_fill(new == -INF, 0.0) if safe else new
        powers, shrink = (scores - base).exp(), (largest - base).exp()
        total = total * shrink + powers.sum(dim=1, keepdim=True)
        mix = mix * shrink + powers @ values
        largest = new
    return torch.where(total > 0, mix / total, 0.0) if empty else mix / total


def _by_log_sums(blocks):
    """Each block's own softmax, weighted by its log of sums: how partial results of several devices are merged."""
    kept = None
    for scores, values in blocks:
        size = scores.logsumexp(dim=1, keepdim=True)
        read = (scores - size.nan_to_num(neginf=0.0)).exp() @ values
        if kept is None:
            kept, result = size, read
            continue
        both = torch.logaddexp(kept, size)
        base = both.nan_to_num(neginf=0.0)
        result = result * (kept - base).exp() + read * (size - base).exp()
        kept = both
    return result


class _State:
    """Row by row, with Python's own numbers."""

    def __init__(self, width):
        self.m, self.l, self.o = -INF, 0.0, torch.zeros(width, dtype=torch.float64)

    def add(self, score, value):
        if score == -INF:
            return
        new = max(self.m, score)
        keep, power = (torch.tensor([each - new], dtype=torch.float64).exp() for each in (self.m, score))
        self.m, self.l = new, self.l * keep + power
        self.o = self.o * keep + power * value


def _by_rows(blocks):
    rows, width = len(blocks[0][0]), blocks[0][1].shape[1]
    states = [_State(width) for _ in range(rows)]
    for scores, values in blocks:
        for state, row in zip(states, scores.tolist(), strict=True):
            for score, value in zip(row, values, strict=True):
                state.add(score, value)
    return torch.stack([state.o / state.l if state.m > -INF else state.o for state in states]).to(blocks[0][1].dtype)


def _one_maximum(blocks):
    largest = max(scores.max() for scores, _ in blocks)
    total = sum((scores - largest).exp().sum(dim=1, keepdim=True) for scores, _ in blocks)
    return sum((scores - largest).exp() @ values for scores, values in blocks) / total.clamp(min=1e-300)


def _undivided(blocks):
    largest = torch.stack([scores.amax(dim=1, keepdim=True) for scores, _ in blocks]).amax(dim=0)
    return sum((scores - largest).exp() @ values for scores, values in blocks)


def _overflowing(blocks):
    total = sum(scores.exp().sum(dim=1, keepdim=True) for scores, _ in blocks)
    return sum(scores.exp() @ values for scores, values in blocks) / total


online_softmax = Exercise(
    id="09.5 online_softmax",
    task="Write online_softmax(blocks): a list of pairs (scores (T, S_b), values (S_b, E)), where S_b may differ -> "
    "softmax over all scores of a row, times all values: (T, E). One block after the other: no tensor larger than the "
    "largest of one block or of the result. Scores reach ±10,000; a masked one is -inf, and a row with no other gets "
    "zeros.",
    stages=(
        online_keeps_the_shape,
        online_of_one_block_is_softmax,
        online_joins_two_blocks,
        online_takes_blocks_of_any_length,
        online_survives_large_scores,
        online_skips_masked_scores,
        online_gives_zeros_where_nothing_may_be_read,
        online_never_joins_the_blocks,
    ),
    reference=_by_blocks,
    mutants={
        "the result is (T, E)": lambda blocks: _by_blocks(blocks).T,
        "the mix was never divided": _undivided,
        "softmaxes were averaged": lambda blocks: sum(s.softmax(dim=1) @ v for s, v in blocks) / len(blocks),
        "only the last block is left": lambda blocks: _by_blocks(blocks[-1:]),
        "the old mix was not shrunk": lambda blocks: _left_behind(blocks, mix=False),
        "the old sum was not shrunk": lambda blocks: _left_behind(blocks, total=False),
        "neither o nor l was shrunk": lambda blocks: _left_behind(blocks, mix=False, total=False),
        "blocks of (1, 5, 2) keys": lambda blocks: _by_blocks([(s[:, :4], v[:4]) for s, v in blocks]),
        "exp of 10,000 is infinite": _overflowing,
        "every row has its own maximum": _one_maximum,
        "NaN when all scores of a first block": lambda blocks: _by_blocks(blocks, safe=False, empty=False),
        "a row with no score but -inf is 0 / 0": lambda blocks: _by_blocks(blocks, empty=False),
        "never join them": _whole,
    },
    alternatives={"log of sums, as devices merge": _by_log_sums, "a class, key by key": _by_rows},
    hints=(
        "Keep three things per row: the largest score so far m, the sum l of exp(s - m), the mix o of the values.",
        "A new block raises m to m'. What was kept used m, so multiply l and o by exp(m - m') before you add.",
        "p = (scores - m').exp(); l = l * exp(m - m') + p.sum(dim=1, keepdim=True); o = o * exp(m - m') + p @ values; "
        "at the end o / l. Where m' is -inf subtract 0, and where l is 0 the result is 0.",
    ),
    difficulty=2,
    minutes=15,
)
