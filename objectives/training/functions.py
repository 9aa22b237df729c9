"""The training of a user's own functions: a model and its data, and a loss and a score where the user has them."""

import copy
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from objectives.training.default_task import Kind, check_classes, kind_of, task_of
from objectives.training.devices import find_device
from objectives.training.forward import Forward
from objectives.training.generators import named_seed
from objectives.training.network import new_network
from objectives.training.problems import untrainable
from objectives.training.randomness import Randomness
from objectives.training.sets import ThreeSets, on_device, three_sets
from objectives.training.sources import InMemory
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


def start(
    functions: Functions, params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int
) -> SupervisedRun:
    """Start a run on `device` with `threads` CPU threads, with all parameters and settings.

    Raises DataProblem when they cannot be used for training, and what the functions raise.
    """
    torch.set_num_threads(threads)
    place = find_device(device)
    sets = _read(functions, settings)
    new_model = partial(functions.model, dict(params), dict(settings))
    return SupervisedRun(_task(functions, sets), on_device(sets, place), new_model, params, settings, seed, place)


def try_out(functions: Functions, params: Mapping[str, Any], settings: Mapping[str, Any]) -> Tried:
    """Put one batch forward and backward through the model, on the CPU: what cannot be trained is known before any trial.

    Raises DataProblem, and what the functions raise.
    """
    sets = _read(functions, settings)
    task = _task(functions, sets)
    model, randomness = new_network(partial(functions.model, dict(params), dict(settings)), sets, params, SEED)
    batch = sets.training.first(min(params["batch_size"], len(sets.training)))
    with randomness.in_use():
        model.train()
        forward = Forward(model, settings["precision"], CPU)
        outputs = forward(batch.inputs)
        loss = task.training_loss(outputs, batch.targets)
        if functions.loss is None and _kind(sets, "loss") == "cross-entropy":
            for part in (sets.training, sets.validation, sets.test):
                if isinstance(part, InMemory):
                    check_classes(outputs, part.targets)
        if not loss.requires_grad:
            raise untrainable(
                "The loss does not depend on the model's weights: it must be computed by torch from the outputs, without"
                " detach, item or no_grad.",
            )
        loss.backward()
        model.eval()
        with torch.inference_mode():
            # Of the validation set: its forms and sizes may be others.
            held_out = sets.validation.first(min(params["batch_size"], len(sets.validation)))
            outputs = forward(held_out.inputs)
            task.validation_loss(outputs, held_out.targets)
            if functions.score is not None:  # the default ones may have no meaning for so few examples
                task.score(outputs, held_out.targets)
    loss_name = "own" if functions.loss is not None else _kind(sets, "loss")
    return Tried(score_name=task.score_name, loss_name=loss_name)


def _kind(sets: ThreeSets, needed_for: str) -> Kind:
    with _drawing_alike():
        return kind_of(sets.training.first(1).targets, needed_for=needed_for)


def _task(functions: Functions, sets: ThreeSets) -> Task:
    return task_of(partial(_kind, sets), functions.loss, functions.score)


_LAST: list[tuple[Callable[..., Any], str, ThreeSets]] = []
"""The function `data` that was called last, its settings, and what it returned: reading data may take minutes."""


def _read(functions: Functions, settings: Mapping[str, Any]) -> ThreeSets:
    asked = json.dumps(settings, sort_keys=True)
    if not _LAST or _LAST[0][:2] != (functions.data, asked):
        with _drawing_alike():
            _LAST[:] = [(functions.data, asked, three_sets(functions.data(copy.deepcopy(dict(settings)))))]
    return _LAST[0][2]


def _drawing_alike() -> AbstractContextManager[None]:
    """Under one seed for all trials: a split that is drawn at random is the same in each of them, and in every process."""
    return Randomness(named_seed(SEED, "data")).in_use()
