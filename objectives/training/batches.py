"""A batch of examples: inputs and targets, each a tensor, or tuples, lists and dictionaries of tensors."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from objectives.training.problems import untrainable

TARGETS = ("targets", "target", "labels", "label", "y")
"""The names under which a dictionary holds its targets: the first that is there."""


class Batch(NamedTuple):
    inputs: Any
    targets: Any

    @property
    def n_examples(self) -> int:
        """The first dimension of the last tensor that has one: that of the targets. 0 if there is none."""
        return next((len(each) for each in reversed(list(tensors_in(self))) if each.dim()), 0)


def mapped(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """The same structure with each tensor changed; what is neither a tensor nor holds any stays as it is."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        # A copy, so that the class stays, such as an output of Hugging Face.
        changed: Any = copy.copy(value)
        for name in value:
            changed[name] = mapped(change, value[name])
        return changed
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(change, each) for each in value))
    if isinstance(value, tuple | list):
        return type(value)(mapped(change, each) for each in value)
    return value


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors of a structure, in its order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from tensors_in(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from tensors_in(each)


def moved(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device; floats of 64 bits, which NumPy has by default, or of 16 become the 32-bit ones of the weights."""

    def move(values: Tensor) -> Tensor:
        dtype = torch.float32 if values.is_floating_point() else values.dtype
        return values.to(device, dtype, non_blocking=True)

    return Batch(mapped(move, batch.inputs), mapped(move, batch.targets))


def pieces(batch: Batch, n: int) -> list[Batch]:
    """The batch in n parts, each tensor split along its first dimension; tensors of another length are in every part.

    As tensor_split has them: the first parts have an example more.
    """
    length = batch.n_examples
    size, larger = divmod(length, n)
    ends = [part * size + min(part, larger) for part in range(n + 1)]

    def piece(first: int, last: int) -> Batch:
        def cut(values: Tensor) -> Tensor:
            return values[first:last] if values.dim() and len(values) == length else values

        return Batch(mapped(cut, batch.inputs), mapped(cut, batch.targets))

    return [piece(first, last) for first, last in pairwise(ends) if last > first]


def as_batch(value: Any, where: str) -> Batch:
    """What a DataLoader has given as inputs and targets: (inputs, targets), (input, input, ..., targets), or a dictionary.

    where: what it is called in the message. Raises DataProblem.
    """
    if isinstance(value, Mapping):
        name = next((name for name in TARGETS if name in value), None)
        inputs = {key: each for key, each in value.items() if key != name}
        if name is None or not inputs:
            raise untrainable(
                f"{where} is a dictionary with {_listed(value)}: it must hold inputs, and the targets under one of"
                f" {', '.join(TARGETS)}.",
            )
        return Batch(inputs, value[name])
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and len(value) > 1:
        *inputs_first, targets = value
        return Batch(inputs_first[0] if len(inputs_first) == 1 else tuple(inputs_first), targets)
    raise untrainable(
        f"{where} is {described(value)}: it must be (inputs, targets), (input, input, ..., targets), or a dictionary with the"
        f" targets under one of {', '.join(TARGETS)}.",
    )


def concatenated(values: Sequence[Any], sizes: Sequence[int]) -> Any:
    """Structures of batches as one of all their examples; None where they cannot be concatenated.

    They can where they are of one structure, in which every tensor has an example's values in each row, of the same shape in all
    batches. sizes: the number of examples of each.
    """
    first = values[0]
    if isinstance(first, Tensor):
        alike = all(
            isinstance(each, Tensor) and each.dim() and len(each) == size and each.shape[1:] == first.shape[1:]
            for each, size in zip(values, sizes, strict=True)
        )
        return torch.cat(list(values)) if alike else None
    if isinstance(first, Mapping):
        if not all(isinstance(each, Mapping) and each.keys() == first.keys() for each in values):
            return None
        parts = {name: concatenated([each[name] for each in values], sizes) for name in first}
        if any(part is None for part in parts.values()):
            return None
        joined: Any = copy.copy(first)
        for name, part in parts.items():
            joined[name] = part
        return joined
    if isinstance(first, tuple | list):
        if not all(type(each) is type(first) and len(each) == len(first) for each in values):
            return None
        items = [concatenated(each, sizes) for each in zip(*values, strict=True)]
        if any(item is None for item in items):
            return None
        return type(first)(*items) if hasattr(first, "_fields") else type(first)(items)
    return None


def described(value: Any) -> str:
    """What a value is, in words: the type, and of tensors the shape."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, Mapping):
        return f"a dictionary with {_listed(value)}"
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _listed(names: Mapping[Any, Any]) -> str:
    return ", ".join(map(str, list(names)[:10])) or "no keys"
