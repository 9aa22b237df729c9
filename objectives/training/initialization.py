"""How the weights of a model start."""

from collections.abc import Callable, Sequence
from functools import partial
from math import sqrt

import torch
from torch import Tensor, nn

DEFAULT = "default"
"""Weights stay as PyTorch builds the layers."""


def initialize(model: nn.Sequential, how: str, activation: str, generator: torch.Generator, *, zero_output: bool = True) -> None:
    """Draw the weights of every layer anew, whatever its kind: its matrices and kernels; its biases start at zero.

    Xavier: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010), eq. 16. He: He
    et al., "Delving Deep into Rectifiers" (2015), eq. 10, https://arxiv.org/abs/1502.01852. Orthogonal: Saxe et al. (2014),
    https://arxiv.org/abs/1312.6120. Each with the gain of the activation (`gain`). "default" draws what PyTorch's layers draw:
    uniform weights and biases, He et al.'s with a = sqrt(5).

    zero_output: the last module, the output layer, starts at zero instead, so that the first loss is that of guessing. It has no
    activation; drawn like the others, its gain is 1.
    """
    for module in model.modules():
        parameters = list(module.parameters(recurse=False))
        weights = [parameter for parameter in parameters if parameter.ndim > 1]
        biases = [parameter for parameter in parameters if parameter.ndim == 1]
        if not weights:
            continue  # such as normalization, whose scales start at 1
        if how == DEFAULT:
            _as_pytorch(weights, biases, generator)
            continue
        is_output = module is model[-1]
        for weight in weights:
            _DRAWS[how](weight, 1.0 if is_output else gain(activation), generator)
            if is_output and zero_output:
                nn.init.zeros_(weight)
        for bias in biases:
            nn.init.zeros_(bias)


def gain(activation: str) -> float:
    """What a layer's weights are multiplied by, so that the activation keeps the size of signals.

    torch.nn.init.calculate_gain's, which has none for GELU: there it is ReLU's, which GELU is a smooth form of.
    """
    name = {"leaky-relu": "leaky_relu", "gelu": "relu"}.get(activation, activation)
    return float(nn.init.calculate_gain(name))  # type: ignore[arg-type]


def _as_pytorch(weights: Sequence[Tensor], biases: Sequence[Tensor], generator: torch.Generator) -> None:
    for weight in weights:
        nn.init.kaiming_uniform_(weight, a=sqrt(5), generator=generator)
    bound = 1 / sqrt(weights[0][0].numel())
    for bias in biases:
        nn.init.uniform_(bias, -bound, bound, generator=generator)


def _xavier_uniform(weight: Tensor, gain: float, generator: torch.Generator) -> None:
    nn.init.xavier_uniform_(weight, gain=gain, generator=generator)


def _xavier_normal(weight: Tensor, gain: float, generator: torch.Generator) -> None:
    nn.init.xavier_normal_(weight, gain=gain, generator=generator)


def _orthogonal(weight: Tensor, gain: float, generator: torch.Generator) -> None:
    nn.init.orthogonal_(weight, gain=gain, generator=generator)


def _he(weight: Tensor, gain: float, generator: torch.Generator, *, uniform: bool) -> None:
    deviation = gain / sqrt(weight[0].numel())  # numel: its fan in
    if uniform:
        nn.init.uniform_(weight, -sqrt(3) * deviation, sqrt(3) * deviation, generator=generator)
    else:
        nn.init.normal_(weight, 0.0, deviation, generator=generator)


_DRAWS: dict[str, Callable[[Tensor, float, torch.Generator], None]] = {
    "xavier-uniform": _xavier_uniform,
    "xavier-normal": _xavier_normal,
    "he-uniform": partial(_he, uniform=True),
    "he-normal": partial(_he, uniform=False),
    "orthogonal": _orthogonal,
}
