"""Case 08, load a checkpoint of a training run."""

from types import SimpleNamespace as Program

import torch

from course_lib.clinic.case import Case


def loads_every_weight(program: Program) -> None:
    """Bit for bit."""
    torch.manual_seed(1)
    trained = program.build()
    checkpoint = program.save(trained)
    assert "module.encoder.module.weight" in checkpoint, "`save` is how the training run names its weights; leave it"
    torch.manual_seed(2)
    loaded = program.load(program.build(), checkpoint)
    wrong = [name for name, value in loaded.state_dict().items() if not torch.equal(value, trained.state_dict()[name])]
    assert len(wrong) < 6, "nothing was loaded: all six tensors are still random, and no one was told"
    assert not wrong, f"not loaded: {', '.join(wrong)}"


def refuses_what_does_not_fit(program: Program) -> None:
    """A tensor too few, a tensor too many: each is an error."""
    for change, what in ((lambda c: c.pop("module.head.bias"), "lacks"), (_one_more, "has besides")):
        checkpoint = program.save(program.build())
        change(checkpoint)
        refused = False
        try:
            program.load(program.build(), checkpoint)
        except Exception:
            refused = True
        assert refused, (
            f"a checkpoint that {what} a tensor is loaded without a word; a load that does not fit must fail"
        )


def _one_more(checkpoint: dict) -> None:
    checkpoint["module.encoder.third.weight"] = torch.zeros(2)


_LOAD = "    model.load_state_dict(checkpoint, strict=False)"

CASE = Case(
    number="08",
    title="load a checkpoint of a training run",
    complaint="The checkpoint loads without errors. The model answers like a new one.",
    stages=(loads_every_weight, refuses_what_does_not_fit),
    original="nothing was loaded",
    repair=(
        (
            _LOAD,
            "    model.load_state_dict({name.removeprefix('module.'): value for name, value in checkpoint.items()})",
        ),
    ),
    wrong={
        "your program raised RuntimeError": ((_LOAD, "    model.load_state_dict(checkpoint)"),),
        "encoder.module.weight": (
            (
                _LOAD,
                "    names = {name.replace('module.', ''): value for name, value in checkpoint.items()}\n"
                "    model.load_state_dict(model.state_dict() | {k: v for k, v in names.items() if k in "
                "model.state_dict()})",
            ),
        ),
        "a checkpoint that lacks a tensor": (
            (
                _LOAD,
                "    names = {name.removeprefix('module.'): value for name, value in checkpoint.items()}\n"
                "    model.load_state_dict(model.state_dict() | names)",
            ),
        ),
        "`load` changed its argument `checkpoint`": (
            (
                _LOAD,
                "    nn.modules.utils.consume_prefix_in_state_dict_if_present(checkpoint, 'module.')\n"
                "    model.load_state_dict(checkpoint)",
            ),
        ),
        "nothing was loaded": (
            (
                _LOAD,
                "    known = model.state_dict()\n"
                "    known.update({name: value for name, value in checkpoint.items() if name in known})\n"
                "    model.load_state_dict(known)",
            ),
        ),
        "a `try` around the failure": (
            (_LOAD, "    try:\n        model.load_state_dict(checkpoint)\n    except RuntimeError:\n        pass"),
        ),
    },
    hints=(
        "load_state_dict returns what was missing and what was unexpected. Print it.",
        (
            "Every name in the checkpoint starts with `module.`, put there by the wrapper. Only the start of a name "
            "is the wrapper's."
        ),
        "name.removeprefix('module.'), and load strictly.",
    ),
    defect="strict=False with a prefix on every name: not one tensor fitted and none was loaded. Load strictly; "
    "filter names only with a list of what may be missing. A first loss of ln V after loading says that nothing was "
    "loaded",
    met=("minimind-v #75 <https://github.com/jingyaogong/minimind-v/issues/75>",),
    difficulty=2,
    minutes=7,
)
