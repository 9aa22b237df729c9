"""Examples in memory as tensors, and the training, validation and test sets made of them."""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Inputs and targets of a set of examples."""

    inputs: Tensor
    """(n, ...), float32; images are (n, channels, height, width)."""
    targets: Tensor
    """(n,): classes from 0 to n_classes - 1, int64; in regression, values, float32."""

    def __len__(self) -> int:
        return len(self.targets)

    def to(self, device: torch.device) -> "Examples":
        return Examples(inputs=self.inputs.to(device), targets=self.targets.to(device))


@dataclass(frozen=True, kw_only=True, eq=False)
class Sets:
    """A dataset in three disjoint parts: for training, for the search's metrics, and for the final report."""

    training: Examples
    validation: Examples
    test: Examples
    n_classes: int | None
    """None: regression."""
    notes: tuple[str, ...] = ()
    """Sentences for a trial's log: what was read from local files, and what was left out."""

    def to(self, device: torch.device) -> "Sets":
        return replace(self, training=self.training.to(device), validation=self.validation.to(device), test=self.test.to(device))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input: (channels, height, width), or (columns,)."""
        return tuple(self.training.inputs.shape[1:])


@lru_cache(maxsize=2)
def on_device(sets: Sets, device: torch.device) -> Sets:
    """The sets on a device. The last two results are cached, so that data are not copied again for every run."""
    return sets.to(device)
