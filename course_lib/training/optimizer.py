"""The optimiser: which weights decay, which update rule, and an average of the weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from course_lib.training.config import TrainConfig

NOT_DECAYED = (
    nn.Embedding,
    nn.EmbeddingBag,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.GroupNorm,
    nn.modules.batchnorm._NormBase,  # BatchNorm and InstanceNorm of every dimension
)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Trainable parameters, split into those that decay and those that must not: biases, norms, embeddings.

    Every parameter below two axes counts as a bias or a gain, a learned scale such as CLIP's `logit_scale` included.
    """
    exempt = {
        id(p) for module in model.modules() if isinstance(module, NOT_DECAYED) for p in module.parameters(recurse=False)
    }
    trainable = [p for p in model.parameters() if p.requires_grad]
    if not trainable:
        raise ValueError("no parameter requires a gradient: nothing to train; unfreeze some with requires_grad_(True)")
    decays = [p.dim() >= 2 and id(p) not in exempt and weight_decay > 0 for p in trainable]
    groups = [
        {"params": [p for p, decay in zip(trainable, decays, strict=True) if decay], "weight_decay": weight_decay},
        {"params": [p for p, decay in zip(trainable, decays, strict=True) if not decay], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter, 2017, arXiv:1711.05101) or SGD, in PyTorch's fused kernels."""
    groups = parameter_groups(model, config.weight_decay)
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, fused=True)
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


class WeightAverage:
    """Exponential moving average of the trainable weights: average = decay * average + (1 - decay) * weight."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.average = {name: p.detach().clone() for name, p in self.weights.items()}
        self._advance = get_ema_multi_avg_fn(decay)

    @torch.no_grad()
    def update(self) -> None:
        """Take one step towards the present weights."""
        self._advance(list(self.average.values()), list(self.weights.values()), 0)

    @torch.no_grad()
    def exchange(self) -> None:
        """Swap the model's weights with the average; a second call swaps back."""
        for name, weight in self.weights.items():
            kept = weight.clone()
            weight.copy_(self.average[name])
            self.average[name].copy_(kept)

    @contextmanager
    def in_model(self) -> Iterator[None]:
        """While open, the model holds the average."""
        self.exchange()
        try:
            yield
        finally:
            self.exchange()
