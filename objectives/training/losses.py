"""Loss functions, and the loss of guessing (the same prediction for every example), which divergence is measured against."""

from collections.abc import Callable
from math import log

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
"""Maps outputs (n, n_outputs) and targets (n,) to the mean loss over the examples, a scalar."""


def classification_loss(name: str, n_classes: int, label_smoothing: float = 0.0) -> Loss:
    """A loss of logits (n, n_classes) and classes (n,).

    cross-entropy: of the softmax, in nats. binary-cross-entropy and mse: between the sigmoid of each logit, or the logit itself,
    and 1 for the example's class or 0 for others, averaged over the classes.
    """

    def per_class(loss: Loss) -> Loss:
        return lambda logits, classes: loss(logits, one_hot(classes, n_classes).to(logits.dtype))

    match name:
        case "cross-entropy":
            return lambda logits, classes: cross_entropy(logits, classes, label_smoothing=label_smoothing)
        case "binary-cross-entropy":
            return per_class(binary_cross_entropy_with_logits)
        case "mse":
            return per_class(mse_loss)
    raise ValueError(f"there is no loss {name!r}")


def guessing_classes_loss(name: str, n_classes: int) -> float:
    """The lowest loss of any constant prediction, if all classes are equally frequent."""
    frequency = 1 / n_classes
    match name:
        case "cross-entropy":
            return log(n_classes)
        case "binary-cross-entropy":
            return -frequency * log(frequency) - (1 - frequency) * log(1 - frequency)
        case "mse":
            return frequency * (1 - frequency)
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
    """The loss of predicting the mean for every example. Values are (n,)."""
    return float(loss(values.mean().expand(len(values), 1), values))
