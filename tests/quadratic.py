"""Objectives for tests: a loss with a known best learning rate that needs no training, and ways to misbehave.

Workers and API load them through STRIDE_OBJECTIVE_MODULES=tests.quadratic.
"""

import math
import os
import random
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from objectives.contract import Divergence, Measurement, Metric, Objective, Parameter

BEST_LEARNING_RATE = 0.01
DIVERGES_ABOVE = 0.5
PACE = float(os.environ.get("QUADRATIC_PACE", "1"))
"""The part of `epoch_s` that an epoch really takes: what is measured says that it took all of it."""


def expected_loss(learning_rate: float, fraction: float = 1.0) -> float:
    """A parabola in log10 of the rate with its lowest value, 0.1, at the best rate; it sinks as training goes on."""
    return 0.1 + (math.log10(learning_rate / BEST_LEARNING_RATE)) ** 2 + (1 - fraction)


def noise(seed: int, scale: float) -> float:
    """What a training seed adds to the loss, at every rate the same; so a loss tells the seed."""
    return scale * random.Random(seed).gauss()


def allow(gate: Path, steps: int) -> None:
    """Let runs with this gate do so many steps in all."""
    written = gate.with_suffix(".new")
    written.write_text(str(steps))
    written.replace(gate)


def allowed_at(gate: Path) -> float:
    """How many steps that is: all of them when nobody said."""
    try:
        return int(gate.read_text())
    except FileNotFoundError:
        return math.inf


class QuadraticRun:
    """Yields `epochs` measurements of the parabola; misbehaves as the settings say."""

    def __init__(self, params: Mapping[str, Any], settings: Mapping[str, Any], seed: int) -> None:
        self._params = params
        self._settings = settings
        self._noise = noise(seed, settings.get("seed_noise", 0.0))
        self._done = 0

    def __iter__(self) -> Iterator[Measurement]:
        learning_rate, epochs = self._params["learning_rate"], self._params["epochs"]
        print(f"training at {learning_rate:g}")
        while self._done < epochs:
            time.sleep(PACE * self._settings.get("epoch_s", 0.0))
            self._wait_at_gate(self._done + 1)
            self._misbehave(self._done + 1)
            self._done += 1
            fraction = self._done / epochs
            loss = expected_loss(learning_rate, fraction) + self._noise
            divergence = None
            if learning_rate > DIVERGES_ABOVE:
                divergence = Divergence(reason=f"loss became inf at update {self._done}", update=self._done, fraction=fraction)
                loss = math.inf
            yield Measurement(
                step=self._done,
                fraction=fraction,
                in_warmup=False,
                metrics={"loss": loss, "score": -loss},
                learning_rate=learning_rate,
                seconds=self._settings.get("epoch_s", 0.0),
                best_step=keep_step if (keep_step := self._settings.get("keep_step", math.inf)) <= self._done else None,
                divergence=divergence,
            )
            if divergence is not None:
                return

    def state_dict(self) -> dict[str, Any]:
        match self._settings.get("state"):
            case "numpy":
                import numpy as np

                return {"done": np.int64(self._done), "weights": np.full(3, self._done, dtype=np.float32)}
            case "without position":
                return {"weights": [0.5]}
            case "empty":
                return {}
            case "raises after step 1" if self._done > 1:
                raise RuntimeError("no state after step 1")
        return {"done": self._done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self._settings.get("state") not in ("without position", "empty"):
            self._done = int(state["done"])
        if "weights" in state and self._settings.get("state") == "numpy":
            assert state["weights"].tolist() == [self._done] * 3

    def evaluate(self) -> dict[str, float]:
        return {"test_loss": expected_loss(self._params["learning_rate"])}

    def _wait_at_gate(self, step: int) -> None:
        while (gate := self._settings.get("gate")) and step > allowed_at(Path(gate)):
            time.sleep(0.01)

    def _misbehave(self, step: int) -> None:
        if step == self._settings.get("raise_at"):
            raise RuntimeError("told to raise")
        if step == self._settings.get("kill_at"):
            os.kill(os.getpid(), signal.SIGKILL)
        if step == self._settings.get("exit_at"):
            os._exit(7)
        if step == self._settings.get("hang_at"):
            os.kill(os.getpid(), signal.SIGSTOP)


def start(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> QuadraticRun:
    """Begin a run; device and threads make no difference, and the seed only with `seed_noise`."""
    return QuadraticRun(params, settings, seed)


_STEP = {"type": "integer", "minimum": 1}

QUADRATIC = Objective(
    name="quadratic",
    description="A parabola in log10 of the learning rate, lowest at 0.01; above 0.5 it diverges.",
    module="tests.quadratic",
    metrics=(
        Metric(name="loss", direction="minimize", description="The parabola."),
        Metric(name="score", direction="maximize", description="Minus the loss."),
    ),
    parameters=(
        Parameter(
            name="learning_rate",
            type="float",
            default=0.1,
            space={"type": "float", "low": 1e-5, "high": 1.0, "log": True, "points": 11},
            description="Step size.",
            low=0.0,
            low_open=True,
        ),
        Parameter(name="epochs", type="int", default=4, space=None, description="Steps.", low=1),
        Parameter(
            name="momentum",
            type="float",
            default=0.9,
            space={"type": "float", "low": 0.0, "high": 0.99, "points": 4},
            description="Makes no difference.",
            low=0.0,
            high=1.0,
            high_open=True,
        ),
        Parameter(
            name="mode",
            type="categorical",
            default="plain",
            space=None,
            description="Makes no difference.",
            choices=("plain", "fancy"),
        ),
    ),
    settings_schema={
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "epoch_s": {"type": "number", "minimum": 0, "default": 0.0, "description": "Seconds a step takes."},
            "gate": {"type": "string", "description": "A file that says how many steps may be done."},
            "raise_at": _STEP | {"description": "Raise in this step."},
            "kill_at": _STEP | {"description": "Kill the own process in this step."},
            "exit_at": _STEP | {"description": "Exit with code 7 in this step."},
            "hang_at": _STEP | {"description": "Stop the own process in this step, as SIGSTOP does."},
            "seed_noise": {
                "type": "number",
                "minimum": 0,
                "description": "How much the seed adds to the loss: times a normal draw.",
            },
            "state": {
                "enum": ["numpy", "without position", "empty", "raises after step 1"],
                "description": "What its state is made of, if not a number.",
            },
            "keep_step": _STEP | {"description": "From this step on, say that its weights would be kept."},
        },
    },
)

OBJECTIVES = (QUADRATIC,)
