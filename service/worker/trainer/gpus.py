"""Which device a trainer process computes on."""

import sys
from importlib.util import find_spec
from pathlib import Path

DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"), Path("/dev/kfd"))
"""One of them is there on a machine with GPUs that torch calls cuda: NVIDIA, on Windows' Linux too, and AMD."""


def device_for(device: str, number: int) -> str:
    """`device`, a name that torch knows; for "auto" the GPU for the worker with this number, or the CPU.

    Torch counts the GPUs. Where no driver is, it is not imported for that: not every objective needs it.
    """
    if device != "auto":
        return device
    if "torch" not in sys.modules and (find_spec("torch") is None or not any(driver.exists() for driver in DRIVERS)):
        return "cpu"
    import torch

    return gpu_for(number, torch.cuda.device_count())


def gpu_for(number: int, gpus: int) -> str:
    """The GPU for the worker with this number, in turn; the CPU where there is none."""
    return f"cuda:{number % gpus}" if gpus else "cpu"
