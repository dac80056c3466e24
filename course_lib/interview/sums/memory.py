"""Where the bytes go: weights, caches, optimiser states, activations, indices."""

from fractions import Fraction

ADAM_BYTES = 16
"""Bytes a trained parameter: 2 bf16 weight, 2 gradient, 4 fp32 master weight, 4 + 4 fp32 moments (arXiv:1910.02054)."""


def weight_bytes(parameters: int, bits: int, group: int | None = None) -> Fraction:
    """Bytes of weights at `bits` each, with one 16-bit scale for every `group` of them.

    Source: group-wise quantisation as in GPTQ (arXiv:2210.17323), section 5, and AWQ (arXiv:2306.00978). Zero points
    are left out.
    """
    scale = Fraction(16, group) if group is not None else 0
    return Fraction(parameters) * (bits + scale) / 8


def kv_bytes(layers: int, kv_heads: int, head_width: int, tokens: int, number_bytes: int = 2) -> int:
    """Key-value cache of one sequence: 2 (keys and values) L h_kv e n b.

    Source: grouped-query attention (arXiv:2305.13245); DeepSeek-V2 (arXiv:2405.04434), table 1.
    """
    return 2 * layers * kv_heads * head_width * tokens * number_bytes


def latent_bytes(layers: int, latent: int, rope: int, tokens: int, number_bytes: int = 2) -> int:
    """Cache of multi-head latent attention: one latent and one rotary key a token and layer, for all heads together.

    (d_c + d_R) L n b with d_c = 512, d_R = 64. Source: DeepSeek-V2 (arXiv:2405.04434), section 2.1.4 and table 1.
    """
    return (latent + rope) * layers * tokens * number_bytes


def adam_bytes(parameters: int) -> int:
    """Model states of mixed-precision Adam: 16 bytes a parameter (ZeRO, arXiv:1910.02054, section 3.1)."""
    return ADAM_BYTES * parameters


def zero_bytes(parameters: int, gpus: int, stage: int) -> Fraction:
    """Model states on each of `gpus` devices: stage 1 shards the optimiser's 12 bytes, 2 the gradients, 3 the weights.

    Stage 0 shards nothing. Source: ZeRO (arXiv:1910.02054), section 5 and figure 1: 7.5B on 64 devices takes 120, 31.4,
    16.6 and 1.9 GB.
    """
    whole, shared = {0: (16, 0), 1: (4, 12), 2: (2, 14), 3: (0, 16)}[stage]
    return Fraction(parameters) * (whole + Fraction(shared, gpus))


def lora_bytes(frozen: int, trained: int) -> int:
    """Model states of LoRA: the frozen base at 2 bytes, the adapters as mixed-precision Adam trains them.

    Source: LoRA (arXiv:2106.09685), section 4.2: no optimiser state for frozen weights.
    """
    return 2 * frozen + adam_bytes(trained)


def nf4_bits(block: int, double: bool) -> Fraction:
    """Bits a weight in QLoRA: 4, and one 32-bit constant a block, or 8 bits and a 32-bit one for 256 blocks.

    Source: QLoRA (arXiv:2305.14314), section 3: 0.5 bits fall to 8/64 + 32/(64 x 256) = 0.127.
    """
    constants = Fraction(8, block) + Fraction(32, block * 256) if double else Fraction(32, block)
    return 4 + constants


def activation_bytes(tokens: int, width: int, heads: int, length: int, *, scores: bool) -> int:
    """Activations one layer keeps for the backward pass at 16 bits: s b h (34 + 5 a s / h); s b h 34 without scores.

    tokens = s b. The second term is the attention matrix, which FlashAttention or selective recomputation do not keep.
    Source: Korthikanti et al. (arXiv:2205.05198), equation 2. For a GELU MLP of width 4 h with dropout.
    """
    return 34 * tokens * width + (5 * heads * length * tokens if scores else 0)


def checkpoint_bytes(tokens: int, width: int) -> int:
    """What one layer keeps under full recomputation: its input, 2 s b h bytes (arXiv:2205.05198, section 5)."""
    return 2 * tokens * width


def flat_index_bytes(vectors: int, width: int, number_bytes: int) -> int:
    """A flat index: every vector as it is (faiss documentation, IndexFlat: 4 d bytes a vector)."""
    return vectors * width * number_bytes


def hnsw_index_bytes(vectors: int, width: int, links: int) -> int:
    """An HNSW index: the vector in fp32 and 2 M links of 4 bytes on the ground level.

    Source: faiss wiki, "Guidelines to choose an index": (4 d + M 2 4) bytes a vector.
    """
    return vectors * (4 * width + links * 2 * 4)


def pq_index_bytes(vectors: int, subspaces: int, bits: int = 8) -> Fraction:
    """Product quantisation: `subspaces` codes of `bits` a vector; codebooks left out (doi:10.1109/TPAMI.2010.57)."""
    return Fraction(vectors * subspaces * bits, 8)
