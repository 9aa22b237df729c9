"""The processes that train one run together, seen from one of them: its rank, its share of a batch, and what they exchange.

All ranks have the same weights. Each computes the gradients of its share of every batch, and one all-reduce of the flat gradient
vector (`gradients.py`) adds them up: the update is that of one process on the whole batch. DistributedDataParallel does the same
in buckets, to begin while the backward pass goes on; here the vector that clipping and norms need anyway is sent at once.

A run asks `here`. Without `join` a process is alone, and nothing is exchanged.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import torch.distributed as dist
from torch import Tensor

from objectives.training.batches import Batch, mapped, pieces

Value = TypeVar("Value")


class CutOff(Exception):
    """The other ranks cannot be reached: one of them has ended."""


class Ranks:
    """One of n ranks; torch.distributed connects them."""

    def __init__(self, rank: int = 0, n: int = 1, places: "memoryview[int] | None" = None) -> None:
        """places: of each rank, how often it has come to an exchange or has left one, so that others see who does not go on."""
        self.rank = rank
        self.n = n
        self._places = places

    def share(self, batch: Batch) -> Batch:
        """This rank's part of a batch of at least n examples."""
        return batch if self.n == 1 else pieces(batch, self.n)[self.rank]

    def shares(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """This rank's parts of batches, without those that have too few examples for it."""
        return (self.share(batch) for batch in batches if self.rank < max(batch.n_examples, 1))

    def sum(self, values: Tensor) -> None:
        """Replace the values by their sum over the ranks, which is the same bit by bit on all of them."""
        if self.n > 1:
            self._exchange(lambda: dist.all_reduce(values))

    def gather(self, value: Value) -> list[Value] | None:
        """The values of all ranks, on the CPU, in rank 0; None in the others."""
        if self.n == 1:
            return [value]
        values: list[Any] | None = [None] * self.n if self.rank == 0 else None
        self._exchange(lambda: dist.gather_object(mapped(Tensor.cpu, value), values))
        return values

    def broadcast(self, value: Value | None) -> Value:
        """The value of rank 0."""
        values = [value]
        if self.n > 1:
            self._exchange(lambda: dist.broadcast_object_list(values))
        assert values[0] is not None
        return values[0]

    def _exchange(self, exchange: Callable[[], object]) -> None:
        self._go_on()
        try:
            exchange()
        except RuntimeError as error:
            raise CutOff(str(error)) from error
        self._go_on()

    def _go_on(self) -> None:
        if self._places is not None:
            self._places[self.rank] += 1


_joined: list[Ranks] = [Ranks()]


def join(ranks: Ranks) -> None:
    """Make this process one of several ranks."""
    _joined[:] = [ranks]


def here() -> Ranks:
    """The ranks of which this process is one."""
    return _joined[0]
