"""Case 10, train, and measure on the way."""

from types import SimpleNamespace as Program

import torch
from torch import nn

from course_lib.clinic.case import Case


def dropout_stays(program: Program) -> None:
    """The network itself is not the problem."""
    kinds = [type(layer) for layer in program.build()]
    assert nn.Dropout in kinds and nn.BatchNorm1d in kinds, (
        "the network lost its dropout or its norm; they do their work in training"
    )


def measures_the_model(program: Program) -> None:
    """The truth by hand, in evaluation mode."""
    model, data = program.build(), program.make_data(200, seed=4)
    model.train()
    for seed in range(20):
        model(program.make_data(64, seed=seed)[0])  # so that the running averages mean something
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(11)
    got = program.evaluate(model, *data)
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    model.eval()
    truth = (model(data[0]).argmax(dim=1) == data[1]).float().mean().item()
    assert not changed, "evaluating changes the running averages of the batch norm: validation data leak into the model"
    assert abs(got - truth) < 1e-6, "dropout is still on while it measures"


def training_goes_on(program: Program) -> None:
    """Every step of training in training mode; a finished model stays finished."""
    model, modes = program.build(), []
    model.register_forward_pre_hook(lambda model, given: modes.append((len(given[0]), model.training)))
    program.train(model, 30)
    assert all(training for size, training in modes if size == 64), (
        "the model does not come back to training mode: after the first evaluation it trains without dropout"
    )
    model.eval()
    program.evaluate(model, *program.make_data(50, seed=4))
    assert not model.training, (
        "a finished model comes back in another mode than it came: after an evaluation it drops out again"
    )


_BODY = "    return (model(x).argmax(dim=1) == labels).float().mean().item()"

CASE = Case(
    number="10",
    title="train, and measure on the way",
    complaint="I measure the same model on the same data three times and get three numbers.",
    stages=(dropout_stays, measures_the_model, training_goes_on),
    original="evaluating changes the running averages",
    repair=(
        (
            _BODY,
            "    training = model.training\n    model.eval()\n    with torch.no_grad():\n"
            "        share = (model(x).argmax(dim=1) == labels).float().mean().item()\n"
            "    model.train(training)\n    return share",
        ),
    ),
    wrong={
        "it trains without dropout": ((_BODY, "    model.eval()\n" + _BODY),),
        "a finished model comes back in another mode": (
            (
                _BODY,
                "    model.eval()\n" + _BODY.replace("return", "share =") + "\n    model.train()\n    return share",
            ),
        ),
        "validation data leak into the model": ((_BODY, "    torch.manual_seed(0)\n" + _BODY),),
        "lost its dropout": ((" nn.Dropout(0.5),", ""),),
        "dropout is still on": (
            (
                _BODY,
                "    model[1].eval()\n    share = (model(x).argmax(dim=1) == labels).float().mean().item()\n"
                "    model[1].train()\n    return share",
            ),
        ),
        "a `try` around the failure": (
            (_BODY, "    try:\n    " + _BODY + "\n    except ValueError:\n        return 0.5"),
        ),
    },
    hints=(
        "Which layers do something else in training than in use?",
        "eval() before, and afterwards the mode it had before. no_grad saves memory; it does not turn dropout off.",
        "training = model.training; model.eval(); measure under torch.no_grad(); model.train(training).",
    ),
    defect="evaluation in training mode: dropout on, batch norm fed with validation data. And coming back matters as "
    "much: eval() without the way back trains the rest of the run without dropout. A fixed seed only makes the wrong "
    "number repeatable",
    met=("PyTorch, Module.eval <https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html>", "X239"),
    difficulty=1,
    minutes=6,
)
