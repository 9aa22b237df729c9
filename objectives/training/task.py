"""A supervised task, and its network with initial weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from objectives.data.examples import Sets
from objectives.models.layers import Between
from objectives.training.generators import named_generator
from objectives.training.initialization import initialize
from objectives.training.losses import Loss

NewModel = Callable[[tuple[int, ...], int, Between], nn.Sequential]
"""Builds a network from the shape of an input, the number of outputs, and the modules between layers."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A supervised task: outputs, losses and score."""

    n_outputs: int
    training_loss: Loss
    validation_loss: Loss
    """The training loss without label smoothing."""
    guessing_loss: float
    """The loss of a prediction that ignores the inputs."""
    score_name: str
    score: Callable[[Tensor, Tensor], Tensor]
    """Maps all outputs (n, n_outputs) and targets (n,) of a set to a scalar; higher is better."""


def initialized(
    task: Task, data: Sets, new_model: NewModel, params: Mapping[str, Any], seed: int, dropout: torch.Generator
) -> nn.Sequential:
    """The network with its initial weights, drawn from the seed. dropout: the generator of dropout."""
    between = Between(
        activation=params["activation"], normalization=params["normalization"], dropout=params["dropout"], generator=dropout
    )
    model = new_model(data.input_shape, task.n_outputs, between)
    initialize(
        model,
        params["initialization"],
        params["activation"],
        named_generator(seed, "initialization"),
        zero_output=params["zero_output"],
    )
    return model
