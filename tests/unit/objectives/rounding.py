"""Tolerances for what two kernels worked out, in units of what is compared.

Instruction sets and numbers of threads add up the same numbers in other orders. Where both sides can be made by one kernel they
are compared bit for bit instead.
"""

import torch
from torch import Tensor

EPS = torch.finfo(torch.float32).eps
"""A number of 32 bits is off by at most half of that part of it."""


def roundings(n: int, of: Tensor | float) -> dict[str, float]:
    """As arguments of `assert_close`: `n` roundings of numbers as large as the largest of `of`."""
    return {"rtol": 0.0, "atol": n * EPS * float(torch.as_tensor(of).detach().abs().max())}
