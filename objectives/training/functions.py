"""The training of a user's own functions: a model and its data, and a loss and a score where the user has them."""

import copy
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from objectives.contract import DataProblem
from objectives.training.default_task import Kind, check_classes, check_not_equal, kind_of, task_of
from objectives.training.devices import find_device
from objectives.training.evaluation import evaluate
from objectives.training.forward import Forward
from objectives.training.generators import named_seed
from objectives.training.network import new_network
from objectives.training.problems import untrainable
from objectives.training.randomness import Randomness
from objectives.training.sets import ThreeSets, on_device, three_sets
from objectives.training.sources import InMemory, Source
from objectives.training.supervised import SupervisedRun
from objectives.training.task import Task

CPU = torch.device("cpu")
SEED = 0
"""Of the data, and of the model that is tried."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Functions:
    """A user's functions."""

    model: Callable[..., Any]
    """(params, settings) to a torch.nn.Module, on the CPU."""
    data: Callable[..., Any]
    """(settings) to the training, validation and test sets (`three_sets`)."""
    loss: Callable[..., Any] | None = None
    """(outputs, targets) to the mean loss over the examples, a scalar tensor. None: by the targets (`default_task`)."""
    score: Callable[..., Any] | None = None
    """(outputs, targets) to a number, higher is better. None: by the targets."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What is known once a batch has been through a model."""

    score_name: str
    loss_name: str
    """"cross-entropy" or "mse", the defaults; "own": the user's."""
    n_examples: int
    """Of the training set: no batch can be larger."""


def start(
    functions: Functions, params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int
) -> SupervisedRun:
    """Start a run on `device` with `threads` CPU threads, with all parameters and settings.

    Raises DataProblem when they cannot be used for training, and what the functions raise.
    """
    torch.set_num_threads(threads)
    place = find_device(device)
    sets = read(functions, settings)
    new_model = partial(functions.model, dict(params), dict(settings))
    return SupervisedRun(_task(functions, sets), on_device(sets, place), new_model, params, settings, seed, place)


def read(functions: Functions, settings: Mapping[str, Any]) -> ThreeSets:
    """The sets that `data` returns, which are kept for the next call. Raises DataProblem, and what `data` raises."""
    asked = json.dumps(settings, sort_keys=True)
    if not _LAST or _LAST[0][:2] != (functions.data, asked):
        with _drawing_alike():
            _LAST[:] = [(functions.data, asked, three_sets(functions.data(copy.deepcopy(dict(settings)))))]
    return _LAST[0][2]


def try_out(functions: Functions, params: Mapping[str, Any], settings: Mapping[str, Any]) -> Tried:
    """Put one batch of each set through the model, on the CPU: what cannot be trained is known before any trial.

    Raises DataProblem, and what the functions raise.
    """
    sets = on_device(read(functions, settings), CPU)
    task = _task(functions, sets)
    model, randomness = new_network(partial(functions.model, dict(params), dict(settings)), sets, params, SEED)
    forward = Forward(model, settings["precision"], CPU)
    is_of_classes = functions.loss is None and _kind(sets, "loss") == "cross-entropy"
    with randomness.in_use():
        model.train()
        _try_training(forward, task, sets, params["batch_size"], is_of_classes=is_of_classes)
        model.eval()
        for part, name in ((sets.validation, "validation"), (sets.test, "test")):
            _try_evaluation(forward, task, part, name, params["batch_size"])
    loss_name = "own" if functions.loss is not None else _kind(sets, "loss")
    return Tried(score_name=task.score_name, loss_name=loss_name, n_examples=len(sets.training))


def _try_training(forward: Forward, task: Task, sets: ThreeSets, batch_size: int, *, is_of_classes: bool) -> None:
    batch = sets.training.tried(batch_size)
    outputs = forward(batch.inputs)
    loss = task.training_loss(outputs, batch.targets)
    if is_of_classes:
        for part in (sets.training, sets.validation, sets.test):
            if isinstance(part, InMemory):
                check_classes(outputs, part.targets)
    _check_loss(loss, sets.training, "training")
    if not loss.requires_grad:
        raise untrainable(
            "The loss does not depend on the model's weights: it must be computed by torch from the outputs, without detach, item"
            " or no_grad.",
        )
    loss.backward()


@torch.no_grad()
def _try_evaluation(forward: Forward, task: Task, part: Source, name: str, batch_size: int) -> None:
    batch = part.tried(batch_size)
    outputs = forward(batch.inputs)
    _check_loss(task.validation_loss(outputs, batch.targets), part, name)
    predictions = task.predictions(outputs, batch.targets)
    if task.score_name == "score":  # the default ones may have no meaning for so few examples
        _try_score(forward, task, part, batch_size, predictions, batch.targets)
    elif task.score_name == "r2":
        check_not_equal(_unequal_targets(part, batch_size), f"the {name} set")


def _unequal_targets(part: Source, batch_size: int) -> Tensor:
    """The targets of a set; of one that is loaded, those up to the first batch with which they are not all equal."""
    if isinstance(part, InMemory):
        targets: Tensor = part.targets
        return targets
    seen: list[Tensor] = []
    for batch in part.evaluation(batch_size, CPU):
        seen.append(batch.targets)
        if (batch.targets != seen[0][:1]).any():
            break
    return torch.cat(seen)


def _try_score(forward: Forward, task: Task, part: Source, batch_size: int, predictions: Any, targets: Any) -> None:
    """A user's score: of one batch, and of the whole set where that raises, since a batch may lack what a score needs."""
    try:
        task.score(predictions, targets)
    except DataProblem:
        raise
    except Exception:  # it may raise anything; what is raised for the whole set is told
        evaluate(forward, task, part.evaluation(batch_size, CPU))


def _check_loss(loss: Tensor, source: Source, name: str) -> None:
    """Raises DataProblem where the loss of the batch that was tried is no finite number."""
    if loss.isfinite():
        return
    said = f"The loss of the untrained model is {loss.item():g} on a batch of the {name} set"
    place = source.first_not_finite()
    if place is not None:
        raise untrainable(f"{said}: its example {place}, counted from 0, holds NaN or an infinite value.")
    raise untrainable(f"{said}: look at the size of the inputs, at the model's first outputs, and at the loss function.")


def _kind(sets: ThreeSets, needed_for: str) -> Kind:
    with _drawing_alike():
        return kind_of(sets.training.first(1).targets, needed_for=needed_for)


def _task(functions: Functions, sets: ThreeSets) -> Task:
    return task_of(partial(_kind, sets), functions.loss, functions.score)


_LAST: list[tuple[Callable[..., Any], str, ThreeSets]] = []
"""The function `data` that was called last, its settings, and what it returned: reading data may take minutes."""


def _drawing_alike() -> AbstractContextManager[None]:
    """Under one seed for all trials: a split that is drawn at random is the same in each of them, and in every process."""
    return Randomness(named_seed(SEED, "data")).in_use()
