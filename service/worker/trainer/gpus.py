"""Which of several GPUs a trainer process computes on."""

import sys


def device_for(device: str, number: int) -> str:
    """`device`, but for "auto" the GPU for the worker with this number, where there are several.

    They are counted by torch if the objective has imported it: an objective without torch uses none.
    """
    if device != "auto" or "torch" not in sys.modules:
        return device
    import torch

    return gpu_for(number, torch.cuda.device_count()) or device


def gpu_for(number: int, gpus: int) -> str | None:
    """The GPU for the worker with this number, in turn; None where there is no choice."""
    return f"cuda:{number % gpus}" if gpus > 1 else None
