"""Case 11, a gated image branch on a language model."""

import math
from types import SimpleNamespace as Program

import torch

from course_lib.clinic.case import Case


def starts_as_it_was(program: Program) -> None:
    """Before training the image adds exactly nothing."""
    branch = program.ImageBranch(5, 7)
    added = branch(torch.randn(3, 5))
    assert added.shape == (3, 7), "the branch gives one vector of the words' width an image"
    assert torch.equal(added, torch.zeros(3, 7)), (
        "the branch adds something before training: the language model should start exactly as it was"
    )


def learns_to_look(program: Program) -> None:
    """Thirty steps of the optimiser that `run` takes: the branch comes alive, however quietly it starts."""
    branch = program.ImageBranch(5, 7)
    image, wanted = torch.randn(16, 5), torch.randn(16, 7)
    optimizer = torch.optim.AdamW(branch.parameters(), lr=0.02)
    for _ in range(30):
        optimizer.zero_grad()
        (branch(image) - wanted).pow(2).mean().backward()
        optimizer.step()
    added = branch(image)
    assert not torch.equal(added, torch.zeros_like(added)), (
        "after thirty steps the branch still adds nothing: gate and projection are both 0, and each one's gradient is "
        "a multiple of the other"
    )
    spread = (added - added.mean(dim=0)).abs().max()
    assert spread > 1e-3, "the branch adds the same for every image: it learnt a constant, not to look"


def keeps_the_gate(program: Program) -> None:
    """tanh(gate) scales the whole."""
    branch = program.ImageBranch(5, 7)
    assert isinstance(getattr(branch, "gate", None), torch.nn.Parameter), (
        "the gate must stay a parameter that is trained"
    )
    image = torch.randn(4, 5)
    with torch.no_grad():
        for parameter in branch.parameters():
            parameter.normal_()
        branch.gate.fill_(1.0)
        one = branch(image)
        branch.gate.fill_(-0.3)
        assert torch.allclose(branch(image), one * math.tanh(-0.3) / math.tanh(1.0), atol=1e-5), (
            "the gate does not scale all that the image adds: something goes past it"
        )


_ZEROS = "        nn.init.zeros_(self.project.weight)\n        nn.init.zeros_(self.project.bias)\n"
_GATED = "return torch.tanh(self.gate) * self.project(image)"

CASE = Case(
    number="11",
    title="a gated image branch on a language model",
    complaint="Training looks normal. With shuffled images the model is exactly as good.",
    stages=(starts_as_it_was, learns_to_look, keeps_the_gate),
    original="each one's gradient is a multiple of the other",
    repair=((_ZEROS, ""),),
    wrong={
        "should start exactly as it was": ((_ZEROS, ""), ("torch.zeros(1)", "torch.ones(1)")),
        "it learnt a constant": (
            (
                _ZEROS,
                "        nn.init.zeros_(self.project.weight)\n        self.project.weight.requires_grad_(False)\n",
            ),
        ),
        "something goes past it": (
            (
                _ZEROS,
                (
                    "        nn.init.zeros_(self.project.weight)\n        nn.init.zeros_(self.project.bias)\n"
                    "        self.extra = nn.Linear(image_width, width, bias=False)\n"
                    "        nn.init.zeros_(self.extra.weight)\n"
                ),
            ),
            (_GATED, "return torch.tanh(self.gate) * self.project(image) + self.extra(image)"),
        ),
        "must stay a parameter": ((_ZEROS, _ZEROS), ("nn.Parameter(torch.zeros(1))", "torch.ones(1)")),
        "NaN painted over": ((_GATED, "return torch.nan_to_num(torch.tanh(self.gate)) * self.project(image)"),),
    },
    hints=(
        "Print the gradient of the gate and of the projection after one backward pass.",
        "d(g * p)/dg = p and d(g * p)/dp = g. Both are 0 at the start, and stay so.",
        "One zero is enough for a start that adds nothing. Leave the projection with its usual random weights.",
    ),
    defect="two zeros in one product: the image branch had no gradient and never would. One zero makes a quiet "
    "start, as in a gate or in LoRA's B; two make a dead branch. Compare with shuffled images before you believe "
    "that a model sees",
    met=(
        "Flamingo, gated cross-attention <https://arxiv.org/abs/2204.14198>",
        "LFS-GAN #2, two factors of zeros <https://github.com/KU-VGI/LFS-GAN/issues/2>",
    ),
    difficulty=2,
    minutes=8,
)
