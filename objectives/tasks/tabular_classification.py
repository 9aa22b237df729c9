"""Tabular classification: a small network learns to predict a class from the columns of a table.

Source: breast cancer and wine of scikit-learn (objectives/data/tables.py), or a local CSV or parquet file.
Run:    python -m objectives.tasks.tabular_classification --learning-rate 0.02 --epochs 20
Known good: the defaults, learning rate 0.02 for 10 epochs, reach a test accuracy of 0.972 on breast cancer and on wine (mean of
five folds, seed 0: benchmarks/results/objectives_2cores_202611.md).
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from objectives import command_line
from objectives.catalog import default_params, default_settings
from objectives.contract import Run
from objectives.data.examples import Sets
from objectives.data.notes import logged
from objectives.data.tables import breast_cancer, wine
from objectives.data.tabular import table
from objectives.entries.tabular_classification import TABULAR_CLASSIFICATION
from objectives.models.layers import between
from objectives.models.mlp import mlp
from objectives.parallel.run import over_processes
from objectives.training.classification import classification
from objectives.training.devices import find_device
from objectives.training.sets import on_device
from objectives.training.supervised import SupervisedRun

BUNDLED: Mapping[str, Callable[[int], Sets]] = {"breast-cancer": breast_cancer, "wine": wine}


def data(settings: Mapping[str, Any]) -> Sets:
    """The training, validation and test sets; loaders keep what they have read last."""
    return table(settings, BUNDLED, "classification")


def model(params: Mapping[str, Any], settings: Mapping[str, Any]) -> nn.Module:
    """A multilayer perceptron from the columns of the table to an output for each class."""
    sets = data(settings)
    assert sets.n_classes is not None
    return mlp(
        sets.input_shape, sets.n_classes, between(params), hidden_layers=settings["hidden_layers"], width=settings["width"]
    )


@over_processes(TABULAR_CLASSIFICATION)
def start(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> Run:
    """Start a run on `device` ("auto", "cpu", "cuda", ...) with `threads` CPU threads.

    Missing parameters and settings take the catalog's defaults. Raises DataProblem when they cannot be used for training.
    """
    torch.set_num_threads(threads)
    params = default_params(TABULAR_CLASSIFICATION) | dict(params)
    settings = default_settings(TABULAR_CLASSIFICATION) | dict(settings)
    place = find_device(device)
    sets = logged(data(settings))
    task = classification(sets, params["loss"], params["label_smoothing"])
    return SupervisedRun(task, on_device(sets, place), partial(model, params, settings), params, settings, seed, place)


if __name__ == "__main__":
    command_line.main(TABULAR_CLASSIFICATION, start)
