"""The random numbers of a run that no generator of Stride's draws: those of the global generators, and of a user's own ones.

Models, data sets and losses draw from the generators of Python, NumPy and torch, as nn.Dropout does, or from ones that they hold.
A run has them in its own states while it computes, and leaves the global ones as it found them.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stride import generators

MOST_OBJECTS = 10_000
"""That are looked at to find generators."""
MOST_ITEMS = 100
"""Of a list or dictionary, that are looked at: lists of files and of examples are longer."""

PLAIN = (str, bytes, int, float, type, ModuleType, Tensor, np.ndarray)
"""What holds no generator of a run's."""

Generator = torch.Generator | np.random.Generator | np.random.RandomState | random.Random


class Randomness:
    """The states of the global generators, and of those that the model and the data hold."""

    def __init__(self, seed: int) -> None:
        self._global: dict[str, Any] = {}
        self._held: list[Generator] = []
        self._of_held: list[Any] = []
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Have the global generators begin at this seed; not within `in_use`."""
        outside = generators.state()
        generators.seed(seed)
        self._global = generators.state()
        generators.restore(outside)

    def hold(self, held: Sequence[Generator], states: Sequence[Any]) -> None:
        """Keep these generators, too; they begin at these states."""
        self._held, self._of_held = list(held), list(states)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """The generators in this run's states within the block; the states that they have at its end are kept."""
        outside = generators.state()
        generators.restore(self._global)
        self._restore_held()
        try:
            yield
        finally:
            self._global = generators.state()
            self._of_held = [state_of(each) for each in self._held]
            generators.restore(outside)

    def state_dict(self) -> dict[str, Any]:
        return {"global": _arrays_as_tensors(self._global), "held": [_arrays_as_tensors(each) for each in self._of_held]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raises ValueError when the model and the data hold other generators than those of the state."""
        if len(state["held"]) != len(self._held):
            raise ValueError(f"the state has {len(state['held'])} generators of model and data, which now hold {len(self._held)}")
        numpy = {"numpy": _tensors_as_arrays(state["global"]["numpy"])}
        self._global = {**state["global"], **numpy}
        self._of_held = [
            each if isinstance(held, torch.Generator | random.Random) else _tensors_as_arrays(each)
            for held, each in zip(self._held, state["held"], strict=True)
        ]

    def _restore_held(self) -> None:
        for each, state in zip(self._held, self._of_held, strict=True):
            restore(each, state)


def generators_in(holders: Sequence[Any]) -> list[Generator]:
    """The generators in attributes and items of objects, however deep, each once, in the order in which they are found.

    At most MOST_OBJECTS objects are looked at, and the first MOST_ITEMS items of each.
    """
    found: list[Generator] = []
    seen: set[int] = set()
    waiting: list[Any] = [*reversed(holders)]
    while waiting and len(seen) < MOST_OBJECTS:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, PLAIN):
            continue
        seen.add(id(value))
        if isinstance(value, Generator):
            found.append(value)
        elif isinstance(value, Mapping):
            waiting += reversed(list(value.values())[:MOST_ITEMS])
        elif isinstance(value, list | tuple):
            waiting += reversed(value[:MOST_ITEMS])
        else:
            waiting += reversed(list(getattr(value, "__dict__", {}).values()))
    return found


def state_of(generator: Generator) -> Any:
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.get_state() if isinstance(generator, np.random.RandomState) else generator.getstate()


def restore(generator: Generator, state: Any) -> None:
    if isinstance(generator, torch.Generator):
        generator.set_state(state.cpu())
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    else:
        generator.setstate(state)


def _arrays_as_tensors(state: Any) -> Any:
    """A state with tensors in place of NumPy's arrays: torch.load takes them without running code."""
    if isinstance(state, dict):
        return {name: _arrays_as_tensors(each) for name, each in state.items()}
    if isinstance(state, tuple):
        return tuple(map(_arrays_as_tensors, state))
    return torch.from_numpy(state) if isinstance(state, np.ndarray) else state


def _tensors_as_arrays(state: Any) -> Any:
    if isinstance(state, dict):
        return {name: _tensors_as_arrays(each) for name, each in state.items()}
    if isinstance(state, tuple):
        return tuple(map(_tensors_as_arrays, state))
    return state.cpu().numpy() if isinstance(state, Tensor) else state
