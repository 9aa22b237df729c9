"""An objective of one's own for deploy/check-compose, which mounts this folder: a parabola, with epochs that only take time."""

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

from objectives.contract import Measurement, Metric, Objective, Parameter

EPOCH_S = 0.5


class Parabola:
    """A loss that is lowest at a learning rate of 0.01."""

    def __init__(self, params: Mapping[str, Any], device: str) -> None:
        self._params = params
        self._done = 0
        print(f"training on {device}")

    def __iter__(self) -> Iterator[Measurement]:
        rate, epochs = self._params["learning_rate"], self._params["epochs"]
        while self._done < epochs:
            time.sleep(EPOCH_S)
            self._done += 1
            yield Measurement(
                step=self._done,
                fraction=self._done / epochs,
                in_warmup=False,
                metrics={"loss": math.log10(rate / 0.01) ** 2},
                learning_rate=rate,
                seconds=EPOCH_S,
            )

    def state_dict(self) -> dict[str, Any]:
        return {"done": self._done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._done = state["done"]

    def evaluate(self) -> dict[str, float]:
        return {}


def start(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> Parabola:
    """Begin a run; settings, seed and threads make no difference."""
    return Parabola(params, device)


OBJECTIVES = (
    Objective(
        name="parabola",
        description="A parabola in log10 of the learning rate.",
        module="parabola",
        metrics=(Metric(name="loss", direction="minimize", description="The parabola."),),
        parameters=(
            Parameter(
                name="learning_rate",
                type="float",
                default=0.1,
                description="The rate.",
                role="learning_rate",
                low=0,
                low_open=True,
            ),
            Parameter(name="epochs", type="int", default=10, description="Epochs of half a second.", role="duration", low=1),
        ),
    ),
)
