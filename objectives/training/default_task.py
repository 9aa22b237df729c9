"""The losses and scores where a user's file has none: by the targets, cross-entropy and accuracy, or squared error and R2."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from objectives.training.batches import described
from objectives.training.losses import guessing_classes_loss
from objectives.training.problems import untrainable
from objectives.training.task import Task

IGNORED = -100
"""The class of targets that do not count: that of PyTorch's cross-entropy."""

Kind = Literal["cross-entropy", "mse"]


def kind_of(targets: Any, *, needed_for: str) -> Kind:
    """The default loss for such targets. needed_for: the function of the user's that would do without. Raises DataProblem."""
    if not isinstance(targets, Tensor):
        raise untrainable(
            f"The targets are {described(targets)}: write a function {needed_for}, since the default takes a tensor."
        )
    return "mse" if targets.is_floating_point() else "cross-entropy"


def task_of(kind: Callable[[str], Kind], loss: Callable[[Any, Any], Any] | None, score: Callable[[Any, Any], Any] | None) -> Task:
    """The task with a user's own functions, where they are given. kind: that of the targets, asked where one is not given."""
    chosen: Callable[[Any, Any], Tensor]
    guessing: Callable[[Any, Any], float] | None
    of_outputs: Callable[[Any, Any], Tensor | float]
    if loss is None:
        kind_of_loss = kind("loss")
        chosen = _cross_entropy if kind_of_loss == "cross-entropy" else _squared_error
        guessing = guessing_classes if kind_of_loss == "cross-entropy" else guessing_mean
    else:
        chosen, guessing = partial(_own_loss, loss), None
    if score is not None:
        name, of_outputs = "score", partial(_own_score, score)
    else:
        name, of_outputs = ("accuracy", _accuracy) if kind("score") == "cross-entropy" else ("r2", r2)
    return Task(training_loss=chosen, validation_loss=chosen, guessing_loss=guessing, score_name=name, score=of_outputs)


def logits(outputs: Any, function: str = "loss") -> Tensor:
    """The tensor among a model's outputs: the only one, or the one called logits. Raises DataProblem."""
    found = outputs.get("logits") if isinstance(outputs, Mapping) else getattr(outputs, "logits", outputs)
    if isinstance(found, Tensor):
        return found
    raise untrainable(f"The model returned {described(outputs)}: write a function {function}(outputs, targets) that takes it.")


def _cross_entropy(outputs: Any, targets: Tensor) -> Tensor:
    values = _classes(outputs, targets, "loss")
    try:
        return cross_entropy(values, targets.long())
    except IndexError:  # a class out of bounds, on the CPU
        check_classes(outputs, targets)
        raise


def check_classes(outputs: Any, targets: Tensor) -> None:
    """Raises DataProblem where there are targets that the outputs have no class for. On a GPU these would end the process."""
    n_classes = logits(outputs).shape[1]
    counted = targets[targets != IGNORED].long()
    if counted.numel() and not 0 <= int(counted.min()) <= int(counted.max()) < n_classes:
        raise untrainable(
            f"The targets are classes from {int(counted.min())} to {int(counted.max())}, and the model has {n_classes} outputs:"
            f" classes must be from 0 to {n_classes - 1}."
        )


def _squared_error(outputs: Any, targets: Tensor) -> Tensor:
    values = _values(outputs, targets, "loss")
    return mse_loss(values, targets.to(values.dtype))


def _classes(outputs: Any, targets: Tensor, function: str) -> Tensor:
    values = logits(outputs, function)
    if values.dim() < 2 or values.shape[1] < 2 or values.shape[:1] + values.shape[2:] != targets.shape:
        raise untrainable(
            f"The outputs have the shape {tuple(values.shape)} and the integer targets {tuple(targets.shape)}: the default"
            f" {function} takes outputs (n, classes) for targets (n), or (n, classes, ...) for (n, ...), with two classes or"
            f" more; else write a function {function}(outputs, targets)."
        )
    return values


def _values(outputs: Any, targets: Tensor, function: str) -> Tensor:
    values = logits(outputs, function)
    if values.shape == targets.shape:
        return values
    if values.numel() == targets.numel() and {values.shape[1:], targets.shape[1:]} == {(), (1,)}:
        return values.reshape(targets.shape)
    raise untrainable(
        f"The outputs have the shape {tuple(values.shape)} and the targets, which are floats, {tuple(targets.shape)}: the default"
        f" {function} takes the same shape for both; else write a function {function}(outputs, targets)."
    )


def _accuracy(outputs: Any, targets: Tensor) -> Tensor:
    counted = targets != IGNORED
    is_right = (_classes(outputs, targets, "score").argmax(dim=1) == targets.long()) & counted
    return is_right.sum() / counted.sum()


def r2(outputs: Any, targets: Tensor) -> Tensor:
    """The coefficient of determination: 1 for perfect predictions, 0 for the mean of the targets. Raises DataProblem."""
    values = _values(outputs, targets, "score")
    around_mean = (targets - targets.mean(dim=0)).square().sum()
    if not around_mean:
        raise untrainable(
            f"All {len(targets)} targets that were evaluated are equal: R2 has no meaning there. Give more examples to the"
            " validation and test sets, or write a function score(outputs, targets)."
        )
    return 1 - (values - targets).square().sum() / around_mean


def guessing_classes(outputs: Any, _targets: Tensor) -> float:
    """The lowest cross-entropy of any constant prediction, if all classes are equally frequent."""
    return guessing_classes_loss("cross-entropy", logits(outputs).shape[1])


def guessing_mean(_outputs: Any, targets: Tensor) -> float:
    """The mean squared error of predicting the mean of the targets."""
    return float((targets - targets.mean(dim=0)).square().mean())


def _own_loss(loss: Callable[[Any, Any], Any], outputs: Any, targets: Any) -> Tensor:
    value = loss(outputs, targets)
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise untrainable(f"loss returned {described(value)}: it must return a scalar tensor, the mean over the examples.")
    return value.reshape(()).float()


def _own_score(score: Callable[[Any, Any], Any], outputs: Any, targets: Any) -> Tensor | float:
    value = score(outputs, targets)
    if isinstance(value, Tensor) and value.numel() == 1:
        return value.detach().reshape(()).float()
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise untrainable(f"score returned {described(value)}: it must return one number, higher is better.") from None
