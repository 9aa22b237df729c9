"""The generators that code draws random numbers from without naming one: Python's, NumPy's and torch's, if they are loaded."""

import random
import sys
from typing import Any


def seed(value: int) -> None:
    """Seed them all. NumPy's takes 32 bits: the lowest."""
    random.seed(value)
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None:
        numpy.random.seed(value % 2**32)
    if torch is not None:
        torch.manual_seed(value)


def state() -> dict[str, Any]:
    """Their states, in a form that `stride.states` stores."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    found: dict[str, Any] = {"random": random.getstate()}
    if numpy is not None:
        found["numpy"] = numpy.random.get_state()
    if torch is not None:
        found["torch"] = torch.get_rng_state()
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            found["cuda"] = torch.cuda.get_rng_state_all()
    return found


def restore(found: dict[str, Any]) -> None:
    """Have them go on from these states. A machine with another number of GPUs keeps the states of those."""
    random.setstate(found["random"])
    if "numpy" in found:
        import numpy

        numpy.random.set_state(found["numpy"])
    if "torch" in found:
        import torch

        torch.set_rng_state(found["torch"])
        if len(found.get("cuda", ())) == torch.cuda.device_count() > 0:
            torch.cuda.set_rng_state_all(found["cuda"])
