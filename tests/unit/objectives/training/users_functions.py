"""A user's functions, and what they are trained and tried on."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from objectives.scripts.model_entry import default_values
from objectives.training.functions import Functions, start, try_out
from objectives.training.supervised import SupervisedRun

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(96, 4, generator=GENERATOR)
CLASSES = (X.sum(1) > 0).long()
VALUES = X.sum(1, keepdim=True)
PARTS = (slice(0, 64), slice(64, 80), slice(80, 96))


def in_three(inputs: Callable[[slice], Any], targets: Tensor = CLASSES) -> list[Any]:
    return [(inputs(part), targets[part]) for part in PARTS]


def network(_params: Any, _settings: Any, n_outputs: int = 2) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, n_outputs))


def functions(data: Any = None, model: Any = network, **more: Any) -> Functions:
    return Functions(model=model, data=lambda _: in_three(lambda part: X[part]) if data is None else data, **more)


def begun(of: Functions, seed: int = 0, *, device: str = "cpu", settings: Mapping[str, Any] | None = None, **params: Any) -> Any:
    defaults, of_settings = default_values({}, {}, "net")
    given = {"epochs": 4, "learning_rate": 0.1, "batch_size": 16} | params
    return start(of, {**defaults, **given}, {**of_settings, **(settings or {})}, seed, device, 1)


def tried(of: Functions, **params: Any) -> Any:
    defaults, settings = default_values({}, {}, "net")
    return try_out(of, {**defaults, **params}, settings)


def learned(run: SupervisedRun) -> bool:
    losses = [item.metrics["validation_loss"] for item in run]
    return losses[-1] < 0.8 * losses[0]


class Named(nn.Module):
    """Takes its inputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        outputs: Tensor = self.layer(torch.cat([left, right], dim=1))
        return outputs


def loaders(**options: Any) -> list[DataLoader[Any]]:
    return [DataLoader(TensorDataset(X[part], CLASSES[part]), batch_size=5, **options) for part in PARTS]


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.zeros(1, 1, 8))
        self.embedding = nn.Linear(1, 8)
        self.layers = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True), 1)
        self.out = nn.Linear(8, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        tokens = torch.cat([self.first.expand(len(inputs), -1, -1), self.embedding(inputs[:, :, None])], dim=1)
        outputs: Tensor = self.out(self.layers(tokens)[:, 0])
        return outputs
