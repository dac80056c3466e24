"""Case 12, a norm layer in fp16."""

from types import SimpleNamespace as Program

import torch
from torch import Tensor, nn

from course_lib.clinic.case import Case


def right_at_every_size(program: Program) -> None:
    """Against double precision."""
    norm = program.RMSNorm(48)
    unit = torch.randn(5, 48, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for size in (1.0, 300.0, 10000.0, 0.001):
        x = (unit * size).half()
        y = norm(x)
        assert y.dtype == torch.float16, "the output has another dtype than the input: the next layer expects fp16"
        off = _off(norm, x, y)
        assert y.abs().max() > 0 or size < 1, (
            f"activations of size {size:g} come out as 0: their square is above 65,504, the largest number of fp16"
        )
        assert size > 0.1 or off < 0.01, (
            f"activations of size {size:g} come out wrong by {off:.2g}: eps counts there; is it still under the root, "
            "beside the mean square of x itself?"
        )
        assert off < 0.01, (
            f"activations of size {size:g} come out wrong by {off:.2g}: does the root of the mean square "
            "of x itself divide them, nothing cut off, and is that mean taken in float32?"
        )


def serves_every_dtype(program: Program) -> None:
    """float32 and bfloat16 keep their dtype and their digits."""
    norm = program.RMSNorm(48)
    unit = torch.randn(5, 48, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for kind, exact in ((torch.float32, 1e-5), (torch.bfloat16, 0.04)):
        for size in (1.0, 300.0, 1e5):
            x = (unit * size).to(kind)
            y = norm(x)
            assert y.dtype == kind, (
                f"{kind} comes out as {y.dtype}: input and output have the same dtype, whichever it is"
            )
            off = _off(norm, x, y)
            assert off < exact, (
                f"in {kind} activations of size {size:g} come out wrong by {off:.2g}: through fp16, perhaps?"
            )


def keeps_the_scale(program: Program) -> None:
    """The learnt scale multiplies every output."""
    norm, x = program.RMSNorm(48), torch.randn(5, 48, generator=torch.Generator().manual_seed(0)).half()
    plain = norm(x).double()
    with torch.no_grad():
        norm.scale.copy_(torch.linspace(-2, 2, 48))
    off = (norm(x).double() - plain * norm.scale.double()).abs().max().item()
    assert off < 0.02, f"with another learnt scale the output is off by {off:.2g}: the scale multiplies it at the end"


def _off(norm: nn.Module, x: Tensor, y: Tensor) -> float:
    truth = x.double() / (x.double().pow(2).mean(dim=-1, keepdim=True) + norm.eps).sqrt()
    return (y.double() - truth).abs().max().item()


_SIZE = "size = torch.sqrt(x.pow(2).mean(dim=-1, keepdim=True) + self.eps)"
_OUT = "return x / size * self.scale.to(x.dtype)"

CASE = Case(
    number="12",
    title="a norm layer in fp16",
    complaint="No NaN, no error. From step 3,000 on the layer gives 0, and the loss stands still.",
    stages=(right_at_every_size, serves_every_dtype, keeps_the_scale),
    original="come out as 0",
    repair=(
        (_SIZE, "size = torch.sqrt(x.float().pow(2).mean(dim=-1, keepdim=True) + self.eps)"),
        (_OUT, "return (x.float() / size).to(x.dtype) * self.scale.to(x.dtype)"),
    ),
    wrong={
        "comes out as torch.float16": (
            (_SIZE, "size = torch.sqrt(x.float().pow(2).mean(dim=-1, keepdim=True) + self.eps)"),
            (_OUT, "return (x.float() / size * self.scale).half()"),
        ),
        "through fp16, perhaps?": (
            (_SIZE, "size = torch.sqrt(x.float().pow(2).mean(dim=-1, keepdim=True) + self.eps)"),
            (_OUT, "return (x.float() / size * self.scale).half().to(x.dtype)"),
        ),
        "the scale multiplies it": (
            (_SIZE, "size = torch.sqrt(x.float().pow(2).mean(dim=-1, keepdim=True) + self.eps)"),
            (_OUT, "return (x.float() / size).to(x.dtype)"),
        ),
        "another dtype than the input": ((_SIZE, "x = x.float()\n        " + _SIZE),),
        "of size 300 come out wrong": ((_SIZE, _SIZE.replace("x.pow(2)", "x.clamp(-200, 200).pow(2)")),),
        "of size 0.001 come out wrong": ((_SIZE, "x = x / x.abs().amax(dim=-1, keepdim=True)\n        " + _SIZE),),
        "NaN painted over": (
            (_SIZE, _SIZE.replace("torch.sqrt(", "torch.nan_to_num(").replace("+ self.eps)", "+ self.eps).sqrt()")),
        ),
        "come out as 0": ((_SIZE, _SIZE.replace("self.eps", "max(self.eps, 1e-3)")),),
    },
    hints=(
        "What is the square of 300, and what is the largest number of fp16?",
        "x / inf is 0, so nothing turns into NaN. Where does the inf arise?",
        "x.float().pow(2)..., divide in float32, and go back to x.dtype at the end.",
    ),
    defect="300 squared is 90,000, above 65,504: the mean square was inf and x / inf is 0. Norms, softmax and losses "
    "are computed in fp32 even when the model is not; clamping or a larger epsilon only moves the failure",
    met=(
        "PyTorch #133085, nn.RMSNorm of Llama in fp16 <https://github.com/pytorch/pytorch/pull/133085>",
        "Mixed precision training <https://arxiv.org/abs/1710.03740>",
    ),
    difficulty=2,
    minutes=8,
)
