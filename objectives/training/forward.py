"""How inputs are passed to a model, and what it returns."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from objectives.training.batches import mapped
from objectives.training.precision import in_precision


class Forward:
    """A model, called with inputs of any structure.

    A dictionary is passed by keyword where the signature of the model's forward binds it so, a tuple as positional arguments;
    else each is one argument. Outputs of lower precision are returned as float32.
    """

    def __init__(self, model: nn.Module, precision: str, device: torch.device) -> None:
        self._model = model
        self._precision = precision
        self._device = device
        self._is_unpacked: bool | None = None

    def __call__(self, inputs: Any) -> Any:
        with in_precision(self._precision, self._device):
            outputs = self._outputs(inputs)
        if isinstance(outputs, Tensor):
            return outputs.float()
        return outputs if self._precision == "float32" else mapped(_as_float32, outputs)

    def _outputs(self, inputs: Any) -> Any:
        if isinstance(inputs, Tensor):
            return self._model(inputs)
        if self._is_unpacked is None:
            self._is_unpacked = _binds(self._model, inputs)
        if not self._is_unpacked:
            return self._model(inputs)
        return self._model(**inputs) if isinstance(inputs, Mapping) else self._model(*inputs)


def _binds(model: nn.Module, inputs: Any) -> bool:
    signature = inspect.signature(model.forward)
    try:
        if isinstance(inputs, Mapping):
            signature.bind(**inputs)
        elif isinstance(inputs, tuple | list):
            signature.bind(*inputs)
        else:
            return False
    except TypeError:
        return False
    return True


def _as_float32(values: Tensor) -> Tensor:
    return values.float() if values.is_floating_point() else values
