"""Initialization of the weights of a model."""

from collections.abc import Callable, Sequence
from functools import partial
from math import sqrt

import torch
from torch import Tensor, nn

DEFAULT = "default"
"""PyTorch's default initialization of each layer."""


def initialize(model: nn.Sequential, how: str, activation: str, generator: torch.Generator, *, zero_output: bool = True) -> None:
    """Initialize the layers of any type: matrices and kernels are drawn from `generator`, biases are zero.

    Xavier: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010), eq. 16. He: He
    et al., "Delving Deep into Rectifiers" (2015), eq. 10, https://arxiv.org/abs/1502.01852. Orthogonal: Saxe et al. (2014),
    https://arxiv.org/abs/1312.6120. Each with the gain of the activation (`gain`). "default" draws from the distributions of
    PyTorch's layers: uniform biases, and uniform weights as He et al. with a = sqrt(5).

    zero_output: the last module, the output layer, is zero instead, so that the network first predicts the same for every
    example. Otherwise its gain is 1, since it has no activation.
    """
    for module in model.modules():
        parameters = list(module.parameters(recurse=False))
        weights = [parameter for parameter in parameters if parameter.ndim > 1]
        biases = [parameter for parameter in parameters if parameter.ndim == 1]
        if not weights:
            continue  # such as normalization, whose scales start at 1
        if how == DEFAULT:
            _as_pytorch(module, weights, biases, generator)
            continue
        is_output = module is model[-1]
        for weight in weights:
            _DRAWS[how](weight, 1.0 if is_output else gain(activation), generator)
            if is_output and zero_output:
                nn.init.zeros_(weight)
        for bias in biases:
            nn.init.zeros_(bias)


def gain(activation: str) -> float:
    """The factor of a layer's weights that keeps the scale of signals through the activation.

    From torch.nn.init.calculate_gain, which has none for GELU: ReLU's is used, since GELU is a smooth form of ReLU.
    """
    name = {"leaky-relu": "leaky_relu", "gelu": "relu"}.get(activation, activation)
    return float(nn.init.calculate_gain(name))  # type: ignore[arg-type]


def _as_pytorch(module: nn.Module, weights: Sequence[Tensor], biases: Sequence[Tensor], generator: torch.Generator) -> None:
    if isinstance(module, nn.RNNBase):
        bound = 1 / sqrt(module.hidden_size)
        for each in (*weights, *biases):
            nn.init.uniform_(each, -bound, bound, generator=generator)
        return
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
    deviation = gain / sqrt(weight[0].numel())  # numel of one output's weights: the fan-in
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
