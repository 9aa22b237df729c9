"""Simulated training for the tests of dispatch: deterministic curves, some of which diverge or fail, and a worker in one loop."""

import math
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import optuna

from service.dispatch.attempt import Claim
from service.dispatch.claim import Claimer
from service.dispatch.finish import finish
from service.dispatch.outcome import Completed, Failed, Infeasible, Pruned, Result
from service.dispatch.renew import report, should_prune
from service.domain.job import Job, JobState
from service.domain.measurement import Measurement
from service.domain.parts import is_pruning_step
from service.domain.strategy import NoPruner
from service.domain.trial import TrialError
from service.store import jobs
from service.store.postgres import Database
from tests.stock_optuna import stock_once_more

SPACE: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True, "points": 10},
    "batch_size": {"type": "categorical", "choices": [16, 32, 64, 128]},
    "epochs": {"type": "int", "low": 1, "high": 9},
    "momentum": {"type": "float", "low": 0.0, "high": 0.99, "points": 4},
    "warmup": 1,
}
LEASE_S = 60.0
CLAIMERS = 8
"""At once."""


def curve_of(params: Mapping[str, Any]) -> list[Measurement]:
    """One measurement an epoch, lowest at a rate of 0.01; above 0.3 it becomes infinite, the earlier the higher the rate."""
    learning_rate, epochs = params["learning_rate"], params["epochs"]
    diverges_at = math.inf if learning_rate <= 0.3 else max(1, round(epochs * (1 - learning_rate)))
    curve = []
    for step in range(1, epochs + 1):
        loss = 0.1 + math.log10(learning_rate / 0.01) ** 2 + (epochs - step) / epochs + abs(params["momentum"] - 0.9)
        curve.append(
            Measurement(
                step=step,
                fraction=step / epochs,
                in_warmup=step <= params["warmup"] and epochs > 4,
                metrics={"loss": math.inf if step == diverges_at else loss},
                learning_rate=learning_rate,
                seconds=0.01,
            )
        )
        if step == diverges_at:
            break
    return curve


def fails(number: int) -> bool:
    """Which trials end with an error, the very first among them."""
    return number % 9 == 0


def run_trial(database: Database, claimer: Claimer, claim: Claim) -> None:
    """Run a claimed trial to its end, step by step, as a worker would."""
    job, before = claim.job, 0.0
    pruner = job.phase.spec.pruner
    for item in curve_of(claim.params):
        database.transact(lambda conn, item=item: report(conn, job, claim.lease, [item], lease_s=LEASE_S))  # type: ignore[misc]
        loss = item.metrics["loss"]
        if math.isinf(loss):
            return conclude(database, claim, Infeasible(step=item.step, fraction=item.fraction, evidence="loss became inf"))
        if fails(claim.lease.number):
            return conclude(database, claim, Failed(error=TrialError(type="RuntimeError", message="told to fail")))
        if not isinstance(pruner, NoPruner) and is_pruning_step(before, item.fraction, item.in_warmup, pruner.parts):
            if should_prune(database, claimer.cache, job, claim.lease):
                return conclude(database, claim, Pruned(value=loss, step=item.step))
        before = before if item.in_warmup else item.fraction
    return conclude(database, claim, Completed(value=loss))


def conclude(database: Database, claim: Claim, result: Result) -> None:
    """Store the result."""
    database.transact(lambda conn: finish(conn, claim.lease, result, lease_s=LEASE_S))


def run_job(database: Database, *claimers: Claimer) -> None:
    """Run until there is nothing to claim, the claimers taking turns."""
    turn = 0
    while (claim := claimers[turn % len(claimers)].claim(uuid4())) is not None:
        run_trial(database, claimers[turn % len(claimers)], claim)
        turn += 1


def claimer_of(database: Database, lease_s: float = LEASE_S) -> Claimer:
    """A worker's claimer that offers the objective of the tests."""
    return Claimer(database, uuid4(), ["quadratic"], lease_s=lease_s)


def claimed(claimer: Claimer) -> Claim:
    """The next trial, which there must be."""
    claim = claimer.claim(uuid4())
    assert claim is not None
    return claim


def expire(database: Database, claim: Claim, *, ago_s: float = 0.0) -> None:
    """Set a lease to have expired so many seconds ago."""
    with database.transaction() as conn:
        conn.exec_driver_sql(
            "UPDATE stride.leases SET expires_at = clock_timestamp() - make_interval(secs => %(ago_s)s) WHERE id = %(id)s",
            {"id": claim.lease.id, "ago_s": ago_s},
        )


def stored(database: Database, job: Job) -> list[optuna.trial.FrozenTrial]:
    """The job's trials as stock Optuna reads them."""
    with stock_once_more(database.url.render_as_string(hide_password=False)) as storage:
        return optuna.load_study(study_name=job.study_name, storage=storage).trials


def current(database: Database, job: Job) -> Job:
    """The job as it stands now."""
    return database.transact(lambda conn: jobs.get(conn, job.id))


def state_of(database: Database, job: Job) -> JobState:
    """The job's state now."""
    return current(database, job).state


def events(database: Database, job: Job) -> list[str]:
    """The types of the job's events, in their order."""
    with database.transaction() as conn:
        rows = conn.exec_driver_sql("SELECT type FROM stride.events WHERE job_id = %(id)s ORDER BY seq", {"id": job.id})
        return list(rows.scalars())
