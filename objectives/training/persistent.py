"""DataLoaders whose workers stay from epoch to epoch: their random numbers begin anew in each, as those of new workers do.

What a worker has drawn is in no checkpoint. So that a resumed run goes on as an uninterrupted one, each epoch has a seed, which
the sampler hands to the workers with every index.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import Dataset, Sampler, get_worker_info

from objectives.training.randomness import generators_in, restore, state_of
from stride import generators

Place = tuple[int, Any]
"""The seed of an epoch, and an index of the dataset."""


class SeededSampler(Sampler[Place]):
    """The indices of a sampler, each with the seed of its epoch, which is drawn from torch's global generator."""

    def __init__(self, sampler: Any) -> None:
        self._sampler = sampler

    def __len__(self) -> int:
        return len(self._sampler)

    def __iter__(self) -> Iterator[Place]:
        seed = int(torch.empty((), dtype=torch.int64).random_())
        return ((seed, index) for index in self._sampler)


class SeededDataset(Dataset[Any]):
    """A dataset by places. A worker seeds the global generators and restores the dataset's own ones when an epoch begins."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._held = generators_in([dataset])
        self._states = [state_of(each) for each in self._held]
        self._seed: int | None = None

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, place: Place) -> Any:
        self._begin(place[0])
        return self._dataset[place[1]]

    def __getitems__(self, places: list[Place]) -> Any:
        """The examples of a batch, which some datasets read at once."""
        self._begin(places[0][0])
        indices = [index for _, index in places]
        if hasattr(self._dataset, "__getitems__"):
            return self._dataset.__getitems__(indices)
        return [self._dataset[index] for index in indices]

    def _begin(self, seed: int) -> None:
        if seed == self._seed:
            return
        self._seed = seed
        worker = get_worker_info()
        assert worker is not None  # loaders without workers have none that persist
        generators.seed((seed + worker.id) % 2**63)
        for each, state in zip(self._held, self._states, strict=True):
            restore(each, state)
