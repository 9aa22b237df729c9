"""Few-shot regression: a small network learns to adapt to a sine curve from a few of its points, by MAML or Reptile.

Source: drawn as Finn et al. (2017) do (objectives/data/sinusoids.py).
Run:    python -m objectives.tasks.few_shot_regression --learning-rate 0.003 --shots 5 --algorithm reptile
Known good: the defaults, learning rate 0.003 for 10 epochs, reach a test R2 of 0.956 with maml and 0.887 with reptile, at 10
shots (mean of five folds, seed 0: benchmarks/results/few_shot_2cores_202612.md).

A step is an epoch, an update a meta-update. Losses and R2 are of queries, after adapting to the shots of their curve.
"""

from collections.abc import Mapping
from typing import Any

import torch

from objectives import command_line
from objectives.catalog import default_params, default_settings
from objectives.contract import Run
from objectives.data.sinusoids import sinusoids
from objectives.entries.few_shot_regression import FEW_SHOT_REGRESSION
from objectives.parallel.run import over_processes
from objectives.training.default_task import r2, values
from objectives.training.devices import find_device
from objectives.training.few_shot import few_shot_run
from objectives.training.losses import guessing_values_loss, regression_loss
from objectives.training.task import Task


@over_processes(FEW_SHOT_REGRESSION)
def start(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> Run:
    """Start a run on `device` ("auto", "cpu", "cuda", ...) with `threads` CPU threads.

    Missing parameters and settings take the catalog's defaults. Raises DataProblem when they cannot be used for training.
    """
    torch.set_num_threads(threads)
    params = default_params(FEW_SHOT_REGRESSION) | dict(params)
    settings = default_settings(FEW_SHOT_REGRESSION) | dict(settings)
    episodes = sinusoids(settings["fold"], shots=settings["shots"])
    loss = regression_loss(params["loss"], params["huber_delta"])
    guessing = guessing_values_loss(loss, episodes.training.query_targets.flatten())
    task = Task(
        training_loss=loss,
        validation_loss=loss,
        guessing_loss=lambda _outputs, _values: guessing,
        score_name="r2",
        predictions=values,
        score=r2,
    )
    return few_shot_run(task, episodes, 1, params, settings, seed, find_device(device))


if __name__ == "__main__":
    command_line.main(FEW_SHOT_REGRESSION, start)
