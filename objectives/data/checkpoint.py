"""Reads the weights in a local checkpoint: a state_dict that torch.save has written, or safetensors. No code in a file is run."""

import re
import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from objectives.contract import DataProblem
from objectives.data.files import KEPT, DataFile, data_file, find, unreadable

NESTED = ("state_dict", "model_state_dict", "model")
"""Under these names training loops save the weights beside the optimizer's state and the like."""
WRAPPED = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before all names."""
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""Types of numbers that are read. Those of 8 bits are multiples of a scale, which is somewhere else."""
OBJECT = re.compile(r"GLOBAL ([\w.]+)")
"""What torch.load says of an object that is not made of weights."""
SAVE = "save the weights alone, by torch.save(model.state_dict(), path) or as safetensors."


def checkpoint(name: str | None) -> tuple[str, Mapping[str, Tensor]]:
    """The file that a setting names, and the weights in it, by name. Raises DataProblem when they cannot be read."""
    if name is None:
        raise DataProblem("checkpoint is not set: it must name the file that holds the weights.")
    file = data_file(find(name))
    return str(file.path), _weights(file)


@lru_cache(maxsize=KEPT)
def _weights(file: DataFile) -> Mapping[str, Tensor]:
    content = _content(file)
    for key in NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not content:
        raise DataProblem(f"{file.path} holds no weights: {SAVE}")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise DataProblem(f"{file.path} is no state_dict, since {name!r} is of the type {type(value).__name__}: {SAVE}")
        if value.layout is not torch.strided or value.is_quantized or value.is_complex() or value.device.type != "cpu":
            raise DataProblem(f"{file.path} holds {name} in a form that is not read: dense tensors of real numbers are needed.")
        if not value.is_floating_point():
            continue
        if value.dtype not in FLOATS:
            raise DataProblem(f"{file.path} holds {name} as {type_name(value)}: save it as float32.")
        if not value.isfinite().all():
            raise DataProblem(f"{file.path} holds values that are not finite in {name}: its training has diverged.")
        if not value.float().isfinite().all():
            raise DataProblem(f"{file.path} holds values in {name} that are above the largest 32-bit float.")
    for prefix in WRAPPED:
        if all(name.startswith(prefix) for name in content):
            content = {name.removeprefix(prefix): value for name, value in content.items()}
    weights: Mapping[str, Tensor] = content
    return weights


def type_name(values: Tensor) -> str:
    """Of the numbers in a tensor, such as float32."""
    return str(values.dtype).removeprefix("torch.")


def _content(file: DataFile) -> Any:
    """What is in a file, on the CPU, from whatever device it was saved."""
    with file.path.open("rb") as opened:
        beginning = opened.read(9)
    if not beginning:
        raise DataProblem(f"{file.path} is empty.")
    if file.path.suffix == ".safetensors" or beginning[8:] == b"{":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(file.path)
        except SafetensorError as error:
            raise unreadable(file.path, "safetensors", error) from error
    if not beginning.startswith((b"PK", b"\x80")):
        raise DataProblem(f"{file.path} is no checkpoint: it is neither written by torch.save nor safetensors.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(file.path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load may raise anything for a damaged file
        raise _refused(file, str(error)) from error


def _refused(file: DataFile, text: str) -> DataProblem:
    """torch's own texts advise to load the file all the same."""
    if (found := OBJECT.search(text)) is not None:
        return DataProblem(f"{file.path} is refused: it holds {found[1]}, whose loading could run code. Instead, {SAVE}")
    if "TorchScript" in text:
        return DataProblem(f"{file.path} is refused: it is a TorchScript archive, which is code. Instead, {SAVE}")
    if "Unsupported operand" in text or "Invalid magic number" in text:
        return DataProblem(f"{file.path} is a pickle that torch.save has not written: {SAVE}")
    return DataProblem(f"{file.path} cannot be read as a checkpoint: it is truncated or damaged.")
