"""Tabular classification: a small network learns to predict a class from the columns of a table.

Source: breast cancer and wine of scikit-learn (objectives/data/tables.py), or a local CSV or parquet file.
Run:    python -m objectives.tasks.tabular_classification --learning-rate 0.02 --epochs 20
Known good: the defaults, learning rate 0.02 for 10 epochs, reach a test accuracy of 0.972 on breast cancer and on wine (mean of
five folds, seed 0: benchmarks/results/objectives_2cores_202611.md).
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from objectives import command_line
from objectives.catalog import default_params, default_settings
from objectives.contract import Run
from objectives.data.examples import Sets, on_device
from objectives.data.notes import logged
from objectives.data.tables import breast_cancer, wine
from objectives.data.tabular import table
from objectives.entries.tabular_classification import TABULAR_CLASSIFICATION
from objectives.models.mlp import mlp_of
from objectives.training.classification import classification
from objectives.training.devices import find_device
from objectives.training.supervised import SupervisedRun

BUNDLED: Mapping[str, Callable[[int], Sets]] = {"breast-cancer": breast_cancer, "wine": wine}


def start(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> Run:
    """Start a run on `device` ("auto", "cpu", "cuda", ...) with `threads` CPU threads.

    Missing parameters and settings take the catalog's defaults. Raises DataProblem when they cannot be used for training.
    """
    torch.set_num_threads(threads)
    params = default_params(TABULAR_CLASSIFICATION) | dict(params)
    settings = default_settings(TABULAR_CLASSIFICATION) | dict(settings)
    place = find_device(device)
    data = on_device(logged(table(settings, BUNDLED, "classification")), place)
    task = classification(data, params["loss"], params["label_smoothing"])
    return SupervisedRun(task, data, mlp_of(settings), params, settings, seed, place)


if __name__ == "__main__":
    command_line.main(TABULAR_CLASSIFICATION, start)
