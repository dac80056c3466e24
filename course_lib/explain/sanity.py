"""Can the map be wrong? It must change when the model's weights do, and stay when the input barely moves.

A map that survives the destruction of what the model has learnt was never about the model (Adebayo et al., 2018,
arXiv:1810.03292). Infidelity and sensitivity are captum's (Yeh et al., 2019, arXiv:1901.09392); the ranking puts the
numbers of faithfulness.py side by side.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import captum.metrics
import torch
from jaxtyping import Bool, Float, Int, Shaped
from scipy.stats import spearmanr
from torch import Tensor, nn

from course_lib import refuse
from course_lib.explain.faithfulness import deletion_curve, mass_in_mask, pointing_game
from course_lib.explain.preparation import prepare, seeded


def shuffled_weights(model: nn.Module, *, seed: int, only: Callable[[str], bool] = lambda name: True) -> nn.Module:
    """A copy whose learnt weights stand in other places: each tensor keeps its values and loses its meaning.

    Stricter than drawing new weights, since every scale stays what it was. only: which parameters, by name.
    """
    shuffled = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in shuffled.named_parameters():
            if only(name):
                order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
                parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return shuffled


@refuse.misfit
def rank_agreement(one: Float[Tensor, "B ..."], other: Float[Tensor, "B ..."]) -> Float[Tensor, " B"]:
    """Spearman's correlation of two maps of the same example: 1 the same order, 0 nothing in common, -1 reversed.

    NaN where a map is constant: it has no order. For the weight and the label randomisation test alike: maps of the
    trained model against those of `shuffled_weights`, or of a model trained on shuffled labels.
    """
    if one.shape != other.shape:
        raise ValueError(f"maps of {tuple(one.shape)} and {tuple(other.shape)} cannot be compared position by position")
    refuse.empty(one=one)
    refuse.nan(one=one, other=other)
    pairs = zip(one.flatten(start_dim=1).cpu().numpy(), other.flatten(start_dim=1).cpu().numpy(), strict=True)
    with torch.no_grad():
        return torch.tensor([_spearman(a, b) for a, b in pairs], dtype=torch.float32)


def _spearman(one: Any, other: Any) -> float:
    if one.min() == one.max() or other.min() == other.max():
        return float("nan")
    return float(spearmanr(one, other).statistic)


@refuse.misfit
def infidelity(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    target: int | Int[Tensor, " B"] | None,
    parts: Mapping[str, Float[Tensor, "B ..."]],
    *,
    noise: float = 0.1,
    samples: int = 20,
    seed: int = 0,
    **reading: Any,
) -> Float[Tensor, " B"]:
    """How badly the parts predict what small changes do: mean of (I · attribution - (f(x) - f(x - I)))² over noise I.

    0 is perfect; compare methods on one model only, since it grows with the square of the score. parts: of an
    `Attribution` by gradients, in the shape of what was explained (embeddings for ids). noise: standard deviation, in
    the unit of the input. reading: fixed, embeddings, read as in `attribute`.
    """
    ready = prepare(model, inputs, target, gradient=True, **reading)
    wrong = {
        n: tuple(parts[n].shape) for n, x in ready.explained.items() if n not in parts or parts[n].shape != x.shape
    }
    if wrong:
        raise ValueError(f"parts {wrong} do not fit what was explained; infidelity takes those of a gradient method")

    def change(given: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        tensors = given if isinstance(given, tuple) else (given,)  # captum unpacks a single one
        moves = tuple(noise * torch.randn_like(each) for each in tensors)
        return moves, tuple(each - move for each, move in zip(tensors, moves, strict=True))

    with seeded(seed), torch.no_grad():
        return captum.metrics.infidelity(
            ready.forward,
            change,
            tuple(ready.explained.values()),
            tuple(parts[name] for name in ready.explained),
            additional_forward_args=tuple(ready.behind) or None,
            target=ready.target,
            n_perturb_samples=samples,
        )


@refuse.misfit
def sensitivity(
    explain: Callable[[dict[str, Tensor]], Tensor],
    inputs: Mapping[str, Shaped[Tensor, "B ..."]],
    name: str,
    *,
    radius: float = 0.02,
    samples: int = 10,
    seed: int = 0,
) -> Float[Tensor, " B"]:
    """Largest relative change of the map when input `name` moves by at most `radius` per value: ‖Δmap‖ / ‖map‖.

    0 does not move at all, which a constant map achieves too: read it beside infidelity. explain: inputs to a map with
    the batch first; it is called with a batch `samples` times as large, so targets must be computed inside.
    """
    refuse.unknown(inputs, name=name)
    refuse.empty(**{name: inputs[name]})
    count = len(inputs[name])

    def repeated(given: Any) -> tuple[Tensor]:
        value = given[0] if isinstance(given, tuple) else given
        times = len(value) // count
        others = {other: each.repeat_interleave(times, dim=0) for other, each in inputs.items()}
        return (explain({**others, name: value}),)  # a bare tensor would be repeated along its last axis

    with seeded(seed):
        return captum.metrics.sensitivity_max(
            repeated, inputs[name], perturb_radius=radius, n_perturb_samples=samples
        ).detach()


class MethodScore(NamedTuple):
    """Means over examples of what faithfulness.py measures, for one method on one model."""

    method: str
    deletion: float
    """Area under the deletion curve: low is good."""
    insertion: float
    """Area under the insertion curve: high is good."""
    pointing: float
    """Share of examples whose most important position lies on the object: high is good."""
    mass: float
    """Share of positive importance on the object: high is good."""


@refuse.misfit
def score_maps(
    model: nn.Module,
    inputs: Mapping[str, Any],
    target: int | Int[Tensor, " B"] | None,
    name: str,
    maps: Mapping[str, Float[Tensor, "B ..."]],
    mask: Bool[Tensor, "B ..."],
    **settings: Any,
) -> list[MethodScore]:
    """One row a method. maps: method to importance of input `name`. settings: of `deletion_curve`."""
    rows = []
    for method, importance in maps.items():
        gone, come = (
            deletion_curve(model, inputs, target, name, importance, insert=insert, **settings).area.mean().item()
            for insert in (False, True)
        )
        hits = pointing_game(importance, mask).float().mean().item()
        rows.append(MethodScore(method, gone, come, hits, mass_in_mask(importance, mask).mean().item()))
    return rows


@refuse.misfit
def ranking_table(runs: Sequence[Sequence[MethodScore]]) -> str:
    """Markdown: methods by mean deletion area, best first; mean ± standard deviation over runs (seeds)."""
    methods = {score.method: [] for run in runs for score in run}
    for run in runs:
        for score in run:
            methods[score.method].append(score[1:])
    tables = {method: torch.tensor(values, dtype=torch.float64) for method, values in methods.items()}
    lines = ["| method | deletion ↓ | insertion ↑ | pointing ↑ | mass ↑ |", "| --- | --- | --- | --- | --- |"]
    for method in sorted(tables, key=lambda method: tables[method][:, 0].mean().item()):
        mean, spread = tables[method].mean(dim=0), tables[method].std(dim=0, correction=0)
        cells = [f"{m:.2f} ± {s:.2f}" for m, s in zip(mean.tolist(), spread.tolist(), strict=True)]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)
