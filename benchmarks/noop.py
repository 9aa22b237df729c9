"""An objective without training: one step that sleeps for as long as its settings say. So only the service is measured.

Workers and API load it through STRIDE_OBJECTIVE_MODULES=benchmarks.noop.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.loss import loss_of
from objectives.contract import Measurement, Metric, Objective, Parameter


class NoopRun:
    """Sleeps, and yields one measurement."""

    def __init__(self, params: Mapping[str, Any], seconds: float) -> None:
        self._params = params
        self._seconds = seconds

    def __iter__(self) -> Iterator[Measurement]:
        started = time.perf_counter()
        if self._seconds:
            time.sleep(self._seconds)
        yield Measurement(
            step=1,
            fraction=1.0,
            in_warmup=False,
            metrics={"loss": loss_of(self._params)},
            learning_rate=self._params["learning_rate"],
            seconds=time.perf_counter() - started,
        )

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """There is nothing to go on from."""

    def evaluate(self) -> dict[str, float]:
        return {}


def start(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> NoopRun:
    """Begin a run; seed, device and threads make no difference."""
    return NoopRun(params, settings["seconds"])


def _parameter(name: str, type_: Any, default: float, space: dict[str, Any]) -> Parameter:
    return Parameter(name=name, type=type_, default=default, space=space, description="Enters a made-up loss.")


OBJECTIVES = (
    Objective(
        name="noop",
        description="No training: what the service itself costs.",
        module="benchmarks.noop",
        metrics=(Metric(name="loss", direction="minimize", description="Made up."),),
        parameters=(
            _parameter("learning_rate", "float", 0.1, {"type": "float", "low": 1e-5, "high": 1.0, "log": True}),
            _parameter("batch_size", "int", 16, {"type": "categorical", "choices": [16, 32, 64, 128]}),
            _parameter("epochs", "int", 2, {"type": "int", "low": 2, "high": 20}),
            _parameter("momentum", "float", 0.9, {"type": "float", "low": 0.0, "high": 0.99}),
        ),
        settings_schema={
            "type": "object",
            "additionalProperties": False,
            "properties": {"seconds": {"type": "number", "minimum": 0, "default": 0, "description": "How long its step sleeps."}},
        },
    ),
)
