"""What training minimizes, and what guessing would cost: the measure of a loss that has blown up."""

from collections.abc import Callable
from math import log

import torch
from torch import Tensor
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    l1_loss,
    mse_loss,
    one_hot,
)

Loss = Callable[[Tensor, Tensor], Tensor]
"""From outputs (n, n_outputs) and targets (n,) to the mean loss over the examples."""


def classification_loss(name: str, n_classes: int, label_smoothing: float = 0.0) -> Loss:
    """A loss of logits (n, n_classes) and classes (n,).

    cross-entropy, in nats, of the softmax; binary-cross-entropy and mse compare each logit (its sigmoid; itself) with whether the
    example is of that class, on average over the classes.
    """

    def each_by_itself(of: Loss) -> Loss:
        return lambda logits, classes: of(logits, one_hot(classes, n_classes).to(logits.dtype))

    match name:
        case "cross-entropy":
            return lambda logits, classes: cross_entropy(logits, classes, label_smoothing=label_smoothing)
        case "binary-cross-entropy":
            return each_by_itself(binary_cross_entropy_with_logits)
        case "mse":
            return each_by_itself(mse_loss)
    raise ValueError(f"there is no loss {name!r}")


def guessing_classes_loss(name: str, n_classes: int) -> float:
    """The lowest loss that the same outputs for every example can have, where all classes are equally frequent."""
    part = 1 / n_classes
    match name:
        case "cross-entropy":
            return log(n_classes)
        case "binary-cross-entropy":
            return -part * log(part) - (1 - part) * log(1 - part)
        case "mse":
            return part * (1 - part)
    raise ValueError(f"there is no loss {name!r}")


def regression_loss(name: str, huber_delta: float = 1.0) -> Loss:
    """A loss of outputs (n, 1) and values (n,)."""
    match name:
        case "mse":
            return lambda outputs, values: mse_loss(outputs.squeeze(1), values)
        case "mae":
            return lambda outputs, values: l1_loss(outputs.squeeze(1), values)
        case "huber":
            return lambda outputs, values: huber_loss(outputs.squeeze(1), values, delta=huber_delta)
    raise ValueError(f"there is no loss {name!r}")


def guessing_values_loss(loss: Loss, values: Tensor) -> float:
    """The loss of answering with the mean value every time; values are (n,), of mean 0."""
    return float(loss(torch.zeros(len(values), 1, device=values.device), values))
