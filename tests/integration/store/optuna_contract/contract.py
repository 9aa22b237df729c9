"""The contract of DESIGN decision 4: stock Optuna reads what we write, and we read what stock Optuna writes, identically.

All of it in a time zone that is not UTC, on a server whose sessions are in yet another one (conftest).
"""

import math
from typing import Any
from uuid import uuid4

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from service.dispatch.attempt import Claim
from service.dispatch.claim import Claimer
from service.dispatch.study_cache import frozen_trial
from service.domain.job import Job
from service.domain.trial import FEASIBLE, Param
from service.store import trials
from service.store.postgres import Database

SPACE: dict[str, BaseDistribution] = {
    # Not in the order of their names: the order is part of what is stored.
    "zeta": FloatDistribution(-1.5, 1e300),
    "learning_rate": FloatDistribution(1e-308, 1.0, log=True),
    "stepped": FloatDistribution(0.0, 1.0, step=0.1),
    "units": IntDistribution(-(2**53), 2**53),
    "width": IntDistribution(1, 1024, log=True),
    "layers": IntDistribution(0, 30, step=3),
    "mixed": CategoricalDistribution((None, True, False, 1, 2.5, "relu", "Größe 学习率", "")),
    "batch_size": CategoricalDistribution((16, 32, 64)),
}
_POINT = {"zeta": 0.0, "learning_rate": 0.1, "stepped": 0.7, "units": 1, "width": 2, "layers": 6, "mixed": 1, "batch_size": 32}
POINTS: list[dict[str, Any]] = [
    _POINT | {"zeta": 0.1 + 0.2, "learning_rate": 1e-308, "stepped": 0.3, "units": 2**53, "width": 1, "layers": 0, "mixed": None},
    _POINT | {"zeta": -1.5, "learning_rate": 1.0, "stepped": 1.0, "units": -(2**53), "width": 1024, "layers": 30, "mixed": True},
    _POINT | {"zeta": 1e300, "learning_rate": 1 / 3, "stepped": 0.0, "batch_size": 64, "mixed": False},
    _POINT | {"zeta": 5e-324, "units": 0, "batch_size": 16, "mixed": 2.5},
    _POINT | {"mixed": "Größe 学习率"},
    _POINT | {"mixed": ""},
]
ATTRS: dict[str, Any] = {
    "nested": {"list": [1, 2.5, None, True, {"deep": [[]]}], "empty": {}},
    "unicode ключ 🎛": "Größe 学习率 🎛 \u0000 \ud800",
    "long": "x" * 100_000,
    "not finite": [math.inf, -math.inf],
    "null": None,
    "quotes": "\"'\\%(name)s %s",
    "big": 2**70,
}
CURVE = {0: 1.0, 1: math.inf, 2: -math.inf, 3: math.nan, 5: 0.1 + 0.2, 7: 5e-324, 1000: -1.7976931348623157e308}


def facts(trial: FrozenTrial) -> dict[str, Any]:
    """All of a trial, comparable: nan equals nan, 1 is not True, and the order of the params counts."""
    found = dict(vars(trial))
    for name in ("_params", "_distributions"):
        found[name] = list(found[name].items())
    for name in ("_user_attrs", "_system_attrs", "_intermediate_values", "intermediate_values"):
        if name in found:
            found[name] = sorted(found[name].items())
    return {name: repr(value) for name, value in found.items()}


def as_read_by_us(database: Database, job: Job) -> list[FrozenTrial]:
    with database.transaction() as conn:
        return [frozen_trial(record, job) for record in trials.trials_since(conn, job.study_id)]


def assert_both_read_the_same(database: Database, job: Job, stock: RDBStorage) -> list[FrozenTrial]:
    """Compares whole trials. Foreign results are shown to samplers as feasible (DESIGN decision 5), by intent."""
    theirs = stock.get_all_trials(job.study_id)
    expected = []
    with database.transaction() as conn:
        leased = {record.trial_id for record in trials.trials_since(conn, job.study_id) if record.leased}
    for trial in theirs:
        shown = facts(trial)
        if trial.state is TrialState.COMPLETE and trial._trial_id not in leased:
            kept = {key: value for key, value in trial.system_attrs.items() if not key.startswith("constraints")}
            shown["_system_attrs"] = repr(sorted((kept | {"constraints": [FEASIBLE]}).items()))
        expected.append(shown)
    assert [facts(trial) for trial in as_read_by_us(database, job)] == expected
    return theirs


def stock_study(job: Job, stock: RDBStorage) -> Study:
    return optuna.load_study(study_name=job.study_name, storage=stock, sampler=optuna.samplers.RandomSampler(seed=1))


def stored(point: dict[str, Any]) -> list[Param]:
    return [
        Param(name=name, value=SPACE[name].to_internal_repr(value), distribution=distribution_to_json(SPACE[name]))
        for name, value in point.items()
    ]


def claimed(database: Database) -> Claim:
    claim = Claimer(database, uuid4(), ["quadratic"], lease_s=30).claim(uuid4())
    assert claim is not None
    return claim
