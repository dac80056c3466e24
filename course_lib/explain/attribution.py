"""One verb for all of captum: `attribute(model, inputs, target, method=...)`, one part of the result per modality.

Captum does the work and this module the housekeeping: inputs by name, ids explained through their embedding, baselines
checked and kept, chunks that fit in memory, the completeness gap. `methods.METHODS` lists the methods.

Axis letters are those of course_lib/__init__.py.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from course_lib import refuse
from course_lib.explain.checks import check_known
from course_lib.explain.methods import METHODS, Job, Method
from course_lib.explain.preparation import in_chunks, prepare, seeded
from course_lib.explain.reading import Read, select
from course_lib.explain.regions import count_once, number_regions, sliding, stride_regions


@dataclass(frozen=True)
class Attribution:
    """What each part of the input contributed to the score of the target, in the unit of the score (logits, mostly).

    parts: name to contributions: in the shape of the input; for ids explained by gradients (B, T, D), the embedding's;
        for grad_cam (B, 1, height, width). They are captum's numbers, untouched.
    baselines: name to the input that counts as "nothing there", in the shape of the input (ids stay ids). Methods that
        use none (saliency, input_x_gradient, grad_cam) leave it empty.
    scores: the explained score of each example. baseline_scores: that of its baseline; None without one.
    gap: for methods that promise completeness, Σ contributions - (score - baseline score); 0 is perfect. Else None.
    regions: for regional methods, name to the number of each position's region: its value stands at every position.
    """

    method: str
    parts: dict[str, Tensor]
    baselines: dict[str, Tensor]
    scores: Float[Tensor, " B"]
    baseline_scores: Float[Tensor, " B"] | None
    gap: Float[Tensor, " B"] | None
    regions: dict[str, Tensor]

    def map(self, name: str) -> Tensor:
        """One number a position: (B, height, width) of an image, channels summed; (B, T) of ids, widths summed."""
        check_known("part", [name], self.parts)
        part = self.parts[name]
        if part.ndim == 4:
            return part.sum(dim=1) if name not in self.regions else part[:, 0]
        return part.sum(dim=2) if part.ndim == 3 else part

    def total(self, name: str, *, magnitude: bool = False) -> Float[Tensor, " B"]:
        """Sum of the contributions of one part, each region once; magnitude: of their absolute values per position."""
        if name in self.regions:
            part = self.parts[name].abs() if magnitude else self.parts[name]
            return count_once(part, self.regions[name])
        values = self.map(name)
        return (values.abs() if magnitude else values).flatten(start_dim=1).sum(dim=1)

    def shares(self) -> dict[str, Float[Tensor, " B"]]:
        """How much of all absolute contributions each modality holds: sums to 1 over names; a part that is 0 has 0."""
        sizes = {name: self.total(name, magnitude=True) for name in self.parts}
        whole = torch.stack(list(sizes.values())).sum(dim=0)
        return {name: size / whole.clamp_min(torch.finfo(size.dtype).tiny) for name, size in sizes.items()}


@refuse.misfit
def attribute(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    target: int | Int[Tensor, " B"] | None = None,
    *,
    method: str = "integrated_gradients",
    fixed: Mapping[str, Any] | None = None,
    baselines: Mapping[str, Any] | None = None,
    embeddings: Mapping[str, nn.Module] | None = None,
    regions: Mapping[str, Tensor] | None = None,
    layer: nn.Module | None = None,
    read: Read | None = None,
    rows: int = 256,
    seed: int = 0,
    **options: Any,
) -> Attribution:
    """Say what each part of each input contributed to the score of `target`.

    inputs: name in `model.forward` to a tensor with the batch first; all of them are explained. Ids (integers) are
        explained through the nn.Embedding that reads them, which is found by itself or named in `embeddings`; methods
        without gradients replace the ids themselves.
    fixed: further arguments of the model that are held as they are: attention masks, flags.
    target: class index, or one per example; None where the model gives one score an example.
    baselines: name to number, example or batch; by default 0: black, and id 0, which is <pad> in most vocabularies.
    regions: name to integers that say which positions go together, in the shape of one input or one that broadcasts to
        it, (height, width) for an image; by default 4 x 4 blocks of an image, and each word by itself.
    layer: for grad_cam, a module whose output is (B, channels, rows, columns).
    read: from what the model returns to scores (B,) or (B, K); by default the tensor itself, or its `logits`.
    rows: most examples in one forward pass; lower it when memory runs out. Results stay the same, except for the random
        draws of gradient_shap, which are made per chunk.
    seed: of the random draws of gradient_shap, shapley, lime and kernel_shap; torch's and NumPy's generators are left
        as they were.
    options: of the method, see METHODS: steps of integrated_gradients, samples of shapley.

    Raises ValueError (TypeError for what is no tensor) that says what came, what fits and what to try.
    """
    check_known("method", [method], METHODS)
    chosen = METHODS[method]
    _check_request(method, chosen, options, rows, {"baselines": baselines, "regions": regions, "layer": layer})
    asked = {"fixed": fixed, "baselines": baselines, "embeddings": embeddings, "read": read, "rows": rows}
    ready = prepare(model, inputs, target, gradient=chosen.gradient, **asked)
    settings = chosen.options | options
    numbered = _numbered(chosen, inputs, regions, settings)
    job = Job(
        ready.forward,
        tuple(ready.explained.values()),
        tuple(ready.absent.values()),
        ready.target,
        tuple(ready.behind),
        tuple(numbered.values()),
        rows,
        layer,
    )
    found = _run(chosen, job, settings, seed)
    parts = {name: part for name, part in zip(inputs, found, strict=True) if part.numel() > 0}
    if not chosen.baseline:
        return Attribution(method, parts, {}, ready.scores, None, None, numbered)
    with torch.no_grad():
        at_baseline = select(in_chunks(ready.forward, [*ready.absent.values(), *ready.behind], rows), ready.target)
    answer = Attribution(method, parts, ready.blank, ready.scores, at_baseline, None, numbered)
    return replace(answer, gap=_gap(answer)) if chosen.complete else answer


def _check_request(name: str, method: Method, options: dict, rows: int, given: dict[str, Any]) -> None:
    """No silent no-op: an argument that the method would not look at is refused."""
    check_known(f"option of {name}", options, method.options)
    if rows < 1:
        raise ValueError(f"rows={rows} lets no example through; give at least 1")
    looks_at = {"baselines": method.baseline, "regions": method.regions == "given", "layer": name == "grad_cam"}
    for argument, used in looks_at.items():
        if given[argument] is not None and not used:
            raise ValueError(f"{name} does not use {argument}=; leave it out, or take a method that does")


def _numbered(method: Method, inputs: Mapping, regions: Mapping | None, options: dict) -> dict[str, Tensor]:
    if method.regions == "given":
        check_known("regions of", regions or {}, inputs)
        return number_regions(inputs, regions or {})
    if method.regions == "strides":
        return stride_regions(inputs, sliding(inputs, options["windows"], options["strides"])[1])
    return {}


def _run(method: Method, job: Job, options: dict, seed: int) -> tuple[Tensor, ...]:
    """Captum on one group of examples after the other."""
    size = method.group(job.rows, options)
    pieces = []
    for start in range(0, len(job.inputs[0]), size):
        group = slice(start, start + size)
        inputs, baselines, extra = (tuple(x[group] for x in each) for each in (job.inputs, job.baselines, job.extra))
        if method.gradient:
            inputs = tuple(each.detach().clone().requires_grad_() for each in inputs)
        goal = None if job.target is None else job.target[group]
        part = job._replace(inputs=inputs, baselines=baselines, extra=extra, target=goal)
        with seeded(seed), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # DeepLift announces its hooks, LIME that it takes its time
            pieces.append(tuple(each.detach() for each in method.run(part, **options)))
    return tuple(torch.cat(column) for column in zip(*pieces, strict=True))


def _gap(answer: Attribution) -> Float[Tensor, " B"]:
    explained = sum(answer.total(name) for name in answer.parts)
    return explained - (answer.scores - answer.baseline_scores)
