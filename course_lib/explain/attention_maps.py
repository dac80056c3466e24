"""Attention weights of any model that will give them away: captured by hooks, by module path, then rolled out.

Three kinds of module are known: this course's own, whose result has `weights`; torch's nn.MultiheadAttention, which is
asked for weights per head; and those of transformers, which compute none under SDPA or flash attention and say so only
by returning None. Such a model is set to eager attention for the duration, and back afterwards.

Weights say what was mixed in, not what it did: relevance.py and faithfulness.py look at effects.

Axis letters are those of course_lib/__init__.py.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_lib import refuse


class Captured(NamedTuple):
    """One forward pass, looked at from inside."""

    output: Any
    """What the model returned."""
    maps: dict[str, Tensor]
    """Path of the attention module to its weights (B, H, T, S): row = who reads, column = who is read. A module that
    runs twice appears as "path" and "path#2". Attention pooling, one reader without heads, comes as (B, 1, 1, S)."""


@refuse.misfit
def capture_attention(model: nn.Module, inputs: Mapping[str, Any], *, keep_graph: bool = False) -> Captured:
    """Run `model(**inputs)` once and keep every attention map.

    keep_graph: leave the maps connected to the output, for gradients; otherwise nothing is recorded.
    Raises ValueError when no weights come out, with what the model uses instead.
    """
    with attention_hooks(model) as maps, nullcontext() if keep_graph else torch.no_grad():
        output = model(**inputs)
    if len(maps) == 0:
        raise ValueError(
            f"no attention weights came out of {type(model).__name__}: known are modules whose result has `weights`, "
            "nn.MultiheadAttention, and transformers models that can run with attn_implementation='eager'; a fused "
            "kernel such as scaled_dot_product_attention never forms them, so call a module that returns them"
        )
    return Captured(output, dict(maps))


@contextmanager
def attention_hooks(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """A dict that fills with maps while the model runs; hooks and attention implementation are undone at the end."""
    maps: dict[str, Tensor] = {}
    with ExitStack() as stack:
        stack.enter_context(eager_attention(model))
        for path, module in model.named_modules():
            if isinstance(module, nn.MultiheadAttention):
                asked: list[tuple[bool, bool]] = []
                stack.callback(module.register_forward_pre_hook(_ask_for_weights(asked), with_kwargs=True).remove)
                stack.callback(module.register_forward_hook(_keep_and_restore(path, maps, asked)).remove)
            else:
                stack.callback(module.register_forward_hook(_keep(path, maps)).remove)
        yield maps


@contextmanager
def eager_attention(model: nn.Module) -> Iterator[None]:
    """Every transformers model inside `model` on eager attention for a while; other models are left alone."""
    able = [module for module in model.modules() if hasattr(module, "set_attn_implementation")]
    before = [(module.config, module.config._attn_implementation) for module in able]
    for module in able:
        if module.config._attn_implementation != "eager":
            module.set_attn_implementation("eager")
    try:
        yield
    finally:
        for config, implementation in before:
            config._attn_implementation = implementation  # outer before inner, since setting also sets what is inside


@refuse.misfit
def attention_rollout(maps: Sequence[Float[Tensor, "B H S S"]], *, residual: float = 0.5) -> Float[Tensor, "B S S"]:
    """Follow attention through the layers: which inputs may have reached each output, and by how much.

        Â_l = residual · I + (1 - residual) · mean over heads of A_l,   rollout = Â_L ... Â_2 Â_1

    maps: first layer first. Rows sum to 1 if those of the maps do. It knows nothing of values, feed-forward layers or
    the answer, so it is the same for every target. Abnar and Zuidema (2020, arXiv:2005.00928).
    """
    if not 0 <= residual <= 1:
        raise ValueError(f"residual {residual} is no share; give a number within 0 and 1, usually 0.5")
    rolled = None
    for weights in maps:
        refuse.nan(maps=weights)
        identity = torch.eye(weights.shape[-1], device=weights.device, dtype=weights.dtype)
        mixed = residual * identity + (1 - residual) * weights.mean(dim=1)
        rolled = mixed if rolled is None else mixed @ rolled
    if rolled is None:
        raise ValueError("maps is empty; give the attention of at least one layer")
    return rolled


def _keep(path: str, maps: dict[str, Tensor]) -> Callable:
    def hook(module: nn.Module, _inputs: tuple, output: Any) -> None:
        weights = getattr(output, "weights", None)
        if weights is None and "Attention" in type(module).__name__ and isinstance(output, tuple) and len(output) > 1:
            weights = output[1]
        _add(path, weights, maps)

    return hook


def _add(path: str, weights: Any, maps: dict[str, Tensor]) -> None:
    if not isinstance(weights, Tensor) or weights.ndim not in (2, 4):
        return
    if any(weights is kept for kept in maps.values()):
        return  # an outer module hands on what an inner one returned
    times = 1 + sum(key.partition("#")[0] == path for key in maps)
    key = path if times == 1 else f"{path}#{times}"
    maps[key] = weights if weights.ndim == 4 else weights[:, None, None, :]


def _ask_for_weights(asked: list[tuple[bool, bool]]) -> Callable:
    """Make nn.MultiheadAttention return weights per head, and remember what its caller wanted."""

    def hook(module: nn.Module, positional: tuple, named: dict) -> tuple[tuple, dict]:
        call = inspect.signature(module.forward).bind(*positional, **named)
        call.apply_defaults()
        asked.append((call.arguments["need_weights"], call.arguments["average_attn_weights"]))
        call.arguments |= {"need_weights": True, "average_attn_weights": False}
        return call.args, call.kwargs

    return hook


def _keep_and_restore(path: str, maps: dict[str, Tensor], asked: list[tuple[bool, bool]]) -> Callable:
    def hook(_module: nn.Module, _inputs: tuple, output: tuple) -> tuple:
        attended, weights = output
        _add(path, weights, maps)
        wanted, averaged = asked.pop()
        if not wanted:
            return attended, None
        return attended, weights.mean(dim=1) if averaged else weights

    return hook
