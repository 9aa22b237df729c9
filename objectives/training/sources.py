"""Where the examples of a run come from: tensors in memory, or a DataLoader. Both give batches, in training and in evaluation."""

import multiprocessing
from collections.abc import Callable, Iterator, Sized
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, Sampler, SequentialSampler

from objectives.data.examples import Examples
from objectives.training.batches import Batch, as_batch, mapped, moved, tensors_in
from objectives.training.persistent import SeededDataset, SeededSampler

GATHERED_BYTES = 64 * 2**20
"""Size of the examples in memory that are put in an epoch's order at once: each batch alone would be slower."""
EVALUATED_BYTES = 64 * 2**10
"""Size of the examples in memory that are evaluated at once if there are more of them than are trained at once."""

Epoch = Callable[[], Iterator[Batch]]
"""Begins an epoch: the training set in a new order, as batches of batch_size examples each."""


class InMemory:
    """Tensors, of n examples each. inputs: a tensor, or a tuple or dictionary of them."""

    def __init__(self, inputs: Any, targets: Any) -> None:
        self.inputs = inputs
        self.targets = targets

    @classmethod
    def of(cls, examples: Examples) -> "InMemory":
        return cls(examples.inputs, examples.targets)

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def _bytes_each(self) -> int:
        return max(1, sum(each[:1].nbytes for each in tensors_in((self.inputs, self.targets))))

    def to(self, device: torch.device) -> "InMemory":
        return InMemory(*moved(Batch(self.inputs, self.targets), device))

    def first(self, n: int) -> Batch:
        return next(self._copies(n))

    def tried(self, n: int) -> Batch:
        """A batch of n examples, or fewer, to try a model on: from the first with an infinite value or NaN, if there is one."""
        place = self.first_not_finite() or 0
        rest = InMemory(mapped(lambda values: values[place:], self.inputs), self.targets[place:])
        return rest.first(n)

    def first_not_finite(self) -> int | None:
        """The place of the first example that holds an infinite value, or NaN; None if all are finite."""
        places = (_first_not_finite(values) for values in tensors_in((self.inputs, self.targets)) if values.is_floating_point())
        return min((place for place in places if place is not None), default=None)

    def training(self, batch_size: int, order: torch.Generator, device: torch.device) -> Epoch:
        """Epochs in random orders, on the device that the tensors are on. An incomplete last batch is dropped."""
        at_once = batch_size * max(1, GATHERED_BYTES // (batch_size * self._bytes_each))

        def epoch() -> Iterator[Batch]:
            drawn = torch.randperm(len(self), generator=order)
            used = drawn[: len(self) // batch_size * batch_size].to(device)
            for places in used.split(at_once):
                inputs = mapped(lambda values, places=places: values[places], self.inputs)  # type: ignore[misc]
                yield from _batches(inputs, self.targets[places], batch_size)

        return epoch

    def evaluation(self, batch_size: int, device: torch.device) -> Iterator[Batch]:
        """Batches in the order of the examples, of batch_size or more."""
        return self._copies(max(batch_size, EVALUATED_BYTES // self._bytes_each))

    def _copies(self, size: int) -> Iterator[Batch]:
        # A model may change its inputs, and a loss its targets.
        for batch in _batches(self.inputs, self.targets, size):
            yield Batch(mapped(Tensor.clone, batch.inputs), batch.targets.clone())


def _batches(inputs: Any, targets: Tensor, size: int) -> Iterator[Batch]:
    """Batches of tensors in their order; the last one may be smaller."""
    if isinstance(inputs, Tensor):
        yield from map(Batch, inputs.split(size), targets.split(size))
        return
    for first in range(0, len(targets), size):
        part = slice(first, first + size)
        yield Batch(mapped(lambda values, part=part: values[part], inputs), targets[part])  # type: ignore[misc]


def _first_not_finite(values: Tensor) -> int | None:
    # In parts, since what isfinite gives takes memory.
    for first in range(0, len(values), 1_024):
        found = values[first : first + 1_024].isfinite().logical_not().nonzero()
        if len(found):
            return first + int(found[0, 0])
    return None


class Loaded:
    """A DataLoader or a Dataset. name: what its batches are called in messages."""

    def __init__(self, source: DataLoader[Any] | Dataset[Any], name: str) -> None:
        self.source = source
        self._loader: DataLoader[Any] = source if isinstance(source, DataLoader) else DataLoader(source)
        self._name = name
        sampler = self._loader.sampler
        self._is_shuffled_here = type(sampler) is SequentialSampler or (
            type(sampler) is RandomSampler
            and not sampler.replacement
            and sampler.num_samples == len(_sized(self._loader.dataset))
        )

    def __len__(self) -> int:
        """The number of examples in an epoch."""
        return len(_sized(self._loader.dataset if self._is_shuffled_here else self._loader.sampler))

    def to(self, device: torch.device) -> "Loaded":
        return self  # each batch is moved

    def first(self, n: int) -> Batch:
        """The first n examples; of a loader without a batch size, whose dataset gives batches, the first batch."""
        places = list(islice(iter(self._loader.sampler), n))
        dataset: Any = self._loader.dataset
        gives_batches = self._loader.batch_size is None and self._loader.batch_sampler is None
        examples = dataset[places[0]] if gives_batches else [dataset[place] for place in places]
        return moved(as_batch(self._loader.collate_fn(examples), self._name), torch.device("cpu"))

    def tried(self, n: int) -> Batch:
        """A batch of n examples, or fewer, to try a model on."""
        return self.first(min(n, len(self)))

    def first_not_finite(self) -> None:
        """Of what a loader reads it is not known."""

    def training(self, batch_size: int, order: torch.Generator, device: torch.device) -> Epoch:
        """Epochs of a new DataLoader as this one: in random orders if this one's sampler is sequential or random, else in its.

        What persistent workers draw is resumed with the run where they are forked, and not where they are spawned.
        """
        mine = self._loader
        sampler: Any = _Shuffled(len(self), order) if self._is_shuffled_here else mine.sampler
        # Spawned workers would import what they get by its name, which in a script's process is not ours (decision 0025).
        is_seeded = mine.persistent_workers and (mine.multiprocessing_context or multiprocessing).get_start_method() == "fork"
        loader: DataLoader[Any] = DataLoader(
            SeededDataset(mine.dataset) if is_seeded else mine.dataset,
            batch_size,
            sampler=SeededSampler(sampler) if is_seeded else sampler,
            drop_last=True,
            num_workers=mine.num_workers,
            collate_fn=mine.collate_fn,
            pin_memory=mine.pin_memory and device.type == "cuda",
            timeout=mine.timeout,
            worker_init_fn=mine.worker_init_fn,
            multiprocessing_context=mine.multiprocessing_context,
            prefetch_factor=mine.prefetch_factor,
            persistent_workers=mine.persistent_workers,
            # Of the seeds of new workers: those that persist begin once, in a resumed run at another epoch.
            generator=torch.Generator() if is_seeded else None,
        )
        return lambda: self._moved(loader, device)

    def evaluation(self, batch_size: int, device: torch.device) -> Iterator[Batch]:
        """Batches of the loader's own size; of a Dataset, of batch_size examples each."""
        loader = self.source if isinstance(self.source, DataLoader) else DataLoader(self.source, batch_size)
        return self._moved(loader, device)

    def _moved(self, loader: DataLoader[Any], device: torch.device) -> Iterator[Batch]:
        return (moved(as_batch(batch, self._name), device) for batch in loader)


class _Shuffled(Sampler[int]):
    """The numbers below n in a new random order each time."""

    def __init__(self, n: int, generator: torch.Generator) -> None:
        self._n = n
        self._generator = generator

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(self._n, generator=self._generator).tolist())


def has_own_batches(loader: DataLoader[Any]) -> bool:
    """Whether a loader was made with a batch_sampler, or without batches."""
    return loader.batch_size is None or type(loader.batch_sampler) is not BatchSampler


def _sized(value: Any) -> Sized:
    sized: Sized = value
    return sized


Source = InMemory | Loaded
