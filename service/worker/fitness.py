"""Whether this process can train an objective at all, so that no trial fails for a fault of its worker.

The objective's module must import, the device must work, the data folders must exist, and the disk must be writable. While one
of these checks fails, no exception fails a trial.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from objectives.data import files
from objectives.own_modules import CatalogProblem
from service.worker.trainer.gpus import device_for

SAMPLE_BYTES = 65_536


def find_problem(
    objective: str, import_start: Callable[[], object], device: str, folder: str | None, number: int = 0
) -> str | None:
    """Why the objective of this name cannot be trained here; None when it can.

    import_start: loads what trains it. folder: where checkpoints go, if not to the database. number: of the worker, which decides
    on its GPU.
    """
    try:
        import_start()
    except CatalogProblem as error:
        return str(error)
    except Exception as error:
        return f"{objective} cannot be imported: {type(error).__name__}: {error}"
    device = device_for(device, number)
    if "torch" in sys.modules:
        try:
            _try_device(device)
        except Exception as error:
            return f"device {device} does not work: {type(error).__name__}: {error}"
    problem = files.find_problem(files.allowed() or ())
    if problem is not None:
        return problem
    for place in filter(None, (folder, tempfile.gettempdir())):
        try:
            Path(place).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=place) as file:
                file.write(bytes(SAMPLE_BYTES))
                file.flush()
        except OSError as error:
            return f"folder {place} cannot be written: {error.strerror or error}"
    return None


def _try_device(device: str) -> None:
    import torch

    from objectives.training.devices import find_device

    place = find_device(device)
    ones = torch.ones(8, device=place)
    if ones.sum().item() != 8:
        raise RuntimeError("the sum of eight ones is wrong")
