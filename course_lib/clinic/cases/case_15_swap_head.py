"""Case 15, a new head on a frozen body."""

from types import SimpleNamespace as Program

import torch
from torch import nn

from course_lib.clinic.case import Case


def trains_the_new_head_only(program: Program) -> None:
    """One step on the new task."""
    torch.manual_seed(3)
    model = program.Network(classes=5)
    body = [p.clone() for p in model.body.parameters()]
    optimizer = program.prepare(model, 3, 0.1)
    x, labels = program.make_data(32, seed=1)
    scores = model(x)
    assert scores.shape == (32, 3), "the new task has other classes: it needs a new head"
    head = [p.clone() for p in model.head.parameters()]
    optimizer.zero_grad()
    nn.functional.cross_entropy(scores, labels).backward()
    optimizer.step()
    moved = [not torch.equal(p, old) for p, old in zip(model.head.parameters(), head, strict=True)]
    assert any(moved), "the new head does not move: whose weights did the optimiser get, and when?"
    assert all(moved), "the head moves in part only: its weight and its bias both belong to it"
    assert all(torch.equal(p, old) for p, old in zip(model.body.parameters(), body, strict=True)), (
        "the body moves too: it was to stay frozen"
    )
    assert not any(p.requires_grad for p in model.body.parameters()), (
        "the body stays where it is and is not frozen: its gradients are computed and kept, for nobody"
    )
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert held <= {id(p) for p in model.parameters()}, (
        "the optimiser holds tensors that the model does not have any more"
    )


def learns_at_the_given_rate(program: Program) -> None:
    """0.1, then 0.003."""
    for rate in (0.1, 0.003):
        optimizer = program.prepare(program.Network(), 4, rate)
        rates = {group["lr"] for group in optimizer.param_groups}
        assert rates == {rate}, f"a learning rate of {rate} was asked for, the optimiser has {sorted(rates)}"


_OPT = "    optimizer = torch.optim.AdamW(model.head.parameters(), lr=learning_rate)\n"
_NEW = "    model.head = nn.Linear(model.head.in_features, classes)\n"

CASE = Case(
    number="15",
    title="a new head on a frozen body",
    complaint="75 trainable parameters, gradients look fine, and the loss does not move.",
    stages=(trains_the_new_head_only, learns_at_the_given_rate),
    original="the new head does not move",
    repair=((_OPT + _NEW, _NEW + _OPT),),
    wrong={
        "the body moves too": (
            ("    model.body.requires_grad_(False)\n", ""),
            (_OPT + _NEW, _NEW + _OPT.replace("model.head.parameters()", "model.parameters()")),
        ),
        "it needs a new head": ((_NEW, ""),),
        "moves in part only": ((_OPT + _NEW, _NEW + _OPT.replace("model.head.parameters()", "[model.head.weight]")),),
        "that the model does not have any more": (
            (
                _OPT + _NEW,
                "    old = list(model.head.parameters())\n"
                + _NEW
                + _OPT.replace("model.head.parameters()", "[*model.head.parameters(), *old]"),
            ),
        ),
        "for nobody": (("    model.body.requires_grad_(False)\n", ""), (_OPT + _NEW, _NEW + _OPT)),
        "a learning rate of": ((_OPT + _NEW, _NEW + _OPT.replace("lr=learning_rate", "lr=1e-3")),),
        "a `try` around the failure": (
            (_NEW, f"    try:\n    {_NEW}    except AttributeError:\n        return optimizer\n"),
        ),
    },
    hints=(
        "Which tensors does the optimiser hold? Compare their ids with those of the model.",
        "An optimiser keeps the tensors it was given. Replacing a layer afterwards does not tell it.",
        "First the new head, then the optimiser.",
    ),
    defect="the optimiser was built before the head was replaced and updated a layer that nobody uses. Build it "
    "last, and test that the right weights move and no others",
    met=("PyTorch, torch.optim: constructing an optimizer <https://docs.pytorch.org/docs/stable/optim.html>",),
    difficulty=1,
    minutes=5,
)
