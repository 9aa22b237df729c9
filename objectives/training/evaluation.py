"""Loss and score of a model on the validation or test set."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from math import fsum
from typing import Any

import torch

from objectives.training.batches import Batch, concatenated
from objectives.training.ranks import Ranks
from objectives.training.task import Task


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    loss: float
    score: float
    guessing_loss: float | None
    """The loss of a prediction that ignores the inputs; None: unknown."""


@torch.no_grad()
def evaluate(forward: Callable[[Any], Any], task: Task, batches: Iterable[Batch], ranks: Ranks | None = None) -> Evaluation:
    """Evaluate a model, which is in evaluation mode. forward: from inputs to outputs.

    The loss is the mean over the batches, weighted by their examples. The score is that of all predictions at once; where those
    of different batches cannot be concatenated, the weighted mean of the batches' scores. Each rank has its share of every batch;
    the first one computes the result for all of them, which must not differ by a bit in what they decide by it.
    """
    ranks = ranks or Ranks()
    outputs = None
    evaluated: list[_Evaluated] = []
    for batch in ranks.shares(batches):
        outputs = forward(batch.inputs)
        loss = task.validation_loss(outputs, batch.targets)
        evaluated.append((task.predictions(outputs, batch.targets), batch.targets, loss, batch.n_examples))
    of_ranks = ranks.gather(evaluated)
    return ranks.broadcast(None if of_ranks is None else _evaluation(task, outputs, _in_order(of_ranks)))


_Evaluated = tuple[Any, Any, torch.Tensor, int]
"""Of a batch: predictions, targets, loss, and the number of examples."""


def _in_order(of_ranks: Sequence[Sequence[_Evaluated]]) -> list[_Evaluated]:
    return [each for turn in zip_longest(*of_ranks) for each in turn if each is not None]


def _evaluation(task: Task, outputs: Any, evaluated: Sequence[_Evaluated]) -> Evaluation:
    """outputs: of one of the batches."""
    predictions, targets, losses, sizes = (list(each) for each in zip(*evaluated, strict=True))
    if len(losses) == 1:
        loss, all_predictions, all_targets = losses[0].item(), predictions[0], targets[0]
    else:
        loss = _weighted_mean(torch.stack(losses).tolist(), sizes)
        all_predictions, all_targets = concatenated(predictions, sizes), concatenated(targets, sizes)
    if all_predictions is not None and all_targets is not None:
        score = float(task.score(all_predictions, all_targets))
    else:
        all_targets = targets[0]
        score = _weighted_mean([float(task.score(*each)) for each in zip(predictions, targets, strict=True)], sizes)
    guessing = None if task.guessing_loss is None else task.guessing_loss(outputs, all_targets)
    return Evaluation(loss=loss, score=score, guessing_loss=guessing)


def _weighted_mean(values: list[float], weights: list[int]) -> float:
    return fsum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)
