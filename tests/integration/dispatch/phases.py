"""Jobs of several phases: what the tests of them ask for."""

import math
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from service.dispatch.attempt import Claim
from service.dispatch.claim import Claimer
from service.dispatch.outcome import Completed
from service.domain.job import Job
from service.domain.phase import PHASE
from service.store.postgres import Database
from tests.integration.dispatch.test_claim import foreign
from tests.integration.dispatch.training import (
    SPACE,
    claimed,
    conclude,
)

LOW, HIGH = 0.02, 0.3
NARROW: dict[str, Any] = {"learning_rate": {"type": "float", "low": LOW, "high": HIGH, "log": True, "points": 5}}
RATE_ALONE: dict[str, Any] = {"learning_rate": SPACE["learning_rate"], "epochs": 4, "momentum": 0.9, "warmup": 0}
QMC: dict[str, Any] = {"type": "random", "sampler": "qmc"}
STRATEGIES: list[Any] = ["grid", "random", QMC, "bayesian", {"type": "bayesian", "sampler": "gp"}]


def narrowed(strategy: Any, trials: int | None = None, space: dict[str, Any] = SPACE) -> dict[str, Any]:
    """A phase over a narrower range of the rate."""
    return {"search_space": space | NARROW, "strategy": strategy, "trials": trials}


def is_narrow(trial: FrozenTrial) -> bool:
    return bool(LOW <= trial.params["learning_rate"] <= HIGH)


def phases_of(trials: list[FrozenTrial]) -> list[int]:
    return [trial.system_attrs.get(PHASE, 0) for trial in trials]


def complete(database: Database, claim: Claim) -> None:
    """With the parabola's value, whose best rate is 0.01."""
    conclude(database, claim, Completed(value=math.log10(claim.params["learning_rate"] / 0.01) ** 2))


def complete_next(database: Database, claimer: Claimer) -> Claim:
    claim = claimed(claimer)
    complete(database, claim)
    return claim


def add_foreign(database: Database, job: Job, count: int) -> None:
    with foreign(database, job) as study:
        for _ in range(count):
            study.add_trial(optuna.trial.create_trial(value=0.0))
