"""A model as captum wants to see it: positional tensors in, scores out, and word embeddings in place of word ids.

Ids have no gradient. So an input of ids is explained at the output of the embedding that reads it: the model runs on
the true ids (they also make its masks and positions), and a hook puts the tensor to be explained in their place.

Axis letters are those of course_lib/__init__.py.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

Read = Callable[[Any], Tensor]


class Readable(nn.Module):
    """`model` behind a positional signature: the explained tensors, then the true ids, then what is held fixed.

    names: of the explained inputs, in order; those in `embeddings` arrive as the embedding's output.
    constants: keyword arguments that are no tensors and go to the model as they are.
    """

    def __init__(
        self,
        model: nn.Module,
        names: tuple[str, ...],
        embeddings: Mapping[str, nn.Module],
        fixed: tuple[str, ...],
        constants: Mapping[str, Any],
        read: Read | None,
    ) -> None:
        super().__init__()
        self.model, self.names, self.fixed = model, names, fixed
        self.embeddings = dict(embeddings)  # a plain dict: the modules are registered once, inside the model
        self.constants, self.read = dict(constants), read
        self.unused: tuple[int, ...] = ()  # positions of inputs that no gradient reaches because nothing uses them

    def forward(self, *tensors: Tensor) -> Tensor:
        """Scores (B,) or (B, K)."""
        explained = dict(zip(self.names, tensors, strict=False))
        behind = (*self.embeddings, *self.fixed)
        arguments = explained | dict(zip(behind, tensors[len(self.names) :], strict=True))
        with ExitStack() as stack:
            for name, module in self.embeddings.items():
                stack.enter_context(replaced_output(module, explained[name], name))
            scores = scores_of(self.model(**arguments, **self.constants), self.read)
        for position in self.unused:
            scores = scores + 0 * tensors[position].sum()  # captum insists on a gradient: here it is 0
        return scores


def scores_of(output: Any, read: Read | None = None) -> Tensor:
    """The scores in what a model returned: `read(output)`, or the tensor itself, or its `logits`.

    They must be (B,) or (B, K); the message of the ValueError says how to get there with `read=`.
    """
    scores = read(output) if read is not None else output if isinstance(output, Tensor) else _logits(output)
    if not isinstance(scores, Tensor) or scores.ndim not in (1, 2):
        came = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ValueError(
            f"scores of {came} came, an explanation needs (B,) or (B, K); pick the answer's position with read=, "
            "for example read=lambda out: out.logits[:, -1]"
        )
    return scores


def _logits(output: Any) -> Tensor:
    logits = getattr(output, "logits", None)
    if logits is None:
        raise ValueError(
            f"the model returned {type(output).__name__}, which is no tensor and has no `logits`; say where the scores "
            "are with read=, for example read=lambda out: out.logits_per_image.diagonal()"
        )
    return logits


def select(scores: Tensor, target: Any) -> Float[Tensor, " B"]:
    """The score of each example's target class; scores of shape (B,) are taken as they are."""
    if scores.ndim == 1:
        return scores
    rows = torch.arange(len(scores), device=scores.device)
    return scores[rows, target]


@contextmanager
def replaced_output(module: nn.Module, value: Tensor, name: str) -> Iterator[None]:
    """Let `module` return `value` instead of its own output, and insist that it is called exactly once."""
    calls = []

    def hook(_module: nn.Module, _inputs: tuple, output: Tensor) -> Tensor:
        calls.append(tuple(output.shape))
        return value

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
    if len(calls) != 1:
        raise ValueError(
            f"the embedding of {name!r} ran {len(calls)} times in one forward pass; an explanation needs a module that "
            f"reads {name!r} once: name another in embeddings={{{name!r}: module}}"
        )


def find_embeddings(model: nn.Module, arguments: Mapping[str, Any], names: list[str]) -> dict[str, nn.Module]:
    """The nn.Embedding that reads each of these inputs: the one that is called with exactly its ids.

    An input that none reads is left out; one that several read is refused with their names.
    """
    found = {name: {} for name in names}

    def watch(path: str) -> Callable:
        def hook(module: nn.Module, inputs: tuple, _output: Tensor) -> None:
            for name in names:
                ids = arguments[name]
                if len(inputs) > 0 and inputs[0].shape == ids.shape and torch.equal(inputs[0], ids):
                    found[name][path] = module

        return hook

    tables = [(path, module) for path, module in model.named_modules() if isinstance(module, nn.Embedding)]
    handles = [module.register_forward_hook(watch(path)) for path, module in tables]
    try:
        with torch.no_grad():
            model(**arguments)
    finally:
        for handle in handles:
            handle.remove()
    for name, readers in found.items():
        if len(readers) > 1:
            raise ValueError(
                f"{name!r} is read by {sorted(readers)}; say which to explain: embeddings={{{name!r}: module}}"
            )
    return {name: next(iter(readers.values())) for name, readers in found.items() if len(readers) == 1}
