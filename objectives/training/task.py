"""What is to be learned, and by which network."""

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
"""From the shape of an input, the number of outputs, and what stands between layers."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be learned."""

    n_outputs: int
    training_loss: Loss
    validation_loss: Loss
    """The same without label smoothing."""
    guessing_loss: float
    """Of an answer that does not look at the inputs."""
    score_name: str
    score: Callable[[Tensor, Tensor], Tensor]
    """From all outputs and targets of a set: higher is better."""


def initialized(
    task: Task, data: Sets, new_model: NewModel, params: Mapping[str, Any], seed: int, dropout: torch.Generator
) -> nn.Sequential:
    """The network with its initial weights, drawn from the seed."""
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
