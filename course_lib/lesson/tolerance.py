"""When two results are the same: one rule for every exercise.

A right answer may sum in another order, work in float32 where float64 came in, or the other way round. So the rule
asks for as many digits as the coarser of the two types keeps, and it is never tightened for one exercise: a stage that
has to tell two formulas apart takes numbers for which they differ by more.
"""

from typing import Any

import torch

TOLERANCE = {torch.float64: 1e-5, torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
"""|got - due| <= tolerance * (1 + |due|), entry by entry. About a hundred roundings in float32, four in the halves."""


def close(got: Any, due: Any) -> bool:
    """Whether two numbers, tensors or lists of them have one shape and the same entries; whole numbers exactly."""
    got, due = _tensor(got), _tensor(due)
    if got.shape != due.shape:
        return False
    kinds = [each.dtype for each in (got, due) if each.is_floating_point()]
    if not kinds:
        return torch.equal(got.long(), due.long())
    tolerance = max(TOLERANCE[kind] for kind in kinds)
    return torch.allclose(got.double(), due.double(), rtol=tolerance, atol=tolerance)


def _tensor(value: Any) -> torch.Tensor:
    found = torch.as_tensor(value).detach()
    if isinstance(value, torch.Tensor) or not found.is_floating_point():
        return found
    return torch.as_tensor(value, dtype=torch.float64)  # Python's own numbers have that many digits
