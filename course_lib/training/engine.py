"""One optimiser step: the gradient of a batch, in one piece or several, then clipping and the update."""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from course_lib.training.config import TrainConfig
from course_lib.training.data import Batch, length, split
from course_lib.training.device import pick_device

FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Engine:
    """The model with all that a step touches: number format, loss scaler, optimiser."""

    def __init__(self, model: nn.Module, loss: Callable, config: TrainConfig, optimizer: torch.optim.Optimizer) -> None:
        self.model, self.loss, self.config, self.optimizer = model, loss, config, optimizer
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.device = self.parameters[0].device
        self.dtype = FORMATS[config.precision] if config.precision != "auto" else pick_device(str(self.device)).dtype
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        mixed = self.dtype != torch.float32
        self.autocast = torch.autocast(self.device.type, self.dtype) if mixed else nullcontext()

    def gradient(self, batch: Batch) -> Tensor:
        """Leave the gradient of the batch's mean loss in the parameters; return that loss, still on the device."""
        for parameter in self.parameters:
            parameter.grad = None
        size = self.config.micro_batch_size
        if size is None or size == "auto":
            return self._backward(batch, None)
        examples = length(batch)
        return sum(self._backward(part, length(part) / examples) for part in split(batch, size))

    def _backward(self, batch: Batch, weight: float | None) -> Tensor:
        with self.autocast:
            loss = self.loss(self.model, batch)
        if loss.dim() != 0:
            raise ValueError(f"the loss has shape {tuple(loss.shape)}; return one number, e.g. its mean over the batch")
        if weight is not None:
            loss = loss * weight
        self.scaler.scale(loss).backward()
        return loss.detach()

    def clip(self) -> Tensor | None:
        """Shorten the gradient to `clip_norm`; returns its L2 norm before that, or None with clipping off."""
        if self.config.clip_norm is None:
            return None
        self.scaler.unscale_(self.optimizer)
        return nn.utils.clip_grad_norm_(self.parameters, self.config.clip_norm)

    def update(self, learning_rate: float) -> None:
        """Move the weights."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.scaler.step(self.optimizer)
        self.scaler.update()
