"""The device that a run computes on."""

import torch

from objectives.contract import DataProblem


def find_device(name: str) -> torch.device:
    """The device called `name`; "auto" is the first GPU if there is one, else the CPU. Raises DataProblem for others."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DataProblem(f"device is {name!r}, which torch does not know.") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DataProblem(f"device is {name!r}, but torch finds {torch.cuda.device_count()} CUDA devices here.")
    return device
