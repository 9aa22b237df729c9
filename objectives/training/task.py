"""What a supervised run learns by: its losses and its score."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from objectives.training.snapshots import mean_outputs


@dataclass(frozen=True, kw_only=True)
class Task:
    """Losses and score. The losses are called with outputs and targets, and each gives a scalar."""

    training_loss: Callable[[Any, Any], Tensor]
    validation_loss: Callable[[Any, Any], Tensor]
    """The training loss without label smoothing."""
    guessing_loss: Callable[[Any, Any], float] | None
    """The loss of a prediction that ignores the inputs, from the outputs of a batch and all targets; None: unknown."""
    score_name: str
    predictions: Callable[[Any, Any], Any]
    """Of a batch's outputs and targets, what the score takes: all that is kept until the whole set has been evaluated."""
    score: Callable[[Any, Any], Tensor | float]
    """Of predictions and targets. Higher is better."""
    example_word: str = "examples"
    """What an example is, in the plural."""
    average: Callable[[Sequence[Any]], Any] = mean_outputs
    """Of the outputs of several models for a batch, those of their ensemble."""
