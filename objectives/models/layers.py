"""The modules between the layers of every model: normalization, activation, dropout."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


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

    def modules(self, n_features: int, kind: Literal["units", "channels"], usual: str = "none") -> list[nn.Module]:
        """Normalization (if any), activation and dropout (if any) for the outputs of one layer."""
        return [*self.norm(n_features, kind, usual), ACTIVATIONS[self.activation](), *self.dropouts()]

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
        return [nn.Dropout(self.dropout)] if self.dropout > 0 else []


PLAIN = Between(activation="relu", normalization="usual", dropout=0.0)
"""ReLU, no dropout, and the normalization in the model's publication."""


def between(params: Mapping[str, Any]) -> Between:
    """The modules that a trial's parameters ask for."""
    return Between(activation=params["activation"], normalization=params["normalization"], dropout=params["dropout"])
