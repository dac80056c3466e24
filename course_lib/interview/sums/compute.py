"""How long it takes: FLOPs, seconds bounded by compute or by bandwidth, bytes between devices."""

from fractions import Fraction


def train_flops(parameters: int, tokens: int) -> int:
    """6 N D: 2 N a token forward, twice that backward (Kaplan et al., arXiv:2001.08361, section 2.1).

    Counts the matrices only; attention over the sequence comes on top, see attention_flops.
    """
    return 6 * parameters * tokens


def forward_flops(parameters: int, tokens: int) -> int:
    """2 N a token: one multiplication and one addition a weight (arXiv:2001.08361, section 2.1)."""
    return 2 * parameters * tokens


def attention_flops(layers: int, length: int, width: int, *, causal: bool = False) -> int:
    """Forward FLOPs of Q K^T and of weights times V: 4 n^2 d a layer; half of it under a causal mask that is used.

    Source: FlashAttention-2 (arXiv:2307.08691), section 4.1: 4 n^2 e h, halved when causal.
    """
    return layers * 4 * length**2 * width // (2 if causal else 1)


def train_seconds(parameters: int, tokens: int, gpus: int, peak: int, utilisation: Fraction) -> Fraction:
    """6 N D over what the devices really do: gpus x peak x MFU. peak in FLOP/s.

    Source: model FLOPs utilisation in PaLM (arXiv:2204.02311), appendix B.
    """
    return Fraction(train_flops(parameters, tokens)) / (gpus * peak * utilisation)


def compute_optimal_tokens(parameters: int) -> int:
    """About 20 tokens a parameter (Hoffmann et al., arXiv:2203.15556, table 3)."""
    return 20 * parameters


def prefill_seconds(parameters: int, tokens: int, peak: int, utilisation: Fraction) -> Fraction:
    """Time to read a prompt when compute is the bound: 2 N n / (peak x utilisation).

    Source: Pope et al. (arXiv:2211.05102), section 2.
    """
    return Fraction(forward_flops(parameters, tokens)) / (peak * utilisation)


def decode_seconds(weights: int, cache: int, bandwidth: int) -> Fraction:
    """Least time of a decoding step when bandwidth is the bound: weights and caches cross the bus once, in bytes.

    Source: Pope et al. (arXiv:2211.05102), section 2.
    """
    return Fraction(weights + cache, bandwidth)


def speculative_tokens(acceptance: Fraction, drafted: int) -> Fraction:
    """Expected tokens a pass of the large model: (1 - a^(k+1)) / (1 - a), drafted tokens accepted independently.

    Source: Leviathan et al. (arXiv:2211.17192), equation 1.
    """
    return (1 - acceptance ** (drafted + 1)) / (1 - acceptance)


def speculative_speedup(acceptance: Fraction, drafted: int, cost: Fraction) -> Fraction:
    """Tokens a pass over its cost k c + 1, c = draft step / large step (arXiv:2211.17192, theorem 3.8)."""
    return speculative_tokens(acceptance, drafted) / (drafted * cost + 1)


def bubble_share(stages: int, micro_batches: int) -> Fraction:
    """Idle share of a pipeline: (p - 1) / (m + p - 1) (GPipe, arXiv:1811.06965, section 2.3)."""
    return Fraction(stages - 1, micro_batches + stages - 1)


def all_reduce_bytes(gpus: int, buffer: int) -> Fraction:
    """Bytes each device sends in a ring all-reduce: 2 (n - 1) / n of the buffer, reduce-scatter then all-gather.

    Source: Patarasuk and Yuan (doi:10.1016/j.jpdc.2008.09.002); NCCL tests, PERFORMANCE.md.
    """
    return Fraction(2 * (gpus - 1), gpus) * buffer


def all_gather_bytes(gpus: int, shard: int) -> int:
    """Bytes each device receives in an all-gather: n - 1 shards of the others (NCCL tests, PERFORMANCE.md)."""
    return (gpus - 1) * shard


def precision_at(prevalence: Fraction, sensitivity: Fraction, false_alarms: Fraction) -> Fraction:
    """Precision by Bayes: TPR p / (TPR p + FPR (1 - p)) (Davis and Goadrich, doi:10.1145/1143844.1143874)."""
    hits, alarms = sensitivity * prevalence, false_alarms * (1 - prevalence)
    return hits / (hits + alarms)
