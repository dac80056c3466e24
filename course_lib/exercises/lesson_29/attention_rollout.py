"""Exercise 29.2: attention rollout."""

import functools

import torch

from course_lib.exercises.lesson_29.integrated_gradients import normal
from course_lib.lesson.exercises import Exercise
from course_lib.lesson.tolerance import close


def _maps(layers=3, batch=2, heads=4, length=5):
    return [normal(batch, heads, length, length, seed=seed).mul(2).softmax(dim=-1).float() for seed in range(layers)]


def rollout_has_one_matrix(attention_rollout):
    got = attention_rollout(_maps())
    assert isinstance(got, torch.Tensor) and got.shape == (2, 5, 5), (
        "one (S, S) matrix an example should come back, heads averaged and layers multiplied"
    )
    assert close(got.sum(dim=-1), torch.ones(2, 5)), (
        "rows should still sum to 1: mix identity and attention half and half"
    )


def rollout_keeps_the_residual(attention_rollout):
    reads_first = torch.zeros(1, 2, 3, 3)
    reads_first[..., 0] = 1
    got = attention_rollout([reads_first])
    assert got[0, 2, 2].item() > 0.4, (
        "token 2 lost itself after one layer: the residual carries half of every token past the attention"
    )


def rollout_multiplies(attention_rollout):
    first, second = _maps(2)
    got = attention_rollout([first, second])
    mixed = [0.5 * torch.eye(5) + 0.5 * each.mean(dim=1) for each in (first, second)]
    assert not close(got, (mixed[0] + mixed[1]) / 2), (
        "the layers were averaged; what layer 2 reads has already been mixed by layer 1: multiply"
    )
    assert not close(got, mixed[0] @ mixed[1]), (
        "the product is in reverse order: later layers read earlier ones, so they stand on the left"
    )
    assert close(got, mixed[1] @ mixed[0]), "two layers: (½I + ½A₂)(½I + ½A₁) with the mean of heads as A"


def rollout_follows_any_number_of_layers(attention_rollout):
    for count in (1, 4):
        maps = [each.double() for each in _maps(count)]
        due = torch.eye(5, dtype=torch.float64).expand(2, 5, 5)
        for each in maps:
            mixed = [(torch.eye(5) + sum(heads) / 4) / 2 for heads in each]
            due = torch.stack([layer @ rolled for layer, rolled in zip(mixed, due, strict=True)])
        assert close(attention_rollout(maps), due), (
            f"{count} layer{'s' * (count > 1)}: each is mixed with the identity once, and all of them are multiplied"
        )


def _rolled(residual=0.5, join=lambda rolled, mixed: mixed @ rolled):
    def attention_rollout(maps):
        rolled = None
        for weights in maps:
            eye = torch.eye(weights.shape[-1], dtype=weights.dtype)
            mixed = residual * eye + (1 - residual) * weights.mean(dim=1)
            rolled = mixed if rolled is None else join(rolled, mixed)
        return rolled

    return attention_rollout


def _from_the_end(maps):
    mixed = [torch.lerp(torch.eye(each.size(-1)).to(each), each.mean(1), 0.5) for each in maps]
    return functools.reduce(torch.matmul, reversed(mixed))


def _by_paths(maps):
    batch, heads, length, _ = maps[0].shape
    reached = torch.eye(length, dtype=torch.float64).repeat(batch, 1, 1)
    for weights in maps:
        read = torch.einsum("bhts,bsr->btr", weights.double(), reached) / heads
        reached = 0.5 * reached + 0.5 * read
    return reached


attention_rollout = Exercise(
    id="29.2 attention_rollout",
    task="Write attention_rollout(maps): a list of (B, H, S, S), first layer first -> (B, S, S). Average heads, mix "
    "half identity and half attention in each layer, follow the layers from input to output.",
    stages=(
        rollout_has_one_matrix,
        rollout_keeps_the_residual,
        rollout_multiplies,
        rollout_follows_any_number_of_layers,
    ),
    reference=_rolled(),
    mutants={
        "heads averaged and layers multiplied": lambda maps: torch.stack([_rolled()([each]) for each in maps]),
        "rows should still sum to 1": lambda maps: _rolled()(maps) * 2,
        "the residual carries half": _rolled(residual=0.0),
        "the layers were averaged": lambda maps: torch.stack([_rolled()([each]) for each in maps]).mean(dim=0),
        "in reverse order": _rolled(join=lambda rolled, mixed: rolled @ mixed),
        "with the mean of heads": lambda maps: (
            _rolled()([each.max(dim=1, keepdim=True).values for each in maps])
            / _rolled()([each.max(dim=1, keepdim=True).values for each in maps]).sum(dim=-1, keepdim=True)
        ),
        "and all of them are multiplied": lambda maps: _rolled()(maps[-3:]),
    },
    alternatives={
        "one product from the end": _from_the_end,
        "paths of one example, einsum": _by_paths,
    },
    hints=(
        "Rows read columns. If output 0 reads token 3 of layer 1, whom did token 3 read before?",
        "One layer is ½ I + ½ mean over heads. Two layers are a matrix product; which of them touches the input?",
        "rolled = mixed @ rolled, starting with the first layer's mixed matrix.",
    ),
    difficulty=1,
    minutes=8,
)
