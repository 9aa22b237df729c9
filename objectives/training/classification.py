"""The task that all classification objectives share: logits, a loss, and accuracy."""

from torch import Tensor

from objectives.data.examples import Sets
from objectives.training.losses import classification_loss, guessing_classes_loss
from objectives.training.snapshots import mean_outputs, mean_probabilities
from objectives.training.task import Task


def classification(data: Sets, loss: str, label_smoothing: float) -> Task:
    """The task of classifying the data: the class with the highest output is the prediction."""
    assert data.n_classes is not None
    return classes_task(data.n_classes, loss, label_smoothing)


def classes_task(n_classes: int, loss: str, label_smoothing: float) -> Task:
    """The same, of so many classes."""
    guessing = guessing_classes_loss(loss, n_classes)
    return Task(
        training_loss=classification_loss(loss, n_classes, label_smoothing),
        validation_loss=classification_loss(loss, n_classes),
        guessing_loss=lambda _outputs, _classes: guessing,
        score_name="accuracy",
        predictions=lambda logits, _classes: logits.argmax(dim=1),
        score=_accuracy,
        average=mean_probabilities if loss == "cross-entropy" else mean_outputs,
    )


def _accuracy(predicted: Tensor, classes: Tensor) -> Tensor:
    return (predicted == classes).float().mean()
