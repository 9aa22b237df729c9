"""Initialization of the weights of a model."""

from collections.abc import Callable, Iterator
from functools import partial
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from objectives.training.activations import ACTIVATIONS

DEFAULT = "default"
"""The weights that the model's code has left: by default, each layer's own initialization in PyTorch."""

Layer = nn.Linear | nn.Bilinear | _ConvNd | nn.RNNBase | nn.RNNCellBase | nn.MultiheadAttention
"""Those with matrices that are drawn here."""


def initialize(model: nn.Module, how: str, generator: torch.Generator, *, zero_output: bool = True) -> None:
    """Initialize the layers of a model: matrices and kernels are drawn from `generator`, biases are zero.

    Xavier: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010), eq. 16. He: He
    et al., "Delving Deep into Rectifiers" (2015), eq. 10, https://arxiv.org/abs/1502.01852. Orthogonal: Saxe et al. (2014),
    https://arxiv.org/abs/1312.6120. Each with the gain of the model's first activation (`gain`). "default" changes nothing.

    Embeddings, normalization and frozen weights stay as they are. zero_output: the last layer is zero instead, so that the
    network first predicts the same for every example. Otherwise its gain is 1, since it has no activation.
    """
    if how == DEFAULT:
        return
    kept = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding | nn.EmbeddingBag)}
    layers = [module for module in model.modules() if isinstance(module, Layer)]
    of_hidden = gain(model, how)
    for layer in layers:
        is_output = layer is layers[-1]
        for matrix in _matrices(layer):
            if not matrix.requires_grad or id(matrix) in kept:
                continue
            for part in matrix.detach().chunk(_n_packed(layer, matrix)):
                _DRAWS[how](part, 1.0 if is_output else of_hidden, generator)
            if is_output and zero_output:
                nn.init.zeros_(matrix)
        for bias in _biases(layer):
            if bias.requires_grad:
                nn.init.zeros_(bias)


def gain(model: nn.Module, how: str) -> float:
    """The factor of a layer's weights that keeps the scale of signals through the model's first activation module.

    From torch.nn.init.calculate_gain, which has none for GELU, SiLU and ELU: ReLU's is used, since they are smooth forms of ReLU.
    Without such a module, PyTorch's default: ReLU's for He, for which it was derived, else 1.
    """
    first = next((module for module in model.modules() if isinstance(module, ACTIVATIONS)), None)
    match first:
        case None:
            return sqrt(2) if how.startswith("he-") else 1.0
        case nn.LeakyReLU():
            return float(nn.init.calculate_gain("leaky_relu", first.negative_slope))
        case nn.Tanh():
            return float(nn.init.calculate_gain("tanh"))
        case nn.Sigmoid():
            return float(nn.init.calculate_gain("sigmoid"))
    return float(nn.init.calculate_gain("relu"))


def _matrices(layer: nn.Module) -> Iterator[nn.Parameter]:
    for name, parameter in layer.named_parameters(recurse=False):
        if parameter.ndim > 1 and not (isinstance(layer, nn.MultiheadAttention) and name.startswith("bias")):
            yield parameter


def _biases(layer: nn.Module) -> Iterator[nn.Parameter]:
    return (parameter for parameter in layer.parameters(recurse=False) if parameter.ndim == 1)


def _n_packed(layer: nn.Module, matrix: Tensor) -> int:
    """How many matrices stand in one: those of a recurrent layer's gates, and of queries, keys and values."""
    if isinstance(layer, nn.RNNBase | nn.RNNCellBase):
        return matrix.shape[0] // layer.hidden_size if matrix.shape[0] % layer.hidden_size == 0 else 1
    return 3 if isinstance(layer, nn.MultiheadAttention) and matrix is layer.in_proj_weight else 1


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
