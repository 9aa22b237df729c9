"""Hidden units that no longer tell one example from another."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from objectives.models.layers import Activation

SAME = 1e-6
"""Outputs that differ by less are the same: rectifiers are dead at exactly 0, sigmoids and tanh near their ends."""


class DeadUnits:
    """Watches the activations of a model while it looks at a set of examples.

    A unit is a hidden layer's output, or a channel of an image, wherever in it.
    """

    def __init__(self) -> None:
        self._ranges: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def look(self, module: nn.Module, _inputs: tuple[Tensor, ...], outputs: Tensor) -> None:
        """A forward hook."""
        but_units = [dimension for dimension in range(outputs.dim()) if dimension != 1]
        low, high = outputs.amin(but_units), outputs.amax(but_units)
        if module in self._ranges:
            lowest, highest = self._ranges[module]
            low, high = torch.minimum(low, lowest), torch.maximum(high, highest)
        self._ranges[module] = low, high

    def share(self) -> Tensor:
        """The part of all units whose output was the same for every example; 0 when none were seen."""
        if not self._ranges:
            return torch.zeros(())
        return torch.cat([(high - low) < SAME for low, high in self._ranges.values()]).float().mean()


@contextmanager
def watched(model: nn.Module) -> Iterator[DeadUnits]:
    """Watch what the activations of `model` put out within the block."""
    dead = DeadUnits()
    hooks = [module.register_forward_hook(dead.look) for module in model.modules() if isinstance(module, Activation)]
    try:
        yield dead
    finally:
        for hook in hooks:
            hook.remove()
