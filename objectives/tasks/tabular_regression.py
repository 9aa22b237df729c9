"""Tabular regression: a small network learns to predict a number from the columns of a table.

Source: diabetes of scikit-learn (objectives/data/tables.py), or a local CSV or parquet file.
Run:    python -m objectives.tasks.tabular_regression --learning-rate 0.003 --epochs 30
Known good: the defaults, learning rate 0.001 for 20 epochs, reach a test R2 of 0.448 on diabetes (mean of five folds, seed 0:
benchmarks/results/objectives_2cores_202611.md).

Targets are in units of their standard deviation in the training set. validation_r2 and test_r2 are the coefficient of
determination: 1 for perfect predictions, 0 for predicting the mean of the set.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from objectives import command_line
from objectives.catalog import default_params, default_settings
from objectives.contract import DataProblem, Run
from objectives.data.examples import Sets
from objectives.data.notes import logged
from objectives.data.tables import diabetes
from objectives.data.tabular import table
from objectives.entries.tabular_regression import TABULAR_REGRESSION
from objectives.models.layers import between
from objectives.models.mlp import mlp
from objectives.parallel.run import over_processes
from objectives.training.default_task import r2, values
from objectives.training.devices import find_device
from objectives.training.losses import guessing_values_loss, regression_loss
from objectives.training.sets import on_device
from objectives.training.supervised import SupervisedRun
from objectives.training.task import Task

BUNDLED: Mapping[str, Callable[[int], Sets]] = {"diabetes": diabetes}


def data(settings: Mapping[str, Any]) -> Sets:
    """The training, validation and test sets; loaders keep what they have read last."""
    return table(settings, BUNDLED, "regression")


def model(params: Mapping[str, Any], settings: Mapping[str, Any]) -> nn.Module:
    """A multilayer perceptron from the columns of the table to one output."""
    return mlp(data(settings).input_shape, 1, between(params), hidden_layers=settings["hidden_layers"], width=settings["width"])


@over_processes(TABULAR_REGRESSION)
def start(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> Run:
    """Start a run on `device` ("auto", "cpu", "cuda", ...) with `threads` CPU threads.

    Missing parameters and settings take the catalog's defaults. Raises DataProblem when they cannot be used for training.
    """
    torch.set_num_threads(threads)
    params = default_params(TABULAR_REGRESSION) | dict(params)
    settings = default_settings(TABULAR_REGRESSION) | dict(settings)
    place = find_device(device)
    sets = logged(data(settings))
    for name, part in (("validation", sets.validation), ("test", sets.test)):
        if part.targets.min() == part.targets.max():
            raise DataProblem(
                f"All targets of the {name} set are equal ({len(part)} of them): R2 has no meaning there. More rows are needed."
            )
    loss = regression_loss(params["loss"], params["huber_delta"])
    guessing = guessing_values_loss(loss, sets.training.targets)
    task = Task(
        training_loss=loss,
        validation_loss=loss,
        guessing_loss=lambda _outputs, _values: guessing,
        score_name="r2",
        predictions=values,
        score=r2,
    )
    return SupervisedRun(task, on_device(sets, place), partial(model, params, settings), params, settings, seed, place)


if __name__ == "__main__":
    command_line.main(TABULAR_REGRESSION, start)
