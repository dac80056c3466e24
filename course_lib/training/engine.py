"""One optimiser step: the gradient of a batch, in one piece or in several, then clipping and the update."""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from course_lib.training.config import TrainConfig
from course_lib.training.data import Batch, length, split
from course_lib.training.device import pick_device
from course_lib.training.distributed import parallel, total, world

FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
Loss = Callable[[nn.Module, Batch], Tensor]
Weigh = Callable[[Batch], Tensor | float]


def device_of(model: nn.Module) -> torch.device:
    """Where the weights are."""
    weight = next(model.parameters(), None)
    if weight is None:
        raise ValueError(f"this {type(model).__name__} has no weights: nothing to train")
    return weight.device


class Engine:
    """Computes gradients of the mean loss over a step's examples, however they are cut into passes and processes."""

    def __init__(self, model: nn.Module, loss: Loss, config: TrainConfig, weigh: Weigh | None, say: Callable) -> None:
        self.loss, self.config, self.weigh, self.say = loss, config, weigh, say
        self.device = device_of(model)
        automatic = config.precision == "auto"
        self.dtype = pick_device(str(self.device)).dtype if automatic else FORMATS[config.precision]
        self.mixed, self.plain = self.dtype != torch.float32, nullcontext()
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        self.model = parallel(model, config.shard, self.dtype)
        self.call = self.model if config.compile == "off" else torch.compile(self.model, mode=config.compile)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.processes = world().size
        self.micro = config.micro_batch_size
        if self.micro == "auto" and self.processes > 1:
            raise ValueError(
                "micro_batch_size='auto' works in one process, since one that runs out of memory leaves the others "
                "waiting; run one process for a few steps and pass the size that it settles on"
            )

    def gradient(self, batch: Batch, examples: int | None = None) -> Tensor:
        """Leave the gradient in the parameters; return this process's part of the mean loss, still on the device.

        examples: in this step over all processes; None means those of `batch`.
        """
        while True:
            try:
                return self._accumulated(batch, examples)
            except torch.OutOfMemoryError:
                if self.config.micro_batch_size != "auto":
                    raise
            self._halve(length(batch))  # outside the handler, which keeps the failed pass's activations alive

    def _accumulated(self, batch: Batch, examples: int | None) -> Tensor:
        for parameter in self.parameters:
            parameter.grad = None
        whole = self.micro is None or self.micro == "auto"
        if whole and self.processes == 1:
            return self._backward(batch, None)
        examples = length(batch) if examples is None else examples
        parts = [batch] if whole else split(batch, self._pieces(examples))
        *early, last = zip(parts, self._weights(parts, examples), strict=True)
        # DDP talks in the last pass only. FSDP2 always does, since it has no room for whole gradients.
        waits = isinstance(self.model, nn.parallel.DistributedDataParallel)
        with self.model.no_sync() if waits else nullcontext():
            losses = [self._backward(*part) for part in early]
        return sum(losses, start=self._backward(*last))

    def _backward(self, batch: Batch, weight: Tensor | float | None) -> Tensor:
        with torch.autocast(self.device.type, self.dtype) if self.mixed else self.plain:
            loss = self.loss(self.call, batch)
        if loss.dim() != 0:
            shape = tuple(loss.shape)
            raise ValueError(f"the loss has shape {shape}; return one number, such as the mean over the batch")
        part = loss if weight is None else loss * weight
        # DDP and FSDP2 average gradients over processes; ours are parts of one mean, which must add up
        self.scaler.scale(part if self.processes == 1 else part * self.processes).backward()
        return part.detach()

    def _pieces(self, examples: int) -> int:
        """Passes per step, the same on every process, as FSDP2 needs it: what the largest share takes."""
        largest, smallest = -(-examples // self.processes), examples // self.processes
        pieces = -(-largest // self.micro)
        if pieces > smallest:
            raise ValueError(
                f"{examples} examples on {self.processes} processes in passes of {self.micro} leave one process a pass "
                "without examples; make batch_size a multiple of the number of processes, or tail='drop'"
            )
        return pieces

    def _weights(self, parts: list[Batch], examples: int) -> list[Tensor | float]:
        """What part of the step's mean each pass is: by examples, or by what `weigh` counts in it, such as tokens."""
        if self.weigh is not None:
            counts = torch.stack([torch.as_tensor(self.weigh(part), device=self.device) for part in parts]).float()
            return list(counts / total(counts.sum()))
        return [length(part) / examples for part in parts]

    def _halve(self, examples: int) -> None:
        present = examples if self.micro == "auto" else self.micro
        if present == 1:
            raise torch.OutOfMemoryError("out of memory with one example per pass: no smaller micro-batch exists")
        self.micro = -(-present // 2)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        self.say(f"out of memory: {self.micro} examples per pass from here on instead of {present}, same batch_size")

    def clip(self, optimizer: torch.optim.Optimizer) -> Tensor | None:
        """Shorten the gradient to `clip_norm`; returns its L2 norm before that, or None with clipping off."""
        if self.config.clip_norm is None:
            return None
        self.scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(self.parameters, self.config.clip_norm)
        return norm.full_tensor() if self.config.shard else norm

    def gradient_norm(self) -> float:
        """L2 norm of the gradient that lies in the parameters now."""
        return self._norm([p.grad for p in self.parameters if p.grad is not None]) / self.scaler.get_scale()

    def weight_norm(self) -> float:
        """L2 norm of the trained weights."""
        return self._norm([p.detach() for p in self.parameters])

    def _norm(self, tensors: list[Tensor]) -> float:
        norm = nn.utils.get_total_norm(tensors)
        return float(norm.full_tensor() if self.config.shard else norm)

    def update(self, optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
        """Move the weights."""
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        self.scaler.step(optimizer)
        self.scaler.update()
