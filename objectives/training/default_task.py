"""The losses and scores where a user's file has none: by the targets, cross-entropy and accuracy, or squared error and R2."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from objectives.training.batches import described
from objectives.training.losses import guessing_classes_loss
from objectives.training.problems import untrainable
from objectives.training.snapshots import mean_outputs, mean_probabilities
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
    average: Callable[[Sequence[Any]], Any]
    predictions: Callable[[Any, Any], Any]
    of_predictions: Callable[[Any, Any], Tensor | float]
    if loss is None:
        kind_of_loss = kind("loss")
        chosen = _cross_entropy if kind_of_loss == "cross-entropy" else _squared_error
        average = _mean_probabilities if kind_of_loss == "cross-entropy" else mean_outputs
        guessing = guessing_classes if kind_of_loss == "cross-entropy" else guessing_mean
    else:
        chosen, guessing, average = partial(_own_loss, loss), None, mean_outputs
    if score is not None:
        name, predictions, of_predictions = "score", _outputs, partial(_own_score, score)
    elif kind("score") == "cross-entropy":
        name, predictions, of_predictions = "accuracy", _predicted_classes, _accuracy
    else:
        name, predictions, of_predictions = "r2", values, r2
    return Task(
        training_loss=chosen,
        validation_loss=chosen,
        guessing_loss=guessing,
        score_name=name,
        predictions=predictions,
        score=of_predictions,
        average=average,
    )


def logits(outputs: Any, function: str = "loss") -> Tensor:
    """The tensor among a model's outputs: the only one, or the one called logits. Raises DataProblem."""
    found = outputs.get("logits") if isinstance(outputs, Mapping) else getattr(outputs, "logits", outputs)
    if isinstance(found, Tensor):
        return found
    raise untrainable(f"The model returned {described(outputs)}: write a function {function}(outputs, targets) that takes it.")


def _cross_entropy(outputs: Any, targets: Tensor) -> Tensor:
    found = _classes(outputs, targets, "loss")
    try:
        return cross_entropy(found, targets.long())
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


def _mean_probabilities(outputs: Sequence[Any]) -> Tensor:
    return mean_probabilities([logits(each) for each in outputs])


def _squared_error(outputs: Any, targets: Tensor) -> Tensor:
    predicted = values(outputs, targets, "loss")
    return mse_loss(predicted, targets.to(predicted.dtype))


def _classes(outputs: Any, targets: Tensor, function: str) -> Tensor:
    found = logits(outputs, function)
    if found.dim() < 2 or found.shape[1] < 2 or found.shape[:1] + found.shape[2:] != targets.shape:
        raise untrainable(
            f"The outputs have the shape {tuple(found.shape)} and the integer targets {tuple(targets.shape)}: the default"
            f" {function} takes outputs (n, classes) for targets (n), or (n, classes, ...) for (n, ...), with two classes or"
            f" more; else write a function {function}(outputs, targets)."
        )
    return found


def values(outputs: Any, targets: Tensor, function: str = "score") -> Tensor:
    """The outputs in the shape of the targets. function: the user's that would do without. Raises DataProblem."""
    found = logits(outputs, function)
    if found.shape == targets.shape:
        return found
    if found.numel() == targets.numel() and {found.shape[1:], targets.shape[1:]} == {(), (1,)}:
        return found.reshape(targets.shape)
    raise untrainable(
        f"The outputs have the shape {tuple(found.shape)} and the targets, which are floats, {tuple(targets.shape)}: the default"
        f" {function} takes the same shape for both; else write a function {function}(outputs, targets)."
    )


def _outputs(outputs: Any, _targets: Any) -> Any:
    return outputs


def _predicted_classes(outputs: Any, targets: Tensor) -> Tensor:
    return _classes(outputs, targets, "score").argmax(dim=1)


def _accuracy(predicted: Tensor, targets: Tensor) -> Tensor:
    counted = targets != IGNORED
    return ((predicted == targets.long()) & counted).sum() / counted.sum()


def r2(predicted: Tensor, targets: Tensor) -> Tensor:
    """The coefficient of determination: 1 for perfect predictions, 0 for the mean of the targets. Raises DataProblem."""
    check_not_equal(targets, "the set that was evaluated")
    around_mean = (targets - targets.mean(dim=0)).square().sum()
    return 1 - (predicted - targets).square().sum() / around_mean


def check_not_equal(targets: Tensor, where: str) -> None:
    """Raises DataProblem where R2 has no meaning, which is relative to how the targets differ. where: the name of their set."""
    if (targets == targets[:1]).all():
        raise untrainable(
            f"All {len(targets)} targets of {where} are equal: R2 has no meaning there. Give it more examples, or write a"
            " function score(outputs, targets)."
        )


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
