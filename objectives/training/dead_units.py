"""Counts dead units: hidden units with the same output for every example."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from objectives.training.activations import ACTIVATIONS
from objectives.training.ranks import Ranks

SAME = 1e-6
"""Outputs that differ by less count as the same: ReLU units are dead at exactly 0, sigmoid and tanh units where they saturate."""


class DeadUnits:
    """Records the range of each unit's output while a model is evaluated.

    A unit is an output of a hidden layer, or a channel of a convolution over all positions. Outputs of three dimensions are left
    out: units stand in the second one of convolutions, and in the third one of sequences.
    """

    def __init__(self) -> None:
        self._ranges: dict[tuple[nn.Module, int], tuple[Tensor, Tensor]] = {}

    def look(self, module: nn.Module, _inputs: tuple[Tensor, ...], outputs: Tensor) -> None:
        """Update the ranges; a forward hook. Outputs are (n, units, ...). A module may be called for layers of several sizes."""
        if outputs.dim() not in (2, 4, 5) or not outputs.numel():
            return
        outputs = outputs.detach()  # a model may adapt by gradients while it is evaluated
        other_dimensions = [dimension for dimension in range(outputs.dim()) if dimension != 1]
        low, high = outputs.amin(other_dimensions), outputs.amax(other_dimensions)
        layer = module, outputs.shape[1]
        if layer in self._ranges:
            lowest, highest = self._ranges[layer]
            low, high = torch.minimum(low, lowest), torch.maximum(high, highest)
        self._ranges[layer] = low, high

    def share(self, ranks: Ranks | None = None) -> Tensor:
        """The fraction of units whose output was the same for every example; 0 if there were no activations.

        The first of several ranks gets that of all, the others 0.
        """
        of_ranks = (ranks or Ranks()).gather(list(self._ranges.values()))
        if not (seen := [ranges for ranges in of_ranks or () if ranges]):
            return torch.zeros(())
        layers = [[torch.stack(bounds) for bounds in zip(*layer, strict=True)] for layer in zip(*seen, strict=True)]
        return torch.cat([(high.amax(0) - low.amin(0)) < SAME for low, high in layers]).float().mean()


@contextmanager
def watched(model: nn.Module) -> Iterator[DeadUnits]:
    """Record the outputs of the activations of `model` within the block."""
    dead = DeadUnits()
    hooks = [module.register_forward_hook(dead.look) for module in model.modules() if isinstance(module, ACTIVATIONS)]
    try:
        yield dead
    finally:
        for hook in hooks:
            hook.remove()
