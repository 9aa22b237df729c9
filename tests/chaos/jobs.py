"""The jobs that run while faults are injected: seven kinds in turn, each job with its own seed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, cycle
from typing import Any

MAX_ATTEMPTS = 1_000
"""`max_attempts`. Faults end more attempts than a real cluster does; a trial that kills its workers has its own test."""

EPOCH_S = 0.1
"""Seconds of a quadratic step."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of job. comparable: its trials depend on its seed alone, not on which other trials have finished."""

    name: str
    comparable: bool
    document: Callable[[], dict[str, Any]]


def _digits(**overrides: Any) -> dict[str, Any]:
    """Real training: a trial of a second or two, if it does not diverge."""
    space = {"learning_rate": {"type": "float", "low": 0.003, "high": 30.0, "log": True}, "batch_size": 64, "momentum": 0.9}
    return {
        "objective": {"name": "image-classification", "settings": {"dataset": "digits", "model": "mlp"}},
        "search_space": space | overrides.pop("space"),
        **overrides,
    }


def _quadratic(**overrides: Any) -> dict[str, Any]:
    space = {"learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}, "epochs": 16, "momentum": 0.9}
    return {
        "objective": {"name": "quadratic", "settings": {"epoch_s": EPOCH_S}},
        "search_space": space | overrides.pop("space", {}),
        **{"strategy": "random", "budget": {"trials": 8}} | overrides,
    }


def _points(low: float, high: float, points: int) -> dict[str, Any]:
    return {"type": "float", "low": low, "high": high, "log": True, "points": points}


KINDS = (
    Kind(
        name="grid on digits",
        comparable=True,
        document=lambda: _digits(strategy="grid", space={"learning_rate": _points(0.003, 30.0, 5), "epochs": 120}),
    ),
    Kind(
        name="random on quadratic",
        comparable=True,
        document=lambda: _quadratic(space={"epochs": {"type": "int", "low": 10, "high": 50}}),
    ),
    Kind(
        name="successive halving on quadratic",
        comparable=False,
        document=lambda: _quadratic(pruner={"type": "successive_halving"}),
    ),
    Kind(
        name="random on digits",
        comparable=True,
        document=lambda: _digits(
            strategy="random",
            budget={"trials": 6},
            space={
                "batch_size": {"type": "categorical", "choices": [64, 128]},
                "epochs": {"type": "int", "low": 60, "high": 160},
                "momentum": {"type": "float", "low": 0.0, "high": 0.95},
            },
        ),
    ),
    Kind(
        name="grid on quadratic",
        comparable=True,
        document=lambda: _quadratic(strategy="grid", budget=None, space={"learning_rate": _points(1e-4, 1.0, 6), "epochs": 25}),
    ),
    Kind(
        name="confirmed random on quadratic",
        comparable=False,  # which points are confirmed depends on which trials have finished when the search is over
        document=lambda: _quadratic(budget={"trials": 9, "confirm": 4}),
    ),
    Kind(name="tpe on quadratic", comparable=False, document=lambda: _quadratic(strategy={"type": "bayesian", "sampler": "tpe"})),
)


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A job to be submitted."""

    kind: Kind
    document: dict[str, Any]

    @property
    def name(self) -> str:
        """Of the job: unique within a run."""
        name: str = self.document["name"]
        return name


def submissions(seed: int) -> Iterator[Submission]:
    """An endless sequence of jobs, the same for the same seed."""
    for number, kind in zip(count(), cycle(KINDS)):
        document = {name: value for name, value in kind.document().items() if value is not None}
        own = {"name": f"{number}: {kind.name}", "seed": 1_000 * seed + number, "max_attempts": MAX_ATTEMPTS}
        yield Submission(kind=kind, document=document | own)
