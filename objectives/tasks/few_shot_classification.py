"""Few-shot classification: a small network learns to adapt to classes of digits from a few images of each, by MAML or Reptile.

Source: handwritten digits, turned (objectives/data/few_shot_digits.py).
Run:    python -m objectives.tasks.few_shot_classification --learning-rate 0.003 --ways 2 --shots 5 --algorithm reptile
Known good: the defaults, learning rate 0.003 for 10 epochs, reach a test accuracy of 0.773 with maml and 0.707 with reptile, of 4
classes at 10 shots (mean of five folds, seed 0: benchmarks/results/few_shot_2cores_202612.md).

A step is an epoch, an update a meta-update. Losses and accuracy are of queries, after adapting to the shots of their episode.
"""

from collections.abc import Mapping
from typing import Any

import torch

from objectives import command_line
from objectives.catalog import default_params, default_settings
from objectives.contract import Run
from objectives.data.few_shot_digits import few_shot_digits
from objectives.entries.few_shot_classification import FEW_SHOT_CLASSIFICATION
from objectives.parallel.run import over_processes
from objectives.training.classification import classes_task
from objectives.training.devices import find_device
from objectives.training.few_shot import few_shot_run


@over_processes(FEW_SHOT_CLASSIFICATION)
def start(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> Run:
    """Start a run on `device` ("auto", "cpu", "cuda", ...) with `threads` CPU threads.

    Missing parameters and settings take the catalog's defaults. Raises DataProblem when they cannot be used for training.
    """
    torch.set_num_threads(threads)
    params = default_params(FEW_SHOT_CLASSIFICATION) | dict(params)
    settings = default_settings(FEW_SHOT_CLASSIFICATION) | dict(settings)
    ways = settings["ways"]
    episodes = few_shot_digits(settings["fold"], ways=ways, shots=settings["shots"])
    task = classes_task(ways, params["loss"], params["label_smoothing"])
    return few_shot_run(task, episodes, ways, params, settings, seed, find_device(device))


if __name__ == "__main__":
    command_line.main(FEW_SHOT_CLASSIFICATION, start)
