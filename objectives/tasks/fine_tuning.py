"""Fine-tuning: a network that has learned some images goes on learning with others.

Source: the network learns the handwritten digits from 0 to 4 (objectives/data/digits.py), then those from 5 to 9; or local files
of standard data sets, and any checkpoint of the network.
Run:    python -m objectives.tasks.fine_tuning --learning-rate 0.02 --layer-decay 0.4 --unfreeze-every 1
Known good: the defaults, learning rate 0.05 for 10 epochs, reach a test accuracy of 0.979 with the mlp, 0.979 with the cnn and
0.988 with the resnet on the digits from 5 to 9 (mean of five folds, seed 0).

A step is an epoch. Each layer may have a rate of its own (`layer_decay`), and begin to learn later than the next one
(`unfreeze_every`): Howard and Ruder, "Universal Language Model Fine-tuning" (2018), https://arxiv.org/abs/1801.06146. Continued
training warms its rate up again (`warmup_fraction`): Ibrahim et al., "Simple and Scalable Strategies to Continually Pre-train
Large Language Models" (2024), https://arxiv.org/abs/2403.08763.
"""

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from objectives import command_line
from objectives.catalog import default_params, default_settings
from objectives.contract import Run
from objectives.data.checkpoint import checkpoint
from objectives.data.digits import some_digits
from objectives.data.examples import Sets
from objectives.data.notes import log, logged
from objectives.entries.fine_tuning import FINE_TUNING
from objectives.parallel.run import over_processes
from objectives.tasks import image_classification
from objectives.tasks.image_classification import network
from objectives.training.classification import classification
from objectives.training.devices import find_device
from objectives.training.generators import CPU
from objectives.training.ranks import Ranks
from objectives.training.sets import on_device
from objectives.training.supervised import SupervisedRun
from objectives.training.task import Task
from objectives.training.transfer import transferred, without_prefix

PRETRAINING = {"schedule": "constant", "learning_rate": 0.02, "weight_decay": 0.01, "epochs": 20}
"""How the digits from 0 to 4 are learned, whatever the trial's own parameters are."""
SHAPE = ("fold", "model", "hidden_layers", "width", "activation", "normalization")
"""The parameters and settings that say which network has learned them."""


def data(settings: Mapping[str, Any]) -> Sets:
    """The training, validation and test sets of what is learned now."""
    return some_digits(5, 9, settings["fold"]) if settings["dataset"] == "digits-5-9" else image_classification.data(settings)


def pretrained(sets: Sets, params: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights that are not drawn at the start of a trial, by name. Raises DataProblem when they do not fit the network."""
    if settings["pretrained"] == "none":
        return {}
    if is_file := settings["pretrained"] == "file":
        source, weights = checkpoint(settings["checkpoint"])
    else:
        shape = {**params, **settings}
        source, weights = _learned_digits(**{name: shape[name] for name in SHAPE})
    usual = params["dropout"]
    with torch.device("meta"):  # for names and shapes alone
        needed, other = (network(sets, {**params, "dropout": p}, settings) for p in (usual, 0.0 if usual > 0 else 0.5))
    names = dict(zip(other.state_dict(), needed.state_dict(), strict=True))  # modules are numbered, those of dropout too
    weights = without_prefix(without_prefix(weights, names.keys()), names.values())
    if weights.keys() <= names.keys():
        weights = {names[name]: value for name, value in weights.items()}
    taken, note = transferred(weights, needed, source, new_head=not is_file)
    log(note)
    return taken


@lru_cache(maxsize=8)
def _learned_digits(**shape: Any) -> tuple[str, Mapping[str, Tensor]]:
    """The network that has learned the digits from 0 to 4: how messages call it, and its weights. Computed on one thread."""
    params = default_params(FINE_TUNING) | PRETRAINING | shape
    settings = default_settings(FINE_TUNING) | shape
    torch.set_num_threads(1)
    sets = some_digits(0, 4, shape["fold"])
    new_model = partial(network, sets, params, settings)
    # Alone: each of several ranks learns them for itself, so that they are the same whatever their number.
    run = SupervisedRun(_task(sets, params), on_device(sets, CPU), new_model, params, settings, 0, CPU, ranks=Ranks())
    *_, last = run
    accuracy = last.metrics["validation_accuracy"]
    return f"the {shape['model']} that tells the digits 0 to 4 apart (accuracy {accuracy:.3f})", run.state_dict()["model"]


@over_processes(FINE_TUNING)
def start(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> Run:
    """Start a run on `device` ("auto", "cpu", "cuda", ...) with `threads` CPU threads.

    Missing parameters and settings take the catalog's defaults. Raises DataProblem when they cannot be used for training.
    """
    params = default_params(FINE_TUNING) | dict(params)
    settings = default_settings(FINE_TUNING) | dict(settings)
    place = find_device(device)
    sets = logged(data(settings))
    weights = pretrained(sets, params, settings)
    torch.set_num_threads(threads)
    task, new_model = _task(sets, params), partial(network, sets, params, settings)
    return SupervisedRun(task, on_device(sets, place), new_model, params, settings, seed, place, pretrained=weights)


def _task(sets: Sets, params: Mapping[str, Any]) -> Task:
    return classification(sets, params["loss"], params["label_smoothing"])


if __name__ == "__main__":
    command_line.main(FINE_TUNING, start)
