"""An objective of one's own: a small network learns a sine.

    PYTHONPATH=examples STRIDE_OBJECTIVE_MODULES=own_objective make up
    echo 'objective: {name: sine}' | .venv/bin/stride submit - --watch

API and workers import this module for OBJECTIVES, so torch is imported in functions only: processes that train nothing need none.
"""

import math
import time
from collections.abc import Iterator
from typing import Any

from objectives.contract import Divergence, Measurement, Metric, Objective, Parameter


class SineRun:
    """Iterating it trains: one measurement for each epoch."""

    def __init__(self, params: dict[str, Any], seed: int, device: str) -> None:
        import torch

        torch.manual_seed(seed)
        layers = torch.nn.Linear(1, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1)
        self.params = params
        self.model = torch.nn.Sequential(*layers).to(device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=params["learning_rate"], momentum=0.9)
        self.loss = torch.nn.MSELoss()
        # The same data for each seed, so that losses can be compared.
        x = 6 * torch.rand(768, 1, generator=torch.Generator().manual_seed(0)).to(device) - 3
        self.train, self.validation, self.test = ((part, part.sin()) for part in x.split(256))
        self.epoch = 0

    def __iter__(self) -> Iterator[Measurement]:
        import torch

        epochs, batch_size, rate = self.params["epochs"], self.params["batch_size"], self.params["learning_rate"]
        while self.epoch < epochs:
            started = time.monotonic()
            for batch in torch.randperm(256).split(batch_size):
                self.optimizer.zero_grad()
                loss = self.loss(self.model(self.train[0][batch]), self.train[1][batch])
                loss.backward()
                self.optimizer.step()
            self.epoch += 1
            fraction, validation_loss = self.epoch / epochs, self.loss_on(self.validation)
            divergence = None
            if not math.isfinite(validation_loss):
                updates = self.epoch * math.ceil(256 / batch_size)
                reason = f"the validation loss was {validation_loss} after epoch {self.epoch}"
                divergence = Divergence(reason=reason, update=updates, fraction=fraction)
            yield Measurement(
                step=self.epoch,
                fraction=fraction,
                in_warmup=False,
                metrics={"validation_loss": validation_loss},
                learning_rate=rate,
                seconds=time.monotonic() - started,
                divergence=divergence,
            )
            if divergence is not None:
                return

    def loss_on(self, data: tuple[Any, Any]) -> float:
        import torch

        with torch.no_grad():
            return self.loss(self.model(data[0]), data[1]).item()

    def state_dict(self) -> dict[str, Any]:
        """All that a run needs to continue in another process, bit for bit: random numbers, too."""
        import torch

        model, optimizer = self.model.state_dict(), self.optimizer.state_dict()
        return {"model": model, "optimizer": optimizer, "epoch": self.epoch, "random": torch.get_rng_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        import torch

        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]
        torch.set_rng_state(state["random"])

    def evaluate(self) -> dict[str, float]:
        return {"test_loss": self.loss_on(self.test)}


def start(params: dict[str, Any], settings: dict[str, Any], seed: int, device: str, threads: int) -> SineRun:
    """Called in a process that trains: params has a value for each parameter below."""
    return SineRun(params, seed, device)


OBJECTIVES = (
    Objective(
        name="sine",
        description="A network with one hidden layer learns sin(x) from 256 examples.",
        module=__name__,
        metrics=(Metric(name="validation_loss", direction="minimize", description="Mean squared error."),),
        parameters=(
            Parameter(
                name="learning_rate",
                type="float",
                default=0.01,
                space={"type": "float", "low": 1e-5, "high": 10.0, "log": True, "points": 16},
                description="Of SGD with momentum 0.9.",
                low=0.0,
                low_open=True,
            ),
            Parameter(name="batch_size", type="int", default=32, description="Examples per update.", low=1, high=256),
            Parameter(name="epochs", type="int", default=20, description="Epochs of training.", low=1),
        ),
    ),
)
