"""What a supervised run learns by: its losses and its score."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Task:
    """Losses and score. Each is called with outputs and targets, and gives a scalar."""

    training_loss: Callable[[Any, Any], Tensor]
    validation_loss: Callable[[Any, Any], Tensor]
    """The training loss without label smoothing."""
    guessing_loss: Callable[[Any, Any], float] | None
    """The loss of a prediction that ignores the inputs, from the outputs and targets of the validation set; None: unknown."""
    score_name: str
    score: Callable[[Any, Any], Tensor | float]
    """Higher is better."""
