"""What one training run needs, in one frozen object. A contradiction dies here, not an hour into the run."""

from dataclasses import dataclass, fields
from typing import Literal, get_args, get_origin


@dataclass(frozen=True)
class TrainConfig:
    """Settings of `fit`. Change one with `dataclasses.replace(config, learning_rate=1e-4)`."""

    steps: int | None = None
    """Optimiser steps. Give this or `epochs`."""
    epochs: int | None = None
    """Passes over the data."""
    batch_size: int = 64
    """Examples per optimiser step, over all processes."""
    micro_batch_size: int | Literal["auto"] | None = None
    """Examples per forward pass on one device; lower it when memory runs out, results stay the same unless examples
    of one pass see each other (BatchNorm, contrastive losses). None: this process's whole share at once. "auto": the
    same, halved whenever memory runs out."""
    tail: Literal["keep", "drop"] = "keep"
    """The last, shorter batch of a pass: train on it, or leave its examples to the next shuffle."""
    learning_rate: float = 3e-4
    """Peak learning rate, per optimiser step."""
    schedule: Literal["constant", "cosine", "wsd", "one_cycle"] = "constant"
    """Shape of the learning rate over the run, see course_lib.training.schedule."""
    warmup_steps: int = 0
    """Optimiser steps of linear rise to the peak. For "one_cycle": length of the rise, 0 means 30 % of the run."""
    decay_steps: int = 0
    """Optimiser steps of the final fall, "wsd" only; 0 means 20 % of the run."""
    final_ratio: float = 0.0
    """Learning rate at the end as a fraction of the peak, "cosine" and "wsd" only."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """Update rule. For any other one pass `optimizer=` to `fit`."""
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW: decay per step of the mean and of the mean square of the gradient."""
    momentum: float = 0.0
    """SGD: fraction of the last update that is kept."""
    weight_decay: float = 0.01
    """Pull of the weights towards 0: decoupled and times the learning rate in AdamW, an L2 penalty in SGD. Norms,
    biases and embeddings are left out."""
    clip_norm: float | None = None
    """Largest L2 norm of the whole gradient; None turns clipping off."""
    ema_decay: float | None = None
    """Share of the weight average kept per step, such as 0.999. `evaluate` sees the average, and on return the model
    holds it. None turns averaging off."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Number format of the matrix products; weights stay in fp32. "auto" asks `pick_device`."""
    compile: Literal["off", "default", "reduce-overhead", "max-autotune"] = "off"
    """Mode of torch.compile; needs a C++ compiler."""
    gradient_checkpointing: bool = False
    """Recompute the activations of repeated blocks in the backward pass: less memory, about a third more time."""
    shard: bool = False
    """Several processes: split weights, gradients and optimiser state over them (FSDP2) instead of copying (DDP)."""
    workers: int | None = None
    """Processes that load a Dataset beside training; 0 loads in this one. None: 0 on CPU, a few with a GPU."""
    seed: int = 0
    """Fixes the order of the examples, and the random augmentation inside a Dataset. The model's weights are yours."""
    log_every: int = 50
    """Steps between two readings of the loss from the device, and between two log lines."""
    evaluate_every: int | None = None
    """Steps between two calls of `evaluate`; None: only at the end."""
    checkpoint_every: int | None = None
    """Steps between two checkpoints in `run_dir`; None: only at the end."""
    keep_last: int = 3
    """Checkpoints kept; older ones are deleted after a newer one is safe on disk."""
    progress: Literal["auto", "bar", "lines", "none"] = "auto"
    """What to show: "auto" is a bar when a person watches, lines in a log, nothing in a built notebook."""
    tensorboard: bool = False
    """Write event files to `run_dir`; needs the tensorboard package."""

    def __post_init__(self) -> None:
        self._check_names()
        self._check_counts()
        self._check_rates()
        self._check_pairs()

    def _check_names(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if get_origin(field.type) is Literal and value not in get_args(field.type):
                raise ValueError(f"{field.name}={value!r} is unknown; choose from {', '.join(get_args(field.type))}")

    def _check_counts(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError(f"steps={self.steps} and epochs={self.epochs}: give exactly one of them")
        optional = ("steps", "epochs", "evaluate_every", "checkpoint_every")
        for name in ("batch_size", "log_every", "keep_last", *optional):
            value = getattr(self, name)
            if value is not None:
                _whole(name, value, least=1)
        for name in ("warmup_steps", "decay_steps", "seed"):
            _whole(name, getattr(self, name), least=0)
        if self.workers is not None:
            _whole("workers", self.workers, least=0)
        if self.micro_batch_size not in (None, "auto"):
            _whole("micro_batch_size", self.micro_batch_size, least=1)
            if self.micro_batch_size > self.batch_size:
                raise ValueError(
                    f"micro_batch_size={self.micro_batch_size} is larger than batch_size={self.batch_size}: a forward "
                    "pass would hold more examples than the step; lower it or leave it out"
                )

    def _check_rates(self) -> None:
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{name}={value} is not a positive number")
        for name in ("momentum", "final_ratio", "betas"):
            value = getattr(self, name)
            if not all(0 <= part < 1 for part in (value if name == "betas" else (value,))):
                raise ValueError(f"{name}={value} is outside [0, 1)")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"ema_decay={self.ema_decay} is outside (0, 1); 0.999 averages about 1000 steps")
        if not 0 <= self.weight_decay < float("inf"):
            raise ValueError(f"weight_decay={self.weight_decay} is negative; 0 turns it off")

    def _check_pairs(self) -> None:
        if self.decay_steps > 0 and self.schedule != "wsd":
            raise ValueError(f"decay_steps={self.decay_steps} is for schedule='wsd', not {self.schedule!r}")
        if self.final_ratio > 0 and self.schedule not in ("cosine", "wsd"):
            raise ValueError(f"final_ratio={self.final_ratio} is for 'cosine' and 'wsd', not {self.schedule!r}")
        if self.momentum > 0 and self.optimizer != "sgd":
            raise ValueError(f"momentum={self.momentum} is for optimizer='sgd'; AdamW has `betas`")
        if self.steps is not None:
            check_schedule_length(self, self.steps)
        if self.shard and self.precision == "fp16":
            raise ValueError("shard=True has no gradient scaler for precision='fp16'; use 'bf16' or 'fp32'")
        if self.shard and self.micro_batch_size == "auto":
            raise ValueError("micro_batch_size='auto' works in one process, shard=True needs several; give a number")


def check_schedule_length(config: TrainConfig, steps: int) -> None:
    """Refuse warm-up and decay that together leave no room in `steps`; with `epochs` only `fit` knows the steps."""
    needed = config.warmup_steps + config.decay_steps
    if needed > 0 and needed >= steps:
        raise ValueError(
            f"warmup_steps={config.warmup_steps} + decay_steps={config.decay_steps} leave nothing of {steps} steps; "
            f"together they must stay below it"
        )


def _whole(name: str, value: object, *, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value!r} is not a whole number of at least {least}")
