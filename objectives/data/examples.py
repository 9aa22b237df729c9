"""Examples in memory as tensors, and the training, validation and test sets made of them."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Inputs and targets of a set of examples."""

    inputs: Any
    """A tensor (n, ...), or a tuple of them; images are (n, channels, height, width)."""
    targets: Tensor
    """(n,): classes from 0 to n_classes - 1, int64; in regression, values, float32. Of sequences, (n, n_steps)."""

    def __len__(self) -> int:
        return len(self.targets)


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

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input: (channels, height, width), or (columns,)."""
        return tuple(self.training.inputs.shape[1:])
