"""The precision that outputs are computed in."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


def in_precision(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """The context that outputs are computed in: float32, or mixed precision with bfloat16."""
    return nullcontext() if precision == "float32" else torch.autocast(device.type, torch.bfloat16)
