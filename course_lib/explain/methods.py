"""The methods of `attribute`, each a call of captum: what it needs, what it promises, what it costs.

    method                 needs       promises             passes through the model, per example
    saliency               gradient    -                    1 forward, 1 backward
    input_x_gradient       gradient    -                    1, 1
    integrated_gradients   gradient    completeness         steps, steps
    gradient_shap          gradient    completeness on average   samples, samples
    deep_lift              gradient    completeness         2, 2; modules of supported kinds only
    grad_cam               gradient    -                    1, 1
    occlusion              scores      -                    windows + 1
    feature_ablation       scores      -                    regions + 1
    shapley                scores      completeness         samples (regions) + 1
    lime                   scores      -                    samples
    kernel_shap            scores      completeness         samples

Completeness: the attributions of an example add up to score(input) - score(baseline).
Sources: Simonyan et al. (2013, arXiv:1312.6034); Shrikumar et al. (2017, arXiv:1704.02685); Sundararajan et al. (2017,
arXiv:1703.01365); Lundberg and Lee (2017, arXiv:1705.07874); Selvaraju et al. (2016, arXiv:1610.02391); Zeiler and
Fergus (2013, arXiv:1311.2901); Ribeiro et al. (2016, arXiv:1602.04938); Kokhlikyan et al. (2020, arXiv:2009.07896).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import captum.attr as captum
import torch
from torch import Tensor, nn

from course_lib.explain.regions import sliding


class Job(NamedTuple):
    """One group of examples, ready for captum."""

    forward: nn.Module
    inputs: tuple[Tensor, ...]
    baselines: tuple[Tensor, ...]
    target: Tensor | None
    extra: tuple[Tensor, ...]
    """True ids and fixed tensors, passed on to every forward pass."""
    regions: tuple[Tensor, ...]
    rows: int
    """Most examples in one forward pass."""
    layer: nn.Module | None

    def common(self) -> dict[str, Any]:
        """The arguments that every captum method takes."""
        extra = self.extra if len(self.extra) > 0 else None
        return {"inputs": self.inputs, "target": self.target, "additional_forward_args": extra}

    def at_once(self) -> dict[str, int]:
        """How many perturbed copies of the group fit in one forward pass."""
        return {"perturbations_per_eval": max(1, self.rows // len(self.inputs[0]))}


@dataclass(frozen=True)
class Method:
    """How to call one method, and what is true of it."""

    run: Callable[..., tuple[Tensor, ...]]
    gradient: bool
    """Needs gradients with respect to its inputs."""
    complete: bool
    """Promises completeness, so a gap is reported."""
    group: Callable[[int, dict], int] = lambda rows, options: rows
    """Examples handed to captum at once, from `rows` and the options."""
    options: dict[str, Any] = field(default_factory=dict)
    """Option names and defaults."""
    regions: Literal["none", "given", "strides"] = "none"
    """Positions that share a value: none, those the caller gives, or the cells that a sliding window moves by."""
    baseline: bool = True
    """Compares with a baseline."""


def _saliency(job: Job, absolute: bool) -> tuple[Tensor, ...]:
    return captum.Saliency(job.forward).attribute(**job.common(), abs=absolute)


def _input_x_gradient(job: Job) -> tuple[Tensor, ...]:
    return captum.InputXGradient(job.forward).attribute(**job.common())


def _integrated_gradients(job: Job, steps: int, rule: str) -> tuple[Tensor, ...]:
    settings = {"n_steps": steps, "method": rule, "internal_batch_size": job.rows}
    return captum.IntegratedGradients(job.forward).attribute(**job.common(), baselines=job.baselines, **settings)


def _gradient_shap(job: Job, samples: int, noise: float) -> tuple[Tensor, ...]:
    method = captum.GradientShap(job.forward)
    return method.attribute(**job.common(), baselines=job.baselines, n_samples=samples, stdevs=noise)


def _deep_lift(job: Job) -> tuple[Tensor, ...]:
    parts, gap = captum.DeepLift(job.forward).attribute(
        **job.common(), baselines=job.baselines, return_convergence_delta=True
    )
    explained = sum(part.flatten(1).sum(1) for part in parts)
    worst, span = float(gap.detach().abs().max()), float((explained - gap).detach().abs().max())
    if worst > 0.01 * max(span, 1e-6):
        raise ValueError(
            f"deep_lift is off by {worst:.3g} here: it rewrites nn.ReLU, nn.Sigmoid, nn.Tanh, nn.Softmax and pooling "
            "modules only, and this model has other non-linear steps (attention, F.relu, GELU, norms, products); "
            "try method='integrated_gradients'"
        )
    return parts


def _grad_cam(job: Job, relu: bool) -> tuple[Tensor, ...]:
    if job.layer is None:
        raise ValueError("grad_cam needs layer=, a module whose output is (B, channels, rows, columns)")
    image = next((each for each in job.inputs if each.ndim == 4), None)
    if image is None:
        raise ValueError("grad_cam needs an image among the inputs, shape (B, channels, height, width); none came")
    found = captum.LayerGradCam(job.forward, job.layer).attribute(**job.common(), relu_attributions=relu)
    if not isinstance(found, Tensor) or found.ndim != 4:
        raise ValueError(
            "grad_cam: the layer's output is not (B, channels, rows, columns); take a convolution, such as the patch "
            "embedding, or use relevance.gradient_relevance for attention layers"
        )
    heat = captum.LayerAttribution.interpolate(found, tuple(image.shape[-2:]), interpolate_mode="bilinear")
    return tuple(heat if each is image else torch.zeros(len(each), 0) for each in job.inputs)


def _occlusion(job: Job, windows: dict | None, strides: dict | None) -> tuple[Tensor, ...]:
    inputs = dict(zip(job.forward.names, job.inputs, strict=True))
    shapes, moves = sliding(inputs, windows, strides)
    settings = {"sliding_window_shapes": tuple(shapes.values()), "strides": tuple(moves.values())} | job.at_once()
    return captum.Occlusion(job.forward).attribute(**job.common(), baselines=job.baselines, **settings)


def _feature_ablation(job: Job) -> tuple[Tensor, ...]:
    settings = {"baselines": job.baselines, "feature_mask": job.regions} | job.at_once()
    return captum.FeatureAblation(job.forward).attribute(**job.common(), **settings)


def _shapley(job: Job, samples: int) -> tuple[Tensor, ...]:
    settings = {"baselines": job.baselines, "feature_mask": job.regions, "n_samples": samples} | job.at_once()
    return captum.ShapleyValueSampling(job.forward).attribute(**job.common(), **settings)


def _surrogate(kind: type) -> Callable[..., tuple[Tensor, ...]]:
    def run(job: Job, samples: int) -> tuple[Tensor, ...]:
        settings = {"baselines": job.baselines, "feature_mask": job.regions, "n_samples": samples} | job.at_once()
        return kind(job.forward).attribute(**job.common(), **settings)

    return run


METHODS = {
    "saliency": Method(_saliency, True, False, options={"absolute": True}, baseline=False),
    "input_x_gradient": Method(_input_x_gradient, True, False, baseline=False),
    "integrated_gradients": Method(_integrated_gradients, True, True, options={"steps": 50, "rule": "gausslegendre"}),
    "gradient_shap": Method(
        _gradient_shap, True, True, lambda rows, o: max(1, rows // o["samples"]), {"samples": 20, "noise": 0.0}
    ),
    "deep_lift": Method(_deep_lift, True, True, lambda rows, o: max(1, rows // 2)),
    "grad_cam": Method(_grad_cam, True, False, options={"relu": True}, baseline=False),
    "occlusion": Method(_occlusion, False, False, options={"windows": None, "strides": None}, regions="strides"),
    "feature_ablation": Method(_feature_ablation, False, False, regions="given"),
    "shapley": Method(_shapley, False, True, options={"samples": 25}, regions="given"),
    "lime": Method(_surrogate(captum.Lime), False, False, lambda rows, o: 1, {"samples": 200}, "given"),
    "kernel_shap": Method(_surrogate(captum.KernelShap), False, True, lambda rows, o: 1, {"samples": 200}, "given"),
}
"""Every method by name."""
