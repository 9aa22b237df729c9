"""The modules between the layers of every model: normalization, activation, dropout."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


class Activation(nn.Module):
    """An activation by name. A class of its own, so that all activations of a model can be found, whatever their function."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.function = ACTIVATIONS[name]()

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.function(inputs)
        return outputs


class Dropout(nn.Module):
    """In training, set each output to zero with the given probability, and scale up the others (Srivastava et al. 2014).

    The same as nn.Dropout, except that it draws from the run's generator instead of torch's global one.
    """

    def __init__(self, probability: float, generator: torch.Generator) -> None:
        super().__init__()
        self._keep = 1 - probability
        self._generator = generator

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training:
            return inputs
        kept = torch.empty_like(inputs).bernoulli_(self._keep, generator=self._generator)
        return inputs * kept.div_(self._keep)


class ChannelNorm(nn.GroupNorm):
    """Layer norm for images: over the channels, height and width of each image."""

    def __init__(self, n_channels: int) -> None:
        super().__init__(1, n_channels)


@dataclass(frozen=True, kw_only=True)
class Between:
    """The modules between layers; the catalog describes activation, normalization and dropout."""

    activation: str
    normalization: str
    dropout: float
    generator: torch.Generator
    """The generator that dropout draws from, on the run's device."""

    def modules(self, n_features: int, kind: Literal["units", "channels"], usual: str = "none") -> list[nn.Module]:
        """Normalization (if any), activation and dropout (if any) for the outputs of one layer."""
        return [*self.norm(n_features, kind, usual), Activation(self.activation), *self.dropouts()]

    def norm(self, n_features: int, kind: Literal["units", "channels"], usual: str = "none") -> list[nn.Module]:
        """Normalization of n_features units or image channels, if any. usual: the normalization in the model's publication."""
        match usual if self.normalization == "usual" else self.normalization:
            case "batch":
                return [nn.BatchNorm1d(n_features) if kind == "units" else nn.BatchNorm2d(n_features)]
            case "layer":
                return [nn.LayerNorm(n_features) if kind == "units" else ChannelNorm(n_features)]
        return []

    def dropouts(self) -> list[nn.Module]:
        """Dropout, if there is any."""
        return [Dropout(self.dropout, self.generator)] if self.dropout > 0 else []


PLAIN = Between(activation="relu", normalization="usual", dropout=0.0, generator=torch.Generator())
"""ReLU, no dropout, and the normalization in the model's publication."""
