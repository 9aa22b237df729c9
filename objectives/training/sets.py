"""The three sets of a run, from what a function `data` returns."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from objectives.data.examples import Examples, Sets
from objectives.training.batches import described, tensors_in
from objectives.training.problems import untrainable
from objectives.training.randomness import Generator, generators_in, state_of
from objectives.training.sources import InMemory, Loaded, Source, has_own_batches

NAMES = ("training", "validation", "test")
FORMS = "(inputs, targets) of tensors or NumPy arrays, a torch DataLoader, or a Dataset with __getitem__ and __len__"


@dataclass(frozen=True, kw_only=True, eq=False)
class ThreeSets:
    training: Source
    validation: Source
    test: Source
    generators: tuple[Generator, ...] = ()
    """Those that DataLoaders and Datasets hold."""
    states: tuple[Any, ...] = ()
    """Those that every run begins with."""

    def to(self, device: torch.device) -> "ThreeSets":
        parts = {name: getattr(self, name).to(device) for name in NAMES}
        return replace(self, **parts)


@lru_cache(maxsize=2)
def on_device(sets: Sets | ThreeSets, device: torch.device) -> ThreeSets:
    """The sets on a device. The last two results are cached, so that data are not copied again for every run."""
    return (three_sets(sets) if isinstance(sets, Sets) else sets).to(device)


def three_sets(value: Any) -> ThreeSets:
    """The sets that a function `data` has returned. Raises DataProblem, which says what of them cannot be used."""
    if isinstance(value, Sets):
        value = (value.training, value.validation, value.test)
    if not isinstance(value, tuple | list) or len(value) != 3:
        raise untrainable(f"data returned {described(value)}: it must return three sets, (training, validation, test).")
    training, validation, test = (_source(each, name) for each, name in zip(value, NAMES, strict=True))
    loader = training.source if isinstance(training, Loaded) else None
    if isinstance(loader, DataLoader) and has_own_batches(loader):
        raise untrainable(
            "data: the training set's DataLoader makes its own batches: give it batch_size instead of batch_sampler, and a"
            " sampler where the order matters, since the batch size is a parameter of the trial."
        )
    held = generators_in([each.source for each in (training, validation, test) if isinstance(each, Loaded)])
    return ThreeSets(
        training=training, validation=validation, test=test, generators=tuple(held), states=tuple(map(state_of, held))
    )


def _source(value: Any, name: str) -> Source:
    where = f"data: the {name} set"
    if isinstance(value, Examples):
        source: Source = InMemory.of(value)
    elif isinstance(value, DataLoader | Dataset) or _is_map_style(value):
        source = _loaded(value, where)
    elif isinstance(value, tuple | list) and len(value) == 2:
        inputs, targets = value
        source = _in_memory(inputs, targets, where)
    else:
        raise untrainable(f"{where} is {described(value)}: it must be {FORMS}.")
    if not len(source):
        raise untrainable(f"{where} is empty: it must hold at least one example.")
    return source


def _is_map_style(value: Any) -> bool:
    plain = isinstance(value, tuple | list | Mapping | str | bytes | Tensor | np.ndarray)
    return not plain and hasattr(value, "__getitem__") and hasattr(value, "__len__")


def _loaded(value: Any, where: str) -> Loaded:
    dataset = value.dataset if isinstance(value, DataLoader) else value
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise untrainable(
            f"{where} is a {type(dataset).__name__} without a length: it must be a Dataset with __getitem__ and __len__, so that"
            " an epoch has a known number of batches."
        )
    if not len(dataset):
        raise untrainable(f"{where} is empty: it must hold at least one example.")
    if isinstance(value, DataLoader) and not hasattr(value.sampler, "__len__"):
        raise untrainable(f"{where} has a {type(value.sampler).__name__} without a length: a sampler must have __len__.")
    return Loaded(value, f"A batch of {where.removeprefix('data: ')}")


def _in_memory(inputs: Any, targets: Any, where: str) -> InMemory:
    given = InMemory(_tensors(inputs, f"{where}'s inputs"), _tensors(targets, f"{where}'s targets"))
    if not isinstance(given.targets, Tensor):
        raise untrainable(f"{where}'s targets are {described(targets)}: they must be one tensor or NumPy array.")
    values = [*tensors_in(given.inputs), given.targets]
    if len(values) < 2 or not all(each.dim() for each in values) or len({len(each) for each in values}) > 1:
        shapes = " and ".join(str(tuple(each.shape)) for each in values[:-1])
        raise untrainable(
            f"{where} has inputs of shape {shapes or 'none'} and targets of shape {tuple(given.targets.shape)}: their first"
            " dimension must be the number of examples, the same for all."
        )
    return given.to(torch.device("cpu")) if all(each.device.type == "cpu" for each in values) else given


def _tensors(value: Any, where: str) -> Any:
    """Arrays as tensors, in tuples and dictionaries of them too."""
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf":
            raise untrainable(f"{where} are an array of {value.dtype}: they must be numbers.")
        return torch.from_numpy(np.ascontiguousarray(value))
    if isinstance(value, tuple | list) and value:
        return tuple(_tensors(each, where) for each in value)
    if isinstance(value, Mapping) and value:
        return {name: _tensors(each, where) for name, each in value.items()}
    raise untrainable(f"{where} are {described(value)}: they must be tensors or NumPy arrays, or a tuple or dictionary of them.")
