"""Gradual unfreezing: the last layer is trained first, then one layer more every so many epochs.

Howard and Ruder, "Universal Language Model Fine-tuning" (2018), section 3.3, https://arxiv.org/abs/1801.06146. The rate of a
frozen group is 0, and its weights have no gradients, so that the optimizer passes them over: their momentum, or Adam's averages,
begin when they are trained. Running statistics of batch norm are no weights, and adapt to the data from the start.
"""

from collections.abc import Sequence

import torch

from objectives.training.optimizers import LayerGroup, begin_count


class Unfreezing:
    """Freezes the groups of an optimizer, and unfreezes them by the epoch. No state: all follows from the epoch."""

    def __init__(self, groups: Sequence[LayerGroup], optimizer: torch.optim.Optimizer) -> None:
        """groups: the optimizer's own, in its order."""
        self._groups = groups
        self._optimizer = optimizer
        self._frozen: list[bool] | None = None

    def notes(self, unfreeze_every: int, epochs: int) -> list[str]:
        """What to log where layers are not trained within so many epochs. A search over either may try such a pair, too."""
        never = [group.name for group in self._groups if group.frozen_epochs >= epochs]
        if not never:
            return []
        n_after_first = max(group.frozen_epochs for group in self._groups) // unfreeze_every
        fitting = (epochs - 1) // n_after_first
        advice = f"up to {fitting}, all layers are" if fitting else f"at 1, all layers are in {n_after_first + 1} epochs"
        return [f"unfreeze_every is {unfreeze_every}: not trained within {epochs} epochs are {', '.join(never)}; {advice}."]

    def begin_epoch(self, epoch: int) -> bool:
        """Freeze the groups that are not trained in an epoch, counted from 0. Returns whether others are trained than before."""
        before, self._frozen = self._frozen, [epoch < group.frozen_epochs for group in self._groups]
        for group, described, is_frozen in zip(self._groups, self._optimizer.param_groups, self._frozen, strict=True):
            described["multiplier"] = 0.0 if is_frozen else group.multiplier
            if epoch == group.frozen_epochs:
                begin_count(described)
            for weights in group.parameters:
                weights.requires_grad_(not is_frozen)
        return self._frozen != before
