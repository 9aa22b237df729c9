"""Long-range dependencies: a recurrent network or a Transformer learns to remember what stood many steps before.

Source: the adding and the copying problem, drawn (objectives/data/long_range.py).
Run:    python -m objectives.tasks.long_range --problem copying --length 50 --optimizer rmsprop
Known good: the defaults, learning rate 0.003 for 5 epochs, reach a test mean squared error of 0.0001 on the adding problem of
length 100, with the gru (mean of five folds, seed 0) and with the transformer (of two); answering with 1 has 0.17. A run takes
23 and 37 seconds of one core.

A step is an epoch. Accuracy is the fraction of sums with an error below 0.04 (adding: Hochreiter and Schmidhuber 1997), or of
symbols that are right (copying).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from objectives import command_line
from objectives.catalog import default_params, default_settings
from objectives.contract import DataProblem, Run
from objectives.data.examples import Sets
from objectives.data.long_range import N_COPIED, N_SYMBOLS, N_TOKENS, long_range
from objectives.entries.long_range import LONG_RANGE
from objectives.models.layers import ACTIVATIONS
from objectives.models.recurrent import Recurrent
from objectives.models.sequence import LastSteps
from objectives.models.transformer import Transformer
from objectives.parallel.run import over_processes
from objectives.training.classification import classification
from objectives.training.devices import find_device
from objectives.training.sets import on_device
from objectives.training.supervised import SupervisedRun
from objectives.training.task import Task

HEADS = 4
"""Of the Transformer's attention."""
LARGEST_ERROR = 0.04
"""Of a sum that counts as right."""


def data(settings: Mapping[str, Any]) -> Sets:
    """The training, validation and test sets; those drawn last are kept."""
    return long_range(settings["problem"], settings["length"], settings["fold"])


def model(params: Mapping[str, Any], settings: Mapping[str, Any]) -> nn.Module:
    """The network, with an output for the sum, or one for each symbol at each of the last steps."""
    width, layers, dropout = settings["width"], settings["layers"], params["dropout"]
    states: nn.Module
    if settings["model"] == "gru":
        states = Recurrent("gru", width, width, layers=layers, dropout=dropout)
    else:
        if width % HEADS:
            raise DataProblem(f"width is {width}: a Transformer needs a multiple of its {HEADS} heads of attention.")
        n_steps = data(settings).training.inputs.shape[1]
        states = Transformer(
            width, n_steps, layers=layers, heads=HEADS, activation=ACTIVATIONS[params["activation"]], dropout=dropout
        )
    if settings["problem"] == "adding":
        return LastSteps(nn.Linear(2, width), states, width, 1, n_last=1, dropout=dropout)
    return LastSteps(nn.Embedding(N_TOKENS, width), states, width, N_SYMBOLS, n_last=N_COPIED, dropout=dropout)


@over_processes(LONG_RANGE)
def start(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> Run:
    """Start a run on `device` ("auto", "cpu", "cuda", ...) with `threads` CPU threads.

    Missing parameters and settings take the catalog's defaults. Raises DataProblem when they cannot be used for training.
    """
    torch.set_num_threads(threads)
    params = default_params(LONG_RANGE) | dict(params)
    settings = default_settings(LONG_RANGE) | dict(settings)
    place = find_device(device)
    sets = data(settings)
    task = adding(sets) if settings["problem"] == "adding" else classification(sets, "cross-entropy", 0.0)
    return SupervisedRun(task, on_device(sets, place), partial(model, params, settings), params, settings, seed, place)


def adding(sets: Sets) -> Task:
    """The task of answering with a sum: the squared error, and how many answers are near enough."""
    guessing = float(sets.training.targets.var(correction=0))
    return Task(
        training_loss=_squared_error,
        validation_loss=_squared_error,
        guessing_loss=lambda _outputs, _sums: guessing,
        score_name="accuracy",
        predictions=lambda outputs, _sums: outputs.flatten(),
        score=lambda answers, sums: ((answers - sums).abs() < LARGEST_ERROR).float().mean(),
    )


def _squared_error(outputs: Tensor, sums: Tensor) -> Tensor:
    return mse_loss(outputs.flatten(), sums)


if __name__ == "__main__":
    command_line.main(LONG_RANGE, start)
