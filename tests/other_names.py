"""An objective whose parameters, settings, metrics and steps all have other names than the usual ones; it needs no training.

What is asked of it follows from what it declares. Loaded through STRIDE_OBJECTIVE_MODULES=tests.other_names.
"""

import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

from objectives.contract import DEFINES_MEASURE, ROLE, Divergence, Measurement, Metric, Objective, Parameter

BEST_RATE = 0.01
"""At a batch size of 32, without momentum."""
POWER = 0.7
"""With which the best rate goes with the batch size."""
DIVERGES_BEYOND = 1.2
"""Decades above the best rate."""


def decades_off(params: Mapping[str, Any]) -> float:
    """How far the rate lies above the best one, log10."""
    best = BEST_RATE * (params["bs"] / 32) ** POWER * (1 - params["mu"])
    return math.log10(params["lr"] / best)


class OtherRun:
    """Yields `steps` measurements of a reward that is highest, 0.9, at the best rate."""

    def __init__(self, params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, threads: int) -> None:
        self._params = params
        self._luck = 0.005 * random.Random(seed).gauss()
        self._threads = threads
        self._less = settings["less"]
        self._done = 0

    def __iter__(self) -> Iterator[Measurement]:
        away = decades_off(self._params)
        while self._done < self._params["steps"]:
            self._done += 1
            fraction = self._done / self._params["steps"]
            reward = (0.9 - self._less) * fraction / (1 + away**2) + self._luck
            divergence = None
            if away > DIVERGES_BEYOND:
                divergence = Divergence(reason="the policy's weights became nan", update=self._done, fraction=fraction)
            yield Measurement(
                step=self._done,
                fraction=fraction,
                in_warmup=False,
                metrics={"reward": reward, "regret": 1 - reward, "threads": float(self._threads)},
                learning_rate=self._params["lr"],
                seconds=0.01,
                divergence=divergence,
            )
            if divergence is not None:
                return

    def state_dict(self) -> dict[str, Any]:
        return {"done": self._done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._done = state["done"]

    def evaluate(self) -> dict[str, float]:
        return {}


def start(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> OtherRun:
    return OtherRun(params, settings, seed, threads)


OTHER_NAMES = Objective(
    name="other-names",
    description="A reward that is highest at a known rate.",
    module="tests.other_names",
    metrics=(
        Metric(name="reward", direction="maximize", description="At most 0.9."),
        Metric(name="regret", direction="minimize", description="One less the reward."),
    ),
    parameters=(
        Parameter(
            name="lr",
            role="learning_rate",
            type="float",
            default=0.01,
            space={"type": "float", "low": 1e-5, "high": 1.0, "log": True, "points": 11},
            description="Step size.",
            low=0.0,
            low_open=True,
        ),
        Parameter(name="bs", role="batch_size", type="int", default=32, description="Examples per update.", low=1),
        Parameter(
            name="mu",
            role="momentum",
            type="float",
            default=0.0,
            description="Part of the last step that is kept.",
            low=0.0,
            high=1.0,
            high_open=True,
        ),
        Parameter(name="steps", role="duration", type="int", default=4, description="Episodes to play.", low=1),
        Parameter(
            name="rule",
            role="optimizer",
            type="categorical",
            default="plain",
            description="Makes no difference.",
            choices=("plain", "fancy"),
        ),
        Parameter(
            name="penalty",
            type="float",
            default=0.0,
            description="Makes no difference.",
            defines_measure=("regret",),
        ),
        Parameter(name="draw", role="seed", type="int", default=0, description="Makes no difference."),
    ),
    settings_schema={
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "arena": {"type": "string", "default": "small", "description": "Where it plays.", DEFINES_MEASURE: True},
            "cores": {"type": "integer", "minimum": 1, "default": 1, "description": "CPU threads.", ROLE: "threads"},
            "less": {"type": "number", "default": 0.0, "description": "How much lower the best reward is."},
        },
    },
    step_word="episode",
)

OBJECTIVES = (OTHER_NAMES,)
