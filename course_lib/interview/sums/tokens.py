"""How many tokens a picture, a film or a sound becomes: one formula a function, each with its source."""

from math import floor, isqrt, sqrt


def patches(side: int, patch: int) -> int:
    """Patches of a square picture: floor(side / patch)^2; what is left over at the border is cut off.

    Source: ViT (arXiv:2010.11929), section 3.1; LLaVA-1.5 (arXiv:2310.03744): 336 / 14 gives 576.
    """
    return (side // patch) ** 2


def tiled_tokens(rows: int, columns: int, per_tile: int) -> int:
    """Tokens of a picture cut into tiles, with a thumbnail of the whole: (rows x columns + 1) per_tile.

    Without the newline token a row that some models add. Source: LLaVA-NeXT
    (https://llava-vl.github.io/blog/2024-01-30-llava-next/); InternVL 1.5 (arXiv:2404.16821), section 3.3.
    """
    return (rows * columns + 1) * per_tile


def merged_tokens(rows: int, columns: int, merge: int) -> int:
    """Tokens after every merge x merge block of patches became one: rows columns / merge^2.

    Source: pixel shuffle in InternVL 1.5 (arXiv:2404.16821), section 3.1; the merger of Qwen2-VL (arXiv:2409.12191).
    """
    return (rows // merge) * (columns // merge)


def native_size(height: int, width: int, factor: int, max_pixels: int) -> tuple[int, int]:
    """The size (height, width) in pixels at which a native-resolution model reads a picture.

    Each side goes to the nearest multiple of `factor` = patch x merge; a picture above max_pixels first shrinks by
    sqrt(height width / max_pixels), then rounds down. Source: Qwen2-VL (arXiv:2409.12191), section 2.1, and its image
    processor's smart_resize in transformers. Left out: the lower bound on pixels.
    """
    near = round(height / factor) * factor, round(width / factor) * factor
    if near[0] * near[1] <= max_pixels:
        return near
    shrink = sqrt(height * width / max_pixels)
    return floor(height / shrink / factor) * factor, floor(width / shrink / factor) * factor


def video_tokens(frames: int, temporal: int, rows: int, columns: int, merge: int) -> int:
    """Tokens of a film: frames join in groups of `temporal`, each group is then a picture of rows x columns patches.

    Source: Qwen2-VL (arXiv:2409.12191), section 2.1: two frames a second, 3D convolution of depth two, 2 x 2 merging.
    """
    return frames // temporal * merged_tokens(rows, columns, merge)


def conv_length(length: int, kernel: int, stride: int, padding: int) -> int:
    """Outputs of a one-dimensional convolution: floor((length + 2 padding - kernel) / stride) + 1.

    Source: PyTorch documentation of torch.nn.Conv1d. Framing a signal without padding is the case padding = 0.
    """
    return (length + 2 * padding - kernel) // stride + 1


def audio_positions(seconds: int, hop_ms: int, stride: int, pool: int = 1) -> int:
    """Encoder positions of a sound: one mel frame every hop_ms, then a strided convolution, then pooling.

    Source: Whisper (arXiv:2212.04356), section 2.2: 10 ms hop, stride two, 30 s give 3,000 frames and 1,500 positions;
    Qwen2-Audio (arXiv:2407.10759) pools by two more, about 40 ms a position.
    """
    return seconds * 1000 // hop_ms // stride // pool


def codec_tokens(seconds: int, frame_rate: int, codebooks: int) -> int:
    """Discrete tokens of a residual vector-quantising codec: one a codebook and frame.

    Source: EnCodec (arXiv:2210.13438), section 3.2: 75 frames a second at 24 kHz.
    """
    return seconds * frame_rate * codebooks


def codec_bits(frame_rate: int, codebooks: int, entries: int) -> int:
    """Bits a second of that codec: frame_rate codebooks log2(entries); entries a power of two.

    Source: EnCodec (arXiv:2210.13438), section 3.2: 1,024 entries are 10 bits, so 8 codebooks make 6 kbit/s.
    """
    return frame_rate * codebooks * (entries.bit_length() - 1)


def position_after_image(before: int, rows: int, columns: int) -> int:
    """Position id of the text token that follows a picture under M-RoPE, `before` text tokens standing before it.

    The picture's ids run to before + max(rows, columns) - 1 (rows, columns after merging), not over rows x columns.
    Source: Qwen2-VL (arXiv:2409.12191), section 2.1: the next modality starts at the largest id plus one.
    """
    return before + max(rows, columns)


def dialogue_prefill(turns: int, image: int, question: int, answer: int, *, cached: bool) -> int:
    """Tokens that are prefilled over a dialogue of `turns` questions about one picture.

    Without a prefix cache every turn reads everything so far again; with it, each token is read once. The last answer
    is generated and never read. Source: prefix caching in SGLang (arXiv:2312.07104), section 3.
    """
    if cached:
        return image + turns * question + (turns - 1) * answer
    return turns * image + question * turns * (turns + 1) // 2 + answer * turns * (turns - 1) // 2


def largest_square(budget: int) -> int:
    """Side of the largest square grid with at most `budget` cells: floor(sqrt(budget)), in exact integers."""
    return isqrt(budget)
