"""Exercise 17.3: which parameters decay."""

import torch
from torch import nn

from course_lib.lesson.exercises import Exercise


class _Parts(nn.Module):
    """One of everything: `grid` and block.1 have gains of two axes, `words` is a matrix, `frozen` does not train.

    `tied` is one matrix in a head and in an embedding, as in many language models.
    """

    def __init__(self):
        super().__init__()
        self.words, self.linear, self.conv = nn.Embedding(11, 6), nn.Linear(6, 4), nn.Conv1d(4, 3, 2)
        self.grid, self.rms, self.frozen = nn.LayerNorm((3, 5)), nn.RMSNorm(4), nn.Linear(4, 2)
        self.block = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm((2, 4)))
        self.attention = nn.MultiheadAttention(4, 2)
        self.tied, self.answers = nn.Linear(4, 7, bias=False), nn.Embedding(7, 4)
        self.answers.weight = self.tied.weight
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.frozen.requires_grad_(False)


def _sorted(param_groups, model=None):
    """Names of the parameters that decay and of those that do not, duplicates included."""
    model = _Parts() if model is None else model
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    lists = {True: [], False: []}
    for group in param_groups(model, 0.1):
        lists[group["weight_decay"] > 0] += [names[id(parameter)] for parameter in group["params"]]
    return lists[True], lists[False]


def groups_hold_everything_once(param_groups):
    groups = param_groups(_Parts(), 0.1)
    rates = sorted((group.get("weight_decay", "none") for group in groups), key=str)
    assert rates == [0.0, 0.1], f"return two groups, one with weight_decay 0.1 and one with 0.0; got {rates}"
    decaying, exempt = _sorted(param_groups)
    held = decaying + exempt
    assert not [name for name in held if name.startswith("frozen")], "frozen weights (requires_grad False) do not train"
    assert len(held) == len(set(held)), "a parameter stands in two groups; torch would refuse that"
    trained = {name for name, parameter in _Parts().named_parameters() if parameter.requires_grad}
    assert set(held) == trained, f"not in any group, so never trained: {sorted(trained - set(held))}"


def groups_exempt_vectors(param_groups):
    decaying, _ = _sorted(param_groups)
    assert not {"linear.bias", "block.0.bias", "attention.in_proj_bias"} & set(decaying), (
        "linear.bias decays: a bias multiplies no input, so shrinking it restrains nothing"
    )
    assert not {"rms.weight", "scale"} & set(decaying), (
        "the gain of a norm or a learned scale decays; its name has no bias"
    )


def groups_exempt_embeddings(param_groups):
    decaying, _ = _sorted(param_groups)
    assert "words.weight" not in decaying, "words.weight decays: rows of rare tokens would shrink without being seen"
    assert "tied.weight" not in decaying, (
        "tied.weight is an embedding and the weight of a head at once: it is exempt, whichever module comes first"
    )


def groups_exempt_norms_of_two_axes(param_groups):
    decaying, _ = _sorted(param_groups)
    assert "grid.weight" not in decaying, (
        "grid.weight is the gain of a LayerNorm over two axes: ask the module, not dim()"
    )
    assert "block.1.weight" not in decaying, (
        "block.1.weight, the gain of a norm inside a Sequential, decays: model.modules() goes down, children() does not"
    )


def groups_decay_the_rest(param_groups):
    decaying, _ = _sorted(param_groups)
    due = {"linear.weight", "conv.weight", "block.0.weight", "attention.in_proj_weight", "attention.out_proj.weight"}
    assert set(decaying) == due, (
        f"the weights of linear, conv, block and attention should decay, these do: {sorted(decaying)}; matrices are "
        "what decay is for"
    )
    rates = sorted(group["weight_decay"] for group in param_groups(_Parts(), 0.02))
    assert rates == [0.0, 0.02], f"weight_decay = 0.02 was asked for, the groups have {rates}"


def _group(model, weight_decay, exempt_kinds=(nn.Embedding, nn.LayerNorm, nn.RMSNorm), decays=lambda p: p.dim() >= 2):
    exempt = {id(p) for module in model.modules() if isinstance(module, exempt_kinds) for p in module.parameters()}
    trained = [p for p in model.parameters() if p.requires_grad]
    chosen = [p for p in trained if decays(p) and id(p) not in exempt]
    rest = [p for p in trained if id(p) not in {id(p) for p in chosen}]
    return [{"params": chosen, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def _group_frozen_too(model, weight_decay):
    chosen, rest = _group(model, weight_decay)
    return [chosen, {"params": [*rest["params"], *model.frozen.parameters()], "weight_decay": 0.0}]


def _group_by_owner(model, weight_decay):
    """The first module that holds a parameter decides."""
    chosen, rest, seen = [], [], set()
    for module in model.modules():
        for p in module.parameters(recurse=False):
            if p.requires_grad and id(p) not in seen:
                exempt = p.dim() < 2 or isinstance(module, nn.Embedding | nn.LayerNorm | nn.RMSNorm)
                (rest if exempt else chosen).append(p)
                seen.add(id(p))
    return [{"params": chosen, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def _group_by_children(model, weight_decay):
    kinds = (nn.Embedding, nn.LayerNorm, nn.RMSNorm)
    exempt = {id(p) for module in model.children() if isinstance(module, kinds) for p in module.parameters()}
    return _group(model, weight_decay, (), lambda p: p.dim() >= 2 and id(p) not in exempt)


def _group_known_layers(model, weight_decay):
    """Decays the weights of a list of layers."""
    known = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear | nn.Conv1d)}
    return _group(model, weight_decay, decays=lambda p: id(p) in known)


def _group_by_name(model, weight_decay):
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    chosen = [p for name, p in trained.items() if "bias" not in name]
    rest = [p for name, p in trained.items() if "bias" in name]
    return [{"params": chosen, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def _group_twice(model, weight_decay):
    chosen, rest = _group(model, weight_decay)
    return [chosen, {"params": [*rest["params"], *chosen["params"][:1]], "weight_decay": 0.0}]


def _group_forgets(model, weight_decay):
    chosen, rest = _group(model, weight_decay)
    return [chosen, {"params": [p for p in rest["params"] if p.dim() > 0], "weight_decay": 0.0}]


def _group_by_path(model, weight_decay):
    groups = {True: [], False: []}
    embedded = {m.weight for m in model.modules() if isinstance(m, nn.Embedding)}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        owner = model.get_submodule(name.rpartition(".")[0])
        norm = "Norm" in type(owner).__name__
        groups[parameter.ndim > 1 and not norm and parameter not in embedded].append(parameter)
    return [{"params": groups[False], "weight_decay": 0.0}, {"params": groups[True], "weight_decay": weight_decay}]


def _group_by_sets(model, weight_decay):
    trained = {p: p.ndim for p in model.parameters() if p.requires_grad}
    for module in model.modules():
        if isinstance(
            module, nn.Embedding | nn.LayerNorm | nn.RMSNorm | nn.GroupNorm | nn.modules.batchnorm._BatchNorm
        ):
            trained |= dict.fromkeys((p for p in module.parameters(recurse=False) if p in trained), 0)
    return (
        {"params": [p for p, axes in trained.items() if axes >= 2], "weight_decay": weight_decay},
        {"params": [p for p, axes in trained.items() if axes < 2], "weight_decay": 0.0},
    )


param_groups = Exercise(
    id="17.3 param_groups",
    task="Write param_groups(model, weight_decay) -> two dicts with 'params' and 'weight_decay' for AdamW: weights "
    "of layers decay; biases, gains of norms, embeddings (tied ones too), anything under two axes do not; frozen ones "
    "stay out. Every parameter stands in one group, once.",
    stages=(
        groups_hold_everything_once,
        groups_exempt_vectors,
        groups_exempt_embeddings,
        groups_exempt_norms_of_two_axes,
        groups_decay_the_rest,
    ),
    reference=_group,
    mutants={
        "return two groups": lambda model, decay: _group(model, decay)[:1],
        "changed its argument `model`": lambda model, decay: _group(model.requires_grad_(True), decay),
        "do not train": _group_frozen_too,
        "stands in two groups": _group_twice,
        "never trained": _group_forgets,
        "a bias multiplies no input": lambda model, decay: _group(model, decay, decays=lambda p: True),
        "its name has no bias": _group_by_name,
        "without being seen": lambda model, decay: _group(model, decay, (nn.LayerNorm, nn.RMSNorm)),
        "ask the module": lambda model, decay: _group(model, decay, (nn.Embedding,)),
        "matrices are what decay is for": lambda model, decay: _group(model, decay, decays=lambda p: p.dim() == 2),
        "whichever module comes first": _group_by_owner,
        "model.modules() goes down": _group_by_children,
        "these do: ['attention.out_proj.weight'": lambda model, decay: _group_known_layers(model, decay),
        "weight_decay = 0.02 was asked for": lambda model, decay: _group(model, 0.1),
    },
    alternatives={
        "names and their modules": _group_by_path,
        "sets of parameters": _group_by_sets,
    },
    hints=(
        "Two questions for each parameter: how many axes has it, and which module owns it?",
        "Collect id(p) of the parameters of every nn.Embedding, nn.LayerNorm and nn.RMSNorm in model.modules().",
        "decays = p.dim() >= 2 and id(p) not in exempt; skip parameters with requires_grad False.",
    ),
    difficulty=2,
    minutes=10,
)
