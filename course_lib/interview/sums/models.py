"""Real models and accelerators: the published figures that step 2 of every family draws from.

Tests build each model from its published configuration and count: what stands here is what the configuration says.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Decoder:
    """A dense decoder: grouped-query attention (kv_heads == heads is plain multi-head) and a SwiGLU MLP."""

    name: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    mlp_width: int
    vocabulary: int
    tied: bool = False
    """One matrix serves as input embedding and output head."""
    qkv_bias: bool = False

    @property
    def head_width(self) -> int:
        """Width of one head; in all models here width / heads."""
        return self.width // self.heads


@dataclass(frozen=True)
class Encoder:
    """A ViT: square image and patch sides in pixels; `class_token` is one more position than there are patches."""

    name: str
    image: int
    patch: int
    layers: int
    width: int
    mlp_width: int
    class_token: bool


@dataclass(frozen=True)
class Latent:
    """Multi-head latent attention: what is cached per token and layer, beside what plain heads would cache."""

    name: str
    layers: int
    heads: int
    head_width: int
    latent: int
    """Width of the joint compression of keys and values."""
    rope: int
    """Width of the one shared key that carries the rotary position."""


@dataclass(frozen=True)
class Mixture:
    """A mixture-of-experts decoder with SwiGLU experts and no shared expert."""

    name: str
    layers: int
    width: int
    expert_width: int
    experts: int
    active: int


@dataclass(frozen=True)
class Accelerator:
    """A GPU: memory in GB, bandwidth in GB/s, dense bfloat16 peak in TFLOP/s (half of the figure with sparsity)."""

    name: str
    memory: int
    bandwidth: int
    peak: int


DECODERS = (
    # config.json of lmsys/vicuna-7b-v1.5 and lmsys/vicuna-13b-v1.5, the language models of LLaVA-1.5 (arXiv:2310.03744)
    Decoder("Vicuna-7B", 32, 4096, 32, 32, 11008, 32000),
    Decoder("Vicuna-13B", 40, 5120, 40, 40, 13824, 32000),
    # Llama 3: arXiv:2407.21783, table 3
    Decoder("Llama-3-8B", 32, 4096, 32, 8, 14336, 128256),
    Decoder("Llama-3-70B", 80, 8192, 64, 8, 28672, 128256),
    # Qwen2: arXiv:2407.10671, table 1; the language models of Qwen2-VL-2B and Qwen2-VL-7B (arXiv:2409.12191)
    Decoder("Qwen2-1.5B", 28, 1536, 12, 2, 8960, 151936, tied=True, qkv_bias=True),
    Decoder("Qwen2-7B", 28, 3584, 28, 4, 18944, 152064, qkv_bias=True),
    # Mistral 7B: arXiv:2310.06825, table 1
    Decoder("Mistral-7B", 32, 4096, 32, 8, 14336, 32000),
)
ENCODERS = (
    Encoder("CLIP ViT-B/16", 224, 16, 12, 768, 3072, class_token=True),  # arXiv:2103.00020, table 19
    Encoder("CLIP ViT-L/14", 224, 14, 24, 1024, 4096, class_token=True),
    Encoder("CLIP ViT-L/14-336", 336, 14, 24, 1024, 4096, class_token=True),
    # config.json of google/siglip-so400m-patch14-384; shape from arXiv:2305.13035
    Encoder("SigLIP so400m-384", 384, 14, 27, 1152, 4304, class_token=False),
    Encoder(
        "SigLIP B/16-256", 256, 16, 12, 768, 3072, class_token=False
    ),  # config.json of google/siglip-base-patch16-256
)
LATENTS = (
    Latent("DeepSeek-V2", 60, 128, 128, 512, 64),  # arXiv:2405.04434, section 3.1.2
    Latent("DeepSeek-V3", 61, 128, 128, 512, 64),  # arXiv:2412.19437, section 4.2
    Latent("DeepSeek-V2-Lite", 27, 16, 128, 512, 64),  # arXiv:2405.04434, appendix B
)
MIXTURES = (
    Mixture("Mixtral 8x7B", 32, 4096, 14336, 8, 2),  # arXiv:2401.04088, table 1
    Mixture("Mixtral 8x22B", 56, 6144, 16384, 8, 2),  # config.json of mistralai/Mixtral-8x22B-v0.1
    Mixture("Phi-3.5-MoE", 32, 4096, 6400, 16, 2),  # arXiv:2404.14219; config.json of microsoft/Phi-3.5-MoE-instruct
    Mixture("OLMoE-1B-7B", 16, 2048, 1024, 64, 8),  # arXiv:2409.02060, table 2
)
ACCELERATORS = (  # NVIDIA data sheets of the SXM boards
    Accelerator("A100 80GB", 80, 2039, 312),
    Accelerator("H100", 80, 3350, 989),
    Accelerator("H200", 141, 4800, 989),
)
