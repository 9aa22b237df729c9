"""Trials, their states, and the attributes and parameters that Stride stores of them."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from service.domain.lease import Attempt
from service.domain.space import Point, Scalar
from service.domain.spec import JobSpec


class TrialState(StrEnum):
    """The states of a trial. Optuna has five of them; infeasible is Optuna's COMPLETE with a violated constraint."""

    WAITING = "waiting"
    """Enqueued; no worker has claimed it."""
    RUNNING = "running"
    """Claimed by a worker."""
    COMPLETE = "complete"
    """Trained to the end; it has a value."""
    INFEASIBLE = "infeasible"
    """Diverged: a result that bounds the usable learning rates."""
    PRUNED = "pruned"
    """Ended early; its last value stands."""
    FAILED = "failed"
    """Ended by an error; it says nothing about the quality of its parameters."""


GUESSING = "guessing"
"""The user attribute of a trial that holds, by metric, the value of a constant prediction, the same for every example."""
PHASE_NAME = "phase"
"""The user attribute of a trial that confirms: the name of its phase."""
CANDIDATE = "candidate"
"""The user attribute of a trial that confirms: which of its phase's candidates it trains again, counted from 0."""
OWN_ATTRIBUTES = frozenset(
    {
        *(PHASE_NAME, CANDIDATE, "training_seed", "replicate"),
        *(GUESSING, "diagnosis", "ignored", "best_step", "pruned_at_step", "stopped_by"),
        *("diverged_at_step", "divergence", "error"),
    }
)
"""The user attributes that Stride writes to trials. An objective's test metrics never overwrite them."""

FEASIBLE = -1.0
"""The `constraints` entry of a trial that trained to the end (DESIGN decision 8)."""


def violation(fraction: float) -> float:
    """The `constraints` entry of a trial that diverged after `fraction` of its schedule: in (0, 1], larger for earlier ones."""
    return max(1.0 - fraction, 1e-6)


def worst_value(spec: JobSpec) -> float:
    """The value of a diverged trial."""
    return spec.cost_sign * math.inf


MESSAGE_CHARACTERS = 2_000
"""The most characters stored of an error message, which is also part of the job's reason and of events."""

TRACEBACK_CHARACTERS = 16_384
"""The most characters stored of a traceback, from its end: lists of trials have them all."""


def storable(text: str) -> str:
    """`text` without what PostgreSQL cannot store: NUL, and lone surrogates, which file names in Python may contain."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


@dataclass(frozen=True, kw_only=True)
class TrialError:
    """Why a trial failed. The texts are made storable: they come from the objective and may contain anything."""

    type: str
    message: str
    traceback: str | None = None
    """The last lines of the traceback."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "type", storable(self.type))
        object.__setattr__(self, "message", storable(self.message)[:MESSAGE_CHARACTERS])
        if self.traceback is not None:
            object.__setattr__(self, "traceback", storable(self.traceback)[-TRACEBACK_CHARACTERS:])

    def __str__(self) -> str:
        return f"{self.type}: {self.message}"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A trial as stored."""

    number: int
    state: TrialState
    value: float | None
    """Infinite when infeasible."""
    params: Point
    user_attrs: Mapping[str, Any]
    diverged_at_step: int | None
    error: TrialError | None
    started_at: datetime | None
    finished_at: datetime | None
    attempts: tuple[Attempt, ...] = ()
    last_step: int | None = None
    """The last step that was measured; None also where measurements were not asked for, or have been deleted."""


@dataclass(frozen=True, kw_only=True)
class Param:
    """A parameter as Optuna stores it."""

    name: str
    value: float
    """Internal representation: for a categorical parameter the index of the choice."""
    distribution: str
    """JSON, as Optuna's `distribution_to_json` writes it."""

    @property
    def external(self) -> Scalar | None:
        """The external representation of the value: the choice itself, and integers as int.

        A foreign script may use lists as choices, which Optuna accepts with a warning; these are returned as JSON text.
        """
        described = _described(self.distribution)
        if "Categorical" in described["name"]:
            choice = described["attributes"]["choices"][int(self.value)]
            return choice if choice is None or isinstance(choice, Scalar) else json.dumps(choice)
        return int(self.value) if described["name"].startswith("Int") else self.value


@dataclass(frozen=True, kw_only=True)
class TrialCounts:
    """How many trials of a job are in each state."""

    waiting: int = 0
    running: int = 0
    complete: int = 0
    infeasible: int = 0
    pruned: int = 0
    failed: int = 0

    @property
    def ended(self) -> int:
        """How many have ended, whatever their result."""
        return self.complete + self.infeasible + self.pruned + self.failed

    @property
    def total(self) -> int:
        """The sum of the six."""
        return self.waiting + self.running + self.ended


@lru_cache(maxsize=1_024)
def _described(distribution: str) -> Any:
    """The parsed distribution, cached: a job has few distributions, but may have very many trials."""
    return json.loads(distribution)
