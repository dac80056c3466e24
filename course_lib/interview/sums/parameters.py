"""How many parameters: the pieces of a transformer, each counted from its shapes, and whole models."""

from fractions import Fraction
from math import ceil

from course_lib.interview.sums.models import Decoder, Encoder, Mixture


def attention_parameters(width: int, heads: int, kv_heads: int, head_width: int) -> int:
    """Weights of Q, K, V and the output projection, no biases: 2 d h e + 2 d h_kv e; 4 d^2 when h_kv = h, d = h e.

    Source: grouped-query attention (arXiv:2305.13245), section 2.2.
    """
    return 2 * width * heads * head_width + 2 * width * kv_heads * head_width


def mlp_parameters(width: int, mlp_width: int, matrices: int = 2) -> int:
    """Weights of an MLP: two matrices (up, down), or three with a gate as in SwiGLU (arXiv:2002.05202, section 2)."""
    return matrices * width * mlp_width


def block_parameters(width: int) -> int:
    """The rule of thumb 12 d^2: 4 d^2 of attention and 8 d^2 of an MLP four times as wide, no biases, no norms.

    Source: Kaplan et al. (arXiv:2001.08361), section 2.1.
    """
    return 12 * width**2


def vit_block_parameters(width: int, mlp_width: int) -> int:
    """A ViT block with everything: four projections and two MLP matrices with biases, two LayerNorms (scale, shift).

    Source: ViT (arXiv:2010.11929), section 3.1.
    """
    attention = 4 * (width * width + width)
    mlp = width * mlp_width + mlp_width + mlp_width * width + width
    return attention + mlp + 2 * 2 * width


def vit_parameters(model: Encoder) -> int:
    """A vision tower without its head: patch projection, positions, blocks, final LayerNorm.

    With a class token (CLIP, arXiv:2103.00020) the patch projection has no bias, and there is a LayerNorm before the
    blocks too; without one (SigLIP, arXiv:2303.15343) the projection has a bias. As in transformers' CLIPVisionModel
    and SiglipVisionModel; SigLIP's pooling head is left out.
    """
    places = (model.image // model.patch) ** 2 + model.class_token
    embedding = 3 * model.patch**2 * model.width + places * model.width
    extra = model.width + 2 * model.width if model.class_token else model.width  # class token and norm, or bias
    return embedding + extra + model.layers * vit_block_parameters(model.width, model.mlp_width) + 2 * model.width


def embedding_parameters(vocabulary: int, width: int, *, tied: bool) -> int:
    """Input embedding and output head: V d once when tied (arXiv:1608.05859), twice otherwise."""
    return vocabulary * width * (1 if tied else 2)


def decoder_layer_parameters(model: Decoder) -> int:
    """One layer: attention, biases of Q, K and V where the model has them, SwiGLU, two RMSNorm scales."""
    attention = attention_parameters(model.width, model.heads, model.kv_heads, model.head_width)
    bias = (model.heads + 2 * model.kv_heads) * model.head_width if model.qkv_bias else 0
    return attention + bias + mlp_parameters(model.width, model.mlp_width, 3) + 2 * model.width


def decoder_parameters(model: Decoder) -> int:
    """A whole language model: embeddings, layers, final RMSNorm.

    Source: Llama (arXiv:2302.13971), section 2.2, and transformers' LlamaForCausalLM; Qwen2 (arXiv:2407.10671) adds the
    biases of Q, K and V.
    """
    layers = model.layers * decoder_layer_parameters(model)
    return embedding_parameters(model.vocabulary, model.width, tied=model.tied) + layers + model.width


def projector_parameters(vision: int, width: int) -> int:
    """LLaVA-1.5's connector: Linear(vision, d), GELU, Linear(d, d), with biases (arXiv:2310.03744, section 3.2)."""
    return vision * width + width + width * width + width


def merger_parameters(vision: int, merge: int, width: int) -> int:
    """Qwen2-VL's connector: LayerNorm(v), then Linear(m^2 v, m^2 v), GELU, Linear(m^2 v, d), with biases.

    Source: arXiv:2409.12191, section 2.1; PatchMerger in transformers.
    """
    joined = merge * merge * vision
    return 2 * vision + joined * joined + joined + joined * width + width


def lora_parameters(rank: int, inputs: int, outputs: int) -> int:
    """Trained parameters of LoRA on one matrix: A is (r, inputs), B is (outputs, r) (arXiv:2106.09685, section 4.1)."""
    return rank * (inputs + outputs)


def swiglu_width(width: int, multiple: int) -> int:
    """MLP width with three matrices for the parameters of a 4 d MLP with two: 8 d / 3, up to a multiple.

    Source: Llama (arXiv:2302.13971), section 2.2: "2/3 4d"; 4,096 gives 11,008 with multiples of 256.
    """
    return ceil(Fraction(8 * width, 3 * multiple)) * multiple


def moe_parameters(model: Mixture, experts: int) -> int:
    """Weights of `experts` experts in every layer, SwiGLU each: all of them, or those one token visits.

    Source: Mixtral (arXiv:2401.04088), section 2.1. The router, width x experts a layer, is left out.
    """
    return model.layers * experts * mlp_parameters(model.width, model.expert_width, 3)


def rounded(parameters: int) -> int:
    """A parameter count to three digits, as people say it: 8,030,261,248 -> 8.03B."""
    scale = 10 ** (len(str(parameters)) - 3)
    return round(parameters / scale) * scale
